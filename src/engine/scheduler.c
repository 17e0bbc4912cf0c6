#include "engine/scheduler.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/size.h"
#include "engine/request.h"
#include "engine/runner.h"
#include "models/prepare.h"

enum {
    CONTEXT_DEFAULT = 8192,
    RUNNING_DEFAULT = 64,
    WAITING_DEFAULT = 256,
    BATCH_DEFAULT = 512,
    PROMPT_ROWS_LEAST = 16, // while others generate
    GROUPS_MAX = 1024,
};

static const uint64_t CACHE_FILE_BYTES = UINT64_C(4) << 30;
static const double prompt_share_seconds = 0.25; // of a batch in which others generate

struct list {
    struct sc_request *first, **end;
};

// What a group of requests had of the machine, in rows; forgotten when it has no requests left.
struct group {
    uint64_t name, n_rows;
    uint32_t n_requests;
};

// A row's request, and for a row with logits what they said.
struct row {
    struct sc_request *request;
    uint32_t position;
};

struct sc_scheduler {
    const struct sc_model *model;
    const struct sc_tokenizer *tokenizer;
    struct sc_scheduler_options o;
    struct sc_runner *runner;
    struct sc_pages *pages;
    struct sc_sampler *samplers; // one for each thread
    uint32_t n_samplers;
    pthread_t thread;
    bool has_thread, has_mutex;

    pthread_mutex_t mutex; // of all until the next blank line
    pthread_cond_t wake;
    struct list arrived;
    uint64_t *cancelled; // ids
    size_t n_cancelled, cancelled_capacity;
    uint64_t last_id;
    uint32_t n_requests; // arrived, waiting or running
    socle_scheduler_state state;
    atomic_bool stop;

    // The thread's own.
    struct list waiting, running;
    uint32_t n_running;
    struct group groups[GROUPS_MAX];
    size_t n_groups;
    double row_seconds;        // of a row of a prompt, lately
    uint64_t identity;         // of the cache file
    struct row *rows;          // [n_batch]
    struct sc_choice *choices; // [n_logits]
};

// ---- lists

static void append(struct list *list, struct sc_request *r)
{
    r->next = NULL;
    if (!list->first) list->end = &list->first;
    *list->end = r;
    list->end = &r->next;
}

static void prepend(struct list *list, struct sc_request *r)
{
    if (!list->first) list->end = &r->next;
    r->next = list->first;
    list->first = r;
}

static void remove_from(struct list *list, struct sc_request *r)
{
    struct sc_request **at = &list->first;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    if (!*at) list->end = at;
}

// ---- groups

static struct group *group_of(struct sc_scheduler *s, uint64_t name)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < s->n_groups; i++) {
        if (s->groups[i].name == name) return &s->groups[i];
        least = SC_MIN(least, s->groups[i].n_rows);
    }
    if (s->n_groups == GROUPS_MAX) return NULL;
    struct group *g = &s->groups[s->n_groups++];
    *g = (struct group){ .name = name, .n_rows = least == UINT64_MAX ? 0 : least };
    return g;
}

static void join_group(struct sc_scheduler *s, struct sc_request *r)
{
    if (!group_of(s, r->o.group)) r->o.group = s->groups[0].name; // more than there are: they share a turn
    group_of(s, r->o.group)->n_requests++;
}

static void leave_group(struct sc_scheduler *s, uint64_t name)
{
    struct group *g = group_of(s, name);
    if (--g->n_requests == 0) *g = s->groups[--s->n_groups];
}

// The request of a list whose group had least; of equal ones the first. NULL when none `may`.
static struct sc_request *next_in_turn(struct sc_scheduler *s, const struct list *list,
                                       bool (*may)(const struct sc_request *r))
{
    struct sc_request *best = NULL;
    uint64_t least = 0;
    for (struct sc_request *r = list->first; r; r = r->next) {
        if (may && !may(r)) continue;
        uint64_t n = group_of(s, r->o.group)->n_rows;
        if (best && n >= least) continue;
        best = r;
        least = n;
    }
    return best;
}

// ---- the end of a request

static void describe_lists(struct sc_scheduler *s)
{
    struct sc_pages_use use = sc_pages_use(s->pages);
    pthread_mutex_lock(&s->mutex);
    s->state.n_running = s->n_running;
    s->state.n_pages = use.n_pages;
    s->state.n_pages_free = use.n_free;
    s->state.n_pages_kept = use.n_kept;
    pthread_mutex_unlock(&s->mutex);
}

