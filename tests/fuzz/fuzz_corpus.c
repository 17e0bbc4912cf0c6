// Fuzzing training data with libFuzzer: any bytes are a file of some kind. It may be refused; what is accepted must
// read without a fault, and what comes out is checked: texts are spelled by their tokens, pairs begin alike, batches
// keep their promises and go on from their states.
//
//     <kind: 0 to 3> <options: a letter> ⏎ <the file>
//
// Bits of the letter choose the chat template and how texts are cut.
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tiny_vocabulary.h"
#include "train/batches.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { N_TEMPLATES = 4, N_BATCHES_MAX = 24, BYTES_MAX = 1 << 14 };

static struct tiny letters;
static struct sc_template *templates[N_TEMPLATES];
static int file = -1;
static char path[64];

static const char *const sources[N_TEMPLATES] = {
    // ChatML; reasoning in the last answer only; a prompt that no answer begins with; the last user's message differs.
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "{% for m in messages %}{{ m.role[0] }}:{% if m.role == 'assistant' and loop.last %}<think>"
    "{{ m.reasoning_content or '' }}</think>{% endif %}{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}",
    "{{ tools or '' }}{% for m in messages %}{{ m.role[0] }}:{{ m.content | trim }}</s>{% endfor %}"
    "{% if add_generation_prompt %}a:<think>\n{% endif %}",
    "{% if messages[0].role == 'tool' %}{{ raise_exception('no') }}{% endif %}{% for m in messages %}"
    "{% if loop.last %}[{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %} {% endif %}",
};

static void prepare(void)
{
    tiny_begin(&letters, "gpt2", "gpt-2");
    tiny_byte_letters(&letters);
    tiny_word(&letters, "Ġa");
    tiny_merge(&letters, "Ġ a");
    static const char *const marks[] = { "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>" };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        tiny_token(&letters, sc_text_of(marks[i]), i < 4 ? SC_TOKEN_CONTROL : SC_TOKEN_USER_DEFINED, 0);
    sc_gguf_writer_set_u32(letters.writer, "tokenizer.ggml.bos_token_id", 257, NULL);
    sc_gguf_writer_set_u32(letters.writer, "tokenizer.ggml.eos_token_id", 258, NULL);
    if (tiny_load(&letters, NULL) != SOCLE_OK) abort();
    for (int i = 0; i < N_TEMPLATES; i++)
        if (sc_template_parse(sc_text_of(sources[i]), &templates[i], NULL) != SOCLE_OK) abort();
    file = memfd_create("corpus", MFD_CLOEXEC);
    if (file < 0) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
}

// ---- documents

static void check_examples(const struct sc_examples *e, enum sc_corpus_kind kind)
{
    assert(e->n > 0);
    for (size_t i = 0; i < e->n; i++) {
        assert(e->list[i].n == 0 || !e->list[i].answer[0]);
        for (size_t t = 0; t < e->list[i].n; t++)
            assert(e->list[i].answer[t] <= 1 && (uint32_t)e->list[i].tokens[t] < letters.n_tokens);
    }
    assert(e->n_off_prompt <= e->n);
    if (kind != SC_CORPUS_PREFERENCE) return;
    assert(e->n == 2);
    for (size_t t = 0; t < e->list[0].n && t < e->list[1].n && !e->list[0].answer[t] && !e->list[1].answer[t]; t++)
        assert(e->list[0].tokens[t] == e->list[1].tokens[t]);
}

static void append_bytes(const struct sc_example *e, struct sc_buffer *out)
{
    for (size_t t = 0; t < e->n; t++) {
        struct sc_text bytes = sc_tokenizer_token_bytes(letters.tokenizer, e->tokens[t]);
        if (!sc_tokenizer_is_special(letters.tokenizer, e->tokens[t])) sc_buffer_append(out, bytes.data, bytes.n_bytes);
    }
}

// Reads all documents. False: one cannot be read.
static bool check_documents(const struct sc_corpus *corpus, const struct sc_corpus_reader *reader,
                            struct sc_buffer *all)
{
    struct sc_examples examples = { 0 };
    socle_error err;
    socle_status status = SOCLE_OK;
    for (size_t i = 0; i < sc_corpus_n_documents(corpus) && status == SOCLE_OK; i++) {
        status = sc_corpus_read(corpus, i, reader, &examples, &err);
        if (status != SOCLE_OK) assert(strstr(err.message, "line ") && examples.n == 0);
        else check_examples(&examples, sc_corpus_kind(corpus));
        if (status == SOCLE_OK && sc_corpus_kind(corpus) == SC_CORPUS_TEXT) append_bytes(&examples.list[0], all);
    }
    sc_examples_free(&examples);
    return status == SOCLE_OK;
}

