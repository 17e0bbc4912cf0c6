// GGUF: what the writer writes the reader reads, typed reads, what is not a file, shards, reference files. Malformed
// contents are in test_gguf_malformed.c.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/size.h"
#include "formats/gguf_writer.h"
#include "folder.h"
#include "gguf_walk.h"

static volatile uint64_t sink;

#define BIG UINT64_C(0x8000000000000000) // 2^63

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static void must_fail(socle_status status, socle_status expected, const socle_error *err, const char *says)
{
    assert_int_equal(status, expected);
    assert_int_equal(err->status, expected);
    if (!strstr(err->message, says)) fail_msg("expected a message with '%s', found: %s", says, err->message);
}

// ---- typed reads

static void test_typed_reads(void **state)
{
    (void)state;
    struct sc_gguf_writer *writer;
    struct sc_gguf *gguf;
    struct sc_buffer bytes = { 0 };
    socle_error err;
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_gguf_writer_set_u32(writer, "u", 7, &err), &err);
    must(sc_gguf_writer_set_f32(writer, "f", 0.5f, &err), &err);
    must(sc_gguf_writer_set_f32(writer, "inf", 1e38f * 10.0f, &err), &err);
    must(sc_gguf_writer_set_bool(writer, "b", true, &err), &err);
    must(sc_gguf_writer_set_text(writer, "t", sc_text_of("x"), &err), &err);
    must(sc_gguf_writer_set_i32s(writer, "i", (const int32_t[]){ -1, 2 }, 2, &err), &err);
    must(sc_gguf_writer_write_buffer(writer, &bytes, &err), &err);
    must(sc_gguf_open_memory("typed.gguf", bytes.data, bytes.n_bytes, &gguf, &err), &err);
    uint32_t u = 1;
    float f = 1;
    bool b = false;
    struct sc_text t = sc_text_of("default");
    const struct sc_gguf_value *array;
    must(sc_gguf_get_u32(gguf, "u", &u, &err), &err);
    must(sc_gguf_get_f32(gguf, "f", &f, &err), &err);
    must(sc_gguf_get_bool(gguf, "b", &b, &err), &err);
    must(sc_gguf_get_text(gguf, "t", &t, &err), &err);
    must(sc_gguf_get_array(gguf, "i", SC_GGUF_I32, 2, &array, &err), &err);
    assert_true(u == 7 && f == 0.5f && b && sc_text_is(t, "x"));
    assert_true(sc_gguf_int_at(array, 0) == -1 && sc_gguf_int_at(array, 1) == 2);
    must(sc_gguf_get_u32(gguf, "b", &u, &err), &err); // a bool as a number, and the other way round
    must(sc_gguf_get_bool(gguf, "u", &b, &err), &err);
    must(sc_gguf_get_f32(gguf, "u", &f, &err), &err);
    assert_true(u == 1 && b && f == 7.0f);
    must(sc_gguf_get_u32(gguf, "absent", &u, &err), &err);
    must(sc_gguf_get_array(gguf, "absent", SC_GGUF_I32, 0, &array, &err), &err);
    assert_true(u == 1 && !array);
    must_fail(sc_gguf_get_u32(gguf, "f", &u, &err), SOCLE_BAD_FILE, &err, "typed.gguf: key 'f'");
    must_fail(sc_gguf_get_u32(gguf, "i", &u, &err), SOCLE_BAD_FILE, &err, "an array of i32");
    must_fail(sc_gguf_get_f32(gguf, "inf", &f, &err), SOCLE_BAD_FILE, &err, "finite");
    must_fail(sc_gguf_get_f32(gguf, "t", &f, &err), SOCLE_BAD_FILE, &err, "found string");
    must_fail(sc_gguf_get_bool(gguf, "t", &b, &err), SOCLE_BAD_FILE, &err, "'t'");
    must_fail(sc_gguf_get_text(gguf, "u", &t, &err), SOCLE_BAD_FILE, &err, "found u32");
    must_fail(sc_gguf_get_array(gguf, "i", SC_GGUF_F32, 0, &array, &err), SOCLE_BAD_FILE, &err, "an array of f32");
    must_fail(sc_gguf_get_array(gguf, "i", SC_GGUF_I32, 3, &array, &err), SOCLE_BAD_FILE, &err, "an array of 3");
    must_fail(sc_gguf_require(gguf, "absent", &err), SOCLE_BAD_FILE, &err, "key 'absent' is missing");
    sc_gguf_close(gguf);
    sc_buffer_free(&bytes);
    sc_gguf_writer_free(writer);
}

