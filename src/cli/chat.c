#include "cli/chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "cli/output.h"
#include "text/answer.h"

// An answer on its way to the terminal.
struct stream {
    struct cli_chat *chat;
    struct sc_answer reader;
    struct cli_progress progress;
    struct sc_buffer answer; // without the reasoning
    bool thinking, failed;
};

static void set_thinking(struct stream *s, bool thinking)
{
    if (s->thinking == thinking) return;
    s->thinking = thinking;
    if (s->chat->hide_thinking) return;
    fputs(thinking ? cli_dim(stdout) : cli_reset(stdout), stdout);
    if (!thinking) fputs("\n\n", stdout);
}

static void show(void *context, const char *text, size_t n_bytes, bool thinking)
{
    struct stream *s = context;
    set_thinking(s, thinking);
    if (!thinking) sc_buffer_append(&s->answer, text, n_bytes);
    if (!thinking || !s->chat->hide_thinking) fwrite(text, 1, n_bytes, stdout);
}

static void on_event(void *context, const struct sc_answer_event *event)
{
    show(context, event->text, event->n_bytes, event->kind == SC_ANSWER_REASONING);
}

static bool on_text(void *context, const char *text, size_t n_bytes)
{
    struct stream *s = context;
    cli_progress_end(&s->progress);
    if (s->chat->raw) show(s, text, n_bytes, false);
    else sc_answer_push(&s->reader, text, n_bytes, on_event, s);
    s->failed = fflush(stdout) != 0;
    return !s->failed;
}

static void on_progress(void *context, size_t done, size_t total)
{
    struct stream *s = context;
    cli_progress_update(&s->progress, (double)done, (double)total, "reading the prompt");
    if (done != total) return;
    cli_progress_end(&s->progress);
    if (s->chat->echo) fputs(s->chat->echo, stdout);
    s->chat->echo = NULL;
}

// The tokens that the model is to go on from and, of a conversation, their text; both freed by socle_free.
static socle_status encode(const struct cli_chat *chat, char **prompt, int32_t **ids, size_t *n, socle_error *err)
{
    // What the person typed must not become special tokens: raw text has none, and a conversation its template's alone.
    if (chat->raw) return socle_tokenize(chat->model, chat->text, strlen(chat->text), SOCLE_ADD_SPECIAL, ids, n, err);
    json_t *inputs = json_pack("{s:O, s:b}", "messages", chat->messages, "add_generation_prompt", 1);
    if (inputs && chat->variables) json_object_update(inputs, chat->variables);
    char *json = inputs ? json_dumps(inputs, JSON_COMPACT) : NULL;
    json_decref(inputs);
    if (!json) return sc_fail_memory(err, 0, "the conversation");
    socle_status status = socle_chat_encode(chat->model, json, NULL, ids, n, prompt, err);
    free(json);
    return status;
}

static socle_status generate(struct cli_chat *chat, struct stream *s, const int32_t *ids, size_t n_ids,
                             socle_error *err)
{
    uint32_t n_reused = socle_session_reuse(chat->session, ids, n_ids);
    chat->last = (socle_generation){
        .prompt = ids + n_reused,
        .n_prompt = n_ids - n_reused,
        .n_predict = chat->n_predict,
        .sampling = chat->sampling,
        .stop = chat->stop,
        .n_stop = chat->n_stop,
        .constraint = chat->constraint,
        .constraint_after = chat->raw ? NULL : sc_answer_reasoning_end(&s->reader), // reasoning is free
        .show_special = !chat->raw,
        .on_text = on_text,
        .on_progress = on_progress,
        .context = s,
    };
    cli_signals_session(chat->session);
    socle_status status = socle_generate(chat->session, &chat->last, err);
    cli_signals_session(NULL);
    chat->last.prompt = NULL;
    return status;
}

// Says what the person should know about how the answer ended. Returns the exit code.
static int tell_finish(const struct cli_chat *chat, bool write_failed)
{
    if (write_failed) return cli_check_stdout();
    if (chat->last.finish == SOCLE_FINISH_CONTEXT) {
        uint32_t n_context = socle_session_n_context(chat->session);
        cli_error("the context of %u tokens is full: the %s stops here%s", n_context, chat->raw ? "text" : "answer",
                  n_context < chat->info.n_context ? " (-c N makes room for more)" : "");
        return chat->raw ? SOCLE_OK : SOCLE_CONTEXT_FULL; // a text that goes on has no other end
    }
    if (chat->last.finish == SOCLE_FINISH_CANCELLED) {
        cli_interrupted();
        return cli_ending() ? cli_ending() : 130;
    }
    return SOCLE_OK;
}

