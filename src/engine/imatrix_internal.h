// What the file side and the gathering side of importance matrices share.
#ifndef SC_ENGINE_IMATRIX_INTERNAL_H
#define SC_ENGINE_IMATRIX_INTERNAL_H

#include "base/arena.h"
#include "engine/imatrix.h"
#include "formats/gguf_internal.h"

struct sc_imatrix_entry {
    struct sc_text name; // of the weight
    uint64_t k, n_matrices;
    const float *means; // of one that was read: [n_matrices][k]
    double *sums;       // of one that is gathered: [n_matrices][k]
    uint64_t *counts;   // [n_matrices]
};

struct sc_imatrix {
    struct sc_arena arena;
    struct sc_gguf *gguf; // of one that was read
    struct sc_imatrix_entry *entries;
    uint32_t n_entries, n_chunks;
    struct sc_text dataset;
    struct sc_imatrix_entry **by_op; // of one that is gathered: [n_ops], NULL for ops that are no products
};

#endif
