// Writing safetensors; the layout is drawn in formats/safetensors.h.
//
//     create, then any order of: metadata, tensors; then write to a path (as often as wanted)
//
// Tensors lie in the file in the order of the calls, without gaps; the first begins at a multiple of 8 bytes, and
// whoever wants all of them aligned adds those of the widest types first. Tensors' data is not kept: it is borrowed,
// or produced row by row while writing, so that a model larger than memory can be written.
// What the writer accepts, the reader opens: a name or key that is set already, that is not UTF-8 or has no suitable
// length, and a shape whose size overflows, are SOCLE_BAD_ARGUMENT at the call that brings them, and change nothing.
#ifndef SC_FORMATS_SAFETENSORS_WRITER_H
#define SC_FORMATS_SAFETENSORS_WRITER_H

#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"

struct sc_safetensors_writer;

socle_status sc_safetensors_writer_create(struct sc_safetensors_writer **out, socle_error *err);
void sc_safetensors_writer_free(struct sc_safetensors_writer *writer); // NULL is fine

// An entry of "__metadata__": "format" of "pt", say, which PyTorch's readers ask for. Both are copied.
socle_status sc_safetensors_writer_set_metadata(struct sc_safetensors_writer *writer, const char *key,
                                                struct sc_text text, socle_error *err);

// Writes row `row` of a tensor, little-endian, to `out`. A row is the last axis: shape[n_dims - 1] elements, one where
// n_dims is 0; rows are counted through all other axes. Called once per row, in order, at each writing; not at all for
// a tensor without elements. A failure stops the writing and is handed on.
typedef socle_status (*sc_safetensors_row_source)(void *user, uint64_t row, void *out, socle_error *err);

// Tensors, of 0 to SC_SAFETENSORS_DIMS_MAX dimensions, outermost first. The name is copied. `data` (little-endian on
// any host) and `user` are borrowed until the last write.
socle_status sc_safetensors_writer_add_tensor(struct sc_safetensors_writer *writer, const char *name,
                                              enum sc_safetensors_type type, uint32_t n_dims, const uint64_t *shape,
                                              const void *data, socle_error *err);
socle_status sc_safetensors_writer_add_tensor_rows(struct sc_safetensors_writer *writer, const char *name,
                                                   enum sc_safetensors_type type, uint32_t n_dims,
                                                   const uint64_t *shape, sc_safetensors_row_source source, void *user,
                                                   socle_error *err);

// Writes the whole file under `path` or leaves what was there: a temporary file beside it, fsync, rename.
// Errors: SOCLE_IO, SOCLE_NO_MEMORY, SOCLE_BAD_ARGUMENT (a header of more than 100 MB), what a row source returned.
socle_status sc_safetensors_writer_write(const struct sc_safetensors_writer *writer, const char *path,
                                         socle_error *err);

#endif
