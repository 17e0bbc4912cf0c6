// Parsing one GGUF file. The cursor knows the file's size: nothing is read before it is known to be there.
#include "formats/gguf_internal.h"

#include <stdlib.h>

#include "base/size.h"
#include "tensor/packed.h"

enum {
    VALUE_BYTES_MIN = 8 + 4 + 1,          // an empty key, a type, one byte
    TENSOR_BYTES_MIN = 8 + 4 + 8 + 4 + 8, // an empty name, n_dims, one dimension, format, offset
};

struct cursor {
    const struct sc_gguf_file *file;
    uint64_t at;
    socle_error *err;
    struct sc_text within; // the key or tensor being read, for messages; empty between them
};

// For "%s%.*s%s": where the cursor is, in the file's own words.
#define WITHIN(c) (c)->within.n_bytes ? " in '" : "", SC_TEXT_ARGS((c)->within), (c)->within.n_bytes ? "'" : ""

static const struct {
    const char *name;
    uint32_t n_bytes;
} types[SC_GGUF_TYPE_COUNT] = {
    [SC_GGUF_U8] = { "u8", 1 },       [SC_GGUF_I8] = { "i8", 1 },     [SC_GGUF_U16] = { "u16", 2 },
    [SC_GGUF_I16] = { "i16", 2 },     [SC_GGUF_U32] = { "u32", 4 },   [SC_GGUF_I32] = { "i32", 4 },
    [SC_GGUF_F32] = { "f32", 4 },     [SC_GGUF_BOOL] = { "bool", 1 }, [SC_GGUF_STRING] = { "string", 0 },
    [SC_GGUF_ARRAY] = { "array", 0 }, [SC_GGUF_U64] = { "u64", 8 },   [SC_GGUF_I64] = { "i64", 8 },
    [SC_GGUF_F64] = { "f64", 8 },
};

const char *sc_gguf_type_name(uint32_t type) { return type < SC_GGUF_TYPE_COUNT ? types[type].name : "unknown"; }

uint32_t sc_gguf_type_bytes(uint32_t type) { return type < SC_GGUF_TYPE_COUNT ? types[type].n_bytes : 0; }

#define FAIL(c, ...) sc_fail((c)->err, SOCLE_BAD_FILE, __VA_ARGS__)

static uint64_t remaining(const struct cursor *c) { return c->file->n_bytes - c->at; }

// Takes n_bytes at the cursor. `what` names what is being read.
static socle_status take(struct cursor *c, uint64_t n_bytes, const char *what, const uint8_t **out)
{
    if (n_bytes > remaining(c))
        return FAIL(c, "%s: truncated at offset %llu%s%.*s%s: expected %llu bytes of %s, found %llu", c->file->path,
                    (unsigned long long)c->at, WITHIN(c), (unsigned long long)n_bytes, what,
                    (unsigned long long)remaining(c));
    *out = c->file->data + c->at;
    c->at += n_bytes;
    return SOCLE_OK;
}

static uint64_t little_endian(const uint8_t *bytes, uint32_t n_bytes)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < n_bytes; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static socle_status take_uint(struct cursor *c, uint32_t n_bytes, const char *what, uint64_t *out)
{
    const uint8_t *bytes = NULL;
    SC_TRY(take(c, n_bytes, what, &bytes));
    *out = little_endian(bytes, n_bytes);
    return SOCLE_OK;
}

static socle_status take_text(struct cursor *c, uint64_t max_bytes, const char *what, struct sc_text *out)
{
    uint64_t at = c->at, n_bytes;
    const uint8_t *bytes = NULL;
    SC_TRY(take_uint(c, 8, what, &n_bytes));
    if (n_bytes > max_bytes || n_bytes > remaining(c))
        return FAIL(c, "%s: %s at offset %llu%s%.*s%s has length %llu, expected at most %llu", c->file->path, what,
                    (unsigned long long)at, WITHIN(c), (unsigned long long)n_bytes,
                    (unsigned long long)SC_MIN(max_bytes, remaining(c)));
    SC_TRY(take(c, n_bytes, what, &bytes));
    *out = (struct sc_text){ (const char *)bytes, (size_t)n_bytes };
    return SOCLE_OK;
}

// Keys and tensor names: printable ASCII, not empty. They are printed, compared and used in messages.
static socle_status take_name(struct cursor *c, uint64_t max_bytes, const char *what, struct sc_text *out)
{
    uint64_t at = c->at;
    c->within = sc_text_of("");
    SC_TRY(take_text(c, max_bytes, what, out));
    if (out->n_bytes == 0)
        return FAIL(c, "%s: %s at offset %llu is empty", c->file->path, what, (unsigned long long)at);
    for (size_t i = 0; i < out->n_bytes; i++)
        if (out->data[i] < 0x20 || out->data[i] > 0x7e)
            return FAIL(c, "%s: %s at offset %llu holds byte 0x%02x, expected printable ASCII", c->file->path, what,
                        (unsigned long long)at, (unsigned char)out->data[i]);
    c->within = *out;
    return SOCLE_OK;
}

