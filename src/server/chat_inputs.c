#include "server/chat_inputs.h"

#include <stdlib.h>
#include <string.h>

void chat_inputs_free(struct chat_inputs *in)
{
    json_decref(in->messages);
    json_decref(in->tools);
    json_decref(in->more);
    *in = (struct chat_inputs){ 0 };
}

// ---- contents

static bool is_text_part(const char *type)
{
    return strcmp(type, "text") == 0 || strcmp(type, "input_text") == 0 || strcmp(type, "output_text") == 0 ||
           strcmp(type, "refusal") == 0;
}

bool chat_content_text(struct exchange *ex, const json_t *content, const char *param, struct sc_buffer *out)
{
    const json_t *part;
    size_t i;
    if (json_is_string(content)) {
        sc_buffer_append(out, json_string_value(content), json_string_length(content));
        return true;
    }
    if (!json_is_array(content)) {
        exchange_fail(ex, 400, "invalid_type", param, "Invalid type for '%s': expected a string or an array.", param);
        return false;
    }
    json_array_foreach (content, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        if (!text) text = json_object_get(part, "refusal");
        if (type && is_text_part(type) && json_is_string(text)) {
            sc_buffer_append(out, json_string_value(text), json_string_length(text));
            continue;
        }
        exchange_fail(ex, 400, "invalid_value", param,
                      "Invalid '%s[%zu]': parts of type '%s' are not supported, only text.", param, i,
                      type ? type : "");
        return false;
    }
    return true;
}

// ---- messages

static bool is_role(const char *role)
{
    static const char *const roles[] = { "system", "developer", "user", "assistant", "tool", "function" };
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(role, roles[i]) == 0) return true;
    return false;
}

