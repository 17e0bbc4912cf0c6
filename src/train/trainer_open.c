#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/export.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "base/size.h"
#include "models/adapters.h"
#include "train/model_file.h"
#include "train/new_model.h"
#include "train/trainer.h"

enum { TARGETS_MAX = 32, TARGETS_BYTES = 512 };

// ---- settings

static socle_status check_adapter_options(const socle_train_options *o, socle_error *err)
{
    if (o->lora_rank > 1024)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a rank of %u: expected at most 1024", o->lora_rank);
    if (!(o->lora_alpha > 0.0f && o->lora_alpha < 1e6f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "an alpha of %g: expected more than 0", (double)o->lora_alpha);
    if (!(o->preference_beta > 0.0f && o->preference_beta < 1e6f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a beta of %g: expected more than 0", (double)o->preference_beta);
    return SOCLE_OK;
}

// Known before hours of work, not after.
static socle_status check_result_type(const socle_train_options *o, socle_error *err)
{
    const struct sc_format *format = sc_format_find_name(o->result_type);
    if (format && format->encode) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "'%s' is no format that weights can be written in", o->result_type);
}

static socle_status check_options(const socle_train_options *o, socle_error *err)
{
    if (!o->folder || !*o->folder) return sc_fail(err, SOCLE_BAD_ARGUMENT, "a folder for the run is needed");
    if (o->n_data == 0) return sc_fail(err, SOCLE_BAD_ARGUMENT, "no data: name at least one file");
    if (!o->model && !o->tokenizer)
        return sc_fail(
            err, SOCLE_BAD_ARGUMENT,
            "name a model to go on from, or a tokenizer's file for a new model ('socle tokenizer train' makes one)");
    if (o->model && (o->tokenizer || o->n_layer || o->n_embd || o->n_head || o->n_ff || o->n_expert))
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a model to go on from has its vocabulary and shape: a tokenizer, layers, width, heads, "
                       "feed-forward and experts are those of a new one");
    if (o->lora_rank && !o->model) return sc_fail(err, SOCLE_BAD_ARGUMENT, "an adapter needs a model that it is for");
    if (o->data_kind == SOCLE_DATA_PREFERENCE && !o->lora_rank)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "preferences are learnt by an adapter: give it a rank");
    if (o->n_context < 2 || o->n_windows < 1 || o->n_accumulate < 1 || o->n_steps < 1)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a step needs a context of 2 tokens, a window and a batch, and a run a step");
    if ((uint64_t)o->n_context * o->n_windows > 1u << 20)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "batches of %u windows of %u tokens: expected at most 1048576 tokens; more "
                       "windows can be taken together by accumulation",
                       o->n_windows, o->n_context);
    if (o->data_kind == SOCLE_DATA_PREFERENCE && o->n_windows % 2)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "pairs need an even number of windows, not %u", o->n_windows);
    if (!(o->rate > 0.0f && o->rate < 10.0f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a rate of %g makes no sense", (double)o->rate);
    if (!(o->dropout >= 0.0f && o->dropout < 1.0f && o->lora_dropout >= 0.0f && o->lora_dropout < 1.0f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "dropout is a share from 0 to below 1");
    if (!(o->beta1 >= 0.0f && o->beta1 < 1.0f && o->beta2 >= 0.0f && o->beta2 < 1.0f && o->eps > 0.0f &&
          o->weight_decay >= 0.0f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "the optimizer's numbers make no sense (betas from 0 to below 1, eps above 0)");
    if (!(o->momentum >= 0.0f && o->momentum < 1.0f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a momentum of %g: expected 0 to below 1", (double)o->momentum);
    if (!(o->clip >= 0.0f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "clipping at a norm of %g: expected 0 (never) or more",
                       (double)o->clip);
    if (!(o->rate_end >= 0.0f && o->rate_end <= 1.0f))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "at the end %g of the rate is to be left: expected a share from 0 to 1",
                       (double)o->rate_end);
    return o->lora_rank ? check_adapter_options(o, err) : check_result_type(o, err);
}

// A float as the shortest number that gives it.
static json_t *real(float x)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x) break;
    }
    return json_real(strtod(text, NULL));
}

static json_t *whole(uint64_t x) { return json_integer((json_int_t)x); }

// What sets the bits of a run, as JSON: its digest says whether two runs are alike.
static json_t *settings_json(const struct socle_training *t)
{
    const socle_train_options *o = &t->o;
    static const char *const kinds[] = { "text", "jsonl", "chat", "preference" };
    static const char *const schedules[] = { "cosine", "wsd", "constant" };
    json_t *j = json_object();
    const struct {
        const char *key;
        json_t *value;
    } entries[] = {
        { "accumulate", whole(o->n_accumulate) },
        { "activations", json_string(o->bf16 ? "bf16" : "f32") },
        { "batch", whole(o->n_windows) },
        { "beta1", real(o->beta1) },
        { "beta2", real(o->beta2) },
        { "clip", real(o->clip) },
        { "context", whole(o->n_context) },
        { "decay-steps", whole(o->n_decay) },
        { "dropout", real(o->lora_rank ? o->lora_dropout : o->dropout) },
        { "eps", real(o->eps) },
        { "field", json_string(o->field ? o->field : "") },
        { "format", json_string(kinds[o->data_kind]) },
        { "holdout-every", whole(o->holdout_every) },
        { "holdout-first", whole(o->holdout_first) },
        { "lines", whole(o->lines) },
        { "long", whole(o->long_examples) },
        { "momentum", real(o->momentum) },
        { "optimizer", json_string(o->optimizer == SOCLE_MUON ? "muon" : "adamw") },
        { "rate", real(o->rate) },
        { "rate-end", real(o->rate_end) },
        { "schedule", json_string(schedules[o->schedule]) },
        { "seed", whole(o->seed) },
        { "separator", json_string(o->separator ? o->separator : "") },
        { "steps", whole(o->n_steps) },
        { "warmup", whole(o->n_warmup) },
        { "weight-decay", real(o->weight_decay) },
    };
    for (size_t i = 0; i < SC_COUNT(entries); i++) json_object_set_new(j, entries[i].key, entries[i].value);
    if (o->patience) { // then evaluations decide when the run ends
        json_object_set_new(j, "patience", whole(o->patience));
        json_object_set_new(j, "evaluate-every", whole(o->evaluate_every));
    }
    if (o->bf16 && o->memory) // what is computed again is not rounded
        json_object_set_new(j, "memory", whole(o->memory));
    if (!o->lora_rank) return j;
    json_object_set_new(j, "rank", whole(o->lora_rank));
    json_object_set_new(j, "alpha", real(o->lora_alpha));
    json_object_set_new(j, "targets", json_string(o->lora_targets ? o->lora_targets : ""));
    if (o->data_kind == SOCLE_DATA_PREFERENCE) json_object_set_new(j, "beta", real(o->preference_beta));
    return j;
}

static socle_status digest_settings(struct socle_training *t, socle_error *err)
{
    json_t *j = settings_json(t);
    char *text = j ? json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(j);
    if (!text) return sc_fail_memory(err, 0, "settings");
    struct sc_sha256 sha;
    uint8_t digest[32];
    sc_sha256_begin(&sha);
    sc_sha256_add(&sha, text, strlen(text));
    sc_sha256_add(&sha, t->program, 64);
    sc_sha256_add(&sha, t->base_digest, 64);
    sc_sha256_end(&sha, digest);
    sc_hex(digest, t->settings);
    sc_buffer_append_string(&t->settings_json, text);
    free(text);
    return t->settings_json.failed ? sc_fail_memory(err, 0, "settings") : SOCLE_OK;
}

static void digest_program(struct socle_training *t)
{
    struct sc_buffer text = { 0 };
    struct sc_sha256 sha;
    uint8_t digest[32];
    sc_program_print(&t->model->program, &text);
    sc_sha256_begin(&sha);
    sc_sha256_add(&sha, text.data ? text.data : "", text.n_bytes);
    sc_sha256_end(&sha, digest);
    sc_hex(digest, t->program);
    sc_buffer_free(&text);
}

static void add_text(struct sc_sha256 *sha, struct sc_text text)
{
    uint64_t n = text.n_bytes;
    sc_sha256_add(sha, &n, sizeof n);
    sc_sha256_add(sha, text.data, text.n_bytes);
}

// A vocabulary's key: its name, and its numbers or its texts with their lengths.
static void add_value(struct sc_sha256 *sha, const struct sc_gguf_value *value)
{
    bool is_float = value->type == SC_GGUF_F32 || value->type == SC_GGUF_F64;
    add_text(sha, value->key);
    for (uint64_t i = 0; i < value->n; i++) {
        if (value->type == SC_GGUF_STRING) {
            add_text(sha, value->is_array ? value->strings[i] : value->string);
            continue;
        }
        float real = is_float ? sc_gguf_float_at(value, i) : 0.0f;
        int64_t whole = is_float ? 0 : sc_gguf_int_at(value, i);
        sc_sha256_add(sha, &real, sizeof real);
        sc_sha256_add(sha, &whole, sizeof whole);
    }
}

// Of the vocabulary and the tensors that the run begins with: names, formats' numbers, bytes.
static void digest_base(struct socle_training *t)
{
    struct sc_sha256 sha;
    uint8_t digest[32];
    sc_sha256_begin(&sha);
    for (uint64_t i = 0; i < sc_gguf_n_values(t->base); i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(t->base, i);
        if (value->key.n_bytes > 10 && memcmp(value->key.data, "tokenizer.", 10) == 0) add_value(&sha, value);
    }
    for (uint64_t i = 0; i < sc_gguf_n_tensors(t->base); i++) {
        const struct sc_tensor *tensor = sc_gguf_tensor_at(t->base, i);
        uint32_t id = tensor->format->id;
        sc_sha256_add(&sha, tensor->name.data, tensor->name.n_bytes);
        sc_sha256_add(&sha, &id, sizeof id);
        sc_sha256_add(&sha, tensor->data, tensor->n_bytes);
    }
    sc_sha256_end(&sha, digest);
    sc_hex(digest, t->base_digest);
}

// ---- the model

static socle_status make_model(struct socle_training *t, socle_error *err)
{
    struct sc_gguf_writer *writer = NULL;
    void *memory = NULL;
    SC_TRY(sc_gguf_writer_create(&writer, err));
    socle_status status = sc_new_model(&t->o, t->vocabulary, writer, &memory, err);
    if (status == SOCLE_OK) status = sc_gguf_writer_write_buffer(writer, &t->made, err);
    sc_gguf_writer_free(writer);
    free(memory);
    if (status != SOCLE_OK) return status;
    return sc_gguf_open_memory("the new model", t->made.data, t->made.n_bytes, &t->base, err);
}

// Names with commas between, cut in place of `text`.
static void split_targets(char *text, const char *targets[TARGETS_MAX + 1])
{
    size_t n = 0;
    for (char *at = strtok(text, ", "); at && n < TARGETS_MAX; at = strtok(NULL, ", ")) targets[n++] = at;
    targets[n] = NULL;
}

// Whether some layer has a matrix of this name: "blk.<layer>.<target>.weight".
static bool names_weight(const struct sc_gguf *gguf, const char *target)
{
    char end[TARGETS_BYTES + 16];
    size_t n = (size_t)snprintf(end, sizeof end, ".%s.weight", target);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        struct sc_text name = sc_gguf_tensor_at(gguf, i)->name;
        if (name.n_bytes > n && memcmp(name.data + name.n_bytes - n, end, n) == 0) return true;
    }
    return false;
}

static socle_status make_adapter(struct socle_training *t, socle_error *err)
{
    static const char all[] =
        "attn_q,attn_k,attn_v,attn_qkv,attn_output,attn_q_a,attn_q_b,attn_kv_a_mqa,ffn_gate,ffn_up,"
        "ffn_down";
    char text[TARGETS_BYTES];
    const char *targets[TARGETS_MAX + 1];
    snprintf(text, sizeof text, "%s", t->o.lora_targets ? t->o.lora_targets : all);
    split_targets(text, targets);
    for (size_t i = 0; t->o.lora_targets && targets[i]; i++)
        if (!names_weight(t->base, targets[i]))
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "targets: %s has no weight that '%s' names", sc_gguf_path(t->base),
                           targets[i]);
    struct sc_adapter_shape shape = { t->o.lora_rank, t->o.lora_dropout, targets, t->o.seed };
    SC_TRY(sc_adapter_set_new(t->base, &shape, &t->adapters, err));
    t->adapter_factors = malloc(sizeof(float));
    if (!t->adapter_factors) return sc_fail_memory(err, sizeof(float), "an adapter");
    t->adapter_factors[0] = t->o.lora_alpha / (float)t->o.lora_rank;
    return SOCLE_OK;
}

