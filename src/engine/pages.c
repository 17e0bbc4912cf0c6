#include "engine/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "engine/cache.h"
#include "engine/pages_internal.h"

#define NONE SC_NO_PAGE

static uint32_t pages_of(uint64_t n_positions)
{
    return (uint32_t)((n_positions + SC_PAGE_TOKENS - 1) / SC_PAGE_TOKENS);
}

static uint64_t page_bytes(const struct sc_program *program, enum sc_cache_format format)
{
    return sc_cache_bytes(program, SC_PAGE_TOKENS, format);
}

uint64_t sc_pages_bytes(const struct sc_program *program, uint64_t n_positions, enum sc_cache_format format)
{
    uint64_t n_bytes, n_pages = (n_positions + SC_PAGE_TOKENS - 1) / SC_PAGE_TOKENS;
    return sc_u64_mul(page_bytes(program, format) + sizeof(struct sc_page), n_pages, &n_bytes) ? n_bytes
                                                                                               : UINT64_MAX / 2;
}

socle_status sc_pages_create(const struct sc_program *program, uint64_t n_positions, uint32_t n_context,
                             enum sc_cache_format format, struct sc_pages **out, socle_error *err)
{
    uint64_t n_bytes = sc_pages_bytes(program, n_positions, format);
    struct sc_pages *p = calloc(1, sizeof *p);
    if (!p || n_positions / SC_PAGE_TOKENS >= NONE - 1) {
        free(p);
        return sc_fail_memory(err, n_bytes, "the cache");
    }
    p->n_pages = p->n_free = pages_of(n_positions);
    p->n_context = n_context;
    p->page_bytes = page_bytes(program, format);
    p->n_bytes = p->page_bytes * p->n_pages;
    p->pages = calloc(p->n_pages, sizeof *p->pages);
    p->layers = calloc(program->n_layers, sizeof *p->layers);
    p->memory = sc_memory_take_huge(p->n_bytes);
    if (!p->pages || !p->layers || !p->memory) {
        sc_pages_free(p);
        return sc_fail_memory(err, n_bytes, "the cache");
    }
    sc_cache_place(program, SC_PAGE_TOKENS, format, p->memory, p->layers);
    for (uint32_t i = 0; i < p->n_pages; i++) p->pages[i].next = i + 1 < p->n_pages ? i + 1 : NONE;
    p->first_root = NONE;
    *out = p;
    return SOCLE_OK;
}

void sc_pages_free(struct sc_pages *p)
{
    if (!p) return;
    sc_memory_release(p->memory, p->n_bytes);
    free(p->pages);
    free(p->layers);
    free(p);
}

// ---- the tree

static uint32_t *children_of(struct sc_pages *p, uint32_t parent)
{
    return parent == NONE ? &p->first_root : &p->pages[parent].first_child;
}

void sc_pages_link(struct sc_pages *p, uint32_t id, uint32_t parent, uint64_t variant, const int32_t *tokens,
                   uint32_t n_tokens)
{
    struct sc_page *page = &p->pages[id];
    uint32_t *first = children_of(p, parent);
    page->parent = parent;
    page->first_child = page->previous = NONE;
    page->next = *first;
    if (*first != NONE) p->pages[*first].previous = id;
    *first = id;
    page->n_tokens = n_tokens;
    page->variant = variant;
    page->last_used = ++p->clock;
    memcpy(page->tokens, tokens, n_tokens * sizeof *tokens);
    p->n_kept++;
}

static void unlink_page(struct sc_pages *p, uint32_t id)
{
    struct sc_page *page = &p->pages[id];
    if (page->previous != NONE) p->pages[page->previous].next = page->next;
    else *children_of(p, page->parent) = page->next;
    if (page->next != NONE) p->pages[page->next].previous = page->previous;
    page->n_tokens = 0;
}

void sc_pages_give(struct sc_pages *p, uint32_t id)
{
    p->pages[id].next = p->first_free;
    p->first_free = id;
    p->n_free++;
}