static void end_request(struct sc_scheduler *s, struct sc_request *r, const socle_error *err)
{
    sc_pages_end(s->pages, &r->paged, r->tokens, r->n_past);
    remove_from(r->is_running ? &s->running : &s->waiting, r);
    s->n_running -= r->is_running;
    leave_group(s, r->o.group);
    pthread_mutex_lock(&s->mutex);
    s->n_requests--;
    s->state.n_generated_tokens += r->n_generated;
    pthread_mutex_unlock(&s->mutex);
    describe_lists(s);
    sc_request_end(r, err);
    sc_request_free(r);
}

static void end_late(struct sc_scheduler *s, struct sc_request *r)
{
    socle_error err;
    sc_fail(&err, SOCLE_TIMEOUT, "the answer was not complete after %g seconds", r->o.timeout_seconds);
    end_request(s, r, &err);
}

static void end_some(struct sc_scheduler *s, struct list *list, double now)
{
    for (struct sc_request *r = list->first, *next; r; r = next) {
        next = r->next;
        if (r->is_cancelled) end_request(s, r, NULL);
        else if (r->deadline > 0 && now > r->deadline) end_late(s, r);
    }
}

// ---- admission

static uint32_t pages_for(uint32_t n_tokens) { return (n_tokens + SC_PAGE_TOKENS - 1) / SC_PAGE_TOKENS; }

// Is there room for a request's prompt and its next page, beside what runs?
static bool has_room(const struct sc_scheduler *s, const struct sc_request *r)
{
    struct sc_pages_use use = sc_pages_use(s->pages);
    return s->n_running == 0 || pages_for(r->n_tokens) + 1 <= use.n_free + use.n_kept;
}

static void admit(struct sc_scheduler *s)
{
    struct sc_request *r;
    socle_error err;
    while (s->n_running < s->o.n_running && (r = next_in_turn(s, &s->waiting, NULL)) && has_room(s, r)) {
        if (sc_pages_begin(s->pages, r->variant, r->tokens, r->n_tokens, &r->paged, &r->n_past, &err) !=
            SOCLE_OK) {
            end_request(s, r, &err);
            continue;
        }
        r->paged.sequence.adapters = r->adapters;
        remove_from(&s->waiting, r);
        append(&s->running, r);
        r->is_running = true;
        s->n_running++;
        r->n_past = SC_MIN(r->n_past, sc_request_needs_from(r));
        if (r->was_started) continue;
        r->was_started = true;
        r->started = sc_now();
        r->n_cached = r->n_past;
        pthread_mutex_lock(&s->mutex);
        s->state.n_cached_tokens += r->n_cached;
        pthread_mutex_unlock(&s->mutex);
    }
}

// Gives the pages of the latest running request back and lets it wait. It will go on where it was, with the same bits.
static void set_back(struct sc_scheduler *s, struct sc_request *r)
{
    sc_pages_end(s->pages, &r->paged, r->tokens, r->n_past);
    remove_from(&s->running, r);
    prepend(&s->waiting, r);
    r->is_running = false;
    r->n_past = 0;
    s->n_running--;
}

static struct sc_request *latest(const struct sc_scheduler *s)
{
    struct sc_request *last = s->running.first;
    while (last && last->next) last = last->next;
    return last;
}

// ---- building a batch

static bool is_prompt(const struct sc_request *r) { return r->n_tokens - r->n_past > 1; }

// Adds up to n of the request's next rows. False when others had to be set back for lack of pages, and rows of theirs
// may be in the batch already: it must be built anew.
static bool add_rows(struct sc_scheduler *s, struct sc_request *r, uint32_t n)
{
    uint32_t begin = r->n_past, end = begin + SC_MIN(n, r->n_tokens - begin);
    bool had_room = true;
    while (!sc_pages_extend(s->pages, &r->paged, end)) {
        struct sc_request *victim = latest(s);
        had_room = false;
        set_back(s, victim);
        if (victim == r) return false;
    }
    if (!had_room) return false;
    for (uint32_t p = begin; p < end; p++) {
        uint32_t at = sc_runner_n_rows(s->runner);
        struct sc_row row = { r->tokens[p], p, &r->paged.sequence, sc_request_wants(r, p) };
        if (!sc_runner_add(s->runner, &row)) break;
        s->rows[at] = (struct row){ r, p };
    }
    return true;
}

