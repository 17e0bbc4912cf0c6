// Malformed GGUF files: every kind that could be thought of must be refused by name, and none may make the reader touch
// what is not there. Each is one change to a good file built by hand, not by the writer. Run under the address
// sanitizer, too.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/size.h"
#include "gguf_walk.h"

static volatile uint64_t sink;

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

// A good file, built by hand, with the places of its fields.

enum place {
    MAGIC,
    VERSION,
    N_TENSORS,
    N_VALUES,
    ALIGNMENT_TYPE,
    ALIGNMENT, // "general.alignment" u32 32
    A_KEY_BYTES,
    A_KEY,
    A_TYPE,
    A, // "a.u32" u32 7
    B_KEY_BYTES,
    B_KEY,
    B_TYPE,
    B,    // "b.u32" u32 8
    BOOL, // "c.bool" bool 1
    TEXT_BYTES,
    TEXT, // "d.text" string "hello"
    BOOLS_TYPE,
    BOOLS_COUNT,
    BOOLS, // "e.bools" array of bool 1 0
    TEXTS_COUNT,
    TEXTS_BYTES,
    TEXTS, // "f.texts" array of string "x" "yy"
    U64S_TYPE,
    U64S_COUNT,
    U64S, // "g.u64s" array of u64 1 2
    T0_NAME_BYTES,
    T0_NAME,
    T0_DIMS,
    T0_SHAPE,
    T0_TYPE,
    T0_OFFSET, // "t0" F32 [4, 2], 32 bytes
    T1_NAME_BYTES,
    T1_NAME,
    T1_DIMS,
    T1_SHAPE,
    T1_TYPE,
    T1_OFFSET, // "t1" Q8_0 [32, 2], 68 bytes
    T2_NAME_BYTES,
    T2_NAME,
    T2_DIMS,
    T2_SHAPE,
    T2_TYPE,
    T2_OFFSET, // "t2" F16 [2, 3, 1, 2], 24 bytes
    HEAD_END,
    DATA,
    N_PLACES,
};

struct draft {
    struct sc_buffer bytes;
    size_t at[N_PLACES];
};

static void put_uint(struct draft *draft, enum place place, uint64_t value, size_t n_bytes)
{
    if (place != N_PLACES) draft->at[place] = draft->bytes.n_bytes;
    for (size_t i = 0; i < n_bytes; i++) sc_buffer_append_char(&draft->bytes, (char)(value >> (8 * i) & 255));
}

static void put_string(struct draft *draft, enum place length, enum place text, const char *string)
{
    put_uint(draft, length, strlen(string), 8);
    if (text != N_PLACES) draft->at[text] = draft->bytes.n_bytes;
    sc_buffer_append_string(&draft->bytes, string);
}

static void put_head(struct draft *draft, uint64_t n_tensors, uint64_t n_values)
{
    draft->at[MAGIC] = 0;
    sc_buffer_append_string(&draft->bytes, "GGUF");
    put_uint(draft, VERSION, 3, 4);
    put_uint(draft, N_TENSORS, n_tensors, 8);
    put_uint(draft, N_VALUES, n_values, 8);
}

static void put_values(struct draft *draft)
{
    put_string(draft, N_PLACES, N_PLACES, "general.alignment");
    put_uint(draft, ALIGNMENT_TYPE, SC_GGUF_U32, 4);
    put_uint(draft, ALIGNMENT, 32, 4);
    put_string(draft, A_KEY_BYTES, A_KEY, "a.u32");
    put_uint(draft, A_TYPE, SC_GGUF_U32, 4);
    put_uint(draft, A, 7, 4);
    put_string(draft, B_KEY_BYTES, B_KEY, "b.u32");
    put_uint(draft, B_TYPE, SC_GGUF_U32, 4);
    put_uint(draft, B, 8, 4);
    put_string(draft, N_PLACES, N_PLACES, "c.bool");
    put_uint(draft, N_PLACES, SC_GGUF_BOOL, 4);
    put_uint(draft, BOOL, 1, 1);
    put_string(draft, N_PLACES, N_PLACES, "d.text");
    put_uint(draft, N_PLACES, SC_GGUF_STRING, 4);
    put_string(draft, TEXT_BYTES, TEXT, "hello");
    put_string(draft, N_PLACES, N_PLACES, "e.bools");
    put_uint(draft, N_PLACES, SC_GGUF_ARRAY, 4);
    put_uint(draft, BOOLS_TYPE, SC_GGUF_BOOL, 4);
    put_uint(draft, BOOLS_COUNT, 2, 8);
    put_uint(draft, BOOLS, 0x0001, 2);
    put_string(draft, N_PLACES, N_PLACES, "f.texts");
    put_uint(draft, N_PLACES, SC_GGUF_ARRAY, 4);
    put_uint(draft, N_PLACES, SC_GGUF_STRING, 4);
    put_uint(draft, TEXTS_COUNT, 2, 8);
    put_string(draft, TEXTS_BYTES, TEXTS, "x");
    put_string(draft, N_PLACES, N_PLACES, "yy");
    put_string(draft, N_PLACES, N_PLACES, "g.u64s");
    put_uint(draft, N_PLACES, SC_GGUF_ARRAY, 4);
    put_uint(draft, U64S_TYPE, SC_GGUF_U64, 4);
    put_uint(draft, U64S_COUNT, 2, 8);
    put_uint(draft, U64S, 1, 8);
    put_uint(draft, N_PLACES, 2, 8);
}

