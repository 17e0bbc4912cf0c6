// Safetensors: what the writer writes the reader reads, what is malformed is refused by file and tensor, folders with
// an index, a file by PyTorch's own writer. Run under the address sanitizer, too.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/size.h"
#include "formats/safetensors_writer.h"
#include "folder.h"
#include "safetensors_walk.h"

static volatile uint64_t sink;

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static void must_fail(socle_status status, socle_status expected, const socle_error *err, const char *says)
{
    if (status != expected) fail_msg("expected '%s', found %s: %s", says, socle_status_name(status), err->message);
    assert_int_equal(err->status, expected);
    if (!strstr(err->message, says)) fail_msg("expected a message with '%s', found: %s", says, err->message);
}

static void write_text(const char *path, const char *text)
{
    socle_error err;
    must(sc_write_file(path, text, strlen(text), &err), &err);
}

static const struct sc_safetensors_tensor *find(const struct sc_safetensors *st, const char *name)
{
    return sc_safetensors_find(st, sc_text_of(name));
}

// ---- write and read back

static const uint8_t numbers[400] = { 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233 };

// Row r of `numbers`, 12 bytes each.
static socle_status copy_row(void *user, uint64_t row, void *out, socle_error *err)
{
    (void)err;
    ++*(int *)user;
    memcpy(out, numbers + 12 * row, 12);
    return SOCLE_OK;
}

static socle_status fail_at_row_3(void *user, uint64_t row, void *out, socle_error *err)
{
    (void)user;
    memset(out, 0, 12);
    return row == 3 ? sc_fail(err, SOCLE_CANCELLED, "stopped at row 3") : SOCLE_OK;
}

static void add_every_type(struct sc_safetensors_writer *writer)
{
    static const uint64_t shape[] = { 2, 3, 1, 1, 1, 2, 1, 2 };
    socle_error err;
    for (unsigned t = 0; t < SC_SAFETENSORS_TYPE_COUNT; t++)
        must(sc_safetensors_writer_add_tensor(writer, sc_safetensors_type_name(t), t, t % 9, shape, numbers, &err),
             &err);
}

static void check_every_type(const struct sc_safetensors *st)
{
    static const uint64_t n_elements[] = { 1, 2, 6, 6, 6, 6, 12, 12, 24 };
    for (unsigned t = 0; t < SC_SAFETENSORS_TYPE_COUNT; t++) {
        const struct sc_safetensors_tensor *tensor = find(st, sc_safetensors_type_name(t));
        assert_non_null(tensor);
        assert_true(tensor->type == t && tensor->n_dims == t % 9);
        assert_int_equal(tensor->n_bytes, n_elements[t % 9] * sc_safetensors_type_bytes(t));
        assert_memory_equal(tensor->data, numbers, tensor->n_bytes);
        assert_true(tensor->shape[0] == (t % 9 ? 2 : 1) && tensor->shape[1] == (t % 9 > 1 ? 3 : 1));
    }
}

