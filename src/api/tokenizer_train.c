// Training tokenizers: the text side's, behind an opaque handle.
#include <socle/tokenizer_train.h>

#include <stdlib.h>

#include "base/error.h"
#include "base/export.h"
#include "formats/gguf_writer.h"
#include "text/bpe_train.h"

struct socle_tokenizer_trainer {
    struct sc_bpe_trainer *trainer;
    struct sc_bpe_trained *trained; // NULL: nothing is finished
};

SC_EXPORT socle_status socle_tokenizer_trainer_create(const socle_tokenizer_train_options *options,
                                                      socle_tokenizer_trainer **out, socle_error *err)
{
    if (!options) return sc_fail(err, SOCLE_BAD_ARGUMENT, "options are needed: they say how many tokens");
    socle_tokenizer_trainer *t = calloc(1, sizeof *t);
    if (!t) return sc_fail_memory(err, sizeof *t, "a trainer of tokenizers");
    socle_error own;
    socle_status status = sc_bpe_trainer_create(options, &t->trainer, err ? err : &own);
    if (status == SOCLE_OK) *out = t;
    else free(t);
    return status;
}

SC_EXPORT void socle_tokenizer_trainer_free(socle_tokenizer_trainer *t)
{
    if (!t) return;
    sc_bpe_trained_free(t->trained);
    sc_bpe_trainer_free(t->trainer);
    free(t);
}

SC_EXPORT socle_status socle_tokenizer_trainer_add(socle_tokenizer_trainer *t, const char *text, size_t n_bytes,
                                                   socle_error *err)
{
    return sc_bpe_trainer_add(t->trainer, (struct sc_text){ text, n_bytes }, err);
}

SC_EXPORT socle_status socle_tokenizer_trainer_finish(socle_tokenizer_trainer *t, socle_error *err)
{
    sc_bpe_trained_free(t->trained);
    t->trained = NULL;
    return sc_bpe_trainer_finish(t->trainer, &t->trained, err);
}

SC_EXPORT socle_status socle_tokenizer_trainer_write(const socle_tokenizer_trainer *t, const char *path,
                                                     socle_error *err)
{
    if (!t->trained) return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: the vocabulary is not finished", path);
    struct sc_gguf_writer *writer;
    SC_TRY(sc_gguf_writer_create(&writer, err));
    socle_status status = sc_bpe_trained_write(t->trained, writer, err);
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
    sc_gguf_writer_free(writer);
    return status;
}

SC_EXPORT void socle_tokenizer_trainer_describe(const socle_tokenizer_trainer *t, socle_tokenizer_trainer_info *out)
{
    *out = (socle_tokenizer_trainer_info){ .n_texts = sc_bpe_trainer_n_texts(t->trainer),
                                           .n_bytes = sc_bpe_trainer_n_bytes(t->trainer),
                                           .n_words = sc_bpe_trainer_n_words(t->trainer) };
    if (!t->trained) return;
    out->n_tokens = t->trained->n_tokens;
    out->n_merges = t->trained->n_merges;
    out->n_text_tokens = t->trained->n_text_tokens;
}
