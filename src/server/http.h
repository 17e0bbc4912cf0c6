// The HTTP side of a server: listening, routes, workers.
#ifndef SC_SERVER_HTTP_H
#define SC_SERVER_HTTP_H

#include "server/server.h"

enum { HTTP_WORKERS = 4 };

const struct route *http_route_at(size_t i); // NULL past the last
// Parses the body, which is all there, and calls the route's handler.
void http_answer(struct exchange *ex, const char *path);

struct workers *http_workers_start(void); // NULL: no memory or threads
void http_workers_stop(struct workers *workers);

socle_status http_listen(struct server *server, socle_error *err);

#endif
