// The safetensors writer. The header's JSON grows with the calls; then header and data go to the file in one pass.
#include "formats/safetensors_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/safetensors_internal.h"

struct pending {
    uint64_t n_rows, row_bytes;
    const void *data; // or NULL, then:
    sc_safetensors_row_source source;
    void *user;
};

struct sc_safetensors_writer {
    json_t *metadata, *entries; // objects; entries keep the order of the calls
    struct pending *tensors;
    uint64_t n_tensors, max_tensors, n_bytes; // n_bytes of data
};

socle_status sc_safetensors_writer_create(struct sc_safetensors_writer **out, socle_error *err)
{
    struct sc_safetensors_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return sc_fail_memory(err, sizeof *writer, "a safetensors writer");
    writer->metadata = json_object();
    writer->entries = json_object();
    if (!writer->metadata || !writer->entries) {
        sc_safetensors_writer_free(writer);
        return sc_fail_memory(err, sizeof *writer, "a safetensors writer");
    }
    *out = writer;
    return SOCLE_OK;
}

void sc_safetensors_writer_free(struct sc_safetensors_writer *writer)
{
    if (!writer) return;
    json_decref(writer->metadata);
    json_decref(writer->entries);
    free(writer->tensors);
    free(writer);
}

// jansson copies a string only when it is UTF-8, and so does not tell this from lack of memory.
static socle_status make_string(struct sc_text text, const char *what, json_t **out, socle_error *err)
{
    if (memchr(text.n_bytes ? text.data : "", '\0', text.n_bytes))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s '%.*s' holds a NUL", what, SC_TEXT_ARGS(text));
    *out = json_stringn(text.n_bytes ? text.data : "", text.n_bytes);
    if (*out) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s '%.*s' is not UTF-8, or there is no memory for it", what,
                   SC_TEXT_ARGS(text));
}

// Only for its check of UTF-8.
static socle_status check_string(const char *string, const char *what, socle_error *err)
{
    json_t *json = NULL;
    SC_TRY(make_string(sc_text_of(string), what, &json, err));
    json_decref(json);
    return SOCLE_OK;
}

socle_status sc_safetensors_writer_set_metadata(struct sc_safetensors_writer *writer, const char *key,
                                                struct sc_text text, socle_error *err)
{
    json_t *value = NULL;
    if (json_object_get(writer->metadata, key))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "metadata '%.200s' is set already", key);
    SC_TRY(check_string(key, "metadata", err));
    SC_TRY(make_string(text, "a text of the metadata", &value, err));
    if (json_object_set_new(writer->metadata, key, value) == 0) return SOCLE_OK;
    return sc_fail_memory(err, text.n_bytes, "metadata");
}

static socle_status check_name(const struct sc_safetensors_writer *writer, const char *name, socle_error *err)
{
    size_t n_bytes = strlen(name);
    if (n_bytes < 1 || n_bytes > SC_SAFETENSORS_NAME_BYTES_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.200s': its name has %zu bytes, expected 1 to %d", name,
                       n_bytes, SC_SAFETENSORS_NAME_BYTES_MAX);
    if (strcmp(name, SC_SAFETENSORS_METADATA_KEY) == 0)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%s': the name is the format's own", name);
    if (json_object_get(writer->entries, name))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.200s' is added already", name);
    return check_string(name, "tensor", err);
}

// Bytes of all of it, and its rows, or why there is no such tensor.
static socle_status check_shape(const struct sc_safetensors_writer *writer, const char *name,
                                enum sc_safetensors_type type, uint32_t n_dims, const uint64_t *shape,
                                struct pending *tensor, uint64_t *end, socle_error *err)
{
    uint64_t n_bytes;
    if ((unsigned)type >= SC_SAFETENSORS_TYPE_COUNT)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.200s': %u is not a type", name, (unsigned)type);
    if (n_dims > SC_SAFETENSORS_DIMS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.200s': %u dimensions, expected at most %d", name, n_dims,
                       SC_SAFETENSORS_DIMS_MAX);
    for (uint32_t d = 0; d < n_dims; d++)
        if (shape[d] > INT64_MAX)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.200s': dimension %u is 2^63 or more", name, d);
    if (!sc_safetensors_size(type, n_dims, shape, &n_bytes) || n_bytes > SIZE_MAX ||
        !sc_u64_add(writer->n_bytes, n_bytes, end) || *end > INT64_MAX - SC_SAFETENSORS_HEADER_BYTES_MAX - 8)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tensor '%.200s': the file would be larger than 2^63 bytes", name);
    tensor->row_bytes = sc_safetensors_type_bytes(type) * (n_dims ? shape[n_dims - 1] : 1);
    tensor->n_rows = n_bytes ? n_bytes / tensor->row_bytes : 0;
    return SOCLE_OK;
}

// The header's entry; NULL without memory.
static json_t *make_entry(enum sc_safetensors_type type, uint32_t n_dims, const uint64_t *shape, uint64_t begin,
                          uint64_t end)
{
    json_t *dimensions = json_array();
    bool ok = dimensions != NULL;
    for (uint32_t d = 0; d < n_dims && ok; d++)
        ok = json_array_append_new(dimensions, json_integer((json_int_t)shape[d])) == 0;
    if (ok)
        return json_pack("{s:s, s:o, s:[I, I]}", "dtype", sc_safetensors_type_name(type), "shape", dimensions,
                         "data_offsets", (json_int_t)begin, (json_int_t)end);
    json_decref(dimensions);
    return NULL;
}

