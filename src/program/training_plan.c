// Everything's place in a step of training, known before the first one: values, derivatives, what is saved as bf16.
#include <stdlib.h>

#include "base/error.h"
#include "base/size.h"
#include "program/backward.h"
#include "program/plan.h"

enum { ALIGNMENT = 64 };
static const uint32_t NEVER = UINT32_MAX;

// From first to last time, both included.
struct life {
    uint32_t first, last;
};

struct planner {
    const struct sc_program *program;
    const struct sc_op_gradient *trained;
    struct sc_training_plan *plan;
    uint32_t *stretch_ends;   // [n_stretches] past the last op of each
    uint32_t *stretch_of;     // [n_ops]
    enum sc_keeping *keeping; // [n_stretches]
    bool *wanted;             // [n_buffers] whether the derivative is
    bool *inside;             // [n_buffers] whether only ops of the stretch that makes it read it
    uint32_t *maker;          // [n_buffers] the last op that writes it
    struct life *forward, *backward, *gradient, *saved; // [n_buffers]
    struct sc_placed *items;
    const struct sc_placed **meeting;
};

static bool is_f32(const struct planner *p, int32_t buffer)
{
    return buffer != SC_NO_BUFFER && p->program->buffers[buffer].element == SC_ELEMENT_F32;
}

static void live(struct life *life, uint32_t time)
{
    if (life->first == NEVER) life->first = life->last = time;
    life->first = SC_MIN(life->first, time);
    life->last = SC_MAX(life->last, time);
}

static bool is_attention(const struct sc_op *op) { return op->layer >= 0 && op->out[0].buffer != SC_NO_BUFFER; }

// The values that an op's derivatives go to.
static size_t sources(const struct sc_op *op, struct sc_value out[5])
{
    size_t n = 0;
    out[n++] = op->linear.weight && op->type->is_product ? op->x : op->in[0];
    for (size_t i = 1; i < SC_COUNT(op->in); i++)
        if (op->in[i].buffer != SC_NO_BUFFER) out[n++] = op->in[i];
    if (is_attention(op)) {
        out[n++] = op->attend.k;
        if (op->attend.v.buffer != SC_NO_BUFFER) out[n++] = op->attend.v;
    }
    return n;
}

// ---- which derivatives are wanted

static void find_wanted(struct planner *p)
{
    for (uint32_t i = 0; i < p->program->n_ops; i++) {
        const struct sc_op *op = &p->program->ops[i];
        struct sc_value in[5];
        size_t n = sources(op, in);
        bool wanted = p->trained[i].weight || p->trained[i].vector;
        for (size_t j = 0; j < n && op->type->adjoint; j++)
            wanted = wanted || (is_f32(p, in[j].buffer) && p->wanted[in[j].buffer]);
        for (size_t j = 0; j < SC_COUNT(op->out); j++)
            if (wanted && op->type->adjoint && is_f32(p, op->out[j].buffer)) p->wanted[op->out[j].buffer] = true;
    }
}

// ---- stretches

// The one buffer that ops before `end` write and later ones read, or SC_NO_BUFFER where there are more or none.
static int32_t only_crossing(const struct planner *p, uint32_t end)
{
    int32_t found = SC_NO_BUFFER;
    for (uint32_t b = 1; b < p->program->n_buffers; b++) {
        const struct sc_buffer_info *info = &p->program->buffers[b];
        if (info->first_op == NEVER || info->first_op >= end || info->last_op < end) continue;
        if (found != SC_NO_BUFFER) return SC_NO_BUFFER;
        found = (int32_t)b;
    }
    return found;
}

static void cut(struct planner *p)
{
    uint32_t n = 0;
    for (uint32_t end = 1; end < p->program->n_ops; end++)
        if (only_crossing(p, end) != SC_NO_BUFFER) p->stretch_ends[n++] = end;
    p->stretch_ends[n++] = p->program->n_ops;
    p->plan->n_stretches = n;
    for (uint32_t s = 0, op = 0; s < n; s++)
        for (; op < p->stretch_ends[s]; op++) p->stretch_of[op] = s;
}

