// Numbers within bounds, as sets of texts: decimals without exponent, compared digit by digit.
//
//   u >= d  (both without sign and leading zeros):   more digits before the point,
//                                                    or as many, and greater at the first that differs,
//                                                    or the same, and then so behind the point
//   u < d   is what is left; negative numbers are a minus sign and the bounds turned round.
//
// Numbers held to bounds have at most 18 digits before the point, and those with a fraction at most 15 in all, so that
// a reader's binary64 keeps their order.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/schema_internal.h"

enum { DIGITS_MAX = 18, EXACT_DIGITS = 15, STEP_STATES_MAX = 20000 };

// A decimal: sign, digits before the point without leading zeros ("0" at least), digits behind without trailing ones.
struct decimal {
    bool negative, is_set, exclusive;
    char whole[64], part[64];
};

// False: too large to be written so.
static bool read_decimal(const json_t *number, struct decimal *d)
{
    char text[64], digits[64];
    d->negative = false;
    if (json_is_integer(number)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(number));
        d->negative = *text == '-';
        snprintf(d->whole, sizeof d->whole, "%s", text + d->negative);
        d->part[0] = '\0';
        return true;
    }
    double value = json_real_value(number);
    for (int precision = 14; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        double read = strtod(text, NULL);
        if (!(read < value) && !(read > value)) break;
    }
    const char *at = text;
    d->negative = *at == '-';
    if (d->negative) at++;
    size_t n = 0;
    for (; *at && *at != 'e'; at++)
        if (*at != '.') digits[n++] = *at;
    long exponent = *at ? strtol(at + 1, NULL, 10) : 0;
    while (n > 1 && digits[n - 1] == '0') n--;
    if (exponent > 40 || exponent < -40) return false;
    size_t n_whole = 0, n_part = 0;
    for (long i = 0; i <= exponent; i++) d->whole[n_whole++] = (size_t)i < n ? digits[i] : '0';
    if (n_whole == 0) d->whole[n_whole++] = '0';
    for (long i = exponent + 1; i < (long)n && n_part < sizeof d->part - 1; i++)
        d->part[n_part++] = i < 0 ? '0' : digits[i];
    while (n_part && d->part[n_part - 1] == '0') n_part--;
    d->whole[n_whole] = d->part[n_part] = '\0';
    return true;
}

static bool is_zero(const struct decimal *d) { return strcmp(d->whole, "0") == 0 && !d->part[0]; }

// ---- texts as nodes

static struct sc_node *digits(struct sc_schema *s, char first, char last, uint32_t min, uint32_t max)
{
    struct sc_char_range range = { (unsigned char)first, (unsigned char)last };
    if (first > last) return sc_node_nothing(s->b);
    return sc_node_repeat(s->b, sc_node_set(s->b, &range, 1, false), min, max);
}

static struct sc_node *join(struct sc_schema *s, struct sc_node *x, struct sc_node *y, struct sc_node *z)
{
    struct sc_node *parts[] = { x, y, z };
    return sc_node_sequence(s->b, parts, z ? 3 : 2);
}

static struct sc_node *text(struct sc_schema *s, const char *from, size_t n)
{
    return sc_node_bytes(s->b, (struct sc_text){ from, n });
}

static struct sc_node *any_part(struct sc_schema *s)
{
    return sc_node_repeat(s->b, join(s, text(s, ".", 1), digits(s, '0', '9', 1, SC_UNBOUNDED), NULL), 0, 1);
}

// Texts behind the whole digits that make the number greater than (or equal to, unless strict) the fraction `part`.
static struct sc_node *greater_part(struct sc_schema *s, const char *part, bool strict)
{
    struct sc_node_list choices = { 0 };
    size_t n = strlen(part);
    struct sc_node *more = digits(s, '0', '9', 0, SC_UNBOUNDED);
    for (size_t i = 0; i < n; i++) {
        struct sc_node *same = join(s, text(s, ".", 1), text(s, part, i), NULL);
        if (part[i] < '9')
            sc_node_list_add(s->b, &choices, join(s, same, digits(s, (char)(part[i] + 1), '9', 1, 1), more));
    }
    struct sc_node *same = join(s, text(s, ".", 1), text(s, part, n), NULL);
    if (strict) sc_node_list_add(s->b, &choices, join(s, join(s, same, more, NULL), digits(s, '1', '9', 1, 1), more));
    else sc_node_list_add(s->b, &choices, n ? join(s, same, more, NULL) : any_part(s));
    return sc_builder_failed(s->b) ? NULL : sc_node_choice(s->b, choices.items, choices.n);
}

