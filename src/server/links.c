#include "server/links.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { BYTES_PER_SECOND = 16 << 10 };

struct link {
    struct link *next, *previous;
    int fd;
    bool waits; // for a request, or for the rest of one
    double since;
    uint64_t n_bytes; // of the request at hand
};

struct links {
    pthread_mutex_t mutex;
    struct link *first;
    double allowed; // seconds
};

struct links *links_create(uint32_t idle_seconds)
{
    struct links *links = calloc(1, sizeof *links);
    if (!links) return NULL;
    pthread_mutex_init(&links->mutex, NULL);
    links->allowed = 2.0 * idle_seconds;
    return links;
}

void links_free(struct links *links)
{
    if (!links) return;
    pthread_mutex_destroy(&links->mutex);
    free(links);
}

static void remove_link(struct links *links, struct link *link)
{
    if (link->previous) link->previous->next = link->next;
    else links->first = link->next;
    if (link->next) link->next->previous = link->previous;
    free(link);
}

void links_notify(void *context, struct MHD_Connection *connection, void **socket_context,
                  enum MHD_ConnectionNotificationCode code)
{
    struct links *links = context;
    pthread_mutex_lock(&links->mutex);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct link *link = calloc(1, sizeof *link); // without memory nobody watches it
        if (link && info) {
            *link = (struct link){ .next = links->first, .fd = info->connect_fd, .waits = true, .since = sc_now() };
            if (links->first) links->first->previous = link;
            links->first = link;
            *socket_context = link;
        } else {
            free(link);
        }
    } else if (*socket_context) { // the socket is still open
        remove_link(links, *socket_context);
        *socket_context = NULL;
    }
    pthread_mutex_unlock(&links->mutex);
}

static struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void links_received(struct links *links, struct MHD_Connection *connection, size_t n_bytes)
{
    pthread_mutex_lock(&links->mutex);
    struct link *link = link_of(connection);
    if (link) link->n_bytes += n_bytes;
    pthread_mutex_unlock(&links->mutex);
}

static void set(struct links *links, struct MHD_Connection *connection, bool waits)
{
    pthread_mutex_lock(&links->mutex);
    struct link *link = link_of(connection);
    if (link) {
        link->waits = waits;
        link->since = sc_now();
        link->n_bytes = 0;
    }
    pthread_mutex_unlock(&links->mutex);
}

void links_complete(struct links *links, struct MHD_Connection *connection) { set(links, connection, false); }
void links_begin(struct links *links, struct MHD_Connection *connection) { set(links, connection, true); }

void links_end_slow(struct links *links)
{
    double now = sc_now();
    pthread_mutex_lock(&links->mutex);
    for (struct link *link = links->first; link; link = link->next) {
        double allowed = links->allowed + (double)(link->n_bytes / BYTES_PER_SECOND);
        if (!link->waits || now - link->since <= allowed) continue;
        shutdown(link->fd, SHUT_RDWR); // the HTTP library notices, and closes it
        link->waits = false;
    }
    pthread_mutex_unlock(&links->mutex);
}
