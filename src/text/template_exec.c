// Runs statements: one function per kind of node. What they print goes to the rendering's output.
#include "text/template_internal.h"

#include <string.h>

#include "text/template_syntax.h"

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };

static enum flow exec_body(struct run *run, const struct nodes *body);

static enum flow flow_of(bool ok) { return ok ? FLOW_ON : FLOW_FAILED; }

struct scope *sc_template_scope_new(struct run *run, struct scope *parent)
{
    struct scope *scope = sc_template_alloc(run, 1, sizeof *scope);
    if (scope) scope->parent = parent;
    return scope;
}

bool sc_template_bind(struct run *run, struct scope *scope, const struct string *name, struct value value)
{
    if (!sc_template_step(run, scope->n / 32)) return false;
    for (size_t i = 0; i < scope->n; i++)
        if (scope->bindings[i].name == name) {
            scope->bindings[i].value = value;
            return true;
        }
    if (scope->n == scope->capacity) {
        size_t capacity = scope->capacity ? scope->capacity * 2 : 4;
        struct binding *bindings = sc_template_alloc(run, capacity, sizeof *bindings);
        if (!bindings) return false;
        if (scope->n) memcpy(bindings, scope->bindings, scope->n * sizeof *bindings);
        scope->bindings = bindings;
        scope->capacity = capacity;
    }
    scope->bindings[scope->n++] = (struct binding){ name, value };
    return true;
}

static bool assign_attribute(struct run *run, const struct node *target, struct value value)
{
    struct value object, key = { .kind = VALUE_STRING, .string = target->attribute.name };
    if (!sc_template_eval(run, target->attribute.object, &object)) return false;
    if (object.kind != VALUE_NAMESPACE) return sc_template_fail(run, "cannot assign attribute on non-namespace object");
    return sc_template_dict_set(run, object.dict, key, value);
}

bool sc_template_assign(struct run *run, const struct node *target, struct value value)
{
    if (target->kind == NODE_NAME) return sc_template_bind(run, run->scope, target->name, value);
    if (target->kind == NODE_ATTRIBUTE) return assign_attribute(run, target, value);
    const struct list *items;
    size_t n = target->list.n;
    if (!sc_template_is_iterable(value))
        return sc_template_fail(run, "cannot unpack non-iterable %s object", sc_template_type_name(value));
    if (!sc_template_items(run, value, &items)) return false;
    if (items->n < n) return sc_template_fail(run, "not enough values to unpack (expected %zu, got %zu)", n, items->n);
    if (items->n > n) return sc_template_fail(run, "too many values to unpack (expected %zu)", n);
    for (size_t i = 0; i < n; i++)
        if (!sc_template_assign(run, target->list.items[i], items->items[i])) return false;
    return true;
}

// Runs a body in a scope of its own.
static enum flow exec_scoped(struct run *run, const struct nodes *body, struct scope *parent)
{
    struct scope *outer = run->scope;
    run->scope = sc_template_scope_new(run, parent);
    enum flow flow = run->scope ? exec_body(run, body) : FLOW_FAILED;
    run->scope = outer;
    return flow;
}

// Runs a body in a scope of its own and takes what it prints.
static enum flow exec_captured(struct run *run, const struct nodes *body, struct value *out)
{
    size_t begin = sc_template_text_begin(run);
    enum flow flow = exec_scoped(run, body, run->scope);
    return flow != FLOW_FAILED && sc_template_text_end(run, begin, out) ? flow : FLOW_FAILED;
}

static enum flow exec_output(struct run *run, const struct nodes *values)
{
    for (size_t i = 0; i < values->n; i++) {
        struct value value;
        if (!sc_template_eval(run, values->items[i], &value) || !sc_template_print(run, value)) return FLOW_FAILED;
    }
    return FLOW_ON;
}

static enum flow exec_if(struct run *run, const struct node *node)
{
    for (size_t i = 0; i < node->branches.tests.n; i++) {
        struct value test;
        if (node->branches.tests.items[i]) {
            if (!sc_template_eval(run, node->branches.tests.items[i], &test)) return FLOW_FAILED;
            if (!sc_template_truth(test)) continue;
        }
        return exec_body(run, &node->branches.bodies[i]);
    }
    return FLOW_ON;
}

