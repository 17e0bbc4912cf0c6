// Workers wait for a job number to change: spinning briefly, because the next job of a token loop comes within
// microseconds, then asleep on a condition variable.
//
// Each thread has a run of neighbouring tasks of its own, which it takes from the front, so that what it reads from
// memory goes on where it stopped; one that has none left takes from the back of another's. A run is one atomic word,
// its first task and the one after its last. A claim proves that the job is unfinished, so what the pool says of it is
// safe to read; a worker that wakes late claims nothing. The caller waits for tasks, not for workers: one that the
// system has not scheduled holds nothing up.
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

enum { SPINS = 4000, CACHE_LINE = 64 };

struct worker {
    struct sc_pool *pool;
    size_t thread;
    pthread_t handle;
};

// Tasks begin..end, as begin << 32 | end.
struct tasks {
    _Alignas(CACHE_LINE) atomic_uint_least64_t run;
};

struct sc_pool {
    size_t n_threads;
    struct tasks *tasks;    // [n_threads]
    struct worker *workers; // n_threads - 1
    size_t n_started;
    sc_task *run;
    void *context;
    atomic_size_t n_done; // tasks
    atomic_uint job;      // its number
    atomic_bool stop;
    atomic_size_t n_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Takes a task off the front or the back of a run; false when it is empty.
static bool claim(struct tasks *tasks, bool at_front, size_t *task)
{
    uint64_t run = atomic_load_explicit(&tasks->run, memory_order_acquire);
    for (;;) {
        uint64_t begin = run >> 32, end = run & UINT32_MAX;
        if (begin >= end) return false;
        *task = (size_t)(at_front ? begin++ : --end);
        if (atomic_compare_exchange_weak(&tasks->run, &run, begin << 32 | end)) return true;
    }
}

static void run_tasks(struct sc_pool *pool, size_t thread)
{
    for (size_t i = 0, task; i < pool->n_threads; i++) {
        struct tasks *tasks = &pool->tasks[(thread + i) % pool->n_threads];
        while (claim(tasks, i == 0, &task)) {
            pool->run(pool->context, task, thread);
            atomic_fetch_add_explicit(&pool->n_done, 1, memory_order_release);
        }
    }
}

// Waits until the job's number is no longer `seen`, and returns it.
static unsigned wait_for_job(struct sc_pool *pool, unsigned seen)
{
    unsigned job;
    for (int i = 0; i < SPINS; i++) {
        if ((job = atomic_load_explicit(&pool->job, memory_order_acquire)) != seen) return job;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->n_asleep, 1);
    while ((job = atomic_load(&pool->job)) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->n_asleep, 1);
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct sc_pool *pool = worker->pool;
    for (unsigned seen = 0;;) {
        seen = wait_for_job(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        run_tasks(pool, worker->thread);
    }
}

static void announce(struct sc_pool *pool)
{
    atomic_fetch_add(&pool->job, 1);
    if (atomic_load(&pool->n_asleep) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

void sc_pool_run(struct sc_pool *pool, size_t n_tasks, sc_task *run, void *context)
{
    if (n_tasks <= 1 || pool->n_started == 0) {
        for (size_t task = 0; task < n_tasks; task++) run(context, task, 0);
        return;
    }
    assert(n_tasks <= UINT32_MAX);
    pool->run = run;
    pool->context = context;
    atomic_store(&pool->n_done, 0);
    for (size_t i = 0; i < pool->n_threads; i++) {
        uint64_t begin = (uint64_t)n_tasks * i / pool->n_threads, end = (uint64_t)n_tasks * (i + 1) / pool->n_threads;
        atomic_store(&pool->tasks[i].run, begin << 32 | end);
    }
    announce(pool);
    run_tasks(pool, 0);
    for (int i = 0; atomic_load_explicit(&pool->n_done, memory_order_acquire) != n_tasks; i++) {
        if (i < SPINS) pause_briefly();
        else sched_yield();
    }
}

socle_status sc_pool_create(size_t n_threads, struct sc_pool **out, socle_error *err)
{
    if (n_threads < 1 || n_threads > SC_THREADS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "expected 1 to %d threads, found %zu", SC_THREADS_MAX, n_threads);
    struct sc_pool *pool = calloc(1, sizeof *pool);
    struct worker *workers = calloc(n_threads, sizeof *workers);
    struct tasks *tasks = aligned_alloc(CACHE_LINE, n_threads * sizeof *tasks);
    if (!pool || !workers || !tasks) {
        free(pool);
        free(workers);
        free(tasks);
        return sc_fail_memory(err, sizeof *pool + n_threads * sizeof *workers, "a thread pool");
    }
    pool->n_threads = n_threads;
    pool->workers = workers;
    pool->tasks = tasks;
    for (size_t i = 0; i < n_threads; i++) atomic_init(&tasks[i].run, 0);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (size_t i = 0; i + 1 < n_threads; i++) {
        workers[i] = (struct worker){ .pool = pool, .thread = i + 1 };
        int code = pthread_create(&workers[i].handle, NULL, work, &workers[i]);
        if (code != 0) {
            sc_pool_free(pool);
            return sc_fail(err, SOCLE_FAILED, "cannot start thread %zu of %zu: %s", i + 2, n_threads, strerror(code));
        }
        pool->n_started++;
    }
    *out = pool;
    return SOCLE_OK;
}

void sc_pool_free(struct sc_pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->stop, true);
    announce(pool);
    for (size_t i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool->tasks);
    free(pool);
}

size_t sc_pool_n_threads(const struct sc_pool *pool) { return pool->n_threads; }

size_t sc_processor_count(void)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : (size_t)SC_MAX(online, 1L);
    // A container's share of processor time, rounded up: "quota period" in microseconds, or "max".
    unsigned long long quota, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file && fscanf(file, "%llu %llu", &quota, &period) == 2 && quota && period)
        n = SC_MIN(n, (size_t)((quota + period - 1) / period));
    if (file) fclose(file);
    return SC_MAX(SC_MIN(n, (size_t)SC_THREADS_MAX), (size_t)1);
}
