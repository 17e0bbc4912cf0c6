#include "train/trainer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/export.h"
#include "base/size.h"
#include "train/model_file.h"
#include "train/schedule.h"

static struct sc_train_identity identity_of(const struct socle_training *t)
{
    return (struct sc_train_identity){ t->settings, t->data };
}

// ---- files

static socle_status make_folder(const char *path, socle_error *err)
{
    struct stat info;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))) return SOCLE_OK;
    return sc_fail(err, SOCLE_IO, "%s: cannot make this folder: %s", path, strerror(errno));
}

static socle_status make_folders(struct socle_training *t, socle_error *err)
{
    SC_TRY(make_folder(t->o.folder, err));
    sc_buffer_clear(&t->path);
    if (!sc_buffer_printf(&t->path, "%s/checkpoints", t->o.folder)) return sc_fail_memory(err, 0, "a path");
    SC_TRY(make_folder(t->path.data, err));
    sc_checkpoint_sweep(t->o.folder);
    sc_checkpoint_sweep(t->path.data);
    return SOCLE_OK;
}

static socle_status set_adapter_keys(const struct socle_training *t, struct sc_gguf_writer *writer, socle_error *err)
{
    struct sc_text family = { 0 };
    SC_TRY(sc_gguf_get_text(t->base, "general.architecture", &family, err));
    SC_TRY(sc_gguf_writer_set_text(writer, "general.type", sc_text_of("adapter"), err));
    SC_TRY(sc_gguf_writer_set_text(writer, "adapter.type", sc_text_of("lora"), err));
    SC_TRY(sc_gguf_writer_set_text(writer, "general.architecture", family, err));
    if (t->o.name) SC_TRY(sc_gguf_writer_set_text(writer, "general.name", sc_text_of(t->o.name), err));
    char base[17];
    sc_adapter_base(t->base, base);
    SC_TRY(sc_gguf_writer_set_text(writer, "socle.adapter.base", sc_text_of(base), err));
    return sc_gguf_writer_set_f32(writer, "adapter.lora.alpha", t->o.lora_alpha, err);
}

socle_status sc_trainer_write_result(struct socle_training *t, socle_error *err)
{
    static const char *const without[] = { "socle.train.", "general.file_type", "split.", NULL };
    const struct sc_format *format = t->adapters ? NULL : sc_format_find_name(t->o.result_type);
    struct sc_gguf_writer *writer = NULL;
    if (!t->adapters && (!format || !format->encode))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "'%s' is no format that weights can be written in", t->o.result_type);
    struct sc_parameter_source *sources = sc_parameter_sources(&t->parameters, 1);
    if (!sources) return sc_fail_memory(err, t->parameters.n * sizeof *sources, "the result");
    socle_status status = sc_gguf_writer_create(&writer, err);
    if (status == SOCLE_OK && t->adapters) status = set_adapter_keys(t, writer, err);
    if (status == SOCLE_OK && !t->adapters) status = sc_copy_metadata(t->base, without, writer, err);
    if (status == SOCLE_OK)
        status = sc_parameters_write(&t->parameters, SC_PART_WEIGHTS, "", format, sources, writer, err);
    if (status == SOCLE_OK) status = sc_copy_other_tensors(t->base, &t->parameters, writer, err);
    sc_buffer_clear(&t->path);
    sc_buffer_printf(&t->path, "%s/%s.gguf", t->o.folder, t->adapters ? "adapter" : "model");
    if (status == SOCLE_OK) status = sc_gguf_writer_write(writer, t->path.data, err);
    sc_gguf_writer_free(writer);
    free(sources);
    return status;
}

// Removes all but the first checkpoint and the newest n_keep.
static void remove_old(struct socle_training *t)
{
    uint64_t *steps;
    size_t n;
    if (t->o.n_keep == 0 || sc_checkpoint_list(t->o.folder, &steps, &n, NULL) != SOCLE_OK) return;
    for (size_t i = 0; i + t->o.n_keep < n; i++)
        if (steps[i] != 0 && sc_checkpoint_path(&t->path, t->o.folder, steps[i])) unlink(t->path.data);
    free(steps);
}

