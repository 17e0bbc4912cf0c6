#include "cli/reasoning.h"

#include <ctype.h>
#include <string.h>

#include "base/size.h"

// open starts reasoning and close ends it; a mark without close is merely dropped.
static const struct {
    const char *open, *close;
} marks[] = {
    { "<think>", "</think>" },                       // DeepSeek-R1, Qwen 3, SmolLM3, Granite
    { "<seed:think>", "</seed:think>" },             // Seed-OSS
    { "[THINK]", "[/THINK]" },                       // Magistral, Ministral 3
    { "<|channel|>analysis<|message|>", "<|end|>" }, // gpt-oss
    { "<|channel|>commentary<|message|>", "<|end|>" },
    { "<|start|>assistant", NULL },
    { "<|channel|>final<|message|>", NULL },
};

void cli_reasoning_begin(struct cli_reasoning *r, const char *prompt, size_t n_bytes)
{
    *r = (struct cli_reasoning){ .open = -1, .at_start = true };
    while (n_bytes && isspace((unsigned char)prompt[n_bytes - 1])) n_bytes--;
    for (size_t i = 0; i < SC_COUNT(marks); i++) {
        size_t n = strlen(marks[i].open);
        if (marks[i].close && n <= n_bytes && memcmp(prompt + n_bytes - n, marks[i].open, n) == 0) r->open = (int)i;
    }
}

const char *cli_reasoning_end_mark(const struct cli_reasoning *r) { return r->open >= 0 ? marks[r->open].close : NULL; }

// Shows the first n held bytes and drops them.
static void show(struct cli_reasoning *r, size_t n, cli_reasoning_sink *sink, void *context)
{
    const char *text = r->held.data;
    size_t skipped = 0;
    while (r->at_start && skipped < n && isspace((unsigned char)text[skipped])) skipped++;
    if (skipped < n) {
        sink(context, text + skipped, n - skipped, r->open >= 0);
        r->at_start = false;
    }
    memmove(r->held.data, r->held.data + n, r->held.n_bytes - n);
    r->held.n_bytes -= n;
}

// Where mark `mark` stands in the held text, or may be beginning at its end (*whole false); n_bytes when nowhere.
static size_t find(const struct cli_reasoning *r, const char *mark, bool *whole)
{
    size_t n = r->held.n_bytes, n_mark = strlen(mark);
    for (size_t at = 0; at < n; at++) {
        size_t left = n - at < n_mark ? n - at : n_mark;
        if (memcmp(r->held.data + at, mark, left) != 0) continue;
        *whole = left == n_mark;
        return at;
    }
    return n;
}

// The first mark that counts now: the close of what is open, or any open.
static size_t next_mark(const struct cli_reasoning *r, int *which, bool *whole)
{
    size_t first = r->held.n_bytes;
    *which = -1;
    for (size_t i = 0; i < SC_COUNT(marks); i++) {
        const char *mark = r->open >= 0 ? marks[r->open].close : marks[i].open;
        bool is_whole = false;
        size_t at = find(r, mark, &is_whole);
        if (at < first) {
            first = at;
            *which = (int)i;
            *whole = is_whole;
        }
        if (r->open >= 0) break;
    }
    return first;
}

void cli_reasoning_push(struct cli_reasoning *r, const char *text, size_t n_bytes, cli_reasoning_sink *sink,
                        void *context)
{
    sc_buffer_append(&r->held, text, n_bytes);
    while (r->held.n_bytes) {
        int which;
        bool whole = false;
        size_t at = next_mark(r, &which, &whole);
        show(r, at, sink, context);
        if (which < 0 || !whole) return;
        bool closing = r->open >= 0;
        size_t n = strlen(closing ? marks[r->open].close : marks[which].open);
        memmove(r->held.data, r->held.data + n, r->held.n_bytes - n);
        r->held.n_bytes -= n;
        r->open = closing || !marks[which].close ? -1 : which;
        r->at_start = true;
    }
}

void cli_reasoning_end(struct cli_reasoning *r, cli_reasoning_sink *sink, void *context)
{
    if (r->held.n_bytes) show(r, r->held.n_bytes, sink, context);
    sc_buffer_free(&r->held);
}
