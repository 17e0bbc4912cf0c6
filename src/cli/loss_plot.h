// A picture of a training run, drawn from its log (loss_log.h).
#ifndef SC_CLI_LOSS_PLOT_H
#define SC_CLI_LOSS_PLOT_H

// Draws the log at `log_path` ("-": standard input) as an SVG file at `svg_path` ("-": standard output), which appears
// whole or not at all. title: NULL for the log's name. Returns 0, or the exit code after a message.
int cli_loss_plot(const char *log_path, const char *svg_path, const char *title);

#endif
