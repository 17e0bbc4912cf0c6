// Rows of changed weights are made in batches over all threads while the writer asks for them one by one, as quantizing
// does; all others are copied.
#include "models/merge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/pool.h"
#include "base/size.h"
#include "formats/gguf_writer.h"
#include "models/adapters.h"

enum { BATCH_ELEMENTS = 1 << 20, SCRATCH_ROWS = 3, NAME_BYTES = 128 };

// One adapter's change of the weight at hand.
struct change {
    const float *a, *b; // [k, rank], [rank, rows]
    uint32_t rank;
    float factor; // scale * alpha / rank
};

// A tensor of the result.
struct entry {
    struct merge *merge;
    const struct sc_tensor *weight;
    const struct sc_format *format; // that it is written in
    bool changed;
};

// What making one row gave: sums of squares, and a weight that cannot be written.
struct row_result {
    double weights, changes, misses;
    uint64_t bad; // its index in the row; UINT64_MAX: none
    float value;
};

struct merge {
    const struct sc_merge_options *options;
    struct sc_merge_result *result;
    const char *out;
    struct sc_gguf *gguf;
    struct sc_adapter_set *adapters;
    struct sc_pool *pool;
    struct entry *entries; // [n_tensors]
    uint64_t done, total;  // weights
    double weights, changes, misses;
    // The tensor at hand, and its batch of rows.
    const struct entry *entry;
    struct change *steps; // [options->n]
    size_t n_steps;
    float *halves; // room for all A and B of one weight
    uint64_t first_row, n_rows;
    char *rows;
    struct row_result *results;
    float *scratch; // for each thread: a row of W, of W', and one more
};

static uint64_t n_rows_of(const struct sc_tensor *t) { return t->shape[1] * t->shape[2] * t->shape[3]; }

// ---- the plan

static bool find_pair(const struct merge *m, size_t i, const struct sc_tensor *weight, struct sc_adapter_pair *out)
{
    const struct sc_adapters *adapters = sc_adapter_set_adapters(m->adapters);
    return adapters->find(adapters, (uint32_t)i, weight->name, out);
}

// NULL: none was named.
static socle_status find_type(const char *name, const struct sc_format **out, socle_error *err)
{
    const struct sc_format *format = name ? sc_format_find_name(name) : NULL;
    *out = format;
    if (!name || (format && format->encode)) return SOCLE_OK;
    char known[200];
    size_t n = 0;
    for (size_t i = 0; sc_format_at(i) && n < sizeof known; i++)
        if (sc_format_at(i)->encode)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", sc_format_at(i)->name);
    if (!format) return sc_fail(err, SOCLE_BAD_ARGUMENT, "no format is called '%s'; expected %s", name, known);
    return sc_fail(err, SOCLE_UNSUPPORTED, "%s can be read but not made; expected %s", format->name, known);
}

static void note_replaced(struct merge *m, const char *format)
{
    char *list = m->result->replaced;
    size_t n = strlen(list), size = sizeof m->result->replaced;
    m->result->n_replaced++;
    if (strstr(list, format)) return;
    snprintf(list + n, size - n, "%s%s", n ? ", " : "", format);
}

static socle_status plan_tensor(struct merge *m, struct entry *entry, const struct sc_format *type, socle_error *err)
{
    const struct sc_tensor *t = entry->weight;
    struct sc_adapter_pair pair;
    if (t->packed)
        return sc_fail(
            err, SOCLE_BAD_ARGUMENT,
            "%s: tensor '%.*s' is packed, which is for running the model: start from the file that was packed",
            sc_gguf_path(m->gguf), SC_TEXT_ARGS(t->name));
    for (size_t i = 0; i < m->options->n; i++) entry->changed = entry->changed || find_pair(m, i, t, &pair);
    entry->format = t->format;
    m->total += t->shape[0] * n_rows_of(t);
    if (!entry->changed) return SOCLE_OK;
    // A product alone is changed by an adapter; the rows that are read as embeddings stay.
    if (sc_text_is(t->name, "token_embd.weight"))
        return sc_fail(err, SOCLE_UNSUPPORTED,
                       "an adapter changes '%.*s', which %s reads its embeddings from: that cannot be merged",
                       SC_TEXT_ARGS(t->name), sc_gguf_path(m->gguf));
    m->result->n_changed++;
    if (type) entry->format = type;
    if (entry->format->encode && t->shape[0] % entry->format->block_size == 0) return SOCLE_OK;
    note_replaced(m, entry->format->name);
    entry->format = sc_format_find_name("F16");
    return SOCLE_OK;
}

