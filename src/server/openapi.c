// GET /openapi.json: the interfaces described, from the list of routes and a table of what requests may hold.
#include <stdlib.h>
#include <string.h>

#include "server/http.h"

struct field {
    const char *schema, *name, *type; // types joined by '|'
    bool required;
    const char *what;
};

static const struct field fields[] = {
    { "Sampling", "temperature", "number", false, "0 to 2; 0: always the most probable token. Default 1" },
    { "Sampling", "top_p", "number", false, "0 to 1: the most probable tokens that together have this probability" },
    { "Sampling", "top_k", "integer", false, "the k most probable tokens; 0: all" },
    { "Sampling", "min_p", "number", false, "tokens at least this probable, beside the most probable one" },
    { "Sampling", "typical_p", "number", false, "locally typical sampling; 1: off" },
    { "Sampling", "frequency_penalty", "number", false, "-2 to 2" },
    { "Sampling", "presence_penalty", "number", false, "-2 to 2" },
    { "Sampling", "repetition_penalty", "number", false, "1: off" },
    { "Sampling", "dry_multiplier", "number", false, "DRY: penalty of repetitions; 0: off" },
    { "Sampling", "dry_base", "number", false, "DRY: growth with length" },
    { "Sampling", "dry_allowed_length", "integer", false, "DRY: lengths that are free" },
    { "Sampling", "logit_bias", "object", false, "token numbers with -100 to 100, added to their logits; -100 bans" },
    { "Sampling", "grammar", "string", false, "a GBNF grammar that the answer is held to" },
    { "Sampling", "guided_regex", "string", false, "a regular expression that the answer is held to" },
    { "Sampling", "guided_json", "object", false, "a JSON Schema that the answer is held to" },
    { "Sampling", "seed", "integer", false, "the same seed draws the same tokens" },
    { "Sampling", "ignore_eos", "boolean", false, "go on past the token that ends an answer" },
    { "Sampling", "lora", "array", false, "how much of each adapter: [{\"id\": 0, \"scale\": 0.5}]" },
    { "Sampling", "stream", "boolean", false, "server-sent events" },
    { "ChatCompletionRequest", "messages", "array", true, "the conversation" },
    { "ChatCompletionRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "ChatCompletionRequest", "max_tokens", "integer", false, "of the answer" },
    { "ChatCompletionRequest", "max_completion_tokens", "integer", false, "the same" },
    { "ChatCompletionRequest", "n", "integer", false, "answers, 1 to 16" },
    { "ChatCompletionRequest", "stop", "string|array", false, "up to 16 strings that end the answer" },
    { "ChatCompletionRequest", "stream_options", "object", false, "include_usage" },
    { "ChatCompletionRequest", "logprobs", "boolean", false, "probabilities of the answer's tokens" },
    { "ChatCompletionRequest", "top_logprobs", "integer", false, "and of so many others, 0 to 20" },
    { "ChatCompletionRequest", "tools", "array", false, "functions that the model may call" },
    { "ChatCompletionRequest", "tool_choice", "string|object", false, "none, auto, required, or a function" },
    { "ChatCompletionRequest", "response_format", "object", false, "text, json_object, or json_schema" },
    { "ChatCompletionRequest", "reasoning_effort", "string", false, "for templates that know it" },
    { "ChatCompletionRequest", "chat_template_kwargs", "object", false, "further variables of the template" },
    { "CompletionRequest", "prompt", "string|array", true, "a text, numbers of tokens, or up to 128 of these" },
    { "CompletionRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "CompletionRequest", "max_tokens", "integer", false, "default 16; 0 with echo: judge the prompt alone" },
    { "CompletionRequest", "echo", "boolean", false, "give the prompt back before the answer" },
    { "CompletionRequest", "logprobs", "integer", false, "0 to 20, with echo of the prompt's tokens, too" },
    { "CompletionRequest", "n", "integer", false, "answers, 1 to 16" },
    { "CompletionRequest", "stop", "string|array", false, "up to 16 strings that end the answer" },
    { "EmbeddingsRequest", "input", "string|array", true, "a text, numbers of tokens, or up to 2048 of these" },
    { "EmbeddingsRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "EmbeddingsRequest", "dimensions", "integer", false, "the first so many; default: all" },
    { "EmbeddingsRequest", "encoding_format", "string", false, "float, or base64 of little-endian binary32" },
    { "ResponseRequest", "input", "string|array", true, "text, or items of a conversation" },
    { "ResponseRequest", "instructions", "string", false, "the system's message" },
    { "ResponseRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "ResponseRequest", "max_output_tokens", "integer", false, "of the answer" },
    { "ResponseRequest", "tools", "array", false, "functions that the model may call" },
    { "ResponseRequest", "reasoning", "object", false, "effort" },
    { "MessagesRequest", "messages", "array", true, "the conversation, of user and assistant" },
    { "MessagesRequest", "max_tokens", "integer", true, "of the answer" },
    { "MessagesRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "MessagesRequest", "system", "string|array", false, "the system's message" },
    { "MessagesRequest", "stop_sequences", "array", false, "up to 16 strings that end the answer" },
    { "MessagesRequest", "tools", "array", false, "name, description, input_schema" },
    { "MessagesRequest", "tool_choice", "object", false, "auto, any, tool, none" },
    { "MessagesRequest", "thinking", "object", false, "enabled or disabled, for templates that know it" },
    { "CountTokensRequest", "messages", "array", true, "the conversation" },
    { "CountTokensRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "CountTokensRequest", "system", "string|array", false, "the system's message" },
    { "CountTokensRequest", "tools", "array", false, "name, description, input_schema" },
    { "TokenizeRequest", "content", "string", true, "the text" },
    { "TokenizeRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "TokenizeRequest", "add_special", "boolean", false, "add the tokens that begin and end a text. Default false" },
    { "TokenizeRequest", "parse_special", "boolean", false, "read special tokens in the text. Default true" },
    { "DetokenizeRequest", "tokens", "array", true, "numbers of tokens" },
    { "DetokenizeRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "ApplyTemplateRequest", "messages", "array", true, "the conversation" },
    { "ApplyTemplateRequest", "model", "string", false, "as /v1/models lists it; default: the first" },
    { "ApplyTemplateRequest", "tools", "array", false, "functions that the model may call" },
};

// What a route is for, and its request's schema.
static const struct {
    const char *path, *summary, *schema;
    bool samples;
} routes[] = {
    { "/health", "Is the process alive?", NULL, false },
    { "/ready", "Would a request be answered?", NULL, false },
    { "/metrics", "Counters and gauges in Prometheus' text format", NULL, false },
    { "/status.json", "What the status page shows", NULL, false },
    { "/openapi.json", "This description", NULL, false },
    { "/v1/models", "The models there are", NULL, false },
    { "/v1/models/{id}", "One model", NULL, false },
    { "/v1/chat/completions", "An answer in a conversation (OpenAI)", "ChatCompletionRequest", true },
    { "/v1/completions", "A text continued (OpenAI)", "CompletionRequest", true },
    { "/v1/embeddings", "Texts as vectors of length 1 (OpenAI)", "EmbeddingsRequest", false },
    { "/v1/responses", "An answer in a conversation (OpenAI Responses)", "ResponseRequest", true },
    { "/v1/messages", "An answer in a conversation (Anthropic)", "MessagesRequest", true },
    { "/v1/messages/count_tokens", "How many tokens a conversation has (Anthropic)", "CountTokensRequest", false },
    { "/tokenize", "Text to numbers of tokens", "TokenizeRequest", false },
    { "/detokenize", "Numbers of tokens to text", "DetokenizeRequest", false },
    { "/apply-template", "A conversation as the model reads it", "ApplyTemplateRequest", false },
};

static json_t *type_json(const char *types)
{
    const char *bar = strchr(types, '|');
    if (!bar) return json_string(types);
    return json_pack("[s#, s]", types, (int)(bar - types), bar + 1);
}

static json_t *schemas_json(void)
{
    json_t *schemas = json_object();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct field *f = &fields[i];
        json_t *schema = json_object_get(schemas, f->schema);
        if (!schema) {
            schema = json_pack("{s:s, s:{}, s:[]}", "type", "object", "properties", "required");
            json_object_set_new(schemas, f->schema, schema);
        }
        json_object_set_new(json_object_get(schema, "properties"), f->name,
                            json_pack("{s:o, s:s}", "type", type_json(f->type), "description", f->what));
        if (f->required) json_array_append_new(json_object_get(schema, "required"), json_string(f->name));
    }
    return schemas;
}

static json_t *operation_json(size_t i)
{
    json_t *operation = json_pack("{s:s, s:{s:{s:s}, s:{s:s}}}", "summary", routes[i].summary, "responses", "200",
                                  "description", "The answer", "default", "description", "An error object");
    if (!routes[i].schema) return operation;
    char name[80];
    snprintf(name, sizeof name, "#/components/schemas/%s", routes[i].schema);
    json_t *schema = json_pack("{s:s}", "$ref", name);
    if (routes[i].samples)
        schema = json_pack("{s:[o, {s:s}]}", "allOf", schema, "$ref", "#/components/schemas/Sampling");
    json_object_set_new(
        operation, "requestBody",
        json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content", "application/json", "schema", schema));
    return operation;
}

static const struct route *route_of(const char *path)
{
    const struct route *route;
    for (size_t i = 0; (route = http_route_at(i)); i++) {
        size_t n = strcspn(route->path, "*");
        if (strcmp(route->path, path) == 0 || (route->path[n] && strncmp(route->path, path, n) == 0 && path[n] == '{'))
            return route;
    }
    return NULL;
}

void serve_openapi(struct exchange *ex, const char *path)
{
    json_t *paths = json_object();
    (void)path;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *route = route_of(routes[i].path);
        if (!route) continue;
        bool has_id = strchr(routes[i].path, '{') != NULL;
        json_t *operation = operation_json(i);
        if (has_id)
            json_object_set_new(operation, "parameters",
                                json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", "id", "in", "path", "required", 1,
                                          "schema", "type", "string"));
        if (*route->scope) json_object_set_new(operation, "security", json_pack("[{s:[]}]", "key"));
        json_object_set_new(paths, routes[i].path,
                            json_pack("{s:o}", strcmp(route->method, "GET") == 0 ? "get" : "post", operation));
    }
    json_t *json = json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:o, s:{s:{s:s, s:s}}}}", "openapi", "3.1.0", "info",
                             "title", "Socle", "version", socle_version(), "description",
                             "Open-weight language models on your own machine", "paths", paths, "components", "schemas",
                             schemas_json(), "securitySchemes", "key", "type", "http", "scheme", "bearer");
    exchange_reply_json(ex, 200, json);
}
