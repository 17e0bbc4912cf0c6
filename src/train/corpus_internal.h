// What the files of a corpus share.
//
//   corpus.c              opening, the index, held-out documents, reading by kind
//   corpus_scan.c         a file checked and cut into documents
//   corpus_json.c         a line of JSON, with an error that names its place
//   corpus_messages.c     the messages of a conversation as templates take them
//   corpus_turns.c        a conversation to examples
//   corpus_preference.c   pairs
//   corpus_examples.c     examples under construction
#ifndef SC_TRAIN_CORPUS_INTERNAL_H
#define SC_TRAIN_CORPUS_INTERNAL_H

#include <jansson.h>

#include "base/file.h"
#include "base/text.h"
#include "train/corpus.h"

struct sc_corpus_file {
    char *path; // owned
    struct sc_mapping map;
    size_t first; // its first document
};

// Two bits of sc_corpus_document's n_bytes: pieces of a text that was cut.
#define SC_PIECE_GOES_ON (UINT64_C(1) << 63)    // its beginning is the piece before
#define SC_PIECE_IS_PARTIAL (UINT64_C(1) << 62) // its end is the piece behind
#define SC_PIECE_BYTES (SC_PIECE_IS_PARTIAL - 1)

struct sc_corpus_document {
    uint64_t offset, n_bytes; // in its file, which is found by the number of the document
};

struct sc_corpus {
    struct sc_corpus_options options;
    char *field, *separator; // owned, and what `options` points to
    struct sc_corpus_file *files;
    size_t n_files;
    struct sc_corpus_document *documents;
    size_t n_documents, capacity;
    uint64_t n_bytes;
};

// ---- corpus_scan.c

// Appends the documents of a file, having checked them. Errors: those of sc_corpus_open.
socle_status sc_corpus_scan(struct sc_corpus *corpus, const struct sc_corpus_file *file, socle_error *err);

// ---- corpus_json.c

// Parses a line, which must be an object; the caller owns *out. Errors do not name the file and the line:
// SOCLE_BAD_FILE with the column, SOCLE_NO_MEMORY.
socle_status sc_corpus_parse(struct sc_text line, json_t **out, socle_error *err);
// "an array", "a string", …; "nothing" for NULL.
const char *sc_json_kind(const json_t *value);
// The text of a line of JSONL: a view into `object`.
socle_status sc_corpus_field(const json_t *object, const char *field, struct sc_text *out, socle_error *err);

// ---- corpus_messages.c

// A conversation on its way to a template. Zeroed: none.
struct sc_conversation {
    json_t *messages; // owned: an array of {"role", "content", …}
    json_t *inputs;   // owned: what templates see besides, an object
    bool *is_answer;  // owned: [n_messages] the messages to be learnt
};
void sc_conversation_free(struct sc_conversation *conversation);

// {"messages"} or {"conversations"}, with "tools" and "chat_template_kwargs". Errors name the key: SOCLE_BAD_FILE,
// SOCLE_NO_MEMORY.
socle_status sc_conversation_read(const json_t *object, struct sc_conversation *out, socle_error *err);
// The variables of a template that `object` has beside the messages: a new object.
socle_status sc_conversation_inputs(const json_t *object, json_t **out, socle_error *err);
// Appends messages in the form of templates to the array `to`. `key` names `from` in errors.
socle_status sc_messages_append(const json_t *from, const char *key, json_t *to, socle_error *err);
// Where "</think>" is a token, a template does not find it in a guarded content: answers that begin with reasoning in
// "<think>" get it as "reasoning_content", which is where the templates of such models look. Errors: SOCLE_NO_MEMORY.
socle_status sc_conversation_split_reasoning(struct sc_conversation *conversation, const struct sc_tokenizer *tokenizer,
                                             socle_error *err);
bool sc_message_is_of(const json_t *message, const char *role);

// ---- corpus_examples.c

// An example under construction at the end of `examples`: tokens are put, then it is ended. Errors: SOCLE_NO_MEMORY.
socle_status sc_examples_put(struct sc_examples *examples, const int32_t *tokens, size_t n, bool is_answer,
                             socle_error *err);
socle_status sc_examples_end(struct sc_examples *examples, socle_error *err);
// Where the tokens of the example under construction begin.
size_t sc_examples_begin(const struct sc_examples *examples);
// Lets the list point to its tokens, when all examples are ended.
void sc_examples_finish(struct sc_examples *examples);
// A text with the vocabulary's first and last token, or without: all but the first token are learnt.
socle_status sc_examples_put_text(struct sc_examples *examples, const struct sc_tokenizer *tokenizer,
                                  struct sc_text text, bool begins, bool ends, socle_error *err);

// ---- corpus_turns.c and corpus_preference.c

// Appends the examples of a conversation: one, or one for each answer, which `only_one` refuses. Moves reasoning to its
// place in the messages. Errors do not name the file.
socle_status sc_examples_put_conversation(struct sc_examples *examples, const struct sc_corpus_reader *reader,
                                          struct sc_conversation *conversation, bool only_one, socle_error *err);

// Checks a pair; appends its two examples if `examples` is not NULL. `reader` may be NULL if that is. Errors do not
// name the file.
socle_status sc_examples_put_pair(struct sc_examples *examples, const struct sc_corpus_reader *reader,
                                  const json_t *object, socle_error *err);

#endif
