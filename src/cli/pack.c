// socle pack: a model file whose weights lie as the kernels want them.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/output.h"

struct pack_options {
    const char *verify;
    uint32_t n_threads;
};

static void show(void *context, uint64_t done, uint64_t total)
{
    cli_progress_update(context, (double)done, (double)total, "");
}

static int verify(const char *path)
{
    struct cli_progress progress;
    socle_error err;
    cli_progress_begin(&progress, "Verifying");
    socle_status status = socle_verify(path, show, &progress, &err);
    cli_progress_end(&progress);
    if (status != SOCLE_OK) return cli_fail(&err);
    cli_put_text(stdout, path, strlen(path), 0);
    puts(": every tensor agrees with its checksum");
    return SOCLE_OK;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int pack(const struct pack_options *o, const char *in, const char *out)
{
    int code = SOCLE_OK;
    socle_error err;
    // Packing takes the weights' memory and next to none beside it.
    socle_session_options least = { .n_context = 1, .n_batch = 1, .n_threads = o->n_threads };
    if (same_file(in, out)) return cli_misuse("%s: is the source itself: give the result another name", out);
    socle_model *model = cli_load_model(in, &code);
    if (!model) return code;
    code = cli_prepare(model, &least);
    if (code >= 0) {
        socle_model_free(model);
        return code;
    }
    struct cli_progress progress;
    cli_progress_begin(&progress, "Writing");
    socle_status status = socle_model_pack(model, out, o->n_threads, show, &progress, &err);
    cli_progress_end(&progress);
    socle_model_info info;
    socle_model_describe(model, &info);
    uint64_t n_before = info.n_file_bytes;
    socle_model_free(model);
    if (status != SOCLE_OK) return cli_fail(&err);
    struct stat file;
    char before[16], after[16];
    uint64_t n_after = stat(out, &file) == 0 ? (uint64_t)file.st_size : 0;
    cli_put_text(stdout, out, strlen(out), 0);
    printf(": %s, packed from %s\n", cli_bytes(n_after, after), cli_bytes(n_before, before));
    return SOCLE_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct pack_options o = { 0 };
    const char *operands[2];
    size_t n_operands = 0;
    const struct cli_option options[] = {
        { "verify", 0, CLI_TEXT, &o.verify, "FILE", "compare a packed file with its checksums; write nothing" },
        { "threads", 't', CLI_U32, &o.n_threads, "N", "threads (default: one for each processor)" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, operands, 2, &n_operands);
    if (code >= 0) return code;
    if (o.verify && n_operands == 0) return verify(o.verify);
    if (o.verify || n_operands != 2) return cli_misuse("expected IN and OUT, or --verify FILE");
    if (strcmp(operands[1], "-") == 0)
        return cli_misuse("the result is a file that is mapped: give it a name, not '-'");
    return pack(&o, operands[0], operands[1]);
}

const struct cli_command cli_pack = {
    .name = "pack",
    .summary = "make a model file that starts at once, on any machine",
    .usage = "IN OUT [options]",
    .examples = "  socle pack model.gguf model.packed.gguf     # half a second later:\n"
                "  socle run -m model.packed.gguf \"Hello\"\n"
                "  socle pack --verify model.packed.gguf       # is it as it was written?\n",
    .run = run,
};
