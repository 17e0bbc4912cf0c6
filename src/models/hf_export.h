// Shared by the files that write Hugging Face's folders.
#ifndef SC_MODELS_HF_EXPORT_H
#define SC_MODELS_HF_EXPORT_H

#include "models/families.h"
#include "models/hf_internal.h"

struct sc_hf_export {
    struct sc_gguf *gguf;
    const char *folder;
    const struct sc_hf_family *family;
    struct sc_hparams h;
    const struct sc_hf_options *options;
    struct sc_hf_result *result;
    struct sc_arena arena;
    socle_status status; // the first failure sticks
    socle_error *err;
    uint64_t n_done; // bytes written
};

// Learns the family and its hyperparameters from the file.
void sc_hf_export_find_out(struct sc_hf_export *x);
// Makes the folder where it is not there, and fails when one of the named files is. Returns whether it was made.
bool sc_hf_export_begin(struct sc_hf_export *x, const char *const *names, size_t n);
// After a failure behind that: removes the files, and the folder if it was made.
void sc_hf_export_undo(const struct sc_hf_export *x, const char *const *names, size_t n, bool folder_is_new);
// Writes a JSON file of the folder; takes `json` over.
void sc_hf_export_json(struct sc_hf_export *x, const char *name, json_t *json);
json_t *sc_hf_export_config(struct sc_hf_export *x); // hf_export_config.c
void sc_hf_export_tensors(struct sc_hf_export *x);   // hf_export_tensors.c
void sc_hf_export_tokenizer(struct sc_hf_export *x); // hf_export_tokenizer.c

#endif
