// The GGUF writer. Everything but the tensors' data is laid out in memory first; then header, metadata, tensor list
// and data go to a sink in one pass.
#include "formats/gguf_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/size.h"
#include "tensor/packed.h"
#include "formats/gguf_internal.h"

enum { VERSION = 3, ALIGNMENT_DEFAULT = 32 };

struct pending {
    struct sc_text name;
    const struct sc_format *format;
    uint32_t n_dims;
    uint64_t shape[SC_DIMS_MAX];
    uint64_t n_rows, row_bytes, offset; // offset from the start of the data section
    bool packed;                        // one "row" is then all of it
    const void *data;                   // or NULL, then:
    sc_gguf_row_source source;
    void *user;
};

struct sc_gguf_writer {
    struct sc_arena arena; // keys and names
    struct sc_buffer metadata;
    struct sc_text *keys;
    struct pending *tensors;
    uint64_t n_keys, max_keys, n_tensors, max_tensors, alignment;
};

socle_status sc_gguf_writer_create(struct sc_gguf_writer **out, socle_error *err)
{
    struct sc_gguf_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return sc_fail_memory(err, sizeof *writer, "a GGUF writer");
    writer->alignment = ALIGNMENT_DEFAULT;
    *out = writer;
    return SOCLE_OK;
}

void sc_gguf_writer_free(struct sc_gguf_writer *writer)
{
    if (!writer) return;
    sc_arena_free(&writer->arena);
    sc_buffer_free(&writer->metadata);
    free(writer->keys);
    free(writer->tensors);
    free(writer);
}

// ---- bytes

// Appending to a sc_buffer fails softly (buffer.h): callers look at `failed` at their end.
static void put_uint(struct sc_buffer *buffer, uint64_t value, uint32_t n_bytes)
{
    uint8_t bytes[8];
    for (uint32_t i = 0; i < n_bytes; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    sc_buffer_append(buffer, bytes, n_bytes);
}

static void put_f32(struct sc_buffer *buffer, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_uint(buffer, bits, 4);
}

static void put_text(struct sc_buffer *buffer, struct sc_text text)
{
    put_uint(buffer, text.n_bytes, 8);
    sc_buffer_append(buffer, text.data, text.n_bytes);
}

// ---- metadata

static socle_status check_name(struct sc_text name, size_t max_bytes, const char *what, socle_error *err)
{
    if (name.n_bytes == 0 || name.n_bytes > max_bytes)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s '%.*s' has %zu bytes, expected 1 to %zu", what, SC_TEXT_ARGS(name),
                       name.n_bytes, max_bytes);
    for (size_t i = 0; i < name.n_bytes; i++)
        if (name.data[i] < 0x20 || name.data[i] > 0x7e)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s '%.*s' holds byte 0x%02x, expected printable ASCII", what,
                           SC_TEXT_ARGS(name), (unsigned char)name.data[i]);
    return SOCLE_OK;
}

// Makes room for one more element of an array that doubles.
static bool grow(void **array, uint64_t n, uint64_t *max, size_t size)
{
    if (n < *max) return true;
    uint64_t more = *max ? *max * 2 : 64, n_bytes;
    if (!sc_u64_mul(more, size, &n_bytes) || n_bytes > SIZE_MAX) return false;
    void *grown = realloc(*array, (size_t)n_bytes);
    if (!grown) return false;
    *array = grown;
    *max = more;
    return true;
}

// Begins a pair: the key, checked and remembered, and the value's type. An array's head continues with put_array.
// `mark` is what end_pair needs to take the pair back.
static socle_status begin_pair(struct sc_gguf_writer *writer, struct sc_text key, uint32_t type, size_t *mark,
                               socle_error *err)
{
    SC_TRY(check_name(key, SC_GGUF_KEY_BYTES_MAX, "key", err));
    for (uint64_t i = 0; i < writer->n_keys; i++)
        if (sc_text_equal(writer->keys[i], key))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "key '%.*s' is set already", SC_TEXT_ARGS(key));
    void *keys = writer->keys;
    bool grown = grow(&keys, writer->n_keys, &writer->max_keys, sizeof *writer->keys);
    writer->keys = keys;
    char *copy = grown ? sc_arena_text(&writer->arena, key.data, key.n_bytes) : NULL;
    if (!copy) return sc_fail_memory(err, key.n_bytes, "a metadata key");
    writer->keys[writer->n_keys] = (struct sc_text){ copy, key.n_bytes };
    *mark = writer->metadata.n_bytes;
    put_text(&writer->metadata, key);
    put_uint(&writer->metadata, type, 4);
    return SOCLE_OK;
}

