#include "server/generation.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "server/form.h"
#include "server/guard.h"
#include "text/utf8.h"

void make_id(const char *prefix, char *out, size_t n_out)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint8_t bytes[24] = { 0 };
    if (getrandom(bytes, sizeof bytes, 0) < 0) memcpy(bytes, &(clock_t){ clock() }, sizeof(clock_t));
    size_t n = (size_t)snprintf(out, n_out, "%s", prefix);
    for (size_t i = 0; i < sizeof bytes && n + 1 < n_out; i++) out[n++] = letters[bytes[i] % 36];
    out[n] = '\0';
}

int http_status_of(socle_status status)
{
    switch (status) {
    case SOCLE_BAD_ARGUMENT:
    case SOCLE_CONTEXT_FULL:
    case SOCLE_BAD_TEMPLATE:
    case SOCLE_UNSUPPORTED: return 400;
    case SOCLE_BUSY: return 429;
    case SOCLE_NO_MEMORY: return 503;
    case SOCLE_TIMEOUT: return 504;
    default: return 500;
    }
}

static const char *code_of(socle_status status)
{
    return status == SOCLE_CONTEXT_FULL ? "context_length_exceeded"
           : status == SOCLE_BUSY       ? "rate_limit_exceeded"
                                        : NULL;
}

void reply_failure(struct exchange *ex, socle_status status, const char *param, const char *message)
{
    if (status == SOCLE_BUSY || status == SOCLE_NO_MEMORY) snprintf(ex->retry_after, sizeof ex->retry_after, "1");
    exchange_fail(ex, http_status_of(status), code_of(status), status == SOCLE_CONTEXT_FULL ? param : NULL, "%s",
                  message);
}

struct served_model *take_model(struct exchange *ex)
{
    const char *id = NULL;
    struct served_model *model;
    socle_error err;
    if (!read_string(ex, ex->json, "model", &id)) return NULL;
    socle_status status = served_models_take(ex->server->models, id, &model, &err);
    if (status == SOCLE_OK) return model;
    if (status == SOCLE_BAD_ARGUMENT) exchange_fail(ex, 404, "model_not_found", "model", "%s", err.message);
    else reply_failure(ex, status, NULL, err.message);
    return NULL;
}

// ---- reading an answer

static void add_call(struct choice *c, const struct sc_answer_event *p)
{
    struct tool_call *more = realloc(c->calls, (c->n_calls + 1) * sizeof *more);
    if (!more) return;
    c->calls = more;
    struct tool_call *call = &more[c->n_calls++];
    memset(call, 0, sizeof *call);
    call->name = strndup(p->text, p->n_bytes);
    make_id("call_", call->id, sizeof call->id);
}

static void take_piece(void *context, const struct sc_answer_event *p)
{
    struct choice *c = context;
    if (p->kind == SC_ANSWER_TEXT) sc_buffer_append(&c->text, p->text, p->n_bytes);
    if (p->kind == SC_ANSWER_REASONING) sc_buffer_append(&c->reasoning, p->text, p->n_bytes);
    if (p->kind == SC_ANSWER_CALL_BEGIN) add_call(c, p);
    if (p->kind == SC_ANSWER_ARGUMENTS && c->n_calls)
        sc_buffer_append(&c->calls[c->n_calls - 1].arguments, p->text, p->n_bytes);
    if (c->g->options.stream) c->g->dialect->piece(c, p);
}

static void take_text(struct choice *c, const char *text, size_t n_bytes)
{
    if (n_bytes == 0) return;
    if (c->g->dialect->plain)
        take_piece(c, &(struct sc_answer_event){ .kind = SC_ANSWER_TEXT, .text = text, .n_bytes = n_bytes });
    else sc_answer_push(&c->reader, text, n_bytes, take_piece, c);
}

static void begin_once(struct generation *g)
{
    if (g->has_begun) return;
    g->has_begun = true;
    if (g->options.stream) g->dialect->begin(g);
    for (uint32_t i = 0; i < g->n_choices && g->echo; i++) {
        const char *text = g->choices[i].prompt->text;
        if (text) take_text(&g->choices[i], text, strlen(text));
    }
}

// ---- what the scheduler tells

static bool on_token(void *context, const socle_token_event *event)
{
    struct choice *c = context;
    begin_once(c->g);
    if (c->g->options.only_prompt && !event->of_prompt) return false;
    if (c->g->options.logprobs && c->g->dialect->token) c->g->dialect->token(c, event);
    size_t n_reasoned = c->reasoning.n_bytes;
    take_text(c, event->text, event->n_bytes);
    c->n_reasoning += c->reasoning.n_bytes > n_reasoned;
    return !exchange_is_gone(c->g->ex);
}

