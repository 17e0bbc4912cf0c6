// A conversation to examples: which tokens of its rendering are answers.
//
//   whole    <s>[u]Hi[/u]Hello!</s>[u]Bye[/u]See you!</s>
//   prompt   <s>[u]Hi[/u]                                     messages before the answer, add_generation_prompt
//   so far   <s>[u]Hi[/u]Hello!</s>                           messages up to the answer
//   answer               ^^^^^^^^^^
//
// Where prompts and conversations so far are prefixes of the whole, as texts and as tokens, one example has all
// answers. Otherwise each answer gets the example "so far". All texts are renderings with guards (text/chat.h).
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/chat.h"
#include "train/corpus_internal.h"

#define FIXED_TIME "2026-01-01T00:00:00"

struct turns {
    const struct sc_corpus_reader *reader;
    const struct sc_conversation *conversation;
    struct sc_template_options options;
    struct sc_examples *out;
    size_t last; // the last message that is an answer: those behind it are dropped
};

struct rendering {
    struct sc_buffer text;
    struct sc_token_ids ids;
};

// Tokens begin to end of an example are an answer.
struct span {
    size_t begin, end;
};

static void rendering_free(struct rendering *r)
{
    sc_buffer_free(&r->text);
    sc_token_ids_free(&r->ids);
}

static struct sc_text view(const struct sc_buffer *buffer, size_t begin)
{
    return (struct sc_text){ buffer->data ? buffer->data + begin : "", buffer->n_bytes - begin };
}

// ---- rendering

// What a template sees: the first n messages, and `more` behind them unless it is NULL.
static json_t *make_inputs(const struct turns *t, size_t n, bool prompts, json_t *more)
{
    json_t *inputs = json_copy(t->conversation->inputs), *messages = json_array();
    bool ok = inputs && messages;
    for (size_t i = 0; ok && i < n; i++)
        ok = json_array_append(messages, json_array_get(t->conversation->messages, i)) == 0;
    ok = ok && (!more || json_array_append(messages, more) == 0) &&
         json_object_set_new(inputs, "add_generation_prompt", json_boolean(prompts)) == 0 &&
         json_object_set(inputs, "messages", messages) == 0;
    json_decref(messages);
    if (ok) return inputs;
    json_decref(inputs);
    return NULL;
}

static socle_status render_text(const struct turns *t, size_t n, bool prompts, json_t *more, struct sc_buffer *out,
                                socle_error *err)
{
    json_t *inputs = make_inputs(t, n, prompts, more);
    if (!inputs) return sc_fail_memory(err, n * sizeof(json_t), "a conversation");
    socle_status status = sc_chat_render(t->reader->template, t->reader->tokenizer, inputs, &t->options, out, err);
    json_decref(inputs);
    return status;
}

static socle_status render(const struct turns *t, size_t n, bool prompts, struct rendering *out, socle_error *err)
{
    SC_TRY(render_text(t, n, prompts, NULL, &out->text, err));
    return sc_chat_encode_rendered(t->reader->tokenizer, view(&out->text, 0), &out->ids, err);
}

// The prompt of an answer. Templates may refuse a conversation that has not begun: then *found is false.
static socle_status render_prompt(const struct turns *t, size_t answer, struct rendering *out, bool *found,
                                  socle_error *err)
{
    socle_error refusal;
    socle_status status = render(t, answer, true, out, &refusal);
    *found = status == SOCLE_OK;
    if (*found || status == SOCLE_BAD_TEMPLATE) return SOCLE_OK;
    if (err) *err = refusal;
    return status;
}

static size_t common_text(struct sc_text a, struct sc_text b)
{
    size_t n = 0, n_max = SC_MIN(a.n_bytes, b.n_bytes);
    while (n < n_max && a.data[n] == b.data[n]) n++;
    return n;
}

static size_t common_tokens(const struct sc_token_ids *a, const struct sc_token_ids *b)
{
    size_t n = 0, n_max = SC_MIN(a->n, b->n);
    while (n < n_max && a->ids[n] == b->ids[n]) n++;
    return n;
}

static bool is_prefix_text(const struct rendering *a, const struct rendering *b)
{
    return common_text(view(&a->text, 0), view(&b->text, 0)) == a->text.n_bytes;
}

static bool is_prefix(const struct rendering *a, const struct rendering *b)
{
    return is_prefix_text(a, b) && common_tokens(&a->ids, &b->ids) == a->ids.n;
}

// ---- putting

// The answer ends with the last end token in it, or with the one right behind it.
static void end_span(const struct turns *t, const struct sc_token_ids *ids, struct span *span, bool *has_end)
{
    const struct sc_tokenizer *tokenizer = t->reader->tokenizer;
    *has_end = true;
    for (size_t i = span->end; i > span->begin; i--) {
        if (!sc_tokenizer_is_end(tokenizer, ids->ids[i - 1])) continue;
        span->end = i;
        return;
    }
    *has_end = span->end < ids->n && sc_tokenizer_is_end(tokenizer, ids->ids[span->end]);
    span->end += *has_end;
}

