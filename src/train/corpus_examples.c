// Examples under construction: tokens and marks grow at the end of two arrays; the list holds lengths until all are in.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "train/corpus_internal.h"

void sc_examples_free(struct sc_examples *e)
{
    free(e->list);
    free(e->tokens);
    free(e->answers);
    *e = (struct sc_examples){ 0 };
}

static socle_status reserve(struct sc_examples *e, size_t n, socle_error *err)
{
    if (n <= e->tokens_capacity - e->n_tokens) return SOCLE_OK;
    size_t capacity = SC_MAX(e->n_tokens + n, e->tokens_capacity * 2);
    int32_t *tokens = realloc(e->tokens, capacity * sizeof *tokens);
    if (tokens) e->tokens = tokens;
    uint8_t *answers = realloc(e->answers, capacity);
    if (answers) e->answers = answers;
    if (!tokens || !answers) return sc_fail_memory(err, capacity * (sizeof *tokens + 1), "the tokens of a document");
    e->tokens_capacity = capacity;
    return SOCLE_OK;
}

socle_status sc_examples_put(struct sc_examples *e, const int32_t *tokens, size_t n, bool is_answer, socle_error *err)
{
    if (n == 0) return SOCLE_OK;
    SC_TRY(reserve(e, n, err));
    memcpy(e->tokens + e->n_tokens, tokens, n * sizeof *tokens);
    memset(e->answers + e->n_tokens, is_answer, n);
    e->n_tokens += n;
    return SOCLE_OK;
}

size_t sc_examples_begin(const struct sc_examples *e)
{
    size_t begin = 0;
    for (size_t i = 0; i < e->n; i++) begin += e->list[i].n;
    return begin;
}

socle_status sc_examples_end(struct sc_examples *e, socle_error *err)
{
    size_t begin = sc_examples_begin(e);
    if (e->n == e->list_capacity) {
        size_t capacity = e->list_capacity ? e->list_capacity * 2 : 4;
        struct sc_example *list = realloc(e->list, capacity * sizeof *list);
        if (!list) return sc_fail_memory(err, capacity * sizeof *list, "the examples of a document");
        e->list = list;
        e->list_capacity = capacity;
    }
    if (begin < e->n_tokens) e->answers[begin] = 0; // nothing is before it that it could be predicted from
    e->list[e->n++] = (struct sc_example){ .n = e->n_tokens - begin };
    return SOCLE_OK;
}

void sc_examples_finish(struct sc_examples *e)
{
    for (size_t i = 0, begin = 0; i < e->n; begin += e->list[i++].n) {
        e->list[i].tokens = e->tokens + begin;
        e->list[i].answer = e->answers + begin;
    }
}

socle_status sc_examples_put_text(struct sc_examples *e, const struct sc_tokenizer *tokenizer, struct sc_text text,
                                  bool begins, bool ends, socle_error *err)
{
    struct sc_tokenize_options options = { 0 };
    struct sc_token_ids ids = { 0 };
    int32_t bos = sc_tokenizer_bos(tokenizer), eos = sc_tokenizer_eos(tokenizer);
    socle_status status = sc_tokenizer_encode(tokenizer, text, &options, &ids, err);
    if (status == SOCLE_OK && begins && bos >= 0) status = sc_examples_put(e, &bos, 1, false, err);
    if (status == SOCLE_OK) status = sc_examples_put(e, ids.ids, ids.n, true, err);
    if (status == SOCLE_OK && ends && eos >= 0) status = sc_examples_put(e, &eos, 1, true, err);
    sc_token_ids_free(&ids);
    return status == SOCLE_OK ? sc_examples_end(e, err) : status;
}
