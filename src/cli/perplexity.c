// socle perplexity: how well a model predicts a text.
//
// The text's tokens are cut into windows of n_context, evaluated one by one, and the model is scored by the negative
// log-likelihood (NLL) that it gave to tokens that did come:
//
//   without --stride   windows follow each other, and the second half of each is scored, as llama.cpp does it, so that
//                      figures compare: the token at position p is scored for n_context / 2 < p < n_context
//   with --stride S    a window begins every S tokens, and its last S tokens are scored: each token once, with at
//                      least n_context - S tokens before it
//
// Where the model wants a beginning token, it replaces each window's first token. Perplexity is exp(mean NLL); its
// error is the standard error of the mean, carried through exp: ppl * s / sqrt(n). Bits a byte takes the text's average
// of bytes a token. Everything past the logits is in double: the soft-max is shifted by its maximum, the sum over
// tokens is compensated (Neumaier), the variance is Welford's.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

enum { CONTEXT = 512, CONTEXT_MIN = 4, BATCH = 64 };

struct perplexity_options {
    struct cli_texts adapters;
    const char *model, *file, *cache;
    uint32_t stride, n_windows_max;
    bool json;
    socle_session_options session;
};

struct scoring {
    const struct perplexity_options *options;
    const socle_model *model;
    socle_session *session;
    socle_model_info info;
    int32_t *tokens, *window; // [n_tokens], [n_context]
    size_t n_tokens, n_bytes, n_context, step, first, n_windows;
    bool add_bos;
    // While a window runs: where the chunk being evaluated begins.
    size_t chunk;
    struct cli_progress progress;
    size_t n_evaluated, n_to_evaluate;
    double started, seconds;
    // Sum of NLL and its compensation; Welford's mean and sum of squares.
    double sum, lost, mean, squares;
    size_t n_scored;
};

// -log of the probability that the logits give to `token`.
static double nll_of(const float *logits, size_t n_vocab, int32_t token)
{
    float max = logits[0];
    for (size_t i = 1; i < n_vocab; i++) max = logits[i] > max ? logits[i] : max;
    double sum = 0.0;
    for (size_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - (double)max);
    return log(sum) - ((double)logits[token] - (double)max);
}

static void add_score(struct scoring *s, double nll)
{
    double total = s->sum + nll;
    s->lost += fabs(s->sum) >= fabs(nll) ? (s->sum - total) + nll : (nll - total) + s->sum;
    s->sum = total;
    s->n_scored++;
    double distance = nll - s->mean;
    s->mean += distance / (double)s->n_scored;
    s->squares += distance * (nll - s->mean);
}

static double mean_nll(const struct scoring *s) { return (s->sum + s->lost) / (double)s->n_scored; }

static double mean_error(const struct scoring *s)
{
    if (s->n_scored < 2) return 0.0;
    return sqrt(s->squares / (double)(s->n_scored - 1) / (double)s->n_scored);
}

// ---- windows

static void show_progress(struct scoring *s, size_t n_of_chunk)
{
    char note[40] = "";
    if (s->n_scored) snprintf(note, sizeof note, "ppl %.4f", exp(mean_nll(s)));
    cli_progress_update(&s->progress, (double)(s->n_evaluated + s->chunk + n_of_chunk), (double)s->n_to_evaluate, note);
}

static bool score(void *context, size_t i, const float *logits)
{
    struct scoring *s = context;
    size_t next = s->chunk + i + 1;
    add_score(s, nll_of(logits, s->info.n_vocab, s->window[next]));
    show_progress(s, i + 1);
    return true;
}

