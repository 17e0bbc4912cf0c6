// socle bench --ops: the same two tests, taken apart by kinds of operations.
//
// Each kind of operation is set beside the limits of the machine: what it read a second beside the read bandwidth,
// what it multiplied a second beside the arithmetic peak. Weights, keys and values count as read once a call;
// activations stay in the caches and are not counted, so operations without weights have no such figures.
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

static int longer_first(const void *a, const void *b)
{
    double x = ((const socle_op_profile *)a)->seconds, y = ((const socle_op_profile *)b)->seconds;
    return (x < y) - (x > y);
}

// Copies out what the session has counted.
static bool collect(const socle_session *session, struct bench_profile *profile)
{
    socle_op_profile op;
    size_t n = 0;
    while (socle_session_profile_at(session, n, &op)) n++;
    profile->ops = calloc(n ? n : 1, sizeof *profile->ops);
    if (!profile->ops) return false;
    for (size_t i = 0; i < n; i++)
        if (socle_session_profile_at(session, i, &op) && op.n_calls) profile->ops[profile->n_ops++] = op;
    qsort(profile->ops, profile->n_ops, sizeof *profile->ops, longer_first);
    return true;
}

static socle_status profile_test(struct bench *b, bool prompt, struct bench_profile *profile, socle_error *err)
{
    uint32_t n = prompt ? b->options->n_prompt : b->options->n_generate, warm_up = prompt || n < 8 ? n : 8;
    struct cli_progress progress;
    double seconds;
    *profile = (struct bench_profile){ .name = prompt ? "prompt" : "generate", .n_tokens = n };
    cli_progress_begin(&progress, prompt ? "Prompt" : "Generation");
    socle_status status = bench_run_once(b, prompt, warm_up, &seconds, err);
    if (status == SOCLE_OK) status = socle_session_profile(b->session, err);
    for (uint32_t r = 0; r < b->options->n_runs && status == SOCLE_OK; r++) {
        cli_progress_update(&progress, r + 1, b->options->n_runs + 1, "");
        status = bench_run_once(b, prompt, n, &seconds, err);
        profile->seconds += seconds;
    }
    cli_progress_end(&progress);
    if (status != SOCLE_OK || collect(b->session, profile)) return status;
    *err = (socle_error){ SOCLE_NO_MEMORY, "not enough memory for a profile" };
    return SOCLE_NO_MEMORY;
}

static double op_seconds(const struct bench_profile *profile)
{
    double seconds = 0.0;
    for (size_t i = 0; i < profile->n_ops; i++) seconds += profile->ops[i].seconds;
    return seconds;
}

// ---- JSON: figures of one run

static json_t *rate(double amount, double seconds)
{
    return amount > 0 && seconds > 0 ? json_real(amount / seconds) : json_null();
}

static json_t *op_json(const struct bench *b, const struct bench_profile *profile, const socle_op_profile *op)
{
    double n = b->options->n_runs;
    bool by_memory = false;
    double least = bench_least_seconds(&b->limits, op->bytes, op->int8_macs, op->f32_macs, &by_memory);
    json_t *object = json_pack("{s:s, s:s, s:s, s:[I, I, I]}", "op", op->op, "weight", op->weight, "format", op->format,
                               "shape", (json_int_t)op->shape[0], (json_int_t)op->shape[1], (json_int_t)op->shape[2]);
    json_t *figures = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o}", "n_calls", (double)op->n_calls / n, "seconds",
        op->seconds / n, "share", op->seconds / profile->seconds, "bytes", op->bytes / n, "int8_macs",
        op->int8_macs / n, "f32_macs", op->f32_macs / n, "bytes_per_second", rate(op->bytes, op->seconds),
        "macs_per_second", rate(op->int8_macs + op->f32_macs, op->seconds), "share_of_limit", rate(least, op->seconds),
        "limit", least > 0 ? json_string(by_memory ? "memory" : "arithmetic") : json_null());
    json_object_update(object, figures);
    json_decref(figures);
    return object;
}

static json_t *profile_json(const struct bench *b, const struct bench_profile *profile)
{
    double n = b->options->n_runs;
    json_t *ops = json_array();
    for (size_t i = 0; i < profile->n_ops; i++) json_array_append_new(ops, op_json(b, profile, &profile->ops[i]));
    return json_pack("{s:s, s:i, s:i, s:f, s:f, s:o}", "name", profile->name, "n_tokens", (int)profile->n_tokens,
                     "depth", (int)b->options->depth, "total_seconds", profile->seconds / n, "outside_seconds",
                     (profile->seconds - op_seconds(profile)) / n, "ops", ops);
}

