// socle logits: the logits of every position of a token sequence, for comparing with other programs.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

enum { BATCH = 256 };

struct logits_options {
    struct cli_texts adapters;
    const char *model, *tokens, *out, *cache;
    socle_session_options session;
};

// Token ids, little-endian int32; NULL after a message.
static int32_t *read_tokens(const char *path, size_t *n, int *code)
{
    size_t n_bytes;
    char *bytes = cli_read_text(path, &n_bytes, code);
    if (!bytes) return NULL;
    if (n_bytes == 0 || n_bytes % 4 != 0) {
        cli_error("%s: expected little-endian int32 token ids, 4 bytes each; found %zu bytes", path, n_bytes);
        free(bytes);
        *code = SOCLE_BAD_FILE;
        return NULL;
    }
    *n = n_bytes / 4;
    int32_t *ids = malloc(n_bytes);
    for (size_t i = 0; ids && i < *n; i++) {
        const unsigned char *b = (const unsigned char *)bytes + 4 * i;
        uint32_t id = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&ids[i], &id, sizeof id);
    }
    if (!ids) {
        cli_error("%s: not enough memory for %zu tokens", path, *n);
        *code = SOCLE_NO_MEMORY;
    }
    free(bytes);
    return ids;
}

struct writing {
    struct cli_output output;
    struct cli_progress progress;
    unsigned char *row; // [4 * n_vocab]
    size_t n_vocab, n_tokens;
    int failed; // errno of a failed write
};

static bool write_row(void *context, size_t i, const float *logits)
{
    struct writing *w = context;
    for (size_t v = 0; v < w->n_vocab; v++) {
        uint32_t bits;
        memcpy(&bits, &logits[v], sizeof bits);
        for (int b = 0; b < 4; b++) w->row[4 * v + (size_t)b] = (unsigned char)(bits >> (8 * b));
    }
    errno = 0;
    if (fwrite(w->row, 4, w->n_vocab, w->output.file) != w->n_vocab) {
        w->failed = errno ? errno : EIO;
        return false;
    }
    cli_progress_update(&w->progress, (double)(i + 1), (double)w->n_tokens, "");
    return true;
}

static int evaluate(socle_session *session, const int32_t *tokens, struct writing *w)
{
    socle_error err;
    cli_progress_begin(&w->progress, "Evaluating");
    socle_status status = socle_evaluate(session, tokens, w->n_tokens, 0, write_row, w, &err);
    cli_progress_end(&w->progress);
    if (status == SOCLE_OK) return SOCLE_OK;
    if (!w->failed) return cli_fail_evaluation(&err);
    if (w->failed == EPIPE) return SOCLE_IO;
    cli_error("%s: cannot write: %s", w->output.name, strerror(w->failed));
    return SOCLE_IO;
}

static int compute(const socle_model *model, const struct logits_options *o, const int32_t *tokens, size_t n_tokens)
{
    socle_session *session;
    socle_error err;
    socle_session_options options = o->session;
    socle_model_info info;
    socle_model_describe(model, &info);
    if (!options.n_context) options.n_context = n_tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)n_tokens;
    if (!options.n_batch) options.n_batch = BATCH;
    options.n_logits = cli_logits_rows(model, options.n_batch);
    int code = cli_prepare(model, &options);
    if (code >= 0) return code;
    if (socle_session_create(model, &options, &session, &err) != SOCLE_OK) return cli_fail(&err);
    // From here on Ctrl-C ends the evaluation, so that the unfinished file is removed.
    cli_signals_session(session);
    struct writing w = { .row = malloc((size_t)info.n_vocab * 4), .n_vocab = info.n_vocab, .n_tokens = n_tokens };
    code = w.row ? cli_output_begin(&w.output, o->out) : SOCLE_NO_MEMORY;
    if (code < 0) {
        code = evaluate(session, tokens, &w);
        code = cli_output_end(&w.output, code == SOCLE_OK, code);
    }
    cli_signals_session(NULL);
    free(w.row);
    socle_session_free(session);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct logits_options o = { 0 };
    const struct cli_option options[] = {
        { "model", 'm', CLI_TEXT, &o.model, "FILE", "the model, a GGUF file (default: the bundled one)" },
        CLI_ADAPTER_OPTION(o.adapters),
        { "tokens", 0, CLI_TEXT, &o.tokens, "FILE", "token ids, little-endian int32 ('-': standard input)" },
        { "out", 'o', CLI_TEXT, &o.out, "FILE",
          "where the logits go: little-endian float32, [position][vocabulary] "
          "('-': standard output)" },
        { "cache", 0, CLI_TEXT, &o.cache, "TYPE",
          "keys and values as f16 (default, as everywhere), q8_0, or f32 (as "
          "references of other programs usually are made)" },
        { "chunk", 'b', CLI_U32, &o.session.n_batch, "N", "tokens computed together (default: 256); changes no bit" },
        { "context", 'c', CLI_U32, &o.session.n_context, "N", "positions (default: as many as tokens)" },
        CLI_MACHINE_OPTIONS(o.session),
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, NULL, 0, NULL);
    if (code >= 0) return code;
    code = cli_read_cache(o.cache, &o.session);
    if (code >= 0) return code;
    if (!o.tokens || !o.out) return cli_misuse("--tokens and --out are needed; 'socle logits --help' has examples");
    if (strcmp(o.out, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_misuse("--out -: standard output is a terminal, and logits are not text");
    size_t n_tokens = 0;
    code = SOCLE_OK;
    socle_model *model = cli_load_adapted(o.model, &o.adapters, &code);
    int32_t *tokens = model ? read_tokens(o.tokens, &n_tokens, &code) : NULL;
    if (tokens) code = compute(model, &o, tokens, n_tokens);
    free(tokens);
    socle_model_free(model);
    return code;
}

const struct cli_command cli_logits = {
    .name = "logits",
    .summary = "compute the logits of every position of a token sequence",
    .usage = "[-m FILE] --tokens FILE --out FILE [options]",
    .examples = "  socle logits -m model.gguf --tokens ids.i32 --out logits.f32\n"
                "  socle logits -m model.gguf --tokens ids.i32 --out - --cache f32 | sha256sum\n"
                "  socle logits -m model.gguf --tokens ids.i32 --out a.f32 -t 1 --cpu base\n"
                "                                # slower, and the same bits\n",
    .run = run,
};
