// The rules of sums (docs/numerics.md) in the plainest way, for the tests that follow the rules.
#ifndef SC_TESTS_KERNELS_PLAIN_H
#define SC_TESTS_KERNELS_PLAIN_H

#include <math.h>

#include "kernel_check.h"

// All segment sums lie side by side; neighbours are paired and an odd one is passed up, until one is left.
static inline float plain_tree(const float *segments, size_t n)
{
    if (n == 0) return 0.0f;
    float *level = malloc(n * sizeof *level);
    assert_non_null(level);
    memcpy(level, segments, n * sizeof *level);
    while (n > 1) {
        size_t pairs = n / 2;
        for (size_t i = 0; i < pairs; i++) level[i] = level[2 * i] + level[2 * i + 1];
        if (n % 2) level[pairs] = level[n - 1];
        n = pairs + n % 2;
    }
    float total = level[0];
    free(level);
    return total;
}

// Lane l of 16 by 16 lanes: what l and its partners give, halving from 8 down to 1.
static inline float plain_fold(const float *lanes, size_t l, size_t step)
{
    if (step == 16) return lanes[l];
    return plain_fold(lanes, l, 2 * step) + plain_fold(lanes, l + step, 2 * step);
}

// |error| of n roundings of terms that add up to `sum` in magnitude.
static inline double bound(size_t n, double sum)
{
    double u = 0x1p-24 * (double)n;
    return u / (1 - u) * sum + 0x1p-149 * (double)n;
}

static inline size_t tree_depth(size_t n)
{
    size_t depth = 0;
    for (; n > 1; n = (n + 1) / 2) depth++;
    return depth;
}

static inline float plain_float_product(const float *w, const float *x, size_t k)
{
    float segments[64];
    size_t n = 0;
    for (size_t i = 0; i < k; i++) {
        if (i % 256 == 0) segments[n++] = 0.0f;
        segments[n - 1] = fmaf(w[i], x[i], segments[n - 1]);
    }
    return plain_tree(segments, n);
}

#endif
