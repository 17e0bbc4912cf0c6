#include "engine/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/export.h"
#include "base/size.h"
#include "base/random.h"
#include "kernels/elementary64.h"

// ---- order: greater logit first, then lower id

static bool before(const struct sc_candidate *a, const struct sc_candidate *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->id < b->id;
}

static int compare(const void *a, const void *b) { return before(a, b) ? -1 : 1; }

static void sift_down(struct sc_candidate *heap, size_t n, size_t i)
{
    for (;;) {
        size_t last = i, left = 2 * i + 1, right = left + 1;
        if (left < n && before(&heap[last], &heap[left])) last = left;
        if (right < n && before(&heap[last], &heap[right])) last = right;
        if (last == i) return;
        struct sc_candidate swap = heap[i];
        heap[i] = heap[last];
        heap[last] = swap;
        i = last;
    }
}

// Brings the k foremost of n to the front, in order: a heap whose root is the hindmost of those kept.
static void keep_foremost(struct sc_candidate *c, size_t n, size_t k)
{
    for (size_t i = k / 2; i-- > 0;) sift_down(c, k, i);
    for (size_t i = k; i < n; i++) {
        if (!before(&c[i], &c[0])) continue;
        c[0] = c[i];
        sift_down(c, k, 0);
    }
    qsort(c, k, sizeof *c, compare);
}

// ---- changes to logits

static void add_bias(struct sc_sampler *s, const socle_sampling *how)
{
    for (size_t i = 0; i < how->n_bias; i++) s->candidates[how->bias[i].token].logit += how->bias[i].bias;
}

static void penalize(struct sc_sampler *s, const socle_sampling *how, const struct sc_sampling_input *in)
{
    if (how->repetition_penalty == 1.0f && how->frequency_penalty == 0.0f && how->presence_penalty == 0.0f) return;
    size_t n = how->penalty_last_n ? SC_MIN((size_t)how->penalty_last_n, in->n_history) : in->n_history;
    const int32_t *recent = in->history + in->n_history - n;
    for (size_t i = 0; i < n; i++) s->counts[recent[i]]++;
    for (size_t i = 0; i < n; i++) {
        uint32_t count = s->counts[recent[i]];
        float *logit = &s->candidates[recent[i]].logit;
        if (count == 0) continue; // done already
        *logit = *logit > 0.0f ? *logit / how->repetition_penalty : *logit * how->repetition_penalty;
        *logit = *logit - ((float)count * how->frequency_penalty + how->presence_penalty);
        s->counts[recent[i]] = 0;
    }
}

// "Don't repeat yourself": a token that would go on with a repetition of length L is penalized by
// multiplier * base^(L - allowed). Lengths come from the Z function of the reversed history, in linear time:
// z[k] is how far the tokens before history[n - k] agree with the newest ones.
static void penalize_repetitions(struct sc_sampler *s, const socle_sampling *how, const struct sc_sampling_input *in)
{
    if (how->dry_multiplier == 0.0f || in->n_history < 2) return;
    size_t n = in->n_history, left = 0, right = 0; // rev[left..right) agrees with rev[0..right - left)
    const int32_t *newest = in->history + n - 1;
#define REV(i) newest[-(ptrdiff_t)(i)]
    for (size_t k = 1; k < n; k++) {
        size_t z = k < right ? SC_MIN((size_t)s->z[k - left], right - k) : 0;
        while (k + z < n && REV(k + z) == REV(z) && !(in->breaks && in->breaks(in->context, REV(z)))) z++;
        s->z[k] = (uint32_t)z;
        if (k + z > right) {
            left = k;
            right = k + z;
        }
        if (z >= how->dry_allowed_length && z > 0 && z > s->counts[REV(k - 1)]) s->counts[REV(k - 1)] = (uint32_t)z;
    }
    for (size_t k = 1; k < n; k++) {
        uint32_t length = s->counts[REV(k - 1)];
        if (length == 0) continue;
        double exponent = SC_MIN((double)(length - how->dry_allowed_length), 64.0);
        double penalty = (double)how->dry_multiplier * sc_pow64((double)how->dry_base, exponent);
        s->candidates[REV(k - 1)].logit -= (float)SC_MIN(penalty, 1e9);
        s->counts[REV(k - 1)] = 0;
    }
#undef REV
}

// Keeps the candidates that are allowed, in their order, and returns how many.
static size_t keep_allowed(struct sc_candidate *c, size_t n, const struct sc_sampling_input *in)
{
    size_t kept = 0;
    if (n > in->n_allowed) n = in->n_allowed;
    for (size_t i = 0; i < n; i++)
        if (in->allowed[i / 64] >> (i % 64) & 1) c[kept++] = c[i];
    return kept;
}

// ---- cuts: each keeps the first of n candidates and returns how many (at least one)

// Probabilities at temperature 1 of candidates in order; their sum is returned and they are not divided by it.
static double weigh(struct sc_candidate *c, size_t n, double temperature)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        c[i].p = sc_exp64(((double)c[i].logit - (double)c[0].logit) / temperature);
        sum += c[i].p;
    }
    return sum;
}