// Unsigned numbers that are at least `d`, or greater.
static const struct sc_dfa *at_least(struct sc_schema *s, const struct decimal *d, bool strict)
{
    struct sc_node_list choices = { 0 };
    uint32_t n = (uint32_t)strlen(d->whole);
    sc_node_list_add(s->b, &choices,
                     join(s, digits(s, '1', '9', 1, 1), digits(s, '0', '9', n, SC_UNBOUNDED), any_part(s)));
    for (uint32_t i = 0; i < n; i++) {
        struct sc_node *next = digits(s, (char)(d->whole[i] + 1), '9', 1, 1);
        struct sc_node *rest = join(s, digits(s, '0', '9', n - i - 1, n - i - 1), any_part(s), NULL);
        if (d->whole[i] < '9') sc_node_list_add(s->b, &choices, join(s, text(s, d->whole, i), next, rest));
    }
    sc_node_list_add(s->b, &choices, join(s, text(s, d->whole, n), greater_part(s, d->part, strict), NULL));
    if (sc_builder_failed(s->b)) return NULL;
    return sc_dfa_build(s->b, sc_node_choice(s->b, choices.items, choices.n), NULL, NULL, NULL);
}

// Unsigned numbers as they are written here.
static const struct sc_dfa *written(struct sc_schema *s, uint32_t n_whole, uint32_t n_part)
{
    struct sc_node *choices[] = { text(s, "0", 1),
                                  join(s, digits(s, '1', '9', 1, 1), digits(s, '0', '9', 0, n_whole - 1), NULL) };
    struct sc_node *whole = sc_node_choice(s->b, choices, 2);
    struct sc_node *part = join(s, text(s, ".", 1), digits(s, '0', '9', 1, n_part), NULL);
    struct sc_node *node = n_part ? join(s, whole, sc_node_repeat(s->b, part, 0, 1), NULL) : whole;
    return sc_dfa_build(s->b, node, NULL, NULL, NULL);
}

// ---- multiples of p / 10^k: the remainder of the digits so far

static const struct sc_dfa *multiples(struct sc_schema *s, uint32_t p, uint32_t k)
{
    struct sc_dfa_draft draft = { .b = s->b };
    // States: the start; then a block for the whole digits, a block before each further digit's place, each with p
    // remainders; the point's states come between.
    uint32_t n_blocks = k + 2; // whole digits, after the point, after 1 … k digits
    uint32_t scale[24];
    scale[k] = 1 % p;
    for (uint32_t j = k; j-- > 0;) scale[j] = (uint32_t)((uint64_t)scale[j + 1] * 10 % p);
    sc_draft_state(&draft, false);
    for (unsigned digit = 0; digit < 10; digit++)
        sc_draft_edge(&draft, (uint8_t)('0' + digit), (uint8_t)('0' + digit), 1 + digit % p);
    for (uint32_t block = 0; block < n_blocks && !sc_builder_failed(s->b); block++)
        for (uint32_t r = 0; r < p && !sc_builder_failed(s->b); r++) {
            uint32_t n_digits = block ? block - 1 : 0; // behind the point
            bool divides = (uint64_t)r * scale[n_digits] % p == 0;
            sc_draft_state(&draft, divides && block != 1);
            if (sc_builder_failed(s->b)) break;
            if (block == 0) sc_draft_edge(&draft, '.', '.', 1 + p + r);
            for (unsigned digit = 0; digit < 10; digit++) {
                uint8_t byte = (uint8_t)('0' + digit);
                uint32_t next = (uint32_t)(((uint64_t)r * 10 + digit) % p);
                if (block == 0) sc_draft_edge(&draft, byte, byte, 1 + next);
                else if (n_digits < k) sc_draft_edge(&draft, byte, byte, 1 + (block + 1) * p + next);
                else if (digit == 0) sc_draft_edge(&draft, byte, byte, 1 + (block == 1 ? 1 : block) * p + r);
            }
        }
    return sc_draft_finish(&draft);
}

