// The scheduler: many requests at once give what each gives alone, whatever the cache knows and however small it is.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <socle/socle.h>

#include "base/size.h"
#include "fixtures.h"
#include "tales_model.h"

// ---- a request and what came of it

enum { TEXT_MAX = 4096, TOKENS_MAX = 512 };

struct answer {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    int n_ends;
    char text[TEXT_MAX];
    size_t n_bytes, n_tokens, n_of_prompt;
    int32_t tokens[TOKENS_MAX];
    float logprobs[TOKENS_MAX], prompt_logprobs[TOKENS_MAX];
    socle_alternative top[TOKENS_MAX][3];
    size_t stop_after; // tokens; 0: never
    char stop[16];
    socle_request_result result;
};

static void add_text(struct answer *a, const char *text, size_t n_bytes)
{
    assert_true(a->n_bytes + n_bytes < TEXT_MAX);
    memcpy(a->text + a->n_bytes, text, n_bytes);
    a->n_bytes += n_bytes;
}

static bool on_token(void *context, const socle_token_event *event)
{
    struct answer *a = context;
    if (event->of_prompt) {
        a->prompt_logprobs[a->n_of_prompt++] = event->logprob;
        return true;
    }
    a->logprobs[a->n_tokens] = event->logprob;
    memcpy(a->top[a->n_tokens], event->top, SC_MIN(event->n_top, (size_t)3) * sizeof *event->top);
    a->tokens[a->n_tokens++] = event->token;
    add_text(a, event->text, event->n_bytes);
    return a->stop_after == 0 || a->n_tokens < a->stop_after;
}

static void on_end(void *context, const socle_request_result *result)
{
    struct answer *a = context;
    pthread_mutex_lock(&a->mutex);
    add_text(a, result->text, result->n_bytes);
    a->result = *result;
    snprintf(a->stop, sizeof a->stop, "%s", result->stop ? result->stop : "");
    a->n_ends++;
    pthread_cond_signal(&a->ended);
    pthread_mutex_unlock(&a->mutex);
}

struct asked {
    int32_t *prompt;
    size_t n_prompt;
    socle_request_options options;
    struct answer answer;
    uint64_t id;
};

static void prepare(struct asked *a, const char *text, uint32_t n_predict)
{
    socle_error err;
    memset(a, 0, sizeof *a);
    must(socle_tokenize(model, text, strlen(text), SOCLE_ADD_SPECIAL, &a->prompt, &a->n_prompt, &err), &err);
    pthread_mutex_init(&a->answer.mutex, NULL);
    pthread_cond_init(&a->answer.ended, NULL);
    a->options = (socle_request_options){ .prompt = a->prompt,
                                          .n_prompt = a->n_prompt,
                                          .n_predict = n_predict,
                                          .sampling = socle_sampling_defaults(),
                                          .on_token = on_token,
                                          .on_end = on_end,
                                          .context = &a->answer };
}

static void start(socle_scheduler *s, struct asked *a)
{
    socle_error err;
    must(socle_request_start(s, &a->options, &a->id, &err), &err);
}

static void wait_for(struct asked *a)
{
    pthread_mutex_lock(&a->answer.mutex);
    while (a->answer.n_ends == 0) pthread_cond_wait(&a->answer.ended, &a->answer.mutex);
    pthread_mutex_unlock(&a->answer.mutex);
    assert_int_equal(a->answer.n_ends, 1);
}

static void release(struct asked *a)
{
    socle_free(a->prompt);
    pthread_mutex_destroy(&a->answer.mutex);
    pthread_cond_destroy(&a->answer.ended);
}

static socle_scheduler *new_scheduler(socle_scheduler_options options)
{
    socle_scheduler *s;
    socle_error err;
    must(socle_scheduler_create(model, &options, &s, &err), &err);
    return s;
}

static void end(socle_scheduler *s)
{
    socle_error err;
    must(socle_scheduler_free(s, &err), &err);
}

