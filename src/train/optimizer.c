#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "kernels/elementary64.h"

enum { CHUNK = 65536 }; // floats of a task; sums of squares are added chunk by chunk

struct sc_optimizer {
    struct sc_parameters *parameters;
    struct sc_learner *learner;
    struct sc_optimizer_options options;
    size_t *first_chunk; // [parameters->n + 1]
    double *squares;     // [chunks]
    // Muon: the matrix at hand [rows][k] with rows <= k, its product with itself, and a polynomial of that.
    float *x, *next, *square, *cube;
    void *muon_memory; // of these four, of which the first two change places
    uint64_t muon_bytes;
};

static bool is_muon(const struct sc_parameter *p) { return p->is_matrix && !p->is_table && p->shape[0] > 1; }

// Floats of the largest matrix, and of its smaller side squared.
static void muon_sizes(const struct sc_parameters *parameters, size_t *matrix, size_t *square)
{
    *matrix = *square = 0;
    for (size_t i = 0; i < parameters->n; i++) {
        const struct sc_parameter *p = &parameters->items[i];
        if (!is_muon(p)) continue;
        size_t small = SC_MIN(p->shape[0], p->shape[1]);
        *matrix = SC_MAX(*matrix, (size_t)(p->shape[0] * p->shape[1]));
        *square = SC_MAX(*square, small * small);
    }
}

uint64_t sc_optimizer_need(const struct sc_parameters *parameters, enum sc_optimizer_kind kind)
{
    size_t matrix, square;
    muon_sizes(parameters, &matrix, &square);
    return kind == SC_OPTIMIZER_MUON ? 2 * (sc_align_up(matrix, 16) + sc_align_up(square, 16)) * sizeof(float) : 0;
}

socle_status sc_optimizer_create(struct sc_parameters *parameters, struct sc_learner *learner,
                                 const struct sc_optimizer_options *options, struct sc_optimizer **out,
                                 socle_error *err)
{
    struct sc_optimizer *o = calloc(1, sizeof *o);
    if (!o) return sc_fail_memory(err, sizeof *o, "an optimizer");
    *o = (struct sc_optimizer){ .parameters = parameters, .learner = learner, .options = *options };
    o->first_chunk = calloc(parameters->n + 1, sizeof *o->first_chunk);
    size_t n_chunks = 0, matrix, square;
    for (size_t i = 0; i < parameters->n && o->first_chunk; i++) {
        o->first_chunk[i] = n_chunks;
        n_chunks += (parameters->items[i].n + CHUNK - 1) / CHUNK;
        o->first_chunk[i + 1] = n_chunks;
    }
    o->squares = calloc(n_chunks + 1, sizeof *o->squares);
    o->muon_bytes = sc_optimizer_need(parameters, options->kind);
    muon_sizes(parameters, &matrix, &square);
    o->x = o->muon_memory = o->muon_bytes ? sc_memory_take(o->muon_bytes) : NULL;
    if (!o->first_chunk || !o->squares || (o->muon_bytes && !o->x)) {
        socle_status status = sc_fail_memory(err, o->muon_bytes, "an optimizer");
        sc_optimizer_free(o);
        return status;
    }
    if (o->x) {
        o->next = o->x + sc_align_up(matrix, 16);
        o->square = o->next + sc_align_up(matrix, 16);
        o->cube = o->square + sc_align_up(square, 16);
    }
    *out = o;
    return SOCLE_OK;
}

void sc_optimizer_free(struct sc_optimizer *o)
{
    if (!o) return;
    if (o->muon_memory) sc_memory_release(o->muon_memory, o->muon_bytes);
    free(o->first_chunk);
    free(o->squares);
    free(o);
}

// ---- the derivatives' norm

// The parameter of a chunk, and the chunk's floats.
static const struct sc_parameter *chunk_of(const struct sc_optimizer *o, size_t chunk, size_t *begin, size_t *n)
{
    size_t low = 0, high = o->parameters->n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (o->first_chunk[middle] <= chunk) low = middle;
        else high = middle;
    }
    const struct sc_parameter *p = &o->parameters->items[low];
    *begin = (chunk - o->first_chunk[low]) * CHUNK;
    *n = SC_MIN(p->n - *begin, (size_t)CHUNK);
    return p;
}

