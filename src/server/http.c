// The HTTP side: libmicrohttpd reads requests and sends replies on one thread. A request whose body is JSON is answered
// by a few workers, so that a long prompt's template or a model that loads holds nobody else up. While an answer is
// being made its connection is suspended, and costs nothing.
#include "server/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/size.h"
#include "server/guard.h"
#include "server/pages.h"

enum { REPLY_BLOCK = 32768, HEADERS_MAX = 65536 };

// ---- routes

static const struct route routes[] = {
#define ROUTE(method, path, handler, errors, scope, flags) { #method, path, handler, errors, scope, flags },
#include "server/routes.h"
#undef ROUTE
};

static bool path_matches(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*') return strncmp(pattern, path, n - 1) == 0;
    return strcmp(pattern, path) == 0;
}

// The route, and in *path_known whether another method would have had one.
static const struct route *find_route(const char *method, const char *path, const char **allowed)
{
    *allowed = NULL;
    for (size_t i = 0; i < SC_COUNT(routes); i++) {
        if (!path_matches(routes[i].path, path)) continue;
        if (strcmp(routes[i].method, method) == 0) return &routes[i];
        *allowed = routes[i].method;
    }
    return NULL;
}

const struct route *http_route_at(size_t i) { return i < SC_COUNT(routes) ? &routes[i] : NULL; }

// ---- sending

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value && *value) MHD_add_response_header(response, name, value);
}

static void add_headers(struct exchange *ex, struct MHD_Response *response)
{
    const struct server_options *o = &ex->server->options;
    const char *origin = MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, "Origin");
    add_header(response, "Content-Type", ex->content_type);
    if (ex->is_last) add_header(response, "Connection", "close");
    add_header(response, "Retry-After", ex->retry_after);
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "Cache-Control", ex->is_stream || ex->etag ? "no-cache" : "no-store");
    if (ex->etag) pages_add_headers(ex, response);
    if (ex->status == 405) add_header(response, "Allow", strcmp(ex->allowed, "GET") == 0 ? "GET, HEAD" : ex->allowed);
    if (ex->status == 401) add_header(response, "WWW-Authenticate", "Bearer");
    for (size_t i = 0; origin && i < o->n_cors; i++) {
        if (strcmp(o->cors[i], origin) != 0 && strcmp(o->cors[i], "*") != 0) continue;
        add_header(response, "Access-Control-Allow-Origin", origin);
        add_header(response, "Access-Control-Allow-Headers",
                   "authorization, content-type, x-api-key, anthropic-version");
        add_header(response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
        add_header(response, "Vary", "Origin");
        break;
    }
}

// Hands over what there is of a stream; suspends the connection when there is nothing.
static ssize_t read_stream(void *context, uint64_t at, char *out, size_t max)
{
    struct exchange *ex = context;
    ssize_t n = 0;
    (void)at;
    pthread_mutex_lock(&ex->mutex);
    size_t left = ex->reply.n_bytes - ex->n_sent;
    if (left) {
        n = (ssize_t)SC_MIN(left, max);
        memcpy(out, ex->reply.data + ex->n_sent, (size_t)n);
        ex->n_sent += (size_t)n;
        if (ex->n_sent == ex->reply.n_bytes) {
            sc_buffer_clear(&ex->reply);
            ex->n_sent = 0;
        }
    } else if (ex->has_stream_ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        ex->is_suspended = true;
        MHD_suspend_connection(ex->connection);
    }
    pthread_mutex_unlock(&ex->mutex);
    return n;
}

// Of a reply that is ready, without the mutex: the HTTP library holds a lock of its own here and around read_stream.
static enum MHD_Result queue_reply(struct exchange *ex)
{
    struct MHD_Response *response;
    ex->is_queued = true;
    if (ex->is_stream)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, REPLY_BLOCK, read_stream, ex, NULL);
    else response = MHD_create_response_from_buffer(ex->reply.n_bytes, ex->reply.data, MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    add_headers(ex, response);
    enum MHD_Result result = MHD_queue_response(ex->connection, (unsigned)ex->status, response);
    MHD_destroy_response(response);
    return result;
}