static socle_status load_text_side(struct socle_training *t, socle_error *err)
{
    struct sc_text source = { 0 };
    struct sc_gguf *file = t->base;
    SC_TRY(sc_tokenizer_load(file, &t->tokenizer, err));
    SC_TRY(sc_gguf_get_text(file, "tokenizer.chat_template", &source, err));
    if (source.n_bytes) SC_TRY(sc_template_parse(source, &t->template, err));
    t->reader = (struct sc_corpus_reader){ .tokenizer = t->tokenizer, .template = t->template };
    return SOCLE_OK;
}

static socle_status load_model(struct socle_training *t, socle_error *err)
{
    if (t->o.model) SC_TRY(sc_gguf_open(t->o.model, &t->base, err));
    if (!t->o.model) SC_TRY(sc_gguf_open(t->o.tokenizer, &t->vocabulary, err));
    if (!t->o.model) SC_TRY(make_model(t, err));
    SC_TRY(load_text_side(t, err));
    if (t->o.lora_rank) SC_TRY(make_adapter(t, err));
    struct sc_model_options options = { .dropout = t->o.lora_rank ? 0.0f : t->o.dropout, .adapters = t->adapters };
    struct sc_gguf *file = t->base;
    socle_status status = sc_model_load_with(file, &options, &t->model, err);
    if (status != SOCLE_OK) {
        t->base = NULL; // the loader took it
        return status;
    }
    if (t->o.n_context > t->model->hparams.n_context)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "windows of %u tokens, but the model's context is %u", t->o.n_context,
                       t->model->hparams.n_context);
    digest_base(t);
    digest_program(t);
    return SOCLE_OK;
}

