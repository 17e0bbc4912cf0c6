// Byte-level BPE, as GPT-2 introduced it: the bytes of a pre-tokenized piece are merged by the rank of the pair in the
// list of merges. Sources: Sennrich, Haddow, Birch (2016); Radford et al., GPT-2 (2019), section 2.2.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/gguf.h"
#include "text/byte_level.h"
#include "text/normalize.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

// The merge of two tokens. Open addressing, linear probing, at most half full.
struct merge {
    uint64_t pair; // left id << 32 | right id
    uint32_t rank;
    int32_t id; // of the merged token; -1 marks a free place
};

struct sc_bpe {
    struct sc_splitter *splitter;
    int32_t byte_ids[256]; // the token of each byte, -1 where there is none
    struct merge *merges;
    uint64_t merge_mask;
};

// The place of a pair, or the free place where it would go; NULL when the probes ran out.
static struct merge *find_merge(const struct sc_bpe *bpe, uint64_t pair)
{
    uint64_t slot = sc_hash_u64(pair + 0x9E3779B97F4A7C15u) & bpe->merge_mask;
    for (int i = 0; i < SC_HASH_PROBES_MAX; i++, slot = (slot + 1) & bpe->merge_mask)
        if (bpe->merges[slot].id < 0 || bpe->merges[slot].pair == pair) return &bpe->merges[slot];
    return NULL;
}

static uint64_t pair_of(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

static bool find_rank(const void *context, const struct sc_symbol *left, const struct sc_symbol *right,
                      uint32_t *priority, int32_t *id)
{
    const struct merge *merge = find_merge(context, pair_of(left->id, right->id));
    if (!merge || merge->id < 0) return false;
    *priority = merge->rank;
    *id = merge->id;
    return true;
}

// ---------------------------------------------------------------------------------------------------- loading

static socle_status add_merge(struct sc_tokenizer *t, uint32_t rank, struct sc_text text, struct sc_buffer *joined,
                              socle_error *err)
{
    const char *space = text.n_bytes > 1 ? memchr(text.data + 1, ' ', text.n_bytes - 1) : NULL;
    if (!space)
        return sc_fail(err, SOCLE_BAD_FILE, "tokenizer.ggml.merges: merge %u is \"%.*s\", not two tokens", rank,
                       SC_TEXT_ARGS(text));
    struct sc_text left = { text.data, (size_t)(space - text.data) };
    struct sc_text right = { space + 1, text.n_bytes - left.n_bytes - 1 };
    sc_buffer_clear(joined);
    sc_buffer_append(joined, left.data, left.n_bytes);
    if (!sc_buffer_append(joined, right.data, right.n_bytes)) return sc_fail_memory(err, text.n_bytes, "a merge");
    int32_t left_id = sc_vocabulary_find(&t->vocabulary, left), right_id = sc_vocabulary_find(&t->vocabulary, right);
    int32_t id = sc_vocabulary_find(&t->vocabulary, (struct sc_text){ joined->data, joined->n_bytes });
    if (left_id < 0 || right_id < 0 || id < 0)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "tokenizer.ggml.merges: merge %u, \"%.*s\", needs a token that the vocabulary does not have",
                       rank, SC_TEXT_ARGS(text));
    struct merge *merge = find_merge(t->bpe, pair_of(left_id, right_id));
    if (!merge)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "tokenizer.ggml.merges: the merges up to %u collide in a hash table; this "
                       "does not happen by chance",
                       rank);
    *merge = (struct merge){ pair_of(left_id, right_id), rank, id };
    return SOCLE_OK;
}

static socle_status load_merges(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    const struct sc_gguf_value *merges;
    SC_TRY(sc_gguf_require(gguf, "tokenizer.ggml.merges", err));
    SC_TRY(sc_gguf_get_array(gguf, "tokenizer.ggml.merges", SC_GGUF_STRING, 0, &merges, err));
    if (merges->n > UINT32_MAX / 4)
        return sc_fail(err, SOCLE_BAD_FILE, "tokenizer.ggml.merges has %llu merges, more than can be ranked",
                       (unsigned long long)merges->n);
    uint64_t n_slots = 16;
    while (n_slots < 2 * merges->n) n_slots *= 2;
    t->bpe->merge_mask = n_slots - 1;
    t->bpe->merges = malloc(n_slots * sizeof *t->bpe->merges);
    if (!t->bpe->merges) return sc_fail_memory(err, n_slots * sizeof *t->bpe->merges, "merges");
    for (uint64_t i = 0; i < n_slots; i++) t->bpe->merges[i].id = -1;
    struct sc_buffer joined = { 0 };
    socle_status status = SOCLE_OK;
    for (uint32_t i = 0; i < merges->n && status == SOCLE_OK; i++)
        status = add_merge(t, i, merges->strings[i], &joined, err);
    sc_buffer_free(&joined);
    return status;
}

static socle_status unknown_pretokenizer(struct sc_text name, socle_error *err)
{
    struct sc_buffer names = { 0 };
    sc_pretokenizer_list(&names);
    sc_fail(err, SOCLE_UNSUPPORTED, "tokenizer.ggml.pre is \"%.*s\", a pre-tokenizer that is not known (known: %s)",
            SC_TEXT_ARGS(name), names.data ? names.data : "");
    sc_buffer_free(&names);
    return SOCLE_UNSUPPORTED;
}

