#include "models/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { NAME_BYTES = 96 };

static const struct sc_tensor *find(struct sc_loader *l, bool optional, const char *name)
{
    if (l->status != SOCLE_OK) return NULL;
    const struct sc_tensor *tensor = sc_gguf_find_tensor(l->model->gguf, name);
    if (!tensor && !optional)
        l->status = sc_fail(l->err, SOCLE_BAD_FILE, "%s: tensor '%s' is missing, which the family '%s' needs",
                            sc_gguf_path(l->model->gguf), name, l->model->family->name);
    for (uint32_t d = 0; tensor && d < SC_DIMS_MAX; d++) {
        if (tensor->shape[d] <= INT32_MAX) continue;
        l->status = sc_fail(l->err, SOCLE_UNSUPPORTED, "%s: tensor '%s': dimension %u is %llu, expected at most %d",
                            sc_gguf_path(l->model->gguf), name, d, (unsigned long long)tensor->shape[d], INT32_MAX);
        return NULL;
    }
    return tensor;
}

const struct sc_tensor *sc_load_tensor(struct sc_loader *l, bool optional, const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return find(l, optional, name);
}

void sc_load_fail_packed(struct sc_loader *l, const struct sc_tensor *tensor)
{
    l->status = sc_fail(l->err, SOCLE_BAD_FILE,
                        "%s: tensor '%.*s' is packed, but only weights of products may be: pack the original again",
                        sc_gguf_path(l->model->gguf), SC_TEXT_ARGS(tensor->name));
}

static const float *vector(struct sc_loader *l, const struct sc_tensor *tensor, uint64_t n)
{
    if (!tensor) return NULL;
    uint64_t n_elements = tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
    if (n_elements != n) {
        l->status = sc_fail(l->err, SOCLE_BAD_FILE, "%s: tensor '%.*s': expected %llu elements, found %llu",
                            sc_gguf_path(l->model->gguf), SC_TEXT_ARGS(tensor->name), (unsigned long long)n,
                            (unsigned long long)n_elements);
        return NULL;
    }
    if (tensor->packed) {
        sc_load_fail_packed(l, tensor);
        return NULL;
    }
    if (strcmp(tensor->format->name, "F32") == 0) return tensor->data;
    float *values = sc_arena_array(&l->model->arena, n, sizeof *values);
    if (!values) {
        l->status = sc_fail_memory(l->err, n * sizeof *values, "a vector of weights");
        return NULL;
    }
    tensor->format->decode(tensor->data, values, n / tensor->format->block_size);
    return values;
}

const float *sc_load_vector(struct sc_loader *l, bool optional, uint64_t n, const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return vector(l, find(l, optional, name), n);
}

static bool check_shape(struct sc_loader *l, const struct sc_tensor *w, uint64_t n_in, uint64_t n_out,
                        uint64_t n_matrices)
{
    if (w->shape[2] != n_matrices || w->shape[3] != 1) {
        l->status = sc_fail(l->err, SOCLE_BAD_FILE, "%s: tensor '%.*s': expected %llu matrices, found %llu",
                            sc_gguf_path(l->model->gguf), SC_TEXT_ARGS(w->name), (unsigned long long)n_matrices,
                            (unsigned long long)(w->shape[2] * w->shape[3]));
        return false;
    }
    if ((n_in == 0 || w->shape[0] == n_in) && (n_out == 0 || w->shape[1] == n_out)) return true;
    l->status = sc_fail(l->err, SOCLE_BAD_FILE, "%s: tensor '%.*s': expected %llu rows of %llu, found %llu of %llu",
                        sc_gguf_path(l->model->gguf), SC_TEXT_ARGS(w->name),
                        (unsigned long long)(n_out ? n_out : w->shape[1]),
                        (unsigned long long)(n_in ? n_in : w->shape[0]), (unsigned long long)w->shape[1],
                        (unsigned long long)w->shape[0]);
    return false;
}

struct sc_linear sc_load_linear(struct sc_loader *l, bool optional, uint32_t layer, const char *name, uint64_t n_in,
                                uint64_t n_out)
{
    return sc_load_matrices(l, optional, layer, name, n_in, n_out, 1);
}

struct sc_linear sc_load_matrices(struct sc_loader *l, bool optional, uint32_t layer, const char *name, uint64_t n_in,
                                  uint64_t n_out, uint64_t n_matrices)
{
    struct sc_linear linear = { .weight = sc_load_tensor(l, optional, "blk.%u.%s.weight", layer, name) };
    if (!linear.weight || !check_shape(l, linear.weight, n_in, n_out, n_matrices)) return linear;
    uint64_t n_rows = linear.weight->shape[1];
    linear.bias = sc_load_vector(l, true, n_rows * n_matrices, "blk.%u.%s.bias", layer, name);
    linear.scale = sc_load_vector(l, true, n_matrices, "blk.%u.%s.scale", layer, name);
    return linear;
}

struct sc_linear sc_load_ffn_matrices(struct sc_loader *l, bool optional, uint32_t layer, const char *name,
                                      uint64_t n_in, uint64_t n_out, uint64_t n_matrices)
{
    struct sc_linear linear = sc_load_matrices(l, optional, layer, name, n_in, n_out, n_matrices);
    if (!l->model->family->ffn_scale) linear.scale = NULL;
    if (!linear.scale || !linear.bias) return linear;
    uint64_t n_rows = linear.weight->shape[1], n = n_rows * linear.weight->shape[2];
    float *bias = sc_arena_array(&l->model->arena, n, sizeof *bias);
    if (!bias) l->status = sc_fail_memory(l->err, n * sizeof *bias, "a bias");
    for (uint64_t i = 0; bias && i < n; i++) bias[i] = linear.bias[i] * linear.scale[i / n_rows];
    linear.bias = bias;
    return linear;
}

struct sc_tensor *sc_load_new_tensor(struct sc_loader *l, struct sc_text name, uint64_t k, uint64_t n_rows,
                                     uint64_t n_matrices, float **data)
{
    struct sc_tensor *tensor = sc_arena_alloc(&l->model->arena, sizeof *tensor);
    uint64_t n_bytes = k * n_rows * n_matrices * sizeof(float);
    *data = sc_arena_alloc(&l->model->arena, n_bytes);
    if (!tensor || !*data) {
        l->status = sc_fail_memory(l->err, n_bytes, "weights that are rearranged at load");
        return NULL;
    }
    *tensor = (struct sc_tensor){ .name = name,
                                  .format = sc_format_find_name("F32"),
                                  .n_dims = 3,
                                  .shape = { k, n_rows, n_matrices, 1 },
                                  .data = *data,
                                  .n_bytes = n_bytes,
                                  .row_stride = k * sizeof(float),
                                  .matrix_stride = k * n_rows * sizeof(float) };
    return tensor;
}
