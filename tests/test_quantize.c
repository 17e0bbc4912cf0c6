// Quantizing whole files and gathering importances, through the public API: which tensor gets which format, what is
// copied, what is refused, and that nothing depends on threads or batches.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <socle/socle.h>

#include "base/file.h"
#include "base/size.h"
#include "engine/imatrix.h"
#include "tiny_model.h"

static char folder[] = "/tmp/socle-quantize-XXXXXX";

// One of eight static paths in the test's folder.
static const char *path_of(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_tiny(struct tiny tiny, const char *path)
{
    size_t n_bytes;
    socle_error err = { 0 };
    char *bytes = tiny_write(&tiny, &n_bytes);
    assert_non_null(bytes);
    if (sc_write_file(path, bytes, n_bytes, &err) != SOCLE_OK) fail_msg("%s", err.message);
    free(bytes);
}

static void assert_same_files(const char *a, const char *b)
{
    struct sc_mapping x, y;
    assert_int_equal(sc_map_file(a, &x, NULL), SOCLE_OK);
    assert_int_equal(sc_map_file(b, &y, NULL), SOCLE_OK);
    assert_int_equal(x.n_bytes, y.n_bytes);
    assert_memory_equal(x.data, y.data, x.n_bytes);
    sc_unmap(&x);
    sc_unmap(&y);
}

static socle_quantization *quantize(const char *in, const char *out, socle_quantize_options options)
{
    socle_quantization *q = NULL;
    socle_error err = { 0 };
    if (socle_quantize(in, out, &options, &q, &err) != SOCLE_OK) fail_msg("%s", err.message);
    return q;
}

// Fails with this status, says this, and leaves no file.
static void assert_refused(const char *in, const char *out, socle_quantize_options options, socle_status status,
                           const char *words)
{
    socle_error err = { 0 };
    socle_status got = socle_quantize(in, out, &options, NULL, &err);
    if (got != status || !strstr(err.message, words))
        fail_msg("expected status %d and '%s', found %d: %s", (int)status, words, (int)got, err.message);
    assert_int_not_equal(access(out, F_OK), 0);
}

static socle_quantized_tensor tensor_of(const socle_quantization *q, const char *name)
{
    socle_quantized_tensor t;
    for (size_t i = 0; socle_quantized_tensor_at(q, i, &t); i++)
        if (strcmp(t.name, name) == 0) return t;
    fail_msg("no tensor '%s'", name);
    return t;
}

static void assert_format(const socle_quantization *q, const char *name, const char *format)
{
    socle_quantized_tensor t = tensor_of(q, name);
    if (strcmp(t.to, format) != 0) fail_msg("%s: expected %s, found %s", name, format, t.to);
}

// ---- which format

// A file of one-row matrices, as wide as wanted, with the names of a model of 16 layers.
static void write_shapes(const char *path, uint64_t k, uint32_t n_expert, bool tied)
{
    static const char *const parts[] = {
        "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"
    };
    struct sc_gguf_writer *writer;
    const struct sc_format *f32 = sc_format_find_name("F32");
    float *row = calloc(k, sizeof *row);
    uint64_t shape[2] = { k, 1 };
    for (uint64_t i = 0; i < k; i++) row[i] = tiny_value("row", i);
    assert_int_equal(sc_gguf_writer_create(&writer, NULL), SOCLE_OK);
    sc_gguf_writer_set_text(writer, "general.architecture", sc_text_of("llama"), NULL);
    sc_gguf_writer_set_u32(writer, "general.file_type", 0, NULL);
    sc_gguf_writer_set_u32(writer, "llama.block_count", 16, NULL);
    if (n_expert) sc_gguf_writer_set_u32(writer, "llama.expert_count", n_expert, NULL);
    sc_gguf_writer_set_text(writer, "general.name", sc_text_of("Shapes"), NULL);
    sc_gguf_writer_add_tensor(writer, "token_embd.weight", f32, 2, shape, row, NULL);
    if (!tied) sc_gguf_writer_add_tensor(writer, "output.weight", f32, 2, shape, row, NULL);
    sc_gguf_writer_add_tensor(writer, "output_norm.weight", f32, 1, shape, row, NULL);
    for (int layer = 0; layer < 16; layer++) {
        char name[64];
        for (size_t i = 0; i < SC_COUNT(parts); i++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, parts[i]);
            sc_gguf_writer_add_tensor(writer, name, f32, 2, shape, row, NULL);
        }
        snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", layer);
        sc_gguf_writer_add_tensor(writer, name, f32, 2, shape, row, NULL);
    }
    assert_int_equal(sc_gguf_writer_write(writer, path, NULL), SOCLE_OK);
    sc_gguf_writer_free(writer);
    free(row);
}

