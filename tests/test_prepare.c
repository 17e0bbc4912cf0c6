// Preparing a model: every weight of a product is packed once, whoever asks and how often; the rest stays as it is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/size.h"
#include "engine/session.h"
#include "models/pack.h"
#include "tensor/packed.h"
#include "tiny_model.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAVE_SHADOW
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_SHADOW
#endif

enum { OPS_MAX = 256, N_THREADS = 4 };

static const struct tiny kinds[] = {
    { .family = "llama" },
    { .family = "llama", .quantized = true },
    { .family = "llama", .untied = true, .quantized = true },
    { .family = "llama", .experts = true, .quantized = true },
    { .family = "phi3", .fused = true, .quantized = true },
    { .family = "qwen3", .norms = true },
    { .family = "deepseek2", .latent = true, .split = true, .experts = true },
    { .family = "deepseek2", .latent = true },
};

// Loads a tiny model; *bytes are freed by the caller after it.
static struct sc_model *load(struct tiny t, char **bytes)
{
    size_t n_bytes = 0;
    struct sc_gguf *gguf;
    struct sc_model *model = NULL;
    socle_error err = { 0 };
    *bytes = tiny_write(&t, &n_bytes);
    assert_non_null(*bytes);
    if (sc_gguf_open_memory("tiny", *bytes, n_bytes, &gguf, &err) != SOCLE_OK ||
        sc_model_load(gguf, &model, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    return model;
}

static struct sc_model *load_file(void)
{
    struct sc_gguf *gguf;
    struct sc_model *model = NULL;
    socle_error err = { 0 };
    if (sc_gguf_open(SC_SOURCE_ROOT "/share/tales.gguf", &gguf, &err) != SOCLE_OK ||
        sc_model_load(gguf, &model, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    return model;
}

static void prepare(struct sc_model *model, size_t n_threads)
{
    socle_error err = { 0 };
    if (sc_model_prepare(model, n_threads, NULL, NULL, &err) != SOCLE_OK) fail_msg("%s", err.message);
}

static bool keep(void *context, size_t i, const float *logits)
{
    memcpy((float *)context + i * TINY_VOCAB, logits, TINY_VOCAB * sizeof *logits);
    return true;
}

typedef float logits_of_all[8 * TINY_VOCAB];

static void evaluate(struct sc_model *model, logits_of_all logits)
{
    static const int32_t tokens[8] = { 1, 7, 3, 11, 0, 5, 5, 2 };
    struct sc_session *session;
    struct sc_session_options options = { .n_context = 16, .n_logits = 8, .n_threads = 2 };
    struct sc_evaluation e = { .tokens = tokens, .n_tokens = 8, .sink = keep, .context = logits };
    socle_error err = { 0 };
    if (sc_session_create(model, &options, &session, &err) != SOCLE_OK ||
        sc_session_evaluate(session, &e, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    sc_session_free(session);
}

// ---- what is packed

static void list_weights(const struct sc_model *model, const struct sc_tensor *weights[OPS_MAX])
{
    assert_true(model->program.n_ops <= OPS_MAX);
    for (uint32_t i = 0; i < model->program.n_ops; i++) weights[i] = model->program.ops[i].linear.weight;
}

static void check_rows(const struct sc_tensor *from, const struct sc_tensor *to)
{
    size_t k = from->shape[0];
    float *expected = malloc(k * sizeof *expected), *found = malloc(k * sizeof *found);
    assert_true(expected && found);
    for (uint64_t m = 0; m < from->shape[2]; m++)
        for (uint64_t r = 0; r < from->shape[1]; r++) {
            const char *group = (const char *)to->data + m * to->matrix_stride + r / SC_GROUP_ROWS * to->row_stride;
            from->format->decode(sc_tensor_row(from, m, r), expected, k / from->format->block_size);
            sc_packed_decode_row(to->format, group, k, r % SC_GROUP_ROWS, found);
            assert_memory_equal(expected, found, k * sizeof *found);
        }
    free(expected);
    free(found);
}

// Packed tensors of products hold the rows of the file; all other weights are those of the file.
static void check_prepared(struct sc_model *model, const struct sc_tensor *const before[OPS_MAX])
{
    uint64_t n_bytes = 0;
    uintptr_t end = (uintptr_t)model->packed;
    for (uint32_t i = 0; i < model->program.n_ops; i++) {
        const struct sc_op *op = &model->program.ops[i];
        const struct sc_tensor *to = op->linear.weight;
        if (!to) continue;
        assert_false(before[i]->packed);
        if (!op->type->is_product) {
            assert_ptr_equal(to, before[i]);
            continue;
        }
        assert_true(to->packed);
        assert_int_equal(to->row_stride, sc_packed_group_bytes(to->format, to->shape[0]));
        assert_memory_equal(to->shape, before[i]->shape, sizeof to->shape);
        check_rows(before[i], to);
        if ((uintptr_t)to->data < end) continue; // an op before this one has it, too
        assert_ptr_equal(to->data, (void *)end);
        n_bytes += to->n_bytes;
        end += to->n_bytes;
    }
    assert_true(sc_model_is_prepared(model));
    assert_int_equal(n_bytes, sc_model_packed_bytes(model));
}

static void every_product_has_the_rows_of_the_file(void **state)
{
    (void)state;
    const struct sc_tensor *before[OPS_MAX];
    for (size_t i = 0; i < SC_COUNT(kinds); i++) {
        char *bytes;
        struct sc_model *model = load(kinds[i], &bytes);
        uint64_t n_bytes = sc_model_packed_bytes(model);
        list_weights(model, before);
        assert_false(sc_model_is_prepared(model));
        prepare(model, 1 + i % 3);
        assert_int_equal(sc_model_packed_bytes(model), n_bytes);
        check_prepared(model, before);
        sc_model_free(model);
        free(bytes);
    }
}

// The file's pages are given back while its weights are packed: what is still read of it must come back.
static void a_mapped_file_is_read_on_after_packing(void **state)
{
    (void)state;
    const struct sc_tensor *before[OPS_MAX];
    struct sc_model *model = load_file();
    const struct sc_tensor *table = sc_gguf_find_tensor(model->gguf, "token_embd.weight");
    char *copy = malloc(table->n_bytes);
    assert_non_null(copy);
    memcpy(copy, table->data, table->n_bytes);
    list_weights(model, before);
    prepare(model, 2);
    check_prepared(model, before);
    assert_memory_equal(copy, table->data, table->n_bytes);
    free(copy);
    sc_model_free(model);
}

// A table of embeddings that is the output matrix as well is packed for the one and kept for the other.
static void tied_embeddings_are_kept_and_packed(void **state)
{
    (void)state;
    for (int quantized = 0; quantized < 2; quantized++) {
        char *bytes, *other;
        logits_of_all tied, untied;
        struct tiny t = { .family = "llama", .quantized = quantized };
        struct sc_model *model = load(t, &bytes);
        t.untied = true;
        struct sc_model *with_output = load(t, &other);
        const struct sc_tensor *table = sc_gguf_find_tensor(model->gguf, "token_embd.weight");
        uint64_t mapped = sc_model_mapped_bytes(model);
        assert_int_equal(sc_model_packed_bytes(model), sc_model_packed_bytes(with_output));
        assert_int_equal(mapped, sc_model_mapped_bytes(with_output)); // neither keeps the file's output matrix
        evaluate(model, tied);
        evaluate(with_output, untied);
        assert_memory_equal(tied, untied, sizeof tied);
        const struct sc_program *program = &model->program;
        assert_ptr_equal(program->ops[0].linear.weight->data, table->data);
        assert_ptr_not_equal(program->ops[program->n_ops - 1].linear.weight->data, table->data);
        sc_model_free(model);
        sc_model_free(with_output);
        free(bytes);
        free(other);
    }
}

// ---- who packs, and when

struct progress {
    uint64_t done, total;
    size_t n_calls;
};

static void note(void *context, uint64_t done, uint64_t total)
{
    struct progress *p = context;
    assert_true(done > p->done && done <= total);
    assert_true(p->n_calls == 0 || total == p->total);
    *p = (struct progress){ done, total, p->n_calls + 1 };
}

static void progress_goes_up_to_the_total(void **state)
{
    (void)state;
    struct sc_model *model = load_file();
    struct progress progress = { 0 };
    socle_error err = { 0 };
    uint64_t n_bytes = sc_model_packed_bytes(model);
    assert_int_equal(sc_model_prepare(model, 2, note, &progress, &err), SOCLE_OK);
    assert_true(progress.n_calls > 1);
    assert_int_equal(progress.total, n_bytes);
    assert_int_equal(progress.done, n_bytes);
    sc_model_free(model);
}

static void preparing_twice_packs_once(void **state)
{
    (void)state;
    const struct sc_tensor *first[OPS_MAX], *second[OPS_MAX];
    struct progress progress = { 0 };
    socle_error err = { 0 };
    char *bytes;
    struct sc_model *model = load(kinds[3], &bytes);
    prepare(model, 1);
    list_weights(model, first);
    uint64_t n_bytes = sc_model_packed_bytes(model), mapped = sc_model_mapped_bytes(model);
    assert_int_equal(sc_model_prepare(model, 2, note, &progress, &err), SOCLE_OK);
    list_weights(model, second);
    assert_int_equal(progress.n_calls, 0);
    assert_memory_equal(first, second, model->program.n_ops * sizeof *first);
    assert_int_equal(sc_model_packed_bytes(model), n_bytes);
    assert_int_equal(sc_model_mapped_bytes(model), mapped);
    sc_model_free(model);
    free(bytes);
}

struct racer {
    struct sc_model *model;
    pthread_barrier_t *start;
    struct progress progress;
    logits_of_all logits;
    socle_status status;
};

static void *race(void *context)
{
    struct racer *r = context;
    socle_error err = { 0 };
    pthread_barrier_wait(r->start);
    r->status = sc_model_prepare(r->model, 2, note, &r->progress, &err);
    if (r->status == SOCLE_OK) evaluate(r->model, r->logits);
    return NULL;
}

static void of_threads_at_once_one_packs(void **state)
{
    (void)state;
    for (size_t round = 0; round < 20; round++) {
        struct racer racers[N_THREADS] = { 0 };
        pthread_t threads[N_THREADS];
        pthread_barrier_t start;
        size_t n_packed = 0;
        char *bytes;
        struct sc_model *model = load(kinds[round % SC_COUNT(kinds)], &bytes);
        pthread_barrier_init(&start, NULL, N_THREADS);
        for (size_t i = 0; i < N_THREADS; i++) {
            racers[i].model = model;
            racers[i].start = &start;
            assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (size_t i = 0; i < N_THREADS; i++) pthread_join(threads[i], NULL);
        for (size_t i = 0; i < N_THREADS; i++) {
            assert_int_equal(racers[i].status, SOCLE_OK);
            assert_memory_equal(racers[i].logits, racers[0].logits, sizeof racers[i].logits);
            n_packed += racers[i].progress.n_calls > 0;
        }
        assert_int_equal(n_packed, 1);
        pthread_barrier_destroy(&start);
        sc_model_free(model);
        free(bytes);
    }
}

// Sessions prepare the model on their own: created by several threads at once, they all compute the same.
static void *create_and_evaluate(void *context)
{
    struct racer *r = context;
    pthread_barrier_wait(r->start);
    evaluate(r->model, r->logits);
    return NULL;
}

static void sessions_created_at_once_compute_the_same(void **state)
{
    (void)state;
    for (size_t round = 0; round < 20; round++) {
        struct racer racers[N_THREADS] = { 0 };
        pthread_t threads[N_THREADS];
        pthread_barrier_t start;
        char *bytes;
        struct sc_model *model = load(kinds[round % SC_COUNT(kinds)], &bytes);
        pthread_barrier_init(&start, NULL, N_THREADS);
        for (size_t i = 0; i < N_THREADS; i++) {
            racers[i].model = model;
            racers[i].start = &start;
            assert_int_equal(pthread_create(&threads[i], NULL, create_and_evaluate, &racers[i]), 0);
        }
        for (size_t i = 0; i < N_THREADS; i++) pthread_join(threads[i], NULL);
        for (size_t i = 1; i < N_THREADS; i++)
            assert_memory_equal(racers[i].logits, racers[0].logits, sizeof racers[i].logits);
        pthread_barrier_destroy(&start);
        sc_model_free(model);
        free(bytes);
    }
}

// In a process of its own: fails while memory is short, leaves the model as it was, and succeeds later.
static int run_short_of_memory(void)
{
    struct sc_model *model = load_file();
    struct rlimit all, limit;
    socle_error err = { 0 };
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    const struct sc_tensor *weight = model->program.ops[model->program.n_ops - 1].linear.weight;
    if (!file || fscanf(file, "%lu", &pages) != 1 || getrlimit(RLIMIT_AS, &all) != 0) return 2;
    fclose(file);
    limit = all;
    limit.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + (1 << 20);
    setrlimit(RLIMIT_AS, &limit);
    if (sc_model_prepare(model, 1, NULL, NULL, &err) != SOCLE_NO_MEMORY) return 3;
    if (sc_session_prepare(model, NULL, NULL, NULL, &err) != SOCLE_NO_MEMORY) return 7;
    if (!strstr(err.message, "needs") || !strstr(err.message, "available")) return 8; // and not after trying
    if (sc_model_is_prepared(model) || weight->packed) return 4;
    if (model->program.ops[model->program.n_ops - 1].linear.weight != weight) return 5;
    setrlimit(RLIMIT_AS, &all);
    if (sc_model_prepare(model, 1, NULL, NULL, &err) != SOCLE_OK) return 6;
    sc_model_free(model);
    return 0;
}

static void short_memory_leaves_the_model_as_it_was(void **state)
{
    (void)state;
#ifdef HAVE_SHADOW
    skip(); // the sanitizer's shadow does not live under an address-space limit
#endif
    int code;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(run_short_of_memory());
    waitpid(child, &code, 0);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
}

// A file may say of any tensor that it is packed; only products can use it.
static void only_weights_of_products_may_be_packed(void **state)
{
    (void)state;
    static const struct tiny files[] = {
        { .family = "llama", .packed = "output_norm.weight" },
        { .family = "llama", .packed = "blk.1.ffn_norm.weight" },
        { .family = "qwen3", .norms = true, .packed = "blk.0.attn_q_norm.weight" },
        { .family = "deepseek2", .latent = true, .packed = "blk.0.attn_kv_b.weight" },
        { .family = "llama", .packed = "blk.0.attn_q.weight" }, // is one
    };
    for (size_t i = 0; i < SC_COUNT(files); i++) {
        struct tiny t = files[i];
        size_t n_bytes = 0;
        struct sc_gguf *gguf;
        struct sc_model *model = NULL;
        socle_error err = { 0 };
        char *bytes = tiny_write(&t, &n_bytes);
        assert_non_null(bytes);
        assert_int_equal(sc_gguf_open_memory("tiny", bytes, n_bytes, &gguf, &err), SOCLE_OK);
        socle_status status = sc_model_load(gguf, &model, &err);
        if (i + 1 == SC_COUNT(files)) {
            if (status != SOCLE_OK) fail_msg("%s", err.message);
            sc_model_free(model);
        } else {
            if (status == SOCLE_OK) fail_msg("%s was accepted", t.packed);
            assert_int_equal(status, SOCLE_BAD_FILE);
            if (!strstr(err.message, t.packed) || !strstr(err.message, "packed")) fail_msg("%s", err.message);
        }
        free(bytes);
    }
}

// Writes the model packed and opens what was written.
static struct sc_model *pack_again(struct sc_model *model, const char *path)
{
    struct sc_gguf *gguf;
    struct sc_model *packed = NULL;
    socle_error err = { 0 };
    if (sc_model_write_packed(model, path, NULL, NULL, &err) != SOCLE_OK ||
        sc_gguf_open(path, &gguf, &err) != SOCLE_OK || sc_gguf_verify(gguf, NULL, NULL, &err) != SOCLE_OK ||
        sc_model_load(gguf, &packed, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    return packed;
}

static void packed_files_give_the_same_bits(void **state)
{
    (void)state;
    static logits_of_all expected, found;
    char folder[] = "/tmp/socle-packed-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/packed.gguf", folder);
    for (size_t i = 0; i < SC_COUNT(kinds); i++) {
        char *bytes;
        struct sc_model *model = load(kinds[i], &bytes);
        evaluate(model, expected);
        struct sc_model *packed = pack_again(model, path);
        evaluate(packed, found);
        assert_memory_equal(expected, found, sizeof found);
        assert_int_equal(unlink(path), 0);
        struct sc_model *copy = pack_again(packed, path);
        evaluate(copy, found);
        assert_memory_equal(expected, found, sizeof found);
        assert_int_equal(unlink(path), 0);
        sc_model_free(copy);
        sc_model_free(packed);
        sc_model_free(model);
        free(bytes);
    }
    assert_int_equal(rmdir(folder), 0);
}

// Told of by a session's options, too, which choose the level before the work begins.
static void preparing_for_a_session_is_told_of(void **state)
{
    (void)state;
    struct progress progress = { 0 };
    struct sc_session_options options = { .cpu = "pentium" };
    socle_error err = { 0 };
    char *bytes;
    struct sc_model *model = load(kinds[1], &bytes);
    uint64_t n_bytes = sc_model_packed_bytes(model);
    assert_int_equal(sc_session_prepare(model, &options, note, &progress, &err), SOCLE_BAD_ARGUMENT);
    assert_false(sc_model_is_prepared(model));
    assert_int_equal(sc_session_prepare(model, NULL, note, &progress, &err), SOCLE_OK);
    assert_true(sc_model_is_prepared(model));
    assert_int_equal(progress.done, n_bytes);
    sc_model_free(model);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_product_has_the_rows_of_the_file),
        cmocka_unit_test(a_mapped_file_is_read_on_after_packing),
        cmocka_unit_test(tied_embeddings_are_kept_and_packed),
        cmocka_unit_test(progress_goes_up_to_the_total),
        cmocka_unit_test(preparing_twice_packs_once),
        cmocka_unit_test(of_threads_at_once_one_packs),
        cmocka_unit_test(sessions_created_at_once_compute_the_same),
        cmocka_unit_test(short_memory_leaves_the_model_as_it_was),
        cmocka_unit_test(only_weights_of_products_may_be_packed),
        cmocka_unit_test(packed_files_give_the_same_bits),
        cmocka_unit_test(preparing_for_a_session_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
