#include "engine/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "kernels/elementary64.h"

// ---- making and freeing

static socle_status check(const struct sc_tokenizer *tokenizer, const socle_request_options *o, uint32_t n_vocab,
                          uint32_t n_context, socle_error *err)
{
    if (!tokenizer) return sc_fail(err, SOCLE_UNSUPPORTED, "the model has no text side");
    if (o->n_prompt == 0)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "the prompt is empty: there is nothing to go on from");
    if (o->n_prompt > n_context)
        return sc_fail(err, SOCLE_CONTEXT_FULL, "the prompt has %zu tokens, but the context has room for %u",
                       o->n_prompt, n_context);
    for (size_t i = 0; i < o->n_prompt; i++)
        if (o->prompt[i] < 0 || (uint32_t)o->prompt[i] >= n_vocab)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "token %d: the vocabulary has %u", o->prompt[i], n_vocab);
    for (size_t i = 0; i < o->n_stop; i++)
        if (!o->stop[i] || !*o->stop[i]) return sc_fail(err, SOCLE_BAD_ARGUMENT, "a stop string is empty");
    if (o->n_top_logprobs > SC_TOP_LOGPROBS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "top_logprobs: expected at most %d, found %u", SC_TOP_LOGPROBS_MAX,
                       o->n_top_logprobs);
    return o->pooling ? SOCLE_OK : sc_sampling_check(&o->sampling, n_vocab, err);
}

static bool copy_stops(struct sc_request *r, const socle_request_options *o)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < o->n_stop; i++) n_bytes += strlen(o->stop[i]) + 1;
    const char **stops = calloc(o->n_stop + 1, sizeof *stops);
    char *at = r->stop_memory = malloc(n_bytes + 1);
    r->o.stop = stops;
    if (!stops || !at) return false;
    for (size_t i = 0; i < o->n_stop; i++) {
        size_t n = strlen(o->stop[i]) + 1;
        stops[i] = memcpy(at, o->stop[i], n);
        at += n;
    }
    return true;
}

static bool copy_options(struct sc_request *r, const socle_request_options *o)
{
    size_t n_bias = o->sampling.n_bias * sizeof *o->sampling.bias;
    socle_logit_bias *bias = malloc(n_bias + 1);
    r->o = *o;
    r->o.prompt = NULL;
    r->o.sampling.bias = bias;
    r->o.stop = NULL;
    r->tokens = calloc(r->capacity, sizeof *r->tokens);
    if (!copy_stops(r, o) || !bias || !r->tokens) return false;
    if (n_bias) memcpy(bias, o->sampling.bias, n_bias);
    memcpy(r->tokens, o->prompt, o->n_prompt * sizeof *o->prompt);
    return true;
}

socle_status sc_request_create(const struct sc_tokenizer *tokenizer, const socle_request_options *o,
                               const struct sc_constraint *constraint, const struct sc_hparams *hparams,
                               uint32_t n_context, struct sc_request **out, socle_error *err)
{
    SC_TRY(check(tokenizer, o, hparams->n_vocab, n_context, err));
    struct sc_request *r = calloc(1, sizeof *r);
    if (!r) return sc_fail_memory(err, sizeof *r, "a request");
    r->n_tokens = r->n_prompt = (uint32_t)o->n_prompt;
    // The last token is never evaluated, so one more than the context fits.
    uint32_t most = n_context - r->n_prompt + 1;
    r->capacity = r->n_prompt + (o->n_predict ? SC_MIN(o->n_predict, most) : most);
    if (!copy_options(r, o)) {
        sc_request_free(r);
        return sc_fail_memory(err, (uint64_t)n_context * sizeof *r->tokens, "a request");
    }
    socle_status status = sc_held_begin(&r->held, constraint->masks, constraint->index, o->constraint_after,
                                        o->ignore_end, err);
    if (status == SOCLE_OK && o->pooling)
        status = sc_embedding_begin(&r->embedding, hparams, o->pooling, o->n_dimensions, err);
    if (status != SOCLE_OK) {
        sc_request_free(r);
        return status;
    }
    r->created = sc_now();
    r->deadline = o->timeout_seconds > 0 ? r->created + o->timeout_seconds : 0;
    r->stop = (struct sc_stop_filter){ r->o.stop, r->o.n_stop, { 0 } };
    r->result.finish = SOCLE_FINISH_CANCELLED;
    sc_detokenizer_init(&r->detokenizer, tokenizer, o->show_special);
    r->detokenizer.at_start = false; // an answer goes on from its prompt: its first space is its own
    *out = r;
    return SOCLE_OK;
}