bool sc_template_loop_fill(struct run *run, struct loop *loop, size_t n)
{
    if (!loop->source) return true;
    struct scope *outer = run->scope;
    uint32_t line = run->line;
    while (loop->items->n < n && loop->position < loop->source->n) {
        struct value item = loop->source->items[loop->position++], test;
        run->scope = sc_template_scope_new(run, loop->scope);
        if (!run->scope || !sc_template_assign(run, loop->node->loop.target, item) ||
            !sc_template_eval(run, loop->node->loop.test, &test))
            return false;
        if (sc_template_truth(test) && !sc_template_list_push(run, loop->items, item)) return false;
    }
    run->scope = outer;
    run->line = line;
    return true;
}

// The turns of a loop, each with fresh variables.
static enum flow exec_turns(struct run *run, struct loop *loop)
{
    struct value loop_value = { .kind = VALUE_LOOP, .loop = loop };
    struct scope *outer = run->scope, *scope = sc_template_scope_new(run, loop->scope);
    enum flow flow = FLOW_ON;
    if (!scope) return FLOW_FAILED;
    for (loop->index = 0;; loop->index++) {
        if (!sc_template_loop_fill(run, loop, loop->index + 1)) return FLOW_FAILED;
        if (loop->index >= loop->items->n) break;
        scope->n = 0;
        run->scope = scope;
        if (!sc_template_step(run, 1) || !sc_template_bind(run, scope, run->template->name_loop, loop_value) ||
            !sc_template_assign(run, loop->node->loop.target, loop->items->items[loop->index]))
            return FLOW_FAILED;
        flow = exec_body(run, &loop->node->loop.body);
        if (flow == FLOW_BREAK || flow == FLOW_FAILED) break;
        loop->has_finished_turn |= flow == FLOW_ON;
    }
    run->scope = outer;
    return flow == FLOW_FAILED ? FLOW_FAILED : FLOW_ON;
}

static enum flow exec_loop(struct run *run, const struct node *node, struct value items, struct scope *scope,
                           uint32_t depth)
{
    const struct list *list;
    struct loop *loop = sc_template_alloc(run, 1, sizeof *loop);
    if (!loop || !sc_template_items(run, items, &list)) return FLOW_FAILED;
    *loop = (struct loop){ .node = node, .scope = scope, .depth = depth };
    loop->items = sc_template_list_new(run, 0);
    if (!loop->items) return FLOW_FAILED;
    if (node->loop.test) loop->source = list;
    else *loop->items = *list; // never grown then
    enum flow flow = exec_turns(run, loop);
    if (flow == FLOW_FAILED || loop->has_finished_turn) return flow;
    return exec_scoped(run, &node->loop.otherwise, scope);
}

static enum flow exec_for(struct run *run, const struct node *node)
{
    struct value items;
    if (!sc_template_eval(run, node->loop.items, &items)) return FLOW_FAILED;
    if (!sc_template_is_iterable(items)) {
        run->line = node->line;
        return flow_of(sc_template_fail(run, "'%s' object is not iterable", sc_template_type_name(items)));
    }
    return exec_loop(run, node, items, run->scope, 0);
}

bool sc_template_loop_call(struct run *run, struct loop *loop, struct value items, struct value *out)
{
    size_t begin = sc_template_text_begin(run);
    if (!loop->node->loop.is_recursive)
        return sc_template_fail(run, "the loop must have the 'recursive' marker to be called recursively");
    if (!sc_template_enter(run)) return false;
    enum flow flow = exec_loop(run, loop->node, items, loop->scope, loop->depth + 1);
    run->depth--;
    return flow != FLOW_FAILED && sc_template_text_end(run, begin, out);
}

static enum flow exec_set(struct run *run, const struct node *node)
{
    struct value value;
    return flow_of(sc_template_eval(run, node->set.value, &value) && sc_template_assign(run, node->set.target, value));
}

