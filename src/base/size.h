// Checked arithmetic on sizes that come from outside. Each returns false on overflow and leaves *out alone.
#ifndef SC_BASE_SIZE_H
#define SC_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool sc_u64_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

static inline bool sc_u64_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

// Rounds up to a multiple of `alignment`, a power of two; false on overflow.
static inline bool sc_u64_align(uint64_t n, uint64_t alignment, uint64_t *out)
{
    uint64_t sum;
    if (!sc_u64_add(n, alignment - 1, &sum)) return false;
    *out = sum & ~(alignment - 1);
    return true;
}

static inline size_t sc_align_up(size_t n, size_t alignment) { return (n + alignment - 1) & ~(alignment - 1); }

#define SC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SC_MAX(a, b) ((a) > (b) ? (a) : (b))
#define SC_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
