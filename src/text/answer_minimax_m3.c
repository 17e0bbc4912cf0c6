// MiniMax-M3: arguments as elements in elements, each tag behind a mark of its own (here ~, for "]<]minimax[>["):
//
//   ~<tool_call>
//   ~<invoke name="weather">~<city>Rome~</city>~<days>~<item>1~</item>~<item>2~</item>~</days>~</invoke>
//   ~</tool_call>
//
// What is an array, an object or a string the tool's schema says; without it, elements called "item" make an array.
#include <string.h>

#include "text/answer_syntax.h"

#define MARK "]<]minimax[>["

enum { DEPTH_MAX = 64 };

static const char *const name_ends[] = { "\">", NULL };
static const char *const key_ends[] = { ">", NULL };

static void read_element(struct sc_reader *r, struct sc_buffer *out, const json_t *schema, unsigned depth);

static bool stands_here(struct sc_reader *r, const char *text)
{
    enum sc_read is = r->state == SC_READ_OK ? sc_text_has_mark(r->text, r->at, text) : r->state;
    if (is == SC_READ_MORE) r->state = SC_READ_MORE;
    return is == SC_READ_OK;
}

static bool is_array(struct sc_reader *r, const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    return type ? strcmp(type, "array") == 0 : stands_here(r, MARK "<item>");
}

// Elements until a closing tag: the members of an object or the items of an array.
static void read_elements(struct sc_reader *r, struct sc_buffer *out, const json_t *schema, unsigned depth)
{
    bool array = is_array(r, schema);
    if (depth > DEPTH_MAX && r->state == SC_READ_OK) r->state = SC_READ_BROKEN;
    sc_buffer_append_char(out, array ? '[' : '{');
    for (bool first = true; r->state == SC_READ_OK && !stands_here(r, MARK "</"); first = false) {
        struct sc_text key = { "", 0 };
        sc_reader_expect(r, MARK "<");
        sc_reader_name(r, key_ends, &key);
        if (!first) sc_buffer_append_char(out, ',');
        const json_t *inner = json_object_get(schema, "items");
        if (!array) {
            sc_buffer_append_char(out, '"');
            sc_json_escape(out, key.data, key.n_bytes);
            sc_buffer_append_string(out, "\":");
            inner = json_object_getn(json_object_get(schema, "properties"), key.data, key.n_bytes);
        }
        sc_reader_expect(r, ">");
        read_element(r, out, inner, depth + 1);
        sc_reader_expect(r, MARK "</");
        if (r->state == SC_READ_OK && r->text.n_bytes - r->at >= key.n_bytes &&
            memcmp(r->text.data + r->at, key.data, key.n_bytes) != 0)
            r->state = SC_READ_BROKEN;
        r->at += r->state == SC_READ_OK ? key.n_bytes : 0;
        if (r->state == SC_READ_OK && r->at > r->text.n_bytes) r->state = SC_READ_MORE;
        sc_reader_expect(r, ">");
    }
    sc_buffer_append_char(out, array ? ']' : '}');
}

// What is in an element: elements, or a text.
static void read_element(struct sc_reader *r, struct sc_buffer *out, const json_t *schema, unsigned depth)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    bool nested = stands_here(r, MARK "<") && !stands_here(r, MARK "</");
    bool empty = type && (strcmp(type, "array") == 0 || strcmp(type, "object") == 0) && stands_here(r, MARK "</");
    if (nested || empty) {
        read_elements(r, out, schema, depth);
        return;
    }
    struct sc_text left = { r->text.data + r->at, r->text.n_bytes - r->at };
    const char *end = r->state == SC_READ_OK ? memmem(left.data, left.n_bytes, MARK, strlen(MARK)) : NULL;
    if (!end) {
        if (r->state == SC_READ_OK) r->state = SC_READ_MORE;
        return;
    }
    left.n_bytes = (size_t)(end - left.data);
    sc_answer_write_value(out, left, sc_answer_value_type(schema));
    r->at += left.n_bytes;
}

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)n_mark;
    struct sc_text name = { "", 0 };
    sc_reader_optional(r, MARK "<tool_call>");
    sc_reader_spaces(r);
    sc_reader_expect(r, MARK "<invoke name=\"");
    sc_reader_name(r, name_ends, &name);
    sc_reader_expect(r, "\">");
    sc_buffer_clear(&a->name);
    sc_buffer_append(&a->name, name.data, name.n_bytes);
    const json_t *parameters = sc_answer_tool_parameters(
        sc_answer_tool_named(a->tools, a->name.data ? a->name.data : ""));
    json_t *object = parameters ? NULL : json_pack("{s:s}", "type", "object");
    sc_buffer_clear(&a->value);
    read_elements(r, &a->value, parameters ? parameters : object, 0);
    sc_reader_expect(r, MARK "</invoke>");
    json_decref(object);
    head->whole = true;
}

const struct sc_answer_syntax sc_answer_minimax_m3 = {
    .name = "minimax-m3",
    .template_has = { MARK },
    .begins = { MARK "<tool_call>", MARK "<invoke name=\"" },
    .fillers = { MARK "</tool_call>" },
    .head = read_head,
    .head_end = MARK "</invoke>",
};
