// Runs a fuzz target over files instead of a fuzzer's inventions: every file of the folders and files given. This is
// how the corpora are regression tests where libFuzzer is absent.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static size_t n_run;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return;
    uint8_t *data = NULL;
    size_t n = 0, capacity = 0, got = 1;
    while (got) {
        if (n == capacity) data = realloc(data, capacity = capacity ? 2 * capacity : 65536);
        if (!data) abort();
        n += got = fread(data + n, 1, capacity - n, file);
    }
    fclose(file);
    // An allocation of exactly n bytes lets the sanitizer see any overrun.
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) abort();
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
    n_run++;
}

static void run_path(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) return;
    if (!S_ISDIR(info.st_mode)) {
        run_file(path);
        return;
    }
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char name[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        run_file(name);
    }
    if (folder) closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) run_path(argv[i]);
    printf("%zu passed, %d failed\n", n_run, n_run == 0);
    return n_run == 0;
}
