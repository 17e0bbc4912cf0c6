// Which tensor becomes which. Layers are gone through by rules, and every tensor of the source must be used or known to
// be none of the decoder's: a name that is not known would otherwise be a part of the model left out in silence.
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "models/hf_internal.h"

const struct sc_hf_name sc_hf_common_names[] = {
    { "input_layernorm.weight", "attn_norm.weight", 0 },
    { "self_attn.q_proj.?", "attn_q", SC_HF_ROTARY_Q },
    { "self_attn.k_proj.?", "attn_k", SC_HF_ROTARY_K },
    { "self_attn.v_proj.?", "attn_v", 0 },
    { "self_attn.o_proj.?", "attn_output", 0 },
    { "self_attn.q_norm.weight", "attn_q_norm.weight", 0 },
    { "self_attn.k_norm.weight", "attn_k_norm.weight", 0 },
    { "post_attention_layernorm.weight", "ffn_norm.weight", 0 },
    { "mlp.gate_proj.?", "ffn_gate", 0 },
    { "mlp.up_proj.?", "ffn_up", 0 },
    { "mlp.down_proj.?", "ffn_down", 0 },
    { "mlp.gate.weight", "ffn_gate_inp.weight", 0 },
    { "mlp.gate.e_score_correction_bias", "exp_probs_b.bias", 0 },
    { "mlp.experts.*.gate_proj.weight", "ffn_gate_exps.weight", 0 },
    { "mlp.experts.*.up_proj.weight", "ffn_up_exps.weight", 0 },
    { "mlp.experts.*.down_proj.weight", "ffn_down_exps.weight", 0 },
    { "mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", 0 },
    { "mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight", 0 },
    { "mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight", 0 },
    { "self_attn.rotary_emb.inv_freq", "", 0 },
    { 0 },
};

