// The adjoints of ops that treat each row by itself. A task is a run of rows; a head's derivative is computed beside
// its place and then stored there or added to what is there.
#include <string.h>

#include "base/size.h"
#include "program/adjoints.h"
#include "program/backward.h"

static const struct sc_value no_value = { .buffer = SC_NO_BUFFER };

// Derivatives to one input of the op at hand.
struct to {
    struct sc_value v;
    bool wanted, add;
};

static struct to to_input(struct sc_backward *back, struct sc_value v)
{
    struct to to = { .v = v, .wanted = sc_back_wants(back, v) };
    if (to.wanted) to.add = sc_back_begin(back, v);
    return to;
}

static void put(struct sc_backward *back, const struct to *to, size_t row, size_t h, const float *dx)
{
    if (!to->wanted) return;
    float *at = sc_back_f32(back, to->v, row, h);
    if (to->add) back->run.kernels->add(at, dx, at, to->v.head_dim);
    else if (at != dx) memcpy(at, dx, to->v.head_dim * sizeof *at);
}

// One op's walk over its rows.
struct walk {
    struct sc_backward *back;
    const struct sc_op *op;
    struct to to[2];
    void (*row)(const struct walk *walk, size_t row, float *room);
    size_t n_rows, width;
};

static void walk_task(void *context, size_t task, size_t thread)
{
    const struct walk *walk = context;
    float *room = (float *)(void *)(walk->back->run.scratch + thread * walk->back->plan->scratch_bytes);
    size_t begin, end;
    sc_run_row_range(walk->n_rows, walk->width, task, &begin, &end);
    for (size_t row = begin; row < end; row++) walk->row(walk, row, room);
}

// Calls `row` for each sub-row of the op's output, with room for some rows of floats.
static void walk_rows(struct sc_backward *back, const struct sc_op *op,
                      void (*row)(const struct walk *walk, size_t row, float *room))
{
    struct walk walk = { back, op, { to_input(back, op->in[0]), { .v = no_value } }, row, 0, 0 };
    if (op->in[1].buffer != SC_NO_BUFFER) walk.to[1] = to_input(back, op->in[1]);
    walk.n_rows = sc_run_n_sub_rows(&back->run, op->out[0]);
    walk.width = (size_t)op->out[0].n_heads * op->out[0].head_dim;
    sc_pool_run(back->run.pool, sc_run_row_tasks(walk.n_rows, walk.width), walk_task, &walk);
}

#define FOR_HEADS(h) for (size_t h = 0; h < walk->op->out[0].n_heads; h++)
#define DY(row, h) sc_back_f32(walk->back, walk->op->out[0], row, h)
#define VALUE(v, row, h) sc_run_f32(&walk->back->run, walk->op->v, row, h)
#define KERNELS walk->back->run.kernels

// ---- embed: each token's row of the table gets the sum of its rows, in order

enum { ELEMENTS_PER_TASK = 32 };

static void embed_task(struct sc_backward *back, const struct sc_op *op, size_t task, void *scratch)
{
    size_t k = op->linear.weight->shape[0], begin = task * ELEMENTS_PER_TASK,
           end = SC_MIN(begin + ELEMENTS_PER_TASK, k);
    float *gradient = sc_back_gradient(back, op)->weight;
    (void)scratch;
    for (size_t row = 0; row < back->run.n_rows; row++) {
        size_t token = (size_t)back->run.tokens[row];
        const float *dy = sc_back_f32(back, op->out[0], row, 0);
        float *to = gradient + token / SC_LANES * SC_LANES * k + token % SC_LANES;
        for (size_t i = begin; i < end; i++) to[i * SC_LANES] += dy[i];
    }
}

static void adjoint_embed(struct sc_backward *back, const struct sc_op *op)
{
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    const struct sc_tensor *w = op->linear.weight;
    if (!gradient->weight) return;
    if (!*gradient->weight_begun)
        memset(gradient->weight, 0, sc_align_up(w->shape[1], SC_LANES) * w->shape[0] * sizeof(float));
    *gradient->weight_begun = true;
    sc_back_tasks(back, op, (w->shape[0] + ELEMENTS_PER_TASK - 1) / ELEMENTS_PER_TASK, embed_task);
}

