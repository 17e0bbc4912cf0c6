// Matrix product of quantized weights with int8 activations: what ref/matmul_quantized.c specifies, with 16 rows in
// lanes and four columns, or one, at a time.
//
//     for each group of 16 rows
//         for each segment of 256: unpack the tile into the first-level cache, once
//             for each panel of columns: products of an element's 16 weights with an activation
//
// Products are added up in int16 for a run of elements, as many as cannot overflow it, then in int32: as they are, or
// times the sub-scale of the run's group. Integers are exact in any order. A lane adds up its own row, so nothing is
// ever summed across lanes.
#include "kernels/lanes/lanes.h"

#include "kernels/riscv/rvv/tile.h"

enum { COLUMNS = 4 };

// A block's numbers and one panel's activations for it, from a column on.
struct block {
    const int8_t *w;      // [n][16]
    const int16_t *scale; // [n / group][16], where there are sub-scales
    const int8_t *x;      // [n / 4][n_columns][4]
    size_t n, n_columns;
    unsigned group_bits; // elements to a group: 1 << group_bits
};

struct product {
    const struct sc_matmul *args;
    unsigned run;
    float *nodes; // [n_columns][levels][16]
    size_t levels;
};

// The longest run whose products fit into int16, in elements: 2, 8, 16 or 32 times 127 times the greatest number.
static unsigned run_of(const struct sc_format *format)
{
    const struct sc_packing *packing = format->packing;
    int most = packing->bits == 8 ? 128 : (1 << packing->bits) - 1 - packing->offset;
    if (packing->offset > most) most = packing->offset;
    for (int i = 0; packing->codebook && i < 16; i++) {
        int magnitude = packing->codebook[i] < 0 ? -packing->codebook[i] : packing->codebook[i];
        most = i == 0 || magnitude > most ? magnitude : most;
    }
    unsigned run = most <= 8 ? 32 : most <= 16 ? 16 : most <= 32 ? 8 : 2;
    return run < format->group ? run : format->group;
}

// One product begins a sum or goes into it.
VECTOR_INLINE vint16m2_t first_product(int8_t x, vint8m1_t w) { return __riscv_vwmul_vx_i16m2(w, x, SC_LANES); }
VECTOR_INLINE vint16m2_t add_product(vint16m2_t sum, int8_t x, vint8m1_t w)
{
    return __riscv_vwmacc_vx_i16m2(sum, x, w, SC_LANES);
}

// A run's sum taken into the block's.
VECTOR_INLINE vint32m4_t add_run(bool scaled, vint32m4_t total, vint16m2_t sum, vint16m2_t scale)
{
    if (scaled) return __riscv_vwmacc_vv_i32m4(total, scale, sum, SC_LANES);
    return __riscv_vwadd_wv_i32m4(total, sum, SC_LANES);
}

// An element's weights with four columns. Column by column, because each sum waits for its last product.
VECTOR_INLINE void add_element(bool first, vint8m1_t w, const int8_t *x, vint16m2_t *s, vint16m2_t *t, vint16m2_t *u,
                               vint16m2_t *v)
{
    *s = first ? first_product(x[0], w) : add_product(*s, x[0], w);
    *t = first ? first_product(x[4], w) : add_product(*t, x[4], w);
    *u = first ? first_product(x[8], w) : add_product(*u, x[8], w);
    *v = first ? first_product(x[12], w) : add_product(*v, x[12], w);
}

