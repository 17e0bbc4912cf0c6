#include "text/grammar_nodes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

void sc_builder_init(struct sc_grammar_builder *b)
{
    *b = (struct sc_grammar_builder){ .arena = { .max_bytes = SC_GRAMMAR_BUILD_BYTES_MAX } };
}

void sc_builder_free(struct sc_grammar_builder *b)
{
    sc_arena_free(&b->arena);
    free(b->rules);
    b->rules = NULL;
}

bool sc_builder_failed(const struct sc_grammar_builder *b) { return b->error.status != SOCLE_OK; }

void *sc_builder_fail(struct sc_grammar_builder *b, socle_status status, const char *format, ...)
{
    if (sc_builder_failed(b)) return NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(b->error.message, sizeof b->error.message, format, arguments);
    va_end(arguments);
    b->error.status = status;
    return NULL;
}

void *sc_builder_no_memory(struct sc_grammar_builder *b)
{
    return sc_builder_fail(b, SOCLE_NO_MEMORY,
                           "a grammar: it needs more than %d MiB while it is built, or memory ran out",
                           SC_GRAMMAR_BUILD_BYTES_MAX >> 20);
}

uint32_t sc_builder_rule(struct sc_grammar_builder *b, struct sc_text name)
{
    if (sc_builder_failed(b)) return UINT32_MAX;
    if (b->n_rules == SC_GRAMMAR_RULES_MAX) {
        sc_builder_fail(b, SOCLE_UNSUPPORTED, "a grammar: more than %d rules", SC_GRAMMAR_RULES_MAX);
        return UINT32_MAX;
    }
    if (b->n_rules == b->capacity) {
        uint32_t capacity = SC_MAX(2 * b->capacity, 64u);
        struct sc_build_rule *longer = realloc(b->rules, capacity * sizeof *longer);
        if (!longer) {
            sc_builder_no_memory(b);
            return UINT32_MAX;
        }
        b->rules = longer;
        b->capacity = capacity;
    }
    char *copy = sc_arena_text(&b->arena, name.data, name.n_bytes);
    if (!copy) {
        sc_builder_no_memory(b);
        return UINT32_MAX;
    }
    b->rules[b->n_rules] = (struct sc_build_rule){ .name = copy };
    return b->n_rules++;
}

static struct sc_node *make(struct sc_grammar_builder *b, enum sc_node_kind kind)
{
    if (sc_builder_failed(b)) return NULL;
    struct sc_node *node = sc_arena_alloc(&b->arena, sizeof *node);
    if (!node) return sc_builder_no_memory(b);
    node->kind = kind;
    return node;
}

struct sc_node *sc_node_nothing(struct sc_grammar_builder *b) { return make(b, SC_NODE_NOTHING); }

struct sc_node *sc_node_empty(struct sc_grammar_builder *b) { return make(b, SC_NODE_BYTES); }

struct sc_node *sc_node_bytes(struct sc_grammar_builder *b, struct sc_text bytes)
{
    struct sc_node *node = make(b, SC_NODE_BYTES);
    if (!node) return NULL;
    char *copy = sc_arena_text(&b->arena, bytes.data, bytes.n_bytes);
    if (!copy) return sc_builder_no_memory(b);
    node->bytes = (struct sc_text){ copy, bytes.n_bytes };
    return node;
}

struct sc_node *sc_node_string(struct sc_grammar_builder *b, const char *text)
{
    return sc_node_bytes(b, sc_text_of(text));
}

// ---- sets of characters

static int compare_ranges(const void *a, const void *b)
{
    const struct sc_char_range *x = a, *y = b;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : 0;
}

enum { CODE_POINT_MAX = 0x10FFFF, SURROGATES_FIRST = 0xD800, SURROGATES_LAST = 0xDFFF };

size_t sc_ranges_normalize(struct sc_char_range *ranges, size_t n)
{
    if (n) qsort(ranges, n, sizeof *ranges, compare_ranges);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct sc_char_range r = ranges[i];
        if (r.last > CODE_POINT_MAX) r.last = CODE_POINT_MAX;
        if (r.first > r.last) continue;
        if (kept && r.first <= ranges[kept - 1].last + 1) ranges[kept - 1].last = SC_MAX(ranges[kept - 1].last, r.last);
        else ranges[kept++] = r;
    }
    return kept;
}

void sc_range_list_add(struct sc_grammar_builder *b, struct sc_range_list *list, uint32_t first, uint32_t last)
{
    if (sc_builder_failed(b) || first > last) return;
    if (list->n == list->capacity) {
        size_t capacity = SC_MAX(2 * list->capacity, (size_t)8);
        struct sc_char_range *longer = sc_arena_array(&b->arena, capacity, sizeof *longer);
        if (!longer) {
            sc_builder_no_memory(b);
            return;
        }
        if (list->n) memcpy(longer, list->items, list->n * sizeof *longer);
        list->items = longer;
        list->capacity = capacity;
    }
    list->items[list->n++] = (struct sc_char_range){ first, last };
}

