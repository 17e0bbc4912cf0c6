// Python's two ways to fill in text: "%s" % values, and "{}".format(values).
//
// Both come down to the same few layouts: text or a number, in a field of some width.
#include "text/template_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// How one value is laid out: [[fill]align][sign][#][0][width][grouping][.precision][type]
struct layout {
    struct sc_text fill;      // one character; empty: a space
    char align;               // < > ^ =; 0: as the kind of value has it
    char sign;                // + - or space
    bool is_alternate;        // #: 0x and the like
    int64_t width, precision; // precision -1: none
    char grouping;            // , _ or 0
    char type;                // 0: none
};

enum { PRECISION_MAX = 400 };

static bool pad(struct run *run, struct sc_text fill, int64_t n)
{
    struct string unit = { .data = fill.n_bytes ? fill.data : " ", .n_bytes = fill.n_bytes ? fill.n_bytes : 1 };
    return n <= 0 || sc_template_write_repeated(run, &unit, (size_t)n);
}

static bool write_field(struct run *run, const struct layout *layout, struct sc_text text, size_t n_points,
                        char default_align)
{
    int64_t n_pad = layout->width - (int64_t)n_points;
    char align = layout->align ? layout->align : default_align;
    int64_t n_left = n_pad <= 0 ? 0 : align == '>' || align == '=' ? n_pad : align == '^' ? n_pad / 2 : 0;
    return pad(run, layout->fill, n_left) && sc_template_write(run, text.data, text.n_bytes) &&
           pad(run, layout->fill, n_pad - n_left);
}

// Puts separators into the whole digits of a number.
static size_t group_digits(const char *digits, size_t n, char separator, size_t every, char *out)
{
    size_t n_whole = 0, n_out = 0;
    while (n_whole < n && strchr(every == 3 ? "0123456789" : "0123456789abcdefABCDEF", digits[n_whole])) n_whole++;
    for (size_t i = 0; i < n; i++) {
        if (i && i < n_whole && (n_whole - i) % every == 0) out[n_out++] = separator;
        out[n_out++] = digits[i];
    }
    return n_out;
}

// A number's sign, prefix and digits, padded between them where the layout says so.
static bool write_number(struct run *run, const struct layout *layout, bool is_negative, const char *prefix,
                         const char *digits, size_t n_digits, size_t every)
{
    char grouped[2 * PRECISION_MAX + 800], head[8];
    if (layout->grouping) {
        n_digits = group_digits(digits, n_digits, layout->grouping, every, grouped);
        digits = grouped;
    }
    const char *sign = is_negative ? "-" : layout->sign == '+' ? "+" : layout->sign == ' ' ? " " : "";
    size_t n_head = (size_t)snprintf(head, sizeof head, "%s%s", sign, prefix);
    if (layout->align == '=')
        return sc_template_write(run, head, n_head) &&
               pad(run, layout->fill, layout->width - (int64_t)(n_head + n_digits)) &&
               sc_template_write(run, digits, n_digits);
    char text[sizeof grouped + sizeof head];
    memcpy(text, head, n_head);
    memcpy(text + n_head, digits, n_digits);
    return write_field(run, layout, (struct sc_text){ text, n_head + n_digits }, n_head + n_digits, '>');
}

static bool write_integer(struct run *run, const struct layout *layout, int64_t integer)
{
    char digits[72];
    size_t n = 0;
    char type = layout->type ? layout->type : 'd';
    uint64_t base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    do {
        digits[sizeof digits - ++n] = (type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[rest % base];
        rest /= base;
    } while (rest);
    static const char *const prefixes[] = { "0x", "0X", "0o", "0b" };
    static const char types[] = "xXob";
    const char *found = strchr(types, type);
    const char *prefix = layout->is_alternate && found ? prefixes[found - types] : "";
    return write_number(run, layout, integer < 0, prefix, digits + sizeof digits - n, n, base == 10 ? 3 : 4);
}

// printf writes the decimal point of the locale; a number has the point.
static size_t plain_point(char *text, size_t n)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_known = (text[i] >= '0' && text[i] <= '9') || strchr("eE+-infaINFA", text[i]) != NULL;
        if (is_known) text[n_out++] = text[i];
        else if (n_out == 0 || text[n_out - 1] != '.') text[n_out++] = '.';
    }
    return n_out;
}

