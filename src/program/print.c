// A program as text: one line per op, `%N` naming buffers.
//
//     12  %9 = linear %8:q8[2048], blk.0.attn_q.weight Q4_K [2048 x 2048] + bias
#include "program/program.h"

static void print_value(const struct sc_program *program, struct sc_value v, struct sc_buffer *out)
{
    static const char *const elements[] = {
        [SC_ELEMENT_F32] = "f32", [SC_ELEMENT_I32] = "i32", [SC_ELEMENT_Q8] = "q8"
    };
    sc_buffer_printf(out, "%%%d:%s[", v.buffer, elements[program->buffers[v.buffer].element]);
    if (v.n_heads > 1) sc_buffer_printf(out, "%u x ", v.n_heads);
    sc_buffer_printf(out, "%u]", v.head_dim);
    if (v.offset) sc_buffer_printf(out, "+%u", v.offset);
}

static void print_weight(const struct sc_linear *linear, struct sc_buffer *out)
{
    const struct sc_tensor *w = linear->weight;
    if (!w) return;
    sc_buffer_printf(out, ", %.*s %s [", SC_TEXT_ARGS(w->name), w->format->name);
    for (uint32_t d = 0; d < w->n_dims; d++)
        sc_buffer_printf(out, "%s%llu", d ? " x " : "", (unsigned long long)w->shape[d]);
    sc_buffer_printf(out, "]%s%s", linear->scale ? " x scale" : "", linear->bias ? " + bias" : "");
}

void sc_program_print(const struct sc_program *program, struct sc_buffer *out)
{
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const struct sc_op *op = &program->ops[i];
        sc_buffer_printf(out, "%5u  ", i);
        for (size_t o = 0, n = 0; o < 2; o++) {
            if (op->out[o].buffer == SC_NO_BUFFER) continue;
            if (n++) sc_buffer_printf(out, ", ");
            print_value(program, op->out[o], out);
        }
        sc_buffer_printf(out, "%s%s", op->out[0].buffer == SC_NO_BUFFER ? "" : " = ", op->type->name);
        for (size_t in = 0, n = 0; in < 3; in++) {
            if (op->in[in].buffer == SC_NO_BUFFER) continue;
            sc_buffer_printf(out, "%s", n++ ? ", " : " ");
            print_value(program, op->in[in], out);
        }
        print_weight(&op->linear, out);
        if (op->layer >= 0) sc_buffer_printf(out, ", cache %d", op->layer);
        if (op->type->print) op->type->print(op, out);
        sc_buffer_append_char(out, '\n');
    }
}

void sc_program_free(struct sc_program *program)
{
    sc_arena_free(&program->arena);
    *program = (struct sc_program){ 0 };
}
