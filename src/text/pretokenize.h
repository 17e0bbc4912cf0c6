// Splitting text into the pieces that byte-level BPE merges within.
//
// A pre-tokenizer is a list of regular expressions. The first cuts the text into its matches and what lies between
// them; the next cuts each of these pieces in the same way, seeing nothing outside the piece; and so on.
#ifndef SC_TEXT_PRETOKENIZE_H
#define SC_TEXT_PRETOKENIZE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"

enum { SC_PATTERNS_MAX = 6, SC_PRETOKENIZER_NAMES_MAX = 16 };

// A row of pretokenizers.h.
struct sc_pretokenizer {
    const char *names[SC_PRETOKENIZER_NAMES_MAX]; // values of tokenizer.ggml.pre, NULL-terminated
    const char *patterns[SC_PATTERNS_MAX];        // PCRE2, NULL-terminated
    bool ignore_merges;                           // a piece that is a token as a whole is taken as it is
    bool add_bos;                                 // when the file does not say
    bool nfc;                                     // the text is brought into normal form C first
    bool turns_end;                               // GLM: "<|user|>" and "<|observation|>" end an answer
};

// The row with this name, or NULL.
const struct sc_pretokenizer *sc_pretokenizer_find(struct sc_text name);
// Appends all names, separated by ", ".
bool sc_pretokenizer_list(struct sc_buffer *out);

// The compiled patterns of a row; immutable.
struct sc_splitter;
socle_status sc_splitter_compile(const struct sc_pretokenizer *pretokenizer, struct sc_splitter **out,
                                 socle_error *err);
void sc_splitter_free(struct sc_splitter *splitter);

// What matching needs to write to, for one thread at a time. NULL when memory ran out.
struct sc_split_scratch;
struct sc_split_scratch *sc_split_scratch_new(const struct sc_splitter *splitter);
void sc_split_scratch_free(struct sc_split_scratch *scratch);

// Hands the pieces of `text`, which is valid UTF-8, to `take` in order. Together they are the text; none is empty.
// Errors: what `take` returns; SOCLE_FAILED when PCRE2 gives up (it needs memory, too).
typedef socle_status sc_take_piece(void *context, struct sc_text piece);
socle_status sc_splitter_split(const struct sc_splitter *splitter, struct sc_split_scratch *scratch,
                               struct sc_text text, sc_take_piece *take, void *context, socle_error *err);

#endif
