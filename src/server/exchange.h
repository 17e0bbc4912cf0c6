// One HTTP request and its answer.
//
// An exchange is used by the HTTP thread, and while it is answered by a scheduler's thread as well: what both touch is
// guarded by its mutex. It lives until the connection and everything that works for it have let go.
#ifndef SC_SERVER_EXCHANGE_H
#define SC_SERVER_EXCHANGE_H

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

struct server;
struct route;

// How an interface says that something went wrong.
enum error_style { ERRORS_OPENAI, ERRORS_ANTHROPIC };

struct exchange {
    struct server *server;
    const struct route *route;
    struct MHD_Connection *connection;
    struct exchange *next, *previous; // in the server's list
    uint64_t id;
    double started;
    struct sc_buffer body;
    size_t n_body_bytes; // ever; the server counts them until the end
    json_t *json;        // the body, when the route wants one
    bool is_refused;     // a reply was queued before the body came
    bool is_last;        // the connection is closed afterwards
    void *admission;     // what the key's counters were told at the start (keys)

    pthread_mutex_t mutex; // of all below
    int n_holders;
    bool is_working;   // somebody will call exchange_reply or exchange_stream_end
    bool is_suspended; // the connection waits for that
    bool is_gone;      // the client has left
    bool is_ready;     // there is a reply
    bool is_stream, has_stream_ended;
    bool is_queued; // of the HTTP thread alone: the reply was handed to the HTTP library
    int status;
    const char *content_type;
    const char *allowed;            // the method that a path has, of a refusal for another
    const char *etag;               // of a page's file; NULL: the answer is none
    char retry_after[16], seed[24]; // headers, "" for none
    struct sc_buffer reply;
    size_t n_sent;               // of reply, when it is a stream
    void (*on_gone)(void *work); // asks the work to stop; may be called more than once
    void *work;
};

// Made by the HTTP thread, which is its first holder.
struct exchange *exchange_create(struct server *server, struct MHD_Connection *connection);
void exchange_hold(struct exchange *ex);
void exchange_let_go(struct exchange *ex);

// The whole answer. Any thread; once. `json` is taken over.
void exchange_reply_json(struct exchange *ex, int status, json_t *json);
void exchange_reply_text(struct exchange *ex, int status, const char *type, const char *text, size_t n_bytes);
// An error in the style of the route's interface. `code` and `param` may be NULL.
__attribute__((format(printf, 5, 6))) void exchange_fail(struct exchange *ex, int status, const char *code,
                                                         const char *param, const char *format, ...);

// An answer in pieces: server-sent events. The first call begins it, with status 200.
void exchange_stream_json(struct exchange *ex, const char *event, json_t *json); // `event` may be NULL; takes json over
void exchange_stream_data(struct exchange *ex, const char *data);                // "data: …"
void exchange_stream_end(struct exchange *ex);
bool exchange_is_gone(struct exchange *ex);
// The connection is over: nothing is sent any more.
void exchange_leave(struct exchange *ex);

// Says that a reply will come from elsewhere; on_gone is called with `work` when the client leaves before that.
void exchange_work(struct exchange *ex, void *work, void (*on_gone)(void *work));

// The error object of an interface.
json_t *error_json(enum error_style style, int status, const char *code, const char *param, const char *message);

#endif
