// Encoding a planned model: rows are encoded in batches over all threads while the writer asks for them one by one.
//
// Each row is decoded from the source, encoded, and decoded again to learn its error; nothing depends on how many
// threads there are or which took which row. Memory is one batch of rows, however large the model.
#include "engine/quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/pool.h"
#include "base/size.h"
#include "formats/gguf_writer.h"

enum { BATCH_ELEMENTS = 1 << 20, QUANTIZATION_VERSION = 2, LANES = 8 };

// What encoding one row gave.
struct row_result {
    double squares, errors;
    uint64_t bad; // index of a weight that is not finite or does not fit; UINT64_MAX: none
    float weight; // that one
};

struct job {
    struct sc_quantization *quantization;
    const struct sc_quantize_options *options;
    struct sc_pool *pool;
    uint64_t done, total; // elements
    // The tensor at hand and its batch of rows.
    struct sc_quantize_entry *entry;
    uint64_t first_row, n_rows;
    char *rows;
    struct row_result *results;
    float *scratch; // for each thread, two rows
};

// The user of a row source: which tensor of which job.
struct source {
    struct job *job;
    struct sc_quantize_entry *entry;
};

static uint64_t n_rows_of(const struct sc_tensor *t) { return t->shape[1] * t->shape[2] * t->shape[3]; }

// ---- encoding

// Eight sums side by side, each in order, then folded: the same on every machine, and vectors for the compiler.
static void add_up(const float *x, const float *y, uint64_t n, struct row_result *result)
{
    double squares[LANES] = { 0 }, errors[LANES] = { 0 };
    uint64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) {
            double value = (double)x[i + l], miss = value - (double)y[i + l];
            squares[l] += value * value;
            errors[l] += miss * miss;
        }
    for (; i < n; i++) {
        double value = (double)x[i], miss = value - (double)y[i];
        squares[0] += value * value;
        errors[0] += miss * miss;
    }
    for (size_t step = LANES / 2; step; step /= 2)
        for (size_t l = 0; l < step; l++) {
            squares[l] += squares[l + step];
            errors[l] += errors[l + step];
        }
    result->squares = squares[0];
    result->errors = errors[0];
}

static uint64_t first_not_finite(const float *x, uint64_t n)
{
    float zero = 0.0f;
    for (uint64_t i = 0; i < n; i++) zero += x[i] * 0.0f;
    if (zero == 0.0f) return UINT64_MAX;
    for (uint64_t i = 0; i < n; i++)
        if (x[i] * 0.0f != 0.0f) return i;
    return UINT64_MAX;
}

static void encode_row(void *context, size_t task, size_t thread)
{
    struct job *job = context;
    const struct sc_tensor *t = job->entry->tensor;
    const struct sc_format *format = job->entry->format;
    uint64_t k = t->shape[0], row = job->first_row + task;
    float *x = job->scratch + 2 * thread * k, *y = x + k;
    char *out = job->rows + task * sc_format_row_bytes(format, k);
    const float *importance = job->entry->importance;
    if (importance) importance += row / t->shape[1] * k;
    struct row_result *result = &job->results[task];
    *result = (struct row_result){ .bad = UINT64_MAX };
    t->format->decode((const char *)t->data + row * t->row_stride, x, k / t->format->block_size);
    result->bad = first_not_finite(x, k);
    if (result->bad == UINT64_MAX) {
        format->encode(x, importance, out, k / format->block_size);
        format->decode(out, y, k / format->block_size);
        result->bad = first_not_finite(y, k);
    }
    if (result->bad == UINT64_MAX) add_up(x, y, k, result);
    else result->weight = x[result->bad];
}

static socle_status fail_weight(const struct job *job, uint64_t row, const struct row_result *result, socle_error *err)
{
    const struct sc_tensor *t = job->entry->tensor;
    const char *path = sc_gguf_path(job->quantization->gguf);
    unsigned long long index = row * t->shape[0] + result->bad;
    if (result->weight * 0.0f == 0.0f)
        return sc_fail(err, SOCLE_NOT_FINITE, "%s: tensor '%.*s': weight %llu is %g, too large for %s: choose BF16",
                       path, SC_TEXT_ARGS(t->name), index, (double)result->weight, job->entry->format->name);
    return sc_fail(err, SOCLE_NOT_FINITE, "%s: tensor '%.*s': weight %llu is not finite: the file is damaged", path,
                   SC_TEXT_ARGS(t->name), index);
}

