// The public API on the bundled model: what it promises about bits, ends, refusals and cancellation.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <socle/socle.h>

static const char *const tales = SC_SOURCE_ROOT "/share/tales.gguf";
static socle_model *model;

static int load_model(void **state)
{
    (void)state;
    socle_error err = { 0 };
    if (socle_model_load(tales, &model, &err) != SOCLE_OK) fail_msg("%s", err.message);
    return 0;
}

static int free_model(void **state)
{
    (void)state;
    socle_model_free(model);
    return 0;
}

static socle_session *session_of(socle_session_options options)
{
    socle_session *session;
    socle_error err = { 0 };
    if (socle_session_create(model, &options, &session, &err) != SOCLE_OK) fail_msg("%s", err.message);
    return session;
}

struct text {
    char bytes[8192];
    size_t n, n_calls, stop_after;
    socle_session *cancel;
};

static bool collect(void *context, const char *bytes, size_t n_bytes)
{
    struct text *text = context;
    assert_true(text->n + n_bytes < sizeof text->bytes);
    memcpy(text->bytes + text->n, bytes, n_bytes);
    text->n += n_bytes;
    text->bytes[text->n] = '\0';
    text->n_calls++;
    if (text->cancel) socle_session_cancel(text->cancel);
    return text->stop_after == 0 || text->n_calls < text->stop_after;
}

struct prompt {
    int32_t *ids;
    size_t n;
};

