// What the halves of the GGUF reader and the writer share: gguf_parse.c reads one file, gguf.c joins shards and answers
// look-ups.
#ifndef SC_FORMATS_GGUF_INTERNAL_H
#define SC_FORMATS_GGUF_INTERNAL_H

#include "base/arena.h"
#include "base/file.h"
#include "formats/gguf.h"

// What the reader accepts and the writer keeps to.
enum {
    SC_GGUF_KEY_BYTES_MAX = 65535,
    SC_GGUF_TENSOR_NAME_BYTES_MAX = 63, // ggml's own limit
    SC_GGUF_ALIGNMENT_MIN = 8,
    SC_GGUF_ALIGNMENT_MAX = 1 << 20,
};

// One file, parsed. All memory is in the reader's arena or in the mapping.
struct sc_gguf_file {
    const char *path;
    const uint8_t *data;
    uint64_t n_bytes;
    uint32_t version;
    uint64_t alignment;
    uint64_t n_values, n_tensors;
    struct sc_gguf_value *values;
    struct sc_tensor *tensors;
    uint64_t *offsets; // of each tensor's data, from the start of the file
};

socle_status sc_gguf_parse(struct sc_gguf_file *file, struct sc_arena *arena, socle_error *err);

// Bytes of one element of a fixed-size type; 0 for strings, arrays and unknown types.
uint32_t sc_gguf_type_bytes(uint32_t type);

#endif
