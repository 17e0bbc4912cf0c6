// socle tokenizer train: a byte-level BPE vocabulary from texts.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/documents.h"
#include "cli/output.h"

#define END_OF_TEXT "<|endoftext|>"

enum { SPECIALS_MAX = sizeof(struct cli_texts) / sizeof(char *) + 3 };

struct tokenizer_options {
    const char *out, *chat_template;
    const char *bos, *eos, *pad;
    struct cli_texts special;
    bool json;
    struct cli_documents documents;
    socle_tokenizer_train_options train;
};

struct training {
    struct tokenizer_options *options;
    socle_tokenizer_trainer *trainer;
    struct cli_progress progress;
    uint64_t n_read, n_added; // bytes of the files before this document, and bytes of the documents before it
    double started, seconds;
};

// ---- the work

static bool show(void *context, uint64_t done, uint64_t total)
{
    struct training *t = context;
    if (total) cli_progress_update(&t->progress, (double)done, (double)total, "");
    else
        cli_progress_update(&t->progress, (double)(t->n_read + done - t->n_added),
                            (double)t->options->documents.n_file_bytes, "");
    return !cli_work_stopped();
}

static socle_status take(void *context, const char *text, size_t n_bytes, uint64_t n_read, socle_error *err)
{
    struct training *t = context;
    t->n_read = n_read;
    socle_status status = socle_tokenizer_trainer_add(t->trainer, text, n_bytes, err);
    t->n_added += n_bytes;
    return status;
}

static socle_status train(struct training *t, socle_error *err)
{
    cli_progress_begin(&t->progress, "Reading");
    socle_status status = cli_documents_read(&t->options->documents, take, t, err);
    cli_progress_end(&t->progress);
    if (status != SOCLE_OK) return status;
    cli_progress_begin(&t->progress, "Merging");
    status = socle_tokenizer_trainer_finish(t->trainer, err);
    cli_progress_end(&t->progress);
    return status == SOCLE_OK ? socle_tokenizer_trainer_write(t->trainer, t->options->out, err) : status;
}

// ---- the result

static int report_json(const struct training *t, const socle_tokenizer_trainer_info *info)
{
    const struct tokenizer_options *o = t->options;
    json_t *special = json_array();
    for (size_t i = 0; i < o->train.n_special_tokens; i++)
        json_array_append_new(special, json_string(o->train.special_tokens[i]));
    return cli_print_json(json_pack(
        "{s:s, s:s, s:I, s:I, s:o, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "out", o->out, "pre",
        o->train.pretokenizer, "n_tokens", (json_int_t)info->n_tokens, "n_merges", (json_int_t)info->n_merges,
        "special_tokens", special, "bos", o->train.bos, "eos", o->train.eos, "pad", o->train.pad, "n_documents",
        (json_int_t)info->n_texts, "n_held_out", (json_int_t)o->documents.n_held_out, "n_bytes",
        (json_int_t)info->n_bytes, "n_words", (json_int_t)info->n_words, "n_text_tokens",
        (json_int_t)info->n_text_tokens, "bytes_per_token",
        info->n_text_tokens ? (double)info->n_bytes / (double)info->n_text_tokens : 0.0, "seconds", t->seconds));
}

static int report(const struct training *t)
{
    const struct tokenizer_options *o = t->options;
    socle_tokenizer_trainer_info info;
    char size[16];
    socle_tokenizer_trainer_describe(t->trainer, &info);
    if (o->json) return report_json(t, &info);
    cli_put_text(stdout, o->out, strlen(o->out), 0);
    printf(": %s%u tokens%s: %zu special, 256 bytes, %u merged\n", cli_bold(stdout), info.n_tokens, cli_reset(stdout),
           o->train.n_special_tokens, info.n_merges);
    printf("  texts    %s in %llu document%s, %llu different words", cli_bytes(info.n_bytes, size),
           (unsigned long long)info.n_texts, info.n_texts == 1 ? "" : "s", (unsigned long long)info.n_words);
    if (o->documents.holdout_every) printf("; %llu held out", (unsigned long long)o->documents.n_held_out);
    printf("\n  written  in %llu tokens, %.3f bytes each\n", (unsigned long long)info.n_text_tokens,
           info.n_text_tokens ? (double)info.n_bytes / (double)info.n_text_tokens : 0.0);
    printf("%s  %.1f s%s\n", cli_dim(stdout), t->seconds, cli_reset(stdout));
    return SOCLE_OK;
}

