// Generation: the prompt in chunks, then token by token through constraint, sampler, detokenizer and stop strings.
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "engine/stop.h"
#include "text/matcher.h"

struct generator {
    socle_session *session;
    socle_generation *g;
    struct sc_detokenizer detokenizer;
    struct sc_buffer text; // of the newest token
    struct sc_stop_filter stop;
    bool refused;               // by the caller's callback
    struct sc_matcher *matcher; // where the answer stands in its constraint, or NULL
    uint64_t *allowed;          // the tokens that may come next
    bool waiting;               // for constraint_after, in the last bytes of the answer:
    struct sc_buffer recent;
};

static bool breaks_repetition(const void *context, int32_t token)
{
    struct sc_text text = sc_tokenizer_token_bytes(context, token);
    for (size_t i = 0; i < text.n_bytes; i++)
        if (text.data[i] == '\n' || text.data[i] == ':' || text.data[i] == '"' || text.data[i] == '*') return true;
    return false;
}

// ---- the constraint

static socle_status begin_constraint(struct generator *gen, socle_error *err)
{
    const socle_generation *g = gen->g;
    if (!g->constraint) return SOCLE_OK;
    SC_TRY(sc_matcher_create(g->constraint->masks, &gen->matcher, err));
    size_t n_words = sc_matcher_mask_words(gen->matcher);
    gen->allowed = calloc(n_words + 1, sizeof *gen->allowed);
    gen->waiting = g->constraint_after && *g->constraint_after;
    return gen->allowed ? SOCLE_OK : sc_fail_memory(err, n_words * 8, "a mask of tokens");
}

static bool is_held(const struct generator *gen) { return gen->matcher && !gen->waiting; }

static socle_status find_allowed(struct generator *gen, socle_error *err)
{
    SC_TRY(sc_matcher_mask(gen->matcher, gen->allowed, err));
    const struct sc_token_index *index = gen->session->model->index->index;
    for (uint32_t i = 0; gen->g->ignore_end && i < index->n_ends; i++)
        gen->allowed[index->ends[i] / 64] &= ~(UINT64_C(1) << (index->ends[i] % 64));
    return SOCLE_OK;
}

// Looks for the text after which the constraint begins.
static void wait_for_constraint(struct generator *gen, int32_t token)
{
    const char *after = gen->g->constraint_after;
    struct sc_text bytes = sc_tokenizer_token_bytes(gen->session->model->tokenizer, token);
    size_t n_after = strlen(after);
    sc_buffer_append(&gen->recent, bytes.data, bytes.n_bytes);
    if (gen->recent.n_bytes >= n_after && memmem(gen->recent.data, gen->recent.n_bytes, after, n_after))
        gen->waiting = false;
    if (gen->recent.n_bytes < n_after) return;
    size_t n_kept = n_after - 1;
    memmove(gen->recent.data, gen->recent.data + gen->recent.n_bytes - n_kept, n_kept);
    gen->recent.n_bytes = n_kept;
}

// Goes on by a token that is part of the answer.
static socle_status pass_token(struct generator *gen, int32_t token, socle_error *err)
{
    if (!gen->matcher) return SOCLE_OK;
    if (gen->waiting) {
        wait_for_constraint(gen, token);
        return gen->recent.failed ? sc_fail_memory(err, 0, "the answer's text") : SOCLE_OK;
    }
    if (sc_matcher_accept(gen->matcher, token)) return SOCLE_OK;
    return sc_fail_memory(err, 0, "a position in a grammar"); // what is allowed is accepted, but for memory
}

static int32_t sample(const struct generator *gen)
{
    socle_session *s = gen->session;
    return sc_sample(&s->sampler, &gen->g->sampling,
                     &(struct sc_sampling_input){ .logits = s->logits,
                                                  .history = s->tokens,
                                                  .n_history = sc_session_n_past(s->engine),
                                                  .breaks = breaks_repetition,
                                                  .context = s->model->tokenizer,
                                                  .allowed = is_held(gen) ? gen->allowed : NULL,
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
        if (is_held(gen) && sc_matcher_must_end(gen->matcher)) return SOCLE_OK;
        if (is_held(gen)) SC_TRY(find_allowed(gen, err));
        int32_t token = sample(gen);
        if (token < 0)
            return sc_fail(err, SOCLE_FAILED,
                           "no token of the vocabulary can go on with the text that the constraint "
                           "asks for");
        g->n_generated++;
        if (!g->ignore_end && sc_tokenizer_is_end(tokenizer, token)) return SOCLE_OK;
        SC_TRY(pass_token(gen, token, err));
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
    socle_status status = begin_constraint(&gen, err);
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
    sc_matcher_free(gen.matcher);
    sc_buffer_free(&gen.recent);
    free(gen.allowed);
    return status == SOCLE_OK && out_of_memory ? sc_fail_memory(err, 0, "the answer's text") : status;
}
