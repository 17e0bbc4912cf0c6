// Regular expressions as nodes: the common ground of ECMA-262 (with the flag u, which JSON Schema means) and PCRE2.
//
//   a|b  ab  x*  x+  x?  x{n}  x{n,}  x{n,m}  and their lazy forms, which match the same texts
//   (…)  (?:…)  (?<name>…)  .  [a-z]  [^…]  \d \w \s \D \W \S  \p{L} \P{Lu}  ^ $ at the ends
//   \n \r \t \f \v \0 \cX \xHH \uHHHH \u{H…} and any escaped punctuation
//
// What is not regular (back references), looks around, or binds to words is refused. Where the two disagree about a set
// (which spaces \s has, which line ends . leaves out) a pattern means what both accept.
//
// ^ and $ are kept as marks while parsing, and then resolved: they must stand where a text's beginning or end can be,
// and say that nothing goes before or after.
#include <utf8proc.h>

#include <string.h>

#include "base/size.h"
#include "text/grammar_internal.h"
#include "text/utf8.h"

struct regex {
    struct sc_grammar_builder *b;
    const char *start, *at, *end;
    struct sc_node *begin_mark, *end_mark, *anything; // marks are told by their addresses
    unsigned nesting;
};

static void *complain(struct regex *p, socle_status status, const char *at, const char *what)
{
    return sc_builder_fail(p->b, status, "a regular expression: at byte %zu: %s", (size_t)(at - p->start), what);
}

static bool take(struct regex *p, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, text, n) != 0) return false;
    p->at += n;
    return true;
}

// ---- sets

static void add_pairs(struct regex *p, struct sc_range_list *list, const struct sc_char_range *ranges, size_t n,
                      bool negated)
{
    struct sc_range_list own = { 0 };
    for (size_t i = 0; i < n; i++) sc_range_list_add(p->b, &own, ranges[i].first, ranges[i].last);
    if (negated) sc_range_list_negate(p->b, &own);
    for (size_t i = 0; i < own.n; i++) sc_range_list_add(p->b, list, own.items[i].first, own.items[i].last);
}

// \d \w \s and their complements; `wide`: as many characters as anyone takes to be in it, for a set to be negated.
static void add_shorthand(struct regex *p, struct sc_range_list *list, char letter, bool wide)
{
    static const struct sc_char_range digits[] = { { '0', '9' } };
    static const struct sc_char_range words[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };
    static const struct sc_char_range spaces[] = {
        { '\t', '\r' },     { ' ', ' ' }, // what everyone calls a space
        { 0xA0, 0xA0 },     { 0x1680, 0x1680 }, { 0x2000, 0x200A }, { 0x2028, 0x2029 },
        { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF },
    };
    bool negated = letter < 'a';
    switch (letter | 0x20) {
    case 'd': add_pairs(p, list, digits, SC_COUNT(digits), negated); break;
    case 'w': add_pairs(p, list, words, SC_COUNT(words), negated); break;
    default: add_pairs(p, list, spaces, negated != wide ? SC_COUNT(spaces) : 2, negated); break;
    }
}

// The name inside \p{…}: a general category, short or long.
static bool category_mask(struct sc_text name, uint32_t *mask)
{
    static const struct {
        const char *shorter, *longer;
        uint32_t mask;
    } categories[] = {
#define BIT(c) (UINT32_C(1) << UTF8PROC_CATEGORY_##c)
        { "Lu", "Uppercase_Letter", BIT(LU) },
        { "Ll", "Lowercase_Letter", BIT(LL) },
        { "Lt", "Titlecase_Letter", BIT(LT) },
        { "Lm", "Modifier_Letter", BIT(LM) },
        { "Lo", "Other_Letter", BIT(LO) },
        { "L", "Letter", BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO) },
        { "Mn", "Nonspacing_Mark", BIT(MN) },
        { "Mc", "Spacing_Mark", BIT(MC) },
        { "Me", "Enclosing_Mark", BIT(ME) },
        { "M", "Mark", BIT(MN) | BIT(MC) | BIT(ME) },
        { "Nd", "Decimal_Number", BIT(ND) },
        { "Nl", "Letter_Number", BIT(NL) },
        { "No", "Other_Number", BIT(NO) },
        { "N", "Number", BIT(ND) | BIT(NL) | BIT(NO) },
        { "P", "Punctuation", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO) },
        { "S", "Symbol", BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO) },
        { "Zs", "Space_Separator", BIT(ZS) },
        { "Z", "Separator", BIT(ZS) | BIT(ZL) | BIT(ZP) },
        { "Cc", "Control", BIT(CC) },
