// Keys, their database, and what a running server makes of both: limits, usage, failures of the disk.
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/file.h"
#include "server/key_store.h"
#include "server/keys.h"

// ---- a folder for each test, and a clock that goes when it is told to

struct place {
    char folder[64], path[96];
    _Atomic int64_t wall;
    _Atomic double steady;
};

static int64_t place_wall(void *context) { return atomic_load(&((struct place *)context)->wall); }
static double place_steady(void *context) { return atomic_load(&((struct place *)context)->steady); }
static struct sc_keys_clock clock_of(struct place *p) { return (struct sc_keys_clock){ place_wall, place_steady, p }; }

static void pass(struct place *p, double seconds)
{
    atomic_store(&p->wall, p->wall + (int64_t)seconds);
    atomic_store(&p->steady, p->steady + seconds);
}

enum { DAY_1 = 20000, NOON = DAY_1 * 86400 + 43200 };

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->folder, "/tmp/socle-keys-XXXXXX");
    if (!mkdtemp(p->folder)) return -1;
    snprintf(p->path, sizeof p->path, "%s/keys.db", p->folder);
    p->wall = NOON;
    p->steady = 1000;
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    int code = system(command);
    free(p);
    return code;
}

// Adds a key, as `socle key add` does, and returns its id.
static int64_t add_key(const char *path, const char *name, struct sc_key like, char text[SC_KEY_TEXT_BYTES + 1])
{
    struct sc_key_store *store;
    uint8_t hash[SC_KEY_HASH_BYTES];
    socle_error err;
    snprintf(like.name, sizeof like.name, "%s", name);
    if (!like.scopes) like.scopes = SC_SCOPE_CHAT;
    assert_int_equal(sc_key_make(text, &err), SOCLE_OK);
    assert_int_equal(sc_key_hash(text, hash, &err), SOCLE_OK);
    assert_int_equal(sc_key_store_open(path, true, &store, &err), SOCLE_OK);
    assert_int_equal(sc_key_store_add(store, &like, hash, &err), SOCLE_OK);
    sc_key_store_close(store);
    return like.id;
}

static void revoke_key(const char *path, const char *name)
{
    struct sc_key_store *store;
    struct sc_key key;
    socle_error err;
    assert_int_equal(sc_key_store_open(path, false, &store, &err), SOCLE_OK);
    assert_int_equal(sc_key_store_revoke(store, name, 1, &key, &err), SOCLE_OK);
    sc_key_store_close(store);
}

// What the database has of a key, over all days.
static struct sc_usage stored_usage(const char *path, int64_t id)
{
    struct sc_key_store *store;
    struct sc_usage_row *rows;
    struct sc_usage sum = { 0 };
    size_t n;
    socle_error err;
    assert_int_equal(sc_key_store_open(path, false, &store, &err), SOCLE_OK);
    assert_int_equal(sc_key_store_check(store, &err), SOCLE_OK);
    assert_int_equal(sc_key_store_usage(store, id, 0, &rows, &n, &err), SOCLE_OK);
    for (size_t i = 0; i < n; i++) sc_usage_add(&sum, &rows[i].usage);
    free(rows);
    sc_key_store_close(store);
    return sum;
}

static struct sc_keys *open_keys(struct place *p)
{
    struct sc_keys *keys;
    struct sc_keys_clock clock = clock_of(p);
    socle_error err = { SOCLE_OK, "" };
    socle_status status = sc_keys_open(p->path, &clock, &keys, &err);
    if (status != SOCLE_OK) fail_msg("%s", err.message);
    return keys;
}

static enum sc_key_verdict ask(struct sc_keys *keys, const char *text)
{
    struct sc_key key;
    return sc_keys_authenticate(keys, text, &key);
}

static enum sc_key_verdict begin(struct sc_keys *keys, int64_t id)
{
    double wait;
    return sc_keys_begin(keys, id, &wait);
}

