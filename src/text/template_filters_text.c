// Filters on text.
#include "text/template_internal.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

static struct sc_text text_of(const struct string *string) { return (struct sc_text){ string->data, string->n_bytes }; }

static bool filter_upper(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    return sc_template_str(run, call->self, &string) && sc_template_change_case(run, string, CASE_UPPER, out);
}

static bool filter_lower(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    return sc_template_str(run, call->self, &string) && sc_template_change_case(run, string, CASE_LOWER, out);
}

static bool filter_capitalize(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    return sc_template_str(run, call->self, &string) && sc_template_change_case(run, string, CASE_CAPITAL, out);
}

static bool is_word_break(uint32_t point)
{
    return sc_template_is_space(point) || (point < 0x80 && point && strchr("-({[<", (int)point));
}

// Every word with one capital, where words are what stands between white space and - ( { [ <
static bool filter_title(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_str(run, call->self, &string)) return false;
    for (size_t i = 0, n; i < string->n_bytes; i += n) {
        bool is_break = is_word_break(sc_template_point(string->data + i, &n)), at_first = true;
        size_t end = i, first;
        sc_template_point(string->data + i, &first);
        while (end < string->n_bytes &&
               (at_first || is_word_break(sc_template_point(string->data + end, &n)) == is_break)) {
            sc_template_point(string->data + end, &n);
            end += n;
            at_first = false;
        }
        if (!sc_template_write_case(run, (struct sc_text){ string->data + i, first }, CASE_UPPER) ||
            !sc_template_write_case(run, (struct sc_text){ string->data + i + first, end - i - first }, CASE_LOWER))
            return false;
        n = end - i;
    }
    return sc_template_text_end(run, begin, out);
}

static bool filter_trim(struct run *run, struct call *call, struct value *out)
{
    const struct string *string, *characters = NULL;
    if (!sc_template_str(run, call->self, &string)) return false;
    if (call->args[0].kind != VALUE_ABSENT && call->args[0].kind != VALUE_NONE &&
        !sc_template_arg_string(run, call->args[0], "strip arg", &characters))
        return false;
    uint64_t n_steps = (uint64_t)string->n_bytes / 64 * (characters ? characters->n_bytes : 1);
    struct sc_text left = sc_template_step(run, n_steps) ? sc_template_strip(text_of(string), characters, true, true)
                                                         : (struct sc_text){ 0 };
    if (n_steps && !left.data) return false;
    return sc_template_string_view(run, left.data, left.n_bytes, out);
}

static bool filter_center(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    int64_t width;
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_str(run, call->self, &string) || !sc_template_arg_int(run, call->args[0], 80, &width))
        return false;
    int64_t n_pad = SC_MAX(0, width - (int64_t)string->n_points);
    int64_t n_left = n_pad / 2 + (n_pad & width & 1);
    return sc_template_write_repeated(run, run->characters[' '], (size_t)n_left) &&
           sc_template_write(run, string->data, string->n_bytes) &&
           sc_template_write_repeated(run, run->characters[' '], (size_t)(n_pad - n_left)) &&
           sc_template_text_end(run, begin, out);
}

static bool filter_replace(struct run *run, struct call *call, struct value *out)
{
    const struct string *string, *old, *new;
    int64_t n = -1;
    if (call->args[2].kind != VALUE_NONE && !sc_template_arg_int(run, call->args[2], -1, &n)) return false;
    return sc_template_str(run, call->self, &string) && sc_template_str(run, call->args[0], &old) &&
           sc_template_str(run, call->args[1], &new) && sc_template_replace(run, string, old, new, n, out);
}

// What every line but the first begins with: a string, or so many spaces.
static bool indentation(struct run *run, struct value width, const struct string **out)
{
    int64_t n;
    struct value text;
    size_t begin = sc_template_text_begin(run);
    if (width.kind == VALUE_STRING) {
        *out = width.string;
        return true;
    }
    if (!sc_template_arg_int(run, width, 4, &n) ||
        !sc_template_write_repeated(run, run->characters[' '], n < 0 ? 0 : (size_t)n) ||
        !sc_template_text_end(run, begin, &text))
        return false;
    *out = text.string;
    return true;
}

