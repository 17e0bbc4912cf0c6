// Pairs of answers, one of which is preferred. Four ways in which data sets have them:
//
//   prompt     chosen, rejected
//   "…"        "…"                                   texts, or a user's message and an assistant's
//   messages   messages or "…"                       the answers alone
//   any        messages that begin with the prompt   whole conversations
//   none       messages, or "\n\nHuman: …\n\nAssistant: …" as a string
//
// Whole conversations are cut where they begin to differ, before an answer.
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "train/corpus_internal.h"

static const char human_mark[] = "\n\nHuman:", assistant_mark[] = "\n\nAssistant:";

static const char *const sides[] = { "chosen", "rejected" };

struct pair {
    json_t *messages[2]; // owned: conversations with the chosen and the rejected answer
    size_t n_shared;     // messages that both begin with
    bool is_text;        // all three are strings, and
    struct sc_text prompt, answers[2];
};

static void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++) json_decref(p->messages[i]);
    *p = (struct pair){ 0 };
}

static socle_status no_memory(socle_error *err) { return sc_fail_memory(err, sizeof(json_t), "a pair of answers"); }

static struct sc_text text_of(const json_t *string)
{
    return (struct sc_text){ json_string_value(string), json_string_length(string) };
}

static socle_status append_text(json_t *to, const char *role, struct sc_text text, socle_error *err)
{
    json_t *message = json_pack("{s:s, s:s%}", "role", role, "content", text.data, text.n_bytes);
    return message && json_array_append_new(to, message) == 0 ? SOCLE_OK : no_memory(err);
}

// ---- conversations in a string

static size_t find_mark(struct sc_text text, size_t from, bool *is_human)
{
    for (size_t i = from; i < text.n_bytes; i++) {
        size_t left = text.n_bytes - i;
        *is_human = left >= sizeof human_mark - 1 && memcmp(text.data + i, human_mark, sizeof human_mark - 1) == 0;
        if (*is_human) return i;
        if (left >= sizeof assistant_mark - 1 && memcmp(text.data + i, assistant_mark, sizeof assistant_mark - 1) == 0)
            return i;
    }
    return text.n_bytes;
}

static struct sc_text trim(struct sc_text text)
{
    while (text.n_bytes && memchr(" \n\r\t", text.data[0], 4)) text.data++, text.n_bytes--;
    while (text.n_bytes && memchr(" \n\r\t", text.data[text.n_bytes - 1], 4)) text.n_bytes--;
    return text;
}

static socle_status split_marked(struct sc_text text, json_t *to, const char *side, socle_error *err)
{
    bool is_human, next_is_human = false;
    if (find_mark(text, 0, &is_human) != 0 || text.n_bytes == 0)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "expected a \"prompt\", or under \"%s\" messages or a conversation that begins with "
                       "\"\\n\\nHuman:\"",
                       side);
    for (size_t at = 0; at < text.n_bytes; is_human = next_is_human) {
        at += is_human ? sizeof human_mark - 1 : sizeof assistant_mark - 1;
        size_t end = find_mark(text, at, &next_is_human);
        struct sc_text content = trim((struct sc_text){ text.data + at, end - at });
        SC_TRY(append_text(to, is_human ? "user" : "assistant", content, err));
        at = end;
    }
    return SOCLE_OK;
}

// ---- where they begin to differ

static bool has_answer(const json_t *messages, size_t at)
{
    return sc_message_is_of(json_array_get(messages, at), "assistant");
}

static bool answers_at(const struct pair *p, size_t at)
{
    return has_answer(p->messages[0], at) && has_answer(p->messages[1], at);
}

// Both conversations as they are: the prompt is what they share.
static socle_status find_shared(struct pair *p, socle_error *err)
{
    size_t n = SC_MIN(json_array_size(p->messages[0]), json_array_size(p->messages[1])), shared = 0;
    while (shared < n && json_equal(json_array_get(p->messages[0], shared), json_array_get(p->messages[1], shared)))
        shared++;
    // Where one side ends or both are the same, the last answer that both have is what is judged.
    if (shared == n)
        while (shared > 0 && !answers_at(p, shared)) shared--;
    p->n_shared = shared;
    if (shared > 0 && answers_at(p, shared)) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE,
                   "expected \"chosen\" and \"rejected\" to begin alike and then to differ in an answer, found that "
                   "message %zu differs and is not the assistant's on both sides",
                   shared + 1);
}

// ---- reading

// One side without a prompt, or with one that it begins with itself.
static socle_status read_whole(const json_t *value, const char *side, json_t *to, socle_error *err)
{
    if (json_is_string(value)) return split_marked(text_of(value), to, side, err);
    return sc_messages_append(value, side, to, err);
}

static socle_status read_answer(const json_t *value, const char *side, json_t *to, socle_error *err)
{
    if (json_is_string(value)) return append_text(to, "assistant", text_of(value), err);
    return sc_messages_append(value, side, to, err);
}

// Is this side a conversation with its prompt?
static bool is_whole(const json_t *value)
{
    return json_array_size(value) > 0 && !sc_message_is_of(json_array_get(value, 0), "assistant");
}

static socle_status read_prompt(const json_t *prompt, json_t *to, socle_error *err)
{
    if (json_is_string(prompt)) return append_text(to, "user", text_of(prompt), err);
    return sc_messages_append(prompt, "prompt", to, err);
}

static socle_status check_types(const json_t *object, socle_error *err)
{
    const json_t *prompt = json_object_get(object, "prompt");
    if (prompt && !json_is_string(prompt) && !json_is_array(prompt))
        return sc_fail(err, SOCLE_BAD_FILE, "prompt: expected a string or messages, found %s", sc_json_kind(prompt));
    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(object, sides[i]);
        if (!json_is_string(value) && !json_is_array(value))
            return sc_fail(err, SOCLE_BAD_FILE, "%s: expected a string or messages, found %s", sides[i],
                           sc_json_kind(value));
    }
    return SOCLE_OK;
}