// Chats have no tools: what looks like a call is shown as it is.
static void begin_reading(const struct cli_chat *chat, struct sc_answer *reader, const char *prompt)
{
    const char *syntax = socle_model_answer_syntax(chat->model);
    json_t *no_tools = json_array();
    sc_answer_begin(reader, syntax ? sc_answer_syntax_find(syntax) : NULL, sc_text_of(prompt), no_tools);
    json_decref(no_tools);
}

// Generates from the conversation as it stands; the answer's text goes to *answer.
static int stream_answer(struct cli_chat *chat, char **answer)
{
    struct stream s = { .chat = chat };
    socle_error err;
    char *prompt = NULL;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    socle_status status = encode(chat, &prompt, &ids, &n_ids, &err);
    if (status == SOCLE_OK && n_ids == 0)
        status = sc_fail(&err, SOCLE_BAD_ARGUMENT, "the prompt is empty: there is nothing to go on from");
    if (status == SOCLE_OK) {
        cli_progress_begin(&s.progress, "prompt");
        begin_reading(chat, &s.reader, prompt ? prompt : "");
        status = generate(chat, &s, ids, n_ids, &err);
        cli_progress_end(&s.progress);
        sc_answer_end(&s.reader, on_event, &s);
        set_thinking(&s, false);
        if (status == SOCLE_OK) fputc('\n', stdout);
        fflush(stdout);
    }
    socle_free(prompt);
    socle_free(ids);
    *answer = sc_buffer_take(&s.answer);
    if (status != SOCLE_OK) return cli_fail(&err);
    return tell_finish(chat, s.failed);
}

static int answer_raw(struct cli_chat *chat, const char *message)
{
    char *before = chat->text, *answer;
    struct sc_buffer text = { 0 };
    sc_buffer_printf(&text, "%s%s", before, message);
    chat->text = sc_buffer_take(&text);
    if (!chat->text) {
        chat->text = before;
        cli_error("out of memory");
        return SOCLE_NO_MEMORY;
    }
    int code = stream_answer(chat, &answer);
    if (code != SOCLE_OK && code < 128 && code != SOCLE_CONTEXT_FULL) {
        free(chat->text);
        chat->text = before;
    } else {
        sc_buffer_printf(&text, "%s%s", chat->text, answer ? answer : "");
        char *longer = sc_buffer_take(&text);
        if (longer) free(chat->text);
        if (longer) chat->text = longer;
        free(before);
    }
    free(answer);
    return code;
}

static int answer_messages(struct cli_chat *chat)
{
    char *answer;
    int code = stream_answer(chat, &answer);
    bool kept = code == SOCLE_OK || code >= 128 || (code == SOCLE_CONTEXT_FULL && answer && *answer);
    if (kept)
        json_array_append_new(chat->messages,
                              json_pack("{s:s, s:s}", "role", "assistant", "content", answer ? answer : ""));
    else json_array_remove(chat->messages, json_array_size(chat->messages) - 1);
    free(answer);
    return code;
}

int cli_chat_answer(struct cli_chat *chat, const char *message)
{
    if (chat->raw) return answer_raw(chat, message);
    json_t *user = json_pack("{s:s, s:s}", "role", "user", "content", message);
    if (!user) return cli_misuse("the message is not valid UTF-8");
    json_array_append_new(chat->messages, user);
    return answer_messages(chat);
}

int cli_chat_retry(struct cli_chat *chat)
{
    size_t n = json_array_size(chat->messages);
    json_t *last = n ? json_array_get(chat->messages, n - 1) : NULL;
    const char *role = last ? json_string_value(json_object_get(last, "role")) : NULL;
    if (chat->raw || !role || strcmp(role, "assistant") != 0) return cli_misuse("there is no answer to try again");
    json_t *before = json_copy(chat->messages); // shallow
    json_array_remove(chat->messages, n - 1);
    chat->sampling.seed++;
    int code = answer_messages(chat);
    if (json_array_size(chat->messages) < n && before) {
        chat->sampling.seed--;
        json_decref(chat->messages);
        chat->messages = json_incref(before);
    }
    json_decref(before);
    return code;
}

