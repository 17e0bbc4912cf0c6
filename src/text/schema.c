// Schemas: references, conjunctions, and what splits them.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "text/schema_internal.h"

void *sc_schema_fail(struct sc_schema *s, socle_status status, const char *pointer, const char *keyword,
                     const char *format, ...)
{
    char what[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    pointer = pointer ? pointer : "";
    return sc_builder_fail(s->b, status, "%s: %.300s%s%s: %s", s->where, pointer, keyword || !*pointer ? "/" : "",
                           keyword ? keyword : "", what);
}

// ---- pointers and references

const char *sc_schema_at(struct sc_schema *s, const char *pointer, const char *key)
{
    struct sc_buffer text = { 0 };
    sc_buffer_append_string(&text, pointer ? pointer : "");
    sc_buffer_append_char(&text, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/') sc_buffer_append_string(&text, *key == '~' ? "~0" : "~1");
        else sc_buffer_append_char(&text, *key);
    }
    char *copy = text.failed ? NULL : sc_arena_text(&s->b->arena, text.data, text.n_bytes);
    sc_buffer_free(&text);
    return copy ? copy : sc_builder_no_memory(s->b);
}

const char *sc_schema_at_index(struct sc_schema *s, const char *pointer, const char *key, size_t index)
{
    char number[32];
    snprintf(number, sizeof number, "%zu", index);
    const char *list = sc_schema_at(s, pointer, key);
    return list ? sc_schema_at(s, list, number) : NULL;
}

const json_t *sc_schema_keep(struct sc_schema *s, json_t *made)
{
    if (!made || json_array_append_new(s->made, made) != 0) return sc_builder_no_memory(s->b);
    return made;
}

// The name at the front of a pointer, unescaped ("%41" and "~1"); what is left, or NULL.
static const char *take_name(const char *pointer, char *name, size_t size)
{
    size_t n = 0;
    for (; *pointer && *pointer != '/'; pointer++) {
        unsigned value = (unsigned char)*pointer;
        if (*pointer == '%' && sscanf(pointer + 1, "%2x", &value) == 1 && pointer[1] && pointer[2]) pointer += 2;
        if (value == '~' && (pointer[1] == '0' || pointer[1] == '1')) value = *++pointer == '0' ? '~' : '/';
        if (n + 1 >= size) return NULL;
        name[n++] = (char)value;
    }
    name[n] = '\0';
    return pointer;
}

static const json_t *find_anchor(const json_t *at, const char *anchor, unsigned depth)
{
    if (depth > SC_SCHEMA_DEPTH_MAX) return NULL;
    const char *own = json_string_value(json_object_get(at, "$anchor"));
    if (own && strcmp(own, anchor) == 0) return at;
    const char *key;
    json_t *child;
    size_t i;
    const json_t *found = NULL;
    json_object_foreach ((json_t *)(uintptr_t)at, key, child)
        if (!found && strcmp(key, "const") != 0 && strcmp(key, "enum") != 0)
            found = find_anchor(child, anchor, depth + 1);
    json_array_foreach (at, i, child)
        if (!found) found = find_anchor(child, anchor, depth + 1);
    return found;
}

const json_t *sc_schema_resolve(struct sc_schema *s, const char *reference, const char *from, const char **pointer)
{
    const char *id = json_string_value(json_object_get(s->document, "$id")), *at = reference;
    if (id && strncmp(at, id, strlen(id)) == 0 && (at[strlen(id)] == '#' || !at[strlen(id)])) at += strlen(id);
    if (*at == '#') at++;
    else if (*at)
        return sc_schema_fail(s, SOCLE_UNSUPPORTED, from, "$ref", "only references inside the schema are known");
    const json_t *target = s->document;
    if (*at && *at != '/') {
        target = find_anchor(s->document, at, 0);
        *pointer = sc_arena_text(&s->b->arena, reference, strlen(reference));
    } else {
        *pointer = sc_arena_text(&s->b->arena, at, strlen(at));
        while (*at && target) {
            char name[1024];
            at = take_name(at + 1, name, sizeof name);
            if (!at) target = NULL;
            else if (json_is_array(target)) target = json_array_get(target, (size_t)strtoul(name, NULL, 10));
            else target = json_object_get(target, name);
            if (at && *at && target && json_is_object(target) && json_object_get(target, "$id"))
                return sc_schema_fail(s, SOCLE_UNSUPPORTED, from, "$ref", "it leads through a schema with its own $id");
        }
    }
    if (!target) return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, from, "$ref", "'%.100s' leads nowhere", reference);
    return target;
}

