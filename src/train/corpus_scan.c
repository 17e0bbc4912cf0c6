// A file checked and cut into documents, in one pass over its lines.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/utf8.h"
#include "train/corpus_internal.h"

enum { BINARY_BYTES = 4096, LINE_BYTES_MAX = 1 << 30, FORGET_BYTES = 1 << 26 };

static const char byte_order_mark[] = "\xEF\xBB\xBF";

// ---- what is no text

static bool begins_with(const struct sc_mapping *map, const char *bytes, size_t n)
{
    return map->n_bytes >= n && memcmp(map->data, bytes, n) == 0;
}

static socle_status check_is_text(const struct sc_corpus *c, const struct sc_corpus_file *file, socle_error *err)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
    } kinds[] = {
        { "compressed by gzip", "\x1F\x8B", 2 },
        { "compressed by zstd", "\x28\xB5\x2F\xFD", 4 },
        { "compressed by xz", "\xFD\x37zXZ", 5 },
        { "compressed by bzip2", "BZh91AY&SY", 10 },
        { "a zip archive", "PK\x03\x04", 4 },
        { "UTF-16", "\xFF\xFE", 2 },
        { "UTF-16", "\xFE\xFF", 2 },
        { "a Parquet file", "PAR1\x15", 5 },
        { "a GGUF file", "GGUF", 4 },
    };
    const char *found = NULL;
    for (size_t i = 0; i < SC_COUNT(kinds) && !found; i++)
        if (begins_with(&file->map, kinds[i].bytes, kinds[i].n)) found = kinds[i].name;
    if (!found && memchr(file->map.data, 0, SC_MIN(file->map.n_bytes, (size_t)BINARY_BYTES))) found = "binary";
    if (!found) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE, "%s: is %s, expected %s in UTF-8", file->path, found,
                   c->options.kind == SC_CORPUS_TEXT ? "plain text" : "JSON Lines");
}

// ---- the index

static socle_status add_document(struct sc_corpus *c, uint64_t offset, uint64_t n_bytes, socle_error *err)
{
    if (c->n_documents == UINT32_MAX)
        return sc_fail(err, SOCLE_UNSUPPORTED, "training data: more than %u documents", UINT32_MAX);
    if (c->n_documents == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 256;
        struct sc_corpus_document *more = realloc(c->documents, capacity * sizeof *more);
        if (!more) return sc_fail_memory(err, capacity * sizeof *more, "the index of the training data");
        c->documents = more;
        c->capacity = capacity;
    }
    c->documents[c->n_documents++] = (struct sc_corpus_document){ offset, n_bytes };
    return SOCLE_OK;
}

// ---- lines

struct lines {
    const char *data;
    size_t n_bytes, at, forgotten;
    uint64_t number;     // of `line`, from 1
    struct sc_text line; // without its end, "\n" or "\r\n"
    size_t begin, end;   // the line's place in data, "\r" included
};

static struct lines lines_of(const struct sc_corpus_file *file)
{
    size_t n_mark = sizeof byte_order_mark - 1;
    size_t begin = begins_with(&file->map, byte_order_mark, n_mark) ? n_mark : 0;
    return (struct lines){ .data = (const char *)file->map.data, .n_bytes = file->map.n_bytes, .at = begin };
}

static bool next_line(struct lines *l)
{
    if (l->at >= l->n_bytes) return false;
    const char *end = memchr(l->data + l->at, '\n', l->n_bytes - l->at);
    l->begin = l->at;
    l->end = end ? (size_t)(end - l->data) : l->n_bytes;
    l->at = end ? l->end + 1 : l->n_bytes;
    l->number++;
    size_t n = l->end - l->begin;
    if (n && l->data[l->end - 1] == '\r') n--;
    l->line = (struct sc_text){ l->data + l->begin, n };
    if (l->at - l->forgotten >= FORGET_BYTES) {
        sc_forget_pages(l->data + l->forgotten, l->begin - l->forgotten);
        l->forgotten = l->begin;
    }
    return true;
}

static bool is_blank(struct sc_text text)
{
    for (size_t i = 0; i < text.n_bytes; i++)
        if (!strchr(" \t\r\n\v\f", text.data[i]) || text.data[i] == '\0') return false;
    return true;
}

// ---- plain text