// `first` is the tensor's first place: T0_NAME_BYTES, T1_... or T2_...; the five others follow.
static void put_tensor(struct draft *draft, enum place first, const char *name, uint32_t n_dims, const uint64_t *shape,
                       uint32_t type, uint64_t offset)
{
    put_string(draft, first, first + 1, name);
    put_uint(draft, first + 2, n_dims, 4);
    for (uint32_t d = 0; d < n_dims; d++) put_uint(draft, d ? N_PLACES : first + 3, shape[d], 8);
    put_uint(draft, first + 4, type, 4);
    put_uint(draft, first + 5, offset, 8);
}

static struct draft make_good(void)
{
    struct draft draft = { 0 };
    put_head(&draft, 3, 8);
    put_values(&draft);
    put_tensor(&draft, T0_NAME_BYTES, "t0", 2, (const uint64_t[]){ 4, 2 }, 0, 0);
    put_tensor(&draft, T1_NAME_BYTES, "t1", 2, (const uint64_t[]){ 32, 2 }, 8, 32);
    put_tensor(&draft, T2_NAME_BYTES, "t2", 4, (const uint64_t[]){ 2, 3, 1, 2 }, 1, 128);
    draft.at[HEAD_END] = draft.bytes.n_bytes;
    while (draft.bytes.n_bytes % 32) put_uint(&draft, N_PLACES, 0, 1);
    draft.at[DATA] = draft.bytes.n_bytes;
    for (uint32_t i = 0; i < 128 + 24; i++) put_uint(&draft, N_PLACES, i % 7, 1);
    assert_false(draft.bytes.failed);
    return draft;
}

enum how { U8, U32, U64, STRING, CUT }; // overwrite with a number, or with text; or end the file here

#define BIG UINT64_C(0x8000000000000000) // 2^63
#define BAD SOCLE_BAD_FILE
#define UNSUPPORTED SOCLE_UNSUPPORTED