// ---- data

// Reads all of one side once, in order: a mistake in the last line is told now, not hours later. Texts have none.
static socle_status check_data(const struct socle_training *t, const struct sc_corpus *corpus, bool held_out,
                               socle_error *err)
{
    struct sc_batches_options options = { .n_context = t->o.n_context,
                                          .n_windows = t->o.n_windows,
                                          .n_epochs = 1,
                                          .in_order = true,
                                          .held_out = held_out,
                                          .long_examples = (enum sc_long_examples)t->o.long_examples };
    struct sc_batches *stream;
    struct sc_batch batch = { .n_rows = 1 };
    SC_TRY(sc_batches_open(corpus, &t->reader, &options, &stream, err));
    socle_status status = SOCLE_OK;
    while (status == SOCLE_OK && batch.n_rows && t->o.data_kind != SOCLE_DATA_TEXT)
        status = sc_batches_next(stream, &batch, err);
    sc_batches_close(stream);
    return status;
}

static socle_status open_data(struct socle_training *t, socle_error *err)
{
    struct sc_corpus_options options = { .kind = (enum sc_corpus_kind)t->o.data_kind,
                                         .field = t->o.field,
                                         .separator = t->o.separator,
                                         .n_lines = t->o.lines,
                                         .holdout_every = t->o.holdout_every,
                                         .holdout_first = t->o.holdout_first };
    if (t->o.n_held_out) options.holdout_every = options.holdout_first = 0;
    SC_TRY(sc_corpus_open(t->o.data, t->o.n_data, &options, &t->corpus, err));
    if (t->o.n_held_out) SC_TRY(sc_corpus_open(t->o.held_out, t->o.n_held_out, &options, &t->held_out, err));
    else if (t->o.holdout_every) t->held_out = t->corpus;
    if (t->held_out && sc_corpus_n_selected(t->held_out, t->held_out == t->corpus) == 0)
        return sc_fail(err, SOCLE_BAD_FILE, "of the training data's %zu documents, none is held out",
                       sc_corpus_n_documents(t->corpus));
    if (t->o.patience && (!t->held_out || !t->o.evaluate_every))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "patience needs held-out data, and that it is looked at now and then");
    SC_TRY(check_data(t, t->corpus, false, err));
    if (t->held_out) SC_TRY(check_data(t, t->held_out, t->held_out == t->corpus, err));
    uint8_t digest[32];
    sc_corpus_digest(t->corpus, digest);
    sc_hex(digest, t->data);
    struct sc_batches_options batches = { .n_context = t->o.n_context,
                                          .n_windows = t->o.n_windows,
                                          .seed = t->o.seed,
                                          .long_examples = (enum sc_long_examples)t->o.long_examples };
    return sc_batches_open(t->corpus, &t->reader, &batches, &t->batches, err);
}

