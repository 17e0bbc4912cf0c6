#include "models/prepare.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"
#include "tensor/packed.h"

struct job {
    const struct sc_packed_weight *weight;
    size_t n_groups; // of a matrix
    size_t first;    // group, counted through all matrices
};

enum { SLICE_BYTES = 16 << 20 }; // of the file, packed before its pages are given back

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

static uint64_t bytes_to_pack(const struct sc_program *program)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < program->n_ops; i++)
        if (is_product(&program->ops[i]) && !seen_before(program, i))
            n_bytes += packed_bytes(program->ops[i].linear.weight);
    return n_bytes;
}

uint64_t sc_model_packed_bytes(const struct sc_model *model)
{
    sc_model_lock(model);
    uint64_t n_bytes = model->is_prepared ? model->packed_bytes : bytes_to_pack(&model->program);
    sc_model_unlock(model);
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
    sc_model_lock(model);
    uint64_t n_bytes = model->arena.n_bytes;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(model->gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(model->gguf, i);
        if (!is_replaced(model, t)) n_bytes += t->n_bytes;
    }
    sc_model_unlock(model);
    return n_bytes;
}

static void pack_task(void *context, size_t task, size_t thread)
{
    const struct job *job = context;
    const struct sc_tensor *from = job->weight->from;
    size_t m = (job->first + task) / job->n_groups, g = (job->first + task) % job->n_groups, row = g * SC_GROUP_ROWS;
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
static struct sc_packed_weight *list_weights(struct sc_model *model, uint32_t *n)
{
    struct sc_program *program = &model->program;
    struct sc_packed_weight *weights = calloc(program->n_ops + 1, sizeof *weights);
    char *at = model->packed;
    for (uint32_t i = 0; weights && i < program->n_ops; i++) {
        const struct sc_tensor *from = program->ops[i].linear.weight;
        if (!is_product(&program->ops[i]) || from->packed || seen_before(program, i)) continue;
        weights[*n] = (struct sc_packed_weight){ from, new_packed(model, from, at) };
        if (!weights[*n].to) {
            free(weights);
            return NULL;
        }
        at += packed_bytes(from);
        (*n)++;
    }
    return weights;
}

static void replace(struct sc_program *program, const struct sc_packed_weight *weights, uint32_t n)
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
    uint64_t total = bytes_to_pack(&model->program), done = 0;
    uint32_t n = 0;
    if (total == 0) return SOCLE_OK;
    model->packed = sc_memory_take_huge(total);
    struct sc_packed_weight *weights = model->packed ? list_weights(model, &n) : NULL;
    if (!weights) {
        sc_memory_release(model->packed, total);
        model->packed = NULL;
        return sc_fail_memory(err, total, "packed weights");
    }
    model->packed_bytes = total;
    for (uint32_t i = 0; i < n; i++) {
        const struct sc_tensor *from = weights[i].from;
        struct job job = { .weight = &weights[i], .n_groups = (from->shape[1] + SC_GROUP_ROWS - 1) / SC_GROUP_ROWS };
        size_t n_groups = job.n_groups * from->shape[2];
        size_t slice = SLICE_BYTES / (SC_GROUP_ROWS * from->row_stride) + 1;
        for (; job.first < n_groups; job.first += slice) {
            size_t n_tasks = SC_MIN(n_groups - job.first, slice);
            sc_pool_run(pool, n_tasks, pack_task, &job);
            sc_gguf_forget(model->gguf, sc_tensor_row(from, 0, job.first * SC_GROUP_ROWS),
                           n_tasks * SC_GROUP_ROWS * from->row_stride);
            done += n_tasks * weights[i].to->row_stride;
            if (progress) progress(context, done, total);
        }
    }
    replace(&model->program, weights, n);
    model->weights = weights;
    model->n_weights = n;
    return SOCLE_OK;
}

bool sc_model_is_prepared(struct sc_model *model)
{
    sc_model_lock(model);
    bool prepared = model->is_prepared;
    sc_model_unlock(model);
    return prepared;
}

socle_status sc_model_prepare(struct sc_model *model, size_t n_threads, sc_progress *progress, void *context,
                              socle_error *err)
{
    struct sc_pool *pool = NULL;
    socle_status status = SOCLE_OK;
    sc_model_lock(model);
    if (!model->is_prepared) {
        status = sc_pool_create(n_threads, &pool, err);
        if (status == SOCLE_OK) status = pack_all(model, pool, progress, context, err);
        sc_pool_free(pool);
        model->is_prepared = status == SOCLE_OK;
    }
    sc_model_unlock(model);
    return status;
}