static const struct mutation {
    const char *kind;
    enum place place;
    enum how how;
    uint64_t value;
    socle_status status;
    const char *says;
    const char *text; // for STRING
} mutations[] = {
    // head
    { "another magic", MAGIC, STRING, 0, BAD, "magic", "GGML" },
    { "magic of a big-endian writer", MAGIC, STRING, 0, BAD, "magic", "FUGG" },
    { "version 0", VERSION, U32, 0, UNSUPPORTED, "version 0" },
    { "version 1", VERSION, U32, 1, UNSUPPORTED, "version 1" },
    { "version 4", VERSION, U32, 4, UNSUPPORTED, "version 4" },
    { "version 3, big-endian", VERSION, U32, 0x03000000, UNSUPPORTED, "big-endian" },
    { "version 2^32-1", VERSION, U32, UINT32_MAX, UNSUPPORTED, "version" },
    { "one tensor too many", N_TENSORS, U64, 4, BAD, "tensor" },
    { "2^63 tensors", N_TENSORS, U64, BIG, BAD, "tensors" },
    { "2^64-1 tensors", N_TENSORS, U64, UINT64_MAX, BAD, "tensors" },
    { "tensors times their size wraps around", N_TENSORS, U64, BIG / 16 + 1, BAD, "tensors" },
    { "one value too many", N_VALUES, U64, 9, BAD, "" },
    { "one value too few", N_VALUES, U64, 7, BAD, "tensor" },
    { "2^63 values", N_VALUES, U64, BIG, BAD, "metadata" },
    { "2^64-1 values", N_VALUES, U64, UINT64_MAX, BAD, "metadata" },
    { "ends in the counts", N_VALUES, CUT, 0, BAD, "truncated" },
    // keys
    { "empty key", A_KEY_BYTES, U64, 0, BAD, "a key at offset" },
    { "key past the end", A_KEY_BYTES, U64, 10000, BAD, "a key at offset" },
    { "key of 65536 bytes", A_KEY_BYTES, U64, 65536, BAD, "65536" },
    { "key of 2^63 bytes", A_KEY_BYTES, U64, BIG, BAD, "a key at offset" },
    { "key of 2^64-1 bytes", A_KEY_BYTES, U64, UINT64_MAX, BAD, "a key at offset" },
    { "key that wraps around to itself", A_KEY_BYTES, U64, UINT64_MAX - 7, BAD, "a key at offset" },
    { "duplicate key", B_KEY, STRING, 0, BAD, "duplicate key 'a.u32'", "a.u32" },
    { "key of fewer bytes than it has", A_KEY_BYTES, U64, 4, BAD, "'a.u3'" },
    { "key with a NUL", A_KEY, U8, 0, BAD, "0x00" },
    { "key with a newline", A_KEY, U8, '\n', BAD, "0x0a" },
    { "key that is not UTF-8", A_KEY, U8, 0xff, BAD, "0xff" },
    // values
    { "value type 13", A_TYPE, U32, 13, BAD, "'a.u32'" },
    { "value type 2^32-1", A_TYPE, U32, UINT32_MAX, BAD, "'a.u32'" },
    { "bool of 2", BOOL, U8, 2, BAD, "'c.bool'" },
    { "bool of 255 in an array", BOOLS, U8, 255, BAD, "'e.bools'" },
    { "string past the end", TEXT_BYTES, U64, 10000, BAD, "'d.text'" },
    { "string of 2^63 bytes", TEXT_BYTES, U64, BIG, BAD, "'d.text'" },
    { "string of 2^64-1 bytes", TEXT_BYTES, U64, UINT64_MAX, BAD, "'d.text'" },
    { "array of arrays", BOOLS_TYPE, U32, SC_GGUF_ARRAY, BAD, "'e.bools'" },
    { "array of unknown type", BOOLS_TYPE, U32, 13, BAD, "'e.bools'" },
    { "array of type 2^32-1", BOOLS_TYPE, U32, UINT32_MAX, BAD, "'e.bools'" },
    { "array past the end", BOOLS_COUNT, U64, 10000, BAD, "'e.bools'" },
    { "array of 2^64-1 bools", BOOLS_COUNT, U64, UINT64_MAX, BAD, "'e.bools'" },
    { "array whose bytes wrap around to 8", U64S_COUNT, U64, BIG / 4 + 1, BAD, "'g.u64s'" },
    { "array whose bytes wrap around to 0", U64S_COUNT, U64, BIG / 4, BAD, "'g.u64s'" },
    { "array of 2^63 strings", TEXTS_COUNT, U64, BIG, BAD, "'f.texts'" },
    { "array of strings past the end", TEXTS_COUNT, U64, 40, BAD, "'f.texts'" },
    { "string past the end in an array", TEXTS_BYTES, U64, 10000, BAD, "'f.texts'" },
    { "string of 2^63 bytes in an array", TEXTS_BYTES, U64, BIG, BAD, "'f.texts'" },
    { "ends long before the values it claims", A, CUT, 0, BAD, "metadata values" },
    { "ends in an array", U64S, CUT, 0, BAD, "'g.u64s'" },
    { "ends in a tensor's shape", T1_SHAPE, CUT, 0, BAD, "'t1'" },
    { "ends in a tensor's offset", T2_OFFSET, CUT, 0, BAD, "'t2'" },
    { "ends in an array of strings", TEXTS, CUT, 0, BAD, "'f.texts'" },
    // alignment
    { "alignment 0", ALIGNMENT, U32, 0, BAD, "'general.alignment'" },
    { "alignment 1", ALIGNMENT, U32, 1, BAD, "'general.alignment'" },
    { "alignment 3", ALIGNMENT, U32, 3, BAD, "'general.alignment'" },
    { "alignment 48", ALIGNMENT, U32, 48, BAD, "'general.alignment'" },
    { "alignment 2^31", ALIGNMENT, U32, UINT32_C(1) << 31, BAD, "'general.alignment'" },
    { "alignment 2^32-1", ALIGNMENT, U32, UINT32_MAX, BAD, "'general.alignment'" },
    { "alignment that is an i32", ALIGNMENT_TYPE, U32, SC_GGUF_I32, BAD, "'general.alignment'" },
    { "alignment that is an f32", ALIGNMENT_TYPE, U32, SC_GGUF_F32, BAD, "'general.alignment'" },
    { "alignment that the offsets do not have", ALIGNMENT, U32, 64, BAD, "'t1'" },
    // tensors
    { "empty tensor name", T0_NAME_BYTES, U64, 0, BAD, "tensor's name" },
    { "tensor name of 64 bytes", T0_NAME_BYTES, U64, 64, BAD, "tensor's name" },
    { "tensor name past the end", T0_NAME_BYTES, U64, 10000, BAD, "tensor's name" },
    { "tensor name of 2^63 bytes", T0_NAME_BYTES, U64, BIG, BAD, "tensor's name" },
    { "tensor name with a NUL", T0_NAME, U8, 0, BAD, "0x00" },
    { "tensor name that is not UTF-8", T0_NAME, U8, 0xc0, BAD, "0xc0" },
    { "duplicate tensor", T1_NAME, STRING, 0, BAD, "duplicate tensor 't0'", "t0" },
    { "0 dimensions", T0_DIMS, U32, 0, BAD, "'t0'" },
    { "5 dimensions", T0_DIMS, U32, 5, BAD, "'t0'" },
    { "2^32-1 dimensions", T0_DIMS, U32, UINT32_MAX, BAD, "'t0'" },
    { "dimension 0", T0_SHAPE, U64, 0, BAD, "'t0': dimension 0 is 0" },
    { "product of dimensions wraps around to 0", T0_SHAPE, U64, BIG, BAD, "'t0'" },
    { "product of dimensions wraps around", T2_SHAPE, U64, BIG / 2 + 1, BAD, "'t2'" },
    { "bytes wrap around", T0_SHAPE, U64, BIG / 4 + 2, BAD, "'t0'" },
    { "larger than the file", T0_SHAPE, U64, 1000, BAD, "'t0'" },
    { "row of 33 in blocks of 32", T1_SHAPE, U64, 33, BAD, "'t1': rows of 33" },
    { "row of 32 in blocks of 256", T1_TYPE, U32, 12, BAD, "'t1'" },
    { "format 4, removed from ggml", T0_TYPE, U32, 4, UNSUPPORTED, "'t0': format number 4" },
    { "format 5, removed from ggml", T0_TYPE, U32, 5, UNSUPPORTED, "'t0': format number 5" },
    { "format 31, removed from ggml", T0_TYPE, U32, 31, UNSUPPORTED, "'t0': format number 31" },
    { "format 36, removed from ggml", T0_TYPE, U32, 36, UNSUPPORTED, "'t0': format number 36" },
    { "format 16, which is not read", T0_TYPE, U32, 16, UNSUPPORTED, "'t0': format number 16" },
    { "format 24, an integer", T0_TYPE, U32, 24, UNSUPPORTED, "'t0': format number 24" },
    { "format 999", T0_TYPE, U32, 999, UNSUPPORTED, "'t0': format number 999" },
    { "format 2^32-1", T0_TYPE, U32, UINT32_MAX, UNSUPPORTED, "'t0': format number" },
    { "offset not aligned", T1_OFFSET, U64, 33, BAD, "'t1': offset 33" },
    { "offset at the end", T2_OFFSET, U64, 160, BAD, "'t2'" },
    { "offset far past the end", T2_OFFSET, U64, BIG, BAD, "'t2'" },
    { "offset that wraps around to the start", T2_OFFSET, U64, UINT64_MAX - 31, BAD, "'t2'" },
    { "last rows past the end", T1_OFFSET, U64, 96, BAD, "'t1'" },
    { "two tensors in one place", T1_OFFSET, U64, 0, BAD, "overlap" },
    { "tensor that ends in the next one", T2_OFFSET, U64, 96, BAD, "overlap" },
    { "tensor inside another", T0_OFFSET, U64, 64, BAD, "overlap" },
    { "no padding and no data", HEAD_END, CUT, 0, BAD, "'t0'" },
    { "no data", DATA, CUT, 0, BAD, "'t0'" },
};

