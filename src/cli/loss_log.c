#include "cli/loss_log.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

// No training comes near, and whole numbers up to here are exact.
static const double number_most = 1e15;

struct reading {
    struct cli_loss_log *log;
    const char *name;
    unsigned long long line;
    double seconds_before, seconds_last; // of earlier sessions; of this one so far
    socle_error *err;
};

// Makes room for one more item after n. Sizes double.
static socle_status grow(void **items, size_t n, size_t item_bytes, socle_error *err)
{
    if (n & (n - 1)) return SOCLE_OK; // room is a power of two
    size_t n_bytes = (n ? 2 * n : 1) * item_bytes;
    void *more = realloc(*items, n_bytes);
    if (!more) return sc_fail_memory(err, n_bytes, "the log's steps");
    *items = more;
    return SOCLE_OK;
}

// *value stays what it was where the row has no such key.
static socle_status read_number(const struct reading *r, const json_t *row, const char *key, double *value)
{
    const json_t *item = json_object_get(row, key);
    if (!item) return SOCLE_OK;
    double number = json_number_value(item);
    if (!json_is_number(item) || fabs(number) > number_most)
        return sc_fail(r->err, SOCLE_BAD_FILE, "%s: line %llu: \"%s\" is not a number of a usual size", r->name,
                       r->line, key);
    *value = number;
    return SOCLE_OK;
}

static socle_status add_step(struct reading *r, const json_t *row, double step)
{
    struct cli_loss_log *log = r->log;
    struct cli_loss_step new = { .step = step };
    double seconds = r->seconds_last;
    SC_TRY(read_number(r, row, "loss", &new.loss));
    SC_TRY(read_number(r, row, "rate", &new.rate));
    SC_TRY(read_number(r, row, "tokens", &log->n_tokens));
    SC_TRY(read_number(r, row, "seconds", &seconds));
    if (seconds < r->seconds_last) r->seconds_before += r->seconds_last;
    r->seconds_last = seconds;
    while (log->n_steps && log->steps[log->n_steps - 1].step >= step) log->n_steps--;
    SC_TRY(grow((void **)&log->steps, log->n_steps, sizeof new, r->err));
    log->steps[log->n_steps++] = new;
    return SOCLE_OK;
}

static socle_status add_evaluation(struct reading *r, const json_t *row, double step)
{
    struct cli_loss_log *log = r->log;
    struct cli_evaluation new = { .step = step };
    SC_TRY(read_number(r, row, "held_out", &new.loss));
    SC_TRY(read_number(r, row, "held_out_per_byte", &new.loss_per_byte));
    while (log->n_evaluations && log->evaluations[log->n_evaluations - 1].step >= step) log->n_evaluations--;
    SC_TRY(grow((void **)&log->evaluations, log->n_evaluations, sizeof new, r->err));
    log->evaluations[log->n_evaluations++] = new;
    return SOCLE_OK;
}

static socle_status read_row(struct reading *r, const json_t *row)
{
    bool is_step = json_object_get(row, "loss"), is_evaluation = json_object_get(row, "held_out");
    double step = -1;
    if (!json_is_object(row))
        return sc_fail(r->err, SOCLE_BAD_FILE, "%s: line %llu: expected a JSON object", r->name, r->line);
    if (!is_step && !is_evaluation) return SOCLE_OK;
    SC_TRY(read_number(r, row, "step", &step));
    if (step < 0 || step != floor(step))
        return sc_fail(r->err, SOCLE_BAD_FILE, "%s: line %llu: expected the number of a step in \"step\"", r->name,
                       r->line);
    if (is_step) SC_TRY(add_step(r, row, step));
    if (is_evaluation) SC_TRY(add_evaluation(r, row, step));
    return SOCLE_OK;
}

static socle_status read_line(struct reading *r, const char *text, size_t n_bytes, bool is_whole)
{
    json_error_t problem;
    if (strspn(text, " \t\r\n") >= n_bytes) return SOCLE_OK;
    json_t *row = json_loadb(text, n_bytes, JSON_ALLOW_NUL, &problem);
    if (!row && !is_whole) return SOCLE_OK;
    if (!row)
        return sc_fail(r->err, SOCLE_BAD_FILE, "%s: line %llu, column %d: %s", r->name, r->line, problem.column,
                       problem.text);
    socle_status status = read_row(r, row);
    json_decref(row);
    return status;
}

socle_status cli_loss_log_read(struct cli_loss_log *log, const char *name, const char *text, size_t n_bytes,
                               socle_error *err)
{
    struct reading r = { .log = log, .name = name, .err = err };
    *log = (struct cli_loss_log){ 0 };
    for (size_t at = 0, end; at < n_bytes; at = end) {
        const char *feed = memchr(text + at, '\n', n_bytes - at);
        end = feed ? (size_t)(feed - text) + 1 : n_bytes;
        r.line++;
        SC_TRY(read_line(&r, text + at, end - at, feed));
    }
    log->seconds = r.seconds_before + r.seconds_last;
    if (log->n_steps == 0)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: %s: expected lines such as {\"step\":1,\"loss\":9.2}", name,
                       n_bytes ? "has no step of a training run" : "is empty");
    return SOCLE_OK;
}

void cli_loss_log_free(struct cli_loss_log *log)
{
    free(log->steps);
    free(log->evaluations);
    *log = (struct cli_loss_log){ 0 };
}