// ---- keywords

// What says nothing about which instances are valid: of JSON Schema, of older drafts (their meaning was put in today's
// words), of OpenAPI, and of editors.
bool sc_schema_is_annotation(const char *keyword)
{
    static const char *const known[] = { "title",
                                         "description",
                                         "default",
                                         "examples",
                                         "$comment",
                                         "deprecated",
                                         "readOnly",
                                         "writeOnly",
                                         "$schema",
                                         "$defs",
                                         "definitions",
                                         "$anchor",
                                         "contentEncoding",
                                         "contentMediaType",
                                         "contentSchema",
                                         "id",
                                         "dependencies",
                                         "additionalItems",
                                         "example",
                                         "externalDocs",
                                         "xml",
                                         "markdownDescription",
                                         "enumDescriptions",
                                         "markdownEnumDescriptions",
                                         "enumNames",
                                         "enumTitles",
                                         "defaultSnippets",
                                         "errorMessage",
                                         "patternErrorMessage",
                                         "deprecationMessage",
                                         "doNotSuggest",
                                         "suggestSortText",
                                         "allowTrailingCommas",
                                         "allowComments",
                                         "fileMatch",
                                         "version",
                                         "tsType",
                                         "javaType",
                                         "propertyOrder" };
    for (size_t i = 0; i < SC_COUNT(known); i++)
        if (strcmp(keyword, known[i]) == 0) return true;
    return strncmp(keyword, "x-", 2) == 0;
}

static bool is_enforced(const char *keyword)
{
    static const char *const known[] = {
        "$ref",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "unevaluatedItems",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    };
    for (size_t i = 0; i < SC_COUNT(known); i++)
        if (strcmp(keyword, known[i]) == 0) return true;
    return false;
}

// Whether a reference lies in it, which an address of its own would turn elsewhere.
static bool has_reference(const json_t *at, unsigned depth)
{
    const char *key;
    json_t *child;
    size_t i;
    if (depth > SC_SCHEMA_DEPTH_MAX) return true;
    bool found = json_object_get(at, "$ref") != NULL;
    json_object_foreach ((json_t *)(uintptr_t)at, key, child) found = found || has_reference(child, depth + 1);
    json_array_foreach (at, i, child) found = found || has_reference(child, depth + 1);
    return found;
}

static void check_keywords(struct sc_schema *s, const struct sc_conjunct *c)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)c->schema, key, value) {
        if (sc_builder_failed(s->b)) return;
        if (strcmp(key, "$id") == 0 && c->schema != s->document && has_reference(c->schema, 0))
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, key,
                           "references in a schema inside the schema with its own address");
        else if (strcmp(key, "$id") != 0 && !sc_schema_is_annotation(key) && !is_enforced(key))
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, key,
                           "this keyword is not known, so it cannot be enforced");
    }
}

bool sc_schema_count(struct sc_schema *s, const struct sc_conjunct *c, const char *keyword, uint32_t *count)
{
    const json_t *value = json_object_get(c->schema, keyword);
    if (!value || sc_builder_failed(s->b)) return false;
    double number = json_is_number(value) ? json_number_value(value) : -1.0;
    if (!(number >= 0.0) || number != (double)(uint64_t)SC_MIN(number, 9e15)) {
        sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, keyword, "expected a whole number of 0 or more");
        return false;
    }
    *count = (uint32_t)SC_MIN(number, 2e9);
    return true;
}