// Ten rows of one tensor, and two tensors without elements.
static void add_rows(struct sc_safetensors_writer *writer, int *n_calls)
{
    socle_error err;
    must(sc_safetensors_writer_add_tensor_rows(writer, "rows", SC_SAFETENSORS_F32, 3, (const uint64_t[]){ 2, 5, 3 },
                                               copy_row, n_calls, &err),
         &err);
    must(sc_safetensors_writer_add_tensor(writer, "é/none", SC_SAFETENSORS_F32, 2, (const uint64_t[]){ 0, 9 }, NULL,
                                          &err),
         &err);
    must(sc_safetensors_writer_add_tensor_rows(writer, "no rows", SC_SAFETENSORS_F32, 2, (const uint64_t[]){ 9, 0 },
                                               copy_row, n_calls, &err),
         &err);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_safetensors_writer *writer;
    struct sc_safetensors *st;
    struct sc_mapping mapping;
    socle_error err;
    int n_calls = 0;
    const char *path = inside(&folder, "model.safetensors");
    static const char start[] = "{\"__metadata__\":{\"format\":\"pt\",\"é \\\"\":\"\"},\"BOOL\":{\"dtype\":\"BOOL\","
                                "\"shape\":[],\"data_offsets\":[0,1]},\"U8\":{";
    must(sc_safetensors_writer_create(&writer, &err), &err);
    add_every_type(writer);
    must(sc_safetensors_writer_set_metadata(writer, "format", sc_text_of("pt"), &err), &err);
    must(sc_safetensors_writer_set_metadata(writer, "é \"", (struct sc_text){ NULL, 0 }, &err), &err);
    add_rows(writer, &n_calls);
    must(sc_safetensors_writer_write(writer, path, &err), &err);
    must(sc_safetensors_writer_write(writer, path, &err), &err); // over the first
    assert_int_equal(n_calls, 20);
    assert_int_equal(count_files(&folder), 1);
    must(sc_map_file(path, &mapping, &err), &err);
    assert_true(mapping.data[0] % 8 == 0 && mapping.data[2] == 0);
    assert_memory_equal(mapping.data + 8, start, sizeof start - 1);
    for (int by_folder = 0; by_folder < 2; by_folder++) {
        must(sc_safetensors_open(by_folder ? folder.path : path, &st, &err), &err);
        assert_int_equal(sc_safetensors_n(st), SC_SAFETENSORS_TYPE_COUNT + 3);
        check_every_type(st);
        assert_memory_equal(find(st, "rows")->data, numbers, 120);
        assert_true(find(st, "é/none")->n_bytes == 0 && find(st, "no rows")->shape[1] == 0);
        assert_null(find(st, "row"));
        assert_null(find(st, ""));
        assert_true(sc_text_is(sc_safetensors_at(st, 0)->name, "BF16"));
        sink += walk_safetensors(st);
        sc_safetensors_free(st);
    }
    sc_unmap(&mapping);
    sc_safetensors_writer_free(writer);
    remove_folder(&folder);
}

static void test_many(void **state)
{
    (void)state;
    enum { N = 50000 };
    struct folder folder = make_folder();
    struct sc_safetensors_writer *writer;
    struct sc_safetensors *st;
    socle_error err;
    char name[64];
    must(sc_safetensors_writer_create(&writer, &err), &err);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "model.layers.%d.weight", i);
        must(sc_safetensors_writer_add_tensor(writer, name, SC_SAFETENSORS_U16, 0, NULL, &numbers[i % 300], &err),
             &err);
    }
    must(sc_safetensors_writer_write(writer, inside(&folder, "m.safetensors"), &err), &err);
    must(sc_safetensors_open(inside(&folder, "m.safetensors"), &st, &err), &err);
    assert_int_equal(sc_safetensors_n(st), N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "model.layers.%d.weight", i);
        const struct sc_safetensors_tensor *tensor = find(st, name);
        if (!tensor || memcmp(tensor->data, &numbers[i % 300], 2) != 0) fail_msg("%s is another", name);
    }
    sc_safetensors_free(st);
    sc_safetensors_writer_free(writer);
    remove_folder(&folder);
}

