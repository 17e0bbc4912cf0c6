// Packed model files: GGUF with the weights of products as tensor/packed.h has them, so that they are mapped and used
// as they lie. Made on any machine, they serve every other.
//
//     socle.packed.version    u32: SC_PACKED_VERSION
//     socle.packed.checksums  u64[n_tensors]: XXH3-64 of each tensor's bytes, in the order of the tensors
//     packed tensors          format number SC_PACKED_FORMAT | the format's own; data aligned to 64 bytes
//
// Other programs refuse the format numbers, which is what they should do.
#ifndef SC_MODELS_PACK_H
#define SC_MODELS_PACK_H

#include "models/prepare.h"

// Writes the prepared model under `path`, or leaves what was there. A packed model is copied, and its checksums are
// verified on the way. Errors: SOCLE_IO, SOCLE_BAD_FILE (a checksum differs), SOCLE_NO_MEMORY.
socle_status sc_model_write_packed(const struct sc_model *model, const char *path, sc_progress *progress, void *context,
                                   socle_error *err);

// Compares every tensor with its checksum. Errors: SOCLE_BAD_FILE names the first that differs, or says that the file
// has no checksums.
socle_status sc_gguf_verify(const struct sc_gguf *gguf, sc_progress *progress, void *context, socle_error *err);

#endif
