// POST /v1/chat/completions
#include <stdlib.h>
#include <string.h>

#include "server/form.h"

// ---- logprobs

static json_t *token_json(const struct choice *c, int32_t token, float logprob)
{
    size_t n;
    const char *bytes = socle_token_bytes(c->g->model->model, token, &n);
    json_t *list = json_array(), *text = json_stringn(bytes, n);
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer((uint8_t)bytes[i]));
    // A part of a character has bytes, but no text of its own.
    return json_pack("{s:o, s:f, s:o}", "token", text ? text : json_string("\xef\xbf\xbd"), "logprob", (double)logprob,
                     "bytes", list);
}

static void add_token(struct choice *c, const socle_token_event *event)
{
    json_t *token = token_json(c, event->token, event->logprob), *top = json_array();
    for (size_t i = 0; i < event->n_top; i++)
        json_array_append_new(top, token_json(c, event->top[i].token, event->top[i].logprob));
    json_object_set_new(token, "top_logprobs", top);
    json_array_append_new(c->logprobs, token);
}

static json_t *take_logprobs(struct choice *c)
{
    if (!c->g->options.logprobs) return json_null();
    json_t *list = c->logprobs;
    c->logprobs = json_array();
    return json_pack("{s:o, s:n}", "content", list, "refusal");
}

// ---- streams

static json_t *chunk(const struct generation *g, json_t *choices)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", g->id, "object", "chat.completion.chunk", "created",
                             (json_int_t)g->created, "model", g->model->id, "choices", choices);
    if (g->options.include_usage) json_object_set_new(json, "usage", json_null());
    return json;
}

static void send_delta(struct choice *c, json_t *delta, const char *finish)
{
    json_t *choice = json_pack("{s:i, s:o, s:o, s:s?}", "index", (int)c->index, "delta", delta, "logprobs",
                               take_logprobs(c), "finish_reason", finish);
    exchange_stream_json(c->g->ex, NULL, chunk(c->g, json_pack("[o]", choice)));
}

static void begin(struct generation *g)
{
    for (uint32_t i = 0; i < g->n_choices; i++)
        send_delta(&g->choices[i], json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL);
}

static void send_piece(struct choice *c, const struct sc_answer_event *p)
{
    json_t *delta = NULL;
    int call = (int)c->n_calls - 1;
    json_t *text = json_stringn(p->text ? p->text : "", p->n_bytes);
    if (p->kind == SC_ANSWER_TEXT) delta = json_pack("{s:O}", "content", text);
    if (p->kind == SC_ANSWER_REASONING) delta = json_pack("{s:O}", "reasoning_content", text);
    if (p->kind == SC_ANSWER_CALL_BEGIN)
        delta = json_pack("{s:[{s:i, s:s, s:s, s:{s:O, s:s}}]}", "tool_calls", "index", call, "id", c->calls[call].id,
                          "type", "function", "function", "name", text, "arguments", "");
    if (p->kind == SC_ANSWER_ARGUMENTS)
        delta = json_pack("{s:[{s:i, s:{s:O}}]}", "tool_calls", "index", call, "function", "arguments", text);
    json_decref(text);
    if (delta) send_delta(c, delta, NULL);
}

static void end_choice(struct choice *c) { send_delta(c, json_object(), openai_finish(c)); }

static void end(struct generation *g)
{
    if (g->options.include_usage) {
        json_t *last = chunk(g, json_array());
        json_object_set_new(last, "usage", openai_usage(g));
        exchange_stream_json(g->ex, NULL, last);
    }
    exchange_stream_data(g->ex, "[DONE]");
}

// ---- whole answers

static json_t *calls_json(const struct choice *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_calls; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", c->calls[i].id, "type", "function",
                                              "function", "name", c->calls[i].name, "arguments",
                                              c->calls[i].arguments.data ? c->calls[i].arguments.data : "{}"));
    return list;
}

static json_t *choice_json(struct choice *c)
{
    json_t *message = json_pack("{s:s, s:s#}", "role", "assistant", "content", c->text.data ? c->text.data : "",
                                (int)c->text.n_bytes);
    if (c->n_calls && c->text.n_bytes == 0) json_object_set_new(message, "content", json_null());
    if (c->reasoning.n_bytes)
        json_object_set_new(message, "reasoning_content", json_stringn(c->reasoning.data, c->reasoning.n_bytes));
    json_object_set_new(message, "refusal", json_null());
    if (c->n_calls) json_object_set_new(message, "tool_calls", calls_json(c));
    return json_pack("{s:i, s:o, s:o, s:s}", "index", (int)c->index, "message", message, "logprobs", take_logprobs(c),
                     "finish_reason", openai_finish(c));
}

static json_t *whole(struct generation *g)
{
    json_t *choices = json_array();
    for (uint32_t i = 0; i < g->n_choices; i++) json_array_append_new(choices, choice_json(&g->choices[i]));
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o}", "id", g->id, "object", "chat.completion", "created",
                     (json_int_t)g->created, "model", g->model->id, "choices", choices, "usage", openai_usage(g));
}

static const struct dialect dialect = { .id_prefix = "chatcmpl-",
                                        .begin = begin,
                                        .piece = send_piece,
                                        .end_choice = end_choice,
                                        .end = end,
                                        .token = add_token,
                                        .whole = whole };

// ---- the route

static bool read_logprobs(struct exchange *ex, struct request_options *o)
{
    uint64_t n = 0;
    if (!read_flag(ex, ex->json, "logprobs", &o->logprobs)) return false;
    if (!read_count(ex, ex->json, "top_logprobs", 0, 20, &n)) return false;
    if (n && !o->logprobs) {
        exchange_fail(ex, 400, NULL, "top_logprobs",
                      "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
        return false;
    }
    o->n_top_logprobs = (uint32_t)n;
    return true;
}

void serve_chat_completions(struct exchange *ex, const char *path)
{
    struct request_options *o = calloc(1, sizeof *o);
    struct chat_inputs in = { 0 };
    struct served_model *model = NULL;
    (void)path;
    if (!o) exchange_fail(ex, 500, NULL, NULL, "out of memory");
    else if (read_request_options(ex, ex->json, "stop", o) && read_logprobs(ex, o) && chat_inputs_of_openai(ex, &in) &&
             (model = take_model(ex))) {
        chat_answer(ex, model, &dialect, o, &in, json_object_get(ex->json, "response_format"));
    }
    chat_inputs_free(&in);
    free(o);
}
