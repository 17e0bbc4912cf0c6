#include "cli/config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { CONFIG_BYTES = 1 << 20, OPTIONS_MAX = 256 };

struct reader {
    const char *path;
    const struct cli_option *options;
    size_t line;
    size_t seen[OPTIONS_MAX]; // the line on which an option stood; 0: none yet
    bool given[OPTIONS_MAX];  // a CLI_TEXTS option that stands on the command line, which wins
};

static bool is_white(char c) { return c == ' ' || c == '\t'; }

static char *skip_white(char *at)
{
    while (is_white(*at)) at++;
    return at;
}

// Ends a mistake's message with where it is.
__attribute__((format(printf, 2, 3))) static int fail(const struct reader *r, const char *format, ...)
{
    char message[700];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    cli_error("%s:%zu: %s", r->path, r->line, message);
    return SOCLE_BAD_FILE;
}

static int fail_unknown(const struct reader *r, const char *key)
{
    const char *names[OPTIONS_MAX];
    size_t n = 0;
    const char *bare = key + strspn(key, "-"); // a habit from the command line
    for (const struct cli_option *o = r->options; o->name && n < OPTIONS_MAX; o++)
        if (o->help && strcmp(o->name, "config") != 0) names[n++] = o->name;
    const char *meant = cli_suggest(bare, names, n);
    if (meant) return fail(r, "no option is called '%s': did you mean '%s'?", key, meant);
    return fail(r, "no option is called '%s'", key);
}

// A value in quotes, `at` behind the first: takes the marks away in place. Returns what follows, NULL without an end.
static char *unquote(char *at)
{
    char *to = at;
    for (; *at && *at != '"'; at++) {
        if (at[0] == '\\' && (at[1] == '"' || at[1] == '\\')) at++;
        *to++ = *at;
    }
    if (*at != '"') return NULL;
    *to = '\0';
    return at + 1;
}

// Ends a value without quotes at its comment, and takes the white space behind it away.
static void cut(char *value)
{
    char *end = value;
    while (*end && !(*end == '#' && (end == value || is_white(end[-1])))) end++;
    while (end > value && is_white(end[-1])) end--;
    *end = '\0';
}

// Splits "key = value # comment" in place.
static int split(const struct reader *r, char *line, char **key, char **value)
{
    char *equals = strchr(line, '=');
    *key = line;
    if (*line == '[') return fail(r, "expected 'key = value'; there are no sections here");
    if (!equals || equals == line) return fail(r, "expected 'key = value', found '%.60s'", line);
    char *end = equals;
    while (end > line && is_white(end[-1])) end--;
    *value = skip_white(equals + 1);
    *end = '\0';
    if (**value != '"') {
        cut(*value);
        return **value ? -1 : fail(r, "'%s' needs a value (\"\", if it is to be empty)", *key);
    }
    char *rest = unquote(++*value);
    if (!rest) return fail(r, "'%s': the quotes of the value do not end on this line", *key);
    rest = skip_white(rest);
    if (*rest && *rest != '#') return fail(r, "'%s': unexpected '%.40s' behind the value", *key, rest);
    return -1;
}

static int assign_flag(const struct reader *r, const struct cli_option *option, const char *value)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
    for (size_t i = 0; i < 6; i++) {
        if (strcmp(value, words[i]) != 0) continue;
        *(bool *)option->target = i % 2 == 1;
        return -1;
    }
    return fail(r, "'%s': expected yes or no, found '%s'", option->name, value);
}

static int assign(struct reader *r, const char *key, const char *value)
{
    const struct cli_option *option = cli_find_option(r->options, key, strlen(key));
    if (!option) return fail_unknown(r, key);
    size_t i = (size_t)(option - r->options);
    assert(i < OPTIONS_MAX);
    if (strcmp(key, "config") == 0) return fail(r, "a configuration file names no other");
    if (r->seen[i] && option->kind != CLI_TEXTS) return fail(r, "'%s' stands on line %zu already", key, r->seen[i]);
    r->seen[i] = r->line;
    if (option->kind == CLI_FLAG) return assign_flag(r, option, value);
    if (r->given[i]) return -1;
    if (!cli_assign(option, value))
        return fail(r, "'%s': expected %s, found '%s'", key, cli_expected(option->kind), value);
    return -1;
}

static int read_line(struct reader *r, char *line)
{
    char *key = line, *value = line;
    size_t n = strlen(line);
    if (n && line[n - 1] == '\r') line[n - 1] = '\0';
    line = skip_white(line);
    if (*line == '\0' || *line == '#') return -1;
    int code = split(r, line, &key, &value);
    return code >= 0 ? code : assign(r, key, value);
}

static int read_config(struct reader *r, char *text, size_t n_bytes)
{
    static const char mark[] = "\xEF\xBB\xBF"; // that some editors write
    char *at = strncmp(text, mark, 3) == 0 ? text + 3 : text, *end = text + n_bytes;
    int code = -1;
    while (at < end && code < 0) {
        char *feed = memchr(at, '\n', (size_t)(end - at)), *next = feed ? feed + 1 : end;
        r->line++;
        if (feed) *feed = '\0';
        if (strlen(at) != (size_t)((feed ? feed : end) - at)) return fail(r, "a byte of value 0: this is no text");
        code = read_line(r, at);
        at = next;
    }
    return code;
}

// Lists that the command line gave are not added to; and it is going to be read again.
static void forget_given(struct reader *r, const struct cli_option *options)
{
    for (size_t i = 0; options[i].name && i < OPTIONS_MAX; i++) {
        if (options[i].kind != CLI_TEXTS || !options[i].target) continue;
        struct cli_texts *texts = options[i].target;
        r->given[i] = texts->n > 0;
        texts->n = 0;
    }
}

int cli_parse_config(const struct cli_command *command, const struct cli_option *options, int argc, char **argv,
                     const char **operands, size_t max_operands, size_t *n_operands, struct cli_config *config)
{
    // Once to find the file and whatever is wrong without it; again, behind the file, so that the command line wins.
    int code = cli_parse(command, options, argc, argv, operands, max_operands, n_operands);
    const struct cli_option *named = cli_find_option(options, "config", strlen("config"));
    const char *path = named ? *(const char **)named->target : NULL;
    if (code >= 0 || !path) return code;
    socle_error err;
    size_t n_bytes;
    if (sc_read_file(path, CONFIG_BYTES, &config->text, &n_bytes, &err) != SOCLE_OK) return cli_fail(&err);
    struct reader reader = { .path = path, .options = options };
    forget_given(&reader, options);
    code = read_config(&reader, config->text, n_bytes);
    if (code >= 0) return code;
    return cli_parse(command, options, argc, argv, operands, max_operands, n_operands);
}

void cli_config_free(struct cli_config *config)
{
    free(config->text);
    config->text = NULL;
}
