#include "train/learner.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "engine/cache.h"
#include "kernels/elementary64.h"
#include "models/prepare.h"

struct sc_learner {
    struct sc_model *model;
    struct sc_parameters *parameters;
    const struct sc_kernels *kernels;
    struct sc_pool *pool;
    struct sc_training_plan plan;
    struct sc_backward back;
    char *memory, *scratch;
    uint64_t scratch_bytes;
    uint32_t n_rows, n_context;
    // One layer's keys and values: layers take turns.
    char *cache;
    uint64_t cache_bytes;
    struct sc_kv_layer *layers;    // [n_rows][n_layers], of each sequence
    struct sc_sequence *sequences; // [n_rows]
    // [n_rows] each:
    const struct sc_sequence **row_sequences;
    uint32_t *selected;
    float *max, *sum;
    int32_t *targets; // of the selected
    float *row_weights;
    sc_learner_note *note;
    void *noted;
};

// Bytes of n positions' keys and values in the greediest layer.
static uint64_t cache_need(const struct sc_program *program, size_t n_positions)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < program->n_layers; i++) {
        const struct sc_cache_layer *layer = &program->layers[i];
        uint64_t floats = (uint64_t)layer->n_heads * (layer->dim_k + layer->dim_v) * n_positions;
        most = SC_MAX(most, floats * sizeof(float));
    }
    return most + 64;
}

// Every sequence has a part of the cache that is whole groups of 16 positions: room for that many more.
static size_t cache_positions(uint32_t n_rows) { return 16 * (size_t)n_rows; }

static void place_cache(struct sc_learner *l, const struct sc_batch *batch)
{
    const struct sc_program *program = &l->model->program;
    size_t at = 0; // positions
    for (size_t s = 0; s < batch->n_sequences; s++) {
        size_t n = sc_align_up(batch->begins[s + 1] - batch->begins[s], SC_LANES);
        for (uint32_t i = 0; i < program->n_layers; i++) {
            const struct sc_cache_layer *layer = &program->layers[i];
            float *k = (float *)(void *)l->cache + at * layer->n_heads * (layer->dim_k + layer->dim_v);
            struct sc_kv head0 = { .k = k, .dim_k = layer->dim_k, .dim_v = layer->dim_v, .format = SC_CACHE_F32 };
            if (layer->dim_v) head0.v = k + n * layer->n_heads * layer->dim_k;
            l->layers[s * program->n_layers + i] = (struct sc_kv_layer){ head0, n * layer->dim_k * sizeof(float),
                                                                         n * layer->dim_v * sizeof(float) };
        }
        l->sequences[s].cache = l->layers + s * program->n_layers;
        l->sequences[s].n_context = l->n_context;
        at += n;
    }
}

static socle_status take_memory(struct sc_learner *l, uint32_t n_threads, socle_error *err)
{
    const struct sc_program *program = &l->model->program;
    size_t n = l->n_rows;
    l->scratch_bytes = (uint64_t)n_threads * l->plan.scratch_bytes;
    // Sequences are at least two tokens long or stand alone in 16 positions: what is used is touched, no more.
    l->cache_bytes = cache_need(program, cache_positions(l->n_rows));
    l->memory = sc_memory_take_huge(l->plan.n_bytes);
    l->scratch = sc_memory_take(l->scratch_bytes);
    l->cache = sc_memory_take(l->cache_bytes);
    l->layers = calloc(n * program->n_layers + 1, sizeof *l->layers);
    l->sequences = calloc(n, sizeof *l->sequences);
    l->row_sequences = calloc(n, sizeof *l->row_sequences);
    l->selected = calloc(n, sizeof *l->selected);
    l->max = calloc(n, sizeof *l->max);
    l->sum = calloc(n, sizeof *l->sum);
    l->targets = calloc(n, sizeof *l->targets);
    l->row_weights = calloc(n, sizeof *l->row_weights);
    l->back.begun = calloc(program->n_buffers, sizeof *l->back.begun);
    if (l->memory && l->scratch && l->cache && l->layers && l->sequences && l->row_sequences && l->selected && l->max &&
        l->sum && l->targets && l->row_weights && l->back.begun)
        return SOCLE_OK;
    return sc_fail_memory(err, l->plan.n_bytes + l->scratch_bytes, "the activations of a batch");
}

