// What the tests of kernels share: memory between forbidden pages, awkward values, comparing bits, catching faults.
//
// A kernel is run on copies of its inputs that end exactly at a page that cannot be touched, and again on copies that
// begin right after one; on the open side lie canaries. Whatever a kernel reads or writes beyond its arguments on the
// closed side faults, and a fault is a failed assertion that names kernel, case, level and placement. Whatever it
// writes beyond them on the open side is found afterwards.
#ifndef SC_TESTS_KERNEL_CHECK_H
#define SC_TESTS_KERNEL_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "kernels/kernels.h"
#include "tensor/half.h"
#include "tensor/packed.h"

// ---- random numbers and awkward values

enum kc_kind {
    KC_NORMAL,   // about the size of real activations
    KC_DENORMAL, // below 2^-126, and a few above
    KC_HUGE,     // 2^40 to 2^51
    KC_ZEROS,    // mostly +0 and -0
    KC_ILL,      // great terms that almost cancel
    KC_MIXED,    // exponents all over the place, 2^-60 to 2^40
    KC_KINDS
};

void kc_seed(uint64_t seed);
uint32_t kc_random(void);
size_t kc_between(size_t low, size_t high); // both included
float kc_uniform(float low, float high);
float kc_value(enum kc_kind kind);
void kc_fill(float *x, size_t n, enum kc_kind kind);
const char *kc_kind_name(enum kc_kind kind);
float *kc_floats(size_t n, enum kc_kind kind); // on the heap, filled; the caller frees

// ---- blocks of quantized weights

enum kc_bytes { KC_RANDOM, KC_ALL_ONES, KC_ALL_ZEROS, KC_SIGN_BITS, KC_EXTREME_SCALES, KC_BYTES_KINDS };

// Fills n_blocks blocks so that every float inside them is finite. The bytes of float scales are found by trying, so
// a new format needs no line here.
void kc_fill_blocks(const struct sc_format *format, uint8_t *blocks, size_t n_blocks, enum kc_bytes kind);

// ---- guarded memory

enum kc_place { KC_ENDS_AT_GUARD, KC_BEGINS_AT_GUARD, KC_PLACES };

void *kc_take(size_t n_bytes, enum kc_place place);                   // filled with 0x5a
void *kc_copy(const void *from, size_t n_bytes, enum kc_place place); // filled from `from`
// Scratch memory: begins at a multiple of 64, so that canaries may fill what is left before the page.
void *kc_take_aligned(size_t n_bytes, enum kc_place place);
void kc_release(void); // checks all canaries and takes all memory back

// ---- packed weights and activations, on the heap

void *kc_reserve(size_t n_bytes); // filled with 0x5a; the caller frees
// Rows packed into groups that are group_bytes apart, aligned to 64; NaNs in between. The caller frees.
uint8_t *kc_pack(const struct sc_format *format, const void *rows, size_t row_stride, size_t n_rows, size_t k,
                 size_t group_bytes);
// Bytes from the first group's begin to the last one's end.
size_t kc_packed_bytes(const struct sc_format *format, size_t n_rows, size_t k, size_t group_bytes);

// Columns of k in panels, all full but the last. Each part of a panel is an array of its own, of the exact size.
struct kc_panels {
    size_t k, n_columns, n;
    struct sc_panel at[SC_COLUMNS_MAX / SC_PANEL];
};
struct kc_panels kc_panels_new(size_t k, size_t n_columns);
struct kc_panels kc_panels_take(size_t k, size_t n_columns, enum kc_place place); // between guard pages
struct kc_panels kc_panels_copy(const struct kc_panels *from, enum kc_place place);
void kc_panels_free(struct kc_panels *panels);
void kc_panels_same(const struct kc_panels *expected, const struct kc_panels *found);
// One column written (its sums are added up here) and read.
void kc_panels_put(const struct kc_panels *panels, size_t c, const int8_t *q, const float *d);
int kc_panels_q(const struct kc_panels *panels, size_t c, size_t i);
float kc_panels_d(const struct kc_panels *panels, size_t c, size_t segment);
int kc_panels_sum(const struct kc_panels *panels, size_t c, size_t sixteen);

// ---- running

// Names the case in hand for every message that follows.
__attribute__((format(printf, 1, 2))) void kc_case(const char *format, ...);
const char *kc_name(void);

// Runs the case in each placement on each level that this machine supports, `base` included.
typedef void kc_run(const struct sc_kernels *kernels, enum kc_place place, const void *context);
void kc_each_level(kc_run *run, const void *context);
const struct sc_kernels *kc_base(void);

// Equal bits; two NaNs are equal, since their payloads are no part of the contract.
void kc_same_floats(const float *expected, const float *found, size_t n, const char *what);
void kc_same_bytes(const void *expected, const void *found, size_t n_bytes, const char *what);
bool kc_same_float(float a, float b);

// A test whose faults are failures: use KC_TEST(function) in a list of tests.
struct kc_test {
    void (*run)(void);
};
void kc_run_protected(void **state);
#define KC_TEST(function)                                                                                              \
    {                                                                                                                  \
#function, kc_run_protected, NULL, NULL, &(struct kc_test) { function }                                        \
    }

// ---- the lists of tests, one in each file

enum { KC_TESTS_MAX = 32 };
size_t kc_level_tests(struct CMUnitTest *out);
size_t kc_matmul_tests(struct CMUnitTest *out);
size_t kc_attend_tests(struct CMUnitTest *out);
size_t kc_rule_tests(struct CMUnitTest *out);
size_t kc_attend_rule_tests(struct CMUnitTest *out);
size_t kc_elementary_tests(struct CMUnitTest *out);
size_t kc_training_tests(struct CMUnitTest *out);
size_t kc_training_rule_tests(struct CMUnitTest *out);
size_t kc_product_tests(struct CMUnitTest *out);

#endif
