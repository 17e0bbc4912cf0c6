// socle run: a conversation, an answer, or a text that goes on.
#include "cli/chat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/size.h"
#include "cli/line_edit.h"
#include "cli/output.h"

struct run_options {
    struct cli_texts adapters;
    const char *model, *prompt, *prompt_file, *system, *cache, *variables, *schema, *regex, *grammar;
    bool json, raw, interactive, hide_thinking, greedy, quiet, no_think;
    struct cli_texts stop, bias;
    uint32_t n_predict;
    socle_sampling sampling;
    socle_session_options session;
    socle_logit_bias biases[32];
};

// The texts of --logit-bias "ID=VALUE".
static int read_biases(struct run_options *o)
{
    for (size_t i = 0; i < o->bias.n; i++) {
        char *end;
        errno = 0;
        long long id = strtoll(o->bias.items[i], &end, 10);
        if (end == o->bias.items[i] || *end != '=' || errno || id < 0 || id > INT32_MAX)
            return cli_misuse("--logit-bias: expected ID=VALUE, found '%s'", o->bias.items[i]);
        const char *value = end + 1;
        float bias = strtof(value, &end);
        if (end == value || *end || bias != bias)
            return cli_misuse("--logit-bias: expected ID=VALUE, found '%s'", o->bias.items[i]);
        o->biases[i] = (socle_logit_bias){ (int32_t)id, bias };
    }
    o->sampling.bias = o->biases;
    o->sampling.n_bias = o->bias.n;
    return -1;
}

static int parse(const struct cli_command *command, struct run_options *o, int argc, char **argv)
{
    const struct cli_option options[] = {
        { "model", 'm', CLI_TEXT, &o->model, "FILE", "the model, a GGUF file (default: the bundled story-teller)" },
        CLI_ADAPTER_OPTION(o->adapters),
        { "prompt", 'p', CLI_TEXT, &o->prompt, "TEXT", "answer this and leave" },
        { "file", 'f', CLI_TEXT, &o->prompt_file, "FILE", "the prompt from a file ('-': standard input)" },
        { "interactive", 'i', CLI_FLAG, &o->interactive, NULL, "go on as a conversation after -p or -f" },
        { "system", 's', CLI_TEXT, &o->system, "TEXT", "the system message" },
        { "raw", 0, CLI_FLAG, &o->raw, NULL, "no chat template: the model goes on with the text" },
        { "predict", 'n', CLI_U32, &o->n_predict, "N", "at most N tokens an answer (default: until it ends)" },
        { "stop", 0, CLI_TEXTS, &o->stop, "TEXT", "end the answer before this text (may be repeated)" },
        { "hide-thinking", 0, CLI_FLAG, &o->hide_thinking, NULL, "do not show a model's reasoning" },
        { "no-think", 0, CLI_FLAG, &o->no_think, NULL, "ask the template not to have the model reason" },
        { "template-inputs", 0, CLI_TEXT, &o->variables, "JSON", "more variables for the chat template, an object" },
        { "quiet", 'q', CLI_FLAG, &o->quiet, NULL, "no closing statistics" },
        { "Form of the answer", 0, CLI_FLAG, NULL, NULL, NULL },
        { "json", 0, CLI_FLAG, &o->json, NULL, "a JSON object" },
        { "schema", 0, CLI_TEXT, &o->schema, "FILE", "JSON that is valid under this JSON Schema" },
        { "regex", 0, CLI_TEXT, &o->regex, "RE", "a text that matches this regular expression, whole" },
        { "grammar", 0, CLI_TEXT, &o->grammar, "FILE", "a text of this GBNF grammar" },
        { "Sampling", 0, CLI_FLAG, NULL, NULL, NULL },
        { "seed", 0, CLI_U64, &o->sampling.seed, "N", "same seed, same text (default: 0)" },
        { "greedy", 0, CLI_FLAG, &o->greedy, NULL, "always the most probable token" },
        { "temperature", 0, CLI_F32, &o->sampling.temperature, "X", "flatter above 1, sharper below (default: 0.8)" },
        { "top-k", 0, CLI_U32, &o->sampling.top_k, "N", "only the N most probable (default: 40; 0: all)" },
        { "top-p", 0, CLI_F32, &o->sampling.top_p, "X", "only those that make up X (default: 0.95)" },
        { "min-p", 0, CLI_F32, &o->sampling.min_p, "X", "only those of X times the best or more (default: 0.05)" },
        { "typical", 0, CLI_F32, &o->sampling.typical_p, "X",
          "only the most typical that make up X (default: 1, off)" },
        { "repeat-penalty", 0, CLI_F32, &o->sampling.repetition_penalty, "X", "against tokens seen (default: 1, off)" },
        { "frequency-penalty", 0, CLI_F32, &o->sampling.frequency_penalty, "X", "the same, by count (default: 0)" },
        { "presence-penalty", 0, CLI_F32, &o->sampling.presence_penalty, "X", "the same, once (default: 0)" },
        { "penalty-last", 0, CLI_U32, &o->sampling.penalty_last_n, "N",
          "tokens that penalties look back on (default: 64)" },
        { "dry", 0, CLI_F32, &o->sampling.dry_multiplier, "X", "against repeated phrases (default: 0, off)" },
        { "dry-base", 0, CLI_F32, &o->sampling.dry_base, "X", "its growth with a phrase's length (default: 1.75)" },
        { "dry-length", 0, CLI_U32, &o->sampling.dry_allowed_length, "N", "phrases up to N are fine (default: 2)" },
        { "logit-bias", 0, CLI_TEXTS, &o->bias, "ID=X", "add X to a token's logit (may be repeated)" },
        { "Machine", 0, CLI_FLAG, NULL, NULL, NULL },
        { "context", 'c', CLI_U32, &o->session.n_context, "N", "positions (default: the model's, at most 8k)" },
        { "batch", 'b', CLI_U32, &o->session.n_batch, "N", "prompt tokens computed together (default: 512)" },
        { "cache", 0, CLI_TEXT, &o->cache, "TYPE", "keys and values as f16 (default), f32 or q8_0" },
        CLI_MACHINE_OPTIONS(o->session),
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, NULL, 0, NULL);
    if (code >= 0) return code;
    if (o->greedy) o->sampling.temperature = 0.0f;
    if (o->prompt && o->prompt_file) return cli_misuse("-p and -f cannot both be given");
    if (o->json + !!o->schema + !!o->regex + !!o->grammar > 1)
        return cli_misuse("only one of --json, --schema, --regex and --grammar can be given");
    code = cli_read_cache(o->cache, &o->session);
    return code >= 0 ? code : read_biases(o);
}

