// Hugging Face's folders: converted models compute what transformers computes, and tokenize as its tokenizers do.
//
// tests/data/hf_cases.json has for each architecture a configuration, the names and shapes of its tensors, and logits
// by transformers for weights that a rule makes of names and indices (make_hf_cases.py); the folders are written here.
#include "hf_folder.h"

#include <math.h>

// ---- logits

struct logits {
    float rows[24][64];
};

static bool keep(void *context, size_t i, const float *logits)
{
    memcpy(((struct logits *)context)->rows[i], logits, sizeof(float) * 64);
    return true;
}

static void check_logits(const json_t *one)
{
    static const size_t positions[] = { 0, 11, 23 };
    struct logits found;
    socle_model *model;
    socle_session *session;
    socle_error err;
    int32_t tokens[24];
    size_t i;
    json_t *token;
    const char *name = json_string_value(json_object_get(one, "name"));
    json_array_foreach (json_object_get(one, "tokens"), i, token) tokens[i] = (int32_t)json_integer_value(token);
    must(socle_model_load(result, &model, &err), &err);
    must(socle_session_create(model, &(socle_session_options){ .cache = SOCLE_CACHE_F32, .n_logits = 24 }, &session,
                              &err),
         &err);
    must(socle_evaluate(session, tokens, 24, 0, keep, &found, &err), &err);
    for (size_t p = 0; p < 3; p++)
        for (size_t v = 0; v < 64; v++) {
            double expected = json_number_value(json_array_get(json_array_get(json_object_get(one, "logits"), p), v));
            double difference = fabs((double)found.rows[positions[p]][v] - expected);
            if (difference > 2e-5)
                fail_msg("%s: logit %zu at position %zu: expected %g, found %g", name, v, positions[p], expected,
                         (double)found.rows[positions[p]][v]);
        }
    socle_session_free(session);
    socle_model_free(model);
}

static void converted_models_compute_what_transformers_computes(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json"), *one;
    socle_convert_result told;
    socle_error err;
    size_t i;
    assert_int_equal(json_array_size(cases), 16);
    json_array_foreach (cases, i, one) {
        clear_folder();
        put("config.json", json_object_get(one, "config"));
        write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
        must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, &told, &err), &err);
        assert_int_equal(told.n_left_out, 0);
        check_logits(one);
    }
    json_decref(cases);
}

static void configurations_of_older_versions_say_the_same(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json");
    static const char *const names[] = { "llama-rope3", "gemma3", "glm4", "gpt-oss" };
    socle_error err;
    for (size_t i = 0; i < SC_COUNT(names); i++) {
        const json_t *one = find_case(cases, names[i]);
        json_t *config = json_deep_copy(json_object_get(one, "config")),
               *rope = json_object_get(config, "rope_parameters");
        json_t *window = json_object_get(rope, "sliding_attention"), *all = json_object_get(rope, "full_attention");
        clear_folder();
        if (all) json_object_set(config, "rope_local_base_freq", json_object_get(window, "rope_theta"));
        if (all) rope = all;
        json_object_set(config, "rope_theta", json_object_get(rope, "rope_theta"));
        if (json_object_get(rope, "partial_rotary_factor"))
            json_object_set(config, "partial_rotary_factor", json_object_get(rope, "partial_rotary_factor"));
        if (json_object_get(rope, "factor")) json_object_set(config, "rope_scaling", rope);
        json_object_del(config, "rope_parameters");
        put("config.json", config);
        write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
        must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
        check_logits(one);
        json_decref(config);
    }
    json_decref(cases);
}

// ---- files

static char *read_whole(const char *file, size_t *n)
{
    char *data;
    socle_error err;
    must(sc_read_file(file, 1 << 24, &data, n, &err), &err);
    return data;
}

static char *read_result(size_t *n) { return read_whole(result, n); }