// Makes room for one more tensor in the array, which doubles.
static bool grow(struct sc_safetensors_writer *writer)
{
    if (writer->n_tensors < writer->max_tensors) return true;
    uint64_t more = writer->max_tensors ? writer->max_tensors * 2 : 64, n_bytes;
    if (!sc_u64_mul(more, sizeof *writer->tensors, &n_bytes) || n_bytes > SIZE_MAX) return false;
    struct pending *grown = realloc(writer->tensors, (size_t)n_bytes);
    if (!grown) return false;
    writer->tensors = grown;
    writer->max_tensors = more;
    return true;
}

static socle_status add(struct sc_safetensors_writer *writer, const char *name, enum sc_safetensors_type type,
                        uint32_t n_dims, const uint64_t *shape, struct pending tensor, socle_error *err)
{
    uint64_t end = 0;
    SC_TRY(check_name(writer, name, err));
    SC_TRY(check_shape(writer, name, type, n_dims, shape, &tensor, &end, err));
    json_t *entry = grow(writer) ? make_entry(type, n_dims, shape, writer->n_bytes, end) : NULL;
    if (!entry || json_object_set_new(writer->entries, name, entry) != 0)
        return sc_fail_memory(err, sizeof *writer->tensors, "a tensor's entry");
    writer->tensors[writer->n_tensors++] = tensor;
    writer->n_bytes = end;
    return SOCLE_OK;
}

socle_status sc_safetensors_writer_add_tensor(struct sc_safetensors_writer *writer, const char *name,
                                              enum sc_safetensors_type type, uint32_t n_dims, const uint64_t *shape,
                                              const void *data, socle_error *err)
{
    return add(writer, name, type, n_dims, shape, (struct pending){ .data = data }, err);
}

socle_status sc_safetensors_writer_add_tensor_rows(struct sc_safetensors_writer *writer, const char *name,
                                                   enum sc_safetensors_type type, uint32_t n_dims,
                                                   const uint64_t *shape, sc_safetensors_row_source source, void *user,
                                                   socle_error *err)
{
    return add(writer, name, type, n_dims, shape, (struct pending){ .source = source, .user = user }, err);
}

// ---- writing

// The header's JSON, metadata first; NULL without memory. The caller frees it.
static char *print_header(const struct sc_safetensors_writer *writer)
{
    json_t *header = json_object();
    bool ok = header != NULL;
    if (json_object_size(writer->metadata))
        ok = ok && json_object_set(header, SC_SAFETENSORS_METADATA_KEY, writer->metadata) == 0;
    ok = ok && json_object_update(header, writer->entries) == 0;
    char *text = ok ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    return text;
}

static socle_status put_header(const struct sc_safetensors_writer *writer, struct sc_new_file *file, socle_error *err)
{
    char *text = print_header(writer);
    if (!text) return sc_fail_memory(err, json_object_size(writer->entries) * 100, "a safetensors header");
    size_t n_text = strlen(text), n_header = sc_align_up(n_text, 8);
    uint8_t length[8];
    for (uint32_t i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)n_header >> (8 * i));
    socle_status status = SOCLE_OK;
    if (n_header > SC_SAFETENSORS_HEADER_BYTES_MAX)
        status = sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: its header would have %zu bytes, expected at most %d",
                         file->path, n_header, SC_SAFETENSORS_HEADER_BYTES_MAX);
    if (status == SOCLE_OK) status = sc_new_file_put(file, length, sizeof length, err);
    if (status == SOCLE_OK) status = sc_new_file_put(file, text, n_text, err);
    if (status == SOCLE_OK) status = sc_new_file_put(file, "        ", n_header - n_text, err);
    free(text);
    return status;
}

static socle_status put_produced_rows(struct sc_new_file *file, const struct pending *tensor, socle_error *err)
{
    if (tensor->n_rows == 0) return SOCLE_OK;
    void *row = malloc((size_t)tensor->row_bytes);
    if (!row) return sc_fail_memory(err, tensor->row_bytes, "a row of a tensor");
    socle_status status = SOCLE_OK;
    for (uint64_t r = 0; r < tensor->n_rows && status == SOCLE_OK; r++) {
        status = tensor->source(tensor->user, r, row, err);
        if (status == SOCLE_OK) status = sc_new_file_put(file, row, (size_t)tensor->row_bytes, err);
    }
    free(row);
    return status;
}

static socle_status put_all(const struct sc_safetensors_writer *writer, struct sc_new_file *file, socle_error *err)
{
    SC_TRY(put_header(writer, file, err));
    for (uint64_t i = 0; i < writer->n_tensors; i++) {
        const struct pending *tensor = &writer->tensors[i];
        if (tensor->source) SC_TRY(put_produced_rows(file, tensor, err));
        else SC_TRY(sc_new_file_put(file, tensor->data, (size_t)(tensor->n_rows * tensor->row_bytes), err));
    }
    return SOCLE_OK;
}

socle_status sc_safetensors_writer_write(const struct sc_safetensors_writer *writer, const char *path, socle_error *err)
{
    struct sc_new_file file;
    SC_TRY(sc_new_file_begin(path, &file, err));
    return sc_new_file_end(&file, put_all(writer, &file, err), err);
}
