// Constraints: a grammar, its token masks, and the token index that all constraints of a model share.
#include "api/api.h"

#include <stdlib.h>

#include "text/matcher.h"

struct sc_api_index *sc_api_index_create(void)
{
    struct sc_api_index *shared = calloc(1, sizeof *shared);
    if (shared) pthread_mutex_init(&shared->lock, NULL);
    return shared;
}

void sc_api_index_free(struct sc_api_index *shared)
{
    if (!shared) return;
    sc_token_index_free(shared->index);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

// The model's index, which the first constraint makes.
static socle_status find_index(const socle_model *model, const struct sc_token_index **out, socle_error *err)
{
    if (!model->tokenizer) {
        if (err) *err = model->text_error;
        return model->text_error.status;
    }
    struct sc_api_index *shared = model->index;
    pthread_mutex_lock(&shared->lock);
    socle_status status = SOCLE_OK;
    if (!shared->index) status = sc_token_index_create(model->tokenizer, &shared->index, err);
    *out = shared->index;
    pthread_mutex_unlock(&shared->lock);
    return status;
}

static socle_status compile(socle_constraint_kind kind, struct sc_text source, struct sc_grammar **out,
                            socle_error *err)
{
    switch (kind) {
    case SOCLE_CONSTRAINT_JSON: return sc_grammar_json(false, out, err);
    case SOCLE_CONSTRAINT_JSON_OBJECT: return sc_grammar_json(true, out, err);
    case SOCLE_CONSTRAINT_SCHEMA: return sc_grammar_from_json_schema(source, out, err);
    case SOCLE_CONSTRAINT_REGEX: return sc_grammar_from_regex(source, out, err);
    case SOCLE_CONSTRAINT_GRAMMAR: return sc_grammar_from_gbnf(source, out, err);
    }
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "a constraint of kind %d: there is none", (int)kind);
}

SC_EXPORT socle_status socle_constraint_create(const socle_model *model, socle_constraint_kind kind, const char *source,
                                               size_t n_bytes, socle_constraint **out, socle_error *err)
{
    const struct sc_token_index *index = NULL;
    socle_constraint *c = calloc(1, sizeof *c);
    if (!c) return sc_fail_memory(err, sizeof *c, "a constraint");
    c->model = model;
    struct sc_text text = { source ? source : "", source ? n_bytes : 0 };
    socle_status status = find_index(model, &index, err);
    if (status == SOCLE_OK) status = compile(kind, text, &c->grammar, err);
    if (status == SOCLE_OK) status = sc_token_masks_create(c->grammar, index, &c->masks, err);
    if (status == SOCLE_OK) *out = c;
    else socle_constraint_free(c);
    return status;
}

SC_EXPORT void socle_constraint_free(socle_constraint *c)
{
    if (!c) return;
    sc_token_masks_free(c->masks);
    sc_grammar_free(c->grammar);
    free(c);
}