static bool write_real(struct run *run, const struct layout *layout, double real)
{
    char text[PRECISION_MAX + 400];
    size_t n;
    char type = layout->type;
    int precision = layout->precision < 0 ? 6 : (int)SC_MIN(layout->precision, PRECISION_MAX);
    double size = fabs(real);
    if (layout->precision > PRECISION_MAX)
        return sc_template_fail(run, "a number with more than %d digits after the point", PRECISION_MAX);
    if (isnan(real) || isinf(real)) {
        const char *name = isnan(real) ? "nan" : "inf";
        if (type && strchr("EFG", type)) name = isnan(real) ? "NAN" : "INF";
        n = (size_t)snprintf(text, sizeof text, "%s%s", name, type == '%' ? "%" : "");
        return write_number(run, layout, !isnan(real) && real < 0, "", text, n, 3);
    }
    if (!type && layout->precision < 0) n = sc_template_float_text(size, text);
    else {
        char format[] = { '%', '.', '*', type == '%' ? 'f' : type == 'n' || !type ? 'g' : type, 0 };
        char alternate[] = { '%', '#', '.', '*', format[3], 0 };
        const char *chosen = layout->is_alternate ? alternate : format;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        n = (size_t)snprintf(text, sizeof text, chosen, precision, type == '%' ? size * 100 : size);
#pragma GCC diagnostic pop
        n = plain_point(text, n);
        text[n] = '\0';
        if (!type && strcspn(text, ".e") == n) n += (size_t)snprintf(text + n, 3, ".0");
        if (type == '%') text[n++] = '%';
    }
    return write_number(run, layout, signbit(real), "", text, n, 3);
}

static bool write_text(struct run *run, const struct layout *layout, const struct string *string)
{
    struct string cut = *string;
    if (layout->precision >= 0 && (uint64_t)layout->precision < string->n_points) {
        cut.n_points = (size_t)layout->precision;
        cut.n_bytes = sc_template_point_offset(string, cut.n_points);
    }
    return write_field(run, layout, (struct sc_text){ cut.data, cut.n_bytes }, cut.n_points, '<');
}

// ---- "%" ----

struct percent {
    const struct string *format;
    size_t at;
    struct value args;
    size_t n_used;
    bool is_named;
};

static bool next_arg(struct run *run, struct percent *state, struct value *out)
{
    bool is_tuple = state->args.kind == VALUE_TUPLE;
    size_t n = is_tuple ? state->args.list->n : 1;
    if (state->n_used >= n) return sc_template_fail(run, "not enough arguments for format string");
    *out = is_tuple ? state->args.list->items[state->n_used] : state->args;
    state->n_used++;
    return true;
}

static char peek(const struct percent *state)
{
    return state->at < state->format->n_bytes ? state->format->data[state->at] : '\0';
}

// A number in a format, or "*" for the next argument.
static bool read_size(struct run *run, struct percent *state, int64_t *out)
{
    struct value value;
    if (peek(state) == '*') {
        state->at++;
        return next_arg(run, state, &value) && sc_template_arg_int(run, value, 0, out);
    }
    for (*out = 0; peek(state) >= '0' && peek(state) <= '9'; state->at++) {
        *out = *out * 10 + (peek(state) - '0');
        if (*out > INT32_MAX) return sc_template_fail(run, "a width or precision that is too big");
    }
    return true;
}

// "(name)" after the "%": the argument is that member.
static bool read_key(struct run *run, struct percent *state, struct value *out)
{
    if (peek(state) != '(') return true;
    const char *begin = state->format->data + state->at + 1;
    const char *end = memchr(begin, ')', state->format->n_bytes - state->at - 1);
    struct value key, *there;
    if (!end) return sc_template_fail(run, "incomplete format key");
    if (state->args.kind != VALUE_DICT) return sc_template_fail(run, "format requires a mapping");
    if (!sc_template_string_view(run, begin, (size_t)(end - begin), &key) ||
        !sc_template_dict_find(run, state->args.dict, key, &there))
        return false;
    if (!there)
        return sc_template_fail(run, "KeyError: '%.*s'", (int)SC_MIN(key.string->n_bytes, 200), key.string->data);
    *out = *there;
    state->at = (size_t)(end + 1 - state->format->data);
    state->is_named = true;
    return true;
}

static bool read_layout(struct run *run, struct percent *state, struct layout *layout)
{
    static const char zero[] = "0";
    for (; peek(state) && strchr("-+ #0", peek(state)); state->at++) {
        char c = peek(state);
        if (c == '-') layout->align = '<';
        else if (c == '+' || (c == ' ' && layout->sign != '+')) layout->sign = c;
        else if (c == '#') layout->is_alternate = true;
        else if (c == '0' && layout->align != '<') {
            layout->align = '=';
            layout->fill = sc_text_of(zero);
        }
    }
    if (layout->align == '<') layout->fill = (struct sc_text){ 0 };
    if (!read_size(run, state, &layout->width)) return false;
    if (layout->width < 0) {
        layout->align = '<';
        layout->width = -SC_MAX(layout->width, -INT32_MAX);
    }
    if (peek(state) == '.') {
        state->at++;
        if (!read_size(run, state, &layout->precision)) return false;
    }
    while (peek(state) && strchr("hlL", peek(state))) state->at++;
    return true;
}

