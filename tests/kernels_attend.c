// Every level against `base`, bit for bit: storing keys and values, and attention over them.
#include "kernel_check.h"

struct cache {
    size_t dim_k, dim_v, n_positions;
    bool f32, shared; // shared: the values are the beginnings of the keys
    void *k, *v;
};

static size_t element_bytes(const struct cache *c) { return c->f32 ? 4 : 2; }
static size_t k_bytes(const struct cache *c)
{
    return sc_align_up(c->n_positions, SC_LANES) * c->dim_k * element_bytes(c);
}
static size_t v_bytes(const struct cache *c) { return c->shared ? 0 : c->n_positions * c->dim_v * element_bytes(c); }

static struct sc_kv view(const struct cache *c, void *k, void *v)
{
    return (struct sc_kv){ k, c->shared ? NULL : v, c->dim_k, c->dim_v, c->f32 };
}

// All bits set, which is a NaN: what was not stored must not be used.
static struct cache new_cache(size_t dim_k, size_t dim_v, size_t n_positions, bool f32, bool shared)
{
    struct cache c = { dim_k, dim_v, n_positions, f32, shared, NULL, NULL };
    c.k = malloc(k_bytes(&c));
    c.v = malloc(v_bytes(&c) + 1);
    assert_true(c.k && c.v);
    memset(c.k, 0xff, k_bytes(&c));
    memset(c.v, 0xff, v_bytes(&c) + 1);
    return c;
}

static void free_cache(struct cache *c)
{
    free(c->k);
    free(c->v);
}

// ---- store

struct store_case {
    const struct cache *before, *after;
    size_t position;
    const float *k, *v;
};

static void run_store(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct store_case *c = context;
    const struct cache *b = c->before;
    struct sc_kv kv = view(b, kc_copy(b->k, k_bytes(b), place), kc_copy(b->v, v_bytes(b), place));
    kernels->store(&kv, c->position, kc_copy(c->k, b->dim_k * 4, place),
                   b->shared ? NULL : kc_copy(c->v, b->dim_v * 4, place));
    kc_same_bytes(c->after->k, kv.k, k_bytes(b), "keys");
    if (!b->shared) kc_same_bytes(c->after->v, kv.v, v_bytes(b), "values");
}

// The least and the greatest position of a cache whose memory ends right after it.
static void store_agrees_on_all_levels(void)
{
    static const size_t dims[] = { 1, 3, 16, 33, 64, 128, 192, 257, 576 };
    kc_seed(11);
    for (size_t d = 0; d < SC_COUNT(dims); d++)
        for (size_t how = 0; how < 4; how++)
            for (size_t kind = 0; kind < KC_KINDS; kind++) {
                size_t dim_k = dims[d], n = kc_between(1, 40);
                size_t dim_v = how & 2 ? kc_between(1, dim_k) : dims[kc_random() % SC_COUNT(dims)];
                struct cache before = new_cache(dim_k, dim_v, n, how & 1, how & 2);
                struct cache after = new_cache(dim_k, dim_v, n, how & 1, how & 2);
                float *k = kc_floats(dim_k, (enum kc_kind)kind), *v = kc_floats(dim_v, (enum kc_kind)kind);
                struct store_case c = { &before, &after, kind % 2 ? n - 1 : kc_between(0, n - 1), k, v };
                struct sc_kv kv = view(&after, after.k, after.v);
                kc_case("store at %zu of %zu, keys of %zu, values of %zu%s, %s, %s", c.position, n, dim_k, dim_v,
                        before.shared ? " in the keys" : "", before.f32 ? "f32" : "f16",
                        kc_kind_name((enum kc_kind)kind));
                kc_base()->store(&kv, c.position, k, before.shared ? NULL : v);
                kc_each_level(run_store, &c);
                free_cache(&before);
                free_cache(&after);
                free(k);
                free(v);
            }
}

// ---- attend

struct attend_case {
    const struct cache *cache;
    struct sc_attend args;
    const float *expected;
};

static void run_attend(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct attend_case *c = context;
    const struct cache *b = c->cache;
    struct sc_attend args = c->args;
    args.kv = view(b, kc_copy(b->k, k_bytes(b), place), b->shared ? NULL : kc_copy(b->v, v_bytes(b), place));
    args.q = kc_copy(c->args.q, b->dim_k * sizeof(float), place);
    args.y = kc_take(b->dim_v * sizeof(float), place);
    if (args.sink) args.sink = kc_copy(c->args.sink, sizeof(float), place);
    args.scratch = kc_take(sc_attend_scratch(args.last, b->dim_v) * sizeof(float), place);
    kernels->attend(&args);
    kc_same_floats(c->expected, args.y, b->dim_v, "y");
}

