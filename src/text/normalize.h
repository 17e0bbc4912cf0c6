// Unicode normal forms in linear time.
#ifndef SC_TEXT_NORMALIZE_H
#define SC_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"

// Code points under way. Zero-initialize.
struct sc_code_points {
    int32_t *data; // owned
    size_t n, capacity;
};
void sc_code_points_free(struct sc_code_points *code_points);

// Decomposes valid UTF-8 canonically into *out, replacing what was there: normal form D. False when memory ran out.
bool sc_normalize_nfd(struct sc_text text, struct sc_code_points *out);

// Appends normal form C of valid UTF-8 to `out`. False when memory ran out.
bool sc_normalize_nfc(struct sc_text text, struct sc_buffer *out);

// Is the text in normal form C for sure, by the look of its bytes?
bool sc_normalize_is_plain(struct sc_text text);

#endif
