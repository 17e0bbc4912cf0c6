// Objects: named members in the order of the schema, then any additional ones, sorted by which patterns their names
// match.
//
// A name that is repeated is one member to whoever reads the text. So additional members count once, however many,
// where a least number is asked for.
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"

enum { PATTERNS_MAX = 4, COUNTED_MAX = 20000, MORE_MAX = 64 };

struct pattern {
    const struct sc_conjunct *owner;
    const char *text;
    const json_t *schema;
    const struct sc_dfa *dfa;
};

struct object {
    const struct sc_conjunction *all;
    const char **names; // in the arena, in order of appearance
    bool *needed;
    size_t n_names, capacity;
    struct pattern patterns[PATTERNS_MAX];
    size_t n_patterns;
    struct sc_conjunction name_schemas; // of propertyNames
    uint32_t min, max;
    const struct sc_conjunct *min_owner;
};

// ---- what the schemas say

static void add_name(struct sc_schema *s, struct object *o, const char *name, bool needed)
{
    for (size_t i = 0; i < o->n_names; i++)
        if (strcmp(o->names[i], name) == 0) {
            o->needed[i] |= needed;
            return;
        }
    if (!sc_builder_work(s->b, o->n_names)) return;
    if (o->n_names == o->capacity) {
        size_t capacity = SC_MAX(2 * o->capacity, (size_t)16);
        const char **names = sc_arena_array(&s->b->arena, capacity, sizeof *names);
        bool *flags = sc_arena_array(&s->b->arena, capacity, sizeof *flags);
        if (!names || !flags) {
            sc_builder_no_memory(s->b);
            return;
        }
        if (o->n_names) memcpy(names, o->names, o->n_names * sizeof *names);
        if (o->n_names) memcpy(flags, o->needed, o->n_names * sizeof *flags);
        o->names = names;
        o->needed = flags;
        o->capacity = capacity;
    }
    o->names[o->n_names] = name;
    o->needed[o->n_names++] = needed;
}

static void add_patterns(struct sc_schema *s, struct object *o, const struct sc_conjunct *c, const json_t *map)
{
    const char *text;
    json_t *schema;
    json_object_foreach ((json_t *)(uintptr_t)map, text, schema) {
        const char *pointer = sc_schema_at(s, c->pointer, "patternProperties");
        if (o->n_patterns == PATTERNS_MAX) {
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "patternProperties", "more than %d patterns",
                           PATTERNS_MAX);
            return;
        }
        const struct sc_dfa *dfa = sc_schema_pattern(s, text, strlen(text), pointer);
        if (!dfa) return;
        o->patterns[o->n_patterns++] = (struct pattern){ c, text, schema, dfa };
    }
}

static void need_object(struct sc_schema *s, const struct sc_conjunct *c, const char *key)
{
    const json_t *value = json_object_get(c->schema, key);
    if (value && !json_is_object(value)) sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, key, "expected an object");
}

static void gather_conjunct(struct sc_schema *s, struct object *o, const struct sc_conjunct *c)
{
    const json_t *required = json_object_get(c->schema, "required"),
                 *names = json_object_get(c->schema, "propertyNames");
    const char *key;
    json_t *value;
    size_t k;
    uint32_t count;
    need_object(s, c, "properties");
    need_object(s, c, "patternProperties");
    if (required && !json_is_array(required))
        sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "required", "expected a list of names");
    json_object_foreach (json_object_get(c->schema, "properties"), key, value) add_name(s, o, key, false);
    json_array_foreach (required, k, value) {
        if (json_is_string(value)) add_name(s, o, json_string_value(value), true);
        else sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "required", "expected a list of names");
    }
    add_patterns(s, o, c, json_object_get(c->schema, "patternProperties"));
    if (names)
        sc_conjunction_add(
            s, &o->name_schemas,
            (struct sc_conjunct){ .schema = names, .pointer = sc_schema_at(s, c->pointer, "propertyNames") });
    if (sc_schema_count(s, c, "minProperties", &count) && count > o->min) {
        o->min = count;
        o->min_owner = c;
    }
    if (sc_schema_count(s, c, "maxProperties", &count)) o->max = SC_MIN(o->max, count);
    if (json_object_get(c->schema, "unevaluatedProperties") && (c->root != (uint32_t)(c - o->all->items) || c->blind))
        sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "unevaluatedProperties",
                       "below $ref, allOf or another keyword that joins schemas");
}

