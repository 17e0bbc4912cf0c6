#include "models/adapters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/size.h"
#include "base/random.h"

struct pair {
    struct sc_text weight;
    uint32_t adapter;
    struct sc_tensor a, b;
};

struct sc_adapter_set {
    struct sc_adapters adapters; // first: the set is found from it
    struct sc_arena arena;
    struct sc_gguf **files; // [n], NULL for a new one
    float *factors;         // [n]
    uint32_t *ranks;        // [n]
    struct pair *pairs;
    size_t n_pairs;
    float dropout;
};

static bool find(const struct sc_adapters *adapters, uint32_t i, struct sc_text weight, struct sc_adapter_pair *out)
{
    const struct sc_adapter_set *set = (const struct sc_adapter_set *)(const void *)adapters;
    for (size_t j = 0; j < set->n_pairs; j++) {
        const struct pair *pair = &set->pairs[j];
        if (pair->adapter != i || !sc_text_equal(pair->weight, weight)) continue;
        *out = (struct sc_adapter_pair){ &pair->a, &pair->b, set->dropout };
        return true;
    }
    return false;
}

static struct sc_adapter_set *new_set(size_t n, size_t n_pairs)
{
    struct sc_adapter_set *set = calloc(1, sizeof *set);
    if (!set) return NULL;
    set->adapters = (struct sc_adapters){ (uint32_t)n, find };
    set->files = sc_arena_array(&set->arena, n + 1, sizeof *set->files);
    set->factors = sc_arena_array(&set->arena, n + 1, sizeof *set->factors);
    set->ranks = sc_arena_array(&set->arena, n + 1, sizeof *set->ranks);
    set->pairs = sc_arena_array(&set->arena, n_pairs + 1, sizeof *set->pairs);
    if (set->files && set->factors && set->ranks && set->pairs) return set;
    sc_adapter_set_free(set);
    return NULL;
}

void sc_adapter_set_free(struct sc_adapter_set *set)
{
    if (!set) return;
    for (uint32_t i = 0; set->files && i < set->adapters.n; i++) sc_gguf_close(set->files[i]);
    sc_arena_free(&set->arena);
    free(set);
}

const struct sc_adapters *sc_adapter_set_adapters(const struct sc_adapter_set *set) { return &set->adapters; }
float sc_adapter_set_factor(const struct sc_adapter_set *set, uint32_t i) { return set->factors[i]; }
uint32_t sc_adapter_set_rank(const struct sc_adapter_set *set, uint32_t i) { return set->ranks[i]; }

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) // FNV-1a
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < n; i++) hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

float *sc_adapter_set_factors(const struct sc_adapter_set *set, const float *scales, uint64_t *variant, bool *ok)
{
    uint32_t n = set ? set->adapters.n : 0;
    bool any = false;
    *ok = true;
    *variant = 0;
    for (uint32_t i = 0; i < n; i++) any = any || !scales || scales[i] != 0.0f;
    if (!any) return NULL;
    float *factors = malloc(n * sizeof *factors);
    *ok = factors != NULL;
    for (uint32_t i = 0; i < n && factors; i++) factors[i] = set->factors[i] * (scales ? scales[i] : 1.0f);
    if (factors) *variant = hash_bytes(hash_start, factors, n * sizeof *factors) | 1;
    return factors;
}

// ---- files

static bool ends_with(struct sc_text text, const char *suffix)
{
    size_t n = strlen(suffix);
    return text.n_bytes > n && memcmp(text.data + text.n_bytes - n, suffix, n) == 0;
}

void sc_adapter_base(const struct sc_gguf *base, char hex[17])
{
    uint64_t sum = 0; // in whatever order a file has them
    for (uint64_t i = 0; i < sc_gguf_n_tensors(base); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(base, i);
        if (t->n_dims != 1 || strcmp(t->format->name, "F32") != 0 || !ends_with(t->name, "norm.weight")) continue;
        sum += hash_bytes(hash_bytes(hash_start, t->name.data, t->name.n_bytes), t->data, t->n_bytes);
    }
    snprintf(hex, 17, "%016llx", (unsigned long long)sum);
}

static socle_status check_file(const struct sc_gguf *file, const struct sc_gguf *base, socle_error *err)
{
    struct sc_text type = { 0 }, kind = { 0 }, family = { 0 }, base_family = { 0 };
    SC_TRY(sc_gguf_get_text(file, "general.type", &type, err));
    SC_TRY(sc_gguf_get_text(file, "adapter.type", &kind, err));
    SC_TRY(sc_gguf_get_text(file, "general.architecture", &family, err));
    SC_TRY(sc_gguf_get_text(base, "general.architecture", &base_family, err));
    if (!sc_text_is(type, "adapter") || !sc_text_is(kind, "lora"))
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s: this is no LoRA adapter (general.type \"adapter\", adapter.type \"lora\")",
                       sc_gguf_path(file));
    if (family.n_bytes && !sc_text_equal(family, base_family))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: an adapter for a model of the family '%.*s', but %s is '%.*s'",
                       sc_gguf_path(file), SC_TEXT_ARGS(family), sc_gguf_path(base), SC_TEXT_ARGS(base_family));
    struct sc_text known = { 0 };
    char hex[17];
    SC_TRY(sc_gguf_get_text(file, "socle.adapter.base", &known, err));
    sc_adapter_base(base, hex);
    if (known.n_bytes && !sc_text_is(known, hex))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: made for another model than %s: their norms differ",
                       sc_gguf_path(file), sc_gguf_path(base));
    return SOCLE_OK;
}

