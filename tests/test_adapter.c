// Adapters: merging them into a model's weights, and PEFT's folders.
//
// tests/data/peft_cases.json has adapters by peft on models of hf_cases.json: configuration, names and shapes, and
// logits (make_peft_cases.py); their folders are written here.
#include "hf_folder.h"

#include <math.h>

#include "formats/gguf_writer.h"
#include "formats/safetensors.h"

enum { K = 64, ROWS = 5, RANK = 3 };

static const char *at(const char *name)
{
    static char names[64][400];
    static unsigned turn;
    char *out = names[turn++ % 64];
    snprintf(out, 400, "%s/%s", folder, name);
    return out;
}

static void expect(socle_status found, socle_status status, const socle_error *err, const char *part)
{
    if (found != status || !strstr(err->message, part))
        fail_msg("expected %s with '%s', found %s: %s", socle_status_name(status), part, socle_status_name(found),
                 err->message);
}

// ---- files made by hand

// A tensor of values by rule, in the format of that name: [k, rows, matrices].
struct made {
    const char *name, *format;
    uint64_t k, rows, matrices;
};

static void *values_of(const struct made *t)
{
    const struct sc_format *format = sc_format_find_name(t->format);
    uint64_t n = t->k * t->rows * t->matrices;
    float *values = malloc(n * sizeof *values);
    void *blocks = calloc(1, n * sizeof *values);
    assert_true(values && blocks);
    for (uint64_t i = 0; i < n; i++) values[i] = weight(hash_name(t->name), i, 0.5, 0.0);
    if (format->encode) format->encode(values, NULL, blocks, n / format->block_size);
    else
        for (uint64_t b = 0; b < n / format->block_size; b++) { // of IQ4_NL: a scale of 2^-7, and any codes
            uint8_t *block = (uint8_t *)blocks + b * format->block_bytes;
            block[1] = 0x20;
            for (size_t i = 2; i < format->block_bytes; i++) block[i] = (uint8_t)(37 * (b + i));
        }
    free(values);
    return blocks;
}

// Writes tensors up to one without a name. alpha < 0: it is a model, not an adapter.
static void write_gguf(const char *name, const char *family, float alpha, const struct made *tensors)
{
    struct sc_gguf_writer *writer;
    socle_error err;
    void *kept[20];
    size_t n = 0;
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_gguf_writer_set_text(writer, "general.architecture", sc_text_of(family), &err), &err);
    if (alpha >= 0) {
        must(sc_gguf_writer_set_text(writer, "general.type", sc_text_of("adapter"), &err), &err);
        must(sc_gguf_writer_set_text(writer, "adapter.type", sc_text_of("lora"), &err), &err);
        must(sc_gguf_writer_set_f32(writer, "adapter.lora.alpha", alpha, &err), &err);
    } else must(sc_gguf_writer_set_u32(writer, "general.file_type", 7, &err), &err);
    for (; tensors[n].name; n++) {
        const struct made *t = &tensors[n];
        kept[n] = values_of(t);
        must(sc_gguf_writer_add_tensor(writer, t->name, sc_format_find_name(t->format), t->matrices > 1 ? 3 : 2,
                                       (uint64_t[]){ t->k, t->rows, t->matrices }, kept[n], &err),
             &err);
    }
    must(sc_gguf_writer_write(writer, at(name), &err), &err);
    sc_gguf_writer_free(writer);
    while (n) free(kept[--n]);
}

#define Q "blk.0.attn_q.weight"
#define V "blk.0.attn_v.weight"
#define UP "blk.0.ffn_up.weight"

static const struct made model[] = { { "token_embd.weight", "F32", K, ROWS, 1 },
                                     { Q, "F32", K, ROWS, 1 },
                                     { V, "Q8_0", K, ROWS, 1 },
                                     { UP, "IQ4_NL", K, ROWS, 1 },
                                     { "blk.0.ffn_up_exps.weight", "F32", K, ROWS, 2 },
                                     { 0 } };
static const struct made change[] = { { Q ".lora_a", "F32", K, RANK, 1 },
                                      { Q ".lora_b", "F32", RANK, ROWS, 1 },
                                      { V ".lora_a", "F16", K, RANK, 1 },
                                      { V ".lora_b", "F32", RANK, ROWS, 1 },
                                      { UP ".lora_a", "F32", K, RANK, 1 },
                                      { UP ".lora_b", "F32", RANK, ROWS, 1 },
                                      { 0 } };
