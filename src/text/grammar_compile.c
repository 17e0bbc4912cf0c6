// From rules to a struct sc_grammar: rules are taken callees first (Tarjan's strongly connected components), become
// DFAs, are copied into their callers or stay, lose what leads nowhere, and are laid out in arrays.
//
// A rule stays when it is recursive, or when its token masks are worth sharing between the places that use it: it then
// accepts many bytes somewhere and says itself where it ends (no text of it is the beginning of another), as strings do.
#include "text/grammar_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { DEPTH_MAX = 4000, WIDE_BYTES = 100, INLINED_STATES_MAX = 40, OPEN_INLINED_STATES_MAX = 2000, DENSE_MAX = 16384 };

struct rule_info {
    struct sc_dfa *dfa; // NULL: not reached, or a limited string
    uint32_t index, low; // Tarjan; index 0: not visited
    uint32_t base;       // number of its first state
    uint32_t limit;
    bool on_stack, in_cycle, called, productive, nullable;
};

struct compiler {
    struct sc_grammar_builder *b;
    struct rule_info *rules;    // [b->n_rules]
    uint32_t *stack, n_stack;   // Tarjan's
    uint32_t *order, n_ordered; // reached rules, callees first
    uint32_t n_indices, depth;
    struct sc_literals literals;
    struct sc_grammar *g;
};

static const struct sc_dfa *inlined(const void *context, uint32_t rule)
{
    const struct compiler *c = context;
    return c->rules[rule].called ? NULL : c->rules[rule].dfa;
}

// ---- which rules are reached, and in which order

static bool is_wide(const struct sc_dfa *dfa)
{
    for (uint32_t s = 0; s < dfa->n_states; s++) {
        unsigned n_bytes = 0;
        for (uint32_t i = 0; i < dfa->states[s].n_edges; i++) {
            const struct sc_dfa_edge *e = &dfa->edges[dfa->states[s].edges + i];
            n_bytes += (unsigned)(e->last - e->first) + 1;
        }
        if (n_bytes >= WIDE_BYTES) return true;
    }
    return false;
}

static bool ends_itself(const struct sc_dfa *dfa)
{
    for (uint32_t s = 0; s < dfa->n_states; s++)
        if (dfa->states[s].is_final && (dfa->states[s].n_edges || dfa->states[s].n_calls)) return false;
    return true;
}

static bool must_stay(const struct compiler *c, uint32_t rule)
{
    const struct rule_info *info = &c->rules[rule];
    if (info->in_cycle || c->b->rules[rule].keep) return true;
    if (!ends_itself(info->dfa)) return info->dfa->n_states > OPEN_INLINED_STATES_MAX;
    return info->dfa->n_states > INLINED_STATES_MAX || is_wide(info->dfa);
}

static void build_rule(struct compiler *c, uint32_t rule)
{
    struct rule_info *info = &c->rules[rule];
    if (c->b->rules[rule].is_string) {
        info->called = info->productive = true;
        return;
    }
    // The arena's copy is ours alone to trim.
    info->dfa = (struct sc_dfa *)(uintptr_t)sc_dfa_build(c->b, c->b->rules[rule].body, inlined, c, &c->literals);
    if (info->dfa) info->called = must_stay(c, rule);
}

static void visit_rule(struct compiler *c, uint32_t rule);

static void visit_callee(struct compiler *c, uint32_t rule, uint32_t callee)
{
    struct rule_info *info = &c->rules[rule], *other = &c->rules[callee];
    if (!other->index) {
        visit_rule(c, callee);
        info->low = SC_MIN(info->low, other->low);
    } else if (other->on_stack) {
        info->low = SC_MIN(info->low, other->index);
        if (callee == rule) info->in_cycle = true;
    }
}

static void visit_node(struct compiler *c, uint32_t rule, const struct sc_node *node)
{
    if (!node || sc_builder_failed(c->b)) return;
    if (++c->depth > DEPTH_MAX) {
        sc_builder_fail(c->b, SOCLE_UNSUPPORTED, "a grammar: rules are nested in rules too deeply");
        return;
    }
    if (node->kind == SC_NODE_RULE) visit_callee(c, rule, node->rule);
    if (node->children)
        for (uint32_t i = 0; i < node->n; i++) visit_node(c, rule, node->children[i]);
    visit_node(c, rule, node->separator);
    visit_node(c, rule, node->more);
    c->depth--;
}

