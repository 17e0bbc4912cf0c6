#include "tensor/packed.h"

#include "base/size.h"
#include "tensor/parts.h"

enum { CHUNK = 32, WORD = 4, VECTOR = WORD * SC_GROUP_ROWS }; // elements of a run of codes; bytes

struct sc_tile_layout sc_tile_layout(const struct sc_format *format, size_t n)
{
    enum sc_head head = format->packing->head;
    size_t n_blocks = n / format->block_size, n_groups = format->block_size / format->group;
    bool has_m = head == SC_HEAD_DM || head == SC_HEAD_DM_SIX_BITS || head == SC_HEAD_DM_NIBBLES;
    struct sc_tile_layout layout = { .d_bytes = head == SC_HEAD_E8M0 ? 1 : 2 };
    layout.m_offset = n_blocks * SC_GROUP_ROWS * layout.d_bytes;
    layout.scales_offset = layout.m_offset + (has_m ? n_blocks * SC_GROUP_ROWS * 2 : 0);
    if (head == SC_HEAD_DM_SIX_BITS) layout.n_scale_bytes = 12;
    if (head == SC_HEAD_D_SCALES || head == SC_HEAD_DM_NIBBLES) layout.n_scale_bytes = n_groups;
    layout.head_bytes = sc_align_up(layout.scales_offset + layout.n_scale_bytes * SC_GROUP_ROWS, SC_TILE_ALIGNMENT);
    layout.codes_bytes = n / CHUNK * format->packing->bits * VECTOR;
    return layout;
}

size_t sc_packed_tile_bytes(const struct sc_format *format, size_t n)
{
    if (!format->packing) return n * SC_GROUP_ROWS * format->block_bytes;
    struct sc_tile_layout layout = sc_tile_layout(format, n);
    return layout.head_bytes + layout.codes_bytes;
}

size_t sc_packed_group_bytes(const struct sc_format *format, size_t k)
{
    size_t rest = k % SC_TILE_ELEMENTS;
    return k / SC_TILE_ELEMENTS * sc_packed_tile_bytes(format, SC_TILE_ELEMENTS) +
           (rest ? sc_packed_tile_bytes(format, rest) : 0);
}

// ---- writing

// The planes of 32 codes of one lane, as bytes in a row: 4 for each vector. Four codes are moved at once, as a word.
static inline uint32_t quad(const uint8_t *code)
{
    uint32_t word; // in any order of bytes: nothing below moves bits from one byte into another
    memcpy(&word, code, sizeof word);
    return word;
}

static inline uint8_t *put_four_bits(uint8_t *to, const uint8_t *code)
{
    for (size_t i = 0; i < 16; i++) to[i] = (uint8_t)((code[i] & 15) | code[16 + i] << 4);
    return to + 16;
}

static inline uint8_t *put_two_bits(uint8_t *to, const uint8_t *code, unsigned shift)
{
    for (size_t t = 0; t < 2; t++, to += WORD, code += 16) {
        uint32_t word = 0;
        for (size_t b = 0; b < 4; b++) word |= (quad(code + 4 * b) >> shift & 0x03030303u) << (2 * b);
        memcpy(to, &word, WORD);
    }
    return to;
}

static inline void put_one_bit(uint8_t *to, const uint8_t *code, unsigned shift)
{
    uint32_t word = 0;
    for (size_t b = 0; b < 8; b++) word |= (quad(code + 4 * b) >> shift & 0x01010101u) << b;
    memcpy(to, &word, WORD);
}

// n codes, numbers plus an offset, of one lane. Inlined for each number of bits.
static inline __attribute__((always_inline)) void put_codes(unsigned bits, const int8_t *q, size_t n, uint8_t offset,
                                                            uint8_t *to)
{
    for (; n > 0; n -= CHUNK, q += CHUNK, to += bits * VECTOR) {
        uint8_t code[CHUNK], planes[CHUNK], *high = planes;
        for (size_t i = 0; i < CHUNK; i++) code[i] = (uint8_t)(q[i] + offset);
        if (bits == 8) memcpy(planes, code, CHUNK);
        else high = bits >= 4 ? put_four_bits(planes, code) : put_two_bits(planes, code, 0);
        if (bits == 6) put_two_bits(high, code, 4);
        if (bits == 5) put_one_bit(high, code, 4);
        if (bits == 3) put_one_bit(high, code, 2);
        for (size_t v = 0; v < bits; v++) memcpy(to + v * VECTOR, planes + v * WORD, WORD);
    }
}

