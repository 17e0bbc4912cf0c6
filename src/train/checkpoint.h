// Checkpoints: everything that a run goes on from, in one GGUF file.
//
//     metadata of the model, and  socle.train.version   u32, 1
//                                 socle.train.settings  text: the settings' digest
//                                 socle.train.data      text: the data's digest
//                                 socle.train.state     array of u64: struct sc_train_state
//                                 socle.train.checksums array of u64: XXH3-64 of each tensor's bytes, in order, and of
//                                                       the settings, data and state
//                                 socle.train.evaluation_due  u32, 1: the evaluation of this step was broken off
//     tensors     <name> the weights (F32)      train.m.<name>, train.v.<name> the optimizer's moments (F32)
//
// The weights of a whole model lie under their own names: such a checkpoint is a model that runs. A file is written
// beside its place and renamed, so it is whole or not there; the checksums tell what a disk did to it later.
#ifndef SC_TRAIN_CHECKPOINT_H
#define SC_TRAIN_CHECKPOINT_H

#include "base/buffer.h"
#include "train/batches.h"
#include "train/parameters.h"

enum { SC_CHECKPOINT_VERSION = 1 };

// Plain numbers, all of 64 bits.
struct sc_train_state {
    uint64_t step, n_tokens;
    struct sc_batches_state data;
    uint64_t best_loss;          // bits of a double; that of infinity: no evaluation yet
    uint64_t best_step, n_worse; // evaluations since the best
    uint64_t evaluation_due;     // 1: that of this step was broken off, and is the first thing to do
};

// What must be the same in a run that goes on.
struct sc_train_identity {
    const char *settings, *data; // digests, in hexadecimal
};

// "<folder>/checkpoints/step-<step>.gguf"
bool sc_checkpoint_path(struct sc_buffer *out, const char *folder, uint64_t step);
socle_status sc_checkpoint_write(const char *path, const struct sc_gguf *model, const struct sc_parameters *parameters,
                                 const struct sc_train_identity *identity, const struct sc_train_state *state,
                                 socle_error *err);
// Reads one into the parameters. Errors: SOCLE_BAD_FILE: damaged (a checksum), of another model; SOCLE_BAD_ARGUMENT: of
// other settings or data (identity NULL: not compared).
socle_status sc_checkpoint_read(const char *path, const struct sc_parameters *parameters,
                                const struct sc_train_identity *identity, struct sc_train_state *out, socle_error *err);
// Compares one with the parameters, bit for bit. Errors: SOCLE_BAD_FILE names the first tensor that differs.
socle_status sc_checkpoint_compare(const char *path, const struct sc_parameters *parameters, socle_error *err);

// Removes what writers that are no more (killed, a power cut) have left unfinished in this folder.
void sc_checkpoint_sweep(const char *folder);
// The steps of the checkpoints in a folder, ascending; *steps is freed with free().
socle_status sc_checkpoint_list(const char *folder, uint64_t **steps, size_t *n, socle_error *err);

#endif
