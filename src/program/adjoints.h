// Declares the adjoint of every op that has one: sc_adjoint_<name>. Each lies in the adjoint_ file that is named like
// its op's ops_ file.
#ifndef SC_PROGRAM_ADJOINTS_H
#define SC_PROGRAM_ADJOINTS_H

#include "program/program.h"

extern const struct sc_adjoint sc_adjoint_embed, sc_adjoint_norm, sc_adjoint_linear, sc_adjoint_rope, sc_adjoint_attend,
    sc_adjoint_glu, sc_adjoint_add, sc_adjoint_scale, sc_adjoint_temperature, sc_adjoint_softcap, sc_adjoint_select,
    sc_adjoint_route, sc_adjoint_expert_linear, sc_adjoint_expert_sum, sc_adjoint_dropout, sc_adjoint_adapt;

#endif
