// Turning matrices around, sixteen by sixteen: bytes move, no number changes.
#include "kernels/ref/ref.h"

#include "kernels/ref/turn.h"

void SC_REF(transpose)(const struct sc_transpose *args)
{
    const float *rows[16];
    for (size_t i = 0; i < args->n; i += 16) {
        size_t n = args->n - i < 16 ? args->n - i : 16;
        for (size_t r = 0; r < n; r++) rows[r] = args->x + (i + r) * args->x_stride;
        sc_turn_rows(rows, 0, n, args->m, args->y + i, args->y_stride);
    }
}
