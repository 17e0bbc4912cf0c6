// The memory plan: every buffer's place, known before the first token.
//
// Buffers whose lives (first write to last read) do not meet share memory. Buffers are placed from the largest to the
// smallest, each at the lowest offset where it meets no placed buffer that lives at the same time (first fit
// decreasing; Pisarchyk and Lee 2020, arXiv:2001.03288, "greedy by size").
#include <stdlib.h>

#include "base/error.h"
#include "base/size.h"
#include "program/plan.h"

enum { ALIGNMENT = 64 };

size_t sc_plan_sub_row_bytes(const struct sc_buffer_info *info)
{
    if (info->element != SC_ELEMENT_Q8) return sc_align_up((size_t)info->width * 4, ALIGNMENT);
    return sc_panel_bytes(info->width, SC_PANEL);
}

size_t sc_plan_n_sub_rows(const struct sc_buffer_info *info, const struct sc_plan *plan)
{
    size_t n = (size_t)info->per_row * (info->rows == SC_ROWS_SELECTED ? plan->n_selected : plan->n_rows);
    return info->element == SC_ELEMENT_Q8 ? (n + SC_PANEL - 1) / SC_PANEL * info->n_heads : n;
}

static int compare_sizes(const void *a, const void *b)
{
    const struct sc_placed *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct sc_placed *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

// Places items[i] among items[0..i), using `meeting` as room for pointers.
static void place(struct sc_placed *items, uint32_t i, const struct sc_placed **meeting)
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

size_t sc_plan_place(struct sc_placed *items, uint32_t n, const struct sc_placed **meeting)
{
    size_t n_bytes = 0;
    qsort(items, n, sizeof *items, compare_sizes);
    for (uint32_t i = 0; i < n; i++) {
        place(items, i, meeting);
        n_bytes = SC_MAX(n_bytes, items[i].offset + items[i].bytes);
    }
    return n_bytes;
}

static void place_all(const struct sc_program *program, struct sc_plan *plan, struct sc_placed *items,
                      const struct sc_placed **meeting)
{
    for (uint32_t i = 0; i < program->n_buffers; i++) {
        const struct sc_buffer_info *info = &program->buffers[i];
        plan->strides[i] = sc_plan_sub_row_bytes(info);
        size_t first = info->first_op == UINT32_MAX ? 0 : info->first_op;
        items[i] = (struct sc_placed){ plan->strides[i] * sc_plan_n_sub_rows(info, plan), 0, (uint32_t)first,
                                       info->last_op, i };
    }
    items[program->logits.buffer].last = program->n_ops;
    items[program->hidden.buffer].last = items[program->hidden_scale.buffer].last = program->n_ops;
    plan->n_bytes = sc_plan_place(items, program->n_buffers, meeting);
    for (uint32_t i = 0; i < program->n_buffers; i++) plan->offsets[items[i].id] = items[i].offset;
}

socle_status sc_plan_make(const struct sc_program *program, uint32_t n_rows, uint32_t n_selected, size_t n_context,
                          struct sc_plan *out, socle_error *err)
{
    size_t n = program->n_buffers, shared_bytes = 0;
    struct sc_plan plan = { .n_rows = n_rows, .n_selected = n_selected };
    plan.offsets = calloc(n, sizeof *plan.offsets);
    plan.strides = calloc(n, sizeof *plan.strides);
    struct sc_placed *items = calloc(n, sizeof *items);
    const struct sc_placed **meeting = calloc(n, sizeof *meeting);
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
