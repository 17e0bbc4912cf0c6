// Parsing one safetensors file: the header's JSON becomes entries, each checked by itself, then against its neighbours.
#include "formats/safetensors_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static const struct {
    const char *name;
    size_t n_bytes;
} types[SC_SAFETENSORS_TYPE_COUNT] = {
    [SC_SAFETENSORS_BOOL] = { "BOOL", 1 },       [SC_SAFETENSORS_U8] = { "U8", 1 },
    [SC_SAFETENSORS_I8] = { "I8", 1 },           [SC_SAFETENSORS_F8_E4M3] = { "F8_E4M3", 1 },
    [SC_SAFETENSORS_F8_E5M2] = { "F8_E5M2", 1 }, [SC_SAFETENSORS_U16] = { "U16", 2 },
    [SC_SAFETENSORS_I16] = { "I16", 2 },         [SC_SAFETENSORS_F16] = { "F16", 2 },
    [SC_SAFETENSORS_BF16] = { "BF16", 2 },       [SC_SAFETENSORS_U32] = { "U32", 4 },
    [SC_SAFETENSORS_I32] = { "I32", 4 },         [SC_SAFETENSORS_F32] = { "F32", 4 },
    [SC_SAFETENSORS_U64] = { "U64", 8 },         [SC_SAFETENSORS_I64] = { "I64", 8 },
    [SC_SAFETENSORS_F64] = { "F64", 8 },
};

const char *sc_safetensors_type_name(enum sc_safetensors_type type)
{
    return (unsigned)type < SC_SAFETENSORS_TYPE_COUNT ? types[type].name : "unknown";
}

size_t sc_safetensors_type_bytes(enum sc_safetensors_type type)
{
    return (unsigned)type < SC_SAFETENSORS_TYPE_COUNT ? types[type].n_bytes : 0;
}

bool sc_safetensors_size(enum sc_safetensors_type type, uint32_t n_dims, const uint64_t *shape, uint64_t *n_bytes)
{
    uint64_t product = sc_safetensors_type_bytes(type);
    bool none = false;
    for (uint32_t d = 0; d < n_dims; d++) {
        none = none || shape[d] == 0;
        if (shape[d] && !sc_u64_mul(product, shape[d], &product)) return false;
    }
    *n_bytes = none ? 0 : product;
    return true;
}

socle_status sc_safetensors_load_json(const char *path, const char *what, const void *bytes, size_t n_bytes,
                                      json_t **out, socle_error *err)
{
    json_error_t problem;
    json_t *json = json_loadb(bytes, n_bytes, JSON_REJECT_DUPLICATES, &problem);
    if (!json && json_error_code(&problem) == json_error_out_of_memory)
        return sc_fail_memory(err, n_bytes, "a header's JSON");
    if (!json)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: %s is not JSON as expected: %s (after %d bytes)", path, what,
                       problem.text, problem.position);
    if (!json_is_object(json)) {
        json_decref(json);
        return sc_fail(err, SOCLE_BAD_FILE, "%s: %s is a JSON list, expected an object", path, what);
    }
    *out = json;
    return SOCLE_OK;
}

// What is being read: one tensor of one file.
struct reading {
    const struct sc_safetensors_file *file;
    const uint8_t *data; // of all tensors
    uint64_t n_data;
    struct sc_safetensors_tensor *tensor;
    socle_error *err;
};

__attribute__((format(printf, 2, 3))) static socle_status fail_tensor(const struct reading *r, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return sc_fail(r->err, SOCLE_BAD_FILE, "%s: tensor '%.*s': %s", r->file->path, SC_TEXT_ARGS(r->tensor->name),
                   message);
}

static socle_status read_type(const struct reading *r, const json_t *json)
{
    const char *name = json_string_value(json);
    if (!name) return fail_tensor(r, "expected a string as its 'dtype', found %s", json ? "something else" : "none");
    for (unsigned t = 0; t < SC_SAFETENSORS_TYPE_COUNT; t++) {
        if (strcmp(name, types[t].name) != 0) continue;
        r->tensor->type = (enum sc_safetensors_type)t;
        return SOCLE_OK;
    }
    return sc_fail(r->err, SOCLE_UNSUPPORTED, "%s: tensor '%.*s': dtype '%.40s' is not one that socle reads",
                   r->file->path, SC_TEXT_ARGS(r->tensor->name), name);
}

