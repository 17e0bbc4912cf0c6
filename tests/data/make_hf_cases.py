"""Write reference data for testing a converter of Hugging Face model folders.

usage: make_hf_cases.py OUT.json

For each family in CASES a tiny float32 model is built from its config alone, its
weights are replaced by values that any language can reproduce, and it is run on
24 tokens. OUT.json is an array with one case per line:

  name     the case's name
  config   the config.json that save_pretrained wrote, without null values,
           transformers_version and _name_or_path
  tensors  [[name, [shape...]], ...] in the order of the saved safetensors file
  tokens   24 token ids
  logits   the logits after the tokens at positions 0, 11 and 23, to 6 digits

Element i (row-major, from 0) of the tensor that the file calls N is
  z = FNV-1a-64(N) + (i + 1) * 0x9E3779B97F4A7C15       (all mod 2^64)
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9
  z = (z ^ z >> 27) * 0x94D049BB133111EB
  z = z ^ z >> 31
  u = (z >> 40) / 2^24
  value = float32((u - 0.5) * s + c)    each step in float64, unfused, then rounded
with s = 0.2 for one-dimensional tensors named *norm.weight, where c = 1 (0 for
Gemma, whose norms add 1 themselves), and s = 0.25, c = 0 for all others.

What the models hold (all tensor names and shapes, the configs) goes to stdout.
Needs torch, transformers, safetensors and numpy; downloads nothing.
"""
import json
import os
import struct
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

POSITIONS = [0, 11, 23]

COMMON = dict(
    vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, intermediate_size=64, max_position_embeddings=128,
    tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)


def rope(theta, **more):
    return {"rope_type": "default", "rope_theta": theta, **more}


# rms_norm_eps is 1e-6 where the class's own default is another value, else 1e-4;
# DeepSeek keeps 1e-6, since transformers fixes that value in its q_a/kv_a norms.
# Some sizes are chosen so that no token's choice of experts is a near tie.
# name, model class, config class, settings
CASES = [
    ("llama", "LlamaForCausalLM", "LlamaConfig", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(500.0))),
    # theta 100 puts one frequency in each of llama3's three bands
    ("llama-rope3", "LlamaForCausalLM", "LlamaConfig", dict(
        rms_norm_eps=1e-4, tie_word_embeddings=True,
        rope_parameters=rope(100.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=32))),
    ("mistral", "MistralForCausalLM", "MistralConfig", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(700.0), sliding_window=None)),
    ("mixtral", "MixtralForCausalLM", "MixtralConfig", dict(
        rms_norm_eps=1e-6, rope_parameters=rope(800.0), sliding_window=None,
        num_local_experts=4, num_experts_per_tok=2)),
    ("qwen2", "Qwen2ForCausalLM", "Qwen2Config", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(600.0), tie_word_embeddings=True)),
    ("qwen3", "Qwen3ForCausalLM", "Qwen3Config", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(900.0), head_dim=16)),
    ("qwen3-moe", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(900.0), head_dim=16, num_experts=4,
        num_experts_per_tok=2, norm_topk_prob=True, moe_intermediate_size=48)),
    ("gemma2", "Gemma2ForCausalLM", "Gemma2Config", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(400.0), tie_word_embeddings=True,
        num_hidden_layers=4, head_dim=16, sliding_window=8, query_pre_attn_scalar=4,
        attn_logit_softcapping=1.5, final_logit_softcapping=1.0)),
    ("gemma3", "Gemma3ForCausalLM", "Gemma3TextConfig", dict(
        rms_norm_eps=1e-4, tie_word_embeddings=True, num_hidden_layers=6, head_dim=16,
        sliding_window=8, query_pre_attn_scalar=24,
        rope_parameters={"full_attention": rope(5000.0), "sliding_attention": rope(300.0)})),
    ("phi3", "Phi3ForCausalLM", "Phi3Config", dict(
        rms_norm_eps=1e-6, rope_parameters=rope(500.0), sliding_window=None,
        original_max_position_embeddings=128)),
    ("glm4", "Glm4ForCausalLM", "Glm4Config", dict(
        rms_norm_eps=1e-6, rope_parameters=rope(300.0, partial_rotary_factor=0.5),
        head_dim=16, attention_bias=True)),
    ("granite", "GraniteForCausalLM", "GraniteConfig", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(500.0), tie_word_embeddings=True,
        embedding_multiplier=3.5, logits_scaling=1.75, residual_multiplier=0.6,
        attention_multiplier=0.45)),
    ("smollm3", "SmolLM3ForCausalLM", "SmolLM3Config", dict(
        rms_norm_eps=1e-4, rope_parameters=rope(500.0), tie_word_embeddings=True,
        num_hidden_layers=4)),
    # the context lengths make yarn's ramp cross these few frequencies
    ("gpt-oss", "GptOssForCausalLM", "GptOssConfig", dict(
        rms_norm_eps=1e-6, num_hidden_layers=4, head_dim=16, sliding_window=8,
        num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=2048,
        rope_parameters=rope(150.0, rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0,
                             truncate=False, original_max_position_embeddings=512))),
    ("deepseek-v2", "DeepseekV2ForCausalLM", "DeepseekV2Config", dict(
        rms_norm_eps=1e-6, rope_parameters=rope(500.0), num_key_value_heads=4,
        q_lora_rank=None, kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8,
        v_head_dim=10, first_k_dense_replace=1, n_routed_experts=4, num_experts_per_tok=2,
        n_shared_experts=1, moe_intermediate_size=24, routed_scaling_factor=1.5,
        topk_method="greedy", norm_topk_prob=False)),
    ("deepseek-v3", "DeepseekV3ForCausalLM", "DeepseekV3Config", dict(
        rms_norm_eps=1e-6, rope_parameters=rope(500.0), num_key_value_heads=4,
        q_lora_rank=20, kv_lora_rank=16, qk_nope_head_dim=12, qk_rope_head_dim=8,
        v_head_dim=10, first_k_dense_replace=1, n_routed_experts=8, num_experts_per_tok=3,
        n_group=4, topk_group=2, n_shared_experts=1, moe_intermediate_size=24,
        routed_scaling_factor=1.8, norm_topk_prob=True, num_mtp_layers=0)),
]


