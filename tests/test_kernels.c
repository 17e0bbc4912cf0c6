// Kernels: every level against `base` bit for bit, `base` against the written rules and against double precision.
//
// kernels_levels.c, kernels_matmul.c, kernels_attend.c and kernels_training.c compare levels; kernels_rules.c,
// kernels_rules_attend.c, kernels_rules_training.c and kernels_product.c have the rules once more, in the plainest way;
// kernels_elementary.c measures accuracy; kernels_check.c is what they share.
//
// usage: test_kernels [--bits]     --bits: without the accuracy, which takes long under an emulator
#include "kernel_check.h"

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[9 * KC_TESTS_MAX];
    size_t n = 0;
    bool bits_only = argc > 1 && strcmp(argv[1], "--bits") == 0;
    n += kc_rule_tests(tests + n);
    n += kc_attend_rule_tests(tests + n);
    if (!bits_only) n += kc_elementary_tests(tests + n);
    n += kc_level_tests(tests + n);
    n += kc_matmul_tests(tests + n);
    n += kc_attend_tests(tests + n);
    n += kc_training_rule_tests(tests + n);
    n += kc_product_tests(tests + n);
    n += kc_training_tests(tests + n);
    // cmocka's macro takes an array of known size; the tail of this one is unused.
    return _cmocka_run_group_tests("kernels", tests, n, NULL, NULL);
}
