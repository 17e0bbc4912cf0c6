// A conversation, or a text that goes on: what `socle run` holds.
#ifndef SC_CLI_CHAT_H
#define SC_CLI_CHAT_H

#include <jansson.h>

#include "cli/cli.h"

struct cli_chat {
    socle_model *model;
    socle_session *session;
    socle_model_info info;
    socle_sampling sampling;
    uint32_t n_predict;
    const char *const *stop;
    size_t n_stop;
    socle_constraint *constraint; // what answers are held to, or NULL; owned
    bool raw; // no template: the text simply goes on
    bool hide_thinking;
    bool quiet;        // no closing statistics
    json_t *messages;  // [{"role": …, "content": …}, …]
    json_t *variables; // more inputs for the template ({"enable_thinking": false}), or NULL
    const char *echo;  // shown once, when an answer begins; NULL: nothing
    char *text;        // raw: everything so far, prompts and answers
    // Of the last answer
    socle_generation last;
};

// Adds the person's message, streams the model's answer to standard output, keeps it. Returns an exit code; what went
// wrong was said. After a failure the conversation is as it was before.
int cli_chat_answer(struct cli_chat *chat, const char *message);
// The last answer again, drawn with the next seed.
int cli_chat_retry(struct cli_chat *chat);
void cli_chat_reset(struct cli_chat *chat);                   // keeps the system message
int cli_chat_system(struct cli_chat *chat, const char *text); // "" or NULL: none. Returns an exit code
int cli_chat_save(const struct cli_chat *chat, const char *path);
int cli_chat_load(struct cli_chat *chat, const char *path);
void cli_chat_statistics(const struct cli_chat *chat); // a dim line on standard error

// Handles "/command …"; returns false when the person wants to leave.
bool cli_chat_command(struct cli_chat *chat, const char *line);

#endif
