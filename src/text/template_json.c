// The filter `tojson`: json.dumps of Python without escaping of what is not ASCII.
#include "text/template_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct writer {
    struct run *run;
    bool is_ascii, sorts_keys;
    const struct string *indent; // one level; NULL: all in one line
    const struct string *item_separator, *key_separator;
    size_t depth;
};

static bool write_json(struct writer *writer, struct value value);

static bool write_escape(struct writer *writer, uint32_t point)
{
    char text[16];
    static const char plain[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    const char *found = point && point < 0x80 ? strchr(plain, (int)point) : NULL;
    if (found) snprintf(text, sizeof text, "\\%c", letters[found - plain]);
    else if (point < 0x10000) snprintf(text, sizeof text, "\\u%04x", point);
    else snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((point - 0x10000) >> 10), 0xDC00 + (point & 0x3FF));
    return sc_template_write_string(writer->run, text);
}

static bool write_string(struct writer *writer, const struct string *string)
{
    size_t begin = 0;
    if (!sc_template_step_bytes(writer->run, string->n_bytes) || !sc_template_write(writer->run, "\"", 1)) return false;
    for (size_t i = 0; i < string->n_bytes;) {
        unsigned char c = (unsigned char)string->data[i];
        size_t n = 1;
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x80 || !writer->is_ascii)) {
            i++;
            continue;
        }
        uint32_t point = sc_template_point(string->data + i, &n);
        if (point == SC_TEMPLATE_GUARD) {
            i += n;
            continue;
        }
        if (!sc_template_write(writer->run, string->data + begin, i - begin) || !write_escape(writer, point))
            return false;
        i += n;
        begin = i;
    }
    return sc_template_write(writer->run, string->data + begin, string->n_bytes - begin) &&
           sc_template_write(writer->run, "\"", 1);
}

static bool write_float(struct writer *writer, double real)
{
    char text[32];
    if (isnan(real)) return sc_template_write_string(writer->run, "NaN");
    if (isinf(real)) return sc_template_write_string(writer->run, real < 0 ? "-Infinity" : "Infinity");
    return sc_template_write(writer->run, text, sc_template_float_text(real, text));
}

// The line end and indentation before an item, or nothing.
static bool write_break(struct writer *writer)
{
    if (!writer->indent) return true;
    return sc_template_write(writer->run, "\n", 1) &&
           sc_template_write_repeated(writer->run, writer->indent, writer->depth);
}

static bool write_separator(struct writer *writer, bool is_first)
{
    const struct string *separator = writer->item_separator;
    return (is_first || sc_template_write(writer->run, separator->data, separator->n_bytes)) && write_break(writer);
}

static bool write_array(struct writer *writer, const struct list *list)
{
    if (!list->n) return sc_template_write_string(writer->run, "[]");
    if (!sc_template_write(writer->run, "[", 1)) return false;
    writer->depth++;
    for (size_t i = 0; i < list->n; i++)
        if (!write_separator(writer, i == 0) || !write_json(writer, list->items[i])) return false;
    writer->depth--;
    return write_break(writer) && sc_template_write(writer->run, "]", 1);
}

static bool write_key(struct writer *writer, struct value key)
{
    if (key.kind == VALUE_STRING) return write_string(writer, key.string);
    if (key.kind != VALUE_NONE && !sc_template_is_number(key))
        return sc_template_fail(writer->run, "keys must be str, int, float, bool or None, not %s",
                                sc_template_type_name(key));
    return sc_template_write(writer->run, "\"", 1) && write_json(writer, key) &&
           sc_template_write(writer->run, "\"", 1);
}

static bool sorted_entries(struct writer *writer, const struct dict *dict, const struct list **out)
{
    struct list *keys = sc_template_list_new(writer->run, dict->n);
    if (!keys) return false;
    for (size_t i = 0; i < dict->n; i++)
        if (!sc_template_list_push(writer->run, keys, dict->entries[i].key)) return false;
    *out = keys;
    return !writer->sorts_keys || sc_template_sort(writer->run, keys, NULL, false);
}