// ---- before the work

// The special tokens in the order of their ids: roles that --special does not name, then what it names.
static void collect_special(struct tokenizer_options *o, const char *special[SPECIALS_MAX])
{
    const char **roles[] = { &o->bos, &o->eos, &o->pad };
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        if (*roles[i] && !**roles[i]) *roles[i] = NULL;
        bool known = !*roles[i];
        for (size_t j = 0; j < o->special.n && !known; j++) known = strcmp(*roles[i], o->special.items[j]) == 0;
        for (size_t j = 0; j < n && !known; j++) known = strcmp(*roles[i], special[j]) == 0;
        if (!known) special[n++] = *roles[i];
    }
    for (size_t i = 0; i < o->special.n; i++) special[n++] = o->special.items[i];
    o->train.special_tokens = special;
    o->train.n_special_tokens = n;
    o->train.bos = o->bos;
    o->train.eos = o->eos;
    o->train.pad = o->pad;
}

static bool same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

// What can be told before texts are read; -1 to go on.
static int check(const struct tokenizer_options *o)
{
    const struct cli_documents *d = &o->documents;
    if (!o->out) return cli_misuse("-o names the GGUF file to write");
    if (strcmp(o->out, "-") == 0) return cli_misuse("the result is a file: give it a name, not '-'");
    if (!o->train.n_tokens) return cli_misuse("--vocab says how many tokens the vocabulary is to have");
    if (d->field && d->n_lines) return cli_misuse("--lines does not go with --jsonl: each line is a document");
    if (d->holdout_every && !d->field && !d->n_lines)
        return cli_misuse("--holdout-every holds out documents: --lines or --jsonl says what one is");
    if (!d->holdout_every && d->holdout_first) return cli_misuse("--holdout-first needs --holdout-every");
    if (d->holdout_every && d->holdout_first >= d->holdout_every)
        return cli_misuse("--holdout-first: expected less than --holdout-every, found %u", d->holdout_first);
    for (size_t i = 0; i < d->n_paths; i++)
        if (same_file(o->out, d->paths[i])) return cli_misuse("%s: is a text to read, and the result", o->out);
    // Whether there can be such a file.
    struct sc_new_file file;
    socle_error err;
    if (sc_new_file_begin(o->out, &file, &err) != SOCLE_OK) return cli_fail(&err);
    sc_new_file_end(&file, SOCLE_CANCELLED, NULL);
    return -1;
}

static int run_train(struct tokenizer_options *o)
{
    socle_error err;
    struct training t = { .options = o, .started = cli_now() };
    o->train.on_progress = show;
    o->train.context = &t;
    if (socle_tokenizer_trainer_create(&o->train, &t.trainer, &err) != SOCLE_OK) return cli_fail(&err);
    cli_signals_work(true);
    socle_status status = train(&t, &err);
    cli_signals_work(false);
    t.seconds = cli_now() - t.started;
    int code = status == SOCLE_OK ? report(&t) : cli_fail_evaluation(&err);
    socle_tokenizer_trainer_free(t.trainer);
    return code;
}

