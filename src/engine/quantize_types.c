// Which tensor gets which format.
//
// Some weights are worth more bits than others: the output matrix, whose error goes straight into the logits; values
// and the feed-forward's last product, in the first and last layers most. The choices are those of llama.cpp's
// quantizer (src/llama-quant.cpp), so that a type means the same in both programs.
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "engine/quantize.h"

static const struct sc_quantize_type types[] = {
    { "F32", "as exact as files get", "F32", 0, SC_MIX_NONE },
    { "F16", "half precision: half of F32", "F16", 1, SC_MIX_NONE },
    { "BF16", "half of F32, with F32's range", "BF16", 32, SC_MIX_NONE },
    { "Q8_0", "8.5 bits a weight, hardly any loss", "Q8_0", 7, SC_MIX_NONE },
    { "Q6_K", "6.6 bits", "Q6_K", 18, SC_MIX_NONE },
    { "Q5_K_M", "5.7 bits, values and down products in part Q6_K", "Q5_K", 17, SC_MIX_MEDIUM },
    { "Q5_K_S", "5.5 bits", "Q5_K", 16, SC_MIX_SMALL },
    { "Q5_K", "5.5 bits, every matrix but the output", "Q5_K", 16, SC_MIX_NONE },
    { "Q5_1", "6 bits, for rows that are no multiple of 256", "Q5_1", 9, SC_MIX_NONE },
    { "Q5_0", "5.5 bits, for rows that are no multiple of 256", "Q5_0", 8, SC_MIX_NONE },
    { "Q4_K_M", "4.8 bits: the usual choice", "Q4_K", 15, SC_MIX_MEDIUM },
    { "Q4_K_S", "4.6 bits", "Q4_K", 14, SC_MIX_SMALL },
    { "Q4_K", "4.5 bits, every matrix but the output", "Q4_K", 14, SC_MIX_NONE },
    { "Q4_1", "5 bits, for rows that are no multiple of 256", "Q4_1", 3, SC_MIX_NONE },
    { "Q4_0", "4.5 bits, the simplest", "Q4_0", 2, SC_MIX_NONE },
};

const struct sc_quantize_type *sc_quantize_type_at(size_t i) { return i < SC_COUNT(types) ? &types[i] : NULL; }

static void list_types(struct sc_buffer *out)
{
    for (size_t i = 0; i < SC_COUNT(types); i++) sc_buffer_printf(out, "%s%s", i ? ", " : "", types[i].name);
}

static socle_status fail_unknown(const char *name, socle_error *err)
{
    struct sc_buffer list = { 0 };
    list_types(&list);
    const struct sc_format *format = sc_format_find_name(name);
    socle_status status;
    if (format)
        status = sc_fail(err, SOCLE_UNSUPPORTED, "%s can be read but not made; expected %s", format->name,
                         list.data ? list.data : "another type");
    else
        status = sc_fail(err, SOCLE_BAD_ARGUMENT, "no type is called '%s'; expected %s", name,
                         list.data ? list.data : "another type");
    sc_buffer_free(&list);
    return status;
}

// Names are ASCII; the C library's comparison would ask the locale.
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_name(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) a++, b++;
    return lower(*a) == lower(*b);
}

socle_status sc_quantize_type_find(const char *name, const struct sc_quantize_type **out, socle_error *err)
{
    for (size_t i = 0; i < SC_COUNT(types); i++) {
        if (!same_name(types[i].name, name)) continue;
        *out = &types[i];
        return SOCLE_OK;
    }
    return fail_unknown(name, err);
}

// ---- overrides

struct override {
    char *pattern;                  // owned
    const struct sc_format *format; // NULL: keep as it is
    uint64_t n_matches;             // matrices
};

