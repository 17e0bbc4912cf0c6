// tokenizer.json and tokenizer_config.json of a GGUF file's metadata.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "models/hf_export.h"
#include "models/hf_pretokenizers.h"
#include "text/vocabulary.h"

struct tokens {
    struct sc_hf_export *x;
    const struct sc_gguf_value *texts, *types, *scores, *merges; // NULL: absent
    bool pieces;
};

static void fail(struct tokens *t, const char *what)
{
    struct sc_hf_export *x = t->x;
    if (x->status == SOCLE_OK) x->status = sc_fail(x->err, SOCLE_UNSUPPORTED, "%s: %s", sc_gguf_path(x->gguf), what);
}

static json_t *text_json(struct tokens *t, struct sc_text text)
{
    json_t *json = json_stringn(text.data, text.n_bytes);
    if (!json) fail(t, "a token is not UTF-8, which tokenizer.json cannot hold");
    return json;
}

static struct sc_text text_at(const struct sc_gguf_value *texts, uint64_t i) { return texts->strings[i]; }

static int64_t type_at(const struct tokens *t, uint64_t i)
{
    return t->types ? sc_gguf_int_at(t->types, i) : SC_TOKEN_NORMAL;
}

// ---- vocabulary

// Rows without a token are left out; special and user-defined tokens are "added" ones, as well as unknown.
static void split_tokens(struct tokens *t, json_t *vocabulary, json_t *added)
{
    for (uint64_t i = 0; i < t->texts->n && t->x->status == SOCLE_OK; i++) {
        int64_t type = type_at(t, i);
        struct sc_text text = text_at(t->texts, i);
        bool is_added = type == SC_TOKEN_CONTROL || type == SC_TOKEN_USER_DEFINED || type == SC_TOKEN_UNKNOWN;
        if (type == SC_TOKEN_UNUSED) continue;
        json_t *content = text_json(t, text);
        if (!content) return;
        if (!is_added || type == SC_TOKEN_UNKNOWN)
            json_object_setn_new(vocabulary, text.data, text.n_bytes, json_integer((json_int_t)i));
        if (is_added)
            json_array_append_new(added, json_pack("{s:I, s:O, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)i,
                                                   "content", content, "single_word", 0, "lstrip", 0, "rstrip", 0,
                                                   "normalized", 0, "special", type != SC_TOKEN_USER_DEFINED));
        json_decref(content);
    }
}

static json_t *merges_json(struct tokens *t)
{
    json_t *list = json_array();
    for (uint64_t i = 0; i < t->merges->n && t->x->status == SOCLE_OK; i++) {
        struct sc_text merge = text_at(t->merges, i);
        const char *space = memchr(merge.data, ' ', merge.n_bytes);
        size_t left = space ? (size_t)(space - merge.data) : 0;
        if (!space) fail(t, "a merge is no pair of tokens");
        else
            json_array_append_new(list,
                                  json_pack("[o, o]", text_json(t, (struct sc_text){ merge.data, left }),
                                            text_json(t, (struct sc_text){ space + 1, merge.n_bytes - left - 1 })));
    }
    return list;
}

struct pair {
    float score;
    uint64_t id;
    size_t left; // bytes
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score < y->score ? 1 : -1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->left > y->left) - (x->left < y->left);
}

// SentencePiece scores tokens; a merge is any two tokens that make one, the better its score the earlier.
static json_t *merges_by_score(struct tokens *t, const json_t *vocabulary)
{
    struct sc_buffer pairs = { 0 };
    json_t *list = json_array();
    for (uint64_t i = 0; i < t->texts->n; i++) {
        struct sc_text text = text_at(t->texts, i);
        if (type_at(t, i) != SC_TOKEN_NORMAL || !t->scores) continue;
        for (size_t left = 1; left < text.n_bytes; left++) {
            if (((unsigned char)text.data[left] & 0xC0) == 0x80) continue;
            if (!json_object_getn(vocabulary, text.data, left) ||
                !json_object_getn(vocabulary, text.data + left, text.n_bytes - left))
                continue;
            struct pair pair = { sc_gguf_float_at(t->scores, i), i, left };
            sc_buffer_append(&pairs, (const char *)&pair, sizeof pair);
        }
    }
    size_t n = pairs.n_bytes / sizeof(struct pair);
    struct pair *sorted = malloc(n * sizeof *sorted + 1);
    if (sorted && n) memcpy(sorted, pairs.data, n * sizeof *sorted);
    if (sorted) qsort(sorted, n, sizeof *sorted, compare_pairs);
    for (size_t i = 0; sorted && i < n; i++) {
        struct sc_text text = text_at(t->texts, sorted[i].id);
        json_array_append_new(list, json_pack("[o, o]", json_stringn(text.data, sorted[i].left),
                                              json_stringn(text.data + sorted[i].left, text.n_bytes - sorted[i].left)));
    }
    if (pairs.failed || !sorted) fail(t, "not enough memory for its merges");
    free(sorted);
    sc_buffer_free(&pairs);
    return list;
}

