// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1), with the weights absorbed.
//
// A position keeps one latent c (kv_lora_rank) and one turned key part r (n_rot) for all heads. Keys would be
// W_k c and values W_v c; instead each head's query goes through W_k first and its answer through W_v last:
//
//     q = [q_nope | q_rope]        (plain product, or down and up again through q_lora)
//     score = (W_k^T q_nope) . c + rope(q_rope) . r          the cache is read as it lies: [c | r]
//     answer = W_v (sum of weights * c)
#include "models/decoder.h"

#include <string.h>

// The absorbed products of a layer: k_b [nope, rank] and v_b [rank, v] for each head.
struct absorbed {
    struct sc_linear k_b, v_b;
};

// Old files keep W_k and W_v of each head as rows of one matrix, attn_kv_b: W_k must be turned around.
static void split(struct sc_loader *l, const struct sc_tensor *kv_b, struct absorbed *out)
{
    const struct sc_hparams *h = l->h;
    uint64_t rank = h->kv_lora_rank, nope = h->head_dim_k_mla - h->n_rot, dim_v = h->head_dim_v_mla;
    if (kv_b->shape[0] != rank || kv_b->shape[1] != h->n_head * (nope + dim_v) || rank % kv_b->format->block_size) {
        l->status = sc_fail(l->err, SOCLE_BAD_FILE, "tensor '%.*s': expected shape [%llu, %llu], found [%llu, %llu]",
                            SC_TEXT_ARGS(kv_b->name), (unsigned long long)rank,
                            (unsigned long long)(h->n_head * (nope + dim_v)), (unsigned long long)kv_b->shape[0],
                            (unsigned long long)kv_b->shape[1]);
        return;
    }
    if (kv_b->packed) {
        sc_load_fail_packed(l, kv_b);
        return;
    }
    float *data, *row = sc_arena_array(&l->model->arena, rank, sizeof *row);
    struct sc_tensor *k_b = sc_load_new_tensor(l, kv_b->name, nope, rank, h->n_head, &data);
    struct sc_tensor *v_b = sc_arena_alloc(&l->model->arena, sizeof *v_b);
    if (!row || !k_b || !v_b) {
        if (l->status == SOCLE_OK)
            l->status = sc_fail_memory(l->err, rank * sizeof *row, "weights that are rearranged at load");
        return;
    }
    for (uint64_t head = 0; head < h->n_head; head++)
        for (uint64_t i = 0; i < nope; i++) {
            kv_b->format->decode(sc_tensor_row(kv_b, 0, head * (nope + dim_v) + i), row,
                                 rank / kv_b->format->block_size);
            for (uint64_t j = 0; j < rank; j++) data[(head * rank + j) * nope + i] = row[j];
        }
    *v_b = *kv_b;
    v_b->data = sc_tensor_row(kv_b, 0, nope);
    v_b->n_dims = 3;
    v_b->shape[1] = dim_v;
    v_b->shape[2] = h->n_head;
    v_b->matrix_stride = (nope + dim_v) * kv_b->row_stride;
    *out = (struct absorbed){ { .weight = k_b }, { .weight = v_b } };
}

static struct absorbed load_absorbed(struct sc_loader *l, uint32_t layer)
{
    uint32_t rank = l->h->kv_lora_rank;
    struct absorbed out = { sc_load_matrices(l, true, layer, "attn_k_b", l->h->head_dim_k_mla - l->h->n_rot, rank,
                                             l->h->n_head),
                            sc_load_matrices(l, true, layer, "attn_v_b", rank, l->h->head_dim_v_mla, l->h->n_head) };
    if (out.k_b.weight && out.v_b.weight) return out;
    const struct sc_tensor *kv_b = sc_load_tensor(l, false, "blk.%u.attn_kv_b.weight", layer);
    if (kv_b) split(l, kv_b, &out);
    return out;
}

