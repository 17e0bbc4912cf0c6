// Everything in a model file as one JSON document.
//
//   { "file":     { "path", "version", "n_bytes", "n_shards" },
//     "metadata": { KEY: { "type": "u32", "value": 32 },
//                   KEY: { "type": "string", "n": 2, "value": ["a", "b"] }, ... },     arrays have "n", their length
//     "tensors":  [ { "name", "format", "packed": false, "shape": [contiguous axis first], "shard": 1, "offset",
//                     "n_bytes" }, ... ],
//     "formats":  [ { "format", "packed", "n_tensors", "n_parameters", "n_bytes" }, ... ],     most bytes first
//     "n_parameters": 1000,
//     "model":    { "family", "example", "hyperparameters": { ... } },
//     "program":  { "n_ops", "ops": { "linear": 12, ... }, "lines": ["..."],
//                   "per_token":  { "weight_bytes", "int8_macs", "f32_macs" },           what one token's products read
//                   "per_logits": { ... } },                                            and what its logits add to that
//     "memory":   { "n_context", "weights", "cache_f16", "cache_f32", "cache_q8_0", "work" } }    of a default session
//
// Instead of model, program and memory, a file that cannot be run has "reason", a sentence that says why.
//
// The document is valid whatever the file holds: bytes that are not UTF-8 become U+FFFD, control characters are
// escaped, numbers that are not finite become null, whole numbers past 2^63 - 1 become strings. An array longer than
// ELEMENTS_MAX is cut to that ("n" still tells its length).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/size.h"
#include "formats/gguf.h"
#include "program/op_types.h"
#include "program/work.h"
#include "text/utf8.h"

enum { ELEMENTS_MAX = 1 << 20, DOCUMENT_BYTES_MAX = 1 << 30 };

// ---- writing JSON

struct json {
    struct sc_buffer text;
    bool comma; // whether the next element needs one before it
};

static void separate(struct json *j)
{
    if (j->comma) sc_buffer_append_char(&j->text, ',');
    j->comma = true;
}

static void open_with(struct json *j, char bracket)
{
    separate(j);
    sc_buffer_append_char(&j->text, bracket);
    j->comma = false;
}

static void close_with(struct json *j, char bracket)
{
    sc_buffer_append_char(&j->text, bracket);
    j->comma = true;
}

static void put_character(struct json *j, const char *bytes, size_t n_bytes, uint32_t code)
{
    if (code == '"' || code == '\\') sc_buffer_printf(&j->text, "\\%c", (char)code);
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) sc_buffer_printf(&j->text, "\\u%04x", code);
    else sc_buffer_append(&j->text, bytes, n_bytes);
}

static void put_text(struct json *j, struct sc_text text)
{
    separate(j);
    sc_buffer_append_char(&j->text, '"');
    for (size_t i = 0; i < text.n_bytes;) {
        uint32_t code = 0xfffd;
        size_t n = sc_utf8_decode(text.data + i, text.n_bytes - i, &code);
        if (n) put_character(j, text.data + i, n, code);
        else sc_buffer_append_string(&j->text, SC_UTF8_REPLACEMENT);
        i += n ? n : 1;
    }
    sc_buffer_append_char(&j->text, '"');
}

static void put_key(struct json *j, struct sc_text key)
{
    put_text(j, key);
    sc_buffer_append_char(&j->text, ':');
    j->comma = false;
}

static void put_name(struct json *j, const char *name) { put_key(j, sc_text_of(name)); }

static void put_u64(struct json *j, uint64_t value)
{
    separate(j);
    sc_buffer_printf(&j->text, value > INT64_MAX ? "\"%" PRIu64 "\"" : "%" PRIu64, value);
}

static void put_bool(struct json *j, bool value)
{
    separate(j);
    sc_buffer_append_string(&j->text, value ? "true" : "false");
}

static void put_double(struct json *j, double value, int digits)
{
    separate(j);
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, value);
    for (char *c = text; *c; c++)
        if (*c == ',') *c = '.'; // the caller's locale may write a comma
    sc_buffer_append_string(&j->text, value - value == 0.0 ? text : "null");
}

// With as few digits as bring the same value back: 1e-05, not 9.99999975e-06.
static void put_f32(struct json *j, float value)
{
    int digits = 6;
    char text[32];
    do snprintf(text, sizeof text, "%.*g", digits, (double)value);
    while (strtof(text, NULL) != value && ++digits <= 9);
    put_double(j, (double)value, digits);
}

