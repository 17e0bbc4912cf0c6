// Messages, colours, progress, signals: how the program talks to a person.
#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"

// Names and texts from files may hold anything: what would steer the terminal is shown escaped.
static void print_error(const char *format, va_list args)
{
    char message[1200];
    vsnprintf(message, sizeof message, format, args);
    fflush(stdout);
    fprintf(stderr, "socle: ");
    cli_put_text(stderr, message, strlen(message), 0);
    fprintf(stderr, "\n");
}

void cli_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(format, args);
    va_end(args);
}

int cli_fail(const socle_error *err)
{
    cli_error("%s", err->message);
    return (int)err->status;
}

int cli_misuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(format, args);
    va_end(args);
    return SOCLE_BAD_ARGUMENT;
}

bool cli_color(FILE *file)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    return isatty(fileno(file)) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

const char *cli_dim(FILE *file) { return cli_color(file) ? "\033[2m" : ""; }
const char *cli_bold(FILE *file) { return cli_color(file) ? "\033[1m" : ""; }
const char *cli_green(FILE *file) { return cli_color(file) ? "\033[32m" : ""; }
const char *cli_reset(FILE *file) { return cli_color(file) ? "\033[0m" : ""; }

int cli_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

const char *cli_bytes(uint64_t n_bytes, char out[16])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)n_bytes;
    size_t unit = 0;
    while (value >= 1024.0 && unit < 6) {
        value /= 1024.0;
        unit++;
    }
    snprintf(out, 16, unit == 0 ? "%.0f %s" : value < 10 ? "%.2f %s" : "%.1f %s", value, units[unit]);
    return out;
}

double cli_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// ---- progress

void cli_progress_begin(struct cli_progress *p, const char *label)
{
    *p = (struct cli_progress){ .label = label, .started = cli_now() };
}

void cli_progress_update(struct cli_progress *p, double done, double total, const char *note)
{
    double now = cli_now(), elapsed = now - p->started;
    if (!isatty(STDERR_FILENO) || elapsed < 0.5 || now - p->shown < 0.1 || total <= 0) return;
    p->shown = now;
    p->visible = true;
    double share = done / total > 1 ? 1 : done / total, left = share > 0 ? elapsed / share - elapsed : 0;
    char bar[41];
    int width = cli_width() < 70 ? 10 : 30, full = (int)(share * width + 0.5);
    for (int i = 0; i < width; i++) bar[i] = i < full ? '#' : '.';
    bar[width] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f%%  %d:%02d left  %s\033[K", p->label, bar, 100 * share, (int)left / 60,
            (int)left % 60, note ? note : "");
    fflush(stderr);
}

void cli_progress_end(struct cli_progress *p)
{
    if (p->visible) fprintf(stderr, "\r\033[K");
    p->visible = false;
}

// ---- signals

static socle_session *volatile current_session;
static volatile sig_atomic_t at_prompt, at_work;
static volatile sig_atomic_t interrupted, ending; // ending: by which signal the program was asked to end

// Ctrl-C stops an answer or a line; a second one before that took effect, or one while nothing can be stopped gently,
// ends the program. SIGTERM and SIGHUP end it, too, but let it leave the terminal and its files in order.
static void on_interrupt(int signal_number)
{
    bool gently = (at_prompt || at_work || current_session) && !(interrupted && signal_number == SIGINT && !at_prompt);
    if (!gently) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    interrupted = 1;
    if (signal_number != SIGINT) ending = signal_number;
    if (current_session) socle_session_cancel(current_session);
}

static void on_bus_error(int signal_number)
{
    (void)signal_number;
    static const char message[] = "\nsocle: a file in use shrank or became unreadable while it was mapped: "
                                  "copy the model to a stable place and start again\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) _exit(SOCLE_IO);
    _exit(SOCLE_BAD_FILE);
}

void cli_signals_install(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup;
    bool kept_alive = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN; // by nohup
    if (!kept_alive) sigaction(SIGHUP, &action, NULL);
    action.sa_handler = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
    // Writing to a closed pipe, or past a file-size limit, then fails like any other write.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void cli_signals_session(socle_session *session)
{
    if (session) interrupted = 0;
    current_session = session;
}

void cli_signals_work(bool working)
{
    if (working) interrupted = 0;
    at_work = working;
}

bool cli_work_stopped(void) { return interrupted != 0; }

void cli_signals_prompt(bool waiting) { at_prompt = waiting; }

int cli_ending(void) { return ending ? 128 + (int)ending : 0; }

bool cli_interrupted(void)
{
    bool was = interrupted != 0;
    interrupted = 0;
    return was;
}
