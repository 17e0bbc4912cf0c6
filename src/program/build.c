#include "program/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "program/op_types.h"

static const struct sc_value no_value = { .buffer = SC_NO_BUFFER };

static void fail_memory(struct sc_builder *b)
{
    if (b->status == SOCLE_OK) b->status = sc_fail_memory(b->err, 0, "a model's program");
}

// Programs double their arrays inside the arena; the old copies are dropped with it.
static bool grow(struct sc_builder *b, void **array, uint32_t n, uint32_t *capacity, size_t size)
{
    if (n < *capacity) return true;
    uint32_t larger = *capacity ? *capacity * 2 : 64;
    void *copy = sc_arena_array(&b->program->arena, larger, size);
    if (!copy) {
        fail_memory(b);
        return false;
    }
    if (n) memcpy(copy, *array, n * size);
    *array = copy;
    *capacity = larger;
    return true;
}

static int32_t add_buffer(struct sc_builder *b, struct sc_buffer_info info)
{
    struct sc_program *p = b->program;
    uint32_t capacity = p->buffers_capacity;
    void *buffers = p->buffers, *quantized = b->quantized;
    if (!grow(b, &quantized, p->n_buffers, &capacity, sizeof *b->quantized) ||
        !grow(b, &buffers, p->n_buffers, &p->buffers_capacity, sizeof *p->buffers))
        return 0; // a valid index: the program is never run
    p->buffers = buffers;
    b->quantized = quantized;
    info.row_scale = SC_NO_BUFFER;
    info.first_op = UINT32_MAX;
    p->buffers[p->n_buffers] = info;
    b->quantized[p->n_buffers] = SC_NO_BUFFER;
    return (int32_t)p->n_buffers++;
}

static void touch(struct sc_builder *b, int32_t buffer)
{
    if (buffer == SC_NO_BUFFER) return;
    struct sc_buffer_info *info = &b->program->buffers[buffer];
    if (info->first_op == UINT32_MAX) info->first_op = b->program->n_ops;
    info->last_op = b->program->n_ops;
}

static struct sc_op *add_op(struct sc_builder *b, struct sc_op op)
{
    static struct sc_op spare; // written to after a failure only
    struct sc_program *p = b->program;
    void *ops = p->ops;
    if (b->status != SOCLE_OK || !grow(b, &ops, p->n_ops, &p->ops_capacity, sizeof *p->ops)) return &spare;
    p->ops = ops;
    for (size_t i = 0; i < SC_COUNT(op.in); i++) touch(b, op.in[i].buffer);
    for (size_t i = 0; i < SC_COUNT(op.out); i++) touch(b, op.out[i].buffer);
    p->ops[p->n_ops] = op;
    return &p->ops[p->n_ops++];
}

static struct sc_op op_of(const struct sc_op_type *type, struct sc_value in, struct sc_value out)
{
    return (struct sc_op){ .type = type, .in = { in, no_value, no_value }, .out = { out, no_value }, .layer = -1 };
}

static struct sc_value whole(struct sc_builder *b, int32_t buffer)
{
    uint32_t width = b->program->buffers[buffer].width;
    return (struct sc_value){ buffer, 0, 1, width, width };
}

// A new f32 value with the rows of `like`.
static struct sc_value like(struct sc_builder *b, struct sc_value v, uint32_t n_heads, uint32_t head_dim)
{
    struct sc_buffer_info info = b->program->buffers[v.buffer];
    int32_t buffer = add_buffer(
        b, (struct sc_buffer_info){
               .element = SC_ELEMENT_F32, .rows = info.rows, .per_row = info.per_row, .width = n_heads * head_dim });
    return (struct sc_value){ buffer, 0, n_heads, head_dim, head_dim };
}

static void check(struct sc_builder *b, bool ok, const char *what)
{
    if (!ok && b->status == SOCLE_OK)
        b->status = sc_fail(b->err, SOCLE_BAD_FILE, "the model's shapes contradict each other: %s", what);
}

