// Adapters read from peft's folders.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "models/hf_adapter.h"

enum { RANK_MAX = 4096 };

// One weight's change.
struct pair {
    const struct sc_tensor *weight; // of the base
    struct sc_hf_module module;
    const struct sc_safetensors_tensor *a, *b;
    uint32_t rank;
    double factor; // that peft multiplies B A by
};

struct in {
    struct sc_hf hf; // of the folder, with weights and writer
    struct sc_hf_export base;
    json_t *config, *alpha_pattern; // borrowed from the document
    bool has_rank_pattern, root;    // root: changes count alpha / sqrt(r) times
    uint32_t r;
    double alpha;
    struct pair *pairs;
    size_t n;
    bool *used; // [n] tensors of the folder
    // Of the result.
    uint32_t rank;
    double factor;
};

// A half of a change in the result, row by row.
struct half {
    struct in *in;
    const struct pair *pair;
    const char *name;
    bool is_b;
};

// ---- the configuration

static bool is_set(const json_t *value)
{
    if (json_is_array(value)) return json_array_size(value) > 0;
    if (json_is_object(value)) return json_object_size(value) > 0;
    if (json_is_number(value)) return json_number_value(value) != 0.0;
    return json_is_true(value) || json_is_string(value);
}

static const char *text_of(const struct in *in, const char *key)
{
    const char *text = json_string_value(json_object_get(in->config, key));
    return text ? text : "";
}

// What makes an adapter more, or other, than W + factor B A.
static void check_kind(struct in *in)
{
    static const char *const others[][2] = {
        { "use_dora", "weights' lengths of their own (DoRA)" },
        { "modules_to_save", "modules that were trained whole" },
        { "trainable_token_indices", "trained tokens" },
        { "lora_bias", "biases" },
        { "target_parameters", "parameters that are no module's weight, as experts are" },
        { "layer_replication", "layers that are there more than once" },
        { "alora_invocation_tokens", "a change that begins at certain tokens (aLoRA)" },
        { "use_qalora", "inputs that are pooled (QALoRA)" },
        { "use_bdlora", "matrices of blocks (BD-LoRA)" },
        { "arrow_config", "a choice among adapters (Arrow)" },
        { "kasa_config", "singular values of its own (KaSA)" },
        { "monteclora_config", "random variations (MonteCLoRA)" },
    };
    // Those that leave the model's own weights as they are; the others take a part out of them.
    static const char *const starts[] = { "", "gaussian", "eva", "orthogonal", "mica" };
    const char *type = text_of(in, "peft_type"), *bias = text_of(in, "bias"), *start = text_of(in, "init_lora_weights");
    bool is_known = false;
    for (size_t i = 0; i < SC_COUNT(starts); i++) is_known = is_known || strcmp(start, starts[i]) == 0;
    if (strcmp(type, "LORA") != 0)
        sc_hf_fail(&in->hf, SOCLE_UNSUPPORTED, "adapter_config.json: peft_type is '%.40s', expected LORA", type);
    for (size_t i = 0; i < SC_COUNT(others); i++)
        if (is_set(json_object_get(in->config, others[i][0])))
            sc_hf_fail(&in->hf, SOCLE_UNSUPPORTED,
                       "adapter_config.json, key '%s': the adapter has %s, which an adapter in GGUF has not",
                       others[i][0], others[i][1]);
    if (*bias && strcmp(bias, "none") != 0)
        sc_hf_fail(&in->hf, SOCLE_UNSUPPORTED,
                   "adapter_config.json: bias is '%.40s', expected none: an adapter in GGUF has no biases", bias);
    if (!is_known)
        sc_hf_fail(
            &in->hf, SOCLE_UNSUPPORTED,
            "adapter_config.json: init_lora_weights is '%.40s', which changes the model's own weights, too: have "
            "peft convert it to a plain adapter (path_initial_model_for_weight_conversion)",
            start);
}

static void read_config(struct in *in)
{
    struct sc_hf *hf = &in->hf;
    in->config = hf->document = sc_hf_read_json(hf, "adapter_config.json", true);
    if (hf->status != SOCLE_OK) return;
    check_kind(in);
    const json_t *r = json_object_get(in->config, "r"), *alpha = json_object_get(in->config, "lora_alpha");
    if (!json_is_integer(r) || json_integer_value(r) < 1 || json_integer_value(r) > RANK_MAX)
        sc_hf_fail(hf, SOCLE_BAD_FILE, "adapter_config.json, key 'r': expected a rank of 1 to %d", RANK_MAX);
    if (!json_is_number(alpha) || json_number_value(alpha) == 0.0)
        sc_hf_fail(hf, SOCLE_BAD_FILE, "adapter_config.json, key 'lora_alpha': expected a number that is not 0");
    if (hf->status != SOCLE_OK) return;
    in->r = (uint32_t)json_integer_value(r);
    in->alpha = json_number_value(alpha);
    in->root = json_is_true(json_object_get(in->config, "use_rslora"));
    in->has_rank_pattern = is_set(json_object_get(in->config, "rank_pattern"));
    in->alpha_pattern = json_object_get(in->config, "alpha_pattern");
}

