// How far one model's predictions are from another's on a text: perplexities of both, and the divergence between them.
#ifndef SC_CLI_COMPARE_H
#define SC_CLI_COMPARE_H

#include "cli/cli.h"

struct cli_comparison {
    const char *file;              // in: the text
    uint32_t n_context, n_chunks;  // in: positions of a window (0: 512), windows at most (0: all)
    socle_session_options session; // in: threads, level
    // Out
    size_t n_scored;
    double source_perplexity, result_perplexity;
    double divergence, divergence_max; // Kullback-Leibler, nats a token: mean and largest
    double same_top;                   // share of tokens for which both would choose the same
};

// Compares the models at the two paths, which must have the same vocabulary. Returns the exit code after a message.
int cli_compare(const char *source, const char *result, struct cli_comparison *comparison);

#endif