static unsigned type_named(const char *name)
{
    static const struct {
        const char *name;
        unsigned types;
    } types[] = { { "null", SC_TYPE_NULL },
                  { "boolean", SC_TYPE_BOOLEAN },
                  { "object", SC_TYPE_OBJECT },
                  { "array", SC_TYPE_ARRAY },
                  { "string", SC_TYPE_STRING },
                  { "integer", SC_TYPE_INTEGER },
                  { "number", SC_TYPE_INTEGER | SC_TYPE_FRACTION } };
    for (size_t i = 0; name && i < SC_COUNT(types); i++)
        if (strcmp(name, types[i].name) == 0) return types[i].types;
    return 0;
}

unsigned sc_schema_types(struct sc_schema *s, const json_t *types, const char *pointer)
{
    unsigned mask = type_named(json_string_value(types));
    size_t i;
    json_t *one;
    json_array_foreach (types, i, one) {
        unsigned bits = type_named(json_string_value(one));
        mask |= bits;
        if (!bits) mask = 0;
        if (!bits) break;
    }
    if (!mask) sc_schema_fail(s, SOCLE_BAD_ARGUMENT, pointer, "type", "expected a type of JSON, or a list of them");
    return mask;
}

unsigned sc_json_type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL: return SC_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return SC_TYPE_BOOLEAN;
    case JSON_OBJECT: return SC_TYPE_OBJECT;
    case JSON_ARRAY: return SC_TYPE_ARRAY;
    case JSON_STRING: return SC_TYPE_STRING;
    case JSON_INTEGER: return SC_TYPE_INTEGER;
    default: break;
    }
    double number = json_real_value(value);
    if (number < -9e15 || number > 9e15) return SC_TYPE_INTEGER;
    return number == (double)(int64_t)number ? SC_TYPE_INTEGER : SC_TYPE_FRACTION;
}

// ---- conjunctions

void sc_conjunction_add(struct sc_schema *s, struct sc_conjunction *list, struct sc_conjunct conjunct)
{
    if (sc_builder_failed(s->b) || json_is_true(conjunct.schema)) return;
    if (!json_is_object(conjunct.schema) && !json_is_false(conjunct.schema)) {
        sc_schema_fail(s, SOCLE_BAD_ARGUMENT, conjunct.pointer, NULL, "expected a schema: an object, true or false");
        return;
    }
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].schema == conjunct.schema && list->items[i].root == conjunct.root) return;
    if (list->n == list->capacity) {
        size_t capacity = SC_MAX(2 * list->capacity, (size_t)8);
        struct sc_conjunct *longer = sc_arena_array(&s->b->arena, capacity, sizeof *longer);
        if (!longer) {
            sc_builder_no_memory(s->b);
            return;
        }
        if (list->n) memcpy(longer, list->items, list->n * sizeof *longer);
        list->items = longer;
        list->capacity = capacity;
    }
    list->items[list->n++] = conjunct;
    sc_builder_work(s->b, list->n);
}

static struct sc_conjunct child_of(const struct sc_conjunct *c, const json_t *schema, const char *pointer)
{
    return (struct sc_conjunct){ .schema = schema, .pointer = pointer, .root = c->root, .blind = c->blind };
}

void sc_schema_gather(struct sc_schema *s, struct sc_conjunction *list)
{
    for (size_t i = 0; i < list->n && !sc_builder_failed(s->b); i++) {
        struct sc_conjunct c = list->items[i];
        if (!json_is_object(c.schema)) continue;
        check_keywords(s, &c);
        const json_t *reference = json_object_get(c.schema, "$ref"), *all = json_object_get(c.schema, "allOf");
        const char *pointer;
        if (reference && !json_is_string(reference))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c.pointer, "$ref", "expected a text");
        const json_t *target = json_is_string(reference)
                                   ? sc_schema_resolve(s, json_string_value(reference), c.pointer, &pointer)
                                   : NULL;
        if (target) sc_conjunction_add(s, list, child_of(&c, target, pointer));
        if (all && (!json_is_array(all) || !json_array_size(all)))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c.pointer, "allOf", "expected a list of schemas");
        size_t k;
        json_t *one;
        json_array_foreach (all, k, one)
            sc_conjunction_add(s, list, child_of(&c, one, sc_schema_at_index(s, c.pointer, "allOf", k)));
    }
}

