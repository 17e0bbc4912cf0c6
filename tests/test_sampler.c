// Choosing tokens, and what happens to their text: random numbers, samplers, stop strings.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buffer.h"
#include "base/size.h"
#include "base/random.h"
#include "engine/sampler.h"
#include "engine/stop.h"

// ---- random numbers

// From the file kat_vectors of Random123, the authors' distribution.
static void philox_gives_the_published_numbers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < SC_COUNT(vectors); i++) {
        uint32_t counter[4];
        memcpy(counter, vectors[i].counter, sizeof counter);
        sc_philox(counter, vectors[i].key);
        assert_memory_equal(counter, vectors[i].expected, sizeof counter);
    }
}

static void uniform_numbers_are_uniform(void **state)
{
    (void)state;
    enum { N = 200000, BINS = 100 };
    size_t bins[BINS] = { 0 };
    double sum = 0.0;
    for (uint64_t i = 0; i < N; i++) {
        double u = sc_random_uniform(i % 7, i << (i % 3 * 16), SC_RANDOM_SAMPLE);
        assert_true(u >= 0.0 && u < 1.0);
        assert_true(ldexp(u, 53) == floor(ldexp(u, 53)));
        bins[(size_t)(u * BINS)]++;
        sum += u;
    }
    assert_true(fabs(sum / N - 0.5) < 0.003);
    double chi = 0.0;
    for (size_t i = 0; i < BINS; i++) chi += pow((double)bins[i] - (double)N / BINS, 2) / ((double)N / BINS);
    assert_true(chi < 149.0); // 99 degrees of freedom, one in a thousand
    // All 64 bits of seed and position count, and so does the purpose.
    double u = sc_random_uniform(5, 6, SC_RANDOM_SAMPLE);
    assert_true(u == sc_random_uniform(5, 6, SC_RANDOM_SAMPLE));
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_true(u != sc_random_uniform(5 ^ UINT64_C(1) << bit, 6, SC_RANDOM_SAMPLE));
        assert_true(u != sc_random_uniform(5, 6 ^ UINT64_C(1) << bit, SC_RANDOM_SAMPLE));
    }
    assert_true(u != sc_random_uniform(5, 6, (enum sc_random_purpose)(SC_RANDOM_SAMPLE + 1)));
}

// ---- samplers

enum { VOCAB_MAX = 256, HISTORY_MAX = 1024 };

static struct sc_candidate candidates[VOCAB_MAX];
static uint32_t counts[VOCAB_MAX], z[HISTORY_MAX];
static float weights[VOCAB_MAX];

static struct sc_sampler sampler_of(size_t n_vocab)
{
    assert_true(n_vocab <= VOCAB_MAX);
    return (struct sc_sampler){ candidates, counts, z, (uint32_t)n_vocab, weights, sc_kernels_at(0) };
}

// Everything off, temperature 1.
static socle_sampling off(void)
{
    return (socle_sampling){ .temperature = 1.0f,
                             .top_p = 1.0f,
                             .typical_p = 1.0f,
                             .repetition_penalty = 1.0f,
                             .dry_base = 1.75f,
                             .dry_allowed_length = 2 };
}

static int32_t sample(size_t n_vocab, const socle_sampling *how, const struct sc_sampling_input *in)
{
    struct sc_sampler s = sampler_of(n_vocab);
    int32_t token = sc_sample(&s, how, in);
    assert_in_range(token, 0, n_vocab - 1);
    for (size_t i = 0; i < n_vocab; i++) assert_int_equal(counts[i], 0); // as the sampler promises
    return token;
}

// The logits as the penalties leave them, by token.
static void logits_after(size_t n_vocab, const socle_sampling *how, const struct sc_sampling_input *in, float *out)
{
    sample(n_vocab, how, in);
    for (size_t i = 0; i < n_vocab; i++) out[candidates[i].id] = candidates[i].logit;
}