static const struct sc_dfa *multiples_of(struct sc_schema *s, const struct sc_conjunct *c, const json_t *step)
{
    struct decimal d = { 0 };
    char all[128];
    if (!json_is_number(step) || !(json_number_value(step) > 0.0))
        return sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, "multipleOf", "expected a number above 0");
    bool known = read_decimal(step, &d);
    size_t k = strlen(d.part);
    snprintf(all, sizeof all, "%.60s%.60s", d.whole, d.part);
    uint64_t p = known && strlen(all) <= 19 ? strtoull(all, NULL, 10) : 0;
    if (!known || k > DIGITS_MAX || p == 0 || p * (k + 2) > STEP_STATES_MAX)
        return sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, "multipleOf",
                              "a step of so many digits: its multiples would take more than %d states",
                              STEP_STATES_MAX);
    return multiples(s, (uint32_t)p, (uint32_t)k);
}

// ---- the whole

struct bounds {
    struct decimal low, high;
    const struct sc_dfa *set; // multiples; NULL: all
    bool is_held;             // anything beyond the type was said
};

static bool number_is_above(const json_t *x, const json_t *y)
{
    if (json_is_integer(x) && json_is_integer(y)) return json_integer_value(x) > json_integer_value(y);
    return json_number_value(x) > json_number_value(y);
}

static void read_bound(struct sc_schema *s, const struct sc_conjunct *c, const char *key, struct bounds *b,
                       const json_t *best[2])
{
    const json_t *value = json_object_get(c->schema, key);
    bool upper = strstr(key, "aximum") != NULL, exclusive = key[0] == 'e';
    struct decimal *d = upper ? &b->high : &b->low;
    if (!value) return;
    if (!json_is_number(value)) {
        sc_schema_fail(s, SOCLE_BAD_ARGUMENT, c->pointer, key, "expected a number");
        return;
    }
    b->is_held = true;
    const json_t *old = best[upper];
    bool tighter = !old || (upper ? number_is_above(old, value) : number_is_above(value, old));
    if (!tighter && !number_is_above(old, value) && !number_is_above(value, old)) d->exclusive |= exclusive;
    if (!tighter) return;
    best[upper] = value;
    *d = (struct decimal){ .is_set = true, .exclusive = exclusive };
    if (!read_decimal(value, d))
        sc_schema_fail(s, SOCLE_UNSUPPORTED, c->pointer, key, "a bound of more than 40 digits");
}

static void gather_bounds(struct sc_schema *s, const struct sc_conjunction *all, struct bounds *b)
{
    static const char *const keys[] = { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum" };
    const json_t *best[2] = { NULL, NULL };
    for (size_t i = 0; i < all->n && !sc_builder_failed(s->b); i++) {
        const struct sc_conjunct *c = &all->items[i];
        const json_t *step = json_object_get(c->schema, "multipleOf");
        for (size_t k = 0; k < SC_COUNT(keys); k++) read_bound(s, c, keys[k], b, best);
        const struct sc_dfa *set = step && !sc_builder_failed(s->b) ? multiples_of(s, c, step) : NULL;
        if (!set) continue;
        b->is_held = true;
        b->set = b->set ? sc_dfa_intersect(s->b, b->set, set) : set;
    }
}

// Unsigned texts between two bounds, either of which may be NULL. A negative low bound is none; above a negative high
// bound there is nothing.
static const struct sc_dfa *between(struct sc_schema *s, const struct sc_dfa *all, const struct decimal *low,
                                    bool low_exclusive, const struct decimal *high, bool high_exclusive)
{
    if (low && !low->negative) all = sc_dfa_intersect(s->b, all, at_least(s, low, low_exclusive));
    if (high && high->negative && !is_zero(high)) return sc_dfa_subtract(s->b, all, all);
    if (high) all = sc_dfa_subtract(s->b, all, at_least(s, high, !high_exclusive));
    return all;
}

static const struct sc_dfa *leave_out_denied(struct sc_schema *s, const struct sc_conjunction *all,
                                             const struct sc_dfa *set, bool negative, bool *denied_any)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct sc_conjunct *c = &all->items[i];
        const json_t *negated = c->done & SC_DONE_NOT ? NULL : json_object_get(c->schema, "not");
        const json_t *one = json_object_get(negated, "const"), *values = json_object_get(negated, "enum");
        for (size_t k = 0; k < (one ? 1 : json_array_size(values)) && !sc_builder_failed(s->b); k++) {
            const json_t *value = one ? one : json_array_get(values, k);
            struct decimal d = { 0 };
            if (!json_is_number(value)) continue;
            *denied_any = true;
            if (!set || !read_decimal(value, &d) || (d.negative != negative && !is_zero(&d))) continue;
            const struct sc_dfa *equal = sc_dfa_subtract(s->b, at_least(s, &d, false), at_least(s, &d, true));
            set = sc_dfa_subtract(s->b, set, equal);
        }
    }
    return set;
}

