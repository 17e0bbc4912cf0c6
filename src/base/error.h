// How the library fills a socle_error.
#ifndef SC_BASE_ERROR_H
#define SC_BASE_ERROR_H

#include <socle/error.h>

// Fills `err` (which may be NULL) and returns `status`, so that a failing function is one line:
//     return sc_fail(err, SOCLE_BAD_FILE, "%s: ...", path);
__attribute__((format(printf, 3, 4))) socle_status sc_fail(socle_error *err, socle_status status, const char *format,
                                                           ...);

// Puts "prefix: " before the message of `err`, for a caller that knows more than the callee. Returns err's status.
__attribute__((format(printf, 2, 3))) socle_status sc_fail_prefix(socle_error *err, const char *format, ...);

// Refuses an allocation with its size. `what` names what the memory was for.
socle_status sc_fail_memory(socle_error *err, unsigned long long n_bytes, const char *what);

// Returns from the enclosing function when `call` failed.
#define SC_TRY(call)                                                                                                   \
    do {                                                                                                               \
        socle_status sc_try_status = (call);                                                                           \
        if (sc_try_status != SOCLE_OK) return sc_try_status;                                                           \
    } while (0)

// Jumps to `label` with `status` set when `call` failed, where something must be freed first.
#define SC_TRY_GOTO(status, call, label)                                                                               \
    do {                                                                                                               \
        (status) = (call);                                                                                             \
        if ((status) != SOCLE_OK) goto label;                                                                          \
    } while (0)

#endif
