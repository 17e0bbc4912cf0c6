#include "engine/stop.h"

#include <stdint.h>
#include <string.h>

void sc_stop_filter_free(struct sc_stop_filter *filter) { sc_buffer_free(&filter->held); }

// Where the stop string that is complete first begins in held text (of those that end together, the one that begins
// first); SIZE_MAX when there is none. So it does not matter in which pieces the text came.
static size_t find_first(const struct sc_stop_filter *f)
{
    size_t first = SIZE_MAX, first_end = SIZE_MAX;
    for (size_t i = 0; i < f->n_strings; i++) {
        size_t n = strlen(f->strings[i]);
        const char *found = memmem(f->held.data, f->held.n_bytes, f->strings[i], n);
        if (!found) continue;
        size_t begin = (size_t)(found - f->held.data);
        if (begin + n > first_end || (begin + n == first_end && begin > first)) continue;
        first = begin;
        first_end = begin + n;
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
    *n_ready = first != SIZE_MAX ? first : f->held.n_bytes - undecided(f);
    return first != SIZE_MAX;
}

void sc_stop_filter_drop(struct sc_stop_filter *f, size_t n_bytes)
{
    memmove(f->held.data, f->held.data + n_bytes, f->held.n_bytes - n_bytes);
    f->held.n_bytes -= n_bytes;
    f->held.data[f->held.n_bytes] = '\0';
}
