// Constraints: sampling keeps to masks, and answers have the form that they are held to, alone and in a scheduler.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <socle/socle.h>

#include "base/buffer.h"
#include "engine/sampler.h"

// ---- sampling and generation

static void sampling_draws_only_what_is_allowed(void **state)
{
    (void)state;
    enum { N = 100 };
    struct sc_candidate candidates[N];
    uint32_t counts[N] = { 0 }, z[8];
    float logits[N];
    uint64_t allowed[2] = { UINT64_C(1) << 3 | UINT64_C(1) << 40, UINT64_C(1) << 6 }; // 3, 40, 70
    static float weights[N];
    struct sc_sampler sampler = { candidates, counts, z, N, weights, sc_kernels_at(0) };
    for (int i = 0; i < N; i++) logits[i] = (float)(i % 17) * 0.3f;
    socle_sampling how = socle_sampling_defaults();
    bool seen[N] = { false };
    how.min_p = 0.0f;
    how.top_p = 1.0f;
    for (uint64_t seed = 0; seed < 500; seed++) {
        how.seed = seed;
        int32_t token = sc_sample(&sampler, &how,
                                  &(struct sc_sampling_input){ .logits = logits, .allowed = allowed, .n_allowed = N });
        assert_true(token == 3 || token == 40 || token == 70);
        seen[token] = true;
    }
    assert_true(seen[3] && seen[40] && seen[70]);
    how.temperature = 0.0f;
    struct sc_sampling_input input = { .logits = logits, .allowed = allowed, .n_allowed = N };
    assert_int_equal(sc_sample(&sampler, &how, &input), 40);
    input.n_allowed = 30; // a model may have more rows than there are tokens
    assert_int_equal(sc_sample(&sampler, &how, &input), 3);
    allowed[0] = allowed[1] = 0;
    assert_int_equal(sc_sample(&sampler, &how, &input), -1);
}

static bool collect(void *context, const char *bytes, size_t n_bytes)
{
    return sc_buffer_append(context, bytes, n_bytes);
}

static void answers_have_the_form_they_are_held_to(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":9},"
        "\"age\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":12}},\"required\":[\"name\",\"age\"],"
        "\"additionalProperties\":false}";
    socle_model *model;
    socle_session *session;
    socle_constraint *constraint, *other;
    socle_error err = { 0 };
    if (socle_model_load(SC_SOURCE_ROOT "/share/tales.gguf", &model, &err) != SOCLE_OK) fail_msg("%s", err.message);
    assert_int_equal(socle_session_create(model, NULL, &session, &err), SOCLE_OK);
    assert_int_equal(socle_constraint_create(model, SOCLE_CONSTRAINT_SCHEMA, schema, strlen(schema), &constraint, &err),
                     SOCLE_OK);
    assert_int_equal(socle_constraint_create(model, SOCLE_CONSTRAINT_REGEX, "(", 1, &other, &err), SOCLE_BAD_ARGUMENT);
    int32_t *prompt;
    size_t n_prompt;
    assert_int_equal(socle_tokenize(model, "Once", 4, SOCLE_ADD_SPECIAL, &prompt, &n_prompt, &err), SOCLE_OK);
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct sc_buffer text = { 0 };
        socle_generation g = { .prompt = prompt,
                               .n_prompt = n_prompt,
                               .n_predict = 400,
                               .sampling = socle_sampling_defaults(),
                               .constraint = constraint,
                               .on_text = collect,
                               .context = &text,
                               .ignore_end = seed % 2 };
        g.sampling.seed = seed;
        g.sampling.temperature = 1.5f;
        socle_session_rewind(session, 0);
        if (socle_generate(session, &g, &err) != SOCLE_OK) fail_msg("%s", err.message);
        assert_int_equal(g.finish, SOCLE_FINISH_STOP);
        json_t *value = json_loadb(text.data, text.n_bytes, 0, NULL);
        if (!value) fail_msg("not JSON: %.*s", (int)text.n_bytes, text.data);
        json_int_t age = json_integer_value(json_object_get(value, "age"));
        assert_true(age >= 3 && age <= 12);
        assert_int_equal(json_object_size(value), 2);
        json_decref(value);
        sc_buffer_free(&text);
    }
    socle_free(prompt);
    socle_constraint_free(constraint);
    socle_session_free(session);
    socle_model_free(model);
}

