// The messages of a conversation as templates take them, which is as `socle serve` gives them: contents are strings,
// "developer" is "system", arguments of calls are objects.
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "train/corpus_internal.h"

void sc_conversation_free(struct sc_conversation *c)
{
    json_decref(c->messages);
    json_decref(c->inputs);
    free(c->is_answer);
    *c = (struct sc_conversation){ 0 };
}

bool sc_message_is_of(const json_t *message, const char *role)
{
    const char *own = json_string_value(json_object_get(message, "role"));
    return own && strcmp(own, role) == 0;
}

static socle_status no_memory(socle_error *err) { return sc_fail_memory(err, sizeof(json_t), "a conversation"); }

// ---- one message

// The text of a content that is an array of parts.
static socle_status join_parts(const json_t *parts, const char *where, json_t **out, socle_error *err)
{
    struct sc_buffer text = { 0 };
    const json_t *part;
    size_t i;
    json_array_foreach (parts, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *string = json_object_get(part, "text");
        if (type && strcmp(type, "text") == 0 && json_is_string(string)) {
            sc_buffer_append(&text, json_string_value(string), json_string_length(string));
            continue;
        }
        sc_buffer_free(&text);
        return sc_fail(err, SOCLE_BAD_FILE, "%s.content[%zu]: expected a part of type \"text\", found %s", where, i,
                       type ? type : sc_json_kind(part));
    }
    *out = text.failed ? NULL : json_stringn(text.data ? text.data : "", text.n_bytes);
    sc_buffer_free(&text);
    return *out ? SOCLE_OK : no_memory(err);
}

// A content that is null or absent is one of calls only, and reads as an empty text.
static socle_status set_content(json_t *message, const char *where, socle_error *err)
{
    json_t *content = json_object_get(message, "content"), *text;
    if (json_is_string(content)) return SOCLE_OK;
    if (json_is_array(content)) {
        SC_TRY(join_parts(content, where, &text, err));
        return json_object_set_new(message, "content", text) == 0 ? SOCLE_OK : no_memory(err);
    }
    bool has_calls = json_array_size(json_object_get(message, "tool_calls")) > 0;
    if (!(content && !json_is_null(content)) && has_calls && sc_message_is_of(message, "assistant"))
        return json_object_set_new(message, "content", json_string("")) == 0 ? SOCLE_OK : no_memory(err);
    return sc_fail(err, SOCLE_BAD_FILE, "%s.content: expected a string or an array of texts, found %s", where,
                   sc_json_kind(content));
}

// Arguments travel as a string that holds JSON; templates want the object.
static socle_status set_calls(json_t *message, const char *where, socle_error *err)
{
    json_t *calls = json_object_get(message, "tool_calls"), *call;
    size_t i;
    if (!calls) return SOCLE_OK;
    if (json_is_null(calls)) return json_object_del(message, "tool_calls") == 0 ? SOCLE_OK : no_memory(err);
    if (!json_is_array(calls))
        return sc_fail(err, SOCLE_BAD_FILE, "%s.tool_calls: expected an array, found %s", where, sc_json_kind(calls));
    json_array_foreach (calls, i, call) {
        json_t *function = json_object_get(call, "function"), *arguments = json_object_get(function, "arguments");
        if (!json_is_string(json_object_get(function, "name")))
            return sc_fail(err, SOCLE_BAD_FILE, "%s.tool_calls[%zu].function.name: expected a string, found %s", where,
                           i, sc_json_kind(json_object_get(function, "name")));
        if (!json_is_string(arguments)) continue;
        json_t *object = json_loadb(json_string_value(arguments), json_string_length(arguments), JSON_ALLOW_NUL, NULL);
        if (json_is_object(object)) json_object_set(function, "arguments", object);
        json_decref(object);
    }
    return SOCLE_OK;
}

