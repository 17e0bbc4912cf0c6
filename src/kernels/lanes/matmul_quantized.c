// Matrix product of quantized weights with int8 activations: what ref/matmul_quantized.c specifies, with 16 rows in
// lanes.
//
//     for each group of 16 rows
//         for each segment of 256: unpack the tile into the first-level cache, once
//             for each panel of columns: exact products of bytes, 12 columns at a time in registers
//
// A lane adds up its own row in the written order, so nothing is ever summed across lanes.
#include "kernels/lanes/lanes.h"

#include "kernels/lanes/tile.h"

// What a panel's columns add to the accumulators, made once for a call: by groups of the format's sub-scales.
struct prepared {
    int32_t *starts; // [k / group][n]: -o times the sum of the group's activations
    void *sums;      // [k / 32][n] floats, or [k / (2 group)][n] pairs of int16, for formats with minimums
};

struct product {
    const struct sc_matmul *args;
    struct unpacking unpacking;
    size_t group;    // elements that share a scale, or a sub-scale
    size_t groups;   // of a segment
    bool has_groups; // sub-scales within blocks
    bool streams;    // codes go straight into the product, not into a tile
    struct prepared panels[SC_COLUMNS_MAX / SC_PANEL];
    float *nodes; // a panel's after the other's: [levels][panel.n][16]
    size_t levels;
};

enum { TILES_AHEAD = 2, FAR = 8192, NEAR = 1024 }; // ahead of use: tiles, with many columns; bytes, with one

// One panel's part for one segment.
struct part {
    size_t n;
    const int8_t *x;
    const int32_t *starts;
    const void *sums;
    bool narrow;    // products of groups fit into int16
    const float *d; // the columns' scales
    float *node;    // where the sums of this segment go, [n][16], and how many nodes below merge into them first
    size_t merges;
};

// Sums over groups of `per` sums of 16. The sizes are constants where that pays.
TILE_INLINE void prepare_groups(const struct product *p, const struct sc_panel *x, size_t per, size_t n,
                                struct prepared *out)
{
    size_t n_groups = p->args->k / p->group;
    bool has_min = p->args->format->has_min;
    const int16_t *sums = x->sums;
    for (size_t g = 0; g < n_groups; g++, sums += per * n) {
        int32_t sum[SC_PANEL] = { 0 };
        for (size_t j = 0; j < per; j++)
            for (size_t c = 0; c < n; c++) sum[c] += sums[j * n + c];
        if (!LANES_SIGNED_WEIGHTS)
            for (size_t c = 0; c < n; c++) out->starts[g * n + c] = -p->unpacking.offset * sum[c];
        if (has_min && p->has_groups)
            for (size_t c = 0; c < n; c++) ((int16_t *)out->sums)[(g / 2 * n + c) * 2 + g % 2] = (int16_t)sum[c];
        else if (has_min)
            for (size_t c = 0; c < n; c++) ((float *)out->sums)[g * n + c] = (float)sum[c];
    }
}

static void prepare(const struct product *p, const struct sc_panel *x, struct prepared *out)
{
    if (LANES_SIGNED_WEIGHTS && !p->args->format->has_min) return;
    if (p->group == 32 && x->n == SC_PANEL) prepare_groups(p, x, 2, SC_PANEL, out);
    else if (p->group == 32 && x->n == 1) prepare_groups(p, x, 2, 1, out);
    else if (p->group == 16 && x->n == SC_PANEL) prepare_groups(p, x, 1, SC_PANEL, out);
    else if (p->group == 16 && x->n == 1) prepare_groups(p, x, 1, 1, out);
    else prepare_groups(p, x, p->group / 16, x->n, out);
}

