// Evaluating a model in one of several ways, and hashing what comes out.
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "engine/session.h"

struct recorder {
    uint64_t hash;
    size_t first, last; // of the positions of this call, those that count
    size_t n_vocab;
    FILE *dump;
};

static bool record(void *context, size_t i, const float *logits)
{
    struct recorder *r = context;
    if (i < r->first || i >= r->last) return true;
    r->hash = golden_hash_floats(r->hash, logits, r->n_vocab);
    return !r->dump || fwrite(logits, sizeof *logits, r->n_vocab, r->dump) == r->n_vocab;
}

// Appends tokens begin..end in calls of at most n_call; the logits of `begin`..`count` go into the hash.
static socle_status append(struct sc_session *session, const int32_t *tokens, size_t begin, size_t end, size_t count,
                           size_t n_call, struct recorder *r, socle_error *err)
{
    for (size_t at = begin; at < end; at += n_call) {
        size_t n = SC_MIN(end - at, n_call);
        r->first = 0;
        r->last = count > at ? count - at : 0;
        struct sc_evaluation e = { .tokens = tokens + at, .n_tokens = n, .sink = record, .context = r };
        SC_TRY(sc_session_evaluate(session, &e, err));
    }
    return SOCLE_OK;
}

static socle_status evaluate(struct sc_session *session, const int32_t *tokens, size_t n, const struct golden_way *way,
                             struct recorder *r, socle_error *err)
{
    size_t cut = way->cache == GOLDEN_REWOUND ? n * 2 / 5 + 1 : 0;
    if (way->cache == GOLDEN_REUSED) { // tokens n.. are others
        SC_TRY(append(session, tokens + n, 0, n, 0, way->n_call, r, err));
        sc_session_rewind(session, 0);
    }
    if (cut) {
        SC_TRY(append(session, tokens, 0, n, cut, way->n_call, r, err));
        sc_session_rewind(session, (uint32_t)cut);
    }
    return append(session, tokens, cut, n, n, way->n_call, r, err);
}

socle_status golden_logits(struct sc_model *model, size_t n, const struct golden_way *way, const char *cpu,
                           enum sc_cache_format cache, const char *dump, uint64_t *hash, socle_error *err)
{
    struct sc_session *session = NULL;
    struct sc_session_options options = { .n_context = (uint32_t)SC_MIN(n + 7, model->hparams.n_context),
                                          .n_batch = way->n_batch,
                                          .n_logits = way->n_batch,
                                          .n_threads = way->n_threads,
                                          .cache = cache,
                                          .cpu = cpu };
    struct recorder r = { .hash = golden_hash_start, .n_vocab = model->hparams.n_vocab };
    int32_t *tokens = malloc(2 * n * sizeof *tokens);
    if (!tokens) return sc_fail_memory(err, 2 * n * sizeof *tokens, "tokens");
    for (size_t i = 0; i < 2 * n; i++) tokens[i] = (int32_t)(golden_random(0, i) % model->hparams.n_vocab);
    if (dump) r.dump = fopen(dump, "wb");
    socle_status status = sc_session_create(model, &options, &session, err);
    if (status == SOCLE_OK) status = evaluate(session, tokens, n, way, &r, err);
    sc_session_free(session);
    free(tokens);
    if (dump && (!r.dump || fclose(r.dump) != 0)) status = sc_fail(err, SOCLE_IO, "%s: cannot be written", dump);
    *hash = r.hash;
    return status;
}