def mixed(name, n):
    """z of elements 0 to n - 1."""
    seed = 14695981039346656037
    for byte in name.encode():
        seed = (seed ^ byte) * 1099511628211 % 2**64
    z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def fill(name, shape, gemma):
    u = (mixed(name, np.prod(shape)) >> np.uint64(40)).astype(np.float64) / 2.0**24
    norm = len(shape) == 1 and name.endswith("norm.weight")
    s, c = (0.2, 0.0 if gemma else 1.0) if norm else (0.25, 0.0)
    return ((u - 0.5) * s + c).astype(np.float32).reshape(shape)


def saved_tensors(path):
    """Names and shapes in the order of the safetensors file's data."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    header.pop("__metadata__", None)
    assert all(t["dtype"] == "F32" for t in header.values())
    return [[n, t["shape"]] for n, t in sorted(header.items(), key=lambda x: x[1]["data_offsets"])]


def make_case(name, model_class, config_class, settings):
    model_class = getattr(transformers, model_class)
    config = getattr(transformers, config_class)(**{**COMMON, **settings})
    eager = dict(attn_implementation="eager", experts_implementation="eager")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as again:
        path = os.path.join(folder, "model.safetensors")
        torch.manual_seed(0)
        model_class(config).save_pretrained(folder)
        tensors = saved_tensors(path)
        weights = {n: fill(n, shape, name.startswith("gemma")) for n, shape in tensors}
        save_file(weights, path, metadata={"format": "pt"})
        assert saved_tensors(path) == tensors

        model, info = model_class.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, **eager)
        assert not any(info.values()), (name, info)
        # what the model holds goes back to disk as the same tensors
        model.save_pretrained(again)
        back = load_file(os.path.join(again, "model.safetensors"))
        assert back.keys() == weights.keys() and all(np.array_equal(back[n], weights[n]) for n in back)

        with open(os.path.join(folder, "config.json")) as f:
            written = json.load(f)
    written = {k: v for k, v in written.items()
               if v is not None and k not in ("transformers_version", "_name_or_path")}
    tokens = [(7 * i * i + 3 * i + 5) % config.vocab_size for i in range(24)]
    with torch.no_grad():
        logits = model.eval()(torch.tensor([tokens]), use_cache=False).logits[0, POSITIONS]
    assert logits.dtype == torch.float32 and bool(logits.isfinite().all())
    return {"name": name, "config": written, "tensors": tensors, "tokens": tokens,
            "logits": [[float(f"{x:.6g}") for x in row] for row in logits.tolist()]}


def report(case):
    print(f"\n== {case['name']}")
    for key, value in case["config"].items():
        print(f"  {key} = {json.dumps(value)}")
    for name, shape in case["tensors"]:
        print(f"  {name} {shape}")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_hf_cases.py OUT.json")
    torch.set_num_threads(1)
    cases = [make_case(*case) for case in CASES]
    with open(sys.argv[1], "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
    for case in cases:
        report(case)


if __name__ == "__main__":
    main()
