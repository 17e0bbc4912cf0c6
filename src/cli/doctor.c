// socle doctor: what this machine can do, which models fit, and what would make it faster.
//
// Everything is read from /proc and /sys where the system has them, or measured; what cannot be learned is left out.
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "cli/output.h"

enum { CHECKS_MAX = 16 };

struct check {
    enum { FINE, NOTE, WARNING } level;
    const char *name;
    char text[200];
};

struct doctor {
    bool json, quick;
    const char *cpu;
    uint32_t n_threads;
    char processor[128], best[16];
    uint32_t n_processors;
    uint64_t memory_total, memory_available;
    socle_limits limits; // zero: not measured
    struct check checks[CHECKS_MAX];
    size_t n_checks;
};

// Sizes of models as they are common; total and active parameters in billions.
static const struct model_size {
    const char *name, *example;
    double n_total, n_active;
} sizes[] = {
    { "1B", "Llama 3.2 1B", 1.24, 1.24 },   { "3B", "Llama 3.2 3B", 3.21, 3.21 },
    { "8B", "Qwen 3 8B", 8.19, 8.19 },      { "14B", "Qwen 3 14B", 14.8, 14.8 },
    { "30B-A3B", "Qwen 3 30B", 30.5, 3.3 }, { "32B", "Qwen 3 32B", 32.8, 32.8 },
    { "70B", "Llama 3.3 70B", 70.6, 70.6 }, { "671B-A37B", "DeepSeek-V3", 671.0, 37.0 },
};
static const struct {
    const char *name;
    double bits; // for each weight, scales included
} formats[] = { { "Q4_K", 4.5 }, { "Q8_0", 8.5 } };

enum { N_SIZES = sizeof sizes / sizeof sizes[0], N_FORMATS = sizeof formats / sizeof formats[0] };

// What a conversation needs beside the weights: cache and room to compute, roughly.
static const double beside_bytes = 0.75e9;

// ---- reading the system

// The first line of a file, without its line feed; false when there is none.
static bool read_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool found = fgets(out, (int)size, file) != NULL;
    fclose(file);
    if (found) out[strcspn(out, "\n")] = '\0';
    return found && *out;
}

// The value behind "name : value" in /proc/cpuinfo.
static bool read_cpuinfo(const char *name, char *out, size_t size)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, name, strlen(name)) != 0) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, size, "%s", colon);
        found = *out != '\0';
    }
    if (file) fclose(file);
    return found;
}

static void read_processor(struct doctor *d)
{
    struct utsname machine;
    if (read_cpuinfo("model name", d->processor, sizeof d->processor) ||
        read_cpuinfo("uarch", d->processor, sizeof d->processor) ||
        read_line("/proc/device-tree/model", d->processor, sizeof d->processor))
        return;
    snprintf(d->processor, sizeof d->processor, "%s", uname(&machine) == 0 ? machine.machine : "unknown");
}

__attribute__((format(printf, 4, 5))) static void add_check(struct doctor *d, int level, const char *name,
                                                            const char *format, ...)
{
    if (d->n_checks == CHECKS_MAX) return;
    struct check *check = &d->checks[d->n_checks++];
    check->level = level;
    check->name = name;
    va_list args;
    va_start(args, format);
    vsnprintf(check->text, sizeof check->text, format, args);
    va_end(args);
}

// ---- checks

// Without measuring, nothing else would notice a name that no level has.
static int check_name(const struct doctor *d)
{
    socle_cpu_level level;
    for (size_t i = 0; d->cpu && socle_cpu_level_at(i, &level); i++)
        if (strcasecmp(d->cpu, level.name) == 0) return -1;
    return d->cpu ? cli_misuse("--cpu: no instruction-set level is called '%s'", d->cpu) : -1;
}

