#!/usr/bin/env python3
"""Writes corpus/answer: answers of ../data/answer_cases.json, two or three of each syntax, whole and broken off."""
import json
import pathlib

here = pathlib.Path(__file__).parent
folder = here / "corpus" / "answer"
folder.mkdir(parents=True, exist_ok=True)
cases = json.loads((here / "../data/answer_cases.json").read_text(encoding="utf-8"))["cases"]
seen = {}
for case in cases:
    name = case["syntax"] or "none"
    n = seen[name] = seen.get(name, -1) + 1
    if case["case"] not in ("two", "nested", "reasoning first") or (folder / f"{name}-{case['case']}").exists():
        continue
    file = folder / f"{name}-{case['case'].replace(' ', '-')}"
    text = case["answer"].encode()
    file.write_bytes(f"{name} {n % 4}\n".encode() + text)
    if case["case"] == "nested":
        file.with_name(f"{name}-broken").write_bytes(f"{name} 1\n".encode() + text[: len(text) * 2 // 3] + b"}<x>" + text)
