// Ops that treat each row by itself: look-up, norms, quantization, activations, sums, routing.
#include <string.h>

#include "program/adjoints.h"
#include "program/execute.h"
#include "program/op_types.h"
#include "tensor/packed.h"

static size_t width_of(struct sc_value v) { return (size_t)v.n_heads * v.head_dim; }

// Tasks are counted in the output's rows: all of these ops write one.
static size_t tasks(const struct sc_run *run, const struct sc_op *op)
{
    return sc_run_row_tasks(sc_run_n_sub_rows(run, op->out[0]), width_of(op->out[0]));
}

static size_t begin_of(const struct sc_run *run, const struct sc_op *op, size_t task, size_t *end)
{
    size_t begin;
    sc_run_row_range(sc_run_n_sub_rows(run, op->out[0]), width_of(op->out[0]), task, &begin, end);
    return begin;
}

// Runs `body` for each row of the task and, inside it, for each head h of the output.
#define FOR_ROWS(row) for (size_t end, row = begin_of(run, op, task, &end); row < end; row++)
#define FOR_HEADS(h) for (size_t h = 0; h < op->out[0].n_heads; h++)
#define IN(i, row, h) sc_run_f32(run, op->in[i], row, h)
#define OUT(i, row, h) sc_run_f32(run, op->out[i], row, h)

static void run_embed(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    const struct sc_tensor *table = op->linear.weight;
    FOR_ROWS (row) {
        uint64_t token = (uint64_t)run->tokens[row];
        const char *group = (const char *)table->data + token / SC_GROUP_ROWS * table->row_stride;
        if (table->packed)
            sc_packed_decode_row(table->format, group, table->shape[0], token % SC_GROUP_ROWS, OUT(0, row, 0));
        else
            table->format->decode(sc_tensor_row(table, 0, token), OUT(0, row, 0),
                                  table->shape[0] / table->format->block_size);
    }
}

static void run_norm(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        FOR_HEADS (h) {
            float r = run->kernels->norm(&(struct sc_norm){ .x = IN(0, row, h),
                                                            .w = op->norm.w,
                                                            .y = OUT(0, row, h),
                                                            .n = op->in[0].head_dim,
                                                            .eps = op->norm.eps,
                                                            .apply = op->norm.apply });
            if (op->out[1].buffer != SC_NO_BUFFER) *OUT(1, row, 0) = r;
        }
}

static void print_norm(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " eps=%g%s%s", (double)op->norm.eps, op->norm.w ? "" : " unweighted",
                     op->norm.apply ? "" : " 1/rms kept");
}

// A task is a panel of one head.
static size_t quantize_tasks(const struct sc_run *run, const struct sc_op *op)
{
    return (sc_run_n_sub_rows(run, op->in[0]) + SC_PANEL - 1) / SC_PANEL * op->in[0].n_heads;
}

static void run_quantize(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    size_t h = task % op->in[0].n_heads, i = task / op->in[0].n_heads;
    struct sc_panel panel = sc_run_panel(run, op->out[0], h, i);
    const float *x[SC_PANEL];
    for (size_t c = 0; c < panel.n; c++) x[c] = IN(0, i * SC_PANEL + c, h);
    run->kernels->quantize(x, op->in[0].head_dim, &panel);
}

static void run_glu(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        FOR_HEADS (h)
            run->kernels->glu(op->glu.activation, IN(0, row, h), IN(1, row, h), OUT(0, row, h), op->out[0].head_dim);
}

static void print_glu(const struct sc_op *op, struct sc_buffer *out)
{
    static const char *const names[] = { [SC_SILU] = "silu", [SC_GELU] = "gelu", [SC_SWIGLU_OAI] = "swiglu_oai" };
    sc_buffer_printf(out, " %s", names[op->glu.activation]);
}

static void run_add(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row) run->kernels->add(IN(0, row, 0), IN(1, row, 0), OUT(0, row, 0), op->out[0].head_dim);
}

static void run_scale(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        FOR_HEADS (h) run->kernels->scale(IN(0, row, h), op->scale.factor, OUT(0, row, h), op->out[0].head_dim);
}

static void run_softcap(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        FOR_HEADS (h) run->kernels->softcap(IN(0, row, h), op->scale.factor, OUT(0, row, h), op->out[0].head_dim);
}

static void print_factor(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " %.9g", (double)op->scale.factor);
}

static void run_select(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row) memcpy(OUT(0, row, 0), IN(0, run->selected[row], 0), sizeof(float) * op->out[0].head_dim);
}

static void run_route(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        run->kernels->route(&(struct sc_route){ .logits = IN(0, row, 0),
                                                .bias = op->route.bias,
                                                .n_experts = op->in[0].head_dim,
                                                .n_used = op->out[0].head_dim,
                                                .n_groups = op->route.n_groups,
                                                .n_groups_used = op->route.n_groups_used,
                                                .gating = op->route.gating,
                                                .normalize = op->route.normalize,
                                                .scale = op->route.scale,
                                                .ids = sc_run_i32(run, op->out[0], row),
                                                .weights = OUT(1, row, 0) });
}

