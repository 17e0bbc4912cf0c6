#include "server/key_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/size.h"

enum { APPLICATION = 0x53434c4b, VERSION = 1, BUSY_MS = 5000 }; // the application's number is "SCLK"

struct sc_key_store {
    sqlite3 *database;
    dev_t device; // of the file, as it was opened
    ino_t inode;
    char path[]; // for messages, too
};

static const char schema[] =
    "CREATE TABLE keys ("
    "    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"
    "    scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL,"
    "    requests_per_minute INTEGER NOT NULL, tokens_per_day INTEGER NOT NULL, concurrency INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX names ON keys (name) WHERE revoked = 0;"
    "CREATE TABLE usage ("
    "    key INTEGER NOT NULL, day INTEGER NOT NULL, requests INTEGER NOT NULL, prompt INTEGER NOT NULL,"
    "    cached INTEGER NOT NULL, generated INTEGER NOT NULL, last_used INTEGER NOT NULL,"
    "    PRIMARY KEY (key, day)) STRICT, WITHOUT ROWID;";

#define KEY_COLUMNS "id, name, scopes, created, expires, revoked, requests_per_minute, tokens_per_day, concurrency"
enum { N_KEY_COLUMNS = 9 };

// ---- errors

static socle_status fail_database(struct sc_key_store *store, const char *doing, socle_error *err)
{
    const char *path = store->path;
    int code = sqlite3_extended_errcode(store->database), os = sqlite3_system_errno(store->database);
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return sc_fail(err, SOCLE_BAD_FILE, "%s: cannot %s: the file is damaged, or no database of keys", path, doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return sc_fail(err, SOCLE_IO, "%s: cannot %s: another process keeps the file locked", path, doing);
    case SQLITE_FULL: return sc_fail(err, SOCLE_IO, "%s: cannot %s: no space left on the disk", path, doing);
    case SQLITE_NOMEM: return sc_fail(err, SOCLE_NO_MEMORY, "%s: cannot %s: not enough memory", path, doing);
    case SQLITE_READONLY:
        return sc_fail(err, SOCLE_IO, "%s: cannot %s: the file or its folder may not be written", path, doing);
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return sc_fail(err, SOCLE_IO, "%s: cannot %s: %s", path, doing,
                       os ? strerror(os) : sqlite3_errmsg(store->database));
    }
    return sc_fail(err, SOCLE_FAILED, "%s: cannot %s: %s", path, doing, sqlite3_errmsg(store->database));
}

static socle_status run(struct sc_key_store *store, const char *sql, const char *doing, socle_error *err)
{
    return sqlite3_exec(store->database, sql, NULL, NULL, NULL) == SQLITE_OK ? SOCLE_OK
                                                                             : fail_database(store, doing, err);
}

static socle_status prepare(struct sc_key_store *store, const char *sql, const char *doing, sqlite3_stmt **out,
                            socle_error *err)
{
    return sqlite3_prepare_v2(store->database, sql, -1, out, NULL) == SQLITE_OK ? SOCLE_OK
                                                                                : fail_database(store, doing, err);
}

// The number that a statement without parameters gives.
static socle_status number(struct sc_key_store *store, const char *sql, int64_t *out, socle_error *err)
{
    sqlite3_stmt *statement;
    SC_TRY(prepare(store, sql, "read", &statement, err));
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    if (found) *out = sqlite3_column_int64(statement, 0);
    socle_status status = found ? SOCLE_OK : fail_database(store, "read", err);
    sqlite3_finalize(statement);
    return status;
}

// Ends a transaction: commits it where `status` is SOCLE_OK, else takes it back. Returns what became of it.
static socle_status end(struct sc_key_store *store, socle_status status, const char *doing, socle_error *err)
{
    if (status == SOCLE_OK) status = run(store, "COMMIT", doing, err);
    if (status != SOCLE_OK && !sqlite3_get_autocommit(store->database))
        sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

// ---- places

socle_status sc_key_store_default_path(char **out, socle_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"), *middle = "";
    if (!state || state[0] != '/') { // relative paths are to be ignored there
        state = home;
        middle = "/.local/state";
    }
    if (!state || !*state)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "neither XDG_STATE_HOME nor HOME says where the database of keys is");
    size_t n = strlen(state) + sizeof "/.local/state/socle/keys.db";
    *out = malloc(n);
    if (!*out) return sc_fail_memory(err, n, "a path");
    snprintf(*out, n, "%s%s/socle/keys.db", state, middle);
    return SOCLE_OK;
}

