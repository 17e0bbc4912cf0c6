#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/size.h"

// "name: N kB" in /proc/meminfo; false when it is not there.
static bool read_meminfo(const char *name, uint64_t *out)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) return false;
    char line[128];
    bool found = false;
    unsigned long long kib;
    size_t n = strlen(name);
    while (!found && fgets(line, sizeof line, file))
        if (strncmp(line, name, n) == 0 && line[n] == ':' && sscanf(line + n + 1, "%llu", &kib) == 1) {
            *out = kib * 1024;
            found = true;
        }
    fclose(file);
    return found;
}

static bool read_number(const char *path, uint64_t *out)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    unsigned long long number;
    bool ok = fscanf(file, "%llu", &number) == 1; // "max" is no number
    fclose(file);
    if (ok) *out = number;
    return ok;
}

uint64_t sc_memory_available(void)
{
    uint64_t available = UINT64_MAX, system, limit, used;
    if (read_meminfo("MemAvailable", &system)) available = system;
    if (read_number("/sys/fs/cgroup/memory.max", &limit) && read_number("/sys/fs/cgroup/memory.current", &used))
        available = SC_MIN(available, limit > used ? limit - used : 0);
    struct rlimit space;
    unsigned long long pages;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%llu", &pages) == 1 && getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
            uint64_t taken = pages * 4096;
            available = SC_MIN(available, space.rlim_cur > taken ? space.rlim_cur - taken : 0);
        }
        fclose(file);
    }
    return available;
}

uint64_t sc_memory_total(void)
{
    uint64_t total = 0;
    read_meminfo("MemTotal", &total);
    return total;
}

uint64_t sc_memory_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

void *sc_memory_take(size_t n_bytes)
{
    void *memory = mmap(NULL, n_bytes ? n_bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void sc_memory_release(void *memory, size_t n_bytes)
{
    if (memory) munmap(memory, n_bytes ? n_bytes : 1);
}