static void defaults_are_as_documented(void **state)
{
    (void)state;
    socle_sampling d = socle_sampling_defaults();
    assert_true(d.temperature == 0.8f && d.top_k == 40 && d.top_p == 0.95f && d.min_p == 0.05f && d.seed == 0);
    assert_true(d.typical_p == 1.0f && d.repetition_penalty == 1.0f && d.dry_multiplier == 0.0f && d.n_bias == 0);
    assert_int_equal(sc_sampling_check(&d, 10, NULL), SOCLE_OK);
}

static void greedy_takes_the_best_and_the_lower_id_on_ties(void **state)
{
    (void)state;
    float logits[] = { -1.0f, 3.0f, 3.0f, 2.0f, 3.0f };
    int32_t history[1] = { 0 };
    struct sc_sampling_input in = { .logits = logits, .history = history };
    socle_sampling how = off();
    how.temperature = 0.0f;
    assert_int_equal(sample(5, &how, &in), 1);
    logits[4] = 3.0000002f;
    assert_int_equal(sample(5, &how, &in), 4);
    float zeros[] = { -0.0f, 0.0f, 0.0f };
    in.logits = zeros;
    assert_int_equal(sample(3, &how, &in), 0); // the two zeros are equal
    how.temperature = 1.0f;
    how.top_k = 2; // ties at the edge of a cut: the lower ids stay
    for (how.seed = 0; how.seed < 50; how.seed++) assert_in_range(sample(3, &how, &in), 0, 1);
    assert_int_equal(sample(1, &how, &in), 0);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("a case has no number '%s'", key);
    return json_number_value(value);
}

static socle_sampling sampling_of(const json_t *s)
{
    return (socle_sampling){ .temperature = (float)number(s, "temperature"),
                             .top_k = (uint32_t)number(s, "top_k"),
                             .top_p = (float)number(s, "top_p"),
                             .min_p = (float)number(s, "min_p"),
                             .typical_p = (float)number(s, "typical_p"),
                             .repetition_penalty = (float)number(s, "repetition_penalty"),
                             .frequency_penalty = (float)number(s, "frequency_penalty"),
                             .presence_penalty = (float)number(s, "presence_penalty"),
                             .penalty_last_n = (uint32_t)number(s, "penalty_last_n"),
                             .dry_multiplier = (float)number(s, "dry_multiplier"),
                             .dry_base = (float)number(s, "dry_base"),
                             .dry_allowed_length = (uint32_t)number(s, "dry_allowed_length") };
}

static bool is_listed(const void *context, int32_t token)
{
    const json_t *list = context;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == token) return true;
    return false;
}

// Draws with many seeds: each must be the token in whose stretch of the cumulative probabilities the number falls.
static void check_draws(const json_t *c, socle_sampling how, size_t n_vocab, const struct sc_sampling_input *in)
{
    const json_t *kept = json_object_get(c, "kept"), *cumulative = json_object_get(c, "cumulative");
    size_t n_kept = json_array_size(kept), n_checked = 0;
    for (how.seed = 0; how.seed < 300; how.seed++) {
        double u = sc_random_uniform(how.seed, in->n_history, SC_RANDOM_SAMPLE);
        size_t i = 0;
        while (i + 1 < n_kept && json_number_value(json_array_get(cumulative, i)) <= u) i++;
        double below = i ? json_number_value(json_array_get(cumulative, i - 1)) : 0.0;
        double above = json_number_value(json_array_get(cumulative, i));
        int32_t expected = (int32_t)json_integer_value(json_array_get(kept, i)), found = sample(n_vocab, &how, in);
        if (!is_listed(kept, found))
            fail_msg("%s: token %d should be cut", json_string_value(json_object_get(c, "name")), found);
        // Logits are binary32: too close to a border to tell.
        if (n_kept > 1 && ((i && u - below < 1e-4) || (i + 1 < n_kept && above - u < 1e-4))) continue;
        n_checked++;
        if (found != expected)
            fail_msg("%s, seed %d: expected token %d, found %d", json_string_value(json_object_get(c, "name")),
                     (int)how.seed, expected, found);
    }
    assert_true(n_checked > 200);
}

