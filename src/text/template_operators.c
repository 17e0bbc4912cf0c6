// Arithmetic and joining of values.
#include "text/template_internal.h"

#include <math.h>
#include <string.h>

#include "text/template_syntax.h"

static const char *const symbols[] = { "+", "-", "*", "/", "//", "%", "** or pow()" };

static bool overflow(struct run *run) { return sc_template_fail(run, "a whole number that does not fit 64 bits"); }

bool sc_template_divmod(struct run *run, int64_t a, int64_t b, int64_t *quotient, int64_t *rest)
{
    if (b == 0) return sc_template_fail(run, "integer division or modulo by zero");
    if (b == -1) {
        *rest = 0;
        return __builtin_sub_overflow(0, a, quotient) ? overflow(run) : true;
    }
    *quotient = a / b;
    *rest = a % b;
    if (*rest && (*rest < 0) != (b < 0)) { // towards minus infinity, so that the rest has b's sign
        *quotient -= 1;
        *rest += b;
    }
    return true;
}

static bool power_int(struct run *run, int64_t a, int64_t n, struct value *out)
{
    if (n < 0) {
        if (a == 0) return sc_template_fail(run, "0.0 cannot be raised to a negative power");
        *out = sc_template_float(pow((double)a, (double)n));
        return true;
    }
    int64_t result = 1;
    while (n) {
        if ((n & 1) && __builtin_mul_overflow(result, a, &result)) return overflow(run);
        n >>= 1;
        if (n && __builtin_mul_overflow(a, a, &a)) return overflow(run);
    }
    *out = sc_template_int(result);
    return true;
}

static bool operate_int(struct run *run, enum operator op, int64_t a, int64_t b, struct value *out)
{
    int64_t result = 0, rest;
    bool is_over = false;
    switch (op) {
    case OP_ADD: is_over = __builtin_add_overflow(a, b, &result); break;
    case OP_SUBTRACT: is_over = __builtin_sub_overflow(a, b, &result); break;
    case OP_MULTIPLY: is_over = __builtin_mul_overflow(a, b, &result); break;
    case OP_DIVIDE:
        if (b == 0) return sc_template_fail(run, "division by zero");
        *out = sc_template_float((double)a / (double)b);
        return true;
    case OP_FLOOR_DIVIDE:
        if (!sc_template_divmod(run, a, b, &result, &rest)) return false;
        break;
    case OP_MODULO:
        if (b == -1) break; // also where the quotient would not fit
        if (!sc_template_divmod(run, a, b, &rest, &result)) return false;
        break;
    case OP_POWER: return power_int(run, a, b, out);
    }
    if (is_over) return overflow(run);
    *out = sc_template_int(result);
    return true;
}

static bool operate_real(struct run *run, enum operator op, double a, double b, struct value *out)
{
    double result = 0, rest;
    switch (op) {
    case OP_ADD: result = a + b; break;
    case OP_SUBTRACT: result = a - b; break;
    case OP_MULTIPLY: result = a * b; break;
    case OP_DIVIDE:
        if (b == 0) return sc_template_fail(run, "float division by zero");
        result = a / b;
        break;
    case OP_FLOOR_DIVIDE:
    case OP_MODULO:
        if (b == 0) return sc_template_fail(run, "float floor division or modulo by zero");
        rest = fmod(a, b);
        if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
        else if (rest == 0) rest = copysign(0, b);
        result = op == OP_MODULO ? rest : (a - rest) / b;
        if (op == OP_FLOOR_DIVIDE && result != 0) {
            double whole = floor(result);
            result = result - whole > 0.5 ? whole + 1 : whole;
        }
        break;
    case OP_POWER:
        if (a == 0 && b < 0) return sc_template_fail(run, "0.0 cannot be raised to a negative power");
        result = pow(a, b);
        if (isnan(result) && !isnan(a) && !isnan(b)) return sc_template_fail(run, "the power is not a real number");
        if (isinf(result) && isfinite(a) && isfinite(b)) return sc_template_fail(run, "the power is out of range");
        break;
    }
    *out = sc_template_float(result);
    return true;
}

bool sc_template_concat(struct run *run, const struct string *a, const struct string *b, struct value *out)
{
    struct string *string = sc_template_alloc(run, 1, sizeof *string);
    char *data = string ? sc_template_extend(run, a->data, a->n_bytes, b->n_bytes) : NULL;
    if (!data || !sc_template_step_bytes(run, b->n_bytes)) return false;
    if (b->n_bytes) memcpy(data + a->n_bytes, b->data, b->n_bytes);
    *string = (struct string){ data, a->n_bytes + b->n_bytes, a->n_points + b->n_points, false };
    *out = (struct value){ .kind = VALUE_STRING, .string = string };
    return true;
}

