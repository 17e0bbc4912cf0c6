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

// The canaries around what was taken, as far as they lie before the pages.
static uint8_t *canaries_before(const struct slot *slot, size_t *n)
{
    *n = SC_MIN((size_t)(slot->at - slot->bytes), (size_t)CANARY_BYTES);
    return slot->at - *n;
}

static uint8_t *canaries_after(const struct slot *slot, size_t *n)
{
    uint8_t *end = slot->at + slot->n_bytes;
    *n = SC_MIN((size_t)(slot->bytes + slot->capacity - end), (size_t)CANARY_BYTES);
    return end;
}

static void *take(size_t n_bytes, size_t alignment, enum kc_place place)
{
    size_t capacity = (size_t)sysconf(_SC_PAGESIZE), n;
    while (capacity < n_bytes + CANARY_BYTES + alignment) capacity *= 2;
    struct slot *slot = NULL;
    for (size_t i = 0; i < n_slots && !slot; i++)
        if (!slots[i].taken && slots[i].capacity == capacity) slot = &slots[i];
    if (!slot) slot = new_slot(capacity);
    slot->taken = true;
    slot->n_bytes = n_bytes;
    slot->at = slot->bytes + (place == KC_ENDS_AT_GUARD ? (capacity - n_bytes) / alignment * alignment : 0);
    uint8_t *before = canaries_before(slot, &n);
    memset(before, CANARY, n);
    uint8_t *after = canaries_after(slot, &n);
    memset(after, CANARY, n);
    return memset(slot->at, FRESH, n_bytes);
}

void *kc_take(size_t n_bytes, enum kc_place place) { return take(n_bytes, 1, place); }
void *kc_take_aligned(size_t n_bytes, enum kc_place place) { return take(n_bytes, 64, place); }

void *kc_copy(const void *from, size_t n_bytes, enum kc_place place)
{
    void *memory = kc_take(n_bytes, place);
    if (n_bytes) memcpy(memory, from, n_bytes);
    return memory;
}

static void check_canaries(const struct slot *slot, const uint8_t *canary, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (canary[i] != CANARY)
            fail_msg("%s: wrote beyond an argument of %zu bytes, at byte %td", kc_name(), slot->n_bytes,
                     canary + i - slot->at);
}

void kc_release(void)
{
    for (size_t s = 0; s < n_slots; s++) {
        size_t n;
        if (!slots[s].taken) continue;
        slots[s].taken = false;
        const uint8_t *before = canaries_before(&slots[s], &n);
        check_canaries(&slots[s], before, n);
        const uint8_t *after = canaries_after(&slots[s], &n);
        check_canaries(&slots[s], after, n);
    }
}

// ---- packed weights and activations

void *kc_reserve(size_t n_bytes)
{
    void *memory = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(memory);
    return memset(memory, FRESH, n_bytes ? n_bytes : 1);
}

size_t kc_packed_bytes(const struct sc_format *format, size_t n_rows, size_t k, size_t group_bytes)
{
    return (n_rows - 1) / SC_GROUP_ROWS * group_bytes + sc_packed_group_bytes(format, k);
}

uint8_t *kc_pack(const struct sc_format *format, const void *rows, size_t row_stride, size_t n_rows, size_t k,
                 size_t group_bytes)
{
    size_t n_bytes = sc_align_up(kc_packed_bytes(format, n_rows, k, group_bytes), 64);
    uint8_t *groups = aligned_alloc(64, n_bytes);
    assert_non_null(groups);
    memset(groups, 0xff, n_bytes);
    for (size_t row = 0; row < n_rows; row += SC_GROUP_ROWS)
        sc_pack_group(format, (const uint8_t *)rows + row * row_stride, row_stride,
                      SC_MIN(n_rows - row, (size_t)SC_GROUP_ROWS), k, groups + row / SC_GROUP_ROWS * group_bytes);
    return groups;
}

static size_t q_bytes(size_t k, size_t n) { return (k + 3) / 4 * 4 * n; }
static size_t d_bytes(size_t k, size_t n) { return (k + SC_SEGMENT - 1) / SC_SEGMENT * n * sizeof(float); }
static size_t sums_bytes(size_t k, size_t n) { return k / 16 * n * sizeof(int16_t); }

static size_t most_bytes(size_t k) { return (k + SC_SEGMENT - 1) / SC_SEGMENT * sizeof(int16_t); }

static struct kc_panels panels_without_memory(size_t k, size_t n_columns)
{
    struct kc_panels p = { k, n_columns, (n_columns + SC_PANEL - 1) / SC_PANEL, { { 0 } } };
    for (size_t i = 0; i < p.n; i++) p.at[i].n = SC_MIN(n_columns - i * SC_PANEL, (size_t)SC_PANEL);
    return p;
}

