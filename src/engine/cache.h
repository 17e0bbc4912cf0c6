// Where keys and values lie in a stretch of memory, layer by layer and head by head: of a session's whole context, or
// of one page of positions.
#ifndef SC_ENGINE_CACHE_H
#define SC_ENGINE_CACHE_H

#include "program/execute.h"

// Bytes of n_positions positions of all layers; more than any machine has when the sum would overflow.
uint64_t sc_cache_bytes(const struct sc_program *program, size_t n_positions, enum sc_cache_format format);
// layers[program->n_layers], as they lie in `memory`.
void sc_cache_place(const struct sc_program *program, size_t n_positions, enum sc_cache_format format, char *memory,
                    struct sc_kv_layer *layers);

#endif