// ---- the writer

static bool same_value(const struct sc_gguf_value *a, const struct sc_gguf_value *b, uint32_t element_bytes)
{
    if (!sc_text_equal(a->key, b->key) || a->type != b->type || a->is_array != b->is_array || a->n != b->n)
        return false;
    if (a->type != SC_GGUF_STRING) return a->n == 0 || memcmp(a->raw, b->raw, a->n * element_bytes) == 0;
    if (!a->is_array) return sc_text_equal(a->string, b->string);
    for (uint64_t i = 0; i < a->n; i++)
        if (!sc_text_equal(a->strings[i], b->strings[i])) return false;
    return true;
}

static void assert_same_contents(const struct sc_gguf *a, const struct sc_gguf *b)
{
    static const uint32_t element_bytes[SC_GGUF_TYPE_COUNT] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    assert_int_equal(sc_gguf_n_values(a), sc_gguf_n_values(b));
    assert_int_equal(sc_gguf_n_tensors(a), sc_gguf_n_tensors(b));
    for (uint64_t i = 0; i < sc_gguf_n_values(a); i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(a, i);
        assert_true(same_value(value, sc_gguf_value_at(b, i), element_bytes[value->type]));
    }
    for (uint64_t i = 0; i < sc_gguf_n_tensors(a); i++) {
        const struct sc_tensor *x = sc_gguf_tensor_at(a, i), *y = sc_gguf_tensor_at(b, i);
        assert_true(sc_text_equal(x->name, y->name));
        assert_ptr_equal(x->format, y->format);
        assert_int_equal(x->n_dims, y->n_dims);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        assert_int_equal(x->n_bytes, y->n_bytes);
        assert_memory_equal(x->data, y->data, (size_t)x->n_bytes);
    }
}

static socle_status copy_row(void *user, uint64_t row, void *out, socle_error *err)
{
    (void)err;
    const struct sc_tensor *tensor = user;
    memcpy(out, (const char *)tensor->data + row * tensor->row_stride, (size_t)tensor->row_stride);
    return SOCLE_OK;
}

// A writer with all that a reader has; tensors row by row where `by_rows`.
static struct sc_gguf_writer *copy_all(const struct sc_gguf *gguf, bool by_rows)
{
    struct sc_gguf_writer *writer;
    socle_error err;
    must(sc_gguf_writer_create(&writer, &err), &err);
    for (uint64_t i = 0; i < sc_gguf_n_values(gguf); i++)
        must(sc_gguf_writer_copy_value(writer, sc_gguf_value_at(gguf, i), &err), &err);
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        const struct sc_tensor *t = sc_gguf_tensor_at(gguf, i);
        char name[64];
        snprintf(name, sizeof name, "%.*s", SC_TEXT_ARGS(t->name));
        if (by_rows)
            must(sc_gguf_writer_add_tensor_rows(writer, name, t->format, t->n_dims, t->shape, copy_row,
                                                (void *)(uintptr_t)t, &err),
                 &err);
        else must(sc_gguf_writer_add_tensor(writer, name, t->format, t->n_dims, t->shape, t->data, &err), &err);
    }
    return writer;
}