static void a_constraint_can_wait_for_a_text(void **state)
{
    (void)state;
    socle_model *model;
    socle_session *session;
    socle_constraint *constraint;
    socle_error err = { 0 };
    assert_int_equal(socle_model_load(SC_SOURCE_ROOT "/share/tales.gguf", &model, &err), SOCLE_OK);
    assert_int_equal(socle_session_create(model, NULL, &session, &err), SOCLE_OK);
    assert_int_equal(socle_constraint_create(model, SOCLE_CONSTRAINT_REGEX, "[0-9]{4}", 8, &constraint, &err),
                     SOCLE_OK);
    int32_t *prompt;
    size_t n_prompt;
    struct sc_buffer text = { 0 };
    assert_int_equal(socle_tokenize(model, "Once upon a time", 16, SOCLE_ADD_SPECIAL, &prompt, &n_prompt, &err),
                     SOCLE_OK);
    socle_generation g = { .prompt = prompt,
                           .n_prompt = n_prompt,
                           .n_predict = 200,
                           .constraint = constraint,
                           .constraint_after = ".",
                           .on_text = collect,
                           .context = &text };
    g.sampling = socle_sampling_defaults();
    if (socle_generate(session, &g, &err) != SOCLE_OK) fail_msg("%s", err.message);
    assert_int_equal(g.finish, SOCLE_FINISH_STOP);
    const char *stop = memchr(text.data, '.', text.n_bytes);
    assert_non_null(stop);
    assert_true(stop > text.data + 3);
    assert_int_equal(strspn(stop + 1, "0123456789"), 4);
    assert_int_equal(strlen(stop + 1), 4);
    sc_buffer_free(&text);
    socle_free(prompt);
    socle_constraint_free(constraint);
    socle_session_free(session);
    socle_model_free(model);
}

// ---- in a scheduler

struct held_answer {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended;
    struct sc_buffer text;
    socle_request_result result;
};

static bool on_token(void *context, const socle_token_event *event)
{
    struct held_answer *a = context;
    return sc_buffer_append(&a->text, event->text, event->n_bytes);
}

static void on_end(void *context, const socle_request_result *result)
{
    struct held_answer *a = context;
    pthread_mutex_lock(&a->mutex);
    sc_buffer_append(&a->text, result->text, result->n_bytes);
    a->result = *result;
    a->has_ended = true;
    pthread_cond_signal(&a->ended);
    pthread_mutex_unlock(&a->mutex);
}

static void requests_have_the_form_they_are_held_to(void **state)
{
    (void)state;
    enum { N = 24 };
    static const char *const regexes[] = { "(yes|no), [a-z]{3,8}\\.", "[0-9]{12}", "(a|b){0,40}c" };
    static struct held_answer answers[N];
    socle_model *model;
    socle_scheduler *scheduler;
    socle_constraint *constraints[3];
    socle_error err = { 0 };
    int32_t *prompt;
    size_t n_prompt;
    uint64_t id;
    assert_int_equal(socle_model_load(SC_SOURCE_ROOT "/share/tales.gguf", &model, &err), SOCLE_OK);
    assert_int_equal(socle_tokenize(model, "Once", 4, SOCLE_ADD_SPECIAL, &prompt, &n_prompt, &err), SOCLE_OK);
    assert_int_equal(socle_scheduler_create(model, NULL, &scheduler, &err), SOCLE_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(socle_constraint_create(model, SOCLE_CONSTRAINT_REGEX, regexes[i], strlen(regexes[i]),
                                                 &constraints[i], &err),
                         SOCLE_OK);
    for (int i = 0; i < N; i++) {
        struct held_answer *a = &answers[i];
        pthread_mutex_init(&a->mutex, NULL);
        pthread_cond_init(&a->ended, NULL);
        socle_request_options o = { .prompt = prompt,
                                    .n_prompt = n_prompt,
                                    .n_predict = 300,
                                    .sampling = socle_sampling_defaults(),
                                    .constraint = constraints[i % 3],
                                    .on_token = on_token,
                                    .on_end = on_end,
                                    .context = a };
        o.sampling.seed = (uint64_t)i;
        o.sampling.temperature = 1.5f;
        if (socle_request_start(scheduler, &o, &id, &err) != SOCLE_OK) fail_msg("%s", err.message);
    }
    for (int i = 0; i < N; i++) {
        struct held_answer *a = &answers[i];
        pthread_mutex_lock(&a->mutex);
        while (!a->has_ended) pthread_cond_wait(&a->ended, &a->mutex);
        pthread_mutex_unlock(&a->mutex);
        assert_int_equal(a->result.status, SOCLE_OK);
        assert_int_equal(a->result.finish, SOCLE_FINISH_STOP);
        const char *text = a->text.data;
        if (i % 3 == 0)
            assert_true((strncmp(text, "yes, ", 5) == 0 || strncmp(text, "no, ", 4) == 0) && strchr(text, '.'));
        if (i % 3 == 1) assert_true(strlen(text) == 12 && strspn(text, "0123456789") == 12);
        if (i % 3 == 2) assert_true(strspn(text, "ab") == strlen(text) - 1 && text[strlen(text) - 1] == 'c');
        sc_buffer_free(&a->text);
    }
    socle_scheduler_free(scheduler, NULL);
    for (int i = 0; i < 3; i++) socle_constraint_free(constraints[i]);
    socle_free(prompt);
    socle_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_draws_only_what_is_allowed),
        cmocka_unit_test(answers_have_the_form_they_are_held_to),
        cmocka_unit_test(a_constraint_can_wait_for_a_text),
        cmocka_unit_test(requests_have_the_form_they_are_held_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
