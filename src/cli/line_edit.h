// Reading what a person types: line editing and history where libedit is built in and the input is a terminal.
#ifndef SC_CLI_LINE_EDIT_H
#define SC_CLI_LINE_EDIT_H

#include <stdbool.h>

struct cli_editor;

struct cli_editor *cli_editor_open(void); // reads the history; NULL when memory ran out
void cli_editor_close(struct cli_editor *editor);

enum cli_line { CLI_LINE, CLI_LINE_INTERRUPTED, CLI_LINE_END };

// One line without its newline, freed by the caller, when the answer is CLI_LINE.
enum cli_line cli_editor_read(struct cli_editor *editor, const char *prompt, char **line);

// One message: a line; lines joined while they end in a backslash; or everything between lines of three quotes.
enum cli_line cli_editor_message(struct cli_editor *editor, const char *prompt, char **message);

#endif