static bool write_percent_number(struct run *run, struct layout *layout, struct value value)
{
    char type = layout->type;
    if (!sc_template_is_number(value))
        return sc_template_fail(run, "%%%c format: a real number is required, not %s", type,
                                sc_template_type_name(value));
    if (strchr("eEfFgG", type)) return write_real(run, layout, sc_template_real(value));
    if (value.kind == VALUE_FLOAT && strchr("oxX", type))
        return sc_template_fail(run, "%%%c format: an integer is required, not float", type);
    int64_t integer = value.kind == VALUE_BOOL ? value.boolean : value.integer;
    if (value.kind == VALUE_FLOAT) {
        if (!(fabs(value.real) < 9e18)) return sc_template_fail(run, "a whole number that does not fit 64 bits");
        integer = (int64_t)value.real;
    }
    if (strchr("iu", type)) layout->type = 'd';
    if (layout->precision > 0) { // at least so many digits
        int64_t n_digits = SC_MIN(layout->precision, PRECISION_MAX) + (integer < 0 || layout->sign != 0);
        if (layout->width < n_digits) {
            layout->width = n_digits;
            layout->align = '=';
            layout->fill = sc_text_of("0");
        }
    }
    return write_integer(run, layout, integer);
}

static bool write_percent_text(struct run *run, struct layout *layout, struct value value)
{
    struct value text = value;
    if (layout->align == '=') layout->align = 0;
    layout->fill = (struct sc_text){ 0 };
    if (!layout->align) layout->align = '>';
    if (layout->type == 'c') {
        if (value.kind != VALUE_STRING || value.string->n_points != 1)
            return sc_template_fail(run, "%%c requires int or char");
    } else if (layout->type != 's' || value.kind != VALUE_STRING) {
        size_t begin = sc_template_text_begin(run);
        bool ok = layout->type == 's' ? sc_template_print(run, value) : sc_template_print_repr(run, value);
        if (!ok || !sc_template_text_end(run, begin, &text)) return false;
    }
    return write_text(run, layout, text.string);
}

static bool write_conversion(struct run *run, struct percent *state)
{
    struct layout layout = { .precision = -1 };
    struct value value = { 0 };
    if (!read_key(run, state, &value) || !read_layout(run, state, &layout)) return false;
    layout.type = peek(state);
    if (!layout.type) return sc_template_fail(run, "incomplete format");
    state->at++;
    if (layout.type == '%') return sc_template_write_string(run, "%");
    if (!strchr("sracdiuoxXeEfFgG", layout.type))
        return sc_template_fail(run, "unsupported format character '%c'", layout.type);
    if (value.kind == VALUE_ABSENT && !next_arg(run, state, &value)) return false;
    if (strchr("srac", layout.type)) return write_percent_text(run, &layout, value);
    return write_percent_number(run, &layout, value);
}

bool sc_template_format_percent(struct run *run, const struct string *format, struct value args, struct value *out)
{
    struct percent state = { .format = format, .args = args };
    size_t begin = sc_template_text_begin(run);
    while (state.at < format->n_bytes) {
        const char *here = format->data + state.at, *percent = memchr(here, '%', format->n_bytes - state.at);
        size_t n = percent ? (size_t)(percent - here) : format->n_bytes - state.at;
        if (!sc_template_write(run, here, n) || !sc_template_step(run, 1)) return false;
        state.at += n + (percent != NULL);
        if (percent && !write_conversion(run, &state)) return false;
    }
    // Whatever has items may be there for its names, and need not be used.
    bool has_items = args.kind == VALUE_DICT || args.kind == VALUE_LIST || args.kind == VALUE_RANGE ||
                     args.kind == VALUE_UNDEFINED;
    size_t n_args = args.kind == VALUE_TUPLE ? args.list->n : !has_items;
    if (state.n_used < n_args && !state.is_named)
        return sc_template_fail(run, "not all arguments converted during string formatting");
    return sc_template_text_end(run, begin, out);
}

// ---- "{}" ----

