// The models that a server offers: one file, or every file of a folder, each loaded when it is asked for and released
// when the memory is needed for another.
#ifndef SC_SERVER_MODELS_H
#define SC_SERVER_MODELS_H

#include <jansson.h>

#include <socle/socle.h>

#include "server/kept_forms.h"

struct served_models_options {
    const char *path;         // of one model; or NULL
    const char *folder;       // of many; or NULL
    const char *alias;        // name of the one model; NULL: its file's name without ".gguf"
    const char *cache_folder; // of known beginnings, a file for each model; NULL: they are not kept
    const socle_adapter *adapters; // [n_adapters] of the one model
    size_t n_adapters;
    uint64_t budget;          // bytes that loaded models may take together; 0: what the memory holds
    socle_scheduler_options scheduler;
    socle_progress_callback *on_progress; // of the first model's preparation
    void *context;
};

struct served_models;

// One that is loaded. Held while it is used.
struct served_model {
    char *id, *path;
    int64_t created; // when the file was last changed, seconds since 1970
    uint64_t n_file_bytes;
    socle_model *model;
    socle_scheduler *scheduler;
    struct kept_forms *forms;
    socle_model_info info;
    uint64_t n_bytes, last_used;
    uint32_t n_users;
};

// Lists them, and loads the one model. Errors: those of loading; SOCLE_BAD_ARGUMENT for an empty folder.
socle_status served_models_create(const struct served_models_options *options, struct served_models **out,
                                  socle_error *err);
void served_models_free(struct served_models *models); // NULL is fine

// The model of that name (NULL or "": the first), loaded if need be, which may take long. Give it back afterwards.
// Errors: SOCLE_BAD_ARGUMENT when there is none; SOCLE_BUSY when others are in use and leave no memory; those of
// loading.
socle_status served_models_take(struct served_models *models, const char *id, struct served_model **out,
                                socle_error *err);
void served_models_give(struct served_models *models, struct served_model *model);

// As GET /v1/models lists them.
json_t *served_models_list(struct served_models *models);
// Calls `visit` for each, with its scheduler's state (zeros while it is not loaded).
void served_models_visit(struct served_models *models,
                         void (*visit)(void *context, const struct served_model *model,
                                       const socle_scheduler_state *state),
                         void *context);

#endif
