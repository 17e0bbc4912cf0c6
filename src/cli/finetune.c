// socle finetune: a low-rank adapter for a model whose weights stay as they are.
#include "cli/training.h"

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_training t;
    struct cli_config config = { 0 };
    cli_training_init(&t);
    t.train.data_kind = SOCLE_DATA_CHAT;
    t.train.lora_rank = 16;
    t.train.lora_alpha = 32.0f;
    t.train.rate = 2e-4f;
    t.train.weight_decay = 0.0f;
    t.train.n_windows = 2;
    t.train.n_accumulate = 4;
    t.train.n_steps = 200;
    t.train.n_warmup = 10;
    // clang-format off
    const struct cli_option options[] = {
        { "Adapter", 0, CLI_FLAG, NULL, NULL, NULL },
        { "model", 'm', CLI_TEXT, &t.train.model, "FILE", "the model that it is for, in any format" },
        { "rank", 0, CLI_U32, &t.train.lora_rank, "N", "of its changes (default: 16)" },
        { "alpha", 0, CLI_F32, &t.train.lora_alpha, "X", "changes count alpha / rank times (default: 32)" },
        { "targets", 0, CLI_TEXT, &t.train.lora_targets, "NAMES", "attn_q,attn_v,... (default: all of the layers)" },
        { "dropout", 0, CLI_F32, &t.train.lora_dropout, "SHARE", "of the changes' input (default: 0)" },
        { "beta", 0, CLI_F32, &t.train.preference_beta, "X", "preference: how far to move away (default: 0.1)" },
        { "context", 'c', CLI_U32, &t.train.n_context, "N", "tokens of a window (default: 512)" },
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
    if (code < 0 && t.train.lora_rank == 0) code = cli_misuse("--rank: an adapter has a rank of at least 1");
    if (code < 0 && !t.train.model) code = cli_misuse("--model: name the model that the adapter is for");
    if (code < 0) code = cli_training_run(&t);
    cli_config_free(&config);
    return code;
}

const struct cli_command cli_finetune = {
    .name = "finetune",
    .summary = "teach a model by an adapter, its own weights kept as they are",
    .usage = "[CONFIG] [options]",
    .examples = "  socle finetune -m model.gguf --data chats.jsonl -o run    # answers alone\n"
                "  socle finetune -m model.gguf -d pairs.jsonl --format preference -o run\n"
                "  socle run -m model.gguf --adapter run/adapter.gguf\n"
                "  socle merge model.gguf run/adapter.gguf -o merged.gguf\n",
    .run = run,
};
