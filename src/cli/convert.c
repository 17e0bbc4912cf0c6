// socle convert: a GGUF file of a model or an adapter in Hugging Face's folder, and back.
#include <string.h>
#include <sys/stat.h>

#include "cli/output.h"

static bool show(void *context, const char *tensor, uint64_t done, uint64_t total)
{
    cli_progress_update(context, (double)done, (double)total, tensor);
    return !cli_work_stopped();
}

static void report(const char *path, const socle_convert_result *result, bool is_adapter)
{
    struct stat file;
    char size[16];
    bool is_file = stat(path, &file) == 0 && S_ISREG(file.st_mode);
    cli_put_text(stdout, path, strlen(path), 0);
    printf(": %s, %llu tensors, %s, %s%s\n", result->family, (unsigned long long)result->n_tensors,
           cli_bytes(is_file ? (uint64_t)file.st_size : result->n_bytes, size),
           is_adapter ? "" : "text: ", result->text);
    if (result->n_left_out)
        printf("%llu tensors are %s and were left out\n", (unsigned long long)result->n_left_out,
               is_adapter ? "copies of the model's own"
                          : "no part of the decoder (pictures, further predicted tokens)");
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    socle_convert_options o = { 0 };
    const char *operands[2];
    size_t n_operands = 0;
    const struct cli_option options[] = {
        { "base", 0, CLI_TEXT, &o.base, "FILE", "it is an adapter, and this GGUF file the model that it is for" },
        { "no-tokenizer", 0, CLI_FLAG, &o.without_text, NULL, "convert the weights alone" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, operands, 2, &n_operands);
    if (code >= 0) return code;
    if (n_operands != 2) return cli_misuse("expected FOLDER and OUT, or FILE and FOLDER");
    struct stat from;
    bool is_folder = stat(operands[0], &from) == 0 && S_ISDIR(from.st_mode);
    if (strcmp(operands[1], "-") == 0) return cli_misuse("the result is a file: give it a name, not '-'");
    struct cli_progress progress;
    socle_convert_result result;
    socle_error err;
    cli_signals_work(true);
    cli_progress_begin(&progress, "Converting");
    o.on_progress = show;
    o.context = &progress;
    socle_status status = is_folder ? socle_convert(operands[0], operands[1], &o, &result, &err)
                                    : socle_convert_back(operands[0], operands[1], &o, &result, &err);
    cli_progress_end(&progress);
    cli_signals_work(false);
    if (status != SOCLE_OK) return cli_fail(&err);
    report(operands[1], &result, o.base != NULL);
    return SOCLE_OK;
}

const struct cli_command cli_convert = {
    .name = "convert",
    .summary = "make a GGUF file of a Hugging Face folder, or back",
    .usage = "FOLDER OUT [options]   or   FILE FOLDER [options]",
    .examples = "  socle convert Qwen3-4B/ qwen3-4b.gguf       # as it was trained: BF16\n"
                "  socle quantize qwen3-4b.gguf qwen3-4b-q4.gguf Q4_K_M\n"
                "  socle convert model-f16.gguf model-hf/      # a folder that transformers reads\n"
                "  socle convert my-lora/ my-lora.gguf --base qwen3-4b.gguf\n",
    .run = run,
};