static socle_status put_example(const struct turns *t, const struct sc_token_ids *ids, struct span *spans, size_t n,
                                socle_error *err)
{
    const struct sc_tokenizer *tokenizer = t->reader->tokenizer;
    size_t at = 0;
    bool has_end = true;
    for (size_t i = 0; i < n; i++) {
        spans[i].begin = SC_MAX(spans[i].begin, at); // a template may do as it likes
        spans[i].end = SC_MAX(spans[i].end, spans[i].begin);
        end_span(t, ids, &spans[i], &has_end);
        SC_TRY(sc_examples_put(t->out, ids->ids + at, spans[i].begin - at, false, err));
        SC_TRY(sc_examples_put(t->out, ids->ids + spans[i].begin, spans[i].end - spans[i].begin, true, err));
        at = spans[i].end;
    }
    SC_TRY(sc_examples_put(t->out, ids->ids + at, ids->n - at, false, err));
    int32_t eos = sc_tokenizer_eos(tokenizer), end = eos >= 0 ? eos : sc_tokenizer_eot(tokenizer);
    if (!has_end && end >= 0) SC_TRY(sc_examples_put(t->out, &end, 1, true, err));
    return sc_examples_end(t->out, err);
}

static bool has_text(const struct turns *t, size_t answer)
{
    return json_string_length(json_object_get(json_array_get(t->conversation->messages, answer), "content")) > 0;
}

static socle_status fail_unrendered(size_t answer, socle_error *err)
{
    return sc_fail(err, SOCLE_BAD_FILE, "the chat template renders nothing of message %zu, an answer", answer + 1);
}

// ---- all answers in one example

// The span of an answer in the whole; *fits becomes false where that is not what inference sees.
static socle_status find_span(const struct turns *t, size_t answer, const struct rendering *whole, struct span *span,
                              bool *fits, socle_error *err)
{
    struct rendering prompt = { 0 }, own = { 0 };
    const struct rendering *so_far = answer == t->last ? whole : &own;
    socle_status status = render_prompt(t, answer, &prompt, fits, err);
    if (status == SOCLE_OK) *fits = *fits && is_prefix(&prompt, whole);
    if (status == SOCLE_OK && *fits && so_far == &own) status = render(t, answer + 1, false, &own, err);
    if (status == SOCLE_OK) *fits = *fits && is_prefix_text(&prompt, so_far) && is_prefix(so_far, whole);
    if (status == SOCLE_OK && *fits) {
        *span = (struct span){ prompt.ids.n, SC_MAX(so_far->ids.n, prompt.ids.n) };
        if (prompt.text.n_bytes == so_far->text.n_bytes && has_text(t, answer)) status = fail_unrendered(answer, err);
    }
    rendering_free(&prompt);
    rendering_free(&own);
    return status;
}

static socle_status put_whole(const struct turns *t, bool *fits, socle_error *err)
{
    struct rendering whole = { 0 };
    struct span *spans = calloc(t->last + 1, sizeof *spans);
    size_t n = 0;
    *fits = true;
    socle_status status = spans ? render(t, t->last + 1, false, &whole, err)
                                : sc_fail_memory(err, (t->last + 1) * sizeof *spans, "a conversation");
    for (size_t i = 0; i <= t->last && status == SOCLE_OK && *fits; i++)
        if (t->conversation->is_answer[i]) status = find_span(t, i, &whole, &spans[n++], fits, err);
    if (status == SOCLE_OK && *fits) status = put_example(t, &whole.ids, spans, n, err);
    rendering_free(&whole);
    free(spans);
    return status;
}

// ---- an example for each answer

// Where an answer's text begins in a rendering up to it, told by what two other answers in its place change.
static socle_status find_answer(const struct turns *t, size_t answer, const struct rendering *so_far, size_t *out,
                                socle_error *err)
{
    static const char *const others[] = { "a", "b" };
    *out = so_far->text.n_bytes;
    for (size_t i = 0; i < SC_COUNT(others); i++) {
        struct sc_buffer text = { 0 };
        json_t *message = json_pack("{s:s, s:s}", "role", "assistant", "content", others[i]);
        socle_status status = message ? render_text(t, answer, false, message, &text, err)
                                      : sc_fail_memory(err, sizeof(json_t), "a conversation");
        *out = SC_MIN(*out, common_text(view(&text, 0), view(&so_far->text, 0)));
        json_decref(message);
        sc_buffer_free(&text);
        SC_TRY(status);
    }
    return *out == so_far->text.n_bytes && has_text(t, answer) ? fail_unrendered(answer, err) : SOCLE_OK;
}

static bool append_bytes(const struct sc_tokenizer *t, const struct sc_token_ids *ids, struct sc_buffer *out)
{
    for (size_t i = 0; i < ids->n; i++) {
        struct sc_text bytes = sc_tokenizer_token_bytes(t, ids->ids[i]);
        sc_buffer_append(out, bytes.data, bytes.n_bytes);
    }
    return !out->failed;
}

