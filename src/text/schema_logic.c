// Denying schemas, telling them apart, and rewriting dependencies: schemas are made from schemas.
//
// "not S" is rewritten by De Morgan's laws until only a single type, const, enum or pattern is denied:
//
//   not {A, B}                 anyOf [not A, not B]         A, B: single keywords
//   not {required: [k]}        an object without k
//   not {properties: {k: P}}   an object with a k that is not P
//   not {minimum: m}           a number below m             and so on for each bound
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"

static bool is_simple_keyword(const char *key)
{
    return strcmp(key, "type") == 0 || strcmp(key, "const") == 0 || strcmp(key, "enum") == 0 ||
           strcmp(key, "pattern") == 0;
}

bool sc_schema_not_is_simple(const json_t *negated)
{
    const char *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach ((json_t *)(uintptr_t)negated, key, value) {
        if (sc_schema_is_annotation(key)) continue;
        if (!is_simple_keyword(key)) return false;
        n++;
    }
    return json_is_object(negated) && n == 1;
}

// ---- what denies one keyword: a new schema; NULL: not known

static json_t *deny_bound(const char *key, const json_t *value)
{
    static const struct {
        const char *key, *type, *denial;
        int step; // added to the number
    } bounds[] = {
        { "minimum", "number", "exclusiveMaximum", 0 },
        { "maximum", "number", "exclusiveMinimum", 0 },
        { "exclusiveMinimum", "number", "maximum", 0 },
        { "exclusiveMaximum", "number", "minimum", 0 },
        { "minLength", "string", "maxLength", -1 },
        { "maxLength", "string", "minLength", 1 },
        { "minItems", "array", "maxItems", -1 },
        { "maxItems", "array", "minItems", 1 },
        { "minProperties", "object", "maxProperties", -1 },
        { "maxProperties", "object", "minProperties", 1 },
    };
    for (size_t i = 0; i < SC_COUNT(bounds); i++) {
        if (strcmp(key, bounds[i].key) != 0 || !json_is_number(value)) continue;
        if (bounds[i].step == 0)
            return json_pack("{s:s, s:O}", "type", bounds[i].type, bounds[i].denial, (json_t *)(uintptr_t)value);
        double bound = json_number_value(value) + bounds[i].step;
        if (bound < 0) return json_false();
        return json_pack("{s:s, s:I}", "type", bounds[i].type, bounds[i].denial, (json_int_t)bound);
    }
    return NULL;
}

// Adds a choice to a list under construction; takes over the reference.
static bool choose(json_t *choices, json_t *choice) { return choice && json_array_append_new(choices, choice) == 0; }

static bool deny_names(json_t *choices, const json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name)
        if (!json_is_string(name) ||
            !choose(choices, json_pack("{s:s, s:{s:b}}", "type", "object", "properties", json_string_value(name), 0)))
            return false;
    return json_is_array(names);
}

static bool deny_properties(json_t *choices, const json_t *properties)
{
    const char *key;
    json_t *schema;
    json_object_foreach ((json_t *)(uintptr_t)properties, key, schema)
        if (!choose(choices, json_pack("{s:s, s:[s], s:{s:{s:O}}}", "type", "object", "required", key, "properties",
                                       key, "not", schema)))
            return false;
    return json_is_object(properties);
}

// Adds to `choices` the ways in which one keyword can fail.
static bool deny_keyword(struct sc_schema *s, json_t *choices, const char *key, json_t *value, const char *pointer)
{
    const char *target_pointer;
    size_t i;
    json_t *one;
    if (is_simple_keyword(key)) return choose(choices, json_pack("{s:{s:O}}", "not", key, value));
    if (strcmp(key, "required") == 0) return deny_names(choices, value);
    if (strcmp(key, "properties") == 0) return deny_properties(choices, value);
    if (strcmp(key, "not") == 0) return choose(choices, json_incref(value));
    if (strcmp(key, "$ref") == 0) {
        const json_t *target = json_is_string(value)
                                   ? sc_schema_resolve(s, json_string_value(value), pointer, &target_pointer)
                                   : NULL;
        return target && choose(choices, json_pack("{s:O}", "not", (json_t *)(uintptr_t)target));
    }
    if (strcmp(key, "allOf") == 0) {
        json_array_foreach (value, i, one)
            if (!choose(choices, json_pack("{s:O}", "not", one))) return false;
        return json_is_array(value);
    }
    if (strcmp(key, "anyOf") == 0) {
        json_t *all = json_array();
        json_array_foreach (value, i, one)
            if (!choose(all, json_pack("{s:O}", "not", one))) return false;
        return choose(choices, json_pack("{s:o}", "allOf", all));
    }
    json_t *denial = deny_bound(key, value);
    return denial && choose(choices, denial);
}