static void begin(struct product *p, const struct sc_matmul *args)
{
    const struct sc_format *format = args->format;
    char *scratch = args->scratch;
    *p = (struct product){ .args = args, .unpacking = unpacking_of(format), .group = format->group, .levels = 2 };
    p->groups = SC_SEGMENT / p->group;
    p->has_groups = format->group != format->block_size;
    p->streams = args->n_columns == 1 && (p->group == 16 || p->group == 32);
    for (size_t n = args->k / SC_SEGMENT; n > 0; n /= 2) p->levels++;
    p->nodes = (float *)(void *)scratch;
    scratch += args->n_columns * p->levels * SC_LANES * sizeof(float);
    for (size_t c = 0; c < args->n_columns; c += SC_PANEL) {
        const struct sc_panel *x = &args->panels[c / SC_PANEL];
        size_t n_bytes = args->k / p->group * x->n * sizeof(int32_t);
        struct prepared *panel = &p->panels[c / SC_PANEL];
        panel->starts = (int32_t *)(void *)scratch;
        panel->sums = scratch + n_bytes;
        prepare(p, x, panel);
        scratch += 2 * n_bytes;
    }
}

TILE_INLINE struct part part_of(const struct product *p, size_t c0, size_t s)
{
    const struct sc_panel *x = &p->args->panels[c0 / SC_PANEL];
    const struct prepared *prepared = &p->panels[c0 / SC_PANEL];
    size_t g = s * p->groups, level = (size_t)__builtin_popcountll(s);
    return (struct part){
        .n = x->n,
        .x = x->q + s * SC_SEGMENT * x->n,
        .starts = prepared->starts + g * x->n,
        .sums = (const char *)prepared->sums + (p->has_groups ? g / 2 : g) * x->n * 4,
        .narrow = x->most[s] <= p->unpacking.narrow,
        .d = x->d + s * x->n,
        .node = p->nodes + (c0 * p->levels + level * x->n) * SC_LANES,
        .merges = (size_t)__builtin_ctzll(s + 1),
    };
}

// Takes a segment of `columns` columns, a[c] * d[c], into their trees of sums: merges as many pairs as its number + 1
// has trailing zero bits. The size is a constant.
TILE_INLINE void push(const struct part *x, size_t c0, size_t columns, lanes_f32 *a)
{
    float *node = x->node + c0 * SC_LANES;
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) a[c] = lanes_mul(a[c], lanes_set(x->d[c0 + c]));
    for (size_t merges = x->merges; merges > 0; merges--) {
        node -= x->n * SC_LANES;
#pragma GCC unroll 12
        for (size_t c = 0; c < columns; c++) a[c] = lanes_add(lanes_load(node + c * SC_LANES), a[c]);
    }
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) lanes_store(node + c * SC_LANES, a[c]);
}

// s[c] = the products of n_quads quads with `columns` columns from column c0 of the part on. The sizes are constants.
TILE_INLINE void dot_quads(const int8_t *w, size_t n_quads, const int8_t *x, size_t n, size_t columns, lanes_i32 *s)
{
#if defined(LANES_HAS_DOT_QUADS)
    lanes_dot_quads(w, n_quads, x, n, columns, s);
    return;
#endif
#pragma GCC unroll 8
    for (size_t q = 0; q < n_quads; q++, x += 4 * n) {
        lanes_bytes bytes = lanes_load_bytes(w + q * VECTOR);
#pragma GCC unroll 12
        for (size_t c = 0; c < columns; c++) s[c] = lanes_dot4(s[c], bytes, x + 4 * c);
    }
}

// What the options of a format with sub-scales are.
enum { HAS_MIN = 1, NARROW = 2, CENTRED = 4, AS_IT_IS = 8 };

TILE_INLINE void start(const struct part *x, size_t g, size_t c0, size_t columns, unsigned options, lanes_i32 *s)
{
    bool zero = LANES_SIGNED_WEIGHTS || options & AS_IT_IS;
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) s[c] = lanes_set_i(zero ? 0 : x->starts[g * x->n + c0 + c]);
}