// ---- batches

static uint64_t check_batch(const struct sc_batch *b, const struct sc_batches_options *o)
{
    uint64_t hash = 0;
    assert(b->n_rows <= (size_t)o->n_context * o->n_windows && b->begins[b->n_sequences] == b->n_rows);
    for (size_t s = 0; s < b->n_sequences; s++) {
        assert(b->begins[s] < b->begins[s + 1] && b->begins[s + 1] - b->begins[s] <= o->n_context);
        for (uint32_t row = b->begins[s]; row < b->begins[s + 1]; row++) {
            assert(b->positions[row] == row - b->begins[s]);
            assert(b->targets[row] < 0 || row + 1 == b->begins[s + 1] || b->targets[row] == b->tokens[row + 1]);
            hash = hash * 31 + (uint64_t)b->tokens[row] * 1000 + (uint64_t)(b->targets[row] + 1);
        }
    }
    assert(b->n_rows == 0 || b->n_targets > 0);
    return hash * 31 + b->n_sequences;
}

static void check_batches(const struct sc_corpus *corpus, const struct sc_corpus_reader *reader, bool in_order)
{
    const struct sc_batches_options o = { 24,
                                          4,
                                          .seed = 3,
                                          .n_epochs = 2,
                                          .in_order = in_order,
                                          .long_examples = in_order ? SC_LONG_IS_CUT : SC_LONG_IS_SKIPPED };
    struct sc_batches *a, *b;
    struct sc_batch batch;
    if (sc_batches_open(corpus, reader, &o, &a, NULL) != SOCLE_OK) return;
    if (sc_batches_open(corpus, reader, &o, &b, NULL) != SOCLE_OK) abort();
    for (int i = 0; i < N_BATCHES_MAX; i++) {
        struct sc_batches_state state = sc_batches_state(a);
        socle_status status = sc_batches_next(a, &batch, NULL);
        uint64_t hash = status == SOCLE_OK ? check_batch(&batch, &o) : 0;
        assert(sc_batches_seek(b, &state, NULL) == SOCLE_OK);
        assert(sc_batches_next(b, &batch, NULL) == status);
        assert(status != SOCLE_OK || check_batch(&batch, &o) == hash);
        if (status != SOCLE_OK || batch.n_rows == 0) break;
    }
    sc_batches_close(a);
    sc_batches_close(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (file < 0) prepare();
    if (n_bytes < 3 || n_bytes > BYTES_MAX || data[2] != '\n') return 0;
    struct sc_corpus_options options = { .kind = (enum sc_corpus_kind)(data[0] & 3) };
    unsigned choice = data[1];
    if (options.kind == SC_CORPUS_TEXT && (choice & 4)) options.separator = "---";
    else if (options.kind == SC_CORPUS_TEXT && (choice & 8)) options.n_lines = 2;
    if (options.kind == SC_CORPUS_TEXT && (choice & 16)) options.n_bytes_max = 7;
    if (choice & 2) options.holdout_every = 3;
    if (ftruncate(file, 0) != 0 || pwrite(file, data + 3, n_bytes - 3, 0) != (ssize_t)(n_bytes - 3)) abort();
    struct sc_corpus *corpus;
    const char *const paths[] = { path };
    socle_error err;
    if (sc_corpus_open(paths, 1, &options, &corpus, &err) != SOCLE_OK) {
        assert(err.message[0]);
        return 0;
    }
    bool has_template = options.kind == SC_CORPUS_CHAT || (choice & 32);
    const struct sc_corpus_reader reader = { letters.tokenizer, has_template ? templates[choice & 3] : NULL, NULL };
    struct sc_buffer all = { 0 };
    bool readable = check_documents(corpus, &reader, &all);
    if (options.kind == SC_CORPUS_TEXT && !options.separator && !options.n_lines) {
        size_t n = n_bytes - 3, mark = n >= 3 && memcmp(data + 3, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        // Guards and marks are letters here.
        assert(readable && all.n_bytes == n - mark && memcmp(all.data, data + 3 + mark, all.n_bytes) == 0);
    }
    sc_buffer_free(&all);
    check_batches(corpus, &reader, choice & 1);
    sc_corpus_close(corpus);
    return 0;
}
