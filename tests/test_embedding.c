// Embeddings: what llama.cpp gives (within what int8 activations cost), and the same bits whatever else is computed.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include <socle/socle.h>

#include "base/size.h"
#include "fixtures.h"
#include "tales_model.h"

enum { DIMENSIONS = 256 };

// ---- a text and its vector

struct asked {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool has_ended;
    int32_t *ids;
    size_t n_ids;
    socle_status status;
    float vector[DIMENSIONS];
    uint32_t n, n_cached;
};

static void on_end(void *context, const socle_request_result *result)
{
    struct asked *a = context;
    pthread_mutex_lock(&a->mutex);
    a->status = result->status;
    a->n = result->n_embedding;
    a->n_cached = result->n_cached;
    if (result->embedding) memcpy(a->vector, result->embedding, result->n_embedding * sizeof *a->vector);
    a->has_ended = true;
    pthread_cond_signal(&a->ended);
    pthread_mutex_unlock(&a->mutex);
}

static void start(socle_scheduler *s, struct asked *a, const char *text, socle_pooling pooling, uint32_t n_dimensions)
{
    uint64_t id;
    socle_error err;
    memset(a, 0, sizeof *a);
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->ended, NULL);
    must(socle_tokenize(model, text, strlen(text), SOCLE_ADD_SPECIAL, &a->ids, &a->n_ids, &err), &err);
    socle_request_options o = { .prompt = a->ids,
                                .n_prompt = a->n_ids,
                                .pooling = pooling,
                                .n_dimensions = n_dimensions,
                                .on_end = on_end,
                                .context = a };
    if (pooling == SOCLE_POOLING_NONE) {
        o.n_predict = 20;
        o.ignore_end = true;
        o.sampling = socle_sampling_defaults();
    }
    must(socle_request_start(s, &o, &id, &err), &err);
}

static void finish(struct asked *a)
{
    pthread_mutex_lock(&a->mutex);
    while (!a->has_ended) pthread_cond_wait(&a->ended, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
    assert_int_equal(a->status, SOCLE_OK);
    socle_free(a->ids);
    pthread_mutex_destroy(&a->mutex);
    pthread_cond_destroy(&a->ended);
}

static socle_scheduler *new_scheduler(socle_scheduler_options options)
{
    socle_scheduler *s;
    socle_error err;
    must(socle_scheduler_create(model, &options, &s, &err), &err);
    return s;
}

static void embed(socle_scheduler *s, struct asked *a, const char *text, socle_pooling pooling, uint32_t n_dimensions)
{
    start(s, a, text, pooling, n_dimensions);
    finish(a);
}

// ---- what they are

static void embeddings_agree_with_llama_cpp(void **state)
{
    (void)state;
    json_t *cases = json_load_file(SC_SOURCE_ROOT "/tests/data/embedding_cases.json", 0, NULL), *item, *number;
    size_t i, j;
    assert_int_equal(json_array_size(cases), 4);
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    json_array_foreach (cases, i, item) {
        struct asked a;
        bool last = strcmp(json_string_value(json_object_get(item, "pooling")), "last") == 0;
        embed(s, &a, json_string_value(json_object_get(item, "text")), last ? SOCLE_POOLING_LAST : SOCLE_POOLING_MEAN,
              0);
        json_t *expected = json_object_get(item, "vector");
        assert_int_equal(a.n, json_array_size(expected));
        double product = 0, expected_squares = 0, squares = 0;
        json_array_foreach (expected, j, number) {
            double x = json_number_value(number);
            product += x * (double)a.vector[j];
            expected_squares += x * x;
            squares += (double)a.vector[j] * (double)a.vector[j];
        }
        assert_true(fabs(squares - 1) < 1e-5);
        double cosine = product / sqrt(squares * expected_squares);
        if (cosine < 0.9995) fail_msg("text %zu: a cosine of %.6f", i, cosine);
    }
    must(socle_scheduler_free(s, NULL), &(socle_error){ 0 });
    json_decref(cases);
}

static void the_first_token_pools_alone(void **state)
{
    (void)state;
    struct asked fox, bear, mean;
    socle_error err;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    embed(s, &fox, "The wolf said to the fox", SOCLE_POOLING_FIRST, 0);
    embed(s, &bear, "The wolf said to the bear", SOCLE_POOLING_FIRST, 0);
    embed(s, &mean, "The wolf said to the fox", SOCLE_POOLING_MEAN, 0);
    assert_memory_equal(fox.vector, bear.vector, sizeof fox.vector);
    assert_memory_not_equal(fox.vector, mean.vector, sizeof fox.vector);
    must(socle_scheduler_free(s, &err), &err);
}

static void fewer_dimensions_have_length_one_again(void **state)
{
    (void)state;
    struct asked whole, part;
    double squares = 0;
    socle_error err;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    embed(s, &whole, "The wolf said to the fox", SOCLE_POOLING_MODEL, 0);
    embed(s, &part, "The wolf said to the fox", SOCLE_POOLING_MODEL, 10);
    assert_int_equal(whole.n, DIMENSIONS);
    assert_int_equal(part.n, 10);
    for (size_t i = 0; i < 10; i++) squares += (double)whole.vector[i] * (double)whole.vector[i];
    for (size_t i = 0; i < 10; i++)
        assert_true(fabs((double)part.vector[i] - (double)whole.vector[i] / sqrt(squares)) < 1e-6);
    must(socle_scheduler_free(s, &err), &err);
}

static void more_dimensions_than_there_are_are_refused(void **state)
{
    (void)state;
    uint64_t id;
    socle_error err;
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ 0 });
    socle_request_options o = {
        .prompt = (int32_t[]){ 5 }, .n_prompt = 1, .pooling = SOCLE_POOLING_MEAN, .n_dimensions = DIMENSIONS + 1
    };
    assert_int_equal(socle_request_start(s, &o, &id, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "256"));
    must(socle_scheduler_free(s, &err), &err);
}

