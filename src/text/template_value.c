// Making values, and the questions that every kind of value answers.
#include "text/template_internal.h"

#include <stdio.h>
#include <string.h>

#include "text/template_syntax.h"

struct value sc_template_bool(bool boolean) { return (struct value){ .kind = VALUE_BOOL, .boolean = boolean }; }

struct value sc_template_int(int64_t integer) { return (struct value){ .kind = VALUE_INT, .integer = integer }; }

struct value sc_template_float(double real) { return (struct value){ .kind = VALUE_FLOAT, .real = real }; }

struct value sc_template_none(void) { return (struct value){ .kind = VALUE_NONE }; }

struct value sc_template_list(const struct list *list) { return (struct value){ .kind = VALUE_LIST, .list = list }; }

struct value sc_template_tuple(const struct list *list) { return (struct value){ .kind = VALUE_TUPLE, .list = list }; }

struct value sc_template_dict(struct dict *dict) { return (struct value){ .kind = VALUE_DICT, .dict = dict }; }

struct string *sc_template_string_new(struct sc_arena *arena, const char *data, size_t n_bytes)
{
    struct string *string = sc_arena_alloc(arena, sizeof *string);
    if (!string) return NULL;
    *string = (struct string){ .data = data, .n_bytes = n_bytes };
    for (size_t i = 0; i < n_bytes; i++) string->n_points += ((unsigned char)data[i] & 0xC0) != 0x80;
    return string;
}

bool sc_template_string_view(struct run *run, const char *data, size_t n_bytes, struct value *out)
{
    out->kind = VALUE_STRING;
    if (n_bytes == 1 && (unsigned char)data[0] < 128) {
        out->string = run->characters[(unsigned char)data[0]];
        return true;
    }
    if (n_bytes >= 1024 && !sc_template_step_bytes(run, n_bytes)) return false;
    out->string = sc_template_string_new(&run->arena, data, n_bytes);
    return out->string || sc_template_alloc(run, SIZE_MAX, 1);
}

bool sc_template_string_copy(struct run *run, const char *data, size_t n_bytes, struct value *out)
{
    char *copy = sc_template_alloc(run, n_bytes + 1, 1);
    if (!copy) return false;
    if (n_bytes) memcpy(copy, data, n_bytes);
    return sc_template_string_view(run, copy, n_bytes, out);
}

bool sc_template_undefined(struct run *run, struct undefined undefined, struct value *out)
{
    struct undefined *copy = sc_template_alloc(run, 1, sizeof *copy);
    if (!copy) return false;
    *copy = undefined;
    *out = (struct value){ .kind = VALUE_UNDEFINED, .undefined = copy };
    return true;
}

bool sc_template_undefined_hint(struct run *run, const char *hint, struct value *out)
{
    return sc_template_undefined(run, (struct undefined){ .hint = hint }, out);
}

bool sc_template_fail_undefined(struct run *run, struct value value)
{
    const struct undefined *why = value.undefined;
    if (why->hint) return sc_template_fail(run, "%s", why->hint);
    const struct string *name;
    size_t begin = sc_template_text_begin(run);
    struct value text;
    if (!sc_template_print_repr(run, why->name) || !sc_template_text_end(run, begin, &text)) return false;
    name = text.string;
    if (why->is_refused)
        return sc_template_fail(run, "access to attribute %.*s of '%s' object is unsafe",
                                (int)SC_MIN(name->n_bytes, 200), name->data, why->type_name);
    if (why->is_parameter)
        return sc_template_fail(run, "parameter %.*s was not provided", (int)SC_MIN(name->n_bytes, 200), name->data);
    if (!why->type_name) return sc_template_fail(run, "%.*s is undefined", (int)SC_MIN(name->n_bytes, 200), name->data);
    bool is_text = why->name.kind == VALUE_STRING;
    return sc_template_fail(run, "%s%s%s has no %s %.*s", is_text ? "'" : "", why->type_name, is_text ? "'" : "",
                            is_text ? "attribute" : "element", (int)SC_MIN(name->n_bytes, 200), name->data);
}

