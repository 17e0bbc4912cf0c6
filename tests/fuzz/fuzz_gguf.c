// Fuzzing the GGUF reader with libFuzzer: any bytes are either refused with a message or safe to walk.
//
//     clang -std=gnu11 -D_GNU_SOURCE -ffp-contract=off -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc
//         tests/fuzz/fuzz_gguf.c src/formats/gguf.c src/formats/gguf_parse.c src/tensor/*.c src/base/*.c -o fuzz_gguf
//     mkdir found && ./fuzz_gguf -dict=tests/fuzz/gguf.dict -max_len=65536 found tests/fuzz/corpus/gguf
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../gguf_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static volatile uint64_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct sc_gguf *gguf = NULL;
    socle_error err = { .status = SOCLE_OK, .message = "" };
    socle_status status = sc_gguf_open_memory("fuzz.gguf", bytes, n_bytes, &gguf, &err);
    if (status == SOCLE_OK) {
        sink += walk_gguf(gguf);
        sc_gguf_close(gguf);
        return 0;
    }
    // A refusal is a whole one: the kind, and a sentence that begins with the file's name.
    if (status != err.status || gguf || strncmp(err.message, "fuzz.gguf: ", 11) != 0) abort();
    if (status != SOCLE_BAD_FILE && status != SOCLE_UNSUPPORTED) abort();
    return 0;
}