// Where models with pictures keep their decoder, and where they keep the rest.
static const char *const prefixes[] = { "model.", "model.language_model.", "language_model.model." };
static const char *const heads[] = { "lm_head.weight", "language_model.lm_head.weight" };
static const char *const foreign[] = { "vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                       "model.multi_modal_projector." };

struct walk {
    struct sc_hf *hf;
    const char *prefix;
    bool *used; // [n] tensors of the source
};

// The tensor of that name, which counts as used then; NULL: there is none.
static const struct sc_safetensors_tensor *find(struct walk *w, const char *name)
{
    uint64_t i;
    if (!sc_safetensors_index(w->hf->weights, sc_text_of(name), &i)) return NULL;
    w->used[i] = true;
    return sc_safetensors_at(w->hf->weights, i);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static void add(struct walk *w, const char *name, const struct sc_safetensors_tensor **from, size_t n,
                enum sc_hf_order order)
{
    struct sc_hf *hf = w->hf;
    bool rotary = order == SC_HF_ROTARY_Q || order == SC_HF_ROTARY_K;
    const char *copy = sc_arena_text(&hf->arena, name, strlen(name));
    if (rotary && !hf->family->pairs) order = SC_HF_SAME;
    if (!copy) hf->status = sc_fail_memory(hf->err, strlen(name), "a tensor's name");
    else sc_hf_add(hf, copy, from, n, order, hf->family->norms_add_one && ends_with(name, "norm.weight") ? 1.0f : 0.0f);
}

static const struct sc_safetensors_tensor **room_for(struct sc_hf *hf, size_t n)
{
    const struct sc_safetensors_tensor **room = sc_arena_array(&hf->arena, n, sizeof *room);
    if (!room) hf->status = sc_fail_memory(hf->err, n * sizeof *room, "a tensor's sources");
    return room;
}

// "model.layers.3." and the rule's name with '*' as `expert`, and ".?" as `suffix`.
static void write_name(char out[300], const struct walk *w, uint32_t layer, const char *theirs, uint32_t expert,
                       const char *suffix)
{
    const char *star = strchr(theirs, '*');
    size_t n = (size_t)snprintf(out, 300, "%slayers.%u.", w->prefix, layer);
    if (star) n += (size_t)snprintf(out + n, 300 - n, "%.*s%u%s", (int)(star - theirs), theirs, expert, star + 1);
    else n += (size_t)snprintf(out + n, 300 - n, "%s", theirs);
    if (n > 2 && n < 300 && strcmp(out + n - 2, ".?") == 0) snprintf(out + n - 2, 300 - n + 2, "%s", suffix);
}

static void apply(struct walk *w, uint32_t layer, const struct sc_hf_name *rule, const char *suffix)
{
    struct sc_hf *hf = w->hf;
    char theirs[300], ours[300];
    bool has_suffix = ends_with(rule->theirs, ".?"), many = strchr(rule->theirs, '*') != NULL;
    write_name(theirs, w, layer, rule->theirs, 0, suffix);
    const struct sc_safetensors_tensor *first = find(w, theirs);
    if (!first || !*rule->ours) return;
    size_t n = many ? SC_MAX(hf->n_expert, 1u) : 1;
    const struct sc_safetensors_tensor **from = room_for(hf, n);
    if (!from) return;
    from[0] = first;
    for (uint32_t e = 1; e < n; e++) {
        write_name(theirs, w, layer, rule->theirs, e, suffix);
        from[e] = find(w, theirs);
        if (!from[e]) {
            sc_hf_fail(hf, SOCLE_BAD_FILE, "there is no tensor '%s', but config.json has %u experts", theirs,
                       hf->n_expert);
            return;
        }
    }
    snprintf(ours, sizeof ours, "blk.%u.%s%s", layer, rule->ours, has_suffix ? suffix : "");
    add(w, ours, from, n, rule->order);
}

bool sc_hf_has_own(const struct sc_hf_family *family, const char *theirs)
{
    for (const struct sc_hf_name *own = family->names; own && own->theirs; own++)
        if (strcmp(own->theirs, theirs) == 0) return true;
    return false;
}

const char *sc_hf_prefix_at(size_t i, const char **head)
{
    if (i >= SC_COUNT(prefixes)) return NULL;
    *head = strncmp(prefixes[i], "language_model.", 15) == 0 ? "language_model.lm_head" : "lm_head";
    return prefixes[i];
}

static bool makes(const struct sc_hf_name *rule, struct sc_text ours)
{
    char name[100];
    snprintf(name, sizeof name, "%s%s", rule->ours, ends_with(rule->theirs, ".?") ? ".weight" : "");
    return *rule->ours && sc_text_is(ours, name);
}

// Whether the family has one module where others have the rule's and its neighbours.
static bool is_fused(const struct sc_hf_family *family, const char *theirs)
{
    static const char *const parts[][2] = { { "self_attn.q_proj.?", "self_attn.qkv_proj.?" },
                                            { "self_attn.k_proj.?", "self_attn.qkv_proj.?" },
                                            { "self_attn.v_proj.?", "self_attn.qkv_proj.?" },
                                            { "mlp.gate_proj.?", "mlp.gate_up_proj.?" },
                                            { "mlp.up_proj.?", "mlp.gate_up_proj.?" } };
    for (size_t i = 0; i < SC_COUNT(parts); i++)
        if (strcmp(theirs, parts[i][0]) == 0 && sc_hf_has_own(family, parts[i][1])) return true;
    return false;
}

const struct sc_hf_name *sc_hf_rule_of(const struct sc_hf_family *family, struct sc_text ours)
{
    for (const struct sc_hf_name *own = family->names; own && own->theirs; own++)
        if (makes(own, ours)) return own;
    for (const struct sc_hf_name *rule = sc_hf_common_names; rule->theirs; rule++)
        if (makes(rule, ours) && !sc_hf_has_own(family, rule->theirs) && !is_fused(family, rule->theirs)) return rule;
    return NULL;
}

static void apply_all(struct walk *w, uint32_t layer, const struct sc_hf_name *rules, bool are_common)
{
    for (; rules && rules->theirs && w->hf->status == SOCLE_OK; rules++) {
        if (are_common && sc_hf_has_own(w->hf->family, rules->theirs)) continue;
        apply(w, layer, rules, ".weight");
        if (ends_with(rules->theirs, ".?")) apply(w, layer, rules, ".bias");
    }
}

static void add_one(struct walk *w, const char *theirs, const char *ours)
{
    const struct sc_safetensors_tensor *t = find(w, theirs), **from = room_for(w->hf, 1);
    if (!t || !from) return;
    from[0] = t;
    add(w, ours, from, 1, SC_HF_SAME);
}

static void find_prefix(struct walk *w)
{
    char name[300];
    for (size_t i = 0; i < SC_COUNT(prefixes); i++) {
        snprintf(name, sizeof name, "%sembed_tokens.weight", prefixes[i]);
        if (!sc_safetensors_find(w->hf->weights, sc_text_of(name))) continue;
        w->prefix = prefixes[i];
        return;
    }
    sc_hf_fail(w->hf, SOCLE_BAD_FILE, "there is no tensor 'model.embed_tokens.weight'");
}

// Layers behind the last one predict further tokens (DeepSeek-V3); pictures have towers of their own.
static bool is_foreign(const struct walk *w, struct sc_text name)
{
    char own[300];
    unsigned layer;
    for (size_t i = 0; i < SC_COUNT(foreign); i++)
        if (name.n_bytes > strlen(foreign[i]) && memcmp(name.data, foreign[i], strlen(foreign[i])) == 0) return true;
    snprintf(own, sizeof own, "%.*s", SC_TEXT_ARGS(name));
    size_t n = strlen(w->prefix);
    return strncmp(own, w->prefix, n) == 0 && sscanf(own + n, "layers.%u.", &layer) == 1 && layer >= w->hf->n_layer;
}

static void check_all_used(struct walk *w)
{
    struct sc_hf *hf = w->hf;
    for (uint64_t i = 0; i < sc_safetensors_n(hf->weights) && hf->status == SOCLE_OK; i++) {
        const struct sc_safetensors_tensor *t = sc_safetensors_at(hf->weights, i);
        if (w->used[i]) continue;
        if (is_foreign(w, t->name)) hf->result->n_left_out++;
        else
            sc_hf_fail(hf, SOCLE_UNSUPPORTED, "tensor '%.*s' has no place in the family '%s'", SC_TEXT_ARGS(t->name),
                       hf->family->name);
    }
}

void sc_hf_tensors(struct sc_hf *hf)
{
    if (hf->status != SOCLE_OK) return;
    struct walk w = { .hf = hf, .prefix = "" };
    char name[300];
    w.used = sc_arena_array(&hf->arena, sc_safetensors_n(hf->weights) + 1, sizeof *w.used);
    if (!w.used) {
        hf->status = sc_fail_memory(hf->err, sc_safetensors_n(hf->weights), "a list of tensors");
        return;
    }
    memset(w.used, 0, sc_safetensors_n(hf->weights) * sizeof *w.used);
    find_prefix(&w);
    if (hf->status != SOCLE_OK) return;
    snprintf(name, sizeof name, "%sembed_tokens.weight", w.prefix);
    add_one(&w, name, "token_embd.weight");
    for (uint32_t layer = 0; layer < hf->n_layer && hf->status == SOCLE_OK; layer++) {
        apply_all(&w, layer, hf->family->names, false);
        apply_all(&w, layer, sc_hf_common_names, true);
    }
    snprintf(name, sizeof name, "%snorm.weight", w.prefix);
    add_one(&w, name, "output_norm.weight");
    // Tied matrices are stored once, or twice with a flag that says so.
    bool tied = json_is_true(json_object_get(hf->config, "tie_word_embeddings"));
    for (size_t i = 0; i < SC_COUNT(heads); i++) {
        if (tied) find(&w, heads[i]);
        else add_one(&w, heads[i], "output.weight");
    }
    if (hf->status == SOCLE_OK) check_all_used(&w);
}
