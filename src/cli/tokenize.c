// socle tokenize: text to token ids and back.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

struct tokenize_options {
    const char *model;
    bool jsonl, special, parse_special, pieces, decode;
};

static unsigned flags_of(const struct tokenize_options *o)
{
    return (o->special ? SOCLE_ADD_SPECIAL : 0u) | (o->parse_special ? SOCLE_PARSE_SPECIAL : 0u);
}

static void put_ids(const int32_t *ids, size_t n)
{
    putchar('[');
    for (size_t i = 0; i < n; i++) printf("%s%d", i ? ", " : "", ids[i]);
    putchar(']');
}

static socle_status put_json_text(const char *text, size_t n_bytes, socle_error *err)
{
    json_t *string = json_stringn(text, n_bytes);
    if (!string || json_dumpf(string, stdout, JSON_ENCODE_ANY) != 0) {
        // What was just printed was valid; only memory or standard output can fail, and the latter is found at the end.
        if (!string) *err = (socle_error){ SOCLE_NO_MEMORY, "not enough memory for a piece of text" };
        json_decref(string);
        return string ? SOCLE_OK : SOCLE_NO_MEMORY;
    }
    json_decref(string);
    return SOCLE_OK;
}

// The text of each token on its own. A word's leading space belongs to its token but is dropped at the start of a text,
// so each token is read behind an "a" that is then taken away. Parts of a character read as U+FFFD.
static socle_status put_pieces(const socle_model *model, const int32_t *ids, size_t n, socle_error *err)
{
    int32_t *anchor = NULL;
    size_t n_anchor;
    socle_status status = socle_tokenize(model, "a", 1, 0, &anchor, &n_anchor, err);
    if (status != SOCLE_OK) return status;
    int32_t pair[2] = { n_anchor ? anchor[n_anchor - 1] : 0 };
    socle_free(anchor);
    char *before, *text;
    size_t n_before, n_bytes;
    status = socle_detokenize(model, pair, 1, true, &before, &n_before, err);
    if (status != SOCLE_OK) return status;
    putchar('[');
    for (size_t i = 0; i < n && status == SOCLE_OK; i++) {
        pair[1] = ids[i];
        status = socle_detokenize(model, pair, 2, true, &text, &n_bytes, err);
        if (status != SOCLE_OK) break;
        size_t cut = n_bytes >= n_before && memcmp(text, before, n_before) == 0 ? n_before : 0;
        if (i) fputs(", ", stdout);
        status = put_json_text(text + cut, n_bytes - cut, err);
        socle_free(text);
    }
    putchar(']');
    socle_free(before);
    return status;
}

static socle_status encode(const socle_model *model, const struct tokenize_options *o, const char *text, size_t n_bytes,
                           socle_error *err)
{
    int32_t *ids;
    size_t n;
    socle_status status = socle_tokenize(model, text, n_bytes, flags_of(o), &ids, &n, err);
    if (status != SOCLE_OK) return status;
    if (o->jsonl) printf("{\"%s\": ", o->pieces ? "pieces" : "ids");
    if (o->pieces) status = put_pieces(model, ids, n, err);
    else put_ids(ids, n);
    if (o->jsonl) putchar('}');
    putchar('\n');
    socle_free(ids);
    return status;
}

static socle_status fail_row(socle_error *err, const char *message)
{
    err->status = SOCLE_BAD_ARGUMENT;
    snprintf(err->message, sizeof err->message, "%s", message);
    return SOCLE_BAD_ARGUMENT;
}

