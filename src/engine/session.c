#include "engine/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/size.h"
#include "engine/cache.h"
#include "engine/runner.h"

enum { BATCH_MAX = 8192 };

// Where a row of a batch comes from.
struct row {
    size_t evaluation, token;
};

struct sc_session {
    const struct sc_model *model;
    struct sc_runner *runner;
    uint32_t n_context, n_past;
    struct sc_kv_layer *cache; // [n_layer]
    struct sc_sequence sequence;
    char *cache_memory;
    uint64_t cache_bytes;
    struct row *rows; // [n_batch]
};

// Options with their defaults filled in and checked.
static socle_status settle(const struct sc_model *model, const struct sc_session_options *given,
                           struct sc_session_options *out, socle_error *err)
{
    *out = given ? *given : (struct sc_session_options){ 0 };
    const struct sc_hparams *h = &model->hparams;
    if (out->n_context == 0) out->n_context = SC_MIN(h->n_context, (uint32_t)SC_CONTEXT_DEFAULT);
    if (out->n_batch == 0) out->n_batch = SC_BATCH_DEFAULT;
    if (out->n_logits == 0) out->n_logits = 1;
    if (out->n_threads == 0) out->n_threads = (uint32_t)sc_processor_count();
    if (out->n_context > h->n_context)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a context of %u positions: the model was made for %u", out->n_context,
                       h->n_context);
    if (out->n_threads > SC_THREADS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "expected 1 to %d threads, found %u", SC_THREADS_MAX, out->n_threads);
    if (out->n_batch > BATCH_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a batch of %u rows: expected at most %d", out->n_batch, BATCH_MAX);
    out->n_batch = SC_MIN(out->n_batch, out->n_context);
    out->n_logits = SC_MIN(out->n_logits, out->n_batch);
    return SOCLE_OK;
}

static struct sc_runner_options runner_options(const struct sc_session_options *o)
{
    return (struct sc_runner_options){ o->n_batch, o->n_logits, o->n_context, o->n_threads, o->cpu };
}

socle_status sc_session_need(const struct sc_model *model, const struct sc_session_options *options,
                             struct sc_memory_need *out, socle_error *err)
{
    struct sc_session_options o;
    SC_TRY(settle(model, options, &o, err));
    *out = (struct sc_memory_need){ .weights = sc_model_packed_bytes(model) + sc_model_mapped_bytes(model),
                                    .cache = sc_cache_bytes(&model->program, o.n_context, o.cache) };
    struct sc_runner_options of_runner = runner_options(&o);
    return sc_runner_need(model, &of_runner, &out->work, err);
}

static double gib(uint64_t n_bytes) { return (double)n_bytes / (1024.0 * 1024.0 * 1024.0); }

static socle_status check_memory(struct sc_model *model, const struct sc_session_options *o, socle_error *err)
{
    struct sc_memory_need need;
    SC_TRY(sc_session_need(model, o, &need, err));
    uint64_t available = sc_memory_available(), total = need.weights + need.cache + need.work;
    uint64_t taken = sc_model_is_prepared(model) ? need.weights : 0;
    if (o->allow_overcommit || total - taken <= available) return SOCLE_OK;
    return sc_fail(err, SOCLE_NO_MEMORY,
                   "%s: needs %.2f GiB (weights %.2f, cache of %u positions %.2f, work %.2f), but only %.2f GiB are "
                   "available: use a smaller context, a smaller model, or a more quantized one",
                   sc_gguf_path(model->gguf), gib(total), gib(need.weights), o->n_context, gib(need.cache),
                   gib(need.work), gib(available));
}

socle_status sc_session_prepare(struct sc_model *model, const struct sc_session_options *options, sc_progress *progress,
                                void *context, socle_error *err)
{
    struct sc_session_options o;
    const struct sc_kernels *kernels;
    SC_TRY(settle(model, options, &o, err));
    SC_TRY(sc_kernels_choose(o.cpu, &kernels, err)); // rather than after all the work
    SC_TRY(check_memory(model, &o, err));
    return sc_model_prepare(model, o.n_threads, progress, context, err);
}

static socle_status take_memory(struct sc_session *s, const struct sc_session_options *o, socle_error *err)
{
    const struct sc_program *program = &s->model->program;
    s->cache_bytes = sc_cache_bytes(program, o->n_context, o->cache);
    s->cache = calloc(program->n_layers, sizeof *s->cache);
    s->rows = calloc(o->n_batch, sizeof *s->rows);
    s->cache_memory = sc_memory_take_huge(s->cache_bytes);
    if (!s->cache || !s->rows || !s->cache_memory) return sc_fail_memory(err, s->cache_bytes, "a session's cache");
    sc_cache_place(program, o->n_context, o->cache, s->cache_memory, s->cache);
    s->sequence = (struct sc_sequence){ .cache = s->cache, .n_context = s->n_context };
    return SOCLE_OK;
}

socle_status sc_session_create(struct sc_model *model, const struct sc_session_options *options,
                               struct sc_session **out, socle_error *err)
{
    struct sc_session_options o;
    SC_TRY(settle(model, options, &o, err));
    SC_TRY(sc_session_prepare(model, &o, NULL, NULL, err));
    struct sc_session *s = calloc(1, sizeof *s);
    if (!s) return sc_fail_memory(err, sizeof *s, "a session");
    s->model = model;
    s->n_context = o.n_context;
    struct sc_runner_options of_runner = runner_options(&o);
    socle_status status = sc_runner_create(model, &of_runner, &s->runner, err);
    if (status == SOCLE_OK) status = take_memory(s, &o, err);
    if (status == SOCLE_OK) *out = s;
    else sc_session_free(s);
    return status;
}

