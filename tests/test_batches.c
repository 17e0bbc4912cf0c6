// Batches: every token is predicted once an epoch, sequences keep to their documents, orders are a matter of the seed,
// and a stream goes on from any of its states as if it had never stopped.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "corpus.h"
#include "train/batches.h"

static const struct sc_corpus_options by_line = { .kind = SC_CORPUS_TEXT, .n_lines = 1 };

#define TURN(role, text) "{\"role\": \"" role "\", \"content\": \"" text "\"}"
#define CHAT(question, answer) "{\"messages\": [" TURN("user", question) ", " TURN("assistant", answer) "]}\n"

static const char plain[] = "{% for m in messages %}{{ m.role[0] }}{{ m.content }}</s>{% endfor %}"
                            "{% if add_generation_prompt %}a{% endif %}";

// ---- helpers

static struct sc_batches *open_batches(const struct sc_corpus *corpus, const struct sc_template *template,
                                       const struct sc_batches_options *options)
{
    struct sc_batches *batches;
    socle_error err;
    const struct sc_corpus_reader reader = { letters.tokenizer, template, NULL };
    must(sc_batches_open(corpus, &reader, options, &batches, &err), &err);
    return batches;
}

static struct sc_batch next_batch(struct sc_batches *batches)
{
    struct sc_batch batch;
    socle_error err;
    must(sc_batches_next(batches, &batch, &err), &err);
    return batch;
}

// What holds of every batch.
static void check_batch(const struct sc_batch *batch, const struct sc_batches_options *o)
{
    size_t n_targets = 0;
    assert_true(batch->n_rows <= (size_t)o->n_windows * o->n_context);
    assert_int_equal(batch->begins[0], 0);
    assert_int_equal(batch->begins[batch->n_sequences], batch->n_rows);
    for (size_t s = 0; s < batch->n_sequences; s++) {
        uint32_t begin = batch->begins[s], end = batch->begins[s + 1];
        assert_in_range(end - begin, 1, o->n_context);
        for (uint32_t row = begin; row < end; row++) {
            assert_int_equal(batch->positions[row], row - begin);
            if (batch->targets[row] < 0) continue;
            n_targets++;
            if (row + 1 < end) assert_int_equal(batch->targets[row], batch->tokens[row + 1]);
        }
    }
    assert_int_equal(batch->n_targets, n_targets);
}

static void append_token(struct sc_buffer *out, int32_t token)
{
    struct sc_text bytes = sc_tokenizer_token_bytes(letters.tokenizer, token);
    sc_buffer_append(out, bytes.data, bytes.n_bytes);
}

// Appends a batch: its sequences in brackets, targets only.
static void append_targets(struct sc_buffer *out, const struct sc_batch *batch)
{
    for (size_t s = 0; s < batch->n_sequences; s++) {
        sc_buffer_append_char(out, '[');
        for (uint32_t row = batch->begins[s]; row < batch->begins[s + 1]; row++)
            if (batch->targets[row] >= 0) append_token(out, batch->targets[row]);
        sc_buffer_append_char(out, ']');
    }
}

// Lines of lengths that hit and miss every boundary; document i begins with its letters, so that all differ.
static char *make_lines(size_t n)
{
    struct sc_buffer text = { 0 };
    for (size_t i = 0; i < n; i++) {
        sc_buffer_printf(&text, "%zu:", i);
        for (size_t c = 0; c < i * 7 % 23; c++) sc_buffer_append_char(&text, (char)('a' + c % 26));
        sc_buffer_append_char(&text, '\n');
    }
    return sc_buffer_take(&text);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)); text++) n++;
    return n;
}

// ---- texts

