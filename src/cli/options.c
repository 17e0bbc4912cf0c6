// Command-line options from a table: parsing, --help, and suggestions for what was mistyped.
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

enum { WORD_MAX = 40 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

// Edit distance (Levenshtein) of words cut at WORD_MAX.
static size_t distance(const char *a, const char *b)
{
    size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX), row[WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t up = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = up;
        }
    }
    return row[m];
}

const char *cli_suggest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 2 < 3 ? strlen(word) / 2 + 1 : 4;
    for (size_t i = 0; i < n; i++) {
        bool begins = strlen(word) >= 2 && strncmp(word, candidates[i], strlen(word)) == 0;
        size_t d = begins ? 0 : distance(word, candidates[i]);
        bool shorter = best && d == 0 && best_distance == 0 && strlen(candidates[i]) < strlen(best);
        if (d >= best_distance && !shorter) continue;
        best_distance = d;
        best = candidates[i];
    }
    return best;
}

enum { HELP_COLUMN = 27 };

// The help starts on a line of its own where the left side is long.
static void print_option(const struct cli_option *option)
{
    char left[64];
    int n = option->letter ? snprintf(left, sizeof left, "  -%c, --%s", option->letter, option->name)
                           : snprintf(left, sizeof left, "      --%s", option->name);
    if (option->argument) n += snprintf(left + n, sizeof left - (size_t)n, " %s", option->argument);
    printf("%s", left);
    if (n >= HELP_COLUMN - 1) printf("\n%*s", HELP_COLUMN, "");
    else printf("%*s", HELP_COLUMN - n, "");
    cli_put_wrapped(stdout, option->help, HELP_COLUMN);
}

static void print_help(const struct cli_command *command, const struct cli_option *options)
{
    printf("socle %s: %s\n\nUsage: socle %s %s\n", command->name, command->summary, command->name, command->usage);
    printf("\n%sOptions%s\n", cli_bold(stdout), cli_reset(stdout));
    for (; options->name; options++) {
        if (options->help) print_option(options);
        else printf("\n%s%s%s\n", cli_bold(stdout), options->name, cli_reset(stdout));
    }
    printf("%-*s%s\n", HELP_COLUMN, "  -h, --help", "show this help");
    printf("\n%sExamples%s\n%s", cli_bold(stdout), cli_reset(stdout), command->examples);
    printf("\nExit codes are listed by 'socle --help'.\n");
}

// "4096", "8k" (times 1024), "1M".
static bool read_whole(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)*text)) return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = *end == 'k' || *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    if (shift) end++;
    if (errno || *end || value > max >> shift) return false;
    *out = (uint64_t)value << shift;
    return true;
}

static bool read_float(const char *text, float *out)
{
    char *end;
    *out = strtof(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

bool cli_assign(const struct cli_option *option, const char *value)
{
    uint64_t whole;
    switch (option->kind) {
    case CLI_FLAG: *(bool *)option->target = true; return true;
    case CLI_TEXT: *(const char **)option->target = value; return true;
    case CLI_U32:
        if (!read_whole(value, UINT32_MAX, &whole)) return false;
        *(uint32_t *)option->target = (uint32_t)whole;
        return true;
    case CLI_U64: return read_whole(value, UINT64_MAX, (uint64_t *)option->target);
    case CLI_F32: return read_float(value, option->target);
    case CLI_TEXTS: {
        struct cli_texts *texts = option->target;
        if (texts->n == sizeof texts->items / sizeof texts->items[0]) return false;
        texts->items[texts->n++] = value;
        return true;
    }
    }
    return false;
}

const struct cli_option *cli_find_option(const struct cli_option *options, const char *name, size_t n)
{
    for (; options->name; options++)
        if (options->help && strlen(options->name) == n && strncmp(options->name, name, n) == 0) return options;
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *options, char letter)
{
    for (; options->name; options++)
        if (options->help && options->letter == letter) return options;
    return NULL;
}

static int fail_unknown(const struct cli_command *command, const struct cli_option *options, const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (; options->name && n < 64; options++)
        if (options->help) names[n++] = options->name;
    const char *meant = word[1] == '-' ? cli_suggest(word + 2, names, n) : NULL;
    if (meant) return cli_misuse("no option is called '%s': did you mean '--%s'?", word, meant);
    return cli_misuse("no option is called '%s'; 'socle %s --help' lists them", word, command->name);
}

const char *cli_expected(enum cli_kind kind)
{
    return kind == CLI_F32     ? "a number"
           : kind == CLI_TEXTS ? "fewer of these"
           : kind == CLI_U32   ? "a whole number up to 4294967295"
                               : "a whole number";
}

int cli_parse(const struct cli_command *command, const struct cli_option *options, int argc, char **argv,
              const char **operands, size_t max_operands, size_t *n_operands)
{
    size_t n = 0;
    bool only_operands = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            if (n == max_operands)
                return cli_misuse("unexpected '%s'; 'socle %s --help' explains", word, command->name);
            operands[n++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_operands = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(command, options);
            return SOCLE_OK;
        }
        const struct cli_option *option;
        if (word[1] == '-') {
            size_t n_name = strcspn(word + 2, "=");
            option = cli_find_option(options, word + 2, n_name);
            if (word[2 + n_name] == '=') value = word + 2 + n_name + 1;
        } else {
            option = find_letter(options, word[1]);
            if (word[2]) value = word + 2;
        }
        if (!option) return fail_unknown(command, options, word);
        if (option->kind == CLI_FLAG && value) return cli_misuse("--%s takes no value", option->name);
        if (option->kind != CLI_FLAG && !value && i + 1 < argc) value = argv[++i];
        if (option->kind != CLI_FLAG && !value)
            return cli_misuse("--%s needs a value: %s", option->name, option->argument);
        if (!cli_assign(option, value))
            return cli_misuse("--%s: expected %s, found '%s'", option->name, cli_expected(option->kind), value);
    }
    if (n_operands) *n_operands = n;
    return -1;
}
