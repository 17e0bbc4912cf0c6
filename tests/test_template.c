// The chat-template interpreter: against what Jinja2 itself made of small templates (data/jinja_cases.json) and of real
// chat templates (the fixtures), its bounds, and templates that mean harm.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/size.h"
#include "text/template.h"

static const char pinned[] = "2026-01-15T12:00:00";

// Parses and renders; fills either *out or *err.
static socle_status render(struct sc_text source, const json_t *inputs, const struct sc_template_options *options,
                           struct sc_buffer *out, socle_error *err)
{
    struct sc_template *template;
    socle_status status = sc_template_parse(source, &template, err);
    if (status == SOCLE_OK) status = sc_template_render(template, inputs, options, out, err);
    sc_template_free(template);
    return status;
}

static struct sc_template_options defaults(void)
{
    return (struct sc_template_options){ sc_template_default_limits, pinned };
}

static void expect_text(const char *source, const json_t *inputs, const char *expected)
{
    struct sc_buffer out = { 0 };
    socle_error err;
    struct sc_template_options options = defaults();
    if (render(sc_text_of(source), inputs, &options, &out, &err) != SOCLE_OK) fail_msg("%s: %s", source, err.message);
    if (strcmp(out.data ? out.data : "", expected) != 0) fail_msg("%s gives \"%s\"", source, out.data);
    sc_buffer_free(&out);
}

// Expects SOCLE_BAD_TEMPLATE with a message that contains `says`.
static void expect_error_under(struct sc_text source, const json_t *inputs, const struct sc_template_options *options,
                               const char *says)
{
    struct sc_buffer out = { 0 };
    socle_error err = { 0 };
    socle_status status = render(source, inputs, options, &out, &err);
    if (status != SOCLE_BAD_TEMPLATE)
        fail_msg("%.60s: status %d instead of an error with \"%s\"", source.data, status, says);
    if (!strstr(err.message, says)) fail_msg("%.60s: \"%s\" does not say \"%s\"", source.data, err.message, says);
    assert_null(out.data);
}

static void expect_error(const char *source, const char *says)
{
    struct sc_template_options options = defaults();
    expect_error_under(sc_text_of(source), NULL, &options, says);
}

// ---- Against Jinja2 ----

// Does a row's result agree? Rows have "output", or "says" (what the message must contain), or "error".
static bool agrees(const char *name, struct sc_text source, const json_t *inputs, const json_t *row)
{
    struct sc_buffer out = { 0 };
    socle_error err = { 0 };
    struct sc_template_options options = defaults();
    socle_status status = render(source, inputs, &options, &out, &err);
    const json_t *output = json_object_get(row, "output");
    const char *says = json_string_value(json_object_get(row, "says"));
    bool ok;
    if (output)
        ok = status == SOCLE_OK &&
             sc_text_equal((struct sc_text){ out.data, out.n_bytes },
                           (struct sc_text){ json_string_value(output), json_string_length(output) });
    else ok = status == SOCLE_BAD_TEMPLATE && (!says || strstr(err.message, says));
    if (!ok)
        print_error("%s\n  expected: %s\n  got:      %s\n", name,
                    output ? json_string_value(output)
                    : says ? says
                           : "an error",
                    status == SOCLE_OK ? (out.data ? out.data : "") : err.message);
    sc_buffer_free(&out);
    return ok;
}

static void test_small_cases(void **state)
{
    (void)state;
    json_error_t problem;
    json_t *file = json_load_file(SC_SOURCE_ROOT "/tests/data/jinja_cases.json", JSON_ALLOW_NUL, &problem);
    if (!file) fail_msg("jinja_cases.json: %s", problem.text);
    size_t i, n_bad = 0;
    json_t *row;
    json_array_foreach (json_object_get(file, "cases"), i, row) {
        const json_t *source = json_object_get(row, "template");
        struct sc_text text = { json_string_value(source), json_string_length(source) };
        n_bad += !agrees(text.data, text, json_object_get(file, "inputs"), row);
    }
    print_message("%zu small cases\n", i);
    json_decref(file);
    assert_int_equal(n_bad, 0);
}

