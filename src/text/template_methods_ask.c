// Methods of strings that ask about them: where something is, how they begin and end, what they are made of.
#include "text/template_internal.h"

#include <string.h>
#include <utf8proc.h>

// The part of a string that start and stop leave, in bytes; false in *is_valid when start is behind its end.
static bool window(struct run *run, struct call *call, struct sc_text *out, size_t *begin, bool *is_valid)
{
    const struct string *string = call->self.string;
    int64_t n = (int64_t)string->n_points, start = 0, stop = n;
    if (call->args[1].kind != VALUE_NONE && !sc_template_arg_int(run, call->args[1], 0, &start)) return false;
    if (call->args[2].kind != VALUE_NONE && !sc_template_arg_int(run, call->args[2], n, &stop)) return false;
    *is_valid = start <= n;
    start = sc_template_clamp_index(start, n);
    stop = sc_template_clamp_index(stop, n);
    *is_valid = *is_valid && start <= stop;
    if (!*is_valid) stop = start;
    *begin = sc_template_point_offset(string, (size_t)start);
    size_t end = stop == n ? string->n_bytes : sc_template_point_offset(string, (size_t)stop);
    *out = (struct sc_text){ string->data + *begin, end - *begin };
    return sc_template_step_bytes(run, string->n_bytes);
}

static int64_t n_points(const char *data, size_t n_bytes)
{
    int64_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) n += ((unsigned char)data[i] & 0xC0) != 0x80;
    return n;
}

// The place of the first argument in code points, or -1.
static bool place(struct run *run, struct call *call, bool from_end, int64_t *out)
{
    const struct string *needle;
    struct sc_text text;
    size_t begin;
    bool is_valid;
    ptrdiff_t found = -1;
    *out = -1;
    if (!sc_template_arg_string(run, call->args[0], "what is looked for", &needle) ||
        !window(run, call, &text, &begin, &is_valid))
        return false;
    if (!is_valid) return true;
    struct sc_text sought = { needle->data, needle->n_bytes };
    if (!from_end) found = sc_template_find(text, sought, 0);
    else if (!sc_template_find_last(run, text, sought, &found)) return false;
    if (found >= 0) *out = n_points(call->self.string->data, begin + (size_t)found);
    return true;
}

static bool place_or_fail(struct run *run, struct call *call, bool from_end, bool must_be, struct value *out)
{
    int64_t at;
    if (!place(run, call, from_end, &at)) return false;
    if (at < 0 && must_be) return sc_template_fail(run, "substring not found");
    *out = sc_template_int(at);
    return true;
}

static bool method_find(struct run *run, struct call *call, struct value *out)
{
    return place_or_fail(run, call, false, false, out);
}

static bool method_rfind(struct run *run, struct call *call, struct value *out)
{
    return place_or_fail(run, call, true, false, out);
}

static bool method_index(struct run *run, struct call *call, struct value *out)
{
    return place_or_fail(run, call, false, true, out);
}

static bool method_rindex(struct run *run, struct call *call, struct value *out)
{
    return place_or_fail(run, call, true, true, out);
}

static bool method_count(struct run *run, struct call *call, struct value *out)
{
    const struct string *needle;
    struct sc_text text;
    size_t begin, at = 0;
    bool is_valid;
    int64_t n = 0;
    if (!sc_template_arg_string(run, call->args[0], "what is counted", &needle) ||
        !window(run, call, &text, &begin, &is_valid))
        return false;
    struct sc_text sought = { needle->data, needle->n_bytes };
    if (is_valid && !needle->n_bytes) n = n_points(text.data, text.n_bytes) + 1;
    for (ptrdiff_t found; is_valid && needle->n_bytes && (found = sc_template_find(text, sought, at)) >= 0; n++)
        at = (size_t)found + needle->n_bytes;
    *out = sc_template_int(n);
    return true;
}

