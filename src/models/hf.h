// Models as Hugging Face keeps them, a folder with config.json, tokenizer.json and weights as safetensors, made into
// one GGUF file: the same numbers under GGUF's names, in the order that its families expect.
//
//     config.json ──► hf_config.c ──► metadata ─┐
//     *.safetensors ──► hf_names.c ──► tensors ─┼──► GGUF writer
//     tokenizer*.json ──► hf_tokenizer.c ──► ───┘
//
// To add a family: a row in hf_families.c, and the names of its tensors where they are new.
#ifndef SC_MODELS_HF_H
#define SC_MODELS_HF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sc_hf_options {
    bool without_text; // leave the tokenizer out
    const char *base;  // what is converted is an adapter (hf_adapter.h) for the model of this GGUF file; NULL: a model
    // Told after each tensor; false stops. NULL: nobody is.
    bool (*on_progress)(void *context, const char *tensor, uint64_t done, uint64_t total); // bytes
    void *context;
};

struct sc_hf_result {
    const char *family;          // GGUF's name of it
    uint64_t n_tensors, n_bytes; // that were written
    uint64_t n_left_out;         // tensors that are no part of the decoder (vision, further predicted tokens)
    char text[120];              // which tokenizer was made, or why none; of an adapter: its rank and alpha
};

// Writes `path` whole, or leaves what was there. Errors: SOCLE_IO; SOCLE_BAD_FILE (what contradicts itself, with file
// and key or tensor); SOCLE_UNSUPPORTED (family, weights' type, tokenizer: the message says what is known);
// SOCLE_CANCELLED.
socle_status sc_hf_convert(const char *folder, const char *path, const struct sc_hf_options *options,
                           struct sc_hf_result *out, socle_error *err);

// The way back: the GGUF file as a folder with config.json, model.safetensors, tokenizer.json and
// tokenizer_config.json. The folder is made; none of these files may be in it. Errors: as above; SOCLE_BAD_ARGUMENT
// when one is there; SOCLE_UNSUPPORTED for quantized weights, and for what config.json cannot say.
socle_status sc_hf_write(const char *gguf, const char *folder, const struct sc_hf_options *options,
                         struct sc_hf_result *out, socle_error *err);

#endif
