// The table of one level: the kernels over lanes where the level has a vocabulary for them, else the reference
// kernels, all compiled for that level. What a level is comes from its cpu.h: LEVEL_DESCRIPTION and supported().
#include "kernels/lanes/lanes.h"

#include "cpu.h"

#define LEVEL_NAME2(level) #level
#define LEVEL_NAME(level) LEVEL_NAME2(level)

#if defined(SC_LEVEL_HAS_LANES)
#define FAST(name) SC_LANES_NAME(name)
#else
#define FAST(name) SC_REF(name)
#endif

extern const struct sc_kernels SC_REF(kernels);
const struct sc_kernels SC_REF(kernels) = {
    .name = LEVEL_NAME(SC_LEVEL),
    .description = LEVEL_DESCRIPTION,
    .supported = supported,
    .matmul_float = FAST(matmul_float),
    .matmul_quantized = FAST(matmul_quantized),
    .finish = SC_REF(finish),
    .quantize = SC_REF(quantize),
    .norm = SC_REF(norm),
    .rope_angles = SC_REF(rope_angles),
    .rope = SC_REF(rope),
    .store = SC_REF(store),
    .attend = FAST(attend),
    .attend_join = SC_REF(attend_join),
    .attend_finish = SC_REF(attend_finish),
    .glu = SC_REF(glu),
    .add = SC_REF(add),
    .scale = SC_REF(scale),
    .softcap = SC_REF(softcap),
    .weigh = SC_REF(weigh),
    .route = SC_REF(route),
    .expert_sum = SC_REF(expert_sum),
    .gemm = FAST(gemm),
    .transpose = SC_REF(transpose),
    .norm_adjoint = SC_REF(norm_adjoint),
    .glu_adjoint = SC_REF(glu_adjoint),
    .route_adjoint = SC_REF(route_adjoint),
    .softcap_adjoint = SC_REF(softcap_adjoint),
    .softmax_adjoint = SC_REF(softmax_adjoint),
    .dot = SC_REF(dot),
    .add_scaled = SC_REF(add_scaled),
    .add_products = SC_REF(add_products),
    .log_sum = SC_REF(log_sum),
    .shares = SC_REF(shares),
    .adamw = SC_REF(adamw),
    .square_sum = SC_REF(square_sum),
    .dropout = SC_REF(dropout),
    .peak_int8 = FAST(peak_int8),
    .peak_f32 = FAST(peak_f32),
};