// With the operands known: the first is the action, the others are texts.
static int act(struct tokenizer_options *o, const char *const *operands, size_t n)
{
    static const char *const actions[] = { "train" };
    const char *special[SPECIALS_MAX];
    if (n == 0) return cli_misuse("expected 'train'; 'socle tokenizer --help' explains");
    if (strcmp(operands[0], "train") != 0) {
        const char *meant = cli_suggest(operands[0], actions, 1);
        return cli_misuse("expected 'train', found '%s'%s", operands[0], meant ? ": did you mean 'train'?" : "");
    }
    if (n == 1) return cli_misuse("no text is named: expected files, or '-' for standard input");
    o->documents.paths = operands + 1;
    o->documents.n_paths = n - 1;
    int code = check(o);
    if (code >= 0) return code;
    collect_special(o, special);
    char *template = NULL;
    if (o->chat_template) {
        size_t n_bytes;
        template = cli_read_text(o->chat_template, &n_bytes, &code);
        if (!template) return code;
        if (strlen(template) != n_bytes) {
            free(template);
            return cli_misuse("%s: has a NUL, which no template has", o->chat_template);
        }
        o->train.chat_template = template;
    }
    code = run_train(o);
    free(template);
    return code;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct tokenizer_options o = { .bos = END_OF_TEXT, .eos = END_OF_TEXT, .train.pretokenizer = "gpt-2" };
    uint32_t min_count = 0;
    const struct cli_option options[] = {
        { "out", 'o', CLI_TEXT, &o.out, "FILE", "the vocabulary, a GGUF file" },
        { "vocab", 0, CLI_U32, &o.train.n_tokens, "N", "tokens in all (32k is 32768)" },
        { "json", 0, CLI_FLAG, &o.json, NULL, "the summary as JSON" },
        { "Texts", 0, CLI_FLAG, NULL, NULL, NULL },
        { "jsonl", 0, CLI_TEXT, &o.documents.field, "FIELD", "files are rows of JSON; their text is in this field" },
        { "lines", 0, CLI_U32, &o.documents.n_lines, "N", "a document is N lines (default: a file)" },
        { "holdout-every", 0, CLI_U32, &o.documents.holdout_every, "N", "leave out one of every N documents:" },
        { "holdout-first", 0, CLI_U32, &o.documents.holdout_first, "K", "numbers K, K + N, K + 2N, ... (default: 0)" },
        { "Tokens", 0, CLI_FLAG, NULL, NULL, NULL },
        { "pre", 0, CLI_TEXT, &o.train.pretokenizer, "NAME",
          "how text is cut into words before: gpt-2 (default), llama-bpe, qwen2, gpt-4o, ..." },
        { "min-count", 0, CLI_U32, &min_count, "N", "pairs that occur less often are not merged (default: 2)" },
        { "max-bytes", 0, CLI_U32, &o.train.max_token_bytes, "N", "the longest token (default and most: 512)" },
        { "special", 0, CLI_TEXTS, &o.special, "TOKEN", "a special token; may be given several times" },
        { "bos", 0, CLI_TEXT, &o.bos, "TOKEN", "the one that begins texts (default: " END_OF_TEXT "; '': none)" },
        { "eos", 0, CLI_TEXT, &o.eos, "TOKEN", "the one that ends them (default: " END_OF_TEXT "; '': none)" },
        { "pad", 0, CLI_TEXT, &o.pad, "TOKEN", "the one that fills (default: none)" },
        { "no-add-bos", 0, CLI_FLAG, &o.train.without_bos, NULL, "models do not begin every text with --bos" },
        { "chat-template", 0, CLI_TEXT, &o.chat_template, "FILE", "a Jinja template to put into the file" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    const char **operands = malloc((size_t)argc * sizeof *operands);
    size_t n = 0;
    if (!operands) {
        cli_error("not enough memory for the arguments");
        return SOCLE_NO_MEMORY;
    }
    int code = cli_parse(command, options, argc, argv, operands, (size_t)argc, &n);
    o.train.min_count = min_count;
    if (code < 0) code = act(&o, operands, n);
    free(operands);
    return code;
}

const struct cli_command cli_tokenizer = {
    .name = "tokenizer",
    .summary = "train a tokenizer: a byte-level BPE vocabulary from texts",
    .usage = "train FILE... -o OUT --vocab N [options]",
    .examples = "  socle tokenizer train tales.txt -o tales.tok.gguf --vocab 4096\n"
                "  socle tokenizer train a.jsonl b.jsonl -o ab.gguf --vocab 32k --jsonl text \\\n"
                "      --special '<|im_start|>' --special '<|im_end|>' --eos '<|im_end|>'\n"
                "  socle tokenizer train book.txt -o book.gguf --vocab 8k --lines 50 \\\n"
                "      --holdout-every 20 --holdout-first 10   # keep a twentieth unseen\n"
                "  echo 'Once upon a time' | socle tokenize -m tales.tok.gguf --pieces\n",
    .run = run,
};
