// Prompts of requests that are plain text or numbers of tokens, one or many.
#ifndef SC_SERVER_PROMPTS_H
#define SC_SERVER_PROMPTS_H

#include "server/exchange.h"
#include "server/models.h"

struct prompt {
    int32_t *ids;
    size_t n_ids;
    char *text; // as the interface needs it, or NULL
};

struct prompts {
    struct prompt *at;
    size_t n;
};

void prompts_free(struct prompts *prompts); // a zeroed one is fine

// Reads the request's field `name`: a string, an array of tokens, or an array of at most `most` of these. With
// `want_text` tokens are given their text, too. False: a reply was sent, and there is nothing to free.
bool prompts_read(struct exchange *ex, const struct served_model *model, const char *name, size_t most, bool want_text,
                  struct prompts *out);

#endif
