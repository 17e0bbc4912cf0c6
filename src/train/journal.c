#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "train/trainer.h"

enum { LOG_BYTES_MAX = 1 << 30 };

void sc_hex(const uint8_t digest[32], char hex[65])
{
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void sc_weights_digest(const struct sc_parameters *parameters, char hex[65])
{
    struct sc_sha256 sha;
    uint8_t digest[SC_SHA256_BYTES];
    sc_sha256_begin(&sha);
    for (size_t i = 0; i < parameters->n; i++) {
        const struct sc_parameter *p = &parameters->items[i];
        float *row = malloc(p->shape[0] * sizeof *row);
        sc_sha256_add(&sha, p->name, strlen(p->name) + 1);
        for (uint64_t r = 0; row && r < (p->is_matrix ? p->shape[1] * p->shape[2] : 1); r++) {
            sc_parameter_get_row(p, p->w, r, row);
            sc_sha256_add(&sha, row, p->shape[0] * sizeof *row);
        }
        free(row);
    }
    sc_sha256_end(&sha, digest);
    sc_hex(digest, hex);
}

static const char *path_of(struct socle_training *t, const char *name)
{
    sc_buffer_clear(&t->path);
    sc_buffer_printf(&t->path, "%s/%s", t->o.folder, name);
    return t->path.data ? t->path.data : name;
}

// ---- the log

static socle_status put_line(struct socle_training *t, json_t *line, socle_error *err)
{
    const char *path = path_of(t, "log.jsonl");
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(line);
    if (!text) return sc_fail_memory(err, 0, "a line of the log");
    FILE *file = fopen(path, "a");
    bool ok = file && fprintf(file, "%s\n", text) > 0;
    if (file && fclose(file) != 0) ok = false;
    free(text);
    return ok ? SOCLE_OK : sc_fail(err, SOCLE_IO, "%s: cannot write: %s", path, strerror(errno));
}

socle_status sc_journal_step(struct socle_training *t, const socle_training_step *s, socle_error *err)
{
    return put_line(t,
                    json_pack("{s:I, s:f, s:f, s:f, s:I, s:f}", "step", (json_int_t)s->step, "loss", s->loss, "rate",
                              s->rate, "norm", s->norm, "tokens", (json_int_t)s->n_tokens, "seconds", s->seconds),
                    err);
}

socle_status sc_journal_evaluation(struct socle_training *t, const socle_training_evaluation *e, socle_error *err)
{
    json_t *line = json_pack("{s:I, s:f, s:b}", "step", (json_int_t)e->step, "held_out", e->loss, "best", e->best);
    if (line && e->per_byte > 0.0) json_object_set_new(line, "held_out_per_byte", json_real(e->per_byte));
    if (line && sc_trainer_has_pairs(t)) json_object_set_new(line, "accuracy", json_real(e->accuracy));
    return put_line(t, line, err);
}

socle_status sc_journal_sample(struct socle_training *t, uint64_t step, const char *text, socle_error *err)
{
    return put_line(t, json_pack("{s:I, s:s}", "step", (json_int_t)step, "sample", text), err);
}

// Whether a line of the log belongs to a step that the run has behind it.
static bool is_past(const struct socle_training *t, const char *line, size_t n)
{
    json_t *value = json_loadb(line, n, 0, NULL);
    json_t *step = json_object_get(value, "step");
    uint64_t number = json_is_integer(step) ? (uint64_t)json_integer_value(step) : UINT64_MAX;
    bool past = number <= t->state.step;
    if (number == t->state.step && t->state.evaluation_due) past = json_object_get(value, "loss") != NULL;
    json_decref(value);
    return past;
}

socle_status sc_journal_cut(struct socle_training *t, socle_error *err)
{
    const char *path = path_of(t, "log.jsonl");
    struct sc_buffer kept = { 0 };
    char *text;
    size_t n_bytes;
    FILE *there = fopen(path, "r");
    if (!there) return SOCLE_OK;
    fclose(there);
    SC_TRY(sc_read_file(path, LOG_BYTES_MAX, &text, &n_bytes, err));
    for (char *at = text, *end; at < text + n_bytes; at = end) {
        char *feed = memchr(at, '\n', (size_t)(text + n_bytes - at));
        end = feed ? feed + 1 : text + n_bytes;
        if (feed && is_past(t, at, (size_t)(feed - at))) sc_buffer_append(&kept, at, (size_t)(end - at));
    }
    free(text);
    socle_status status = kept.failed ? sc_fail_memory(err, n_bytes, "the log")
                                      : sc_write_file(path, kept.data ? kept.data : "", kept.n_bytes, err);
    sc_buffer_free(&kept);
    return status;
}

// ---- the manifest

// The list of checkpoints' digests that an earlier session left, up to this step.
static json_t *earlier_checkpoints(struct socle_training *t, const char *path)
{
    json_t *kept = json_array(), *old = json_load_file(path, 0, NULL), *entry;
    size_t i;
    json_array_foreach (json_object_get(old, "checkpoints"), i, entry) {
        json_t *step = json_object_get(entry, "step");
        if (json_is_integer(step) && (uint64_t)json_integer_value(step) < t->state.step) json_array_append(kept, entry);
    }
    json_decref(old);
    return kept;
}

static json_t *files_of(const char *const *paths, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(paths[i], '/');
        json_array_append_new(list, json_string(slash ? slash + 1 : paths[i]));
    }
    return list;
}

