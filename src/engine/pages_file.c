// Pages in a file:
//
//     header     "SOCLEKV1", identity u64, bytes of a page u64, number of pages u64
//     each page  parent (its place in this file, ~0: none) u32, number of tokens u32, tokens [256] i32,
//                checksum (XXH3) of all that and of the data u64, data
//
// A parent comes before its children. Little-endian, as the weights are.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/size.h"
#include "engine/pages_internal.h"

struct header {
    char magic[8];
    uint64_t identity, page_bytes, n_pages;
};

struct record {
    uint32_t parent, n_tokens;
    int32_t tokens[SC_PAGE_TOKENS];
    uint64_t checksum;
};

static const char magic[8] = "SOCLEKV1";

static uint64_t checksum(const struct record *r, const char *data, uint64_t page_bytes)
{
    return XXH3_64bits_withSeed(r, offsetof(struct record, checksum), XXH3_64bits(data, page_bytes));
}

// ---- writing

struct order {
    uint64_t last_used;
    uint32_t id;
};

static int compare(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    return x->last_used != y->last_used ? (x->last_used > y->last_used ? -1 : 1) : 0;
}

// Pages in the tree, the latest used first: a page is used at least as lately as what follows it.
static uint64_t list_pages(const struct sc_pages *p, struct order *out)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < p->n_pages; i++)
        if (p->pages[i].n_tokens && p->pages[i].variant == 0) out[n++] = (struct order){ p->pages[i].last_used, i };
    qsort(out, n, sizeof *out, compare);
    return n;
}

// places[id]: where in the file a page was written.
static bool write_page(const struct sc_pages *p, uint32_t id, const uint32_t *places, FILE *file)
{
    const struct sc_page *page = &p->pages[id];
    const char *data = p->memory + id * p->page_bytes;
    struct record r = { .parent = page->parent == SC_NO_PAGE ? SC_NO_PAGE : places[page->parent],
                        .n_tokens = page->n_tokens };
    memcpy(r.tokens, page->tokens, page->n_tokens * sizeof *r.tokens);
    r.checksum = checksum(&r, data, p->page_bytes);
    return fwrite(&r, sizeof r, 1, file) == 1 && fwrite(data, p->page_bytes, 1, file) == 1;
}

static bool write_pages(const struct sc_pages *p, uint64_t identity, uint64_t max_bytes, struct order *order,
                        uint32_t *places, FILE *file)
{
    uint64_t each = sizeof(struct record) + p->page_bytes, n = list_pages(p, order);
    uint64_t fits = max_bytes > sizeof(struct header) ? (max_bytes - sizeof(struct header)) / each : 0;
    struct header h = { .identity = identity, .page_bytes = p->page_bytes, .n_pages = SC_MIN(n, fits) };
    memcpy(h.magic, magic, sizeof magic);
    bool ok = fwrite(&h, sizeof h, 1, file) == 1;
    for (uint64_t i = 0; ok && i < h.n_pages; i++) {
        places[order[i].id] = (uint32_t)i;
        ok = write_page(p, order[i].id, places, file);
    }
    return ok && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

socle_status sc_pages_save(const struct sc_pages *p, const char *path, uint64_t identity, uint64_t max_bytes,
                           socle_error *err)
{
    size_t n_temporary = strlen(path) + 6;
    char *temporary = malloc(n_temporary);
    struct order *order = calloc(p->n_pages, sizeof *order);
    uint32_t *places = calloc(p->n_pages, sizeof *places);
    bool ok = temporary && order && places;
    if (ok) snprintf(temporary, n_temporary, "%s.part", path);
    FILE *file = ok ? fopen(temporary, "we") : NULL;
    ok = file && write_pages(p, identity, max_bytes, order, places, file);
    int code = errno;
    if (file && fclose(file) != 0 && ok) ok = false, code = errno;
    if (ok && rename(temporary, path) != 0) ok = false, code = errno;
    if (!ok && file) unlink(temporary);
    free(temporary);
    free(order);
    free(places);
    return ok ? SOCLE_OK : sc_fail(err, SOCLE_IO, "%s: cannot write: %s", path, strerror(code));
}

// ---- reading

static socle_status read_header(const struct sc_pages *p, const char *path, uint64_t identity, FILE *file,
                                struct header *h, socle_error *err)
{
    if (fread(h, sizeof *h, 1, file) != 1 || memcmp(h->magic, magic, sizeof magic) != 0)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: is no file of known beginnings", path);
    if (h->identity == identity && h->page_bytes == p->page_bytes) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE, "%s: is of another model, context or cache format, or of another version",
                   path);
}

static bool is_sound(const struct sc_pages *p, const struct record *r, const uint32_t *ids, uint64_t place)
{
    if (r->n_tokens == 0 || r->n_tokens > SC_PAGE_TOKENS) return false;
    if (r->parent != SC_NO_PAGE && (r->parent >= place || p->pages[ids[r->parent]].n_tokens != SC_PAGE_TOKENS))
        return false;
    return true;
}

socle_status sc_pages_load(struct sc_pages *p, const char *path, uint64_t identity, uint32_t *n_pages, socle_error *err)
{
    struct header h;
    struct record r;
    *n_pages = 0;
    FILE *file = fopen(path, "re");
    if (!file) return errno == ENOENT ? SOCLE_OK : sc_fail(err, SOCLE_IO, "%s: %s", path, strerror(errno));
    socle_status status = read_header(p, path, identity, file, &h, err);
    uint32_t *ids = calloc(p->n_pages, sizeof *ids);
    if (status == SOCLE_OK && !ids) status = sc_fail_memory(err, p->n_pages * sizeof *ids, "known beginnings");
    // Those that were used last come first, and must seem so: the clock runs backwards over them.
    uint64_t n = status == SOCLE_OK ? SC_MIN(h.n_pages, (uint64_t)p->n_free) : 0;
    for (uint64_t i = 0; i < n && status == SOCLE_OK; i++) {
        uint32_t id = sc_pages_take(p);
        char *data = p->memory + id * p->page_bytes;
        bool whole = fread(&r, sizeof r, 1, file) == 1 && fread(data, p->page_bytes, 1, file) == 1;
        if (whole && is_sound(p, &r, ids, i) && r.checksum == checksum(&r, data, p->page_bytes)) {
            ids[i] = id;
            sc_pages_link(p, id, r.parent == SC_NO_PAGE ? SC_NO_PAGE : ids[r.parent], 0, r.tokens, r.n_tokens);
            p->pages[id].last_used = p->clock + (n - i);
            ++*n_pages;
            continue;
        }
        sc_pages_give(p, id);
        status = sc_fail(err, SOCLE_BAD_FILE, "%s: is damaged from page %llu on", path, (unsigned long long)i);
    }
    p->clock += n + 1;
    free(ids);
    fclose(file);
    return status;
}
