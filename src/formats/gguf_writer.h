// Writing GGUF version 3, little-endian; the layout is drawn in formats/gguf.h.
//
//     create, then any order of: metadata, tensors, alignment; then write to a path or a buffer (as often as wanted)
//
// Metadata is kept as the bytes that will be written, in the order of the calls. Tensors' data is not kept: it is
// borrowed, or produced row by row while writing, so that a model larger than memory can be written.
// What the writer accepts, the reader opens: a duplicate key or tensor, a name the reader would refuse, a shape that
// does not suit the format, are SOCLE_BAD_ARGUMENT at the call that brings them, and change nothing.
#ifndef SC_FORMATS_GGUF_WRITER_H
#define SC_FORMATS_GGUF_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "tensor/format.h"

struct sc_gguf_writer;

socle_status sc_gguf_writer_create(struct sc_gguf_writer **out, socle_error *err);
void sc_gguf_writer_free(struct sc_gguf_writer *writer); // NULL is fine

// Metadata. Keys and values are copied. Setting the u32 "general.alignment" also aligns the tensors' data to it.
socle_status sc_gguf_writer_set_u32(struct sc_gguf_writer *writer, const char *key, uint32_t value, socle_error *err);
socle_status sc_gguf_writer_set_f32(struct sc_gguf_writer *writer, const char *key, float value, socle_error *err);
socle_status sc_gguf_writer_set_bool(struct sc_gguf_writer *writer, const char *key, bool value, socle_error *err);
socle_status sc_gguf_writer_set_text(struct sc_gguf_writer *writer, const char *key, struct sc_text value,
                                     socle_error *err);
// Arrays of n.
socle_status sc_gguf_writer_set_i32s(struct sc_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n,
                                     socle_error *err);
socle_status sc_gguf_writer_set_u64s(struct sc_gguf_writer *writer, const char *key, const uint64_t *values, uint64_t n,
                                     socle_error *err);
socle_status sc_gguf_writer_set_f32s(struct sc_gguf_writer *writer, const char *key, const float *values, uint64_t n,
                                     socle_error *err);
socle_status sc_gguf_writer_set_texts(struct sc_gguf_writer *writer, const char *key, const struct sc_text *values,
                                      uint64_t n, socle_error *err);
// A value of any kind from a reader, under its own key.
socle_status sc_gguf_writer_copy_value(struct sc_gguf_writer *writer, const struct sc_gguf_value *value,
                                       socle_error *err);

// Writes row `row` of a tensor (counted through all its matrices) to `out`, sc_format_row_bytes(format, shape[0])
// bytes. Called once per row, in order, at each writing. A failure stops the writing and is handed on.
typedef socle_status (*sc_gguf_row_source)(void *user, uint64_t row, void *out, socle_error *err);

// Tensors. The name is copied; shape[0] is the contiguous axis. `data` and `user` are borrowed until the last write.
socle_status sc_gguf_writer_add_tensor(struct sc_gguf_writer *writer, const char *name, const struct sc_format *format,
                                       uint32_t n_dims, const uint64_t *shape, const void *data, socle_error *err);
socle_status sc_gguf_writer_add_tensor_rows(struct sc_gguf_writer *writer, const char *name,
                                            const struct sc_format *format, uint32_t n_dims, const uint64_t *shape,
                                            sc_gguf_row_source source, void *user, socle_error *err);

// A packed tensor (tensor/packed.h), its data borrowed like the others'.
socle_status sc_gguf_writer_add_packed(struct sc_gguf_writer *writer, const char *name, const struct sc_tensor *tensor,
                                       socle_error *err);

// Writes the whole file under `path` or leaves what was there: a temporary file beside it, fsync, rename.
socle_status sc_gguf_writer_write(const struct sc_gguf_writer *writer, const char *path, socle_error *err);
// Appends the whole file to `buffer`, of which nothing is promised after a failure.
socle_status sc_gguf_writer_write_buffer(const struct sc_gguf_writer *writer, struct sc_buffer *buffer,
                                         socle_error *err);

#endif