static void name_u64(struct json *j, const char *name, uint64_t value)
{
    put_name(j, name);
    put_u64(j, value);
}

static void name_string(struct json *j, const char *name, const char *value)
{
    put_name(j, name);
    put_text(j, sc_text_of(value));
}

static void open_named(struct json *j, const char *name, char bracket)
{
    put_name(j, name);
    open_with(j, bracket);
}

// ---- what is in the file

static void put_element(struct json *j, const struct sc_gguf_value *value, uint64_t i)
{
    double f64;
    switch (value->type) {
    case SC_GGUF_STRING: put_text(j, value->is_array ? value->strings[i] : value->string); break;
    case SC_GGUF_F32: put_f32(j, sc_gguf_float_at(value, i)); break;
    case SC_GGUF_F64:
        memcpy(&f64, value->raw + 8 * i, sizeof f64);
        put_double(j, f64, 17);
        break;
    case SC_GGUF_BOOL: put_bool(j, sc_gguf_int_at(value, i) != 0); break;
    case SC_GGUF_U64: {
        uint64_t u64;
        memcpy(&u64, value->raw + 8 * i, sizeof u64);
        put_u64(j, u64);
        break;
    }
    default: separate(j); sc_buffer_printf(&j->text, "%" PRId64, sc_gguf_int_at(value, i));
    }
}

static void put_metadata(struct json *j, const struct sc_gguf *gguf)
{
    open_named(j, "metadata", '{');
    for (uint64_t v = 0; v < sc_gguf_n_values(gguf); v++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(gguf, v);
        put_key(j, value->key);
        open_with(j, '{');
        name_string(j, "type", sc_gguf_type_name(value->type));
        if (value->is_array) name_u64(j, "n", value->n);
        put_name(j, "value");
        if (value->is_array) open_with(j, '[');
        for (uint64_t i = 0; i < SC_MIN(value->n, (uint64_t)ELEMENTS_MAX); i++) put_element(j, value, i);
        if (value->is_array) close_with(j, ']');
        close_with(j, '}');
    }
    close_with(j, '}');
}

static uint64_t n_elements(const struct sc_tensor *tensor)
{
    return tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
}

static void put_tensors(struct json *j, const struct sc_gguf *gguf)
{
    // Tensors come shard by shard, and a shard is one mapping: its first byte's address tells which.
    const char *first_byte = NULL;
    uint64_t shard = 0;
    open_named(j, "tensors", '[');
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        const struct sc_tensor *tensor = sc_gguf_tensor_at(gguf, i);
        uint64_t offset = sc_gguf_tensor_offset(gguf, i);
        if (shard == 0 || (const char *)tensor->data - offset != first_byte) shard++;
        first_byte = (const char *)tensor->data - offset;
        open_with(j, '{');
        put_name(j, "name");
        put_text(j, tensor->name);
        name_string(j, "format", tensor->format->name);
        put_name(j, "packed");
        put_bool(j, tensor->packed);
        open_named(j, "shape", '[');
        for (uint32_t d = 0; d < tensor->n_dims; d++) put_u64(j, tensor->shape[d]);
        close_with(j, ']');
        name_u64(j, "shard", shard);
        name_u64(j, "offset", offset);
        name_u64(j, "n_bytes", tensor->n_bytes);
        close_with(j, '}');
    }
    close_with(j, ']');
}

struct share {
    const struct sc_format *format;
    bool packed;
    uint64_t n_tensors, n_parameters, n_bytes;
};

static void put_formats(struct json *j, const struct sc_gguf *gguf)
{
    struct share shares[128] = { { 0 } }, all = { 0 };
    for (uint64_t i = 0; i < sc_gguf_n_tensors(gguf); i++) {
        const struct sc_tensor *tensor = sc_gguf_tensor_at(gguf, i);
        struct share *share = shares;
        while (share->format && (share->format != tensor->format || share->packed != tensor->packed)) share++;
        share->format = tensor->format;
        share->packed = tensor->packed;
        share->n_tensors++;
        share->n_parameters += n_elements(tensor);
        share->n_bytes += tensor->n_bytes;
        all.n_parameters += n_elements(tensor);
    }
    open_named(j, "formats", '[');
    for (;;) {
        struct share *most = NULL;
        for (struct share *share = shares; share->format; share++)
            if (share->n_tensors && (!most || share->n_bytes > most->n_bytes)) most = share;
        if (!most) break;
        open_with(j, '{');
        name_string(j, "format", most->format->name);
        put_name(j, "packed");
        put_bool(j, most->packed);
        name_u64(j, "n_tensors", most->n_tensors);
        name_u64(j, "n_parameters", most->n_parameters);
        name_u64(j, "n_bytes", most->n_bytes);
        close_with(j, '}');
        most->n_tensors = 0;
    }
    close_with(j, ']');
    name_u64(j, "n_parameters", all.n_parameters);
}