// Patterns are regular expressions for the ends of modules' paths; those in use are plain, or whole paths after a '^'.
static bool matches(struct in *in, const char *pattern, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    bool whole = *pattern == '^';
    size_t n = strlen(pattern + whole), n_path = strlen(path);
    if (strspn(pattern + whole, plain) != n)
        sc_hf_fail(&in->hf, SOCLE_UNSUPPORTED,
                   "adapter_config.json, key 'alpha_pattern': '%.80s' is a regular expression, expected the end of a "
                   "module's path",
                   pattern);
    if (n > n_path || strcmp(path + n_path - n, pattern + whole) != 0) return false;
    return n == n_path || (!whole && path[n_path - n - 1] == '.');
}

// What peft multiplies B A by: alpha / r, or alpha / sqrt(r); the first pattern that matches says alpha.
static double factor_of(struct in *in, const char *path, uint32_t rank)
{
    double alpha = in->alpha;
    const char *pattern;
    json_t *value;
    bool found = false;
    json_object_foreach (in->alpha_pattern, pattern, value) {
        if (!matches(in, pattern, path) || found) continue;
        if (!json_is_number(value))
            sc_hf_fail(&in->hf, SOCLE_BAD_FILE, "adapter_config.json, key 'alpha_pattern': expected numbers");
        alpha = json_number_value(value);
        found = true;
    }
    return in->root ? alpha / sqrt(rank) : alpha / rank;
}

// ---- pairs

static const struct sc_safetensors_tensor *find(struct in *in, const char *path, const char *which)
{
    char name[SC_HF_MODULE_BYTES + 60];
    uint64_t i;
    snprintf(name, sizeof name, "base_model.model.%s.lora_%s.weight", path, which);
    if (!sc_safetensors_index(in->hf.weights, sc_text_of(name), &i)) return NULL;
    in->used[i] = true;
    return sc_safetensors_at(in->hf.weights, i);
}

static bool is_float(const struct sc_safetensors_tensor *t)
{
    return t->type == SC_SAFETENSORS_F32 || t->type == SC_SAFETENSORS_F16 || t->type == SC_SAFETENSORS_BF16;
}

static void take_pair(struct in *in, struct pair pair)
{
    struct sc_hf *hf = &in->hf;
    const struct sc_safetensors_tensor *a = pair.a, *b = pair.b;
    const char *path = pair.module.path;
    if (!a || !b) {
        sc_hf_fail(hf, SOCLE_BAD_FILE, "module '%s' has no lora_%s", path, a ? "B" : "A");
        return;
    }
    if (!is_float(a) || !is_float(b))
        sc_hf_fail(hf, SOCLE_UNSUPPORTED, "module '%s' is %s, expected F32, F16 or BF16", path,
                   sc_safetensors_type_name(is_float(a) ? b->type : a->type));
    if (a->n_dims != 2 || b->n_dims != 2 || a->shape[0] != b->shape[1] || a->shape[1] != pair.weight->shape[0] ||
        b->shape[0] != pair.weight->shape[1])
        sc_hf_fail(hf, SOCLE_BAD_FILE, "made for another model: the change of module '%s' does not fit '%.*s' of %s",
                   path, SC_TEXT_ARGS(pair.weight->name), sc_gguf_path(in->base.gguf));
    else if (a->shape[0] < 1 || a->shape[0] > RANK_MAX || (!in->has_rank_pattern && a->shape[0] != in->r))
        sc_hf_fail(hf, SOCLE_BAD_FILE, "module '%s' has rank %llu, but adapter_config.json says %u", path,
                   (unsigned long long)a->shape[0], in->r);
    if (hf->status != SOCLE_OK) return;
    pair.rank = (uint32_t)a->shape[0];
    pair.factor = factor_of(in, path, pair.rank);
    in->rank = SC_MAX(in->rank, pair.rank);
    in->pairs[in->n++] = pair;
}

