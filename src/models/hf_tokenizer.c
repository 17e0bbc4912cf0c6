// tokenizer.json, tokenizer_config.json and chat_template.jinja, as GGUF's metadata.
//
// Two kinds are known: byte-level BPE ("gpt2"), and BPE over characters with bytes to fall back on ("llama", which
// SentencePiece made): its merges are ranked, GGUF's are scored by token, so a token's score is less one for each rank
// of the first merge that makes it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "models/hf_internal.h"
#include "models/hf_pretokenizers.h"
#include "text/vocabulary.h"

struct tokens {
    struct sc_hf *hf;
    json_t *document, *config; // tokenizer.json and tokenizer_config.json (may be NULL)
    const json_t *model;
    uint32_t n;
    struct sc_text *texts; // [n]
    int32_t *types;
    float *scores;
};

static void set_text(struct sc_hf *hf, const char *key, struct sc_text value)
{
    if (hf->status == SOCLE_OK) hf->status = sc_gguf_writer_set_text(hf->writer, key, value, hf->err);
}

static void set_bool(struct sc_hf *hf, const char *key, bool value)
{
    if (hf->status == SOCLE_OK) hf->status = sc_gguf_writer_set_bool(hf->writer, key, value, hf->err);
}

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "";
}

// ---- tokens

static bool put(struct tokens *t, const char *text, size_t n_bytes, const json_t *id, int32_t type)
{
    json_int_t i = json_integer_value(id);
    if (!json_is_integer(id) || i < 0 || i >= (json_int_t)t->n) {
        sc_hf_fail(t->hf, SOCLE_BAD_FILE, "tokenizer.json: token '%.50s' has the id %lld, but vocab_size is %u", text,
                   (long long)i, t->n);
        return false;
    }
    t->texts[i] = (struct sc_text){ text, n_bytes };
    t->types[i] = type;
    return true;
}

static bool is_byte(const char *text, size_t n) { return n == 6 && strncmp(text, "<0x", 3) == 0 && text[5] == '>'; }

static void read_vocabulary(struct tokens *t)
{
    json_t *vocabulary = json_object_get(t->model, "vocab"), *id, *added;
    const char *text, *unknown = json_string_value(json_object_get(t->model, "unk_token"));
    bool falls_back = json_is_true(json_object_get(t->model, "byte_fallback"));
    size_t i;
    if (!json_is_object(vocabulary))
        sc_hf_fail(t->hf, SOCLE_BAD_FILE, "tokenizer.json: there is no object 'model.vocab'");
    json_object_foreach (vocabulary, text, id) {
        size_t n = strlen(text);
        int32_t type = unknown && strcmp(text, unknown) == 0 ? SC_TOKEN_UNKNOWN : SC_TOKEN_NORMAL;
        if (falls_back && is_byte(text, n)) type = SC_TOKEN_BYTE;
        if (!put(t, text, n, id, type)) return;
    }
    json_array_foreach (json_object_get(t->document, "added_tokens"), i, added) {
        const json_t *content = json_object_get(added, "content");
        bool special = json_is_true(json_object_get(added, "special"));
        const char *own = json_string_value(content);
        if (!own) continue;
        bool is_unknown = unknown && strcmp(own, unknown) == 0;
        if (!put(t, own, json_string_length(content), json_object_get(added, "id"),
                 is_unknown ? SC_TOKEN_UNKNOWN
                 : special  ? SC_TOKEN_CONTROL
                            : SC_TOKEN_USER_DEFINED))
            return;
    }
}

// Rows of the matrix that no token has.
static void fill(struct tokens *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->texts[i].data) continue;
        char filler[32];
        int n = snprintf(filler, sizeof filler, "[PAD%u]", i);
        char *copy = sc_arena_text(&t->hf->arena, filler, (size_t)n);
        t->texts[i] = (struct sc_text){ copy ? copy : "", copy ? (size_t)n : 0 };
        t->types[i] = SC_TOKEN_UNUSED;
    }
}

