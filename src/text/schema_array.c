// Arrays: the first items, the rest, how many, one of which must be of a kind, and all different.
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"

enum { PREFIX_MAX = 200, SHARED_FROM = 16 };

struct array {
    const struct sc_conjunction *all;
    uint32_t min, max;
    size_t n_prefix; // places with a schema of their own in some list
    const struct sc_conjunct *contains, *unique;
    uint32_t n_contained; // at least
};

static void gather_contains(struct sc_schema *s, struct array *a, const struct sc_conjunct *c)
{
    uint32_t least = 1, most;
    if (!json_object_get(c->schema, "contains")) return;
    sc_schema_count(s, c, "minContains", &least);
    if (sc_schema_count(s, c, "maxContains", &most))
        sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "maxContains", "no items but these would have to be denied");
    if (least == 0) return;
    if (a->contains) sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "contains", "a second one that must hold, too");
    a->contains = c;
    a->n_contained = least;
}

static void gather(struct sc_schema *s, struct array *a)
{
    for (size_t i = 0; i < a->all->n && !sc_builder_failed(s->b); i++) {
        const struct sc_conjunct *c = &a->all->items[i];
        const json_t *first = json_object_get(c->schema, "prefixItems"), *rest = json_object_get(c->schema, "items");
        const json_t *unique = json_object_get(c->schema, "uniqueItems");
        uint32_t count;
        if (json_is_array(rest))
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "items", "a list, as in older drafts: write prefixItems");
        if (first && (!json_is_array(first) || !json_array_size(first)))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "prefixItems", "expected a list of schemas");
        if (json_array_size(first) > PREFIX_MAX)
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "prefixItems", "more than %d", PREFIX_MAX);
        if (json_object_get(c->schema, "unevaluatedItems") && !json_is_true(json_object_get(c->schema, "unevaluatedItems")))
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "unevaluatedItems", "write items");
        a->n_prefix = SC_MAX(a->n_prefix, json_array_size(first));
        if (sc_schema_count(s, c, "minItems", &count)) a->min = SC_MAX(a->min, count);
        if (sc_schema_count(s, c, "maxItems", &count)) a->max = SC_MIN(a->max, count);
        if (unique && !json_is_boolean(unique))
            sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "uniqueItems", "expected true or false");
        if (json_is_true(unique)) a->unique = c;
        gather_contains(s, a, c);
    }
}

// What the item at a place must satisfy; `place` n_prefix and beyond are alike.
static struct sc_conjunction item_schemas(struct sc_schema *s, const struct array *a, size_t place)
{
    struct sc_conjunction schemas = { 0 };
    for (size_t i = 0; i < a->all->n; i++) {
        const struct sc_conjunct *c = &a->all->items[i];
        const json_t *first = json_object_get(c->schema, "prefixItems"), *rest = json_object_get(c->schema, "items");
        struct sc_conjunct item = { .schema = json_array_get(first, place) };
        if (item.schema) item.pointer = sc_schema_at_index(s, c->pointer, "prefixItems", place);
        else if (rest) item = (struct sc_conjunct){ .schema = rest, .pointer = sc_schema_at(s, c->pointer, "items") };
        if (item.schema) sc_conjunction_add(s, &schemas, item);
    }
    return schemas;
}

static struct sc_node *sequence(struct sc_schema *s, struct sc_node *x, struct sc_node *y)
{
    struct sc_node *parts[] = { x, y };
    return sc_node_sequence(s->b, parts, 2);
}

// `item`s, min to max of them, after `n_before` others.
static struct sc_node *rest_of(struct sc_schema *s, struct sc_node *item, uint32_t n_before, uint32_t min, uint32_t max)
{
    if (sc_builder_failed(s->b)) return NULL;
    if (max == 0 || sc_node_is_nothing(item)) return min == 0 ? sc_node_empty(s->b) : sc_node_nothing(s->b);
    if (min > SHARED_FROM || (max != SC_UNBOUNDED && max > SHARED_FROM)) item = sc_json_own_rule(s->b, "item", item);
    struct sc_node *next = sequence(s, sc_json_comma(s->b), item);
    if (n_before) return sc_node_repeat(s->b, next, min, max);
    uint32_t less = max == SC_UNBOUNDED ? max : max - 1;
    struct sc_node *some = sequence(s, item, sc_node_repeat(s->b, next, min ? min - 1 : 0, less));
    return min ? some : sc_node_repeat(s->b, some, 0, 1);
}

