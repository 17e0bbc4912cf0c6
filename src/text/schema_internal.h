// JSON Schemas (2020-12) on their way to nodes.
//
// What an instance must satisfy is a conjunction: a list of schemas that all hold. $ref and allOf add to the list;
// anyOf, oneOf, if and dependent… make it several lists, of which one must hold; what is left is sorted by type, and
// each type's keywords become the node of its texts:
//
//   list ──► gather ($ref, allOf) ──► split (anyOf, oneOf, if, not, dependent…) ──► enum? values
//                                                                            └────► types ──► object, array, string, …
//
// Sound: every text of the node is valid. What cannot be promised is refused with the keyword's JSON pointer.
#ifndef SC_TEXT_SCHEMA_INTERNAL_H
#define SC_TEXT_SCHEMA_INTERNAL_H

#include <jansson.h>

#include "text/grammar_internal.h"

enum {
    SC_TYPE_NULL = 1,
    SC_TYPE_BOOLEAN = 2,
    SC_TYPE_OBJECT = 4,
    SC_TYPE_ARRAY = 8,
    SC_TYPE_STRING = 16,
    SC_TYPE_INTEGER = 32,
    SC_TYPE_FRACTION = 64, // numbers that are not integers
    SC_TYPE_ALL = 127,
};

// Keywords that were dealt with already.
enum {
    SC_DONE_ANY_OF = 1,
    SC_DONE_ONE_OF = 2,
    SC_DONE_IF = 4,
    SC_DONE_NOT = 8,
    SC_DONE_DEPENDENT = 16,
};

struct sc_conjunct {
    const json_t *schema; // an object, or false
    const char *pointer;
    unsigned done;
    uint32_t root; // which of the schemas at first this one comes from
    bool blind;    // made by rewriting: what it mentions does not count as evaluated
};

struct sc_conjunction {
    struct sc_conjunct *items; // in the arena
    size_t n, capacity;
};

struct sc_schema_memo {
    const json_t **schemas; // [n], in the arena
    size_t n;
    uint32_t rule;
};

struct sc_schema {
    struct sc_grammar_builder *b;
    const json_t *document;
    const char *where;
    json_t *made;                // schemas made by rewriting, kept alive
    struct sc_schema_memo *memo; // in the arena
    size_t n_memo, memo_capacity;
    unsigned depth;
    size_t n_compiled;
};

enum { SC_SCHEMA_DEPTH_MAX = 200, SC_SCHEMA_COMPILED_MAX = 20000 };

// ---- schema.c

// Fails with the pointer of a keyword (NULL: of the schema itself). Returns NULL.
__attribute__((format(printf, 5, 6))) void *sc_schema_fail(struct sc_schema *s, socle_status status,
                                                           const char *pointer, const char *keyword, const char *format,
                                                           ...);
// The pointer of a member or element, in the arena.
const char *sc_schema_at(struct sc_schema *s, const char *pointer, const char *key);
const char *sc_schema_at_index(struct sc_schema *s, const char *pointer, const char *key, size_t index);
void sc_conjunction_add(struct sc_schema *s, struct sc_conjunction *list, struct sc_conjunct conjunct);
// Adds the schemas that `conjunct` brings by $ref and allOf, too. Anything else stays for later.
void sc_schema_gather(struct sc_schema *s, struct sc_conjunction *list);
// The node of what satisfies all of them; they count as roots.
struct sc_node *sc_schema_compile(struct sc_schema *s, const struct sc_conjunction *all);
// A number of things, as in minLength. False: the keyword is absent, or failed.
bool sc_schema_count(struct sc_schema *s, const struct sc_conjunct *c, const char *keyword, uint32_t *count);
// Does the schema of a node match nothing? (As far as its construction shows.)
bool sc_node_is_nothing(const struct sc_node *node);
// The schema at a $ref; NULL after a failure.
const json_t *sc_schema_resolve(struct sc_schema *s, const char *reference, const char *from, const char **pointer);
// Keeps a schema made by rewriting alive; takes over the reference.
const json_t *sc_schema_keep(struct sc_schema *s, json_t *made);
// The types of "type"; 0 after a failure.
unsigned sc_schema_types(struct sc_schema *s, const json_t *types, const char *pointer);
unsigned sc_json_type_of(const json_t *value); // one bit
bool sc_schema_is_annotation(const char *keyword);

// ---- schema_drafts.c

// Puts what a document says in keywords of older drafts in those of 2020-12. It may be written to.
void sc_schema_update(json_t *document);

// ---- schema_check.c

enum sc_verdict { SC_NO, SC_YES, SC_UNKNOWN };
// Is a value valid under a schema, as far as this can tell?
enum sc_verdict sc_schema_check(struct sc_schema *s, const json_t *schema, const char *pointer, const json_t *value,
                                unsigned depth);
// Equality as JSON Schema has it: 1 and 1.0 are equal.
bool sc_json_equal(const json_t *x, const json_t *y);

// ---- schema_logic.c

// Is a "not" simple enough to stay as it is: one keyword of type, const, enum, pattern?
bool sc_schema_not_is_simple(const json_t *negated);
// A schema equivalent to {"not": negated}, with "not" only in its simple form; NULL after a failure.
const json_t *sc_schema_negate(struct sc_schema *s, const json_t *negated, const char *pointer);
// Can no value satisfy both?
bool sc_schema_are_disjoint(struct sc_schema *s, const struct sc_conjunct *x, const struct sc_conjunct *y,
                            unsigned depth);
// {"anyOf": […]} that says the same as the dependentRequired or dependentSchemas of a schema for one key.
const json_t *sc_schema_dependent(struct sc_schema *s, const char *key, const json_t *needed);

// ---- one file for each kind of value

struct sc_node *sc_schema_values(struct sc_schema *s, const struct sc_conjunction *all, bool *is_enumerated);
struct sc_node *sc_schema_literal(struct sc_schema *s, const json_t *value);
// The values that enums and consts leave, a new array; NULL: there is no enum or const, or a failure.
json_t *sc_schema_enumerate(struct sc_schema *s, const struct sc_conjunction *all);
struct sc_node *sc_schema_string(struct sc_schema *s, const struct sc_conjunction *all);
// The set of strings that satisfy all; *is_any (then NULL): every string.
const struct sc_dfa *sc_schema_string_set(struct sc_schema *s, const struct sc_conjunction *all, bool *is_any);
const struct sc_dfa *sc_schema_pattern(struct sc_schema *s, const char *pattern, size_t n, const char *pointer);
// The strings of a format; NULL when it says nothing, or after a failure.
const struct sc_dfa *sc_schema_format(struct sc_schema *s, const char *name);
const struct sc_dfa *sc_schema_any_string(struct sc_schema *s);
const struct sc_dfa *sc_schema_text_set(struct sc_schema *s, const char *text, size_t n);
// types: SC_TYPE_INTEGER, SC_TYPE_FRACTION or both.
struct sc_node *sc_schema_number(struct sc_schema *s, const struct sc_conjunction *all, unsigned types);
struct sc_node *sc_schema_object(struct sc_schema *s, const struct sc_conjunction *all);
struct sc_node *sc_schema_array(struct sc_schema *s, const struct sc_conjunction *all);
// Items in this order, the needed ones always, then any number of `more` (may be NULL); at least min of all, of which
// `more` counts once when more_counts_once, and at most max. Brackets are not part of it.
struct sc_node *sc_schema_counted_list(struct sc_schema *s, struct sc_node *const *items, const bool *needed, size_t n,
                                       struct sc_node *more, bool more_counts_once, uint32_t min, uint32_t max);

#endif
