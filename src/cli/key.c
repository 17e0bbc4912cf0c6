// socle key: who may use the server: adds, lists and revokes API keys.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/output.h"
#include "server/key_store.h"

struct key_options {
    const char *scopes, *expires, *database;
    uint32_t requests_per_minute, concurrency, n_days;
    uint64_t tokens_per_day;
    bool json;
};

// ---- times

// "2026-12-31", in UTC; "" for never.
static const char *print_date(int64_t seconds, char out[16])
{
    time_t time = (time_t)seconds;
    struct tm parts;
    out[0] = '\0';
    if (seconds && gmtime_r(&time, &parts)) strftime(out, 16, "%Y-%m-%d", &parts);
    return out;
}

static json_t *json_time(int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm parts;
    char text[32];
    if (!seconds || !gmtime_r(&time, &parts)) return json_null();
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return json_string(text);
}

// A date is the beginning of that day in UTC.
static bool read_date(const char *text, int64_t *out)
{
    struct tm parts = { 0 };
    char again[16];
    const char *end = strptime(text, "%Y-%m-%d", &parts);
    if (!end || *end) return false;
    *out = (int64_t)timegm(&parts);
    return strcmp(print_date(*out, again), text) == 0; // there is no 31st of February
}

// "30d", "12h", "4w", "1y" from now.
static bool read_span(const char *text, int64_t now, int64_t *out)
{
    static const struct {
        char unit;
        int64_t n_seconds;
    } units[] = { { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 }, { 'y', 365 * 86400 } };
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 6 || !text[n] || text[n + 1]) return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].unit != text[n]) continue;
        *out = now + atol(text) * units[i].n_seconds;
        return true;
    }
    return false;
}

static int read_expiry(const char *text, int64_t now, int64_t *out)
{
    *out = 0;
    if (!text) return -1;
    if (!read_span(text, now, out) && !read_date(text, out))
        return cli_misuse("--expires: expected a time from now (12h, 30d, 4w, 1y) or a date (2026-12-31), found '%s'",
                          text);
    return *out > now ? -1 : cli_misuse("--expires: '%s' is not in the future", text);
}

// ---- add

// A key that nobody saw must not stay valid.
static int show_key(struct sc_key_store *store, const struct sc_key *key, const char *text, const char *database)
{
    struct sc_key revoked;
    char id[24];
    puts(text);
    if (cli_check_stdout() == SOCLE_OK) {
        fprintf(stderr, "Key %lld, '%s', is in %s. Keep the line above: it is shown only now.\n", (long long)key->id,
                key->name, database);
        return SOCLE_OK;
    }
    snprintf(id, sizeof id, "%lld", (long long)key->id);
    bool taken_back = sc_key_store_revoke(store, id, (int64_t)time(NULL), &revoked, NULL) == SOCLE_OK;
    cli_error("the key could not be shown%s", taken_back ? " and was revoked again" : ": revoke it");
    return SOCLE_IO;
}

static int add(struct sc_key_store *store, const struct key_options *o, const char *name, const char *database)
{
    socle_error err;
    struct sc_key key = { .created = (int64_t)time(NULL),
                          .limits = { o->requests_per_minute, o->tokens_per_day, o->concurrency } };
    char text[SC_KEY_TEXT_BYTES + 1];
    uint8_t hash[SC_KEY_HASH_BYTES];
    snprintf(key.name, sizeof key.name, "%s", name);
    int code = read_expiry(o->expires, key.created, &key.expires);
    if (code >= 0) return code;
    socle_status status = sc_scopes_parse(o->scopes ? o->scopes : "chat,embeddings", &key.scopes, &err);
    if (status == SOCLE_OK) status = sc_key_make(text, &err);
    if (status == SOCLE_OK) status = sc_key_hash(text, hash, &err);
    if (status == SOCLE_OK) status = sc_key_store_add(store, &key, hash, &err);
    code = status == SOCLE_OK ? show_key(store, &key, text, database) : cli_fail(&err);
    explicit_bzero(text, sizeof text);
    return code;
}

// ---- revoke

static int revoke(struct sc_key_store *store, const char *name)
{
    struct sc_key key;
    socle_error err;
    if (sc_key_store_revoke(store, name, (int64_t)time(NULL), &key, &err) != SOCLE_OK) return cli_fail(&err);
    printf("Key %lld, '%s', is revoked. A running server refuses it from the next second on.\n", (long long)key.id,
           key.name);
    return SOCLE_OK;
}

// ---- list

// All that a key did.
struct history {
    struct sc_usage_row *days; // owned, the oldest first
    size_t n_days;
    struct sc_usage total;
    int64_t last_used;
};

static socle_status read_history(struct sc_key_store *store, int64_t key, struct history *out, socle_error *err)
{
    *out = (struct history){ 0 };
    socle_status status = sc_key_store_usage(store, key, 0, &out->days, &out->n_days, err);
    for (size_t i = 0; status == SOCLE_OK && i < out->n_days; i++) {
        sc_usage_add(&out->total, &out->days[i].usage);
        if (out->days[i].last_used > out->last_used) out->last_used = out->days[i].last_used;
    }
    return status;
}