// A list of whole numbers, at least 0; *n in and out is how many there is room for and how many there are.
static socle_status read_numbers(const struct reading *r, const json_t *json, const char *key, uint64_t *numbers,
                                 size_t *n)
{
    if (!json_is_array(json))
        return fail_tensor(r, "expected a list as its '%s', found %s", key, json ? "something else" : "none");
    if (json_array_size(json) > *n)
        return fail_tensor(r, "'%s' has %zu numbers, expected at most %zu", key, json_array_size(json), *n);
    *n = json_array_size(json);
    for (size_t i = 0; i < *n; i++) {
        const json_t *number = json_array_get(json, i);
        if (!json_is_integer(number) || json_integer_value(number) < 0)
            return fail_tensor(r, "number %zu of '%s' is not a whole number of at least 0", i, key);
        numbers[i] = (uint64_t)json_integer_value(number);
    }
    return SOCLE_OK;
}

static socle_status read_shape(const struct reading *r, const json_t *json)
{
    struct sc_safetensors_tensor *tensor = r->tensor;
    size_t n_dims = SC_SAFETENSORS_DIMS_MAX;
    for (size_t d = 0; d < SC_SAFETENSORS_DIMS_MAX; d++) tensor->shape[d] = 1;
    SC_TRY(read_numbers(r, json, "shape", tensor->shape, &n_dims));
    tensor->n_dims = (uint32_t)n_dims;
    if (sc_safetensors_size(tensor->type, tensor->n_dims, tensor->shape, &tensor->n_bytes)) return SOCLE_OK;
    return fail_tensor(r, "the product of its dimensions, in bytes, overflows 64 bits");
}

static socle_status read_offsets(const struct reading *r, const json_t *json)
{
    struct sc_safetensors_tensor *tensor = r->tensor;
    uint64_t offsets[2] = { 0 };
    size_t n = 2;
    SC_TRY(read_numbers(r, json, "data_offsets", offsets, &n));
    if (n != 2) return fail_tensor(r, "'data_offsets' has %zu numbers, expected 2", n);
    if (offsets[0] > offsets[1])
        return fail_tensor(r, "its data begins at %llu, after its end at %llu", (unsigned long long)offsets[0],
                           (unsigned long long)offsets[1]);
    if (offsets[1] > r->n_data)
        return fail_tensor(r, "its data ends at %llu, but the file's ends at %llu (truncated?)",
                           (unsigned long long)offsets[1], (unsigned long long)r->n_data);
    if (offsets[1] - offsets[0] != tensor->n_bytes)
        return fail_tensor(r, "expected %llu bytes of data for its shape and dtype %s, found %llu",
                           (unsigned long long)tensor->n_bytes, sc_safetensors_type_name(tensor->type),
                           (unsigned long long)(offsets[1] - offsets[0]));
    tensor->data = r->data + offsets[0];
    return SOCLE_OK;
}

static socle_status read_tensor(const struct reading *r, const json_t *json, struct sc_arena *arena)
{
    struct sc_text *name = &r->tensor->name;
    if (name->n_bytes < 1 || name->n_bytes > SC_SAFETENSORS_NAME_BYTES_MAX)
        return fail_tensor(r, "its name has %zu bytes, expected 1 to %d", name->n_bytes, SC_SAFETENSORS_NAME_BYTES_MAX);
    if (!json_is_object(json)) return fail_tensor(r, "expected an object with its dtype, shape and data_offsets");
    SC_TRY(read_type(r, json_object_get(json, "dtype")));
    SC_TRY(read_shape(r, json_object_get(json, "shape")));
    SC_TRY(read_offsets(r, json_object_get(json, "data_offsets")));
    name->data = sc_arena_text(arena, name->data, name->n_bytes);
    return name->data ? SOCLE_OK : sc_fail_memory(r->err, name->n_bytes, "a tensor's name");
}

static socle_status check_metadata(const struct sc_safetensors_file *file, json_t *metadata, socle_error *err)
{
    const char *key;
    json_t *value;
    if (!metadata) return SOCLE_OK;
    if (!json_is_object(metadata))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: '" SC_SAFETENSORS_METADATA_KEY "' is not an object of strings",
                       file->path);
    json_object_foreach (metadata, key, value) {
        if (json_is_string(value)) continue;
        return sc_fail(err, SOCLE_BAD_FILE, "%s: '" SC_SAFETENSORS_METADATA_KEY "': '%.200s' is not a string",
                       file->path, key);
    }
    return SOCLE_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct sc_safetensors_tensor *const *x = a, *const *y = b;
    uintptr_t p = (uintptr_t)(*x)->data, q = (uintptr_t)(*y)->data;
    if (p != q) return p < q ? -1 : 1;
    return ((*x)->n_bytes > (*y)->n_bytes) - ((*x)->n_bytes < (*y)->n_bytes);
}

