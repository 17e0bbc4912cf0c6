#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "train/schedule.h"
#include "train/trainer.h"

bool sc_trainer_has_pairs(const struct socle_training *t) { return t->o.data_kind == SOCLE_DATA_PREFERENCE; }

uint32_t sc_trainer_n_rows(const struct socle_train_options *o) { return o->n_context * o->n_windows; }

// ---- the batches of a step

static const void *put(char **at, const void *from, size_t n_bytes)
{
    void *to = *at;
    memcpy(to, from, n_bytes);
    *at += sc_align_up(n_bytes, 16);
    return to;
}

static socle_status copy_batch(struct socle_training *t, const struct sc_batch *from, size_t i, socle_error *err)
{
    size_t n = from->n_rows, n_bytes = 3 * sc_align_up(n * 4, 16) + sc_align_up((from->n_sequences + 1) * 4, 16);
    char *at = realloc(t->step.memory[i], n_bytes);
    if (!at) return sc_fail_memory(err, n_bytes, "a batch");
    t->step.memory[i] = at;
    struct sc_batch *to = &t->step.list[i];
    *to = *from;
    to->tokens = put(&at, from->tokens, n * sizeof *to->tokens);
    to->targets = put(&at, from->targets, n * sizeof *to->targets);
    to->positions = put(&at, from->positions, n * sizeof *to->positions);
    to->begins = put(&at, from->begins, (from->n_sequences + 1) * sizeof *to->begins);
    return SOCLE_OK;
}

static socle_status read_batches(struct socle_training *t, socle_error *err)
{
    t->step.n_targets = 0;
    for (t->step.n = 0; t->step.n < t->o.n_accumulate; t->step.n++) {
        struct sc_batch batch;
        SC_TRY(sc_batches_next(t->batches, &batch, err));
        SC_TRY(copy_batch(t, &batch, t->step.n, err));
        t->step.n_targets += sc_trainer_has_pairs(t) ? batch.n_sequences / 2 : batch.n_targets;
    }
    return SOCLE_OK;
}

// ---- one step

// The key of dropout's numbers: one for each batch of the run.
static uint64_t dropout_key(const struct socle_training *t, size_t i)
{
    uint64_t number = t->state.step * t->o.n_accumulate + i;
    uint32_t c[4] = { (uint32_t)number, (uint32_t)(number >> 32), SC_RANDOM_DROPOUT, 0 };
    uint32_t key[2] = { (uint32_t)t->o.seed, (uint32_t)(t->o.seed >> 32) };
    sc_philox(c, key);
    return (uint64_t)c[1] << 32 | c[0];
}

static struct sc_forward_options forward_options(const struct socle_training *t, bool drop, size_t i)
{
    return (struct sc_forward_options){ .adapters = t->adapter_factors,
                                        .drop = drop && (t->o.dropout > 0.0f || t->o.lora_dropout > 0.0f),
                                        .dropout_key = dropout_key(t, i) };
}

struct work {
    bool (*stop)(void *context);
    void *context;
    double loss; // summed
};

static socle_status run_pairs(struct socle_training *t, const struct sc_batch *batch, size_t i, struct work *w,
                              socle_error *err)
{
    struct sc_forward_options without = { 0 }, with = forward_options(t, true, i);
    size_t n_right;
    SC_TRY(sc_learner_forward(t->learner, batch, &without, t->reference, w->stop, w->context, err));
    SC_TRY(sc_learner_forward(t->learner, batch, &with, t->log_probability, w->stop, w->context, err));
    w->loss += sc_preference_loss(batch, t->log_probability, t->reference, t->o.preference_beta,
                                  1.0f / (float)t->step.n_targets, t->row_weights, &n_right);
    return sc_learner_backward(t->learner, t->row_weights, 0.0f, w->stop, w->context, err);
}

static socle_status run_batch(struct socle_training *t, size_t i, struct work *w, socle_error *err)
{
    const struct sc_batch *batch = &t->step.list[i];
    if (sc_trainer_has_pairs(t)) return run_pairs(t, batch, i, w, err);
    struct sc_forward_options how = forward_options(t, true, i);
    SC_TRY(sc_learner_forward(t->learner, batch, &how, t->log_probability, w->stop, w->context, err));
    for (size_t row = 0; row < batch->n_rows; row++) w->loss -= t->log_probability[row];
    if (!(w->loss - w->loss == 0.0)) return SOCLE_OK; // the caller looks into it
    return sc_learner_backward(t->learner, NULL, (float)(1.0 / (double)t->step.n_targets), w->stop, w->context, err);
}

// Forgets what the batches of a step that is given up have left.
static void drop_gradients(struct socle_training *t)
{
    for (size_t i = 0; i < t->parameters.n; i++) {
        struct sc_parameter *p = &t->parameters.items[i];
        p->begun = false;
        if (!p->is_matrix) memset(p->gradient, 0, p->n * sizeof *p->gradient);
    }
}

static socle_status fail_not_finite(struct socle_training *t, const struct sc_parameter *culprit, socle_error *err)
{
    char where[256];
    unsigned long long step = t->state.step + 1;
    if (culprit)
        return sc_fail(err, SOCLE_NOT_FINITE,
                       "step %llu: the derivative by '%s' is not finite; a lower rate or clipping may help. The last "
                       "checkpoint is as it was",
                       step, culprit->name);
    if (!sc_learner_find_not_finite(t->learner, where, sizeof where)) strcpy(where, "the loss itself");
    return sc_fail(
        err, SOCLE_NOT_FINITE,
        "step %llu: the loss is not finite; the first number that is none comes from %s; a lower rate or clipping "
        "may help. The last checkpoint is as it was",
        step, where);
}

