// The safetensors reader's outside: the files of an index joined, names looked up. Parsing is in safetensors_parse.c.
#include "formats/safetensors_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"

enum { FILES_MAX = 10000, FILE_NAME_BYTES_MAX = 255 };

#define MODEL_NAME "model.safetensors"
#define INDEX_NAME "model.safetensors.index.json"

struct sc_safetensors {
    struct sc_arena arena;
    const char *path; // of the file, or of the index
    uint64_t n_files, n_mappings;
    struct sc_safetensors_file *files; // in the arena
    struct sc_mapping *mappings;       // in the arena; none for memory
    uint64_t n_entries;
    const struct sc_safetensors_entry **by_name; // of all files, sorted
};

// ---- look-up

static int compare_texts(struct sc_text a, struct sc_text b)
{
    int order = memcmp(a.data, b.data, SC_MIN(a.n_bytes, b.n_bytes));
    return order ? order : (a.n_bytes > b.n_bytes) - (a.n_bytes < b.n_bytes);
}

static int compare_entries(const void *a, const void *b)
{
    const struct sc_safetensors_entry *const *x = a, *const *y = b;
    return compare_texts((*x)->tensor.name, (*y)->tensor.name);
}

bool sc_safetensors_index(const struct sc_safetensors *st, struct sc_text name, uint64_t *i)
{
    const struct sc_safetensors_entry wanted = { .tensor.name = name }, *pointer = &wanted;
    if (st->n_entries == 0 || name.n_bytes == 0) return false;
    const struct sc_safetensors_entry **found = bsearch(&pointer, st->by_name, st->n_entries, sizeof *st->by_name,
                                                        compare_entries);
    if (found) *i = (uint64_t)(found - st->by_name);
    return found != NULL;
}

static const struct sc_safetensors_entry *find_entry(const struct sc_safetensors *st, struct sc_text name)
{
    uint64_t i;
    return sc_safetensors_index(st, name, &i) ? st->by_name[i] : NULL;
}

// Sorts the look-up table and refuses tensors that are in two files.
static socle_status build_index(struct sc_safetensors *st, socle_error *err)
{
    for (uint64_t f = 0; f < st->n_files; f++) st->n_entries += st->files[f].n_entries;
    st->by_name = sc_arena_array(&st->arena, st->n_entries, sizeof *st->by_name);
    if (!st->by_name) return sc_fail_memory(err, st->n_entries * sizeof *st->by_name, "the file's index");
    for (uint64_t f = 0, n = 0; f < st->n_files; f++)
        for (uint64_t i = 0; i < st->files[f].n_entries; i++) st->by_name[n++] = &st->files[f].entries[i];
    if (st->n_entries) qsort(st->by_name, st->n_entries, sizeof *st->by_name, compare_entries);
    for (uint64_t i = 1; i < st->n_entries; i++) {
        const struct sc_safetensors_entry *a = st->by_name[i - 1], *b = st->by_name[i];
        if (compare_entries(&a, &b) == 0)
            return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor '%.*s' is in two files, '%s' and '%s'", st->path,
                           SC_TEXT_ARGS(a->tensor.name), a->file->name, b->file->name);
    }
    return SOCLE_OK;
}

uint64_t sc_safetensors_n(const struct sc_safetensors *st) { return st->n_entries; }

const struct sc_safetensors_tensor *sc_safetensors_at(const struct sc_safetensors *st, uint64_t i)
{
    return &st->by_name[i]->tensor;
}

const struct sc_safetensors_tensor *sc_safetensors_find(const struct sc_safetensors *st, struct sc_text name)
{
    const struct sc_safetensors_entry *entry = find_entry(st, name);
    return entry ? &entry->tensor : NULL;
}

// ---- opening

static socle_status create(const char *path, struct sc_safetensors **out, socle_error *err)
{
    struct sc_safetensors *st = calloc(1, sizeof *st);
    if (!st) return sc_fail_memory(err, sizeof *st, "a safetensors reader");
    st->path = sc_arena_text(&st->arena, path, strlen(path));
    *out = st;
    if (st->path) return SOCLE_OK;
    sc_safetensors_free(st);
    return sc_fail_memory(err, strlen(path), "a safetensors reader");
}

