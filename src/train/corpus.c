#include "train/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/size.h"
#include "train/corpus_internal.h"

enum { PIECE_BYTES_DEFAULT = 1 << 20, DIGEST_STEP_BYTES = 1 << 26 };

// ---- opening

static socle_status check_options(const struct sc_corpus_options *o, socle_error *err)
{
    if ((unsigned)o->kind > SC_CORPUS_PREFERENCE)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: %d is no kind of data", (int)o->kind);
    if (o->kind != SC_CORPUS_TEXT && (o->separator || o->n_lines))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: only plain text is cut at separators or after lines");
    if (o->kind != SC_CORPUS_JSONL && o->field)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: a field is chosen for JSON Lines of texts only");
    if (o->separator && o->n_lines)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: texts are cut at separators or after lines, not both");
    if (o->separator && (!*o->separator || strpbrk(o->separator, "\r\n")))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: a separator is one line of text, and not empty");
    if (o->n_bytes_max > SC_PIECE_BYTES)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: documents have less than 2^62 bytes");
    if (o->holdout_every ? o->holdout_first >= o->holdout_every : o->holdout_first)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "training data: the first document held out is number %u, expected less than %u, the distance "
                       "between such",
                       o->holdout_first, o->holdout_every);
    return SOCLE_OK;
}

static socle_status copy_text(const char *text, char **out, socle_error *err)
{
    if (text && !(*out = strdup(text))) return sc_fail_memory(err, strlen(text) + 1, "training data");
    return SOCLE_OK;
}

static socle_status copy_options(struct sc_corpus *c, const struct sc_corpus_options *options, socle_error *err)
{
    c->options = *options;
    if (!c->options.n_bytes_max) c->options.n_bytes_max = PIECE_BYTES_DEFAULT;
    SC_TRY(copy_text(options->kind == SC_CORPUS_JSONL && !options->field ? "text" : options->field, &c->field, err));
    SC_TRY(copy_text(options->separator, &c->separator, err));
    c->options.field = c->field;
    c->options.separator = c->separator;
    return SOCLE_OK;
}

static socle_status add_file(struct sc_corpus *c, const char *path, socle_error *err)
{
    struct sc_corpus_file *file = &c->files[c->n_files];
    SC_TRY(copy_text(path, &file->path, err));
    c->n_files++;
    file->first = c->n_documents;
    SC_TRY(sc_map_file(path, &file->map, err));
    c->n_bytes += file->map.n_bytes;
    return sc_corpus_scan(c, file, err);
}

static socle_status add_files(struct sc_corpus *c, const char *const *paths, size_t n_paths, socle_error *err)
{
    if (n_paths == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: no files were named");
    c->files = calloc(n_paths, sizeof *c->files);
    if (!c->files) return sc_fail_memory(err, n_paths * sizeof *c->files, "training data");
    for (size_t i = 0; i < n_paths; i++) SC_TRY(add_file(c, paths[i], err));
    if (c->n_documents == 0)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: has no documents: nothing but white space%s", c->files[0].path,
                       n_paths == 1 ? "" : ", and neither have the other files");
    // The index grew by doubling.
    struct sc_corpus_document *exact = realloc(c->documents, c->n_documents * sizeof *exact);
    if (exact) c->documents = exact;
    return SOCLE_OK;
}

socle_status sc_corpus_open(const char *const *paths, size_t n_paths, const struct sc_corpus_options *options,
                            struct sc_corpus **out, socle_error *err)
{
    SC_TRY(check_options(options, err));
    struct sc_corpus *c = calloc(1, sizeof *c);
    if (!c) return sc_fail_memory(err, sizeof *c, "training data");
    socle_status status = copy_options(c, options, err);
    if (status == SOCLE_OK) status = add_files(c, paths, n_paths, err);
    if (status == SOCLE_OK) *out = c;
    else sc_corpus_close(c);
    return status;
}

void sc_corpus_close(struct sc_corpus *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_files; i++) {
        sc_unmap(&c->files[i].map);
        free(c->files[i].path);
    }
    free(c->files);
    free(c->documents);
    free(c->field);
    free(c->separator);
    free(c);
}

// ---- asking

enum sc_corpus_kind sc_corpus_kind(const struct sc_corpus *c) { return c->options.kind; }
size_t sc_corpus_n_documents(const struct sc_corpus *c) { return c->n_documents; }
uint64_t sc_corpus_n_bytes(const struct sc_corpus *c) { return c->n_bytes; }

