// The program of the golden hashes: prints them, writes them, or compares every way of computing them.
//
//     golden [--only PREFIX]... [--quick] [--best] [--cpu LEVEL] [--threads N] [--batch N]
//            [--dump FILE] [--write FILE | --check FILE | --levels]
//
// Without --write and --check it prints what --write would: a line "name hash" for a function, and
// "name hash hash hash" for a model, with keys and values as f16, f32 and q8_0. Hashes are written by the level `base`,
// which is the specification, in one pass of one thread. --check computes every model, in each cache format,
//     on the best level of this machine (or --cpu): by 1, 2, 3 and 8 threads, in chunks of 1, 7, 32 and all, with a
//     fresh, a reused and a rewound cache (--quick: by three threads in chunks of 7, and models in files with the f16
//     cache only; --threads, --batch: by these);
//     on every other level that this machine supports (not with --best): by three threads in chunks of 7;
// and compares all of them with the one line. --levels names the levels that this machine supports. It needs no library
// but the C library, so that it runs under emulators.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "golden.h"
#include "kernels/kernels.h"

#include "../fixtures.h"

enum { ONLY_MAX = 16, N_TOKENS_FILE = 40, N_TOKENS_MADE = 24, N_CACHES = SC_CACHE_Q8_0 + 1 };

static const struct golden_way all_ways[] = {
    { 3, 7, 256, GOLDEN_FRESH },    // chunks; the first is the only one of --quick, and of levels below the best
    { 2, 32, 256, GOLDEN_REWOUND }, // chunks
    { 1, 256, 256, GOLDEN_FRESH },  // one pass
    { 8, 256, 256, GOLDEN_FRESH },  // one pass
    { 2, 1, 256, GOLDEN_REUSED },   // chunks of one
    { 1, 256, 5, GOLDEN_REUSED },   // short calls
    { 8, 32, 1, GOLDEN_REWOUND },   // token by token
    { 3, 256, 100, GOLDEN_REUSED }, // calls that do not meet the chunks
};

static const char *const files[] = {
    "arch/deepseek-moe", "arch/deepseek2-moe", "arch/gemma2-dense", "arch/gemma3-dense", "arch/glm4-dense",
    "arch/gpt-oss-moe",  "arch/granite-dense", "arch/llama-dense",  "arch/llama-moe",    "arch/mistral3-dense",
    "arch/phi3-dense",   "arch/qwen2-dense",   "arch/qwen3-dense",  "arch/qwen3moe-moe", "arch/smollm3-dense",
    "arch2/dsv2-tiny",   "arch2/dsv3-tiny",    "quant/BF16",        "quant/F16",         "quant/IQ4_NL",
    "quant/IQ4_XS",      "quant/MXFP4_MOE",    "quant/Q2_K",        "quant/Q3_K",        "quant/Q4_0",
    "quant/Q4_1",        "quant/Q4_K",         "quant/Q5_0",        "quant/Q5_1",        "quant/Q5_K",
    "quant/Q6_K",        "quant/Q8_0",         "quant/TQ2_0",       "quant/base-f32",
};

static struct {
    const char *only[ONLY_MAX];
    size_t n_only;
    const char *cpu, *write, *check, *dump;
    const struct golden_way *one; // NULL: none asked for
    size_t n_ways;
    bool best;   // no level below the best
    bool levels; // name them, and no more
} options = { .n_ways = SC_COUNT(all_ways) };

static FILE *out;
static char *recorded; // the file of hashes, or NULL
static size_t n_passed, n_failed, n_skipped;

static bool wanted(const char *name)
{
    for (size_t i = 0; i < options.n_only; i++)
        if (strncmp(name, options.only[i], strlen(options.only[i])) == 0) return true;
    return options.n_only == 0;
}

// The line of a name in the file of hashes, up to its end; NULL when there is none.
static const char *line_of(const char *name)
{
    size_t n = strlen(name);
    for (const char *line = recorded; line && *line; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, name, n) == 0 && line[n] == ' ') return line;
    return NULL;
}

static bool read_hashes(const char *name, unsigned long long hashes[N_CACHES])
{
    const char *line = line_of(name);
    for (size_t i = 0; i < N_CACHES; i++) hashes[i] = 0;
    return line && sscanf(line, "%*s %llx %llx %llx", &hashes[0], &hashes[1], &hashes[2]) >= 1;
}

// ---- functions

static void do_function(const struct golden_function *function)
{
    unsigned long long expected[N_CACHES], found = function->hash(function->argument);
    if (!options.check) {
        fprintf(out, "%s %016llx\n", function->name, found);
        return;
    }
    if (!read_hashes(function->name, expected)) printf("%s: has no hash yet\n", function->name);
    else if (expected[0] != found) printf("%s: expected %016llx, found %016llx\n", function->name, expected[0], found);
    if (expected[0] == found) n_passed++;
    else n_failed++;
}

