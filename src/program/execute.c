#include "program/execute.h"

#include "base/clock.h"
#include "base/size.h"

enum { ELEMENTS_PER_TASK = 16384 };

struct job {
    const struct sc_run *run;
    const struct sc_op *op;
};

static void run_task(void *context, size_t task, size_t thread)
{
    const struct job *job = context;
    job->op->type->run(job->run, job->op, task, job->run->scratch + thread * job->run->plan->scratch_bytes);
}

static void run_join(void *context, size_t task, size_t thread)
{
    const struct job *job = context;
    (void)thread;
    job->op->type->join(job->run, job->op, task);
}

bool sc_run_program(const struct sc_run *run, bool (*stop)(void *context), void *context)
{
    uint32_t n_ops = run->only_hidden ? run->program->n_hidden_ops : run->program->n_ops;
    for (uint32_t i = 0; i < n_ops; i++) {
        if (stop && stop(context)) return false;
        struct job job = { run, &run->program->ops[i] };
        const struct sc_op_type *type = job.op->type;
        double started = run->profile ? sc_now() : 0.0;
        sc_pool_run(run->pool, type->tasks(run, job.op), run_task, &job);
        if (type->join) sc_pool_run(run->pool, type->join_tasks(run, job.op), run_join, &job);
        if (run->profile) run->profile->note(run->profile->context, run, job.op, sc_now() - started);
        if (run->observe) run->observe(run->observer, run, job.op);
    }
    return true;
}

float *sc_run_logits(const struct sc_run *run, size_t i) { return sc_run_f32(run, run->program->logits, i, 0); }

struct sc_panel sc_run_panel(const struct sc_run *run, struct sc_value v, size_t h, size_t i)
{
    const struct sc_buffer_info *info = &run->program->buffers[v.buffer];
    size_t most = (info->rows == SC_ROWS_SELECTED ? run->plan->n_selected : run->plan->n_rows) * info->per_row;
    size_t n = sc_run_n_sub_rows(run, v) - i * SC_PANEL, n_panels = (most + SC_PANEL - 1) / SC_PANEL;
    return sc_panel_at(sc_run_bytes(run, v, h * n_panels + i), info->width, SC_MIN(n, (size_t)SC_PANEL));
}

const float *sc_run_hidden(const struct sc_run *run, size_t i, float *scale)
{
    *scale = *sc_run_f32(run, run->program->hidden_scale, i, 0);
    return sc_run_f32(run, run->program->hidden, i, 0);
}

static size_t rows_per_task(size_t width) { return SC_MAX(ELEMENTS_PER_TASK / SC_MAX(width, (size_t)1), (size_t)1); }

size_t sc_run_row_tasks(size_t n_sub_rows, size_t width)
{
    size_t rows = rows_per_task(width);
    return (n_sub_rows + rows - 1) / rows;
}

void sc_run_row_range(size_t n_sub_rows, size_t width, size_t task, size_t *begin, size_t *end)
{
    size_t rows = rows_per_task(width);
    *begin = task * rows;
    *end = SC_MIN(*begin + rows, n_sub_rows);
}
