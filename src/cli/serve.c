// socle serve: models behind the HTTP interfaces that clients already speak.
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/config.h"
#include "cli/output.h"
#include "server/sandbox.h"
#include "server/server.h"

struct serve_options {
    struct cli_texts adapters;
    socle_adapter loaded_adapters[sizeof((struct cli_texts *)0)->items / sizeof(char *)];
    struct server_options server;
    struct cli_texts cors;
    const char *cache;
    uint64_t max_body_mib, budget_mib, n_cache, cache_disk_mib;
    float timeout;
    const char *config, *sandbox, *pooling;
    bool check;
    socle_session_options session; // what is common with other commands
};

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

static void show(void *context, uint64_t done, uint64_t total)
{
    cli_progress_update(context, (double)done, (double)total, "");
}

// Waits for SIGINT or SIGTERM, which are blocked in every thread.
static void wait_for_end(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) != 0) continue;
}

static void announce(const struct serve_options *o, const struct server *server)
{
    const char *scheme = o->server.certificate ? "https" : "http";
    bool v6 = strchr(o->server.host, ':') != NULL;
    printf("Listening on %s%s://%s%s%s:%u%s\n", cli_bold(stdout), scheme, v6 ? "[" : "", o->server.host, v6 ? "]" : "",
           server_port(server), cli_reset(stdout));
    if (!o->server.no_pages) printf("Open it in a browser to chat; /status has load and speed. ");
    printf("Ctrl-C ends.\n");
    fflush(stdout);
}

// The folder of a path, in `out`.
static const char *folder_of(const char *path, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash) return ".";
    slash[slash == out] = '\0';
    return out;
}

// Before anything is opened or any thread is made: only the models, the certificate and the keys' folder are left.
static int confine(const struct serve_options *o)
{
    const struct server_options *s = &o->server;
    char models[PATH_MAX], keys[PATH_MAX];
    const char *readable[3 + sizeof o->loaded_adapters / sizeof *o->loaded_adapters], *writable[2];
    uint16_t port = (uint16_t)s->port;
    struct sc_sandbox_rules rules = { .readable = readable, .writable = writable, .ports = &port, .n_ports = 1 };
    struct sc_sandbox_state state;
    socle_error err;
    if (strcmp(o->sandbox, "off") == 0) return -1;
    rules.required = strcmp(o->sandbox, "require") == 0;
    readable[rules.n_readable++] = s->models.folder ? s->models.folder : folder_of(s->models.path, models); // shards
    for (size_t i = 0; i < s->models.n_adapters; i++) readable[rules.n_readable++] = s->models.adapters[i].path;
    if (s->certificate) readable[rules.n_readable++] = s->certificate;
    if (s->private_key) readable[rules.n_readable++] = s->private_key;
    if (s->keys) writable[rules.n_writable++] = folder_of(s->keys, keys); // the database's journal lies beside it
    if (s->models.cache_folder) writable[rules.n_writable++] = s->models.cache_folder;
    if (sc_sandbox_enter(&rules, &state, &err) != SOCLE_OK) return cli_fail(&err);
    char text[SC_SANDBOX_TEXT_BYTES];
    sc_sandbox_describe(&state, text);
    fprintf(stderr, "Sandbox: %s\n", text);
    return -1;
}

