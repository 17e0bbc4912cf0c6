// Conversations, as chat templates take them.
#ifndef SC_SERVER_CHAT_INPUTS_H
#define SC_SERVER_CHAT_INPUTS_H

#include "server/generation.h"

// A conversation on its way to a template.
struct chat_inputs {
    json_t *messages;             // owned: [{"role", "content", "tool_calls"?, "tool_call_id"?, …}]
    json_t *tools;                // owned: [{"type": "function", "function": {…}}], or NULL
    json_t *more;                 // owned: further variables of the template, an object
    enum sc_answer_choice choice; // of tools
    const char *tool;             // the only one that may be called, or NULL: any; borrowed
    bool serial;                  // one call at most
};
void chat_inputs_free(struct chat_inputs *in);

// Reads "messages", "tools", "tool_choice", "chat_template_kwargs" and "reasoning_effort" of an OpenAI request.
// False: a reply was sent.
bool chat_inputs_of_openai(struct exchange *ex, struct chat_inputs *out);

// Text of a content that is a string, or an array of parts with text: appended to `out`. `param` names it in errors.
bool chat_content_text(struct exchange *ex, const json_t *content, const char *param, struct sc_buffer *out);

// Renders and tokenizes. False: a reply was sent.
bool chat_encode(struct exchange *ex, const struct served_model *model, const struct chat_inputs *in, int32_t **ids,
                 size_t *n_ids, char **text);

#endif