static void overwrite(struct draft *draft, const struct mutation *m)
{
    static const size_t widths[] = { [U8] = 1, [U32] = 4, [U64] = 8 };
    char *at = draft->bytes.data + draft->at[m->place];
    if (m->how == CUT) draft->bytes.n_bytes = draft->at[m->place];
    else if (m->how == STRING) memcpy(at, m->text, strlen(m->text));
    else
        for (size_t i = 0; i < widths[m->how]; i++) at[i] = (char)(m->value >> (8 * i) & 255);
}

// Opens a copy that ends where its memory ends, so that the address sanitizer sees any read past it.
static socle_status open_copy(const void *bytes, size_t n_bytes, socle_error *err)
{
    uint8_t *copy = malloc(n_bytes ? n_bytes : 1);
    struct sc_gguf *gguf = NULL;
    assert_non_null(copy);
    if (n_bytes) memcpy(copy, bytes, n_bytes);
    *err = (socle_error){ 0 };
    socle_status status = sc_gguf_open_memory("good.gguf", copy, n_bytes, &gguf, err);
    if (status == SOCLE_OK) {
        sink += walk_gguf(gguf);
    } else {
        assert_null(gguf);
        assert_int_equal(status, err->status);
        assert_int_equal(strncmp(err->message, "good.gguf: ", 11), 0);
    }
    sc_gguf_close(gguf);
    free(copy);
    return status;
}