static void visit_rule(struct compiler *c, uint32_t rule)
{
    struct rule_info *info = &c->rules[rule];
    info->index = info->low = ++c->n_indices;
    c->stack[c->n_stack++] = rule;
    info->on_stack = true;
    visit_node(c, rule, c->b->rules[rule].body);
    if (c->b->rules[rule].is_string) visit_callee(c, rule, c->b->json_rules[0] - 1);
    if (info->low != info->index || sc_builder_failed(c->b)) return;
    uint32_t first = c->n_stack;
    while (c->stack[--first] != rule) {}
    bool in_cycle = c->n_stack - first > 1;
    for (uint32_t i = first; i < c->n_stack; i++) {
        c->rules[c->stack[i]].on_stack = false;
        c->rules[c->stack[i]].in_cycle |= in_cycle;
        c->rules[c->stack[i]].called = c->rules[c->stack[i]].in_cycle;
    }
    for (uint32_t i = c->n_stack; i-- > first && !sc_builder_failed(c->b);) {
        build_rule(c, c->stack[i]);
        c->order[c->n_ordered++] = c->stack[i];
    }
    c->n_stack = first;
}

// ---- what leads nowhere

// Can the end of the rule be reached over rules that are known to be productive? `seen` and `queue` are [n_states].
static bool reaches_end(const struct compiler *c, const struct sc_dfa *d, bool *seen, uint32_t *queue)
{
    uint32_t n = 0;
    memset(seen, 0, d->n_states * sizeof *seen);
    seen[queue[n++] = 0] = true;
    for (uint32_t i = 0; i < n; i++) {
        const struct sc_dfa_state *s = &d->states[queue[i]];
        if (s->is_final) return true;
        for (uint32_t k = 0; k < s->n_edges; k++) {
            uint32_t target = d->edges[s->edges + k].target;
            if (!seen[target]) seen[queue[n++] = target] = true;
        }
        for (uint32_t k = 0; k < s->n_calls; k++) {
            const struct sc_dfa_call *call = &d->calls[s->calls + k];
            bool passable = call->symbol < SC_SYMBOL_TOKEN && c->rules[call->symbol].productive;
            if (passable && !seen[call->target]) seen[queue[n++] = call->target] = true;
        }
    }
    return false;
}

static void drop_unproductive_calls(struct compiler *c, struct sc_dfa *d)
{
    for (uint32_t s = 0; s < d->n_states; s++) {
        struct sc_dfa_state *state = &d->states[s];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < state->n_calls; i++) {
            struct sc_dfa_call call = d->calls[state->calls + i];
            if (call.symbol >= SC_SYMBOL_TOKEN || c->rules[call.symbol].productive)
                d->calls[state->calls + kept++] = call;
        }
        state->n_calls = kept;
    }
    sc_dfa_trim(c->b, d);
}

static void find_productive(struct compiler *c)
{
    uint32_t n_max = 1;
    for (uint32_t i = 0; i < c->n_ordered; i++)
        if (c->rules[c->order[i]].dfa) n_max = SC_MAX(n_max, c->rules[c->order[i]].dfa->n_states);
    bool *seen = calloc(n_max, sizeof *seen);
    uint32_t *queue = calloc(n_max, sizeof *queue);
    if (!seen || !queue) sc_builder_no_memory(c->b);
    for (bool changed = true; changed && !sc_builder_failed(c->b);) {
        changed = false;
        for (uint32_t i = 0; i < c->n_ordered; i++) {
            struct rule_info *info = &c->rules[c->order[i]];
            if (info->productive || !info->dfa || !sc_builder_work(c->b, info->dfa->n_states)) continue;
            info->productive = reaches_end(c, info->dfa, seen, queue);
            changed |= info->productive;
        }
    }
    free(seen);
    free(queue);
    for (uint32_t i = 0; i < c->n_ordered && !sc_builder_failed(c->b); i++)
        if (c->rules[c->order[i]].dfa && c->rules[c->order[i]].called)
            drop_unproductive_calls(c, c->rules[c->order[i]].dfa);
}

