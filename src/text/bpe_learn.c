// The merges: which pair becomes a token, and the words written in the new tokens.
//
// All words lie in one row of places, a place for each byte and a border before, between and behind them. The first and
// the last place of a token hold its id, those within it INSIDE:
//
//     places   │  Ġ  t  h  e  │  t  h  e  r  e  │          "Ġt" and "here" merged:   │ Ġt Ġt  h  e │  t here · · here │
//
// so a token's neighbours are found from its places and the lengths of tokens. A pair's places are where its left token
// starts. Such a place is still right if the ids are there: a place that once began a token never again begins one of
// an older id, and never ends one.
//
// A merge of (a, b) into x reads the places of (a, b) from left to right, writes x, and takes one occurrence each from
// the pairs around it: (left, a) and (b, right). Then the pairs with x that came into being, (left, x) and (x, right),
// are counted; those frequent enough get their places and are added. Work: the places read, which are at most those
// of the first pairs and two for each merge of an occurrence.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "text/bpe_train_internal.h"
#include "text/byte_level.h"

enum { BORDER = -2, INSIDE = -1, N_BYTES = 256 };

// The pairs that a new token makes with one other token, on one side.
struct side {
    uint64_t count;
    uint32_t n_places;
    uint32_t pair; // number; NONE: too rare, or too long
};
enum { NONE = UINT32_MAX };

struct sides {
    struct side *of;   // [max_tokens] by the other token's id; zero between merges
    uint32_t *touched; // [max_tokens] ids with places
    uint32_t n_touched;
};

struct learning {
    const struct sc_bpe_trainer *trainer;
    uint32_t n_special, max_tokens, max_token_bytes;
    size_t max_special_bytes;
    int32_t *ids;      // [n_places]
    uint32_t *word_of; // [n_places]
    uint32_t n_places;
    struct sc_bpe_pairs pairs;
    struct sides left, right; // pairs (other, x) and (x, other)
    struct sc_bpe_learned out;
};

static uint64_t count_at(const struct learning *l, uint32_t place)
{
    return l->trainer->words.list[l->word_of[place]].count;
}

static uint32_t length(const struct learning *l, int32_t id) { return l->out.tokens[id].n_bytes; }

// ---- before the first merge

static void lay_out(struct learning *l)
{
    const struct sc_bpe_words *words = &l->trainer->words;
    uint8_t alphabet[N_BYTES];
    int32_t id_of[N_BYTES];
    sc_bpe_alphabet(alphabet);
    for (uint32_t i = 0; i < N_BYTES; i++) {
        char letter[2];
        id_of[alphabet[i]] = (int32_t)(l->n_special + i);
        l->out.tokens[l->n_special + i].n_bytes = 1;
        l->out.tokens[l->n_special + i].n_letter_bytes = (uint16_t)sc_byte_level_encode(alphabet[i], letter);
    }
    uint32_t at = 0;
    l->ids[at++] = BORDER;
    l->out.n_text_tokens = l->trainer->n_single;
    for (uint32_t w = 0; w < words->n; w++) {
        const struct sc_bpe_word *word = &words->list[w];
        l->out.n_text_tokens += word->count * word->n_bytes;
        for (uint32_t i = 0; i < word->n_bytes; i++, at++) {
            l->ids[at] = id_of[(uint8_t)words->bytes.data[word->start + i]];
            l->word_of[at] = w;
        }
        l->ids[at++] = BORDER;
    }
}

// The pairs of bytes, by a table of all there can be: [left byte token * 256 + right one].
static bool count_byte_pairs(struct learning *l)
{
    struct side *table = calloc(N_BYTES * N_BYTES, sizeof *table);
    if (!table) return false;
    int32_t first = (int32_t)l->n_special;
    for (uint32_t at = 0; at + 1 < l->n_places; at++) {
        if (l->ids[at] < 0 || l->ids[at + 1] < 0) continue;
        struct side *pair = &table[(l->ids[at] - first) * N_BYTES + l->ids[at + 1] - first];
        pair->count += count_at(l, at);
        pair->n_places++;
    }
    bool ok = true;
    for (uint32_t i = 0; i < N_BYTES * N_BYTES; i++) {
        struct side *pair = &table[i];
        uint32_t left = l->n_special + i / N_BYTES, right = l->n_special + i % N_BYTES;
        if (!pair->count || pair->count < l->pairs.min_count) pair->pair = NONE;
        else ok = ok && sc_bpe_pairs_add(&l->pairs, left, right, pair->count, pair->n_places, &pair->pair);
        pair->n_places = 0;
    }
    for (uint32_t at = 0; at + 1 < l->n_places && ok; at++) {
        if (l->ids[at] < 0 || l->ids[at + 1] < 0) continue;
        struct side *pair = &table[(l->ids[at] - first) * N_BYTES + l->ids[at + 1] - first];
        if (pair->pair != NONE) l->pairs.list[pair->pair].places[pair->n_places++] = at;
    }
    free(table);
    return ok;
}

