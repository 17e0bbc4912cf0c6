// Batches of a corpus: examples packed into windows of n_context rows, in an order that a seed sets. What comes is a
// function of the files, the options and the state, and of nothing else: a stream that is sought to a state goes on as
// the one that gave the state.
//
// A row is a token that the model is fed. What it is to predict there is the token behind it, or nothing (-1):
//
//   TEXT, JSONL   documents are laid one after another; one that does not fit goes on in the next window, where it
//   begins
//                 anew at position 0 with the token last predicted, so every token but each document's first is
//                 predicted once an epoch, and by one row
//
//                   window 0                           window 1
//                   │ a0 a1 a2 a3 │ b0 b1 b2 b3 b4 │   │ b5 b6 b7 │ c0 c1 …          rows
//                   │ a1 a2 a3 a4 │ b1 b2 b3 b4 b5 │   │ b6 b7 b8 │ c1 c2 …          targets
//
//                 an epoch begins with a window cut short by chance, so that cuts fall elsewhere in each
//   CHAT          examples are whole: a window takes those that come as long as they fit. Rows behind the last one that
//                 predicts are left out
//   PREFERENCE    as CHAT, with one example a window: sequences 2i and 2i + 1 of a batch are the chosen and the
//   rejected
//                 answer of a pair, and a batch has n_windows / 2 pairs
#ifndef SC_TRAIN_BATCHES_H
#define SC_TRAIN_BATCHES_H

#include "train/corpus.h"

enum sc_long_examples { SC_LONG_FAILS, SC_LONG_IS_SKIPPED, SC_LONG_IS_CUT };

struct sc_batches_options {
    uint32_t n_context; // rows of a window, 1 or more
    uint32_t n_windows; // of a batch, 1 or more; PREFERENCE: an even number
    uint64_t seed;
    uint64_t n_epochs;                   // 0: without end
    bool in_order;                       // documents as they lie in the files, no window cut short: for evaluation
    bool held_out;                       // the documents held out; otherwise all others
    enum sc_long_examples long_examples; // CHAT, PREFERENCE: what becomes of examples of more rows than n_context. Cut:
                                         // they lose their end, and are skipped where nothing to be learnt is left
};

struct sc_batch {
    size_t n_rows;             // 0: the epochs are over. At most n_windows * n_context
    const int32_t *tokens;     // [n_rows]
    const int32_t *targets;    // [n_rows] -1: none
    const uint32_t *positions; // [n_rows] from 0 in each sequence
    size_t n_sequences;
    const uint32_t *begins; // [n_sequences + 1] sequence s: rows begins[s] to begins[s + 1], which attend to these only
    size_t n_targets;       // that are not -1; 1 or more in a batch that has rows
};

// How far a stream is: where its next batch begins, and sums of those before it. Plain numbers, to be kept in a
// checkpoint together with the digest of the corpus.
struct sc_batches_state {
    uint64_t epoch;   // whole epochs done
    uint64_t next;    // place in this epoch's order of the document that comes next or is partly used
    uint64_t example; // of that document
    uint64_t offset;  // rows of that example that are used
    uint64_t n_rows;  // given out so far
    uint64_t n_targets;
    uint64_t n_skipped;    // examples that were too long, or cut before their answer
    uint64_t n_off_prompt; // examples that begin otherwise than inference does (train/corpus.h)
};

struct sc_batches; // a stream; one thread at a time

// Opens a stream at its beginning. `corpus` and what `reader` points to are borrowed and must outlive it.
// Errors: SOCLE_BAD_ARGUMENT (options); SOCLE_UNSUPPORTED (conversations without a chat template); SOCLE_BAD_FILE (none
// of the documents is on this side of the held-out ones); SOCLE_NO_MEMORY.
socle_status sc_batches_open(const struct sc_corpus *corpus, const struct sc_corpus_reader *reader,
                             const struct sc_batches_options *options, struct sc_batches **out, socle_error *err);
void sc_batches_close(struct sc_batches *batches); // NULL is fine

// The next batch; its arrays are the stream's and hold until the next call. n_rows is 0 once n_epochs are over, and
// stays so. After a failure the stream is where it was before.
// Errors: those of sc_corpus_read; SOCLE_BAD_FILE (too little data to predict a single token; an example that is too
// long, with file and line); SOCLE_NO_MEMORY.
socle_status sc_batches_next(struct sc_batches *batches, struct sc_batch *out, socle_error *err);

struct sc_batches_state sc_batches_state(const struct sc_batches *batches);
// Goes on from a state of a stream over the same corpus with the same options. A zeroed state is the beginning.
// Errors: SOCLE_BAD_ARGUMENT (a state that this corpus cannot have); those of sc_corpus_read. Then nothing changes.
socle_status sc_batches_seek(struct sc_batches *batches, const struct sc_batches_state *state, socle_error *err);

// Epochs done, with the part of the one that runs: 1.25 is a quarter of the second.
double sc_batches_epochs(const struct sc_batches *batches);

#endif
