// What a server says of itself: /health, /ready, /v1/models, /metrics, /status.json.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/size.h"
#include "server/server.h"

void serve_health(struct exchange *ex, const char *path)
{
    (void)path;
    exchange_reply_json(ex, 200, json_pack("{s:s}", "status", "ok"));
}

void serve_ready(struct exchange *ex, const char *path)
{
    (void)path;
    exchange_reply_json(ex, 200, json_pack("{s:s}", "status", "ready"));
}

void serve_models(struct exchange *ex, const char *path)
{
    (void)path;
    exchange_reply_json(ex, 200,
                        json_pack("{s:s, s:o}", "object", "list", "data", served_models_list(ex->server->models)));
}

void serve_model(struct exchange *ex, const char *path)
{
    const char *id = path + strlen("/v1/models/");
    json_t *list = served_models_list(ex->server->models), *model, *found = NULL;
    size_t i;
    json_array_foreach (list, i, model) {
        if (strcmp(json_string_value(json_object_get(model, "id")), id) == 0) found = model;
    }
    if (found) exchange_reply_json(ex, 200, json_incref(found));
    else exchange_fail(ex, 404, "model_not_found", "model", "The model '%s' does not exist", id);
    json_decref(list);
}

// ---- figures

struct figures {
    socle_scheduler_state sum;
    double prompt_speed;
    uint64_t n_bytes;
    json_t *models;
    size_t n_loaded;
};

static void add_model(void *context, const struct served_model *model, const socle_scheduler_state *state)
{
    struct figures *f = context;
    f->sum.n_running += state->n_running;
    f->sum.n_waiting += state->n_waiting;
    f->sum.n_pages += state->n_pages;
    f->sum.n_pages_free += state->n_pages_free;
    f->sum.n_pages_kept += state->n_pages_kept;
    f->sum.n_batches += state->n_batches;
    f->sum.busy_seconds += state->busy_seconds;
    f->prompt_speed = SC_MAX(f->prompt_speed, state->prompt_tokens_per_second);
    f->n_bytes += model->n_bytes;
    f->n_loaded += model->model != NULL;
    json_t *json = json_pack("{s:s, s:b, s:I}", "id", model->id, "loaded", model->model != NULL, "n_bytes",
                             (json_int_t)model->n_file_bytes);
    if (model->model) {
        json_object_set_new(json, "n_context", json_integer(socle_scheduler_n_context(model->scheduler)));
        json_object_set_new(json, "n_parameters", json_integer((json_int_t)model->info.n_parameters));
        json_object_set_new(json, "weights", json_string(model->info.weights));
        json_object_set_new(json, "family", json_string(model->info.family));
    }
    json_array_append_new(f->models, json);
}

static struct figures gather(struct server *s)
{
    struct figures f = { .models = json_array() };
    served_models_visit(s->models, add_model, &f);
    return f;
}

static json_t *errors_json(const struct server *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < SC_MIN(s->n_errors, (size_t)ERRORS_KEPT); i++) {
        const struct noted_error *e = &s->errors[(s->n_errors - 1 - i) % ERRORS_KEPT];
        json_array_append_new(list, json_pack("{s:I, s:i, s:s}", "time", (json_int_t)e->time, "status", e->status,
                                              "message", e->message));
    }
    return list;
}

static json_t *history_json(const struct server *s)
{
    json_t *list = json_array();
    size_t n = SC_MIN(s->n_history, (size_t)HISTORY_KEPT);
    for (size_t i = s->n_history - n; i < s->n_history; i++) {
        const struct history_point *p = &s->history[i % HISTORY_KEPT];
        json_array_append_new(list, json_pack("{s:I, s:I, s:I, s:f}", "t", (json_int_t)p->time, "running",
                                              (json_int_t)p->n_running, "waiting", (json_int_t)p->n_waiting,
                                              "tokens_per_second", p->tokens_per_second));
    }
    return list;
}

static double recent_speed(const struct server *s)
{
    return s->n_history ? s->history[(s->n_history - 1) % HISTORY_KEPT].tokens_per_second : 0.0;
}