static socle_status take_files(struct sc_safetensors *st, uint64_t n, socle_error *err)
{
    st->files = sc_arena_array(&st->arena, n, sizeof *st->files);
    st->mappings = sc_arena_array(&st->arena, n, sizeof *st->mappings);
    return st->files && st->mappings ? SOCLE_OK : sc_fail_memory(err, n * sizeof *st->files, "the files' index");
}

// Maps and parses the next file. The path is in the arena.
static socle_status open_file(struct sc_safetensors *st, const char *path, socle_error *err)
{
    struct sc_safetensors_file *file = &st->files[st->n_files++];
    struct sc_mapping *mapping = &st->mappings[st->n_mappings];
    SC_TRY(sc_map_file(path, mapping, err));
    st->n_mappings++;
    const char *slash = strrchr(path, '/');
    *file = (struct sc_safetensors_file){
        .path = path, .name = slash ? slash + 1 : path, .bytes = mapping->data, .n_bytes = mapping->n_bytes
    };
    return sc_safetensors_parse(file, &st->arena, err);
}

static socle_status open_one(struct sc_safetensors *st, socle_error *err)
{
    SC_TRY(take_files(st, 1, err));
    SC_TRY(open_file(st, st->path, err));
    return build_index(st, err);
}

static socle_status finish(struct sc_safetensors *st, socle_status status, struct sc_safetensors **out)
{
    if (status == SOCLE_OK) *out = st;
    else sc_safetensors_free(st);
    return status;
}

// ---- the index of a model of several files

static int compare_strings(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

// A plain name: a map may not reach out of its folder.
static socle_status check_file_name(const struct sc_safetensors *st, const char *tensor, const json_t *json,
                                    socle_error *err)
{
    const char *name = json_string_value(json);
    if (!name)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor '%.200s': expected the name of its file, a string", st->path,
                       tensor);
    if (*name && !strchr(name, '/') && strlen(name) <= FILE_NAME_BYTES_MAX && strcmp(name, ".") && strcmp(name, ".."))
        return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor '%.200s': expected the plain name of a file, found '%.200s'",
                   st->path, tensor, name);
}

// The map's file names, sorted, each once. They belong to the map; the list is in the arena.
static socle_status list_files(struct sc_safetensors *st, json_t *map, const char ***out, uint64_t *n_out,
                               socle_error *err)
{
    const char *tensor, **names = sc_arena_array(&st->arena, json_object_size(map), sizeof *names);
    json_t *name;
    uint64_t n = 0, n_unique = 0;
    if (!names) return sc_fail_memory(err, json_object_size(map) * sizeof *names, "the list of files");
    json_object_foreach (map, tensor, name) {
        SC_TRY(check_file_name(st, tensor, name, err));
        names[n++] = json_string_value(name);
    }
    if (n == 0) return sc_fail(err, SOCLE_BAD_FILE, "%s: its 'weight_map' is empty", st->path);
    qsort(names, n, sizeof *names, compare_strings);
    for (uint64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[n_unique - 1]) != 0) names[n_unique++] = names[i];
    if (n_unique > FILES_MAX)
        return sc_fail(err, SOCLE_BAD_FILE, "%s: names %llu files, expected at most %d", st->path,
                       (unsigned long long)n_unique, FILES_MAX);
    *out = names;
    *n_out = n_unique;
    return SOCLE_OK;
}

// Every tensor of the map is to be in the file that the map says.
static socle_status check_map(const struct sc_safetensors *st, json_t *map, socle_error *err)
{
    const char *tensor;
    json_t *name;
    json_object_foreach (map, tensor, name) {
        const char *expected = json_string_value(name);
        const struct sc_safetensors_entry *entry = find_entry(st, sc_text_of(tensor));
        if (entry && strcmp(entry->file->name, expected) == 0) continue;
        return sc_fail(err, SOCLE_BAD_FILE, "%s: tensor '%.200s': expected in '%s', found %s%s%s", st->path, tensor,
                       expected, entry ? "in '" : "nowhere", entry ? entry->file->name : "", entry ? "'" : "");
    }
    return SOCLE_OK;
}

