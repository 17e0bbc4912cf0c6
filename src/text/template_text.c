// Strings as sequences of code points: places, classes, case, white space, searching, splitting into lines.
//
// Source: the Unicode Character Database by way of utf8proc; the few full case mappings are SpecialCasing.txt's.
#include "text/template_internal.h"

#include <string.h>
#include <utf8proc.h>

#include "text/utf8.h"

uint32_t sc_template_point(const char *at, size_t *n_bytes)
{
    const unsigned char *byte = (const unsigned char *)at;
    *n_bytes = byte[0] < 0x80 ? 1 : byte[0] < 0xE0 ? 2 : byte[0] < 0xF0 ? 3 : 4;
    switch (*n_bytes) {
    case 1: return byte[0];
    case 2: return (byte[0] & 0x1Fu) << 6 | (byte[1] & 0x3Fu);
    case 3: return (byte[0] & 0x0Fu) << 12 | (byte[1] & 0x3Fu) << 6 | (byte[2] & 0x3Fu);
    default: return (byte[0] & 0x07u) << 18 | (byte[1] & 0x3Fu) << 12 | (byte[2] & 0x3Fu) << 6 | (byte[3] & 0x3Fu);
    }
}

size_t sc_template_point_offset(const struct string *string, size_t index)
{
    enum { BLOCK = 64 };
    if (string->n_bytes == string->n_points) return index;
    size_t at = 0;
    while (string->n_bytes - at >= BLOCK) { // whole blocks first: counting where characters begin is quick
        size_t n = 0;
        for (size_t i = 0; i < BLOCK; i++) n += ((unsigned char)string->data[at + i] & 0xC0) != 0x80;
        if (n > index) break;
        index -= n;
        at += BLOCK;
    }
    // A block may end within a character.
    while (at < string->n_bytes && ((unsigned char)string->data[at] & 0xC0) == 0x80) at++;
    for (; index; index--) {
        size_t n;
        sc_template_point(string->data + at, &n);
        at += n;
    }
    return at;
}

bool sc_template_substring(struct run *run, const struct string *string, size_t begin, size_t end, struct value *out)
{
    return sc_template_string_view(run, string->data + begin, end - begin, out);
}

bool sc_template_is_space(uint32_t point) { return sc_unicode_is_space(point) || (point >= 0x1C && point <= 0x1F); }

bool sc_template_is_word(uint32_t point)
{
    if (point < 0x80)
        return (point >= '0' && point <= '9') || ((point | 0x20) >= 'a' && (point | 0x20) <= 'z') || point == '_';
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)point);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

bool sc_template_is_printable(uint32_t point)
{
    if (point < 0x80) return point >= 0x20 && point < 0x7F;
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

// Characters that become several.
static const struct {
    uint32_t point;
    const char *upper, *title;
} full_cases[] = {
    { 0x00DF, "SS", "Ss" },
    { 0x0149, "\u02BCN", "\u02BCN" },
    { 0x01F0, "J\u030C", "J\u030C" },
    { 0x0390, "\u0399\u0308\u0301", "\u0399\u0308\u0301" },
    { 0x03B0, "\u03A5\u0308\u0301", "\u03A5\u0308\u0301" },
    { 0x0587, "\u0535\u0552", "\u0535\u0582" },
    { 0x1E96, "H\u0331", "H\u0331" },
    { 0x1E97, "T\u0308", "T\u0308" },
    { 0x1E98, "W\u030A", "W\u030A" },
    { 0x1E99, "Y\u030A", "Y\u030A" },
    { 0x1E9A, "A\u02BE", "A\u02BE" },
    { 0xFB00, "FF", "Ff" },
    { 0xFB01, "FI", "Fi" },
    { 0xFB02, "FL", "Fl" },
    { 0xFB03, "FFI", "Ffi" },
    { 0xFB04, "FFL", "Ffl" },
    { 0xFB05, "ST", "St" },
    { 0xFB06, "ST", "St" },
    { 0xFB13, "\u0544\u0546", "\u0544\u0576" },
    { 0xFB14, "\u0544\u0535", "\u0544\u0565" },
    { 0xFB15, "\u0544\u053B", "\u0544\u056B" },
    { 0xFB16, "\u054E\u0546", "\u054E\u0576" },
    { 0xFB17, "\u0544\u053D", "\u0544\u056D" },
};

static bool is_cased(uint32_t point)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)point);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

static bool is_ignorable(uint32_t point)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)point);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK || point == '\'' || point == '.' ||
           point == ':' || point == 0x2019 || point == 0xB7;
}