socle_status sc_learner_create(struct sc_model *model, struct sc_parameters *parameters,
                               const struct sc_learner_options *o, struct sc_learner **out, socle_error *err)
{
    struct sc_learner *l = calloc(1, sizeof *l);
    if (!l) return sc_fail_memory(err, sizeof *l, "a learner");
    *l =
        (struct sc_learner){ .model = model, .parameters = parameters, .n_rows = o->n_rows, .n_context = o->n_context };
    uint32_t n_threads = o->n_threads ? o->n_threads : (uint32_t)sc_processor_count();
    socle_status status = sc_kernels_choose(o->cpu, &l->kernels, err);
    if (status == SOCLE_OK) status = sc_model_prepare(model, n_threads, NULL, NULL, err);
    if (status == SOCLE_OK) status = sc_pool_create(n_threads, &l->pool, err);
    if (status == SOCLE_OK)
        status = sc_training_plan_make(&model->program, parameters->ops, o->n_rows, o->n_context, o->bf16, o->budget,
                                       &l->plan, err);
    if (status == SOCLE_OK) status = take_memory(l, n_threads, err);
    if (status == SOCLE_OK) *out = l;
    else sc_learner_free(l);
    return status;
}

void sc_learner_free(struct sc_learner *l)
{
    if (!l) return;
    sc_pool_free(l->pool);
    if (l->memory) sc_memory_release(l->memory, l->plan.n_bytes);
    if (l->scratch) sc_memory_release(l->scratch, l->scratch_bytes);
    if (l->cache) sc_memory_release(l->cache, l->cache_bytes);
    sc_training_plan_free(&l->plan);
    free(l->layers);
    free(l->sequences);
    free(l->row_sequences);
    free(l->selected);
    free(l->max);
    free(l->sum);
    free(l->targets);
    free(l->row_weights);
    free(l->back.begun);
    free(l);
}

const struct sc_kernels *sc_learner_kernels(const struct sc_learner *l) { return l->kernels; }
struct sc_pool *sc_learner_pool(const struct sc_learner *l) { return l->pool; }
const struct sc_training_plan *sc_learner_plan(const struct sc_learner *l) { return &l->plan; }
uint64_t sc_learner_n_bytes(const struct sc_learner *l) { return l->plan.n_bytes + l->scratch_bytes; }

char *sc_learner_scratch(const struct sc_learner *l, size_t *stride)
{
    *stride = l->plan.scratch_bytes;
    return l->scratch;
}

void sc_learner_set_note(struct sc_learner *l, sc_learner_note *note, void *context)
{
    l->note = note;
    l->noted = context;
}

// ---- forward

static void set_batch(struct sc_learner *l, const struct sc_batch *batch, const struct sc_forward_options *o)
{
    size_t n_selected = 0;
    place_cache(l, batch);
    for (size_t s = 0; s < batch->n_sequences; s++) {
        l->sequences[s].adapters = o->adapters;
        for (size_t row = batch->begins[s]; row < batch->begins[s + 1]; row++) l->row_sequences[row] = &l->sequences[s];
    }
    for (size_t row = 0; row < batch->n_rows; row++) {
        if (batch->targets[row] < 0) continue;
        l->targets[n_selected] = batch->targets[row];
        l->selected[n_selected++] = (uint32_t)row;
    }
    l->back = (struct sc_backward){
        .run = { .program = &l->model->program,
                 .kernels = l->kernels,
                 .pool = l->pool,
                 .memory = l->memory,
                 .scratch = l->scratch,
                 .n_rows = batch->n_rows,
                 .n_selected = n_selected,
                 .sequences = l->row_sequences,
                 .tokens = batch->tokens,
                 .positions = batch->positions,
                 .selected = l->selected,
                 .drop = o->drop,
                 .dropout_key = o->dropout_key },
        .plan = &l->plan,
        .gradients = l->parameters->ops,
        .begun = l->back.begun,
        .n_sequences = batch->n_sequences,
        .begins = batch->begins,
        .note = l->note,
        .noted = l->noted,
    };
}

static float *logits_of(const struct sc_learner *l, size_t i)
{
    return sc_run_f32(&l->back.run, l->model->program.logits, i, 0);
}

