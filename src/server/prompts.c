#include "server/prompts.h"

#include <stdlib.h>

#include "server/generation.h"

void prompts_free(struct prompts *prompts)
{
    for (size_t i = 0; i < prompts->n; i++) {
        free(prompts->at[i].ids);
        free(prompts->at[i].text);
    }
    free(prompts->at);
    *prompts = (struct prompts){ 0 };
}

static bool refuse(struct exchange *ex, const char *name)
{
    exchange_fail(ex, 400, "invalid_type", name,
                  "Invalid type for '%s': expected a string, an array of token numbers, or an array of these.", name);
    return false;
}

static bool read_ids(struct exchange *ex, const char *name, const json_t *list, struct prompt *out)
{
    const json_t *id;
    size_t i;
    out->ids = calloc(json_array_size(list) + 1, sizeof *out->ids);
    if (!out->ids) {
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
        return false;
    }
    json_array_foreach (list, i, id) {
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value > INT32_MAX) return refuse(ex, name);
        out->ids[out->n_ids++] = (int32_t)value;
    }
    return true;
}

static bool read_one(struct exchange *ex, const struct served_model *model, const char *name, const json_t *json,
                     bool want_text, struct prompt *out)
{
    socle_status status = SOCLE_OK;
    socle_error err;
    size_t n_bytes;
    if (json_is_string(json))
        status = socle_tokenize(model->model, json_string_value(json), json_string_length(json), SOCLE_ADD_SPECIAL,
                                &out->ids, &out->n_ids, &err);
    else if (!json_is_array(json)) return refuse(ex, name);
    else if (!read_ids(ex, name, json, out)) return false;
    if (status == SOCLE_OK && want_text)
        status = socle_detokenize(model->model, out->ids, out->n_ids, false, &out->text, &n_bytes, &err);
    if (status == SOCLE_OK) return true;
    exchange_fail(ex, http_status_of(status), NULL, name, "%s", err.message);
    return false;
}

bool prompts_read(struct exchange *ex, const struct served_model *model, const char *name, size_t most, bool want_text,
                  struct prompts *out)
{
    json_t *json = json_object_get(ex->json, name);
    bool is_list = json_is_array(json) && !json_is_integer(json_array_get(json, 0));
    size_t n = is_list ? json_array_size(json) : 1;
    *out = (struct prompts){ 0 };
    if (!json || json_is_null(json)) {
        exchange_fail(ex, 400, "missing_required_parameter", name, "Missing required parameter: '%s'.", name);
        return false;
    }
    if (n == 0 || n > most) {
        exchange_fail(ex, 400, n ? "array_above_max_length" : "empty_array", name,
                      "Invalid '%s': expected 1 to %zu items, found %zu.", name, most, n);
        return false;
    }
    out->at = calloc(n, sizeof *out->at);
    if (!out->at) {
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out->n = i + 1;
        if (read_one(ex, model, name, is_list ? json_array_get(json, i) : json, want_text, &out->at[i])) continue;
        prompts_free(out);
        return false;
    }
    return true;
}