const json_t *sc_schema_negate(struct sc_schema *s, const json_t *negated, const char *pointer)
{
    if (sc_builder_failed(s->b) || !sc_builder_work(s->b, 1000)) return NULL;
    if (json_is_boolean(negated)) return sc_schema_keep(s, json_boolean(json_is_false(negated)));
    if (!json_is_object(negated))
        return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, pointer, NULL, "expected a schema: an object, true or false");
    if (sc_schema_not_is_simple(negated))
        return sc_schema_keep(s, json_pack("{s:O}", "not", (json_t *)(uintptr_t)negated));
    json_t *choices = json_array(), *value;
    const char *key;
    json_object_foreach ((json_t *)(uintptr_t)negated, key, value) {
        if (sc_schema_is_annotation(key)) continue;
        if (!choices || !deny_keyword(s, choices, key, value, pointer)) {
            json_decref(choices);
            return sc_schema_fail(
                s, SOCLE_UNSUPPORTED, pointer, key,
                "this keyword would have to be denied (under not, if or oneOf), which is not possible");
        }
    }
    if (json_array_size(choices) == 0) {
        json_decref(choices);
        return sc_schema_keep(s, json_false());
    }
    return sc_schema_keep(s, json_pack("{s:o}", "anyOf", choices));
}

// ---- dependencies

const json_t *sc_schema_dependent(struct sc_schema *s, const char *key, const json_t *needed)
{
    json_t *with = json_is_array(needed)
                       ? json_pack("{s:[s], s:[{s:O}]}", "required", key, "allOf", "required",
                                   (json_t *)(uintptr_t)needed)
                       : json_pack("{s:[s], s:[O]}", "required", key, "allOf", (json_t *)(uintptr_t)needed);
    if (!with) return sc_builder_no_memory(s->b);
    return sc_schema_keep(s, json_pack("{s:[{s:{s:b}}, o]}", "anyOf", "properties", key, 0, with));
}

// ---- telling schemas apart

static unsigned types_of(struct sc_schema *s, const struct sc_conjunction *all)
{
    unsigned types = SC_TYPE_ALL;
    for (size_t i = 0; i < all->n; i++) {
        const json_t *own = json_object_get(all->items[i].schema, "type");
        const json_t *one = json_object_get(all->items[i].schema, "const");
        const json_t *values = json_object_get(all->items[i].schema, "enum");
        unsigned here = own ? sc_schema_types(s, own, all->items[i].pointer) : SC_TYPE_ALL;
        if (one) here &= sc_json_type_of(one);
        unsigned listed = 0;
        for (size_t k = 0; k < json_array_size(values); k++) listed |= sc_json_type_of(json_array_get(values, k));
        if (values) here &= listed;
        if (json_is_false(all->items[i].schema)) here = 0;
        types &= here;
    }
    return types;
}

static const json_t *property_of(const struct sc_conjunction *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++) {
        const json_t *found = json_object_get(json_object_get(all->items[i].schema, "properties"), name);
        if (found) return found;
    }
    return NULL;
}

static bool requires(const struct sc_conjunction *all, const char *name)
{
    size_t k;
    json_t *one;
    for (size_t i = 0; i < all->n; i++)
        json_array_foreach (json_object_get(all->items[i].schema, "required"), k, one)
            if (json_is_string(one) && strcmp(json_string_value(one), name) == 0) return true;
    return false;
}

// Is there a member that both must have and whose schemas exclude each other?
static bool members_differ(struct sc_schema *s, const struct sc_conjunction *x, const struct sc_conjunction *y,
                           unsigned depth)
{
    for (size_t i = 0; i < x->n; i++) {
        const char *key;
        json_t *mine;
        json_object_foreach (json_object_get(x->items[i].schema, "properties"), key, mine) {
            const json_t *theirs = property_of(y, key);
            if (!theirs || !requires(x, key) || !requires(y, key)) continue;
            struct sc_conjunct a = { .schema = mine, .pointer = x->items[i].pointer };
            struct sc_conjunct b = { .schema = theirs, .pointer = x->items[i].pointer };
            if (sc_schema_are_disjoint(s, &a, &b, depth + 1)) return true;
        }
    }
    return false;
}

static bool excludes_values(struct sc_schema *s, const struct sc_conjunct *y, const json_t *values)
{
    for (size_t i = 0; i < json_array_size(values); i++)
        if (sc_schema_check(s, y->schema, y->pointer, json_array_get(values, i), 0) != SC_NO) return false;
    return json_array_size(values) > 0;
}

static bool has_other_values(struct sc_schema *s, const struct sc_conjunction *x, const struct sc_conjunct *y)
{
    for (size_t i = 0; i < x->n; i++) {
        const json_t *one = json_object_get(x->items[i].schema, "const");
        if (one && sc_schema_check(s, y->schema, y->pointer, one, 0) == SC_NO) return true;
        if (excludes_values(s, y, json_object_get(x->items[i].schema, "enum"))) return true;
    }
    return false;
}

bool sc_schema_are_disjoint(struct sc_schema *s, const struct sc_conjunct *x, const struct sc_conjunct *y,
                            unsigned depth)
{
    if (sc_builder_failed(s->b) || depth > 8 || !sc_builder_work(s->b, 1000)) return false;
    struct sc_conjunction all_x = { 0 }, all_y = { 0 };
    sc_conjunction_add(s, &all_x, *x);
    sc_conjunction_add(s, &all_y, *y);
    sc_schema_gather(s, &all_x);
    sc_schema_gather(s, &all_y);
    if (sc_builder_failed(s->b)) return false;
    unsigned common = types_of(s, &all_x) & types_of(s, &all_y);
    if (common == 0) return true;
    if (has_other_values(s, &all_x, y) || has_other_values(s, &all_y, x)) return true;
    return common == SC_TYPE_OBJECT && members_differ(s, &all_x, &all_y, depth);
}
