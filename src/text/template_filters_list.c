// Filters on sequences and mappings, and the choosing of natives by name.
#include "text/template_internal.h"

#include <string.h>

const struct native *const sc_template_filters[] = { sc_template_filters_value, sc_template_filters_text,
                                                     sc_template_filters_list, sc_template_filters_select, NULL };

const struct native *sc_template_filter_find(const char *name, size_t n_bytes)
{
    for (size_t i = 0; sc_template_filters[i]; i++) {
        const struct native *native = sc_template_native_find(sc_template_filters[i], name, n_bytes);
        if (native) return native;
    }
    return NULL;
}

static bool filter_list(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    if (!sc_template_items(run, call->self, &items)) return false;
    *out = sc_template_list(items);
    return true;
}

static bool filter_first(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    if (call->self.kind == VALUE_ITERATOR) {
        struct iterator *iterator = call->self.iterator;
        if (iterator->position < iterator->rest->n) {
            *out = iterator->rest->items[iterator->position++];
            return true;
        }
    }
    if (!sc_template_items(run, call->self, &items)) return false;
    if (!items->n) return sc_template_undefined_hint(run, "No first item, sequence was empty.", out);
    *out = items->items[0];
    return true;
}

static bool filter_last(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    if (call->self.kind == VALUE_ITERATOR || !sc_template_is_iterable(call->self))
        return sc_template_fail(run, "'%s' object is not reversible", sc_template_type_name(call->self));
    if (!sc_template_items(run, call->self, &items)) return false;
    if (!items->n) return sc_template_undefined_hint(run, "No last item, sequence was empty.", out);
    *out = items->items[items->n - 1];
    return true;
}

