// JSON texts as nodes.
//
// White space is what writers of JSON put, and bounded, so that a model cannot go on with it for ever: after an opening
// bracket or a comma and before a closing bracket nothing, one space, or a line end and an indentation; after a colon
// nothing or one space; before a whole text nothing, a space or a line end. Numbers have at most 18 digits before and after the point and an exponent of two digits, so
// every reader can hold them.
#include "text/grammar_internal.h"

#include "base/size.h"

enum { RULE_STRING, RULE_VALUE, RULE_OBJECT, RULE_ARRAY, RULE_NUMBER, RULE_INTEGER, RULE_INDENT };
enum { INDENT_MAX = 32, DIGITS_MAX = 18 };

static struct sc_node *set(struct sc_grammar_builder *b, const char *pairs)
{
    struct sc_char_range ranges[16];
    size_t n = 0;
    for (; pairs[2 * n]; n++)
        ranges[n] = (struct sc_char_range){ (unsigned char)pairs[2 * n], (unsigned char)pairs[2 * n + 1] };
    return sc_node_set(b, ranges, n, false);
}

static struct sc_node *sequence(struct sc_grammar_builder *b, size_t n, struct sc_node *const *nodes)
{
    return sc_node_sequence(b, nodes, n);
}
#define SEQUENCE(b, ...)                                                                                               \
    sequence(b, sizeof((struct sc_node *[]){ __VA_ARGS__ }) / sizeof(struct sc_node *),                                \
             (struct sc_node *[]){ __VA_ARGS__ })
#define CHOICE(b, ...)                                                                                                 \
    sc_node_choice(b, (struct sc_node *[]){ __VA_ARGS__ },                                                             \
                   sizeof((struct sc_node *[]){ __VA_ARGS__ }) / sizeof(struct sc_node *))

static struct sc_node *optional(struct sc_grammar_builder *b, struct sc_node *node)
{
    return sc_node_repeat(b, node, 0, 1);
}

struct sc_node *sc_json_own_rule(struct sc_grammar_builder *b, const char *name, struct sc_node *body)
{
    uint32_t rule = sc_builder_rule(b, sc_text_of(name));
    if (rule == UINT32_MAX) return NULL;
    b->rules[rule].body = body;
    b->rules[rule].keep = true;
    return sc_node_rule(b, rule);
}

// ---- strings

// One character: itself, or escaped; a surrogate comes with its partner.
static struct sc_node *string_character(struct sc_grammar_builder *b)
{
    static const struct sc_char_range plain[] = { { 0x20, 0x21 }, { 0x23, 0x5B }, { 0x5D, 0x10FFFF } };
    struct sc_node *hex = set(b, "09AFaf"), *low = set(b, "07"), *d = set(b, "DDdd");
    struct sc_node *hex3[] = { hex, hex, hex };
    struct sc_node *rest = sc_node_sequence(b, hex3, 3);
    struct sc_node *unicode = CHOICE(
        b, SEQUENCE(b, set(b, "09ACacEFef"), rest), SEQUENCE(b, d, low, hex, hex),
        SEQUENCE(b, d, set(b, "89ABab"), hex, hex, sc_node_string(b, "\\u"), d, set(b, "CFcf"), hex, hex));
    struct sc_node *escape = CHOICE(b, set(b, "\"\"\\\\//bbffnnrrtt"), SEQUENCE(b, sc_node_string(b, "u"), unicode));
    return CHOICE(b, sc_node_set(b, plain, SC_COUNT(plain), false), SEQUENCE(b, sc_node_string(b, "\\"), escape));
}

static struct sc_node *string_body(struct sc_grammar_builder *b)
{
    return SEQUENCE(b, sc_node_string(b, "\""), sc_node_repeat(b, string_character(b), 0, SC_UNBOUNDED),
                    sc_node_string(b, "\""));
}

static struct sc_node *value_body(struct sc_grammar_builder *b)
{
    return CHOICE(b, sc_json_object(b), sc_json_array(b), sc_json_string(b), sc_json_number(b),
                  sc_node_string(b, "true"), sc_node_string(b, "false"), sc_node_string(b, "null"));
}

static struct sc_node *object_body(struct sc_grammar_builder *b)
{
    struct sc_node *member = SEQUENCE(b, sc_json_string(b), sc_json_colon(b), sc_json_value(b));
    return sc_json_wrap(b, "{", sc_node_list(b, NULL, NULL, 0, sc_json_comma(b), member), "}");
}

static struct sc_node *array_body(struct sc_grammar_builder *b)
{
    return sc_json_wrap(b, "[", sc_node_list(b, NULL, NULL, 0, sc_json_comma(b), sc_json_value(b)), "]");
}

static struct sc_node *integer_body(struct sc_grammar_builder *b)
{
    struct sc_node *many = SEQUENCE(b, set(b, "19"), sc_node_repeat(b, set(b, "09"), 0, DIGITS_MAX - 1));
    return SEQUENCE(b, optional(b, sc_node_string(b, "-")), CHOICE(b, sc_node_string(b, "0"), many));
}