void sc_request_free(struct sc_request *r)
{
    if (!r) return;
    free((void *)(uintptr_t)r->o.stop);
    free((void *)(uintptr_t)r->o.sampling.bias);
    free(r->stop_memory);
    free(r->tokens);
    free(r->adapters);
    sc_buffer_free(&r->text);
    sc_stop_filter_free(&r->stop);
    sc_held_free(&r->held);
    sc_embedding_free(&r->embedding);
    free(r);
}

// ---- rows

enum sc_wanted sc_request_wants(const struct sc_request *r, uint32_t position)
{
    if (r->o.pooling)
        return sc_embedding_wants(&r->embedding, position, r->n_prompt) ? SC_WANT_HIDDEN : SC_WANT_NOTHING;
    bool judged = r->o.prompt_logprobs && position + 1 < r->n_prompt && position + 1 > r->n_told;
    return judged || position + 1 == r->n_tokens ? SC_WANT_LOGITS : SC_WANT_NOTHING;
}

uint32_t sc_request_needs_from(const struct sc_request *r)
{
    if (r->o.pooling) return r->embedding.pooling == SOCLE_POOLING_LAST ? r->n_prompt - 1 : r->embedding.n_in;
    return r->o.prompt_logprobs && r->n_told < r->n_prompt ? r->n_told : UINT32_MAX;
}

socle_status sc_request_take_hidden(struct sc_request *r, uint32_t position, const float *x, float scale,
                                    socle_error *err)
{
    sc_embedding_add(&r->embedding, position, x, scale);
    if (position + 1 < r->n_prompt && r->embedding.pooling != SOCLE_POOLING_FIRST) return SOCLE_OK;
    SC_TRY(sc_embedding_finish(&r->embedding, err));
    r->result.embedding = r->embedding.vector;
    r->result.n_embedding = r->embedding.n_dimensions;
    r->result.finish = SOCLE_FINISH_STOP;
    r->has_ended = true;
    return SOCLE_OK;
}

// ---- choosing

static bool breaks_repetition(const void *context, int32_t token)
{
    struct sc_text text = sc_tokenizer_token_bytes(context, token);
    for (size_t i = 0; i < text.n_bytes; i++)
        if (text.data[i] == '\n' || text.data[i] == ':' || text.data[i] == '"' || text.data[i] == '*') return true;
    return false;
}

// The logarithm of the sum of exponentials, summed in binary64 and in order.
static double log_sum(struct sc_sampler *s, const float *logits)
{
    float max = logits[0];
    double sum = 0.0;
    for (size_t i = 1; i < s->n_vocab; i++) max = logits[i] > max ? logits[i] : max;
    s->kernels->weigh(logits, max, 1.0f, s->weights, s->n_vocab);
    for (size_t i = 0; i < s->n_vocab; i++) sum += (double)s->weights[i];
    return (double)max + sc_log64(sum);
}

// The n most probable, best first; ties: the lower id.
static void find_top(const float *logits, size_t n_vocab, double norm, size_t n, struct sc_choice *out)
{
    for (size_t id = 0; id < n_vocab; id++) {
        float logprob = (float)((double)logits[id] - norm);
        if (out->n_top == n && logprob <= out->top[n - 1].logprob) continue;
        size_t at = out->n_top < n ? out->n_top++ : n - 1;
        for (; at > 0 && out->top[at - 1].logprob < logprob; at--) out->top[at] = out->top[at - 1];
        out->top[at] = (socle_alternative){ (int32_t)id, logprob };
    }
}

struct sc_choice sc_request_choose(struct sc_request *r, struct sc_sampler *sampler, const float *logits, int32_t given)
{
    struct sc_choice choice = { .token = given };
    const uint64_t *allowed = NULL;
    if (given < 0 && sc_held_mask(&r->held, &allowed, &choice.error) != SOCLE_OK) return choice;
    if (given < 0)
        choice.token = sc_sample(
            sampler, &r->o.sampling,
            &(struct sc_sampling_input){ .logits = logits,
                                         .history = r->tokens,
                                         .n_history = r->n_tokens,
                                         .breaks = breaks_repetition,
                                         .context = r->detokenizer.tokenizer,
                                         .allowed = allowed,
                                         .n_allowed = sc_tokenizer_n_tokens(r->detokenizer.tokenizer) });
    if (choice.token < 0)
        sc_fail(&choice.error, SOCLE_FAILED,
                "no token of the vocabulary can go on with the text that the constraint asks for");
    if (choice.token < 0) return choice;
    if (!r->o.logprobs && !r->o.prompt_logprobs) return choice;
    double norm = log_sum(sampler, logits);
    choice.logprob = (float)((double)logits[choice.token] - norm);
    if (r->o.n_top_logprobs) find_top(logits, sampler->n_vocab, norm, r->o.n_top_logprobs, &choice);
    return choice;
}

