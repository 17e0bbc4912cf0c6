#include "server/guard.h"

#include <stdlib.h>
#include <string.h>

#include "server/keys.h"

// What the keys were told at the start of an exchange.
struct admission {
    int64_t id;
    struct sc_usage usage;
};

static unsigned scope_of(const char *name)
{
    if (strcmp(name, "chat") == 0) return SC_SCOPE_CHAT;
    if (strcmp(name, "embeddings") == 0) return SC_SCOPE_EMBEDDINGS;
    if (strcmp(name, "admin") == 0) return SC_SCOPE_ADMIN;
    return SC_SCOPE_CHAT | SC_SCOPE_EMBEDDINGS | SC_SCOPE_ADMIN; // "any": whoever has a key
}

static void refuse(struct exchange *ex, enum sc_key_verdict verdict, double wait_seconds)
{
    static const int statuses[] = {
        [SC_KEY_MISSING] = 401,      [SC_KEY_UNKNOWN] = 401,    [SC_KEY_EXPIRED] = 401,  [SC_KEY_REVOKED] = 401,
        [SC_KEY_RATE_LIMITED] = 429, [SC_KEY_QUOTA_USED] = 429, [SC_KEY_TOO_MANY] = 429, [SC_KEY_UNAVAILABLE] = 503
    };
    const char *code = statuses[verdict] == 401   ? "invalid_api_key"
                       : statuses[verdict] == 429 ? "rate_limit_exceeded"
                                                  : NULL;
    if (statuses[verdict] != 401)
        snprintf(ex->retry_after, sizeof ex->retry_after, "%.0f", wait_seconds > 1 ? wait_seconds + 0.5 : 1.0);
    exchange_fail(ex, statuses[verdict], code, NULL, "%s", sc_key_verdict_text(verdict));
}

void guard_admit(struct exchange *ex)
{
    struct sc_keys *keys = ex->server->keys;
    struct sc_key key;
    double wait_seconds = 0;
    if (!keys || !*ex->route->scope) return;
    const char *header = MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, "Authorization");
    if (!header) header = MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, "x-api-key");
    enum sc_key_verdict verdict = sc_keys_authenticate(keys, header, &key);
    if (verdict == SC_KEY_FINE && !(key.scopes & scope_of(ex->route->scope))) {
        exchange_fail(ex, 403, NULL, NULL, "The API key '%s' may not do this: it lacks the scope '%s'", key.name,
                      ex->route->scope);
        return;
    }
    if (verdict == SC_KEY_FINE) verdict = sc_keys_begin(keys, key.id, &wait_seconds);
    if (verdict != SC_KEY_FINE) {
        refuse(ex, verdict, wait_seconds);
        return;
    }
    struct admission *admission = calloc(1, sizeof *admission);
    if (!admission) {
        sc_keys_end(keys, key.id, &(struct sc_usage){ 0 });
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
        return;
    }
    *admission = (struct admission){ .id = key.id, .usage.n_requests = 1 };
    ex->admission = admission;
}

void guard_leave(struct exchange *ex)
{
    struct admission *admission = ex->admission;
    if (admission) sc_keys_end(ex->server->keys, admission->id, &admission->usage);
    free(admission);
    ex->admission = NULL;
}

void guard_count(struct exchange *ex, uint32_t n_prompt, uint32_t n_cached, uint32_t n_generated)
{
    struct admission *admission = ex->admission;
    if (!admission) return;
    struct sc_usage more = { 0, n_prompt, n_cached, n_generated };
    sc_usage_add(&admission->usage, &more);
}

uint64_t guard_group(const struct exchange *ex)
{
    const struct admission *admission = ex->admission;
    return admission ? (uint64_t)admission->id : 0;
}