// Writes a copy, reads it again, compares, and hands its bytes to the caller.
static struct sc_buffer rewrite(const struct sc_gguf *gguf, bool by_rows)
{
    struct sc_gguf_writer *writer = copy_all(gguf, by_rows);
    struct sc_buffer bytes = { 0 };
    struct sc_gguf *again;
    socle_error err;
    must(sc_gguf_writer_write_buffer(writer, &bytes, &err), &err);
    must(sc_gguf_open_memory("again.gguf", bytes.data, bytes.n_bytes, &again, &err), &err);
    assert_same_contents(gguf, again);
    sc_gguf_close(again);
    sc_gguf_writer_free(writer);
    return bytes;
}

static void add_everything(struct sc_gguf_writer *writer, const uint8_t *data)
{
    socle_error err;
    const int32_t i32s[] = { INT32_MIN, -1, 0, 1, INT32_MAX };
    const float f32s[] = { -0.0f, 1.5f, 3e38f };
    const struct sc_text texts[] = { { "", 0 }, { "one", 3 }, { "nul\0inside", 10 }, { "\xff", 1 } };
    must(sc_gguf_writer_set_text(writer, "general.architecture", sc_text_of("llama"), &err), &err);
    must(sc_gguf_writer_set_u32(writer, "general.alignment", 64, &err), &err);
    must(sc_gguf_writer_set_u32(writer, "x.u32", UINT32_MAX, &err), &err);
    must(sc_gguf_writer_set_f32(writer, "x.f32", -2.5f, &err), &err);
    must(sc_gguf_writer_set_bool(writer, "x.true", true, &err), &err);
    must(sc_gguf_writer_set_bool(writer, "x.false", false, &err), &err);
    must(sc_gguf_writer_set_text(writer, "x.empty", (struct sc_text){ NULL, 0 }, &err), &err);
    must(sc_gguf_writer_set_i32s(writer, "x.i32s", i32s, SC_COUNT(i32s), &err), &err);
    must(sc_gguf_writer_set_f32s(writer, "x.f32s", f32s, SC_COUNT(f32s), &err), &err);
    must(sc_gguf_writer_set_texts(writer, "x.texts", texts, SC_COUNT(texts), &err), &err);
    must(sc_gguf_writer_set_i32s(writer, "x.none", NULL, 0, &err), &err);
    for (size_t f = 0; sc_format_at(f); f++) {
        const struct sc_format *format = sc_format_at(f);
        uint64_t shape[SC_DIMS_MAX] = { 3u * format->block_size, 5, 2, 1 };
        must(sc_gguf_writer_add_tensor(writer, format->name, format, 1 + f % 4, shape, data + f, &err), &err);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    static uint8_t data[40000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    struct sc_gguf_writer *writer;
    struct sc_buffer bytes = { 0 };
    struct sc_gguf *gguf;
    socle_error err;
    must(sc_gguf_writer_create(&writer, &err), &err);
    add_everything(writer, data);
    must(sc_gguf_writer_write_buffer(writer, &bytes, &err), &err);
    must(sc_gguf_open_memory("round.gguf", bytes.data, bytes.n_bytes, &gguf, &err), &err);
    assert_int_equal(sc_gguf_version(gguf), 3);
    assert_int_equal(sc_gguf_n_values(gguf), 11);
    assert_int_equal(bytes.n_bytes % 64, 0);
    const struct sc_gguf_value *texts, *i32s;
    must(sc_gguf_get_array(gguf, "x.texts", SC_GGUF_STRING, 4, &texts, &err), &err);
    assert_true(texts->strings[2].n_bytes == 10 && memcmp(texts->strings[2].data, "nul\0inside", 10) == 0);
    must(sc_gguf_get_array(gguf, "x.i32s", SC_GGUF_I32, 5, &i32s, &err), &err);
    assert_int_equal(sc_gguf_int_at(i32s, 0), INT32_MIN);
    for (size_t f = 0; sc_format_at(f); f++) {
        const struct sc_tensor *tensor = sc_gguf_find_tensor(gguf, sc_format_at(f)->name);
        assert_non_null(tensor);
        assert_ptr_equal(tensor->format, sc_format_at(f));
        assert_int_equal(sc_gguf_tensor_offset(gguf, f) % 64, 0);
        assert_memory_equal(tensor->data, data + f, (size_t)tensor->n_bytes);
    }
    // Copying gives the same bytes, whole tensors or rows.
    for (int by_rows = 0; by_rows < 2; by_rows++) {
        struct sc_buffer again = rewrite(gguf, by_rows);
        assert_int_equal(again.n_bytes, bytes.n_bytes);
        assert_memory_equal(again.data, bytes.data, bytes.n_bytes);
        sc_buffer_free(&again);
    }
    sc_gguf_close(gguf);
    sc_buffer_free(&bytes);
    sc_gguf_writer_free(writer);
}

static void test_writer_refuses(void **state)
{
    (void)state;
    struct sc_gguf_writer *w;
    socle_error err;
    const struct sc_format *f32 = sc_format_find_name("F32"), *q4_k = sc_format_find_name("Q4_K");
    const uint64_t shape[] = { 256, 2, 0, BIG / 512 };
    const socle_status bad = SOCLE_BAD_ARGUMENT;
    char long_name[65];
    memset(long_name, 'n', 64);
    long_name[64] = '\0';
    must(sc_gguf_writer_create(&w, &err), &err);
    must(sc_gguf_writer_set_u32(w, "key", 1, &err), &err);
    must(sc_gguf_writer_add_tensor(w, "t", f32, 2, shape, "", &err), &err);
    must_fail(sc_gguf_writer_set_u32(w, "key", 1, &err), bad, &err, "key 'key'");
    must_fail(sc_gguf_writer_set_text(w, "key", sc_text_of("x"), &err), bad, &err, "key 'key'");
    must_fail(sc_gguf_writer_set_u32(w, "", 1, &err), bad, &err, "key");
    must_fail(sc_gguf_writer_set_u32(w, "caf\xc3\xa9", 1, &err), bad, &err, "0xc3");
    must_fail(sc_gguf_writer_set_u32(w, "general.alignment", 48, &err), bad, &err, "general.alignment");
    must_fail(sc_gguf_writer_set_u32(w, "general.alignment", 0, &err), bad, &err, "general.alignment");
    must_fail(sc_gguf_writer_set_f32(w, "general.alignment", 32, &err), bad, &err, "general.alignment");
    must_fail(sc_gguf_writer_set_text(w, "general.alignment", sc_text_of("32"), &err), bad, &err, "general.alignment");
    must_fail(sc_gguf_writer_set_i32s(w, "general.alignment", NULL, 0, &err), bad, &err, "general.alignment");
    must_fail(sc_gguf_writer_add_tensor(w, "t", f32, 1, shape, "", &err), bad, &err, "tensor 't'");
    must_fail(sc_gguf_writer_add_tensor(w, "", f32, 1, shape, "", &err), bad, &err, "tensor");
    must_fail(sc_gguf_writer_add_tensor(w, long_name, f32, 1, shape, "", &err), bad, &err, "64 bytes");
    must_fail(sc_gguf_writer_add_tensor(w, "a\nb", f32, 1, shape, "", &err), bad, &err, "0x0a");
    must_fail(sc_gguf_writer_add_tensor(w, "u", f32, 0, shape, "", &err), bad, &err, "dimensions");
    must_fail(sc_gguf_writer_add_tensor(w, "u", f32, 5, shape, "", &err), bad, &err, "dimensions");
    must_fail(sc_gguf_writer_add_tensor(w, "u", f32, 3, shape, "", &err), bad, &err, "dimension 2 is 0");
    must_fail(sc_gguf_writer_add_tensor(w, "u", q4_k, 1, shape + 1, "", &err), bad, &err, "block size");
    const uint64_t huge[] = { BIG / 2, 2 }, overflow[] = { BIG, 2 };
    must_fail(sc_gguf_writer_add_tensor(w, "u", f32, 2, huge, "", &err), bad, &err, "overflows");
    must_fail(sc_gguf_writer_add_tensor(w, "u", f32, 2, overflow, "", &err), bad, &err, "overflows");
    // Two tensors that fit, but not into one file.
    struct sc_buffer bytes = { 0 };
    must(sc_gguf_writer_add_tensor(w, "v1", f32, 1, (const uint64_t[]){ BIG / 8 }, "", &err), &err);
    must(sc_gguf_writer_add_tensor(w, "v2", f32, 1, (const uint64_t[]){ BIG / 8 }, "", &err), &err);
    must_fail(sc_gguf_writer_write_buffer(w, &bytes, &err), bad, &err, "larger than 2^63");
    sc_buffer_free(&bytes);
    sc_gguf_writer_free(w);
}

static socle_status fail_at_row_3(void *user, uint64_t row, void *out, socle_error *err)
{
    (void)user;
    memset(out, 0, 256 * sizeof(float));
    if (row == 3) return sc_fail(err, SOCLE_CANCELLED, "stopped at row 3");
    return SOCLE_OK;
}

// ---- files: every test below has a folder of its own

static void write_bytes(const char *path, const void *bytes, size_t n_bytes)
{
    socle_error err;
    must(sc_write_file(path, bytes, n_bytes, &err), &err);
}

static void test_write_to_file(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_gguf_writer *writer;
    struct sc_gguf *gguf;
    struct sc_mapping mapping;
    struct sc_buffer bytes = { 0 };
    socle_error err;
    uint64_t shape[] = { 256, 8 };
    float zeros[256 * 8] = { 0 };
    const struct sc_format *f32 = sc_format_find_name("F32");
    const char *path = inside(&folder, "model.gguf");
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_gguf_writer_add_tensor(writer, "zeros", f32, 2, shape, zeros, &err), &err);
    must(sc_gguf_writer_write(writer, path, &err), &err);
    must(sc_gguf_writer_write(writer, path, &err), &err); // over the first
    must(sc_gguf_writer_write_buffer(writer, &bytes, &err), &err);
    must(sc_map_file(path, &mapping, &err), &err);
    assert_int_equal(mapping.n_bytes, bytes.n_bytes);
    assert_memory_equal(mapping.data, bytes.data, bytes.n_bytes);
    sc_unmap(&mapping);
    assert_int_equal(count_files(&folder), 1);
    must(sc_gguf_open(path, &gguf, &err), &err);
    assert_int_equal(sc_gguf_n_tensors(gguf), 1);
    sc_gguf_close(gguf);
    // A row that cannot be made: no new file, the old one untouched.
    must(sc_gguf_writer_add_tensor_rows(writer, "rows", f32, 2, shape, fail_at_row_3, NULL, &err), &err);
    must_fail(sc_gguf_writer_write(writer, path, &err), SOCLE_CANCELLED, &err, "stopped at row 3");
    assert_int_equal(count_files(&folder), 1);
    must(sc_gguf_open(path, &gguf, &err), &err);
    assert_int_equal(sc_gguf_n_tensors(gguf), 1);
    sc_gguf_close(gguf);
    sc_buffer_free(&bytes);
    sc_gguf_writer_free(writer);
    remove_folder(&folder);
}

static void test_write_fails(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_gguf_writer *writer;
    socle_error err;
    uint64_t shape[] = { 1000, 100 };
    float *zeros = calloc(1000 * 100, sizeof *zeros);
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_gguf_writer_add_tensor(writer, "t", sc_format_find_name("F32"), 2, shape, zeros, &err), &err);
    must_fail(sc_gguf_writer_write(writer, inside(&folder, "no/such/model.gguf"), &err), SOCLE_IO, &err,
              "no/such/model.gguf: cannot create: No such file");
    must_fail(sc_gguf_writer_write(writer, folder.path, &err), SOCLE_IO, &err, "is a directory");
    must_fail(sc_gguf_writer_write(writer, "/dev/null", &err), SOCLE_IO, &err, "/dev/null: is a device");
    // The closest to a full disk that needs no disk: a bound on the size of files.
    struct rlimit old, bound;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    bound = (struct rlimit){ 100000, old.rlim_max };
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &bound), 0);
    socle_status status = sc_gguf_writer_write(writer, inside(&folder, "model.gguf"), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    must_fail(status, SOCLE_IO, &err, "model.gguf: cannot write: File too large");
    assert_int_equal(count_files(&folder), 0);
    free(zeros);
    sc_gguf_writer_free(writer);
    remove_folder(&folder);
}

