// Training low-rank adapters on frozen, quantized weights: their gradients are near those on the same weights as floats
// (products with quantized weights round their inputs to 8 bits), and what they are trained on stays as it is.
#include "student.h"

#include <math.h>

#include "engine/session.h"
#include "kernels/elementary64.h"

#include "hf_folder.h"

enum { N_ROWS = 40, N_VOCAB = 64, N_STEPS = 3 };

static const uint32_t lengths[] = { 30, 10 };
static const char *const targets[] = { "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_down", NULL };
static const struct {
    const char *type;
    double most; // error of the gradient: 0.7 % of each of 14 products, and what comes of it
} bases[] = { { "Q8_0", 0.05 }, { "Q4_0", 0.05 }, { "Q4_K", 0.05 }, { "F16", 1e-6 } };

// ---- files

// The case `llama` with rows of whole blocks of every format: the file `result`.
static void convert_wide(void)
{
    json_t *cases = load("hf_cases.json"), *tensor, *dim;
    json_t *one = (json_t *)(uintptr_t)find_case(cases, "llama"), *config = json_object_get(one, "config");
    socle_error err;
    size_t i, k;
    clear_folder();
    json_object_set_new(config, "hidden_size", json_integer(256));
    json_object_set_new(config, "intermediate_size", json_integer(256));
    json_object_set_new(config, "head_dim", json_integer(64));
    json_array_foreach (json_object_get(one, "tensors"), i, tensor) {
        bool is_mlp = strstr(json_string_value(json_array_get(tensor, 0)), "mlp") != NULL;
        json_array_foreach (json_array_get(tensor, 1), k, dim) {
            json_int_t n = json_integer_value(dim);
            json_integer_set(dim, n == 32 ? 256 : n == 16 ? 128 : is_mlp ? 256 : n);
        }
    }
    put("config.json", config);
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
    json_decref(cases);
}

static struct sc_gguf *open_file(const char *file)
{
    struct sc_gguf *gguf;
    socle_error err;
    must(sc_gguf_open(file, &gguf, &err), &err);
    return gguf;
}

// The file `again` in this type, and `result` with the same weights as floats.
static void make_bases(const char *type)
{
    struct sc_gguf_writer *writer;
    struct sc_parameters parameters;
    struct sc_model *model;
    socle_error err;
    convert_wide();
    must(socle_quantize(result, again, &(socle_quantize_options){ .type = type, .n_threads = 1 }, NULL, &err), &err);
    must(sc_model_load(open_file(again), &model, &err), &err);
    must(sc_parameters_take(model, false, false, &parameters, &err), &err);
    struct sc_parameter_source *sources = sc_parameter_sources(&parameters, 1);
    assert_non_null(sources);
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_copy_metadata(model->gguf, NULL, writer, &err), &err);
    must(sc_parameters_write(&parameters, SC_PART_WEIGHTS, "", NULL, sources, writer, &err), &err);
    must(sc_gguf_writer_write(writer, result, &err), &err);
    sc_gguf_writer_free(writer);
    free(sources);
    sc_parameters_free(&parameters);
    sc_model_free(model);
}

// ---- students

// A base with one new adapter, whose second halves are not zero.
struct adapted {
    struct sc_adapter_set *set;
    struct student *student;
};

static struct adapted open_adapted(const char *file)
{
    struct sc_adapter_shape shape = { .rank = 4, .targets = targets, .seed = 9 };
    struct student_options o = { .learner = { .n_rows = N_ROWS, .n_context = N_ROWS, .n_threads = 2 },
                                 .adapters_only = true };
    struct sc_gguf *gguf = open_file(file);
    struct adapted a;
    socle_error err;
    must(sc_adapter_set_new(gguf, &shape, &a.set, &err), &err);
    o.model.adapters = a.set;
    a.student = student_new(gguf, &o);
    for (size_t i = 0; i < a.student->parameters.n; i++) {
        const struct sc_parameter *p = &a.student->parameters.items[i];
        assert_true(p->is_matrix && strstr(p->name, ".lora_"));
        float row[8] = { 0 };
        for (uint64_t r = 0; ends_with(p->name, ".lora_b") && r < p->shape[1]; r++) {
            for (size_t j = 0; j < 4; j++) row[j] = weight(hash_name(p->name), r * 4 + j, 0.5, 0.0);
            sc_parameter_set_row(p, p->w, r, row);
        }
    }
    assert_int_equal(a.student->parameters.n, 2 * 2 * (SC_COUNT(targets) - 1));
    return a;
}

static void free_adapted(struct adapted *a)
{
    student_free(a->student);
    sc_adapter_set_free(a->set);
}

static uint64_t sum_of(const void *bytes, size_t n)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) sum = (sum ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return sum;
}

// ---- gradients

static double difference(const struct student *a, const struct student *b, const char *half)
{
    double squares = 0.0, all = 0.0;
    for (size_t i = 0; i < a->parameters.n; i++) {
        const struct sc_parameter *p = &a->parameters.items[i], *q = &b->parameters.items[i];
        assert_string_equal(p->name, q->name);
        for (size_t j = 0; j < p->n && ends_with(p->name, half); j++) {
            double error = (double)p->gradient[j] - (double)q->gradient[j];
            squares += error * error;
            all += (double)q->gradient[j] * (double)q->gradient[j];
        }
    }
    assert_true(all > 0.0);
    return sqrt(squares / all);
}

