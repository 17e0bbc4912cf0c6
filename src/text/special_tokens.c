#include "text/special_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static int compare(const void *a, const void *b)
{
    const struct sc_special_token *x = a, *y = b;
    size_t n = SC_MIN(x->text.n_bytes, y->text.n_bytes);
    int order = memcmp(x->text.data, y->text.data, n);
    if (order) return order;
    if (x->text.n_bytes != y->text.n_bytes) return x->text.n_bytes < y->text.n_bytes ? -1 : 1;
    return x->id < y->id ? 1 : -1; // the later id first: it is the one that is kept
}

static void index_list(struct sc_special_list *list)
{
    if (list->n) qsort(list->tokens, list->n, sizeof *list->tokens, compare);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        bool again = n > 0 && sc_text_equal(list->tokens[n - 1].text, list->tokens[i].text);
        if (!again) list->tokens[n++] = list->tokens[i];
    }
    list->n = n;
    size_t i = 0;
    for (size_t byte = 0; byte <= 256; byte++) {
        while (i < n && (unsigned char)list->tokens[i].text.data[0] < byte) i++;
        list->first[byte] = i;
    }
}

static bool is_matched(const struct sc_vocabulary *v, uint32_t id)
{
    enum sc_token_type type = v->types[id];
    size_t n_bytes = v->texts[id].n_bytes;
    return (type == SC_TOKEN_CONTROL || type == SC_TOKEN_UNKNOWN || type == SC_TOKEN_USER_DEFINED) && n_bytes > 0 &&
           n_bytes <= SC_SPECIAL_BYTES_MAX;
}

bool sc_special_is_mark(const struct sc_vocabulary *v, uint32_t id)
{
    if (v->types[id] == SC_TOKEN_CONTROL || v->types[id] == SC_TOKEN_UNKNOWN) return true;
    if (v->types[id] != SC_TOKEN_USER_DEFINED) return false;
    static const char wide_bar[] = "\xEF\xBD\x9C"; // U+FF5C, which DeepSeek's marks are written with
    struct sc_text text = v->texts[id];
    for (size_t i = 0; i < text.n_bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool word = c >= 0x80 || c <= ' ' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!word || (text.n_bytes - i >= 3 && memcmp(text.data + i, wide_bar, 3) == 0)) return true;
    }
    return false;
}

socle_status sc_special_tokens_build(const struct sc_vocabulary *v,
                                     bool (*eats_space_after)(const struct sc_vocabulary *, uint32_t),
                                     struct sc_special_tokens *out, socle_error *err)
{
    size_t n = 0;
    for (uint32_t id = 0; id < v->n; id++) n += is_matched(v, id);
    size_t n_bytes = SC_MAX(n, (size_t)1) * sizeof(struct sc_special_token);
    out->words.tokens = malloc(n_bytes);
    out->all.tokens = malloc(n_bytes);
    out->marks.tokens = malloc(n_bytes);
    if (!out->words.tokens || !out->all.tokens || !out->marks.tokens)
        return sc_fail_memory(err, 3 * n_bytes, "special tokens");
    for (uint32_t id = 0; id < v->n; id++) {
        if (!is_matched(v, id)) continue;
        struct sc_special_token token = { v->texts[id], (int32_t)id, eats_space_after && eats_space_after(v, id) };
        out->all.tokens[out->all.n++] = token;
        if (v->types[id] == SC_TOKEN_USER_DEFINED) out->words.tokens[out->words.n++] = token;
        if (sc_special_is_mark(v, id)) out->marks.tokens[out->marks.n++] = token;
    }
    index_list(&out->words);
    index_list(&out->all);
    index_list(&out->marks);
    return SOCLE_OK;
}

void sc_special_tokens_free(struct sc_special_tokens *special)
{
    free(special->words.tokens);
    free(special->all.tokens);
    free(special->marks.tokens);
    *special = (struct sc_special_tokens){ 0 };
}

// The first token in [low, high), which share `depth` bytes, whose byte at `depth` is at least `byte`.
static size_t lower_bound(const struct sc_special_list *list, size_t low, size_t high, size_t depth, unsigned byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct sc_text text = list->tokens[middle].text;
        bool before = text.n_bytes <= depth || (unsigned char)text.data[depth] < byte;
        if (before) low = middle + 1;
        else high = middle;
    }
    return low;
}

static const struct sc_special_token *match_at(const struct sc_special_list *list, const char *bytes, size_t n)
{
    const struct sc_special_token *best = NULL;
    unsigned byte = (unsigned char)bytes[0];
    size_t low = list->first[byte], high = list->first[byte + 1];
    for (size_t depth = 1; low < high; depth++) {
        // Of the texts that share these bytes the shortest sorts first.
        if (list->tokens[low].text.n_bytes == depth) best = &list->tokens[low++];
        if (depth == n) break;
        byte = (unsigned char)bytes[depth];
        low = lower_bound(list, low, high, depth, byte);
        high = lower_bound(list, low, high, depth, byte + 1);
    }
    return best;
}

const struct sc_special_token *sc_special_list_find(const struct sc_special_list *list, struct sc_text text,
                                                    size_t from, size_t *at)
{
    if (list->n == 0) return NULL;
    for (size_t i = from; i < text.n_bytes; i++) {
        const struct sc_special_token *found = match_at(list, text.data + i, text.n_bytes - i);
        if (!found) continue;
        *at = i;
        return found;
    }
    return NULL;
}

bool sc_special_list_has_beginning(const struct sc_special_list *list, struct sc_text beginning)
{
    if (beginning.n_bytes == 0) return false;
    unsigned byte = (unsigned char)beginning.data[0];
    size_t low = list->first[byte], high = list->first[byte + 1];
    for (size_t depth = 1; low < high && depth < beginning.n_bytes; depth++) {
        byte = (unsigned char)beginning.data[depth];
        low = lower_bound(list, low, high, depth, byte);
        high = lower_bound(list, low, high, depth, byte + 1);
    }
    // The shortest comes first, and only the last of the range is sure to be longer.
    return low < high && list->tokens[high - 1].text.n_bytes > beginning.n_bytes;
}