// "left right", whether it is a text or a pair.
static struct sc_text merge_text(struct tokens *t, const json_t *merge)
{
    if (json_is_string(merge)) return (struct sc_text){ json_string_value(merge), json_string_length(merge) };
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right)) return (struct sc_text){ 0 };
    size_t n = json_string_length(left), m = json_string_length(right);
    char *text = sc_arena_alloc(&t->hf->arena, n + m + 2);
    if (!text) return (struct sc_text){ 0 };
    memcpy(text, json_string_value(left), n);
    text[n] = ' ';
    memcpy(text + n + 1, json_string_value(right), m);
    text[n + 1 + m] = '\0';
    return (struct sc_text){ text, n + m + 1 };
}

static const json_t *merges_of(const struct tokens *t) { return json_object_get(t->model, "merges"); }

static void set_merges(struct tokens *t)
{
    const json_t *merges = merges_of(t), *merge;
    size_t i, n = json_array_size(merges);
    struct sc_text *texts = sc_arena_array(&t->hf->arena, n + 1, sizeof *texts);
    if (!texts) t->hf->status = sc_fail_memory(t->hf->err, n * sizeof *texts, "merges");
    json_array_foreach (merges, i, merge) {
        if (t->hf->status != SOCLE_OK) return;
        texts[i] = merge_text(t, merge);
        if (!texts[i].data) sc_hf_fail(t->hf, SOCLE_BAD_FILE, "tokenizer.json: merge %zu is no pair of tokens", i);
    }
    if (t->hf->status == SOCLE_OK)
        t->hf->status = sc_gguf_writer_set_texts(t->hf->writer, "tokenizer.ggml.merges", texts, n, t->hf->err);
}

static void score(struct tokens *t)
{
    const json_t *vocabulary = json_object_get(t->model, "vocab"), *merge;
    size_t rank;
    for (uint32_t i = 0; i < t->n; i++) t->scores[i] = -1e6f; // is made by no merge
    json_array_foreach (merges_of(t), rank, merge) {
        struct sc_text text = merge_text(t, merge);
        char joined[SC_TOKEN_BYTES_MAX + 2];
        const char *space = text.data ? memchr(text.data, ' ', text.n_bytes) : NULL;
        if (!space || text.n_bytes >= sizeof joined) continue;
        size_t left = (size_t)(space - text.data), right = text.n_bytes - left - 1;
        memcpy(joined, text.data, left);
        memcpy(joined + left, space + 1, right);
        joined[left + right] = '\0';
        const json_t *id = json_object_get(vocabulary, joined);
        json_int_t i = json_integer_value(id);
        if (json_is_integer(id) && i >= 0 && i < (json_int_t)t->n && t->scores[i] < -9e5f) t->scores[i] = -(float)rank;
    }
}

static void set_tokens(struct tokens *t)
{
    struct sc_hf *hf = t->hf;
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_texts(hf->writer, "tokenizer.ggml.tokens", t->texts, t->n, hf->err);
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_i32s(hf->writer, "tokenizer.ggml.token_type", t->types, t->n, hf->err);
}

// ---- what happens before

// Adds what a pre-tokenizer splits by; false when it is not one that is known.
static bool add_patterns(const json_t *pre, const char *patterns[HF_PATTERNS_MAX], size_t *n)
{
    const char *type = type_of(pre), *pattern = NULL;
    if (strcmp(type, "Sequence") == 0) {
        const json_t *one;
        size_t i;
        json_array_foreach (json_object_get(pre, "pretokenizers"), i, one)
            if (!add_patterns(one, patterns, n)) return false;
        return true;
    }
    if (strcmp(type, "Split") == 0) {
        const json_t *how = json_object_get(pre, "pattern");
        pattern = json_string_value(json_object_get(how, "Regex"));
    } else if (strcmp(type, "Digits") == 0) {
        if (json_is_true(json_object_get(pre, "individual_digits"))) pattern = DIGITS;
    } else if (strcmp(type, "Punctuation") == 0) {
        const char *behavior = json_string_value(json_object_get(pre, "behavior"));
        if (behavior && strcmp(behavior, "Contiguous") == 0) pattern = PUNCTUATION;
    } else if (strcmp(type, "ByteLevel") == 0) {
        if (json_is_false(json_object_get(pre, "use_regex"))) return true; // bytes as letters, no more
        pattern = GPT2;
    }
    if (!pattern || *n == HF_PATTERNS_MAX) return false;
    patterns[(*n)++] = pattern;
    return true;
}

