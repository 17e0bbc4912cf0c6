#!/usr/bin/env python3
"""Writes format_cases.txt: blocks of every format and the floats that gguf-py (PyPI: gguf, numpy) decodes them to.

    python3 tests/data/make_format_cases.py > tests/data/format_cases.txt

A case is two lines: the format and the block's bytes in hexadecimal; the floats' bits, eight digits each.
"""
import importlib.metadata

import gguf
import numpy as np

# Format, and the offsets of its f16 fields, which must not become infinite or NaN.
FORMATS = [
    ("F32", []), ("F16", [0]), ("BF16", []),
    ("Q8_0", [0]), ("Q4_0", [0]), ("Q4_1", [0, 2]), ("Q5_0", [0]), ("Q5_1", [0, 2]),
    ("Q2_K", [80, 82]), ("Q3_K", [108]), ("Q4_K", [0, 2]), ("Q5_K", [0, 2]), ("Q6_K", [208]),
    ("IQ4_NL", [0]), ("IQ4_XS", [0]), ("MXFP4", []), ("TQ2_0", [64]),
]


def set_half(block, at, value):
    block[at : at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)


def make_blocks(name, halves, rng):
    kind = gguf.GGMLQuantizationType[name]
    n_bytes = gguf.GGML_QUANT_SIZES[kind][1]
    blocks = [rng.integers(0, 256, n_bytes, dtype=np.uint8) for _ in range(2)] + [np.full(n_bytes, 0xFF, np.uint8)]
    for i, block in enumerate(blocks):
        for at in halves:
            # An ordinary scale, a small negative one (subnormal in f16), the largest.
            set_half(block, at, [rng.uniform(0.001, 0.1), -rng.uniform(1e-7, 6e-5), 65504.0][i])
    if name == "MXFP4":  # the exponents where scales are subnormal, and both sides of that edge
        for e in (0, 1, 2, 127, 254, 255):
            block = rng.integers(0, 256, n_bytes, dtype=np.uint8)
            block[0] = e
            blocks.append(block)
    if name == "F32":
        blocks[2] = np.frombuffer(np.float32(-0.0).tobytes(), np.uint8)
    if name == "BF16":
        blocks[2] = np.frombuffer(np.uint16(0x8001).tobytes(), np.uint8)
    return kind, blocks


def main():
    print("# Made by make_format_cases.py with gguf-py", importlib.metadata.version("gguf"))
    for seed, (name, halves) in enumerate(FORMATS):
        kind, blocks = make_blocks(name, halves, np.random.default_rng(seed))
        for block in blocks:
            values = gguf.quants.dequantize(block.copy(), kind).astype(np.float32)
            print(name, block.tobytes().hex())
            print("".join(f"{bits:08x}" for bits in values.view(np.uint32)))


main()