static int serve(struct serve_options *o)
{
    const char *folder = o->server.models.cache_folder;
    if (folder && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return cli_misuse("--cache-dir %s: %s", folder, strerror(errno));
    int code = confine(o);
    if (code >= 0) return code;
    struct server *server;
    struct cli_progress progress;
    sigset_t signals;
    socle_error err;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); // keys are read again by themselves
    cli_progress_begin(&progress, "Preparing");
    o->server.models.on_progress = show;
    o->server.models.context = &progress;
    socle_status status = server_start(&o->server, &server, &err);
    cli_progress_end(&progress);
    if (status != SOCLE_OK) return cli_fail(&err);
    announce(o, server);
    wait_for_end(&signals);
    fprintf(stderr, "Ending: waiting for the answers that are being written (again to stop at once)\n");
    struct sigaction now = { .sa_handler = SIG_DFL };
    sigaction(SIGINT, &now, NULL);
    sigaction(SIGTERM, &now, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    server_stop(server, 30.0);
    return SOCLE_OK;
}

static int read_pooling(const char *name, socle_pooling *out)
{
    static const struct {
        const char *name;
        socle_pooling pooling;
    } known[] = { { "model", SOCLE_POOLING_MODEL },
                  { "mean", SOCLE_POOLING_MEAN },
                  { "first", SOCLE_POOLING_FIRST },
                  { "last", SOCLE_POOLING_LAST } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name ? name : "model", known[i].name) != 0) continue;
        *out = known[i].pooling;
        return -1;
    }
    return cli_misuse("--pooling %s: expected model, mean, first or last", name);
}

