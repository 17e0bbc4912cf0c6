// States that loop on whole kinds of bytes, as those inside strings do: whole branches of the token tree are theirs.
#include "base/size.h"
#include "text/grammar_internal.h"
#include "text/token_index.h"

// Does every continuation byte of [first, last] lead to one state? That state, or 0.
static uint32_t common_target(const struct sc_grammar *g, uint32_t state, unsigned first, unsigned last)
{
    uint32_t target = state ? sc_grammar_step(g, state, (uint8_t)first) : 0;
    for (unsigned byte = first; byte <= last && target; byte++)
        if (sc_grammar_step(g, state, (uint8_t)byte) != target) target = 0;
    return target;
}

// Does the state come back to itself by every character beyond ASCII? (The Unicode Standard, table 3-7.)
static bool loops_on_unicode(const struct sc_grammar *g, uint32_t state)
{
    static const struct {
        uint8_t first, last, second_first, second_last, n_more;
    } forms[] = { { 0xC2, 0xDF, 0x80, 0xBF, 0 }, { 0xE0, 0xE0, 0xA0, 0xBF, 1 }, { 0xE1, 0xEC, 0x80, 0xBF, 1 },
                  { 0xED, 0xED, 0x80, 0x9F, 1 }, { 0xEE, 0xEF, 0x80, 0xBF, 1 }, { 0xF0, 0xF0, 0x90, 0xBF, 2 },
                  { 0xF1, 0xF3, 0x80, 0xBF, 2 }, { 0xF4, 0xF4, 0x80, 0x8F, 2 } };
    for (size_t i = 0; i < SC_COUNT(forms); i++) {
        uint32_t at = common_target(g, state, forms[i].first, forms[i].last);
        at = common_target(g, at, forms[i].second_first, forms[i].second_last);
        for (unsigned n = 0; n < forms[i].n_more; n++) at = common_target(g, at, 0x80, 0xBF);
        if (at != state) return false;
    }
    return true;
}

// The kinds of bytes (SC_BELOW_…) on which a state stays, or comes back with every character.
static unsigned loops_of(const struct sc_grammar *g, uint32_t state)
{
    unsigned loops = 127u;
    for (unsigned byte = 0; byte < 0x80; byte++)
        if (sc_grammar_step(g, state, (uint8_t)byte) != state) loops &= ~sc_below_kind((uint8_t)byte);
    if (!loops_on_unicode(g, state)) loops &= ~(unsigned)SC_BELOW_UNICODE;
    return loops;
}

// Does an edge of some width lead back? (Without, looking closer is not worth while.)
static bool may_loop(const struct sc_grammar *g, uint32_t state)
{
    const struct sc_grammar_state *s = &g->states[state];
    for (unsigned i = 0; i < s->n_edges; i++) {
        const struct sc_dfa_edge *e = &g->edges[s->edges + i];
        if (e->target == state && e->last - e->first >= 9) return true;
    }
    return false;
}

void sc_grammar_find_loops(struct sc_grammar *g)
{
    for (uint32_t state = 1; state < g->n_states; state++)
        if (may_loop(g, state)) g->states[state].loops = (uint8_t)loops_of(g, state);
}
