// GGUF, the file format of llama.cpp and most open-weight models, versions 2 and 3, little-endian.
//
//   "GGUF"  u32 version  u64 n_tensors  u64 n_metadata
//   n_metadata x { string key, u32 type, value }
//   n_tensors  x { string name, u32 n_dims, u64 shape[n_dims], u32 format, u64 offset }
//   padding to general.alignment (default 32), then the tensors' data, each at its offset from here
//
// A string is u64 length and bytes; an array is u32 element type, u64 count and elements.
// Source: the GGUF specification in the ggml repository, docs/gguf.md.
//
// The reader maps the file and trusts nothing: every count, length, type, offset and product is checked against the
// file's size before it is used, and every refusal names file, key or tensor, offset, expected and found.
#ifndef SC_FORMATS_GGUF_H
#define SC_FORMATS_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "tensor/tensor.h"

enum sc_gguf_type {
    SC_GGUF_U8 = 0,
    SC_GGUF_I8,
    SC_GGUF_U16,
    SC_GGUF_I16,
    SC_GGUF_U32,
    SC_GGUF_I32,
    SC_GGUF_F32,
    SC_GGUF_BOOL,
    SC_GGUF_STRING,
    SC_GGUF_ARRAY,
    SC_GGUF_U64,
    SC_GGUF_I64,
    SC_GGUF_F64,
    SC_GGUF_TYPE_COUNT,
};

// "u32", "string", ...; "unknown" outside the list.
const char *sc_gguf_type_name(uint32_t type);

// A metadata value. Scalars and a string sit in `raw`; an array's elements are at raw for fixed-size types (not
// aligned!), and in `strings` for arrays of strings.
struct sc_gguf_value {
    struct sc_text key;
    enum sc_gguf_type type; // of the value, or of the elements of an array
    bool is_array;
    uint64_t n;                    // elements; 1 for a scalar
    const uint8_t *raw;            // in the mapped file
    struct sc_text string;         // of a string scalar
    const struct sc_text *strings; // of an array of strings
};

struct sc_gguf;

// Opens `path` and, when it is the first of several shards ("…-00001-of-00003.gguf"), all of them. The mapped bytes,
// and every view handed out below, live until sc_gguf_close. Reading is thread-safe.
// Errors: SOCLE_IO, SOCLE_BAD_FILE, SOCLE_UNSUPPORTED (version, tensor type), SOCLE_NO_MEMORY.
socle_status sc_gguf_open(const char *path, struct sc_gguf **out, socle_error *err);
// The same for bytes already in memory (borrowed; name is used in messages): for tests and fuzzing. Shards refused.
socle_status sc_gguf_open_memory(const char *name, const void *bytes, size_t n_bytes, struct sc_gguf **out,
                                 socle_error *err);
void sc_gguf_close(struct sc_gguf *gguf); // NULL is fine

const char *sc_gguf_path(const struct sc_gguf *gguf);
uint32_t sc_gguf_version(const struct sc_gguf *gguf);
uint64_t sc_gguf_file_bytes(const struct sc_gguf *gguf); // of all shards
uint32_t sc_gguf_n_shards(const struct sc_gguf *gguf);

uint64_t sc_gguf_n_values(const struct sc_gguf *gguf);
const struct sc_gguf_value *sc_gguf_value_at(const struct sc_gguf *gguf, uint64_t i);
const struct sc_gguf_value *sc_gguf_find(const struct sc_gguf *gguf, const char *key); // NULL when absent

uint64_t sc_gguf_n_tensors(const struct sc_gguf *gguf);
const struct sc_tensor *sc_gguf_tensor_at(const struct sc_gguf *gguf, uint64_t i);
const struct sc_tensor *sc_gguf_find_tensor(const struct sc_gguf *gguf, const char *name); // NULL when absent
uint64_t sc_gguf_tensor_offset(const struct sc_gguf *gguf, uint64_t i);                    // from the start of its file

// Gives back the memory that reading n_bytes of a mapped file at `data` took; they are read again when touched.
void sc_gguf_forget(const struct sc_gguf *gguf, const void *data, uint64_t n_bytes);

// Typed reads. An absent key leaves *out alone and is fine; a value of another kind, or an integer that does not
// fit, is SOCLE_BAD_FILE. So the caller sets its default first, and requires with sc_gguf_require.
// Integers of any width and booleans convert to each other; f64 and integers convert to f32.
socle_status sc_gguf_get_u32(const struct sc_gguf *gguf, const char *key, uint32_t *out, socle_error *err);
socle_status sc_gguf_get_f32(const struct sc_gguf *gguf, const char *key, float *out, socle_error *err);
socle_status sc_gguf_get_bool(const struct sc_gguf *gguf, const char *key, bool *out, socle_error *err);
socle_status sc_gguf_get_text(const struct sc_gguf *gguf, const char *key, struct sc_text *out, socle_error *err);
// Fails with a sentence naming the key when it is absent.
socle_status sc_gguf_require(const struct sc_gguf *gguf, const char *key, socle_error *err);
// An array of n_expected (0: any number) elements, or absent (*out = NULL).
socle_status sc_gguf_get_array(const struct sc_gguf *gguf, const char *key, enum sc_gguf_type type, uint64_t n_expected,
                               const struct sc_gguf_value **out, socle_error *err);

// Element i of a numeric value or array, converted. The caller knows that the kind is numeric and i < n.
int64_t sc_gguf_int_at(const struct sc_gguf_value *value, uint64_t i);
float sc_gguf_float_at(const struct sc_gguf_value *value, uint64_t i);

#endif
