// Reads a model's answer while it streams: reasoning, text, and calls of tools.
//
//   "<think>Rome?</think>Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>"
//
//   REASONING "Rome?"   TEXT "Let me see."   CALL_BEGIN 0 "weather"   ARGUMENTS {"city": "Rome"}   CALL_END 0
//
// How calls are written differs between models: each way is a syntax (answer_syntaxes.h lists them), recognized by the
// marks in the source of the model's chat template. The marks of reasoning are read with every syntax, and without one.
//
// The text may come in any cuts: what is handed out, put together, is the same. What may yet become a mark is held
// back.
//
// Nothing is lost. A call begins when its head (the mark, the name, the beginning of the arguments) has been read; what
// is no head is text, mark included. Arguments are JSON while they stream, whatever the model's way of writing them; a
// call whose arguments break or stop ends there, not complete, and the rest is text. What is dropped: marks, and white
// space around calls and at the beginning of text and reasoning.
#ifndef SC_TEXT_ANSWER_H
#define SC_TEXT_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "text/json_scan.h"

// ---- syntaxes

struct sc_answer_syntax;

// The syntax that a chat template's source teaches, or NULL when it knows no calls.
const struct sc_answer_syntax *sc_answer_syntax_of_template(struct sc_text source);
const struct sc_answer_syntax *sc_answer_syntax_find(const char *name); // NULL: no such syntax
const struct sc_answer_syntax *sc_answer_syntax_at(size_t i);           // NULL past the last
const char *sc_answer_syntax_name(const struct sc_answer_syntax *syntax);

// ---- events

enum sc_answer_kind {
    SC_ANSWER_REASONING,  // text: more of it, never empty
    SC_ANSWER_TEXT,       // text: more of it, never empty
    SC_ANSWER_CALL_BEGIN, // text: the tool's name
    SC_ANSWER_ARGUMENTS,  // text: more of the call's arguments, the JSON text of an object
    SC_ANSWER_CALL_END,   // complete: the arguments are a whole JSON object
};

struct sc_answer_event {
    enum sc_answer_kind kind;
    const char *text; // not NUL-terminated; whole characters where whole characters were pushed
    size_t n_bytes;
    uint32_t call; // which call, from 0; calls do not overlap
    bool complete;
};

typedef void sc_answer_sink(void *context, const struct sc_answer_event *event);

// ---- the parser

struct sc_answer_pair;

// One answer. To be begun, pushed to, ended; its members are for text/answer*.c alone.
struct sc_answer {
    const struct sc_answer_syntax *syntax;
    json_t *tools;            // owned; NULL: not known
    const json_t *parameters; // the schema of the tool that is called, in `tools`, or NULL
    sc_answer_sink *sink;     // while a call lasts
    void *context;
    struct sc_buffer held; // pushed and not yet taken: from n_taken on
    size_t n_taken;
    bool reads_calls;
    bool finished; // no more will come
    bool failed;   // memory ran out
    uint8_t phase;
    const struct sc_answer_pair *open; // the reasoning that is open, or NULL
    bool at_start;                     // of text or reasoning: white space is dropped there
    bool fresh;                        // no text was seen yet: a call without a mark may begin
    bool in_list;                      // calls stand in a JSON list
    uint32_t n_calls;
    size_t n_space, n_mark; // of the head that is read: white space before it, and its mark
    size_t n_searched;      // of the head, for its end
    struct sc_buffer name;  // of the call
    struct sc_buffer value; // of an argument that cannot stream, or all arguments
    struct sc_buffer out;   // scratch for events
    struct sc_json_scan scan;
    uint8_t value_type;
    bool in_object, has_arguments, at_value_start;
};

// `syntax` NULL: no calls. `prompt` is what the model goes on from: some templates open the reasoning themselves.
// `tools` (may be NULL: not known) as in a request, [{"type": "function", "function": {"name", "parameters"}}]: values
// without a type of their own get that of their schema, and JSON without a mark is a call only if it names a tool. An
// empty array: there are none, so what looks like a call is text.
void sc_answer_begin(struct sc_answer *answer, const struct sc_answer_syntax *syntax, struct sc_text prompt,
                     const json_t *tools);
// The mark that ends the reasoning which the prompt opened, or NULL. To be asked before anything is pushed.
const char *sc_answer_reasoning_end(const struct sc_answer *answer);
// The sink must not call back.
void sc_answer_push(struct sc_answer *answer, const char *text, size_t n_bytes, sc_answer_sink *sink, void *context);
// Is the reasoning open? A trigger (below) that stands in it means nothing.
bool sc_answer_is_reasoning(const struct sc_answer *answer);
// Hands out what was held back, and frees. Returns false when memory ran out and something is missing.
bool sc_answer_end(struct sc_answer *answer, sc_answer_sink *sink, void *context);

// ---- what a model may write: grammars for calls

enum sc_answer_choice {
    SC_ANSWER_AUTO,     // text, or calls: the grammar holds behind the trigger
    SC_ANSWER_REQUIRED, // calls of any tool, from the answer's beginning
};

struct sc_answer_grammar_options {
    const json_t *tools; // not empty
    enum sc_answer_choice choice;
    const char *name;      // only this tool may be called; NULL: any
    bool parallel;         // several calls may follow each other
    struct sc_text prompt; // what the model goes on from: reasoning that it opens may be ended before the calls
};

// Appends a GBNF grammar of the calls to `out`; its root is "root", and it uses the terminal `%json {schema}`.
// *trigger is for SC_ANSWER_AUTO the text behind which the grammar holds, NULL for SC_ANSWER_REQUIRED.
// Errors: SOCLE_UNSUPPORTED (the syntax is read but not written), SOCLE_BAD_ARGUMENT (no tool, or none of that name; a
// tool without a name), SOCLE_NO_MEMORY.
socle_status sc_answer_grammar(const struct sc_answer_syntax *syntax, const struct sc_answer_grammar_options *options,
                               struct sc_buffer *out, const char **trigger, socle_error *err);

#endif
