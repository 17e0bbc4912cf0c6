// The GGUF reader's outside: shards joined, names looked up, values read by type. Parsing is in gguf_parse.c.
#include "formats/gguf.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "tensor/packed.h"
#include "formats/gguf_internal.h"

enum { SHARDS_MAX = 10000 };

struct sc_gguf {
    char *path;
    struct sc_arena arena;
    uint32_t n_shards;
    struct sc_gguf_file *shards; // in the arena
    struct sc_mapping *mappings; // in the arena; zeroed for memory
    uint64_t n_tensors;
    const struct sc_tensor **tensors; // of all shards, in file order
    uint64_t *offsets;
    const struct sc_gguf_value **values_by_key; // of the first shard, sorted
    const struct sc_tensor **tensors_by_name;   // sorted
};

static int compare_texts(struct sc_text a, struct sc_text b)
{
    int order = memcmp(a.data, b.data, SC_MIN(a.n_bytes, b.n_bytes));
    return order ? order : (a.n_bytes > b.n_bytes) - (a.n_bytes < b.n_bytes);
}

static int compare_values(const void *a, const void *b)
{
    const struct sc_gguf_value *const *x = a, *const *y = b;
    return compare_texts((*x)->key, (*y)->key);
}

static int compare_tensors(const void *a, const void *b)
{
    const struct sc_tensor *const *x = a, *const *y = b;
    return compare_texts((*x)->name, (*y)->name);
}

// Sorts the look-up tables and refuses duplicates.
static socle_status build_index(struct sc_gguf *gguf, socle_error *err)
{
    struct sc_gguf_file *first = &gguf->shards[0];
    for (uint32_t s = 0; s < gguf->n_shards; s++) gguf->n_tensors += gguf->shards[s].n_tensors;
    gguf->values_by_key = sc_arena_array(&gguf->arena, first->n_values, sizeof *gguf->values_by_key);
    gguf->tensors = sc_arena_array(&gguf->arena, gguf->n_tensors, sizeof *gguf->tensors);
    gguf->tensors_by_name = sc_arena_array(&gguf->arena, gguf->n_tensors, sizeof *gguf->tensors_by_name);
    gguf->offsets = sc_arena_array(&gguf->arena, gguf->n_tensors, sizeof *gguf->offsets);
    if (!gguf->values_by_key || !gguf->tensors || !gguf->tensors_by_name || !gguf->offsets)
        return sc_fail_memory(err, gguf->n_tensors * 24 + first->n_values * 8, "the file's index");
    for (uint64_t i = 0; i < first->n_values; i++) gguf->values_by_key[i] = &first->values[i];
    for (uint64_t s = 0, n = 0; s < gguf->n_shards; s++)
        for (uint64_t i = 0; i < gguf->shards[s].n_tensors; i++, n++) {
            gguf->tensors_by_name[n] = gguf->tensors[n] = &gguf->shards[s].tensors[i];
            gguf->offsets[n] = gguf->shards[s].offsets[i];
        }
    qsort(gguf->values_by_key, first->n_values, sizeof *gguf->values_by_key, compare_values);
    qsort(gguf->tensors_by_name, gguf->n_tensors, sizeof *gguf->tensors_by_name, compare_tensors);
    for (uint64_t i = 1; i < first->n_values; i++)
        if (compare_values(&gguf->values_by_key[i - 1], &gguf->values_by_key[i]) == 0)
            return sc_fail(err, SOCLE_BAD_FILE, "%s: duplicate key '%.*s'", gguf->path,
                           SC_TEXT_ARGS(gguf->values_by_key[i]->key));
    for (uint64_t i = 1; i < gguf->n_tensors; i++)
        if (compare_tensors(&gguf->tensors_by_name[i - 1], &gguf->tensors_by_name[i]) == 0)
            return sc_fail(err, SOCLE_BAD_FILE, "%s: duplicate tensor '%.*s'", gguf->path,
                           SC_TEXT_ARGS(gguf->tensors_by_name[i]->name));
    return SOCLE_OK;
}

