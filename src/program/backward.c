#include "program/backward.h"

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "tensor/format.h"

// ---- forward

static void use_plan(struct sc_backward *back, const struct sc_plan *plan) { back->run.plan = plan; }

struct op_job {
    struct sc_backward *back;
    const struct sc_op *op;
    sc_back_task *run;
};

static void run_op_task(void *context, size_t task, size_t thread)
{
    const struct op_job *job = context;
    const struct sc_run *run = &job->back->run;
    job->op->type->run(run, job->op, task, run->scratch + thread * job->back->plan->scratch_bytes);
}

static void run_op_join(void *context, size_t task, size_t thread)
{
    const struct op_job *job = context;
    (void)thread;
    job->op->type->join(&job->back->run, job->op, task);
}

static void run_op(struct sc_backward *back, const struct sc_op *op)
{
    struct op_job job = { back, op, NULL };
    sc_pool_run(back->run.pool, op->type->tasks(&back->run, op), run_op_task, &job);
    if (op->type->join) sc_pool_run(back->run.pool, op->type->join_tasks(&back->run, op), run_op_join, &job);
    if (back->run.observe) back->run.observe(back->run.observer, &back->run, op);
}

// ---- values kept as bf16: [sub-row][width], rounded to nearest even

static void save_row(struct sc_backward *back, size_t b, size_t row, bool restore)
{
    const struct sc_training_plan *plan = back->plan;
    size_t n = back->run.program->buffers[b].width, stride = plan->forward.strides[b];
    const struct sc_plan *at = restore ? &plan->backward : &plan->forward;
    float *values = (float *)(void *)(back->run.memory + at->offsets[b] + row * stride);
    uint16_t *saved = (uint16_t *)(void *)(back->run.memory + plan->saved[b] + row * (stride / 2));
    if (restore)
        for (size_t i = 0; i < n; i++) values[i] = sc_f32_from_bf16(saved[i]);
    else
        for (size_t i = 0; i < n; i++) saved[i] = sc_bf16_from_f32(values[i]);
}

struct save_job {
    struct sc_backward *back;
    size_t buffer;
    bool restore;
};

static void run_save(void *context, size_t row, size_t thread)
{
    const struct save_job *job = context;
    (void)thread;
    save_row(job->back, job->buffer, row, job->restore);
}

static void save(struct sc_backward *back, const struct sc_training_step *step, bool restore)
{
    const struct sc_program *program = back->run.program;
    for (uint32_t b = 1; b < program->n_buffers; b++) {
        const struct sc_buffer_info *info = &program->buffers[b];
        if (back->plan->saved[b] == SIZE_MAX || info->first_op < step->first || info->first_op >= step->last) continue;
        struct save_job job = { back, b, restore };
        sc_pool_run(back->run.pool, sc_run_n_sub_rows(&back->run, (struct sc_value){ .buffer = (int32_t)b }), run_save,
                    &job);
    }
}

// ---- backward

bool sc_back_begin(struct sc_backward *back, struct sc_value v)
{
    bool add = back->begun[v.buffer];
    back->begun[v.buffer] = true;
    const struct sc_buffer_info *info = &back->run.program->buffers[v.buffer];
    if (add || (v.n_heads * v.head_dim == info->width && v.head_dim == v.head_stride)) return add;
    memset(back->run.memory + back->plan->gradients[v.buffer], 0,
           sc_run_n_sub_rows(&back->run, v) * back->plan->backward.strides[v.buffer]);
    return true;
}

static bool has_derivative(const struct sc_backward *back, const struct sc_op *op)
{
    return sc_back_has(back, op->out[0]) || sc_back_has(back, op->out[1]);
}

static bool run_step(struct sc_backward *back, const struct sc_training_step *step, bool (*stop)(void *context),
                     void *context)
{
    bool is_forward = step->kind == SC_STEP_FORWARD || step->kind == SC_STEP_SAVE;
    use_plan(back, is_forward ? &back->plan->forward : &back->plan->backward);
    if (step->kind == SC_STEP_SAVE || step->kind == SC_STEP_RESTORE) {
        save(back, step, step->kind == SC_STEP_RESTORE);
        return true;
    }
    for (uint32_t i = 0; i < step->last - step->first; i++) {
        bool backward = step->kind == SC_STEP_BACKWARD;
        const struct sc_op *op = &back->run.program->ops[backward ? step->last - 1 - i : step->first + i];
        if (stop && stop(context)) return false;
        double started = back->note ? sc_now() : 0.0;
        if (!backward) run_op(back, op);
        else if (op->type->adjoint && has_derivative(back, op)) op->type->adjoint->run(back, op);
        if (back->note) back->note(back->noted, op, step->kind, sc_now() - started);
    }
    return true;
}

