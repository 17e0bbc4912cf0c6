// What `socle train` and `socle finetune` share: their options, and a run with what is shown of it.
#ifndef SC_CLI_TRAINING_H
#define SC_CLI_TRAINING_H

#include "cli/config.h"

// The options as they are read; cli_training_settle makes socle_train_options of them.
struct cli_training {
    socle_train_options train;
    const char *config;
    struct cli_texts data, held_out;
    const char *format, *optimizer, *schedule, *activations, *long_examples;
    uint32_t memory_mib;
    bool resume, verify, dry_run, json;
    uint64_t from, to; // of verify; UINT64_MAX: the first, the last
};

void cli_training_init(struct cli_training *t);

// clang-format off
#define CLI_TRAINING_DATA_OPTIONS(t)                                                                                    \
    { "data", 'd', CLI_TEXTS, &(t).data, "FILE", "what is learnt; may be given several times" },                        \
    { "format", 0, CLI_TEXT, &(t).format, "KIND", "of the data: text, jsonl, chat, preference" },                       \
    { "field", 0, CLI_TEXT, &(t).train.field, "NAME", "jsonl: the key of the text (default: text)" },                   \
    { "separator", 0, CLI_TEXT, &(t).train.separator, "LINE", "text: a line like this ends a document" },               \
    { "lines", 0, CLI_U32, &(t).train.lines, "N", "text: a document is so many lines" },                                \
    { "held-out", 0, CLI_TEXTS, &(t).held_out, "FILE", "data to measure on, not to learn" },                            \
    { "holdout-every", 0, CLI_U32, &(t).train.holdout_every, "N", "or hold out one document in N" },                    \
    { "holdout-first", 0, CLI_U32, &(t).train.holdout_first, "K", "of these, number K, counted from 0" },               \
    { "long", 0, CLI_TEXT, &(t).long_examples, "WHAT", "too long conversations: fail (default), skip, cut" }

#define CLI_TRAINING_STEP_OPTIONS(t)                                                                                    \
    { "steps", 's', CLI_U64, &(t).train.n_steps, "N", "steps (default: 1000)" },                                        \
    { "batch", 'b', CLI_U32, &(t).train.n_windows, "N", "windows computed together (default: 8)" },                     \
    { "accumulate", 0, CLI_U32, &(t).train.n_accumulate, "N", "batches of a step (default: 1)" },                       \
    { "optimizer", 0, CLI_TEXT, &(t).optimizer, "NAME", "adamw (default), or muon for the matrices inside" },           \
    { "rate", 0, CLI_F32, &(t).train.rate, "R", "learning rate at its peak" },                                          \
    { "schedule", 0, CLI_TEXT, &(t).schedule, "NAME", "cosine (default), wsd, constant" },                              \
    { "warmup", 0, CLI_U64, &(t).train.n_warmup, "N", "steps up to the peak" },                                         \
    { "decay-steps", 0, CLI_U64, &(t).train.n_decay, "N", "wsd: the last N steps fall" },                               \
    { "rate-end", 0, CLI_F32, &(t).train.rate_end, "SHARE", "of the peak, at the end (default: 0.1)" },                 \
    { "weight-decay", 0, CLI_F32, &(t).train.weight_decay, "X", "of matrices" },                                        \
    { "beta1", 0, CLI_F32, &(t).train.beta1, "X", "AdamW (default: 0.9)" },                                             \
    { "beta2", 0, CLI_F32, &(t).train.beta2, "X", "AdamW (default: 0.95)" },                                            \
    { "eps", 0, CLI_F32, &(t).train.eps, "X", "AdamW (default: 1e-8)" },                                                \
    { "momentum", 0, CLI_F32, &(t).train.momentum, "X", "Muon (default: 0.95)" },                                       \
    { "clip", 0, CLI_F32, &(t).train.clip, "X", "greatest norm of the gradient (default: 1; 0: any)" },                 \
    { "seed", 0, CLI_U64, &(t).train.seed, "N", "of everything random (default: 1)" },                                  \
    { "activations", 0, CLI_TEXT, &(t).activations, "TYPE", "kept for the walk backwards: f32 (default), bf16" },       \
    { "memory", 0, CLI_U32, &(t).memory_mib, "MIB", "for activations: the rest is computed again" }

#define CLI_TRAINING_RUN_OPTIONS(t)                                                                                     \
    { "evaluate-every", 0, CLI_U64, &(t).train.evaluate_every, "N", "steps between looks at held-out data" },           \
    { "evaluate-tokens", 0, CLI_U64, &(t).train.evaluate_tokens, "N", "of it, at most (default: all)" },                \
    { "patience", 0, CLI_U64, &(t).train.patience, "N", "end after N looks without a better one" },                     \
    { "save-every", 0, CLI_U64, &(t).train.save_every, "N", "steps between checkpoints (default: 200)" },               \
    { "keep", 0, CLI_U64, &(t).train.n_keep, "N", "newest checkpoints kept beside the first (default: 2; 0: all)" },    \
    { "sample-every", 0, CLI_U64, &(t).train.sample_every, "N", "steps between texts that the model writes" },          \
    { "sample-prompt", 0, CLI_TEXT, &(t).train.sample_prompt, "TEXT", "how they begin" },                               \
    { "sample-tokens", 0, CLI_U32, &(t).train.n_sample_tokens, "N", "how long they are (default: 100)" },               \
    { "out", 'o', CLI_TEXT, &(t).train.folder, "FOLDER", "of the run: checkpoints, log, result" },                      \
    { "name", 0, CLI_TEXT, &(t).train.name, "TEXT", "of the result" },                                                  \
    { "license", 0, CLI_TEXT, &(t).train.license, "TEXT", "of the result" },                                            \
    { "resume", 0, CLI_FLAG, &(t).resume, NULL, "go on from the folder's newest checkpoint" },                          \
    { "dry-run", 0, CLI_FLAG, &(t).dry_run, NULL, "say what it takes, in memory and time; write nothing" },             \
    { "verify", 0, CLI_FLAG, &(t).verify, NULL, "repeat the steps between two checkpoints, compare every bit" },        \
    { "from", 0, CLI_U64, &(t).from, "STEP", "verify: from this checkpoint (default: the first)" },                     \
    { "to", 0, CLI_U64, &(t).to, "STEP", "verify: up to this one (default: the last)" },                                \
    { "json", 0, CLI_FLAG, &(t).json, NULL, "dry-run and the end as JSON" },                                            \
    { "config", 0, CLI_TEXT, &(t).config, "FILE", "options as 'name = value', as the operand" },                        \
    CLI_MACHINE_OPTIONS_OF((t).train.n_threads, (t).train.cpu, (t).train.overcommit)
// clang-format on

// Reads the command line and the configuration that it names, as its operand or by --config. Returns as cli_parse does.
int cli_training_parse(const struct cli_command *command, const struct cli_option *options, int argc, char **argv,
                       struct cli_training *t, struct cli_config *config);
// Runs what was asked for: the training, a dry run, a verification. Returns the exit code.
int cli_training_run(struct cli_training *t);

#endif