static struct sc_conjunction copy_of(struct sc_schema *s, const struct sc_conjunction *list, size_t index,
                                     unsigned done)
{
    struct sc_conjunction copy = { 0 };
    for (size_t i = 0; i < list->n; i++) {
        sc_conjunction_add(s, &copy, list->items[i]);
        if (i == index && copy.n) copy.items[copy.n - 1].done |= done;
    }
    return copy;
}

// ---- splitting

static struct sc_node *compile_gathered(struct sc_schema *s, struct sc_conjunction *all);

static struct sc_node *split_any_of(struct sc_schema *s, const struct sc_conjunction *all, size_t i, const json_t *any)
{
    const struct sc_conjunct *c = &all->items[i];
    struct sc_node_list choices = { 0 };
    if (!json_is_array(any) || !json_array_size(any))
        return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "anyOf", "expected a list of schemas");
    for (size_t k = 0; k < json_array_size(any) && !sc_builder_failed(s->b); k++) {
        struct sc_conjunction branch = copy_of(s, all, i, SC_DONE_ANY_OF);
        sc_conjunction_add(s, &branch,
                           child_of(c, json_array_get(any, k), sc_schema_at_index(s, c->pointer, "anyOf", k)));
        struct sc_node *node = compile_gathered(s, &branch);
        if (node && !sc_node_is_nothing(node)) sc_node_list_add(s->b, &choices, node);
    }
    return sc_builder_failed(s->b) ? NULL : sc_node_choice(s->b, choices.items, choices.n);
}

// Of each two branches that may both hold, each is compiled with the other denied.
static struct sc_node *split_one_of(struct sc_schema *s, const struct sc_conjunction *all, size_t i, const json_t *one)
{
    const struct sc_conjunct *c = &all->items[i];
    struct sc_node_list choices = { 0 };
    size_t n = json_array_size(one);
    if (!n) return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "oneOf", "expected a list of schemas");
    for (size_t k = 0; k < n && !sc_builder_failed(s->b); k++) {
        struct sc_conjunction branch = copy_of(s, all, i, SC_DONE_ONE_OF);
        struct sc_conjunct own = child_of(c, json_array_get(one, k), sc_schema_at_index(s, c->pointer, "oneOf", k));
        sc_conjunction_add(s, &branch, own);
        for (size_t other = 0; other < n && !sc_builder_failed(s->b); other++) {
            struct sc_conjunct rival = child_of(c, json_array_get(one, other),
                                                sc_schema_at_index(s, c->pointer, "oneOf", other));
            if (other == k || sc_schema_are_disjoint(s, &own, &rival, 0)) continue;
            const json_t *denied = sc_schema_negate(s, rival.schema, rival.pointer);
            struct sc_conjunct denial = { denied, rival.pointer, 0, c->root, true };
            if (denied) sc_conjunction_add(s, &branch, denial);
        }
        struct sc_node *node = sc_builder_failed(s->b) ? NULL : compile_gathered(s, &branch);
        if (node && !sc_node_is_nothing(node)) sc_node_list_add(s->b, &choices, node);
    }
    return sc_builder_failed(s->b) ? NULL : sc_node_choice(s->b, choices.items, choices.n);
}

static struct sc_node *split_if(struct sc_schema *s, const struct sc_conjunction *all, size_t i, const json_t *test)
{
    const struct sc_conjunct *c = &all->items[i];
    const json_t *then = json_object_get(c->schema, "then"), *otherwise = json_object_get(c->schema, "else");
    struct sc_node *choices[2] = { NULL, NULL };
    struct sc_conjunction branch = copy_of(s, all, i, SC_DONE_IF);
    sc_conjunction_add(s, &branch, child_of(c, test, sc_schema_at(s, c->pointer, "if")));
    if (then) sc_conjunction_add(s, &branch, child_of(c, then, sc_schema_at(s, c->pointer, "then")));
    choices[0] = compile_gathered(s, &branch);
    branch = copy_of(s, all, i, SC_DONE_IF);
    const json_t *denied = sc_schema_negate(s, test, sc_schema_at(s, c->pointer, "if"));
    if (sc_builder_failed(s->b)) return NULL;
    sc_conjunction_add(s, &branch, (struct sc_conjunct){ denied, sc_schema_at(s, c->pointer, "if"), 0, c->root, true });
    if (otherwise) sc_conjunction_add(s, &branch, child_of(c, otherwise, sc_schema_at(s, c->pointer, "else")));
    choices[1] = compile_gathered(s, &branch);
    return sc_builder_failed(s->b) ? NULL : sc_node_choice(s->b, choices, 2);
}

