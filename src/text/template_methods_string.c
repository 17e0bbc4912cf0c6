// Methods of strings that make something of them.
#include "text/template_internal.h"

#include <string.h>

static struct sc_text text_of(const struct string *string) { return (struct sc_text){ string->data, string->n_bytes }; }

static bool change_case(struct run *run, struct call *call, enum text_case which, struct value *out)
{
    return sc_template_change_case(run, call->self.string, which, out);
}

static bool method_upper(struct run *run, struct call *call, struct value *out)
{
    return change_case(run, call, CASE_UPPER, out);
}

static bool method_lower(struct run *run, struct call *call, struct value *out)
{
    return change_case(run, call, CASE_LOWER, out);
}

static bool method_title(struct run *run, struct call *call, struct value *out)
{
    return change_case(run, call, CASE_TITLE, out);
}

static bool method_capitalize(struct run *run, struct call *call, struct value *out)
{
    return change_case(run, call, CASE_CAPITAL, out);
}

static bool method_swapcase(struct run *run, struct call *call, struct value *out)
{
    return change_case(run, call, CASE_SWAP, out);
}

static bool method_casefold(struct run *run, struct call *call, struct value *out)
{
    return change_case(run, call, CASE_FOLD, out);
}

static bool strip(struct run *run, struct call *call, bool left, bool right, struct value *out)
{
    const struct string *string = call->self.string, *characters = NULL;
    if (call->args[0].kind != VALUE_ABSENT && call->args[0].kind != VALUE_NONE &&
        !sc_template_arg_string(run, call->args[0], "strip arg", &characters))
        return false;
    if (!sc_template_step(run, string->n_bytes / 64 * (characters ? characters->n_bytes : 1))) return false;
    struct sc_text rest = sc_template_strip(text_of(string), characters, left, right);
    return sc_template_string_view(run, rest.data, rest.n_bytes, out);
}

static bool method_strip(struct run *run, struct call *call, struct value *out)
{
    return strip(run, call, true, true, out);
}

static bool method_lstrip(struct run *run, struct call *call, struct value *out)
{
    return strip(run, call, true, false, out);
}

static bool method_rstrip(struct run *run, struct call *call, struct value *out)
{
    return strip(run, call, false, true, out);
}

static bool push_text(struct run *run, struct list *list, const char *begin, const char *end)
{
    struct value item;
    return sc_template_string_view(run, begin, (size_t)(end - begin), &item) && sc_template_list_push(run, list, item);
}

// Words between white space; after n_max splits the rest is one piece.
static bool split_words(struct run *run, struct sc_text text, int64_t n_max, struct list *out)
{
    for (text = sc_template_strip(text, NULL, true, false); text.n_bytes;
         text = sc_template_strip(text, NULL, true, false)) {
        size_t i = 0, n;
        while (i < text.n_bytes && !sc_template_is_space(sc_template_point(text.data + i, &n))) i += n;
        if (n_max >= 0 && (int64_t)out->n == n_max) i = text.n_bytes;
        if (!push_text(run, out, text.data, text.data + i)) return false;
        text.data += i;
        text.n_bytes -= i;
    }
    return true;
}

static void reverse(struct list *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        struct value swap = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = swap;
    }
}

static bool split_words_last(struct run *run, struct sc_text text, int64_t n_max, struct list *out)
{
    for (text = sc_template_strip(text, NULL, false, true); text.n_bytes;
         text = sc_template_strip(text, NULL, false, true)) {
        size_t i = text.n_bytes, n;
        while (i > 0) {
            size_t begin = i - 1;
            while (((unsigned char)text.data[begin] & 0xC0) == 0x80) begin--;
            if (sc_template_is_space(sc_template_point(text.data + begin, &n))) break;
            i = begin;
        }
        if (n_max >= 0 && (int64_t)out->n == n_max) i = 0;
        if (!push_text(run, out, text.data + i, text.data + text.n_bytes)) return false;
        text.n_bytes = i;
    }
    reverse(out);
    return true;
}

static bool split_at(struct run *run, struct sc_text text, struct sc_text separator, int64_t n_max, struct list *out)
{
    size_t at = 0;
    while (n_max < 0 || (int64_t)out->n < n_max) {
        ptrdiff_t found = sc_template_find(text, separator, at);
        if (found < 0) break;
        if (!push_text(run, out, text.data + at, text.data + found)) return false;
        at = (size_t)found + separator.n_bytes;
    }
    return push_text(run, out, text.data + at, text.data + text.n_bytes);
}

static bool split_at_last(struct run *run, struct sc_text text, struct sc_text separator, int64_t n_max,
                          struct list *out)
{
    while (n_max < 0 || (int64_t)out->n < n_max) {
        ptrdiff_t found;
        if (!sc_template_find_last(run, text, separator, &found)) return false;
        if (found < 0) break;
        if (!push_text(run, out, text.data + found + separator.n_bytes, text.data + text.n_bytes)) return false;
        text.n_bytes = (size_t)found;
    }
    if (!push_text(run, out, text.data, text.data + text.n_bytes)) return false;
    reverse(out);
    return true;
}

