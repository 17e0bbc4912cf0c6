// POST /v1/messages and /v1/messages/count_tokens: Anthropic's interface.
#include <stdlib.h>
#include <string.h>

#include "server/form.h"

static const char *stop_reason(const struct choice *c)
{
    if (c->finish == SOCLE_FINISH_WORD) return "stop_sequence";
    if (c->finish == SOCLE_FINISH_LENGTH || c->finish == SOCLE_FINISH_CONTEXT) return "max_tokens";
    return c->n_calls ? "tool_use" : "end_turn";
}

static json_t *usage_json(const struct choice *c)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "input_tokens", (json_int_t)(c->n_prompt - c->n_cached),
                     "cache_creation_input_tokens", (json_int_t)0, "cache_read_input_tokens", (json_int_t)c->n_cached,
                     "output_tokens", (json_int_t)c->n_generated);
}

// ---- streams: blocks one after another, each of one kind

enum { NO_BLOCK = -1 };

static void send_event(struct choice *c, const char *event, json_t *json)
{
    exchange_stream_json(c->g->ex, event, json);
}

static void begin(struct generation *g)
{
    json_t *message = json_pack("{s:s, s:s, s:s, s:s, s:[], s:n, s:n, s:{s:i, s:i}}", "id", g->id, "type", "message",
                                "role", "assistant", "model", g->model->id, "content", "stop_reason", "stop_sequence",
                                "usage", "input_tokens", (int)g->choices[0].n_prompt, "output_tokens", 0);
    send_event(g->choices, "message_start", json_pack("{s:s, s:o}", "type", "message_start", "message", message));
}

static void close_block(struct choice *c)
{
    if (c->open_block == NO_BLOCK) return;
    send_event(c, "content_block_stop",
               json_pack("{s:s, s:i}", "type", "content_block_stop", "index", (int)c->n_blocks - 1));
    c->open_block = NO_BLOCK;
}

static void open_block(struct choice *c, const struct sc_answer_event *p)
{
    json_t *block;
    if (c->open_block == (int)p->kind || p->kind == SC_ANSWER_ARGUMENTS) return;
    close_block(c);
    if (p->kind == SC_ANSWER_CALL_BEGIN)
        block = json_pack("{s:s, s:s, s:s, s:{}}", "type", "tool_use", "id", c->calls[c->n_calls - 1].id, "name",
                          c->calls[c->n_calls - 1].name, "input");
    else if (p->kind == SC_ANSWER_REASONING)
        block = json_pack("{s:s, s:s, s:s}", "type", "thinking", "thinking", "", "signature", "");
    else block = json_pack("{s:s, s:s}", "type", "text", "text", "");
    send_event(c, "content_block_start",
               json_pack("{s:s, s:i, s:o}", "type", "content_block_start", "index", (int)c->n_blocks++, "content_block",
                         block));
    c->open_block = (int)p->kind;
}

static void send_piece(struct choice *c, const struct sc_answer_event *p)
{
    static const struct {
        const char *type, *field;
    } deltas[] = { [SC_ANSWER_REASONING] = { "thinking_delta", "thinking" },
                   [SC_ANSWER_TEXT] = { "text_delta", "text" },
                   [SC_ANSWER_ARGUMENTS] = { "input_json_delta", "partial_json" } };
    if (p->kind == SC_ANSWER_CALL_END) {
        close_block(c);
        return;
    }
    open_block(c, p);
    if (p->kind == SC_ANSWER_CALL_BEGIN) return;
    json_t *delta = json_pack("{s:s, s:o}", "type", deltas[p->kind].type, deltas[p->kind].field,
                              json_stringn(p->text, p->n_bytes));
    send_event(
        c, "content_block_delta",
        json_pack("{s:s, s:i, s:o}", "type", "content_block_delta", "index", (int)c->n_blocks - 1, "delta", delta));
}

static void end_choice(struct choice *c)
{
    close_block(c);
    json_t *delta = json_pack("{s:s, s:s?}", "stop_reason", stop_reason(c), "stop_sequence", c->stop);
    send_event(c, "message_delta",
               json_pack("{s:s, s:o, s:o}", "type", "message_delta", "delta", delta, "usage", usage_json(c)));
}

