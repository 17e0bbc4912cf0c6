#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "models/adapters.h"

enum sc_cache_format sc_api_cache_format(socle_cache cache)
{
    static const enum sc_cache_format formats[] = {
        [SOCLE_CACHE_F16] = SC_CACHE_F16, [SOCLE_CACHE_F32] = SC_CACHE_F32, [SOCLE_CACHE_Q8_0] = SC_CACHE_Q8_0
    };
    return formats[cache];
}

static struct sc_session_options engine_options(const socle_session_options *given)
{
    socle_session_options o = given ? *given : (socle_session_options){ 0 };
    return (struct sc_session_options){ .n_context = o.n_context,
                                        .n_batch = o.n_batch,
                                        .n_logits = o.n_logits,
                                        .n_threads = o.n_threads,
                                        .cache = sc_api_cache_format(o.cache),
                                        .allow_overcommit = o.allow_overcommit,
                                        .cpu = o.cpu };
}

static socle_status need_weights(const socle_model *m, socle_error *err)
{
    if (m->model) return SOCLE_OK;
    return sc_fail(err, SOCLE_UNSUPPORTED, "%s: holds a vocabulary but no weights", sc_gguf_path(m->gguf));
}

SC_EXPORT socle_status socle_session_need(const socle_model *m, const socle_session_options *options, socle_memory *out,
                                          socle_error *err)
{
    struct sc_session_options o = engine_options(options);
    struct sc_memory_need need;
    SC_TRY(need_weights(m, err));
    SC_TRY(sc_session_need(m->model, &o, &need, err));
    *out = (socle_memory){ need.weights, need.cache, need.work };
    return SOCLE_OK;
}

SC_EXPORT socle_status socle_session_prepare(const socle_model *m, const socle_session_options *options,
                                             socle_progress_callback *progress, void *context, socle_error *err)
{
    struct sc_session_options o = engine_options(options);
    SC_TRY(need_weights(m, err));
    return sc_session_prepare(m->model, &o, progress, context, err);
}

SC_EXPORT socle_status socle_session_create(const socle_model *m, const socle_session_options *options,
                                            socle_session **out, socle_error *err)
{
    struct sc_session_options o = engine_options(options);
    SC_TRY(need_weights(m, err));
    socle_session *s = calloc(1, sizeof *s);
    if (!s) return sc_fail_memory(err, sizeof *s, "a session");
    s->model = m;
    socle_status status = sc_session_create(m->model, &o, &s->engine, err);
    if (status != SOCLE_OK) {
        free(s);
        return status;
    }
    size_t n_vocab = m->model->hparams.n_vocab, n_context = sc_session_n_context(s->engine);
    s->tokens = calloc(n_context, sizeof *s->tokens);
    s->logits = calloc(n_vocab, sizeof *s->logits);
    s->sampler = (struct sc_sampler){ .candidates = calloc(n_vocab, sizeof(struct sc_candidate)),
                                      .counts = calloc(n_vocab, sizeof(uint32_t)),
                                      .z = calloc(n_context, sizeof(uint32_t)),
                                      .weights = calloc(n_vocab, sizeof(float)),
                                      .kernels = sc_session_kernels(s->engine),
                                      .n_vocab = (uint32_t)n_vocab };
    if (!s->tokens || !s->logits || !s->sampler.candidates || !s->sampler.counts || !s->sampler.z ||
        !s->sampler.weights) {
        socle_session_free(s);
        return sc_fail_memory(err, n_vocab * 24 + n_context * 8, "a session's sampler");
    }
    status = socle_session_set_adapters(s, NULL, err);
    if (status == SOCLE_OK) *out = s;
    else socle_session_free(s);
    return status;
}

SC_EXPORT void socle_session_free(socle_session *s)
{
    if (!s) return;
    sc_session_free(s->engine);
    sc_api_profile_free(s->profile);
    free(s->tokens);
    free(s->logits);
    free(s->sampler.candidates);
    free(s->sampler.counts);
    free(s->sampler.z);
    free(s->sampler.weights);
    free(s->adapters);
    free(s);
}

SC_EXPORT socle_status socle_session_set_adapters(socle_session *s, const float *scales, socle_error *err)
{
    uint64_t variant;
    bool ok;
    float *factors = sc_adapter_set_factors(s->model->adapters, scales ? scales : s->model->adapter_scales, &variant, &ok);
    if (!ok) return sc_fail_memory(err, s->model->n_adapters * sizeof *factors, "adapters");
    if (variant != s->variant) socle_session_rewind(s, 0);
    free(s->adapters);
    s->adapters = factors;
    s->variant = variant;
    sc_session_set_adapters(s->engine, factors);
    return SOCLE_OK;
}

