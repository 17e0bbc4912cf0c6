// What the halves of the safetensors reader and the writer share: safetensors_parse.c reads one file, safetensors.c
// joins those of an index and answers look-ups.
#ifndef SC_FORMATS_SAFETENSORS_INTERNAL_H
#define SC_FORMATS_SAFETENSORS_INTERNAL_H

#include <jansson.h>

#include "base/arena.h"
#include "base/file.h"
#include "formats/safetensors.h"

// The format's own bound, for the index, too.
enum { SC_SAFETENSORS_HEADER_BYTES_MAX = 100 * 1000 * 1000 };

#define SC_SAFETENSORS_METADATA_KEY "__metadata__"

struct sc_safetensors_entry {
    struct sc_safetensors_tensor tensor;
    const struct sc_safetensors_file *file;
};

// One file, parsed. All memory is in the reader's arena or in the mapping.
struct sc_safetensors_file {
    const char *path;
    const char *name; // the path's last part
    const uint8_t *bytes;
    uint64_t n_bytes;
    uint64_t n_entries;
    struct sc_safetensors_entry *entries;
};

// Fills n_entries and entries of a file whose other members are set.
socle_status sc_safetensors_parse(struct sc_safetensors_file *file, struct sc_arena *arena, socle_error *err);

// Reads a JSON object without duplicate keys. `what` says what it is, for messages. The caller releases *out.
socle_status sc_safetensors_load_json(const char *path, const char *what, const void *bytes, size_t n_bytes,
                                      json_t **out, socle_error *err);

// Bytes of a tensor with this type and shape. False when the product of its dimensions other than 0 and of the
// element's size overflows, so that no product of some of them does.
bool sc_safetensors_size(enum sc_safetensors_type type, uint32_t n_dims, const uint64_t *shape, uint64_t *n_bytes);

#endif
