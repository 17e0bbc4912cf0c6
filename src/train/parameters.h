// What training changes: the weights of a model's program, their derivatives, and what the optimizer remembers of them.
//
// Matrices lie packed (tensor/packed.h) as f32, so that the program runs on them as they are; derivatives and the
// optimizer's moments lie the same way. Vectors (norms, biases, sinks) are plain.
#ifndef SC_TRAIN_PARAMETERS_H
#define SC_TRAIN_PARAMETERS_H

#include "models/model.h"
#include "program/backward.h"

struct sc_parameter {
    const char *name; // of its tensor in the model's file
    uint64_t shape[SC_DIMS_MAX];
    uint32_t n_dims;
    bool is_matrix;              // packed; else a vector
    bool is_table;               // of embeddings, or the output matrix
    struct sc_tensor *packed;    // of a matrix
    float *w, *gradient, *m, *v; // [n]
    size_t n;                    // floats, those that fill the last group of 16 rows included
    uint64_t n_weights;          // without these
    bool begun;                  // whether `gradient` holds something
};

struct sc_parameters {
    struct sc_parameter *items;
    size_t n;
    struct sc_op_gradient *ops; // [n_ops] for the walk backwards
    uint64_t n_weights, n_bytes;
    float *memory;
    bool adapters_only;
};

// Takes every weight of the program for training, or (adapters_only) those of its adapters alone: copies it into memory
// of its own and lets the program use that. The model must be loaded, not prepared, and outlive them. Without `learn`
// there is no room for derivatives and moments. Errors: SOCLE_UNSUPPORTED names a weight that cannot be trained;
// SOCLE_NO_MEMORY.
socle_status sc_parameters_take(struct sc_model *model, bool adapters_only, bool learn, struct sc_parameters *out,
                                socle_error *err);
void sc_parameters_free(struct sc_parameters *parameters);

struct sc_parameter *sc_parameter_find(const struct sc_parameters *parameters, const char *name);

// One row of a parameter, `from` its w, m or v: [shape[0]]; and back.
void sc_parameter_get_row(const struct sc_parameter *parameter, const float *from, uint64_t row, float *out);
void sc_parameter_set_row(const struct sc_parameter *parameter, float *to, uint64_t row, const float *values);

#endif
