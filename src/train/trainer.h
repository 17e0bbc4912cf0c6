// A run of training: what its files share.
//
//     trainer_open.c    from settings to a run that stands at its beginning, or at a checkpoint
//     trainer_step.c    one step, one evaluation
//     trainer.c         the run: step after step, with what happens now and then; repeating it
//     preference.c      the loss of preference pairs
//     journal.c         the log and the manifest
//     sample.c          a text that the model writes as it learns
#ifndef SC_TRAIN_TRAINER_H
#define SC_TRAIN_TRAINER_H

#include <socle/train.h>

#include "train/checkpoint.h"
#include "train/optimizer.h"

// Batches of one step, with memory of their own.
struct sc_step_batches {
    struct sc_batch *list; // [n_accumulate]
    size_t n;
    uint64_t n_targets;
    char **memory; // [n_accumulate]
};

struct socle_training {
    socle_train_options o;
    struct sc_gguf *base, *vocabulary; // the model's file; where the tokenizer is, often the same
    struct sc_buffer made;             // the file of a new model, in memory
    struct sc_adapter_set *adapters;   // NULL: the model itself is trained
    float *adapter_factors;            // [1] alpha / rank
    struct sc_model *model;
    struct sc_tokenizer *tokenizer;
    struct sc_template *template;
    struct sc_corpus *corpus, *held_out; // held_out: its own files, or the same corpus, or NULL
    struct sc_corpus_reader reader;
    struct sc_batches *batches;
    struct sc_parameters parameters;
    struct sc_learner *learner;
    struct sc_optimizer *optimizer;
    struct sc_step_batches step;
    double *log_probability; // [rows]
    float *row_weights;      // [rows], of preference pairs
    double *reference;       // [rows], likewise
    struct sc_train_state state;
    char settings[65], data[65], program[65], base_digest[65]; // SHA-256 in hexadecimal
    struct sc_buffer settings_json;
    struct sc_buffer path;
    char damaged[512];
    double seconds; // of this session
    struct sc_train_profile {
        socle_training_part *parts; // [n]
        size_t n;
        size_t rows;
    } profile; // of the last rehearsal
};

bool sc_trainer_has_pairs(const struct socle_training *t);
uint32_t sc_trainer_n_rows(const struct socle_train_options *o);

// One step: its batches, forward and backward, the optimizer. On failure, and when stopped, the parameters and the
// state are as before. *loss: nats a token (of pairs: a pair). Errors: SOCLE_NOT_FINITE names step and tensor;
// SOCLE_CANCELLED.
socle_status sc_trainer_step(struct socle_training *t, bool (*stop)(void *context), void *context, double *loss,
                             double *norm, socle_error *err);
// Forward and backward of the step that comes, without changing anything.
socle_status sc_trainer_rehearse(struct socle_training *t, socle_error *err);
// The loss on the held-out data.
socle_status sc_trainer_evaluate(struct socle_training *t, bool (*stop)(void *context), void *context,
                                 socle_training_evaluation *out, socle_error *err);

// Of pairs (Rafailov et al., arXiv:2305.18290, equation 7): from each row's log probability to the loss of a pair,
// summed over pairs, and the rows' weights; *n_right: how many chosen answers are preferred. reference NULL: weights
// are not wanted.
double sc_preference_loss(const struct sc_batch *batch, const double *policy, const double *reference, float beta,
                          float share, float *row_weights, size_t *n_right);

// The log: appended line by line; `sc_journal_cut` drops what is past the run's step.
socle_status sc_journal_cut(struct socle_training *t, socle_error *err);
socle_status sc_journal_step(struct socle_training *t, const socle_training_step *step, socle_error *err);
socle_status sc_journal_evaluation(struct socle_training *t, const socle_training_evaluation *evaluation,
                                   socle_error *err);
socle_status sc_journal_sample(struct socle_training *t, uint64_t step, const char *text, socle_error *err);
// manifest.json: what the run is made of, and the digests of weights at each checkpoint so far.
socle_status sc_manifest_write(struct socle_training *t, const char *weights_digest, socle_error *err);
// Where the manifest tells how the run's settings differ from these, adds that to the error's sentence.
void sc_manifest_add_difference(struct socle_training *t, socle_error *err);
// SHA-256 over all weights: each parameter's name and its rows.
void sc_weights_digest(const struct sc_parameters *parameters, char hex[65]);
void sc_hex(const uint8_t digest[32], char hex[65]);

// Whether samples can be written: known before the first is due. Errors: SOCLE_BAD_ARGUMENT.
socle_status sc_trainer_check_sample(struct socle_training *t, socle_error *err);
// What the model writes after the prompt, as far as its context goes; *text is freed with free().
socle_status sc_trainer_sample(struct socle_training *t, char **text, socle_error *err);

// The model as it is now, or the adapter, under its name in the run's folder.
socle_status sc_trainer_write_result(struct socle_training *t, socle_error *err);

#endif
