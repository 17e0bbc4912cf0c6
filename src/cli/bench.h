// What the files of `socle bench` share: bench.c runs and compares, bench_ops.c takes the time apart by operations,
// bench_roofline.c draws that.
#ifndef SC_CLI_BENCH_H
#define SC_CLI_BENCH_H

#include "cli/output.h"

enum { BENCH_RUNS_MAX = 100 };

struct bench_options {
    const char *model, *cache, *svg;
    uint32_t n_prompt, n_generate, n_runs, depth;
    bool json, no_limits, ops;
    socle_session_options session;
};

// What a token takes, from the model's program.
struct bench_work {
    double token_bytes, token_int8, token_f32;    // for each token
    double logits_bytes, logits_int8, logits_f32; // and for each whose logits are wanted
    double position_bytes;                        // of the cache, for each position before it
};

struct bench_test {
    const char *name;
    uint32_t n_tokens;
    double runs[BENCH_RUNS_MAX], median, least, most; // tokens a second
    double bytes, int8_macs, f32_macs;                // of one run
    double share;                                     // of the limit; 0: not known
    bool limited_by_memory;
};

struct bench {
    const struct bench_options *options;
    socle_session *session;
    socle_model_info info;
    struct bench_work work;
    socle_limits limits; // 0: not measured
    uint32_t n_batch;
    int32_t *tokens;
    struct bench_test tests[2];
    size_t n_tests;
};

// One run: n tokens at once (a prompt) or one by one, behind `depth` positions that are in the session already.
socle_status bench_run_once(struct bench *b, bool prompt, uint32_t n, double *seconds, socle_error *err);

// Measures the limits unless that was not wanted; later calls keep the better figures.
socle_status bench_measure_limits(struct bench *b, socle_error *err);

// The least time that so much reading and multiplying takes on this machine, in seconds (0: not known), and which of
// the two it is.
double bench_least_seconds(const socle_limits *limits, double bytes, double int8_macs, double f32_macs,
                           bool *limited_by_memory);

json_t *bench_head_json(const struct bench *b); // an object that tells model, session and limits
void bench_print_head(const struct bench *b);
void bench_print_limits(const struct bench *b);

// ---- time taken apart by operations

struct bench_profile {
    const char *name;
    uint32_t n_tokens;
    double seconds;        // of all runs
    socle_op_profile *ops; // [n_ops] owned, the longest first; sums over all runs
    size_t n_ops;
};

// Profiles the tests instead of timing them, and prints the result. Returns the exit code.
int bench_ops(struct bench *b);

// Writes an SVG picture of the profiles under the limits, which must have been measured.
void bench_draw_roofline(FILE *file, const struct bench *b, const struct bench_profile *profiles, size_t n_profiles);

#endif
