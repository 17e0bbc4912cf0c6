// What an answer is made of, while it streams: reasoning, text, calls of tools.
#ifndef SC_SERVER_READER_H
#define SC_SERVER_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum piece_kind { PIECE_REASONING, PIECE_TEXT, PIECE_CALL_BEGIN, PIECE_ARGUMENTS, PIECE_CALL_END };

struct piece {
    enum piece_kind kind;
    const char *text; // not NUL-terminated; of CALL_BEGIN the tool's name
    size_t n_bytes;
    uint32_t call;
    bool complete; // CALL_END: the arguments are a whole object
};
typedef void piece_sink(void *context, const struct piece *piece);

#endif