// ---- a merge

// Writes x over the occurrences of (a, b) and keeps their places, in `pair`.
static void merge_places(struct learning *l, struct sc_bpe_pair *pair, int32_t x)
{
    int32_t a = (int32_t)(pair->key >> 32), b = (int32_t)(pair->key & UINT32_MAX), *ids = l->ids;
    uint32_t n = 0;
    for (uint32_t i = 0; i < pair->n_places; i++) {
        uint32_t at = pair->places[i], middle = at + length(l, a);
        if (ids[at] != a || ids[middle] != b) continue;
        uint32_t end = middle + length(l, b);
        uint64_t count = count_at(l, at);
        if (ids[at - 1] >= 0) sc_bpe_pairs_lessen(&l->pairs, (uint32_t)ids[at - 1], (uint32_t)a, count);
        if (ids[end] >= 0) sc_bpe_pairs_lessen(&l->pairs, (uint32_t)b, (uint32_t)ids[end], count);
        ids[middle - 1] = ids[middle] = INSIDE;
        ids[at] = ids[end - 1] = x;
        l->out.n_text_tokens -= count;
        pair->places[n++] = at;
    }
    pair->n_places = n;
}

static void touch(struct sides *sides, int32_t id, uint64_t count)
{
    struct side *side = &sides->of[id];
    if (!side->n_places) sides->touched[sides->n_touched++] = (uint32_t)id;
    side->count += count;
    side->n_places++;
}

// Adds the pairs on one side that are frequent enough; false when memory ran out.
static bool add_side(struct learning *l, struct sides *sides, int32_t x, bool is_left)
{
    for (uint32_t i = 0; i < sides->n_touched; i++) {
        uint32_t id = sides->touched[i];
        struct side *side = &sides->of[id];
        bool fits = length(l, x) + length(l, (int32_t)id) <= l->max_token_bytes;
        side->pair = NONE;
        if (fits && side->count >= l->pairs.min_count &&
            !sc_bpe_pairs_add(&l->pairs, is_left ? id : (uint32_t)x, is_left ? (uint32_t)x : id, side->count,
                              side->n_places, &side->pair))
            return false;
        side->n_places = 0;
    }
    return true;
}

static void put_place(struct learning *l, struct sides *sides, int32_t id, uint32_t place)
{
    struct side *side = &sides->of[id];
    if (side->pair != NONE) l->pairs.list[side->pair].places[side->n_places++] = place;
}

static void clear_side(struct sides *sides)
{
    for (uint32_t i = 0; i < sides->n_touched; i++) sides->of[sides->touched[i]] = (struct side){ 0 };
    sides->n_touched = 0;
}

// The pairs with x at these places. (x, x) is a pair of the left one of the two.
static bool add_pairs(struct learning *l, const struct sc_bpe_pair *merged, int32_t x)
{
    for (uint32_t i = 0; i < merged->n_places; i++) {
        uint32_t at = merged->places[i];
        int32_t before = l->ids[at - 1], behind = l->ids[at + length(l, x)];
        if (before >= 0 && before != x) touch(&l->left, before, count_at(l, at));
        if (behind >= 0) touch(&l->right, behind, count_at(l, at));
    }
    if (!add_side(l, &l->left, x, true) || !add_side(l, &l->right, x, false)) return false;
    for (uint32_t i = 0; i < merged->n_places; i++) {
        uint32_t at = merged->places[i];
        int32_t before = l->ids[at - 1], behind = l->ids[at + length(l, x)];
        if (before >= 0 && before != x) put_place(l, &l->left, before, at - length(l, before));
        if (behind >= 0) put_place(l, &l->right, behind, at);
    }
    clear_side(&l->left);
    clear_side(&l->right);
    return true;
}

// Does the token read as one of the special tokens?
static bool spells_special(const struct learning *l, uint32_t id)
{
    char text[2 * SC_BPE_TOKEN_BYTES_MAX];
    size_t n = l->out.tokens[id].n_letter_bytes;
    if (n > l->max_special_bytes) return false;
    const socle_tokenizer_train_options *o = &l->trainer->options;
    sc_bpe_spell(l->out.tokens, l->n_special, id, text);
    for (uint32_t i = 0; i < l->n_special; i++)
        if (sc_text_is((struct sc_text){ text, n }, o->special_tokens[i])) return true;
    return false;
}

// Makes the most frequent pair a token. False when there is none, or when memory ran out (*ok).
static bool merge_next(struct learning *l, bool *ok)
{
    struct sc_bpe_pair pair;
    struct sc_bpe_token *token = &l->out.tokens[l->out.n_tokens];
    while (sc_bpe_pairs_take(&l->pairs, &pair)) {
        uint32_t left = (uint32_t)(pair.key >> 32), right = (uint32_t)(pair.key & UINT32_MAX);
        const struct sc_bpe_token *a = &l->out.tokens[left], *b = &l->out.tokens[right];
        *token = (struct sc_bpe_token){ left, right, (uint16_t)(a->n_bytes + b->n_bytes),
                                        (uint16_t)(a->n_letter_bytes + b->n_letter_bytes) };
        bool passed_over = spells_special(l, l->out.n_tokens);
        if (!passed_over) {
            int32_t x = (int32_t)l->out.n_tokens++;
            merge_places(l, &pair, x);
            *ok = add_pairs(l, &pair, x);
        }
        free(pair.places);
        if (!passed_over) return *ok;
    }
    return false;
}

