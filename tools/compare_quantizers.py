#!/usr/bin/env python3
"""Compare Socle's quantizer with llama.cpp's on the bundled model: the table of docs/quantization.md.

Usage (PyPI packages: gguf, numpy, torch, llama-cpp-python; a built Socle with its tests):

    python3 tools/compare_quantizers.py --data tales.txt --build build --work /tmp/quantizers [TYPE ...]

The bundled model is turned into F32, importances are gathered on 60 chunks of its training text, and both programs
quantize it to each type with and without them. What is compared is the weights alone: PyTorch computes the model in
float32 from the decoded weights, on the held-out text in windows of 512, second halves scored. Printed for each: bytes,
perplexity, mean Kullback-Leibler divergence from the source's predictions, and the weights' relative RMS error.
"""

import argparse
import ctypes
import json
import os
import subprocess

import gguf
import numpy as np
import torch
import torch.nn.functional as F

NORM_EPS, ROPE_BASE = 1e-5, 10000.0  # of the bundled model's shape


def read_documents(path):
    """Training and held-out documents: runs of 50 lines, of which 10, 30, 50, ... are held out (share/tales.conf)."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    train, held = [], []
    for i in range(0, len(lines), 50):
        (held if i // 50 % 20 == 10 else train).append("\n".join(lines[i:i + 50]) + "\n")
    return train, held


FILE_TYPES = {"Q8_0": 7, "Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16,
              "Q5_K_M": 17, "Q6_K": 18}
WINDOW, BATCH = 512, 4


def load(path):
    """The decoded weights by name."""
    return {t.name: torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
                                     .reshape([int(n) for n in reversed(t.shape)]))
            for t in gguf.GGUFReader(path).tensors}


def rotate(x, cos, sin):
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


@torch.no_grad()
def log_probabilities(w, ids, heads=8, kv_heads=4):
    """Of the next token, for the second half of each window."""
    width = w["output_norm.weight"].shape[0]
    size, layers = width // heads, sum(name.endswith("attn_q.weight") for name in w)
    angle = torch.arange(ids.shape[1]).float()[:, None] * ROPE_BASE ** (-torch.arange(0, size, 2).float() / size)
    cos, sin, (b, n) = angle.cos(), angle.sin(), ids.shape
    x = F.embedding(ids, w["token_embd.weight"])
    for i in range(layers):
        def part(name, h):
            return F.linear(h, w[f"blk.{i}.{name}.weight"])
        h = F.rms_norm(x, (width,), w[f"blk.{i}.attn_norm.weight"], NORM_EPS)
        q = rotate(part("attn_q", h).view(b, n, heads, size).transpose(1, 2), cos, sin)
        k = rotate(part("attn_k", h).view(b, n, kv_heads, size).transpose(1, 2), cos, sin)
        v = part("attn_v", h).view(b, n, kv_heads, size).transpose(1, 2)
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + part("attn_output", y.transpose(1, 2).reshape(b, n, width))
        h = F.rms_norm(x, (width,), w[f"blk.{i}.ffn_norm.weight"], NORM_EPS)
        x = x + part("ffn_down", F.silu(part("ffn_gate", h)) * part("ffn_up", h))
    x = F.rms_norm(x[:, WINDOW // 2 - 1:-1], (width,), w["output_norm.weight"], NORM_EPS)
    return F.linear(x, w["token_embd.weight"]).log_softmax(-1)


class Scorer:
    def __init__(self, source, ids):
        self.source = load(source)
        self.windows = torch.tensor(ids)[:len(ids) // WINDOW * WINDOW].view(-1, WINDOW).split(BATCH)
        self.expected = [log_probabilities(self.source, w).half() for w in self.windows]

    def score(self, path):
        weights, nll, divergence, n = load(path), 0.0, 0.0, 0
        for ids, expected in zip(self.windows, self.expected):
            found, p = log_probabilities(weights, ids), expected.float()
            nll -= found.gather(-1, ids[:, WINDOW // 2:, None]).sum().item()
            divergence += (p.exp() * (p - found)).sum().item()
            n += found.shape[0] * found.shape[1]
        names = [name for name, x in self.source.items() if x.dim() > 1]
        x, y = (torch.cat([d[name].double().flatten() for name in names]) for d in (self.source, weights))
        error = (((x - y) ** 2).sum() / (x ** 2).sum()).sqrt().item()
        return f"{os.path.getsize(path)} {np.exp(nll / n):.4f} {divergence / n:.6f} {error:.6f}"


def read_importances(path, llama):
    """The means, as llama.cpp takes them."""
    tensors = {t.name: np.array(t.data).reshape(-1) for t in gguf.GGUFReader(path).tensors}
    names = [name[:-len(".in_sum2")] for name in tensors if name.endswith(".in_sum2")]
    entries = (llama.llama_model_imatrix_data * (len(names) + 1))()
    keep = []
    for entry, name in zip(entries, names):
        keep.append((tensors[name + ".in_sum2"] / tensors[name + ".counts"][0]).astype(np.float32))
        entry.name, entry.size = name.encode(), keep[-1].size
        entry.data = keep[-1].ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    return entries, keep


def quantize_with_llama(source, out, kind, importances, llama):
    params = llama.llama_model_quantize_default_params()
    params.nthread, params.ftype = 1, FILE_TYPES[kind]
    if importances:
        params.imatrix = ctypes.cast(importances[0], type(params.imatrix))
    if llama.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp cannot quantize to {kind}")


def main():
    from llama_cpp import llama_cpp as llama
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--build", default="build")
    parser.add_argument("--work", required=True)
    parser.add_argument("types", nargs="*")
    a = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(a.work, exist_ok=True)
    socle = os.path.join(a.build, "socle")

    def place(name):
        return os.path.join(a.work, name)

    train, held = read_documents(a.data)
    for name, text in (("train.txt", "".join(train)[:400000]), ("held.txt", "".join(held))):
        with open(place(name), "w", encoding="utf-8") as f:
            f.write(text)
    source, imatrix = place("source.gguf"), place("imatrix.gguf")
    subprocess.run([os.path.join(a.build, "tests", "unquantize"), "share/tales.gguf", source, "F32"], check=True)
    subprocess.run([socle, "imatrix", source, place("train.txt"), "-o", imatrix, "--chunks", "60"], check=True)
    with open(place("held.txt"), "rb") as f:
        ids = json.loads(subprocess.run([socle, "tokenize", "-m", source], stdin=f, check=True,
                                        capture_output=True).stdout)
    scorer, importances = Scorer(source, ids), read_importances(imatrix, llama)
    print("source", scorer.score(source))
    for kind in a.types or FILE_TYPES:
        for with_imatrix in (False, True):
            out = place("out.gguf")
            quantize_with_llama(source, out, kind, importances if with_imatrix else None, llama)
            print(kind, "importances" if with_imatrix else "plain", "llama.cpp", scorer.score(out), flush=True)
            more = ["--imatrix", imatrix] if with_imatrix else []
            subprocess.run([socle, "quantize", source, out, kind, *more], check=True, stdout=subprocess.DEVNULL)
            print(kind, "importances" if with_imatrix else "plain", "Socle", scorer.score(out), flush=True)


if __name__ == "__main__":
    main()
