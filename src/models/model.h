// A model: its file, its description, its program. Immutable once its weights are prepared; sessions share it.
#ifndef SC_MODELS_MODEL_H
#define SC_MODELS_MODEL_H

#include <pthread.h>

#include "models/families.h"

struct sc_model {
    struct sc_gguf *gguf;
    const struct sc_family *family;
    struct sc_hparams hparams;
    struct sc_program program;
    struct sc_arena arena; // tensors and tables made at load
    pthread_mutex_t mutex; // of what prepare.c sets once
    bool is_prepared;
    void *packed; // NULL when the file was packed already
    uint64_t packed_bytes;
};

// Takes `gguf` over, on failure too. Errors: SOCLE_UNSUPPORTED lists the families; SOCLE_BAD_FILE names what is wrong.
socle_status sc_model_load(struct sc_gguf *gguf, struct sc_model **out, socle_error *err);
void sc_model_free(struct sc_model *model); // NULL is fine

// The family that the file names, or an error that lists what is supported.
socle_status sc_model_family(const struct sc_gguf *gguf, const struct sc_family **out, socle_error *err);

#endif