static void mixes_give_more_bits_where_llama_cpp_does(void **state)
{
    (void)state;
    // Of 16 layers: the first two, the last two, and every third between, from the fifth on.
    static const bool more[16] = { 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1 };
    const char *in = path_of("shapes.gguf"), *out = path_of("shapes-out.gguf");
    write_shapes(in, 256, 0, false);
    static const char *const types[][2] = { { "Q4_K_M", "Q4_K" }, { "Q5_K_M", "Q5_K" } };
    for (size_t t = 0; t < 2; t++) {
        socle_quantization *q = quantize(in, out, (socle_quantize_options){ .type = types[t][0] });
        for (int layer = 0; layer < 16; layer++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.attn_v.weight", layer);
            assert_format(q, name, more[layer] ? "Q6_K" : types[t][1]);
            snprintf(name, sizeof name, "blk.%d.ffn_down.weight", layer);
            assert_format(q, name, more[layer] ? "Q6_K" : types[t][1]);
            snprintf(name, sizeof name, "blk.%d.attn_q.weight", layer);
            assert_format(q, name, types[t][1]);
            snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", layer);
            assert_format(q, name, "F32");
        }
        assert_format(q, "output.weight", "Q6_K");
        assert_format(q, "token_embd.weight", types[t][1]);
        assert_format(q, "output_norm.weight", "F32");
        socle_quantization_free(q);
    }
    socle_quantization *q = quantize(in, out, (socle_quantize_options){ .type = "Q4_K_S" });
    for (int layer = 0; layer < 16; layer++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.attn_v.weight", layer);
        assert_format(q, name, layer < 4 ? "Q5_K" : "Q4_K");
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", layer);
        assert_format(q, name, layer < 2 ? "Q5_K" : "Q4_K");
    }
    socle_quantization_free(q);
}

static void eight_experts_and_tied_tables_have_their_rules(void **state)
{
    (void)state;
    const char *in = path_of("eight.gguf"), *out = path_of("eight-out.gguf");
    write_shapes(in, 256, 8, true);
    socle_quantization *q = quantize(in, out, (socle_quantize_options){ .type = "q4_k_m" });
    assert_format(q, "blk.3.attn_v.weight", "Q8_0");
    assert_format(q, "blk.3.attn_k.weight", "Q8_0");
    assert_format(q, "blk.3.attn_output.weight", "Q5_K");
    assert_format(q, "token_embd.weight", "Q6_K");
    socle_quantization_free(q);
}

static void rows_that_do_not_fill_blocks_fall_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t k;
        const char *type, *format;
    } cases[] = { { 96, "Q4_K", "Q5_0" }, { 96, "Q5_K", "Q5_1" }, { 96, "Q6_K", "Q8_0" }, { 96, "Q4_0", "Q4_0" },
                  { 40, "Q4_K", "F16" },  { 40, "Q8_0", "F16" },  { 40, "Q4_0", "F16" },  { 40, "BF16", "BF16" } };
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        const char *in = path_of("narrow.gguf"), *out = path_of("narrow-out.gguf");
        write_shapes(in, cases[i].k, 0, false);
        socle_quantization *q = quantize(in, out, (socle_quantize_options){ .type = cases[i].type });
        assert_format(q, "blk.5.attn_q.weight", cases[i].format);
        assert_string_equal(tensor_of(q, "blk.5.attn_q.weight").wanted, cases[i].type);
        socle_quantization_free(q);
    }
}

