#include "program/execute.h"

#include "base/size.h"

enum { ELEMENTS_PER_TASK = 16384, ALIGNMENT = 64 };

struct job {
    const struct sc_run *run;
    const struct sc_op *op;
};

static void run_task(void *context, size_t task, size_t thread)
{
    const struct job *job = context;
    job->op->type->run(job->run, job->op, task, job->run->scratch + thread * job->run->plan->scratch_bytes);
}

bool sc_run_program(const struct sc_run *run, bool (*stop)(void *context), void *context)
{
    for (uint32_t i = 0; i < run->program->n_ops; i++) {
        if (stop && stop(context)) return false;
        struct job job = { run, &run->program->ops[i] };
        sc_pool_run(run->pool, job.op->type->tasks(run, job.op), run_task, &job);
        if (run->observe) run->observe(run->observer, run, job.op);
    }
    return true;
}

float *sc_run_logits(const struct sc_run *run, size_t i) { return sc_run_f32(run, run->program->logits, i, 0); }

struct sc_q8 sc_run_q8(const struct sc_run *run, struct sc_value v, size_t sub_row)
{
    char *bytes = sc_run_bytes(run, v, sub_row);
    size_t width = run->program->buffers[v.buffer].width, n_segments = (width + SC_SEGMENT - 1) / SC_SEGMENT;
    char *d = bytes + sc_align_up(width, ALIGNMENT), *sums = d + sc_align_up(n_segments * 4, ALIGNMENT);
    return (struct sc_q8){ (int8_t *)bytes, (float *)(void *)d, (int16_t *)(void *)sums };
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
