// What a model is trained on: files of text or of JSON Lines, mapped and cut into documents, and documents into tokens.
//
//   kind        a document                                                   its examples
//   TEXT        a file, what lies between lines equal to a separator, or a   one: beginning token, text, end token
//               run of lines
//   JSONL       a line: {"text": "…"}                                        one, likewise
//   CHAT        a line: {"messages": [{"role", "content"}, …], "tools"?}     one, or one for each answer (below)
//               or {"conversations": [{"from": "human", "value"}, …]}
//   PREFERENCE  a line: {"prompt"?, "chosen", "rejected"}, strings or        two: chosen, then rejected
//               messages; without a prompt, two conversations that begin
//               alike ("\n\nHuman: …\n\nAssistant: …" where they are strings)
//
// Opening reads the files once, in order and piece by piece: it checks every document and keeps 16 bytes of each, so
// data may be larger than memory. Documents are tokenized when they are read.
//
// Conversations go through the model's own chat template. To be learnt are the messages of the assistant, each from
// where the model goes on at inference (the rendering of what is before it, with add_generation_prompt) to the end
// token that the template writes behind it:
//
//   <|im_start|>user⏎Hi<|im_end|>⏎<|im_start|>assistant⏎Hello!<|im_end|>⏎<|im_start|>user⏎Bye<|im_end|>…
//   0            0   0  0 0        0            0         0  1    1 1         0  0           0   0  0
//
// The tokens are those of the conversation rendered whole, if at each answer the tokens that inference would begin with
// are a prefix of them: this is checked, answer by answer. Where a template does not render so (many leave out earlier
// reasoning), or where letters merge across that point, each answer becomes an example of its own: the conversation up
// to it, as tokens of the prompt followed by those of the answer. Where the prompt of inference is no beginning even of
// that (a template that begins answers with "<think>" but leaves it out when it renders them), the answer is found by
// rendering another one in its place, and the example is counted in n_off_prompt. After an answer that ends the
// conversation and that the template ends by no token at all, the vocabulary's end token is put, so that the model
// learns to stop. Messages behind the last answer are dropped, a message of the assistant with "weight": 0 is not
// learnt, and reasoning in "<think>" at an answer's beginning is given to the template as "reasoning_content" where the
// vocabulary has such marks. No mark of a template can be forged by a message (text/chat.h).
#ifndef SC_TRAIN_CORPUS_H
#define SC_TRAIN_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/template.h"
#include "text/tokenizer.h"

enum sc_corpus_kind { SC_CORPUS_TEXT, SC_CORPUS_JSONL, SC_CORPUS_CHAT, SC_CORPUS_PREFERENCE };

// Zero-initialize. Strings are read while the corpus is opened only.
struct sc_corpus_options {
    enum sc_corpus_kind kind;
    const char *field;     // JSONL: the key of the text; NULL: "text"
    const char *separator; // TEXT: documents lie between lines equal to this; NULL: none
    uint32_t n_lines;      // TEXT: documents are runs of this many lines; 0: not
    uint64_t n_bytes_max; // TEXT: a longer document is cut, after a line if there is one, into pieces that are shuffled
                          // and held out one by one; only the first begins and only the last ends with a special token.
                          // 0: 1 MiB
    uint32_t holdout_every; // document i is held out iff i % holdout_every == holdout_first; 0: none is
    uint32_t holdout_first;
};

// Immutable; any number of threads may read one.
struct sc_corpus;

// Maps and checks the files. White space alone is no document; a byte order mark is none's part.
// Errors name the file, and for JSON the line and column: SOCLE_IO; SOCLE_BAD_FILE (not JSON, a key that is missing or
// of another type, bytes that are not UTF-8, a conversation without an answer, gzip or other binary data, no documents
// at all); SOCLE_BAD_ARGUMENT (options that contradict each other); SOCLE_NO_MEMORY.
socle_status sc_corpus_open(const char *const *paths, size_t n_paths, const struct sc_corpus_options *options,
                            struct sc_corpus **out, socle_error *err);
void sc_corpus_close(struct sc_corpus *corpus); // NULL is fine

enum sc_corpus_kind sc_corpus_kind(const struct sc_corpus *corpus);
// At most UINT32_MAX.
size_t sc_corpus_n_documents(const struct sc_corpus *corpus);
// Of all files together.
uint64_t sc_corpus_n_bytes(const struct sc_corpus *corpus);

// The documents of one side: held out, or all others. Number k of them, in order, is document sc_corpus_select(…, k).
size_t sc_corpus_n_selected(const struct sc_corpus *corpus, bool held_out);
size_t sc_corpus_select(const struct sc_corpus *corpus, bool held_out, size_t k);

// SHA-256 over each file in order: its length in bytes as 8 bytes, little-endian, then its bytes. Names do not count.
// Reads all files.
void sc_corpus_digest(const struct sc_corpus *corpus, uint8_t out[32]);

// Where a document lies. The line (from 1) is counted when asked for, by reading the file up to there.
struct sc_corpus_place {
    const char *path; // lives as the corpus
    uint64_t line;
};
struct sc_corpus_place sc_corpus_place(const struct sc_corpus *corpus, size_t document);

// ---- reading

// What turns documents into tokens. Borrowed.
struct sc_corpus_reader {
    const struct sc_tokenizer *tokenizer;
    const struct sc_template *template; // CHAT needs it; PREFERENCE, unless prompt and answers are strings; else NULL
    const char *now;                    // what templates see as the time; NULL: "2026-01-01T00:00:00", never the clock
};

// Tokens and, for each, whether it is to be learnt: predicted, with loss, from those before it. Never the first.
struct sc_example {
    const int32_t *tokens; // [n]
    const uint8_t *answer; // [n] 0 or 1
    size_t n;
};

// The examples of one document. Zero-initialize; reading into it again reuses the memory.
struct sc_examples {
    struct sc_example *list; // [n] views of the arrays below
    size_t n;
    size_t n_off_prompt; // of these, those whose beginning is not what inference would begin with (above)
    // The memory: owned.
    int32_t *tokens;
    uint8_t *answers;
    size_t n_tokens, tokens_capacity, list_capacity;
};
void sc_examples_free(struct sc_examples *examples);

// Reads document `document` into `out`, replacing what is there. TEXT and JSONL learn all tokens but the first.
// PREFERENCE gives two examples whose tokens are the same up to the first that one of them learns; without a template
// its strings are joined as they are, with the vocabulary's beginning and end tokens around. With one they are a user's
// message and an assistant's. On failure `out` has no examples.
// Errors name file and line: SOCLE_BAD_TEMPLATE (with what the template raised); SOCLE_BAD_FILE (an answer that the
// template does not render); SOCLE_UNSUPPORTED (no vocabulary of texts, no chat template); SOCLE_NO_MEMORY.
socle_status sc_corpus_read(const struct sc_corpus *corpus, size_t document, const struct sc_corpus_reader *reader,
                            struct sc_examples *out, socle_error *err);

#endif
