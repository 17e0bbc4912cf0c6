// DeepSeek V3 and R1, which name a kind before the tool and fence the arguments, and V3.1, which does neither:
//
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather
//   ```json
//   {"city": "Rome"}
//   ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>
//
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city":
//   "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>
#include "text/answer_syntax.h"

#define CALLS_BEGIN "<｜tool▁calls▁begin｜>"
#define CALL_BEGIN "<｜tool▁call▁begin｜>"
#define SEPARATOR "<｜tool▁sep｜>"
#define CALL_END "<｜tool▁call▁end｜>"
#define CALLS_END "<｜tool▁calls▁end｜>"

static const char *const separator[] = { SEPARATOR, NULL };
static const char *const line_end[] = { "\n", NULL };

// Both are read, whichever the template teaches.
static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    (void)a;
    (void)n_mark;
    sc_reader_optional(r, CALLS_BEGIN);
    sc_reader_spaces(r);
    sc_reader_expect(r, CALL_BEGIN);
    sc_reader_name(r, separator, &head->name);
    sc_reader_expect(r, SEPARATOR);
    struct sc_reader rest = *r;
    sc_reader_object(&rest);
    if (rest.state == SC_READ_BROKEN) {
        sc_reader_name(r, line_end, &head->name);
        sc_reader_spaces(r);
        sc_reader_expect(r, "```json");
        sc_reader_object(r);
    } else {
        *r = rest;
    }
}

const struct sc_answer_syntax sc_answer_deepseek_r1 = {
    .name = "deepseek-r1",
    .template_has = { CALLS_BEGIN, "```json" },
    .begins = { CALLS_BEGIN, CALL_BEGIN },
    .fillers = { "```", CALL_END, CALLS_END },
    .head = read_head,
    .written = { .trigger = CALLS_BEGIN,
                 .opens = CALLS_BEGIN,
                 .call = CALL_BEGIN "function" SEPARATOR,
                 .arguments = "\n```json\n",
                 .ends = "\n```" CALL_END,
                 .between = "\n",
                 .closes = CALLS_END },
};

const struct sc_answer_syntax sc_answer_deepseek_v31 = {
    .name = "deepseek-v3.1",
    .template_has = { CALLS_BEGIN },
    .begins = { CALLS_BEGIN, CALL_BEGIN },
    .fillers = { "```", CALL_END, CALLS_END },
    .head = read_head,
    .written = { .trigger = CALLS_BEGIN,
                 .opens = CALLS_BEGIN,
                 .call = CALL_BEGIN,
                 .arguments = SEPARATOR,
                 .ends = CALL_END,
                 .between = "",
                 .closes = CALLS_END },
};