// ---- models

struct subject {
    const char *name;
    struct sc_model *model;
    size_t n_tokens, n_caches; // of the latter --quick leaves some out where models are large
};

static void print_model(const struct subject *s)
{
    static const struct golden_way plain = { 1, 256, 256, GOLDEN_FRESH };
    const struct golden_way *way = options.one ? options.one : &plain;
    const char *cpu = options.cpu ? options.cpu : "base";
    uint64_t hashes[N_CACHES];
    socle_error err = { 0 };
    for (int cache = 0; cache < N_CACHES; cache++)
        if (golden_logits(s->model, s->n_tokens, way, cpu, (enum sc_cache_format)cache, cache ? NULL : options.dump,
                          &hashes[cache], &err) != SOCLE_OK) {
            fprintf(stderr, "%s: %s\n", s->name, err.message);
            n_failed++;
            return;
        }
    fprintf(out, "%s", s->name);
    for (int cache = 0; cache < N_CACHES; cache++) fprintf(out, " %016llx", (unsigned long long)hashes[cache]);
    fprintf(out, "\n");
}

// One way on one level, in all cache formats. True if the bits are the recorded ones.
static bool check_way(const struct subject *s, const char *level, const struct golden_way *way,
                      const unsigned long long expected[N_CACHES])
{
    static const char *const caches[] = { "fresh", "reused", "rewound" };
    static const char *const formats[N_CACHES] = { "f16", "f32", "q8_0" };
    bool same = true;
    for (size_t cache = 0; cache < s->n_caches; cache++) {
        uint64_t found;
        socle_error err = { 0 };
        bool ok = golden_logits(s->model, s->n_tokens, way, level, (enum sc_cache_format)cache, NULL, &found, &err) ==
                  SOCLE_OK;
        if (ok && found == expected[cache]) continue;
        same = false;
        printf("%s: level %s, %u threads, chunks of %u, calls of %u, %s %s cache: ", s->name, level, way->n_threads,
               way->n_batch, way->n_call, caches[way->cache], formats[cache]);
        if (!ok) printf("%s\n", err.message);
        else printf("expected %016llx, found %016llx\n", expected[cache], (unsigned long long)found);
    }
    return same;
}

static size_t best_level(void)
{
    size_t best = 0;
    for (size_t i = 0; sc_kernels_at(i); i++)
        if (sc_kernels_at(i)->supported()) best = i;
    return best;
}

// Whether --check computes on level i.
static bool checked(size_t i)
{
    const struct sc_kernels *level = sc_kernels_at(i);
    if (options.cpu) return strcmp(options.cpu, level->name) == 0;
    return level->supported() && (!options.best || i == best_level());
}

static void check_model(const struct subject *s)
{
    unsigned long long expected[N_CACHES];
    bool same = read_hashes(s->name, expected);
    if (!same) printf("%s: has no hash yet\n", s->name);
    for (size_t i = 0; same && sc_kernels_at(i); i++) {
        if (!checked(i)) continue;
        size_t n_ways = options.cpu || i == best_level() ? options.n_ways : 1;
        for (size_t w = 0; w < n_ways; w++) {
            const struct golden_way *way = options.one ? options.one : &all_ways[w];
            same = check_way(s, sc_kernels_at(i)->name, way, expected) && same;
        }
    }
    if (same) n_passed++;
    else n_failed++;
}

// Takes `gguf` over.
static void do_model(const char *name, struct sc_gguf *gguf, size_t n_tokens, size_t n_caches)
{
    struct sc_model *model = NULL;
    socle_error err = { 0 };
    if (sc_model_load(gguf, &model, &err) != SOCLE_OK) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        n_failed++;
        return;
    }
    struct subject subject = { name, model, n_tokens, n_caches };
    if (options.check) check_model(&subject);
    else print_model(&subject);
    sc_model_free(model);
}

static void do_recipe(const struct golden_recipe *recipe)
{
    size_t n_bytes;
    socle_error err = { 0 };
    struct sc_gguf *gguf = NULL;
    char *bytes = golden_make(recipe, &n_bytes, &err);
    if (!bytes || sc_gguf_open_memory(recipe->name, bytes, n_bytes, &gguf, &err) != SOCLE_OK) {
        fprintf(stderr, "%s: %s\n", recipe->name, err.message);
        n_failed++;
    } else {
        do_model(recipe->name, gguf, recipe->n_tokens ? recipe->n_tokens : N_TOKENS_MADE, N_CACHES);
    }
    free(bytes);
}

