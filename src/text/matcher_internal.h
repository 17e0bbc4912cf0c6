// What the two files of the matcher share.
#ifndef SC_TEXT_MATCHER_INTERNAL_H
#define SC_TEXT_MATCHER_INTERNAL_H

#include <pthread.h>

#include "text/grammar_internal.h"
#include "text/matcher.h"

// Stacks are nodes of a shared tree, by index. A rule whose caller is not known (masks by state) ends at SC_STACK_OPEN.
enum { SC_STACK_EMPTY = 0, SC_STACK_OPEN = 1, SC_STACK_FIRST = 2 };
enum { SC_STACK_DEPTH_MAX = 1000, SC_STACKS_MAX = 1 << 20, SC_HEADS_MAX = 512, SC_MASK_STEPS_MAX = 40 * 1000 * 1000 };

struct sc_stack {
    uint32_t target, parent; // the state to return to, and the stack then
    uint32_t depth;
    uint32_t next; // in its bucket; 0: none
};

struct sc_head {
    uint32_t state, stack;
    uint32_t count, limit; // in JSON strings: characters so far, and an index of the grammar's limits
};

// A set of heads: a stretch of the matcher's heads.
struct sc_level {
    uint32_t first, n;
    uint32_t exit_count; // characters of the string that ended
    bool alive;          // some head can go on
    bool ended;          // the whole text may end here
    bool exits;          // a rule with an open stack may end here
};

// A place in the token tree where the rule of a state ends.
struct sc_exit {
    uint32_t node, count;
};

struct sc_exit_list {
    struct sc_exit *items;
    uint32_t n, capacity;
};

// A kept mask: of a state by itself, or (SC_LIMITED_MASKS of them, behind all states) of a string with so many characters
// left, between two of them.
enum { SC_LIMITED_MASKS = 64 };
struct sc_mask_entry {
    uint32_t key; // the state, or n_states + characters left; 0: free
    bool is_direct; // too many exits to keep: it is computed each time
    uint64_t *mask;
    struct sc_exit *exits;
    uint32_t n_exits;
};

struct sc_token_masks {
    const struct sc_grammar *grammar;
    const struct sc_token_index *index;
    int32_t *literal_tokens; // [n_literals] the control token with this text, or -1
    pthread_mutex_t lock;    // of what follows
    uint32_t *slots;         // [n_states + SC_LIMITED_MASKS] entry + 1
    struct sc_mask_entry *entries;
    uint32_t n_entries, next; // the oldest entry makes room
};

struct sc_matcher {
    struct sc_token_masks *masks;
    struct sc_stack *stacks;
    uint32_t n_stacks, stacks_capacity;
    uint32_t *buckets; // [N_BUCKETS]
    struct sc_head *heads;
    uint32_t n_heads, heads_capacity;
    struct sc_level position; // the first heads
    struct sc_level *levels;  // [SC_INDEX_TOKEN_BYTES_MAX + 1] while walking
    bool finished;            // an end token was accepted
    bool failed, overflowed;  // out of memory; more heads or steps than there may be
    uint64_t steps;
    uint64_t *scratch;         // a mask
    struct sc_exit_list exits; // of the state at hand
    uint32_t n_kept_exits;
};

// Empties a level that begins after `first` heads.
void sc_level_begin(struct sc_matcher *m, struct sc_level *level, uint32_t first);
void sc_level_add(struct sc_matcher *m, struct sc_level *level, struct sc_head head);
// Follows returns and calls until there are none to follow.
void sc_level_close(struct sc_matcher *m, struct sc_level *level);
void sc_level_step(struct sc_matcher *m, const struct sc_level *from, uint8_t byte, struct sc_level *to);
// Adds what follows a return from `stack`.
void sc_level_return(struct sc_matcher *m, struct sc_level *level, uint32_t stack);
// Forgets the stacks made since there were n.
void sc_stacks_release(struct sc_matcher *m, uint32_t n);
bool sc_heads_room(struct sc_matcher *m, uint32_t n);

// The head after `byte`; false: none. Strings count their characters and keep their limits.
static inline bool sc_head_step(const struct sc_grammar *g, struct sc_head *head, uint8_t byte)
{
    uint32_t from = head->state, to = sc_grammar_step(g, from, byte);
    if (!to) return false;
    head->state = to;
    if (head->limit == SC_LIMIT_NONE) return true;
    const struct sc_length_limit *limit = &g->limits[head->limit];
    if (to == g->string_end) return head->count >= limit->min;
    if (from == g->string_body && head->count >= limit->max) return false;
    if (to == g->string_body && from != g->string_start) head->count++;
    return true;
}

#endif
