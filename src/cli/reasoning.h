// Telling a model's reasoning from its answer while the text streams, by the marks that models put around it.
#ifndef SC_CLI_REASONING_H
#define SC_CLI_REASONING_H

#include "base/buffer.h"

struct cli_reasoning {
    struct sc_buffer held; // may yet become a mark
    int open;              // index of the pair that is open, or -1
    bool at_start;         // of the answer or the reasoning: white space is dropped there
};

// Receives stretches of text; `thinking` tells which kind.
typedef void cli_reasoning_sink(void *context, const char *text, size_t n_bytes, bool thinking);

// `prompt` is what the model goes on from: some templates open the reasoning themselves.
void cli_reasoning_begin(struct cli_reasoning *r, const char *prompt, size_t n_bytes);
// The text that ends the reasoning which is open, or NULL.
const char *cli_reasoning_end_mark(const struct cli_reasoning *r);
void cli_reasoning_push(struct cli_reasoning *r, const char *text, size_t n_bytes, cli_reasoning_sink *sink,
                        void *context);
void cli_reasoning_end(struct cli_reasoning *r, cli_reasoning_sink *sink, void *context);

#endif
