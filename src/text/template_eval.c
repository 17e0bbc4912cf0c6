// Evaluates expressions: one case per kind of node.
#include "text/template_internal.h"

#include <string.h>

#include "text/template_syntax.h"

bool sc_template_lookup(struct run *run, const struct string *name, struct value *out)
{
    for (const struct scope *scope = run->scope; scope; scope = scope->parent) {
        if (!sc_template_step(run, scope->n / 32)) return false;
        for (size_t i = scope->n; i-- > 0;)
            if (scope->bindings[i].name == name) {
                *out = scope->bindings[i].value;
                return true;
            }
    }
    struct value *input = run->inputs ? sc_template_dict_find_text(run, run->inputs, name->data, name->n_bytes) : NULL;
    if (input) {
        *out = *input;
        return true;
    }
    const struct native *global = sc_template_native_find(sc_template_globals, name->data, name->n_bytes);
    if (global) {
        *out = (struct value){ .kind = VALUE_FUNCTION, .function = global };
        return true;
    }
    return sc_template_undefined(run, (struct undefined){ .name = { .kind = VALUE_STRING, .string = name } }, out);
}

static bool eval_items(struct run *run, const struct nodes *nodes, struct list **out)
{
    *out = sc_template_list_new(run, nodes->n);
    if (!*out) return false;
    for (size_t i = 0; i < nodes->n; i++) {
        struct value item;
        if (!sc_template_eval(run, nodes->items[i], &item) || !sc_template_list_push(run, *out, item)) return false;
    }
    return true;
}

static bool eval_dict(struct run *run, const struct nodes *nodes, struct value *out)
{
    struct dict *dict = sc_template_dict_new(run, nodes->n / 2);
    if (!dict) return false;
    for (size_t i = 0; i + 1 < nodes->n; i += 2) {
        struct value key, value;
        if (!sc_template_eval(run, nodes->items[i], &key) || !sc_template_eval(run, nodes->items[i + 1], &value) ||
            !sc_template_dict_set(run, dict, key, value))
            return false;
    }
    *out = sc_template_dict(dict);
    return true;
}

static bool eval_concat(struct run *run, const struct nodes *nodes, struct value *out)
{
    const struct string *part;
    for (size_t i = 0; i < nodes->n; i++) {
        struct value value;
        if (!sc_template_eval(run, nodes->items[i], &value) || !sc_template_str(run, value, &part)) return false;
        if (i == 0) *out = (struct value){ .kind = VALUE_STRING, .string = part };
        else if (!sc_template_concat(run, out->string, part, out)) return false;
    }
    return true;
}

static bool compare_two(struct run *run, enum comparison op, struct value a, struct value b, bool *out)
{
    static const char *const symbols[] = { "==", "!=", "<", "<=", ">", ">=" };
    if (op == COMPARE_IN || op == COMPARE_NOT_IN) {
        if (!sc_template_contains(run, b, a, out)) return false;
        *out ^= op == COMPARE_NOT_IN;
        return true;
    }
    if (op == COMPARE_EQ || op == COMPARE_NE) {
        if (!sc_template_equal(run, a, b, out)) return false;
        *out ^= op == COMPARE_NE;
        return true;
    }
    int order;
    if (!sc_template_compare(run, symbols[op], a, b, &order)) return false;
    if (order == 2) *out = false; // not a number
    else if (op == COMPARE_LT) *out = order < 0;
    else if (op == COMPARE_LE) *out = order <= 0;
    else if (op == COMPARE_GT) *out = order > 0;
    else *out = order >= 0;
    return true;
}

// a < b < c asks both pairs, and evaluates b once.
static bool eval_compare(struct run *run, const struct node *node, struct value *out)
{
    struct value left, right;
    bool holds = true;
    if (!sc_template_eval(run, node->compare.first, &left)) return false;
    for (size_t i = 0; i < node->compare.rest.n && holds; i++) {
        if (!sc_template_eval(run, node->compare.rest.items[i], &right) ||
            !compare_two(run, node->compare.ops[i], left, right, &holds))
            return false;
        left = right;
    }
    *out = sc_template_bool(holds);
    return true;
}