static const struct made other[] = { { Q ".lora_a", "F32", K, 1, 1 }, { Q ".lora_b", "F32", 1, ROWS, 1 }, { 0 } };

static int write_files(void **state)
{
    (void)state;
    write_gguf("model.gguf", "llama", -1, model);
    write_gguf("change.gguf", "llama", 6.0f, change);
    write_gguf("other.gguf", "llama", 0.0f, other); // alpha 0: it counts once
    return 0;
}

static int remove_files(void **state)
{
    static const char *const names[] = {
        "model.gguf", "change.gguf", "other.gguf", "out.gguf", "two.gguf", "bad.gguf"
    };
    (void)state;
    for (size_t i = 0; i < SC_COUNT(names); i++) unlink(at(names[i]));
    return 0;
}

static socle_status merge(const char *base, const char *adapter, const socle_adapter_merge_options *o, socle_error *err)
{
    socle_adapter one = { at(adapter), 1.0f };
    return socle_adapter_merge(at(base), &one, 1, at("out.gguf"), o, NULL, err);
}

// ---- merging

// The weights of a tensor of a file, decoded: [K * ROWS].
static void read_weights(const char *file, const char *name, const char *format, float out[K * ROWS])
{
    struct sc_gguf *gguf;
    socle_error err;
    must(sc_gguf_open(at(file), &gguf, &err), &err);
    const struct sc_tensor *t = sc_gguf_find_tensor(gguf, name);
    assert_non_null(t);
    assert_string_equal(t->format->name, format);
    assert_int_equal(t->shape[0] * t->shape[1], K * ROWS);
    t->format->decode(t->data, out, K * ROWS / t->format->block_size);
    sc_gguf_close(gguf);
}

// As merge.h says it, bit for bit.
static void change_by_hand(const struct made *a, const struct made *b, float factor, float w[K * ROWS])
{
    float *as = malloc(a->k * a->rows * sizeof *as), *bs = malloc(b->k * b->rows * sizeof *bs);
    void *a_blocks = values_of(a), *b_blocks = values_of(b);
    assert_true(as && bs);
    sc_format_find_name(a->format)->decode(a_blocks, as, a->k * a->rows);
    sc_format_find_name(b->format)->decode(b_blocks, bs, b->k * b->rows);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < K; i++) {
            float delta = 0.0f;
            for (size_t j = 0; j < a->rows; j++) delta += bs[r * a->rows + j] * as[j * K + i];
            w[r * K + i] += factor * delta;
        }
    free(a_blocks);
    free(b_blocks);
    free(as);
    free(bs);
}

static void merging_adds_the_scaled_product_of_both_halves(void **state)
{
    (void)state;
    float found[K * ROWS], expected[K * ROWS];
    socle_error err;
    socle_adapter_merge_result told;
    socle_adapter both[] = { { at("change.gguf"), 0.5f }, { at("other.gguf"), -1.0f } };
    must(socle_adapter_merge(at("model.gguf"), both, 2, at("out.gguf"), NULL, &told, &err), &err);
    assert_int_equal(told.n_tensors, 5);
    assert_int_equal(told.n_changed, 3);
    assert_true(told.change > 0.01 && told.rounding > 0.0 && told.rounding < 0.1);
    read_weights("model.gguf", Q, "F32", expected);
    change_by_hand(&change[0], &change[1], 0.5f * (6.0f / RANK), expected);
    change_by_hand(&other[0], &other[1], -1.0f, expected);
    read_weights("out.gguf", Q, "F32", found);
    assert_memory_equal(found, expected, sizeof found);
    // Blocks of Q8_0 are made again: half a step of the largest away at most.
    read_weights("model.gguf", V, "Q8_0", expected);
    change_by_hand(&change[2], &change[3], 0.5f * (6.0f / RANK), expected);
    read_weights("out.gguf", V, "Q8_0", found);
    for (size_t i = 0; i < K * ROWS; i++) assert_true(fabs((double)found[i] - (double)expected[i]) < 0.004);
    // What no adapter changes is copied.
    read_weights("model.gguf", "token_embd.weight", "F32", expected);
    read_weights("out.gguf", "token_embd.weight", "F32", found);
    assert_memory_equal(found, expected, sizeof found);
}

