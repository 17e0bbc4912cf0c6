// Training computes what torch computes: losses, the gradient of every tensor, and the weights after some steps.
//
// tests/data/gradient_cases.json has them in float64 for the models of hf_cases.json (make_gradient_cases.py), each
// tensor as its norm and three dot products. Here the models are written as folders, converted, trained in float32, and
// converted back, so that tensors have their names and shapes from there.
#include "student.h"

#include <math.h>

#include "formats/safetensors.h"

#include "hf_folder.h"

enum { LENGTH = 12, ROWS = 2 * (LENGTH - 1), STEPS = 10 };

// How far the worst tensor is, relative to its norm.
struct worst {
    double gradient, weights, loss;
};

// ---- training

// Two sequences of the case's tokens.
static struct lesson lesson_of(const json_t *tokens)
{
    struct lesson l = lesson_new((const uint32_t[]){ LENGTH - 1, LENGTH - 1 }, 2);
    for (size_t i = 0; i < ROWS; i++) {
        size_t at = i / (LENGTH - 1) * LENGTH + i % (LENGTH - 1);
        l.tokens[i] = (int32_t)json_integer_value(json_array_get(tokens, at));
        l.targets[i] = (int32_t)json_integer_value(json_array_get(tokens, at + 1));
    }
    return l;
}

static struct student *open_student(const char *file)
{
    struct sc_gguf *gguf;
    socle_error err;
    must(sc_gguf_open(file, &gguf, &err), &err);
    return student_new(gguf,
                       &(struct student_options){ .learner = { .n_rows = ROWS, .n_context = LENGTH, .n_threads = 2 } });
}

// One part of the parameters as a model's file, `again`.
static void write_part(struct student *s, enum sc_part part)
{
    struct sc_gguf_writer *writer;
    struct sc_parameter_source *sources = sc_parameter_sources(&s->parameters, 1);
    socle_error err;
    assert_non_null(sources);
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_copy_metadata(s->model->gguf, NULL, writer, &err), &err);
    must(sc_parameters_write(&s->parameters, part, "", NULL, sources, writer, &err), &err);
    must(sc_copy_other_tensors(s->model->gguf, &s->parameters, writer, &err), &err);
    must(sc_gguf_writer_write(writer, again, &err), &err);
    sc_gguf_writer_free(writer);
    free(sources);
}

// ---- comparing

// Norm and dot products of a tensor's n floats, to which `shift` is added.
static void digest(const char *name, const struct sc_safetensors_tensor *tensor, double shift, double out[4])
{
    uint64_t seed = hash_name(name), n = tensor->n_bytes / sizeof(float);
    out[0] = out[1] = out[2] = out[3] = 0.0;
    for (uint64_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, (const char *)tensor->data + i * sizeof value, sizeof value);
        double x = (double)value + shift;
        uint64_t z = mixed(seed, i);
        out[0] += x * x;
        for (int v = 0; v < 3; v++) out[1 + v] += z >> v & 1 ? -x : x;
    }
    out[0] = sqrt(out[0]);
}

// A tensor's error relative to its norm, beyond what one rounding of each element at `size` may be.
static double compare_tensor(const char *name, const struct sc_safetensors *st, const json_t *expected, double shift)
{
    const struct sc_safetensors_tensor *tensor = sc_safetensors_find(st, sc_text_of(name));
    double found[4], norm = json_number_value(json_array_get(expected, 0)), worst = 0.0;
    if (!tensor) fail_msg("'%s' is missing", name);
    assert_int_equal(tensor->type, SC_SAFETENSORS_F32);
    digest(name, tensor, shift, found);
    double rounding = shift * 0x1p-24 * sqrt((double)(tensor->n_bytes / sizeof(float)));
    for (size_t i = 0; i < 4; i++) {
        double error = fabs(found[i] - json_number_value(json_array_get(expected, i))) - rounding;
        if (norm == 0.0) assert_true(found[i] == 0.0);
        else if (error > worst * norm) worst = error / norm;
    }
    return worst;
}