static struct sc_node *number_body(struct sc_grammar_builder *b)
{
    struct sc_node *fraction = SEQUENCE(b, sc_node_string(b, "."), sc_node_repeat(b, set(b, "09"), 1, DIGITS_MAX));
    struct sc_node *exponent = SEQUENCE(b, set(b, "EEee"), optional(b, set(b, "++--")),
                                        sc_node_repeat(b, set(b, "09"), 1, 2));
    return SEQUENCE(b, integer_body(b), optional(b, fraction), optional(b, exponent));
}

static struct sc_node *indent_body(struct sc_grammar_builder *b)
{
    return sc_node_repeat(b, set(b, "\t\t  "), 0, INDENT_MAX);
}

// ---- the shared rules, made when they are first asked for

static struct sc_node *shared(struct sc_grammar_builder *b, unsigned which)
{
    static const struct {
        const char *name;
        struct sc_node *(*body)(struct sc_grammar_builder *b);
    } rules[] = {
        [RULE_STRING] = { "JSON string", string_body },    [RULE_VALUE] = { "JSON value", value_body },
        [RULE_OBJECT] = { "JSON object", object_body },    [RULE_ARRAY] = { "JSON array", array_body },
        [RULE_NUMBER] = { "JSON number", number_body },    [RULE_INTEGER] = { "JSON integer", integer_body },
        [RULE_INDENT] = { "JSON indentation", indent_body },
    };
    if (!b->json_rules[which]) {
        uint32_t rule = sc_builder_rule(b, sc_text_of(rules[which].name));
        if (rule == UINT32_MAX) return NULL;
        b->json_rules[which] = rule + 1; // before the body, which may ask for it
        b->rules[rule].keep = true;
        struct sc_node *body = rules[which].body(b);
        b->rules[rule].body = body;
    }
    return sc_node_rule(b, b->json_rules[which] - 1);
}

struct sc_node *sc_json_value(struct sc_grammar_builder *b) { return shared(b, RULE_VALUE); }
struct sc_node *sc_json_object(struct sc_grammar_builder *b) { return shared(b, RULE_OBJECT); }
struct sc_node *sc_json_array(struct sc_grammar_builder *b) { return shared(b, RULE_ARRAY); }
struct sc_node *sc_json_string(struct sc_grammar_builder *b) { return shared(b, RULE_STRING); }
struct sc_node *sc_json_number(struct sc_grammar_builder *b) { return shared(b, RULE_NUMBER); }
struct sc_node *sc_json_integer(struct sc_grammar_builder *b) { return shared(b, RULE_INTEGER); }

struct sc_node *sc_json_string_limited(struct sc_grammar_builder *b, uint32_t min, uint32_t max)
{
    struct sc_node *any = shared(b, RULE_STRING);
    if (max < min) return sc_node_nothing(b);
    if (min == 0 && max == SC_UNBOUNDED) return any;
    uint32_t rule = sc_builder_rule(b, sc_text_of("JSON string"));
    if (rule == UINT32_MAX) return NULL;
    b->rules[rule].is_string = true;
    b->rules[rule].min = min;
    b->rules[rule].max = max;
    return sc_node_rule(b, rule);
}

struct sc_node *sc_json_string_of(struct sc_grammar_builder *b, const struct sc_dfa *values)
{
    struct sc_node *inside = sc_node_dfa(b, sc_dfa_escape_json(b, values));
    return SEQUENCE(b, sc_node_string(b, "\""), inside, sc_node_string(b, "\""));
}

// ---- what stands between

struct sc_node *sc_json_space(struct sc_grammar_builder *b)
{
    return CHOICE(b, sc_node_empty(b), sc_node_string(b, " "),
                  SEQUENCE(b, sc_node_string(b, "\n"), shared(b, RULE_INDENT)));
}

struct sc_node *sc_json_comma(struct sc_grammar_builder *b)
{
    return SEQUENCE(b, sc_node_string(b, ","), sc_json_space(b));
}

struct sc_node *sc_json_colon(struct sc_grammar_builder *b)
{
    return SEQUENCE(b, sc_node_string(b, ":"), optional(b, sc_node_string(b, " ")));
}

struct sc_node *sc_json_wrap(struct sc_grammar_builder *b, const char *open, struct sc_node *contents,
                             const char *close)
{
    return SEQUENCE(b, sc_node_string(b, open), sc_json_space(b), contents, sc_json_space(b),
                    sc_node_string(b, close));
}

struct sc_node *sc_json_text(struct sc_grammar_builder *b, struct sc_node *value)
{
    return SEQUENCE(b, CHOICE(b, sc_node_empty(b), sc_node_string(b, " "), sc_node_string(b, "\n")), value);
}

socle_status sc_grammar_json(bool only_objects, struct sc_grammar **out, socle_error *err)
{
    struct sc_grammar_builder b;
    sc_builder_init(&b);
    struct sc_node *body = sc_json_text(&b, only_objects ? sc_json_object(&b) : sc_json_value(&b));
    uint32_t root = sc_builder_rule(&b, sc_text_of("root"));
    if (root != UINT32_MAX) b.rules[root].body = body;
    socle_status status = sc_grammar_compile(&b, root, out, err);
    sc_builder_free(&b);
    return status;
}
