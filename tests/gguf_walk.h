// Touches everything that an open GGUF file hands out, as a careless caller would: for the tests of malformed files
// and for fuzzing, where the address sanitizer watches.
#ifndef SC_TESTS_GGUF_WALK_H
#define SC_TESTS_GGUF_WALK_H

#include "formats/gguf.h"

// The result depends on every byte read, so that no read can be left out by a compiler.
static inline uint64_t walk_text(struct sc_text text)
{
    uint64_t sum = text.n_bytes;
    for (size_t i = 0; i < text.n_bytes; i++) sum = sum * 31 + (unsigned char)text.data[i];
    return sum;
}

static inline uint64_t walk_value(const struct sc_gguf *gguf, const struct sc_gguf_value *value)
{
    uint64_t sum = walk_text(value->key) + walk_text(sc_text_of(sc_gguf_type_name(value->type)));
    if (value->type == SC_GGUF_STRING) {
        if (!value->is_array) return sum + walk_text(value->string);
        for (uint64_t i = 0; i < value->n; i++) sum += walk_text(value->strings[i]);
        return sum;
    }
    for (uint64_t i = 0; i < value->n; i++)
        sum += (uint64_t)sc_gguf_int_at(value, i) + (sc_gguf_float_at(value, i) > 0.0f);
    char key[128];
    if (value->key.n_bytes >= sizeof key) return sum;
    memcpy(key, value->key.data, value->key.n_bytes);
    key[value->key.n_bytes] = '\0';
    uint32_t u32 = 0;
    float f32 = 0;
    bool truth = false;
    struct sc_text text = { 0 };
    const struct sc_gguf_value *array;
    socle_error err;
    sum += sc_gguf_get_u32(gguf, key, &u32, &err) + sc_gguf_get_f32(gguf, key, &f32, &err);
    sum += sc_gguf_get_bool(gguf, key, &truth, &err) + sc_gguf_get_text(gguf, key, &text, &err);
    sum += sc_gguf_get_array(gguf, key, value->type, 0, &array, &err) + sc_gguf_require(gguf, key, &err);
    return sum + u32 + truth + (f32 > 0.0f) + walk_text(text) + (sc_gguf_find(gguf, key) == value);
}

// Decodes the first and the last block.
static inline uint64_t walk_tensor(const struct sc_tensor *tensor)
{
    float out[SC_BLOCK_MAX];
    struct sc_block block;
    uint64_t sum = walk_text(tensor->name) + tensor->n_bytes;
    const struct sc_format *format = tensor->format;
    const char *first = tensor->data, *last = first + tensor->n_bytes - format->block_bytes;
    format->decode(first, out, 1);
    sum += out[0] > 0.0f;
    const char *row = sc_tensor_row(tensor, tensor->shape[2] * tensor->shape[3] - 1, tensor->shape[1] - 1);
    sum += row + sc_format_row_bytes(format, tensor->shape[0]) - format->block_bytes == last;
    format->decode(last, out, 1);
    sum += out[format->block_size - 1] > 0.0f;
    if (format->unpack) {
        format->unpack(last, &block);
        sum += (uint64_t)block.q[0];
    }
    return sum;
}

static inline uint64_t walk_gguf(const struct sc_gguf *gguf)
{
    uint64_t sum = sc_gguf_version(gguf) + sc_gguf_file_bytes(gguf) + sc_gguf_n_shards(gguf);
    sum += walk_text(sc_text_of(sc_gguf_path(gguf)));
    for (uint64_t i = 0; i < sc_gguf_n_values(gguf); i++) sum += walk_value(gguf, sc_gguf_value_at(gguf, i));
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++)
        sum += walk_tensor(sc_gguf_tensor_at(gguf, i)) + sc_gguf_tensor_offset(gguf, i);
    sum += sc_gguf_find(gguf, "no.such.key") != NULL;
    return sum + (sc_gguf_find_tensor(gguf, "no.such.tensor") != NULL);
}

#endif