static void packs_every_document_once_an_epoch(void **state)
{
    char *text = make_lines(30);
    struct sc_corpus *corpus = open_corpus(text, &by_line);
    (void)state;
    for (uint32_t context = 1; context < 40; context += context < 8 ? 1 : 9)
        for (uint32_t windows = 1; windows < 6; windows += 2)
            for (int in_order = 0; in_order < 2; in_order++) {
                const struct sc_batches_options o = { context, windows, .seed = context, .n_epochs = 1,
                                                      .in_order = in_order };
                struct sc_batches *batches = open_batches(corpus, NULL, &o);
                struct sc_buffer all = { 0 };
                struct sc_batch batch;
                int32_t last = -1;
                while ((batch = next_batch(batches)).n_rows) {
                    check_batch(&batch, &o);
                    assert_int_equal(batch.n_targets, batch.n_rows);
                    for (size_t s = 0; s < batch.n_sequences; s++) {
                        // A sequence is a document's beginning or goes on where the one before it ended.
                        int32_t first = batch.tokens[batch.begins[s]];
                        if (first == sc_tokenizer_bos(letters.tokenizer)) sc_buffer_append_char(&all, '|');
                        else assert_int_equal(first, last);
                        for (uint32_t row = batch.begins[s]; row < batch.begins[s + 1]; row++) {
                            last = batch.targets[row];
                            if (row > batch.begins[s])
                                assert_int_not_equal(batch.tokens[row], sc_tokenizer_bos(letters.tokenizer));
                            append_token(&all, last);
                        }
                    }
                }
                size_t n_bytes = 0;
                const char *at = all.data;
                for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
                    char expected[64];
                    int n = (int)strcspn(line, "\n");
                    snprintf(expected, sizeof expected, "|%.*s</s>", n, line);
                    n_bytes += strlen(expected);
                    assert_int_equal(count(all.data, expected), 1);
                    if (in_order) assert_ptr_equal(strstr(all.data, expected), at);
                    at += strlen(expected);
                }
                assert_int_equal(n_bytes, all.n_bytes);
                assert_int_equal(next_batch(batches).n_rows, 0);
                sc_buffer_free(&all);
                sc_batches_close(batches);
            }
    sc_corpus_close(corpus);
    free(text);
}

static void fills_windows_and_cuts_the_first_of_an_epoch_by_chance(void **state)
{
    struct sc_corpus *corpus = open_corpus("abcdefgh\n12\n", &by_line);
    const struct sc_batches_options in_order = { 4, 2, .n_epochs = 1, .in_order = true };
    struct sc_batches *batches = open_batches(corpus, NULL, &in_order);
    struct sc_buffer text = { 0 };
    struct sc_batch batch;
    (void)state;
    for (int i = 0; i < 2; i++) {
        batch = next_batch(batches);
        append_targets(&text, &batch);
        sc_buffer_append_char(&text, '\n');
    }
    assert_string_equal(text.data, "[abcd][efgh]\n[</s>][12</s>]\n");
    assert_int_equal(next_batch(batches).n_rows, 0);
    sc_batches_close(batches);
    sc_buffer_free(&text);
    // The first window of an epoch has each length of rows about equally often.
    size_t n[4] = { 0 };
    for (uint64_t seed = 0; seed < 400; seed++) {
        const struct sc_batches_options o = { 4, 1, .seed = seed };
        batches = open_batches(corpus, NULL, &o);
        n[next_batch(batches).n_rows - 1]++;
        sc_batches_close(batches);
    }
    for (int i = 0; i < 4; i++) assert_in_range(n[i], 70, 130);
    sc_corpus_close(corpus);
}

static void refuses_data_without_a_token_to_predict(void **state)
{
    const struct sc_corpus_options pieces = { SC_CORPUS_TEXT, .n_bytes_max = 1 };
    const struct sc_corpus_options held = { SC_CORPUS_TEXT, .n_lines = 1, .holdout_every = 1 };
    const struct sc_batches_options endless = { 4, 2, .seed = 1 }, once = { 4, 2, .n_epochs = 1, .in_order = true };
    const struct sc_batches_options *const all[] = { &endless, &once };
    struct tiny bare;
    struct sc_batches *batches;
    struct sc_batch batch;
    socle_error err;
    (void)state;
    tiny_bpe(&bare, "gpt-2"); // without tokens that begin and end
    must(tiny_load(&bare, &err), &err);
    struct sc_corpus *corpus = open_corpus("abc", &pieces);
    const struct sc_corpus_reader reader = { bare.tokenizer, NULL, NULL };
    for (size_t i = 0; i < SC_COUNT(all); i++) {
        must(sc_batches_open(corpus, &reader, all[i], &batches, &err), &err);
        assert_int_equal(sc_batches_next(batches, &batch, &err), SOCLE_BAD_FILE);
        assert_non_null(strstr(err.message, "too little training data"));
        assert_int_equal(sc_batches_state(batches).epoch, 0);
        sc_batches_close(batches);
    }
    sc_corpus_close(corpus);
    tiny_end(&bare);
    corpus = open_corpus("a\nb\n", &held);
    assert_int_equal(sc_batches_open(corpus, &reader, &once, &batches, &err), SOCLE_BAD_FILE);
    assert_non_null(strstr(err.message, "of the training data's 2 documents, all are held out"));
    sc_corpus_close(corpus);
}

