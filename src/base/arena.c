#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { BLOCK_BYTES = 64 * 1024, ALIGNMENT = 16 };

struct sc_arena_block {
    struct sc_arena_block *next;
    size_t used, capacity;
    alignas(ALIGNMENT) unsigned char bytes[];
};

void *sc_arena_alloc(struct sc_arena *arena, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX / 2) return NULL;
    size_t n = sc_align_up(n_bytes ? n_bytes : 1, ALIGNMENT);
    if (arena->max_bytes && (n > arena->max_bytes || arena->n_bytes > arena->max_bytes - n)) return NULL;
    struct sc_arena_block *block = arena->first;
    if (!block || block->capacity - block->used < n) {
        size_t capacity = SC_MAX((size_t)BLOCK_BYTES, n);
        block = malloc(sizeof *block + capacity);
        if (!block) return NULL;
        *block = (struct sc_arena_block){ .next = arena->first, .capacity = capacity };
        arena->first = block;
    }
    void *memory = block->bytes + block->used;
    block->used += n;
    arena->n_bytes += n;
    return memset(memory, 0, n);
}

void *sc_arena_array(struct sc_arena *arena, size_t n, size_t size)
{
    uint64_t n_bytes;
    if (!sc_u64_mul(n, size, &n_bytes) || n_bytes > SIZE_MAX) return NULL;
    return sc_arena_alloc(arena, (size_t)n_bytes);
}

char *sc_arena_text(struct sc_arena *arena, const char *text, size_t n_bytes)
{
    if (n_bytes == SIZE_MAX) return NULL;
    char *copy = sc_arena_alloc(arena, n_bytes + 1);
    if (copy && n_bytes) memcpy(copy, text, n_bytes);
    return copy;
}

void sc_arena_free(struct sc_arena *arena)
{
    for (struct sc_arena_block *block = arena->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct sc_arena){ 0 };
}
