// Weights under Hugging Face's names and in its order: hf_names.c and hf_tensors.c backwards.
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "formats/safetensors_writer.h"
#include "models/hf_export.h"
#include "tensor/half.h"

struct walk {
    struct sc_hf_export *x;
    struct sc_safetensors_writer *writer;
    bool *used; // [n] tensors of the GGUF file
};

// A tensor of the folder: a strided view of one of the file, or of two.
struct view {
    struct sc_hf_export *x;
    const char *name;
    const struct sc_tensor *from, *other; // `other`: every other column (interleaved), or the values beside keys
    uint64_t size[4], stride[4], offset;  // elements, outermost first
    uint64_t nope, dim_v;                 // of kv_b; 0: it is none
    size_t element_bytes;
    float add;
};

static const char *at(const struct sc_tensor *t, uint64_t i, size_t element_bytes)
{
    return (const char *)t->data + i * element_bytes;
}

// Row r of kv_b: of each head nope rows of keys, turned, then dim_v of values.
static void write_latent(const struct view *v, uint64_t row, char *out)
{
    uint64_t both = v->nope + v->dim_v, head = row / both, r = row % both, rank = v->size[3];
    if (r >= v->nope) {
        memcpy(out, at(v->other, (head * v->dim_v + r - v->nope) * rank, v->element_bytes), rank * v->element_bytes);
        return;
    }
    for (uint64_t j = 0; j < rank; j++)
        memcpy(out + j * v->element_bytes, at(v->from, (head * rank + j) * v->nope + r, v->element_bytes),
               v->element_bytes);
}

static socle_status write_row(void *user, uint64_t row, void *out, socle_error *err)
{
    const struct view *v = user;
    struct sc_hf_export *x = v->x;
    uint64_t n = v->size[3], rest = row, i[3];
    if (row == 0 && x->options->on_progress &&
        !x->options->on_progress(x->options->context, v->name, x->n_done, x->result->n_bytes))
        return sc_fail(err, SOCLE_CANCELLED, "stopped at tensor '%s'", v->name);
    x->n_done += n * v->element_bytes;
    if (v->nope) {
        write_latent(v, row, out);
        return SOCLE_OK;
    }
    for (size_t d = 3; d-- > 0; rest /= v->size[d]) i[d] = rest % v->size[d];
    uint64_t begin = v->offset + i[0] * v->stride[0] + i[1] * v->stride[1] + i[2] * v->stride[2];
    bool whole = !v->other && v->stride[3] == 1;
    if (whole) memcpy(out, at(v->from, begin, v->element_bytes), n * v->element_bytes);
    for (uint64_t j = 0; j < n && !whole; j++) {
        const struct sc_tensor *from = v->other && j % 2 ? v->other : v->from;
        uint64_t step = v->other ? j / 2 : j;
        memcpy((char *)out + j * v->element_bytes, at(from, begin + step * v->stride[3], v->element_bytes),
               v->element_bytes);
    }
    for (uint64_t j = 0; j < n && v->add != 0.0f; j++) { // norms, F32
        float value;
        memcpy(&value, (char *)out + 4 * j, sizeof value);
        value += v->add;
        memcpy((char *)out + 4 * j, &value, sizeof value);
    }
    return SOCLE_OK;
}

static void set(struct view *v, const uint64_t size[4], const uint64_t stride[4])
{
    memcpy(v->size, size, sizeof v->size);
    memcpy(v->stride, stride, sizeof v->stride);
}

