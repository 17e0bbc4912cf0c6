// GigaChat 3: a call is a turn of its own, "function call<|role_sep|>␤{"name": …, "arguments": …}<|message_sep|>".
// GigaChat 3.1: it stands behind a mark, "<|function_call|>{"name": …, "arguments": …}<|message_sep|>".
#include "text/answer_syntax.h"

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark;
    sc_answer_read_object(a, r, false, head);
}

const struct sc_answer_syntax sc_answer_gigachat31 = {
    .name = "gigachat3.1",
    .template_has = { "<|role_sep|>", "<|function_call|>" },
    .begins = { "<|function_call|>", "function call<|role_sep|>", "<|message_sep|>\n\nfunction call<|role_sep|>" },
    .fillers = { "<|message_sep|>" },
    .head = read_head,
    .written = { .trigger = "<|function_call|>",
                 .opens = "",
                 .call = "<|function_call|>{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}",
                 .in_json = true },
};

const struct sc_answer_syntax sc_answer_gigachat3 = {
    .name = "gigachat3",
    .template_has = { "<|role_sep|>", "<|message_sep|>" },
    .begins = { "<|function_call|>", "function call<|role_sep|>", "<|message_sep|>\n\nfunction call<|role_sep|>" },
    .fillers = { "<|message_sep|>" },
    .head = read_head,
    .written = { .trigger = "function call<|role_sep|>",
                 .opens = "<|message_sep|>\n\n",
                 .call = "function call<|role_sep|>\n{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}",
                 .in_json = true },
};
