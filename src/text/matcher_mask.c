// Token masks: walks of the token tree, and the masks of states that are kept.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/matcher_internal.h"

enum { CACHE_BYTES_MAX = 32 * 1024 * 1024, EXITS_MAX = 32768, ENTRIES_MIN = 16 };

// ---- kept masks

static void forget(struct sc_token_masks *masks, struct sc_mask_entry *entry)
{
    if (entry->key) masks->slots[entry->key] = 0;
    free(entry->mask);
    free(entry->exits);
    *entry = (struct sc_mask_entry){ 0 };
}

void sc_token_masks_free(struct sc_token_masks *masks)
{
    if (!masks) return;
    for (uint32_t i = 0; masks->entries && masks->slots && i < masks->n_entries; i++)
        forget(masks, &masks->entries[i]);
    pthread_mutex_destroy(&masks->lock);
    free(masks->literal_tokens);
    free(masks->slots);
    free(masks->entries);
    free(masks);
}

socle_status sc_token_masks_create(const struct sc_grammar *grammar, const struct sc_token_index *index,
                                   struct sc_token_masks **out, socle_error *err)
{
    struct sc_token_masks *masks = calloc(1, sizeof *masks);
    if (!masks) return sc_fail_memory(err, sizeof *masks, "token masks");
    masks->grammar = grammar;
    masks->index = index;
    size_t fitting = CACHE_BYTES_MAX / (index->n_words * 8 + 8192);
    masks->n_entries = (uint32_t)SC_MIN(SC_MAX(fitting, (size_t)ENTRIES_MIN), (size_t)grammar->n_states + SC_LIMITED_MASKS);
    masks->literal_tokens = calloc((size_t)grammar->n_literals + 1, sizeof *masks->literal_tokens);
    masks->slots = calloc((size_t)grammar->n_states + SC_LIMITED_MASKS, sizeof *masks->slots);
    masks->entries = calloc(masks->n_entries, sizeof *masks->entries);
    pthread_mutex_init(&masks->lock, NULL);
    if (!masks->literal_tokens || !masks->slots || !masks->entries) {
        sc_token_masks_free(masks);
        return sc_fail_memory(err, grammar->n_states * sizeof(uint32_t), "token masks");
    }
    for (uint32_t i = 0; i < grammar->n_literals; i++) {
        int32_t token = sc_tokenizer_find(index->tokenizer, grammar->literals[i]);
        bool control = token >= 0 && sc_tokenizer_token_type(index->tokenizer, token) == SC_TOKEN_CONTROL;
        masks->literal_tokens[i] = control ? token : -1;
    }
    *out = masks;
    return SOCLE_OK;
}

// ---- walks

static void allow(const struct sc_token_index *index, uint64_t *mask, int32_t token)
{
    for (; token >= 0; token = index->next_same[token]) mask[token / 64] |= UINT64_C(1) << (token % 64);
}

static void disallow(const struct sc_token_index *index, uint64_t *mask, int32_t token)
{
    for (; token >= 0; token = index->next_same[token]) mask[token / 64] &= ~(UINT64_C(1) << (token % 64));
}

static void add_exit(struct sc_matcher *m, uint32_t node, uint32_t count)
{
    struct sc_exit_list *list = &m->exits;
    if (list->n > EXITS_MAX) return;
    if (list->n == list->capacity) {
        uint32_t capacity = SC_MAX(2 * list->capacity, 256u);
        struct sc_exit *longer = realloc(list->items, capacity * sizeof *longer);
        if (!longer) {
            m->failed = true;
            return;
        }
        list->items = longer;
        list->capacity = capacity;
    }
    list->items[list->n++] = (struct sc_exit){ node, count };
}

// The common step: one head, to a state that neither ends nor calls. False: take the long way.
static inline bool step_simply(struct sc_matcher *m, const struct sc_level *from, uint8_t byte, struct sc_level *to)
{
    if (from->n != 1) return false;
    struct sc_head head = m->heads[from->first];
    *to = (struct sc_level){ .first = from->first + 1 };
    if (!sc_head_step(m->masks->grammar, &head, byte)) return true;
    const struct sc_grammar_state *state = &m->masks->grammar->states[head.state];
    if (state->flags & (SC_STATE_FINAL | SC_STATE_CALLS)) return false;
    if (to->first >= m->heads_capacity && !sc_heads_room(m, to->first + 1)) return true;
    m->heads[to->first] = head;
    to->n = 1;
    to->alive = true;
    return true;
}

// Does the level stay as it is by every byte below?
static bool takes_all_below(struct sc_matcher *m, const struct sc_level *level, unsigned below)
{
    if (level->n != 1 || level->exits || level->ended) return false;
    const struct sc_head *head = &m->heads[level->first];
    if (head->limit >= SC_LIMIT_FIRST) return false;
    return (below & ~(unsigned)m->masks->grammar->states[head->state].loops) == 0;
}