static socle_status learn(struct socle_training *t, struct work *w, double *norm, const struct sc_parameter **culprit,
                          socle_error *err)
{
    SC_TRY(read_batches(t, err));
    for (size_t i = 0; i < t->step.n; i++) {
        SC_TRY(run_batch(t, i, w, err));
        if (!(w->loss - w->loss == 0.0)) return fail_not_finite(t, NULL, err);
    }
    *norm = sc_optimizer_norm(t->optimizer, culprit);
    return *norm - *norm == 0.0 ? SOCLE_OK : fail_not_finite(t, *culprit, err);
}

socle_status sc_trainer_step(struct socle_training *t, bool (*stop)(void *context), void *context, double *loss,
                             double *norm, socle_error *err)
{
    struct work w = { stop, context, 0.0 };
    const struct sc_parameter *culprit;
    struct sc_batches_state before = sc_batches_state(t->batches);
    socle_status status = learn(t, &w, norm, &culprit, err);
    if (status != SOCLE_OK) {
        drop_gradients(t);
        sc_batches_seek(t->batches, &before, NULL);
        return status;
    }
    uint64_t step = t->state.step + 1;
    sc_optimizer_step(t->optimizer, step, sc_schedule_rate(&t->o, step), *norm);
    t->state.step = step;
    t->state.data = sc_batches_state(t->batches);
    t->state.n_tokens = t->state.data.n_targets;
    *loss = w.loss / (double)t->step.n_targets;
    return SOCLE_OK;
}

socle_status sc_trainer_rehearse(struct socle_training *t, socle_error *err)
{
    struct work w = { 0 };
    double norm;
    const struct sc_parameter *culprit;
    struct sc_batches_state before = sc_batches_state(t->batches);
    socle_status status = learn(t, &w, &norm, &culprit, err);
    drop_gradients(t);
    sc_batches_seek(t->batches, &before, NULL);
    return status;
}

// ---- held-out data

// Bytes of text that the batch's targets stand for.
static uint64_t target_bytes(const struct socle_training *t, const struct sc_batch *batch)
{
    uint64_t n = 0;
    for (size_t row = 0; row < batch->n_rows; row++)
        if (batch->targets[row] >= 0 && !sc_tokenizer_is_special(t->tokenizer, batch->targets[row]))
            n += sc_tokenizer_token_bytes(t->tokenizer, batch->targets[row]).n_bytes;
    return n;
}

struct sums {
    double loss;
    uint64_t n, n_tokens, n_bytes, n_right;
};

static socle_status measure(struct socle_training *t, const struct sc_batch *batch, struct sums *sums,
                            bool (*stop)(void *context), void *context, socle_error *err)
{
    struct sc_forward_options with = forward_options(t, false, 0), without = { 0 };
    size_t n_right = 0;
    SC_TRY(sc_learner_forward(t->learner, batch, &with, t->log_probability, stop, context, err));
    sums->n_tokens += batch->n_targets;
    sums->n_bytes += target_bytes(t, batch);
    if (sc_trainer_has_pairs(t)) {
        SC_TRY(sc_learner_forward(t->learner, batch, &without, t->reference, stop, context, err));
        sums->loss += sc_preference_loss(batch, t->log_probability, t->reference, t->o.preference_beta, 0.0f, NULL,
                                         &n_right);
        sums->n += batch->n_sequences / 2;
        sums->n_right += n_right;
        return SOCLE_OK;
    }
    for (size_t row = 0; row < batch->n_rows; row++) sums->loss -= t->log_probability[row];
    sums->n += batch->n_targets;
    return SOCLE_OK;
}

socle_status sc_trainer_evaluate(struct socle_training *t, bool (*stop)(void *context), void *context,
                                 socle_training_evaluation *out, socle_error *err)
{
    struct sc_batches *stream;
    struct sums sums = { 0 };
    struct sc_batches_options options = { .n_context = t->o.n_context,
                                          .n_windows = t->o.n_windows,
                                          .seed = t->o.seed,
                                          .n_epochs = 1,
                                          .in_order = true,
                                          .held_out = t->held_out == t->corpus,
                                          .long_examples = (enum sc_long_examples)t->o.long_examples };
    SC_TRY(sc_batches_open(t->held_out, &t->reader, &options, &stream, err));
    socle_status status = SOCLE_OK;
    while (status == SOCLE_OK && (t->o.evaluate_tokens == 0 || sums.n_tokens < t->o.evaluate_tokens)) {
        struct sc_batch batch;
        status = sc_batches_next(stream, &batch, err);
        if (status != SOCLE_OK || batch.n_rows == 0) break;
        status = measure(t, &batch, &sums, stop, context, err);
    }
    sc_batches_close(stream);
    if (status != SOCLE_OK) return status;
    *out = (socle_training_evaluation){ .step = t->state.step };
    out->loss = sums.loss / (double)SC_MAX(sums.n, UINT64_C(1));
    if (sums.n_bytes && !sc_trainer_has_pairs(t)) out->per_byte = sums.loss / (double)sums.n_bytes;
    if (sc_trainer_has_pairs(t)) out->accuracy = (double)sums.n_right / (double)SC_MAX(sums.n, UINT64_C(1));
    return SOCLE_OK;
}
