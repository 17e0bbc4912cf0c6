// socle quantize: a smaller file from one in F32, F16 or BF16.
#include <stdlib.h>
#include <string.h>

#include "cli/compare.h"
#include "cli/output.h"

struct quantize_options {
    const char *in, *out, *imatrix, *report;
    struct cli_texts overrides;
    uint32_t n_chunks;
    bool json;
    socle_session_options session;
};

// What stands in the table for one format.
struct share {
    const char *format;
    uint64_t n_tensors, n_bytes, n_weights;
};

enum { SHARES_MAX = 32 };

// ---- the work

static bool show_progress(void *context, const char *tensor, uint64_t done, uint64_t total)
{
    cli_progress_update(context, (double)done, (double)total, tensor);
    return !cli_work_stopped();
}

static int quantize(const struct quantize_options *o, const char *type, socle_quantization **result)
{
    socle_error err;
    struct cli_progress progress;
    socle_quantize_options options = { .type = type,
                                       .overrides = o->overrides.items,
                                       .n_overrides = o->overrides.n,
                                       .imatrix = o->imatrix,
                                       .n_threads = o->session.n_threads,
                                       .on_progress = show_progress,
                                       .context = &progress };
    cli_progress_begin(&progress, "Quantizing");
    cli_signals_work(true);
    socle_status status = socle_quantize(o->in, o->out, &options, result, &err);
    cli_signals_work(false);
    cli_progress_end(&progress);
    if (status == SOCLE_OK) return SOCLE_OK;
    return cli_fail_evaluation(&err);
}

// ---- the table

static struct share *share_of(struct share *shares, size_t *n, const char *format)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(shares[i].format, format) == 0) return &shares[i];
    if (*n == SHARES_MAX) return NULL;
    shares[*n] = (struct share){ .format = format };
    return &shares[(*n)++];
}

static void show_formats(const socle_quantization *q)
{
    struct share shares[SHARES_MAX];
    size_t n = 0;
    socle_quantized_tensor t;
    for (size_t i = 0; socle_quantized_tensor_at(q, i, &t); i++) {
        struct share *share = share_of(shares, &n, t.to);
        if (!share) continue;
        share->n_tensors++;
        share->n_bytes += t.n_bytes_after;
        share->n_weights += t.n_weights;
    }
    printf("\n  %s%-8s %8s %12s %14s%s\n", cli_bold(stdout), "format", "tensors", "size", "bits a weight",
           cli_reset(stdout));
    for (size_t i = 0; i < n; i++) {
        char size[16];
        printf("  %-8s %8llu %12s %14.2f\n", shares[i].format, (unsigned long long)shares[i].n_tensors,
               cli_bytes(shares[i].n_bytes, size), 8.0 * (double)shares[i].n_bytes / (double)shares[i].n_weights);
    }
}

// What did not go as asked: formats that rows do not fit, tensors that the importance matrix does not know.
static void show_notes(const socle_quantization *q, bool imatrix)
{
    socle_quantized_tensor t;
    size_t n_unknown = 0, n_encoded = 0;
    bool first = true;
    for (size_t i = 0; socle_quantized_tensor_at(q, i, &t); i++) {
        n_encoded += !t.kept;
        n_unknown += !t.kept && !t.has_importance;
        if (strcmp(t.wanted, t.to) == 0) continue;
        if (first) puts("\n  Rows that do not fill the blocks of a format are in another:");
        first = false;
        printf("  %s -> %s  ", t.wanted, t.to);
        cli_put_text(stdout, t.name, strlen(t.name), 0);
        puts("");
    }
    if (imatrix)
        printf("\n  The importance matrix knew %zu of the %zu matrices%s.\n", n_encoded - n_unknown, n_encoded,
               n_unknown ? "; the others' weights count alike" : "");
}

static void show_report(const struct cli_comparison *c)
{
    printf("\n  On %zu tokens of the text:\n", c->n_scored);
    printf("  perplexity   %.4f -> %.4f (%+.2f %%)\n", c->source_perplexity, c->result_perplexity,
           100.0 * (c->result_perplexity / c->source_perplexity - 1.0));
    printf("  divergence   %.6f nats a token (Kullback-Leibler), at most %.4f\n", c->divergence, c->divergence_max);
    printf("  same choice  %.2f %% of the tokens\n", 100.0 * c->same_top);
}

static int show(const struct quantize_options *o, const socle_quantization *q, const struct cli_comparison *report)
{
    socle_quantization_info info;
    char before[16], after[16];
    socle_quantization_describe(q, &info);
    cli_put_text(stdout, o->out, strlen(o->out), 0);
    printf(": %s%s%s\n", cli_bold(stdout), info.type, cli_reset(stdout));
    printf("  size         %s -> %s (%.1f %%)\n", cli_bytes(info.n_bytes_before, before),
           cli_bytes(info.n_bytes_after, after), 100.0 * (double)info.n_bytes_after / (double)info.n_bytes_before);
    printf("  weights      %.2f -> %.2f bits each\n", info.bits_before, info.bits_after);
    printf("  error        %.3f %% of the encoded weights (root mean square)\n", 100.0 * info.relative_error);
    show_formats(q);
    show_notes(q, o->imatrix != NULL);
    if (report) show_report(report);
    return SOCLE_OK;
}

