// The machinery of kernel_check.h.
#include "kernel_check.h"

#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

// ---- random numbers and awkward values

static uint64_t random_state;

void kc_seed(uint64_t seed) { random_state = seed; }

uint32_t kc_random(void) // splitmix64, upper half
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

size_t kc_between(size_t low, size_t high) { return low + kc_random() % (high - low + 1); }

float kc_uniform(float low, float high) { return low + (high - low) * ((float)(kc_random() >> 8) * 0x1p-24f); }

float kc_value(enum kc_kind kind)
{
    float sign = kc_random() & 1 ? -1.0f : 1.0f;
    switch (kind) {
    case KC_DENORMAL: return sign * sc_f32_of_bits(kc_random() % 0x01000000u);
    case KC_HUGE: return sign * ldexpf(kc_uniform(1, 2), (int)kc_between(40, 50));
    case KC_ZEROS: return kc_random() % 8 ? sign * 0.0f : sign * kc_uniform(0, 1);
    case KC_ILL: return kc_random() & 1 ? sign * 0x1p20f : sign * (0x1p20f + kc_uniform(0, 2));
    case KC_MIXED: return sign * ldexpf(kc_uniform(1, 2), (int)kc_between(0, 100) - 60);
    default: return kc_uniform(-2, 2) + kc_uniform(-2, 2);
    }
}

void kc_fill(float *x, size_t n, enum kc_kind kind)
{
    for (size_t i = 0; i < n; i++) x[i] = kc_value(kind);
}

const char *kc_kind_name(enum kc_kind kind)
{
    static const char *const names[] = { "normal", "denormal", "huge", "zeros", "ill-conditioned", "mixed" };
    return names[kind];
}

float *kc_floats(size_t n, enum kc_kind kind)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    kc_fill(x, n, kind);
    return x;
}

// ---- blocks of quantized weights

static bool finite_block(const struct sc_format *format, const uint8_t *bytes)
{
    if (!format->unpack) {
        float value;
        format->decode(bytes, &value, 1);
        return isfinite(value);
    }
    struct sc_block block = { .m = 0.0f };
    format->unpack(bytes, &block);
    return isfinite(block.d) && isfinite(block.m);
}

// Marks the bytes that d or m depend on.
static void find_scale_bytes(const struct sc_format *format, bool *is_scale)
{
    uint8_t bytes[1024] = { 0 };
    struct sc_block plain = { .m = 0.0f }, changed = { .m = 0.0f };
    memset(is_scale, 0, format->block_bytes);
    if (!format->unpack) {
        memset(is_scale, 1, format->block_bytes);
        return;
    }
    format->unpack(bytes, &plain);
    for (size_t i = 0; i < format->block_bytes; i++) {
        bytes[i] = 0x3c;
        format->unpack(bytes, &changed);
        is_scale[i] = changed.d != plain.d || (format->has_min && changed.m != plain.m);
        bytes[i] = 0;
    }
}

void kc_fill_blocks(const struct sc_format *format, uint8_t *blocks, size_t n_blocks, enum kc_bytes kind)
{
    static const uint8_t extremes[] = { 0x00, 0x01, 0x03, 0x04, 0x7b, 0x7f, 0x80, 0xfb, 0xfe, 0xff };
    static const uint8_t fills[] = { [KC_ALL_ONES] = 0xff, [KC_ALL_ZEROS] = 0x00, [KC_SIGN_BITS] = 0x80 };
    bool is_scale[1024];
    assert_true(format->block_bytes <= sizeof is_scale);
    find_scale_bytes(format, is_scale);
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *bytes = blocks + b * format->block_bytes;
        bool fixed = kind == KC_ALL_ONES || kind == KC_ALL_ZEROS || kind == KC_SIGN_BITS;
        for (size_t i = 0; i < format->block_bytes; i++) bytes[i] = fixed ? fills[kind] : (uint8_t)kc_random();
        do
            for (size_t i = 0; i < format->block_bytes; i++) {
                if (!is_scale[i]) continue;
                bytes[i] = kind == KC_EXTREME_SCALES ? extremes[kc_random() % sizeof extremes] : (uint8_t)kc_random();
            }
        while (!finite_block(format, bytes));
    }
}

// ---- guarded memory

enum { CANARY_BYTES = 64, CANARY = 0xc5, FRESH = 0x5a, SLOTS_MAX = 1024 };

static struct slot {
    uint8_t *bytes; // capacity bytes between two forbidden pages
    size_t capacity, n_bytes;
    uint8_t *at;
    bool taken;
} slots[SLOTS_MAX];
static size_t n_slots;