static void a_format_that_cannot_be_made_becomes_f16(void **state)
{
    (void)state;
    float found[K * ROWS], expected[K * ROWS];
    socle_error err;
    socle_adapter_merge_result told;
    socle_adapter one = { at("change.gguf"), 1.0f };
    must(socle_adapter_merge(at("model.gguf"), &one, 1, at("out.gguf"), NULL, &told, &err), &err);
    assert_int_equal(told.n_replaced, 1);
    assert_string_equal(told.replaced, "IQ4_NL");
    read_weights("model.gguf", UP, "IQ4_NL", expected);
    change_by_hand(&change[4], &change[5], 6.0f / RANK, expected);
    read_weights("out.gguf", UP, "F16", found);
    for (size_t i = 0; i < K * ROWS; i++) assert_true(fabs((double)found[i] - (double)expected[i]) < 0.002);
}

static void changed_weights_may_be_given_another_type(void **state)
{
    (void)state;
    float found[K * ROWS];
    socle_error err;
    must(merge("model.gguf", "change.gguf", &(socle_adapter_merge_options){ .type = "bf16" }, &err), &err);
    read_weights("out.gguf", Q, "BF16", found);
    read_weights("out.gguf", V, "BF16", found);
    read_weights("out.gguf", "token_embd.weight", "F32", found);
    // Rows of 64 do not fill blocks of 256.
    must(merge("model.gguf", "other.gguf", &(socle_adapter_merge_options){ .type = "Q4_K" }, &err), &err);
    read_weights("out.gguf", Q, "F16", found);
    expect(merge("model.gguf", "other.gguf", &(socle_adapter_merge_options){ .type = "Q4_X" }, &err),
           SOCLE_BAD_ARGUMENT, &err, "no format is called 'Q4_X'; expected F32");
    expect(merge("model.gguf", "other.gguf", &(socle_adapter_merge_options){ .type = "Q3_K" }, &err), SOCLE_UNSUPPORTED,
           &err, "Q3_K can be read but not made");
}