static void find_pairs(struct in *in)
{
    const struct sc_gguf *gguf = in->base.gguf;
    const char *head;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++)
        for (size_t p = 0; sc_hf_prefix_at(p, &head) && in->hf.status == SOCLE_OK; p++) {
            struct pair pair = { .weight = sc_gguf_tensor_at(gguf, i) };
            bool taken = in->n && in->pairs[in->n - 1].weight == pair.weight; // a second one is left over, and refused
            if (taken || !sc_hf_module_of(&in->base, pair.weight, p, &pair.module)) continue;
            pair.a = find(in, pair.module.path, "A");
            pair.b = find(in, pair.module.path, "B");
            if (pair.a || pair.b) take_pair(in, pair);
        }
}

// Whether the tensor is the base's own matrix of embeddings or of outputs, which peft puts beside changes of the
// latter.
static bool is_copy(const struct in *in, const char *name, const struct sc_safetensors_tensor *t)
{
    static const char begin[] = "base_model.model.";
    const struct sc_tensor *output = sc_gguf_find_tensor(in->base.gguf, "output.weight");
    const struct sc_tensor *own = sc_gguf_find_tensor(in->base.gguf, "token_embd.weight");
    const char *head, *prefix;
    bool found = false;
    if (strncmp(name, begin, strlen(begin)) != 0) return false;
    for (size_t p = 0; (prefix = sc_hf_prefix_at(p, &head)) && !found; p++) {
        char table[100], matrix[100];
        snprintf(table, sizeof table, "%sembed_tokens.weight", prefix);
        snprintf(matrix, sizeof matrix, "%s.base_layer.weight", head);
        bool is_head = strcmp(name + strlen(begin), matrix) == 0;
        found = is_head || strcmp(name + strlen(begin), table) == 0;
        if (is_head && output) own = output;
    }
    return found && own && t->n_dims == 2 && t->shape[0] == own->shape[1] && t->shape[1] == own->shape[0];
}

// Every tensor must have a place, or a part of the change would be left out in silence.
static void check_all_used(struct in *in)
{
    static const char *const reasons[][2] = {
        { ".experts.", "changes of experts are not converted" },
        { "lora_embedding_", "changes of embeddings are not converted" },
        { "embed_tokens", "changes of embeddings are not converted" },
        { "lora_magnitude_vector", "weights' lengths of their own (DoRA) are not converted" },
        { "", "the model has no one weight that it changes" },
    };
    for (uint64_t i = 0; i < sc_safetensors_n(in->hf.weights) && in->hf.status == SOCLE_OK; i++) {
        char name[SC_SAFETENSORS_NAME_BYTES_MAX + 1];
        struct sc_text text = sc_safetensors_at(in->hf.weights, i)->name;
        size_t r = 0;
        if (in->used[i]) continue;
        memcpy(name, text.data, text.n_bytes);
        name[text.n_bytes] = '\0';
        if (is_copy(in, name, sc_safetensors_at(in->hf.weights, i))) {
            in->hf.result->n_left_out++;
            continue;
        }
        while (!strstr(name, reasons[r][0])) r++;
        sc_hf_fail(&in->hf, SOCLE_UNSUPPORTED, "tensor '%.200s' has no place in %s: %s", name,
                   sc_gguf_path(in->base.gguf), reasons[r][1]);
    }
    if (in->n == 0) sc_hf_fail(&in->hf, SOCLE_BAD_FILE, "it changes nothing");
}

// ---- the file

static socle_status write_row(void *user, uint64_t row, void *out, socle_error *err)
{
    const struct half *h = user;
    const struct pair *pair = h->pair;
    struct sc_hf *hf = &h->in->hf;
    const struct sc_hf_options *o = hf->options;
    const struct sc_safetensors_tensor *t = h->is_b ? pair->b : pair->a;
    uint64_t n = h->is_b ? h->in->rank : t->shape[1], n_own = t->shape[1], at = row;
    double times = h->is_b ? pair->factor / h->in->factor : 1.0;
    if (row == 0 && o->on_progress && !o->on_progress(o->context, h->name, hf->n_done, hf->result->n_bytes))
        return sc_fail(err, SOCLE_CANCELLED, "stopped at tensor '%s'", h->name);
    hf->n_done += n * sizeof(float);
    if (h->is_b && pair->module.heads) at = sc_hf_row_in_halves(row, t->shape[0], pair->module.heads);
    for (uint64_t i = 0; i < n; i++) {
        bool is_there = at < t->shape[0] && i < n_own; // else it fills a smaller rank
        float x = is_there ? sc_hf_element_f32(t, at * n_own + i) : 0.0f;
        if (times != 1.0) x = (float)(x * times);
        memcpy((char *)out + i * sizeof x, &x, sizeof x);
    }
    return SOCLE_OK;
}