static void end(struct generation *g)
{
    send_event(g->choices, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

// ---- whole answers

static json_t *whole(struct generation *g)
{
    struct choice *c = g->choices;
    json_t *content = json_array();
    if (c->reasoning.n_bytes)
        json_array_append_new(content, json_pack("{s:s, s:s#, s:s}", "type", "thinking", "thinking", c->reasoning.data,
                                                 (int)c->reasoning.n_bytes, "signature", ""));
    if (c->text.n_bytes || c->n_calls == 0)
        json_array_append_new(content, json_pack("{s:s, s:s#}", "type", "text", "text",
                                                 c->text.data ? c->text.data : "", (int)c->text.n_bytes));
    for (size_t i = 0; i < c->n_calls; i++) {
        json_t *input = json_loads(c->calls[i].arguments.data ? c->calls[i].arguments.data : "{}", 0, NULL);
        json_array_append_new(content, json_pack("{s:s, s:s, s:s, s:o}", "type", "tool_use", "id", c->calls[i].id,
                                                 "name", c->calls[i].name, "input", input ? input : json_object()));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s?, s:o}", "id", g->id, "type", "message", "role", "assistant",
                     "model", g->model->id, "content", content, "stop_reason", stop_reason(c), "stop_sequence", c->stop,
                     "usage", usage_json(c));
}

static const struct dialect dialect = {
    .id_prefix = "msg_", .begin = begin, .piece = send_piece, .end_choice = end_choice, .end = end, .whole = whole
};

// ---- conversations, turned into what templates take

static void append(json_t *messages, const char *role, const struct sc_buffer *text, json_t *calls)
{
    json_t *m = json_pack("{s:s, s:s#}", "role", role, "content", text->data ? text->data : "", (int)text->n_bytes);
    if (json_array_size(calls)) json_object_set(m, "tool_calls", calls);
    json_array_append_new(messages, m);
}

// A block of an assistant's or a user's content; results of tools become messages of their own.
static bool add_block(struct exchange *ex, const json_t *block, json_t *messages, struct sc_buffer *text, json_t *calls)
{
    const char *type = json_string_value(json_object_get(block, "type"));
    if (type && strcmp(type, "text") == 0) {
        const json_t *t = json_object_get(block, "text");
        sc_buffer_append(text, json_string_value(t), json_string_length(t));
        return true;
    }
    if (type && (strcmp(type, "thinking") == 0 || strcmp(type, "redacted_thinking") == 0)) return true;
    if (type && strcmp(type, "tool_use") == 0) {
        json_t *input = json_object_get(block, "input");
        json_array_append_new(calls, json_pack("{s:O?, s:s, s:{s:O?, s:o}}", "id", json_object_get(block, "id"), "type",
                                               "function", "function", "name", json_object_get(block, "name"),
                                               "arguments", input ? json_incref(input) : json_object()));
        return true;
    }
    if (type && strcmp(type, "tool_result") == 0) {
        struct sc_buffer result = { 0 };
        const json_t *content = json_object_get(block, "content");
        bool ok = !content || chat_content_text(ex, content, "messages.content", &result);
        if (ok) {
            append(messages, "tool", &result, NULL);
            json_t *last = json_array_get(messages, json_array_size(messages) - 1);
            json_object_set(last, "tool_call_id", json_object_get(block, "tool_use_id"));
        }
        sc_buffer_free(&result);
        return ok;
    }
    exchange_fail(ex, 400, NULL, NULL, "messages: content blocks of type '%s' are not supported", type ? type : "");
    return false;
}

static bool add_message(struct exchange *ex, const json_t *message, size_t i, json_t *messages)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content"), *block;
    struct sc_buffer text = { 0 };
    json_t *calls = json_array();
    size_t b;
    bool ok = true;
    if (!role || (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)) {
        exchange_fail(ex, 400, NULL, NULL, "messages.%zu.role: Input should be 'user' or 'assistant'", i);
        ok = false;
    } else if (json_is_string(content)) {
        sc_buffer_append(&text, json_string_value(content), json_string_length(content));
    } else if (!json_is_array(content)) {
        exchange_fail(ex, 400, NULL, NULL, "messages.%zu.content: Input should be a valid string or list", i);
        ok = false;
    }
    json_array_foreach (content, b, block) ok = ok && add_block(ex, block, messages, &text, calls);
    size_t n_results = 0;
    json_array_foreach (content, b, block) n_results += json_object_get(block, "tool_use_id") != NULL;
    if (ok && (text.n_bytes || json_array_size(calls) || n_results == 0)) append(messages, role, &text, calls);
    sc_buffer_free(&text);
    json_decref(calls);
    return ok;
}