static void test_not_files(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_gguf *gguf = NULL;
    socle_error err;
    write_bytes(inside(&folder, "empty.gguf"), "", 0);
    assert_int_equal(mkfifo(inside(&folder, "pipe.gguf"), 0600), 0);
    must_fail(sc_gguf_open(folder.path, &gguf, &err), SOCLE_IO, &err, "is a directory");
    must_fail(sc_gguf_open("/dev/null", &gguf, &err), SOCLE_IO, &err, "/dev/null: is a device");
    must_fail(sc_gguf_open(inside(&folder, "pipe.gguf"), &gguf, &err), SOCLE_IO, &err,
              "pipe.gguf: is a device or pipe");
    must_fail(sc_gguf_open(inside(&folder, "empty.gguf"), &gguf, &err), SOCLE_BAD_FILE, &err, "empty.gguf: is empty");
    must_fail(sc_gguf_open(inside(&folder, "none.gguf"), &gguf, &err), SOCLE_IO, &err,
              "none.gguf: cannot open: No such");
    must_fail(sc_gguf_open("", &gguf, &err), SOCLE_IO, &err, "No such");
    must_fail(sc_gguf_open_memory("m", "", 0, &gguf, &err), SOCLE_BAD_FILE, &err, "m: truncated at offset 0");
    assert_null(gguf);
    remove_folder(&folder);
}

