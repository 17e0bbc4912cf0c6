// The adjoints of attention and of what knows positions.
//
// Attention (docs/training.md). For one sequence and query head, with scores S = scale Q K^T, shares P = softmax(S) of
// the keys that a query sees, answers O = P V:
//
//     dP = dO V^T      dS = P * (dP - rows of (O . dO)) * scale      dQ = dS K      dK = dS^T Q      dV = P^T dO
//
// in blocks of 128 queries with all the keys they see. The parts of dK and dV are added block by block, head by head. A
// task is a sequence and a kv head: nothing that two of them write is shared.
#include <string.h>

#include "base/size.h"
#include "program/adjoints.h"
#include "program/backward.h"
#include "program/build.h"

enum { QUERIES = 128 };

// One task.
struct head_work {
    struct sc_backward *back;
    const struct sc_op *op;
    size_t begin, n; // the sequence's rows
    size_t kv_head, dim_k, dim_v;
    bool inside;            // values are the first dim_v elements of keys
    float *score, *d_share; // [QUERIES][stride]
    size_t stride;
    void *products;
};

// Keys that the queries of a block see, from a whole segment on: begin <= j < end.
struct keys {
    size_t begin, end;
};

static size_t first_key(const struct sc_op *op, size_t query)
{
    return op->attend.window && query + 1 > op->attend.window ? query + 1 - op->attend.window : 0;
}

static struct sc_operand value_operand(const struct head_work *w, enum sc_lie lie, struct sc_value v, size_t h,
                                       size_t row)
{
    return (struct sc_operand){ .lie = lie,
                                .x = sc_run_f32(&w->back->run, v, w->begin + row, h),
                                .stride = sc_back_value_stride(w->back, v) };
}

static struct sc_value values_of(const struct head_work *w)
{
    return w->inside ? sc_value_slice(w->op->attend.k, 0, (uint32_t)w->dim_v) : w->op->attend.v;
}

static void multiply(const struct head_work *w, struct sc_operand a, struct sc_operand b, size_t n_rows,
                     size_t n_columns, size_t k, float *c, size_t stride, bool add)
{
    sc_product_alone(w->back->run.kernels,
                     &(struct sc_product){ .a = a,
                                           .b = b,
                                           .n_rows = n_rows,
                                           .n_columns = n_columns,
                                           .k = k,
                                           .factor = 1.0f,
                                           .c = c,
                                           .c_group = SC_LANES,
                                           .c_column = stride,
                                           .add = add },
                     w->products);
}

// score and d_share of the block's queries: P and dS.
static void block_scores(const struct head_work *w, size_t h, size_t q, size_t n, struct keys keys, float *d_sink)
{
    const struct sc_op *op = w->op;
    struct sc_backward *back = w->back;
    size_t n_keys = keys.end - keys.begin;
    struct sc_operand dy = {
        SC_LIE_ROWS, sc_back_f32(back, op->out[0], w->begin + q, h), sc_back_stride(back, op->out[0]), NULL, 0, NULL, 0
    };
    multiply(w, value_operand(w, SC_LIE_ROWS, op->attend.k, w->kv_head, keys.begin),
             value_operand(w, SC_LIE_ROWS, op->in[0], h, q), n_keys, n, w->dim_k, w->score, w->stride, false);
    multiply(w, value_operand(w, SC_LIE_ROWS, values_of(w), w->kv_head, keys.begin), dy, n_keys, n, w->dim_v,
             w->d_share, w->stride, false);
    for (size_t i = 0; i < n; i++) {
        size_t row = w->begin + q + i;
        float mean = back->run.kernels->dot(sc_run_f32(&back->run, op->out[0], row, h),
                                            sc_back_f32(back, op->out[0], row, h), w->dim_v);
        back->run.kernels->softmax_adjoint(
            &(struct sc_softmax_adjoint){ .score = w->score + i * w->stride,
                                          .d_share = w->d_share + i * w->stride,
                                          .begin = first_key(op, q + i) - keys.begin,
                                          .end = q + i + 1 - keys.begin,
                                          .n = n_keys,
                                          .scale = op->attend.scale,
                                          .softcap = op->attend.softcap,
                                          .mean = mean,
                                          .sink = op->attend.sinks ? op->attend.sinks + h : NULL,
                                          .d_sink = d_sink });
    }
}

// What is wanted, and whether the queries' derivatives are to be added.
struct to_attention {
    bool q, k, v, add_q;
};