#undef BIT
    };
    for (size_t i = 0; i < SC_COUNT(categories); i++)
        if (sc_text_is(name, categories[i].shorter) || sc_text_is(name, categories[i].longer)) {
            *mask = categories[i].mask;
            return true;
        }
    return false;
}

static bool add_category(struct regex *p, struct sc_range_list *list, bool negated)
{
    const char *from = p->at - 2, *close = p->at < p->end ? memchr(p->at, '}', (size_t)(p->end - p->at)) : NULL;
    uint32_t mask;
    if (!close || *p->at != '{' || !category_mask((struct sc_text){ p->at + 1, (size_t)(close - p->at) - 1 }, &mask))
        return complain(p, SOCLE_UNSUPPORTED, from, "expected a general category, as \\p{L} or \\p{Lu}") != NULL;
    p->at = close + 1;
    if (!sc_builder_work(p->b, 0x110000)) return false;
    for (uint32_t c = 0, next; c < 0x110000; c = next) {
        bool in = (mask >> utf8proc_category((utf8proc_int32_t)c) & 1) != 0;
        for (next = c + 1; next < 0x110000 && ((mask >> utf8proc_category((utf8proc_int32_t)next) & 1) != 0) == in;)
            next++;
        if (in != negated) sc_range_list_add(p->b, list, c, next - 1);
    }
    return true;
}

// ---- characters

static bool read_hex(struct regex *p, unsigned n_min, unsigned n_max, uint32_t *code_point)
{
    unsigned n = 0;
    for (*code_point = 0; n < n_max && p->at < p->end; n++, p->at++) {
        char c = *p->at;
        unsigned digit = c >= '0' && c <= '9'                     ? (unsigned)(c - '0')
                         : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a') + 10
                                                                  : 16;
        if (digit == 16) break;
        *code_point = *code_point << 4 | digit;
    }
    if (n >= n_min && *code_point <= 0x10FFFF) return true;
    return complain(p, SOCLE_BAD_ARGUMENT, p->at, "expected a character's number in hexadecimal") != NULL;
}

// What follows "\u".
static bool read_unicode(struct regex *p, uint32_t *code_point)
{
    uint32_t low;
    if (take(p, "{"))
        return read_hex(p, 1, 6, code_point) &&
               (take(p, "}") || complain(p, SOCLE_BAD_ARGUMENT, p->at, "expected '}'"));
    if (!read_hex(p, 4, 4, code_point)) return false;
    if (*code_point < 0xD800 || *code_point > 0xDFFF) return true;
    if (*code_point <= 0xDBFF && take(p, "\\u") && read_hex(p, 4, 4, &low) && low >= 0xDC00 && low <= 0xDFFF) {
        *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
        return true;
    }
    return complain(p, SOCLE_UNSUPPORTED, p->at, "half of a surrogate pair is no character") != NULL;
}

// An escape that stands for one character, after its backslash.
static bool read_escape(struct regex *p, uint32_t *code_point)
{
    static const char letters[] = "n\nr\rt\tf\fv\v";
    const char *from = p->at - 1;
    if (p->at == p->end) return complain(p, SOCLE_BAD_ARGUMENT, from, "a backslash at the end") != NULL;
    char c = *p->at++;
    for (size_t i = 0; i + 1 < sizeof letters; i += 2)
        if (letters[i] == c) {
            *code_point = (unsigned char)letters[i + 1];
            return true;
        }
    if (c == 'x') return read_hex(p, 2, 2, code_point);
    if (c == 'u') return read_unicode(p, code_point);
    if (c == '0' && !(p->at < p->end && *p->at >= '0' && *p->at <= '9')) {
        *code_point = 0;
        return true;
    }
    if (c == 'c' && p->at < p->end && (*p->at | 0x20) >= 'a' && (*p->at | 0x20) <= 'z') {
        *code_point = (unsigned char)*p->at++ & 31;
        return true;
    }
    bool punctuation = c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    *code_point = (unsigned char)c;
    return punctuation || complain(p, SOCLE_UNSUPPORTED, from, "an escape that is not known, or not regular") != NULL;
}