// Blocks without sub-scales: a = fma(d, s, a), and a = fma(m, t, a).
TILE_INLINE void multiply_blocks(const struct tile *tile, size_t n_blocks, size_t n_quads, bool has_min,
                                 const struct part *x, size_t c0, size_t columns)
{
    lanes_f32 a[LANES_COLUMNS];
    lanes_i32 s[LANES_COLUMNS];
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) a[c] = lanes_zero();
    for (size_t b = 0; b < n_blocks; b++) {
        start(x, b, c0, columns, 0, s);
        if (n_quads == BLOCK_QUADS)
            dot_quads(tile->quads[b * BLOCK_QUADS], BLOCK_QUADS, x->x + (b * BLOCK_QUADS * x->n + c0) * 4, x->n,
                      columns, s);
        else
            for (size_t q = 0; q < n_quads; q += BLOCK_QUADS)
                dot_quads(tile->quads[q], BLOCK_QUADS, x->x + (q * x->n + c0) * 4, x->n, columns, s);
        lanes_f32 d = lanes_load(tile->d[b]);
#pragma GCC unroll 12
        for (size_t c = 0; c < columns; c++) a[c] = lanes_fma(d, lanes_of_i32(s[c]), a[c]);
        if (!has_min) continue;
        lanes_f32 m = lanes_load(tile->m[b]);
        const float *sums = (const float *)x->sums + b * x->n + c0;
#pragma GCC unroll 12
        for (size_t c = 0; c < columns; c++) a[c] = lanes_fma(m, lanes_set(sums[c]), a[c]);
    }
    push(x, c0, columns, a);
}

// total[c] + a number for each pair of groups times the groups' sums of activations.
TILE_INLINE void add_sums(const int32_t *pairs, size_t n_pairs, const struct part *x, size_t c0, size_t columns,
                          lanes_i32 *total)
{
    for (size_t g = 0; g < n_pairs; g++) {
        lanes_i32 pair = lanes_load_i(pairs + g * SC_LANES);
        const int16_t *sums = (const int16_t *)x->sums + (g * x->n + c0) * 2;
#pragma GCC unroll 12
        for (size_t c = 0; c < columns; c++) total[c] = lanes_dot2(total[c], pair, sums + 2 * c);
    }
}

// One block of 256 with integer sub-scales: s = sum of scale * group's products, t = sum of min * group's sum.
// NARROW: the products fit into int16. CENTRED: tile.h, centre_of. AS_IT_IS: unsigned codes of which nothing is taken.
TILE_INLINE void multiply_groups(const struct tile *tile, size_t n_groups, size_t n_quads, unsigned options,
                                 const struct part *x, size_t c0, size_t columns)
{
    bool has_min = options & HAS_MIN;
    lanes_i32 total[LANES_COLUMNS], s[LANES_COLUMNS];
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) total[c] = lanes_set_i(0);
    if (options & CENTRED) add_sums(tile->more[0], n_groups / 2, x, c0, columns, total);
    for (size_t g = 0; g < n_groups; g++) {
        start(x, g, c0, columns, options, s);
        dot_quads(tile->quads[g * n_quads], n_quads, x->x + (g * n_quads * x->n + c0) * 4, x->n, columns, s);
        lanes_i32 scale = lanes_load_i(tile->scale[g]);
#pragma GCC unroll 12
        for (size_t c = 0; c < columns; c++)
            total[c] = options & NARROW ? lanes_mac(total[c], s[c], scale)
                                        : lanes_add_i(total[c], lanes_mul_i(scale, s[c]));
    }
    lanes_f32 d = lanes_load(tile->d[0]), m = lanes_load(tile->m[0]);
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) s[c] = lanes_set_i(0);
    if (has_min) add_sums(tile->mins[0], n_groups / 2, x, c0, columns, s);
    lanes_f32 a[LANES_COLUMNS];
#pragma GCC unroll 12
    for (size_t c = 0; c < columns; c++) {
        a[c] = lanes_fma(d, lanes_of_i32(total[c]), lanes_zero());
        if (has_min) a[c] = lanes_fma(m, lanes_of_i32(s[c]), a[c]);
    }
    push(x, c0, columns, a);
}

