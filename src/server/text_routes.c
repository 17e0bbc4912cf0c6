// POST /tokenize, /detokenize and /apply-template: a model's text side.
#include <stdlib.h>
#include <string.h>

#include "server/chat_inputs.h"

static json_t *ids_json(const int32_t *ids, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
    return list;
}

void serve_tokenize(struct exchange *ex, const char *path)
{
    const json_t *content = json_object_get(ex->json, "content");
    bool add_special = false, parse_special = true;
    struct served_model *model;
    socle_error err;
    int32_t *ids;
    size_t n_ids;
    (void)path;
    if (!content) content = json_object_get(ex->json, "prompt");
    if (!json_is_string(content)) {
        exchange_fail(ex, 400, "missing_required_parameter", "content",
                      "Missing required parameter: 'content', a string.");
        return;
    }
    if (!read_flag(ex, ex->json, "add_special", &add_special) ||
        !read_flag(ex, ex->json, "parse_special", &parse_special) || !(model = take_model(ex)))
        return;
    unsigned flags = (add_special ? SOCLE_ADD_SPECIAL : 0u) | (parse_special ? SOCLE_PARSE_SPECIAL : 0u);
    socle_status status = socle_tokenize(model->model, json_string_value(content), json_string_length(content), flags,
                                         &ids, &n_ids, &err);
    served_models_give(ex->server->models, model);
    if (status != SOCLE_OK) {
        exchange_fail(ex, http_status_of(status), NULL, "content", "%s", err.message);
        return;
    }
    exchange_reply_json(ex, 200, json_pack("{s:o, s:I}", "tokens", ids_json(ids, n_ids), "count", (json_int_t)n_ids));
    socle_free(ids);
}

void serve_detokenize(struct exchange *ex, const char *path)
{
    const json_t *tokens = json_object_get(ex->json, "tokens"), *token;
    struct served_model *model;
    socle_error err;
    size_t i, n_bytes, n = json_array_size(tokens);
    char *text;
    (void)path;
    if (!json_is_array(tokens)) {
        exchange_fail(ex, 400, "missing_required_parameter", "tokens",
                      "Missing required parameter: 'tokens', an array.");
        return;
    }
    int32_t *ids = calloc(n + 1, sizeof *ids);
    bool ok = ids != NULL;
    json_array_foreach (tokens, i, token) {
        json_int_t id = json_integer_value(token);
        ok = ok && json_is_integer(token) && id >= 0 && id <= INT32_MAX;
        if (ok) ids[i] = (int32_t)id;
    }
    if (!ok) exchange_fail(ex, 400, "invalid_type", "tokens", "Invalid 'tokens': expected numbers of tokens.");
    if (ok && (model = take_model(ex))) {
        socle_status status = socle_detokenize(model->model, ids, n, true, &text, &n_bytes, &err);
        served_models_give(ex->server->models, model);
        if (status == SOCLE_OK) {
            exchange_reply_json(ex, 200, json_pack("{s:o}", "content", json_stringn(text, n_bytes)));
            socle_free(text);
        } else {
            exchange_fail(ex, http_status_of(status), NULL, "tokens", "%s", err.message);
        }
    }
    free(ids);
}

void serve_apply_template(struct exchange *ex, const char *path)
{
    struct chat_inputs in;
    struct served_model *model;
    int32_t *ids;
    size_t n_ids;
    char *text;
    (void)path;
    if (!chat_inputs_of_openai(ex, &in)) return;
    if ((model = take_model(ex))) {
        if (chat_encode(ex, model, &in, &ids, &n_ids, &text)) {
            exchange_reply_json(ex, 200, json_pack("{s:s, s:o}", "prompt", text, "tokens", ids_json(ids, n_ids)));
            socle_free(ids);
            socle_free(text);
        }
        served_models_give(ex->server->models, model);
    }
    chat_inputs_free(&in);
}
