// Chat templates: the Jinja2 language as model files carry it, parsed once and rendered for each conversation.
//
// The dialect is that of Hugging Face chat templates: Jinja2's immutable sandbox with trim_blocks and lstrip_blocks,
// `break` and `continue`, the tag `generation`, a `tojson` that keeps every character, and the functions
// raise_exception and strftime_now. Values behave and print as Python's do; the whole language is there except what
// reads other templates (include, import, extends) and what is random.
//
// A template comes with a model file and is not to be trusted. It sees nothing but its inputs and the clock, and every
// resource that it uses is bounded; a bound that is passed is SOCLE_BAD_TEMPLATE with a sentence that names it.
//
// Source: the Template Designer Documentation of Jinja 3.1; Python 3.11's reference for the built-in types.
#ifndef SC_TEXT_TEMPLATE_H
#define SC_TEXT_TEMPLATE_H

#include <jansson.h>
#include <socle/error.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"

struct sc_template; // parsed; immutable, may be rendered by several threads at once

// What one rendering may use.
struct sc_template_limits {
    uint64_t n_steps_max;    // expressions, statements and turns of loops; long strings count by their length
    uint32_t depth_max;      // expressions and statements inside each other, across calls of macros
    size_t output_bytes_max; // of the text, including what is on its way into a variable
    size_t memory_bytes_max; // of all values made on the way
};

extern const struct sc_template_limits sc_template_default_limits;

struct sc_template_options {
    struct sc_template_limits limits;
    const char *now; // what strftime_now sees, "2026-01-15T12:00:00"; NULL: the local time
};

// U+FDD0, by which text/chat.c guards its inputs: never written as an escape, so that it can be taken out again.
enum { SC_TEMPLATE_GUARD = 0xFDD0 };

// The longest source that sc_template_parse takes, and the deepest nesting of its expressions and blocks.
enum { SC_TEMPLATE_SOURCE_BYTES_MAX = 4 * 1024 * 1024, SC_TEMPLATE_NESTING_MAX = 200 };

// Parses `source`, which need not outlive the call. On success the caller owns *out.
// SOCLE_BAD_TEMPLATE names the line of what is wrong.
socle_status sc_template_parse(struct sc_text source, struct sc_template **out, socle_error *err);

// Appends the text to `out`, which is untouched on failure. `inputs` is an object whose members are the template's
// variables; NULL: none. `options` NULL: the default limits and the local time.
// SOCLE_BAD_TEMPLATE names the line, and what the template itself raised.
socle_status sc_template_render(const struct sc_template *template, const json_t *inputs,
                                const struct sc_template_options *options, struct sc_buffer *out, socle_error *err);

// NULL does nothing.
void sc_template_free(struct sc_template *template);

#endif