static socle_status load(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    t->bpe = calloc(1, sizeof *t->bpe);
    if (!t->bpe) return sc_fail_memory(err, sizeof *t->bpe, "a tokenizer");
    struct sc_text pre = sc_text_of("default");
    SC_TRY(sc_gguf_get_text(gguf, "tokenizer.ggml.pre", &pre, err));
    t->pretokenizer = sc_pretokenizer_find(pre);
    if (!t->pretokenizer) return unknown_pretokenizer(pre, err);
    if (t->pretokenizer->add_bos) t->add_bos = true;
    SC_TRY(sc_splitter_compile(t->pretokenizer, &t->bpe->splitter, err));
    for (int byte = 0; byte < 256; byte++) {
        char letter[2];
        size_t n = sc_byte_level_encode((uint8_t)byte, letter);
        int32_t id = sc_vocabulary_find(&t->vocabulary, (struct sc_text){ letter, n });
        // A user-defined "õ" is that letter in a text, not byte F5.
        t->bpe->byte_ids[byte] = id >= 0 && t->vocabulary.types[id] == SC_TOKEN_NORMAL ? id : -1;
    }
    return load_merges(t, gguf, err);
}

static void release(struct sc_tokenizer *t)
{
    if (!t->bpe) return;
    sc_splitter_free(t->bpe->splitter);
    free(t->bpe->merges);
    free(t->bpe);
}

// ---------------------------------------------------------------------------------------------------- encoding

// The token that is the whole piece, or -1.
static int32_t whole_token(struct sc_encoding *e, struct sc_text piece)
{
    const struct sc_vocabulary *v = &e->tokenizer->vocabulary;
    if (piece.n_bytes > v->max_bytes) return -1;
    char letters[2 * SC_TOKEN_BYTES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < piece.n_bytes; i++) n += sc_byte_level_encode((uint8_t)piece.data[i], letters + n);
    int32_t id = sc_vocabulary_find(v, (struct sc_text){ letters, n });
    return id >= 0 && v->types[id] == SC_TOKEN_NORMAL ? id : -1;
}

static bool append_merged(struct sc_encoding *e)
{
    const struct sc_symbol *symbols = e->merger.symbols;
    for (uint32_t i = 0; i != SC_SYMBOL_NONE; i = symbols[i].next)
        if (!sc_token_ids_append(e->out, symbols[i].id)) return false;
    return true;
}

static socle_status encode_piece(void *context, struct sc_text piece)
{
    struct sc_encoding *e = context;
    const struct sc_tokenizer *t = e->tokenizer;
    int32_t whole = t->pretokenizer->ignore_merges ? whole_token(e, piece) : -1;
    if (whole >= 0) return sc_token_ids_append(e->out, whole) ? SOCLE_OK : sc_encoding_no_memory(e);
    if (!sc_merger_begin(&e->merger, piece.n_bytes)) return sc_encoding_no_memory(e);
    for (size_t i = 0; i < piece.n_bytes; i++) {
        int32_t id = t->bpe->byte_ids[(uint8_t)piece.data[i]];
        if (id < 0) id = t->unk;
        if (id >= 0) sc_merger_add(&e->merger, (uint32_t)i, 1, id); // a byte that no token can say is left out
    }
    if (e->merger.n_symbols == 0) return SOCLE_OK;
    sc_merger_run(&e->merger, find_rank, t->bpe);
    return append_merged(e) ? SOCLE_OK : sc_encoding_no_memory(e);
}

static socle_status encode_valid(struct sc_encoding *e, struct sc_text text)
{
    const struct sc_tokenizer *t = e->tokenizer;
    if (!e->split_scratch && !(e->split_scratch = sc_split_scratch_new(t->bpe->splitter)))
        return sc_encoding_no_memory(e);
    if (t->pretokenizer->nfc && !sc_normalize_is_plain(text)) {
        sc_buffer_clear(&e->scratch);
        if (!sc_normalize_nfc(text, &e->scratch)) return sc_encoding_no_memory(e);
        text = (struct sc_text){ e->scratch.data, e->scratch.n_bytes };
    }
    return sc_splitter_split(t->bpe->splitter, e->split_scratch, text, encode_piece, e, e->err);
}

static socle_status encode(struct sc_encoding *e, struct sc_text text)
{
    while (text.n_bytes) {
        size_t n = sc_utf8_valid_run(text.data, text.n_bytes);
        if (n) {
            SC_TRY(encode_valid(e, (struct sc_text){ text.data, n }));
        } else {
            n = 1;
            bool has_token = e->tokenizer->bpe->byte_ids[(uint8_t)text.data[0]] >= 0;
            SC_TRY(encode_piece(e, has_token ? (struct sc_text){ text.data, 1 } : sc_text_of(SC_UTF8_REPLACEMENT)));
        }
        text = (struct sc_text){ text.data + n, text.n_bytes - n };
    }
    return SOCLE_OK;
}

static bool decode(const struct sc_tokenizer *t, uint32_t id, struct sc_buffer *out)
{
    struct sc_text text = t->vocabulary.texts[id];
    if (t->vocabulary.types[id] == SC_TOKEN_USER_DEFINED) return sc_buffer_append(out, text.data, text.n_bytes);
    for (size_t at = 0; at < text.n_bytes;) {
        uint32_t c;
        size_t n = sc_utf8_decode(text.data + at, text.n_bytes - at, &c);
        int byte = n ? sc_byte_level_byte(c) : -1;
        // What is not of the alphabet stays as it is.
        bool ok = byte >= 0 ? sc_buffer_append_char(out, (char)byte) : sc_buffer_append(out, text.data + at, n ? n : 1);
        if (!ok) return false;
        at += n ? n : 1;
    }
    return true;
}

const struct sc_tokenizer_kind sc_tokenizer_bpe = {
    .models = { "gpt2" },
    .has_text = true,
    .bos = -1,
    .eos = -1,
    .unk = -1,
    .load = load,
    .release = release,
    .encode = encode,
    .decode = decode,
};
