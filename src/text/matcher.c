// Positions in a grammar: stacks, sets of heads, and going on by bytes and tokens.
#include "text/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/matcher_internal.h"

enum { N_BUCKETS = 4096 };

// ---- stacks

static uint32_t *bucket_of(struct sc_matcher *m, uint32_t target, uint32_t parent)
{
    uint64_t mixed = sc_hash_u64((uint64_t)target << 32 | parent);
    return &m->buckets[mixed % N_BUCKETS];
}

// The stack with `target` on top of `parent`; UINT32_MAX when it would be too deep.
static uint32_t push(struct sc_matcher *m, uint32_t target, uint32_t parent)
{
    uint32_t *bucket = bucket_of(m, target, parent);
    for (uint32_t i = *bucket; i; i = m->stacks[i].next)
        if (m->stacks[i].target == target && m->stacks[i].parent == parent) return i;
    uint32_t depth = m->stacks[parent].depth + 1;
    if (depth > SC_STACK_DEPTH_MAX) return UINT32_MAX;
    if (m->n_stacks == m->stacks_capacity) {
        uint32_t capacity = 2 * m->stacks_capacity;
        struct sc_stack *longer = m->n_stacks < SC_STACKS_MAX ? realloc(m->stacks, capacity * sizeof *longer) : NULL;
        if (!longer) {
            m->failed = true;
            return UINT32_MAX;
        }
        m->stacks = longer;
        m->stacks_capacity = capacity;
    }
    m->stacks[m->n_stacks] = (struct sc_stack){ target, parent, depth, *bucket };
    *bucket = m->n_stacks;
    return m->n_stacks++;
}

void sc_stacks_release(struct sc_matcher *m, uint32_t n)
{
    while (m->n_stacks > n) { // each is the first of its bucket, as later ones are gone
        const struct sc_stack *stack = &m->stacks[--m->n_stacks];
        *bucket_of(m, stack->target, stack->parent) = stack->next;
    }
}

// ---- sets of heads

bool sc_heads_room(struct sc_matcher *m, uint32_t n)
{
    if (n <= m->heads_capacity) return true;
    uint32_t capacity = SC_MAX(2 * m->heads_capacity, n);
    struct sc_head *longer = realloc(m->heads, capacity * sizeof *longer);
    if (!longer) {
        m->failed = true;
        return false;
    }
    m->heads = longer;
    m->heads_capacity = capacity;
    return true;
}

void sc_level_begin(struct sc_matcher *m, struct sc_level *level, uint32_t first)
{
    *level = (struct sc_level){ .first = first };
    m->n_heads = first;
}

void sc_level_add(struct sc_matcher *m, struct sc_level *level, struct sc_head head)
{
    const struct sc_head *heads = m->heads + level->first;
    for (uint32_t i = 0; i < level->n; i++)
        if (heads[i].state == head.state && heads[i].stack == head.stack && heads[i].count == head.count &&
            heads[i].limit == head.limit)
            return;
    m->steps += level->n;
    if (level->n == SC_HEADS_MAX) {
        m->overflowed = true;
        return;
    }
    if (!sc_heads_room(m, level->first + level->n + 1)) return;
    m->heads[level->first + level->n++] = head;
    m->n_heads = level->first + level->n;
}

void sc_level_return(struct sc_matcher *m, struct sc_level *level, uint32_t stack)
{
    if (stack == SC_STACK_EMPTY) level->ended = true;
    else sc_level_add(m, level, (struct sc_head){ .state = m->stacks[stack].target, .stack = m->stacks[stack].parent });
}

void sc_level_close(struct sc_matcher *m, struct sc_level *level)
{
    const struct sc_grammar *g = m->masks->grammar;
    for (uint32_t i = 0; i < level->n; i++) {
        struct sc_head head = m->heads[level->first + i];
        const struct sc_grammar_state *state = &g->states[head.state];
        level->alive |= state->n_edges > 0 || state->n_tokens > 0;
        if (state->flags & SC_STATE_FINAL) {
            if (head.stack == SC_STACK_OPEN) {
                level->exits = true;
                level->exit_count = head.count;
            } else {
                sc_level_return(m, level, head.stack);
            }
        }
        for (uint32_t c = 0; c < state->n_calls; c++) {
            const struct sc_grammar_call *call = &g->calls[state->calls + c];
            uint32_t stack = call->target ? push(m, call->target, head.stack) : head.stack;
            if (stack == UINT32_MAX) continue;
            sc_level_add(m, level, (struct sc_head){ .state = call->start, .stack = stack, .limit = call->limit });
        }
    }
}

void sc_level_step(struct sc_matcher *m, const struct sc_level *from, uint8_t byte, struct sc_level *to)
{
    sc_level_begin(m, to, from->first + from->n);
    m->steps += from->n;
    for (uint32_t i = 0; i < from->n; i++) {
        struct sc_head head = m->heads[from->first + i];
        if (sc_head_step(m->masks->grammar, &head, byte)) sc_level_add(m, to, head);
    }
    if (to->n) sc_level_close(m, to);
}

// ---- matchers

void sc_matcher_reset(struct sc_matcher *m)
{
    const struct sc_grammar *g = m->masks->grammar;
    sc_stacks_release(m, SC_STACK_FIRST);
    m->finished = m->failed = m->overflowed = false;
    sc_level_begin(m, &m->position, 0);
    sc_level_add(m, &m->position,
                 (struct sc_head){ .state = g->start, .stack = SC_STACK_EMPTY, .limit = g->start_limit });
    sc_level_close(m, &m->position);
}