static const struct sc_usage one_request = { 1, 10, 4, 5 }; // 11 tokens were computed

// ---- keys

static void names_and_scopes_are_checked(void **state)
{
    (void)state;
    socle_error err;
    char long_name[70], text[SC_SCOPES_TEXT_BYTES];
    memset(long_name, 'a', sizeof long_name);
    long_name[SC_KEY_NAME_BYTES] = '\0';
    assert_int_equal(sc_key_check_name("ward 3, night", &err), SOCLE_OK);
    assert_int_equal(sc_key_check_name(long_name, &err), SOCLE_OK);
    long_name[SC_KEY_NAME_BYTES] = 'a';
    long_name[SC_KEY_NAME_BYTES + 1] = '\0';
    const char *bad[] = { "", "12", "-x", " x", "x ", "x\ny", "\x1b[31m", "caf\xc3\xa9", long_name };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sc_key_check_name(bad[i], &err), SOCLE_BAD_ARGUMENT);
    unsigned scopes;
    assert_int_equal(sc_scopes_parse("admin,chat", &scopes, &err), SOCLE_OK);
    assert_int_equal(scopes, SC_SCOPE_ADMIN | SC_SCOPE_CHAT);
    sc_scopes_print(scopes, text);
    assert_string_equal(text, "chat,admin");
    const char *bad_scopes[] = { "", "chat,", ",chat", "chats", "cha", "chat, admin" };
    for (size_t i = 0; i < sizeof bad_scopes / sizeof bad_scopes[0]; i++)
        assert_int_equal(sc_scopes_parse(bad_scopes[i], &scopes, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "chat,embeddings,admin"));
    assert_int_equal(sc_scopes_known("chat,later,embeddings"), SC_SCOPE_CHAT | SC_SCOPE_EMBEDDINGS);
    assert_int_equal(sc_scopes_known(""), 0);
}

static void a_key_is_kept_as_a_hash(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], other[SC_KEY_TEXT_BYTES + 1], zeros[SC_KEY_TEXT_BYTES + 1], *bytes;
    add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    add_key(p->path, "bob", (struct sc_key){ 0 }, other);
    assert_true(sc_key_is_formed(text, strlen(text)));
    assert_string_not_equal(text, other);
    size_t n;
    socle_error err;
    struct stat file;
    assert_int_equal(sc_read_file(p->path, 1 << 20, &bytes, &n, &err), SOCLE_OK);
    assert_null(memmem(bytes, n, text + 9, 16));
    free(bytes);
    assert_int_equal(stat(p->path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    // What sha256sum says of the label, a zero byte and the text: databases outlive versions of the program.
    static const uint8_t expected[SC_KEY_HASH_BYTES] = { 0x41, 0xae, 0x8f, 0xb1, 0xc5, 0xb3, 0x23, 0x37,
                                                         0x89, 0x5b, 0x6b, 0xf3, 0xea, 0xab, 0xab, 0xb6,
                                                         0x4d, 0xa4, 0x24, 0xc0, 0x93, 0x39, 0xe0, 0x1b,
                                                         0x08, 0xd2, 0x1f, 0x6e, 0x14, 0xa4, 0x5e, 0x88 };
    uint8_t hash[SC_KEY_HASH_BYTES];
    snprintf(zeros, sizeof zeros, "sk-socle-%064d", 0);
    assert_int_equal(sc_key_hash(zeros, hash, &err), SOCLE_OK);
    assert_memory_equal(hash, expected, sizeof hash);
    assert_true(sc_key_hash_equal(hash, expected));
    hash[31] ^= 1;
    assert_false(sc_key_hash_equal(hash, expected));
}

// ---- who asks

static void a_key_is_recognized_in_both_headers(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], header[128], wrong[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .scopes = SC_SCOPE_EMBEDDINGS }, text);
    struct sc_keys *keys = open_keys(p);
    const char *forms[] = { "Bearer %s", "bearer %s", "BEARER  %s ", "%s", " %s\t", "Bearer\t%s" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct sc_key key;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(header, sizeof header, forms[i], text);
#pragma GCC diagnostic pop
        assert_int_equal(sc_keys_authenticate(keys, header, &key), SC_KEY_FINE);
        assert_int_equal(key.id, id);
        assert_string_equal(key.name, "alice");
        assert_int_equal(key.scopes, SC_SCOPE_EMBEDDINGS);
    }
    const char *missing[] = { NULL, "", "   ", "Bearer", "Bearer ", "bearer\t " };
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        assert_int_equal(ask(keys, missing[i]), SC_KEY_MISSING);
    strcpy(wrong, text);
    wrong[SC_KEY_TEXT_BYTES - 1] = wrong[SC_KEY_TEXT_BYTES - 1] == '0' ? '1' : '0';
    snprintf(header, sizeof header, "Bearer %s0", text);
    const char *unknown[] = { wrong, header, "Basic YTpi", "sk-socle-", "sk-", "Bearer Bearer", "Bearersk-socle-" };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(ask(keys, unknown[i]), SC_KEY_UNKNOWN);
    for (int v = SC_KEY_MISSING; v <= SC_KEY_UNAVAILABLE; v++)
        assert_true(strlen(sc_key_verdict_text((enum sc_key_verdict)v)) > 10);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
}