static struct slot *new_slot(size_t capacity)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_true(n_slots < SLOTS_MAX);
    uint8_t *all = mmap(NULL, capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(all != MAP_FAILED);
    assert_int_equal(mprotect(all + page, capacity, PROT_READ | PROT_WRITE), 0);
    struct slot *slot = &slots[n_slots++];
    *slot = (struct slot){ .bytes = all + page, .capacity = capacity };
    return slot;
}

void *kc_take(size_t n_bytes, enum kc_place place)
{
    size_t capacity = (size_t)sysconf(_SC_PAGESIZE);
    while (capacity < n_bytes + CANARY_BYTES) capacity *= 2;
    struct slot *slot = NULL;
    for (size_t i = 0; i < n_slots && !slot; i++)
        if (!slots[i].taken && slots[i].capacity == capacity) slot = &slots[i];
    if (!slot) slot = new_slot(capacity);
    slot->taken = true;
    slot->n_bytes = n_bytes;
    slot->at = place == KC_ENDS_AT_GUARD ? slot->bytes + capacity - n_bytes : slot->bytes;
    memset(place == KC_ENDS_AT_GUARD ? slot->at - CANARY_BYTES : slot->at + n_bytes, CANARY, CANARY_BYTES);
    return memset(slot->at, FRESH, n_bytes);
}

void *kc_copy(const void *from, size_t n_bytes, enum kc_place place)
{
    void *memory = kc_take(n_bytes, place);
    if (n_bytes) memcpy(memory, from, n_bytes);
    return memory;
}

void kc_release(void)
{
    for (size_t s = 0; s < n_slots; s++) {
        if (!slots[s].taken) continue;
        slots[s].taken = false;
        bool at_end = slots[s].at + slots[s].n_bytes == slots[s].bytes + slots[s].capacity;
        const uint8_t *canary = at_end ? slots[s].at - CANARY_BYTES : slots[s].at + slots[s].n_bytes;
        for (size_t i = 0; i < CANARY_BYTES; i++)
            if (canary[i] != CANARY)
                fail_msg("%s: wrote beyond an argument of %zu bytes, at byte %td", kc_name(), slots[s].n_bytes,
                         canary + i - slots[s].at);
    }
}

// ---- running

static char case_name[512], full_name[640];
static const char *place_name = "", *level_name = "base";
static sigjmp_buf escape;

void kc_case(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(case_name, sizeof case_name, format, args);
    va_end(args);
    place_name = "";
    level_name = "base";
}

const char *kc_name(void)
{
    snprintf(full_name, sizeof full_name, "%s [level %s%s]", case_name, level_name, place_name);
    return full_name;
}

const struct sc_kernels *kc_base(void) { return sc_kernels_at(0); }

void kc_each_level(kc_run *run, const void *context)
{
    static const char *const places[] = { ", ends at a guard page", ", begins at a guard page" };
    const struct sc_kernels *kernels;
    for (size_t i = 0; (kernels = sc_kernels_at(i)); i++)
        for (int place = 0; place < KC_PLACES && kernels->supported(); place++) {
            level_name = kernels->name;
            place_name = places[place];
            run(kernels, (enum kc_place)place, context);
            kc_release();
        }
}

bool kc_same_float(float a, float b) { return sc_bits_of_f32(a) == sc_bits_of_f32(b) || (a != a && b != b); }

void kc_same_floats(const float *expected, const float *found, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!kc_same_float(expected[i], found[i]))
            fail_msg("%s: %s[%zu] of %zu: expected %a, found %a", kc_name(), what, i, n, (double)expected[i],
                     (double)found[i]);
}

void kc_same_bytes(const void *expected, const void *found, size_t n_bytes, const char *what)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (((const uint8_t *)expected)[i] != ((const uint8_t *)found)[i])
            fail_msg("%s: %s, byte %zu of %zu: expected %02x, found %02x", kc_name(), what, i, n_bytes,
                     ((const uint8_t *)expected)[i], ((const uint8_t *)found)[i]);
}

static void on_fault(int number) { siglongjmp(escape, number); }

void kc_run_protected(void **state)
{
    static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    const struct kc_test *test = *state;
    struct sigaction action = { .sa_handler = on_fault };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SC_COUNT(numbers); i++) sigaction(numbers[i], &action, NULL);
    for (size_t i = 0; i < n_slots; i++) slots[i].taken = false;
    kc_case("before the first case");
    int number = sigsetjmp(escape, 1);
    if (number != 0)
        fail_msg("%s: %s", kc_name(),
                 number == SIGILL ? "an illegal instruction" : "touched memory beyond its arguments");
    test->run();
}
