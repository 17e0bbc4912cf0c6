#include "server/keys.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/size.h"
#include "server/key_store.h"

enum { PENDING_DAYS = 4 };

// Usage of a day that the database does not have yet.
struct pending {
    int64_t day, last_used;
    struct sc_usage usage;
};

struct entry {
    struct sc_key key;
    uint8_t hash[SC_KEY_HASH_BYTES];
    bool gone;             // no longer in the database
    double allowance;      // requests that may come now
    double allowance_time; // when that was so, by the steady clock
    uint32_t n_running;
    int64_t day; // which day `written` is of
    struct sc_usage written;
    // Days come one at a time, and written ones leave; when writing fails for days, the last slot takes the rest.
    struct pending pending[PENDING_DAYS];
    size_t n_pending;
};

struct sc_keys {
    struct sc_keys_clock clock;
    char *path;

    pthread_mutex_t store_lock; // held over disk accesses, before `lock` where both are held
    struct sc_key_store *store; // NULL after a failure to open it again
    int64_t version;
    bool stale; // the database was not read since it changed

    pthread_mutex_t lock; // never held over a disk access
    pthread_cond_t wake;
    bool ending;
    struct entry *entries;
    size_t n_entries;
    double busy_since;                   // since when the database is being looked at; 0: it is not
    double failing_since;                // since when it cannot be read; 0: it can
    socle_error read_error, write_error; // SOCLE_OK: none

    pthread_t thread;
};

static int64_t system_wall(void *context)
{
    (void)context;
    return (int64_t)time(NULL);
}

static double system_steady(void *context)
{
    (void)context;
    return sc_now();
}

static int64_t wall(const struct sc_keys *keys) { return keys->clock.wall(keys->clock.context); }
static double steady(const struct sc_keys *keys) { return keys->clock.steady(keys->clock.context); }

// ---- counters of a key

// Starts today's count when a day has begun.
static void turn_day(struct entry *entry, int64_t today)
{
    if (entry->day == today) return;
    entry->day = today;
    entry->written = (struct sc_usage){ 0 };
}

static struct sc_usage usage_today(const struct entry *entry)
{
    struct sc_usage sum = entry->written;
    for (size_t i = 0; i < entry->n_pending; i++)
        if (entry->pending[i].day == entry->day) sc_usage_add(&sum, &entry->pending[i].usage);
    return sum;
}

static void add_pending(struct entry *entry, int64_t now, const struct sc_usage *usage)
{
    int64_t day = sc_day_of(now);
    struct pending *slot = NULL;
    for (size_t i = 0; i < entry->n_pending; i++)
        if (entry->pending[i].day == day) slot = &entry->pending[i];
    if (!slot && entry->n_pending < PENDING_DAYS) {
        slot = &entry->pending[entry->n_pending++];
        *slot = (struct pending){ .day = day };
    }
    if (!slot) slot = &entry->pending[PENDING_DAYS - 1];
    sc_usage_add(&slot->usage, usage);
    slot->last_used = SC_MAX(slot->last_used, now);
}

static void fill_allowance(struct entry *entry, double now)
{
    double most = entry->key.limits.requests_per_minute;
    entry->allowance = fmin(most, entry->allowance + fmax(0, now - entry->allowance_time) * most / 60);
    entry->allowance_time = now;
}

static struct entry *find(struct sc_keys *keys, int64_t id)
{
    for (size_t i = 0; i < keys->n_entries; i++)
        if (keys->entries[i].key.id == id && !keys->entries[i].gone) return &keys->entries[i];
    return NULL;
}

// ---- reading the database

// The same text has the same hash: another database in the file's place may have given its id to another key.
static struct entry *find_hash(struct sc_keys *keys, const struct sc_key_row *row)
{
    for (size_t i = 0; i < keys->n_entries; i++)
        if (keys->entries[i].key.id == row->key.id && memcmp(keys->entries[i].hash, row->hash, SC_KEY_HASH_BYTES) == 0)
            return &keys->entries[i];
    return NULL;
}

static void take_row(struct sc_keys *keys, const struct sc_key_row *row, int64_t day, double now)
{
    struct entry *entry = find_hash(keys, row);
    if (!entry) {
        entry = &keys->entries[keys->n_entries++];
        *entry = (struct entry){ .allowance = row->key.limits.requests_per_minute, .allowance_time = now };
        memcpy(entry->hash, row->hash, SC_KEY_HASH_BYTES);
    }
    entry->key = row->key;
    entry->gone = false;
    entry->day = day;
    entry->written = row->today;
    fill_allowance(entry, now);
}

