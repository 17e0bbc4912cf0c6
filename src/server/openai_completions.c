// POST /v1/completions
#include <stdlib.h>
#include <string.h>

#include "server/form.h"

// ---- logprobs, as this interface had them: parallel lists

static json_t *text_of(const struct generation *g, int32_t token)
{
    size_t n;
    const char *bytes = socle_token_bytes(g->model->model, token, &n);
    json_t *text = json_stringn(bytes, n);
    return text ? text : json_string("\xef\xbf\xbd");
}

static void add_token(struct choice *c, const socle_token_event *event)
{
    json_t *top = event->n_top ? json_object() : json_null();
    for (size_t i = 0; i < event->n_top; i++) {
        json_t *text = text_of(c->g, event->top[i].token);
        if (!json_object_get(top, json_string_value(text)))
            json_object_set_new(top, json_string_value(text), json_real((double)event->top[i].logprob));
        json_decref(text);
    }
    // Nothing comes before the prompt's first token, so it has no probability.
    bool is_first = event->of_prompt && json_array_size(c->logprobs) == 0;
    json_t *logprob = is_first ? json_null() : json_real((double)event->logprob);
    json_array_append_new(c->logprobs, json_pack("{s:o, s:o, s:o}", "token", text_of(c->g, event->token), "logprob",
                                                 logprob, "top", is_first ? (json_decref(top), json_null()) : top));
}

static json_t *take_logprobs(struct choice *c)
{
    if (!c->g->options.logprobs) return json_null();
    json_t *tokens = json_array(), *values = json_array(), *tops = json_array(), *offsets = json_array(), *item;
    size_t i, offset = 0;
    json_array_foreach (c->logprobs, i, item) {
        json_t *token = json_object_get(item, "token");
        json_array_append(tokens, token);
        json_array_append(values, json_object_get(item, "logprob"));
        json_array_append(tops, json_object_get(item, "top"));
        json_array_append_new(offsets, json_integer((json_int_t)offset));
        offset += json_string_length(token);
    }
    json_array_clear(c->logprobs);
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", values, "top_logprobs", tops,
                     "text_offset", offsets);
}

// ---- writing

static json_t *completion(const struct generation *g, json_t *choices)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", g->id, "object", "text_completion", "created",
                     (json_int_t)g->created, "model", g->model->id, "choices", choices);
}

static json_t *choice_json(struct choice *c, const char *text, size_t n_bytes, const char *finish)
{
    return json_pack("{s:s#, s:i, s:o, s:s?}", "text", text ? text : "", (int)n_bytes, "index", (int)c->index,
                     "logprobs", take_logprobs(c), "finish_reason", finish);
}

static void begin(struct generation *g) { (void)g; }

static void send_piece(struct choice *c, const struct sc_answer_event *p)
{
    exchange_stream_json(c->g->ex, NULL, completion(c->g, json_pack("[o]", choice_json(c, p->text, p->n_bytes, NULL))));
}

static void end_choice(struct choice *c)
{
    exchange_stream_json(c->g->ex, NULL, completion(c->g, json_pack("[o]", choice_json(c, "", 0, openai_finish(c)))));
}

static void end(struct generation *g)
{
    if (g->options.include_usage) {
        json_t *last = completion(g, json_array());
        json_object_set_new(last, "usage", openai_usage(g));
        exchange_stream_json(g->ex, NULL, last);
    }
    exchange_stream_data(g->ex, "[DONE]");
}

static json_t *whole(struct generation *g)
{
    json_t *choices = json_array();
    for (uint32_t i = 0; i < g->n_choices; i++) {
        struct choice *c = &g->choices[i];
        json_array_append_new(choices, choice_json(c, c->text.data, c->text.n_bytes, openai_finish(c)));
    }
    json_t *json = completion(g, choices);
    json_object_set_new(json, "usage", openai_usage(g));
    return json;
}

static const struct dialect dialect = { .id_prefix = "cmpl-",
                                        .plain = true,
                                        .begin = begin,
                                        .piece = send_piece,
                                        .end_choice = end_choice,
                                        .end = end,
                                        .token = add_token,
                                        .whole = whole };

// ---- the route

enum { PROMPTS_MAX = 128 }; // and answers in all

static bool read_options(struct exchange *ex, struct request_options *o, bool *echo)
{
    uint64_t n_logprobs = UINT64_MAX;
    const json_t *max_tokens = json_object_get(ex->json, "max_tokens"),
                 *logprobs = json_object_get(ex->json, "logprobs");
    bool is_counted = max_tokens && !json_is_null(max_tokens);
    if (!read_flag(ex, ex->json, "echo", echo)) return false;
    // Evaluation harnesses ask for no token at all: only the prompt's probabilities.
    bool none = json_is_integer(max_tokens) && json_integer_value(max_tokens) == 0;
    if (none) json_object_del(ex->json, "max_tokens");
    if (!read_request_options(ex, ex->json, "stop", o)) return false;
    if (logprobs && !json_is_null(logprobs)) {
        if (!read_count(ex, ex->json, "logprobs", 0, 20, &n_logprobs)) return false;
        o->logprobs = true;
        o->n_top_logprobs = (uint32_t)n_logprobs;
    }
    o->only_prompt = none;
    if (none) o->n_predict = 1;
    else if (!is_counted) o->n_predict = o->n_predict ? o->n_predict : 16;
    if (!none || *echo) return true;
    exchange_fail(ex, 400, "integer_below_min_value", "max_tokens", "Invalid 'max_tokens': 0 needs 'echo'.");
    return false;
}

// What other servers do and this one does not is refused rather than left out.
static bool check_unsupported(struct exchange *ex, const struct request_options *o)
{
    const json_t *suffix = json_object_get(ex->json, "suffix"), *best_of = json_object_get(ex->json, "best_of");
    bool has_suffix = suffix && !json_is_null(suffix) && (!json_is_string(suffix) || json_string_length(suffix));
    bool has_best = best_of && !json_is_null(best_of) && json_integer_value(best_of) != o->n_choices;
    if (!has_suffix && !has_best) return true;
    const char *name = has_suffix ? "suffix" : "best_of";
    exchange_fail(ex, 400, "unsupported_parameter", name, "Unsupported parameter: '%s' is not supported%s.", name,
                  has_best ? " unless it equals 'n'" : "");
    return false;
}

static bool check_count(struct exchange *ex, const struct request_options *o, const struct prompts *prompts)
{
    if (prompts->n * o->n_choices <= PROMPTS_MAX) return true;
    exchange_fail(ex, 400, "invalid_value", "prompt", "Invalid 'prompt': %zu prompts with %u answers each; at most %d.",
                  prompts->n, o->n_choices, PROMPTS_MAX);
    return false;
}

void serve_completions(struct exchange *ex, const char *path)
{
    struct request_options *o = calloc(1, sizeof *o);
    struct prompts prompts = { 0 };
    struct served_model *model;
    struct form form;
    bool echo = false;
    (void)path;
    if (!o) exchange_fail(ex, 500, NULL, NULL, "out of memory");
    else if (read_options(ex, o, &echo) && check_unsupported(ex, o) && (model = take_model(ex))) {
        if (prompts_read(ex, model, "prompt", PROMPTS_MAX, echo, &prompts) && check_count(ex, o, &prompts) &&
            form_read(ex, model, json_object_get(ex->json, "response_format"), NULL, NULL, &form))
            generation_start(ex, model, &dialect, o, &prompts, NULL, &form, echo);
        else served_models_give(ex->server->models, model);
    }
    prompts_free(&prompts);
    free(o);
}