static socle_status read_pair(const json_t *object, struct pair *p, socle_error *err)
{
    const json_t *prompt = json_object_get(object, "prompt");
    const json_t *values[2] = { json_object_get(object, sides[0]), json_object_get(object, sides[1]) };
    bool whole = !prompt || (is_whole(values[0]) && is_whole(values[1]));
    SC_TRY(check_types(object, err));
    for (int i = 0; i < 2; i++) {
        p->messages[i] = json_array();
        if (!p->messages[i]) return no_memory(err);
        if (!whole) SC_TRY(read_prompt(prompt, p->messages[i], err));
        p->n_shared = json_array_size(p->messages[i]);
        SC_TRY((whole ? read_whole : read_answer)(values[i], sides[i], p->messages[i], err));
        if (!whole && !has_answer(p->messages[i], p->n_shared))
            return sc_fail(err, SOCLE_BAD_FILE, "%s[0].role: expected \"assistant\", the answer to the prompt",
                           sides[i]);
    }
    p->is_text = json_is_string(prompt) && json_is_string(values[0]) && json_is_string(values[1]);
    if (!p->is_text) return whole ? find_shared(p, err) : SOCLE_OK;
    p->prompt = text_of(prompt);
    for (int i = 0; i < 2; i++) p->answers[i] = text_of(values[i]);
    return SOCLE_OK;
}

// ---- to examples

// The tokens of prompt and answer: those of the two together where they begin with the prompt's, otherwise apart.
static socle_status encode_text(const struct sc_tokenizer *t, struct sc_text prompt, struct sc_text answer,
                                struct sc_token_ids *out, size_t *n_prompt, socle_error *err)
{
    struct sc_tokenize_options options = { 0 };
    struct sc_token_ids before = { 0 };
    struct sc_buffer text = { 0 };
    sc_buffer_append(&text, prompt.data, prompt.n_bytes);
    sc_buffer_append(&text, answer.data, answer.n_bytes);
    socle_status status = text.failed ? no_memory(err) : sc_tokenizer_encode(t, prompt, &options, &before, err);
    struct sc_text all = { text.data ? text.data : "", text.n_bytes };
    if (status == SOCLE_OK) status = sc_tokenizer_encode(t, all, &options, out, err);
    *n_prompt = before.n;
    bool together = out->n >= before.n &&
                    (before.n == 0 || memcmp(out->ids, before.ids, before.n * sizeof *out->ids) == 0);
    if (status == SOCLE_OK && !together) {
        sc_token_ids_free(out);
        *out = before;
        before = (struct sc_token_ids){ 0 };
        status = sc_tokenizer_encode(t, answer, &options, out, err);
    }
    sc_token_ids_free(&before);
    sc_buffer_free(&text);
    return status;
}

// [beginning] prompt answer [end], without a template.
static socle_status put_text(struct sc_examples *examples, const struct sc_tokenizer *t, struct sc_text prompt,
                             struct sc_text answer, socle_error *err)
{
    struct sc_token_ids ids = { 0 };
    size_t n;
    int32_t bos = sc_tokenizer_bos(t), eos = sc_tokenizer_eos(t);
    socle_status status = encode_text(t, prompt, answer, &ids, &n, err);
    if (status == SOCLE_OK && bos >= 0) status = sc_examples_put(examples, &bos, 1, false, err);
    if (status == SOCLE_OK) status = sc_examples_put(examples, ids.ids, n, false, err);
    if (status == SOCLE_OK) status = sc_examples_put(examples, ids.n > n ? ids.ids + n : NULL, ids.n - n, true, err);
    if (status == SOCLE_OK && eos >= 0) status = sc_examples_put(examples, &eos, 1, true, err);
    sc_token_ids_free(&ids);
    return status == SOCLE_OK ? sc_examples_end(examples, err) : status;
}

static socle_status put_messages(struct sc_examples *examples, const struct sc_corpus_reader *reader,
                                 const struct pair *p, int side, const json_t *object, socle_error *err)
{
    struct sc_conversation c = { .messages = json_incref(p->messages[side]) };
    size_t n = json_array_size(c.messages);
    c.is_answer = calloc(n, sizeof *c.is_answer);
    socle_status status = c.is_answer ? SOCLE_OK : no_memory(err);
    for (size_t i = p->n_shared; i < n && c.is_answer; i++)
        c.is_answer[i] = sc_message_is_of(json_array_get(c.messages, i), "assistant");
    if (status == SOCLE_OK) status = sc_conversation_inputs(object, &c.inputs, err);
    if (status == SOCLE_OK) status = sc_examples_put_conversation(examples, reader, &c, true, err);
    sc_conversation_free(&c);
    return status;
}

socle_status sc_examples_put_pair(struct sc_examples *examples, const struct sc_corpus_reader *reader,
                                  const json_t *object, socle_error *err)
{
    struct pair p = { 0 };
    json_t *inputs = NULL;
    socle_status status = sc_conversation_inputs(object, &inputs, err);
    if (status == SOCLE_OK) status = read_pair(object, &p, err);
    bool as_text = reader && !reader->template && p.is_text;
    for (int i = 0; i < 2 && status == SOCLE_OK && examples; i++)
        status = as_text ? put_text(examples, reader->tokenizer, p.prompt, p.answers[i], err)
                         : put_messages(examples, reader, &p, i, object, err);
    json_decref(inputs);
    pair_free(&p);
    return status;
}