void cli_chat_reset(struct cli_chat *chat)
{
    json_t *first = json_array_get(chat->messages, 0);
    const char *role = first ? json_string_value(json_object_get(first, "role")) : NULL;
    while (json_array_size(chat->messages) > (role && strcmp(role, "system") == 0 ? 1 : 0))
        json_array_remove(chat->messages, json_array_size(chat->messages) - 1);
    chat->text[0] = '\0';
}

int cli_chat_system(struct cli_chat *chat, const char *text)
{
    json_t *first = json_array_get(chat->messages, 0);
    const char *role = first ? json_string_value(json_object_get(first, "role")) : NULL;
    json_t *message = text && *text ? json_pack("{s:s, s:s}", "role", "system", "content", text) : NULL;
    if (!message && text && *text) return cli_misuse("the system message is not valid UTF-8");
    if (role && strcmp(role, "system") == 0) json_array_remove(chat->messages, 0);
    if (message) json_array_insert_new(chat->messages, 0, message);
    return SOCLE_OK;
}

int cli_chat_save(const struct cli_chat *chat, const char *path)
{
    json_t *name = json_string(chat->info.name); // NULL when it is no UTF-8
    json_t *document = json_pack("{s:o*, s:O, s:s}", "model", name, "messages", chat->messages, "text", chat->text);
    char *json = document ? json_dumps(document, JSON_INDENT(2)) : NULL;
    json_decref(document);
    if (!json) {
        cli_error("the conversation cannot be written as JSON");
        return SOCLE_FAILED;
    }
    socle_error err;
    int code = sc_write_file(path, json, strlen(json), &err) == SOCLE_OK ? SOCLE_OK : cli_fail(&err);
    free(json);
    return code;
}

static bool are_messages(const json_t *messages)
{
    size_t i;
    json_t *message;
    json_array_foreach (messages, i, message) {
        if (!json_is_string(json_object_get(message, "role")) || !json_is_string(json_object_get(message, "content")))
            return false;
    }
    return json_is_array(messages);
}

int cli_chat_load(struct cli_chat *chat, const char *path)
{
    int code = SOCLE_OK;
    size_t n_bytes;
    char *json = cli_read_text(path, &n_bytes, &code);
    if (!json) return code;
    json_error_t problem;
    json_t *document = json_loadb(json, n_bytes, 0, &problem);
    free(json);
    if (!document) {
        cli_error("%s: not JSON at line %d, column %d: %s", path, problem.line, problem.column, problem.text);
        return SOCLE_BAD_FILE;
    }
    json_t *messages = json_object_get(document, "messages");
    const char *text = json_string_value(json_object_get(document, "text"));
    if (!are_messages(messages)) {
        json_decref(document);
        cli_error("%s: expected \"messages\", an array of objects with \"role\" and \"content\"", path);
        return SOCLE_BAD_FILE;
    }
    json_decref(chat->messages);
    chat->messages = json_incref(messages);
    char *copy = strdup(text ? text : "");
    if (copy) free(chat->text);
    if (copy) chat->text = copy;
    json_decref(document);
    return SOCLE_OK;
}

void cli_chat_statistics(const struct cli_chat *chat)
{
    const socle_generation *g = &chat->last;
    char memory[16];
    if (g->n_evaluated == 0 && g->n_generated == 0) return;
    fprintf(stderr,
            "%s[%zu tokens, %.1f tok/s; prompt %zu tokens, %.1f tok/s; context %u of %u; memory %s; "
            "%u thread%s, %s; seed %llu]%s\n",
            cli_dim(stderr), g->n_generated,
            g->generate_seconds > 0 ? (double)g->n_generated / g->generate_seconds : 0.0, g->n_evaluated,
            g->prompt_seconds > 0 ? (double)g->n_evaluated / g->prompt_seconds : 0.0,
            socle_session_n_past(chat->session), socle_session_n_context(chat->session),
            cli_bytes(socle_memory_peak(), memory), socle_session_n_threads(chat->session),
            socle_session_n_threads(chat->session) == 1 ? "" : "s", socle_session_cpu(chat->session),
            (unsigned long long)g->sampling.seed, cli_reset(stderr));
}