size_t sc_corpus_n_selected(const struct sc_corpus *c, bool held_out)
{
    size_t every = c->options.holdout_every, first = c->options.holdout_first, n = c->n_documents;
    size_t n_held = every && n > first ? (n - first - 1) / every + 1 : 0;
    return held_out ? n_held : n - n_held;
}

size_t sc_corpus_select(const struct sc_corpus *c, bool held_out, size_t k)
{
    size_t every = c->options.holdout_every, first = c->options.holdout_first;
    if (every == 0) return k;
    if (held_out) return k * every + first;
    size_t in_run = k % (every - 1);
    return k / (every - 1) * every + in_run + (in_run >= first);
}

void sc_corpus_digest(const struct sc_corpus *c, uint8_t out[32])
{
    struct sc_sha256 sha;
    sc_sha256_begin(&sha);
    for (size_t f = 0; f < c->n_files; f++) {
        struct sc_mapping map = c->files[f].map;
        uint8_t length[8];
        for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)map.n_bytes >> 8 * i);
        sc_sha256_add(&sha, length, sizeof length);
        for (size_t at = 0, n; at < map.n_bytes; at += n) {
            n = SC_MIN(map.n_bytes - at, (size_t)DIGEST_STEP_BYTES);
            sc_sha256_add(&sha, map.data + at, n);
            sc_forget_pages(map.data + at, n);
        }
    }
    sc_sha256_end(&sha, out);
}

// The last file whose first document is not behind `document`: files without any share that number with the next one.
static const struct sc_corpus_file *file_of(const struct sc_corpus *c, size_t document)
{
    size_t low = 0, high = c->n_files;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (c->files[middle].first <= document) low = middle;
        else high = middle;
    }
    return &c->files[low];
}

struct sc_corpus_place sc_corpus_place(const struct sc_corpus *c, size_t document)
{
    const struct sc_corpus_file *file = file_of(c, document);
    const uint8_t *at = file->map.data, *end = at + c->documents[document].offset;
    struct sc_corpus_place place = { file->path, 1 };
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        place.line++;
        at++;
    }
    return place;
}

// ---- reading

static socle_status read_object(const struct sc_corpus *c, const json_t *object, const struct sc_corpus_reader *reader,
                                struct sc_examples *out, socle_error *err)
{
    if (c->options.kind == SC_CORPUS_JSONL) {
        struct sc_text text;
        SC_TRY(sc_corpus_field(object, c->field, &text, err));
        return sc_examples_put_text(out, reader->tokenizer, text, true, true, err);
    }
    if (c->options.kind == SC_CORPUS_PREFERENCE) return sc_examples_put_pair(out, reader, object, err);
    struct sc_conversation conversation = { 0 };
    socle_status status = sc_conversation_read(object, &conversation, err);
    if (status == SOCLE_OK) status = sc_examples_put_conversation(out, reader, &conversation, false, err);
    sc_conversation_free(&conversation);
    return status;
}

static socle_status read_document(const struct sc_corpus *c, size_t document, const struct sc_corpus_reader *reader,
                                  struct sc_examples *out, socle_error *err)
{
    const struct sc_corpus_document *d = &c->documents[document];
    struct sc_text text = { (const char *)file_of(c, document)->map.data + d->offset, d->n_bytes & SC_PIECE_BYTES };
    if (c->options.kind == SC_CORPUS_TEXT)
        return sc_examples_put_text(out, reader->tokenizer, text, !(d->n_bytes & SC_PIECE_GOES_ON),
                                    !(d->n_bytes & SC_PIECE_IS_PARTIAL), err);
    json_t *object;
    SC_TRY(sc_corpus_parse(text, &object, err));
    socle_status status = read_object(c, object, reader, out, err);
    json_decref(object);
    return status;
}

socle_status sc_corpus_read(const struct sc_corpus *c, size_t document, const struct sc_corpus_reader *reader,
                            struct sc_examples *out, socle_error *err)
{
    out->n = out->n_tokens = out->n_off_prompt = 0;
    if (document >= c->n_documents)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "training data: there is no document %zu of %zu", document,
                       c->n_documents);
    socle_status status = read_document(c, document, reader, out, err);
    if (status == SOCLE_OK) {
        sc_examples_finish(out);
        return SOCLE_OK;
    }
    out->n = out->n_tokens = out->n_off_prompt = 0;
    struct sc_corpus_place place = sc_corpus_place(c, document);
    sc_fail_prefix(err, "%s: line %llu", place.path, (unsigned long long)place.line);
    return status;
}