void sc_session_free(struct sc_session *s)
{
    if (!s) return;
    sc_runner_free(s->runner);
    sc_memory_release(s->cache_memory, s->cache_bytes);
    free(s->cache);
    free(s->rows);
    free(s);
}

uint32_t sc_session_n_context(const struct sc_session *s) { return s->n_context; }
uint32_t sc_session_n_past(const struct sc_session *s) { return s->n_past; }
uint32_t sc_session_n_batch(const struct sc_session *s) { return sc_runner_n_batch(s->runner); }
uint32_t sc_session_n_threads(const struct sc_session *s)
{
    return (uint32_t)sc_pool_n_threads(sc_runner_pool(s->runner));
}
const struct sc_kernels *sc_session_kernels(const struct sc_session *s) { return sc_runner_kernels(s->runner); }

void sc_session_set_profile(struct sc_session *s, const struct sc_profile *profile)
{
    sc_runner_set_profile(s->runner, profile);
}

void sc_session_set_adapters(struct sc_session *session, const float *factors)
{
    session->sequence.adapters = factors;
}

void sc_session_rewind(struct sc_session *s, uint32_t n_past) { s->n_past = SC_MIN(s->n_past, n_past); }

// Several sessions' evaluations, cut into batches on the first one's memory and threads.
struct together {
    struct sc_session *const *sessions;
    const struct sc_evaluation *what;
    size_t n_sessions;
    size_t at, done; // the evaluation at hand, and how many of its tokens are done
};

// Adds evaluation i's tokens from `token` on to a batch; false when it is full: of rows, or of those that ask for
// logits.
static bool add_tokens(struct sc_session *s, const struct together *t, size_t i, size_t token)
{
    const struct sc_evaluation *e = &t->what[i];
    uint32_t position = t->sessions[i]->n_past;
    for (; token < e->n_tokens; token++, position++) {
        uint32_t n = sc_runner_n_rows(s->runner);
        struct sc_row row = { e->tokens[token], position, &t->sessions[i]->sequence, token >= e->first_logits };
        if (!sc_runner_add(s->runner, &row)) return false;
        s->rows[n] = (struct row){ i, token };
    }
    return true;
}

// Hands the i-th logits to whoever asked for them.
static socle_status hand_on(const struct sc_session *s, const struct together *t, uint32_t i, socle_error *err)
{
    const struct row *row = &s->rows[sc_runner_result_row(s->runner, i)];
    const struct sc_evaluation *e = &t->what[row->evaluation];
    SC_TRY(sc_runner_check_logits(s->runner, i, err));
    if (e->sink && !e->sink(e->context, row->token, sc_runner_logits(s->runner, i)))
        return sc_fail(err, SOCLE_CANCELLED, "stopped after %zu of %zu tokens", row->token + 1, e->n_tokens);
    return SOCLE_OK;
}

// Evaluates one batch and moves on behind it.
static socle_status evaluate_batch(struct sc_session *s, struct together *t, socle_error *err)
{
    bool room = true;
    sc_runner_clear(s->runner);
    sc_runner_set_observer(s->runner, t->what[0].observe, t->what[0].observer);
    for (size_t i = t->at; i < t->n_sessions && room; i++) room = add_tokens(s, t, i, i == t->at ? t->done : 0);
    if (!sc_runner_run(s->runner, t->what[0].stop, t->what[0].context))
        return sc_fail(err, SOCLE_CANCELLED, "stopped after %zu of %zu tokens", t->done, t->what[t->at].n_tokens);
    uint32_t n = sc_runner_n_rows(s->runner);
    for (uint32_t i = 0; i < n; i++) t->sessions[s->rows[i].evaluation]->n_past++;
    t->at = s->rows[n - 1].evaluation;
    t->done = s->rows[n - 1].token + 1;
    for (uint32_t i = 0; i < sc_runner_n_results(s->runner); i++) SC_TRY(hand_on(s, t, i, err));
    return SOCLE_OK;
}

static socle_status check_evaluation(const struct sc_session *runner, const struct sc_session *s,
                                     const struct sc_evaluation *e, socle_error *err)
{
    if (s->model != runner->model || s->n_context > runner->n_context)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "sessions evaluated together must share a model, and the first have the largest context");
    if (e->n_tokens > s->n_context - s->n_past)
        return sc_fail(err, SOCLE_CONTEXT_FULL, "%zu more tokens after %u: the context holds %u", e->n_tokens,
                       s->n_past, s->n_context);
    for (size_t i = 0; i < e->n_tokens; i++)
        if (e->tokens[i] < 0 || (uint32_t)e->tokens[i] >= s->model->hparams.n_vocab)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "token %d: the vocabulary has %u", e->tokens[i],
                           s->model->hparams.n_vocab);
    return SOCLE_OK;
}

socle_status sc_sessions_evaluate(struct sc_session *const *sessions, const struct sc_evaluation *what, size_t n,
                                  socle_error *err)
{
    struct together t = { .sessions = sessions, .what = what, .n_sessions = n };
    for (size_t i = 0; i < n; i++) SC_TRY(check_evaluation(sessions[0], sessions[i], &what[i], err));
    for (;;) {
        while (t.at < n && t.done == what[t.at].n_tokens) t.at++, t.done = 0;
        if (t.at == n) return SOCLE_OK;
        SC_TRY(evaluate_batch(sessions[0], &t, err));
    }
}

socle_status sc_session_evaluate(struct sc_session *s, const struct sc_evaluation *e, socle_error *err)
{
    return sc_sessions_evaluate(&s, e, 1, err);
}
