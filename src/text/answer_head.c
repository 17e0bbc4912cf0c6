// Reading the heads of calls.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/answer_syntax.h"

void sc_reader_spaces(struct sc_reader *r)
{
    while (r->state == SC_READ_OK && r->at < r->text.n_bytes && isspace((unsigned char)r->text.data[r->at])) r->at++;
}

void sc_reader_expect(struct sc_reader *r, const char *text)
{
    if (r->state != SC_READ_OK) return;
    r->state = sc_text_has_mark(r->text, r->at, text);
    if (r->state == SC_READ_OK) r->at += strlen(text);
}

bool sc_reader_optional(struct sc_reader *r, const char *text)
{
    if (r->state != SC_READ_OK) return false;
    enum sc_read is = sc_text_has_mark(r->text, r->at, text);
    if (is == SC_READ_MORE) r->state = SC_READ_MORE;
    if (is == SC_READ_OK) r->at += strlen(text);
    return is == SC_READ_OK;
}

static bool is_of_name(char c) { return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || strchr("_-.:/$@", c); }

size_t sc_reader_name(struct sc_reader *r, const char *const *ends, struct sc_text *name)
{
    enum { NAME_BYTES_MAX = 256 };
    size_t begin = r->at;
    for (; r->state == SC_READ_OK && r->at < r->text.n_bytes && r->at - begin <= NAME_BYTES_MAX; r->at++) {
        for (size_t i = 0; ends[i]; i++) {
            enum sc_read is = sc_text_has_mark(r->text, r->at, ends[i]);
            if (is == SC_READ_BROKEN) continue;
            r->state = is == SC_READ_OK && r->at == begin ? SC_READ_BROKEN : is;
            *name = (struct sc_text){ r->text.data + begin, r->at - begin };
            return i;
        }
        if (!r->text.data[r->at] || !is_of_name(r->text.data[r->at])) break;
    }
    if (r->state == SC_READ_OK) r->state = r->at == r->text.n_bytes ? SC_READ_MORE : SC_READ_BROKEN;
    return 0;
}

void sc_reader_object(struct sc_reader *r)
{
    sc_reader_spaces(r);
    if (r->state != SC_READ_OK) return;
    if (r->at == r->text.n_bytes) r->state = SC_READ_MORE;
    else if (r->text.data[r->at] != '{') r->state = SC_READ_BROKEN;
}

// ---- {"name": …, "arguments": …}

static const char *const name_keys[] = { "name", "tool_name", NULL };
static const char *const argument_keys[] = { "arguments", "parameters", NULL };
static const char *const other_keys[] = { "type", "id", "function", "description", NULL };

static bool is_one_of(struct sc_text text, const char *const *keys)
{
    for (; *keys; keys++)
        if (sc_text_is(text, *keys)) return true;
    return false;
}

// Goes over one JSON value.
static struct sc_text read_value(struct sc_reader *r)
{
    struct sc_json_scan scan = { 0 };
    size_t begin = r->at;
    while (r->state == SC_READ_OK) {
        if (r->at == r->text.n_bytes) {
            r->state = SC_READ_MORE;
            break;
        }
        enum sc_json_step step = sc_json_scan_byte(&scan, r->text.data[r->at]);
        if (step == SC_JSON_BROKEN) r->state = SC_READ_BROKEN;
        else if (step != SC_JSON_BEFORE) r->at++;
        if (step == SC_JSON_END || step == SC_JSON_BEFORE) break;
    }
    return (struct sc_text){ r->text.data + begin, r->at - begin };
}

// The text inside a JSON string's quotes; broken where it is no string.
static struct sc_text read_string(struct sc_reader *r)
{
    if (r->state == SC_READ_OK && r->at < r->text.n_bytes && r->text.data[r->at] != '"') r->state = SC_READ_BROKEN;
    struct sc_text value = read_value(r);
    if (r->state != SC_READ_OK || value.n_bytes < 2) return (struct sc_text){ "", 0 };
    return (struct sc_text){ value.data + 1, value.n_bytes - 2 };
}

