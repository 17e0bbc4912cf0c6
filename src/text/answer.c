// The outer half of reading answers: reasoning, text, and where calls begin. Their arguments: answer_arguments.c.
#include "text/answer.h"

#include <ctype.h>
#include <string.h>

#include "base/size.h"
#include "text/answer_syntax.h"

// Known in every answer. Marks that only one family writes stand with its syntax.
static const struct sc_answer_pair common_pairs[] = {
    { "<think>", "</think>" },                       // DeepSeek-R1, Qwen 3, SmolLM3, Granite
    { "<seed:think>", "</seed:think>" },             // Seed-OSS
    { "<mm:think>", "</mm:think>" },                 // MiniMax-M3
    { "[THINK]", "[/THINK]" },                       // Magistral, Ministral 3
    { "<|channel|>analysis<|message|>", "<|end|>" }, // gpt-oss
    { "<|channel|>commentary<|message|>", "<|end|>" },
    { "<|start|>assistant", NULL },
    { "<|channel|>final<|message|>", NULL },
};

// ---- syntaxes

#define SC_ANSWER_SYNTAX(NAME) extern const struct sc_answer_syntax sc_answer_##NAME;
#include "text/answer_syntaxes.h"
#undef SC_ANSWER_SYNTAX
static const struct sc_answer_syntax *const sc_answer_syntaxes[] = {
#define SC_ANSWER_SYNTAX(NAME) &sc_answer_##NAME,
#include "text/answer_syntaxes.h"
#undef SC_ANSWER_SYNTAX
};

static bool teaches(struct sc_text source, const struct sc_answer_syntax *syntax)
{
    for (size_t i = 0; i < SC_COUNT(syntax->template_has) && syntax->template_has[i]; i++)
        if (!memmem(source.data, source.n_bytes, syntax->template_has[i], strlen(syntax->template_has[i])))
            return false;
    const char *lacks = syntax->template_lacks;
    return !lacks || !memmem(source.data, source.n_bytes, lacks, strlen(lacks));
}

const struct sc_answer_syntax *sc_answer_syntax_of_template(struct sc_text source)
{
    for (size_t i = 0; i < SC_COUNT(sc_answer_syntaxes) && source.n_bytes; i++)
        if (teaches(source, sc_answer_syntaxes[i])) return sc_answer_syntaxes[i];
    return NULL;
}

const struct sc_answer_syntax *sc_answer_syntax_at(size_t i)
{
    return i < SC_COUNT(sc_answer_syntaxes) ? sc_answer_syntaxes[i] : NULL;
}

const struct sc_answer_syntax *sc_answer_syntax_find(const char *name)
{
    for (size_t i = 0; i < SC_COUNT(sc_answer_syntaxes); i++)
        if (strcmp(sc_answer_syntaxes[i]->name, name) == 0) return sc_answer_syntaxes[i];
    return NULL;
}

const char *sc_answer_syntax_name(const struct sc_answer_syntax *syntax) { return syntax->name; }

const struct sc_answer_pair *sc_answer_pair_at(const struct sc_answer_syntax *syntax, size_t i)
{
    if (i < SC_COUNT(common_pairs)) return &common_pairs[i];
    i -= SC_COUNT(common_pairs);
    bool has = syntax && i < SC_COUNT(syntax->reasoning) && syntax->reasoning[i].open;
    return has ? &syntax->reasoning[i] : NULL;
}

const struct sc_answer_pair *sc_answer_opened(const struct sc_answer_syntax *syntax, struct sc_text prompt)
{
    const struct sc_answer_pair *opened = NULL, *pair;
    size_t n = prompt.n_bytes;
    while (n && isspace((unsigned char)prompt.data[n - 1])) n--;
    for (size_t i = 0; (pair = sc_answer_pair_at(syntax, i)); i++) {
        size_t n_open = strlen(pair->open);
        if (pair->close && n_open <= n && memcmp(prompt.data + n - n_open, pair->open, n_open) == 0) opened = pair;
    }
    return opened;
}

// ---- giving out

