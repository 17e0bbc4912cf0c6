#!/usr/bin/env python3
"""Writes corpus/template: what renders of ../data/jinja_cases.json, many cases to a file, and an eighth of what fails."""
import json
import pathlib

here = pathlib.Path(__file__).parent
folder = here / "corpus" / "template"
folder.mkdir(parents=True, exist_ok=True)
cases = json.loads((here / "../data/jinja_cases.json").read_text(encoding="utf-8"))
inputs = json.dumps(cases["inputs"], ensure_ascii=False, separators=(",", ":"))
good = [c["template"] for c in cases["cases"] if "output" in c]
bad = [c["template"] for c in cases["cases"] if "output" not in c]
for i in range(0, len(good), 25):
    (folder / f"good-{i // 25:02}").write_bytes(("\n".join(good[i : i + 25]) + "\0" + inputs).encode())
for i in range(0, len(bad), 8):
    (folder / f"bad-{i // 8:02}").write_bytes((bad[i] + "\0" + inputs).encode())
whole = [t for t in good if "{%" in t]
for i in range(0, len(whole), 6):
    (folder / f"tags-{i // 6:02}").write_bytes("".join(whole[i : i + 6]).encode())