static bool eval_conditional(struct run *run, const struct node *node, struct value *out)
{
    struct value test;
    if (!sc_template_eval(run, node->conditional.test, &test)) return false;
    if (sc_template_truth(test)) return sc_template_eval(run, node->conditional.yes, out);
    if (node->conditional.no) return sc_template_eval(run, node->conditional.no, out);
    return sc_template_undefined_hint(
        run, "the inline if-expression evaluated to false and no else section was defined", out);
}

static bool eval_item(struct run *run, const struct node *node, struct value *out)
{
    struct value object, key, bounds[3];
    const struct node *key_node = node->item.key;
    if (!sc_template_eval(run, node->item.object, &object)) return false;
    if (key_node->kind != NODE_SLICE)
        return sc_template_eval(run, key_node, &key) && sc_template_item(run, object, key, out);
    for (int i = 0; i < 3; i++) {
        bounds[i] = sc_template_none();
        if (key_node->slice[i] && !sc_template_eval(run, key_node->slice[i], &bounds[i])) return false;
    }
    return sc_template_slice(run, object, bounds, out);
}

static bool push_named(struct run *run, struct arguments *arguments, size_t capacity, const struct string *name,
                       struct value value)
{
    for (size_t i = 0; i < arguments->n_named; i++) {
        const struct string *other = arguments->named[i].name;
        if (other->n_bytes == name->n_bytes && memcmp(other->data, name->data, name->n_bytes) == 0)
            return sc_template_fail(run, "got multiple values for keyword argument '%.*s'",
                                    (int)SC_MIN(name->n_bytes, 200), name->data);
    }
    if (arguments->n_named == capacity) return sc_template_fail(run, "too many named arguments");
    arguments->named[arguments->n_named++] = (struct named_value){ name, value };
    return sc_template_step(run, arguments->n_named);
}

static bool eval_named(struct run *run, const struct node *node, struct value caller, struct arguments *out)
{
    const struct named_node *named = node->call.named;
    struct value more = { 0 };
    if (node->call.more_named) {
        if (!sc_template_eval(run, node->call.more_named, &more)) return false;
        if (more.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, more);
        if (more.kind != VALUE_DICT)
            return sc_template_fail(run, "argument after ** must be a mapping, not %s", sc_template_type_name(more));
    }
    size_t capacity = node->call.n_named + (more.kind ? more.dict->n : 0) + 1;
    out->named = sc_template_alloc(run, capacity, sizeof *out->named);
    if (!out->named) return false;
    for (size_t i = 0; i < node->call.n_named; i++) {
        struct value value;
        if (!sc_template_eval(run, named[i].value, &value) || !push_named(run, out, capacity, named[i].name, value))
            return false;
    }
    for (size_t i = 0; more.kind && i < more.dict->n; i++) {
        const struct dict_entry *entry = &more.dict->entries[i];
        if (entry->key.kind != VALUE_STRING) return sc_template_fail(run, "keywords must be strings");
        if (!push_named(run, out, capacity, entry->key.string, entry->value)) return false;
    }
    return caller.kind == VALUE_ABSENT || push_named(run, out, capacity, run->template->name_caller, caller);
}

// The arguments of a CALL, FILTER or TEST, and a call block's `caller` unless that is absent.
static bool eval_arguments(struct run *run, const struct node *node, struct value caller, struct arguments *out)
{
    *out = (struct arguments){ 0 };
    if (node->call.positional.n || node->call.more_positional) {
        struct list *list;
        if (!eval_items(run, &node->call.positional, &list)) return false;
        if (node->call.more_positional) {
            struct value more;
            const struct list *items;
            if (!sc_template_eval(run, node->call.more_positional, &more) || !sc_template_items(run, more, &items))
                return false;
            for (size_t i = 0; i < items->n; i++)
                if (!sc_template_list_push(run, list, items->items[i])) return false;
        }
        out->positional = list->items;
        out->n_positional = list->n;
    }
    if (!node->call.n_named && !node->call.more_named && caller.kind == VALUE_ABSENT) return true;
    return eval_named(run, node, caller, out);
}

bool sc_template_eval_call(struct run *run, const struct node *node, struct value caller, struct value *out)
{
    struct value callee;
    struct arguments arguments;
    if (!sc_template_eval(run, node->call.object, &callee)) return false;
    if (callee.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, callee);
    if (!eval_arguments(run, node, caller, &arguments)) return false;
    run->line = node->line;
    return sc_template_call(run, callee, &arguments, out);
}