static void find_inside(struct planner *p)
{
    for (uint32_t b = 1; b < p->program->n_buffers; b++) {
        const struct sc_buffer_info *info = &p->program->buffers[b];
        p->inside[b] = info->first_op != NEVER && info->last_op < p->program->n_ops &&
                       p->stretch_of[info->first_op] == p->stretch_of[info->last_op] &&
                       (int32_t)b != p->program->logits.buffer;
    }
}

// ---- steps and lives

static void add_step(struct planner *p, enum sc_training_kind kind, uint32_t first, uint32_t last)
{
    p->plan->steps[p->plan->n_steps++] = (struct sc_training_step){ kind, first, last };
}

static uint32_t begin_of(const struct planner *p, uint32_t s) { return s ? p->stretch_ends[s - 1] : 0; }

static void make_steps(struct planner *p)
{
    uint32_t n = p->plan->n_stretches;
    p->plan->n_steps = 0;
    for (uint32_t s = 0; s < n; s++) {
        add_step(p, SC_STEP_FORWARD, begin_of(p, s), p->stretch_ends[s]);
        if (p->keeping[s] == SC_KEEP_BF16) add_step(p, SC_STEP_SAVE, begin_of(p, s), p->stretch_ends[s]);
    }
    for (uint32_t s = n; s-- > 0;) {
        if (p->keeping[s] == SC_KEEP_BF16) add_step(p, SC_STEP_RESTORE, begin_of(p, s), p->stretch_ends[s]);
        if (p->keeping[s] == SC_RECOMPUTE) add_step(p, SC_STEP_RECOMPUTE, begin_of(p, s), p->stretch_ends[s]);
        add_step(p, SC_STEP_BACKWARD, begin_of(p, s), p->stretch_ends[s]);
    }
}

// The life of a buffer's value at this time of the walk. What cannot be rounded (numbers of experts) stays where it is.
static struct life *value_life(struct planner *p, int32_t b, enum sc_training_kind kind)
{
    enum sc_keeping keeping = p->inside[b] ? p->keeping[p->stretch_of[p->program->buffers[b].first_op]] : SC_KEEP;
    bool twice = keeping == SC_RECOMPUTE || (keeping == SC_KEEP_BF16 && is_f32(p, b));
    return twice && kind != SC_STEP_FORWARD ? &p->backward[b] : &p->forward[b];
}

static void touch(struct planner *p, struct sc_value v, enum sc_training_kind kind, uint32_t time)
{
    if (v.buffer != SC_NO_BUFFER) live(value_life(p, v.buffer, kind), time);
}

static void live_forward(struct planner *p, const struct sc_op *op, enum sc_training_kind kind, uint32_t time)
{
    for (size_t i = 0; i < SC_COUNT(op->in); i++) touch(p, op->in[i], kind, time);
    for (size_t i = 0; i < SC_COUNT(op->out); i++) touch(p, op->out[i], kind, time);
}

static void live_backward(struct planner *p, const struct sc_op *op, uint32_t time)
{
    struct sc_value in[5];
    size_t n = sources(op, in);
    bool any = false;
    for (size_t i = 0; i < SC_COUNT(op->out); i++) {
        int32_t b = op->out[i].buffer;
        if (b == SC_NO_BUFFER || !p->wanted[b]) continue;
        live(&p->gradient[b], time);
        any = true;
    }
    if (!any || !op->type->adjoint) return;
    for (size_t i = 0; i < n; i++)
        if (is_f32(p, in[i].buffer) && p->wanted[in[i].buffer]) live(&p->gradient[in[i].buffer], time);
    bool frozen = op->type->is_product && !p->trained[op - p->program->ops].weight; // then its input does not matter
    for (size_t i = frozen ? 2 : 0; i < SC_COUNT(op->in); i++)
        if (op->type->adjoint->reads & (SC_READS_IN0 << i)) {
            struct sc_value v = i == 0 && op->type->is_product ? op->x : op->in[i];
            touch(p, v, SC_STEP_BACKWARD, time);
        }
    for (size_t i = 0; i < SC_COUNT(op->out); i++)
        if (op->type->adjoint->reads & (SC_READS_OUT0 << i)) touch(p, op->out[i], SC_STEP_BACKWARD, time);
    for (size_t i = 0; i < n && is_attention(op); i++) touch(p, in[i], SC_STEP_BACKWARD, time);
}

