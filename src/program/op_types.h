// Declares the descriptor of every op: sc_op_<name>.
#ifndef SC_PROGRAM_OP_TYPES_H
#define SC_PROGRAM_OP_TYPES_H

#include "program/program.h"

#define SC_OP(name) extern const struct sc_op_type sc_op_##name;
#include "program/ops.h"
#undef SC_OP

#endif