static socle_status fail_hole(struct reading *r, uint64_t begin, uint64_t end)
{
    if (!r->tensor)
        return sc_fail(r->err, SOCLE_BAD_FILE, "%s: bytes %llu to %llu of the data belong to no tensor", r->file->path,
                       (unsigned long long)begin, (unsigned long long)end);
    return fail_tensor(r, "bytes %llu to %llu of the data, after its own, belong to no tensor",
                       (unsigned long long)begin, (unsigned long long)end);
}

// The tensors, in the order of their data, are to follow one another without overlap or hole, to the file's end.
static socle_status check_places(struct reading *r, struct sc_arena *arena)
{
    const struct sc_safetensors_file *file = r->file;
    struct sc_safetensors_tensor **order = sc_arena_array(arena, file->n_entries, sizeof *order);
    if (!order) return sc_fail_memory(r->err, file->n_entries * sizeof *order, "the tensor index");
    for (uint64_t i = 0; i < file->n_entries; i++) order[i] = &file->entries[i].tensor;
    if (file->n_entries) qsort(order, file->n_entries, sizeof *order, compare_places);
    uint64_t end = 0;
    r->tensor = NULL;
    for (uint64_t i = 0; i < file->n_entries; i++) {
        uint64_t begin = (uint64_t)((const uint8_t *)order[i]->data - r->data);
        if (begin < end) return fail_tensor(r, "its data overlaps that of tensor '%.*s'", SC_TEXT_ARGS(order[i]->name));
        if (begin > end) return fail_hole(r, end, begin);
        end = begin + order[i]->n_bytes;
        r->tensor = order[i];
    }
    return end == r->n_data ? SOCLE_OK : fail_hole(r, end, r->n_data);
}

static socle_status read_tensors(struct sc_safetensors_file *file, json_t *header, struct reading *r,
                                 struct sc_arena *arena)
{
    const char *key;
    json_t *value, *metadata = json_object_get(header, SC_SAFETENSORS_METADATA_KEY);
    size_t n = json_object_size(header) - (metadata ? 1 : 0);
    SC_TRY(check_metadata(file, metadata, r->err));
    file->entries = sc_arena_array(arena, n, sizeof *file->entries);
    if (!file->entries) return sc_fail_memory(r->err, n * sizeof *file->entries, "the file's index");
    json_object_foreach (header, key, value) {
        if (value == metadata) continue;
        struct sc_safetensors_entry *entry = &file->entries[file->n_entries];
        entry->file = file;
        entry->tensor.name = sc_text_of(key);
        r->tensor = &entry->tensor;
        SC_TRY(read_tensor(r, value, arena));
        file->n_entries++;
    }
    return check_places(r, arena);
}

socle_status sc_safetensors_parse(struct sc_safetensors_file *file, struct sc_arena *arena, socle_error *err)
{
    if (file->n_bytes < 8)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: truncated: expected 8 bytes of header length, found %llu", file->path,
                       (unsigned long long)file->n_bytes);
    uint64_t n_header = 0, n_left = file->n_bytes - 8;
    for (uint32_t i = 0; i < 8; i++) n_header |= (uint64_t)file->bytes[i] << (8 * i);
    if (n_header > SC_SAFETENSORS_HEADER_BYTES_MAX)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s: claims a header of %llu bytes, expected at most %d (not a safetensors file?)", file->path,
                       (unsigned long long)n_header, SC_SAFETENSORS_HEADER_BYTES_MAX);
    if (n_header > n_left)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: truncated: expected a header of %llu bytes, found %llu", file->path,
                       (unsigned long long)n_header, (unsigned long long)n_left);
    if (n_header == 0 || file->bytes[8] != '{')
        return sc_fail(err, SOCLE_BAD_FILE, "%s: expected a header of JSON that begins with '{' at offset 8",
                       file->path);
    json_t *header = NULL;
    SC_TRY(sc_safetensors_load_json(file->path, "the header", file->bytes + 8, (size_t)n_header, &header, err));
    struct reading r = { .file = file, .data = file->bytes + 8 + n_header, .n_data = n_left - n_header, .err = err };
    socle_status status = read_tensors(file, header, &r, arena);
    json_decref(header);
    return status;
}