// Allows the tokens of nodes [begin, end) whose bytes can follow the level of their parents, which is set, and notes
// exits.
static void walk(struct sc_matcher *m, uint32_t begin, uint32_t end, uint64_t *mask)
{
    const struct sc_token_index *index = m->masks->index;
    for (uint32_t i = begin; i < end && !m->failed && !m->overflowed;) {
        const struct sc_token_node *node = &index->nodes[i];
        const struct sc_level *parent = &m->levels[node->depth - 1];
        struct sc_level *level = &m->levels[node->depth];
        if (!step_simply(m, parent, node->byte, level)) sc_level_step(m, parent, node->byte, level);
        if (node->token >= 0 && (level->alive || level->ended)) allow(index, mask, node->token);
        if (level->exits) add_exit(m, i, level->exit_count);
        if (m->steps > SC_MASK_STEPS_MAX) m->overflowed = true;
        m->steps++;
        if (level->alive && node->below && takes_all_below(m, level, node->below)) {
            for (uint32_t k = i + 1; k < node->skip; k++)
                if (index->nodes[k].token >= 0) allow(index, mask, index->nodes[k].token);
            i = node->skip;
        } else {
            i = level->alive ? i + 1 : node->skip;
        }
    }
}

// The mask of a state by itself, and its exits.
static void compute(struct sc_matcher *m, uint32_t state, uint64_t *mask)
{
    const struct sc_grammar *g = m->masks->grammar;
    uint32_t limit = g->states[state].flags & SC_STATE_STRING ? SC_LIMIT_COUNT : SC_LIMIT_NONE;
    memset(mask, 0, m->masks->index->n_words * sizeof *mask);
    m->exits.n = 0;
    sc_level_begin(m, &m->levels[0], m->position.n);
    sc_level_add(m, &m->levels[0], (struct sc_head){ .state = state, .stack = SC_STACK_OPEN, .limit = limit });
    walk(m, 0, m->masks->index->n_nodes, mask);
}

// Keeps a copy of a mask and its exits (n_exits above EXITS_MAX: only that they are too many). Without memory nothing is
// kept.
static void keep(struct sc_matcher *m, uint32_t key, const uint64_t *mask, uint32_t n_exits)
{
    struct sc_token_masks *masks = m->masks;
    bool is_direct = n_exits > EXITS_MAX;
    size_t n_bytes = masks->index->n_words * sizeof *mask, n_exit_bytes = n_exits * sizeof(struct sc_exit);
    uint64_t *copy = is_direct ? NULL : malloc(n_bytes + 1);
    struct sc_exit *exits = is_direct ? NULL : malloc(n_exit_bytes + 1);
    if (!is_direct && (!copy || !exits)) {
        free(copy);
        free(exits);
        return;
    }
    if (!is_direct) memcpy(copy, mask, n_bytes);
    if (!is_direct && n_exit_bytes) memcpy(exits, m->exits.items, n_exit_bytes);
    struct sc_mask_entry entry = { key, is_direct, copy, exits, is_direct ? 0 : n_exits };
    pthread_mutex_lock(&masks->lock);
    if (masks->slots[key]) { // another thread was faster
        free(copy);
        free(exits);
    } else {
        struct sc_mask_entry *place = &masks->entries[masks->next];
        forget(masks, place);
        *place = entry;
        masks->slots[key] = ++masks->next;
        masks->next %= masks->n_entries;
    }
    pthread_mutex_unlock(&masks->lock);
}

// Brings a state's mask into `mask` and its exits into the matcher. False: it has to be computed with its stack.
static bool fetch(struct sc_matcher *m, uint32_t state, uint64_t *mask)
{
    struct sc_token_masks *masks = m->masks;
    bool found = false, is_direct = false;
    pthread_mutex_lock(&masks->lock);
    if (masks->slots[state]) {
        const struct sc_mask_entry *entry = &masks->entries[masks->slots[state] - 1];
        found = true;
        is_direct = entry->is_direct;
        m->exits.n = 0;
        for (uint32_t i = 0; i < entry->n_exits; i++) add_exit(m, entry->exits[i].node, entry->exits[i].count);
        if (!is_direct) memcpy(mask, entry->mask, masks->index->n_words * sizeof *mask);
    }
    pthread_mutex_unlock(&masks->lock);
    if (found) return !is_direct;
    compute(m, state, mask);
    if (m->failed || m->overflowed) return true;
    keep(m, state, mask, m->exits.n);
    return m->exits.n <= EXITS_MAX;
}

// ---- limits of length. Only tokens of more bytes than the string has characters left can pass the limit.

static void clear_subtree(const struct sc_token_index *index, uint32_t i, uint64_t *mask)
{
    for (uint32_t end = index->nodes[i].skip; i < end; i++) disallow(index, mask, index->nodes[i].token);
}

