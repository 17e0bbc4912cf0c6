// Reading JSON byte by byte as it arrives: is it still the beginning of a value, and where does the value end?
// Source: RFC 8259. Laxer in one point, for language models: control characters may stand in strings.
#ifndef SC_TEXT_JSON_SCAN_H
#define SC_TEXT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum { SC_JSON_DEPTH_MAX = 256 };

enum sc_json_step {
    SC_JSON_MORE,   // the value goes on
    SC_JSON_END,    // this byte ended the value
    SC_JSON_BEFORE, // the value, a number, ended before this byte
    SC_JSON_BROKEN, // no value begins like this; the scan must not go on
};

// Zero-initialize; copied freely.
struct sc_json_scan {
    uint8_t state;
    bool is_key;
    uint8_t n_left;      // hexadecimal digits of \uXXXX, or letters of a word
    uint8_t number;      // where in a number
    const char *letters; // of a word
    uint16_t depth;
    uint32_t objects[SC_JSON_DEPTH_MAX / 32]; // bit d: level d is an object
};

enum sc_json_step sc_json_scan_byte(struct sc_json_scan *scan, char byte);
// Is the scan inside a string, where white space counts and control characters need an escape?
bool sc_json_scan_in_string(const struct sc_json_scan *scan);

// Appends a text as the inside of a JSON string, without the quotes.
bool sc_json_escape(struct sc_buffer *out, const char *text, size_t n_bytes);

#endif
