// How much an op reads and multiplies: what its time is compared with.
//
// Counted are the weights, the cached keys and values, and the multiply-adds of products and of attention. Activations
// are left out: they stay in the processor's caches.
#ifndef SC_PROGRAM_WORK_H
#define SC_PROGRAM_WORK_H

#include "program/execute.h"

struct sc_work {
    uint64_t bytes, int8_macs, f32_macs;
};

// The products of one row: every weight that it needs is read. Nothing for an op without weights.
struct sc_work sc_op_row_work(const struct sc_op *op);

// What the op did in the batch that it has just run: each weight, key and value that any row needed counts as read
// once. To be asked before the next op runs, which may write over the experts' numbers.
struct sc_work sc_op_batch_work(const struct sc_run *run, const struct sc_op *op);

#endif
