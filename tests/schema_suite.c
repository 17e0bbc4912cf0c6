// Says of JSON Schemas and texts whether the grammar of the schema accepts the texts. Reads lines of
//     {"schema": …, "texts": ["…", …], "draw": N}
// and writes for each {"refused": "why"} or {"accepted": [true, …], "drawn": ["…", …]}, with whole texts among N that
// were drawn by chance. tests/data/score_schema_suite.py asks it.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "base/random.h"
#include "text/matcher.h"
#include "tiny_vocabulary.h"

static uint64_t n_draws;
static uint32_t draw(uint32_t n) { return (uint32_t)(sc_random_uniform(5, n_draws++, SC_RANDOM_SAMPLE) * n); }

// A text by chance, byte by byte, soon closing what is open; NULL when it did not end.
static json_t *draw_text(struct sc_matcher *m)
{
    static const char soon[] = "\"}]:,0125ab";
    char text[300];
    size_t n = 0;
    sc_matcher_reset(m);
    while (n < sizeof text) {
        if (sc_matcher_can_end(m) && (sc_matcher_must_end(m) || draw(2) == 0)) return json_stringn(text, n);
        bool hasty = n > 20 || draw(2) == 0;
        for (int tries = 0;; tries++) {
            if (tries == 2000) return NULL;
            text[n] = hasty && tries < 30 ? soon[draw(n > 60 ? 3 : sizeof soon - 1)] : (char)draw(256);
            if (sc_matcher_accept_bytes(m, (struct sc_text){ text + n, 1 })) break;
        }
        n++;
    }
    return NULL;
}

static json_t *judge(const struct sc_token_index *index, const char *schema, const json_t *texts, json_int_t n_drawn)
{
    struct sc_grammar *grammar;
    struct sc_token_masks *masks;
    struct sc_matcher *matcher;
    socle_error err;
    if (sc_grammar_from_json_schema(sc_text_of(schema), &grammar, &err) != SOCLE_OK)
        return json_pack("{s:s, s:i}", "refused", err.message, "status", (int)err.status);
    if (sc_token_masks_create(grammar, index, &masks, &err) != SOCLE_OK ||
        sc_matcher_create(masks, &matcher, &err) != SOCLE_OK)
        abort();
    json_t *accepted = json_array(), *drawn = json_array(), *text;
    size_t i;
    json_array_foreach (texts, i, text) {
        sc_matcher_reset(matcher);
        struct sc_text bytes = { json_string_value(text), json_string_length(text) };
        bool whole = sc_matcher_accept_bytes(matcher, bytes) && sc_matcher_can_end(matcher);
        json_array_append_new(accepted, json_boolean(whole));
    }
    for (json_int_t k = 0; k < n_drawn; k++)
        if ((text = draw_text(matcher))) json_array_append_new(drawn, text);
    sc_matcher_free(matcher);
    sc_token_masks_free(masks);
    sc_grammar_free(grammar);
    return json_pack("{s:o, s:o}", "accepted", accepted, "drawn", drawn);
}

int main(void)
{
    struct tiny tiny;
    struct sc_token_index *index;
    socle_error err;
    char *line = NULL;
    size_t capacity = 0;
    tiny_begin(&tiny, "gpt2", "gpt-2");
    tiny_byte_letters(&tiny);
    if (tiny_load(&tiny, &err) != SOCLE_OK || sc_token_index_create(tiny.tokenizer, &index, &err) != SOCLE_OK) abort();
    while (getline(&line, &capacity, stdin) > 0) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        char *schema = row ? json_dumps(json_object_get(row, "schema"), JSON_ENCODE_ANY) : NULL;
        json_t *answer = schema ? judge(index, schema, json_object_get(row, "texts"),
                                        json_integer_value(json_object_get(row, "draw")))
                                : json_pack("{s:s, s:i}", "refused", "this line cannot be read", "status", 2);
        char *written = json_dumps(answer, JSON_COMPACT);
        puts(written);
        fflush(stdout);
        free(written);
        free(schema);
        json_decref(answer);
        json_decref(row);
    }
    free(line);
    sc_token_index_free(index);
    tiny_end(&tiny);
    return 0;
}
