// SHA-256, piece by piece. Source: NIST, FIPS 180-4, "Secure Hash Standard".
#ifndef SC_BASE_SHA256_H
#define SC_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SC_SHA256_BYTES = 32 };

// A digest under way: begin, any number of adds, end.
struct sc_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;  // added so far
    uint8_t block[64]; // the last n_bytes % 64 of these
};

void sc_sha256_begin(struct sc_sha256 *sha);
void sc_sha256_add(struct sc_sha256 *sha, const void *bytes, size_t n_bytes);
// Afterwards `sha` must be begun anew.
void sc_sha256_end(struct sc_sha256 *sha, uint8_t out[SC_SHA256_BYTES]);

#endif