// A derivative that no op had a part in is zero.
static bool has_gradient(const struct sc_parameter *p) { return p->begun || !p->is_matrix; }

static void square_task(void *context, size_t chunk, size_t thread)
{
    struct sc_optimizer *o = context;
    size_t begin, n;
    const struct sc_parameter *p = chunk_of(o, chunk, &begin, &n);
    (void)thread;
    o->squares[chunk] = has_gradient(p) ? sc_learner_kernels(o->learner)->square_sum(p->gradient + begin, n) : 0.0;
}

double sc_optimizer_norm(const struct sc_optimizer *o, const struct sc_parameter **culprit)
{
    size_t n = o->first_chunk[o->parameters->n];
    double sum = 0.0;
    *culprit = NULL;
    sc_pool_run(sc_learner_pool(o->learner), n, square_task, (void *)(uintptr_t)o);
    for (size_t i = 0; i < n; i++) {
        size_t begin, size;
        if (!(o->squares[i] - o->squares[i] == 0.0) && !*culprit) *culprit = chunk_of(o, i, &begin, &size);
        sum = sum + o->squares[i];
    }
    return sqrt(sum); // correctly rounded
}

// ---- AdamW

struct adamw_job {
    struct sc_optimizer *o;
    struct sc_adamw args; // of every chunk; the pointers are set for each
};

static void adamw_task(void *context, size_t chunk, size_t thread)
{
    const struct adamw_job *job = context;
    size_t begin, n;
    const struct sc_parameter *p = chunk_of(job->o, chunk, &begin, &n);
    (void)thread;
    if (job->o->options.kind == SC_OPTIMIZER_MUON && is_muon(p)) return;
    if (!has_gradient(p)) memset(p->gradient + begin, 0, n * sizeof *p->gradient);
    struct sc_adamw args = job->args;
    args.w = p->w + begin;
    args.m = p->m + begin;
    args.v = p->v + begin;
    args.g = p->gradient + begin;
    args.n = n;
    if (!p->is_matrix) args.decay = 0.0f;
    sc_learner_kernels(job->o->learner)->adamw(&args);
}

// ---- Muon: momentum made orthogonal by a few Newton-Schulz steps (Jordan et al. 2024; scaled to AdamW's updates as in
// Liu et al., arXiv:2502.16982, section 2.2)

// c(i, j) = sum over p of a(i, p) b(j, p), c row by row with `n` rows of `width`.
static void multiply(struct sc_optimizer *o, struct sc_operand a, struct sc_operand b, size_t n, size_t width, size_t k,
                     float factor, float *c, bool add)
{
    size_t stride;
    char *scratch = sc_learner_scratch(o->learner, &stride);
    sc_product_run(sc_learner_kernels(o->learner), sc_learner_pool(o->learner),
                   &(struct sc_product){ .a = b, // lanes run along a row of c
                                         .b = a,
                                         .n_rows = width,
                                         .n_columns = n,
                                         .k = k,
                                         .factor = factor,
                                         .c = c,
                                         .c_group = SC_LANES,
                                         .c_column = width,
                                         .add = add },
                   scratch, stride);
}

static struct sc_operand rows(const float *x, size_t stride)
{
    return (struct sc_operand){ .lie = SC_LIE_ROWS, .x = x, .stride = stride };
}

static struct sc_operand columns(const float *x, size_t stride)
{
    return (struct sc_operand){ .lie = SC_LIE_COLUMNS, .x = x, .stride = stride };
}