static bool eval_filter(struct run *run, const struct node *node, struct value *out)
{
    const struct string *name = node->call.name;
    struct value object = run->piped;
    struct arguments arguments;
    if (node->call.object && !sc_template_eval(run, node->call.object, &object)) return false;
    if (!eval_arguments(run, node, (struct value){ 0 }, &arguments)) return false;
    run->line = node->line;
    if (!node->call.native)
        return sc_template_fail(run, "no %s named '%.*s'", node->kind == NODE_TEST ? "test" : "filter",
                                (int)SC_MIN(name->n_bytes, 200), name->data);
    return sc_template_native_call(run, node->kind == NODE_TEST ? "test" : "filter", node->call.native, object,
                                   &arguments, out);
}

static bool eval_unary(struct run *run, const struct node *node, struct value *out)
{
    struct value value;
    if (!sc_template_eval(run, node->operand, &value)) return false;
    if (node->kind == NODE_NOT) {
        *out = sc_template_bool(!sc_template_truth(value));
        return true;
    }
    if (node->kind == NODE_NEGATE) return sc_template_negate(run, value, out);
    *out = value.kind == VALUE_BOOL ? sc_template_int(value.boolean) : value;
    if (value.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, value);
    return sc_template_is_number(value) ||
           sc_template_fail(run, "bad operand type for unary +: '%s'", sc_template_type_name(value));
}

static bool eval_binary(struct run *run, const struct node *node, struct value *out)
{
    struct value left, right;
    if (!sc_template_eval(run, node->binary.left, &left)) return false;
    if (node->kind != NODE_BINARY) { // and, or: the operand that decides
        *out = left;
        return sc_template_truth(left) == (node->kind == NODE_OR) || sc_template_eval(run, node->binary.right, out);
    }
    if (!sc_template_eval(run, node->binary.right, &right)) return false;
    run->line = node->line;
    return sc_template_operate(run, node->binary.op, left, right, out);
}

static bool eval_list(struct run *run, const struct node *node, struct value *out)
{
    struct list *list;
    if (!eval_items(run, &node->list, &list)) return false;
    *out = node->kind == NODE_LIST ? sc_template_list(list) : sc_template_tuple(list);
    return true;
}

static bool eval_attribute(struct run *run, const struct node *node, struct value *out)
{
    struct value object;
    if (!sc_template_eval(run, node->attribute.object, &object)) return false;
    run->line = node->line;
    return sc_template_attribute(run, object, node->attribute.name, out);
}

static bool eval_kind(struct run *run, const struct node *node, struct value *out)
{
    switch (node->kind) {
    case NODE_CONSTANT: *out = node->constant; return true;
    case NODE_NAME: return sc_template_lookup(run, node->name, out);
    case NODE_LIST:
    case NODE_TUPLE: return eval_list(run, node, out);
    case NODE_DICT: return eval_dict(run, &node->list, out);
    case NODE_NEGATE:
    case NODE_PLUS:
    case NODE_NOT: return eval_unary(run, node, out);
    case NODE_BINARY:
    case NODE_AND:
    case NODE_OR: return eval_binary(run, node, out);
    case NODE_CONCAT: return eval_concat(run, &node->list, out);
    case NODE_COMPARE: return eval_compare(run, node, out);
    case NODE_CONDITIONAL: return eval_conditional(run, node, out);
    case NODE_ATTRIBUTE: return eval_attribute(run, node, out);
    case NODE_ITEM: return eval_item(run, node, out);
    case NODE_CALL: return sc_template_eval_call(run, node, (struct value){ 0 }, out);
    case NODE_FILTER:
    case NODE_TEST: return eval_filter(run, node, out);
    default: return sc_template_fail(run, "a slice outside of brackets");
    }
}

bool sc_template_eval(struct run *run, const struct node *node, struct value *out)
{
    run->line = node->line;
    if (!sc_template_step(run, 1) || !sc_template_enter(run)) return false;
    bool ok = eval_kind(run, node, out);
    run->depth--;
    return ok;
}
