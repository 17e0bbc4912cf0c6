// The log of a training run, JSON Lines:
//
//   a step          {"step":12,"loss":3.61,"rate":0.00012,"norm":0.83,"tokens":49152,"seconds":3.2}
//   an evaluation   {"step":50,"held_out":3.71,"held_out_per_byte":1.09}
//
// Losses are nats a token. "tokens" counts from the start of the run, "seconds" from the start of the session. Other
// objects, samples and events, are passed over. A run that went on from a checkpoint may repeat steps: what was written
// last holds.
#ifndef SC_CLI_LOSS_LOG_H
#define SC_CLI_LOSS_LOG_H

#include <stddef.h>

#include <socle/error.h>

struct cli_loss_step {
    double step, loss, rate; // rate 0 where the log has none
};

struct cli_evaluation {
    double step, loss, loss_per_byte; // held out; per_byte 0 where the log has none
};

struct cli_loss_log {
    struct cli_loss_step *steps; // ascending, at least one
    struct cli_evaluation *evaluations;
    size_t n_steps, n_evaluations;
    double n_tokens, seconds; // 0 where the log has none
};

// Reads a log from text. A last line that was cut off (no line feed, and no JSON) is passed over. `name` is for
// messages, which name the line: SOCLE_BAD_FILE for a malformed line or a log without a step, SOCLE_NO_MEMORY.
// The caller frees the log, also after a failure.
socle_status cli_loss_log_read(struct cli_loss_log *log, const char *name, const char *text, size_t n_bytes,
                               socle_error *err);
void cli_loss_log_free(struct cli_loss_log *log); // fine on a zeroed one

#endif