// d, m and scales of block b of lane r. The bytes of d and m are those of the file.
static void put_head(const struct sc_format *format, const struct sc_tile_layout *layout, uint8_t *tile, size_t r,
                     size_t b, const uint8_t *bytes, const struct sc_block *block)
{
    const struct sc_packing *packing = format->packing;
    size_t lane = b * SC_GROUP_ROWS + r;
    const uint8_t *d = bytes + packing->d_at;
    uint8_t *scales = tile + layout->scales_offset + r, *m = tile + layout->m_offset + 2 * lane;
    if (layout->d_bytes == 1) tile[lane] = *d;
    else memcpy(tile + 2 * lane, d, 2);
    if (format->has_min) memcpy(m, d + 2, 2);
    if (packing->minus_m) m[1] ^= 0x80;
    for (size_t j = 0; j < layout->n_scale_bytes; j++) {
        uint8_t byte = (uint8_t)block->scale[j % SC_GROUPS_MAX];
        if (packing->head == SC_HEAD_DM_NIBBLES) byte = (uint8_t)(block->scale[j] | block->min[j] << 4);
        if (packing->head == SC_HEAD_DM_SIX_BITS) byte = sc_six_bits_byte(block->scale, block->min, j);
        scales[j * SC_GROUP_ROWS] = byte;
    }
}

// One row of one tile.
static inline __attribute__((always_inline)) void pack_lane(unsigned bits, const struct sc_format *format,
                                                            const struct sc_tile_layout *layout, const uint8_t *blocks,
                                                            size_t n, uint8_t *tile, size_t r)
{
    const struct sc_packing *packing = format->packing;
    void (*unpack)(const void *, struct sc_block *) = packing->codes ? packing->codes : format->unpack;
    uint8_t *codes = tile + layout->head_bytes + r * WORD;
    size_t size = format->block_size;
    struct sc_block block;
    for (size_t b = 0; b < n / size; b++, blocks += format->block_bytes, codes += size / CHUNK * bits * VECTOR) {
        unpack(blocks, &block);
        put_head(format, layout, tile, r, b, blocks, &block);
        put_codes(bits, block.q, size, (uint8_t)packing->offset, codes);
    }
}

static void pack_quantized_lane(const struct sc_format *format, const struct sc_tile_layout *layout,
                                const uint8_t *blocks, size_t n, uint8_t *tile, size_t r)
{
    switch (format->packing->bits) { // so that compilers make code for each
    case 2: pack_lane(2, format, layout, blocks, n, tile, r); break;
    case 3: pack_lane(3, format, layout, blocks, n, tile, r); break;
    case 4: pack_lane(4, format, layout, blocks, n, tile, r); break;
    case 5: pack_lane(5, format, layout, blocks, n, tile, r); break;
    case 6: pack_lane(6, format, layout, blocks, n, tile, r); break;
    default: pack_lane(8, format, layout, blocks, n, tile, r);
    }
}

static void pack_float_lane(const uint8_t *row, size_t n, size_t bytes, uint8_t *group, size_t r)
{
    if (bytes == 4)
        for (size_t i = 0; i < n; i++) memcpy(group + 4 * (i * SC_GROUP_ROWS + r), row + 4 * i, 4);
    else
        for (size_t i = 0; i < n; i++) memcpy(group + 2 * (i * SC_GROUP_ROWS + r), row + 2 * i, 2);
}

static void pack_tile(const struct sc_format *format, const uint8_t *rows, size_t row_stride, size_t n_rows, size_t n,
                      uint8_t *tile)
{
    if (!format->packing) {
        for (size_t r = 0; r < n_rows; r++) pack_float_lane(rows + r * row_stride, n, format->block_bytes, tile, r);
        return;
    }
    struct sc_tile_layout layout = sc_tile_layout(format, n);
    memset(tile + layout.head_bytes - SC_TILE_ALIGNMENT, 0, SC_TILE_ALIGNMENT); // what pads the head is zero
    for (size_t r = 0; r < n_rows; r++) pack_quantized_lane(format, &layout, rows + r * row_stride, n, tile, r);
}

void sc_pack_group(const struct sc_format *format, const void *rows, size_t row_stride, size_t n_rows, size_t k,
                   void *group)
{
    uint8_t *tile = group;
    const uint8_t *at = rows;
    if (n_rows < SC_GROUP_ROWS) memset(group, 0, sc_packed_group_bytes(format, k));
    for (size_t start = 0; start < k; start += SC_TILE_ELEMENTS) {
        size_t n = SC_MIN(k - start, (size_t)SC_TILE_ELEMENTS);
        pack_tile(format, at, row_stride, n_rows, n, tile);
        at += sc_format_row_bytes(format, n);
        tile += sc_packed_tile_bytes(format, n);
    }
}

