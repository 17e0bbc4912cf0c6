// Calls between marks, with a number of their own:
//
//   <|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Rome"}
//   <|tool_call_end|><|tool_calls_section_end|>                                                    Kimi K2 (in one
//   line)
//   <|tool_calls|><|tool_call:begin|>call1<|tool_call:name|>weather<|tool_call:args|>{"city": "Rome"}
//   <|tool_call:end|>                                                                       Solar Open (in one line)
#include <string.h>

#include "text/answer_syntax.h"

static const char *const kimi_ends[] = { "<|tool_call_argument_begin|>", " <|tool_call_argument_begin|>", NULL };

// "functions.weather:0" is the tool "weather".
static struct sc_text without_number(struct sc_text id)
{
    static const char before[] = "functions.";
    size_t n = sizeof before - 1, end = id.n_bytes;
    while (end > 0 && id.data[end - 1] >= '0' && id.data[end - 1] <= '9') end--;
    if (end > 1 && end < id.n_bytes && id.data[end - 1] == ':') id.n_bytes = end - 1;
    if (id.n_bytes > n && memcmp(id.data, before, n) == 0) id = (struct sc_text){ id.data + n, id.n_bytes - n };
    return id;
}

static void read_kimi(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)a;
    (void)n_mark;
    struct sc_text id = { "", 0 };
    sc_reader_optional(r, "<|tool_calls_section_begin|>");
    sc_reader_spaces(r);
    sc_reader_expect(r, "<|tool_call_begin|>");
    sc_reader_spaces(r);
    sc_reader_name(r, kimi_ends, &id);
    sc_reader_spaces(r);
    sc_reader_expect(r, kimi_ends[0]);
    sc_reader_object(r);
    head->name = without_number(id);
}

const struct sc_answer_syntax sc_answer_kimi = {
    .name = "kimi",
    .template_has = { "<|tool_calls_section_begin|>" },
    .begins = { "<|tool_calls_section_begin|>", "<|tool_call_begin|>" },
    .fillers = { "<|tool_call_end|>", "<|tool_calls_section_end|>" },
    .head = read_kimi,
    .written = { .trigger = "<|tool_calls_section_begin|>",
                 .opens = "<|tool_calls_section_begin|>",
                 .call = "<|tool_call_begin|>functions.",
                 .after_name = "\":\" [0-9]+",
                 .arguments = "<|tool_call_argument_begin|>",
                 .ends = "<|tool_call_end|>",
                 .between = "",
                 .closes = "<|tool_calls_section_end|>" },
};

static const char *const solar_id_ends[] = { "<|tool_call:name|>", NULL };
static const char *const solar_name_ends[] = { "<|tool_call:args|>", NULL };

static void read_solar(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)a;
    (void)n_mark;
    struct sc_text id;
    if (sc_reader_optional(r, "<|begin|>assistant")) sc_reader_spaces(r);
    sc_reader_optional(r, "<|tool_calls|>");
    sc_reader_spaces(r);
    sc_reader_expect(r, "<|tool_call:begin|>");
    sc_reader_name(r, solar_id_ends, &id);
    sc_reader_expect(r, solar_id_ends[0]);
    sc_reader_name(r, solar_name_ends, &head->name);
    sc_reader_expect(r, solar_name_ends[0]);
    sc_reader_object(r);
}

const struct sc_answer_syntax sc_answer_solar = {
    .name = "solar",
    .template_has = { "<|tool_call:begin|>" },
    .begins = { "<|tool_calls|>", "<|tool_call:begin|>", "<|begin|>assistant<|tool_calls|>" },
    .fillers = { "<|tool_call:end|>", "<|calls|>" },
    .reasoning = { { "<|think|>", "<|end|>" },
                   { "<|begin|>assistant<|think|>", "<|end|>" },
                   { "<|begin|>assistant<|content|>", NULL },
                   { "<|content|>", NULL },
                   { "<|begin|>assistant", NULL } },
    .head = read_solar,
    .written = { .trigger = "<|tool_calls|>",
                 .opens = "<|tool_calls|>",
                 .call = "<|tool_call:begin|>",
                 .before_name = "[a-zA-Z0-9_-]+ \"<|tool_call:name|>\"",
                 .arguments = "<|tool_call:args|>",
                 .ends = "<|tool_call:end|>",
                 .between = "",
                 .closes = "" },
};
