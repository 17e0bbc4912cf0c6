// Cuts a template into text, tags and the words inside tags.
//
// Whitespace around tags, with trim_blocks and lstrip_blocks on:
//     -  inside a tag's end       takes all white space on that side away
//     +  inside a tag's end       keeps all of it
//     {% ... %} and {# ... #}     lose the spaces before them when only spaces stand there on their line,
//                                 and the line end right after them
#include "text/template_syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/utf8.h"

bool sc_template_syntax_error(socle_error *err, uint32_t line, const char *format, ...)
{
    char sentence[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    sc_fail(err, SOCLE_BAD_TEMPLATE, "template line %u: %s", line, sentence);
    return false;
}

static const char *here(const struct lexer *lexer) { return lexer->source.data + lexer->position; }

static size_t n_left(const struct lexer *lexer) { return lexer->source.n_bytes - lexer->position; }

static bool looks_at(const struct lexer *lexer, const char *text)
{
    size_t n = strlen(text);
    return n_left(lexer) >= n && memcmp(here(lexer), text, n) == 0;
}

// Moves on by n bytes and counts their lines.
static void advance(struct lexer *lexer, size_t n)
{
    for (const char *at = here(lexer), *end = at + n; (at = memchr(at, '\n', (size_t)(end - at))); at++) lexer->line++;
    lexer->position += n;
}

// The length of the white space at data[0..n).
static size_t space_run(const char *data, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t n_bytes;
        if (!sc_template_is_space(sc_template_point(data + i, &n_bytes))) break;
        i += n_bytes;
    }
    return i;
}

static void skip_space(struct lexer *lexer) { advance(lexer, space_run(here(lexer), n_left(lexer))); }

// Takes the text's end away as the tag after it asks. `sign` is the tag's "-" or "+", if it has one.
static struct sc_text trim_before(const struct lexer *lexer, struct sc_text text, char sign, bool is_output)
{
    if (sign == '-') return sc_template_strip(text, NULL, false, true);
    if (sign == '+' || is_output) return text;
    size_t begin = text.n_bytes;
    while (begin && text.data[begin - 1] != '\n') begin--;
    if (begin == 0 && !lexer->at_line_start) return text;
    if (space_run(text.data + begin, text.n_bytes - begin) == text.n_bytes - begin) text.n_bytes = begin;
    return text;
}

// If a block or comment ends here ("%}" or "#}", perhaps signed), passes it with the white space that it takes.
static bool pass_end(struct lexer *lexer, const char *end)
{
    size_t begin = lexer->position;
    bool is_signed = looks_at(lexer, "-") || looks_at(lexer, "+");
    char sign = is_signed ? *here(lexer) : ' ';
    lexer->position += is_signed;
    if (!looks_at(lexer, end)) {
        lexer->position = begin;
        return false;
    }
    lexer->position += 2;
    if (sign == '-') skip_space(lexer);
    else if (sign == ' ' && looks_at(lexer, "\n")) advance(lexer, 1);
    lexer->at_line_start = lexer->source.data[lexer->position - 1] == '\n';
    return true;
}

static bool pass_comment(struct lexer *lexer)
{
    uint32_t line = lexer->line;
    for (;;) {
        const char *hash = n_left(lexer) ? memchr(here(lexer), '#', n_left(lexer)) : NULL;
        if (!hash) return sc_template_syntax_error(lexer->err, line, "a comment is not closed with \"#}\"");
        const char *stop = hash;
        if (hash > here(lexer) && (hash[-1] == '-' || hash[-1] == '+')) stop--;
        advance(lexer, (size_t)(stop - here(lexer)));
        if (pass_end(lexer, "#}")) return true;
        advance(lexer, (size_t)(hash + 1 - here(lexer)));
    }
}

