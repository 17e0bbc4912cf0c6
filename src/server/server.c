#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/size.h"
#include "server/http.h"
#include "server/keys.h"
#include "text/utf8.h"

// ---- exchanges that are open

bool server_enter(struct server *s, struct exchange *ex)
{
    pthread_mutex_lock(&s->mutex);
    ex->id = ++s->last_id;
    ex->next = s->exchanges;
    if (ex->next) ex->next->previous = ex;
    s->exchanges = ex;
    s->n_exchanges++;
    bool is_taken = !s->is_draining;
    pthread_mutex_unlock(&s->mutex);
    return is_taken;
}

void server_leave(struct server *s, struct exchange *ex)
{
    pthread_mutex_lock(&s->mutex);
    if (ex->next) ex->next->previous = ex->previous;
    if (ex->previous) ex->previous->next = ex->next;
    else s->exchanges = ex->next;
    s->n_exchanges--;
    s->counters.n_requests++;
    s->counters.n_failed += ex->status >= 400;
    if (ex->status >= 100 && ex->status < 600) s->counters.n_by_status[ex->status / 100]++;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

void server_note_error(struct server *s, int status, const char *message)
{
    pthread_mutex_lock(&s->mutex);
    struct noted_error *e = &s->errors[s->n_errors++ % ERRORS_KEPT];
    e->time = (int64_t)time(NULL);
    e->status = status;
    snprintf(e->message, sizeof e->message, "%s", message);
    sc_utf8_mend(e->message);
    pthread_mutex_unlock(&s->mutex);
}

void server_note_usage(struct server *s, uint32_t n_prompt, uint32_t n_cached, uint32_t n_generated)
{
    pthread_mutex_lock(&s->mutex);
    s->counters.n_prompt_tokens += n_prompt;
    s->counters.n_cached_tokens += n_cached;
    s->counters.n_generated_tokens += n_generated;
    pthread_mutex_unlock(&s->mutex);
}

// ---- housekeeping, once a second

// A suspended connection is not watched by the HTTP library: has its client left?
static bool has_left(struct exchange *ex)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    if (!info) return false;
    ssize_t n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void watch_clients(struct server *s)
{
    pthread_mutex_lock(&s->mutex);
    for (struct exchange *ex = s->exchanges; ex; ex = ex->next) {
        pthread_mutex_lock(&ex->mutex);
        if (ex->is_working && ex->is_suspended && !ex->is_gone && has_left(ex)) {
            ex->is_gone = true;
            if (ex->on_gone) ex->on_gone(ex->work);
        }
        pthread_mutex_unlock(&ex->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

struct sum {
    uint32_t n_running, n_waiting;
    uint64_t n_tokens;
};

static void add_state(void *context, const struct served_model *model, const socle_scheduler_state *state)
{
    struct sum *sum = context;
    (void)model;
    sum->n_running += state->n_running;
    sum->n_waiting += state->n_waiting;
    sum->n_tokens += state->n_prompt_tokens + state->n_generated_tokens;
}

static void note_history(struct server *s, uint64_t *n_tokens)
{
    struct sum sum = { 0 };
    served_models_visit(s->models, add_state, &sum);
    pthread_mutex_lock(&s->mutex);
    s->history[s->n_history++ % HISTORY_KEPT] =
        (struct history_point){ (int64_t)time(NULL), sum.n_running, sum.n_waiting,
                                sum.n_tokens > *n_tokens ? (double)(sum.n_tokens - *n_tokens) / 2.0 : 0.0 };
    pthread_mutex_unlock(&s->mutex);
    *n_tokens = sum.n_tokens;
}

static void *keep_house(void *argument)
{
    struct server *s = argument;
    uint64_t n_tokens = 0;
    for (unsigned second = 0;; second++) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_mutex_lock(&s->mutex);
        while (!s->is_stopping)
            if (pthread_cond_timedwait(&s->changed, &s->mutex, &until) == ETIMEDOUT) break;
        bool stop = s->is_stopping;
        pthread_mutex_unlock(&s->mutex);
        if (stop) return NULL;
        watch_clients(s);
        links_end_slow(s->links);
        if (second % 2 == 0) note_history(s, &n_tokens);
    }
}

// ---- starting and stopping

static socle_status read_secret(const char *path, char **out, socle_error *err)
{
    size_t n_bytes;
    return sc_read_file(path, 1 << 20, out, &n_bytes, err);
}

static socle_status begin(struct server *s, socle_error *err)
{
    const struct server_options *o = &s->options;
    if (!o->certificate != !o->private_key)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "TLS needs both a certificate and its private key");
    if (o->certificate) {
        SC_TRY(read_secret(o->certificate, &s->certificate, err));
        SC_TRY(read_secret(o->private_key, &s->private_key, err));
    }
    if (o->keys) SC_TRY(sc_keys_open(o->keys, NULL, &s->keys, err));
    SC_TRY(served_models_create(&o->models, &s->models, err));
    s->links = links_create(o->idle_seconds);
    s->workers = s->links ? http_workers_start() : NULL;
    if (!s->workers) return sc_fail(err, SOCLE_FAILED, "cannot start threads");
    if (pthread_create(&s->housekeeper, NULL, keep_house, s) != 0)
        return sc_fail(err, SOCLE_FAILED, "cannot start a thread");
    s->has_housekeeper = true;
    return http_listen(s, err);
}

socle_status server_start(const struct server_options *options, struct server **out, socle_error *err)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s) return sc_fail_memory(err, sizeof *s, "a server");
    s->options = *options;
    s->started = sc_now();
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    socle_status status = begin(s, err);
    if (status == SOCLE_OK) *out = s;
    else server_stop(s, 0);
    return status;
}

