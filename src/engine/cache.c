#include "engine/cache.h"

#include "base/size.h"

enum { ALIGNMENT = 64 };

// Bytes of one head's keys (rounded up to groups of lanes) or values.
static uint64_t head_bytes(size_t dim, size_t n_positions, enum sc_cache_format format)
{
    return sc_align_up(sc_align_up(n_positions, SC_LANES) * sc_cache_row_bytes(format, dim), ALIGNMENT);
}

uint64_t sc_cache_bytes(const struct sc_program *program, size_t n_positions, enum sc_cache_format format)
{
    uint64_t n_bytes = 0;
    bool fits = true;
    for (uint32_t i = 0; i < program->n_layers; i++) {
        const struct sc_cache_layer *layer = &program->layers[i];
        uint64_t heads = head_bytes(layer->dim_k, n_positions, format) + head_bytes(layer->dim_v, n_positions, format);
        fits = fits && sc_u64_mul(heads, layer->n_heads, &heads) && sc_u64_add(n_bytes, heads, &n_bytes);
    }
    return fits ? n_bytes : UINT64_MAX / 2;
}

void sc_cache_place(const struct sc_program *program, size_t n_positions, enum sc_cache_format format, char *memory,
                    struct sc_kv_layer *layers)
{
    char *at = memory;
    for (uint32_t i = 0; i < program->n_layers; i++) {
        const struct sc_cache_layer *layer = &program->layers[i];
        uint64_t k_bytes = head_bytes(layer->dim_k, n_positions, format);
        uint64_t v_bytes = head_bytes(layer->dim_v, n_positions, format);
        struct sc_kv head0 = { .k = at, .dim_k = layer->dim_k, .dim_v = layer->dim_v, .format = format };
        at += layer->n_heads * k_bytes;
        if (layer->dim_v) head0.v = at;
        at += layer->n_heads * v_bytes;
        layers[i] = (struct sc_kv_layer){ head0, k_bytes, v_bytes };
    }
}