static void apply_limit(struct sc_matcher *m, struct sc_head head, uint32_t n_left, uint64_t *mask)
{
    const struct sc_token_index *index = m->masks->index;
    const struct sc_grammar *g = m->masks->grammar;
    uint32_t base = m->position.n; // one head for each depth
    if (!sc_heads_room(m, base + SC_INDEX_TOKEN_BYTES_MAX + 1)) return;
    m->heads[base] = head;
    for (uint32_t i = 0; i < index->n_nodes;) {
        const struct sc_token_node *node = &index->nodes[i];
        struct sc_head *at = &m->heads[base + node->depth];
        if (node->deepest <= n_left) {
            i = node->skip;
            continue;
        }
        *at = m->heads[base + node->depth - 1];
        if (!sc_head_step(g, at, node->byte) || at->state == g->string_end) {
            clear_subtree(index, i, mask);
            i = node->skip;
        } else {
            i++;
        }
    }
}

static void limit_mask(struct sc_matcher *m, struct sc_head head, uint64_t *mask)
{
    struct sc_token_masks *masks = m->masks;
    const struct sc_grammar *g = masks->grammar;
    uint32_t max = g->limits[head.limit].max, n_left = max - SC_MIN(head.count, max);
    if (n_left >= SC_INDEX_TOKEN_BYTES_MAX) return;
    uint32_t key = head.state == g->string_body && n_left < SC_LIMITED_MASKS ? g->n_states + n_left : 0;
    pthread_mutex_lock(&masks->lock);
    bool found = key && masks->slots[key];
    if (found) memcpy(mask, masks->entries[masks->slots[key] - 1].mask, masks->index->n_words * sizeof *mask);
    pthread_mutex_unlock(&masks->lock);
    if (found) return;
    apply_limit(m, head, n_left, mask);
    if (key && !m->failed) keep(m, key, mask, 0);
}

// ---- whole masks

// Goes on beyond the exits of a head's rule, with the stack it really has.
static void pass_exits(struct sc_matcher *m, const struct sc_head *head, uint64_t *allowed)
{
    const struct sc_token_index *index = m->masks->index;
    const struct sc_length_limit *limit = &m->masks->grammar->limits[head->limit];
    struct sc_level after;
    sc_level_begin(m, &after, m->position.n);
    sc_level_return(m, &after, head->stack);
    sc_level_close(m, &after);
    for (uint32_t i = 0; i < m->exits.n && (after.alive || after.ended); i++) {
        struct sc_exit exit = m->exits.items[i];
        const struct sc_token_node *node = &index->nodes[exit.node];
        uint64_t count = (uint64_t)head->count + exit.count;
        if (head->limit >= SC_LIMIT_FIRST && (count < limit->min || count > limit->max)) continue;
        if (node->token >= 0) allow(index, allowed, node->token);
        m->levels[node->depth] = after;
        if (after.alive && node->skip > exit.node + 1) walk(m, exit.node + 1, node->skip, allowed);
    }
}

static void add_head(struct sc_matcher *m, struct sc_head head, uint64_t *allowed)
{
    const struct sc_token_index *index = m->masks->index;
    if (!fetch(m, head.state, m->scratch)) {
        sc_level_begin(m, &m->levels[0], m->position.n);
        sc_level_add(m, &m->levels[0], head);
        walk(m, 0, index->n_nodes, allowed);
        return;
    }
    if (head.limit >= SC_LIMIT_FIRST) limit_mask(m, head, m->scratch);
    for (size_t i = 0; i < index->n_words; i++) allowed[i] |= m->scratch[i];
    if (m->exits.n) pass_exits(m, &head, allowed);
}

socle_status sc_matcher_mask(struct sc_matcher *m, uint64_t *allowed, socle_error *err)
{
    const struct sc_token_index *index = m->masks->index;
    const struct sc_grammar *g = m->masks->grammar;
    memset(allowed, 0, index->n_words * sizeof *allowed);
    if (m->finished) return SOCLE_OK;
    uint32_t n_stacks = m->n_stacks;
    m->failed = m->overflowed = false;
    m->steps = 0;
    for (uint32_t i = 0; i < m->position.n && !m->failed && !m->overflowed; i++) {
        struct sc_head head = m->heads[i];
        const struct sc_grammar_state *state = &g->states[head.state];
        if (state->n_edges) add_head(m, head, allowed);
        for (uint32_t t = 0; t < state->n_tokens; t++) {
            int32_t token = m->masks->literal_tokens[g->tokens[state->tokens + t].literal];
            if (token >= 0) allowed[token / 64] |= UINT64_C(1) << (token % 64);
        }
    }
    sc_stacks_release(m, n_stacks);
    m->n_heads = m->position.n;
    for (uint32_t i = 0; m->position.ended && i < index->n_ends; i++) {
        int32_t token = index->ends[i];
        allowed[token / 64] |= UINT64_C(1) << (token % 64);
    }
    if (m->failed) return sc_fail_memory(err, 0, "the tokens that a grammar allows");
    if (m->overflowed)
        return sc_fail(err, SOCLE_UNSUPPORTED,
                       "the grammar is too ambiguous here: a text can be read in more than %d ways at once, or there "
                       "are too many to follow",
                       SC_HEADS_MAX);
    return SOCLE_OK;
}
