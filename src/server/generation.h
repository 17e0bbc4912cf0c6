// Answers of models, for every interface: starts requests, reads what comes into pieces, and has the interface's
// dialect write them down, whole or as a stream.
#ifndef SC_SERVER_GENERATION_H
#define SC_SERVER_GENERATION_H

#include <stdatomic.h>

#include "server/prompts.h"
#include "server/sampling.h"
#include "text/answer.h"

struct generation;

// A call of a tool.
struct tool_call {
    char id[32];
    char *name;
    struct sc_buffer arguments;
};

// One of n answers to one of the prompts.
struct choice {
    struct generation *g;
    const struct prompt *prompt;
    uint32_t index;
    uint64_t request;
    struct sc_answer reader;
    struct sc_buffer text, reasoning;
    struct tool_call *calls;
    size_t n_calls;
    json_t *logprobs; // array; with a stream of what was not sent yet
    socle_finish finish;
    char *stop; // the stop string that ended it, or NULL
    uint32_t n_prompt, n_cached, n_generated, n_reasoning; // tokens; the last within n_generated
    socle_status status;
    char error[1000];
    int open_block; // dialects' own, for streams
    uint32_t n_blocks, n_sent;
    size_t block_at;
};

// How an interface writes answers. All run on the scheduler's thread.
struct dialect {
    const char *id_prefix;
    bool plain; // text is not read for reasoning and calls
    // Of a stream:
    void (*begin)(struct generation *g);
    void (*piece)(struct choice *c, const struct sc_answer_event *piece);
    void (*end_choice)(struct choice *c);
    void (*end)(struct generation *g);
    // Of a stream that fails on its way; NULL: the interface's error object, as an event.
    void (*fail)(const struct choice *failed, const char *code);
    // A token's logprobs, to be added to c->logprobs; NULL: the interface has none.
    void (*token)(struct choice *c, const socle_token_event *event);
    // Otherwise:
    json_t *(*whole)(struct generation *g);
};

struct form;

struct generation {
    struct exchange *ex;
    struct served_model *model;
    const struct dialect *dialect;
    struct request_options options;
    struct kept_form *form; // given back at the end; NULL: none
    const char *constraint_after;
    char id[48];
    int64_t created;
    bool has_begun;
    bool echo; // completions: the prompt before the answer
    struct prompts prompts;
    const struct sc_answer_syntax *syntax;
    struct choice *choices; // each prompt's by one another
    uint32_t n_choices;     // of all prompts
    atomic_uint n_open;
};

// Answers the exchange with options->n_choices answers after each prompt. Takes over what `prompts` has, and the model
// (served_models_take), and what `form` has (it may be NULL). Replies with an error when a request cannot be started.
void generation_start(struct exchange *ex, struct served_model *model, const struct dialect *dialect,
                      const struct request_options *options, struct prompts *prompts, json_t *tools,
                      const struct form *form, bool echo);

// "stop", "length", "tool_calls", as OpenAI's interfaces say.
const char *openai_finish(const struct choice *c);
json_t *openai_usage(const struct generation *g);
// Tokens of all prompts, of those the ones found in the cache, and of all answers.
void generation_count(const struct generation *g, uint32_t *n_prompt, uint32_t *n_cached, uint32_t *n_generated);
// An error of the library as a reply. `param`: the field that holds the prompt.
void reply_failure(struct exchange *ex, socle_status status, const char *param, const char *message);
// The model that the request names; replies with an error when there is none.
struct served_model *take_model(struct exchange *ex);

// HTTP status for an error of the library.
int http_status_of(socle_status status);

// A random id, "chatcmpl-…".
void make_id(const char *prefix, char *out, size_t n_out);

#endif