static void the_first_override_that_matches_wins(void **state)
{
    (void)state;
    const char *in = path_of("override.gguf"), *out = path_of("override-out.gguf");
    const char *overrides[] = { "blk.1.*=q8_0", "*attn_q*=Q5_0", "blk.?.ffn_up.weight=keep" };
    write_shapes(in, 256, 0, false);
    socle_quantization *q = quantize(
        in, out, (socle_quantize_options){ .type = "Q4_K", .overrides = overrides, .n_overrides = 3 });
    assert_format(q, "blk.1.attn_q.weight", "Q8_0");
    assert_format(q, "blk.1.ffn_up.weight", "Q8_0");
    assert_format(q, "blk.1.ffn_gate_inp.weight", "F32"); // a router stays
    assert_format(q, "blk.2.attn_q.weight", "Q5_0");
    assert_format(q, "blk.2.ffn_up.weight", "F32");
    assert_format(q, "blk.10.ffn_up.weight", "Q4_K");
    assert_true(tensor_of(q, "blk.2.ffn_up.weight").kept);
    socle_quantization_free(q);
}

// ---- the file

static void the_result_has_the_metadata_and_runs(void **state)
{
    (void)state;
    const char *in = path_of("meta.gguf"), *out = path_of("meta-out.gguf");
    write_tiny((struct tiny){ .family = "llama" }, in);
    socle_quantization *q = quantize(in, out, (socle_quantize_options){ .type = "Q8_0" });
    socle_quantization_info info;
    socle_quantization_describe(q, &info);
    assert_string_equal(info.type, "Q8_0");
    assert_true(info.bits_before == 32.0);
    assert_true(info.bits_after > 8.4 && info.bits_after < 12.0);
    assert_true(info.relative_error > 0.001 && info.relative_error < 0.01);
    assert_true(info.n_bytes_after < info.n_bytes_before);
    struct sc_gguf *a, *b;
    uint32_t number = 0;
    assert_int_equal(sc_gguf_open(in, &a, NULL), SOCLE_OK);
    assert_int_equal(sc_gguf_open(out, &b, NULL), SOCLE_OK);
    assert_int_equal(sc_gguf_file_bytes(b), info.n_bytes_after);
    assert_int_equal(sc_gguf_n_tensors(b), sc_gguf_n_tensors(a));
    for (uint64_t i = 0; i < sc_gguf_n_values(a); i++) {
        char key[128];
        snprintf(key, sizeof key, "%.*s", SC_TEXT_ARGS(sc_gguf_value_at(a, i)->key));
        assert_non_null(sc_gguf_find(b, key));
    }
    assert_int_equal(sc_gguf_get_u32(b, "general.file_type", &number, NULL), SOCLE_OK);
    assert_int_equal(number, 7);
    assert_int_equal(sc_gguf_get_u32(b, "general.quantization_version", &number, NULL), SOCLE_OK);
    assert_int_equal(number, 2);
    sc_gguf_close(a);
    sc_gguf_close(b);
    socle_quantization_free(q);
    socle_model *model;
    socle_error err = { 0 };
    if (socle_model_load(out, &model, &err) != SOCLE_OK) fail_msg("%s", err.message);
    socle_model_free(model);
}

static void shards_become_one_file(void **state)
{
    (void)state;
    const char *first = path_of("s-00001-of-00002.gguf"), *second = path_of("s-00002-of-00002.gguf");
    const char *out = path_of("joined.gguf");
    float values[64] = { 1.0f, -2.0f };
    uint64_t shape[2] = { 32, 2 };
    for (uint32_t s = 0; s < 2; s++) {
        struct sc_gguf_writer *writer;
        assert_int_equal(sc_gguf_writer_create(&writer, NULL), SOCLE_OK);
        sc_gguf_writer_set_u32(writer, "split.no", s, NULL);
        sc_gguf_writer_set_u32(writer, "split.count", 2, NULL);
        sc_gguf_writer_set_u32(writer, "split.tensors.count", 2, NULL);
        sc_gguf_writer_add_tensor(writer, s ? "b.weight" : "a.weight", sc_format_find_name("F32"), 2, shape, values,
                                  NULL);
        assert_int_equal(sc_gguf_writer_write(writer, s ? second : first, NULL), SOCLE_OK);
        sc_gguf_writer_free(writer);
    }
    socle_quantization_free(quantize(first, out, (socle_quantize_options){ .type = "Q8_0" }));
    struct sc_gguf *gguf;
    assert_int_equal(sc_gguf_open(out, &gguf, NULL), SOCLE_OK);
    assert_int_equal(sc_gguf_n_tensors(gguf), 2);
    assert_null(sc_gguf_find(gguf, "split.count"));
    sc_gguf_close(gguf);
}

