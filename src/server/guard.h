// Who may ask, and how much.
#ifndef SC_SERVER_GUARD_H
#define SC_SERVER_GUARD_H

#include "server/server.h"

// Checks the API key for the route; replies 401, 403 or 429 when it refuses.
void guard_admit(struct exchange *ex);
// What an answer used.
void guard_count(struct exchange *ex, uint32_t n_prompt, uint32_t n_cached, uint32_t n_generated);
// Exchanges of the same group share what they are due.
uint64_t guard_group(const struct exchange *ex);
// Nobody works for the exchange any more: its key may have another, and what it used is counted.
void guard_leave(struct exchange *ex);

#endif