// ---- telling

static void tell(struct sc_request *r, const struct sc_choice *choice, bool of_prompt, size_t n_bytes)
{
    socle_token_event event = {
        .token = choice->token,
        .of_prompt = of_prompt,
        .logprob = choice->logprob,
        .top = choice->top,
        .n_top = choice->n_top,
        .text = r->stop.held.data ? r->stop.held.data : "",
        .n_bytes = n_bytes,
    };
    if (r->o.on_token && !r->is_refused) r->is_refused = !r->o.on_token(r->o.context, &event);
    if (n_bytes) sc_stop_filter_drop(&r->stop, n_bytes);
}

void sc_request_tell_prompt(struct sc_request *r, const struct sc_choice *choice) { tell(r, choice, true, 0); }

// Takes the newest text through the stop strings; true when one was found.
static bool pass_text(struct sc_request *r, size_t *n_ready)
{
    bool found = sc_stop_filter_push(&r->stop, r->text.data ? r->text.data : "", r->text.n_bytes, n_ready);
    sc_buffer_clear(&r->text);
    return found;
}

socle_status sc_request_accept(struct sc_request *r, const struct sc_choice *choice, socle_error *err)
{
    size_t n_ready = 0;
    if (choice->token < 0) {
        *err = choice->error;
        return err->status;
    }
    bool found = false, is_end = !r->o.ignore_end && sc_tokenizer_is_end(r->detokenizer.tokenizer, choice->token);
    if (r->n_generated++ == 0) r->first_token = sc_now();
    if (!is_end) {
        SC_TRY(sc_held_accept(&r->held, choice->token, err));
        r->tokens[r->n_tokens++] = choice->token;
        sc_detokenizer_push(&r->detokenizer, choice->token, &r->text);
        found = pass_text(r, &n_ready);
        tell(r, choice, false, n_ready);
    }
    r->has_ended = true;
    if (is_end) r->result.finish = SOCLE_FINISH_STOP;
    else if (found) r->result.finish = SOCLE_FINISH_WORD;
    else if (sc_held_must_end(&r->held)) r->result.finish = SOCLE_FINISH_STOP;
    else if (r->is_refused) r->result.finish = SOCLE_FINISH_CANCELLED;
    else if (r->o.n_predict && r->n_generated == r->o.n_predict) r->result.finish = SOCLE_FINISH_LENGTH;
    else if (r->n_tokens == r->capacity) r->result.finish = SOCLE_FINISH_CONTEXT;
    else r->has_ended = false;
    return SOCLE_OK;
}

// The stop string that stands at the front of what is held.
static const char *found_stop(const struct sc_request *r)
{
    for (size_t i = 0; i < r->o.n_stop; i++) {
        size_t n = strlen(r->o.stop[i]);
        if (n <= r->stop.held.n_bytes && memcmp(r->stop.held.data, r->o.stop[i], n) == 0) return r->o.stop[i];
    }
    return NULL;
}

void sc_request_end(struct sc_request *r, const socle_error *err)
{
    socle_request_result *result = &r->result;
    double now = sc_now(), started = r->was_started ? r->started : now;
    double first = r->n_generated ? r->first_token : now;
    size_t n_ready = 0;
    if (result->finish == SOCLE_FINISH_WORD) {
        result->stop = found_stop(r);
    } else if (!r->is_refused && !err) {
        sc_detokenizer_finish(&r->detokenizer, &r->text);
        bool found = pass_text(r, &n_ready);
        result->text = r->stop.held.data ? r->stop.held.data : "";
        result->n_bytes = found ? n_ready : r->stop.held.n_bytes;
    }
    result->status = err ? err->status : SOCLE_OK;
    if (err) result->error = *err;
    result->n_prompt = r->n_prompt;
    result->n_cached = r->n_cached;
    result->n_generated = r->n_generated;
    result->wait_seconds = started - r->created;
    result->prompt_seconds = first - started;
    result->generate_seconds = now - first;
    if (!result->text) result->text = "";
    sc_held_free(&r->held); // its grammar may be gone after this
    if (r->o.on_end) r->o.on_end(r->o.context, result);
}