// ---- memory

static socle_status check_memory(const struct socle_training *t, socle_error *err)
{
    socle_training_info info;
    socle_training_describe(t, &info);
    if (t->o.overcommit || info.total_bytes <= info.available_bytes) return SOCLE_OK;
    return sc_fail(
        err, SOCLE_NO_MEMORY,
        "training takes %llu MiB (weights %llu, derivatives and optimizer %llu, activations %llu), but %llu MiB are "
        "available; fewer or shorter windows, or a budget for activations, take less",
        (unsigned long long)info.total_bytes >> 20, (unsigned long long)info.weights_bytes >> 20,
        (unsigned long long)info.optimizer_bytes >> 20, (unsigned long long)info.activations_bytes >> 20,
        (unsigned long long)info.available_bytes >> 20);
}

// Of a new model only the metadata are read from now on.
static void forget_tensors(const struct socle_training *t)
{
    const char *first = sc_gguf_tensor_at(t->base, 0)->data;
    sc_forget_pages(first, t->made.n_bytes - (size_t)(first - t->made.data));
}

static socle_status take_memory(struct socle_training *t, socle_error *err)
{
    size_t n = sc_trainer_n_rows(&t->o);
    struct sc_learner_options learner = { .n_rows = (uint32_t)n,
                                          .n_context = t->o.n_context,
                                          .n_threads = t->o.n_threads,
                                          .cpu = t->o.cpu,
                                          .bf16 = t->o.bf16,
                                          .budget = t->o.memory };
    struct sc_optimizer_options optimizer = { .kind = (enum sc_optimizer_kind)t->o.optimizer,
                                              .decay = t->o.weight_decay,
                                              .beta1 = t->o.beta1,
                                              .beta2 = t->o.beta2,
                                              .eps = t->o.eps,
                                              .momentum = t->o.momentum,
                                              .clip = t->o.clip };
    SC_TRY(sc_parameters_take(t->model, t->adapters != NULL, true, &t->parameters, err));
    if (t->made.data) forget_tensors(t);
    SC_TRY(sc_learner_create(t->model, &t->parameters, &learner, &t->learner, err));
    SC_TRY(sc_optimizer_create(&t->parameters, t->learner, &optimizer, &t->optimizer, err));
    SC_TRY(check_memory(t, err));
    t->step.list = calloc(t->o.n_accumulate, sizeof *t->step.list);
    t->step.memory = calloc(t->o.n_accumulate, sizeof *t->step.memory);
    t->log_probability = calloc(n, sizeof *t->log_probability);
    t->reference = calloc(n, sizeof *t->reference);
    t->row_weights = calloc(n, sizeof *t->row_weights);
    if (t->step.list && t->step.memory && t->log_probability && t->reference && t->row_weights) return SOCLE_OK;
    return sc_fail_memory(err, n * 20, "a batch");
}

