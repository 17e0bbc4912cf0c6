// Placing memory whose lives are known: what the plans of running and of training share.
#ifndef SC_PROGRAM_PLAN_H
#define SC_PROGRAM_PLAN_H

#include "program/program.h"

// Memory that is needed from time `first` to time `last`.
struct sc_placed {
    size_t bytes, offset; // the offset is the answer
    uint32_t first, last, id;
};

// Places n items, sorting them; those whose lives meet do not overlap. `meeting` is room for n pointers. Returns the
// bytes of all together.
size_t sc_plan_place(struct sc_placed *items, uint32_t n, const struct sc_placed **meeting);

// A buffer's bytes for a sub-row (of quantized ones: for a panel), and how many of these it has.
size_t sc_plan_sub_row_bytes(const struct sc_buffer_info *info);
size_t sc_plan_n_sub_rows(const struct sc_buffer_info *info, const struct sc_plan *plan);

#endif
