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

static void put_word(uint8_t *codes, size_t vector, size_t r, uint32_t word)
{
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) word = __builtin_bswap32(word);
    memcpy(codes + vector * VECTOR + r * WORD, &word, sizeof word);
}

static uint32_t quad(const uint8_t *code)
{
    return (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
}

// The planes of 32 codes. Each returns the first vector after its own.
static size_t put_four_bits(uint8_t *codes, size_t vector, size_t r, const uint8_t *code)
{
    for (size_t t = 0; t < 4; t++, vector++)
        put_word(codes, vector, r, (quad(code + 4 * t) & 0x0f0f0f0fu) | (quad(code + 16 + 4 * t) & 0x0f0f0f0fu) << 4);
    return vector;
}

static size_t put_two_bits(uint8_t *codes, size_t vector, size_t r, const uint8_t *code, unsigned shift)
{
    for (size_t t = 0; t < 2; t++, vector++) {
        uint32_t word = 0;
        for (size_t b = 0; b < 4; b++) word |= (quad(code + 16 * t + 4 * b) >> shift & 0x03030303u) << (2 * b);
        put_word(codes, vector, r, word);
    }
    return vector;
}

static void put_one_bit(uint8_t *codes, size_t vector, size_t r, const uint8_t *code, unsigned shift)
{
    uint32_t word = 0;
    for (size_t b = 0; b < 8; b++) word |= (quad(code + 4 * b) >> shift & 0x01010101u) << b;
    put_word(codes, vector, r, word);
}

static void put_codes(unsigned bits, uint8_t *codes, size_t r, const uint8_t *code)
{
    size_t vector = 0;
    if (bits == 8)
        for (; vector < 8; vector++) put_word(codes, vector, r, quad(code + 4 * vector));
    if (bits >= 4 && bits <= 6) vector = put_four_bits(codes, vector, r, code);
    if (bits == 6) put_two_bits(codes, vector, r, code, 4);
    if (bits == 5) put_one_bit(codes, vector, r, code, 4);
    if (bits <= 3) vector = put_two_bits(codes, vector, r, code, 0);
    if (bits == 3) put_one_bit(codes, vector, r, code, 2);
}

// Which code stands for each number.
static void invert_codebook(const struct sc_packing *packing, uint8_t code_of[256])
{
    for (unsigned q = 0; q < 256; q++) code_of[q] = (uint8_t)(q + (unsigned)packing->offset);
    for (unsigned code = 1u << packing->bits; packing->codebook && code-- > 0;)
        code_of[(uint8_t)packing->codebook[code]] = (uint8_t)code;
}

static void put_half(uint8_t *at, float value)
{
    uint16_t half = sc_half_from_f32(value);
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) half = __builtin_bswap16(half);
    memcpy(at, &half, sizeof half);
}

// The byte e of 2^(e - 128).
static uint8_t exponent_byte(float d)
{
    uint32_t bits = sc_bits_of_f32(d);
    return bits < 0x00800000u ? bits == 0x00400000u : (uint8_t)((bits >> 23) + 1);
}

static void put_head(const struct sc_format *format, const struct sc_tile_layout *layout, uint8_t *tile, size_t r,
                     size_t b, const struct sc_block *block)
{
    uint8_t *scales = tile + layout->scales_offset + r;
    size_t lane = b * SC_GROUP_ROWS + r;
    if (layout->d_bytes == 1) tile[lane] = exponent_byte(block->d);
    else put_half(tile + 2 * lane, block->d);
    if (format->has_min) put_half(tile + layout->m_offset + 2 * lane, block->m);
    for (size_t j = 0; j < layout->n_scale_bytes; j++) {
        uint8_t byte = (uint8_t)block->scale[j % SC_GROUPS_MAX];
        if (format->packing->head == SC_HEAD_DM_NIBBLES) byte = (uint8_t)(block->scale[j] | block->min[j] << 4);
        if (format->packing->head == SC_HEAD_DM_SIX_BITS) byte = sc_pack_six_bits(block->scale, block->min, j);
        scales[j * SC_GROUP_ROWS] = byte;
    }
}

// One row of one tile.
static void pack_lane(const struct sc_format *format, const uint8_t *blocks, size_t n, uint8_t *tile, size_t r,
                      const uint8_t code_of[256])
{
    const struct sc_packing *packing = format->packing;
    struct sc_tile_layout layout = sc_tile_layout(format, n);
    uint8_t *codes = tile + layout.head_bytes, code[SC_BLOCK_MAX];
    struct sc_block block;
    for (size_t b = 0; b < n / format->block_size; b++, blocks += format->block_bytes) {
        format->unpack(blocks, &block);
        put_head(format, &layout, tile, r, b, &block);
        if (packing->codebook)
            for (size_t i = 0; i < format->block_size; i++) code[i] = code_of[(uint8_t)block.q[i]];
        else
            for (size_t i = 0; i < format->block_size; i++) code[i] = (uint8_t)(block.q[i] + packing->offset);
        for (size_t i = 0; i < format->block_size; i += CHUNK, codes += packing->bits * VECTOR)
            put_codes(packing->bits, codes, r, code + i);
    }
}

static void pack_float_lane(const uint8_t *row, size_t n, size_t bytes, uint8_t *group, size_t r)
{
    if (bytes == 4)
        for (size_t i = 0; i < n; i++) memcpy(group + 4 * (i * SC_GROUP_ROWS + r), row + 4 * i, 4);
    else
        for (size_t i = 0; i < n; i++) memcpy(group + 2 * (i * SC_GROUP_ROWS + r), row + 2 * i, 2);
}

void sc_pack_group(const struct sc_format *format, const void *rows, size_t row_stride, size_t n_rows, size_t k,
                   void *group)
{
    uint8_t *tile = group, code_of[256];
    const uint8_t *at = rows;
    if (n_rows < SC_GROUP_ROWS) memset(group, 0, sc_packed_group_bytes(format, k));
    if (format->packing) invert_codebook(format->packing, code_of);
    for (size_t start = 0; start < k; start += SC_TILE_ELEMENTS) {
        size_t n = SC_MIN(k - start, (size_t)SC_TILE_ELEMENTS), tile_bytes = sc_packed_tile_bytes(format, n);
        if (format->packing) { // what pads the head is zero
            size_t head = sc_tile_layout(format, n).head_bytes;
            memset(tile + head - SC_TILE_ALIGNMENT, 0, SC_TILE_ALIGNMENT);
        }
        for (size_t r = 0; r < n_rows; r++) {
            const uint8_t *row = at + r * row_stride;
            if (format->packing) pack_lane(format, row, n, tile, r, code_of);
            else pack_float_lane(row, n, format->block_bytes, tile, r);
        }
        at += n / format->block_size * format->block_bytes;
        tile += tile_bytes;
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
        else if (bits >= 4) code[i] = (uint8_t)((low[i % 16 / 4 * VECTOR + j] >> (i / 16 * 4) & 15u) | (two | one) << 4);
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
        for (size_t i = 0; i < n; i++)
            format->decode(tile + (i * SC_GROUP_ROWS + r) * format->block_bytes, out + i, 1);
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