static bool write_object(struct writer *writer, const struct dict *dict)
{
    const struct list *keys = NULL;
    if (!dict->n) return sc_template_write_string(writer->run, "{}");
    if (!sc_template_write(writer->run, "{", 1)) return false;
    if (writer->sorts_keys && !sorted_entries(writer, dict, &keys)) return false;
    writer->depth++;
    for (size_t i = 0; i < dict->n; i++) {
        struct value key = dict->entries[i].key, *value = &dict->entries[i].value;
        if (keys && !sc_template_dict_find(writer->run, dict, key = keys->items[i], &value)) return false;
        if (!write_separator(writer, i == 0) || !write_key(writer, key) ||
            !sc_template_write(writer->run, writer->key_separator->data, writer->key_separator->n_bytes) ||
            !write_json(writer, *value))
            return false;
    }
    writer->depth--;
    return write_break(writer) && sc_template_write(writer->run, "}", 1);
}

static bool write_json(struct writer *writer, struct value value)
{
    struct run *run = writer->run;
    switch (value.kind) {
    case VALUE_NONE: return sc_template_write_string(run, "null");
    case VALUE_BOOL: return sc_template_write_string(run, value.boolean ? "true" : "false");
    case VALUE_INT: return sc_template_print(run, value);
    case VALUE_FLOAT: return write_float(writer, value.real);
    case VALUE_STRING: return write_string(writer, value.string);
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT: break;
    default:
        if (value.kind == VALUE_UNDEFINED && value.undefined->is_refused) return sc_template_fail_undefined(run, value);
        return sc_template_fail(run, "Object of type %s is not JSON serializable", sc_template_type_name(value));
    }
    if (!sc_template_step(run, 1) || !sc_template_enter(run)) return false;
    bool ok = value.kind == VALUE_DICT ? write_object(writer, value.dict) : write_array(writer, value.list);
    run->depth--;
    return ok;
}

static bool make_indent(struct run *run, struct value indent, const struct string **out)
{
    int64_t n;
    struct value text;
    size_t begin = sc_template_text_begin(run);
    if (indent.kind == VALUE_STRING) {
        *out = indent.string;
        return true;
    }
    if (!sc_template_arg_int(run, indent, 0, &n) ||
        !sc_template_write_repeated(run, run->characters[' '], n < 0 ? 0 : (size_t)n) ||
        !sc_template_text_end(run, begin, &text))
        return false;
    *out = text.string;
    return true;
}

static bool make_separators(struct run *run, struct value separators, struct writer *writer)
{
    const struct list *pair;
    if (!sc_template_items(run, separators, &pair)) return false;
    if (pair->n != 2) return sc_template_fail(run, "separators are a pair of strings");
    return sc_template_arg_string(run, pair->items[0], "a separator", &writer->item_separator) &&
           sc_template_arg_string(run, pair->items[1], "a separator", &writer->key_separator);
}

// Arguments: ensure_ascii indent separators sort_keys
bool sc_template_print_json(struct run *run, struct call *call)
{
    static const struct string comma = { ",", 1, 1, false }, comma_space = { ", ", 2, 2, false },
                               colon_space = { ": ", 2, 2, false };
    struct value indent = call->args[1], separators = call->args[2];
    struct writer writer = { .run = run,
                             .is_ascii = sc_template_arg_bool(call->args[0], false),
                             .sorts_keys = sc_template_arg_bool(call->args[3], false),
                             .item_separator = &comma_space,
                             .key_separator = &colon_space };
    if (indent.kind != VALUE_ABSENT && indent.kind != VALUE_NONE) {
        writer.item_separator = &comma;
        if (!make_indent(run, indent, &writer.indent)) return false;
    }
    if (separators.kind != VALUE_ABSENT && separators.kind != VALUE_NONE && !make_separators(run, separators, &writer))
        return false;
    return write_json(&writer, call->self);
}
