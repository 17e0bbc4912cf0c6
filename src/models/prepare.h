// Preparing a model's weights for the kernels: packing (tensor/packed.h), once, by all threads.
#ifndef SC_MODELS_PREPARE_H
#define SC_MODELS_PREPARE_H

#include "models/model.h"

// Told how many of the bytes to pack are done: from one thread, in order.
typedef void sc_progress(void *context, uint64_t done, uint64_t total);

// Packs what is not packed yet: the weights of all products. Does nothing the second time. Any number of threads may
// call this; one does the work. Pages of the model's file that are no longer needed are given back meanwhile, so that
// memory never holds the weights twice. progress may be NULL.
// Errors: SOCLE_NO_MEMORY; the model is then as before.
socle_status sc_model_prepare(struct sc_model *model, size_t n_threads, sc_progress *progress, void *context,
                              socle_error *err);

// Bytes that preparing takes, or took; and bytes of the file's tensors that are used as they lie.
uint64_t sc_model_packed_bytes(const struct sc_model *model);
uint64_t sc_model_mapped_bytes(const struct sc_model *model);
bool sc_model_is_prepared(struct sc_model *model);

#endif