static socle_status set_role(json_t *message, const char *where, socle_error *err)
{
    static const char *const roles[] = { "system", "user", "assistant", "tool", "function" };
    const json_t *role = json_object_get(message, "role");
    const char *name = json_string_value(role);
    if (name && strcmp(name, "developer") == 0)
        return json_object_set_new(message, "role", json_string("system")) == 0 ? SOCLE_OK : no_memory(err);
    for (size_t i = 0; name && i < SC_COUNT(roles); i++)
        if (strcmp(name, roles[i]) == 0) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE,
                   "%s.role: expected \"system\", \"developer\", \"user\", \"assistant\" or \"tool\", found %s%s%s",
                   where, name ? "\"" : "", name ? name : sc_json_kind(role), name ? "\"" : "");
}

static socle_status append_message(const json_t *from, const char *where, json_t *to, socle_error *err)
{
    if (!json_is_object(from))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: expected an object, found %s", where, sc_json_kind(from));
    json_t *message = json_deep_copy(from);
    if (!message || json_array_append_new(to, message) != 0) return no_memory(err);
    SC_TRY(set_role(message, where, err));
    SC_TRY(set_content(message, where, err));
    return set_calls(message, where, err);
}

// {"from", "value"}
static socle_status append_shared(const json_t *from, const char *where, json_t *to, socle_error *err)
{
    static const char *const roles[][2] = {
        { "human", "user" },          { "user", "user" }, { "gpt", "assistant" },
        { "assistant", "assistant" }, { "tool", "tool" }, { "system", "system" },
    };
    const char *who = json_string_value(json_object_get(from, "from")), *role = NULL;
    json_t *value = json_object_get(from, "value");
    for (size_t i = 0; who && i < SC_COUNT(roles) && !role; i++)
        if (strcmp(who, roles[i][0]) == 0) role = roles[i][1];
    if (!role)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "%s.from: expected \"human\", \"gpt\", \"system\" or \"tool\", found %s%s%s", where,
                       who ? "\"" : "", who ? who : sc_json_kind(json_object_get(from, "from")), who ? "\"" : "");
    if (!json_is_string(value))
        return sc_fail(err, SOCLE_BAD_FILE, "%s.value: expected a string, found %s", where, sc_json_kind(value));
    json_t *message = json_pack("{s:s, s:O}", "role", role, "content", value);
    return message && json_array_append_new(to, message) == 0 ? SOCLE_OK : no_memory(err);
}

// ---- all of them

static socle_status append_all(const json_t *from, const char *key, json_t *to,
                               socle_status (*append)(const json_t *, const char *, json_t *, socle_error *),
                               socle_error *err)
{
    const json_t *message;
    size_t i;
    if (!json_is_array(from) || json_array_size(from) == 0)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: expected an array of messages, found %s", key,
                       json_is_array(from) ? "an empty one" : sc_json_kind(from));
    json_array_foreach (from, i, message) {
        char where[80];
        snprintf(where, sizeof where, "%s[%zu]", key, i);
        SC_TRY(append(message, where, to, err));
    }
    return SOCLE_OK;
}

socle_status sc_messages_append(const json_t *from, const char *key, json_t *to, socle_error *err)
{
    return append_all(from, key, to, append_message, err);
}

socle_status sc_conversation_inputs(const json_t *object, json_t **out, socle_error *err)
{
    json_t *more = json_object_get(object, "chat_template_kwargs"), *tools = json_object_get(object, "tools");
    if (more && !json_is_object(more) && !json_is_null(more))
        return sc_fail(err, SOCLE_BAD_FILE, "chat_template_kwargs: expected an object, found %s", sc_json_kind(more));
    if (tools && !json_is_array(tools) && !json_is_null(tools))
        return sc_fail(err, SOCLE_BAD_FILE, "tools: expected an array, found %s", sc_json_kind(tools));
    json_t *inputs = json_is_object(more) ? json_copy(more) : json_object();
    if (!inputs || (json_array_size(tools) && json_object_set(inputs, "tools", tools) != 0)) {
        json_decref(inputs);
        return no_memory(err);
    }
    *out = inputs;
    return SOCLE_OK;
}