// What answers are held to, if anything.
static int make_constraint(const struct run_options *o, struct cli_chat *chat)
{
    const char *file = o->schema ? o->schema : o->grammar;
    socle_constraint_kind kind = o->json     ? SOCLE_CONSTRAINT_JSON_OBJECT
                                 : o->schema ? SOCLE_CONSTRAINT_SCHEMA
                                 : o->regex  ? SOCLE_CONSTRAINT_REGEX
                                             : SOCLE_CONSTRAINT_GRAMMAR;
    int code = SOCLE_OK;
    socle_error err;
    if (!o->json && !o->regex && !file) return -1;
    size_t n_bytes = o->regex ? strlen(o->regex) : 0;
    char *source = file ? cli_read_text(file, &n_bytes, &code) : NULL;
    if (file && !source) return code;
    socle_status status = socle_constraint_create(chat->model, kind, file ? source : o->regex, n_bytes,
                                                  &chat->constraint, &err);
    free(source);
    if (status == SOCLE_OK) return -1;
    if (file) sc_fail_prefix(&err, "%s", file);
    return cli_fail(&err);
}

static int start(struct run_options *o, struct cli_chat *chat)
{
    int code = SOCLE_OK;
    socle_error err;
    *chat = (struct cli_chat){ .sampling = o->sampling,
                               .n_predict = o->n_predict,
                               .stop = o->stop.items,
                               .n_stop = o->stop.n,
                               .hide_thinking = o->hide_thinking,
                               .quiet = o->quiet };
    chat->model = cli_load_adapted(o->model, &o->adapters, &code);
    if (!chat->model) return code;
    socle_model_describe(chat->model, &chat->info);
    code = make_constraint(o, chat);
    if (code >= 0) return code;
    chat->raw = o->raw || !chat->info.has_template;
    if (chat->raw && o->system)
        return cli_misuse("--system: %s", o->raw ? "--raw uses no chat template" : "this model has no chat template");
    chat->messages = json_array();
    chat->text = strdup("");
    json_error_t problem;
    chat->variables = o->variables ? json_loads(o->variables, 0, &problem) : json_object();
    if (!json_is_object(chat->variables)) return cli_misuse("--template-inputs: expected a JSON object");
    if (o->no_think) json_object_set_new(chat->variables, "enable_thinking", json_false());
    if (o->system && cli_chat_system(chat, o->system) != SOCLE_OK) return SOCLE_BAD_ARGUMENT;
    code = cli_prepare(chat->model, &o->session);
    if (code >= 0) return code;
    if (socle_session_create(chat->model, &o->session, &chat->session, &err) != SOCLE_OK) return cli_fail(&err);
    return -1;
}

static void finish(struct cli_chat *chat)
{
    socle_session_free(chat->session);
    socle_constraint_free(chat->constraint);
    socle_model_free(chat->model);
    json_decref(chat->messages);
    json_decref(chat->variables);
    free(chat->text);
}