// ---- what happens before and after

static json_t *pre_tokenizer_json(size_t row)
{
    json_t *parts = json_array();
    bool bytes = false;
    for (size_t k = 0; k < HF_PATTERNS_MAX && pretokenizers[row].patterns[k]; k++) {
        const char *pattern = pretokenizers[row].patterns[k];
        bool splits = strcmp(pattern, GPT2) == 0;
        bytes = bytes || splits;
        if (splits)
            json_array_append_new(parts, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                                                   "trim_offsets", 1, "use_regex", 1));
        else if (strcmp(pattern, DIGITS) == 0)
            json_array_append_new(parts, json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", 1));
        else if (strcmp(pattern, PUNCTUATION) == 0)
            json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "Punctuation", "behavior", "Contiguous"));
        else
            json_array_append_new(parts, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                                                   pattern, "behavior", "Isolated", "invert", 0));
    }
    if (!bytes)
        json_array_append_new(parts, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                                               "trim_offsets", 0, "use_regex", 0));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", parts);
}

static size_t find_row(struct tokens *t)
{
    struct sc_text pre = { 0 };
    char what[200];
    if (sc_gguf_get_text(t->x->gguf, "tokenizer.ggml.pre", &pre, t->x->err) != SOCLE_OK) pre = (struct sc_text){ 0 };
    for (size_t i = 0; i < SC_COUNT(pretokenizers); i++)
        if (pre.data && sc_text_is(pre, pretokenizers[i].name)) return i;
    snprintf(what, sizeof what, "its pre-tokenizer '%.*s' cannot be written as tokenizer.json (--no-tokenizer)",
             SC_TEXT_ARGS(pre));
    fail(t, what);
    return 0;
}

static int64_t role(const struct tokens *t, const char *key)
{
    uint32_t id = UINT32_MAX;
    return sc_gguf_get_u32(t->x->gguf, key, &id, NULL) == SOCLE_OK && id < t->texts->n ? (int64_t)id : -1;
}

static bool flag(const struct tokens *t, const char *key)
{
    bool value = false;
    return sc_gguf_get_bool(t->x->gguf, key, &value, NULL) == SOCLE_OK && value;
}

static json_t *special_json(const struct tokens *t, int64_t id)
{
    struct sc_text text = text_at(t->texts, (uint64_t)id);
    return json_pack("{s:{s:s%, s:i}}", "SpecialToken", "id", text.data, text.n_bytes, "type_id", 0);
}

// A TemplateProcessing that adds what the file says; null when it adds nothing.
static json_t *post_processor_json(const struct tokens *t)
{
    int64_t ids[2] = { flag(t, "tokenizer.ggml.add_bos_token") ? role(t, "tokenizer.ggml.bos_token_id") : -1,
                       flag(t, "tokenizer.ggml.add_eos_token") ? role(t, "tokenizer.ggml.eos_token_id") : -1 };
    if (ids[0] < 0 && ids[1] < 0) return json_null();
    json_t *single = json_array(), *tokens = json_object();
    if (ids[0] >= 0) json_array_append_new(single, special_json(t, ids[0]));
    json_array_append_new(single, json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0));
    if (ids[1] >= 0) json_array_append_new(single, special_json(t, ids[1]));
    for (size_t i = 0; i < 2; i++) {
        if (ids[i] < 0) continue;
        struct sc_text text = text_at(t->texts, (uint64_t)ids[i]);
        json_object_setn_new(tokens, text.data, text.n_bytes,
                             json_pack("{s:s%, s:[I], s:[s%]}", "id", text.data, text.n_bytes, "ids",
                                       (json_int_t)ids[i], "tokens", text.data, text.n_bytes));
    }
    json_t *pair = json_deep_copy(single);
    json_array_append_new(pair, json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1));
    return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair", pair,
                     "special_tokens", tokens);
}

// ---- the files