static void a_key_expires(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .expires = NOON + 60 }, text);
    struct sc_keys *keys = open_keys(p);
    assert_int_equal(ask(keys, text), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    pass(p, 59);
    assert_int_equal(ask(keys, text), SC_KEY_FINE);
    pass(p, 1);
    assert_int_equal(ask(keys, text), SC_KEY_EXPIRED);
    assert_int_equal(begin(keys, id), SC_KEY_EXPIRED);
    sc_keys_end(keys, id, &one_request); // what was under way is counted
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
    assert_int_equal(stored_usage(p->path, id).n_generated, 5);
}

static void another_process_adds_and_revokes(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], later[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    struct sc_keys *keys = open_keys(p);
    assert_int_equal(ask(keys, text), SC_KEY_FINE);
    add_key(p->path, "bob", (struct sc_key){ 0 }, later);
    pid_t child = fork();
    if (child == 0) {
        revoke_key(p->path, "alice");
        _exit(0);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    // Nobody asks for it: the thread looks once a second.
    for (int i = 0; i < 40 && ask(keys, text) == SC_KEY_FINE; i++) usleep(50000);
    assert_int_equal(ask(keys, text), SC_KEY_REVOKED);
    assert_int_equal(begin(keys, id), SC_KEY_REVOKED);
    assert_int_equal(ask(keys, later), SC_KEY_FINE);
    // A name is free again once its key is revoked.
    add_key(p->path, "alice", (struct sc_key){ 0 }, later);
    assert_int_equal(sc_keys_refresh(keys, NULL), SOCLE_OK);
    assert_int_equal(ask(keys, later), SC_KEY_FINE);
    assert_int_equal(ask(keys, text), SC_KEY_REVOKED);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
}

// ---- limits

static void requests_per_minute_are_a_bucket(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    double wait;
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .limits.requests_per_minute = 3 }, text);
    struct sc_keys *keys = open_keys(p);
    for (int i = 0; i < 3; i++) assert_int_equal(begin(keys, id), SC_KEY_FINE);
    assert_int_equal(sc_keys_begin(keys, id, &wait), SC_KEY_RATE_LIMITED);
    assert_float_equal(wait, 20, 1e-6);
    pass(p, 15);
    assert_int_equal(sc_keys_begin(keys, id, &wait), SC_KEY_RATE_LIMITED);
    assert_float_equal(wait, 5, 1e-6);
    pass(p, 5.001);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_RATE_LIMITED);
    // A look at the database, with a change in it, gives nothing back.
    char other[SC_KEY_TEXT_BYTES + 1];
    add_key(p->path, "bob", (struct sc_key){ 0 }, other);
    assert_int_equal(sc_keys_refresh(keys, NULL), SOCLE_OK);
    assert_int_equal(begin(keys, id), SC_KEY_RATE_LIMITED);
    pass(p, 3600); // no more than the bucket holds
    for (int i = 0; i < 3; i++) assert_int_equal(begin(keys, id), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_RATE_LIMITED);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
}