// Replaces a keyword by an equivalent schema beside it.
static struct sc_node *rewrite(struct sc_schema *s, const struct sc_conjunction *all, size_t i, unsigned done,
                               const json_t *made, const char *keyword)
{
    const struct sc_conjunct *c = &all->items[i];
    struct sc_conjunction list = copy_of(s, all, i, done);
    struct sc_conjunct denial = { made, sc_schema_at(s, c->pointer, keyword), 0, c->root, true };
    sc_conjunction_add(s, &list, denial);
    return sc_builder_failed(s->b) ? NULL : compile_gathered(s, &list);
}

static struct sc_node *split_dependent(struct sc_schema *s, const struct sc_conjunction *all, size_t i)
{
    static const char *const keywords[] = { "dependentRequired", "dependentSchemas" };
    const struct sc_conjunct *c = &all->items[i];
    struct sc_conjunction list = copy_of(s, all, i, SC_DONE_DEPENDENT);
    for (size_t k = 0; k < SC_COUNT(keywords); k++) {
        json_t *map = json_object_get(c->schema, keywords[k]), *needed;
        const char *key;
        if (map && !json_is_object(map))
            return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, keywords[k], "expected an object");
        json_object_foreach (map, key, needed) {
            if (k == 0 && !json_is_array(needed))
                return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, keywords[k], "expected lists of names");
            const json_t *made = sc_schema_dependent(s, key, needed);
            struct sc_conjunct rewritten = { made, sc_schema_at(s, c->pointer, keywords[k]), 0, c->root, true };
            if (made) sc_conjunction_add(s, &list, rewritten);
        }
    }
    return sc_builder_failed(s->b) ? NULL : compile_gathered(s, &list);
}

// The first keyword that splits the list; false: none is left.
static bool split(struct sc_schema *s, const struct sc_conjunction *all, struct sc_node **node)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct sc_conjunct *c = &all->items[i];
        const json_t *negated = json_object_get(c->schema, "not"), *found;
        if (negated && !(c->done & SC_DONE_NOT) && !sc_schema_not_is_simple(negated)) {
            const json_t *made = sc_schema_negate(s, negated, sc_schema_at(s, c->pointer, "not"));
            *node = made ? rewrite(s, all, i, SC_DONE_NOT, made, "not") : NULL;
            return true;
        }
        if (!(c->done & SC_DONE_DEPENDENT) &&
            (json_object_get(c->schema, "dependentRequired") || json_object_get(c->schema, "dependentSchemas"))) {
            *node = split_dependent(s, all, i);
            return true;
        }
        if ((found = json_object_get(c->schema, "if")) && !(c->done & SC_DONE_IF)) {
            *node = split_if(s, all, i, found);
            return true;
        }
        if ((found = json_object_get(c->schema, "oneOf")) && !(c->done & SC_DONE_ONE_OF)) {
            *node = split_one_of(s, all, i, found);
            return true;
        }
        if ((found = json_object_get(c->schema, "anyOf")) && !(c->done & SC_DONE_ANY_OF)) {
            *node = split_any_of(s, all, i, found);
            return true;
        }
    }
    return false;
}

// ---- types

