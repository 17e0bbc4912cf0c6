#include <cmocka.h>

enum end { RUNNING, FAILED, SKIPPED };

jmp_buf cross_end_of_test;

void cross_fail(const char *file, int line, const char *what)
{
    printf("%s\n%s:%d: error: Failure!\n", what, file, line);
    longjmp(cross_end_of_test, FAILED);
}

void skip(void) { longjmp(cross_end_of_test, SKIPPED); }

// No test that is built here has a setup or a teardown.
int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t n, int (*setup)(void **state),
                            int (*teardown)(void **state))
{
    static const char *const words[] = { "       OK ", "  FAILED  ", "  SKIPPED " };
    volatile size_t counts[3] = { 0 };
    (void)group, (void)setup, (void)teardown;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (volatile size_t i = 0; i < n; i++) {
        void *state = tests[i].initial_state;
        volatile int end = setjmp(cross_end_of_test);
        if (end == RUNNING) tests[i].test_func(&state);
        printf("[%s] %s\n", words[end], tests[i].name);
        counts[end]++;
    }
    printf("[  PASSED  ] %zu test(s).\n", counts[RUNNING]);
    if (counts[SKIPPED]) printf("[  SKIPPED ] %zu test(s), listed above:\n", counts[SKIPPED]);
    if (counts[FAILED]) printf("[  FAILED  ] %zu test(s), listed below:\n", counts[FAILED]);
    return (int)counts[FAILED];
}
