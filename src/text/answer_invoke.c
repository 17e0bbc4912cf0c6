// Calls as tags with attributes. DeepSeek V3.2, where a tag says whether its value is a string (V4 calls the outer tag
// tool_calls), and MiniMax-M2:
//
//   <｜DSML｜function_calls>
//   <｜DSML｜invoke name="weather">
//   <｜DSML｜parameter name="city" string="true">Rome</｜DSML｜parameter>
//   </｜DSML｜invoke>
//   </｜DSML｜function_calls>
//
//   <minimax:tool_call>
//   <invoke name="weather">
//   <parameter name="city">Rome</parameter>
//   </invoke>
//   </minimax:tool_call>
#include "text/answer_syntax.h"

#define DSML "｜DSML｜"

static const char *const name_ends[] = { "\">", NULL };

// begins[0] is the tag of a call, the others are of what is around it.
static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    const char *const *begins = a->syntax->begins;
    if (sc_text_has_mark(r->text, 0, begins[0]) != SC_READ_OK) r->at = n_mark;
    sc_reader_spaces(r);
    sc_reader_expect(r, begins[0]);
    sc_reader_name(r, name_ends, &head->name);
    sc_reader_expect(r, "\">");
}

static const struct sc_answer_tags dsml_tags = {
    .open = "<" DSML "parameter name=\"",
    .middles = { { "\" string=\"true\">", SC_VALUE_STRING },
                 { "\" string=\"false\">", SC_VALUE_JSON },
                 { "\">", SC_VALUE_ANY } },
    .value_end = "</" DSML "parameter>",
    .call_end = "</" DSML "invoke>",
    .line = "\n",
};

const struct sc_answer_syntax sc_answer_deepseek_v32 = {
    .name = "deepseek-v3.2",
    .template_has = { DSML, "function_calls>" },
    .begins = { "<" DSML "invoke name=\"", "<" DSML "function_calls>", "<" DSML "tool_calls>" },
    .fillers = { "</" DSML "function_calls>", "</" DSML "tool_calls>" },
    .head = read_head,
    .tags = &dsml_tags,
    .written = { .trigger = "<" DSML "function_calls>",
                 .opens = "<" DSML "function_calls>\n",
                 .call = "<" DSML "invoke name=\"",
                 .arguments = "\">\n",
                 .ends = "</" DSML "invoke>\n",
                 .between = "",
                 .closes = "</" DSML "function_calls>" },
};

const struct sc_answer_syntax sc_answer_deepseek_v4 = {
    .name = "deepseek-v4",
    .template_has = { DSML },
    .begins = { "<" DSML "invoke name=\"", "<" DSML "function_calls>", "<" DSML "tool_calls>" },
    .fillers = { "</" DSML "function_calls>", "</" DSML "tool_calls>" },
    .head = read_head,
    .tags = &dsml_tags,
    .written = { .trigger = "<" DSML "tool_calls>",
                 .opens = "<" DSML "tool_calls>\n",
                 .call = "<" DSML "invoke name=\"",
                 .arguments = "\">\n",
                 .ends = SC_MAYBE_LINE "</" DSML "invoke>\n",
                 .between = "",
                 .closes = "</" DSML "tool_calls>" },
};

static const struct sc_answer_tags minimax_tags = {
    .open = "<parameter name=\"",
    .middles = { { "\">", SC_VALUE_ANY } },
    .value_end = "</parameter>",
    .call_end = "</invoke>",
    .line = "\n",
};

const struct sc_answer_syntax sc_answer_minimax_m2 = {
    .name = "minimax-m2",
    .template_has = { "<minimax:tool_call>" },
    .begins = { "<invoke name=\"", "<minimax:tool_call>" },
    .fillers = { "</minimax:tool_call>" },
    .head = read_head,
    .tags = &minimax_tags,
    .written = { .trigger = "<minimax:tool_call>",
                 .opens = "<minimax:tool_call>\n",
                 .call = "<invoke name=\"",
                 .arguments = "\">\n",
                 .ends = "</invoke>\n",
                 .between = "",
                 .closes = "</minimax:tool_call>" },
};
