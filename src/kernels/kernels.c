// Choosing a level. Compiled for the baseline: it runs before anything is known about the CPU.
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SC_KERNEL_LEVEL(level) extern const struct sc_kernels sc_kernels_##level;
#include "kernels/levels.h"
#undef SC_KERNEL_LEVEL

#define SC_KERNEL_LEVEL(level) &sc_kernels_##level,
static const struct sc_kernels *const levels[] = {
#include "kernels/levels.h"
};
#undef SC_KERNEL_LEVEL

enum { N_LEVELS = sizeof levels / sizeof levels[0] };

const struct sc_kernels *sc_kernels_at(size_t i) { return i < N_LEVELS ? levels[i] : NULL; }

static socle_status fail_name(const char *name, socle_error *err)
{
    char names[128] = "";
    for (size_t i = 0; i < N_LEVELS; i++) {
        strcat(names, i ? ", " : "");
        strcat(names, levels[i]->name);
    }
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "no instruction-set level is called '%s'; there are: %s", name, names);
}

socle_status sc_kernels_choose(const char *name, const struct sc_kernels **out, socle_error *err)
{
    if (!name) name = getenv("SOCLE_CPU");
    if (!name || !*name) {
        for (size_t i = 0; i < N_LEVELS; i++)
            if (levels[i]->supported()) *out = levels[i];
        return SOCLE_OK;
    }
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (strcasecmp(name, levels[i]->name) != 0) continue;
        if (!levels[i]->supported())
            return sc_fail(err, SOCLE_UNSUPPORTED, "this machine lacks the instruction-set level '%s' (%s)", name,
                           levels[i]->description);
        *out = levels[i];
        return SOCLE_OK;
    }
    return fail_name(name, err);
}
