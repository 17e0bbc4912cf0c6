#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/size.h"
#include "train/model_file.h"

enum { N_STATE = offsetof(struct sc_train_state, evaluation_due) / sizeof(uint64_t), N_PARTS = 3 };

static const enum sc_part parts[N_PARTS] = { SC_PART_WEIGHTS, SC_PART_MOMENTUM, SC_PART_VARIANCE };
static const char *const prefixes[N_PARTS] = { "", SC_MOMENTUM_PREFIX, SC_VARIANCE_PREFIX };

bool sc_checkpoint_path(struct sc_buffer *out, const char *folder, uint64_t step)
{
    sc_buffer_clear(out);
    return sc_buffer_printf(out, "%s/checkpoints/step-%08llu.gguf", folder, (unsigned long long)step);
}

static const float *values_of(const struct sc_parameter *p, size_t part)
{
    return part == 0 ? p->w : part == 1 ? p->m : p->v;
}

static uint64_t n_rows(const struct sc_parameter *p) { return p->is_matrix ? p->shape[1] * p->shape[2] : 1; }

// XXH3-64 of the rows as they are written. 0 where memory ran out, which no checksum is likely to be.
static uint64_t checksum(const struct sc_parameter *p, size_t part, float *row)
{
    XXH3_state_t *hash = XXH3_createState();
    if (!hash) return 0;
    XXH3_64bits_reset(hash);
    for (uint64_t r = 0; r < n_rows(p); r++) {
        sc_parameter_get_row(p, values_of(p, part), r, row);
        XXH3_64bits_update(hash, row, p->shape[0] * sizeof *row);
    }
    uint64_t sum = XXH3_64bits_digest(hash);
    XXH3_freeState(hash);
    return sum;
}

// Of what is no tensor.
static uint64_t key_checksum(struct sc_text settings, struct sc_text data, const uint64_t state[N_STATE], uint64_t due)
{
    uint64_t sum = XXH3_64bits_withSeed(settings.data, settings.n_bytes, due);
    sum = XXH3_64bits_withSeed(data.data, data.n_bytes, sum);
    return XXH3_64bits_withSeed(state, N_STATE * sizeof *state, sum);
}

static float *row_room(const struct sc_parameters *parameters)
{
    size_t width = 1;
    for (size_t i = 0; i < parameters->n; i++) width = SC_MAX(width, (size_t)parameters->items[i].shape[0]);
    return malloc(width * sizeof(float));
}

static socle_status set_keys(struct sc_gguf_writer *writer, const struct sc_parameters *parameters,
                             const struct sc_train_identity *identity, const struct sc_train_state *state,
                             socle_error *err)
{
    uint64_t numbers[N_STATE], *sums = calloc(N_PARTS * parameters->n + 1, sizeof *sums);
    float *row = row_room(parameters);
    socle_status status = sums && row ? SOCLE_OK : sc_fail_memory(err, N_PARTS * parameters->n * 8, "checksums");
    memcpy(numbers, state, sizeof numbers);
    for (size_t i = 0; status == SOCLE_OK && i < N_PARTS * parameters->n; i++)
        sums[i] = checksum(&parameters->items[i % parameters->n], i / parameters->n, row);
    if (status == SOCLE_OK)
        sums[N_PARTS * parameters->n] = key_checksum(sc_text_of(identity->settings), sc_text_of(identity->data),
                                                     numbers, state->evaluation_due);
    if (status == SOCLE_OK) status = sc_gguf_writer_set_u32(writer, "socle.train.version", SC_CHECKPOINT_VERSION, err);
    if (status == SOCLE_OK)
        status = sc_gguf_writer_set_text(writer, "socle.train.settings", sc_text_of(identity->settings), err);
    if (status == SOCLE_OK)
        status = sc_gguf_writer_set_text(writer, "socle.train.data", sc_text_of(identity->data), err);
    if (status == SOCLE_OK) status = sc_gguf_writer_set_u64s(writer, "socle.train.state", numbers, N_STATE, err);
    if (status == SOCLE_OK)
        status = sc_gguf_writer_set_u64s(writer, "socle.train.checksums", sums, N_PARTS * parameters->n + 1, err);
    if (status == SOCLE_OK && state->evaluation_due)
        status = sc_gguf_writer_set_u32(writer, "socle.train.evaluation_due", 1, err);
    free(sums);
    free(row);
    return status;
}

