// A model with adapters folded into its weights: one file that computes, without them, what the model computes with
// them.
//
//     W' = W + sum over adapters of scale * alpha / rank * B A          W [k, rows], A [k, rank], B [rank, rows]
//
//     model's file ──► row of W ──► decode to f32 ──► add ──► encode in W's own format ──┐
//     adapters ──► A, B as f32, of one weight at a time ─────────┘                       ├──► GGUF writer
//     model's file ──► metadata, and every weight that no adapter changes, byte for byte ┘
//
// The sum B A of a row is added up in f32, over the rank in order: delta = b[0] a[0], + b[1] a[1], …, each product
// rounded before it is added; then W + factor * delta, adapter by adapter in the order given. So the same files give
// the same bytes on every machine, at any number of threads. What the adapters do at run time is rounded elsewhere (A x
// is added up first), so logits agree nearly, not in every bit.
#ifndef SC_MODELS_MERGE_H
#define SC_MODELS_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sc_merge_options {
    const char *const *adapters; // [n] paths
    const float *scales;         // [n]
    size_t n;
    const char *type;   // a format for the changed weights, in any case; NULL: each keeps its own
    uint32_t n_threads; // 0: all processors
    // Told after each piece; false stops. NULL: nobody is.
    bool (*on_progress)(void *context, const char *tensor, uint64_t done, uint64_t total); // weights
    void *context;
};

struct sc_merge_result {
    uint64_t n_tensors, n_changed;
    uint64_t n_bytes_before, n_bytes_after; // of the files
    double change;   // root of (sum of squared changes / sum of squared weights), of the changed weights
    double rounding; // the same of what encoding them again added
    // Changed weights that became F16, since their format cannot be made, or their rows do not fill its blocks.
    uint64_t n_replaced;
    char replaced[80]; // those formats, "IQ4_XS, Q3_K"
};

// Reads the GGUF file `model` (the first of several shards stands for all) and writes `out` whole, or leaves what was
// there. Memory is a batch of rows and the two halves of one change, however large the model. Errors:
// SOCLE_BAD_ARGUMENT (no adapter, an unknown type, `out` is a source, a packed model), SOCLE_UNSUPPORTED (a change of
// the embeddings; a type that is only read), SOCLE_NOT_FINITE (with tensor and index), those of sc_adapter_set_open,
// SOCLE_IO (also: no space left, found before work begins), SOCLE_NO_MEMORY, SOCLE_CANCELLED.
socle_status sc_merge(const char *model, const char *out, const struct sc_merge_options *options,
                      struct sc_merge_result *result, socle_error *err);

#endif
