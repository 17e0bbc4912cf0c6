// Loading: a family's description asks for tensors by name and records ops; the first failure sticks.
#ifndef SC_MODELS_LOADER_H
#define SC_MODELS_LOADER_H

#include "models/families.h"
#include "models/model.h"
#include "program/build.h"

struct sc_loader {
    struct sc_model *model;
    const struct sc_hparams *h;
    struct sc_builder b;
    socle_status status;
    socle_error *err;
    float dropout; // while training; 0: none
    const struct sc_rope_table *rope, *rope_window; // of layers that see everything, and of those with a window
};

// A tensor by name; NULL when it is absent (and then an error unless `optional`).
__attribute__((format(printf, 3, 4))) const struct sc_tensor *sc_load_tensor(struct sc_loader *l, bool optional,
                                                                             const char *format, ...);
// A vector of n as f32 ("…" is the whole name); NULL when absent.
__attribute__((format(printf, 4, 5))) const float *sc_load_vector(struct sc_loader *l, bool optional, uint64_t n,
                                                                  const char *format, ...);
// The product "blk.<layer>.<name>" of n_in elements to n_out (0: any number), one matrix: .weight, and .bias and .scale
// where the file has them. An absent weight gives weight == NULL (and an error unless `optional`).
struct sc_linear sc_load_linear(struct sc_loader *l, bool optional, uint32_t layer, const char *name, uint64_t n_in,
                                uint64_t n_out);
// The same with a matrix for each of n_matrices heads or experts. One head may be written as a plain matrix.
struct sc_linear sc_load_matrices(struct sc_loader *l, bool optional, uint32_t layer, const char *name, uint64_t n_in,
                                  uint64_t n_out, uint64_t n_matrices);
// The same for the feed-forward's products, where the reference takes the scale after the bias, and only in families
// that have `ffn_scale`: the bias is multiplied here, once.
struct sc_linear sc_load_ffn_matrices(struct sc_loader *l, bool optional, uint32_t layer, const char *name,
                                      uint64_t n_in, uint64_t n_out, uint64_t n_matrices);
// Fails because a packed tensor is used otherwise than in a product.
void sc_load_fail_packed(struct sc_loader *l, const struct sc_tensor *tensor);
// A tensor of this model's own: zeroed f32 memory that lives as long as the model. NULL on failure.
struct sc_tensor *sc_load_new_tensor(struct sc_loader *l, struct sc_text name, uint64_t k, uint64_t n_rows,
                                     uint64_t n_matrices, float **data);

#endif
