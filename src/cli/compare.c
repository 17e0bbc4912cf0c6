// The comparison of two models on a text.
//
// The text is cut into windows side by side and the second half of each is scored, as 'socle perplexity' does it. For
// each scored token, with p the source's distribution over the next token and q the result's:
//
//     NLL of both: -log p(next), -log q(next)        KL(p || q) = sum of p * (log p - log q)
//
// Both models evaluate a chunk of tokens in turn; only one chunk's logits of the source are kept.
#include "cli/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

enum { CONTEXT = 512, CONTEXT_MIN = 4, CHUNK = 64 };

struct comparing {
    struct cli_comparison *out;
    socle_session *source, *result;
    size_t n_vocab, n_context, n_tokens, chunk_max;
    int32_t *tokens, *window, bos;
    bool add_bos;
    float *logits; // [chunk_max][n_vocab] of the source
    size_t chunk;  // where the chunk at hand begins
    size_t kept;   // rows of `logits` in use
    size_t seen;   // of these, how many the result was compared with
    double source_nll, result_nll, divergence;
    size_t n_same;
    struct cli_progress progress;
};

// The largest logit's place, and the logarithm of the sum of exponentials.
static size_t log_sum(const float *logits, size_t n, double *log_total)
{
    size_t top = 0;
    double sum = 0.0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[top]) top = i;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - (double)logits[top]);
    *log_total = log(sum) + (double)logits[top];
    return top;
}

static bool keep(void *context, size_t i, const float *logits)
{
    (void)i;
    struct comparing *c = context;
    memcpy(c->logits + c->kept++ * c->n_vocab, logits, c->n_vocab * sizeof *logits);
    return true;
}

static bool compare(void *context, size_t i, const float *q)
{
    struct comparing *c = context;
    const float *p = c->logits + c->seen++ * c->n_vocab;
    double log_p, log_q, divergence = 0.0;
    size_t top_p = log_sum(p, c->n_vocab, &log_p), top_q = log_sum(q, c->n_vocab, &log_q);
    for (size_t v = 0; v < c->n_vocab; v++) {
        double lp = (double)p[v] - log_p, lq = (double)q[v] - log_q;
        divergence += exp(lp) * (lp - lq);
    }
    if (divergence < 0.0) divergence = 0.0; // rounding: it is never negative
    int32_t next = c->window[c->chunk + i + 1];
    c->source_nll += log_p - (double)p[next];
    c->result_nll += log_q - (double)q[next];
    c->divergence += divergence;
    c->n_same += top_p == top_q;
    c->out->n_scored++;
    if (divergence > c->out->divergence_max) c->out->divergence_max = divergence;
    return true;
}

static socle_status run_window(struct comparing *c, size_t begin, socle_error *err)
{
    size_t last = c->n_context - 1, first = c->n_context / 2, n;
    memcpy(c->window, c->tokens + begin, c->n_context * sizeof *c->window);
    if (c->add_bos) c->window[0] = c->bos;
    socle_session_rewind(c->source, 0);
    socle_session_rewind(c->result, 0);
    for (c->chunk = 0; c->chunk < last; c->chunk += n) {
        n = last - c->chunk < c->chunk_max ? last - c->chunk : c->chunk_max;
        size_t from = first > c->chunk ? first - c->chunk : 0;
        if (from > n) from = n;
        c->kept = c->seen = 0;
        cli_signals_session(c->source);
        socle_status status = socle_evaluate(c->source, c->window + c->chunk, n, from, keep, c, err);
        if (status != SOCLE_OK) return status;
        cli_signals_session(c->result);
        status = socle_evaluate(c->result, c->window + c->chunk, n, from, compare, c, err);
        if (status != SOCLE_OK) return status;
    }
    return SOCLE_OK;
}