// ---- reading

static void get_codes(unsigned bits, const uint8_t *codes, size_t r, uint8_t code[CHUNK])
{
    const uint8_t *low = codes + r * WORD, *high = low + (bits >= 4 ? 4 : 2) * VECTOR;
    for (size_t i = 0; i < CHUNK; i++) {
        size_t j = i % 4;
        unsigned two = 0, one = 0;
        if (bits == 6) two = high[i / 16 * VECTOR + j] >> (i % 16 / 4 * 2) & 3u;
        if (bits == 5 || bits == 3) one = high[j] >> (i / 4) & 1u;
        if (bits == 8) code[i] = low[i / 4 * VECTOR + j];
        else if (bits >= 4)
            code[i] = (uint8_t)((low[i % 16 / 4 * VECTOR + j] >> (i / 16 * 4) & 15u) | (two | one) << 4);
        else code[i] = (uint8_t)((low[i / 16 * VECTOR + j] >> (i % 16 / 4 * 2) & 3u) | one << 2);
    }
}

static void get_head(const struct sc_format *format, const struct sc_tile_layout *layout, const uint8_t *tile, size_t r,
                     size_t b, struct sc_block *out)
{
    const uint8_t *scales = tile + layout->scales_offset + r;
    size_t lane = b * SC_GROUP_ROWS + r;
    out->d = layout->d_bytes == 1 ? sc_exponent_to_f32(tile[lane]) : sc_load_f16(tile + 2 * lane);
    if (format->has_min) out->m = sc_load_f16(tile + layout->m_offset + 2 * lane);
    out->scale[0] = 1;
    out->min[0] = 1;
    uint8_t bytes[SC_GROUPS_MAX] = { 0 };
    for (size_t j = 0; j < layout->n_scale_bytes; j++) bytes[j] = scales[j * SC_GROUP_ROWS];
    if (format->packing->head == SC_HEAD_DM_SIX_BITS) sc_unpack_six_bits(bytes, out->scale, out->min);
    for (size_t j = 0; j < layout->n_scale_bytes; j++) {
        if (format->packing->head == SC_HEAD_D_SCALES) out->scale[j] = (int8_t)bytes[j];
        if (format->packing->head != SC_HEAD_DM_NIBBLES) continue;
        out->scale[j] = bytes[j] & 15;
        out->min[j] = bytes[j] >> 4;
    }
}

void sc_packed_block(const struct sc_format *format, const void *tile, size_t n, size_t r, size_t b,
                     struct sc_block *out)
{
    const struct sc_packing *packing = format->packing;
    struct sc_tile_layout layout = sc_tile_layout(format, n);
    get_head(format, &layout, tile, r, b, out);
    const uint8_t *codes = (const uint8_t *)tile + layout.head_bytes +
                           b * (format->block_size / CHUNK) * packing->bits * VECTOR;
    for (size_t i = 0; i < format->block_size; i += CHUNK, codes += packing->bits * VECTOR) {
        uint8_t code[CHUNK];
        get_codes(packing->bits, codes, r, code);
        for (size_t j = 0; j < CHUNK; j++)
            out->q[i + j] = packing->codebook ? packing->codebook[code[j]] : (int8_t)(code[j] - packing->offset);
    }
}

static void decode_tile(const struct sc_format *format, const uint8_t *tile, size_t n, size_t r, float *out)
{
    if (!format->packing) {
        for (size_t i = 0; i < n; i++) format->decode(tile + (i * SC_GROUP_ROWS + r) * format->block_bytes, out + i, 1);
        return;
    }
    for (size_t b = 0; b < n / format->block_size; b++) {
        struct sc_block block;
        sc_packed_block(format, tile, n, r, b, &block);
        sc_block_expand(&block, format->block_size, format->group, format->has_min, out + b * format->block_size);
    }
}

void sc_packed_decode_row(const struct sc_format *format, const void *group, size_t k, size_t r, float *out)
{
    const uint8_t *tile = group;
    for (size_t start = 0; start < k; start += SC_TILE_ELEMENTS) {
        size_t n = SC_MIN(k - start, (size_t)SC_TILE_ELEMENTS);
        decode_tile(format, tile, n, r, out + start);
        tile += sc_packed_tile_bytes(format, n);
    }
}

// ---- reading sixteen lanes at once

