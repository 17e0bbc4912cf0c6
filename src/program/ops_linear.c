// Products: of all rows with one matrix (or a matrix per head), and of each token with its experts' matrices.
//
// A task is a run of a matrix's rows with all columns, so that the weights are read from memory once. Rows per task
// are many when there are many columns (what a call prepares for its columns is then shared by many rows) and few when
// there are few (all threads then have work until the end).
#include <string.h>

#include "base/size.h"
#include "program/adjoints.h"
#include "program/execute.h"
#include "program/op_types.h"

enum { ROWS_FEW = 128, ROWS_MANY = 256, COLUMNS_MANY = 24, TASKS_PER_THREAD = 4 };

// One call of a matrix-product kernel, gathered column by column.
struct columns {
    struct sc_matmul args;
    const float *x[SC_COLUMNS_MAX];
    struct sc_panel panels[SC_COLUMNS_MAX / SC_PANEL];
    float *y[SC_COLUMNS_MAX];
    float row_scale[SC_COLUMNS_MAX];
    float scale;
    const float *bias;
};

// Rows of all matrices that each task would have if all had as many.
static size_t fair_rows(const struct sc_run *run, const struct sc_op *op)
{
    const struct sc_tensor *w = op->linear.weight;
    size_t n_tasks = sc_pool_n_threads(run->pool) * TASKS_PER_THREAD;
    return sc_align_up(w->shape[1] * w->shape[2] / n_tasks + 1, SC_LANES);
}

static size_t rows_per_task(const struct sc_run *run, const struct sc_op *op, size_t n_columns)
{
    if (n_columns < COLUMNS_MANY) return ROWS_FEW;
    return SC_MIN(SC_MAX(fair_rows(run, op), (size_t)ROWS_FEW), (size_t)ROWS_MANY);
}

static size_t row_tiles(const struct sc_op *op, size_t rows) { return (op->linear.weight->shape[1] + rows - 1) / rows; }

