#include "models/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/size.h"
#include "formats/gguf_writer.h"
#include "tensor/packed.h"

static const char checksums_key[] = "socle.packed.checksums";

enum { NAME_BYTES = 64 };

static uint64_t checksum(const struct sc_tensor *t) { return XXH3_64bits(t->data, t->n_bytes); }

// What is written of the file's tensor: the packed one where there is one.
static const struct sc_tensor *prepared(const struct sc_model *model, const struct sc_tensor *t)
{
    for (uint32_t i = 0; i < model->n_weights; i++)
        if (model->weights[i].from == t) return model->weights[i].to;
    return t;
}

static bool is_own_key(struct sc_text key)
{
    static const char *const prefixes[] = { "socle.packed.", "split.", "general.alignment" };
    for (size_t i = 0; i < SC_COUNT(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (key.n_bytes >= n && memcmp(key.data, prefixes[i], n) == 0) return true;
    }
    return false;
}

static socle_status copy_metadata(const struct sc_gguf *gguf, struct sc_gguf_writer *writer, socle_error *err)
{
    for (uint64_t i = 0; i < sc_gguf_n_values(gguf); i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(gguf, i);
        if (!is_own_key(value->key)) SC_TRY(sc_gguf_writer_copy_value(writer, value, err));
    }
    SC_TRY(sc_gguf_writer_set_u32(writer, "general.alignment", SC_TILE_ALIGNMENT, err));
    return sc_gguf_writer_set_u32(writer, SC_PACKED_VERSION_KEY, SC_PACKED_VERSION, err);
}

static socle_status fail_checksum(const struct sc_gguf *gguf, const struct sc_tensor *t, uint64_t expected,
                                  uint64_t found, socle_error *err)
{
    return sc_fail(err, SOCLE_BAD_FILE,
                   "%s: tensor '%.*s' is damaged: expected checksum %016llx, found %016llx; copy or pack the file again",
                   sc_gguf_path(gguf), SC_TEXT_ARGS(t->name), (unsigned long long)expected, (unsigned long long)found);
}

// The file's checksums, or NULL when it has none.
static socle_status find_checksums(const struct sc_gguf *gguf, const struct sc_gguf_value **out, socle_error *err)
{
    return sc_gguf_get_array(gguf, checksums_key, SC_GGUF_U64, sc_gguf_n_tensors(gguf), out, err);
}

static uint64_t checksum_at(const struct sc_gguf_value *checksums, uint64_t i)
{
    uint64_t value;
    memcpy(&value, checksums->raw + i * sizeof value, sizeof value);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(value) : value;
}

static uint64_t total_bytes(const struct sc_gguf *gguf)
{
    uint64_t n_bytes = 0;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) n_bytes += sc_gguf_tensor_at(gguf, i)->n_bytes;
    return n_bytes;
}

socle_status sc_gguf_verify(const struct sc_gguf *gguf, sc_progress *progress, void *context, socle_error *err)
{
    const struct sc_gguf_value *checksums = NULL;
    uint64_t done = 0, total = total_bytes(gguf);
    SC_TRY(find_checksums(gguf, &checksums, err));
    if (!checksums)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: has no checksums; 'socle pack' makes files that do",
                       sc_gguf_path(gguf));
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(gguf, i);
        uint64_t expected = checksum_at(checksums, i), found = checksum(t);
        if (found != expected) return fail_checksum(gguf, t, expected, found, err);
        done += t->n_bytes;
        if (progress) progress(context, done, total);
    }
    return SOCLE_OK;
}

static socle_status add_tensors(const struct sc_model *model, struct sc_gguf_writer *writer, uint64_t *checksums,
                                sc_progress *progress, void *context, socle_error *err)
{
    const struct sc_gguf *gguf = model->gguf;
    const struct sc_gguf_value *own = NULL;
    uint64_t done = 0, total = total_bytes(gguf);
    SC_TRY(find_checksums(gguf, &own, err));
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        const struct sc_tensor *from = sc_gguf_tensor_at(gguf, i), *t = prepared(model, from);
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
        checksums[i] = checksum(t);
        if (own && checksum_at(own, i) != checksums[i])
            return fail_checksum(gguf, t, checksum_at(own, i), checksums[i], err);
        SC_TRY(t->packed ? sc_gguf_writer_add_packed(writer, name, t, err)
                         : sc_gguf_writer_add_tensor(writer, name, t->format, t->n_dims, t->shape, t->data, err));
        done += from->n_bytes;
        if (progress) progress(context, done, total);
    }
    return sc_gguf_writer_set_u64s(writer, checksums_key, checksums, sc_gguf_n_tensors(gguf), err);
}

socle_status sc_model_write_packed(const struct sc_model *model, const char *path, sc_progress *progress, void *context,
                                   socle_error *err)
{
    struct sc_gguf_writer *writer = NULL;
    uint64_t n = sc_gguf_n_tensors(model->gguf), *checksums = calloc(n + 1, sizeof *checksums);
    socle_status status = checksums ? sc_gguf_writer_create(&writer, err)
                                    : sc_fail_memory(err, n * sizeof *checksums, "checksums");
    if (status == SOCLE_OK) status = copy_metadata(model->gguf, writer, err);
    if (status == SOCLE_OK) status = add_tensors(model, writer, checksums, progress, context, err);
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
    sc_gguf_writer_free(writer);
    free(checksums);
    return status;
}
