// Files: mapped for reading, written whole or not at all.
#ifndef SC_BASE_FILE_H
#define SC_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

// A file mapped read-only. If another program shrinks the file meanwhile, touching the lost pages raises SIGBUS:
// the socle program turns that into a message and exit code; other programs may want to do the same.
struct sc_mapping {
    const uint8_t *data;
    size_t n_bytes;
};

// Refuses, with a sentence each: no such file, no permission, a directory, a device, an empty file.
socle_status sc_map_file(const char *path, struct sc_mapping *out, socle_error *err);
void sc_unmap(struct sc_mapping *mapping); // zeroes; fine on a zeroed one
// Gives back the memory of whole pages within n_bytes at `data` of a mapping; they are read again when touched.
void sc_forget_pages(const void *data, size_t n_bytes);

// Reads a whole regular file, pipe or terminal ("-" is standard input) of at most max_bytes into memory that the
// caller frees. A NUL follows the bytes.
socle_status sc_read_file(const char *path, size_t max_bytes, char **data, size_t *n_bytes, socle_error *err);

// Writes the whole of `data` under `path` or leaves what was there: a temporary file beside it, fsync, rename.
socle_status sc_write_file(const char *path, const void *data, size_t n_bytes, socle_error *err);

// The same piece by piece, for files larger than memory: begin, any number of puts, end.
struct sc_new_file {
    const char *path; // borrowed until the end
    char *temporary;  // beside it
    FILE *stream;
};

// Refuses a path that is a directory, a device or a pipe. Nothing is to be ended when this fails.
socle_status sc_new_file_begin(const char *path, struct sc_new_file *out, socle_error *err);
socle_status sc_new_file_put(struct sc_new_file *file, const void *bytes, size_t n_bytes, socle_error *err);
// Puts the file in its place (fsync, rename) where `status`, that of the writing, is SOCLE_OK and throws it away
// otherwise. Returns the first failure: `status`, or that of putting it in its place.
socle_status sc_new_file_end(struct sc_new_file *file, socle_status status, socle_error *err);

// Whether both names are there and mean one file.
bool sc_same_file(const char *a, const char *b);
// Fails with SOCLE_IO and the numbers when the disk that `path` is to be on has less than n_bytes left; what cannot be
// learned is no failure.
socle_status sc_check_space(const char *path, uint64_t n_bytes, socle_error *err);

#endif