static void put_array(struct sc_gguf_writer *writer, uint32_t type, uint64_t n)
{
    put_uint(&writer->metadata, type, 4);
    put_uint(&writer->metadata, n, 8);
}

// Counts the pair, or takes it back when memory ran out on the way.
static socle_status end_pair(struct sc_gguf_writer *writer, size_t mark, socle_error *err)
{
    struct sc_buffer *buffer = &writer->metadata;
    if (!buffer->failed) {
        writer->n_keys++;
        return SOCLE_OK;
    }
    buffer->failed = false;
    buffer->n_bytes = mark;
    return sc_fail_memory(err, buffer->capacity, "metadata");
}

// general.alignment is not only told but obeyed.
static socle_status check_alignment(struct sc_text key, uint32_t type, uint64_t value, socle_error *err)
{
    if (!sc_text_is(key, "general.alignment")) return SOCLE_OK;
    if (type == SC_GGUF_U32 && value >= SC_GGUF_ALIGNMENT_MIN && value <= SC_GGUF_ALIGNMENT_MAX &&
        (value & (value - 1)) == 0)
        return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "key 'general.alignment': expected a u32, a power of two from %d to %d",
                   SC_GGUF_ALIGNMENT_MIN, SC_GGUF_ALIGNMENT_MAX);
}

static socle_status set_scalar(struct sc_gguf_writer *writer, const char *key, uint32_t type, uint64_t bits,
                               socle_error *err)
{
    size_t mark;
    struct sc_text name = sc_text_of(key);
    SC_TRY(check_alignment(name, type, bits, err));
    SC_TRY(begin_pair(writer, name, type, &mark, err));
    put_uint(&writer->metadata, bits, sc_gguf_type_bytes(type));
    SC_TRY(end_pair(writer, mark, err));
    if (sc_text_is(name, "general.alignment")) writer->alignment = bits;
    return SOCLE_OK;
}

socle_status sc_gguf_writer_set_u32(struct sc_gguf_writer *writer, const char *key, uint32_t value, socle_error *err)
{
    return set_scalar(writer, key, SC_GGUF_U32, value, err);
}

socle_status sc_gguf_writer_set_f32(struct sc_gguf_writer *writer, const char *key, float value, socle_error *err)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return set_scalar(writer, key, SC_GGUF_F32, bits, err);
}

socle_status sc_gguf_writer_set_bool(struct sc_gguf_writer *writer, const char *key, bool value, socle_error *err)
{
    return set_scalar(writer, key, SC_GGUF_BOOL, value, err);
}

socle_status sc_gguf_writer_set_text(struct sc_gguf_writer *writer, const char *key, struct sc_text value,
                                     socle_error *err)
{
    size_t mark;
    SC_TRY(check_alignment(sc_text_of(key), SC_GGUF_STRING, 0, err));
    SC_TRY(begin_pair(writer, sc_text_of(key), SC_GGUF_STRING, &mark, err));
    put_text(&writer->metadata, value);
    return end_pair(writer, mark, err);
}

static socle_status begin_array(struct sc_gguf_writer *writer, struct sc_text key, uint32_t type, uint64_t n,
                                size_t *mark, socle_error *err)
{
    SC_TRY(check_alignment(key, SC_GGUF_ARRAY, 0, err));
    SC_TRY(begin_pair(writer, key, SC_GGUF_ARRAY, mark, err));
    put_array(writer, type, n);
    return SOCLE_OK;
}