// Rows of prompts in a batch in which others generate: as many as fit into the share of time.
static uint32_t prompt_rows(const struct sc_scheduler *s, bool others_generate)
{
    if (!others_generate || s->row_seconds <= 0) return s->o.n_batch;
    double rows = prompt_share_seconds / s->row_seconds;
    return rows < PROMPT_ROWS_LEAST ? PROMPT_ROWS_LEAST : rows > s->o.n_batch ? s->o.n_batch : (uint32_t)rows;
}

static bool may_have_rows(const struct sc_request *r) { return is_prompt(r) && !r->is_in_batch; }

static bool build_batch(struct sc_scheduler *s)
{
    sc_runner_clear(s->runner);
    for (struct sc_request *r = s->running.first; r; r = r->next) r->is_in_batch = false;
    for (struct sc_request *r = s->running.first; r; r = r->next)
        if (!is_prompt(r) && !add_rows(s, r, 1)) return false;
    uint32_t n_generating = sc_runner_n_rows(s->runner), left = prompt_rows(s, n_generating > 0);
    left = SC_MIN(left, s->o.n_batch - n_generating);
    for (struct sc_request *r; left > 0 && (r = next_in_turn(s, &s->running, may_have_rows));) {
        uint32_t before = sc_runner_n_rows(s->runner);
        if (!add_rows(s, r, left)) return false;
        uint32_t n = sc_runner_n_rows(s->runner) - before;
        if (n < SC_MIN(left, r->n_tokens - r->n_past)) break; // full
        left -= n;
        r->is_in_batch = true;
    }
    return true;
}

// ---- computing it

static bool must_stop(void *context) { return atomic_load(&((struct sc_scheduler *)context)->stop); }

static void choose(void *context, size_t task, size_t thread)
{
    struct sc_scheduler *s = context;
    const struct row *row = &s->rows[sc_runner_result_row(s->runner, (uint32_t)task)];
    struct sc_request *r = row->request;
    bool is_last = row->position + 1 == r->n_tokens;
    if (r->o.pooling) return;
    s->choices[task] = sc_request_choose(r, &s->samplers[thread], sc_runner_logits(s->runner, (uint32_t)task),
                                         is_last ? -1 : r->tokens[row->position + 1]);
}

// Moves the requests of the batch on behind it.
static void move_on(struct sc_scheduler *s, double seconds)
{
    uint32_t n = sc_runner_n_rows(s->runner), n_prompt = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct sc_request *r = s->rows[i].request;
        n_prompt += r->n_past < r->n_prompt;
        r->n_past = s->rows[i].position + 1;
        group_of(s, r->o.group)->n_rows++;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct sc_request *r = s->rows[i].request;
        if (i + 1 == n || s->rows[i + 1].request != r) sc_pages_commit(s->pages, &r->paged, r->tokens, r->n_past);
    }
    if (n >= 32) s->row_seconds = s->row_seconds > 0 ? 0.7 * s->row_seconds + 0.3 * seconds / n : seconds / n;
    pthread_mutex_lock(&s->mutex);
    s->state.n_prompt_tokens += n_prompt;
    s->state.n_batches++;
    s->state.busy_seconds += seconds;
    s->state.prompt_tokens_per_second = s->row_seconds > 0 ? 1.0 / s->row_seconds : 0.0;
    pthread_mutex_unlock(&s->mutex);
}

// What the i-th result means for the request that asked for it.
static socle_status take_result(struct sc_scheduler *s, uint32_t i, const struct row *row, socle_error *err)
{
    struct sc_request *r = row->request;
    if (r->o.pooling) {
        float scale;
        const float *x = sc_runner_hidden(s->runner, i, &scale);
        return sc_request_take_hidden(r, row->position, x, scale, err);
    }
    SC_TRY(sc_runner_check_logits(s->runner, i, err));
    if (row->position + 1 == r->n_tokens) return sc_request_accept(r, &s->choices[i], err);
    if (r->n_told == 0) sc_request_tell_prompt(r, &(struct sc_choice){ .token = r->tokens[0] });
    r->n_told = row->position + 1;
    sc_request_tell_prompt(r, &s->choices[i]);
    return SOCLE_OK;
}