static void take(struct sc_answer *a, size_t n) { a->n_taken += n; }

void sc_answer_emit(struct sc_answer *a, enum sc_answer_kind kind, const char *text, size_t n_bytes)
{
    if (n_bytes == 0 && kind != SC_ANSWER_CALL_BEGIN) return;
    struct sc_answer_event event = { .kind = kind, .text = text, .n_bytes = n_bytes, .call = a->n_calls };
    a->sink(a->context, &event);
}

void sc_answer_end_call(struct sc_answer *a, bool complete)
{
    struct sc_answer_event event = { SC_ANSWER_CALL_END, "", 0, a->n_calls++, complete };
    a->sink(a->context, &event);
    a->phase = complete ? SC_PHASE_AFTER : SC_PHASE_TEXT;
    a->in_list = a->in_list && complete;
    a->at_start = complete;
    a->fresh = false;
}

void sc_answer_show(struct sc_answer *a, size_t n)
{
    const char *text = sc_answer_left(a).data;
    size_t skipped = 0;
    while (a->at_start && skipped < n && isspace((unsigned char)text[skipped])) skipped++;
    if (skipped < n) {
        a->at_start = false;
        if (!a->open) a->fresh = false;
        sc_answer_emit(a, a->open ? SC_ANSWER_REASONING : SC_ANSWER_TEXT, text + skipped, n - skipped);
    }
    take(a, n);
}

// ---- marks

struct found {
    size_t at, n_bytes;
    enum { FOUND_NONE, FOUND_PART, FOUND_PAIR, FOUND_CALL } what;
    const struct sc_answer_pair *pair;
};

// Looks for a mark in what is left, and keeps the earliest in *found: at one place the longest, and a part before any.
static void look_for(const struct sc_answer *a, const char *mark, struct found as, struct found *found)
{
    struct sc_text text = sc_answer_left(a);
    for (as.at = 0; as.at < text.n_bytes && as.at <= found->at; as.at++) {
        const char *first = memchr(text.data + as.at, mark[0], text.n_bytes - as.at);
        if (!first) return;
        as.at = (size_t)(first - text.data);
        enum sc_read is = sc_text_has_mark(text, as.at, mark);
        if (is == SC_READ_BROKEN || (is == SC_READ_MORE && a->finished)) continue;
        if (is == SC_READ_MORE) as.what = FOUND_PART;
        as.n_bytes = strlen(mark);
        bool wins = as.at < found->at || (as.at == found->at && found->what != FOUND_PART &&
                                          (as.what == FOUND_PART || as.n_bytes > found->n_bytes));
        if (wins) *found = as;
        return;
    }
}

// The first mark that counts now: the close of what is open, or anything that opens.
static struct found next_mark(const struct sc_answer *a)
{
    struct found found = { .at = sc_answer_left(a).n_bytes };
    const struct sc_answer_pair *pair;
    if (a->open) {
        look_for(a, a->open->close, (struct found){ .what = FOUND_PAIR, .pair = a->open }, &found);
        return found;
    }
    for (size_t i = 0; (pair = sc_answer_pair_at(a->syntax, i)); i++)
        look_for(a, pair->open, (struct found){ .what = FOUND_PAIR, .pair = pair }, &found);
    for (size_t i = 0; a->reads_calls && i < SC_COUNT(a->syntax->begins) && a->syntax->begins[i]; i++)
        look_for(a, a->syntax->begins[i], (struct found){ .what = FOUND_CALL }, &found);
    return found;
}

enum sc_read sc_text_has_mark(struct sc_text text, size_t at, const char *mark)
{
    size_t n_mark = strlen(mark), n = SC_MIN(text.n_bytes - at, n_mark);
    if (n && memcmp(text.data + at, mark, n) != 0) return SC_READ_BROKEN;
    return n == n_mark ? SC_READ_OK : SC_READ_MORE;
}

