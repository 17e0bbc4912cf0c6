// Running a program over one batch of tokens.
#ifndef SC_PROGRAM_EXECUTE_H
#define SC_PROGRAM_EXECUTE_H

#include "base/pool.h"
#include "program/program.h"

// The cache of one layer: head h starts k_stride (v_stride) bytes after head h - 1.
struct sc_kv_layer {
    struct sc_kv head0;
    size_t k_stride, v_stride;
};

struct sc_run;

// Told of every op, right after it ran, how long it took.
struct sc_profile {
    void (*note)(void *context, const struct sc_run *run, const struct sc_op *op, double seconds);
    void *context;
};

// What a row's tokens before it left behind.
struct sc_sequence {
    const struct sc_kv_layer *cache; // [n_layers]
    const size_t *segments;          // where each 256 positions lie (struct sc_kv); NULL: one after another
    size_t n_context;                // positions that it can hold
    const float *adapters;           // how much it takes of each of the program's adapters; NULL: none of any
};

// Looks at an op that has just run, on the thread that runs the program: its inputs and outputs still hold.
typedef void sc_observer(void *context, const struct sc_run *run, const struct sc_op *op);

// Everything an op sees while it runs. Threads read it; each task writes its own rows of the op's outputs.
struct sc_run {
    const struct sc_program *program;
    const struct sc_plan *plan;
    const struct sc_kernels *kernels;
    struct sc_pool *pool;
    char *memory;  // plan->n_bytes, of which the last part is shared by an op's tasks
    char *scratch; // plan->scratch_bytes for each thread
    size_t n_rows, n_selected;
    const struct sc_sequence *const *sequences; // [n_rows] whose row it is; a sequence's rows lie together
    const int32_t *tokens;                      // [n_rows], each below the vocabulary's size
    const uint32_t *positions;                  // [n_rows], ascending by one within a sequence
    const uint32_t *selected;                   // [n_selected] rows whose results are wanted
    bool only_hidden;                           // nobody wants logits
    bool drop;                                  // training: dropout drops, by the random numbers of dropout_key
    uint64_t dropout_key;
    const struct sc_profile *profile; // NULL: ops are not timed
    sc_observer *observe;             // NULL: nobody looks
    void *observer;
};

// Runs every op in order. Cannot fail: all sizes were settled when the plan was made. `stop` (NULL: never) is asked
// before each op: when it says true the batch is abandoned and the result is false.
bool sc_run_program(const struct sc_run *run, bool (*stop)(void *context), void *context);

// The logits of the i-th selected row: [n_vocab].
float *sc_run_logits(const struct sc_run *run, size_t i);
// Its hidden state, [hidden.head_dim], each yet to be multiplied by *scale.
const float *sc_run_hidden(const struct sc_run *run, size_t i, float *scale);

static inline size_t sc_run_n_sub_rows(const struct sc_run *run, struct sc_value v)
{
    const struct sc_buffer_info *info = &run->program->buffers[v.buffer];
    return (info->rows == SC_ROWS_SELECTED ? run->n_selected : run->n_rows) * info->per_row;
}

static inline char *sc_run_bytes(const struct sc_run *run, struct sc_value v, size_t sub_row)
{
    return run->memory + run->plan->offsets[v.buffer] + sub_row * run->plan->strides[v.buffer];
}

// Head h of a sub-row of an f32 value.
static inline float *sc_run_f32(const struct sc_run *run, struct sc_value v, size_t sub_row, size_t h)
{
    return (float *)(void *)sc_run_bytes(run, v, sub_row) + v.offset + h * v.head_stride;
}

static inline int32_t *sc_run_i32(const struct sc_run *run, struct sc_value v, size_t sub_row)
{
    return (int32_t *)(void *)sc_run_bytes(run, v, sub_row) + v.offset;
}

// A quantized value's panel `i` of head h, for n of the value's sub-rows from SC_PANEL * i on.
struct sc_panel sc_run_panel(const struct sc_run *run, struct sc_value v, size_t h, size_t i);

static inline void *sc_run_shared(const struct sc_run *run) { return run->memory + run->plan->shared_offset; }

// What an op and its adjoint both need: what dropout leaves of head h of a row, how much of the adapter a row takes,
// what its position multiplies queries by.
void sc_run_dropout(const struct sc_run *run, const struct sc_op *op, size_t row, size_t h, const float *x, float *y);
float sc_run_adapter(const struct sc_run *run, const struct sc_op *op, size_t row);
float sc_run_temperature(const struct sc_run *run, const struct sc_op *op, size_t row);

// Splits n_sub_rows of `width` elements into tasks of about 16384 elements: rows begin..end of task `task`.
size_t sc_run_row_tasks(size_t n_sub_rows, size_t width);
void sc_run_row_range(size_t n_sub_rows, size_t width, size_t task, size_t *begin, size_t *end);

#endif
