// Continuous batching: a thread that computes all running requests together, a batch at a time.
//
//     start ──► waiting ──► running ──► ended            one list each; groups take turns leaving `waiting`
//                  ▲            │
//                  └── set back ┘                        when the cache is full, the latest gives its pages up
//
// A batch has a row for each request that generates, and fills up with rows of prompts: of few at a time, and of few
// tokens while others generate, so that answers keep flowing. None of this changes a bit of what a request gives, so it
// may follow the clock.
#ifndef SC_ENGINE_SCHEDULER_H
#define SC_ENGINE_SCHEDULER_H

#include <socle/scheduler.h>

#include "models/model.h"
#include "program/execute.h"
#include "text/tokenizer.h"

struct sc_scheduler_options {
    uint32_t n_context, n_running, n_waiting, n_batch, n_threads;
    uint64_t n_cache;
    enum sc_cache_format cache;
    bool allow_overcommit;
    const char *cpu;
    const char *cache_file; // NULL: none
    uint64_t cache_file_bytes;
};

struct sc_scheduler;

// Bytes of cache and work; the weights are the model's. Errors: SOCLE_BAD_ARGUMENT, SOCLE_NO_MEMORY.
socle_status sc_scheduler_need(struct sc_model *model, const struct sc_scheduler_options *options, uint64_t *cache,
                               uint64_t *work, socle_error *err);
// Errors: SOCLE_NO_MEMORY with the numbers; SOCLE_BAD_ARGUMENT.
socle_status sc_scheduler_create(struct sc_model *model, const struct sc_tokenizer *tokenizer,
                                 const struct sc_scheduler_options *options, struct sc_scheduler **out,
                                 socle_error *err);
// NULL is fine. Errors: SOCLE_IO when the cache file cannot be written; all is freed even so.
socle_status sc_scheduler_free(struct sc_scheduler *scheduler, socle_error *err);
uint32_t sc_scheduler_n_context(const struct sc_scheduler *scheduler);
void sc_scheduler_describe(struct sc_scheduler *scheduler, socle_scheduler_state *out);

// socle_request_start and socle_request_cancel.
struct sc_constraint;
socle_status sc_scheduler_start(struct sc_scheduler *scheduler, const socle_request_options *options,
                                const struct sc_constraint *constraint, uint64_t *id, socle_error *err);
void sc_scheduler_cancel(struct sc_scheduler *scheduler, uint64_t id);

#endif
