// Q8_0: 32 signed bytes under one f16 scale. ggml's type 8 (block_q8_0).
//
//     byte 0    2                                 34
//          | d  | q[0] q[1] …               q[31] |        weight[i] = d * q[i],  q in -128..127
#include "base/size.h"
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 34, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    out->d = sc_load_f16(bytes);
    out->scale[0] = 1;
    memcpy(out->q, bytes + 2, BLOCK_SIZE);
}

static void decode(const void *restrict blocks, float *restrict out, size_t n_blocks)
{
    const uint8_t *bytes = blocks;
    for (size_t b = 0; b < n_blocks; b++) {
        struct sc_block block;
        unpack(bytes + b * BLOCK_BYTES, &block);
        sc_block_expand(&block, BLOCK_SIZE, GROUP, false, out + b * BLOCK_SIZE);
    }
}

// With eight bits little is left to search: the number of largest magnitude becomes 127, or -128, or a little more.
static void encode(const float *restrict x, const float *importance, void *restrict blocks, size_t n_blocks)
{
    static const float targets[] = { 127.0f, 127.5f, -128.0f, -128.5f };
    uint8_t *bytes = blocks;
    struct sc_groups groups;
    for (size_t b = 0, n; b < n_blocks; b += n) {
        n = SC_MIN(n_blocks - b, (size_t)SC_SEARCH_LANES);
        float extreme[SC_SEARCH_LANES], d[SC_SEARCH_LANES], error[SC_SEARCH_LANES], least[SC_SEARCH_LANES];
        uint16_t half[SC_SEARCH_LANES], best[SC_SEARCH_LANES];
        sc_groups_load(&groups, x, importance, b, n, BLOCK_SIZE, BLOCK_SIZE);
        sc_groups_extreme(&groups, extreme);
        for (size_t t = 0; t < SC_COUNT(targets); t++) {
            memset(d, 0, sizeof d);
            for (size_t l = 0; l < n; l++) half[l] = sc_search_half(extreme[l] / targets[t], groups.unit[l], &d[l]);
            sc_groups_error(&groups, d, -128, 127, error);
            for (size_t l = 0; l < n; l++) {
                if (t > 0 && !(error[l] < least[l])) continue;
                least[l] = error[l];
                best[l] = half[l];
            }
        }
        for (size_t l = 0; l < n; l++) {
            uint8_t *block = bytes + (b + l) * BLOCK_BYTES;
            sc_store_u16(block, best[l]);
            sc_groups_quantize(&groups, l, sc_half_to_f32(best[l]) / groups.unit[l], 0.0f, -128, 127,
                               (int8_t *)block + 2);
        }
    }
}

static const struct sc_packing packing = { .bits = 8, .head = SC_HEAD_D };

const struct sc_format sc_format_q8_0 = {
    .name = "Q8_0",
    .id = 8,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
    .encode = encode,
};
