// Gives a model a chat template: a model for tests of conversations where only a small file without one is at hand,
// such as the bundled model.
//
//     build/tests/add_template share/tales.gguf tests/data/chatml.jinja chat.gguf
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "formats/gguf_writer.h"

static socle_status convert(const struct sc_gguf *gguf, struct sc_text template, const char *path, socle_error *err)
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

int main(int argc, char **argv)
{
    struct sc_gguf *gguf;
    socle_error err = { 0 };
    char *template = NULL;
    size_t n_bytes = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: add_template IN TEMPLATE OUT\n");
        return 2;
    }
    socle_status status = sc_read_file(argv[2], 1 << 20, &template, &n_bytes, &err);
    if (status == SOCLE_OK) status = sc_gguf_open(argv[1], &gguf, &err);
    if (status == SOCLE_OK) {
        status = convert(gguf, (struct sc_text){ template, n_bytes }, argv[3], &err);
        sc_gguf_close(gguf);
    }
    free(template);
    if (status != SOCLE_OK) fprintf(stderr, "add_template: %s\n", err.message);
    return (int)status;
}