static void requests_at_the_same_time_are_counted(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .limits.concurrency = 2 }, text);
    struct sc_keys *keys = open_keys(p);
    struct sc_usage today;
    uint32_t n_running;
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_TOO_MANY);
    assert_true(sc_keys_today(keys, id, &today, &n_running));
    assert_int_equal(n_running, 2);
    sc_keys_end(keys, id, &(struct sc_usage){ 0 });
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_TOO_MANY);
    assert_int_equal(begin(keys, id + 1), SC_KEY_UNKNOWN);
    sc_keys_end(keys, id + 1, &one_request);
    assert_false(sc_keys_today(keys, id + 1, &today, &n_running));
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
}

static void tokens_of_a_day_are_used_up(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    double wait;
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .limits.tokens_per_day = 20 }, text);
    struct sc_keys *keys = open_keys(p);
    for (int i = 0; i < 2; i++) { // 11 tokens each, cached ones apart
        assert_int_equal(begin(keys, id), SC_KEY_FINE);
        sc_keys_end(keys, id, &one_request);
    }
    assert_int_equal(sc_keys_begin(keys, id, &wait), SC_KEY_QUOTA_USED);
    assert_float_equal(wait, 43200, 1e-6);
    assert_int_equal(sc_keys_refresh(keys, NULL), SOCLE_OK); // written now, and still counted once
    assert_int_equal(begin(keys, id), SC_KEY_QUOTA_USED);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
    keys = open_keys(p); // a new server knows, too
    assert_int_equal(begin(keys, id), SC_KEY_QUOTA_USED);
    pass(p, 43200);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    sc_keys_end(keys, id, &one_request);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
    struct sc_key_store *store;
    struct sc_usage_row *rows;
    size_t n;
    assert_int_equal(sc_key_store_open(p->path, false, &store, NULL), SOCLE_OK);
    assert_int_equal(sc_key_store_usage(store, id, DAY_1, &rows, &n, NULL), SOCLE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].day, DAY_1);
    assert_int_equal(rows[0].usage.n_requests, 2);
    assert_int_equal(rows[0].usage.n_cached, 8);
    assert_int_equal(rows[1].day, DAY_1 + 1);
    assert_int_equal(rows[1].usage.n_prompt, 10);
    assert_int_equal(rows[1].last_used, NOON + 43200);
    free(rows);
    sc_key_store_close(store);
}

static void servers_of_one_database_share_a_quota(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .limits.tokens_per_day = 20 }, text);
    struct sc_keys *a = open_keys(p), *b = open_keys(p);
    for (int i = 0; i < 2; i++) {
        struct sc_keys *keys = i ? b : a;
        assert_int_equal(begin(keys, id), SC_KEY_FINE);
        sc_keys_end(keys, id, &one_request);
        assert_int_equal(sc_keys_refresh(keys, NULL), SOCLE_OK);
    }
    assert_int_equal(sc_keys_refresh(a, NULL), SOCLE_OK);
    assert_int_equal(begin(a, id), SC_KEY_QUOTA_USED);
    assert_int_equal(begin(b, id), SC_KEY_QUOTA_USED);
    assert_int_equal(sc_keys_close(a, NULL), SOCLE_OK);
    assert_int_equal(sc_keys_close(b, NULL), SOCLE_OK);
    assert_int_equal(stored_usage(p->path, id).n_requests, 2);
}

// ---- threads and processes

enum { N_THREADS = 4, N_REQUESTS = 500 };