// The view of the rule's tensor, and its shape there; n_dims 0: it does not suit.
static uint32_t view_of(const struct sc_hf_export *x, struct view *v, enum sc_hf_order order, int64_t expert,
                        uint64_t shape[4])
{
    const struct sc_tensor *t = v->from;
    uint64_t k = t->shape[0], rows = t->shape[1], matrices = t->shape[2];
    uint64_t heads = order == SC_HF_ROTARY_Q ? x->h.n_head : x->h.n_head_kv;
    memcpy(shape, (uint64_t[]){ matrices, rows, k, 0 }, 4 * sizeof *shape);
    if (expert >= 0 || (order == SC_HF_SAME && t->n_dims <= 2)) {
        v->offset = expert > 0 ? (uint64_t)expert * k * rows : 0;
        set(v, (uint64_t[]){ 1, 1, rows, k }, (uint64_t[]){ 0, 0, k, 1 });
        memcpy(shape, (uint64_t[]){ rows, k, 0, 0 }, 4 * sizeof *shape);
        if (t->n_dims > 1) return 2;
        shape[0] = k;
        return 1;
    }
    if (order == SC_HF_ROTARY_Q || order == SC_HF_ROTARY_K) {
        uint64_t n_rows = t->n_dims == 1 ? k : rows, columns = t->n_dims == 1 ? 1 : k, half = n_rows / heads / 2;
        if (n_rows % (2 * heads)) return 0;
        set(v, (uint64_t[]){ heads, 2, half, columns }, (uint64_t[]){ 2 * half * columns, columns, 2 * columns, 1 });
        memcpy(shape, (uint64_t[]){ n_rows, columns, 0, 0 }, 4 * sizeof *shape);
        if (t->n_dims > 1) return 2;
        set(v, (uint64_t[]){ 1, 1, 1, k }, (uint64_t[]){ 0, 0, 0, 1 }); // biases: row by row below
        return 1;
    }
    if (order == SC_HF_EVEN && v->other) {
        if (t->n_dims == 2) {
            set(v, (uint64_t[]){ 1, 1, rows, 2 * k }, (uint64_t[]){ 0, 0, k, 1 });
            memcpy(shape, (uint64_t[]){ rows, 2 * k, 0, 0 }, 4 * sizeof *shape);
            return 2;
        }
        set(v, (uint64_t[]){ 1, matrices, k, 2 * rows }, (uint64_t[]){ 0, k * rows, 1, k });
        memcpy(shape, (uint64_t[]){ matrices, k, 2 * rows, 0 }, 4 * sizeof *shape);
        return 3;
    }
    if (order == SC_HF_TURNED) {
        set(v, (uint64_t[]){ 1, matrices, k, rows }, (uint64_t[]){ 0, k * rows, 1, k });
        memcpy(shape, (uint64_t[]){ matrices, k, rows, 0 }, 4 * sizeof *shape);
        return 3;
    }
    if (order != SC_HF_LATENT_K || !v->other) return 0;
    v->nope = k;
    v->dim_v = v->other->shape[1];
    set(v, (uint64_t[]){ 1, 1, matrices * (k + v->dim_v), rows }, (uint64_t[]){ 0, 0, 0, 1 });
    memcpy(shape, (uint64_t[]){ matrices * (k + v->dim_v), rows, 0, 0 }, 4 * sizeof *shape);
    return 2;
}

static enum sc_safetensors_type type_of(struct sc_hf_export *x, const struct sc_tensor *t)
{
    static const enum sc_safetensors_type types[] = { SC_SAFETENSORS_F32, SC_SAFETENSORS_F16, SC_SAFETENSORS_BF16 };
    for (size_t i = 0; i < SC_COUNT(types) && !t->packed; i++)
        if (strcmp(t->format->name, sc_safetensors_type_name(types[i])) == 0) return types[i];
    if (x->status == SOCLE_OK)
        x->status = sc_fail(x->err, SOCLE_UNSUPPORTED,
                            "%s: tensor '%.*s' is %s%s: only F32, F16 and BF16 can be written back",
                            sc_gguf_path(x->gguf), SC_TEXT_ARGS(t->name), t->packed ? "packed " : "", t->format->name);
    return SC_SAFETENSORS_F32;
}

static const struct sc_tensor *find(struct walk *w, const char *name)
{
    const struct sc_tensor *t = sc_gguf_find_tensor(w->x->gguf, name);
    for (uint64_t i = 0; t && i < sc_gguf_n_tensors(w->x->gguf); i++)
        if (sc_gguf_tensor_at(w->x->gguf, i) == t) {
            if (w->used[i]) return NULL; // another rule took it
            w->used[i] = true;
        }
    return t;
}

