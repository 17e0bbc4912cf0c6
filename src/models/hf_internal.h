// Shared by the files that convert Hugging Face's folders.
#ifndef SC_MODELS_HF_INTERNAL_H
#define SC_MODELS_HF_INTERNAL_H

#include <jansson.h>

#include "base/arena.h"
#include "formats/gguf_writer.h"
#include "formats/safetensors.h"
#include "models/hf.h"

// How a tensor's elements are put in GGUF's order.
enum sc_hf_order {
    SC_HF_SAME,
    SC_HF_ROTARY_Q, // rows of each head from halves (j, j + n/2) to pairs (2j, 2j + 1)
    SC_HF_ROTARY_K,
    SC_HF_EVEN,     // [experts][n_embd][2 n_ff]: every other column is the gate's, transposed
    SC_HF_ODD,      // and the others are up's
    SC_HF_TURNED,   // [experts][n_ff][n_embd], transposed
    SC_HF_LATENT_K, // W_k of each head out of kv_b, transposed
    SC_HF_LATENT_V, // W_v of each head
};

// A name in a layer, after "model.layers.N."; '*' stands for an expert's number, ".?" at the end for ".weight" or
// ".bias".
struct sc_hf_name {
    const char *theirs, *ours; // ours: after "blk.N."; "" leaves the tensor out
    enum sc_hf_order order;
};

struct sc_hf;

struct sc_hf_family {
    const char *architecture, *model_type, *name; // in config.json, and GGUF's
    bool pairs;                                   // rotary rows are pairs in GGUF and halves here
    bool norms_add_one;                           // norms' weights are stored less 1
    const struct sc_hf_name *names;               // beside, and before, the common ones; NULL: none
    void (*config)(struct sc_hf *hf);             // beside the common keys; NULL: nothing
};

const struct sc_hf_family *sc_hf_family_at(size_t i); // NULL past the last

// A conversion. The first failure sticks in `status`; functions then do nothing.
struct sc_hf {
    const char *folder;
    const struct sc_hf_family *family;
    json_t *document, *config; // config.json, and in it what is about the decoder
    struct sc_safetensors *weights;
    struct sc_gguf_writer *writer;
    struct sc_arena arena;
    socle_status status;
    socle_error *err;
    uint32_t n_vocab, n_layer, n_head, n_head_kv, head_dim, n_expert;
    uint32_t rank, nope, dim_v; // of latent attention
    struct sc_hf_result *result;
    const struct sc_hf_options *options;
    uint64_t n_done; // bytes written
};

// Rows of n_rows / n_heads a head, rotary pairs of which are (j, j + n/2) at Hugging Face's: where row i of theirs lies
// among GGUF's, and the other way.
static inline uint64_t sc_hf_row_in_pairs(uint64_t i, uint64_t n_rows, uint64_t n_heads)
{
    uint64_t half = n_rows / n_heads / 2;
    return i / (2 * half) * 2 * half + 2 * (i % half) + i / half % 2;
}
static inline uint64_t sc_hf_row_in_halves(uint64_t i, uint64_t n_rows, uint64_t n_heads)
{
    uint64_t half = n_rows / n_heads / 2;
    return i / (2 * half) * 2 * half + i % 2 * half + i % (2 * half) / 2;
}

// ---- hf_config.c

__attribute__((format(printf, 3, 4))) void sc_hf_fail(struct sc_hf *hf, socle_status status, const char *format, ...);
json_t *sc_hf_read_json(struct sc_hf *hf, const char *name,
                        bool required); // a file of the folder; NULL: absent, or failed
void sc_hf_config(struct sc_hf *hf);
// A key of the decoder's configuration, and a key of GGUF ("<family>.NAME") set.
double sc_hf_number(struct sc_hf *hf, const char *key, double when_absent);
uint32_t sc_hf_count(struct sc_hf *hf, const char *key, uint32_t when_absent); // a whole number below 2^31
void sc_hf_set_u32(struct sc_hf *hf, const char *name, uint32_t value);
void sc_hf_set_f32(struct sc_hf *hf, const char *name, double value);
void sc_hf_set_bool(struct sc_hf *hf, const char *name, bool value);
void sc_hf_set_text(struct sc_hf *hf, const char *name, const char *value);

// ---- hf_names.c

void sc_hf_tensors(struct sc_hf *hf);
extern const struct sc_hf_name sc_hf_common_names[];                       // of all families, ended by zeros
bool sc_hf_has_own(const struct sc_hf_family *family, const char *theirs); // does it read this name in its own way?
// What decoders' names begin with ("model."), where their output matrix is beside; NULL past the last.
const char *sc_hf_prefix_at(size_t i, const char **head);
// The rule that a layer's weight of GGUF ("attn_q.weight", after "blk.N.") is made by; NULL: none.
const struct sc_hf_name *sc_hf_rule_of(const struct sc_hf_family *family, struct sc_text ours);

// ---- hf_tensors.c

// Adds a tensor of GGUF made from n_from tensors: one, or one for each expert.
void sc_hf_add(struct sc_hf *hf, const char *name, const struct sc_safetensors_tensor *const *from, size_t n_from,
               enum sc_hf_order order, float add);
float sc_hf_element_f32(const struct sc_safetensors_tensor *t, uint64_t i); // of one in F32, F16 or BF16

// ---- hf_tokenizer.c

void sc_hf_tokenizer(struct sc_hf *hf);

#endif
