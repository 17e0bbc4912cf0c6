// UTF-8, strictly: no overlong forms, no surrogates, nothing past U+10FFFF.
// Source: The Unicode Standard, section 3.9, table 3-7 (well-formed byte sequences).
#ifndef SC_TEXT_UTF8_H
#define SC_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// U+FFFD REPLACEMENT CHARACTER, which stands for what is not UTF-8.
#define SC_UTF8_REPLACEMENT "\xEF\xBF\xBD"

// Decodes the character at bytes[0..n). Returns its length, 1 to 4, or 0 when the bytes there are not a whole,
// well-formed character (then *code_point is untouched).
size_t sc_utf8_decode(const char *bytes, size_t n, uint32_t *code_point);

// Writes a code point (a Unicode scalar value) and returns its length, 1 to 4.
size_t sc_utf8_encode(uint32_t code_point, char out[4]);

// How many bytes at the start of bytes[0..n) are well-formed UTF-8, taken together.
size_t sc_utf8_valid_run(const char *bytes, size_t n);

// Makes NUL-terminated bytes well-formed, in place: each byte that is part of no whole character becomes '?'.
void sc_utf8_mend(char *text);

// May `next` follow the n (1 to 3) bytes of a character that has begun? *n_total is the length of that character.
bool sc_utf8_may_follow(const char *begun, size_t n, uint8_t next, size_t *n_total);

// Can `byte` begin a character of two bytes or more?
static inline bool sc_utf8_is_lead(uint8_t byte) { return byte >= 0xC2 && byte <= 0xF4; }

// The White_Space property of Unicode, which regular expressions and normalizers mean by "space".
bool sc_unicode_is_space(uint32_t code_point);

#endif