static void same_answer(const struct answer *expected, const struct answer *found)
{
    assert_int_equal(expected->result.status, SOCLE_OK);
    assert_int_equal(found->result.status, SOCLE_OK);
    assert_int_equal(found->n_tokens, expected->n_tokens);
    assert_memory_equal(found->tokens, expected->tokens, expected->n_tokens * sizeof *expected->tokens);
    assert_memory_equal(found->logprobs, expected->logprobs, expected->n_tokens * sizeof *expected->logprobs);
    assert_int_equal(found->n_bytes, expected->n_bytes);
    assert_memory_equal(found->text, expected->text, expected->n_bytes);
    assert_int_equal(found->result.finish, expected->result.finish);
}

// ---- mixed requests

enum { N_MIXED = IS_SANITIZED ? 24 : 64 };

static const char *const beginnings[] = {
    "Once upon a time there was a king who had a daughter",
    "Once upon a time there was a king who had three sons",
    "In a village by the sea lived an old fisherman and his wife. ",
    "The wolf said to the fox",
};

static void prepare_mixed(struct asked *a, size_t i)
{
    char text[6000] = "";
    size_t n_copies = i % 5 == 4 ? 30 : i % 3; // a few are longer than a page
    for (size_t j = 0; j <= n_copies; j++) strcat(text, beginnings[(i + j) % SC_COUNT(beginnings)]);
    prepare(a, text, 5 + (uint32_t)(i * 7 % 40));
    a->options.group = i % 3;
    a->options.sampling.seed = i;
    a->options.logprobs = i % 2;
    if (i % 4 == 1) a->options.sampling.temperature = 0;
    if (i % 7 == 2) a->options.sampling.repetition_penalty = 1.3f;
    if (i % 9 == 3) a->options.sampling.top_k = 0;
}

static struct asked *ask_all(socle_scheduler *s, bool together)
{
    struct asked *all = calloc(N_MIXED, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < N_MIXED; i++) prepare_mixed(&all[i], i);
    for (size_t i = 0; i < N_MIXED; i++) {
        start(s, &all[i]);
        if (!together) wait_for(&all[i]);
    }
    for (size_t i = 0; i < N_MIXED; i++) wait_for(&all[i]);
    return all;
}

static void release_all(struct asked *all)
{
    for (size_t i = 0; i < N_MIXED; i++) release(&all[i]);
    free(all);
}

static void what_a_request_gives_does_not_depend_on_the_load(void **state)
{
    (void)state;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_running = 1, .n_cache = 1 });
    struct asked *alone = ask_all(s, false);
    end(s);
    const struct socle_scheduler_options loads[] = {
        { .n_running = 64 },
        { .n_running = 5, .n_batch = 37 },
        { .n_running = 64, .n_cache = 1 }, // the least there may be: requests are set back
        { .n_running = 17, .n_threads = 3, .n_batch = 100 },
    };
    for (size_t l = 0; l < SC_COUNT(loads); l++) {
        s = new_scheduler(loads[l]);
        for (int round = 0; round < 2; round++) { // the second with a cache that knows the prompts
            struct asked *together = ask_all(s, true);
            for (size_t i = 0; i < N_MIXED; i++) same_answer(&alone[i].answer, &together[i].answer);
            release_all(together);
        }
        end(s);
    }
    release_all(alone);
}

static void a_request_gives_what_a_session_gives(void **state)
{
    (void)state;
    socle_error err;
    socle_session *session;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    must(socle_session_create(model, NULL, &session, &err), &err);
    for (size_t i = 0; i < 8; i++) {
        struct asked a;
        prepare_mixed(&a, i);
        a.options.logprobs = false;
        start(s, &a);
        wait_for(&a);
        socle_session_rewind(session, 0);
        socle_generation g = {
            .prompt = a.prompt, .n_prompt = a.n_prompt, .n_predict = a.options.n_predict, .sampling = a.options.sampling
        };
        must(socle_generate(session, &g, &err), &err);
        const int32_t *tokens = socle_session_tokens(session) + a.n_prompt;
        assert_int_equal(g.n_generated, a.answer.result.n_generated);
        assert_int_equal(g.finish, a.answer.result.finish);
        assert_memory_equal(tokens, a.answer.tokens, (g.n_generated - 1) * sizeof *tokens);
        release(&a);
    }
    socle_session_free(session);
    end(s);
}

