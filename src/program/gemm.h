// Products of two matrices of floats, wherever their elements lie: what adjoints are made of.
//
//     c(i, j) = factor * sum over p < k of a(i, p) * b(j, p)         or that much more, with `add`
//
// The sum has the one shape of all sums (docs/numerics.md): in order within segments of 256 of p, a tree over segments.
// A result is cut into blocks, each of which is one task: segment by segment its operands are laid out for the kernel
// (groups of 16 rows, panels of 12 columns), multiplied, and taken into a tree whose nodes are blocks. How it is cut
// changes no bit.
#ifndef SC_PROGRAM_GEMM_H
#define SC_PROGRAM_GEMM_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

enum sc_lie {
    SC_LIE_ROWS,    // (i, p) at x[i * stride + p]
    SC_LIE_COLUMNS, // (i, p) at x[p * stride + i], times scale[p * scale_stride] where there is a scale
    SC_LIE_TURNED,  // (i, p) is element i of row p of a packed matrix (tensor/packed.h) of any format
};

struct sc_operand {
    enum sc_lie lie;
    const float *x;
    size_t stride;
    const float *scale; // NULL: 1
    size_t scale_stride;
    const struct sc_tensor *weight; // of SC_LIE_TURNED: its matrix `matrix`
    size_t matrix;
};

struct sc_product {
    struct sc_operand a, b;
    size_t n_rows, n_columns, k; // i < n_rows, j < n_columns
    float factor;
    float *c; // (i, j) at c[i / 16 * c_group + i % 16 + j * c_column]: c_group 16 is an ordinary matrix
    size_t c_group, c_column;
    bool add;
};

// How a product is cut.
struct sc_product_cut {
    size_t rows, columns, row_blocks, column_blocks;
};
struct sc_product_cut sc_product_cut(const struct sc_product *product, size_t n_threads);
// Bytes that the task of any product with sums of at most k elements needs, aligned to 64.
size_t sc_product_scratch(size_t k);
void sc_product_task(const struct sc_kernels *kernels, const struct sc_product *product,
                     const struct sc_product_cut *cut, size_t task, void *scratch);

// All tasks, by the pool's threads; scratch: that much for each, `stride` bytes apart.
void sc_product_run(const struct sc_kernels *kernels, struct sc_pool *pool, const struct sc_product *product,
                    char *scratch, size_t stride);
// All tasks, by the calling thread.
void sc_product_alone(const struct sc_kernels *kernels, const struct sc_product *product, void *scratch);

#endif