static char *read_whole(const char *file, size_t *n)
{
    char *data;
    socle_error err;
    must(sc_read_file(file, 1 << 24, &data, n, &err), &err);
    return data;
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    size_t n, m;
    socle_error err;
    socle_adapter one = { at("change.gguf"), 1.0f };
    for (uint32_t threads = 1; threads <= 3; threads += 2)
        must(socle_adapter_merge(at("model.gguf"), &one, 1, at(threads == 1 ? "out.gguf" : "two.gguf"),
                                 &(socle_adapter_merge_options){ .n_threads = threads }, NULL, &err),
             &err);
    char *a = read_whole(at("out.gguf"), &n), *b = read_whole(at("two.gguf"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

// ---- what cannot be merged

static void refuse(const char *family, const struct made *tensors, socle_status status, const char *part)
{
    size_t n;
    socle_error err;
    must(sc_write_file(at("out.gguf"), "as it was", 9, &err), &err);
    write_gguf("bad.gguf", family, 1.0f, tensors);
    err.message[0] = '\0';
    expect(merge("model.gguf", "bad.gguf", NULL, &err), status, &err, part);
    char *left = read_whole(at("out.gguf"), &n);
    assert_true(n == 9 && memcmp(left, "as it was", 9) == 0);
    free(left);
}

static void adapters_for_other_models_are_refused(void **state)
{
    (void)state;
    const struct made wide[] = { { Q ".lora_a", "F32", K + 1, 2, 1 }, { Q ".lora_b", "F32", 2, ROWS, 1 }, { 0 } };
    const struct made tall[] = { { Q ".lora_a", "F32", K, 2, 1 }, { Q ".lora_b", "F32", 2, ROWS + 1, 1 }, { 0 } };
    const struct made inner[] = { { Q ".lora_a", "F32", K, 2, 1 }, { Q ".lora_b", "F32", 3, ROWS, 1 }, { 0 } };
    const struct made none[] = { { "blk.7.attn_q.weight.lora_a", "F32", K, 2, 1 },
                                 { "blk.7.attn_q.weight.lora_b", "F32", 2, ROWS, 1 },
                                 { 0 } };
    refuse("llama", wide, SOCLE_BAD_FILE, "made for another model");
    refuse("llama", tall, SOCLE_BAD_FILE, "made for another model");
    refuse("llama", inner, SOCLE_BAD_FILE, "made for another model");
    refuse("llama", none, SOCLE_BAD_FILE, "made for another model");
    refuse("qwen2", other, SOCLE_BAD_FILE, "of the family 'qwen2'");
}

static void adapters_that_are_no_whole_ones_are_refused(void **state)
{
    (void)state;
    const struct made no_b[] = { change[0], { 0 } }, no_a[] = { change[0], change[1], change[3], { 0 } };
    const struct made more[] = { change[0], change[1], { "blk.0.attn_norm.weight", "F32", K, 1, 1 }, { 0 } };
    const struct made ranks[] = {
        change[0], change[1], { V ".lora_a", "F32", K, 2, 1 }, { V ".lora_b", "F32", 2, ROWS, 1 }, { 0 }
    };
    const struct made experts[] = { { "blk.0.ffn_up_exps.weight.lora_a", "F32", K, 2, 1 },
                                    { "blk.0.ffn_up_exps.weight.lora_b", "F32", 2, ROWS, 1 },
                                    { 0 } };
    const struct made table[] = { { "token_embd.weight.lora_a", "F32", K, 2, 1 },
                                  { "token_embd.weight.lora_b", "F32", 2, ROWS, 1 },
                                  { 0 } };
    socle_error err;
    refuse("llama", no_b, SOCLE_BAD_FILE, "'" Q ".lora_a' has no '.lora_b'");
    refuse("llama", no_a, SOCLE_BAD_FILE, "'" V ".lora_b' has no '.lora_a'");
    refuse("llama", more, SOCLE_UNSUPPORTED, "'blk.0.attn_norm.weight' is no half");
    refuse("llama", ranks, SOCLE_UNSUPPORTED, "expected one rank");
    refuse("llama", experts, SOCLE_UNSUPPORTED, "experts");
    refuse("llama", table, SOCLE_UNSUPPORTED, "embeddings");
    refuse("llama", (const struct made[]){ { 0 } }, SOCLE_BAD_FILE, "changes nothing");
    expect(merge("change.gguf", "change.gguf", NULL, &err), SOCLE_BAD_FILE, &err, "made for another model");
    expect(merge("model.gguf", "model.gguf", NULL, &err), SOCLE_BAD_FILE, &err, "no LoRA adapter");
    expect(merge("model.gguf", "none.gguf", NULL, &err), SOCLE_IO, &err, "none.gguf");
}

static void sources_are_not_written_over(void **state)
{
    (void)state;
    socle_error err;
    socle_adapter one = { at("change.gguf"), 1.0f }, wild = { at("change.gguf"), INFINITY },
                  huge = { wild.path, 3e38f };
    expect(socle_adapter_merge(at("model.gguf"), &one, 1, at("model.gguf"), NULL, NULL, &err), SOCLE_BAD_ARGUMENT, &err,
           "is the source itself");
    expect(socle_adapter_merge(at("model.gguf"), &one, 1, at("change.gguf"), NULL, NULL, &err), SOCLE_BAD_ARGUMENT,
           &err, "is the source itself");
    expect(socle_adapter_merge(at("model.gguf"), NULL, 0, at("out.gguf"), NULL, NULL, &err), SOCLE_BAD_ARGUMENT, &err,
           "no adapter");
    expect(socle_adapter_merge(at("model.gguf"), &wild, 1, at("out.gguf"), NULL, NULL, &err), SOCLE_BAD_ARGUMENT, &err,
           "scale");
    expect(socle_adapter_merge(at("model.gguf"), &huge, 1, at("out.gguf"), NULL, NULL, &err), SOCLE_NOT_FINITE, &err,
           "'" Q "'");
}

static bool stop_early(void *context, const char *tensor, uint64_t done, uint64_t total)
{
    (void)tensor;
    assert_true(done <= total);
    return ++*(int *)context < 2;
}

static void merging_stops_when_it_is_told_to(void **state)
{
    (void)state;
    int n = 0;
    socle_error err;
    unlink(at("out.gguf"));
    expect(merge("model.gguf", "change.gguf",
                 &(socle_adapter_merge_options){ .on_progress = stop_early, .context = &n }, &err),
           SOCLE_CANCELLED, &err, "stopped at tensor");
    assert_int_equal(n, 2);
    assert_int_not_equal(access(at("out.gguf"), F_OK), 0);
}

// ---- PEFT's folders

struct logits {
    float rows[24][64];
};

static bool keep(void *context, size_t i, const float *logits)
{
    memcpy(((struct logits *)context)->rows[i], logits, sizeof(float) * 64);
    return true;
}

static void check_logits(const char *file, const json_t *base, const json_t *one)
{
    static const size_t positions[] = { 0, 11, 23 };
    struct logits found;
    socle_model *loaded;
    socle_session *session;
    socle_error err;
    int32_t tokens[24];
    size_t i;
    json_t *token;
    json_array_foreach (json_object_get(base, "tokens"), i, token) tokens[i] = (int32_t)json_integer_value(token);
    must(socle_model_load(file, &loaded, &err), &err);
    socle_session_options options = { .cache = SOCLE_CACHE_F32, .n_logits = 24 };
    must(socle_session_create(loaded, &options, &session, &err), &err);
    must(socle_evaluate(session, tokens, 24, 0, keep, &found, &err), &err);
    for (size_t p = 0; p < 3; p++)
        for (size_t v = 0; v < 64; v++) {
            double expected = json_number_value(json_array_get(json_array_get(json_object_get(one, "logits"), p), v));
            double logit = (double)found.rows[positions[p]][v];
            if (fabs(logit - expected) > 2e-5)
                fail_msg("%s: logit %zu at position %zu: expected %g, found %g",
                         json_string_value(json_object_get(one, "name")), v, positions[p], expected, logit);
        }
    socle_session_free(session);
    socle_model_free(loaded);
}

// The base of a case as a GGUF file in `result`, and the adapter's two files in `folder`.
static void write_case(const json_t *bases, const json_t *one)
{
    socle_error err;
    const json_t *base = find_case(bases, json_string_value(json_object_get(one, "base")));
    put("config.json", json_object_get(base, "config"));
    write_weights(base, "model.safetensors", ALL, SC_SAFETENSORS_F32);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
    clear_folder();
    put("adapter_config.json", json_object_get(one, "config"));
    write_weights(one, "adapter_model.safetensors", ALL, SC_SAFETENSORS_F32);
}

static void remove_case(void)
{
    static const char *const names[] = { "adapter_config.json", "adapter_model.safetensors" };
    for (size_t i = 0; i < SC_COUNT(names); i++) {
        char file[400];
        snprintf(file, sizeof file, "%s/%s", back, names[i]);
        unlink(file);
        unlink(in_folder(names[i]));
    }
    rmdir(back);
}

static void merged_adapters_of_peft_compute_what_peft_computes(void **state)
{
    (void)state;
    json_t *bases = load("hf_cases.json"), *cases = load("peft_cases.json"), *one;
    socle_error err;
    size_t i;
    assert_int_equal(json_array_size(cases), 3);
    json_array_foreach (cases, i, one) {
        socle_adapter adapter = { at("change.gguf"), 1.0f };
        socle_convert_result told;
        write_case(bases, one);
        must(socle_convert(folder, adapter.path, &(socle_convert_options){ .base = result }, &told, &err), &err);
        assert_int_equal(told.n_tensors, json_array_size(json_object_get(one, "tensors")));
        must(socle_adapter_merge(result, &adapter, 1, at("out.gguf"), NULL, NULL, &err), &err);
        const json_t *base = find_case(bases, json_string_value(json_object_get(one, "base")));
        check_logits(at("out.gguf"), base, one);
    }
    remove_case();
    json_decref(bases);
    json_decref(cases);
}

static void check_config(const json_t *one, bool same)
{
    char file[400];
    snprintf(file, sizeof file, "%s/adapter_config.json", back);
    json_t *config = json_load_file(file, 0, NULL), *target;
    size_t i, n_short = 0;
    assert_non_null(config);
    assert_string_equal(json_string_value(json_object_get(config, "peft_type")), "LORA");
    assert_string_equal(json_string_value(json_object_get(config, "bias")), "none");
    if (same) // where pairs have factors of their own, these are others
        assert_int_equal(json_integer_value(json_object_get(config, "r")),
                         json_integer_value(json_object_get(json_object_get(one, "config"), "r")));
    json_array_foreach (json_object_get(config, "target_modules"), i, target)
        n_short += strchr(json_string_value(target), '.') == NULL;
    assert_int_equal(i, json_array_size(json_object_get(json_object_get(one, "config"), "target_modules")));
    assert_int_equal(n_short, same ? i : i - 1); // one module that changes in some layers only
    json_decref(config);
}

// `same`: bit for bit.
static void check_tensors(const json_t *one, bool same)
{
    struct sc_safetensors *written, *own;
    char file[400];
    socle_error err;
    size_t i;
    json_t *tensor;
    snprintf(file, sizeof file, "%s/adapter_model.safetensors", back);
    must(sc_safetensors_open(file, &written, &err), &err);
    must(sc_safetensors_open(in_folder("adapter_model.safetensors"), &own, &err), &err);
    assert_int_equal(sc_safetensors_n(written), sc_safetensors_n(own));
    json_array_foreach (json_object_get(one, "tensors"), i, tensor) {
        struct sc_text name = sc_text_of(json_string_value(json_array_get(tensor, 0)));
        const struct sc_safetensors_tensor *a = sc_safetensors_find(written, name), *b = sc_safetensors_find(own, name);
        assert_true(a && b);
        if (same) assert_int_equal(a->n_bytes, b->n_bytes);
        if (same) assert_memory_equal(a->data, b->data, a->n_bytes);
    }
    sc_safetensors_free(written);
    sc_safetensors_free(own);
}

static void what_is_written_for_peft_is_what_it_wrote(void **state)
{
    (void)state;
    json_t *bases = load("hf_cases.json"), *cases = load("peft_cases.json"), *one;
    socle_error err;
    size_t i;
    json_array_foreach (cases, i, one) {
        socle_convert_options o = { .base = result };
        bool same = strstr(json_string_value(json_object_get(one, "name")), "patterns") == NULL;
        remove_case();
        write_case(bases, one);
        must(socle_convert(folder, at("change.gguf"), &o, NULL, &err), &err);
        must(socle_convert_back(at("change.gguf"), back, &o, NULL, &err), &err);
        check_config(one, same);
        check_tensors(one, same);
        expect(socle_convert_back(at("change.gguf"), back, &o, NULL, &err), SOCLE_BAD_ARGUMENT, &err,
               "is there already");
        // Through GGUF once more: the same file.
        if (!same) continue;
        size_t n, m;
        must(socle_convert(back, at("two.gguf"), &o, NULL, &err), &err);
        char *x = read_whole(at("change.gguf"), &n), *y = read_whole(at("two.gguf"), &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
        free(x);
        free(y);
    }
    remove_case();
    json_decref(bases);
    json_decref(cases);
}

static void refuse_config(const json_t *one, const char *key, json_t *value, socle_status status, const char *part)
{
    json_t *config = json_deep_copy(json_object_get(one, "config"));
    socle_error err;
    json_object_set_new(config, key, value);
    put("adapter_config.json", config);
    json_decref(config);
    err.message[0] = '\0';
    expect(socle_convert(folder, at("two.gguf"), &(socle_convert_options){ .base = result }, NULL, &err), status, &err,
           part);
    assert_int_not_equal(access(at("two.gguf"), F_OK), 0);
}

static void what_is_no_plain_lora_is_refused_by_name(void **state)
{
    (void)state;
    json_t *bases = load("hf_cases.json"), *cases = load("peft_cases.json");
    const json_t *one = find_case(cases, "llama");
    unlink(at("two.gguf"));
    write_case(bases, one);
    refuse_config(one, "peft_type", json_string("IA3"), SOCLE_UNSUPPORTED, "peft_type is 'IA3'");
    refuse_config(one, "use_dora", json_true(), SOCLE_UNSUPPORTED, "'use_dora'");
    refuse_config(one, "bias", json_string("all"), SOCLE_UNSUPPORTED, "bias is 'all'");
    refuse_config(one, "modules_to_save", json_pack("[s]", "lm_head"), SOCLE_UNSUPPORTED, "'modules_to_save'");
    refuse_config(one, "target_parameters", json_pack("[s]", "w"), SOCLE_UNSUPPORTED, "'target_parameters'");
    refuse_config(one, "init_lora_weights", json_string("pissa_niter_4"), SOCLE_UNSUPPORTED, "'pissa_niter_4'");
    refuse_config(one, "alpha_pattern", json_pack("{s:i}", "layers.(0|1).x", 3), SOCLE_UNSUPPORTED,
                  "regular expression");
    refuse_config(one, "r", json_integer(8), SOCLE_BAD_FILE, "has rank 4, but adapter_config.json says 8");
    refuse_config(one, "r", json_string("8"), SOCLE_BAD_FILE, "key 'r'");
    refuse_config(one, "lora_alpha", json_integer(0), SOCLE_BAD_FILE, "key 'lora_alpha'");
    remove_case();
    json_decref(bases);
    json_decref(cases);
}

// The case with its first tensor under another name.
static void refuse_name(const json_t *one, const char *name, socle_status status, const char *part)
{
    json_t *other_names = json_deep_copy(one);
    socle_error err;
    json_array_set_new(json_array_get(json_object_get(other_names, "tensors"), 0), 0, json_string(name));
    write_weights(other_names, "adapter_model.safetensors", ALL, SC_SAFETENSORS_F32);
    json_decref(other_names);
    err.message[0] = '\0';
    expect(socle_convert(folder, at("two.gguf"), &(socle_convert_options){ .base = result }, NULL, &err), status, &err,
           part);
}

static void every_tensor_of_an_adapter_must_have_a_place(void **state)
{
    (void)state;
    json_t *bases = load("hf_cases.json"), *cases = load("peft_cases.json");
    const json_t *one = find_case(cases, "llama");
    socle_error err;
    write_case(bases, one);
    refuse_name(one, "base_model.model.model.layers.0.mlp.experts.0.up_proj.lora_A.weight", SOCLE_BAD_FILE,
                "has no lora_A");
    json_array_remove(json_object_get(one, "tensors"), 1); // the other half
    refuse_name(one, "base_model.model.model.layers.0.mlp.experts.0.up_proj.lora_A.weight", SOCLE_UNSUPPORTED,
                "experts");
    refuse_name(one, "base_model.model.model.embed_tokens.lora_embedding_A", SOCLE_UNSUPPORTED, "embeddings");
    refuse_name(one, "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight", SOCLE_UNSUPPORTED, "has no place in");
    refuse_name(one, "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector", SOCLE_UNSUPPORTED, "DoRA");
    // An adapter is none without its base, nor with another one.
    expect(socle_convert(folder, at("two.gguf"), NULL, NULL, &err), SOCLE_BAD_ARGUMENT, &err, "--base");
    expect(socle_convert_back(at("other.gguf"), back, NULL, NULL, &err), SOCLE_BAD_ARGUMENT, &err, "--base");
    expect(socle_convert_back(at("other.gguf"), back, &(socle_convert_options){ .base = result }, NULL, &err),
           SOCLE_BAD_FILE, &err, "made for another model");
    write_case(bases, find_case(cases, "phi3-rslora"));
    write_weights(find_case(cases, "qwen3-patterns"), "adapter_model.safetensors", ALL, SC_SAFETENSORS_F32);
    expect(socle_convert(folder, at("two.gguf"), &(socle_convert_options){ .base = result }, NULL, &err),
           SOCLE_BAD_FILE, &err, "adapter_config.json says 3");
    assert_int_not_equal(access(at("two.gguf"), F_OK), 0);
    remove_case();
    json_decref(bases);
    json_decref(cases);
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, write_files, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(merging_adds_the_scaled_product_of_both_halves),
        WITH_FILES(a_format_that_cannot_be_made_becomes_f16),
        WITH_FILES(changed_weights_may_be_given_another_type),
        WITH_FILES(any_number_of_threads_gives_the_same_bytes),
        WITH_FILES(adapters_for_other_models_are_refused),
        WITH_FILES(adapters_that_are_no_whole_ones_are_refused),
        WITH_FILES(sources_are_not_written_over),
        WITH_FILES(merging_stops_when_it_is_told_to),
        WITH_FILES(merged_adapters_of_peft_compute_what_peft_computes),
        WITH_FILES(what_is_written_for_peft_is_what_it_wrote),
        WITH_FILES(what_is_no_plain_lora_is_refused_by_name),
        WITH_FILES(every_tensor_of_an_adapter_must_have_a_place),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