static void gather(struct sc_schema *s, struct object *o)
{
    for (size_t i = 0; i < o->all->n && !sc_builder_failed(s->b); i++) gather_conjunct(s, o, &o->all->items[i]);
}

// ---- the schema of one member's value

// A member is named by `name`, or has a name that matches exactly the patterns of `matched` (a bit each).
static struct sc_node *member_value(struct sc_schema *s, const struct object *o, const char *name, unsigned matched)
{
    struct sc_conjunction values = { 0 };
    bool evaluated[64] = { 0 }; // by root; roots beyond have no unevaluatedProperties that is accepted
    for (size_t i = 0; i < o->all->n; i++) {
        const struct sc_conjunct *c = &o->all->items[i];
        const json_t *own = name ? json_object_get(json_object_get(c->schema, "properties"), name) : NULL;
        const json_t *rest = json_object_get(c->schema, "additionalProperties");
        bool found = own != NULL;
        struct sc_conjunct value = { .schema = own, .pointer = sc_schema_at(s, c->pointer, "properties") };
        if (own && value.pointer) value.pointer = sc_schema_at(s, value.pointer, name);
        if (own) sc_conjunction_add(s, &values, value);
        for (size_t p = 0; p < o->n_patterns; p++) {
            if (o->patterns[p].owner != c || !(matched >> p & 1)) continue;
            found = true;
            value.pointer = sc_schema_at(s, c->pointer, "patternProperties");
            if (value.pointer) value.pointer = sc_schema_at(s, value.pointer, o->patterns[p].text);
            value.schema = o->patterns[p].schema;
            sc_conjunction_add(s, &values, value);
        }
        if (!found && rest) {
            value.schema = rest;
            value.pointer = sc_schema_at(s, c->pointer, "additionalProperties");
            sc_conjunction_add(s, &values, value);
        }
        if ((found || rest) && !c->blind && c->root < SC_COUNT(evaluated)) evaluated[c->root] = true;
    }
    for (size_t i = 0; i < o->all->n; i++) {
        const struct sc_conjunct *c = &o->all->items[i];
        const json_t *beyond = json_object_get(c->schema, "unevaluatedProperties");
        if (!beyond || (c->root < SC_COUNT(evaluated) && evaluated[c->root])) continue;
        struct sc_conjunct value = { .schema = beyond,
                                     .pointer = sc_schema_at(s, c->pointer, "unevaluatedProperties") };
        sc_conjunction_add(s, &values, value);
    }
    return sc_schema_compile(s, &values);
}

static struct sc_node *member(struct sc_schema *s, struct sc_node *key, struct sc_node *value)
{
    if (sc_builder_failed(s->b)) return NULL;
    if (sc_node_is_nothing(value)) return value;
    struct sc_node *parts[] = { key, sc_json_colon(s->b), value };
    return sc_node_sequence(s->b, parts, 3);
}

static struct sc_node *named_member(struct sc_schema *s, const struct object *o, const char *name)
{
    unsigned matched = 0;
    for (size_t p = 0; p < o->n_patterns; p++)
        if (sc_dfa_matches(o->patterns[p].dfa, sc_text_of(name))) matched |= 1u << p;
    json_t *key = json_string(name);
    if (!key) return sc_builder_no_memory(s->b);
    enum sc_verdict allowed = SC_YES;
    for (size_t i = 0; i < o->name_schemas.n && allowed == SC_YES; i++) {
        const struct sc_conjunct *c = &o->name_schemas.items[i];
        allowed = sc_schema_check(s, c->schema, c->pointer, key, 0);
        if (allowed == SC_UNKNOWN)
            sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, NULL, "whether it allows the name '%.100s' cannot be told",
                           name);
    }
    struct sc_node *node = NULL;
    if (allowed == SC_NO) node = sc_node_nothing(s->b);
    else node = member(s, sc_schema_literal(s, key), member_value(s, o, name, matched));
    json_decref(key);
    return node;
}

// ---- additional members

