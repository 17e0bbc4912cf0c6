// POST /v1/embeddings: texts as vectors.
//
// A few of a request's texts are with the scheduler at a time; the end of one starts the next, so that thousands fill
// no queue. Vectors are written down as they come and put together in the order of the texts.
#include <stdlib.h>
#include <string.h>

#include "server/generation.h"
#include "server/guard.h"

enum { INPUTS_MAX = 2048, OPEN_MAX = 16 };

struct batch;

struct input {
    struct batch *batch;
    uint64_t request; // while it runs
    json_t *vector;
};

struct batch {
    struct exchange *ex;
    struct served_model *model;
    struct prompts prompts;
    struct input *inputs; // [prompts.n]
    uint32_t n_dimensions;
    bool base64;

    pthread_mutex_t mutex;               // of all below
    size_t next;                         // to be started
    size_t put_off[OPEN_MAX], n_put_off; // tried in vain: too many requests were waiting
    size_t n_open;                       // that run, and at first those that may
    bool is_gone;
    socle_status status; // of the first that failed
    char error[1000];
    uint32_t n_prompt, n_cached;
};

// ---- vectors as JSON

// RFC 4648.
static json_t *base64_json(const uint8_t *bytes, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n_text = (n + 2) / 3 * 4;
    char *text = malloc(n_text + 1);
    if (!text) return NULL;
    for (size_t i = 0; i < n_text / 4; i++) {
        uint32_t three = 0;
        for (size_t j = 0; j < 3; j++) three = three << 8 | (3 * i + j < n ? bytes[3 * i + j] : 0u);
        for (size_t j = 0; j < 4; j++) text[4 * i + j] = j > n - 3 * i ? '=' : letters[three >> (18 - 6 * j) & 63];
    }
    json_t *json = json_stringn(text, n_text);
    free(text);
    return json;
}

// Binary32, little-endian, as the interface's clients expect it.
static json_t *packed_json(const float *x, size_t n)
{
    uint8_t *bytes = malloc(4 * n + 1);
    if (!bytes) return NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (size_t j = 0; j < 4; j++) bytes[4 * i + j] = (uint8_t)(bits >> (8 * j));
    }
    json_t *json = base64_json(bytes, 4 * n);
    free(bytes);
    return json;
}

static json_t *list_json(const float *x, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_real((double)x[i]));
    return list;
}

// ---- the end

static json_t *batch_json(struct batch *b)
{
    json_t *data = json_array();
    for (size_t i = 0; i < b->prompts.n; i++) {
        json_array_append_new(data, json_pack("{s:s, s:I, s:o}", "object", "embedding", "index", (json_int_t)i,
                                              "embedding", b->inputs[i].vector));
        b->inputs[i].vector = NULL;
    }
    return json_pack("{s:s, s:o, s:s, s:{s:I, s:I}}", "object", "list", "data", data, "model", b->model->id, "usage",
                     "prompt_tokens", (json_int_t)b->n_prompt, "total_tokens", (json_int_t)b->n_prompt);
}

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->prompts.n; i++) json_decref(b->inputs[i].vector);
    free(b->inputs);
    prompts_free(&b->prompts);
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

// After this nothing of b is touched.
static void finish(struct batch *b)
{
    struct exchange *ex = b->ex;
    server_note_usage(ex->server, b->n_prompt, b->n_cached, 0);
    guard_count(ex, b->n_prompt, b->n_cached, 0);
    exchange_work(ex, NULL, NULL);
    if (b->is_gone) exchange_reply_text(ex, 499, "text/plain", "", 0); // nobody reads it
    else if (b->status != SOCLE_OK) reply_failure(ex, b->status, "input", b->error);
    else exchange_reply_json(ex, 200, batch_json(b));
    served_models_give(ex->server->models, b->model);
    batch_free(b);
    exchange_let_go(ex);
}

// ---- requests

static void start_next(struct batch *b);

static void fail_batch(struct batch *b, socle_status status, const char *message)
{
    if (b->status != SOCLE_OK) return;
    b->status = status;
    snprintf(b->error, sizeof b->error, "%s", message);
}

static void on_end(void *context, const socle_request_result *result)
{
    struct input *input = context;
    struct batch *b = input->batch;
    json_t *vector = NULL;
    if (result->status == SOCLE_OK && result->embedding)
        vector = b->base64 ? packed_json(result->embedding, result->n_embedding)
                           : list_json(result->embedding, result->n_embedding);
    pthread_mutex_lock(&b->mutex);
    input->vector = vector;
    b->n_prompt += result->n_prompt;
    b->n_cached += result->n_cached;
    input->request = 0;
    if (result->status != SOCLE_OK) fail_batch(b, result->status, result->error.message);
    else if (!vector) fail_batch(b, SOCLE_CANCELLED, "the server is ending");
    pthread_mutex_unlock(&b->mutex);
    start_next(b);
}