static bool has_affix(struct run *run, struct sc_text text, struct value affix, bool at_end, bool *out)
{
    if (affix.kind == VALUE_TUPLE) {
        *out = false;
        for (size_t i = 0; i < affix.list->n && !*out; i++) {
            if (affix.list->items[i].kind != VALUE_STRING)
                return sc_template_fail(run, "tuple for %s must only contain str, not %s",
                                        at_end ? "endswith" : "startswith",
                                        sc_template_type_name(affix.list->items[i]));
            if (!sc_template_step(run, 1) || !has_affix(run, text, affix.list->items[i], at_end, out)) return false;
        }
        return true;
    }
    if (affix.kind != VALUE_STRING)
        return sc_template_fail(run, "%s first arg must be str or a tuple of str, not %s",
                                at_end ? "endswith" : "startswith", sc_template_type_name(affix));
    size_t n = affix.string->n_bytes;
    *out = n <= text.n_bytes &&
           (n == 0 || memcmp(text.data + (at_end ? text.n_bytes - n : 0), affix.string->data, n) == 0);
    return true;
}

static bool affix_of(struct run *run, struct call *call, bool at_end, struct value *out)
{
    struct sc_text text;
    size_t begin;
    bool is_valid, holds;
    if (!window(run, call, &text, &begin, &is_valid) || !has_affix(run, text, call->args[0], at_end, &holds))
        return false;
    *out = sc_template_bool(is_valid && holds);
    return true;
}

static bool method_startswith(struct run *run, struct call *call, struct value *out)
{
    return affix_of(run, call, false, out);
}

static bool method_endswith(struct run *run, struct call *call, struct value *out)
{
    return affix_of(run, call, true, out);
}

static utf8proc_category_t category_of(uint32_t point) { return utf8proc_category((utf8proc_int32_t)point); }

static bool is_alpha(uint32_t point)
{
    utf8proc_category_t category = category_of(point);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_decimal(uint32_t point) { return category_of(point) == UTF8PROC_CATEGORY_ND; }

// Decimal digits, and those that are raised, lowered or in circles.
static bool is_digit(uint32_t point)
{
    static const uint32_t ranges[][2] = { { 0xB2, 0xB3 },     { 0xB9, 0xB9 },     { 0x1369, 0x1371 },
                                          { 0x19DA, 0x19DA }, { 0x2070, 0x2070 }, { 0x2074, 0x2079 },
                                          { 0x2080, 0x2089 }, { 0x2460, 0x2468 }, { 0x2474, 0x247C },
                                          { 0x2488, 0x2490 }, { 0x24EA, 0x24EA }, { 0x24F5, 0x24FD },
                                          { 0x24FF, 0x24FF }, { 0x2776, 0x277E }, { 0x2780, 0x2788 },
                                          { 0x278A, 0x2792 } };
    for (size_t i = 0; i < SC_COUNT(ranges); i++)
        if (point >= ranges[i][0] && point <= ranges[i][1]) return true;
    return is_decimal(point);
}

static bool is_numeric(uint32_t point)
{
    utf8proc_category_t category = category_of(point);
    return (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) || is_digit(point);
}

static bool is_alnum(uint32_t point) { return is_alpha(point) || is_numeric(point); }

// Do all characters have a property, and is there one?
static bool all(struct run *run, struct call *call, bool (*has)(uint32_t point), bool when_empty, struct value *out)
{
    const struct string *string = call->self.string;
    bool holds = string->n_bytes ? true : when_empty;
    for (size_t i = 0, n; i < string->n_bytes && holds; i += n) holds = has(sc_template_point(string->data + i, &n));
    *out = sc_template_bool(holds);
    return sc_template_step_bytes(run, string->n_bytes * 4);
}

static bool is_ascii(uint32_t point) { return point < 0x80; }

static bool method_isalpha(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, is_alpha, false, out);
}

static bool method_isdigit(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, is_digit, false, out);
}

static bool method_isdecimal(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, is_decimal, false, out);
}

static bool method_isnumeric(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, is_numeric, false, out);
}

static bool method_isalnum(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, is_alnum, false, out);
}

static bool method_isspace(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, sc_template_is_space, false, out);
}

static bool method_isprintable(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, sc_template_is_printable, true, out);
}