// Unsigned numbers that are not integers.
static const struct sc_dfa *fractions(struct sc_schema *s)
{
    struct sc_node *any = digits(s, '0', '9', 0, SC_UNBOUNDED);
    struct sc_node *part = join(s, any, digits(s, '1', '9', 1, 1), any);
    return sc_dfa_build(s->b, join(s, any, text(s, ".", 1), part), NULL, NULL, NULL);
}

struct sc_node *sc_schema_number(struct sc_schema *s, const struct sc_conjunction *all, unsigned types)
{
    bool integers_only = types == SC_TYPE_INTEGER;
    struct bounds b = { .is_held = types == SC_TYPE_FRACTION };
    gather_bounds(s, all, &b);
    leave_out_denied(s, all, NULL, false, &b.is_held);
    if (sc_builder_failed(s->b)) return NULL;
    if (!b.is_held) return integers_only ? sc_json_integer(s->b) : sc_json_number(s->b);
    uint32_t n_whole = DIGITS_MAX, n_part = 0;
    if (!integers_only) {
        uint32_t low = (uint32_t)strlen(b.low.whole), high = (uint32_t)strlen(b.high.whole);
        n_whole = SC_MIN(SC_MAX(SC_MAX(low, high), 9u), (uint32_t)EXACT_DIGITS);
        n_part = EXACT_DIGITS - n_whole;
        uint32_t said = (uint32_t)SC_MAX(strlen(b.low.part), strlen(b.high.part));
        if (said > n_part)
            return sc_schema_fail(s, SOCLE_UNSUPPORTED, all->items[0].pointer, b.low.part[0] ? "minimum" : "maximum",
                                  "bounds of more than %d digits", EXACT_DIGITS);
    }
    const struct sc_dfa *form = written(s, n_whole, n_part);
    if (b.set) form = sc_dfa_intersect(s->b, form, b.set);
    if (types == SC_TYPE_FRACTION) form = sc_dfa_intersect(s->b, form, fractions(s));
    struct decimal zero = { .whole = "0" }, *low = b.low.is_set ? &b.low : NULL, *high = b.high.is_set ? &b.high : NULL;
    const struct sc_dfa *positive = between(s, form, low, b.low.exclusive, high, b.high.exclusive);
    // Of a negative number, the bounds hold with sign and order turned round, and it is not zero.
    struct decimal least = b.high, most = b.low;
    least.negative = !b.high.negative;
    most.negative = !b.low.negative;
    const struct sc_dfa *below = between(s, form, &zero, true, NULL, false);
    if (high) below = between(s, below, is_zero(&b.high) ? NULL : &least, b.high.exclusive, NULL, false);
    if (low)
        below = is_zero(&b.low) ? sc_dfa_subtract(s->b, below, below)
                                : between(s, below, NULL, false, &most, b.low.exclusive);
    positive = leave_out_denied(s, all, positive, false, &b.is_held);
    below = leave_out_denied(s, all, below, true, &b.is_held);
    if (sc_builder_failed(s->b)) return NULL;
    struct sc_node *choices[2];
    size_t n = 0;
    if (!sc_dfa_is_empty(positive)) choices[n++] = sc_node_dfa(s->b, positive);
    if (!sc_dfa_is_empty(below)) choices[n++] = join(s, text(s, "-", 1), sc_node_dfa(s->b, below), NULL);
    return sc_node_choice(s->b, choices, n);
}