static bool read_file(const char *path, struct sc_buffer *out)
{
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    char bytes[4096];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;) sc_buffer_append(out, bytes, n);
    fclose(file);
    return true;
}

static void test_real_templates(void **state)
{
    (void)state;
    const char *root = getenv("SOCLE_FIXTURES");
    char folder[2000], path[2300];
    snprintf(folder, sizeof folder, "%s/templates", root ? root : SC_SOURCE_ROOT "/../shared/fixtures");
    snprintf(path, sizeof path, "%s/cases.jsonl", folder);
    struct sc_buffer cases = { 0 };
    if (!read_file(path, &cases)) {
        print_message("no %s: skipped\n", path);
        skip();
    }
    size_t n = 0, n_bad = 0;
    for (char *line = cases.data, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        json_t *row = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(row);
        const char *name = json_string_value(json_object_get(row, "template"));
        const char *error = json_string_value(json_object_get(row, "error"));
        struct sc_buffer source = { 0 };
        snprintf(path, sizeof path, "%s/%.200s", folder, name);
        assert_true(read_file(path, &source));
        // "UndefinedError: 'x' is undefined": the sentence has to be the same.
        if (error && strstr(error, ": ")) json_object_set_new(row, "says", json_string(strstr(error, ": ") + 2));
        snprintf(path, sizeof path, "%.200s, %s", name, json_string_value(json_object_get(row, "case")));
        n_bad += !agrees(path, (struct sc_text){ source.data, source.n_bytes }, json_object_get(row, "inputs"), row);
        sc_buffer_free(&source);
        json_decref(row);
    }
    print_message("%zu rows of real templates\n", n);
    sc_buffer_free(&cases);
    assert_int_equal(n_bad, 0);
}

// ---- What the interface promises ----

static void test_interface(void **state)
{
    (void)state;
    socle_error err = { 0 };
    struct sc_buffer out = { 0 };
    expect_text("", NULL, "");
    expect_text("{{ x is defined }}", NULL, "False");
    // The text is appended; a failure leaves what was there.
    sc_buffer_append_string(&out, "kept ");
    assert_int_equal(render(sc_text_of("a{{ 1 }}"), NULL, NULL, &out, NULL), SOCLE_OK);
    assert_string_equal(out.data, "kept a1");
    assert_int_equal(render(sc_text_of("b{{ 1 / 0 }}"), NULL, NULL, &out, &err), SOCLE_BAD_TEMPLATE);
    assert_int_equal(err.status, SOCLE_BAD_TEMPLATE);
    assert_string_equal(out.data, "kept a1");
    assert_int_equal(render(sc_text_of("{{"), NULL, NULL, &out, NULL), SOCLE_BAD_TEMPLATE);
    sc_buffer_free(&out);
    json_t *list = json_array();
    struct sc_template_options options = defaults();
    expect_error_under(sc_text_of("x"), list, &options, "must be an object");
    json_decref(list);
    sc_template_free(NULL);
}

static void test_line_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *source, *says;
    } rows[] = {
        { "a\nb\n{{ 1 / 0 }}", "template line 3: division by zero" },
        { "\r\n\r\n{{ x.y }}", "template line 3: 'x' is undefined" },
        { "{# a\nb #}\n{% if x.y %}{% endif %}", "template line 3: 'x' is undefined" },
        { "{{ 'a\nb' }}\n{{ ) }}", "template line 3: unexpected ')'" },
        { "{% if 1 %}\n\n", "template line 2: the template ends where 'endif' was expected" },
        { "a\n{%- if 1 -%}\n\n\n{{ 1 +\n\n'a' }}{% endif %}", "template line 5: unsupported operand" },
        { "{% macro m() %}\n{{ 1 / 0 }}\n{% endmacro %}\n{{ m() }}", "template line 2: division by zero" },
        { "\n{{ raise_exception('first\nline') }}", "template line 2: first?line" },
        { "{% raw %}\n\n{% endraw %}{{ x() }}", "template line 3: 'x' is undefined" },
    };
    for (size_t i = 0; i < SC_COUNT(rows); i++) expect_error(rows[i].source, rows[i].says);
}