static socle_status plan(struct merge *m, socle_error *err)
{
    const struct sc_format *type = NULL;
    uint64_t n = sc_gguf_n_tensors(m->gguf);
    SC_TRY(find_type(m->options->type, &type, err));
    m->entries = calloc(n + 1, sizeof *m->entries);
    if (!m->entries) return sc_fail_memory(err, n * sizeof *m->entries, "the plan of a merge");
    m->result->n_tensors = n;
    m->result->n_bytes_before = sc_gguf_file_bytes(m->gguf);
    for (uint64_t i = 0; i < n; i++) {
        m->entries[i] = (struct entry){ .merge = m, .weight = sc_gguf_tensor_at(m->gguf, i) };
        SC_TRY(plan_tensor(m, &m->entries[i], type, err));
    }
    return SOCLE_OK;
}

// ---- before anything is written

static socle_status check_source(const char *path, const char *out, socle_error *err)
{
    if (!sc_same_file(path, out)) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: is the source itself: give the result another name", out);
}

// Better now than after an hour of work.
static socle_status check_space(const struct merge *m, socle_error *err)
{
    uint64_t n_bytes = 0;
    for (uint64_t i = 0; i < m->result->n_tensors; i++) {
        const struct sc_tensor *t = m->entries[i].weight;
        n_bytes += n_rows_of(t) * sc_format_row_bytes(m->entries[i].format, t->shape[0]);
    }
    return sc_check_space(m->out, n_bytes, err);
}

static uint64_t batch_of(const struct sc_tensor *t)
{
    return SC_MIN(n_rows_of(t), SC_MAX(BATCH_ELEMENTS / t->shape[0], 1u));
}

static socle_status take_memory(struct merge *m, socle_error *err)
{
    uint64_t k_max = 1, rows_bytes = 1, batch_max = 1, halves_max = 1;
    size_t n_threads = sc_pool_n_threads(m->pool);
    struct sc_adapter_pair pair;
    for (uint64_t i = 0; i < m->result->n_tensors; i++) {
        const struct entry *entry = &m->entries[i];
        uint64_t k = entry->weight->shape[0], n = batch_of(entry->weight), halves = 0;
        if (!entry->changed) continue;
        for (size_t j = 0; j < m->options->n; j++)
            if (find_pair(m, j, entry->weight, &pair)) halves += pair.a->shape[1] * (k + entry->weight->shape[1]);
        k_max = SC_MAX(k_max, k);
        batch_max = SC_MAX(batch_max, n);
        rows_bytes = SC_MAX(rows_bytes, n * sc_format_row_bytes(entry->format, k));
        halves_max = SC_MAX(halves_max, halves);
    }
    m->rows = malloc(rows_bytes);
    m->results = calloc(batch_max, sizeof *m->results);
    m->halves = calloc(halves_max, sizeof *m->halves);
    m->steps = calloc(m->options->n, sizeof *m->steps);
    m->scratch = calloc(SCRATCH_ROWS * n_threads, k_max * sizeof *m->scratch);
    if (m->rows && m->results && m->halves && m->steps && m->scratch) return SOCLE_OK;
    uint64_t n_floats = halves_max + SCRATCH_ROWS * n_threads * k_max;
    return sc_fail_memory(err, rows_bytes + n_floats * sizeof(float), "merging");
}

// ---- a changed weight

static void decode_rows(const struct sc_tensor *t, float *out)
{
    for (uint64_t r = 0; r < t->shape[1]; r++)
        t->format->decode(sc_tensor_row(t, 0, r), out + r * t->shape[0], t->shape[0] / t->format->block_size);
}

static void begin_weight(struct merge *m, const struct entry *entry)
{
    float *room = m->halves;
    m->entry = entry;
    m->n_steps = 0;
    m->first_row = m->n_rows = 0;
    for (size_t i = 0; i < m->options->n; i++) {
        struct sc_adapter_pair pair;
        if (!find_pair(m, i, entry->weight, &pair)) continue;
        struct change *step = &m->steps[m->n_steps++];
        *step = (struct change){ .rank = (uint32_t)pair.a->shape[1],
                                 .factor = m->options->scales[i] * sc_adapter_set_factor(m->adapters, (uint32_t)i) };
        step->a = room;
        decode_rows(pair.a, room);
        step->b = room += pair.a->shape[0] * step->rank;
        decode_rows(pair.b, room);
        room += pair.b->shape[1] * step->rank;
    }
}

