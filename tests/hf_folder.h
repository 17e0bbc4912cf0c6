// Folders as Hugging Face's programs write them, made of the cases of tests/data/hf_cases.json.
//
// A case has a configuration and the names and shapes of its tensors; their values are made by a rule of names and
// indices (make_hf_cases.py).
#ifndef SC_TESTS_HF_FOLDER_H
#define SC_TESTS_HF_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include <socle/socle.h>

#include "base/file.h"
#include "base/size.h"
#include "formats/safetensors_writer.h"

// The folder that is converted, the file that it becomes, and the folder and file that are made of that in turn.
static char folder[] = "/tmp/socle-convert-XXXXXX", path[300], result[300], back[300], again[300];

static inline void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static inline const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void clear_folder(void)
{
    static const char *const names[] = { "config.json",
                                         "model.safetensors",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "model.safetensors.index.json",
                                         "a.safetensors",
                                         "b.safetensors",
                                         "chat_template.jinja" };
    for (size_t i = 0; i < SC_COUNT(names); i++) unlink(in_folder(names[i]));
}

static inline void clear_back(void)
{
    static const char *const names[] = { "config.json", "model.safetensors", "tokenizer.json",
                                         "tokenizer_config.json" };
    char name[400];
    for (size_t i = 0; i < SC_COUNT(names); i++) {
        snprintf(name, sizeof name, "%s/%s", back, names[i]);
        unlink(name);
    }
    rmdir(back);
}

static inline int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(result, sizeof result, "%s.gguf", folder);
    snprintf(again, sizeof again, "%s.again.gguf", folder);
    // Of the same name, which becomes the model's.
    snprintf(back, sizeof back, "%s.back", folder);
    if (mkdir(back, 0700) != 0) return -1;
    snprintf(back, sizeof back, "%s.back%s", folder, strrchr(folder, '/'));
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    clear_folder();
    clear_back();
    unlink(result);
    unlink(again);
    *strrchr(back, '/') = '\0';
    return rmdir(folder) | rmdir(back);
}

static inline void put(const char *name, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    socle_error err;
    must(sc_write_file(in_folder(name), text, strlen(text), &err), &err);
    free(text);
}

static inline json_t *load(const char *name)
{
    char of_data[300];
    snprintf(of_data, sizeof of_data, "%s/tests/data/%s", SC_SOURCE_ROOT, name);
    json_t *json = json_load_file(of_data, 0, NULL);
    assert_non_null(json);
    return json;
}

// ---- weights by rule

static inline uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return hash;
}

// 64 bits of chance for element i of the tensor that hash_name gave `seed` for.
static inline uint64_t mixed(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline float weight(uint64_t seed, uint64_t i, double scale, double centre)
{
    double u = (double)(mixed(seed, i) >> 40) / 0x1p24;
    double spread = (u - 0.5) * scale;
    return (float)(spread + centre);
}

static inline bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

enum { ALL = -1 };

// The tensors of a case; `shard` 0 or 1: every other one of them. `type`: as BF16 or F16 they are cut or made 0.
static inline void write_weights(const json_t *one, const char *file, int shard, enum sc_safetensors_type type)
{
    struct sc_safetensors_writer *writer;
    socle_error err;
    float *kept[200];
    size_t n_kept = 0, i, k;
    json_t *tensor, *dim;
    bool gemma = strncmp(json_string_value(json_object_get(one, "name")), "gemma", 5) == 0;
    must(sc_safetensors_writer_create(&writer, &err), &err);
    json_array_foreach (json_object_get(one, "tensors"), i, tensor) {
        const char *name = json_string_value(json_array_get(tensor, 0));
        uint64_t shape[8], n = 1;
        uint32_t n_dims = 0;
        if (shard != ALL && i % 2 != (size_t)shard) continue;
        json_array_foreach (json_array_get(tensor, 1), k, dim) n *= shape[n_dims++] = (uint64_t)json_integer_value(dim);
        bool is_norm = n_dims == 1 && ends_with(name, "norm.weight");
        float *values = malloc(n * sizeof *values);
        assert_non_null(values);
        assert_true(n_kept < SC_COUNT(kept));
        kept[n_kept++] = values;
        for (uint64_t j = 0; j < n; j++) {
            values[j] = weight(hash_name(name), j, is_norm ? 0.2 : 0.25, is_norm && !gemma ? 1.0 : 0.0);
            uint32_t bits;
            memcpy(&bits, &values[j], sizeof bits);
            if (type != SC_SAFETENSORS_F32) ((uint16_t *)(void *)values)[j] = (uint16_t)(bits >> 16);
        }
        must(sc_safetensors_writer_add_tensor(writer, name, type, n_dims, shape, values, &err), &err);
    }
    must(sc_safetensors_writer_write(writer, in_folder(file), &err), &err);
    sc_safetensors_writer_free(writer);
    while (n_kept) free(kept[--n_kept]);
}

static inline const json_t *find_case(const json_t *cases, const char *name)
{
    const json_t *one;
    size_t i;
    json_array_foreach (cases, i, one)
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) return one;
    fail_msg("no case '%s'", name);
    return NULL;
}

#endif
