// How a step of training is planned and run changes no bit of it: threads, levels, what is computed again, how much
// room there is. Except for what is kept as bf16, which moves the gradient a little.
//
// Models are those of tests/data/hf_cases.json; sequences cross the segments of keys and of a batch's rows.
#include "student.h"

#include <math.h>

#include "engine/session.h"
#include "kernels/elementary64.h"

#include "fixtures.h"
#include "hf_folder.h"

enum { N_CONTEXT = 300, N_STEPS = IS_SANITIZED ? 1 : 3 };

static const uint32_t lengths[] = { 1, 5, 17, N_CONTEXT };
// Compressed keys and values with experts in groups; sinks, windows and biases; caps and post-norms; dense; experts.
static const char *const families[] = { "deepseek-v3", "gpt-oss", "gemma2", "llama", "mixtral" };
enum { N_FAMILIES = IS_SANITIZED ? 2 : SC_COUNT(families) };

static json_t *cases;

static int open_cases(void **state)
{
    cases = load("hf_cases.json");
    return make_folder(state);
}

static int close_cases(void **state)
{
    json_decref(cases);
    return remove_folder(state);
}

// Makes the file `result`.
static void convert_family(const char *family)
{
    const json_t *one = find_case(cases, family);
    socle_error err;
    clear_folder();
    put("config.json", json_object_get(one, "config"));
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
}

// ---- one way to train, and what comes of it

struct way {
    struct sc_learner_options learner; // n_rows 0: those of the batch
    float dropout;
    bool keep_all; // though the model has dropout
};

// Losses before each step and after the last; of each parameter the first gradient, then the last weights.
struct outcome {
    double losses[N_STEPS + 1];
    float *values;
    size_t n, n_bytes;
    uint32_t n_stretches, n_recomputed;
};

static struct student *open_student(const struct way *way, size_t n_rows)
{
    struct sc_gguf *gguf;
    struct student_options o = { .model = { .dropout = way->dropout }, .learner = way->learner };
    socle_error err;
    if (o.learner.n_rows == 0) o.learner.n_rows = (uint32_t)n_rows;
    if (o.learner.n_context == 0) o.learner.n_context = N_CONTEXT;
    if (o.learner.n_threads == 0) o.learner.n_threads = 1;
    must(sc_gguf_open(result, &gguf, &err), &err);
    return student_new(gguf, &o);
}

static size_t copy_parts(const struct student *s, float *to, bool weights)
{
    size_t n = 0;
    for (size_t i = 0; i < s->parameters.n; i++) {
        const struct sc_parameter *p = &s->parameters.items[i];
        if (to) memcpy(to + n, weights ? p->w : p->gradient, p->n * sizeof *to);
        n += p->n;
    }
    return n;
}

static struct outcome train(const struct way *way)
{
    struct lesson lesson = lesson_by_rule(lengths, SC_COUNT(lengths), 64);
    struct student *s = open_student(way, lesson.batch.n_rows);
    const struct sc_training_plan *plan = sc_learner_plan(s->learner);
    struct outcome out = { .n = copy_parts(s, NULL, false) };
    out.values = malloc(2 * out.n * sizeof *out.values);
    assert_non_null(out.values);
    out.n_bytes = plan->n_bytes;
    out.n_stretches = plan->n_stretches;
    out.n_recomputed = plan->n_recomputed;
    for (uint64_t step = 0; step <= N_STEPS; step++) {
        struct sc_forward_options forward = { .drop = way->dropout > 0 && !way->keep_all, .dropout_key = 77 + step };
        out.losses[step] = student_loss(s, &lesson.batch, &forward);
        if (step == N_STEPS) break;
        student_derive(s, &lesson.batch);
        if (step == 0) copy_parts(s, out.values, false);
        student_step(s, step + 1);
    }
    copy_parts(s, out.values + out.n, true);
    student_free(s);
    lesson_free(&lesson);
    return out;
}

