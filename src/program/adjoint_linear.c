// The adjoints of products. With v = x * w * r, a norm's result or a plain value, y = s W v + b for a matrix W:
//
//     d v += s W^T dy                 every row by itself
//     d W += s dy (x) v               a sum over rows
//     d b += dy                       a sum over rows
#include <string.h>

#include "base/size.h"
#include "program/adjoints.h"
#include "program/backward.h"
#include "tensor/packed.h"

static const struct sc_value no_value = { .buffer = SC_NO_BUFFER };

static float scale_of(const struct sc_op *op, size_t matrix)
{
    return op->linear.scale ? op->linear.scale[matrix] : 1.0f;
}

// Head h of the derivatives by a value, its rows side by side: (i, p) is element p of row i.
static struct sc_operand rows_of(const struct sc_backward *back, struct sc_value v, size_t h)
{
    return (
        struct sc_operand){ .lie = SC_LIE_ROWS, .x = sc_back_f32(back, v, 0, h), .stride = sc_back_stride(back, v) };
}

static void run_product(struct sc_backward *back, const struct sc_product *product)
{
    sc_product_run(back->run.kernels, back->run.pool, product, back->run.scratch, back->plan->scratch_bytes);
}

static void adjoint_input(struct sc_backward *back, const struct sc_op *op, size_t h, bool add)
{
    const struct sc_tensor *w = op->linear.weight;
    run_product(back, &(struct sc_product){ .a = { .lie = SC_LIE_TURNED, .weight = w, .matrix = h },
                                            .b = rows_of(back, op->out[0], h),
                                            .n_rows = w->shape[0],
                                            .n_columns = sc_run_n_sub_rows(&back->run, op->out[0]),
                                            .k = w->shape[1],
                                            .factor = scale_of(op, h),
                                            .c = sc_back_f32(back, op->x, 0, h),
                                            .c_group = SC_LANES,
                                            .c_column = sc_back_stride(back, op->x),
                                            .add = add });
}

static void adjoint_weight(struct sc_backward *back, const struct sc_op *op, size_t h, float *gradient, bool add)
{
    const struct sc_tensor *w = op->linear.weight;
    struct sc_operand dy = rows_of(back, op->out[0], h);
    dy.lie = SC_LIE_COLUMNS;
    struct sc_operand x = { .lie = SC_LIE_COLUMNS,
                            .x = sc_run_f32(&back->run, op->x, 0, h),
                            .stride = sc_back_value_stride(back, op->x) };
    if (op->in[1].buffer != SC_NO_BUFFER) {
        x.scale = sc_run_f32(&back->run, op->in[1], 0, 0);
        x.scale_stride = sc_back_value_stride(back, op->in[1]);
    }
    size_t group = w->shape[0] * SC_LANES, matrix = (w->shape[1] + SC_LANES - 1) / SC_LANES * group;
    run_product(back, &(struct sc_product){ .a = dy,
                                            .b = x,
                                            .n_rows = w->shape[1],
                                            .n_columns = w->shape[0],
                                            .k = sc_run_n_sub_rows(&back->run, op->out[0]),
                                            .factor = scale_of(op, h),
                                            .c = gradient + h * matrix,
                                            .c_group = group,
                                            .c_column = SC_LANES,
                                            .add = add });
}

static void adjoint_linear(struct sc_backward *back, const struct sc_op *op)
{
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    size_t n_matrices = op->linear.weight->shape[2];
    if (gradient->vector)
        sc_back_sum_columns(
            back, &(struct sc_column_sum){ .x = op->out[0], .y = no_value, .sum = gradient->vector, .by_head = true });
    if (gradient->weight) {
        for (size_t h = 0; h < n_matrices; h++) adjoint_weight(back, op, h, gradient->weight, *gradient->weight_begun);
        *gradient->weight_begun = true;
    }
    if (!sc_back_wants(back, op->x)) return;
    bool add = sc_back_begin(back, op->x);
    for (size_t h = 0; h < n_matrices; h++) adjoint_input(back, op, h, add);
}

static const float *bias_of(const struct sc_op *op, size_t *n)
{
    *n = op->linear.weight->shape[1] * op->linear.weight->shape[2];
    return op->linear.bias;
}

// ---- experts: the rows that went to one are gathered, in order, and treated like the rows of a product; so many at
// once

enum { GATHERED_ROWS = 1024 };

// In memory that the op's tasks share.
struct gathered {
    size_t n;
    size_t out[GATHERED_ROWS], in[GATHERED_ROWS]; // sub-rows of the results, and of what was multiplied
    float r[GATHERED_ROWS];
    float *dy, *x, *dx; // [GATHERED_ROWS] rows each
};

static size_t gathered_bytes(const struct sc_op *op, size_t n_rows)
{
    (void)n_rows;
    size_t width = 2 * op->linear.weight->shape[0] + op->linear.weight->shape[1];
    return sc_align_up(sizeof(struct gathered), 64) + GATHERED_ROWS * width * sizeof(float);
}

static struct gathered *gathered_at(const struct sc_op *op, void *memory)
{
    struct gathered *g = memory;
    g->dy = (float *)(void *)((char *)memory + sc_align_up(sizeof *g, 64));
    g->x = g->dy + GATHERED_ROWS * op->linear.weight->shape[1];
    g->dx = g->x + GATHERED_ROWS * op->linear.weight->shape[0];
    return g;
}

