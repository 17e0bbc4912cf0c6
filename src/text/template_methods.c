// Methods of lists, tuples, dicts, loops and cyclers. Those that would change their object are refused.
#include "text/template_internal.h"

#include <string.h>

static bool method_index(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    int64_t n, start, stop;
    if (!sc_template_items(run, call->self, &items)) return false;
    n = (int64_t)items->n;
    if (!sc_template_arg_int(run, call->args[1], 0, &start) || !sc_template_arg_int(run, call->args[2], n, &stop))
        return false;
    stop = sc_template_clamp_index(stop, n);
    for (int64_t i = sc_template_clamp_index(start, n); i < stop; i++) {
        bool is_equal;
        if (!sc_template_step(run, 1) || !sc_template_equal(run, items->items[i], call->args[0], &is_equal))
            return false;
        if (!is_equal) continue;
        *out = sc_template_int(i);
        return true;
    }
    return sc_template_fail(run, "the value is not in the %s", sc_template_type_name(call->self));
}

static bool method_count(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    int64_t n = 0;
    if (!sc_template_items(run, call->self, &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        bool is_equal;
        if (!sc_template_step(run, 1) || !sc_template_equal(run, items->items[i], call->args[0], &is_equal))
            return false;
        n += is_equal;
    }
    *out = sc_template_int(n);
    return true;
}

static bool method_copy(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    *out = call->self; // nothing can change either of the two
    return true;
}

static bool view_of(struct run *run, struct call *call, enum view_kind kind, struct value *out)
{
    struct view *view = sc_template_alloc(run, 1, sizeof *view);
    if (!view) return false;
    *view = (struct view){ kind, call->self.dict };
    *out = (struct value){ .kind = VALUE_VIEW, .view = view };
    return true;
}

static bool method_keys(struct run *run, struct call *call, struct value *out)
{
    return view_of(run, call, VIEW_KEYS, out);
}

static bool method_values(struct run *run, struct call *call, struct value *out)
{
    return view_of(run, call, VIEW_VALUES, out);
}

static bool method_items(struct run *run, struct call *call, struct value *out)
{
    return view_of(run, call, VIEW_ITEMS, out);
}

static bool method_get(struct run *run, struct call *call, struct value *out)
{
    struct value *there;
    if (!sc_template_dict_find(run, call->self.dict, call->args[0], &there)) return false;
    *out = there ? *there : call->args[1].kind == VALUE_ABSENT ? sc_template_none() : call->args[1];
    return true;
}

static bool method_cycle(struct run *run, struct call *call, struct value *out)
{
    if (!call->given->n_positional) return sc_template_fail(run, "no items for cycling given");
    *out = call->given->positional[call->self.loop->index % call->given->n_positional];
    return true;
}

static bool method_changed(struct run *run, struct call *call, struct value *out)
{
    struct loop *loop = call->self.loop;
    struct list *list = sc_template_list_new(run, call->given->n_positional);
    bool is_equal;
    if (!list) return false;
    for (size_t i = 0; i < call->given->n_positional; i++)
        if (!sc_template_list_push(run, list, call->given->positional[i])) return false;
    struct value now = sc_template_tuple(list);
    if (!sc_template_equal(run, loop->changed, now, &is_equal)) return false;
    loop->changed = now;
    *out = sc_template_bool(!is_equal);
    return true;
}

static bool method_next(struct run *run, struct call *call, struct value *out)
{
    struct cycler *cycler = call->self.cycler;
    (void)run;
    *out = cycler->items->items[cycler->position];
    cycler->position = (cycler->position + 1) % cycler->items->n;
    return true;
}

static bool method_reset(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    call->self.cycler->position = 0;
    *out = sc_template_none();
    return true;
}

const struct native sc_template_methods_list[] = {
    { "index", method_index, "value! start stop" },
    { "count", method_count, "value!" },
    { "copy", method_copy, "" },
    { "append", NULL, "" },
    { "clear", NULL, "" },
    { "extend", NULL, "" },
    { "insert", NULL, "" },
    { "pop", NULL, "" },
    { "remove", NULL, "" },
    { "reverse", NULL, "" },
    { "sort", NULL, "" },
    { 0 },
};

const struct native sc_template_methods_tuple[] = {
    { "index", method_index, "value! start stop" },
    { "count", method_count, "value!" },
    { 0 },
};

const struct native sc_template_methods_dict[] = {
    { "get", method_get, "key! default" },
    { "items", method_items, "" },
    { "keys", method_keys, "" },
    { "values", method_values, "" },
    { "copy", method_copy, "" },
    { "clear", NULL, "" },
    { "pop", NULL, "" },
    { "popitem", NULL, "" },
    { "setdefault", NULL, "" },
    { "update", NULL, "" },
    { 0 },
};

const struct native sc_template_methods_loop[] = {
    { "cycle", method_cycle, "*" },
    { "changed", method_changed, "*" },
    { 0 },
};

const struct native sc_template_methods_cycler[] = {
    { "next", method_next, "" },
    { "reset", method_reset, "" },
    { 0 },
};