static void gradients_on_quantized_weights_are_near_those_on_floats(void **state)
{
    static const float factor = 0.7f;
    (void)state;
    for (size_t i = 0; i < SC_COUNT(bases); i++) {
        make_bases(bases[i].type);
        struct sc_forward_options forward = { .adapters = &factor };
        struct adapted quantized = open_adapted(again), floats = open_adapted(result);
        struct lesson lesson = lesson_by_rule(lengths, SC_COUNT(lengths), N_VOCAB);
        double loss = student_loss(quantized.student, &lesson.batch, &forward);
        double other = student_loss(floats.student, &lesson.batch, &forward);
        student_derive(quantized.student, &lesson.batch);
        student_derive(floats.student, &lesson.batch);
        double a = difference(quantized.student, floats.student, ".lora_a");
        double b = difference(quantized.student, floats.student, ".lora_b");
        printf("%-5s loss %.5f, on floats %.5f; gradients off by %.1e (A) and %.1e (B)\n", bases[i].type, loss, other,
               a, b);
        assert_true(fabs(loss - other) < bases[i].most * other);
        assert_true(a < bases[i].most && b < bases[i].most);
        free_adapted(&quantized);
        free_adapted(&floats);
        lesson_free(&lesson);
    }
}

static void frozen_weights_stay_as_they_are(void **state)
{
    static const float factor = 1.0f;
    (void)state;
    for (size_t i = 0; i < SC_COUNT(bases); i++) {
        make_bases(bases[i].type);
        struct sc_forward_options forward = { .adapters = &factor };
        struct adapted a = open_adapted(again);
        struct lesson lesson = lesson_by_rule(lengths, SC_COUNT(lengths), N_VOCAB);
        const struct sc_model *model = a.student->model;
        uint64_t before = sum_of(model->packed, model->packed_bytes);
        double first = student_loss(a.student, &lesson.batch, &forward);
        for (uint64_t step = 1; step <= N_STEPS; step++) {
            student_loss(a.student, &lesson.batch, &forward);
            student_derive(a.student, &lesson.batch);
            student_step(a.student, step);
        }
        assert_true(student_loss(a.student, &lesson.batch, &forward) < first);
        assert_true(model->packed_bytes > 0 && sum_of(model->packed, model->packed_bytes) == before);
        free_adapted(&a);
        lesson_free(&lesson);
    }
}

// ---- without the adapter

struct probabilities {
    const struct lesson *lesson;
    uint32_t begin;
    double *log_probability;
};

static bool keep_probability(void *context, size_t i, const float *logits)
{
    struct probabilities *p = context;
    int32_t target = p->lesson->targets[p->begin + i];
    float max, sum;
    sc_kernels_at(0)->log_sum(logits, N_VOCAB, &max, &sum);
    p->log_probability[p->begin + i] = target < 0 ? 0.0 : (double)logits[target] - (double)max - sc_log64((double)sum);
    return true;
}

// By sessions of the base alone.
static void evaluate_base(struct probabilities *p)
{
    struct sc_session_options options = { .n_context = 64, .n_logits = 64, .n_threads = 1, .cache = SC_CACHE_F32 };
    struct sc_model *model;
    struct sc_session *session;
    socle_error err;
    must(sc_model_load(open_file(again), &model, &err), &err);
    for (size_t s = 0; s < p->lesson->batch.n_sequences; s++) {
        p->begin = p->lesson->begins[s];
        must(sc_session_create(model, &options, &session, &err), &err);
        struct sc_evaluation e = { .tokens = p->lesson->tokens + p->begin,
                                   .n_tokens = p->lesson->begins[s + 1] - p->begin,
                                   .sink = keep_probability,
                                   .context = p };
        must(sc_session_evaluate(session, &e, &err), &err);
        sc_session_free(session);
    }
    sc_model_free(model);
}

static void none_of_an_adapter_gives_the_bits_of_the_base(void **state)
{
    static const float factors[] = { 0.0f, 1.0f };
    (void)state;
    for (size_t i = 0; i < SC_COUNT(bases); i++) {
        double expected[N_ROWS], none[N_ROWS], zero[N_ROWS], whole[N_ROWS];
        socle_error err;
        make_bases(bases[i].type);
        struct adapted a = open_adapted(again);
        struct lesson lesson = lesson_by_rule(lengths, SC_COUNT(lengths), N_VOCAB);
        struct sc_learner *l = a.student->learner;
        evaluate_base(&(struct probabilities){ &lesson, 0, expected });
        struct sc_forward_options forward = { .adapters = NULL };
        must(sc_learner_forward(l, &lesson.batch, &forward, none, NULL, NULL, &err), &err);
        forward.adapters = &factors[0];
        must(sc_learner_forward(l, &lesson.batch, &forward, zero, NULL, NULL, &err), &err);
        forward.adapters = &factors[1];
        must(sc_learner_forward(l, &lesson.batch, &forward, whole, NULL, NULL, &err), &err);
        assert_memory_equal(expected, none, sizeof none);
        assert_memory_equal(expected, zero, sizeof zero);
        assert_true(memcmp(expected, whole, sizeof whole) != 0);
        free_adapted(&a);
        lesson_free(&lesson);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_on_quantized_weights_are_near_those_on_floats),
        cmocka_unit_test(frozen_weights_stay_as_they_are),
        cmocka_unit_test(none_of_an_adapter_gives_the_bits_of_the_base),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
