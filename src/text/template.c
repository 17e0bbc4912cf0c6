// The public entry: parsing, and the start and end of a rendering.
#include "text/template.h"

#include <stdlib.h>
#include <string.h>

#include "text/template_syntax.h"
#include "text/utf8.h"

const struct sc_template_limits sc_template_default_limits = {
    .n_steps_max = 20 * 1000 * 1000,
    .depth_max = 1000,
    .output_bytes_max = 32 * 1024 * 1024,
    .memory_bytes_max = 256 * 1024 * 1024,
};

enum { PARSE_BYTES_MAX = 512 * 1024 * 1024 };

socle_status sc_template_parse(struct sc_text source, struct sc_template **out, socle_error *err)
{
    socle_error own;
    if (!err) err = &own;
    *out = NULL;
    if (source.n_bytes > SC_TEMPLATE_SOURCE_BYTES_MAX)
        return sc_fail(err, SOCLE_BAD_TEMPLATE, "the template has %zu bytes, more than the limit of %d", source.n_bytes,
                       SC_TEMPLATE_SOURCE_BYTES_MAX);
    size_t n_valid = source.n_bytes ? sc_utf8_valid_run(source.data, source.n_bytes) : 0;
    if (n_valid != source.n_bytes)
        return sc_fail(err, SOCLE_BAD_TEMPLATE, "the template is not UTF-8 at byte %zu", n_valid);
    struct sc_template *template = calloc(1, sizeof *template);
    if (!template) return sc_fail_memory(err, sizeof *template, "a chat template");
    template->arena.max_bytes = PARSE_BYTES_MAX;
    if (!sc_template_parse_source(template, source, err)) {
        sc_template_free(template);
        return SOCLE_BAD_TEMPLATE;
    }
    *out = template;
    return SOCLE_OK;
}

void sc_template_free(struct sc_template *template)
{
    if (!template) return;
    sc_arena_free(&template->arena);
    free(template);
}

static bool convert(struct run *run, const json_t *json, struct value *out);

static bool convert_array(struct run *run, const json_t *json, struct value *out)
{
    size_t n = json_array_size(json);
    struct list *list = sc_template_list_new(run, n);
    if (!list) return false;
    for (size_t i = 0; i < n; i++) {
        struct value item;
        if (!convert(run, json_array_get(json, i), &item) || !sc_template_list_push(run, list, item)) return false;
    }
    *out = sc_template_list(list);
    return true;
}

static bool convert_object(struct run *run, const json_t *json, struct value *out)
{
    struct dict *dict = sc_template_dict_new(run, json_object_size(json));
    if (!dict) return false;
    // jansson's iterators are not const, but do not change the object.
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        struct value key, value;
        size_t n_bytes = strlen(name);
        if (sc_utf8_valid_run(name, n_bytes) != n_bytes)
            return sc_template_fail(run, "an input has a name that is not UTF-8");
        if (!sc_template_string_view(run, name, n_bytes, &key) || !convert(run, json_object_iter_value(at), &value) ||
            !sc_template_dict_set(run, dict, key, value))
            return false;
    }
    *out = sc_template_dict(dict);
    return true;
}

// A value of JSON. Strings are not copied: the inputs outlive the rendering.
static bool convert(struct run *run, const json_t *json, struct value *out)
{
    if (!sc_template_step(run, 1) || !sc_template_enter(run)) return false;
    bool ok = true;
    switch (json_typeof(json)) {
    case JSON_OBJECT: ok = convert_object(run, json, out); break;
    case JSON_ARRAY: ok = convert_array(run, json, out); break;
    case JSON_STRING: {
        const char *text = json_string_value(json);
        size_t n_bytes = json_string_length(json);
        if (n_bytes && sc_utf8_valid_run(text, n_bytes) != n_bytes)
            ok = sc_template_fail(run, "an input is text that is not UTF-8");
        else ok = sc_template_string_view(run, text, n_bytes, out);
        break;
    }
    case JSON_INTEGER: *out = sc_template_int(json_integer_value(json)); break;
    case JSON_REAL: *out = sc_template_float(json_real_value(json)); break;
    case JSON_TRUE: *out = sc_template_bool(true); break;
    case JSON_FALSE: *out = sc_template_bool(false); break;
    case JSON_NULL: *out = sc_template_none(); break;
    }
    run->depth--;
    return ok;
}

// The strings of one ASCII character, which loops over text would otherwise make again and again.
static bool make_characters(struct run *run)
{
    char *bytes = sc_template_alloc(run, 128, 1);
    if (!bytes) return false;
    for (int i = 0; i < 128; i++) {
        bytes[i] = (char)i;
        run->characters[i] = sc_template_string_new(&run->arena, bytes + i, 1);
        if (!run->characters[i]) return sc_template_alloc(run, SIZE_MAX, 1) != NULL;
    }
    return true;
}

static bool render(struct run *run, const json_t *inputs)
{
    struct value value;
    if (!make_characters(run)) return false;
    if (inputs) {
        if (!json_is_object(inputs)) return sc_template_fail(run, "the inputs of a template must be an object");
        if (!convert(run, inputs, &value)) return false;
        run->inputs = value.dict;
    }
    run->root = run->scope = sc_template_scope_new(run, NULL);
    return run->root && sc_template_exec_body(run, &run->template->body);
}

socle_status sc_template_render(const struct sc_template *template, const json_t *inputs,
                                const struct sc_template_options *options, struct sc_buffer *out, socle_error *err)
{
    socle_error own;
    struct run run = { .err = err ? err : &own, .template = template };
    if (options) run.options = *options;
    else run.options.limits = sc_template_default_limits;
    const struct sc_template_limits *limits = &run.options.limits;
    run.arena.max_bytes = SC_MAX(limits->memory_bytes_max, 1);
    run.output.max_bytes = SC_MAX(limits->output_bytes_max, 1);
    bool ok = render(&run, inputs);
    if (ok && run.output.n_bytes && !sc_buffer_append(out, run.output.data, run.output.n_bytes))
        ok = sc_template_fail(&run, "there is no room for the %zu bytes of text", run.output.n_bytes);
    sc_buffer_free(&run.output);
    sc_arena_free(&run.arena);
    return ok ? SOCLE_OK : run.err->status;
}