socle_status sc_checkpoint_write(const char *path, const struct sc_gguf *model, const struct sc_parameters *parameters,
                                 const struct sc_train_identity *identity, const struct sc_train_state *state,
                                 socle_error *err)
{
    static const char *const without[] = { "socle.train.", "general.file_type", "split.", NULL };
    struct sc_gguf_writer *writer = NULL;
    struct sc_parameter_source *sources = sc_parameter_sources(parameters, N_PARTS);
    if (!sources) return sc_fail_memory(err, parameters->n * sizeof *sources, "a checkpoint");
    socle_status status = sc_gguf_writer_create(&writer, err);
    if (status == SOCLE_OK) status = sc_copy_metadata(model, without, writer, err);
    if (status == SOCLE_OK) status = set_keys(writer, parameters, identity, state, err);
    for (size_t part = 0; status == SOCLE_OK && part < N_PARTS; part++)
        status = sc_parameters_write(parameters, parts[part], prefixes[part], NULL, sources + part * parameters->n,
                                     writer, err);
    if (status == SOCLE_OK) status = sc_copy_other_tensors(model, parameters, writer, err);
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
    sc_gguf_writer_free(writer);
    free(sources);
    return status;
}

// ---- reading

static socle_status check_identity(const struct sc_gguf *file, const struct sc_train_identity *identity,
                                   socle_error *err)
{
    struct sc_text settings = { 0 }, data = { 0 };
    uint32_t version = 0;
    SC_TRY(sc_gguf_get_u32(file, "socle.train.version", &version, err));
    if (version != SC_CHECKPOINT_VERSION)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: no checkpoint of this version of Socle (version %u, expected %d)",
                       sc_gguf_path(file), version, SC_CHECKPOINT_VERSION);
    SC_TRY(sc_gguf_get_text(file, "socle.train.settings", &settings, err));
    SC_TRY(sc_gguf_get_text(file, "socle.train.data", &data, err));
    if (identity && !sc_text_is(settings, identity->settings))
        return sc_fail(
            err, SOCLE_BAD_ARGUMENT,
            "%s: the run was begun with other settings, or for another model; go on with those, or begin another run "
            "in a folder of its own",
            sc_gguf_path(file));
    if (identity && !sc_text_is(data, identity->data))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: the run was begun with other data: its files have changed since",
                       sc_gguf_path(file));
    return SOCLE_OK;
}

static uint64_t u64_at(const struct sc_gguf_value *value, uint64_t i)
{
    uint64_t number;
    memcpy(&number, value->raw + i * sizeof number, sizeof number);
    return number;
}

// The file's tensor of one part of a parameter, its checksum compared.
static socle_status find_part(const struct sc_gguf *file, const struct sc_gguf_value *sums,
                              const struct sc_parameters *parameters, size_t i, size_t part,
                              const struct sc_tensor **out, socle_error *err)
{
    const struct sc_parameter *p = &parameters->items[i];
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefixes[part], p->name);
    const struct sc_tensor *t = sc_gguf_find_tensor(file, name);
    uint64_t n = n_rows(p) * p->shape[0];
    if (!t || t->packed || strcmp(t->format->name, "F32") != 0 || t->n_bytes != n * sizeof(float))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: the tensor '%s' is missing or of another shape", sc_gguf_path(file),
                       name);
    if (XXH3_64bits(t->data, t->n_bytes) != u64_at(sums, part * parameters->n + i))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: the tensor '%s' is damaged: its checksum does not agree",
                       sc_gguf_path(file), name);
    *out = t;
    return SOCLE_OK;
}

// Calls `take` with every part of every parameter.
typedef socle_status take_part(const struct sc_parameter *p, size_t part, const struct sc_tensor *t, float *row,
                               socle_error *err);

static socle_status each_part(const struct sc_gguf *file, const struct sc_parameters *parameters, take_part *take,
                              socle_error *err)
{
    const struct sc_gguf_value *sums = NULL;
    SC_TRY(sc_gguf_require(file, "socle.train.checksums", err));
    SC_TRY(sc_gguf_get_array(file, "socle.train.checksums", SC_GGUF_U64, N_PARTS * parameters->n + 1, &sums, err));
    float *row = row_room(parameters);
    socle_status status = row ? SOCLE_OK : sc_fail_memory(err, 0, "a checkpoint");
    for (size_t i = 0; status == SOCLE_OK && i < N_PARTS * parameters->n; i++) {
        const struct sc_tensor *t;
        status = find_part(file, sums, parameters, i % parameters->n, i / parameters->n, &t, err);
        if (status == SOCLE_OK) status = take(&parameters->items[i % parameters->n], i / parameters->n, t, row, err);
    }
    free(row);
    return status;
}

static socle_status load_part(const struct sc_parameter *p, size_t part, const struct sc_tensor *t, float *row,
                              socle_error *err)
{
    (void)row, (void)err;
    for (uint64_t r = 0; r < n_rows(p); r++)
        sc_parameter_set_row(p, (float *)(uintptr_t)values_of(p, part), r, (const float *)t->data + r * p->shape[0]);
    return SOCLE_OK;
}

static socle_status compare_part(const struct sc_parameter *p, size_t part, const struct sc_tensor *t, float *row,
                                 socle_error *err)
{
    for (uint64_t r = 0; r < n_rows(p); r++) {
        sc_parameter_get_row(p, values_of(p, part), r, row);
        if (memcmp(row, (const float *)t->data + r * p->shape[0], p->shape[0] * sizeof *row) != 0)
            return sc_fail(err, SOCLE_BAD_FILE, "'%s%s' differs in row %llu", prefixes[part], p->name,
                           (unsigned long long)r);
    }
    return SOCLE_OK;
}