static int run_windows(struct comparing *c)
{
    socle_error err;
    socle_status status = SOCLE_OK;
    size_t n_windows = c->n_tokens / c->n_context;
    if (c->out->n_chunks && n_windows > c->out->n_chunks) n_windows = c->out->n_chunks;
    cli_progress_begin(&c->progress, "Comparing");
    for (size_t w = 0; w < n_windows && status == SOCLE_OK; w++) {
        status = run_window(c, w * c->n_context, &err);
        cli_progress_update(&c->progress, (double)(w + 1), (double)n_windows, "");
    }
    cli_progress_end(&c->progress);
    cli_signals_session(NULL);
    if (status != SOCLE_OK) return cli_fail_evaluation(&err);
    double n = (double)c->out->n_scored;
    c->out->source_perplexity = exp(c->source_nll / n);
    c->out->result_perplexity = exp(c->result_nll / n);
    c->out->divergence = c->divergence / n;
    c->out->same_top = (double)c->n_same / n;
    return SOCLE_OK;
}

static int tokenize(struct comparing *c, const socle_model *model)
{
    socle_error err;
    int32_t *empty;
    size_t n_bytes, n_empty;
    int code = SOCLE_OK;
    char *text = cli_read_text(c->out->file, &n_bytes, &code);
    if (!text) return code;
    socle_status status = socle_tokenize(model, text, n_bytes, SOCLE_ADD_SPECIAL, &c->tokens, &c->n_tokens, &err);
    free(text);
    if (status == SOCLE_OK) status = socle_tokenize(model, "", 0, SOCLE_ADD_SPECIAL, &empty, &n_empty, &err);
    if (status != SOCLE_OK) return cli_fail(&err);
    c->add_bos = n_empty > 0 && c->bos >= 0 && empty[0] == c->bos;
    socle_free(empty);
    if (c->n_context > c->n_tokens) c->n_context = c->n_tokens;
    if (c->n_context >= CONTEXT_MIN) return -1;
    return cli_misuse("%s: a text of at least %d tokens is needed, found %zu", c->out->file, CONTEXT_MIN, c->n_tokens);
}

static int compare_models(struct comparing *c, const socle_model *source, const socle_model *result)
{
    socle_error err;
    socle_model_info info;
    socle_model_describe(source, &info);
    c->n_vocab = info.n_vocab;
    c->bos = info.bos;
    c->n_context = c->out->n_context ? c->out->n_context : info.n_context < CONTEXT ? info.n_context : CONTEXT;
    int code = tokenize(c, source);
    if (code >= 0) return code;
    socle_session_options options = c->out->session;
    uint32_t rows = cli_logits_rows(source, CHUNK);
    c->chunk_max = rows;
    options.n_context = (uint32_t)c->n_context;
    options.n_batch = options.n_logits = rows;
    c->logits = malloc(c->chunk_max * c->n_vocab * sizeof *c->logits);
    c->window = malloc(c->n_context * sizeof *c->window);
    if (!c->logits || !c->window) {
        cli_error("not enough memory for %zu rows of logits", c->chunk_max);
        return SOCLE_NO_MEMORY;
    }
    code = cli_prepare(source, &options);
    if (code < 0) code = cli_prepare(result, &options);
    if (code >= 0) return code;
    if (socle_session_create(source, &options, &c->source, &err) != SOCLE_OK) return cli_fail(&err);
    if (socle_session_create(result, &options, &c->result, &err) != SOCLE_OK) return cli_fail(&err);
    return run_windows(c);
}

int cli_compare(const char *source, const char *result, struct cli_comparison *comparison)
{
    struct comparing c = { .out = comparison };
    int code = SOCLE_OK;
    socle_model *a = cli_load_model(source, &code), *b = a ? cli_load_model(result, &code) : NULL;
    if (b) code = compare_models(&c, a, b);
    socle_session_free(c.source);
    socle_session_free(c.result);
    free(c.logits);
    free(c.window);
    socle_free(c.tokens);
    socle_model_free(b);
    socle_model_free(a);
    return code;
}
