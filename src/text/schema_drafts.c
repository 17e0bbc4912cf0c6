// Schemas of older drafts (4 to 2019-09) as 2020-12 has them. What a keyword of theirs says is put beside it in today's
// words, so that references to places inside it still lead there:
//
//   "id": "x", "$id": "#x"                 "$id": "x", "$anchor": "x"
//   "definitions"                          (known anyway)
//   "items": […], "additionalItems": y     "prefixItems": […], "items": y
//   "dependencies": {"a": […], "b": {…}}   "dependentRequired": {"a": […]}, "dependentSchemas": {"b": {…}}
//   "minimum": 1, "exclusiveMinimum": true "exclusiveMinimum": 1
//
// Beside a $ref older drafts ignore what today holds as well: what is let through is valid by both.
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"

static void update(json_t *schema, unsigned depth);

static void update_id(json_t *schema)
{
    const char *own = json_string_value(json_object_get(schema, "id"));
    if (own && !json_object_get(schema, "$id")) json_object_set_new(schema, "$id", json_string(own));
    const char *id = json_string_value(json_object_get(schema, "$id"));
    if (!id || id[0] != '#') return;
    if (id[1] && !json_object_get(schema, "$anchor")) json_object_set_new(schema, "$anchor", json_string(id + 1));
    json_object_del(schema, "$id");
}

static void update_items(json_t *schema)
{
    json_t *items = json_object_get(schema, "items"), *rest = json_object_get(schema, "additionalItems");
    if (!json_is_array(items) || json_object_get(schema, "prefixItems")) return;
    if (json_array_size(items)) json_object_set(schema, "prefixItems", items);
    if (rest) json_object_set(schema, "items", rest);
    else json_object_del(schema, "items");
}

static void update_dependencies(json_t *schema)
{
    const char *key;
    json_t *needed, *names = NULL, *schemas = NULL;
    json_object_foreach (json_object_get(schema, "dependencies"), key, needed) {
        json_t **into = json_is_array(needed) ? &names : &schemas;
        if (!*into) *into = json_object();
        json_object_set(*into, key, needed);
    }
    if (names && !json_object_get(schema, "dependentRequired")) json_object_set(schema, "dependentRequired", names);
    if (schemas && !json_object_get(schema, "dependentSchemas")) json_object_set(schema, "dependentSchemas", schemas);
    json_decref(names);
    json_decref(schemas);
}

static void update_bound(json_t *schema, const char *bound, const char *exclusive)
{
    json_t *limit = json_object_get(schema, bound);
    bool is_exclusive = json_is_true(json_object_get(schema, exclusive));
    if (!json_is_boolean(json_object_get(schema, exclusive))) return;
    if (is_exclusive && limit) json_object_set(schema, exclusive, limit);
    else json_object_del(schema, exclusive);
}

static void update_each(json_t *many, unsigned depth)
{
    const char *key;
    json_t *one;
    size_t i;
    json_array_foreach (many, i, one) update(one, depth);
    json_object_foreach (many, key, one) update(one, depth);
}

// Only where schemas stand: a property may be called "items", an example may hold an "id".
static void update_inside(json_t *schema, unsigned depth)
{
    static const char *const single[] = { "additionalProperties",
                                          "unevaluatedProperties",
                                          "propertyNames",
                                          "items",
                                          "unevaluatedItems",
                                          "contains",
                                          "not",
                                          "if",
                                          "then",
                                          "else" };
    static const char *const many[] = { "allOf",
                                        "anyOf",
                                        "oneOf",
                                        "prefixItems",
                                        "properties",
                                        "definitions",
                                        "$defs",
                                        "dependentSchemas",
                                        "patternProperties" };
    for (size_t i = 0; i < SC_COUNT(single); i++) update(json_object_get(schema, single[i]), depth);
    for (size_t i = 0; i < SC_COUNT(many); i++) update_each(json_object_get(schema, many[i]), depth);
}

static void update(json_t *schema, unsigned depth)
{
    if (!json_is_object(schema) || depth > SC_SCHEMA_DEPTH_MAX) return;
    update_id(schema);
    update_items(schema);
    update_dependencies(schema);
    update_bound(schema, "minimum", "exclusiveMinimum");
    update_bound(schema, "maximum", "exclusiveMaximum");
    update_inside(schema, depth + 1);
}

void sc_schema_update(json_t *document) { update(document, 0); }
