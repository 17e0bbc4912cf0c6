#include "text/normalize.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/size.h"
#include "text/utf8.h"

void sc_code_points_free(struct sc_code_points *c)
{
    free(c->data);
    *c = (struct sc_code_points){ 0 };
}

bool sc_normalize_is_plain(struct sc_text text)
{
    // U+0300 is the first combining mark and the first character that composition or decomposition to C touches; it
    // begins with CC.
    for (size_t i = 0; i < text.n_bytes; i++)
        if ((unsigned char)text.data[i] >= 0xCC) return false;
    return true;
}

// Room for n more, and one over: utf8proc may write that far.
static bool reserve(struct sc_code_points *c, size_t n)
{
    if (c->n + n + 1 <= c->capacity) return true;
    size_t capacity = SC_MAX(c->capacity * 2, c->n + n + 64);
    int32_t *data = realloc(c->data, capacity * sizeof *data);
    if (!data) return false;
    c->data = data;
    c->capacity = capacity;
    return true;
}

static uint8_t combining_class(int32_t c) { return (uint8_t)utf8proc_get_property(c)->combining_class; }

static void insertion_sort(int32_t *marks, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int32_t mark = marks[i];
        uint8_t class = combining_class(mark);
        size_t j = i;
        for (; j > 0 && combining_class(marks[j - 1]) > class; j--) marks[j] = marks[j - 1];
        marks[j] = mark;
    }
}

// Orders a run of marks by class, equals as they stand. Counting, because there are 256 classes and nothing else is
// linear for a run as long as the text.
static bool sort_marks(int32_t *marks, size_t n)
{
    if (n <= 16) {
        insertion_sort(marks, n);
        return true;
    }
    int32_t *sorted = malloc(n * sizeof *sorted);
    if (!sorted) return false;
    size_t place[257] = { 0 };
    for (size_t i = 0; i < n; i++) place[combining_class(marks[i]) + 1]++;
    for (size_t class = 1; class < 257; class ++) place[class] += place[class - 1];
    for (size_t i = 0; i < n; i++) sorted[place[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, sorted, n * sizeof *sorted);
    free(sorted);
    return true;
}

static bool order_marks(struct sc_code_points *c)
{
    for (size_t i = 0; i < c->n;) {
        size_t end = i;
        while (end < c->n && combining_class(c->data[end]) != 0) end++;
        if (end - i > 1 && !sort_marks(c->data + i, end - i)) return false;
        i = end + 1;
    }
    return true;
}

bool sc_normalize_nfd(struct sc_text text, struct sc_code_points *out)
{
    enum { LONGEST = 8 }; // no character decomposes into more than four
    out->n = 0;
    for (size_t at = 0; at < text.n_bytes;) {
        uint32_t c;
        at += sc_utf8_decode(text.data + at, text.n_bytes - at, &c);
        if (!reserve(out, LONGEST)) return false;
        int boundary = 0;
        utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, out->data + out->n, LONGEST,
                                                     UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
        if (n < 0 || n > LONGEST) { // not a character utf8proc knows: it stays
            out->data[out->n] = (int32_t)c;
            n = 1;
        }
        out->n += (size_t)n;
    }
    return order_marks(out);
}

bool sc_normalize_nfc(struct sc_text text, struct sc_buffer *out)
{
    struct sc_code_points c = { 0 };
    bool ok = sc_normalize_nfd(text, &c);
    if (ok && c.n) {
        utf8proc_ssize_t n = utf8proc_normalize_utf32(c.data, (utf8proc_ssize_t)c.n,
                                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (n >= 0) c.n = (size_t)n;
    }
    for (size_t i = 0; ok && i < c.n; i++) {
        char bytes[4];
        ok = sc_buffer_append(out, bytes, sc_utf8_encode((uint32_t)c.data[i], bytes));
    }
    sc_code_points_free(&c);
    return ok;
}