// ---- beginnings that are known

static void a_known_beginning_is_not_computed_again(void **state)
{
    (void)state;
    struct asked first, second, third;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    prepare_mixed(&first, 4);
    prepare_mixed(&second, 4);
    prepare(&third, "Once upon a time there was a king who had a horse", 3);
    start(s, &first);
    wait_for(&first);
    start(s, &second);
    wait_for(&second);
    start(s, &third);
    wait_for(&third);
    assert_int_equal(first.answer.result.n_cached, 0);
    assert_int_equal(second.answer.result.n_cached, second.n_prompt - 1);
    assert_true(second.n_prompt > 256);
    assert_true(third.answer.result.n_cached > 5);
    assert_true(third.answer.result.n_cached < third.n_prompt);
    same_answer(&first.answer, &second.answer);
    socle_scheduler_state now;
    socle_scheduler_describe(s, &now);
    assert_int_equal(now.n_running, 0);
    assert_int_equal(now.n_waiting, 0);
    assert_int_equal(now.n_pages_free + now.n_pages_kept, now.n_pages);
    assert_int_equal(now.n_cached_tokens, second.answer.result.n_cached + third.answer.result.n_cached);
    release(&first);
    release(&second);
    release(&third);
    end(s);
}

static void ask_and_wait(socle_scheduler *s, struct asked *a)
{
    prepare_mixed(a, 4);
    start(s, a);
    wait_for(a);
}

static void damage(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void known_beginnings_survive_a_restart(void **state)
{
    (void)state;
    char path[] = "/tmp/socle-test-XXXXXX";
    struct asked first, again;
    socle_scheduler_state now;
    close(mkstemp(path));
    unlink(path);
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .cache_file = path });
    ask_and_wait(s, &first);
    end(s);
    s = new_scheduler((socle_scheduler_options){ .cache_file = path });
    socle_scheduler_describe(s, &now);
    assert_true(now.n_pages_kept >= 2);
    ask_and_wait(s, &again);
    assert_int_equal(again.answer.result.n_cached, again.n_prompt - 1);
    same_answer(&first.answer, &again.answer);
    release(&again);
    end(s);
    // Of another format; then damaged, once in a page and once at its head: what is wrong is not used.
    s = new_scheduler((socle_scheduler_options){ .cache_file = path, .cache = SOCLE_CACHE_Q8_0, .n_waiting = 7 });
    socle_scheduler_describe(s, &now);
    assert_int_equal(now.n_pages_kept, 0);
    assert_non_null(strstr(now.cache_note, "another model"));
    end(s);
    s = new_scheduler((socle_scheduler_options){ .cache_file = path });
    ask_and_wait(s, &again);
    release(&again);
    end(s);
    damage(path, 2000);
    s = new_scheduler((socle_scheduler_options){ .cache_file = path });
    socle_scheduler_describe(s, &now);
    assert_non_null(strstr(now.cache_note, "damaged"));
    ask_and_wait(s, &again);
    same_answer(&first.answer, &again.answer);
    release(&again);
    release(&first);
    end(s);
    unlink(path);
}

// ---- probabilities

struct seen {
    float *logits;
    size_t n_vocab;
};

static bool keep(void *context, size_t i, const float *logits)
{
    struct seen *seen = context;
    memcpy(seen->logits + i * seen->n_vocab, logits, seen->n_vocab * sizeof *logits);
    return true;
}

static double logprob_of(const float *logits, size_t n, int32_t token)
{
    double sum = 0, max = -1e30;
    for (size_t i = 0; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < n; i++) sum += __builtin_exp((double)logits[i] - max);
    return (double)logits[token] - max - __builtin_log(sum);
}

