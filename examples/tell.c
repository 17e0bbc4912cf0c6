// Goes on with a text:   tell MODEL.gguf "Once upon a time"
#include <socle/socle.h>
#include <stdio.h>
#include <string.h>

static bool print(void *context, const char *text, size_t n_bytes)
{
    return fwrite(text, 1, n_bytes, context) == n_bytes && fflush(context) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: tell MODEL.gguf TEXT\n"), SOCLE_BAD_ARGUMENT;

    socle_error err = { 0 };
    socle_model *model = NULL;
    socle_session *session = NULL;
    int32_t *prompt = NULL;
    socle_generation g = { .n_predict = 60, .on_text = print, .context = stdout };
    g.sampling = socle_sampling_defaults();

    socle_status status = socle_model_load(argv[1], &model, &err);
    if (status == SOCLE_OK) status = socle_session_create(model, NULL, &session, &err);
    if (status == SOCLE_OK)
        status = socle_tokenize(model, argv[2], strlen(argv[2]), SOCLE_ADD_SPECIAL, &prompt, &g.n_prompt, &err);
    g.prompt = prompt;
    if (status == SOCLE_OK) status = socle_generate(session, &g, &err);
    if (status == SOCLE_OK) putchar('\n');
    else fprintf(stderr, "tell: %s\n", err.message);

    socle_free(prompt);
    socle_session_free(session);
    socle_model_free(model);
    return status;
}