socle_status sc_manifest_write(struct socle_training *t, const char *weights_digest, socle_error *err)
{
    const char *path = path_of(t, "manifest.json");
    json_t *checkpoints = earlier_checkpoints(t, path);
    json_array_append_new(checkpoints, json_pack("{s:I, s:I, s:s}", "step", (json_int_t)t->state.step, "tokens",
                                                 (json_int_t)t->state.n_tokens, "weights", weights_digest));
    json_t *manifest = json_pack(
        "{s:i, s:s, s:o, s:{s:o, s:s, s:I}, s:s, s:s, s:s, s:o}", "version", 1, "socle", SC_VERSION, "settings",
        json_loads(t->settings_json.data ? t->settings_json.data : "{}", 0, NULL), "data", "files",
        files_of(t->o.data, t->o.n_data), "sha256", t->data, "documents", (json_int_t)sc_corpus_n_documents(t->corpus),
        "settings_sha256", t->settings, "program_sha256", t->program, "base_sha256", t->base_digest, "checkpoints",
        checkpoints);
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(manifest);
    if (!text) return sc_fail_memory(err, 0, "the manifest");
    socle_status status = sc_write_file(path, text, strlen(text), err);
    free(text);
    return status;
}

// The first of the settings in which two objects differ, as "rate was 0.01, and is 0.001".
static bool describe_difference(json_t *was, json_t *is, char *out, size_t n_bytes)
{
    const char *key;
    json_t *value;
    json_object_foreach (is, key, value) {
        json_t *before = json_object_get(was, key);
        if (json_equal(before, value)) continue;
        char *old = json_dumps(before, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        char *new = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        snprintf(out, n_bytes, "'%s' was %.100s, and is %.100s", key, old ? old : "not there", new ? new : "?");
        free(old);
        free(new);
        return true;
    }
    return false;
}

void sc_manifest_add_difference(struct socle_training *t, socle_error *err)
{
    char difference[400];
    json_t *manifest = json_load_file(path_of(t, "manifest.json"), 0, NULL);
    json_t *now = json_loads(t->settings_json.data ? t->settings_json.data : "{}", 0, NULL);
    json_t *before = json_object_get(manifest, "settings");
    size_t n = err ? strlen(err->message) : 0;
    if (err && before && describe_difference(before, now, difference, sizeof difference))
        snprintf(err->message + n, sizeof err->message - n, " (%s)", difference);
    json_decref(manifest);
    json_decref(now);
}
