// What loading a model promises, on tiny models made here: clear refusals, old files, long contexts, not-a-number.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "engine/session.h"
#include "tiny_model.h"

static const int32_t tokens[] = { 1, 7, 3, 11, 0, 5, 5, 2, 9, 4, 8, 6 };

// Loads the tiny model; *bytes are freed by the caller after it.
static socle_status load(struct tiny t, struct sc_model **model, char **bytes, socle_error *err)
{
    size_t n_bytes = 0;
    struct sc_gguf *gguf;
    *bytes = tiny_write(&t, &n_bytes);
    assert_non_null(*bytes);
    socle_status status = sc_gguf_open_memory("tiny", *bytes, n_bytes, &gguf, err);
    if (status == SOCLE_OK) status = sc_model_load(gguf, model, err);
    return status;
}

static bool keep(void *context, size_t i, const float *logits)
{
    memcpy((float *)context + i * TINY_VOCAB, logits, TINY_VOCAB * sizeof *logits);
    return true;
}

static socle_status evaluate(struct sc_model *model, uint32_t n_context, float *logits, socle_error *err)
{
    struct sc_session *session;
    struct sc_session_options options = { .n_context = n_context, .n_logits = SC_COUNT(tokens), .n_threads = 1 };
    SC_TRY(sc_session_create(model, &options, &session, err));
    struct sc_evaluation e = { .tokens = tokens, .n_tokens = SC_COUNT(tokens), .sink = keep, .context = logits };
    socle_status status = sc_session_evaluate(session, &e, err);
    sc_session_free(session);
    return status;
}

typedef float logits_of_all[SC_COUNT(tokens) * TINY_VOCAB];