// Step, counts and so on, their checksum compared.
static socle_status read_state(const struct sc_gguf *file, struct sc_train_state *out, socle_error *err)
{
    const struct sc_gguf_value *numbers = NULL, *sums = NULL;
    struct sc_text settings = { 0 }, data = { 0 };
    uint64_t state[N_STATE];
    uint32_t due = 0;
    SC_TRY(sc_gguf_require(file, "socle.train.state", err));
    SC_TRY(sc_gguf_require(file, "socle.train.checksums", err));
    SC_TRY(sc_gguf_get_array(file, "socle.train.state", SC_GGUF_U64, N_STATE, &numbers, err));
    SC_TRY(sc_gguf_get_array(file, "socle.train.checksums", SC_GGUF_U64, 0, &sums, err));
    SC_TRY(sc_gguf_get_text(file, "socle.train.settings", &settings, err));
    SC_TRY(sc_gguf_get_text(file, "socle.train.data", &data, err));
    SC_TRY(sc_gguf_get_u32(file, "socle.train.evaluation_due", &due, err));
    for (size_t i = 0; i < N_STATE; i++) state[i] = u64_at(numbers, i);
    if (sums->n == 0 || u64_at(sums, sums->n - 1) != key_checksum(settings, data, state, due))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: the numbers of the run are damaged: their checksum does not agree",
                       sc_gguf_path(file));
    memcpy(out, state, sizeof state);
    out->evaluation_due = due;
    return SOCLE_OK;
}

socle_status sc_checkpoint_read(const char *path, const struct sc_parameters *parameters,
                                const struct sc_train_identity *identity, struct sc_train_state *out, socle_error *err)
{
    struct sc_gguf *file;
    struct sc_train_state state;
    SC_TRY(sc_gguf_open(path, &file, err));
    socle_status status = read_state(file, &state, err);
    if (status == SOCLE_OK) status = check_identity(file, identity, err);
    if (status == SOCLE_OK) status = each_part(file, parameters, load_part, err);
    if (status == SOCLE_OK) *out = state;
    sc_gguf_close(file);
    return status;
}

socle_status sc_checkpoint_compare(const char *path, const struct sc_parameters *parameters, socle_error *err)
{
    struct sc_gguf *file;
    SC_TRY(sc_gguf_open(path, &file, err));
    socle_status status = each_part(file, parameters, compare_part, err);
    sc_gguf_close(file);
    return status;
}

// ---- the folder

// The process that writes a file of this name, "<name>.<process>.<number>.part"; 0: it is no such name.
static long writer_of(const char *name)
{
    long process = 0;
    int number, end = 0;
    const char *at = strstr(name, ".gguf.");
    if (!at || sscanf(at, ".gguf.%ld.%d.part%n", &process, &number, &end) != 2 || end == 0 || at[end]) return 0;
    return process;
}

void sc_checkpoint_sweep(const char *folder)
{
    struct sc_buffer path = { 0 };
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        long process = writer_of(entry->d_name);
        if (process <= 0 || (process != (long)getpid() && (kill((pid_t)process, 0) == 0 || errno != ESRCH))) continue;
        sc_buffer_clear(&path);
        if (sc_buffer_printf(&path, "%s/%s", folder, entry->d_name)) unlink(path.data);
    }
    if (directory) closedir(directory);
    sc_buffer_free(&path);
}

static int compare_steps(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

socle_status sc_checkpoint_list(const char *folder, uint64_t **steps, size_t *n, socle_error *err)
{
    struct sc_buffer path = { 0 };
    size_t capacity = 0;
    *steps = NULL;
    *n = 0;
    if (!sc_buffer_printf(&path, "%s/checkpoints", folder)) return sc_fail_memory(err, 0, "a path");
    DIR *directory = opendir(path.data);
    sc_buffer_free(&path);
    if (!directory && errno == ENOENT) return SOCLE_OK;
    if (!directory) return sc_fail(err, SOCLE_IO, "%s/checkpoints: cannot read: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        unsigned long long step;
        int end = 0;
        if (sscanf(entry->d_name, "step-%llu.gguf%n", &step, &end) != 1 || end == 0 || entry->d_name[end]) continue;
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            uint64_t *larger = realloc(*steps, capacity * sizeof *larger);
            if (!larger) {
                closedir(directory);
                return sc_fail_memory(err, capacity * sizeof *larger, "a list of checkpoints");
            }
            *steps = larger;
        }
        (*steps)[(*n)++] = step;
    }
    closedir(directory);
    if (*n) qsort(*steps, *n, sizeof **steps, compare_steps);
    return SOCLE_OK;
}