// Evaluates one window in chunks, so that the bar moves; its last token predicts nothing that is known.
static socle_status run_window(struct scoring *s, size_t begin, socle_error *err)
{
    memcpy(s->window, s->tokens + begin, s->n_context * sizeof *s->window);
    if (s->add_bos) s->window[0] = s->info.bos;
    socle_session_rewind(s->session, 0);
    size_t last = s->n_context - 1, n;
    for (s->chunk = 0; s->chunk < last; s->chunk += n) {
        n = last - s->chunk < BATCH ? last - s->chunk : BATCH;
        size_t first = s->first > s->chunk ? s->first - s->chunk : 0;
        socle_status status = socle_evaluate(s->session, s->window + s->chunk, n, first < n ? first : n, score, s, err);
        if (status != SOCLE_OK) return status;
        if (first >= n) show_progress(s, n);
    }
    s->n_evaluated += last;
    return SOCLE_OK;
}

static int run_windows(struct scoring *s)
{
    socle_error err;
    s->n_to_evaluate = s->n_windows * (s->n_context - 1);
    s->started = cli_now();
    cli_signals_session(s->session);
    cli_progress_begin(&s->progress, "Scoring");
    socle_status status = SOCLE_OK;
    for (size_t w = 0; w < s->n_windows && status == SOCLE_OK; w++) status = run_window(s, w * s->step, &err);
    cli_progress_end(&s->progress);
    cli_signals_session(NULL);
    s->seconds = cli_now() - s->started;
    return status == SOCLE_OK ? SOCLE_OK : cli_fail_evaluation(&err);
}

// ---- the result

static int print_json(const struct scoring *s)
{
    double nll = mean_nll(s), error = mean_error(s), ppl = exp(nll);
    return cli_print_json(json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "perplexity",
                                    ppl, "perplexity_error", ppl * error, "nats_per_token", nll, "nats_per_token_error",
                                    error, "bits_per_byte", nll / log(2.0) * (double)s->n_tokens / (double)s->n_bytes,
                                    "n_scored", (json_int_t)s->n_scored, "n_tokens", (json_int_t)s->n_tokens, "n_bytes",
                                    (json_int_t)s->n_bytes, "n_windows", (json_int_t)s->n_windows, "n_context",
                                    (json_int_t)s->n_context, "stride", (json_int_t)s->step, "seconds", s->seconds,
                                    "tokens_per_second", (double)s->n_to_evaluate / s->seconds));
}

static int print_result(const struct scoring *s)
{
    if (s->options->json) return print_json(s);
    double nll = mean_nll(s), error = mean_error(s), ppl = exp(nll);
    printf("%sperplexity %.4f +- %.4f%s\n", cli_bold(stdout), ppl, ppl * error, cli_reset(stdout));
    printf("%.4f nats a token (+- %.4f), %.4f bits a byte\n", nll, error,
           nll / log(2.0) * (double)s->n_tokens / (double)s->n_bytes);
    printf("%s%zu of %zu tokens scored, in %zu window%s of %zu; %.1f s, %.0f tokens/s%s\n", cli_dim(stdout),
           s->n_scored, s->n_tokens, s->n_windows, s->n_windows == 1 ? "" : "s", s->n_context, s->seconds,
           (double)s->n_to_evaluate / s->seconds, cli_reset(stdout));
    return SOCLE_OK;
}

// ---- preparing

// Cuts the tokens into windows; -1 to go on.
static int plan_windows(struct scoring *s)
{
    const struct perplexity_options *o = s->options;
    s->n_context = o->session.n_context ? o->session.n_context : CONTEXT;
    if (!o->session.n_context && s->info.n_context < s->n_context) s->n_context = s->info.n_context;
    if (s->n_tokens < CONTEXT_MIN)
        return cli_misuse("%s: a text of at least %d tokens is needed, found %zu", o->file, CONTEXT_MIN, s->n_tokens);
    if (s->n_tokens < s->n_context) {
        cli_error("note: the text has only %zu tokens, so one window of that many is used", s->n_tokens);
        s->n_context = s->n_tokens;
    }
    if (s->n_context < CONTEXT_MIN) return cli_misuse("--context: expected at least %d positions", CONTEXT_MIN);
    if (o->stride >= s->n_context)
        return cli_misuse("--stride: expected less than the context of %zu, found %u", s->n_context, o->stride);
    s->step = o->stride ? o->stride : s->n_context;
    // The logits after token p score token p + 1.
    s->first = o->stride ? s->n_context - 1 - o->stride : s->n_context / 2;
    s->n_windows = (s->n_tokens - s->n_context) / s->step + 1;
    if (o->n_windows_max && s->n_windows > o->n_windows_max) s->n_windows = o->n_windows_max;
    return -1;
}

