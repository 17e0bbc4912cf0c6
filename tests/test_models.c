// Models against llama.cpp's logits, and against themselves: the bits must not depend on how they were computed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/size.h"
#include "engine/session.h"
#include "fixtures.h"

enum { N_MAX = 64 };

struct recorder {
    float *logits; // [n][n_vocab]
    size_t n_vocab, n;
};

static bool record(void *context, size_t i, const float *logits)
{
    struct recorder *r = context;
    (void)i;
    memcpy(r->logits + r->n++ * r->n_vocab, logits, r->n_vocab * sizeof *logits);
    return true;
}

struct way {
    uint32_t n_threads, n_batch, n_call; // tokens given to one call
    bool f32;
    const char *cpu;
};

static struct sc_model *load(const char *path)
{
    struct sc_gguf *gguf;
    struct sc_model *model;
    socle_error err = { 0 };
    if (sc_gguf_open(path, &gguf, &err) != SOCLE_OK) fail_msg("%s", err.message);
    if (sc_model_load(gguf, &model, &err) != SOCLE_OK) fail_msg("%s", err.message);
    return model;
}

static int32_t *read_tokens(const char *path, size_t *n)
{
    char *data;
    socle_error err = { 0 };
    if (sc_read_file(path, 1 << 20, &data, n, &err) != SOCLE_OK) fail_msg("%s", err.message);
    *n /= sizeof(int32_t);
    return (int32_t *)(void *)data;
}

// The logits of all tokens, computed in one of the ways; freed by the caller.
static float *compute(struct sc_model *model, const int32_t *tokens, size_t n, struct way way)
{
    struct sc_session *session;
    socle_error err = { 0 };
    struct sc_session_options options = { .n_context = 256,
                                          .n_batch = way.n_batch,
                                          .n_logits = way.n_batch,
                                          .n_threads = way.n_threads,
                                          .cache = way.f32 ? SC_CACHE_F32 : SC_CACHE_F16,
                                          .cpu = way.cpu };
    if (sc_session_create(model, &options, &session, &err) != SOCLE_OK) fail_msg("%s", err.message);
    struct recorder r = { .n_vocab = model->hparams.n_vocab };
    r.logits = malloc(n * r.n_vocab * sizeof *r.logits);
    for (size_t at = 0; at < n; at += way.n_call) {
        struct sc_evaluation e = {
            .tokens = tokens + at, .n_tokens = SC_MIN(n - at, (size_t)way.n_call), .sink = record, .context = &r
        };
        if (sc_session_evaluate(session, &e, &err) != SOCLE_OK) fail_msg("%s", err.message);
    }
    assert_int_equal(r.n, n);
    sc_session_free(session);
    return r.logits;
}

// Normalized mean square error.
static double nmse(const float *x, const float *reference, size_t n)
{
    double error = 0.0, power = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)reference[i];
        error += d * d;
        power += (double)reference[i] * (double)reference[i];
    }
    return error / power;
}

// In common batches with other sequences, of other lengths, before and after it; in the second round behind what the
// first left in the caches.
static void check_together(struct sc_model *model, const int32_t *tokens, size_t n, const float *expected, bool f32)
{
    enum { N = 3 };
    struct sc_session *sessions[N];
    struct sc_evaluation what[N] = { { .tokens = tokens, .n_tokens = 0 } };
    struct recorder r = { .n_vocab = model->hparams.n_vocab }, others = r;
    socle_error err = { 0 };
    r.logits = malloc(n * r.n_vocab * sizeof *r.logits);
    others.logits = malloc(2 * n * r.n_vocab * sizeof *r.logits);
    assert_true(r.logits && others.logits);
    struct sc_session_options options = { .n_context = 256,
                                          .n_batch = 50,
                                          .n_logits = 11,
                                          .n_threads = 2,
                                          .cache = f32 ? SC_CACHE_F32 : SC_CACHE_F16 };
    for (size_t i = 0; i < N; i++)
        if (sc_session_create(model, &options, &sessions[i], &err) != SOCLE_OK) fail_msg("%s", err.message);
    size_t half = n / 2;
    for (size_t round = 0; round < 2; round++) {
        size_t begin = round ? half : 0, end = round ? n : half;
        what[0] = (struct sc_evaluation){ .tokens = tokens + n / 3, .n_tokens = n / 5, .sink = record, .context = &others };
        what[1] = (struct sc_evaluation){ .tokens = tokens + begin, .n_tokens = end - begin, .sink = record, .context = &r };
        what[2] = (struct sc_evaluation){ .tokens = tokens, .n_tokens = 7, .first_logits = 3, .sink = record, .context = &others };
        if (sc_sessions_evaluate(sessions, what, N, &err) != SOCLE_OK) fail_msg("%s", err.message);
    }
    assert_int_equal(r.n, n);
    if (memcmp(r.logits, expected, n * r.n_vocab * sizeof *expected) != 0)
        fail_msg("in a batch with other sequences: the bits differ");
    for (size_t i = 0; i < N; i++) sc_session_free(sessions[i]);
    free(r.logits);
    free(others.logits);
}

