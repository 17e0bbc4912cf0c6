// Ops that read or write the cache, and those that know positions.
#include "base/size.h"
#include "kernels/elementary64.h"
#include "program/adjoints.h"
#include "program/execute.h"
#include "program/op_types.h"

// Head h of the cache that a row's sequence has.
static struct sc_kv kv_head_of(const struct sc_run *run, const struct sc_op *op, size_t row, size_t h)
{
    const struct sc_kv_layer *layer = &run->sequences[row]->cache[op->layer];
    struct sc_kv kv = layer->head0;
    kv.k = (char *)kv.k + h * layer->k_stride;
    if (kv.v) kv.v = (char *)kv.v + h * layer->v_stride;
    kv.segments = run->sequences[row]->segments;
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
    size_t begin, end;
    row_range(run, op, task, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        bool is_long = table->long_turns && run->sequences[row]->n_context > table->n_context_short;
        const uint64_t *turns = is_long ? table->long_turns : table->turns;
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
    for (size_t row = 0; row < run->n_rows; row++) {
        struct sc_kv kv = kv_head_of(run, op, row, head);
        run->kernels->store(&kv, run->positions[row], sc_run_f32(run, op->in[0], row, head),
                            kv.v ? sc_run_f32(run, op->in[1], row, head) : NULL);
    }
}

// How attention is cut. A block is some rows with all query heads of one kv head, or a part of these heads where they
// are too many for a call. When blocks are too few for the threads, the keys are cut as well: into ranges of
// `range` segments (a power of two), whose nodes are joined afterwards. The tree over segments has the same shape
// whatever the range, so the cut changes no bit.
struct cut {
    size_t n_kv, per_kv;             // kv heads; query heads of each
    size_t heads, head_blocks;       // query heads of a block
    size_t rows, row_blocks, blocks; // rows of a block
    size_t range, n_ranges;          // segments; at most, over all rows
};

enum { NODES_MAX = 4096, TASKS_PER_THREAD = 4 };

static size_t segment_of(size_t position) { return position / SC_SEGMENT; }

static size_t first_key(const struct sc_run *run, const struct sc_op *op, size_t row)
{
    size_t last = run->positions[row] + (size_t)1;
    return op->attend.window && last > op->attend.window ? last - op->attend.window : 0;
}

// Segments that the row's keys lie in.
static size_t n_segments(const struct sc_run *run, const struct sc_op *op, size_t row)
{
    return segment_of(run->positions[row]) - segment_of(first_key(run, op, row)) + 1;
}

static struct cut cut_attention(const struct sc_run *run, const struct sc_op *op)
{
    struct cut c = { .n_kv = run->program->layers[op->layer].n_heads, .range = 1, .n_ranges = 1 };
    size_t n_heads = op->in[0].n_heads, n_threads = sc_pool_n_threads(run->pool), most = 0;
    c.per_kv = n_heads / c.n_kv;
    c.heads = SC_MIN(c.per_kv, (size_t)SC_QUERIES_MAX);
    c.head_blocks = (c.per_kv + c.heads - 1) / c.heads;
    c.rows = SC_QUERIES_MAX / c.heads;
    c.row_blocks = (run->n_rows + c.rows - 1) / c.rows;
    c.blocks = c.n_kv * c.head_blocks * c.row_blocks;
    for (size_t row = 0; row < run->n_rows; row++) most = SC_MAX(most, n_segments(run, op, row));
    while (c.range < most) c.range *= 2;
    while (c.range > 1 && c.blocks * ((most + c.range - 1) / c.range) < n_threads * TASKS_PER_THREAD &&
           run->n_rows * n_heads * ((most + c.range / 2 - 1) / (c.range / 2)) <= NODES_MAX)
        c.range /= 2;
    c.n_ranges = (most + c.range - 1) / c.range;
    return c;
}

// The node of a range for one row and head, in shared memory.
static float *shared_node(const struct sc_run *run, const struct sc_op *op, const struct cut *c, size_t row, size_t h,
                          size_t range)
{
    size_t i = (row * op->in[0].n_heads + h) * c->n_ranges + range;
    return (float *)sc_run_shared(run) + i * sc_node_floats(op->out[0].head_dim);
}

static size_t attend_tasks(const struct sc_run *run, const struct sc_op *op)
{
    struct cut c = cut_attention(run, op);
    return c.blocks * c.n_ranges;
}

static const float *sink_of(const struct sc_op *op, size_t h) { return op->attend.sinks ? op->attend.sinks + h : NULL; }

// The queries of a block; those of a row lie together.
struct block {
    size_t n;
    const float *q[SC_QUERIES_MAX];
    float *node[SC_QUERIES_MAX];
    uint32_t first[SC_QUERIES_MAX], last[SC_QUERIES_MAX];
    size_t begin[SC_QUERIES_MAX], end[SC_QUERIES_MAX]; // segments
    size_t row[SC_QUERIES_MAX], head[SC_QUERIES_MAX];
    const struct sc_sequence *sequence[SC_QUERIES_MAX];
};

static bool same_keys(const struct block *b, size_t i, size_t j)
{
    return b->begin[j] == b->begin[i] && b->end[j] == b->end[i] && b->sequence[j] == b->sequence[i];
}

// One call for each run of queries that have keys in the same segments of the same sequence.
static void run_block(const struct sc_run *run, const struct sc_op *op, size_t kv_head, struct sc_attend *args,
                      const struct block *b)
{
    for (size_t i = 0, j; i < b->n; i = j) {
        for (j = i + 1; j < b->n && same_keys(b, i, j);) j++;
        args->kv = kv_head_of(run, op, b->row[i], kv_head);
        args->kv.dim_v = op->out[0].head_dim;
        args->n_queries = j - i;
        args->q = b->q + i;
        args->node = b->node + i;
        args->first = b->first + i;
        args->last = b->last + i;
        args->begin = b->begin[i];
        args->end = b->end[i];
        run->kernels->attend(args);
    }
}

// Adds the row's heads begin..end, unless its keys end before this range.
static void add_row(const struct sc_run *run, const struct sc_op *op, const struct cut *c, size_t range, size_t row,
                    size_t begin, size_t end, struct block *b)
{
    size_t first = first_key(run, op, row), last = run->positions[row] + (size_t)1;
    size_t begin_segment = segment_of(first) + range * c->range;
    size_t end_segment = SC_MIN(begin_segment + c->range, segment_of(last - 1) + 1);
    if (begin_segment >= end_segment) return;
    for (size_t head = begin; head < end; head++) {
        size_t i = b->n++;
        b->q[i] = sc_run_f32(run, op->in[0], row, head);
        b->first[i] = (uint32_t)first;
        b->last[i] = (uint32_t)last;
        b->begin[i] = begin_segment;
        b->end[i] = end_segment;
        b->row[i] = row;
        b->head[i] = head;
        b->sequence[i] = run->sequences[row];
    }
}

static void run_attend(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    struct cut c = cut_attention(run, op);
    size_t range = task % c.n_ranges, kv_head = task / c.n_ranges % c.n_kv, dim_v = op->out[0].head_dim;
    size_t part = task / c.n_ranges / c.n_kv, head_block = part % c.head_blocks, row_block = part / c.head_blocks;
    size_t head = kv_head * c.per_kv + head_block * c.heads;
    size_t head_end = SC_MIN(head + c.heads, (kv_head + 1) * c.per_kv);
    float *own_nodes = scratch;
    struct block b = { .n = 0 };
    for (size_t row = row_block * c.rows; row < SC_MIN((row_block + 1) * c.rows, run->n_rows); row++)
        add_row(run, op, &c, range, row, head, head_end, &b);
    for (size_t i = 0; i < b.n; i++)
        b.node[i] = c.n_ranges > 1 ? shared_node(run, op, &c, b.row[i], b.head[i], range)
                                   : own_nodes + i * sc_node_floats(dim_v);
    struct sc_attend args = { .scale = op->attend.scale,
                              .softcap = op->attend.softcap,
                              .scratch = own_nodes + sc_align_up(SC_QUERIES_MAX * sc_node_floats(dim_v), 16) };
    run_block(run, op, kv_head, &args, &b);
    for (size_t i = 0; i < b.n && c.n_ranges == 1; i++)
        run->kernels->attend_finish(b.node[i], sink_of(op, b.head[i]), sc_run_f32(run, op->out[0], b.row[i], b.head[i]),
                                    dim_v);
}

static size_t join_tasks(const struct sc_run *run, const struct sc_op *op)
{
    return cut_attention(run, op).n_ranges > 1 ? run->n_rows : 0;
}

// Joins the ranges' nodes of a row's heads by the tree: pairs of neighbours, an odd one passed up.
static void join_row(const struct sc_run *run, const struct sc_op *op, size_t row)
{
    struct cut c = cut_attention(run, op);
    size_t n = (n_segments(run, op, row) + c.range - 1) / c.range, dim_v = op->out[0].head_dim;
    for (size_t h = 0; h < op->in[0].n_heads; h++) {
        for (size_t step = 1; step < n; step *= 2)
            for (size_t i = 0; i + step < n; i += 2 * step)
                run->kernels->attend_join(shared_node(run, op, &c, row, h, i),
                                          shared_node(run, op, &c, row, h, i + step), dim_v);
        run->kernels->attend_finish(shared_node(run, op, &c, row, h, 0), sink_of(op, h),
                                    sc_run_f32(run, op->out[0], row, h), dim_v);
    }
}

static size_t attend_shared(const struct sc_op *op)
{
    return NODES_MAX * sc_node_floats(op->out[0].head_dim) * sizeof(float);
}

static size_t attend_scratch(const struct sc_op *op, size_t n_context)
{
    size_t nodes = sc_align_up(SC_QUERIES_MAX * sc_node_floats(op->out[0].head_dim), 16) * sizeof(float);
    return nodes + sc_attend_scratch(op->in[0].head_dim, op->out[0].head_dim, n_context / SC_SEGMENT + 1);
}

static void print_attend(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " heads=%u scale=%.9g", op->in[0].n_heads, (double)op->attend.scale);
    if (op->attend.window) sc_buffer_printf(out, " window=%u", op->attend.window);
    if (op->attend.softcap != 0.0f) sc_buffer_printf(out, " softcap=%g", (double)op->attend.softcap);
    if (op->attend.sinks) sc_buffer_printf(out, " sinks");
}