// Do the tokens of a prompt and of an answer, tokenized apart, spell what the two spell together?
static bool spell_the_same(const struct sc_tokenizer *t, const struct sc_token_ids *prompt,
                           const struct sc_token_ids *answer, const struct sc_token_ids *together)
{
    struct sc_buffer a = { 0 }, b = { 0 };
    bool same = append_bytes(t, prompt, &a) && append_bytes(t, answer, &a) && append_bytes(t, together, &b) &&
                a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.data, b.data, a.n_bytes) == 0);
    sc_buffer_free(&a);
    sc_buffer_free(&b);
    return same;
}

// The tokens merge where the answer begins. They are then those of the prompt, as at inference, and those of the answer
// apart; or, if that spells another text (a tokenizer that puts a space before texts), as they are, and the first that
// differs from the prompt's begins the answer.
static socle_status split_tokens(const struct turns *t, const struct rendering *prompt, struct rendering *so_far,
                                 size_t *begin, socle_error *err)
{
    const struct sc_tokenizer *tokenizer = t->reader->tokenizer;
    struct sc_tokenize_options guarded = { .guarded = true };
    struct sc_token_ids answer = { 0 };
    socle_status status = sc_tokenizer_encode(tokenizer, view(&so_far->text, prompt->text.n_bytes), &guarded, &answer,
                                              err);
    *begin = common_tokens(&prompt->ids, &so_far->ids);
    if (status == SOCLE_OK && spell_the_same(tokenizer, &prompt->ids, &answer, &so_far->ids)) {
        struct sc_token_ids joined = { .capacity = prompt->ids.n + answer.n };
        joined.ids = malloc(joined.capacity * sizeof *joined.ids);
        if (!joined.ids) status = sc_fail_memory(err, joined.capacity * sizeof *joined.ids, "a conversation");
        for (size_t i = 0; i < prompt->ids.n && joined.ids; i++) joined.ids[joined.n++] = prompt->ids.ids[i];
        for (size_t i = 0; i < answer.n && joined.ids; i++) joined.ids[joined.n++] = answer.ids[i];
        sc_token_ids_free(&so_far->ids);
        so_far->ids = joined;
        *begin = prompt->ids.n;
    } else {
        t->out->n_off_prompt++;
    }
    sc_token_ids_free(&answer);
    return status;
}

// The first token of the answer where the prompt of inference is no beginning of the conversation so far.
static socle_status find_begin(const struct turns *t, size_t answer, const struct rendering *so_far, size_t *begin,
                               socle_error *err)
{
    size_t at;
    struct sc_token_ids before = { 0 };
    SC_TRY(find_answer(t, answer, so_far, &at, err));
    struct sc_text text = { so_far->text.data, at };
    socle_status status = sc_chat_encode_rendered(t->reader->tokenizer, text, &before, err);
    *begin = common_tokens(&before, &so_far->ids);
    sc_token_ids_free(&before);
    t->out->n_off_prompt++;
    return status;
}

static socle_status put_turn(const struct turns *t, size_t answer, socle_error *err)
{
    struct rendering so_far = { 0 }, prompt = { 0 };
    bool found = false;
    size_t begin = 0;
    socle_status status = render(t, answer + 1, false, &so_far, err);
    if (status == SOCLE_OK) status = render_prompt(t, answer, &prompt, &found, err);
    if (status == SOCLE_OK && found && is_prefix_text(&prompt, &so_far)) {
        if (prompt.text.n_bytes == so_far.text.n_bytes && has_text(t, answer)) status = fail_unrendered(answer, err);
        else if (is_prefix(&prompt, &so_far)) begin = prompt.ids.n;
        else status = split_tokens(t, &prompt, &so_far, &begin, err);
    } else if (status == SOCLE_OK) {
        status = find_begin(t, answer, &so_far, &begin, err);
    }
    struct span span = { begin, so_far.ids.n };
    if (status == SOCLE_OK) status = put_example(t, &so_far.ids, &span, 1, err);
    rendering_free(&so_far);
    rendering_free(&prompt);
    return status;
}

socle_status sc_examples_put_conversation(struct sc_examples *examples, const struct sc_corpus_reader *reader,
                                          struct sc_conversation *c, bool only_one, socle_error *err)
{
    struct turns t = { reader, c, { sc_template_default_limits, reader->now ? reader->now : FIXED_TIME }, examples, 0 };
    size_t n_answers = 0;
    bool fits;
    if (!reader->template)
        return sc_fail(err, SOCLE_UNSUPPORTED, "the model has no chat template, which conversations need");
    SC_TRY(sc_conversation_split_reasoning(c, reader->tokenizer, err));
    for (size_t i = 0; i < json_array_size(c->messages); i++) {
        if (!c->is_answer[i]) continue;
        t.last = i;
        n_answers++;
    }
    SC_TRY(put_whole(&t, &fits, err));
    if (fits) return SOCLE_OK;
    if (only_one && n_answers > 1)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "the chat template renders earlier answers otherwise than the last, so of a pair with %zu "
                       "answers on a side they cannot all be learnt: expected one",
                       n_answers);
    for (size_t i = 0; i <= t.last; i++)
        if (c->is_answer[i]) SC_TRY(put_turn(&t, i, err));
    return SOCLE_OK;
}
