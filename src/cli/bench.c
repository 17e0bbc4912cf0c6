// socle bench: the speed of a model on this machine, beside what the machine could do.
//
// Two tests: a prompt of n tokens evaluated at once, and n tokens evaluated one by one. Each runs once to warm up (the
// weights come into memory) and then several times. Tokens are pseudo-random: speed does not depend on them.
//
// With --ops the same tests are taken apart instead: bench_ops.c.
//
// A test can take no less time than reading its weights and cache from memory, nor than its multiply-adds, each at the
// speed that the machine was measured at. The larger of the two times is the limit, and the share of it that a test
// reaches is shown. Weights that fit in the caches can be read faster than memory allows.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

// ---- running

// splitmix64 of the index: the same tokens everywhere.
static int32_t random_token(uint64_t i, uint32_t n_vocab)
{
    uint64_t x = i * 0x9e3779b97f4a7c15u + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (int32_t)((x ^ (x >> 31)) % n_vocab);
}

static bool ignore_logits(void *context, size_t i, const float *logits)
{
    (void)context, (void)i, (void)logits;
    return true;
}

socle_status bench_run_once(struct bench *b, bool prompt, uint32_t n, double *seconds, socle_error *err)
{
    socle_session_rewind(b->session, b->options->depth);
    double started = cli_now();
    socle_status status = SOCLE_OK;
    if (prompt) status = socle_evaluate(b->session, b->tokens, n, n - 1, ignore_logits, NULL, err);
    for (uint32_t i = 0; !prompt && i < n && status == SOCLE_OK; i++)
        status = socle_evaluate(b->session, b->tokens + i, 1, 0, ignore_logits, NULL, err);
    *seconds = cli_now() - started;
    return status;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarize(struct bench_test *t, uint32_t n_runs)
{
    double sorted[BENCH_RUNS_MAX];
    memcpy(sorted, t->runs, n_runs * sizeof *sorted);
    qsort(sorted, n_runs, sizeof *sorted, compare_doubles);
    t->least = sorted[0];
    t->most = sorted[n_runs - 1];
    t->median = n_runs % 2 ? sorted[n_runs / 2] : (sorted[n_runs / 2 - 1] + sorted[n_runs / 2]) / 2.0;
}

double bench_least_seconds(const socle_limits *limits, double bytes, double int8_macs, double f32_macs,
                           bool *limited_by_memory)
{
    if (limits->read_bytes_per_second <= 0) return 0.0;
    double reading = bytes / limits->read_bytes_per_second;
    double multiplying = int8_macs / limits->int8_macs_per_second + f32_macs / limits->f32_macs_per_second;
    *limited_by_memory = reading > multiplying;
    return *limited_by_memory ? reading : multiplying;
}

static void compare_with_limits(const struct bench *b, struct bench_test *t, bool prompt)
{
    const struct bench_work *w = &b->work;
    double n = t->n_tokens, n_logits = prompt ? 1 : n;
    double n_reads = prompt ? (double)((t->n_tokens - 1) / b->n_batch + 1) : n; // of the weights
    t->int8_macs = w->token_int8 * n + w->logits_int8 * n_logits;
    t->f32_macs = w->token_f32 * n + w->logits_f32 * n_logits;
    t->bytes = w->token_bytes * n_reads + w->logits_bytes * n_logits;
    if (!prompt) t->bytes += w->position_bytes * n * (b->options->depth + n / 2);
    double least = bench_least_seconds(&b->limits, t->bytes, t->int8_macs, t->f32_macs, &t->limited_by_memory);
    t->share = least * t->median / n;
}

static socle_status run_test(struct bench *b, struct cli_progress *progress, bool prompt, uint32_t n, socle_error *err)
{
    struct bench_test *t = &b->tests[b->n_tests];
    *t = (struct bench_test){ .name = prompt ? "prompt" : "generate", .n_tokens = n };
    uint32_t n_runs = b->options->n_runs, warm_up = prompt || n < 8 ? n : 8;
    double seconds;
    socle_status status = bench_run_once(b, prompt, warm_up, &seconds, err);
    for (uint32_t r = 0; r < n_runs && status == SOCLE_OK; r++) {
        cli_progress_update(progress, r + 1, n_runs + 1, "");
        status = bench_run_once(b, prompt, n, &seconds, err);
        t->runs[r] = (double)n / seconds;
    }
    if (status != SOCLE_OK) return status;
    summarize(t, n_runs);
    b->n_tests++;
    return SOCLE_OK;
}

// Measures the limits, or once more after the tests: a machine that others share may have been slow the first time.
socle_status bench_measure_limits(struct bench *b, socle_error *err)
{
    const struct bench_options *o = b->options;
    socle_limits now;
    if (o->no_limits) return SOCLE_OK;
    socle_status status = socle_measure(o->session.n_threads, o->session.cpu, &now, err);
    if (status != SOCLE_OK) return status;
    b->limits.read_bytes_per_second = fmax(b->limits.read_bytes_per_second, now.read_bytes_per_second);
    b->limits.int8_macs_per_second = fmax(b->limits.int8_macs_per_second, now.int8_macs_per_second);
    b->limits.f32_macs_per_second = fmax(b->limits.f32_macs_per_second, now.f32_macs_per_second);
    return SOCLE_OK;
}

static socle_status run_tests(struct bench *b, socle_error *err)
{
    const struct bench_options *o = b->options;
    struct cli_progress progress;
    cli_progress_begin(&progress, "Prompt");
    socle_status status = SOCLE_OK;
    if (o->n_prompt) status = run_test(b, &progress, true, o->n_prompt, err);
    cli_progress_end(&progress);
    cli_progress_begin(&progress, "Generation");
    if (status == SOCLE_OK && o->n_generate) status = run_test(b, &progress, false, o->n_generate, err);
    cli_progress_end(&progress);
    if (status == SOCLE_OK) status = bench_measure_limits(b, err);
    for (size_t i = 0; i < b->n_tests; i++) compare_with_limits(b, &b->tests[i], o->n_prompt && i == 0);
    return status;
}

// ---- what a token takes

static double number_of(const json_t *document, const char *object, const char *part, const char *name)
{
    const json_t *inner = json_object_get(document, object);
    if (part) inner = json_object_get(inner, part);
    return (double)json_integer_value(json_object_get(inner, name));
}

static int read_work(struct bench *b, const char *path)
{
    char *text;
    socle_error err;
    json_error_t problem;
    if (socle_inspect(path, 0, &text, &err) != SOCLE_OK) return cli_fail(&err);
    json_t *d = json_loads(text, JSON_ALLOW_NUL, &problem);
    socle_free(text);
    if (!d) {
        cli_error("the model's description cannot be read: %s", problem.text);
        return SOCLE_FAILED;
    }
    static const char *const cache_names[] = { "cache_f16", "cache_f32", "cache_q8_0" };
    b->work = (struct bench_work){
        number_of(d, "program", "per_token", "weight_bytes"),
        number_of(d, "program", "per_token", "int8_macs"),
        number_of(d, "program", "per_token", "f32_macs"),
        number_of(d, "program", "per_logits", "weight_bytes"),
        number_of(d, "program", "per_logits", "int8_macs"),
        number_of(d, "program", "per_logits", "f32_macs"),
        number_of(d, "memory", NULL, cache_names[b->options->session.cache]) /
            number_of(d, "memory", NULL, "n_context"),
    };
    json_decref(d);
    return -1;
}

// ---- the result

static json_t *test_json(const struct bench *b, const struct bench_test *t)
{
    json_t *runs = json_array();
    for (uint32_t r = 0; r < b->options->n_runs; r++) json_array_append_new(runs, json_real(t->runs[r]));
    return json_pack("{s:s, s:i, s:i, s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "name", t->name,
                     "n_tokens", (int)t->n_tokens, "depth", (int)b->options->depth, "median", t->median, "least",
                     t->least, "most", t->most, "runs", runs, "bytes", t->bytes, "int8_macs", t->int8_macs, "f32_macs",
                     t->f32_macs, "bytes_per_second", t->bytes / t->n_tokens * t->median, "macs_per_second",
                     (t->int8_macs + t->f32_macs) / t->n_tokens * t->median, "share_of_limit",
                     t->share > 0 ? json_real(t->share) : json_null(), "limit",
                     t->share > 0 ? json_string(t->limited_by_memory ? "memory" : "arithmetic") : json_null());
}

json_t *bench_head_json(const struct bench *b)
{
    const socle_limits *l = &b->limits;
    json_t *limits = json_null();
    if (l->read_bytes_per_second > 0)
        limits = json_pack("{s:f, s:f, s:f}", "read_bytes_per_second", l->read_bytes_per_second, "int8_macs_per_second",
                           l->int8_macs_per_second, "f32_macs_per_second", l->f32_macs_per_second);
    return json_pack("{s:{s:s, s:s, s:s, s:I, s:I}, s:{s:i, s:s}, s:o}", "model", "name", b->info.name, "family",
                     b->info.family, "weights", b->info.weights, "n_parameters", (json_int_t)b->info.n_parameters,
                     "n_bytes", (json_int_t)b->info.n_file_bytes, "session", "n_threads",
                     (int)socle_session_n_threads(b->session), "cpu", socle_session_cpu(b->session), "limits", limits);
}

static int print_json(const struct bench *b)
{
    json_t *document = bench_head_json(b), *tests = json_array();
    for (size_t i = 0; i < b->n_tests; i++) json_array_append_new(tests, test_json(b, &b->tests[i]));
    json_object_set_new(document, "tests", tests);
    return cli_print_json(document);
}

void bench_print_head(const struct bench *b)
{
    char size[16];
    printf("%s", cli_bold(stdout));
    cli_put_text(stdout, b->info.name, strlen(b->info.name), 40);
    printf("%s  %s, %s, %s; %u thread%s, level %s\n\n", cli_reset(stdout), b->info.family, b->info.weights,
           cli_bytes(b->info.n_file_bytes, size), socle_session_n_threads(b->session),
           socle_session_n_threads(b->session) == 1 ? "" : "s", socle_session_cpu(b->session));
}

void bench_print_limits(const struct bench *b)
{
    const socle_limits *l = &b->limits;
    if (l->read_bytes_per_second <= 0) return;
    printf("\nMeasured limits: memory %.1f GB/s, int8 %.1f GMAC/s, f32 %.1f GMAC/s.\n", l->read_bytes_per_second / 1e9,
           l->int8_macs_per_second / 1e9, l->f32_macs_per_second / 1e9);
}

static void explain_limits(const struct bench *b)
{
    bench_print_limits(b);
    if (b->limits.read_bytes_per_second <= 0) return;
    printf("%sof limit: how near to what reading memory, or arithmetic, allows (the slower).%s\n", cli_dim(stdout),
           cli_reset(stdout));
    for (size_t i = 0; i < b->n_tests; i++) {
        if (b->tests[i].share <= 1.0) continue;
        printf("Above 100%%: the weights come from the processor's caches, which are faster.\n");
        break;
    }
}

static void print_table(const struct bench *b)
{
    bench_print_head(b);
    printf("%s%-16s %9s  %-19s %8s %8s  %s%s\n", cli_dim(stdout), "test", "tokens/s", "least - most", "GB/s", "GMAC/s",
           "of limit", cli_reset(stdout));
    for (size_t i = 0; i < b->n_tests; i++) {
        const struct bench_test *t = &b->tests[i];
        char name[32], spread[40];
        int n = snprintf(name, sizeof name, "%s %u", t->name, t->n_tokens);
        if (b->options->depth) snprintf(name + n, sizeof name - (size_t)n, " @%u", b->options->depth);
        snprintf(spread, sizeof spread, "%.2f - %.2f", t->least, t->most);
        printf("%-16s %s%9.2f%s  %-19s %8.2f %8.2f", name, cli_bold(stdout), t->median, cli_reset(stdout), spread,
               t->bytes / t->n_tokens * t->median / 1e9, (t->int8_macs + t->f32_macs) / t->n_tokens * t->median / 1e9);
        if (t->share > 0) printf("  %.0f%% %s", 100 * t->share, t->limited_by_memory ? "memory" : "arith.");
        puts("");
    }
    explain_limits(b);
}

// ---- the command

static int prepare(struct bench *b, const socle_model *model)
{
    const struct bench_options *o = b->options;
    socle_session_options options = o->session;
    uint64_t most = o->n_prompt > o->n_generate ? o->n_prompt : o->n_generate, n = most + o->depth;
    socle_error err;
    if (n > UINT32_MAX) return cli_misuse("-d: so many positions that they cannot be counted");
    if (n > b->info.n_context && b->info.n_context)
        return cli_misuse("%llu positions are needed; the model was made for %u: use a smaller -p, -n or -d",
                          (unsigned long long)n, b->info.n_context);
    options.n_context = (uint32_t)n;
    b->n_batch = options.n_batch ? options.n_batch : 512;
    if (bench_measure_limits(b, &err) != SOCLE_OK) return cli_fail(&err);
    if (socle_session_create(model, &options, &b->session, &err) != SOCLE_OK) return cli_fail(&err);
    b->tokens = malloc(n * sizeof *b->tokens);
    if (!b->tokens) return SOCLE_NO_MEMORY;
    for (uint64_t i = 0; i < n; i++) b->tokens[i] = random_token(i, b->info.n_vocab);
    return -1;
}

static int measure(struct bench *b)
{
    const struct bench_options *o = b->options;
    socle_error err;
    socle_status status = SOCLE_OK;
    if (o->depth) status = socle_evaluate(b->session, b->tokens, o->depth, o->depth, ignore_logits, NULL, &err);
    if (status == SOCLE_OK && o->ops) return bench_ops(b);
    if (status == SOCLE_OK) status = run_tests(b, &err);
    if (status != SOCLE_OK) return cli_fail_evaluation(&err);
    if (o->json) return print_json(b);
    print_table(b);
    return SOCLE_OK;
}

static int bench(const struct bench_options *o)
{
    struct bench b = { .options = o };
    int code = SOCLE_OK;
    socle_model *model = cli_load_model(o->model, &code);
    if (!model) return code;
    socle_model_describe(model, &b.info);
    code = read_work(&b, o->model ? o->model : cli_bundled_model());
    if (code < 0) code = prepare(&b, model);
    if (code < 0) {
        cli_signals_session(b.session);
        code = measure(&b);
        cli_signals_session(NULL);
    }
    free(b.tokens);
    socle_session_free(b.session);
    socle_model_free(model);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct bench_options o = { .n_prompt = 512, .n_generate = 64, .n_runs = 5 };
    const struct cli_option options[] = {
        { "model", 'm', CLI_TEXT, &o.model, "FILE", "the model, a GGUF file (default: the bundled one)" },
        { "prompt", 'p', CLI_U32, &o.n_prompt, "N", "tokens of the prompt (default: 512; 0: leave it out)" },
        { "generate", 'n', CLI_U32, &o.n_generate, "N", "tokens generated (default: 64; 0: leave it out)" },
        { "runs", 'r', CLI_U32, &o.n_runs, "N", "runs of each, after one to warm up (default: 5)" },
        { "depth", 'd', CLI_U32, &o.depth, "N", "positions already in the context (default: 0)" },
        { "ops", 0, CLI_FLAG, &o.ops, NULL, "take the time apart by kinds of operations" },
        { "svg", 0, CLI_TEXT, &o.svg, "FILE", "with --ops: draw them as a roofline" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "the result as JSON" },
        { "no-limits", 0, CLI_FLAG, &o.no_limits, NULL, "do not measure the machine first" },
        { "batch", 'b', CLI_U32, &o.session.n_batch, "N", "prompt tokens computed together (default: 512)" },
        { "cache", 0, CLI_TEXT, &o.cache, "TYPE", "keys and values as f16 (default) or f32" },
        CLI_MACHINE_OPTIONS(o.session),
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, NULL, 0, NULL);
    if (code >= 0) return code;
    code = cli_read_cache(o.cache, &o.session);
    if (code >= 0) return code;
    if (o.n_runs < 1 || o.n_runs > BENCH_RUNS_MAX)
        return cli_misuse("--runs: expected 1 to %d, found %u", BENCH_RUNS_MAX, o.n_runs);
    if (o.svg && (!o.ops || o.no_limits)) return cli_misuse("--svg needs --ops, and limits to draw");
    if (!o.n_prompt && !o.n_generate) return cli_misuse("-p 0 and -n 0 leave nothing to measure");
    return bench(&o);
}

const struct cli_command cli_bench = {
    .name = "bench",
    .summary = "measure the speed of a model, beside what this machine could do",
    .usage = "[-m FILE] [options]",
    .examples = "  socle bench                          # the bundled model\n"
                "  socle bench -m model.gguf -p 128 -n 32 -r 3\n"
                "  socle bench -m model.gguf -d 4k      # with 4096 positions behind it\n"
                "  socle bench -m model.gguf --ops --svg roofline.svg\n"
                "  socle bench -m model.gguf -t 1 --cpu avx2 --json\n",
    .run = run,
};
