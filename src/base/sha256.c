#include "base/sha256.h"

#include <string.h>

#include "base/size.h"

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t load_big(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void store_big(uint8_t *b, uint32_t x)
{
    for (int i = 0; i < 4; i++) b[i] = (uint8_t)(x >> (24 - 8 * i));
}

// The message schedule: 16 words of the block, 48 mixed from them.
static void schedule(const uint8_t *block, uint32_t w[64])
{
    for (int i = 0; i < 16; i++) w[i] = load_big(block + 4 * (ptrdiff_t)i);
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

// s[0..8) are the standard's a to h.
static void add_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64], s[8];
    schedule(block, w);
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t sum1 = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25), choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t sum0 = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        uint32_t t1 = s[7] + sum1 + choice + round_constants[i] + w[i], t2 = sum0 + majority;
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

void sc_sha256_begin(struct sc_sha256 *sha)
{
    // Of the square roots of the first eight primes.
    static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    memcpy(sha->state, first, sizeof first);
    sha->n_bytes = 0;
}

void sc_sha256_add(struct sc_sha256 *sha, const void *bytes, size_t n_bytes)
{
    const uint8_t *next = bytes;
    size_t n_held = sha->n_bytes % 64;
    sha->n_bytes += n_bytes;
    if (n_held) {
        size_t n = SC_MIN(n_bytes, 64 - n_held);
        memcpy(sha->block + n_held, next, n);
        if (n_held + n < 64) return;
        add_block(sha->state, sha->block);
        next += n;
        n_bytes -= n;
    }
    for (; n_bytes >= 64; n_bytes -= 64, next += 64) add_block(sha->state, next);
    if (n_bytes) memcpy(sha->block, next, n_bytes);
}

void sc_sha256_end(struct sc_sha256 *sha, uint8_t out[SC_SHA256_BYTES])
{
    static const uint8_t padding[64] = { 0x80 };
    uint8_t n_bits[8];
    uint64_t n = sha->n_bytes;
    store_big(n_bits, (uint32_t)(n >> 29));
    store_big(n_bits + 4, (uint32_t)(n << 3));
    sc_sha256_add(sha, padding, 1 + (119 - n % 64) % 64); // up to 8 bytes short of a block
    sc_sha256_add(sha, n_bits, sizeof n_bits);
    for (int i = 0; i < 8; i++) store_big(out + 4 * (ptrdiff_t)i, sha->state[i]);
}
