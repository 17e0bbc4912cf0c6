#include "text/tokenizer_internal.h"
#include "text/utf8.h"

void sc_detokenizer_init(struct sc_detokenizer *d, const struct sc_tokenizer *tokenizer, bool show_special)
{
    *d = (struct sc_detokenizer){ .tokenizer = tokenizer, .show_special = show_special, .at_start = true };
}

// What was begun is no character after all, or will never be completed.
static bool give_up_pending(struct sc_detokenizer *d, struct sc_buffer *out)
{
    if (d->n_pending == 0) return !out->failed;
    d->n_pending = 0;
    return sc_buffer_append_string(out, SC_UTF8_REPLACEMENT);
}

static bool push_byte(struct sc_detokenizer *d, uint8_t byte, struct sc_buffer *out)
{
    if (d->n_pending) {
        size_t n_total;
        if (sc_utf8_may_follow(d->pending, d->n_pending, byte, &n_total)) {
            d->pending[d->n_pending++] = (char)byte;
            if (d->n_pending < n_total) return true;
            d->n_pending = 0;
            return sc_buffer_append(out, d->pending, n_total);
        }
        if (!give_up_pending(d, out)) return false;
    }
    if (byte < 0x80) return sc_buffer_append_char(out, (char)byte);
    if (!sc_utf8_is_lead(byte)) return sc_buffer_append_string(out, SC_UTF8_REPLACEMENT);
    d->pending[d->n_pending++] = (char)byte;
    return true;
}

bool sc_detokenizer_push(struct sc_detokenizer *d, int32_t id, struct sc_buffer *out)
{
    if (sc_tokenizer_is_special(d->tokenizer, id) && !d->show_special) return !out->failed;
    struct sc_text bytes = sc_tokenizer_token_bytes(d->tokenizer, id);
    if (bytes.n_bytes == 0) return !out->failed;
    size_t i = d->at_start && d->tokenizer->add_space_prefix && bytes.data[0] == ' ' ? 1 : 0;
    d->at_start = false;
    for (; i < bytes.n_bytes; i++)
        if (!push_byte(d, (uint8_t)bytes.data[i], out)) return false;
    return true;
}

bool sc_detokenizer_finish(struct sc_detokenizer *d, struct sc_buffer *out) { return give_up_pending(d, out); }
