// The syntax of a template: tokens, the tree, and the parser that makes one of the other.
#ifndef SC_TEXT_TEMPLATE_SYNTAX_H
#define SC_TEXT_TEMPLATE_SYNTAX_H

#include "text/template_internal.h"

enum token_kind {
    TOKEN_END,
    TOKEN_TEXT,        // outside of tags; `text`
    TOKEN_BLOCK_BEGIN, // {%
    TOKEN_BLOCK_END,
    TOKEN_OUTPUT_BEGIN, // {{
    TOKEN_OUTPUT_END,
    TOKEN_NAME,
    TOKEN_CONSTANT, // a number or a string; `value`
    TOKEN_OPERATOR, // `text` is the operator
};

struct token {
    enum token_kind kind;
    uint32_t line;
    struct sc_text text;
    struct value value;
};

enum { BRACKETS_MAX = 2 * SC_TEMPLATE_NESTING_MAX };

// Cuts a source into tokens; the state of one pass. The source's line ends are "\n" already.
struct lexer {
    struct sc_arena *arena;
    socle_error *err;
    struct sc_text source;
    size_t position;
    uint32_t line;
    enum token_kind inside;      // TOKEN_BLOCK_BEGIN, TOKEN_OUTPUT_BEGIN, or TOKEN_TEXT outside of tags
    enum token_kind begun;       // the beginning of a tag that is due as a token, or TOKEN_END
    bool is_raw;                 // the text of a `raw` block is due
    bool at_line_start;          // the last tag took its line's end with it
    char brackets[BRACKETS_MAX]; // the closing brackets that are due
    size_t n_brackets;
};

// Fails with a parser's message: "template line N: ...".
__attribute__((format(printf, 3, 4))) bool sc_template_syntax_error(socle_error *err, uint32_t line, const char *format,
                                                                    ...);
bool sc_template_lex(struct lexer *lexer, struct token *out);
// Reads the number or the quoted string at the lexer's position; *out stays absent when there is neither.
bool sc_template_lex_constant(struct lexer *lexer, struct value *out);

enum node_kind {
    // Expressions.
    NODE_CONSTANT,
    NODE_NAME,
    NODE_LIST,
    NODE_TUPLE,
    NODE_DICT,
    NODE_NEGATE,
    NODE_PLUS,
    NODE_NOT,
    NODE_BINARY,
    NODE_CONCAT,
    NODE_AND,
    NODE_OR,
    NODE_COMPARE,
    NODE_CONDITIONAL,
    NODE_ATTRIBUTE,
    NODE_ITEM,
    NODE_SLICE,
    NODE_CALL,
    NODE_FILTER,
    NODE_TEST,
    // Statements.
    NODE_TEXT,
    NODE_OUTPUT,
    NODE_IF,
    NODE_FOR,
    NODE_SET,
    NODE_SET_BLOCK,
    NODE_MACRO,
    NODE_CALL_BLOCK,
    NODE_FILTER_BLOCK,
    NODE_WITH,
    NODE_SCOPE,
    NODE_BREAK,
    NODE_CONTINUE,
};

struct nodes {
    struct node **items;
    size_t n, capacity;
};

enum comparison { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE, COMPARE_IN, COMPARE_NOT_IN };

struct named_node {
    const struct string *name;
    struct node *value;
};

// A macro's or call block's parameters, with NULL for what has no default.
struct signature {
    struct named_node *items;
    size_t n;
    bool takes_caller, takes_named, takes_any; // the body speaks of `caller`, `kwargs`, `varargs`
};

