// A model: its file, its description, its program. Immutable once its weights are prepared; sessions share it.
#ifndef SC_MODELS_MODEL_H
#define SC_MODELS_MODEL_H

#include <pthread.h>

#include "models/adapters.h"
#include "models/families.h"

// A weight of one or more products: its tensor in the file (or a view of one), and the packed one in its place.
struct sc_packed_weight {
    const struct sc_tensor *from;
    struct sc_tensor *to;
};

struct sc_model {
    struct sc_gguf *gguf;
    const struct sc_family *family;
    struct sc_hparams hparams;
    struct sc_program program;
    const struct sc_adapter_set *adapters; // NULL: none
    struct sc_arena arena; // tensors and tables made at load
    pthread_mutex_t mutex; // of what prepare.c sets once
    bool is_prepared;
    void *packed; // NULL when the file was packed already
    uint64_t packed_bytes;
    struct sc_packed_weight *weights; // [n_weights], what lies there
    uint32_t n_weights;
};

// What a model may have beside its file. Zero-initialize.
struct sc_model_options {
    float dropout;                     // of what each block adds to the residual, while training
    const struct sc_adapter_set *adapters; // NULL: none. Must outlive the model
};

// Takes `gguf` over, on failure too. options: NULL: none. Errors: SOCLE_UNSUPPORTED lists the families; SOCLE_BAD_FILE
// names what is wrong.
socle_status sc_model_load_with(struct sc_gguf *gguf, const struct sc_model_options *options, struct sc_model **out,
                                socle_error *err);
socle_status sc_model_load(struct sc_gguf *gguf, struct sc_model **out, socle_error *err);
void sc_model_free(struct sc_model *model); // NULL is fine

// Between these nobody prepares the model: for readers of its program who may come before that, or meanwhile.
void sc_model_lock(const struct sc_model *model);
void sc_model_unlock(const struct sc_model *model);

// The family that the file names, or an error that lists what is supported.
socle_status sc_model_family(const struct sc_gguf *gguf, const struct sc_family **out, socle_error *err);

#endif
