// An arena: many small allocations with one lifetime, released together.
#ifndef SC_BASE_ARENA_H
#define SC_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct sc_arena_block;

// Zero-initialize. Not thread-safe.
struct sc_arena {
    struct sc_arena_block *first; // newest block first
    size_t n_bytes;               // handed out so far
    size_t max_bytes;             // 0: unbounded; past it allocations fail
};

// Zeroed memory aligned to 16 bytes, or NULL when memory or the bound ran out.
void *sc_arena_alloc(struct sc_arena *arena, size_t n_bytes);
// A zeroed array; NULL when n * size overflows, too.
void *sc_arena_array(struct sc_arena *arena, size_t n, size_t size);
// A NUL-terminated copy of n_bytes of text.
char *sc_arena_text(struct sc_arena *arena, const char *text, size_t n_bytes);
void sc_arena_free(struct sc_arena *arena);

#endif
