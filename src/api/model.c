#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/gguf.h"
#include "models/adapters.h"
#include "models/pack.h"
#include "text/answer.h"

char *sc_api_text(const struct sc_gguf *gguf, const char *key)
{
    struct sc_text text = { 0 };
    if (sc_gguf_get_text(gguf, key, &text, NULL) != SOCLE_OK || !text.data) return NULL;
    return strndup(text.data, text.n_bytes);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// The format that holds the most weights, and how many weights there are.
static void count_weights(socle_model *m)
{
    uint64_t by_format[64] = { 0 };
    size_t best = 0;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(m->gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(m->gguf, i);
        uint64_t n = t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
        m->n_parameters += n;
        for (size_t f = 0; f < SC_COUNT(by_format) && sc_format_at(f); f++)
            if (sc_format_at(f) == t->format) by_format[f] += n;
    }
    for (size_t f = 0; f < SC_COUNT(by_format); f++)
        if (by_format[f] > by_format[best]) best = f;
    m->weights = strdup(by_format[best] ? sc_format_at(best)->name : "none");
}

// The text side. What is merely not supported is remembered and told when it is asked for: the model's logits do not
// need it. What is malformed refuses the file.
static socle_status load_text(socle_model *m, socle_error *err)
{
    socle_error own = { 0 };
    socle_status status = sc_tokenizer_load(m->gguf, &m->tokenizer, &own);
    if (status == SOCLE_UNSUPPORTED) {
        m->text_error = own;
    } else if (status != SOCLE_OK) {
        if (err) *err = own;
        return status;
    }
    struct sc_text source = { 0 };
    if (sc_gguf_get_text(m->gguf, "tokenizer.chat_template", &source, NULL) != SOCLE_OK || !source.data)
        return SOCLE_OK;
    m->syntax = sc_answer_syntax_of_template(source);
    if (sc_template_parse(source, &m->template, &own) != SOCLE_OK) {
        sc_fail_prefix(&own, "%s: its chat template", sc_gguf_path(m->gguf));
        m->template_error = own;
    }
    return SOCLE_OK;
}

static socle_status load_weights(socle_model *m, socle_error *err)
{
    if (sc_gguf_n_tensors(m->gguf) == 0) return SOCLE_OK; // a vocabulary
    struct sc_gguf *gguf = m->gguf;
    m->gguf = NULL; // sc_model_load takes it over
    struct sc_model_options options = { .adapters = m->adapters };
    SC_TRY(sc_model_load_with(gguf, &options, &m->model, err));
    m->gguf = gguf;
    return SOCLE_OK;
}

// "folder/name.gguf" to "name".
static char *adapter_name(const char *path)
{
    const char *name = base_name(path);
    size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, ".gguf") == 0) n -= 5;
    return strndup(name, n);
}

static socle_status load_adapters(socle_model *m, const socle_adapter *adapters, size_t n, socle_error *err)
{
    if (n == 0) return SOCLE_OK;
    const char **paths = calloc(n, sizeof *paths);
    m->adapter_names = calloc(n, sizeof *m->adapter_names);
    m->adapter_scales = calloc(n, sizeof *m->adapter_scales);
    socle_status status = SOCLE_OK;
    if (!paths || !m->adapter_names || !m->adapter_scales) status = sc_fail_memory(err, n * sizeof *paths, "adapters");
    for (size_t i = 0; status == SOCLE_OK && i < n; i++) {
        paths[i] = adapters[i].path;
        m->adapter_scales[i] = adapters[i].scale;
        m->adapter_names[m->n_adapters++] = adapter_name(paths[i]);
        if (!m->adapter_names[i]) status = sc_fail_memory(err, strlen(paths[i]), "an adapter's name");
    }
    if (status == SOCLE_OK) status = sc_adapter_set_open(m->gguf, paths, n, &m->adapters, err);
    free(paths);
    return status;
}

SC_EXPORT socle_status socle_model_load(const char *path, socle_model **out, socle_error *err)
{
    return socle_model_load_adapted(path, NULL, 0, out, err);
}