static void test_clock(void **state)
{
    (void)state;
    struct sc_template_options options = { sc_template_default_limits, "2024-02-29" };
    static const struct {
        const char *now, *format, *expected;
    } rows[] = {
        { "2024-02-29", "%j %A %V %H", "060 Thursday 09 00" },
        { "2021-01-03T23:59:59", "%G-W%V-%u %I:%M:%S %p %U %W", "2020-W53-7 11:59:59 PM 01 00" },
        { "2018-12-31 06:07:08", "%G %V %-I %e%k|%l|%y%C", "2019 01 6 31 6| 6|1820" },
        { "2026-01-15T12:00:00", "%d %b %Y%%%Q%", "15 Jan 2026%%Q%" },
        { "2026-01-15T12:00:00", "%é %^a %_d %-m %F", "%é THU 15 1 2026-01-15" },
    };
    for (size_t i = 0; i < SC_COUNT(rows); i++) {
        struct sc_buffer out = { 0 };
        json_t *inputs = json_pack("{s:s}", "f", rows[i].format);
        options.now = rows[i].now;
        assert_int_equal(render(sc_text_of("{{ strftime_now(f) }}"), inputs, &options, &out, NULL), SOCLE_OK);
        assert_string_equal(out.data, rows[i].expected);
        sc_buffer_free(&out);
        json_decref(inputs);
    }
    options.now = "yesterday";
    expect_error_under(sc_text_of("{{ strftime_now('%Y') }}"), NULL, &options, "yesterday");
    // The local time has four digits of a year, whatever it is.
    struct sc_buffer out = { 0 };
    assert_int_equal(render(sc_text_of("{{ strftime_now('%Y')|length }}"), NULL, NULL, &out, NULL), SOCLE_OK);
    assert_string_equal(out.data, "4");
    sc_buffer_free(&out);
}

static void test_not_utf8(void **state)
{
    (void)state;
    struct sc_template_options options = defaults();
    expect_error("a\xFFz", "not UTF-8 at byte 1");
    json_t *inputs = json_pack("{s:o}", "x", json_stringn_nocheck("\xC3", 1));
    expect_error_under(sc_text_of("{{ x }}"), inputs, &options, "not UTF-8");
    json_decref(inputs);
    expect_error("{{ '\\ud800' }}", "bad escape");
    // A NUL is a character like any other.
    inputs = json_pack("{s:o}", "x", json_stringn("a\0b", 3));
    expect_text("{{ x|length }}{{ x|tojson }}{{ [x] }}", inputs, "3\"a\\u0000b\"['a\\x00b']");
    json_decref(inputs);
}

// What differs from Jinja2 by intent.
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *source, *says;
    } rows[] = {
        { "{{ [1]|random }}", "'random' is refused" },
        { "{{ lipsum() }}", "'lipsum' is refused" },
        { "{{ 9223372036854775807 + 1 }}", "does not fit 64 bits" },
        { "{{ 9223372036854775808 }}", "does not fit 64 bits" },
        { "{{ 2 ** 64 }}", "does not fit 64 bits" },
        { "{{ (0 - 9223372036854775807 - 1) // -1 }}", "does not fit 64 bits" },
        { "{{ -(0 - 9223372036854775807 - 1) }}", "does not fit 64 bits" },
        { "{{ (0 - 9223372036854775807 - 1)|abs }}", "does not fit 64 bits" },
        { "{% include 'a' %}", "reads other templates" },
        { "{% autoescape true %}x{% endautoescape %}", "only \"autoescape false\"" },
        { "{{ x.__class__ }}", "'x' is undefined" },
        { "{{ ''.__class__.__mro__ }}", "unsafe" },
        { "{{ [].append(1) }}", "unsafe" },
        { "{{ {}.update(a=1) }}", "unsafe" },
        { "{{ '\\N{BULLET}' }}", "bad escape" },
    };
    for (size_t i = 0; i < SC_COUNT(rows); i++) expect_error(rows[i].source, rows[i].says);
    expect_text("{{ (0 - 9223372036854775807 - 1) % -1 }}{{ ''.__class__ }}", NULL, "0");
}