static void logprobs_are_those_of_the_logits(void **state)
{
    (void)state;
    socle_error err;
    socle_model_info info;
    socle_session *session;
    struct asked a;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_running = 4 }); // fewer logits at once than tokens
    socle_model_describe(model, &info);
    prepare_mixed(&a, 4);
    a.options.logprobs = a.options.prompt_logprobs = true;
    a.options.n_top_logprobs = 3;
    start(s, &a);
    wait_for(&a);
    must(socle_session_create(model, &(socle_session_options){ .n_logits = 64 }, &session, &err), &err);
    size_t n = a.n_prompt + a.answer.n_tokens;
    int32_t *tokens = calloc(n, sizeof *tokens);
    struct seen seen = { calloc(n * info.n_vocab, sizeof(float)), info.n_vocab };
    memcpy(tokens, a.prompt, a.n_prompt * sizeof *tokens);
    memcpy(tokens + a.n_prompt, a.answer.tokens, a.answer.n_tokens * sizeof *tokens);
    must(socle_evaluate(session, tokens, n, 0, keep, &seen, &err), &err);
    assert_int_equal(a.answer.n_of_prompt, a.n_prompt);
    for (size_t i = 0; i + 1 < n; i++) {
        const float *logits = seen.logits + i * info.n_vocab;
        double expected = logprob_of(logits, info.n_vocab, tokens[i + 1]);
        bool of_prompt = i + 1 < a.n_prompt;
        float found = of_prompt ? a.answer.prompt_logprobs[i + 1] : a.answer.logprobs[i + 1 - a.n_prompt];
        assert_float_equal(found, expected, 1e-4);
        if (of_prompt) continue;
        const socle_alternative *top = a.answer.top[i + 1 - a.n_prompt];
        for (int j = 0; j < 3; j++)
            assert_float_equal(top[j].logprob, logprob_of(logits, info.n_vocab, top[j].token), 1e-4);
        for (size_t id = 0; id < info.n_vocab; id++)
            if ((int32_t)id != top[0].token) assert_true(logits[id] <= logits[top[0].token]);
        assert_true(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob);
    }
    free(tokens);
    free(seen.logits);
    socle_session_free(session);
    release(&a);
    end(s);
}

// ---- ends

static void answers_end_as_asked(void **state)
{
    (void)state;
    struct asked length, word, refused, late, cancelled;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    prepare(&length, beginnings[0], 7);
    prepare(&word, beginnings[0], 200);
    prepare(&refused, beginnings[0], 200);
    prepare(&late, beginnings[0], 0);
    prepare(&cancelled, beginnings[0], 0);
    const char *stops[] = { "xyzzy", " the " };
    word.options.stop = stops;
    word.options.n_stop = 2;
    refused.answer.stop_after = 4;
    late.options.ignore_end = cancelled.options.ignore_end = true;
    late.options.timeout_seconds = 1e-3;
    start(s, &length);
    start(s, &word);
    start(s, &refused);
    start(s, &late);
    start(s, &cancelled);
    socle_request_cancel(s, cancelled.id);
    wait_for(&length);
    wait_for(&word);
    wait_for(&refused);
    wait_for(&late);
    wait_for(&cancelled);
    assert_int_equal(length.answer.result.finish, SOCLE_FINISH_LENGTH);
    assert_int_equal(length.answer.n_tokens, 7);
    assert_int_equal(word.answer.result.finish, SOCLE_FINISH_WORD);
    assert_string_equal(word.answer.stop, " the ");
    assert_null(strstr(word.answer.text, " the "));
    assert_int_equal(refused.answer.result.finish, SOCLE_FINISH_CANCELLED);
    assert_int_equal(refused.answer.n_tokens, 4);
    assert_int_equal(late.answer.result.status, SOCLE_TIMEOUT);
    assert_int_equal(cancelled.answer.result.finish, SOCLE_FINISH_CANCELLED);
    assert_int_equal(cancelled.answer.result.status, SOCLE_OK);
    release(&length);
    release(&word);
    release(&refused);
    release(&late);
    release(&cancelled);
    end(s);
}

