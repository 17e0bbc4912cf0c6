// Building a program: each function records one op and returns its value. A family's forward pass calls these in the
// order of its paper.
//
// The builder hides two things. A norm's 1/rms is not applied at once but rides along and multiplies the products of
// what was normalized; any other reader gets the norm applied. And a quantized product's input is quantized once,
// whoever reads it first. Memory and shape failures are sticky: builder.status tells at the end.
#ifndef SC_PROGRAM_BUILD_H
#define SC_PROGRAM_BUILD_H

#include "program/program.h"

// Low-rank changes to products (Hu et al., arXiv:2106.09685): y = W x + factor * B (A x).
struct sc_adapter_pair {
    const struct sc_tensor *a, *b; // [k, rank], [rank, rows]
    float dropout;                 // of x, while training
};
struct sc_adapters {
    uint32_t n;
    // The pair that adapter i has for a weight of this name; false: none.
    bool (*find)(const struct sc_adapters *adapters, uint32_t i, struct sc_text weight, struct sc_adapter_pair *out);
};

struct sc_builder {
    struct sc_program *program;
    socle_status status;
    socle_error *err;
    int32_t *quantized;                 // [buffers_capacity]: the q8 twin of a buffer, or SC_NO_BUFFER
    const struct sc_adapters *adapters; // of products with one matrix; NULL: none
    struct sc_value stored_k, stored_v; // by the last store op, which the next attention reads
};

void sc_build_begin(struct sc_builder *b, struct sc_program *program, uint32_t n_layers, socle_error *err);
// Names the logits and ends the program. Returns the first failure.
socle_status sc_build_end(struct sc_builder *b, struct sc_value logits);

// Views.
struct sc_value sc_value_heads(struct sc_value v, uint32_t n_heads);                      // the same elements, cut
struct sc_value sc_value_flat(struct sc_value v);                                         // heads joined again
struct sc_value sc_value_slice(struct sc_value v, uint32_t offset, uint32_t n);           // of every head
struct sc_value sc_build_room(struct sc_builder *b, uint32_t n_heads, uint32_t head_dim); // to be written by parts

struct sc_value sc_build_embed(struct sc_builder *b, const struct sc_tensor *table);
// RMS norm of every head; w has head_dim elements or is NULL.
struct sc_value sc_build_norm(struct sc_builder *b, struct sc_value x, const float *w, float eps);
void sc_build_norm_into(struct sc_builder *b, struct sc_value x, const float *w, float eps, struct sc_value out);
// A product with one matrix, or with a matrix per head; adapters' changes are added.
struct sc_value sc_build_linear(struct sc_builder *b, struct sc_value x, struct sc_linear linear);
void sc_build_linear_into(struct sc_builder *b, struct sc_value x, struct sc_linear linear, struct sc_value out);
struct sc_value sc_build_rope(struct sc_builder *b, struct sc_value x, const struct sc_rope_table *table);
void sc_build_rope_into(struct sc_builder *b, struct sc_value x, const struct sc_rope_table *table,
                        struct sc_value out);
// Keeps k and v of this batch in the cache of `layer`; v.buffer == SC_NO_BUFFER: the values are inside the keys.
void sc_build_store(struct sc_builder *b, uint32_t layer, struct sc_value k, struct sc_value v);
struct sc_attention {
    float scale, softcap; // softcap 0: none
    uint32_t window;      // positions seen, the query's own included; 0: all
    const float *sinks;   // [n_heads] or NULL
};
// q: [n_head x dim_k] against the layer's cache; the result is [n_head x dim_v].
struct sc_value sc_build_attend(struct sc_builder *b, uint32_t layer, struct sc_value q, uint32_t dim_v,
                                struct sc_attention how);
struct sc_value sc_build_glu(struct sc_builder *b, enum sc_activation activation, struct sc_value gate,
                             struct sc_value up);
struct sc_value sc_build_add(struct sc_builder *b, struct sc_value x, struct sc_value y);
struct sc_value sc_build_scale(struct sc_builder *b, struct sc_value x, float factor); // factor 1: x itself
// x * (1 + scale * ln(1 + floor(position / length))): attention temperature by position.
struct sc_value sc_build_temperature(struct sc_builder *b, struct sc_value x, float scale, uint32_t length);
struct sc_value sc_build_softcap(struct sc_builder *b, struct sc_value x, float cap);
// Training: some elements become 0, by chance; rate 0: x itself.
struct sc_value sc_build_dropout(struct sc_builder *b, struct sc_value x, float rate);
// Says that x, a norm's result, is the hidden state that the logits come from.
void sc_build_hidden(struct sc_builder *b, struct sc_value x);
// Only the rows whose results are wanted.
struct sc_value sc_build_select(struct sc_builder *b, struct sc_value x);

struct sc_routing {
    uint32_t n_experts, n_used, n_groups, n_groups_used;
    enum sc_gating gating;
    bool normalize;
    float scale;
    const float *bias;
};
struct sc_route_values {
    struct sc_value ids, weights; // [n_used] each
};
struct sc_route_values sc_build_route(struct sc_builder *b, struct sc_value logits, struct sc_routing how);
// x: one row for each token, or one for each of its experts. The result has one for each expert.
struct sc_value sc_build_expert_linear(struct sc_builder *b, struct sc_value x, struct sc_value ids,
                                       struct sc_linear linear);
struct sc_value sc_build_expert_sum(struct sc_builder *b, struct sc_value x, struct sc_value weights);

#endif