// A value of one shard, looked up before any index exists: split.* keys. Absent: *out stays.
static socle_status shard_number(const struct sc_gguf_file *file, const char *key, uint64_t *out, socle_error *err)
{
    for (uint64_t i = 0; i < file->n_values; i++) {
        const struct sc_gguf_value *value = &file->values[i];
        if (!sc_text_is(value->key, key)) continue;
        if (value->is_array || sc_gguf_type_bytes(value->type) == 0 || value->type == SC_GGUF_F32 ||
            value->type == SC_GGUF_F64 || sc_gguf_int_at(value, 0) < 0)
            return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s': expected a whole number, found %s", file->path, key,
                           sc_gguf_type_name(value->type));
        *out = (uint64_t)sc_gguf_int_at(value, 0);
    }
    return SOCLE_OK;
}

static socle_status open_shard(struct sc_gguf *gguf, uint32_t s, const char *path, socle_error *err)
{
    struct sc_gguf_file *file = &gguf->shards[s];
    SC_TRY(sc_map_file(path, &gguf->mappings[s], err));
    file->path = sc_arena_text(&gguf->arena, path, strlen(path));
    if (!file->path) return sc_fail_memory(err, strlen(path), "a path");
    file->data = gguf->mappings[s].data;
    file->n_bytes = gguf->mappings[s].n_bytes;
    return sc_gguf_parse(file, &gguf->arena, err);
}

static socle_status fail_shard(const char *path, const char *key, uint64_t expected, uint64_t found, socle_error *err)
{
    if (found == UINT64_MAX) return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s' is missing", path, key);
    return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s': expected %lld, found %lld", path, key, (long long)expected,
                   (long long)found);
}

// n_tensors is what the first shard says of all; UINT64_MAX where it says nothing.
static socle_status open_other_shards(struct sc_gguf *gguf, uint32_t count, uint64_t n_tensors, socle_error *err)
{
    char suffix[32];
    size_t n_path = strlen(gguf->path);
    size_t n_suffix = (size_t)snprintf(suffix, sizeof suffix, "-00001-of-%05u.gguf", count);
    if (n_path < n_suffix || strcmp(gguf->path + n_path - n_suffix, suffix) != 0)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s: is one of %u shards; expected a name that ends in '%s' (open the first)", gguf->path, count,
                       suffix);
    char *path = sc_arena_alloc(&gguf->arena, n_path + 16);
    if (!path) return sc_fail_memory(err, n_path + 16, "a path");
    for (uint32_t s = 1; s < count; s++) {
        snprintf(path, n_path + 16, "%.*s-%05u-of-%05u.gguf", (int)(n_path - n_suffix), gguf->path, s + 1, count);
        SC_TRY(open_shard(gguf, s, path, err));
        uint64_t number = UINT64_MAX, its_count = count, its_n_tensors = n_tensors;
        SC_TRY(shard_number(&gguf->shards[s], "split.no", &number, err));
        SC_TRY(shard_number(&gguf->shards[s], "split.count", &its_count, err));
        SC_TRY(shard_number(&gguf->shards[s], "split.tensors.count", &its_n_tensors, err));
        if (number != s) return fail_shard(path, "split.no", s, number, err);
        if (its_count != count) return fail_shard(path, "split.count", count, its_count, err);
        if (n_tensors != UINT64_MAX && its_n_tensors != n_tensors)
            return fail_shard(path, "split.tensors.count", n_tensors, its_n_tensors, err);
    }
    return SOCLE_OK;
}

