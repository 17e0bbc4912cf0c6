#include "train/parameters.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "tensor/packed.h"

// A weight as the program has it: a matrix of products or of embeddings, or a vector.
struct weight {
    const struct sc_tensor *matrix;
    const float *vector;
    size_t n;
};

static bool same(const struct weight *a, const struct weight *b)
{
    if (a->vector || b->vector) return a->vector == b->vector;
    return a->matrix->data == b->matrix->data && a->matrix->shape[1] == b->matrix->shape[1];
}

// The weights of an op: at most one of each kind.
static size_t weights_of(const struct sc_op *op, struct weight out[2])
{
    size_t n = 0, count = 0;
    if (op->linear.weight) out[n++] = (struct weight){ .matrix = op->linear.weight };
    const float *vector = op->type->adjoint && op->type->adjoint->vector ? op->type->adjoint->vector(op, &count) : NULL;
    if (vector) out[n++] = (struct weight){ .vector = vector, .n = count };
    return n;
}

// The file's tensor of this weight, NULL when it was made at load.
static const struct sc_tensor *tensor_of(const struct sc_model *model, const struct weight *weight)
{
    for (uint64_t i = 0; i < sc_gguf_n_tensors(model->gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(model->gguf, i);
        const void *data = weight->vector ? (const void *)weight->vector : weight->matrix->data;
        if (t->data == data && !t->packed && (!weight->matrix || t->shape[1] == weight->matrix->shape[1])) return t;
    }
    return NULL;
}

static bool is_adapter(const struct sc_tensor *t)
{
    return t->name.n_bytes > 7 && memcmp(t->name.data + t->name.n_bytes - 7, ".lora_", 6) == 0;
}

static size_t matrix_floats(const struct sc_tensor *t)
{
    return sc_align_up(t->shape[1], SC_GROUP_ROWS) * t->shape[0] * t->shape[2];
}

static char *copy_name(struct sc_model *model, struct sc_text name)
{
    return sc_arena_text(&model->arena, name.data, name.n_bytes);
}

static socle_status describe(struct sc_model *model, const struct weight *weight, struct sc_parameter *p,
                             socle_error *err)
{
    bool made = weight->matrix && is_adapter(weight->matrix); // an adapter's, which no file has to hold
    const struct sc_tensor *t = made ? weight->matrix : tensor_of(model, weight);
    if (!t)
        return sc_fail(
            err, SOCLE_UNSUPPORTED, "%s: weights%s%.*s were rearranged when the model was loaded and cannot be trained",
            sc_gguf_path(model->gguf), weight->matrix ? " of " : "",
            weight->matrix ? (int)weight->matrix->name.n_bytes : 0, weight->matrix ? weight->matrix->name.data : "");
    p->name = copy_name(model, t->name);
    p->is_matrix = weight->matrix != NULL;
    p->n_dims = t->n_dims;
    memcpy(p->shape, t->shape, sizeof p->shape);
    p->n = weight->matrix ? matrix_floats(t) : weight->n;
    p->n_weights = weight->matrix ? t->shape[0] * t->shape[1] * t->shape[2] : weight->n;
    return p->name ? SOCLE_OK : sc_fail_memory(err, t->name.n_bytes, "a parameter's name");
}

// Lists the program's weights, each once, in the order of its ops. found[i]: the op and slot that has parameter i
// first.
static socle_status list(struct sc_model *model, bool adapters_only, struct sc_parameters *out, struct weight *found,
                         socle_error *err)
{
    for (uint32_t i = 0; i < model->program.n_ops; i++) {
        struct weight weights[2];
        size_t n = weights_of(&model->program.ops[i], weights);
        for (size_t j = 0; j < n; j++) {
            if (adapters_only && !(weights[j].matrix && is_adapter(weights[j].matrix))) continue;
            size_t known = 0;
            while (known < out->n && !same(&found[known], &weights[j])) known++;
            bool is_table = weights[j].matrix && (!model->program.ops[i].type->is_product ||
                                                  model->program.ops[i].out[0].buffer == model->program.logits.buffer);
            if (known == out->n) {
                SC_TRY(describe(model, &weights[j], &out->items[known], err));
                found[out->n++] = weights[j];
            }
            out->items[known].is_table = out->items[known].is_table || is_table;
        }
    }
    return SOCLE_OK;
}

static void copy_values(const struct weight *from, struct sc_parameter *p)
{
    if (from->vector) {
        memcpy(p->w, from->vector, p->n * sizeof *p->w);
        return;
    }
    const struct sc_tensor *t = from->matrix;
    float *row = p->gradient ? p->gradient : NULL; // no longer than the parameter
    float *room = row ? NULL : malloc(t->shape[0] * sizeof *room);
    if (!row) row = room;
    for (uint64_t r = 0; row && r < t->shape[1] * t->shape[2]; r++) {
        t->format->decode(sc_tensor_row(t, r / t->shape[1], r % t->shape[1]), row, t->shape[0] / t->format->block_size);
        sc_parameter_set_row(p, p->w, r, row);
    }
    if (p->gradient) memset(p->gradient, 0, t->shape[0] * sizeof *p->gradient);
    free(room);
}

static bool make_packed(struct sc_model *model, const struct weight *from, struct sc_parameter *p)
{
    if (!p->is_matrix) return true;
    struct sc_tensor *t = sc_arena_alloc(&model->arena, sizeof *t);
    if (!t) return false;
    *t = *from->matrix;
    t->format = sc_format_find_name("F32");
    t->packed = true;
    t->data = p->w;
    t->n_bytes = p->n * sizeof *p->w;
    t->row_stride = t->shape[0] * SC_GROUP_ROWS * sizeof *p->w;
    t->matrix_stride = t->n_bytes / t->shape[2];
    p->packed = t;
    return true;
}

// Op i multiplies by the parameter: floats, which take their input as it is, not quantized.
static void use_packed(struct sc_program *program, uint32_t i, const struct sc_parameter *p)
{
    struct sc_op *op = &program->ops[i];
    op->linear.weight = p->packed;
    if (!op->type->is_product) return;
    op->in[0] = op->x;
    struct sc_buffer_info *x = &program->buffers[op->x.buffer];
    x->last_op = SC_MAX(x->last_op, i);
}

// Lets the program use the parameters in place of the weights that were found.
static void replace(struct sc_model *model, struct sc_parameters *out, const struct weight *found)
{
    for (uint32_t i = 0; i < model->program.n_ops; i++) {
        struct sc_op *op = &model->program.ops[i];
        struct weight weights[2];
        size_t n = weights_of(op, weights);
        for (size_t j = 0; j < n; j++) {
            size_t k = 0;
            while (k < out->n && !same(&found[k], &weights[j])) k++;
            if (k == out->n) continue;
            struct sc_parameter *p = &out->items[k];
            struct sc_op_gradient *gradient = &out->ops[i];
            if (p->is_matrix) {
                gradient->weight = p->gradient ? p->gradient : p->w;
                gradient->weight_begun = &p->begun;
                use_packed(&model->program, i, p);
            } else {
                gradient->vector = p->gradient ? p->gradient : p->w;
                if (op->linear.weight) op->linear.bias = p->w;
                else if (op->layer >= 0) op->attend.sinks = p->w;
                else op->norm.w = p->w;
            }
        }
    }
}

static socle_status take_memory(struct sc_model *model, struct sc_parameters *out, const struct weight *found,
                                bool learn, socle_error *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < out->n; i++) {
        total += sc_align_up(out->items[i].n, SC_LANES) * (learn ? 4 : 1);
        out->n_weights += out->items[i].n_weights;
    }
    out->n_bytes = total * sizeof(float);
    out->memory = sc_memory_take_huge(out->n_bytes);
    if (!out->memory) return sc_fail_memory(err, out->n_bytes, "weights, their derivatives and the optimizer");
    float *at = out->memory;
    for (size_t i = 0; i < out->n; i++) {
        struct sc_parameter *p = &out->items[i];
        float **parts[4] = { &p->w, &p->gradient, &p->m, &p->v };
        for (size_t j = 0; j < (learn ? 4u : 1u); j++, at += sc_align_up(p->n, SC_LANES)) *parts[j] = at;
        copy_values(&found[i], p);
        if (!make_packed(model, &found[i], p)) return sc_fail_memory(err, sizeof *p->packed, "a parameter");
    }
    return SOCLE_OK;
}