static void check_levels(struct doctor *d)
{
    socle_cpu_level level;
    bool best_supported = false;
    for (size_t i = 0; socle_cpu_level_at(i, &level); i++) {
        best_supported = level.supported;
        if (level.supported && !d->cpu) snprintf(d->best, sizeof d->best, "%s", level.name);
    }
    const char *forced = getenv("SOCLE_CPU");
    if (d->cpu || (forced && *forced)) {
        snprintf(d->best, sizeof d->best, "%s", d->cpu ? d->cpu : forced);
        if (!d->cpu) add_check(d, NOTE, "level", "SOCLE_CPU=%.40s overrides the choice of the level", forced);
    } else if (!best_supported) {
        add_check(d, NOTE, "level", "a faster level exists that this processor lacks; '%s' is used", d->best);
    } else {
        add_check(d, FINE, "level", "the best level of this build, '%s', is used", d->best);
    }
}

static void check_governor(struct doctor *d)
{
    char governor[64];
    if (!read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor, sizeof governor)) return;
    if (strcmp(governor, "powersave") == 0 || strcmp(governor, "conservative") == 0)
        add_check(d, NOTE, "governor", "'%s' may hold the clock down: cpupower frequency-set -g performance", governor);
    else add_check(d, FINE, "governor", "'%s'", governor);
}

static void check_overcommit(struct doctor *d)
{
    char mode[16];
    if (!read_line("/proc/sys/vm/overcommit_memory", mode, sizeof mode)) return;
    if (mode[0] == '2')
        add_check(d, NOTE, "overcommit", "strict (vm.overcommit_memory = 2): large contexts may be refused early");
    else add_check(d, FINE, "overcommit", "memory is granted when it is touched");
}

static void check_limits(struct doctor *d)
{
    struct rlimit space;
    char text[16];
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        add_check(d, WARNING, "ulimit", "the address space is limited to %s (ulimit -v), models included",
                  cli_bytes(space.rlim_cur, text));
    if (d->memory_total && d->memory_available < d->memory_total / 4)
        add_check(d, NOTE, "memory", "only %s are available: other programs hold the rest",
                  cli_bytes(d->memory_available, text));
    char quota[64];
    unsigned long long used, period;
    if (read_line("/sys/fs/cgroup/cpu.max", quota, sizeof quota) && sscanf(quota, "%llu %llu", &used, &period) == 2 &&
        period && used / (double)period < d->n_processors)
        add_check(d, WARNING, "quota", "this container may use %.1f of %u processors: try -t %.0f",
                  (double)used / (double)period, d->n_processors, fmax(1.0, floor((double)used / (double)period)));
}

static void check_huge_pages(struct doctor *d)
{
    char mode[64];
    if (!read_line("/sys/kernel/mm/transparent_hugepage/enabled", mode, sizeof mode)) return;
    if (strstr(mode, "[never]"))
        add_check(d, NOTE, "huge pages",
                  "off: 'madvise' in /sys/kernel/mm/transparent_hugepage/enabled helps a little");
    else add_check(d, FINE, "huge pages", "%s", strstr(mode, "[always]") ? "always" : "on request");
}

static void check_nodes(struct doctor *d)
{
    char nodes[64], load[64];
    if (read_line("/sys/devices/system/node/online", nodes, sizeof nodes) && strpbrk(nodes, "-,"))
        add_check(d, NOTE, "nodes", "several memory nodes (%.30s): numactl --interleave=all often helps", nodes);
    if (read_line("/proc/loadavg", load, sizeof load) && strtod(load, NULL) > 0.5 * d->n_processors)
        add_check(d, NOTE, "load", "%.1f of %u processors are busy: what was measured here is too low",
                  strtod(load, NULL), d->n_processors);
}

static int examine(struct doctor *d)
{
    socle_error err;
    d->n_processors = socle_processor_count();
    d->memory_total = socle_memory_total();
    d->memory_available = socle_memory_available();
    read_processor(d);
    check_levels(d);
    check_governor(d);
    check_overcommit(d);
    check_limits(d);
    check_huge_pages(d);
    check_nodes(d);
    if (d->quick) return -1;
    if (!d->json && cli_color(stderr)) fprintf(stderr, "Measuring...\r");
    socle_status status = socle_measure(d->n_threads, d->cpu, &d->limits, &err);
    if (!d->json && cli_color(stderr)) fprintf(stderr, "\033[K");
    return status == SOCLE_OK ? -1 : cli_fail(&err);
}