static unsigned types_of(struct sc_schema *s, const struct sc_conjunction *all, bool *may_be_true, bool *may_be_false)
{
    unsigned types = SC_TYPE_ALL;
    for (size_t i = 0; i < all->n && !sc_builder_failed(s->b); i++) {
        const struct sc_conjunct *c = &all->items[i];
        const json_t *own = json_object_get(c->schema, "type"), *negated = json_object_get(c->schema, "not");
        if (own) types &= sc_schema_types(s, own, c->pointer);
        if (!negated || (c->done & SC_DONE_NOT)) continue;
        const json_t *type = json_object_get(negated, "type"), *values = json_object_get(negated, "enum");
        const json_t *one = json_object_get(negated, "const");
        if (type) types &= ~sc_schema_types(s, type, sc_schema_at(s, c->pointer, "not"));
        const json_t *pattern = json_object_get(negated, "pattern");
        if ((pattern && !json_is_string(pattern)) || (values && !json_is_array(values)))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "not", "expected a text as pattern, a list as enum");
        if (pattern) types &= SC_TYPE_STRING; // other values match every pattern
        for (size_t k = 0; k < (one ? 1 : json_array_size(values)); k++) {
            const json_t *value = one ? one : json_array_get(values, k);
            unsigned kind = sc_json_type_of(value);
            if (kind == SC_TYPE_NULL) types &= ~kind;
            if (kind == SC_TYPE_BOOLEAN) *(json_is_true(value) ? may_be_true : may_be_false) = false;
            if (kind & (SC_TYPE_OBJECT | SC_TYPE_ARRAY) & types)
                sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "not", "denying single objects or arrays");
        }
    }
    return types;
}

static struct sc_node *compile_types(struct sc_schema *s, const struct sc_conjunction *all)
{
    bool may_be_true = true, may_be_false = true, is_enumerated;
    struct sc_node *choices[8];
    size_t n = 0;
    struct sc_node *values = sc_schema_values(s, all, &is_enumerated);
    if (is_enumerated || sc_builder_failed(s->b)) return values;
    unsigned types = types_of(s, all, &may_be_true, &may_be_false);
    unsigned numbers = types & (SC_TYPE_INTEGER | SC_TYPE_FRACTION);
    if (types == SC_TYPE_ALL && all->n == 0) return sc_json_value(s->b);
    if (types & SC_TYPE_OBJECT) choices[n++] = sc_schema_object(s, all);
    if (types & SC_TYPE_ARRAY) choices[n++] = sc_schema_array(s, all);
    if (types & SC_TYPE_STRING) choices[n++] = sc_schema_string(s, all);
    if (numbers) choices[n++] = sc_schema_number(s, all, numbers);
    if (types & SC_TYPE_BOOLEAN && may_be_true) choices[n++] = sc_node_string(s->b, "true");
    if (types & SC_TYPE_BOOLEAN && may_be_false) choices[n++] = sc_node_string(s->b, "false");
    if (types & SC_TYPE_NULL) choices[n++] = sc_node_string(s->b, "null");
    if (sc_builder_failed(s->b)) return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!sc_node_is_nothing(choices[i])) choices[kept++] = choices[i];
    return sc_node_choice(s->b, choices, kept);
}

bool sc_node_is_nothing(const struct sc_node *node) { return node && node->kind == SC_NODE_NOTHING; }

static struct sc_node *compile_gathered(struct sc_schema *s, struct sc_conjunction *all)
{
    if (sc_builder_failed(s->b)) return NULL;
    if (++s->n_compiled > SC_SCHEMA_COMPILED_MAX || s->depth >= SC_SCHEMA_DEPTH_MAX)
        return sc_schema_fail(s, SOCLE_UNSUPPORTED, all->n ? all->items[0].pointer : "", NULL,
                              "the schema is too large or too deep once its references and choices are followed");
    s->depth++;
    sc_schema_gather(s, all);
    struct sc_node *node = NULL;
    bool impossible = false;
    for (size_t i = 0; i < all->n; i++) impossible |= json_is_false(all->items[i].schema);
    if (impossible && !sc_builder_failed(s->b)) node = sc_node_nothing(s->b);
    else if (!sc_builder_failed(s->b) && !split(s, all, &node)) node = compile_types(s, all);
    s->depth--;
    return node;
}

// ---- the same conjunction again is the same rule, which is what makes recursion end

static const struct sc_schema_memo *find_memo(const struct sc_schema *s, const struct sc_conjunction *all)
{
    for (size_t i = 0; i < s->n_memo; i++) {
        const struct sc_schema_memo *memo = &s->memo[i];
        bool same = memo->n == all->n;
        for (size_t k = 0; same && k < all->n; k++) same = memo->schemas[k] == all->items[k].schema;
        if (same) return memo;
    }
    return NULL;
}

