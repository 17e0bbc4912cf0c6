#include "api/api.h"

#include <stdlib.h>

#include "engine/request.h"
#include "engine/scheduler.h"

struct socle_scheduler {
    const socle_model *model;
    struct sc_scheduler *engine;
};

static struct sc_scheduler_options engine_options(const socle_scheduler_options *given)
{
    socle_scheduler_options o = given ? *given : (socle_scheduler_options){ 0 };
    return (struct sc_scheduler_options){ .n_context = o.n_context,
                                          .n_running = o.n_running,
                                          .n_waiting = o.n_waiting,
                                          .n_batch = o.n_batch,
                                          .n_threads = o.n_threads,
                                          .n_cache = o.n_cache,
                                          .cache = sc_api_cache_format(o.cache),
                                          .allow_overcommit = o.allow_overcommit,
                                          .cpu = o.cpu,
                                          .cache_file = o.cache_file,
                                          .cache_file_bytes = o.cache_file_bytes };
}

static socle_status check_model(const socle_model *m, socle_error *err)
{
    if (!m->model) return sc_fail(err, SOCLE_UNSUPPORTED, "%s: holds a vocabulary but no weights", m->name);
    if (m->tokenizer) return SOCLE_OK;
    if (err) *err = m->text_error;
    return m->text_error.status;
}

SC_EXPORT socle_status socle_scheduler_need(const socle_model *m, const socle_scheduler_options *options,
                                            socle_memory *out, socle_error *err)
{
    struct sc_scheduler_options o = engine_options(options);
    SC_TRY(check_model(m, err));
    out->weights = sc_model_packed_bytes(m->model) + sc_model_mapped_bytes(m->model);
    return sc_scheduler_need(m->model, &o, &out->cache, &out->work, err);
}

SC_EXPORT socle_status socle_scheduler_create(const socle_model *m, const socle_scheduler_options *options,
                                              socle_scheduler **out, socle_error *err)
{
    struct sc_scheduler_options o = engine_options(options);
    SC_TRY(check_model(m, err));
    socle_scheduler *s = calloc(1, sizeof *s);
    if (!s) return sc_fail_memory(err, sizeof *s, "a scheduler");
    s->model = m;
    socle_status status = sc_scheduler_create(m->model, m->tokenizer, &o, &s->engine, err);
    if (status == SOCLE_OK) *out = s;
    else free(s);
    return status;
}

SC_EXPORT socle_status socle_scheduler_free(socle_scheduler *s, socle_error *err)
{
    if (!s) return SOCLE_OK;
    socle_status status = sc_scheduler_free(s->engine, err);
    free(s);
    return status;
}

SC_EXPORT uint32_t socle_scheduler_n_context(const socle_scheduler *s) { return sc_scheduler_n_context(s->engine); }

SC_EXPORT void socle_scheduler_describe(const socle_scheduler *s, socle_scheduler_state *out)
{
    sc_scheduler_describe(s->engine, out);
}

SC_EXPORT socle_status socle_request_start(socle_scheduler *s, const socle_request_options *options, uint64_t *id,
                                           socle_error *err)
{
    const socle_constraint *c = options->constraint;
    if (c && c->model != s->model)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "the constraint was made for another model");
    // Without a constraint the index is not looked at: another thread may be making it.
    struct sc_constraint constraint = { c ? c->masks : NULL, c ? s->model->index->index : NULL };
    socle_request_options o = *options;
    if (!o.adapters) o.adapters = s->model->adapter_scales;
    return sc_scheduler_start(s->engine, &o, &constraint, id, err);
}

SC_EXPORT void socle_request_cancel(socle_scheduler *s, uint64_t id) { sc_scheduler_cancel(s->engine, id); }
