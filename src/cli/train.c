// socle train: a model from nothing, or on from a file.
#include "cli/training.h"

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_training t;
    struct cli_config config = { 0 };
    cli_training_init(&t);
    // clang-format off
    const struct cli_option options[] = {
        { "Model", 0, CLI_FLAG, NULL, NULL, NULL },
        { "model", 'm', CLI_TEXT, &t.train.model, "FILE", "go on from this model" },
        { "tokenizer", 0, CLI_TEXT, &t.train.tokenizer, "FILE", "or a new one with this file's vocabulary" },
        { "family", 0, CLI_TEXT, &t.train.family, "NAME", "llama (default), qwen2, qwen3, qwen3moe" },
        { "layers", 0, CLI_U32, &t.train.n_layer, "N", "layers" },
        { "width", 0, CLI_U32, &t.train.n_embd, "N", "elements of a token's vector" },
        { "heads", 0, CLI_U32, &t.train.n_head, "N", "query heads" },
        { "kv-heads", 0, CLI_U32, &t.train.n_head_kv, "N", "key and value heads (default: as many)" },
        { "head-size", 0, CLI_U32, &t.train.head_dim, "N", "elements of a head (default: width / heads)" },
        { "feed-forward", 0, CLI_U32, &t.train.n_ff, "N", "width inside the feed-forward" },
        { "experts", 0, CLI_U32, &t.train.n_expert, "N", "experts of a layer (default: none)" },
        { "experts-used", 0, CLI_U32, &t.train.n_expert_used, "N", "of these, for each token" },
        { "rope-base", 0, CLI_F32, &t.train.rope_base, "X", "rotary base (default: 10000)" },
        { "untied", 0, CLI_FLAG, &t.train.untied, NULL, "an output matrix apart from the token table" },
        { "context", 'c', CLI_U32, &t.train.n_context, "N", "tokens of a window (default: 512)" },
        { "dropout", 0, CLI_F32, &t.train.dropout, "SHARE", "of what each block adds (default: 0)" },
        { "type", 0, CLI_TEXT, &t.train.result_type, "TYPE", "of the result's matrices (default: F16)" },
        { "Data", 0, CLI_FLAG, NULL, NULL, NULL },
        CLI_TRAINING_DATA_OPTIONS(t),
        { "Steps", 0, CLI_FLAG, NULL, NULL, NULL },
        CLI_TRAINING_STEP_OPTIONS(t),
        { "Run", 0, CLI_FLAG, NULL, NULL, NULL },
        CLI_TRAINING_RUN_OPTIONS(t),
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    // clang-format on
    int code = cli_training_parse(command, options, argc, argv, &t, &config);
    if (code < 0 && t.train.n_head_kv == 0) t.train.n_head_kv = t.train.n_head;
    if (code < 0) code = cli_training_run(&t);
    cli_config_free(&config);
    return code;
}

const struct cli_command cli_train = {
    .name = "train",
    .summary = "train a model: from nothing, or on from a file",
    .usage = "[CONFIG] [options]",
    .examples = "  socle tokenizer train tales.txt -o tales-vocab.gguf --vocab 2048\n"
                "  socle train tales.conf --dry-run     # what it would take\n"
                "  socle train tales.conf               # its lines are these options\n"
                "  socle train tales.conf --resume      # go on after a break, to the same bits\n"
                "  socle train tales.conf --verify      # repeat it between two checkpoints\n",
    .run = run,
};
