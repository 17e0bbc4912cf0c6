// The bundled model, for tests of what runs on it.
#ifndef SC_TESTS_TALES_MODEL_H
#define SC_TESTS_TALES_MODEL_H

#include <socle/socle.h>

static socle_model *model;

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static int load(void **state)
{
    socle_error err;
    (void)state;
    must(socle_model_load(SC_SOURCE_ROOT "/share/tales.gguf", &model, &err), &err);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    socle_model_free(model);
    return 0;
}

#endif
