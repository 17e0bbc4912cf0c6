// Ops that read or write the cache, and those that know positions.
#include "base/size.h"
#include "kernels/elementary64.h"
#include "program/execute.h"
#include "program/op_types.h"

static struct sc_kv kv_head(const struct sc_run *run, const struct sc_op *op, size_t h)
{
    const struct sc_kv_layer *layer = &run->cache[op->layer];
    struct sc_kv kv = layer->head0;
    kv.k = (char *)kv.k + h * layer->k_stride;
    if (kv.v) kv.v = (char *)kv.v + h * layer->v_stride;
    return kv;
}

static size_t row_tasks(const struct sc_run *run, const struct sc_op *op)
{
    return sc_run_row_tasks(sc_run_n_sub_rows(run, op->in[0]), (size_t)op->in[0].n_heads * op->in[0].head_dim);
}

static void row_range(const struct sc_run *run, const struct sc_op *op, size_t task, size_t *begin, size_t *end)
{
    sc_run_row_range(sc_run_n_sub_rows(run, op->in[0]), (size_t)op->in[0].n_heads * op->in[0].head_dim, task, begin,
                     end);
}

static void run_rope(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    const struct sc_rope_table *table = op->rope.table;
    float *cos = scratch, *sin = cos + table->n_pairs;
    bool is_long = table->long_turns && run->n_context > table->n_context_short;
    const uint64_t *turns = is_long ? table->long_turns : table->turns;
    size_t begin, end;
    row_range(run, op, task, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        run->kernels->rope_angles(turns, table->n_pairs, run->positions[row], table->gain, cos, sin);
        for (size_t h = 0; h < op->in[0].n_heads; h++)
            run->kernels->rope(&(struct sc_rope){ .x = sc_run_f32(run, op->in[0], row, h),
                                                  .y = sc_run_f32(run, op->out[0], row, h),
                                                  .n = op->in[0].head_dim,
                                                  .n_pairs = table->n_pairs,
                                                  .halves = table->halves,
                                                  .cos = cos,
                                                  .sin = sin });
    }
}

static size_t rope_scratch(const struct sc_op *op, size_t n_context)
{
    (void)n_context;
    return 2 * sizeof(float) * op->rope.table->n_pairs;
}

static void print_rope(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " pairs=%u %s", op->rope.table->n_pairs, op->rope.table->halves ? "halves" : "neighbours");
    if (op->rope.table->gain != 1.0f) sc_buffer_printf(out, " gain=%g", (double)op->rope.table->gain);
}

static size_t store_tasks(const struct sc_run *run, const struct sc_op *op)
{
    return run->n_rows ? op->in[0].n_heads : 0;
}

static void run_store(const struct sc_run *run, const struct sc_op *op, size_t head, void *scratch)
{
    (void)scratch;
    struct sc_kv kv = kv_head(run, op, head);
    for (size_t row = 0; row < run->n_rows; row++)
        run->kernels->store(&kv, run->positions[row], sc_run_f32(run, op->in[0], row, head),
                            kv.v ? sc_run_f32(run, op->in[1], row, head) : NULL);
}

static size_t attend_tasks(const struct sc_run *run, const struct sc_op *op) { return run->n_rows * op->in[0].n_heads; }

static void run_attend(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    size_t n_heads = op->in[0].n_heads, row = task / n_heads, h = task % n_heads;
    size_t n_kv = run->program->layers[op->layer].n_heads, last = run->positions[row] + (size_t)1;
    struct sc_kv kv = kv_head(run, op, h / (n_heads / n_kv));
    kv.dim_v = op->out[0].head_dim;
    run->kernels->attend(&(struct sc_attend){
        .kv = kv,
        .q = sc_run_f32(run, op->in[0], row, h),
        .y = sc_run_f32(run, op->out[0], row, h),
        .first = op->attend.window && last > op->attend.window ? last - op->attend.window : 0,
        .last = last,
        .scale = op->attend.scale,
        .softcap = op->attend.softcap,
        .sink = op->attend.sinks ? op->attend.sinks + h : NULL,
        .scratch = scratch,
    });
}

static size_t attend_scratch(const struct sc_op *op, size_t n_context)
{
    return sizeof(float) * sc_attend_scratch(n_context, op->out[0].head_dim);
}

static void print_attend(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " heads=%u scale=%.9g", op->in[0].n_heads, (double)op->attend.scale);
    if (op->attend.window) sc_buffer_printf(out, " window=%u", op->attend.window);
    if (op->attend.softcap != 0.0f) sc_buffer_printf(out, " softcap=%g", (double)op->attend.softcap);
    if (op->attend.sinks) sc_buffer_printf(out, " sinks");
}

static void run_temperature(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    size_t begin, end;
    row_range(run, op, task, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        double steps = (double)(run->positions[row] / op->temperature.length);
        float factor = (float)(1.0 + (double)op->temperature.scale * sc_log64(1.0 + steps));
        for (size_t h = 0; h < op->in[0].n_heads; h++)
            run->kernels->scale(sc_run_f32(run, op->in[0], row, h), factor, sc_run_f32(run, op->out[0], row, h),
                                op->in[0].head_dim);
    }
}

static void print_temperature(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " scale=%g length=%u", (double)op->temperature.scale, op->temperature.length);
}

const struct sc_op_type sc_op_rope = { "rope", row_tasks, run_rope, rope_scratch, print_rope };
const struct sc_op_type sc_op_store = { .name = "store", .tasks = store_tasks, .run = run_store };
const struct sc_op_type sc_op_attend = { "attend", attend_tasks, run_attend, attend_scratch, print_attend };
const struct sc_op_type sc_op_temperature = { "temperature", row_tasks, run_temperature, NULL, print_temperature };
