// The families of models. To add one: a row in families.c, and a description beside decoder.c if its shape is new.
#ifndef SC_MODELS_FAMILIES_H
#define SC_MODELS_FAMILIES_H

#include "models/hparams.h"
#include "program/build.h"

struct sc_loader;

// What distinguishes a family from the plain Llama decoder. Optional tensors (biases, q/k norms, post-norms, sinks,
// experts, fused products) are recognized by their presence and need no row here.
struct sc_family {
    const char *name;    // general.architecture
    const char *example; // models of it, for people
    bool rope_halves;    // pairs (j, j + n/2), "NeoX" style, rather than (2j, 2j + 1)
    enum sc_activation activation;
    enum sc_gating gating; // when the file does not say; 0: softmax, or sigmoid where choices are biased
    bool expert_norm;      // chosen experts' weights are made to sum to 1, when the file does not say
    bool ffn_scale;        // the feed-forward honours ".scale" tensors, as llama.cpp 0.5.0 does in these families only
    const char *ffn_norm;  // its tensor's name; NULL: "ffn_norm"
    uint32_t window;       // positions that a layer with a window sees, when the file does not say
    uint32_t window_pattern; // one layer in so many sees everything; 0: no windows; 1: all layers have one
    bool attn_softcap, final_softcap;
    // What data cannot say; NULL for most.
    void (*adjust)(struct sc_hparams *h);
    // The attention block: x is normalized, the result is added to the residual.
    struct sc_value (*attention)(struct sc_loader *l, uint32_t layer, struct sc_value x);
};

const struct sc_family *sc_family_find(struct sc_text name);
const struct sc_family *sc_family_at(size_t i); // NULL past the last
// "llama, qwen2, …" into out.
void sc_family_names(struct sc_buffer *out);

#endif