static socle_status read_messages(const json_t *object, json_t *to, socle_error *err)
{
    const json_t *messages = json_object_get(object, "messages"), *shared = json_object_get(object, "conversations");
    if (messages) return sc_messages_append(messages, "messages", to, err);
    if (!shared)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "expected a conversation under \"messages\" or \"conversations\", found "
                       "neither key");
    // Some data sets have the system's message beside the list.
    const json_t *system = json_object_get(object, "system");
    if (json_string_length(system) > 0) {
        json_t *message = json_pack("{s:s, s:O}", "role", "system", "content", system);
        if (!message || json_array_append_new(to, message) != 0) return no_memory(err);
    }
    return append_all(shared, "conversations", to, append_shared, err);
}

// The assistant's messages, but those whose "weight" is 0. The templates do not see it.
static socle_status mark_answers(struct sc_conversation *c, socle_error *err)
{
    size_t n = json_array_size(c->messages), n_answers = 0;
    c->is_answer = calloc(n, sizeof *c->is_answer);
    if (!c->is_answer) return sc_fail_memory(err, n, "a conversation");
    for (size_t i = 0; i < n; i++) {
        json_t *message = json_array_get(c->messages, i), *weight = json_object_get(message, "weight");
        c->is_answer[i] = sc_message_is_of(message, "assistant") &&
                          !(json_is_number(weight) && json_number_value(weight) == 0.0);
        n_answers += c->is_answer[i];
        if (weight) json_object_del(message, "weight");
    }
    if (n_answers) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE,
                   "the conversation has no message of the assistant, which is what would be learnt");
}

socle_status sc_conversation_read(const json_t *object, struct sc_conversation *out, socle_error *err)
{
    struct sc_conversation c = { .messages = json_array() };
    socle_status status = c.messages ? SOCLE_OK : no_memory(err);
    if (status == SOCLE_OK) status = read_messages(object, c.messages, err);
    if (status == SOCLE_OK) status = sc_conversation_inputs(object, &c.inputs, err);
    if (status == SOCLE_OK) status = mark_answers(&c, err);
    if (status == SOCLE_OK) *out = c;
    else sc_conversation_free(&c);
    return status;
}

// ---- reasoning

static struct sc_text strip_lines(const char *begin, const char *end)
{
    while (begin < end && *begin == '\n') begin++;
    while (begin < end && end[-1] == '\n') end--;
    return (struct sc_text){ begin, (size_t)(end - begin) };
}

static socle_status split_reasoning(json_t *message, socle_error *err)
{
    static const char open[] = "<think>", close[] = "</think>";
    const json_t *content = json_object_get(message, "content");
    const char *text = json_string_value(content), *end = text + json_string_length(content);
    const char *begin = text + strspn(text, " \n"), *middle = memmem(text, (size_t)(end - text), close, strlen(close));
    if (!middle || strncmp(begin, open, strlen(open)) != 0) return SOCLE_OK;
    struct sc_text reasoning = strip_lines(begin + strlen(open), middle), answer = { middle + strlen(close), 0 };
    while (answer.data < end && *answer.data == '\n') answer.data++;
    answer.n_bytes = (size_t)(end - answer.data);
    json_t *first = json_stringn(reasoning.data, reasoning.n_bytes),
           *second = json_stringn(answer.data, answer.n_bytes);
    bool ok = json_object_set_new(message, "reasoning_content", first) == 0;
    return json_object_set_new(message, "content", second) == 0 && ok ? SOCLE_OK : no_memory(err);
}

socle_status sc_conversation_split_reasoning(struct sc_conversation *c, const struct sc_tokenizer *tokenizer,
                                             socle_error *err)
{
    json_t *message;
    size_t i;
    if (sc_tokenizer_find(tokenizer, sc_text_of("</think>")) < 0) return SOCLE_OK;
    json_array_foreach (c->messages, i, message)
        if (sc_message_is_of(message, "assistant") && !json_object_get(message, "reasoning_content"))
            SC_TRY(split_reasoning(message, err));
    return SOCLE_OK;
}
