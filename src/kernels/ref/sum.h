// The one shape of every sum: segments, then a binary tree over segments (docs/numerics.md, "Sums").
//
// The tree is the merge of a binary counter: segment sums arrive in order; after the n-th, as many pairs are merged
// as n has trailing zero bits. At the end the leftovers are added from the newest to the oldest, which passes an odd
// one up. Registers needed: log2(segments) + 1; nothing is buffered.
#ifndef SC_KERNELS_REF_SUM_H
#define SC_KERNELS_REF_SUM_H

#include <stddef.h>

#include "kernels/kernels.h"

// A tree whose nodes are single floats.
struct sc_tree {
    float node[SC_TREE_LEVELS_MAX];
    size_t n; // segments pushed
    size_t depth;
};

static inline void sc_tree_push(struct sc_tree *tree, float segment)
{
    tree->n++;
    for (size_t n = tree->n; (n & 1) == 0; n >>= 1) segment = tree->node[--tree->depth] + segment;
    tree->node[tree->depth++] = segment;
}

static inline float sc_tree_total(const struct sc_tree *tree)
{
    if (tree->depth == 0) return 0.0f;
    float total = tree->node[tree->depth - 1];
    for (size_t i = tree->depth - 1; i > 0; i--) total = tree->node[i - 1] + total;
    return total;
}

// A tree whose nodes are rows of `width` floats, kept in caller's memory of (levels + 1) * width.
struct sc_row_tree {
    float *nodes; // node i at nodes + i * width
    size_t width, n, depth;
};

// Where the next segment's row is to be accumulated; then sc_row_tree_push takes it in.
static inline float *sc_row_tree_next(const struct sc_row_tree *tree)
{
    return tree->nodes + tree->depth * tree->width;
}

static inline void sc_row_tree_merge(struct sc_row_tree *tree)
{
    float *a = tree->nodes + (tree->depth - 2) * tree->width, *b = a + tree->width;
    for (size_t i = 0; i < tree->width; i++) a[i] = a[i] + b[i];
    tree->depth--;
}

static inline void sc_row_tree_push(struct sc_row_tree *tree)
{
    tree->n++;
    tree->depth++;
    for (size_t n = tree->n; (n & 1) == 0; n >>= 1) sc_row_tree_merge(tree);
}

// The total is then the row at nodes.
static inline void sc_row_tree_finish(struct sc_row_tree *tree)
{
    while (tree->depth > 1) sc_row_tree_merge(tree);
}

// Sixteen lanes folded pairwise: l with l + 8, then l + 4, l + 2, l + 1.
static inline float sc_fold_lanes(float lane[SC_LANES])
{
    for (size_t half = SC_LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++) lane[l] = lane[l] + lane[l + half];
    return lane[0];
}

#endif
