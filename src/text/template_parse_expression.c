// The parser of expressions. From the loosest to the tightest:
//     a if b else c     or     and     not     == != < <= > >= in, not in     + -     ~     * / // %     **
//     - + (one operand)     .name [key] (call)     |filter, is test
#include "text/template_syntax.h"

#include <string.h>

static bool parse_unary(struct parser *parser, bool with_filters, struct node **out);

static bool parse_full(struct parser *parser, struct node **out)
{
    return sc_template_parse_expression(parser, EXPRESSION_FULL, out);
}

static bool new_binary(struct parser *parser, enum node_kind kind, enum operator op, struct node *left,
                       struct node *right, struct node **out)
{
    struct node *node = sc_template_node_new(parser, kind, left->line);
    if (!node) return false;
    node->binary.op = op;
    node->binary.left = left;
    node->binary.right = right;
    *out = node;
    return sc_template_node_over(parser, node, left) && sc_template_node_over(parser, node, right);
}

struct level {
    struct {
        const char *text;
        enum operator op;
    } operators[5];
};

static bool parse_concat(struct parser *parser, struct node **out);

static bool parse_power_operand(struct parser *parser, struct node **out) { return parse_unary(parser, true, out); }

// operand (op operand)*, from the left, where the operators are those of one level.
static bool parse_level(struct parser *parser, const struct level *level,
                        bool (*parse_operand)(struct parser *, struct node **), struct node **out)
{
    if (!parse_operand(parser, out)) return false;
    for (;;) {
        size_t i = 0;
        while (level->operators[i].text && !sc_template_at_operator(parser, level->operators[i].text)) i++;
        if (!level->operators[i].text) return true;
        struct node *right;
        if (!sc_template_advance(parser) || !parse_operand(parser, &right) ||
            !new_binary(parser, NODE_BINARY, level->operators[i].op, *out, right, out))
            return false;
    }
}

static bool parse_power(struct parser *parser, struct node **out)
{
    static const struct level level = { { { "**", OP_POWER } } };
    return parse_level(parser, &level, parse_power_operand, out);
}

static bool parse_product(struct parser *parser, struct node **out)
{
    static const struct level level = {
        { { "*", OP_MULTIPLY }, { "/", OP_DIVIDE }, { "//", OP_FLOOR_DIVIDE }, { "%", OP_MODULO } }
    };
    return parse_level(parser, &level, parse_power, out);
}

static bool parse_sum(struct parser *parser, struct node **out)
{
    static const struct level level = { { { "+", OP_ADD }, { "-", OP_SUBTRACT } } };
    return parse_level(parser, &level, parse_concat, out);
}

static bool parse_concat(struct parser *parser, struct node **out)
{
    if (!parse_product(parser, out)) return false;
    if (!sc_template_at_operator(parser, "~")) return true;
    struct node *node = sc_template_node_new(parser, NODE_CONCAT, (*out)->line), *part = *out;
    if (!node) return false;
    for (;;) {
        if (!sc_template_nodes_push(parser, &node->list, part) || !sc_template_node_over(parser, node, part))
            return false;
        if (!sc_template_at_operator(parser, "~")) break;
        if (!sc_template_advance(parser) || !parse_product(parser, &part)) return false;
    }
    *out = node;
    return true;
}

// Which comparison stands here; -1: none. *n_tokens says how many tokens it takes.
static int comparison_here(const struct parser *parser, int *n_tokens)
{
    static const char *const operators[] = { "==", "!=", "<", "<=", ">", ">=" };
    *n_tokens = 1;
    for (size_t i = 0; i < SC_COUNT(operators); i++)
        if (sc_template_at_operator(parser, operators[i])) return (int)i;
    if (sc_template_at_name(parser, "in")) return COMPARE_IN;
    *n_tokens = 2;
    bool is_not_in = sc_template_at_name(parser, "not") && parser->next.kind == TOKEN_NAME &&
                     sc_text_is(parser->next.text, "in");
    return is_not_in ? COMPARE_NOT_IN : -1;
}

static bool push_comparison(struct parser *parser, struct node *node, enum comparison op, struct node *right)
{
    size_t n = node->compare.rest.n;
    if ((n & (n - 1)) == 0) { // full at 0, 1, 2, 4, 8, ...
        enum comparison *ops = sc_arena_array(parser->arena, n ? n * 2 : 1, sizeof *ops);
        if (!ops) return sc_template_parser_memory(parser);
        if (n) memcpy(ops, node->compare.ops, n * sizeof *ops);
        node->compare.ops = ops;
    }
    node->compare.ops[n] = op;
    return sc_template_nodes_push(parser, &node->compare.rest, right) && sc_template_node_over(parser, node, right);
}

