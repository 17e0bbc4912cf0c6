#include "server/key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/size.h"

static const char prefix[] = "sk-socle-";
// Hashed before the text, so that the hash of a key is no hash that anything else makes of the same text.
static const char domain[] = "socle api key 1";
static const char *const scope_names[] = { "chat", "embeddings", "admin" };

// ---- usage

void sc_usage_add(struct sc_usage *sum, const struct sc_usage *more)
{
    sum->n_requests += more->n_requests;
    sum->n_prompt += more->n_prompt;
    sum->n_cached += more->n_cached;
    sum->n_generated += more->n_generated;
}

uint64_t sc_usage_computed(const struct sc_usage *usage)
{
    uint64_t n_cached = SC_MIN(usage->n_cached, usage->n_prompt);
    return usage->n_prompt - n_cached + usage->n_generated;
}

bool sc_usage_is_zero(const struct sc_usage *usage)
{
    return (usage->n_requests | usage->n_prompt | usage->n_cached | usage->n_generated) == 0;
}

// ---- texts and hashes

socle_status sc_key_make(char text[SC_KEY_TEXT_BYTES + 1], socle_error *err)
{
    uint8_t random[SC_KEY_RANDOM_BYTES];
    for (size_t n = 0; n < sizeof random;) {
        ssize_t got = getrandom(random + n, sizeof random - n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return sc_fail(err, SOCLE_IO, "the system gives no random numbers: %s", strerror(errno));
        n += (size_t)got;
    }
    memcpy(text, prefix, sizeof prefix - 1);
    for (size_t i = 0; i < sizeof random; i++) snprintf(text + sizeof prefix - 1 + 2 * i, 3, "%02x", random[i]);
    explicit_bzero(random, sizeof random);
    return SOCLE_OK;
}

bool sc_key_is_formed(const char *text, size_t n_bytes)
{
    if (n_bytes != SC_KEY_TEXT_BYTES || memcmp(text, prefix, sizeof prefix - 1) != 0) return false;
    for (size_t i = sizeof prefix - 1; i < n_bytes; i++) {
        bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!digit) return false;
    }
    return true;
}

socle_status sc_key_hash(const char *text, uint8_t hash[SC_KEY_HASH_BYTES], socle_error *err)
{
    char labelled[sizeof domain + SC_KEY_TEXT_BYTES];
    memcpy(labelled, domain, sizeof domain);
    memcpy(labelled + sizeof domain, text, SC_KEY_TEXT_BYTES);
    int code = gnutls_hash_fast(GNUTLS_DIG_SHA256, labelled, sizeof labelled, hash);
    explicit_bzero(labelled, sizeof labelled);
    return code == 0 ? SOCLE_OK : sc_fail(err, SOCLE_FAILED, "SHA-256 failed: %s", gnutls_strerror(code));
}

bool sc_key_hash_equal(const uint8_t a[SC_KEY_HASH_BYTES], const uint8_t b[SC_KEY_HASH_BYTES])
{
    return gnutls_memcmp(a, b, SC_KEY_HASH_BYTES) == 0;
}

// ---- names

socle_status sc_key_check_name(const char *name, socle_error *err)
{
    size_t n = strlen(name);
    if (n == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "a key needs a name");
    if (n > SC_KEY_NAME_BYTES)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a key's name has at most %d bytes, found %zu", SC_KEY_NAME_BYTES, n);
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "'%s': a key's name is of printable ASCII characters", name);
    if (name[0] == '-' || name[0] == ' ' || name[n - 1] == ' ')
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "'%s': a key's name begins and ends with something else", name);
    if (strspn(name, "0123456789") == n)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "'%s': a name of digits only could be taken for an id", name);
    return SOCLE_OK;
}

// ---- scopes

const char *sc_scope_name(size_t i) { return i < SC_COUNT(scope_names) ? scope_names[i] : NULL; }

// The bit of a name, 0 for an unknown one.
static unsigned scope_of(const char *name, size_t n_bytes)
{
    for (size_t i = 0; i < SC_COUNT(scope_names); i++)
        if (strlen(scope_names[i]) == n_bytes && memcmp(scope_names[i], name, n_bytes) == 0) return 1u << i;
    return 0;
}

void sc_scopes_print(unsigned scopes, char out[SC_SCOPES_TEXT_BYTES])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < SC_COUNT(scope_names); i++)
        if (scopes >> i & 1)
            n += (size_t)snprintf(out + n, SC_SCOPES_TEXT_BYTES - n, "%s%s", n ? "," : "", scope_names[i]);
}

socle_status sc_scopes_parse(const char *text, unsigned *out, socle_error *err)
{
    unsigned scopes = 0;
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        unsigned scope = scope_of(at, n);
        if (!scope) {
            char all[SC_SCOPES_TEXT_BYTES];
            sc_scopes_print(~0u, all);
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "no scope is called '%.*s': expected some of %s",
                           (int)SC_MIN(n, 40), at, all);
        }
        scopes |= scope;
        at += n;
        if (!*at) break;
    }
    *out = scopes;
    return SOCLE_OK;
}

unsigned sc_scopes_known(const char *text)
{
    unsigned scopes = 0;
    for (const char *at = text; *at; at += *at == ',') {
        size_t n = strcspn(at, ",");
        scopes |= scope_of(at, n);
        at += n;
    }
    return scopes;
}

const char *sc_key_state(const struct sc_key *key, int64_t now)
{
    return key->revoked ? "revoked" : key->expires && now >= key->expires ? "expired" : "active";
}
