// POST /v1/responses: OpenAI's newer interface. Nothing is kept on the server: each request carries its conversation.
#include <stdlib.h>
#include <string.h>

#include "server/form.h"

// ---- items of the output

static json_t *message_item(const struct generation *g, const char *text, size_t n_bytes, const char *status)
{
    char id[64];
    snprintf(id, sizeof id, "msg_%s", g->id + strlen("resp_"));
    json_t *part = json_pack("{s:s, s:s#, s:[]}", "type", "output_text", "text", text ? text : "", (int)n_bytes,
                             "annotations");
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "type", "message", "id", id, "role", "assistant", "status", status,
                     "content", status[0] == 'i' ? (json_decref(part), json_array()) : json_pack("[o]", part));
}

static json_t *call_item(const struct tool_call *call, const char *status)
{
    char id[48];
    snprintf(id, sizeof id, "fc_%s", call->id + strlen("call_"));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", "function_call", "id", id, "call_id", call->id, "name",
                     call->name, "arguments", call->arguments.data ? call->arguments.data : "", "status", status);
}

static json_t *reasoning_item(const struct generation *g, const struct sc_buffer *text)
{
    char id[64];
    snprintf(id, sizeof id, "rs_%s", g->id + strlen("resp_"));
    return json_pack("{s:s, s:s, s:[], s:[{s:s, s:s#}]}", "type", "reasoning", "id", id, "summary", "content", "type",
                     "reasoning_text", "text", text->data, (int)text->n_bytes);
}

static json_t *output_json(const struct choice *c)
{
    json_t *list = json_array();
    if (c->reasoning.n_bytes) json_array_append_new(list, reasoning_item(c->g, &c->reasoning));
    if (c->text.n_bytes || c->n_calls == 0)
        json_array_append_new(list, message_item(c->g, c->text.data, c->text.n_bytes, "completed"));
    for (size_t i = 0; i < c->n_calls; i++) json_array_append_new(list, call_item(&c->calls[i], "completed"));
    return list;
}

static bool is_cut(const struct choice *c) { return strcmp(openai_finish(c), "length") == 0; }

static json_t *response_json(const struct generation *g, bool has_ended)
{
    const struct choice *c = g->choices;
    json_t *asked = g->ex->json;
    bool cut = has_ended && is_cut(c);
    json_t *usage = json_null();
    if (has_ended)
        usage = json_pack("{s:I, s:{s:I}, s:I, s:{s:i}, s:I}", "input_tokens", (json_int_t)c->n_prompt,
                          "input_tokens_details", "cached_tokens", (json_int_t)c->n_cached, "output_tokens",
                          (json_int_t)c->n_generated, "output_tokens_details", "reasoning_tokens", (int)c->n_reasoning, "total_tokens",
                          (json_int_t)c->n_prompt + c->n_generated);
    json_t *tools = json_object_get(asked, "tools"), *choice = json_object_get(asked, "tool_choice");
    bool serial = json_is_false(json_object_get(asked, "parallel_tool_calls")), chosen = choice && !json_is_null(choice);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o, s:n, s:o, s:O?, s:O?, s:b, s:o, s:o, s:f, s:f, s:o}", "id", g->id,
                     "object", "response", "created_at", (json_int_t)g->created, "model", g->model->id, "status",
                     !has_ended ? "in_progress"
                     : cut      ? "incomplete"
                                : "completed",
                     "output", has_ended ? output_json(c) : json_array(), "error", "incomplete_details",
                     cut ? json_pack("{s:s}", "reason", "max_output_tokens") : json_null(), "instructions",
                     json_object_get(asked, "instructions"), "max_output_tokens",
                     json_object_get(asked, "max_output_tokens"), "parallel_tool_calls", !serial, "tool_choice",
                     chosen ? json_incref(choice) : json_string("auto"), "tools",
                     json_is_array(tools) ? json_incref(tools) : json_array(), "temperature",
                     (double)g->options.sampling.temperature, "top_p", (double)g->options.sampling.top_p, "usage",
                     usage);
}

// ---- streams

static void send_event(struct choice *c, const char *type, json_t *json)
{
    json_object_set_new(json, "type", json_string(type));
    json_object_set_new(json, "sequence_number", json_integer((json_int_t)c->n_sent++));
    exchange_stream_json(c->g->ex, type, json);
}

static void begin(struct generation *g)
{
    send_event(g->choices, "response.created", json_pack("{s:o}", "response", response_json(g, false)));
    send_event(g->choices, "response.in_progress", json_pack("{s:o}", "response", response_json(g, false)));
}