// The one-shot prompt: -p, -f, what a pipe brings, or the beginning of a story for the bundled model.
// NULL when there is none (a conversation) or after a failure (*code is then set).
static char *find_prompt(const struct run_options *o, int *code)
{
    size_t n_bytes;
    const char *file = o->prompt_file ? o->prompt_file : !o->prompt && !isatty(STDIN_FILENO) ? "-" : NULL;
    if (o->prompt) return strdup(o->prompt);
    if (!file) return !o->model && !o->interactive ? strdup("Once upon a time") : NULL;
    char *text = cli_read_text(file, &n_bytes, code);
    if (!text) return NULL;
    if (memchr(text, 0, n_bytes)) {
        *code = cli_misuse("%s: holds a NUL byte; a prompt is text", strcmp(file, "-") == 0 ? "standard input" : file);
        free(text);
        return NULL;
    }
    if (n_bytes && text[n_bytes - 1] == '\n') text[n_bytes - 1] = '\0';
    if (*text) return text;
    free(text);
    // A newcomer's `socle run </dev/null` gets the story, too; elsewhere an empty prompt is a mistake.
    if (!o->model && !o->prompt_file) return strdup("Once upon a time");
    *code = cli_misuse("the prompt is empty");
    return NULL;
}

static int answer_once(struct cli_chat *chat, const char *prompt)
{
    if (chat->raw) chat->echo = prompt; // the answer goes on from it
    int code = cli_chat_answer(chat, prompt);
    bool answered = code == SOCLE_OK || code >= 128 || code == SOCLE_CONTEXT_FULL;
    if (!chat->quiet && answered) cli_chat_statistics(chat);
    return code;
}

static void greet(const struct cli_chat *chat)
{
    char size[16];
    fputs(cli_bold(stdout), stdout);
    cli_put_text(stdout, chat->info.name, strlen(chat->info.name), 60);
    printf("%s  %s, %s, %s", cli_reset(stdout), chat->info.family, chat->info.weights,
           cli_bytes(chat->info.n_file_bytes, size));
    printf("\n%s%s /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves.%s\n", cli_dim(stdout),
           chat->raw ? "No chat template: what you type is gone on from." : "Type a message.", cli_reset(stdout));
}

static int converse(struct cli_chat *chat)
{
    struct cli_editor *editor = cli_editor_open();
    if (!editor) return SOCLE_NO_MEMORY;
    char prompt[32], *message;
    snprintf(prompt, sizeof prompt, "\1%s\1> \1%s\1", cli_green(stdout), cli_reset(stdout));
    greet(chat);
    int code = SOCLE_OK;
    for (bool going_on = true; going_on;) {
        enum cli_line got = cli_editor_message(editor, prompt, &message);
        if (got == CLI_LINE_END) break;
        if (got == CLI_LINE_INTERRUPTED) {
            puts("");
            continue;
        }
        if (message[0] == '/') {
            going_on = cli_chat_command(chat, message);
        } else if (*message) {
            code = cli_chat_answer(chat, message);
            if (!chat->quiet && (code == SOCLE_OK || code >= 128 || code == SOCLE_CONTEXT_FULL))
                cli_chat_statistics(chat);
            if (code == SOCLE_IO || cli_ending()) going_on = false;
        }
        free(message);
    }
    cli_editor_close(editor);
    return cli_ending() ? cli_ending() : code == SOCLE_IO ? code : SOCLE_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct run_options o = { .sampling = socle_sampling_defaults() };
    struct cli_chat chat = { 0 };
    int code = parse(command, &o, argc, argv);
    if (code >= 0) return code;
    code = SOCLE_OK;
    char *prompt = find_prompt(&o, &code);
    if (!prompt && code != SOCLE_OK) return code;
    code = start(&o, &chat);
    if (code < 0) {
        code = prompt ? answer_once(&chat, prompt) : SOCLE_OK;
        if (!prompt || (o.interactive && code == SOCLE_OK)) code = converse(&chat);
    }
    finish(&chat);
    free(prompt);
    return code;
}

const struct cli_command cli_run = {
    .name = "run",
    .summary = "answer a prompt, hold a conversation, or go on with a text",
    .usage = "[-m FILE] [-p TEXT] [options]",
    .examples = "  socle run                                      # a story by the bundled model\n"
                "  socle run -m model.gguf                        # a conversation\n"
                "  socle run -m model.gguf -p 'Why is the sky blue?'\n"
                "  git log | socle run -m model.gguf -s 'Summarize this.'\n"
                "  socle run -p 'The wolf said' -n 100 --seed 7   # another story\n"
                "  socle run -m model.gguf -p 'A cat, as JSON' --schema cat.json\n",
    .run = run,
};
