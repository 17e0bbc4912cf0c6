#include "engine/runner.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/size.h"

struct sc_runner {
    const struct sc_model *model;
    const struct sc_kernels *kernels;
    struct sc_pool *pool;
    struct sc_plan plan;
    char *memory, *scratch;
    uint64_t scratch_bytes;
    const struct sc_profile *profile;
    sc_observer *observe;
    void *observer;
    struct sc_run run; // the batch at hand
    // [n_batch] each:
    int32_t *tokens;
    uint32_t *positions, *selected;
    const struct sc_sequence **sequences;
};

static socle_status make_plan(const struct sc_model *model, const struct sc_runner_options *o, struct sc_plan *out,
                              socle_error *err)
{
    sc_model_lock(model);
    socle_status status = sc_plan_make(&model->program, o->n_batch, o->n_results, o->n_context, out, err);
    sc_model_unlock(model);
    return status;
}

socle_status sc_runner_need(const struct sc_model *model, const struct sc_runner_options *o, uint64_t *n_bytes,
                            socle_error *err)
{
    struct sc_plan plan;
    SC_TRY(make_plan(model, o, &plan, err));
    *n_bytes = plan.n_bytes + (uint64_t)o->n_threads * plan.scratch_bytes;
    sc_plan_free(&plan);
    return SOCLE_OK;
}

static socle_status take_memory(struct sc_runner *r, const struct sc_runner_options *o, socle_error *err)
{
    r->scratch_bytes = (uint64_t)o->n_threads * r->plan.scratch_bytes;
    r->positions = calloc(o->n_batch, sizeof *r->positions);
    r->selected = calloc(o->n_batch, sizeof *r->selected);
    r->tokens = calloc(o->n_batch, sizeof *r->tokens);
    r->sequences = calloc(o->n_batch, sizeof *r->sequences);
    r->memory = sc_memory_take(r->plan.n_bytes);
    r->scratch = sc_memory_take(r->scratch_bytes);
    if (r->positions && r->selected && r->tokens && r->sequences && r->memory && r->scratch) return SOCLE_OK;
    return sc_fail_memory(err, r->plan.n_bytes + r->scratch_bytes, "the work of a batch");
}

socle_status sc_runner_create(const struct sc_model *model, const struct sc_runner_options *o, struct sc_runner **out,
                              socle_error *err)
{
    struct sc_runner *r = calloc(1, sizeof *r);
    if (!r) return sc_fail_memory(err, sizeof *r, "the work of a batch");
    r->model = model;
    socle_status status = sc_kernels_choose(o->cpu, &r->kernels, err);
    if (status == SOCLE_OK) status = sc_pool_create(o->n_threads, &r->pool, err);
    if (status == SOCLE_OK) status = make_plan(model, o, &r->plan, err);
    if (status == SOCLE_OK) status = take_memory(r, o, err);
    if (status == SOCLE_OK) *out = r;
    else sc_runner_free(r);
    return status;
}

void sc_runner_free(struct sc_runner *r)
{
    if (!r) return;
    sc_pool_free(r->pool);
    sc_memory_release(r->memory, r->plan.n_bytes);
    sc_memory_release(r->scratch, r->scratch_bytes);
    sc_plan_free(&r->plan);
    free(r->positions);
    free(r->selected);
    free(r->tokens);
    free(r->sequences);
    free(r);
}

const struct sc_kernels *sc_runner_kernels(const struct sc_runner *r) { return r->kernels; }
struct sc_pool *sc_runner_pool(const struct sc_runner *r) { return r->pool; }
uint32_t sc_runner_n_batch(const struct sc_runner *r) { return r->plan.n_rows; }
void sc_runner_set_profile(struct sc_runner *r, const struct sc_profile *profile) { r->profile = profile; }

void sc_runner_set_observer(struct sc_runner *r, sc_observer *observe, void *observer)
{
    r->observe = observe;
    r->observer = observer;
}

void sc_runner_clear(struct sc_runner *r)
{
    r->run.n_rows = r->run.n_selected = 0;
    r->run.only_hidden = true;
}

bool sc_runner_add(struct sc_runner *r, const struct sc_row *row)
{
    size_t n = r->run.n_rows;
    if (n == r->plan.n_rows || (row->wanted && r->run.n_selected == r->plan.n_selected)) return false;
    r->tokens[n] = row->token;
    r->positions[n] = row->position;
    r->sequences[n] = row->sequence;
    if (row->wanted) r->selected[r->run.n_selected++] = (uint32_t)n;
    if (row->wanted == SC_WANT_LOGITS) r->run.only_hidden = false;
    r->run.n_rows++;
    return true;
}

uint32_t sc_runner_n_rows(const struct sc_runner *r) { return (uint32_t)r->run.n_rows; }

bool sc_runner_run(struct sc_runner *r, bool (*stop)(void *context), void *context)
{
    r->run = (struct sc_run){
        .program = &r->model->program,
        .plan = &r->plan,
        .kernels = r->kernels,
        .pool = r->pool,
        .memory = r->memory,
        .scratch = r->scratch,
        .n_rows = r->run.n_rows,
        .n_selected = r->run.n_selected,
        .sequences = r->sequences,
        .tokens = r->tokens,
        .positions = r->positions,
        .selected = r->selected,
        .only_hidden = r->run.only_hidden,
        .profile = r->profile,
        .observe = r->observe,
        .observer = r->observer,
    };
    return sc_run_program(&r->run, stop, context);
}

uint32_t sc_runner_n_results(const struct sc_runner *r) { return (uint32_t)r->run.n_selected; }
uint32_t sc_runner_result_row(const struct sc_runner *r, uint32_t i) { return r->selected[i]; }
const float *sc_runner_logits(const struct sc_runner *r, uint32_t i) { return sc_run_logits(&r->run, i); }

const float *sc_runner_hidden(const struct sc_runner *r, uint32_t i, float *scale)
{
    return sc_run_hidden(&r->run, i, scale);
}

static bool all_finite(const float *x, size_t n)
{
    float zero = 0.0f;
    for (size_t i = 0; i < n; i++) zero += x[i] * 0.0f;
    return zero == 0.0f;
}

socle_status sc_runner_check_logits(const struct sc_runner *r, uint32_t i, socle_error *err)
{
    uint32_t row = r->selected[i];
    if (all_finite(sc_runner_logits(r, i), r->model->program.n_vocab)) return SOCLE_OK;
    bool f32 = r->sequences[row]->cache[0].head0.format == SC_CACHE_F32;
    return sc_fail(err, SOCLE_NOT_FINITE, "%s: a logit at position %u is not finite%s", sc_gguf_path(r->model->gguf),
                   r->positions[row],
                   f32 ? "" : " (damaged weights, or keys too large for the cache's format: try F32)");
}
