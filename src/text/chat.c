#include "text/chat.h"

#include <string.h>

#include "base/size.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

struct guarding {
    const struct sc_special_list *marks;
    struct sc_buffer text; // scratch
};

static bool is_word(struct sc_text text)
{
    for (size_t i = 0; i < text.n_bytes; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '-';
        if (!letter) return false;
    }
    return true;
}

// Could the text's end, from `at`, be the beginning of a mark that goes on in what is rendered behind it? Ends that
// begin with a letter are not asked: "role" and "content" must stay what they are.
static bool may_go_on(const struct guarding *g, struct sc_text text, size_t at)
{
    struct sc_text end = { text.data + at, text.n_bytes - at };
    return end.n_bytes < SC_SPECIAL_BYTES_MAX && !is_word((struct sc_text){ end.data, 1 }) &&
           sc_special_list_has_beginning(g->marks, end);
}

// Leaves the text with its guards in g->text.
static bool guard_text(struct guarding *g, struct sc_text text)
{
    sc_buffer_clear(&g->text);
    size_t next = 0;
    bool more = sc_special_list_find(g->marks, text, 0, &next) != NULL;
    for (size_t i = 0; i < text.n_bytes;) {
        uint32_t c;
        size_t n = SC_MAX(sc_utf8_decode(text.data + i, text.n_bytes - i, &c), (size_t)1);
        bool own = n == SC_TOKEN_GUARD_BYTES && memcmp(text.data + i, SC_TOKEN_GUARD, n) == 0;
        sc_buffer_append(&g->text, own ? SC_UTF8_REPLACEMENT : text.data + i, n);
        if (more && next < i + n) {
            sc_buffer_append(&g->text, SC_TOKEN_GUARD, SC_TOKEN_GUARD_BYTES);
            more = sc_special_list_find(g->marks, text, i + n, &next) != NULL;
        } else if (may_go_on(g, text, i)) {
            sc_buffer_append(&g->text, SC_TOKEN_GUARD, SC_TOKEN_GUARD_BYTES);
        }
        i += n;
    }
    return sc_buffer_append(&g->text, "", 0) && !g->text.failed;
}

static json_t *guarded(struct guarding *g, const json_t *value);

// What templates compare: {"role": "user"}, {"type": "function"}.
static bool is_compared(const char *key, const json_t *value)
{
    if (!json_is_string(value) || (strcmp(key, "role") != 0 && strcmp(key, "type") != 0)) return false;
    return is_word((struct sc_text){ json_string_value(value), json_string_length(value) });
}

static bool guard_member(struct guarding *g, json_t *out, const char *key, json_t *value)
{
    json_t *copy = is_compared(key, value) ? json_incref(value) : guarded(g, value);
    if (!copy || !guard_text(g, sc_text_of(key))) {
        json_decref(copy);
        return false;
    }
    return json_object_set_new(out, g->text.data, copy) == 0;
}

static json_t *guarded_object(struct guarding *g, json_t *object)
{
    json_t *out = json_object(), *value;
    const char *key;
    bool ok = out != NULL;
    json_object_foreach (object, key, value) ok = ok && guard_member(g, out, key, value);
    if (ok) return out;
    json_decref(out);
    return NULL;
}

static json_t *guarded_array(struct guarding *g, const json_t *array)
{
    json_t *out = json_array();
    bool ok = out != NULL;
    for (size_t i = 0; ok && i < json_array_size(array); i++)
        ok = json_array_append_new(out, guarded(g, json_array_get(array, i))) == 0;
    if (ok) return out;
    json_decref(out);
    return NULL;
}

// A copy with guards in every string, or NULL when memory ran out.
static json_t *guarded(struct guarding *g, const json_t *value)
{
    if (json_is_object(value)) return guarded_object(g, (json_t *)value);
    if (json_is_array(value)) return guarded_array(g, value);
    if (!json_is_string(value)) return json_incref((json_t *)value);
    struct sc_text text = { json_string_value(value), json_string_length(value) };
    return guard_text(g, text) ? json_stringn(g->text.data, g->text.n_bytes) : NULL;
}

