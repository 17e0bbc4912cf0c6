// socle inspect: what is in a model file, what would run, and what that would take.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

struct inspect_options {
    bool tensors, program, json;
    uint32_t n_context;
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

// The value of a metadata key, or NULL.
static const json_t *metadata_of(const json_t *document, const char *key)
{
    return json_object_get(json_object_get(json_object_get(document, "metadata"), key), "value");
}

static void put_string(const char *text, size_t max_columns) { cli_put_text(stdout, text, strlen(text), max_columns); }

static void begin_line(const char *label) { printf("  %s%-12s%s ", cli_dim(stdout), label, cli_reset(stdout)); }

static void heading(const char *text) { printf("\n%s%s%s\n", cli_bold(stdout), text, cli_reset(stdout)); }

// "1.24 billion", "2.8 million", "512".
static void put_count(uint64_t n)
{
    static const struct {
        double least;
        const char *name;
    } units[] = { { 1e12, "trillion" }, { 1e9, "billion" }, { 1e6, "million" } };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if ((double)n < units[i].least) continue;
        printf("%.3g %s", (double)n / units[i].least, units[i].name);
        return;
    }
    printf("%" PRIu64, n);
}

static const char *packed_mark(const json_t *object)
{
    return json_is_true(json_object_get(object, "packed")) ? " packed" : "";
}

// ---- the summary

static void show_formats(const json_t *document)
{
    const json_t *formats = json_object_get(document, "formats"), *share;
    size_t i;
    if (json_array_size(formats) == 0) return;
    begin_line("formats");
    json_array_foreach (formats, i, share) {
        char size[16];
        printf("%s%s%s %s in %" PRIu64, i ? ", " : "", text_of(share, "format"), packed_mark(share),
               cli_bytes(number_of(share, "n_bytes"), size), number_of(share, "n_tensors"));
        if (i == 3 && json_array_size(formats) > 4) {
            printf(", and %zu more", json_array_size(formats) - 4);
            break;
        }
    }
    puts(" tensors");
}

static void show_text_side(const json_t *document)
{
    const json_t *kind = metadata_of(document, "tokenizer.ggml.model");
    const json_t *pre = metadata_of(document, "tokenizer.ggml.pre");
    const json_t *tokens = json_object_get(json_object_get(document, "metadata"), "tokenizer.ggml.tokens");
    begin_line("vocabulary");
    if (tokens) printf("%" PRIu64 " tokens, tokenizer ", number_of(tokens, "n"));
    else printf("no tokens, tokenizer ");
    put_string(json_is_string(kind) ? json_string_value(kind) : "none", 30);
    if (json_is_string(pre)) {
        printf(" / ");
        put_string(json_string_value(pre), 24);
    }
    puts("");
    begin_line("template");
    const json_t *template = metadata_of(document, "tokenizer.chat_template");
    if (json_is_string(template)) printf("yes, %zu bytes\n", json_string_length(template));
    else puts("no");
}

static void show_shape(const json_t *model)
{
    const json_t *h = json_object_get(model, "hyperparameters");
    begin_line("family");
    printf("%s (%s)\n", text_of(model, "family"), text_of(model, "example"));
    begin_line("layers");
    printf("%" PRIu64 ", %" PRIu64 " wide; %" PRIu64 " heads, %" PRIu64 " of keys; feed-forward %" PRIu64 "\n",
           number_of(h, "n_layer"), number_of(h, "n_embd"), number_of(h, "n_head"), number_of(h, "n_head_kv"),
           number_of(h, "n_ff"));
    if (number_of(h, "n_expert")) {
        begin_line("experts");
        printf("%" PRIu64 ", of which a token uses %" PRIu64 "\n", number_of(h, "n_expert"),
               number_of(h, "n_expert_used"));
    }
    begin_line("context");
    printf("%" PRIu64 " positions\n", number_of(h, "n_context"));
}

