// The keys of a running server: who may ask now, and what was used.
//
//     request ──► sc_keys_authenticate ──► sc_keys_begin ──► … work … ──► sc_keys_end
//                        └────────────┬─────────┴──────────────┬─────────────┘
//                             keys and counters in memory      │ usage not written yet
//                                     ▲                        ▼
//     socle key add, revoke ──►  database  ◄── a thread, once a second ──► at sc_keys_close, the rest
//
// Requests never wait for the disk. What another process changes counts a second later. Usage is written in one
// transaction a second, so that a killed server loses at most the last second or so; a server that ends properly, by
// sc_keys_close, loses nothing.
//
// When the database fails:
// - At the start, sc_keys_open fails.
// - Later, when it cannot be read (damaged, locked, removed): what was known counts for SC_KEYS_GRACE_SECONDS, since a
//   backup may be copying; then every key is refused (SC_KEY_UNAVAILABLE) until it can be read again, because nobody
//   could have been revoked meanwhile.
// - When it can be read and only writing fails (no space left): requests go on, usage is kept in memory and tried again
//   every second. Quotas count what is in memory, too. Memory does not grow: a key has a few counters.
// sc_keys_trouble says what is wrong.
//
// All functions may be called from any thread.
#ifndef SC_SERVER_KEYS_H
#define SC_SERVER_KEYS_H

#include "server/key.h"

enum { SC_KEYS_GRACE_SECONDS = 10 };

struct sc_keys;

// Where the time comes from; NULL functions: the system's clocks. Both may be called from any thread.
struct sc_keys_clock {
    int64_t (*wall)(void *context);  // seconds since 1970, for expiry and days
    double (*steady)(void *context); // seconds that only go forward, for rates
    void *context;
};

// Why a request is refused.
enum sc_key_verdict {
    SC_KEY_FINE,
    SC_KEY_MISSING,      // no key was given
    SC_KEY_UNKNOWN,      // not a key, or not one of these
    SC_KEY_EXPIRED,      //
    SC_KEY_REVOKED,      //
    SC_KEY_RATE_LIMITED, // too many requests in a minute: come again after the wait
    SC_KEY_QUOTA_USED,   // the day's tokens are used up: come again after the wait
    SC_KEY_TOO_MANY,     // too many requests at the same time
    SC_KEY_UNAVAILABLE,  // keys cannot be checked now
};

// A sentence for the client, without a full stop; "" for SC_KEY_FINE.
const char *sc_key_verdict_text(enum sc_key_verdict verdict);

// Opens (or makes) the database, reads it, and starts the thread; it must come after sc_sandbox_enter. `clock` may be
// NULL. Errors: as sc_key_store_open.
socle_status sc_keys_open(const char *path, const struct sc_keys_clock *clock, struct sc_keys **out, socle_error *err);
// Ends the thread and writes what is not written. Everything is freed in any case; an error says that usage was lost.
// No other call may be going on, and requests that were begun and not ended are not counted. NULL is fine.
socle_status sc_keys_close(struct sc_keys *keys, socle_error *err);

// Looks at the database and writes usage now rather than within a second. What fails is tried again anyway.
socle_status sc_keys_refresh(struct sc_keys *keys, socle_error *err);
// Whether reading or writing the database fails at present; then fills err.
bool sc_keys_trouble(struct sc_keys *keys, socle_error *err);

// Who asks: `header` is the value of Authorization ("Bearer sk-socle-…") or of x-api-key (the key alone), or NULL.
// With SC_KEY_FINE, `out` is the key. Whether its scopes suffice is for the caller to see.
enum sc_key_verdict sc_keys_authenticate(struct sc_keys *keys, const char *header, struct sc_key *out);

// Counts a request in, when the key's limits let it. Otherwise *wait_seconds is when to try again (0: not known).
// Requests per minute are a bucket: so many may come at once, then one whenever 60 / limit seconds have passed. A
// request that is under way when the day's tokens run out is not stopped.
enum sc_key_verdict sc_keys_begin(struct sc_keys *keys, int64_t id, double *wait_seconds);
// Counts it out, with what it took: n_requests is usually 1, or 0 for one that failed and shall not count.
void sc_keys_end(struct sc_keys *keys, int64_t id, const struct sc_usage *usage);

// A key's usage today (as far as it is written, all servers of this database; and of this server what is not written
// yet), and its requests that are under way. False when there is no such key.
bool sc_keys_today(struct sc_keys *keys, int64_t id, struct sc_usage *today, uint32_t *n_running);

#endif