static socle_status open_shards(struct sc_gguf *gguf, socle_error *err)
{
    uint64_t count = 1, number = 0, n_expected = UINT64_MAX, n_tensors = 0;
    struct sc_gguf_file *first = &gguf->shards[0];
    SC_TRY(shard_number(first, "split.count", &count, err));
    SC_TRY(shard_number(first, "split.no", &number, err));
    SC_TRY(shard_number(first, "split.tensors.count", &n_expected, err));
    if (count > SHARDS_MAX)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key 'split.count': %llu shards, expected at most %d", gguf->path,
                       (unsigned long long)count, SHARDS_MAX);
    if (count > 1 && number >= count)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key 'split.no': %llu, but 'split.count' is %llu", gguf->path,
                       (unsigned long long)number, (unsigned long long)count);
    if (count > 1 && number != 0)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: is shard %llu of %llu: open the first one", gguf->path,
                       (unsigned long long)number + 1, (unsigned long long)count);
    if (count > 1) {
        struct sc_gguf_file *shards = sc_arena_array(&gguf->arena, count, sizeof *shards);
        struct sc_mapping *mappings = sc_arena_array(&gguf->arena, count, sizeof *mappings);
        if (!shards || !mappings) return sc_fail_memory(err, count * sizeof *shards, "the shards' index");
        shards[0] = gguf->shards[0];
        mappings[0] = gguf->mappings[0];
        gguf->shards = shards;
        gguf->mappings = mappings;
        // From here on n_shards counts mappings: those not made yet are zero, those mapped but not parsed are undone.
        gguf->n_shards = (uint32_t)count;
        SC_TRY(open_other_shards(gguf, (uint32_t)count, n_expected, err));
    }
    for (uint32_t s = 0; s < gguf->n_shards; s++) n_tensors += gguf->shards[s].n_tensors;
    if (count > 1 && n_expected != UINT64_MAX && n_tensors != n_expected)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s: key 'split.tensors.count': expected %llu tensors in all shards, found %llu", gguf->path,
                       (unsigned long long)n_expected, (unsigned long long)n_tensors);
    return SOCLE_OK;
}

static socle_status create(const char *path, struct sc_gguf **out, socle_error *err)
{
    struct sc_gguf *gguf = calloc(1, sizeof *gguf);
    if (!gguf) return sc_fail_memory(err, sizeof *gguf, "a GGUF reader");
    gguf->path = sc_arena_text(&gguf->arena, path, strlen(path));
    gguf->shards = sc_arena_array(&gguf->arena, 1, sizeof *gguf->shards);
    gguf->mappings = sc_arena_array(&gguf->arena, 1, sizeof *gguf->mappings);
    gguf->n_shards = 1;
    *out = gguf;
    if (gguf->path && gguf->shards && gguf->mappings) return SOCLE_OK;
    sc_gguf_close(gguf);
    return sc_fail_memory(err, strlen(path), "a GGUF reader");
}

// Packed tensors are understood only in the layout that this version writes.
static socle_status check_packed(const struct sc_gguf *gguf, socle_error *err)
{
    uint32_t version = 0;
    SC_TRY(sc_gguf_get_u32(gguf, SC_PACKED_VERSION_KEY, &version, err));
    bool packed = version != 0;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) packed = packed || sc_gguf_tensor_at(gguf, i)->packed;
    if (!packed || version == SC_PACKED_VERSION) return SOCLE_OK;
    return sc_fail(err, SOCLE_UNSUPPORTED,
                   "%s: is packed in version %u of the layout, expected %d: pack the original again with 'socle pack'",
                   gguf->path, version, SC_PACKED_VERSION);
}

static socle_status finish(struct sc_gguf *gguf, socle_status status, struct sc_gguf **out, socle_error *err)
{
    if (status == SOCLE_OK) status = build_index(gguf, err);
    if (status == SOCLE_OK) status = check_packed(gguf, err);
    if (status == SOCLE_OK) *out = gguf;
    else sc_gguf_close(gguf);
    return status;
}

socle_status sc_gguf_open(const char *path, struct sc_gguf **out, socle_error *err)
{
    struct sc_gguf *gguf;
    SC_TRY(create(path, &gguf, err));
    socle_status status = open_shard(gguf, 0, path, err);
    if (status == SOCLE_OK) status = open_shards(gguf, err);
    return finish(gguf, status, out, err);
}

socle_status sc_gguf_open_memory(const char *name, const void *bytes, size_t n_bytes, struct sc_gguf **out,
                                 socle_error *err)
{
    struct sc_gguf *gguf;
    SC_TRY(create(name, &gguf, err));
    gguf->shards[0] = (struct sc_gguf_file){ .path = gguf->path, .data = bytes, .n_bytes = n_bytes };
    socle_status status = sc_gguf_parse(&gguf->shards[0], &gguf->arena, err);
    uint64_t count = 1;
    if (status == SOCLE_OK) status = shard_number(&gguf->shards[0], "split.count", &count, err);
    if (status == SOCLE_OK && count > 1)
        status = sc_fail(err, SOCLE_UNSUPPORTED, "%s: is one of %llu shards, which cannot be opened from memory", name,
                         (unsigned long long)count);
    return finish(gguf, status, out, err);
}

