// Products: of all rows with one matrix (or a matrix per head), and of each token with its experts' matrices.
#include "base/size.h"
#include "program/execute.h"
#include "program/op_types.h"

enum { ROWS_PER_TASK = 64 };

// One call of a matrix-product kernel, gathered column by column.
struct columns {
    struct sc_matmul args;
    const float *x[SC_COLUMNS_MAX];
    struct sc_q8 xq[SC_COLUMNS_MAX];
    float *y[SC_COLUMNS_MAX];
    float row_scale[SC_COLUMNS_MAX];
    float scale;
    const float *bias;
};

// Rows begin..end of matrix m of the op's weights.
static void start(struct columns *c, const struct sc_linear *linear, size_t m, size_t begin, size_t end)
{
    const struct sc_tensor *w = linear->weight;
    c->args = (struct sc_matmul){ .format = w->format,
                                  .rows = sc_tensor_row(w, m, begin),
                                  .row_stride = w->row_stride,
                                  .n_rows = end - begin,
                                  .k = w->shape[0],
                                  .x = c->x,
                                  .xq = c->xq,
                                  .y = c->y };
    c->scale = linear->scale ? linear->scale[m] : 1.0f;
    c->bias = linear->bias ? linear->bias + m * w->shape[1] + begin : NULL;
}

static void flush(const struct sc_run *run, struct columns *c)
{
    if (c->args.n_columns == 0) return;
    if (c->args.format->unpack) run->kernels->matmul_quantized(&c->args);
    else run->kernels->matmul_float(&c->args);
    for (size_t i = 0; i < c->args.n_columns; i++)
        run->kernels->finish(c->y[i], c->args.n_rows, c->row_scale[i], c->scale, c->bias);
    c->args.n_columns = 0;
}

// Adds head h of sub-row `in` of the op's input as a column whose products go to y.
static void add(const struct sc_run *run, const struct sc_op *op, struct columns *c, size_t in, size_t h, float *y)
{
    size_t i = c->args.n_columns++;
    struct sc_value x = op->in[0];
    if (c->args.format->unpack) c->xq[i] = sc_run_q8(run, x, in * x.n_heads + h);
    else c->x[i] = sc_run_f32(run, x, in, h);
    c->row_scale[i] = op->in[1].buffer == SC_NO_BUFFER ? 1.0f : *sc_run_f32(run, op->in[1], in, 0);
    c->y[i] = y;
    if (c->args.n_columns == SC_COLUMNS_MAX) flush(run, c);
}

static size_t row_tiles(const struct sc_op *op)
{
    return (op->linear.weight->shape[1] + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
}

static size_t matrix_tasks(const struct sc_run *run, const struct sc_op *op)
{
    return run->n_rows ? row_tiles(op) * op->linear.weight->shape[2] : 0;
}

static void run_linear(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    struct columns c;
    size_t tiles = row_tiles(op), h = task / tiles, begin = task % tiles * ROWS_PER_TASK;
    start(&c, &op->linear, h, begin, SC_MIN(begin + ROWS_PER_TASK, op->linear.weight->shape[1]));
    // A quantized input by heads has a sub-row for each head, so rows are counted in the output.
    for (size_t row = 0, n = sc_run_n_sub_rows(run, op->out[0]); row < n; row++)
        add(run, op, &c, row, h, sc_run_f32(run, op->out[0], row, h) + begin);
    flush(run, &c);
}

static void run_expert_linear(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    struct columns c;
    size_t tiles = row_tiles(op), expert = task / tiles, begin = task % tiles * ROWS_PER_TASK;
    size_t n_used = op->in[2].head_dim;
    bool by_slot = run->program->buffers[op->in[0].buffer].per_row != 1;
    start(&c, &op->linear, expert, begin, SC_MIN(begin + ROWS_PER_TASK, op->linear.weight->shape[1]));
    for (size_t row = 0; row < run->n_rows; row++) {
        const int32_t *ids = sc_run_i32(run, op->in[2], row);
        for (size_t slot = 0; slot < n_used; slot++) {
            if ((size_t)ids[slot] != expert) continue;
            size_t out = row * n_used + slot;
            add(run, op, &c, by_slot ? out : row, 0, sc_run_f32(run, op->out[0], out, 0) + begin);
        }
    }
    flush(run, &c);
}

const struct sc_op_type sc_op_linear = { .name = "linear", .tasks = matrix_tasks, .run = run_linear };
const struct sc_op_type sc_op_expert_linear = { .name = "expert_linear",
                                                .tasks = matrix_tasks,
                                                .run = run_expert_linear };