static bool has_nfc(const json_t *normalizer)
{
    const json_t *one;
    size_t i;
    bool found = strcmp(type_of(normalizer), "NFC") == 0;
    json_array_foreach (json_object_get(normalizer, "normalizers"), i, one) found = found || has_nfc(one);
    return found;
}

// Line ends may stand as themselves or as escapes.
static bool same_pattern(const char *known, const char *found)
{
    while (*known && *found) {
        char escaped = *found == '\r' ? 'r' : *found == '\n' ? 'n' : '\0';
        if (escaped) {
            if (known[0] != '\\' || known[1] != escaped) return false;
            known += 2;
            found++;
        } else if (*known++ != *found++) return false;
    }
    return *known == *found;
}

static const char *find_pretokenizer(struct tokens *t)
{
    const char *patterns[HF_PATTERNS_MAX] = { 0 };
    size_t n = 0;
    const json_t *pre = json_object_get(t->document, "pre_tokenizer");
    bool known = add_patterns(pre, patterns, &n), nfc = has_nfc(json_object_get(t->document, "normalizer"));
    bool whole = json_is_true(json_object_get(t->model, "ignore_merges"));
    for (size_t i = 0; known && i < SC_COUNT(pretokenizers); i++) {
        bool same = pretokenizers[i].nfc == nfc && pretokenizers[i].whole == whole;
        const char *family = pretokenizers[i].family;
        same = same && (!family || strcmp(family, t->hf->family->name) == 0);
        for (size_t k = 0; same && k < HF_PATTERNS_MAX; k++) {
            const char *own = pretokenizers[i].patterns[k];
            same = own && patterns[k] ? same_pattern(own, patterns[k]) : own == patterns[k];
        }
        if (same) return pretokenizers[i].name;
    }
    char *text = json_dumps(pre, JSON_COMPACT | JSON_ENCODE_ANY);
    sc_hf_fail(t->hf, SOCLE_UNSUPPORTED,
               "tokenizer.json: a pre-tokenizer that is not known (--no-tokenizer converts the weights alone): %.300s",
               text ? text : "");
    free(text);
    return NULL;
}

// SentencePiece's space at the beginning: a normalizer that prepends it, or a Metaspace that does.
static bool prepends_space(const json_t *part)
{
    static const char *const lists[] = { "normalizers", "pretokenizers" };
    const char *scheme = json_string_value(json_object_get(part, "prepend_scheme"));
    bool found = strcmp(type_of(part), "Prepend") == 0;
    if (strcmp(type_of(part), "Metaspace") == 0) found = !scheme || strcmp(scheme, "never") != 0;
    const json_t *one;
    size_t i;
    for (size_t k = 0; k < SC_COUNT(lists); k++)
        json_array_foreach (json_object_get(part, lists[k]), i, one) found = found || prepends_space(one);
    return found;
}

// ---- roles

static int32_t find_id(const struct tokens *t, const char *text)
{
    for (uint32_t i = 0; text && i < t->n; i++)
        if (sc_text_is(t->texts[i], text)) return (int32_t)i;
    return -1;
}

static void set_role(struct tokens *t, const char *role, const char *key)
{
    char name[64];
    snprintf(name, sizeof name, "%s_token", role);
    const json_t *token = json_object_get(t->config, name);
    const char *text = json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
    int32_t id = find_id(t, text);
    if (id < 0) {
        snprintf(name, sizeof name, "%s_token_id", role);
        const json_t *number = json_object_get(t->hf->config, name);
        if (!number) number = json_object_get(t->hf->document, name);
        if (json_is_array(number)) number = json_array_get(number, 0);
        json_int_t value = json_is_integer(number) ? json_integer_value(number) : -1;
        if (value >= 0 && value < (json_int_t)t->n) id = (int32_t)value;
    }
    if (id >= 0 && t->hf->status == SOCLE_OK)
        t->hf->status = sc_gguf_writer_set_u32(t->hf->writer, key, (uint32_t)id, t->hf->err);
}

// What stands at the beginning (end) of a single text: tokenizer_config.json says it, or the post-processor does.
static bool adds(const struct tokens *t, const char *key, bool at_end)
{
    const json_t *own = json_object_get(t->config, key), *post = json_object_get(t->document, "post_processor"), *one;
    size_t i;
    if (json_is_boolean(own)) return json_is_true(own);
    const json_t *template = strcmp(type_of(post), "TemplateProcessing") == 0 ? post : NULL;
    json_array_foreach (json_object_get(post, "processors"), i, one)
        if (strcmp(type_of(one), "TemplateProcessing") == 0) template = one;
    const json_t *single = json_object_get(template, "single");
    const json_t *part = json_array_get(single, at_end ? json_array_size(single) - 1 : 0);
    return json_object_get(part, "SpecialToken") != NULL;
}