// ---- left recursion: a rule that calls itself before a byte was read

// Visits the states that are reached from the rule's start without a byte, and the calls made there.
// Returns whether one of them is final. *n_left counts into left[], when that is not NULL.
static bool walk_left(struct compiler *c, uint32_t rule, bool *seen, uint32_t *queue, uint32_t *left, uint32_t *n_left)
{
    const struct sc_dfa *d = c->rules[rule].dfa;
    uint32_t n = 0;
    bool ends = false;
    seen[queue[n++] = 0] = true;
    for (uint32_t i = 0; i < n; i++) {
        const struct sc_dfa_state *s = &d->states[queue[i]];
        ends |= s->is_final;
        for (uint32_t k = 0; k < s->n_calls; k++) {
            const struct sc_dfa_call *call = &d->calls[s->calls + k];
            if (call->symbol >= SC_SYMBOL_TOKEN) continue;
            if (left) left[(*n_left)++] = call->symbol;
            if (c->rules[call->symbol].nullable && !seen[call->target]) seen[queue[n++] = call->target] = true;
        }
    }
    for (uint32_t i = 0; i < n; i++) seen[queue[i]] = false;
    return ends;
}

static void refuse_rule(struct compiler *c, uint32_t rule)
{
    sc_builder_fail(c->b, SOCLE_UNSUPPORTED,
                    "a grammar: the rule '%.100s' is left-recursive (it can begin with itself): write the repetition "
                    "with * or on the right",
                    c->b->rules[rule].name);
}

// Depth first with a stack of our own: color 1 is on the way, 2 done.
static void find_cycle(struct compiler *c, uint32_t root, uint8_t *colors, bool *seen, uint32_t *queue, uint32_t *left,
                       uint32_t *path)
{
    uint32_t n_left = 0, n_path = 0;
    left[n_left++] = root;
    while (n_left && !sc_builder_failed(c->b)) {
        uint32_t rule = left[n_left - 1];
        if (colors[rule] == 1 && n_path && path[n_path - 1] == rule) {
            colors[rule] = 2;
            n_path--;
            n_left--;
        } else if (colors[rule] == 2 || !c->rules[rule].dfa) {
            n_left--;
        } else if (colors[rule] == 1) {
            refuse_rule(c, rule);
        } else {
            colors[rule] = 1;
            path[n_path++] = rule;
            uint32_t before = n_left;
            walk_left(c, rule, seen, queue, left, &n_left);
            for (uint32_t i = before; i < n_left; i++)
                if (left[i] == rule) refuse_rule(c, rule);
        }
    }
}

static void refuse_left_recursion(struct compiler *c)
{
    uint32_t n_states = 1, n_calls = 1;
    for (uint32_t i = 0; i < c->n_ordered; i++) {
        const struct sc_dfa *d = c->rules[c->order[i]].dfa;
        if (d && c->rules[c->order[i]].called) n_states = SC_MAX(n_states, d->n_states), n_calls += d->n_calls;
    }
    bool *seen = calloc(n_states, sizeof *seen);
    uint8_t *colors = calloc(c->b->n_rules, sizeof *colors);
    uint32_t *room = calloc((size_t)n_states + n_calls + c->b->n_rules, sizeof *room);
    if (!seen || !colors || !room) sc_builder_no_memory(c->b);
    for (bool changed = true; changed && !sc_builder_failed(c->b);) {
        changed = false;
        for (uint32_t i = 0; i < c->n_ordered; i++) {
            struct rule_info *info = &c->rules[c->order[i]];
            if (!info->called || !info->dfa || info->nullable || !sc_builder_work(c->b, 1)) continue;
            info->nullable = walk_left(c, c->order[i], seen, room, NULL, NULL);
            changed |= info->nullable;
        }
    }
    for (uint32_t i = 0; i < c->n_ordered && !sc_builder_failed(c->b); i++)
        if (c->rules[c->order[i]].called && c->rules[c->order[i]].dfa)
            find_cycle(c, c->order[i], colors, seen, room, room + n_states, room + n_states + n_calls);
    free(seen);
    free(colors);
    free(room);
}

// ---- the layout

