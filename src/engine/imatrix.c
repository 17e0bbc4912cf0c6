// The file side of importance matrices; imatrix_gather.c is the other.
#include "engine/imatrix_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/gguf_writer.h"

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";
enum { NAME_BYTES = SC_GGUF_TENSOR_NAME_BYTES_MAX + 1 };

void sc_imatrix_free(struct sc_imatrix *imatrix)
{
    if (!imatrix) return;
    sc_gguf_close(imatrix->gguf);
    sc_arena_free(&imatrix->arena);
    free(imatrix);
}

uint32_t sc_imatrix_n_entries(const struct sc_imatrix *imatrix) { return imatrix->n_entries; }
uint32_t sc_imatrix_n_chunks(const struct sc_imatrix *imatrix) { return imatrix->n_chunks; }
struct sc_text sc_imatrix_dataset(const struct sc_imatrix *imatrix) { return imatrix->dataset; }

// ---- reading

static bool ends_with(struct sc_text text, const char *suffix)
{
    size_t n = strlen(suffix);
    return text.n_bytes > n && memcmp(text.data + text.n_bytes - n, suffix, n) == 0;
}

static uint64_t n_elements(const struct sc_tensor *t) { return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3]; }

// A number of an F32 tensor, at any alignment.
static float element(const struct sc_tensor *t, uint64_t i)
{
    float value;
    t->format->decode((const char *)t->data + 4 * i, &value, 1);
    return value;
}

static socle_status fail_tensor(const struct sc_imatrix *m, const struct sc_tensor *t, const char *expected,
                                socle_error *err)
{
    return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor '%.*s': expected %s", sc_gguf_path(m->gguf), SC_TEXT_ARGS(t->name),
                   expected);
}

static socle_status check_numbers(const struct sc_imatrix *m, const struct sc_tensor *t, socle_error *err)
{
    if (strcmp(t->format->name, "F32") != 0) return fail_tensor(m, t, "F32 numbers", err);
    for (uint64_t i = 0; i < n_elements(t); i++) {
        float x = element(t, i);
        if (!(x >= 0.0f && x - x == 0.0f)) return fail_tensor(m, t, "finite numbers, none below 0", err);
    }
    return SOCLE_OK;
}

// Sums and counts of one weight as means.
static socle_status read_entry(struct sc_imatrix *m, const struct sc_tensor *sums, socle_error *err)
{
    char name[NAME_BYTES + 16];
    struct sc_text stem = { sums->name.data, sums->name.n_bytes - strlen(sums_suffix) };
    snprintf(name, sizeof name, "%.*s%s", SC_TEXT_ARGS(stem), counts_suffix);
    const struct sc_tensor *counts = sc_gguf_find_tensor(m->gguf, name);
    if (!counts)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor '%s' is missing beside '%.*s'", sc_gguf_path(m->gguf), name,
                       SC_TEXT_ARGS(sums->name));
    SC_TRY(check_numbers(m, sums, err));
    SC_TRY(check_numbers(m, counts, err));
    uint64_t n = n_elements(sums), n_counts = n_elements(counts);
    if (n % n_counts != 0) return fail_tensor(m, counts, "a count for each row of the sums", err);
    float *means = sc_arena_array(&m->arena, n, sizeof *means);
    if (!means) return sc_fail_memory(err, n * sizeof *means, "an importance matrix");
    for (uint64_t i = 0; i < n; i++) {
        float count = element(counts, i / (n / n_counts));
        means[i] = count > 0.0f ? element(sums, i) / count : 1.0f;
    }
    m->entries[m->n_entries++] = (struct sc_imatrix_entry){ .name = stem, .k = n, .n_matrices = 1, .means = means };
    return SOCLE_OK;
}

static socle_status read_all(struct sc_imatrix *m, socle_error *err)
{
    struct sc_text type = { 0 };
    const struct sc_gguf_value *datasets;
    SC_TRY(sc_gguf_get_text(m->gguf, "general.type", &type, err));
    if (!type.data || !sc_text_is(type, "imatrix"))
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s: is no importance matrix: key 'general.type' is not \"imatrix\" ('socle imatrix' makes one)",
                       sc_gguf_path(m->gguf));
    SC_TRY(sc_gguf_get_u32(m->gguf, "imatrix.chunk_count", &m->n_chunks, err));
    SC_TRY(sc_gguf_get_array(m->gguf, "imatrix.datasets", SC_GGUF_STRING, 0, &datasets, err));
    if (datasets && datasets->n) m->dataset = datasets->strings[0];
    uint64_t n_tensors = sc_gguf_n_tensors(m->gguf);
    m->entries = sc_arena_array(&m->arena, n_tensors, sizeof *m->entries);
    if (!m->entries) return sc_fail_memory(err, n_tensors * sizeof *m->entries, "an importance matrix");
    for (uint64_t i = 0; i < n_tensors; i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(m->gguf, i);
        if (ends_with(t->name, sums_suffix)) SC_TRY(read_entry(m, t, err));
    }
    if (m->n_entries) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE, "%s: holds no tensor whose name ends in '%s'", sc_gguf_path(m->gguf),
                   sums_suffix);
}

