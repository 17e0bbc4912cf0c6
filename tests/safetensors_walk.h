// Touches everything that a safetensors reader hands out, and aborts where it contradicts itself.
#ifndef SAFETENSORS_WALK_H
#define SAFETENSORS_WALK_H

#include <stdlib.h>

#include "formats/safetensors.h"

// A sum over all bytes: what a caller keeps so that the reading is not optimized away.
static inline uint64_t walk_safetensors(const struct sc_safetensors *st)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < sc_safetensors_n(st); i++) {
        const struct sc_safetensors_tensor *tensor = sc_safetensors_at(st, i);
        uint64_t n_bytes = sc_safetensors_type_bytes(tensor->type);
        for (uint32_t d = 0; d < SC_SAFETENSORS_DIMS_MAX; d++) n_bytes *= tensor->shape[d];
        if (n_bytes != tensor->n_bytes || !tensor->data || tensor->n_dims > SC_SAFETENSORS_DIMS_MAX) abort();
        if (sc_safetensors_find(st, tensor->name) != tensor) abort();
        for (size_t b = 0; b < tensor->name.n_bytes; b++) sum += (unsigned char)tensor->name.data[b];
        for (uint64_t b = 0; b < n_bytes; b++) sum += ((const uint8_t *)tensor->data)[b];
    }
    return sum;
}

#endif
