#include "text/token_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/utf8.h"

struct sorted_token {
    struct sc_text bytes;
    int32_t id;
};

static int compare(const void *a, const void *b)
{
    const struct sorted_token *x = a, *y = b;
    int order = memcmp(x->bytes.data, y->bytes.data, SC_MIN(x->bytes.n_bytes, y->bytes.n_bytes));
    if (order) return order;
    if (x->bytes.n_bytes != y->bytes.n_bytes) return x->bytes.n_bytes < y->bytes.n_bytes ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static bool is_text(const struct sc_tokenizer *tokenizer, int32_t id)
{
    enum sc_token_type type = sc_tokenizer_token_type(tokenizer, id);
    return type != SC_TOKEN_UNUSED && !sc_tokenizer_is_special(tokenizer, id) && !sc_tokenizer_is_end(tokenizer, id);
}

static size_t common(struct sc_text a, struct sc_text b)
{
    size_t n = SC_MIN(a.n_bytes, b.n_bytes), i = 0;
    while (i < n && a.data[i] == b.data[i]) i++;
    return i;
}

static uint32_t count_nodes(const struct sorted_token *tokens, uint32_t n)
{
    uint32_t n_nodes = 0;
    struct sc_text before = { "", 0 };
    for (uint32_t i = 0; i < n; i++) {
        n_nodes += (uint32_t)(tokens[i].bytes.n_bytes - common(before, tokens[i].bytes));
        before = tokens[i].bytes;
    }
    return n_nodes;
}

unsigned sc_below_kind(uint8_t byte)
{
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
    return byte < ' ' || byte == 0x7F ? SC_BELOW_CONTROL
           : byte == ' '              ? SC_BELOW_SPACE
           : byte == '"'              ? SC_BELOW_QUOTE
           : byte == '\\'             ? SC_BELOW_BACKSLASH
           : letter                   ? SC_BELOW_WORD
                                      : SC_BELOW_MARK;
}

// A character that has begun on the way to a node.
struct begun {
    char bytes[4];
    uint8_t n;
    bool broken; // these bytes are no UTF-8
};

// The kind of each node's own byte goes to kinds[n_nodes]; nodes inside a character are marked.
static void classify(struct sc_token_index *index, uint8_t *kinds)
{
    struct begun path[SC_INDEX_TOKEN_BYTES_MAX + 1] = { 0 };
    for (uint32_t i = 0; i < index->n_nodes; i++) {
        struct sc_token_node *node = &index->nodes[i];
        struct begun at = path[node->depth - 1];
        size_t n_total = 0;
        bool begins = at.n == 0 && sc_utf8_is_lead(node->byte);
        kinds[i] = SC_BELOW_UNICODE;
        if (at.n == 0 && node->byte < 0x80) {
            kinds[i] = (uint8_t)sc_below_kind(node->byte);
        } else if (begins || (at.n > 0 && sc_utf8_may_follow(at.bytes, at.n, node->byte, &n_total))) {
            at.bytes[at.n++] = (char)node->byte;
            if (!begins && at.n == n_total) at.n = 0;
        } else {
            at.broken = true;
        }
        if (at.broken) kinds[i] = SC_BELOW_BROKEN;
        node->below = at.n > 0 || at.broken ? SC_BELOW_BROKEN : 0;
        path[node->depth] = at;
    }
}

// From the last node to the first: below a node is what its children are and what is below them.
static void gather_below(struct sc_token_index *index, const uint8_t *kinds)
{
    uint8_t below[SC_INDEX_TOKEN_BYTES_MAX + 1] = { 0 }; // the parent at each depth
    for (uint32_t i = index->n_nodes; i-- > 0;) {
        struct sc_token_node *node = &index->nodes[i];
        uint8_t under = below[node->depth];
        below[node->depth] = 0;
        below[node->depth - 1] |= under | kinds[i];
        node->below = under ? (uint8_t)(under | node->below) : 0;
    }
}

// Closes the nodes of the path that are deeper than `depth`.
static void close_path(struct sc_token_index *index, const uint32_t *path, size_t from, size_t depth)
{
    for (size_t d = from; d > depth; d--) {
        struct sc_token_node *node = &index->nodes[path[d]];
        node->skip = index->n_nodes;
        if (d > 1) {
            struct sc_token_node *parent = &index->nodes[path[d - 1]];
            parent->deepest = SC_MAX(parent->deepest, node->deepest);
        }
    }
}

static void lay_tree(struct sc_token_index *index, const struct sorted_token *tokens, uint32_t n)
{
    uint32_t path[SC_INDEX_TOKEN_BYTES_MAX + 1] = { 0 };
    struct sc_text before = { "", 0 };
    for (uint32_t i = 0; i < n; i++) {
        struct sc_text bytes = tokens[i].bytes;
        size_t depth = common(before, bytes);
        close_path(index, path, before.n_bytes, depth);
        for (size_t d = depth; d < bytes.n_bytes; d++) {
            path[d + 1] = index->n_nodes;
            index->nodes[index->n_nodes++] = (struct sc_token_node){
                .token = -1, .depth = (uint16_t)(d + 1), .byte = (uint8_t)bytes.data[d]
            };
        }
        struct sc_token_node *node = &index->nodes[path[bytes.n_bytes]];
        index->next_same[tokens[i].id] = node->token;
        node->token = tokens[i].id;
        node->deepest = (uint16_t)bytes.n_bytes;
        before = bytes;
    }
    close_path(index, path, before.n_bytes, 0);
}

static socle_status fill(struct sc_token_index *index, struct sorted_token *tokens, socle_error *err)
{
    uint32_t n = 0;
    for (int32_t id = 0; id < (int32_t)index->n_tokens; id++) {
        struct sc_text bytes = sc_tokenizer_token_bytes(index->tokenizer, id);
        index->next_same[id] = -1;
        if (sc_tokenizer_is_end(index->tokenizer, id)) index->ends[index->n_ends++] = id;
        if (bytes.n_bytes == 0 || bytes.n_bytes > SC_INDEX_TOKEN_BYTES_MAX || !is_text(index->tokenizer, id)) continue;
        tokens[n++] = (struct sorted_token){ bytes, id };
    }
    qsort(tokens, n, sizeof *tokens, compare);
    size_t n_nodes = count_nodes(tokens, n);
    index->nodes = calloc(n_nodes + 1, sizeof *index->nodes);
    if (!index->nodes) return sc_fail_memory(err, n_nodes * sizeof *index->nodes, "an index of tokens");
    lay_tree(index, tokens, n);
    uint8_t *kinds = malloc(n_nodes + 1);
    if (!kinds) return sc_fail_memory(err, n_nodes, "an index of tokens");
    classify(index, kinds);
    gather_below(index, kinds);
    free(kinds);
    return SOCLE_OK;
}

socle_status sc_token_index_create(const struct sc_tokenizer *tokenizer, struct sc_token_index **out, socle_error *err)
{
    if (!sc_tokenizer_has_text(tokenizer))
        return sc_fail(err, SOCLE_UNSUPPORTED, "this vocabulary has no texts, so output cannot be held to a form");
    struct sc_token_index *index = calloc(1, sizeof *index);
    uint32_t n = sc_tokenizer_n_tokens(tokenizer);
    struct sorted_token *tokens = calloc((size_t)n + 1, sizeof *tokens);
    socle_status status = SOCLE_OK;
    if (index) {
        index->tokenizer = tokenizer;
        index->n_tokens = n;
        index->n_words = ((size_t)n + 63) / 64;
        index->next_same = calloc((size_t)n + 1, sizeof *index->next_same);
        index->ends = calloc((size_t)n + 1, sizeof *index->ends);
    }
    if (!index || !tokens || !index->next_same || !index->ends)
        status = sc_fail_memory(err, (size_t)n * sizeof *tokens, "an index of tokens");
    if (status == SOCLE_OK) status = fill(index, tokens, err);
    free(tokens);
    if (status == SOCLE_OK) *out = index;
    else sc_token_index_free(index);
    return status;
}

void sc_token_index_free(struct sc_token_index *index)
{
    if (!index) return;
    free(index->nodes);
    free(index->next_same);
    free(index->ends);
    free(index);
}