// The names that are left for additional members; NULL: all strings.
static const struct sc_dfa *other_names(struct sc_schema *s, const struct object *o)
{
    const struct sc_dfa *names = NULL;
    bool is_any = true;
    if (o->name_schemas.n) {
        struct sc_conjunction schemas = o->name_schemas;
        sc_schema_gather(s, &schemas);
        for (size_t i = 0; i < schemas.n && !sc_builder_failed(s->b); i++) {
            static const char *const beyond[] = { "anyOf", "oneOf", "if", "enum", "const", "not" };
            const json_t *type = json_object_get(schemas.items[i].schema, "type");
            for (size_t k = 0; k < SC_COUNT(beyond); k++)
                if (json_object_get(schemas.items[i].schema, beyond[k]))
                    sc_schema_fail(s, SOCLE_UNSUPPORTED, schemas.items[i].pointer, beyond[k],
                                   "in the schema of names that are not listed in properties");
            bool impossible = json_is_false(schemas.items[i].schema);
            if (type) impossible |= !(sc_schema_types(s, type, schemas.items[i].pointer) & SC_TYPE_STRING);
            if (impossible) return sc_dfa_build(s->b, sc_node_nothing(s->b), NULL, NULL, NULL);
        }
        names = sc_schema_string_set(s, &schemas, &is_any);
    }
    if (o->n_names == 0 && o->n_patterns == 0) return names;
    if (!names) names = sc_schema_any_string(s);
    struct sc_node_list listed = { 0 };
    for (size_t i = 0; i < o->n_names; i++) sc_node_list_add(s->b, &listed, sc_node_string(s->b, o->names[i]));
    if (sc_builder_failed(s->b) || listed.n == 0) return names;
    struct sc_node *node = sc_node_choice(s->b, listed.items, listed.n);
    return sc_dfa_subtract(s->b, names, sc_dfa_build(s->b, node, NULL, NULL, NULL));
}

static struct sc_node *other_members(struct sc_schema *s, const struct object *o)
{
    struct sc_node_list choices = { 0 };
    const struct sc_dfa *names = other_names(s, o);
    for (unsigned matched = 0; matched < 1u << o->n_patterns && !sc_builder_failed(s->b); matched++) {
        const struct sc_dfa *here = names;
        for (size_t p = 0; p < o->n_patterns && here; p++)
            here = matched >> p & 1 ? sc_dfa_intersect(s->b, here, o->patterns[p].dfa)
                                    : sc_dfa_subtract(s->b, here, o->patterns[p].dfa);
        if (sc_builder_failed(s->b) || (here && sc_dfa_is_empty(here))) continue;
        struct sc_node *value = member_value(s, o, NULL, matched);
        if (sc_builder_failed(s->b) || sc_node_is_nothing(value)) continue;
        struct sc_node *key = here ? sc_json_string_of(s->b, here) : sc_json_string(s->b);
        sc_node_list_add(s->b, &choices, member(s, key, value));
    }
    if (sc_builder_failed(s->b) || choices.n == 0) return NULL;
    return sc_json_own_rule(s->b, "additional member", sc_node_choice(s->b, choices.items, choices.n));
}

// ---- lists whose items are counted: a rule for each number of items so far, at each place

struct counted {
    struct sc_node *const *items;
    const bool *needed;
    size_t n;
    struct sc_node *more;
    bool once;
    uint32_t min, max, most; // `most`: where counting may stop
    uint32_t first_rule;
};

static struct sc_node *counted_rule(struct sc_schema *s, const struct counted *l, size_t place, uint32_t count)
{
    return sc_node_rule(s->b, l->first_rule + (uint32_t)place * (l->most + 1) + count);
}

static struct sc_node *after_separator(struct sc_schema *s, uint32_t count, struct sc_node *item, struct sc_node *rest)
{
    struct sc_node *parts[3];
    size_t n = 0;
    if (count) parts[n++] = sc_json_comma(s->b);
    parts[n++] = item;
    parts[n++] = rest;
    return sc_node_sequence(s->b, parts, n);
}