SC_EXPORT uint32_t socle_session_n_context(const socle_session *s) { return sc_session_n_context(s->engine); }
SC_EXPORT uint32_t socle_session_n_past(const socle_session *s) { return sc_session_n_past(s->engine); }
SC_EXPORT uint32_t socle_session_n_threads(const socle_session *s) { return sc_session_n_threads(s->engine); }
SC_EXPORT const char *socle_session_cpu(const socle_session *s) { return sc_session_kernels(s->engine)->name; }
SC_EXPORT const int32_t *socle_session_tokens(const socle_session *s) { return s->tokens; }
SC_EXPORT void socle_session_cancel(socle_session *s) { atomic_store(&s->cancel, true); }

SC_EXPORT void socle_session_rewind(socle_session *s, uint32_t n_past)
{
    if (n_past < sc_session_n_past(s->engine)) s->has_logits = false;
    sc_session_rewind(s->engine, n_past);
}

SC_EXPORT uint32_t socle_session_reuse(socle_session *s, const int32_t *tokens, size_t n_tokens)
{
    uint32_t n = 0, n_past = sc_session_n_past(s->engine);
    while (n < n_past && n + (size_t)1 < n_tokens && s->tokens[n] == tokens[n]) n++;
    socle_session_rewind(s, n);
    return n;
}

// Passes the caller's sink on, and keeps the logits of the last token.
struct tap {
    socle_session *session;
    const struct sc_evaluation *what;
};

static bool keep_logits(void *context, size_t i, const float *logits)
{
    struct tap *tap = context;
    const struct sc_evaluation *what = tap->what;
    if (i + 1 == what->n_tokens) {
        memcpy(tap->session->logits, logits, sizeof(float) * tap->session->sampler.n_vocab);
        tap->session->has_logits = true;
    }
    return !what->sink || what->sink(what->context, i, logits);
}

static bool is_cancelled(void *context)
{
    struct tap *tap = context;
    return atomic_exchange(&tap->session->cancel, false);
}

// Evaluates what[i] in sessions[i], each through a tap of its own.
static socle_status evaluate_tapped(socle_session *const *sessions, const struct sc_evaluation *what, struct tap *taps,
                                    struct sc_evaluation *tapped, struct sc_session **engines, uint32_t *before,
                                    size_t n, socle_error *err)
{
    for (size_t i = 0; i < n; i++) {
        socle_session *s = sessions[i];
        taps[i] = (struct tap){ s, &what[i] };
        tapped[i] = what[i];
        tapped[i].sink = keep_logits;
        tapped[i].stop = is_cancelled;
        tapped[i].context = &taps[i];
        engines[i] = s->engine;
        before[i] = sc_session_n_past(s->engine);
        if (what[i].n_tokens) s->has_logits = false;
    }
    socle_status status = sc_sessions_evaluate(engines, tapped, n, err);
    for (size_t i = 0; i < n; i++) {
        uint32_t n_done = sc_session_n_past(engines[i]) - before[i];
        if (n_done) memcpy(sessions[i]->tokens + before[i], what[i].tokens, n_done * sizeof *sessions[i]->tokens);
        if (n_done != what[i].n_tokens) sessions[i]->has_logits = false;
    }
    return status;
}

socle_status sc_api_evaluate(socle_session *s, const struct sc_evaluation *what, socle_error *err)
{
    struct tap tap;
    struct sc_evaluation tapped;
    struct sc_session *engine;
    uint32_t before;
    return evaluate_tapped(&s, what, &tap, &tapped, &engine, &before, 1, err);
}

SC_EXPORT socle_status socle_evaluate_together(socle_session *const *sessions, const socle_evaluation *given, size_t n,
                                               socle_error *err)
{
    struct sc_evaluation *what = calloc(2 * n + 1, sizeof *what);
    struct tap *taps = calloc(n + 1, sizeof *taps);
    struct sc_session **engines = calloc(n + 1, sizeof *engines);
    uint32_t *before = calloc(n + 1, sizeof *before);
    socle_status status = SOCLE_OK;
    if (!what || !taps || !engines || !before) status = sc_fail_memory(err, n * 256, "a batch");
    for (size_t i = 0; i < n && status == SOCLE_OK; i++)
        what[i] = (struct sc_evaluation){ .tokens = given[i].tokens,
                                          .n_tokens = given[i].n_tokens,
                                          .first_logits = SC_MIN(given[i].first_logits, given[i].n_tokens),
                                          .sink = given[i].callback,
                                          .context = given[i].context };
    if (n && status == SOCLE_OK) status = evaluate_tapped(sessions, what, taps, what + n, engines, before, n, err);
    free(what);
    free(taps);
    free(engines);
    free(before);
    return status;
}

SC_EXPORT socle_status socle_evaluate(socle_session *s, const int32_t *tokens, size_t n_tokens, size_t first_logits,
                                      socle_logits_callback *callback, void *context, socle_error *err)
{
    struct sc_evaluation what = { .tokens = tokens,
                                  .n_tokens = n_tokens,
                                  .first_logits = SC_MIN(first_logits, n_tokens),
                                  .sink = callback,
                                  .context = context };
    return sc_api_evaluate(s, &what, err);
}