static void samplers_agree_with_the_table(void **state)
{
    (void)state;
    json_error_t error;
    json_t *cases = json_load_file(SC_SOURCE_ROOT "/tests/data/sampler_cases.json", 0, &error), *c;
    size_t n;
    if (!cases) fail_msg("sampler_cases.json: %s", error.text);
    assert_true(json_array_size(cases) > 50);
    json_array_foreach (cases, n, c) {
        float logits[VOCAB_MAX];
        int32_t history[HISTORY_MAX];
        socle_logit_bias bias[8];
        const json_t *list = json_object_get(c, "logits"), *past = json_object_get(c, "history"),
                     *b = json_object_get(c, "bias");
        socle_sampling how = sampling_of(json_object_get(c, "sampling"));
        struct sc_sampling_input in = { logits, history, json_array_size(past), is_listed,
                                        json_object_get(c, "breakers") };
        assert_true(json_array_size(list) <= VOCAB_MAX && in.n_history <= HISTORY_MAX &&
                    json_array_size(b) <= SC_COUNT(bias));
        for (size_t i = 0; i < json_array_size(list); i++)
            logits[i] = (float)json_number_value(json_array_get(list, i));
        for (size_t i = 0; i < in.n_history; i++) history[i] = (int32_t)json_integer_value(json_array_get(past, i));
        for (how.n_bias = 0; how.n_bias < json_array_size(b); how.n_bias++) {
            const json_t *pair = json_array_get(b, how.n_bias);
            bias[how.n_bias] = (socle_logit_bias){ (int32_t)json_integer_value(json_array_get(pair, 0)),
                                                   (float)json_number_value(json_array_get(pair, 1)) };
        }
        how.bias = bias;
        check_draws(c, how, json_array_size(list), &in);
    }
    json_decref(cases);
}

static void each_token_is_penalized_once_by_each_rule(void **state)
{
    (void)state;
    const float logits[] = { 2.0f, -2.0f, 1.0f, 0.0f };
    const int32_t history[] = { 2, 0, 0, 1 };
    struct sc_sampling_input in = { .logits = logits, .history = history, .n_history = 4 };
    socle_sampling how = off();
    float after[4];
    how.repetition_penalty = 2.0f;
    logits_after(4, &how, &in, after);
    assert_true(after[0] == 1.0f && after[1] == -4.0f && after[2] == 0.5f && after[3] == 0.0f);
    how.frequency_penalty = 0.5f;
    how.presence_penalty = 0.25f;
    how.penalty_last_n = 3; // token 2 is out of sight
    logits_after(4, &how, &in, after);
    assert_true(after[0] == 1.0f - 1.25f && after[1] == -4.0f - 0.75f && after[2] == 1.0f && after[3] == 0.0f);
    how.penalty_last_n = 0;
    logits_after(4, &how, &in, after);
    assert_true(after[2] == 0.5f - 0.75f);
}

static bool breaks_at_nine(const void *context, int32_t token)
{
    (void)context;
    return token == 9;
}