static socle_status save(struct socle_training *t, const socle_training_events *events, socle_error *err)
{
    char digest[65];
    struct sc_train_identity identity = identity_of(t);
    sc_weights_digest(&t->parameters, digest);
    if (!sc_checkpoint_path(&t->path, t->o.folder, t->state.step)) return sc_fail_memory(err, 0, "a path");
    SC_TRY(sc_checkpoint_write(t->path.data, t->base, &t->parameters, &identity, &t->state, err));
    if (events && events->on_checkpoint) events->on_checkpoint(events->context, t->state.step, t->path.data);
    SC_TRY(sc_manifest_write(t, digest, err));
    remove_old(t);
    return SOCLE_OK;
}

// ---- now and then

static bool is_due(uint64_t every, uint64_t step) { return every && step % every == 0; }

static socle_status evaluate(struct socle_training *t, const socle_training_events *events, socle_error *err)
{
    socle_training_evaluation result;
    double best;
    t->state.evaluation_due = 1; // should it be broken off
    SC_TRY(sc_trainer_evaluate(t, events->stop, events->context, &result, err));
    memcpy(&best, &t->state.best_loss, sizeof best);
    result.best = result.loss < best;
    if (result.best) {
        memcpy(&t->state.best_loss, &result.loss, sizeof best);
        t->state.best_step = t->state.step;
        t->state.n_worse = 0;
        SC_TRY(sc_trainer_write_result(t, err));
    } else {
        t->state.n_worse++;
    }
    SC_TRY(sc_journal_evaluation(t, &result, err));
    t->state.evaluation_due = 0;
    if (events->on_evaluation) events->on_evaluation(events->context, &result);
    return SOCLE_OK;
}

static socle_status write_sample(struct socle_training *t, const socle_training_events *events, socle_error *err)
{
    char *text;
    SC_TRY(sc_trainer_sample(t, &text, err));
    socle_status status = sc_journal_sample(t, t->state.step, text, err);
    if (events->on_sample) events->on_sample(events->context, t->state.step, text);
    free(text);
    return status;
}

// What is due after the step that was just done, the checkpoint last: it holds what the evaluation found. again: an
// earlier session was stopped here, and its checkpoint is to be replaced.
static socle_status after_step(struct socle_training *t, const socle_training_events *events, bool again,
                               socle_error *err)
{
    uint64_t step = t->state.step;
    bool last = step == t->o.n_steps;
    if (t->held_out && (is_due(t->o.evaluate_every, step) || last || again)) SC_TRY(evaluate(t, events, err));
    if (is_due(t->o.sample_every, step) || (last && t->o.sample_every)) SC_TRY(write_sample(t, events, err));
    bool ends = last || (t->o.patience && t->state.n_worse >= t->o.patience);
    if (is_due(t->o.save_every, step) || ends || again) SC_TRY(save(t, events, err));
    return SOCLE_OK;
}

static socle_status one_step(struct socle_training *t, const socle_training_events *events, socle_error *err)
{
    double loss = 0.0, norm = 0.0, started = sc_now();
    uint64_t before = t->state.n_tokens;
    SC_TRY(sc_trainer_step(t, events->stop, events->context, &loss, &norm, err));
    double seconds = sc_now() - started;
    t->seconds += seconds;
    socle_training_step step = { .step = t->state.step,
                                 .n_steps = t->o.n_steps,
                                 .n_tokens = t->state.n_tokens,
                                 .loss = loss,
                                 .rate = (double)sc_schedule_rate(&t->o, t->state.step),
                                 .norm = norm,
                                 .seconds = t->seconds,
                                 .tokens_per_second = (double)(t->state.n_tokens - before) / seconds,
                                 .epochs = sc_batches_epochs(t->batches) };
    SC_TRY(sc_journal_step(t, &step, err));
    if (events->on_step) events->on_step(events->context, &step);
    return after_step(t, events, false, err);
}

