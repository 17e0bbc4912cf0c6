// A model that converses, made from one that does not: a copy with a chat template.
#ifndef SC_TESTS_CHAT_MODEL_H
#define SC_TESTS_CHAT_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "formats/gguf_writer.h"

static inline socle_status chat_model_copy(const struct sc_gguf *gguf, struct sc_text template, const char *path,
                                           socle_error *err)
{
    struct sc_gguf_writer *writer;
    SC_TRY(sc_gguf_writer_create(&writer, err));
    socle_status status = SOCLE_OK;
    for (uint64_t i = 0; i < sc_gguf_n_values(gguf) && status == SOCLE_OK; i++)
        status = sc_gguf_writer_copy_value(writer, sc_gguf_value_at(gguf, i), err);
    if (status == SOCLE_OK) status = sc_gguf_writer_set_text(writer, "tokenizer.chat_template", template, err);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf) && status == SOCLE_OK; i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(gguf, i);
        char name[64];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
        status = sc_gguf_writer_add_tensor(writer, name, t->format, t->n_dims, t->shape, t->data, err);
    }
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
    sc_gguf_writer_free(writer);
    return status;
}

// `in` has no template yet; `template` is the path of its source.
static inline socle_status chat_model_write(const char *in, const char *template, const char *out, socle_error *err)
{
    struct sc_gguf *gguf;
    char *source = NULL;
    size_t n_bytes = 0;
    socle_status status = sc_read_file(template, 1 << 20, &source, &n_bytes, err);
    if (status == SOCLE_OK) status = sc_gguf_open(in, &gguf, err);
    if (status == SOCLE_OK) {
        status = chat_model_copy(gguf, (struct sc_text){ source, n_bytes }, out, err);
        sc_gguf_close(gguf);
    }
    free(source);
    return status;
}

#endif
