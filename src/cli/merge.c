// socle merge: a model with adapters folded into its weights.
#include <string.h>

#include "cli/output.h"

enum { ADAPTERS_MAX = sizeof((struct cli_texts *)NULL)->items / sizeof(const char *) };

static bool show_progress(void *context, const char *tensor, uint64_t done, uint64_t total)
{
    cli_progress_update(context, (double)done, (double)total, tensor);
    return !cli_work_stopped();
}

static void show(const char *out, const socle_adapter_merge_result *r)
{
    char before[16], after[16];
    cli_put_text(stdout, out, strlen(out), 0);
    printf(": %llu of %llu tensors changed\n", (unsigned long long)r->n_changed, (unsigned long long)r->n_tensors);
    printf("  size         %s -> %s\n", cli_bytes(r->n_bytes_before, before), cli_bytes(r->n_bytes_after, after));
    printf("  change       %.3f %% of the changed weights (root mean square)\n", 100.0 * r->change);
    printf("  rounding     %.3f %% of them, by encoding them again\n", 100.0 * r->rounding);
    if (r->n_replaced)
        printf("\n  %llu of them are F16 now: %s cannot be made, or rows do not fill it.\n",
               (unsigned long long)r->n_replaced, r->replaced);
    if (r->rounding > r->change)
        puts("\n  Rounding moved the weights more than the adapters did. To keep all of the\n"
             "  change, merge into the model in F16 or BF16, or give --type Q8_0 or F16.");
}

static int merge(const char *model, const struct cli_texts *texts, const char *out, socle_adapter_merge_options *o)
{
    socle_adapter adapters[ADAPTERS_MAX];
    socle_adapter_merge_result result;
    struct cli_progress progress;
    socle_error err;
    cli_read_adapters(texts, adapters);
    o->on_progress = show_progress;
    o->context = &progress;
    cli_progress_begin(&progress, "Merging");
    cli_signals_work(true);
    socle_status status = socle_adapter_merge(model, adapters, texts->n, out, o, &result, &err);
    cli_signals_work(false);
    cli_progress_end(&progress);
    if (status != SOCLE_OK) return cli_fail_evaluation(&err);
    show(out, &result);
    return SOCLE_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    socle_adapter_merge_options o = { 0 };
    const char *out = NULL, *operands[ADAPTERS_MAX + 1];
    size_t n = 0;
    const struct cli_option options[] = {
        { "out", 'o', CLI_TEXT, &out, "FILE", "where the result goes" },
        { "type", 0, CLI_TEXT, &o.type, "TYPE",
          "a format for the weights that change: F32, F16, BF16, Q8_0, Q6_K, ... (default: each keeps its own)" },
        { "threads", 't', CLI_U32, &o.n_threads, "N", "threads (default: one for each processor)" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, operands, ADAPTERS_MAX + 1, &n);
    if (code >= 0) return code;
    if (n < 2) return cli_misuse("a model and at least one adapter are needed: MODEL ADAPTER[=SCALE]... -o FILE");
    if (!out) return cli_misuse("-o FILE: say where the result goes");
    if (strcmp(out, "-") == 0) return cli_misuse("the result is a file that is mapped: give it a name, not '-'");
    struct cli_texts adapters = { .n = n - 1 };
    memcpy(adapters.items, operands + 1, adapters.n * sizeof *adapters.items);
    return merge(operands[0], &adapters, out, &o);
}

const struct cli_command cli_merge = {
    .name = "merge",
    .summary = "fold adapters into a model's weights",
    .usage = "MODEL ADAPTER[=SCALE]... -o FILE [options]",
    .examples = "  socle merge model-f16.gguf run/adapter.gguf -o merged.gguf\n"
                "  socle quantize merged.gguf merged-q4.gguf Q4_K_M    # smaller, afterwards\n"
                "  socle merge model.gguf style.gguf=0.5 facts.gguf -o both.gguf --type Q8_0\n",
    .run = run,
};