static int tokenize(struct scoring *s, const char *text)
{
    socle_error err;
    int32_t *empty;
    size_t n_empty;
    if (socle_tokenize(s->model, text, s->n_bytes, SOCLE_ADD_SPECIAL, &s->tokens, &s->n_tokens, &err) != SOCLE_OK ||
        socle_tokenize(s->model, "", 0, SOCLE_ADD_SPECIAL, &empty, &n_empty, &err) != SOCLE_OK)
        return cli_fail(&err);
    s->add_bos = n_empty > 0 && empty[0] == s->info.bos && s->info.bos >= 0;
    socle_free(empty);
    return -1;
}

static int measure(struct scoring *s, const char *text)
{
    socle_error err;
    int code = tokenize(s, text);
    if (code < 0) code = plan_windows(s);
    if (code >= 0) return code;
    socle_session_options options = s->options->session;
    options.n_context = (uint32_t)s->n_context;
    options.n_batch = BATCH;
    options.n_logits = cli_logits_rows(s->model, BATCH);
    code = cli_prepare(s->model, &options);
    if (code >= 0) return code;
    if (socle_session_create(s->model, &options, &s->session, &err) != SOCLE_OK) return cli_fail(&err);
    s->window = malloc(s->n_context * sizeof *s->window);
    code = s->window ? run_windows(s) : SOCLE_NO_MEMORY;
    if (code == SOCLE_OK) code = print_result(s);
    free(s->window);
    socle_session_free(s->session);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct perplexity_options o = { 0 };
    const struct cli_option options[] = {
        { "model", 'm', CLI_TEXT, &o.model, "FILE", "the model, a GGUF file (default: the bundled one)" },
        CLI_ADAPTER_OPTION(o.adapters),
        { "file", 'f', CLI_TEXT, &o.file, "FILE", "the text (default: standard input)" },
        { "context", 'c', CLI_U32, &o.session.n_context, "N", "positions of a window (default: 512)" },
        { "stride", 0, CLI_U32, &o.stride, "N",
          "begin a window every N tokens and score its last N (default: windows "
          "side by side, second halves scored)" },
        { "chunks", 0, CLI_U32, &o.n_windows_max, "N", "at most N windows (default: the whole text)" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "the result as JSON" },
        { "cache", 0, CLI_TEXT, &o.cache, "TYPE", "keys and values as f16 (default), f32 or q8_0" },
        CLI_MACHINE_OPTIONS(o.session),
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, NULL, 0, NULL);
    if (code >= 0) return code;
    code = cli_read_cache(o.cache, &o.session);
    if (code >= 0) return code;
    if (!o.file) o.file = "-";
    code = SOCLE_OK;
    struct scoring s = { .options = &o };
    socle_model *model = cli_load_adapted(o.model, &o.adapters, &code);
    char *text = model ? cli_read_text(o.file, &s.n_bytes, &code) : NULL;
    if (text) {
        s.model = model;
        socle_model_describe(model, &s.info);
        code = measure(&s, text);
        socle_free(s.tokens);
    }
    free(text);
    socle_model_free(model);
    return code;
}

const struct cli_command cli_perplexity = {
    .name = "perplexity",
    .summary = "measure how well a model predicts a text",
    .usage = "[-m FILE] -f TEXT [options]",
    .examples = "  socle perplexity -f story.txt                    # the bundled model\n"
                "  socle perplexity -m model.gguf -f wiki.test.raw  # compares with llama.cpp's\n"
                "  socle perplexity -m model.gguf -f wiki.test.raw -c 2k --stride 512\n"
                "  socle perplexity -m model.gguf -f text.txt --chunks 20 --json\n",
    .run = run,
};