static void block_task(const struct head_work *w, size_t h, size_t q, size_t n, const struct to_attention *to)
{
    const struct sc_op *op = w->op;
    struct sc_backward *back = w->back;
    struct keys keys = { first_key(op, q) / SC_SEGMENT * SC_SEGMENT, q + n };
    size_t n_keys = keys.end - keys.begin;
    float unused, *sinks = sc_back_gradient(back, op)->vector ? sc_back_shared(back) : NULL;
    size_t sequence_heads = (size_t)op->in[0].n_heads;
    block_scores(w, h, q, n, keys, sinks ? sinks + w->begin * sequence_heads + h : &unused);
    struct sc_operand ds = { SC_LIE_ROWS, w->d_share, w->stride, NULL, 0, NULL, 0 }, p = ds;
    p.x = w->score;
    if (to->q)
        multiply(w, value_operand(w, SC_LIE_COLUMNS, op->attend.k, w->kv_head, keys.begin), ds, w->dim_k, n, n_keys,
                 sc_back_f32(back, op->in[0], w->begin + q, h), sc_back_stride(back, op->in[0]), to->add_q);
    ds.lie = p.lie = SC_LIE_COLUMNS;
    if (to->k)
        multiply(w, value_operand(w, SC_LIE_COLUMNS, op->in[0], h, q), ds, w->dim_k, n_keys, n,
                 sc_back_f32(back, op->attend.k, w->begin + keys.begin, w->kv_head), sc_back_stride(back, op->attend.k),
                 true);
    struct sc_value v = values_of(w);
    struct sc_operand dy = { SC_LIE_COLUMNS,
                             sc_back_f32(back, op->out[0], w->begin + q, h),
                             sc_back_stride(back, op->out[0]),
                             NULL,
                             0,
                             NULL,
                             0 };
    if (to->v)
        multiply(w, dy, p, w->dim_v, n_keys, n, sc_back_f32(back, v, w->begin + keys.begin, w->kv_head),
                 sc_back_stride(back, v), true);
}

static size_t scratch_stride(size_t n_context) { return sc_align_up(n_context, SC_LANES); }

static size_t attend_scratch(const struct sc_op *op, size_t n_context)
{
    (void)op;
    return 2 * QUERIES * scratch_stride(n_context) * sizeof(float);
}

struct attend_job {
    struct sc_backward *back;
    const struct sc_op *op;
    struct to_attention to;
};

static void attend_task(void *context, size_t task, size_t thread)
{
    const struct attend_job *job = context;
    struct sc_backward *back = job->back;
    const struct sc_op *op = job->op;
    size_t n_kv = back->run.program->layers[op->layer].n_heads, sequence = task / n_kv,
           per_kv = op->in[0].n_heads / n_kv;
    char *scratch = back->run.scratch + thread * back->plan->scratch_bytes;
    struct head_work w = { .back = back,
                           .op = op,
                           .begin = back->begins[sequence],
                           .n = back->begins[sequence + 1] - back->begins[sequence],
                           .kv_head = task % n_kv,
                           .dim_k = op->in[0].head_dim,
                           .dim_v = op->out[0].head_dim,
                           .inside = op->attend.v.buffer == SC_NO_BUFFER,
                           .products = scratch };
    w.stride = scratch_stride(w.n);
    w.score = (float *)(void *)(scratch + back->plan->product_bytes);
    w.d_share = w.score + QUERIES * w.stride;
    for (size_t h = w.kv_head * per_kv; h < (w.kv_head + 1) * per_kv; h++)
        for (size_t q = 0; q < w.n; q += QUERIES) block_task(&w, h, q, SC_MIN(w.n - q, (size_t)QUERIES), &job->to);
}

// Sums over queries are added to what is there: the first time, to nothing.
static bool begin_zero(struct sc_backward *back, struct sc_value v)
{
    if (!sc_back_wants(back, v)) return false;
    if (!sc_back_begin(back, v))
        memset(back->run.memory + back->plan->gradients[v.buffer], 0,
               sc_run_n_sub_rows(&back->run, v) * back->plan->backward.strides[v.buffer]);
    return true;
}

// A sink's derivative has a part from every sequence, at its first row: they are added in order.
static size_t attend_shared(const struct sc_op *op, size_t n_rows)
{
    return op->attend.sinks ? n_rows * op->in[0].n_heads * sizeof(float) : 0;
}

