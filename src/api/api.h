// The opaque handles of the public API, and what its files share. Every exported function is declared in
// include/socle/ and marked SC_EXPORT where it is defined; src/api/socle.map lists them all.
#ifndef SC_API_API_H
#define SC_API_API_H

#include <pthread.h>
#include <stdatomic.h>

#include <socle/socle.h>

#include "base/export.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "text/template.h"
#include "text/token_index.h"
#include "text/tokenizer.h"

// The token index of a model, made when a constraint first needs it.
struct sc_api_index {
    pthread_mutex_t lock;
    struct sc_token_index *index; // NULL: not made yet
};
struct sc_api_index *sc_api_index_create(void); // NULL: no memory
void sc_api_index_free(struct sc_api_index *shared);

struct socle_model {
    struct sc_gguf *gguf;           // owned by `model` when that is not NULL
    struct sc_model *model;         // NULL for a vocabulary without weights
    struct sc_tokenizer *tokenizer; // NULL when its kind is not supported: see text_error
    socle_error text_error;
    struct sc_template *template;          // NULL: none, or see template_error
    const struct sc_answer_syntax *syntax; // of tool calls, as the template teaches it; NULL: none
    socle_error template_error;            // status SOCLE_OK: there simply is none
    char *name, *weights;
    uint64_t n_parameters;
    struct sc_adapter_set *adapters; // NULL: none
    char **adapter_names;            // [n_adapters]
    float *adapter_scales;           // [n_adapters] where nothing else is said
    size_t n_adapters;
    struct sc_api_index *index;
};

struct socle_constraint {
    const socle_model *model;
    struct sc_grammar *grammar;
    struct sc_token_masks *masks;
};

struct socle_session {
    const socle_model *model;
    struct sc_session *engine;
    int32_t *tokens; // [n_context] what is in the session
    float *logits;   // [n_vocab] after the last token, while has_logits
    bool has_logits;
    struct sc_sampler sampler;
    float *adapters; // [n_adapters] what is taken of each, NULL: nothing
    uint64_t variant;
    atomic_bool cancel;
    struct sc_api_profile *profile; // NULL: not profiled
};

void sc_api_profile_free(struct sc_api_profile *profile); // NULL is fine

enum sc_cache_format sc_api_cache_format(socle_cache cache);

// The metadata string at `key` as a C string to be freed, or NULL.
char *sc_api_text(const struct sc_gguf *gguf, const char *key);

// Evaluates and keeps `tokens` and the last logits up to date. sink may be NULL.
socle_status sc_api_evaluate(socle_session *session, const struct sc_evaluation *what, socle_error *err);

#endif
