// Walking a program backwards: from the loss to the derivatives by every weight (reverse accumulation).
//
//     forward    op 0, op 1, … op n-1           as inference runs them, but buffers are kept for what comes
//     loss       the logits become their derivatives
//     backward   op n-1, … op 1, op 0           each op's adjoint: from its outputs' derivatives to its inputs'
//
// The derivative by a buffer has the buffer's shape and a place of its own. Ops that read one buffer add up there in
// the order of the walk, so every sum has one order. A norm that keeps its 1/rms for products (build.h) has the
// derivative by x * w * r, whichever of its readers applies r: adjoints of products take r along.
//
// Memory. The program is cut into stretches where few values cross (between the blocks of layers). A stretch's values
// are kept from forward to backward; or computed once more right before its backward walk, which gives the same bits;
// or kept as bf16, which does not. Everything's place is planned before the first step (sc_training_plan_make).
#ifndef SC_PROGRAM_BACKWARD_H
#define SC_PROGRAM_BACKWARD_H

#include "program/execute.h"
#include "program/gemm.h"

// What a stretch of ops does with its values until they are needed again.
enum sc_keeping { SC_KEEP, SC_KEEP_BF16, SC_RECOMPUTE };

// Where derivatives by an op's weights go. Matrices lie packed, as the weights do.
struct sc_op_gradient {
    float *weight, *vector; // NULL: not trained
    bool *weight_begun;     // whether something is there already, to be added to
};

enum sc_training_kind { SC_STEP_FORWARD, SC_STEP_SAVE, SC_STEP_RESTORE, SC_STEP_RECOMPUTE, SC_STEP_BACKWARD };
struct sc_training_step {
    enum sc_training_kind kind;
    uint32_t first, last; // ops first..last - 1 of a stretch; of SC_STEP_BACKWARD from the last to the first
};

struct sc_training_plan {
    // In the forward walk and in the backward one: offsets of values; strides, scratch and shared memory are the same.
    struct sc_plan forward, backward;
    size_t *gradients; // [n_buffers] offsets of derivatives; SIZE_MAX: none is wanted
    size_t *saved;     // [n_buffers] offsets of what is kept as bf16; SIZE_MAX: nothing
    struct sc_training_step *steps;
    uint32_t n_steps, n_stretches, n_recomputed;
    size_t n_bytes;       // of all of the above in one piece of memory
    size_t scratch_bytes; // of each thread: first what products take, then what an op's adjoint asked for
    size_t product_bytes;
    size_t shared_offset; // of what an op's tasks share
};

// For batches of at most n_rows rows, all of whose logits are wanted. `trained`: [n_ops], what is trained. Values are
// kept, as bf16 where `bf16` says so; where that takes more than `budget` bytes (0: no matter), as few stretches as
// suffice are recomputed, from the first on. Errors: SOCLE_NO_MEMORY; SOCLE_UNSUPPORTED names an op without adjoint.
socle_status sc_training_plan_make(const struct sc_program *program, const struct sc_op_gradient *trained,
                                   uint32_t n_rows, uint32_t n_context, bool bf16, size_t budget,
                                   struct sc_training_plan *out, socle_error *err);
void sc_training_plan_free(struct sc_training_plan *plan);

struct sc_backward {
    struct sc_run run; // its plan is that of the walk at hand
    const struct sc_training_plan *plan;
    const struct sc_op_gradient *gradients; // [n_ops]
    bool *begun;                            // [n_buffers] whether a derivative is there already
    size_t n_sequences;
    const uint32_t *begins; // [n_sequences + 1] each sequence's rows
    // Told how long each op took, and its adjoint; NULL: nobody is, and no clock is read.
    void (*note)(void *context, const struct sc_op *op, enum sc_training_kind kind, double seconds);
    void *noted;
};

// The forward walk. False when `stop` said so.
bool sc_forward_run(struct sc_backward *back, bool (*stop)(void *context), void *context);
// The backward walk, from the derivatives by the logits: [n_selected][n_vocab] where sc_backward_logits says.
bool sc_backward_run(struct sc_backward *back, bool (*stop)(void *context), void *context);
// Where row i's logits are to become derivatives: in their own place, unless the last op needs them once more.
float *sc_backward_logits(const struct sc_backward *back, size_t i);

// ---- for adjoints

// Whether anyone wants the derivative by v.
static inline bool sc_back_wants(const struct sc_backward *back, struct sc_value v)
{
    return v.buffer != SC_NO_BUFFER && back->plan->gradients[v.buffer] != SIZE_MAX;
}
// Whether there is one: no reader of an output may have had a derivative to give.
static inline bool sc_back_has(const struct sc_backward *back, struct sc_value v)
{
    return sc_back_wants(back, v) && back->begun[v.buffer];
}
// Before the derivative by v is written: true, it is to be added to what is there; false, it is the first and covers
// all of the buffer. Where it is the first of a part, the whole is set to zero.
bool sc_back_begin(struct sc_backward *back, struct sc_value v);

// Head h of a sub-row of the derivative by v.
static inline float *sc_back_f32(const struct sc_backward *back, struct sc_value v, size_t sub_row, size_t h)
{
    return (float *)(void *)(back->run.memory + back->plan->gradients[v.buffer] +
                             sub_row * back->plan->backward.strides[v.buffer]) +
           v.offset + h * v.head_stride;
}

static inline size_t sc_back_stride(const struct sc_backward *back, struct sc_value v)
{
    return back->plan->backward.strides[v.buffer] / sizeof(float);
}

static inline const struct sc_op_gradient *sc_back_gradient(const struct sc_backward *back, const struct sc_op *op)
{
    return &back->gradients[op - back->run.program->ops];
}

static inline size_t sc_back_value_stride(const struct sc_backward *back, struct sc_value v)
{
    return back->plan->backward.strides[v.buffer] / sizeof(float);
}

static inline void *sc_back_shared(const struct sc_backward *back)
{
    return back->run.memory + back->plan->shared_offset;
}

// Runs `n` tasks by the run's threads; scratch: product_bytes for products or anything, then what the adjoint asked
// for.
typedef void sc_back_task(struct sc_backward *back, const struct sc_op *op, size_t task, void *scratch);
void sc_back_tasks(struct sc_backward *back, const struct sc_op *op, size_t n, sc_back_task *run);
// sum[i] += x's element i of every sub-row (times y's, times factor): in order within segments of 256 sub-rows, a tree
// over segments; the sums of heads are added one after another.
struct sc_column_sum {
    struct sc_value x;   // derivatives
    struct sc_value y;   // values to multiply by; SC_NO_BUFFER: none
    const float *factor; // one for each sub-row and head, at [sub_row * factor_stride + head]; NULL: 1
    size_t factor_stride;
    float *sum;
    bool by_head; // each head has sums of its own, one after another
};
void sc_back_sum_columns(struct sc_backward *back, const struct sc_column_sum *what);

#endif
