#include "models/prepare.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"
#include "tensor/packed.h"

// A weight of one or more products: its tensor in the file, and the packed one that takes its place.
struct weight {
    const struct sc_tensor *from;
    struct sc_tensor *to;
};

struct job {
    const struct weight *weight;
    size_t n_groups; // of a matrix
};

static uint64_t packed_bytes(const struct sc_tensor *t)
{
    return t->packed ? 0 : sc_packed_bytes(t->format, t->shape[0], t->shape[1]) * t->shape[2];
}

static bool is_product(const struct sc_op *op) { return op->linear.weight && op->type->is_product; }

static bool same_view(const struct sc_tensor *a, const struct sc_tensor *b)
{
    return a == b || (a->data == b->data && a->format == b->format && a->shape[0] == b->shape[0] &&
                      a->shape[1] == b->shape[1] && a->shape[2] == b->shape[2] && a->row_stride == b->row_stride &&
                      a->matrix_stride == b->matrix_stride);
}

// Whether an op before `i` multiplies by the same weight.
static bool seen_before(const struct sc_program *program, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++)
        if (is_product(&program->ops[j]) && same_view(program->ops[j].linear.weight, program->ops[i].linear.weight))
            return true;
    return false;
}

uint64_t sc_model_packed_bytes(const struct sc_model *model)
{
    uint64_t n_bytes = model->packed_bytes;
    for (uint32_t i = 0; !model->packed_bytes && i < model->program.n_ops; i++)
        if (is_product(&model->program.ops[i]) && !seen_before(&model->program, i))
            n_bytes += packed_bytes(model->program.ops[i].linear.weight);
    return n_bytes;
}

// Whether packing replaces all uses of the file's tensor.
static bool is_replaced(const struct sc_model *model, const struct sc_tensor *t)
{
    bool product = false;
    for (uint32_t i = 0; i < model->program.n_ops; i++) {
        const struct sc_op *op = &model->program.ops[i];
        if (!op->linear.weight || op->linear.weight->name.data != t->name.data) continue;
        if (!is_product(op) || t->packed) return false;
        product = true;
    }
    return product;
}

uint64_t sc_model_mapped_bytes(const struct sc_model *model)
{
    uint64_t n_bytes = model->arena.n_bytes;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(model->gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(model->gguf, i);
        if (!is_replaced(model, t)) n_bytes += t->n_bytes;
    }
    return n_bytes;
}

static void pack_task(void *context, size_t task, size_t thread)
{
    const struct job *job = context;
    const struct sc_tensor *from = job->weight->from;
    size_t m = task / job->n_groups, g = task % job->n_groups, row = g * SC_GROUP_ROWS;
    char *to = (char *)job->weight->to->data + m * job->weight->to->matrix_stride + g * job->weight->to->row_stride;
    (void)thread;
    sc_pack_group(from->format, sc_tensor_row(from, m, row), from->row_stride,
                  SC_MIN(from->shape[1] - row, (size_t)SC_GROUP_ROWS), from->shape[0], to);
}

// A tensor like `from`, to be packed at `data`.
static struct sc_tensor *new_packed(struct sc_model *model, const struct sc_tensor *from, char *data)
{
    struct sc_tensor *to = sc_arena_alloc(&model->arena, sizeof *to);
    if (!to) return NULL;
    *to = *from;
    to->packed = true;
    to->data = data;
    to->n_bytes = packed_bytes(from);
    to->row_stride = sc_packed_group_bytes(from->format, from->shape[0]);
    to->matrix_stride = to->n_bytes / from->shape[2];
    return to;
}

// The packed tensors, placed one after another in the model's own memory. NULL when there is none left.
static struct weight *list_weights(struct sc_model *model, uint32_t *n)
{
    struct sc_program *program = &model->program;
    struct weight *weights = calloc(program->n_ops + 1, sizeof *weights);
    char *at = model->packed;
    for (uint32_t i = 0; weights && i < program->n_ops; i++) {
        const struct sc_tensor *from = program->ops[i].linear.weight;
        if (!is_product(&program->ops[i]) || from->packed || seen_before(program, i)) continue;
        weights[*n] = (struct weight){ from, new_packed(model, from, at) };
        if (!weights[*n].to) {
            free(weights);
            return NULL;
        }
        at += packed_bytes(from);
        (*n)++;
    }
    return weights;
}

static void replace(struct sc_program *program, const struct weight *weights, uint32_t n)
{
    for (uint32_t i = 0; i < program->n_ops; i++)
        for (uint32_t j = 0; j < n && is_product(&program->ops[i]); j++)
            if (same_view(program->ops[i].linear.weight, weights[j].from)) {
                program->ops[i].linear.weight = weights[j].to;
                break;
            }
}

static socle_status pack_all(struct sc_model *model, struct sc_pool *pool, sc_progress *progress, void *context,
                             socle_error *err)
{
    uint64_t total = sc_model_packed_bytes(model), done = 0;
    uint32_t n = 0;
    if (total == 0) return SOCLE_OK;
    model->packed = sc_memory_take_huge(total);
    struct weight *weights = model->packed ? list_weights(model, &n) : NULL;
    if (!weights) {
        sc_memory_release(model->packed, total);
        model->packed = NULL;
        return sc_fail_memory(err, total, "packed weights");
    }
    model->packed_bytes = total;
    for (uint32_t i = 0; i < n; i++) {
        const struct sc_tensor *from = weights[i].from;
        struct job job = { &weights[i], (from->shape[1] + SC_GROUP_ROWS - 1) / SC_GROUP_ROWS };
        sc_pool_run(pool, job.n_groups * from->shape[2], pack_task, &job);
        sc_gguf_forget(model->gguf, from);
        done += weights[i].to->n_bytes;
        if (progress) progress(context, done, total);
    }
    replace(&model->program, weights, n);
    free(weights);
    return SOCLE_OK;
}

bool sc_model_is_prepared(struct sc_model *model)
{
    pthread_mutex_lock(&model->mutex);
    bool prepared = model->is_prepared;
    pthread_mutex_unlock(&model->mutex);
    return prepared;
}

socle_status sc_model_prepare(struct sc_model *model, size_t n_threads, sc_progress *progress, void *context,
                              socle_error *err)
{
    struct sc_pool *pool = NULL;
    socle_status status = SOCLE_OK;
    pthread_mutex_lock(&model->mutex);
    if (!model->is_prepared) {
        status = sc_pool_create(n_threads, &pool, err);
        if (status == SOCLE_OK) status = pack_all(model, pool, progress, context, err);
        sc_pool_free(pool);
        model->is_prepared = status == SOCLE_OK;
    }
    pthread_mutex_unlock(&model->mutex);
    return status;
}
