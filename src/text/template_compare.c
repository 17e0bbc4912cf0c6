// Equality, order, membership and sorting, as Python has them.
#include "text/template_internal.h"

#include <math.h>
#include <string.h>

#include "text/template_syntax.h"

// Compares a whole number with a real one exactly, without rounding the whole one. 2: not a number.
static int compare_int_real(int64_t a, double b)
{
    if (isnan(b)) return 2;
    if (b >= 9223372036854775808.0) return -1;
    if (b < -9223372036854775808.0) return 1;
    double whole = floor(b);
    int64_t n = (int64_t)whole;
    if (a != n) return a < n ? -1 : 1;
    return b > whole ? -1 : 0;
}

static int compare_numbers(struct value a, struct value b)
{
    if (a.kind == VALUE_FLOAT && b.kind == VALUE_FLOAT) {
        if (isnan(a.real) || isnan(b.real)) return 2;
        return (a.real > b.real) - (a.real < b.real);
    }
    int64_t x = a.kind == VALUE_BOOL ? a.boolean : a.integer, y = b.kind == VALUE_BOOL ? b.boolean : b.integer;
    if (b.kind == VALUE_FLOAT) return compare_int_real(x, b.real);
    if (a.kind == VALUE_FLOAT) {
        int order = compare_int_real(y, a.real);
        return order == 2 ? 2 : -order;
    }
    return (x > y) - (x < y);
}

static int compare_strings(const struct string *a, const struct string *b)
{
    size_t n = SC_MIN(a->n_bytes, b->n_bytes);
    int order = n ? memcmp(a->data, b->data, n) : 0; // the order of UTF-8's bytes is that of code points
    if (order) return order < 0 ? -1 : 1;
    return (a->n_bytes > b->n_bytes) - (a->n_bytes < b->n_bytes);
}

static bool equal_lists(struct run *run, const struct list *a, const struct list *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++)
        if (!sc_template_equal(run, a->items[i], b->items[i], out)) return false;
    return true;
}

static bool equal_dicts(struct run *run, const struct dict *a, const struct dict *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++) {
        struct value *there;
        if (!sc_template_dict_find(run, b, a->entries[i].key, &there)) return false;
        *out = there != NULL;
        if (there && !sc_template_equal(run, a->entries[i].value, *there, out)) return false;
    }
    return true;
}

static bool equal_ranges(const struct range *a, const struct range *b)
{
    return a->n == b->n && (a->n == 0 || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

static bool equal_views(struct run *run, const struct view *a, const struct view *b, bool *out)
{
    *out = false;
    if (a->kind != b->kind || a->kind == VIEW_VALUES) return true;
    if (a->kind == VIEW_ITEMS) return equal_dicts(run, a->dict, b->dict, out);
    *out = a->dict->n == b->dict->n;
    for (size_t i = 0; i < a->dict->n && *out; i++) {
        struct value *there;
        if (!sc_template_dict_find(run, b->dict, a->dict->entries[i].key, &there)) return false;
        *out = there != NULL;
    }
    return true;
}

static bool equal_contents(struct run *run, struct value a, struct value b, bool *out)
{
    switch (a.kind) {
    case VALUE_LIST:
    case VALUE_TUPLE: return equal_lists(run, a.list, b.list, out);
    case VALUE_DICT: return equal_dicts(run, a.dict, b.dict, out);
    case VALUE_VIEW: return equal_views(run, a.view, b.view, out);
    case VALUE_RANGE: *out = equal_ranges(a.range, b.range); return true;
    case VALUE_METHOD:
        *out = a.method->native == b.method->native;
        return !*out || sc_template_equal(run, a.method->self, b.method->self, out);
    default: *out = a.list == b.list; return true; // the same object; all of these are pointers
    }
}

bool sc_template_equal(struct run *run, struct value a, struct value b, bool *out)
{
    *out = false;
    if (sc_template_is_number(a) && sc_template_is_number(b)) {
        *out = compare_numbers(a, b) == 0;
        return true;
    }
    if (a.kind != b.kind) return true;
    if (a.kind == VALUE_NONE || a.kind == VALUE_UNDEFINED || a.kind == VALUE_ABSENT) {
        *out = true;
        return true;
    }
    if (a.kind == VALUE_STRING) {
        *out = a.string->n_bytes == b.string->n_bytes && compare_strings(a.string, b.string) == 0;
        return a.string->n_bytes < 1024 || sc_template_step_bytes(run, a.string->n_bytes);
    }
    if (!sc_template_enter(run) || !sc_template_step(run, 1)) return false;
    bool ok = equal_contents(run, a, b, out);
    run->depth--;
    return ok;
}

static bool compare_lists(struct run *run, const char *op, const struct list *a, const struct list *b, int *out)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool is_equal;
        if (!sc_template_equal(run, a->items[i], b->items[i], &is_equal)) return false;
        if (!is_equal) return sc_template_compare(run, op, a->items[i], b->items[i], out);
    }
    *out = (a->n > b->n) - (a->n < b->n);
    return true;
}