// Values of the stretch first..last are saved as bf16 at this time.
static void live_saved(struct planner *p, uint32_t first, uint32_t last, uint32_t time)
{
    for (uint32_t b = 1; b < p->program->n_buffers; b++) {
        const struct sc_buffer_info *info = &p->program->buffers[b];
        if (!p->inside[b] || info->first_op < first || info->first_op >= last || !is_f32(p, (int32_t)b)) continue;
        live(&p->saved[b], time);
        live(&p->forward[b], time);
    }
}

static void live_restored(struct planner *p, uint32_t first, uint32_t last, uint32_t time)
{
    for (uint32_t b = 1; b < p->program->n_buffers; b++) {
        uint32_t made = p->program->buffers[b].first_op;
        if (p->saved[b].first == NEVER || made < first || made >= last) continue;
        live(&p->saved[b], time);
        live(&p->backward[b], time);
    }
}

// ---- placing

static size_t value_bytes(const struct planner *p, uint32_t b)
{
    const struct sc_buffer_info *info = &p->program->buffers[b];
    return sc_plan_sub_row_bytes(info) * sc_plan_n_sub_rows(info, &p->plan->forward);
}

static bool logits_in_place(const struct planner *p)
{
    int32_t b = p->program->logits.buffer;
    return !(p->program->ops[p->maker[b]].type->adjoint->reads & SC_READS_OUT0);
}

static void walk(struct planner *p)
{
    const struct sc_program *program = p->program;
    uint32_t time = 0, n = program->n_buffers;
    for (uint32_t b = 0; b < n; b++)
        p->forward[b] = p->backward[b] = p->gradient[b] = p->saved[b] = (struct life){ NEVER, NEVER };
    for (uint32_t s = 0; s < p->plan->n_steps; s++) {
        const struct sc_training_step *step = &p->plan->steps[s];
        bool is_first = step->kind == SC_STEP_BACKWARD && step->last == program->n_ops;
        if (is_first) { // the loss
            live(&p->forward[program->logits.buffer], time);
            live(&p->gradient[program->logits.buffer], time++);
        }
        if (step->kind == SC_STEP_SAVE) live_saved(p, step->first, step->last, time);
        for (uint32_t i = step->first; i < step->last; i++, time++) {
            const struct sc_op *op = &program->ops[i];
            if (step->kind == SC_STEP_FORWARD || step->kind == SC_STEP_RECOMPUTE) live_forward(p, op, step->kind, time);
            if (step->kind == SC_STEP_BACKWARD)
                live_backward(p, &program->ops[step->last - 1 - (i - step->first)], time);
            if (step->kind == SC_STEP_RESTORE) live_restored(p, step->first, step->last, time);
        }
    }
    if (logits_in_place(p)) {
        struct life *logits = &p->forward[program->logits.buffer], *gradient = &p->gradient[program->logits.buffer];
        live(logits, gradient->last);
        *gradient = (struct life){ NEVER, NEVER };
    }
}

// What is restored but not read by the backward walk need not be saved.
static void drop_unread(struct planner *p)
{
    for (uint32_t b = 1; b < p->program->n_buffers; b++) {
        if (p->saved[b].first == NEVER) continue;
        const struct life *life = &p->backward[b];
        if (life->last > p->saved[b].last) continue;
        p->saved[b] = p->backward[b] = (struct life){ NEVER, NEVER };
    }
}

static void place_all(struct planner *p)
{
    const struct sc_program *program = p->program;
    struct sc_training_plan *plan = p->plan;
    uint32_t n = 0, n_buffers = program->n_buffers;
    const struct life *const kinds[4] = { p->forward, p->backward, p->gradient, p->saved };
    for (uint32_t b = 0; b < n_buffers; b++)
        for (uint32_t kind = 0; kind < 4; kind++) {
            struct life life = kinds[kind][b];
            if (life.first == NEVER) continue;
            size_t bytes = value_bytes(p, b);
            if (kind == 3) bytes = sc_align_up(bytes / 2, ALIGNMENT);
            p->items[n++] = (struct sc_placed){ bytes, 0, life.first, life.last, kind * n_buffers + b };
        }
    plan->n_bytes = sc_align_up(sc_plan_place(p->items, n, p->meeting), ALIGNMENT);
    for (uint32_t b = 0; b < n_buffers; b++) plan->gradients[b] = plan->saved[b] = SIZE_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t kind = p->items[i].id / n_buffers, b = p->items[i].id % n_buffers;
        size_t offset = p->items[i].offset;
        if (kind == 0) plan->forward.offsets[b] = offset;
        if (kind == 0 && p->backward[b].first == NEVER) plan->backward.offsets[b] = offset;
        if (kind == 1) plan->backward.offsets[b] = offset;
        if (kind == 2) plan->gradients[b] = offset;
        if (kind == 3) plan->saved[b] = offset;
    }
    if (logits_in_place(p)) plan->gradients[program->logits.buffer] = plan->forward.offsets[program->logits.buffer];
}

