// The parser of tags and of whole templates.
#include "text/template_syntax.h"

#include <stdlib.h>
#include <string.h>

static bool parse_body(struct parser *parser, const char *const *ends, struct nodes *out);

static bool expect_block_end(struct parser *parser)
{
    if (parser->token.kind != TOKEN_BLOCK_END) return sc_template_unexpected(parser, "the end of the tag \"%}\"");
    return sc_template_advance(parser);
}

static struct node *new_here(struct parser *parser, enum node_kind kind)
{
    return sc_template_node_new(parser, kind, parser->token.line);
}

// The rest of this tag, a body, and the tag that ends it: one of `ends` (NULL-terminated), which stays current.
static bool parse_until(struct parser *parser, const char *const *ends, struct nodes *out)
{
    if (sc_template_at_operator(parser, ":") && !sc_template_advance(parser)) return false;
    return expect_block_end(parser) && parse_body(parser, ends, out);
}

// The same where only one tag can end the body, which is passed.
static bool parse_to(struct parser *parser, const char *end, struct nodes *out)
{
    const char *const ends[] = { end, NULL };
    return parse_until(parser, ends, out) && sc_template_advance(parser);
}

// A body that `break` and `continue` cannot leave, because it is run apart.
static bool parse_closed(struct parser *parser, const char *end, struct nodes *out)
{
    unsigned n_loops = parser->n_loops;
    parser->n_loops = 0;
    bool ok = parse_to(parser, end, out);
    parser->n_loops = n_loops;
    return ok;
}

// Adds one branch to an `if`; a NULL test always holds.
static bool push_branch(struct parser *parser, struct node *node, struct node *test, struct nodes body)
{
    size_t n = node->branches.tests.n;
    if ((n & (n - 1)) == 0) { // full at 0, 1, 2, 4, 8, ...
        struct nodes *bodies = sc_arena_array(parser->arena, n ? n * 2 : 1, sizeof *bodies);
        if (!bodies) return sc_template_parser_memory(parser);
        if (n) memcpy(bodies, node->branches.bodies, n * sizeof *bodies);
        node->branches.bodies = bodies;
    }
    node->branches.bodies[n] = body;
    return sc_template_nodes_push(parser, &node->branches.tests, test);
}

static bool parse_if(struct parser *parser, struct node **out)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct node *node = *out = new_here(parser, NODE_IF);
    if (!node) return false;
    while (!sc_template_at_name(parser, "endif")) {
        bool is_else = sc_template_at_name(parser, "else");
        struct node *test = NULL;
        struct nodes body = { 0 };
        if (!sc_template_advance(parser)) return false;
        if (!is_else && !sc_template_parse_tuple(parser, EXPRESSION_NO_CONDITIONAL, NULL, &test)) return false;
        if (!parse_until(parser, is_else ? ends + 2 : ends, &body) || !push_branch(parser, node, test, body))
            return false;
    }
    return sc_template_advance(parser);
}

static bool parse_for(struct parser *parser, struct node **out)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    struct node *node = *out = new_here(parser, NODE_FOR);
    if (!node || !sc_template_advance(parser)) return false;
    if (!sc_template_parse_target(parser, "in", false, &node->loop.target)) return false;
    if (!sc_template_at_name(parser, "in")) return sc_template_unexpected(parser, "'in'");
    if (!sc_template_advance(parser) ||
        !sc_template_parse_tuple(parser, EXPRESSION_NO_CONDITIONAL, "recursive", &node->loop.items))
        return false;
    if (sc_template_at_name(parser, "if") &&
        (!sc_template_advance(parser) || !sc_template_parse_expression(parser, EXPRESSION_FULL, &node->loop.test)))
        return false;
    node->loop.is_recursive = sc_template_at_name(parser, "recursive");
    if (node->loop.is_recursive && !sc_template_advance(parser)) return false;
    parser->n_loops++;
    if (!parse_until(parser, ends, &node->loop.body)) return false;
    parser->n_loops--;
    bool has_else = sc_template_at_name(parser, "else");
    return sc_template_advance(parser) && (!has_else || parse_to(parser, "endfor", &node->loop.otherwise));
}