// ---- where it begins

static socle_status begin_new(struct socle_training *t, socle_error *err)
{
    uint64_t *steps;
    size_t n;
    double infinity = (double)__builtin_inff();
    SC_TRY(sc_checkpoint_list(t->o.folder, &steps, &n, err));
    memcpy(&t->state.best_loss, &infinity, sizeof infinity);
    uint64_t newest = n ? steps[n - 1] : 0;
    free(steps);
    if (newest == 0) return SOCLE_OK; // nothing, or a run that did not come to its first step's end
    return sc_fail(err, SOCLE_BAD_ARGUMENT,
                   "%s: there is a run in this folder already; go on with it (--resume), or choose "
                   "another folder",
                   t->o.folder);
}

// The newest checkpoint that is whole.
static socle_status begin_again(struct socle_training *t, socle_error *err)
{
    struct sc_train_identity identity = { t->settings, t->data };
    uint64_t *steps;
    size_t n;
    SC_TRY(sc_checkpoint_list(t->o.folder, &steps, &n, err));
    socle_status status = sc_fail(err, SOCLE_BAD_ARGUMENT, "%s: there is no checkpoint to go on from", t->o.folder);
    while (n-- > 0) {
        if (!sc_checkpoint_path(&t->path, t->o.folder, steps[n])) break;
        status = sc_checkpoint_read(t->path.data, &t->parameters, &identity, &t->state, err);
        if (status == SOCLE_BAD_ARGUMENT) sc_manifest_add_difference(t, err);
        if (status != SOCLE_BAD_FILE && status != SOCLE_UNSUPPORTED) break; // a flipped bit may look like the latter
        if (err && !t->damaged[0]) snprintf(t->damaged, sizeof t->damaged, "%.500s", err->message);
    }
    free(steps);
    if (t->damaged[0] && (status == SOCLE_BAD_FILE || status == SOCLE_UNSUPPORTED))
        sc_fail_prefix(err, "no checkpoint is whole; the oldest");
    return status == SOCLE_OK ? sc_batches_seek(t->batches, &t->state.data, err) : status;
}