static void an_answer_may_fill_the_context(void **state)
{
    (void)state;
    struct asked a;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_context = 64, .n_cache = 1 });
    prepare(&a, beginnings[0], 0);
    a.options.ignore_end = true;
    start(s, &a);
    wait_for(&a);
    assert_int_equal(a.answer.result.finish, SOCLE_FINISH_CONTEXT);
    assert_int_equal(a.answer.n_tokens, 64 - a.n_prompt + 1);
    release(&a);
    end(s);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    socle_error err;
    struct asked a;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_context = 16, .n_running = 1, .n_waiting = 1 });
    prepare(&a, "Once", 4);
    int32_t wrong[20] = { 1 };
    socle_request_options o = a.options;
    o.n_prompt = 0;
    assert_int_equal(socle_request_start(s, &o, &a.id, &err), SOCLE_BAD_ARGUMENT);
    o.prompt = wrong;
    o.n_prompt = 17;
    assert_int_equal(socle_request_start(s, &o, &a.id, &err), SOCLE_CONTEXT_FULL);
    assert_non_null(strstr(err.message, "17"));
    assert_non_null(strstr(err.message, "16"));
    o.n_prompt = 2;
    wrong[1] = 1 << 30;
    assert_int_equal(socle_request_start(s, &o, &a.id, &err), SOCLE_BAD_ARGUMENT);
    o = a.options;
    o.sampling.temperature = -1;
    assert_int_equal(socle_request_start(s, &o, &a.id, &err), SOCLE_BAD_ARGUMENT);
    o = a.options;
    o.n_top_logprobs = 21;
    assert_int_equal(socle_request_start(s, &o, &a.id, &err), SOCLE_BAD_ARGUMENT);
    release(&a);
    end(s);
}

// On the scheduler's thread: holds everything up until it is let go on.
static bool block(void *context, const socle_token_event *event)
{
    (void)event;
    char byte;
    return read(*(int *)context, &byte, 1) == 1;
}

static void nothing_at_end(void *context, const socle_request_result *result)
{
    (void)context;
    (void)result;
}

static void too_many_requests_are_told_to_come_again(void **state)
{
    (void)state;
    socle_error err;
    int ends[2];
    struct asked a, b, c;
    assert_int_equal(pipe(ends), 0);
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_running = 1, .n_waiting = 1 });
    prepare(&a, "Once", 1);
    prepare(&b, "Twice", 1);
    prepare(&c, "Three times", 1);
    a.options.on_token = block;
    a.options.on_end = nothing_at_end;
    a.options.context = &ends[0];
    start(s, &a);
    start(s, &b);
    assert_int_equal(socle_request_start(s, &c.options, &c.id, &err), SOCLE_BUSY);
    assert_int_equal(write(ends[1], "x", 1), 1);
    wait_for(&b);
    start(s, &c);
    wait_for(&c);
    release(&a);
    release(&b);
    release(&c);
    end(s);
    close(ends[0]);
    close(ends[1]);
}

static void freeing_ends_what_still_runs(void **state)
{
    (void)state;
    struct asked all[12];
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_running = 3 });
    for (size_t i = 0; i < SC_COUNT(all); i++) {
        prepare(&all[i], beginnings[i % 4], 0);
        all[i].options.ignore_end = true;
        start(s, &all[i]);
    }
    end(s);
    for (size_t i = 0; i < SC_COUNT(all); i++) {
        assert_int_equal(all[i].answer.n_ends, 1);
        assert_int_equal(all[i].answer.result.finish, SOCLE_FINISH_CANCELLED);
        release(&all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_request_gives_does_not_depend_on_the_load),
        cmocka_unit_test(a_request_gives_what_a_session_gives),
        cmocka_unit_test(a_known_beginning_is_not_computed_again),
        cmocka_unit_test(known_beginnings_survive_a_restart),
        cmocka_unit_test(logprobs_are_those_of_the_logits),
        cmocka_unit_test(answers_end_as_asked),
        cmocka_unit_test(an_answer_may_fill_the_context),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(too_many_requests_are_told_to_come_again),
        cmocka_unit_test(freeing_ends_what_still_runs),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