static bool parse_compare(struct parser *parser, struct node **out)
{
    if (!parse_sum(parser, out)) return false;
    struct node *node = NULL;
    for (int n_tokens, op; (op = comparison_here(parser, &n_tokens)) >= 0;) {
        struct node *right;
        if (!sc_template_advance(parser) || (n_tokens == 2 && !sc_template_advance(parser)) ||
            !parse_sum(parser, &right))
            return false;
        if (!node) {
            node = sc_template_node_new(parser, NODE_COMPARE, (*out)->line);
            if (!node || !sc_template_node_over(parser, node, *out)) return false;
            node->compare.first = *out;
            *out = node;
        }
        if (!push_comparison(parser, node, (enum comparison)op, right)) return false;
    }
    return true;
}

static bool parse_not(struct parser *parser, struct node **out)
{
    if (!sc_template_at_name(parser, "not")) return parse_compare(parser, out);
    struct node *node = sc_template_node_new(parser, NODE_NOT, parser->token.line);
    if (!node || !sc_template_enter_syntax(parser)) return false;
    if (!sc_template_advance(parser) || !parse_not(parser, &node->operand)) return false;
    parser->depth--;
    *out = node;
    return sc_template_node_over(parser, node, node->operand);
}

static bool parse_and(struct parser *parser, struct node **out)
{
    if (!parse_not(parser, out)) return false;
    while (sc_template_at_name(parser, "and")) {
        struct node *right;
        if (!sc_template_advance(parser) || !parse_not(parser, &right) ||
            !new_binary(parser, NODE_AND, OP_ADD, *out, right, out))
            return false;
    }
    return true;
}

static bool parse_or(struct parser *parser, struct node **out)
{
    if (!parse_and(parser, out)) return false;
    while (sc_template_at_name(parser, "or")) {
        struct node *right;
        if (!sc_template_advance(parser) || !parse_and(parser, &right) ||
            !new_binary(parser, NODE_OR, OP_ADD, *out, right, out))
            return false;
    }
    return true;
}

static bool parse_conditional(struct parser *parser, struct node **out)
{
    if (!parse_or(parser, out)) return false;
    while (sc_template_at_name(parser, "if")) {
        struct node *node = sc_template_node_new(parser, NODE_CONDITIONAL, parser->token.line);
        if (!node) return false;
        node->conditional.yes = *out;
        if (!sc_template_advance(parser) || !parse_or(parser, &node->conditional.test)) return false;
        if (sc_template_at_name(parser, "else") &&
            (!sc_template_advance(parser) || !parse_full(parser, &node->conditional.no)))
            return false;
        if (!sc_template_node_over(parser, node, node->conditional.yes) ||
            !sc_template_node_over(parser, node, node->conditional.test) ||
            !sc_template_node_over(parser, node, node->conditional.no))
            return false;
        *out = node;
    }
    return true;
}

bool sc_template_parse_expression(struct parser *parser, enum expression_grammar grammar, struct node **out)
{
    if (!sc_template_enter_syntax(parser)) return false;
    bool ok = grammar == EXPRESSION_FULL ? parse_conditional(parser, out) : parse_or(parser, out);
    parser->depth--;
    return ok;
}

static bool at_tuple_end(const struct parser *parser, const char *end)
{
    return parser->token.kind == TOKEN_OUTPUT_END || parser->token.kind == TOKEN_BLOCK_END ||
           sc_template_at_operator(parser, ")") || (end && sc_template_at_name(parser, end));
}

// Reads items with commas between them, the last of which may be followed by one. One without a comma is itself.
static bool parse_items(struct parser *parser, const char *end, bool may_be_empty,
                        bool (*parse_item)(struct parser *, struct node **), struct node **out)
{
    struct node *tuple = sc_template_node_new(parser, NODE_TUPLE, parser->token.line), *item = NULL;
    if (!tuple) return false;
    bool has_comma = false;
    while (!at_tuple_end(parser, end)) {
        if (!parse_item(parser, &item) || !sc_template_nodes_push(parser, &tuple->list, item) ||
            !sc_template_node_over(parser, tuple, item))
            return false;
        if (!sc_template_at_operator(parser, ",")) break;
        has_comma = true;
        if (!sc_template_advance(parser)) return false;
    }
    *out = has_comma || !item ? tuple : item;
    return item || may_be_empty || sc_template_unexpected(parser, NULL);
}