// "999", "12.3k", "4.5M".
static const char *print_count(uint64_t n, char out[12])
{
    static const char units[] = " kMGTPE";
    double value = (double)n;
    size_t unit = 0;
    for (; value >= 999.5 && unit < sizeof units - 2; unit++) value /= 1000;
    if (unit == 0) snprintf(out, 12, "%.0f", value);
    else snprintf(out, 12, value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return out;
}

static const char *print_usage(const struct sc_usage *usage, char out[32])
{
    char requests[12], tokens[12];
    snprintf(out, 32, "%s / %s", print_count(usage->n_requests, requests),
             print_count(usage->n_prompt + usage->n_generated, tokens));
    return out;
}

static void print_limits(const struct sc_key *key)
{
    char scopes[SC_SCOPES_TEXT_BYTES];
    sc_scopes_print(key->scopes, scopes);
    printf("      %s%s", cli_dim(stdout), *scopes ? scopes : "no scopes");
    if (key->limits.requests_per_minute) printf("; %u requests a minute", key->limits.requests_per_minute);
    if (key->limits.tokens_per_day) printf("; %llu tokens a day", (unsigned long long)key->limits.tokens_per_day);
    if (key->limits.concurrency) printf("; %u at once", key->limits.concurrency);
    printf("%s\n", cli_reset(stdout));
}

static void print_row(const struct sc_key_row *row, const struct history *history, int64_t now, int64_t first_day)
{
    char expires[16], used[16], today[32], total[32];
    bool active = strcmp(sc_key_state(&row->key, now), "active") == 0;
    printf("%4lld  %s", (long long)row->key.id, active ? cli_bold(stdout) : cli_dim(stdout));
    size_t width = cli_put_text(stdout, row->key.name, strlen(row->key.name), 14);
    print_date(row->key.expires, expires);
    print_date(history->last_used, used);
    printf("%s%*s  %-7s  %-10s  %-10s  %-13s  %s\n", cli_reset(stdout), (int)(14 - width), "",
           sc_key_state(&row->key, now), *expires ? expires : "never", *used ? used : "never",
           print_usage(&row->today, today), print_usage(&history->total, total));
    print_limits(&row->key);
    for (size_t i = 0; i < history->n_days; i++)
        if (history->days[i].day >= first_day)
            printf("%48s  %s\n", print_date(history->days[i].day * 86400, used),
                   print_usage(&history->days[i].usage, today));
}

static json_t *usage_json(const struct sc_usage *usage)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "requests", (json_int_t)usage->n_requests, "prompt_tokens",
                     (json_int_t)usage->n_prompt, "cached_tokens", (json_int_t)usage->n_cached, "generated_tokens",
                     (json_int_t)usage->n_generated);
}

static json_t *limit_json(uint64_t limit) { return limit ? json_integer((json_int_t)limit) : json_null(); }

static json_t *row_json(const struct sc_key_row *row, const struct history *history, int64_t now, int64_t first_day)
{
    const struct sc_key *key = &row->key;
    json_t *scopes = json_array(), *days = json_array();
    for (size_t i = 0; sc_scope_name(i); i++)
        if (key->scopes >> i & 1) json_array_append_new(scopes, json_string(sc_scope_name(i)));
    for (size_t i = 0; i < history->n_days; i++) {
        char date[16];
        if (history->days[i].day < first_day) continue;
        json_array_append_new(days, json_pack("{s:s, s:o}", "day", print_date(history->days[i].day * 86400, date),
                                              "usage", usage_json(&history->days[i].usage)));
    }
    json_t *limits = json_pack("{s:o, s:o, s:o}", "requests_per_minute", limit_json(key->limits.requests_per_minute),
                               "tokens_per_day", limit_json(key->limits.tokens_per_day), "concurrency",
                               limit_json(key->limits.concurrency));
    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)key->id, "name",
                     key->name, "state", sc_key_state(key, now), "scopes", scopes, "limits", limits, "created",
                     json_time(key->created), "expires", json_time(key->expires), "revoked", json_time(key->revoked),
                     "last_used", json_time(history->last_used), "today", usage_json(&row->today), "total",
                     usage_json(&history->total), "days", days);
}

