// The way back: a GGUF file as a folder that transformers reads.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "models/hf_adapter.h"
#include "models/hf_export.h"

static void fail_if_there(struct sc_hf_export *x, const char *name)
{
    char path[4096];
    struct stat file;
    snprintf(path, sizeof path, "%s/%s", x->folder, name);
    if (x->status == SOCLE_OK && stat(path, &file) == 0)
        x->status = sc_fail(x->err, SOCLE_BAD_ARGUMENT, "%s: is there already: give the result a folder of its own",
                            path);
}

void sc_hf_export_json(struct sc_hf_export *x, const char *name, json_t *json)
{
    char path[4096];
    if (x->status != SOCLE_OK) {
        json_decref(json);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", x->folder, name);
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (text) x->status = sc_write_file(path, text, strlen(text), x->err);
    else x->status = sc_fail_memory(x->err, 1, path);
    free(text);
}

// Llama with experts is Mixtral; DeepSeek-V3 is V2 with sigmoid gates.
static const struct sc_hf_family *family_of(const struct sc_hparams *h, const char *name)
{
    const struct sc_hf_family *family, *found = NULL;
    for (size_t i = 0; (family = sc_hf_family_at(i)); i++) {
        if (strcmp(family->name, name) != 0) continue;
        bool mixtral = strcmp(family->architecture, "MixtralForCausalLM") == 0;
        bool v3 = strcmp(family->architecture, "DeepseekV3ForCausalLM") == 0;
        if (mixtral && h->n_expert) return family;
        if (v3 && h->expert_gating == SC_GATING_SIGMOID) return family;
        if (!found) found = family;
    }
    return found;
}

// What is written, and what would be taken for it.
static const char *const file_names[] = { "config.json", "model.safetensors", "model.safetensors.index.json",
                                          "tokenizer.json", "tokenizer_config.json" };

bool sc_hf_export_begin(struct sc_hf_export *x, const char *const *names, size_t n)
{
    bool is_new = mkdir(x->folder, 0777) == 0;
    if (!is_new && errno != EEXIST) x->status = sc_fail(x->err, SOCLE_IO, "%s: %s", x->folder, strerror(errno));
    for (size_t i = 0; i < n; i++) fail_if_there(x, names[i]);
    return is_new;
}

// None of the files was there before.
void sc_hf_export_undo(const struct sc_hf_export *x, const char *const *names, size_t n, bool folder_is_new)
{
    char path[4096];
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", x->folder, names[i]);
        unlink(path);
    }
    if (folder_is_new) rmdir(x->folder);
}

void sc_hf_export_find_out(struct sc_hf_export *x)
{
    struct sc_text name = { 0 };
    x->status = sc_gguf_get_text(x->gguf, "general.architecture", &name, x->err);
    const struct sc_family *family = sc_family_find(name);
    if (x->status == SOCLE_OK && !family)
        x->status = sc_fail(x->err, SOCLE_UNSUPPORTED, "%s: the family '%.*s' is not known", sc_gguf_path(x->gguf),
                            SC_TEXT_ARGS(name));
    if (x->status == SOCLE_OK) x->status = sc_hparams_read(x->gguf, family, &x->h, x->err);
    if (x->status != SOCLE_OK) return;
    x->family = family_of(&x->h, family->name);
    if (!x->family) {
        x->status = sc_fail(x->err, SOCLE_UNSUPPORTED, "%s: there is no architecture for the family '%s'",
                            sc_gguf_path(x->gguf), family->name);
        return;
    }
    x->result->family = x->family->name;
}

static void export(struct sc_hf_export *x)
{
    struct sc_text type = { 0 };
    if (sc_gguf_get_text(x->gguf, "general.type", &type, NULL) == SOCLE_OK && sc_text_is(type, "adapter"))
        x->status = sc_fail(x->err, SOCLE_BAD_ARGUMENT, "%s: is an adapter: name the model that it is for (--base)",
                            sc_gguf_path(x->gguf));
    if (x->status == SOCLE_OK) sc_hf_export_find_out(x);
    if (x->status != SOCLE_OK) return;
    bool is_new = sc_hf_export_begin(x, file_names, SC_COUNT(file_names));
    if (x->status != SOCLE_OK) return;
    json_t *config = sc_hf_export_config(x);
    sc_hf_export_tensors(x); // first: it checks the types
    sc_hf_export_json(x, "config.json", config);
    if (!x->options->without_text) sc_hf_export_tokenizer(x);
    else snprintf(x->result->text, sizeof x->result->text, "none");
    if (x->status != SOCLE_OK) sc_hf_export_undo(x, file_names, SC_COUNT(file_names), is_new);
}

socle_status sc_hf_write(const char *gguf, const char *folder, const struct sc_hf_options *options,
                         struct sc_hf_result *out, socle_error *err)
{
    static const struct sc_hf_options usual = { 0 };
    struct sc_hf_export x = { .folder = folder, .err = err, .result = out, .options = options ? options : &usual };
    *out = (struct sc_hf_result){ 0 };
    if (x.options->base) return sc_hf_adapter_write(gguf, folder, x.options, out, err);
    SC_TRY(sc_gguf_open(gguf, &x.gguf, err));
    export(&x);
    sc_gguf_close(x.gguf);
    sc_arena_free(&x.arena);
    return x.status;
}
