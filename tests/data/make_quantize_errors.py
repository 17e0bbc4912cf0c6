#!/usr/bin/env python3
"""Writes quantize_errors.txt: the errors that llama.cpp's encoders leave on data that the tests can make, too.

    python3 tests/data/make_quantize_errors.py > tests/data/quantize_errors.txt

Asks ggml's own library, which the PyPI package llama-cpp-python brings; decodes by gguf-py (PyPI: gguf, numpy).
A line is: format, kind of data, relative root-mean-square error without importances, and with them the same weighted by
them. The data are those of tests/test_quantize.c: splitmix64, sums of four 16-bit numbers, exact in binary32.
"""
import ctypes
import glob
import importlib.metadata
import os
import sys

import gguf
import numpy as np

FORMATS = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
ROWS, WIDTH = 16, 1024


def random_words(seed, n):
    """The upper halves of n outputs of splitmix64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))) >> np.uint64(32)


def make_data(kind):
    n = ROWS * WIDTH
    words = random_words(1, 3 * n).reshape(n, 3).astype(np.int64)
    total = (words[:, :2] & 0xFFFF).sum(1) + (words[:, :2] >> 16).sum(1) - 131070
    x = total.astype(np.float64) / 2.0**21
    if kind == "outliers":
        x = np.where(words[:, 2] % 64 == 0, 8 * x, x)
    if kind == "shifted":
        x = x + 2.0**-6
    assert np.array_equal(x, x.astype(np.float32))
    return x.astype(np.float32).reshape(ROWS, WIDTH)


def make_importances():
    return ((random_words(2, WIDTH) % 256 + 1).astype(np.float64) ** 2).astype(np.float32)


def load_ggml():
    folder = os.path.join(os.path.dirname(importlib.util.find_spec("llama_cpp").origin), "lib")
    library = ctypes.CDLL(glob.glob(os.path.join(folder, "libggml-base.so*"))[0], mode=ctypes.RTLD_GLOBAL)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    return library


def error(ggml, name, x, importances):
    kind = gguf.GGMLQuantizationType[name]
    size, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.zeros((ROWS, WIDTH // size * n_bytes), np.uint8)
    weights = importances.ctypes.data if importances is not None else None
    ggml.ggml_quantize_chunk(int(kind), x.ctypes.data, blocks.ctypes.data, 0, ROWS, WIDTH, weights)
    miss = x.astype(np.float64) - gguf.quants.dequantize(blocks, kind)
    w = importances.astype(np.float64) if importances is not None else 1.0
    return np.sqrt((w * miss**2).sum() / (w * x.astype(np.float64) ** 2).sum())


def main():
    ggml = load_ggml()
    print("# Made by make_quantize_errors.py with llama-cpp-python", importlib.metadata.version("llama-cpp-python"))
    for name in FORMATS:
        for kind in ("plain", "outliers", "shifted"):
            x = make_data(kind)
            print(name, kind, f"{error(ggml, name, x, None):.9f} {error(ggml, name, x, make_importances()):.9f}")


if __name__ == "__main__":
    sys.exit(main())
