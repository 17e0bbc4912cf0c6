#include "server/form.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool create(struct exchange *ex, const struct served_model *model, socle_constraint_kind kind,
                   const char *source, const char *param, struct form *out)
{
    socle_error err;
    socle_status status = kept_forms_take(model->forms, model->model, kind, source, source ? strlen(source) : 0,
                                          &out->kept, &err);
    if (status == SOCLE_OK) return true;
    exchange_fail(ex, http_status_of(status), "invalid_value", param, "Invalid '%s': %s", param, err.message);
    return false;
}

static bool create_from_json(struct exchange *ex, const struct served_model *model, const json_t *schema,
                             const char *param, struct form *out)
{
    char *source = json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY);
    bool ok = source && create(ex, model, SOCLE_CONSTRAINT_SCHEMA, source, param, out);
    if (!source) exchange_fail(ex, 500, NULL, NULL, "out of memory");
    free(source);
    return ok;
}

// ---- response formats

static bool read_format(struct exchange *ex, const struct served_model *model, const json_t *format, struct form *out)
{
    const char *type = json_string_value(json_object_get(format, "type"));
    if (type && strcmp(type, "text") == 0) return true;
    if (type && strcmp(type, "json_object") == 0)
        return create(ex, model, SOCLE_CONSTRAINT_JSON_OBJECT, NULL, "response_format", out);
    if (type && strcmp(type, "json_schema") == 0) {
        const json_t *inner = json_object_get(format, "json_schema"); // the Responses interface has none
        const json_t *schema = json_object_get(inner ? inner : format, "schema");
        if (schema) return create_from_json(ex, model, schema, "response_format", out);
        exchange_fail(ex, 400, "missing_required_parameter", "response_format",
                      "Missing required parameter: 'response_format.json_schema.schema'.");
        return false;
    }
    exchange_fail(ex, 400, "invalid_value", "response_format",
                  "Invalid 'response_format': expected the type 'text', 'json_object' or 'json_schema'.");
    return false;
}

// Fields that other servers have for the same.
static bool read_others(struct exchange *ex, const struct served_model *model, struct form *out)
{
    static const struct {
        const char *name;
        socle_constraint_kind kind;
    } fields[] = { { "grammar", SOCLE_CONSTRAINT_GRAMMAR },
                   { "guided_grammar", SOCLE_CONSTRAINT_GRAMMAR },
                   { "guided_regex", SOCLE_CONSTRAINT_REGEX } };
    for (size_t i = 0; i < sizeof fields / sizeof *fields && !out->kept; i++) {
        const char *source = NULL;
        if (!read_string(ex, ex->json, fields[i].name, &source)) return false;
        if (source && *source && !create(ex, model, fields[i].kind, source, fields[i].name, out)) return false;
    }
    const json_t *schema = json_object_get(ex->json, "guided_json");
    if (!schema || json_is_null(schema) || out->kept) return true;
    return create_from_json(ex, model, schema, "guided_json", out);
}

// ---- calls of tools

static bool any_is_strict(const json_t *tools)
{
    const json_t *tool;
    size_t i;
    json_array_foreach (tools, i, tool)
        if (json_is_true(json_object_get(json_object_get(tool, "function"), "strict"))) return true;
    return false;
}

static bool hold_calls(struct exchange *ex, const struct served_model *model, const struct chat_inputs *in,
                       const char *prompt, struct form *out)
{
    const char *name = socle_model_answer_syntax(model->model);
    const struct sc_answer_syntax *syntax = name ? sc_answer_syntax_find(name) : NULL;
    // What cannot be held is an error where it was demanded; otherwise the model is trusted to write calls well.
    bool demanded = in->choice == SC_ANSWER_REQUIRED || any_is_strict(in->tools);
    struct sc_answer_grammar_options options = { .tools = in->tools,
                                                 .choice = in->choice,
                                                 .name = in->tool,
                                                 .parallel = !in->serial,
                                                 .prompt = { prompt ? prompt : "", prompt ? strlen(prompt) : 0 } };
    struct sc_buffer grammar = { 0 };
    socle_error err;
    socle_status status = SOCLE_UNSUPPORTED;
    if (syntax) status = sc_answer_grammar(syntax, &options, &grammar, &out->after, &err);
    else sc_fail(&err, SOCLE_UNSUPPORTED, "the model's chat template does not say how tools are called");
    if (status == SOCLE_OK)
        status = kept_forms_take(model->forms, model->model, SOCLE_CONSTRAINT_GRAMMAR, grammar.data, grammar.n_bytes,
                                 &out->kept, &err);
    sc_buffer_free(&grammar);
    if (status == SOCLE_OK || !demanded) return true;
    exchange_fail(ex, http_status_of(status), "invalid_value", "tools", "Invalid 'tools': %s", err.message);
    return false;
}

// ---- both

// Where reasoning is open, the form holds behind it.
static const char *reasoning_end(const struct served_model *model, const char *prompt)
{
    const char *name = socle_model_answer_syntax(model->model);
    struct sc_answer reader;
    json_t *no_tools = json_array();
    sc_answer_begin(&reader, name ? sc_answer_syntax_find(name) : NULL, (struct sc_text){ prompt, strlen(prompt) },
                    no_tools);
    const char *end = sc_answer_reasoning_end(&reader);
    sc_answer_end(&reader, NULL, NULL);
    json_decref(no_tools);
    return end;
}

bool form_read(struct exchange *ex, const struct served_model *model, const json_t *format,
               const struct chat_inputs *in, const char *prompt, struct form *out)
{
    *out = (struct form){ 0 };
    bool has_format = format && !json_is_null(format);
    if (has_format && !read_format(ex, model, format, out)) return false;
    if (!read_others(ex, model, out)) {
        kept_forms_give(model->forms, out->kept);
        return false;
    }
    if (out->kept && prompt) out->after = reasoning_end(model, prompt);
    if (out->kept || !in || !in->tools) return true;
    return hold_calls(ex, model, in, prompt, out);
}

void chat_answer(struct exchange *ex, struct served_model *model, const struct dialect *dialect,
                 const struct request_options *options, const struct chat_inputs *in, const json_t *format)
{
    struct prompts prompts = { calloc(1, sizeof *prompts.at), 1 };
    struct prompt *prompt = prompts.at;
    struct form form;
    if (!prompt) {
        prompts.n = 0;
        exchange_fail(ex, 500, NULL, NULL, "out of memory");
    }
    if (prompt && chat_encode(ex, model, in, &prompt->ids, &prompt->n_ids, &prompt->text) &&
        form_read(ex, model, format, in, prompt->text, &form))
        generation_start(ex, model, dialect, options, &prompts, in->tools, &form, false);
    else served_models_give(ex->server->models, model);
    prompts_free(&prompts);
}