static void free_choice(struct choice *c)
{
    for (size_t i = 0; i < c->n_calls; i++) {
        free(c->calls[i].name);
        sc_buffer_free(&c->calls[i].arguments);
    }
    free(c->calls);
    free(c->stop);
    json_decref(c->logprobs);
    sc_buffer_free(&c->text);
    sc_buffer_free(&c->reasoning);
}

static void free_generation(struct generation *g)
{
    for (uint32_t i = 0; i < g->n_choices; i++) free_choice(&g->choices[i]);
    free(g->choices);
    prompts_free(&g->prompts);
    free(g);
}

static const struct choice *failed_choice(const struct generation *g)
{
    for (uint32_t i = 0; i < g->n_choices; i++)
        if (g->choices[i].status != SOCLE_OK) return &g->choices[i];
    return NULL;
}

static void count_usage(struct generation *g)
{
    uint32_t n_prompt, n_cached, n_generated;
    generation_count(g, &n_prompt, &n_cached, &n_generated);
    server_note_usage(g->ex->server, n_prompt, n_cached, n_generated);
    guard_count(g->ex, n_prompt, n_cached, n_generated);
    guard_leave(g->ex);
}

static void end_stream(struct generation *g, const struct choice *failed)
{
    if (!failed) {
        g->dialect->end(g);
    } else {
        int status = http_status_of(failed->status);
        bool anthropic = g->ex->route->errors == ERRORS_ANTHROPIC;
        server_note_error(g->ex->server, status, failed->error);
        if (g->dialect->fail) g->dialect->fail(failed, code_of(failed->status));
        else
            exchange_stream_json(
                g->ex, anthropic ? "error" : NULL,
                error_json(g->ex->route->errors, status, code_of(failed->status), NULL, failed->error));
    }
    exchange_stream_end(g->ex);
}

// All answers are there: after this nothing of g is touched.
static void finish(struct generation *g)
{
    struct exchange *ex = g->ex;
    const struct choice *failed = failed_choice(g);
    count_usage(g);
    kept_forms_give(g->model->forms, g->form);
    exchange_work(ex, NULL, NULL); // a client that leaves now finds nothing to stop, nor a model that may be gone
    served_models_give(ex->server->models, g->model);
    if (g->options.stream && g->has_begun) end_stream(g, failed);
    else if (failed)
        reply_failure(ex, failed->status, json_object_get(ex->json, "prompt") ? "prompt" : "messages", failed->error);
    else exchange_reply_json(ex, 200, g->dialect->whole(g));
    free_generation(g);
    exchange_let_go(ex);
}

static void end_choice(struct choice *c)
{
    if (atomic_fetch_sub(&c->g->n_open, 1) == 1) finish(c->g);
}

static void on_end(void *context, const socle_request_result *result)
{
    struct choice *c = context;
    c->status = result->status;
    if (result->status != SOCLE_OK) {
        snprintf(c->error, sizeof c->error, "%s", result->error.message);
        sc_utf8_mend(c->error);
    } else {
        begin_once(c->g);
    }
    if (!c->g->options.only_prompt) take_text(c, result->text, result->n_bytes);
    if (!c->g->dialect->plain) sc_answer_end(&c->reader, take_piece, c);
    c->finish = result->finish;
    c->stop = result->stop ? strdup(result->stop) : NULL;
    c->n_prompt = result->n_prompt;
    c->n_cached = result->n_cached;
    c->n_generated = c->g->options.only_prompt ? 0 : result->n_generated;
    if (c->g->options.stream && c->status == SOCLE_OK) c->g->dialect->end_choice(c);
    end_choice(c);
}

static void on_gone(void *work)
{
    struct generation *g = work;
    for (uint32_t i = 0; i < g->n_choices; i++) socle_request_cancel(g->model->scheduler, g->choices[i].request);
}

// ---- starting

static socle_status start_choice(struct choice *c, socle_error *err)
{
    struct generation *g = c->g;
    const struct request_options *o = &g->options;
    socle_request_options request = {
        .prompt = c->prompt->ids,
        .n_prompt = c->prompt->n_ids,
        .n_predict = o->n_predict,
        .adapters = o->has_adapters ? o->adapters : NULL,
        .sampling = o->sampling,
        .stop = o->stops,
        .n_stop = o->n_stops,
        .ignore_end = o->ignore_end,
        .constraint = g->form ? g->form->constraint : NULL,
        .constraint_after = g->constraint_after,
        .show_special = !g->dialect->plain, // special tokens mark reasoning and calls
        .logprobs = o->logprobs,
        .prompt_logprobs = o->logprobs && g->echo,
        .n_top_logprobs = o->n_top_logprobs,
        .group = guard_group(g->ex),
        .timeout_seconds = g->ex->server->options.timeout_seconds,
        .on_token = on_token,
        .on_end = on_end,
        .context = c,
    };
    request.sampling.seed += c->index % o->n_choices;
    return socle_request_start(g->model->scheduler, &request, &c->request, err);
}

