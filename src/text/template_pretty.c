// The filter `pprint`: pprint.pformat of Python, but for long strings, which stay whole.
//
// What does not fit into a line is broken into one item per line. Dicts are sorted by their keys where those are text.
#include "text/template_internal.h"

#include <string.h>

enum { PRETTY_WIDTH = 80 };

static bool sorted(struct run *run, struct value value, struct value *out);

static bool sorted_list(struct run *run, const struct list *list, struct list *out)
{
    for (size_t i = 0; i < list->n; i++) {
        struct value item;
        if (!sorted(run, list->items[i], &item) || !sc_template_list_push(run, out, item)) return false;
    }
    return true;
}

static bool sorted_dict(struct run *run, const struct dict *dict, struct dict *out)
{
    struct list *keys = sc_template_list_new(run, dict->n);
    bool is_text = true;
    if (!keys) return false;
    for (size_t i = 0; i < dict->n; i++) {
        is_text = is_text && dict->entries[i].key.kind == VALUE_STRING;
        if (!sc_template_list_push(run, keys, dict->entries[i].key)) return false;
    }
    if (is_text && !sc_template_sort(run, keys, NULL, false)) return false;
    for (size_t i = 0; i < keys->n; i++) {
        struct value *there, member;
        if (!sc_template_dict_find(run, dict, keys->items[i], &there) || !sorted(run, *there, &member) ||
            !sc_template_dict_set(run, out, keys->items[i], member))
            return false;
    }
    return true;
}

// A copy of a value with all dicts inside it sorted.
static bool sorted(struct run *run, struct value value, struct value *out)
{
    bool is_list = value.kind == VALUE_LIST || value.kind == VALUE_TUPLE, ok = false;
    *out = value;
    if (!is_list && value.kind != VALUE_DICT) return true;
    if (!sc_template_enter(run) || !sc_template_step(run, 1)) return false;
    if (is_list) {
        struct list *list = sc_template_list_new(run, value.list->n);
        out->list = list;
        ok = list && sorted_list(run, value.list, list);
    } else {
        out->dict = sc_template_dict_new(run, value.dict->n);
        ok = out->dict && sorted_dict(run, value.dict, out->dict);
    }
    run->depth--;
    return ok;
}

static bool print_pretty(struct run *run, struct value value, size_t indent, size_t n_after);

// Prints what fits in `max`; otherwise nothing, and *fits is false.
static bool print_if_fits(struct run *run, struct value value, size_t max, bool *fits, size_t *n_points)
{
    size_t begin = sc_template_text_begin(run);
    struct value text;
    if (!sc_template_print_repr(run, value) || !sc_template_text_end(run, begin, &text)) return false;
    *n_points = text.string->n_points;
    *fits = *n_points <= max;
    return !*fits || sc_template_write(run, text.string->data, text.string->n_bytes);
}

static bool break_line(struct run *run, size_t indent)
{
    return sc_template_write_string(run, ",\n") && sc_template_write_repeated(run, run->characters[' '], indent);
}

static bool print_broken(struct run *run, struct value value, size_t indent, size_t n_after)
{
    bool is_dict = value.kind == VALUE_DICT, fits;
    size_t n = is_dict ? value.dict->n : value.list->n;
    const char *brackets = is_dict ? "{}" : value.kind == VALUE_TUPLE ? "()" : "[]";
    if (!sc_template_write(run, brackets, 1)) return false;
    for (size_t i = 0; i < n; i++) {
        size_t n_key = 0, after = i + 1 == n ? n_after + 1 : 1;
        struct value item = is_dict ? value.dict->entries[i].value : value.list->items[i];
        if (i && !break_line(run, indent + 1)) return false;
        if (is_dict) {
            if (!print_if_fits(run, value.dict->entries[i].key, SIZE_MAX, &fits, &n_key) ||
                !sc_template_write_string(run, ": "))
                return false;
            n_key += 2;
        }
        if (!print_pretty(run, item, indent + 1 + n_key, after)) return false;
    }
    if (value.kind == VALUE_TUPLE && n == 1 && !sc_template_write_string(run, ",")) return false;
    return sc_template_write(run, brackets + 1, 1);
}

static bool print_pretty(struct run *run, struct value value, size_t indent, size_t n_after)
{
    size_t n_points, used = indent + n_after, room = used < PRETTY_WIDTH ? PRETTY_WIDTH - used : 0;
    bool fits, can_break = (value.kind == VALUE_DICT && value.dict->n) ||
                           ((value.kind == VALUE_LIST || value.kind == VALUE_TUPLE) && value.list->n);
    if (!print_if_fits(run, value, can_break ? room : SIZE_MAX, &fits, &n_points)) return false;
    if (fits) return true;
    if (!sc_template_enter(run)) return false;
    bool ok = print_broken(run, value, indent, n_after);
    run->depth--;
    return ok;
}

bool sc_template_print_pretty(struct run *run, struct value value)
{
    return sorted(run, value, &value) && print_pretty(run, value, 0, 0);
}
