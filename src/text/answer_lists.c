// Lists of JSON calls behind a mark:
//
//   [TOOL_CALLS][{"name": "weather", "arguments": {"city": "Rome"}, "id": "…"}]                    Mistral until 2024
//   <tool_calls>[{"name": …, "arguments": …}, …]</tool_calls>                                      Apriel
//   <tool_calls>␤{"name": …, "arguments": …}␤{…}␤</tool_calls>                                     MiniMax-M1
//   <|tool_call|>[{"name": …, "arguments": …}]                                                     Granite 3
//   functools[{"name": …, "arguments": …}]                                                         Firefunction
//   Action: ```json␤[{"tool_name": …, "parameters": …}]```                                         Command R
#include "text/answer_syntax.h"

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark;
    sc_answer_read_object(a, r, false, head);
}

const struct sc_answer_syntax sc_answer_mistral_list = {
    .name = "mistral-list",
    .template_has = { "[TOOL_CALLS]" },
    .begins = { "[TOOL_CALLS]" },
    .head = read_head,
    .written = { .trigger = "[TOOL_CALLS]",
                 .opens = "[TOOL_CALLS][",
                 .call = "{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .after_arguments = "\", \\\"id\\\": \\\"\" [a-zA-Z0-9]{9} \"\\\"\"",
                 .ends = "}",
                 .between = ", ",
                 .closes = "]",
                 .in_json = true },
};

const struct sc_answer_syntax sc_answer_apriel = {
    .name = "apriel",
    .template_has = { "<tool_calls>[" },
    .begins = { "<tool_calls>" },
    .fillers = { "</tool_calls>" },
    .reasoning = { { "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]" },
                   { "[BEGIN FINAL RESPONSE]", NULL },
                   { "[END FINAL RESPONSE]", NULL } },
    .head = read_head,
    .written = { .trigger = "<tool_calls>",
                 .opens = "<tool_calls>[",
                 .call = "{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}",
                 .between = ", ",
                 .closes = "]</tool_calls>",
                 .in_json = true },
};

const struct sc_answer_syntax sc_answer_minimax_m1 = {
    .name = "minimax-m1",
    .template_has = { "<tool_calls>" },
    .begins = { "<tool_calls>" },
    .fillers = { "</tool_calls>" },
    .objects_follow = true,
    .head = read_head,
    .written = { .trigger = "<tool_calls>",
                 .opens = "<tool_calls>\n",
                 .call = "{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}\n",
                 .between = "",
                 .closes = "</tool_calls>",
                 .in_json = true },
};

const struct sc_answer_syntax sc_answer_granite3 = {
    .name = "granite3",
    .template_has = { "<|tool_call|>" },
    .begins = { "<|tool_call|>" },
    .fillers = { "<|/tool_call|>" },
    .head = read_head,
    .written = { .trigger = "<|tool_call|>",
                 .opens = "<|tool_call|>[",
                 .call = "{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}",
                 .between = ", ",
                 .closes = "]",
                 .in_json = true },
};

static void read_functools(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark ? n_mark - 1 : 0; // the bracket is the list's
    sc_answer_read_object(a, r, false, head);
}

const struct sc_answer_syntax sc_answer_firefunction = {
    .name = "firefunction",
    .template_has = { "functools[" },
    .begins = { "functools[" },
    .head = read_functools,
    .written = { .trigger = "functools[",
                 .opens = " functools[",
                 .call = "{\"name\": \"",
                 .arguments = "\", \"arguments\": ",
                 .ends = "}",
                 .between = ", ",
                 .closes = "]",
                 .in_json = true },
};

static void read_action(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark;
    if (n_mark) {
        sc_reader_spaces(r);
        sc_reader_expect(r, "```json");
    }
    sc_answer_read_object(a, r, false, head);
}

const struct sc_answer_syntax sc_answer_command_r = {
    .name = "command-r",
    .template_has = { "Action:", "tool_name" },
    .begins = { "Action:" },
    .fillers = { "```" },
    .head = read_action,
    .written = { .trigger = "Action:",
                 .opens = "Action: ```json\n[\n",
                 .call = "    {\n        \"tool_name\": \"",
                 .arguments = "\",\n        \"parameters\": ",
                 .ends = "\n    }",
                 .between = ",\n",
                 .closes = "\n]```",
                 .in_json = true },
};
