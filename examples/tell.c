// Goes on with a text:   tell MODEL.gguf "Once upon a time"
#include <socle/socle.h>
#include <stdio.h>
#include <string.h>

static bool print(void *context, const char *text, size_t n_bytes)
{
    return fwrite(text, 1, n_bytes, context) == n_bytes && fflush(context) == 0;
}

static int fail(const socle_error *err)
{
    fprintf(stderr, "tell: %s\n", err->message);
    return err->status;
}

int main(int argc, char **argv)
{
    socle_error err;
    socle_model *model = NULL;
    socle_session *session = NULL;
    int32_t *prompt = NULL;
    size_t n_prompt;
    if (argc != 3) return fprintf(stderr, "usage: tell MODEL.gguf TEXT\n"), SOCLE_BAD_ARGUMENT;

    int code = 0;
    if (socle_model_load(argv[1], &model, &err) != SOCLE_OK ||
        socle_session_create(model, NULL, &session, &err) != SOCLE_OK ||
        socle_tokenize(model, argv[2], strlen(argv[2]), SOCLE_ADD_SPECIAL, &prompt, &n_prompt, &err) != SOCLE_OK)
        code = fail(&err);
    if (code == 0) {
        socle_generation g = { .prompt = prompt, .n_prompt = n_prompt, .n_predict = 60, .on_text = print,
                               .context = stdout, .sampling = socle_sampling_defaults() };
        if (socle_generate(session, &g, &err) != SOCLE_OK) code = fail(&err);
        putchar('\n');
    }
    socle_free(prompt);
    socle_session_free(session);
    socle_model_free(model);
    return code;
}