static bool read_character(struct regex *p, uint32_t *code_point)
{
    if (take(p, "\\")) return read_escape(p, code_point);
    size_t n = sc_utf8_decode(p->at, (size_t)(p->end - p->at), code_point);
    if (!n) return complain(p, SOCLE_BAD_ARGUMENT, p->at, "this is not UTF-8, or the end came too soon") != NULL;
    p->at += n;
    return true;
}

// Does one of these characters stand `ahead` of here?
static bool is_ahead(const struct regex *p, size_t ahead, const char *characters)
{
    return (size_t)(p->end - p->at) > ahead && p->at[ahead] && strchr(characters, p->at[ahead]);
}

// Adds a set named by an escape (\d, \p{L}) that stands at p->at. *failed tells why it returned false.
static bool take_set_escape(struct regex *p, struct sc_range_list *list, bool wide, bool *failed)
{
    *failed = false;
    if (!is_ahead(p, 0, "\\") || !is_ahead(p, 1, "dDwWsSpP")) return false;
    char letter = p->at[1];
    p->at += 2;
    if ((letter | 0x20) == 'p') *failed = !add_category(p, list, letter == 'P');
    else add_shorthand(p, list, letter, wide);
    return !*failed;
}

static bool read_class_character(struct regex *p, uint32_t *c)
{
    if (!take(p, "\\b")) return read_character(p, c);
    *c = '\b';
    return true;
}

static struct sc_node *parse_class(struct regex *p)
{
    const char *from = p->at++;
    struct sc_range_list list = { 0 };
    bool negated = take(p, "^"), failed;
    if (p->at < p->end && *p->at == ']')
        return complain(p, SOCLE_UNSUPPORTED, from, "a class that begins with ']': write \\]");
    while (p->at < p->end && *p->at != ']') {
        uint32_t first, last;
        if (is_ahead(p, 0, "[") && is_ahead(p, 1, ":.="))
            return complain(p, SOCLE_UNSUPPORTED, p->at, "POSIX classes are not known");
        if (take_set_escape(p, &list, negated, &failed)) {
            if (p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']')
                return complain(p, SOCLE_BAD_ARGUMENT, p->at, "a range that begins with a set");
            continue;
        }
        if (failed || !read_class_character(p, &first)) return NULL;
        last = first;
        if (p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            if (is_ahead(p, 0, "\\") && is_ahead(p, 1, "dDwWsSpP"))
                return complain(p, SOCLE_BAD_ARGUMENT, p->at, "a range that ends with a set");
            if (!read_class_character(p, &last)) return NULL;
            if (last < first) return complain(p, SOCLE_BAD_ARGUMENT, from, "a range whose last is before its first");
        }
        sc_range_list_add(p->b, &list, first, last);
    }
    if (!take(p, "]")) return complain(p, SOCLE_BAD_ARGUMENT, from, "a class without its closing bracket");
    return sc_node_set(p->b, list.items, list.n, negated);
}

// ---- structure

static struct sc_node *parse_choice(struct regex *p);

static struct sc_node *parse_group(struct regex *p)
{
    const char *from = p->at++;
    if (take(p, "?") && !take(p, ":")) {
        const char *close = p->at < p->end ? memchr(p->at, '>', (size_t)(p->end - p->at)) : NULL;
        bool named = take(p, "<") && p->at < p->end && *p->at != '=' && *p->at != '!' && close;
        if (!named)
            return complain(p, SOCLE_UNSUPPORTED, from, "this kind of group: only (…), (?:…) and (?<name>…) are known");
        p->at = close + 1;
    }
    if (++p->nesting > SC_GRAMMAR_NESTING_MAX)
        return complain(p, SOCLE_UNSUPPORTED, from, "groups are nested too deeply");
    struct sc_node *node = parse_choice(p);
    p->nesting--;
    return node && !take(p, ")") ? complain(p, SOCLE_BAD_ARGUMENT, from, "a group that is not closed") : node;
}