// The kinds of formats there are, as code of their own.
TILE_INLINE void multiply_columns(const struct product *p, const struct tile *tile, size_t n, const struct part *x,
                                  size_t c0, size_t columns)
{
    const struct sc_format *f = p->args->format;
    if (p->has_groups && p->group == 32) {
        bool narrow = x->narrow || p->unpacking.bits == 4, four = p->unpacking.bits == 4 && !LANES_SIGNED_WEIGHTS;
        if (f->has_min && four && x->narrow) multiply_groups(tile, 8, 8, HAS_MIN | NARROW | AS_IT_IS, x, c0, columns);
        else if (f->has_min && narrow) multiply_groups(tile, 8, 8, HAS_MIN | NARROW | CENTRED, x, c0, columns);
        else if (f->has_min) multiply_groups(tile, 8, 8, HAS_MIN | CENTRED, x, c0, columns);
        else multiply_groups(tile, 8, 8, 0, x, c0, columns);
    } else if (p->has_groups) {
        if (f->has_min) multiply_groups(tile, 16, 4, HAS_MIN | NARROW, x, c0, columns);        // 16 * 3 * 127
        else if (x->narrow || p->unpacking.bits == 3) // 16 * 4 * 127
            multiply_groups(tile, 16, 4, NARROW, x, c0, columns);
        else multiply_groups(tile, 16, 4, 0, x, c0, columns);
    } else if (f->block_size != 32) multiply_blocks(tile, 1, TILE_QUADS, false, x, c0, columns);
    else if (f->has_min) multiply_blocks(tile, n / 32, BLOCK_QUADS, true, x, c0, columns);
    else multiply_blocks(tile, n / 32, BLOCK_QUADS, false, x, c0, columns);
}

// A whole panel: everything in it lies at constant distances.
static __attribute__((noinline)) void multiply_12(const struct product *p, const struct tile *tile, size_t n,
                                                  const struct part *x)
{
    struct part panel = *x;
    panel.n = SC_PANEL;
    if (LANES_COLUMNS >= 12) multiply_columns(p, tile, n, &panel, 0, 12);
}
static __attribute__((noinline)) void multiply_8(const struct product *p, const struct tile *tile, size_t n,
                                                 const struct part *x, size_t c0)
{
    if (LANES_COLUMNS >= 8) multiply_columns(p, tile, n, x, c0, 8);
}
static __attribute__((noinline)) void multiply_4(const struct product *p, const struct tile *tile, size_t n,
                                                 const struct part *x, size_t c0)
{
    multiply_columns(p, tile, n, x, c0, 4);
}
static __attribute__((noinline)) void multiply_2(const struct product *p, const struct tile *tile, size_t n,
                                                 const struct part *x, size_t c0)
{
    multiply_columns(p, tile, n, x, c0, 2);
}
static __attribute__((noinline)) void multiply_1(const struct product *p, const struct tile *tile, size_t n,
                                                 const struct part *x, size_t c0)
{
    multiply_columns(p, tile, n, x, c0, 1);
}

static void multiply_panel(const struct product *p, const struct tile *tile, size_t n, const struct part *x)
{
    for (size_t c = 0, left; (left = x->n - c) > 0;) {
        size_t columns = left >= 12 ? 12 : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (columns > LANES_COLUMNS) columns = LANES_COLUMNS;
        if (columns == 12) multiply_12(p, tile, n, x);
        else if (columns == 8) multiply_8(p, tile, n, x, c);
        else if (columns == 4) multiply_4(p, tile, n, x, c);
        else if (columns == 2) multiply_2(p, tile, n, x, c);
        else multiply_1(p, tile, n, x, c);
        c += columns;
    }
}

// The trees' totals for n_rows rows from `row` on.
static void finish_group(const struct product *p, size_t n_segments, size_t row, size_t n_rows)
{
    size_t depth = (size_t)__builtin_popcountll(n_segments);
    for (size_t c = 0; c < p->args->n_columns; c++) {
        size_t panel = c / SC_PANEL * SC_PANEL, level = p->args->panels[c / SC_PANEL].n * SC_LANES;
        float *nodes = p->nodes + (panel * p->levels + (c - panel)) * SC_LANES, *y = p->args->y[c] + row;
        lanes_f32 sum = lanes_load(nodes + (depth - 1) * level);
        for (size_t i = depth - 1; i > 0; i--) sum = lanes_add(lanes_load(nodes + (i - 1) * level), sum);
        if (n_rows >= SC_LANES) {
            lanes_store(y, sum);
            continue;
        }
        lanes_store(nodes, sum);
        memcpy(y, nodes, n_rows * sizeof *y);
    }
}