// ---- what would run

static void put_hyperparameters(struct json *j, const struct sc_hparams *h)
{
    static const char *const scalings[] = { "none", "linear", "yarn", "longrope" };
    // Linear scaling by 1 is none.
    bool scaled = h->rope_scaling > SC_ROPE_SCALING_LINEAR ||
                  (h->rope_scaling == SC_ROPE_SCALING_LINEAR && h->rope_factor != 1.0f);
    const struct {
        const char *name;
        uint32_t value;
    } whole[] = {
        { "n_vocab", h->n_vocab },
        { "n_context", h->n_context },
        { "n_embd", h->n_embd },
        { "n_layer", h->n_layer },
        { "n_ff", h->n_ff },
        { "n_head", h->n_head },
        { "n_head_kv", h->n_head_kv },
        { "head_dim_k", h->head_dim_k },
        { "head_dim_v", h->head_dim_v },
        { "n_rot", h->n_rot },
        { "window", h->window },
        { "n_expert", h->n_expert },
        { "n_expert_used", h->n_expert_used },
        { "n_expert_group", h->n_expert_group },
        { "n_layer_dense_lead", h->n_layer_dense_lead },
        { "kv_lora_rank", h->kv_lora_rank },
        { "head_dim_k_mla", h->head_dim_k_mla },
        { "head_dim_v_mla", h->head_dim_v_mla },
    };
    const struct {
        const char *name;
        float value;
    } real[] = {
        { "rms_eps", h->rms_eps },
        { "rope_base", h->rope_base },
        { "rope_factor", scaled ? h->rope_factor : 0.0f },
        { "attn_scale", h->attn_scale },
        { "attn_softcap", h->attn_softcap },
        { "final_softcap", h->final_softcap },
    };
    open_named(j, "hyperparameters", '{');
    for (size_t i = 0; i < SC_COUNT(whole); i++)
        if (whole[i].value || i < 7) name_u64(j, whole[i].name, whole[i].value);
    for (size_t i = 0; i < SC_COUNT(real); i++) {
        if (real[i].value == 0.0f) continue;
        put_name(j, real[i].name);
        put_f32(j, real[i].value);
    }
    name_string(j, "rope_scaling", scalings[scaled ? h->rope_scaling : SC_ROPE_SCALING_NONE]);
    close_with(j, '}');
}

static void put_work(struct json *j, const char *name, const struct sc_work *work)
{
    open_named(j, name, '{');
    name_u64(j, "weight_bytes", work->bytes);
    name_u64(j, "int8_macs", work->int8_macs);
    name_u64(j, "f32_macs", work->f32_macs);
    close_with(j, '}');
}

// Adds the products of one op for one row.
static void add_work(const struct sc_program *program, const struct sc_op *op, struct sc_work *per_token,
                     struct sc_work *per_logits)
{
    if (!op->linear.weight) return;
    struct sc_work row = sc_op_row_work(op);
    bool selected = program->buffers[op->out[0].buffer].rows == SC_ROWS_SELECTED;
    struct sc_work *work = selected ? per_logits : per_token;
    work->bytes += row.bytes;
    work->int8_macs += row.int8_macs;
    work->f32_macs += row.f32_macs;
}

static void put_lines(struct json *j, const struct sc_program *program)
{
    struct sc_buffer lines = { .max_bytes = DOCUMENT_BYTES_MAX };
    sc_program_print(program, &lines);
    if (lines.failed) j->text.failed = true;
    open_named(j, "lines", '[');
    for (size_t i = 0; i < lines.n_bytes;) {
        size_t n = strcspn(lines.data + i, "\n");
        put_text(j, (struct sc_text){ lines.data + i, n });
        i += n + 1;
    }
    close_with(j, ']');
    sc_buffer_free(&lines);
}

#define SC_OP(name) &sc_op_##name,
static const struct sc_op_type *const op_types[] = {
#include "program/ops.h"
};
#undef SC_OP