static void plan_with(struct planner *p, uint32_t n_recomputed, bool bf16)
{
    for (uint32_t s = 0; s < p->plan->n_stretches; s++)
        p->keeping[s] = s < n_recomputed ? SC_RECOMPUTE : (bf16 ? SC_KEEP_BF16 : SC_KEEP);
    p->keeping[p->plan->n_stretches - 1] = SC_KEEP; // the logits come right before they are needed
    p->plan->n_recomputed = n_recomputed;
    make_steps(p);
    walk(p);
    drop_unread(p);
    place_all(p);
}

// The fewest recomputed stretches that fit; all of them where none do.
static void plan_within(struct planner *p, bool bf16, size_t budget)
{
    plan_with(p, 0, bf16);
    if (budget == 0 || p->plan->n_bytes <= budget) return;
    uint32_t low = 1, high = p->plan->n_stretches - 1; // memory falls as more is computed again
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        plan_with(p, middle, bf16);
        if (p->plan->n_bytes <= budget) high = middle;
        else low = middle + 1;
    }
    plan_with(p, high, bf16);
}

// ---- memory of the planner

static socle_status check_ops(const struct planner *p, socle_error *err)
{
    for (uint32_t i = 0; i < p->program->n_ops; i++) {
        const struct sc_op *op = &p->program->ops[i];
        if (p->trained[i].weight && !op->type->adjoint)
            return sc_fail(err, SOCLE_UNSUPPORTED, "the operation '%s' cannot be trained", op->type->name);
    }
    if (!p->wanted[p->program->logits.buffer])
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "nothing is to be trained: no weight that the logits depend on");
    return SOCLE_OK;
}

static size_t shared_need(const struct sc_program *program, uint32_t n_rows)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const struct sc_op *op = &program->ops[i];
        const struct sc_adjoint *adjoint = op->type->adjoint;
        if (op->type->shared_bytes) bytes = SC_MAX(bytes, op->type->shared_bytes(op));
        if (adjoint && adjoint->shared_bytes) bytes = SC_MAX(bytes, adjoint->shared_bytes(op, n_rows));
    }
    return sc_align_up(bytes, ALIGNMENT);
}

static void add_scratch(struct sc_training_plan *plan, const struct sc_program *program, uint32_t n_rows,
                        uint32_t n_context)
{
    size_t k = SC_MAX(n_rows, n_context);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const struct sc_op *op = &program->ops[i];
        if (op->type->scratch_bytes)
            plan->scratch_bytes = SC_MAX(plan->scratch_bytes, op->type->scratch_bytes(op, n_context));
        if (op->linear.weight) k = SC_MAX(k, SC_MAX(op->linear.weight->shape[0], op->linear.weight->shape[1]));
    }
    size_t more = 0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const struct sc_adjoint *adjoint = program->ops[i].type->adjoint;
        if (adjoint && adjoint->scratch_bytes) more = SC_MAX(more, adjoint->scratch_bytes(&program->ops[i], n_context));
    }
    size_t backward = sc_align_up(sc_product_scratch(k), ALIGNMENT) + more;
    plan->scratch_bytes = sc_align_up(SC_MAX(plan->scratch_bytes, backward), ALIGNMENT);
    plan->product_bytes = sc_align_up(sc_product_scratch(k), ALIGNMENT);
    plan->shared_offset = plan->forward.shared_offset = plan->backward.shared_offset = plan->n_bytes;
    plan->n_bytes += shared_need(program, n_rows);
    plan->forward.n_bytes = plan->backward.n_bytes = plan->n_bytes;
    plan->forward.scratch_bytes = plan->backward.scratch_bytes = plan->scratch_bytes;
}

