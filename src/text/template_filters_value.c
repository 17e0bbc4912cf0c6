// Filters on single values: defaults, conversions, numbers, JSON, markup.
#include "text/template_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// A string whose text a filter has just written, from `begin` on.
static bool finish(struct run *run, bool ok, size_t begin, struct value *out)
{
    return ok && sc_template_text_end(run, begin, out);
}

static bool filter_default(struct run *run, struct call *call, struct value *out)
{
    bool replaces_false = sc_template_arg_bool(call->args[1], false);
    bool is_missing = call->self.kind == VALUE_UNDEFINED || (replaces_false && !sc_template_truth(call->self));
    *out = is_missing ? call->args[0] : call->self;
    return out->kind != VALUE_ABSENT || sc_template_string_view(run, "", 0, out);
}

static bool filter_string(struct run *run, struct call *call, struct value *out)
{
    out->kind = VALUE_STRING;
    return sc_template_str(run, call->self, &out->string);
}

static bool filter_length(struct run *run, struct call *call, struct value *out)
{
    int64_t n;
    if (!sc_template_length(run, call->self, &n)) return false;
    *out = sc_template_int(n);
    return true;
}

static bool int_of_real(double real, struct value *out)
{
    if (!(real > -9223372036854775809.0 && real < 9223372036854775808.0)) return false;
    *out = sc_template_int((int64_t)real);
    return true;
}

// int(value), and int(float(value)) where that does not work; the default where neither does.
static bool filter_int(struct run *run, struct call *call, struct value *out)
{
    int64_t base = 10, integer;
    double real;
    struct value self = call->self;
    if (self.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, self);
    *out = call->args[0].kind == VALUE_ABSENT ? sc_template_int(0) : call->args[0];
    if (sc_template_is_integer(self)) *out = sc_template_int(self.kind == VALUE_BOOL ? self.boolean : self.integer);
    if (self.kind == VALUE_FLOAT && !int_of_real(self.real, out) && isfinite(self.real))
        return sc_template_fail(run, "a whole number that does not fit 64 bits");
    if (self.kind != VALUE_STRING) return true;
    struct sc_text text = { self.string->data, self.string->n_bytes };
    bool has_base = call->args[1].kind == VALUE_ABSENT || sc_template_is_integer(call->args[1]);
    if (!sc_template_step_bytes(run, text.n_bytes)) return false;
    if (has_base && !sc_template_arg_int(run, call->args[1], 10, &base)) return false;
    if (has_base && sc_template_parse_int(text, base, &integer)) *out = sc_template_int(integer);
    else if (sc_template_parse_float(text, &real) && !int_of_real(real, out) && isfinite(real))
        return sc_template_fail(run, "a whole number that does not fit 64 bits");
    return true;
}

static bool filter_float(struct run *run, struct call *call, struct value *out)
{
    double real;
    struct value self = call->self;
    if (self.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, self);
    *out = call->args[0].kind == VALUE_ABSENT ? sc_template_float(0) : call->args[0];
    if (sc_template_is_number(self)) *out = sc_template_float(sc_template_real(self));
    if (self.kind == VALUE_STRING &&
        sc_template_parse_float((struct sc_text){ self.string->data, self.string->n_bytes }, &real))
        *out = sc_template_float(real);
    return true;
}

static bool filter_abs(struct run *run, struct call *call, struct value *out)
{
    struct value self = call->self;
    if (!sc_template_is_number(self))
        return sc_template_fail(run, "bad operand type for abs(): '%s'", sc_template_type_name(self));
    *out = self.kind == VALUE_FLOAT ? sc_template_float(fabs(self.real)) : self;
    if (self.kind == VALUE_BOOL) *out = sc_template_int(self.boolean);
    return self.kind != VALUE_INT || self.integer >= 0 || sc_template_negate(run, self, out);
}

// A whole number to tens, hundreds, ...: half to even.
static bool round_int(struct run *run, int64_t integer, int64_t precision, struct value *out)
{
    int64_t scale = 1, quotient, rest;
    if (precision < -18) integer = 0;
    for (; precision < 0 && precision >= -18; precision++) scale *= 10;
    if (!sc_template_divmod(run, integer, scale, &quotient, &rest)) return false;
    if (rest > scale - rest || (rest == scale - rest && (quotient & 1) && scale > 1)) quotient++;
    return sc_template_operate(run, OP_MULTIPLY, sc_template_int(quotient), sc_template_int(scale), out);
}

static bool filter_round(struct run *run, struct call *call, struct value *out)
{
    static const struct string common = { "common", 6, 6, false };
    const struct string *method = &common;
    struct value self = call->self;
    int64_t precision;
    double real;
    if (!sc_template_arg_int(run, call->args[0], 0, &precision)) return false;
    if (call->args[1].kind != VALUE_ABSENT && !sc_template_arg_string(run, call->args[1], "method", &method))
        return false;
    struct sc_text name = { method->data, method->n_bytes };
    bool is_common = sc_text_is(name, "common"), is_ceil = sc_text_is(name, "ceil");
    if (!is_common && !is_ceil && !sc_text_is(name, "floor"))
        return sc_template_fail(run, "method must be common, ceil or floor");
    if (self.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, self);
    if (!sc_template_is_number(self))
        return sc_template_fail(run, "type %s doesn't define __round__ method", sc_template_type_name(self));
    if (is_common && sc_template_is_integer(self))
        return round_int(run, self.kind == VALUE_BOOL ? self.boolean : self.integer, precision, out);
    const char *direction = is_common ? "common" : is_ceil ? "ceil" : "floor";
    if (!sc_template_round(run, sc_template_real(self), precision, direction, &real)) return false;
    *out = sc_template_float(real);
    return true;
}

