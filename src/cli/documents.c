#include "cli/documents.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"

enum { PIPE_BYTES_MAX = 1 << 30 }; // what cannot be mapped is kept in memory

struct text_file {
    const char *name;
    const char *text;
    size_t n_bytes;
    struct sc_mapping mapping;
    char *owned; // instead of the mapping
};

struct reading {
    struct cli_documents *documents;
    cli_take_document *take;
    void *context;
    uint64_t n_before; // bytes of the files before this one
    socle_error *err;
};

// ---- files

// What was compressed reads as any bytes would: nothing to learn from, and nobody means it.
static socle_status refuse_compressed(const struct text_file *file, socle_error *err)
{
    static const struct {
        const char *by, *begins;
    } kinds[] = {
        { "gzip", "\x1F\x8B" }, { "zstd", "\x28\xB5\x2F\xFD" }, { "xz", "\xFD\x37zXZ" }, { "bzip2", "BZh91AY" }
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i].begins);
        if (file->n_bytes >= n && memcmp(file->text, kinds[i].begins, n) == 0)
            return sc_fail(err, SOCLE_BAD_FILE,
                           "%s: is compressed by %s: give its text, perhaps through a pipe and '-'", file->name,
                           kinds[i].by);
    }
    return SOCLE_OK;
}

static socle_status open_file(const char *path, struct text_file *file, socle_error *err)
{
    struct stat info;
    bool is_input = strcmp(path, "-") == 0;
    *file = (struct text_file){ .name = is_input ? "standard input" : path };
    bool streamed = is_input || (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode));
    if (streamed) {
        SC_TRY(sc_read_file(path, PIPE_BYTES_MAX, &file->owned, &file->n_bytes, err));
        if (file->n_bytes == 0) return sc_fail(err, SOCLE_BAD_FILE, "%s: is empty", file->name);
        file->text = file->owned;
    } else {
        SC_TRY(sc_map_file(path, &file->mapping, err));
        file->text = (const char *)file->mapping.data;
        file->n_bytes = file->mapping.n_bytes;
    }
    return refuse_compressed(file, err);
}

static void close_file(struct text_file *file)
{
    sc_unmap(&file->mapping);
    free(file->owned);
}

// ---- documents

static bool is_blank(const char *text, size_t n_bytes)
{
    size_t i = 0;
    while (i < n_bytes && strchr(" \t\r\n\v\f", text[i]) && text[i]) i++;
    return i == n_bytes;
}

static socle_status hand_out(struct reading *r, const char *text, size_t n_bytes, uint64_t at)
{
    struct cli_documents *d = r->documents;
    if (is_blank(text, n_bytes)) return SOCLE_OK;
    uint64_t number = d->n_documents++;
    if (d->holdout_every && number % d->holdout_every == d->holdout_first) {
        d->n_held_out++;
        return SOCLE_OK;
    }
    return r->take(r->context, text, n_bytes, r->n_before + at, r->err);
}

// The end of the line that begins at `at`, behind its line feed.
static size_t end_of_line(const struct text_file *file, size_t at)
{
    const char *feed = memchr(file->text + at, '\n', file->n_bytes - at);
    return feed ? (size_t)(feed - file->text) + 1 : file->n_bytes;
}

static socle_status read_lines(struct reading *r, const struct text_file *file, size_t at)
{
    while (at < file->n_bytes) {
        size_t end = r->documents->n_lines ? at : file->n_bytes;
        for (uint32_t i = 0; i < r->documents->n_lines && end < file->n_bytes; i++) end = end_of_line(file, end);
        SC_TRY(hand_out(r, file->text + at, end - at, at));
        at = end;
    }
    return SOCLE_OK;
}

static socle_status read_row(struct reading *r, const struct text_file *file, size_t at, size_t end, uint64_t number)
{
    const char *field = r->documents->field;
    json_error_t problem;
    json_t *row = json_loadb(file->text + at, end - at, JSON_ALLOW_NUL, &problem);
    const json_t *text = json_object_get(row, field);
    socle_status status;
    if (!row)
        status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: line %llu, column %d: %s", file->name, (unsigned long long)number,
                         problem.column, problem.text);
    else if (!json_is_string(text))
        status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: line %llu: expected an object with a string \"%s\"", file->name,
                         (unsigned long long)number, field);
    else status = hand_out(r, json_string_value(text), json_string_length(text), at);
    json_decref(row);
    return status;
}

static socle_status read_rows(struct reading *r, const struct text_file *file, size_t at)
{
    uint64_t number = 1;
    for (size_t end; at < file->n_bytes; at = end, number++) {
        end = end_of_line(file, at);
        if (!is_blank(file->text + at, end - at)) SC_TRY(read_row(r, file, at, end, number));
    }
    return SOCLE_OK;
}

socle_status cli_documents_read(struct cli_documents *d, cli_take_document *take, void *context, socle_error *err)
{
    struct reading r = { d, take, context, 0, err };
    struct text_file *files = calloc(d->n_paths ? d->n_paths : 1, sizeof *files);
    if (!files) return sc_fail_memory(err, d->n_paths * sizeof *files, "files");
    socle_status status = SOCLE_OK;
    d->n_file_bytes = d->n_documents = d->n_held_out = 0;
    for (size_t i = 0; i < d->n_paths && status == SOCLE_OK; i++) {
        status = open_file(d->paths[i], &files[i], err);
        d->n_file_bytes += files[i].n_bytes;
    }
    for (size_t i = 0; i < d->n_paths && status == SOCLE_OK; i++) {
        // A byte order mark is no part of the text.
        size_t at = files[i].n_bytes >= 3 && memcmp(files[i].text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        status = d->field ? read_rows(&r, &files[i], at) : read_lines(&r, &files[i], at);
        r.n_before += files[i].n_bytes;
        close_file(&files[i]);
        files[i] = (struct text_file){ 0 };
    }
    for (size_t i = 0; i < d->n_paths; i++) close_file(&files[i]);
    free(files);
    return status;
}
