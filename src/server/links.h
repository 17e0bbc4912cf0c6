// Connections, and how long each has been about its request. The HTTP library closes one on which nothing comes; one on
// which a byte comes now and then would stay for ever, and a few thousand of them would be all there may be.
#ifndef SC_SERVER_LINKS_H
#define SC_SERVER_LINKS_H

#include <microhttpd.h>

struct links;

// A request, its body included, may take twice idle_seconds, and a second more for every 16 KiB that came of it.
struct links *links_create(uint32_t idle_seconds); // NULL: no memory
void links_free(struct links *links);              // NULL is fine; no connection is left

// For MHD_OPTION_NOTIFY_CONNECTION, with the links as its context.
void links_notify(void *links, struct MHD_Connection *connection, void **socket_context,
                  enum MHD_ConnectionNotificationCode code);
// Of the request of a connection: n_bytes of it came; it is here; the next one may come. Of the HTTP thread.
void links_received(struct links *links, struct MHD_Connection *connection, size_t n_bytes);
void links_complete(struct links *links, struct MHD_Connection *connection);
void links_begin(struct links *links, struct MHD_Connection *connection);
// Ends the connections that have taken too long. Any thread.
void links_end_slow(struct links *links);

#endif