static struct sc_schema_memo *add_memo(struct sc_schema *s, const struct sc_conjunction *all)
{
    if (s->n_memo == s->memo_capacity) {
        size_t capacity = SC_MAX(2 * s->memo_capacity, (size_t)64);
        struct sc_schema_memo *longer = sc_arena_array(&s->b->arena, capacity, sizeof *longer);
        if (!longer) return sc_builder_no_memory(s->b);
        if (s->n_memo) memcpy(longer, s->memo, s->n_memo * sizeof *longer);
        s->memo = longer;
        s->memo_capacity = capacity;
    }
    struct sc_schema_memo *memo = &s->memo[s->n_memo++];
    memo->n = all->n;
    memo->schemas = sc_arena_array(&s->b->arena, all->n, sizeof *memo->schemas);
    if (!memo->schemas) return sc_builder_no_memory(s->b);
    for (size_t k = 0; k < all->n; k++) memo->schemas[k] = all->items[k].schema;
    return memo;
}

struct sc_node *sc_schema_compile(struct sc_schema *s, const struct sc_conjunction *all)
{
    if (sc_builder_failed(s->b)) return NULL;
    if (all->n == 0) return sc_json_value(s->b);
    for (size_t i = 0; i < all->n; i++)
        if (json_is_false(all->items[i].schema)) return sc_node_nothing(s->b);
    const struct sc_schema_memo *known = find_memo(s, all);
    if (known) return sc_node_rule(s->b, known->rule);
    struct sc_schema_memo *memo = add_memo(s, all);
    const char *pointer = all->items[0].pointer;
    uint32_t rule = sc_builder_rule(s->b, sc_text_of(pointer && *pointer ? pointer : "/"));
    if (!memo || rule == UINT32_MAX) return NULL;
    memo->rule = rule;
    struct sc_conjunction own = { 0 };
    for (size_t i = 0; i < all->n; i++) {
        struct sc_conjunct c = all->items[i];
        c.root = (uint32_t)i;
        c.blind = false;
        c.done = 0;
        sc_conjunction_add(s, &own, c);
    }
    struct sc_node *body = compile_gathered(s, &own);
    if (!body) return NULL;
    s->b->rules[rule].body = body;
    return sc_node_is_nothing(body) ? body : sc_node_rule(s->b, rule);
}

// ---- documents

struct sc_node *sc_schema_node(struct sc_grammar_builder *b, struct json_t *document, const char *where)
{
    struct sc_schema s = { .b = b, .document = document, .where = where, .made = json_array() };
    struct sc_conjunction all = { 0 };
    if (!s.made) sc_builder_no_memory(b);
    sc_schema_update(document);
    sc_conjunction_add(&s, &all, (struct sc_conjunct){ .schema = document, .pointer = "" });
    struct sc_node *node = sc_schema_compile(&s, &all);
    json_decref(s.made);
    return node;
}

socle_status sc_grammar_from_json_schema(struct sc_text source, struct sc_grammar **out, socle_error *err)
{
    json_error_t problem;
    if (source.n_bytes > SC_GRAMMAR_SOURCE_BYTES_MAX)
        return sc_fail(err, SOCLE_UNSUPPORTED, "a JSON Schema: %zu bytes, more than %d", source.n_bytes,
                       SC_GRAMMAR_SOURCE_BYTES_MAX);
    json_t *document = json_loadb(source.data, source.n_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (!document)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a JSON Schema: not JSON at line %d, column %d: %s", problem.line,
                       problem.column, problem.text);
    struct sc_grammar_builder b;
    sc_builder_init(&b);
    struct sc_node *body = sc_json_text(&b, sc_schema_node(&b, document, "a JSON Schema"));
    uint32_t root = sc_builder_rule(&b, sc_text_of("root"));
    if (root != UINT32_MAX) b.rules[root].body = body;
    socle_status status = sc_grammar_compile(&b, root, out, err);
    sc_builder_free(&b);
    json_decref(document);
    return status;
}