// Encodes the next batch, from `row` on.
static socle_status encode_batch(struct job *job, uint64_t row, socle_error *err)
{
    const struct sc_tensor *t = job->entry->tensor;
    uint64_t batch = SC_MAX(BATCH_ELEMENTS / t->shape[0], 1u);
    job->first_row = row;
    job->n_rows = SC_MIN(n_rows_of(t) - row, batch);
    sc_pool_run(job->pool, job->n_rows, encode_row, job);
    for (uint64_t i = 0; i < job->n_rows; i++) {
        if (job->results[i].bad != UINT64_MAX) return fail_weight(job, row + i, &job->results[i], err);
        job->entry->squares += job->results[i].squares;
        job->entry->errors += job->results[i].errors;
    }
    job->done += job->n_rows * t->shape[0];
    char name[128];
    snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
    const struct sc_quantize_options *o = job->options;
    if (o->on_progress && !o->on_progress(o->context, name, job->done, job->total))
        return sc_fail(err, SOCLE_CANCELLED, "stopped at tensor '%s'", name);
    return SOCLE_OK;
}

// The writer asks for the rows of each tensor in order.
static socle_status give_row(void *user, uint64_t row, void *out, socle_error *err)
{
    struct source *source = user;
    struct job *job = source->job;
    if (row == 0) {
        job->entry = source->entry;
        job->entry->squares = job->entry->errors = 0.0;
        job->first_row = job->n_rows = 0;
    }
    if (row == job->first_row + job->n_rows) SC_TRY(encode_batch(job, row, err));
    size_t row_bytes = sc_format_row_bytes(source->entry->format, source->entry->tensor->shape[0]);
    memcpy(out, job->rows + (row - job->first_row) * row_bytes, row_bytes);
    return SOCLE_OK;
}

// ---- the file

