// What a syntax of tool calls is, and what its files read with. A syntax is one file with one `const` descriptor:
//
//   <tool_call> {"name": "weather", "arguments": {"city": "Rome"}, …} </tool_call>
//   └ begins ─┘                                  └ arguments ────┘    └ fillers ─┘
//   └ head ─────────────────────────────────────┘                └ tail ┘
//
// The head is a function over the text from the mark on. It is asked again whenever more text has come, and must judge
// a longer text as it judged the shorter one, unless that was SC_READ_MORE. The arguments are JSON text, or tags.
#ifndef SC_TEXT_ANSWER_SYNTAX_H
#define SC_TEXT_ANSWER_SYNTAX_H

#include "text/answer.h"

// Longer heads are text; the second where a head is a whole call, up to its head_end.
enum { SC_ANSWER_HEAD_BYTES_MAX = 16384, SC_ANSWER_CALL_BYTES_MAX = 1 << 20 };

// open starts reasoning and close ends it; a mark without close is merely dropped.
struct sc_answer_pair {
    const char *open, *close;
};

// ---- reading

enum sc_read {
    SC_READ_OK,
    SC_READ_MORE,   // it depends on what follows
    SC_READ_BROKEN, // no such thing stands here
};

// A place in a text. Once a read did not succeed, the rest does nothing, so that one check at the end is enough.
struct sc_reader {
    struct sc_text text;
    size_t at;
    enum sc_read state;
};

void sc_reader_spaces(struct sc_reader *reader);
void sc_reader_expect(struct sc_reader *reader, const char *text);
bool sc_reader_optional(struct sc_reader *reader, const char *text);
// Reads a tool's name, which ends before one of `ends` (NULL-terminated); returns which one, and stands before it.
size_t sc_reader_name(struct sc_reader *reader, const char *const *ends, struct sc_text *name);
// White space, and a JSON object begins: stands before it.
void sc_reader_object(struct sc_reader *reader);

// Does `mark` stand at text[at..]? SC_READ_MORE: the text ends within it.
enum sc_read sc_text_has_mark(struct sc_text text, size_t at, const char *mark);

struct sc_answer_head {
    struct sc_text name; // in the text read
    bool whole;          // name and arguments were read, and are in answer->name and answer->value
    bool in_object;      // the arguments stand in an object that goes on behind them
};

// The call `{"name": …, "arguments": {…}}` in its usual spellings, or a list of them. `bare`: no mark says that it is
// one, so nothing else may be in it.
void sc_answer_read_object(struct sc_answer *answer, struct sc_reader *reader, bool bare, struct sc_answer_head *head);

// ---- descriptors

enum { SC_VALUE_ANY, SC_VALUE_STRING, SC_VALUE_JSON };

// Arguments as tags: <parameter=city>␤Rome␤</parameter>
struct sc_answer_tags {
    const char *open; // "<parameter="
    struct {
        const char *text; // between key and value: ">"
        uint8_t type;     // what it says of the value
    } middles[4];
    const char *value_end;
    const char *call_end;
    bool newlines;    // one newline is put before and behind each value
    const char *line; // what a grammar puts behind value_end
    bool python;      // True and False are written, too
};

// In what a grammar writes: a newline may stand here.
#define SC_MAYBE_LINE "\r"

// How a grammar writes calls:  opens (call NAME arguments ARGS ends) (between …)* closes
struct sc_answer_written {
    const char *trigger; // in opens and call, of which the text behind it is still to come then
    const char *opens, *call, *arguments, *ends;
    const char *between, *closes;                           // between NULL: there is one call only
    const char *before_name, *after_name, *after_arguments; // pieces of GBNF; NULL: nothing
    // Around reasoning that may come first, and behind it; NULL: only what the prompt opened.
    const char *thinks, *thought, *thought_then;
    bool in_json; // the name is inside a JSON string
    // Where arguments are neither JSON nor tags: the body of a tool's rule for them, and the rules that it uses.
    void (*write_arguments)(struct sc_buffer *out, const json_t *parameters);
    void (*write_rules)(struct sc_buffer *out);
};

