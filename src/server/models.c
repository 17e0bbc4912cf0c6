#include "server/models.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/size.h"
#include "text/utf8.h"

struct served_models {
    struct served_models_options o;
    struct served_model **models;
    size_t n;
    pthread_mutex_t loading; // held while a model is loaded
    pthread_mutex_t mutex;   // of what is loaded and who uses it; held briefly
    uint64_t clock;
};

// ---- the list

static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, ".gguf") == 0) n -= 5;
    return strndup(name, n);
}

static socle_status add(struct served_models *m, const char *path, const char *alias, socle_error *err)
{
    struct stat file;
    if (stat(path, &file) != 0) return sc_fail(err, SOCLE_IO, "%s: %s", path, strerror(errno));
    struct served_model **more = realloc(m->models, (m->n + 1) * sizeof *more);
    if (more) m->models = more;
    struct served_model *model = more ? calloc(1, sizeof *model) : NULL;
    if (!model) return sc_fail_memory(err, sizeof *model, "a model's name");
    m->models[m->n++] = model;
    model->path = strdup(path);
    model->id = alias ? strdup(alias) : name_of(path);
    if (model->id) sc_utf8_mend(model->id);
    model->created = (int64_t)file.st_mtime;
    model->n_file_bytes = (uint64_t)file.st_size;
    return model->path && model->id ? SOCLE_OK : sc_fail_memory(err, strlen(path), "a model's name");
}

static int compare(const void *a, const void *b)
{
    const struct served_model *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static bool is_model_name(const char *name)
{
    size_t n = strlen(name);
    if (n < 6 || name[0] == '.' || strcmp(name + n - 5, ".gguf") != 0) return false;
    const char *of = strstr(name, "-of-"); // "name-00002-of-00005.gguf": only a first shard stands for a model
    return !of || of - name < 6 || strncmp(of - 5, "00001", 5) == 0;
}

static socle_status list_folder(struct served_models *m, socle_error *err)
{
    DIR *folder = opendir(m->o.folder);
    if (!folder) return sc_fail(err, SOCLE_IO, "%s: %s", m->o.folder, strerror(errno));
    socle_status status = SOCLE_OK;
    for (struct dirent *entry; status == SOCLE_OK && (entry = readdir(folder));) {
        char path[4096];
        if (!is_model_name(entry->d_name)) continue;
        if (snprintf(path, sizeof path, "%s/%s", m->o.folder, entry->d_name) < (int)sizeof path)
            status = add(m, path, NULL, err);
    }
    closedir(folder);
    if (status != SOCLE_OK) return status;
    if (m->n == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: holds no .gguf file", m->o.folder);
    qsort(m->models, m->n, sizeof *m->models, compare);
    return SOCLE_OK;
}

// ---- loading and releasing

// Of what was taken out of the list, so that nobody waits while it is freed.
static void free_loaded(struct served_model *model)
{
    socle_error err;
    if (socle_scheduler_free(model->scheduler, &err) != SOCLE_OK) fprintf(stderr, "socle: %s\n", err.message);
    kept_forms_free(model->forms);
    socle_model_free(model->model);
}

static uint64_t loaded_bytes(struct served_models *m)
{
    uint64_t n = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n; i++) n += m->models[i]->n_bytes;
    pthread_mutex_unlock(&m->mutex);
    return n;
}

// Releases the model that nobody has used for longest; false when all that are loaded are in use.
static bool release_one(struct served_models *m)
{
    struct served_model *oldest = NULL, taken = { 0 };
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n; i++) {
        struct served_model *model = m->models[i];
        if (!model->model || model->n_users) continue;
        if (!oldest || model->last_used < oldest->last_used) oldest = model;
    }
    if (oldest) {
        taken = *oldest;
        oldest->model = NULL;
        oldest->scheduler = NULL;
        oldest->forms = NULL;
        oldest->n_bytes = 0;
    }
    pthread_mutex_unlock(&m->mutex);
    if (oldest) free_loaded(&taken);
    return oldest != NULL;
}

static socle_status make_room(struct served_models *m, const struct served_model *model, uint64_t n_bytes,
                              socle_error *err)
{
    while (m->o.budget && loaded_bytes(m) + n_bytes > m->o.budget)
        if (!release_one(m))
            return sc_fail(err, loaded_bytes(m) ? SOCLE_BUSY : SOCLE_NO_MEMORY,
                           "%s: needs %.2f GiB, of %.2f GiB that models may take %.2f are in use", model->id,
                           (double)n_bytes / 0x1p30, (double)m->o.budget / 0x1p30, (double)loaded_bytes(m) / 0x1p30);
    return SOCLE_OK;
}

static void tell_cache(const struct served_model *loaded)
{
    socle_scheduler_state state;
    socle_scheduler_describe(loaded->scheduler, &state);
    if (*state.cache_note) fprintf(stderr, "%s: %s\n", loaded->id, state.cache_note);
}