static struct sc_node *plain(struct sc_schema *s, const struct array *a)
{
    uint32_t n = (uint32_t)a->n_prefix;
    struct sc_conjunction schemas = item_schemas(s, a, n);
    struct sc_node *item = sc_schema_compile(s, &schemas);
    if (a->max < a->min) return sc_node_nothing(s->b);
    uint32_t max = a->max == SC_UNBOUNDED ? a->max : a->max > n ? a->max - n : 0;
    struct sc_node *node = rest_of(s, item, n, a->min > n ? a->min - n : 0, max);
    for (uint32_t place = n; place-- > 0 && !sc_builder_failed(s->b);) {
        // What follows this item: the rest, or the end where enough came.
        schemas = item_schemas(s, a, place);
        item = sc_schema_compile(s, &schemas);
        if (sc_builder_failed(s->b)) return NULL;
        bool may_end = place >= a->min, may_be = place < a->max && !sc_node_is_nothing(item);
        bool leads_on = may_be && !sc_node_is_nothing(node);
        struct sc_node *here = leads_on ? sequence(s, item, node) : sc_node_nothing(s->b);
        if (leads_on && place > 0) here = sequence(s, sc_json_comma(s->b), here);
        if (leads_on && may_end) node = sc_node_repeat(s->b, here, 0, 1);
        else node = may_end ? sc_node_empty(s->b) : here;
    }
    return node;
}

// n items of a kind among any: (any ,)* kind ((, any)* , kind){n - 1} (, any)*
static struct sc_node *containing(struct sc_schema *s, const struct array *a)
{
    const struct sc_conjunct *c = a->contains;
    if (a->n_prefix || a->max != SC_UNBOUNDED || a->min > a->n_contained)
        return sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "contains", "together with prefixItems, minItems or maxItems");
    struct sc_conjunction schemas = item_schemas(s, a, 0);
    struct sc_node *any = sc_schema_compile(s, &schemas);
    sc_conjunction_add(s, &schemas,
                       (struct sc_conjunct){ .schema = json_object_get(c->schema, "contains"),
                                             .pointer = sc_schema_at(s, c->pointer, "contains") });
    struct sc_node *kind = sc_schema_compile(s, &schemas);
    if (sc_builder_failed(s->b)) return NULL;
    if (sc_node_is_nothing(kind)) return kind;
    if (a->n_contained > 1) {
        any = sc_json_own_rule(s->b, "item", any);
        kind = sc_json_own_rule(s->b, "contained item", kind);
    }
    struct sc_node *comma = sc_json_comma(s->b);
    struct sc_node *after = sc_node_repeat(s->b, sequence(s, comma, any), 0, SC_UNBOUNDED);
    struct sc_node *again = sequence(s, after, sequence(s, comma, kind));
    struct sc_node *parts[] = { sc_node_repeat(s->b, sequence(s, any, comma), 0, SC_UNBOUNDED), kind,
                                sc_node_repeat(s->b, again, a->n_contained - 1, a->n_contained - 1), after };
    return sc_node_sequence(s->b, parts, 4);
}

// Items that are listed are all different when each comes once, in the order of the list.
static struct sc_node *unique(struct sc_schema *s, const struct array *a)
{
    struct sc_conjunction schemas = item_schemas(s, a, 0);
    sc_schema_gather(s, &schemas);
    json_t *values = a->n_prefix || a->contains ? NULL : sc_schema_enumerate(s, &schemas);
    if (!values)
        return sc_schema_fail(s, SOCLE_UNSUPPORTED, a->unique->pointer, "uniqueItems",
                              "only where the items are listed by an enum, or there is one at most");
    struct sc_node_list items = { 0 };
    size_t n = json_array_size(values);
    bool *needed = sc_arena_array(&s->b->arena, n, sizeof *needed);
    for (size_t i = 0; i < n; i++) sc_node_list_add(s->b, &items, sc_schema_literal(s, json_array_get(values, i)));
    json_decref(values);
    if (!needed) return sc_builder_no_memory(s->b);
    return sc_schema_counted_list(s, items.items, needed, n, NULL, false, a->min, a->max);
}

struct sc_node *sc_schema_array(struct sc_schema *s, const struct sc_conjunction *all)
{
    struct array a = { .all = all, .max = SC_UNBOUNDED };
    gather(s, &a);
    if (sc_builder_failed(s->b)) return NULL;
    struct sc_node *contents = a.unique && a.max > 1 ? unique(s, &a) : a.contains ? containing(s, &a) : plain(s, &a);
    if (sc_builder_failed(s->b)) return NULL;
    return sc_node_is_nothing(contents) ? contents : sc_json_wrap(s->b, "[", contents, "]");
}