static void gather_row(const struct sc_backward *back, const struct sc_op *op, struct gathered *g, size_t out,
                       size_t in)
{
    size_t k = op->linear.weight->shape[0], n_out = op->linear.weight->shape[1], i = g->n++;
    g->out[i] = out;
    g->in[i] = in;
    if (op->in[1].buffer != SC_NO_BUFFER) g->r[i] = *sc_run_f32(&back->run, op->in[1], in, 0);
    memcpy(g->dy + i * n_out, sc_back_f32(back, op->out[0], out, 0), n_out * sizeof *g->dy);
    memcpy(g->x + i * k, sc_run_f32(&back->run, op->x, in, 0), k * sizeof *g->x);
}

static void expert_weight(struct sc_backward *back, const struct sc_op *op, size_t expert, const struct gathered *g,
                          bool add)
{
    const struct sc_tensor *w = op->linear.weight;
    size_t k = w->shape[0], n_out = w->shape[1], group = k * SC_LANES;
    struct sc_operand x = { .lie = SC_LIE_COLUMNS, .x = g->x, .stride = k };
    if (op->in[1].buffer != SC_NO_BUFFER) {
        x.scale = g->r;
        x.scale_stride = 1;
    }
    run_product(back, &(struct sc_product){ .a = { .lie = SC_LIE_COLUMNS, .x = g->dy, .stride = n_out },
                                            .b = x,
                                            .n_rows = n_out,
                                            .n_columns = k,
                                            .k = g->n,
                                            .factor = scale_of(op, expert),
                                            .c = sc_back_gradient(back, op)->weight +
                                                 expert * ((n_out + SC_LANES - 1) / SC_LANES * group),
                                            .c_group = group,
                                            .c_column = SC_LANES,
                                            .add = add });
}

static void expert_input(struct sc_backward *back, const struct sc_op *op, size_t expert, const struct gathered *g)
{
    const struct sc_tensor *w = op->linear.weight;
    size_t k = w->shape[0];
    run_product(back, &(struct sc_product){ .a = { .lie = SC_LIE_TURNED, .weight = w, .matrix = expert },
                                            .b = { .lie = SC_LIE_ROWS, .x = g->dy, .stride = w->shape[1] },
                                            .n_rows = k,
                                            .n_columns = g->n,
                                            .k = w->shape[1],
                                            .factor = scale_of(op, expert),
                                            .c = g->dx,
                                            .c_group = SC_LANES,
                                            .c_column = k });
    for (size_t i = 0; i < g->n; i++) {
        float *to = sc_back_f32(back, op->x, g->in[i], 0);
        back->run.kernels->add(to, g->dx + i * k, to, k);
    }
}

// What has been gathered for one expert.
static void flush(struct sc_backward *back, const struct sc_op *op, size_t expert, struct gathered *g, bool add)
{
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    size_t n_out = op->linear.weight->shape[1];
    float *bias = gradient->vector ? gradient->vector + expert * n_out : NULL;
    for (size_t i = 0; bias && i < g->n; i++) back->run.kernels->add(bias, g->dy + i * n_out, bias, n_out);
    if (gradient->weight) expert_weight(back, op, expert, g, add);
    if (sc_back_wants(back, op->x)) expert_input(back, op, expert, g);
    g->n = 0;
}

static void adjoint_expert(struct sc_backward *back, const struct sc_op *op, size_t expert, struct gathered *g)
{
    const struct sc_run *run = &back->run;
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    bool by_slot = run->program->buffers[op->x.buffer].per_row != 1;
    bool add = gradient->weight && *gradient->weight_begun;
    size_t n_used = op->in[2].head_dim, n_found = 0;
    g->n = 0;
    for (size_t row = 0; row < run->n_rows; row++) {
        const int32_t *ids = sc_run_i32(run, op->in[2], row);
        for (size_t slot = 0; slot < n_used; slot++) {
            if ((size_t)ids[slot] != expert) continue;
            gather_row(back, op, g, row * n_used + slot, by_slot ? row * n_used + slot : row);
            n_found++;
            if (g->n < GATHERED_ROWS) continue;
            flush(back, op, expert, g, add);
            add = true;
        }
    }
    if (g->n) flush(back, op, expert, g, add);
    if (n_found || add || !gradient->weight) return; // its weights had no part in this batch
    size_t matrix = sc_align_up(op->linear.weight->shape[1], SC_LANES) * op->linear.weight->shape[0];
    memset(gradient->weight + expert * matrix, 0, matrix * sizeof *gradient->weight);
}

static void adjoint_expert_linear(struct sc_backward *back, const struct sc_op *op)
{
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    struct gathered *g = gathered_at(op, sc_back_shared(back));
    if (sc_back_wants(back, op->x) && !sc_back_begin(back, op->x)) // several experts add up in one row
        memset(back->run.memory + back->plan->gradients[op->x.buffer], 0,
               sc_run_n_sub_rows(&back->run, op->x) * back->plan->backward.strides[op->x.buffer]);
    for (size_t expert = 0; expert < op->linear.weight->shape[2]; expert++) adjoint_expert(back, op, expert, g);
    if (gradient->weight) *gradient->weight_begun = true;
}

const struct sc_adjoint sc_adjoint_linear = { .run = adjoint_linear,
                                              .reads = SC_READS_IN0 | SC_READS_IN1,
                                              .vector = bias_of };
const struct sc_adjoint sc_adjoint_expert_linear = { .run = adjoint_expert_linear,
                                                     .reads = SC_READS_IN0 | SC_READS_IN1 | SC_READS_IN2,
                                                     .vector = bias_of,
                                                     .shared_bytes = gathered_bytes };
