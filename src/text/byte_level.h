// The alphabet of byte-level BPE: every byte is written as one printable character, so that vocabularies are text.
// Printable Latin-1 bytes stand for themselves; the other 68 take U+0100, U+0101, ... in order: a space is "Ġ".
// Source: Radford et al., GPT-2 (2019), encoder.py, bytes_to_unicode.
#ifndef SC_TEXT_BYTE_LEVEL_H
#define SC_TEXT_BYTE_LEVEL_H

#include <stddef.h>
#include <stdint.h>

// The code point that stands for a byte.
uint32_t sc_byte_level_letter(uint8_t byte);
// Writes it as UTF-8 and returns its length, 1 or 2.
size_t sc_byte_level_encode(uint8_t byte, char out[2]);
// The byte that a code point stands for, or -1.
int sc_byte_level_byte(uint32_t code_point);

#endif