// Does a sigma at byte `at` end a word?
static bool is_final_sigma(struct sc_text text, size_t at)
{
    size_t i = at, n;
    uint32_t point = 0;
    while (i > 0) {
        do i--;
        while (((unsigned char)text.data[i] & 0xC0) == 0x80);
        point = sc_template_point(text.data + i, &n);
        if (!is_ignorable(point)) break;
        point = 0;
    }
    if (!point || !is_cased(point)) return false;
    for (i = at + 2; i < text.n_bytes; i += n) {
        point = sc_template_point(text.data + i, &n);
        if (!is_ignorable(point)) return !is_cased(point);
    }
    return true;
}

static bool write_point(struct run *run, uint32_t point)
{
    char bytes[4];
    return sc_template_write(run, bytes, sc_utf8_encode(point, bytes));
}

static bool write_upper(struct run *run, uint32_t point, bool is_title)
{
    if (point >= 0x80)
        for (size_t i = 0; i < SC_COUNT(full_cases); i++)
            if (full_cases[i].point == point)
                return sc_template_write_string(run, is_title ? full_cases[i].title : full_cases[i].upper);
    utf8proc_int32_t signed_point = (utf8proc_int32_t)point;
    return write_point(run, (uint32_t)(is_title ? utf8proc_totitle(signed_point) : utf8proc_toupper(signed_point)));
}

static bool write_lower(struct run *run, struct sc_text text, size_t at, uint32_t point)
{
    if (point == 0x130) return sc_template_write_string(run, "i\u0307");
    if (point == 0x3A3 && is_final_sigma(text, at)) return write_point(run, 0x3C2);
    return write_point(run, (uint32_t)utf8proc_tolower((utf8proc_int32_t)point));
}

// For comparing without regard to case: sharp s, sigmas and ligatures become plain letters.
static bool write_fold(struct run *run, struct sc_text text, size_t at, uint32_t point)
{
    if (point == 0x3C2) return write_point(run, 0x3C3);
    if (point == 0x3A3) return write_point(run, 0x3C3);
    if (point == 0xB5) return write_point(run, 0x3BC);
    if (point == 0x1E9E) return sc_template_write_string(run, "ss");
    for (size_t i = 0; point >= 0x80 && i < SC_COUNT(full_cases); i++)
        if (full_cases[i].point == point) {
            struct sc_text upper = sc_text_of(full_cases[i].upper);
            return sc_template_write_case(run, upper, CASE_LOWER);
        }
    return write_lower(run, text, at, point);
}

bool sc_template_write_case(struct run *run, struct sc_text text, enum text_case which)
{
    bool after_cased = false;
    if (!sc_template_step_bytes(run, text.n_bytes * 4)) return false;
    for (size_t i = 0, n; i < text.n_bytes; i += n) {
        uint32_t point = sc_template_point(text.data + i, &n);
        bool ok;
        switch (which) {
        case CASE_UPPER: ok = write_upper(run, point, false); break;
        case CASE_LOWER: ok = write_lower(run, text, i, point); break;
        case CASE_FOLD: ok = write_fold(run, text, i, point); break;
        case CASE_SWAP:
            ok = utf8proc_category((utf8proc_int32_t)point) == UTF8PROC_CATEGORY_LU ? write_lower(run, text, i, point)
                                                                                    : write_upper(run, point, false);
            break;
        case CASE_CAPITAL: ok = i == 0 ? write_upper(run, point, true) : write_lower(run, text, i, point); break;
        default:
            ok = after_cased ? write_lower(run, text, i, point) : write_upper(run, point, true);
            after_cased = is_cased(point);
        }
        if (!ok) return false;
    }
    return true;
}

bool sc_template_change_case(struct run *run, const struct string *string, enum text_case which, struct value *out)
{
    size_t begin = sc_template_text_begin(run);
    return sc_template_write_case(run, (struct sc_text){ string->data, string->n_bytes }, which) &&
           sc_template_text_end(run, begin, out);
}

static bool is_stripped(const char *at, size_t n, const struct string *characters)
{
    size_t ignored;
    if (!characters) return sc_template_is_space(sc_template_point(at, &ignored));
    for (size_t i = 0; i < characters->n_bytes; i += ignored) {
        sc_template_point(characters->data + i, &ignored);
        if (ignored == n && memcmp(characters->data + i, at, n) == 0) return true;
    }
    return false;
}

struct sc_text sc_template_strip(struct sc_text text, const struct string *characters, bool left, bool right)
{
    while (left && text.n_bytes) {
        size_t n;
        sc_template_point(text.data, &n);
        if (!is_stripped(text.data, n, characters)) break;
        text.data += n;
        text.n_bytes -= n;
    }
    while (right && text.n_bytes) {
        size_t begin = text.n_bytes - 1;
        while (((unsigned char)text.data[begin] & 0xC0) == 0x80) begin--;
        if (!is_stripped(text.data + begin, text.n_bytes - begin, characters)) break;
        text.n_bytes = begin;
    }
    return text;
}