static void gives_each_side_of_held_out_documents_its_own(void **state)
{
    const struct sc_corpus_options held = { SC_CORPUS_TEXT, .n_lines = 1, .holdout_every = 3, .holdout_first = 1 };
    static const char *const expected[] = { "[a</s>][c</s>][d</s>][f</s>]", "[b</s>][e</s>]" };
    struct sc_corpus *corpus = open_corpus("a\nb\nc\nd\ne\nf\n", &held);
    (void)state;
    for (int side = 0; side < 2; side++) {
        const struct sc_batches_options o = { 8, 2, .n_epochs = 1, .in_order = true, .held_out = side };
        struct sc_batches *batches = open_batches(corpus, NULL, &o);
        struct sc_buffer text = { 0 };
        struct sc_batch batch = next_batch(batches);
        append_targets(&text, &batch);
        assert_string_equal(text.data, expected[side]);
        assert_float_equal(sc_batches_epochs(batches), 1.0, 0);
        assert_int_equal(next_batch(batches).n_rows, 0);
        sc_buffer_free(&text);
        sc_batches_close(batches);
    }
    sc_corpus_close(corpus);
}

// ---- the order

// The documents of an epoch as digits.
static void order_of(struct sc_batches *batches, size_t n, char *out)
{
    for (size_t i = 0; i < n;) {
        struct sc_batch batch = next_batch(batches);
        for (size_t row = 0; row < batch.n_rows; row++)
            if (batch.targets[row] < 256) out[i++] = (char)batch.targets[row];
    }
    out[n] = '\0';
}

static void orders_are_permutations_that_differ_by_seed_and_epoch(void **state)
{
    struct sc_corpus *corpus = open_corpus("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", &by_line);
    char seen[6][11];
    size_t n = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct sc_batches *batches = open_batches(corpus, NULL, &(struct sc_batches_options){ 2, 1, .seed = seed });
        for (int epoch = 0; epoch < 3; epoch++, n++) {
            order_of(batches, 10, seen[n]);
            for (char digit = '0'; digit <= '9'; digit++) assert_non_null(strchr(seen[n], digit));
            for (size_t before = 0; before < n; before++) assert_string_not_equal(seen[before], seen[n]);
            assert_true(sc_batches_epochs(batches) > epoch + 0.9 && sc_batches_epochs(batches) <= epoch + 1);
        }
        sc_batches_close(batches);
    }
    sc_corpus_close(corpus);
}

static void all_orders_are_equally_probable(void **state)
{
    struct sc_corpus *corpus = open_corpus("0\n1\n2\n", &by_line);
    static const char *const orders[] = { "012", "021", "102", "120", "201", "210" };
    size_t n[6] = { 0 };
    (void)state;
    for (uint64_t seed = 0; seed < 1200; seed++) {
        struct sc_batches *batches = open_batches(corpus, NULL, &(struct sc_batches_options){ 2, 1, .seed = seed });
        char order[4];
        order_of(batches, 3, order);
        for (int i = 0; i < 6; i++) n[i] += strcmp(order, orders[i]) == 0;
        sc_batches_close(batches);
    }
    for (int i = 0; i < 6; i++) assert_in_range(n[i], 150, 250); // 200, and four standard deviations of 13
    sc_corpus_close(corpus);
}