// ---- Bounds ----

static void test_each_limit(void **state)
{
    (void)state;
    static const char nested[] = "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}";
    static const char turns[] = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}";
    static const char growth[] =
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    static const char output[] = "{% for i in range(1000) %}0123456789{% endfor %}";
    struct sc_template_options options = defaults();
    options.limits.n_steps_max = 10000;
    expect_error_under(sc_text_of(turns), NULL, &options, "more than 10000 steps (n_steps_max)");
    options = defaults();
    options.limits.depth_max = 100;
    expect_error_under(sc_text_of(nested), NULL, &options, "depth_max");
    options = defaults();
    options.limits.memory_bytes_max = 100000;
    expect_error_under(sc_text_of(growth), NULL, &options, "100000 bytes of memory (memory_bytes_max)");
    options = defaults();
    options.limits.output_bytes_max = 9999;
    expect_error_under(sc_text_of(output), NULL, &options, "9999 bytes of text (output_bytes_max)");
    options.limits.output_bytes_max = 10000;
    struct sc_buffer out = { 0 };
    assert_int_equal(render(sc_text_of(output), NULL, &options, &out, NULL), SOCLE_OK);
    assert_int_equal(out.n_bytes, 10000);
    sc_buffer_free(&out);
    memset(&options.limits, 0, sizeof options.limits);
    expect_error_under(sc_text_of("x"), NULL, &options, "");
}

// A source of one piece many times over, with something before and after it.
static void expect_repeated_error(const char *before, const char *piece, size_t n, const char *after, const char *says)
{
    struct sc_buffer source = { 0 };
    struct sc_template_options options = defaults();
    sc_buffer_append_string(&source, before);
    for (size_t i = 0; i < n; i++) sc_buffer_append_string(&source, piece);
    sc_buffer_append_string(&source, after);
    expect_error_under((struct sc_text){ source.data, source.n_bytes }, NULL, &options, says);
    sc_buffer_free(&source);
}