struct asker {
    struct sc_keys *keys;
    const char *text;
    int64_t id;
    int n_failed;
};

static void *ask_often(void *context)
{
    struct asker *asker = context;
    for (int i = 0; i < N_REQUESTS; i++) {
        if (ask(asker->keys, asker->text) != SC_KEY_FINE) asker->n_failed++;
        if (begin(asker->keys, asker->id) != SC_KEY_FINE) asker->n_failed++;
        sc_keys_end(asker->keys, asker->id, &one_request);
        if (i % 50 == 0 && sc_keys_refresh(asker->keys, NULL) != SOCLE_OK) asker->n_failed++;
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], other[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    struct sc_keys *keys = open_keys(p);
    pthread_t threads[N_THREADS];
    struct asker askers[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        askers[i] = (struct asker){ keys, text, id, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
    }
    for (int i = 0; i < 20; i++) { // the table of keys grows meanwhile
        char name[16];
        snprintf(name, sizeof name, "key %d", i);
        add_key(p->path, name, (struct sc_key){ 0 }, other);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].n_failed, 0);
    }
    struct sc_usage today;
    uint32_t n_running;
    assert_true(sc_keys_today(keys, id, &today, &n_running));
    assert_int_equal(today.n_requests, N_THREADS * N_REQUESTS);
    assert_int_equal(n_running, 0);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
    struct sc_usage usage = stored_usage(p->path, id);
    assert_int_equal(usage.n_requests, N_THREADS * N_REQUESTS);
    assert_int_equal(usage.n_prompt, 10 * N_THREADS * N_REQUESTS);
}

// A server that says, after each time its usage was written, how many requests that were.
static void serve_and_tell(struct place *p, int64_t id, int out)
{
    struct sc_keys *keys;
    struct sc_keys_clock clock = clock_of(p);
    if (sc_keys_open(p->path, &clock, &keys, NULL) != SOCLE_OK) _exit(1);
    for (uint32_t n = 1;; n++) {
        if (begin(keys, id) != SC_KEY_FINE) _exit(2);
        sc_keys_end(keys, id, &one_request);
        if (sc_keys_refresh(keys, NULL) != SOCLE_OK) _exit(3);
        if (write(out, &n, sizeof n) != sizeof n) _exit(4);
    }
}

static void killed_servers_lose_only_what_was_not_written(void **state)
{
    enum { N_SERVERS = 3, N_ROUNDS = 3 };
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    uint64_t n_told = 0;
    for (int round = 0; round < N_ROUNDS; round++) {
        pid_t children[N_SERVERS];
        int pipes[N_SERVERS][2];
        for (int i = 0; i < N_SERVERS; i++) {
            assert_int_equal(pipe(pipes[i]), 0);
            children[i] = fork();
            if (children[i] == 0) serve_and_tell(p, id, pipes[i][1]);
            close(pipes[i][1]);
        }
        usleep(300000 + 7000 * (useconds_t)round);
        for (int i = 0; i < N_SERVERS; i++) kill(children[i], SIGKILL);
        for (int i = 0; i < N_SERVERS; i++) {
            uint32_t n = 0, last = 0;
            int code;
            while (read(pipes[i][0], &n, sizeof n) == sizeof n) last = n;
            close(pipes[i][0]);
            assert_int_equal(waitpid(children[i], &code, 0), children[i]);
            assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL);
            n_told += last;
        }
    }
    struct sc_usage usage = stored_usage(p->path, id);
    assert_true(n_told > 0);
    assert_in_range(usage.n_requests, n_told, n_told + N_SERVERS * N_ROUNDS); // killed before it could tell
    assert_int_equal(usage.n_prompt, 10 * usage.n_requests);                  // whole transactions
    assert_int_equal(usage.n_generated, 5 * usage.n_requests);
}

