// Which module is which weight, and adapters written as peft's folders.
#include "models/hf_adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "formats/safetensors_writer.h"
#include "models/adapters.h"

bool sc_hf_adapter_is(const char *folder)
{
    char config[4096], model[4096];
    struct stat file;
    snprintf(config, sizeof config, "%s/adapter_config.json", folder);
    snprintf(model, sizeof model, "%s/config.json", folder);
    return stat(config, &file) == 0 && stat(model, &file) != 0;
}

// ---- modules

static bool end_is(struct sc_text text, const char *end)
{
    size_t n = strlen(end);
    return text.n_bytes >= n && memcmp(text.data + text.n_bytes - n, end, n) == 0;
}

// "blk.3.attn_q.weight": layer 3, and what comes after.
static bool split(struct sc_text name, unsigned *layer, struct sc_text *rest)
{
    char text[64], again[64];
    int n = 0;
    snprintf(text, sizeof text, "%.*s", SC_TEXT_ARGS(name));
    if (sscanf(text, "blk.%u.%n", layer, &n) != 1 || n == 0) return false;
    snprintf(again, sizeof again, "blk.%u.", *layer);
    *rest = (struct sc_text){ name.data + n, name.n_bytes - (size_t)n };
    return (int)strlen(again) == n;
}

bool sc_hf_module_of(const struct sc_hf_export *base, const struct sc_tensor *weight, size_t prefix,
                     struct sc_hf_module *out)
{
    const char *head, *begin = sc_hf_prefix_at(prefix, &head);
    unsigned layer;
    struct sc_text rest;
    *out = (struct sc_hf_module){ 0 };
    if (!begin || weight->n_dims != 2) return false;
    if (sc_text_is(weight->name, "output.weight")) {
        snprintf(out->path, sizeof out->path, "%s", head);
        return true;
    }
    if (!split(weight->name, &layer, &rest) || layer >= base->h.n_layer || !end_is(rest, ".weight")) return false;
    const struct sc_hf_name *rule = sc_hf_rule_of(base->family, rest);
    if (!rule || rule->order > SC_HF_ROTARY_K || strchr(rule->theirs, '*')) return false;
    const char *dot = strrchr(rule->theirs, '.'); // of ".?" or ".weight"
    snprintf(out->path, sizeof out->path, "%slayers.%u.%.*s", begin, layer, (int)(dot - rule->theirs), rule->theirs);
    if (rule->order == SC_HF_SAME || !base->family->pairs) return true;
    out->heads = rule->order == SC_HF_ROTARY_Q ? base->h.n_head : base->h.n_head_kv;
    return out->heads && weight->shape[1] % (2 * out->heads) == 0;
}

// ---- a half of a change, row by row

struct half {
    struct sc_hf_export *x;
    const char *module;
    const struct sc_tensor *from;
    uint64_t heads; // of B, whose rows change places; 0: they stay
};

static socle_status write_row(void *user, uint64_t row, void *out, socle_error *err)
{
    const struct half *h = user;
    struct sc_hf_export *x = h->x;
    const struct sc_hf_options *o = x->options;
    uint64_t n = h->from->shape[0], at = h->heads ? sc_hf_row_in_pairs(row, h->from->shape[1], h->heads) : row;
    if (row == 0 && o->on_progress && !o->on_progress(o->context, h->module, x->n_done, x->result->n_bytes))
        return sc_fail(err, SOCLE_CANCELLED, "stopped at module '%s'", h->module);
    x->n_done += n * sizeof(float);
    h->from->format->decode(sc_tensor_row(h->from, 0, at), out, n / h->from->format->block_size);
    return SOCLE_OK;
}

