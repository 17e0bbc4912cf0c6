// Fuzz target: any bytes as a model file; what loads is run for two tokens.
#include <stdint.h>
#include <stdlib.h>

#include "engine/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct sc_gguf *gguf;
    struct sc_model *model;
    struct sc_session *session;
    struct sc_memory_need need;
    socle_error err = { 0 };
    struct sc_session_options options = { .n_context = 4, .n_batch = 2, .n_threads = 1, .cpu = "base" };
    if (sc_gguf_open_memory("fuzz", data, n_bytes, &gguf, &err) != SOCLE_OK) return 0;
    if (sc_model_load(gguf, &model, &err) != SOCLE_OK) return 0;
    bool fits = sc_session_need(model, &options, &need, &err) == SOCLE_OK && need.cache + need.work < 64u << 20;
    if (fits && sc_session_create(model, &options, &session, &err) == SOCLE_OK) {
        const int32_t tokens[2] = { 0, (int32_t)model->hparams.n_vocab - 1 };
        struct sc_evaluation e = { .tokens = tokens, .n_tokens = 2, .first_logits = 1 };
        sc_session_evaluate(session, &e, &err);
        sc_session_free(session);
    }
    sc_model_free(model);
    return 0;
}
