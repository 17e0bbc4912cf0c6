// Fuzzes the reading of answers. The input is "SYNTAX OPTIONS\n" and an answer: OPTIONS is a digit, of which 1 gives
// tools, 2 opens reasoning in the prompt, 4 says that there are no tools.
//
// What must hold: cuts change nothing; events come in order; the arguments of a complete call are a JSON object; and
// where no call began, what was given out is the answer, but for marks and white space.
#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/answer_syntax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { BYTES_MAX = 1500 };

struct heard {
    struct sc_buffer all, text, arguments;
    uint32_t n_calls;
    bool in_call;
    int last;
};

static void hear(void *context, const struct sc_answer_event *e)
{
    struct heard *h = context;
    bool arguments = e->kind == SC_ANSWER_ARGUMENTS, text = e->kind == SC_ANSWER_TEXT || e->kind == SC_ANSWER_REASONING;
    assert(e->kind == SC_ANSWER_CALL_BEGIN || e->kind == SC_ANSWER_CALL_END || e->n_bytes > 0);
    assert(h->in_call == (arguments || e->kind == SC_ANSWER_CALL_END));
    if (text) sc_buffer_append(&h->text, e->text, e->n_bytes);
    if (arguments) sc_buffer_append(&h->arguments, e->text, e->n_bytes);
    if (h->last != (int)e->kind) sc_buffer_printf(&h->all, "\n%d%d:", (int)e->kind, e->complete);
    sc_buffer_append(&h->all, e->text, e->n_bytes);
    h->last = (int)e->kind;
    if (e->kind == SC_ANSWER_CALL_BEGIN) {
        assert(e->call == h->n_calls && e->n_bytes > 0);
        h->n_calls++;
        h->in_call = true;
        sc_buffer_clear(&h->arguments);
    } else if (e->kind == SC_ANSWER_CALL_END) {
        h->in_call = false;
        json_t *object = json_loadb(h->arguments.data ? h->arguments.data : "", h->arguments.n_bytes, JSON_ALLOW_NUL,
                                    NULL);
        bool valid = json_is_object(object) || (object == NULL && h->arguments.n_bytes > 1); // jansson refuses more
        assert(!e->complete || valid);
        json_decref(object);
    }
}

static struct heard ask(const struct sc_answer_syntax *syntax, int options, const char *text, size_t n, size_t cut)
{
    json_t *tools = NULL;
    if (options & 4) tools = json_array();
    else if (options & 1)
        tools = json_pack("[{s:{s:s, s:{s:{s:{s:s}, s:{s:s}}}}}]", "function", "name", "f", "parameters", "properties",
                          "s", "type", "string", "n", "type", "integer");
    struct heard h = { .last = -1 };
    struct sc_answer a;
    sc_answer_begin(&a, syntax, sc_text_of(options & 2 ? "<think>\n" : ""), tools);
    for (size_t begin = 0, end; begin < n; begin = end) {
        end = begin + cut < n ? begin + cut : n;
        sc_answer_push(&a, text + begin, end - begin, hear, &h);
    }
    assert(sc_answer_end(&a, hear, &h));
    assert(!h.in_call);
    sc_buffer_append(&h.all, "", 0);
    sc_buffer_append(&h.text, "", 0);
    json_decref(tools);
    if (options & 4) assert(h.n_calls == 0);
    return h;
}

static void heard_free(struct heard *h)
{
    sc_buffer_free(&h->all);
    sc_buffer_free(&h->text);
    sc_buffer_free(&h->arguments);
}

// ---- nothing is lost

static size_t without_spaces(const char *text, size_t n, char *out)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++)
        if (!isspace((unsigned char)text[i])) out[n_out++] = text[i];
    return n_out;
}

struct comparison {
    const struct sc_answer_syntax *syntax;
    char in[BYTES_MAX + 1], out[BYTES_MAX + 1];
    size_t n_in, n_out;
    uint8_t failed[(BYTES_MAX + 1) * (BYTES_MAX + 1) / 8 + 1]; // from (in, out) there is no way
};

static bool skips(const struct comparison *c, size_t i, const char *mark, size_t *n)
{
    char bare[128];
    if (!mark) return false;
    *n = without_spaces(mark, strlen(mark), bare);
    return *n <= c->n_in - i && memcmp(c->in + i, bare, *n) == 0;
}

// Is out[j..] what remains of in[i..] when some marks are dropped?
static bool remains(struct comparison *c, size_t i, size_t j)
{
    size_t begin_i = i, begin_j = j, n;
    for (;;) {
        if (i == c->n_in) return j == c->n_out;
        size_t bit = i * (BYTES_MAX + 1) + j;
        if (c->failed[bit / 8] >> bit % 8 & 1) return false;
        const struct sc_answer_pair *pair;
        for (size_t p = 0; (pair = sc_answer_pair_at(c->syntax, p)); p++) {
            if (skips(c, i, pair->open, &n) && remains(c, i + n, j)) return true;
            if (skips(c, i, pair->close, &n) && remains(c, i + n, j)) return true;
        }
        c->failed[bit / 8] |= (uint8_t)(1 << bit % 8);
        if (j == c->n_out || c->in[i] != c->out[j]) break;
        i++;
        j++;
    }
    size_t bit = begin_i * (BYTES_MAX + 1) + begin_j;
    c->failed[bit / 8] |= (uint8_t)(1 << bit % 8);
    return false;
}

static void check_nothing_lost(const struct sc_answer_syntax *syntax, const char *text, size_t n, const struct heard *h)
{
    struct comparison *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->syntax = syntax;
    c->n_in = without_spaces(text, n, c->in);
    assert(h->text.n_bytes <= BYTES_MAX);
    c->n_out = without_spaces(h->text.data, h->text.n_bytes, c->out);
    assert(remains(c, 0, 0));
    free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const char *line = (const char *)data, *end = n_bytes ? memchr(line, '\n', n_bytes) : NULL;
    char name[32] = "";
    if (!end || end - line < 2 || (size_t)(end - line) > sizeof name) return 0;
    memcpy(name, line, (size_t)(end - line) - 2);
    const struct sc_answer_syntax *syntax = sc_answer_syntax_find(name);
    int options = end[-1] & 7;
    size_t n = n_bytes - (size_t)(end + 1 - line);
    if (n > BYTES_MAX) return 0;
    struct heard whole = ask(syntax, options, end + 1, n, n ? n : 1), cut;
    for (size_t size = 1; size <= 16; size = size * 2 + 1) { // 1, 3, 7, 15
        cut = ask(syntax, options, end + 1, n, size);
        assert(cut.all.n_bytes == whole.all.n_bytes && memcmp(cut.all.data, whole.all.data, cut.all.n_bytes) == 0);
        heard_free(&cut);
    }
    if (whole.n_calls == 0) check_nothing_lost(syntax, end + 1, n, &whole);
    heard_free(&whole);
    return 0;
}