static void test_good(void **state)
{
    (void)state;
    struct draft good = make_good();
    struct sc_gguf *gguf;
    socle_error err;
    must(sc_gguf_open_memory("good.gguf", good.bytes.data, good.bytes.n_bytes, &gguf, &err), &err);
    assert_int_equal(sc_gguf_n_values(gguf), 8);
    assert_int_equal(sc_gguf_n_tensors(gguf), 3);
    const struct sc_tensor *t2 = sc_gguf_find_tensor(gguf, "t2");
    assert_non_null(t2);
    assert_ptr_equal(t2->data, good.bytes.data + good.at[DATA] + 128);
    assert_int_equal(t2->row_stride, 4);
    assert_int_equal(t2->matrix_stride, 12);
    assert_int_equal(t2->shape[3], 2);
    assert_int_equal(sc_gguf_tensor_offset(gguf, 2), good.at[DATA] + 128);
    sc_gguf_close(gguf);
    sc_buffer_free(&good.bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < SC_COUNT(mutations); i++) {
        const struct mutation *m = &mutations[i];
        struct draft draft = make_good();
        socle_error err;
        assert_int_equal(open_copy(draft.bytes.data, draft.bytes.n_bytes, &err), SOCLE_OK);
        overwrite(&draft, m);
        socle_status status = open_copy(draft.bytes.data, draft.bytes.n_bytes, &err);
        if (status != m->status)
            fail_msg("%s: expected '%s', found '%s' %s", m->kind, socle_status_name(m->status),
                     socle_status_name(status), err.message);
        if (!strstr(err.message, m->says)) fail_msg("%s: expected '%s' in: %s", m->kind, m->says, err.message);
        sc_buffer_free(&draft.bytes);
    }
    printf("%zu kinds of malformed file refused\n", SC_COUNT(mutations));
}

static void test_truncated(void **state)
{
    (void)state;
    struct draft good = make_good();
    socle_error err;
    for (size_t n = 0; n < good.bytes.n_bytes; n++)
        assert_int_equal(open_copy(good.bytes.data, n, &err), SOCLE_BAD_FILE);
    sc_buffer_free(&good.bytes);
}

// No single changed byte makes the reader touch what is not there.
static void test_changed_bytes(void **state)
{
    (void)state;
    static const uint8_t masks[] = { 0x01, 0x02, 0x10, 0x40, 0x80, 0xff };
    struct draft good = make_good();
    socle_error err;
    size_t n_read = 0, n_refused = 0;
    for (size_t at = 0; at < good.at[DATA]; at++)
        for (size_t m = 0; m < SC_COUNT(masks); m++) {
            good.bytes.data[at] = (char)(good.bytes.data[at] ^ masks[m]);
            socle_status status = open_copy(good.bytes.data, good.bytes.n_bytes, &err);
            assert_true(status == SOCLE_OK || status == SOCLE_BAD_FILE || status == SOCLE_UNSUPPORTED);
            if (status == SOCLE_OK) n_read++;
            else n_refused++;
            good.bytes.data[at] = (char)(good.bytes.data[at] ^ masks[m]);
        }
    assert_true(n_read > 0 && n_refused > n_read);
    sc_buffer_free(&good.bytes);
}

static void test_version_2(void **state)
{
    (void)state;
    struct draft draft = make_good();
    struct sc_gguf *gguf;
    socle_error err;
    draft.bytes.data[draft.at[VERSION]] = 2;
    must(sc_gguf_open_memory("two.gguf", draft.bytes.data, draft.bytes.n_bytes, &gguf, &err), &err);
    assert_int_equal(sc_gguf_version(gguf), 2);
    assert_int_equal(sc_gguf_n_tensors(gguf), 3);
    sink += walk_gguf(gguf);
    sc_gguf_close(gguf);
    sc_buffer_free(&draft.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_version_2),     cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests_name("gguf_malformed", tests, NULL, NULL);
}