static void set_template(struct tokens *t)
{
    char path[4096], *text = NULL;
    size_t n, i;
    const json_t *template = json_object_get(t->config, "chat_template"), *one;
    json_array_foreach (template, i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && strcmp(name, "default") == 0) template = json_object_get(one, "template");
    }
    snprintf(path, sizeof path, "%s/chat_template.jinja", t->hf->folder);
    if (sc_read_file(path, 16 << 20, &text, &n, NULL) == SOCLE_OK)
        set_text(t->hf, "tokenizer.chat_template", (struct sc_text){ text, n });
    else if (json_is_string(template))
        set_text(t->hf, "tokenizer.chat_template",
                 (struct sc_text){ json_string_value(template), json_string_length(template) });
    free(text);
}

// ---- all

static void convert(struct tokens *t)
{
    struct sc_hf *hf = t->hf;
    bool pieces = json_is_true(json_object_get(t->model, "byte_fallback"));
    if (strcmp(type_of(t->model), "BPE") != 0) {
        sc_hf_fail(hf, SOCLE_UNSUPPORTED,
                   "tokenizer.json: a model of type '%s': expected BPE (--no-tokenizer converts the weights alone)",
                   type_of(t->model));
        return;
    }
    read_vocabulary(t);
    fill(t);
    const char *pre = pieces || hf->status != SOCLE_OK ? NULL : find_pretokenizer(t);
    set_text(hf, "tokenizer.ggml.model", sc_text_of(pieces ? "llama" : "gpt2"));
    if (pre) set_text(hf, "tokenizer.ggml.pre", sc_text_of(pre));
    set_tokens(t);
    if (pieces) {
        score(t);
        if (hf->status == SOCLE_OK)
            hf->status = sc_gguf_writer_set_f32s(hf->writer, "tokenizer.ggml.scores", t->scores, t->n, hf->err);
        set_bool(hf, "tokenizer.ggml.add_space_prefix",
                 prepends_space(json_object_get(t->document, "normalizer")) ||
                     prepends_space(json_object_get(t->document, "pre_tokenizer")));
    } else {
        set_merges(t);
    }
    set_role(t, "bos", "tokenizer.ggml.bos_token_id");
    set_role(t, "eos", "tokenizer.ggml.eos_token_id");
    set_role(t, "unk", "tokenizer.ggml.unknown_token_id");
    set_role(t, "pad", "tokenizer.ggml.padding_token_id");
    set_bool(hf, "tokenizer.ggml.add_bos_token", adds(t, "add_bos_token", false));
    set_bool(hf, "tokenizer.ggml.add_eos_token", adds(t, "add_eos_token", true));
    set_template(t);
    snprintf(hf->result->text, sizeof hf->result->text, "%s%s%s, %u tokens",
             pieces ? "SentencePiece" : "byte-level BPE", pre ? ", " : "", pre ? pre : "", t->n);
}

void sc_hf_tokenizer(struct sc_hf *hf)
{
    if (hf->status != SOCLE_OK) return;
    struct tokens t = { .hf = hf, .n = hf->n_vocab };
    t.document = sc_hf_read_json(hf, "tokenizer.json", true);
    t.config = sc_hf_read_json(hf, "tokenizer_config.json", false);
    t.model = json_object_get(t.document, "model");
    t.texts = sc_arena_array(&hf->arena, t.n, sizeof *t.texts);
    t.types = sc_arena_array(&hf->arena, t.n, sizeof *t.types);
    t.scores = sc_arena_array(&hf->arena, t.n, sizeof *t.scores);
    if (hf->status == SOCLE_OK && (!t.texts || !t.types || !t.scores))
        hf->status = sc_fail_memory(hf->err, t.n * sizeof *t.texts, "a vocabulary");
    if (hf->status == SOCLE_OK) {
        memset(t.texts, 0, t.n * sizeof *t.texts);
        convert(&t);
    }
    json_decref(t.document);
    json_decref(t.config);
}
