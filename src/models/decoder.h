// The decoder that all families share, and the attention blocks that they choose from.
#ifndef SC_MODELS_DECODER_H
#define SC_MODELS_DECODER_H

#include "models/loader.h"

// Records the whole program: embedding, layers, logits.
void sc_decoder_build(struct sc_loader *l);

// Attention blocks: x is the normalized residual.
struct sc_value sc_attention_grouped(struct sc_loader *l, uint32_t layer, struct sc_value x); // decoder.c
struct sc_value sc_attention_latent(struct sc_loader *l, uint32_t layer, struct sc_value x);  // latent.c

// Feed-forward blocks.
struct sc_value sc_ffn_dense(struct sc_loader *l, uint32_t layer, struct sc_value x);   // decoder.c
struct sc_value sc_ffn_experts(struct sc_loader *l, uint32_t layer, struct sc_value x); // experts.c

// The gated feed-forward of any width: "ffn_gate<suffix>", "ffn_up<suffix>", "ffn_down<suffix>".
struct sc_value sc_ffn_gated(struct sc_loader *l, uint32_t layer, struct sc_value x, const char *suffix);

#endif