struct list *sc_template_list_new(struct run *run, size_t capacity)
{
    struct list *list = sc_template_alloc(run, 1, sizeof *list);
    if (!list || !capacity) return list;
    list->items = sc_template_alloc(run, capacity, sizeof *list->items);
    list->capacity = capacity;
    return list->items ? list : NULL;
}

bool sc_template_list_push(struct run *run, struct list *list, struct value value)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct value *items = sc_template_alloc(run, capacity, sizeof *items);
        if (!items) return false;
        if (list->n) memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = value;
    return true;
}

bool sc_template_pair(struct run *run, struct value first, struct value second, struct value *out)
{
    struct list *list = sc_template_list_new(run, 2);
    if (!list) return false;
    *out = sc_template_tuple(list);
    return sc_template_list_push(run, list, first) && sc_template_list_push(run, list, second);
}

bool sc_template_iterator(struct run *run, const struct list *list, struct value *out)
{
    struct iterator *iterator = sc_template_alloc(run, 1, sizeof *iterator);
    if (!iterator) return false;
    iterator->rest = list;
    *out = (struct value){ .kind = VALUE_ITERATOR, .iterator = iterator };
    return true;
}

const char *sc_template_type_name(struct value value)
{
    static const char *const views[] = { "dict_keys", "dict_values", "dict_items" };
    switch (value.kind) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED: return "Undefined";
    case VALUE_NONE: return "NoneType";
    case VALUE_BOOL: return "bool";
    case VALUE_INT: return "int";
    case VALUE_FLOAT: return "float";
    case VALUE_STRING: return value.string->is_markup ? "Markup" : "str";
    case VALUE_LIST: return "list";
    case VALUE_TUPLE: return "tuple";
    case VALUE_DICT: return "dict";
    case VALUE_VIEW: return views[value.view->kind];
    case VALUE_RANGE: return "range";
    case VALUE_ITERATOR: return "generator";
    case VALUE_NAMESPACE: return "Namespace";
    case VALUE_LOOP: return "LoopContext";
    case VALUE_MACRO: return "Macro";
    case VALUE_METHOD: return "builtin_function_or_method";
    case VALUE_FUNCTION: return "function";
    case VALUE_CYCLER: return "Cycler";
    case VALUE_JOINER: return "Joiner";
    }
    return "object";
}

const char *sc_template_object_name(struct value value)
{
    switch (value.kind) {
    case VALUE_NONE: return "None";
    case VALUE_BOOL: return "bool object";
    case VALUE_INT: return "int object";
    case VALUE_FLOAT: return "float object";
    case VALUE_STRING: return value.string->is_markup ? "markupsafe.Markup object" : "str object";
    case VALUE_LIST: return "list object";
    case VALUE_TUPLE: return "tuple object";
    case VALUE_DICT: return "dict object";
    case VALUE_RANGE: return "range object";
    case VALUE_ITERATOR: return "generator object";
    case VALUE_NAMESPACE: return "jinja2.utils.Namespace object";
    case VALUE_LOOP: return "jinja2.runtime.LoopContext object";
    case VALUE_MACRO: return "jinja2.runtime.Macro object";
    default: return sc_template_type_name(value);
    }
}

bool sc_template_is_integer(struct value value) { return value.kind == VALUE_INT || value.kind == VALUE_BOOL; }

bool sc_template_is_number(struct value value) { return sc_template_is_integer(value) || value.kind == VALUE_FLOAT; }

double sc_template_real(struct value value)
{
    if (value.kind == VALUE_FLOAT) return value.real;
    return value.kind == VALUE_BOOL ? (double)value.boolean : (double)value.integer;
}