static socle_status read_override(const char *text, struct override *out, socle_error *err)
{
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text || equals[1] == '\0')
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "override '%s': expected PATTERN=TYPE, as in 'blk.*.attn_v.weight=Q8_0'", text);
    if (!same_name(equals + 1, "keep")) {
        out->format = sc_format_find_name(equals + 1);
        if (!out->format || !out->format->encode) {
            socle_status status = fail_unknown(equals + 1, err);
            sc_fail_prefix(err, "override '%s'", text);
            return status;
        }
    }
    out->pattern = strndup(text, (size_t)(equals - text));
    return out->pattern ? SOCLE_OK : sc_fail_memory(err, strlen(text), "an override");
}

static struct override *find_override(struct override *overrides, size_t n, const char *name)
{
    struct override *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (fnmatch(overrides[i].pattern, name, 0) != 0) continue;
        overrides[i].n_matches++;
        if (!first) first = &overrides[i];
    }
    return first;
}

// ---- what a model is like

struct facts {
    const struct sc_gguf *gguf;
    const struct sc_quantize_type *type;
    bool has_imatrix, has_output, shares_values;
    uint32_t n_layer, n_expert, n_value_tensors;
};

static bool contains(const char *name, const char *part) { return strstr(name, part) != NULL; }

static bool is_value(const char *name)
{
    return contains(name, "attn_v.weight") || contains(name, "attn_qkv.weight") || contains(name, "attn_kv_b.weight");
}

static void copy_name(const struct sc_tensor *tensor, char out[128])
{
    snprintf(out, 128, "%.*s", SC_TEXT_ARGS(tensor->name));
}

static socle_status learn(const struct sc_gguf *gguf, struct facts *facts, socle_error *err)
{
    struct sc_text family = { 0 };
    char key[128];
    uint32_t n_head = 0, n_head_kv = 0;
    facts->gguf = gguf;
    SC_TRY(sc_gguf_get_text(gguf, "general.architecture", &family, err));
    if (family.data && family.n_bytes < 64) {
        snprintf(key, sizeof key, "%.*s.block_count", SC_TEXT_ARGS(family));
        SC_TRY(sc_gguf_get_u32(gguf, key, &facts->n_layer, err));
        snprintf(key, sizeof key, "%.*s.expert_count", SC_TEXT_ARGS(family));
        SC_TRY(sc_gguf_get_u32(gguf, key, &facts->n_expert, err));
        // Some families have a count of heads for each layer, which is no single number.
        snprintf(key, sizeof key, "%.*s.attention.head_count", SC_TEXT_ARGS(family));
        if (sc_gguf_get_u32(gguf, key, &n_head, NULL) != SOCLE_OK) n_head = 0;
        snprintf(key, sizeof key, "%.*s.attention.head_count_kv", SC_TEXT_ARGS(family));
        if (sc_gguf_get_u32(gguf, key, &n_head_kv, NULL) != SOCLE_OK) n_head_kv = 0;
    }
    // The 70B models: small matrices of values, which eight heads share, deserve more bits.
    facts->shares_values = facts->n_layer == 80 && n_head != n_head_kv && n_head_kv != 0;
    facts->has_output = sc_gguf_find_tensor(gguf, "output.weight") != NULL;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        char name[128];
        copy_name(sc_gguf_tensor_at(gguf, i), name);
        facts->n_value_tensors += is_value(name);
    }
    return SOCLE_OK;
}

// Norms, biases, routers and other small tensors stay as they are: they weigh little, and much depends on them.
static bool is_matrix(const struct sc_tensor *tensor, const char *name)
{
    static const char *const kept[] = { "_norm.weight",   "ffn_gate_inp",      "ffn_gate_tid2eid",     "altup",
                                        "laurel",         "position_embd",     "token_types",          "ssm_conv1d",
                                        "shortconv.conv", "attn_rel_b.weight", "per_layer_model_proj", "time_mix_" };
    size_t n = strlen(name);
    if (tensor->n_dims < 2 || n < 6 || strcmp(name + n - 6, "weight") != 0) return false;
    for (size_t i = 0; i < SC_COUNT(kept); i++)
        if (contains(name, kept[i])) return false;
    return true;
}

static uint32_t layer_of(const char *name)
{
    unsigned layer = 0;
    return sscanf(name, "blk.%u.", &layer) == 1 ? layer : 0;
}