static void processes_make_the_database_together(void **state)
{
    enum { N = 6 };
    struct place *p = *state;
    pid_t children[N];
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        if (children[i]) continue;
        struct sc_key_store *store;
        struct sc_key key = { .scopes = SC_SCOPE_CHAT };
        uint8_t hash[SC_KEY_HASH_BYTES] = { (uint8_t)i };
        socle_error err = { SOCLE_OK, "" };
        snprintf(key.name, sizeof key.name, "key %d", i);
        socle_status status = sc_key_store_open(p->path, true, &store, &err);
        if (status == SOCLE_OK) status = sc_key_store_add(store, &key, hash, &err);
        if (status != SOCLE_OK) fprintf(stderr, "%s\n", err.message);
        _exit((int)status);
    }
    for (int i = 0; i < N; i++) {
        int code;
        assert_int_equal(waitpid(children[i], &code, 0), children[i]);
        assert_int_equal(code, 0);
    }
    struct sc_key_store *store;
    struct sc_key_row *rows;
    size_t n;
    assert_int_equal(sc_key_store_open(p->path, false, &store, NULL), SOCLE_OK);
    assert_int_equal(sc_key_store_list(store, DAY_1, &rows, &n, NULL), SOCLE_OK);
    assert_int_equal(n, N);
    free(rows);
    sc_key_store_close(store);
}

// ---- what can be wrong with the file

static void expect_refusal(const char *path, bool create, socle_status expected, const char *words)
{
    struct sc_key_store *store;
    socle_error err = { SOCLE_OK, "" };
    socle_status status = sc_key_store_open(path, create, &store, &err);
    if (status == SOCLE_OK) {
        status = sc_key_store_check(store, &err);
        sc_key_store_close(store);
    }
    if (status != expected || !strstr(err.message, words) || !strstr(err.message, path))
        fail_msg("status %d, '%s'; expected %d, '%s'", (int)status, err.message, (int)expected, words);
}

static void overwrite(const char *path, long at, size_t n_bytes, char byte)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    for (size_t i = 0; i < n_bytes; i++) fputc(byte, file);
    assert_int_equal(fclose(file), 0);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static void other_files_are_refused(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], other[128];
    socle_error err;
    expect_refusal(p->path, false, SOCLE_IO, "No such file");
    expect_refusal(p->folder, false, SOCLE_IO, "is a directory");
    expect_refusal("/dev/null", true, SOCLE_IO, "device or pipe");
    assert_int_equal(sc_write_file(p->path, "", 0, &err), SOCLE_OK);
    expect_refusal(p->path, false, SOCLE_BAD_FILE, "is empty");
    assert_int_equal(sc_write_file(p->path, "not a database, whatever its name\n", 34, &err), SOCLE_OK);
    expect_refusal(p->path, true, SOCLE_BAD_FILE, "damaged");
    snprintf(other, sizeof other, "%s/other.db", p->folder);
    run_sql(other, "CREATE TABLE recipes (name TEXT)");
    expect_refusal(other, true, SOCLE_BAD_FILE, "something else");
    unlink(p->path);
    add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    run_sql(p->path, "PRAGMA user_version = 2");
    expect_refusal(p->path, true, SOCLE_UNSUPPORTED, "version 2");
    run_sql(p->path, "PRAGMA user_version = 1");
    assert_int_equal(chmod(p->path, 0606), 0);
    expect_refusal(p->path, true, SOCLE_IO, "anybody may write");
}

