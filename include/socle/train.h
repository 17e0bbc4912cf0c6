// Training: a model from nothing, on from a file, or an adapter for one whose weights stay as they are.
//
// A run has a folder of its own:
//
//     model.gguf       the best model so far (adapter.gguf, when an adapter is trained)
//     checkpoints/     step-00000000.gguf, …: everything to go on from, whole and with checksums, or not there
//     log.jsonl        a line for each step and each evaluation
//     manifest.json    what the run is made of: digests of data, settings, program and weights
//
// The same data, settings and seed give the same bits at any number of threads, on any machine, and whether or not the
// run was interrupted. No function here is to be called by two threads for one run at a time.
#ifndef SOCLE_TRAIN_H
#define SOCLE_TRAIN_H

#include "socle/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum socle_data_kind {
    SOCLE_DATA_TEXT,       // plain text
    SOCLE_DATA_JSONL,      // an object a line, with a text
    SOCLE_DATA_CHAT,       // an object a line, with messages; the loss is on the assistant's alone
    SOCLE_DATA_PREFERENCE, // an object a line: a prompt, an answer that was chosen and one that was rejected
} socle_data_kind;

typedef enum socle_optimizer { SOCLE_ADAMW, SOCLE_MUON } socle_optimizer;
typedef enum socle_schedule { SOCLE_COSINE, SOCLE_STABLE_DECAY, SOCLE_CONSTANT } socle_schedule;
typedef enum socle_long_examples { SOCLE_LONG_FAILS, SOCLE_LONG_IS_SKIPPED, SOCLE_LONG_IS_CUT } socle_long_examples;

// Strings are borrowed for as long as the run is open. socle_train_options_init sets what is sensible.
typedef struct socle_train_options {
    const char *folder; // of the run; made if it is not there

    // What is trained. Either `model`, a file to go on from; or a new one of this shape with the vocabulary of
    // `tokenizer`.
    const char *model, *tokenizer;
    const char *family;         // "llama", "qwen2", "qwen3", "qwen3moe"
    const char *name, *license; // general.name and general.license of the result; NULL: none
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff; // head_dim 0: n_embd / n_head
    uint32_t n_expert, n_expert_used;                            // 0: none
    float rope_base;
    bool untied; // the output matrix is one of its own

    // An adapter for `model` is trained instead, of this rank; 0: none.
    uint32_t lora_rank;
    float lora_alpha, lora_dropout;
    const char *lora_targets; // names with commas between: "attn_q,attn_v"; NULL: all of attention and feed-forward
    float preference_beta;    // of DPO, with SOCLE_DATA_PREFERENCE

    // Data.
    const char *const *data; // files
    size_t n_data;
    const char *const *held_out; // files of held-out data of the same kind; n_held_out 0: see holdout_every
    size_t n_held_out;
    socle_data_kind data_kind;
    const char *field, *separator;
    uint32_t lines;
    uint32_t holdout_every, holdout_first; // document i is held out where i % every == first; 0: none
    socle_long_examples long_examples;

    // Steps. One has n_accumulate batches of n_windows windows of n_context tokens.
    uint32_t n_context, n_windows, n_accumulate;
    uint64_t n_steps, seed;
    socle_optimizer optimizer;
    socle_schedule schedule;
    float rate, rate_end;       // the peak, and the share of it that is left at the end
    uint64_t n_warmup, n_decay; // steps; n_decay of SOCLE_STABLE_DECAY
    float weight_decay, beta1, beta2, eps, momentum, clip, dropout;
    bool bf16;       // activations that are kept for the walk backwards are rounded to bf16
    uint64_t memory; // bytes for activations: what does not fit is computed again; 0: no matter

    // Now and then.
    uint64_t evaluate_every, evaluate_tokens; // held-out loss after so many steps, on at most so many tokens (0: all)
    uint64_t patience;                        // end after so many evaluations without a better one; 0: never
    uint64_t save_every, n_keep;              // checkpoints; how many are kept (0: all)
    uint64_t sample_every;
    const char *sample_prompt;
    uint32_t n_sample_tokens;
    const char *result_type; // format of the result's matrices: "F32", "Q8_0", …

    uint32_t n_threads; // 0: all
    const char *cpu;    // an instruction-set level, or NULL
    bool overcommit;    // try even if memory seems too small
} socle_train_options;

