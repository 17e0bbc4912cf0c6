// One batch of training: forward, the loss, backward. Derivatives are added up in the parameters.
#ifndef SC_TRAIN_LEARNER_H
#define SC_TRAIN_LEARNER_H

#include "train/batches.h"
#include "train/parameters.h"

struct sc_learner_options {
    uint32_t n_rows, n_context; // of a batch, and of its longest sequence, at most
    uint32_t n_threads;         // 0: all processors
    const char *cpu;            // an instruction-set level, or NULL
    bool bf16;                  // what is kept for the walk backwards is rounded to bf16
    size_t budget;              // bytes for activations; 0: no matter
};

struct sc_learner;

// The model's frozen weights are prepared (models/prepare.h) when that was not done. Model and parameters must outlive
// it.
socle_status sc_learner_create(struct sc_model *model, struct sc_parameters *parameters,
                               const struct sc_learner_options *options, struct sc_learner **out, socle_error *err);
void sc_learner_free(struct sc_learner *learner); // NULL is fine

const struct sc_kernels *sc_learner_kernels(const struct sc_learner *learner);
struct sc_pool *sc_learner_pool(const struct sc_learner *learner);
const struct sc_training_plan *sc_learner_plan(const struct sc_learner *learner);
uint64_t sc_learner_n_bytes(const struct sc_learner *learner); // activations and scratch
// Scratch of each thread, `*stride` bytes apart, for whoever has the pool between batches.
char *sc_learner_scratch(const struct sc_learner *learner, size_t *stride);

// How the next forward walks run. adapters: how much of each of the program's adapters, or NULL. dropout_key: the
// random numbers of dropout, which drops with `drop` alone.
struct sc_forward_options {
    const float *adapters;
    bool drop;
    uint64_t dropout_key;
};

// Runs the batch forward: log_probability[row] of each row's target, natural logarithms; 0 where it has none. `stop` is
// asked between ops (NULL: never). Errors: SOCLE_CANCELLED; SOCLE_BAD_ARGUMENT for a batch that is too large.
socle_status sc_learner_forward(struct sc_learner *learner, const struct sc_batch *batch,
                                const struct sc_forward_options *options, double *log_probability,
                                bool (*stop)(void *context), void *context, socle_error *err);
// Then backward: the loss is the sum over rows of -weight[row] * log_probability[row] (weight NULL: `factor` for each).
socle_status sc_learner_backward(struct sc_learner *learner, const float *weight, float factor,
                                 bool (*stop)(void *context), void *context, socle_error *err);

// From now on `note` is told how long each op and adjoint took (NULL: nobody).
typedef void sc_learner_note(void *context, const struct sc_op *op, enum sc_training_kind kind, double seconds);
void sc_learner_set_note(struct sc_learner *learner, sc_learner_note *note, void *context);

// Where the last forward walk first met a number that is not finite: an op's name and the tensor that it multiplies by,
// into `out`; false when it met none. Runs the walk again.
bool sc_learner_find_not_finite(struct sc_learner *learner, char *out, size_t n_bytes);

#endif