// ---- bits

static void an_embedding_does_not_depend_on_the_load(void **state)
{
    (void)state;
    enum { N = IS_SANITIZED ? 6 : 12 };
    static const char beginning[] = "Snow fell in the night, and in the morning the village was white. ";
    static const socle_pooling poolings[] = { SOCLE_POOLING_MEAN, SOCLE_POOLING_LAST, SOCLE_POOLING_FIRST };
    static struct asked alone[N], together[N], others[N];
    socle_error err;
    char text[N][5000] = { "" };
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j <= i * i / 5; j++) strcat(text[i], beginning);
    socle_scheduler *s = new_scheduler((socle_scheduler_options){ .n_running = 1 });
    for (size_t i = 0; i < N; i++) embed(s, &alone[i], text[i], poolings[i % 3], 0);
    must(socle_scheduler_free(s, &err), &err);
    const socle_scheduler_options loads[] = {
        { .n_running = 24 },
        { .n_running = 3, .n_batch = 37, .n_threads = 3 },
        { .n_running = 24, .n_cache = 1 }, // the least there may be: requests are set back
    };
    for (size_t l = 0; l < 2 * SC_COUNT(loads); l++) {
        if (l % 2 == 0) s = new_scheduler(loads[l / 2]); // twice: the cache then knows the texts
        for (size_t i = 0; i < N; i++) {
            start(s, &others[i], text[N - 1 - i], SOCLE_POOLING_NONE, 0);
            start(s, &together[i], text[i], poolings[i % 3], 0);
        }
        for (size_t i = 0; i < N; i++) {
            finish(&others[i]);
            finish(&together[i]);
            assert_memory_equal(together[i].vector, alone[i].vector, sizeof alone[i].vector);
        }
        if (l % 2) must(socle_scheduler_free(s, &err), &err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_agree_with_llama_cpp),
        cmocka_unit_test(the_first_token_pools_alone),
        cmocka_unit_test(fewer_dimensions_have_length_one_again),
        cmocka_unit_test(more_dimensions_than_there_are_are_refused),
        cmocka_unit_test(an_embedding_does_not_depend_on_the_load),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