static bool parse_without_conditional(struct parser *parser, struct node **out)
{
    return sc_template_parse_expression(parser, EXPRESSION_NO_CONDITIONAL, out);
}

bool sc_template_parse_tuple(struct parser *parser, enum expression_grammar grammar, const char *end, struct node **out)
{
    return parse_items(parser, end, false, grammar == EXPRESSION_FULL ? parse_full : parse_without_conditional, out);
}

static bool parse_list(struct parser *parser, struct node **out)
{
    struct node *node = sc_template_node_new(parser, NODE_LIST, parser->token.line), *item;
    if (!node || !sc_template_advance(parser)) return false;
    while (!sc_template_at_operator(parser, "]")) {
        if (node->list.n && !sc_template_expect_operator(parser, ",")) return false;
        if (sc_template_at_operator(parser, "]")) break;
        if (!parse_full(parser, &item) || !sc_template_nodes_push(parser, &node->list, item) ||
            !sc_template_node_over(parser, node, item))
            return false;
    }
    *out = node;
    return sc_template_advance(parser);
}

static bool parse_dict(struct parser *parser, struct node **out)
{
    struct node *node = sc_template_node_new(parser, NODE_DICT, parser->token.line), *key, *value;
    if (!node || !sc_template_advance(parser)) return false;
    while (!sc_template_at_operator(parser, "}")) {
        if (node->list.n && !sc_template_expect_operator(parser, ",")) return false;
        if (sc_template_at_operator(parser, "}")) break;
        if (!parse_full(parser, &key) || !sc_template_expect_operator(parser, ":") || !parse_full(parser, &value))
            return false;
        if (!sc_template_nodes_push(parser, &node->list, key) || !sc_template_nodes_push(parser, &node->list, value) ||
            !sc_template_node_over(parser, node, key) || !sc_template_node_over(parser, node, value))
            return false;
    }
    *out = node;
    return sc_template_advance(parser);
}

// What macros have to be given is told from the names that their bodies use.
static void note_name(struct parser *parser, struct sc_text name)
{
    struct signature *macro = parser->macro;
    if (!macro) return;
    if (sc_text_is(name, "caller")) macro->takes_caller = true;
    if (sc_text_is(name, "kwargs")) macro->takes_named = true;
    if (sc_text_is(name, "varargs")) macro->takes_any = true;
}

static bool parse_name(struct parser *parser, struct node **out)
{
    struct sc_text text = parser->token.text;
    bool is_true = sc_text_is(text, "true") || sc_text_is(text, "True");
    bool is_bool = is_true || sc_text_is(text, "false") || sc_text_is(text, "False");
    bool is_none = sc_text_is(text, "none") || sc_text_is(text, "None");
    struct node *node = sc_template_node_new(parser, is_bool || is_none ? NODE_CONSTANT : NODE_NAME,
                                             parser->token.line);
    if (!node) return false;
    if (is_bool) node->constant = sc_template_bool(is_true);
    else if (is_none) node->constant = sc_template_none();
    else if (!sc_template_intern(parser, text, &node->name)) return false;
    if (node->kind == NODE_NAME) note_name(parser, text);
    *out = node;
    return sc_template_advance(parser);
}

// A number, or strings, which are joined.
static bool parse_constant(struct parser *parser, struct node **out)
{
    struct node *node = sc_template_node_new(parser, NODE_CONSTANT, parser->token.line);
    if (!node) return false;
    node->constant = parser->token.value;
    *out = node;
    if (!sc_template_advance(parser)) return false;
    if (node->constant.kind != VALUE_STRING || parser->token.kind != TOKEN_CONSTANT) return true;
    struct sc_buffer joined = { .max_bytes = SC_TEMPLATE_SOURCE_BYTES_MAX };
    sc_buffer_append(&joined, node->constant.string->data, node->constant.string->n_bytes);
    bool ok = true;
    while (ok && parser->token.kind == TOKEN_CONSTANT && parser->token.value.kind == VALUE_STRING) {
        sc_buffer_append(&joined, parser->token.value.string->data, parser->token.value.string->n_bytes);
        ok = sc_template_advance(parser);
    }
    char *text = ok && !joined.failed ? sc_arena_text(parser->arena, joined.data, joined.n_bytes) : NULL;
    node->constant.string = text ? sc_template_string_new(parser->arena, text, joined.n_bytes) : NULL;
    sc_buffer_free(&joined);
    if (ok && !node->constant.string) return sc_template_parser_memory(parser);
    return ok;
}

