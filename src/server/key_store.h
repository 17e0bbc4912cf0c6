// The database of keys: an SQLite file that the server and `socle key` use at the same time.
//
//     keys     one row a key: id, name, hash, scopes, times, limits. Rows stay when a key is revoked
//     usage    one row a key and day (days since 1970, UTC): requests, tokens, last use
//
// The journal is a write-ahead log, so that readers never wait for a writer and a process that is killed leaves the
// file as it was after its last transaction. Every write is one transaction, synced to the disk when it returns.
// A store belongs to one thread at a time. Messages name the file; errors are SOCLE_IO (no such file, no permission,
// locked by another for too long, no space), SOCLE_BAD_FILE (damaged, or no database of keys), SOCLE_UNSUPPORTED
// (of a later version), SOCLE_NO_MEMORY.
#ifndef SC_SERVER_KEY_STORE_H
#define SC_SERVER_KEY_STORE_H

#include "server/key.h"

struct sc_key_store;

struct sc_key_row {
    struct sc_key key;
    uint8_t hash[SC_KEY_HASH_BYTES];
    struct sc_usage today;
};

struct sc_usage_row {
    int64_t key, day;
    struct sc_usage usage;
    int64_t last_used; // seconds since 1970
};

static inline int64_t sc_day_of(int64_t seconds) { return seconds / 86400 - (seconds % 86400 < 0); }

// Where keys are when nobody says: $XDG_STATE_HOME/socle/keys.db, or ~/.local/state/socle/keys.db. The caller frees it.
socle_status sc_key_store_default_path(char **out, socle_error *err);

// Opens the database; with `create`, makes it (mode 0600) and its folders (0700) where they are missing. Made by root,
// it belongs to whom its folder belongs to. A file that anybody may write is refused.
socle_status sc_key_store_open(const char *path, bool create, struct sc_key_store **out, socle_error *err);
void sc_key_store_close(struct sc_key_store *store); // NULL is fine
// Reads the whole file and refuses one that is damaged.
socle_status sc_key_store_check(struct sc_key_store *store, socle_error *err);

// Adds a key and sets its id. SOCLE_BAD_ARGUMENT when a key that is not revoked has the name.
socle_status sc_key_store_add(struct sc_key_store *store, struct sc_key *key, const uint8_t hash[SC_KEY_HASH_BYTES],
                              socle_error *err);
// Revokes the key of this name, or of this id, at a time, and says which it was. SOCLE_BAD_ARGUMENT when there is none,
// or it was revoked before.
socle_status sc_key_store_revoke(struct sc_key_store *store, const char *name_or_id, int64_t now, struct sc_key *out,
                                 socle_error *err);
// All keys by id, with their usage on a day. The caller frees the rows.
socle_status sc_key_store_list(struct sc_key_store *store, int64_t day, struct sc_key_row **rows, size_t *n,
                               socle_error *err);

// The usage of a key by day, from `first_day` on. The caller frees the rows.
socle_status sc_key_store_usage(struct sc_key_store *store, int64_t key, int64_t first_day, struct sc_usage_row **rows,
                                size_t *n, socle_error *err);
// Adds usage to what is there, all rows or none. Rows of keys that are not there are dropped.
socle_status sc_key_store_add_usage(struct sc_key_store *store, const struct sc_usage_row *rows, size_t n,
                                    socle_error *err);

// A number that changes when another process (or another store) wrote.
socle_status sc_key_store_version(struct sc_key_store *store, int64_t *version, socle_error *err);
// Whether another file has taken the name since the store was opened, or none is there any more (an error).
socle_status sc_key_store_replaced(struct sc_key_store *store, bool *replaced, socle_error *err);

#endif
