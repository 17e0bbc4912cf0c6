// Low-rank adapters (LoRA) as files: folding them into a model's weights.
//
//     socle_adapter adapters[] = { { "adapter.gguf", 1.0f } };
//     socle_adapter_merge("model.gguf", adapters, 1, "merged.gguf", NULL, NULL, &err)
//
// Loading a model with adapters beside it is in model.h, training one in train.h, PEFT's folders are in convert.h.
#ifndef SOCLE_ADAPTER_H
#define SOCLE_ADAPTER_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

// Zero-initialized options are the defaults.
typedef struct socle_adapter_merge_options {
    const char *type;   // a format for the weights that change, in any case; NULL: each keeps its own
    uint32_t n_threads; // 0: every processor this process may use
    // Told after each piece of work, on the calling thread: weights done of all; false stops. May be NULL.
    bool (*on_progress)(void *context, const char *tensor, uint64_t done, uint64_t total);
    void *context;
} socle_adapter_merge_options;

typedef struct socle_adapter_merge_result {
    uint64_t n_tensors, n_changed;
    uint64_t n_bytes_before, n_bytes_after; // of the files
    // Of the changed weights, relative to them (roots of mean squares): the change, and what encoding them again added.
    double change, rounding;
    uint64_t n_replaced; // changed tensors that became F16: their format cannot be made, or their rows do not fill it
    char replaced[80];   // those formats, "IQ4_XS, Q3_K"
} socle_adapter_merge_result;

// Writes the GGUF file `model` (the first of several shards stands for all) with W + scale * alpha / rank * B A for
// each weight W that an adapter changes. These are decoded, changed in f32, and encoded in their own format again;
// metadata and all other tensors are copied byte for byte. The same files give the same bytes on every machine, at any
// number of threads. `out` is written whole, or stays as it was; memory does not grow with the model. `options` and
// `result` may be NULL. Errors: SOCLE_BAD_ARGUMENT (no adapter, an unknown type, `out` is one of the sources, a packed
// model), SOCLE_BAD_FILE (also: not an adapter, or one for another model), SOCLE_UNSUPPORTED (a type that can only be
// read; a change of experts or of embeddings), SOCLE_NOT_FINITE (with tensor and index), SOCLE_IO (also: no space left,
// found before work begins), SOCLE_NO_MEMORY, SOCLE_CANCELLED.
socle_status socle_adapter_merge(const char *model, const socle_adapter *adapters, size_t n_adapters, const char *out,
                                 const socle_adapter_merge_options *options, socle_adapter_merge_result *result,
                                 socle_error *err);

#ifdef __cplusplus
}
#endif
#endif
