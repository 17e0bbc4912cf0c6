// An API key: who asks, what it may do and how much of it.
//
// A key's text is "sk-socle-" and 64 hexadecimal digits, 32 bytes from the kernel's random numbers. It is shown once
// and kept nowhere: the database has SHA-256 of a label and the text. Nobody can guess 256 bits, so a slow hash as
// passwords need would protect nothing more.
#ifndef SC_SERVER_KEY_H
#define SC_SERVER_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    SC_KEY_RANDOM_BYTES = 32,
    SC_KEY_TEXT_BYTES = 9 + 2 * SC_KEY_RANDOM_BYTES, // without the NUL
    SC_KEY_HASH_BYTES = 32,
    SC_KEY_NAME_BYTES = 64, // at most, without the NUL
    SC_SCOPES_TEXT_BYTES = 64,
};

// What a key may be used for, bits of a set.
enum sc_scope {
    SC_SCOPE_CHAT = 1 << 0,       // answers and completions, counting tokens, listing models
    SC_SCOPE_EMBEDDINGS = 1 << 1, // embeddings
    SC_SCOPE_ADMIN = 1 << 2,      // what runs the server: metrics, loading, usage of others
};

struct sc_key_limits {
    uint32_t requests_per_minute; // 0: no limit; as everywhere here
    uint64_t tokens_per_day;      // computed ones: prompt - cached + generated; days are UTC's
    uint32_t concurrency;         // requests at the same time
};

struct sc_key {
    int64_t id; // positive; never used again, even after a key is gone
    char name[SC_KEY_NAME_BYTES + 1];
    unsigned scopes;                   // of enum sc_scope
    int64_t created, expires, revoked; // seconds since 1970; 0: never
    struct sc_key_limits limits;
};

// What requests took.
struct sc_usage {
    uint64_t n_requests;
    uint64_t n_prompt;    // tokens of prompts
    uint64_t n_cached;    // of these, tokens that a cache supplied
    uint64_t n_generated; // tokens of answers
};

void sc_usage_add(struct sc_usage *sum, const struct sc_usage *more);
uint64_t sc_usage_computed(const struct sc_usage *usage); // tokens that count towards tokens_per_day
bool sc_usage_is_zero(const struct sc_usage *usage);

// Writes a new key's text and a NUL. Fails where the kernel gives no random numbers.
socle_status sc_key_make(char text[SC_KEY_TEXT_BYTES + 1], socle_error *err);
// Whether text has the form of a key. Says nothing about whether it is one.
bool sc_key_is_formed(const char *text, size_t n_bytes);
// The hash under which a key is known; text has the form of one.
socle_status sc_key_hash(const char *text, uint8_t hash[SC_KEY_HASH_BYTES], socle_error *err);
// Whether two hashes are the same, in a time that does not depend on where they differ.
bool sc_key_hash_equal(const uint8_t a[SC_KEY_HASH_BYTES], const uint8_t b[SC_KEY_HASH_BYTES]);

// Refuses names that are empty, too long, all digits (an id could be meant), begin with '-', or have bytes that are not
// printable; names are ASCII so that two of them never look alike.
socle_status sc_key_check_name(const char *name, socle_error *err);

// "chat,embeddings" as a set; the message of a refusal names the scopes there are.
socle_status sc_scopes_parse(const char *text, unsigned *out, socle_error *err);
// The same for text from a database, which a later version may have written: unknown names give no right.
unsigned sc_scopes_known(const char *text);
void sc_scopes_print(unsigned scopes, char out[SC_SCOPES_TEXT_BYTES]);
const char *sc_scope_name(size_t i); // of bit i; NULL past the last

// "active", "expired" or "revoked" at a time in seconds since 1970.
const char *sc_key_state(const struct sc_key *key, int64_t now);

#endif
