// For tests of training data: files of a test's own, and a vocabulary in which each byte of a text is one token, beside
// the marks of conversations.
#ifndef SC_TESTS_CORPUS_H
#define SC_TESTS_CORPUS_H

#include <string.h>

#include "base/file.h"
#include "folder.h"
#include "tiny_vocabulary.h"
#include "train/corpus.h"

static struct folder files;
static struct tiny letters;

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static const char *write_bytes(const char *name, const char *bytes, size_t n_bytes)
{
    const char *path = inside(&files, name);
    socle_error err;
    FILE *file = n_bytes ? NULL : fopen(path, "wb"); // sc_write_file would do, but for empty files
    if (file) fclose(file);
    if (n_bytes) must(sc_write_file(path, bytes, n_bytes, &err), &err);
    return path;
}

static const char *write_text(const char *name, const char *text) { return write_bytes(name, text, strlen(text)); }

static struct sc_corpus *open_corpus(const char *text, const struct sc_corpus_options *options)
{
    socle_error err;
    struct sc_corpus *corpus;
    const char *path = write_text("data", text);
    must(sc_corpus_open(&path, 1, options, &corpus, &err), &err);
    return corpus;
}

static struct sc_template *parse(const char *source)
{
    struct sc_template *template;
    socle_error err;
    must(sc_template_parse(sc_text_of(source), &template, &err), &err);
    return template;
}

// <s> and </s> begin and end texts; the marks of ChatML and of reasoning.
static void make_letters(struct tiny *tiny, const char *merge, const char *merged)
{
    static const char *const marks[] = { "<|im_start|>", "<|im_end|>", "<|user|>" };
    socle_error err;
    tiny_begin(tiny, "gpt2", "gpt-2");
    tiny_byte_letters(tiny);
    uint32_t bos = (uint32_t)tiny_token(tiny, sc_text_of("<s>"), SC_TOKEN_CONTROL, 0);
    uint32_t eos = (uint32_t)tiny_token(tiny, sc_text_of("</s>"), SC_TOKEN_CONTROL, 0);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        tiny_token(tiny, sc_text_of(marks[i]), SC_TOKEN_CONTROL, 0);
    tiny_token(tiny, sc_text_of("<think>"), SC_TOKEN_USER_DEFINED, 0);
    tiny_token(tiny, sc_text_of("</think>"), SC_TOKEN_USER_DEFINED, 0);
    if (merge) {
        tiny_word(tiny, merged);
        tiny_merge(tiny, merge);
    }
    sc_gguf_writer_set_u32(tiny->writer, "tokenizer.ggml.bos_token_id", bos, NULL);
    sc_gguf_writer_set_u32(tiny->writer, "tokenizer.ggml.eos_token_id", eos, NULL);
    must(tiny_load(tiny, &err), &err);
}

static int set_up(void **state)
{
    (void)state;
    files = make_folder();
    make_letters(&letters, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tiny_end(&letters);
    remove_folder(&files);
    return 0;
}

#endif