// Back into a folder, and from there again: the same file. (Merges made of scores are more than there were, so the
// scores made of them are others in the same order: `same` is then false.)
static void check_way_back(bool without_text, bool same)
{
    socle_convert_options o = { .without_text = without_text };
    socle_error err;
    size_t n, n_again;
    clear_back();
    must(socle_convert_back(result, back, &o, NULL, &err), &err);
    must(socle_convert(back, again, &o, NULL, &err), &err);
    char *one = read_whole(result, &n), *other = read_whole(again, &n_again);
    assert_int_equal(n, n_again);
    if (same) assert_memory_equal(one, other, n);
    free(one);
    free(other);
}

static void what_is_written_back_converts_to_the_same_file(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json"), *one;
    socle_error err;
    size_t i;
    json_array_foreach (cases, i, one) {
        clear_folder();
        put("config.json", json_object_get(one, "config"));
        write_weights(one, "model.safetensors", ALL, i % 2 ? SC_SAFETENSORS_BF16 : SC_SAFETENSORS_F32);
        must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
        check_way_back(true, true);
        // What is there is not written over.
        assert_int_equal(socle_convert_back(result, back, &(socle_convert_options){ .without_text = true }, NULL, &err),
                         SOCLE_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "config.json: is there already"));
    }
    clear_back();
    assert_int_equal(socle_convert_back(SC_SOURCE_ROOT "/share/tales.gguf", back, NULL, NULL, &err), SOCLE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "Q8_0"));
    assert_int_not_equal(access(back, F_OK), 0); // nothing is left behind
    json_decref(cases);
}

static void shards_give_the_same_file(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json"), *tensor, *map = json_object();
    const json_t *one = find_case(cases, "deepseek-v3");
    socle_error err;
    size_t i, n_whole, n_shards;
    clear_folder();
    put("config.json", json_object_get(one, "config"));
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
    char *whole = read_result(&n_whole);
    unlink(in_folder("model.safetensors"));
    write_weights(one, "a.safetensors", 0, SC_SAFETENSORS_F32);
    write_weights(one, "b.safetensors", 1, SC_SAFETENSORS_F32);
    json_array_foreach (json_object_get(one, "tensors"), i, tensor)
        json_object_set_new(map, json_string_value(json_array_get(tensor, 0)),
                            json_string(i % 2 ? "b.safetensors" : "a.safetensors"));
    json_t *index = json_pack("{s:{}, s:o}", "metadata", "weight_map", map);
    put("model.safetensors.index.json", index);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
    char *shards = read_result(&n_shards);
    assert_int_equal(n_whole, n_shards);
    assert_memory_equal(whole, shards, n_whole);
    free(whole);
    free(shards);
    json_decref(index);
    json_decref(cases);
}

static void matrices_keep_their_type(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json");
    const json_t *one = find_case(cases, "gpt-oss");
    socle_error err;
    char *inspected;
    clear_folder();
    put("config.json", json_object_get(one, "config"));
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_BF16);
    must(socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err), &err);
    must(socle_inspect(result, 0, &inspected, &err), &err);
    json_t *json = json_loads(inspected, 0, NULL), *tensor;
    size_t i, n_bf16 = 0, n_f32 = 0;
    json_array_foreach (json_object_get(json, "tensors"), i, tensor) {
        const char *name = json_string_value(json_object_get(tensor, "name"));
        const char *type = json_string_value(json_object_get(tensor, "format"));
        bool is_f32 = strstr(name, "norm") || strstr(name, "bias") || strstr(name, "sinks") ||
                      strstr(name, "ffn_gate_inp");
        assert_string_equal(type, is_f32 ? "F32" : "BF16");
        n_bf16 += !is_f32;
        n_f32 += is_f32;
    }
    assert_true(n_bf16 > 20 && n_f32 > 20);
    socle_free(inspected);
    json_decref(json);
    json_decref(cases);
}

// ---- what is refused, and leaves the result as it was

