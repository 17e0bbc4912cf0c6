// Tokens and chat templates.
#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text/chat.h"

static socle_status need_text(const socle_model *m, socle_error *err)
{
    if (m->tokenizer) return SOCLE_OK;
    if (err) *err = m->text_error;
    return m->text_error.status;
}

SC_EXPORT socle_status socle_tokenize(const socle_model *m, const char *text, size_t n_bytes, unsigned flags,
                                      int32_t **ids, size_t *n_ids, socle_error *err)
{
    SC_TRY(need_text(m, err));
    struct sc_token_ids list = { 0 };
    struct sc_tokenize_options options = { .add_special = (flags & SOCLE_ADD_SPECIAL) != 0,
                                           .parse_special = (flags & SOCLE_PARSE_SPECIAL) != 0 };
    socle_status status = sc_tokenizer_encode(m->tokenizer, (struct sc_text){ text, n_bytes }, &options, &list, err);
    if (status != SOCLE_OK) {
        sc_token_ids_free(&list);
        return status;
    }
    *ids = list.ids;
    *n_ids = list.n;
    return SOCLE_OK;
}

SC_EXPORT socle_status socle_detokenize(const socle_model *m, const int32_t *ids, size_t n_ids, bool show_special,
                                        char **text, size_t *n_bytes, socle_error *err)
{
    SC_TRY(need_text(m, err));
    uint32_t n_vocab = sc_tokenizer_n_tokens(m->tokenizer); // a model may have spare rows beyond its tokens
    if (m->model && m->model->hparams.n_vocab > n_vocab) n_vocab = m->model->hparams.n_vocab;
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= n_vocab)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "token %d: the vocabulary has %u", ids[i], n_vocab);
    struct sc_detokenizer detokenizer;
    struct sc_buffer out = { 0 };
    sc_detokenizer_init(&detokenizer, m->tokenizer, show_special);
    for (size_t i = 0; i < n_ids; i++) sc_detokenizer_push(&detokenizer, ids[i], &out);
    sc_detokenizer_finish(&detokenizer, &out);
    *n_bytes = out.n_bytes;
    *text = sc_buffer_take(&out);
    return *text ? SOCLE_OK : sc_fail_memory(err, n_ids, "a text");
}

SC_EXPORT const char *socle_token_bytes(const socle_model *m, int32_t id, size_t *n_bytes)
{
    struct sc_text text = m->tokenizer ? sc_tokenizer_token_bytes(m->tokenizer, id) : sc_text_of("");
    *n_bytes = text.n_bytes;
    return text.data;
}

SC_EXPORT bool socle_token_is_end(const socle_model *m, int32_t id)
{
    return m->tokenizer && sc_tokenizer_is_end(m->tokenizer, id);
}

static socle_status parse_inputs(const char *inputs_json, json_t **out, socle_error *err)
{
    json_error_t problem;
    json_t *inputs = json_loads(inputs_json, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (!inputs)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "template inputs: not JSON at line %d, column %d: %s", problem.line,
                       problem.column, problem.text);
    if (!json_is_object(inputs)) {
        json_decref(inputs);
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "template inputs: expected a JSON object");
    }
    *out = inputs;
    return SOCLE_OK;
}

static struct sc_template_options render_options(const char *now)
{
    if (!now) now = getenv("SOCLE_NOW");
    if (now && !*now) now = NULL; // set but empty: as if unset
    return (struct sc_template_options){ .limits = sc_template_default_limits, .now = now };
}

static socle_status render(const struct sc_template *template, const json_t *inputs, const char *now, char **text,
                           size_t *n_text, socle_error *err)
{
    struct sc_buffer out = { 0 };
    struct sc_template_options options = render_options(now);
    socle_status status = sc_template_render(template, inputs, &options, &out, err);
    if (status != SOCLE_OK) {
        sc_buffer_free(&out);
        return status;
    }
    *n_text = out.n_bytes;
    *text = sc_buffer_take(&out);
    return *text ? SOCLE_OK : sc_fail_memory(err, *n_text, "a rendered template");
}

SC_EXPORT socle_status socle_template_render(const char *source, size_t n_bytes, const char *inputs_json,
                                             const char *now, char **text, size_t *n_text, socle_error *err)
{
    struct sc_template *template;
    json_t *inputs;
    SC_TRY(sc_template_parse((struct sc_text){ source, n_bytes }, &template, err));
    socle_status status = parse_inputs(inputs_json, &inputs, err);
    if (status == SOCLE_OK) {
        status = render(template, inputs, now, text, n_text, err);
        json_decref(inputs);
    }
    sc_template_free(template);
    return status;
}

static socle_status need_template(const socle_model *m, socle_error *err)
{
    if (!m->template && m->template_error.status != SOCLE_OK) {
        if (err) *err = m->template_error;
        return m->template_error.status;
    }
    return m->template ? SOCLE_OK : sc_fail(err, SOCLE_UNSUPPORTED, "%s: has no chat template", m->name);
}

SC_EXPORT socle_status socle_model_render(const socle_model *m, const char *inputs_json, const char *now, char **text,
                                          size_t *n_text, socle_error *err)
{
    SC_TRY(need_template(m, err));
    json_t *inputs;
    SC_TRY(parse_inputs(inputs_json, &inputs, err));
    if (m->tokenizer) sc_chat_set_tokens(m->tokenizer, inputs, false);
    socle_status status = render(m->template, inputs, now, text, n_text, err);
    json_decref(inputs);
    return status;
}

SC_EXPORT socle_status socle_chat_encode(const socle_model *m, const char *inputs_json, const char *now, int32_t **ids,
                                         size_t *n_ids, char **text, socle_error *err)
{
    SC_TRY(need_template(m, err));
    SC_TRY(need_text(m, err));
    json_t *inputs;
    SC_TRY(parse_inputs(inputs_json, &inputs, err));
    struct sc_token_ids list = { 0 };
    struct sc_buffer out = { 0 };
    struct sc_template_options options = render_options(now);
    socle_status status = sc_chat_encode(m->template, m->tokenizer, inputs, &options, &list, text ? &out : NULL, err);
    json_decref(inputs);
    if (status != SOCLE_OK) {
        sc_token_ids_free(&list);
        sc_buffer_free(&out);
        return status;
    }
    *ids = list.ids;
    *n_ids = list.n;
    if (text) *text = sc_buffer_take(&out);
    return SOCLE_OK;
}