bool sc_template_truth(struct value value)
{
    switch (value.kind) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED:
    case VALUE_NONE: return false;
    case VALUE_BOOL: return value.boolean;
    case VALUE_INT: return value.integer != 0;
    case VALUE_FLOAT: return value.real != 0;
    case VALUE_STRING: return value.string->n_bytes > 0;
    case VALUE_LIST:
    case VALUE_TUPLE: return value.list->n > 0;
    case VALUE_DICT: return value.dict->n > 0;
    case VALUE_VIEW: return value.view->dict->n > 0;
    case VALUE_RANGE: return value.range->n > 0;
    default: return true;
    }
}

bool sc_template_length(struct run *run, struct value value, int64_t *out)
{
    switch (value.kind) {
    case VALUE_UNDEFINED: *out = 0; return true;
    case VALUE_STRING: *out = (int64_t)value.string->n_points; return true;
    case VALUE_LIST:
    case VALUE_TUPLE: *out = (int64_t)value.list->n; return true;
    case VALUE_DICT: *out = (int64_t)value.dict->n; return true;
    case VALUE_VIEW: *out = (int64_t)value.view->dict->n; return true;
    case VALUE_RANGE: *out = value.range->n; return true;
    case VALUE_LOOP: *out = (int64_t)value.loop->items->n; return true;
    default: return sc_template_fail(run, "object of type '%s' has no len()", sc_template_type_name(value));
    }
}

bool sc_template_is_iterable(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
    case VALUE_VIEW:
    case VALUE_RANGE:
    case VALUE_ITERATOR:
    case VALUE_LOOP: return true;
    default: return false;
    }
}

static bool characters_of(struct run *run, const struct string *string, struct list *out)
{
    for (size_t i = 0; i < string->n_bytes;) {
        size_t n;
        struct value item;
        sc_template_point(string->data + i, &n);
        if (!sc_template_string_view(run, string->data + i, n, &item) || !sc_template_list_push(run, out, item))
            return false;
        i += n;
    }
    return true;
}

static bool entries_of(struct run *run, const struct dict *dict, enum view_kind kind, struct list *out)
{
    for (size_t i = 0; i < dict->n; i++) {
        const struct dict_entry *entry = &dict->entries[i];
        struct value item = kind == VIEW_KEYS ? entry->key : entry->value;
        if (kind == VIEW_ITEMS && !sc_template_pair(run, entry->key, entry->value, &item)) return false;
        if (!sc_template_list_push(run, out, item)) return false;
    }
    return true;
}

bool sc_template_items(struct run *run, struct value value, const struct list **out)
{
    if (value.kind == VALUE_LIST || value.kind == VALUE_TUPLE) {
        *out = value.list;
        return true;
    }
    if (value.kind == VALUE_ITERATOR && value.iterator->position == 0) {
        *out = value.iterator->rest;
        value.iterator->position = value.iterator->rest->n;
        return true;
    }
    if (!sc_template_is_iterable(value))
        return sc_template_fail(run, "'%s' object is not iterable", sc_template_type_name(value));
    int64_t n = 0;
    if (value.kind != VALUE_ITERATOR && !sc_template_length(run, value, &n)) return false;
    struct list *list = sc_template_list_new(run, (size_t)n);
    if (!list || !sc_template_step(run, (uint64_t)n / 4 + 1)) return false;
    *out = list;
    bool ok = true;
    switch (value.kind) {
    case VALUE_STRING: return characters_of(run, value.string, list);
    case VALUE_DICT: return entries_of(run, value.dict, VIEW_KEYS, list);
    case VALUE_VIEW: return entries_of(run, value.view->dict, value.view->kind, list);
    case VALUE_RANGE:
        for (int64_t i = 0; i < n && ok; i++)
            ok = sc_template_list_push(run, list, sc_template_int(value.range->start + i * value.range->step));
        return ok;
    case VALUE_ITERATOR:
        while (value.iterator->position < value.iterator->rest->n && ok)
            ok = sc_template_list_push(run, list, value.iterator->rest->items[value.iterator->position++]);
        return ok;
    default: return true; // undefined, or a loop that was used up
    }
}