static void refuse(const json_t *config, socle_status status, const char *what)
{
    socle_error err;
    size_t n;
    put("config.json", config);
    must(sc_write_file(result, "as it was", 9, &err), &err);
    err.message[0] = '\0';
    socle_status found = socle_convert(folder, result, &(socle_convert_options){ .without_text = true }, NULL, &err);
    if (found != status || !strstr(err.message, what) || !strstr(err.message, folder))
        fail_msg("expected %s with '%s', found %s: %s", socle_status_name(status), what, socle_status_name(found),
                 err.message);
    char *data = read_result(&n);
    assert_int_equal(n, 9);
    free(data);
}

static void change(const json_t *one, const char *key, json_t *value, socle_status status, const char *what)
{
    json_t *config = json_deep_copy(json_object_get(one, "config"));
    if (value) json_object_set_new(config, key, value);
    else json_object_del(config, key);
    refuse(config, status, what);
    json_decref(config);
}

static void what_cannot_be_converted_is_refused_by_name(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json");
    const json_t *one = find_case(cases, "qwen3-moe");
    clear_folder();
    refuse(json_object_get(one, "config"), SOCLE_IO, "model.safetensors");
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_F32);
    change(one, "architectures", json_pack("[s]", "NovelForCausalLM"), SOCLE_UNSUPPORTED,
           "'NovelForCausalLM' is not known");
    change(one, "architectures", NULL, SOCLE_UNSUPPORTED, "is not known");
    change(one, "hidden_size", NULL, SOCLE_BAD_FILE, "hidden_size");
    change(one, "num_hidden_layers", json_string("two"), SOCLE_BAD_FILE, "num_hidden_layers");
    change(one, "num_attention_heads", json_real(2.5), SOCLE_BAD_FILE, "num_attention_heads");
    change(one, "num_local_experts", json_integer(5), SOCLE_BAD_FILE, "experts.4.gate_proj.weight");
    change(one, "num_local_experts", json_integer(3), SOCLE_UNSUPPORTED, "experts.3.");
    change(one, "rope_parameters", json_pack("{s:s}", "rope_type", "novel"), SOCLE_UNSUPPORTED, "'novel'");
    unlink(in_folder("model.safetensors"));
    write_weights(one, "model.safetensors", ALL, SC_SAFETENSORS_U16);
    refuse(json_object_get(one, "config"), SOCLE_UNSUPPORTED, "is U16");
    json_decref(cases);
}

// ---- tokenizers

static void check_tokenizer(const json_t *one, const char *file)
{
    socle_model *model;
    socle_error err;
    size_t i, k;
    json_t *text;
    const char *name = json_string_value(json_object_get(one, "name"));
    must(socle_model_load(file, &model, &err), &err);
    json_array_foreach (json_object_get(one, "texts"), i, text) {
        const json_t *source = json_array_get(text, 0), *expected = json_array_get(text, 1);
        int32_t *ids;
        size_t n;
        must(socle_tokenize(model, json_string_value(source), json_string_length(source), SOCLE_PARSE_SPECIAL, &ids, &n,
                            &err),
             &err);
        bool same = n == json_array_size(expected);
        for (k = 0; same && k < n; k++) same = ids[k] == json_integer_value(json_array_get(expected, k));
        if (!same) fail_msg("%s: '%s' gives other tokens", name, json_string_value(source));
        socle_free(ids);
    }
    int32_t *ids;
    size_t n;
    must(socle_tokenize(model, "a", 1, SOCLE_ADD_SPECIAL, &ids, &n, &err), &err);
    bool adds = strcmp(name, "llama-bpe") == 0 || strcmp(name, "pieces") == 0;
    const char *first = socle_token_bytes(model, ids[0], &k);
    assert_int_equal(adds, k == 3 && memcmp(first, "<s>", 3) == 0);
    socle_free(ids);
    socle_model_free(model);
}