static void test_deep_sources(void **state)
{
    (void)state;
    static const struct {
        const char *before, *piece, *after, *says;
    } rows[] = {
        { "{{ ", "(", "", "inside each other" },
        { "{{ ", "[", "", "inside each other" },
        { "{{ ", "{1:", "", "inside each other" },
        { "{{ ", "{", "", "inside each other" },
        { "{{ ", "not ", "1 }}", "inside each other" },
        { "{{ ", "-", "1 }}", "inside each other" },
        { "{{ ", "- -", "1 }}", "inside each other" },
        { "{{ a", "[a", "", "inside each other" },
        { "{{ a", "(a", "", "inside each other" },
        { "{{ 1", " if 1 else 1", " }}", "inside each other" },
        { "{{ 1", " is eq(1", "", "inside each other" },
        { "{{ a", ".a", " }}", "more than 500 steps" },
        { "{{ a", "[0]", " }}", "more than 500 steps" },
        { "{{ a", "()", " }}", "more than 500 steps" },
        { "{{ a", "|list", " }}", "more than 500 steps" },
        { "{{ 1", "+1", " }}", "more than 500 steps" },
        { "{{ 1", "**1", " }}", "more than 500 steps" },
        { "{{ 1", " or 0", " }}", "more than 500 steps" },
        { "{{ 1", " if 1", " }}", "more than 500 steps" },
        { "", "{% if 1 %}", "", "inside each other" },
        { "", "{% for a in b %}", "", "inside each other" },
        { "", "{% macro a() %}", "", "inside each other" },
        { "", "{% filter list %}", "", "inside each other" },
        { "{% set ", "(", "", "inside each other" },
        { "{% for ", "(", "", "inside each other" },
    };
    for (size_t i = 0; i < SC_COUNT(rows); i++)
        expect_repeated_error(rows[i].before, rows[i].piece, 50000, rows[i].after, rows[i].says);
    expect_repeated_error("", "x", SC_TEMPLATE_SOURCE_BYTES_MAX + 1, "", "more than the limit");
    expect_repeated_error("{{ ", "9", 1000, " }}", "digits");
    // Many names: {{ f(a0=1,a1=1,...) }} and {{ a0 a1 ... }}.
    static const struct {
        const char *before, *says;
    } names[] = {
        { "{{ f(", "more than 1000 named arguments" },
        { "", "more than 10000 names" },
    };
    for (size_t i = 0; i < SC_COUNT(names); i++) {
        struct sc_buffer source = { 0 };
        char piece[40];
        struct sc_template_options options = defaults();
        sc_buffer_append_string(&source, names[i].before);
        for (int k = 0; k < 20000; k++) {
            snprintf(piece, sizeof piece, i ? "{%% set a%d = 1 %%}" : "a%d=1,", k);
            sc_buffer_append_string(&source, piece);
        }
        expect_error_under((struct sc_text){ source.data, source.n_bytes }, NULL, &options, names[i].says);
        sc_buffer_free(&source);
    }
}

// Long but flat sources are fine.
static void test_long_sources(void **state)
{
    (void)state;
    static const struct {
        const char *before, *piece, *after;
        size_t n, n_out;
    } rows[] = {
        { "", "{% if 1 %}x{% endif %}", "", 10000, 10000 },
        { "{{ 'x'", " ~ 'x'", " }}", 10000, 10001 },
        { "{{ '", "x", "' }}", 100000, 100000 },
        { "{{ [1", ",1", "]|length }}", 10000, 5 },
        { "{% if 0 %}", "{% elif 0 %}", "{% else %}yes{% endif %}", 10000, 3 },
        { "{{ 1", " < 2", " }}", 10000, 5 },
        { "", "{# c #}y", "", 10000, 10000 },
    };
    for (size_t i = 0; i < SC_COUNT(rows); i++) {
        struct sc_buffer source = { 0 }, out = { 0 };
        socle_error err = { 0 };
        sc_buffer_append_string(&source, rows[i].before);
        for (size_t k = 0; k < rows[i].n; k++) sc_buffer_append_string(&source, rows[i].piece);
        sc_buffer_append_string(&source, rows[i].after);
        if (render((struct sc_text){ source.data, source.n_bytes }, NULL, NULL, &out, &err) != SOCLE_OK)
            fail_msg("%.40s: %s", source.data, err.message);
        assert_int_equal(out.n_bytes, rows[i].n_out);
        sc_buffer_free(&source);
        sc_buffer_free(&out);
    }
}

