#include <string.h>

#include "train/corpus_internal.h"

const char *sc_json_kind(const json_t *value)
{
    if (!value) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a truth value";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

socle_status sc_corpus_parse(struct sc_text line, json_t **out, socle_error *err)
{
    json_error_t problem;
    // Strings may have NULs, and the line a value of any kind, so that it can be named.
    json_t *value = json_loadb(line.data, line.n_bytes, JSON_ALLOW_NUL | JSON_DECODE_ANY, &problem);
    if (!value && json_error_code(&problem) == json_error_out_of_memory)
        return sc_fail_memory(err, line.n_bytes, "a line of JSON");
    if (!value) {
        bool is_list = line.n_bytes && line.data[strspn(line.data, " \t")] == '[';
        return sc_fail(err, SOCLE_BAD_FILE, "expected one JSON object a line%s; at column %d: %s",
                       is_list ? " (not an array over several)" : "", problem.column, problem.text);
    }
    *out = value;
    if (json_is_object(value)) return SOCLE_OK;
    socle_status status = sc_fail(err, SOCLE_BAD_FILE, "expected one JSON object a line, found %s",
                                  sc_json_kind(value));
    json_decref(value);
    return status;
}

// The keys of an object, as far as they fit.
static void list_keys(const json_t *object, char *out, size_t n_out)
{
    const char *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach ((json_t *)object, key, value) {
        int added = snprintf(out + n, n_out - n, "%s\"%.40s\"", n ? ", " : "", key);
        if (added < 0 || (size_t)added >= n_out - n) {
            out[n] = '\0';
            return;
        }
        n += (size_t)added;
    }
}

socle_status sc_corpus_field(const json_t *object, const char *field, struct sc_text *out, socle_error *err)
{
    const json_t *value = json_object_get(object, field);
    char keys[200] = "";
    if (!value) {
        list_keys(object, keys, sizeof keys);
        return sc_fail(err, SOCLE_BAD_FILE, "expected a text under \"%s\", found no such key%s%s", field,
                       *keys ? "; there are " : "", keys);
    }
    if (!json_is_string(value))
        return sc_fail(err, SOCLE_BAD_FILE, "expected a text under \"%s\", found %s", field, sc_json_kind(value));
    *out = (struct sc_text){ json_string_value(value), json_string_length(value) };
    return SOCLE_OK;
}