// ---- what fits

struct fit {
    double n_bytes, tokens_per_second; // 0: not measured
    const char *answer;                // "yes", "after freeing memory", "no"
};

static struct fit fit_of(const struct doctor *d, const struct model_size *size, double bits)
{
    struct fit fit = { .n_bytes = size->n_total * 1e9 * bits / 8 };
    double need = fit.n_bytes + beside_bytes;
    fit.answer = need <= (double)d->memory_available ? "yes" : need <= 0.9 * (double)d->memory_total ? "tight" : "no";
    fit.tokens_per_second = d->limits.read_bytes_per_second / (size->n_active * 1e9 * bits / 8);
    return fit;
}

// ---- JSON

static json_t *levels_json(void)
{
    json_t *array = json_array();
    socle_cpu_level level;
    for (size_t i = 0; socle_cpu_level_at(i, &level); i++)
        json_array_append_new(array, json_pack("{s:s, s:s, s:b}", "name", level.name, "description", level.description,
                                               "supported", (int)level.supported));
    return array;
}

static json_t *fits_json(const struct doctor *d)
{
    json_t *array = json_array();
    for (size_t i = 0; i < N_SIZES * N_FORMATS; i++) {
        const struct model_size *size = &sizes[i / N_FORMATS];
        struct fit fit = fit_of(d, size, formats[i % N_FORMATS].bits);
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:I, s:s, s:o}", "model", size->name, "format", formats[i % N_FORMATS].name,
                             "n_bytes", (json_int_t)fit.n_bytes, "fits", fit.answer, "tokens_per_second_at_most",
                             fit.tokens_per_second > 0 ? json_real(fit.tokens_per_second) : json_null()));
    }
    return array;
}

static int print_json(const struct doctor *d)
{
    static const char *const levels[] = { "ok", "note", "warning" };
    json_t *checks = json_array(), *limits = json_null();
    for (size_t i = 0; i < d->n_checks; i++)
        json_array_append_new(checks, json_pack("{s:s, s:s, s:s}", "check", d->checks[i].name, "level",
                                                levels[d->checks[i].level], "text", d->checks[i].text));
    if (d->limits.read_bytes_per_second > 0)
        limits = json_pack("{s:f, s:f, s:f}", "read_bytes_per_second", d->limits.read_bytes_per_second,
                           "int8_macs_per_second", d->limits.int8_macs_per_second, "f32_macs_per_second",
                           d->limits.f32_macs_per_second);
    return cli_print_json(json_pack("{s:s, s:s, s:i, s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "version", socle_version(),
                                    "processor", d->processor, "n_processors", (int)d->n_processors, "levels",
                                    levels_json(), "level", d->best, "memory_total", (json_int_t)d->memory_total,
                                    "memory_available", (json_int_t)d->memory_available, "limits", limits, "models",
                                    fits_json(d), "checks", checks));
}

// ---- for people

static void heading(const char *text) { printf("\n%s%s%s\n", cli_bold(stdout), text, cli_reset(stdout)); }

static void begin_line(const char *label) { printf("  %s%-12s%s ", cli_dim(stdout), label, cli_reset(stdout)); }

static void print_machine(const struct doctor *d)
{
    char total[16], available[16];
    socle_cpu_level level;
    printf("%sSocle %s on this machine%s\n", cli_bold(stdout), socle_version(), cli_reset(stdout));
    begin_line("processor");
    cli_put_text(stdout, d->processor, strlen(d->processor), 60);
    printf("\n");
    begin_line("");
    printf("%u processor%s for this program\n", d->n_processors, d->n_processors == 1 ? "" : "s");
    for (size_t i = 0; socle_cpu_level_at(i, &level); i++) {
        bool used = strcasecmp(level.name, d->best) == 0;
        begin_line(i ? "" : "levels");
        printf("%s%-5s%s %s%s%s\n", used ? cli_green(stdout) : "", level.name, used ? cli_reset(stdout) : "",
               level.description, level.supported ? "" : " - not on this processor", used ? "  <- in use" : "");
    }
    begin_line("memory");
    printf("%s, of which %s are available\n", cli_bytes(d->memory_total, total),
           cli_bytes(d->memory_available, available));
    if (d->limits.read_bytes_per_second <= 0) return;
    begin_line("measured");
    printf("reads memory at %s%.1f GB/s%s\n", cli_bold(stdout), d->limits.read_bytes_per_second / 1e9,
           cli_reset(stdout));
    begin_line("");
    printf("multiplies and adds %s%.1f G/s%s in int8, %s%.1f G/s%s in f32\n", cli_bold(stdout),
           d->limits.int8_macs_per_second / 1e9, cli_reset(stdout), cli_bold(stdout),
           d->limits.f32_macs_per_second / 1e9, cli_reset(stdout));
}