// The sums of a block's products with four columns. `run` and `scaled` are constants.
VECTOR_INLINE void dot_four(unsigned run, bool scaled, const struct block *block, int32_t (*out)[SC_LANES])
{
    const int8_t *w = block->w, *x = block->x;
    size_t length = run < 4 ? 4 : run; // two runs of 2 in a quad
    vint32m4_t a = zero_i32(), b = a, c = a, d = a;
    for (size_t i = 0; i < block->n; i += length) {
        vint16m2_t scale = __riscv_vmv_v_x_i16m2(1, SC_LANES), s = scale, t = scale, u = scale, v = scale;
        if (scaled) scale = load_i16(block->scale + (i >> block->group_bits) * SC_LANES);
        for (size_t j = 0; j < length; j += 4, w += 4 * SC_LANES, x += 4 * block->n_columns) {
            add_element(j == 0, load_i8(w), x, &s, &t, &u, &v);
            add_element(false, load_i8(w + SC_LANES), x + 1, &s, &t, &u, &v);
            if (run == 2) {
                a = add_run(scaled, a, s, scale);
                b = add_run(scaled, b, t, scale);
                c = add_run(scaled, c, u, scale);
                d = add_run(scaled, d, v, scale);
            }
            add_element(run == 2, load_i8(w + 2 * SC_LANES), x + 2, &s, &t, &u, &v);
            add_element(false, load_i8(w + 3 * SC_LANES), x + 3, &s, &t, &u, &v);
        }
        a = add_run(scaled, a, s, scale);
        b = add_run(scaled, b, t, scale);
        c = add_run(scaled, c, u, scale);
        d = add_run(scaled, d, v, scale);
    }
    __riscv_vse32_v_i32m4(out[0], a, SC_LANES);
    __riscv_vse32_v_i32m4(out[1], b, SC_LANES);
    __riscv_vse32_v_i32m4(out[2], c, SC_LANES);
    __riscv_vse32_v_i32m4(out[3], d, SC_LANES);
}

// With one column, in two sums.
VECTOR_INLINE void dot_one(unsigned run, bool scaled, const struct block *block, int32_t (*out)[SC_LANES])
{
    const int8_t *w = block->w, *x = block->x;
    size_t length = run < 4 ? 4 : run;
    vint32m4_t total = zero_i32();
    for (size_t i = 0; i < block->n; i += length) {
        vint16m2_t scale = __riscv_vmv_v_x_i16m2(1, SC_LANES), s = scale, t = scale;
        if (scaled) scale = load_i16(block->scale + (i >> block->group_bits) * SC_LANES);
        for (size_t j = 0; j < length; j += 4, w += 4 * SC_LANES, x += 4 * block->n_columns) {
            vint8m1_t w0 = load_i8(w), w1 = load_i8(w + SC_LANES);
            vint8m1_t w2 = load_i8(w + 2 * SC_LANES), w3 = load_i8(w + 3 * SC_LANES);
            s = j == 0 ? first_product(x[0], w0) : add_product(s, x[0], w0);
            t = j == 0 ? first_product(x[2], w2) : add_product(t, x[2], w2);
            s = add_product(s, x[1], w1);
            t = add_product(t, x[3], w3);
        }
        if (run == 2) total = add_run(scaled, total, s, scale);
        else t = __riscv_vadd_vv_i16m2(s, t, SC_LANES);
        total = add_run(scaled, total, t, scale);
    }
    __riscv_vse32_v_i32m4(out[0], total, SC_LANES);
}

VECTOR_INLINE void dot_run(unsigned run, bool scaled, size_t columns, const struct block *block,
                           int32_t (*out)[SC_LANES])
{
    if (columns == 1 && scaled) dot_one(run, true, block, out);
    else if (columns == 1) dot_one(run, false, block, out);
    else if (scaled) dot_four(run, true, block, out);
    else dot_four(run, false, block, out);
}

// Code of its own for every kind.
static void dot(unsigned run, bool scaled, size_t columns, const struct block *block, int32_t (*out)[SC_LANES])
{
    if (run == 32) dot_run(32, scaled, columns, block, out);
    else if (run == 16) dot_run(16, scaled, columns, block, out);
    else if (run == 8) dot_run(8, scaled, columns, block, out);
    else dot_run(2, scaled, columns, block, out);
}

// ---- columns

// t = sum of min * the sum of the group's activations, for column c of the panel.
static vint32m4_t sum_mins(const struct sc_format *format, const struct tile *tile, const int16_t *sums, size_t n)
{
    vint32m4_t t = zero_i32();
    for (size_t g = 0; g < SC_SEGMENT / format->group; g++, sums += format->group / 16 * n) {
        int16_t sum = (int16_t)(format->group == 32 ? sums[0] + sums[n] : sums[0]);
        t = __riscv_vwmacc_vx_i32m4(t, sum, load_i16(tile->min[g]), SC_LANES);
    }
    return t;
}

