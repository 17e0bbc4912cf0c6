// How long the token masks of a grammar take, over a real vocabulary: a text that the grammar allows is gone through
// token by token, first with nothing kept from before and then again.
//
//   meson setup build && ninja -C build bench/constrain
//   build/bench/constrain VOCABULARY.gguf json|object|schema|regex|gbnf SOURCE|- TEXT
//
// SOURCE and TEXT are file names, or the thing itself after '='. Prints one line for each round; times are of the
// processor, so that other programs on the machine do not count.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "formats/gguf.h"
#include "text/matcher.h"

static double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static const char *message(const socle_error *err) { return err->message; }

static struct sc_text read_argument(const char *argument)
{
    if (*argument == '=') return sc_text_of(argument + 1);
    FILE *file = fopen(argument, "rb");
    static char data[2][1 << 22];
    static int n_read;
    char *into = data[n_read++];
    size_t n = file ? fread(into, 1, sizeof data[0], file) : 0;
    if (!file) fprintf(stderr, "%s: cannot be read\n", argument), exit(1);
    fclose(file);
    while (n && into[n - 1] == '\n') n--;
    return (struct sc_text){ into, n };
}

static socle_status make_grammar(const char *kind, struct sc_text source, struct sc_grammar **out, socle_error *err)
{
    if (strcmp(kind, "schema") == 0) return sc_grammar_from_json_schema(source, out, err);
    if (strcmp(kind, "regex") == 0) return sc_grammar_from_regex(source, out, err);
    if (strcmp(kind, "gbnf") == 0) return sc_grammar_from_gbnf(source, out, err);
    return sc_grammar_json(strcmp(kind, "object") == 0, out, err);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int go_through(struct sc_matcher *m, const struct sc_token_ids *ids, const struct sc_tokenizer *tokenizer,
                      const char *round)
{
    uint64_t *mask = calloc(sc_matcher_mask_words(m), sizeof *mask);
    double *times = calloc(ids->n + 1, sizeof *times), sum = 0.0, accepting = 0.0;
    socle_error err;
    sc_matcher_reset(m);
    for (size_t i = 0; i <= ids->n; i++) {
        double start = processor_seconds();
        if (sc_matcher_mask(m, mask, &err) != SOCLE_OK) return fprintf(stderr, "%s\n", message(&err)), 1;
        times[i] = processor_seconds() - start;
        sum += times[i];
        if (i == ids->n) break;
        int32_t id = ids->ids[i];
        struct sc_text bytes = sc_tokenizer_token_bytes(tokenizer, id);
        if (!(mask[id / 64] >> (id % 64) & 1))
            return fprintf(stderr, "token %zu, '%.*s': not allowed\n", i, SC_TEXT_ARGS(bytes)), 1;
        start = processor_seconds();
        if (!sc_matcher_accept(m, id))
            return fprintf(stderr, "token %zu, '%.*s': allowed but not accepted\n", i, SC_TEXT_ARGS(bytes)), 1;
        accepting += processor_seconds() - start;
    }
    qsort(times, ids->n + 1, sizeof *times, compare);
    printf("%-6s %zu masks: mean %.3f ms, median %.3f, 95 %% %.3f, worst %.3f; accepting a token %.4f ms; %s\n", round,
           ids->n + 1, 1e3 * sum / (double)(ids->n + 1), 1e3 * times[ids->n / 2], 1e3 * times[ids->n * 95 / 100],
           1e3 * times[ids->n], 1e3 * accepting / (double)(ids->n ? ids->n : 1),
           sc_matcher_can_end(m) ? "the text is whole" : "the text is not whole");
    free(mask);
    free(times);
    return 0;
}

int main(int argc, char **argv)
{
    struct sc_gguf *gguf;
    struct sc_tokenizer *tokenizer;
    struct sc_token_index *index;
    struct sc_grammar *grammar;
    struct sc_token_masks *masks;
    struct sc_matcher *m;
    struct sc_token_ids ids = { 0 };
    socle_error err;
    if (argc != 5) return fprintf(stderr, "usage: constrain VOCABULARY.gguf KIND SOURCE TEXT\n"), 2;
    if (sc_gguf_open(argv[1], &gguf, &err) != SOCLE_OK || sc_tokenizer_load(gguf, &tokenizer, &err) != SOCLE_OK)
        return fprintf(stderr, "%s\n", message(&err)), 1;
    double start = processor_seconds();
    if (sc_token_index_create(tokenizer, &index, &err) != SOCLE_OK) return fprintf(stderr, "%s\n", message(&err)), 1;
    double indexed = processor_seconds();
    bool needs_source = strcmp(argv[2], "json") != 0 && strcmp(argv[2], "object") != 0;
    struct sc_text source = needs_source ? read_argument(argv[3]) : sc_text_of("");
    double read = processor_seconds();
    if (make_grammar(argv[2], source, &grammar, &err) != SOCLE_OK || sc_token_masks_create(grammar, index, &masks, &err) ||
        sc_matcher_create(masks, &m, &err))
        return fprintf(stderr, "%s\n", message(&err)), 1;
    printf("%u tokens, %u nodes; index %.0f ms, grammar %.1f ms\n", index->n_tokens, index->n_nodes,
           1e3 * (indexed - start), 1e3 * (processor_seconds() - read));
    if (sc_tokenizer_encode(tokenizer, read_argument(argv[4]), &(struct sc_tokenize_options){ 0 }, &ids, &err) != SOCLE_OK)
        return fprintf(stderr, "%s\n", message(&err)), 1;
    int code = go_through(m, &ids, tokenizer, "first");
    if (code == 0) code = go_through(m, &ids, tokenizer, "again");
    sc_matcher_free(m);
    sc_token_masks_free(masks);
    sc_grammar_free(grammar);
    sc_token_index_free(index);
    sc_tokenizer_free(tokenizer);
    sc_gguf_close(gguf);
    sc_token_ids_free(&ids);
    return code;
}