// For readers other than products: a norm whose 1/rms still rides along is applied where it was computed. No family
// reads one norm both ways.
static void apply_row_scale(struct sc_builder *b, struct sc_value v)
{
    struct sc_program *p = b->program;
    struct sc_buffer_info *info = &p->buffers[v.buffer];
    if (b->status != SOCLE_OK || info->row_scale == SC_NO_BUFFER) return;
    uint32_t first = info->first_op;
    bool alone = info->last_op == first;
    info->row_scale = SC_NO_BUFFER;
    if (p->ops[first].type == &sc_op_dropout) { // which comes right after the norm then, and is all that reads it
        info = &p->buffers[p->ops[first].in[0].buffer];
        alone = alone && info->last_op == first && info->first_op + 1 == first;
        info->row_scale = SC_NO_BUFFER;
    }
    check(b, alone, "a norm is read both by a product and by another op");
    struct sc_op *norm = &p->ops[info->first_op];
    norm->norm.apply = true;
    norm->out[1] = no_value;
}

void sc_build_begin(struct sc_builder *b, struct sc_program *program, uint32_t n_layers, socle_error *err)
{
    *program = (struct sc_program){ .n_layers = n_layers };
    *b = (struct sc_builder){ .program = program, .err = err };
    program->layers = sc_arena_array(&program->arena, n_layers, sizeof *program->layers);
    if (!program->layers) fail_memory(b);
    // Buffer 0 holds the tokens; it also is what failing calls return, so that no index is ever out of range.
    add_buffer(b, (struct sc_buffer_info){ .element = SC_ELEMENT_I32, .per_row = 1, .width = 1 });
}

socle_status sc_build_end(struct sc_builder *b, struct sc_value logits)
{
    b->program->logits = logits;
    b->program->n_vocab = logits.head_dim;
    if (b->status != SOCLE_OK) return b->status;
    touch(b, logits.buffer); // these live past the last op
    touch(b, b->program->hidden.buffer);
    touch(b, b->program->hidden_scale.buffer);
    return b->status;
}

struct sc_value sc_value_heads(struct sc_value v, uint32_t n_heads)
{
    v = sc_value_flat(v);
    v.head_dim = v.head_stride = v.head_dim / (n_heads ? n_heads : 1);
    v.n_heads = n_heads;
    return v;
}

struct sc_value sc_value_flat(struct sc_value v)
{
    if (v.n_heads > 1 && v.head_stride == v.head_dim) {
        v.head_dim = v.head_stride = v.head_dim * v.n_heads;
        v.n_heads = 1;
    }
    return v;
}

struct sc_value sc_value_slice(struct sc_value v, uint32_t offset, uint32_t n)
{
    v.offset += offset;
    v.head_dim = n;
    return v;
}

struct sc_value sc_build_room(struct sc_builder *b, uint32_t n_heads, uint32_t head_dim)
{
    int32_t buffer = add_buffer(
        b, (struct sc_buffer_info){
               .element = SC_ELEMENT_F32, .rows = SC_ROWS_TOKENS, .per_row = 1, .width = n_heads * head_dim });
    return (struct sc_value){ buffer, 0, n_heads, head_dim, head_dim };
}

struct sc_value sc_build_embed(struct sc_builder *b, const struct sc_tensor *table)
{
    struct sc_value out = sc_build_room(b, 1, (uint32_t)table->shape[0]);
    struct sc_op op = op_of(&sc_op_embed, whole(b, 0), out);
    op.linear.weight = table;
    add_op(b, op);
    return out;
}

void sc_build_norm_into(struct sc_builder *b, struct sc_value x, const float *w, float eps, struct sc_value out)
{
    apply_row_scale(b, x);
    check(b, x.n_heads == out.n_heads && x.head_dim == out.head_dim, "norm");
    struct sc_op op = op_of(&sc_op_norm, x, out);
    op.norm.w = w;
    op.norm.eps = eps;
    op.norm.apply = true;
    add_op(b, op);
}

struct sc_value sc_build_norm(struct sc_builder *b, struct sc_value x, const float *w, float eps)
{
    struct sc_value out = like(b, x, x.n_heads, x.head_dim);
    if (x.n_heads > 1) {
        sc_build_norm_into(b, x, w, eps, out);
        return out;
    }
    apply_row_scale(b, x);
    struct sc_value r = like(b, x, 1, 1);
    struct sc_op op = op_of(&sc_op_norm, x, out);
    op.norm.w = w;
    op.norm.eps = eps;
    op.out[1] = r;
    add_op(b, op);
    if (b->status == SOCLE_OK) b->program->buffers[out.buffer].row_scale = r.buffer;
    return out;
}