// Arguments travel as a string that holds JSON; templates want the object.
static json_t *call_for_template(const json_t *call)
{
    json_t *copy = json_deep_copy(call), *function = json_object_get(copy, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    if (json_is_string(arguments)) {
        json_t *object = json_loads(json_string_value(arguments), JSON_DECODE_ANY, NULL);
        if (json_is_object(object)) json_object_set(function, "arguments", object);
        json_decref(object);
    }
    return copy;
}

static bool check_calls(struct exchange *ex, const json_t *calls, const char *where)
{
    const json_t *call;
    size_t i;
    if (!json_is_array(calls)) {
        exchange_fail(ex, 400, "invalid_type", where, "Invalid type for '%s.tool_calls': expected an array.", where);
        return false;
    }
    json_array_foreach (calls, i, call) {
        if (json_is_string(json_object_get(json_object_get(call, "function"), "name"))) continue;
        exchange_fail(ex, 400, "missing_required_parameter", where,
                      "Missing required parameter: '%s.tool_calls[%zu].function.name'.", where, i);
        return false;
    }
    return true;
}

static bool add_content(struct exchange *ex, const json_t *from, const char *where, json_t *to)
{
    const json_t *content = json_object_get(from, "content");
    struct sc_buffer text = { 0 };
    char param[64];
    if (!content || json_is_null(content)) {
        bool has_calls = json_array_size(json_object_get(from, "tool_calls")) > 0;
        if (!has_calls && strcmp(json_string_value(json_object_get(from, "role")), "assistant") != 0) {
            exchange_fail(ex, 400, "missing_required_parameter", where, "Missing required parameter: '%s.content'.",
                          where);
            return false;
        }
        json_object_set_new(to, "content", json_string(""));
        return true;
    }
    snprintf(param, sizeof param, "%s.content", where);
    if (!chat_content_text(ex, content, param, &text)) {
        sc_buffer_free(&text);
        return false;
    }
    json_object_set_new(to, "content", json_stringn(text.data ? text.data : "", text.n_bytes));
    sc_buffer_free(&text);
    return true;
}

static bool add_message(struct exchange *ex, const json_t *from, size_t i, json_t *messages)
{
    char where[32];
    snprintf(where, sizeof where, "messages[%zu]", i);
    const char *role = json_string_value(json_object_get(from, "role"));
    if (!role || !is_role(role)) {
        exchange_fail(ex, 400, "invalid_value", where,
                      "Invalid value for '%s.role': expected 'system', 'developer', 'user', 'assistant' or 'tool'.",
                      where);
        return false;
    }
    json_t *to = json_object();
    json_array_append_new(messages, to);
    json_object_set_new(to, "role", json_string(strcmp(role, "developer") == 0 ? "system" : role));
    if (!add_content(ex, from, where, to)) return false;
    static const char *const kept[] = { "name", "tool_call_id", "reasoning_content" };
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (json_is_string(json_object_get(from, kept[k])))
            json_object_set(to, kept[k], json_object_get(from, kept[k]));
    json_t *calls = json_object_get(from, "tool_calls"), *list;
    if (!calls || json_is_null(calls)) return true;
    if (!check_calls(ex, calls, where)) return false;
    json_object_set_new(to, "tool_calls", list = json_array());
    for (size_t c = 0; c < json_array_size(calls); c++)
        json_array_append_new(list, call_for_template(json_array_get(calls, c)));
    return true;
}

static bool read_messages(struct exchange *ex, struct chat_inputs *out)
{
    const json_t *messages = json_object_get(ex->json, "messages"), *message;
    size_t i;
    if (!messages) {
        exchange_fail(ex, 400, "missing_required_parameter", "messages", "Missing required parameter: 'messages'.");
        return false;
    }
    if (!json_is_array(messages) || json_array_size(messages) == 0) {
        exchange_fail(ex, 400, "invalid_type", "messages",
                      "Invalid 'messages': expected an array with at least one message.");
        return false;
    }
    out->messages = json_array();
    json_array_foreach (messages, i, message)
        if (!add_message(ex, message, i, out->messages)) return false;
    return true;
}

// ---- tools and template variables

static bool has_tool(const json_t *tools, const char *name)
{
    const json_t *tool;
    size_t i;
    json_array_foreach (tools, i, tool) {
        const char *own = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (name && own && strcmp(own, name) == 0) return true;
    }
    return false;
}

// "none", "auto", "required", or {"type": "function", "function": {"name"}} (Responses: {"type", "name"}).
static bool read_choice(struct exchange *ex, json_t *tools, struct chat_inputs *out)
{
    const json_t *value = json_object_get(ex->json, "tool_choice");
    const char *choice = json_string_value(value);
    bool parallel = true;
    if (!read_flag(ex, ex->json, "parallel_tool_calls", &parallel)) return false;
    out->serial = !parallel;
    if (choice && strcmp(choice, "none") == 0) return true;
    out->tools = json_incref(tools);
    if (!value || json_is_null(value) || (choice && strcmp(choice, "auto") == 0)) return true;
    out->choice = SC_ANSWER_REQUIRED;
    if (choice && strcmp(choice, "required") == 0) return true;
    const json_t *name = json_object_get(json_object_get(value, "function"), "name");
    out->tool = json_string_value(name ? name : json_object_get(value, "name"));
    out->serial = true; // the one that is named, once
    if (has_tool(tools, out->tool)) return true;
    exchange_fail(ex, 400, "invalid_value", "tool_choice",
                  "Invalid 'tool_choice': expected 'none', 'auto', 'required', or a function of 'tools'.");
    return false;
}

// What would choose among tools is a mistake where there are none.
static bool refuse_without_tools(struct exchange *ex)
{
    const json_t *choice = json_object_get(ex->json, "tool_choice");
    if (!choice || json_is_null(choice)) return true;
    exchange_fail(ex, 400, NULL, "tool_choice",
                  "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.");
    return false;
}

static bool read_tools(struct exchange *ex, struct chat_inputs *out)
{
    json_t *tools = json_object_get(ex->json, "tools"), *tool;
    size_t i;
    if (!tools || json_is_null(tools)) return refuse_without_tools(ex);
    if (json_is_array(tools) && json_array_size(tools) == 0) return true;
    json_array_foreach (tools, i, tool) {
        const char *type = json_string_value(json_object_get(tool, "type"));
        const json_t *function = json_object_get(tool, "function");
        if (type && strcmp(type, "function") == 0 && json_is_string(json_object_get(function, "name"))) continue;
        exchange_fail(ex, 400, "invalid_value", "tools", "Invalid 'tools[%zu]': expected a function with a name.", i);
        return false;
    }
    if (!json_is_array(tools)) {
        exchange_fail(ex, 400, "invalid_type", "tools", "Invalid type for 'tools': expected an array.");
        return false;
    }
    return read_choice(ex, tools, out);
}

static bool read_variables(struct exchange *ex, struct chat_inputs *out)
{
    json_t *more = json_object_get(ex->json, "chat_template_kwargs");
    const char *effort = NULL;
    if (more && !json_is_null(more) && !json_is_object(more)) {
        exchange_fail(ex, 400, "invalid_type", "chat_template_kwargs",
                      "Invalid type for 'chat_template_kwargs': expected an object.");
        return false;
    }
    if (!read_string(ex, ex->json, "reasoning_effort", &effort)) return false;
    out->more = json_is_object(more) ? json_copy(more) : json_object();
    if (effort) json_object_set_new(out->more, "reasoning_effort", json_string(effort));
    return true;
}

bool chat_inputs_of_openai(struct exchange *ex, struct chat_inputs *out)
{
    *out = (struct chat_inputs){ 0 };
    if (read_messages(ex, out) && read_tools(ex, out) && read_variables(ex, out)) return true;
    chat_inputs_free(out);
    return false;
}

// ---- to tokens

bool chat_encode(struct exchange *ex, const struct served_model *model, const struct chat_inputs *in, int32_t **ids,
                 size_t *n_ids, char **text)
{
    socle_error err;
    json_t *inputs = in->more ? json_copy(in->more) : json_object();
    json_object_set(inputs, "messages", in->messages);
    if (in->tools) json_object_set(inputs, "tools", in->tools);
    json_object_set_new(inputs, "add_generation_prompt", json_true());
    char *dump = json_dumps(inputs, JSON_COMPACT);
    json_decref(inputs);
    socle_status status = dump ? socle_chat_encode(model->model, dump, NULL, ids, n_ids, text, &err) : SOCLE_NO_MEMORY;
    free(dump);
    if (status == SOCLE_OK) return true;
    if (status == SOCLE_UNSUPPORTED && !model->info.has_template)
        exchange_fail(
            ex, 400, "no_chat_template", "model",
            "The model '%s' has no chat template: it continues texts (/v1/completions), it does not converse.",
            model->id);
    else exchange_fail(ex, http_status_of(status), NULL, "messages", "%s", err.message);
    return false;
}