static void show_need(const json_t *document)
{
    const json_t *program = json_object_get(document, "program"), *memory = json_object_get(document, "memory");
    const json_t *per_token = json_object_get(program, "per_token");
    const json_t *per_logits = json_object_get(program, "per_logits");
    uint64_t macs = number_of(per_token, "int8_macs") + number_of(per_token, "f32_macs") +
                    number_of(per_logits, "int8_macs") + number_of(per_logits, "f32_macs");
    uint64_t weights = number_of(memory, "weights"), cache = number_of(memory, "cache_f16");
    uint64_t work = number_of(memory, "work");
    char all[16], a[16], b[16], c[16], read[16];
    begin_line("program");
    printf("%" PRIu64 " operations, which for each token read %s of weights\n", number_of(program, "n_ops"),
           cli_bytes(number_of(per_token, "weight_bytes") + number_of(per_logits, "weight_bytes"), read));
    begin_line("");
    printf("and do ");
    put_count(macs);
    puts(" multiply-adds with them");
    begin_line("memory");
    printf("%s%s%s with %" PRIu64 " positions\n", cli_bold(stdout), cli_bytes(weights + cache + work, all),
           cli_reset(stdout), number_of(memory, "n_context"));
    begin_line("");
    printf("weights %s, cache %s (f16), work %s\n", cli_bytes(weights, a), cli_bytes(cache, b), cli_bytes(work, c));
}

static void show_summary(const json_t *document)
{
    const json_t *file = json_object_get(document, "file"), *name = metadata_of(document, "general.name");
    const json_t *family = metadata_of(document, "general.architecture"), *model = json_object_get(document, "model");
    char size[16];
    printf("%s", cli_bold(stdout));
    put_string(json_is_string(name) ? json_string_value(name) : "(no name)", 78);
    printf("%s\n", cli_reset(stdout));
    begin_line("file");
    put_string(text_of(file, "path"), 0);
    printf("\n");
    begin_line("");
    printf("%s, GGUF version %" PRIu64, cli_bytes(number_of(file, "n_bytes"), size), number_of(file, "version"));
    if (number_of(file, "n_shards") > 1) printf(", %" PRIu64 " shards", number_of(file, "n_shards"));
    puts("");
    if (model) {
        show_shape(model);
    } else if (json_is_string(family)) {
        begin_line("family");
        put_string(json_string_value(family), 60);
        puts("");
    }
    begin_line("parameters");
    size_t n_tensors = json_array_size(json_object_get(document, "tensors"));
    if (n_tensors) {
        put_count(number_of(document, "n_parameters"));
        printf(" in %zu tensors\n", n_tensors);
    } else {
        puts("none");
    }
    show_formats(document);
    show_text_side(document);
    if (model) {
        show_need(document);
    } else {
        begin_line("no program");
        cli_put_wrapped(stdout, text_of(document, "reason"), 15);
    }
}

// ---- metadata, tensors, program

// Returns the columns that the value took.
static size_t show_scalar(const json_t *value, size_t max_columns)
{
    if (json_is_string(value))
        return cli_put_text(stdout, json_string_value(value), json_string_length(value), max_columns);
    if (json_is_boolean(value)) return (size_t)printf("%s", json_is_true(value) ? "true" : "false");
    if (json_is_integer(value)) return (size_t)printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_real(value)) return (size_t)printf("%.9g", json_real_value(value));
    return (size_t)printf("not a finite number");
}

static void show_array(const json_t *entry)
{
    enum { COLUMNS = 12 };
    const json_t *value = json_object_get(entry, "value");
    printf("%s%" PRIu64 " x %s%s ", cli_dim(stdout), number_of(entry, "n"), text_of(entry, "type"), cli_reset(stdout));
    size_t i = 0;
    for (size_t columns = 0; i < json_array_size(value) && columns < COLUMNS; i++) {
        columns += (size_t)printf("%s", i ? ", " : "");
        columns += show_scalar(json_array_get(value, i), 8);
    }
    printf("%s\n", i < number_of(entry, "n") ? ", ..." : "");
}

static void show_metadata(const json_t *document)
{
    enum { KEY_COLUMNS = 38, VALUE_COLUMNS = 38 };
    const char *key;
    json_t *entry;
    heading("Metadata");
    json_object_foreach (json_object_get(document, "metadata"), key, entry) {
        printf("  ");
        size_t columns = cli_put_text(stdout, key, strlen(key), 60);
        printf("%*s  ", columns < KEY_COLUMNS ? (int)(KEY_COLUMNS - columns) : 0, "");
        if (json_is_array(json_object_get(entry, "value"))) {
            show_array(entry);
        } else {
            show_scalar(json_object_get(entry, "value"), VALUE_COLUMNS);
            puts("");
        }
    }
}