// ---- norm. Its derivative dy is by x * w * r, whoever applies r.

// 1 / rms of every sub-row and head, for the weights' sums: in shared memory.
static size_t norm_shared(const struct sc_op *op, size_t n_rows) { return n_rows * op->in[0].n_heads * sizeof(float); }

static void norm_row(const struct walk *walk, size_t row, float *room)
{
    const struct sc_op *op = walk->op;
    size_t n = op->in[0].head_dim;
    float *inverse = sc_back_shared(walk->back);
    FOR_HEADS (h) {
        const float *x = VALUE(in[0], row, h);
        float r = op->out[1].buffer != SC_NO_BUFFER
                      ? *VALUE(out[1], row, 0)
                      : KERNELS->norm(&(struct sc_norm){ .x = x, .y = room, .n = n, .eps = op->norm.eps });
        inverse[row * op->in[0].n_heads + h] = r;
        if (!walk->to[0].wanted) continue;
        KERNELS->norm_adjoint(x, op->norm.w, r, DY(row, h), room, n);
        put(walk->back, &walk->to[0], row, h, room);
    }
}

static void adjoint_norm(struct sc_backward *back, const struct sc_op *op)
{
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    walk_rows(back, op, norm_row);
    if (!gradient->vector) return;
    sc_back_sum_columns(back, &(struct sc_column_sum){ .x = op->out[0],
                                                       .y = op->in[0],
                                                       .factor = sc_back_shared(back),
                                                       .factor_stride = op->in[0].n_heads,
                                                       .sum = gradient->vector });
}

static const float *norm_weights(const struct sc_op *op, size_t *n)
{
    *n = op->in[0].head_dim;
    return op->norm.w;
}

// ---- elementwise

static void glu_row(const struct walk *walk, size_t row, float *room)
{
    size_t n = walk->op->out[0].head_dim;
    FOR_HEADS (h) {
        KERNELS->glu_adjoint(walk->op->glu.activation, VALUE(in[0], row, h), VALUE(in[1], row, h), DY(row, h), room,
                             room + n, n);
        put(walk->back, &walk->to[0], row, h, room);
        put(walk->back, &walk->to[1], row, h, room + n);
    }
}

static void add_row(const struct walk *walk, size_t row, float *room)
{
    (void)room;
    put(walk->back, &walk->to[0], row, 0, DY(row, 0));
    put(walk->back, &walk->to[1], row, 0, DY(row, 0));
}

static void scale_row(const struct walk *walk, size_t row, float *room)
{
    FOR_HEADS (h) {
        KERNELS->scale(DY(row, h), walk->op->scale.factor, room, walk->op->out[0].head_dim);
        put(walk->back, &walk->to[0], row, h, room);
    }
}

static void softcap_row(const struct walk *walk, size_t row, float *room)
{
    FOR_HEADS (h) {
        KERNELS->softcap_adjoint(VALUE(out[0], row, h), walk->op->scale.factor, DY(row, h), room,
                                 walk->op->out[0].head_dim);
        put(walk->back, &walk->to[0], row, h, room);
    }
}

static void dropout_row(const struct walk *walk, size_t row, float *room)
{
    bool drop = walk->back->run.drop;
    FOR_HEADS (h) {
        if (drop) sc_run_dropout(&walk->back->run, walk->op, row, h, DY(row, h), room);
        put(walk->back, &walk->to[0], row, h, drop ? room : DY(row, h));
    }
}

static void adapt_row(const struct walk *walk, size_t row, float *room)
{
    float factor = sc_run_adapter(&walk->back->run, walk->op, row);
    FOR_HEADS (h) {
        put(walk->back, &walk->to[0], row, h, DY(row, h));
        KERNELS->scale(DY(row, h), factor, room, walk->op->out[0].head_dim);
        put(walk->back, &walk->to[1], row, h, room);
    }
}

