// The functions that every template has.
#include "text/template_internal.h"

#include <string.h>

enum { RANGE_MAX = 100000 }; // the sandbox's bound

static bool global_range(struct run *run, struct call *call, struct value *out)
{
    int64_t first, second, step, n = 0;
    struct range *range = sc_template_alloc(run, 1, sizeof *range);
    if (!range || !sc_template_arg_int(run, call->args[0], 0, &first) ||
        !sc_template_arg_int(run, call->args[1], 0, &second) || !sc_template_arg_int(run, call->args[2], 1, &step))
        return false;
    bool has_two = call->args[1].kind != VALUE_ABSENT;
    int64_t start = has_two ? first : 0, stop = has_two ? second : first;
    if (step == 0) return sc_template_fail(run, "range() arg 3 must not be zero");
    uint64_t distance = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    bool is_empty = step > 0 ? stop <= start : stop >= start;
    if (!is_empty && (distance - 1) / stride >= RANGE_MAX)
        return sc_template_fail(run, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", RANGE_MAX);
    if (!is_empty) n = (int64_t)((distance - 1) / stride) + 1;
    *range = (struct range){ start, stop, step, n };
    *out = (struct value){ .kind = VALUE_RANGE, .range = range };
    return true;
}

// dict(mapping or pairs, name=value, ...)
static bool make_dict(struct run *run, struct call *call, struct dict **out)
{
    const struct arguments *given = call->given;
    *out = sc_template_dict_new(run, given->n_named);
    if (!*out) return false;
    if (given->n_positional > 1)
        return sc_template_fail(run, "dict expected at most 1 argument, got %zu", given->n_positional);
    if (given->n_positional && !sc_template_dict_from_pairs(run, given->positional[0], *out)) return false;
    for (size_t i = 0; i < given->n_named; i++)
        if (!sc_template_dict_set(run, *out, (struct value){ .kind = VALUE_STRING, .string = given->named[i].name },
                                  given->named[i].value))
            return false;
    return true;
}

static bool global_dict(struct run *run, struct call *call, struct value *out)
{
    struct dict *dict;
    if (!make_dict(run, call, &dict)) return false;
    *out = sc_template_dict(dict);
    return true;
}

static bool global_namespace(struct run *run, struct call *call, struct value *out)
{
    struct dict *dict;
    if (!make_dict(run, call, &dict)) return false;
    *out = (struct value){ .kind = VALUE_NAMESPACE, .dict = dict };
    return true;
}

static bool global_cycler(struct run *run, struct call *call, struct value *out)
{
    struct cycler *cycler = sc_template_alloc(run, 1, sizeof *cycler);
    struct list *list = sc_template_list_new(run, call->given->n_positional);
    if (!cycler || !list) return false;
    if (!call->given->n_positional) return sc_template_fail(run, "at least one item has to be provided");
    for (size_t i = 0; i < call->given->n_positional; i++)
        if (!sc_template_list_push(run, list, call->given->positional[i])) return false;
    cycler->items = list;
    *out = (struct value){ .kind = VALUE_CYCLER, .cycler = cycler };
    return true;
}

static bool global_joiner(struct run *run, struct call *call, struct value *out)
{
    struct cycler *joiner = sc_template_alloc(run, 1, sizeof *joiner);
    if (!joiner) return false;
    joiner->separator = call->args[0];
    if (joiner->separator.kind == VALUE_ABSENT && !sc_template_string_view(run, ", ", 2, &joiner->separator))
        return false;
    *out = (struct value){ .kind = VALUE_JOINER, .cycler = joiner };
    return true;
}

static bool global_raise_exception(struct run *run, struct call *call, struct value *out)
{
    const struct string *message;
    (void)out;
    if (!sc_template_str(run, call->args[0], &message)) return false;
    return sc_template_fail(run, "%.*s", (int)SC_MIN(message->n_bytes, 900), message->data);
}

static bool global_strftime_now(struct run *run, struct call *call, struct value *out)
{
    const struct string *format;
    size_t begin = sc_template_text_begin(run);
    return sc_template_arg_string(run, call->args[0], "strftime_now() argument", &format) &&
           sc_template_write_time(run, format) && sc_template_text_end(run, begin, out);
}

static bool global_lipsum(struct run *run, struct call *call, struct value *out)
{
    (void)call;
    (void)out;
    return sc_template_fail(run, "the function 'lipsum' is refused: a template must give the same text every time");
}

const struct native sc_template_globals[] = {
    { "range", global_range, "start! stop step" },
    { "dict", global_dict, "*" },
    { "namespace", global_namespace, "*" },
    { "cycler", global_cycler, "*" },
    { "joiner", global_joiner, "sep" },
    { "raise_exception", global_raise_exception, "message!" },
    { "strftime_now", global_strftime_now, "format!" },
    { "lipsum", global_lipsum, "*" },
    { 0 },
};