// The int8 twin of x, made once.
static struct sc_value quantized(struct sc_builder *b, struct sc_value x)
{
    struct sc_program *p = b->program;
    struct sc_buffer_info info = p->buffers[x.buffer];
    bool is_whole = x.offset == 0 && x.n_heads * x.head_dim == info.width && x.head_dim == x.head_stride;
    int32_t twin = is_whole ? b->quantized[x.buffer] : SC_NO_BUFFER;
    if (twin != SC_NO_BUFFER && p->buffers[twin].width == x.head_dim) {
        x.buffer = twin;
        return x;
    }
    twin = add_buffer(b, (struct sc_buffer_info){ .element = SC_ELEMENT_Q8,
                                                  .rows = info.rows,
                                                  .per_row = info.per_row,
                                                  .width = x.head_dim,
                                                  .n_heads = x.n_heads });
    p->buffers[twin].row_scale = info.row_scale;
    if (is_whole) b->quantized[x.buffer] = twin;
    struct sc_value out = { twin, 0, x.n_heads, x.head_dim, x.head_dim };
    add_op(b, op_of(&sc_op_quantize, x, out));
    return out;
}

static void check_linear(struct sc_builder *b, struct sc_value x, struct sc_linear linear, uint64_t n_rows)
{
    const struct sc_tensor *w = linear.weight;
    if ((w->shape[0] != x.head_dim || w->shape[1] != n_rows) && b->status == SOCLE_OK)
        b->status = sc_fail(b->err, SOCLE_BAD_FILE, "tensor '%.*s': expected shape [%u, %llu], found [%llu, %llu]",
                            SC_TEXT_ARGS(w->name), x.head_dim, (unsigned long long)n_rows,
                            (unsigned long long)w->shape[0], (unsigned long long)w->shape[1]);
}

static struct sc_op linear_op(struct sc_builder *b, const struct sc_op_type *type, struct sc_value x,
                              struct sc_linear linear, struct sc_value out)
{
    struct sc_value scale = no_value, given = x;
    int32_t row_scale = b->program->buffers[x.buffer].row_scale;
    if (linear.weight->format->unpack) x = quantized(b, x);
    if (row_scale != SC_NO_BUFFER) scale = whole(b, row_scale);
    struct sc_op op = op_of(type, x, out);
    op.in[1] = scale;
    op.x = given;
    op.linear = linear;
    return op;
}

static void add_linear(struct sc_builder *b, struct sc_value x, struct sc_linear linear, struct sc_value out)
{
    if (linear.weight->shape[2] == 1 && x.n_heads != 1) x = sc_value_flat(x);
    check_linear(b, x, linear, out.head_dim);
    check(b, x.n_heads == out.n_heads && linear.weight->shape[2] == x.n_heads, "a product by heads");
    add_op(b, linear_op(b, &sc_op_linear, x, linear, out));
}

// out = y + factor * B (A x)
static void add_change(struct sc_builder *b, struct sc_value x, struct sc_value y, const struct sc_adapter_pair *pair,
                       uint32_t adapter, struct sc_value out)
{
    struct sc_value low = like(b, y, 1, (uint32_t)pair->a->shape[1]), change = like(b, y, 1, y.head_dim);
    if (x.n_heads != 1) x = sc_value_flat(x);
    add_linear(b, sc_build_dropout(b, x, pair->dropout), (struct sc_linear){ .weight = pair->a }, low);
    add_linear(b, low, (struct sc_linear){ .weight = pair->b }, change);
    struct sc_op op = op_of(&sc_op_adapt, y, out);
    op.in[1] = change;
    op.adapt.adapter = adapter;
    add_op(b, op);
}

void sc_build_linear_into(struct sc_builder *b, struct sc_value x, struct sc_linear linear, struct sc_value out)
{
    struct sc_adapter_pair pair;
    uint32_t last = UINT32_MAX, n = b->adapters && linear.weight->shape[2] == 1 ? b->adapters->n : 0;
    for (uint32_t i = 0; i < n; i++)
        if (b->adapters->find(b->adapters, i, linear.weight->name, &pair)) last = i;
    struct sc_value y = last == UINT32_MAX ? out : like(b, x, 1, out.head_dim);
    add_linear(b, x, linear, y);
    for (uint32_t i = 0; i < n && last != UINT32_MAX && i <= last; i++) {
        if (!b->adapters->find(b->adapters, i, linear.weight->name, &pair)) continue;
        struct sc_value sum = i == last ? out : like(b, y, 1, y.head_dim);
        add_change(b, x, y, &pair, i, sum);
        y = sum;
    }
}