static void the_bytes_do_not_depend_on_threads(void **state)
{
    (void)state;
    const char *in = path_of("threads.gguf"), *a = path_of("threads-1.gguf"), *b = path_of("threads-5.gguf");
    write_tiny((struct tiny){ .family = "llama", .experts = true }, in);
    static const char *const types[] = { "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "F16", "BF16" };
    for (size_t i = 0; i < SC_COUNT(types); i++) {
        socle_quantization_free(quantize(in, a, (socle_quantize_options){ .type = types[i], .n_threads = 1 }));
        socle_quantization_free(quantize(in, b, (socle_quantize_options){ .type = types[i], .n_threads = 5 }));
        assert_same_files(a, b);
    }
}

static bool stop_at_once(void *context, const char *tensor, uint64_t done, uint64_t total)
{
    *(uint64_t *)context = done;
    assert_true(done > 0 && done <= total);
    assert_non_null(tensor);
    return false;
}

static void what_cannot_be_done_is_said_and_leaves_nothing(void **state)
{
    (void)state;
    const char *in = path_of("good.gguf"), *out = path_of("none.gguf");
    write_tiny((struct tiny){ .family = "llama" }, in);
    assert_refused(in, out, (socle_quantize_options){ .type = "Q4_X" }, SOCLE_BAD_ARGUMENT, "Q4_K_M");
    assert_refused(in, out, (socle_quantize_options){ .type = "MXFP4" }, SOCLE_UNSUPPORTED, "can be read but not made");
    assert_refused(path_of("absent.gguf"), out, (socle_quantize_options){ .type = "Q8_0" }, SOCLE_IO, "No such file");
    assert_refused(in, path_of("no-folder/x.gguf"), (socle_quantize_options){ .type = "Q8_0" }, SOCLE_IO, "no-folder");
    static const char *const overrides[][2] = { { "nothing*=Q8_0", "matches no matrix" },
                                                { "output_norm.weight=Q8_0", "matches no matrix" },
                                                { "blk.0.*", "PATTERN=TYPE" },
                                                { "=Q8_0", "PATTERN=TYPE" },
                                                { "blk.0.*=Q9", "no type is called 'Q9'" },
                                                { "blk.0.*=Q4_K_M", "no type is called 'Q4_K_M'" } };
    for (size_t i = 0; i < SC_COUNT(overrides); i++)
        assert_refused(in, out, (socle_quantize_options){ .type = "Q8_0", .overrides = overrides[i], .n_overrides = 1 },
                       SOCLE_BAD_ARGUMENT, overrides[i][1]);
    uint64_t done = 0;
    assert_refused(in, out, (socle_quantize_options){ .type = "Q8_0", .on_progress = stop_at_once, .context = &done },
                   SOCLE_CANCELLED, "stopped");
    assert_true(done > 0);
    socle_error err = { 0 };
    socle_quantize_options options = { .type = "Q8_0" };
    assert_int_equal(socle_quantize(in, in, &options, NULL, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "is the source itself"));
}

static void a_quantized_source_is_refused_by_name(void **state)
{
    (void)state;
    const char *in = path_of("quantized.gguf"), *out = path_of("quantized-out.gguf");
    write_tiny((struct tiny){ .family = "llama", .quantized = true }, in);
    assert_refused(in, out, (socle_quantize_options){ .type = "Q4_0" }, SOCLE_BAD_ARGUMENT,
                   "'token_embd.weight' is in Q8_0");
    // Unless all of it is to be kept.
    const char *keep[] = { "*=keep" };
    socle_quantization *q = quantize(in, out,
                                     (socle_quantize_options){ .type = "Q8_0", .overrides = keep, .n_overrides = 1 });
    assert_format(q, "blk.0.attn_q.weight", "Q8_0");
    socle_quantization_free(q);
}

static void weights_that_are_not_finite_are_named(void **state)
{
    (void)state;
    const char *in = path_of("nan.gguf"), *out = path_of("nan-out.gguf");
    write_tiny((struct tiny){ .family = "llama", .not_a_number = "blk.1.ffn_up.weight" }, in);
    assert_refused(in, out, (socle_quantize_options){ .type = "Q8_0" }, SOCLE_NOT_FINITE,
                   "'blk.1.ffn_up.weight': weight 0 is not finite");
    write_tiny((struct tiny){ .family = "llama", .not_a_number = "blk.1.ffn_norm.weight" }, in);
    assert_refused(in, out, (socle_quantize_options){ .type = "Q8_0" }, SOCLE_NOT_FINITE, "'blk.1.ffn_norm.weight'");
    struct sc_gguf_writer *writer;
    uint64_t shape[2] = { 32, 2 };
    float values[64] = { [37] = 1e6f };
    assert_int_equal(sc_gguf_writer_create(&writer, NULL), SOCLE_OK);
    sc_gguf_writer_add_tensor(writer, "a.weight", sc_format_find_name("F32"), 2, shape, values, NULL);
    assert_int_equal(sc_gguf_writer_write(writer, in, NULL), SOCLE_OK);
    sc_gguf_writer_free(writer);
    assert_refused(in, out, (socle_quantize_options){ .type = "F16" }, SOCLE_NOT_FINITE,
                   "weight 37 is 1e+06, too large for F16: choose BF16");
}

// ---- importances

static const int32_t tokens[] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };
enum { N_TOKENS = sizeof tokens / sizeof tokens[0] };

