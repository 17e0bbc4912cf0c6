// Configuration files: every option of a command's table may stand in a file.
//
//     # what begins with '#' at the start of a line, or after white space, is a comment
//     port = 8080
//     model = /srv/models/a model.gguf      # values end at the comment or the line
//     system = "with # and \"quotes\""      # in quotes: \" and \\ mean " and \, nothing else is special
//     overcommit = yes                      # options without a value: yes or no (true, false, on, off)
//     stop = END                            # what may be given several times may stand several times
//
// The keys are the options' long names. Unknown keys, keys that stand twice and values of the wrong kind are errors
// that name the file, the line and the nearest key. What stands on the command line wins over the file.
#ifndef SC_CLI_CONFIG_H
#define SC_CLI_CONFIG_H

#include "cli/cli.h"

// The file's text, in which the values of text options lie: it must live as long as they are used.
struct cli_config {
    char *text; // owned; NULL: none
};

// cli_parse for a command that has an option --config: the file that it names, if any, is read first. Zero-initialize
// `config`. The targets of CLI_TEXTS start empty. Returns as cli_parse does, and 3 or 5 for a file that is malformed or
// cannot be read.
int cli_parse_config(const struct cli_command *command, const struct cli_option *options, int argc, char **argv,
                     const char **operands, size_t max_operands, size_t *n_operands, struct cli_config *config);
void cli_config_free(struct cli_config *config);

#endif