static void dry_penalizes_what_would_go_on_with_a_repetition(void **state)
{
    (void)state;
    enum { N = 10 };
    static const struct {
        int32_t history[12];
        size_t n;
        uint32_t allowed;
        bool breakers;
        float penalty[N]; // with multiplier 1 and base 2
    } cases[] = {
        // "0 1" came before and was followed by 2.
        { { 0, 1, 2, 0, 1 }, 5, 2, false, { [2] = 1 } },
        { { 0, 1, 2, 0, 1 }, 5, 1, false, { [2] = 2 } },
        { { 0, 1, 2, 0, 1 }, 5, 3, false, { 0 } },
        // Four times the same: a fifth would go on with a repetition of three.
        { { 0, 0, 0, 0 }, 4, 2, false, { [0] = 2 } },
        // Two places end alike: 5 goes on with a length of 3, 6 with one of 2.
        { { 1, 2, 3, 5, 4, 2, 3, 6, 1, 2, 3 }, 11, 2, false, { [5] = 2, [6] = 1 } },
        // The same token after both: the longer one counts, once.
        { { 1, 2, 3, 5, 4, 2, 3, 5, 1, 2, 3 }, 11, 2, false, { [5] = 2 } },
        // A breaker ends the comparison: "1" alone is too short, "1 2" is not.
        { { 0, 9, 1, 5, 0, 9, 1 }, 7, 2, false, { [5] = 2 } },
        { { 0, 9, 1, 5, 0, 9, 1 }, 7, 2, true, { 0 } },
        { { 0, 9, 1, 2, 5, 0, 9, 1, 2 }, 9, 2, true, { [5] = 1 } },
        { { 1, 2, 9, 1, 2, 9 }, 6, 1, true, { 0 } },
        // A breaker may itself be what goes on.
        { { 1, 2, 9, 3, 1, 2 }, 6, 2, true, { [9] = 1 } },
        { { 7 }, 1, 1, false, { 0 } },
    };
    float logits[N] = { 0 }, after[N];
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        struct sc_sampling_input in = { logits, cases[i].history, cases[i].n, cases[i].breakers ? breaks_at_nine : NULL,
                                        NULL };
        socle_sampling how = off();
        how.dry_multiplier = 1.0f;
        how.dry_base = 2.0f;
        how.dry_allowed_length = cases[i].allowed;
        logits_after(N, &how, &in, after);
        for (size_t t = 0; t < N; t++)
            if (fabsf(after[t] + cases[i].penalty[t]) > 1e-6f)
                fail_msg("case %zu, token %zu: expected a penalty of %g, found %g", i, t, (double)cases[i].penalty[t],
                         (double)-after[t]);
    }
    static int32_t same[HISTORY_MAX]; // a very long repetition has a great penalty, but a finite one
    struct sc_sampling_input in = { .logits = logits, .history = same, .n_history = HISTORY_MAX };
    socle_sampling how = off();
    how.dry_multiplier = 100.0f;
    how.dry_base = 100.0f;
    logits_after(N, &how, &in, after);
    assert_true(isfinite(after[0]) && after[0] <= -1e8f && after[1] == 0.0f);
}

static void draws_depend_on_seed_and_position_alone(void **state)
{
    (void)state;
    enum { N = 64 };
    float logits[N];
    int32_t history[40] = { 0 };
    size_t n_seed_changes = 0, n_position_changes = 0;
    for (size_t i = 0; i < N; i++) logits[i] = (float)(i * 37 % N) * 0.01f;
    struct sc_sampling_input in = { .logits = logits, .history = history, .n_history = 7 };
    socle_sampling how = off();
    for (uint64_t seed = 0; seed < 100; seed++) {
        how.seed = seed;
        int32_t first = sample(N, &how, &in);
        memset(candidates, 0xff, sizeof candidates); // what earlier calls left is forgotten
        assert_int_equal(sample(N, &how, &in), first);
        history[3] = (int32_t)(seed % N); // no penalty looks at it
        assert_int_equal(sample(N, &how, &in), first);
        how.seed = seed + 1000;
        n_seed_changes += sample(N, &how, &in) != first;
        how.seed = seed;
        in.n_history = 8;
        n_position_changes += sample(N, &how, &in) != first;
        in.n_history = 7;
    }
    assert_true(n_seed_changes > 90 && n_position_changes > 90);
}

static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    enum { N = 10, DRAWS = 20000 };
    static int32_t history[DRAWS];
    static const double p[N] = { 0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01 };
    float logits[N];
    for (size_t i = 0; i < N; i++) logits[i] = (float)log(p[i]) * 2.0f + 5.0f; // at temperature 2: p
    for (int by_position = 0; by_position < 2; by_position++) {
        size_t found[N] = { 0 };
        socle_sampling how = off();
        how.temperature = 2.0f;
        for (size_t i = 0; i < DRAWS; i++) {
            struct sc_sampling_input in = { .logits = logits, .history = history, .n_history = by_position ? i : 3 };
            how.seed = by_position ? 42 : i;
            found[sample(N, &how, &in)]++;
        }
        double chi = 0.0;
        for (size_t i = 0; i < N; i++) chi += pow((double)found[i] - p[i] * DRAWS, 2) / (p[i] * DRAWS);
        assert_true(chi < 27.9); // 9 degrees of freedom, one in a thousand
    }
}

