// Tensors in GGUF's order. Each is a strided view of the source: four sizes, outermost first, and for each of them how
// many elements lie between neighbours. Matrices keep their element type, vectors become F32.
#include <string.h>

#include "base/size.h"
#include "models/hf_internal.h"
#include "tensor/half.h"

struct view {
    struct sc_hf *hf;
    const char *name;
    const struct sc_safetensors_tensor *const *from; // [n_from]; with several, size[0] counts them
    size_t n_from;
    uint64_t size[4], stride[4], offset; // in elements
    size_t element_bytes;
    bool to_f32;
    uint64_t f32_row; // elements of a row then
    float add;
};

float sc_hf_element_f32(const struct sc_safetensors_tensor *t, uint64_t i)
{
    const char *at = (const char *)t->data + i * sc_safetensors_type_bytes(t->type);
    uint32_t word;
    uint16_t half;
    if (t->type == SC_SAFETENSORS_F32) {
        memcpy(&word, at, sizeof word);
        return sc_f32_of_bits(word);
    }
    memcpy(&half, at, sizeof half);
    return t->type == SC_SAFETENSORS_F16 ? sc_half_to_f32(half) : sc_f32_of_bits((uint32_t)half << 16);
}

static const struct sc_safetensors_tensor *source_of(const struct view *v, uint64_t outer)
{
    return v->n_from == 1 ? v->from[0] : v->from[outer];
}

// Where the element lies in its source; `at` counts through all four sizes.
static uint64_t place(const struct view *v, uint64_t at, uint64_t *outer)
{
    uint64_t i[4];
    for (size_t d = 4; d-- > 0; at /= v->size[d]) i[d] = at % v->size[d];
    *outer = i[0];
    return v->offset + (v->n_from == 1 ? i[0] * v->stride[0] : 0) + i[1] * v->stride[1] + i[2] * v->stride[2] +
           i[3] * v->stride[3];
}

// Of a writing that takes long: told once a tensor.
static socle_status tell(const struct view *v, uint64_t row, uint64_t row_bytes, socle_error *err)
{
    struct sc_hf *hf = v->hf;
    const struct sc_hf_options *o = hf->options;
    if (row == 0 && o->on_progress && !o->on_progress(o->context, v->name, hf->n_done, hf->result->n_bytes))
        return sc_fail(err, SOCLE_CANCELLED, "stopped at tensor '%s'", v->name);
    hf->n_done += row_bytes;
    return SOCLE_OK;
}

static socle_status write_row(void *user, uint64_t row, void *out, socle_error *err)
{
    const struct view *v = user;
    uint64_t outer, n = v->to_f32 ? v->f32_row : v->size[3];
    SC_TRY(tell(v, row, n * (v->to_f32 ? sizeof(float) : v->element_bytes), err));
    if (v->to_f32) {
        for (uint64_t i = 0; i < n; i++) {
            uint64_t at = place(v, row * n + i, &outer);
            float x = sc_hf_element_f32(source_of(v, outer), at) + v->add;
            memcpy((char *)out + i * sizeof x, &x, sizeof x);
        }
        return SOCLE_OK;
    }
    uint64_t begin = place(v, row * n, &outer);
    const char *from = (const char *)source_of(v, outer)->data + begin * v->element_bytes;
    if (v->stride[3] == 1) memcpy(out, from, n * v->element_bytes);
    else
        for (uint64_t i = 0; i < n; i++)
            memcpy((char *)out + i * v->element_bytes, from + i * v->stride[3] * v->element_bytes, v->element_bytes);
    return SOCLE_OK;
}

static const struct sc_format *format_of(struct sc_hf *hf, const struct sc_safetensors_tensor *t)
{
    const char *name = sc_safetensors_type_name(t->type);
    bool is_float = t->type == SC_SAFETENSORS_F32 || t->type == SC_SAFETENSORS_F16 || t->type == SC_SAFETENSORS_BF16;
    if (is_float) return sc_format_find_name(name);
    sc_hf_fail(hf, SOCLE_UNSUPPORTED,
               "tensor '%.*s' is %s: expected F32, F16 or BF16 (quantized checkpoints are not read: take the original)",
               SC_TEXT_ARGS(t->name), name);
    return NULL;
}

static void set(struct view *v, const uint64_t size[4], const uint64_t stride[4])
{
    memcpy(v->size, size, sizeof v->size);
    memcpy(v->stride, stride, sizeof v->stride);
}

// The sizes of a source of [rows][columns], or [columns].
static void view_rotary(struct view *v, uint64_t rows, uint64_t columns, uint64_t heads)
{
    uint64_t half = heads ? rows / heads / 2 : 0;
    set(v, (uint64_t[]){ heads, half, 2, columns }, (uint64_t[]){ 2 * half * columns, columns, half * columns, 1 });
}

