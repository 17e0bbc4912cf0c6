// Low-rank adapters (LoRA) as PyPI's `peft` keeps them, a folder of two files, made of adapters in GGUF and back.
//
//     adapter_config.json           {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", …], …}
//     adapter_model.safetensors     base_model.model.<module>.lora_A.weight  [rank, k]
//                                   base_model.model.<module>.lora_B.weight  [rows, rank]
//
// <module> is the path of a weight in transformers' model, "model.layers.3.self_attn.q_proj". Its weight in GGUF, and
// the order of that weight's rows, are those of whole models (hf_names.c): where rows change places (rotary halves to
// pairs), W' = P W, so P (B A) = (P B) A: B's rows change places alike, and A stays. The base model, a GGUF file, says
// of which family it is and what its weights' shapes are.
//
// Source: peft 0.21, src/peft/tuners/lora/config.py and layer.py, src/peft/utils/save_and_load.py.
#ifndef SC_MODELS_HF_ADAPTER_H
#define SC_MODELS_HF_ADAPTER_H

#include "models/hf_export.h"

// Whether the folder has an adapter's configuration and no model's.
bool sc_hf_adapter_is(const char *folder);

// The folder as a GGUF file in F32. Factors that differ from weight to weight (rank_pattern, alpha_pattern) go into B,
// and smaller ranks are filled with zeros, so that the file has one rank and one alpha. Errors: as sc_hf_convert;
// SOCLE_BAD_FILE also where shapes contradict the base, SOCLE_UNSUPPORTED for what is no plain LoRA (DoRA, biases,
// trained embeddings, …), changes of experts, and modules that are not one tensor in GGUF.
socle_status sc_hf_adapter_read(const char *folder, const char *path, const struct sc_hf_options *options,
                                struct sc_hf_result *out, socle_error *err);
// The GGUF file as a folder, in F32. Errors: as sc_hf_write, those of sc_adapter_set_open.
socle_status sc_hf_adapter_write(const char *gguf, const char *folder, const struct sc_hf_options *options,
                                 struct sc_hf_result *out, socle_error *err);

// ---- shared by both ways

enum { SC_HF_MODULE_BYTES = 200 };

// The module that is one weight of the base.
struct sc_hf_module {
    char path[SC_HF_MODULE_BYTES]; // "model.layers.3.self_attn.q_proj"
    uint64_t heads;                // whose rows change places; 0: they stay
};
// False where there is none: the tensor is no weight, or one of several that a module is, or experts. `prefix`: which
// of sc_hf_prefix_at.
bool sc_hf_module_of(const struct sc_hf_export *base, const struct sc_tensor *weight, size_t prefix,
                     struct sc_hf_module *out);

#endif