static bool read_number(struct run *run, struct sc_text *text, int64_t *out)
{
    for (*out = 0; text->n_bytes && text->data[0] >= '0' && text->data[0] <= '9'; text->data++, text->n_bytes--) {
        *out = *out * 10 + (text->data[0] - '0');
        if (*out > INT32_MAX) return sc_template_fail(run, "too many decimal digits in format string");
    }
    return true;
}

static bool pass_one_of(struct sc_text *text, const char *characters, char *out)
{
    if (!text->n_bytes || !text->data[0] || !strchr(characters, text->data[0])) return false;
    *out = text->data[0];
    text->data++;
    text->n_bytes--;
    return true;
}

static bool parse_layout(struct run *run, struct sc_text text, struct layout *layout)
{
    size_t n_fill = 0;
    char ignored;
    if (text.n_bytes) sc_template_point(text.data, &n_fill);
    if (text.n_bytes > n_fill && strchr("<>^=", text.data[n_fill])) {
        layout->fill = (struct sc_text){ text.data, n_fill };
        text.data += n_fill;
        text.n_bytes -= n_fill;
    }
    pass_one_of(&text, "<>^=", &layout->align);
    pass_one_of(&text, "+- ", &layout->sign);
    layout->is_alternate = pass_one_of(&text, "#", &ignored);
    if (pass_one_of(&text, "0", &ignored) && !layout->fill.n_bytes) {
        if (!layout->align) layout->align = '=';
        layout->fill = sc_text_of("0");
    }
    if (!read_number(run, &text, &layout->width)) return false;
    pass_one_of(&text, ",_", &layout->grouping);
    if (pass_one_of(&text, ".", &ignored) && !read_number(run, &text, &layout->precision)) return false;
    pass_one_of(&text, "bcdeEfFgGnosxX%", &layout->type);
    return text.n_bytes == 0 || sc_template_fail(run, "invalid format specifier '%.*s'", SC_TEXT_ARGS(text));
}

static bool format_value(struct run *run, struct value value, struct sc_text spec)
{
    struct layout layout = { .precision = -1 };
    if (!spec.n_bytes) return sc_template_print(run, value);
    if (!parse_layout(run, spec, &layout)) return false;
    bool is_real_type = layout.type && strchr("eEfFgG%n", layout.type);
    bool is_text_type = !layout.type || layout.type == 's';
    if (value.kind == VALUE_STRING && is_text_type && layout.align != '=')
        return write_text(run, &layout, value.string);
    if (value.kind == VALUE_FLOAT && (is_real_type || !layout.type)) return write_real(run, &layout, value.real);
    if (sc_template_is_integer(value) && is_real_type && layout.type != 'n')
        return write_real(run, &layout, sc_template_real(value));
    if (sc_template_is_integer(value) && layout.type != 's' && layout.type != 'c') {
        if (layout.precision >= 0) return sc_template_fail(run, "precision not allowed in integer format specifier");
        return write_integer(run, &layout, value.kind == VALUE_BOOL ? value.boolean : value.integer);
    }
    return sc_template_fail(run, "unsupported format '%.*s' for an object of type '%s'", SC_TEXT_ARGS(spec),
                            sc_template_type_name(value));
}

struct braces {
    const struct arguments *args;
    int64_t next; // the argument of the next "{}"; -1 once numbers were written out
};

static bool first_field(struct run *run, struct braces *state, struct sc_text name, struct value *out)
{
    int64_t index;
    struct sc_text digits = name;
    if (!read_number(run, &digits, &index)) return false;
    if (digits.n_bytes) {
        for (size_t i = 0; i < state->args->n_named; i++) {
            const struct string *key = state->args->named[i].name;
            if (!sc_text_equal((struct sc_text){ key->data, key->n_bytes }, name)) continue;
            *out = state->args->named[i].value;
            return true;
        }
        return sc_template_fail(run, "KeyError: '%.*s'", SC_TEXT_ARGS(name));
    }
    if (!name.n_bytes && state->next < 0)
        return sc_template_fail(run, "cannot switch from manual field specification to automatic field numbering");
    if (name.n_bytes && state->next > 0)
        return sc_template_fail(run, "cannot switch from automatic field numbering to manual field specification");
    if (!name.n_bytes) index = state->next++;
    else state->next = -1;
    if ((uint64_t)index >= state->args->n_positional)
        return sc_template_fail(run, "Replacement index %lld out of range for positional args tuple", (long long)index);
    *out = state->args->positional[index];
    return true;
}