socle_status sc_gguf_writer_set_i32s(struct sc_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n,
                                     socle_error *err)
{
    size_t mark;
    SC_TRY(begin_array(writer, sc_text_of(key), SC_GGUF_I32, n, &mark, err));
    for (uint64_t i = 0; i < n; i++) put_uint(&writer->metadata, (uint32_t)values[i], 4);
    return end_pair(writer, mark, err);
}

socle_status sc_gguf_writer_set_u64s(struct sc_gguf_writer *writer, const char *key, const uint64_t *values, uint64_t n,
                                     socle_error *err)
{
    size_t mark;
    SC_TRY(begin_array(writer, sc_text_of(key), SC_GGUF_U64, n, &mark, err));
    for (uint64_t i = 0; i < n; i++) put_uint(&writer->metadata, values[i], 8);
    return end_pair(writer, mark, err);
}

socle_status sc_gguf_writer_set_f32s(struct sc_gguf_writer *writer, const char *key, const float *values, uint64_t n,
                                     socle_error *err)
{
    size_t mark;
    SC_TRY(begin_array(writer, sc_text_of(key), SC_GGUF_F32, n, &mark, err));
    for (uint64_t i = 0; i < n; i++) put_f32(&writer->metadata, values[i]);
    return end_pair(writer, mark, err);
}

socle_status sc_gguf_writer_set_texts(struct sc_gguf_writer *writer, const char *key, const struct sc_text *values,
                                      uint64_t n, socle_error *err)
{
    size_t mark;
    SC_TRY(begin_array(writer, sc_text_of(key), SC_GGUF_STRING, n, &mark, err));
    for (uint64_t i = 0; i < n; i++) put_text(&writer->metadata, values[i]);
    return end_pair(writer, mark, err);
}

socle_status sc_gguf_writer_copy_value(struct sc_gguf_writer *writer, const struct sc_gguf_value *value,
                                       socle_error *err)
{
    size_t mark;
    bool is_alignment = sc_text_is(value->key, "general.alignment");
    bool is_number = !value->is_array && sc_gguf_type_bytes(value->type);
    uint64_t alignment = is_alignment && is_number ? (uint64_t)sc_gguf_int_at(value, 0) : 0;
    if (value->is_array) {
        SC_TRY(begin_array(writer, value->key, value->type, value->n, &mark, err));
    } else {
        SC_TRY(check_alignment(value->key, value->type, alignment, err));
        SC_TRY(begin_pair(writer, value->key, value->type, &mark, err));
    }
    if (value->type != SC_GGUF_STRING)
        sc_buffer_append(&writer->metadata, value->raw, (size_t)value->n * sc_gguf_type_bytes(value->type));
    else if (!value->is_array) put_text(&writer->metadata, value->string);
    else
        for (uint64_t i = 0; i < value->n; i++) put_text(&writer->metadata, value->strings[i]);
    SC_TRY(end_pair(writer, mark, err));
    if (is_alignment) writer->alignment = alignment;
    return SOCLE_OK;
}

// ---- tensors

// Fills rows and sizes, or says why there is no such tensor.
static socle_status check_shape(struct pending *tensor, const uint64_t *shape, socle_error *err)
{
    uint64_t n_elements = 1, n_bytes;
    const struct sc_format *format = tensor->format;
    if (tensor->n_dims < 1 || tensor->n_dims > SC_DIMS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.*s': %u dimensions, expected 1 to %d",
                       SC_TEXT_ARGS(tensor->name), tensor->n_dims, SC_DIMS_MAX);
    for (uint32_t d = 0; d < SC_DIMS_MAX; d++) {
        tensor->shape[d] = d < tensor->n_dims ? shape[d] : 1;
        if (tensor->shape[d] == 0)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.*s': dimension %u is 0", SC_TEXT_ARGS(tensor->name), d);
        if (!sc_u64_mul(n_elements, tensor->shape[d], &n_elements))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.*s': the product of its dimensions overflows 64 bits",
                           SC_TEXT_ARGS(tensor->name));
    }
    if (tensor->shape[0] % format->block_size != 0)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "tensor '%.*s': rows of %llu elements, expected a multiple of %u, "
                       "the block size of %s",
                       SC_TEXT_ARGS(tensor->name), (unsigned long long)tensor->shape[0], format->block_size,
                       format->name);
    tensor->n_rows = n_elements / tensor->shape[0];
    if (!sc_u64_mul(tensor->shape[0] / format->block_size, format->block_bytes, &tensor->row_bytes) ||
        !sc_u64_mul(tensor->row_bytes, tensor->n_rows, &n_bytes) || n_bytes > SIZE_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.*s': its size overflows", SC_TEXT_ARGS(tensor->name));
    return SOCLE_OK;
}

