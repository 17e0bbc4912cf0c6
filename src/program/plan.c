// The memory plan: every buffer's place, known before the first token.
//
// Buffers whose lives (first write to last read) do not meet share memory. Buffers are placed from the largest to the
// smallest, each at the lowest offset where it meets no placed buffer that lives at the same time (first fit
// decreasing; Pisarchyk and Lee 2020, arXiv:2001.03288, "greedy by size").
#include <stdlib.h>

#include "base/error.h"
#include "base/size.h"
#include "program/program.h"

enum { ALIGNMENT = 64 };

static size_t sub_row_bytes(const struct sc_buffer_info *info)
{
    if (info->element != SC_ELEMENT_Q8) return sc_align_up((size_t)info->width * 4, ALIGNMENT);
    return sc_panel_bytes(info->width, SC_PANEL);
}

// How many of these there are.
static size_t n_sub_rows(const struct sc_buffer_info *info, const struct sc_plan *plan)
{
    size_t n = (size_t)info->per_row * (info->rows == SC_ROWS_SELECTED ? plan->n_selected : plan->n_rows);
    return info->element == SC_ELEMENT_Q8 ? (n + SC_PANEL - 1) / SC_PANEL * info->n_heads : n;
}

struct placed {
    size_t bytes, offset;
    uint32_t first, last, buffer;
};

static int compare_sizes(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->buffer > y->buffer) - (x->buffer < y->buffer);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct placed *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

// Places items[i] among items[0..i), using `meeting` as room for pointers.
static void place(struct placed *items, uint32_t i, const struct placed **meeting)
{
    uint32_t n = 0;
    for (uint32_t j = 0; j < i; j++)
        if (items[j].first <= items[i].last && items[i].first <= items[j].last) meeting[n++] = &items[j];
    qsort(meeting, n, sizeof *meeting, compare_offsets);
    size_t offset = 0;
    for (uint32_t j = 0; j < n; j++) {
        if (meeting[j]->offset >= offset && meeting[j]->offset - offset >= items[i].bytes) break;
        offset = SC_MAX(offset, meeting[j]->offset + meeting[j]->bytes);
    }
    items[i].offset = offset;
}

static void place_all(const struct sc_program *program, struct sc_plan *plan, struct placed *items,
                      const struct placed **meeting)
{
    for (uint32_t i = 0; i < program->n_buffers; i++) {
        const struct sc_buffer_info *info = &program->buffers[i];
        plan->strides[i] = sub_row_bytes(info);
        size_t first = info->first_op == UINT32_MAX ? 0 : info->first_op;
        items[i] = (struct placed){ plan->strides[i] * n_sub_rows(info, plan), 0, (uint32_t)first, info->last_op, i };
    }
    items[program->logits.buffer].last = program->n_ops;
    items[program->hidden.buffer].last = items[program->hidden_scale.buffer].last = program->n_ops;
    qsort(items, program->n_buffers, sizeof *items, compare_sizes);
    for (uint32_t i = 0; i < program->n_buffers; i++) {
        place(items, i, meeting);
        plan->offsets[items[i].buffer] = items[i].offset;
        plan->n_bytes = SC_MAX(plan->n_bytes, items[i].offset + items[i].bytes);
    }
}

socle_status sc_plan_make(const struct sc_program *program, uint32_t n_rows, uint32_t n_selected, size_t n_context,
                          struct sc_plan *out, socle_error *err)
{
    size_t n = program->n_buffers, shared_bytes = 0;
    struct sc_plan plan = { .n_rows = n_rows, .n_selected = n_selected };
    plan.offsets = calloc(n, sizeof *plan.offsets);
    plan.strides = calloc(n, sizeof *plan.strides);
    struct placed *items = calloc(n, sizeof *items);
    const struct placed **meeting = calloc(n, sizeof *meeting);
    bool ok = plan.offsets && plan.strides && items && meeting;
    if (ok) place_all(program, &plan, items, meeting);
    for (uint32_t i = 0; ok && i < program->n_ops; i++) {
        const struct sc_op *op = &program->ops[i];
        if (op->type->scratch_bytes)
            plan.scratch_bytes = SC_MAX(plan.scratch_bytes, op->type->scratch_bytes(op, n_context));
        if (op->type->shared_bytes) shared_bytes = SC_MAX(shared_bytes, op->type->shared_bytes(op));
    }
    plan.scratch_bytes = sc_align_up(plan.scratch_bytes, ALIGNMENT);
    plan.shared_offset = sc_align_up(plan.n_bytes, ALIGNMENT);
    plan.n_bytes = plan.shared_offset + shared_bytes;
    free(items);
    free(meeting);
    if (!ok) {
        sc_plan_free(&plan);
        return sc_fail_memory(err, n * 4 * sizeof(size_t), "a memory plan");
    }
    *out = plan;
    return SOCLE_OK;
}

void sc_plan_free(struct sc_plan *plan)
{
    free(plan->offsets);
    free(plan->strides);
    *plan = (struct sc_plan){ 0 };
}
