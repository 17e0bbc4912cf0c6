// Dictionaries: entries in the order of their insertion, with an index of hashes when there are many.
#include "text/template_internal.h"

#include <math.h>
#include <string.h>

enum { LINEAR_MAX = 8 }; // up to here a search walks through the entries

bool sc_template_is_hashable(struct value value)
{
    if (value.kind == VALUE_TUPLE) return true; // its items are asked when it is hashed
    return value.kind != VALUE_LIST && value.kind != VALUE_DICT && value.kind != VALUE_VIEW;
}

static uint64_t hash_bytes(const void *bytes, size_t n_bytes)
{
    uint64_t hash = 14695981039346656037u; // FNV-1a
    for (size_t i = 0; i < n_bytes; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

// Numbers that are equal hash alike, whatever their kinds.
static uint64_t hash_number(struct value value)
{
    double real = sc_template_real(value);
    if (sc_template_is_integer(value)) {
        int64_t integer = value.kind == VALUE_BOOL ? value.boolean : value.integer;
        return hash_bytes(&integer, sizeof integer);
    }
    if (real >= -9223372036854775808.0 && real < 9223372036854775808.0 && real == floor(real)) {
        int64_t integer = (int64_t)real;
        return hash_bytes(&integer, sizeof integer);
    }
    return hash_bytes(&real, sizeof real);
}

static bool hash_value(struct run *run, struct value value, uint64_t *out)
{
    if (!sc_template_is_hashable(value))
        return sc_template_fail(run, "unhashable type: '%s'", sc_template_type_name(value));
    if (value.kind == VALUE_STRING) {
        *out = hash_bytes(value.string->data, value.string->n_bytes);
        return value.string->n_bytes < 1024 || sc_template_step_bytes(run, value.string->n_bytes);
    }
    if (sc_template_is_number(value)) {
        *out = hash_number(value);
        return true;
    }
    *out = (uint64_t)value.kind;
    if (value.kind != VALUE_TUPLE) return true;
    if (!sc_template_enter(run) || !sc_template_step(run, 1)) return false;
    for (size_t i = 0; i < value.list->n; i++) {
        uint64_t hash;
        if (!hash_value(run, value.list->items[i], &hash)) return false;
        *out = (*out ^ hash) * 1099511628211u;
    }
    run->depth--;
    return true;
}

struct dict *sc_template_dict_new(struct run *run, size_t capacity)
{
    struct dict *dict = sc_template_alloc(run, 1, sizeof *dict);
    if (!dict || !capacity) return dict;
    dict->entries = sc_template_alloc(run, capacity, sizeof *dict->entries);
    dict->capacity = capacity;
    return dict->entries ? dict : NULL;
}

static void index_entry(struct dict *dict, size_t entry)
{
    size_t mask = dict->n_index - 1, slot = dict->entries[entry].hash & mask;
    while (dict->index[slot]) slot = (slot + 1) & mask;
    dict->index[slot] = (uint32_t)entry + 1;
}

// Makes room for one more entry and its place in the index.
static bool grow(struct run *run, struct dict *dict)
{
    if (dict->n == dict->capacity) {
        size_t capacity = dict->capacity ? dict->capacity * 2 : 4;
        struct dict_entry *entries = sc_template_alloc(run, capacity, sizeof *entries);
        if (!entries) return false;
        if (dict->n) memcpy(entries, dict->entries, dict->n * sizeof *entries);
        dict->entries = entries;
        dict->capacity = capacity;
    }
    if (dict->n < LINEAR_MAX || (dict->n + 1) * 2 <= dict->n_index) return true;
    size_t n_index = dict->n_index ? dict->n_index * 2 : 4 * LINEAR_MAX;
    dict->index = sc_template_alloc(run, n_index, sizeof *dict->index);
    if (!dict->index) return false;
    dict->n_index = n_index;
    for (size_t i = 0; i < dict->n; i++) index_entry(dict, i);
    return true;
}

static bool find_hashed(struct run *run, const struct dict *dict, struct value key, uint64_t hash, struct value **out)
{
    bool is_equal;
    *out = NULL;
    if (!dict->index) {
        for (size_t i = 0; i < dict->n; i++) {
            if (dict->entries[i].hash != hash) continue;
            if (!sc_template_equal(run, dict->entries[i].key, key, &is_equal)) return false;
            if (is_equal) {
                *out = &dict->entries[i].value;
                return true;
            }
        }
        return true;
    }
    size_t mask = dict->n_index - 1;
    for (size_t slot = hash & mask; dict->index[slot]; slot = (slot + 1) & mask) {
        struct dict_entry *entry = &dict->entries[dict->index[slot] - 1];
        if (!sc_template_step(run, 1)) return false;
        if (entry->hash != hash) continue;
        if (!sc_template_equal(run, entry->key, key, &is_equal)) return false;
        if (is_equal) {
            *out = &entry->value;
            return true;
        }
    }
    return true;
}

bool sc_template_dict_find(struct run *run, const struct dict *dict, struct value key, struct value **out)
{
    uint64_t hash = 0;
    return hash_value(run, key, &hash) && find_hashed(run, dict, key, hash, out);
}

struct value *sc_template_dict_find_text(struct run *run, const struct dict *dict, const char *key, size_t n_bytes)
{
    uint64_t hash = hash_bytes(key, n_bytes);
    size_t mask = dict->n_index - 1;
    for (size_t i = dict->index ? hash & mask : 0; dict->index ? dict->index[i] != 0 : i < dict->n;
         i = dict->index ? (i + 1) & mask : i + 1) {
        struct dict_entry *entry = &dict->entries[dict->index ? dict->index[i] - 1 : i];
        if (entry->hash == hash && entry->key.kind == VALUE_STRING && entry->key.string->n_bytes == n_bytes &&
            memcmp(entry->key.string->data, key, n_bytes) == 0)
            return &entry->value;
        run->n_steps += dict->index != NULL; // the next step fails where keys were made to collide
    }
    return NULL;
}

bool sc_template_dict_set(struct run *run, struct dict *dict, struct value key, struct value value)
{
    uint64_t hash = 0;
    struct value *there;
    if (!hash_value(run, key, &hash) || !find_hashed(run, dict, key, hash, &there)) return false;
    if (there) {
        *there = value;
        return true;
    }
    if (dict->n >= UINT32_MAX - 1) return sc_template_fail(run, "a dict with too many entries");
    if (!grow(run, dict)) return false;
    dict->entries[dict->n] = (struct dict_entry){ key, value, hash };
    if (dict->index) index_entry(dict, dict->n);
    dict->n++;
    return true;
}

bool sc_template_dict_copy(struct run *run, const struct dict *from, struct dict *to)
{
    for (size_t i = 0; i < from->n; i++)
        if (!sc_template_dict_set(run, to, from->entries[i].key, from->entries[i].value)) return false;
    return sc_template_step(run, from->n);
}

bool sc_template_dict_from_pairs(struct run *run, struct value pairs, struct dict *dict)
{
    const struct list *items, *pair;
    if (pairs.kind == VALUE_DICT) return sc_template_dict_copy(run, pairs.dict, dict);
    if (!sc_template_items(run, pairs, &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        if (!sc_template_items(run, items->items[i], &pair)) return false;
        if (pair->n != 2)
            return sc_template_fail(run, "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                                    pair->n);
        if (!sc_template_dict_set(run, dict, pair->items[0], pair->items[1])) return false;
    }
    return true;
}
