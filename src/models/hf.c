#include "models/hf.h"

#include <string.h>

#include "models/hf_adapter.h"
#include "models/hf_internal.h"

static socle_status no_text(struct sc_hf *hf)
{
    snprintf(hf->result->text, sizeof hf->result->text, "none");
    return sc_gguf_writer_set_text(hf->writer, "tokenizer.ggml.model", sc_text_of("no_vocab"), hf->err);
}

static void convert(struct sc_hf *hf, const char *path, const struct sc_hf_options *options)
{
    hf->document = sc_hf_read_json(hf, "config.json", true);
    json_t *inner = json_object_get(hf->document, "text_config"); // of models with pictures
    hf->config = json_is_object(inner) ? inner : hf->document;
    sc_hf_config(hf);
    if (hf->status == SOCLE_OK) hf->status = sc_safetensors_open(hf->folder, &hf->weights, hf->err);
    if (hf->status == SOCLE_OK && options->without_text) hf->status = no_text(hf);
    else sc_hf_tokenizer(hf);
    sc_hf_tensors(hf);
    if (hf->status == SOCLE_OK) hf->status = sc_gguf_writer_write(hf->writer, path, hf->err);
}

socle_status sc_hf_convert(const char *folder, const char *path, const struct sc_hf_options *options,
                           struct sc_hf_result *out, socle_error *err)
{
    static const struct sc_hf_options usual = { 0 };
    char trimmed[4096];
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    if (n >= sizeof trimmed) return sc_fail(err, SOCLE_IO, "%.100s…: the path is too long", folder);
    memcpy(trimmed, folder, n);
    trimmed[n] = '\0';
    *out = (struct sc_hf_result){ 0 };
    if (options && options->base) return sc_hf_adapter_read(trimmed, path, options, out, err);
    if (sc_hf_adapter_is(trimmed))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: is an adapter: name the model that it is for (--base)", trimmed);
    struct sc_hf hf = { .folder = trimmed, .err = err, .result = out, .options = options ? options : &usual };
    hf.status = sc_gguf_writer_create(&hf.writer, err);
    if (hf.status == SOCLE_OK) convert(&hf, path, hf.options);
    sc_gguf_writer_free(hf.writer);
    sc_safetensors_free(hf.weights);
    json_decref(hf.document);
    sc_arena_free(&hf.arena);
    return hf.status;
}
