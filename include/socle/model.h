// Models: loading a file, describing it, and its text side (tokens, chat template).
//
// A model is immutable after loading: any number of threads and sessions may share it. Strings that a model hands out
// live as long as it does.
#ifndef SOCLE_MODEL_H
#define SOCLE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct socle_model socle_model;

// Loads a GGUF file, or the first of several shards. The file is mapped, not copied: it must not shrink meanwhile.
// Errors: SOCLE_IO, SOCLE_BAD_FILE, SOCLE_UNSUPPORTED (the message lists what is), SOCLE_NO_MEMORY.
socle_status socle_model_load(const char *path, socle_model **out, socle_error *err);
// Sessions of the model must be freed first. NULL is fine.
void socle_model_free(socle_model *model);

// Called with the bytes done and in all; from one thread, in order. It must not call functions that take the model.
typedef void socle_progress_callback(void *context, uint64_t done, uint64_t total);
// Packs the weights as the kernels want them, with n_threads threads (0: all processors): what the first session would
// do, here with a report of its progress. Does nothing when it was done, or when the file is packed. May be called from
// any thread. `progress` may be NULL. Errors: SOCLE_NO_MEMORY.
socle_status socle_model_prepare(const socle_model *model, uint32_t n_threads, socle_progress_callback *progress,
                                 void *context, socle_error *err);

// Writes the model with its weights packed to a file that loads at once and serves every machine; or leaves what was
// at `path`. A packed model is copied, its checksums verified on the way. Errors: SOCLE_IO, SOCLE_BAD_FILE,
// SOCLE_NO_MEMORY, SOCLE_BAD_ARGUMENT for a file without weights.
socle_status socle_model_pack(const socle_model *model, const char *path, uint32_t n_threads,
                              socle_progress_callback *progress, void *context, socle_error *err);
// Compares every tensor of a packed file with its checksum. Errors: SOCLE_BAD_FILE names the first damaged tensor, or
// says that the file has no checksums; those of opening it.
socle_status socle_verify(const char *path, socle_progress_callback *progress, void *context, socle_error *err);

typedef struct socle_model_info {
    const char *family;    // "llama", "qwen3", ...
    const char *name;      // general.name, or the file's name
    const char *tokenizer; // kind of tokenizer, or "none" for a model without text
    const char *weights;   // the format of most weights: "Q4_K", "F16", ...
    bool has_text;         // it can tokenize
    bool has_template;     // it carries a chat template
    uint32_t n_vocab, n_context, n_embd, n_layer;
    uint64_t n_parameters, n_file_bytes;
    int32_t bos, eos; // token ids, -1 for none
} socle_model_info;

void socle_model_describe(const socle_model *model, socle_model_info *out);

// A model with low-rank adapters (GGUF files that 'socle finetune', 'socle convert' and llama.cpp write), to be taken or
// not by each session and request. Its weights stay as they are: what takes nothing of them gives the bits of the model
// alone. Errors: SOCLE_BAD_FILE, also where an adapter was made for another model.
typedef struct socle_adapter {
    const char *path;
    float scale; // how much of it is taken where nothing else is said
} socle_adapter;
socle_status socle_model_load_adapted(const char *path, const socle_adapter *adapters, size_t n_adapters,
                                      socle_model **out, socle_error *err);
size_t socle_model_n_adapters(const socle_model *model);
// The i-th adapter's name (its file's, without the folder and ".gguf") and its scale; NULL past the last.
const char *socle_model_adapter(const socle_model *model, size_t i, float *scale);

// Everything in a file as one JSON document: metadata, tensors, and for a supported model the program that would run
// and the memory it would take. `n_context` 0: the default. Works on files that are not models (vocabularies), too.
// *json is freed by socle_free.
socle_status socle_inspect(const char *path, uint32_t n_context, char **json, socle_error *err);

// The families that this build supports, one after another; NULL past the last.
const char *socle_family_name(size_t i);
const char *socle_family_example(size_t i);

// ---- tokens

enum {
    SOCLE_ADD_SPECIAL = 1,   // add the beginning (and end) tokens that the model wants
    SOCLE_PARSE_SPECIAL = 2, // special tokens written out in the text become those tokens
};

// Text (any bytes) to token ids: *ids has *n_ids, freed by socle_free.
// Errors: SOCLE_UNSUPPORTED for a model without text, SOCLE_NO_MEMORY.
socle_status socle_tokenize(const socle_model *model, const char *text, size_t n_bytes, unsigned flags, int32_t **ids,
                            size_t *n_ids, socle_error *err);
// Token ids to text (with `show_special`, control tokens, too): *text is NUL-terminated, freed by socle_free.
// Errors: SOCLE_BAD_ARGUMENT for an id outside the vocabulary, SOCLE_UNSUPPORTED, SOCLE_NO_MEMORY.
socle_status socle_detokenize(const socle_model *model, const int32_t *ids, size_t n_ids, bool show_special,
                              char **text, size_t *n_bytes, socle_error *err);
// The bytes that a token adds to a text (perhaps a part of a character); a special token's own text. They live as long as
// the model; *n_bytes is 0 for an id outside the vocabulary.
const char *socle_token_bytes(const socle_model *model, int32_t id, size_t *n_bytes);
// Whether the model ends an answer with this token.
bool socle_token_is_end(const socle_model *model, int32_t id);

// ---- chat templates

// Renders a Jinja chat template: `inputs_json` is an object with "messages", "add_generation_prompt", "tools", ...
// `now` pins the clock ("2026-01-15T12:00:00"); NULL: SOCLE_NOW from the environment, or the real time.
// *text is freed by socle_free. Errors: SOCLE_BAD_TEMPLATE (also: too many steps, too deep, too long),
// SOCLE_BAD_ARGUMENT.
socle_status socle_template_render(const char *source, size_t n_bytes, const char *inputs_json, const char *now,
                                   char **text, size_t *n_text, socle_error *err);
// The same with the model's own template; bos_token and eos_token come from its vocabulary unless inputs name them.
// A model without a template is SOCLE_UNSUPPORTED.
socle_status socle_model_render(const socle_model *model, const char *inputs_json, const char *now, char **text,
                                size_t *n_text, socle_error *err);
// The tokens of a conversation for the model to go on from: rendered as above, and special tokens come from the
// template alone. Text of the inputs that reads like one ("<|im_end|>" in a message, a name, a tool) stays text, so
// nobody forges a turn. bos_token and its like are always the vocabulary's. A BOS that the model expects is added
// unless the template writes it. *ids has *n_ids, *text (may be NULL: not wanted) is what was rendered, NUL-terminated;
// both are freed by socle_free. Any number of threads may call it. Errors: those of socle_model_render and
// socle_tokenize.
socle_status socle_chat_encode(const socle_model *model, const char *inputs_json, const char *now, int32_t **ids,
                               size_t *n_ids, char **text, socle_error *err);

// How the model writes calls of tools, as its template shows it: "hermes", "mistral", "harmony", ... NULL: it knows
// none, or none that is known here.
const char *socle_model_answer_syntax(const socle_model *model);

// Frees what these functions handed over. NULL is fine.
void socle_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
