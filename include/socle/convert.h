// Converting models from the folders in which they are published, and back; adapters as well.
#ifndef SOCLE_CONVERT_H
#define SOCLE_CONVERT_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

// Zero-initialized options are the defaults.
typedef struct socle_convert_options {
    bool without_text; // leave the tokenizer and chat template out
    const char *base;  // what is converted is an adapter for the model of this GGUF file; NULL: it is a model
    // Told after each tensor, with bytes done and in all; false stops. May be NULL.
    bool (*on_progress)(void *context, const char *tensor, uint64_t done, uint64_t total);
    void *context;
} socle_convert_options;

typedef struct socle_convert_result {
    char family[32]; // as GGUF calls it
    char text[120];  // which tokenizer the file has; of an adapter: "rank 8, alpha 16"
    uint64_t n_tensors, n_bytes;
    uint64_t n_left_out; // tensors that are no part of the decoder: vision, layers that predict further tokens; of an
                         // adapter: copies of the model's own weights
} socle_convert_result;

// Makes a GGUF file of a Hugging Face folder: config.json, safetensors (one file or shards with their index),
// tokenizer.json, tokenizer_config.json, chat_template.jinja. The weights keep their type (F32, F16, BF16); `path` is
// written whole, or stays as it was. Reads the files only as far as they are needed at a time. Errors: SOCLE_IO,
// SOCLE_BAD_FILE, SOCLE_UNSUPPORTED (a family, a tokenizer, quantized weights), SOCLE_CANCELLED, SOCLE_NO_MEMORY.
//
// With a base, the folder is an adapter as PyPI's peft keeps it: adapter_config.json and adapter_model.safetensors. Also
// SOCLE_BAD_FILE where it was made for another model, and SOCLE_UNSUPPORTED for what is no plain LoRA on the weights of
// products (DoRA, biases, embeddings, experts), each named.
socle_status socle_convert(const char *folder, const char *path, const socle_convert_options *options,
                           socle_convert_result *out, socle_error *err);

// The way back: the folder is made, with config.json, model.safetensors, tokenizer.json and tokenizer_config.json; none
// of these may be in it. Errors: as above; SOCLE_BAD_ARGUMENT when one is there; SOCLE_UNSUPPORTED also for quantized
// weights, and for what config.json or tokenizer.json cannot say. An adapter's folder, with a base, has the two files
// that peft loads, in F32.
socle_status socle_convert_back(const char *gguf, const char *folder, const socle_convert_options *options,
                                socle_convert_result *out, socle_error *err);

#ifdef __cplusplus
}
#endif
#endif