SC_EXPORT socle_status socle_training_open(const socle_train_options *options, bool resume, socle_training **out,
                                           socle_error *err)
{
    SC_TRY(check_options(options, err));
    socle_training *t = calloc(1, sizeof *t);
    if (!t) return sc_fail_memory(err, sizeof *t, "a run");
    t->o = *options;
    socle_status status = load_model(t, err);
    if (status == SOCLE_OK) status = open_data(t, err);
    if (status == SOCLE_OK) status = digest_settings(t, err);
    if (status == SOCLE_OK && t->o.sample_every) status = sc_trainer_check_sample(t, err);
    if (status == SOCLE_OK) status = take_memory(t, err);
    if (status == SOCLE_OK) status = resume ? begin_again(t, err) : begin_new(t, err);
    if (status == SOCLE_OK) *out = t;
    else socle_training_free(t);
    return status;
}

SC_EXPORT void socle_training_free(socle_training *t)
{
    if (!t) return;
    for (uint32_t i = 0; t->step.memory && i < t->o.n_accumulate; i++) free(t->step.memory[i]);
    free(t->step.memory);
    free(t->step.list);
    free(t->log_probability);
    free(t->reference);
    free(t->row_weights);
    sc_optimizer_free(t->optimizer);
    sc_learner_free(t->learner);
    sc_parameters_free(&t->parameters);
    sc_batches_close(t->batches);
    if (t->held_out != t->corpus) sc_corpus_close(t->held_out);
    sc_corpus_close(t->corpus);
    sc_template_free(t->template);
    sc_tokenizer_free(t->tokenizer);
    if (t->model) sc_model_free(t->model); // and its file
    else sc_gguf_close(t->base);
    sc_gguf_close(t->vocabulary);
    sc_adapter_set_free(t->adapters);
    free(t->adapter_factors);
    free(t->profile.parts);
    sc_buffer_free(&t->made);
    sc_buffer_free(&t->settings_json);
    sc_buffer_free(&t->path);
    free(t);
}