static int place(const struct choice *c) { return (int)c->n_blocks - 1; }

static void close_block(struct choice *c)
{
    const struct tool_call *call = c->n_calls ? &c->calls[c->n_calls - 1] : NULL;
    json_t *item = NULL;
    if (c->open_block == SC_ANSWER_TEXT) {
        const char *text = c->text.data + c->block_at;
        size_t n = c->text.n_bytes - c->block_at;
        item = message_item(c->g, text, n, "completed");
        json_t *id = json_object_get(item, "id"), *part = json_array_get(json_object_get(item, "content"), 0);
        send_event(c, "response.output_text.done",
                   json_pack("{s:O, s:i, s:i, s:s#, s:[]}", "item_id", id, "output_index", place(c), "content_index", 0,
                             "text", text, (int)n, "logprobs"));
        send_event(c, "response.content_part.done",
                   json_pack("{s:O, s:i, s:i, s:O}", "item_id", id, "output_index", place(c), "content_index", 0,
                             "part", part));
    } else if (c->open_block == SC_ANSWER_CALL_BEGIN) {
        item = call_item(call, "completed");
        send_event(c, "response.function_call_arguments.done",
                   json_pack("{s:O, s:i, s:s}", "item_id", json_object_get(item, "id"), "output_index", place(c),
                             "arguments", call->arguments.data ? call->arguments.data : ""));
    } else if (c->open_block == SC_ANSWER_REASONING) {
        item = reasoning_item(c->g, &c->reasoning);
    }
    if (item)
        send_event(c, "response.output_item.done", json_pack("{s:i, s:o}", "output_index", place(c), "item", item));
    c->open_block = -1;
}

static void open_block(struct choice *c, enum sc_answer_kind kind)
{
    const struct sc_buffer nothing = { .data = (char[]){ "" } };
    if (c->open_block == (int)kind && kind != SC_ANSWER_CALL_BEGIN) return;
    close_block(c);
    c->open_block = (int)kind;
    c->n_blocks++;
    json_t *item = kind == SC_ANSWER_TEXT         ? message_item(c->g, "", 0, "in_progress")
                   : kind == SC_ANSWER_CALL_BEGIN ? call_item(&c->calls[c->n_calls - 1], "in_progress")
                                                  : reasoning_item(c->g, &nothing);
    send_event(c, "response.output_item.added", json_pack("{s:i, s:O}", "output_index", place(c), "item", item));
    if (kind == SC_ANSWER_TEXT)
        send_event(c, "response.content_part.added",
                   json_pack("{s:O, s:i, s:i, s:{s:s, s:s, s:[]}}", "item_id", json_object_get(item, "id"),
                             "output_index", place(c), "content_index", 0, "part", "type", "output_text", "text", "",
                             "annotations"));
    json_decref(item);
}

static void send_piece(struct choice *c, const struct sc_answer_event *p)
{
    char id[64];
    if (p->kind == SC_ANSWER_CALL_END) {
        close_block(c);
        return;
    }
    if (p->kind == SC_ANSWER_TEXT && c->open_block != SC_ANSWER_TEXT) c->block_at = c->text.n_bytes - p->n_bytes;
    if (p->kind != SC_ANSWER_ARGUMENTS) open_block(c, p->kind);
    if (p->kind == SC_ANSWER_CALL_BEGIN) return;
    const char *type = p->kind == SC_ANSWER_TEXT        ? "response.output_text.delta"
                       : p->kind == SC_ANSWER_ARGUMENTS ? "response.function_call_arguments.delta"
                                                        : "response.reasoning_text.delta";
    if (p->kind == SC_ANSWER_ARGUMENTS) snprintf(id, sizeof id, "fc_%s", c->calls[c->n_calls - 1].id + strlen("call_"));
    else snprintf(id, sizeof id, "%s_%s", p->kind == SC_ANSWER_TEXT ? "msg" : "rs", c->g->id + strlen("resp_"));
    json_t *json = json_pack("{s:s, s:i, s:s#}", "item_id", id, "output_index", place(c), "delta", p->text,
                             (int)p->n_bytes);
    if (p->kind != SC_ANSWER_ARGUMENTS) json_object_set_new(json, "content_index", json_integer(0));
    if (p->kind == SC_ANSWER_TEXT) json_object_set_new(json, "logprobs", json_array());
    send_event(c, type, json);
}

static void end_choice(struct choice *c) { close_block(c); }

static void end(struct generation *g)
{
    struct choice *c = g->choices;
    send_event(c, is_cut(c) ? "response.incomplete" : "response.completed",
               json_pack("{s:o}", "response", response_json(g, true)));
}

