// Quantizing a model file: from one in F32, F16 or BF16 to a smaller one.
//
//     GGUF file ──► plan: a format for each tensor ──► encode, rows over threads ──► GGUF writer
//
// quantize_types.c says which tensor gets which format (docs/quantization.md has it in words), quantize.c does it.
#ifndef SC_ENGINE_QUANTIZE_H
#define SC_ENGINE_QUANTIZE_H

#include "engine/imatrix.h"
#include "formats/gguf.h"

// What a person asks for: one format for all matrices, or a mix.
struct sc_quantize_type {
    const char *name, *summary;
    const char *format;
    uint32_t file_type; // general.file_type, as llama.cpp numbers them
    enum { SC_MIX_NONE, SC_MIX_SMALL, SC_MIX_MEDIUM } mix;
};

const struct sc_quantize_type *sc_quantize_type_at(size_t i); // NULL past the last
// By name, in any case. SOCLE_BAD_ARGUMENT lists what there is, SOCLE_UNSUPPORTED says what can only be read.
socle_status sc_quantize_type_find(const char *name, const struct sc_quantize_type **out, socle_error *err);

struct sc_quantize_entry {
    const struct sc_tensor *tensor;          // of the source
    const struct sc_format *wanted, *format; // `format` differs where rows do not fit into blocks of `wanted`
    bool kept;                               // copied as it is
    const float *importance;                 // [matrices][k] or NULL
    double squares, errors;                  // sums over the tensor: of weights, and of their errors
};

// The plan of a model, and after sc_quantize_run what came of it.
struct sc_quantization {
    const struct sc_quantize_type *type;
    struct sc_gguf *gguf;       // owned
    struct sc_imatrix *imatrix; // owned; NULL: none
    struct sc_quantize_entry *entries;
    uint64_t n_entries, n_bytes_before, n_bytes_after; // of the files
};

struct sc_quantize_options {
    const char *type;
    const char *const *overrides; // "PATTERN=TYPE", the first that matches a tensor's name wins
    size_t n_overrides;
    const char *imatrix; // a path, or NULL
    uint32_t n_threads;  // 0: all processors
    // Told after each piece; false stops.
    bool (*on_progress)(void *context, const char *tensor, uint64_t done, uint64_t total);
    void *context;
};

// Opens `in` and decides. Errors: those of sc_gguf_open; SOCLE_BAD_ARGUMENT (type, overrides, a source that is
// quantized already); SOCLE_BAD_FILE (an importance matrix of another model).
socle_status sc_quantize_plan(const char *in, const struct sc_quantize_options *options, struct sc_quantization **out,
                              socle_error *err);
// Encodes and writes the whole file under `path`, or leaves what was there. Errors: SOCLE_NOT_FINITE with tensor and
// index; SOCLE_CANCELLED; SOCLE_IO.
socle_status sc_quantize_run(struct sc_quantization *quantization, const char *path,
                             const struct sc_quantize_options *options, socle_error *err);
void sc_quantize_free(struct sc_quantization *quantization); // NULL is fine

#endif
