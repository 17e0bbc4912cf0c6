#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "train/trainer.h"

struct newest {
    float *logits;
    size_t n;
};

static bool keep(void *context, size_t i, const float *logits)
{
    struct newest *newest = context;
    (void)i;
    memcpy(newest->logits, logits, newest->n * sizeof *logits);
    return true;
}

static bool never_breaks(const void *context, int32_t token)
{
    (void)context, (void)token;
    return false;
}

// What writing needs.
struct writer {
    struct sc_session *session;
    struct sc_sampler sampler;
    struct newest newest;
    struct sc_token_ids ids;
    struct sc_detokenizer detokenizer;
    struct sc_buffer text;
};

static socle_status feed(struct writer *w, size_t from, socle_error *err)
{
    struct sc_evaluation what = { .tokens = w->ids.ids + from,
                                  .n_tokens = w->ids.n - from,
                                  .first_logits = w->ids.n - from - 1,
                                  .sink = keep,
                                  .context = &w->newest };
    return sc_session_evaluate(w->session, &what, err);
}

static bool append(struct sc_token_ids *ids, int32_t id)
{
    int32_t *larger = realloc(ids->ids, (ids->n + 1) * sizeof *larger);
    if (!larger) return false;
    ids->ids = larger;
    ids->ids[ids->n++] = id;
    ids->capacity = ids->n;
    return true;
}

static socle_status write_text(struct socle_training *t, struct writer *w, socle_error *err)
{
    socle_sampling how = socle_sampling_defaults();
    how.seed = t->o.seed;
    SC_TRY(feed(w, 0, err));
    for (size_t room = sc_session_n_context(w->session) - w->ids.n; room > 0; room--) {
        struct sc_sampling_input input = {
            .logits = w->newest.logits, .history = w->ids.ids, .n_history = w->ids.n, .breaks = never_breaks
        };
        int32_t id = sc_sample(&w->sampler, &how, &input);
        if (id < 0 || sc_tokenizer_is_end(t->tokenizer, id)) break;
        sc_detokenizer_push(&w->detokenizer, id, &w->text);
        if (!append(&w->ids, id)) return sc_fail_memory(err, w->ids.n * 4, "a sample");
        SC_TRY(feed(w, w->ids.n - 1, err));
    }
    sc_detokenizer_finish(&w->detokenizer, &w->text);
    return w->text.failed ? sc_fail_memory(err, w->text.n_bytes, "a sample") : SOCLE_OK;
}

static const char *prompt_of(const struct socle_training *t) { return t->o.sample_prompt ? t->o.sample_prompt : ""; }

static socle_status read_prompt(struct socle_training *t, struct sc_token_ids *ids, socle_error *err)
{
    struct sc_tokenize_options tokenize = { .add_special = true };
    int32_t bos = sc_tokenizer_bos(t->tokenizer);
    SC_TRY(sc_tokenizer_encode(t->tokenizer, sc_text_of(prompt_of(t)), &tokenize, ids, err));
    if (bos >= 0 && (ids->n == 0 || ids->ids[0] != bos)) { // training begins documents so
        if (!append(ids, bos)) return sc_fail_memory(err, 4, "a sample");
        memmove(ids->ids + 1, ids->ids, (ids->n - 1) * sizeof *ids->ids);
        ids->ids[0] = bos;
    }
    if (ids->n == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "samples need a prompt: the vocabulary has no beginning");
    if (ids->n < t->model->hparams.n_context) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT,
                   "the samples' prompt has %zu tokens: the model's context of %u has no room "
                   "for an answer",
                   ids->n, t->model->hparams.n_context);
}

socle_status sc_trainer_check_sample(struct socle_training *t, socle_error *err)
{
    struct sc_token_ids ids = { 0 };
    socle_status status = read_prompt(t, &ids, err);
    sc_token_ids_free(&ids);
    return status;
}

static socle_status begin(struct socle_training *t, struct writer *w, socle_error *err)
{
    size_t n_vocab = t->model->program.n_vocab;
    SC_TRY(read_prompt(t, &w->ids, err));
    uint64_t n_context = SC_MIN((uint64_t)w->ids.n + t->o.n_sample_tokens, (uint64_t)t->model->hparams.n_context);
    struct sc_session_options options = { .n_context = (uint32_t)n_context,
                                          .n_batch = 64,
                                          .n_threads = t->o.n_threads,
                                          .cache = SC_CACHE_F32,
                                          .allow_overcommit = true,
                                          .cpu = t->o.cpu };
    SC_TRY(sc_session_create(t->model, &options, &w->session, err));
    sc_session_set_adapters(w->session, t->adapter_factors);
    w->newest = (struct newest){ calloc(n_vocab, sizeof(float)), n_vocab };
    w->sampler = (struct sc_sampler){ .candidates = calloc(n_vocab, sizeof *w->sampler.candidates),
                                      .counts = calloc(n_vocab, sizeof *w->sampler.counts),
                                      .z = calloc(options.n_context, sizeof *w->sampler.z),
                                      .n_vocab = (uint32_t)n_vocab,
                                      .weights = calloc(n_vocab, sizeof(float)),
                                      .kernels = sc_session_kernels(w->session) };
    if (!w->newest.logits || !w->sampler.candidates || !w->sampler.counts || !w->sampler.z || !w->sampler.weights)
        return sc_fail_memory(err, n_vocab * 16, "a sample");
    sc_detokenizer_init(&w->detokenizer, t->tokenizer, false);
    sc_buffer_append_string(&w->text, prompt_of(t));
    return SOCLE_OK;
}

socle_status sc_trainer_sample(struct socle_training *t, char **text, socle_error *err)
{
    struct writer w = { 0 };
    socle_status status = begin(t, &w, err);
    if (status == SOCLE_OK) status = write_text(t, &w, err);
    if (status == SOCLE_OK) {
        sc_buffer_append(&w.text, "", 0);
        *text = sc_buffer_take(&w.text);
        if (!*text) *text = calloc(1, 1);
    }
    sc_session_free(w.session);
    sc_token_ids_free(&w.ids);
    sc_buffer_free(&w.text);
    free(w.newest.logits);
    free(w.sampler.candidates);
    free(w.sampler.counts);
    free(w.sampler.z);
    free(w.sampler.weights);
    return status;
}
