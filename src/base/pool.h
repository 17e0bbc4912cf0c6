// A pool of threads that runs the tasks of one job at a time and then waits.
#ifndef SC_BASE_POOL_H
#define SC_BASE_POOL_H

#include <stddef.h>

#include "base/error.h"

enum { SC_THREADS_MAX = 256 };

struct sc_pool;

// Task `task` of the job, on thread `thread` (0 is the caller of sc_pool_run): which thread runs which task is left
// to chance, so results must not depend on it.
typedef void sc_task(void *context, size_t task, size_t thread);

// A pool of n_threads in all, the caller's included; n_threads >= 1.
socle_status sc_pool_create(size_t n_threads, struct sc_pool **out, socle_error *err);
void sc_pool_free(struct sc_pool *pool); // NULL is fine
size_t sc_pool_n_threads(const struct sc_pool *pool);

// Runs tasks 0..n_tasks and returns when all are done. One caller at a time. A single task runs on the caller.
void sc_pool_run(struct sc_pool *pool, size_t n_tasks, sc_task *run, void *context);

// Processors that this process may run on.
size_t sc_processor_count(void);

#endif