static socle_status add(struct sc_gguf_writer *writer, struct pending tensor, const uint64_t *shape, socle_error *err)
{
    SC_TRY(check_name(tensor.name, SC_GGUF_TENSOR_NAME_BYTES_MAX, "tensor", err));
    for (uint64_t i = 0; i < writer->n_tensors; i++)
        if (sc_text_equal(writer->tensors[i].name, tensor.name))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.*s' is added already", SC_TEXT_ARGS(tensor.name));
    SC_TRY(check_shape(&tensor, shape, err));
    void *tensors = writer->tensors;
    bool grown = grow(&tensors, writer->n_tensors, &writer->max_tensors, sizeof *writer->tensors);
    writer->tensors = tensors;
    tensor.name.data = grown ? sc_arena_text(&writer->arena, tensor.name.data, tensor.name.n_bytes) : NULL;
    if (!tensor.name.data) return sc_fail_memory(err, sizeof *writer->tensors, "a tensor's entry");
    writer->tensors[writer->n_tensors++] = tensor;
    return SOCLE_OK;
}

socle_status sc_gguf_writer_add_tensor(struct sc_gguf_writer *writer, const char *name, const struct sc_format *format,
                                       uint32_t n_dims, const uint64_t *shape, const void *data, socle_error *err)
{
    struct pending tensor = { .name = sc_text_of(name), .format = format, .n_dims = n_dims, .data = data };
    return add(writer, tensor, shape, err);
}

socle_status sc_gguf_writer_add_tensor_rows(struct sc_gguf_writer *writer, const char *name,
                                            const struct sc_format *format, uint32_t n_dims, const uint64_t *shape,
                                            sc_gguf_row_source source, void *user, socle_error *err)
{
    struct pending tensor = {
        .name = sc_text_of(name), .format = format, .n_dims = n_dims, .source = source, .user = user
    };
    return add(writer, tensor, shape, err);
}

socle_status sc_gguf_writer_add_packed(struct sc_gguf_writer *writer, const char *name, const struct sc_tensor *tensor,
                                       socle_error *err)
{
    struct pending pending = {
        .name = sc_text_of(name), .format = tensor->format, .n_dims = tensor->n_dims, .data = tensor->data
    };
    SC_TRY(add(writer, pending, tensor->shape, err));
    struct pending *added = &writer->tensors[writer->n_tensors - 1];
    added->packed = true;
    added->n_rows = 1;
    added->row_bytes = tensor->n_bytes;
    return SOCLE_OK;
}

// ---- writing

// Where the bytes go: a file, or a buffer when there is none.
struct sink {
    struct sc_new_file *file;
    struct sc_buffer *buffer;
};

static socle_status put(struct sink *sink, const void *bytes, size_t n_bytes, socle_error *err)
{
    if (sink->file) return sc_new_file_put(sink->file, bytes, n_bytes, err);
    if (sc_buffer_append(sink->buffer, bytes, n_bytes)) return SOCLE_OK;
    return sc_fail_memory(err, n_bytes, "a GGUF file in memory");
}

static socle_status put_padding(struct sink *sink, uint64_t n_bytes, socle_error *err)
{
    static const uint8_t zeros[4096];
    for (uint64_t n; n_bytes; n_bytes -= n) {
        n = SC_MIN(n_bytes, sizeof zeros);
        SC_TRY(put(sink, zeros, (size_t)n, err));
    }
    return SOCLE_OK;
}

