// Output held to a form: JSON, a JSON Schema, a regular expression or a grammar, enforced while tokens are drawn.
//
//     socle_constraint *constraint;
//     socle_constraint_create(model, SOCLE_CONSTRAINT_SCHEMA, schema, strlen(schema), &constraint, &err)
//     generation.constraint = constraint;
//
// A constraint belongs to the model whose vocabulary it was made for, and any number of threads and sessions may use
// one at once. It never lets a token through that no text of the form can go on with, and lets the answer end exactly
// where the text is whole; an answer that is cut off (n_predict, a full context, a stop string) is the beginning of
// such a text. What of each notation is known: docs/constraints.md.
#ifndef SOCLE_CONSTRAINT_H
#define SOCLE_CONSTRAINT_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct socle_constraint socle_constraint;

typedef enum socle_constraint_kind {
    SOCLE_CONSTRAINT_JSON,        // any JSON text; no source
    SOCLE_CONSTRAINT_JSON_OBJECT, // any JSON object; no source
    SOCLE_CONSTRAINT_SCHEMA,      // JSON that is valid under the JSON Schema in the source
    SOCLE_CONSTRAINT_REGEX,       // texts that match the regular expression, from beginning to end
    SOCLE_CONSTRAINT_GRAMMAR,     // texts of the rule `root` of the GBNF grammar
} socle_constraint_kind;

// `source` need not outlive the call and may be NULL where there is none; `model` must outlive the constraint.
// Errors: SOCLE_BAD_ARGUMENT (not of the notation; the message says where); SOCLE_UNSUPPORTED (what cannot be enforced:
// a schema's keyword is named by its JSON pointer; a bound on sizes; a model without a vocabulary of texts);
// SOCLE_NO_MEMORY.
socle_status socle_constraint_create(const socle_model *model, socle_constraint_kind kind, const char *source,
                                     size_t n_bytes, socle_constraint **out, socle_error *err);
void socle_constraint_free(socle_constraint *constraint); // NULL is fine

#ifdef __cplusplus
}
#endif
#endif
