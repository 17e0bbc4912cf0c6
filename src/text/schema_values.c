// Values that are listed (enum, const), and strings: patterns, formats, lengths.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"

enum { LENGTH_MAX = 2000 }; // of strings that are held to a pattern, too

// ---- listed values

// The shortest decimal that reads as this number.
static struct sc_node *literal_real(struct sc_schema *s, double value)
{
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        double read = strtod(text, NULL);
        if (!(read < value) && !(read > value)) break;
    }
    return sc_node_string(s->b, text);
}

static struct sc_node *literal_list(struct sc_schema *s, const json_t *value)
{
    struct sc_node_list parts = { 0 };
    const char *key;
    json_t *child;
    size_t i;
    bool is_object = json_is_object(value);
    json_object_foreach ((json_t *)(uintptr_t)value, key, child) {
        json_t *name = json_string(key);
        if (parts.n) sc_node_list_add(s->b, &parts, sc_json_comma(s->b));
        if (name) sc_node_list_add(s->b, &parts, sc_schema_literal(s, name));
        sc_node_list_add(s->b, &parts, sc_json_colon(s->b));
        sc_node_list_add(s->b, &parts, sc_schema_literal(s, child));
        json_decref(name);
    }
    json_array_foreach (value, i, child) {
        if (parts.n) sc_node_list_add(s->b, &parts, sc_json_comma(s->b));
        sc_node_list_add(s->b, &parts, sc_schema_literal(s, child));
    }
    if (sc_builder_failed(s->b)) return NULL;
    struct sc_node *contents = sc_node_sequence(s->b, parts.items, parts.n);
    return sc_json_wrap(s->b, is_object ? "{" : "[", contents, is_object ? "}" : "]");
}

struct sc_node *sc_schema_literal(struct sc_schema *s, const json_t *value)
{
    if (sc_builder_failed(s->b)) return NULL;
    if (json_is_real(value)) return literal_real(s, json_real_value(value));
    if (json_is_object(value) || json_is_array(value)) {
        if (++s->depth > SC_SCHEMA_DEPTH_MAX)
            return sc_builder_fail(s->b, SOCLE_UNSUPPORTED, "%s: a value is nested too deeply", s->where);
        struct sc_node *node = literal_list(s, value);
        s->depth--;
        return node;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    struct sc_node *node = text ? sc_node_string(s->b, text) : sc_builder_no_memory(s->b);
    free(text);
    return node;
}

json_t *sc_schema_enumerate(struct sc_schema *s, const struct sc_conjunction *all)
{
    json_t *left = json_array(), *one;
    const json_t *source = NULL;
    for (size_t i = 0; i < all->n && !source; i++) {
        const json_t *value = json_object_get(all->items[i].schema, "const");
        source = json_object_get(all->items[i].schema, "enum");
        if (source && !json_is_array(source))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, all->items[i].pointer, "enum", "expected a list");
        if (value) source = sc_schema_keep(s, json_pack("[O]", (json_t *)(uintptr_t)value));
    }
    size_t k;
    json_array_foreach (source, k, one) {
        enum sc_verdict verdict = SC_YES;
        for (size_t i = 0; i < all->n && verdict == SC_YES; i++) {
            const struct sc_conjunct *c = &all->items[i];
            verdict = sc_schema_check(s, c->schema, c->pointer, one, 0);
            if (verdict == SC_UNKNOWN)
                sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, NULL,
                               "whether the listed values satisfy the keywords beside them cannot be told");
        }
        for (size_t i = 0; i < json_array_size(left) && verdict == SC_YES; i++)
            if (sc_json_equal(json_array_get(left, i), one)) verdict = SC_NO;
        if (verdict == SC_YES) json_array_append(left, one);
    }
    if (source && left && !sc_builder_failed(s->b)) return left;
    json_decref(left);
    return NULL;
}

struct sc_node *sc_schema_values(struct sc_schema *s, const struct sc_conjunction *all, bool *is_enumerated)
{
    json_t *values = sc_schema_enumerate(s, all);
    struct sc_node_list choices = { 0 };
    *is_enumerated = values != NULL;
    for (size_t i = 0; i < json_array_size(values); i++)
        sc_node_list_add(s->b, &choices, sc_schema_literal(s, json_array_get(values, i)));
    json_decref(values);
    return sc_builder_failed(s->b) || !*is_enumerated ? NULL : sc_node_choice(s->b, choices.items, choices.n);
}

// ---- sets of strings