static socle_status start_input(struct batch *b, size_t i, socle_error *err)
{
    socle_request_options request = {
        .prompt = b->prompts.at[i].ids,
        .n_prompt = b->prompts.at[i].n_ids,
        .pooling = b->ex->server->options.pooling,
        .n_dimensions = b->n_dimensions,
        .group = guard_group(b->ex),
        .timeout_seconds = b->ex->server->options.timeout_seconds,
        .on_end = on_end,
        .context = &b->inputs[i],
    };
    return socle_request_start(b->model->scheduler, &request, &b->inputs[i].request, err);
}

// The next text to be started, or prompts.n.
static size_t take_next(struct batch *b)
{
    if (b->status != SOCLE_OK || b->is_gone) return b->prompts.n;
    if (b->n_put_off) return b->put_off[--b->n_put_off];
    return b->next < b->prompts.n ? b->next++ : b->prompts.n;
}

// False when it was neither started nor failed: its turn comes when another ends.
static bool try_input(struct batch *b, size_t i, bool *started)
{
    socle_error err;
    socle_status status = start_input(b, i, &err);
    *started = status == SOCLE_OK;
    if (status == SOCLE_BUSY && b->n_open > 1) {
        b->put_off[b->n_put_off++] = i;
        return false;
    }
    if (!*started) fail_batch(b, status, err.message);
    return true;
}

// In the place of one that ended, or that never was: starts another; the last one that finds none ends the batch.
static void start_next(struct batch *b)
{
    bool started = false;
    pthread_mutex_lock(&b->mutex);
    for (size_t i; !started && (i = take_next(b)) < b->prompts.n && try_input(b, i, &started);) continue;
    if (!started) b->n_open--;
    bool is_last = b->n_open == 0;
    pthread_mutex_unlock(&b->mutex);
    if (is_last) finish(b);
}

static void on_gone(void *work)
{
    struct batch *b = work;
    pthread_mutex_lock(&b->mutex);
    b->is_gone = true;
    for (size_t i = 0; i < b->prompts.n; i++)
        if (b->inputs[i].request) socle_request_cancel(b->model->scheduler, b->inputs[i].request);
    pthread_mutex_unlock(&b->mutex);
}

static void batch_start(struct exchange *ex, struct served_model *model, struct prompts *prompts, uint32_t n_dimensions,
                        bool base64)
{
    struct batch *b = calloc(1, sizeof *b);
    struct input *inputs = calloc(prompts->n, sizeof *inputs);
    if (!b || !inputs) {
        free(b);
        free(inputs);
        served_models_give(ex->server->models, model);
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
        return;
    }
    size_t n = prompts->n < OPEN_MAX ? prompts->n : OPEN_MAX;
    *b = (struct batch){ .ex = ex,
                         .model = model,
                         .prompts = *prompts,
                         .inputs = inputs,
                         .n_dimensions = n_dimensions,
                         .base64 = base64,
                         .n_open = n };
    *prompts = (struct prompts){ 0 };
    pthread_mutex_init(&b->mutex, NULL);
    for (size_t i = 0; i < b->prompts.n; i++) inputs[i].batch = b;
    exchange_hold(ex);
    exchange_work(ex, b, on_gone);
    for (size_t i = 0; i < n; i++) start_next(b); // the last one that ends frees b, and n of them are counted open
}

// ---- the route

static bool read_encoding(struct exchange *ex, bool *base64)
{
    const char *encoding = NULL;
    if (!read_string(ex, ex->json, "encoding_format", &encoding)) return false;
    *base64 = encoding && strcmp(encoding, "base64") == 0;
    if (!encoding || *base64 || strcmp(encoding, "float") == 0) return true;
    exchange_fail(ex, 400, "invalid_value", "encoding_format",
                  "Invalid value for 'encoding_format': expected 'float' or 'base64', found '%s'.", encoding);
    return false;
}

static bool check_prompts(struct exchange *ex, const struct prompts *prompts)
{
    const json_t *input = json_object_get(ex->json, "input");
    for (size_t i = 0; i < prompts->n; i++) {
        const json_t *text = json_is_array(input) ? json_array_get(input, i) : input;
        bool is_empty = json_is_string(text) && json_string_length(text) == 0;
        if (prompts->at[i].n_ids && !is_empty) continue;
        exchange_fail(ex, 400, "invalid_value", "input", "Invalid 'input': text %zu is empty.", i);
        return false;
    }
    return true;
}

void serve_embeddings(struct exchange *ex, const char *path)
{
    struct prompts prompts = { 0 };
    struct served_model *model;
    uint64_t n_dimensions = 0;
    bool base64 = false;
    (void)path;
    if (!read_encoding(ex, &base64) || !read_count(ex, ex->json, "dimensions", 1, UINT32_MAX, &n_dimensions) ||
        !(model = take_model(ex)))
        return;
    if (n_dimensions > model->info.n_embd) {
        exchange_fail(ex, 400, "invalid_value", "dimensions", "Invalid 'dimensions': %llu, but the model has %u.",
                      (unsigned long long)n_dimensions, model->info.n_embd);
        served_models_give(ex->server->models, model);
    } else if (prompts_read(ex, model, "input", INPUTS_MAX, false, &prompts) && check_prompts(ex, &prompts)) {
        batch_start(ex, model, &prompts, (uint32_t)n_dimensions, base64);
    } else {
        served_models_give(ex->server->models, model);
    }
    prompts_free(&prompts);
}