static void same(const struct outcome *a, const struct outcome *b, const char *family, const char *what)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i <= N_STEPS; i++)
        if (!(a->losses[i] == b->losses[i]))
            fail_msg("%s, %s: loss %zu is %.17g, expected %.17g", family, what, i, b->losses[i], a->losses[i]);
    for (size_t i = 0; i < 2 * a->n; i++)
        if (memcmp(&a->values[i], &b->values[i], sizeof *a->values) != 0)
            fail_msg("%s, %s: %s %zu is %a, expected %a", family, what, i < a->n ? "gradient" : "weight", i % a->n,
                     (double)b->values[i], (double)a->values[i]);
}

// That this way gives the outcome, too.
static struct outcome check_way(const struct outcome *expected, const struct way *way, const char *family,
                                const char *what)
{
    struct outcome found = train(way);
    same(expected, &found, family, what);
    free(found.values);
    return found;
}

static const float dropouts[] = { 0.2f, 0.0f };
enum { N_DROPOUTS = IS_SANITIZED ? 1 : SC_COUNT(dropouts) };

// Calls `check` for each family, without dropout and with it.
static void each_family(void (*check)(const char *family, struct way way, const struct outcome *expected))
{
    for (size_t f = 0; f < N_FAMILIES; f++) {
        convert_family(families[f]);
        for (size_t d = 0; d < N_DROPOUTS; d++) {
            struct way way = { .dropout = dropouts[d] };
            struct outcome expected = train(&way);
            assert_true(isfinite(expected.losses[N_STEPS]) && expected.losses[N_STEPS] != expected.losses[0]);
            check(families[f], way, &expected);
            free(expected.values);
        }
    }
}

// ---- what changes no bit

static void check_threads(const char *family, struct way way, const struct outcome *expected)
{
    for (way.learner.n_threads = 2; way.learner.n_threads <= 3; way.learner.n_threads++)
        check_way(expected, &way, family, way.learner.n_threads == 2 ? "2 threads" : "3 threads");
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    each_family(check_threads);
}

static void check_levels(const char *family, struct way way, const struct outcome *expected)
{
    const struct sc_kernels *kernels;
    for (size_t i = 0; (kernels = sc_kernels_at(i)); i++) {
        if (!kernels->supported() || (IS_SANITIZED && i == 0)) continue; // `base` would take minutes
        way.learner.cpu = kernels->name;
        check_way(expected, &way, family, kernels->name);
    }
}

static void every_level_gives_the_same_bits(void **state)
{
    (void)state;
    each_family(check_levels);
}

static void check_budgets(const char *family, struct way way, const struct outcome *expected)
{
    way.learner.budget = 1;
    struct outcome least = check_way(expected, &way, family, "all computed again");
    assert_int_equal(expected->n_recomputed, 0);
    assert_int_equal(least.n_recomputed, least.n_stretches - 1);
    assert_true(least.n_bytes < expected->n_bytes);
    way.learner.budget = (least.n_bytes + expected->n_bytes) / 2;
    struct outcome some = check_way(expected, &way, family, "some computed again");
    if (some.n_recomputed == 0 || some.n_recomputed + 1 >= some.n_stretches)
        fail_msg("%s, dropout %g: %u of %u stretches, %zu bytes of %zu to %zu", family, (double)way.dropout,
                 some.n_recomputed, some.n_stretches, some.n_bytes, least.n_bytes, expected->n_bytes);
    assert_true(some.n_bytes <= way.learner.budget && some.n_bytes >= least.n_bytes);
    way.learner.budget = expected->n_bytes;
    assert_int_equal(check_way(expected, &way, family, "a budget that suffices").n_recomputed, 0);
}

static void what_is_computed_again_gives_the_same_bits(void **state)
{
    (void)state;
    each_family(check_budgets);
}

static void check_room(const char *family, struct way way, const struct outcome *expected)
{
    way.learner.n_rows = 700;
    way.learner.n_context = 600;
    check_way(expected, &way, family, "room for more");
}

static void room_for_larger_batches_gives_the_same_bits(void **state)
{
    (void)state;
    each_family(check_room);
}

static void dropout_that_drops_nothing_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FAMILIES; f++) {
        convert_family(families[f]);
        struct outcome without = train(&(struct way){ .dropout = 0.0f });
        struct outcome dropping = train(&(struct way){ .dropout = 0.2f });
        check_way(&without, &(struct way){ .dropout = 0.2f, .keep_all = true }, families[f], "nothing dropped");
        assert_true(dropping.losses[0] != without.losses[0]);
        free(without.values);
        free(dropping.values);
    }
}

