// `socle serve`: models behind the HTTP interfaces that clients already speak.
//
//     HTTP thread (http.c)      reads requests, finds the route, sends what is ready
//        │ handler of a route   checks the request and asks a scheduler, or answers at once
//     scheduler's thread        computes; what it tells goes into the exchange, and wakes the HTTP thread
//     housekeeping thread       notices clients that left, once a second
#ifndef SC_SERVER_SERVER_H
#define SC_SERVER_SERVER_H

#include <stdatomic.h>
#include <stdio.h>

#include <socle/socle.h>

#include "server/exchange.h"
#include "server/links.h"
#include "server/models.h"

struct server_options {
    const char *host;
    uint32_t port;                         // 0: any that is free
    const char *certificate, *private_key; // paths of PEM files; NULL: plain HTTP
    struct served_models_options models;
    const char *const *cors; // origins that browsers may come from
    size_t n_cors;
    uint64_t max_body; // bytes
    uint32_t max_connections;
    uint32_t idle_seconds;  // of a connection
    double timeout_seconds; // of a request; 0: none
    uint32_t n_predict;     // tokens of an answer that does not say; 0: what the context holds
    const char *keys;       // path of the database of API keys; NULL: whoever can connect may ask
    socle_pooling pooling;  // of embeddings
    bool no_pages;          // do not serve the chat and status pages
};

enum { TAKES_JSON = 1 };

struct route {
    const char *method, *path; // a path may end in '*'
    void (*handle)(struct exchange *ex, const char *path);
    enum error_style errors;
    const char *scope;
    unsigned flags;
};

enum { BODIES_MAX = 16 }; // of the largest size, held at the same time
enum { ERRORS_KEPT = 50, HISTORY_KEPT = 150 };

struct server_counters {
    uint64_t n_requests, n_failed, n_prompt_tokens, n_cached_tokens, n_generated_tokens;
    uint64_t n_by_status[6]; // 1xx … 5xx
};

struct noted_error {
    int64_t time; // seconds since 1970
    int status;
    char message[200];
};

struct history_point {
    int64_t time;
    uint32_t n_running, n_waiting;
    double tokens_per_second;
};

struct server {
    struct server_options options;
    struct served_models *models;
    struct MHD_Daemon *daemon;
    struct workers *workers;
    struct links *links;
    struct sc_keys *keys;            // NULL: none are asked for
    char *certificate, *private_key; // contents
    double started;
    atomic_uint_least64_t n_body_bytes; // of requests that are not answered yet
    pthread_t housekeeper;
    bool has_housekeeper;

    pthread_mutex_t mutex; // of all below
    pthread_cond_t changed;
    bool is_stopping;
    bool is_draining; // no more requests are taken
    uint64_t last_id;
    struct exchange *exchanges;
    size_t n_exchanges;
    struct server_counters counters;
    struct noted_error errors[ERRORS_KEPT];
    size_t n_errors; // ever
    struct history_point history[HISTORY_KEPT];
    size_t n_history; // ever
};

// Loads the models and begins to listen. Errors: those of loading; SOCLE_IO when the port cannot be had.
socle_status server_start(const struct server_options *options, struct server **out, socle_error *err);
uint16_t server_port(const struct server *server);
// Takes no more requests, and waits at most `seconds` for those that are being answered. Then frees everything.
void server_stop(struct server *server, double seconds);

// Of the HTTP side: an exchange begins (false: no more are taken), and is over.
bool server_enter(struct server *server, struct exchange *ex);
void server_leave(struct server *server, struct exchange *ex);

void server_note_error(struct server *server, int status, const char *message);
void server_note_usage(struct server *server, uint32_t n_prompt, uint32_t n_cached, uint32_t n_generated);

#define ROUTE(method, path, handler, errors, scope, flags) void handler(struct exchange *ex, const char *path_rest);
#include "server/routes.h"
#undef ROUTE

#endif
