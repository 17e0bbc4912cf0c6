// The chat page and the status page, which the program carries inside.
#ifndef SC_SERVER_PAGES_H
#define SC_SERVER_PAGES_H

#include "server/server.h"

// Replies with the file of that path; false when there is none.
bool pages_serve(struct exchange *ex, const char *path);
// What goes with such a file: its ETag, and what a browser may do with it.
void pages_add_headers(const struct exchange *ex, struct MHD_Response *response);

#endif
