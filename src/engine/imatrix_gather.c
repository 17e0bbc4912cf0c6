// Gathering: after each product, the squares of its inputs are added up, element by element, in the order of the rows,
// in binary64. The order is that of the tokens, so the sums do not depend on threads or batches.
#include <stdlib.h>
#include <string.h>

#include "engine/imatrix_internal.h"
#include "program/op_types.h"

static bool is_product(const struct sc_op *op) { return op->type == &sc_op_linear || op->type == &sc_op_expert_linear; }

// Weights that were rearranged at load have other inputs than the file's tensor of that name would have. And a token
// table that also serves as output is read row by row, too, where every element counts alike.
static bool is_gathered(const struct sc_model *model, const struct sc_tensor *w)
{
    char name[SC_GGUF_TENSOR_NAME_BYTES_MAX + 1];
    if (w->name.n_bytes >= sizeof name || sc_text_is(w->name, "token_embd.weight")) return false;
    memcpy(name, w->name.data, w->name.n_bytes);
    name[w->name.n_bytes] = '\0';
    const struct sc_tensor *tensor = sc_gguf_find_tensor(model->gguf, name);
    return tensor && memcmp(tensor->shape, w->shape, sizeof w->shape) == 0;
}

static struct sc_imatrix_entry *entry_of(struct sc_imatrix *m, const struct sc_tensor *w, socle_error *err)
{
    for (uint32_t i = 0; i < m->n_entries; i++)
        if (sc_text_equal(m->entries[i].name, w->name)) return &m->entries[i];
    struct sc_imatrix_entry entry = { .name = w->name, .k = w->shape[0], .n_matrices = w->shape[2] * w->shape[3] };
    entry.sums = sc_arena_array(&m->arena, entry.k * entry.n_matrices, sizeof *entry.sums);
    entry.counts = sc_arena_array(&m->arena, entry.n_matrices, sizeof *entry.counts);
    if (!entry.sums || !entry.counts) {
        sc_fail_memory(err, entry.k * entry.n_matrices * sizeof *entry.sums, "an importance matrix");
        return NULL;
    }
    m->entries[m->n_entries] = entry;
    return &m->entries[m->n_entries++];
}

socle_status sc_imatrix_create(const struct sc_model *model, struct sc_imatrix **out, socle_error *err)
{
    const struct sc_program *program = &model->program;
    struct sc_imatrix *m = calloc(1, sizeof *m);
    if (!m) return sc_fail_memory(err, sizeof *m, "an importance matrix");
    m->entries = sc_arena_array(&m->arena, program->n_ops, sizeof *m->entries);
    m->by_op = sc_arena_array(&m->arena, program->n_ops, sizeof *m->by_op);
    socle_status status = m->entries && m->by_op
                              ? SOCLE_OK
                              : sc_fail_memory(err, program->n_ops * sizeof *m->entries, "an importance matrix");
    for (uint32_t i = 0; i < program->n_ops && status == SOCLE_OK; i++) {
        const struct sc_op *op = &program->ops[i];
        if (!is_product(op) || !is_gathered(model, op->linear.weight)) continue;
        m->by_op[i] = entry_of(m, op->linear.weight, err);
        if (!m->by_op[i]) status = SOCLE_NO_MEMORY;
    }
    if (status == SOCLE_OK && m->n_entries == 0)
        status = sc_fail(err, SOCLE_UNSUPPORTED, "%s: none of its products' weights lie as in the file",
                         sc_gguf_path(model->gguf));
    if (status == SOCLE_OK) *out = m;
    else sc_imatrix_free(m);
    return status;
}

bool sc_imatrix_wants_logits(const struct sc_imatrix *m)
{
    for (uint32_t i = 0; i < m->n_entries; i++)
        if (sc_text_is(m->entries[i].name, "output.weight")) return true;
    return false;
}

// Adds head h of sub-row `in` of the op's input, as it was multiplied with matrix m.
static void add_input(struct sc_imatrix_entry *entry, const struct sc_run *run, const struct sc_op *op, size_t in,
                      size_t h, size_t m)
{
    struct sc_value x = op->in[0];
    double *sums = entry->sums + m * entry->k;
    float row_scale = op->in[1].buffer == SC_NO_BUFFER ? 1.0f : *sc_run_f32(run, op->in[1], in, 0);
    double squared = (double)row_scale * (double)row_scale;
    entry->counts[m]++;
    if (run->program->buffers[x.buffer].element == SC_ELEMENT_Q8) {
        struct sc_panel panel = sc_run_panel(run, x, h, in / SC_PANEL);
        size_t c = in % SC_PANEL, n = panel.n;
        for (size_t i = 0; i < entry->k; i++) {
            double value = (double)panel.d[i / SC_SEGMENT * n + c] * (double)panel.q[(i / 4 * n + c) * 4 + i % 4];
            sums[i] += value * value * squared;
        }
    } else {
        const float *row = sc_run_f32(run, x, in, h);
        for (size_t i = 0; i < entry->k; i++) sums[i] += (double)row[i] * (double)row[i] * squared;
    }
}

static void observe_experts(struct sc_imatrix_entry *entry, const struct sc_run *run, const struct sc_op *op)
{
    size_t n_used = op->in[2].head_dim;
    bool by_slot = run->program->buffers[op->in[0].buffer].per_row != 1;
    for (size_t row = 0; row < run->n_rows; row++) {
        const int32_t *ids = sc_run_i32(run, op->in[2], row);
        for (size_t slot = 0; slot < n_used; slot++)
            add_input(entry, run, op, by_slot ? row * n_used + slot : row, 0, (size_t)ids[slot]);
    }
}

void sc_imatrix_observe(void *imatrix, const struct sc_run *run, const struct sc_op *op)
{
    struct sc_imatrix *m = imatrix;
    struct sc_imatrix_entry *entry = m->by_op[op - run->program->ops];
    if (!entry) return;
    if (op->type == &sc_op_expert_linear) {
        observe_experts(entry, run, op);
        return;
    }
    for (size_t row = 0, n = sc_run_n_sub_rows(run, op->out[0]); row < n; row++)
        for (size_t h = 0; h < entry->n_matrices; h++) add_input(entry, run, op, row, h, h);
}