// Puts what the database has in the place of what is known, counters apart.
static socle_status load(struct sc_keys *keys, socle_error *err)
{
    struct sc_key_row *rows;
    size_t n;
    int64_t day = sc_day_of(wall(keys));
    SC_TRY(sc_key_store_list(keys->store, day, &rows, &n, err));
    pthread_mutex_lock(&keys->lock);
    size_t n_bytes = (keys->n_entries + n) * sizeof(struct entry);
    struct entry *entries = n_bytes ? realloc(keys->entries, n_bytes) : keys->entries;
    bool room = entries || n_bytes == 0;
    if (room) {
        keys->entries = entries;
        for (size_t i = 0; i < keys->n_entries; i++) entries[i].gone = true;
        double now = steady(keys);
        for (size_t i = 0; i < n; i++) take_row(keys, &rows[i], day, now);
        for (size_t i = 0; i < keys->n_entries; i++)
            if (entries[i].gone) entries[i].n_pending = 0; // nowhere to write it
    }
    pthread_mutex_unlock(&keys->lock);
    free(rows);
    return room ? SOCLE_OK : sc_fail_memory(err, n_bytes, "the keys");
}

// Opens the database again where another file took its name, and reads it where it changed.
static socle_status read_changes(struct sc_keys *keys, socle_error *err)
{
    bool replaced = false;
    if (keys->store) SC_TRY(sc_key_store_replaced(keys->store, &replaced, err));
    if (replaced || !keys->store) {
        sc_key_store_close(keys->store);
        keys->store = NULL;
        keys->stale = true;
        SC_TRY(sc_key_store_open(keys->path, false, &keys->store, err));
        SC_TRY(sc_key_store_check(keys->store, err));
    }
    int64_t version;
    SC_TRY(sc_key_store_version(keys->store, &version, err));
    if (version == keys->version && !keys->stale) return SOCLE_OK;
    keys->stale = true;
    SC_TRY(load(keys, err));
    keys->version = version;
    keys->stale = false;
    return SOCLE_OK;
}

// ---- writing usage

// The usage to write, as rows that the caller frees; *n is 0 when there is none, or no memory.
static struct sc_usage_row *gather(struct sc_keys *keys, size_t *n)
{
    size_t n_rows = 0;
    pthread_mutex_lock(&keys->lock);
    for (size_t i = 0; i < keys->n_entries; i++) n_rows += keys->entries[i].n_pending;
    struct sc_usage_row *rows = n_rows ? malloc(n_rows * sizeof *rows) : NULL;
    *n = 0;
    for (size_t i = 0; rows && i < keys->n_entries; i++) {
        const struct entry *entry = &keys->entries[i];
        for (size_t d = 0; d < entry->n_pending; d++)
            rows[(*n)++] = (struct sc_usage_row){ entry->key.id, entry->pending[d].day, entry->pending[d].usage,
                                                  entry->pending[d].last_used };
    }
    pthread_mutex_unlock(&keys->lock);
    return rows;
}

// Takes what was written from what is to be written. More may have been added to it meanwhile.
static void settle(struct entry *entry, const struct sc_usage_row *row)
{
    for (size_t d = 0; d < entry->n_pending; d++) {
        struct pending *slot = &entry->pending[d];
        if (slot->day != row->day) continue;
        slot->usage.n_requests -= row->usage.n_requests;
        slot->usage.n_prompt -= row->usage.n_prompt;
        slot->usage.n_cached -= row->usage.n_cached;
        slot->usage.n_generated -= row->usage.n_generated;
        if (entry->day == row->day) sc_usage_add(&entry->written, &row->usage);
        if (sc_usage_is_zero(&slot->usage)) *slot = entry->pending[--entry->n_pending];
        return;
    }
}

static socle_status write_usage(struct sc_keys *keys, socle_error *err)
{
    size_t n;
    struct sc_usage_row *rows = gather(keys, &n);
    socle_status status = sc_key_store_add_usage(keys->store, rows, n, err);
    if (status == SOCLE_OK && n) {
        pthread_mutex_lock(&keys->lock);
        for (size_t i = 0; i < n; i++) {
            struct entry *entry = find(keys, rows[i].key);
            if (entry) settle(entry, &rows[i]);
        }
        pthread_mutex_unlock(&keys->lock);
    }
    free(rows);
    return status;
}

socle_status sc_keys_refresh(struct sc_keys *keys, socle_error *err)
{
    socle_error read_error = { SOCLE_OK, "" }, write_error = { SOCLE_OK, "" };
    pthread_mutex_lock(&keys->store_lock);
    pthread_mutex_lock(&keys->lock);
    keys->busy_since = steady(keys);
    pthread_mutex_unlock(&keys->lock);
    // Keys first: what is written then goes to the keys that are there.
    socle_status status = read_changes(keys, &read_error);
    pthread_mutex_lock(&keys->lock);
    keys->read_error = read_error;
    keys->busy_since = 0;
    if (status == SOCLE_OK) keys->failing_since = 0;
    else if (keys->failing_since == 0) keys->failing_since = steady(keys);
    pthread_mutex_unlock(&keys->lock);
    if (status == SOCLE_OK) {
        status = write_usage(keys, &write_error);
        pthread_mutex_lock(&keys->lock);
        keys->write_error = write_error;
        pthread_mutex_unlock(&keys->lock);
    }
    pthread_mutex_unlock(&keys->store_lock);
    if (status != SOCLE_OK && err) *err = read_error.status != SOCLE_OK ? read_error : write_error;
    return status;
}

