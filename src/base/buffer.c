#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sc_buffer_free(struct sc_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct sc_buffer){ 0 };
}

void sc_buffer_clear(struct sc_buffer *buffer)
{
    buffer->n_bytes = 0;
    buffer->failed = false;
    if (buffer->data) buffer->data[0] = '\0';
}

static bool reserve(struct sc_buffer *buffer, size_t n_more)
{
    if (buffer->failed) return false;
    if (n_more >= SIZE_MAX - buffer->n_bytes - 1 ||
        (buffer->max_bytes && buffer->n_bytes + n_more > buffer->max_bytes)) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->n_bytes + n_more + 1;
    if (needed <= buffer->capacity) return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < needed) capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool sc_buffer_append(struct sc_buffer *buffer, const void *bytes, size_t n_bytes)
{
    if (!reserve(buffer, n_bytes)) return false;
    if (n_bytes) memcpy(buffer->data + buffer->n_bytes, bytes, n_bytes);
    buffer->n_bytes += n_bytes;
    buffer->data[buffer->n_bytes] = '\0';
    return true;
}

bool sc_buffer_append_string(struct sc_buffer *buffer, const char *text)
{
    return sc_buffer_append(buffer, text, strlen(text));
}

bool sc_buffer_append_char(struct sc_buffer *buffer, char c) { return sc_buffer_append(buffer, &c, 1); }

bool sc_buffer_printf(struct sc_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    bool ok = n >= 0 && reserve(buffer, (size_t)n);
    if (ok) {
        vsnprintf(buffer->data + buffer->n_bytes, (size_t)n + 1, format, again);
        buffer->n_bytes += (size_t)n;
    } else {
        buffer->failed = true;
    }
    va_end(again);
    return ok;
}

char *sc_buffer_take(struct sc_buffer *buffer)
{
    if (buffer->failed || (!buffer->data && !sc_buffer_append(buffer, "", 0))) {
        sc_buffer_free(buffer);
        return NULL;
    }
    char *data = buffer->data;
    *buffer = (struct sc_buffer){ 0 };
    return data;
}