static void adjoint_attend(struct sc_backward *back, const struct sc_op *op)
{
    const struct sc_op_gradient *gradient = sc_back_gradient(back, op);
    size_t n_heads = op->in[0].n_heads;
    float *sinks = sc_back_shared(back);
    struct attend_job job = { back, op, { .q = sc_back_wants(back, op->in[0]) } };
    if (job.to.q) job.to.add_q = sc_back_begin(back, op->in[0]);
    job.to.k = begin_zero(back, op->attend.k);
    bool inside = op->attend.v.buffer == SC_NO_BUFFER;
    job.to.v = inside ? job.to.k : begin_zero(back, op->attend.v);
    if (gradient->vector) memset(sinks, 0, attend_shared(op, back->run.n_rows));
    sc_pool_run(back->run.pool, back->n_sequences * back->run.program->layers[op->layer].n_heads, attend_task, &job);
    for (size_t s = 0; gradient->vector && s < back->n_sequences; s++)
        for (size_t h = 0; h < n_heads; h++) gradient->vector[h] += sinks[back->begins[s] * n_heads + h];
}

static const float *sinks_of(const struct sc_op *op, size_t *n)
{
    *n = op->in[0].n_heads;
    return op->attend.sinks;
}

// ---- rope: turned back

struct row_job {
    struct sc_backward *back;
    const struct sc_op *op;
    bool add;
};

static void put_head(const struct row_job *job, size_t row, size_t h, const float *dx)
{
    float *to = sc_back_f32(job->back, job->op->in[0], row, h);
    size_t n = job->op->in[0].head_dim;
    if (job->add) job->back->run.kernels->add(to, dx, to, n);
    else memcpy(to, dx, n * sizeof *to);
}

static void rope_rows(void *context, size_t task, size_t thread)
{
    const struct row_job *job = context;
    const struct sc_run *run = &job->back->run;
    const struct sc_op *op = job->op;
    const struct sc_rope_table *table = op->rope.table;
    float *cos = (float *)(void *)(run->scratch + thread * job->back->plan->scratch_bytes), *sin = cos + table->n_pairs;
    float *room = sin + table->n_pairs;
    size_t begin, end;
    sc_run_row_range(run->n_rows, (size_t)op->in[0].n_heads * op->in[0].head_dim, task, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        bool is_long = table->long_turns && run->sequences[row]->n_context > table->n_context_short;
        run->kernels->rope_angles(is_long ? table->long_turns : table->turns, table->n_pairs, run->positions[row],
                                  table->gain, cos, sin);
        for (size_t j = 0; j < table->n_pairs; j++) sin[j] = -sin[j];
        for (size_t h = 0; h < op->in[0].n_heads; h++) {
            run->kernels->rope(&(struct sc_rope){ .x = sc_back_f32(job->back, op->out[0], row, h),
                                                  .y = room,
                                                  .n = op->in[0].head_dim,
                                                  .n_pairs = table->n_pairs,
                                                  .halves = table->halves,
                                                  .cos = cos,
                                                  .sin = sin });
            put_head(job, row, h, room);
        }
    }
}

static void temperature_rows(void *context, size_t task, size_t thread)
{
    const struct row_job *job = context;
    const struct sc_run *run = &job->back->run;
    const struct sc_op *op = job->op;
    float *room = (float *)(void *)(run->scratch + thread * job->back->plan->scratch_bytes);
    size_t begin, end;
    sc_run_row_range(run->n_rows, (size_t)op->in[0].n_heads * op->in[0].head_dim, task, &begin, &end);
    for (size_t row = begin; row < end; row++)
        for (size_t h = 0; h < op->in[0].n_heads; h++) {
            run->kernels->scale(sc_back_f32(job->back, op->out[0], row, h), sc_run_temperature(run, op, row), room,
                                op->in[0].head_dim);
            put_head(job, row, h, room);
        }
}

static void by_rows(struct sc_backward *back, const struct sc_op *op, sc_task *rows)
{
    if (!sc_back_wants(back, op->in[0])) return;
    struct row_job job = { back, op, sc_back_begin(back, op->in[0]) };
    size_t width = (size_t)op->in[0].n_heads * op->in[0].head_dim;
    sc_pool_run(back->run.pool, sc_run_row_tasks(back->run.n_rows, width), rows, &job);
}

static void adjoint_rope(struct sc_backward *back, const struct sc_op *op) { by_rows(back, op, rope_rows); }
static void adjoint_temperature(struct sc_backward *back, const struct sc_op *op)
{
    by_rows(back, op, temperature_rows);
}

const struct sc_adjoint sc_adjoint_attend = { .run = adjoint_attend,
                                              .reads = SC_READS_IN0 | SC_READS_OUT0,
                                              .scratch_bytes = attend_scratch,
                                              .shared_bytes = attend_shared,
                                              .vector = sinks_of };
const struct sc_adjoint sc_adjoint_rope = { .run = adjoint_rope };
const struct sc_adjoint sc_adjoint_temperature = { .run = adjoint_temperature };