bool sc_keys_trouble(struct sc_keys *keys, socle_error *err)
{
    pthread_mutex_lock(&keys->lock);
    const socle_error *trouble = keys->read_error.status != SOCLE_OK ? &keys->read_error : &keys->write_error;
    bool failing = trouble->status != SOCLE_OK;
    if (failing && err) *err = *trouble;
    pthread_mutex_unlock(&keys->lock);
    return failing;
}

// ---- the thread

static void *keep(void *context)
{
    struct sc_keys *keys = context;
    pthread_mutex_lock(&keys->lock);
    while (!keys->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        while (!keys->ending && pthread_cond_timedwait(&keys->wake, &keys->lock, &until) == 0) continue;
        if (keys->ending) break;
        pthread_mutex_unlock(&keys->lock);
        sc_keys_refresh(keys, NULL); // what fails is remembered, and tried again
        pthread_mutex_lock(&keys->lock);
    }
    pthread_mutex_unlock(&keys->lock);
    return NULL;
}

// Signals are for the other threads.
static int start_thread(struct sc_keys *keys)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(&keys->thread, NULL, keep, keys);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return code;
}

static void release(struct sc_keys *keys)
{
    sc_key_store_close(keys->store);
    pthread_cond_destroy(&keys->wake);
    pthread_mutex_destroy(&keys->lock);
    pthread_mutex_destroy(&keys->store_lock);
    free(keys->entries);
    free(keys->path);
    free(keys);
}

socle_status sc_keys_open(const char *path, const struct sc_keys_clock *clock, struct sc_keys **out, socle_error *err)
{
    struct sc_keys *keys = calloc(1, sizeof *keys);
    if (!keys) return sc_fail_memory(err, sizeof *keys, "the keys");
    if (clock) keys->clock = *clock;
    if (!keys->clock.wall) keys->clock.wall = system_wall;
    if (!keys->clock.steady) keys->clock.steady = system_steady;
    keys->stale = true;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keys->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&keys->lock, NULL);
    pthread_mutex_init(&keys->store_lock, NULL);
    keys->path = strdup(path);
    socle_status status = keys->path ? SOCLE_OK : sc_fail_memory(err, strlen(path), "a path");
    if (status == SOCLE_OK) status = sc_key_store_open(path, true, &keys->store, err);
    if (status == SOCLE_OK) status = sc_key_store_check(keys->store, err);
    if (status == SOCLE_OK) status = read_changes(keys, err);
    if (status == SOCLE_OK && start_thread(keys) != 0)
        status = sc_fail(err, SOCLE_NO_MEMORY, "%s: no thread can be made to keep it", path);
    if (status == SOCLE_OK) *out = keys;
    else release(keys);
    return status;
}

socle_status sc_keys_close(struct sc_keys *keys, socle_error *err)
{
    if (!keys) return SOCLE_OK;
    pthread_mutex_lock(&keys->lock);
    keys->ending = true;
    pthread_cond_signal(&keys->wake);
    pthread_mutex_unlock(&keys->lock);
    pthread_join(keys->thread, NULL);
    socle_status status = sc_keys_refresh(keys, err);
    // What was not lost is no failure: a database that cannot be read matters only if usage was to be written.
    size_t n = 0;
    free(gather(keys, &n));
    release(keys);
    return n ? status : SOCLE_OK;
}

// ---- requests

const char *sc_key_verdict_text(enum sc_key_verdict verdict)
{
    switch (verdict) {
    case SC_KEY_FINE: return "";
    case SC_KEY_MISSING: return "no API key was given: send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'";
    case SC_KEY_UNKNOWN: return "the API key is not known here";
    case SC_KEY_EXPIRED: return "the API key has expired";
    case SC_KEY_REVOKED: return "the API key was revoked";
    case SC_KEY_RATE_LIMITED: return "too many requests a minute for this API key";
    case SC_KEY_QUOTA_USED: return "the tokens of this API key are used up for today";
    case SC_KEY_TOO_MANY: return "too many requests at the same time for this API key";
    case SC_KEY_UNAVAILABLE: return "API keys cannot be checked at present";
    }
    return "the API key is refused";
}