// The base's weight that tensor `a` ("<weight>.lora_a") and its other half belong to.
static socle_status take_pair(struct sc_adapter_set *set, uint32_t i, const struct sc_gguf *base,
                              const struct sc_tensor *a, socle_error *err)
{
    const struct sc_gguf *file = set->files[i];
    char *name = sc_arena_text(&set->arena, a->name.data, a->name.n_bytes);
    if (!name) return sc_fail_memory(err, a->name.n_bytes, "an adapter");
    name[a->name.n_bytes - 1] = 'b';
    const struct sc_tensor *b = sc_gguf_find_tensor(file, name);
    name[a->name.n_bytes - strlen(".lora_a")] = '\0';
    const struct sc_tensor *weight = sc_gguf_find_tensor(base, name);
    if (!b) return sc_fail(err, SOCLE_BAD_FILE, "%s: '%s.lora_a' has no '.lora_b'", sc_gguf_path(file), name);
    if (!weight || weight->shape[0] != a->shape[0] || weight->shape[1] != b->shape[1] || a->shape[1] != b->shape[0] ||
        a->shape[2] != 1 || b->shape[2] != 1 || weight->n_dims < 2 || weight->shape[3] != 1)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: made for another model: its change of '%s' does not fit %s",
                       sc_gguf_path(file), name, sc_gguf_path(base));
    if (weight->shape[2] != 1)
        return sc_fail(err, SOCLE_UNSUPPORTED, "%s: it changes '%s', one of experts, which is not supported",
                       sc_gguf_path(file), name);
    if (a->shape[1] == 0 || a->shape[1] > 4096)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: '%s': rank %llu, expected 1 to 4096", sc_gguf_path(file), name,
                       (unsigned long long)a->shape[1]);
    if (a->packed || b->packed)
        return sc_fail(err, SOCLE_UNSUPPORTED, "%s: '%s' is packed, which no adapter is", sc_gguf_path(file), name);
    if (set->ranks[i] && set->ranks[i] != a->shape[1]) // alpha / rank would be a factor for each of them
        return sc_fail(err, SOCLE_UNSUPPORTED, "%s: '%s' has rank %llu, others %u: expected one rank for all",
                       sc_gguf_path(file), name, (unsigned long long)a->shape[1], set->ranks[i]);
    set->ranks[i] = (uint32_t)a->shape[1];
    set->pairs[set->n_pairs++] = (struct pair){ sc_text_of(name), i, *a, *b };
    return SOCLE_OK;
}

// Nothing is left out in silence: each tensor is a half of a pair.
static socle_status check_all_taken(const struct sc_gguf *file, size_t n_pairs, socle_error *err)
{
    for (uint64_t t = 0; t < sc_gguf_n_tensors(file) && sc_gguf_n_tensors(file) != 2 * n_pairs; t++) {
        struct sc_text name = sc_gguf_tensor_at(file, t)->name;
        char half[128]; // the other one
        snprintf(half, sizeof half, "%.*s", SC_TEXT_ARGS(name));
        if (ends_with(name, ".lora_a")) continue;
        if (!ends_with(name, ".lora_b"))
            return sc_fail(err, SOCLE_UNSUPPORTED, "%s: tensor '%s' is no half of a low-rank change",
                           sc_gguf_path(file), half);
        half[name.n_bytes - 1] = 'a';
        if (!sc_gguf_find_tensor(file, half))
            return sc_fail(err, SOCLE_BAD_FILE, "%s: '%.*s' has no '.lora_a'", sc_gguf_path(file), SC_TEXT_ARGS(name));
    }
    return SOCLE_OK;
}

