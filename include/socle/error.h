// Errors are values: every call that can fail returns a socle_status and fills the caller's socle_error.
//
// The library never prints, exits or aborts on input. A message is one sentence for a person: it names the
// file, key or tensor, the offset where there is one, what was expected and what was found.
#ifndef SOCLE_ERROR_H
#define SOCLE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

// What kind of failure it was. The values are stable; the program's exit codes are these numbers.
typedef enum socle_status {
    SOCLE_OK = 0,
    SOCLE_FAILED = 1,       // anything that fits nothing below
    SOCLE_BAD_ARGUMENT = 2, // a wrong option, parameter or name
    SOCLE_BAD_FILE = 3,     // a file whose contents are malformed, truncated or contradictory
    SOCLE_UNSUPPORTED = 4,  // well-formed, but of a family, type or version that this build does not know
    SOCLE_IO = 5,           // the operating system refused: no such file, no permission, no space left
    SOCLE_NO_MEMORY = 6,    // more memory would be needed than there is; the message has the numbers
    SOCLE_CONTEXT_FULL = 7, // more positions than the session's context holds
    SOCLE_NOT_FINITE = 8,   // a logit was NaN or infinite
    SOCLE_BAD_TEMPLATE = 9, // a chat template failed, raised an error, or passed a bound
    SOCLE_CANCELLED = 10,   // the caller asked to stop
    SOCLE_BUSY = 11,        // as much is being done as may be: try again later
    SOCLE_TIMEOUT = 12,     // it took longer than it was given
} socle_status;

// Filled on failure, untouched on success. Plain data: copy it, keep it on the stack, never free it.
// The message ends with a NUL and has no trailing newline or full stop.
typedef struct socle_error {
    socle_status status;
    char message[1000];
} socle_error;

// The name of a status in English ("bad file"). Never NULL; valid for ever.
const char *socle_status_name(socle_status status);

#ifdef __cplusplus
}
#endif
#endif