static void gather(const char *model_path, socle_session_options options, const char *out)
{
    socle_model *model;
    socle_session *session;
    socle_imatrix *imatrix;
    socle_error err = { 0 };
    if (socle_model_load(model_path, &model, &err) != SOCLE_OK) fail_msg("%s", err.message);
    if (socle_session_create(model, &options, &session, &err) != SOCLE_OK) fail_msg("%s", err.message);
    if (socle_imatrix_create(model, &imatrix, &err) != SOCLE_OK) fail_msg("%s", err.message);
    assert_int_equal(socle_imatrix_write(imatrix, out, "none", &err), SOCLE_BAD_ARGUMENT);
    for (int i = 0; i < 2; i++)
        if (socle_imatrix_gather(imatrix, session, tokens, N_TOKENS, &err) != SOCLE_OK) fail_msg("%s", err.message);
    if (socle_imatrix_write(imatrix, out, "numbers.txt", &err) != SOCLE_OK) fail_msg("%s", err.message);
    socle_imatrix_free(imatrix);
    socle_session_free(session);
    socle_model_free(model);
}

static float number_of(const struct sc_gguf *gguf, const char *name, uint64_t i)
{
    const struct sc_tensor *t = sc_gguf_find_tensor(gguf, name);
    if (!t) fail_msg("no tensor '%s'", name);
    float value;
    t->format->decode((const char *)t->data + 4 * i, &value, 1);
    return value;
}

// The first product's input can be computed by hand: the normed embedding.
static void importances_are_the_sums_of_squared_inputs(void **state)
{
    (void)state;
    const char *in = path_of("gather.gguf"), *out = path_of("gather.imatrix.gguf");
    write_tiny((struct tiny){ .family = "llama" }, in);
    gather(in, (socle_session_options){ .n_threads = 2 }, out);
    double expected[TINY_EMBD] = { 0 };
    for (size_t t = 0; t < N_TOKENS; t++) {
        double x[TINY_EMBD], squares = 0.0;
        for (size_t i = 0; i < TINY_EMBD; i++) {
            x[i] = (double)(0.5f * tiny_value("token_embd.weight", (size_t)tokens[t] * TINY_EMBD + i));
            squares += x[i] * x[i];
        }
        for (size_t i = 0; i < TINY_EMBD; i++) {
            double y = x[i] / sqrt(squares / TINY_EMBD + 1e-5) *
                       (double)(0.5f * tiny_value("blk.0.attn_norm.weight", i));
            expected[i] += 2.0 * y * y; // two chunks
        }
    }
    struct sc_gguf *gguf;
    socle_error err = { 0 };
    if (sc_gguf_open(out, &gguf, &err) != SOCLE_OK) fail_msg("%s", err.message);
    assert_true(number_of(gguf, "blk.0.attn_q.weight.counts", 0) == 2.0f * N_TOKENS);
    for (size_t i = 0; i < TINY_EMBD; i++) {
        double found = (double)number_of(gguf, "blk.0.attn_q.weight.in_sum2", i);
        if (fabs(found - expected[i]) > 2e-4 * fabs(expected[i]) + 1e-9)
            fail_msg("element %zu: expected %g, found %g", i, expected[i], found);
    }
    uint32_t number = 0;
    struct sc_text type = { 0 };
    assert_int_equal(sc_gguf_get_u32(gguf, "imatrix.chunk_count", &number, NULL), SOCLE_OK);
    assert_int_equal(number, 2);
    assert_int_equal(sc_gguf_get_u32(gguf, "imatrix.chunk_size", &number, NULL), SOCLE_OK);
    assert_int_equal(number, N_TOKENS);
    assert_int_equal(sc_gguf_get_text(gguf, "general.type", &type, NULL), SOCLE_OK);
    assert_true(sc_text_is(type, "imatrix"));
    sc_gguf_close(gguf);
}