// Which of `marks` stands at the beginning of what is left? NULL: none, *part tells whether one may yet.
static const char *mark_here(const struct sc_answer *a, struct sc_text text, const char *const *marks, size_t n,
                             bool *part)
{
    const char *best = NULL;
    *part = false;
    for (size_t i = 0; i < n && marks[i]; i++) {
        enum sc_read is = sc_text_has_mark(text, 0, marks[i]);
        if (is == SC_READ_MORE && !a->finished) *part = true;
        if (is == SC_READ_OK && (!best || strlen(marks[i]) > strlen(best))) best = marks[i];
    }
    return *part ? NULL : best;
}

// ---- phases

static size_t n_spaces(struct sc_text text)
{
    size_t n = 0;
    while (n < text.n_bytes && isspace((unsigned char)text.data[n])) n++;
    return n;
}

static void begin_head(struct sc_answer *a, size_t n_space, size_t n_mark)
{
    a->phase = SC_PHASE_HEAD;
    a->n_space = n_space;
    a->n_mark = n_mark;
    a->n_searched = 0;
}

// Where an answer starts, a call may begin without a mark. *waits: that is not clear yet.
static bool starts_call(struct sc_answer *a, bool *waits)
{
    *waits = false;
    if (!a->reads_calls || !a->fresh || a->open || !a->syntax->starts[0]) return false;
    struct sc_text text = sc_answer_left(a);
    size_t n = n_spaces(text);
    text = (struct sc_text){ text.data + n, text.n_bytes - n };
    const char *start = mark_here(a, text, a->syntax->starts, SC_COUNT(a->syntax->starts), waits);
    if (!start) return false;
    begin_head(a, n, 0);
    return true;
}

// How much before `at` is given out: not the white space that a call drops.
static size_t n_shown_before(const struct sc_answer *a, size_t at)
{
    const char *text = sc_answer_left(a).data;
    while (a->reads_calls && !a->open && !a->finished && at > 0 && isspace((unsigned char)text[at - 1])) at--;
    return at;
}

static bool step_text(struct sc_answer *a)
{
    bool waits;
    if (starts_call(a, &waits)) return true;
    if (waits) return false;
    struct found found = next_mark(a);
    if (found.what == FOUND_CALL) {
        size_t n = found.at;
        while (n > 0 && isspace((unsigned char)sc_answer_left(a).data[n - 1])) n--;
        sc_answer_show(a, n);
        begin_head(a, found.at - n, found.n_bytes);
        return true;
    }
    if (found.what != FOUND_PAIR) {
        sc_answer_show(a, n_shown_before(a, found.at));
        return false;
    }
    sc_answer_show(a, found.at);
    take(a, found.n_bytes);
    bool closing = a->open != NULL;
    a->open = closing || !found.pair->close ? NULL : found.pair;
    a->at_start = true;
    return true;
}

// What looked like a call is none: its mark is text.
static void give_up_head(struct sc_answer *a)
{
    size_t n = a->n_space + a->n_mark;
    a->phase = SC_PHASE_TEXT;
    a->in_list = false;
    a->fresh = false;
    sc_answer_show(a, n);
}

// Is the head to be read now? Not before its end has come, where it has one.
static bool has_head_end(struct sc_answer *a, struct sc_text text)
{
    if (!a->syntax->head_end) return true;
    size_t n_end = strlen(a->syntax->head_end), from = a->n_searched > n_end ? a->n_searched - n_end : 0;
    if (memmem(text.data + from, text.n_bytes - from, a->syntax->head_end, n_end)) return true;
    a->n_searched = text.n_bytes;
    return false;
}

static bool step_head(struct sc_answer *a)
{
    size_t n_max = a->syntax->head_end ? SC_ANSWER_CALL_BYTES_MAX : SC_ANSWER_HEAD_BYTES_MAX;
    struct sc_text text = sc_answer_left(a);
    text = (struct sc_text){ text.data + a->n_space, text.n_bytes - a->n_space };
    bool waits = !a->finished && text.n_bytes < n_max;
    text.n_bytes = SC_MIN(text.n_bytes, n_max); // what is read must not depend on the cuts
    struct sc_reader reader = { .text = text, .state = SC_READ_MORE };
    struct sc_answer_head head = { .whole = false };
    if (has_head_end(a, text)) {
        reader.state = SC_READ_OK;
        a->syntax->head(a, &reader, a->n_mark, &head);
    }
    if (reader.state == SC_READ_MORE && waits) return false;
    if (reader.state != SC_READ_OK) {
        give_up_head(a);
        return true;
    }
    if (!head.whole) {
        sc_buffer_clear(&a->name);
        sc_buffer_append(&a->name, head.name.data, head.name.n_bytes);
    }
    a->in_object = head.in_object;
    take(a, a->n_space + reader.at);
    sc_answer_begin_arguments(a, head.whole);
    return true;
}

