// The little of cmocka that the tests of tests/cross use, so that they run where cmocka is not built for: under
// emulators, and with any compiler. Same names, same output lines; a failed assertion ends its test.
#ifndef SC_TESTS_CROSS_CMOCKA_H
#define SC_TESTS_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    int (*setup_func)(void **state), (*teardown_func)(void **state);
    void *initial_state;
};

#define cmocka_unit_test(function)                                                                                     \
    {                                                                                                                  \
#function, function, NULL, NULL, NULL                                                                          \
    }

extern jmp_buf cross_end_of_test; // cmocka.c
__attribute__((noreturn)) void cross_fail(const char *file, int line, const char *what);
__attribute__((noreturn)) void skip(void);

#define print_message(...) printf(__VA_ARGS__)
#define fail_msg(...)                                                                                                  \
    do {                                                                                                               \
        printf(__VA_ARGS__);                                                                                           \
        cross_fail(__FILE__, __LINE__, "");                                                                            \
    } while (0)
#define cross_assert(ok, what)                                                                                         \
    do {                                                                                                               \
        if (!(ok)) cross_fail(__FILE__, __LINE__, what);                                                               \
    } while (0)
#define assert_true(x) cross_assert(x, #x)
#define assert_false(x) cross_assert(!(x), "not: " #x)
#define assert_null(x) cross_assert((x) == NULL, #x " == NULL")
#define assert_non_null(x) cross_assert((x) != NULL, #x " != NULL")
#define assert_int_equal(a, b) cross_assert((long long)(a) == (long long)(b), #a " == " #b)
#define assert_int_not_equal(a, b) cross_assert((long long)(a) != (long long)(b), #a " != " #b)
#define assert_ptr_equal(a, b) cross_assert((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_string_equal(a, b) cross_assert(strcmp(a, b) == 0, #a " == " #b)
#define assert_memory_equal(a, b, n) cross_assert(memcmp(a, b, n) == 0, #a " == " #b)
#define assert_in_range(x, low, high) cross_assert((x) >= (low) && (x) <= (high), #x " in " #low " to " #high)

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t n, int (*setup)(void **state),
                            int (*teardown)(void **state));
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                                      \
    _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof(tests)[0], setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) cmocka_run_group_tests_name(#tests, tests, setup, teardown)

#endif
