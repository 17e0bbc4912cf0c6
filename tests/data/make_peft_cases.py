"""Write reference data for testing a converter of PEFT's adapters.

usage: make_peft_cases.py HF_CASES.json OUT.json

Each case is a LoRA adapter on one of the tiny models of HF_CASES.json (see
make_hf_cases.py), whose weights a rule makes of names and indices; the adapter's
are made by the same rule from the names in its own file.
OUT.json is an array with one case per line:

  name     the case's name
  base     the case of HF_CASES.json that is the model
  config   the adapter_config.json that save_pretrained wrote, without what is
           null, empty or false
  tensors  [[name, [shape...]], ...] of adapter_model.safetensors, by name
  logits   the logits after the base's tokens at positions 0, 11 and 23

Needs peft, torch, transformers, safetensors and numpy; downloads nothing.
"""
import json
import os
import sys
import tempfile

import numpy as np
import peft
import torch
import transformers
from safetensors.numpy import load_file, save_file

from make_hf_cases import POSITIONS, fill

# name, base, settings of LoraConfig
CASES = [
    # rows of q and k change places
    ("llama", "llama", dict(r=4, lora_alpha=24, target_modules=[
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])),
    # fused products, and alpha / sqrt(r)
    ("phi3-rslora", "phi3", dict(r=3, lora_alpha=9, use_rslora=True, target_modules=["qkv_proj", "gate_up_proj"])),
    # ranks and factors that differ, some of the layers, and the output matrix
    ("qwen3-patterns", "qwen3", dict(
        r=4, lora_alpha=24, target_modules=["q_proj", "layers.1.self_attn.k_proj", "down_proj", "lm_head"],
        rank_pattern={"q_proj": 2, "^model.layers.1.mlp.down_proj": 5}, alpha_pattern={"layers.0.mlp.down_proj": 10})),
]


def write_weights(path, names_and_shapes, fill_one):
    save_file({n: fill_one(n, shape) for n, shape in names_and_shapes}, path, metadata={"format": "pt"})


def load_base(case, folder):
    write_weights(os.path.join(folder, "model.safetensors"), case["tensors"],
                  lambda n, shape: fill(n, shape, case["name"].startswith("gemma")))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(case["config"], f)
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()


def compute(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0, POSITIONS]


def make_case(name, base, settings):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as adapter:
        path = os.path.join(adapter, "adapter_model.safetensors")
        model = load_base(base, folder)
        plain = compute(model, base["tokens"])
        config = peft.LoraConfig(task_type="CAUSAL_LM", **settings)
        peft.get_peft_model(model, config).save_pretrained(adapter, save_embedding_layers=False)
        tensors = sorted((n, list(t.shape)) for n, t in load_file(path).items())
        write_weights(path, tensors, lambda n, shape: fill(n, shape, False))
        model = peft.PeftModel.from_pretrained(load_base(base, folder), adapter).eval()
        logits = compute(model, base["tokens"])
        with open(os.path.join(adapter, "adapter_config.json")) as f:
            written = json.load(f)
    assert bool(logits.isfinite().all()) and float((logits - plain).abs().max()) > 0.1
    written = {k: v for k, v in written.items() if v or v == 0 and v is not False}
    written.pop("base_model_name_or_path", None)
    if isinstance(written["target_modules"], list):
        written["target_modules"].sort()
    return {"name": name, "base": base["name"], "config": written, "tensors": tensors,
            "logits": [[float(f"{x:.6g}") for x in row] for row in logits.tolist()]}


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: make_peft_cases.py HF_CASES.json OUT.json")
    torch.set_num_threads(1)
    with open(sys.argv[1]) as f:
        bases = {case["name"]: case for case in json.load(f)}
    cases = [make_case(name, bases[base], settings) for name, base, settings in CASES]
    with open(sys.argv[2], "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
    for case in cases:
        print(case["name"], json.dumps(case["config"]), len(case["tensors"]), "tensors")


if __name__ == "__main__":
    main()