static int check(struct serve_options *o)
{
    struct server_options *s = &o->server;
    int code = cli_read_cache(o->cache, &o->session);
    if (code < 0) code = read_pooling(o->pooling, &s->pooling);
    if (code >= 0) return code;
    if (s->models.path && s->models.folder) return cli_misuse("--model and --models exclude each other");
    if (!s->models.path && !s->models.folder) s->models.path = cli_bundled_model();
    if (!s->models.path && !s->models.folder)
        return cli_misuse("no model: name one with -m, or a folder with --models");
    if (!is_loopback(s->host) && !s->keys)
        return cli_misuse(
            "--host %s: an address that others can reach needs API keys: make one with 'socle key add' and "
            "name their database with --keys",
            s->host);
    if (!o->sandbox) o->sandbox = "on";
    if (strcmp(o->sandbox, "on") != 0 && strcmp(o->sandbox, "off") != 0 && strcmp(o->sandbox, "require") != 0)
        return cli_misuse("--sandbox %s: expected on, off or require", o->sandbox);
    if (o->adapters.n && s->models.folder) return cli_misuse("--adapter: adapters belong to one model, not to --models");
    cli_read_adapters(&o->adapters, o->loaded_adapters);
    s->models.adapters = o->loaded_adapters;
    s->models.n_adapters = o->adapters.n;
    s->cors = o->cors.items;
    s->n_cors = o->cors.n;
    s->max_body = o->max_body_mib << 20;
    s->timeout_seconds = (double)o->timeout;
    s->models.budget = o->budget_mib << 20;
    socle_scheduler_options *scheduler = &s->models.scheduler;
    scheduler->n_context = o->session.n_context;
    scheduler->n_cache = o->n_cache;
    scheduler->cache_file_bytes = o->cache_disk_mib << 20;
    scheduler->n_threads = o->session.n_threads;
    scheduler->n_batch = o->session.n_batch;
    scheduler->cache = o->session.cache;
    scheduler->cpu = o->session.cpu;
    scheduler->allow_overcommit = o->session.allow_overcommit;
    return -1;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct serve_options o = {
        .server = { .host = "127.0.0.1",
                    .port = 8080,
                    .max_connections = 4096,
                    .idle_seconds = 120,
                    .models.scheduler = { .n_running = 64, .n_waiting = 256 } },
        .max_body_mib = 32,
    };
    socle_scheduler_options *scheduler = &o.server.models.scheduler;
    const struct cli_option options[] = {
        { "model", 'm', CLI_TEXT, &o.server.models.path, "FILE", "the model, a GGUF file (default: the bundled one)" },
        { "models", 0, CLI_TEXT, &o.server.models.folder, "DIR",
          "instead: every model of a folder, loaded when asked for" },
        CLI_ADAPTER_OPTION(o.adapters),
        { "alias", 0, CLI_TEXT, &o.server.models.alias, "NAME", "the model's name for clients (default: its file's)" },
        { "memory", 0, CLI_U64, &o.budget_mib, "MIB", "with --models: memory that models may take together" },
        { "Where", 0, CLI_FLAG, NULL, NULL, NULL },
        { "host", 0, CLI_TEXT, &o.server.host, "ADDRESS", "address to listen on (default: 127.0.0.1)" },
        { "port", 0, CLI_U32, &o.server.port, "N", "port (default: 8080; 0: any that is free)" },
        { "tls-cert", 0, CLI_TEXT, &o.server.certificate, "FILE", "certificate (PEM): serve https" },
        { "tls-key", 0, CLI_TEXT, &o.server.private_key, "FILE", "its private key (PEM)" },
        { "cors", 0, CLI_TEXTS, &o.cors, "ORIGIN", "let pages of this origin use the server" },
        { "no-pages", 0, CLI_FLAG, &o.server.no_pages, NULL, "do not serve the chat and status pages" },
        { "keys", 0, CLI_TEXT, &o.server.keys, "FILE", "ask for API keys of this database ('socle key' makes them)" },
        { "sandbox", 0, CLI_TEXT, &o.sandbox, "HOW", "on (default), off, or require: confine the process" },
        { "How much", 0, CLI_FLAG, NULL, NULL, NULL },
        { "context", 'c', CLI_U32, &o.session.n_context, "N",
          "tokens of one conversation (default: the model's, at most 8192)" },
        { "cache-tokens", 0, CLI_U64, &o.n_cache, "N", "tokens of all conversations in memory (default: 4 contexts)" },
        { "cache-dir", 0, CLI_TEXT, &o.server.models.cache_folder, "DIR",
          "keep known beginnings here from one run to the next" },
        { "cache-disk", 0, CLI_U64, &o.cache_disk_mib, "MIB", "disk that a model's may take (default: 4096)" },
        { "running", 0, CLI_U32, &scheduler->n_running, "N", "answers computed at once (default: 64)" },
        { "waiting", 0, CLI_U32, &scheduler->n_waiting, "N", "further ones that may wait (default: 256)" },
        { "predict", 'n', CLI_U32, &o.server.n_predict, "N",
          "tokens of an answer that does not say (default: what fits)" },
        { "pooling", 0, CLI_TEXT, &o.pooling, "HOW",
          "of embeddings: as the model says (default), mean, first or last token" },
        { "timeout", 0, CLI_F32, &o.timeout, "S", "seconds an answer may take (default: no limit)" },
        { "idle", 0, CLI_U32, &o.server.idle_seconds, "S", "close idle connections after S seconds (default: 120)" },
        { "connections", 0, CLI_U32, &o.server.max_connections, "N", "connections at most (default: 4096)" },
        { "max-body", 0, CLI_U64, &o.max_body_mib, "MIB", "size of a request at most (default: 32)" },
        { "Computing", 0, CLI_FLAG, NULL, NULL, NULL },
        { "batch", 'b', CLI_U32, &o.session.n_batch, "N", "tokens computed together (default: 512)" },
        { "cache", 0, CLI_TEXT, &o.cache, "TYPE", "keys and values as f16 (default), f32 or q8_0" },
        CLI_MACHINE_OPTIONS(o.session),
        { "config", 0, CLI_TEXT, &o.config, "FILE", "read options from a file, 'name = value' lines" },
        { "check", 0, CLI_FLAG, &o.check, NULL, "check the options and stop" },
        { 0 },
    };
    struct cli_config config = { 0 };
    int code = cli_parse_config(command, options, argc, argv, NULL, 0, NULL, &config);
    if (code < 0) code = check(&o);
    if (code < 0) code = o.check ? (puts("The options are right."), SOCLE_OK) : serve(&o);
    cli_config_free(&config);
    return code;
}

const struct cli_command cli_serve = {
    .name = "serve",
    .summary = "serve models to many users by HTTP",
    .usage = "[-m FILE | --models DIR] [options]",
    .examples = "  socle serve -m model.gguf                   # then open 127.0.0.1:8080\n"
                "  socle serve --models models/ --memory 16k   # many, loaded when asked for\n"
                "  curl 127.0.0.1:8080/v1/completions -d '{\"prompt\": \"Once\"}'\n",
    .run = run,
};
