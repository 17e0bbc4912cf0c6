// Fuzzing the safetensors reader with libFuzzer: any bytes are either refused with a message or safe to walk. Bytes
// that begin with '{' are taken for an index, beside a.safetensors with tensors "a" and "b".
//
//     tests/fuzz/run safetensors
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "formats/safetensors_writer.h"
#include "../safetensors_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static volatile uint64_t sink;
static char folder[64];

static const char *inside(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    unlink(inside("a.safetensors"));
    unlink(inside("model.safetensors.index.json"));
    rmdir(folder);
}

static void make_folder(void)
{
    static const uint64_t shape[] = { 4 };
    struct sc_safetensors_writer *writer;
    snprintf(folder, sizeof folder, "/tmp/socle-fuzz-XXXXXX");
    if (!mkdtemp(folder) || sc_safetensors_writer_create(&writer, NULL)) abort();
    if (sc_safetensors_writer_add_tensor(writer, "a", SC_SAFETENSORS_U8, 1, shape, "aaaa", NULL)) abort();
    if (sc_safetensors_writer_add_tensor(writer, "b", SC_SAFETENSORS_U8, 1, shape, "bbbb", NULL)) abort();
    if (sc_safetensors_writer_write(writer, inside("a.safetensors"), NULL)) abort();
    sc_safetensors_writer_free(writer);
    atexit(remove_folder);
}

static socle_status open_index(const uint8_t *bytes, size_t n_bytes, struct sc_safetensors **st, socle_error *err)
{
    if (!folder[0]) make_folder();
    FILE *file = fopen(inside("model.safetensors.index.json"), "wb");
    if (!file || fwrite(bytes, 1, n_bytes, file) != n_bytes || fclose(file) != 0) abort();
    return sc_safetensors_open(folder, st, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct sc_safetensors *st = NULL;
    socle_error err = { .status = SOCLE_OK, .message = "" };
    bool is_index = n_bytes > 0 && bytes[0] == '{';
    socle_status status = is_index ? open_index(bytes, n_bytes, &st, &err)
                                   : sc_safetensors_open_memory("fuzz.safetensors", bytes, n_bytes, &st, &err);
    if (status == SOCLE_OK) {
        sink += walk_safetensors(st);
        sc_safetensors_free(st);
        return 0;
    }
    // A refusal is a whole one: the kind, and a sentence that begins with the file's name.
    const char *prefix = is_index ? folder : "fuzz.safetensors: ";
    if (status != err.status || st || strncmp(err.message, prefix, strlen(prefix)) != 0) abort();
    if (status != SOCLE_BAD_FILE && status != SOCLE_UNSUPPORTED && !(is_index && status == SOCLE_IO)) abort();
    return 0;
}