static int list(struct sc_key_store *store, const struct key_options *o, const char *database)
{
    int64_t now = (int64_t)time(NULL), first_day = o->n_days ? sc_day_of(now) - o->n_days + 1 : INT64_MAX;
    struct sc_key_row *rows = NULL;
    size_t n = 0;
    socle_error err;
    if (sc_key_store_list(store, sc_day_of(now), &rows, &n, &err) != SOCLE_OK) return cli_fail(&err);
    json_t *keys = json_array();
    if (!o->json && n)
        printf("%s%4s  %-14s  %-7s  %-10s  %-10s  %-13s  %s%s\n", cli_dim(stdout), "id", "name", "state", "expires",
               "last used", "today", "in all", cli_reset(stdout));
    socle_status status = SOCLE_OK;
    for (size_t i = 0; i < n && status == SOCLE_OK; i++) {
        struct history history;
        status = read_history(store, rows[i].key.id, &history, &err);
        if (status != SOCLE_OK) break;
        if (o->json) json_array_append_new(keys, row_json(&rows[i], &history, now, first_day));
        else print_row(&rows[i], &history, now, first_day);
        free(history.days);
    }
    free(rows);
    if (!o->json && n && status == SOCLE_OK)
        printf("%s      usage: requests / tokens of prompts and answers; days in UTC%s\n", cli_dim(stdout),
               cli_reset(stdout));
    if (!o->json && n == 0) printf("no keys: 'socle key add NAME' makes one\n");
    if (status == SOCLE_OK && o->json)
        return cli_print_json(json_pack("{s:s, s:o}", "database", database, "keys", keys));
    json_decref(keys);
    return status == SOCLE_OK ? SOCLE_OK : cli_fail(&err);
}

// ---- the command

// Options of another action than this would be ignored in silence.
static int check_options(const struct key_options *o, const char *action)
{
    bool adds = strcmp(action, "add") == 0, lists = strcmp(action, "list") == 0;
    bool of_add = o->scopes || o->expires || o->requests_per_minute || o->tokens_per_day || o->concurrency;
    if (of_add && !adds) return cli_misuse("scopes, expiry and limits belong to 'socle key add'");
    if (o->json && !lists) return cli_misuse("--json belongs to 'socle key list'");
    if (o->n_days && !lists) return cli_misuse("--days belongs to 'socle key list'");
    return -1;
}

static int act(const struct key_options *o, const char *action, const char *name)
{
    bool adds = strcmp(action, "add") == 0;
    char *database = NULL;
    struct sc_key_store *store = NULL;
    socle_error err;
    if (adds && sc_key_check_name(name, &err) != SOCLE_OK) return cli_fail(&err);
    socle_status status = SOCLE_OK;
    if (!o->database) status = sc_key_store_default_path(&database, &err);
    const char *path = o->database ? o->database : database;
    if (status == SOCLE_OK) status = sc_key_store_open(path, adds, &store, &err);
    int code;
    if (status != SOCLE_OK) code = cli_fail(&err);
    else if (adds) code = add(store, o, name, path);
    else code = name ? revoke(store, name) : list(store, o, path);
    sc_key_store_close(store);
    free(database);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    static const char *const actions[] = { "add", "list", "revoke" };
    struct key_options o = { 0 };
    const char *operands[2] = { NULL, NULL };
    size_t n_operands = 0;
    const struct cli_option options[] = {
        { "db", 0, CLI_TEXT, &o.database, "FILE", "the database (default: socle/keys.db in $XDG_STATE_HOME)" },
        { "Options of add", 0, CLI_FLAG, NULL, NULL, NULL },
        { "scopes", 0, CLI_TEXT, &o.scopes, "LIST", "chat, embeddings, admin (default: chat,embeddings)" },
        { "expires", 0, CLI_TEXT, &o.expires, "WHEN", "12h, 30d, 4w, 1y, or a date (default: never)" },
        { "requests-per-minute", 0, CLI_U32, &o.requests_per_minute, "N", "so many at once, then 60/N s apart" },
        { "tokens-per-day", 0, CLI_U64, &o.tokens_per_day, "N", "computed tokens: prompts less cached ones, answers" },
        { "concurrency", 0, CLI_U32, &o.concurrency, "N", "requests at the same time" },
        { "Options of list", 0, CLI_FLAG, NULL, NULL, NULL },
        { "days", 0, CLI_U32, &o.n_days, "N", "also the usage of each of the last days" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "everything as JSON" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, operands, 2, &n_operands);
    if (code >= 0) return code;
    if (n_operands == 0) return cli_misuse("expected add, list or revoke; 'socle key --help' explains");
    const char *action = operands[0];
    bool known = false;
    for (size_t i = 0; i < 3; i++) known = known || strcmp(action, actions[i]) == 0;
    if (!known) {
        const char *meant = cli_suggest(action, actions, 3);
        return cli_misuse("expected add, list or revoke, found '%s'%s%s%s", action, meant ? ": did you mean '" : "",
                          meant ? meant : "", meant ? "'?" : "");
    }
    bool lists = strcmp(action, "list") == 0;
    if (lists && n_operands == 2) return cli_misuse("unexpected '%s'; 'socle key --help' explains", operands[1]);
    if (!lists && n_operands != 2) return cli_misuse("'socle key %s' needs the name of a key", action);
    code = check_options(&o, action);
    return code >= 0 ? code : act(&o, action, operands[1]);
}

const struct cli_command cli_key = {
    .name = "key",
    .summary = "say who may use the server: add, list, revoke API keys",
    .usage = "add NAME | list | revoke NAME|ID [options]",
    .examples = "  socle key add alice                      # prints the key, once\n"
                "  socle key add ward-3 --scopes chat --expires 90d --tokens-per-day 200000\n"
                "  socle key list                           # who there is, and what they used\n"
                "  socle key revoke alice                   # at once, in a running server, too\n",
    .run = run,
};
