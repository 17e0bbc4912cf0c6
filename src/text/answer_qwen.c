// Calls as nested tags whose names are in the tag:
//
//   <tool_call>                                   Qwen3-Coder, Qwen3.5, Nemotron 3; <seed:tool_call> in Seed-OSS,
//   <function=weather>                            where values have no newlines around them
//   <parameter=city>
//   Rome
//   </parameter>
//   </function>
//   </tool_call>
#include "text/answer_syntax.h"

static const char *const name_ends[] = { ">", NULL };

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)n_mark;
    if (!sc_reader_optional(r, a->syntax->begins[1])) sc_reader_optional(r, "<tool_call>");
    sc_reader_spaces(r);
    sc_reader_expect(r, "<function=");
    sc_reader_name(r, name_ends, &head->name);
    sc_reader_expect(r, ">");
}

static const struct sc_answer_tags with_newlines = {
    .open = "<parameter=",
    .middles = { { ">", SC_VALUE_ANY } },
    .value_end = "</parameter>",
    .call_end = "</function>",
    .newlines = true,
    .line = "\n",
    .python = true,
};

const struct sc_answer_syntax sc_answer_qwen_coder = {
    .name = "qwen-coder",
    .template_has = { "<function=", "<parameter=" },
    .begins = { "<function=", "<tool_call>" },
    .fillers = { "</tool_call>" },
    .head = read_head,
    .tags = &with_newlines,
    .written = { .trigger = "<tool_call>",
                 .opens = "",
                 .call = "<tool_call>\n<function=",
                 .arguments = ">\n",
                 .ends = "</function>\n</tool_call>",
                 .between = "\n",
                 .closes = "" },
};

static const struct sc_answer_tags without_newlines = {
    .open = "<parameter=",
    .middles = { { ">", SC_VALUE_ANY } },
    .value_end = "</parameter>",
    .call_end = "</function>",
    .line = "\n",
    .python = true,
};

const struct sc_answer_syntax sc_answer_seed = {
    .name = "seed",
    .template_has = { "<seed:tool_call>" },
    .begins = { "<function=", "<seed:tool_call>" },
    .fillers = { "</seed:tool_call>" },
    .head = read_head,
    .tags = &without_newlines,
    .written = { .trigger = "<seed:tool_call>",
                 .opens = "",
                 .call = "<seed:tool_call>\n<function=",
                 .arguments = ">\n",
                 .ends = "</function>\n</seed:tool_call>",
                 .between = "\n",
                 .closes = "" },
};
