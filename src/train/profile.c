// Where the time of a step goes: a rehearsal whose ops are timed.
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/export.h"
#include "base/size.h"
#include "train/trainer.h"

enum { PARTS_MAX = 96 };

static socle_training_part *part_of(struct sc_train_profile *profile, const char *op, bool backward, bool is_f32)
{
    for (size_t i = 0; i < profile->n; i++) {
        socle_training_part *part = &profile->parts[i];
        if (part->op == op && part->backward == backward && part->is_f32 == is_f32) return part;
    }
    if (profile->n == PARTS_MAX) return &profile->parts[PARTS_MAX - 1];
    profile->parts[profile->n] = (socle_training_part){ .op = op, .backward = backward, .is_f32 = is_f32 };
    return &profile->parts[profile->n++];
}

// Multiply-adds of an op with weights: a row's, times one for the way forward, or for each derivative that is wanted.
static double macs_of(const struct socle_training *t, const struct sc_op *op, bool backward)
{
    const struct sc_tensor *w = op->linear.weight;
    if (!op->type->is_product) return 0.0;
    double macs = (double)w->shape[0] * (double)w->shape[1] * (double)t->profile.rows;
    macs *= op->in[2].buffer != SC_NO_BUFFER ? (double)op->in[2].head_dim : (double)w->shape[2];
    if (!backward) return macs;
    bool trained = t->parameters.ops[op - t->model->program.ops].weight != NULL;
    bool wanted = sc_learner_plan(t->learner)->gradients[op->x.buffer] != SIZE_MAX;
    return macs * ((trained ? 1.0 : 0.0) + (wanted ? 1.0 : 0.0));
}

static void note(void *context, const struct sc_op *op, enum sc_training_kind kind, double seconds)
{
    struct socle_training *t = context;
    bool backward = kind == SC_STEP_BACKWARD, floats = !op->linear.weight || !op->linear.weight->format->unpack;
    socle_training_part *part = part_of(&t->profile, op->type->name, backward, floats || backward);
    part->seconds += seconds;
    part->macs += macs_of(t, op, backward);
}

SC_EXPORT socle_status socle_training_time_step(socle_training *t, double *seconds, socle_error *err)
{
    SC_TRY(sc_trainer_rehearse(t, err)); // memory is touched for the first time
    double started = sc_now();
    SC_TRY(sc_trainer_rehearse(t, err));
    *seconds = sc_now() - started;
    if (!t->profile.parts) t->profile.parts = calloc(PARTS_MAX, sizeof *t->profile.parts);
    if (!t->profile.parts) return sc_fail_memory(err, PARTS_MAX * sizeof *t->profile.parts, "a profile");
    t->profile.n = 0;
    t->profile.rows = sc_trainer_n_rows(&t->o);
    sc_learner_set_note(t->learner, note, t);
    socle_status status = sc_trainer_rehearse(t, err);
    sc_learner_set_note(t->learner, NULL, NULL);
    return status;
}

SC_EXPORT bool socle_training_part_at(const socle_training *t, size_t i, socle_training_part *out)
{
    if (i >= t->profile.n) return false;
    *out = t->profile.parts[i];
    return true;
}