static void count(struct compiler *c)
{
    struct sc_grammar *g = c->g;
    uint64_t n_states = 1;
    g->n_limits = SC_LIMIT_FIRST;
    for (uint32_t i = 0; i < c->n_ordered; i++) {
        struct rule_info *info = &c->rules[c->order[i]];
        if (!info->called) continue;
        if (!info->dfa) {
            info->limit = g->n_limits++;
            continue;
        }
        info->base = (uint32_t)n_states;
        n_states += info->dfa->n_states;
        g->n_edges += info->dfa->n_edges;
        for (uint32_t k = 0; k < info->dfa->n_calls; k++)
            if (info->dfa->calls[k].symbol < SC_SYMBOL_TOKEN) g->n_calls++;
            else g->n_tokens++;
        for (uint32_t s = 0; s < info->dfa->n_states; s++)
            if (info->dfa->states[s].n_edges > 3 && g->n_dense < DENSE_MAX) g->n_dense++;
    }
    if (n_states > SC_GRAMMAR_STATES_MAX)
        sc_builder_fail(c->b, SOCLE_UNSUPPORTED, "a grammar: it needs %llu states, more than %d",
                        (unsigned long long)n_states, SC_GRAMMAR_STATES_MAX);
    g->n_states = (uint32_t)n_states;
    g->n_literals = c->literals.n;
}

static void take_arrays(struct compiler *c)
{
    struct sc_grammar *g = c->g;
    size_t n_bytes = 0;
    for (uint32_t i = 0; i < c->literals.n; i++) n_bytes += c->literals.texts[i].n_bytes;
    g->states = calloc(g->n_states, sizeof *g->states);
    g->edges = calloc((size_t)g->n_edges + 1, sizeof *g->edges);
    g->calls = calloc((size_t)g->n_calls + 1, sizeof *g->calls);
    g->tokens = calloc((size_t)g->n_tokens + 1, sizeof *g->tokens);
    g->dense = calloc((size_t)g->n_dense * 256 + 1, sizeof *g->dense);
    g->limits = calloc(g->n_limits, sizeof *g->limits);
    g->literals = calloc((size_t)g->n_literals + 1, sizeof *g->literals);
    g->literal_bytes = calloc(n_bytes + 1, 1);
    if (!g->states || !g->edges || !g->calls || !g->tokens || !g->dense || !g->limits || !g->literals ||
        !g->literal_bytes) {
        sc_builder_no_memory(c->b);
        return;
    }
    char *at = g->literal_bytes;
    for (uint32_t i = 0; i < c->literals.n; i++) {
        struct sc_text text = c->literals.texts[i];
        memcpy(at, text.data, text.n_bytes);
        g->literals[i] = (struct sc_text){ at, text.n_bytes };
        at += text.n_bytes;
    }
    g->n_edges = g->n_calls = g->n_tokens = g->n_dense = 0;
}

static bool leads_nowhere(const struct sc_dfa *d, uint32_t state)
{
    const struct sc_dfa_state *s = &d->states[state];
    return s->is_final && s->n_edges == 0 && s->n_calls == 0;
}

static void lay_calls(struct compiler *c, const struct rule_info *info, const struct sc_dfa_state *from,
                      struct sc_grammar_state *to)
{
    struct sc_grammar *g = c->g;
    to->calls = g->n_calls;
    to->tokens = g->n_tokens;
    for (uint32_t i = 0; i < from->n_calls; i++) {
        struct sc_dfa_call call = info->dfa->calls[from->calls + i];
        if (call.symbol >= SC_SYMBOL_TOKEN) {
            g->tokens[g->n_tokens++] =
                (struct sc_grammar_token){ call.symbol - SC_SYMBOL_TOKEN, info->base + call.target };
            to->n_tokens++;
            to->flags |= SC_STATE_TOKENS;
            continue;
        }
        const struct rule_info *callee = &c->rules[call.symbol];
        uint32_t start = callee->dfa ? callee->base : c->rules[c->b->json_rules[0] - 1].base;
        uint32_t target = leads_nowhere(info->dfa, call.target) ? 0 : info->base + call.target;
        g->calls[g->n_calls++] = (struct sc_grammar_call){ start, callee->limit, target };
        to->n_calls++;
        to->flags |= SC_STATE_CALLS;
    }
}

