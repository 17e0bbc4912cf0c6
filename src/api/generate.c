// Generation: the prompt in chunks, then token by token through constraint, sampler, detokenizer and stop strings.
#include "api/api.h"

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "engine/held.h"
#include "engine/stop.h"

struct generator {
    socle_session *session;
    socle_generation *g;
    struct sc_detokenizer detokenizer;
    struct sc_buffer text; // of the newest token
    struct sc_stop_filter stop;
    bool refused;        // by the caller's callback
    struct sc_held held; // to the constraint
};

static bool breaks_repetition(const void *context, int32_t token)
{
    struct sc_text text = sc_tokenizer_token_bytes(context, token);
    for (size_t i = 0; i < text.n_bytes; i++)
        if (text.data[i] == '\n' || text.data[i] == ':' || text.data[i] == '"' || text.data[i] == '*') return true;
    return false;
}

static int32_t sample(const struct generator *gen, const uint64_t *allowed)
{
    socle_session *s = gen->session;
    return sc_sample(&s->sampler, &gen->g->sampling,
                     &(struct sc_sampling_input){ .logits = s->logits,
                                                  .history = s->tokens,
                                                  .n_history = sc_session_n_past(s->engine),
                                                  .breaks = breaks_repetition,
                                                  .context = s->model->tokenizer,
                                                  .allowed = allowed,
                                                  .n_allowed = sc_tokenizer_n_tokens(s->model->tokenizer) });
}

// ---- the answer's text

static void show(struct generator *gen, size_t n_bytes)
{
    if (n_bytes == 0) return;
    if (gen->g->on_text && !gen->refused)
        gen->refused = !gen->g->on_text(gen->g->context, gen->stop.held.data, n_bytes);
    sc_stop_filter_drop(&gen->stop, n_bytes);
}

// Takes the newest token's text through the stop strings; true when one was found.
static bool pass_text(struct generator *gen)
{
    size_t n_ready;
    bool found = sc_stop_filter_push(&gen->stop, gen->text.data ? gen->text.data : "", gen->text.n_bytes, &n_ready);
    sc_buffer_clear(&gen->text);
    show(gen, n_ready);
    return found;
}

// Shows what was held back in vain.
static void flush(struct generator *gen)
{
    sc_detokenizer_finish(&gen->detokenizer, &gen->text);
    if (!pass_text(gen)) show(gen, gen->stop.held.n_bytes);
}

static socle_status evaluate(struct generator *gen, const int32_t *tokens, size_t n, bool logits, socle_error *err)
{
    struct sc_evaluation what = { .tokens = tokens, .n_tokens = n, .first_logits = logits ? n - 1 : n };
    return sc_api_evaluate(gen->session, &what, err);
}

static socle_status evaluate_prompt(struct generator *gen, socle_error *err)
{
    socle_generation *g = gen->g;
    struct sc_session *engine = gen->session->engine;
    uint32_t n_past = sc_session_n_past(engine), n_context = sc_session_n_context(engine);
    if (g->n_prompt == 0 && !gen->session->has_logits)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "the prompt is empty: there is nothing to go on from");
    if (g->n_prompt > n_context - n_past)
        return sc_fail(
            err, SOCLE_CONTEXT_FULL,
            "the prompt has %zu tokens, but the context has room for %u (%u of %u are taken): shorten it, or "
            "use a larger context",
            g->n_prompt, n_context - n_past, n_past, n_context);
    for (size_t done = 0; done < g->n_prompt;) {
        size_t n = SC_MIN(g->n_prompt - done, (size_t)sc_session_n_batch(engine));
        SC_TRY(evaluate(gen, g->prompt + done, n, done + n == g->n_prompt, err));
        done += n;
        g->n_evaluated = done;
        if (g->on_progress) g->on_progress(g->context, done, g->n_prompt);
    }
    return SOCLE_OK;
}