// a = fma(d, (float)s, a), then a = fma(m, (float)t, a), for column c of the panel.
static vfloat32m4_t add_block(const struct sc_format *format, const struct tile *tile, size_t b, const int32_t *s,
                              const int16_t *sums, size_t n, vfloat32m4_t a)
{
    vfloat32m4_t products = f32_of_i32(__riscv_vle32_v_i32m4(s, SC_LANES));
    a = __riscv_vfmacc_vv_f32m4(a, load_f32(tile->d[b]), products, SC_LANES);
    if (!format->has_min) return a;
    vfloat32m4_t m = load_f32(tile->m[b]);
    if (format->group == format->block_size) return fma_f32((float)(sums[2 * b * n] + sums[(2 * b + 1) * n]), m, a);
    return __riscv_vfmacc_vv_f32m4(a, m, f32_of_i32(sum_mins(format, tile, sums, n)), SC_LANES);
}

// Segment s, of n elements, for `columns` columns of a panel from column c on; the first is column `at` of the product.
static void multiply_columns(const struct product *p, const struct tile *tile, size_t s, size_t n,
                             const struct sc_panel *x, size_t c, size_t at, size_t columns)
{
    const struct sc_format *format = p->args->format;
    size_t size = format->block_size;
    const int16_t *sums = x->sums + s * (SC_SEGMENT / 16) * x->n + c;
    _Alignas(64) int32_t products[COLUMNS * TILE_BLOCKS][SC_LANES];
    struct block block = { .w = tile->q[0], .scale = tile->scale[0], .n = size, .n_columns = x->n };
    block.x = x->q + (s * SC_SEGMENT * x->n + 4 * c);
    block.group_bits = (unsigned)__builtin_ctz(format->group);
    for (size_t b = 0; b < n / size; b++, block.w += size * SC_LANES, block.x += size * x->n)
        dot(p->run, format->group != size, columns, &block, products + b * columns);
    for (size_t i = 0; i < columns; i++) {
        vfloat32m4_t a = set_f32(0.0f);
        for (size_t b = 0; b < n / size; b++)
            a = add_block(format, tile, b, products[b * columns + i], sums + i, x->n, a);
        a = __riscv_vfmul_vf_f32m4(a, x->d[s * x->n + c + i], SC_LANES);
        push_segment(p->nodes + (at + i) * p->levels * SC_LANES, s, a);
    }
}

static void multiply_tile(const struct product *p, const struct tile *tile, size_t s, size_t n)
{
    for (size_t at = 0, columns; at < p->args->n_columns; at += columns) {
        const struct sc_panel *x = &p->args->panels[at / SC_PANEL];
        size_t c = at % SC_PANEL;
        columns = x->n - c >= COLUMNS ? COLUMNS : 1;
        multiply_columns(p, tile, s, n, x, c, at, columns);
    }
}

// The trees' totals for n_rows rows from `row` on.
static void finish_group(const struct product *p, size_t n_segments, size_t row, size_t n_rows)
{
    for (size_t c = 0; c < p->args->n_columns; c++) {
        vfloat32m4_t sum = finish_tree(p->nodes + c * p->levels * SC_LANES, n_segments);
        __riscv_vse32_v_f32m4(p->args->y[c] + row, sum, n_rows < SC_LANES ? n_rows : SC_LANES);
    }
}

void SC_LANES_NAME(matmul_quantized)(const struct sc_matmul *args)
{
    struct product p = { .args = args, .run = run_of(args->format), .nodes = args->scratch, .levels = 2 };
    struct tile tile;
    for (size_t n = args->k / SC_SEGMENT; n > 0; n /= 2) p.levels++;
    size_t n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT, last = args->k - (n_segments - 1) * SC_SEGMENT;
    struct sc_tile_layout whole = sc_tile_layout(args->format, SC_SEGMENT), rest = sc_tile_layout(args->format, last);
    for (size_t row = 0; row < args->n_rows; row += SC_LANES) {
        const uint8_t *packed = (const uint8_t *)args->groups + row / SC_LANES * args->group_bytes;
        for (size_t s = 0; s < n_segments; s++) {
            const struct sc_tile_layout *layout = s + 1 == n_segments ? &rest : &whole;
            size_t n = s + 1 == n_segments ? last : SC_SEGMENT;
            unpack_tile(args->format, packed, n, layout, &tile);
            multiply_tile(&p, &tile, s, n);
            packed += layout->head_bytes + layout->codes_bytes;
        }
        finish_group(&p, n_segments, row, args->n_rows - row);
    }
}