static void add_half(struct sc_hf_export *x, struct sc_safetensors_writer *writer, const char *module,
                     const char *which, const struct sc_tensor *from, uint64_t heads)
{
    char name[SC_HF_MODULE_BYTES + 60];
    struct half *half = sc_arena_alloc(&x->arena, sizeof *half);
    if (x->status != SOCLE_OK) return;
    if (!half) {
        x->status = sc_fail_memory(x->err, sizeof *half, "a half of a change");
        return;
    }
    *half = (struct half){ x, module, from, heads };
    snprintf(name, sizeof name, "base_model.model.%s.lora_%s.weight", module, which);
    x->result->n_tensors++;
    x->result->n_bytes += from->shape[0] * from->shape[1] * sizeof(float);
    x->status = sc_safetensors_writer_add_tensor_rows(
        writer, name, SC_SAFETENSORS_F32, 2, (uint64_t[]){ from->shape[1], from->shape[0] }, write_row, half, x->err);
}

// ---- the folder

struct out {
    struct sc_hf_export *x;
    const struct sc_adapter_set *set;
    const char **modules; // [n], in the arena: those that change
    size_t n;
};

static bool find_pair(const struct out *o, const struct sc_tensor *weight, struct sc_adapter_pair *pair)
{
    const struct sc_adapters *adapters = sc_adapter_set_adapters(o->set);
    return adapters->find(adapters, 0, weight->name, pair);
}

static void add_tensors(struct out *o, struct sc_safetensors_writer *writer)
{
    struct sc_hf_export *x = o->x;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(x->gguf) && x->status == SOCLE_OK; i++) {
        const struct sc_tensor *weight = sc_gguf_tensor_at(x->gguf, i);
        struct sc_adapter_pair pair;
        struct sc_hf_module module;
        if (!find_pair(o, weight, &pair)) continue;
        if (!sc_hf_module_of(x, weight, 0, &module)) {
            x->status = sc_fail(x->err, SOCLE_UNSUPPORTED, "%s: tensor '%.*s' is no module of its own in %s",
                                sc_gguf_path(x->gguf), SC_TEXT_ARGS(weight->name), x->family->architecture);
            return;
        }
        const char *path = sc_arena_text(&x->arena, module.path, strlen(module.path));
        if (!path) {
            x->status = sc_fail_memory(x->err, sizeof module.path, "a module's name");
            return;
        }
        o->modules[o->n++] = path;
        add_half(x, writer, path, "A", pair.a, 0);
        add_half(x, writer, path, "B", pair.b, module.heads);
    }
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

// peft takes a target for the end of every module's path. So "q_proj" says all only where every q_proj changes, and
// experts have none.
static bool is_whole(const struct out *o, const char *part)
{
    const struct sc_hf_export *x = o->x;
    struct sc_adapter_pair pair;
    struct sc_hf_module module;
    char end[100];
    snprintf(end, sizeof end, ".%s.weight", part);
    bool has_experts = false;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(x->gguf); i++) {
        const struct sc_tensor *weight = sc_gguf_tensor_at(x->gguf, i);
        if (sc_hf_module_of(x, weight, 0, &module) && strcmp(last_part(module.path), part) == 0 &&
            !find_pair(o, weight, &pair))
            return false;
        has_experts = has_experts || end_is(weight->name, "_exps.weight");
    }
    return !has_experts || !strstr(".gate_proj.weight .up_proj.weight .down_proj.weight", end);
}

static json_t *targets_of(const struct out *o)
{
    json_t *list = json_array(), *one;
    size_t j;
    for (size_t i = 0; i < o->n; i++) {
        const char *part = last_part(o->modules[i]), *target = is_whole(o, part) ? part : o->modules[i];
        bool is_there = false;
        json_array_foreach (list, j, one) is_there = is_there || strcmp(json_string_value(one), target) == 0;
        if (!is_there) json_array_append_new(list, json_string(target));
    }
    return list;
}

// A number that JSON readers take for an integer where it is one.
static json_t *number(double x)
{
    return x == floor(x) && fabs(x) < 0x1p31 ? json_integer((json_int_t)x) : json_real(x);
}