// What was read last counts no longer.
static bool unavailable(const struct sc_keys *keys)
{
    double now = steady(keys);
    return (keys->failing_since != 0 && now - keys->failing_since > SC_KEYS_GRACE_SECONDS) ||
           (keys->busy_since != 0 && now - keys->busy_since > SC_KEYS_GRACE_SECONDS);
}

static enum sc_key_verdict verdict_of(const struct sc_keys *keys, const struct entry *entry)
{
    if (unavailable(keys)) return SC_KEY_UNAVAILABLE;
    if (!entry || entry->gone) return SC_KEY_UNKNOWN;
    if (entry->key.revoked) return SC_KEY_REVOKED;
    return entry->key.expires && wall(keys) >= entry->key.expires ? SC_KEY_EXPIRED : SC_KEY_FINE;
}

// The key's text in a header's value: after "Bearer", if that is there, and without white space around it.
static const char *key_text(const char *header, size_t *n_bytes)
{
    static const char white[] = " \t";
    header += strspn(header, white);
    if (strncasecmp(header, "Bearer", 6) == 0 && (header[6] == '\0' || strchr(white, header[6])))
        header += 6 + strspn(header + 6, white);
    size_t n = strlen(header);
    while (n && strchr(white, header[n - 1])) n--;
    *n_bytes = n;
    return header;
}

enum sc_key_verdict sc_keys_authenticate(struct sc_keys *keys, const char *header, struct sc_key *out)
{
    size_t n_bytes = 0;
    const char *text = key_text(header ? header : "", &n_bytes);
    uint8_t hash[SC_KEY_HASH_BYTES];
    if (n_bytes == 0) return SC_KEY_MISSING;
    if (!sc_key_is_formed(text, n_bytes)) return SC_KEY_UNKNOWN;
    if (sc_key_hash(text, hash, NULL) != SOCLE_OK) return SC_KEY_UNAVAILABLE;
    pthread_mutex_lock(&keys->lock);
    const struct entry *found = NULL;
    for (size_t i = 0; i < keys->n_entries; i++)
        if (sc_key_hash_equal(keys->entries[i].hash, hash)) found = &keys->entries[i];
    enum sc_key_verdict verdict = verdict_of(keys, found);
    if (verdict == SC_KEY_FINE) *out = found->key;
    pthread_mutex_unlock(&keys->lock);
    return verdict;
}

static enum sc_key_verdict admit(struct sc_keys *keys, struct entry *entry, double *wait_seconds)
{
    enum sc_key_verdict verdict = verdict_of(keys, entry);
    if (verdict != SC_KEY_FINE) return verdict;
    const struct sc_key_limits *limits = &entry->key.limits;
    int64_t now = wall(keys);
    turn_day(entry, sc_day_of(now));
    struct sc_usage today = usage_today(entry);
    if (limits->tokens_per_day && sc_usage_computed(&today) >= limits->tokens_per_day) {
        *wait_seconds = (double)((entry->day + 1) * 86400 - now);
        return SC_KEY_QUOTA_USED;
    }
    if (limits->concurrency && entry->n_running >= limits->concurrency) return SC_KEY_TOO_MANY;
    if (limits->requests_per_minute) {
        fill_allowance(entry, steady(keys));
        if (entry->allowance < 1) {
            *wait_seconds = (1 - entry->allowance) * 60 / limits->requests_per_minute;
            return SC_KEY_RATE_LIMITED;
        }
        entry->allowance--;
    }
    entry->n_running++;
    return SC_KEY_FINE;
}

enum sc_key_verdict sc_keys_begin(struct sc_keys *keys, int64_t id, double *wait_seconds)
{
    *wait_seconds = 0;
    pthread_mutex_lock(&keys->lock);
    enum sc_key_verdict verdict = admit(keys, find(keys, id), wait_seconds);
    pthread_mutex_unlock(&keys->lock);
    return verdict;
}

void sc_keys_end(struct sc_keys *keys, int64_t id, const struct sc_usage *usage)
{
    pthread_mutex_lock(&keys->lock);
    struct entry *entry = find(keys, id);
    if (entry) {
        if (entry->n_running) entry->n_running--;
        if (!sc_usage_is_zero(usage)) add_pending(entry, wall(keys), usage);
    }
    pthread_mutex_unlock(&keys->lock);
}

bool sc_keys_today(struct sc_keys *keys, int64_t id, struct sc_usage *today, uint32_t *n_running)
{
    pthread_mutex_lock(&keys->lock);
    struct entry *entry = find(keys, id);
    if (entry) {
        turn_day(entry, sc_day_of(wall(keys)));
        *today = usage_today(entry);
        *n_running = entry->n_running;
    }
    pthread_mutex_unlock(&keys->lock);
    return entry != NULL;
}
