#!/usr/bin/env python3
"""Write a GGUF file with the shape of a known model and random weights: as fast and as large as the real one.

usage: bench/make_model.py SHAPE FORMAT OUT.gguf      (--list: shapes and formats)
The file has no vocabulary: it can be measured, not talked to. The same arguments write the same bytes.
"""
import random
import struct
import sys

ALIGNMENT = 32
POOL_BLOCKS = 65537  # prime: rows repeat only after as many rows
F32, F16, Q4_0, Q8_0, Q4_K, Q6_K = 0, 1, 2, 8, 12, 14


def half(x):
    return struct.pack("<e", x)


# name: (type, elements of a block, a random block). Scales are small, so that nothing overflows.
FORMATS = {
    "F16": (F16, 1, lambda r: half(r.gauss(0, 0.02))),
    "Q4_0": (Q4_0, 32, lambda r: half(0.004) + r.randbytes(16)),
    "Q8_0": (Q8_0, 32, lambda r: half(0.0003) + r.randbytes(32)),
    "Q4_K": (Q4_K, 256, lambda r: half(0.0001) + half(0.0007) + r.randbytes(140)),
    "Q6_K": (Q6_K, 256, lambda r: r.randbytes(208) + half(0.00001)),
}


def llama(layers, dim, ff, heads, kv, head_dim, vocab, tied, base):
    return {"arch": "llama", "layers": layers, "dim": dim, "ff": ff, "heads": heads, "kv": kv, "head_dim": head_dim,
            "vocab": vocab, "tied": tied, "base": base}


SHAPES = {
    "llama-3.2-1b": llama(16, 2048, 8192, 32, 8, 64, 128256, True, 5e5),
    "llama-3.1-8b": llama(32, 4096, 14336, 32, 8, 128, 128256, False, 5e5),
    "mistral-7b": llama(32, 4096, 14336, 32, 8, 128, 32768, False, 1e6),
    "qwen3-0.6b": dict(llama(28, 1024, 3072, 16, 8, 128, 151936, True, 1e6), arch="qwen3"),
    "qwen3-4b": dict(llama(36, 2560, 9728, 32, 8, 128, 151936, True, 1e6), arch="qwen3"),
    "qwen3-30b-a3b": dict(llama(48, 2048, 6144, 32, 4, 128, 151936, False, 1e6), arch="qwen3moe", experts=128, used=8,
                          expert_ff=768),
    "small": llama(4, 512, 1024, 8, 4, 64, 2048, True, 1e4),
}


def metadata(name, s):
    """(key, value) pairs: int is written as u32, float as f32, str as string."""
    a = s["arch"]
    pairs = [("general.architecture", a), ("general.name", name), ("general.quantization_version", 2),
             ("tokenizer.ggml.model", "no_vocab"), (f"{a}.vocab_size", s["vocab"]), (f"{a}.context_length", 32768),
             (f"{a}.embedding_length", s["dim"]), (f"{a}.block_count", s["layers"]),
             (f"{a}.feed_forward_length", s["ff"]), (f"{a}.attention.head_count", s["heads"]),
             (f"{a}.attention.head_count_kv", s["kv"]), (f"{a}.attention.key_length", s["head_dim"]),
             (f"{a}.attention.value_length", s["head_dim"]), (f"{a}.rope.dimension_count", s["head_dim"]),
             (f"{a}.rope.freq_base", float(s["base"])), (f"{a}.attention.layer_norm_rms_epsilon", 1e-5)]
    if "experts" in s:
        pairs += [(f"{a}.expert_count", s["experts"]), (f"{a}.expert_used_count", s["used"]),
                  (f"{a}.expert_feed_forward_length", s["expert_ff"])]
    return pairs