static socle_status open_map(struct sc_safetensors *st, json_t *index, socle_error *err)
{
    json_t *map = json_object_get(index, "weight_map");
    const char **names = NULL, *slash = strrchr(st->path, '/');
    uint64_t n_names = 0;
    if (!json_is_object(map))
        return sc_fail(err, SOCLE_BAD_FILE, "%s: expected an object 'weight_map' from tensors to files", st->path);
    SC_TRY(list_files(st, map, &names, &n_names, err));
    SC_TRY(take_files(st, n_names, err));
    int n_folder = slash ? (int)(slash + 1 - st->path) : 0;
    for (uint64_t i = 0; i < n_names; i++) {
        size_t n_path = (size_t)n_folder + strlen(names[i]) + 1;
        char *path = sc_arena_alloc(&st->arena, n_path);
        if (!path) return sc_fail_memory(err, n_path, "a path");
        snprintf(path, n_path, "%.*s%s", n_folder, st->path, names[i]);
        SC_TRY(open_file(st, path, err));
    }
    SC_TRY(build_index(st, err));
    return check_map(st, map, err);
}

static socle_status open_index(struct sc_safetensors *st, socle_error *err)
{
    struct sc_mapping mapping;
    json_t *index = NULL;
    SC_TRY(sc_map_file(st->path, &mapping, err));
    socle_status status;
    if (mapping.n_bytes > SC_SAFETENSORS_HEADER_BYTES_MAX)
        status = sc_fail(err, SOCLE_BAD_FILE, "%s: has %zu bytes, expected at most %d", st->path, mapping.n_bytes,
                         SC_SAFETENSORS_HEADER_BYTES_MAX);
    else status = sc_safetensors_load_json(st->path, "the index", mapping.data, mapping.n_bytes, &index, err);
    sc_unmap(&mapping);
    if (status == SOCLE_OK) status = open_map(st, index, err);
    json_decref(index);
    return status;
}

// ---- what callers see

static socle_status open_folder(const char *folder, struct sc_safetensors **out, socle_error *err)
{
    struct stat info;
    struct sc_safetensors *st;
    size_t n_path = strlen(folder) + sizeof "/" INDEX_NAME;
    char *path = malloc(n_path);
    if (!path) return sc_fail_memory(err, n_path, "a path");
    snprintf(path, n_path, "%s/" MODEL_NAME, folder);
    bool several = stat(path, &info) != 0 && errno == ENOENT, none = false;
    if (several) {
        snprintf(path, n_path, "%s/" INDEX_NAME, folder);
        none = stat(path, &info) != 0 && errno == ENOENT;
    }
    socle_status status = none ? sc_fail(err, SOCLE_IO, "%s: holds neither " MODEL_NAME " nor " INDEX_NAME, folder)
                               : SOCLE_OK;
    if (status == SOCLE_OK) status = create(path, &st, err);
    if (status == SOCLE_OK) status = finish(st, several ? open_index(st, err) : open_one(st, err), out);
    free(path);
    return status;
}

socle_status sc_safetensors_open(const char *path, struct sc_safetensors **out, socle_error *err)
{
    struct stat info;
    struct sc_safetensors *st;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return open_folder(path, out, err);
    SC_TRY(create(path, &st, err));
    return finish(st, open_one(st, err), out);
}

socle_status sc_safetensors_open_memory(const char *name, const void *bytes, size_t n_bytes,
                                        struct sc_safetensors **out, socle_error *err)
{
    struct sc_safetensors *st;
    SC_TRY(create(name, &st, err));
    socle_status status = take_files(st, 1, err);
    if (status == SOCLE_OK) {
        st->files[st->n_files++] =
            (struct sc_safetensors_file){ .path = st->path, .name = st->path, .bytes = bytes, .n_bytes = n_bytes };
        status = sc_safetensors_parse(&st->files[0], &st->arena, err);
    }
    if (status == SOCLE_OK) status = build_index(st, err);
    return finish(st, status, out);
}

void sc_safetensors_free(struct sc_safetensors *st)
{
    if (!st) return;
    for (uint64_t i = 0; i < st->n_mappings; i++) sc_unmap(&st->mappings[i]);
    sc_arena_free(&st->arena);
    free(st);
}