// ---- what sessions compute

struct logits {
    const struct lesson *lesson;
    uint32_t begin;
    double *log_probability;
};

// As the learner takes it from the logits.
static bool keep_probability(void *context, size_t i, const float *logits)
{
    struct logits *l = context;
    int32_t target = l->lesson->targets[l->begin + i];
    float max, sum;
    sc_kernels_at(0)->log_sum(logits, 64, &max, &sum);
    l->log_probability[l->begin + i] = target < 0 ? 0.0 : (double)logits[target] - (double)max - sc_log64((double)sum);
    return true;
}

static void evaluate_sequences(struct logits *l)
{
    struct sc_session_options options = { .n_context = 128, .n_logits = 128, .n_threads = 1, .cache = SC_CACHE_F32 };
    struct sc_gguf *gguf;
    struct sc_model *model;
    struct sc_session *session;
    socle_error err;
    must(sc_gguf_open(result, &gguf, &err), &err);
    must(sc_model_load(gguf, &model, &err), &err);
    for (size_t s = 0; s < l->lesson->batch.n_sequences; s++) {
        l->begin = l->lesson->begins[s];
        must(sc_session_create(model, &options, &session, &err), &err);
        struct sc_evaluation e = { .tokens = l->lesson->tokens + l->begin,
                                   .n_tokens = l->lesson->begins[s + 1] - l->begin,
                                   .sink = keep_probability,
                                   .context = l };
        must(sc_session_evaluate(session, &e, &err), &err);
        sc_session_free(session);
    }
    sc_model_free(model);
}

// One batch of several sequences against a session for each.
static void training_computes_the_bits_of_inference(void **state)
{
    static const uint32_t shorter[] = { 1, 30, 100, 17 };
    (void)state;
    for (size_t f = 0; f < N_FAMILIES; f++) {
        double expected[148], found[148];
        socle_error err;
        convert_family(families[f]);
        struct lesson lesson = lesson_by_rule(shorter, SC_COUNT(shorter), 64);
        assert_int_equal(lesson.batch.n_rows, SC_COUNT(expected));
        evaluate_sequences(&(struct logits){ &lesson, 0, expected });
        struct student *s = open_student(&(struct way){ .learner.n_context = 100 }, SC_COUNT(found));
        must(sc_learner_forward(s->learner, &lesson.batch, &(struct sc_forward_options){ .drop = false }, found, NULL,
                                NULL, &err),
             &err);
        for (size_t i = 0; i < SC_COUNT(found); i++)
            if (found[i] != expected[i])
                fail_msg("%s, row %zu: %.17g, a session says %.17g", families[f], i, found[i], expected[i]);
        student_free(s);
        lesson_free(&lesson);
    }
}

// ---- sums of gradients