static uint32_t agreeing(const int32_t *a, const int32_t *b, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i;
}

// The child that agrees with most of the n tokens, and with how many.
static uint32_t best_child(const struct sc_pages *p, uint32_t parent, uint64_t variant, const int32_t *tokens,
                           uint32_t n, uint32_t *n_same)
{
    uint32_t best = NONE;
    *n_same = 0;
    for (uint32_t id = parent == NONE ? p->first_root : p->pages[parent].first_child; id != NONE;
         id = p->pages[id].next) {
        const struct sc_page *page = &p->pages[id];
        if (page->variant != variant) continue;
        uint32_t same = agreeing(page->tokens, tokens, SC_MIN(n, page->n_tokens));
        if (same <= *n_same) continue;
        *n_same = same;
        best = id;
    }
    return best;
}

// The child that is exactly these tokens, or NONE.
static uint32_t same_child(const struct sc_pages *p, uint32_t parent, uint64_t variant, const int32_t *tokens,
                           uint32_t n)
{
    uint32_t same, id = best_child(p, parent, variant, tokens, n, &same);
    return id != NONE && same == n && p->pages[id].n_tokens == n ? id : NONE;
}

static void use(struct sc_pages *p, uint32_t id)
{
    p->n_kept -= p->pages[id].n_users++ == 0;
    p->pages[id].last_used = ++p->clock;
}

static void leave(struct sc_pages *p, uint32_t id)
{
    p->n_kept += --p->pages[id].n_users == 0;
    p->pages[id].last_used = ++p->clock;
}

// Gives up the leaf that nobody has used for longest. What has children is used at least as lately as they are, and
// goes after them.
static bool evict(struct sc_pages *p)
{
    uint32_t oldest = NONE;
    for (uint32_t i = 0; i < p->n_pages; i++) {
        const struct sc_page *page = &p->pages[i];
        if (page->n_tokens == 0 || page->n_users || page->first_child != NONE) continue;
        if (oldest == NONE || page->last_used < p->pages[oldest].last_used) oldest = i;
    }
    if (oldest == NONE) return false;
    unlink_page(p, oldest);
    sc_pages_give(p, oldest);
    p->n_kept--;
    return true;
}

uint32_t sc_pages_take(struct sc_pages *p)
{
    if (p->first_free == NONE && !evict(p)) return NONE;
    uint32_t id = p->first_free;
    p->first_free = p->pages[id].next;
    p->n_free--;
    return id;
}

// ---- sequences

static void append_page(const struct sc_pages *p, struct sc_paged *s, uint32_t id)
{
    s->segments[s->n_pages] = id * p->page_bytes;
    s->pages[s->n_pages++] = id;
}

static uint32_t last_shared(const struct sc_paged *s) { return s->n_shared ? s->pages[s->n_shared - 1] : NONE; }

uint32_t sc_pages_known(const struct sc_pages *p, uint64_t variant, const int32_t *tokens, uint32_t n_tokens)
{
    uint32_t parent = NONE, n = 0, most = n_tokens - 1;
    for (uint32_t same; n < most; n += same) {
        parent = best_child(p, parent, variant, tokens + n, SC_MIN(most - n, (uint32_t)SC_PAGE_TOKENS), &same);
        if (same < SC_PAGE_TOKENS) return n + same;
    }
    return n;
}

// Copies the first n positions' page of a child that begins with these tokens; false when there is none, or no page.
static bool copy_beginning(struct sc_pages *p, struct sc_paged *s, const int32_t *tokens, uint32_t n, uint32_t *n_same)
{
    uint32_t from = best_child(p, last_shared(s), s->variant, tokens, n, n_same);
    if (from == NONE) return false;
    use(p, from); // it must not be evicted for its own copy
    uint32_t to = sc_pages_take(p);
    leave(p, from);
    if (to == NONE) return false;
    memcpy(p->memory + to * p->page_bytes, p->memory + from * p->page_bytes, p->page_bytes);
    append_page(p, s, to);
    return true;
}

