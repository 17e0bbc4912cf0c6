// socle imatrix: what each weight of a model is worth on a text.
//
// The text's tokens are cut into chunks of n_context, each evaluated from an empty context, and every matrix product's
// inputs are squared and added up (src/engine/imatrix.h).
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

enum { CONTEXT = 512, CONTEXT_MIN = 4, BATCH = 64 };

struct imatrix_options {
    const char *model, *text, *out;
    uint32_t n_chunks_max;
    bool json;
    socle_session_options session;
};

struct gathering {
    const struct imatrix_options *options;
    const socle_model *model;
    socle_session *session;
    socle_imatrix *imatrix;
    int32_t *tokens, *chunk; // [n_tokens], [n_context]
    int32_t bos;
    bool add_bos;
    size_t n_tokens, n_context, n_chunks;
    double seconds;
};

static int gather(struct gathering *g)
{
    socle_error err;
    socle_status status = SOCLE_OK;
    struct cli_progress progress;
    double started = cli_now();
    cli_signals_session(g->session);
    cli_progress_begin(&progress, "Gathering");
    for (size_t i = 0; i < g->n_chunks && status == SOCLE_OK; i++) {
        memcpy(g->chunk, g->tokens + i * g->n_context, g->n_context * sizeof *g->chunk);
        if (g->add_bos) g->chunk[0] = g->bos;
        status = socle_imatrix_gather(g->imatrix, g->session, g->chunk, g->n_context, &err);
        cli_progress_update(&progress, (double)(i + 1), (double)g->n_chunks, "");
    }
    cli_progress_end(&progress);
    cli_signals_session(NULL);
    g->seconds = cli_now() - started;
    return status == SOCLE_OK ? SOCLE_OK : cli_fail_evaluation(&err);
}

static int write_result(const struct gathering *g)
{
    socle_error err;
    const struct imatrix_options *o = g->options;
    const char *slash = strrchr(o->text, '/');
    if (socle_imatrix_write(g->imatrix, o->out, slash ? slash + 1 : o->text, &err) != SOCLE_OK) return cli_fail(&err);
    if (o->json)
        return cli_print_json(json_pack("{s:s, s:I, s:I, s:I, s:f}", "out", o->out, "n_chunks", (json_int_t)g->n_chunks,
                                        "n_context", (json_int_t)g->n_context, "n_tokens",
                                        (json_int_t)(g->n_chunks * g->n_context), "seconds", g->seconds));
    cli_put_text(stdout, o->out, strlen(o->out), 0);
    printf(": importances from %zu tokens, in %zu chunk%s of %zu\n", g->n_chunks * g->n_context, g->n_chunks,
           g->n_chunks == 1 ? "" : "s", g->n_context);
    return SOCLE_OK;
}

// Cuts the tokens into chunks; -1 to go on.
static int plan(struct gathering *g, const char *text, size_t n_bytes)
{
    const struct imatrix_options *o = g->options;
    socle_error err;
    socle_model_info info;
    int32_t *empty;
    size_t n_empty;
    socle_model_describe(g->model, &info);
    if (socle_tokenize(g->model, text, n_bytes, SOCLE_ADD_SPECIAL, &g->tokens, &g->n_tokens, &err) != SOCLE_OK ||
        socle_tokenize(g->model, "", 0, SOCLE_ADD_SPECIAL, &empty, &n_empty, &err) != SOCLE_OK)
        return cli_fail(&err);
    g->bos = info.bos;
    g->add_bos = n_empty > 0 && info.bos >= 0 && empty[0] == info.bos;
    socle_free(empty);
    g->n_context = o->session.n_context ? o->session.n_context : info.n_context < CONTEXT ? info.n_context : CONTEXT;
    if (g->n_context < CONTEXT_MIN) return cli_misuse("--context: expected at least %d positions", CONTEXT_MIN);
    if (g->n_tokens < CONTEXT_MIN)
        return cli_misuse("%s: a text of at least %d tokens is needed, found %zu", o->text, CONTEXT_MIN, g->n_tokens);
    if (g->n_tokens < g->n_context) {
        cli_error("note: the text has only %zu tokens, so one chunk of that many is used", g->n_tokens);
        g->n_context = g->n_tokens;
    }
    g->n_chunks = g->n_tokens / g->n_context;
    if (o->n_chunks_max && g->n_chunks > o->n_chunks_max) g->n_chunks = o->n_chunks_max;
    return -1;
}

static int run_all(struct gathering *g, const char *text, size_t n_bytes)
{
    socle_error err;
    int code = plan(g, text, n_bytes);
    if (code >= 0) return code;
    socle_session_options options = g->options->session;
    options.n_context = (uint32_t)g->n_context;
    options.n_batch = BATCH;
    options.n_logits = cli_logits_rows(g->model, BATCH);
    g->chunk = malloc(g->n_context * sizeof *g->chunk);
    if (!g->chunk) {
        cli_error("not enough memory for %zu tokens", g->n_context);
        return SOCLE_NO_MEMORY;
    }
    code = cli_prepare(g->model, &options);
    if (code >= 0) return code;
    if (socle_session_create(g->model, &options, &g->session, &err) != SOCLE_OK ||
        socle_imatrix_create(g->model, &g->imatrix, &err) != SOCLE_OK)
        return cli_fail(&err);
    code = gather(g);
    return code == SOCLE_OK ? write_result(g) : code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct imatrix_options o = { 0 };
    const struct cli_option options[] = {
        { "out", 'o', CLI_TEXT, &o.out, "FILE", "where the importances go, a GGUF file" },
        { "context", 'c', CLI_U32, &o.session.n_context, "N", "tokens of a chunk (default: 512)" },
        { "chunks", 0, CLI_U32, &o.n_chunks_max, "N", "at most N chunks (default: the whole text)" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "what was done, as JSON" },
        CLI_MACHINE_OPTIONS(o.session),
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    const char *operands[2];
    size_t n = 0, n_bytes = 0;
    int code = cli_parse(command, options, argc, argv, operands, 2, &n);
    if (code >= 0) return code;
    if (n < 2 || !o.out) return cli_misuse("a model, a text and --out are needed; 'socle imatrix --help' has examples");
    if (strcmp(o.out, "-") == 0) return cli_misuse("--out: the result is a file of its own: give it a name, not '-'");
    o.model = operands[0];
    o.text = operands[1];
    code = SOCLE_OK;
    struct gathering g = { .options = &o };
    socle_model *model = cli_load_model(o.model, &code);
    char *text = model ? cli_read_text(o.text, &n_bytes, &code) : NULL;
    g.model = model;
    if (text) code = run_all(&g, text, n_bytes);
    socle_imatrix_free(g.imatrix);
    socle_session_free(g.session);
    free(g.chunk);
    socle_free(g.tokens);
    free(text);
    socle_model_free(model);
    return code;
}

const struct cli_command cli_imatrix = {
    .name = "imatrix",
    .summary = "gather which weights matter on a text, for 'quantize'",
    .usage = "MODEL TEXT -o FILE [options]",
    .examples = "  socle imatrix model-f16.gguf text.txt -o model.imatrix.gguf\n"
                "  socle imatrix model-f16.gguf text.txt -o m.gguf --chunks 100\n"
                "  socle quantize model-f16.gguf small.gguf Q4_K_M --imatrix m.gguf\n",
    .run = run,
};
