// Stop strings in streamed text: what may yet become one is held back, so that no part of it is ever shown.
#ifndef SC_ENGINE_STOP_H
#define SC_ENGINE_STOP_H

#include "base/buffer.h"

struct sc_stop_filter {
    const char *const *strings; // borrowed; none is empty
    size_t n_strings;
    struct sc_buffer held; // text that was pushed and not yet let through
};

void sc_stop_filter_free(struct sc_stop_filter *filter);

// Takes more text in. Sets *n_ready to how many bytes at the front of `held` may be shown now; the caller shows them
// and then drops them. Returns true when a stop string was found: n_ready is then what came before it.
bool sc_stop_filter_push(struct sc_stop_filter *filter, const char *text, size_t n_bytes, size_t *n_ready);
void sc_stop_filter_drop(struct sc_stop_filter *filter, size_t n_bytes);

#endif