// Behind a call: white space, fillers, the next call; anything else is text.
static bool step_after(struct sc_answer *a)
{
    static const char *const list_marks[] = { ",", "]" };
    bool part, list_part;
    take(a, n_spaces(sc_answer_left(a)));
    struct sc_text text = sc_answer_left(a);
    if (text.n_bytes == 0) return false;
    const char *filler = mark_here(a, text, a->syntax->fillers, SC_COUNT(a->syntax->fillers), &part);
    if (part) return false;
    if (!filler && a->in_list) {
        filler = mark_here(a, text, list_marks, SC_COUNT(list_marks), &list_part);
        if (filler && filler[0] == ']') a->in_list = false;
    }
    if (filler) {
        take(a, strlen(filler));
        return true;
    }
    if (text.data[0] == '{' && (a->in_list || a->syntax->objects_follow)) {
        begin_head(a, 0, 0);
        return true;
    }
    a->in_list = false;
    a->phase = SC_PHASE_TEXT;
    return true;
}

static bool step(struct sc_answer *a)
{
    switch ((enum sc_answer_phase)a->phase) {
    case SC_PHASE_TEXT: return step_text(a);
    case SC_PHASE_HEAD: return step_head(a);
    case SC_PHASE_JSON: return sc_answer_step_json(a);
    case SC_PHASE_TAIL: return sc_answer_step_tail(a);
    case SC_PHASE_PARAMETERS: return sc_answer_step_parameters(a);
    case SC_PHASE_VALUE: return sc_answer_step_value(a);
    case SC_PHASE_AFTER: return step_after(a);
    }
    return false;
}

// ---- an answer

void sc_answer_begin(struct sc_answer *a, const struct sc_answer_syntax *syntax, struct sc_text prompt,
                     const json_t *tools)
{
    *a = (struct sc_answer){ .syntax = syntax, .at_start = true, .fresh = true };
    a->tools = json_is_array(tools) ? json_incref((json_t *)tools) : NULL;
    a->reads_calls = syntax && !(a->tools && json_array_size(a->tools) == 0);
    a->open = sc_answer_opened(syntax, prompt);
}

static void run(struct sc_answer *a, sc_answer_sink *sink, void *context)
{
    a->sink = sink;
    a->context = context;
    if (a->held.data)
        while (step(a)) {}
    a->failed = a->failed || a->held.failed || a->name.failed || a->value.failed || a->out.failed;
}

const char *sc_answer_reasoning_end(const struct sc_answer *a) { return a->open ? a->open->close : NULL; }

void sc_answer_push(struct sc_answer *a, const char *text, size_t n_bytes, sc_answer_sink *sink, void *context)
{
    sc_buffer_append(&a->held, text, n_bytes);
    run(a, sink, context);
    if (a->n_taken == 0) return;
    a->held.n_bytes -= a->n_taken;
    memmove(a->held.data, a->held.data + a->n_taken, a->held.n_bytes + 1);
    a->n_taken = 0;
}

bool sc_answer_is_reasoning(const struct sc_answer *a) { return a->open != NULL; }

bool sc_answer_end(struct sc_answer *a, sc_answer_sink *sink, void *context)
{
    a->finished = true;
    run(a, sink, context);
    sc_buffer_free(&a->held);
    sc_buffer_free(&a->name);
    sc_buffer_free(&a->value);
    sc_buffer_free(&a->out);
    json_decref(a->tools);
    a->tools = NULL;
    return !a->failed;
}