// All tensors of the file `again`, which has part `part`.
static double compare_part(const char *family, const json_t *tensors, enum sc_part part)
{
    struct sc_safetensors *st;
    socle_error err;
    const char *name;
    json_t *both;
    double worst = 0.0;
    // What Gemma's norms multiply by is 1 more than what its folders have.
    bool gemma = part == SC_PART_GRADIENTS && strncmp(family, "gemma", 5) == 0;
    clear_back();
    must(socle_convert_back(again, back, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
    must(sc_safetensors_open(back, &st, &err), &err);
    json_object_foreach ((json_t *)(uintptr_t)tensors, name, both) {
        const json_t *expected = json_array_get(both, part == SC_PART_WEIGHTS);
        if (json_is_null(expected)) continue; // some of its gradient is zero but for rounding
        double error = compare_tensor(name, st, expected, gemma && ends_with(name, "norm.weight") ? 1.0 : 0.0);
        if (error > 1e-5)
            fail_msg("%s: the %s of '%s' is off by %g of its norm %g", family,
                     part == SC_PART_WEIGHTS ? "value" : "gradient", name, error,
                     json_number_value(json_array_get(expected, 0)));
        worst = SC_MAX(worst, error);
    }
    sc_safetensors_free(st);
    return worst;
}

// Trains ten steps; the weights are in `again` then.
static struct worst train(const char *family, struct student *s, const struct sc_batch *batch, const json_t *expected)
{
    struct worst worst = { 0.0, 0.0, 0.0 };
    for (uint64_t step = 0; step <= STEPS; step++) {
        double loss = student_loss(s, batch, &(struct sc_forward_options){ .drop = false });
        double right = json_number_value(json_array_get(json_object_get(expected, "losses"), step));
        double error = fabs(loss - right) / right;
        if (error > 1e-5) fail_msg("%s: loss after %d steps: expected %g, found %g", family, (int)step, right, loss);
        worst.loss = SC_MAX(worst.loss, error);
        if (step == STEPS) break;
        student_derive(s, batch);
        if (step == 0) {
            write_part(s, SC_PART_GRADIENTS);
            worst.gradient = compare_part(family, json_object_get(expected, "tensors"), SC_PART_GRADIENTS);
        }
        student_step(s, step + 1);
    }
    write_part(s, SC_PART_WEIGHTS);
    worst.weights = compare_part(family, json_object_get(expected, "tensors"), SC_PART_WEIGHTS);
    return worst;
}

static void convert_case(const json_t *one)
{
    socle_error err;
    clear_folder();
    put("config.json", json_object_get(one, "config"));
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
}

static void training_computes_what_torch_computes(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json"), *gradients = load("gradient_cases.json"), *expected;
    size_t i;
    assert_int_equal(json_array_size(gradients), json_array_size(cases));
    json_array_foreach (gradients, i, expected) {
        const char *family = json_string_value(json_object_get(expected, "name"));
        const json_t *one = find_case(cases, family);
        convert_case(one);
        struct lesson lesson = lesson_of(json_object_get(one, "tokens"));
        struct student *s = open_student(result);
        struct worst worst = train(family, s, &lesson.batch, expected);
        printf("%-12s worst errors: gradient %.1e, weights %.1e, loss %.1e\n", family, worst.gradient, worst.weights,
               worst.loss);
        student_free(s);
        lesson_free(&lesson);
    }
    json_decref(gradients);
    json_decref(cases);
}

// What is no parameter, such as factors of rotary frequencies, is in the written file, too: it computes the same bits.
static void what_was_trained_computes_the_same_from_its_file(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json"), *one;
    struct sc_forward_options forward = { .drop = false };
    size_t i;
    json_array_foreach (cases, i, one) {
        convert_case(one);
        struct lesson lesson = lesson_of(json_object_get(one, "tokens"));
        struct student *s = open_student(result);
        student_loss(s, &lesson.batch, &forward);
        student_derive(s, &lesson.batch);
        student_step(s, 1);
        write_part(s, SC_PART_WEIGHTS);
        double loss = student_loss(s, &lesson.batch, &forward);
        student_free(s);
        s = open_student(again);
        double found = student_loss(s, &lesson.batch, &forward);
        if (found != loss)
            fail_msg("%s: %.9g, from its file %.9g", json_string_value(json_object_get(one, "name")), loss, found);
        student_free(s);
        lesson_free(&lesson);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_computes_what_torch_computes),
        cmocka_unit_test(what_was_trained_computes_the_same_from_its_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
