// The base layer: growing text, arenas, sizes, files, messages, the thread pool, memory.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/size.h"
#include "base/text.h"

// Under a sanitizer, an allocation that cannot be had returns NULL here as it does elsewhere.
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

// ---- text under construction

static void buffer_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct sc_buffer b = { 0 };
    size_t expected = 0;
    for (int i = 0; i < 2000; i++) {
        assert_true(sc_buffer_append(&b, "abc\0d", 5));
        assert_true(sc_buffer_append_char(&b, 'e'));
        assert_true(sc_buffer_append_string(&b, "fg"));
        assert_true(sc_buffer_printf(&b, "%05d", i));
        expected += 13;
        assert_int_equal(b.n_bytes, expected);
        assert_int_equal(b.data[b.n_bytes], '\0');
    }
    assert_memory_equal(b.data + 13 * 1234, "abc\0defg01234", 13);
    assert_true(sc_buffer_append(&b, NULL, 0));
    sc_buffer_clear(&b);
    assert_int_equal(b.n_bytes, 0);
    assert_string_equal(b.data, "");
    assert_true(sc_buffer_append_string(&b, "again"));
    char *taken = sc_buffer_take(&b);
    assert_string_equal(taken, "again");
    free(taken);
    assert_null(b.data);
    taken = sc_buffer_take(&b);
    assert_string_equal(taken, ""); // nothing was appended, which is no failure
    free(taken);
    sc_buffer_free(&b);
}

static void buffer_failure_is_sticky(void **state)
{
    (void)state;
    struct sc_buffer b = { .max_bytes = 10 };
    assert_true(sc_buffer_append_string(&b, "0123456789")); // as much as the bound allows
    assert_true(sc_buffer_append(&b, "", 0));
    assert_false(sc_buffer_append_char(&b, 'x'));
    assert_true(b.failed);
    assert_string_equal(b.data, "0123456789");
    assert_false(sc_buffer_append(&b, "", 0));
    assert_false(sc_buffer_printf(&b, "%d", 1));
    assert_null(sc_buffer_take(&b));
    assert_null(b.data);
    b = (struct sc_buffer){ .max_bytes = 4 };
    assert_false(sc_buffer_printf(&b, "%s", "12345"));
    sc_buffer_clear(&b);
    assert_false(b.failed);
    assert_int_equal(b.max_bytes, 4);
    assert_true(sc_buffer_printf(&b, "%s", "1234"));
    assert_string_equal(b.data, "1234");
    assert_false(sc_buffer_append(&b, "x", SIZE_MAX)); // the size alone must be refused
    assert_string_equal(b.data, "1234");
    sc_buffer_free(&b);
    struct sc_buffer unbounded = { 0 };
    assert_true(sc_buffer_append_char(&unbounded, 'a'));
    assert_false(sc_buffer_append(&unbounded, "x", SIZE_MAX - 1));
    sc_buffer_clear(&unbounded);
    assert_false(sc_buffer_append(&unbounded, "x", SIZE_MAX / 2));
    assert_true(unbounded.failed);
    sc_buffer_free(&unbounded);
}

// ---- arenas