uint16_t server_port(const struct server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

// Waits until no exchange is open, at most that long.
static void drain(struct server *s, double seconds)
{
    double end = sc_now() + seconds;
    pthread_mutex_lock(&s->mutex);
    s->is_draining = true;
    while (s->n_exchanges && sc_now() < end) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->changed, &s->mutex, &until);
    }
    for (struct exchange *ex = s->exchanges; ex; ex = ex->next) {
        pthread_mutex_lock(&ex->mutex);
        ex->is_gone = true;
        if (ex->is_working && ex->on_gone) ex->on_gone(ex->work);
        pthread_mutex_unlock(&ex->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

// Everything that works for an exchange has ended: nobody touches one that the daemon frees.
static void wait_for_work(struct server *s)
{
    for (bool working = true; working;) {
        working = false;
        pthread_mutex_lock(&s->mutex);
        for (struct exchange *ex = s->exchanges; ex; ex = ex->next) {
            pthread_mutex_lock(&ex->mutex);
            working = working || ex->is_working;
            pthread_mutex_unlock(&ex->mutex);
        }
        pthread_mutex_unlock(&s->mutex);
        if (working) nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
}

void server_stop(struct server *s, double seconds)
{
    if (s->daemon) {
        int listening = MHD_quiesce_daemon(s->daemon);
        if (listening >= 0) shutdown(listening, SHUT_RDWR); // who connects now is told so, rather than left waiting
        drain(s, seconds);
        wait_for_work(s);
        MHD_stop_daemon(s->daemon);
        if (listening >= 0) close(listening); // ours since it was taken out of the daemon
    }
    http_workers_stop(s->workers);
    if (s->has_housekeeper) {
        pthread_mutex_lock(&s->mutex);
        s->is_stopping = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        pthread_join(s->housekeeper, NULL);
    }
    served_models_free(s->models);
    socle_error err;
    if (sc_keys_close(s->keys, &err) != SOCLE_OK) fprintf(stderr, "socle: %s\n", err.message);
    links_free(s->links);
    free(s->certificate);
    if (s->private_key) explicit_bzero(s->private_key, strlen(s->private_key));
    free(s->private_key);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->changed);
    free(s);
}
