// The reference kernels: plain C that is the specification. The same source is compiled once per level, with
// SC_LEVEL naming it, so every function's symbol ends in the level's name.
#ifndef SC_KERNELS_REF_REF_H
#define SC_KERNELS_REF_REF_H

#include "kernels/kernels.h"

#define SC_REF_JOIN2(name, level) sc_##name##_##level
#define SC_REF_JOIN(name, level) SC_REF_JOIN2(name, level)
#define SC_REF(name) SC_REF_JOIN(name, SC_LEVEL)

void SC_REF(matmul_float)(const struct sc_matmul *args);
void SC_REF(matmul_quantized)(const struct sc_matmul *args);
void SC_REF(finish)(float *y, size_t n, float a, float b, const float *bias);
void SC_REF(quantize)(const float *const *x, size_t k, const struct sc_panel *out);
float SC_REF(norm)(const struct sc_norm *args);
void SC_REF(rope_angles)(const uint64_t *turns, size_t n_pairs, uint32_t position, float gain, float *cos, float *sin);
void SC_REF(rope)(const struct sc_rope *args);
void SC_REF(store)(const struct sc_kv *kv, size_t position, const float *k, const float *v);
void SC_REF(attend)(const struct sc_attend *args);
void SC_REF(attend_join)(float *a, const float *b, size_t dim_v);
void SC_REF(attend_finish)(const float *node, const float *sink, float *y, size_t dim_v);
void SC_REF(glu)(enum sc_activation activation, const float *gate, const float *up, float *y, size_t n);
void SC_REF(add)(const float *a, const float *b, float *y, size_t n);
void SC_REF(scale)(const float *x, float factor, float *y, size_t n);
void SC_REF(softcap)(const float *x, float cap, float *y, size_t n);
void SC_REF(weigh)(const float *x, float max, float factor, float *y, size_t n);
void SC_REF(route)(const struct sc_route *args);
void SC_REF(expert_sum)(const float *x, size_t stride, const float *weights, size_t n_used, float *y, size_t n);
void SC_REF(gemm)(const struct sc_gemm *args);
void SC_REF(transpose)(const struct sc_transpose *args);
void SC_REF(norm_adjoint)(const float *x, const float *w, float r, const float *dy, float *dx, size_t n);
void SC_REF(glu_adjoint)(enum sc_activation activation, const float *gate, const float *up, const float *dy,
                         float *d_gate, float *d_up, size_t n);
void SC_REF(route_adjoint)(const struct sc_route *args, const float *d_weights, float *d_logits);
void SC_REF(softcap_adjoint)(const float *y, float cap, const float *dy, float *dx, size_t n);
void SC_REF(softmax_adjoint)(const struct sc_softmax_adjoint *args);
float SC_REF(dot)(const float *x, const float *y, size_t n);
void SC_REF(add_scaled)(const float *x, float factor, float *y, size_t n);
void SC_REF(add_products)(const float *a, const float *b, float factor, float *y, size_t n);
void SC_REF(log_sum)(const float *x, size_t n, float *max, float *sum);
void SC_REF(shares)(float *x, size_t n, float max, float factor);
void SC_REF(adamw)(const struct sc_adamw *args);
double SC_REF(square_sum)(const float *x, size_t n);
void SC_REF(dropout)(const float *x, float *y, size_t n, uint64_t key, uint64_t counter, float keep);
int64_t SC_REF(peak_int8)(size_t n);
float SC_REF(peak_f32)(size_t n);

#endif