// A rotary bias has one row, whose elements change places: it is rearranged here, being small.
static const struct sc_tensor *turned_bias(struct walk *w, const struct sc_tensor *t, uint64_t heads)
{
    struct sc_tensor *copy = sc_arena_alloc(&w->x->arena, sizeof *copy);
    float *values = sc_arena_array(&w->x->arena, t->shape[0], sizeof *values);
    uint64_t n = t->shape[0];
    if (!copy || !values || n % (2 * heads)) return NULL;
    for (uint64_t i = 0; i < n; i++) memcpy(&values[i], at(t, sc_hf_row_in_pairs(i, n, heads), 4), 4);
    *copy = *t;
    copy->data = values;
    return copy;
}

static void add(struct walk *w, const char *theirs, const struct sc_tensor *t, const struct sc_tensor *other,
                enum sc_hf_order order, int64_t expert, float plus)
{
    struct sc_hf_export *x = w->x;
    bool rotary = order == SC_HF_ROTARY_Q || order == SC_HF_ROTARY_K;
    if (rotary && !x->family->pairs) order = SC_HF_SAME;
    if (rotary && order != SC_HF_SAME && t->n_dims == 1) {
        t = turned_bias(w, t, order == SC_HF_ROTARY_Q ? x->h.n_head : x->h.n_head_kv);
        order = SC_HF_SAME;
    }
    struct view *v = sc_arena_alloc(&x->arena, sizeof *v);
    uint64_t shape[4], n = 1;
    if (!v || !t) {
        if (x->status == SOCLE_OK) x->status = sc_fail_memory(x->err, sizeof *v, "a tensor's view");
        return;
    }
    *v = (struct view){
        .x = x, .name = sc_arena_text(&x->arena, theirs, strlen(theirs)), .from = t, .other = other, .add = plus
    };
    enum sc_safetensors_type type = type_of(x, t);
    v->element_bytes = sc_safetensors_type_bytes(type);
    uint32_t n_dims = view_of(x, v, order, expert, shape);
    if (x->status == SOCLE_OK && (!n_dims || (other && other->format != t->format)))
        x->status = sc_fail(x->err, SOCLE_BAD_FILE, "%s: the shape of tensor '%.*s' does not suit '%s'",
                            sc_gguf_path(x->gguf), SC_TEXT_ARGS(t->name), theirs);
    if (x->status != SOCLE_OK) return;
    for (uint32_t i = 0; i < n_dims; i++) n *= shape[i];
    x->result->n_tensors++;
    x->result->n_bytes += n * v->element_bytes;
    x->status = sc_safetensors_writer_add_tensor_rows(w->writer, theirs, type, n_dims, shape, write_row, v, x->err);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// The other half of a rule that comes in two, of the same name.
static const struct sc_hf_name *partner_of(const struct sc_hf_name *rule)
{
    bool first = rule->order == SC_HF_EVEN || rule->order == SC_HF_LATENT_K;
    return first ? rule + 1 : NULL;
}

static void apply(struct walk *w, uint32_t layer, const struct sc_hf_name *rule, const char *suffix)
{
    char ours[300], theirs[300];
    const struct sc_hf_name *partner = partner_of(rule);
    const struct sc_tensor *other = NULL;
    if (!*rule->ours || rule->order == SC_HF_ODD || rule->order == SC_HF_LATENT_V) return;
    bool has_suffix = ends_with(rule->theirs, ".?");
    snprintf(ours, sizeof ours, "blk.%u.%s%s", layer, rule->ours, has_suffix ? suffix : "");
    const struct sc_tensor *t = find(w, ours);
    if (!t) return;
    if (partner) {
        snprintf(ours, sizeof ours, "blk.%u.%s", layer, partner->ours);
        other = find(w, ours);
    }
    const char *star = strchr(rule->theirs, '*');
    int n_name = (int)strlen(rule->theirs) - (has_suffix ? 2 : 0);
    float plus = w->x->family->norms_add_one && ends_with(ours, "norm.weight") ? -1.0f : 0.0f;
    uint64_t n = star ? t->shape[2] : 1;
    for (uint64_t e = 0; e < n && w->x->status == SOCLE_OK; e++) {
        if (star)
            snprintf(theirs, sizeof theirs, "model.layers.%u.%.*s%llu%s", layer, (int)(star - rule->theirs),
                     rule->theirs, (unsigned long long)e, star + 1);
        else
            snprintf(theirs, sizeof theirs, "model.layers.%u.%.*s%s", layer, n_name, rule->theirs,
                     has_suffix ? suffix : "");
        add(w, theirs, t, other, rule->order, star ? (int64_t)e : -1, plus);
    }
}

static void apply_all(struct walk *w, uint32_t layer, const struct sc_hf_name *rules, bool are_common)
{
    for (; rules && rules->theirs && w->x->status == SOCLE_OK; rules++) {
        if (are_common && sc_hf_has_own(w->x->family, rules->theirs)) continue;
        apply(w, layer, rules, ".weight");
        if (ends_with(rules->theirs, ".?")) apply(w, layer, rules, ".bias");
    }
}

static void add_one(struct walk *w, const char *ours, const char *theirs)
{
    const struct sc_tensor *t = find(w, ours);
    bool is_norm = w->x->family->norms_add_one && ends_with(ours, "norm.weight");
    if (t) add(w, theirs, t, NULL, SC_HF_SAME, -1, is_norm ? -1.0f : 0.0f);
}

// Factors are said by the configuration.
static void check_all_used(struct walk *w)
{
    struct sc_hf_export *x = w->x;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(x->gguf) && x->status == SOCLE_OK; i++) {
        struct sc_text name = sc_gguf_tensor_at(x->gguf, i)->name;
        if (w->used[i] || (name.n_bytes > 5 && memcmp(name.data, "rope_", 5) == 0)) continue;
        x->status = sc_fail(x->err, SOCLE_UNSUPPORTED, "%s: tensor '%.*s' has no place in %s", sc_gguf_path(x->gguf),
                            SC_TEXT_ARGS(name), x->family->architecture);
    }
}