static socle_status fail_errno(const char *path, const char *doing, socle_error *err)
{
    return sc_fail(err, SOCLE_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

// Makes the file, empty, and the folders that it is in. SQLite would make it readable by everybody.
static socle_status make_file(struct sc_key_store *store, socle_error *err)
{
    char *path = store->path, *slash = path;
    struct stat folder;
    while ((slash = strchr(slash + 1, '/'))) {
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST || stat(path, &folder) == 0;
        socle_status status = made ? SOCLE_OK : fail_errno(path, "make the folder", err);
        *slash = '/';
        SC_TRY(status);
    }
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return errno == EEXIST ? SOCLE_OK : fail_errno(path, "create", err);
    if ((slash = strrchr(path, '/'))) *slash = '\0';
    bool found = stat(slash ? path : ".", &folder) == 0;
    if (slash) *slash = '/';
    // A service that runs as somebody else is to read what root adds.
    socle_status status = SOCLE_OK;
    if (found && geteuid() == 0 && fchown(file, folder.st_uid, folder.st_gid) != 0)
        status = fail_errno(path, "give to the owner of its folder", err);
    close(file);
    return status;
}

// The file must not be opened here: closing it again would take away the locks that SQLite has in this process.
static socle_status examine(struct sc_key_store *store, bool create, socle_error *err)
{
    struct stat file;
    bool there = stat(store->path, &file) == 0;
    if (!there && errno == ENOENT && create) {
        SC_TRY(make_file(store, err));
        there = stat(store->path, &file) == 0;
    }
    if (!there) return fail_errno(store->path, "open", err);
    if (S_ISDIR(file.st_mode))
        return sc_fail(err, SOCLE_IO, "%s: is a directory, expected a database of keys", store->path);
    if (!S_ISREG(file.st_mode))
        return sc_fail(err, SOCLE_IO, "%s: is a device or pipe, expected a database of keys", store->path);
    if (file.st_mode & S_IWOTH)
        return sc_fail(err, SOCLE_IO, "%s: anybody may write it, so its keys prove nothing: chmod 600 it", store->path);
    store->device = file.st_dev;
    store->inode = file.st_ino;
    return SOCLE_OK;
}

socle_status sc_key_store_replaced(struct sc_key_store *store, bool *replaced, socle_error *err)
{
    struct stat file;
    if (stat(store->path, &file) != 0) return fail_errno(store->path, "find", err);
    *replaced = file.st_dev != store->device || file.st_ino != store->inode;
    return SOCLE_OK;
}

// ---- opening

// Whether it is a database of keys (SOCLE_OK), an empty one (*empty), or something else.
static socle_status identify(struct sc_key_store *store, bool *empty, socle_error *err)
{
    int64_t application = 0, version = 0, n_tables = 0;
    SC_TRY(number(store, "PRAGMA application_id", &application, err));
    SC_TRY(number(store, "PRAGMA user_version", &version, err));
    SC_TRY(number(store, "SELECT count(*) FROM sqlite_schema", &n_tables, err));
    *empty = application == 0 && version == 0 && n_tables == 0;
    if (*empty || (application == APPLICATION && version == VERSION)) return SOCLE_OK;
    if (application != APPLICATION)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: is a database of something else than keys", store->path);
    return sc_fail(err, SOCLE_UNSUPPORTED, "%s: is of version %lld, expected %d", store->path, (long long)version,
                   VERSION);
}

static socle_status create_tables(struct sc_key_store *store, socle_error *err)
{
    // Two processes may be here at once: the one that comes second finds the tables. The busy handler does not cover
    // the change of the journal, so that is tried again.
    int code = SQLITE_BUSY;
    for (int wait = 0; wait < BUSY_MS && (code & 0xff) == SQLITE_BUSY; wait += 10) {
        code = sqlite3_exec(store->database, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if ((code & 0xff) == SQLITE_BUSY) usleep(10000);
    }
    if (code != SQLITE_OK) return fail_database(store, "create tables", err);
    SC_TRY(run(store, "BEGIN IMMEDIATE", "create tables", err));
    bool empty;
    char label[80];
    snprintf(label, sizeof label, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION, VERSION);
    socle_status status = identify(store, &empty, err);
    if (status == SOCLE_OK && empty) {
        status = run(store, schema, "create tables", err);
        if (status == SOCLE_OK) status = run(store, label, "create tables", err);
    }
    return end(store, status, "create tables", err);
}

static socle_status connect_database(struct sc_key_store *store, bool create, socle_error *err)
{
    SC_TRY(examine(store, create, err));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(store->path, &store->database, flags, NULL);
    if (!store->database) return sc_fail_memory(err, 0, "a database");
    if (code != SQLITE_OK) return fail_database(store, "open", err);
    sqlite3_busy_timeout(store->database, BUSY_MS);
    SC_TRY(run(store,
               "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
               "PRAGMA synchronous = FULL",
               "open", err));
    if (sqlite3_db_readonly(store->database, "main") == 1)
        return sc_fail(err, SOCLE_IO, "%s: cannot open: may not be written", store->path);
    // In one transaction: another process may be making the tables.
    bool empty;
    SC_TRY(run(store, "BEGIN", "read", err));
    SC_TRY(end(store, identify(store, &empty, err), "read", err));
    if (!empty) return SOCLE_OK;
    if (!create) return sc_fail(err, SOCLE_BAD_FILE, "%s: is empty, expected a database of keys", store->path);
    return create_tables(store, err);
}

socle_status sc_key_store_open(const char *path, bool create, struct sc_key_store **out, socle_error *err)
{
    size_t n = sizeof(struct sc_key_store) + strlen(path) + 1;
    struct sc_key_store *store = calloc(1, n);
    if (!store) return sc_fail_memory(err, n, path);
    memcpy(store->path, path, strlen(path) + 1);
    socle_status status = connect_database(store, create, err);
    if (status == SOCLE_OK) *out = store;
    else sc_key_store_close(store);
    return status;
}

void sc_key_store_close(struct sc_key_store *store)
{
    if (!store) return;
    sqlite3_close(store->database);
    free(store);
}

socle_status sc_key_store_check(struct sc_key_store *store, socle_error *err)
{
    sqlite3_stmt *statement;
    SC_TRY(prepare(store, "PRAGMA quick_check(1)", "check", &statement, err));
    const char *said = sqlite3_step(statement) == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    socle_status status = SOCLE_OK;
    if (!said) status = fail_database(store, "check", err);
    else if (strcmp(said, "ok") != 0) status = sc_fail(err, SOCLE_BAD_FILE, "%s: is damaged: %s", store->path, said);
    sqlite3_finalize(statement);
    return status;
}

socle_status sc_key_store_version(struct sc_key_store *store, int64_t *version, socle_error *err)
{
    return number(store, "PRAGMA data_version", version, err);
}

// ---- keys

// The columns KEY_COLUMNS of a row.
static socle_status read_key(struct sc_key_store *store, sqlite3_stmt *row, struct sc_key *key, socle_error *err)
{
    int64_t per_minute = sqlite3_column_int64(row, 6), per_day = sqlite3_column_int64(row, 7);
    int64_t concurrency = sqlite3_column_int64(row, 8);
    const char *name = (const char *)sqlite3_column_text(row, 1), *scopes = (const char *)sqlite3_column_text(row, 2);
    *key = (struct sc_key){ .id = sqlite3_column_int64(row, 0),
                            .created = sqlite3_column_int64(row, 3),
                            .expires = sqlite3_column_int64(row, 4),
                            .revoked = sqlite3_column_int64(row, 5) };
    if (!name || !scopes || strlen(name) > SC_KEY_NAME_BYTES || key->id <= 0 || per_day < 0 || per_minute < 0 ||
        per_minute > UINT32_MAX || concurrency < 0 || concurrency > UINT32_MAX)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key %lld is malformed", store->path, (long long)key->id);
    memcpy(key->name, name, strlen(name) + 1);
    key->scopes = sc_scopes_known(scopes);
    key->limits = (struct sc_key_limits){ (uint32_t)per_minute, (uint64_t)per_day, (uint32_t)concurrency };
    return SOCLE_OK;
}

socle_status sc_key_store_add(struct sc_key_store *store, struct sc_key *key, const uint8_t hash[SC_KEY_HASH_BYTES],
                              socle_error *err)
{
    static const char sql[] = "INSERT INTO keys (name, hash, scopes, created, expires, revoked, requests_per_minute,"
                              " tokens_per_day, concurrency) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8)";
    char scopes[SC_SCOPES_TEXT_BYTES];
    sqlite3_stmt *insert;
    SC_TRY(prepare(store, sql, "add a key", &insert, err));
    sc_scopes_print(key->scopes, scopes);
    sqlite3_bind_text(insert, 1, key->name, -1, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 2, hash, SC_KEY_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, scopes, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 4, key->created);
    sqlite3_bind_int64(insert, 5, key->expires);
    sqlite3_bind_int64(insert, 6, key->limits.requests_per_minute);
    sqlite3_bind_int64(insert, 7, (int64_t)SC_MIN(key->limits.tokens_per_day, (uint64_t)INT64_MAX));
    sqlite3_bind_int64(insert, 8, key->limits.concurrency);
    socle_status status = SOCLE_OK;
    if (sqlite3_step(insert) == SQLITE_DONE) key->id = sqlite3_last_insert_rowid(store->database);
    else if (sqlite3_extended_errcode(store->database) == SQLITE_CONSTRAINT_UNIQUE)
        status = sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: a key is called '%s' already: revoke it, or choose another name",
                         store->path, key->name);
    else status = fail_database(store, "add a key", err);
    sqlite3_finalize(insert);
    return status;
}

// The key of an id, or of a name, which is the newest of that name if all were revoked.
static socle_status find(struct sc_key_store *store, const char *name_or_id, struct sc_key *out, socle_error *err)
{
    bool by_id = strspn(name_or_id, "0123456789") == strlen(name_or_id);
    sqlite3_stmt *select;
    SC_TRY(prepare(store,
                   by_id ? "SELECT " KEY_COLUMNS " FROM keys WHERE id = CAST(?1 AS INTEGER)"
                         : "SELECT " KEY_COLUMNS " FROM keys WHERE name = ?1 ORDER BY revoked <> 0, id DESC LIMIT 1",
                   "find a key", &select, err));
    sqlite3_bind_text(select, 1, name_or_id, -1, SQLITE_STATIC);
    socle_status status;
    int code = sqlite3_step(select);
    if (code == SQLITE_ROW) status = read_key(store, select, out, err);
    else if (code != SQLITE_DONE) status = fail_database(store, "find a key", err);
    else status = sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: no key is called '%s'", store->path, name_or_id);
    sqlite3_finalize(select);
    return status;
}

static socle_status mark_revoked(struct sc_key_store *store, int64_t id, int64_t now, socle_error *err)
{
    sqlite3_stmt *update;
    SC_TRY(prepare(store, "UPDATE keys SET revoked = ?2 WHERE id = ?1", "revoke a key", &update, err));
    sqlite3_bind_int64(update, 1, id);
    sqlite3_bind_int64(update, 2, now);
    socle_status status = sqlite3_step(update) == SQLITE_DONE ? SOCLE_OK : fail_database(store, "revoke a key", err);
    sqlite3_finalize(update);
    return status;
}

socle_status sc_key_store_revoke(struct sc_key_store *store, const char *name_or_id, int64_t now, struct sc_key *out,
                                 socle_error *err)
{
    SC_TRY(run(store, "BEGIN IMMEDIATE", "revoke a key", err));
    socle_status status = find(store, name_or_id, out, err);
    if (status == SOCLE_OK && out->revoked)
        status = sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: key %lld, '%s', was revoked before", store->path,
                         (long long)out->id, out->name);
    if (status == SOCLE_OK) status = mark_revoked(store, out->id, now, err);
    if (status == SOCLE_OK) out->revoked = now;
    return end(store, status, "revoke a key", err);
}

// ---- lists

// Makes room for one more element of `size` bytes; *n_room is what there is room for.
static void *make_room(void *rows, size_t n, size_t *n_room, size_t size)
{
    if (n < *n_room) return rows;
    size_t more = *n_room ? *n_room * 2 : 16;
    void *grown = realloc(rows, more * size);
    if (grown) *n_room = more;
    return grown;
}

static struct sc_usage read_usage(sqlite3_stmt *row, int column)
{
    return (struct sc_usage){ .n_requests = (uint64_t)sqlite3_column_int64(row, column),
                              .n_prompt = (uint64_t)sqlite3_column_int64(row, column + 1),
                              .n_cached = (uint64_t)sqlite3_column_int64(row, column + 2),
                              .n_generated = (uint64_t)sqlite3_column_int64(row, column + 3) };
}

static socle_status read_row(struct sc_key_store *store, sqlite3_stmt *select, struct sc_key_row *row, socle_error *err)
{
    SC_TRY(read_key(store, select, &row->key, err));
    row->today = read_usage(select, N_KEY_COLUMNS);
    const void *hash = sqlite3_column_blob(select, N_KEY_COLUMNS + 4);
    if (!hash || sqlite3_column_bytes(select, N_KEY_COLUMNS + 4) != SC_KEY_HASH_BYTES)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key %lld is malformed", store->path, (long long)row->key.id);
    memcpy(row->hash, hash, SC_KEY_HASH_BYTES);
    return SOCLE_OK;
}

socle_status sc_key_store_list(struct sc_key_store *store, int64_t day, struct sc_key_row **rows, size_t *n,
                               socle_error *err)
{
    static const char sql[] = "SELECT " KEY_COLUMNS ", requests, prompt, cached, generated, hash FROM keys"
                              " LEFT JOIN usage ON usage.key = keys.id AND usage.day = ?1 ORDER BY id";
    struct sc_key_row *list = NULL;
    size_t n_list = 0, n_room = 0;
    sqlite3_stmt *select;
    SC_TRY(prepare(store, sql, "read the keys", &select, err));
    sqlite3_bind_int64(select, 1, day);
    socle_status status = SOCLE_OK;
    int code;
    while ((code = sqlite3_step(select)) == SQLITE_ROW && status == SOCLE_OK) {
        struct sc_key_row *grown = make_room(list, n_list, &n_room, sizeof *list);
        if (!grown) {
            status = sc_fail_memory(err, n_list * sizeof *list, "the keys");
            continue;
        }
        list = grown;
        status = read_row(store, select, &list[n_list++], err);
    }
    if (status == SOCLE_OK && code != SQLITE_DONE) status = fail_database(store, "read the keys", err);
    sqlite3_finalize(select);
    if (status != SOCLE_OK) {
        free(list);
        return status;
    }
    *rows = list;
    *n = n_list;
    return SOCLE_OK;
}

// ---- usage

socle_status sc_key_store_usage(struct sc_key_store *store, int64_t key, int64_t first_day, struct sc_usage_row **rows,
                                size_t *n, socle_error *err)
{
    static const char sql[] = "SELECT day, requests, prompt, cached, generated, last_used FROM usage"
                              " WHERE key = ?1 AND day >= ?2 ORDER BY day";
    struct sc_usage_row *list = NULL;
    size_t n_list = 0, n_room = 0;
    sqlite3_stmt *select;
    SC_TRY(prepare(store, sql, "read the usage", &select, err));
    sqlite3_bind_int64(select, 1, key);
    sqlite3_bind_int64(select, 2, first_day);
    socle_status status = SOCLE_OK;
    int code;
    while ((code = sqlite3_step(select)) == SQLITE_ROW && status == SOCLE_OK) {
        struct sc_usage_row *grown = make_room(list, n_list, &n_room, sizeof *list);
        if (!grown) {
            status = sc_fail_memory(err, n_list * sizeof *list, "the usage");
            continue;
        }
        list = grown;
        list[n_list++] = (struct sc_usage_row){ key, sqlite3_column_int64(select, 0), read_usage(select, 1),
                                                sqlite3_column_int64(select, 5) };
    }
    if (status == SOCLE_OK && code != SQLITE_DONE) status = fail_database(store, "read the usage", err);
    sqlite3_finalize(select);
    if (status != SOCLE_OK) {
        free(list);
        return status;
    }
    *rows = list;
    *n = n_list;
    return SOCLE_OK;
}

static bool add_row(sqlite3_stmt *insert, const struct sc_usage_row *row)
{
    const int64_t values[] = { row->key,
                               row->day,
                               (int64_t)row->usage.n_requests,
                               (int64_t)row->usage.n_prompt,
                               (int64_t)row->usage.n_cached,
                               (int64_t)row->usage.n_generated,
                               row->last_used };
    for (size_t i = 0; i < SC_COUNT(values); i++) sqlite3_bind_int64(insert, (int)i + 1, values[i]);
    bool done = sqlite3_step(insert) == SQLITE_DONE;
    if (done) sqlite3_reset(insert);
    return done;
}

socle_status sc_key_store_add_usage(struct sc_key_store *store, const struct sc_usage_row *rows, size_t n,
                                    socle_error *err)
{
    static const char sql[] =
        "INSERT INTO usage SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?1)"
        " ON CONFLICT (key, day) DO UPDATE SET requests = requests + excluded.requests,"
        " prompt = prompt + excluded.prompt, cached = cached + excluded.cached,"
        " generated = generated + excluded.generated, last_used = max(last_used, excluded.last_used)";
    if (n == 0) return SOCLE_OK;
    sqlite3_stmt *insert;
    SC_TRY(run(store, "BEGIN IMMEDIATE", "write the usage", err));
    socle_status status = prepare(store, sql, "write the usage", &insert, err);
    if (status == SOCLE_OK) {
        for (size_t i = 0; i < n && status == SOCLE_OK; i++)
            if (!add_row(insert, &rows[i])) status = fail_database(store, "write the usage", err);
        sqlite3_finalize(insert);
    }
    return end(store, status, "write the usage", err);
}