const struct sc_dfa *sc_schema_pattern(struct sc_schema *s, const char *pattern, size_t n, const char *pointer)
{
    bool failed_before = sc_builder_failed(s->b);
    struct sc_node *node = sc_regex_parse(s->b, (struct sc_text){ pattern, n }, false);
    const struct sc_dfa *dfa = node ? sc_dfa_build(s->b, node, NULL, NULL, NULL) : NULL;
    if (dfa || failed_before) return dfa;
    socle_error why = s->b->error; // told again with the pointer
    s->b->error.status = SOCLE_OK;
    return sc_schema_fail(s, why.status, pointer, NULL, "%.300s", why.message);
}

const struct sc_dfa *sc_schema_any_string(struct sc_schema *s)
{
    static const struct sc_char_range all = { 0, 0x10FFFF };
    struct sc_node *any = sc_node_repeat(s->b, sc_node_set(s->b, &all, 1, false), 0, SC_UNBOUNDED);
    return sc_dfa_build(s->b, any, NULL, NULL, NULL);
}

const struct sc_dfa *sc_schema_text_set(struct sc_schema *s, const char *text, size_t n)
{
    return sc_dfa_build(s->b, sc_node_bytes(s->b, (struct sc_text){ text, n }), NULL, NULL, NULL);
}

// The formats that are enforced, each as a pattern whose texts are all of the format; where a format is wider (comments
// in e-mail addresses), only its usual texts are written. Other formats say nothing, as the specification has it.
#define DATE                                                                                                           \
    "((\\d{3}[1-9]|\\d{2}[1-9]\\d|\\d[1-9]\\d{2}|[1-9]\\d{3})-"                                                        \
    "((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))"                \
    "|(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)"
#define TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define HEX "[0-9A-Fa-f]"
#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define GROUP HEX "{1,4}"
#define LABEL "[A-Za-z0-9]{1,15}(-[A-Za-z0-9]{1,14}){0,3}"
#define HOST LABEL "(\\." LABEL "){0,3}"
#define NAME "[A-Za-z0-9_+-]{1,20}"
#define URI_CHARACTER "([A-Za-z0-9._~!$&'()*+,;=:@-]|%" HEX "{2})"
#define URI_PATH "(/(" URI_CHARACTER "+(/" URI_CHARACTER "*)*)?)?"
#define URI_REST "(\\?(" URI_CHARACTER "|[/?])*)?(#(" URI_CHARACTER "|[/?])*)?"
#define URI                                                                                                            \
    "[A-Za-z][A-Za-z0-9+.-]{0,20}:(//" HOST "(:\\d{1,5})?" URI_PATH "|" URI_CHARACTER "+(/" URI_CHARACTER              \
    "*)*)" URI_REST
#define POINTER "(/([^/~]|~[01])*)*"
#define DURATION_TIME "T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S)"
#define DURATION_DATE "(\\d{1,9}Y(\\d{1,9}M(\\d{1,9}D)?)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D)"

static const struct {
    const char *name, *pattern;
} formats[] = {
    { "date", DATE },
    { "time", TIME },
    { "date-time", DATE "T" TIME },
    { "duration", "P(" DURATION_DATE "(" DURATION_TIME ")?|" DURATION_TIME "|\\d{1,9}W)" },
    { "uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}" },
    { "ipv4", OCTET "(\\." OCTET "){3}" },
    { "ipv6", "((" GROUP ":){7}" GROUP "|(" GROUP ":){1,7}:|(" GROUP ":){1,6}:" GROUP "|(" GROUP ":){1,5}(:" GROUP
              "){1,2}|(" GROUP ":){1,4}(:" GROUP "){1,3}|(" GROUP ":){1,3}(:" GROUP "){1,4}|(" GROUP ":){1,2}(:" GROUP
              "){1,5}|" GROUP ":(:" GROUP "){1,6}|:((:" GROUP "){1,7}|:))" },
    { "hostname", HOST },
    { "idn-hostname", HOST },
    { "email", NAME "(\\." NAME "){0,2}@" HOST },
    { "idn-email", NAME "(\\." NAME "){0,2}@" HOST },
    { "uri", URI },
    { "iri", URI },
    { "uri-reference", "(" URI "|" URI_PATH URI_REST ")" },
    { "iri-reference", "(" URI "|" URI_PATH URI_REST ")" },
    { "uri-template", "(" URI "|" URI_PATH URI_REST ")" },
    { "json-pointer", POINTER },
    { "relative-json-pointer", "(0|[1-9]\\d{0,8})(#|" POINTER ")" },
};

const struct sc_dfa *sc_schema_format(struct sc_schema *s, const char *name)
{
    for (size_t i = 0; i < SC_COUNT(formats); i++)
        if (strcmp(name, formats[i].name) == 0)
            return sc_dfa_build(s->b, sc_regex_parse(s->b, sc_text_of(formats[i].pattern), true), NULL, NULL, NULL);
    return NULL;
}