static bool take(struct planner *p, struct sc_arena *arena)
{
    uint32_t n = p->program->n_buffers, n_ops = p->program->n_ops;
    struct sc_training_plan *plan = p->plan;
    p->stretch_ends = sc_arena_array(arena, n_ops + 1, sizeof *p->stretch_ends);
    p->stretch_of = sc_arena_array(arena, n_ops + 1, sizeof *p->stretch_of);
    p->keeping = sc_arena_array(arena, n_ops + 1, sizeof *p->keeping);
    p->wanted = sc_arena_array(arena, n, sizeof *p->wanted);
    p->inside = sc_arena_array(arena, n, sizeof *p->inside);
    p->maker = sc_arena_array(arena, n, sizeof *p->maker);
    p->forward = sc_arena_array(arena, n, sizeof *p->forward);
    p->backward = sc_arena_array(arena, n, sizeof *p->backward);
    p->gradient = sc_arena_array(arena, n, sizeof *p->gradient);
    p->saved = sc_arena_array(arena, n, sizeof *p->saved);
    p->items = sc_arena_array(arena, 4 * (size_t)n, sizeof *p->items);
    p->meeting = sc_arena_array(arena, 4 * (size_t)n, sizeof *p->meeting);
    plan->forward.offsets = calloc(n, sizeof(size_t));
    plan->backward.offsets = calloc(n, sizeof(size_t));
    plan->forward.strides = calloc(n, sizeof(size_t));
    plan->backward.strides = calloc(n, sizeof(size_t));
    plan->gradients = calloc(n, sizeof(size_t));
    plan->saved = calloc(n, sizeof(size_t));
    plan->steps = calloc(5 * (size_t)n_ops + 5, sizeof *plan->steps);
    return p->stretch_ends && p->stretch_of && p->keeping && p->wanted && p->inside && p->maker && p->forward &&
           p->backward && p->gradient && p->saved && p->items && p->meeting && plan->forward.offsets &&
           plan->backward.offsets && plan->forward.strides && plan->backward.strides && plan->gradients &&
           plan->saved && plan->steps;
}

socle_status sc_training_plan_make(const struct sc_program *program, const struct sc_op_gradient *trained,
                                   uint32_t n_rows, uint32_t n_context, bool bf16, size_t budget,
                                   struct sc_training_plan *out, socle_error *err)
{
    struct sc_arena arena = { 0 };
    struct sc_training_plan plan = { 0 };
    struct planner p = { .program = program, .trained = trained, .plan = &plan };
    plan.forward.n_rows = plan.forward.n_selected = plan.backward.n_rows = plan.backward.n_selected = n_rows;
    socle_status status = SOCLE_OK;
    if (!take(&p, &arena)) status = sc_fail_memory(err, 0, "a plan of training");
    if (status == SOCLE_OK) {
        for (uint32_t b = 0; b < program->n_buffers; b++)
            plan.forward.strides[b] = plan.backward.strides[b] = sc_plan_sub_row_bytes(&program->buffers[b]);
        for (uint32_t i = 0; i < program->n_ops; i++)
            for (size_t j = 0; j < 2; j++)
                if (program->ops[i].out[j].buffer != SC_NO_BUFFER) p.maker[program->ops[i].out[j].buffer] = i;
        find_wanted(&p);
        status = check_ops(&p, err);
    }
    if (status == SOCLE_OK) {
        cut(&p);
        find_inside(&p);
        size_t shared = shared_need(program, n_rows);
        plan_within(&p, bf16, budget > shared ? budget - shared : SC_MIN(budget, (size_t)1));
        add_scratch(&plan, program, n_rows, n_context);
    }
    sc_arena_free(&arena);
    if (status != SOCLE_OK) sc_training_plan_free(&plan);
    else *out = plan;
    return status;
}

void sc_training_plan_free(struct sc_training_plan *plan)
{
    free(plan->forward.offsets);
    free(plan->backward.offsets);
    free(plan->forward.strides);
    free(plan->backward.strides);
    free(plan->gradients);
    free(plan->saved);
    free(plan->steps);
    *plan = (struct sc_training_plan){ 0 };
}
