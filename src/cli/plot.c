// socle plot: the picture of a training run.
#include <sys/stat.h>

#include "cli/loss_plot.h"
#include "cli/output.h"

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    const char *out = NULL, *title = NULL, *operands[1];
    size_t n_operands = 0;
    const struct cli_option options[] = {
        { "out", 'o', CLI_TEXT, &out, "FILE", "where the picture goes, an SVG file ('-': standard output)" },
        { "title", 0, CLI_TEXT, &title, "TEXT", "what stands above it (default: the log's name)" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, operands, 1, &n_operands);
    if (code >= 0) return code;
    if (n_operands == 0) return cli_misuse("no log is named: expected the log.jsonl of a training run");
    if (!out) return cli_misuse("-o names the picture to write: socle plot log.jsonl -o loss.svg");
    if (same_file(operands[0], out)) return cli_misuse("%s: is the log itself: give the picture another name", out);
    return cli_loss_plot(operands[0], out, title);
}

const struct cli_command cli_plot = {
    .name = "plot",
    .summary = "draw the losses of a training run",
    .usage = "LOG -o FILE [options]",
    .examples = "  socle plot run/log.jsonl -o loss.svg\n"
                "  socle plot log.jsonl -o loss.svg --title \"Tales, 5M parameters\"\n",
    .run = run,
};