static bool add_system(struct exchange *ex, json_t *messages)
{
    const json_t *system = json_object_get(ex->json, "system");
    struct sc_buffer text = { 0 };
    if (!system || json_is_null(system)) return true;
    bool ok = chat_content_text(ex, system, "system", &text);
    if (ok) append(messages, "system", &text, NULL);
    sc_buffer_free(&text);
    return ok;
}

static bool read_tools(struct exchange *ex, struct chat_inputs *out)
{
    const json_t *tools = json_object_get(ex->json, "tools"), *tool;
    const char *choice = json_string_value(json_object_get(json_object_get(ex->json, "tool_choice"), "type"));
    size_t i;
    if (json_array_size(tools) == 0 || (choice && strcmp(choice, "none") == 0)) return true;
    out->tools = json_array();
    json_array_foreach (tools, i, tool) {
        json_t *name = json_object_get(tool, "name"), *schema = json_object_get(tool, "input_schema");
        if (!json_is_string(name) || !json_is_object(schema)) {
            exchange_fail(ex, 400, NULL, NULL, "tools.%zu: expected a name and an input_schema", i);
            return false;
        }
        json_array_append_new(out->tools,
                              json_pack("{s:s, s:{s:O, s:O?, s:O}}", "type", "function", "function", "name", name,
                                        "description", json_object_get(tool, "description"), "parameters", schema));
    }
    const json_t *asked = json_object_get(ex->json, "tool_choice");
    out->serial = json_is_true(json_object_get(asked, "disable_parallel_tool_use"));
    if (!choice || strcmp(choice, "auto") == 0) return true;
    out->choice = SC_ANSWER_REQUIRED;
    if (strcmp(choice, "any") == 0) return true;
    out->serial = true; // the one that is named, once
    out->tool = json_string_value(json_object_get(asked, "name"));
    if (strcmp(choice, "tool") == 0 && out->tool) return true;
    exchange_fail(ex, 400, NULL, NULL, "tool_choice: expected the type 'auto', 'any', 'tool' with a name, or 'none'");
    return false;
}

static bool read_conversation(struct exchange *ex, struct chat_inputs *out)
{
    const json_t *messages = json_object_get(ex->json, "messages"), *message;
    size_t i;
    *out = (struct chat_inputs){ .messages = json_array(), .more = json_object() };
    if (json_array_size(messages) == 0) {
        exchange_fail(ex, 400, NULL, NULL, "messages: Field required, with at least one message");
        return false;
    }
    if (!add_system(ex, out->messages)) return false;
    json_array_foreach (messages, i, message)
        if (!add_message(ex, message, i, out->messages)) return false;
    const char *thinking = json_string_value(json_object_get(json_object_get(ex->json, "thinking"), "type"));
    if (thinking) json_object_set_new(out->more, "enable_thinking", json_boolean(strcmp(thinking, "enabled") == 0));
    return read_tools(ex, out);
}

// ---- the routes

void serve_messages(struct exchange *ex, const char *path)
{
    struct request_options *o = calloc(1, sizeof *o);
    struct chat_inputs in = { 0 };
    struct served_model *model;
    (void)path;
    if (!o) exchange_fail(ex, 500, NULL, NULL, "out of memory");
    else if (!json_object_get(ex->json, "max_tokens")) exchange_fail(ex, 400, NULL, NULL, "max_tokens: Field required");
    else if (read_request_options(ex, ex->json, "stop_sequences", o) && read_conversation(ex, &in) &&
             (model = take_model(ex))) {
        o->n_choices = 1;
        chat_answer(ex, model, &dialect, o, &in, NULL);
    }
    chat_inputs_free(&in);
    free(o);
}

void serve_count_tokens(struct exchange *ex, const char *path)
{
    struct chat_inputs in = { 0 };
    struct served_model *model;
    int32_t *ids;
    size_t n_ids;
    (void)path;
    if (read_conversation(ex, &in) && (model = take_model(ex))) {
        bool ok = chat_encode(ex, model, &in, &ids, &n_ids, NULL);
        served_models_give(ex->server->models, model);
        if (ok) {
            socle_free(ids);
            exchange_reply_json(ex, 200, json_pack("{s:I}", "input_tokens", (json_int_t)n_ids));
        }
    }
    chat_inputs_free(&in);
}
