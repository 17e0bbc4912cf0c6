#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/export.h"

SC_EXPORT const char *socle_status_name(socle_status status)
{
    switch (status) {
    case SOCLE_OK: return "ok";
    case SOCLE_FAILED: return "failed";
    case SOCLE_BAD_ARGUMENT: return "bad argument";
    case SOCLE_BAD_FILE: return "bad file";
    case SOCLE_UNSUPPORTED: return "unsupported";
    case SOCLE_IO: return "input or output error";
    case SOCLE_NO_MEMORY: return "out of memory";
    case SOCLE_CONTEXT_FULL: return "context full";
    case SOCLE_NOT_FINITE: return "not finite";
    case SOCLE_BAD_TEMPLATE: return "bad template";
    case SOCLE_CANCELLED: return "cancelled";
    case SOCLE_BUSY: return "busy";
    case SOCLE_TIMEOUT: return "timeout";
    }
    return "unknown status";
}

// Control characters from a file must not reach a terminal through a message: each of their bytes becomes '?'.
// U+0080 to U+009F are bytes c2 80 to c2 9f; U+009B begins an escape sequence just as ESC [ does.
static void make_printable(char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool upper_control = c == 0xc2 && ((unsigned char)text[1] & 0xe0) == 0x80;
        if (upper_control) text[1] = '?';
        if (c < 0x20 || c == 0x7f || upper_control) *text = '?';
    }
}

socle_status sc_fail(socle_error *err, socle_status status, const char *format, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    make_printable(err->message);
    err->status = status;
    return status;
}

socle_status sc_fail_prefix(socle_error *err, const char *format, ...)
{
    if (!err) return SOCLE_FAILED;
    char old[sizeof err->message], prefix[sizeof err->message / 2];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    make_printable(prefix);
    // What does not fit is cut.
    int n = snprintf(err->message, sizeof err->message, "%s: ", prefix);
    strncat(err->message, old, sizeof err->message - 1 - (size_t)n);
    return err->status;
}

socle_status sc_fail_memory(socle_error *err, unsigned long long n_bytes, const char *what)
{
    return sc_fail(err, SOCLE_NO_MEMORY, "not enough memory: %llu bytes (%.1f MiB) for %s", n_bytes,
                   (double)n_bytes / (1024.0 * 1024.0), what);
}