void sc_gguf_close(struct sc_gguf *gguf)
{
    if (!gguf) return;
    for (uint32_t s = 0; gguf->mappings && s < gguf->n_shards; s++) sc_unmap(&gguf->mappings[s]);
    sc_arena_free(&gguf->arena);
    free(gguf);
}

const char *sc_gguf_path(const struct sc_gguf *gguf) { return gguf->path; }
uint32_t sc_gguf_version(const struct sc_gguf *gguf) { return gguf->shards[0].version; }
uint32_t sc_gguf_n_shards(const struct sc_gguf *gguf) { return gguf->n_shards; }
uint64_t sc_gguf_n_values(const struct sc_gguf *gguf) { return gguf->shards[0].n_values; }
uint64_t sc_gguf_n_tensors(const struct sc_gguf *gguf) { return gguf->n_tensors; }
uint64_t sc_gguf_tensor_offset(const struct sc_gguf *gguf, uint64_t i) { return gguf->offsets[i]; }
const struct sc_tensor *sc_gguf_tensor_at(const struct sc_gguf *gguf, uint64_t i) { return gguf->tensors[i]; }

uint64_t sc_gguf_file_bytes(const struct sc_gguf *gguf)
{
    uint64_t n_bytes = 0;
    for (uint32_t s = 0; s < gguf->n_shards; s++) n_bytes += gguf->shards[s].n_bytes;
    return n_bytes;
}

const struct sc_gguf_value *sc_gguf_value_at(const struct sc_gguf *gguf, uint64_t i)
{
    return &gguf->shards[0].values[i];
}

const struct sc_gguf_value *sc_gguf_find(const struct sc_gguf *gguf, const char *key)
{
    struct sc_gguf_value wanted = { .key = sc_text_of(key) };
    const struct sc_gguf_value *pointer = &wanted;
    const struct sc_gguf_value **found = bsearch(&pointer, gguf->values_by_key, gguf->shards[0].n_values,
                                                 sizeof *gguf->values_by_key, compare_values);
    return found ? *found : NULL;
}

const struct sc_tensor *sc_gguf_find_tensor(const struct sc_gguf *gguf, const char *name)
{
    struct sc_tensor wanted = { .name = sc_text_of(name) };
    const struct sc_tensor *pointer = &wanted;
    const struct sc_tensor **found = bsearch(&pointer, gguf->tensors_by_name, gguf->n_tensors,
                                             sizeof *gguf->tensors_by_name, compare_tensors);
    return found ? *found : NULL;
}

static bool is_integer(const struct sc_gguf_value *value)
{
    return value->type != SC_GGUF_F32 && value->type != SC_GGUF_F64 && value->type != SC_GGUF_STRING;
}

int64_t sc_gguf_int_at(const struct sc_gguf_value *value, uint64_t i)
{
    uint32_t n_bytes = sc_gguf_type_bytes(value->type);
    const uint8_t *bytes = value->raw + i * n_bytes;
    uint64_t bits = 0;
    for (uint32_t b = 0; b < n_bytes; b++) bits |= (uint64_t)bytes[b] << (8 * b);
    switch (value->type) {
    case SC_GGUF_I8: return (int8_t)bits;
    case SC_GGUF_I16: return (int16_t)bits;
    case SC_GGUF_I32: return (int32_t)bits;
    case SC_GGUF_U64: return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    case SC_GGUF_F32:
    case SC_GGUF_F64: {
        float f = sc_gguf_float_at(value, i);
        return f > -9e18f && f < 9e18f ? (int64_t)f : 0;
    }
    default: return (int64_t)bits;
    }
}

float sc_gguf_float_at(const struct sc_gguf_value *value, uint64_t i)
{
    float f;
    double d;
    switch (value->type) {
    case SC_GGUF_F32: memcpy(&f, value->raw + 4 * i, 4); return f;
    case SC_GGUF_F64: memcpy(&d, value->raw + 8 * i, 8); return (float)d;
    default: return (float)sc_gguf_int_at(value, i);
    }
}

