// A growing run of bytes: text under construction.
//
// Failure is sticky: after an allocation fails or `max_bytes` would be passed, appends do nothing and `failed`
// stays true, so a long sequence of appends needs one check at its end. Always NUL-terminated when data != NULL.
#ifndef SC_BASE_BUFFER_H
#define SC_BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct sc_buffer {
    char *data;     // owned; NULL while nothing was appended
    size_t n_bytes; // used, without the NUL
    size_t capacity;
    size_t max_bytes; // 0: unbounded
    bool failed;
};

void sc_buffer_free(struct sc_buffer *buffer);  // releases and zeroes
void sc_buffer_clear(struct sc_buffer *buffer); // keeps the memory and max_bytes, forgets the contents and failure
bool sc_buffer_append(struct sc_buffer *buffer, const void *bytes, size_t n_bytes);
bool sc_buffer_append_string(struct sc_buffer *buffer, const char *text);
bool sc_buffer_append_char(struct sc_buffer *buffer, char c);
__attribute__((format(printf, 2, 3))) bool sc_buffer_printf(struct sc_buffer *buffer, const char *format, ...);
// Hands the text over to the caller, who frees it; the buffer is empty afterwards. NULL if it had failed.
char *sc_buffer_take(struct sc_buffer *buffer);

#endif