static json_t *config_of(const struct out *o, double alpha)
{
    struct sc_text name = { 0 };
    const char *file = strrchr(sc_gguf_path(o->x->gguf), '/');
    if (sc_gguf_get_text(o->x->gguf, "general.name", &name, NULL) != SOCLE_OK || name.n_bytes == 0)
        name = sc_text_of(file ? file + 1 : sc_gguf_path(o->x->gguf));
    json_t *base = json_stringn(name.data, name.n_bytes); // NULL: no UTF-8
    return json_pack("{s:s, s:s, s:o, s:b, s:i, s:o, s:f, s:s, s:b, s:b, s:b, s:b, s:o, s:n, s:{}, s:{}}", "peft_type",
                     "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base ? base : json_null(),
                     "inference_mode", 1, "r", (int)sc_adapter_set_rank(o->set, 0), "lora_alpha", number(alpha),
                     "lora_dropout", 0.0, "bias", "none", "fan_in_fan_out", 0, "init_lora_weights", 1, "use_rslora", 0,
                     "use_dora", 0, "target_modules", targets_of(o), "modules_to_save", "rank_pattern",
                     "alpha_pattern");
}

static const char *const file_names[] = { "adapter_config.json", "adapter_model.safetensors" };

static void export(struct out *o, double alpha)
{
    struct sc_hf_export *x = o->x;
    struct sc_safetensors_writer *writer = NULL;
    char path[4096];
    bool is_new = sc_hf_export_begin(x, file_names, SC_COUNT(file_names));
    if (x->status != SOCLE_OK) return;
    x->status = sc_safetensors_writer_create(&writer, x->err);
    if (x->status == SOCLE_OK)
        x->status = sc_safetensors_writer_set_metadata(writer, "format", sc_text_of("pt"), x->err);
    add_tensors(o, writer);
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", x->folder);
    if (x->status == SOCLE_OK) x->status = sc_safetensors_writer_write(writer, path, x->err);
    sc_safetensors_writer_free(writer);
    sc_hf_export_json(x, "adapter_config.json", x->status == SOCLE_OK ? config_of(o, alpha) : NULL);
    if (x->status != SOCLE_OK) sc_hf_export_undo(x, file_names, SC_COUNT(file_names), is_new);
    snprintf(x->result->text, sizeof x->result->text, "rank %u, alpha %g", sc_adapter_set_rank(o->set, 0), alpha);
}

// Without the key, changes count once; alpha is the rank then.
static socle_status read_alpha(const char *path, const struct sc_adapter_set *set, double *out, socle_error *err)
{
    struct sc_gguf *gguf;
    float alpha = 0.0f;
    SC_TRY(sc_gguf_open(path, &gguf, err));
    socle_status status = sc_gguf_get_f32(gguf, "adapter.lora.alpha", &alpha, err);
    sc_gguf_close(gguf);
    *out = alpha == 0.0f ? sc_adapter_set_rank(set, 0) : (double)alpha;
    if (status == SOCLE_OK && !isfinite(*out))
        status = sc_fail(err, SOCLE_BAD_FILE, "%s: key 'adapter.lora.alpha' is no number", path);
    return status;
}

socle_status sc_hf_adapter_write(const char *gguf, const char *folder, const struct sc_hf_options *options,
                                 struct sc_hf_result *out, socle_error *err)
{
    struct sc_hf_export x = { .folder = folder, .err = err, .result = out, .options = options };
    struct out o = { .x = &x };
    struct sc_adapter_set *set = NULL;
    double alpha = 0.0;
    SC_TRY(sc_gguf_open(options->base, &x.gguf, err));
    sc_hf_export_find_out(&x);
    if (x.status == SOCLE_OK) x.status = sc_adapter_set_open(x.gguf, &gguf, 1, &set, err);
    o.set = set;
    if (x.status == SOCLE_OK) x.status = read_alpha(gguf, set, &alpha, err);
    o.modules = sc_arena_array(&x.arena, sc_gguf_n_tensors(x.gguf) + 1, sizeof *o.modules);
    if (!o.modules && x.status == SOCLE_OK) x.status = sc_fail_memory(err, 0, "a list of modules");
    if (x.status == SOCLE_OK) export(&o, alpha);
    sc_adapter_set_free(set);
    sc_gguf_close(x.gguf);
    sc_arena_free(&x.arena);
    return x.status;
}
