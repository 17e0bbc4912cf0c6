// Is this value valid under that schema? Asked while compiling, of the values in enum and const and of the names of
// properties. Where it cannot tell, it says so.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"
#include "text/utf8.h"

bool sc_json_equal(const json_t *x, const json_t *y)
{
    if (json_is_number(x) && json_is_number(y)) {
        if (json_is_integer(x) && json_is_integer(y)) return json_integer_value(x) == json_integer_value(y);
        return !(json_number_value(x) < json_number_value(y)) && !(json_number_value(x) > json_number_value(y));
    }
    if (json_typeof(x) != json_typeof(y)) return false;
    if (json_is_array(x)) {
        if (json_array_size(x) != json_array_size(y)) return false;
        for (size_t i = 0; i < json_array_size(x); i++)
            if (!sc_json_equal(json_array_get(x, i), json_array_get(y, i))) return false;
        return true;
    }
    if (json_is_object(x)) {
        const char *key;
        json_t *value;
        if (json_object_size(x) != json_object_size(y)) return false;
        json_object_foreach ((json_t *)(uintptr_t)x, key, value) {
            const json_t *other = json_object_get(y, key);
            if (!other || !sc_json_equal(value, other)) return false;
        }
        return true;
    }
    return json_equal(x, y);
}

static enum sc_verdict both(enum sc_verdict x, enum sc_verdict y)
{
    return x == SC_NO || y == SC_NO ? SC_NO : x == SC_YES && y == SC_YES ? SC_YES : SC_UNKNOWN;
}

static enum sc_verdict verdict(bool yes) { return yes ? SC_YES : SC_NO; }

