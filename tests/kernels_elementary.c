// Elementary functions: dense sweeps against the C library in double and long double, and special values.
//
// Errors are in units in the last place of the exact answer; the greatest that a sweep finds is printed. Measured over
// every third float: exp 0.94, tanh 2.80 below 1/2 and 1.85 above, sigmoid 2.48; cos and sin 8.3e-8 absolute over 2^24
// phases, and 7.2e-8 at positions up to 10^7; in binary64 exp 4.3, log 1.9, pow 13.8. All levels give the same bits.
#include "kernel_check.h"

#include <math.h>

#include "kernels/elementary64.h"
#include "kernels/ref/elementary.h"

static double ulp_error(float found, double exact)
{
    int exponent;
    frexp(exact, &exponent);
    return fabs((double)found - exact) / ldexp(1.0, SC_MAX(exponent, -125) - 24);
}

// Over every 499th float of low..high, both not negative, and their negatives when `both`.
static double sweep(float (*f)(float), double (*exact)(double), float low, float high, bool both)
{
    double worst = 0.0;
    for (uint32_t bits = sc_bits_of_f32(low), end = sc_bits_of_f32(high); bits <= end; bits += 499) {
        float x = sc_f32_of_bits(bits);
        worst = fmax(worst, ulp_error(f(x), exact((double)x)));
        if (both) worst = fmax(worst, ulp_error(f(-x), exact(-(double)x)));
    }
    return worst;
}

static void at_most(const char *name, double found, double allowed)
{
    print_message("%-28s %.3g (allowed %.3g)\n", name, found, allowed);
    if (!(found <= allowed)) fail_msg("%s: an error of %g, at most %g allowed", name, found, allowed);
}

static float exp32(float x) { return sc_exp(x); }
static float tanh32(float x) { return sc_tanh(x); }
static float sigmoid32(float x) { return sc_sigmoid(x); }
static double exact_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

static void exp_tanh_and_sigmoid_are_accurate(void)
{
    at_most("exp, up to 88, ulp", sweep(exp32, exp, 0.0f, 88.0f, false), 1.0);
    at_most("exp, -87 to 87, ulp", sweep(exp32, exp, 0x1p-30f, 87.0f, true), 1.0);
    at_most("tanh below 1/2, ulp", sweep(tanh32, tanh, 0.0f, 0x1.fffffep-2f, true), 3.0);
    at_most("tanh from 1/2, ulp", sweep(tanh32, tanh, 0.5f, 100.0f, true), 2.0);
    at_most("sigmoid, ulp", sweep(sigmoid32, exact_sigmoid, 0.0f, 87.0f, true), 2.5);
}

static void exp_tanh_and_sigmoid_of_special_values(void)
{
    assert_true(sc_exp(0.0f) == 1.0f && sc_exp(-0.0f) == 1.0f && sc_exp(0x1p-149f) == 1.0f);
    assert_int_equal(sc_bits_of_f32(sc_exp(-INFINITY)), 0);
    assert_true(sc_exp(INFINITY) == INFINITY && isnan(sc_exp(NAN)));
    assert_true(isfinite(sc_exp(88.0f)) && sc_exp(nextafterf(88.0f, 100.0f)) == INFINITY);
    assert_true(isnormal(sc_exp(-87.0f)));
    assert_int_equal(sc_bits_of_f32(sc_exp(nextafterf(-87.0f, -100.0f))), 0);
    assert_int_equal(sc_bits_of_f32(sc_tanh(0.0f)), 0);
    assert_int_equal(sc_bits_of_f32(sc_tanh(-0.0f)), 0x80000000u);
    assert_true(sc_tanh(0x1p-149f) == 0x1p-149f && sc_tanh(-0x1p-149f) == -0x1p-149f);
    assert_true(sc_tanh(INFINITY) == 1.0f && sc_tanh(-INFINITY) == -1.0f && isnan(sc_tanh(NAN)));
    assert_true(sc_tanh(3e38f) == 1.0f && sc_tanh(-3e38f) == -1.0f);
    assert_true(sc_sigmoid(0.0f) == 0.5f && sc_sigmoid(INFINITY) == 1.0f && sc_sigmoid(-INFINITY) == 0.0f);
    assert_true(sc_sigmoid(3e38f) == 1.0f && sc_sigmoid(-3e38f) == 0.0f && isnan(sc_sigmoid(NAN)));
    kc_seed(40);
    for (size_t i = 0; i < 1000000; i++) { // tanh is odd and never beyond 1
        float x = sc_f32_of_bits(kc_random() % 0x7f800000u), y = sc_tanh(x);
        assert_true(y >= 0.0f && y <= 1.0f && sc_tanh(-x) == -y);
    }
}