static void importances_do_not_depend_on_threads_or_batches(void **state)
{
    (void)state;
    const struct tiny models[] = { { .family = "llama" },
                                   { .family = "llama", .experts = true },
                                   { .family = "llama", .quantized = true },
                                   { .family = "deepseek2", .latent = true, .split = true, .experts = true },
                                   { .family = "deepseek2", .latent = true } };
    for (size_t i = 0; i < SC_COUNT(models); i++) {
        const char *in = path_of("ways.gguf"), *a = path_of("ways-a.gguf"), *b = path_of("ways-b.gguf");
        write_tiny(models[i], in);
        gather(in, (socle_session_options){ .n_threads = 1 }, a);
        gather(in, (socle_session_options){ .n_threads = 3, .n_batch = 5, .n_logits = 2 }, b);
        assert_same_files(a, b);
    }
}

static void experts_are_counted_apart(void **state)
{
    (void)state;
    const char *in = path_of("experts.gguf"), *out = path_of("experts.imatrix.gguf");
    write_tiny((struct tiny){ .family = "llama", .experts = true }, in);
    gather(in, (socle_session_options){ .n_threads = 1 }, out);
    struct sc_gguf *gguf;
    assert_int_equal(sc_gguf_open(out, &gguf, NULL), SOCLE_OK);
    float up = 0.0f, down = 0.0f;
    for (uint64_t e = 0; e < TINY_EXPERTS; e++) {
        up += number_of(gguf, "blk.1.ffn_up_exps.weight.counts", e);
        down += number_of(gguf, "blk.1.ffn_down_exps.weight.counts", e);
    }
    assert_true(up == 2.0f * 2.0f * N_TOKENS && down == up); // two experts a token, two chunks
    sc_gguf_close(gguf);
}

static void importances_go_into_the_file_and_change_it(void **state)
{
    (void)state;
    const char *in = path_of("with.gguf"), *imatrix = path_of("with.imatrix.gguf"), *out = path_of("with-out.gguf");
    write_tiny((struct tiny){ .family = "llama", .experts = true }, in);
    gather(in, (socle_session_options){ .n_threads = 1 }, imatrix);
    socle_quantization *plain = quantize(in, out, (socle_quantize_options){ .type = "Q4_0" });
    socle_quantization *q = quantize(in, out, (socle_quantize_options){ .type = "Q4_0", .imatrix = imatrix });
    assert_true(tensor_of(q, "blk.0.attn_q.weight").has_importance);
    assert_true(tensor_of(q, "blk.0.ffn_up_exps.weight").has_importance);
    assert_false(tensor_of(q, "token_embd.weight").has_importance);
    assert_false(tensor_of(plain, "blk.0.attn_q.weight").has_importance);
    // What matters less is less exact: the plain error grows.
    assert_true(tensor_of(q, "blk.0.attn_q.weight").relative_error >
                tensor_of(plain, "blk.0.attn_q.weight").relative_error);
    assert_true(tensor_of(q, "token_embd.weight").relative_error ==
                tensor_of(plain, "token_embd.weight").relative_error);
    socle_quantization_free(plain);
    socle_quantization_free(q);
    struct sc_gguf *gguf;
    struct sc_text dataset = { 0 };
    assert_int_equal(sc_gguf_open(out, &gguf, NULL), SOCLE_OK);
    assert_int_equal(sc_gguf_get_text(gguf, "quantize.imatrix.dataset", &dataset, NULL), SOCLE_OK);
    assert_true(sc_text_is(dataset, "numbers.txt"));
    sc_gguf_close(gguf);
}