static bool split(struct run *run, struct call *call, bool from_end, struct value *out)
{
    int64_t n_max;
    struct list *list = sc_template_list_new(run, 0);
    const struct string *separator;
    struct sc_text text = text_of(call->self.string);
    if (!list || !sc_template_arg_int(run, call->args[1], -1, &n_max) || !sc_template_step_bytes(run, text.n_bytes))
        return false;
    *out = sc_template_list(list);
    if (call->args[0].kind == VALUE_ABSENT || call->args[0].kind == VALUE_NONE)
        return (from_end ? split_words_last : split_words)(run, text, n_max, list);
    if (!sc_template_arg_string(run, call->args[0], "the separator", &separator)) return false;
    if (!separator->n_bytes) return sc_template_fail(run, "empty separator");
    return (from_end ? split_at_last : split_at)(run, text, text_of(separator), n_max, list);
}

static bool method_split(struct run *run, struct call *call, struct value *out) { return split(run, call, false, out); }

static bool method_rsplit(struct run *run, struct call *call, struct value *out) { return split(run, call, true, out); }

static bool partition(struct run *run, struct call *call, bool from_end, struct value *out)
{
    const struct string *separator;
    struct sc_text text = text_of(call->self.string);
    struct list *list = sc_template_list_new(run, 3);
    ptrdiff_t found;
    if (!list || !sc_template_arg_string(run, call->args[0], "the separator", &separator)) return false;
    if (!separator->n_bytes) return sc_template_fail(run, "empty separator");
    if (!sc_template_step_bytes(run, text.n_bytes)) return false;
    if (!from_end) found = sc_template_find(text, text_of(separator), 0);
    else if (!sc_template_find_last(run, text, text_of(separator), &found)) return false;
    *out = sc_template_tuple(list);
    // Without the separator: the whole text first, or last when it was looked for from the end.
    size_t a = found >= 0 ? (size_t)found : from_end ? 0 : text.n_bytes;
    size_t b = found >= 0 ? a + separator->n_bytes : a;
    return push_text(run, list, text.data, text.data + a) && push_text(run, list, text.data + a, text.data + b) &&
           push_text(run, list, text.data + b, text.data + text.n_bytes);
}

static bool method_partition(struct run *run, struct call *call, struct value *out)
{
    return partition(run, call, false, out);
}

static bool method_rpartition(struct run *run, struct call *call, struct value *out)
{
    return partition(run, call, true, out);
}

static bool method_splitlines(struct run *run, struct call *call, struct value *out)
{
    struct list *list = sc_template_list_new(run, 0);
    int64_t keeps_ends;
    if (!list || !sc_template_arg_int(run, call->args[0], 0, &keeps_ends)) return false;
    *out = sc_template_list(list);
    return sc_template_split_lines(run, text_of(call->self.string), keeps_ends != 0, list);
}

static bool method_replace(struct run *run, struct call *call, struct value *out)
{
    const struct string *old, *new;
    int64_t n;
    return sc_template_arg_string(run, call->args[0], "replace() argument 1", &old) &&
           sc_template_arg_string(run, call->args[1], "replace() argument 2", &new) &&
           sc_template_arg_int(run, call->args[2], -1, &n) &&
           sc_template_replace(run, call->self.string, old, new, n, out);
}

static bool method_join(struct run *run, struct call *call, struct value *out)
{
    const struct list *items;
    const struct string *separator = call->self.string, *item;
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_items(run, call->args[0], &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        if (items->items[i].kind != VALUE_STRING)
            return sc_template_fail(run, "sequence item %zu: expected str instance, %s found", i,
                                    sc_template_type_name(items->items[i]));
        item = items->items[i].string;
        if ((i && !sc_template_write(run, separator->data, separator->n_bytes)) || !sc_template_step(run, 1) ||
            !sc_template_write(run, item->data, item->n_bytes))
            return false;
    }
    return sc_template_text_end(run, begin, out);
}

static bool method_format(struct run *run, struct call *call, struct value *out)
{
    return sc_template_format_braces(run, call->self.string, call->given, out);
}

static bool method_format_map(struct run *run, struct call *call, struct value *out)
{
    if (call->args[0].kind != VALUE_DICT)
        return sc_template_fail(run, "format_map() needs a dict, not %s", sc_template_type_name(call->args[0]));
    const struct dict *dict = call->args[0].dict;
    struct arguments arguments = { 0 };
    arguments.named = sc_template_alloc(run, dict->n, sizeof *arguments.named);
    if (!arguments.named) return false;
    for (size_t i = 0; i < dict->n; i++)
        if (dict->entries[i].key.kind == VALUE_STRING)
            arguments.named[arguments.n_named++] = (struct named_value){ dict->entries[i].key.string,
                                                                         dict->entries[i].value };
    return sc_template_format_braces(run, call->self.string, &arguments, out);
}

