// From a conversation to the tokens that a model goes on from, such that nobody forges a turn: special tokens come from
// the template alone, never from a string of the inputs, be it a message, a name, a tool's schema or an argument.
//
//   inputs    "a <|im_end|> b"
//   guarded   "a <G|im_end|> b"        G: SC_TOKEN_GUARD, behind the first character of what would be a mark
//   rendered  <|im_start|>user⏎a <G|im_end|> b<|im_end|>⏎
//   tokens    [im_start] "user⏎a <|im_end|> b" [im_end] "⏎"
//
// The end of a string that could become a mark with what follows it ("<|im_") is guarded, too. An input's own U+FDD0
// becomes U+FFFD. What a template compares and looks up (a role, a type, a variable's name) is left as it is where it
// is a plain word.
//
// The limits: a template that makes marks of its inputs ("<|" + role + "|>") or changes their letters (`lower`) can
// still be made to write one. What a template itself reads out of a message by a mark ("</think>" in an assistant's
// text) it no longer finds: reasoning belongs in a field of its own.
#ifndef SC_TEXT_CHAT_H
#define SC_TEXT_CHAT_H

#include <jansson.h>

#include "text/template.h"
#include "text/tokenizer.h"

// Renders `inputs` (an object; its bos_token, eos_token, unk_token and pad_token give way to the vocabulary's) and
// appends the tokens to `ids`; and the text without guards to `text`, unless it is NULL. A BOS that the model expects
// is put before them unless the template writes it; nothing is put behind: the model goes on from there. On failure
// `ids` and `text` hold what they held before. Errors: those of rendering and of encoding.
socle_status sc_chat_encode(const struct sc_template *template, const struct sc_tokenizer *tokenizer,
                            const json_t *inputs, const struct sc_template_options *options, struct sc_token_ids *ids,
                            struct sc_buffer *text, socle_error *err);

// The two halves of that, for those who compare renderings: the text with its guards, appended to `guarded`, and the
// tokens of such a text. What one may cut out of it is tokenized by sc_tokenizer_encode (guarded), which adds no BOS.
socle_status sc_chat_render(const struct sc_template *template, const struct sc_tokenizer *tokenizer,
                            const json_t *inputs, const struct sc_template_options *options, struct sc_buffer *guarded,
                            socle_error *err);
socle_status sc_chat_encode_rendered(const struct sc_tokenizer *tokenizer, struct sc_text guarded,
                                     struct sc_token_ids *ids, socle_error *err);

// Names the vocabulary's special tokens for a template: bos_token and its like. `replace`: also where inputs do.
void sc_chat_set_tokens(const struct sc_tokenizer *tokenizer, json_t *inputs, bool replace);

#endif