static void draws_below_any_bound_without_bias(void **state)
{
    (void)state;
    // Two thirds of 2^32: if no words were rejected, even results would be twice as frequent as odd ones.
    const uint32_t bound = 0xAAAAAAAB;
    size_t n_even = 0;
    for (uint64_t i = 0; i < 30000; i++) {
        uint32_t x = sc_random_below(5, i, SC_RANDOM_SHUFFLE, bound);
        assert_true(x < bound);
        n_even += x % 2 == 0;
        assert_int_equal(sc_random_below(5, i, SC_RANDOM_CUT, 1), 0);
        assert_true(sc_random_below(i, 0, SC_RANDOM_CUT, 3) < 3);
    }
    assert_in_range(n_even, 14600, 15400);
}

// ---- going on

static void check_seeks(const struct sc_corpus *corpus, const struct sc_template *template,
                        const struct sc_batches_options *o, size_t n_batches)
{
    struct sc_batches *whole = open_batches(corpus, template, o);
    struct sc_batches_state *states = calloc(n_batches, sizeof *states);
    struct sc_buffer *texts = calloc(n_batches, sizeof *texts);
    double *epochs = calloc(n_batches, sizeof *epochs);
    assert_true(states && texts && epochs);
    for (size_t i = 0; i < n_batches; i++) {
        states[i] = sc_batches_state(whole);
        epochs[i] = sc_batches_epochs(whole);
        if (i) assert_true(epochs[i] > epochs[i - 1]);
        struct sc_batch batch = next_batch(whole);
        check_batch(&batch, o);
        append_targets(&texts[i], &batch);
    }
    // From the back, so that each seek is one back, too; and in a stream of its own.
    for (size_t i = n_batches; i-- > 0;) {
        socle_error err;
        struct sc_batches *fresh = open_batches(corpus, template, o);
        struct sc_batches *const streams[] = { whole, fresh };
        for (int s = 0; s < 2; s++) {
            must(sc_batches_seek(streams[s], &states[i], &err), &err);
            assert_true(sc_batches_epochs(streams[s]) == epochs[i]);
            for (size_t k = i; k < n_batches && k < i + 4; k++) {
                struct sc_buffer text = { 0 };
                struct sc_batches_state state = sc_batches_state(streams[s]);
                assert_memory_equal(&state, &states[k], sizeof state);
                struct sc_batch batch = next_batch(streams[s]);
                append_targets(&text, &batch);
                assert_string_equal(text.data, texts[k].data);
                sc_buffer_free(&text);
            }
        }
        sc_batches_close(fresh);
    }
    for (size_t i = 0; i < n_batches; i++) sc_buffer_free(&texts[i]);
    free(epochs);
    free(texts);
    free(states);
    sc_batches_close(whole);
}

static void goes_on_from_every_state(void **state)
{
    const struct sc_corpus_options chats = { .kind = SC_CORPUS_CHAT };
    const struct sc_corpus_options pairs = { .kind = SC_CORPUS_PREFERENCE };
    struct sc_template *template = parse(plain);
    (void)state;
    char *lines = make_lines(12);
    struct sc_corpus *corpus = open_corpus(lines, &by_line);
    check_seeks(corpus, NULL, &(struct sc_batches_options){ 5, 3, .seed = 9 }, 60);
    check_seeks(corpus, NULL, &(struct sc_batches_options){ 64, 1, .seed = 9 }, 30);
    check_seeks(corpus, NULL, &(struct sc_batches_options){ 7, 2, .n_epochs = 3, .in_order = true }, 30);
    sc_corpus_close(corpus);
    corpus = open_corpus(CHAT("q1", "one") CHAT("q2", "") CHAT("q3", "three and much more") CHAT("q4", "4"), &chats);
    check_seeks(corpus, template, &(struct sc_batches_options){ 16, 1, .seed = 4, .long_examples = SC_LONG_IS_CUT },
                12);
    check_seeks(corpus, template, &(struct sc_batches_options){ 16, 2, .seed = 4, .long_examples = SC_LONG_IS_SKIPPED },
                12);
    sc_corpus_close(corpus);
    corpus = open_corpus("{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n"
                         "{\"prompt\": \"d\", \"chosen\": \"e\", \"rejected\": \"f\"}\n"
                         "{\"prompt\": \"g\", \"chosen\": \"h\", \"rejected\": \"i\"}\n",
                         &pairs);
    check_seeks(corpus, NULL, &(struct sc_batches_options){ 8, 4, .seed = 4 }, 9);
    sc_corpus_close(corpus);
    sc_template_free(template);
    free(lines);
}