static bool filter_join(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    const struct string *separator = NULL;
    struct value item;
    size_t begin = sc_template_text_begin(run);
    if (call->args[0].kind != VALUE_ABSENT && !sc_template_str(run, call->args[0], &separator)) return false;
    if (!sc_template_items(run, call->self, &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        if (i && separator && !sc_template_write(run, separator->data, separator->n_bytes)) return false;
        if (!sc_template_path(run, items->items[i], call->args[1], (struct value){ 0 }, &item) ||
            !sc_template_step(run, 1) || !sc_template_print(run, item))
            return false;
    }
    return sc_template_text_end(run, begin, out);
}

static bool filter_reverse(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    if (!sc_template_items(run, call->self, &items)) return false;
    struct list *list = sc_template_list_new(run, items->n);
    if (!list) return false;
    for (size_t i = items->n; i-- > 0;)
        if (!sc_template_list_push(run, list, items->items[i])) return false;
    if (call->self.kind != VALUE_STRING) return sc_template_iterator(run, list, out);
    size_t begin = sc_template_text_begin(run);
    for (size_t i = 0; i < list->n; i++)
        if (!sc_template_print(run, list->items[i])) return false;
    return sc_template_text_end(run, begin, out);
}

// What an item is compared by: one of its attributes, in small letters unless case matters.
static bool key_of(struct run *run, struct value item, struct value path, bool is_case_sensitive, struct value *out)
{
    if (!sc_template_path(run, item, path, (struct value){ 0 }, out)) return false;
    if (is_case_sensitive || out->kind != VALUE_STRING) return true;
    return sc_template_change_case(run, out->string, CASE_LOWER, out);
}

// A key of one or more attributes, "a,b": the list of their keys. Keys that are equal, such as two undefined ones, need
// no order.
static bool keys_of(struct run *run, struct value item, struct value paths, bool is_case_sensitive, struct value *out)
{
    struct list *list = sc_template_list_new(run, 1);
    struct value key;
    if (!list) return false;
    *out = sc_template_list(list);
    if (paths.kind != VALUE_STRING)
        return key_of(run, item, paths, is_case_sensitive, &key) && sc_template_list_push(run, list, key);
    struct sc_text rest = { paths.string->data, paths.string->n_bytes };
    for (;;) {
        const char *comma = rest.n_bytes ? memchr(rest.data, ',', rest.n_bytes) : NULL;
        size_t n = comma ? (size_t)(comma - rest.data) : rest.n_bytes;
        struct value path;
        if (!sc_template_string_view(run, rest.data, n, &path) || !key_of(run, item, path, is_case_sensitive, &key) ||
            !sc_template_list_push(run, list, key))
            return false;
        if (!comma) return true;
        rest.data += n + 1;
        rest.n_bytes -= n + 1;
    }
}

static bool sorted_by(struct run *run, struct value source, struct value paths, bool is_case_sensitive,
                      bool is_reversed, struct list **out)
{
    const struct list *items;
    if (!sc_template_items(run, source, &items)) return false;
    struct value *keys = sc_template_alloc(run, items->n, sizeof *keys);
    *out = sc_template_list_new(run, items->n);
    if (!keys || !*out) return false;
    for (size_t i = 0; i < items->n; i++)
        if (!keys_of(run, items->items[i], paths, is_case_sensitive, &keys[i]) ||
            !sc_template_list_push(run, *out, items->items[i]))
            return false;
    return sc_template_sort(run, *out, keys, is_reversed);
}

static bool filter_sort(struct run *run, struct call *call, struct value *out)
{
    struct list *list;
    int64_t is_reversed;
    if (!sc_template_arg_int(run, call->args[0], 0, &is_reversed) ||
        !sorted_by(run, call->self, call->args[2], sc_template_arg_bool(call->args[1], false), is_reversed != 0, &list))
        return false;
    *out = sc_template_list(list);
    return true;
}

static bool filter_dictsort(struct run *run, struct call *call, struct value *out)
{
    static const struct string key = { "key", 3, 3, false };
    const struct string *by = &key;
    if (call->self.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, call->self);
    if (call->self.kind != VALUE_DICT)
        return sc_template_fail(run, "dictsort needs a mapping, not %s", sc_template_type_name(call->self));
    if (call->args[1].kind != VALUE_ABSENT && !sc_template_arg_string(run, call->args[1], "by", &by)) return false;
    struct sc_text name = { by->data, by->n_bytes };
    if (!sc_text_is(name, "key") && !sc_text_is(name, "value"))
        return sc_template_fail(run, "You can only sort by either \"key\" or \"value\"");
    struct view view = { VIEW_ITEMS, call->self.dict };
    struct value source = { .kind = VALUE_VIEW, .view = &view };
    struct list *list;
    int64_t is_reversed;
    if (!sc_template_arg_int(run, call->args[2], 0, &is_reversed) ||
        !sorted_by(run, source, sc_template_int(sc_text_is(name, "value")), sc_template_arg_bool(call->args[0], false),
                   is_reversed != 0, &list))
        return false;
    *out = sc_template_list(list);
    return true;
}

static bool filter_unique(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    struct dict *seen = sc_template_dict_new(run, 0);
    struct list *list = sc_template_list_new(run, 0);
    bool is_case_sensitive = sc_template_arg_bool(call->args[0], false);
    if (!seen || !list || !sc_template_items(run, call->self, &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        struct value key, *there;
        if (!key_of(run, items->items[i], call->args[1], is_case_sensitive, &key) ||
            !sc_template_dict_find(run, seen, key, &there))
            return false;
        if (there) continue;
        if (!sc_template_dict_set(run, seen, key, sc_template_none()) ||
            !sc_template_list_push(run, list, items->items[i]))
            return false;
    }
    return sc_template_iterator(run, list, out);
}

static bool least_or_most(struct run *run, struct call *call, bool is_max, struct value *out)
{
    const struct list *items;
    struct value best_key = { 0 }, key;
    bool is_case_sensitive = sc_template_arg_bool(call->args[0], false);
    if (!sc_template_items(run, call->self, &items)) return false;
    if (!items->n) return sc_template_undefined_hint(run, "No aggregated item, sequence was empty.", out);
    for (size_t i = 0; i < items->n; i++) {
        int order = 1;
        if (!key_of(run, items->items[i], call->args[1], is_case_sensitive, &key)) return false;
        if (i && !sc_template_compare(run, is_max ? ">" : "<", key, best_key, &order)) return false;
        if (i && (order == 2 || (is_max ? order <= 0 : order >= 0))) continue;
        best_key = key;
        *out = items->items[i];
    }
    return true;
}

static bool filter_min(struct run *run, struct call *call, struct value *out)
{
    return least_or_most(run, call, false, out);
}

static bool filter_max(struct run *run, struct call *call, struct value *out)
{
    return least_or_most(run, call, true, out);
}

static bool filter_sum(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    struct value item;
    *out = call->args[1].kind == VALUE_ABSENT ? sc_template_int(0) : call->args[1];
    if (out->kind == VALUE_STRING) return sc_template_fail(run, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!sc_template_items(run, call->self, &items)) return false;
    for (size_t i = 0; i < items->n; i++)
        if (!sc_template_path(run, items->items[i], call->args[0], (struct value){ 0 }, &item) ||
            !sc_template_step(run, 1) || !sc_template_operate(run, OP_ADD, *out, item, out))
            return false;
    return true;
}

// Adds items from..to as a list of their own, filled up to n_full.
static bool push_part(struct run *run, struct list *parts, const struct list *items, size_t from, size_t to,
                      size_t n_full, struct value filling)
{
    struct list *part = sc_template_list_new(run, to - from);
    if (!part) return false;
    for (size_t i = from; i < to; i++)
        if (!sc_template_list_push(run, part, items->items[i])) return false;
    bool fills = filling.kind != VALUE_ABSENT && filling.kind != VALUE_NONE;
    while (fills && part->n < n_full)
        if (!sc_template_step(run, 1) || !sc_template_list_push(run, part, filling)) return false;
    return sc_template_list_push(run, parts, sc_template_list(part));
}

// Parts of n items each.
static bool filter_batch(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    int64_t n;
    struct list *parts = sc_template_list_new(run, 0);
    if (!parts || !sc_template_items(run, call->self, &items) || !sc_template_arg_int(run, call->args[0], 1, &n))
        return false;
    // Without a size there is no end of a part.
    size_t width = n < 1 ? items->n + 1 : (size_t)n;
    for (size_t at = 0; at < items->n; at += width) {
        size_t to = width < items->n - at ? at + width : items->n;
        if (!push_part(run, parts, items, at, to, n < 1 ? 0 : width, call->args[1])) return false;
        if (to == items->n) break;
    }
    return sc_template_iterator(run, parts, out);
}

// n parts of nearly equal size, the longer ones first.
static bool filter_slice(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    int64_t n, quotient, rest;
    struct list *parts = sc_template_list_new(run, 0);
    if (!parts || !sc_template_items(run, call->self, &items) || !sc_template_arg_int(run, call->args[0], 1, &n) ||
        !sc_template_divmod(run, (int64_t)items->n, n, &quotient, &rest))
        return false;
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t size = (size_t)quotient + (i < rest);
        bool is_short = i >= rest;
        if (!sc_template_step(run, 1) || !push_part(run, parts, items, at, at + size, size + is_short,
                                                    is_short ? call->args[1] : (struct value){ 0 }))
            return false;
        at += size;
    }
    return sc_template_iterator(run, parts, out);
}

// Begins a new (grouper, list) and gives its list.
static bool push_group(struct run *run, struct list *groups, struct value grouper, struct list **out)
{
    struct list *group = sc_template_list_new(run, 2);
    *out = sc_template_list_new(run, 0);
    if (!group || !*out) return false;
    group->is_group = true;
    return sc_template_list_push(run, group, grouper) && sc_template_list_push(run, group, sc_template_list(*out)) &&
           sc_template_list_push(run, groups, sc_template_tuple(group));
}

static bool filter_groupby(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    struct value path = call->args[0], otherwise = call->args[1];
    bool is_case_sensitive = sc_template_arg_bool(call->args[2], false);
    if (!sc_template_items(run, call->self, &items)) return false;
    struct list *pairs = sc_template_list_new(run, items->n), *groups = sc_template_list_new(run, 0), *group = NULL;
    struct value *keys = sc_template_alloc(run, items->n, sizeof *keys), last = { 0 };
    if (!pairs || !groups || !keys) return false;
    for (size_t i = 0; i < items->n; i++) { // sorted as (item, key), so that keys follow their items
        struct value pair, key;
        if (!sc_template_path(run, items->items[i], path, otherwise, &key)) return false;
        keys[i] = key;
        if (!is_case_sensitive && key.kind == VALUE_STRING &&
            !sc_template_change_case(run, key.string, CASE_LOWER, &keys[i]))
            return false;
        if (!sc_template_pair(run, items->items[i], keys[i], &pair) || !sc_template_list_push(run, pairs, pair))
            return false;
    }
    if (!sc_template_sort(run, pairs, keys, false)) return false;
    for (size_t i = 0; i < pairs->n; i++) {
        const struct value *pair = pairs->items[i].list->items;
        struct value grouper;
        bool is_same = false;
        if (group && !sc_template_equal(run, pair[1], last, &is_same)) return false;
        if (!is_same &&
            (!sc_template_path(run, pair[0], path, otherwise, &grouper) || !push_group(run, groups, grouper, &group)))
            return false;
        last = pair[1];
        if (!sc_template_list_push(run, group, pair[0])) return false;
    }
    *out = sc_template_list(groups);
    return true;
}

const struct native sc_template_filters_list[] = {
    { "list", filter_list, "" },
    { "first", filter_first, "" },
    { "last", filter_last, "" },
    { "join", filter_join, "d attribute" },
    { "reverse", filter_reverse, "" },
    { "sort", filter_sort, "reverse case_sensitive attribute" },
    { "dictsort", filter_dictsort, "case_sensitive by reverse" },
    { "unique", filter_unique, "case_sensitive attribute" },
    { "min", filter_min, "case_sensitive attribute" },
    { "max", filter_max, "case_sensitive attribute" },
    { "sum", filter_sum, "attribute start" },
    { "batch", filter_batch, "linecount! fill_with" },
    { "slice", filter_slice, "slices! fill_with" },
    { "groupby", filter_groupby, "attribute! default case_sensitive" },
    { 0 },
};
