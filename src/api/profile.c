// Profiles: the executor tells of each op how long it took; here ops of one kind are added up.
#include <socle/profile.h>

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/size.h"
#include "program/work.h"

enum { NAME_BYTES = 64 };

struct kind {
    char name[NAME_BYTES]; // of the weights
    socle_op_profile sums; // its weight is `name`
};

struct sc_api_profile {
    struct sc_profile hook;
    uint32_t *kind_of; // [n_ops]
    struct kind *kinds;
    size_t n_kinds;
};

// "blk.12.ffn_gate.weight" becomes "ffn_gate".
static void name_weight(struct sc_text full, char out[NAME_BYTES])
{
    const char *at = full.data, *end = full.data + full.n_bytes;
    static const char layer[] = "blk.", suffix[] = ".weight";
    if (full.n_bytes > strlen(layer) && memcmp(at, layer, strlen(layer)) == 0) {
        const char *dot = memchr(at + strlen(layer), '.', full.n_bytes - strlen(layer));
        if (dot) at = dot + 1;
    }
    size_t n = (size_t)(end - at);
    if (n > strlen(suffix) && memcmp(end - strlen(suffix), suffix, strlen(suffix)) == 0) n -= strlen(suffix);
    n = SC_MIN(n, (size_t)NAME_BYTES - 1);
    memcpy(out, at, n);
    out[n] = '\0';
}

static struct kind describe(const struct sc_op *op)
{
    struct kind kind = { .sums = { .op = op->type->name, .format = "" } };
    const struct sc_tensor *w = op->linear.weight;
    if (!w) return kind;
    name_weight(w->name, kind.name);
    kind.sums.format = w->format->name;
    memcpy(kind.sums.shape, w->shape, sizeof kind.sums.shape);
    return kind;
}

static bool same_kind(const struct kind *a, const struct kind *b)
{
    return a->sums.op == b->sums.op && a->sums.format == b->sums.format && strcmp(a->name, b->name) == 0 &&
           memcmp(a->sums.shape, b->sums.shape, sizeof a->sums.shape) == 0;
}

static void find_kinds(struct sc_api_profile *profile, const struct sc_program *program)
{
    for (uint32_t i = 0; i < program->n_ops; i++) {
        struct kind kind = describe(&program->ops[i]);
        uint32_t k = 0;
        while (k < profile->n_kinds && !same_kind(&profile->kinds[k], &kind)) k++;
        if (k == profile->n_kinds) profile->kinds[profile->n_kinds++] = kind;
        profile->kind_of[i] = k;
    }
}

static void note(void *context, const struct sc_run *run, const struct sc_op *op, double seconds)
{
    const struct sc_api_profile *profile = context;
    socle_op_profile *sums = &profile->kinds[profile->kind_of[op - run->program->ops]].sums;
    struct sc_work work = sc_op_batch_work(run, op);
    sums->n_calls++;
    sums->seconds += seconds;
    sums->bytes += (double)work.bytes;
    sums->int8_macs += (double)work.int8_macs;
    sums->f32_macs += (double)work.f32_macs;
}

void sc_api_profile_free(struct sc_api_profile *profile)
{
    if (!profile) return;
    free(profile->kind_of);
    free(profile->kinds);
    free(profile);
}

static void start_from_zero(struct sc_api_profile *profile)
{
    for (size_t i = 0; i < profile->n_kinds; i++) {
        socle_op_profile *sums = &profile->kinds[i].sums;
        sums->n_calls = 0;
        sums->seconds = sums->bytes = sums->int8_macs = sums->f32_macs = 0.0;
    }
}

SC_EXPORT socle_status socle_session_profile(socle_session *s, socle_error *err)
{
    if (s->profile) {
        start_from_zero(s->profile);
        return SOCLE_OK;
    }
    const struct sc_program *program = &s->model->model->program;
    struct sc_api_profile *profile = calloc(1, sizeof *profile);
    if (profile) {
        profile->hook = (struct sc_profile){ note, profile };
        profile->kind_of = calloc(program->n_ops, sizeof *profile->kind_of);
        profile->kinds = calloc(program->n_ops, sizeof *profile->kinds);
    }
    if (!profile || !profile->kind_of || !profile->kinds) {
        sc_api_profile_free(profile);
        return sc_fail_memory(err, program->n_ops * (sizeof *profile->kinds + sizeof *profile->kind_of), "a profile");
    }
    find_kinds(profile, program);
    s->profile = profile;
    sc_session_set_profile(s->engine, &profile->hook);
    return SOCLE_OK;
}

SC_EXPORT bool socle_session_profile_at(const socle_session *s, size_t i, socle_op_profile *out)
{
    if (!s->profile || i >= s->profile->n_kinds) return false;
    *out = s->profile->kinds[i].sums;
    out->weight = s->profile->kinds[i].name;
    return true;
}