// Generates until something ends it; sets g->finish.
static socle_status generate(struct generator *gen, socle_error *err)
{
    socle_generation *g = gen->g;
    const struct sc_tokenizer *tokenizer = gen->session->model->tokenizer;
    struct sc_session *engine = gen->session->engine;
    for (;;) {
        g->finish = SOCLE_FINISH_STOP;
        if (sc_held_must_end(&gen->held)) return SOCLE_OK;
        const uint64_t *allowed;
        SC_TRY(sc_held_mask(&gen->held, &allowed, err));
        int32_t token = sample(gen, allowed);
        if (token < 0)
            return sc_fail(err, SOCLE_FAILED,
                           "no token of the vocabulary can go on with the text that the constraint "
                           "asks for");
        g->n_generated++;
        if (!g->ignore_end && sc_tokenizer_is_end(tokenizer, token)) return SOCLE_OK;
        SC_TRY(sc_held_accept(&gen->held, token, err));
        sc_detokenizer_push(&gen->detokenizer, token, &gen->text);
        g->finish = SOCLE_FINISH_WORD;
        if (pass_text(gen)) return SOCLE_OK;
        g->finish = SOCLE_FINISH_CANCELLED;
        if (gen->refused) return SOCLE_OK;
        g->finish = SOCLE_FINISH_LENGTH;
        if (g->n_predict && g->n_generated == g->n_predict) return SOCLE_OK;
        g->finish = SOCLE_FINISH_CONTEXT;
        if (sc_session_n_past(engine) == sc_session_n_context(engine)) return SOCLE_OK;
        SC_TRY(evaluate(gen, &token, 1, true, err));
    }
}

static socle_status check(const socle_session *s, const socle_generation *g, socle_error *err)
{
    if (!s->model->tokenizer) {
        if (err) *err = s->model->text_error;
        return s->model->text_error.status;
    }
    for (size_t i = 0; i < g->n_stop; i++)
        if (!g->stop[i] || !*g->stop[i]) return sc_fail(err, SOCLE_BAD_ARGUMENT, "a stop string is empty");
    if (g->constraint && g->constraint->model != s->model)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "the constraint was made for another model");
    return sc_sampling_check(&g->sampling, s->sampler.n_vocab, err);
}

SC_EXPORT socle_status socle_generate(socle_session *s, socle_generation *g, socle_error *err)
{
    SC_TRY(check(s, g, err));
    struct generator gen = { .session = s, .g = g, .stop = { g->stop, g->n_stop, { 0 } } };
    sc_detokenizer_init(&gen.detokenizer, s->model->tokenizer, g->show_special);
    gen.detokenizer.at_start = false; // an answer goes on from its prompt: its first space is its own
    g->n_generated = g->n_evaluated = 0;
    g->prompt_seconds = g->generate_seconds = 0.0;
    double start = sc_now();
    struct sc_token_masks *masks = g->constraint ? g->constraint->masks : NULL;
    socle_status status =
        sc_held_begin(&gen.held, masks, masks ? s->model->index->index : NULL, g->constraint_after, g->ignore_end, err);
    if (status == SOCLE_OK) status = evaluate_prompt(&gen, err);
    double middle = sc_now();
    g->prompt_seconds = middle - start;
    if (status == SOCLE_OK) {
        status = generate(&gen, err);
        if (g->finish != SOCLE_FINISH_WORD && !gen.refused) flush(&gen);
        g->generate_seconds = sc_now() - middle;
    }
    if (status == SOCLE_CANCELLED) {
        g->finish = SOCLE_FINISH_CANCELLED;
        status = SOCLE_OK;
    }
    atomic_store(&s->cancel, false); // one that came too late must not stop the next answer
    bool out_of_memory = gen.text.failed || gen.stop.held.failed;
    sc_buffer_free(&gen.text);
    sc_stop_filter_free(&gen.stop);
    sc_held_free(&gen.held);
    return status == SOCLE_OK && out_of_memory ? sc_fail_memory(err, 0, "the answer's text") : status;
}