static bool is_forward(const struct sc_training_step *step)
{
    return step->kind == SC_STEP_FORWARD || step->kind == SC_STEP_SAVE;
}

bool sc_forward_run(struct sc_backward *back, bool (*stop)(void *context), void *context)
{
    for (uint32_t s = 0; s < back->plan->n_steps && is_forward(&back->plan->steps[s]); s++)
        if (!run_step(back, &back->plan->steps[s], stop, context)) return false;
    return true;
}

bool sc_backward_run(struct sc_backward *back, bool (*stop)(void *context), void *context)
{
    memset(back->begun, 0, back->run.program->n_buffers * sizeof *back->begun);
    back->begun[back->run.program->logits.buffer] = true;
    for (uint32_t s = 0; s < back->plan->n_steps; s++)
        if (!is_forward(&back->plan->steps[s]) && !run_step(back, &back->plan->steps[s], stop, context)) return false;
    return true;
}

float *sc_backward_logits(const struct sc_backward *back, size_t i)
{
    return sc_back_f32(back, back->run.program->logits, i, 0);
}

// ---- what adjoints share

static void run_back_task(void *context, size_t task, size_t thread)
{
    const struct op_job *job = context;
    job->run(job->back, job->op, task, job->back->run.scratch + thread * job->back->plan->scratch_bytes);
}

void sc_back_tasks(struct sc_backward *back, const struct sc_op *op, size_t n, sc_back_task *run)
{
    struct op_job job = { back, op, run };
    sc_pool_run(back->run.pool, n, run_back_task, &job);
}

// Columns are cut into tasks; a task's sums over rows form a tree of rows (kernels/ref/sum.h says its shape).
enum { COLUMNS_PER_TASK = 64, LEVELS = 26 };

struct sum_job {
    struct sc_backward *back;
    const struct sc_column_sum *what;
    size_t tasks_per_head;
};

// What one sub-row adds to `sum`.
static void add_row(const struct sum_job *job, size_t row, size_t h, size_t begin, size_t n, float *sum)
{
    const struct sc_column_sum *what = job->what;
    const struct sc_kernels *kernels = job->back->run.kernels;
    const float *x = sc_back_f32(job->back, what->x, row, h) + begin;
    float factor = what->factor ? what->factor[row * what->factor_stride + h] : 1.0f;
    if (what->y.buffer == SC_NO_BUFFER) kernels->add_scaled(x, factor, sum, n);
    else kernels->add_products(x, sc_run_f32(&job->back->run, what->y, row, h) + begin, factor, sum, n);
}

static void sum_head(const struct sum_job *job, size_t h, size_t begin, size_t n, float nodes[LEVELS][COLUMNS_PER_TASK])
{
    const struct sc_kernels *kernels = job->back->run.kernels;
    size_t n_rows = sc_run_n_sub_rows(&job->back->run, job->what->x), depth = 0, s = 0;
    for (size_t row = 0; row < n_rows;) {
        float *node = nodes[depth++];
        memset(node, 0, n * sizeof *node);
        for (size_t end = SC_MIN(row + SC_SEGMENT, n_rows); row < end; row++) add_row(job, row, h, begin, n, node);
        for (size_t pairs = ++s; (pairs & 1) == 0; pairs >>= 1, depth--)
            kernels->add(nodes[depth - 2], nodes[depth - 1], nodes[depth - 2], n);
    }
    for (; depth > 1; depth--) kernels->add(nodes[depth - 2], nodes[depth - 1], nodes[depth - 2], n);
}

static void run_sum(void *context, size_t task, size_t thread)
{
    const struct sum_job *job = context;
    const struct sc_value x = job->what->x;
    float nodes[LEVELS][COLUMNS_PER_TASK];
    size_t begin = task % job->tasks_per_head * COLUMNS_PER_TASK, n = SC_MIN(x.head_dim - begin, COLUMNS_PER_TASK);
    size_t first = job->what->by_head ? task / job->tasks_per_head : 0;
    size_t last = job->what->by_head ? first + 1 : x.n_heads;
    float *sum = job->what->sum + first * (job->what->by_head ? x.head_dim : 0) + begin;
    (void)thread;
    for (size_t h = first; h < last && sc_run_n_sub_rows(&job->back->run, x); h++) { // heads one after another
        sum_head(job, h, begin, n, nodes);
        job->back->run.kernels->add(sum, nodes[0], sum, n);
    }
}

void sc_back_sum_columns(struct sc_backward *back, const struct sc_column_sum *what)
{
    struct sum_job job = { back, what, (what->x.head_dim + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK };
    sc_pool_run(back->run.pool, job.tasks_per_head * (what->by_head ? what->x.n_heads : 1), run_sum, &job);
}