static void hand_on(struct sc_scheduler *s)
{
    socle_error err;
    for (uint32_t i = 0; i < sc_runner_n_results(s->runner); i++) {
        struct row *row = &s->rows[sc_runner_result_row(s->runner, i)];
        struct sc_request *r = row->request;
        if (!r) continue; // ended by an earlier row
        bool failed = take_result(s, i, row, &err) != SOCLE_OK;
        if (!failed && !r->has_ended) continue;
        for (uint32_t j = sc_runner_n_rows(s->runner); j-- > 0;)
            if (s->rows[j].request == r) s->rows[j].request = NULL;
        end_request(s, r, failed ? &err : NULL);
    }
}

static void run_batch(struct sc_scheduler *s)
{
    double before = sc_now();
    if (!sc_runner_run(s->runner, must_stop, s)) return;
    move_on(s, sc_now() - before);
    sc_pool_run(sc_runner_pool(s->runner), sc_runner_n_results(s->runner), choose, s);
    hand_on(s);
}

// ---- the thread

static void mark_cancelled(const struct sc_scheduler *s, struct list *list)
{
    for (struct sc_request *r = list->first; r; r = r->next)
        for (size_t i = 0; i < s->n_cancelled; i++) r->is_cancelled |= r->id == s->cancelled[i];
}

// Takes in what came since the last batch; waits when there is nothing to do. False: stop.
static bool take_in(struct sc_scheduler *s)
{
    pthread_mutex_lock(&s->mutex);
    while (!atomic_load(&s->stop) && !s->arrived.first && !s->waiting.first && !s->running.first)
        pthread_cond_wait(&s->wake, &s->mutex);
    for (struct sc_request *r; (r = s->arrived.first);) {
        s->arrived.first = r->next;
        append(&s->waiting, r);
        join_group(s, r);
    }
    mark_cancelled(s, &s->waiting);
    mark_cancelled(s, &s->running);
    s->n_cancelled = 0;
    pthread_mutex_unlock(&s->mutex);
    return !atomic_load(&s->stop);
}

static void *work(void *argument)
{
    struct sc_scheduler *s = argument;
    while (take_in(s)) {
        double now = sc_now();
        end_some(s, &s->waiting, now);
        end_some(s, &s->running, now);
        admit(s);
        while (!build_batch(s)) continue;
        describe_lists(s);
        if (sc_runner_n_rows(s->runner)) run_batch(s);
        sc_runner_clear(s->runner);
        describe_lists(s);
    }
    for (struct sc_request *r; (r = s->running.first);) end_request(s, r, NULL);
    for (struct sc_request *r; (r = s->waiting.first);) end_request(s, r, NULL);
    return NULL;
}

// ---- the functions of others' threads

socle_status sc_scheduler_start(struct sc_scheduler *s, const socle_request_options *options,
                                const struct sc_constraint *constraint, uint64_t *id, socle_error *err)
{
    struct sc_request *r;
    bool ok;
    SC_TRY(sc_request_create(s->tokenizer, options, constraint, &s->model->hparams, s->o.n_context, &r, err));
    r->adapters = sc_adapter_set_factors(s->model->adapters, options->adapters, &r->variant, &ok);
    if (!ok) {
        sc_request_free(r);
        return sc_fail_memory(err, sizeof *r->adapters, "a request");
    }
    pthread_mutex_lock(&s->mutex);
    uint32_t most = s->o.n_running + s->o.n_waiting;
    bool is_full = s->n_requests >= most;
    if (!is_full) {
        *id = r->id = ++s->last_id;
        s->n_requests++;
        append(&s->arrived, r);
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->mutex);
    if (!is_full) return SOCLE_OK;
    sc_request_free(r);
    return sc_fail(err, SOCLE_BUSY, "%u requests are running or waiting, which is the limit", most);
}