static struct prompt tokens_of(const char *text)
{
    struct prompt prompt;
    socle_error err = { 0 };
    if (socle_tokenize(model, text, strlen(text), 0, &prompt.ids, &prompt.n, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    return prompt;
}

// Generates from `prompt` into `text`, with the seed and length of g.
static void generate(socle_session *session, const char *prompt_text, socle_generation *g, struct text *text)
{
    struct prompt prompt = tokens_of(prompt_text);
    socle_error err = { 0 };
    g->prompt = prompt.ids;
    g->n_prompt = prompt.n;
    g->on_text = collect;
    g->context = text;
    g->ignore_end = true;
    if (socle_generate(session, g, &err) != SOCLE_OK) fail_msg("%s", err.message);
    socle_free(prompt.ids);
}

static socle_generation generation_of(uint32_t n_predict, uint64_t seed)
{
    socle_generation g = { .n_predict = n_predict, .sampling = socle_sampling_defaults() };
    g.sampling.seed = seed;
    return g;
}

static const char opening[] = "Once upon a time there was a king who had a golden bird, and every night";

static void the_same_seed_gives_the_same_text_whatever_the_threads_and_chunks(void **state)
{
    (void)state;
    const socle_session_options ways[] = {
        { .n_threads = 1 },
        { .n_threads = 3, .n_batch = 1 },
        { .n_threads = 2, .n_batch = 7 },
        { .cpu = "base" },
    };
    struct text texts[sizeof ways / sizeof ways[0]] = { 0 };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        socle_session *session = session_of(ways[i]);
        socle_generation g = generation_of(40, 7);
        generate(session, opening, &g, &texts[i]);
        assert_int_equal(g.finish, SOCLE_FINISH_LENGTH);
        assert_int_equal(g.n_generated, 40);
        assert_string_equal(texts[i].bytes, texts[0].bytes);
        socle_session_free(session);
    }
    struct text other = { 0 };
    socle_session *session = session_of(ways[0]);
    socle_generation g = generation_of(40, 8);
    generate(session, opening, &g, &other);
    assert_string_not_equal(other.bytes, texts[0].bytes);
    socle_session_free(session);
}

static bool keep_row(void *context, size_t i, const float *logits)
{
    (void)i;
    socle_model_info info;
    socle_model_describe(model, &info);
    memcpy(context, logits, info.n_vocab * sizeof *logits);
    return true;
}

static void a_rewound_session_gives_the_bits_of_a_fresh_one(void **state)
{
    (void)state;
    socle_model_info info;
    socle_model_describe(model, &info);
    size_t n_bytes = info.n_vocab * sizeof(float);
    float *fresh = calloc(1, n_bytes), *reused = calloc(1, n_bytes);
    struct prompt a = tokens_of(opening), b = tokens_of("Once upon a time there was a poor fisherman");
    socle_error err = { 0 };
    socle_session *session = session_of((socle_session_options){ 0 });
    assert_int_equal(socle_evaluate(session, b.ids, b.n, b.n - 1, keep_row, fresh, &err), SOCLE_OK);
    socle_session_rewind(session, 0);
    assert_int_equal(socle_evaluate(session, a.ids, a.n, a.n, NULL, NULL, &err), SOCLE_OK);
    uint32_t n = socle_session_reuse(session, b.ids, b.n);
    assert_true(n > 2 && n < b.n);
    assert_int_equal(socle_session_n_past(session), n);
    assert_int_equal(socle_evaluate(session, b.ids + n, b.n - n, b.n - n - 1, keep_row, reused, &err), SOCLE_OK);
    assert_memory_equal(fresh, reused, n_bytes);
    assert_memory_equal(socle_session_tokens(session), b.ids, b.n * sizeof *b.ids);
    socle_session_free(session);
    socle_free(a.ids);
    socle_free(b.ids);
    free(fresh);
    free(reused);
}

static void a_stop_string_ends_the_answer_even_across_tokens_and_is_not_shown(void **state)
{
    (void)state;
    struct text whole = { 0 }, cut = { 0 };
    socle_session *session = session_of((socle_session_options){ 0 });
    socle_generation g = generation_of(60, 3);
    generate(session, opening, &g, &whole);
    // A stretch from the middle of one word to the middle of a later one.
    char stop[12] = "";
    memcpy(stop, whole.bytes + whole.n / 2, 11);
    const char *stops[] = { "never to be found", stop };
    socle_session_rewind(session, 0);
    g = generation_of(60, 3);
    g.stop = stops;
    g.n_stop = 2;
    generate(session, opening, &g, &cut);
    assert_int_equal(g.finish, SOCLE_FINISH_WORD);
    size_t expected = (size_t)(strstr(whole.bytes, stop) - whole.bytes);
    assert_int_equal(cut.n, expected);
    assert_memory_equal(cut.bytes, whole.bytes, expected);
    socle_session_free(session);
}

static void a_full_context_is_announced_and_a_longer_prompt_refused_with_both_counts(void **state)
{
    (void)state;
    struct text text = { 0 };
    socle_session *session = session_of((socle_session_options){ .n_context = 32 });
    socle_generation g = generation_of(0, 1);
    generate(session, opening, &g, &text);
    assert_int_equal(g.finish, SOCLE_FINISH_CONTEXT);
    assert_int_equal(socle_session_n_past(session), 32);
    socle_session_rewind(session, 0);
    socle_error err = { 0 };
    int32_t ids[33] = { 0 };
    g = generation_of(1, 1);
    g.prompt = ids;
    g.n_prompt = 33;
    assert_int_equal(socle_generate(session, &g, &err), SOCLE_CONTEXT_FULL);
    assert_non_null(strstr(err.message, "33"));
    assert_non_null(strstr(err.message, "32"));
    assert_int_equal(socle_session_n_past(session), 0);
    socle_session_free(session);
}

static void empty_prompts_and_tokens_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    socle_error err = { 0 };
    socle_session *session = session_of((socle_session_options){ 0 });
    socle_generation g = generation_of(1, 0);
    assert_int_equal(socle_generate(session, &g, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "empty"));
    const int32_t wrong[] = { -1, INT32_MAX };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(socle_evaluate(session, &wrong[i], 1, 0, NULL, NULL, &err), SOCLE_BAD_ARGUMENT);
    const int32_t good = 5;
    g.prompt = &good;
    g.n_prompt = 1;
    g.sampling.top_p = 2.0f;
    assert_int_equal(socle_generate(session, &g, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "top_p"));
    assert_int_equal(socle_session_n_past(session), 0);
    socle_session_free(session);
}

