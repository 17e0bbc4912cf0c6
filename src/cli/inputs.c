// What commands read: texts and models.
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#ifndef SC_SOURCE_MODEL
#define SC_SOURCE_MODEL ""
#endif
#ifndef SC_INSTALLED_MODEL
#define SC_INSTALLED_MODEL ""
#endif

// Enough for any prompt or corpus, and an end to what has none, such as /dev/zero.
enum { TEXT_BYTES_MAX = 256 << 20 };

char *cli_read_text(const char *path, size_t *n_bytes, int *exit_code)
{
    char *text;
    socle_error err;
    if (sc_read_file(path, TEXT_BYTES_MAX, &text, n_bytes, &err) == SOCLE_OK) return text;
    *exit_code = cli_fail(&err);
    return NULL;
}

int cli_read_cache(const char *name, socle_session_options *options)
{
    static const char *const names[] = {
        [SOCLE_CACHE_F16] = "f16", [SOCLE_CACHE_F32] = "f32", [SOCLE_CACHE_Q8_0] = "q8_0"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        options->cache = (socle_cache)i;
        if (strcmp(name ? name : "f16", names[i]) == 0) return -1;
    }
    return cli_misuse("--cache: expected f16, f32 or q8_0, found '%s'", name);
}

uint32_t cli_logits_rows(const socle_model *model, uint32_t n_batch)
{
    enum { BYTES_MAX = 64 << 20 };
    socle_model_info info;
    socle_model_describe(model, &info);
    uint64_t n = BYTES_MAX / (4 * ((uint64_t)info.n_vocab + 1));
    return n < 8 ? 8 : n < n_batch ? (uint32_t)n : n_batch;
}

const char *cli_bundled_model(void)
{
    const char *paths[] = { getenv("SOCLE_TALES"), SC_INSTALLED_MODEL, SC_SOURCE_MODEL };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] && *paths[i] && access(paths[i], R_OK) == 0) return paths[i];
    return NULL;
}

void cli_read_adapters(const struct cli_texts *texts, socle_adapter *out)
{
    for (size_t i = 0; i < texts->n; i++) {
        char *end, *equals = strrchr((char *)(uintptr_t)texts->items[i], '=');
        out[i] = (socle_adapter){ texts->items[i], 1.0f };
        if (!equals || equals == texts->items[i]) continue;
        float scale = strtof(equals + 1, &end);
        if (end == equals + 1 || *end || !(scale - scale == 0.0f)) continue; // a path with "=" in it
        out[i].scale = scale;
        *equals = '\0'; // arguments and a configuration's text are the program's own
    }
}

socle_model *cli_load_model(const char *path, int *exit_code)
{
    const struct cli_texts none = { .n = 0 };
    return cli_load_adapted(path, &none, exit_code);
}

socle_model *cli_load_adapted(const char *path, const struct cli_texts *texts, int *exit_code)
{
    socle_model *model = NULL;
    socle_adapter adapters[sizeof texts->items / sizeof *texts->items];
    socle_error err;
    if (!path) path = cli_bundled_model();
    if (!path) {
        *exit_code = cli_misuse("no model given: use -m FILE.gguf (the bundled model is not where it was installed)");
        return NULL;
    }
    cli_read_adapters(texts, adapters);
    if (socle_model_load_adapted(path, adapters, texts->n, &model, &err) != SOCLE_OK) *exit_code = cli_fail(&err);
    return model;
}

static void show_packing(void *context, uint64_t done, uint64_t total)
{
    struct cli_progress *progress = context;
    if (cli_now() - progress->started >= 1.0) cli_progress_update(progress, (double)done, (double)total, "");
}

int cli_prepare(const socle_model *model, const socle_session_options *session)
{
    struct cli_progress progress;
    socle_error err;
    cli_progress_begin(&progress, "Packing weights");
    socle_status status = socle_session_prepare(model, session, show_packing, &progress, &err);
    cli_progress_end(&progress);
    return status == SOCLE_OK ? -1 : cli_fail(&err);
}
