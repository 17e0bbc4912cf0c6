// Safetensors, the file format in which models are published and trained.
//
//   u64 n_header, little-endian, at most 100 MB
//   n_header bytes of JSON, spaces after it:
//       { "__metadata__": { string: string }, name: { "dtype": "F32", "shape": [outermost, ...],
//         "data_offsets": [begin, end] }, ... }
//   the tensors' data, little-endian, without strides; begin and end count from here
//
// Every byte of the data belongs to exactly one tensor; a shape of [] is one number, a dimension of 0 no data at all.
// A model of several files has model.safetensors.index.json beside them:
//
//       { "metadata": ..., "weight_map": { name: file, ... } }
//
// Source: the README of the safetensors repository ("Format"), and huggingface_hub for the index.
//
// The reader maps the files and trusts nothing: every length, name, type, shape, offset and product is checked against
// the file's size before it is used, and every refusal names file, tensor, expected and found.
#ifndef SC_FORMATS_SAFETENSORS_H
#define SC_FORMATS_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum { SC_SAFETENSORS_DIMS_MAX = 8, SC_SAFETENSORS_NAME_BYTES_MAX = 1000 };

enum sc_safetensors_type {
    SC_SAFETENSORS_BOOL = 0,
    SC_SAFETENSORS_U8,
    SC_SAFETENSORS_I8,
    SC_SAFETENSORS_F8_E4M3,
    SC_SAFETENSORS_F8_E5M2,
    SC_SAFETENSORS_U16,
    SC_SAFETENSORS_I16,
    SC_SAFETENSORS_F16,
    SC_SAFETENSORS_BF16,
    SC_SAFETENSORS_U32,
    SC_SAFETENSORS_I32,
    SC_SAFETENSORS_F32,
    SC_SAFETENSORS_U64,
    SC_SAFETENSORS_I64,
    SC_SAFETENSORS_F64,
    SC_SAFETENSORS_TYPE_COUNT,
};

// The format's own name, "F32"; "unknown" outside the list.
const char *sc_safetensors_type_name(enum sc_safetensors_type type);
// Bytes of one element; 0 outside the list.
size_t sc_safetensors_type_bytes(enum sc_safetensors_type type);

struct sc_safetensors_tensor {
    struct sc_text name; // UTF-8 without NUL, 1 to SC_SAFETENSORS_NAME_BYTES_MAX bytes
    enum sc_safetensors_type type;
    uint32_t n_dims;                         // 0 for a single number
    uint64_t shape[SC_SAFETENSORS_DIMS_MAX]; // outermost first, the last axis contiguous; 1 from n_dims on
    const void *data; // as in the file: little-endian on any host, not aligned; sc_forget_pages suits it
    uint64_t n_bytes;
};

struct sc_safetensors;

// Opens a file, or a folder: its model.safetensors, or else the files that its model.safetensors.index.json names,
// which are to lie beside it. Tensors that are in a file but not in the index are there, too. The mapped bytes, and all
// that is handed out below, live until sc_safetensors_free. Reading is thread-safe.
// Errors: SOCLE_IO, SOCLE_BAD_FILE, SOCLE_UNSUPPORTED (a tensor's type), SOCLE_NO_MEMORY; *out stays as it was.
socle_status sc_safetensors_open(const char *path, struct sc_safetensors **out, socle_error *err);
// The same for the bytes of one file in memory (borrowed; name is used in messages): for tests and fuzzing.
socle_status sc_safetensors_open_memory(const char *name, const void *bytes, size_t n_bytes,
                                        struct sc_safetensors **out, socle_error *err);
void sc_safetensors_free(struct sc_safetensors *st); // NULL is fine

// Tensors, in the order of their names' bytes: i < n.
uint64_t sc_safetensors_n(const struct sc_safetensors *st);
const struct sc_safetensors_tensor *sc_safetensors_at(const struct sc_safetensors *st, uint64_t i);
const struct sc_safetensors_tensor *sc_safetensors_find(const struct sc_safetensors *st,
                                                        struct sc_text name); // NULL when absent
bool sc_safetensors_index(const struct sc_safetensors *st, struct sc_text name, uint64_t *i); // false when absent

#endif
