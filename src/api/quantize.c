// Quantizing and importance matrices: the engine's, behind opaque handles.
#include <socle/quantize.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/size.h"
#include "engine/imatrix.h"
#include "engine/quantize.h"

struct socle_quantization {
    struct sc_quantization *engine;
};

struct socle_imatrix {
    const socle_model *model;
    struct sc_imatrix *engine;
    uint32_t n_chunks, chunk_size;
};

// ---- quantizing

SC_EXPORT bool socle_quantize_type_at(size_t i, socle_quantize_type *out)
{
    const struct sc_quantize_type *type = sc_quantize_type_at(i);
    if (!type) return false;
    *out = (socle_quantize_type){ type->name, type->summary };
    return true;
}

SC_EXPORT socle_status socle_quantize(const char *in, const char *out, const socle_quantize_options *options,
                                      socle_quantization **result, socle_error *err)
{
    if (!options || !options->type) return sc_fail(err, SOCLE_BAD_ARGUMENT, "a type to quantize to is needed");
    struct sc_quantize_options o = { .type = options->type,
                                     .overrides = options->overrides,
                                     .n_overrides = options->n_overrides,
                                     .imatrix = options->imatrix,
                                     .n_threads = options->n_threads,
                                     .on_progress = options->on_progress,
                                     .context = options->context };
    socle_quantization *q = calloc(1, sizeof *q);
    if (!q) return sc_fail_memory(err, sizeof *q, "a quantization");
    socle_status status = sc_quantize_plan(in, &o, &q->engine, err);
    if (status == SOCLE_OK) status = sc_quantize_run(q->engine, out, &o, err);
    if (status == SOCLE_OK && result) *result = q;
    else socle_quantization_free(q);
    return status;
}

SC_EXPORT void socle_quantization_free(socle_quantization *q)
{
    if (!q) return;
    sc_quantize_free(q->engine);
    free(q);
}

static uint64_t n_weights(const struct sc_tensor *t) { return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3]; }

static uint64_t n_bytes_after(const struct sc_quantize_entry *entry)
{
    const struct sc_tensor *t = entry->tensor;
    return n_weights(t) / t->shape[0] * sc_format_row_bytes(entry->format, t->shape[0]);
}

static double relative(double errors, double squares) { return squares > 0.0 ? sqrt(errors / squares) : 0.0; }

SC_EXPORT void socle_quantization_describe(const socle_quantization *q, socle_quantization_info *out)
{
    const struct sc_quantization *engine = q->engine;
    double bytes_before = 0.0, bytes_after = 0.0, squares = 0.0, errors = 0.0;
    *out = (socle_quantization_info){ .type = engine->type->name,
                                      .n_bytes_before = engine->n_bytes_before,
                                      .n_bytes_after = engine->n_bytes_after,
                                      .n_tensors = engine->n_entries };
    for (uint64_t i = 0; i < engine->n_entries; i++) {
        const struct sc_quantize_entry *entry = &engine->entries[i];
        out->n_weights += n_weights(entry->tensor);
        bytes_before += (double)entry->tensor->n_bytes;
        bytes_after += (double)n_bytes_after(entry);
        squares += entry->squares;
        errors += entry->errors;
    }
    out->bits_before = 8.0 * bytes_before / (double)out->n_weights;
    out->bits_after = 8.0 * bytes_after / (double)out->n_weights;
    out->relative_error = relative(errors, squares);
}

SC_EXPORT bool socle_quantized_tensor_at(const socle_quantization *q, size_t i, socle_quantized_tensor *out)
{
    if (i >= q->engine->n_entries) return false;
    const struct sc_quantize_entry *entry = &q->engine->entries[i];
    *out = (socle_quantized_tensor){ .from = entry->tensor->format->name,
                                     .wanted = entry->wanted->name,
                                     .to = entry->format->name,
                                     .n_weights = n_weights(entry->tensor),
                                     .n_bytes_before = entry->tensor->n_bytes,
                                     .n_bytes_after = n_bytes_after(entry),
                                     .kept = entry->kept,
                                     .has_importance = entry->importance != NULL,
                                     .relative_error = relative(entry->errors, entry->squares) };
    snprintf(out->name, sizeof out->name, "%.*s", SC_TEXT_ARGS(entry->tensor->name));
    return true;
}

// ---- importance matrices

SC_EXPORT socle_status socle_imatrix_create(const socle_model *model, socle_imatrix **out, socle_error *err)
{
    if (!model->model)
        return sc_fail(err, SOCLE_UNSUPPORTED, "%s: holds a vocabulary but no weights", sc_gguf_path(model->gguf));
    socle_imatrix *m = calloc(1, sizeof *m);
    if (!m) return sc_fail_memory(err, sizeof *m, "an importance matrix");
    m->model = model;
    socle_status status = sc_imatrix_create(model->model, &m->engine, err);
    if (status == SOCLE_OK) *out = m;
    else free(m);
    return status;
}

SC_EXPORT void socle_imatrix_free(socle_imatrix *m)
{
    if (!m) return;
    sc_imatrix_free(m->engine);
    free(m);
}

SC_EXPORT socle_status socle_imatrix_gather(socle_imatrix *m, socle_session *session, const int32_t *tokens,
                                            size_t n_tokens, socle_error *err)
{
    if (session->model != m->model)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "the session is of another model than the importance matrix");
    socle_session_rewind(session, 0);
    struct sc_evaluation what = { .tokens = tokens,
                                  .n_tokens = n_tokens,
                                  .first_logits = sc_imatrix_wants_logits(m->engine) ? 0 : n_tokens,
                                  .observe = sc_imatrix_observe,
                                  .observer = m->engine };
    SC_TRY(sc_api_evaluate(session, &what, err));
    m->n_chunks++;
    m->chunk_size = (uint32_t)SC_MAX((size_t)m->chunk_size, n_tokens);
    return SOCLE_OK;
}

SC_EXPORT socle_status socle_imatrix_write(const socle_imatrix *m, const char *path, const char *dataset,
                                           socle_error *err)
{
    if (m->n_chunks == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: nothing was gathered to be written", path);
    return sc_imatrix_write(m->engine, path, dataset, m->n_chunks, m->chunk_size, err);
}