static enum sc_verdict check_number(const json_t *schema, const json_t *value)
{
    static const char *const keys[] = { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum" };
    double number = json_number_value(value);
    for (size_t i = 0; i < SC_COUNT(keys); i++) {
        const json_t *bound = json_object_get(schema, keys[i]);
        if (!bound) continue;
        if (!json_is_number(bound)) return SC_UNKNOWN;
        double limit = json_number_value(bound);
        if (i == 0 ? number < limit : i == 1 ? number > limit : i == 2 ? number <= limit : number >= limit)
            return SC_NO;
    }
    const json_t *step = json_object_get(schema, "multipleOf");
    if (!step) return SC_YES;
    if (!json_is_integer(step) || !json_is_integer(value) || json_integer_value(step) <= 0) return SC_UNKNOWN;
    return verdict(json_integer_value(value) % json_integer_value(step) == 0);
}

static size_t count_characters(const json_t *string)
{
    size_t n = 0;
    const char *text = json_string_value(string);
    for (size_t i = 0; i < json_string_length(string); i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static enum sc_verdict check_counts(const json_t *schema, const char *least, const char *most, size_t n)
{
    const json_t *min = json_object_get(schema, least), *max = json_object_get(schema, most);
    if ((min && !json_is_number(min)) || (max && !json_is_number(max))) return SC_UNKNOWN;
    return verdict(!(min && (double)n < json_number_value(min)) && !(max && (double)n > json_number_value(max)));
}

static enum sc_verdict check_string(struct sc_schema *s, const json_t *schema, const char *pointer, const json_t *value)
{
    enum sc_verdict result = check_counts(schema, "minLength", "maxLength", count_characters(value));
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    struct sc_text text = { json_string_value(value), json_string_length(value) };
    // Not every text of a format is in its set.
    const struct sc_dfa *set = json_is_string(format) ? sc_schema_format(s, json_string_value(format)) : NULL;
    bool is_regex = json_is_string(format) && strcmp(json_string_value(format), "regex") == 0;
    if (is_regex || (set && !sc_dfa_matches(set, text))) result = both(result, SC_UNKNOWN);
    if (!pattern) return result;
    if (!json_is_string(pattern)) return SC_UNKNOWN;
    const struct sc_dfa *dfa = sc_schema_pattern(s, json_string_value(pattern), json_string_length(pattern), pointer);
    if (!dfa) return SC_UNKNOWN;
    return both(result, verdict(sc_dfa_matches(dfa, text)));
}

static enum sc_verdict check_member(struct sc_schema *s, const json_t *schema, const char *pointer, const char *key,
                                    const json_t *value, unsigned depth)
{
    enum sc_verdict result = SC_YES;
    bool evaluated = false;
    const json_t *own = json_object_get(json_object_get(schema, "properties"), key);
    if (own) {
        evaluated = true;
        result = both(result, sc_schema_check(s, own, pointer, value, depth + 1));
    }
    const char *pattern;
    json_t *theirs;
    json_object_foreach (json_object_get(schema, "patternProperties"), pattern, theirs) {
        const struct sc_dfa *dfa = sc_schema_pattern(s, pattern, strlen(pattern), pointer);
        if (!dfa) return SC_UNKNOWN;
        if (!sc_dfa_matches(dfa, sc_text_of(key))) continue;
        evaluated = true;
        result = both(result, sc_schema_check(s, theirs, pointer, value, depth + 1));
    }
    const json_t *rest = json_object_get(schema, "additionalProperties");
    if (!evaluated && rest) result = both(result, sc_schema_check(s, rest, pointer, value, depth + 1));
    const json_t *names = json_object_get(schema, "propertyNames");
    json_t *name = names ? json_string(key) : NULL;
    if (names) result = both(result, name ? sc_schema_check(s, names, pointer, name, depth + 1) : SC_UNKNOWN);
    json_decref(name);
    return result;
}

static enum sc_verdict check_object(struct sc_schema *s, const json_t *schema, const char *pointer, const json_t *value,
                                    unsigned depth)
{
    static const char *const beyond[] = { "dependentRequired", "dependentSchemas", "unevaluatedProperties" };
    enum sc_verdict result = check_counts(schema, "minProperties", "maxProperties", json_object_size(value));
    size_t i;
    json_t *name, *member;
    const char *key;
    for (size_t k = 0; k < SC_COUNT(beyond); k++)
        if (json_object_get(schema, beyond[k])) result = both(result, SC_UNKNOWN);
    json_array_foreach (json_object_get(schema, "required"), i, name)
        if (!json_is_string(name) || !json_object_get(value, json_string_value(name))) return SC_NO;
    json_object_foreach ((json_t *)(uintptr_t)value, key, member)
        result = both(result, check_member(s, schema, pointer, key, member, depth));
    return result;
}

static enum sc_verdict check_array(struct sc_schema *s, const json_t *schema, const char *pointer, const json_t *value,
                                   unsigned depth)
{
    static const char *const beyond[] = { "contains", "unevaluatedItems" };
    enum sc_verdict result = check_counts(schema, "minItems", "maxItems", json_array_size(value));
    const json_t *first = json_object_get(schema, "prefixItems"), *rest = json_object_get(schema, "items");
    for (size_t k = 0; k < SC_COUNT(beyond); k++)
        if (json_object_get(schema, beyond[k])) result = both(result, SC_UNKNOWN);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *own = i < json_array_size(first) ? json_array_get(first, i) : rest;
        const json_t *item = json_array_get(value, i);
        if (own) result = both(result, sc_schema_check(s, own, pointer, item, depth + 1));
        for (size_t k = 0; json_is_true(json_object_get(schema, "uniqueItems")) && k < i; k++)
            if (sc_json_equal(item, json_array_get(value, k))) return SC_NO;
    }
    return result;
}

static enum sc_verdict check_choices(struct sc_schema *s, const json_t *schema, const char *pointer,
                                     const json_t *value, unsigned depth)
{
    enum sc_verdict result = SC_YES;
    size_t i, n_yes = 0, n_unknown = 0;
    json_t *one;
    const json_t *any = json_object_get(schema, "anyOf"), *single = json_object_get(schema, "oneOf");
    json_array_foreach (json_object_get(schema, "allOf"), i, one)
        result = both(result, sc_schema_check(s, one, pointer, value, depth + 1));
    json_array_foreach (any, i, one) {
        enum sc_verdict v = sc_schema_check(s, one, pointer, value, depth + 1);
        n_yes += v == SC_YES;
        n_unknown += v == SC_UNKNOWN;
    }
    if (any) result = both(result, n_yes ? SC_YES : n_unknown ? SC_UNKNOWN : SC_NO);
    n_yes = n_unknown = 0;
    json_array_foreach (single, i, one) {
        enum sc_verdict v = sc_schema_check(s, one, pointer, value, depth + 1);
        n_yes += v == SC_YES;
        n_unknown += v == SC_UNKNOWN;
    }
    if (single) result = both(result, n_yes > 1 ? SC_NO : n_unknown ? SC_UNKNOWN : verdict(n_yes == 1));
    const json_t *negated = json_object_get(schema, "not");
    if (negated) {
        enum sc_verdict v = sc_schema_check(s, negated, pointer, value, depth + 1);
        result = both(result, v == SC_UNKNOWN ? v : verdict(v == SC_NO));
    }
    const json_t *test = json_object_get(schema, "if");
    if (!test) return result;
    enum sc_verdict tested = sc_schema_check(s, test, pointer, value, depth + 1);
    const json_t *then = json_object_get(schema, tested == SC_YES ? "then" : "else");
    if (tested == SC_UNKNOWN) return both(result, tested);
    return then ? both(result, sc_schema_check(s, then, pointer, value, depth + 1)) : result;
}

static enum sc_verdict check_values(struct sc_schema *s, const json_t *schema, const char *pointer, const json_t *value)
{
    const json_t *types = json_object_get(schema, "type"), *one = json_object_get(schema, "const");
    const json_t *values = json_object_get(schema, "enum");
    if (types && !(sc_schema_types(s, types, pointer) & sc_json_type_of(value))) return SC_NO;
    if (one && !sc_json_equal(one, value)) return SC_NO;
    bool found = !values;
    for (size_t i = 0; i < json_array_size(values) && !found; i++)
        found = sc_json_equal(json_array_get(values, i), value);
    return verdict(found);
}

enum sc_verdict sc_schema_check(struct sc_schema *s, const json_t *schema, const char *pointer, const json_t *value,
                                unsigned depth)
{
    if (depth > 30 || sc_builder_failed(s->b) || !sc_builder_work(s->b, 100)) return SC_UNKNOWN;
    if (json_is_boolean(schema)) return verdict(json_is_true(schema));
    if (!json_is_object(schema)) return SC_UNKNOWN;
    enum sc_verdict result = check_values(s, schema, pointer, value);
    if (result == SC_NO) return result;
    const json_t *reference = json_object_get(schema, "$ref");
    const char *target_pointer;
    if (reference) {
        const json_t *target = json_is_string(reference)
                                   ? sc_schema_resolve(s, json_string_value(reference), pointer, &target_pointer)
                                   : NULL;
        if (!target) return SC_UNKNOWN;
        result = both(result, sc_schema_check(s, target, target_pointer, value, depth + 1));
    }
    if (json_is_number(value)) result = both(result, check_number(schema, value));
    if (json_is_string(value)) result = both(result, check_string(s, schema, pointer, value));
    if (json_is_object(value)) result = both(result, check_object(s, schema, pointer, value, depth));
    if (json_is_array(value)) result = both(result, check_array(s, schema, pointer, value, depth));
    return both(result, check_choices(s, schema, pointer, value, depth));
}
