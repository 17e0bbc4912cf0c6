// What commands write: strings from files made harmless, JSON, and files that are whole or not there.
#ifndef SC_CLI_OUTPUT_H
#define SC_CLI_OUTPUT_H

#include <jansson.h>

#include "cli/cli.h"

// Writes UTF-8 text on one line: control characters, and marks that reorder text, as \n, \x1b, \u202e; cut after
// max_columns characters (0: never) with "...". Returns how many columns it took.
size_t cli_put_text(FILE *out, const char *text, size_t n_bytes, size_t max_columns);

// Goes on writing text at `column`, wrapped at 79 columns with later lines indented to there. Harmless like the above.
void cli_put_wrapped(FILE *out, const char *text, size_t column);

// Prints a document indented, with a line feed, and frees it. Returns the exit code; NULL is out of memory.
int cli_print_json(json_t *document);

// Fails with what the operating system said last: "name: cannot <doing>: reason", exit code 5.
int cli_fail_io(const char *name, const char *doing);

// Whether standard output took everything so far; prints an error and returns SOCLE_IO where it did not. A reader that
// went away (`| head`) is no news and gets no message.
int cli_check_stdout(void);

// After a failed evaluation: the error's exit code after its message, or 130 after Ctrl-C.
int cli_fail_evaluation(const socle_error *err);

// A file being written. It appears under its name when cli_output_end keeps it; until then, and after any failure, the
// name holds what it held. "-" is standard output; devices and pipes are written as they stand.
struct cli_output {
    FILE *file;
    const char *name;         // for messages
    char *target, *temporary; // owned; NULL: written in place
};
int cli_output_begin(struct cli_output *output, const char *path); // -1, or the exit code after a message
// Ends it, keeping the file if `keep` and all was written. Returns `code`, or SOCLE_IO after a message.
int cli_output_end(struct cli_output *output, bool keep, int code);

#endif