static void refuses_states_of_other_data(void **state)
{
    static const struct sc_batches_state wrong[] = {
        { .next = 2 },
        { .next = 1, .offset = 3 },
        { .next = 0, .example = 1 },
        { .epoch = UINT64_MAX },
        { .next = UINT64_MAX, .offset = UINT64_MAX },
    };
    struct sc_corpus *corpus = open_corpus("abc\nd\n", &by_line);
    struct sc_batches *batches = open_batches(corpus, NULL, &(struct sc_batches_options){ 2, 1, .in_order = true });
    (void)state;
    next_batch(batches);
    struct sc_batches_state before = sc_batches_state(batches), after;
    for (size_t i = 0; i < SC_COUNT(wrong); i++) {
        assert_int_equal(sc_batches_seek(batches, &wrong[i], NULL), SOCLE_BAD_ARGUMENT);
        after = sc_batches_state(batches);
        assert_memory_equal(&before, &after, sizeof before);
    }
    struct sc_buffer text = { 0 };
    struct sc_batch batch = next_batch(batches);
    append_targets(&text, &batch);
    assert_string_equal(text.data, "[c</s>]");
    sc_buffer_free(&text);
    sc_batches_close(batches);
    sc_corpus_close(corpus);
}

// ---- conversations and pairs

static void keeps_conversations_whole(void **state)
{
    const struct sc_corpus_options chats = { .kind = SC_CORPUS_CHAT };
    // Rows up to the one that predicts the end: "uq</s>ab…" without the last.
    struct sc_corpus *corpus = open_corpus(CHAT("q", "b") CHAT("q", "cde") CHAT("q", "f") CHAT("q", "ghi"), &chats);
    struct sc_template *template = parse(plain);
    const struct sc_batches_options o = { 11, 2, .n_epochs = 1, .in_order = true };
    struct sc_batches *batches = open_batches(corpus, template, &o);
    struct sc_buffer text = { 0 };
    struct sc_batch batch;
    (void)state;
    while ((batch = next_batch(batches)).n_rows) {
        check_batch(&batch, &o);
        append_targets(&text, &batch);
        sc_buffer_append_char(&text, '\n');
    }
    // 5 and 7 rows do not go into a window of 11, nor do 7 and 5.
    assert_string_equal(text.data, "[b</s>][cde</s>]\n[f</s>][ghi</s>]\n");
    assert_int_equal(sc_batches_state(batches).n_targets, 2 + 4 + 2 + 4);
    assert_int_equal(sc_batches_state(batches).n_rows, 5 + 7 + 5 + 7);
    sc_buffer_free(&text);
    sc_batches_close(batches);
    batches = open_batches(corpus, template, &(struct sc_batches_options){ 12, 1, .n_epochs = 1, .in_order = true });
    assert_int_equal(next_batch(batches).n_sequences, 2);
    sc_batches_close(batches);
    sc_template_free(template);
    sc_corpus_close(corpus);
}

