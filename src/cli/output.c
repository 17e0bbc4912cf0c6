#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- text

// Length of the UTF-8 character at text, 1 to 4, and its code point; malformed bytes count one by one as U+FFFD.
static size_t next_character(const unsigned char *text, size_t n_bytes, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = text[0] < 0x80             ? 1
               : (text[0] & 0xe0) == 0xc0 ? 2
               : (text[0] & 0xf0) == 0xe0 ? 3
               : (text[0] & 0xf8) == 0xf0 ? 4
                                          : 0;
    *code = n == 1 ? text[0] : n ? text[0] & (0x7fu >> n) : 0;
    for (size_t i = 1; i < n; i++) {
        if (i >= n_bytes || (text[i] & 0xc0) != 0x80) n = 0;
        else *code = *code << 6 | (text[i] & 0x3f);
    }
    if (n && *code >= least[n] && *code <= 0x10ffff) return n;
    *code = 0xfffd;
    return 1;
}

// Line and paragraph separators, and marks that change the direction of text around them.
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f || code == 0xfeff;
}

// One character as it will be shown; returns its columns (each character counts as one).
static size_t show_character(const unsigned char *bytes, size_t n, uint32_t code, char out[16])
{
    if (code == '\n' || code == '\t' || code == '\r')
        return (size_t)snprintf(out, 16, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
    if (is_hidden(code)) return (size_t)snprintf(out, 16, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
    if (code == 0xfffd) n = (size_t)snprintf(out, 16, "\xEF\xBF\xBD");
    else memcpy(out, bytes, n);
    out[n] = '\0';
    return 1;
}

size_t cli_put_text(FILE *out, const char *text, size_t n_bytes, size_t max_columns)
{
    size_t columns = 0;
    for (size_t i = 0, n; i < n_bytes; i += n) {
        uint32_t code;
        char shown[16];
        const unsigned char *at = (const unsigned char *)text + i;
        n = next_character(at, n_bytes - i, &code);
        size_t width = show_character(at, n, code, shown);
        bool last = i + n == n_bytes;
        if (max_columns && columns + width + (last ? 0 : 3) > max_columns) {
            fputs("...", out);
            return columns + 3;
        }
        fputs(shown, out);
        columns += width;
    }
    return columns;
}

void cli_put_wrapped(FILE *out, const char *text, size_t column)
{
    size_t width = column < 60 ? 79 - column : 20;
    while (strlen(text) > width) {
        size_t cut = width;
        while (cut > 0 && text[cut] != ' ') cut--;
        if (cut == 0) cut = width + strcspn(text + width, " "); // a word longer than the line
        cli_put_text(out, text, cut, 0);
        text += cut + (text[cut] == ' ');
        if (*text) fprintf(out, "\n%*s", (int)column, "");
    }
    cli_put_text(out, text, strlen(text), 0);
    fputc('\n', out);
}

// ---- standard output

int cli_fail_io(const char *name, const char *doing)
{
    cli_error("%s: cannot %s: %s", name, doing, strerror(errno));
    return SOCLE_IO;
}

int cli_print_json(json_t *document)
{
    if (!document) {
        cli_error("not enough memory for the JSON document");
        return SOCLE_NO_MEMORY;
    }
    bool written = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(document);
    putchar('\n');
    return written ? SOCLE_OK : cli_check_stdout();
}

int cli_check_stdout(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return SOCLE_OK;
    int why = errno;
    struct pollfd reader = { .fd = STDOUT_FILENO };
    bool gone = why == EPIPE || (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR));
    if (!gone) cli_error("standard output: cannot write%s%s", why ? ": " : "", why ? strerror(why) : "");
    return SOCLE_IO;
}

int cli_fail_evaluation(const socle_error *err)
{
    if (err->status != SOCLE_CANCELLED || !cli_interrupted()) return cli_fail(err);
    cli_error("interrupted");
    return 130;
}

// ---- files

// A temporary file beside `path` (or what it links to), with the permissions that the file has or would get.
static FILE *open_beside(struct cli_output *output, const char *path)
{
    output->target = realpath(path, NULL);
    if (!output->target) output->target = strdup(path);
    size_t size = strlen(output->target ? output->target : "") + sizeof ".XXXXXX";
    output->temporary = malloc(size);
    if (!output->target || !output->temporary) return NULL;
    snprintf(output->temporary, size, "%s.XXXXXX", output->target);
    int descriptor = mkstemp(output->temporary);
    if (descriptor < 0) return NULL;
    mode_t mask = umask(0);
    umask(mask);
    struct stat old;
    fchmod(descriptor, stat(path, &old) == 0 ? old.st_mode & 0777 : 0666 & ~mask);
    FILE *file = fdopen(descriptor, "wb");
    if (file) return file;
    close(descriptor);
    unlink(output->temporary);
    return NULL;
}

int cli_output_begin(struct cli_output *output, const char *path)
{
    *output = (struct cli_output){ .name = path };
    struct stat info;
    if (strcmp(path, "-") == 0) {
        output->name = "standard output";
        output->file = stdout;
        return -1;
    }
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        cli_error("%s: is a directory, expected a file to write", path);
        return SOCLE_IO;
    }
    output->file = exists && !S_ISREG(info.st_mode) ? fopen(path, "wb") : open_beside(output, path);
    if (output->file) return -1;
    int code = cli_fail_io(path, "write");
    free(output->target);
    free(output->temporary);
    return code;
}

int cli_output_end(struct cli_output *output, bool keep, int code)
{
    bool failed = false;
    if (output->file == stdout) return keep && code == SOCLE_OK ? cli_check_stdout() : code;
    errno = 0;
    if (fflush(output->file) != 0 || ferror(output->file)) failed = true;
    if (keep && !failed && output->temporary && fsync(fileno(output->file)) != 0) failed = true;
    int why = errno;
    if (fclose(output->file) != 0 && !failed) {
        failed = true;
        why = errno;
    }
    if (keep && !failed && output->temporary && rename(output->temporary, output->target) != 0) {
        failed = true;
        why = errno;
    }
    if (output->temporary && (failed || !keep)) unlink(output->temporary);
    free(output->target);
    free(output->temporary);
    if (!failed || !keep) return code;
    cli_error("%s: cannot write%s%s", output->name, why ? ": " : "", why ? strerror(why) : "");
    return SOCLE_IO;
}