struct kc_panels kc_panels_new(size_t k, size_t n_columns)
{
    struct kc_panels p = panels_without_memory(k, n_columns);
    for (size_t i = 0; i < p.n; i++) {
        p.at[i].q = kc_reserve(q_bytes(k, p.at[i].n));
        p.at[i].d = kc_reserve(d_bytes(k, p.at[i].n));
        p.at[i].sums = kc_reserve(sums_bytes(k, p.at[i].n));
        p.at[i].most = kc_reserve(most_bytes(k));
        memset(p.at[i].most, 0, most_bytes(k));
    }
    return p;
}

struct kc_panels kc_panels_take(size_t k, size_t n_columns, enum kc_place place)
{
    struct kc_panels p = panels_without_memory(k, n_columns);
    for (size_t i = 0; i < p.n; i++) {
        p.at[i].q = kc_take(q_bytes(k, p.at[i].n), place);
        p.at[i].d = kc_take(d_bytes(k, p.at[i].n), place);
        p.at[i].sums = kc_take(sums_bytes(k, p.at[i].n), place);
        p.at[i].most = kc_take(most_bytes(k), place);
    }
    return p;
}

struct kc_panels kc_panels_copy(const struct kc_panels *from, enum kc_place place)
{
    struct kc_panels p = kc_panels_take(from->k, from->n_columns, place);
    for (size_t i = 0; i < p.n; i++) {
        memcpy(p.at[i].q, from->at[i].q, q_bytes(p.k, p.at[i].n));
        memcpy(p.at[i].d, from->at[i].d, d_bytes(p.k, p.at[i].n));
        memcpy(p.at[i].sums, from->at[i].sums, sums_bytes(p.k, p.at[i].n));
        memcpy(p.at[i].most, from->at[i].most, most_bytes(p.k));
    }
    return p;
}

void kc_panels_free(struct kc_panels *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->at[i].q);
        free(p->at[i].d);
        free(p->at[i].sums);
        free(p->at[i].most);
    }
}

void kc_panels_same(const struct kc_panels *expected, const struct kc_panels *found)
{
    for (size_t i = 0; i < expected->n; i++) {
        const struct sc_panel *a = &expected->at[i], *b = &found->at[i];
        kc_same_bytes(a->q, b->q, q_bytes(expected->k, a->n), "q");
        kc_same_floats(a->d, b->d, d_bytes(expected->k, a->n) / sizeof(float), "d");
        kc_same_bytes(a->sums, b->sums, sums_bytes(expected->k, a->n), "sums");
        kc_same_bytes(a->most, b->most, most_bytes(expected->k), "most");
    }
}

static int8_t *q_at(const struct kc_panels *p, size_t c, size_t i)
{
    const struct sc_panel *panel = &p->at[c / SC_PANEL];
    return &panel->q[(i / 4 * panel->n + c % SC_PANEL) * 4 + i % 4];
}

static float *d_at(const struct kc_panels *p, size_t c, size_t segment)
{
    return &p->at[c / SC_PANEL].d[segment * p->at[c / SC_PANEL].n + c % SC_PANEL];
}

static int16_t *sum_at(const struct kc_panels *p, size_t c, size_t sixteen)
{
    return &p->at[c / SC_PANEL].sums[sixteen * p->at[c / SC_PANEL].n + c % SC_PANEL];
}

void kc_panels_put(const struct kc_panels *p, size_t c, const int8_t *q, const float *d)
{
    for (size_t i = 0; i < sc_align_up(p->k, 4); i++) *q_at(p, c, i) = i < p->k ? q[i] : 0;
    for (size_t i = 0; i < p->k; i += SC_SEGMENT) *d_at(p, c, i / SC_SEGMENT) = d[i / SC_SEGMENT];
    for (size_t i = 0; i < p->k / 16; i++) {
        int sum = 0;
        for (size_t j = 0; j < 16; j++) sum += q[16 * i + j];
        *sum_at(p, c, i) = (int16_t)sum;
        int size = 0;
        for (size_t j = 0; j < 16; j++) size += abs(q[16 * i + j]);
        int16_t *most = &p->at[c / SC_PANEL].most[16 * i / SC_SEGMENT];
        if (size > *most) *most = (int16_t)size;
    }
}

int kc_panels_q(const struct kc_panels *p, size_t c, size_t i) { return *q_at(p, c, i); }
float kc_panels_d(const struct kc_panels *p, size_t c, size_t segment) { return *d_at(p, c, segment); }
int kc_panels_sum(const struct kc_panels *p, size_t c, size_t sixteen) { return *sum_at(p, c, sixteen); }

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