void socle_train_options_init(socle_train_options *options);

typedef struct socle_training socle_training;

// Opens a run at its beginning: reads the data, makes or loads the model, plans its memory. Nothing is written yet.
// resume: goes on from the newest whole checkpoint in the folder. Errors: SOCLE_BAD_ARGUMENT (settings; a folder that
// has a run already; checkpoints of other settings), SOCLE_BAD_FILE (data, with file and line; the model; no checkpoint
// that is whole), SOCLE_NO_MEMORY with the numbers, SOCLE_UNSUPPORTED, SOCLE_IO.
socle_status socle_training_open(const socle_train_options *options, bool resume, socle_training **out,
                                 socle_error *err);
void socle_training_free(socle_training *training); // NULL is fine

typedef struct socle_training_info {
    uint64_t n_parameters, n_trained; // weights of the model, and those that are trained
    uint64_t n_documents, n_held_out, n_data_bytes;
    uint64_t n_tokens_step; // at most
    uint64_t step;          // where it stands
    uint64_t best_step;     // of the best evaluation so far; 0: none yet
    double best_loss;
    // Bytes.
    uint64_t weights_bytes, optimizer_bytes, activations_bytes, total_bytes, available_bytes;
    uint32_t n_stretches, n_recomputed; // parts of the program, and those computed again for want of memory
    double flops_step;                  // floating-point operations of a step's products
    const char *damaged;                // a checkpoint that was passed over when resuming, or NULL
} socle_training_info;
void socle_training_describe(const socle_training *training, socle_training_info *out);

// Seconds of a step, by running one (which is taken back).
socle_status socle_training_time_step(socle_training *training, double *seconds, socle_error *err);

// Where the time of a step goes: ops of one kind, in one direction.
typedef struct socle_training_part {
    const char *op; // "linear", "attend", ...
    bool backward;
    double seconds;
    double macs; // multiply-adds of its products
    bool is_f32; // of floats; otherwise of bytes
} socle_training_part;
// Of the last socle_training_time_step; false past the last.
bool socle_training_part_at(const socle_training *training, size_t i, socle_training_part *out);

typedef struct socle_training_step {
    uint64_t step, n_steps, n_tokens; // counted from 1; tokens learnt from so far
    double loss, rate, norm, seconds; // nats a token; this session's seconds so far
    double tokens_per_second;         // lately
    double epochs;
} socle_training_step;

typedef struct socle_training_evaluation {
    uint64_t step;
    double loss, per_byte; // nats a token and a byte; per_byte 0: unknown
    bool best;
    double accuracy; // DPO: how often the chosen answer is preferred
} socle_training_evaluation;

// What a run tells, and asks. All may be NULL.
typedef struct socle_training_events {
    void (*on_step)(void *context, const socle_training_step *step);
    void (*on_evaluation)(void *context, const socle_training_evaluation *evaluation);
    void (*on_sample)(void *context, uint64_t step, const char *text);
    void (*on_checkpoint)(void *context, uint64_t step, const char *path);
    bool (*stop)(
        void *context); // asked between operations: true, the step at hand is given up, a checkpoint is written
    void *context;
} socle_training_events;

typedef enum socle_training_end {
    SOCLE_TRAINING_DONE,
    SOCLE_TRAINING_NO_BETTER,
    SOCLE_TRAINING_STOPPED
} socle_training_end;

// Runs to the end. Errors: SOCLE_NOT_FINITE names step and tensor, the last checkpoint stays; SOCLE_IO (disk full: what
// was there stays), those of reading data.
socle_status socle_training_run(socle_training *training, const socle_training_events *events, socle_training_end *end,
                                socle_error *err);

// Repeats the steps from one checkpoint of the folder to a later one and compares every bit of weights and optimizer.
// from, to: steps that have checkpoints; UINT64_MAX: the first, the last. *repeated: how many steps agreed.
// Errors: SOCLE_BAD_FILE where they do not agree, naming the first tensor that differs.
socle_status socle_training_verify(socle_training *training, uint64_t from, uint64_t to,
                                   const socle_training_events *events, uint64_t *repeated, socle_error *err);

#ifdef __cplusplus
}
#endif
#endif