static void print_route(const struct sc_op *op, struct sc_buffer *out)
{
    static const char *const names[] = { [SC_GATING_SOFTMAX] = "softmax",
                                         [SC_GATING_SIGMOID] = "sigmoid",
                                         [SC_GATING_SOFTMAX_TOP] = "softmax of the chosen" };
    sc_buffer_printf(out, " %u of %u, %s", op->out[0].head_dim, op->in[0].head_dim, names[op->route.gating]);
    if (op->route.n_groups > 1) sc_buffer_printf(out, ", %u of %u groups", op->route.n_groups_used, op->route.n_groups);
    if (op->route.bias) sc_buffer_printf(out, ", biased choice");
    if (op->route.normalize) sc_buffer_printf(out, ", normalized");
    if (op->route.scale != 1.0f) sc_buffer_printf(out, ", times %g", (double)op->route.scale);
}

static void run_expert_sum(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    size_t n_used = op->in[1].head_dim, stride = run->plan->strides[op->in[0].buffer] / sizeof(float);
    FOR_ROWS (row)
        run->kernels->expert_sum(IN(0, row * n_used, 0), stride, IN(1, row, 0), n_used, OUT(0, row, 0),
                                 op->out[0].head_dim);
}

// ---- training and adapters

// Each op, sub-row and head has counters of its own: elements take them four by four, in steps of 64.
void sc_run_dropout(const struct sc_run *run, const struct sc_op *op, size_t row, size_t h, const float *x, float *y)
{
    size_t n = op->out[0].head_dim, counters = (n + 63) / 64 * 16;
    uint64_t i = (uint64_t)(op - run->program->ops) << 40 | (row * op->out[0].n_heads + h) * counters;
    run->kernels->dropout(x, y, n, run->dropout_key, i, 1.0f - op->dropout.rate);
}

static void run_dropout(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        FOR_HEADS (h) {
            if (run->drop) sc_run_dropout(run, op, row, h, IN(0, row, h), OUT(0, row, h));
            else memcpy(OUT(0, row, h), IN(0, row, h), op->out[0].head_dim * sizeof(float));
        }
}

static void print_dropout(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " %g", (double)op->dropout.rate);
}

float sc_run_adapter(const struct sc_run *run, const struct sc_op *op, size_t row)
{
    const float *factors = run->sequences[row]->adapters;
    return factors ? factors[op->adapt.adapter] : 0.0f;
}

// A row without the adapter is what it was, to the bit.
static void run_adapt(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    FOR_ROWS (row)
        FOR_HEADS (h) {
            float factor = sc_run_adapter(run, op, row);
            memcpy(OUT(0, row, h), IN(0, row, h), op->out[0].head_dim * sizeof(float));
            if (factor != 0.0f) run->kernels->add_scaled(IN(1, row, h), factor, OUT(0, row, h), op->out[0].head_dim);
        }
}

static void print_adapt(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " adapter=%u", op->adapt.adapter);
}

const struct sc_op_type sc_op_embed = {
    .name = "embed",
    .tasks = tasks,
    .run = run_embed,
    .adjoint = &sc_adjoint_embed,
};
const struct sc_op_type sc_op_norm = {
    .name = "norm",
    .tasks = tasks,
    .run = run_norm,
    .print = print_norm,
    .adjoint = &sc_adjoint_norm,
};
const struct sc_op_type sc_op_quantize = { .name = "quantize", .tasks = quantize_tasks, .run = run_quantize };
const struct sc_op_type sc_op_glu = {
    .name = "glu",
    .tasks = tasks,
    .run = run_glu,
    .print = print_glu,
    .adjoint = &sc_adjoint_glu,
};
const struct sc_op_type sc_op_add = {
    .name = "add",
    .tasks = tasks,
    .run = run_add,
    .adjoint = &sc_adjoint_add,
};
const struct sc_op_type sc_op_scale = {
    .name = "scale",
    .tasks = tasks,
    .run = run_scale,
    .print = print_factor,
    .adjoint = &sc_adjoint_scale,
};
const struct sc_op_type sc_op_softcap = {
    .name = "softcap",
    .tasks = tasks,
    .run = run_softcap,
    .print = print_factor,
    .adjoint = &sc_adjoint_softcap,
};
const struct sc_op_type sc_op_select = {
    .name = "select",
    .tasks = tasks,
    .run = run_select,
    .adjoint = &sc_adjoint_select,
};
const struct sc_op_type sc_op_route = {
    .name = "route",
    .tasks = tasks,
    .run = run_route,
    .print = print_route,
    .adjoint = &sc_adjoint_route,
};
const struct sc_op_type sc_op_expert_sum = {
    .name = "expert_sum",
    .tasks = tasks,
    .run = run_expert_sum,
    .adjoint = &sc_adjoint_expert_sum,
};
const struct sc_op_type sc_op_dropout = {
    .name = "dropout",
    .tasks = tasks,
    .run = run_dropout,
    .print = print_dropout,
    .adjoint = &sc_adjoint_dropout,
};
const struct sc_op_type sc_op_adapt = {
    .name = "adapt",
    .tasks = tasks,
    .run = run_adapt,
    .print = print_adapt,
    .adjoint = &sc_adjoint_adapt,
};
