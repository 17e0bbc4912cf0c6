// How values read as text: str() and repr() of Python.
#include "text/template_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_syntax.h"

// The fewest digits that read back as the same number: "d...d" and the power of ten of the first.
static int shortest_digits(double real, char digits[20], int *exponent)
{
    char text[48];
    int n = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, real);
        if (strtod(text, NULL) == real) break;
    }
    const char *at = text;
    for (; *at != 'e'; at++) // the decimal point depends on the locale, so anything else is passed over
        if (*at >= '0' && *at <= '9') digits[n++] = *at;
    *exponent = atoi(at + 1);
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = '\0';
    return n;
}

size_t sc_template_float_text(double real, char out[32])
{
    char digits[20], *at = out;
    int exponent;
    if (isnan(real)) return (size_t)sprintf(out, "nan");
    if (signbit(real)) *at++ = '-';
    real = fabs(real);
    if (isinf(real)) return (size_t)(at - out) + (size_t)sprintf(at, "inf");
    int n = shortest_digits(real, digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        at += sprintf(at, "%c%s%s", digits[0], n > 1 ? "." : "", digits + 1);
        return (size_t)(at - out) + (size_t)sprintf(at, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        at += sprintf(at, "0.");
        for (int i = -1; i > exponent; i--) *at++ = '0';
        return (size_t)(at - out) + (size_t)sprintf(at, "%s", digits);
    }
    for (int i = 0; i <= exponent; i++) *at++ = i < n ? digits[i] : '0';
    *at++ = '.';
    return (size_t)(at - out) + (size_t)sprintf(at, "%s", n > exponent + 1 ? digits + exponent + 1 : "0");
}

static bool write_char_escaped(struct run *run, uint32_t point)
{
    char text[16];
    static const char plain[] = "\t\n\r", letters[] = "tnr";
    const char *found = point && point < 0x80 ? strchr(plain, (int)point) : NULL;
    if (found) snprintf(text, sizeof text, "\\%c", letters[found - plain]);
    else if (point < 0x100) snprintf(text, sizeof text, "\\x%02x", point);
    else if (point < 0x10000) snprintf(text, sizeof text, "\\u%04x", point);
    else snprintf(text, sizeof text, "\\U%08x", point);
    return sc_template_write_string(run, text);
}

static bool print_string_repr(struct run *run, const struct string *string)
{
    bool has_single = memchr(string->data, '\'', string->n_bytes) != NULL;
    char quote = has_single && !memchr(string->data, '"', string->n_bytes) ? '"' : '\'';
    if (!sc_template_step_bytes(run, string->n_bytes * 4) || !sc_template_write(run, &quote, 1)) return false;
    for (size_t i = 0, n; i < string->n_bytes; i += n) {
        uint32_t point = sc_template_point(string->data + i, &n);
        bool ok;
        if (point == (uint32_t)quote || point == '\\')
            ok = sc_template_write_string(run, "\\") && sc_template_write(run, string->data + i, 1);
        else if (sc_template_is_printable(point) || point == SC_TEMPLATE_GUARD)
            ok = sc_template_write(run, string->data + i, n);
        else ok = write_char_escaped(run, point);
        if (!ok) return false;
    }
    return sc_template_write(run, &quote, 1);
}

static bool print_list(struct run *run, const struct list *list, const char *open, const char *close)
{
    if (!sc_template_write_string(run, open)) return false;
    for (size_t i = 0; i < list->n; i++) {
        if (i && !sc_template_write_string(run, ", ")) return false;
        if (!sc_template_print_repr(run, list->items[i])) return false;
    }
    if (list->n == 1 && *close == ')' && *open == '(' && !sc_template_write_string(run, ",")) return false;
    return sc_template_write_string(run, close);
}

static bool print_dict(struct run *run, const struct dict *dict)
{
    if (!sc_template_write_string(run, "{")) return false;
    for (size_t i = 0; i < dict->n; i++) {
        if (i && !sc_template_write_string(run, ", ")) return false;
        if (!sc_template_print_repr(run, dict->entries[i].key) || !sc_template_write_string(run, ": ") ||
            !sc_template_print_repr(run, dict->entries[i].value))
            return false;
    }
    return sc_template_write_string(run, "}");
}

static bool print_view(struct run *run, struct value value)
{
    const struct list *items;
    return sc_template_items(run, value, &items) && sc_template_write_string(run, sc_template_type_name(value)) &&
           print_list(run, items, "([", "])");
}

static bool print_range(struct run *run, const struct range *range)
{
    char text[80];
    if (range->step == 1) snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64 ")", range->start, range->stop);
    else
        snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", range->start, range->stop,
                 range->step);
    return sc_template_write_string(run, text);
}