// `name` is constant.
static void do_file(const char *name, const char *path)
{
    struct sc_gguf *gguf = NULL;
    socle_error err = { 0 };
    if (access(path, R_OK) != 0) {      // its line stays as it is
        static const char *folder = ""; // that was reported last
        const char *line = line_of(name);
        size_t n = strcspn(name, "/") + 1;
        n_skipped++;
        if (strncmp(folder, name, n) != 0) fprintf(stderr, "skipped: no %s (set SOCLE_FIXTURES)\n", path);
        folder = name;
        if (options.write && line) fprintf(out, "%.*s\n", (int)strcspn(line, "\n"), line);
        return;
    }
    if (sc_gguf_open(path, &gguf, &err) == SOCLE_OK) {
        do_model(name, gguf, N_TOKENS_FILE, options.n_ways == 1 && !options.one ? 1 : N_CACHES);
        return;
    }
    fprintf(stderr, "%s\n", err.message);
    n_failed++;
}

static void do_all(void)
{
    struct golden_function function;
    const struct golden_recipe *recipe;
    char name[64];
    for (size_t i = 0; golden_function_at(i, &function, name); i++)
        if (wanted(function.name)) do_function(&function);
    for (size_t i = 0; (recipe = golden_recipe_at(i)); i++)
        if (wanted(recipe->name)) do_recipe(recipe);
    if (wanted("share/tales")) do_file("share/tales", SC_SOURCE_ROOT "/share/tales.gguf");
    for (size_t i = 0; i < SC_COUNT(files); i++) {
        snprintf(name, sizeof name, "%s.gguf", files[i]);
        if (wanted(files[i])) do_file(files[i], fixture(name));
    }
}

// ---- the command line

static int usage(void)
{
    fprintf(stderr, "usage: golden [--only PREFIX]... [--quick] [--best] [--cpu LEVEL] [--threads N] [--batch N]\n"
                    "              [--dump FILE] [--write FILE | --check FILE | --levels]\n");
    return 2;
}

static struct golden_way asked; // by --threads and --batch

static bool parse_flag(const char *name)
{
    if (strcmp(name, "--quick") == 0) options.n_ways = 1;
    else if (strcmp(name, "--best") == 0) options.best = true;
    else if (strcmp(name, "--levels") == 0) options.levels = true;
    else return false;
    return true;
}

static bool parse_option(const char *name, const char *value)
{
    if (strcmp(name, "--only") == 0 && options.n_only < ONLY_MAX) options.only[options.n_only++] = value;
    else if (strcmp(name, "--cpu") == 0) options.cpu = value;
    else if (strcmp(name, "--threads") == 0) asked.n_threads = (uint32_t)atoi(value);
    else if (strcmp(name, "--batch") == 0) asked.n_batch = (uint32_t)atoi(value);
    else if (strcmp(name, "--dump") == 0) options.dump = value;
    else if (strcmp(name, "--write") == 0) options.write = value;
    else if (strcmp(name, "--check") == 0) options.check = value;
    else return false;
    return true;
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (parse_flag(argv[i])) continue;
        if (i + 1 == argc || !parse_option(argv[i], argv[i + 1])) return false;
        i++;
    }
    if (asked.n_threads || asked.n_batch) {
        asked.n_threads = SC_MAX(asked.n_threads, 1u);
        asked.n_batch = asked.n_batch ? asked.n_batch : 256;
        asked.n_call = 256;
        options.one = &asked;
        options.n_ways = 1;
    }
    return !(options.write && (options.check || options.n_only));
}

static void print_levels(bool with_descriptions)
{
    for (size_t i = 0; sc_kernels_at(i); i++)
        if (checked(i) && with_descriptions)
            printf("level %s: %s\n", sc_kernels_at(i)->name, sc_kernels_at(i)->description);
        else if (checked(i)) puts(sc_kernels_at(i)->name);
}

int main(int argc, char **argv)
{
    char temporary[1024];
    size_t n_bytes;
    setvbuf(stdout, NULL, _IOLBF, 0); // what a run found stays readable when it is ended
    socle_error err = { 0 };
    if (!parse(argc, argv)) return usage();
    if (options.levels) {
        print_levels(false);
        return 0;
    }
    const char *path = options.check ? options.check : options.write;
    if (path && sc_read_file(path, 1 << 20, &recorded, &n_bytes, &err) != SOCLE_OK && options.check) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    snprintf(temporary, sizeof temporary, "%s.new", options.write ? options.write : "");
    out = options.write ? fopen(temporary, "w") : stdout;
    if (!out) {
        perror(temporary);
        return 1;
    }
    if (options.check) print_levels(true);
    else fprintf(out, "# %s\n", "name, hashes of the logits with f16, f32 and q8_0 caches; written by 'make golden'");
    do_all();
    bool ok = n_failed == 0;
    if (options.write) ok = fclose(out) == 0 && ok && rename(temporary, options.write) == 0;
    if (options.check) printf("%zu passed, %zu failed, %zu skipped\n", n_passed, n_failed, n_skipped);
    free(recorded);
    return ok ? 0 : 1;
}