// Rows begin..end of matrix m of the op's weights; `begin` is the first row of a packed group.
static void start(struct columns *c, const struct sc_linear *linear, size_t m, size_t begin, size_t end, void *scratch)
{
    const struct sc_tensor *w = linear->weight;
    c->args = (struct sc_matmul){
        .format = w->format,
        .groups = (const char *)w->data + m * w->matrix_stride + begin / SC_LANES * w->row_stride,
        .group_bytes = w->row_stride,
        .n_rows = end - begin,
        .k = w->shape[0],
        .x = c->x,
        .panels = c->panels,
        .y = c->y,
        .scratch = scratch,
    };
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

static float row_scale(const struct sc_run *run, const struct sc_op *op, size_t row)
{
    return op->in[1].buffer == SC_NO_BUFFER ? 1.0f : *sc_run_f32(run, op->in[1], row, 0);
}

static size_t linear_tasks(const struct sc_run *run, const struct sc_op *op)
{
    size_t n = sc_run_n_sub_rows(run, op->out[0]);
    return n ? row_tiles(op, rows_per_task(run, op, n)) * op->linear.weight->shape[2] : 0;
}

static void run_linear(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    struct columns c;
    size_t n = sc_run_n_sub_rows(run, op->out[0]), rows = rows_per_task(run, op, n), tiles = row_tiles(op, rows);
    size_t h = task / tiles, begin = task % tiles * rows;
    start(&c, &op->linear, h, begin, SC_MIN(begin + rows, op->linear.weight->shape[1]), scratch);
    for (size_t row = 0; row < n; row++) {
        size_t i = c.args.n_columns++;
        if (!c.args.format->unpack) c.x[i] = sc_run_f32(run, op->in[0], row, h);
        else if (row % SC_PANEL == 0) c.panels[i / SC_PANEL] = sc_run_panel(run, op->in[0], h, row / SC_PANEL);
        c.row_scale[i] = row_scale(run, op, row);
        c.y[i] = sc_run_f32(run, op->out[0], row, h) + begin;
        if (c.args.n_columns == SC_COLUMNS_MAX) flush(run, &c);
    }
    flush(run, &c);
}

// Panels of the rows that go to one expert, taken out of the panels of all rows.
struct gathered {
    char *memory; // sc_panel_bytes(k, SC_PANEL) for each panel
    size_t sub_rows[SC_COLUMNS_MAX];
};

static void copy_column(const struct sc_panel *from, size_t c, const struct sc_panel *to, size_t at, size_t k)
{
    for (size_t i = 0; i < (k + 3) / 4; i++) memcpy(to->q + (i * to->n + at) * 4, from->q + (i * from->n + c) * 4, 4);
    for (size_t i = 0; i < (k + SC_SEGMENT - 1) / SC_SEGMENT; i++) to->d[i * to->n + at] = from->d[i * from->n + c];
    for (size_t i = 0; i < k / 16; i++) to->sums[i * to->n + at] = from->sums[i * from->n + c];
    for (size_t i = 0; i < (k + SC_SEGMENT - 1) / SC_SEGMENT; i++) // of all of its columns: at least this one's
        to->most[i] = at == 0 ? from->most[i] : SC_MAX(to->most[i], from->most[i]);
}

static void flush_gathered(const struct sc_run *run, const struct sc_op *op, struct columns *c, struct gathered *g)
{
    size_t k = c->args.k;
    for (size_t i = 0; i < c->args.n_columns && c->args.format->unpack; i++) {
        struct sc_panel *panel = &c->panels[i / SC_PANEL];
        char *memory = g->memory + i / SC_PANEL * sc_panel_bytes(k, SC_PANEL);
        if (i % SC_PANEL == 0) *panel = sc_panel_at(memory, k, SC_MIN(c->args.n_columns - i, (size_t)SC_PANEL));
        struct sc_panel from = sc_run_panel(run, op->in[0], 0, g->sub_rows[i] / SC_PANEL);
        copy_column(&from, g->sub_rows[i] % SC_PANEL, panel, i % SC_PANEL, k);
    }
    flush(run, c);
}

// As many as are fair: a task gathers its columns first. With few columns, which may all be one expert's, fewer.
static size_t expert_rows_per_task(const struct sc_run *run, const struct sc_op *op)
{
    size_t n_columns = run->n_rows * op->in[2].head_dim / op->linear.weight->shape[2]; // on average
    return n_columns < COLUMNS_MANY ? ROWS_FEW : SC_MAX(fair_rows(run, op), (size_t)ROWS_FEW);
}

static size_t expert_tasks(const struct sc_run *run, const struct sc_op *op)
{
    size_t rows = expert_rows_per_task(run, op);
    return run->n_rows ? row_tiles(op, rows) * op->linear.weight->shape[2] : 0;
}

static void run_expert_linear(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    struct columns c;
    size_t rows = expert_rows_per_task(run, op), tiles = row_tiles(op, rows);
    size_t expert = task / tiles, begin = task % tiles * rows, n_used = op->in[2].head_dim;
    size_t k = op->linear.weight->shape[0];
    struct gathered g = { .memory = (char *)scratch + sc_align_up(sc_matmul_scratch(k, SC_COLUMNS_MAX), 64) };
    bool by_slot = run->program->buffers[op->in[0].buffer].per_row != 1;
    start(&c, &op->linear, expert, begin, SC_MIN(begin + rows, op->linear.weight->shape[1]), scratch);
    for (size_t row = 0; row < run->n_rows; row++) {
        const int32_t *ids = sc_run_i32(run, op->in[2], row);
        for (size_t slot = 0; slot < n_used; slot++) {
            if ((size_t)ids[slot] != expert) continue;
            size_t i = c.args.n_columns++, out = row * n_used + slot, in = by_slot ? out : row;
            if (c.args.format->unpack) g.sub_rows[i] = in;
            else c.x[i] = sc_run_f32(run, op->in[0], in, 0);
            c.row_scale[i] = row_scale(run, op, in);
            c.y[i] = sc_run_f32(run, op->out[0], out, 0) + begin;
            if (c.args.n_columns == SC_COLUMNS_MAX) flush_gathered(run, op, &c, &g);
        }
    }
    flush_gathered(run, op, &c, &g);
}

static size_t linear_scratch(const struct sc_op *op, size_t n_context)
{
    (void)n_context;
    return sc_matmul_scratch(op->linear.weight->shape[0], SC_COLUMNS_MAX);
}

static size_t expert_scratch(const struct sc_op *op, size_t n_context)
{
    size_t panels = SC_COLUMNS_MAX / SC_PANEL * sc_panel_bytes(op->linear.weight->shape[0], SC_PANEL);
    return sc_align_up(linear_scratch(op, n_context), 64) + panels;
}

const struct sc_op_type sc_op_linear = {
    .name = "linear",
    .tasks = linear_tasks,
    .run = run_linear,
    .scratch_bytes = linear_scratch,
    .is_product = true,
    .adjoint = &sc_adjoint_linear,
};
const struct sc_op_type sc_op_expert_linear = {
    .name = "expert_linear",
    .tasks = expert_tasks,
    .run = run_expert_linear,
    .scratch_bytes = expert_scratch,
    .is_product = true,
    .adjoint = &sc_adjoint_expert_linear,
};