static socle_status check_bools(struct cursor *c, const struct sc_gguf_value *value)
{
    for (uint64_t i = 0; i < value->n; i++)
        if (value->raw[i] > 1)
            return FAIL(c, "%s: key '%.*s': expected a bool of 0 or 1, found %u", c->file->path,
                        SC_TEXT_ARGS(value->key), value->raw[i]);
    return SOCLE_OK;
}

static socle_status take_strings(struct cursor *c, struct sc_gguf_value *value, struct sc_arena *arena)
{
    struct sc_text *strings = sc_arena_array(arena, value->n, sizeof *strings);
    if (!strings) return sc_fail_memory(c->err, value->n * sizeof *strings, "an array of strings");
    for (uint64_t i = 0; i < value->n; i++) SC_TRY(take_text(c, UINT64_MAX, "a string in an array", &strings[i]));
    value->strings = strings;
    return SOCLE_OK;
}

static socle_status take_array_head(struct cursor *c, struct sc_gguf_value *value)
{
    uint64_t type;
    SC_TRY(take_uint(c, 4, "an array's element type", &type));
    SC_TRY(take_uint(c, 8, "an array's count", &value->n));
    if (type >= SC_GGUF_TYPE_COUNT || type == SC_GGUF_ARRAY)
        return FAIL(c, "%s: key '%.*s': array of type %llu (%s), expected a scalar type or string", c->file->path,
                    SC_TEXT_ARGS(value->key), (unsigned long long)type, sc_gguf_type_name((uint32_t)type));
    value->type = (enum sc_gguf_type)type;
    value->is_array = true;
    uint64_t element_bytes = type == SC_GGUF_STRING ? 8 : types[type].n_bytes;
    if (value->n > remaining(c) / element_bytes)
        return FAIL(c, "%s: key '%.*s' at offset %llu: array of %llu %s, but only %llu bytes are left", c->file->path,
                    SC_TEXT_ARGS(value->key), (unsigned long long)c->at, (unsigned long long)value->n,
                    sc_gguf_type_name(value->type), (unsigned long long)remaining(c));
    return SOCLE_OK;
}

static socle_status take_value(struct cursor *c, struct sc_gguf_value *value, struct sc_arena *arena)
{
    uint64_t type;
    SC_TRY(take_name(c, SC_GGUF_KEY_BYTES_MAX, "a key", &value->key));
    SC_TRY(take_uint(c, 4, "a value's type", &type));
    if (type >= SC_GGUF_TYPE_COUNT)
        return FAIL(c, "%s: key '%.*s' at offset %llu: value type %llu, expected 0 to %d", c->file->path,
                    SC_TEXT_ARGS(value->key), (unsigned long long)(c->at - 4), (unsigned long long)type,
                    SC_GGUF_TYPE_COUNT - 1);
    value->type = (enum sc_gguf_type)type;
    value->n = 1;
    if (type == SC_GGUF_ARRAY) SC_TRY(take_array_head(c, value));
    if (value->type == SC_GGUF_STRING && value->is_array) return take_strings(c, value, arena);
    if (value->type == SC_GGUF_STRING) return take_text(c, UINT64_MAX, "a string value", &value->string);
    SC_TRY(take(c, value->n * types[value->type].n_bytes, "a value", &value->raw));
    return value->type == SC_GGUF_BOOL ? check_bools(c, value) : SOCLE_OK;
}

static socle_status take_shape(struct cursor *c, struct sc_tensor *tensor)
{
    uint64_t n_dims, n_elements = 1;
    SC_TRY(take_uint(c, 4, "a tensor's dimension count", &n_dims));
    if (n_dims < 1 || n_dims > SC_DIMS_MAX)
        return FAIL(c, "%s: tensor '%.*s': %llu dimensions, expected 1 to %d", c->file->path,
                    SC_TEXT_ARGS(tensor->name), (unsigned long long)n_dims, SC_DIMS_MAX);
    tensor->n_dims = (uint32_t)n_dims;
    for (uint32_t d = 0; d < SC_DIMS_MAX; d++) {
        tensor->shape[d] = 1;
        if (d >= n_dims) continue;
        SC_TRY(take_uint(c, 8, "a tensor's shape", &tensor->shape[d]));
        if (tensor->shape[d] == 0)
            return FAIL(c, "%s: tensor '%.*s': dimension %u is 0", c->file->path, SC_TEXT_ARGS(tensor->name), d);
        if (!sc_u64_mul(n_elements, tensor->shape[d], &n_elements))
            return FAIL(c, "%s: tensor '%.*s': the product of its dimensions overflows 64 bits", c->file->path,
                        SC_TEXT_ARGS(tensor->name));
    }
    return SOCLE_OK;
}