socle_status sc_parameters_take(struct sc_model *model, bool adapters_only, bool learn, struct sc_parameters *out,
                                socle_error *err)
{
    size_t most = 2 * (size_t)model->program.n_ops + 1;
    struct weight *found = calloc(most, sizeof *found);
    *out = (struct sc_parameters){ .items = calloc(most, sizeof *out->items),
                                   .ops = calloc(most, sizeof *out->ops),
                                   .adapters_only = adapters_only };
    socle_status status = SOCLE_OK;
    if (!found || !out->items || !out->ops) status = sc_fail_memory(err, most * sizeof *out->items, "parameters");
    if (status == SOCLE_OK) status = list(model, adapters_only, out, found, err);
    if (status == SOCLE_OK) status = take_memory(model, out, found, learn, err);
    if (status == SOCLE_OK) replace(model, out, found);
    else sc_parameters_free(out);
    free(found);
    return status;
}

void sc_parameters_free(struct sc_parameters *parameters)
{
    sc_memory_release(parameters->memory, parameters->n_bytes);
    free(parameters->items);
    free(parameters->ops);
    *parameters = (struct sc_parameters){ 0 };
}

struct sc_parameter *sc_parameter_find(const struct sc_parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->n; i++)
        if (strcmp(parameters->items[i].name, name) == 0) return &parameters->items[i];
    return NULL;
}

// Where element 0 of a row lies; elements are `*step` apart.
static size_t row_at(const struct sc_parameter *p, uint64_t row, size_t *step)
{
    *step = p->is_matrix ? SC_GROUP_ROWS : 1;
    if (!p->is_matrix) return row * p->shape[0];
    uint64_t matrix = row / p->shape[1], r = row % p->shape[1], padded = sc_align_up(p->shape[1], SC_GROUP_ROWS);
    return (matrix * padded + r / SC_GROUP_ROWS * SC_GROUP_ROWS) * p->shape[0] + r % SC_GROUP_ROWS;
}

void sc_parameter_get_row(const struct sc_parameter *p, const float *from, uint64_t row, float *out)
{
    size_t step, at = row_at(p, row, &step);
    for (size_t i = 0; i < p->shape[0]; i++) out[i] = from[at + i * step];
}

void sc_parameter_set_row(const struct sc_parameter *p, float *to, uint64_t row, const float *values)
{
    size_t step, at = row_at(p, row, &step);
    for (size_t i = 0; i < p->shape[0]; i++) to[at + i * step] = values[i];
}
