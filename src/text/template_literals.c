// Numbers and quoted strings in a template's source.
#include "text/template_syntax.h"

#include <string.h>

#include "text/utf8.h"

static bool is_digit(char c, int base)
{
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : 99;
    return digit < base;
}

// The length of a run of digits with single underscores between them; 0 without a digit.
static size_t digit_run(const char *data, size_t n, int base)
{
    size_t i = 0;
    while (i < n && is_digit(data[i], base)) {
        i++;
        if (i + 1 < n && data[i] == '_' && is_digit(data[i + 1], base)) i++;
    }
    return i;
}

// The length of "." digits and of "e" sign digits at data, each 0 when it is not there.
static size_t fraction_run(const char *data, size_t n)
{
    size_t digits = n > 1 && data[0] == '.' ? digit_run(data + 1, n - 1, 10) : 0;
    return digits ? digits + 1 : 0;
}

static size_t exponent_run(const char *data, size_t n)
{
    if (n < 2 || (data[0] | 0x20) != 'e') return 0;
    size_t i = data[1] == '+' || data[1] == '-' ? 2 : 1;
    size_t digits = digit_run(data + i, n - i, 10);
    return digits ? i + digits : 0;
}

enum { NUMBER_BYTES_MAX = 400 };

// Copies a number without its underscores; false when it is too long to be one.
static bool squeeze(struct sc_text text, char out[NUMBER_BYTES_MAX], struct sc_text *squeezed)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (text.data[i] == '_') continue;
        if (n == NUMBER_BYTES_MAX) return false;
        out[n++] = text.data[i];
    }
    *squeezed = (struct sc_text){ out, n };
    return true;
}

static bool lex_number(struct lexer *lexer, const char *data, size_t n, struct value *out)
{
    size_t n_bytes;
    int base = 10;
    bool is_real = false;
    char mark = n > 1 && data[0] == '0' ? (char)(data[1] | 0x20) : ' ';
    if (mark == 'x' || mark == 'o' || mark == 'b') base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
    size_t prefixed = base == 10 ? 0 : digit_run(data + 2, n - 2, base);
    if (prefixed) {
        n_bytes = prefixed + 2;
    } else {
        base = 10;
        n_bytes = digit_run(data, n, 10);
        // "a.1.5" is an item of an item, not the number 1.5.
        bool after_dot = lexer->position && data[-1] == '.';
        size_t fraction = after_dot ? 0 : fraction_run(data + n_bytes, n - n_bytes);
        size_t exponent = after_dot ? 0 : exponent_run(data + n_bytes + fraction, n - n_bytes - fraction);
        is_real = fraction + exponent > 0;
        n_bytes += fraction + exponent;
    }
    char digits[NUMBER_BYTES_MAX];
    struct sc_text text;
    int64_t integer;
    double real;
    if (!squeeze((struct sc_text){ data, n_bytes }, digits, &text))
        return sc_template_syntax_error(lexer->err, lexer->line, "a number of more than %d digits", NUMBER_BYTES_MAX);
    if (is_real) {
        if (!sc_template_parse_float(text, &real))
            return sc_template_syntax_error(lexer->err, lexer->line, "bad number '%.*s'", SC_TEXT_ARGS(text));
        *out = sc_template_float(real);
    } else {
        if (!sc_template_parse_int(text, base, &integer))
            return sc_template_syntax_error(lexer->err, lexer->line, "the number %.*s does not fit 64 bits",
                                            SC_TEXT_ARGS(text));
        *out = sc_template_int(integer);
    }
    lexer->position += n_bytes;
    return true;
}

// \xHH, \uHHHH, \UHHHHHHHH: reads n hexadecimal digits.
static bool read_hex(const char *data, size_t n_there, size_t n, uint32_t *point)
{
    *point = 0;
    if (n_there < n) return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(data[i], 16) || *point > 0x0fffffff) return false;
        char c = data[i];
        *point = *point * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return *point <= 0x10ffff && (*point < 0xd800 || *point > 0xdfff);
}

// One escape at data[0..n), after the backslash. Writes what it stands for and returns how many bytes it took; 0: bad.
static size_t unescape_one(const char *data, size_t n, char *out, size_t *n_out)
{
    static const char names[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    uint32_t point;
    const char *name = memchr(names, data[0], sizeof names - 1);
    if (name) {
        out[0] = values[name - names];
        *n_out = 1;
        return 1;
    }
    if (data[0] == '\n') {
        *n_out = 0;
        return 1;
    }
    size_t n_hex = data[0] == 'x' ? 2 : data[0] == 'u' ? 4 : data[0] == 'U' ? 8 : 0;
    if (n_hex) {
        if (!read_hex(data + 1, n - 1, n_hex, &point)) return 0;
        *n_out = sc_utf8_encode(point, out);
        return n_hex + 1;
    }
    if (data[0] == 'N') return 0; // names of characters are not known here
    size_t i = 0;
    for (point = 0; i < 3 && i < n && is_digit(data[i], 8); i++) point = point * 8 + (uint32_t)(data[i] - '0');
    if (i) {
        *n_out = sc_utf8_encode(point, out);
        return i;
    }
    out[0] = '\\'; // an unknown escape stays as it is
    *n_out = 1;
    return SIZE_MAX;
}

// The contents of a quoted string; never longer than its source.
static bool unescape(struct lexer *lexer, struct sc_text text, struct value *out)
{
    const char *data = text.data;
    size_t n_bytes = text.n_bytes;
    if (memchr(text.data, '\\', text.n_bytes)) {
        char *copy = sc_arena_alloc(lexer->arena, text.n_bytes + 4);
        if (!copy) return sc_template_syntax_error(lexer->err, lexer->line, "not enough memory");
        n_bytes = 0;
        for (size_t i = 0; i < text.n_bytes;) {
            if (text.data[i] != '\\' || i + 1 == text.n_bytes) {
                copy[n_bytes++] = text.data[i++];
                continue;
            }
            size_t n_written,
                n_read = unescape_one(text.data + i + 1, text.n_bytes - i - 1, copy + n_bytes, &n_written);
            if (!n_read)
                return sc_template_syntax_error(lexer->err, lexer->line, "bad escape \"\\%c\" in a string",
                                                text.data[i + 1]);
            i += n_read == SIZE_MAX ? 1 : n_read + 1;
            n_bytes += n_written;
        }
        data = copy;
    }
    out->kind = VALUE_STRING;
    out->string = sc_template_string_new(lexer->arena, data, n_bytes);
    if (!out->string) return sc_template_syntax_error(lexer->err, lexer->line, "not enough memory");
    return true;
}

static bool lex_string(struct lexer *lexer, const char *data, size_t n, struct value *out)
{
    size_t i = 1;
    while (i < n && data[i] != data[0]) i += data[i] == '\\' && i + 1 < n ? 2 : 1;
    if (i >= n) return sc_template_syntax_error(lexer->err, lexer->line, "a string is not closed with %c", data[0]);
    if (!unescape(lexer, (struct sc_text){ data + 1, i - 1 }, out)) return false;
    for (size_t k = 0; k < i; k++) lexer->line += data[k] == '\n';
    lexer->position += i + 1;
    return true;
}

bool sc_template_lex_constant(struct lexer *lexer, struct value *out)
{
    *out = (struct value){ 0 };
    const char *data = lexer->source.data + lexer->position;
    size_t n = lexer->source.n_bytes - lexer->position;
    if (n == 0) return true;
    if (is_digit(data[0], 10)) return lex_number(lexer, data, n, out);
    if (data[0] == '"' || data[0] == '\'') return lex_string(lexer, data, n, out);
    return true;
}
