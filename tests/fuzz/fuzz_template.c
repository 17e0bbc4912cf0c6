// Fuzzes chat templates: the input is a template's source and, after a NUL, its inputs as JSON. The bounds are small,
// so that every run is short; whatever the template says, there is a text or a message.
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const struct sc_template_options options = {
    .limits = { .n_steps_max = 100000, .depth_max = 200, .output_bytes_max = 1 << 20, .memory_bytes_max = 8 << 20 },
    .now = "2026-01-15T12:00:00",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const uint8_t *end = n_bytes ? memchr(data, 0, n_bytes) : NULL;
    size_t n_source = end ? (size_t)(end - data) : n_bytes;
    struct sc_template *template;
    struct sc_buffer out = { 0 };
    socle_error err = { 0 };
    json_t *inputs = NULL;
    if (end)
        inputs = json_loadb((const char *)end + 1, n_bytes - n_source - 1, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
                            NULL);
    if (!json_is_object(inputs)) {
        json_decref(inputs);
        inputs = json_pack("{s:s, s:i, s:[{s:s, s:s}, {s:s, s:n}], s:b}", "s", "Hé llo", "n", 3, "messages", "role",
                           "user", "content", " hi\n", "role", "tool", "content", "yes", 1);
    }
    socle_status status = sc_template_parse((struct sc_text){ (const char *)data, n_source }, &template, &err);
    if (status == SOCLE_OK) status = sc_template_render(template, inputs, &options, &out, &err);
    // A failure has a message and no text; the text keeps its bound.
    assert(status == SOCLE_OK || (status == SOCLE_BAD_TEMPLATE && err.message[0] && !out.n_bytes));
    assert(out.n_bytes <= options.limits.output_bytes_max);
    sc_buffer_free(&out);
    sc_template_free(template);
    json_decref(inputs);
    return 0;
}