// An array of ids to text: as it is, or with --jsonl as a row.
static socle_status decode(const socle_model *model, const struct tokenize_options *o, const json_t *array,
                           socle_error *err)
{
    if (!json_is_array(array)) return fail_row(err, "expected an array of token ids");
    size_t n = json_array_size(array), n_bytes;
    int32_t *ids = malloc((n ? n : 1) * sizeof *ids);
    char *text;
    socle_status status = ids ? SOCLE_OK : fail_row(err, "not enough memory for so many ids");
    for (size_t i = 0; i < n && status == SOCLE_OK; i++) {
        const json_t *id = json_array_get(array, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            status = fail_row(err, "expected token ids, whole numbers from 0");
        else ids[i] = (int32_t)json_integer_value(id);
    }
    if (status == SOCLE_OK) status = socle_detokenize(model, ids, n, o->special, &text, &n_bytes, err);
    if (status == SOCLE_OK) {
        if (o->jsonl) {
            fputs("{\"text\": ", stdout);
            status = put_json_text(text, n_bytes, err);
            fputs("}\n", stdout);
        } else {
            fwrite(text, 1, n_bytes, stdout);
        }
        socle_free(text);
    }
    free(ids);
    return status;
}

// ---- input

static socle_status do_row(const socle_model *model, const struct tokenize_options *o, const char *line, size_t n_bytes,
                           socle_error *err)
{
    json_error_t problem;
    json_t *row = json_loadb(line, n_bytes, JSON_ALLOW_NUL, &problem);
    socle_status status;
    if (!row) {
        status = fail_row(err, problem.text);
    } else if (o->decode) {
        const json_t *ids = json_object_get(row, "ids");
        status = ids ? decode(model, o, ids, err) : fail_row(err, "expected an object with \"ids\"");
    } else {
        const json_t *text = json_object_get(row, "text");
        status = json_is_string(text) ? encode(model, o, json_string_value(text), json_string_length(text), err)
                                      : fail_row(err, "expected an object with a string \"text\"");
    }
    json_decref(row);
    return status;
}

// Row by row, so that any number of rows takes the memory of one. Blank lines are skipped.
static int do_rows(const socle_model *model, const struct tokenize_options *o)
{
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;
    int code = SOCLE_OK;
    while (code == SOCLE_OK && !ferror(stdout) && (n = getline(&line, &capacity, stdin)) >= 0) {
        socle_error err = { 0 };
        number++;
        if ((size_t)n == strspn(line, " \t\r\n")) continue;
        if (do_row(model, o, line, (size_t)n, &err) == SOCLE_OK) continue;
        cli_error("line %zu: %s", number, err.message);
        code = (int)err.status;
    }
    if (code == SOCLE_OK && ferror(stdin)) code = cli_fail_io("standard input", "read");
    free(line);
    return code;
}

static int do_all(const socle_model *model, const struct tokenize_options *o)
{
    int code = SOCLE_OK;
    size_t n_bytes;
    socle_error err = { 0 };
    if (isatty(STDIN_FILENO)) fprintf(stderr, "Reading standard input; end it with Ctrl-D.\n");
    char *text = cli_read_text("-", &n_bytes, &code);
    if (!text) return code;
    if (o->decode) {
        json_error_t problem;
        json_t *ids = json_loadb(text, n_bytes, 0, &problem);
        if (!ids) code = cli_misuse("standard input: expected a JSON array of token ids: %s", problem.text);
        else if (decode(model, o, ids, &err) != SOCLE_OK) code = cli_fail(&err);
        json_decref(ids);
    } else if (encode(model, o, text, n_bytes, &err) != SOCLE_OK) {
        code = cli_fail(&err);
    }
    free(text);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct tokenize_options o = { 0 };
    const struct cli_option options[] = {
        { "model", 'm', CLI_TEXT, &o.model, "FILE",
          "the model or vocabulary, a GGUF file (default: the "
          "bundled model)" },
        { "jsonl", 0, CLI_FLAG, &o.jsonl, NULL, "rows {\"text\": ...} in, rows {\"ids\": [...]} out" },
        { "special", 0, CLI_FLAG, &o.special, NULL,
          "add the beginning and end tokens that the model wants (with "
          "--decode: show special tokens)" },
        { "parse-special", 0, CLI_FLAG, &o.parse_special, NULL,
          "special tokens written out in the text become those "
          "tokens" },
        { "pieces", 0, CLI_FLAG, &o.pieces, NULL, "each token's text instead of its id" },
        { "decode", 'd', CLI_FLAG, &o.decode, NULL, "the other way: an array of ids in, text out" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, NULL, 0, NULL);
    if (code >= 0) return code;
    if (o.decode && o.pieces) return cli_misuse("--decode gives text: --pieces does not go with it");
    code = SOCLE_OK;
    socle_model *model = cli_load_model(o.model, &code);
    if (!model) return code;
    code = o.jsonl ? do_rows(model, &o) : do_all(model, &o);
    socle_model_free(model);
    return code;
}

const struct cli_command cli_tokenize = {
    .name = "tokenize",
    .summary = "turn text into token ids, or ids into text",
    .usage = "[-m FILE] [options] <text",
    .examples = "  printf 'Once upon a time' | socle tokenize\n"
                "  printf 'Once upon a time' | socle tokenize --pieces\n"
                "  printf '[403, 407]' | socle tokenize --decode\n"
                "  socle tokenize -m model.gguf --jsonl <rows.jsonl >ids.jsonl\n"
                "  socle tokenize -m model.gguf --special --parse-special <prompt.txt\n",
    .run = run,
};