static bool check_target(struct parser *parser, const struct node *target)
{
    if (target->kind == NODE_ATTRIBUTE || target->kind == NODE_NAME) return true;
    if (target->kind != NODE_TUPLE) return sc_template_parse_fail(parser, "only names can be assigned to");
    for (size_t i = 0; i < target->list.n; i++)
        if (!check_target(parser, target->list.items[i])) return false;
    return true;
}

static bool parse_set(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_SET);
    if (!node || !sc_template_advance(parser)) return false;
    if (!sc_template_parse_target(parser, NULL, true, &node->set.target)) return false;
    if (!check_target(parser, node->set.target)) return false;
    if (sc_template_at_operator(parser, "="))
        return sc_template_advance(parser) && sc_template_parse_tuple(parser, EXPRESSION_FULL, NULL, &node->set.value);
    node->kind = NODE_SET_BLOCK;
    return sc_template_parse_filters(parser, NULL, false, &node->set.value) &&
           parse_to(parser, "endset", &node->set.body);
}

// "(" name, name=default, ... ")"
static bool parse_signature(struct parser *parser, struct signature *out)
{
    size_t capacity = 0;
    bool has_default = false;
    if (!sc_template_expect_operator(parser, "(")) return false;
    while (!sc_template_at_operator(parser, ")")) {
        if (out->n && !sc_template_expect_operator(parser, ",")) return false;
        struct named_node item = { 0 };
        if (!sc_template_expect_name(parser, &item.name)) return false;
        if (sc_template_at_operator(parser, "=")) {
            has_default = true;
            if (!sc_template_advance(parser) || !sc_template_parse_expression(parser, EXPRESSION_FULL, &item.value))
                return false;
        } else if (has_default) {
            return sc_template_parse_fail(parser, "a parameter without a default follows one that has a default");
        }
        if (out->n == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            struct named_node *items = sc_arena_array(parser->arena, capacity, sizeof *items);
            if (!items) return sc_template_parser_memory(parser);
            if (out->n) memcpy(items, out->items, out->n * sizeof *items);
            out->items = items;
        }
        out->items[out->n++] = item;
    }
    return sc_template_advance(parser);
}

// A parameter called `caller`, `kwargs` or `varargs` is an ordinary one, but `caller` needs a default.
static bool forget_declared(struct parser *parser, struct signature *signature)
{
    for (size_t i = 0; i < signature->n; i++) {
        struct sc_text name = { signature->items[i].name->data, signature->items[i].name->n_bytes };
        if (sc_text_is(name, "caller")) {
            if (!signature->items[i].value)
                return sc_template_parse_fail(parser, "a parameter called 'caller' must have a default");
            signature->takes_caller = false;
        }
        if (sc_text_is(name, "kwargs")) signature->takes_named = false;
        if (sc_text_is(name, "varargs")) signature->takes_any = false;
    }
    return true;
}

// The body of a macro or call block. What it takes from around is told to the macros around it, too.
static bool parse_macro_body(struct parser *parser, const char *end, struct node *node)
{
    struct signature *outer = parser->macro, *own = &node->macro.signature;
    parser->macro = own;
    if (!parse_closed(parser, end, &node->macro.body)) return false;
    parser->macro = outer;
    if (!forget_declared(parser, own)) return false;
    if (outer) {
        outer->takes_caller |= own->takes_caller;
        outer->takes_named |= own->takes_named;
        outer->takes_any |= own->takes_any;
    }
    return true;
}

static bool parse_macro(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_MACRO);
    return node && sc_template_advance(parser) && sc_template_expect_name(parser, &node->macro.name) &&
           parse_signature(parser, &node->macro.signature) && parse_macro_body(parser, "endmacro", node);
}

static bool parse_call_block(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_CALL_BLOCK);
    if (!node || !sc_template_advance(parser)) return false;
    if (sc_template_at_operator(parser, "(") && !parse_signature(parser, &node->macro.signature)) return false;
    if (!sc_template_parse_expression(parser, EXPRESSION_FULL, &node->macro.call)) return false;
    if (node->macro.call->kind != NODE_CALL) return sc_template_parse_fail(parser, "expected a call of a macro");
    return sc_template_intern(parser, sc_text_of("caller"), &node->macro.name) &&
           parse_macro_body(parser, "endcall", node);
}

static bool parse_filter_block(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_FILTER_BLOCK);
    return node && sc_template_advance(parser) && sc_template_parse_filters(parser, NULL, true, &node->filter.filter) &&
           parse_to(parser, "endfilter", &node->filter.body);
}

