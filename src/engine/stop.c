#include "engine/stop.h"

#include <string.h>

void sc_stop_filter_free(struct sc_stop_filter *filter) { sc_buffer_free(&filter->held); }

// The earliest stop string in held text; SIZE_MAX when there is none.
static size_t find_first(const struct sc_stop_filter *f)
{
    size_t first = (size_t)-1;
    for (size_t i = 0; i < f->n_strings; i++) {
        const char *found = memmem(f->held.data, f->held.n_bytes, f->strings[i], strlen(f->strings[i]));
        if (found && (size_t)(found - f->held.data) < first) first = (size_t)(found - f->held.data);
    }
    return first;
}

// How many bytes at the end are the beginning of some stop string.
static size_t undecided(const struct sc_stop_filter *f)
{
    size_t longest = 0;
    for (size_t i = 0; i < f->n_strings; i++) {
        size_t n = strlen(f->strings[i]) - 1;
        if (n > f->held.n_bytes) n = f->held.n_bytes;
        while (n > longest && memcmp(f->held.data + f->held.n_bytes - n, f->strings[i], n) != 0) n--;
        if (n > longest) longest = n;
    }
    return longest;
}

bool sc_stop_filter_push(struct sc_stop_filter *f, const char *text, size_t n_bytes, size_t *n_ready)
{
    sc_buffer_append(&f->held, text, n_bytes);
    *n_ready = 0;
    if (f->held.n_bytes == 0) return false;
    size_t first = find_first(f);
    *n_ready = first != (size_t)-1 ? first : f->held.n_bytes - undecided(f);
    return first != (size_t)-1;
}

void sc_stop_filter_drop(struct sc_stop_filter *f, size_t n_bytes)
{
    memmove(f->held.data, f->held.data + n_bytes, f->held.n_bytes - n_bytes);
    f->held.n_bytes -= n_bytes;
    f->held.data[f->held.n_bytes] = '\0';
}
