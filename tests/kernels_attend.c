// Every level against `base`, bit for bit: storing keys and values, attention over them, joining its nodes.
#include "kernel_check.h"

#include <math.h>

struct cache {
    size_t dim_k, dim_v, n_positions;
    enum sc_cache_format format;
    bool shared; // the values are the beginnings of the keys
    void *k, *v;
};

static const char *const format_names[] = { [SC_CACHE_F16] = "F16", [SC_CACHE_F32] = "F32", [SC_CACHE_Q8_0] = "Q8_0" };
enum { N_FORMATS = 3 };

static size_t k_bytes(const struct cache *c)
{
    return sc_align_up(c->n_positions, SC_LANES) * sc_cache_row_bytes(c->format, c->dim_k);
}

static size_t v_bytes(const struct cache *c)
{
    return c->shared ? 0 : c->n_positions * sc_cache_row_bytes(c->format, c->dim_v);
}

static struct sc_kv view(const struct cache *c, void *k, void *v)
{
    return (struct sc_kv){ k, c->shared ? NULL : v, c->dim_k, c->dim_v, c->format, NULL };
}

// All bits set, which is a NaN in floats and in scales: what was not stored must not be used.
static struct cache new_cache(size_t dim_k, size_t dim_v, size_t n_positions, enum sc_cache_format format, bool shared)
{
    struct cache c = { dim_k, dim_v, n_positions, format, shared, NULL, NULL };
    c.k = kc_reserve(k_bytes(&c));
    c.v = kc_reserve(v_bytes(&c));
    memset(c.k, 0xff, k_bytes(&c));
    memset(c.v, 0xff, v_bytes(&c));
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

// The same bytes, except that scales that are infinite or not a number mean the same.
static void same_cache(const struct cache *c, const void *expected, const void *found, size_t n_bytes, const char *what)
{
    const uint8_t *a = expected, *b = found;
    bool q8 = c->format == SC_CACHE_Q8_0;
    for (size_t i = 0; i < n_bytes; i++) {
        if (a[i] == b[i]) continue;
        // Payload or sign bits of a scale that is not finite: its upper byte is the second one.
        bool upper = (a[i] & 0x7c) == 0x7c && (b[i] & 0x7c) == 0x7c;
        bool lower = i + 1 < n_bytes && (a[i + 1] & 0x7c) == 0x7c && (b[i + 1] & 0x7c) == 0x7c;
        if (q8 && (upper || lower)) continue;
        kc_same_bytes(a + i, b + i, 1, what);
    }
}

static void run_store(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct store_case *c = context;
    const struct cache *b = c->before;
    struct sc_kv kv = view(b, kc_copy(b->k, k_bytes(b), place), kc_copy(b->v, v_bytes(b), place));
    kernels->store(&kv, c->position, kc_copy(c->k, b->dim_k * 4, place),
                   b->shared ? NULL : kc_copy(c->v, b->dim_v * 4, place));
    same_cache(b, c->after->k, kv.k, k_bytes(b), "keys");
    if (!b->shared) same_cache(b, c->after->v, kv.v, v_bytes(b), "values");
}

enum { SMALL = KC_KINDS, TIES, NOT_FINITE, STORE_KINDS };

static void fill_vector(float *x, size_t n, size_t kind)
{
    static const float strange[] = { INFINITY, -INFINITY, NAN, 3e38f };
    kc_fill(x, n, kind < KC_KINDS ? (enum kc_kind)kind : KC_NORMAL);
    for (size_t i = 0; i < n; i++) {
        if (kind == SMALL) x[i] *= 0x1p-18f; // scales of Q8_0 are subnormal, so that numbers pass 127 of them
        if (kind == TIES) x[i] = i % SC_CACHE_BLOCK ? (float)kc_between(0, 253) - 126.5f : 127.0f;
    }
    if (kind == NOT_FINITE) x[kc_random() % n] = strange[kc_random() % SC_COUNT(strange)];
}

static void check_store(size_t dim_k, size_t dim_v, enum sc_cache_format format, bool shared, size_t kind)
{
    size_t n = kc_between(1, 40), position = kind % 2 ? n - 1 : kc_between(0, n - 1);
    struct cache before = new_cache(dim_k, dim_v, n, format, shared);
    struct cache after = new_cache(dim_k, dim_v, n, format, shared);
    float *k = kc_floats(dim_k, KC_NORMAL), *v = kc_floats(dim_v, KC_NORMAL);
    fill_vector(k, dim_k, kind);
    fill_vector(v, dim_v, kind);
    struct store_case c = { &before, &after, position, k, v };
    struct sc_kv kv = view(&after, after.k, after.v);
    kc_case("store at %zu of %zu, keys of %zu, values of %zu%s, %s, values %zu", position, n, dim_k, dim_v,
            shared ? " in the keys" : "", format_names[format], kind);
    kc_base()->store(&kv, position, k, shared ? NULL : v);
    kc_each_level(run_store, &c);
    free_cache(&before);
    free_cache(&after);
    free(k);
    free(v);
}

// Any position of a cache whose memory ends right after it.
static void store_agrees_on_all_levels(void)
{
    static const size_t dims[] = { 1, 3, 16, 31, 32, 33, 64, 80, 128, 192, 257, 576 };
    kc_seed(11);
    for (size_t d = 0; d < SC_COUNT(dims); d++)
        for (size_t how = 0; how < 2 * N_FORMATS; how++)
            for (size_t kind = 0; kind < STORE_KINDS; kind++) {
                size_t dim_v = how & 1 ? kc_between(1, dims[d]) : dims[kc_random() % SC_COUNT(dims)];
                check_store(dims[d], dim_v, (enum sc_cache_format)(how / 2), how & 1, kind);
            }
}

// ---- attend

struct attend_case {
    struct cache cache;
    struct sc_attend args;
    float *q, *expected; // [n_queries][dim_k], [n_queries][sc_node_floats(dim_v)]
    uint32_t first[SC_QUERIES_MAX], last[SC_QUERIES_MAX];
};

static void run_attend(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct attend_case *c = context;
    const struct cache *b = &c->cache;
    size_t n = c->args.n_queries, floats = sc_node_floats(b->dim_v);
    const float *q[SC_QUERIES_MAX];
    float *node[SC_QUERIES_MAX];
    struct sc_attend args = c->args;
    args.kv = view(b, kc_copy(b->k, k_bytes(b), place), kc_copy(b->v, v_bytes(b), place));
    for (size_t i = 0; i < n; i++) {
        q[i] = kc_copy(c->q + i * b->dim_k, b->dim_k * sizeof **q, place);
        node[i] = kc_take(floats * sizeof **node, place);
    }
    args.q = kc_copy(q, n * sizeof *q, place);
    args.node = kc_copy(node, n * sizeof *node, place);
    args.first = kc_copy(c->first, n * sizeof *c->first, place);
    args.last = kc_copy(c->last, n * sizeof *c->last, place);
    args.scratch = kc_take_aligned(sc_attend_scratch(b->dim_k, b->dim_v, args.end - args.begin), place);
    kernels->attend(&args);
    for (size_t i = 0; i < n; i++) {
        const float *expected = c->expected + i * floats;
        kc_same_floats(expected, node[i], b->dim_v, "values");
        kc_same_floats(expected + b->dim_v + 1, node[i] + b->dim_v + 1, 1, "sum");
        // Beside a sum that is not a number the greatest score means nothing.
        if (!isnan(expected[b->dim_v + 1])) kc_same_floats(expected + b->dim_v, node[i] + b->dim_v, 1, "max");
    }
}

// The nodes of the case by one level, from the cache that its arguments name and to plain memory.
static void attend_args(const struct sc_kernels *kernels, const struct attend_case *c, float *nodes)
{
    const float *q[SC_QUERIES_MAX];
    float *node[SC_QUERIES_MAX];
    struct sc_attend args = c->args;
    void *scratch = kc_reserve(sc_attend_scratch(c->cache.dim_k, c->cache.dim_v, args.end - args.begin) + 64);
    for (size_t i = 0; i < args.n_queries; i++) {
        q[i] = c->q + i * c->cache.dim_k;
        node[i] = nodes + i * sc_node_floats(c->cache.dim_v);
    }
    args.q = q;
    args.node = node;
    args.first = c->first;
    args.last = c->last;
    args.scratch = (void *)sc_align_up((uintptr_t)scratch, 64);
    kernels->attend(&args);
    free(scratch);
}

static void attend_plainly(const struct sc_kernels *kernels, const struct attend_case *c, float *nodes)
{
    struct attend_case plain = *c;
    plain.args.kv = view(&c->cache, c->cache.k, c->cache.v);
    attend_args(kernels, &plain, nodes);
}

static float clamped(float x, float most) { return x > most ? most : x < -most ? -most : x; }

// Fills first..last; the rest of the cache keeps its NaNs.
static void fill_cache(const struct cache *c, size_t first, size_t last, enum kc_kind kind)
{
    static const float most[] = { [SC_CACHE_F16] = 60000.0f, [SC_CACHE_F32] = 1e30f, [SC_CACHE_Q8_0] = 8e6f };
    struct sc_kv kv = view(c, c->k, c->v);
    float *k = kc_floats(c->dim_k, kind), *v = kc_floats(c->dim_v, kind);
    for (size_t p = first; p < last; p++) {
        for (size_t i = 0; i < c->dim_k; i++) k[i] = clamped(kc_value(kind), most[c->format]);
        for (size_t i = 0; i < c->dim_v; i++) v[i] = clamped(kc_value(kind), most[c->format]);
        kc_base()->store(&kv, p, k, c->shared ? NULL : v);
    }
    free(k);
    free(v);
}

// What a case is: the cache's shape, the queries, and the segments that their keys are taken from.
struct shape {
    size_t dim_k, dim_v, n_queries, begin, end;
    enum sc_cache_format format;
    bool shared, softcap;
    enum { ALIKE, ANY, ROWS } ranges;
};

// Each query's keys first..last, some in every segment begin..end. ROWS: as rows one after another, three heads each.
static void choose_ranges(struct attend_case *c, const struct shape *s)
{
    uint32_t least = (uint32_t)((s->end - 1) * SC_SEGMENT + 1);
    for (size_t i = 0; i < s->n_queries; i++) {
        uint32_t last = least + (uint32_t)kc_between(0, kc_random() % 3 ? 255 : 290);
        uint32_t first_end = SC_MIN(last, (uint32_t)(s->begin + 1) * SC_SEGMENT), first = kc_random() % first_end;
        if (kc_random() % 3 == 0) first = 0;
        if (s->ranges == ALIKE && i > 0) first = c->first[0], last = c->last[0];
        if (s->ranges == ROWS && i > 0) {
            bool next = i % 3 == 0 && c->last[i - 1] < s->end * SC_SEGMENT;
            last = c->last[i - 1] + next;
            first = SC_MIN(c->first[i - 1] + (next && c->first[0] > 0), (uint32_t)(s->begin + 1) * SC_SEGMENT - 1);
        }
        c->first[i] = first;
        c->last[i] = last;
    }
}

static struct attend_case make_attend(const struct shape *s, enum kc_kind kind)
{
    struct attend_case c = { .args = { .n_queries = s->n_queries, .begin = s->begin, .end = s->end } };
    size_t dim_v = s->shared ? SC_MIN(s->dim_v, s->dim_k) : s->dim_v;
    uint32_t first = UINT32_MAX, last = 0;
    choose_ranges(&c, s);
    for (size_t i = 0; i < s->n_queries; i++) {
        first = SC_MIN(first, c.first[i]);
        last = SC_MAX(last, c.last[i]);
    }
    c.args.scale = kind == KC_NORMAL ? 0.125f : 0.37f;
    c.args.softcap = s->softcap ? 50.0f : 0.0f;
    c.cache = new_cache(s->dim_k, dim_v, last, s->format, s->shared);
    fill_cache(&c.cache, SC_MAX((size_t)first, s->begin * SC_SEGMENT), SC_MIN((size_t)last, s->end * SC_SEGMENT), kind);
    c.q = kc_floats(s->n_queries * s->dim_k, kind);
    c.expected = kc_floats(s->n_queries * sc_node_floats(dim_v), KC_NORMAL);
    kc_case("%zu queries, segments %zu..%zu, keys of %zu, values of %zu%s, %s%s, ranges %d, %s", s->n_queries, s->begin,
            s->end, s->dim_k, dim_v, s->shared ? " in the keys" : "", format_names[s->format],
            s->softcap ? ", softcap" : "", (int)s->ranges, kc_kind_name(kind));
    return c;
}

static void free_attend(struct attend_case *c)
{
    free_cache(&c->cache);
    free(c->q);
    free(c->expected);
}

static void check_attend(const struct shape *s, enum kc_kind kind)
{
    struct attend_case c = make_attend(s, kind);
    attend_plainly(kc_base(), &c, c.expected);
    kc_each_level(run_attend, &c);
    free_attend(&c);
}

// All formats, grouped and latent, with and without a cap: 12 variants.
static struct shape variant(size_t how, size_t dim_k, size_t dim_v, size_t n_queries, size_t begin, size_t end)
{
    struct shape s = { dim_k, dim_v, n_queries, begin, end };
    s.format = (enum sc_cache_format)(how % N_FORMATS);
    s.shared = how / N_FORMATS & 1;
    s.softcap = how / (2 * N_FORMATS) & 1;
    s.ranges = kc_random() % 3;
    return s;
}

static enum kc_kind some_kind(void) { return (enum kc_kind)(kc_random() % KC_KINDS); }

static void attention_agrees_on_all_levels_for_all_sizes(void)
{
    static const size_t dims[] = { 1, 2, 7, 16, 31, 33, 64, 80, 128, 192, 255, 256, 257, 576 };
    kc_seed(12);
    for (size_t d = 0; d < SC_COUNT(dims); d++)
        for (size_t how = 0; how < 12; how++) {
            struct shape s = variant(how, dims[d], dims[kc_random() % SC_COUNT(dims)], kc_between(1, 5), 0, 1);
            check_attend(&s, how ? some_kind() : KC_NORMAL);
        }
}

static void attention_agrees_on_all_levels_for_all_numbers_of_queries(void)
{
    kc_seed(13);
    for (size_t n = 1; n <= 17; n++)
        for (size_t how = 0; how < 6; how++) {
            size_t begin = kc_random() % 3;
            struct shape s = variant(how, how % 2 ? 24 : 37, how % 2 ? 19 : 16, n, begin, begin + 1);
            check_attend(&s, how == n % 6 ? some_kind() : KC_NORMAL);
        }
    for (size_t how = 0; how < 6; how++) {
        struct shape s = variant(how, 32, 20, SC_QUERIES_MAX - how % 2, 1, 3);
        check_attend(&s, KC_NORMAL);
    }
}

static void attention_agrees_on_all_levels_for_ranges_of_segments(void)
{
    kc_seed(14);
    for (size_t n_segments = 1; n_segments <= 5; n_segments++)
        for (size_t how = 0; how < 12; how++) {
            size_t begin = kc_random() % 5;
            struct shape s = variant(how, 20, 18, kc_between(1, 6), begin, begin + n_segments);
            check_attend(&s, how % 2 ? some_kind() : KC_NORMAL);
        }
}

static void attention_agrees_on_all_levels_for_real_shapes(void)
{
    static const struct shape shapes[] = {
        { 64, 64, 16, 1, 2, SC_CACHE_F16, false, false, ROWS },     // grouped queries
        { 128, 128, 32, 0, 1, SC_CACHE_Q8_0, false, false, ROWS },  //
        { 128, 128, 5, 2, 4, SC_CACHE_F16, false, false, ALIKE },   //
        { 256, 256, 8, 0, 2, SC_CACHE_F32, false, true, ALIKE },    // Gemma
        { 576, 512, 16, 1, 2, SC_CACHE_F16, true, false, ALIKE },   // latent attention
        { 576, 512, 3, 0, 2, SC_CACHE_Q8_0, true, false, ROWS },    //
        { 1024, 1024, 2, 0, 1, SC_CACHE_F16, false, false, ALIKE }, // the greatest there may be
    };
    kc_seed(15);
    for (size_t i = 0; i < SC_COUNT(shapes); i++) check_attend(&shapes[i], KC_NORMAL);
}

// One element of a key, a value or a query is infinite or not a number: answers agree in that, too.
static void attention_agrees_on_all_levels_on_what_is_not_finite(void)
{
    static const float strange[] = { INFINITY, -INFINITY, NAN };
    kc_seed(16);
    for (size_t round = 0; round < 120; round++) {
        struct shape s = variant(round % 6, 21, 19, kc_between(1, 9), 0, 1 + round % 2);
        s.ranges = ALIKE;
        struct attend_case c = make_attend(&s, KC_NORMAL);
        float *k = kc_floats(21, KC_NORMAL), *v = kc_floats(21, KC_NORMAL);
        size_t p = kc_between(c.first[0], SC_MIN(c.last[0], (uint32_t)s.end * SC_SEGMENT) - 1);
        float *where[] = { k + kc_random() % 21, v + kc_random() % c.cache.dim_v, c.q + kc_random() % 21 };
        *where[round % 3] = strange[kc_random() % SC_COUNT(strange)];
        struct sc_kv kv = view(&c.cache, c.cache.k, c.cache.v);
        kc_base()->store(&kv, p, k, v);
        attend_plainly(kc_base(), &c, c.expected);
        kc_each_level(run_attend, &c);
        free_attend(&c);
        free(k);
        free(v);
    }
}

// What a query gives does not depend on the others that are computed with it.
static void attention_does_not_depend_on_neighbours(void)
{
    const struct sc_kernels *kernels;
    kc_seed(17);
    for (size_t how = 0; how < 6; how++) {
        struct shape s = variant(how, 35, 21, 29, 1, 3);
        s.ranges = ANY;
        struct attend_case c = make_attend(&s, KC_NORMAL);
        size_t floats = sc_node_floats(c.cache.dim_v);
        for (size_t level = 0; (kernels = sc_kernels_at(level)); level++) {
            if (!kernels->supported()) continue;
            attend_plainly(kernels, &c, c.expected);
            for (size_t i = 0, n; i < s.n_queries; i += n) {
                struct attend_case part = c;
                float nodes[5 * 64];
                part.args.n_queries = n = SC_MIN(s.n_queries - i, 1 + i % 5);
                part.q = c.q + i * c.cache.dim_k;
                memcpy(part.first, c.first + i, n * sizeof *c.first);
                memcpy(part.last, c.last + i, n * sizeof *c.last);
                kc_case("%s, variant %zu: queries %zu on, %zu of them", kernels->name, how, i, n);
                attend_plainly(kernels, &part, nodes);
                kc_same_floats(c.expected + i * floats, nodes, n * floats, "node");
            }
        }
        free_attend(&c);
    }
}

// ---- segments that lie apart

// The cache's positions stored again in pages of 256, keys before values, which follow each other in a shuffled order.
struct paged {
    size_t segments[8], page_bytes, n_pages;
    char *memory;
};

static struct paged paged_copy(const struct sc_kernels *kernels, const struct cache *c, const float *k, const float *v)
{
    size_t of_keys = SC_SEGMENT * sc_cache_row_bytes(c->format, c->dim_k);
    size_t of_values = c->shared ? 0 : SC_SEGMENT * sc_cache_row_bytes(c->format, c->dim_v);
    struct paged p = { .page_bytes = sc_align_up(of_keys + of_values, 64),
                       .n_pages = (c->n_positions + SC_SEGMENT - 1) / SC_SEGMENT };
    size_t turn = kc_between(1, 7) | 1; // coprime with 8 pages
    for (size_t s = 0; s < SC_COUNT(p.segments); s++) p.segments[s] = s * turn % SC_COUNT(p.segments) * p.page_bytes;
    p.memory = kc_reserve(SC_COUNT(p.segments) * p.page_bytes);
    memset(p.memory, 0xff, SC_COUNT(p.segments) * p.page_bytes);
    struct sc_kv kv = view(c, p.memory, p.memory + of_keys);
    kv.segments = p.segments;
    for (size_t i = 0; i < c->n_positions; i++)
        kernels->store(&kv, i, k + i * c->dim_k, c->shared ? NULL : v + i * c->dim_v);
    return p;
}

static void where_segments_lie_changes_no_bit(void)
{
    const struct sc_kernels *kernels;
    kc_seed(20);
    for (size_t how = 0; how < 12; how++) {
        struct shape s = variant(how, 33, 21, 7, 0, 3 + how % 4);
        struct attend_case c = make_attend(&s, KC_NORMAL);
        size_t n = c.cache.n_positions, floats = s.n_queries * sc_node_floats(c.cache.dim_v);
        float *k = kc_floats(n * c.cache.dim_k, KC_NORMAL), *v = kc_floats(n * c.cache.dim_v, KC_NORMAL);
        float *nodes = kc_floats(floats, KC_NORMAL);
        struct sc_kv kv = view(&c.cache, c.cache.k, c.cache.v);
        for (size_t i = 0; i < n; i++)
            kc_base()->store(&kv, i, k + i * c.cache.dim_k, c.cache.shared ? NULL : v + i * c.cache.dim_v);
        attend_plainly(kc_base(), &c, c.expected);
        for (size_t level = 0; (kernels = sc_kernels_at(level)); level++) {
            if (!kernels->supported()) continue;
            struct paged p = paged_copy(kernels, &c.cache, k, v);
            size_t of_keys = SC_SEGMENT * sc_cache_row_bytes(c.cache.format, c.cache.dim_k);
            c.args.kv = view(&c.cache, p.memory, p.memory + of_keys);
            c.args.kv.segments = p.segments;
            kc_case("%s, variant %zu, %zu positions in pages", kernels->name, how, n);
            attend_args(kernels, &c, nodes);
            kc_same_floats(c.expected, nodes, floats, "node");
            free(p.memory);
        }
        free_attend(&c);
        free(k);
        free(v);
        free(nodes);
    }
}

// ---- nodes

// The nodes of ranges of 1, 2, 4 … segments, joined by the tree, are those of one call.
static void check_cuts(const struct sc_kernels *kernels, const struct attend_case *c)
{
    enum { SEGMENTS_MAX = 16 };
    size_t floats = sc_node_floats(c->cache.dim_v), n_segments = c->args.end - c->args.begin;
    float *nodes = kc_reserve(SEGMENTS_MAX * c->args.n_queries * floats * sizeof *nodes);
    size_t of_range = c->args.n_queries * floats;
    for (size_t range = 1; range < n_segments; range *= 2) {
        size_t n = (n_segments + range - 1) / range;
        kc_case("%s: %zu segments from %zu on, %zu at a time", kernels->name, n_segments, c->args.begin, range);
        for (size_t i = 0; i < n; i++) {
            struct attend_case part = *c;
            part.args.begin = c->args.begin + i * range;
            part.args.end = SC_MIN(part.args.begin + range, c->args.end);
            attend_plainly(kernels, &part, nodes + i * of_range);
        }
        for (size_t step = 1; step < n; step *= 2)
            for (size_t i = 0; i + step < n; i += 2 * step)
                for (size_t j = 0; j < c->args.n_queries; j++)
                    kernels->attend_join(nodes + i * of_range + j * floats, nodes + (i + step) * of_range + j * floats,
                                         c->cache.dim_v);
        kc_same_floats(c->expected, nodes, of_range, "node");
    }
    free(nodes);
}

static void cutting_the_keys_changes_no_bit(void)
{
    const struct sc_kernels *kernels;
    kc_seed(18);
    for (size_t n_segments = 2; n_segments <= 13; n_segments += n_segments < 9 ? 1 : 2) {
        size_t begin = kc_random() % 4;
        struct shape s = variant(n_segments, 18, 13, 3, begin, begin + n_segments);
        s.ranges = ANY;
        struct attend_case c = make_attend(&s, KC_NORMAL);
        for (size_t i = 0; i < 3 * 18; i++) c.q[i] *= 20.0f; // scores far apart
        for (size_t level = 0; (kernels = sc_kernels_at(level)); level++) {
            if (!kernels->supported()) continue;
            attend_plainly(kernels, &c, c.expected);
            check_cuts(kernels, &c);
        }
        free_attend(&c);
    }
}

struct node_case {
    size_t dim;
    const float *a, *b, *sink; // nodes; b NULL: finish a
    const float *expected;
};

static void run_node(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct node_case *c = context;
    size_t n_bytes = sc_node_floats(c->dim) * sizeof(float);
    float *a = kc_copy(c->a, n_bytes, place);
    if (c->b) {
        kernels->attend_join(a, kc_copy(c->b, n_bytes, place), c->dim);
        kc_same_floats(c->expected, a, sc_node_floats(c->dim), "node");
    } else {
        float *y = kc_take(c->dim * sizeof *y, place);
        kernels->attend_finish(a, c->sink ? kc_copy(c->sink, sizeof *c->sink, place) : NULL, y, c->dim);
        kc_same_floats(c->expected, y, c->dim, "y");
    }
}

static float *some_node(size_t dim, enum kc_kind kind)
{
    static const float scores[] = { -1e4f, -100.0f, -87.5f, -1.0f, 0.0f, 0.25f, 3.0f, 86.0f, 88.5f, 1e4f, 3e38f };
    float *node = kc_floats(sc_node_floats(dim), kind);
    node[dim] = kc_random() % 2 ? scores[kc_random() % SC_COUNT(scores)] : kc_uniform(-5, 5);
    node[dim + 1] = kc_uniform(1, 256);
    return node;
}

static void joins_and_finishes_agree_on_all_levels(void)
{
    static const size_t dims[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 100, 127, 128, 200, 256, 512, 513, 1024 };
    static const float sinks[] = { -100.0f, -3.0f, 0.0f, 2.0f, 40.0f, 300.0f };
    kc_seed(19);
    for (size_t d = 0; d < SC_COUNT(dims); d++)
        for (size_t kind = 0; kind < KC_KINDS; kind++)
            for (size_t round = 0; round < 4; round++) {
                size_t dim = dims[d];
                float *a = some_node(dim, (enum kc_kind)kind), *b = some_node(dim, (enum kc_kind)kind);
                float *expected = kc_floats(sc_node_floats(dim), KC_NORMAL);
                if (round == 0) b[dim] = a[dim];
                kc_case("join nodes of %zu, %s, greatest %g and %g", dim, kc_kind_name((enum kc_kind)kind),
                        (double)a[dim], (double)b[dim]);
                memcpy(expected, a, sc_node_floats(dim) * sizeof *a);
                kc_base()->attend_join(expected, b, dim);
                kc_each_level(run_node, &(struct node_case){ dim, a, b, NULL, expected });
                const float *sink = round ? &sinks[kc_random() % SC_COUNT(sinks)] : NULL;
                kc_case("finish a node of %zu, %s, sink %g", dim, kc_kind_name((enum kc_kind)kind),
                        sink ? (double)*sink : 0.0);
                kc_base()->attend_finish(a, sink, expected, dim);
                kc_each_level(run_node, &(struct node_case){ dim, a, NULL, sink, expected });
                free(a);
                free(b);
                free(expected);
            }
}

static const struct CMUnitTest tests[] = {
    KC_TEST(store_agrees_on_all_levels),
    KC_TEST(attention_agrees_on_all_levels_for_all_sizes),
    KC_TEST(attention_agrees_on_all_levels_for_all_numbers_of_queries),
    KC_TEST(attention_agrees_on_all_levels_for_ranges_of_segments),
    KC_TEST(attention_agrees_on_all_levels_for_real_shapes),
    KC_TEST(attention_agrees_on_all_levels_on_what_is_not_finite),
    KC_TEST(attention_does_not_depend_on_neighbours),
    KC_TEST(cutting_the_keys_changes_no_bit),
    KC_TEST(where_segments_lie_changes_no_bit),
    KC_TEST(joins_and_finishes_agree_on_all_levels),
};

size_t kc_attend_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
