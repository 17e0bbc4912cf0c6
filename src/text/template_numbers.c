// Numbers and text: int() and float() of Python, and the filter `round`.
#include "text/template_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

// Passes "0x", "0o" or "0b" where the base allows it. A base of 0 is told from it.
static bool pass_prefix(struct sc_text *text, int64_t *base)
{
    int64_t named = 0;
    if (text->n_bytes > 1 && text->data[0] == '0') {
        char c = (char)(text->data[1] | 0x20);
        named = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
    }
    if (named && (*base == 0 || *base == named)) {
        *base = named;
        text->data += 2;
        text->n_bytes -= 2;
        if (text->n_bytes && text->data[0] == '_') {
            text->data++;
            text->n_bytes--;
        }
        return true;
    }
    if (*base == 0) *base = 10;
    return false;
}

bool sc_template_parse_int(struct sc_text text, int64_t base, int64_t *out)
{
    text = sc_template_strip(text, NULL, true, true);
    bool is_negative = text.n_bytes && text.data[0] == '-', is_zero_based = base == 0;
    if (text.n_bytes && (text.data[0] == '-' || text.data[0] == '+')) {
        text.data++;
        text.n_bytes--;
    }
    if (base != 0 && (base < 2 || base > 36)) return false;
    bool has_prefix = pass_prefix(&text, &base);
    uint64_t sum = 0, max = (uint64_t)INT64_MAX + is_negative;
    bool after_digit = false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        int digit = digit_value(text.data[i]);
        if (text.data[i] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (digit >= base || sum > (max - (uint64_t)digit) / (uint64_t)base) return false;
        sum = sum * (uint64_t)base + (uint64_t)digit;
        after_digit = true;
    }
    // With base 0 a number of Python's source is meant, which has no zeros in front.
    if (is_zero_based && !has_prefix && text.n_bytes && text.data[0] == '0' && sum) return false;
    *out = is_negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return after_digit;
}

static bool is_word(struct sc_text text, const char *word)
{
    size_t n = strlen(word);
    if (text.n_bytes != n) return false;
    for (size_t i = 0; i < n; i++)
        if ((text.data[i] | 0x20) != word[i]) return false;
    return true;
}

// Is it digits [. digits] [e sign digits], with one underscore at most between two digits?
static bool is_real_number(struct sc_text text)
{
    bool has_digit = false, has_point = false, has_exponent = false, after_digit = false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9') {
            has_digit = after_digit = true;
            continue;
        }
        bool before_digit = i + 1 < text.n_bytes && text.data[i + 1] >= '0' && text.data[i + 1] <= '9';
        if (c == '_' && after_digit && before_digit) continue;
        if (c == '.' && !has_point && !has_exponent) has_point = true;
        else if ((c | 0x20) == 'e' && has_digit && !has_exponent) {
            has_exponent = true;
            has_digit = false;
            if (i + 1 < text.n_bytes && (text.data[i + 1] == '+' || text.data[i + 1] == '-')) i++;
        } else return false;
        after_digit = false;
    }
    return has_digit;
}

bool sc_template_parse_float(struct sc_text text, double *out)
{
    text = sc_template_strip(text, NULL, true, true);
    bool is_negative = text.n_bytes && text.data[0] == '-';
    if (text.n_bytes && (text.data[0] == '-' || text.data[0] == '+')) {
        text.data++;
        text.n_bytes--;
    }
    if (is_word(text, "inf") || is_word(text, "infinity")) *out = INFINITY;
    else if (is_word(text, "nan")) *out = NAN;
    else {
        enum { DIGITS_MAX = 1000 };
        char digits[DIGITS_MAX + 16], half[16];
        size_t n = 0;
        if (text.n_bytes > DIGITS_MAX || !is_real_number(text)) return false;
        snprintf(half, sizeof half, "%.1f", 0.5); // strtod wants the decimal point of the locale
        for (size_t i = 0; i < text.n_bytes; i++) {
            if (text.data[i] == '_') continue;
            if (text.data[i] != '.') digits[n++] = text.data[i];
            else
                for (const char *c = half + 1; *c != '5'; c++) digits[n++] = *c;
        }
        digits[n] = '\0';
        *out = strtod(digits, NULL);
    }
    if (is_negative) *out = -*out;
    return true;
}

bool sc_template_round(struct run *run, double real, int64_t precision, const char *method, double *out)
{
    if (strcmp(method, "common") != 0) {
        double scale = pow(10, (double)precision);
        if (scale == 0 || isinf(scale))
            return sc_template_fail(run, "cannot round to %lld places", (long long)precision);
        *out = (strcmp(method, "ceil") == 0 ? ceil(real * scale) : floor(real * scale)) / scale;
        return true;
    }
    *out = real;
    if (!isfinite(real) || precision > 320) return true;
    if (precision < -310) {
        *out = 0 * real;
        return true;
    }
    char text[720];
    if (precision >= 0) {
        // The text is the exact decimal value, rounded half to even.
        snprintf(text, sizeof text, "%.*f", (int)precision, real);
        *out = strtod(text, NULL);
        return true;
    }
    // To tens, hundreds, ...: printed with that many digits less.
    double magnitude = fabs(real);
    int n_digits = magnitude < 1 ? 0 : (int)floor(log10(magnitude)) + 1;
    int n_kept = n_digits + (int)precision;
    double scale = pow(10, (double)-precision);
    if (n_kept < 1) *out = copysign(magnitude / scale > 0.5 ? scale : 0, real);
    else {
        snprintf(text, sizeof text, "%.*e", n_kept - 1, real);
        *out = strtod(text, NULL);
    }
    return true;
}
