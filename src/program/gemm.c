#include "program/gemm.h"

#include <string.h>

#include "base/size.h"
#include "tensor/packed.h"

enum { ROWS = 512, COLUMNS = 480, TASKS_PER_THREAD = 4, ROWS_AHEAD = 4 };

static size_t even_blocks(size_t n, size_t most, size_t step, size_t at_least, size_t *size)
{
    size_t blocks = SC_MAX((n + most - 1) / most, SC_MIN(at_least, (n + step - 1) / step));
    *size = SC_MAX(((n + blocks - 1) / SC_MAX(blocks, (size_t)1) + step - 1) / step * step, step);
    return (n + *size - 1) / *size;
}

struct sc_product_cut sc_product_cut(const struct sc_product *product, size_t n_threads)
{
    struct sc_product_cut cut;
    size_t step = 2 * SC_LANES;
    if (product->a.lie == SC_LIE_TURNED)
        step = SC_MAX(step, (size_t)product->a.weight->format->block_size); // whole ones
    cut.row_blocks = even_blocks(product->n_rows, ROWS, step, 1, &cut.rows);
    size_t wanted = n_threads > 1 ? (n_threads * TASKS_PER_THREAD + cut.row_blocks - 1) / cut.row_blocks : 1;
    wanted = SC_MIN(wanted, product->n_columns / 48 + 1);
    cut.column_blocks = even_blocks(product->n_columns, COLUMNS, SC_PANEL, wanted, &cut.columns);
    return cut;
}

// One task's memory: a segment of both operands, and the tree's nodes.
struct room {
    float *a, *b, *turned, *nodes;
};

enum {
    A_FLOATS = ROWS * SC_SEGMENT,
    B_FLOATS = COLUMNS * SC_SEGMENT,
    TURNED_FLOATS = SC_LANES * ROWS,
    NODE_FLOATS = ROWS * COLUMNS
};

static size_t n_levels(size_t k)
{
    size_t levels = 2;
    for (size_t n = k / SC_SEGMENT; n > 0; n /= 2) levels++;
    return levels;
}

size_t sc_product_scratch(size_t k)
{
    return (A_FLOATS + B_FLOATS + TURNED_FLOATS + n_levels(k) * (size_t)NODE_FLOATS) * sizeof(float);
}

static struct room room_at(void *scratch)
{
    float *a = scratch, *b = a + A_FLOATS, *turned = b + B_FLOATS;
    return (struct room){ a, b, turned, turned + TURNED_FLOATS };
}

// Rows i..i+n of one group of 16 rows of a packed matrix of floats or blocks, as floats: out[n][16].
static void decode_group(const struct sc_tensor *w, size_t matrix, size_t group, size_t i, size_t n, float *out)
{
    const char *data = (const char *)w->data + matrix * w->matrix_stride + group * w->row_stride;
    if (!w->format->unpack) {
        w->format->decode(data + i * SC_LANES * w->format->block_bytes, out, n * SC_LANES);
        return;
    }
    sc_packed_decode_columns(w->format, data, w->shape[0], i, n, out);
}

// Element i..i+n of rows p..p+m (p a multiple of 16) of a packed matrix, turned: to[m][width] for `width` lanes of i.
static void lay_turned(const struct sc_kernels *kernels, const struct sc_operand *from, size_t i, size_t n, size_t p,
                       size_t m, size_t width, float *to, float *turned)
{
    const struct sc_tensor *w = from->weight;
    bool is_f32 = !w->format->unpack && w->format->block_bytes == sizeof(float);
    for (size_t q = 0; q < m; q += SC_LANES) {
        size_t rows = SC_MIN(m - q, (size_t)SC_LANES);
        const float *x = turned;
        if (is_f32)
            x = (const float *)(const void *)((const char *)w->data + from->matrix * w->matrix_stride +
                                              (p + q) / SC_LANES * w->row_stride) +
                i * SC_LANES;
        else decode_group(w, from->matrix, (p + q) / SC_LANES, i, n, turned);
        for (size_t g = 0; g < n; g += width)
            kernels->transpose(&(struct sc_transpose){ .x = x + g * SC_LANES,
                                                       .x_stride = SC_LANES,
                                                       .n = SC_MIN(n - g, width),
                                                       .m = rows,
                                                       .y = to + g * m + q * width,
                                                       .y_stride = width });
    }
}

// Rows of the operand lie whole: they are read from end to end, and dealt out to the groups.
static void lay_columns(const struct sc_operand *from, size_t i, size_t n, size_t p, size_t m, size_t width, float *to)
{
    for (size_t q = 0; q < m; q++, to += width) {
        const float *x = from->x + (p + q) * from->stride + i;
        float scale = from->scale ? from->scale[(p + q) * from->scale_stride] : 1.0f;
        for (size_t g = 0; g < n; g += width) {
            float *out = to + g * m;
            __builtin_prefetch(x + ROWS_AHEAD * from->stride + g); // another page, often
            size_t some = SC_MIN(n - g, width);
            if (some == SC_LANES) memcpy(out, x + g, SC_LANES * sizeof *out);
            else if (some == SC_PANEL) memcpy(out, x + g, SC_PANEL * sizeof *out);
            else memcpy(out, x + g, some * sizeof *out);
            for (size_t l = 0; l < some && from->scale; l++) out[l] = out[l] * scale;
        }
    }
}

