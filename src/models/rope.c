// Rotary frequencies (Su et al., arXiv:2104.09864), with linear scaling, YaRN (Peng et al., arXiv:2309.00071, section
// 3.2), Llama 3's and LongRoPE's per-pair factors.
//
// Every scheme is linear in the position, so each pair has one frequency. It is kept as turns a position in units of
// 2^-64: position * turns then wraps exactly, and long contexts lose nothing (docs/numerics.md, "Rotary embedding").
#include "models/rope.h"

#include "base/size.h"
#include "kernels/elementary64.h"

static const double pi = 3.14159265358979323846;

// The pair whose wavelength makes n_turns over the original context (YaRN's "find correction dimension").
static double yarn_pair(const struct sc_hparams *h, double base, double n_turns)
{
    return h->n_rot * sc_log64(h->rope_n_context_original / (n_turns * 2 * pi)) / (2 * sc_log64(base));
}

static double floor64(double x)
{
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1 : whole;
}

// The share of a pair's own frequency: 1 for fast pairs, 0 for slow ones, a ramp between.
static double yarn_share(const struct sc_hparams *h, double base, uint32_t pair)
{
    double low = yarn_pair(h, base, (double)h->yarn_beta_fast), high = yarn_pair(h, base, (double)h->yarn_beta_slow);
    if (h->yarn_truncate) {
        low = floor64(low);
        high = -floor64(-high);
    }
    low = SC_MAX(low, 0.0);
    high = SC_MIN(high, h->n_rot - 1.0);
    double y = (pair - low) / SC_MAX(0.001, high - low);
    return 1.0 - SC_MIN(SC_MAX(y, 0.0), 1.0);
}

// Cycles a position, brought into [0, 1), in 2^-64.
static uint64_t turns_of(double radians)
{
    double turns = radians / (2 * pi);
    turns = turns - floor64(turns);
    return (uint64_t)(turns * 0x1p63) << 1;
}

static uint64_t *make_turns(struct sc_loader *l, double base, double factor, bool yarn, const float *factors)
{
    const struct sc_hparams *h = l->h;
    uint64_t *turns = sc_arena_array(&l->model->arena, h->n_rot / 2, sizeof *turns);
    if (!turns) {
        l->status = sc_fail_memory(l->err, h->n_rot / 2 * sizeof *turns, "rotary frequencies");
        return NULL;
    }
    for (uint32_t j = 0; j < h->n_rot / 2; j++) {
        double own = sc_pow64(base, -2.0 * j / h->n_rot);
        if (factors) own = own / (double)factors[j];
        double share = yarn ? yarn_share(h, base, j) : 0.0;
        double radians = own / factor * (1.0 - share) + own * share;
        if (!(radians > -1e15 && radians < 1e15)) {
            l->status = sc_fail(l->err, SOCLE_BAD_FILE, "%s: the frequency of rotary pair %u is not finite",
                                sc_gguf_path(l->model->gguf), j);
            return NULL;
        }
        turns[j] = turns_of(radians);
    }
    return turns;
}

// YaRN's factor on cos and sin: 1 + 0.1 ln s, or with a log multiplier m the ratio of the two mscales.
static float gain_of(const struct sc_hparams *h)
{
    if (h->rope_scaling != SC_ROPE_SCALING_YARN || h->rope_factor <= 1.0f) return h->rope_attn_factor;
    double log_s = sc_log64((double)h->rope_factor), m = (double)h->yarn_log_multiplier;
    double gain = 1.0 + 0.1 * log_s;
    if (m != 0.0) gain = gain / (1.0 + 0.1 * m * log_s);
    return (float)((double)h->rope_attn_factor * gain);
}

static struct sc_rope_table *make_table(struct sc_loader *l, double base, bool scaled)
{
    const struct sc_hparams *h = l->h;
    struct sc_rope_table *table = sc_arena_alloc(&l->model->arena, sizeof *table);
    if (!table) {
        l->status = sc_fail_memory(l->err, sizeof *table, "rotary frequencies");
        return NULL;
    }
    const float *factors = sc_load_vector(l, true, h->n_rot / 2, "rope_freqs.weight");
    const float *short_factors = sc_load_vector(l, true, h->n_rot / 2, "rope_factors_short.weight");
    const float *long_factors = sc_load_vector(l, true, h->n_rot / 2, "rope_factors_long.weight");
    if (l->status != SOCLE_OK) return NULL;
    double factor = scaled && h->rope_scaling != SC_ROPE_SCALING_NONE ? (double)h->rope_factor : 1.0;
    bool yarn = scaled && h->rope_scaling == SC_ROPE_SCALING_YARN;
    table->n_pairs = h->n_rot / 2;
    table->halves = h->rope_halves;
    table->gain = scaled ? gain_of(h) : 1.0f;
    table->turns = make_turns(l, base, factor, yarn, short_factors ? short_factors : factors);
    if (long_factors) {
        table->long_turns = make_turns(l, base, factor, yarn, long_factors);
        table->n_context_short = h->rope_n_context_original;
    }
    return table;
}

void sc_load_rope(struct sc_loader *l)
{
    l->rope = make_table(l, (double)l->h->rope_base, true);
    l->rope_window = l->rope;
    if (l->h->rope_window_unscaled) l->rope_window = make_table(l, (double)l->h->rope_base_window, false);
}