// x [n][k], n <= k, becomes nearly orthogonal: five times X = a X + (b A + c A^2) X with A = X X^T.
static void orthogonalize(struct sc_optimizer *o, size_t n, size_t k)
{
    const struct sc_kernels *kernels = sc_learner_kernels(o->learner);
    double norm = sqrt(kernels->square_sum(o->x, n * k)) + 1e-7;
    kernels->scale(o->x, (float)(1.0 / norm), o->x, n * k);
    for (int i = 0; i < 5; i++) {
        multiply(o, rows(o->x, k), rows(o->x, k), n, n, k, 1.0f, o->square, false);
        kernels->scale(o->square, -4.7750f, o->cube, n * n);
        multiply(o, rows(o->square, n), columns(o->square, n), n, n, n, 2.0315f, o->cube, true);
        kernels->scale(o->x, 3.4445f, o->next, n * k);
        multiply(o, rows(o->cube, n), columns(o->x, k), n, k, n, 1.0f, o->next, true);
        float *other = o->x;
        o->x = o->next;
        o->next = other;
    }
}

// Element i of row r of the matrix at `base`, packed, to and from o->x, where the shorter side are the rows.
static void unpack(const struct sc_optimizer *o, const struct sc_parameter *p, const float *base)
{
    size_t k = p->shape[0], n = p->shape[1];
    for (size_t r = 0; r < n; r++) {
        const float *from = base + r / SC_LANES * SC_LANES * k + r % SC_LANES;
        for (size_t i = 0; i < k; i++) o->x[n <= k ? r * k + i : i * n + r] = from[i * SC_LANES];
    }
}

static void muon_matrix(struct sc_optimizer *o, struct sc_parameter *p, size_t offset, float rate, float clip)
{
    size_t k = p->shape[0], n = p->shape[1], size = sc_align_up(n, SC_LANES) * k;
    const struct sc_kernels *kernels = sc_learner_kernels(o->learner);
    float *m = p->m + offset, *v = p->v + offset, *w = p->w + offset, beta = o->options.momentum;
    kernels->scale(m, beta, m, size); // m = beta m + g; v = g + beta m
    kernels->add_scaled(p->gradient + offset, clip, m, size);
    kernels->scale(p->gradient + offset, clip, v, size);
    kernels->add_scaled(m, beta, v, size);
    unpack(o, p, v);
    memset(v, 0, size * sizeof *v);
    orthogonalize(o, SC_MIN(n, k), SC_MAX(n, k));
    float step = -rate * 0.2f * sqrtf((float)SC_MAX(n, k));
    kernels->add_scaled(w, -rate * o->options.decay, w, size);
    for (size_t r = 0; r < n; r++) {
        float *to = w + r / SC_LANES * SC_LANES * k + r % SC_LANES;
        for (size_t i = 0; i < k; i++) to[i * SC_LANES] += step * o->x[n <= k ? r * k + i : i * n + r];
    }
}

static void muon(struct sc_optimizer *o, float rate, float clip)
{
    for (size_t i = 0; i < o->parameters->n; i++) {
        struct sc_parameter *p = &o->parameters->items[i];
        if (!is_muon(p)) continue;
        if (!p->begun) memset(p->gradient, 0, p->n * sizeof *p->gradient);
        for (size_t matrix = 0; matrix < p->shape[2]; matrix++)
            muon_matrix(o, p, matrix * (p->n / p->shape[2]), rate, clip);
    }
}

void sc_optimizer_step(struct sc_optimizer *o, uint64_t step, float rate, double norm)
{
    const struct sc_optimizer_options *options = &o->options;
    float clip = options->clip > 0.0f && norm > (double)options->clip ? (float)((double)options->clip / norm) : 1.0f;
    struct adamw_job job = { o,
                             { .clip = clip,
                               .rate = rate,
                               .decay = options->decay,
                               .beta1 = options->beta1,
                               .beta2 = options->beta2,
                               .eps = options->eps,
                               .correction1 = (float)(1.0 - sc_pow64((double)options->beta1, (double)step)),
                               .correction2 = (float)(1.0 - sc_pow64((double)options->beta2, (double)step)) } };
    sc_pool_run(sc_learner_pool(o->learner), o->first_chunk[o->parameters->n], adamw_task, &job);
    if (options->kind == SC_OPTIMIZER_MUON) muon(o, rate, clip);
    for (size_t i = 0; i < o->parameters->n; i++) {
        struct sc_parameter *p = &o->parameters->items[i];
        p->begun = false;
        if (!p->is_matrix) memset(p->gradient, 0, p->n * sizeof *p->gradient);
    }
}
