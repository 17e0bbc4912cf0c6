#!/usr/bin/env python3
"""Writes the seeds of fuzz_safetensors into tests/fuzz/corpus/safetensors: small valid files, a few that are nearly
valid, and indexes (which begin with '{'). Only the standard library is needed.

    python3 tests/fuzz/make_safetensors_corpus.py
"""
import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "safetensors"
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4,
         "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}


def file(header, n_data):
    if not isinstance(header, str):
        header = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    header = header.encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + bytes(i % 251 for i in range(n_data))


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def main():
    every, at = {}, 0
    for dtype, size in SIZES.items():
        every[dtype.lower()] = entry(dtype, [2, 3], at, at + 6 * size)
        at += 6 * size
    two = {"w": entry("F32", [2], 0, 8), "b": entry("U8", [3], 8, 11)}
    files = {
        "empty": file({}, 0),
        "every-type": file(every, at),
        "metadata": file({"__metadata__": {"format": "pt"}, "é\n/": entry("F16", [], 0, 2)}, 2),
        "no-elements": file({"x": entry("F32", [0, 3], 0, 0), "y": entry("F32", [1] * 8, 0, 4),
                             "z": entry("I8", [0], 4, 4)}, 4),
        "two": file(two, 11),
        "cut": file(two, 11)[:-2],
        "hole": file(two, 12),
        "overlap": file({**two, "b": entry("U8", [3], 7, 10)}, 11),
        "overflow": file({"w": entry("F32", [2**62, 2**62], 0, 8)}, 8),
        "dtype": file({"w": entry("F4", [2], 0, 1)}, 1),
        "duplicate": file('{"w":%s,"w":%s}' % ((json.dumps(two["w"]),) * 2), 8),
        "length": struct.pack("<Q", 2**63) + b"{}",
        "index": json.dumps({"metadata": {"total_size": 8},
                             "weight_map": {"a": "a.safetensors", "b": "a.safetensors"}}).encode(),
        "index-absent": json.dumps({"weight_map": {"c": "a.safetensors"}}).encode(),
        "index-slash": json.dumps({"weight_map": {"a": "../a.safetensors"}}).encode(),
        "index-no-file": json.dumps({"weight_map": {"a": "a.safetensors", "b": "b"}}).encode(),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


main()