// Templates that ask for too much; each must end soon with an error that names the bound.
static void test_hostile_templates(void **state)
{
    (void)state;
    static const struct {
        const char *source, *says;
    } rows[] = {
        { "{{ 'a' * 10000000000 }}", "output_bytes_max" },
        { "{{ [1] * 10000000000 }}", "" },
        { "{{ (1, 2) * 9223372036854775807 }}", "" },
        { "{{ 'x'|center(1000000000000) }}", "output_bytes_max" },
        { "{{ 'x'.ljust(9223372036854775807) }}", "output_bytes_max" },
        { "{{ 'x'.zfill(9223372036854775807) }}", "output_bytes_max" },
        { "{{ '\\t'.expandtabs(9223372036854775807) }}", "output_bytes_max" },
        { "{{ 'a\\nb'|indent(9223372036854775807) }}", "output_bytes_max" },
        { "{{ [1]|tojson(indent=9223372036854775807) }}", "output_bytes_max" },
        { "{{ '%999999999d' % 1 }}", "output_bytes_max" },
        { "{{ '%99999999999999999999d' % 1 }}", "too big" },
        { "{{ '%*d' % (9223372036854775807, 1) }}", "output_bytes_max" },
        { "{{ '%.999999999f' % 1.0 }}", "digits after the point" },
        { "{{ '{:999999999}'.format(1) }}", "output_bytes_max" },
        { "{{ '{:99999999999}'.format(1) }}", "too many decimal digits" },
        { "{{ '{:.999999}'.format(1.5) }}", "digits after the point" },
        { "{{ range(1000000000) }}", "Range too big" },
        { "{{ range(-9223372036854775807, 9223372036854775807) }}", "Range too big" },
        { "{{ [1]|batch(9223372036854775807, 0)|list }}", "" },
        { "{{ [1]|slice(9223372036854775807)|list }}", "" },
        { "{{ ('a' * 5000000)|replace('a', 'b' * 1000) }}", "output_bytes_max" },
        { "{{ ('a' * 1000000)|map('replace', 'a', 'b' * 1000)|join }}", "" },
        { "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "depth_max" },
        { "{% macro f() %}{% call f() %}{% endcall %}{{ caller }}{% endmacro %}{% call f() %}{% endcall %}",
          "depth_max" },
        { "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "depth_max" },
        { "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
          "depth_max" },
        { "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}"
          "{{ ns.x|tojson }}",
          "depth_max" },
        { "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}"
          "{{ ns.x|pprint }}",
          "depth_max" },
        { "{% set ns = namespace(x=(), y=()) %}{% for i in range(5000) %}"
          "{% set ns.x = (ns.x,) %}{% set ns.y = (ns.y,) %}"
          "{% endfor %}{{ ns.x == ns.y }}",
          "depth_max" },
        { "{% set ns = namespace(x=(), y=()) %}{% for i in range(5000) %}"
          "{% set ns.x = (ns.x,) %}{% set ns.y = (ns.y,) %}"
          "{% endfor %}{{ ns.x < ns.y }}",
          "depth_max" },
        { "{% set ns = namespace(x=()) %}{% for i in range(5000) %}{% set ns.x = (ns.x,) %}{% endfor %}{{ {ns.x: 1} }}",
          "depth_max" },
        { "{% set ns = namespace(x=(), y=()) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}"
          "{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ ns.x == ns.y }}",
          "n_steps_max" },
        { "{% set ns = namespace(x=()) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}"
          "{{ {ns.x: 1} }}",
          "n_steps_max" },
        { "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
          "output_bytes_max" },
        { "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
          "memory_bytes_max" },
        { "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
          "memory_bytes_max" },
        { "{% set a = 'a' * 1000000 %}{% set b = a ~ 'b' %}{% for i in range(99999) %}{{ b in a }}{% endfor %}",
          "n_steps_max" },
        { "{% set a = 'a' * 1000000 %}{% set b = 'b' ~ a[500000:] %}{{ a.rfind(b) }}"
          "{% set b = 'a' * 400000 ~ 'b' ~ 'a' * 100000 %}"
          "{{ a.rfind(b) }}",
          "n_steps_max" },
        { "{% set a = 'a' * 1000000 %}{{ a.strip('b' * 1000000 ~ 'a')|length }}", "n_steps_max" },
        { "{% set a = range(99999)|list %}{% for i in a %}{{ -1 in a }}{% endfor %}", "n_steps_max" },
        { "{% set a = 'é' * 1000000 %}{% for i in range(99999) %}{% set x = a[999999] %}{% endfor %}", "n_steps_max" },
        { "{{ '{0.__class__.__mro__}'.format('') }}", "unsafe" },
        { "{{ ('{' * 99999).format() }}", "'}'" },
    };
    for (size_t i = 0; i < SC_COUNT(rows); i++) expect_error(rows[i].source, rows[i].says);
}

static void test_deep_inputs(void **state)
{
    (void)state;
    struct sc_template_options options = defaults();
    json_t *inputs = json_object(), *at = inputs;
    for (int i = 0; i < 3000; i++) {
        json_t *inner = json_object();
        json_object_set_new(at, "x", inner);
        at = inner;
    }
    expect_error_under(sc_text_of("x"), inputs, &options, "depth_max");
    json_decref(inputs);
}

// ---- Sharing and speed ----

static json_t *conversation(size_t n_messages, size_t n_bytes)
{
    json_t *messages = json_array();
    char *text = calloc(n_bytes + 1, 1);
    assert_non_null(text);
    memset(text, 'x', n_bytes);
    for (size_t i = 0; i < n_messages; i++)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", i % 2 ? "assistant" : "user", "content", text));
    free(text);
    return json_pack("{s:o, s:b}", "messages", messages, "add_generation_prompt", 1);
}

static const char chat[] =
    "{% set ns = namespace(text='', last=-1, seen=[]) %}\n"
    "{% for m in messages %}\n"
    "    {%- if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}\n"
    "    {%- set ns.text = ns.text ~ '<|' + m['role'] + '|>' ~ m.content|trim ~ '\\n' %}\n"
    "    {%- set ns.seen = ns.seen + [m.role] %}\n"
    "{% endfor %}\n"
    "{{- ns.text }}{{ ns.last }}{{ ns.seen|length }}{% if add_generation_prompt %}<|assistant|>{% endif %}";

static void *render_often(void *argument)
{
    const struct sc_template *template = argument;
    json_t *inputs = conversation(20, 100);
    size_t n_bytes = 0;
    for (int i = 0; i < 50; i++) {
        struct sc_buffer out = { 0 };
        if (sc_template_render(template, inputs, NULL, &out, NULL) != SOCLE_OK) return NULL;
        if (i && out.n_bytes != n_bytes) return NULL;
        n_bytes = out.n_bytes;
        sc_buffer_free(&out);
    }
    json_decref(inputs);
    return argument;
}

static void test_threads(void **state)
{
    (void)state;
    struct sc_template *template;
    pthread_t threads[4];
    void *result;
    assert_int_equal(sc_template_parse(sc_text_of(chat), &template, NULL), SOCLE_OK);
    for (size_t i = 0; i < SC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, template), 0);
    for (size_t i = 0; i < SC_COUNT(threads); i++) {
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, template);
    }
    sc_template_free(template);
}