// x += factor * (row of B) A; delta [k] is room to work in. The order of operations is part of what merging means
// (merge.h).
static void add_change(const struct change *step, uint64_t row, uint64_t k, float *delta, float *x)
{
    const float *b = step->b + row * step->rank;
    memset(delta, 0, k * sizeof *delta);
    for (uint32_t j = 0; j < step->rank; j++) {
        const float *a = step->a + j * k;
        for (uint64_t i = 0; i < k; i++) delta[i] += b[j] * a[i];
    }
    for (uint64_t i = 0; i < k; i++) x[i] += step->factor * delta[i];
}

static uint64_t first_not_finite(const float *x, uint64_t n)
{
    uint64_t i = 0;
    while (i < n && isfinite(x[i])) i++;
    return i < n ? i : UINT64_MAX;
}

static void make_row(void *context, size_t task, size_t thread)
{
    struct merge *m = context;
    const struct sc_tensor *t = m->entry->weight;
    const struct sc_format *format = m->entry->format;
    uint64_t k = t->shape[0], row = m->first_row + task;
    float *w = m->scratch + SCRATCH_ROWS * thread * k, *x = w + k, *y = x + k;
    char *out = m->rows + task * sc_format_row_bytes(format, k);
    struct row_result *result = &m->results[task];
    t->format->decode(sc_tensor_row(t, 0, row), w, k / t->format->block_size);
    memcpy(x, w, k * sizeof *x);
    for (size_t i = 0; i < m->n_steps; i++) add_change(&m->steps[i], row, k, y, x);
    *result = (struct row_result){ .bad = first_not_finite(x, k) };
    if (result->bad == UINT64_MAX) {
        format->encode(x, NULL, out, k / format->block_size);
        format->decode(out, y, k / format->block_size);
        result->bad = first_not_finite(y, k);
    }
    if (result->bad != UINT64_MAX) {
        result->value = x[result->bad];
        return;
    }
    for (uint64_t i = 0; i < k; i++) {
        double weight = (double)w[i], change = (double)x[i] - weight, miss = (double)y[i] - (double)x[i];
        result->weights += weight * weight;
        result->changes += change * change;
        result->misses += miss * miss;
    }
}

static socle_status fail_weight(const struct merge *m, uint64_t row, const struct row_result *result, socle_error *err)
{
    const struct sc_tensor *t = m->entry->weight;
    unsigned long long index = row * t->shape[0] + result->bad;
    if (isfinite(result->value))
        return sc_fail(
            err, SOCLE_NOT_FINITE, "%s: tensor '%.*s': weight %llu becomes %g, too large for %s: choose BF16",
            sc_gguf_path(m->gguf), SC_TEXT_ARGS(t->name), index, (double)result->value, m->entry->format->name);
    return sc_fail(err, SOCLE_NOT_FINITE, "%s: tensor '%.*s': weight %llu is not finite, or becomes so",
                   sc_gguf_path(m->gguf), SC_TEXT_ARGS(t->name), index);
}

// Told of n_rows more that are done; the pages they were read from are given back.
static socle_status tell(struct merge *m, const struct sc_tensor *t, uint64_t first, uint64_t n_rows, socle_error *err)
{
    char name[NAME_BYTES];
    const struct sc_merge_options *o = m->options;
    sc_gguf_forget(m->gguf, sc_tensor_row(t, 0, first), n_rows * t->row_stride);
    m->done += n_rows * t->shape[0];
    snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
    if (!o->on_progress || o->on_progress(o->context, name, m->done, m->total)) return SOCLE_OK;
    return sc_fail(err, SOCLE_CANCELLED, "stopped at tensor '%s'", name);
}

static socle_status make_batch(struct merge *m, uint64_t row, socle_error *err)
{
    const struct sc_tensor *t = m->entry->weight;
    m->first_row = row;
    m->n_rows = SC_MIN(n_rows_of(t) - row, batch_of(t));
    sc_pool_run(m->pool, m->n_rows, make_row, m);
    for (uint64_t i = 0; i < m->n_rows; i++) { // in the order of rows, whoever made them
        const struct row_result *result = &m->results[i];
        if (result->bad != UINT64_MAX) return fail_weight(m, row + i, result, err);
        m->weights += result->weights;
        m->changes += result->changes;
        m->misses += result->misses;
    }
    return tell(m, t, row, m->n_rows, err);
}

