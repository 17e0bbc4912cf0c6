// A model that learns, and what it learns from: for tests of training.
#ifndef SC_TESTS_STUDENT_H
#define SC_TESTS_STUDENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "train/model_file.h"
#include "train/optimizer.h"

struct student {
    struct sc_model *model;
    struct sc_parameters parameters;
    struct sc_learner *learner;
    struct sc_optimizer *optimizer;
};

struct student_options {
    struct sc_model_options model;
    struct sc_learner_options learner;
    bool adapters_only;
};

static inline void student_must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

// A batch of sequences, whose tokens and targets (none at first: -1) are the caller's to set.
struct lesson {
    int32_t *tokens, *targets;
    uint32_t *positions, *begins;
    struct sc_batch batch;
};

static inline struct lesson lesson_new(const uint32_t *lengths, size_t n_sequences)
{
    struct lesson l = { .begins = calloc(n_sequences + 1, sizeof *l.begins) };
    assert_non_null(l.begins);
    for (size_t s = 0; s < n_sequences; s++) l.begins[s + 1] = l.begins[s] + lengths[s];
    size_t n_rows = l.begins[n_sequences];
    l.tokens = calloc(n_rows, sizeof *l.tokens);
    l.targets = malloc(n_rows * sizeof *l.targets);
    l.positions = calloc(n_rows, sizeof *l.positions);
    assert_true(l.tokens && l.targets && l.positions);
    memset(l.targets, 0xff, n_rows * sizeof *l.targets);
    for (size_t s = 0; s < n_sequences; s++)
        for (uint32_t i = 0; i < lengths[s]; i++) l.positions[l.begins[s] + i] = i;
    l.batch = (struct sc_batch){ .n_rows = n_rows,
                                 .tokens = l.tokens,
                                 .targets = l.targets,
                                 .positions = l.positions,
                                 .n_sequences = n_sequences,
                                 .begins = l.begins,
                                 .n_targets = n_rows };
    return l;
}

// Tokens and targets by a rule; every seventh row or so has no target.
static inline struct lesson lesson_by_rule(const uint32_t *lengths, size_t n_sequences, uint32_t n_vocab)
{
    struct lesson l = lesson_new(lengths, n_sequences);
    l.batch.n_targets = 0;
    for (size_t i = 0; i < l.batch.n_rows; i++) {
        uint32_t x = ((uint32_t)i + 1) * 2654435761u;
        l.tokens[i] = (int32_t)((x >> 16) % n_vocab);
        if (i && (x >> 8) % 7 == 0) continue;
        l.targets[i] = (int32_t)((x >> 4) % n_vocab);
        l.batch.n_targets++;
    }
    return l;
}

static inline void lesson_free(struct lesson *l)
{
    free(l->tokens);
    free(l->targets);
    free(l->positions);
    free(l->begins);
}

// Takes the file over. To be freed with student_free: learner and optimizer point to its parameters.
static inline struct student *student_new(struct sc_gguf *file, const struct student_options *o)
{
    static const struct sc_optimizer_options adamw = { .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f };
    struct student *s = calloc(1, sizeof *s);
    socle_error err;
    assert_non_null(s);
    student_must(sc_model_load_with(file, &o->model, &s->model, &err), &err);
    student_must(sc_parameters_take(s->model, o->adapters_only, true, &s->parameters, &err), &err);
    student_must(sc_learner_create(s->model, &s->parameters, &o->learner, &s->learner, &err), &err);
    student_must(sc_optimizer_create(&s->parameters, s->learner, &adamw, &s->optimizer, &err), &err);
    return s;
}

static inline void student_free(struct student *s)
{
    sc_optimizer_free(s->optimizer);
    sc_learner_free(s->learner);
    sc_parameters_free(&s->parameters);
    sc_model_free(s->model);
    free(s);
}

// The mean of -log probability of the batch's targets.
static inline double student_loss(struct student *s, const struct sc_batch *batch, const struct sc_forward_options *o)
{
    double *log_probability = malloc(batch->n_rows * sizeof *log_probability), sum = 0.0;
    socle_error err;
    assert_non_null(log_probability);
    student_must(sc_learner_forward(s->learner, batch, o, log_probability, NULL, NULL, &err), &err);
    for (size_t i = 0; i < batch->n_rows; i++) sum -= log_probability[i];
    free(log_probability);
    return sum / (double)batch->n_targets;
}

// After the loss: its derivatives are added up in the parameters.
static inline void student_derive(struct student *s, const struct sc_batch *batch)
{
    socle_error err;
    student_must(sc_learner_backward(s->learner, NULL, 1.0f / (float)batch->n_targets, NULL, NULL, &err), &err);
}

static inline void student_step(struct student *s, uint64_t step)
{
    const struct sc_parameter *culprit;
    sc_optimizer_step(s->optimizer, step, 1e-3f, sc_optimizer_norm(s->optimizer, &culprit));
}

#endif