static void converted_tokenizers_give_the_same_tokens(void **state)
{
    (void)state;
    json_t *cases = load("hf_cases.json"), *tokenizers = load("hf_tokenizer_cases.json"), *one;
    const json_t *llama = find_case(cases, "llama");
    socle_convert_result told;
    socle_error err;
    size_t i;
    json_array_foreach (tokenizers, i, one) {
        json_t *config = json_deep_copy(json_object_get(llama, "config")), *wide = json_deep_copy(llama), *tensor;
        size_t k;
        json_object_set_new(config, "vocab_size", json_integer(520));
        json_array_foreach (json_object_get(wide, "tensors"), k, tensor)
            if (json_integer_value(json_array_get(json_array_get(tensor, 1), 0)) == 64 &&
                !strstr(json_string_value(json_array_get(tensor, 0)), "layers"))
                json_array_set_new(json_array_get(tensor, 1), 0, json_integer(520));
        clear_folder();
        put("config.json", config);
        put("tokenizer.json", json_object_get(one, "tokenizer"));
        json_t *more = json_pack("{s:s, s:{s:s}, s:s}", "bos_token", "<s>", "eos_token", "content", "<|end|>",
                                 "chat_template", "{{ messages[0].content }}");
        put("tokenizer_config.json", more);
        write_weights(wide, "model.safetensors", ALL, SC_SAFETENSORS_F32);
        must(socle_convert(folder, result, NULL, &told, &err), &err);
        const char *name = json_string_value(json_object_get(one, "name"));
        assert_non_null(strstr(told.text, strncmp(name, "pieces", 6) == 0 ? "SentencePiece" : name));
        check_tokenizer(one, result);
        check_way_back(false, strncmp(name, "pieces", 6) != 0);
        check_tokenizer(one, again);
        json_decref(config);
        json_decref(wide);
        json_decref(more);
    }
    json_decref(tokenizers);
    json_decref(cases);
}

static void a_pre_tokenizer_that_is_not_known_is_refused(void **state)
{
    (void)state;
    json_t *tokenizers = load("hf_tokenizer_cases.json"), *cases = load("hf_cases.json");
    json_t *one = json_object_get(json_array_get(tokenizers, 0), "tokenizer");
    socle_error err;
    clear_folder();
    json_t *config = json_object_get(find_case(cases, "llama"), "config");
    json_object_set_new(config, "vocab_size", json_integer(520));
    put("config.json", config);
    write_weights(find_case(cases, "llama"), "model.safetensors", ALL, SC_SAFETENSORS_F32);
    json_object_set_new(one, "pre_tokenizer",
                        json_pack("{s:s, s:{s:s}}", "type", "Split", "pattern", "Regex", "[aeiou]"));
    put("tokenizer.json", one);
    assert_int_equal(socle_convert(folder, result, NULL, NULL, &err), SOCLE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "[aeiou]"));
    json_object_set_new(json_object_get(one, "model"), "type", json_string("Unigram"));
    put("tokenizer.json", one);
    assert_int_equal(socle_convert(folder, result, NULL, NULL, &err), SOCLE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "Unigram"));
    json_object_set_new(config, "vocab_size", json_integer(100));
    put("config.json", config);
    assert_int_equal(socle_convert(folder, result, NULL, NULL, &err), SOCLE_UNSUPPORTED);
    json_object_set_new(json_object_get(one, "model"), "type", json_string("BPE"));
    put("tokenizer.json", one);
    assert_int_equal(socle_convert(folder, result, NULL, NULL, &err), SOCLE_BAD_FILE);
    assert_non_null(strstr(err.message, "vocab_size is 100"));
    json_decref(tokenizers);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converted_models_compute_what_transformers_computes),
        cmocka_unit_test(configurations_of_older_versions_say_the_same),
        cmocka_unit_test(what_is_written_back_converts_to_the_same_file),
        cmocka_unit_test(shards_give_the_same_file),
        cmocka_unit_test(matrices_keep_their_type),
        cmocka_unit_test(what_cannot_be_converted_is_refused_by_name),
        cmocka_unit_test(converted_tokenizers_give_the_same_tokens),
        cmocka_unit_test(a_pre_tokenizer_that_is_not_known_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