static bool is_over(const struct socle_training *t)
{
    return t->state.step >= t->o.n_steps || (t->o.patience && t->state.n_worse >= t->o.patience);
}

SC_EXPORT socle_status socle_training_run(socle_training *t, const socle_training_events *events,
                                          socle_training_end *end, socle_error *err)
{
    static const socle_training_events none = { 0 };
    if (!events) events = &none;
    SC_TRY(make_folders(t, err));
    SC_TRY(sc_journal_cut(t, err));
    if (t->state.step == 0) SC_TRY(save(t, events, err));
    socle_status status = t->state.evaluation_due ? after_step(t, events, true, err) : SOCLE_OK;
    while (status == SOCLE_OK && !is_over(t)) status = one_step(t, events, err);
    if (status == SOCLE_CANCELLED) {
        *end = SOCLE_TRAINING_STOPPED;
        return save(t, events, err);
    }
    if (status != SOCLE_OK) return status;
    *end = t->state.step >= t->o.n_steps ? SOCLE_TRAINING_DONE : SOCLE_TRAINING_NO_BETTER;
    return t->held_out ? SOCLE_OK : sc_trainer_write_result(t, err);
}

// ---- repeating

static socle_status choose_span(struct socle_training *t, uint64_t *from, uint64_t *to, socle_error *err)
{
    uint64_t *steps;
    size_t n;
    bool has_from = false, has_to = false;
    SC_TRY(sc_checkpoint_list(t->o.folder, &steps, &n, err));
    if (n && *from == UINT64_MAX) *from = steps[0];
    if (n && *to == UINT64_MAX) *to = steps[n - 1];
    for (size_t i = 0; i < n; i++) {
        has_from = has_from || steps[i] == *from;
        has_to = has_to || steps[i] == *to;
    }
    free(steps);
    if (n < 2)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: repeating takes two checkpoints, but there are %zu", t->o.folder,
                       n);
    if (!has_from || !has_to)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: step %llu has no checkpoint", t->o.folder,
                       (unsigned long long)(has_from ? *to : *from));
    if (*from >= *to)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "nothing to repeat from step %llu to %llu", (unsigned long long)*from,
                       (unsigned long long)*to);
    return SOCLE_OK;
}

SC_EXPORT socle_status socle_training_verify(socle_training *t, uint64_t from, uint64_t to,
                                             const socle_training_events *events, uint64_t *repeated, socle_error *err)
{
    static const socle_training_events none = { 0 };
    struct sc_train_identity identity = identity_of(t);
    if (!events) events = &none;
    SC_TRY(choose_span(t, &from, &to, err));
    if (!sc_checkpoint_path(&t->path, t->o.folder, from)) return sc_fail_memory(err, 0, "a path");
    SC_TRY(sc_checkpoint_read(t->path.data, &t->parameters, &identity, &t->state, err));
    SC_TRY(sc_batches_seek(t->batches, &t->state.data, err));
    while (t->state.step < to) {
        double loss, norm, started = sc_now();
        SC_TRY(sc_trainer_step(t, events->stop, events->context, &loss, &norm, err));
        t->seconds += sc_now() - started;
        socle_training_step step = { .step = t->state.step - from,
                                     .n_steps = to - from,
                                     .loss = loss,
                                     .norm = norm,
                                     .n_tokens = t->state.n_tokens,
                                     .seconds = t->seconds };
        if (events->on_step) events->on_step(events->context, &step);
    }
    if (!sc_checkpoint_path(&t->path, t->o.folder, to)) return sc_fail_memory(err, 0, "a path");
    if (sc_checkpoint_compare(t->path.data, &t->parameters, err) != SOCLE_OK)
        return sc_fail_prefix(err, "the steps %llu to %llu do not give this checkpoint", (unsigned long long)from,
                              (unsigned long long)to);
    *repeated = to - from;
    return SOCLE_OK;
}
