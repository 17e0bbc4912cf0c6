// Grammars: what a model's answer may be, compiled to a pushdown automaton over bytes.
//
//   GBNF, regular expression, JSON Schema ──► nodes ──► one DFA per rule ──► struct sc_grammar
//
// A grammar is a set of rules; a rule is a deterministic automaton whose edges are ranges of bytes, calls of other
// rules and single control tokens. Small rules are copied into the rules that use them, so most grammars are a few
// automata and the stack is as deep as the brackets of the text are nested.
//
// Sources may be hostile: sizes, repetitions, nesting and the work of compiling are bounded (grammar_nodes.h), and a
// bound that is passed is SOCLE_UNSUPPORTED with a sentence that names it. Left recursion is refused.
// docs/constraints.md says which parts of the languages there are.
#ifndef SC_TEXT_GRAMMAR_H
#define SC_TEXT_GRAMMAR_H

#include "base/error.h"
#include "base/text.h"

struct sc_grammar; // compiled; immutable, may be used by several threads at once

// GBNF: rules `name ::= …`, the rule `root` is the whole text. `%json {…}` is any JSON text that this schema accepts.
// Errors: SOCLE_BAD_ARGUMENT names line and column; SOCLE_UNSUPPORTED; SOCLE_NO_MEMORY.
socle_status sc_grammar_from_gbnf(struct sc_text source, struct sc_grammar **out, socle_error *err);

// A regular expression that the whole text must match. Errors: as above, with the offset.
socle_status sc_grammar_from_regex(struct sc_text source, struct sc_grammar **out, socle_error *err);

// JSON texts that are valid under a schema (2020-12): a keyword is enforced or refused, and SOCLE_UNSUPPORTED then
// names its JSON pointer. SOCLE_BAD_ARGUMENT: not JSON, or not a schema.
socle_status sc_grammar_from_json_schema(struct sc_text source, struct sc_grammar **out, socle_error *err);

// Any JSON text, or any JSON object.
socle_status sc_grammar_json(bool only_objects, struct sc_grammar **out, socle_error *err);

void sc_grammar_free(struct sc_grammar *grammar); // NULL is fine

#endif