// Fills first..last; the rest of the cache keeps its NaNs.
static void fill_cache(const struct cache *c, size_t first, size_t last, enum kc_kind kind)
{
    struct sc_kv kv = view(c, c->k, c->v);
    float *k = kc_floats(c->dim_k, kind), *v = kc_floats(c->dim_v, kind);
    for (size_t p = first; p < last; p++) {
        kc_fill(k, c->dim_k, kind);
        kc_fill(v, c->dim_v, kind);
        if (!c->f32) // within what an f16 holds
            for (size_t i = 0; i < c->dim_k; i++)
                k[i] = k[i] > 60000.0f ? 60000.0f : k[i] < -60000.0f ? -60000.0f : k[i];
        if (!c->f32)
            for (size_t i = 0; i < c->dim_v; i++)
                v[i] = v[i] > 60000.0f ? 60000.0f : v[i] < -60000.0f ? -60000.0f : v[i];
        kc_base()->store(&kv, p, k, c->shared ? NULL : v);
    }
    free(k);
    free(v);
}

static void check_attend(size_t dim_k, size_t dim_v, size_t first, size_t last, unsigned how, enum kc_kind kind)
{
    static const float sinks[] = { -3.0f, 0.0f, 40.0f };
    bool f32 = how & 1, shared = how & 2, cap = how & 4, with_sink = how & 8;
    if (shared) dim_v = SC_MIN(dim_v, dim_k);
    struct cache cache = new_cache(dim_k, dim_v, last, f32, shared);
    fill_cache(&cache, first, last, kind);
    float *q = kc_floats(dim_k, kind), *y = kc_floats(dim_v, KC_NORMAL), sink = sinks[kc_random() % SC_COUNT(sinks)];
    float *scratch = kc_floats(sc_attend_scratch(last, dim_v), KC_NORMAL);
    struct attend_case c = { &cache,
                             { .kv = view(&cache, cache.k, cache.v),
                               .q = q,
                               .y = y,
                               .first = first,
                               .last = last,
                               .scale = 0.125f,
                               .softcap = cap ? 50.0f : 0.0f,
                               .sink = with_sink ? &sink : NULL,
                               .scratch = scratch },
                             y };
    kc_case("attend to %zu..%zu, keys of %zu, values of %zu%s, %s%s%s, %s", first, last, dim_k, dim_v,
            shared ? " in the keys" : "", f32 ? "f32" : "f16", cap ? ", softcap" : "", with_sink ? ", sink" : "",
            kc_kind_name(kind));
    kc_base()->attend(&c.args);
    kc_each_level(run_attend, &c);
    free_cache(&cache);
    free(q);
    free(y);
    free(scratch);
}

static void attention_agrees_on_all_levels_for_all_sizes(void)
{
    static const size_t dims[] = { 1, 2, 7, 16, 31, 33, 64, 80, 128, 192, 255, 256, 257, 576 };
    kc_seed(12);
    for (size_t d = 0; d < SC_COUNT(dims); d++)
        for (unsigned how = 0; how < 16; how++) {
            size_t last = kc_between(1, 70), first = kc_random() & 1 ? 0 : kc_between(0, last - 1);
            check_attend(dims[d], dims[kc_random() % SC_COUNT(dims)], first, last, how, (enum kc_kind)(how % KC_KINDS));
        }
}

static void attention_agrees_on_all_levels_for_long_ranges(void)
{
    static const size_t lasts[] = { 15, 16, 17, 255, 256, 257, 300, 511, 512, 513, 769, 1000, 1281, 2300 };
    kc_seed(13);
    for (size_t l = 0; l < SC_COUNT(lasts); l++)
        for (unsigned window = 0; window < 4; window++) {
            size_t last = lasts[l];
            size_t first = window == 0 ? 0 : window == 1 ? last - 1 : kc_between(0, last - 1);
            check_attend(40, 24, first, last, (unsigned)kc_random() % 16, (enum kc_kind)(kc_random() % KC_KINDS));
        }
    check_attend(576, 512, 0, 700, 2, KC_NORMAL); // latent attention
    check_attend(576, 512, 130, 531, 3, KC_NORMAL);
}

static const struct CMUnitTest tests[] = {
    KC_TEST(store_agrees_on_all_levels),
    KC_TEST(attention_agrees_on_all_levels_for_all_sizes),
    KC_TEST(attention_agrees_on_all_levels_for_long_ranges),
};

size_t kc_attend_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