static bool parse_with(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_WITH), *target, *value;
    if (!node || !sc_template_advance(parser)) return false;
    while (parser->token.kind != TOKEN_BLOCK_END && !sc_template_at_operator(parser, ":")) {
        if (node->scope.targets.n && !sc_template_expect_operator(parser, ",")) return false;
        if (!sc_template_parse_target(parser, NULL, false, &target) || !sc_template_expect_operator(parser, "=") ||
            !sc_template_parse_expression(parser, EXPRESSION_FULL, &value) ||
            !sc_template_nodes_push(parser, &node->scope.targets, target) ||
            !sc_template_nodes_push(parser, &node->scope.values, value))
            return false;
    }
    return parse_to(parser, "endwith", &node->scope.body);
}

// {% generation %} marks what a model says; it changes nothing in the text.
static bool parse_generation(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_SCOPE);
    return node && sc_template_advance(parser) && parse_closed(parser, "endgeneration", &node->scope.body);
}

static bool parse_autoescape(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_SCOPE), *value;
    if (!node || !sc_template_advance(parser) || !sc_template_parse_expression(parser, EXPRESSION_FULL, &value))
        return false;
    if (value->kind != NODE_CONSTANT || sc_template_truth(value->constant))
        return sc_template_parse_fail(parser, "chat templates are not HTML: only \"autoescape false\" is known");
    return parse_to(parser, "endautoescape", &node->scope.body);
}

// Nothing can override a block here, so it is its own contents.
static bool parse_block(struct parser *parser, struct node **out)
{
    const struct string *name, *again;
    struct node *node = *out = new_here(parser, NODE_SCOPE);
    if (!node || !sc_template_advance(parser) || !sc_template_expect_name(parser, &name)) return false;
    node->scope.is_isolated = !sc_template_at_name(parser, "scoped");
    if (!node->scope.is_isolated && !sc_template_advance(parser)) return false;
    if (!parse_closed(parser, "endblock", &node->scope.body)) return false;
    if (parser->token.kind != TOKEN_NAME) return true;
    if (!sc_template_expect_name(parser, &again)) return false;
    return again == name || sc_template_parse_fail(parser, "expected 'endblock %.*s'", (int)name->n_bytes, name->data);
}

static bool parse_print(struct parser *parser, struct node **out)
{
    struct node *node = *out = new_here(parser, NODE_OUTPUT), *item;
    if (!node || !sc_template_advance(parser)) return false;
    while (parser->token.kind != TOKEN_BLOCK_END) {
        if (node->list.n && !sc_template_expect_operator(parser, ",")) return false;
        if (!sc_template_parse_expression(parser, EXPRESSION_FULL, &item) ||
            !sc_template_nodes_push(parser, &node->list, item))
            return false;
    }
    return true;
}

static bool parse_jump(struct parser *parser, struct node **out)
{
    bool is_break = sc_template_at_name(parser, "break");
    struct node *node = *out = new_here(parser, is_break ? NODE_BREAK : NODE_CONTINUE);
    if (!parser->n_loops)
        return sc_template_parse_fail(parser, "'%s' outside of a loop", is_break ? "break" : "continue");
    return node && sc_template_advance(parser);
}

static bool parse_refused(struct parser *parser, struct node **out)
{
    (void)out;
    return sc_template_parse_fail(parser, "'%.*s' reads other templates, which a chat template cannot",
                                  SC_TEXT_ARGS(parser->token.text));
}

// The tags. Each parser begins at the tag's name and ends before its "%}".
static const struct {
    const char *name;
    bool (*parse)(struct parser *parser, struct node **out);
} tags[] = {
    { "if", parse_if },
    { "for", parse_for },
    { "set", parse_set },
    { "macro", parse_macro },
    { "call", parse_call_block },
    { "filter", parse_filter_block },
    { "with", parse_with },
    { "generation", parse_generation },
    { "autoescape", parse_autoescape },
    { "block", parse_block },
    { "print", parse_print },
    { "break", parse_jump },
    { "continue", parse_jump },
    { "include", parse_refused },
    { "import", parse_refused },
    { "from", parse_refused },
    { "extends", parse_refused },
};