static void print_fits(const struct doctor *d)
{
    bool measured = d->limits.read_bytes_per_second > 0;
    heading("Models");
    printf("  %s%-10s %-13s", cli_dim(stdout), "size", "for example");
    for (size_t f = 0; f < N_FORMATS; f++)
        printf(" | %-7s %5s%s", formats[f].name, "fits", measured ? " tokens/s" : "");
    printf("%s\n", cli_reset(stdout));
    for (size_t i = 0; i < N_SIZES; i++) {
        printf("  %-10s %-13s", sizes[i].name, sizes[i].example);
        for (size_t f = 0; f < N_FORMATS; f++) {
            struct fit fit = fit_of(d, &sizes[i], formats[f].bits);
            char speed[16] = "";
            bool fits = strcmp(fit.answer, "no") != 0;
            if (fits && measured)
                snprintf(speed, sizeof speed, fit.tokens_per_second < 10 ? "< %.1f" : "< %.0f", fit.tokens_per_second);
            printf(" | %4.*f GB %s%5s%s%*s", fit.n_bytes < 9.95e9 ? 1 : 0, fit.n_bytes / 1e9,
                   fits ? cli_green(stdout) : cli_dim(stdout), fit.answer, cli_reset(stdout), measured ? 9 : 0, speed);
        }
        puts("");
    }
    printf("%s  'tight': more than is available now, but not more than the machine has.\n", cli_dim(stdout));
    if (measured)
        printf("  tokens/s is an upper bound, not a promise: each token reads all active\n"
               "  weights once, at the speed measured. 'socle bench' tells how near one comes.\n");
    printf("%s", cli_reset(stdout));
}

static void print_checks(const struct doctor *d)
{
    static const char *const levels[] = { "ok", "note", "warn" };
    heading("Checks");
    for (size_t i = 0; i < d->n_checks; i++) {
        const struct check *check = &d->checks[i];
        printf("  %s%-4s%s  %-10s  ", check->level == FINE ? cli_green(stdout) : cli_bold(stdout), levels[check->level],
               cli_reset(stdout), check->name);
        cli_put_wrapped(stdout, check->text, 20);
    }
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct doctor d = { 0 };
    const struct cli_option options[] = {
        { "quick", 0, CLI_FLAG, &d.quick, NULL, "measure nothing" },
        { "json", 0, CLI_FLAG, &d.json, NULL, "the findings as JSON" },
        { "threads", 't', CLI_U32, &d.n_threads, "N", "threads to measure with (default: one for each processor)" },
        { "cpu", 0, CLI_TEXT, &d.cpu, "NAME", "instruction-set level to measure" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    int code = cli_parse(command, options, argc, argv, NULL, 0, NULL);
    if (code >= 0) return code;
    code = check_name(&d);
    if (code < 0) code = examine(&d);
    if (code >= 0) return code;
    if (d.json) return print_json(&d);
    print_machine(&d);
    print_fits(&d);
    print_checks(&d);
    return SOCLE_OK;
}

const struct cli_command cli_doctor = {
    .name = "doctor",
    .summary = "show what this machine can run, and how fast at most",
    .usage = "[options]",
    .examples = "  socle doctor              # takes about three seconds\n"
                "  socle doctor --quick      # at once, without measuring\n"
                "  socle doctor -t 1 --cpu base\n"
                "  socle doctor --json | jq .limits.read_bytes_per_second\n",
    .run = run,
};