static void a_damaged_database_is_refused(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    struct stat file;
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "key %d", i);
        add_key(p->path, name, (struct sc_key){ 0 }, text);
    }
    assert_int_equal(stat(p->path, &file), 0);
    for (long at = 0; at < (long)file.st_size; at += 700) {
        char copy[128], command[300];
        snprintf(copy, sizeof copy, "%s/copy.db", p->folder);
        snprintf(command, sizeof command, "cp '%s' '%s'", p->path, copy);
        assert_int_equal(system(command), 0);
        overwrite(copy, at, 64, (char)0xee);
        // Either it is noticed or it was in free space: what must not happen is a crash.
        struct sc_keys *keys;
        socle_error err = { SOCLE_OK, "" };
        socle_status status = sc_keys_open(copy, NULL, &keys, &err);
        if (status == SOCLE_OK) sc_keys_close(keys, NULL);
        else assert_non_null(strstr(err.message, copy));
    }
    overwrite(p->path, 4096 + 8, 200, (char)0xee);
    expect_refusal(p->path, false, SOCLE_BAD_FILE, "damaged");
    // A name that no program of ours writes.
    unlink(p->path);
    add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    run_sql(p->path, "UPDATE keys SET name = hex(zeroblob(100))");
    struct sc_keys *keys;
    socle_error err;
    assert_int_equal(sc_keys_open(p->path, NULL, &keys, &err), SOCLE_BAD_FILE);
    assert_non_null(strstr(err.message, "malformed"));
}

static void a_database_that_is_gone_denies_all(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], other[SC_KEY_TEXT_BYTES + 1], away[128];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    struct sc_keys *keys = open_keys(p);
    socle_error err;
    assert_false(sc_keys_trouble(keys, &err));
    snprintf(away, sizeof away, "%s/away.db", p->folder);
    assert_int_equal(rename(p->path, away), 0);
    assert_int_equal(sc_keys_refresh(keys, &err), SOCLE_IO);
    assert_true(sc_keys_trouble(keys, &err));
    assert_non_null(strstr(err.message, p->path));
    pass(p, SC_KEYS_GRACE_SECONDS - 1);
    assert_int_equal(ask(keys, text), SC_KEY_FINE);
    pass(p, 2);
    assert_int_equal(ask(keys, text), SC_KEY_UNAVAILABLE);
    assert_int_equal(begin(keys, id), SC_KEY_UNAVAILABLE);
    // It comes back as it was.
    assert_int_equal(rename(away, p->path), 0);
    assert_int_equal(sc_keys_refresh(keys, &err), SOCLE_OK);
    assert_int_equal(ask(keys, text), SC_KEY_FINE);
    assert_false(sc_keys_trouble(keys, &err));
    // Another one takes its place, in which the same id is another key's.
    add_key(away, "bob", (struct sc_key){ 0 }, other);
    assert_int_equal(rename(away, p->path), 0);
    assert_int_equal(sc_keys_refresh(keys, &err), SOCLE_OK);
    assert_int_equal(ask(keys, text), SC_KEY_UNKNOWN);
    assert_int_equal(ask(keys, other), SC_KEY_FINE);
    sc_keys_close(keys, NULL);
}

static void a_database_damaged_under_a_server_denies_all(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1], copy[128];
    add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    struct sc_keys *keys = open_keys(p);
    socle_error err;
    snprintf(copy, sizeof copy, "%s/copy.db", p->folder);
    assert_int_equal(sc_write_file(copy, "this is no database", 19, &err), SOCLE_OK);
    assert_int_equal(rename(copy, p->path), 0);
    assert_int_equal(sc_keys_refresh(keys, &err), SOCLE_BAD_FILE);
    pass(p, SC_KEYS_GRACE_SECONDS + 1);
    assert_int_equal(ask(keys, text), SC_KEY_UNAVAILABLE);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK); // there was no usage to lose
}

// ---- what can be wrong with writing