static socle_status put_produced_rows(struct sink *sink, const struct pending *tensor, socle_error *err)
{
    void *row = malloc((size_t)tensor->row_bytes);
    if (!row) return sc_fail_memory(err, tensor->row_bytes, "a row of a tensor");
    socle_status status = SOCLE_OK;
    for (uint64_t r = 0; r < tensor->n_rows && status == SOCLE_OK; r++) {
        status = tensor->source(tensor->user, r, row, err);
        if (status == SOCLE_OK) status = put(sink, row, (size_t)tensor->row_bytes, err);
    }
    free(row);
    return status;
}

// Bytes from `at` to the next multiple of the alignment.
static uint64_t padding(const struct sc_gguf_writer *writer, uint64_t at)
{
    return (writer->alignment - at % writer->alignment) % writer->alignment;
}

// The header, the metadata, the list of tensors with their offsets, and the padding that ends them.
static socle_status build_head(const struct sc_gguf_writer *writer, struct sc_buffer *head, socle_error *err)
{
    uint64_t offset = 0;
    sc_buffer_append(head, "GGUF", 4);
    put_uint(head, VERSION, 4);
    put_uint(head, writer->n_tensors, 8);
    put_uint(head, writer->n_keys, 8);
    sc_buffer_append(head, writer->metadata.data, writer->metadata.n_bytes);
    for (uint64_t i = 0; i < writer->n_tensors; i++) {
        const struct pending *tensor = &writer->tensors[i];
        put_text(head, tensor->name);
        put_uint(head, tensor->n_dims, 4);
        for (uint32_t d = 0; d < tensor->n_dims; d++) put_uint(head, tensor->shape[d], 8);
        put_uint(head, tensor->format->id | (tensor->packed ? SC_PACKED_FORMAT : 0), 4);
        put_uint(head, offset, 8);
        uint64_t end;
        if (!sc_u64_add(offset, tensor->n_rows * tensor->row_bytes, &end) ||
            !sc_u64_align(end, writer->alignment, &offset) || offset > INT64_MAX)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.*s': the file would be larger than 2^63 bytes",
                           SC_TEXT_ARGS(tensor->name));
    }
    for (uint64_t n = padding(writer, head->n_bytes); n; n--) sc_buffer_append_char(head, '\0');
    return head->failed ? sc_fail_memory(err, head->capacity, "a GGUF header") : SOCLE_OK;
}

static socle_status put_all(const struct sc_gguf_writer *writer, struct sink *sink, socle_error *err)
{
    struct sc_buffer head = { 0 };
    socle_status status = build_head(writer, &head, err);
    if (status == SOCLE_OK) status = put(sink, head.data, head.n_bytes, err);
    sc_buffer_free(&head);
    for (uint64_t i = 0; i < writer->n_tensors && status == SOCLE_OK; i++) {
        const struct pending *tensor = &writer->tensors[i];
        uint64_t n_bytes = tensor->n_rows * tensor->row_bytes;
        if (tensor->source) status = put_produced_rows(sink, tensor, err);
        else status = put(sink, tensor->data, (size_t)n_bytes, err);
        // After the last tensor, too: ggml's own reader expects it.
        if (status == SOCLE_OK) status = put_padding(sink, padding(writer, n_bytes), err);
    }
    return status;
}

socle_status sc_gguf_writer_write_buffer(const struct sc_gguf_writer *writer, struct sc_buffer *buffer,
                                         socle_error *err)
{
    struct sink sink = { .buffer = buffer };
    return put_all(writer, &sink, err);
}

socle_status sc_gguf_writer_write(const struct sc_gguf_writer *writer, const char *path, socle_error *err)
{
    struct sc_new_file file;
    SC_TRY(sc_new_file_begin(path, &file, err));
    struct sink sink = { .file = &file };
    return sc_new_file_end(&file, put_all(writer, &sink, err), err);
}