socle_status sc_pages_begin(struct sc_pages *p, uint64_t variant, const int32_t *tokens, uint32_t n_tokens, struct sc_paged *s,
                            uint32_t *n_past, socle_error *err)
{
    uint32_t n_most = pages_of(p->n_context), most = n_tokens - 1, n = 0, same;
    assert(n_tokens > 0 && n_tokens <= p->n_context);
    *s = (struct sc_paged){ .pages = calloc(n_most, sizeof *s->pages),
                            .segments = calloc(n_most, sizeof *s->segments),
                            .variant = variant };
    if (!s->pages || !s->segments) {
        free(s->pages);
        free(s->segments);
        return sc_fail_memory(err, n_most * sizeof *s->segments, "a sequence");
    }
    s->sequence = (struct sc_sequence){ .cache = p->layers, .segments = s->segments, .n_context = p->n_context };
    for (uint32_t id; n + SC_PAGE_TOKENS <= most; n += SC_PAGE_TOKENS) {
        id = same_child(p, last_shared(s), s->variant, tokens + n, SC_PAGE_TOKENS);
        if (id == NONE) break;
        use(p, id);
        append_page(p, s, id);
        s->n_shared++;
    }
    if (n < most && copy_beginning(p, s, tokens + n, SC_MIN(most - n, (uint32_t)SC_PAGE_TOKENS), &same)) n += same;
    *n_past = n;
    return SOCLE_OK;
}

bool sc_pages_extend(struct sc_pages *p, struct sc_paged *s, uint32_t n_positions)
{
    uint32_t before = s->n_pages;
    while (s->n_pages < pages_of(n_positions)) {
        uint32_t id = sc_pages_take(p);
        if (id == NONE) {
            while (s->n_pages > before) sc_pages_give(p, s->pages[--s->n_pages]);
            return false;
        }
        append_page(p, s, id);
    }
    return true;
}

// Puts the sequence's next own page into the tree; where the tree has one of the same tokens, takes that one instead.
static void share_page(struct sc_pages *p, struct sc_paged *s, const int32_t *tokens, uint32_t n_tokens)
{
    uint32_t at = s->n_shared, own = s->pages[at];
    uint32_t id = same_child(p, last_shared(s), s->variant, tokens, n_tokens);
    if (id == NONE) {
        sc_pages_link(p, own, last_shared(s), s->variant, tokens, n_tokens);
        id = own;
    } else {
        sc_pages_give(p, own);
        s->pages[at] = id;
        s->segments[at] = id * p->page_bytes;
    }
    use(p, id);
    s->n_shared++;
}

void sc_pages_commit(struct sc_pages *p, struct sc_paged *s, const int32_t *tokens, uint32_t n_past)
{
    while ((s->n_shared + 1) * (uint32_t)SC_PAGE_TOKENS <= n_past)
        share_page(p, s, tokens + s->n_shared * SC_PAGE_TOKENS, SC_PAGE_TOKENS);
}

void sc_pages_end(struct sc_pages *p, struct sc_paged *s, const int32_t *tokens, uint32_t n_past)
{
    if (!s->pages) return;
    sc_pages_commit(p, s, tokens, n_past);
    uint32_t done = s->n_shared * SC_PAGE_TOKENS, known = 0;
    if (done < n_past) best_child(p, last_shared(s), s->variant, tokens + done, n_past - done, &known);
    if (done + known < n_past) share_page(p, s, tokens + done, n_past - done);
    for (uint32_t i = s->n_pages; i-- > s->n_shared;) sc_pages_give(p, s->pages[i]);
    for (uint32_t i = s->n_shared; i-- > 0;) leave(p, s->pages[i]);
    free(s->pages);
    free(s->segments);
    *s = (struct sc_paged){ 0 };
}

struct sc_pages_use sc_pages_use(const struct sc_pages *p)
{
    return (struct sc_pages_use){ p->n_pages, p->n_free, p->n_kept };
}