static void test_no_permission(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        printf("skipped: the superuser may read everything\n");
        skip();
    }
    struct folder folder = make_folder();
    struct sc_gguf *gguf = NULL;
    socle_error err;
    write_bytes(inside(&folder, "secret.gguf"), "GGUF", 4);
    assert_int_equal(chmod(inside(&folder, "secret.gguf"), 0), 0);
    must_fail(sc_gguf_open(inside(&folder, "secret.gguf"), &gguf, &err), SOCLE_IO, &err, "Permission denied");
    remove_folder(&folder);
}

// ---- shards

enum { N_SHARDS = 3, ABSENT = -1 };

// What shard s says of itself and of the whole; ABSENT leaves the key out.
struct shard {
    int32_t number, count, n_tensors;
    const char *tensor;
};

static void write_shards(const struct folder *folder, const struct shard *shards)
{
    socle_error err;
    const uint64_t shape[] = { 4 };
    const float data[] = { 1, 2, 3, 4 };
    for (uint32_t s = 0; s < N_SHARDS; s++) {
        struct sc_gguf_writer *w;
        char name[64];
        snprintf(name, sizeof name, "m-%05u-of-%05u.gguf", s + 1, N_SHARDS);
        must(sc_gguf_writer_create(&w, &err), &err);
        if (s == 0) must(sc_gguf_writer_set_text(w, "general.architecture", sc_text_of("llama"), &err), &err);
        if (shards[s].number != ABSENT)
            must(sc_gguf_writer_set_u32(w, "split.no", (uint32_t)shards[s].number, &err), &err);
        if (shards[s].count != ABSENT)
            must(sc_gguf_writer_set_u32(w, "split.count", (uint32_t)shards[s].count, &err), &err);
        if (shards[s].n_tensors != ABSENT)
            must(sc_gguf_writer_set_u32(w, "split.tensors.count", (uint32_t)shards[s].n_tensors, &err), &err);
        must(sc_gguf_writer_add_tensor(w, shards[s].tensor, sc_format_find(0), 1, shape, data, &err), &err);
        must(sc_gguf_writer_write(w, inside(folder, name), &err), &err);
        sc_gguf_writer_free(w);
    }
}