static socle_status create_scheduler(struct served_models *m, struct served_model *loaded, socle_error *err)
{
    socle_memory need;
    char path[4096];
    socle_scheduler_options options = m->o.scheduler;
    if (m->o.cache_folder && snprintf(path, sizeof path, "%s/%s.kv", m->o.cache_folder, loaded->id) < (int)sizeof path)
        options.cache_file = path;
    SC_TRY(socle_scheduler_need(loaded->model, &m->o.scheduler, &need, err));
    SC_TRY(make_room(m, loaded, need.weights + need.cache + need.work, err));
    for (;;) {
        socle_status status = SOCLE_OK;
        if (m->o.on_progress)
            status = socle_model_prepare(loaded->model, m->o.scheduler.n_threads, m->o.on_progress, m->o.context, err);
        if (status == SOCLE_OK) status = socle_scheduler_create(loaded->model, &options, &loaded->scheduler, err);
        loaded->n_bytes = need.weights + need.cache + need.work;
        if (status == SOCLE_OK) tell_cache(loaded);
        if (status != SOCLE_NO_MEMORY || !release_one(m)) return status;
    }
}

// With `loading` held.
static socle_status load(struct served_models *m, struct served_model *model, socle_error *err)
{
    struct served_model loaded = *model;
    SC_TRY(socle_model_load_adapted(model->path, m->o.adapters, m->o.path ? m->o.n_adapters : 0, &loaded.model, err));
    loaded.forms = kept_forms_create();
    socle_status status = loaded.forms ? create_scheduler(m, &loaded, err) : sc_fail_memory(err, 1, "a model's forms");
    if (status != SOCLE_OK) {
        free_loaded(&loaded);
        return status;
    }
    pthread_mutex_lock(&m->mutex);
    model->model = loaded.model;
    model->scheduler = loaded.scheduler;
    model->forms = loaded.forms;
    model->n_bytes = loaded.n_bytes;
    socle_model_describe(model->model, &model->info);
    model->n_users++;
    pthread_mutex_unlock(&m->mutex);
    return SOCLE_OK;
}

static struct served_model *find(const struct served_models *m, const char *id)
{
    if (!id || !*id) return m->models[0];
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->models[i]->id, id) == 0) return m->models[i];
    return NULL;
}

static bool take_loaded(struct served_models *m, struct served_model *model)
{
    pthread_mutex_lock(&m->mutex);
    bool is_loaded = model->model != NULL;
    model->n_users += is_loaded;
    if (is_loaded) model->last_used = ++m->clock;
    pthread_mutex_unlock(&m->mutex);
    return is_loaded;
}

socle_status served_models_take(struct served_models *m, const char *id, struct served_model **out, socle_error *err)
{
    struct served_model *model = find(m, id);
    if (!model) return sc_fail(err, SOCLE_BAD_ARGUMENT, "The model `%s` does not exist.", id);
    if (!take_loaded(m, model)) {
        pthread_mutex_lock(&m->loading);
        socle_status status = take_loaded(m, model) ? SOCLE_OK : load(m, model, err);
        pthread_mutex_unlock(&m->loading);
        SC_TRY(status);
    }
    *out = model;
    return SOCLE_OK;
}

void served_models_give(struct served_models *m, struct served_model *model)
{
    pthread_mutex_lock(&m->mutex);
    model->n_users--;
    model->last_used = ++m->clock;
    pthread_mutex_unlock(&m->mutex);
}

// ---- making and freeing

socle_status served_models_create(const struct served_models_options *options, struct served_models **out,
                                  socle_error *err)
{
    struct served_models *m = calloc(1, sizeof *m);
    struct served_model *first;
    if (!m) return sc_fail_memory(err, sizeof *m, "the list of models");
    m->o = *options;
    pthread_mutex_init(&m->mutex, NULL);
    pthread_mutex_init(&m->loading, NULL);
    socle_status status = options->folder ? list_folder(m, err) : add(m, options->path, options->alias, err);
    if (status == SOCLE_OK && !options->folder) {
        status = served_models_take(m, NULL, &first, err);
        if (status == SOCLE_OK) served_models_give(m, first);
    }
    if (status == SOCLE_OK) *out = m;
    else served_models_free(m);
    return status;
}

void served_models_free(struct served_models *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n; i++) {
        free_loaded(m->models[i]);
        free(m->models[i]->id);
        free(m->models[i]->path);
        free(m->models[i]);
    }
    free(m->models);
    pthread_mutex_destroy(&m->mutex);
    pthread_mutex_destroy(&m->loading);
    free(m);
}

// ---- telling

static json_t *list_adapters(const struct served_model *model)
{
    json_t *list = json_array();
    const char *name;
    float scale;
    for (size_t i = 0; model->model && (name = socle_model_adapter(model->model, i, &scale)); i++)
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:f}", "id", (json_int_t)i, "name", name, "scale", (double)scale));
    return list;
}

json_t *served_models_list(struct served_models *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n; i++) {
        json_t *entry = json_pack("{s:s, s:s, s:I, s:s}", "id", m->models[i]->id, "object", "model", "created",
                                  (json_int_t)m->models[i]->created, "owned_by", "socle");
        if (m->o.n_adapters && entry) json_object_set_new(entry, "adapters", list_adapters(m->models[i]));
        json_array_append_new(list, entry);
    }
    return list;
}

void served_models_visit(struct served_models *m,
                         void (*visit)(void *context, const struct served_model *model,
                                       const socle_scheduler_state *state),
                         void *context)
{
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n; i++) {
        socle_scheduler_state state = { 0 };
        if (m->models[i]->scheduler) socle_scheduler_describe(m->models[i]->scheduler, &state);
        visit(context, m->models[i], &state);
    }
    pthread_mutex_unlock(&m->mutex);
}