// If the tag "{% NAME %}" stands here, gives its length up to the "-%}", "+%}" or "%}", and its first sign.
static size_t match_bare_tag(const struct lexer *lexer, size_t at, const char *name, char *sign)
{
    const char *data = lexer->source.data;
    size_t n = lexer->source.n_bytes, begin = at, n_name = strlen(name);
    if (n - at < 2 || data[at] != '{' || data[at + 1] != '%') return 0;
    at += 2;
    *sign = at < n && (data[at] == '-' || data[at] == '+') ? data[at] : ' ';
    if (*sign != ' ') at++;
    at += space_run(data + at, n - at);
    if (n - at < n_name || memcmp(data + at, name, n_name) != 0) return 0;
    at += n_name;
    at += space_run(data + at, n - at);
    size_t end = at < n && (data[at] == '-' || data[at] == '+') ? at + 1 : at;
    if (n - end < 2 || data[end] != '%' || data[end + 1] != '}') return 0;
    return at - begin;
}

// After "{% raw %}": the text up to "{% endraw %}".
static bool lex_raw(struct lexer *lexer, struct token *out)
{
    size_t begin = lexer->position;
    uint32_t line = lexer->line;
    for (size_t at = begin;; at++) {
        const char *brace = memchr(lexer->source.data + at, '{', lexer->source.n_bytes - at);
        if (!brace) return sc_template_syntax_error(lexer->err, line, "\"raw\" is not closed with \"endraw\"");
        at = (size_t)(brace - lexer->source.data);
        char sign;
        size_t n = match_bare_tag(lexer, at, "endraw", &sign);
        if (!n) continue;
        *out = (struct token){ .kind = TOKEN_TEXT, .line = line };
        out->text = trim_before(lexer, (struct sc_text){ brace - (at - begin), at - begin }, sign, false);
        advance(lexer, at + n - begin);
        return pass_end(lexer, "%}");
    }
}

// If "{% raw %}" stands here, passes it.
static bool pass_raw(struct lexer *lexer)
{
    char sign;
    size_t n = match_bare_tag(lexer, lexer->position, "raw", &sign);
    if (!n || lexer->source.data[lexer->position + n] == '+') return false;
    advance(lexer, n);
    bool takes_space = looks_at(lexer, "-");
    lexer->position += takes_space ? 3 : 2;
    if (takes_space) skip_space(lexer);
    lexer->at_line_start = lexer->source.data[lexer->position - 1] == '\n';
    return true;
}

// The next "{{", "{%" or "{#", or the end.
static size_t find_tag(const struct lexer *lexer)
{
    const char *data = lexer->source.data, *end = data + lexer->source.n_bytes;
    for (const char *at = here(lexer); at < end && (at = memchr(at, '{', (size_t)(end - at))); at++)
        if (at + 1 < end && (at[1] == '{' || at[1] == '%' || at[1] == '#')) return (size_t)(at - data);
    return lexer->source.n_bytes;
}

// Text up to the next tag, and past the tag's beginning. Empty text gives TOKEN_TEXT, too.
static bool lex_text(struct lexer *lexer, struct token *out)
{
    size_t begin = lexer->position, tag = find_tag(lexer);
    const char *data = lexer->source.data;
    *out = (struct token){ .kind = TOKEN_TEXT, .line = lexer->line, .text = { data + begin, tag - begin } };
    advance(lexer, tag - begin);
    if (tag == lexer->source.n_bytes) return true;
    char kind = data[tag + 1];
    char sign = tag + 2 < lexer->source.n_bytes ? data[tag + 2] : ' ';
    if (sign != '-' && sign != '+') sign = ' ';
    out->text = trim_before(lexer, out->text, sign, kind == '{');
    if (kind == '%' && pass_raw(lexer)) {
        lexer->is_raw = true; // its text is the next token
        return true;
    }
    lexer->position += sign == ' ' ? 2 : 3;
    lexer->at_line_start = false;
    if (kind == '#') return pass_comment(lexer);
    lexer->inside = lexer->begun = kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_OUTPUT_BEGIN;
    return true;
}