static void adjoint_glu(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, glu_row); }
static void adjoint_add(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, add_row); }
static void adjoint_scale(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, scale_row); }
static void adjoint_softcap(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, softcap_row); }
static void adjoint_dropout(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, dropout_row); }
static void adjoint_adapt(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, adapt_row); }

// ---- select: rows that were not selected have no derivative

static void adjoint_select(struct sc_backward *back, const struct sc_op *op)
{
    struct to to = to_input(back, op->in[0]);
    if (!to.wanted) return;
    if (!to.add)
        memset(back->run.memory + back->plan->gradients[op->in[0].buffer], 0,
               sc_run_n_sub_rows(&back->run, op->in[0]) * back->plan->backward.strides[op->in[0].buffer]);
    to.add = true;
    for (size_t row = 0; row < back->run.n_selected; row++)
        put(back, &to, back->run.selected[row], 0, sc_back_f32(back, op->out[0], row, 0));
}

// ---- experts

static void route_row(const struct walk *walk, size_t row, float *room)
{
    const struct sc_op *op = walk->op;
    KERNELS->route_adjoint(&(struct sc_route){ .logits = VALUE(in[0], row, 0),
                                               .n_experts = op->in[0].head_dim,
                                               .n_used = op->out[0].head_dim,
                                               .gating = op->route.gating,
                                               .normalize = op->route.normalize,
                                               .scale = op->route.scale,
                                               .ids = sc_run_i32(&walk->back->run, op->out[0], row) },
                           sc_back_f32(walk->back, op->out[1], row, 0), room);
    put(walk->back, &walk->to[0], row, 0, room);
}

static void expert_sum_row(const struct walk *walk, size_t row, float *room)
{
    const struct sc_op *op = walk->op;
    size_t n = op->out[0].head_dim, n_used = op->in[1].head_dim;
    for (size_t e = 0; e < n_used; e++) {
        room[e] = KERNELS->dot(VALUE(in[0], row * n_used + e, 0), DY(row, 0), n);
        KERNELS->scale(DY(row, 0), VALUE(in[1], row, 0)[e], room + n_used, n);
        put(walk->back, &walk->to[0], row * n_used + e, 0, room + n_used);
    }
    put(walk->back, &walk->to[1], row, 0, room);
}

static void adjoint_route(struct sc_backward *back, const struct sc_op *op) { walk_rows(back, op, route_row); }
static void adjoint_expert_sum(struct sc_backward *back, const struct sc_op *op)
{
    walk_rows(back, op, expert_sum_row);
}

const struct sc_adjoint sc_adjoint_embed = { .run = adjoint_embed };
const struct sc_adjoint sc_adjoint_norm = {
    .run = adjoint_norm, .reads = SC_READS_IN0 | SC_READS_OUT1, .shared_bytes = norm_shared, .vector = norm_weights
};
const struct sc_adjoint sc_adjoint_glu = { .run = adjoint_glu, .reads = SC_READS_IN0 | SC_READS_IN1 };
const struct sc_adjoint sc_adjoint_add = { .run = adjoint_add };
const struct sc_adjoint sc_adjoint_scale = { .run = adjoint_scale };
const struct sc_adjoint sc_adjoint_softcap = { .run = adjoint_softcap, .reads = SC_READS_OUT0 };
const struct sc_adjoint sc_adjoint_dropout = { .run = adjoint_dropout };
const struct sc_adjoint sc_adjoint_adapt = { .run = adjoint_adapt };
const struct sc_adjoint sc_adjoint_select = { .run = adjoint_select };
const struct sc_adjoint sc_adjoint_route = { .run = adjoint_route, .reads = SC_READS_IN0 | SC_READS_OUT0 };
const struct sc_adjoint sc_adjoint_expert_sum = { .run = adjoint_expert_sum, .reads = SC_READS_IN0 | SC_READS_IN1 };
