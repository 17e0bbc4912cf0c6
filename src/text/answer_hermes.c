// Hermes, Qwen 2.5 and 3, QwQ, SmolLM3, Granite 4:
//
//   <tool_call>
//   {"name": "weather", "arguments": {"city": "Rome"}}
//   </tool_call>
#include "text/answer_syntax.h"

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark;
    sc_answer_read_object(a, r, false, head);
}

const struct sc_answer_syntax sc_answer_hermes = {
    .name = "hermes",
    .template_has = { "<tool_call>" },
    .begins = { "<tool_call>" },
    .fillers = { "</tool_call>" },
    .head = read_head,
    .written = { .trigger = "<tool_call>",
                 .opens = "",
                 .call = "<tool_call>\n{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}\n</tool_call>",
                 .between = "\n",
                 .closes = "",
                 .in_json = true },
};