static socle_status open_one(struct sc_adapter_set *set, uint32_t i, const struct sc_gguf *base, const char *path,
                             socle_error *err)
{
    size_t before = set->n_pairs;
    float alpha = 0.0f;
    SC_TRY(sc_gguf_open(path, &set->files[i], err));
    const struct sc_gguf *file = set->files[i];
    SC_TRY(check_file(file, base, err));
    SC_TRY(sc_gguf_get_f32(file, "adapter.lora.alpha", &alpha, err));
    struct pair *pairs = sc_arena_array(&set->arena, before + sc_gguf_n_tensors(file) + 1, sizeof *pairs);
    if (!pairs) return sc_fail_memory(err, 0, "an adapter");
    memcpy(pairs, set->pairs, before * sizeof *pairs);
    set->pairs = pairs;
    for (uint64_t t = 0; t < sc_gguf_n_tensors(file); t++) {
        const struct sc_tensor *a = sc_gguf_tensor_at(file, t);
        if (ends_with(a->name, ".lora_a")) SC_TRY(take_pair(set, i, base, a, err));
    }
    SC_TRY(check_all_taken(file, set->n_pairs - before, err));
    if (set->n_pairs == before) return sc_fail(err, SOCLE_BAD_FILE, "%s: it changes nothing", path);
    set->factors[i] = alpha == 0.0f ? 1.0f : alpha / (float)set->ranks[i];
    return SOCLE_OK;
}

socle_status sc_adapter_set_open(const struct sc_gguf *base, const char *const *paths, size_t n,
                                 struct sc_adapter_set **out, socle_error *err)
{
    struct sc_adapter_set *set = new_set(n, 0);
    if (!set) return sc_fail_memory(err, sizeof *set, "adapters");
    for (uint32_t i = 0; i < n; i++) {
        socle_status status = open_one(set, i, base, paths[i], err);
        if (status == SOCLE_OK) continue;
        sc_adapter_set_free(set);
        return status;
    }
    *out = set;
    return SOCLE_OK;
}

// ---- a new one

static bool is_target(const struct sc_tensor *t, const char *const *targets)
{
    if (t->shape[2] != 1 || t->n_dims < 2) return false;
    for (; *targets; targets++) {
        size_t n = strlen(*targets);
        for (size_t i = 0; i + n <= t->name.n_bytes; i++) { // a whole part of the name
            bool begins = i == 0 || t->name.data[i - 1] == '.',
                 ends = i + n == t->name.n_bytes || t->name.data[i + n] == '.';
            if (begins && ends && memcmp(t->name.data + i, *targets, n) == 0) return true;
        }
    }
    return false;
}

static bool make_matrix(struct sc_adapter_set *set, struct sc_text weight, const char *suffix, uint64_t k,
                        uint64_t rows, struct sc_tensor *out)
{
    char *name = sc_arena_alloc(&set->arena, weight.n_bytes + strlen(suffix) + 1);
    float *data = sc_arena_array(&set->arena, k * rows, sizeof *data);
    if (!name || !data) return false;
    memcpy(name, weight.data, weight.n_bytes);
    memcpy(name + weight.n_bytes, suffix, strlen(suffix));
    *out = (struct sc_tensor){ .name = sc_text_of(name),
                               .format = sc_format_find_name("F32"),
                               .n_dims = 2,
                               .shape = { k, rows, 1, 1 },
                               .data = data,
                               .n_bytes = k * rows * sizeof *data,
                               .row_stride = k * sizeof *data,
                               .matrix_stride = k * rows * sizeof *data };
    return true;
}

static void fill(const struct sc_tensor *a, uint64_t seed, uint64_t which)
{
    float *data = (float *)(uintptr_t)a->data;
    double bound = 1.0 / __builtin_sqrt((double)a->shape[0]);
    for (uint64_t i = 0; i < a->shape[0] * a->shape[1]; i++)
        data[i] = (float)((2.0 * sc_random_uniform(seed, which << 40 | i, SC_RANDOM_WEIGHTS) - 1.0) * bound);
}

socle_status sc_adapter_set_new(const struct sc_gguf *base, const struct sc_adapter_shape *shape,
                                struct sc_adapter_set **out, socle_error *err)
{
    struct sc_adapter_set *set = new_set(1, sc_gguf_n_tensors(base));
    if (!set) return sc_fail_memory(err, sizeof *set, "an adapter");
    set->dropout = shape->dropout;
    set->ranks[0] = shape->rank;
    set->factors[0] = 1.0f;
    for (uint64_t t = 0; t < sc_gguf_n_tensors(base); t++) {
        const struct sc_tensor *weight = sc_gguf_tensor_at(base, t);
        if (!is_target(weight, shape->targets)) continue;
        struct pair *pair = &set->pairs[set->n_pairs];
        *pair = (struct pair){ .weight = weight->name };
        if (!make_matrix(set, weight->name, ".lora_a", weight->shape[0], shape->rank, &pair->a) ||
            !make_matrix(set, weight->name, ".lora_b", shape->rank, weight->shape[1], &pair->b)) {
            sc_adapter_set_free(set);
            return sc_fail_memory(err, 0, "an adapter");
        }
        fill(&pair->a, shape->seed, set->n_pairs++);
    }
    if (set->n_pairs == 0) {
        sc_adapter_set_free(set);
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s has no weight that any of the targets names", sc_gguf_path(base));
    }
    *out = set;
    return SOCLE_OK;
}
