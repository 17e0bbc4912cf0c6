#include "text/utf8.h"

#include <string.h>

bool sc_utf8_may_follow(const char *begun, size_t n, uint8_t next, size_t *n_total)
{
    uint8_t lead = (uint8_t)begun[0];
    *n_total = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint8_t low = 0x80, high = 0xBF;
    if (n == 1) { // the second byte is where overlong forms, surrogates and values past U+10FFFF show
        if (lead == 0xE0) low = 0xA0;
        else if (lead == 0xED) high = 0x9F;
        else if (lead == 0xF0) low = 0x90;
        else if (lead == 0xF4) high = 0x8F;
    }
    return next >= low && next <= high;
}

size_t sc_utf8_decode(const char *bytes, size_t n, uint32_t *code_point)
{
    if (n == 0) return 0;
    uint8_t lead = (uint8_t)bytes[0];
    if (lead < 0x80) {
        *code_point = lead;
        return 1;
    }
    if (!sc_utf8_is_lead(lead)) return 0;
    size_t n_total = 2;
    uint32_t value = lead & (lead < 0xE0 ? 0x1Fu : lead < 0xF0 ? 0x0Fu : 0x07u);
    for (size_t i = 1; i < n_total; i++) {
        if (i >= n || !sc_utf8_may_follow(bytes, i, (uint8_t)bytes[i], &n_total)) return 0;
        value = value << 6 | ((uint8_t)bytes[i] & 0x3Fu);
    }
    *code_point = value;
    return n_total;
}

size_t sc_utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return n;
}

size_t sc_utf8_valid_run(const char *bytes, size_t n)
{
    size_t at = 0;
    while (at < n) {
        uint32_t unused;
        size_t n_char = sc_utf8_decode(bytes + at, n - at, &unused);
        if (n_char == 0) break;
        at += n_char;
    }
    return at;
}

void sc_utf8_mend(char *text)
{
    size_t n = strlen(text), at = 0;
    while ((at += sc_utf8_valid_run(text + at, n - at)) < n) text[at++] = '?';
}

bool sc_unicode_is_space(uint32_t c)
{
    if (c <= 0xA0) return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0;
    return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}
