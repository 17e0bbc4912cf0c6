#include "text/json_scan.h"

#include <string.h>

enum state {
    VALUE,      // a value must begin
    FIRST_ITEM, // a value or "]"
    FIRST_KEY,  // a string or "}"
    KEY,        // a string
    COLON,      // behind a key
    BEHIND,     // behind a value: "," or the end of what it is in
    STRING,
    ESCAPE, // behind "\"
    HEX,    // digits behind "\u"
    NUMBER,
    WORD, // true, false, null
};

enum number { MINUS, ZERO, DIGITS, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool in_object(const struct sc_json_scan *s)
{
    unsigned d = s->depth - 1u;
    return s->depth > 0 && (s->objects[d / 32] >> d % 32 & 1);
}

static enum sc_json_step value_ended(struct sc_json_scan *s)
{
    s->state = BEHIND;
    return s->depth == 0 ? SC_JSON_END : SC_JSON_MORE;
}

static enum sc_json_step go_in(struct sc_json_scan *s, bool object)
{
    if (s->depth == SC_JSON_DEPTH_MAX) return SC_JSON_BROKEN;
    unsigned d = s->depth++;
    s->objects[d / 32] &= ~(UINT32_C(1) << d % 32);
    s->objects[d / 32] |= (uint32_t)object << d % 32;
    s->state = object ? FIRST_KEY : FIRST_ITEM;
    return SC_JSON_MORE;
}

static enum sc_json_step go_out(struct sc_json_scan *s)
{
    s->depth--;
    return value_ended(s);
}

static enum sc_json_step begin_word(struct sc_json_scan *s, const char *letters)
{
    s->state = WORD;
    s->letters = letters;
    return SC_JSON_MORE;
}

static enum sc_json_step begin_value(struct sc_json_scan *s, char c)
{
    if (c == '{' || c == '[') return go_in(s, c == '{');
    if (c == 't') return begin_word(s, "rue");
    if (c == 'f') return begin_word(s, "alse");
    if (c == 'n') return begin_word(s, "ull");
    if (c == '"') {
        s->state = STRING;
        s->is_key = false;
        return SC_JSON_MORE;
    }
    if (c != '-' && !is_digit(c)) return SC_JSON_BROKEN;
    s->state = NUMBER;
    s->number = c == '-' ? MINUS : c == '0' ? ZERO : DIGITS;
    return SC_JSON_MORE;
}

static enum sc_json_step behind_value(struct sc_json_scan *s, char c)
{
    if (s->depth == 0) return SC_JSON_BROKEN;
    if (c == ',') {
        s->state = in_object(s) ? KEY : VALUE;
        return SC_JSON_MORE;
    }
    return c == (in_object(s) ? '}' : ']') ? go_out(s) : SC_JSON_BROKEN;
}

// The next place in a number, or -1 where the number cannot go on with `c`.
static int next_in_number(enum number at, char c)
{
    bool exponent = c == 'e' || c == 'E';
    switch (at) {
    case MINUS: return c == '0' ? ZERO : is_digit(c) ? DIGITS : -1;
    case ZERO: return c == '.' ? POINT : exponent ? EXPONENT : -1;
    case DIGITS: return is_digit(c) ? DIGITS : c == '.' ? POINT : exponent ? EXPONENT : -1;
    case POINT: return is_digit(c) ? FRACTION : -1;
    case FRACTION: return is_digit(c) ? FRACTION : exponent ? EXPONENT : -1;
    case EXPONENT: return is_digit(c) ? EXPONENT_DIGITS : c == '+' || c == '-' ? EXPONENT_SIGN : -1;
    case EXPONENT_SIGN:
    case EXPONENT_DIGITS: return is_digit(c) ? EXPONENT_DIGITS : -1;
    }
    return -1;
}

static enum sc_json_step scan_number(struct sc_json_scan *s, char c)
{
    int next = next_in_number((enum number)s->number, c);
    if (next >= 0) {
        s->number = (uint8_t)next;
        return SC_JSON_MORE;
    }
    bool whole = s->number == ZERO || s->number == DIGITS || s->number == FRACTION || s->number == EXPONENT_DIGITS;
    if (!whole) return SC_JSON_BROKEN;
    s->state = BEHIND;
    if (s->depth == 0) return SC_JSON_BEFORE;
    return is_space(c) ? SC_JSON_MORE : behind_value(s, c);
}

static enum sc_json_step scan_string(struct sc_json_scan *s, char c)
{
    if (s->state == ESCAPE) {
        if (!c || !strchr("\"\\/bfnrtu", c)) return SC_JSON_BROKEN;
        s->state = c == 'u' ? HEX : STRING;
        s->n_left = 4;
    } else if (s->state == HEX) {
        bool hex = is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        if (!hex) return SC_JSON_BROKEN;
        if (--s->n_left == 0) s->state = STRING;
    } else if (c == '\\') {
        s->state = ESCAPE;
    } else if (c == '"') {
        if (!s->is_key) return value_ended(s);
        s->state = COLON;
    }
    return SC_JSON_MORE;
}

static enum sc_json_step begin_key(struct sc_json_scan *s, char c)
{
    if (c != '"') return SC_JSON_BROKEN;
    s->state = STRING;
    s->is_key = true;
    return SC_JSON_MORE;
}

static enum sc_json_step scan_word(struct sc_json_scan *s, char c)
{
    if (c != *s->letters) return SC_JSON_BROKEN;
    return *++s->letters ? SC_JSON_MORE : value_ended(s);
}

enum sc_json_step sc_json_scan_byte(struct sc_json_scan *s, char c)
{
    switch ((enum state)s->state) {
    case STRING:
    case ESCAPE:
    case HEX: return scan_string(s, c);
    case NUMBER: return scan_number(s, c);
    case WORD: return scan_word(s, c);
    default: break;
    }
    if (is_space(c)) return SC_JSON_MORE;
    switch ((enum state)s->state) {
    case FIRST_ITEM: return c == ']' ? go_out(s) : begin_value(s, c);
    case FIRST_KEY: return c == '}' ? go_out(s) : begin_key(s, c);
    case KEY: return begin_key(s, c);
    case BEHIND: return behind_value(s, c);
    case COLON: s->state = VALUE; return c == ':' ? SC_JSON_MORE : SC_JSON_BROKEN;
    default: return begin_value(s, c);
    }
}

bool sc_json_scan_in_string(const struct sc_json_scan *s)
{
    return s->state == STRING || s->state == ESCAPE || s->state == HEX;
}

bool sc_json_escape(struct sc_buffer *out, const char *text, size_t n_bytes)
{
    static const char plain[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    size_t begin = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        sc_buffer_append(out, text + begin, i - begin);
        const char *found = c ? strchr(plain, c) : NULL;
        if (found) sc_buffer_printf(out, "\\%c", letters[found - plain]);
        else sc_buffer_printf(out, "\\u%04x", c);
        begin = i + 1;
    }
    return sc_buffer_append(out, text + begin, n_bytes - begin);
}
