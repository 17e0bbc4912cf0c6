// What this machine can do: levels, processors and memory as the system states them, limits as a watch shows them.
//
// A measurement is the best of several short runs: other programs and the clock's own resolution only ever make a run
// look slower than the machine is.
#include <socle/machine.h>

#include <string.h>
#include <sys/mman.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"
#include "kernels/kernels.h"

#ifndef SC_VERSION
#define SC_VERSION "0"
#endif

enum {
    READ_BYTES_MAX = 1 << 30, // several times the caches of almost every machine
    READ_BYTES_MIN = 16 << 20,
    PART_BYTES = 2 << 20, // one task of the reading loop, and a large page
    N_STREAMS = 4,        // that one task reads side by side
    AHEAD_BYTES = 2048,   // how far before its use a stream is asked for
    LINE_BYTES = 64,
    READ_RUNS = 5,
    PEAK_RUNS = 8,
    PEAK_TASKS_PER_THREAD = 4, // so that a thread that is held up does not hold up the rest
};

SC_EXPORT const char *socle_version(void) { return SC_VERSION; }

SC_EXPORT bool socle_cpu_level_at(size_t i, socle_cpu_level *out)
{
    const struct sc_kernels *level = sc_kernels_at(i);
    if (!level) return false;
    *out = (socle_cpu_level){ level->name, level->description, level->supported() };
    return true;
}

SC_EXPORT uint32_t socle_processor_count(void) { return (uint32_t)sc_processor_count(); }
SC_EXPORT uint64_t socle_memory_total(void) { return sc_memory_total(); }
SC_EXPORT uint64_t socle_memory_available(void) { return sc_memory_available(); }
SC_EXPORT uint64_t socle_memory_peak(void) { return sc_memory_peak(); }

// ---- reading

struct reading {
    const char *bytes;
    uint64_t sums[SC_THREADS_MAX][LINE_BYTES / 8]; // of each thread, so that the reads are not left out
};

// One processor keeps more of the memory busy when it reads several streams and asks for each a little ahead: without,
// the figure comes out up to a third too low. Eight sums side by side, which compilers keep in vectors.
static void read_part(void *context, size_t task, size_t thread)
{
    struct reading *reading = context;
    const char *part = reading->bytes + task * PART_BYTES;
    uint64_t sum[LINE_BYTES / 8] = { 0 };
    for (size_t i = 0; i < PART_BYTES / N_STREAMS; i += LINE_BYTES)
        for (size_t stream = 0; stream < N_STREAMS; stream++) {
            const char *line = part + stream * (PART_BYTES / N_STREAMS) + i;
            const uint64_t *words = (const uint64_t *)(const void *)line;
            __builtin_prefetch(line + AHEAD_BYTES);
            for (size_t j = 0; j < LINE_BYTES / 8; j++) sum[j] += words[j];
        }
    for (size_t j = 0; j < LINE_BYTES / 8; j++) reading->sums[thread][j] += sum[j];
}

// Touches the pages, so that they are memory of their own; on several nodes, memory near those who read.
static void fill_part(void *context, size_t task, size_t thread)
{
    (void)thread;
    struct reading *reading = context;
    memset((char *)(uintptr_t)reading->bytes + task * PART_BYTES, (int)(task & 0x7f) + 1, PART_BYTES);
}

static double time_reading(struct sc_pool *pool, struct reading *reading, size_t n_parts)
{
    double best = 0.0;
    sc_pool_run(pool, n_parts, fill_part, reading);
    for (int run = 0; run < READ_RUNS; run++) {
        double started = sc_now();
        sc_pool_run(pool, n_parts, read_part, reading);
        best = SC_MAX(best, (double)n_parts * PART_BYTES / (sc_now() - started));
    }
    return best;
}

static socle_status measure_reading(struct sc_pool *pool, double *bytes_per_second, socle_error *err)
{
    uint64_t n_parts = SC_MIN(sc_memory_available() / 4, (uint64_t)READ_BYTES_MAX) / PART_BYTES;
    uint64_t n_bytes = (n_parts + 1) * PART_BYTES; // one more, to begin where a large page does
    if (n_parts < READ_BYTES_MIN / PART_BYTES)
        return sc_fail_memory(err, READ_BYTES_MIN, "measuring how fast memory is read");
    char *memory = sc_memory_take(n_bytes);
    if (!memory) return sc_fail_memory(err, n_bytes, "measuring how fast memory is read");
    struct reading reading = { .bytes = memory + (PART_BYTES - (uintptr_t)memory % PART_BYTES) % PART_BYTES };
#ifdef MADV_HUGEPAGE
    madvise((char *)(uintptr_t)reading.bytes, n_parts * PART_BYTES, MADV_HUGEPAGE); // fewer page walks, where granted
#endif
    *bytes_per_second = time_reading(pool, &reading, n_parts);
    sc_memory_release(memory, n_bytes);
    return SOCLE_OK;
}

// ---- multiplying

struct multiplying {
    const struct sc_kernels *kernels;
    size_t n_repetitions;
    bool f32;
};

static void multiply(void *context, size_t task, size_t thread)
{
    (void)task, (void)thread;
    struct multiplying *m = context;
    if (m->f32) m->kernels->peak_f32(m->n_repetitions);
    else m->kernels->peak_int8(m->n_repetitions);
}

static double measure_macs(struct sc_pool *pool, const struct sc_kernels *kernels, bool f32)
{
    size_t n_tasks = sc_pool_n_threads(pool) * PEAK_TASKS_PER_THREAD;
    struct multiplying m = { kernels, 1, f32 };
    double best = 0.0;
    for (int run = 0; run < PEAK_RUNS;) {
        double started = sc_now();
        sc_pool_run(pool, n_tasks, multiply, &m);
        double seconds = sc_now() - started;
        if (seconds < 0.03) { // too short to trust: twice the work
            m.n_repetitions *= 2;
            continue;
        }
        best = SC_MAX(best, (double)m.n_repetitions * SC_PEAK_MACS * (double)n_tasks / seconds);
        run++;
    }
    return best;
}

SC_EXPORT socle_status socle_measure(uint32_t n_threads, const char *cpu, socle_limits *out, socle_error *err)
{
    const struct sc_kernels *kernels;
    struct sc_pool *pool;
    SC_TRY(sc_kernels_choose(cpu, &kernels, err));
    SC_TRY(sc_pool_create(n_threads ? n_threads : sc_processor_count(), &pool, err));
    socle_limits limits = { 0 };
    socle_status status = measure_reading(pool, &limits.read_bytes_per_second, err);
    if (status == SOCLE_OK) {
        limits.int8_macs_per_second = measure_macs(pool, kernels, false);
        limits.f32_macs_per_second = measure_macs(pool, kernels, true);
        *out = limits;
    }
    sc_pool_free(pool);
    return status;
}
