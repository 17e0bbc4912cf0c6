// Llama 3.1 to 3.3: the whole answer is a JSON object, {"name": "weather", "parameters": {"city": "Rome"}}, or one
// behind <|python_tag|>. Without the mark it is a call only if it names a tool of the request and holds nothing else.
// Functionary 3.1, trained from Llama: <function=weather>{"city": "Rome"}</function>
#include "text/answer_syntax.h"

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    r->at = n_mark;
    sc_answer_read_object(a, r, n_mark == 0, head);
}

const struct sc_answer_syntax sc_answer_llama3 = {
    .name = "llama3",
    .template_has = { "<|start_header_id|>", "\"parameters\"" },
    .begins = { "<|python_tag|>" },
    .starts = { "{" },
    .fillers = { ";" },
    .objects_follow = true,
    .head = read_head,
    .written = { .trigger = "{\"name\": \"",
                 .opens = "",
                 .call = "{\"name\": \"",
                 .arguments = "\", \"parameters\": ",
                 .ends = "}",
                 .in_json = true },
};

static const char *const name_ends[] = { ">", NULL };

static void read_function(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)a;
    r->at = n_mark;
    sc_reader_name(r, name_ends, &head->name);
    sc_reader_expect(r, ">");
    sc_reader_object(r);
}

const struct sc_answer_syntax sc_answer_functionary = {
    .name = "functionary",
    .template_has = { "<function=", "<|start_header_id|>" },
    .template_lacks = "<parameter=",
    .begins = { "<function=" },
    .fillers = { "</function>" },
    .head = read_function,
    .written = { .trigger = "<function=",
                 .opens = "",
                 .call = "<function=",
                 .arguments = ">",
                 .ends = "</function>",
                 .between = "",
                 .closes = "" },
};