// ---- all of them

static double mib(uint64_t n_bytes) { return (double)n_bytes / (1024.0 * 1024.0); }

static socle_status begin(struct learning *l, socle_error *err)
{
    const struct sc_bpe_trainer *t = l->trainer;
    const socle_tokenizer_train_options *o = &t->options;
    l->n_special = (uint32_t)o->n_special_tokens;
    l->max_token_bytes = o->max_token_bytes;
    l->pairs.min_count = o->min_count;
    for (uint32_t i = 0; i < l->n_special; i++)
        l->max_special_bytes = SC_MAX(l->max_special_bytes, strlen(o->special_tokens[i]));
    l->n_places = (uint32_t)(1 + t->words.bytes.n_bytes + t->words.n); // fits: bpe_words.c
    // A merge takes a place, so no more tokens than these can come of it.
    uint64_t most = (uint64_t)l->n_special + N_BYTES + l->n_places;
    l->max_tokens = (uint32_t)SC_MIN(most, o->n_tokens);
    uint64_t of_places = (uint64_t)l->n_places * (sizeof *l->ids + sizeof *l->word_of);
    uint64_t of_tokens = (uint64_t)l->max_tokens *
                         (sizeof *l->out.tokens + 2 * (sizeof(struct side) + sizeof(uint32_t)));
    uint64_t need = of_places + of_tokens + 3 * sizeof(uint32_t) * (uint64_t)l->n_places, there = sc_memory_available();
    if (need > there)
        return sc_fail(err, SOCLE_NO_MEMORY,
                       "training on %.1f MiB of different words needs %.0f MiB, but only %.0f MiB are available: train "
                       "on less text",
                       mib(t->words.bytes.n_bytes), mib(need), mib(there));
    l->ids = malloc(l->n_places * sizeof *l->ids);
    l->word_of = malloc(l->n_places * sizeof *l->word_of);
    l->out.tokens = calloc(l->max_tokens, sizeof *l->out.tokens);
    l->left.of = calloc(l->max_tokens, sizeof *l->left.of);
    l->right.of = calloc(l->max_tokens, sizeof *l->right.of);
    l->left.touched = malloc(l->max_tokens * sizeof *l->left.touched);
    l->right.touched = malloc(l->max_tokens * sizeof *l->right.touched);
    bool ok = l->ids && l->word_of && l->out.tokens && l->left.of && l->right.of && l->left.touched && l->right.touched;
    if (!ok) return sc_fail_memory(err, need, "training a tokenizer");
    l->out.n_tokens = l->n_special + N_BYTES;
    lay_out(l);
    return count_byte_pairs(l) ? SOCLE_OK : sc_fail_memory(err, need, "pairs of tokens");
}

static socle_status merge_all(struct learning *l, socle_error *err)
{
    enum { MERGES_UNTIL_TOLD = 16 };
    const socle_tokenizer_train_options *o = &l->trainer->options;
    bool ok = true;
    while (l->out.n_tokens < o->n_tokens && merge_next(l, &ok))
        if (l->out.n_tokens % MERGES_UNTIL_TOLD == 0 && o->on_progress &&
            !o->on_progress(o->context, l->out.n_tokens, o->n_tokens))
            return sc_fail(err, SOCLE_CANCELLED, "stopped after %u of %u tokens", l->out.n_tokens, o->n_tokens);
    if (!ok) return sc_fail_memory(err, l->pairs.n_live * sizeof *l->pairs.list, "pairs of tokens");
    if (l->out.n_tokens == o->n_tokens) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT,
                   "the texts give at most %u tokens, %u were wanted: add text or want fewer (%u special tokens, 256 "
                   "bytes, and %u pairs that occur %llu time%s or more)",
                   l->out.n_tokens, o->n_tokens, l->n_special, l->out.n_tokens - l->n_special - N_BYTES,
                   (unsigned long long)o->min_count, o->min_count == 1 ? "" : "s");
}

socle_status sc_bpe_learn(const struct sc_bpe_trainer *trainer, struct sc_bpe_learned *out, socle_error *err)
{
    struct learning l = { .trainer = trainer };
    socle_status status = begin(&l, err);
    if (status == SOCLE_OK) status = merge_all(&l, err);
    sc_bpe_pairs_free(&l.pairs);
    free(l.ids);
    free(l.word_of);
    free(l.left.of);
    free(l.right.of);
    free(l.left.touched);
    free(l.right.touched);
    if (status == SOCLE_OK) *out = l.out;
    else free(l.out.tokens);
    return status;
}