// ---- workers: they parse the body and call the route's handler

struct job {
    struct job *next;
    struct exchange *ex;
    char path[];
};

struct workers {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct job *first, **end;
    bool stop;
    pthread_t threads[HTTP_WORKERS];
    size_t n_threads;
};

void http_answer(struct exchange *ex, const char *path)
{
    json_error_t error;
    ex->json = json_loadb(ex->body.data ? ex->body.data : "", ex->body.n_bytes, 0, &error);
    sc_buffer_free(&ex->body);
    if (!ex->json || !json_is_object(ex->json)) {
        exchange_fail(ex, 400, NULL, NULL, "The body is not %s%s%s (line %d, column %d)",
                      ex->json ? "a JSON object" : "JSON", ex->json ? "" : ": ", ex->json ? "" : error.text, error.line,
                      error.column);
        return;
    }
    ex->route->handle(ex, path);
}

static void *work(void *argument)
{
    struct workers *w = argument;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->first && !w->stop) pthread_cond_wait(&w->wake, &w->mutex);
        struct job *job = w->first;
        if (!job) break;
        w->first = job->next;
        if (!w->first) w->end = &w->first;
        pthread_mutex_unlock(&w->mutex);
        http_answer(job->ex, job->path);
        exchange_let_go(job->ex);
        free(job);
        pthread_mutex_lock(&w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void hand_to_worker(struct workers *w, struct exchange *ex, const char *path)
{
    size_t n = strlen(path) + 1;
    struct job *job = malloc(sizeof *job + n);
    if (!job) {
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
        return;
    }
    job->next = NULL;
    job->ex = ex;
    memcpy(job->path, path, n);
    exchange_hold(ex);
    pthread_mutex_lock(&w->mutex);
    *w->end = job;
    w->end = &job->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

struct workers *http_workers_start(void)
{
    struct workers *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->end = &w->first;
    while (w->n_threads < HTTP_WORKERS && pthread_create(&w->threads[w->n_threads], NULL, work, w) == 0) w->n_threads++;
    if (w->n_threads > 0) return w;
    http_workers_stop(w);
    return NULL;
}

void http_workers_stop(struct workers *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    for (size_t i = 0; i < w->n_threads; i++) pthread_join(w->threads[i], NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->wake);
    free(w);
}

// ---- receiving

static void refuse_method(struct exchange *ex, const char *method, const char *path, const char *allowed)
{
    ex->allowed = allowed;
    if (allowed) exchange_fail(ex, 405, NULL, NULL, "%s is not allowed here: %s takes %s", method, path, allowed);
    else exchange_fail(ex, 404, "not_found", NULL, "Invalid URL (%s %s)", method, path);
}

// On connections that are kept open; what listens is closed already.
static void refuse_late(struct exchange *ex)
{
    snprintf(ex->retry_after, sizeof ex->retry_after, "5");
    ex->is_last = true;
    exchange_fail(ex, 503, NULL, NULL, "The server is ending: it takes no more requests");
}

// Everything that can be said before the body has come.
static void greet(struct exchange *ex, const char *path, const char *method)
{
    const char *allowed, *length = MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, "Content-Length");
    uint64_t max = ex->server->options.max_body;
    if (strcmp(method, "OPTIONS") == 0) {
        exchange_reply_text(ex, 204, "", "", 0);
        return;
    }
    ex->route = find_route(strcmp(method, "HEAD") == 0 ? "GET" : method, path, &allowed);
    if (!ex->route) {
        bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        if (reads && !allowed && pages_serve(ex, path)) return;
        refuse_method(ex, method, path, allowed);
    } else if (length && strtoull(length, NULL, 10) > max) {
        exchange_fail(ex, 413, NULL, NULL, "The body has %s bytes; at most %llu are taken", length,
                      (unsigned long long)max);
    } else {
        guard_admit(ex); // replies when it refuses
    }
}

static void take_body(struct exchange *ex, const char *bytes, size_t n_bytes)
{
    uint64_t max = ex->server->options.max_body;
    if (ex->body.n_bytes + n_bytes > max) {
        exchange_fail(ex, 413, NULL, NULL, "The body has more than %llu bytes", (unsigned long long)max);
        return;
    }
    ex->n_body_bytes += n_bytes;
    if (atomic_fetch_add(&ex->server->n_body_bytes, n_bytes) + n_bytes > BODIES_MAX * max) {
        snprintf(ex->retry_after, sizeof ex->retry_after, "1");
        exchange_fail(ex, 503, NULL, NULL, "Too many large requests at the same time");
    } else if (!sc_buffer_append(&ex->body, bytes, n_bytes)) {
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
    }
}

static enum MHD_Result take_request(void *context, struct MHD_Connection *connection, const char *path,
                                    const char *method, const char *version, const char *upload, size_t *n_upload,
                                    void **state)
{
    struct server *server = context;
    struct exchange *ex = *state;
    (void)version;
    if (!ex) {
        ex = exchange_create(server, connection);
        if (!ex) return MHD_NO;
        *state = ex;
        if (server_enter(server, ex)) greet(ex, path, method);
        else refuse_late(ex);
        ex->is_refused = ex->is_ready;
        // A refusal before the body closes the connection, which spares both sides the rest.
        return ex->is_refused && ex->status == 413 ? queue_reply(ex) : MHD_YES;
    }
    if (*n_upload) {
        links_received(server->links, connection, *n_upload);
        if (!ex->is_ready) take_body(ex, upload, *n_upload);
        *n_upload = 0;
        return MHD_YES;
    }
    links_complete(server->links, connection);
    if (!ex->is_ready && !ex->is_working) {
        if (ex->route->flags & TAKES_JSON) {
            exchange_work(ex, NULL, NULL);
            hand_to_worker(server->workers, ex, path);
        } else {
            ex->route->handle(ex, path);
        }
    }
    pthread_mutex_lock(&ex->mutex);
    bool is_ready = ex->is_ready;
    if (!is_ready) {
        ex->is_suspended = true;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&ex->mutex);
    return is_ready && !ex->is_queued ? queue_reply(ex) : MHD_YES;
}

static void request_completed(void *context, struct MHD_Connection *connection, void **state,
                              enum MHD_RequestTerminationCode code)
{
    struct exchange *ex = *state;
    struct server *server = context;
    (void)code;
    links_begin(server->links, connection);
    if (!ex) return;
    exchange_leave(ex);
    server_leave(server, ex);
    exchange_let_go(ex);
    *state = NULL;
}

// ---- listening

static void log_nothing(void *context, const char *format, va_list args)
{
    (void)context;
    (void)format;
    (void)args;
}

static socle_status resolve(const char *host, uint32_t port, struct sockaddr_storage *out, socle_error *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE },
                    *found;
    char service[8];
    snprintf(service, sizeof service, "%u", port & 0xffff);
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (port > 65535) return sc_fail(err, SOCLE_BAD_ARGUMENT, "port %u: expected at most 65535", port);
    if (getaddrinfo(numeric, service, &hints, &found) != 0)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "address '%s': expected numbers, as 127.0.0.1 or ::1", host);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return SOCLE_OK;
}

socle_status http_listen(struct server *server, socle_error *err)
{
    const struct server_options *o = &server->options;
    struct sockaddr_storage address = { 0 };
    SC_TRY(resolve(o->host, o->port, &address, err));
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
    if (server->certificate) flags |= MHD_USE_TLS;
    struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, server->certificate },
                                    { MHD_OPTION_HTTPS_MEM_KEY, 0, server->private_key },
                                    { MHD_OPTION_END, 0, NULL } };
    errno = 0;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, take_request, server, MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED, request_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, links_notify, server->links, MHD_OPTION_CONNECTION_LIMIT, o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, o->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, server->certificate ? tls : &tls[2], MHD_OPTION_END);
    if (server->daemon) return SOCLE_OK;
    return sc_fail(err, SOCLE_IO, "%s port %u: %s", o->host, o->port,
                   errno ? strerror(errno) : "cannot listen (is the certificate or key damaged?)");
}