// One field group is in use, by kind.
struct node {
    enum node_kind kind;
    uint16_t height; // levels of nodes from here down; bounded, so walking down needs no other bound
    uint32_t line;
    union {
        struct value constant;     // CONSTANT, TEXT
        const struct string *name; // NAME
        struct nodes list;         // LIST, TUPLE, CONCAT, OUTPUT; DICT: key, value, key, value, ...
        struct node *operand;      // NEGATE, PLUS, NOT
        struct {                   // BINARY, AND, OR
            struct node *left, *right;
            enum operator op;
        } binary;
        struct { // COMPARE: first ops[0] rest[0] ops[1] rest[1] ...
            struct node *first;
            struct nodes rest;
            enum comparison *ops;
        } compare;
        struct {
            struct node *test, *yes, *no; // `no` may be NULL
        } conditional;
        struct {
            struct node *object;
            const struct string *name;
        } attribute;
        struct {
            struct node *object, *key; // a key may be a SLICE
        } item;
        struct node *slice[3];   // start, stop, step; may be NULL
        struct {                 // CALL, FILTER, TEST
            struct node *object; // what is called, filtered or tested; NULL in a filter block
            const struct string *name;
            const struct native *native; // of a filter or test; NULL when there is none of that name
            struct nodes positional;
            struct named_node *named;
            size_t n_named;
            struct node *more_positional, *more_named; // *args, **kwargs; may be NULL
        } call;
        struct { // tests[i] chooses bodies[i]; a NULL test always does
            struct nodes tests;
            struct nodes *bodies;
        } branches;
        struct {
            struct node *target, *items, *test; // `test` may be NULL
            struct nodes body, otherwise;
            bool is_recursive;
        } loop;
        struct {                         // SET, SET_BLOCK: NAME, TUPLE or ATTRIBUTE of a NAME
            struct node *target, *value; // `value` of a SET_BLOCK: its filters or NULL
            struct nodes body;
        } set;
        struct { // MACRO, CALL_BLOCK
            const struct string *name;
            struct signature signature;
            struct node *call; // of a call block
            struct nodes body;
        } macro;
        struct { // FILTER_BLOCK
            struct node *filter;
            struct nodes body;
        } filter;
        struct { // WITH, SCOPE
            struct nodes targets, values, body;
            bool is_isolated; // sees only the outermost scope
        } scope;
    };
};

struct sc_template {
    struct sc_arena arena;
    struct nodes body;
    // Names that the interpreter itself binds.
    const struct string *name_loop, *name_caller, *name_kwargs, *name_varargs;
};

struct parser {
    struct lexer lexer;
    struct token token, next;
    struct sc_arena *arena;
    socle_error *err;
    unsigned depth;          // of nested expressions and blocks, while they are read
    unsigned n_loops;        // around here, for `break` and `continue`
    struct signature *macro; // the innermost macro around here, and so on outwards
    struct {
        const struct string **slots;
        size_t n, capacity;
    } names; // interned
};

// template_parser.c
bool sc_template_advance(struct parser *parser);
bool sc_template_enter_syntax(struct parser *parser);
__attribute__((format(printf, 2, 3))) bool sc_template_parse_fail(struct parser *parser, const char *format, ...);
bool sc_template_unexpected(struct parser *parser, const char *expected); // fails; `expected` may be NULL
struct node *sc_template_node_new(struct parser *parser, enum node_kind kind, uint32_t line); // NULL after failing
bool sc_template_nodes_push(struct parser *parser, struct nodes *nodes, struct node *node);
bool sc_template_node_over(struct parser *parser, struct node *node, const struct node *child); // sets the height
bool sc_template_intern(struct parser *parser, struct sc_text text, const struct string **out);
bool sc_template_parser_memory(struct parser *parser); // fails
static inline bool sc_template_at_operator(const struct parser *parser, const char *op)
{
    return parser->token.kind == TOKEN_OPERATOR && sc_text_is(parser->token.text, op);
}
static inline bool sc_template_at_name(const struct parser *parser, const char *name)
{
    return parser->token.kind == TOKEN_NAME && sc_text_is(parser->token.text, name);
}
bool sc_template_expect_operator(struct parser *parser, const char *op);
bool sc_template_expect_name(struct parser *parser, const struct string **out);

// template_parse_statement.c: fills template->body.
bool sc_template_parse_source(struct sc_template *template, struct sc_text source, socle_error *err);

// template_parse_expression.c. Which parts of the grammar an expression may use:
enum expression_grammar { EXPRESSION_FULL, EXPRESSION_NO_CONDITIONAL };
bool sc_template_parse_expression(struct parser *parser, enum expression_grammar grammar, struct node **out);
// An expression, or several with commas, which make a tuple. `end` is a name that ends it, or NULL.
bool sc_template_parse_tuple(struct parser *parser, enum expression_grammar grammar, const char *end,
                             struct node **out);
bool sc_template_parse_target(struct parser *parser, const char *end, bool with_attribute, struct node **out);
bool sc_template_parse_filters(struct parser *parser, struct node *object, bool starts_here, struct node **out);

#endif
