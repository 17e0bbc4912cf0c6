#!/usr/bin/env python3
"""Writes the seeds of fuzz_gguf into tests/fuzz/corpus/gguf: small valid files, together every value type and tensor
format, and a few that are nearly valid. Only the standard library is needed; the files depend on nothing but this text.

    python3 tests/fuzz/make_gguf_corpus.py
"""
import pathlib
import random
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "gguf"
PACKS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY, U32 = 8, 9, 4
# Number, elements and bytes of a block.
FORMATS = [(0, 1, 4), (1, 1, 2), (30, 1, 2), (8, 32, 34), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24),
           (10, 256, 84), (11, 256, 110), (12, 256, 144), (13, 256, 176), (14, 256, 210), (20, 32, 18),
           (23, 256, 136), (39, 32, 17), (35, 256, 66)]


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def scalar(kind, value):
    return text(value) if kind == STRING else struct.pack("<" + PACKS[kind], value)


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + scalar(kind, value)


def array(key, kind, values):
    head = text(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(scalar(kind, value) for value in values)


def gguf(pairs, tensors, version=3, alignment=32):
    """tensors: (name, shape, format, bytes)"""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs)
    offset, data = 0, b""
    for name, shape, number, content in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        out += struct.pack("<IQ", number, len(data))
        data += content + b"\0" * (-len(content) % alignment)
    return out + b"\0" * (-len(out) % alignment) + data


def main():
    rng = random.Random(1)
    every_type = [pair(f"v.{kind}", kind, 1) for kind in PACKS] + [pair("v.text", STRING, "naïve\0text")]
    arrays = [array(f"a.{kind}", kind, [0, 1, 1]) for kind in PACKS] + [array("a.text", STRING, ["", "one", "two"])]
    small = [("w", [4, 2], 0, rng.randbytes(32)), ("b", [4], 1, rng.randbytes(8))]
    files = {
        "empty": gguf([], []),
        "version-2": gguf([pair("general.architecture", STRING, "llama")], small, version=2),
        "every-type": gguf(every_type, []),
        "every-array": gguf(arrays + [array("a.none", U32, [])], []),
        "aligned-8": gguf([pair("general.alignment", U32, 8)], small, alignment=8),
        "aligned-64": gguf([pair("general.alignment", U32, 64)], small, alignment=64),
        "shard": gguf([pair("split.no", 2, 0), pair("split.count", 2, 2), pair("split.tensors.count", 5, 2)], small),
        "four-dims": gguf([], [("x", [2, 3, 2, 2], 0, rng.randbytes(96))]),
        "duplicate-key": gguf([pair("k", U32, 1), pair("k", U32, 2)], []),
        "nested-array": gguf([text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1)], []),
        "cut": gguf([], small)[:-40],
    }
    for number, block, n_bytes in FORMATS:
        files[f"format-{number:02}"] = gguf([], [("w", [2 * block, 2], number, rng.randbytes(4 * n_bytes))])
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


main()