static void a_locked_database_stops_no_request(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ .limits.tokens_per_day = 20 }, text);
    struct sc_keys *keys = open_keys(p);
    sqlite3 *other;
    socle_error err;
    assert_int_equal(sqlite3_open(p->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    sc_keys_end(keys, id, &one_request);
    assert_int_equal(sc_keys_refresh(keys, &err), SOCLE_IO);
    assert_non_null(strstr(err.message, "locked"));
    assert_true(sc_keys_trouble(keys, &err));
    pass(p, 100);
    assert_int_equal(ask(keys, text), SC_KEY_FINE);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    sc_keys_end(keys, id, &one_request);
    assert_int_equal(begin(keys, id), SC_KEY_QUOTA_USED); // what is in memory counts
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(sc_keys_refresh(keys, &err), SOCLE_OK);
    assert_false(sc_keys_trouble(keys, &err));
    assert_int_equal(begin(keys, id), SC_KEY_QUOTA_USED);
    assert_int_equal(sc_keys_close(keys, NULL), SOCLE_OK);
    assert_int_equal(stored_usage(p->path, id).n_requests, 2);
}

// In a process of its own: a largest size of files stands in for a disk without space.
static int run_on_full_disk(struct place *p, const char *text, int64_t id)
{
    signal(SIGXFSZ, SIG_IGN);
    struct sc_keys *keys;
    struct sc_keys_clock clock = clock_of(p);
    socle_error err = { SOCLE_OK, "" };
    struct rlimit limit, none = { 512, RLIM_INFINITY };
    if (sc_keys_open(p->path, &clock, &keys, &err) != SOCLE_OK || getrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ none.rlim_cur, limit.rlim_max });
    for (int day = 0; day < 6; day++) { // longer than slots for days
        if (begin(keys, id) != SC_KEY_FINE || ask(keys, text) != SC_KEY_FINE) return 2;
        sc_keys_end(keys, id, &one_request);
        if (sc_keys_refresh(keys, &err) == SOCLE_OK || !sc_keys_trouble(keys, &err)) return 3;
        pass(p, 86400);
    }
    if (err.status != SOCLE_IO) return 4;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (sc_keys_refresh(keys, &err) != SOCLE_OK || sc_keys_trouble(keys, &err)) return 5;
    return sc_keys_close(keys, &err) == SOCLE_OK ? 0 : 6;
}

static void usage_waits_for_space_on_the_disk(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    pid_t child = fork();
    if (child == 0) _exit(run_on_full_disk(p, text, id));
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(WEXITSTATUS(code), 0);
    assert_true(WIFEXITED(code));
    assert_int_equal(stored_usage(p->path, id).n_requests, 6);
}

static void usage_that_cannot_be_written_at_the_end_is_an_error(void **state)
{
    struct place *p = *state;
    char text[SC_KEY_TEXT_BYTES + 1];
    int64_t id = add_key(p->path, "alice", (struct sc_key){ 0 }, text);
    struct sc_keys *keys = open_keys(p);
    socle_error err;
    assert_int_equal(unlink(p->path), 0);
    assert_int_equal(begin(keys, id), SC_KEY_FINE);
    sc_keys_end(keys, id, &one_request);
    assert_int_equal(sc_keys_close(keys, &err), SOCLE_IO);
    assert_non_null(strstr(err.message, p->path));
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_scopes_are_checked),
        WITH_PLACE(a_key_is_kept_as_a_hash),
        WITH_PLACE(a_key_is_recognized_in_both_headers),
        WITH_PLACE(a_key_expires),
        WITH_PLACE(another_process_adds_and_revokes),
        WITH_PLACE(requests_per_minute_are_a_bucket),
        WITH_PLACE(requests_at_the_same_time_are_counted),
        WITH_PLACE(tokens_of_a_day_are_used_up),
        WITH_PLACE(servers_of_one_database_share_a_quota),
        WITH_PLACE(threads_lose_nothing),
        WITH_PLACE(killed_servers_lose_only_what_was_not_written),
        WITH_PLACE(processes_make_the_database_together),
        WITH_PLACE(other_files_are_refused),
        WITH_PLACE(a_damaged_database_is_refused),
        WITH_PLACE(a_database_that_is_gone_denies_all),
        WITH_PLACE(a_database_damaged_under_a_server_denies_all),
        WITH_PLACE(a_locked_database_stops_no_request),
        WITH_PLACE(usage_waits_for_space_on_the_disk),
        WITH_PLACE(usage_that_cannot_be_written_at_the_end_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