static void fails_skips_or_cuts_what_is_too_long(void **state)
{
    const struct sc_corpus_options chats = { .kind = SC_CORPUS_CHAT };
    struct sc_corpus *corpus = open_corpus("\n" CHAT("q", "b") CHAT("q", "cde") CHAT("qqqq", "f"), &chats);
    struct sc_template *template = parse(plain);
    struct sc_batches_options o = { 5, 3, .n_epochs = 1, .in_order = true };
    struct sc_batches *batches = open_batches(corpus, template, &o);
    struct sc_batch batch;
    socle_error err;
    (void)state;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(sc_batches_next(batches, &batch, &err), SOCLE_BAD_FILE);
        assert_non_null(strstr(err.message, "/data: line 3: the conversation has 8 tokens"));
        assert_non_null(strstr(err.message, "more than the 6 that a context of 5 holds"));
        assert_int_equal(sc_batches_state(batches).next, 0);
    }
    sc_batches_close(batches);
    static const char *const expected[] = { [SC_LONG_IS_SKIPPED] = "[b</s>]", [SC_LONG_IS_CUT] = "[b</s>][cd]" };
    for (int how = SC_LONG_IS_SKIPPED; how <= SC_LONG_IS_CUT; how++) {
        struct sc_buffer text = { 0 };
        o.long_examples = (enum sc_long_examples)how;
        batches = open_batches(corpus, template, &o);
        batch = next_batch(batches);
        append_targets(&text, &batch);
        assert_string_equal(text.data, expected[how]);
        assert_int_equal(sc_batches_state(batches).n_skipped, how == SC_LONG_IS_SKIPPED ? 2 : 1);
        sc_buffer_free(&text);
        sc_batches_close(batches);
    }
    o.n_context = 2;
    o.n_epochs = 0;
    batches = open_batches(corpus, template, &o);
    assert_int_equal(sc_batches_next(batches, &batch, &err), SOCLE_BAD_FILE);
    assert_non_null(strstr(err.message, "all conversations are longer"));
    sc_batches_close(batches);
    sc_template_free(template);
    sc_corpus_close(corpus);
}

static void lays_pairs_side_by_side(void **state)
{
    const struct sc_corpus_options pairs = { .kind = SC_CORPUS_PREFERENCE };
    struct sc_corpus *corpus = open_corpus("{\"prompt\": \"a\", \"chosen\": \"yes\", \"rejected\": \"no\"}\n"
                                           "{\"prompt\": \"b\", \"chosen\": \"much too long\", \"rejected\": \"no\"}\n"
                                           "{\"prompt\": \"c\", \"chosen\": \"ja\", \"rejected\": \"nein\"}\n",
                                           &pairs);
    struct sc_template *template = parse(plain);
    struct sc_batches_options o = { 8, 4, .in_order = true, .long_examples = SC_LONG_IS_SKIPPED };
    struct sc_batches *batches = open_batches(corpus, template, &o);
    struct sc_buffer text = { 0 };
    (void)state;
    struct sc_batch batch = next_batch(batches);
    check_batch(&batch, &o);
    append_targets(&text, &batch);
    assert_string_equal(text.data, "[yes</s>][no</s>][ja</s>][nein</s>]");
    for (size_t pair = 0; pair < 2; pair++)
        for (uint32_t i = 0; i < 4; i++) // "ua</s>a"
            assert_int_equal(batch.tokens[batch.begins[2 * pair] + i], batch.tokens[batch.begins[2 * pair + 1] + i]);
    assert_int_equal(sc_batches_state(batches).n_skipped, 2);
    sc_buffer_free(&text);
    sc_batches_close(batches);
    o.n_windows = 3;
    const struct sc_corpus_reader reader = { letters.tokenizer, template, NULL };
    assert_int_equal(sc_batches_open(corpus, &reader, &o, &batches, NULL), SOCLE_BAD_ARGUMENT);
    o = (struct sc_batches_options){ UINT32_MAX, UINT32_MAX };
    assert_int_equal(sc_batches_open(corpus, &reader, &o, &batches, NULL), SOCLE_BAD_ARGUMENT);
    o = (struct sc_batches_options){ 0, 2 };
    assert_int_equal(sc_batches_open(corpus, &reader, &o, &batches, NULL), SOCLE_BAD_ARGUMENT);
    sc_template_free(template);
    sc_corpus_close(corpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_every_document_once_an_epoch),
        cmocka_unit_test(fills_windows_and_cuts_the_first_of_an_epoch_by_chance),
        cmocka_unit_test(refuses_data_without_a_token_to_predict),
        cmocka_unit_test(gives_each_side_of_held_out_documents_its_own),
        cmocka_unit_test(orders_are_permutations_that_differ_by_seed_and_epoch),
        cmocka_unit_test(all_orders_are_equally_probable),
        cmocka_unit_test(draws_below_any_bound_without_bias),
        cmocka_unit_test(goes_on_from_every_state),
        cmocka_unit_test(refuses_states_of_other_data),
        cmocka_unit_test(keeps_conversations_whole),
        cmocka_unit_test(fails_skips_or_cuts_what_is_too_long),
        cmocka_unit_test(lays_pairs_side_by_side),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