static bool filter_tojson(struct run *run, struct call *call, struct value *out)
{
    size_t begin = sc_template_text_begin(run);
    return finish(run, sc_template_print_json(run, call), begin, out);
}

static bool filter_pprint(struct run *run, struct call *call, struct value *out)
{
    size_t begin = sc_template_text_begin(run);
    return finish(run, sc_template_print_pretty(run, call->self), begin, out);
}

static bool filter_escape(struct run *run, struct call *call, struct value *out)
{
    return sc_template_escape(run, call->self, out);
}

static bool filter_forceescape(struct run *run, struct call *call, struct value *out)
{
    struct string plain;
    const struct string *string;
    if (!sc_template_str(run, call->self, &string)) return false;
    plain = *string;
    plain.is_markup = false;
    return sc_template_escape(run, (struct value){ .kind = VALUE_STRING, .string = &plain }, out);
}

static bool filter_safe(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    struct string *markup = sc_template_alloc(run, 1, sizeof *markup);
    if (!markup || !sc_template_str(run, call->self, &string)) return false;
    *markup = *string;
    markup->is_markup = true;
    *out = (struct value){ .kind = VALUE_STRING, .string = markup };
    return true;
}

static bool filter_attr(struct run *run, struct call *call, struct value *out)
{
    const struct string *name;
    struct value object = call->self;
    if (!sc_template_arg_string(run, call->args[0], "attribute name", &name)) return false;
    if (object.kind != VALUE_DICT) return sc_template_attribute(run, object, name, out);
    // Attributes only: a dict without its items.
    object.dict = sc_template_dict_new(run, 0);
    return object.dict && sc_template_attribute(run, object, name, out);
}

static bool filter_items(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    struct view view = { VIEW_ITEMS, NULL };
    struct value source = call->self;
    if (source.kind != VALUE_UNDEFINED && source.kind != VALUE_DICT)
        return sc_template_fail(run, "Can only get item pairs from a mapping.");
    if (source.kind == VALUE_DICT) {
        view.dict = source.dict;
        source = (struct value){ .kind = VALUE_VIEW, .view = &view };
    }
    return sc_template_items(run, source, &items) && sc_template_iterator(run, items, out);
}

static bool filter_filesizeformat(struct run *run, struct call *call, struct value *out)
{
    static const char *const units[] = { "k", "M", "G", "T", "P", "E", "Z", "Y" };
    struct value number = call->self;
    bool is_binary = sc_template_arg_bool(call->args[0], false);
    double base = is_binary ? 1024 : 1000, n_bytes, unit = base;
    if (number.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, number);
    if (sc_template_is_number(number)) n_bytes = sc_template_real(number);
    else if (number.kind != VALUE_STRING ||
             !sc_template_parse_float((struct sc_text){ number.string->data, number.string->n_bytes }, &n_bytes))
        return sc_template_fail(run, "a size in bytes must be a number, not %s", sc_template_type_name(number));
    char text[64];
    if (n_bytes == 1) snprintf(text, sizeof text, "1 Byte");
    else if (n_bytes < base) snprintf(text, sizeof text, "%.0f Bytes", trunc(n_bytes));
    else {
        size_t i = 0;
        while (i + 1 < SC_COUNT(units) && n_bytes >= unit * base) {
            unit *= base;
            i++;
        }
        double shown = round(n_bytes / unit * 10) / 10;
        const char *prefix = is_binary && i == 0 ? "K" : units[i];
        snprintf(text, sizeof text, "%.0f.%d %s%s", floor(shown), (int)fmod(round(shown * 10), 10), prefix,
                 is_binary ? "iB" : "B");
    }
    return sc_template_string_copy(run, text, strlen(text), out);
}

static bool filter_random(struct run *run, struct call *call, struct value *out)
{
    (void)call;
    (void)out;
    return sc_template_fail(run, "the filter 'random' is refused: a template must give the same text every time");
}

const struct native sc_template_filters_value[] = {
    { "default", filter_default, "default_value boolean" },
    { "d", filter_default, "default_value boolean" },
    { "string", filter_string, "" },
    { "length", filter_length, "" },
    { "count", filter_length, "" },
    { "int", filter_int, "default base" },
    { "float", filter_float, "default" },
    { "abs", filter_abs, "" },
    { "round", filter_round, "precision method" },
    { "tojson", filter_tojson, "ensure_ascii indent separators sort_keys" },
    { "pprint", filter_pprint, "" },
    { "escape", filter_escape, "" },
    { "e", filter_escape, "" },
    { "forceescape", filter_forceescape, "" },
    { "safe", filter_safe, "" },
    { "attr", filter_attr, "name!" },
    { "items", filter_items, "" },
    { "filesizeformat", filter_filesizeformat, "binary" },
    { "random", filter_random, "" },
    { 0 },
};