// llama.cpp counts all matrices of a dense product together: one count for k * matrices sums.
static void one_count_for_all_matrices_is_understood(void **state)
{
    (void)state;
    const char *path = path_of("one-count.gguf");
    struct sc_gguf_writer *writer;
    const struct sc_format *f32 = sc_format_find_name("F32");
    uint64_t sums_shape[2] = { 8, 1 }, count_shape[2] = { 1, 1 };
    float sums[8] = { 2, 4, 6, 8, 10, 12, 14, 16 }, count = 2.0f;
    assert_int_equal(sc_gguf_writer_create(&writer, NULL), SOCLE_OK);
    sc_gguf_writer_set_text(writer, "general.type", sc_text_of("imatrix"), NULL);
    sc_gguf_writer_add_tensor(writer, "w.in_sum2", f32, 2, sums_shape, sums, NULL);
    sc_gguf_writer_add_tensor(writer, "w.counts", f32, 2, count_shape, &count, NULL);
    assert_int_equal(sc_gguf_writer_write(writer, path, NULL), SOCLE_OK);
    sc_gguf_writer_free(writer);
    struct sc_imatrix *imatrix;
    const float *means;
    assert_int_equal(sc_imatrix_open(path, &imatrix, NULL), SOCLE_OK);
    struct sc_tensor w = { .name = sc_text_of("w"), .shape = { 4, 3, 2, 1 } };
    assert_int_equal(sc_imatrix_find(imatrix, &w, &means, NULL), SOCLE_OK);
    for (size_t i = 0; i < 8; i++) assert_true(means[i] == (float)i + 1.0f);
    w.shape[0] = 5;
    assert_int_equal(sc_imatrix_find(imatrix, &w, &means, NULL), SOCLE_BAD_FILE);
    sc_imatrix_free(imatrix);
}

static void importances_of_another_model_are_refused(void **state)
{
    (void)state;
    const char *in = path_of("this.gguf"), *other = path_of("other.gguf"), *imatrix = path_of("other.imatrix.gguf");
    const char *out = path_of("this-out.gguf");
    write_tiny((struct tiny){ .family = "llama" }, in);
    write_tiny((struct tiny){ .family = "llama", .experts = true }, other);
    gather(other, (socle_session_options){ .n_threads = 1 }, imatrix);
    assert_refused(in, out, (socle_quantize_options){ .type = "Q4_0", .imatrix = imatrix }, SOCLE_BAD_FILE,
                   "gathered from another model");
    assert_refused(in, out, (socle_quantize_options){ .type = "Q4_0", .imatrix = in }, SOCLE_BAD_FILE,
                   "is no importance matrix");
    // The same names in another shape.
    write_shapes(in, 256, 0, false);
    write_tiny((struct tiny){ .family = "llama" }, other);
    gather(other, (socle_session_options){ .n_threads = 1 }, imatrix);
    assert_refused(in, out, (socle_quantize_options){ .type = "Q4_0", .imatrix = imatrix }, SOCLE_BAD_FILE,
                   "has 32 importances, but 256 are needed");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixes_give_more_bits_where_llama_cpp_does),
        cmocka_unit_test(eight_experts_and_tied_tables_have_their_rules),
        cmocka_unit_test(rows_that_do_not_fill_blocks_fall_back),
        cmocka_unit_test(the_first_override_that_matches_wins),
        cmocka_unit_test(the_result_has_the_metadata_and_runs),
        cmocka_unit_test(shards_become_one_file),
        cmocka_unit_test(the_bytes_do_not_depend_on_threads),
        cmocka_unit_test(what_cannot_be_done_is_said_and_leaves_nothing),
        cmocka_unit_test(a_quantized_source_is_refused_by_name),
        cmocka_unit_test(weights_that_are_not_finite_are_named),
        cmocka_unit_test(importances_are_the_sums_of_squared_inputs),
        cmocka_unit_test(importances_do_not_depend_on_threads_or_batches),
        cmocka_unit_test(experts_are_counted_apart),
        cmocka_unit_test(importances_go_into_the_file_and_change_it),
        cmocka_unit_test(one_count_for_all_matrices_is_understood),
        cmocka_unit_test(importances_of_another_model_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