bool sc_template_compare(struct run *run, const char *op, struct value a, struct value b, int *out)
{
    if (sc_template_is_number(a) && sc_template_is_number(b)) {
        *out = compare_numbers(a, b);
        return true;
    }
    if (a.kind == VALUE_STRING && b.kind == VALUE_STRING) {
        *out = compare_strings(a.string, b.string);
        return sc_template_step_bytes(run, SC_MIN(a.string->n_bytes, b.string->n_bytes));
    }
    if (a.kind == b.kind && (a.kind == VALUE_LIST || a.kind == VALUE_TUPLE)) {
        if (!sc_template_enter(run) || !sc_template_step(run, 1)) return false;
        bool ok = compare_lists(run, op, a.list, b.list, out);
        run->depth--;
        return ok;
    }
    if (a.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, a);
    if (b.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, b);
    return sc_template_fail(run, "'%s' not supported between instances of '%s' and '%s'", op, sc_template_type_name(a),
                            sc_template_type_name(b));
}

static bool contains_number(const struct range *range, struct value item)
{
    if (!sc_template_is_number(item) || range->n == 0) return false;
    double real = sc_template_real(item);
    if (item.kind == VALUE_FLOAT && (real != floor(real) || fabs(real) > 9e18)) return false;
    int64_t n = item.kind == VALUE_FLOAT ? (int64_t)real : item.kind == VALUE_BOOL ? item.boolean : item.integer;
    int64_t last = range->start + (range->n - 1) * range->step;
    if (n < SC_MIN(range->start, last) || n > SC_MAX(range->start, last)) return false;
    uint64_t distance = n > range->start ? (uint64_t)n - (uint64_t)range->start : (uint64_t)range->start - (uint64_t)n;
    return distance % (uint64_t)(range->step < 0 ? -range->step : range->step) == 0;
}

bool sc_template_contains(struct run *run, struct value container, struct value item, bool *out)
{
    *out = false;
    if (container.kind == VALUE_STRING) {
        if (item.kind != VALUE_STRING)
            return sc_template_fail(run, "'in <string>' requires string as left operand, not %s",
                                    sc_template_type_name(item));
        struct sc_text text = { container.string->data, container.string->n_bytes };
        *out = sc_template_find(text, (struct sc_text){ item.string->data, item.string->n_bytes }, 0) >= 0;
        return sc_template_step_bytes(run, text.n_bytes);
    }
    if (container.kind == VALUE_DICT || (container.kind == VALUE_VIEW && container.view->kind == VIEW_KEYS)) {
        struct value *there;
        const struct dict *dict = container.kind == VALUE_DICT ? container.dict : container.view->dict;
        if (!sc_template_dict_find(run, dict, item, &there)) return false;
        *out = there != NULL;
        return true;
    }
    if (container.kind == VALUE_RANGE) {
        *out = contains_number(container.range, item);
        return true;
    }
    const struct list *items;
    if (!sc_template_is_iterable(container))
        return sc_template_fail(run, "argument of type '%s' is not iterable", sc_template_type_name(container));
    if (!sc_template_items(run, container, &items) || !sc_template_step(run, items->n)) return false;
    for (size_t i = 0; i < items->n && !*out; i++)
        if (!sc_template_equal(run, items->items[i], item, out)) return false;
    return true;
}

struct sorted {
    struct value key, item;
};

// Merges two sorted runs; what is equal stays in order, also when the order is reversed.
static bool merge(struct run *run, const struct sorted *from, size_t middle, size_t n, bool is_reversed,
                  struct sorted *to)
{
    size_t i = 0, j = middle;
    for (size_t k = 0; k < n; k++) {
        bool takes_second = i == middle;
        if (!takes_second && j < n) {
            int order;
            struct value a = is_reversed ? from[i].key : from[j].key, b = is_reversed ? from[j].key : from[i].key;
            if (!sc_template_step(run, 1) || !sc_template_compare(run, "<", a, b, &order)) return false;
            takes_second = order == -1;
        }
        to[k] = from[takes_second ? j++ : i++];
    }
    return true;
}

bool sc_template_sort(struct run *run, struct list *items, const struct value *keys, bool is_reversed)
{
    size_t n = items->n;
    struct sorted *from = sc_template_alloc(run, n, sizeof *from), *to = sc_template_alloc(run, n, sizeof *to);
    if (!from || !to) return false;
    for (size_t i = 0; i < n; i++) from[i] = (struct sorted){ keys ? keys[i] : items->items[i], items->items[i] };
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t length = SC_MIN(2 * width, n - at);
            if (!merge(run, from + at, SC_MIN(width, length), length, is_reversed, to + at)) return false;
        }
        struct sorted *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++) items->items[i] = from[i].item;
    return true;
}
