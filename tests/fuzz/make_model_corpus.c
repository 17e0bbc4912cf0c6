// Writes the seed corpus of fuzz_model: a tiny model of each shape.
//
//     build-release/tests/make_model_corpus tests/fuzz/corpus/model
#include <stdio.h>

#include "base/file.h"
#include "base/size.h"
#include "tiny_model.h"

int main(int argc, char **argv)
{
    struct tiny models[] = {
        { .family = "llama" },
        { .family = "llama", .experts = true },
        { .family = "qwen3", .norms = true },
        { .family = "deepseek2", .latent = true, .split = true, .experts = true },
        { .family = "deepseek2", .latent = true },
        { .family = "gemma2", .norms = true },
        { .family = "phi3", .fused = true, .long_rope = true },
    };
    for (size_t i = 0; argc == 2 && i < SC_COUNT(models); i++) {
        char path[1024];
        size_t n_bytes;
        socle_error err;
        snprintf(path, sizeof path, "%s/%s-%zu.gguf", argv[1], models[i].family, i);
        char *bytes = tiny_write(&models[i], &n_bytes);
        if (!bytes || sc_write_file(path, bytes, n_bytes, &err) != SOCLE_OK) return 1;
        free(bytes);
    }
    return argc != 2;
}
