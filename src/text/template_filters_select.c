// Filters that apply other filters or tests to every item: map, select and reject.
#include "text/template_internal.h"

#include <string.h>

// The filter or test that an argument names.
static bool named_native(struct run *run, struct value name, bool is_test, const struct native **out)
{
    const struct string *text;
    if (!sc_template_arg_string(run, name, is_test ? "the name of a test" : "the name of a filter", &text))
        return false;
    *out = is_test ? sc_template_native_find(sc_template_tests, text->data, text->n_bytes)
                   : sc_template_filter_find(text->data, text->n_bytes);
    return *out || sc_template_fail(run, "no %s named '%.*s'", is_test ? "test" : "filter",
                                    (int)SC_MIN(text->n_bytes, 200), text->data);
}

// The arguments after the first n.
static struct arguments rest_of(const struct arguments *given, size_t n)
{
    struct arguments rest = *given;
    n = SC_MIN(n, rest.n_positional);
    if (rest.positional) rest.positional += n;
    rest.n_positional -= n;
    return rest;
}

static const struct value *named_argument(const struct arguments *given, const char *name)
{
    for (size_t i = 0; i < given->n_named; i++)
        if (sc_text_is((struct sc_text){ given->named[i].name->data, given->named[i].name->n_bytes }, name))
            return &given->named[i].value;
    return NULL;
}

static bool filter_map(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    const struct native *filter = NULL;
    struct list *list = sc_template_list_new(run, 0);
    const struct value *path = named_argument(call->given, "attribute");
    const struct value *otherwise = named_argument(call->given, "default");
    bool by_attribute = !call->given->n_positional && path;
    struct arguments rest = rest_of(call->given, 1);
    // Whatever is false counts as empty, even None.
    if (list && !sc_template_truth(call->self)) return sc_template_iterator(run, list, out);
    if (!list || !sc_template_items(run, call->self, &items)) return false;
    if (items->n && by_attribute && call->given->n_named > (size_t)(1 + (otherwise != NULL)))
        return sc_template_fail(run, "map() got an unexpected keyword argument");
    if (items->n && !by_attribute && !call->given->n_positional)
        return sc_template_fail(run, "map requires a filter argument");
    if (items->n && !by_attribute && !named_native(run, call->given->positional[0], false, &filter)) return false;
    if (!sc_template_enter(run)) return false;
    for (size_t i = 0; i < items->n; i++) {
        struct value item;
        bool ok = filter ? sc_template_native_call(run, "filter", filter, items->items[i], &rest, &item)
                         : sc_template_path(run, items->items[i], *path, otherwise ? *otherwise : (struct value){ 0 },
                                            &item);
        if (!ok || !sc_template_step(run, 1) || !sc_template_list_push(run, list, item)) return false;
    }
    run->depth--;
    return sc_template_iterator(run, list, out);
}

// Keeps the items of which the test says `keeps`. The first argument is an attribute to test when by_attribute is true.
static bool choose(struct run *run, struct call *call, bool keeps, bool by_attribute, struct value *out)
{
    const struct list *items;
    const struct native *test = NULL;
    struct list *list = sc_template_list_new(run, 0);
    const struct arguments *given = call->given;
    struct arguments rest = rest_of(given, 1 + by_attribute);
    struct value path = { 0 };
    // Whatever is false counts as empty, even None.
    if (list && !sc_template_truth(call->self)) return sc_template_iterator(run, list, out);
    if (!list || !sc_template_items(run, call->self, &items)) return false;
    if (items->n && by_attribute) {
        if (!given->n_positional) return sc_template_fail(run, "Missing parameter for attribute name");
        path = given->positional[0];
    }
    if (items->n && given->n_positional > by_attribute &&
        !named_native(run, given->positional[by_attribute], true, &test))
        return false;
    if (!sc_template_enter(run)) return false;
    for (size_t i = 0; i < items->n; i++) {
        struct value item, verdict;
        if (!sc_template_path(run, items->items[i], path, (struct value){ 0 }, &item) || !sc_template_step(run, 1))
            return false;
        verdict = item;
        if (test && !sc_template_native_call(run, "test", test, item, &rest, &verdict)) return false;
        if (sc_template_truth(verdict) == keeps && !sc_template_list_push(run, list, items->items[i])) return false;
    }
    run->depth--;
    return sc_template_iterator(run, list, out);
}

static bool filter_select(struct run *run, struct call *call, struct value *out)
{
    return choose(run, call, true, false, out);
}

static bool filter_reject(struct run *run, struct call *call, struct value *out)
{
    return choose(run, call, false, false, out);
}

static bool filter_selectattr(struct run *run, struct call *call, struct value *out)
{
    return choose(run, call, true, true, out);
}

static bool filter_rejectattr(struct run *run, struct call *call, struct value *out)
{
    return choose(run, call, false, true, out);
}

const struct native sc_template_filters_select[] = {
    { "map", filter_map, "*" },
    { "select", filter_select, "*" },
    { "reject", filter_reject, "*" },
    { "selectattr", filter_selectattr, "*" },
    { "rejectattr", filter_rejectattr, "*" },
    { 0 },
};