static void test_writer_refuses(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_safetensors_writer *w;
    struct sc_safetensors *st;
    socle_error err;
    const uint64_t huge[] = { UINT64_C(1) << 40, UINT64_C(1) << 40, UINT64_MAX },
                   one[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    const enum sc_safetensors_type u8 = SC_SAFETENSORS_U8;
    const socle_status bad = SOCLE_BAD_ARGUMENT;
    char longest[SC_SAFETENSORS_NAME_BYTES_MAX + 2];
    memset(longest, 'n', sizeof longest);
    longest[SC_SAFETENSORS_NAME_BYTES_MAX + 1] = '\0';
    must(sc_safetensors_writer_create(&w, &err), &err);
    must(sc_safetensors_writer_set_metadata(w, "k", sc_text_of("v"), &err), &err);
    must_fail(sc_safetensors_writer_set_metadata(w, "k", sc_text_of("v"), &err), bad, &err, "'k' is set already");
    must_fail(sc_safetensors_writer_set_metadata(w, "\xff", sc_text_of("v"), &err), bad, &err, "not UTF-8");
    must_fail(sc_safetensors_writer_set_metadata(w, "x", sc_text_of("\xff"), &err), bad, &err, "not UTF-8");
    must_fail(sc_safetensors_writer_set_metadata(w, "x", (struct sc_text){ "\0", 1 }, &err), bad, &err, "NUL");
    must(sc_safetensors_writer_add_tensor(w, "t", u8, 1, one, "1", &err), &err);
    must_fail(sc_safetensors_writer_add_tensor(w, "t", u8, 1, one, "1", &err), bad, &err, "'t' is added already");
    must_fail(sc_safetensors_writer_add_tensor(w, "", u8, 1, one, "1", &err), bad, &err, "has 0 bytes");
    must_fail(sc_safetensors_writer_add_tensor(w, longest, u8, 1, one, "1", &err), bad, &err, "has 1001 bytes");
    must_fail(sc_safetensors_writer_add_tensor(w, "\xc3", u8, 1, one, "1", &err), bad, &err, "not UTF-8");
    must_fail(sc_safetensors_writer_add_tensor(w, "__metadata__", u8, 1, one, "1", &err), bad, &err, "'__metadata__'");
    must_fail(sc_safetensors_writer_add_tensor(w, "x", (enum sc_safetensors_type)99, 1, one, "1", &err), bad, &err,
              "99 is not a type");
    must_fail(sc_safetensors_writer_add_tensor(w, "x", u8, 9, one, "1", &err), bad, &err, "'x': 9 dimensions");
    must_fail(sc_safetensors_writer_add_tensor(w, "x", u8, 2, huge, "1", &err), bad, &err, "'x': the file would be");
    must_fail(sc_safetensors_writer_add_tensor(w, "x", u8, 1, huge + 2, "1", &err), bad, &err, "'x': dimension 0");
    longest[SC_SAFETENSORS_NAME_BYTES_MAX] = '\0';
    must(sc_safetensors_writer_add_tensor(w, longest, u8, 8, one, "2", &err), &err);
    // What was refused has left nothing behind.
    const char *path = inside(&folder, "m.safetensors");
    must(sc_safetensors_writer_write(w, path, &err), &err);
    must(sc_safetensors_open(path, &st, &err), &err);
    assert_true(sc_safetensors_n(st) == 2 && *(const char *)find(st, longest)->data == '2');
    sc_safetensors_free(st);
    sc_safetensors_writer_free(w);
    remove_folder(&folder);
}

static void test_write_fails(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_safetensors_writer *w;
    struct sc_safetensors *st;
    socle_error err;
    const char *path = inside(&folder, "m.safetensors");
    must(sc_safetensors_writer_create(&w, &err), &err);
    must(sc_safetensors_writer_write(w, path, &err), &err);
    // A row that cannot be made: no new file, the old one untouched.
    must(sc_safetensors_writer_add_tensor_rows(w, "rows", SC_SAFETENSORS_F32, 2, (const uint64_t[]){ 5, 3 },
                                               fail_at_row_3, NULL, &err),
         &err);
    must_fail(sc_safetensors_writer_write(w, path, &err), SOCLE_CANCELLED, &err, "stopped at row 3");
    assert_int_equal(count_files(&folder), 1);
    must(sc_safetensors_open(path, &st, &err), &err);
    assert_int_equal(sc_safetensors_n(st), 0);
    sc_safetensors_free(st);
    must_fail(sc_safetensors_writer_write(w, "/dev/null", &err), SOCLE_IO, &err, "/dev/null: is a device");
    must_fail(sc_safetensors_writer_write(w, folder.path, &err), SOCLE_IO, &err, "is a directory");
    sc_safetensors_writer_free(w);
    remove_folder(&folder);
}

// ---- malformed files

// A file of this header, padded to n_header bytes where that is more, and n_data zeros.
static struct sc_buffer make_file(const char *header, size_t n_header, size_t n_data)
{
    struct sc_buffer file = { 0 };
    size_t n = SC_MAX(strlen(header), n_header);
    for (int i = 0; i < 8; i++) sc_buffer_append_char(&file, (char)((uint64_t)n >> (8 * i) & 255));
    sc_buffer_append_string(&file, header);
    while (file.n_bytes < 8 + n) sc_buffer_append_char(&file, ' ');
    for (size_t i = 0; i < n_data; i++) sc_buffer_append_char(&file, '\0');
    assert_false(file.failed);
    return file;
}

// Opens a copy of exactly these bytes, so that the sanitizer sees any overrun.
static socle_status open_bytes(const void *bytes, size_t n_bytes, struct sc_safetensors **st, socle_error *err)
{
    void *exact = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, n_bytes);
    socle_status status = sc_safetensors_open_memory("f.safetensors", exact, n_bytes, st, err);
    if (status == SOCLE_OK) {
        sink += walk_safetensors(*st);
        sc_safetensors_free(*st);
        *st = NULL;
    }
    free(exact);
    return status;
}