#define FIRST "m-00001-of-00003.gguf"
#define SECOND "m-00002-of-00003.gguf"
#define THIRD "m-00003-of-00003.gguf"

static const struct shard good_shards[N_SHARDS] = { { 0, 3, 3, "a" }, { 1, 3, 3, "b" }, { 2, 3, 3, "c" } };

static void test_shards(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_gguf *gguf = NULL;
    socle_error err;
    write_shards(&folder, good_shards);
    must(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), &err);
    assert_int_equal(sc_gguf_n_shards(gguf), 3);
    assert_int_equal(sc_gguf_n_tensors(gguf), 3);
    for (const char *name = "abc"; *name; name++) {
        const struct sc_tensor *tensor = sc_gguf_find_tensor(gguf, (const char[]){ *name, '\0' });
        assert_non_null(tensor);
        sink += walk_tensor(tensor);
    }
    sink += walk_gguf(gguf);
    sc_gguf_close(gguf);
    gguf = NULL;
    must_fail(sc_gguf_open(inside(&folder, SECOND), &gguf, &err), SOCLE_BAD_FILE, &err, "shard 2 of 3");
    struct sc_mapping first;
    must(sc_map_file(inside(&folder, FIRST), &first, &err), &err);
    must_fail(sc_gguf_open_memory("m.gguf", first.data, first.n_bytes, &gguf, &err), SOCLE_UNSUPPORTED, &err,
              "3 shards");
    sc_unmap(&first);
    // Cut, then missing; under another name; two that changed places.
    assert_int_equal(truncate(inside(&folder, THIRD), 100), 0);
    must_fail(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), SOCLE_BAD_FILE, &err, THIRD);
    assert_int_equal(unlink(inside(&folder, THIRD)), 0);
    must_fail(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), SOCLE_IO, &err, THIRD ": cannot open");
    assert_int_equal(rename(inside(&folder, SECOND), inside(&folder, THIRD)), 0);
    must_fail(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), SOCLE_IO, &err, SECOND ": cannot open");
    assert_int_equal(rename(inside(&folder, FIRST), inside(&folder, "m.gguf")), 0);
    must_fail(sc_gguf_open(inside(&folder, "m.gguf"), &gguf, &err), SOCLE_BAD_FILE, &err, "-00001-of-00003.gguf");
    write_shards(&folder, good_shards);
    assert_int_equal(rename(inside(&folder, SECOND), inside(&folder, "x")), 0);
    assert_int_equal(rename(inside(&folder, THIRD), inside(&folder, SECOND)), 0);
    assert_int_equal(rename(inside(&folder, "x"), inside(&folder, THIRD)), 0);
    must_fail(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), SOCLE_BAD_FILE, &err, SECOND ": key 'split.no'");
    assert_null(gguf);
    remove_folder(&folder);
}

