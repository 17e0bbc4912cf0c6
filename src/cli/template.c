// socle template: a chat template's text for given inputs, exactly.
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

struct template_options {
    const char *model, *template, *now;
};

// Inputs are JSON, a template is text: a NUL in either is a mistake that must not cut it short.
static char *read_whole(const char *path, size_t *n_bytes, int *code)
{
    char *text = cli_read_text(path, n_bytes, code);
    if (!text || !memchr(text, 0, *n_bytes)) return text;
    *code = cli_misuse("%s: holds a NUL byte, expected text", strcmp(path, "-") == 0 ? "standard input" : path);
    free(text);
    return NULL;
}

static socle_status render(const struct template_options *o, const char *source, size_t n_source, const char *inputs,
                           int *code)
{
    char *text;
    size_t n_text;
    socle_error err = { 0 };
    socle_status status;
    if (source) {
        status = socle_template_render(source, n_source, inputs, o->now, &text, &n_text, &err);
    } else {
        socle_model *model = cli_load_model(o->model, code);
        if (!model) return (socle_status)*code;
        status = socle_model_render(model, inputs, o->now, &text, &n_text, &err);
        socle_model_free(model);
    }
    if (status == SOCLE_OK) {
        fwrite(text, 1, n_text, stdout);
        socle_free(text);
        return status;
    }
    // The library knows the template's text, not where it came from.
    if (source && !strstr(err.message, o->template)) {
        cli_error("%s: %s", o->template, err.message);
        *code = (int)status;
    } else {
        *code = cli_fail(&err);
    }
    return status;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct template_options o = { 0 };
    const struct cli_option options[] = {
        { "template", 0, CLI_TEXT, &o.template, "FILE", "the template, in Jinja" },
        { "model", 'm', CLI_TEXT, &o.model, "FILE",
          "the model whose own template is to be used (default: the bundled "
          "one)" },
        { "now", 0, CLI_TEXT, &o.now, "TIME",
          "what strftime_now() sees, as 2026-01-15T12:00:00 (default: SOCLE_NOW "
          "from the environment, or the real time)" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    const char *path = "-";
    int code = cli_parse(command, options, argc, argv, &path, 1, NULL);
    if (code >= 0) return code;
    if (o.template && o.model) return cli_misuse("--template and --model cannot both be given");
    size_t n_source = 0, n_inputs = 0;
    char *source = NULL, *inputs;
    code = SOCLE_OK;
    if (o.template && !(source = read_whole(o.template, &n_source, &code))) return code;
    inputs = read_whole(path, &n_inputs, &code);
    if (inputs) render(&o, source, n_source, inputs, &code);
    free(inputs);
    free(source);
    return code;
}

const struct cli_command cli_template = {
    .name = "template",
    .summary = "render a chat template: the text that a model would see",
    .usage = "[--template FILE | -m FILE] [INPUTS] <inputs.json",
    .examples = "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}],\n"
                "         \"add_generation_prompt\": true}' | socle template -m model.gguf\n"
                "  socle template --template chat.jinja inputs.json\n"
                "  socle template --template chat.jinja --now 2026-01-15T12:00:00 <inputs.json\n",
    .run = run,
};
