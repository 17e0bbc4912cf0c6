// Formats by number, name and place in the list. The list is formats.h.
#include "tensor/format.h"

#include "tensor/parts.h"

static const struct sc_format *const formats[] = {
#define SC_FORMAT(format) &format,
#include "tensor/formats.h"
#undef SC_FORMAT
};

enum { N_FORMATS = sizeof formats / sizeof formats[0] };

const struct sc_format *sc_format_at(size_t i) { return i < N_FORMATS ? formats[i] : NULL; }

const struct sc_format *sc_format_find(uint32_t id)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i]->id == id) return formats[i];
    return NULL;
}

// Names are ASCII; the C library's comparison would ask the locale.
static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

static bool same_name(const char *a, const char *b)
{
    while (*a && upper(*a) == upper(*b)) a++, b++;
    return upper(*a) == upper(*b);
}

const struct sc_format *sc_format_find_name(const char *name)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (same_name(formats[i]->name, name)) return formats[i];
    return NULL;
}