static void a_callback_and_a_cancellation_stop_the_answer_and_leave_the_session_usable(void **state)
{
    (void)state;
    socle_session *session = session_of((socle_session_options){ 0 });
    struct text text = { .stop_after = 3 };
    socle_generation g = generation_of(50, 1);
    generate(session, opening, &g, &text);
    assert_int_equal(g.finish, SOCLE_FINISH_CANCELLED);
    assert_int_equal(text.n_calls, 3);
    struct text cancelled = { .cancel = session };
    socle_session_rewind(session, 0);
    g = generation_of(50, 1);
    generate(session, opening, &g, &cancelled);
    assert_int_equal(g.finish, SOCLE_FINISH_CANCELLED);
    assert_in_range(g.n_generated, 1, 3);
    struct text after = { 0 };
    socle_session_rewind(session, 0);
    g = generation_of(10, 1);
    generate(session, opening, &g, &after);
    assert_int_equal(g.finish, SOCLE_FINISH_LENGTH);
    // One that comes with the last token is too late to stop anything: the next answer is not its business.
    struct text late = { .cancel = session };
    socle_session_rewind(session, 0);
    g = generation_of(1, 1);
    generate(session, opening, &g, &late);
    assert_int_equal(g.finish, SOCLE_FINISH_LENGTH);
    struct text next = { 0 };
    socle_session_rewind(session, 0);
    g = generation_of(10, 1);
    generate(session, opening, &g, &next);
    assert_int_equal(g.finish, SOCLE_FINISH_LENGTH);
    assert_string_equal(next.bytes, after.bytes);
    socle_session_free(session);
}

static void an_empty_prompt_goes_on_from_the_sessions_last_logits(void **state)
{
    (void)state;
    struct text at_once = { 0 }, apart = { 0 };
    struct prompt prompt = tokens_of(opening);
    socle_error err = { 0 };
    socle_session *session = session_of((socle_session_options){ 0 });
    socle_generation g = generation_of(20, 5);
    generate(session, opening, &g, &at_once);
    socle_session_rewind(session, 0);
    assert_int_equal(socle_evaluate(session, prompt.ids, prompt.n, prompt.n - 1, NULL, NULL, &err), SOCLE_OK);
    g = generation_of(20, 5);
    g.on_text = collect;
    g.context = &apart;
    g.ignore_end = true;
    assert_int_equal(socle_generate(session, &g, &err), SOCLE_OK);
    assert_string_equal(apart.bytes, at_once.bytes);
    // Once the session has been rewound, there are no logits to go on from.
    socle_session_rewind(session, 3);
    assert_int_equal(socle_generate(session, &g, &err), SOCLE_BAD_ARGUMENT);
    socle_session_free(session);
    socle_free(prompt.ids);
}

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

static void a_session_that_does_not_fit_is_refused_with_the_numbers(void **state)
{
    (void)state;
#ifdef HAVE_ASAN
    skip(); // the sanitizer's shadow does not live under an address-space limit
#else
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = { 0 };
        FILE *file = fopen("/proc/self/statm", "r");
        unsigned long pages = 0;
        if (!file || fscanf(file, "%lu", &pages) != 1) _exit(9);
        fclose(file);
        limit.rlim_cur = limit.rlim_max = pages * 4096 + (8 << 20);
        setrlimit(RLIMIT_AS, &limit);
        socle_session *session;
        socle_error err = { 0 };
        socle_status status = socle_session_create(model, NULL, &session, &err);
        _exit(status == SOCLE_NO_MEMORY && strstr(err.message, "needs") && strstr(err.message, "available") ? 0 : 1);
    }
    int code;
    waitpid(child, &code, 0);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
#endif
}

static void a_context_beyond_the_models_own_is_refused(void **state)
{
    (void)state;
    socle_session *session;
    socle_error err = { 0 };
    socle_session_options options = { .n_context = 1 << 20 };
    assert_int_equal(socle_session_create(model, &options, &session, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "1048576"));
    options = (socle_session_options){ .cpu = "pentium" };
    assert_int_equal(socle_session_create(model, &options, &session, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "base"));
}

static void text_survives_tokenizing_and_back(void **state)
{
    (void)state;
    const char text[] = "The king said: \"Fetch me 12 golden apples!\"\n\tZo\xc3\xab \xe2\x82\xac\xff";
    struct prompt prompt = tokens_of(text);
    char *back;
    size_t n;
    socle_error err = { 0 };
    assert_int_equal(socle_detokenize(model, prompt.ids, prompt.n, false, &back, &n, &err), SOCLE_OK);
    // The last byte is no UTF-8: it comes back as U+FFFD.
    assert_int_equal(n, strlen(text) + 2);
    assert_memory_equal(back, text, strlen(text) - 1);
    socle_free(back);
    socle_free(prompt.ids);
}

