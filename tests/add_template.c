// Gives a model a chat template: a model for tests of conversations where only a small file without one is at hand,
// such as the bundled model.
//
//     build/tests/add_template share/tales.gguf tests/data/chatml.jinja chat.gguf
#include "chat_model.h"

int main(int argc, char **argv)
{
    socle_error err = { 0 };
    if (argc != 4) {
        fprintf(stderr, "usage: add_template IN TEMPLATE OUT\n");
        return 2;
    }
    socle_status status = chat_model_write(argv[1], argv[2], argv[3], &err);
    if (status != SOCLE_OK) fprintf(stderr, "add_template: %s\n", err.message);
    return (int)status;
}