void sc_scheduler_cancel(struct sc_scheduler *s, uint64_t id)
{
    pthread_mutex_lock(&s->mutex);
    if (s->n_cancelled == s->cancelled_capacity) {
        size_t capacity = 2 * s->cancelled_capacity + 16;
        uint64_t *more = realloc(s->cancelled, capacity * sizeof *more);
        if (more) {
            s->cancelled = more;
            s->cancelled_capacity = capacity;
        }
    }
    if (s->n_cancelled < s->cancelled_capacity) s->cancelled[s->n_cancelled++] = id; // else it runs to its end
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

void sc_scheduler_describe(struct sc_scheduler *s, socle_scheduler_state *out)
{
    pthread_mutex_lock(&s->mutex);
    *out = s->state;
    out->n_waiting = s->n_requests - SC_MIN(s->n_requests, s->state.n_running);
    pthread_mutex_unlock(&s->mutex);
}

uint32_t sc_scheduler_n_context(const struct sc_scheduler *s) { return s->o.n_context; }

// ---- making and freeing

static socle_status settle(const struct sc_model *model, struct sc_scheduler_options *o, socle_error *err)
{
    const struct sc_hparams *h = &model->hparams;
    if (o->n_context == 0) o->n_context = SC_MIN(h->n_context, (uint32_t)CONTEXT_DEFAULT);
    if (o->n_cache == 0) o->n_cache = 4 * (uint64_t)o->n_context;
    if (o->n_running == 0) o->n_running = RUNNING_DEFAULT;
    if (o->n_waiting == 0) o->n_waiting = WAITING_DEFAULT;
    if (o->n_batch == 0) o->n_batch = BATCH_DEFAULT;
    if (o->n_threads == 0) o->n_threads = (uint32_t)sc_processor_count();
    if (o->n_context > h->n_context)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a context of %u positions: the model was made for %u", o->n_context,
                       h->n_context);
    uint64_t least = sc_align_up(o->n_context, SC_PAGE_TOKENS) + SC_PAGE_TOKENS;
    o->n_cache = SC_MAX(o->n_cache, least);
    if (o->n_running > 4096 || o->n_waiting > 1000000 || o->n_batch > 8192 || o->n_threads > SC_THREADS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "expected at most 4096 running and 1000000 waiting requests, batches of 8192 and %d threads",
                       SC_THREADS_MAX);
    o->n_batch = SC_MAX(o->n_batch, o->n_running);
    return SOCLE_OK;
}

static struct sc_runner_options runner_options(const struct sc_scheduler_options *o)
{
    return (struct sc_runner_options){ o->n_batch, o->n_running, o->n_context, o->n_threads, o->cpu };
}

socle_status sc_scheduler_need(struct sc_model *model, const struct sc_scheduler_options *options, uint64_t *cache,
                               uint64_t *work_bytes, socle_error *err)
{
    struct sc_scheduler_options o = *options;
    SC_TRY(settle(model, &o, err));
    struct sc_runner_options of_runner = runner_options(&o);
    *cache = sc_pages_bytes(&model->program, o.n_cache, o.cache);
    SC_TRY(sc_runner_need(model, &of_runner, work_bytes, err));
    *work_bytes += (uint64_t)o.n_threads * model->hparams.n_vocab *
                   (sizeof(struct sc_candidate) + 2 * sizeof(uint32_t));
    return SOCLE_OK;
}

static double gib(uint64_t n_bytes) { return (double)n_bytes / (1024.0 * 1024.0 * 1024.0); }

static socle_status check_memory(struct sc_model *model, const struct sc_scheduler_options *o, socle_error *err)
{
    uint64_t cache, work_bytes, weights = sc_model_packed_bytes(model) + sc_model_mapped_bytes(model);
    SC_TRY(sc_scheduler_need(model, o, &cache, &work_bytes, err));
    uint64_t available = sc_memory_available(), missing = sc_model_is_prepared(model) ? 0 : weights;
    if (o->allow_overcommit || missing + cache + work_bytes <= available) return SOCLE_OK;
    return sc_fail(err, SOCLE_NO_MEMORY,
                   "%s: needs %.2f GiB (weights %.2f, cache of %llu positions %.2f, work %.2f), but only %.2f GiB are "
                   "available: use a smaller cache or context, or a more quantized model",
                   sc_gguf_path(model->gguf), gib(weights + cache + work_bytes), gib(weights),
                   (unsigned long long)o->n_cache, gib(cache), gib(work_bytes), gib(available));
}

static socle_status make_samplers(struct sc_scheduler *s, socle_error *err)
{
    size_t n_vocab = s->model->hparams.n_vocab;
    s->samplers = calloc(s->o.n_threads, sizeof *s->samplers);
    for (; s->samplers && s->n_samplers < s->o.n_threads; s->n_samplers++) {
        struct sc_sampler *sampler = &s->samplers[s->n_samplers];
        *sampler = (struct sc_sampler){ .candidates = calloc(n_vocab, sizeof *sampler->candidates),
                                        .counts = calloc(n_vocab, sizeof *sampler->counts),
                                        .z = calloc(s->o.n_context + 1, sizeof *sampler->z),
                                        .weights = calloc(n_vocab, sizeof *sampler->weights),
                                        .kernels = sc_runner_kernels(s->runner),
                                        .n_vocab = (uint32_t)n_vocab };
        if (!sampler->candidates || !sampler->counts || !sampler->z || !sampler->weights) break;
    }
    s->rows = calloc(s->o.n_batch, sizeof *s->rows);
    s->choices = calloc(s->o.n_running, sizeof *s->choices);
    if (s->n_samplers == s->o.n_threads && s->rows && s->choices) return SOCLE_OK;
    return sc_fail_memory(err, s->o.n_threads * n_vocab * sizeof(struct sc_candidate), "the samplers");
}