static enum flow exec_set_block(struct run *run, const struct node *node)
{
    struct value value;
    enum flow flow = exec_captured(run, &node->set.body, &value);
    if (flow != FLOW_ON) return flow;
    run->piped = value;
    if (node->set.value && !sc_template_eval(run, node->set.value, &value)) return FLOW_FAILED;
    return flow_of(sc_template_assign(run, node->set.target, value));
}

static enum flow exec_filter_block(struct run *run, const struct node *node)
{
    struct value value;
    enum flow flow = exec_captured(run, &node->filter.body, &value);
    if (flow != FLOW_ON) return flow;
    run->piped = value;
    return flow_of(sc_template_eval(run, node->filter.filter, &value) && sc_template_print(run, value));
}

static bool make_macro(struct run *run, const struct node *node, struct value *out)
{
    struct macro *macro = sc_template_alloc(run, 1, sizeof *macro);
    if (!macro) return false;
    *macro = (struct macro){ node, run->scope };
    *out = (struct value){ .kind = VALUE_MACRO, .macro = macro };
    return true;
}

static enum flow exec_macro(struct run *run, const struct node *node)
{
    struct value value;
    return flow_of(make_macro(run, node, &value) && sc_template_bind(run, run->scope, node->macro.name, value));
}

static enum flow exec_call_block(struct run *run, const struct node *node)
{
    struct value caller, text;
    return flow_of(make_macro(run, node, &caller) && sc_template_eval_call(run, node->macro.call, caller, &text) &&
                   sc_template_print(run, text));
}

static enum flow exec_with(struct run *run, const struct node *node)
{
    struct list *values = sc_template_list_new(run, node->scope.values.n);
    struct scope *outer = run->scope;
    if (!values) return FLOW_FAILED;
    for (size_t i = 0; i < node->scope.values.n; i++) {
        struct value value;
        if (!sc_template_eval(run, node->scope.values.items[i], &value) || !sc_template_list_push(run, values, value))
            return FLOW_FAILED;
    }
    run->scope = sc_template_scope_new(run, outer);
    if (!run->scope) return FLOW_FAILED;
    for (size_t i = 0; i < values->n; i++)
        if (!sc_template_assign(run, node->scope.targets.items[i], values->items[i])) return FLOW_FAILED;
    enum flow flow = exec_body(run, &node->scope.body);
    run->scope = outer;
    return flow;
}

static enum flow exec_statement(struct run *run, const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT: return flow_of(sc_template_print(run, node->constant));
    case NODE_OUTPUT: return exec_output(run, &node->list);
    case NODE_IF: return exec_if(run, node);
    case NODE_FOR: return exec_for(run, node);
    case NODE_SET: return exec_set(run, node);
    case NODE_SET_BLOCK: return exec_set_block(run, node);
    case NODE_MACRO: return exec_macro(run, node);
    case NODE_CALL_BLOCK: return exec_call_block(run, node);
    case NODE_FILTER_BLOCK: return exec_filter_block(run, node);
    case NODE_WITH: return exec_with(run, node);
    case NODE_SCOPE: return exec_scoped(run, &node->scope.body, node->scope.is_isolated ? run->root : run->scope);
    case NODE_BREAK: return FLOW_BREAK;
    case NODE_CONTINUE: return FLOW_CONTINUE;
    default: return flow_of(sc_template_fail(run, "an expression where a statement was expected"));
    }
}

static enum flow exec_body(struct run *run, const struct nodes *body)
{
    if (!sc_template_enter(run)) return FLOW_FAILED;
    enum flow flow = FLOW_ON;
    for (size_t i = 0; i < body->n && flow == FLOW_ON; i++) {
        run->line = body->items[i]->line;
        flow = sc_template_step(run, 1) ? exec_statement(run, body->items[i]) : FLOW_FAILED;
    }
    run->depth--;
    return flow;
}

bool sc_template_exec_body(struct run *run, const struct nodes *body) { return exec_body(run, body) != FLOW_FAILED; }

