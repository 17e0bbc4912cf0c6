// gpt-oss: messages in channels, of which one to a function is a call. The recipient stands in the role or the channel:
//
//   <|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Rome"}<|call|>
//   <|start|>assistant to=functions.weather<|channel|>commentary json<|message|>{"city": "Rome"}<|call|>
//
// Source: OpenAI, "Harmony response format". The marks of reasoning and of the final message: answer.c.
#include <string.h>

#include "text/answer_syntax.h"

static const char *const name_ends[] = { " ", "<|channel|>", "<|constrain|>", "<|message|>", NULL };

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    enum { HEADER_BYTES_MAX = 128 };
    (void)a;
    if (n_mark) r->at = n_mark;
    else sc_reader_expect(r, "to=functions.");
    sc_reader_name(r, name_ends, &head->name);
    size_t begin = r->at;
    while (r->state == SC_READ_OK && sc_text_has_mark(r->text, r->at, "<|message|>") == SC_READ_BROKEN) {
        bool header = r->at - begin < HEADER_BYTES_MAX && r->text.data[r->at] != '\n' && r->text.data[r->at] != '{';
        if (header) r->at++;
        else r->state = SC_READ_BROKEN;
    }
    sc_reader_expect(r, "<|message|>");
    sc_reader_object(r);
}

const struct sc_answer_syntax sc_answer_harmony = {
    .name = "harmony",
    .template_has = { "<|channel|>commentary" },
    .begins = { "<|channel|>commentary to=functions.", "<|channel|>analysis to=functions.",
                "<|start|>assistant to=functions." },
    .starts = { "to=functions." },
    .fillers = { "<|call|>" },
    .reasoning = { { "<|channel|>final <|constrain|>json<|message|>", NULL } },
    .head = read_head,
    .written = { .trigger = "to=functions.",
                 .opens = "",
                 .call = "<|channel|>commentary to=functions.",
                 .after_name =
                     "( \" \" \"<|constrain|>\" \"json\" | \"<|channel|>\" \"commentary\" ( \" \" \"<|constrain|>\"? \"json\" )? )",
                 .arguments = "<|message|>",
                 .ends = "",
                 .thinks = "<|channel|>analysis<|message|>",
                 .thought = "<|end|>",
                 .thought_then = "<|start|>assistant" },
};
