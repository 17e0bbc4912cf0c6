// Texts to learn from, read as documents.
//
//   kind         a document
//   plain text   a file, or a run of n_lines lines of it; the last run of a file may be shorter
//   JSON Lines   a line: an object whose `field` is a string
//
// White space alone is no document. Documents are numbered through all files from 0, and number i is held out iff
// i % holdout_every == holdout_first.
#ifndef SC_CLI_DOCUMENTS_H
#define SC_CLI_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <socle/error.h>

// Zero-initialize.
struct cli_documents {
    const char *const *paths; // "-": standard input
    size_t n_paths;
    const char *field; // of JSON Lines; NULL: plain text
    uint32_t n_lines;  // 0: files are documents
    uint32_t holdout_every, holdout_first;
    // Filled by reading.
    uint64_t n_file_bytes, n_documents, n_held_out;
};

// Takes a document; `n_read` is how many of the n_file_bytes lie before it.
typedef socle_status cli_take_document(void *context, const char *text, size_t n_bytes, uint64_t n_read,
                                       socle_error *err);

// Hands out the documents that are not held out, in order. Files are opened before the first one is read. Errors name
// the file, and line and column where JSON is malformed: SOCLE_IO, SOCLE_BAD_FILE, SOCLE_NO_MEMORY, those of `take`.
socle_status cli_documents_read(struct cli_documents *documents, cli_take_document *take, void *context,
                                socle_error *err);

#endif
