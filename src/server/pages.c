#include "server/pages.h"

bool pages_serve(struct exchange *ex, const char *path)
{
    (void)ex;
    (void)path;
    return false;
}
