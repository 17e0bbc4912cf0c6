// A weight tensor: a view of bytes in a mapped file or in the model's own memory.
#ifndef SC_TENSOR_TENSOR_H
#define SC_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "tensor/format.h"

enum { SC_DIMS_MAX = 4 };

// shape[0] is the contiguous axis (a row's elements, K of a matrix product), shape[1] the rows, shape[2] the
// matrices (experts or heads). Unused axes are 1.
struct sc_tensor {
    struct sc_text name;
    const struct sc_format *format;
    uint32_t n_dims;
    uint64_t shape[SC_DIMS_MAX];
    const void *data; // borrowed
    uint64_t n_bytes;
    // Bytes from one row, one matrix, to the next. Contiguous tensors: row_bytes(shape[0]), rows * row_stride.
    uint64_t row_stride, matrix_stride;
    bool packed; // as packed.h has it; row_stride is then from one group of 16 rows to the next
};

// Row r of matrix m; not of packed tensors.
static inline const void *sc_tensor_row(const struct sc_tensor *tensor, uint64_t m, uint64_t r)
{
    return (const char *)tensor->data + m * tensor->matrix_stride + r * tensor->row_stride;
}

#endif
