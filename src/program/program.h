// A program: the flat list of operations that computes a model's logits from tokens. No control flow.
//
// Models build one with the functions of build.h; everything else reads it: the planner (every buffer's place), the
// executor, the printer. A program is immutable once built and shared by all sessions of a model.
//
// Data. A buffer holds `width` elements for each row; a row is a token of the batch (or one of its experts' slots, or
// a selected token). Every buffer is written once, before it is read, so its life is first write to last read.
// A value is a view of a buffer: n_heads pieces of head_dim elements, head_stride apart, from `offset` in each row.
#ifndef SC_PROGRAM_PROGRAM_H
#define SC_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

enum { SC_NO_BUFFER = -1 };

enum sc_element { SC_ELEMENT_F32, SC_ELEMENT_I32, SC_ELEMENT_Q8 };
enum sc_rows { SC_ROWS_TOKENS, SC_ROWS_SELECTED };

struct sc_buffer_info {
    enum sc_element element;
    enum sc_rows rows;
    uint32_t per_row; // sub-rows for each row: experts' slots
    uint32_t width;   // elements of a sub-row
    uint32_t n_heads; // of quantized buffers: heads that are quantized apart, each with panels of its own
    // Of a norm's result: the buffer of 1 / rms that products of it are yet to be multiplied by, or SC_NO_BUFFER.
    int32_t row_scale;
    uint32_t first_op, last_op;
};

struct sc_value {
    int32_t buffer;
    uint32_t offset, n_heads, head_dim, head_stride;
};

// A product's weights: shape [k, rows, matrices]; bias [rows (x matrices)]; scale: a factor for each matrix.
struct sc_linear {
    const struct sc_tensor *weight;
    const float *bias, *scale; // NULL when the model has none
};

// Rotary frequencies: shared by the layers of a model that turn alike.
struct sc_rope_table {
    uint32_t n_pairs;
    bool halves;     // pairs (j, j + n_pairs) rather than (2j, 2j + 1)
    float gain;      // on cos and sin (YaRN's attention factor)
    uint64_t *turns; // [n_pairs] turns a position, in 2^-64
    // LongRoPE: other frequencies in sessions of more than n_context_short positions; NULL: none.
    uint64_t *long_turns;
    uint32_t n_context_short;
};

struct sc_op;
struct sc_run;
struct sc_backward;

enum { SC_READS_IN0 = 1, SC_READS_IN1 = 2, SC_READS_IN2 = 4, SC_READS_OUT0 = 8, SC_READS_OUT1 = 16 };

// An op's adjoint (program/backward.h): from the derivatives of the loss by the op's outputs to those by its inputs and
// weights.
struct sc_adjoint {
    void (*run)(struct sc_backward *back, const struct sc_op *op); // by all threads together
    unsigned reads;                                                // the values that it needs once more: SC_READS_...
    // Bytes of scratch for each thread beside that of products, and of memory that all share; NULL: none.
    // n_context: rows of the longest sequence.
    size_t (*scratch_bytes)(const struct sc_op *op, size_t n_context);
    size_t (*shared_bytes)(const struct sc_op *op, size_t n_rows);
    // The vector that training may change (a bias, a norm's weights), of *n elements; NULL: there is none.
    const float *(*vector)(const struct sc_op *op, size_t *n);
};

// A kind of operation: one const descriptor in one file, one line in ops.h.
struct sc_op_type {
    const char *name;
    // How many tasks the op splits into for this batch; tasks are independent of each other.
    size_t (*tasks)(const struct sc_run *run, const struct sc_op *op);
    void (*run)(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch);
    // Scratch bytes that one thread needs, or NULL for none. n_context: positions of the session.
    size_t (*scratch_bytes)(const struct sc_op *op, size_t n_context);
    // A second phase, or NULL: it starts when all tasks of the first are done. What the first leaves for it lies in
    // memory that the op's tasks share.
    size_t (*join_tasks)(const struct sc_run *run, const struct sc_op *op);
    void (*join)(const struct sc_run *run, const struct sc_op *op, size_t task);
    size_t (*shared_bytes)(const struct sc_op *op);
    bool is_product;                  // it multiplies by linear.weight, which must be packed before it runs
    const struct sc_adjoint *adjoint; // NULL: derivatives end here
    // Adds what sc_program_print cannot see in the fields that all ops share; or NULL.
    void (*print)(const struct sc_op *op, struct sc_buffer *out);
};

struct sc_op {
    const struct sc_op_type *type;
    struct sc_value in[3]; // unused: buffer SC_NO_BUFFER
    struct sc_value out[2];
    struct sc_linear linear;
    struct sc_value x; // of products: what in[0] is, or was before it was quantized
    int32_t layer;     // of the cache; -1 when the op does not touch it
    union {
        struct {
            const float *w;
            float eps;
            bool apply;
        } norm;
        struct {
            const struct sc_rope_table *table;
        } rope;
        struct {
            float scale, softcap;
            uint32_t window;
            const float *sinks;
            struct sc_value k, v; // what the layer's store op keeps: adjoints read them; v.buffer may be SC_NO_BUFFER
        } attend;
        struct {
            enum sc_activation activation;
        } glu;
        struct {
            float factor;
        } scale;
        struct {
            float scale;
            uint32_t length;
        } temperature;
        struct {
            float rate; // the share that becomes 0
        } dropout;
        struct {
            uint32_t adapter; // whose: a sequence says how much of each it takes
        } adapt;
        struct {
            const float *bias;
            uint32_t n_groups, n_groups_used;
            enum sc_gating gating;
            bool normalize;
            float scale;
        } route;
    };
};

// What a layer keeps of every position: keys and values of n_heads heads; dim_v == 0: values lie inside the keys.
struct sc_cache_layer {
    uint32_t n_heads, dim_k, dim_v;
};

struct sc_program {
    struct sc_arena arena; // ops, buffers, layers
    struct sc_op *ops;
    uint32_t n_ops, ops_capacity;
    struct sc_buffer_info *buffers;
    uint32_t n_buffers, buffers_capacity;
    struct sc_cache_layer *layers;
    uint32_t n_layers;
    struct sc_value logits;
    uint32_t n_vocab;
    // What the logits are a product of: the last norm's result, whose 1/rms (hidden_scale) is not applied, and how many
    // ops it takes. Both outlive the program's end.
    struct sc_value hidden, hidden_scale;
    uint32_t n_hidden_ops;
};

void sc_program_free(struct sc_program *program); // releases its memory and zeroes it

// One line per op, as `socle inspect --program` shows it.
void sc_program_print(const struct sc_program *program, struct sc_buffer *out);

// Where every buffer lies, for at most n_rows rows in a batch of which n_selected ask for a result.
struct sc_plan {
    size_t *offsets; // [n_buffers]
    size_t *strides; // [n_buffers] bytes from one sub-row, or one panel, to the next
    size_t n_bytes;
    size_t shared_offset; // of what an op's tasks share
    size_t scratch_bytes; // of one thread
    uint32_t n_rows, n_selected;
};

socle_status sc_plan_make(const struct sc_program *program, uint32_t n_rows, uint32_t n_selected, size_t n_context,
                          struct sc_plan *out, socle_error *err);
void sc_plan_free(struct sc_plan *plan);

#endif
