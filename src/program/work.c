#include "program/work.h"

#include <stdbool.h>

#include "base/size.h"
#include "program/op_types.h"

struct sc_work sc_op_row_work(const struct sc_op *op)
{
    const struct sc_tensor *w = op->linear.weight;
    struct sc_work work = { 0 };
    if (!w) return work;
    // Of a table one row is read, and nothing multiplied; of experts a token uses some.
    if (op->type == &sc_op_embed) return (struct sc_work){ .bytes = w->row_stride };
    uint64_t n_matrices = op->type == &sc_op_expert_linear ? op->in[2].head_dim : w->shape[2];
    uint64_t macs = w->shape[0] * w->shape[1] * n_matrices;
    work.bytes = w->n_bytes / w->shape[2] * n_matrices;
    *(w->format->unpack ? &work.int8_macs : &work.f32_macs) = macs;
    return work;
}

static uint64_t experts_used(const struct sc_run *run, const struct sc_op *op)
{
    bool used[SC_EXPERTS_MAX] = { false };
    uint64_t n = 0;
    for (size_t row = 0; row < run->n_rows; row++) {
        const int32_t *ids = sc_run_i32(run, op->in[2], row);
        for (size_t slot = 0; slot < op->in[2].head_dim; slot++) {
            n += !used[ids[slot]];
            used[ids[slot]] = true;
        }
    }
    return n;
}

// Each query head meets each position that it sees, in a key and in a value; a sequence's rows share what they read.
static struct sc_work attend_work(const struct sc_run *run, const struct sc_op *op)
{
    struct sc_work work = { 0 };
    uint64_t window = op->attend.window ? op->attend.window : UINT64_MAX, n_seen = 0, n_bytes = 0;
    for (size_t row = 0; row < run->n_rows; row++) {
        uint64_t last = run->positions[row] + UINT64_C(1);
        bool begins = row == 0 || run->sequences[row] != run->sequences[row - 1];
        const struct sc_kv *kv = &run->sequences[row]->cache[op->layer].head0;
        uint64_t row_bytes = sc_cache_row_bytes(kv->format, kv->dim_k);
        if (kv->v) row_bytes += sc_cache_row_bytes(kv->format, kv->dim_v);
        n_seen += SC_MIN(last, window);
        n_bytes += (begins ? SC_MIN(last, window) : 1) * row_bytes;
    }
    work.bytes = n_bytes * run->program->layers[op->layer].n_heads;
    work.f32_macs = n_seen * op->in[0].n_heads * (op->in[0].head_dim + op->out[0].head_dim);
    return work;
}

struct sc_work sc_op_batch_work(const struct sc_run *run, const struct sc_op *op)
{
    if (op->type == &sc_op_attend) return attend_work(run, op);
    const struct sc_tensor *w = op->linear.weight;
    struct sc_work work = sc_op_row_work(op);
    if (!w) return work;
    bool selected = run->program->buffers[op->out[0].buffer].rows == SC_ROWS_SELECTED;
    uint64_t n_rows = selected ? run->n_selected : run->n_rows;
    work.int8_macs *= n_rows;
    work.f32_macs *= n_rows;
    if (op->type == &sc_op_embed) work.bytes *= n_rows;
    else if (op->type == &sc_op_expert_linear) work.bytes = w->n_bytes / w->shape[2] * experts_used(run, op);
    else work.bytes *= n_rows > 0;
    return work;
}