SC_EXPORT socle_status socle_model_load_adapted(const char *path, const socle_adapter *adapters, size_t n_adapters,
                                                socle_model **out, socle_error *err)
{
    socle_model *m = calloc(1, sizeof *m);
    if (!m) return sc_fail_memory(err, sizeof *m, "a model");
    socle_status status = sc_gguf_open(path, &m->gguf, err);
    m->index = sc_api_index_create();
    if (status == SOCLE_OK && !m->index) status = sc_fail_memory(err, sizeof *m->index, "a model");
    if (status == SOCLE_OK) status = load_adapters(m, adapters, n_adapters, err);
    if (status == SOCLE_OK) status = load_weights(m, err);
    if (status == SOCLE_OK) status = load_text(m, err);
    if (status == SOCLE_OK) {
        count_weights(m);
        m->name = sc_api_text(m->gguf, "general.name");
        if (!m->name) m->name = strdup(base_name(path));
        if (!m->name || !m->weights) status = sc_fail_memory(err, 64, "a model's name");
    }
    if (status == SOCLE_OK) *out = m;
    else socle_model_free(m);
    return status;
}

SC_EXPORT socle_status socle_model_prepare(const socle_model *m, uint32_t n_threads, socle_progress_callback *progress,
                                           void *context, socle_error *err)
{
    if (!m->model) return SOCLE_OK;
    return sc_model_prepare(m->model, n_threads ? n_threads : sc_processor_count(), progress, context, err);
}

SC_EXPORT socle_status socle_model_pack(const socle_model *m, const char *path, uint32_t n_threads,
                                        socle_progress_callback *progress, void *context, socle_error *err)
{
    if (!m->model)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: holds a vocabulary but no weights", sc_gguf_path(m->gguf));
    SC_TRY(socle_model_prepare(m, n_threads, NULL, NULL, err));
    return sc_model_write_packed(m->model, path, progress, context, err);
}

SC_EXPORT socle_status socle_verify(const char *path, socle_progress_callback *progress, void *context,
                                    socle_error *err)
{
    struct sc_gguf *gguf;
    SC_TRY(sc_gguf_open(path, &gguf, err));
    socle_status status = sc_gguf_verify(gguf, progress, context, err);
    sc_gguf_close(gguf);
    return status;
}

SC_EXPORT void socle_model_free(socle_model *m)
{
    if (!m) return;
    sc_api_index_free(m->index);
    sc_tokenizer_free(m->tokenizer);
    sc_template_free(m->template);
    if (m->model) sc_model_free(m->model);
    else sc_gguf_close(m->gguf);
    sc_adapter_set_free(m->adapters);
    for (size_t i = 0; i < m->n_adapters; i++) free(m->adapter_names[i]);
    free(m->adapter_names);
    free(m->adapter_scales);
    free(m->name);
    free(m->weights);
    free(m);
}

SC_EXPORT void socle_model_describe(const socle_model *m, socle_model_info *out)
{
    *out = (socle_model_info){ .family = "none",
                               .name = m->name,
                               .tokenizer = "none",
                               .weights = m->weights,
                               .n_parameters = m->n_parameters,
                               .n_file_bytes = sc_gguf_file_bytes(m->gguf),
                               .has_template = m->template != NULL,
                               .bos = -1,
                               .eos = -1 };
    if (m->model) {
        const struct sc_hparams *h = &m->model->hparams;
        out->family = m->model->family->name;
        out->n_vocab = h->n_vocab;
        out->n_context = h->n_context;
        out->n_embd = h->n_embd;
        out->n_layer = h->n_layer;
    }
    if (!m->tokenizer) return;
    out->tokenizer = sc_tokenizer_kind(m->tokenizer);
    out->has_text = sc_tokenizer_has_text(m->tokenizer);
    out->bos = sc_tokenizer_bos(m->tokenizer);
    out->eos = sc_tokenizer_eos(m->tokenizer);
    if (!m->model) out->n_vocab = sc_tokenizer_n_tokens(m->tokenizer);
}

SC_EXPORT size_t socle_model_n_adapters(const socle_model *m) { return m->n_adapters; }

SC_EXPORT const char *socle_model_adapter(const socle_model *m, size_t i, float *scale)
{
    if (i >= m->n_adapters) return NULL;
    if (scale) *scale = m->adapter_scales[i];
    return m->adapter_names[i];
}

SC_EXPORT const char *socle_model_answer_syntax(const socle_model *m)
{
    return m->syntax ? sc_answer_syntax_name(m->syntax) : NULL;
}

SC_EXPORT const char *socle_family_name(size_t i)
{
    const struct sc_family *family = sc_family_at(i);
    return family ? family->name : NULL;
}

SC_EXPORT const char *socle_family_example(size_t i)
{
    const struct sc_family *family = sc_family_at(i);
    return family ? family->example : NULL;
}

SC_EXPORT void socle_free(void *memory) { free(memory); }