// The inputs with guards below the names of the variables.
static json_t *guarded_inputs(const struct sc_tokenizer *t, const json_t *inputs)
{
    struct guarding g = { .marks = &t->special.marks };
    json_t *out = json_object(), *value;
    const char *name;
    bool ok = out != NULL;
    json_object_foreach ((json_t *)inputs, name, value)
        ok = ok && json_object_set_new(out, name, guarded(&g, value)) == 0;
    sc_buffer_free(&g.text);
    if (ok) return out;
    json_decref(out);
    return NULL;
}

void sc_chat_set_tokens(const struct sc_tokenizer *t, json_t *inputs, bool replace)
{
    const struct {
        const char *key;
        int32_t id;
    } tokens[] = { { "bos_token", t->bos }, { "eos_token", t->eos }, { "unk_token", t->unk }, { "pad_token", t->pad } };
    for (size_t i = 0; i < SC_COUNT(tokens); i++) {
        if (tokens[i].id < 0 || (!replace && json_object_get(inputs, tokens[i].key))) continue;
        struct sc_text text = sc_tokenizer_token_text(t, tokens[i].id);
        json_object_set_new(inputs, tokens[i].key, json_stringn(text.data, text.n_bytes));
    }
}

static bool begins_with_bos(const struct sc_tokenizer *t, struct sc_text rendered)
{
    struct sc_text bos = sc_tokenizer_token_bytes(t, t->bos);
    return bos.n_bytes > 0 && bos.n_bytes <= rendered.n_bytes && memcmp(rendered.data, bos.data, bos.n_bytes) == 0;
}

static bool append_without_guards(struct sc_buffer *out, const struct sc_buffer *rendered)
{
    size_t begin = 0, n = rendered->n_bytes;
    for (size_t i = 0; i + SC_TOKEN_GUARD_BYTES <= n;) {
        if (memcmp(rendered->data + i, SC_TOKEN_GUARD, SC_TOKEN_GUARD_BYTES) != 0) {
            i++;
            continue;
        }
        sc_buffer_append(out, rendered->data + begin, i - begin);
        begin = i += SC_TOKEN_GUARD_BYTES;
    }
    return sc_buffer_append(out, n ? rendered->data + begin : "", n - begin);
}

socle_status sc_chat_render(const struct sc_template *template, const struct sc_tokenizer *t, const json_t *inputs,
                            const struct sc_template_options *options, struct sc_buffer *guarded, socle_error *err)
{
    json_t *safe = guarded_inputs(t, inputs);
    if (!safe) return sc_fail_memory(err, 0, "a conversation");
    sc_chat_set_tokens(t, safe, true);
    socle_status status = sc_template_render(template, safe, options, guarded, err);
    json_decref(safe);
    return status;
}

socle_status sc_chat_encode_rendered(const struct sc_tokenizer *t, struct sc_text guarded, struct sc_token_ids *ids,
                                     socle_error *err)
{
    struct sc_tokenize_options options = { .guarded = true };
    size_t n_ids = ids->n;
    bool adds_bos = t->add_bos && t->bos >= 0 && !begins_with_bos(t, guarded);
    if (adds_bos && !sc_token_ids_append(ids, t->bos)) return sc_fail_memory(err, sizeof t->bos, "a token");
    socle_status status = sc_tokenizer_encode(t, guarded, &options, ids, err);
    if (status != SOCLE_OK) ids->n = n_ids;
    return status;
}

socle_status sc_chat_encode(const struct sc_template *template, const struct sc_tokenizer *t, const json_t *inputs,
                            const struct sc_template_options *options, struct sc_token_ids *ids, struct sc_buffer *text,
                            socle_error *err)
{
    struct sc_buffer rendered = { 0 };
    size_t n_ids = ids->n, n_text = text ? text->n_bytes : 0;
    socle_status status = sc_chat_render(template, t, inputs, options, &rendered, err);
    struct sc_text all = { rendered.data, rendered.n_bytes };
    if (status == SOCLE_OK) status = sc_chat_encode_rendered(t, all, ids, err);
    if (status == SOCLE_OK && text && !append_without_guards(text, &rendered)) {
        text->n_bytes = n_text;
        ids->n = n_ids;
        status = sc_fail_memory(err, rendered.n_bytes, "a rendered template");
    }
    sc_buffer_free(&rendered);
    return status;
}