// Bytes of a row, or of a group of 16 packed rows; false when they overflow.
static bool row_size(const struct sc_tensor *tensor, uint64_t *out)
{
    uint64_t k = tensor->shape[0];
    if (!tensor->packed) return sc_u64_mul(k / tensor->format->block_size, tensor->format->block_bytes, out);
    if (k > UINT32_MAX) return false; // no product is so wide
    *out = sc_packed_group_bytes(tensor->format, (size_t)k);
    return true;
}

// Everything that can be said of a tensor before the data section's place is known.
static socle_status take_tensor(struct cursor *c, struct sc_tensor *tensor, uint64_t *offset)
{
    uint64_t id, row_bytes, n_rows, n_bytes = 0;
    SC_TRY(take_name(c, SC_GGUF_TENSOR_NAME_BYTES_MAX, "a tensor's name", &tensor->name));
    SC_TRY(take_shape(c, tensor));
    SC_TRY(take_uint(c, 4, "a tensor's format", &id));
    SC_TRY(take_uint(c, 8, "a tensor's offset", offset));
    tensor->packed = (id & 0xffff0000u) == SC_PACKED_FORMAT;
    tensor->format = sc_format_find((uint32_t)(tensor->packed ? id & 0xffffu : id));
    if (!tensor->format)
        return sc_fail(c->err, SOCLE_UNSUPPORTED, "%s: tensor '%.*s': format number %llu is not one that socle reads",
                       c->file->path, SC_TEXT_ARGS(tensor->name), (unsigned long long)id);
    if (tensor->shape[0] % tensor->format->block_size != 0)
        return FAIL(c, "%s: tensor '%.*s': rows of %llu elements, expected a multiple of %u, the block size of %s",
                    c->file->path, SC_TEXT_ARGS(tensor->name), (unsigned long long)tensor->shape[0],
                    tensor->format->block_size, tensor->format->name);
    bool fits = row_size(tensor, &row_bytes);
    n_rows = tensor->packed ? (tensor->shape[1] + SC_GROUP_ROWS - 1) / SC_GROUP_ROWS : tensor->shape[1];
    fits = fits && sc_u64_mul(row_bytes, n_rows, &n_bytes);
    tensor->matrix_stride = fits ? n_bytes : 0;
    for (uint32_t d = 2; d < SC_DIMS_MAX; d++) fits = fits && sc_u64_mul(n_bytes, tensor->shape[d], &n_bytes);
    if (!fits || n_bytes > c->file->n_bytes)
        return FAIL(c, "%s: tensor '%.*s': its data would be larger than the file's %llu bytes", c->file->path,
                    SC_TEXT_ARGS(tensor->name), (unsigned long long)c->file->n_bytes);
    tensor->n_bytes = n_bytes;
    tensor->row_stride = row_bytes;
    return SOCLE_OK;
}

static socle_status place_tensor(struct cursor *c, struct sc_tensor *tensor, uint64_t data_start, uint64_t *offset)
{
    const struct sc_gguf_file *file = c->file;
    uint64_t end;
    if (*offset % file->alignment != 0)
        return FAIL(c, "%s: tensor '%.*s': offset %llu is not a multiple of the alignment %llu", file->path,
                    SC_TEXT_ARGS(tensor->name), (unsigned long long)*offset, (unsigned long long)file->alignment);
    if (!sc_u64_add(data_start, *offset, offset) || !sc_u64_add(*offset, tensor->n_bytes, &end) || end > file->n_bytes)
        return FAIL(c, "%s: tensor '%.*s': expected %llu bytes at offset %llu, but the file ends at %llu (truncated?)",
                    file->path, SC_TEXT_ARGS(tensor->name), (unsigned long long)tensor->n_bytes,
                    (unsigned long long)*offset, (unsigned long long)file->n_bytes);
    tensor->data = file->data + *offset;
    return SOCLE_OK;
}

static int compare_starts(const void *a, const void *b)
{
    const struct sc_tensor *const *x = a, *const *y = b;
    uintptr_t p = (uintptr_t)(*x)->data, q = (uintptr_t)(*y)->data;
    return (p > q) - (p < q);
}