// Asks for a part of the weights ahead of their use: far ahead from memory into the second-level cache, which more
// requests can be under way to, and then into the first. n_bytes is a constant.
TILE_INLINE void fetch_ahead(const uint8_t *weights, size_t n_bytes)
{
#pragma GCC unroll 8
    for (size_t i = 0; i < n_bytes; i += VECTOR) {
        __builtin_prefetch(weights + FAR + i, 0, 2);
        __builtin_prefetch(weights + NEAR + i, 0, 3);
    }
}

// The products of a tile's codes with one column, from the codes at once. The sizes and options are constants.
TILE_INLINE void stream_blocks(const struct product *p, const struct tile *tile, const uint8_t *codes, size_t n_blocks,
                               unsigned bits, bool has_min, const struct part *x)
{
    lanes_f32 a = lanes_zero();
    for (size_t b = 0; b < n_blocks; b++, codes += bits * VECTOR) {
        fetch_ahead(codes, bits * VECTOR);
        struct quads quads = { .x = x->x + b * 32, .per_sum = 1 };
        start(x, b, 0, 1, 0, &quads.sums[0]);
        quads.sums[1] = lanes_set_i(0);
        unpack_block(&p->unpacking, bits, codes, &quads);
        a = lanes_fma(lanes_load(tile->d[b]), lanes_of_i32(lanes_add_i(quads.sums[0], quads.sums[1])), a);
        if (has_min) a = lanes_fma(lanes_load(tile->m[b]), lanes_set(((const float *)x->sums)[b]), a);
    }
    push(x, 0, 1, &a);
}

TILE_INLINE lanes_i32 add_scaled(lanes_i32 total, lanes_i32 sum, const int32_t *scale, unsigned options)
{
    if (options & NARROW) return lanes_mac(total, sum, lanes_load_i(scale));
    return lanes_add_i(total, lanes_mul_i(lanes_load_i(scale), sum));
}

TILE_INLINE void stream_groups(const struct product *p, const struct tile *tile, const uint8_t *codes, size_t per,
                               unsigned bits, unsigned options, const struct part *x)
{
    bool has_min = options & HAS_MIN;
    lanes_i32 total = lanes_set_i(0), mins = lanes_set_i(0);
    if (options & CENTRED) add_sums(tile->more[0], TILE_BLOCKS / 2, x, 0, 1, &total);
    for (size_t b = 0; b < TILE_BLOCKS; b++, codes += bits * VECTOR) {
        fetch_ahead(codes, bits * VECTOR);
        struct quads quads = { .x = x->x + b * 32, .per_sum = per == 16 ? 4 : 1 };
        start(x, per == 16 ? 2 * b : b, 0, 1, options, &quads.sums[0]);
        if (per == 16) start(x, 2 * b + 1, 0, 1, options, &quads.sums[1]);
        else quads.sums[1] = lanes_set_i(0);
        unpack_block(&p->unpacking, bits, codes, &quads);
        if (per == 32) quads.sums[0] = lanes_add_i(quads.sums[0], quads.sums[1]);
        const int32_t *scale = tile->scale[b * (32 / per)];
        total = add_scaled(total, quads.sums[0], scale, options);
        if (per == 16) total = add_scaled(total, quads.sums[1], scale + SC_LANES, options);
    }
    if (has_min) add_sums(tile->mins[0], 256 / per / 2, x, 0, 1, &mins);
    lanes_f32 a = lanes_fma(lanes_load(tile->d[0]), lanes_of_i32(total), lanes_zero());
    if (has_min) a = lanes_fma(lanes_load(tile->m[0]), lanes_of_i32(mins), a);
    push(x, 0, 1, &a);
}

