#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

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

// What a control group has charged and would give back under pressure: pages of files, among them mapped models.
static uint64_t reclaimable(void)
{
    FILE *file = fopen("/sys/fs/cgroup/memory.stat", "re");
    char name[64];
    unsigned long long n_bytes;
    uint64_t sum = 0;
    while (file && fscanf(file, "%63s %llu", name, &n_bytes) == 2)
        if (strcmp(name, "inactive_file") == 0 || strcmp(name, "active_file") == 0) sum += n_bytes;
    if (file) fclose(file);
    return sum;
}

uint64_t sc_memory_available(void)
{
    uint64_t available = UINT64_MAX, system, limit, used;
    if (read_meminfo("MemAvailable", &system)) available = system;
    if (read_number("/sys/fs/cgroup/memory.max", &limit) && read_number("/sys/fs/cgroup/memory.current", &used)) {
        used -= SC_MIN(used, reclaimable());
        available = SC_MIN(available, limit > used ? limit - used : 0);
    }
    struct rlimit space;
    unsigned long long pages;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%llu", &pages) == 1 && getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
            uint64_t taken = pages * (uint64_t)sysconf(_SC_PAGESIZE);
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

void *sc_memory_take_huge(size_t n_bytes)
{
    void *memory = sc_memory_take(n_bytes);
#ifdef MADV_HUGEPAGE
    if (memory) madvise(memory, n_bytes, MADV_HUGEPAGE); // a wish: nothing depends on it
#endif
    return memory;
}

void sc_memory_release(void *memory, size_t n_bytes)
{
    if (memory) munmap(memory, n_bytes ? n_bytes : 1);
}