// Keys that describe how the source was stored, or that are set anew.
static bool is_dropped(struct sc_text key)
{
    static const char *const dropped[] = { "split.no",
                                           "split.count",
                                           "split.tensors.count",
                                           "general.file_type",
                                           "general.quantization_version",
                                           "quantize.imatrix.file",
                                           "quantize.imatrix.dataset",
                                           "quantize.imatrix.entries_count",
                                           "quantize.imatrix.chunks_count" };
    for (size_t i = 0; i < SC_COUNT(dropped); i++)
        if (sc_text_is(key, dropped[i])) return true;
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static socle_status set_metadata(const struct job *job, struct sc_gguf_writer *writer, socle_error *err)
{
    const struct sc_quantization *q = job->quantization;
    for (uint64_t i = 0; i < sc_gguf_n_values(q->gguf); i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(q->gguf, i);
        if (!is_dropped(value->key)) SC_TRY(sc_gguf_writer_copy_value(writer, value, err));
    }
    SC_TRY(sc_gguf_writer_set_u32(writer, "general.file_type", q->type->file_type, err));
    SC_TRY(sc_gguf_writer_set_u32(writer, "general.quantization_version", QUANTIZATION_VERSION, err));
    if (!q->imatrix) return SOCLE_OK;
    struct sc_text file = sc_text_of(base_name(job->options->imatrix));
    SC_TRY(sc_gguf_writer_set_text(writer, "quantize.imatrix.file", file, err));
    SC_TRY(sc_gguf_writer_set_text(writer, "quantize.imatrix.dataset", sc_imatrix_dataset(q->imatrix), err));
    SC_TRY(sc_gguf_writer_set_u32(writer, "quantize.imatrix.entries_count", sc_imatrix_n_entries(q->imatrix), err));
    return sc_gguf_writer_set_u32(writer, "quantize.imatrix.chunks_count", sc_imatrix_n_chunks(q->imatrix), err);
}

static socle_status add_tensors(const struct job *job, struct source *sources, struct sc_gguf_writer *writer,
                                socle_error *err)
{
    const struct sc_quantization *q = job->quantization;
    for (uint64_t i = 0; i < q->n_entries; i++) {
        struct sc_quantize_entry *entry = &q->entries[i];
        const struct sc_tensor *t = entry->tensor;
        char name[128];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
        if (entry->kept) SC_TRY(sc_gguf_writer_add_tensor(writer, name, t->format, t->n_dims, t->shape, t->data, err));
        else
            SC_TRY(sc_gguf_writer_add_tensor_rows(writer, name, entry->format, t->n_dims, t->shape, give_row,
                                                  &sources[i], err));
    }
    return SOCLE_OK;
}

// What is copied must be finite, too; blocks are taken as they are.
static socle_status check_kept(struct job *job, socle_error *err)
{
    const struct sc_quantization *q = job->quantization;
    for (uint64_t i = 0; i < q->n_entries; i++) {
        const struct sc_tensor *t = q->entries[i].tensor;
        if (!q->entries[i].kept || t->format->unpack) continue;
        for (uint64_t row = 0; row < n_rows_of(t); row++) {
            t->format->decode((const char *)t->data + row * t->row_stride, job->scratch, t->shape[0]);
            struct row_result result = { .bad = first_not_finite(job->scratch, t->shape[0]) };
            if (result.bad == UINT64_MAX) continue;
            result.weight = job->scratch[result.bad];
            job->entry = &q->entries[i];
            return fail_weight(job, row, &result, err);
        }
    }
    return SOCLE_OK;
}

// ---- before anything is written

static socle_status check_paths(const struct sc_quantization *q, const char *path, socle_error *err)
{
    struct stat in, out;
    if (stat(sc_gguf_path(q->gguf), &in) != 0 || stat(path, &out) != 0) return SOCLE_OK;
    if (in.st_dev != out.st_dev || in.st_ino != out.st_ino) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: is the source itself: give the result another name", path);
}

static uint64_t result_bytes(const struct sc_quantization *q)
{
    uint64_t n_bytes = 0;
    for (uint64_t i = 0; i < q->n_entries; i++) {
        const struct sc_tensor *t = q->entries[i].tensor;
        n_bytes += n_rows_of(t) * sc_format_row_bytes(q->entries[i].format, t->shape[0]);
    }
    return n_bytes;
}

// Better now than after an hour of work.
static socle_status check_space(const struct sc_quantization *q, const char *path, socle_error *err)
{
    struct statvfs disk;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    bool known = folder && statvfs(folder, &disk) == 0;
    free(folder);
    uint64_t needed = result_bytes(q), available = known ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX;
    if (needed <= available) return SOCLE_OK;
    return sc_fail(err, SOCLE_IO, "%s: No space left: the result takes %.2f MiB, but only %.2f MiB are free", path,
                   (double)needed / 1048576.0, (double)available / 1048576.0);
}

static socle_status take_memory(struct job *job, socle_error *err)
{
    const struct sc_quantization *q = job->quantization;
    uint64_t k_max = 0, row_bytes_max = 0, batch_max = 1;
    for (uint64_t i = 0; i < q->n_entries; i++) {
        const struct sc_quantize_entry *entry = &q->entries[i];
        uint64_t k = entry->tensor->shape[0], n = SC_MIN(SC_MAX(BATCH_ELEMENTS / k, 1u), n_rows_of(entry->tensor));
        k_max = SC_MAX(k_max, k);
        batch_max = SC_MAX(batch_max, n);
        row_bytes_max = SC_MAX(row_bytes_max, n * sc_format_row_bytes(entry->format, k));
        if (!entry->kept) job->total += k * n_rows_of(entry->tensor);
    }
    size_t n_threads = sc_pool_n_threads(job->pool);
    job->rows = malloc(row_bytes_max);
    job->results = calloc(batch_max, sizeof *job->results);
    job->scratch = calloc(2 * n_threads, k_max * sizeof *job->scratch);
    if (job->rows && job->results && job->scratch) return SOCLE_OK;
    return sc_fail_memory(err, row_bytes_max + 2 * n_threads * k_max * sizeof *job->scratch, "quantizing");
}

static socle_status write_file(struct job *job, const char *path, socle_error *err)
{
    struct sc_quantization *q = job->quantization;
    struct sc_gguf_writer *writer;
    struct stat info;
    struct source *sources = calloc(q->n_entries, sizeof *sources);
    if (!sources) return sc_fail_memory(err, q->n_entries * sizeof *sources, "quantizing");
    for (uint64_t i = 0; i < q->n_entries; i++) sources[i] = (struct source){ job, &q->entries[i] };
    socle_status status = sc_gguf_writer_create(&writer, err);
    if (status == SOCLE_OK) {
        status = set_metadata(job, writer, err);
        if (status == SOCLE_OK) status = add_tensors(job, sources, writer, err);
        if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, path, err);
        sc_gguf_writer_free(writer);
    }
    free(sources);
    if (status == SOCLE_OK && stat(path, &info) == 0) q->n_bytes_after = (uint64_t)info.st_size;
    return status;
}

socle_status sc_quantize_run(struct sc_quantization *q, const char *path, const struct sc_quantize_options *options,
                             socle_error *err)
{
    struct job job = { .quantization = q, .options = options };
    SC_TRY(check_paths(q, path, err));
    SC_TRY(check_space(q, path, err));
    SC_TRY(sc_pool_create(options->n_threads ? options->n_threads : sc_processor_count(), &job.pool, err));
    socle_status status = take_memory(&job, err);
    if (status == SOCLE_OK) status = check_kept(&job, err);
    if (status == SOCLE_OK) status = write_file(&job, path, err);
    free(job.rows);
    free(job.results);
    free(job.scratch);
    sc_pool_free(job.pool);
    return status;
}
