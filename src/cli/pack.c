// socle pack: a model file whose weights lie as the kernels want them.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

struct pack_options {
    const char *verify;
    uint32_t n_threads;
    bool force;
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
    printf("%s: every tensor agrees with its checksum\n", path);
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
    struct stat info;
    if (same_file(in, out)) return cli_misuse("%s: is the model itself; give the packed file another name", out);
    if (!o->force && stat(out, &info) == 0 && S_ISREG(info.st_mode))
        return cli_misuse("%s: exists; give --force to replace it", out);
    socle_model *model = cli_load_model(in, &code);
    if (!model) return code;
    struct cli_progress progress;
    cli_progress_begin(&progress, "Packing");
    socle_status status = socle_model_prepare(model, o->n_threads, show, &progress, &err);
    cli_progress_end(&progress);
    cli_progress_begin(&progress, "Writing");
    if (status == SOCLE_OK) status = socle_model_pack(model, out, o->n_threads, show, &progress, &err);
    cli_progress_end(&progress);
    socle_model_free(model);
    if (status != SOCLE_OK) return cli_fail(&err);
    struct stat before;
    if (stat(in, &before) == 0 && stat(out, &info) == 0)
        printf("%s: %.1f MiB, packed from %.1f MiB\n", out, (double)info.st_size / 1048576.0,
               (double)before.st_size / 1048576.0);
    return SOCLE_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct pack_options o = { 0 };
    const char *operands[2];
    size_t n_operands = 0;
    const struct cli_option options[] = {
        { "verify", 0, CLI_TEXT, &o.verify, "FILE", "compare a packed file with its checksums; write nothing" },
        { "force", 'f', CLI_FLAG, &o.force, NULL, "replace OUT if it exists" },
        { "threads", 't', CLI_U32, &o.n_threads, "N", "threads (default: one for each processor)" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, operands, 2, &n_operands);
    if (code >= 0) return code;
    if (o.verify && n_operands == 0) return verify(o.verify);
    if (o.verify || n_operands != 2) return cli_misuse("expected IN and OUT, or --verify FILE");
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