#define W(dtype, shape, offsets) "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define V(name, begin, end) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #begin "," #end "]}"
#define AT_W "f.safetensors: tensor 'w': "
#define TOO_BIG "9223372036854775808" // 2^63

static const struct {
    const char *header;
    size_t n_data;
    const char *says; // NULL: it is fine
} files[] = {
    { "{}", 0, NULL },
    { "{}  \n", 0, NULL },
    { W("\"F32\"", "[2]", "[0,8]"), 8, NULL },
    { W("\"F32\"", "[]", "[0,4]"), 4, NULL },
    { W("\"F32\"", "[0,4611686018427387904]", "[0,0]"), 0, "overflows" },
    { "{" V("w", 0, 4) "," V("v", 4, 8) ",\"u\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}", 8, NULL },
    { "{\"__metadata__\":{\"k\":\"v\"}," V("w", 0, 4) "}", 4, NULL },
    // the header
    { "", 0, "f.safetensors: expected a header of JSON that begins with '{'" },
    { " {}", 0, "begins with '{'" },
    { "[]", 0, "begins with '{'" },
    { "{", 0, "f.safetensors: the header is not JSON" },
    { "{}{}", 0, "the header is not JSON" },
    { "{\"w\xff\":1}", 0, "the header is not JSON" },
    { "{\"w\\u0000\":1}", 0, "the header is not JSON" },
    { "{" V("w", 0, 4) "," V("w", 4, 8) "}", 8,
      "f.safetensors: the header is not JSON as expected: duplicate object "
      "key near '\"w\"'" },
    { "{" V("w", 0, 4) "," V("\\u0077", 4, 8) "}", 8, "duplicate object key near" },
    { "{\"__metadata__\":[]}", 0, "f.safetensors: '__metadata__' is not an object" },
    { "{\"__metadata__\":{\"key\":1}}", 0, "f.safetensors: '__metadata__': 'key' is not a string" },
    // a tensor
    { "{" V("", 0, 4) "}", 4, "f.safetensors: tensor '': its name has 0 bytes" },
    { "{\"w\":[]}", 0, AT_W "expected an object" },
    { "{\"w\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0, AT_W "expected a string as its 'dtype', found none" },
    { "{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, AT_W "expected a list as its 'shape', found none" },
    { "{\"w\":{\"dtype\":\"U8\",\"shape\":[]}}", 0, AT_W "expected a list as its 'data_offsets', found none" },
    { W("8", "[]", "[0,1]"), 1, AT_W "expected a string as its 'dtype'" },
    { W("\"U8\"", "4", "[0,4]"), 4, AT_W "expected a list as its 'shape'" },
    { W("\"U8\"", "[-4]", "[0,4]"), 4, AT_W "number 0 of 'shape' is not a whole number" },
    { W("\"U8\"", "[4.0]", "[0,4]"), 4, AT_W "number 0 of 'shape' is not a whole number" },
    { W("\"U8\"", "[1,\"4\"]", "[0,4]"), 4, AT_W "number 1 of 'shape' is not a whole number" },
    { W("\"U8\"", "[" TOO_BIG "]", "[0,4]"), 4, "f.safetensors: the header is not JSON as expected: too big integer" },
    { W("\"U8\"", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4, AT_W "'shape' has 9 numbers, expected at most 8" },
    { W("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, AT_W "the product of its dimensions, in bytes, overflows" },
    { W("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0, AT_W "the product of its dimensions" },
    // its place
    { W("\"U8\"", "[4]", "[0]"), 4, AT_W "'data_offsets' has 1 numbers, expected 2" },
    { W("\"U8\"", "[4]", "[0,4,4]"), 4, AT_W "'data_offsets' has 3 numbers" },
    { W("\"U8\"", "[4]", "[-4,0]"), 4, AT_W "number 0 of 'data_offsets'" },
    { W("\"U8\"", "[4]", "[4,0]"), 4, AT_W "its data begins at 4, after its end at 0" },
    { W("\"U8\"", "[4]", "[0,4]"), 3, AT_W "its data ends at 4, but the file's ends at 3" },
    { W("\"U8\"", "[4]", "[4,8]"), 7, AT_W "its data ends at 8" },
    { W("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]"), 7, AT_W "its data ends at 9223372036854775807" },
    { W("\"F16\"", "[3]", "[0,4]"), 4, AT_W "expected 6 bytes of data for its shape and dtype F16, found 4" },
    { W("\"F16\"", "[0]", "[0,4]"), 4, AT_W "expected 0 bytes of data" },
    { "{" V("v", 0, 4) "," V("w", 3, 7) "}", 7, "tensor 'v': its data overlaps that of tensor 'w'" },
    { "{" V("v", 0, 4) "," V("w", 0, 4) "}", 4, "its data overlaps that of tensor" },
    { "{" V("v", 0, 4) "," V("w", 5, 9) "}", 9, "tensor 'v': bytes 4 to 5 of the data, after its own, belong to no" },
    { "{" V("w", 2, 6) "}", 6, "f.safetensors: bytes 0 to 2 of the data belong to no tensor" },
    { "{" V("w", 0, 4) "}", 5, AT_W "bytes 4 to 5 of the data, after its own, belong to no tensor" },
    { "{}", 1, "f.safetensors: bytes 0 to 1 of the data belong to no tensor" },
};

static void test_malformed(void **state)
{
    (void)state;
    struct sc_safetensors *st = NULL;
    socle_error err;
    for (size_t i = 0; i < SC_COUNT(files); i++) {
        struct sc_buffer file = make_file(files[i].header, 0, files[i].n_data);
        socle_status status = open_bytes(file.data, file.n_bytes, &st, &err);
        if (files[i].says) must_fail(status, SOCLE_BAD_FILE, &err, files[i].says);
        else must(status, &err);
        assert_null(st);
        sc_buffer_free(&file);
    }
    struct sc_buffer file = make_file(W("\"F4\"", "[2]", "[0,1]"), 0, 1);
    must_fail(open_bytes(file.data, file.n_bytes, &st, &err), SOCLE_UNSUPPORTED, &err, AT_W "dtype 'F4' is not one");
    sc_buffer_free(&file);
    file = make_file("{", 0, 0);
    sc_buffer_append_char(&file, '"');
    for (int i = 0; i <= SC_SAFETENSORS_NAME_BYTES_MAX; i++) sc_buffer_append_char(&file, 'n');
    sc_buffer_append_string(&file, "\":{}}");
    file.data[0] = (char)((file.n_bytes - 8) & 255);
    file.data[1] = (char)((file.n_bytes - 8) >> 8);
    must_fail(open_bytes(file.data, file.n_bytes, &st, &err), SOCLE_BAD_FILE, &err, "its name has 1001 bytes");
    sc_buffer_free(&file);
}

static void test_cut(void **state)
{
    (void)state;
    struct sc_safetensors *st = NULL;
    socle_error err;
    struct sc_buffer file = make_file("{" V("w", 0, 4) "," V("v", 4, 8) "}", 128, 8);
    for (size_t n = 0; n < file.n_bytes; n++) {
        const char *says = n < 8         ? "f.safetensors: truncated: expected 8 bytes of header length"
                           : n < 8 + 128 ? "f.safetensors: truncated: expected a header of 128 bytes"
                                         : "(truncated?)";
        must_fail(open_bytes(file.data, n, &st, &err), SOCLE_BAD_FILE, &err, says);
    }
    must(open_bytes(file.data, file.n_bytes, &st, &err), &err);
    // A header longer than any: 100,000,001 bytes, and all that 64 bits can say.
    memcpy(file.data, "\x01\xe1\xf5\x05\0\0\0\0", 8);
    must_fail(open_bytes(file.data, file.n_bytes, &st, &err), SOCLE_BAD_FILE, &err, "claims a header of 100000001");
    memset(file.data, 0xff, 8);
    must_fail(open_bytes(file.data, file.n_bytes, &st, &err), SOCLE_BAD_FILE, &err, "f.safetensors: claims a header");
    sc_buffer_free(&file);
}

// ---- folders

static void write_file(const struct folder *folder, const char *name, const char *header, size_t n_data)
{
    socle_error err;
    struct sc_buffer file = make_file(header, 0, n_data);
    must(sc_write_file(inside(folder, name), file.data, file.n_bytes, &err), &err);
    sc_buffer_free(&file);
}

#define INDEX "model.safetensors.index.json"

static const struct {
    const char *index;
    socle_status status;
    const char *says;
} indexes[] = {
    { "[]", SOCLE_BAD_FILE, INDEX ": the index is a JSON list" },
    { "{", SOCLE_BAD_FILE, INDEX ": the index is not JSON" },
    { "{}", SOCLE_BAD_FILE, INDEX ": expected an object 'weight_map'" },
    { "{\"weight_map\":{}}", SOCLE_BAD_FILE, INDEX ": its 'weight_map' is empty" },
    { "{\"weight_map\":{\"a\":\"1\",\"a\":\"1\"}}", SOCLE_BAD_FILE, "duplicate object key" },
    { "{\"weight_map\":{\"a\":1}}", SOCLE_BAD_FILE, INDEX ": tensor 'a': expected the name of its file" },
    { "{\"weight_map\":{\"a\":\"\"}}", SOCLE_BAD_FILE, "tensor 'a': expected the plain name of a file, found ''" },
    { "{\"weight_map\":{\"a\":\"..\"}}", SOCLE_BAD_FILE, "expected the plain name of a file, found '..'" },
    { "{\"weight_map\":{\"a\":\"../1\"}}", SOCLE_BAD_FILE, "expected the plain name of a file, found '../1'" },
    { "{\"weight_map\":{\"a\":\"/1\"}}", SOCLE_BAD_FILE, "expected the plain name of a file, found '/1'" },
    { "{\"weight_map\":{\"a\":\"none\"}}", SOCLE_IO, "/none: cannot open" },
    { "{\"weight_map\":{\"a\":\"1\",\"c\":\"bad\"}}", SOCLE_BAD_FILE, "/bad: tensor 'w': its data ends" },
    { "{\"weight_map\":{\"x\":\"1\"}}", SOCLE_BAD_FILE, INDEX ": tensor 'x': expected in '1', found nowhere" },
    { "{\"weight_map\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"1\"}}", SOCLE_BAD_FILE,
      INDEX ": tensor 'c': expected in '1', found in '2'" },
    { "{\"weight_map\":{\"a\":\"1\",\"b\":\"twin\"}}", SOCLE_BAD_FILE,
      INDEX ": tensor 'a' is in two files, '1' and 'twin'" },
};

static void test_index(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_safetensors *st = NULL;
    socle_error err;
    must_fail(sc_safetensors_open(folder.path, &st, &err), SOCLE_IO, &err,
              ": holds neither model.safetensors nor " INDEX);
    write_file(&folder, "1", "{" V("a", 0, 4) "}", 4);
    write_file(&folder, "2", "{" V("c", 0, 4) "," V("b", 4, 8) "}", 8);
    write_file(&folder, "twin", "{" V("a", 0, 4) "," V("b", 4, 8) "}", 8);
    write_file(&folder, "bad", "{" V("w", 0, 4) "}", 3);
    for (size_t i = 0; i < SC_COUNT(indexes); i++) {
        write_text(inside(&folder, INDEX), indexes[i].index);
        must_fail(sc_safetensors_open(folder.path, &st, &err), indexes[i].status, &err, indexes[i].says);
        assert_null(st);
    }
    write_text(inside(&folder, INDEX), "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"b\":\"2\",\"a\":\"1\"}}");
    must(sc_safetensors_open(folder.path, &st, &err), &err);
    assert_int_equal(sc_safetensors_n(st), 3); // with c, which the index leaves out
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(sc_safetensors_at(st, i)->name.data[0], "abc"[i]);
    sink += walk_safetensors(st);
    sc_safetensors_free(st);
    // A whole model goes before an index.
    write_file(&folder, "model.safetensors", "{" V("w", 0, 4) "}", 4);
    must(sc_safetensors_open(folder.path, &st, &err), &err);
    assert_true(sc_safetensors_n(st) == 1 && find(st, "w"));
    sc_safetensors_free(st);
    remove_folder(&folder);
}

static void test_not_files(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct sc_safetensors *st = NULL;
    socle_error err;
    write_text(inside(&folder, "empty"), "");
    assert_int_equal(mkfifo(inside(&folder, "pipe"), 0600), 0);
    must_fail(sc_safetensors_open(inside(&folder, "none"), &st, &err), SOCLE_IO, &err, "none: cannot open");
    must_fail(sc_safetensors_open(inside(&folder, "empty"), &st, &err), SOCLE_BAD_FILE, &err, "empty: is empty");
    must_fail(sc_safetensors_open(inside(&folder, "pipe"), &st, &err), SOCLE_IO, &err, "pipe: is a device or pipe");
    must_fail(sc_safetensors_open("/dev/null", &st, &err), SOCLE_IO, &err, "/dev/null: is a device");
    assert_null(st);
    remove_folder(&folder);
}

// ---- a file by another writer

// By safetensors 0.8.0 and PyTorch 2.15:
//     safetensors.torch.save({"w": torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.bfloat16),
//         "s": torch.tensor(7, dtype=torch.int64), "m": torch.tensor([True, False]), "f": torch.tensor([0.5, -2.0]),
//         "e": torch.zeros(0, 3)}, metadata={"format": "pt"})
static const uint8_t by_pytorch[] = {
    0x38, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7b, 0x22, 0x5f, 0x5f, 0x6d, 0x65, 0x74, 0x61, 0x64, 0x61, 0x74,
    0x61, 0x5f, 0x5f, 0x22, 0x3a, 0x7b, 0x22, 0x66, 0x6f, 0x72, 0x6d, 0x61, 0x74, 0x22, 0x3a, 0x22, 0x70, 0x74, 0x22,
    0x7d, 0x2c, 0x22, 0x73, 0x22, 0x3a, 0x7b, 0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x49, 0x36, 0x34,
    0x22, 0x2c, 0x22, 0x73, 0x68, 0x61, 0x70, 0x65, 0x22, 0x3a, 0x5b, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f,
    0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73, 0x22, 0x3a, 0x5b, 0x30, 0x2c, 0x38, 0x5d, 0x7d, 0x2c, 0x22, 0x65, 0x22,
    0x3a, 0x7b, 0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x46, 0x33, 0x32, 0x22, 0x2c, 0x22, 0x73, 0x68,
    0x61, 0x70, 0x65, 0x22, 0x3a, 0x5b, 0x30, 0x2c, 0x33, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66,
    0x66, 0x73, 0x65, 0x74, 0x73, 0x22, 0x3a, 0x5b, 0x38, 0x2c, 0x38, 0x5d, 0x7d, 0x2c, 0x22, 0x66, 0x22, 0x3a, 0x7b,
    0x22, 0x64, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x46, 0x33, 0x32, 0x22, 0x2c, 0x22, 0x73, 0x68, 0x61, 0x70,
    0x65, 0x22, 0x3a, 0x5b, 0x32, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66, 0x66, 0x73, 0x65, 0x74,
    0x73, 0x22, 0x3a, 0x5b, 0x38, 0x2c, 0x31, 0x36, 0x5d, 0x7d, 0x2c, 0x22, 0x77, 0x22, 0x3a, 0x7b, 0x22, 0x64, 0x74,
    0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x42, 0x46, 0x31, 0x36, 0x22, 0x2c, 0x22, 0x73, 0x68, 0x61, 0x70, 0x65, 0x22,
    0x3a, 0x5b, 0x32, 0x2c, 0x33, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66, 0x66, 0x73, 0x65, 0x74,
    0x73, 0x22, 0x3a, 0x5b, 0x31, 0x36, 0x2c, 0x32, 0x38, 0x5d, 0x7d, 0x2c, 0x22, 0x6d, 0x22, 0x3a, 0x7b, 0x22, 0x64,
    0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22, 0x42, 0x4f, 0x4f, 0x4c, 0x22, 0x2c, 0x22, 0x73, 0x68, 0x61, 0x70, 0x65,
    0x22, 0x3a, 0x5b, 0x32, 0x5d, 0x2c, 0x22, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x6f, 0x66, 0x66, 0x73, 0x65, 0x74, 0x73,
    0x22, 0x3a, 0x5b, 0x32, 0x38, 0x2c, 0x33, 0x30, 0x5d, 0x7d, 0x7d, 0x20, 0x20, 0x20, 0x20, 0x20, 0x07, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x00, 0xc0, 0x80, 0x3f, 0x00, 0x40, 0x40, 0x40,
    0x80, 0x40, 0xa0, 0x40, 0xc0, 0x40, 0x01, 0x00,
};

static void test_pytorch(void **state)
{
    (void)state;
    struct sc_safetensors *st;
    socle_error err;
    static const uint8_t bf16s[] = { 0x80, 0x3f, 0x00, 0x40, 0x40, 0x40, 0x80, 0x40, 0xa0, 0x40, 0xc0, 0x40 };
    must(sc_safetensors_open_memory("torch", by_pytorch, sizeof by_pytorch, &st, &err), &err);
    assert_int_equal(sc_safetensors_n(st), 5);
    const struct sc_safetensors_tensor *e = sc_safetensors_at(st, 0), *f = sc_safetensors_at(st, 1),
                                       *m = sc_safetensors_at(st, 2), *s = sc_safetensors_at(st, 3),
                                       *w = sc_safetensors_at(st, 4);
    assert_true(sc_text_is(e->name, "e") && e->n_dims == 2 && e->shape[1] == 3 && e->n_bytes == 0);
    assert_true(f->type == SC_SAFETENSORS_F32 && memcmp(f->data, "\0\0\0\x3f\0\0\0\xc0", 8) == 0);
    assert_true(m->type == SC_SAFETENSORS_BOOL && m->n_bytes == 2 && memcmp(m->data, "\1\0", 2) == 0);
    assert_true(s->type == SC_SAFETENSORS_I64 && s->n_dims == 0 && memcmp(s->data, "\7\0\0\0\0\0\0\0", 8) == 0);
    assert_true(w->type == SC_SAFETENSORS_BF16 && w->n_dims == 2 && w->shape[0] == 2 && w->shape[1] == 3);
    assert_memory_equal(w->data, bf16s, sizeof bf16s);
    sc_safetensors_free(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_many),      cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_write_fails), cmocka_unit_test(test_malformed), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_index),       cmocka_unit_test(test_not_files), cmocka_unit_test(test_pytorch),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
