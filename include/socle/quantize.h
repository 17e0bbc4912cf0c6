// Making models smaller: quantizing a file, and gathering what its weights are worth on a text.
//
//     socle_quantize("model-f16.gguf", "model-q4.gguf", &options, &result, &err)
//
// The same source, options and importance matrix give the same bytes, whatever the machine and the number of threads.
#ifndef SOCLE_QUANTIZE_H
#define SOCLE_QUANTIZE_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

// The types that a file can be quantized to, one after another; false past the last.
typedef struct socle_quantize_type {
    const char *name, *summary;
} socle_quantize_type;
bool socle_quantize_type_at(size_t i, socle_quantize_type *out);

// Told after each piece of work, in order, on the calling thread: weights done of all. Return false to stop.
typedef bool socle_quantize_callback(void *context, const char *tensor, uint64_t done, uint64_t total);

// Zero-initialize, then set `type`.
typedef struct socle_quantize_options {
    const char *type; // "Q4_K_M", ...; any case
    // "PATTERN=TYPE" for matrices whose names match the pattern (*, ?, [a-z]); the first that matches wins. TYPE is a
    // format that can be made, or "keep" for the source's own. Norms, biases and routers always stay as they are.
    const char *const *overrides;
    size_t n_overrides;
    const char *imatrix;                  // path of an importance matrix; NULL: every weight counts alike
    uint32_t n_threads;                   // 0: every processor this process may use
    socle_quantize_callback *on_progress; // may be NULL
    void *context;
} socle_quantize_options;

// What became of a model. Strings live as long as it does.
typedef struct socle_quantization socle_quantization;

// Reads the GGUF file at `in` (F32, F16 or BF16; the first of several shards stands for all), and writes `out`, whole
// or not at all: after a failure, a name that was taken still holds what it held. *result is freed by
// socle_quantization_free; `result` may be NULL.
// Errors: SOCLE_BAD_ARGUMENT (type, overrides, `out` is `in`, a source that is quantized already), SOCLE_UNSUPPORTED (a
// type that can only be read), SOCLE_NOT_FINITE (with tensor and index), SOCLE_BAD_FILE (also: an importance matrix of
// another model), SOCLE_IO (also: no space left, found before work begins), SOCLE_NO_MEMORY, SOCLE_CANCELLED.
socle_status socle_quantize(const char *in, const char *out, const socle_quantize_options *options,
                            socle_quantization **result, socle_error *err);
void socle_quantization_free(socle_quantization *quantization); // NULL is fine

typedef struct socle_quantization_info {
    const char *type;
    uint64_t n_bytes_before, n_bytes_after; // of the files
    uint64_t n_weights, n_tensors;
    double bits_before, bits_after; // for each weight, of the tensors alone
    double relative_error;          // root of (sum of squared errors / sum of squared weights), of what was encoded
} socle_quantization_info;
void socle_quantization_describe(const socle_quantization *quantization, socle_quantization_info *out);

typedef struct socle_quantized_tensor {
    const char *from, *wanted, *to; // formats; `to` is not `wanted` where rows do not fill blocks of that
    char name[64];
    uint64_t n_weights, n_bytes_before, n_bytes_after;
    bool kept;             // copied as it was
    bool has_importance;   // the importance matrix knew it
    double relative_error; // 0 for what was kept
} socle_quantized_tensor;
// The i-th tensor in the order of the file; false past the last.
bool socle_quantized_tensor_at(const socle_quantization *quantization, size_t i, socle_quantized_tensor *out);

// ---- importance matrices

// What the weights of a model's matrix products are worth: the mean square of the input that each multiplies.
typedef struct socle_imatrix socle_imatrix;

// An empty one. The model must outlive it.
socle_status socle_imatrix_create(const socle_model *model, socle_imatrix **out, socle_error *err);
void socle_imatrix_free(socle_imatrix *imatrix); // NULL is fine
// Rewinds the session, a session of the same model, evaluates the tokens, and adds what the products saw as one chunk.
// Errors: as socle_evaluate; what was gathered by then stays.
socle_status socle_imatrix_gather(socle_imatrix *imatrix, socle_session *session, const int32_t *tokens,
                                  size_t n_tokens, socle_error *err);
// Writes it as GGUF, as llama.cpp's tools write and read it; whole or not at all. `dataset` names the text.
// Errors: SOCLE_BAD_ARGUMENT when nothing was gathered; SOCLE_NOT_FINITE, SOCLE_IO, SOCLE_NO_MEMORY.
socle_status socle_imatrix_write(const socle_imatrix *imatrix, const char *path, const char *dataset, socle_error *err);

#ifdef __cplusplus
}
#endif
#endif