static struct sc_node *parse_item(struct regex *p)
{
    static const struct sc_char_range line_ends[] = { { '\n', '\n' }, { '\r', '\r' }, { 0x2028, 0x2029 } };
    struct sc_range_list list = { 0 };
    bool failed;
    uint32_t c;
    switch (*p->at) {
    case '(': return parse_group(p);
    case '[': return parse_class(p);
    case '.': p->at++; return sc_node_set(p->b, line_ends, SC_COUNT(line_ends), true);
    case '^': p->at++; return p->begin_mark;
    case '$': p->at++; return p->end_mark;
    case '*':
    case '+':
    case '?': return complain(p, SOCLE_BAD_ARGUMENT, p->at, "a repetition of nothing");
    default: break;
    }
    if (take_set_escape(p, &list, false, &failed)) return sc_node_set(p->b, list.items, list.n, false);
    if (failed || !read_character(p, &c)) return NULL;
    return sc_node_set(p->b, &(struct sc_char_range){ c, c }, 1, false);
}

// {n}, {n,} or {n,m}; false leaves everything as it was: the brace is then a character.
static bool read_braces(struct regex *p, uint32_t *min, uint32_t *max)
{
    const char *at = p->at + 1;
    uint32_t bounds[2] = { 0, SC_UNBOUNDED };
    unsigned n = 0;
    for (; n < 2; n++) {
        const char *digits = at;
        uint32_t value = 0;
        for (; at < p->end && *at >= '0' && *at <= '9'; at++)
            value = SC_MIN(value * 10 + (uint32_t)(*at - '0'), 1000000u);
        if (at > digits) bounds[n] = value;
        else if (n == 0) return false;
        if (n == 0 && at < p->end && *at == '}') bounds[1] = bounds[0];
        if (at >= p->end || *at != ',' || n == 1) break;
        at++;
    }
    if (at >= p->end || *at != '}') return false;
    p->at = at + 1;
    *min = bounds[0];
    *max = bounds[1];
    return true;
}

static struct sc_node *parse_repeated(struct regex *p)
{
    struct sc_node *node = parse_item(p);
    const char *from = p->at;
    uint32_t min = 1, max = 1;
    if (take(p, "*")) min = 0, max = SC_UNBOUNDED;
    else if (take(p, "+")) max = SC_UNBOUNDED;
    else if (take(p, "?")) min = 0;
    else if (p->at == p->end || *p->at != '{' || !read_braces(p, &min, &max)) return node;
    if (!node) return NULL;
    if (max < min)
        return complain(p, SOCLE_BAD_ARGUMENT, from, "a repetition whose greatest number is below its least");
    if (node == p->begin_mark || node == p->end_mark)
        return complain(p, SOCLE_UNSUPPORTED, from, "a repetition of ^ or $");
    take(p, "?"); // lazy: the same texts
    if (p->at < p->end && (*p->at == '*' || *p->at == '+' || *p->at == '?'))
        return complain(p, SOCLE_UNSUPPORTED, p->at, "a repetition of a repetition, or a possessive one");
    return sc_node_repeat(p->b, node, min, max);
}

static struct sc_node *parse_sequence(struct regex *p)
{
    struct sc_node_list items = { 0 };
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        struct sc_node *node = parse_repeated(p);
        if (!node) return NULL;
        sc_node_list_add(p->b, &items, node);
    }
    return items.n ? sc_node_sequence(p->b, items.items, items.n) : sc_node_empty(p->b);
}

static struct sc_node *parse_choice(struct regex *p)
{
    struct sc_node_list choices = { 0 };
    do {
        struct sc_node *node = parse_sequence(p);
        if (!node) return NULL;
        sc_node_list_add(p->b, &choices, node);
    } while (take(p, "|"));
    return sc_builder_failed(p->b) ? NULL : sc_node_choice(p->b, choices.items, choices.n);
}

// ---- resolving ^ and $

struct place {
    bool open_left, open_right; // anything may go before, after, unless a mark says otherwise
    bool at_left, at_right;     // a mark may stand there
};

static bool has_mark(const struct regex *p, const struct sc_node *node)
{
    if (node == p->begin_mark || node == p->end_mark) return true;
    for (uint32_t i = 0; node->children && i < node->n; i++)
        if (has_mark(p, node->children[i])) return true;
    return false;
}