void sc_hf_export_tensors(struct sc_hf_export *x)
{
    struct walk w = { .x = x, .used = sc_arena_array(&x->arena, sc_gguf_n_tensors(x->gguf) + 1, sizeof *w.used) };
    char path[4096];
    if (x->status != SOCLE_OK) return;
    if (!w.used) {
        x->status = sc_fail_memory(x->err, sc_gguf_n_tensors(x->gguf), "a list of tensors");
        return;
    }
    memset(w.used, 0, sc_gguf_n_tensors(x->gguf) * sizeof *w.used);
    x->status = sc_safetensors_writer_create(&w.writer, x->err);
    if (x->status == SOCLE_OK)
        x->status = sc_safetensors_writer_set_metadata(w.writer, "format", sc_text_of("pt"), x->err);
    if (x->status == SOCLE_OK) add_one(&w, "token_embd.weight", "model.embed_tokens.weight");
    for (uint32_t layer = 0; layer < x->h.n_layer && x->status == SOCLE_OK; layer++) {
        apply_all(&w, layer, x->family->names, false);
        apply_all(&w, layer, sc_hf_common_names, true);
    }
    if (x->status == SOCLE_OK) add_one(&w, "output_norm.weight", "model.norm.weight");
    if (x->status == SOCLE_OK) add_one(&w, "output.weight", "lm_head.weight");
    if (x->status == SOCLE_OK) check_all_used(&w);
    snprintf(path, sizeof path, "%s/model.safetensors", x->folder);
    if (x->status == SOCLE_OK) x->status = sc_safetensors_writer_write(w.writer, path, x->err);
    sc_safetensors_writer_free(w.writer);
}