// Gives the macro's parameters their values in its new scope, which is current. used[i]: named argument i was taken.
static bool bind_parameters(struct run *run, const struct node *node, const struct arguments *given, bool *used)
{
    const struct signature *signature = &node->macro.signature;
    for (size_t i = 0; i < signature->n; i++) {
        const struct named_node *parameter = &signature->items[i];
        struct value value = { 0 };
        if (i < given->n_positional) value = given->positional[i];
        for (size_t k = 0; k < given->n_named && i >= given->n_positional; k++) {
            const struct string *name = given->named[k].name;
            if (name->n_bytes != parameter->name->n_bytes ||
                memcmp(name->data, parameter->name->data, name->n_bytes) != 0)
                continue;
            value = given->named[k].value;
            used[k] = true;
        }
        if (value.kind == VALUE_ABSENT && parameter->value && !sc_template_eval(run, parameter->value, &value))
            return false;
        if (value.kind == VALUE_ABSENT) {
            struct undefined missing = { .is_parameter = true,
                                         .name = { .kind = VALUE_STRING, .string = parameter->name } };
            if (!sc_template_undefined(run, missing, &value)) return false;
        }
        if (!sc_template_bind(run, run->scope, parameter->name, value)) return false;
    }
    return true;
}

// What is left over becomes `caller`, `kwargs` and `varargs` where the macro's body uses them, and is refused
// otherwise.
static bool bind_rest(struct run *run, const struct node *node, const struct arguments *given, bool *used)
{
    const struct signature *signature = &node->macro.signature;
    const struct string *name = node->macro.name;
    struct dict *named = sc_template_dict_new(run, 0);
    struct list *rest = sc_template_list_new(run, 0);
    struct value caller;
    if (!named || !rest || !sc_template_undefined_hint(run, "No caller defined", &caller)) return false;
    for (size_t i = 0; i < given->n_named; i++) {
        const struct string *key = given->named[i].name;
        struct value key_value = { .kind = VALUE_STRING, .string = key };
        if (used[i]) continue;
        bool is_caller = sc_text_is((struct sc_text){ key->data, key->n_bytes }, "caller");
        if (is_caller && signature->takes_caller) caller = given->named[i].value;
        else if (!signature->takes_named || is_caller)
            return sc_template_fail(run, "macro '%.*s' takes no keyword argument '%.*s'",
                                    (int)SC_MIN(name->n_bytes, 200), name->data, (int)SC_MIN(key->n_bytes, 200),
                                    key->data);
        else if (!sc_template_dict_set(run, named, key_value, given->named[i].value)) return false;
    }
    if (given->n_positional > signature->n && !signature->takes_any)
        return sc_template_fail(run, "macro '%.*s' takes not more than %zu argument(s)",
                                (int)SC_MIN(name->n_bytes, 200), name->data, signature->n);
    for (size_t i = signature->n; i < given->n_positional; i++)
        if (!sc_template_list_push(run, rest, given->positional[i])) return false;
    struct scope *scope = run->scope;
    if (signature->takes_caller && !sc_template_bind(run, scope, run->template->name_caller, caller)) return false;
    if (signature->takes_named && !sc_template_bind(run, scope, run->template->name_kwargs, sc_template_dict(named)))
        return false;
    return !signature->takes_any || sc_template_bind(run, scope, run->template->name_varargs, sc_template_tuple(rest));
}

bool sc_template_macro_call(struct run *run, const struct macro *macro, const struct arguments *given,
                            struct value *out)
{
    struct scope *outer = run->scope;
    bool *used = sc_template_alloc(run, given->n_named + 1, sizeof *used);
    if (!used || !sc_template_enter(run)) return false;
    run->scope = sc_template_scope_new(run, macro->scope);
    if (!run->scope || !bind_parameters(run, macro->node, given, used) || !bind_rest(run, macro->node, given, used))
        return false;
    size_t begin = sc_template_text_begin(run);
    if (exec_body(run, &macro->node->macro.body) == FLOW_FAILED || !sc_template_text_end(run, begin, out)) return false;
    run->scope = outer;
    run->depth--;
    return true;
}