static void keep_only(struct sc_schema *s, const struct sc_dfa **set, const struct sc_dfa *more)
{
    if (more) *set = *set ? sc_dfa_intersect(s->b, *set, more) : more;
}

static void leave_out(struct sc_schema *s, const struct sc_dfa **set, const struct sc_dfa *less)
{
    if (less && !*set) *set = sc_schema_any_string(s);
    if (less && *set) *set = sc_dfa_subtract(s->b, *set, less);
}

static void apply_denials(struct sc_schema *s, const struct sc_conjunct *c, const struct sc_dfa **set)
{
    const json_t *negated = c->done & SC_DONE_NOT ? NULL : json_object_get(c->schema, "not");
    const json_t *pattern = json_object_get(negated, "pattern"), *one = json_object_get(negated, "const");
    const json_t *values = json_object_get(negated, "enum");
    if (json_is_string(pattern))
        leave_out(s, set,
                  sc_schema_pattern(s, json_string_value(pattern), json_string_length(pattern),
                                    sc_schema_at(s, c->pointer, "not")));
    for (size_t i = 0; i < (one ? 1 : json_array_size(values)); i++) {
        const json_t *value = one ? one : json_array_get(values, i);
        if (json_is_string(value))
            leave_out(s, set, sc_schema_text_set(s, json_string_value(value), json_string_length(value)));
    }
}

// Patterns, formats and denials; *set stays NULL when there are none.
static void gather_set(struct sc_schema *s, const struct sc_conjunction *all, const struct sc_dfa **set, uint32_t *min,
                       uint32_t *max)
{
    *min = 0;
    *max = SC_UNBOUNDED;
    for (size_t i = 0; i < all->n && !sc_builder_failed(s->b); i++) {
        const struct sc_conjunct *c = &all->items[i];
        const json_t *pattern = json_object_get(c->schema, "pattern"), *format = json_object_get(c->schema, "format");
        uint32_t count;
        if (sc_schema_count(s, c, "minLength", &count)) *min = SC_MAX(*min, count);
        if (sc_schema_count(s, c, "maxLength", &count)) *max = SC_MIN(*max, count);
        if ((pattern && !json_is_string(pattern)) || (format && !json_is_string(format)))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, pattern ? "pattern" : "format", "expected a text");
        if (format && json_is_string(format) && strcmp(json_string_value(format), "regex") == 0)
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "format", "regular expressions are no regular set");
        if (sc_builder_failed(s->b)) return;
        if (pattern)
            keep_only(s, set,
                      sc_schema_pattern(s, json_string_value(pattern), json_string_length(pattern),
                                        sc_schema_at(s, c->pointer, "pattern")));
        if (format) keep_only(s, set, sc_schema_format(s, json_string_value(format)));
        apply_denials(s, c, set);
    }
}

static const struct sc_dfa *of_length(struct sc_schema *s, const struct sc_conjunction *all, uint32_t min, uint32_t max)
{
    static const struct sc_char_range any = { 0, 0x10FFFF };
    if (min > LENGTH_MAX || (max != SC_UNBOUNDED && max > LENGTH_MAX))
        return sc_schema_fail(s, SOCLE_UNSUPPORTED, all->items[0].pointer, min > LENGTH_MAX ? "minLength" : "maxLength",
                              "more than %d, together with a pattern, a format or denied values", LENGTH_MAX);
    struct sc_node *node = sc_node_repeat(s->b, sc_node_set(s->b, &any, 1, false), min, max);
    return sc_dfa_build(s->b, node, NULL, NULL, NULL);
}

const struct sc_dfa *sc_schema_string_set(struct sc_schema *s, const struct sc_conjunction *all, bool *is_any)
{
    const struct sc_dfa *set = NULL;
    uint32_t min, max;
    gather_set(s, all, &set, &min, &max);
    if (min > 0 || max != SC_UNBOUNDED) keep_only(s, &set, of_length(s, all, min, max));
    *is_any = !set && !sc_builder_failed(s->b);
    return sc_builder_failed(s->b) ? NULL : set;
}

struct sc_node *sc_schema_string(struct sc_schema *s, const struct sc_conjunction *all)
{
    const struct sc_dfa *set = NULL;
    uint32_t min, max;
    gather_set(s, all, &set, &min, &max);
    if (sc_builder_failed(s->b)) return NULL;
    if (!set) return sc_json_string_limited(s->b, min, max);
    if (min > 0 || max != SC_UNBOUNDED) keep_only(s, &set, of_length(s, all, min, max));
    if (sc_builder_failed(s->b)) return NULL;
    return sc_dfa_is_empty(set) ? sc_node_nothing(s->b) : sc_json_string_of(s->b, set);
}