void sc_range_list_negate(struct sc_grammar_builder *b, struct sc_range_list *list)
{
    struct sc_range_list rest = { 0 };
    list->n = sc_ranges_normalize(list->items, list->n);
    uint32_t next = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].first > next) sc_range_list_add(b, &rest, next, list->items[i].first - 1);
        next = list->items[i].last + 1;
    }
    if (next <= CODE_POINT_MAX) sc_range_list_add(b, &rest, next, CODE_POINT_MAX);
    *list = rest;
}

// Surrogates are no characters: they have no UTF-8.
static void add_without_surrogates(struct sc_grammar_builder *b, struct sc_range_list *list, struct sc_char_range r)
{
    if (r.first < SURROGATES_FIRST) sc_range_list_add(b, list, r.first, SC_MIN(r.last, (uint32_t)SURROGATES_FIRST - 1));
    if (r.last > SURROGATES_LAST) sc_range_list_add(b, list, SC_MAX(r.first, (uint32_t)SURROGATES_LAST + 1), r.last);
}

struct sc_node *sc_node_set(struct sc_grammar_builder *b, const struct sc_char_range *ranges, size_t n, bool negated)
{
    struct sc_range_list all = { 0 }, kept = { 0 };
    for (size_t i = 0; i < n; i++) sc_range_list_add(b, &all, ranges[i].first, ranges[i].last);
    if (negated) sc_range_list_negate(b, &all);
    else all.n = sc_ranges_normalize(all.items, all.n);
    for (size_t i = 0; i < all.n; i++) add_without_surrogates(b, &kept, all.items[i]);
    struct sc_node *node = make(b, kept.n ? SC_NODE_SET : SC_NODE_NOTHING);
    if (!node) return NULL;
    node->ranges = kept.items;
    node->n = (uint32_t)kept.n;
    return node;
}

// ---- what joins nodes

static struct sc_node *make_parent(struct sc_grammar_builder *b, enum sc_node_kind kind,
                                   struct sc_node *const *children, size_t n)
{
    struct sc_node *node = make(b, kind);
    if (!node) return NULL;
    node->children = sc_arena_array(&b->arena, n, sizeof *children);
    if (!node->children) return sc_builder_no_memory(b);
    if (n) memcpy(node->children, children, n * sizeof *children);
    node->n = (uint32_t)n;
    return node;
}

struct sc_node *sc_node_sequence(struct sc_grammar_builder *b, struct sc_node *const *children, size_t n)
{
    return n == 1 ? children[0] : make_parent(b, SC_NODE_SEQUENCE, children, n);
}

struct sc_node *sc_node_choice(struct sc_grammar_builder *b, struct sc_node *const *children, size_t n)
{
    return n == 0 ? sc_node_nothing(b) : n == 1 ? children[0] : make_parent(b, SC_NODE_CHOICE, children, n);
}

struct sc_node *sc_node_repeat(struct sc_grammar_builder *b, struct sc_node *child, uint32_t min, uint32_t max)
{
    if (min == 1 && max == 1) return child;
    if (min > SC_REPEAT_MAX || (max != SC_UNBOUNDED && max > SC_REPEAT_MAX))
        return sc_builder_fail(b, SOCLE_UNSUPPORTED, "a grammar: a repetition of more than %d times", SC_REPEAT_MAX);
    if (max < min) return sc_node_nothing(b);
    struct sc_node *node = make_parent(b, SC_NODE_REPEAT, &child, 1);
    if (!node) return NULL;
    node->min = min;
    node->max = max;
    return node;
}

struct sc_node *sc_node_rule(struct sc_grammar_builder *b, uint32_t rule)
{
    struct sc_node *node = make(b, SC_NODE_RULE);
    if (node) node->rule = rule;
    return node;
}

struct sc_node *sc_node_dfa(struct sc_grammar_builder *b, const struct sc_dfa *dfa)
{
    struct sc_node *node = dfa ? make(b, SC_NODE_DFA) : NULL;
    if (node) node->dfa = dfa;
    return node;
}

struct sc_node *sc_node_list(struct sc_grammar_builder *b, struct sc_node *const *items, const bool *needed, size_t n,
                             struct sc_node *separator, struct sc_node *more)
{
    struct sc_node *node = make_parent(b, SC_NODE_LIST, items, n);
    if (!node) return NULL;
    bool *copy = sc_arena_array(&b->arena, n, sizeof *copy);
    if (!copy) return sc_builder_no_memory(b);
    if (n) memcpy(copy, needed, n * sizeof *copy);
    node->needed = copy;
    node->separator = separator;
    node->more = more;
    return node;
}

void sc_node_list_add(struct sc_grammar_builder *b, struct sc_node_list *list, struct sc_node *node)
{
    if (sc_builder_failed(b)) return;
    if (list->n == list->capacity) {
        size_t capacity = SC_MAX(2 * list->capacity, (size_t)8);
        struct sc_node **longer = sc_arena_array(&b->arena, capacity, sizeof(struct sc_node *));
        if (!longer) {
            sc_builder_no_memory(b);
            return;
        }
        if (list->n) memcpy(longer, list->items, list->n * sizeof *list->items);
        list->items = longer;
        list->capacity = capacity;
    }
    list->items[list->n++] = node;
}