// Where to cut a text that begins at `begin` and is longer than `n_max`: behind a line, before a space, or between
// characters.
static size_t cut_at(const char *data, size_t begin, size_t n_max)
{
    const char *from = data + begin, *found = memrchr(from, '\n', n_max);
    if (found) return (size_t)(found + 1 - data);
    found = memrchr(from, ' ', n_max);
    if (found > from) return (size_t)(found - data);
    size_t n = n_max;
    for (int i = 0; i < 3 && n > 1 && ((uint8_t)from[n] & 0xC0) == 0x80; i++) n--;
    return begin + (((uint8_t)from[n] & 0xC0) == 0x80 ? n_max : n); // not UTF-8: anywhere
}

static socle_status add_text(struct sc_corpus *c, const char *data, size_t begin, size_t end, socle_error *err)
{
    if (is_blank((struct sc_text){ data + begin, end - begin })) return SOCLE_OK;
    uint64_t flags = 0;
    while (end - begin > c->options.n_bytes_max) {
        size_t cut = cut_at(data, begin, (size_t)c->options.n_bytes_max);
        SC_TRY(add_document(c, begin, (cut - begin) | flags | SC_PIECE_IS_PARTIAL, err));
        begin = cut;
        flags = SC_PIECE_GOES_ON;
    }
    return add_document(c, begin, (end - begin) | flags, err);
}

// What ends the line before a cut belongs to the cut.
static socle_status add_lines(struct sc_corpus *c, const struct lines *l, size_t begin, size_t end, socle_error *err)
{
    if (end > begin && l->data[end - 1] == '\n') end--;
    if (end > begin && l->data[end - 1] == '\r') end--;
    return add_text(c, l->data, begin, end, err);
}

static socle_status scan_text(struct sc_corpus *c, const struct sc_corpus_file *file, socle_error *err)
{
    struct lines l = lines_of(file);
    size_t begin = l.at, n_lines = 0;
    if (!c->separator && !c->options.n_lines) return add_text(c, l.data, begin, l.n_bytes, err);
    while (next_line(&l)) {
        bool separates = c->separator && sc_text_is(l.line, c->separator);
        if (!separates && (!c->options.n_lines || ++n_lines < c->options.n_lines)) continue;
        SC_TRY(add_lines(c, &l, begin, separates ? l.begin : l.at, err));
        begin = l.at;
        n_lines = 0;
    }
    return add_lines(c, &l, begin, l.n_bytes, err);
}

// ---- JSON Lines

static socle_status check_object(const struct sc_corpus *c, const json_t *object, socle_error *err)
{
    struct sc_text text;
    if (c->options.kind == SC_CORPUS_JSONL) return sc_corpus_field(object, c->field, &text, err);
    if (c->options.kind == SC_CORPUS_PREFERENCE) return sc_examples_put_pair(NULL, NULL, object, err);
    struct sc_conversation conversation = { 0 };
    socle_status status = sc_conversation_read(object, &conversation, err);
    sc_conversation_free(&conversation);
    return status;
}

static socle_status check_line(const struct sc_corpus *c, struct sc_text line, socle_error *err)
{
    if (line.n_bytes > LINE_BYTES_MAX)
        return sc_fail(err, SOCLE_BAD_FILE, "a line of %zu bytes is longer than the %d allowed here", line.n_bytes,
                       LINE_BYTES_MAX);
    size_t n_valid = sc_utf8_valid_run(line.data, line.n_bytes);
    if (n_valid < line.n_bytes)
        return sc_fail(err, SOCLE_BAD_FILE, "expected UTF-8, found the byte 0x%02X at byte %zu of the line",
                       (uint8_t)line.data[n_valid], n_valid + 1);
    json_t *object;
    SC_TRY(sc_corpus_parse(line, &object, err));
    socle_status status = check_object(c, object, err);
    json_decref(object);
    return status;
}

static socle_status scan_json(struct sc_corpus *c, const struct sc_corpus_file *file, socle_error *err)
{
    struct lines l = lines_of(file);
    while (next_line(&l)) {
        if (is_blank(l.line)) continue;
        socle_status status = check_line(c, l.line, err);
        if (status == SOCLE_OK) status = add_document(c, l.begin, l.line.n_bytes, err);
        if (status == SOCLE_OK) continue;
        sc_fail_prefix(err, "%s: line %llu", file->path, (unsigned long long)l.number);
        return status;
    }
    return SOCLE_OK;
}

socle_status sc_corpus_scan(struct sc_corpus *c, const struct sc_corpus_file *file, socle_error *err)
{
    SC_TRY(check_is_text(c, file, err));
    return c->options.kind == SC_CORPUS_TEXT ? scan_text(c, file, err) : scan_json(c, file, err);
}
