// The optimizer's step: AdamW for everything, or Muon for the matrices inside the layers and AdamW for the rest.
#ifndef SC_TRAIN_OPTIMIZER_H
#define SC_TRAIN_OPTIMIZER_H

#include "train/learner.h"

enum sc_optimizer_kind { SC_OPTIMIZER_ADAMW, SC_OPTIMIZER_MUON };

struct sc_optimizer_options {
    enum sc_optimizer_kind kind;
    float decay;             // of matrices; vectors do not decay
    float beta1, beta2, eps; // AdamW
    float momentum;          // Muon
    float clip;              // greatest norm of all derivatives together; 0: no matter
};

struct sc_optimizer;
socle_status sc_optimizer_create(struct sc_parameters *parameters, struct sc_learner *learner,
                                 const struct sc_optimizer_options *options, struct sc_optimizer **out,
                                 socle_error *err);
void sc_optimizer_free(struct sc_optimizer *optimizer); // NULL is fine
// Bytes that it takes beside the parameters' moments.
uint64_t sc_optimizer_need(const struct sc_parameters *parameters, enum sc_optimizer_kind kind);

// The root of the sum of all squares of derivatives. Not finite: `culprit` is the first parameter that has one such.
double sc_optimizer_norm(const struct sc_optimizer *optimizer, const struct sc_parameter **culprit);
// Step number `step`, counted from 1, at this rate; `norm`: the derivatives' norm. Then the derivatives count as none.
void sc_optimizer_step(struct sc_optimizer *optimizer, uint64_t step, float rate, double norm);

#endif