struct sc_answer_syntax {
    const char *name;
    const char *template_has[3]; // texts in a template's source that tell this syntax
    const char *template_lacks;  // and one that must not be there; NULL: none
    const char *begins[8];       // marks with which calls begin
    const char *starts[3];       // as begins, but only where an answer starts, and part of what the head reads
    const char *fillers[8];      // stand between and behind calls
    struct sc_answer_pair reasoning[5];
    bool objects_follow; // the next call may be a JSON object without a mark
    // Reads the head of a call from its mark, which has n_mark bytes (0 for one of `starts`).
    void (*head)(struct sc_answer *answer, struct sc_reader *reader, size_t n_mark, struct sc_answer_head *head);
    const char *head_end; // the head is a whole call, not to be read before this mark has come; NULL: it is not
    const struct sc_answer_tags *tags; // NULL: the arguments are JSON text
    struct sc_answer_written written;  // call NULL: it is not written
};

// ---- shared by text/answer*.c

enum sc_answer_phase {
    SC_PHASE_TEXT,       // text or reasoning
    SC_PHASE_HEAD,       // a mark was found
    SC_PHASE_JSON,       // arguments as JSON
    SC_PHASE_TAIL,       // the rest of the object that they are in
    SC_PHASE_PARAMETERS, // between tags
    SC_PHASE_VALUE,      // in a tag
    SC_PHASE_AFTER,      // behind a call
};

static inline struct sc_text sc_answer_left(const struct sc_answer *a)
{
    return (struct sc_text){ a->held.data + a->n_taken, a->held.n_bytes - a->n_taken };
}

void sc_answer_emit(struct sc_answer *answer, enum sc_answer_kind kind, const char *text, size_t n_bytes);
void sc_answer_end_call(struct sc_answer *answer, bool complete);
// Gives the next n bytes that are left out as text or reasoning.
void sc_answer_show(struct sc_answer *answer, size_t n);

// The steps of the phases that deal with arguments. Each returns false when it needs more text.
void sc_answer_begin_arguments(struct sc_answer *answer, bool whole);
bool sc_answer_step_json(struct sc_answer *answer);
bool sc_answer_step_tail(struct sc_answer *answer);
bool sc_answer_step_parameters(struct sc_answer *answer);
bool sc_answer_step_value(struct sc_answer *answer);

// Appends a value whose whole text is known: as the JSON it is, where its type (SC_VALUE_…) allows that, else a string.
void sc_answer_write_value(struct sc_buffer *out, struct sc_text text, uint8_t type);

// Schemas. The tool with this name in a request's tools, its parameters (NULL: none), and SC_VALUE_… of a schema.
const json_t *sc_answer_tool_named(const json_t *tools, const char *name);
const json_t *sc_answer_tool_parameters(const json_t *tool);
uint8_t sc_answer_value_type(const json_t *schema);

bool sc_answer_is_required(const json_t *parameters, const char *key);

// Pieces of GBNF, each with a space behind it: a text, with marks as literals of their own; JSON under a schema; one of
// some strings. And a whole rule: any text that ends with the first `mark` in it, whose first character stands nowhere
// else in it.
void sc_gbnf_literal(struct sc_buffer *out, const char *text);
void sc_gbnf_json(struct sc_buffer *out, const json_t *schema);
void sc_gbnf_choices(struct sc_buffer *out, const json_t *strings);
void sc_gbnf_text_until(struct sc_buffer *out, const char *name, const char *mark);

// The i-th pair of reasoning marks: those known in every answer, then the syntax's own; NULL past the last.
const struct sc_answer_pair *sc_answer_pair_at(const struct sc_answer_syntax *syntax, size_t i);
// The pair that a prompt's end opens, or NULL.
const struct sc_answer_pair *sc_answer_opened(const struct sc_answer_syntax *syntax, struct sc_text prompt);

#endif