void serve_status(struct exchange *ex, const char *path)
{
    struct server *s = ex->server;
    struct figures f = gather(s);
    (void)path;
    pthread_mutex_lock(&s->mutex);
    const struct server_counters *c = &s->counters;
    double known = (double)c->n_cached_tokens, asked = (double)c->n_prompt_tokens;
    json_t *json = json_pack(
        "{s:s, s:f, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:i, s:f}, s:I, s:o, s:o}",
        "version", socle_version(), "uptime_seconds", sc_now() - s->started, "models", f.models, "n_running",
        (json_int_t)f.sum.n_running, "n_waiting", (json_int_t)f.sum.n_waiting, "n_slots",
        (json_int_t)s->options.models.scheduler.n_running, "queue_limit",
        (json_int_t)s->options.models.scheduler.n_waiting, "prompt_tokens_per_second", f.prompt_speed,
        "generated_tokens_per_second", recent_speed(s), "requests_total", (json_int_t)c->n_requests, "requests_failed",
        (json_int_t)c->n_failed, "prompt_tokens_total", (json_int_t)c->n_prompt_tokens, "cached_tokens_total",
        (json_int_t)c->n_cached_tokens, "generated_tokens_total", (json_int_t)c->n_generated_tokens, "cache", "n_pages",
        (json_int_t)f.sum.n_pages, "n_free", (json_int_t)f.sum.n_pages_free, "n_kept", (json_int_t)f.sum.n_pages_kept,
        "page_tokens", 256, "hit_rate", asked > 0 ? known / asked : 0.0, "memory_bytes", (json_int_t)f.n_bytes,
        "recent_errors", errors_json(s), "history", history_json(s));
    pthread_mutex_unlock(&s->mutex);
    exchange_reply_json(ex, 200, json);
}

// ---- Prometheus' text format

static void metric(struct sc_buffer *out, const char *name, const char *type, const char *help, double value)
{
    sc_buffer_printf(out, "# HELP socle_%s %s\n# TYPE socle_%s %s\nsocle_%s %.17g\n", name, help, name, type, name,
                     value);
}

void serve_metrics(struct exchange *ex, const char *path)
{
    struct server *s = ex->server;
    struct figures f = gather(s);
    struct sc_buffer out = { 0 };
    (void)path;
    json_decref(f.models);
    pthread_mutex_lock(&s->mutex);
    struct server_counters c = s->counters;
    size_t n_exchanges = s->n_exchanges;
    pthread_mutex_unlock(&s->mutex);
    metric(&out, "uptime_seconds", "gauge", "Seconds since the server started.", sc_now() - s->started);
    metric(&out, "requests_total", "counter", "HTTP requests answered.", (double)c.n_requests);
    metric(&out, "requests_failed_total", "counter", "HTTP requests answered with a status of 400 or more.",
           (double)c.n_failed);
    metric(&out, "requests_open", "gauge", "HTTP requests being read or answered.", (double)n_exchanges);
    metric(&out, "prompt_tokens_total", "counter", "Tokens of prompts.", (double)c.n_prompt_tokens);
    metric(&out, "cached_tokens_total", "counter", "Tokens of prompts that the cache knew.", (double)c.n_cached_tokens);
    metric(&out, "generated_tokens_total", "counter", "Tokens generated.", (double)c.n_generated_tokens);
    metric(&out, "running", "gauge", "Answers being computed.", f.sum.n_running);
    metric(&out, "waiting", "gauge", "Answers that wait for room.", f.sum.n_waiting);
    metric(&out, "batches_total", "counter", "Batches computed.", (double)f.sum.n_batches);
    metric(&out, "busy_seconds_total", "counter", "Seconds spent computing.", f.sum.busy_seconds);
    metric(&out, "cache_pages", "gauge", "Pages of the cache.", f.sum.n_pages);
    metric(&out, "cache_pages_free", "gauge", "Empty pages.", f.sum.n_pages_free);
    metric(&out, "cache_pages_kept", "gauge", "Pages of known beginnings that nobody uses now.", f.sum.n_pages_kept);
    metric(&out, "models_loaded", "gauge", "Models in memory.", (double)f.n_loaded);
    metric(&out, "models_bytes", "gauge", "Memory of loaded models and their caches.", (double)f.n_bytes);
    if (out.failed) exchange_fail(ex, 500, NULL, NULL, "out of memory");
    else exchange_reply_text(ex, 200, "text/plain; version=0.0.4", out.data, out.n_bytes);
    sc_buffer_free(&out);
}