ptrdiff_t sc_template_find(struct sc_text text, struct sc_text needle, size_t begin)
{
    if (begin > text.n_bytes) return -1;
    if (needle.n_bytes == 0) return (ptrdiff_t)begin;
    const char *at = memmem(text.data + begin, text.n_bytes - begin, needle.data, needle.n_bytes);
    return at ? at - text.data : -1;
}

bool sc_template_find_last(struct run *run, struct sc_text text, struct sc_text needle, ptrdiff_t *out)
{
    *out = -1;
    if (needle.n_bytes > text.n_bytes) return true;
    for (size_t at = text.n_bytes - needle.n_bytes + 1; at-- > 0;) {
        if (needle.n_bytes && text.data[at] != needle.data[0]) continue;
        if (!sc_template_step_bytes(run, needle.n_bytes)) return false;
        if (needle.n_bytes && memcmp(text.data + at, needle.data, needle.n_bytes) != 0) continue;
        *out = (ptrdiff_t)at;
        break;
    }
    return true;
}

bool sc_template_replace(struct run *run, const struct string *text, const struct string *old, const struct string *new,
                         int64_t n_max, struct value *out)
{
    struct sc_text whole = { text->data, text->n_bytes }, needle = { old->data, old->n_bytes };
    size_t at = 0, begin = sc_template_text_begin(run);
    if (!sc_template_step_bytes(run, text->n_bytes)) return false;
    for (int64_t i = 0; n_max < 0 || i < n_max; i++) {
        ptrdiff_t found = sc_template_find(whole, needle, at);
        if (found < 0) break;
        size_t stop = (size_t)found;
        // An empty needle is found before every character and at the end.
        if (old->n_bytes == 0 && i > 0) {
            if (at == text->n_bytes) break;
            size_t n;
            sc_template_point(text->data + at, &n);
            stop = at + n;
        }
        if (!sc_template_write(run, text->data + at, stop - at) || !sc_template_write(run, new->data, new->n_bytes))
            return false;
        at = stop + old->n_bytes;
    }
    return sc_template_write(run, text->data + at, text->n_bytes - at) && sc_template_text_end(run, begin, out);
}

static bool is_line_end(uint32_t point)
{
    return (point >= '\n' && point <= '\r') || (point >= 0x1C && point <= 0x1E) || point == 0x85 || point == 0x2028 ||
           point == 0x2029;
}

bool sc_template_split_lines(struct run *run, struct sc_text text, bool keep_ends, struct list *out)
{
    size_t begin = 0;
    if (!sc_template_step_bytes(run, text.n_bytes)) return false;
    for (size_t i = 0, n; i < text.n_bytes; i += n) {
        uint32_t point = sc_template_point(text.data + i, &n);
        if (!is_line_end(point)) continue;
        if (point == '\r' && i + 1 < text.n_bytes && text.data[i + 1] == '\n') n = 2;
        struct value line;
        if (!sc_template_string_view(run, text.data + begin, i + (keep_ends ? n : 0) - begin, &line) ||
            !sc_template_list_push(run, out, line))
            return false;
        begin = i + n;
    }
    struct value rest;
    return begin == text.n_bytes || (sc_template_string_view(run, text.data + begin, text.n_bytes - begin, &rest) &&
                                     sc_template_list_push(run, out, rest));
}

bool sc_template_write_escaped(struct run *run, struct sc_text text)
{
    size_t begin = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char *name = NULL;
        switch (text.data[i]) {
        case '&': name = "&amp;"; break;
        case '<': name = "&lt;"; break;
        case '>': name = "&gt;"; break;
        case '"': name = "&#34;"; break;
        case '\'': name = "&#39;"; break;
        default: continue;
        }
        if (!sc_template_write(run, text.data + begin, i - begin) || !sc_template_write_string(run, name)) return false;
        begin = i + 1;
    }
    return sc_template_write(run, text.data + begin, text.n_bytes - begin);
}

bool sc_template_escape(struct run *run, struct value value, struct value *out)
{
    const struct string *string;
    if (!sc_template_str(run, value, &string)) return false;
    *out = (struct value){ .kind = VALUE_STRING, .string = string };
    if (!string->is_markup || value.kind != VALUE_STRING) {
        size_t begin = sc_template_text_begin(run);
        if (!sc_template_write_escaped(run, (struct sc_text){ string->data, string->n_bytes }) ||
            !sc_template_text_end(run, begin, out))
            return false;
    }
    struct string *markup = sc_template_alloc(run, 1, sizeof *markup);
    if (!markup) return false;
    *markup = *out->string;
    markup->is_markup = true;
    out->string = markup;
    return true;
}
