#include "engine/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/size.h"

enum { ALIGNMENT = 64, BATCH_MAX = 8192 };

// Where a row of a batch comes from.
struct row {
    size_t evaluation, token;
};

struct sc_session {
    const struct sc_model *model;
    const struct sc_kernels *kernels;
    struct sc_pool *pool;
    struct sc_plan plan;
    uint32_t n_context, n_past;
    struct sc_kv_layer *cache; // [n_layer]
    struct sc_sequence sequence;
    char *cache_memory, *memory, *scratch;
    uint64_t cache_bytes, scratch_bytes;
    // Of a batch, [n_batch] each:
    int32_t *tokens;
    uint32_t *positions, *selected;
    const struct sc_sequence **sequences;
    struct row *rows;
    const struct sc_profile *profile;
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

// Bytes of one head's keys (rounded up to groups of lanes) or values.
static uint64_t head_bytes(uint32_t dim, uint32_t n_context, enum sc_cache_format format)
{
    uint64_t n_positions = sc_align_up(n_context, SC_LANES);
    return sc_align_up(n_positions * sc_cache_row_bytes(format, dim), ALIGNMENT);
}

static uint64_t cache_need(const struct sc_model *model, const struct sc_session_options *o)
{
    uint64_t n_bytes = 0;
    bool fits = true;
    for (uint32_t i = 0; i < model->program.n_layers; i++) {
        const struct sc_cache_layer *layer = &model->program.layers[i];
        uint64_t heads =
            head_bytes(layer->dim_k, o->n_context, o->cache) + head_bytes(layer->dim_v, o->n_context, o->cache);
        fits = fits && sc_u64_mul(heads, layer->n_heads, &heads) && sc_u64_add(n_bytes, heads, &n_bytes);
    }
    return fits ? n_bytes : UINT64_MAX / 2; // more than any machine has
}

socle_status sc_session_need(const struct sc_model *model, const struct sc_session_options *options,
                             struct sc_memory_need *out, socle_error *err)
{
    struct sc_session_options o;
    struct sc_plan plan;
    SC_TRY(settle(model, options, &o, err));
    sc_model_lock(model);
    socle_status status = sc_plan_make(&model->program, o.n_batch, o.n_logits, o.n_context, &plan, err);
    sc_model_unlock(model);
    SC_TRY(status);
    *out = (struct sc_memory_need){ .weights = sc_model_packed_bytes(model) + sc_model_mapped_bytes(model),
                                    .cache = cache_need(model, &o),
                                    .work = plan.n_bytes + (uint64_t)o.n_threads * plan.scratch_bytes };
    sc_plan_free(&plan);
    return SOCLE_OK;
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

static void place_cache(struct sc_session *s, enum sc_cache_format format)
{
    char *at = s->cache_memory;
    for (uint32_t i = 0; i < s->model->program.n_layers; i++) {
        const struct sc_cache_layer *layer = &s->model->program.layers[i];
        uint64_t k_bytes = head_bytes(layer->dim_k, s->n_context, format);
        uint64_t v_bytes = head_bytes(layer->dim_v, s->n_context, format);
        struct sc_kv head0 = { .k = at, .dim_k = layer->dim_k, .dim_v = layer->dim_v, .format = format };
        at += layer->n_heads * k_bytes;
        if (layer->dim_v) head0.v = at;
        at += layer->n_heads * v_bytes;
        s->cache[i] = (struct sc_kv_layer){ head0, k_bytes, v_bytes };
    }
}

static socle_status take_memory(struct sc_session *s, const struct sc_session_options *o, socle_error *err)
{
    s->cache_bytes = cache_need(s->model, o);
    s->scratch_bytes = (uint64_t)o->n_threads * s->plan.scratch_bytes;
    s->cache = calloc(s->model->program.n_layers, sizeof *s->cache);
    s->positions = calloc(o->n_batch, sizeof *s->positions);
    s->selected = calloc(o->n_batch, sizeof *s->selected);
    s->tokens = calloc(o->n_batch, sizeof *s->tokens);
    s->sequences = calloc(o->n_batch, sizeof *s->sequences);
    s->rows = calloc(o->n_batch, sizeof *s->rows);
    s->cache_memory = sc_memory_take(s->cache_bytes);
    s->memory = sc_memory_take(s->plan.n_bytes);
    s->scratch = sc_memory_take(s->scratch_bytes);
    bool rows = s->positions && s->selected && s->tokens && s->sequences && s->rows;
    if (!s->cache || !rows || !s->cache_memory || !s->memory || !s->scratch)
        return sc_fail_memory(err, s->cache_bytes + s->plan.n_bytes + s->scratch_bytes, "a session");
    place_cache(s, o->cache);
    s->sequence = (struct sc_sequence){ s->cache, s->n_context };
    return SOCLE_OK;
}

socle_status sc_session_create(struct sc_model *model, const struct sc_session_options *options,
                               struct sc_session **out, socle_error *err)
{
    struct sc_session_options o;
    SC_TRY(settle(model, options, &o, err));
    SC_TRY(check_memory(model, &o, err));
    struct sc_session *s = calloc(1, sizeof *s);
    if (!s) return sc_fail_memory(err, sizeof *s, "a session");
    s->model = model;
    s->n_context = o.n_context;
    socle_status status = sc_kernels_choose(o.cpu, &s->kernels, err);
    if (status == SOCLE_OK) status = sc_model_prepare(model, o.n_threads, NULL, NULL, err);
    if (status == SOCLE_OK) status = sc_pool_create(o.n_threads, &s->pool, err);
    if (status == SOCLE_OK) status = sc_plan_make(&model->program, o.n_batch, o.n_logits, o.n_context, &s->plan, err);
    if (status == SOCLE_OK) status = take_memory(s, &o, err);
    if (status == SOCLE_OK) *out = s;
    else sc_session_free(s);
    return status;
}

void sc_session_free(struct sc_session *s)
{
    if (!s) return;
    sc_pool_free(s->pool);
    sc_memory_release(s->cache_memory, s->cache_bytes);
    sc_memory_release(s->memory, s->plan.n_bytes);
    sc_memory_release(s->scratch, s->scratch_bytes);
    sc_plan_free(&s->plan);
    free(s->cache);
    free(s->positions);
    free(s->selected);
    free(s->tokens);
    free(s->sequences);
    free(s->rows);
    free(s);
}

uint32_t sc_session_n_context(const struct sc_session *s) { return s->n_context; }
uint32_t sc_session_n_past(const struct sc_session *s) { return s->n_past; }
uint32_t sc_session_n_batch(const struct sc_session *s) { return s->plan.n_rows; }
uint32_t sc_session_n_threads(const struct sc_session *s) { return (uint32_t)sc_pool_n_threads(s->pool); }
const struct sc_kernels *sc_session_kernels(const struct sc_session *s) { return s->kernels; }

void sc_session_set_profile(struct sc_session *s, const struct sc_profile *profile) { s->profile = profile; }

void sc_session_rewind(struct sc_session *s, uint32_t n_past) { s->n_past = SC_MIN(s->n_past, n_past); }

// NaN and infinity are errors, not values.
static bool all_finite(const float *x, size_t n)
{
    float zero = 0.0f;
    for (size_t i = 0; i < n; i++) zero += x[i] * 0.0f;
    return zero == 0.0f;
}

// Several sessions' evaluations, cut into batches on the first one's memory and threads.
struct together {
    struct sc_session *const *sessions;
    const struct sc_evaluation *what;
    size_t n_sessions;
    size_t at, done; // the evaluation at hand, and how many of its tokens are done
};

// Adds evaluation i's tokens from `token` on to a batch; false when it is full: of rows, or of those that ask for
// logits.
static bool add_tokens(struct sc_session *s, const struct together *t, size_t i, size_t token, struct sc_run *run)
{
    const struct sc_evaluation *e = &t->what[i];
    uint32_t position = t->sessions[i]->n_past;
    for (; token < e->n_tokens; token++, position++) {
        size_t n = run->n_rows;
        bool wanted = token >= e->first_logits;
        if (n == s->plan.n_rows || (wanted && run->n_selected == s->plan.n_selected)) return false;
        s->tokens[n] = e->tokens[token];
        s->positions[n] = position;
        s->sequences[n] = &t->sessions[i]->sequence;
        s->rows[n] = (struct row){ i, token };
        if (wanted) s->selected[run->n_selected++] = (uint32_t)n;
        run->n_rows++;
    }
    return true;
}

// Hands a row's logits to whoever asked for them.
static socle_status hand_on(const struct sc_session *s, const struct together *t, size_t row, const float *logits,
                            socle_error *err)
{
    const struct sc_evaluation *e = &t->what[s->rows[row].evaluation];
    size_t token = s->rows[row].token;
    bool f32 = s->sequences[row]->cache[0].head0.format == SC_CACHE_F32;
    if (!all_finite(logits, s->model->program.n_vocab))
        return sc_fail(err, SOCLE_NOT_FINITE, "%s: a logit at position %u is not finite%s",
                       sc_gguf_path(s->model->gguf), s->positions[row],
                       f32 ? "" : " (damaged weights, or keys too large for the cache's format: try F32)");
    if (e->sink && !e->sink(e->context, token, logits))
        return sc_fail(err, SOCLE_CANCELLED, "stopped after %zu of %zu tokens", token + 1, e->n_tokens);
    return SOCLE_OK;
}

// Evaluates one batch and moves on behind it.
static socle_status evaluate_batch(struct sc_session *s, struct together *t, socle_error *err)
{
    struct sc_run run = {
        .program = &s->model->program,
        .plan = &s->plan,
        .kernels = s->kernels,
        .pool = s->pool,
        .memory = s->memory,
        .scratch = s->scratch,
        .sequences = s->sequences,
        .tokens = s->tokens,
        .positions = s->positions,
        .selected = s->selected,
        .profile = s->profile,
    };
    bool room = true;
    for (size_t i = t->at; i < t->n_sessions && room; i++)
        room = add_tokens(s, t, i, i == t->at ? t->done : 0, &run);
    if (!sc_run_program(&run, t->what[0].stop, t->what[0].context))
        return sc_fail(err, SOCLE_CANCELLED, "stopped after %zu of %zu tokens", t->done, t->what[t->at].n_tokens);
    for (size_t i = 0; i < run.n_rows; i++) t->sessions[s->rows[i].evaluation]->n_past++;
    t->at = s->rows[run.n_rows - 1].evaluation;
    t->done = s->rows[run.n_rows - 1].token + 1;
    for (size_t i = 0; i < run.n_selected; i++)
        SC_TRY(hand_on(s, t, s->selected[i], sc_run_logits(&run, i), err));
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