static struct sc_value queries(struct sc_loader *l, uint32_t layer, struct sc_value x)
{
    uint64_t width = (uint64_t)l->h->n_head * l->h->head_dim_k_mla;
    struct sc_linear plain = sc_load_linear(l, true, layer, "attn_q", l->h->n_embd, width);
    if (l->status != SOCLE_OK) return x;
    if (plain.weight) return sc_build_linear(&l->b, x, plain); // the "lite" models
    struct sc_linear a = sc_load_linear(l, false, layer, "attn_q_a", l->h->n_embd, 0);
    struct sc_linear up = sc_load_linear(l, false, layer, "attn_q_b", 0, width);
    if (l->status != SOCLE_OK) return x;
    const float *w = sc_load_vector(l, false, a.weight->shape[1], "blk.%u.attn_q_a_norm.weight", layer);
    if (!w) return x;
    return sc_build_linear(&l->b, sc_build_norm(&l->b, sc_build_linear(&l->b, x, a), w, l->h->rms_eps), up);
}

static bool check(struct sc_loader *l, struct sc_value q, struct sc_value kv)
{
    const struct sc_hparams *h = l->h;
    bool ok = h->kv_lora_rank > 0 && h->head_dim_k_mla > h->n_rot && h->head_dim_v_mla > 0 &&
              h->kv_lora_rank + h->n_rot <= SC_HEAD_DIM_MAX && q.head_dim == h->n_head * h->head_dim_k_mla &&
              kv.head_dim == h->kv_lora_rank + h->n_rot;
    if (!ok && l->status == SOCLE_OK)
        l->status = sc_fail(
            l->err, SOCLE_BAD_FILE,
            "latent attention's sizes contradict each other: rank %u, rotary %u, heads %u of %u and %u, "
            "but queries of %u and a latent of %u",
            h->kv_lora_rank, h->n_rot, h->n_head, h->head_dim_k_mla, h->head_dim_v_mla, q.head_dim, kv.head_dim);
    return ok && l->status == SOCLE_OK;
}

struct sc_value sc_attention_latent(struct sc_loader *l, uint32_t layer, struct sc_value x)
{
    const struct sc_hparams *h = l->h;
    struct sc_builder *b = &l->b;
    uint32_t rank = h->kv_lora_rank, n_rot = h->n_rot, nope = h->head_dim_k_mla - n_rot;
    struct sc_linear kv_a = sc_load_linear(l, false, layer, "attn_kv_a_mqa", h->n_embd, rank + n_rot);
    struct sc_linear out = sc_load_linear(l, false, layer, "attn_output", (uint64_t)h->n_head * h->head_dim_v_mla,
                                          h->n_embd);
    const float *kv_norm = sc_load_vector(l, false, rank, "blk.%u.attn_kv_a_norm.weight", layer);
    struct sc_value q = queries(l, layer, x);
    if (l->status != SOCLE_OK) return x;
    struct sc_value kv = sc_build_linear(b, x, kv_a);
    if (!check(l, q, kv)) return x;
    struct absorbed w = load_absorbed(l, layer);
    if (l->status != SOCLE_OK) return x;

    struct sc_value key = sc_build_room(b, 1, rank + n_rot);
    sc_build_norm_into(b, sc_value_slice(kv, 0, rank), kv_norm, h->rms_eps, sc_value_slice(key, 0, rank));
    sc_build_rope_into(b, sc_value_slice(kv, rank, n_rot), l->rope, sc_value_slice(key, rank, n_rot));

    q = sc_value_heads(q, h->n_head);
    struct sc_value query = sc_build_room(b, h->n_head, rank + n_rot);
    sc_build_linear_into(b, sc_value_slice(q, 0, nope), w.k_b, sc_value_slice(query, 0, rank));
    sc_build_rope_into(b, sc_value_slice(q, nope, n_rot), l->rope, sc_value_slice(query, rank, n_rot));
    if (h->temperature_scale != 0.0f)
        query = sc_build_temperature(b, query, h->temperature_scale, h->temperature_length);

    sc_build_store(b, layer, key, (struct sc_value){ .buffer = SC_NO_BUFFER });
    struct sc_value y = sc_build_attend(b, layer, query, rank, (struct sc_attention){ .scale = h->attn_scale });
    return sc_build_linear(b, sc_build_linear(b, y, w.v_b), out);
}