def tensors(s, chosen):
    """(name, format or "F32", shape with the contiguous axis first)."""
    dim, ff, width, kv_width = s["dim"], s["ff"], s["heads"] * s["head_dim"], s["kv"] * s["head_dim"]
    # What gives the logits is kept finer, as quantizers do.
    outer = {"Q4_0": "Q6_K", "Q4_K": "Q6_K"}.get(chosen, chosen)
    yield "token_embd", outer, (dim, s["vocab"])
    yield "output_norm", "F32", (dim,)
    if not s["tied"]:
        yield "output", outer, (dim, s["vocab"])
    for i in range(s["layers"]):
        b = f"blk.{i}."
        yield b + "attn_norm", "F32", (dim,)
        yield b + "attn_q", chosen, (dim, width)
        yield b + "attn_k", chosen, (dim, kv_width)
        yield b + "attn_v", chosen, (dim, kv_width)
        yield b + "attn_output", chosen, (width, dim)
        if s["arch"].startswith("qwen3"):
            yield b + "attn_q_norm", "F32", (s["head_dim"],)
            yield b + "attn_k_norm", "F32", (s["head_dim"],)
        yield b + "ffn_norm", "F32", (dim,)
        if "experts" in s:
            yield b + "ffn_gate_inp", "F32", (dim, s["experts"])
            yield b + "ffn_gate_exps", chosen, (dim, s["expert_ff"], s["experts"])
            yield b + "ffn_up_exps", chosen, (dim, s["expert_ff"], s["experts"])
            yield b + "ffn_down_exps", chosen, (s["expert_ff"], dim, s["experts"])
        else:
            yield b + "ffn_gate", chosen, (dim, ff)
            yield b + "ffn_up", chosen, (dim, ff)
            yield b + "ffn_down", chosen, (ff, dim)


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def pair(key, value):
    if isinstance(value, str):
        return string(key) + struct.pack("<I", 8) + string(value)
    return string(key) + struct.pack("<If" if isinstance(value, float) else "<II", 6 if isinstance(value, float) else 4, value)


def count(shape):
    n = 1
    for extent in shape:
        n *= extent
    return n


def n_bytes(kind, shape):
    return count(shape) * 4 if kind == "F32" else count(shape) // FORMATS[kind][1] * len(FORMATS[kind][2](random.Random(0)))


def padding(n):
    return -n % ALIGNMENT


class Weights:
    """Endless random blocks of a format, from a pool that is passed over again and again."""

    def __init__(self, kind, generator):
        make = FORMATS[kind][2]
        self.pool, self.at = b"".join(make(generator) for _ in range(POOL_BLOCKS)), 0

    def write(self, f, n):
        while n:
            part = self.pool[self.at:self.at + n]
            f.write(part)
            n -= len(part)
            self.at = (self.at + len(part)) % len(self.pool)


def write(f, name, chosen):
    shape_of, generator, pools, offset = SHAPES[name], random.Random(1), {}, 0
    listed = list(tensors(shape_of, chosen))
    pairs = metadata(name, shape_of)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(pairs)) + b"".join(pair(k, v) for k, v in pairs)
    for tensor, kind, shape in listed:
        head += string(tensor + ".weight") + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", F32 if kind == "F32" else FORMATS[kind][0], offset)
        offset += n_bytes(kind, shape) + padding(n_bytes(kind, shape))
    f.write(head + bytes(padding(len(head))))
    for tensor, kind, shape in listed:
        n = n_bytes(kind, shape)
        if kind == "F32":
            mean, spread = (1.0, 0.1) if len(shape) == 1 else (0.0, 0.04)
            values = [generator.gauss(mean, spread) for _ in range(count(shape))]
            f.write(struct.pack(f"<{len(values)}f", *values))
        else:
            if kind not in pools:
                pools[kind] = Weights(kind, generator)
            pools[kind].write(f, n)
        f.write(bytes(padding(n)))


def main(arguments):
    if arguments == ["--list"]:
        print("shapes: ", *SHAPES, "\nformats:", *FORMATS)
        return 0
    if len(arguments) != 3 or arguments[0] not in SHAPES or arguments[1] not in FORMATS:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    with open(arguments[2], "wb") as f:
        write(f, arguments[0], arguments[1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