static bool filter_indent(struct run *run, struct call *call, struct value *out)
{
    const struct string *unit;
    bool takes_first = sc_template_arg_bool(call->args[1], false),
         takes_blank = sc_template_arg_bool(call->args[2], false);
    struct list *lines = sc_template_list_new(run, 0);
    struct value whole = call->self;
    if (whole.kind != VALUE_STRING) // the error of adding text to it
        return sc_template_operate(run, OP_ADD, whole,
                                   (struct value){ .kind = VALUE_STRING, .string = run->characters['\n'] }, out);
    if (!lines || !indentation(run, call->args[0], &unit)) return false;
    // A line end is added, so that a text which ends with one gets an empty last line.
    if (!sc_template_concat(run, whole.string, run->characters['\n'], &whole) ||
        !sc_template_split_lines(run, text_of(whole.string), false, lines))
        return false;
    size_t begin = sc_template_text_begin(run);
    for (size_t i = 0; i < lines->n; i++) {
        const struct string *line = lines->items[i].string;
        bool is_indented = i == 0 ? takes_first : takes_blank || line->n_bytes;
        if ((i && !sc_template_write(run, "\n", 1)) ||
            (is_indented && !sc_template_write(run, unit->data, unit->n_bytes)) ||
            !sc_template_write(run, line->data, line->n_bytes))
            return false;
    }
    return sc_template_text_end(run, begin, out);
}

static bool filter_truncate(struct run *run, struct call *call, struct value *out)
{
    static const struct string dots = { "...", 3, 3, false };
    const struct string *end = &dots, *string;
    int64_t length, leeway = 5, n;
    bool kills_words = sc_template_arg_bool(call->args[1], false);
    struct value cut;
    if (!sc_template_arg_int(run, call->args[0], 255, &length) ||
        (call->args[2].kind != VALUE_ABSENT && !sc_template_arg_string(run, call->args[2], "end", &end)) ||
        (call->args[3].kind != VALUE_NONE && !sc_template_arg_int(run, call->args[3], 5, &leeway)) ||
        !sc_template_length(run, call->self, &n))
        return false;
    if (length < (int64_t)end->n_points)
        return sc_template_fail(run, "expected length >= %zu, got %lld", end->n_points, (long long)length);
    if (leeway < 0) return sc_template_fail(run, "expected leeway >= 0, got %lld", (long long)leeway);
    *out = call->self;
    if (n <= length || n - length <= leeway) return true;
    if (!sc_template_arg_string(run, call->self, "what is truncated", &string)) return false;
    size_t n_bytes = sc_template_point_offset(string, (size_t)length - end->n_points);
    for (size_t at = n_bytes; !kills_words && at-- > 0;)
        if (string->data[at] == ' ') {
            n_bytes = at;
            break;
        }
    return sc_template_substring(run, string, 0, n_bytes, &cut) && sc_template_concat(run, cut.string, end, out);
}

static bool filter_wordcount(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    int64_t n_words = 0;
    bool in_word = false;
    if (!sc_template_str(run, call->self, &string) || !sc_template_step_bytes(run, string->n_bytes)) return false;
    for (size_t i = 0, n; i < string->n_bytes; i += n) {
        bool is_word = sc_template_is_word(sc_template_point(string->data + i, &n));
        n_words += is_word && !in_word;
        in_word = is_word;
    }
    *out = sc_template_int(n_words);
    return true;
}

static bool filter_wordwrap(struct run *run, struct call *call, struct value *out)
{
    const struct string *string, *separator = run->characters['\n'];
    struct list *lines = sc_template_list_new(run, 0);
    struct sc_template_wrap wrap = { .breaks_long = sc_template_arg_bool(call->args[1], true),
                                     .breaks_hyphens = sc_template_arg_bool(call->args[3], true) };
    if (!lines || !sc_template_arg_string(run, call->self, "what is wrapped", &string) ||
        !sc_template_arg_int(run, call->args[0], 79, &wrap.width))
        return false;
    if (call->args[2].kind != VALUE_ABSENT && call->args[2].kind != VALUE_NONE &&
        !sc_template_arg_string(run, call->args[2], "wrapstring", &separator))
        return false;
    if (wrap.width <= 0) return sc_template_fail(run, "invalid width %lld (must be > 0)", (long long)wrap.width);
    if (!sc_template_split_lines(run, text_of(string), false, lines)) return false;
    wrap.separator = separator;
    size_t begin = sc_template_text_begin(run);
    for (size_t i = 0; i < lines->n; i++)
        if ((i && !sc_template_write(run, separator->data, separator->n_bytes)) ||
            !sc_template_wrap_line(run, &wrap, text_of(lines->items[i].string)))
            return false;
    return sc_template_text_end(run, begin, out);
}