static struct sc_node *surround(struct regex *p, struct sc_node *node, bool left, bool right)
{
    struct sc_node *parts[3];
    size_t n = 0;
    if (left) parts[n++] = p->anything;
    parts[n++] = node;
    if (right) parts[n++] = p->anything;
    return sc_node_sequence(p->b, parts, n);
}

static struct sc_node *resolve(struct regex *p, struct sc_node *node, struct place place);

static struct sc_node *resolve_sequence(struct regex *p, struct sc_node *const *items, size_t n, struct place place)
{
    while (n && place.at_left && items[0] == p->begin_mark) items++, n--, place.open_left = false;
    while (n && place.at_right && items[n - 1] == p->end_mark) n--, place.open_right = false;
    if (n == 0) return place.open_left || place.open_right ? p->anything : sc_node_empty(p->b);
    if (n == 1) return resolve(p, items[0], place);
    struct sc_node_list done = { 0 };
    for (size_t i = 0; i < n && !sc_builder_failed(p->b); i++) {
        bool first = i == 0, last = i + 1 == n;
        struct place here = { first && place.open_left, last && place.open_right, first && place.at_left,
                              last && place.at_right };
        sc_node_list_add(p->b, &done, resolve(p, items[i], here));
    }
    return sc_builder_failed(p->b) ? NULL : sc_node_sequence(p->b, done.items, done.n);
}

static struct sc_node *resolve(struct regex *p, struct sc_node *node, struct place place)
{
    if (sc_builder_failed(p->b)) return NULL;
    if (node == p->begin_mark || node == p->end_mark) {
        if (node == p->begin_mark ? place.at_left : place.at_right) return resolve_sequence(p, &node, 1, place);
        return sc_builder_fail(p->b, SOCLE_UNSUPPORTED, "a regular expression: '%c' where the text cannot %s",
                               node == p->begin_mark ? '^' : '$', node == p->begin_mark ? "begin" : "end");
    }
    if (!has_mark(p, node)) return surround(p, node, place.open_left, place.open_right);
    if (node->kind == SC_NODE_SEQUENCE) return resolve_sequence(p, node->children, node->n, place);
    if (node->kind == SC_NODE_CHOICE) {
        struct sc_node_list done = { 0 };
        for (uint32_t i = 0; i < node->n; i++) sc_node_list_add(p->b, &done, resolve(p, node->children[i], place));
        return sc_builder_failed(p->b) ? NULL : sc_node_choice(p->b, done.items, done.n);
    }
    return sc_builder_fail(p->b, SOCLE_UNSUPPORTED, "a regular expression: a repetition of a group with ^ or $");
}

struct sc_node *sc_regex_parse(struct sc_grammar_builder *b, struct sc_text source, bool whole)
{
    struct regex p = { .b = b, .start = source.data, .at = source.data, .end = source.data + source.n_bytes };
    p.begin_mark = sc_node_empty(b);
    p.end_mark = sc_node_empty(b);
    p.anything = sc_node_repeat(b, sc_node_set(b, &(struct sc_char_range){ 0, 0x10FFFF }, 1, false), 0, SC_UNBOUNDED);
    if (source.n_bytes > SC_GRAMMAR_SOURCE_BYTES_MAX)
        return sc_builder_fail(b, SOCLE_UNSUPPORTED, "a regular expression: %zu bytes, more than %d", source.n_bytes,
                               SC_GRAMMAR_SOURCE_BYTES_MAX);
    struct sc_node *node = parse_choice(&p);
    if (node && p.at < p.end) return complain(&p, SOCLE_BAD_ARGUMENT, p.at, "a closing parenthesis too many");
    return node && !sc_builder_failed(b) ? resolve(&p, node, (struct place){ !whole, !whole, true, true }) : NULL;
}

socle_status sc_grammar_from_regex(struct sc_text source, struct sc_grammar **out, socle_error *err)
{
    struct sc_grammar_builder b;
    sc_builder_init(&b);
    struct sc_node *body = sc_regex_parse(&b, source, true);
    uint32_t root = sc_builder_rule(&b, sc_text_of("root"));
    if (root != UINT32_MAX) b.rules[root].body = body;
    socle_status status = sc_grammar_compile(&b, root, out, err);
    sc_builder_free(&b);
    return status;
}