static void a_bias_can_ban_and_force_a_token(void **state)
{
    (void)state;
    const float logits[] = { 0.0f, 9.0f, 0.0f, 0.0f };
    const int32_t history[1] = { 0 };
    struct sc_sampling_input in = { .logits = logits, .history = history };
    const socle_logit_bias ban[] = { { 1, -INFINITY }, { 3, -INFINITY } }, force[] = { { 2, 1e6f } };
    socle_sampling how = off();
    how.temperature = 100.0f;
    how.bias = ban;
    how.n_bias = 2;
    assert_int_equal(sc_sampling_check(&how, 4, NULL), SOCLE_OK);
    for (how.seed = 0; how.seed < 200; how.seed++) assert_true(sample(4, &how, &in) % 2 == 0);
    how.typical_p = 0.9f;
    how.min_p = 0.01f;
    how.top_p = 0.99f;
    for (how.seed = 0; how.seed < 200; how.seed++) assert_true(sample(4, &how, &in) % 2 == 0);
    how.bias = force;
    how.n_bias = 1;
    assert_int_equal(sc_sampling_check(&how, 4, NULL), SOCLE_OK);
    for (how.seed = 0; how.seed < 200; how.seed++) assert_int_equal(sample(4, &how, &in), 2);
}

static void senseless_parameters_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t offset;
        float bad[4];
    } fields[] = {
        { "temperature", offsetof(socle_sampling, temperature), { -0.1f, NAN, INFINITY, 101.0f } },
        { "top_p", offsetof(socle_sampling, top_p), { -0.1f, 1.1f, NAN, INFINITY } },
        { "min_p", offsetof(socle_sampling, min_p), { -0.1f, 1.1f, NAN, -INFINITY } },
        { "typical_p", offsetof(socle_sampling, typical_p), { -0.1f, 1.1f, NAN, INFINITY } },
        { "repetition_penalty", offsetof(socle_sampling, repetition_penalty), { 0.0f, -1.0f, NAN, INFINITY } },
        { "frequency_penalty", offsetof(socle_sampling, frequency_penalty), { -101.0f, 101.0f, NAN, INFINITY } },
        { "presence_penalty", offsetof(socle_sampling, presence_penalty), { -101.0f, 101.0f, NAN, -INFINITY } },
        { "dry_multiplier", offsetof(socle_sampling, dry_multiplier), { -1.0f, 101.0f, NAN, INFINITY } },
        { "dry_base", offsetof(socle_sampling, dry_base), { 0.9f, 101.0f, NAN, INFINITY } },
    };
    socle_error err;
    for (size_t i = 0; i < SC_COUNT(fields); i++)
        for (size_t j = 0; j < 4; j++) {
            socle_sampling how = socle_sampling_defaults();
            memcpy((char *)&how + fields[i].offset, &fields[i].bad[j], sizeof(float));
            if (sc_sampling_check(&how, 10, &err) != SOCLE_BAD_ARGUMENT ||
                strncmp(err.message, fields[i].name, strlen(fields[i].name)))
                fail_msg("%s = %g is not refused", fields[i].name, (double)fields[i].bad[j]);
        }
    // Infinity would make every probability a NaN; -infinity is a ban.
    const socle_logit_bias bad[] = { { -1, 0.0f }, { 10, 0.0f },    { INT32_MAX, 0.0f },
                                     { 3, NAN },   { 3, INFINITY }, { 3, 3e38f } };
    for (size_t i = 0; i < SC_COUNT(bad); i++) {
        socle_sampling how = socle_sampling_defaults();
        how.bias = &bad[i];
        how.n_bias = 1;
        if (sc_sampling_check(&how, 10, &err) != SOCLE_BAD_ARGUMENT || !strstr(err.message, "logit bias"))
            fail_msg("a bias of %g for token %d is not refused", (double)bad[i].bias, bad[i].token);
    }
}