// The member of an object under one of `keys`.
static json_t *member(json_t *object, const char *const *keys)
{
    json_t *found = NULL;
    for (; *keys && !found; keys++) found = json_object_get(object, *keys);
    return found;
}

// Arguments as an object's JSON text in answer->value. They may be an object, a string of JSON, or absent.
static bool keep_arguments(struct sc_answer *a, json_t *arguments)
{
    json_t *object = json_is_object(arguments) ? json_incref(arguments) : NULL;
    if (!arguments || json_is_null(arguments)) object = json_object();
    if (json_is_string(arguments)) object = json_loads(json_string_value(arguments), 0, NULL);
    char *text = json_is_object(object) ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text) return false;
    sc_buffer_clear(&a->value);
    sc_buffer_append_string(&a->value, text);
    free(text);
    return true;
}

// A whole object whose arguments came before the name, or not as an object.
static bool keep_object(struct sc_answer *a, struct sc_text text, bool bare)
{
    json_t *object = json_loadb(text.data, text.n_bytes, 0, NULL), *call = object;
    if (json_is_object(json_object_get(object, "function"))) call = json_object_get(object, "function");
    json_t *name = member(call, name_keys), *arguments = member(call, argument_keys);
    bool ok = json_is_string(name) && json_string_length(name) > 0 && (!bare || json_is_object(arguments)) &&
              keep_arguments(a, arguments);
    if (ok) {
        sc_buffer_clear(&a->name);
        sc_buffer_append_string(&a->name, json_string_value(name));
        ok = !bare || sc_answer_tool_named(a->tools, a->name.data);
    }
    json_decref(object);
    return ok;
}

static bool names_tool(const struct sc_answer *a, struct sc_text name)
{
    char text[257];
    if (name.n_bytes >= sizeof text) return false;
    memcpy(text, name.data, name.n_bytes);
    text[name.n_bytes] = '\0';
    return sc_answer_tool_named(a->tools, text) != NULL;
}

// Reads members until the arguments begin behind a name (returns true), or the object ends.
static bool read_members(const struct sc_answer *a, struct sc_reader *r, bool bare, struct sc_text *name)
{
    bool more = true;
    while (r->state == SC_READ_OK && more) {
        sc_reader_spaces(r);
        struct sc_text key = read_string(r);
        bool is_name = is_one_of(key, name_keys), is_arguments = is_one_of(key, argument_keys);
        if (r->state == SC_READ_OK && bare && !is_name && !is_arguments && !is_one_of(key, other_keys))
            r->state = SC_READ_BROKEN;
        sc_reader_spaces(r);
        sc_reader_expect(r, ":");
        sc_reader_spaces(r);
        if (r->state == SC_READ_OK && r->at == r->text.n_bytes) r->state = SC_READ_MORE;
        if (r->state != SC_READ_OK) return false;
        if (is_arguments && name->n_bytes && r->text.data[r->at] == '{') return true;
        struct sc_text value = is_name ? read_string(r) : read_value(r);
        if (r->state == SC_READ_OK && is_name) *name = value;
        if (r->state == SC_READ_OK && is_name && bare && !names_tool(a, value)) r->state = SC_READ_BROKEN;
        sc_reader_spaces(r);
        more = sc_reader_optional(r, ",");
    }
    sc_reader_expect(r, "}");
    return false;
}

void sc_answer_read_object(struct sc_answer *a, struct sc_reader *r, bool bare, struct sc_answer_head *head)
{
    sc_reader_spaces(r);
    bool in_list = sc_reader_optional(r, "[") || a->in_list;
    sc_reader_object(r);
    size_t begin = r->at;
    sc_reader_expect(r, "{");
    head->name = (struct sc_text){ "", 0 };
    bool streams = read_members(a, r, bare, &head->name);
    if (r->state == SC_READ_OK && streams && memchr(head->name.data, '\\', head->name.n_bytes))
        r->state = SC_READ_BROKEN;
    head->in_object = streams;
    if (r->state == SC_READ_OK && !streams) {
        head->whole = true;
        if (!keep_object(a, (struct sc_text){ r->text.data + begin, r->at - begin }, bare)) r->state = SC_READ_BROKEN;
    }
    if (r->state == SC_READ_OK) a->in_list = in_list;
}
