#include "train/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

// The sources, and behind them one row of floats that they share: rows are asked for one by one.
struct sc_parameter_source *sc_parameter_sources(const struct sc_parameters *parameters, size_t n_parts)
{
    size_t n = parameters->n * n_parts, width = 1;
    for (size_t i = 0; i < parameters->n; i++) width = SC_MAX(width, (size_t)parameters->items[i].shape[0]);
    size_t bytes = sc_align_up(n * sizeof(struct sc_parameter_source) + 64, 64);
    char *memory = calloc(1, bytes + width * sizeof(float));
    struct sc_parameter_source *sources = (void *)memory;
    for (size_t i = 0; sources && i < n; i++) sources[i].row = (float *)(void *)(memory + bytes);
    return sources;
}

static const float *part_of(const struct sc_parameter *p, enum sc_part part)
{
    const float *const parts[] = { [SC_PART_WEIGHTS] = p->w,
                                   [SC_PART_GRADIENTS] = p->gradient,
                                   [SC_PART_MOMENTUM] = p->m,
                                   [SC_PART_VARIANCE] = p->v };
    return parts[part];
}

static socle_status write_row(void *user, uint64_t row, void *out, socle_error *err)
{
    struct sc_parameter_source *source = user;
    const struct sc_format *format = source->format;
    (void)err;
    sc_parameter_get_row(source->parameter, part_of(source->parameter, source->part), row, source->row);
    format->encode(source->row, NULL, out, source->parameter->shape[0] / format->block_size);
    return SOCLE_OK;
}

socle_status sc_parameters_write(const struct sc_parameters *parameters, enum sc_part part, const char *prefix,
                                 const struct sc_format *format, struct sc_parameter_source *sources,
                                 struct sc_gguf_writer *writer, socle_error *err)
{
    const struct sc_format *f32 = sc_format_find_name("F32");
    for (size_t i = 0; i < parameters->n; i++) {
        const struct sc_parameter *p = &parameters->items[i];
        char name[256];
        bool plain = !format || !p->is_matrix || p->shape[0] % format->block_size;
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        sources[i].parameter = p;
        sources[i].part = part;
        sources[i].format = plain ? f32 : format;
        SC_TRY(sc_gguf_writer_add_tensor_rows(writer, name, sources[i].format, p->n_dims, p->shape, write_row,
                                              &sources[i], err));
    }
    return SOCLE_OK;
}

static bool begins_with_any(struct sc_text text, const char *const *prefixes)
{
    for (; prefixes && *prefixes; prefixes++) {
        size_t n = strlen(*prefixes);
        if (text.n_bytes >= n && memcmp(text.data, *prefixes, n) == 0) return true;
    }
    return false;
}

socle_status sc_copy_other_tensors(const struct sc_gguf *gguf, const struct sc_parameters *parameters,
                                   struct sc_gguf_writer *writer, socle_error *err)
{
    static const char *const moments[] = { SC_MOMENTUM_PREFIX, SC_VARIANCE_PREFIX, NULL };
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf) && !parameters->adapters_only; i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(gguf, i);
        char name[256];
        if (begins_with_any(t->name, moments)) continue;
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
        if (sc_parameter_find(parameters, name)) continue;
        SC_TRY(t->packed ? sc_gguf_writer_add_packed(writer, name, t, err)
                         : sc_gguf_writer_add_tensor(writer, name, t->format, t->n_dims, t->shape, t->data, err));
    }
    return SOCLE_OK;
}

socle_status sc_copy_metadata(const struct sc_gguf *gguf, const char *const *without, struct sc_gguf_writer *writer,
                              socle_error *err)
{
    for (uint64_t i = 0; i < sc_gguf_n_values(gguf); i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(gguf, i);
        if (!begins_with_any(value->key, without)) SC_TRY(sc_gguf_writer_copy_value(writer, value, err));
    }
    return SOCLE_OK;
}