static double distance(const float *a, const float *b, size_t n, double scale)
{
    double squares = 0.0, all = 0.0;
    for (size_t i = 0; i < n; i++) {
        squares += ((double)a[i] * scale - (double)b[i]) * ((double)a[i] * scale - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(squares / all);
}

// The gradient of a batch is the sum of those of its sequences, which see nothing of each other.
static void gradients_of_batches_add_up(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FAMILIES; f++) {
        convert_family(families[f]);
        struct lesson all = lesson_by_rule(lengths, SC_COUNT(lengths), 64);
        struct student *s = open_student(&(struct way){ .dropout = 0.0f }, all.batch.n_rows);
        size_t n = copy_parts(s, NULL, false);
        float *together = malloc(n * sizeof *together), *apart = malloc(n * sizeof *apart);
        assert_true(together && apart);
        student_loss(s, &all.batch, &(struct sc_forward_options){ .drop = false });
        student_derive(s, &all.batch);
        copy_parts(s, together, false);
        sc_optimizer_step(s->optimizer, 1, 0.0f, 0.0); // the weights stay, derivatives begin anew
        for (size_t i = 0; i < SC_COUNT(lengths); i++) {
            uint32_t begin = all.begins[i], begins[2] = { 0, lengths[i] };
            struct sc_batch one = { .n_rows = lengths[i],
                                    .tokens = all.tokens + begin,
                                    .targets = all.targets + begin,
                                    .positions = all.positions + begin,
                                    .n_sequences = 1,
                                    .begins = begins,
                                    .n_targets = all.batch.n_targets }; // for the same factor
            student_loss(s, &one, &(struct sc_forward_options){ .drop = false });
            student_derive(s, &one);
        }
        copy_parts(s, apart, false);
        double error = distance(apart, together, n, 1.0);
        if (!(error < 1e-6)) fail_msg("%s: the sum is off by %g", families[f], error);
        free(together);
        free(apart);
        student_free(s);
        lesson_free(&all);
    }
}

// The loss a little way along the gradient and against it.
static double slope(struct student *s, const struct sc_batch *batch, const struct sc_forward_options *forward)
{
    double losses[2], step = 1e-4, squares = 0.0;
    for (size_t i = 0; i < s->parameters.n; i++)
        for (size_t j = 0; j < s->parameters.items[i].n; j++)
            squares += (double)s->parameters.items[i].gradient[j] * (double)s->parameters.items[i].gradient[j];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < s->parameters.n; i++) {
            struct sc_parameter *p = &s->parameters.items[i];
            double factor = (side ? -2 : 1) * step / sqrt(squares);
            for (size_t j = 0; j < p->n; j++) p->w[j] += (float)(factor * (double)p->gradient[j]);
        }
        losses[side] = student_loss(s, batch, forward);
    }
    return (losses[0] - losses[1]) / (2 * step) / sqrt(squares);
}

// What was dropped on the way forward is what has no derivative: along its gradient a loss grows by the gradient's
// norm. (Of few rows, or some row would choose other experts meanwhile.)
static void gradients_with_dropout_are_those_of_what_was_kept(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FAMILIES; f++) {
        struct sc_forward_options forward = { .drop = true, .dropout_key = 5 };
        convert_family(families[f]);
        struct lesson lesson = lesson_by_rule(lengths, 3, 64);
        struct student *s = open_student(&(struct way){ .dropout = 0.2f }, lesson.batch.n_rows);
        student_loss(s, &lesson.batch, &forward);
        student_derive(s, &lesson.batch);
        double found = slope(s, &lesson.batch, &forward);
        if (!(fabs(found - 1.0) < 1e-2)) fail_msg("%s: the slope is %g of the gradient's norm", families[f], found);
        student_free(s);
        lesson_free(&lesson);
    }
}

// ---- bf16

static void values_kept_as_bf16_take_less_memory_and_move_gradients_little(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FAMILIES; f++) {
        convert_family(families[f]);
        struct outcome f32 = train(&(struct way){ .dropout = 0.0f });
        struct outcome bf16 = train(&(struct way){ .learner.bf16 = true });
        double error = distance(bf16.values, f32.values, f32.n, 1.0);
        printf("%-12s bf16: gradient off by %.1e, %zu of %zu bytes\n", families[f], error, bf16.n_bytes, f32.n_bytes);
        assert_true(bf16.losses[0] == f32.losses[0]); // only the walk back sees it
        assert_true(error > 0.0 && error < 1e-2);
        assert_true(bf16.n_bytes < f32.n_bytes);
        struct way way = { .learner = { .bf16 = true, .n_threads = 3, .budget = (size_t)(bf16.n_bytes * 0.9) } };
        struct outcome partly = train(&way); // what is computed again is not rounded
        assert_true(distance(partly.values, f32.values, f32.n, 1.0) < 1e-2);
        free(f32.values);
        free(bf16.values);
        free(partly.values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(every_level_gives_the_same_bits),
        cmocka_unit_test(what_is_computed_again_gives_the_same_bits),
        cmocka_unit_test(room_for_larger_batches_gives_the_same_bits),
        cmocka_unit_test(dropout_that_drops_nothing_gives_the_same_bits),
        cmocka_unit_test(training_computes_the_bits_of_inference),
        cmocka_unit_test(gradients_of_batches_add_up),
        cmocka_unit_test(gradients_with_dropout_are_those_of_what_was_kept),
        cmocka_unit_test(values_kept_as_bf16_take_less_memory_and_move_gradients_little),
    };
    return cmocka_run_group_tests(tests, open_cases, close_cases);
}