static void test_contradictory_shards(void **state)
{
    (void)state;
    static const struct {
        struct shard shards[N_SHARDS];
        const char *says;
    } cases[] = {
        { { { 0, 3, 4, "a" }, { 1, 3, 4, "b" }, { 2, 3, 4, "c" } }, FIRST ": key 'split.tensors.count': expected 4" },
        { { { 0, 3, 3, "a" }, { 1, 3, 4, "b" }, { 2, 3, 3, "c" } }, SECOND ": key 'split.tensors.count'" },
        { { { 0, 3, 3, "a" }, { 1, 2, 3, "b" }, { 2, 3, 3, "c" } }, SECOND ": key 'split.count': expected 3, found 2" },
        { { { 0, 3, 3, "a" }, { 2, 3, 3, "b" }, { 1, 3, 3, "c" } }, SECOND ": key 'split.no': expected 1, found 2" },
        { { { 0, 3, 3, "a" }, { 1, 3, 3, "b" }, { 1, 3, 3, "c" } }, THIRD ": key 'split.no': expected 2, found 1" },
        { { { 0, 3, 3, "a" }, { ABSENT, 3, 3, "b" }, { 2, 3, 3, "c" } }, SECOND ": key 'split.no' is missing" },
        { { { 3, 3, 3, "a" }, { 1, 3, 3, "b" }, { 2, 3, 3, "c" } }, FIRST ": key 'split.no': 3" },
        { { { 0, 2, 2, "a" }, { 1, 2, 2, "b" }, { 2, 2, 2, "c" } }, "-00001-of-00002.gguf" },
        { { { 0, 100000, 3, "a" }, { 1, 3, 3, "b" }, { 2, 3, 3, "c" } }, "100000 shards" },
        { { { 0, 3, 3, "a" }, { 1, 3, 3, "b" }, { 2, 3, 3, "a" } }, "duplicate tensor 'a'" },
    };
    struct folder folder = make_folder();
    struct sc_gguf *gguf = NULL;
    socle_error err;
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        write_shards(&folder, cases[i].shards);
        must_fail(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), SOCLE_BAD_FILE, &err, cases[i].says);
        assert_null(gguf);
    }
    // A joined file, as ggml's splitting tool leaves it: count 0. And shards that do not say how many tensors.
    static const struct shard joined[N_SHARDS] = { { 0, 0, 9, "a" }, { 1, 3, 3, "b" }, { 2, 3, 3, "c" } };
    static const struct shard silent[N_SHARDS] = { { 0, 3, ABSENT, "a" }, { 1, 3, ABSENT, "b" }, { 2, 3, 3, "c" } };
    write_shards(&folder, joined);
    must(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), &err);
    assert_int_equal(sc_gguf_n_tensors(gguf), 1);
    sc_gguf_close(gguf);
    write_shards(&folder, silent);
    must(sc_gguf_open(inside(&folder, FIRST), &gguf, &err), &err);
    assert_int_equal(sc_gguf_n_tensors(gguf), 3);
    sc_gguf_close(gguf);
    remove_folder(&folder);
}