static void put_program(struct json *j, const struct sc_program *program)
{
    struct sc_work per_token = { 0 }, per_logits = { 0 };
    open_named(j, "program", '{');
    name_u64(j, "n_ops", program->n_ops);
    open_named(j, "ops", '{');
    for (size_t t = 0; t < SC_COUNT(op_types); t++) {
        uint64_t n = 0;
        for (uint32_t i = 0; i < program->n_ops; i++) n += program->ops[i].type == op_types[t];
        if (n) name_u64(j, op_types[t]->name, n);
    }
    close_with(j, '}');
    for (uint32_t i = 0; i < program->n_ops; i++) add_work(program, &program->ops[i], &per_token, &per_logits);
    put_work(j, "per_token", &per_token);
    put_work(j, "per_logits", &per_logits);
    put_lines(j, program);
    close_with(j, '}');
}

static socle_status put_memory(struct json *j, const struct sc_model *model, uint32_t n_context, socle_error *err)
{
    struct sc_session_options options = { .n_context = n_context };
    struct sc_memory_need f16, f32, q8_0;
    SC_TRY(sc_session_need(model, &options, &f16, err));
    options.cache = SC_CACHE_F32;
    SC_TRY(sc_session_need(model, &options, &f32, err));
    options.cache = SC_CACHE_Q8_0;
    SC_TRY(sc_session_need(model, &options, &q8_0, err));
    open_named(j, "memory", '{');
    name_u64(j, "n_context", n_context ? n_context : SC_MIN(model->hparams.n_context, (uint32_t)SC_CONTEXT_DEFAULT));
    name_u64(j, "weights", f16.weights);
    name_u64(j, "cache_f16", f16.cache);
    name_u64(j, "cache_f32", f32.cache);
    name_u64(j, "cache_q8_0", q8_0.cache);
    name_u64(j, "work", f16.work);
    close_with(j, '}');
    return SOCLE_OK;
}

static socle_status put_model(struct json *j, const struct sc_model *model, uint32_t n_context, socle_error *err)
{
    open_named(j, "model", '{');
    name_string(j, "family", model->family->name);
    name_string(j, "example", model->family->example);
    put_hyperparameters(j, &model->hparams);
    close_with(j, '}');
    sc_model_lock(model);
    put_program(j, &model->program);
    sc_model_unlock(model);
    return put_memory(j, model, n_context, err);
}

static void put_file(struct json *j, const struct sc_gguf *gguf)
{
    open_named(j, "file", '{');
    name_string(j, "path", sc_gguf_path(gguf));
    name_u64(j, "version", sc_gguf_version(gguf));
    name_u64(j, "n_bytes", sc_gguf_file_bytes(gguf));
    name_u64(j, "n_shards", sc_gguf_n_shards(gguf));
    close_with(j, '}');
    put_metadata(j, gguf);
    put_tensors(j, gguf);
    put_formats(j, gguf);
}

// Takes `gguf` over.
static socle_status put_what_would_run(struct json *j, struct sc_gguf *gguf, uint32_t n_context, socle_error *err)
{
    if (sc_gguf_n_tensors(gguf) == 0) {
        name_string(j, "reason", "the file holds no tensors: it is a vocabulary or other metadata, not a model");
        sc_gguf_close(gguf);
        return SOCLE_OK;
    }
    struct sc_model *model;
    socle_error why = { 0 };
    socle_status status = sc_model_load(gguf, &model, &why);
    if (status == SOCLE_BAD_FILE || status == SOCLE_UNSUPPORTED) {
        name_string(j, "reason", why.message);
        return SOCLE_OK;
    }
    if (status != SOCLE_OK) {
        if (err) *err = why;
        return status;
    }
    status = put_model(j, model, n_context, err);
    sc_model_free(model);
    return status;
}

SC_EXPORT socle_status socle_inspect(const char *path, uint32_t n_context, char **json, socle_error *err)
{
    struct sc_gguf *gguf;
    struct json j = { .text = { .max_bytes = DOCUMENT_BYTES_MAX } };
    SC_TRY(sc_gguf_open(path, &gguf, err));
    open_with(&j, '{');
    put_file(&j, gguf);
    socle_status status = put_what_would_run(&j, gguf, n_context, err);
    close_with(&j, '}');
    sc_buffer_append_char(&j.text, '\n');
    if (status == SOCLE_OK && j.text.failed)
        status = sc_fail(err, SOCLE_NO_MEMORY, "%s: its description is longer than memory or 1 GiB allows", path);
    if (status == SOCLE_OK) *json = sc_buffer_take(&j.text);
    sc_buffer_free(&j.text);
    return status;
}