// The texts from the place on, when `count` items came before.
static struct sc_node *counted_body(struct sc_schema *s, const struct counted *l, size_t place, uint32_t count)
{
    struct sc_node *choices[2];
    size_t n = 0;
    uint32_t next = SC_MIN(count + 1, l->most);
    bool has_room = l->max == SC_UNBOUNDED || count < l->max;
    if (place < l->n) {
        if (has_room && !sc_node_is_nothing(l->items[place]))
            choices[n++] = after_separator(s, count, l->items[place], counted_rule(s, l, place + 1, next));
        if (!l->needed[place]) choices[n++] = counted_rule(s, l, place + 1, count);
        return sc_node_choice(s->b, choices, n);
    }
    if (count >= l->min) choices[n++] = sc_node_empty(s->b);
    bool helps = !l->once || count + 1 >= l->min; // a second one of those that count once would not
    if (has_room && l->more && helps) choices[n++] = after_separator(s, count, l->more, counted_rule(s, l, l->n, next));
    return sc_node_choice(s->b, choices, n);
}

struct sc_node *sc_schema_counted_list(struct sc_schema *s, struct sc_node *const *items, const bool *needed, size_t n,
                                       struct sc_node *more, bool more_counts_once, uint32_t min, uint32_t max)
{
    if (sc_builder_failed(s->b)) return NULL;
    if (max != SC_UNBOUNDED && max > n + MORE_MAX) max = SC_MAX(min, (uint32_t)n + MORE_MAX); // fewer are valid, too
    struct counted l = { items, needed, n, more, more_counts_once, min, max, 0, s->b->n_rules };
    // Beyond min, and with no max, the count says nothing more. One at least tells whether a comma is due.
    l.most = SC_MAX(SC_MAX(min, max == SC_UNBOUNDED ? 0 : max), 1u);
    if (l.most > n && !more) l.most = SC_MAX((uint32_t)n, 1u);
    if (min > n && (!more || (more_counts_once && min > n + 1))) return sc_node_nothing(s->b);
    uint64_t n_rules = ((uint64_t)n + 1) * (l.most + 1);
    if (l.most > COUNTED_MAX || n_rules > COUNTED_MAX)
        return sc_builder_fail(s->b, SOCLE_UNSUPPORTED,
                               "%s: a list of %zu kinds of items, counted up to %u, is too large", s->where, n, l.most);
    for (uint64_t i = 0; i < n_rules; i++) sc_builder_rule(s->b, sc_text_of("counted list"));
    for (size_t place = 0; place <= n && !sc_builder_failed(s->b); place++)
        for (uint32_t count = 0; count <= l.most && !sc_builder_failed(s->b); count++) {
            struct sc_node *body = counted_body(s, &l, place, count);
            struct sc_build_rule *rule = &s->b->rules[l.first_rule + place * (l.most + 1) + count];
            rule->body = body;
            rule->keep = true;
        }
    return sc_node_rule(s->b, l.first_rule);
}

// ---- the whole

struct sc_node *sc_schema_object(struct sc_schema *s, const struct sc_conjunction *all)
{
    struct object o = { .all = all, .max = SC_UNBOUNDED };
    struct sc_node_list items = { 0 };
    gather(s, &o);
    struct sc_node *more = sc_builder_failed(s->b) ? NULL : other_members(s, &o);
    size_t n = 0;
    for (size_t i = 0; i < o.n_names && !sc_builder_failed(s->b); i++) {
        struct sc_node *node = named_member(s, &o, o.names[i]);
        if (sc_builder_failed(s->b)) return NULL;
        if (sc_node_is_nothing(node) && o.needed[i]) return node;
        if (sc_node_is_nothing(node)) continue;
        sc_node_list_add(s->b, &items, node);
        o.needed[n++] = o.needed[i];
    }
    if (sc_builder_failed(s->b)) return NULL;
    if (o.min > n + (more ? 1 : 0) && o.min_owner && more)
        return sc_schema_fail(
            s, SOCLE_UNSUPPORTED, o.min_owner->pointer, "minProperties",
            "more than the members that properties and required name, and one: additional members may "
            "repeat a name");
    struct sc_node *contents = o.min > 0 || o.max != SC_UNBOUNDED
                                   ? sc_schema_counted_list(s, items.items, o.needed, n, more, true, o.min, o.max)
                                   : sc_node_list(s->b, items.items, o.needed, n, sc_json_comma(s->b), more);
    return contents && sc_node_is_nothing(contents) ? contents : sc_json_wrap(s->b, "{", contents, "}");
}
