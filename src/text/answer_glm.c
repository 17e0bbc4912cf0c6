// GLM 4.5 and later, Laguna, Spark; with newlines between the tags or without:
//
//   <tool_call>weather
//   <arg_key>city</arg_key>
//   <arg_value>Rome</arg_value>
//   </tool_call>
#include "text/answer_syntax.h"

static const char *const name_ends[] = { "\n", "<arg_key>", "</tool_call>", NULL };

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)a;
    r->at = n_mark;
    sc_reader_spaces(r);
    sc_reader_name(r, name_ends, &head->name);
}

static const struct sc_answer_tags tags = {
    .open = "<arg_key>",
    .middles = { { "</arg_key>\n<arg_value>", SC_VALUE_ANY }, { "</arg_key><arg_value>", SC_VALUE_ANY } },
    .value_end = "</arg_value>",
    .call_end = "</tool_call>",
    .line = SC_MAYBE_LINE,
};

const struct sc_answer_syntax sc_answer_glm = {
    .name = "glm",
    .template_has = { "<arg_key>" },
    .begins = { "<tool_call>" },
    .fillers = { "</tool_call>" },
    .head = read_head,
    .tags = &tags,
    .written = { .trigger = "<tool_call>",
                 .opens = "",
                 .call = "<tool_call>",
                 .arguments = SC_MAYBE_LINE,
                 .ends = "</tool_call>",
                 .between = SC_MAYBE_LINE,
                 .closes = "" },
};
