// WordPiece, the tokenizer of BERT and its family: the text is cleaned, lower-cased and rid of accents, cut into words
// at spaces, punctuation and Chinese characters, and each word is covered from the left by the longest tokens. A word
// that cannot be covered is one unknown token.
// Sources: Devlin et al., BERT (2019), tokenization.py; Hugging Face's BertNormalizer and BertPreTokenizer, whose sets
// of characters are followed.
//
// Vocabularies come in two spellings: as published, where the tokens that continue a word begin with "##", and as GGUF
// converters write it, where the tokens that begin a word begin with "▁" and "##" is gone.
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/size.h"
#include "formats/gguf.h"
#include "text/normalize.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

#define PHANTOM_SPACE "\xE2\x96\x81"

enum { WORD_CHARACTERS_MAX = 100 }; // longer words are unknown

static socle_status load(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    t->lowercase = true;
    SC_TRY(sc_gguf_get_bool(gguf, "tokenizer.ggml.normalizer.lowercase", &t->lowercase, err));
    t->strip_accents = t->lowercase;
    SC_TRY(sc_gguf_get_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", &t->strip_accents, err));
    t->add_space_prefix = true;
    for (uint32_t id = 0; id < t->vocabulary.n && !t->phantom_space; id++) {
        struct sc_text text = t->vocabulary.texts[id];
        t->phantom_space = text.n_bytes > 3 && memcmp(text.data, PHANTOM_SPACE, 3) == 0;
    }
    if (t->unk < 0) return sc_fail(err, SOCLE_BAD_FILE, "a WordPiece vocabulary needs tokenizer.ggml.unknown_token_id");
    return SOCLE_OK;
}

static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || // BERT's own begins at 2B820; Hugging Face's, which models use, here
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool is_punctuation(uint32_t c)
{
    if (c < 0x80) return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

static bool is_dropped(uint32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r') return false;
    if (c == 0xFFFD) return true;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

// A word under way.
struct word {
    char bytes[4 * WORD_CHARACTERS_MAX];
    size_t n_bytes, n_characters; // characters go on counting when there is no room
};

// The longest token at bytes[0..n) of a word, its length in *n_token, or -1.
static int32_t longest_token(const struct sc_tokenizer *t, const char *bytes, size_t n, bool first, size_t *n_token)
{
    const struct sc_vocabulary *v = &t->vocabulary;
    char key[3 + 4 * WORD_CHARACTERS_MAX];
    const char *prefix = t->phantom_space ? (first ? PHANTOM_SPACE : "") : (first ? "" : "##");
    size_t n_prefix = strlen(prefix);
    if (v->max_bytes <= n_prefix) return -1;
    // A "▁" that stands in the text must not find the tokens that begin words.
    if (t->phantom_space && !first && n >= 3 && memcmp(bytes, PHANTOM_SPACE, 3) == 0) return -1;
    n = SC_MIN(n, v->max_bytes - n_prefix);
    memcpy(key, prefix, n_prefix);
    memcpy(key + n_prefix, bytes, n);
    for (; n > 0; n--) {
        int32_t id = sc_vocabulary_find(v, (struct sc_text){ key, n_prefix + n });
        if (id < 0) continue;
        *n_token = n;
        return id;
    }
    return -1;
}

static bool append_word(struct sc_encoding *e, struct word *word)
{
    size_t n_before = e->out->n;
    bool covered = word->n_characters <= WORD_CHARACTERS_MAX;
    for (size_t at = 0, n; covered && at < word->n_bytes; at += n) {
        int32_t id = longest_token(e->tokenizer, word->bytes + at, word->n_bytes - at, at == 0, &n);
        covered = id >= 0;
        if (covered && !sc_token_ids_append(e->out, id)) return false;
        if (!covered) break;
    }
    bool empty = word->n_characters == 0;
    word->n_bytes = word->n_characters = 0;
    if (covered || empty) return true;
    e->out->n = n_before;
    return sc_token_ids_append(e->out, e->tokenizer->unk);
}

static void add_character(struct word *word, uint32_t c)
{
    if (word->n_characters++ < WORD_CHARACTERS_MAX) word->n_bytes += sc_utf8_encode(c, word->bytes + word->n_bytes);
}

static bool take_character(struct sc_encoding *e, struct word *word, uint32_t c)
{
    if (sc_unicode_is_space(c)) return append_word(e, word);
    bool alone = is_chinese(c) || is_punctuation(c);
    if (alone && !append_word(e, word)) return false;
    if (e->tokenizer->lowercase) {
        uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
        add_character(word, lower);
        if (c == 0x130 && lower == 'i') add_character(word, 0x307); // the one letter whose small form is two
    } else {
        add_character(word, c);
    }
    return !alone || append_word(e, word);
}

static bool is_accent(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN; }

static socle_status encode_valid(struct sc_encoding *e, struct sc_text text, struct word *word,
                                 struct sc_code_points *parts)
{
    bool strip = e->tokenizer->strip_accents;
    if (strip && !sc_normalize_nfd(text, parts)) return sc_encoding_no_memory(e);
    size_t at = 0, i = 0;
    while (strip ? i < parts->n : at < text.n_bytes) {
        uint32_t c;
        if (strip) c = (uint32_t)parts->data[i++];
        else at += sc_utf8_decode(text.data + at, text.n_bytes - at, &c);
        if (is_dropped(c) || (strip && is_accent(c))) continue;
        if (!take_character(e, word, c)) return sc_encoding_no_memory(e);
    }
    return SOCLE_OK;
}

static socle_status encode(struct sc_encoding *e, struct sc_text text)
{
    struct word word;
    word.n_bytes = word.n_characters = 0;
    struct sc_code_points parts = { 0 };
    socle_status status = SOCLE_OK;
    while (text.n_bytes && status == SOCLE_OK) {
        // Invalid bytes read as U+FFFD, which the normalizer drops.
        size_t n = sc_utf8_valid_run(text.data, text.n_bytes);
        if (n) status = encode_valid(e, (struct sc_text){ text.data, n }, &word, &parts);
        else n = 1;
        text = (struct sc_text){ text.data + n, text.n_bytes - n };
    }
    if (status == SOCLE_OK && !append_word(e, &word)) status = sc_encoding_no_memory(e);
    sc_code_points_free(&parts);
    return status;
}

static bool decode(const struct sc_tokenizer *t, uint32_t id, struct sc_buffer *out)
{
    struct sc_text text = t->vocabulary.texts[id];
    const char *mark = t->phantom_space ? PHANTOM_SPACE : "##";
    size_t n_mark = strlen(mark);
    bool marked = text.n_bytes > n_mark && memcmp(text.data, mark, n_mark) == 0;
    if (marked == t->phantom_space && !sc_buffer_append_char(out, ' ')) return false; // a word begins
    size_t skip = marked ? n_mark : 0;
    return sc_buffer_append(out, text.data + skip, text.n_bytes - skip);
}

const struct sc_tokenizer_kind sc_tokenizer_wordpiece = {
    .models = { "bert" },
    .has_text = true,
    .add_bos = true,
    .add_eos = true,
    .bos = -1,
    .eos = -1,
    .unk = -1,
    .bos_text = "[CLS]",
    .eos_text = "[SEP]",
    .unk_text = "[UNK]",
    .load = load,
    .encode = encode,
    .decode = decode,
};