static size_t cut_top_p(struct sc_candidate *c, size_t n, double top_p)
{
    double target = top_p * weigh(c, n, 1.0), sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += c[i].p;
        if (sum >= target) return i + 1;
    }
    return n;
}

static size_t cut_min_p(struct sc_candidate *c, size_t n, double min_p)
{
    weigh(c, n, 1.0);
    size_t kept = 1;
    while (kept < n && c[kept].p >= min_p) kept++;
    return kept;
}

static int compare_by_p(const void *a, const void *b)
{
    const struct sc_candidate *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p ? -1 : 1) : compare(a, b);
}

// Locally typical sampling (Meister et al., arXiv:2202.00666): the tokens whose surprise is nearest to the entropy.
static size_t cut_typical(struct sc_candidate *c, size_t n, double typical_p)
{
    double sum = weigh(c, n, 1.0), entropy = 0.0;
    for (size_t i = 0; i < n; i++)
        if (c[i].p > 1e-300 * sum) entropy -= c[i].p / sum * sc_log64(c[i].p / sum);
    for (size_t i = 0; i < n; i++) {
        double surprise = c[i].p > 1e-300 * sum ? -sc_log64(c[i].p / sum) : 1e3;
        c[i].p = surprise > entropy ? surprise - entropy : entropy - surprise;
    }
    qsort(c, n, sizeof *c, compare_by_p);
    double max = (double)c[0].logit, kept_p = 0.0;
    for (size_t i = 1; i < n; i++) max = SC_MAX(max, (double)c[i].logit);
    size_t kept = 0;
    do kept_p += sc_exp64((double)c[kept++].logit - max) / sum;
    while (kept < n && kept_p < typical_p);
    qsort(c, kept, sizeof *c, compare);
    return kept;
}

static int32_t draw(struct sc_candidate *c, size_t n, double temperature, uint64_t seed, uint64_t position)
{
    double target = sc_random_uniform(seed, position, SC_RANDOM_SAMPLE) * weigh(c, n, temperature), sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += c[i].p;
        if (sum > target) return c[i].id;
    }
    return c[n - 1].id;
}

// ---- all tokens: ordered only as far as is needed

// The sum of weights, in the order of the ids.
static double sum_of(const float *weights, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)weights[i];
    return sum;
}

static void sift_best_up(struct sc_candidate *heap, size_t n, size_t i)
{
    for (;;) {
        size_t best = i, left = 2 * i + 1, right = left + 1;
        if (left < n && before(&heap[left], &heap[best])) best = left;
        if (right < n && before(&heap[right], &heap[best])) best = right;
        if (best == i) return;
        struct sc_candidate swap = heap[i];
        heap[i] = heap[best];
        heap[best] = swap;
        i = best;
    }
}

// The best of a heap of n is taken out and put behind it; returns where.
static struct sc_candidate *take_best(struct sc_candidate *heap, size_t n)
{
    struct sc_candidate best = heap[0];
    heap[0] = heap[n - 1];
    sift_best_up(heap, n - 1, 0);
    heap[n - 1] = best;
    return &heap[n - 1];
}

// Candidates in order, one after another: the few that are probable sorted at once, the others, which are rarely
// wanted, by a heap.
struct ordered {
    struct sc_candidate *c;
    size_t n, n_sorted,
        n_taken; // c[0..n_sorted) in order; then the heap, and behind it what was taken from it, reversed
    bool has_heap;
};

static struct ordered order(struct sc_sampler *s, size_t n)
{
    enum { SORTED_MAX = 4096 };
    struct ordered o = { .c = s->candidates, .n = n };
    for (size_t i = 0; i < n && o.n_sorted < SORTED_MAX; i++) {
        if (s->weights[o.c[i].id] < 0x1p-10f) continue;
        struct sc_candidate swap = o.c[i];
        o.c[i] = o.c[o.n_sorted];
        o.c[o.n_sorted++] = swap;
    }
    if (o.n_sorted == SORTED_MAX) o.n_sorted = 0; // perhaps not all of them
    qsort(o.c, o.n_sorted, sizeof *o.c, compare);
    return o;
}

static struct sc_candidate *next_in_order(struct ordered *o)
{
    if (o->n_taken < o->n_sorted) return &o->c[o->n_taken++];
    struct sc_candidate *heap = o->c + o->n_sorted;
    size_t n_heap = o->n - o->n_taken;
    for (size_t i = n_heap / 2; i-- > 0 && !o->has_heap;) sift_best_up(heap, n_heap, i);
    o->has_heap = true;
    o->n_taken++;
    return take_best(heap, n_heap);
}

// The i-th that was taken.
static struct sc_candidate *taken(const struct ordered *o, size_t i)
{
    return i < o->n_sorted ? &o->c[i] : &o->c[o->n - 1 - (i - o->n_sorted)];
}