// ---- reference files

static size_t check_folder(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    DIR *list = opendir(path);
    size_t n_files = 0;
    if (!list) return 0;
    for (struct dirent *entry; (entry = readdir(list));) {
        size_t n = strlen(entry->d_name);
        if (n < 5 || strcmp(entry->d_name + n - 5, ".gguf") != 0) continue;
        struct sc_gguf *gguf;
        socle_error err;
        snprintf(path, sizeof path, "%s/%s/%s", folder, name, entry->d_name);
        must(sc_gguf_open(path, &gguf, &err), &err);
        sink += walk_gguf(gguf);
        must(sc_gguf_require(gguf, "general.architecture", &err), &err);
        struct sc_buffer bytes = rewrite(gguf, n_files % 2);
        sc_buffer_free(&bytes);
        sc_gguf_close(gguf);
        n_files++;
    }
    closedir(list);
    return n_files;
}

static void test_fixtures(void **state)
{
    (void)state;
    const char *folder = getenv("SOCLE_FIXTURES");
    static const char *const names[] = { "arch", "arch2", "quant", "tokenizers" };
    size_t n_files = 0;
    if (!folder) folder = SC_SOURCE_ROOT "/../shared/fixtures";
    for (size_t i = 0; i < SC_COUNT(names); i++) n_files += check_folder(folder, names[i]);
    if (n_files == 0) {
        printf("skipped: no reference files at %s (set SOCLE_FIXTURES)\n", folder);
        skip();
    }
    printf("%zu reference files read, written again and compared\n", n_files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_reads),          cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_writer_refuses),       cmocka_unit_test(test_write_to_file),
        cmocka_unit_test(test_write_fails),          cmocka_unit_test(test_not_files),
        cmocka_unit_test(test_no_permission),        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_contradictory_shards), cmocka_unit_test(test_fixtures),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
