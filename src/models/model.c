#include "models/model.h"

#include <stdlib.h>

#include "base/memory.h"
#include "kernels/elementary64.h"
#include "models/decoder.h"
#include "models/rope.h"

socle_status sc_model_family(const struct sc_gguf *gguf, const struct sc_family **out, socle_error *err)
{
    struct sc_text name = { 0 };
    SC_TRY(sc_gguf_require(gguf, "general.architecture", err));
    SC_TRY(sc_gguf_get_text(gguf, "general.architecture", &name, err));
    *out = sc_family_find(name);
    if (*out) return SOCLE_OK;
    struct sc_buffer names = { 0 };
    sc_family_names(&names);
    sc_fail(err, SOCLE_UNSUPPORTED, "%s: the family '%.*s' is not supported; supported are: %s", sc_gguf_path(gguf),
            SC_TEXT_ARGS(name), names.data ? names.data : "?");
    sc_buffer_free(&names);
    return SOCLE_UNSUPPORTED;
}

static socle_status load(struct sc_model *model, const struct sc_model_options *options, socle_error *err)
{
    struct sc_hparams *h = &model->hparams;
    SC_TRY(sc_model_family(model->gguf, &model->family, err));
    SC_TRY(sc_hparams_read(model->gguf, model->family, h, err));
    const struct sc_tensor *table = sc_gguf_find_tensor(model->gguf, "token_embd.weight");
    if (table && (table->shape[0] != h->n_embd || table->shape[1] > INT32_MAX || table->shape[2] != 1))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor 'token_embd.weight': expected rows of %u, found %llu",
                       sc_gguf_path(model->gguf), h->n_embd, (unsigned long long)table->shape[0]);
    if (table) h->n_vocab = (uint32_t)table->shape[1];
    if (h->attn_scale == 0.0f) h->attn_scale = (float)sc_pow64((double)h->head_dim_k, -0.5);

    struct sc_loader l = { .model = model, .h = h, .err = err, .dropout = options->dropout };
    sc_build_begin(&l.b, &model->program, h->n_layer, err);
    model->adapters = options->adapters;
    l.b.adapters = options->adapters ? sc_adapter_set_adapters(options->adapters) : NULL;
    sc_load_rope(&l);
    if (l.status == SOCLE_OK) sc_decoder_build(&l);
    return l.status;
}

socle_status sc_model_load(struct sc_gguf *gguf, struct sc_model **out, socle_error *err)
{
    return sc_model_load_with(gguf, &(struct sc_model_options){ 0 }, out, err);
}

socle_status sc_model_load_with(struct sc_gguf *gguf, const struct sc_model_options *options, struct sc_model **out,
                                socle_error *err)
{
    struct sc_model *model = calloc(1, sizeof *model);
    if (!model) {
        sc_gguf_close(gguf);
        return sc_fail_memory(err, sizeof *model, "a model");
    }
    model->gguf = gguf;
    pthread_mutex_init(&model->mutex, NULL);
    socle_status status = load(model, options, err);
    if (status != SOCLE_OK) {
        // Messages from the program's builder know tensors but not the file.
        const char *path = sc_gguf_path(gguf);
        if (err && !strstr(err->message, path)) sc_fail_prefix(err, "%s", path);
        sc_model_free(model);
        return status;
    }
    *out = model;
    return SOCLE_OK;
}

// The mutex is no part of what a model says, so one may hold it who may only read.
static pthread_mutex_t *mutex_of(const struct sc_model *model) { return (pthread_mutex_t *)(uintptr_t)&model->mutex; }

void sc_model_lock(const struct sc_model *model) { pthread_mutex_lock(mutex_of(model)); }

void sc_model_unlock(const struct sc_model *model) { pthread_mutex_unlock(mutex_of(model)); }

void sc_model_free(struct sc_model *model)
{
    if (!model) return;
    sc_program_free(&model->program);
    sc_memory_release(model->packed, model->packed_bytes);
    free(model->weights);
    pthread_mutex_destroy(&model->mutex);
    sc_arena_free(&model->arena);
    sc_gguf_close(model->gguf);
    free(model);
}