static socle_status fail_type(const struct sc_gguf *gguf, const struct sc_gguf_value *value, const char *expected,
                              socle_error *err)
{
    return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%.*s': expected %s, found %s%s", gguf->path, SC_TEXT_ARGS(value->key),
                   expected, value->is_array ? "an array of " : "", sc_gguf_type_name(value->type));
}

socle_status sc_gguf_get_u32(const struct sc_gguf *gguf, const char *key, uint32_t *out, socle_error *err)
{
    const struct sc_gguf_value *value = sc_gguf_find(gguf, key);
    if (!value) return SOCLE_OK;
    if (value->is_array || !is_integer(value)) return fail_type(gguf, value, "a whole number", err);
    int64_t number = sc_gguf_int_at(value, 0);
    if (number < 0 || number > UINT32_MAX)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s': expected 0 to %u, found %lld", gguf->path, key, UINT32_MAX,
                       (long long)number);
    *out = (uint32_t)number;
    return SOCLE_OK;
}

socle_status sc_gguf_get_f32(const struct sc_gguf *gguf, const char *key, float *out, socle_error *err)
{
    const struct sc_gguf_value *value = sc_gguf_find(gguf, key);
    if (!value) return SOCLE_OK;
    if (value->is_array || value->type == SC_GGUF_STRING || value->type == SC_GGUF_BOOL)
        return fail_type(gguf, value, "a number", err);
    float number = sc_gguf_float_at(value, 0);
    if (!(number - number == 0.0f)) // NaN or infinite
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s': expected a finite number, found %f", gguf->path, key,
                       (double)number);
    *out = number;
    return SOCLE_OK;
}

socle_status sc_gguf_get_bool(const struct sc_gguf *gguf, const char *key, bool *out, socle_error *err)
{
    const struct sc_gguf_value *value = sc_gguf_find(gguf, key);
    if (!value) return SOCLE_OK;
    if (value->is_array || !is_integer(value)) return fail_type(gguf, value, "a bool", err);
    *out = sc_gguf_int_at(value, 0) != 0;
    return SOCLE_OK;
}

socle_status sc_gguf_get_text(const struct sc_gguf *gguf, const char *key, struct sc_text *out, socle_error *err)
{
    const struct sc_gguf_value *value = sc_gguf_find(gguf, key);
    if (!value) return SOCLE_OK;
    if (value->is_array || value->type != SC_GGUF_STRING) return fail_type(gguf, value, "a string", err);
    *out = value->string;
    return SOCLE_OK;
}

socle_status sc_gguf_require(const struct sc_gguf *gguf, const char *key, socle_error *err)
{
    if (sc_gguf_find(gguf, key)) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s' is missing", gguf->path, key);
}

socle_status sc_gguf_get_array(const struct sc_gguf *gguf, const char *key, enum sc_gguf_type type, uint64_t n_expected,
                               const struct sc_gguf_value **out, socle_error *err)
{
    const struct sc_gguf_value *value = sc_gguf_find(gguf, key);
    *out = NULL;
    if (!value) return SOCLE_OK;
    if (!value->is_array || value->type != type) {
        char expected[64];
        snprintf(expected, sizeof expected, "an array of %s", sc_gguf_type_name(type));
        return fail_type(gguf, value, expected, err);
    }
    if (n_expected && value->n != n_expected)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: key '%s': expected an array of %llu, found %llu", gguf->path, key,
                       (unsigned long long)n_expected, (unsigned long long)value->n);
    *out = value;
    return SOCLE_OK;
}

void sc_gguf_forget(const struct sc_gguf *gguf, const void *data, uint64_t n_bytes)
{
    const uint8_t *at = data;
    for (uint32_t s = 0; gguf->mappings && s < gguf->n_shards; s++) {
        const struct sc_mapping *mapping = &gguf->mappings[s];
        if (at < mapping->data || at >= mapping->data + mapping->n_bytes) continue;
        sc_forget_pages(at, SC_MIN(n_bytes, (uint64_t)(mapping->data + mapping->n_bytes - at)));
    }
}