// Brackets have to pair, and a tag cannot end inside of one.
static bool note_bracket(struct lexer *lexer, char c)
{
    const char *open = strchr("([{", c), *close = strchr(")]}", c);
    if (open) {
        if (lexer->n_brackets == BRACKETS_MAX)
            return sc_template_syntax_error(lexer->err, lexer->line, "more than %d brackets inside each other",
                                            BRACKETS_MAX);
        lexer->brackets[lexer->n_brackets++] = ")]}"[open - "([{"];
    } else if (close) {
        if (!lexer->n_brackets) return sc_template_syntax_error(lexer->err, lexer->line, "unexpected '%c'", c);
        char due = lexer->brackets[--lexer->n_brackets];
        if (due != c)
            return sc_template_syntax_error(lexer->err, lexer->line, "unexpected '%c', expected '%c'", c, due);
    }
    return true;
}

static bool lex_operator(struct lexer *lexer, struct token *out)
{
    static const char *const operators[] = { "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                             "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";" };
    for (size_t i = 0; i < SC_COUNT(operators); i++) {
        if (!looks_at(lexer, operators[i])) continue;
        out->kind = TOKEN_OPERATOR;
        out->text = sc_text_of(operators[i]);
        lexer->position += out->text.n_bytes;
        return out->text.n_bytes > 1 || note_bracket(lexer, operators[i][0]);
    }
    size_t n;
    sc_template_point(here(lexer), &n);
    return sc_template_syntax_error(lexer->err, lexer->line, "unexpected character '%.*s'", (int)n, here(lexer));
}

static size_t name_run(const struct lexer *lexer)
{
    size_t i = 0, n = n_left(lexer);
    while (i < n) {
        size_t n_bytes;
        if (!sc_template_is_word(sc_template_point(here(lexer) + i, &n_bytes))) break;
        i += n_bytes;
    }
    return i;
}

// If this tag ends here, passes its end.
static bool pass_tag_end(struct lexer *lexer, struct token *out)
{
    if (lexer->n_brackets) return false;
    if (lexer->inside == TOKEN_BLOCK_BEGIN) {
        if (!pass_end(lexer, "%}")) return false;
        out->kind = TOKEN_BLOCK_END;
    } else {
        bool takes_space = looks_at(lexer, "-}}");
        if (!takes_space && !looks_at(lexer, "}}")) return false;
        lexer->position += takes_space ? 3 : 2;
        if (takes_space) skip_space(lexer);
        lexer->at_line_start = lexer->source.data[lexer->position - 1] == '\n';
        out->kind = TOKEN_OUTPUT_END;
    }
    lexer->inside = TOKEN_TEXT;
    return true;
}

static bool lex_inside(struct lexer *lexer, struct token *out)
{
    skip_space(lexer);
    *out = (struct token){ .line = lexer->line };
    if (!n_left(lexer)) return true;
    if (pass_tag_end(lexer, out)) return true;
    if (!sc_template_lex_constant(lexer, &out->value)) return false;
    if (out->value.kind != VALUE_ABSENT) {
        out->kind = TOKEN_CONSTANT;
        return true;
    }
    size_t n = name_run(lexer);
    if (!n) return lex_operator(lexer, out);
    out->kind = TOKEN_NAME;
    out->text = (struct sc_text){ here(lexer), n };
    lexer->position += n;
    return true;
}

bool sc_template_lex(struct lexer *lexer, struct token *out)
{
    for (;;) {
        if (lexer->begun != TOKEN_END) {
            *out = (struct token){ .kind = lexer->begun, .line = lexer->line };
            lexer->begun = TOKEN_END;
            return true;
        }
        if (lexer->inside != TOKEN_TEXT) return lex_inside(lexer, out);
        if (lexer->is_raw) {
            lexer->is_raw = false;
            if (!lex_raw(lexer, out)) return false;
        } else if (!n_left(lexer)) {
            *out = (struct token){ .kind = TOKEN_END, .line = lexer->line };
            return true;
        } else if (!lex_text(lexer, out)) {
            return false;
        }
        if (out->text.n_bytes) return true;
    }
}
