// What the commands share: their list, options, messages, progress bars.
#ifndef SC_CLI_CLI_H
#define SC_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <socle/socle.h>

// ---- commands: one file each, one line in commands.h

struct cli_command {
    const char *name;
    const char *summary;  // one line
    const char *usage;    // after "socle <name> "
    const char *examples; // lines of "  command   # what it does"
    // argv[0] is the command's name. Returns the exit code.
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

const struct cli_command *cli_command_at(size_t i); // NULL past the last

// ---- options

enum cli_kind {
    CLI_FLAG,  // bool: becomes true
    CLI_TEXT,  // const char *
    CLI_U32,   // uint32_t; "8k" and "1M" are understood
    CLI_U64,   // uint64_t
    CLI_F32,   // float
    CLI_TEXTS, // struct cli_texts: may be given several times
};

struct cli_texts {
    const char *items[32];
    size_t n;
};

struct cli_option {
    const char *name; // "model", given as --model; NULL ends the list
    char letter;      // 'm', given as -m; 0: none
    enum cli_kind kind;
    void *target;
    const char *argument; // what --help calls its value: "FILE"; NULL for flags
    const char *help;     // NULL: a heading, its text in `name`
};

// The rows that every command which computes has; `session` is a socle_session_options.
// clang-format off
#define CLI_MACHINE_OPTIONS_OF(n_threads, cpu, overcommit)                                                              \
    { "threads", 't', CLI_U32, &n_threads, "N", "threads (default: one for each processor)" },                          \
    { "cpu", 0, CLI_TEXT, &cpu, "NAME", "instruction-set level ('socle doctor' lists them)" },                          \
    { "overcommit", 0, CLI_FLAG, &overcommit, NULL, "try even if memory seems too small" }
#define CLI_MACHINE_OPTIONS(session)                                                                                    \
    CLI_MACHINE_OPTIONS_OF((session).n_threads, (session).cpu, (session).allow_overcommit)
// clang-format on

// Reads options; what is not one goes to `operands` (at most max_operands). Handles --help.
// Returns -1 to go on, else the exit code: 0 after --help, 2 after a mistake (the message suggests the right name).
int cli_parse(const struct cli_command *command, const struct cli_option *options, int argc, char **argv,
              const char **operands, size_t max_operands, size_t *n_operands);

// Sets the option's target from text; false when the text is not of its kind.
bool cli_assign(const struct cli_option *option, const char *value);

const char *cli_expected(enum cli_kind kind); // what cli_assign expects: "a whole number"

// The row of this name; NULL when there is none.
const struct cli_option *cli_find_option(const struct cli_option *options, const char *name, size_t n_bytes);

// The candidate that `word` was probably meant to be, or NULL.
const char *cli_suggest(const char *word, const char *const *candidates, size_t n);

// ---- messages

// "socle: message" on standard error.
__attribute__((format(printf, 1, 2))) void cli_error(const char *format, ...);
// Prints the error and returns its exit code.
int cli_fail(const socle_error *err);
// The same for a wrong use: exit code 2.
__attribute__((format(printf, 1, 2))) int cli_misuse(const char *format, ...);

// ---- terminal

bool cli_color(FILE *file); // a terminal that may show colours (NO_COLOR and TERM=dumb are honoured)
const char *cli_dim(FILE *file), *cli_bold(FILE *file), *cli_green(FILE *file), *cli_reset(FILE *file); // "" without
int cli_width(void); // columns of the terminal, 80 when unknown

// Sizes for people: "1.23 GiB". Returns `out`.
const char *cli_bytes(uint64_t n_bytes, char out[16]);

// A progress bar with percentage and time left, on standard error, only on a terminal and only after half a second.
struct cli_progress {
    const char *label;
    double started, shown;
    bool visible;
};
void cli_progress_begin(struct cli_progress *progress, const char *label);
void cli_progress_update(struct cli_progress *progress, double done, double total, const char *note);
void cli_progress_end(struct cli_progress *progress); // removes the bar

double cli_now(void); // seconds, monotonic

// ---- shared by several commands

// Turns Ctrl-C (SIGINT) and SIGTERM into socle_session_cancel for `session` (NULL: back to the default), and a mapped
// file that shrinks (SIGBUS) into a message and exit code 3 at any time.
void cli_signals_install(void);
void cli_signals_session(socle_session *session);
void cli_signals_work(bool working); // while long work asks cli_work_stopped, the same signals only make it say yes
bool cli_work_stopped(void);
void cli_signals_prompt(bool waiting); // while a person types, Ctrl-C only interrupts the line
int cli_ending(void);                  // the exit code when SIGTERM or SIGHUP asked the program to end, else 0
bool cli_interrupted(void);            // whether Ctrl-C came since the last call

// Standard input or a file as text the caller frees; NULL after printing an error into *exit_code.
char *cli_read_text(const char *path, size_t *n_bytes, int *exit_code);
// --cache: "f16", "f32", "q8_0", or NULL for the default. -1 to go on, or the exit code after a message.
int cli_read_cache(const char *name, socle_session_options *options);
// How many rows of logits to keep at once: as many as a batch, or what 64 MiB hold.
uint32_t cli_logits_rows(const socle_model *model, uint32_t n_batch);
// Loads the model at `path`; NULL path: the bundled model. NULL after printing an error into *exit_code.
socle_model *cli_load_model(const char *path, int *exit_code);
// The same with adapters, each "FILE" or "FILE=SCALE".
socle_model *cli_load_adapted(const char *path, const struct cli_texts *adapters, int *exit_code);
// Takes "FILE=SCALE" apart, in place: out[texts->n].
void cli_read_adapters(const struct cli_texts *texts, socle_adapter *out);
// The option that commands which load a model share.
#define CLI_ADAPTER_OPTION(texts)                                                                                       \
    { "adapter", 0, CLI_TEXTS, &texts, "FILE[=SCALE]", "a LoRA adapter for it; may be given several times" }
// Prepares the model for a session with these options, behind a progress bar once that takes a second; refuses what
// does not fit into memory. -1 to go on, or the exit code after a message.
int cli_prepare(const socle_model *model, const socle_session_options *session);
// The bundled model's path: SOCLE_TALES, beside the build, or installed; NULL when none is there.
const char *cli_bundled_model(void);

#endif