// ---- JSON

static json_t *json_of_tensor(const socle_quantized_tensor *t)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:f}", "name", t->name, "from", t->from, "wanted",
                     t->wanted, "to", t->to, "n_weights", (json_int_t)t->n_weights, "n_bytes",
                     (json_int_t)t->n_bytes_after, "kept", t->kept, "has_importance", t->has_importance,
                     "relative_error", t->relative_error);
}

static int show_json(const struct quantize_options *o, const socle_quantization *q, const struct cli_comparison *report)
{
    socle_quantization_info info;
    socle_quantized_tensor t;
    socle_quantization_describe(q, &info);
    json_t *tensors = json_array();
    for (size_t i = 0; socle_quantized_tensor_at(q, i, &t); i++) json_array_append_new(tensors, json_of_tensor(&t));
    json_t *document = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "in", o->in, "out", o->out,
                                 "type", info.type, "n_bytes_before", (json_int_t)info.n_bytes_before, "n_bytes_after",
                                 (json_int_t)info.n_bytes_after, "n_weights", (json_int_t)info.n_weights, "bits_before",
                                 info.bits_before, "bits_after", info.bits_after, "relative_error", info.relative_error,
                                 "tensors", tensors);
    if (report)
        json_object_set_new(document, "report",
                            json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f}", "text", report->file, "n_scored",
                                      (json_int_t)report->n_scored, "source_perplexity", report->source_perplexity,
                                      "result_perplexity", report->result_perplexity, "divergence", report->divergence,
                                      "divergence_max", report->divergence_max, "same_top", report->same_top));
    return cli_print_json(document);
}

// ---- the command

static int run_all(const struct quantize_options *o, const char *type)
{
    socle_quantization *q;
    int code = quantize(o, type, &q);
    if (code != SOCLE_OK) return code;
    struct cli_comparison report = { .file = o->report, .n_chunks = o->n_chunks, .session = o->session };
    if (o->report) code = cli_compare(o->in, o->out, &report);
    // The file is made, whatever became of the report.
    int shown = o->json ? show_json(o, q, o->report && code == SOCLE_OK ? &report : NULL)
                        : show(o, q, o->report && code == SOCLE_OK ? &report : NULL);
    socle_quantization_free(q);
    return code == SOCLE_OK ? shown : code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct quantize_options o = { 0 };
    const struct cli_option options[] = {
        { "tensor", 0, CLI_TEXTS, &o.overrides, "PATTERN=TYPE",
          "another format, or 'keep', for matrices whose names match (*, ?); may be given several times, the first "
          "match wins" },
        { "imatrix", 0, CLI_TEXT, &o.imatrix, "FILE", "importances of the weights, from 'socle imatrix'" },
        { "report", 0, CLI_TEXT, &o.report, "TEXT",
          "then compare with the source on this text: perplexity of both, and how far predictions moved" },
        { "chunks", 0, CLI_U32, &o.n_chunks, "N", "at most N windows of that text (default: all)" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "the result as JSON, with every tensor" },
        { "threads", 't', CLI_U32, &o.session.n_threads, "N", "threads (default: one for each processor)" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    const char *operands[3];
    size_t n = 0;
    int code = cli_parse(command, options, argc, argv, operands, 3, &n);
    if (code >= 0) return code;
    if (n < 3)
        return cli_misuse("a source, a name for the result and a type are needed; 'socle quantize --help' lists "
                          "the types");
    o.in = operands[0];
    o.out = operands[1];
    if (strcmp(o.out, "-") == 0) return cli_misuse("the result is a file that is read again: give it a name, not '-'");
    return run_all(&o, operands[2]);
}

const struct cli_command cli_quantize = {
    .name = "quantize",
    .summary = "make a model file smaller",
    .usage = "IN OUT TYPE [options]",
    .examples = "  socle quantize model-f16.gguf model-q4.gguf Q4_K_M\n"
                "  socle imatrix model-f16.gguf text.txt -o model.imatrix.gguf\n"
                "  socle quantize model-f16.gguf model-q4.gguf Q4_K_M \\\n"
                "      --imatrix model.imatrix.gguf --report other.txt\n"
                "  socle quantize a.gguf b.gguf Q4_K_S --tensor 'blk.0.*=Q8_0'\n"
                "\nTypes: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_K, Q5_1, Q5_0,\n"
                "Q4_K_M (the usual choice), Q4_K_S, Q4_K, Q4_1, Q4_0.\n",
    .run = run,
};