// ---- the file

// The writer asks for the rows of each tensor in order.
static socle_status give_row(void *user, uint64_t row, void *out, socle_error *err)
{
    const struct entry *entry = user;
    struct merge *m = entry->merge;
    const struct sc_tensor *t = entry->weight;
    size_t row_bytes = sc_format_row_bytes(entry->format, t->shape[0]);
    if (!entry->changed) {
        uint64_t batch = batch_of(t), end = row + 1;
        memcpy(out, sc_tensor_row(t, 0, row), row_bytes);
        if (end % batch && end < n_rows_of(t)) return SOCLE_OK;
        uint64_t n = end % batch ? end % batch : batch;
        return tell(m, t, end - n, n, err);
    }
    if (row == 0) begin_weight(m, entry);
    if (row == m->first_row + m->n_rows) SC_TRY(make_batch(m, row, err));
    memcpy(out, m->rows + (row - m->first_row) * row_bytes, row_bytes);
    return SOCLE_OK;
}

// Keys that say how the source was stored, where that is no longer so.
static bool is_dropped(const struct merge *m, struct sc_text key)
{
    bool others = m->options->type || m->result->n_replaced;
    if (sc_text_is(key, "general.file_type")) return others;
    return key.n_bytes > 6 && memcmp(key.data, "split.", 6) == 0;
}

static socle_status write_file(struct merge *m, socle_error *err)
{
    struct sc_gguf_writer *writer;
    struct stat info;
    SC_TRY(sc_gguf_writer_create(&writer, err));
    socle_status status = SOCLE_OK;
    for (uint64_t i = 0; i < sc_gguf_n_values(m->gguf) && status == SOCLE_OK; i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(m->gguf, i);
        if (!is_dropped(m, value->key)) status = sc_gguf_writer_copy_value(writer, value, err);
    }
    for (uint64_t i = 0; i < m->result->n_tensors && status == SOCLE_OK; i++) {
        struct entry *entry = &m->entries[i];
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(entry->weight->name));
        status = sc_gguf_writer_add_tensor_rows(writer, name, entry->format, entry->weight->n_dims,
                                                entry->weight->shape, give_row, entry, err);
    }
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, m->out, err);
    sc_gguf_writer_free(writer);
    if (status != SOCLE_OK) return status;
    if (stat(m->out, &info) == 0) m->result->n_bytes_after = (uint64_t)info.st_size;
    m->result->change = m->weights > 0.0 ? sqrt(m->changes / m->weights) : 0.0;
    m->result->rounding = m->weights > 0.0 ? sqrt(m->misses / m->weights) : 0.0;
    return SOCLE_OK;
}

static socle_status merge(struct merge *m, const char *model, socle_error *err)
{
    const struct sc_merge_options *o = m->options;
    if (o->n == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: no adapter was given to merge", model);
    SC_TRY(check_source(model, m->out, err));
    for (size_t i = 0; i < o->n; i++) {
        SC_TRY(check_source(o->adapters[i], m->out, err));
        if (!isfinite(o->scales[i]))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: the scale is no number", o->adapters[i]);
    }
    SC_TRY(sc_gguf_open(model, &m->gguf, err));
    SC_TRY(sc_adapter_set_open(m->gguf, o->adapters, o->n, &m->adapters, err));
    SC_TRY(plan(m, err));
    SC_TRY(check_space(m, err));
    SC_TRY(sc_pool_create(o->n_threads ? o->n_threads : sc_processor_count(), &m->pool, err));
    SC_TRY(take_memory(m, err));
    return write_file(m, err);
}

socle_status sc_merge(const char *model, const char *out, const struct sc_merge_options *options,
                      struct sc_merge_result *result, socle_error *err)
{
    *result = (struct sc_merge_result){ 0 };
    struct merge m = { .options = options, .result = result, .out = out };
    socle_status status = merge(&m, model, err);
    free(m.scratch);
    free(m.steps);
    free(m.halves);
    free(m.results);
    free(m.rows);
    sc_pool_free(m.pool);
    free(m.entries);
    sc_adapter_set_free(m.adapters);
    sc_gguf_close(m.gguf);
    return status;
}
