// Says of JSON Schemas and texts whether the grammar of the schema accepts the texts. Reads lines of
//     {"schema": …, "texts": ["…", …]}
// and writes for each {"refused": "why"} or {"accepted": [true, …]}. tests/data/score_schema_suite.py asks it.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/matcher.h"
#include "tiny_vocabulary.h"

static json_t *judge(const struct sc_token_index *index, const char *schema, const json_t *texts)
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
    json_t *accepted = json_array(), *text;
    size_t i;
    json_array_foreach (texts, i, text) {
        sc_matcher_reset(matcher);
        struct sc_text bytes = { json_string_value(text), json_string_length(text) };
        bool whole = sc_matcher_accept_bytes(matcher, bytes) && sc_matcher_can_end(matcher);
        json_array_append_new(accepted, json_boolean(whole));
    }
    sc_matcher_free(matcher);
    sc_token_masks_free(masks);
    sc_grammar_free(grammar);
    return json_pack("{s:o}", "accepted", accepted);
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
        json_t *answer = schema ? judge(index, schema, json_object_get(row, "texts"))
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