// ---- stop strings

struct stopped {
    char shown[128];
    bool found;
};

// Pushes text in pieces: a new one begins wherever `cuts` has a bit. Shows what the filter lets through.
static struct stopped stream(const char *const *strings, size_t n_strings, const char *text, uint32_t cuts)
{
    struct sc_stop_filter f = { .strings = strings, .n_strings = n_strings };
    struct stopped out = { .found = false };
    size_t n = strlen(text), n_shown = 0, n_ready;
    for (size_t begin = 0, end; begin < n && !out.found; begin = end) {
        end = begin + 1;
        while (end < n && !(cuts >> (end - 1) & 1)) end++;
        out.found = sc_stop_filter_push(&f, text + begin, end - begin, &n_ready);
        assert_true(n_ready <= f.held.n_bytes);
        memcpy(out.shown + n_shown, f.held.data, n_ready);
        n_shown += n_ready;
        sc_stop_filter_drop(&f, n_ready);
    }
    if (!out.found) { // the end of the text: what was held back is shown after all
        memcpy(out.shown + n_shown, f.held.data, f.held.n_bytes);
        n_shown += f.held.n_bytes;
    }
    sc_stop_filter_free(&f);
    return out;
}

static void stop_strings_never_show_however_the_text_comes(void **state)
{
    (void)state;
    static const struct {
        const char *strings[3], *text, *shown;
        bool found;
    } cases[] = {
        { { "STOP" }, "hello STOP more", "hello ", true },
        { { "STOP" }, "hello STO more", "hello STO more", false },
        { { "STOP" }, "hello STO", "hello STO", false },
        { { "STOP" }, "SSTSTOSTOP", "SSTSTO", true },
        { { "aaab" }, "aaaaaab", "aaa", true },
        { { "abab" }, "aabaababab", "aaba", true },
        { { "\n\n", "END" }, "one\n\ntwo END", "one", true },
        { { "\n\n", "END" }, "one END\n\n", "one ", true },
        { { "ab", "abc" }, "xxabc", "xx", true },
        { { "xab", "ab" }, "1xab", "1", true },
        { { "abcd", "bc" }, "xabcde", "xa", true }, // "bc" is complete first
        { { "a" }, "a", "", true },
        { { "\xc3\xa9" }, "caf\xc3\xa9", "caf", true },
        { { NULL }, "anything", "anything", false },
        { { "much longer than the text" }, "much longer", "much longer", false },
    };
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        size_t n_strings = 0, n = strlen(cases[i].text);
        while (n_strings < 3 && cases[i].strings[n_strings]) n_strings++;
        for (uint32_t cuts = 0; cuts < 1u << (n - 1); cuts++) {
            struct stopped out = stream(cases[i].strings, n_strings, cases[i].text, cuts);
            if (strcmp(out.shown, cases[i].shown) != 0 || out.found != cases[i].found)
                fail_msg("'%s' cut at bits %x: expected '%s', found '%s'", cases[i].text, cuts, cases[i].shown,
                         out.shown);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(uniform_numbers_are_uniform),
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(greedy_takes_the_best_and_the_lower_id_on_ties),
        cmocka_unit_test(samplers_agree_with_the_table),
        cmocka_unit_test(each_token_is_penalized_once_by_each_rule),
        cmocka_unit_test(dry_penalizes_what_would_go_on_with_a_repetition),
        cmocka_unit_test(draws_depend_on_seed_and_position_alone),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(a_bias_can_ban_and_force_a_token),
        cmocka_unit_test(senseless_parameters_are_refused_by_name),
        cmocka_unit_test(stop_strings_never_show_however_the_text_comes),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
