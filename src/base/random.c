#include "base/random.h"

void sc_philox(uint32_t c[4], const uint32_t key[2])
{
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xd2511f53 * c[0], b = (uint64_t)0xcd9e8d57 * c[2];
        uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k1,
                             (uint32_t)a };
        for (int i = 0; i < 4; i++) c[i] = next[i];
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
}

double sc_random_uniform(uint64_t seed, uint64_t position, enum sc_random_purpose purpose)
{
    uint32_t counter[4] = { (uint32_t)position, (uint32_t)(position >> 32), (uint32_t)purpose, 0 };
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    sc_philox(counter, key);
    uint64_t bits = ((uint64_t)counter[0] << 32 | counter[1]) >> 11;
    return (double)bits * 0x1p-53;
}

// Lemire, "Fast Random Integer Generation in an Interval" (2019): the upper half of a word times n, but for the words
// that would make some results more frequent. Each try takes the next word, four to a counter.
uint32_t sc_random_below(uint64_t seed, uint64_t position, enum sc_random_purpose purpose, uint32_t n)
{
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) }, least = -n % n;
    for (uint32_t turn = 0;; turn++) {
        uint32_t counter[4] = { (uint32_t)position, (uint32_t)(position >> 32), (uint32_t)purpose, turn };
        sc_philox(counter, key);
        for (int i = 0; i < 4; i++) {
            uint64_t product = (uint64_t)counter[i] * n;
            if ((uint32_t)product >= least) return (uint32_t)(product >> 32);
        }
    }
}