socle_status sc_imatrix_open(const char *path, struct sc_imatrix **out, socle_error *err)
{
    struct sc_imatrix *m = calloc(1, sizeof *m);
    if (!m) return sc_fail_memory(err, sizeof *m, "an importance matrix");
    socle_status status = sc_gguf_open(path, &m->gguf, err);
    if (status == SOCLE_OK) status = read_all(m, err);
    if (status == SOCLE_OK) *out = m;
    else sc_imatrix_free(m);
    return status;
}

socle_status sc_imatrix_check(const struct sc_imatrix *m, const struct sc_gguf *gguf, socle_error *err)
{
    for (uint32_t i = 0; i < m->n_entries; i++) {
        char name[NAME_BYTES + 16];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(m->entries[i].name));
        if (sc_gguf_find_tensor(gguf, name)) continue;
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s: was gathered from another model: it has importances for '%s', but %s has no such tensor",
                       sc_gguf_path(m->gguf), name, sc_gguf_path(gguf));
    }
    return SOCLE_OK;
}

socle_status sc_imatrix_find(const struct sc_imatrix *m, const struct sc_tensor *tensor, const float **out,
                             socle_error *err)
{
    *out = NULL;
    uint64_t n = tensor->shape[0] * tensor->shape[2] * tensor->shape[3];
    for (uint32_t i = 0; i < m->n_entries; i++) {
        const struct sc_imatrix_entry *entry = &m->entries[i];
        if (!sc_text_equal(entry->name, tensor->name)) continue;
        if (entry->k * entry->n_matrices != n)
            return sc_fail(
                err, SOCLE_BAD_FILE,
                "%s: was gathered from another model: tensor '%.*s' has %llu importances, but %llu are needed",
                sc_gguf_path(m->gguf), SC_TEXT_ARGS(tensor->name), (unsigned long long)(entry->k * entry->n_matrices),
                (unsigned long long)n);
        *out = entry->means;
    }
    return SOCLE_OK;
}

// ---- writing

// The numbers of one entry as they are written; they live in `arena` until then.
static socle_status add_entry(struct sc_gguf_writer *writer, struct sc_arena *arena,
                              const struct sc_imatrix_entry *entry, socle_error *err)
{
    char name[NAME_BYTES + 16];
    const struct sc_format *f32 = sc_format_find_name("F32");
    uint64_t n = entry->k * entry->n_matrices, sums_shape[2] = { entry->k, entry->n_matrices };
    uint64_t counts_shape[2] = { 1, entry->n_matrices };
    float *sums = sc_arena_array(arena, n, sizeof *sums);
    float *counts = sc_arena_array(arena, entry->n_matrices, sizeof *counts);
    if (!sums || !counts) return sc_fail_memory(err, n * sizeof *sums, "an importance matrix");
    for (uint64_t i = 0; i < n; i++) {
        float sum = (float)entry->sums[i];
        if (!(sum - sum == 0.0f))
            return sc_fail(err, SOCLE_NOT_FINITE, "tensor '%.*s': the squares of input %llu are not finite",
                           SC_TEXT_ARGS(entry->name), (unsigned long long)(i % entry->k));
        f32->encode(&sum, NULL, &sums[i], 1);
    }
    for (uint64_t i = 0; i < entry->n_matrices; i++) {
        float count = (float)entry->counts[i];
        f32->encode(&count, NULL, &counts[i], 1);
    }
    snprintf(name, sizeof name, "%.*s%s", SC_TEXT_ARGS(entry->name), sums_suffix);
    SC_TRY(sc_gguf_writer_add_tensor(writer, name, f32, 2, sums_shape, sums, err));
    snprintf(name, sizeof name, "%.*s%s", SC_TEXT_ARGS(entry->name), counts_suffix);
    return sc_gguf_writer_add_tensor(writer, name, f32, 2, counts_shape, counts, err);
}

static socle_status fill(struct sc_gguf_writer *writer, const struct sc_imatrix *m, struct sc_arena *arena,
                         struct sc_text dataset, uint32_t n_chunks, uint32_t chunk_size, socle_error *err)
{
    SC_TRY(sc_gguf_writer_set_text(writer, "general.type", sc_text_of("imatrix"), err));
    SC_TRY(sc_gguf_writer_set_texts(writer, "imatrix.datasets", &dataset, 1, err));
    SC_TRY(sc_gguf_writer_set_u32(writer, "imatrix.chunk_count", n_chunks, err));
    SC_TRY(sc_gguf_writer_set_u32(writer, "imatrix.chunk_size", chunk_size, err));
    for (uint32_t i = 0; i < m->n_entries; i++) SC_TRY(add_entry(writer, arena, &m->entries[i], err));
    return SOCLE_OK;
}

socle_status sc_imatrix_write(const struct sc_imatrix *m, const char *path, const char *dataset, uint32_t n_chunks,
                              uint32_t chunk_size, socle_error *err)
{
    struct sc_gguf_writer *writer;
    struct sc_arena arena = { 0 };
    SC_TRY(sc_gguf_writer_create(&writer, err));
    socle_status status = fill(writer, m, &arena, sc_text_of(dataset), n_chunks, chunk_size, err);
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
    sc_gguf_writer_free(writer);
    sc_arena_free(&arena);
    return status;
}