// name.attribute[key]...
static bool find_field(struct run *run, struct braces *state, struct sc_text field, struct value *out)
{
    size_t n = 0;
    while (n < field.n_bytes && field.data[n] != '.' && field.data[n] != '[') n++;
    if (!first_field(run, state, (struct sc_text){ field.data, n }, out)) return false;
    while (n < field.n_bytes) {
        bool is_item = field.data[n++] == '[';
        size_t begin = n;
        while (n < field.n_bytes && (is_item ? field.data[n] != ']' : field.data[n] != '.' && field.data[n] != '['))
            n++;
        struct sc_text part = { field.data + begin, n - begin };
        struct value key;
        int64_t index;
        if (!part.n_bytes || (is_item && n == field.n_bytes))
            return sc_template_fail(run, "a bad field in a format string");
        if (!sc_template_string_view(run, part.data, part.n_bytes, &key)) return false;
        if (!is_item) {
            if (!sc_template_attribute(run, *out, key.string, out)) return false;
            continue;
        }
        n++;
        struct sc_text digits = part;
        if (!read_number(run, &digits, &index)) return false;
        if (!sc_template_item(run, *out, digits.n_bytes ? key : sc_template_int(index), out)) return false;
    }
    return true;
}

static bool format_text(struct run *run, struct braces *state, struct sc_text text, unsigned depth);

// The inside of "{...}": field!conversion:layout
static bool format_field(struct run *run, struct braces *state, struct sc_text text, unsigned depth)
{
    size_t n = 0;
    for (bool in_brackets = false; n < text.n_bytes; n++) {
        if (text.data[n] == '[') in_brackets = true;
        else if (text.data[n] == ']') in_brackets = false;
        else if (!in_brackets && (text.data[n] == '!' || text.data[n] == ':')) break;
    }
    struct value value, spec;
    if (!find_field(run, state, (struct sc_text){ text.data, n }, &value)) return false;
    char conversion = 0;
    if (n < text.n_bytes && text.data[n] == '!') {
        if (text.n_bytes - n < 2 || !strchr("rsa", text.data[n + 1]) ||
            (text.n_bytes - n > 2 && text.data[n + 2] != ':'))
            return sc_template_fail(run, "a bad conversion in a format string");
        conversion = text.data[n + 1];
        n += 2;
    }
    size_t begin = sc_template_text_begin(run);
    if (conversion) {
        bool ok = conversion == 's' ? sc_template_print(run, value) : sc_template_print_repr(run, value);
        if (!ok || !sc_template_text_end(run, begin, &value)) return false;
    }
    if (n < text.n_bytes) n++;
    if (!format_text(run, state, (struct sc_text){ text.data + n, text.n_bytes - n }, depth + 1) ||
        !sc_template_text_end(run, begin, &spec))
        return false;
    return format_value(run, value, (struct sc_text){ spec.string->data, spec.string->n_bytes });
}

// The length of what stands before the "}" that closes a field, or SIZE_MAX.
static size_t field_length(struct sc_text text)
{
    size_t depth = 1;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (text.data[i] == '{') depth++;
        else if (text.data[i] == '}' && --depth == 0) return i;
    }
    return SIZE_MAX;
}

static bool format_text(struct run *run, struct braces *state, struct sc_text text, unsigned depth)
{
    if (depth > 2) return sc_template_fail(run, "Max string recursion exceeded");
    for (size_t i = 0; i < text.n_bytes;) {
        size_t n = 0;
        while (i + n < text.n_bytes && text.data[i + n] != '{' && text.data[i + n] != '}') n++;
        if (!sc_template_write(run, text.data + i, n) || !sc_template_step_bytes(run, n)) return false;
        i += n;
        if (i == text.n_bytes) break;
        char c = text.data[i++];
        if (i < text.n_bytes && text.data[i] == c && depth == 0) {
            if (!sc_template_write(run, &c, 1)) return false;
            i++;
            continue;
        }
        if (c == '}') return sc_template_fail(run, "Single '}' encountered in format string");
        struct sc_text rest = { text.data + i, text.n_bytes - i };
        rest.n_bytes = field_length(rest);
        if (rest.n_bytes == SIZE_MAX) return sc_template_fail(run, "expected '}' before end of string");
        if (!sc_template_step_bytes(run, rest.n_bytes) || !format_field(run, state, rest, depth)) return false;
        i += rest.n_bytes + 1;
    }
    return true;
}

bool sc_template_format_braces(struct run *run, const struct string *format, const struct arguments *args,
                               struct value *out)
{
    struct braces state = { .args = args };
    size_t begin = sc_template_text_begin(run);
    return format_text(run, &state, (struct sc_text){ format->data, format->n_bytes }, 0) &&
           sc_template_text_end(run, begin, out);
}