struct sc_value sc_build_linear(struct sc_builder *b, struct sc_value x, struct sc_linear linear)
{
    uint32_t n_rows = (uint32_t)linear.weight->shape[1], n_heads = (uint32_t)linear.weight->shape[2];
    struct sc_value out = like(b, x, n_heads, n_rows);
    sc_build_linear_into(b, x, linear, out);
    return out;
}

void sc_build_rope_into(struct sc_builder *b, struct sc_value x, const struct sc_rope_table *table, struct sc_value out)
{
    apply_row_scale(b, x);
    check(b, x.n_heads == out.n_heads && x.head_dim == out.head_dim && 2 * table->n_pairs <= x.head_dim, "rope");
    struct sc_op op = op_of(&sc_op_rope, x, out);
    op.rope.table = table;
    add_op(b, op);
}

struct sc_value sc_build_rope(struct sc_builder *b, struct sc_value x, const struct sc_rope_table *table)
{
    struct sc_value out = like(b, x, x.n_heads, x.head_dim);
    sc_build_rope_into(b, x, table, out);
    return out;
}

void sc_build_store(struct sc_builder *b, uint32_t layer, struct sc_value k, struct sc_value v)
{
    if (b->status != SOCLE_OK) return;
    bool has_v = v.buffer != SC_NO_BUFFER;
    apply_row_scale(b, k);
    if (has_v) apply_row_scale(b, v);
    struct sc_op op = op_of(&sc_op_store, k, no_value);
    op.in[1] = has_v ? v : no_value;
    op.layer = (int32_t)layer;
    check(b, !has_v || v.n_heads == k.n_heads, "keys and values");
    check(b, k.head_dim <= SC_HEAD_DIM_MAX && (!has_v || v.head_dim <= SC_HEAD_DIM_MAX), "heads are too wide");
    b->program->layers[layer] = (struct sc_cache_layer){ k.n_heads, k.head_dim, has_v ? v.head_dim : 0 };
    b->stored_k = k;
    b->stored_v = op.in[1];
    add_op(b, op);
}

struct sc_value sc_build_attend(struct sc_builder *b, uint32_t layer, struct sc_value q, uint32_t dim_v,
                                struct sc_attention how)
{
    struct sc_value out = like(b, q, q.n_heads, dim_v);
    if (b->status != SOCLE_OK) return out;
    apply_row_scale(b, q);
    struct sc_cache_layer cache = b->program->layers[layer];
    check(b, cache.n_heads > 0 && q.n_heads % cache.n_heads == 0, "query heads are not a multiple of kv heads");
    check(b, q.head_dim == cache.dim_k && (cache.dim_v ? dim_v == cache.dim_v : dim_v <= cache.dim_k), "attention");
    struct sc_op op = op_of(&sc_op_attend, q, out);
    op.layer = (int32_t)layer;
    op.attend.scale = how.scale;
    op.attend.softcap = how.softcap;
    op.attend.window = how.window;
    op.attend.sinks = how.sinks;
    op.attend.k = b->stored_k;
    op.attend.v = b->stored_v;
    add_op(b, op);
    return out;
}

struct sc_value sc_build_glu(struct sc_builder *b, enum sc_activation activation, struct sc_value gate,
                             struct sc_value up)
{
    apply_row_scale(b, gate);
    apply_row_scale(b, up);
    struct sc_value out = like(b, gate, gate.n_heads, gate.head_dim);
    check(b, gate.n_heads == up.n_heads && gate.head_dim == up.head_dim, "gate and up");
    struct sc_op op = op_of(&sc_op_glu, gate, out);
    op.in[1] = up;
    op.glu.activation = activation;
    add_op(b, op);
    return out;
}

struct sc_value sc_build_add(struct sc_builder *b, struct sc_value x, struct sc_value y)
{
    x = sc_value_flat(x);
    y = sc_value_flat(y);
    apply_row_scale(b, x);
    apply_row_scale(b, y);
    check(b, x.head_dim == y.head_dim && x.n_heads == 1 && y.n_heads == 1, "a sum of different widths");
    struct sc_value out = like(b, x, 1, x.head_dim);
    struct sc_op op = op_of(&sc_op_add, x, out);
    op.in[1] = y;
    add_op(b, op);
    return out;
}

// An op with one input of any heads and an output of the same shape.
static struct sc_op *map(struct sc_builder *b, const struct sc_op_type *type, struct sc_value x, struct sc_value *out)
{
    apply_row_scale(b, x);
    *out = like(b, x, x.n_heads, x.head_dim);
    return add_op(b, op_of(type, x, *out));
}