// False: the shape does not suit the order.
static bool view_of(struct sc_hf *hf, struct view *v, enum sc_hf_order order)
{
    const struct sc_safetensors_tensor *t = v->from[0];
    const uint64_t *s = t->shape;
    uint64_t heads = order == SC_HF_ROTARY_Q ? hf->n_head : hf->n_head_kv, both = hf->nope + hf->dim_v;
    if (order == SC_HF_SAME && t->n_dims <= 3) {
        uint64_t matrices = t->n_dims == 3 ? s[0] : v->n_from, rows = t->n_dims >= 2 ? s[t->n_dims - 2] : 1;
        uint64_t columns = t->n_dims ? s[t->n_dims - 1] : 1;
        set(v, (uint64_t[]){ matrices, 1, rows, columns }, (uint64_t[]){ rows * columns, 0, columns, 1 });
        return v->n_from == 1 || t->n_dims <= 2;
    }
    if (order == SC_HF_ROTARY_Q || order == SC_HF_ROTARY_K) {
        view_rotary(v, s[0], t->n_dims == 2 ? s[1] : 1, heads);
        return (t->n_dims == 1 || t->n_dims == 2) && heads && s[0] % (2 * heads) == 0;
    }
    if (order == SC_HF_EVEN || order == SC_HF_ODD) {
        v->offset = order == SC_HF_ODD;
        if (t->n_dims == 2) set(v, (uint64_t[]){ s[0], 1, 1, s[1] / 2 }, (uint64_t[]){ s[1], 0, 0, 2 });
        else set(v, (uint64_t[]){ s[0], 1, s[2] / 2, s[1] }, (uint64_t[]){ s[1] * s[2], 0, 2, s[2] });
        return (t->n_dims == 2 && s[1] % 2 == 0) || (t->n_dims == 3 && s[2] % 2 == 0);
    }
    if (order == SC_HF_TURNED) {
        set(v, (uint64_t[]){ s[0], 1, s[2], s[1] }, (uint64_t[]){ s[1] * s[2], 0, 1, s[2] });
        return t->n_dims == 3;
    }
    bool fits = t->n_dims == 2 && s[0] == hf->n_head * both && s[1] == hf->rank;
    if (order == SC_HF_LATENT_K)
        set(v, (uint64_t[]){ hf->n_head, 1, hf->rank, hf->nope }, (uint64_t[]){ both * hf->rank, 0, 1, hf->rank });
    else {
        v->offset = (uint64_t)hf->nope * hf->rank;
        set(v, (uint64_t[]){ hf->n_head, 1, hf->dim_v, hf->rank }, (uint64_t[]){ both * hf->rank, 0, hf->rank, 1 });
    }
    return fits;
}

// GGUF's shape, innermost first; its last dimensions of 1 are left out where the source had none.
static uint32_t shape_of(const struct view *v, enum sc_hf_order order, uint32_t n_dims, uint64_t shape[4])
{
    bool rotary = order == SC_HF_ROTARY_Q || order == SC_HF_ROTARY_K;
    bool matrices = v->n_from > 1 || n_dims == 3 || order == SC_HF_LATENT_K || order == SC_HF_LATENT_V;
    uint64_t rows = rotary ? v->size[0] * v->size[1] * v->size[2] : v->size[1] * v->size[2];
    if (rotary && n_dims == 1) {
        shape[0] = rows;
        return 1;
    }
    shape[0] = v->size[3];
    if (n_dims == 2 && (order == SC_HF_EVEN || order == SC_HF_ODD)) {
        shape[1] = v->size[0]; // biases, a row for each expert
        return 2;
    }
    shape[1] = rows;
    shape[2] = v->size[0];
    return matrices ? 3 : n_dims < 2 ? 1 : 2;
}

void sc_hf_add(struct sc_hf *hf, const char *name, const struct sc_safetensors_tensor *const *from, size_t n_from,
               enum sc_hf_order order, float add)
{
    if (hf->status != SOCLE_OK) return;
    const struct sc_safetensors_tensor *t = from[0];
    const struct sc_format *format = format_of(hf, t);
    struct view *v = sc_arena_alloc(&hf->arena, sizeof *v);
    uint64_t shape[4] = { 1, 1, 1, 1 };
    if (!format) return;
    if (!v) {
        hf->status = sc_fail_memory(hf->err, sizeof *v, "a tensor's view");
        return;
    }
    *v = (struct view){ .hf = hf, .name = name, .from = from, .n_from = n_from, .add = add };
    v->element_bytes = sc_safetensors_type_bytes(t->type);
    bool fits = t->n_dims >= 1 && t->n_dims <= 3;
    for (size_t i = 0; i < n_from; i++)
        fits = fits && from[i]->type == t->type && from[i]->n_bytes == t->n_bytes && from[i]->n_dims == t->n_dims;
    if (!fits || !view_of(hf, v, order)) {
        sc_hf_fail(hf, SOCLE_BAD_FILE, "tensor '%.*s': its shape does not suit %s", SC_TEXT_ARGS(t->name), name);
        return;
    }
    uint32_t n_dims = shape_of(v, order, t->n_dims, shape);
    // What is added or multiplied row by row is F32 in GGUF (norms, biases, sinks), and so are routers.
    bool is_bias = strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".bias") == 0;
    v->to_f32 = n_dims == 1 || is_bias || strstr(name, "ffn_gate_inp") != NULL;
    v->f32_row = shape[0];
    if (v->to_f32) format = sc_format_find_name("F32");
    hf->status = sc_gguf_writer_add_tensor_rows(hf->writer, name, format, n_dims, shape, write_row, v, hf->err);
    uint64_t n_elements = v->size[0] * v->size[1] * v->size[2] * v->size[3];
    hf->result->n_tensors++;
    hf->result->n_bytes += n_elements * (v->to_f32 ? 4 : v->element_bytes);
}