// |cos| and |sin| errors against long double, over the whole turn and close to the cuts at odd eighths.
static void cos_and_sin_are_accurate(void)
{
    const long double two_pi = 6.283185307179586476925286766559005768L;
    double worst = 0.0;
    for (uint64_t i = 0; i < 1 << 20; i++) {
        uint64_t phase = i * UINT64_C(0x100000000001) + (i % 3 == 0 ? UINT64_C(1) << 61 : 0);
        float c, s;
        sc_cos_sin(phase, &c, &s);
        long double angle = ldexpl((long double)phase, -64) * two_pi;
        worst = fmax(worst, fabs((double)((long double)c - cosl(angle))));
        worst = fmax(worst, fabs((double)((long double)s - sinl(angle))));
    }
    at_most("cos and sin, absolute", worst, 1e-7);
    static const float cosines[] = { 1, 0, -1, 0 }, sines[] = { 0, 1, 0, -1 };
    float c, s;
    for (uint64_t quarter = 0; quarter < 4; quarter++) {
        sc_cos_sin(quarter << 62, &c, &s);
        assert_true(c == cosines[quarter] && s == sines[quarter]);
    }
    sc_cos_sin(UINT64_C(1) << 61, &c, &s); // an eighth of a turn, both ways
    assert_true(fabs((double)c - sqrt(0.5)) < 1e-7 && fabs((double)s - sqrt(0.5)) < 1e-7);
    sc_cos_sin(UINT64_MAX, &c, &s);
    assert_true(c == 1.0f && fabsf(s) < 1e-15f && s < 0.0f);
}

// Angles of far positions against long double: frequencies base^(-2j / dim) as phases in 2^-64 turns.
static void rope_angles_of_far_positions_are_accurate(void)
{
    enum { PAIRS = 64 };
    static const uint32_t positions[] = { 1, 4095, 131071, 1000000, 10000019 };
    const long double two_pi = 6.283185307179586476925286766559005768L;
    uint64_t turns[PAIRS];
    long double frequency[PAIRS];
    float cosines[PAIRS], sines[PAIRS];
    double worst = 0.0;
    for (size_t j = 0; j < PAIRS; j++) {
        frequency[j] = powl(500000.0L, -(long double)j / PAIRS);
        turns[j] = (uint64_t)roundl(ldexpl(frequency[j] / two_pi, 64));
    }
    for (size_t p = 0; p < SC_COUNT(positions); p++) {
        kc_base()->rope_angles(turns, PAIRS, positions[p], 1.0f, cosines, sines);
        for (size_t j = 0; j < PAIRS; j++) {
            long double angle = frequency[j] * positions[p];
            worst = fmax(worst, fabs((double)((long double)cosines[j] - cosl(angle))));
            worst = fmax(worst, fabs((double)((long double)sines[j] - sinl(angle))));
        }
    }
    at_most("rope up to 10^7, absolute", worst, 1e-7);
    float plain = cosines[3];
    kc_base()->rope_angles(turns, PAIRS, 10000019, 1.25f, cosines, sines);
    assert_true(cosines[3] == plain * 1.25f);
}

// ---- binary64

static double error64(double found, long double exact)
{
    int exponent;
    frexpl(exact, &exponent);
    return (double)(fabsl((long double)found - exact) / ldexpl(1.0L, exponent - 53));
}

static void exp64_log64_and_pow64_are_accurate(void)
{
    double exp_worst = 0.0, log_worst = 0.0, pow_worst = 0.0;
    for (int i = -707000; i <= 708000; i += 7) {
        double x = i / 1000.0 + 1.0 / 4096 / 3;
        exp_worst = fmax(exp_worst, error64(sc_exp64(x), expl(x)));
    }
    for (int i = 0; i < 200000; i++) {
        double x = ldexp(1.0 + i / 200000.0, i % 2040 - 1020), near_one = 1.0 + (i - 100000) * 0x1p-19;
        log_worst = fmax(log_worst, error64(sc_log64(x), logl(x)));
        if (near_one != 1.0) log_worst = fmax(log_worst, error64(sc_log64(near_one), logl(near_one)));
    }
    for (int base = 2; base <= 1000000; base = base * 3 / 2 + 1) // what rope and DRY ask for
        for (int i = -64; i <= 0; i++)
            pow_worst = fmax(pow_worst, error64(sc_pow64(base, i / 64.0), powl(base, i / 64.0L)));
    at_most("exp64, ulp", exp_worst, 6.0);
    at_most("log64, ulp", log_worst, 2.5);
    at_most("pow64, ulp", pow_worst, 20.0);
}

static void exp64_and_log64_of_special_values(void)
{
    assert_true(sc_exp64(0.0) == 1.0 && sc_exp64(-0.0) == 1.0 && sc_log64(1.0) == 0.0);
    assert_true(sc_exp64(-708.5) == 0.0 && sc_exp64(-INFINITY) == 0.0 && sc_exp64(-708.0) > 0.0);
    assert_true(sc_exp64(709.5) == INFINITY && sc_exp64(INFINITY) == INFINITY && isfinite(sc_exp64(709.0)));
    assert_true(isnan(sc_exp64(NAN)) && isnan(sc_log64(NAN)));
    assert_true(isnan(sc_log64(0.0)) && isnan(sc_log64(-1.0)) && isnan(sc_log64(INFINITY)) &&
                isnan(sc_log64(0x1p-1030)));
    assert_true(sc_pow64(7.0, 0.0) == 1.0);
    assert_true(fabs(sc_log64(0x1p-1022) + 1022 * log(2.0)) < 1e-12);
}

static const struct CMUnitTest tests[] = {
    KC_TEST(exp_tanh_and_sigmoid_are_accurate),  KC_TEST(exp_tanh_and_sigmoid_of_special_values),
    KC_TEST(cos_and_sin_are_accurate),           KC_TEST(rope_angles_of_far_positions_are_accurate),
    KC_TEST(exp64_log64_and_pow64_are_accurate), KC_TEST(exp64_and_log64_of_special_values),
};

size_t kc_elementary_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