static void arena_gives_zeroed_aligned_separate_memory(void **state)
{
    (void)state;
    struct sc_arena arena = { 0 };
    unsigned char *given[500];
    size_t sizes[500];
    for (size_t i = 0; i < SC_COUNT(given); i++) {
        sizes[i] = i % 50 == 49 ? 100000 : i * 7 % 301;
        given[i] = sc_arena_alloc(&arena, sizes[i]);
        assert_non_null(given[i]);
        assert_int_equal((uintptr_t)given[i] % 16, 0);
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(given[i][j], 0);
        memset(given[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (size_t i = 0; i < SC_COUNT(given); i++)
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(given[i][j], i % 255 + 1);
    assert_ptr_not_equal(sc_arena_alloc(&arena, 0), sc_arena_alloc(&arena, 0));
    char *text = sc_arena_text(&arena, "Socle and more", 5);
    assert_string_equal(text, "Socle");
    assert_string_equal(sc_arena_text(&arena, NULL, 0), "");
    sc_arena_free(&arena);
    assert_int_equal(arena.n_bytes, 0);
    assert_non_null(sc_arena_alloc(&arena, 10)); // fit for use again
    sc_arena_free(&arena);
}

static void arena_refuses_overflow_and_keeps_its_bound(void **state)
{
    (void)state;
    struct sc_arena arena = { .max_bytes = 1024 };
    assert_non_null(sc_arena_alloc(&arena, 1000)); // taken as 1008
    assert_null(sc_arena_alloc(&arena, 17));
    assert_non_null(sc_arena_alloc(&arena, 16));
    assert_int_equal(arena.n_bytes, 1024);
    assert_null(sc_arena_alloc(&arena, 0));
    assert_null(sc_arena_alloc(&arena, SIZE_MAX));
    sc_arena_free(&arena);
    assert_null(sc_arena_alloc(&arena, SIZE_MAX));
    assert_null(sc_arena_alloc(&arena, SIZE_MAX - 20));
    assert_null(sc_arena_alloc(&arena, SIZE_MAX / 2));
    assert_null(sc_arena_array(&arena, SIZE_MAX / 4 + 1, 4));
    assert_null(sc_arena_array(&arena, 2, SIZE_MAX / 2 + 1));
    assert_null(sc_arena_text(&arena, "x", SIZE_MAX));
    assert_non_null(sc_arena_array(&arena, 100, 8));
    sc_arena_free(&arena);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    uint64_t out = 7;
    assert_false(sc_u64_add(UINT64_MAX, 1, &out));
    assert_false(sc_u64_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
    assert_false(sc_u64_align(UINT64_MAX - 5, 16, &out));
    assert_int_equal(out, 7); // left alone
    assert_true(sc_u64_add(UINT64_MAX - 1, 1, &out) && out == UINT64_MAX);
    assert_true(sc_u64_mul(UINT64_C(0xffffffff), UINT64_C(0x100000001), &out) && out == UINT64_MAX);
    assert_true(sc_u64_mul(UINT64_MAX, 0, &out) && out == 0);
    assert_true(sc_u64_align(0, 32, &out) && out == 0);
    assert_true(sc_u64_align(33, 32, &out) && out == 64);
    assert_true(sc_u64_align(64, 32, &out) && out == 64);
    assert_true(sc_u64_align(UINT64_MAX - 15, 16, &out) && out == UINT64_MAX - 15);
    assert_int_equal(sc_align_up(17, 16), 32);
    assert_true(sc_text_is((struct sc_text){ "abc", 2 }, "ab"));
    assert_false(sc_text_is((struct sc_text){ "abc", 3 }, "ab"));
    assert_true(sc_text_equal((struct sc_text){ NULL, 0 }, sc_text_of("")));
}

// ---- messages

static void messages_carry_no_control_characters(void **state)
{
    (void)state;
    socle_error err;
    assert_int_equal(sc_fail(&err, SOCLE_BAD_FILE, "key '%s'", "a\x1b[31m\n\t\x7f\rb"), SOCLE_BAD_FILE);
    assert_string_equal(err.message, "key 'a?[31m????b'");
    assert_int_equal(err.status, SOCLE_BAD_FILE);
    // U+0080 to U+009F are control characters as well (U+009B begins a terminal's escape sequences); letters stay.
    sc_fail(&err, SOCLE_BAD_FILE, "%s",
            "\xc2\x9b"
            "31m \xc2\x80 caf\xc3\xa9 \xd0\x96 \xc2\xa0.");
    assert_string_equal(err.message, "??31m ?? caf\xc3\xa9 \xd0\x96 \xc2\xa0.");
    assert_int_equal(sc_fail_prefix(&err, "%s", "pre\x1b"), SOCLE_BAD_FILE);
    assert_true(strncmp(err.message, "pre?: ??31m", 11) == 0);
    assert_int_equal(sc_fail(NULL, SOCLE_IO, "%s", "nobody listens"), SOCLE_IO);
    sc_fail_memory(&err, 3 << 20, "a test");
    assert_int_equal(err.status, SOCLE_NO_MEMORY);
    assert_non_null(strstr(err.message, "3145728 bytes (3.0 MiB) for a test"));
    for (int i = SOCLE_OK; i <= SOCLE_CANCELLED; i++)
        assert_string_not_equal(socle_status_name((socle_status)i), "unknown status");
    assert_non_null(socle_status_name((socle_status)999));
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    socle_error err;
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    sc_fail(&err, SOCLE_IO, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    sc_fail_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    sc_fail(&err, SOCLE_IO, "the cause");
    sc_fail_prefix(&err, "%s", text);
    assert_non_null(strstr(err.message, ": the cause")); // a long prefix leaves room
    assert_int_equal(err.status, SOCLE_IO);
}

// ---- files

static char folder[256];

static const char *in_folder(const char *name)
{
    static char paths[4][512];
    static size_t next;
    char *path = paths[next++ % SC_COUNT(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    const char *temp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/socle-test-XXXXXX", temp ? temp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static size_t n_entries(bool remove_them)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        n++;
        if (remove_them) remove(in_folder(entry->d_name));
    }
    closedir(dir);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    n_entries(true);
    return rmdir(folder);
}

static void expect(socle_status found, socle_status expected, const socle_error *err, const char *says)
{
    if (found != expected) fail_msg("expected '%s', found '%s'", socle_status_name(expected), socle_status_name(found));
    if (!strstr(err->message, says)) fail_msg("expected a message with '%s', found: %s", says, err->message);
}

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s", err->message);
}

static void files_come_back_as_they_were_written(void **state)
{
    (void)state;
    socle_error err;
    size_t sizes[] = { 0, 1, 65535, 65536, 65537, 300000 };
    for (size_t i = 0; i < SC_COUNT(sizes); i++) {
        char *bytes = malloc(sizes[i] + 1), *back;
        size_t n;
        for (size_t j = 0; j < sizes[i]; j++) bytes[j] = (char)(j * 31 >> 3);
        must(sc_write_file(in_folder("whole"), bytes, sizes[i], &err), &err);
        must(sc_read_file(in_folder("whole"), sizes[i], &back, &n, &err), &err); // the bound is exact
        assert_int_equal(n, sizes[i]);
        assert_memory_equal(back, bytes, n);
        assert_int_equal(back[n], '\0');
        free(back);
        if (sizes[i]) {
            expect(sc_read_file(in_folder("whole"), sizes[i] - 1, &back, &n, &err), SOCLE_BAD_FILE, &err,
                   "longer than");
            struct sc_mapping map = { 0 };
            must(sc_map_file(in_folder("whole"), &map, &err), &err);
            assert_int_equal(map.n_bytes, sizes[i]);
            assert_memory_equal(map.data, bytes, sizes[i]);
            sc_unmap(&map);
            assert_null(map.data);
            sc_unmap(&map);
        }
        free(bytes);
    }
    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(in_folder("whole"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask); // as any program would create it
    assert_int_equal(n_entries(true), 1);
}

static void what_is_no_file_is_refused_with_its_name(void **state)
{
    (void)state;
    socle_error err;
    struct sc_mapping map;
    char *data;
    size_t n;
    expect(sc_map_file(in_folder("missing"), &map, &err), SOCLE_IO, &err, "missing: cannot open: No such file");
    expect(sc_read_file(in_folder("missing"), 10, &data, &n, &err), SOCLE_IO, &err,
           "missing: cannot open: No such file");
    expect(sc_map_file(folder, &map, &err), SOCLE_IO, &err, "is a directory");
    expect(sc_read_file(folder, 10, &data, &n, &err), SOCLE_IO, &err, "directory");
    expect(sc_map_file("/dev/null", &map, &err), SOCLE_IO, &err, "/dev/null: is a device");
    expect(sc_read_file("/dev/zero", 1 << 20, &data, &n, &err), SOCLE_BAD_FILE, &err, "/dev/zero: is longer than");
    must(sc_write_file(in_folder("empty"), "", 0, &err), &err);
    expect(sc_map_file(in_folder("empty"), &map, &err), SOCLE_BAD_FILE, &err, "is empty");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    expect(sc_map_file(in_folder("pipe"), &map, &err), SOCLE_IO, &err, "is a device or pipe"); // and does not wait
    expect(sc_write_file(folder, "x", 1, &err), SOCLE_IO, &err, "write");
    expect(sc_write_file(in_folder("no/where"), "x", 1, &err), SOCLE_IO, &err, "cannot create");
    assert_int_equal(n_entries(true), 2);
}

static void text_comes_through_pipes(void **state)
{
    (void)state;
    socle_error err;
    int ends[2];
    char *data, path[64];
    size_t n;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "from a pipe", 11), 11);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    must(sc_read_file(path, 100, &data, &n, &err), &err);
    assert_string_equal(data, "from a pipe");
    free(data);
    close(ends[0]);
}

// A write that is cut short (here by the limit on the size of files) leaves the old content and nothing else.
static void failed_writing_leaves_what_was_there(void **state)
{
    (void)state;
    socle_error err;
    char *back, *much = calloc(1, 200000);
    size_t n;
    struct rlimit before, low;
    assert_non_null(much);
    must(sc_write_file(in_folder("kept"), "old content", 11, &err), &err);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    socle_status over = sc_write_file(in_folder("kept"), much, 200000, &err);
    socle_status fresh = sc_write_file(in_folder("fresh"), much, 200000, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    expect(over, SOCLE_IO, &err, "kept: cannot write: File too large");
    assert_int_equal(fresh, SOCLE_IO);
    must(sc_read_file(in_folder("kept"), 100, &back, &n, &err), &err);
    assert_string_equal(back, "old content");
    free(back);
    must(sc_write_file(in_folder("kept"), "new", 3, &err), &err);
    must(sc_read_file(in_folder("kept"), 100, &back, &n, &err), &err);
    assert_string_equal(back, "new");
    free(back);
    free(much);
    assert_int_equal(n_entries(true), 1);
}

// Renaming over /dev/null or a pipe would put a plain file in its place.
static void writing_never_replaces_a_device_or_pipe(void **state)
{
    (void)state;
    socle_error err;
    struct stat info;
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    socle_status status = sc_write_file(in_folder("pipe"), "x", 1, &err);
    assert_int_equal(stat(in_folder("pipe"), &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    expect(status, SOCLE_IO, &err, "pipe: is a device or pipe");
    assert_int_equal(n_entries(true), 1);
}

// ---- the pool

enum { TASKS_MAX = 5000 };

struct job {
    atomic_int runs[TASKS_MAX];
    atomic_uint threads; // bit of each thread that ran a task
    size_t n_threads;
    bool slow;
};

static void count_run(void *context, size_t task, size_t thread)
{
    struct job *job = context;
    atomic_fetch_add(&job->runs[task], 1);
    atomic_fetch_or(&job->threads, 1u << thread);
    if (thread >= job->n_threads) abort(); // a failed assertion must not leave another thread's stack
    if (job->slow) nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

static void check_job(struct sc_pool *pool, struct job *job, size_t n_tasks)
{
    memset(job->runs, 0, sizeof job->runs);
    atomic_store(&job->threads, 0);
    job->n_threads = sc_pool_n_threads(pool);
    sc_pool_run(pool, n_tasks, count_run, job);
    for (size_t i = 0; i < TASKS_MAX; i++)
        if (job->runs[i] != (i < n_tasks)) fail_msg("task %zu of %zu ran %d times", i, n_tasks, job->runs[i]);
}

static void every_task_runs_exactly_once(void **state)
{
    (void)state;
    static const size_t threads[] = { 1, 2, 3, 8 }, counts[] = { 0, 1, 2, 3, 7, 8, 9, 63, 64, 1000, TASKS_MAX };
    static struct job job;
    for (size_t t = 0; t < SC_COUNT(threads); t++) {
        struct sc_pool *pool = NULL;
        socle_error err;
        must(sc_pool_create(threads[t], &pool, &err), &err);
        assert_int_equal(sc_pool_n_threads(pool), threads[t]);
        for (size_t c = 0; c < SC_COUNT(counts); c++) check_job(pool, &job, counts[c]);
        for (size_t i = 0; i < 300; i++) check_job(pool, &job, i % 20); // one right after another
        sc_pool_free(pool);
    }
}

// Workers that fell asleep are woken, and sooner or later each of them gets a task.
static void sleeping_workers_wake(void **state)
{
    (void)state;
    static struct job job;
    struct sc_pool *pool = NULL;
    socle_error err;
    must(sc_pool_create(4, &pool, &err), &err);
    job.slow = true;
    unsigned seen = 0;
    for (int i = 0; i < 3 || (seen != 15 && i < 100); i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        check_job(pool, &job, 40);
        seen |= job.threads;
    }
    assert_int_equal(seen, 15);
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    sc_pool_free(pool); // asleep
    must(sc_pool_create(4, &pool, &err), &err);
    sc_pool_free(pool); // before they ever ran
    sc_pool_free(NULL);
}

static void pool_refuses_senseless_counts(void **state)
{
    (void)state;
    struct sc_pool *pool = NULL;
    socle_error err;
    expect(sc_pool_create(0, &pool, &err), SOCLE_BAD_ARGUMENT, &err, "1 to 256 threads, found 0");
    expect(sc_pool_create(257, &pool, &err), SOCLE_BAD_ARGUMENT, &err, "257");
    assert_null(pool);
    assert_in_range(sc_processor_count(), 1, SC_THREADS_MAX);
}

// ---- memory

static void memory_is_counted_and_taken(void **state)
{
    (void)state;
    assert_true(sc_memory_available() > 0);
    assert_true(sc_memory_total() > 0);
    assert_true(sc_memory_peak() > 0);
    unsigned char *memory = sc_memory_take(1 << 20);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (size_t i = 0; i < 1 << 20; i += 1000) assert_int_equal(memory[i], 0);
    memory[(1 << 20) - 1] = 1;
    sc_memory_release(memory, 1 << 20);
    assert_null(sc_memory_take(SIZE_MAX / 2));
    memory = sc_memory_take(0);
    assert_non_null(memory);
    sc_memory_release(memory, 0);
    sc_memory_release(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows_and_stays_terminated),
        cmocka_unit_test(buffer_failure_is_sticky),
        cmocka_unit_test(arena_gives_zeroed_aligned_separate_memory),
        cmocka_unit_test(arena_refuses_overflow_and_keeps_its_bound),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(messages_carry_no_control_characters),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test_setup_teardown(files_come_back_as_they_were_written, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused_with_its_name, make_folder, remove_folder),
        cmocka_unit_test(text_comes_through_pipes),
        cmocka_unit_test_setup_teardown(failed_writing_leaves_what_was_there, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(writing_never_replaces_a_device_or_pipe, make_folder, remove_folder),
        cmocka_unit_test(every_task_runs_exactly_once),
        cmocka_unit_test(sleeping_workers_wake),
        cmocka_unit_test(pool_refuses_senseless_counts),
        cmocka_unit_test(memory_is_counted_and_taken),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
