#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretokenize.h"

#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/size.h"
#include "text/pretokenizers.h"

const struct sc_pretokenizer *sc_pretokenizer_find(struct sc_text name)
{
    for (size_t i = 0; i < SC_COUNT(pretokenizers); i++)
        for (size_t j = 0; pretokenizers[i].names[j]; j++)
            if (sc_text_is(name, pretokenizers[i].names[j])) return &pretokenizers[i];
    return NULL;
}

bool sc_pretokenizer_list(struct sc_buffer *out)
{
    const char *separator = "";
    for (size_t i = 0; i < SC_COUNT(pretokenizers); i++)
        for (size_t j = 0; pretokenizers[i].names[j]; j++, separator = ", ") {
            sc_buffer_append_string(out, separator);
            sc_buffer_append_string(out, pretokenizers[i].names[j]);
        }
    return !out->failed;
}

struct sc_splitter {
    size_t n;
    pcre2_code *codes[SC_PATTERNS_MAX];
};

struct sc_split_scratch {
    pcre2_match_data *match_data;
    pcre2_match_context *match_context;
    pcre2_jit_stack *jit_stack;
};

socle_status sc_splitter_compile(const struct sc_pretokenizer *pretokenizer, struct sc_splitter **out, socle_error *err)
{
    struct sc_splitter *splitter = calloc(1, sizeof *splitter);
    if (!splitter) return sc_fail_memory(err, sizeof *splitter, "a pre-tokenizer");
    for (; splitter->n < SC_PATTERNS_MAX && pretokenizer->patterns[splitter->n]; splitter->n++) {
        int code;
        PCRE2_SIZE offset;
        pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pretokenizer->patterns[splitter->n], PCRE2_ZERO_TERMINATED,
                                             PCRE2_UTF | PCRE2_UCP, &code, &offset, NULL);
        if (!compiled) {
            PCRE2_UCHAR message[200];
            pcre2_get_error_message(code, message, sizeof message);
            sc_fail(err, SOCLE_FAILED, "pre-tokenizer %s: PCRE2 refuses pattern %zu at %zu: %s", pretokenizer->names[0],
                    splitter->n, (size_t)offset, (const char *)message);
            sc_splitter_free(splitter);
            return SOCLE_FAILED;
        }
        pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); // where it fails, pcre2_match interprets
        splitter->codes[splitter->n] = compiled;
    }
    *out = splitter;
    return SOCLE_OK;
}

void sc_splitter_free(struct sc_splitter *splitter)
{
    if (!splitter) return;
    for (size_t i = 0; i < splitter->n; i++) pcre2_code_free(splitter->codes[i]);
    free(splitter);
}

struct sc_split_scratch *sc_split_scratch_new(const struct sc_splitter *splitter)
{
    (void)splitter;
    struct sc_split_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch) return NULL;
    scratch->match_data = pcre2_match_data_create(1, NULL);
    scratch->match_context = pcre2_match_context_create(NULL);
    scratch->jit_stack = pcre2_jit_stack_create(32 * 1024, 64 * 1024 * 1024, NULL);
    if (!scratch->match_data || !scratch->match_context) {
        sc_split_scratch_free(scratch);
        return NULL;
    }
    // The patterns are ours and run in linear time; the limit is for patterns that do not.
    pcre2_set_match_limit(scratch->match_context, UINT32_MAX);
    if (scratch->jit_stack) pcre2_jit_stack_assign(scratch->match_context, NULL, scratch->jit_stack);
    return scratch;
}

void sc_split_scratch_free(struct sc_split_scratch *scratch)
{
    if (!scratch) return;
    pcre2_match_data_free(scratch->match_data);
    pcre2_match_context_free(scratch->match_context);
    pcre2_jit_stack_free(scratch->jit_stack);
    free(scratch);
}

struct splitting {
    const struct sc_splitter *splitter;
    struct sc_split_scratch *scratch;
    sc_take_piece *take;
    void *context;
    socle_error *err;
};

// Cuts `text` by pattern `stage` and the pieces by those after it; as deep as there are patterns.
static socle_status split(const struct splitting *s, size_t stage, struct sc_text text)
{
    if (text.n_bytes == 0) return SOCLE_OK;
    if (stage == s->splitter->n) return s->take(s->context, text);
    size_t done = 0, from = 0;
    while (from < text.n_bytes) {
        int rc = pcre2_match(s->splitter->codes[stage], (PCRE2_SPTR)text.data, text.n_bytes, from, PCRE2_NO_UTF_CHECK,
                             s->scratch->match_data, s->scratch->match_context);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0) return sc_fail(s->err, SOCLE_FAILED, "splitting text: PCRE2 gave up with error %d", rc);
        const PCRE2_SIZE *match = pcre2_get_ovector_pointer(s->scratch->match_data);
        size_t start = match[0], end = match[1];
        if (end <= start) return sc_fail(s->err, SOCLE_FAILED, "splitting text: a pattern matched nothing");
        SC_TRY(split(s, stage + 1, (struct sc_text){ text.data + done, start - done }));
        SC_TRY(split(s, stage + 1, (struct sc_text){ text.data + start, end - start }));
        done = from = end;
    }
    return split(s, stage + 1, (struct sc_text){ text.data + done, text.n_bytes - done });
}

socle_status sc_splitter_split(const struct sc_splitter *splitter, struct sc_split_scratch *scratch,
                               struct sc_text text, sc_take_piece *take, void *context, socle_error *err)
{
    struct splitting splitting = { splitter, scratch, take, context, err };
    return split(&splitting, 0, text);
}