// The first and the last eighth of the layers, and every third between.
static bool deserves_more(uint32_t layer, uint32_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

// How many such tensors lie in layers before this one.
static uint32_t rank_among_values(const struct facts *facts, const char *name)
{
    uint32_t rank = 0, layer = layer_of(name);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(facts->gguf); i++) {
        char other[128];
        copy_name(sc_gguf_tensor_at(facts->gguf, i), other);
        rank += is_value(other) && layer_of(other) < layer;
    }
    return rank;
}

// ---- the choice

static const char *choose_value(const struct facts *facts, const char *name)
{
    const struct sc_quantize_type *type = facts->type;
    uint32_t rank = rank_among_values(facts, name);
    const char *format = type->format;
    if (type->mix == SC_MIX_MEDIUM && deserves_more(rank, facts->n_value_tensors)) format = "Q6_K";
    else if (type->mix == SC_MIX_SMALL && strcmp(format, "Q4_K") == 0 && rank < 4) format = "Q5_K";
    if (facts->shares_values && strcmp(format, "Q4_K") == 0) format = "Q5_K";
    return facts->n_expert == 8 ? "Q8_0" : format;
}

static const char *choose_down(const struct facts *facts, const char *name)
{
    const struct sc_quantize_type *type = facts->type;
    uint32_t layer = layer_of(name), n = facts->n_layer;
    bool early = layer < n / 8;
    if (type->mix == SC_MIX_MEDIUM && deserves_more(layer, n)) return "Q6_K";
    if (type->mix == SC_MIX_SMALL && strcmp(type->format, "Q4_K") == 0 && early) return "Q5_K";
    if (facts->has_imatrix && early && strcmp(type->format, "Q4_0") == 0) return "Q4_1";
    if (facts->has_imatrix && early && strcmp(type->format, "Q5_0") == 0) return "Q5_1";
    return type->format;
}

static const struct sc_format *choose(const struct facts *facts, const struct sc_tensor *tensor, const char *name)
{
    const struct sc_format *plain = sc_format_find_name(facts->type->format);
    const char *chosen = plain->name;
    if (!plain->unpack) return plain; // F32, F16, BF16
    bool is_output = strcmp(name, "output.weight") == 0;
    bool is_tied = !facts->has_output && strcmp(name, "token_embd.weight") == 0;
    if (is_output || is_tied) {
        if (tensor->shape[0] % plain->block_size != 0) chosen = "Q8_0";
        else if (strcmp(chosen, "Q8_0") != 0) chosen = "Q6_K";
    } else if (is_value(name)) {
        chosen = choose_value(facts, name);
    } else if (contains(name, "attn_k.weight") && facts->n_expert == 8) {
        chosen = "Q8_0";
    } else if (contains(name, "ffn_down")) {
        chosen = choose_down(facts, name);
    } else if (contains(name, "attn_output.weight") && facts->n_expert == 8 && facts->type->mix != SC_MIX_NONE &&
               strcmp(chosen, "Q4_K") == 0) {
        chosen = "Q5_K";
    }
    return sc_format_find_name(chosen);
}

// What stands in for a format whose blocks the rows cannot fill.
static const struct sc_format *fall_back(const struct sc_format *format, uint64_t k)
{
    static const char *const table[][2] = { { "Q4_K", "Q5_0" }, { "Q5_K", "Q5_1" }, { "Q6_K", "Q8_0" } };
    if (k % format->block_size == 0) return format;
    for (size_t i = 0; i < SC_COUNT(table); i++)
        if (strcmp(format->name, table[i][0]) == 0) format = sc_format_find_name(table[i][1]);
    return k % format->block_size == 0 ? format : sc_format_find_name("F16");
}

// ---- the plan