static void check_ways(struct sc_model *model, const int32_t *tokens, size_t n, const float *expected, bool f32)
{
    const struct way ways[] = {
        { 2, 7, 256, f32, NULL },     // chunks
        { 1, 256, 256, f32, NULL },   // one pass
        { 1, 256, 1, f32, NULL },     // token by token
        { 1, 1, 256, f32, NULL },     // chunks of one
        { 3, 32, 256, f32, NULL },    // chunks
        { 8, 256, 5, f32, NULL },     // calls that do not meet the chunks
        { 2, 256, 256, f32, "base" }, // the plainest instruction set
    };
    for (size_t w = 0; w < (IS_SANITIZED ? 1 : SC_COUNT(ways)); w++) {
        float *logits = compute(model, tokens, n, ways[w]);
        if (memcmp(logits, expected, n * model->hparams.n_vocab * sizeof *logits) != 0)
            fail_msg("%u threads, chunks of %u, calls of %u, cpu %s: the bits differ", ways[w].n_threads,
                     ways[w].n_batch, ways[w].n_call, ways[w].cpu ? ways[w].cpu : "best");
        free(logits);
    }
    if (!IS_SANITIZED || f32) check_together(model, tokens, n, expected, f32);
}

static void check_family(const char *folder, const char *name)
{
    char file[256];
    size_t n, n_bytes;
    char *reference;
    socle_error err = { 0 };
    snprintf(file, sizeof file, "%s/tokens.i32", folder);
    int32_t *tokens = read_tokens(fixture(file), &n);
    snprintf(file, sizeof file, "%s/%s.logits.f32", folder, name);
    if (sc_read_file(fixture(file), 1 << 24, &reference, &n_bytes, &err) != SOCLE_OK) fail_msg("%s", err.message);
    snprintf(file, sizeof file, "%s/%s.gguf", folder, name);
    struct sc_model *model = load(fixture(file));
    assert_int_equal(n_bytes, n * model->hparams.n_vocab * sizeof(float));
    float *logits = compute(model, tokens, n, (struct way){ 2, 256, 256, true, NULL });
    double error = nmse(logits, (const float *)(const void *)reference, n * model->hparams.n_vocab);
    print_message("%-16s normalized mean square error %.2g\n", name, error);
    assert_true(error < 1e-8);
    check_ways(model, tokens, n, logits, true);
    free(logits);
    logits = compute(model, tokens, n, (struct way){ 2, 256, 256, false, NULL });
    check_ways(model, tokens, n, logits, false);
    free(logits);
    free(reference);
    free(tokens);
    sc_model_free(model);
}

static void every_family_agrees_with_llama_cpp_and_with_itself(void **state)
{
    (void)state;
    if (!have_fixtures("arch")) skip();
    const char *const names[] = { "deepseek-moe", "deepseek2-moe", "gemma2-dense", "gemma3-dense", "glm4-dense",
                                  "gpt-oss-moe",  "granite-dense", "llama-dense",  "llama-moe",    "mistral3-dense",
                                  "phi3-dense",   "qwen2-dense",   "qwen3-dense",  "qwen3moe-moe", "smollm3-dense" };
    for (size_t i = 0; i < SC_COUNT(names); i++) check_family("arch", names[i]);
}

static void deepseek_v2_lite_and_v3_shapes_agree_with_llama_cpp(void **state)
{
    (void)state;
    if (!have_fixtures("arch2")) skip();
    check_family("arch2", "dsv2-tiny");
    check_family("arch2", "dsv3-tiny");
}

static float *read_logits(const char *name, size_t *n)
{
    char file[256], *data;
    socle_error err = { 0 };
    snprintf(file, sizeof file, "quant/%s.logits.f32", name);
    if (sc_read_file(fixture(file), 1 << 24, &data, n, &err) != SOCLE_OK) fail_msg("%s", err.message);
    *n /= sizeof(float);
    return (float *)(void *)data;
}

static void check_format(const char *name, const int32_t *tokens, size_t n_tokens, const float *exact)
{
    char file[256];
    size_t n;
    float *theirs = read_logits(name, &n);
    snprintf(file, sizeof file, "quant/%s.gguf", name);
    struct sc_model *model = load(fixture(file));
    float *ours = compute(model, tokens, n_tokens, (struct way){ 2, 256, 256, true, NULL });
    double our_distance = nmse(ours, exact, n), their_distance = nmse(theirs, exact, n);
    print_message("%-10s distance from F32: ours %.3g, llama.cpp's %.3g\n", name, our_distance, their_distance);
    assert_true(our_distance <= 2.0 * their_distance || our_distance < 1e-8);
    check_ways(model, tokens, n_tokens, ours, true);
    free(ours);
    free(theirs);
    sc_model_free(model);
}

static void every_weight_format_runs_as_close_to_f32_as_llama_cpp(void **state)
{
    (void)state;
    if (!have_fixtures("quant")) skip();
    const char *const names[] = { "base-f32", "F16",  "BF16", "Q8_0", "Q4_0",   "Q4_1",   "Q5_0",      "Q5_1", "Q2_K",
                                  "Q3_K",     "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4_MOE", "TQ2_0" };
    size_t n_tokens, n;
    int32_t *tokens = read_tokens(fixture("quant/tokens.i32"), &n_tokens);
    float *exact = read_logits("base-f32", &n);
    for (size_t i = 0; i < SC_COUNT(names); i++) check_format(names[i], tokens, n_tokens, exact);
    free(exact);
    free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_agrees_with_llama_cpp_and_with_itself),
        cmocka_unit_test(deepseek_v2_lite_and_v3_shapes_agree_with_llama_cpp),
        cmocka_unit_test(every_weight_format_runs_as_close_to_f32_as_llama_cpp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
