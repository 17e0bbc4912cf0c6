// Tests: what stands after `is`.
#include "text/template_internal.h"

#include <string.h>

static bool answer(struct value *out, bool holds)
{
    *out = sc_template_bool(holds);
    return true;
}

// One function per question about the kind of a value.
static bool test_defined(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind != VALUE_UNDEFINED);
}

static bool test_undefined(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_UNDEFINED);
}

static bool test_none(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_NONE);
}

static bool test_boolean(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_BOOL);
}

static bool test_true(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_BOOL && call->self.boolean);
}

static bool test_false(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_BOOL && !call->self.boolean);
}

static bool test_integer(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_INT);
}

static bool test_float(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_FLOAT);
}

static bool test_number(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, sc_template_is_number(call->self));
}

static bool test_string(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_STRING);
}

static bool test_mapping(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_DICT);
}

static bool test_iterable(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, sc_template_is_iterable(call->self));
}

// Has a length and items: mappings and undefined values do, too.
static bool test_sequence(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    enum value_kind kind = call->self.kind;
    return answer(out, kind == VALUE_STRING || kind == VALUE_LIST || kind == VALUE_TUPLE || kind == VALUE_DICT ||
                           kind == VALUE_RANGE || kind == VALUE_UNDEFINED);
}

static bool test_callable(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    enum value_kind kind = call->self.kind;
    return answer(out, kind == VALUE_MACRO || kind == VALUE_METHOD || kind == VALUE_FUNCTION || kind == VALUE_LOOP ||
                           kind == VALUE_JOINER || kind == VALUE_UNDEFINED);
}

static bool test_escaped(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    return answer(out, call->self.kind == VALUE_STRING && call->self.string->is_markup);
}

static bool test_filter(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    const struct string *name = call->self.kind == VALUE_STRING ? call->self.string : NULL;
    return answer(out, name && sc_template_filter_find(name->data, name->n_bytes));
}

static bool test_test(struct run *run, struct call *call, struct value *out)
{
    (void)run;
    const struct string *name = call->self.kind == VALUE_STRING ? call->self.string : NULL;
    return answer(out, name && sc_template_native_find(sc_template_tests, name->data, name->n_bytes));
}

// The same object: what has no identity of its own is the same when it is equal.
static bool test_sameas(struct run *run, struct call *call, struct value *out)
{
    struct value a = call->self, b = call->args[0];
    bool is_same = a.kind == b.kind;
    if (is_same && (a.kind <= VALUE_STRING)) {
        if (!sc_template_equal(run, a, b, &is_same)) return false;
    } else if (is_same) is_same = a.list == b.list;
    return answer(out, is_same);
}

static bool test_eq(struct run *run, struct call *call, struct value *out)
{
    bool is_equal;
    return sc_template_equal(run, call->self, call->args[0], &is_equal) && answer(out, is_equal);
}

static bool test_ne(struct run *run, struct call *call, struct value *out)
{
    bool is_equal;
    return sc_template_equal(run, call->self, call->args[0], &is_equal) && answer(out, !is_equal);
}

static bool test_lt(struct run *run, struct call *call, struct value *out)
{
    int order;
    return sc_template_compare(run, "<", call->self, call->args[0], &order) && answer(out, order < 0);
}

static bool test_le(struct run *run, struct call *call, struct value *out)
{
    int order;
    return sc_template_compare(run, "<=", call->self, call->args[0], &order) && answer(out, order <= 0);
}

static bool test_gt(struct run *run, struct call *call, struct value *out)
{
    int order;
    return sc_template_compare(run, ">", call->self, call->args[0], &order) && answer(out, order == 1);
}

static bool test_ge(struct run *run, struct call *call, struct value *out)
{
    int order;
    return sc_template_compare(run, ">=", call->self, call->args[0], &order) && answer(out, order == 0 || order == 1);
}

static bool test_in(struct run *run, struct call *call, struct value *out)
{
    bool is_in;
    return sc_template_contains(run, call->args[0], call->self, &is_in) && answer(out, is_in);
}

static bool leaves_rest(struct run *run, struct value number, struct value divisor, int64_t rest, struct value *out)
{
    bool is_equal;
    return sc_template_operate(run, OP_MODULO, number, divisor, out) &&
           sc_template_equal(run, *out, sc_template_int(rest), &is_equal) && answer(out, is_equal);
}

static bool test_odd(struct run *run, struct call *call, struct value *out)
{
    return leaves_rest(run, call->self, sc_template_int(2), 1, out);
}

static bool test_even(struct run *run, struct call *call, struct value *out)
{
    return leaves_rest(run, call->self, sc_template_int(2), 0, out);
}

static bool test_divisibleby(struct run *run, struct call *call, struct value *out)
{
    return leaves_rest(run, call->self, call->args[0], 0, out);
}

static bool ask_string(struct run *run, struct call *call, const char *method, struct value *out)
{
    const struct native *native = sc_template_native_find(sc_template_methods_string_ask, method, strlen(method));
    struct value self = { .kind = VALUE_STRING };
    return sc_template_str(run, call->self, &self.string) &&
           sc_template_native_call(run, "str", native, self, &(struct arguments){ 0 }, out);
}

static bool test_upper(struct run *run, struct call *call, struct value *out)
{
    return ask_string(run, call, "isupper", out);
}

static bool test_lower(struct run *run, struct call *call, struct value *out)
{
    return ask_string(run, call, "islower", out);
}

const struct native sc_template_tests[] = {
    { "defined", test_defined, "" },
    { "undefined", test_undefined, "" },
    { "none", test_none, "" },
    { "boolean", test_boolean, "" },
    { "true", test_true, "" },
    { "false", test_false, "" },
    { "integer", test_integer, "" },
    { "float", test_float, "" },
    { "number", test_number, "" },
    { "string", test_string, "" },
    { "mapping", test_mapping, "" },
    { "iterable", test_iterable, "" },
    { "sequence", test_sequence, "" },
    { "callable", test_callable, "" },
    { "escaped", test_escaped, "" },
    { "filter", test_filter, "" },
    { "test", test_test, "" },
    { "sameas", test_sameas, "other!" },
    { "eq", test_eq, "other!" },
    { "equalto", test_eq, "other!" },
    { "==", test_eq, "other!" },
    { "ne", test_ne, "other!" },
    { "!=", test_ne, "other!" },
    { "lt", test_lt, "other!" },
    { "lessthan", test_lt, "other!" },
    { "<", test_lt, "other!" },
    { "le", test_le, "other!" },
    { "<=", test_le, "other!" },
    { "gt", test_gt, "other!" },
    { "greaterthan", test_gt, "other!" },
    { ">", test_gt, "other!" },
    { "ge", test_ge, "other!" },
    { ">=", test_ge, "other!" },
    { "in", test_in, "seq!" },
    { "odd", test_odd, "" },
    { "even", test_even, "" },
    { "divisibleby", test_divisibleby, "num!" },
    { "upper", test_upper, "" },
    { "lower", test_lower, "" },
    { 0 },
};