static void lay_rule(struct compiler *c, uint32_t rule)
{
    struct sc_grammar *g = c->g;
    const struct rule_info *info = &c->rules[rule];
    bool is_string = c->b->json_rules[0] && rule == c->b->json_rules[0] - 1;
    for (uint32_t s = 0; s < info->dfa->n_states; s++) {
        const struct sc_dfa_state *from = &info->dfa->states[s];
        struct sc_grammar_state *to = &g->states[info->base + s];
        to->flags = (uint8_t)((from->is_final ? SC_STATE_FINAL : 0) | (is_string ? SC_STATE_STRING : 0));
        to->edges = g->n_edges;
        to->n_edges = (uint16_t)from->n_edges;
        if (from->n_edges > 3 && g->n_dense < DENSE_MAX) to->dense = ++g->n_dense;
        for (uint32_t i = 0; i < from->n_edges; i++) {
            struct sc_dfa_edge e = info->dfa->edges[from->edges + i];
            e.target += info->base;
            g->edges[g->n_edges++] = e;
            for (unsigned byte = e.first; to->dense && byte <= e.last; byte++)
                g->dense[256 * (size_t)(to->dense - 1) + byte] = e.target;
        }
        lay_calls(c, info, from, to);
    }
    if (!is_string) return;
    g->string_start = info->base;
    g->string_body = sc_grammar_step(g, g->string_start, '"');
    g->string_end = sc_grammar_step(g, g->string_body, '"');
}

static void lay_out(struct compiler *c, uint32_t root)
{
    struct sc_grammar *g = c->g;
    g->limits[SC_LIMIT_NONE] = g->limits[SC_LIMIT_COUNT] = (struct sc_length_limit){ 0, SC_UNBOUNDED };
    for (uint32_t i = 0; i < c->n_ordered; i++) {
        uint32_t rule = c->order[i];
        const struct rule_info *info = &c->rules[rule];
        if (!info->called) continue;
        if (info->dfa) lay_rule(c, rule);
        else g->limits[info->limit] = (struct sc_length_limit){ c->b->rules[rule].min, c->b->rules[rule].max };
    }
    const struct rule_info *info = &c->rules[root];
    g->start = info->dfa ? info->base : g->string_start;
    g->start_limit = info->limit;
    sc_grammar_find_loops(g);
}

static void compile(struct compiler *c, uint32_t root)
{
    visit_rule(c, root);
    if (sc_builder_failed(c->b)) return;
    c->rules[root].called = true;
    find_productive(c);
    if (!sc_builder_failed(c->b) && !c->rules[root].productive)
        sc_builder_fail(c->b, SOCLE_UNSUPPORTED, "a grammar: no text matches it");
    if (!sc_builder_failed(c->b)) refuse_left_recursion(c);
    if (!sc_builder_failed(c->b)) count(c);
    if (!sc_builder_failed(c->b)) take_arrays(c);
    if (!sc_builder_failed(c->b)) lay_out(c, root);
}

socle_status sc_grammar_compile(struct sc_grammar_builder *b, uint32_t root, struct sc_grammar **out, socle_error *err)
{
    struct compiler c = { .b = b };
    if (!sc_builder_failed(b)) {
        size_t n = (size_t)b->n_rules + 1;
        c.rules = calloc(n, sizeof *c.rules);
        c.stack = calloc(n, sizeof *c.stack);
        c.order = calloc(n, sizeof *c.order);
        c.g = calloc(1, sizeof *c.g);
        if (!c.rules || !c.stack || !c.order || !c.g) sc_builder_no_memory(b);
        else compile(&c, root);
    }
    free(c.rules);
    free(c.stack);
    free(c.order);
    free(c.literals.texts);
    if (sc_builder_failed(b)) {
        sc_grammar_free(c.g);
        if (err) *err = b->error;
        return b->error.status;
    }
    *out = c.g;
    return SOCLE_OK;
}

void sc_grammar_free(struct sc_grammar *g)
{
    if (!g) return;
    free(g->states);
    free(g->edges);
    free(g->calls);
    free(g->tokens);
    free(g->dense);
    free(g->limits);
    free(g->literals);
    free(g->literal_bytes);
    free(g);
}
