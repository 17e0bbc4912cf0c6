#include "server/sampling.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/size.h"

// ---- values

static const char *type_name(const json_t *value)
{
    static const char *const names[] = { "an object", "an array", "a string", "an integer",
                                         "a number",  "true",     "false",    "null" };
    return names[json_typeof(value)];
}

static bool wrong_type(struct exchange *ex, const char *name, const char *expected, const json_t *found)
{
    exchange_fail(ex, 400, "invalid_type", name, "Invalid type for '%s': expected %s, but got %s instead.", name,
                  expected, type_name(found));
    return false;
}

static bool is_absent(const json_t *value) { return !value || json_is_null(value); }

bool read_number(struct exchange *ex, const json_t *object, const char *name, double min, double max, double *out)
{
    const json_t *value = json_object_get(object, name);
    if (is_absent(value)) return true;
    if (!json_is_number(value)) return wrong_type(ex, name, "a number", value);
    double x = json_number_value(value);
    if (!(x >= min && x <= max)) {
        exchange_fail(ex, 400, x < min ? "decimal_below_min_value" : "decimal_above_max_value", name,
                      "Invalid '%s': expected a value from %g to %g, but got %g instead.", name, min, max, x);
        return false;
    }
    *out = x;
    return true;
}

bool read_count(struct exchange *ex, const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);
    if (is_absent(value)) return true;
    if (!json_is_integer(value)) return wrong_type(ex, name, "an integer", value);
    json_int_t x = json_integer_value(value);
    if (x < 0 ? true : (uint64_t)x < min || (uint64_t)x > max) {
        exchange_fail(ex, 400, x < (json_int_t)min ? "integer_below_min_value" : "integer_above_max_value", name,
                      "Invalid '%s': expected a value from %llu to %llu, but got %lld instead.", name,
                      (unsigned long long)min, (unsigned long long)max, (long long)x);
        return false;
    }
    *out = (uint64_t)x;
    return true;
}

bool read_flag(struct exchange *ex, const json_t *object, const char *name, bool *out)
{
    const json_t *value = json_object_get(object, name);
    if (is_absent(value)) return true;
    if (!json_is_boolean(value)) return wrong_type(ex, name, "a boolean", value);
    *out = json_is_true(value);
    return true;
}

bool read_string(struct exchange *ex, const json_t *object, const char *name, const char **out)
{
    const json_t *value = json_object_get(object, name);
    if (is_absent(value)) return true;
    if (!json_is_string(value)) return wrong_type(ex, name, "a string", value);
    *out = json_string_value(value);
    return true;
}

// ---- what requests say

static bool read_stops(struct exchange *ex, const json_t *object, const char *name, struct request_options *o)
{
    const json_t *value = json_object_get(object, name), *item;
    size_t i;
    if (is_absent(value)) return true;
    if (!json_is_string(value) && !json_is_array(value)) return wrong_type(ex, name, "a string or an array", value);
    if (json_array_size(value) > STOPS_MAX) {
        exchange_fail(ex, 400, "array_above_max_length", name, "Invalid '%s': at most %d are taken, but got %zu.", name,
                      STOPS_MAX, json_array_size(value));
        return false;
    }
    if (json_is_string(value)) o->stops[o->n_stops++] = json_string_value(value);
    json_array_foreach (value, i, item) {
        if (!json_is_string(item)) return wrong_type(ex, name, "strings", item);
        o->stops[o->n_stops++] = json_string_value(item);
    }
    for (i = 0; i < o->n_stops; i++) {
        if (*o->stops[i]) continue;
        exchange_fail(ex, 400, "invalid_value", name, "Invalid '%s': an empty string stops nothing.", name);
        return false;
    }
    return true;
}

static bool read_biases(struct exchange *ex, json_t *object, struct request_options *o)
{
    json_t *biases = json_object_get(object, "logit_bias"), *value;
    const char *key;
    if (is_absent(biases)) return true;
    if (!json_is_object(biases)) return wrong_type(ex, "logit_bias", "an object", biases);
    if (json_object_size(biases) > BIASES_MAX) {
        exchange_fail(ex, 400, NULL, "logit_bias", "Invalid 'logit_bias': at most %d tokens are taken.", BIASES_MAX);
        return false;
    }
    json_object_foreach (biases, key, value) {
        char *end;
        errno = 0;
        long token = strtol(key, &end, 10);
        double bias = json_number_value(value);
        if (*end || end == key || errno || token < 0 || token > INT32_MAX || !json_is_number(value) || bias < -100 ||
            bias > 100) {
            exchange_fail(
                ex, 400, "invalid_value", "logit_bias",
                "Invalid 'logit_bias': expected numbers of tokens with values from -100 to 100, but got '%s'.", key);
            return false;
        }
        // -100 bans a token, as OpenAI documents it.
        o->biases[o->sampling.n_bias++] = (socle_logit_bias){ (int32_t)token, bias <= -100 ? -INFINITY : (float)bias };
    }
    o->sampling.bias = o->biases;
    return true;
}

static bool read_float(struct exchange *ex, const json_t *object, const char *name, double min, double max, float *out)
{
    double x = (double)*out;
    if (!read_number(ex, object, name, min, max, &x)) return false;
    *out = (float)x;
    return true;
}

static bool read_u32(struct exchange *ex, const json_t *object, const char *name, uint32_t min, uint32_t max,
                     uint32_t *out)
{
    uint64_t x = *out;
    if (!read_count(ex, object, name, min, max, &x)) return false;
    *out = (uint32_t)x;
    return true;
}