static bool method_isascii(struct run *run, struct call *call, struct value *out)
{
    return all(run, call, is_ascii, true, out);
}

static bool is_identifier_part(uint32_t point)
{
    utf8proc_category_t category = category_of(point);
    return sc_template_is_word(point) || category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_PC;
}

static bool method_isidentifier(struct run *run, struct call *call, struct value *out)
{
    const struct string *string = call->self.string;
    size_t n;
    if (!all(run, call, is_identifier_part, false, out)) return false;
    if (!out->boolean) return true;
    uint32_t first = sc_template_point(string->data, &n);
    *out = sc_template_bool(first == '_' || is_alpha(first) || category_of(first) == UTF8PROC_CATEGORY_NL);
    return true;
}

static bool is_lower_case(uint32_t point)
{
    return category_of(point) == UTF8PROC_CATEGORY_LL || point == 0xAA || point == 0xBA ||
           (point >= 0x2B0 && point <= 0x2B8) || (point >= 0x2170 && point <= 0x217F) ||
           (point >= 0x24D0 && point <= 0x24E9);
}

static bool is_upper_case(uint32_t point)
{
    return category_of(point) == UTF8PROC_CATEGORY_LU || (point >= 0x2160 && point <= 0x216F) ||
           (point >= 0x24B6 && point <= 0x24CF);
}

// Is there a letter with case, and do all of them have this one?
static bool only(struct run *run, struct call *call, bool wants_upper, struct value *out)
{
    const struct string *string = call->self.string;
    bool has_one = false, has_other = false;
    for (size_t i = 0, n; i < string->n_bytes; i += n) {
        uint32_t point = sc_template_point(string->data + i, &n);
        bool is_title = category_of(point) == UTF8PROC_CATEGORY_LT;
        bool is_upper = is_upper_case(point), is_lower = is_lower_case(point);
        has_one = has_one || (wants_upper ? is_upper : is_lower);
        has_other = has_other || is_title || (wants_upper ? is_lower : is_upper);
    }
    *out = sc_template_bool(has_one && !has_other);
    return sc_template_step_bytes(run, string->n_bytes * 4);
}

static bool method_isupper(struct run *run, struct call *call, struct value *out) { return only(run, call, true, out); }

static bool method_islower(struct run *run, struct call *call, struct value *out)
{
    return only(run, call, false, out);
}

static bool method_istitle(struct run *run, struct call *call, struct value *out)
{
    const struct string *string = call->self.string;
    bool has_one = false, after_cased = false, holds = true;
    for (size_t i = 0, n; i < string->n_bytes && holds; i += n) {
        uint32_t point = sc_template_point(string->data + i, &n);
        bool is_upper = is_upper_case(point) || category_of(point) == UTF8PROC_CATEGORY_LT,
             is_lower = is_lower_case(point);
        if ((is_upper && after_cased) || (is_lower && !after_cased)) holds = false;
        after_cased = is_upper || is_lower;
        has_one = has_one || after_cased;
    }
    *out = sc_template_bool(holds && has_one);
    return sc_template_step_bytes(run, string->n_bytes * 4);
}

const struct native sc_template_methods_string_ask[] = {
    { "find", method_find, "sub! start end" },
    { "rfind", method_rfind, "sub! start end" },
    { "index", method_index, "sub! start end" },
    { "rindex", method_rindex, "sub! start end" },
    { "count", method_count, "sub! start end" },
    { "startswith", method_startswith, "prefix! start end" },
    { "endswith", method_endswith, "suffix! start end" },
    { "isalpha", method_isalpha, "" },
    { "isdigit", method_isdigit, "" },
    { "isdecimal", method_isdecimal, "" },
    { "isnumeric", method_isnumeric, "" },
    { "isalnum", method_isalnum, "" },
    { "isspace", method_isspace, "" },
    { "isprintable", method_isprintable, "" },
    { "isascii", method_isascii, "" },
    { "isidentifier", method_isidentifier, "" },
    { "isupper", method_isupper, "" },
    { "islower", method_islower, "" },
    { "istitle", method_istitle, "" },
    { 0 },
};
