// Gemma 4: arguments in a notation of its own, where strings stand between marks and keys are bare:
//
//   <|tool_call>call:weather{city:<|"|>Rome<|"|>,days:3,where:{page:7},tags:[<|"|>a<|"|>]}<tool_call|>
#include <string.h>

#include "text/answer_syntax.h"

#define QUOTE "<|\"|>"

enum { DEPTH_MAX = 64 };

static const char *const name_ends[] = { "{", NULL };

static void read_value(struct sc_reader *r, struct sc_buffer *out, unsigned depth);

// The text up to `end`, which is skipped.
static struct sc_text read_until(struct sc_reader *r, const char *end)
{
    struct sc_text left = { r->text.data + r->at, r->text.n_bytes - r->at };
    const char *found = r->state == SC_READ_OK ? memmem(left.data, left.n_bytes, end, strlen(end)) : NULL;
    if (!found && r->state == SC_READ_OK) r->state = SC_READ_MORE;
    if (!found) return (struct sc_text){ "", 0 };
    left.n_bytes = (size_t)(found - left.data);
    r->at += left.n_bytes + strlen(end);
    return left;
}

static void write_string(struct sc_buffer *out, struct sc_text text)
{
    sc_buffer_append_char(out, '"');
    sc_json_escape(out, text.data, text.n_bytes);
    sc_buffer_append_char(out, '"');
}

// Keys and values, or values, up to the bracket that closes them; the opening one was read.
static void read_items(struct sc_reader *r, struct sc_buffer *out, bool keys, unsigned depth)
{
    const char *end = keys ? "}" : "]";
    sc_buffer_append_char(out, keys ? '{' : '[');
    sc_reader_spaces(r);
    for (bool first = true; r->state == SC_READ_OK && !sc_reader_optional(r, end); first = false) {
        if (!first) {
            sc_reader_expect(r, ",");
            sc_buffer_append_char(out, ',');
            sc_reader_spaces(r);
        }
        if (keys) {
            bool quoted = sc_reader_optional(r, QUOTE);
            write_string(out, read_until(r, quoted ? QUOTE : ":"));
            if (quoted) sc_reader_expect(r, ":");
            sc_buffer_append_char(out, ':');
        }
        read_value(r, out, depth + 1);
        sc_reader_spaces(r);
    }
    sc_buffer_append_char(out, keys ? '}' : ']');
}

// A number or a word; what is neither breaks the call.
static void read_scalar(struct sc_reader *r, struct sc_buffer *out)
{
    size_t begin = r->at;
    while (r->at < r->text.n_bytes && r->text.data[r->at] && !strchr(",}] \n", r->text.data[r->at])) r->at++;
    struct sc_buffer value = { 0 };
    sc_answer_write_value(&value, (struct sc_text){ r->text.data + begin, r->at - begin }, SC_VALUE_ANY);
    if (r->at == r->text.n_bytes) r->state = SC_READ_MORE;
    else if (value.n_bytes == 0 || value.data[0] == '"') r->state = SC_READ_BROKEN;
    else sc_buffer_append(out, value.data, value.n_bytes);
    sc_buffer_free(&value);
}

static void read_value(struct sc_reader *r, struct sc_buffer *out, unsigned depth)
{
    sc_reader_spaces(r);
    if (r->state == SC_READ_OK && depth > DEPTH_MAX) r->state = SC_READ_BROKEN;
    if (sc_reader_optional(r, QUOTE)) write_string(out, read_until(r, QUOTE));
    else if (sc_reader_optional(r, "{")) read_items(r, out, true, depth);
    else if (sc_reader_optional(r, "[")) read_items(r, out, false, depth);
    else if (r->state == SC_READ_OK) read_scalar(r, out);
}

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    struct sc_text name = { "", 0 };
    r->at = n_mark;
    sc_reader_spaces(r);
    sc_reader_expect(r, "call:");
    sc_reader_name(r, name_ends, &name);
    sc_reader_expect(r, "{");
    sc_buffer_clear(&a->value);
    read_items(r, &a->value, true, 0);
    sc_buffer_clear(&a->name);
    sc_buffer_append(&a->name, name.data, name.n_bytes);
    head->whole = true;
}

const struct sc_answer_syntax sc_answer_gemma4 = {
    .name = "gemma4",
    .template_has = { "<|tool_call>" },
    .begins = { "<|tool_call>" },
    .fillers = { "<tool_call|>" },
    .reasoning = { { "<|channel>thought", "<channel|>" } },
    .head = read_head,
    .head_end = "<tool_call|>",
};