static bool parse_primary(struct parser *parser, struct node **out)
{
    if (parser->token.kind == TOKEN_NAME) return parse_name(parser, out);
    if (parser->token.kind == TOKEN_CONSTANT) return parse_constant(parser, out);
    if (sc_template_at_operator(parser, "[")) return parse_list(parser, out);
    if (sc_template_at_operator(parser, "{")) return parse_dict(parser, out);
    if (!sc_template_at_operator(parser, "(")) return sc_template_unexpected(parser, NULL);
    return sc_template_advance(parser) && parse_items(parser, NULL, true, parse_full, out) &&
           sc_template_expect_operator(parser, ")");
}

// key or start:stop:step, inside of brackets.
static bool parse_key(struct parser *parser, struct node **out)
{
    struct node *slice = sc_template_node_new(parser, NODE_SLICE, parser->token.line);
    if (!slice) return false;
    for (int i = 0; i < 3; i++) {
        bool is_empty = sc_template_at_operator(parser, ":") || sc_template_at_operator(parser, "]") ||
                        sc_template_at_operator(parser, ",");
        if ((!is_empty || i == 0) && !sc_template_at_operator(parser, ":") &&
            (!parse_full(parser, &slice->slice[i]) || !sc_template_node_over(parser, slice, slice->slice[i])))
            return false;
        if (i == 0 && !sc_template_at_operator(parser, ":")) {
            *out = slice->slice[0];
            return true;
        }
        if (i == 2 || !sc_template_at_operator(parser, ":")) break;
        if (!sc_template_advance(parser)) return false;
    }
    *out = slice;
    return true;
}

static bool parse_subscript(struct parser *parser, struct node *object, struct node **out)
{
    struct node *node = sc_template_node_new(parser, NODE_ITEM, parser->token.line), *key;
    struct node *tuple = sc_template_node_new(parser, NODE_TUPLE, parser->token.line);
    if (!node || !tuple || !sc_template_advance(parser)) return false;
    while (!sc_template_at_operator(parser, "]")) {
        if (tuple->list.n && !sc_template_expect_operator(parser, ",")) return false;
        if (!parse_key(parser, &key)) return false;
        if (key->kind == NODE_SLICE && (tuple->list.n || sc_template_at_operator(parser, ",")))
            return sc_template_parse_fail(parser, "a slice cannot be part of a tuple");
        if (!sc_template_nodes_push(parser, &tuple->list, key) || !sc_template_node_over(parser, tuple, key))
            return false;
    }
    node->item.object = object;
    node->item.key = tuple->list.n == 1 ? tuple->list.items[0] : tuple;
    *out = node;
    return sc_template_node_over(parser, node, object) && sc_template_node_over(parser, node, node->item.key) &&
           sc_template_advance(parser);
}

static bool parse_dot(struct parser *parser, struct node *object, struct node **out)
{
    struct node *node = sc_template_node_new(parser, NODE_ATTRIBUTE, parser->token.line);
    if (!node || !sc_template_advance(parser)) return false;
    *out = node;
    if (!sc_template_node_over(parser, node, object)) return false;
    if (parser->token.kind == TOKEN_CONSTANT && parser->token.value.kind == VALUE_INT) {
        struct node *key = sc_template_node_new(parser, NODE_CONSTANT, parser->token.line);
        if (!key) return false;
        key->constant = parser->token.value;
        node->kind = NODE_ITEM;
        node->item.object = object;
        node->item.key = key;
        return sc_template_node_over(parser, node, key) && sc_template_advance(parser);
    }
    node->attribute.object = object;
    return sc_template_expect_name(parser, &node->attribute.name);
}

static bool push_named(struct parser *parser, struct node *call, const struct string *name, struct node *value)
{
    enum { NAMED_MAX = 1000 };
    size_t n = call->call.n_named;
    if (n == NAMED_MAX) return sc_template_parse_fail(parser, "more than %d named arguments", NAMED_MAX);
    if ((n & (n - 1)) == 0) { // full at 0, 1, 2, 4, 8, ...
        struct named_node *named = sc_arena_array(parser->arena, n ? n * 2 : 1, sizeof *named);
        if (!named) return sc_template_parser_memory(parser);
        if (n) memcpy(named, call->call.named, n * sizeof *named);
        call->call.named = named;
    }
    for (size_t i = 0; i < n; i++)
        if (call->call.named[i].name == name)
            return sc_template_parse_fail(parser, "the argument '%.*s' is given twice", (int)name->n_bytes, name->data);
    call->call.named[call->call.n_named++] = (struct named_node){ name, value };
    return true;
}