static bool read_seed(struct exchange *ex, const json_t *object, uint64_t *seed)
{
    const json_t *value = json_object_get(object, "seed");
    if (is_absent(value)) return getrandom(seed, sizeof *seed, 0) == sizeof *seed;
    if (!json_is_integer(value)) return wrong_type(ex, "seed", "an integer", value);
    *seed = (uint64_t)json_integer_value(value);
    return true;
}

// OpenAI's fields, and those that llama.cpp's and vLLM's servers added to them.
static bool read_sampling(struct exchange *ex, const json_t *object, socle_sampling *s)
{
    double hottest = ex->route->errors == ERRORS_ANTHROPIC ? 1 : 2;
    return read_float(ex, object, "temperature", 0, hottest, &s->temperature) &&
           read_float(ex, object, "top_p", 0, 1, &s->top_p) && read_u32(ex, object, "top_k", 0, 1 << 30, &s->top_k) &&
           read_float(ex, object, "min_p", 0, 1, &s->min_p) &&
           read_float(ex, object, "typical_p", 0, 1, &s->typical_p) &&
           read_float(ex, object, "frequency_penalty", -2, 2, &s->frequency_penalty) &&
           read_float(ex, object, "presence_penalty", -2, 2, &s->presence_penalty) &&
           read_float(ex, object, "repetition_penalty", 0.01, 100, &s->repetition_penalty) &&
           read_float(ex, object, "dry_multiplier", 0, 100, &s->dry_multiplier) &&
           read_float(ex, object, "dry_base", 1, 100, &s->dry_base) &&
           read_u32(ex, object, "dry_allowed_length", 0, 1 << 20, &s->dry_allowed_length) &&
           read_seed(ex, object, &s->seed);
}

static bool read_stream_options(struct exchange *ex, const json_t *object, struct request_options *o)
{
    const json_t *options = json_object_get(object, "stream_options");
    if (!read_flag(ex, object, "stream", &o->stream) || is_absent(options)) return !ex->is_ready;
    if (!json_is_object(options)) return wrong_type(ex, "stream_options", "an object", options);
    if (!o->stream) {
        exchange_fail(ex, 400, NULL, "stream_options",
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
        return false;
    }
    return read_flag(ex, options, "include_usage", &o->include_usage);
}

// The adapter that {"id": ...} means, by its number or its name; -1 after a reply.
static int find_adapter(struct exchange *ex, const json_t *id)
{
    const struct served_models_options *models = &ex->server->options.models;
    const char *wanted = json_string_value(id);
    for (size_t i = 0; i < models->n_adapters; i++) {
        const char *slash = strrchr(models->adapters[i].path, '/'),
                   *name = slash ? slash + 1 : models->adapters[i].path;
        size_t n = strlen(name);
        if (n > 5 && strcmp(name + n - 5, ".gguf") == 0) n -= 5;
        if (json_is_integer(id) && (size_t)json_integer_value(id) == i) return (int)i;
        if (wanted && strlen(wanted) == n && memcmp(wanted, name, n) == 0) return (int)i;
    }
    exchange_fail(ex, 400, "invalid_value", "lora",
                  "Invalid 'lora': every entry has an 'id', the number or the name of one of the %zu adapters that are "
                  "served.",
                  models->n_adapters);
    return -1;
}

// "lora": [{"id": 0, "scale": 0.5}]: so much of each adapter, and nothing of those that are not named.
static bool read_adapters(struct exchange *ex, const json_t *object, struct request_options *o)
{
    const json_t *list = json_object_get(object, "lora"), *entry;
    size_t i;
    if (is_absent(list)) return true;
    if (!json_is_array(list)) return wrong_type(ex, "lora", "an array", list);
    o->has_adapters = true;
    json_array_foreach (list, i, entry) {
        double scale = 1.0;
        if (!json_is_object(entry)) return wrong_type(ex, "lora", "an array of objects", entry);
        int adapter = find_adapter(ex, json_object_get(entry, "id"));
        if (adapter < 0 || !read_number(ex, entry, "scale", -100, 100, &scale)) return false;
        o->adapters[adapter] = (float)scale;
    }
    return true;
}

bool read_request_options(struct exchange *ex, const json_t *object, const char *stop_name, struct request_options *o)
{
    uint32_t n_predict = ex->server->options.n_predict;
    memset(o, 0, sizeof *o);
    o->n_choices = 1;
    o->sampling = socle_sampling_defaults();
    // What OpenAI's interface draws from when nothing is said: the model's own distribution.
    o->sampling.temperature = 1.0f;
    o->sampling.top_p = 1.0f;
    o->sampling.top_k = 0;
    o->sampling.min_p = 0.0f;
    o->sampling.penalty_last_n = 0;
    if (!read_sampling(ex, object, &o->sampling) || !read_stops(ex, object, stop_name, o)) return false;
    if (!read_biases(ex, ex->json, o) || !read_stream_options(ex, object, o)) return false;
    if (!read_u32(ex, object, "max_tokens", 1, 1 << 30, &n_predict)) return false;
    if (!read_u32(ex, object, "max_completion_tokens", 1, 1 << 30, &n_predict)) return false;
    if (!read_u32(ex, object, "max_output_tokens", 1, 1 << 30, &n_predict)) return false;
    o->n_predict = n_predict;
    if (!read_flag(ex, object, "ignore_eos", &o->ignore_end) || !read_adapters(ex, object, o)) return false;
    return read_u32(ex, object, "n", 1, CHOICES_MAX, &o->n_choices);
}