static void compute(struct tiny t, uint32_t n_context, float *logits)
{
    struct sc_model *model;
    char *bytes;
    socle_error err = { 0 };
    if (load(t, &model, &bytes, &err) != SOCLE_OK || evaluate(model, n_context, logits, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    sc_model_free(model);
    free(bytes);
}

static void refuse(struct tiny t, socle_status expected, const char *const *words)
{
    struct sc_model *model;
    char *bytes;
    socle_error err = { 0 };
    assert_int_equal(load(t, &model, &bytes, &err), expected);
    for (; *words; words++)
        if (!strstr(err.message, *words)) fail_msg("'%s' is not in: %s", *words, err.message);
    free(bytes);
}

static void an_unknown_family_is_refused_with_the_list_of_those_supported(void **state)
{
    (void)state;
    refuse((struct tiny){ .family = "mamba" }, SOCLE_UNSUPPORTED,
           (const char *const[]){ "tiny", "'mamba'", "llama", "deepseek2", "gpt-oss", NULL });
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    const char *const names[] = { "token_embd.weight",   "output_norm.weight",       "blk.1.attn_norm.weight",
                                  "blk.0.attn_k.weight", "blk.1.attn_output.weight", "blk.0.ffn_down.weight" };
    for (size_t i = 0; i < SC_COUNT(names); i++)
        refuse((struct tiny){ .family = "llama", .without = names[i] }, SOCLE_BAD_FILE,
               (const char *const[]){ "tiny", names[i], "missing", NULL });
}

static void a_tensor_of_the_wrong_shape_is_named_with_what_was_expected(void **state)
{
    (void)state;
    const char *const names[] = { "blk.0.attn_q.weight", "blk.1.attn_v.weight", "blk.0.attn_output.weight",
                                  "blk.1.ffn_gate.weight", "blk.1.ffn_down.weight" };
    for (size_t i = 0; i < SC_COUNT(names); i++)
        refuse((struct tiny){ .family = "qwen2", .wrong = names[i] }, SOCLE_BAD_FILE,
               (const char *const[]){ "tiny", names[i], "expected", "found", NULL });
}

static void a_matrix_for_each_of_two_heads_is_refused_where_one_matrix_is_expected(void **state)
{
    (void)state;
    refuse((struct tiny){ .family = "gemma2", .norms = true, .doubled = "blk.0.attn_q.weight" }, SOCLE_BAD_FILE,
           (const char *const[]){ "blk.0.attn_q.weight", "expected 1 matrices", NULL });
    refuse((struct tiny){ .family = "qwen3", .norms = true, .doubled = "blk.1.ffn_up.weight" }, SOCLE_BAD_FILE,
           (const char *const[]){ "blk.1.ffn_up.weight", "expected 1 matrices", NULL });
}

static void layers_that_predict_further_tokens_are_left_out(void **state)
{
    (void)state;
    struct sc_model *model;
    char *bytes;
    socle_error err = { 0 };
    assert_int_equal(load((struct tiny){ .family = "glm4", .n_next = 1 }, &model, &bytes, &err), SOCLE_OK);
    assert_int_equal(model->hparams.n_layer, TINY_LAYERS - 1);
    assert_int_equal(model->program.n_layers, TINY_LAYERS - 1);
    sc_model_free(model);
    free(bytes);
    refuse((struct tiny){ .family = "glm4", .n_next = TINY_LAYERS }, SOCLE_BAD_FILE,
           (const char *const[]){ "glm4.nextn_predict_layers", NULL });
}

static void gemma_2_has_its_window_even_where_the_file_is_silent(void **state)
{
    (void)state;
    struct sc_model *model;
    char *bytes;
    socle_error err = { 0 };
    assert_int_equal(load((struct tiny){ .family = "gemma2" }, &model, &bytes, &err), SOCLE_OK);
    assert_int_equal(model->hparams.window, 4096);
    assert_true(model->hparams.layer_has_window[0]);
    assert_false(model->hparams.layer_has_window[1]);
    sc_model_free(model);
    free(bytes);
}

static void unsplit_kv_b_gives_the_bits_of_the_split_weights(void **state)
{
    (void)state;
    logits_of_all split, unsplit;
    compute((struct tiny){ .family = "deepseek2", .latent = true, .split = true, .experts = true }, 32, split);
    compute((struct tiny){ .family = "deepseek2", .latent = true, .split = false, .experts = true }, 32, unsplit);
    assert_memory_equal(split, unsplit, sizeof split);
}

static void long_rope_factors_serve_sessions_beyond_the_original_context(void **state)
{
    (void)state;
    logits_of_all small, same, large;
    struct tiny t = { .family = "phi3", .fused = true, .long_rope = true };
    compute(t, 16, small);
    compute(t, TINY_CONTEXT / 2, same);
    compute(t, TINY_CONTEXT / 2 + 1, large);
    assert_memory_equal(small, same, sizeof small);
    assert_memory_not_equal(small, large, sizeof small);
}

static void not_a_number_is_an_error_not_a_value(void **state)
{
    (void)state;
    struct sc_model *model;
    char *bytes;
    logits_of_all logits;
    socle_error err = { 0 };
    // In a norm's weights it meets int8 activations when the products are quantized: it must come through there, too.
    const struct tiny models[] = {
        { .family = "llama", .not_a_number = "blk.1.attn_output.weight" },
        { .family = "llama", .not_a_number = "blk.0.ffn_norm.weight", .quantized = true },
        { .family = "llama", .not_a_number = "blk.1.ffn_gate_inp.weight", .experts = true }
    };
    for (size_t i = 0; i < SC_COUNT(models); i++) {
        assert_int_equal(load(models[i], &model, &bytes, &err), SOCLE_OK);
        assert_int_equal(evaluate(model, 16, logits, &err), SOCLE_NOT_FINITE);
        assert_non_null(strstr(err.message, "position 0"));
        sc_model_free(model);
        free(bytes);
    }
}

// Every family's program is built and run; the address sanitizer watches.
static void every_family_runs_with_experts_and_norms(void **state)
{
    (void)state;
    logits_of_all logits;
    for (size_t i = 0; sc_family_at(i); i++) {
        const struct sc_family *family = sc_family_at(i);
        bool latent = strcmp(family->name, "deepseek2") == 0, gpt_oss = strcmp(family->name, "gpt-oss") == 0;
        for (int experts = 0; experts < 2; experts++)
            compute((struct tiny){ .family = family->name,
                                   .latent = latent,
                                   .split = true,
                                   .experts = experts,
                                   .norms = !latent || gpt_oss },
                    16, logits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_family_is_refused_with_the_list_of_those_supported),
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_tensor_of_the_wrong_shape_is_named_with_what_was_expected),
        cmocka_unit_test(a_matrix_for_each_of_two_heads_is_refused_where_one_matrix_is_expected),
        cmocka_unit_test(layers_that_predict_further_tokens_are_left_out),
        cmocka_unit_test(gemma_2_has_its_window_even_where_the_file_is_silent),
        cmocka_unit_test(unsplit_kv_b_gives_the_bits_of_the_split_weights),
        cmocka_unit_test(long_rope_factors_serve_sessions_beyond_the_original_context),
        cmocka_unit_test(not_a_number_is_an_error_not_a_value),
        cmocka_unit_test(every_family_runs_with_experts_and_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