// ---- what it takes

static double flops_of(const struct socle_training *t)
{
    const struct sc_program *program = &t->model->program;
    double macs = 0.0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const struct sc_op *op = &program->ops[i];
        if (!op->type->is_product) continue;
        const struct sc_tensor *w = op->linear.weight;
        double own = (double)w->shape[0] * (double)w->shape[1];
        own *= op->in[2].buffer != SC_NO_BUFFER ? (double)op->in[2].head_dim : (double)w->shape[2];
        macs += own * (t->parameters.ops[i].weight ? 3.0 : 2.0);
    }
    return 2.0 * macs * (double)sc_trainer_n_rows(&t->o) * (double)t->o.n_accumulate;
}

SC_EXPORT void socle_training_describe(const socle_training *t, socle_training_info *out)
{
    const struct sc_training_plan *plan = sc_learner_plan(t->learner);
    *out = (socle_training_info){ .n_trained = t->parameters.n_weights,
                                  .n_documents = sc_corpus_n_selected(t->corpus, false),
                                  .n_data_bytes = sc_corpus_n_bytes(t->corpus),
                                  .n_tokens_step = (uint64_t)sc_trainer_n_rows(&t->o) * t->o.n_accumulate,
                                  .step = t->state.step,
                                  .optimizer_bytes = t->parameters.n_bytes / 4 * 3 +
                                                     sc_optimizer_need(&t->parameters,
                                                                       (enum sc_optimizer_kind)t->o.optimizer),
                                  .activations_bytes = sc_learner_n_bytes(t->learner),
                                  .available_bytes = sc_memory_available(),
                                  .n_stretches = plan->n_stretches,
                                  .n_recomputed = plan->n_recomputed,
                                  .flops_step = flops_of(t),
                                  .best_step = t->state.best_step,
                                  .damaged = t->damaged[0] ? t->damaged : NULL };
    if (t->state.best_step) memcpy(&out->best_loss, &t->state.best_loss, sizeof out->best_loss);
    if (t->held_out) out->n_held_out = sc_corpus_n_selected(t->held_out, t->held_out == t->corpus);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(t->base); i++) {
        const struct sc_tensor *tensor = sc_gguf_tensor_at(t->base, i);
        out->n_parameters += tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
    }
    out->weights_bytes = t->parameters.n_bytes / 4 + t->model->packed_bytes;
    out->total_bytes = out->weights_bytes + out->optimizer_bytes + out->activations_bytes;
}

SC_EXPORT void socle_train_options_init(socle_train_options *o)
{
    *o = (socle_train_options){ .family = "llama",
                                .rope_base = 10000.0f,
                                .lora_alpha = 16.0f,
                                .preference_beta = 0.1f,
                                .n_context = 512,
                                .n_windows = 8,
                                .n_accumulate = 1,
                                .n_steps = 1000,
                                .seed = 1,
                                .rate = 1e-3f,
                                .rate_end = 0.1f,
                                .n_warmup = 50,
                                .weight_decay = 0.1f,
                                .beta1 = 0.9f,
                                .beta2 = 0.95f,
                                .eps = 1e-8f,
                                .momentum = 0.95f,
                                .clip = 1.0f,
                                .evaluate_every = 100,
                                .save_every = 200,
                                .n_keep = 2,
                                .n_sample_tokens = 100,
                                .result_type = "F16" };
}
