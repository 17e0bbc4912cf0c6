// Fuzzes what a server does with requests, without sockets: the input is a path, a line's end, and a body. The route's
// handler reads the body, and where it asks the model (the bundled one, with a chat template) an answer of at most a few
// milliseconds is made and written.
//
// What must hold: there is one answer; its status is no 500; it is JSON, or a stream of JSON; an error has a message.
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chat_model.h"
#include "server/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static struct server server = {
    .options = { .max_body = 1 << 20,
                 .timeout_seconds = 0.02,
                 .n_predict = 4,
                 .models.scheduler = { .n_context = 512, .n_running = 4, .n_waiting = 64, .n_threads = 1, .n_batch = 64 } },
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};

static void stop(void) { served_models_free(server.models); }

// The model is in memory when this returns: its file is gone.
static void begin(void)
{
    char path[] = "/tmp/socle-fuzz-XXXXXX";
    socle_error err;
    int file = mkstemp(path);
    assert(file >= 0);
    close(file);
    socle_status status =
        chat_model_write(SC_SOURCE_ROOT "/share/tales.gguf", SC_SOURCE_ROOT "/tests/data/chatml.jinja", path, &err);
    server.options.models.path = path;
    server.options.models.alias = "chat";
    if (status == SOCLE_OK) status = served_models_create(&server.options.models, &server.models, &err);
    unlink(path);
    if (status != SOCLE_OK) {
        fprintf(stderr, "fuzz_request: %s\n", err.message);
        abort();
    }
    server.options.models.path = NULL;
    atexit(stop);
}

static const struct route *find(const char *path)
{
    const struct route *route;
    for (size_t i = 0; (route = http_route_at(i)); i++) {
        size_t n = strcspn(route->path, "*");
        if (strncmp(route->path, path, n) == 0 && (route->path[n] || !path[n])) return route;
    }
    return NULL;
}

static void wait_for_answer(struct exchange *ex)
{
    for (bool working = true; working;) {
        pthread_mutex_lock(&ex->mutex);
        working = ex->is_working;
        pthread_mutex_unlock(&ex->mutex);
        if (working) nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
    }
}

static void check_json(const struct exchange *ex, const char *text, size_t n_bytes)
{
    json_error_t error;
    json_t *json = json_loadb(text, n_bytes, 0, &error);
    assert(json_is_object(json));
    if (!ex->is_stream && ex->status >= 400) {
        const char *message = json_string_value(json_object_get(json_object_get(json, "error"), "message"));
        assert(message && *message);
    }
    json_decref(json);
}

static void check_stream(const struct exchange *ex)
{
    for (const char *at = ex->reply.data, *end; at && *at; at = end + 1) {
        end = strchr(at, '\n');
        assert(end);
        if (end == at || strncmp(at, "event: ", 7) == 0 || strncmp(at, "data: [DONE]", 12) == 0) continue;
        assert(strncmp(at, "data: ", 6) == 0);
        check_json(ex, at + 6, (size_t)(end - at) - 6);
    }
}

static void check(const struct exchange *ex)
{
    assert(ex->is_ready && !ex->is_working);
    assert(ex->status == 200 || (ex->status >= 400 && ex->status < 500) || ex->status == 504);
    if (ex->is_stream) check_stream(ex);
    else if (strcmp(ex->content_type, "application/json") == 0) check_json(ex, ex->reply.data, ex->reply.n_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const uint8_t *line = n_bytes ? memchr(data, '\n', n_bytes) : NULL;
    char path[200];
    if (!line || (size_t)(line - data) >= sizeof path) return 0;
    memcpy(path, data, (size_t)(line - data));
    path[line - data] = '\0';
    const struct route *route = find(path);
    if (!route) return 0;
    if (!server.models) begin();
    struct exchange *ex = exchange_create(&server, NULL);
    assert(ex);
    ex->route = route;
    if (route->flags & TAKES_JSON) {
        sc_buffer_append(&ex->body, line + 1, n_bytes - (size_t)(line + 1 - data));
        exchange_work(ex, NULL, NULL);
        http_answer(ex, path);
        wait_for_answer(ex);
    } else {
        route->handle(ex, path);
    }
    check(ex);
    exchange_let_go(ex);
    return 0;
}
