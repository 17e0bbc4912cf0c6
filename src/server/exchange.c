#include "server/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/clock.h"
#include "server/guard.h"
#include "server/server.h"
#include "text/utf8.h"

enum { TRIM_BYTES = 1 << 20 };

struct exchange *exchange_create(struct server *server, struct MHD_Connection *connection)
{
    struct exchange *ex = calloc(1, sizeof *ex);
    if (!ex) return NULL;
    ex->server = server;
    ex->connection = connection;
    ex->started = sc_now();
    ex->n_holders = 1;
    pthread_mutex_init(&ex->mutex, NULL);
    return ex;
}

void exchange_hold(struct exchange *ex)
{
    pthread_mutex_lock(&ex->mutex);
    ex->n_holders++;
    pthread_mutex_unlock(&ex->mutex);
}

// The C library keeps what a thread freed for that thread: after a body of millions of small values, hundreds of MB.
static void give_memory_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void exchange_let_go(struct exchange *ex)
{
    pthread_mutex_lock(&ex->mutex);
    bool is_last = --ex->n_holders == 0;
    pthread_mutex_unlock(&ex->mutex);
    if (!is_last) return;
    guard_leave(ex);
    bool was_big = ex->n_body_bytes > TRIM_BYTES || ex->reply.n_bytes > TRIM_BYTES;
    atomic_fetch_sub(&ex->server->n_body_bytes, ex->n_body_bytes);
    json_decref(ex->json);
    sc_buffer_free(&ex->body);
    sc_buffer_free(&ex->reply);
    pthread_mutex_destroy(&ex->mutex);
    free(ex);
    if (was_big) give_memory_back();
}

void exchange_work(struct exchange *ex, void *work, void (*on_gone)(void *work))
{
    pthread_mutex_lock(&ex->mutex);
    ex->is_working = true;
    ex->work = work;
    ex->on_gone = on_gone;
    pthread_mutex_unlock(&ex->mutex);
}

bool exchange_is_gone(struct exchange *ex)
{
    pthread_mutex_lock(&ex->mutex);
    bool is_gone = ex->is_gone;
    pthread_mutex_unlock(&ex->mutex);
    return is_gone;
}

// With the mutex held: lets the HTTP thread look again.
static void wake(struct exchange *ex)
{
    if (!ex->is_suspended) return;
    ex->is_suspended = false;
    MHD_resume_connection(ex->connection);
}

void exchange_leave(struct exchange *ex)
{
    pthread_mutex_lock(&ex->mutex);
    ex->is_suspended = false;
    ex->is_gone = true;
    if (ex->is_working && ex->on_gone) ex->on_gone(ex->work);
    pthread_mutex_unlock(&ex->mutex);
}

// ---- whole answers

void exchange_reply_text(struct exchange *ex, int status, const char *type, const char *text, size_t n_bytes)
{
    guard_leave(ex); // before the client can know, lest its next request is taken for a second one at once
    pthread_mutex_lock(&ex->mutex);
    if (!ex->is_ready) {
        ex->status = status;
        ex->content_type = type;
        sc_buffer_append(&ex->reply, text, n_bytes);
        ex->is_ready = true;
        ex->is_working = false;
        wake(ex);
    }
    pthread_mutex_unlock(&ex->mutex);
}

void exchange_reply_json(struct exchange *ex, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (text) exchange_reply_text(ex, status, "application/json", text, strlen(text));
    else exchange_reply_text(ex, 500, "text/plain", "out of memory\n", 14);
    free(text);
}

// ---- errors

static const char *openai_type(int status)
{
    return status == 401   ? "invalid_request_error"
           : status == 403 ? "permission_error"
           : status == 429 ? "rate_limit_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

static const char *anthropic_type(int status)
{
    return status == 401   ? "authentication_error"
           : status == 403 ? "permission_error"
           : status == 404 ? "not_found_error"
           : status == 413 ? "request_too_large"
           : status == 429 ? "rate_limit_error"
           : status == 529 ? "overloaded_error"
           : status >= 500 ? "api_error"
                           : "invalid_request_error";
}

json_t *error_json(enum error_style style, int status, const char *code, const char *param, const char *message)
{
    if (style == ERRORS_ANTHROPIC)
        return json_pack("{s:s, s:{s:s, s:s}}", "type", "error", "error", "type", anthropic_type(status), "message",
                         message);
    return json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", message, "type", openai_type(status), "param",
                     param, "code", code);
}

void exchange_fail(struct exchange *ex, int status, const char *code, const char *param, const char *format, ...)
{
    char message[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sc_utf8_mend(message); // it may quote a path's bytes, and be cut within a character
    server_note_error(ex->server, status, message);
    enum error_style style = ex->route ? ex->route->errors : ERRORS_OPENAI;
    exchange_reply_json(ex, status, error_json(style, status, code, param, message));
}

// ---- answers in pieces

static void stream(struct exchange *ex, const char *event, const char *data)
{
    pthread_mutex_lock(&ex->mutex);
    if (!ex->is_ready) {
        ex->status = 200;
        ex->content_type = "text/event-stream";
        ex->is_ready = ex->is_stream = true;
    }
    if (!ex->is_gone) {
        if (event) sc_buffer_printf(&ex->reply, "event: %s\n", event);
        sc_buffer_append_string(&ex->reply, "data: ");
        sc_buffer_append_string(&ex->reply, data);
        sc_buffer_append_string(&ex->reply, "\n\n");
    }
    wake(ex);
    pthread_mutex_unlock(&ex->mutex);
}

void exchange_stream_data(struct exchange *ex, const char *data) { stream(ex, NULL, data); }

void exchange_stream_json(struct exchange *ex, const char *event, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    if (text) stream(ex, event, text);
    free(text);
}

void exchange_stream_end(struct exchange *ex)
{
    pthread_mutex_lock(&ex->mutex);
    ex->has_stream_ended = true;
    ex->is_working = false;
    wake(ex);
    pthread_mutex_unlock(&ex->mutex);
}