// Elements (i..i+n, p..p+m) laid side by side: to[ceil(n / width)][m][width].
static void lay(const struct sc_kernels *kernels, const struct sc_operand *from, size_t i, size_t n, size_t p, size_t m,
                size_t width, float *to, float *turned)
{
    if (from->lie == SC_LIE_TURNED) {
        lay_turned(kernels, from, i, n, p, m, width, to, turned);
    } else if (from->lie == SC_LIE_COLUMNS) {
        lay_columns(from, i, n, p, m, width, to);
    } else {
        for (size_t g = 0; g < n; g += width)
            kernels->transpose(&(struct sc_transpose){ .x = from->x + (i + g) * from->stride + p,
                                                       .x_stride = from->stride,
                                                       .n = SC_MIN(n - g, width),
                                                       .m = m,
                                                       .y = to + g * m,
                                                       .y_stride = width });
    }
}

// The finished block to its place.
static void put(const struct sc_kernels *kernels, const struct sc_product *product, float *node, size_t stride,
                size_t i, size_t n_rows, size_t j, size_t n_columns)
{
    size_t run = product->c_group == SC_LANES ? n_rows : SC_LANES; // floats that lie together
    for (size_t c = 0; c < n_columns; c++)
        for (size_t r = 0; r < n_rows; r += run) {
            size_t n = SC_MIN(n_rows - r, run);
            float *from = node + c * stride + r;
            float *to = product->c + (i + r) / SC_LANES * product->c_group + (j + c) * product->c_column;
            if (product->factor != 1.0f) kernels->scale(from, product->factor, from, n);
            if (product->add) kernels->add(to, from, to, n);
            else memcpy(to, from, n * sizeof *to);
        }
}

void sc_product_task(const struct sc_kernels *kernels, const struct sc_product *product,
                     const struct sc_product_cut *cut, size_t task, void *scratch)
{
    struct room room = room_at(scratch);
    size_t i = task % cut->row_blocks * cut->rows, n_rows = SC_MIN(product->n_rows - i, cut->rows);
    size_t j = task / cut->row_blocks * cut->columns, n_columns = SC_MIN(product->n_columns - j, cut->columns);
    size_t stride = sc_align_up(n_rows, SC_LANES), floats = stride * n_columns, depth = 0, s = 0;
    for (size_t p = 0; p < product->k; p += SC_SEGMENT) {
        size_t m = SC_MIN(product->k - p, (size_t)SC_SEGMENT);
        lay(kernels, &product->a, i, n_rows, p, m, SC_LANES, room.a, room.turned);
        lay(kernels, &product->b, j, n_columns, p, m, SC_PANEL, room.b, room.turned);
        kernels->gemm(&(struct sc_gemm){ .a = room.a,
                                         .b = room.b,
                                         .n_rows = n_rows,
                                         .n_columns = n_columns,
                                         .k = m,
                                         .c = room.nodes + depth++ * floats,
                                         .stride = stride });
        for (size_t n = ++s; (n & 1) == 0; n >>= 1, depth--)
            kernels->add(room.nodes + (depth - 2) * floats, room.nodes + (depth - 1) * floats,
                         room.nodes + (depth - 2) * floats, floats);
    }
    for (; depth > 1; depth--)
        kernels->add(room.nodes + (depth - 2) * floats, room.nodes + (depth - 1) * floats,
                     room.nodes + (depth - 2) * floats, floats);
    put(kernels, product, room.nodes, stride, i, n_rows, j, n_columns);
}

struct job {
    const struct sc_kernels *kernels;
    const struct sc_product *product;
    struct sc_product_cut cut;
    char *scratch;
    size_t stride;
};

static void run_task(void *context, size_t task, size_t thread)
{
    const struct job *job = context;
    sc_product_task(job->kernels, job->product, &job->cut, task, job->scratch + thread * job->stride);
}

void sc_product_run(const struct sc_kernels *kernels, struct sc_pool *pool, const struct sc_product *product,
                    char *scratch, size_t stride)
{
    struct job job = { kernels, product, sc_product_cut(product, sc_pool_n_threads(pool)), scratch, stride };
    if (product->n_rows == 0 || product->n_columns == 0 || product->k == 0) return;
    sc_pool_run(pool, job.cut.row_blocks * job.cut.column_blocks, run_task, &job);
}

void sc_product_alone(const struct sc_kernels *kernels, const struct sc_product *product, void *scratch)
{
    struct sc_product_cut cut = sc_product_cut(product, 1);
    if (product->n_rows == 0 || product->n_columns == 0 || product->k == 0) return;
    for (size_t task = 0; task < cut.row_blocks * cut.column_blocks; task++)
        sc_product_task(kernels, product, &cut, task, scratch);
}