static json_t *pieces_json(struct tokens *t, json_t *vocabulary, json_t *added)
{
    bool space = true; // what GGUF means when it does not say
    sc_gguf_get_bool(t->x->gguf, "tokenizer.ggml.add_space_prefix", &space, NULL);
    json_t *normalizers = json_array(), *merges = merges_by_score(t, vocabulary);
    int64_t unknown = role(t, "tokenizer.ggml.unknown_token_id");
    if (space)
        json_array_append_new(normalizers, json_pack("{s:s, s:s}", "type", "Prepend", "prepend", "\xe2\x96\x81"));
    json_array_append_new(normalizers, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", " ",
                                                 "content", "\xe2\x96\x81"));
    struct sc_text unk = unknown >= 0 ? text_at(t->texts, (uint64_t)unknown) : sc_text_of("<unk>");
    json_t *model = json_pack("{s:s, s:s%, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "unk_token", unk.data, unk.n_bytes,
                              "fuse_unk", 1, "byte_fallback", 1, "ignore_merges", 0, "vocab", vocabulary, "merges",
                              merges);
    json_t *decoders = json_pack("[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}]", "type", "Replace", "pattern", "String",
                                 "\xe2\x96\x81", "content", " ", "type", "ByteFallback", "type", "Fuse");
    if (space)
        json_array_append_new(
            decoders, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
    return json_pack("{s:s, s:n, s:n, s:o, s:{s:s, s:o}, s:n, s:o, s:{s:s, s:o}, s:o}", "version", "1.0", "truncation",
                     "padding", "added_tokens", added, "normalizer", "type", "Sequence", "normalizers", normalizers,
                     "pre_tokenizer", "post_processor", post_processor_json(t), "decoder", "type", "Sequence",
                     "decoders", decoders, "model", model);
}

static json_t *bytes_json(struct tokens *t, json_t *vocabulary, json_t *added)
{
    size_t row = find_row(t);
    json_t *normalizer = pretokenizers[row].nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    json_t *model = json_pack("{s:s, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "unk_token", "fuse_unk", 0,
                              "byte_fallback", 0, "ignore_merges", pretokenizers[row].whole, "vocab", vocabulary,
                              "merges", merges_json(t));
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:{s:s, s:b, s:b, s:b}, s:o}", "version", "1.0", "truncation",
                     "padding", "added_tokens", added, "normalizer", normalizer, "pre_tokenizer",
                     pre_tokenizer_json(row), "post_processor", post_processor_json(t), "decoder", "type",
                     "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1, "model", model);
}

static json_t *config_json(struct tokens *t)
{
    static const char *const roles[][2] = { { "bos_token", "tokenizer.ggml.bos_token_id" },
                                            { "eos_token", "tokenizer.ggml.eos_token_id" },
                                            { "unk_token", "tokenizer.ggml.unknown_token_id" },
                                            { "pad_token", "tokenizer.ggml.padding_token_id" } };
    json_t *config = json_pack("{s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                               "clean_up_tokenization_spaces", 0);
    struct sc_text template = { 0 };
    for (size_t i = 0; i < SC_COUNT(roles); i++) {
        int64_t id = role(t, roles[i][1]);
        if (id >= 0) json_object_set_new(config, roles[i][0], text_json(t, text_at(t->texts, (uint64_t)id)));
    }
    json_object_set_new(config, "add_bos_token", json_boolean(flag(t, "tokenizer.ggml.add_bos_token")));
    json_object_set_new(config, "add_eos_token", json_boolean(flag(t, "tokenizer.ggml.add_eos_token")));
    if (sc_gguf_get_text(t->x->gguf, "tokenizer.chat_template", &template, NULL) == SOCLE_OK && template.data)
        json_object_set_new(config, "chat_template", json_stringn(template.data, template.n_bytes));
    return config;
}

void sc_hf_export_tokenizer(struct sc_hf_export *x)
{
    if (x->status != SOCLE_OK) return;
    struct tokens t = { .x = x,
                        .texts = sc_gguf_find(x->gguf, "tokenizer.ggml.tokens"),
                        .types = sc_gguf_find(x->gguf, "tokenizer.ggml.token_type"),
                        .scores = sc_gguf_find(x->gguf, "tokenizer.ggml.scores"),
                        .merges = sc_gguf_find(x->gguf, "tokenizer.ggml.merges") };
    struct sc_text kind = { 0 };
    x->status = sc_gguf_get_text(x->gguf, "tokenizer.ggml.model", &kind, x->err);
    if (x->status != SOCLE_OK) return;
    t.pieces = kind.data && sc_text_is(kind, "llama");
    bool lengths = t.texts && t.texts->type == SC_GGUF_STRING && (!t.types || t.types->n == t.texts->n) &&
                   (!t.scores || t.scores->n == t.texts->n);
    if (!lengths || (t.pieces ? !t.scores : !kind.data || !sc_text_is(kind, "gpt2") || !t.merges)) {
        fail(&t, "its tokenizer is none that tokenizer.json can be written for (--no-tokenizer leaves it out)");
        return;
    }
    json_t *vocabulary = json_object(), *added = json_array();
    split_tokens(&t, vocabulary, added);
    sc_hf_export_json(x, "tokenizer.json",
                      t.pieces ? pieces_json(&t, vocabulary, added) : bytes_json(&t, vocabulary, added));
    sc_hf_export_json(x, "tokenizer_config.json", config_json(&t));
    snprintf(x->result->text, sizeof x->result->text, "%s, %llu tokens", t.pieces ? "SentencePiece" : "byte-level BPE",
             (unsigned long long)t.texts->n);
}