static bool parse_argument(struct parser *parser, struct node *call)
{
    struct node *value;
    bool has_stars = call->call.more_positional || call->call.more_named;
    bool is_star = sc_template_at_operator(parser, "*"), is_double = sc_template_at_operator(parser, "**");
    if (is_star || is_double) {
        struct node **slot = is_star ? &call->call.more_positional : &call->call.more_named;
        if (*slot || (is_star && has_stars)) return sc_template_parse_fail(parser, "arguments in the wrong order");
        return sc_template_advance(parser) && parse_full(parser, slot) && sc_template_node_over(parser, call, *slot);
    }
    if (parser->token.kind == TOKEN_NAME && parser->next.kind == TOKEN_OPERATOR && sc_text_is(parser->next.text, "=")) {
        const struct string *name;
        if (call->call.more_named) return sc_template_parse_fail(parser, "arguments in the wrong order");
        return sc_template_expect_name(parser, &name) && sc_template_advance(parser) && parse_full(parser, &value) &&
               push_named(parser, call, name, value) && sc_template_node_over(parser, call, value);
    }
    if (has_stars || call->call.n_named) return sc_template_parse_fail(parser, "arguments in the wrong order");
    return parse_full(parser, &value) && sc_template_nodes_push(parser, &call->call.positional, value) &&
           sc_template_node_over(parser, call, value);
}

// "(" arguments ")" into the fields of a CALL, FILTER or TEST.
static bool parse_arguments(struct parser *parser, struct node *call)
{
    if (!sc_template_expect_operator(parser, "(")) return false;
    for (bool is_first = true; !sc_template_at_operator(parser, ")"); is_first = false) {
        if (!is_first && !sc_template_expect_operator(parser, ",")) return false;
        if (!is_first && sc_template_at_operator(parser, ")")) break;
        if (!parse_argument(parser, call)) return false;
    }
    return sc_template_advance(parser);
}

static bool parse_call(struct parser *parser, struct node *callee, struct node **out)
{
    struct node *node = sc_template_node_new(parser, NODE_CALL, parser->token.line);
    if (!node) return false;
    node->call.object = callee;
    *out = node;
    return sc_template_node_over(parser, node, callee) && parse_arguments(parser, node);
}

static bool parse_postfix(struct parser *parser, struct node **node)
{
    for (;;) {
        bool ok;
        if (sc_template_at_operator(parser, ".")) ok = parse_dot(parser, *node, node);
        else if (sc_template_at_operator(parser, "[")) ok = parse_subscript(parser, *node, node);
        else if (sc_template_at_operator(parser, "(")) ok = parse_call(parser, *node, node);
        else return true;
        if (!ok) return false;
    }
}

// The name of a filter or test, which may have dots.
static bool parse_native_name(struct parser *parser, const struct string **out)
{
    if (!sc_template_expect_name(parser, out)) return false;
    if (sc_template_at_operator(parser, "."))
        return sc_template_parse_fail(parser, "there is no filter or test whose name has a dot");
    return true;
}

bool sc_template_parse_filters(struct parser *parser, struct node *object, bool starts_here, struct node **out)
{
    *out = object;
    while (starts_here || sc_template_at_operator(parser, "|")) {
        struct node *node = sc_template_node_new(parser, NODE_FILTER, parser->token.line);
        if (!node || (!starts_here && !sc_template_advance(parser))) return false;
        starts_here = false;
        if (!parse_native_name(parser, &node->call.name)) return false;
        node->call.native = sc_template_filter_find(node->call.name->data, node->call.name->n_bytes);
        node->call.object = *out;
        if (!sc_template_node_over(parser, node, *out)) return false;
        if (sc_template_at_operator(parser, "(") && !parse_arguments(parser, node)) return false;
        *out = node;
    }
    return true;
}

// Does an argument without parentheses follow the name of a test, as in `x is divisibleby 3`?
static bool at_test_argument(const struct parser *parser)
{
    if (parser->token.kind == TOKEN_NAME)
        return !sc_template_at_name(parser, "else") && !sc_template_at_name(parser, "or") &&
               !sc_template_at_name(parser, "and");
    return parser->token.kind == TOKEN_CONSTANT || sc_template_at_operator(parser, "[") ||
           sc_template_at_operator(parser, "{");
}