static struct sc_matcher *make(struct sc_token_masks *masks, uint32_t n_stacks, uint32_t n_heads)
{
    struct sc_matcher *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->masks = masks;
    m->stacks_capacity = SC_MAX(n_stacks, 256u);
    m->heads_capacity = SC_MAX(n_heads, 1024u);
    m->n_stacks = SC_STACK_FIRST;
    m->stacks = calloc(m->stacks_capacity, sizeof *m->stacks);
    m->buckets = calloc(N_BUCKETS, sizeof *m->buckets);
    m->heads = calloc(m->heads_capacity, sizeof *m->heads);
    m->levels = calloc(SC_INDEX_TOKEN_BYTES_MAX + 1, sizeof *m->levels);
    m->scratch = calloc(masks->index->n_words + 1, sizeof *m->scratch);
    if (m->stacks && m->buckets && m->heads && m->levels && m->scratch) return m;
    sc_matcher_free(m);
    return NULL;
}

socle_status sc_matcher_create(struct sc_token_masks *masks, struct sc_matcher **out, socle_error *err)
{
    struct sc_matcher *m = make(masks, 0, 0);
    if (!m) return sc_fail_memory(err, masks->index->n_words * 8, "a position in a grammar");
    sc_matcher_reset(m);
    *out = m;
    return SOCLE_OK;
}

socle_status sc_matcher_copy(const struct sc_matcher *m, struct sc_matcher **out, socle_error *err)
{
    struct sc_matcher *copy = make(m->masks, m->n_stacks, m->position.n);
    if (!copy) return sc_fail_memory(err, m->masks->index->n_words * 8, "a position in a grammar");
    memcpy(copy->stacks, m->stacks, m->n_stacks * sizeof *m->stacks);
    memcpy(copy->buckets, m->buckets, N_BUCKETS * sizeof *m->buckets);
    if (m->position.n) memcpy(copy->heads, m->heads, m->position.n * sizeof *m->heads);
    copy->n_stacks = m->n_stacks;
    copy->position = m->position;
    copy->n_heads = m->position.n;
    copy->finished = m->finished;
    *out = copy;
    return SOCLE_OK;
}

void sc_matcher_free(struct sc_matcher *m)
{
    if (!m) return;
    free(m->stacks);
    free(m->buckets);
    free(m->heads);
    free(m->levels);
    free(m->scratch);
    free(m->exits.items);
    free(m);
}

size_t sc_matcher_mask_words(const struct sc_matcher *m) { return m->masks->index->n_words; }

bool sc_matcher_can_end(const struct sc_matcher *m) { return m->position.ended; }

bool sc_matcher_must_end(const struct sc_matcher *m) { return m->position.ended && !m->position.alive; }

// Makes `level` the position; nothing is left of the old one.
static void move_to(struct sc_matcher *m, struct sc_level level)
{
    memmove(m->heads, m->heads + level.first, level.n * sizeof *m->heads);
    level.first = 0;
    m->position = level;
    m->n_heads = level.n;
}

bool sc_matcher_accept_bytes(struct sc_matcher *m, struct sc_text bytes)
{
    struct sc_level at = m->position, next;
    uint32_t n_stacks = m->n_stacks;
    m->failed = m->overflowed = false;
    if (m->finished) return false;
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        sc_level_step(m, &at, (uint8_t)bytes.data[i], &next);
        if ((!next.alive && !next.ended) || m->failed || m->overflowed) {
            sc_stacks_release(m, n_stacks);
            m->n_heads = m->position.n;
            return false;
        }
        if (i > 0) { // only the position and the newest set are needed
            memmove(m->heads + at.first, m->heads + next.first, next.n * sizeof *m->heads);
            next.first = at.first;
        }
        at = next;
    }
    if (bytes.n_bytes) move_to(m, at);
    return true;
}

// By an edge of a control token. False: there is none.
static bool accept_control(struct sc_matcher *m, int32_t token)
{
    const struct sc_grammar *g = m->masks->grammar;
    struct sc_level next;
    sc_level_begin(m, &next, m->position.n);
    for (uint32_t i = 0; i < m->position.n; i++) {
        struct sc_head head = m->heads[i];
        const struct sc_grammar_state *state = &g->states[head.state];
        for (uint32_t t = 0; t < state->n_tokens; t++) {
            const struct sc_grammar_token *edge = &g->tokens[state->tokens + t];
            if (m->masks->literal_tokens[edge->literal] == token)
                sc_level_add(m, &next, (struct sc_head){ .state = edge->target, .stack = head.stack });
        }
    }
    if (next.n) sc_level_close(m, &next);
    if (!next.alive && !next.ended) return false;
    move_to(m, next);
    return true;
}

bool sc_matcher_accept(struct sc_matcher *m, int32_t token)
{
    const struct sc_tokenizer *tokenizer = m->masks->index->tokenizer;
    if (token < 0 || (uint32_t)token >= m->masks->index->n_tokens || m->finished) return false;
    if (accept_control(m, token)) return true;
    if (sc_tokenizer_is_end(tokenizer, token)) {
        m->finished = m->position.ended;
        return m->finished;
    }
    struct sc_text bytes = sc_tokenizer_token_bytes(tokenizer, token);
    enum sc_token_type type = sc_tokenizer_token_type(tokenizer, token);
    if (bytes.n_bytes == 0 || sc_tokenizer_is_special(tokenizer, token) || type == SC_TOKEN_UNUSED) return false;
    return sc_matcher_accept_bytes(m, bytes);
}
