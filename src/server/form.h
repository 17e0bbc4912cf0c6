// What an answer is held to: a response format, or calls of tools.
#ifndef SC_SERVER_FORM_H
#define SC_SERVER_FORM_H

#include "server/chat_inputs.h"

struct form {
    struct kept_form *kept; // taken from the model's; NULL: none
    const char *after;      // the text behind which it holds, or NULL; lives as long as the program
};

// `format` is OpenAI's response_format (NULL: none). With tools, calls are held to their schemas; `prompt` is what the
// model goes on from. Also reads "grammar" (GBNF), "guided_regex", "guided_json" and "guided_grammar" of the request.
// False: a reply was sent.
bool form_read(struct exchange *ex, const struct served_model *model, const json_t *format,
               const struct chat_inputs *in, const char *prompt, struct form *out);

// Answers a conversation: encodes it, reads the form, and starts. Takes the model over.
void chat_answer(struct exchange *ex, struct served_model *model, const struct dialect *dialect,
                 const struct request_options *options, const struct chat_inputs *in, const json_t *format);

#endif
