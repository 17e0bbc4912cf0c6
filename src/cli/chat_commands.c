// What a person may type in a conversation besides messages: a table of /commands, and one of parameters.
#include "cli/chat.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

struct slash_command {
    const char *name, *argument, *help;
    bool (*run)(struct cli_chat *chat, const char *argument); // false: leave
};

static bool run_help(struct cli_chat *chat, const char *argument);

static bool run_system(struct cli_chat *chat, const char *argument)
{
    if (chat->raw) {
        cli_misuse("this model has no chat template, so there is no system message");
        return true;
    }
    if (cli_chat_system(chat, argument) != SOCLE_OK) return true;
    puts(*argument ? "The system message is set." : "There is no system message now.");
    return true;
}

static bool run_reset(struct cli_chat *chat, const char *argument)
{
    (void)argument;
    cli_chat_reset(chat);
    puts("The conversation starts anew.");
    return true;
}

static bool run_retry(struct cli_chat *chat, const char *argument)
{
    (void)argument;
    if (cli_chat_retry(chat) != SOCLE_BAD_ARGUMENT && !chat->quiet) cli_chat_statistics(chat);
    return true;
}

static bool run_save(struct cli_chat *chat, const char *argument)
{
    if (!*argument) cli_misuse("/save needs a file's name");
    else if (cli_chat_save(chat, argument) == SOCLE_OK) printf("Saved to %s.\n", argument);
    return true;
}

static bool run_load(struct cli_chat *chat, const char *argument)
{
    if (!*argument) cli_misuse("/load needs a file's name");
    else if (cli_chat_load(chat, argument) == SOCLE_OK)
        printf("Loaded %zu messages from %s.\n", json_array_size(chat->messages), argument);
    return true;
}

static bool run_think(struct cli_chat *chat, const char *argument)
{
    (void)argument;
    chat->hide_thinking = !chat->hide_thinking;
    printf("Reasoning is %s.\n", chat->hide_thinking ? "hidden" : "shown");
    return true;
}

// A sampling parameter that can be shown and set by name.
struct parameter {
    const char *name;
    size_t offset; // in socle_sampling
    enum cli_kind kind;
};

static const struct parameter parameters[] = {
    { "temperature", offsetof(socle_sampling, temperature), CLI_F32 },
    { "top_k", offsetof(socle_sampling, top_k), CLI_U32 },
    { "top_p", offsetof(socle_sampling, top_p), CLI_F32 },
    { "min_p", offsetof(socle_sampling, min_p), CLI_F32 },
    { "typical_p", offsetof(socle_sampling, typical_p), CLI_F32 },
    { "repetition_penalty", offsetof(socle_sampling, repetition_penalty), CLI_F32 },
    { "frequency_penalty", offsetof(socle_sampling, frequency_penalty), CLI_F32 },
    { "presence_penalty", offsetof(socle_sampling, presence_penalty), CLI_F32 },
    { "penalty_last_n", offsetof(socle_sampling, penalty_last_n), CLI_U32 },
    { "dry_multiplier", offsetof(socle_sampling, dry_multiplier), CLI_F32 },
    { "dry_base", offsetof(socle_sampling, dry_base), CLI_F32 },
    { "dry_allowed_length", offsetof(socle_sampling, dry_allowed_length), CLI_U32 },
    { "seed", offsetof(socle_sampling, seed), CLI_U64 },
};

static void print_parameters(const struct cli_chat *chat)
{
    for (size_t i = 0; i < SC_COUNT(parameters); i++) {
        const char *at = (const char *)&chat->sampling + parameters[i].offset;
        printf("  %-20s ", parameters[i].name);
        if (parameters[i].kind == CLI_F32) printf("%g\n", (double)*(const float *)(const void *)at);
        else if (parameters[i].kind == CLI_U32) printf("%u\n", *(const uint32_t *)(const void *)at);
        else printf("%llu\n", (unsigned long long)*(const uint64_t *)(const void *)at);
    }
    printf("  %-20s %u\n", "n_predict", chat->n_predict);
}

static bool set_parameter(struct cli_chat *chat, const char *name, const char *value)
{
    struct cli_option option = { .kind = CLI_U32, .target = &chat->n_predict };
    if (strcmp(name, "n_predict") == 0) return cli_assign(&option, value);
    for (size_t i = 0; i < SC_COUNT(parameters); i++) {
        if (strcmp(name, parameters[i].name) != 0) continue;
        option.kind = parameters[i].kind;
        option.target = (char *)&chat->sampling + parameters[i].offset;
        return cli_assign(&option, value);
    }
    return false;
}

static bool run_params(struct cli_chat *chat, const char *argument)
{
    char name[32], value[32];
    if (!*argument) print_parameters(chat);
    else if (sscanf(argument, "%31s %31s", name, value) != 2 || !set_parameter(chat, name, value))
        cli_misuse("/params NAME VALUE sets one of the parameters that /params shows");
    else printf("%s is %s now.\n", name, value);
    return true;
}

static bool run_quit(struct cli_chat *chat, const char *argument)
{
    (void)chat, (void)argument;
    return false;
}

static const struct slash_command commands[] = {
    { "help", "", "show this", run_help },
    { "system", "TEXT", "set the system message (nothing: remove it)", run_system },
    { "reset", "", "start the conversation anew", run_reset },
    { "retry", "", "answer the last message again, with the next seed", run_retry },
    { "save", "FILE", "write the conversation as JSON", run_save },
    { "load", "FILE", "go on with a saved conversation", run_load },
    { "params", "[NAME VALUE]", "show or set how tokens are chosen", run_params },
    { "think", "", "hide or show reasoning", run_think },
    { "quit", "", "leave (also Ctrl-D)", run_quit },
};

static bool run_help(struct cli_chat *chat, const char *argument)
{
    (void)chat, (void)argument;
    for (size_t i = 0; i < SC_COUNT(commands); i++)
        printf("  /%-7s %-13s %s\n", commands[i].name, commands[i].argument, commands[i].help);
    puts("  A line that ends in \\ goes on; lines between two lines of \"\"\" are one message.\n"
         "  Ctrl-C stops an answer.");
    return true;
}

bool cli_chat_command(struct cli_chat *chat, const char *line)
{
    const char *names[SC_COUNT(commands)];
    size_t n = strcspn(line + 1, " \t");
    const char *argument = line + 1 + n;
    while (isspace((unsigned char)*argument)) argument++;
    for (size_t i = 0; i < SC_COUNT(commands); i++) {
        names[i] = commands[i].name;
        if (strlen(names[i]) == n && strncmp(names[i], line + 1, n) == 0) return commands[i].run(chat, argument);
    }
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)(n > 31 ? 31 : n), line + 1);
    const char *meant = cli_suggest(word, names, SC_COUNT(commands));
    if (meant) cli_misuse("no command is called '/%s': did you mean '/%s'?", word, meant);
    else cli_misuse("no command is called '/%s'; /help lists them", word);
    return true;
}