static bool parse_tag(struct parser *parser, struct nodes *out)
{
    if (parser->token.kind != TOKEN_NAME) return sc_template_unexpected(parser, "the name of a tag");
    for (size_t i = 0; i < SC_COUNT(tags); i++) {
        if (!sc_template_at_name(parser, tags[i].name)) continue;
        struct node *node = NULL;
        if (!sc_template_enter_syntax(parser) || !tags[i].parse(parser, &node)) return false;
        parser->depth--;
        return expect_block_end(parser) && sc_template_nodes_push(parser, out, node);
    }
    return sc_template_parse_fail(parser, "unknown tag '%.*s'", SC_TEXT_ARGS(parser->token.text));
}

static bool parse_output(struct parser *parser, struct nodes *out)
{
    struct node *node = new_here(parser, NODE_OUTPUT), *value;
    if (!node || !sc_template_parse_tuple(parser, EXPRESSION_FULL, NULL, &value) ||
        !sc_template_nodes_push(parser, &node->list, value))
        return false;
    if (parser->token.kind != TOKEN_OUTPUT_END) return sc_template_unexpected(parser, "the end of the tag \"}}\"");
    return sc_template_advance(parser) && sc_template_nodes_push(parser, out, node);
}

static bool parse_text(struct parser *parser, struct nodes *out)
{
    struct node *node = new_here(parser, NODE_TEXT);
    if (!node) return false;
    node->constant.kind = VALUE_STRING;
    node->constant.string = sc_template_string_new(parser->arena, parser->token.text.data, parser->token.text.n_bytes);
    if (!node->constant.string) return sc_template_parser_memory(parser);
    return sc_template_advance(parser) && sc_template_nodes_push(parser, out, node);
}

static bool at_one_of(const struct parser *parser, const char *const *names)
{
    for (; names && *names; names++)
        if (sc_template_at_name(parser, *names)) return true;
    return false;
}

// Text and tags up to a tag that `ends` names, or to the end of the template where `ends` is NULL.
static bool parse_body(struct parser *parser, const char *const *ends, struct nodes *out)
{
    for (;;) {
        bool ok = true;
        switch (parser->token.kind) {
        case TOKEN_TEXT: ok = parse_text(parser, out); break;
        case TOKEN_OUTPUT_BEGIN: ok = sc_template_advance(parser) && parse_output(parser, out); break;
        case TOKEN_BLOCK_BEGIN:
            if (!sc_template_advance(parser)) return false;
            if (at_one_of(parser, ends)) return true;
            ok = parse_tag(parser, out);
            break;
        case TOKEN_END:
            if (!ends) return true;
            while (ends[1]) ends++;
            return sc_template_parse_fail(parser, "the template ends where '%s' was expected", *ends);
        default: return sc_template_unexpected(parser, "text or a tag");
        }
        if (!ok) return false;
    }
}

// The source with "\n" for every line end, and without the last one.
static bool normalize(struct sc_arena *arena, struct sc_text source, struct sc_text *out)
{
    char *data = sc_arena_alloc(arena, source.n_bytes + 1);
    if (!data) return false;
    size_t n = 0;
    for (size_t i = 0; i < source.n_bytes; i++) {
        char c = source.data[i];
        if (c == '\r' && i + 1 < source.n_bytes && source.data[i + 1] == '\n') continue;
        data[n++] = c == '\r' ? '\n' : c;
    }
    if (n && data[n - 1] == '\n') n--;
    *out = (struct sc_text){ data, n };
    return true;
}

bool sc_template_parse_source(struct sc_template *template, struct sc_text source, socle_error *err)
{
    struct parser parser = { .arena = &template->arena, .err = err };
    parser.lexer =
        (struct lexer){ .arena = &template->arena, .err = err, .line = 1, .inside = TOKEN_TEXT, .at_line_start = true };
    if (!normalize(&template->arena, source, &parser.lexer.source)) return sc_template_parser_memory(&parser);
    return sc_template_intern(&parser, sc_text_of("loop"), &template->name_loop) &&
           sc_template_intern(&parser, sc_text_of("caller"), &template->name_caller) &&
           sc_template_intern(&parser, sc_text_of("kwargs"), &template->name_kwargs) &&
           sc_template_intern(&parser, sc_text_of("varargs"), &template->name_varargs) &&
           sc_template_advance(&parser) && sc_template_advance(&parser) && parse_body(&parser, NULL, &template->body);
}