// Fills up to a width: how many of the characters that are missing go to the left.
static bool fill(struct run *run, struct call *call, char side, struct value *out)
{
    const struct string *string = call->self.string, *unit = run->characters[' '];
    int64_t width;
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_arg_int(run, call->args[0], 0, &width)) return false;
    if (call->args[1].kind != VALUE_ABSENT && !sc_template_arg_string(run, call->args[1], "the fill character", &unit))
        return false;
    if (unit->n_points != 1) return sc_template_fail(run, "The fill character must be exactly one character long");
    int64_t n_pad = SC_MAX(0, width - (int64_t)string->n_points);
    int64_t n_left = side == '<' ? 0 : side == '>' ? n_pad : n_pad / 2 + (n_pad & width & 1);
    return sc_template_write_repeated(run, unit, (size_t)n_left) &&
           sc_template_write(run, string->data, string->n_bytes) &&
           sc_template_write_repeated(run, unit, (size_t)(n_pad - n_left)) && sc_template_text_end(run, begin, out);
}

static bool method_center(struct run *run, struct call *call, struct value *out) { return fill(run, call, '^', out); }

static bool method_ljust(struct run *run, struct call *call, struct value *out) { return fill(run, call, '<', out); }

static bool method_rjust(struct run *run, struct call *call, struct value *out) { return fill(run, call, '>', out); }

static bool method_zfill(struct run *run, struct call *call, struct value *out)
{
    const struct string *string = call->self.string;
    int64_t width;
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_arg_int(run, call->args[0], 0, &width)) return false;
    int64_t n_pad = SC_MAX(0, width - (int64_t)string->n_points);
    size_t n_sign = string->n_bytes && (string->data[0] == '-' || string->data[0] == '+');
    return sc_template_write(run, string->data, n_sign) &&
           sc_template_write_repeated(run, run->characters['0'], (size_t)n_pad) &&
           sc_template_write(run, string->data + n_sign, string->n_bytes - n_sign) &&
           sc_template_text_end(run, begin, out);
}

static bool method_expandtabs(struct run *run, struct call *call, struct value *out)
{
    const struct string *string = call->self.string;
    int64_t size, column = 0;
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_arg_int(run, call->args[0], 8, &size) || !sc_template_step_bytes(run, string->n_bytes * 4))
        return false;
    for (size_t i = 0, n; i < string->n_bytes; i += n) {
        uint32_t point = sc_template_point(string->data + i, &n);
        if (point == '\t') {
            int64_t n_spaces = size > 0 ? size - column % size : 0;
            if (!sc_template_write_repeated(run, run->characters[' '], (size_t)n_spaces)) return false;
            column += n_spaces;
            continue;
        }
        column = point == '\n' || point == '\r' ? 0 : column + 1;
        if (!sc_template_write(run, string->data + i, n)) return false;
    }
    return sc_template_text_end(run, begin, out);
}

static bool method_removeprefix(struct run *run, struct call *call, struct value *out)
{
    const struct string *string = call->self.string, *prefix;
    if (!sc_template_arg_string(run, call->args[0], "removeprefix() argument", &prefix)) return false;
    *out = call->self;
    if (string->n_bytes < prefix->n_bytes || memcmp(string->data, prefix->data, prefix->n_bytes) != 0) return true;
    return sc_template_substring(run, string, prefix->n_bytes, string->n_bytes, out);
}

static bool method_removesuffix(struct run *run, struct call *call, struct value *out)
{
    const struct string *string = call->self.string, *suffix;
    if (!sc_template_arg_string(run, call->args[0], "removesuffix() argument", &suffix)) return false;
    *out = call->self;
    if (string->n_bytes < suffix->n_bytes) return true;
    size_t at = string->n_bytes - suffix->n_bytes;
    if (memcmp(string->data + at, suffix->data, suffix->n_bytes) != 0) return true;
    return sc_template_substring(run, string, 0, at, out);
}

const struct native sc_template_methods_string[] = {
    { "upper", method_upper, "" },
    { "lower", method_lower, "" },
    { "title", method_title, "" },
    { "capitalize", method_capitalize, "" },
    { "swapcase", method_swapcase, "" },
    { "casefold", method_casefold, "" },
    { "strip", method_strip, "chars" },
    { "lstrip", method_lstrip, "chars" },
    { "rstrip", method_rstrip, "chars" },
    { "split", method_split, "sep maxsplit" },
    { "rsplit", method_rsplit, "sep maxsplit" },
    { "partition", method_partition, "sep!" },
    { "rpartition", method_rpartition, "sep!" },
    { "splitlines", method_splitlines, "keepends" },
    { "replace", method_replace, "old! new! count" },
    { "join", method_join, "iterable!" },
    { "format", method_format, "*" },
    { "format_map", method_format_map, "mapping!" },
    { "center", method_center, "width! fillchar" },
    { "ljust", method_ljust, "width! fillchar" },
    { "rjust", method_rjust, "width! fillchar" },
    { "zfill", method_zfill, "width!" },
    { "expandtabs", method_expandtabs, "tabsize" },
    { "removeprefix", method_removeprefix, "prefix!" },
    { "removesuffix", method_removesuffix, "suffix!" },
    { 0 },
};
