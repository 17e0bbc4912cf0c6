// Finding the reference data that other programs produced; tests skip, saying so, where it is absent.
#ifndef SC_TESTS_FIXTURES_H
#define SC_TESTS_FIXTURES_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 }; // slow: less of the same will do
#else
enum { IS_SANITIZED = 0 };
#endif

// The path of a fixture, in one of four static buffers; $SOCLE_FIXTURES, or ../shared/fixtures beside the sources.
static inline const char *fixture(const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    const char *folder = getenv("SOCLE_FIXTURES");
    snprintf(path, sizeof paths[0], "%s/%s", folder ? folder : SC_SOURCE_ROOT "/../shared/fixtures", name);
    return path;
}

// Whether the fixtures are there; says so once where they are not.
static inline int have_fixtures(const char *folder)
{
    if (access(fixture(folder), R_OK) == 0) return 1;
    fprintf(stderr, "skipped: no fixtures at %s (set SOCLE_FIXTURES)\n", fixture(folder));
    return 0;
}

#endif
