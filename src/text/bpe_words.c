// The different words of the texts, counted in a hash table.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/bpe_train_internal.h"
#include "text/vocabulary.h"

// Makes the hash table twice as large when it is half full.
static bool grow_slots(struct sc_bpe_words *w)
{
    uint64_t n_slots = w->slots ? w->slot_mask + 1 : 0;
    if (2 * ((uint64_t)w->n + 1) <= n_slots) return true;
    n_slots = n_slots ? 2 * n_slots : 1 << 12;
    uint32_t *slots = calloc(n_slots, sizeof *slots), *tags = calloc(n_slots, sizeof *tags);
    if (!slots || !tags) {
        free(slots);
        free(tags);
        return false;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        uint64_t hash = sc_hash_bytes(w->bytes.data + w->list[i].start, w->list[i].n_bytes);
        uint64_t slot = hash & (n_slots - 1);
        while (slots[slot]) slot = (slot + 1) & (n_slots - 1);
        slots[slot] = i + 1;
        tags[slot] = (uint32_t)(hash >> 32);
    }
    free(w->slots);
    free(w->tags);
    w->slots = slots;
    w->tags = tags;
    w->slot_mask = n_slots - 1;
    return true;
}

static bool grow_list(struct sc_bpe_words *w)
{
    if (w->n < w->capacity) return true;
    uint64_t capacity = w->capacity ? 2 * (uint64_t)w->capacity : 1024;
    capacity = SC_MIN(capacity, UINT32_MAX);
    struct sc_bpe_word *list = realloc(w->list, capacity * sizeof *list);
    if (!list) return false;
    w->list = list;
    w->capacity = (uint32_t)capacity;
    return true;
}

static bool is_word(const struct sc_bpe_words *w, uint32_t i, struct sc_text piece)
{
    return w->list[i].n_bytes == piece.n_bytes &&
           memcmp(w->bytes.data + w->list[i].start, piece.data, piece.n_bytes) == 0;
}

socle_status sc_bpe_words_add(struct sc_bpe_words *w, struct sc_text piece, socle_error *err)
{
    if (!grow_slots(w)) return sc_fail_memory(err, 16 * (w->slot_mask + 1), "the index of different words");
    uint64_t hash = sc_hash_bytes(piece.data, piece.n_bytes), slot = hash & w->slot_mask;
    uint32_t tag = (uint32_t)(hash >> 32);
    for (; w->slots[slot]; slot = (slot + 1) & w->slot_mask) {
        if (w->tags[slot] != tag || !is_word(w, w->slots[slot] - 1, piece)) continue;
        w->list[w->slots[slot] - 1].count++;
        return SOCLE_OK;
    }
    uint64_t n_places = 1 + (uint64_t)w->bytes.n_bytes + w->n; // bpe_learn.c
    if (piece.n_bytes >= UINT32_MAX - n_places)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "the different words of the texts take more than 4 GiB: train on less text, or with a "
                       "pre-tokenizer that cuts it shorter");
    if (!grow_list(w)) return sc_fail_memory(err, 2 * sizeof *w->list * (uint64_t)w->capacity, "different words");
    uint32_t start = (uint32_t)w->bytes.n_bytes;
    if (!sc_buffer_append(&w->bytes, piece.data, piece.n_bytes))
        return sc_fail_memory(err, (uint64_t)start + piece.n_bytes, "the bytes of different words");
    w->list[w->n++] = (struct sc_bpe_word){ 1, start, (uint32_t)piece.n_bytes };
    w->slots[slot] = w->n;
    w->tags[slot] = tag;
    return SOCLE_OK;
}

void sc_bpe_words_free(struct sc_bpe_words *w)
{
    sc_buffer_free(&w->bytes);
    free(w->list);
    free(w->slots);
    free(w->tags);
    *w = (struct sc_bpe_words){ 0 };
}