// Draws from all n: takes them best first until top_p or min_p cut, or without these until the draw is reached.
static int32_t draw_from_all(struct sc_sampler *s, size_t n, const socle_sampling *how, uint64_t position)
{
    const struct sc_candidate *c = s->candidates;
    bool cuts = how->top_p < 1.0f || how->min_p > 0.0f;
    float max = c[0].logit, factor = 1.0f / how->temperature;
    for (size_t i = 1; i < n; i++) max = c[i].logit > max ? c[i].logit : max;
    for (size_t i = 0; i < s->n_vocab && n < s->n_vocab; i++) s->weights[i] = -INFINITY;
    for (size_t i = 0; i < n; i++) s->weights[c[i].id] = c[i].logit;
    // Cuts look at temperature 1.
    s->kernels->weigh(s->weights, max, cuts ? 1.0f : factor, s->weights, s->n_vocab);
    double all = how->top_p < 1.0f || !cuts ? sum_of(s->weights, s->n_vocab) : 0.0, sum = 0.0, sum1 = 0.0;
    double random = sc_random_uniform(how->seed, position, SC_RANDOM_SAMPLE);
    struct ordered o = order(s, n);
    size_t kept = 0;
    while (kept < n) {
        struct sc_candidate *best = next_in_order(&o);
        float weight = s->weights[best->id];
        if (how->min_p > 0.0f && kept > 0 && weight < how->min_p) break;
        kept++;
        sum1 += (double)weight;
        if (cuts) s->kernels->weigh(&best->logit, max, factor, &weight, 1);
        best->p = (double)weight;
        sum += best->p;
        if (!cuts && (sum > random * all || best->p == 0.0)) return best->id;
        if (how->top_p < 1.0f && sum1 >= all * (double)how->top_p) break;
    }
    double target = random * sum;
    sum = 0.0;
    for (size_t i = 0; i < kept; i++) {
        sum += taken(&o, i)->p;
        if (sum > target) return taken(&o, i)->id;
    }
    return taken(&o, 0)->id;
}

int32_t sc_sample(struct sc_sampler *s, const socle_sampling *how, const struct sc_sampling_input *in)
{
    struct sc_candidate *c = s->candidates;
    size_t n = s->n_vocab;
    for (size_t i = 0; i < n; i++) c[i] = (struct sc_candidate){ .id = (int32_t)i, .logit = in->logits[i] };
    add_bias(s, how);
    penalize(s, how, in);
    penalize_repetitions(s, how, in);
    if (in->allowed) n = keep_allowed(c, n, in);
    if (n == 0) return -1;
    size_t k = how->temperature <= 0.0f ? 1 : how->top_k ? SC_MIN((size_t)how->top_k, n) : n;
    if (k == n && how->typical_p >= 1.0f && n > 1) return draw_from_all(s, n, how, in->n_history);
    if (k < n) keep_foremost(c, n, k);
    else qsort(c, n, sizeof *c, compare);
    n = k;
    if (n == 1) return c[0].id;
    if (how->typical_p < 1.0f) n = cut_typical(c, n, (double)how->typical_p);
    if (how->top_p < 1.0f) n = cut_top_p(c, n, (double)how->top_p);
    if (how->min_p > 0.0f) n = cut_min_p(c, n, (double)how->min_p);
    return draw(c, n, (double)how->temperature, how->seed, in->n_history);
}

SC_EXPORT socle_sampling socle_sampling_defaults(void)
{
    return (socle_sampling){ .temperature = 0.8f,
                             .top_k = 40,
                             .top_p = 0.95f,
                             .min_p = 0.05f,
                             .typical_p = 1.0f,
                             .repetition_penalty = 1.0f,
                             .penalty_last_n = 64,
                             .dry_base = 1.75f,
                             .dry_allowed_length = 2 };
}

socle_status sc_sampling_check(const socle_sampling *how, uint32_t n_vocab, socle_error *err)
{
    const struct {
        const char *name;
        float value, min, max;
    } ranges[] = {
        { "temperature", how->temperature, 0.0f, 100.0f },
        { "top_p", how->top_p, 0.0f, 1.0f },
        { "min_p", how->min_p, 0.0f, 1.0f },
        { "typical_p", how->typical_p, 0.0f, 1.0f },
        { "repetition_penalty", how->repetition_penalty, 0.01f, 100.0f },
        { "frequency_penalty", how->frequency_penalty, -100.0f, 100.0f },
        { "presence_penalty", how->presence_penalty, -100.0f, 100.0f },
        { "dry_multiplier", how->dry_multiplier, 0.0f, 100.0f },
        { "dry_base", how->dry_base, 1.0f, 100.0f },
    };
    for (size_t i = 0; i < SC_COUNT(ranges); i++)
        if (!(ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: expected %g to %g, found %g", ranges[i].name,
                           (double)ranges[i].min, (double)ranges[i].max, (double)ranges[i].value);
    for (size_t i = 0; i < how->n_bias; i++) {
        const socle_logit_bias *bias = &how->bias[i];
        if (bias->token < 0 || (uint32_t)bias->token >= n_vocab)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "logit bias of token %d: the vocabulary has %u", bias->token,
                           n_vocab);
        // -infinity bans a token; infinity would make every probability a NaN.
        if (!(bias->bias <= 1e6f))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "logit bias of token %d: expected at most 1e+06, found %g",
                           bias->token, (double)bias->bias);
    }
    return SOCLE_OK;
}
