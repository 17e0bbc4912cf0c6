// The socle program: picks the command.
#include "cli/cli.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

#define CLI_COMMAND(name) extern const struct cli_command cli_##name;
#include "cli/commands.h"
#undef CLI_COMMAND

#define CLI_COMMAND(name) &cli_##name,
static const struct cli_command *const commands[] = {
#include "cli/commands.h"
};
#undef CLI_COMMAND

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const struct cli_command *cli_command_at(size_t i) { return i < N_COMMANDS ? commands[i] : NULL; }

static void print_help(FILE *out)
{
    fprintf(out, "%sSocle%s %s: run open-weight language models on the machines you own.\n\n", cli_bold(out),
            cli_reset(out), socle_version());
    fprintf(out, "Usage: socle <command> [options]\n\n%sCommands%s\n", cli_bold(out), cli_reset(out));
    for (size_t i = 0; i < N_COMMANDS; i++) fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\nsocle <command> --help explains one, with examples.\n\n%sExamples%s\n", cli_bold(out),
            cli_reset(out));
    fprintf(out, "  socle run                       # a story by the bundled model\n"
                 "  socle run -m model.gguf         # a conversation\n"
                 "  socle doctor                    # what this machine can run\n\n");
    fprintf(out, "%sExit codes%s\n  ", cli_bold(out), cli_reset(out));
    for (int status = 0; status <= SOCLE_TIMEOUT; status++)
        fprintf(out, "%d %s%s", status, socle_status_name((socle_status)status),
                status == 5                ? "\n  "
                : status < SOCLE_TIMEOUT ? ", "
                                           : "; 130 interrupted\n");
}

// A program may be started with some of its first three files closed. The next file it opens would take that place and
// get what was meant for a person; a file that cannot be written stands in instead, so that writing fails as it should.
static void fill_standard_files(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++)
        if (fcntl(file, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) return;
}

int main(int argc, char **argv)
{
    fill_standard_files();
    cli_signals_install();
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? SOCLE_BAD_ARGUMENT : cli_check_stdout();
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("socle %s\n", socle_version());
        return cli_check_stdout();
    }
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->name;
        if (strcmp(argv[1], names[i]) != 0) continue;
        int code = commands[i]->run(commands[i], argc - 1, argv + 1);
        // Output that could not be written (a full disk, a closed pipe) is a failure, not silence.
        return code == SOCLE_OK ? cli_check_stdout() : code;
    }
    const char *meant = cli_suggest(argv[1], names, N_COMMANDS);
    if (meant) return cli_misuse("no command is called '%s': did you mean '%s'?", argv[1], meant);
    return cli_misuse("no command is called '%s'; 'socle --help' lists them", argv[1]);
}