// What the cache's contents depend on: every weight, the positions' meaning, the format, the arithmetic.
static uint64_t identity_of(const struct sc_scheduler *s)
{
    struct {
        uint64_t n_context, format;
        char version[16];
    } more = { s->o.n_context, s->o.cache, SC_VERSION };
    uint64_t hash = XXH3_64bits(&more, sizeof more);
    const struct sc_gguf *gguf = s->model->gguf;
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(gguf, i);
        hash = XXH3_64bits_withSeed(t->name.data, t->name.n_bytes, hash);
        hash = XXH3_64bits_withSeed(t->data, t->n_bytes, hash);
    }
    return hash;
}

static void load_cache(struct sc_scheduler *s)
{
    uint32_t n_pages;
    socle_error err;
    s->identity = identity_of(s);
    if (sc_pages_load(s->pages, s->o.cache_file, s->identity, &n_pages, &err) == SOCLE_OK)
        snprintf(s->state.cache_note, sizeof s->state.cache_note, "%u pages of known beginnings were read", n_pages);
    else
        snprintf(s->state.cache_note, sizeof s->state.cache_note, "%.*s", (int)sizeof s->state.cache_note - 1,
                 err.message);
}

static socle_status make(struct sc_scheduler *s, struct sc_model *model, socle_error *err)
{
    SC_TRY(check_memory(model, &s->o, err));
    SC_TRY(sc_model_prepare(model, s->o.n_threads, NULL, NULL, err));
    struct sc_runner_options of_runner = runner_options(&s->o);
    SC_TRY(sc_runner_create(model, &of_runner, &s->runner, err));
    SC_TRY(sc_pages_create(&model->program, s->o.n_cache, s->o.n_context, s->o.cache, &s->pages, err));
    if (s->o.cache_file) load_cache(s);
    SC_TRY(make_samplers(s, err));
    describe_lists(s);
    int code = pthread_create(&s->thread, NULL, work, s);
    if (code != 0) return sc_fail(err, SOCLE_FAILED, "cannot start a thread: %s", strerror(code));
    s->has_thread = true;
    return SOCLE_OK;
}

socle_status sc_scheduler_create(struct sc_model *model, const struct sc_tokenizer *tokenizer,
                                 const struct sc_scheduler_options *options, struct sc_scheduler **out,
                                 socle_error *err)
{
    struct sc_scheduler_options o = *options;
    SC_TRY(settle(model, &o, err));
    struct sc_scheduler *s = calloc(1, sizeof *s);
    if (!s) return sc_fail_memory(err, sizeof *s, "a scheduler");
    s->model = model;
    s->tokenizer = tokenizer;
    s->o = o;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->wake, NULL);
    socle_status status = make(s, model, err);
    if (status == SOCLE_OK) *out = s;
    else sc_scheduler_free(s, NULL);
    return status;
}

socle_status sc_scheduler_free(struct sc_scheduler *s, socle_error *err)
{
    socle_status status = SOCLE_OK;
    if (!s) return status;
    if (s->has_thread) {
        pthread_mutex_lock(&s->mutex);
        atomic_store(&s->stop, true);
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->mutex);
        pthread_join(s->thread, NULL);
        uint64_t max_bytes = s->o.cache_file_bytes ? s->o.cache_file_bytes : CACHE_FILE_BYTES;
        if (s->o.cache_file) status = sc_pages_save(s->pages, s->o.cache_file, s->identity, max_bytes, err);
    }
    sc_runner_free(s->runner);
    sc_pages_free(s->pages);
    for (uint32_t i = 0; s->samplers && i < s->o.n_threads; i++) {
        free(s->samplers[i].candidates);
        free(s->samplers[i].counts);
        free(s->samplers[i].z);
        free(s->samplers[i].weights);
    }
    free(s->samplers);
    free(s->rows);
    free(s->choices);
    free(s->cancelled);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->mutex);
    free(s);
    return status;
}