static bool parse_test(struct parser *parser, struct node *object, struct node **out)
{
    uint32_t line = parser->token.line;
    struct node *node = sc_template_node_new(parser, NODE_TEST, line), *argument;
    if (!node || !sc_template_advance(parser)) return false;
    bool is_negated = sc_template_at_name(parser, "not");
    if (is_negated && !sc_template_advance(parser)) return false;
    node->call.object = object;
    if (!sc_template_node_over(parser, node, object) || !parse_native_name(parser, &node->call.name)) return false;
    node->call.native = sc_template_native_find(sc_template_tests, node->call.name->data, node->call.name->n_bytes);
    if (sc_template_at_operator(parser, "(")) {
        if (!parse_arguments(parser, node)) return false;
    } else if (at_test_argument(parser)) {
        if (sc_template_at_name(parser, "is"))
            return sc_template_parse_fail(parser, "tests with 'is' cannot follow each other");
        if (!sc_template_enter_syntax(parser)) return false;
        if (!parse_primary(parser, &argument) || !parse_postfix(parser, &argument) ||
            !sc_template_nodes_push(parser, &node->call.positional, argument) ||
            !sc_template_node_over(parser, node, argument))
            return false;
        parser->depth--;
    }
    *out = node;
    if (!is_negated) return true;
    struct node *negation = sc_template_node_new(parser, NODE_NOT, line);
    if (!negation) return false;
    negation->operand = node;
    *out = negation;
    return sc_template_node_over(parser, negation, node);
}

static bool parse_filters_and_tests(struct parser *parser, struct node **node)
{
    for (;;) {
        bool ok;
        if (sc_template_at_operator(parser, "|")) ok = sc_template_parse_filters(parser, *node, false, node);
        else if (sc_template_at_name(parser, "is")) ok = parse_test(parser, *node, node);
        else if (sc_template_at_operator(parser, "(")) ok = parse_call(parser, *node, node);
        else return true;
        if (!ok) return false;
    }
}

static bool parse_unary(struct parser *parser, bool with_filters, struct node **out)
{
    bool is_minus = sc_template_at_operator(parser, "-");
    if (is_minus || sc_template_at_operator(parser, "+")) {
        struct node *node = sc_template_node_new(parser, is_minus ? NODE_NEGATE : NODE_PLUS, parser->token.line);
        if (!node || !sc_template_enter_syntax(parser)) return false;
        if (!sc_template_advance(parser) || !parse_unary(parser, false, &node->operand)) return false;
        parser->depth--;
        *out = node;
        if (!sc_template_node_over(parser, node, node->operand)) return false;
    } else if (!parse_primary(parser, out)) {
        return false;
    }
    return parse_postfix(parser, out) && (!with_filters || parse_filters_and_tests(parser, out));
}

// NAME, or NAME.attribute where a namespace may be set, or names in parentheses.
static bool parse_target_item(struct parser *parser, bool with_attribute, struct node **out)
{
    if (sc_template_at_operator(parser, "(")) {
        if (!sc_template_enter_syntax(parser)) return false;
        if (!sc_template_advance(parser) || !sc_template_parse_target(parser, NULL, with_attribute, out)) return false;
        parser->depth--;
        return sc_template_expect_operator(parser, ")");
    }
    if (parser->token.kind != TOKEN_NAME) return sc_template_unexpected(parser, "a name to assign to");
    struct sc_text name = parser->token.text;
    if (!parse_name(parser, out)) return false;
    if ((*out)->kind != NODE_NAME) return sc_template_parse_fail(parser, "cannot assign to '%.*s'", SC_TEXT_ARGS(name));
    if (with_attribute && sc_template_at_operator(parser, ".")) return parse_dot(parser, *out, out);
    return true;
}

bool sc_template_parse_target(struct parser *parser, const char *end, bool with_attribute, struct node **out)
{
    struct node *tuple = sc_template_node_new(parser, NODE_TUPLE, parser->token.line), *item = NULL;
    if (!tuple) return false;
    bool has_comma = false;
    while (!at_tuple_end(parser, end)) {
        if (!parse_target_item(parser, with_attribute, &item) || !sc_template_nodes_push(parser, &tuple->list, item))
            return false;
        if (!sc_template_at_operator(parser, ",")) break;
        has_comma = true;
        if (!sc_template_advance(parser)) return false;
    }
    *out = has_comma ? tuple : item;
    return item || sc_template_unexpected(parser, "a name to assign to");
}