static bool filter_format(struct run *run, struct call *call, struct value *out)
{
    const struct arguments *given = call->given;
    const struct string *format;
    struct list *list = sc_template_list_new(run, given->n_positional);
    struct dict *named = sc_template_dict_new(run, given->n_named);
    if (!list || !named || !sc_template_str(run, call->self, &format)) return false;
    if (given->n_positional && given->n_named)
        return sc_template_fail(run, "can't handle positional and keyword arguments at the same time");
    for (size_t i = 0; i < given->n_positional; i++)
        if (!sc_template_list_push(run, list, given->positional[i])) return false;
    for (size_t i = 0; i < given->n_named; i++)
        if (!sc_template_dict_set(run, named, (struct value){ .kind = VALUE_STRING, .string = given->named[i].name },
                                  given->named[i].value))
            return false;
    return sc_template_format_percent(run, format, given->n_named ? sc_template_dict(named) : sc_template_tuple(list),
                                      out);
}

static bool write_quoted(struct run *run, struct value value, bool in_query)
{
    const struct string *string;
    if (!sc_template_str(run, value, &string) || !sc_template_step_bytes(run, string->n_bytes * 4)) return false;
    for (size_t i = 0; i < string->n_bytes; i++) {
        unsigned char c = (unsigned char)string->data[i];
        bool is_plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                        (c && c < 0x80 && strchr("_.-~", c)) || (c == '/' && !in_query);
        char quoted[3] = { '%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15] };
        if (c == ' ' && in_query) quoted[0] = '+';
        bool ok = is_plain ? sc_template_write(run, string->data + i, 1)
                           : sc_template_write(run, quoted, quoted[0] == '+' ? 1 : 3);
        if (!ok) return false;
    }
    return true;
}

static bool filter_urlencode(struct run *run, struct call *call, struct value *out)
{
    const struct list *items, *pair;
    struct view view = { VIEW_ITEMS, NULL };
    struct value source = call->self;
    size_t begin = sc_template_text_begin(run);
    if (source.kind == VALUE_STRING || !sc_template_is_iterable(source))
        return write_quoted(run, source, false) && sc_template_text_end(run, begin, out);
    if (source.kind == VALUE_DICT) {
        view.dict = source.dict;
        source = (struct value){ .kind = VALUE_VIEW, .view = &view };
    }
    if (!sc_template_items(run, source, &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        if (!sc_template_items(run, items->items[i], &pair)) return false;
        if (pair->n != 2) return sc_template_fail(run, "urlencode needs pairs of a name and a value");
        if ((i && !sc_template_write(run, "&", 1)) || !write_quoted(run, pair->items[0], true) ||
            !sc_template_write(run, "=", 1) || !write_quoted(run, pair->items[1], true))
            return false;
    }
    return sc_template_text_end(run, begin, out);
}

static bool filter_xmlattr(struct run *run, struct call *call, struct value *out)
{
    size_t begin = sc_template_text_begin(run);
    bool has_space = sc_template_arg_bool(call->args[0], true);
    if (call->self.kind != VALUE_DICT)
        return sc_template_fail(run, "xmlattr needs a mapping, not %s", sc_template_type_name(call->self));
    for (size_t i = 0; i < call->self.dict->n; i++) {
        struct value key = call->self.dict->entries[i].key, value = call->self.dict->entries[i].value;
        const struct string *name;
        if (value.kind == VALUE_NONE || value.kind == VALUE_UNDEFINED) continue;
        if (!sc_template_arg_string(run, key, "the name of an attribute", &name)) return false;
        for (size_t k = 0; k < name->n_bytes; k++)
            if (strchr(" \t\n\r\f\v/>=", name->data[k]))
                return sc_template_fail(run, "Invalid character in attribute name: '%.*s'",
                                        (int)SC_MIN(name->n_bytes, 200), name->data);
        bool needs_space = has_space || run->output.n_bytes > begin;
        if ((needs_space && !sc_template_write(run, " ", 1)) || !sc_template_escape(run, key, &key) ||
            !sc_template_escape(run, value, &value) || !sc_template_print(run, key) ||
            !sc_template_write(run, "=\"", 2) || !sc_template_print(run, value) || !sc_template_write(run, "\"", 1))
            return false;
    }
    return sc_template_text_end(run, begin, out);
}

// The character that an entity such as "&amp;" or "&#38;" at text stands for; *n_bytes is the entity's length.
static uint32_t entity(struct sc_text text, size_t *n_bytes)
{
    static const struct {
        const char *name;
        uint32_t point;
    } named[] = {
        { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' }, { "&nbsp;", 0xA0 },
    };
    for (size_t i = 0; i < SC_COUNT(named); i++) {
        *n_bytes = strlen(named[i].name);
        if (text.n_bytes >= *n_bytes && memcmp(text.data, named[i].name, *n_bytes) == 0) return named[i].point;
    }
    char digits[10] = { 0 }, *end;
    if (text.n_bytes < 4 || text.data[1] != '#') return 0;
    bool is_hex = (text.data[2] | 0x20) == 'x';
    size_t begin = is_hex ? 3 : 2, n = 0;
    while (n < 8 && begin + n < text.n_bytes && strchr("0123456789abcdefABCDEF", text.data[begin + n])) n++;
    memcpy(digits, text.data + begin, n);
    unsigned long point = strtoul(digits, &end, is_hex ? 16 : 10);
    if (!n || *end || begin + n >= text.n_bytes || text.data[begin + n] != ';') return 0;
    *n_bytes = begin + n + 1;
    return point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF) ? 0xFFFD : (uint32_t)point;
}

// Writes text without its tags and comments, with single spaces.
static bool write_stripped(struct run *run, struct sc_text text)
{
    bool is_first = true, after_space = false;
    for (size_t i = 0, n; i < text.n_bytes; i += n) {
        struct sc_text rest = { text.data + i, text.n_bytes - i };
        n = 1;
        if (rest.data[0] == '<') {
            bool is_comment = rest.n_bytes >= 4 && memcmp(rest.data, "<!--", 4) == 0;
            ptrdiff_t end = sc_template_find(rest, sc_text_of(is_comment ? "-->" : ">"), is_comment ? 4 : 1);
            if (end >= 0) {
                n = (size_t)end + (is_comment ? 3 : 1);
                continue;
            }
            if (!sc_template_step_bytes(run, rest.n_bytes)) return false;
        }
        if (sc_template_is_space(sc_template_point(rest.data, &n))) {
            after_space = true;
            continue;
        }
        char bytes[4];
        size_t n_entity;
        uint32_t point = rest.data[0] == '&' ? entity(rest, &n_entity) : 0;
        if (after_space && !is_first && !sc_template_write(run, " ", 1)) return false;
        if (point ? !sc_template_write(run, bytes, sc_utf8_encode(point, bytes))
                  : !sc_template_write(run, rest.data, n))
            return false;
        if (point) n = n_entity;
        is_first = after_space = false;
    }
    return true;
}

static bool filter_striptags(struct run *run, struct call *call, struct value *out)
{
    const struct string *string;
    size_t begin = sc_template_text_begin(run);
    return sc_template_str(run, call->self, &string) && write_stripped(run, text_of(string)) &&
           sc_template_text_end(run, begin, out);
}

const struct native sc_template_filters_text[] = {
    { "upper", filter_upper, "" },
    { "lower", filter_lower, "" },
    { "capitalize", filter_capitalize, "" },
    { "title", filter_title, "" },
    { "trim", filter_trim, "chars" },
    { "center", filter_center, "width" },
    { "replace", filter_replace, "old! new! count" },
    { "indent", filter_indent, "width first blank" },
    { "truncate", filter_truncate, "length killwords end leeway" },
    { "wordcount", filter_wordcount, "" },
    { "wordwrap", filter_wordwrap, "width break_long_words wrapstring break_on_hyphens" },
    { "format", filter_format, "*" },
    { "urlencode", filter_urlencode, "" },
    { "xmlattr", filter_xmlattr, "autospace" },
    { "striptags", filter_striptags, "" },
    { 0 },
};