struct sc_value sc_build_scale(struct sc_builder *b, struct sc_value x, float factor)
{
    struct sc_value out = x;
    if (factor != 1.0f) map(b, &sc_op_scale, x, &out)->scale.factor = factor;
    return out;
}

// A norm's 1 / rms goes on riding along: what is dropped was dropped before it.
struct sc_value sc_build_dropout(struct sc_builder *b, struct sc_value x, float rate)
{
    if (rate == 0.0f) return x;
    struct sc_value out = like(b, x, x.n_heads, x.head_dim);
    struct sc_op op = op_of(&sc_op_dropout, x, out);
    op.dropout.rate = rate;
    add_op(b, op);
    if (b->status == SOCLE_OK) b->program->buffers[out.buffer].row_scale = b->program->buffers[x.buffer].row_scale;
    return out;
}

struct sc_value sc_build_temperature(struct sc_builder *b, struct sc_value x, float scale, uint32_t length)
{
    struct sc_value out;
    struct sc_op *op = map(b, &sc_op_temperature, x, &out);
    op->temperature.scale = scale;
    op->temperature.length = length;
    return out;
}

struct sc_value sc_build_softcap(struct sc_builder *b, struct sc_value x, float cap)
{
    struct sc_value out;
    map(b, &sc_op_softcap, x, &out)->scale.factor = cap;
    return out;
}

struct sc_value sc_build_select(struct sc_builder *b, struct sc_value x)
{
    apply_row_scale(b, x);
    struct sc_value out = like(b, x, x.n_heads, x.head_dim);
    b->program->buffers[out.buffer].rows = SC_ROWS_SELECTED;
    add_op(b, op_of(&sc_op_select, x, out));
    return out;
}

void sc_build_hidden(struct sc_builder *b, struct sc_value x)
{
    b->program->hidden = x;
    b->program->hidden_scale = whole(b, SC_MAX(b->program->buffers[x.buffer].row_scale, 0));
    b->program->n_hidden_ops = b->program->n_ops;
}

struct sc_route_values sc_build_route(struct sc_builder *b, struct sc_value logits, struct sc_routing how)
{
    struct sc_buffer_info ids = {
        .element = SC_ELEMENT_I32, .rows = SC_ROWS_TOKENS, .per_row = 1, .width = how.n_used
    };
    struct sc_route_values out = { whole(b, add_buffer(b, ids)), like(b, logits, 1, how.n_used) };
    check(b,
          logits.head_dim == how.n_experts && how.n_experts <= SC_EXPERTS_MAX && how.n_used >= 1 &&
              how.n_used <= how.n_experts,
          "experts");
    check(b,
          how.n_groups <= 1 ||
              (how.n_experts % how.n_groups == 0 && how.n_groups_used >= 1 && how.n_groups_used <= how.n_groups &&
               how.n_experts / how.n_groups * how.n_groups_used >= how.n_used),
          "expert groups");
    struct sc_op op = op_of(&sc_op_route, logits, out.ids);
    op.out[1] = out.weights;
    op.route.bias = how.bias;
    op.route.n_groups = how.n_groups;
    op.route.n_groups_used = how.n_groups_used;
    op.route.gating = how.gating;
    op.route.normalize = how.normalize;
    op.route.scale = how.scale;
    add_op(b, op);
    return out;
}

struct sc_value sc_build_expert_linear(struct sc_builder *b, struct sc_value x, struct sc_value ids,
                                       struct sc_linear linear)
{
    struct sc_buffer_info info = { .element = SC_ELEMENT_F32,
                                   .rows = SC_ROWS_TOKENS,
                                   .per_row = ids.head_dim,
                                   .width = (uint32_t)linear.weight->shape[1] };
    struct sc_value out = whole(b, add_buffer(b, info));
    check_linear(b, x, linear, out.head_dim);
    struct sc_op op = linear_op(b, &sc_op_expert_linear, x, linear, out);
    op.in[2] = ids;
    add_op(b, op);
    return out;
}

struct sc_value sc_build_expert_sum(struct sc_builder *b, struct sc_value x, struct sc_value weights)
{
    struct sc_value out = sc_build_room(b, 1, x.head_dim);
    struct sc_op op = op_of(&sc_op_expert_sum, x, out);
    op.in[1] = weights;
    add_op(b, op);
    return out;
}