static bool print_number(struct run *run, struct value value)
{
    char text[40];
    if (value.kind == VALUE_INT) snprintf(text, sizeof text, "%" PRId64, value.integer);
    else if (value.kind == VALUE_BOOL) snprintf(text, sizeof text, "%s", value.boolean ? "True" : "False");
    else return sc_template_write(run, text, sc_template_float_text(value.real, text));
    return sc_template_write_string(run, text);
}

// What has no text of its own: functions and the like.
static bool print_object(struct run *run, struct value value)
{
    char text[80];
    const struct string *name;
    switch (value.kind) {
    case VALUE_MACRO:
        name = value.macro->node->macro.name;
        return sc_template_write_string(run, "<Macro '") && sc_template_write(run, name->data, name->n_bytes) &&
               sc_template_write_string(run, "'>");
    case VALUE_LOOP:
        snprintf(text, sizeof text, "<LoopContext %zu/%zu>", value.loop->index + 1, value.loop->items->n);
        break;
    case VALUE_METHOD:
        snprintf(text, sizeof text, "<built-in method %s of %s object>", value.method->native->name,
                 sc_template_type_name(value.method->self));
        break;
    case VALUE_FUNCTION: snprintf(text, sizeof text, "<function %s>", value.function->name); break;
    default: snprintf(text, sizeof text, "<%s object>", sc_template_type_name(value)); break;
    }
    return sc_template_write_string(run, text);
}

static bool print_contents(struct run *run, struct value value)
{
    switch (value.kind) {
    case VALUE_LIST: return print_list(run, value.list, "[", "]");
    case VALUE_TUPLE: return print_list(run, value.list, "(", ")");
    case VALUE_DICT: return print_dict(run, value.dict);
    case VALUE_VIEW: return print_view(run, value);
    case VALUE_NAMESPACE:
        return sc_template_write_string(run, "<Namespace ") && print_dict(run, value.dict) &&
               sc_template_write_string(run, ">");
    default: return print_object(run, value);
    }
}

bool sc_template_print_repr(struct run *run, struct value value)
{
    switch (value.kind) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED: return sc_template_write_string(run, "Undefined");
    case VALUE_NONE: return sc_template_write_string(run, "None");
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT: return print_number(run, value);
    case VALUE_RANGE: return print_range(run, value.range);
    case VALUE_STRING:
        if (!value.string->is_markup) return print_string_repr(run, value.string);
        return sc_template_write_string(run, "Markup(") && print_string_repr(run, value.string) &&
               sc_template_write_string(run, ")");
    default: break;
    }
    if (!sc_template_step(run, 1) || !sc_template_enter(run)) return false;
    bool ok = print_contents(run, value);
    run->depth--;
    return ok;
}

bool sc_template_print(struct run *run, struct value value)
{
    if (value.kind == VALUE_STRING) return sc_template_write(run, value.string->data, value.string->n_bytes);
    if (value.kind == VALUE_UNDEFINED) return true;
    return sc_template_print_repr(run, value);
}

bool sc_template_str(struct run *run, struct value value, const struct string **out)
{
    struct value text = value;
    if (value.kind != VALUE_STRING) {
        size_t begin = sc_template_text_begin(run);
        if (!sc_template_print(run, value) || !sc_template_text_end(run, begin, &text)) return false;
    }
    *out = text.string;
    return true;
}
