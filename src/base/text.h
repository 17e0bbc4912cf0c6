// A view of bytes that someone else owns: a string inside a mapped file, a piece of a prompt. Not NUL-terminated.
#ifndef SC_BASE_TEXT_H
#define SC_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct sc_text {
    const char *data;
    size_t n_bytes;
};

// A view of a C string (which must outlive it).
static inline struct sc_text sc_text_of(const char *c_string) { return (struct sc_text){ c_string, strlen(c_string) }; }

static inline bool sc_text_equal(struct sc_text a, struct sc_text b)
{
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.data, b.data, a.n_bytes) == 0);
}

static inline bool sc_text_is(struct sc_text text, const char *c_string)
{
    return sc_text_equal(text, sc_text_of(c_string));
}

// For printf's "%.*s".
#define SC_TEXT_ARGS(text) (int)((text).n_bytes > 200 ? 200 : (text).n_bytes), (text).data

#endif