static json_t *whole(struct generation *g) { return response_json(g, true); }

static void fail(const struct choice *failed, const char *code)
{
    struct choice *first = failed->g->choices;
    send_event(first, "error", json_pack("{s:s, s:s, s:n}", "code", code ? code : "server_error", "message",
                                         failed->error, "param"));
}

static const struct dialect dialect = {
    .id_prefix = "resp_", .begin = begin, .piece = send_piece, .end_choice = end_choice, .end = end, .fail = fail, .whole = whole
};

// ---- conversations: turned into chat completions' messages

static bool add_item(struct exchange *ex, json_t *item, json_t *messages)
{
    const char *type = json_string_value(json_object_get(item, "type"));
    json_t *role = json_object_get(item, "role");
    if (json_is_string(role) && (!type || strcmp(type, "message") == 0)) {
        json_array_append_new(messages,
                              json_pack("{s:O, s:O?}", "role", role, "content", json_object_get(item, "content")));
        return true;
    }
    if (type && strcmp(type, "function_call") == 0) {
        json_array_append_new(messages, json_pack("{s:s, s:n, s:[{s:O?, s:s, s:{s:O?, s:O?}}]}", "role", "assistant",
                                                  "content", "tool_calls", "id", json_object_get(item, "call_id"),
                                                  "type", "function", "function", "name", json_object_get(item, "name"),
                                                  "arguments", json_object_get(item, "arguments")));
        return true;
    }
    if (type && strcmp(type, "function_call_output") == 0) {
        json_array_append_new(messages,
                              json_pack("{s:s, s:O?, s:O?}", "role", "tool", "tool_call_id",
                                        json_object_get(item, "call_id"), "content", json_object_get(item, "output")));
        return true;
    }
    if (type && strcmp(type, "reasoning") == 0) return true;
    exchange_fail(ex, 400, "invalid_value", "input", "Invalid 'input': items of type '%s' are not supported.",
                  type ? type : "");
    return false;
}

static bool convert(struct exchange *ex)
{
    json_t *input = json_object_get(ex->json, "input"), *messages = json_array(), *item, *tools, *tool;
    const char *instructions = NULL;
    size_t i;
    json_object_set_new(ex->json, "messages", messages);
    if (!read_string(ex, ex->json, "instructions", &instructions)) return false;
    if (json_is_string(json_object_get(ex->json, "previous_response_id"))) {
        exchange_fail(ex, 400, "unsupported_parameter", "previous_response_id",
                      "Responses are not kept on this server: send the whole conversation as 'input'.");
        return false;
    }
    if (instructions)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", instructions));
    if (!json_is_string(input) && json_array_size(input) == 0) {
        exchange_fail(ex, 400, input ? "invalid_type" : "missing_required_parameter", "input",
                      "Invalid 'input': expected a string, or an array with at least one item.");
        return false;
    }
    if (json_is_string(input))
        json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "user", "content", input));
    else
        json_array_foreach (input, i, item)
            if (!add_item(ex, item, messages)) return false;
    // Here a function's fields lie beside its type; chat completions have them one level deeper.
    tools = json_object_get(ex->json, "tools");
    json_t *list = json_array();
    json_array_foreach (tools, i, tool) {
        json_t *function = json_copy(tool);
        json_array_append_new(list,
                              json_pack("{s:O?, s:o}", "type", json_object_get(tool, "type"), "function", function));
    }
    json_t *effort = json_object_get(json_object_get(ex->json, "reasoning"), "effort");
    if (json_is_string(effort)) json_object_set(ex->json, "reasoning_effort", effort);
    json_object_set_new(ex->json, "asked_tools", tools ? json_incref(tools) : json_array());
    if (!tools || json_is_array(tools))
        json_object_set(ex->json, "tools", list); // else it is refused like all that is none
    json_decref(list);
    return true;
}

void serve_responses(struct exchange *ex, const char *path)
{
    struct request_options *o = calloc(1, sizeof *o);
    struct chat_inputs in = { 0 };
    struct served_model *model;
    (void)path;
    if (!o) exchange_fail(ex, 500, NULL, NULL, "out of memory");
    else if (convert(ex) && read_request_options(ex, ex->json, "stop", o) && chat_inputs_of_openai(ex, &in) &&
             (model = take_model(ex))) {
        o->n_choices = 1;
        json_object_set(ex->json, "tools", json_object_get(ex->json, "asked_tools"));
        chat_answer(ex, model, &dialect, o, &in, json_object_get(json_object_get(ex->json, "text"), "format"));
    }
    chat_inputs_free(&in);
    free(o);
}