// String + string, where markup escapes what it is added to.
static bool add_strings(struct run *run, struct value a, struct value b, struct value *out)
{
    bool is_markup = a.string->is_markup || b.string->is_markup;
    if (is_markup && (!sc_template_escape(run, a, &a) || !sc_template_escape(run, b, &b))) return false;
    if (!sc_template_concat(run, a.string, b.string, out)) return false;
    if (is_markup) ((struct string *)(uintptr_t)out->string)->is_markup = true; // made just now
    return true;
}

static bool add_lists(struct run *run, struct value a, struct value b, struct value *out)
{
    enum { ITEM = sizeof(struct value) };
    struct list *list = sc_template_list_new(run, 0);
    if (!list || !sc_template_step(run, b.list->n / 8)) return false;
    list->n = list->capacity = a.list->n + b.list->n; // full, so that nothing is ever pushed behind the end
    if (list->n) list->items = sc_template_extend(run, a.list->items, a.list->n * ITEM, b.list->n * ITEM);
    if (list->n && !list->items) return false;
    if (b.list->n) memcpy(list->items + a.list->n, b.list->items, b.list->n * ITEM);
    *out = (struct value){ .kind = a.kind, .list = list };
    return true;
}

static bool repeat(struct run *run, struct value sequence, struct value times, struct value *out)
{
    int64_t n = times.kind == VALUE_BOOL ? times.boolean : times.integer;
    if (n < 0) n = 0;
    if (sequence.kind == VALUE_STRING) {
        size_t begin = sc_template_text_begin(run);
        return sc_template_write_repeated(run, sequence.string, (size_t)n) && sc_template_text_end(run, begin, out);
    }
    uint64_t n_items;
    if (!sc_u64_mul((uint64_t)n, sequence.list->n, &n_items)) n_items = SIZE_MAX;
    if (!sc_template_step(run, n_items / 8)) return false;
    struct list *list = sc_template_list_new(run, (size_t)n_items);
    if (!list) return false;
    for (size_t i = 0; i < n_items; i += sequence.list->n)
        memcpy(list->items + i, sequence.list->items, sequence.list->n * sizeof *list->items);
    list->n = (size_t)n_items;
    *out = (struct value){ .kind = sequence.kind, .list = list };
    return true;
}

static bool is_sequence(struct value value)
{
    return value.kind == VALUE_STRING || value.kind == VALUE_LIST || value.kind == VALUE_TUPLE;
}

bool sc_template_operate(struct run *run, enum operator op, struct value a, struct value b, struct value *out)
{
    if (sc_template_is_integer(a) && sc_template_is_integer(b))
        return operate_int(run, op, a.kind == VALUE_BOOL ? a.boolean : a.integer,
                           b.kind == VALUE_BOOL ? b.boolean : b.integer, out);
    if (sc_template_is_number(a) && sc_template_is_number(b))
        return operate_real(run, op, sc_template_real(a), sc_template_real(b), out);
    if (op == OP_MODULO && a.kind == VALUE_STRING) return sc_template_format_percent(run, a.string, b, out);
    if (op == OP_ADD && a.kind == VALUE_STRING && b.kind == VALUE_STRING) return add_strings(run, a, b, out);
    if (op == OP_ADD && a.kind == b.kind && is_sequence(a)) return add_lists(run, a, b, out);
    if (op == OP_MULTIPLY && is_sequence(a) && sc_template_is_integer(b)) return repeat(run, a, b, out);
    if (op == OP_MULTIPLY && is_sequence(b) && sc_template_is_integer(a)) return repeat(run, b, a, out);
    if (a.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, a);
    if (b.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, b);
    if (op == OP_ADD && a.kind == VALUE_STRING)
        return sc_template_fail(run, "can only concatenate str (not \"%s\") to str", sc_template_type_name(b));
    if (op == OP_ADD && is_sequence(a))
        return sc_template_fail(run, "can only concatenate %s (not \"%s\") to %s", sc_template_type_name(a),
                                sc_template_type_name(b), sc_template_type_name(a));
    return sc_template_fail(run, "unsupported operand type(s) for %s: '%s' and '%s'", symbols[op],
                            sc_template_type_name(a), sc_template_type_name(b));
}

bool sc_template_negate(struct run *run, struct value a, struct value *out)
{
    if (a.kind == VALUE_FLOAT) {
        *out = sc_template_float(-a.real);
        return true;
    }
    if (sc_template_is_integer(a))
        return operate_int(run, OP_SUBTRACT, 0, a.kind == VALUE_BOOL ? a.boolean : a.integer, out);
    if (a.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, a);
    return sc_template_fail(run, "bad operand type for unary -: '%s'", sc_template_type_name(a));
}