static socle_status plan_tensor(struct sc_quantization *q, const struct facts *facts, struct override *overrides,
                                size_t n_overrides, struct sc_quantize_entry *entry, socle_error *err)
{
    char name[128];
    const struct sc_tensor *tensor = entry->tensor;
    copy_name(tensor, name);
    entry->wanted = entry->format = tensor->format;
    entry->kept = true;
    if (tensor->packed)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "%s: tensor '%s' is packed, which is for running the model: start from the file that was packed",
                       sc_gguf_path(q->gguf), name);
    if (!is_matrix(tensor, name)) return SOCLE_OK;
    struct override *override = find_override(overrides, n_overrides, name);
    if (override && !override->format) return SOCLE_OK;
    if (tensor->format->unpack)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "%s: tensor '%s' is in %s, so the model is quantized already; quantizing again would add to its "
                       "errors: start from the file in F16, BF16 or F32",
                       sc_gguf_path(q->gguf), name, tensor->format->name);
    entry->wanted = override ? override->format : choose(facts, tensor, name);
    entry->format = fall_back(entry->wanted, tensor->shape[0]);
    entry->kept = entry->format == tensor->format;
    if (!entry->kept && q->imatrix) SC_TRY(sc_imatrix_find(q->imatrix, tensor, &entry->importance, err));
    return SOCLE_OK;
}

static socle_status plan_all(struct sc_quantization *q, struct override *overrides, size_t n_overrides,
                             socle_error *err)
{
    struct facts facts = { .type = q->type, .has_imatrix = q->imatrix != NULL };
    SC_TRY(learn(q->gguf, &facts, err));
    q->n_entries = sc_gguf_n_tensors(q->gguf);
    q->n_bytes_before = sc_gguf_file_bytes(q->gguf);
    if (q->n_entries == 0)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: holds no tensors to quantize", sc_gguf_path(q->gguf));
    q->entries = calloc(q->n_entries, sizeof *q->entries);
    if (!q->entries) return sc_fail_memory(err, q->n_entries * sizeof *q->entries, "the plan of a quantization");
    for (uint64_t i = 0; i < q->n_entries; i++) {
        q->entries[i].tensor = sc_gguf_tensor_at(q->gguf, i);
        SC_TRY(plan_tensor(q, &facts, overrides, n_overrides, &q->entries[i], err));
    }
    for (size_t i = 0; i < n_overrides; i++)
        if (overrides[i].n_matches == 0)
            return sc_fail(err, SOCLE_BAD_ARGUMENT,
                           "override '%s': matches no matrix of %s ('socle inspect --tensors' lists the names)",
                           overrides[i].pattern, sc_gguf_path(q->gguf));
    return SOCLE_OK;
}

socle_status sc_quantize_plan(const char *in, const struct sc_quantize_options *options, struct sc_quantization **out,
                              socle_error *err)
{
    struct sc_quantization *q = calloc(1, sizeof *q);
    struct override *overrides = calloc(options->n_overrides + 1, sizeof *overrides);
    socle_status status = q && overrides ? SOCLE_OK : sc_fail_memory(err, sizeof *q, "the plan of a quantization");
    if (status == SOCLE_OK) status = sc_quantize_type_find(options->type, &q->type, err);
    for (size_t i = 0; i < options->n_overrides && status == SOCLE_OK; i++)
        status = read_override(options->overrides[i], &overrides[i], err);
    if (status == SOCLE_OK) status = sc_gguf_open(in, &q->gguf, err);
    if (status == SOCLE_OK && options->imatrix) {
        status = sc_imatrix_open(options->imatrix, &q->imatrix, err);
        if (status == SOCLE_OK) status = sc_imatrix_check(q->imatrix, q->gguf, err);
    }
    if (status == SOCLE_OK) status = plan_all(q, overrides, options->n_overrides, err);
    for (size_t i = 0; overrides && i < options->n_overrides; i++) free(overrides[i].pattern);
    free(overrides);
    if (status == SOCLE_OK) *out = q;
    else sc_quantize_free(q);
    return status;
}

void sc_quantize_free(struct sc_quantization *q)
{
    if (!q) return;
    free(q->entries);
    sc_imatrix_free(q->imatrix);
    sc_gguf_close(q->gguf);
    free(q);
}
