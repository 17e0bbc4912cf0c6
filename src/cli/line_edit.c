#include "cli/line_edit.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "cli/cli.h"

#ifdef SC_HAVE_LIBEDIT
#include <histedit.h>

struct cli_editor {
    EditLine *edit; // NULL: the input is no terminal
    History *history;
    char *history_path;
    const char *prompt;
};

static char *show_prompt(EditLine *edit)
{
    struct cli_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    return (char *)(uintptr_t)editor->prompt;
}

// $XDG_STATE_HOME/socle/history, its folder made; NULL when there is no home.
static char *find_history(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct sc_buffer path = { 0 };
    if (state && *state == '/') sc_buffer_append_string(&path, state);
    else if (home && *home == '/') sc_buffer_printf(&path, "%s/.local/state", home);
    else return NULL;
    sc_buffer_append_string(&path, "/socle");
    for (size_t i = 1; !path.failed && i <= path.n_bytes; i++) {
        if (path.data[i] != '/' && path.data[i] != '\0') continue;
        char kept = path.data[i];
        path.data[i] = '\0';
        mkdir(path.data, 0700); // what fails here shows when the history is written
        path.data[i] = kept;
    }
    sc_buffer_append_string(&path, "/history");
    return sc_buffer_take(&path);
}

static void start_editing(struct cli_editor *editor)
{
    HistEvent event;
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    editor->edit = el_init("socle", stdin, stdout, stderr);
    editor->history = history_init();
    if (!editor->edit || !editor->history) return;
    history(editor->history, &event, H_SETSIZE, 1000);
    history(editor->history, &event, H_SETUNIQUE, 1);
    editor->history_path = find_history();
    if (editor->history_path) history(editor->history, &event, H_LOAD, editor->history_path);
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_PROMPT_ESC, show_prompt, '\1');
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_HIST, history, editor->history);
    el_set(editor->edit, EL_BIND, "\033[1~", "ed-move-to-beg", NULL);
    el_set(editor->edit, EL_BIND, "\033[4~", "ed-move-to-end", NULL);
    el_set(editor->edit, EL_BIND, "\033[3~", "ed-delete-next-char", NULL);
    el_source(editor->edit, NULL);
}

struct cli_editor *cli_editor_open(void)
{
    struct cli_editor *editor = calloc(1, sizeof *editor);
    if (editor && isatty(STDIN_FILENO)) start_editing(editor);
    return editor;
}

void cli_editor_close(struct cli_editor *editor)
{
    if (!editor) return;
    HistEvent event;
    if (editor->history && editor->history_path) {
        mode_t mask = umask(077);
        history(editor->history, &event, H_SAVE, editor->history_path);
        umask(mask);
    }
    if (editor->history) history_end(editor->history);
    if (editor->edit) el_end(editor->edit);
    free(editor->history_path);
    free(editor);
}

static enum cli_line edit_line(struct cli_editor *editor, const char *prompt, char **line)
{
    int n = 0;
    HistEvent event;
    editor->prompt = prompt;
    cli_interrupted(); // a Ctrl-C that came too late for the last answer is none for this line
    cli_signals_prompt(true);
    const char *text = el_gets(editor->edit, &n);
    cli_signals_prompt(false);
    if (cli_interrupted()) {
        el_reset(editor->edit);
        return cli_ending() ? CLI_LINE_END : CLI_LINE_INTERRUPTED;
    }
    if (!text || n <= 0) return CLI_LINE_END;
    *line = strndup(text, (size_t)n - (text[n - 1] == '\n'));
    if (*line && **line) history(editor->history, &event, H_ENTER, *line);
    return *line ? CLI_LINE : CLI_LINE_END;
}

#else

struct cli_editor {
    void *edit;
};

struct cli_editor *cli_editor_open(void) { return calloc(1, sizeof(struct cli_editor)); }
void cli_editor_close(struct cli_editor *editor) { free(editor); }

static enum cli_line edit_line(struct cli_editor *editor, const char *prompt, char **line)
{
    (void)editor, (void)prompt, (void)line;
    return CLI_LINE_END; // never called: edit is NULL
}

#endif

// Drops the marks that tell libedit which parts of a prompt take no width.
static void print_prompt(const char *prompt)
{
    for (; *prompt; prompt++)
        if (*prompt != '\1') fputc(*prompt, stdout);
    fflush(stdout);
}

enum cli_line cli_editor_read(struct cli_editor *editor, const char *prompt, char **line)
{
    if (editor->edit) return edit_line(editor, prompt, line);
    size_t capacity = 0;
    *line = NULL;
    if (isatty(STDIN_FILENO)) print_prompt(prompt);
    cli_signals_prompt(true);
    ssize_t n = getline(line, &capacity, stdin);
    cli_signals_prompt(false);
    if (n < 0) {
        free(*line);
        clearerr(stdin);
        return cli_interrupted() && !cli_ending() ? CLI_LINE_INTERRUPTED : CLI_LINE_END;
    }
    if (n > 0 && (*line)[n - 1] == '\n') (*line)[n - 1] = '\0';
    return CLI_LINE;
}

static bool is_fence(const char *line) { return strcmp(line, "\"\"\"") == 0; }

enum cli_line cli_editor_message(struct cli_editor *editor, const char *prompt, char **message)
{
    char *line;
    enum cli_line got = cli_editor_read(editor, prompt, &line);
    if (got != CLI_LINE) return got;
    struct sc_buffer text = { 0 };
    bool fenced = is_fence(line);
    for (bool first = true;; first = false) {
        size_t n = strlen(line);
        bool more = fenced ? first || !is_fence(line) : n > 0 && line[n - 1] == '\\';
        if (fenced && !first && more) sc_buffer_printf(&text, "%s%s", text.n_bytes ? "\n" : "", line);
        if (!fenced) sc_buffer_append(&text, line, more ? n - 1 : n);
        if (!fenced && more) sc_buffer_append_char(&text, '\n');
        free(line);
        if (!more) break;
        got = cli_editor_read(editor, "  ", &line);
        if (got == CLI_LINE) continue;
        if (got == CLI_LINE_END && text.n_bytes) break;
        sc_buffer_free(&text);
        return got;
    }
    *message = sc_buffer_take(&text);
    return *message ? CLI_LINE : CLI_LINE_END;
}