// A conversation that is twenty times as long must not need anything like four hundred times the steps.
static void test_long_conversation(void **state)
{
    (void)state;
    static const size_t sizes[] = { 200, 4000 };
    for (size_t i = 0; i < SC_COUNT(sizes); i++) {
        json_t *inputs = conversation(sizes[i], 2000);
        struct sc_buffer out = { 0 };
        socle_error err = { 0 };
        struct sc_template_options options = defaults();
        options.limits.n_steps_max = sizes[i] * 1000;
        clock_t begin = clock();
        if (render(sc_text_of(chat), inputs, &options, &out, &err) != SOCLE_OK) fail_msg("%s", err.message);
        print_message("%zu messages, %zu bytes: %.1f ms\n", sizes[i], out.n_bytes,
                      1000.0 * (double)(clock() - begin) / CLOCKS_PER_SEC);
        sc_buffer_free(&out);
        json_decref(inputs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_cases),
        cmocka_unit_test(test_real_templates),
        cmocka_unit_test(test_interface),
        cmocka_unit_test(test_line_numbers),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_each_limit),
        cmocka_unit_test(test_deep_sources),
        cmocka_unit_test(test_long_sources),
        cmocka_unit_test(test_hostile_templates),
        cmocka_unit_test(test_deep_inputs),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_long_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