static int print_json(const struct bench *b, const struct bench_profile *profiles, size_t n_profiles)
{
    json_t *document = bench_head_json(b), *array = json_array();
    for (size_t i = 0; i < n_profiles; i++) json_array_append_new(array, profile_json(b, &profiles[i]));
    json_object_set_new(document, "profiles", array);
    return cli_print_json(document);
}

// ---- for people

// A rate in billions and its share of the limit, or blanks where nothing is counted.
static void put_rate(double amount, double seconds, double limit_seconds, int width)
{
    double billions = seconds > 0 ? amount / seconds / 1e9 : 0;
    if (billions <= 0) printf("%*s", width + 5, "");
    else if (limit_seconds <= 0) printf("%*.*f%5s", width, billions < 10 ? 2 : 1, billions, "");
    else printf("%*.*f %3.0f%%", width, billions < 10 ? 2 : 1, billions, 100 * limit_seconds / seconds);
}

static void print_op(const struct bench *b, const struct bench_profile *profile, const socle_op_profile *op)
{
    const socle_limits *l = &b->limits;
    bool known = l->read_bytes_per_second > 0;
    double n = b->options->n_runs, macs = op->int8_macs + op->f32_macs;
    double reading = known ? op->bytes / l->read_bytes_per_second : 0;
    double multiplying = known ? op->int8_macs / l->int8_macs_per_second + op->f32_macs / l->f32_macs_per_second : 0;
    char name[128];
    int length = snprintf(name, sizeof name, "%s%s%s%s%s", op->op, *op->weight ? " " : "", op->weight,
                          *op->format ? " " : "", op->format);
    cli_put_text(stdout, name, (size_t)length, 33);
    printf("%*s%7.0f%10.3f%6.1f%%", length < 33 ? 33 - length : 0, "", (double)op->n_calls / n, 1e3 * op->seconds / n,
           100 * op->seconds / profile->seconds);
    put_rate(op->bytes, op->seconds, reading, 6);
    put_rate(macs, op->seconds, multiplying, 7);
    puts("");
}

static void print_profile(const struct bench *b, const struct bench_profile *profile)
{
    double n = b->options->n_runs, outside = profile->seconds - op_seconds(profile);
    printf("%s%s %u%s", cli_bold(stdout), profile->name, profile->n_tokens, cli_reset(stdout));
    if (b->options->depth) printf(" @%u", b->options->depth);
    printf(": %.2f tokens/s\n", profile->n_tokens * n / profile->seconds);
    printf("%s%-33s%7s%10s%7s%6s %4s%7s %4s%s\n", cli_dim(stdout), "operation", "calls", "ms", "share", "GB/s", "of",
           "GMAC/s", "of", cli_reset(stdout));
    for (size_t i = 0; i < profile->n_ops; i++) print_op(b, profile, &profile->ops[i]);
    printf("%-40s%10.3f%6.1f%%\n", "outside", 1e3 * outside / n, 100 * outside / profile->seconds);
    printf("%-40s%10.3f\n\n", "all", 1e3 * profile->seconds / n);
}

static void print_profiles(const struct bench *b, const struct bench_profile *profiles, size_t n_profiles)
{
    bench_print_head(b);
    for (size_t i = 0; i < n_profiles; i++) print_profile(b, &profiles[i]);
    printf("%scalls, ms: of one run, the mean of %u. Percentages: of the limits below.%s", cli_dim(stdout),
           b->options->n_runs, cli_reset(stdout));
    bench_print_limits(b);
}

static int profile_tests(struct bench *b, struct bench_profile profiles[2], size_t *n)
{
    socle_error err = { 0 };
    socle_status status = SOCLE_OK;
    if (b->options->n_prompt) status = profile_test(b, true, &profiles[(*n)++], &err);
    if (b->options->n_generate && status == SOCLE_OK) status = profile_test(b, false, &profiles[(*n)++], &err);
    if (status == SOCLE_OK) status = bench_measure_limits(b, &err);
    return status == SOCLE_OK ? SOCLE_OK : cli_fail_evaluation(&err);
}

int bench_ops(struct bench *b)
{
    struct bench_profile profiles[2] = { 0 };
    size_t n = 0;
    struct cli_output svg = { 0 };
    int code = b->options->svg ? cli_output_begin(&svg, b->options->svg) : -1; // refused before the work, not after
    if (code >= 0) return code;
    code = profile_tests(b, profiles, &n);
    if (svg.file) {
        if (code == SOCLE_OK) bench_draw_roofline(svg.file, b, profiles, n);
        code = cli_output_end(&svg, code == SOCLE_OK, code);
    }
    if (code == SOCLE_OK && b->options->json) code = print_json(b, profiles, n);
    else if (code == SOCLE_OK) print_profiles(b, profiles, n);
    for (size_t i = 0; i < n; i++) free(profiles[i].ops);
    return code;
}
