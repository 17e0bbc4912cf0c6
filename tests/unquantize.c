// Turns the matrices of a model into F32, F16 or BF16: a source for tests of quantizing where only a small file is at
// hand, such as the bundled model.
//
//     build/tests/unquantize share/tales.gguf tales-f16.gguf F16
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_writer.h"

struct source {
    const struct sc_tensor *tensor;
    const struct sc_format *format;
    float *row;
};

static socle_status give_row(void *user, uint64_t row, void *out, socle_error *err)
{
    (void)err;
    struct source *s = user;
    const struct sc_tensor *t = s->tensor;
    t->format->decode((const char *)t->data + row * t->row_stride, s->row, t->shape[0] / t->format->block_size);
    s->format->encode(s->row, NULL, out, t->shape[0]);
    return SOCLE_OK;
}

static socle_status convert(const struct sc_gguf *gguf, const struct sc_format *format, const char *path,
                            struct source *sources, socle_error *err)
{
    struct sc_gguf_writer *writer;
    SC_TRY(sc_gguf_writer_create(&writer, err));
    socle_status status = SOCLE_OK;
    for (uint64_t i = 0; i < sc_gguf_n_values(gguf) && status == SOCLE_OK; i++)
        status = sc_gguf_writer_copy_value(writer, sc_gguf_value_at(gguf, i), err);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf) && status == SOCLE_OK; i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(gguf, i);
        char name[64];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
        sources[i] = (struct source){ t, t->format->unpack ? format : t->format, malloc(t->shape[0] * sizeof(float)) };
        status = sc_gguf_writer_add_tensor_rows(writer, name, sources[i].format, t->n_dims, t->shape, give_row,
                                                &sources[i], err);
    }
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) free(sources[i].row);
    sc_gguf_writer_free(writer);
    return status;
}

int main(int argc, char **argv)
{
    struct sc_gguf *gguf;
    socle_error err = { 0 };
    const struct sc_format *format = argc == 4 ? sc_format_find_name(argv[3]) : NULL;
    if (!format || format->unpack) {
        fprintf(stderr, "usage: unquantize IN OUT F32|F16|BF16\n");
        return 2;
    }
    socle_status status = sc_gguf_open(argv[1], &gguf, &err);
    if (status == SOCLE_OK) {
        struct source *sources = calloc(sc_gguf_n_tensors(gguf) + 1, sizeof *sources);
        status = sources ? convert(gguf, format, argv[2], sources, &err) : SOCLE_NO_MEMORY;
        free(sources);
        sc_gguf_close(gguf);
    }
    if (status != SOCLE_OK) fprintf(stderr, "unquantize: %s\n", err.message);
    return (int)status;
}
