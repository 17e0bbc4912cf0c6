// Mistral since 2025: each call behind its mark, "[TOOL_CALLS]weather[ARGS]{"city": "Rome"}", some with a number
// between, "[CALL_ID]123456789". Lists, as older models write them, are read, too.
#include "text/answer_syntax.h"

static const char *const name_ends[] = { "[ARGS]", "[CALL_ID]", NULL };

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark;
    sc_reader_spaces(r);
    bool list = n_mark == 0 || (r->at < r->text.n_bytes && (r->text.data[r->at] == '[' || r->text.data[r->at] == '{'));
    if (list) {
        sc_answer_read_object(a, r, false, head);
        return;
    }
    struct sc_text id;
    if (sc_reader_name(r, name_ends, &head->name) == 1) {
        sc_reader_expect(r, "[CALL_ID]");
        sc_reader_name(r, name_ends, &id);
    }
    sc_reader_expect(r, "[ARGS]");
    sc_reader_object(r);
}

const struct sc_answer_syntax sc_answer_mistral = {
    .name = "mistral",
    .template_has = { "[TOOL_CALLS]", "[ARGS]" },
    .begins = { "[TOOL_CALLS]" },
    .head = read_head,
    .written = { .trigger = "[TOOL_CALLS]",
                 .opens = "",
                 .call = "[TOOL_CALLS]",
                 .arguments = "[ARGS]",
                 .ends = "",
                 .between = "",
                 .closes = "" },
};