static bool copy_logits(void *context, size_t i, const float *logits)
{
    (void)i;
    socle_model_info info;
    socle_model_describe(model, &info);
    memcpy(context, logits, info.n_vocab * sizeof *logits);
    return true;
}

static void a_profile_counts_every_operation_and_changes_no_bit(void **state)
{
    (void)state;
    socle_model_info info;
    socle_op_profile op;
    socle_error err = { 0 };
    const int32_t tokens[] = { 5, 6, 7, 8, 9 };
    socle_model_describe(model, &info);
    float *logits[2] = { calloc(info.n_vocab, sizeof(float)), calloc(info.n_vocab, sizeof(float)) };
    for (int profiled = 0; profiled < 2; profiled++) {
        socle_session *session = session_of((socle_session_options){ .n_batch = 5 });
        assert_false(socle_session_profile_at(session, 0, &op));
        // Twice: the second starts from zero.
        for (int i = 0; i < 2; i++) {
            if (profiled) assert_int_equal(socle_session_profile(session, &err), SOCLE_OK);
            socle_session_rewind(session, 0);
            assert_int_equal(socle_evaluate(session, tokens, 5, 4, copy_logits, logits[profiled], &err), SOCLE_OK);
        }
        size_t n_gate = 0, n_attend = 0;
        for (size_t i = 0; socle_session_profile_at(session, i, &op); i++) {
            assert_true(op.n_calls > 0 && op.seconds > 0);
            if (strcmp(op.weight, "ffn_gate") == 0) {
                n_gate++;
                assert_string_equal(op.op, "linear");
                assert_string_equal(op.format, "Q8_0");
                assert_int_equal(op.n_calls, info.n_layer);
                assert_true(op.int8_macs == 5.0 * info.n_layer * (double)(op.shape[0] * op.shape[1]));
                assert_true(op.bytes == info.n_layer * (double)(op.shape[0] / 32 * 34 * op.shape[1]));
            }
            if (strcmp(op.op, "attend") == 0) {
                n_attend++;
                assert_true(op.f32_macs > 0 && op.bytes > 0 && op.int8_macs == 0);
            }
        }
        assert_int_equal(n_gate, profiled);
        assert_int_equal(n_attend, profiled);
        socle_session_free(session);
    }
    assert_memory_equal(logits[0], logits[1], info.n_vocab * sizeof(float));
    free(logits[0]);
    free(logits[1]);
}

static void inspecting_gives_a_document_with_metadata_tensors_program_and_memory(void **state)
{
    (void)state;
    char *json;
    socle_error err = { 0 };
    assert_int_equal(socle_inspect(tales, 0, &json, &err), SOCLE_OK);
    const char *const expected[] = { "general.architecture", "token_embd.weight", "attend", "cache" };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) assert_non_null(strstr(json, expected[i]));
    socle_free(json);
    assert_int_equal(socle_inspect("/nonexistent.gguf", 0, &json, &err), SOCLE_IO);
    assert_non_null(strstr(err.message, "/nonexistent.gguf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_text_whatever_the_threads_and_chunks),
        cmocka_unit_test(a_rewound_session_gives_the_bits_of_a_fresh_one),
        cmocka_unit_test(a_stop_string_ends_the_answer_even_across_tokens_and_is_not_shown),
        cmocka_unit_test(a_full_context_is_announced_and_a_longer_prompt_refused_with_both_counts),
        cmocka_unit_test(empty_prompts_and_tokens_outside_the_vocabulary_are_refused),
        cmocka_unit_test(a_callback_and_a_cancellation_stop_the_answer_and_leave_the_session_usable),
        cmocka_unit_test(an_empty_prompt_goes_on_from_the_sessions_last_logits),
        cmocka_unit_test(a_session_that_does_not_fit_is_refused_with_the_numbers),
        cmocka_unit_test(a_context_beyond_the_models_own_is_refused),
        cmocka_unit_test(text_survives_tokenizing_and_back),
        cmocka_unit_test(a_profile_counts_every_operation_and_changes_no_bit),
        cmocka_unit_test(inspecting_gives_a_document_with_metadata_tensors_program_and_memory),
    };
    return cmocka_run_group_tests(tests, load_model, free_model);
}