float sc_run_temperature(const struct sc_run *run, const struct sc_op *op, size_t row)
{
    double steps = (double)(run->positions[row] / op->temperature.length);
    return (float)(1.0 + (double)op->temperature.scale * sc_log64(1.0 + steps));
}

static void run_temperature(const struct sc_run *run, const struct sc_op *op, size_t task, void *scratch)
{
    (void)scratch;
    size_t begin, end;
    row_range(run, op, task, &begin, &end);
    for (size_t row = begin; row < end; row++) {
        float factor = sc_run_temperature(run, op, row);
        for (size_t h = 0; h < op->in[0].n_heads; h++)
            run->kernels->scale(sc_run_f32(run, op->in[0], row, h), factor, sc_run_f32(run, op->out[0], row, h),
                                op->in[0].head_dim);
    }
}

static void print_temperature(const struct sc_op *op, struct sc_buffer *out)
{
    sc_buffer_printf(out, " scale=%g length=%u", (double)op->temperature.scale, op->temperature.length);
}

const struct sc_op_type sc_op_rope = {
    .name = "rope",
    .tasks = row_tasks,
    .run = run_rope,
    .scratch_bytes = rope_scratch,
    .print = print_rope,
    .adjoint = &sc_adjoint_rope,
};
const struct sc_op_type sc_op_store = { .name = "store", .tasks = store_tasks, .run = run_store };
const struct sc_op_type sc_op_attend = {
    .name = "attend",
    .tasks = attend_tasks,
    .run = run_attend,
    .scratch_bytes = attend_scratch,
    .join_tasks = join_tasks,
    .join = join_row,
    .shared_bytes = attend_shared,
    .print = print_attend,
    .adjoint = &sc_adjoint_attend,
};
const struct sc_op_type sc_op_temperature = {
    .name = "temperature",
    .tasks = row_tasks,
    .run = run_temperature,
    .print = print_temperature,
    .adjoint = &sc_adjoint_temperature,
};