static void show_tensors(const json_t *document)
{
    const json_t *tensor;
    size_t i, d;
    bool shards = number_of(json_object_get(document, "file"), "n_shards") > 1;
    const json_t *share;
    int format_columns = 7;
    json_array_foreach (json_object_get(document, "formats"), i, share)
        if (*packed_mark(share)) format_columns = 14;
    printf("%s%-34s %-*s %12s %12s  %s%s\n", cli_bold(stdout), "tensor", format_columns, "format", "offset", "bytes",
           "shape", cli_reset(stdout));
    json_array_foreach (json_object_get(document, "tensors"), i, tensor) {
        size_t columns = cli_put_text(stdout, text_of(tensor, "name"), strlen(text_of(tensor, "name")), 0);
        char format[32];
        snprintf(format, sizeof format, "%s%s", text_of(tensor, "format"), packed_mark(tensor));
        printf("%*s %-*s %12" PRIu64 " %12" PRIu64 "  ", columns < 34 ? (int)(34 - columns) : 0, "", format_columns,
               format, number_of(tensor, "offset"), number_of(tensor, "n_bytes"));
        const json_t *size, *shape = json_object_get(tensor, "shape");
        json_array_foreach (shape, d, size) printf("%s%" JSON_INTEGER_FORMAT, d ? " x " : "", json_integer_value(size));
        if (shards) printf("  shard %" PRIu64, number_of(tensor, "shard"));
        puts("");
    }
}

static int show_program(const json_t *document)
{
    const json_t *program = json_object_get(document, "program"), *line;
    size_t i;
    if (!program) {
        cli_error("no program: %s", text_of(document, "reason"));
        return SOCLE_UNSUPPORTED;
    }
    json_array_foreach (json_object_get(program, "lines"), i, line) {
        put_string(json_string_value(line), 0);
        puts("");
    }
    const char *name;
    json_t *count;
    printf("\n%s%" PRIu64 " operations:%s", cli_bold(stdout), number_of(program, "n_ops"), cli_reset(stdout));
    json_object_foreach (json_object_get(program, "ops"), name, count)
        printf(" %" JSON_INTEGER_FORMAT " %s", json_integer_value(count), name);
    puts("");
    return SOCLE_OK;
}

static int show(const char *text, const struct inspect_options *o)
{
    if (o->json) {
        fputs(text, stdout);
        return SOCLE_OK;
    }
    json_error_t problem;
    json_t *document = json_loads(text, JSON_ALLOW_NUL, &problem);
    if (!document) {
        cli_error("the description cannot be read: %s", problem.text);
        return SOCLE_FAILED;
    }
    int code = SOCLE_OK;
    if (!o->tensors && !o->program) {
        show_summary(document);
        show_metadata(document);
    }
    if (o->tensors) show_tensors(document);
    if (o->tensors && o->program) puts("");
    if (o->program) code = show_program(document);
    json_decref(document);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct inspect_options o = { 0 };
    const struct cli_option options[] = {
        { "tensors", 0, CLI_FLAG, &o.tensors, NULL, "list the tensors instead of the summary" },
        { "program", 0, CLI_FLAG, &o.program, NULL, "list the operations that compute its logits" },
        { "context", 'c', CLI_U32, &o.n_context, "N",
          "positions to plan memory for (default: the model's, at most "
          "8k)" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "everything, as one JSON document" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    const char *path = NULL;
    size_t n_paths = 0;
    int code = cli_parse(command, options, argc, argv, &path, 1, &n_paths);
    if (code >= 0) return code;
    if (n_paths == 0) path = cli_bundled_model();
    if (!path) return cli_misuse("no file given; 'socle inspect --help' explains");
    char *text;
    socle_error err;
    if (socle_inspect(path, o.n_context, &text, &err) != SOCLE_OK) return cli_fail(&err);
    code = show(text, &o);
    socle_free(text);
    return code;
}

const struct cli_command cli_inspect = {
    .name = "inspect",
    .summary = "show what is in a model file and what it would take to run",
    .usage = "[FILE] [options]",
    .examples = "  socle inspect                        # the bundled model\n"
                "  socle inspect model.gguf             # a page: family, size, memory, metadata\n"
                "  socle inspect model.gguf -c 32k      # memory with 32768 positions\n"
                "  socle inspect model.gguf --tensors   # every tensor's format, place and shape\n"
                "  socle inspect model.gguf --program   # every operation, in order\n"
                "  socle inspect model.gguf --json | jq .memory\n",
    .run = run,
};