// The kinds of formats there are, as code of their own.
static void stream(const struct product *p, const struct tile *tile, const uint8_t *codes, size_t n,
                   const struct part *x)
{
    const struct sc_format *f = p->args->format;
    unsigned bits = p->unpacking.bits;
    if (p->has_groups && p->group == 32) {
        bool as_it_is = x->narrow && !LANES_SIGNED_WEIGHTS;
        if (f->has_min && bits == 4 && as_it_is) stream_groups(p, tile, codes, 32, 4, HAS_MIN | NARROW | AS_IT_IS, x);
        else if (f->has_min && bits == 4) stream_groups(p, tile, codes, 32, 4, HAS_MIN | NARROW | CENTRED, x);
        else if (f->has_min && x->narrow) stream_groups(p, tile, codes, 32, 5, HAS_MIN | NARROW | CENTRED, x);
        else if (f->has_min) stream_groups(p, tile, codes, 32, 5, HAS_MIN | CENTRED, x);
        else stream_groups(p, tile, codes, 32, 4, 0, x);
    } else if (p->has_groups) {
        if (f->has_min) stream_groups(p, tile, codes, 16, 2, HAS_MIN | NARROW, x);
        else if (bits == 3) stream_groups(p, tile, codes, 16, 3, NARROW, x);
        else if (x->narrow) stream_groups(p, tile, codes, 16, 6, NARROW, x);
        else stream_groups(p, tile, codes, 16, 6, 0, x);
    } else if (f->has_min) {
        if (bits == 4) stream_blocks(p, tile, codes, n / 32, 4, true, x);
        else stream_blocks(p, tile, codes, n / 32, 5, true, x);
    } else {
        if (bits == 4) stream_blocks(p, tile, codes, n / 32, 4, false, x);
        else if (bits == 5) stream_blocks(p, tile, codes, n / 32, 5, false, x);
        else stream_blocks(p, tile, codes, n / 32, 8, false, x);
    }
}

static void multiply_column(const struct product *p, const struct tile *tile, const uint8_t *packed, size_t s, size_t n,
                            const struct sc_tile_layout *layout)
{
    struct part part = part_of(p, 0, s);
    fetch_ahead(packed, layout->head_bytes);
    stream(p, tile, packed + layout->head_bytes, n, &part);
}

// Multiplies a tile by all columns, and meanwhile asks for the next one.
static void multiply_tile(const struct product *p, const struct tile *tile, size_t s, size_t n, const uint8_t *next,
                          size_t n_next)
{
    size_t n_panels = (p->args->n_columns + SC_PANEL - 1) / SC_PANEL;
    size_t lines = (n_next / VECTOR + n_panels - 1) / n_panels;
    for (size_t c = 0; c < p->args->n_columns; c += SC_PANEL, next += lines * VECTOR) {
        for (size_t i = 0; i < lines; i++) __builtin_prefetch(next + i * VECTOR);
        struct part part = part_of(p, c, s);
        multiply_panel(p, tile, n, &part);
    }
}

void SC_LANES_NAME(matmul_quantized)(const struct sc_matmul *args)
{
    struct product p;
    struct tile tile;
    begin(&p, args);
    size_t n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT, last = args->k - (n_segments - 1) * SC_SEGMENT;
    struct sc_tile_layout whole = sc_tile_layout(args->format, SC_SEGMENT), rest = sc_tile_layout(args->format, last);
    for (size_t row = 0; row < args->n_rows; row += SC_LANES) {
        const uint8_t *packed = (const uint8_t *)args->groups + row / SC_LANES * args->group_bytes;
        for (size_t s = 0; s < n_segments; s++) {
            bool is_last = s + 1 == n_segments;
            const struct sc_tile_layout *layout = is_last ? &rest : &whole;
            size_t n = is_last ? last : SC_SEGMENT, n_bytes = layout->head_bytes + layout->codes_bytes;
            unpack_head(&p.unpacking, packed, n, layout, &tile);
            if (p.streams) {
                multiply_column(&p, &tile, packed, s, n, layout);
            } else {
                unpack_codes(&p.unpacking, packed + layout->head_bytes, n, &tile);
                multiply_tile(&p, &tile, s, n, packed + TILES_AHEAD * n_bytes, n_bytes);
            }
            packed += n_bytes;
        }
        finish_group(&p, n_segments, row, args->n_rows - row);
    }
}
