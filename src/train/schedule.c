#include "train/schedule.h"

#include "base/size.h"
#include "kernels/ref/elementary.h"

// cos(pi x) for x in [0, 1].
static double half_cosine(double x)
{
    float cos, sin;
    sc_cos_sin((uint64_t)(x * 0x1p63), &cos, &sin);
    return (double)cos;
}

float sc_schedule_rate(const socle_train_options *o, uint64_t step)
{
    double share = 1.0, end = (double)o->rate_end;
    uint64_t done = step - 1;
    if (step <= o->n_warmup) return (float)((double)o->rate * (double)step / (double)o->n_warmup);
    if (o->schedule == SOCLE_COSINE && o->n_steps > o->n_warmup) {
        double at = (double)(done - o->n_warmup) / (double)(o->n_steps - o->n_warmup);
        share = end + (1.0 - end) * 0.5 * (1.0 + half_cosine(at > 1.0 ? 1.0 : at));
    }
    if (o->schedule == SOCLE_STABLE_DECAY && o->n_decay && done + o->n_decay > o->n_steps) {
        double left = (double)(o->n_steps > done ? o->n_steps - done : 0) / (double)o->n_decay;
        share = end + (1.0 - end) * left;
    }
    return (float)((double)o->rate * share);
}