static void start_all(struct generation *g)
{
    socle_error err;
    for (uint32_t i = 0; i < g->n_choices; i++) {
        struct choice *c = &g->choices[i];
        socle_status status = start_choice(c, &err);
        if (status == SOCLE_OK) continue; // it may have ended already: c is its own now
        c->status = status;
        snprintf(c->error, sizeof c->error, "%s", err.message);
        c->n_prompt = 0; // nothing was computed
        if (!g->dialect->plain) sc_answer_end(&c->reader, take_piece, c);
        end_choice(c); // the others go on; their end tells of this one
    }
}

void generation_start(struct exchange *ex, struct served_model *model, const struct dialect *dialect,
                      const struct request_options *options, struct prompts *prompts, json_t *tools,
                      const struct form *form, bool echo)
{
    struct generation *g = calloc(1, sizeof *g);
    uint32_t n_choices = (uint32_t)prompts->n * options->n_choices;
    struct choice *choices = calloc(n_choices, sizeof *choices);
    if (!g || !choices) {
        free(g);
        free(choices);
        prompts_free(prompts);
        if (form) kept_forms_give(model->forms, form->kept);
        served_models_give(ex->server->models, model);
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
        return;
    }
    *g = (struct generation){ .ex = ex,
                              .model = model,
                              .dialect = dialect,
                              .options = *options,
                              .created = time(NULL),
                              .echo = echo,
                              .prompts = *prompts,
                              .choices = choices,
                              .n_choices = n_choices,
                              .form = form ? form->kept : NULL,
                              .constraint_after = form ? form->after : NULL };
    *prompts = (struct prompts){ 0 };
    if (options->sampling.n_bias) g->options.sampling.bias = g->options.biases;
    const char *syntax = socle_model_answer_syntax(model->model);
    g->syntax = syntax ? sc_answer_syntax_find(syntax) : NULL;
    make_id(dialect->id_prefix, g->id, sizeof g->id);
    snprintf(ex->seed, sizeof ex->seed, "%llu", (unsigned long long)options->sampling.seed);
    atomic_init(&g->n_open, g->n_choices + 1); // one is ours
    json_t *no_tools = json_array();           // what looks like a call then stays text
    for (uint32_t i = 0; i < g->n_choices; i++) {
        struct choice *c = &choices[i];
        c->g = g;
        c->index = i;
        c->prompt = &g->prompts.at[i / options->n_choices];
        c->open_block = -1;
        c->n_prompt = (uint32_t)c->prompt->n_ids;
        c->logprobs = json_array();
        const char *text = c->prompt->text ? c->prompt->text : "";
        if (!dialect->plain)
            sc_answer_begin(&c->reader, g->syntax, (struct sc_text){ text, strlen(text) }, tools ? tools : no_tools);
    }
    json_decref(no_tools);
    exchange_hold(ex);
    exchange_work(ex, g, on_gone);
    start_all(g);
    if (atomic_fetch_sub(&g->n_open, 1) == 1) finish(g);
}

// ---- what dialects share

const char *openai_finish(const struct choice *c)
{
    if (c->n_calls && (c->finish == SOCLE_FINISH_STOP || c->finish == SOCLE_FINISH_WORD)) return "tool_calls";
    return c->g->options.only_prompt || c->finish == SOCLE_FINISH_LENGTH || c->finish == SOCLE_FINISH_CONTEXT ? "length"
                                                                                                              : "stop";
}

void generation_count(const struct generation *g, uint32_t *n_prompt, uint32_t *n_cached, uint32_t *n_generated)
{
    *n_prompt = *n_cached = *n_generated = 0;
    for (uint32_t i = 0; i < g->n_choices; i++) {
        const struct choice *c = &g->choices[i];
        *n_generated += c->n_generated;
        if (i % g->options.n_choices) continue; // the prompt was counted
        *n_prompt += c->n_prompt;
        *n_cached += c->n_cached;
    }
}

json_t *openai_usage(const struct generation *g)
{
    uint32_t n_prompt, n_cached, n_generated, n_reasoning = 0;
    generation_count(g, &n_prompt, &n_cached, &n_generated);
    for (uint32_t i = 0; i < g->n_choices; i++) n_reasoning += g->choices[i].n_reasoning;
    return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens", (json_int_t)n_prompt, "completion_tokens",
                     (json_int_t)n_generated, "total_tokens", (json_int_t)n_prompt + n_generated,
                     "prompt_tokens_details", "cached_tokens", (json_int_t)n_cached, "completion_tokens_details",
                     "reasoning_tokens", (json_int_t)n_reasoning);
}