// out[r] |= some bits of each lane's word in a plane, moved up by `up`.
static inline void add_bits(const uint8_t *plane, size_t vector, unsigned shift, uint32_t mask, unsigned up,
                            uint32_t out[SC_GROUP_ROWS])
{
    uint32_t words[SC_GROUP_ROWS];
    memcpy(words, plane + vector * VECTOR, sizeof words);
    for (size_t r = 0; r < SC_GROUP_ROWS; r++) out[r] |= (words[r] >> shift & mask) << up;
}

// Element e of 32 codes.
static inline void codes_at(unsigned bits, const uint8_t *codes, unsigned e, uint32_t out[SC_GROUP_ROWS])
{
    unsigned j = e % 4 * 8;
    const uint8_t *high = codes + (bits >= 4 ? 4 : 2) * VECTOR;
    memset(out, 0, SC_GROUP_ROWS * sizeof *out);
    if (bits == 8) add_bits(codes, e / 4, j, 255, 0, out);
    else if (bits >= 4) add_bits(codes, e % 16 / 4, j + e / 16 * 4, 15, 0, out);
    else add_bits(codes, e / 16, j + e % 16 / 4 * 2, 3, 0, out);
    if (bits == 6) add_bits(high, e / 16, j + e % 16 / 4 * 2, 3, 4, out);
    if (bits == 5) add_bits(high, 0, j + e / 4, 1, 4, out);
    if (bits == 3) add_bits(high, 0, j + e / 4, 1, 2, out);
}

// The factors of a block's groups, lane by lane: d * scale, m * min.
struct factors16 {
    float d[SC_GROUPS_MAX][SC_GROUP_ROWS], m[SC_GROUPS_MAX][SC_GROUP_ROWS];
};

static void get_factors(const struct sc_format *format, const struct sc_tile_layout *layout, const uint8_t *tile,
                        size_t b, struct factors16 *out)
{
    for (size_t r = 0; r < SC_GROUP_ROWS; r++) {
        struct sc_block block;
        get_head(format, layout, tile, r, b, &block);
        for (size_t g = 0; g < (size_t)(format->block_size / format->group); g++) {
            out->d[g][r] = block.d * (float)block.scale[g];
            out->m[g][r] = format->has_min ? block.m * (float)block.min[g] : 0.0f;
        }
    }
}

// Block b of all lanes: out[block_size][16].
static void decode_block(const struct sc_format *format, const uint8_t *tile, size_t n, size_t b, float *out)
{
    const struct sc_packing *packing = format->packing;
    struct sc_tile_layout layout = sc_tile_layout(format, n);
    struct factors16 factors;
    get_factors(format, &layout, tile, b, &factors);
    const uint8_t *codes = tile + layout.head_bytes + b * (format->block_size / CHUNK) * packing->bits * VECTOR;
    for (size_t i = 0; i < format->block_size; i++, out += SC_GROUP_ROWS) {
        uint32_t code[SC_GROUP_ROWS];
        int32_t q[SC_GROUP_ROWS];
        codes_at(packing->bits, codes + i / CHUNK * packing->bits * VECTOR, (unsigned)(i % CHUNK), code);
        for (size_t r = 0; r < SC_GROUP_ROWS; r++) q[r] = (int32_t)code[r] - packing->offset;
        for (size_t r = 0; r < SC_GROUP_ROWS && packing->bits == 8; r++) q[r] = (q[r] ^ 128) - 128; // a signed byte
        for (size_t r = 0; r < SC_GROUP_ROWS && packing->codebook; r++) q[r] = packing->codebook[code[r]];
        const float *d = factors.d[i / format->group], *m = factors.m[i / format->group];
        for (size_t r = 0; r < SC_GROUP_ROWS; r++) out[r] = d[r] * (float)q[r];
        for (size_t r = 0; r < SC_GROUP_ROWS && format->has_min; r++) out[r] = out[r] + m[r];
    }
}

void sc_packed_decode_columns(const struct sc_format *format, const void *group, size_t k, size_t i, size_t n,
                              float *out)
{
    for (size_t end = i + n, size = format->block_size; i < end; i += size, out += size * SC_GROUP_ROWS) {
        size_t start = i / SC_TILE_ELEMENTS * SC_TILE_ELEMENTS, tile = SC_MIN(k - start, (size_t)SC_TILE_ELEMENTS);
        const uint8_t *at = (const uint8_t *)group +
                            start / SC_TILE_ELEMENTS * sc_packed_tile_bytes(format, SC_TILE_ELEMENTS);
        decode_block(format, at, tile, (i - start) / size, out);
    }
}