static void add_half(struct in *in, const struct pair *pair, bool is_b)
{
    struct sc_hf *hf = &in->hf;
    struct half *half = sc_arena_alloc(&hf->arena, sizeof *half);
    char name[100];
    int n = snprintf(name, sizeof name, "%.*s.lora_%c", SC_TEXT_ARGS(pair->weight->name), is_b ? 'b' : 'a');
    if (hf->status != SOCLE_OK) return;
    const char *kept = sc_arena_text(&hf->arena, name, (size_t)n);
    if (!half || !kept) {
        hf->status = sc_fail_memory(hf->err, sizeof *half, "a half of a change");
        return;
    }
    *half = (struct half){ in, pair, kept, is_b };
    uint64_t k = is_b ? in->rank : pair->weight->shape[0], rows = is_b ? pair->weight->shape[1] : in->rank;
    hf->result->n_tensors++;
    hf->result->n_bytes += k * rows * sizeof(float);
    hf->status = sc_gguf_writer_add_tensor_rows(hf->writer, kept, sc_format_find_name("F32"), 2,
                                                (uint64_t[]){ k, rows }, write_row, half, hf->err);
}

static void set_text(struct sc_hf *hf, const char *key, const char *text)
{
    if (hf->status == SOCLE_OK) hf->status = sc_gguf_writer_set_text(hf->writer, key, sc_text_of(text), hf->err);
}

static void write_file(struct in *in, const char *path)
{
    struct sc_hf *hf = &in->hf;
    // The alpha that gives peft's factor for this rank, where nothing says another.
    double alpha = in->root ? in->alpha * sqrt(in->rank) : in->alpha;
    in->factor = alpha / in->rank;
    const char *slash = strrchr(hf->folder, '/');
    const char *name = slash ? slash + 1 : hf->folder;
    set_text(hf, "general.architecture", in->base.family->name);
    set_text(hf, "general.type", "adapter");
    if (*name && *name != '.') set_text(hf, "general.name", name);
    set_text(hf, "adapter.type", "lora");
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_f32(hf->writer, "adapter.lora.alpha", (float)alpha, hf->err);
    for (size_t i = 0; i < in->n; i++) {
        add_half(in, &in->pairs[i], false);
        add_half(in, &in->pairs[i], true);
    }
    if (hf->status == SOCLE_OK) hf->status = sc_gguf_writer_write(hf->writer, path, hf->err);
    hf->result->family = in->base.family->name;
    snprintf(hf->result->text, sizeof hf->result->text, "rank %u, alpha %g", in->rank, alpha);
}

// ---- all

static void open_weights(struct in *in)
{
    struct sc_hf *hf = &in->hf;
    char path[4096];
    if (hf->status != SOCLE_OK) return;
    if (snprintf(path, sizeof path, "%s/adapter_model.safetensors", hf->folder) >= (int)sizeof path)
        sc_hf_fail(hf, SOCLE_IO, "the path is too long");
    else hf->status = sc_safetensors_open(path, &hf->weights, hf->err);
    if (hf->status != SOCLE_OK) return;
    in->used = sc_arena_array(&hf->arena, sc_safetensors_n(hf->weights) + 1, sizeof *in->used);
    in->pairs = sc_arena_array(&hf->arena, sc_gguf_n_tensors(in->base.gguf) + 1, sizeof *in->pairs);
    if (!in->used || !in->pairs) hf->status = sc_fail_memory(hf->err, 0, "a list of tensors");
}

static void read_all(struct in *in, const char *path)
{
    struct sc_hf *hf = &in->hf;
    sc_hf_export_find_out(&in->base);
    hf->status = in->base.status;
    read_config(in);
    open_weights(in);
    if (hf->status == SOCLE_OK) find_pairs(in);
    if (hf->status == SOCLE_OK) check_all_used(in);
    if (hf->status == SOCLE_OK) hf->status = sc_gguf_writer_create(&hf->writer, hf->err);
    if (hf->status == SOCLE_OK) write_file(in, path);
}

socle_status sc_hf_adapter_read(const char *folder, const char *path, const struct sc_hf_options *options,
                                struct sc_hf_result *out, socle_error *err)
{
    struct in in = { .hf = { .folder = folder, .err = err, .result = out, .options = options },
                     .base = { .folder = folder, .err = err, .result = out, .options = options } };
    SC_TRY(sc_gguf_open(options->base, &in.base.gguf, err));
    read_all(&in, path);
    sc_gguf_writer_free(in.hf.writer);
    sc_safetensors_free(in.hf.weights);
    json_decref(in.hf.document);
    sc_arena_free(&in.hf.arena);
    sc_gguf_close(in.base.gguf);
    return in.hf.status;
}