static void measure_row(void *context, size_t i, size_t thread)
{
    struct sc_learner *l = context;
    (void)thread;
    l->kernels->log_sum(logits_of(l, i), l->model->program.n_vocab, &l->max[i], &l->sum[i]);
}

socle_status sc_learner_forward(struct sc_learner *l, const struct sc_batch *batch, const struct sc_forward_options *o,
                                double *log_probability, bool (*stop)(void *context), void *context, socle_error *err)
{
    if (batch->n_rows > l->n_rows)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a batch of %zu rows, where %u were planned", batch->n_rows, l->n_rows);
    set_batch(l, batch, o);
    if (!sc_forward_run(&l->back, stop, context)) return sc_fail(err, SOCLE_CANCELLED, "stopped");
    sc_pool_run(l->pool, l->back.run.n_selected, measure_row, l);
    for (size_t row = 0; row < batch->n_rows; row++) log_probability[row] = 0.0;
    for (size_t i = 0; i < l->back.run.n_selected; i++) {
        double x = (double)logits_of(l, i)[l->targets[i]];
        log_probability[l->selected[i]] = x - (double)l->max[i] - sc_log64((double)l->sum[i]);
    }
    return SOCLE_OK;
}

// ---- backward

// The derivative of -weight * log share[target]: weight * (share - [target]).
static void derive_row(void *context, size_t i, size_t thread)
{
    struct sc_learner *l = context;
    size_t n = l->model->program.n_vocab;
    float *d = sc_backward_logits(&l->back, i), weight = l->row_weights[i];
    (void)thread;
    if (d != logits_of(l, i)) memcpy(d, logits_of(l, i), n * sizeof *d);
    l->kernels->shares(d, n, l->max[i], weight / l->sum[i]);
    d[l->targets[i]] = d[l->targets[i]] - weight;
}

socle_status sc_learner_backward(struct sc_learner *l, const float *weight, float factor, bool (*stop)(void *context),
                                 void *context, socle_error *err)
{
    if (l->back.run.n_selected == 0) return SOCLE_OK;
    for (size_t i = 0; i < l->back.run.n_selected; i++) l->row_weights[i] = weight ? weight[l->selected[i]] : factor;
    sc_pool_run(l->pool, l->back.run.n_selected, derive_row, l);
    if (sc_backward_run(&l->back, stop, context)) return SOCLE_OK;
    return sc_fail(err, SOCLE_CANCELLED, "stopped");
}

// ---- what went wrong

struct search {
    char *out;
    size_t n_bytes;
    bool found;
};

static bool all_finite(const struct sc_run *run, struct sc_value v)
{
    float zero = 0.0f;
    for (size_t row = 0; row < sc_run_n_sub_rows(run, v); row++)
        for (size_t h = 0; h < v.n_heads; h++) {
            const float *x = sc_run_f32(run, v, row, h);
            for (size_t i = 0; i < v.head_dim; i++) zero += x[i] * 0.0f;
        }
    return zero == 0.0f;
}

static void look(void *context, const struct sc_run *run, const struct sc_op *op)
{
    struct search *search = context;
    for (size_t i = 0; i < SC_COUNT(op->out) && !search->found; i++) {
        struct sc_value v = op->out[i];
        if (v.buffer == SC_NO_BUFFER || run->program->buffers[v.buffer].element != SC_ELEMENT_F32) continue;
        if (all_finite(run, v)) continue;
        search->found = true;
        const struct sc_tensor *w = op->linear.weight;
        if (w)
            snprintf(search->out, search->n_bytes, "operation %td, '%s' by the tensor '%.*s'", op - run->program->ops,
                     op->type->name, SC_TEXT_ARGS(w->name));
        else snprintf(search->out, search->n_bytes, "operation %td, '%s'", op - run->program->ops, op->type->name);
    }
}

bool sc_learner_find_not_finite(struct sc_learner *l, char *out, size_t n_bytes)
{
    struct search search = { out, n_bytes, false };
    l->back.run.observe = look;
    l->back.run.observer = &search;
    sc_forward_run(&l->back, NULL, NULL);
    l->back.run.observe = NULL;
    return search.found;
}