static socle_status check_overlaps(struct cursor *c, struct sc_arena *arena)
{
    const struct sc_gguf_file *file = c->file;
    const struct sc_tensor **order = sc_arena_array(arena, file->n_tensors, sizeof *order);
    if (!order) return sc_fail_memory(c->err, file->n_tensors * sizeof *order, "the tensor index");
    for (uint64_t i = 0; i < file->n_tensors; i++) order[i] = &file->tensors[i];
    qsort(order, file->n_tensors, sizeof *order, compare_starts);
    for (uint64_t i = 1; i < file->n_tensors; i++) {
        const char *end = (const char *)order[i - 1]->data + order[i - 1]->n_bytes;
        if (end > (const char *)order[i]->data)
            return FAIL(c, "%s: tensors '%.*s' and '%.*s' overlap", file->path, SC_TEXT_ARGS(order[i - 1]->name),
                        SC_TEXT_ARGS(order[i]->name));
    }
    return SOCLE_OK;
}

static socle_status take_head(struct cursor *c, struct sc_gguf_file *file)
{
    const uint8_t *magic = NULL;
    uint64_t version;
    SC_TRY(take(c, 4, "the magic 'GGUF'", &magic));
    if (memcmp(magic, "GGUF", 4) != 0)
        return FAIL(c, "%s: not a GGUF file: expected the magic 'GGUF' at offset 0, found %02x %02x %02x %02x",
                    file->path, magic[0], magic[1], magic[2], magic[3]);
    SC_TRY(take_uint(c, 4, "the version", &version));
    if (version != 2 && version != 3)
        return sc_fail(c->err, SOCLE_UNSUPPORTED, "%s: GGUF version %llu%s, expected 2 or 3", file->path,
                       (unsigned long long)version,
                       version > 0xffff && (version & 0xffff) == 0 ? " (a big-endian file?)" : "");
    file->version = (uint32_t)version;
    SC_TRY(take_uint(c, 8, "the tensor count", &file->n_tensors));
    SC_TRY(take_uint(c, 8, "the metadata count", &file->n_values));
    if (file->n_values > remaining(c) / VALUE_BYTES_MIN)
        return FAIL(c, "%s: claims %llu metadata values, more than its %llu bytes can hold", file->path,
                    (unsigned long long)file->n_values, (unsigned long long)file->n_bytes);
    if (file->n_tensors > remaining(c) / TENSOR_BYTES_MIN)
        return FAIL(c, "%s: claims %llu tensors, more than its %llu bytes can hold", file->path,
                    (unsigned long long)file->n_tensors, (unsigned long long)file->n_bytes);
    return SOCLE_OK;
}

static socle_status find_alignment(struct cursor *c, struct sc_gguf_file *file)
{
    file->alignment = 32;
    for (uint64_t i = 0; i < file->n_values; i++) {
        const struct sc_gguf_value *value = &file->values[i];
        if (!sc_text_is(value->key, "general.alignment")) continue;
        if (value->type != SC_GGUF_U32 || value->is_array)
            return FAIL(c, "%s: key 'general.alignment': expected a u32, found %s%s", file->path,
                        value->is_array ? "an array of " : "", sc_gguf_type_name(value->type));
        file->alignment = little_endian(value->raw, 4);
        if (file->alignment < SC_GGUF_ALIGNMENT_MIN || file->alignment > SC_GGUF_ALIGNMENT_MAX ||
            (file->alignment & (file->alignment - 1)) != 0)
            return FAIL(c, "%s: key 'general.alignment': expected a power of two from %d to %d, found %llu", file->path,
                        SC_GGUF_ALIGNMENT_MIN, SC_GGUF_ALIGNMENT_MAX, (unsigned long long)file->alignment);
    }
    return SOCLE_OK;
}

socle_status sc_gguf_parse(struct sc_gguf_file *file, struct sc_arena *arena, socle_error *err)
{
    struct cursor cursor = { .file = file, .err = err, .within = sc_text_of("") }, *c = &cursor;
    SC_TRY(take_head(c, file));
    file->values = sc_arena_array(arena, file->n_values, sizeof *file->values);
    file->tensors = sc_arena_array(arena, file->n_tensors, sizeof *file->tensors);
    file->offsets = sc_arena_array(arena, file->n_tensors, sizeof *file->offsets);
    if (!file->values || !file->tensors || !file->offsets)
        return sc_fail_memory(err, file->n_values * sizeof *file->values + file->n_tensors * sizeof *file->tensors,
                              "the file's index");
    for (uint64_t i = 0; i < file->n_values; i++) SC_TRY(take_value(c, &file->values[i], arena));
    SC_TRY(find_alignment(c, file));
    for (uint64_t i = 0; i < file->n_tensors; i++) SC_TRY(take_tensor(c, &file->tensors[i], &file->offsets[i]));
    uint64_t data_start;
    if (!sc_u64_align(c->at, file->alignment, &data_start))
        return FAIL(c, "%s: the data section's offset overflows", file->path);
    for (uint64_t i = 0; i < file->n_tensors; i++)
        SC_TRY(place_tensor(c, &file->tensors[i], data_start, &file->offsets[i]));
    return check_overlaps(c, arena);
}
