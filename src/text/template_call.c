// Calling natives: finding them in their tables, matching arguments with parameters, reading arguments.
#include "text/template_internal.h"

#include <string.h>

const struct native *sc_template_native_find(const struct native *table, const char *name, size_t n_bytes)
{
    for (; table->name; table++)
        if (strlen(table->name) == n_bytes && memcmp(table->name, name, n_bytes) == 0) return table;
    return NULL;
}

// One parameter of a native, cut from its list.
struct parameter {
    struct sc_text name;
    bool is_needed;
};

enum { ANY_NUMBER = -1 };

// The parameters of a native; a "*" at their end gives *n_max = ANY_NUMBER.
static int read_parameters(const char *text, struct parameter out[PARAMETERS_MAX], int *n_max)
{
    int n = 0;
    *n_max = 0;
    while (*text) {
        size_t n_bytes = strcspn(text, " ");
        if (*text == '*') {
            *n_max = ANY_NUMBER;
            return n;
        }
        bool is_needed = text[n_bytes - 1] == '!';
        out[n++] = (struct parameter){ { text, n_bytes - is_needed }, is_needed };
        text += n_bytes;
        while (*text == ' ') text++;
    }
    *n_max = n;
    return n;
}

static bool bind_named(struct run *run, const char *what, const struct native *native,
                       const struct parameter *parameters, int n, const struct named_value *named, struct call *call)
{
    struct sc_text name = { named->name->data, named->name->n_bytes };
    for (int i = 0; i < n; i++) {
        if (!sc_text_equal(parameters[i].name, name)) continue;
        if (call->args[i].kind != VALUE_ABSENT)
            return sc_template_fail(run, "%s %s() got multiple values for argument '%.*s'", what, native->name,
                                    SC_TEXT_ARGS(name));
        call->args[i] = named->value;
        return true;
    }
    return sc_template_fail(run, "%s %s() got an unexpected keyword argument '%.*s'", what, native->name,
                            SC_TEXT_ARGS(name));
}

bool sc_template_native_call(struct run *run, const char *what, const struct native *native, struct value self,
                             const struct arguments *given, struct value *out)
{
    struct parameter parameters[PARAMETERS_MAX];
    struct call call = { .self = self, .given = given };
    int n_max, n = read_parameters(native->parameters, parameters, &n_max);
    if (n_max != ANY_NUMBER && given->n_positional > (size_t)n_max)
        return sc_template_fail(run, "%s %s() takes at most %d argument%s, %zu given", what, native->name, n_max,
                                n_max == 1 ? "" : "s", given->n_positional);
    for (size_t i = 0; i < given->n_positional && i < (size_t)n; i++) call.args[i] = given->positional[i];
    for (size_t i = 0; i < given->n_named && n_max != ANY_NUMBER; i++)
        if (!bind_named(run, what, native, parameters, n, &given->named[i], &call)) return false;
    for (int i = 0; i < n; i++)
        if (parameters[i].is_needed && call.args[i].kind == VALUE_ABSENT)
            return sc_template_fail(run, "%s %s() is missing its argument '%.*s'", what, native->name,
                                    SC_TEXT_ARGS(parameters[i].name));
    return native->call(run, &call, out);
}

static bool call_joiner(struct run *run, struct cycler *joiner, struct value *out)
{
    *out = joiner->separator;
    if (joiner->position++) return true;
    return sc_template_string_view(run, "", 0, out);
}

bool sc_template_call(struct run *run, struct value callee, const struct arguments *given, struct value *out)
{
    switch (callee.kind) {
    case VALUE_MACRO: return sc_template_macro_call(run, callee.macro, given, out);
    case VALUE_METHOD:
        return sc_template_native_call(run, sc_template_type_name(callee.method->self), callee.method->native,
                                       callee.method->self, given, out);
    case VALUE_FUNCTION:
        return sc_template_native_call(run, "function", callee.function, sc_template_none(), given, out);
    case VALUE_LOOP:
        if (given->n_positional != 1 || given->n_named) return sc_template_fail(run, "loop() takes one argument");
        return sc_template_loop_call(run, callee.loop, given->positional[0], out);
    case VALUE_JOINER: return call_joiner(run, callee.cycler, out);
    case VALUE_UNDEFINED: return sc_template_fail_undefined(run, callee);
    default: return sc_template_fail(run, "'%s' object is not callable", sc_template_type_name(callee));
    }
}

bool sc_template_arg_int(struct run *run, struct value arg, int64_t otherwise, int64_t *out)
{
    if (arg.kind == VALUE_ABSENT) *out = otherwise;
    else if (arg.kind == VALUE_BOOL) *out = arg.boolean;
    else if (arg.kind == VALUE_INT) *out = arg.integer;
    else if (arg.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, arg);
    else return sc_template_fail(run, "'%s' object cannot be interpreted as an integer", sc_template_type_name(arg));
    return true;
}

bool sc_template_arg_bool(struct value arg, bool otherwise)
{
    return arg.kind == VALUE_ABSENT ? otherwise : sc_template_truth(arg);
}

bool sc_template_arg_string(struct run *run, struct value arg, const char *what, const struct string **out)
{
    if (arg.kind != VALUE_STRING) {
        if (arg.kind == VALUE_UNDEFINED && arg.undefined->is_refused) return sc_template_fail_undefined(run, arg);
        return sc_template_fail(run, "%s must be str, not %s", what, sc_template_type_name(arg));
    }
    *out = arg.string;
    return true;
}
