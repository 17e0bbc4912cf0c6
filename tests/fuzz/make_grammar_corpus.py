#!/usr/bin/env python3
"""Writes corpus/grammar: the schemas of ../data/schema_cases.json with their texts, grammars and regular expressions."""
import json
import pathlib

here = pathlib.Path(__file__).parent
folder = here / "corpus" / "grammar"
folder.mkdir(parents=True, exist_ok=True)
rows = json.loads((here / "../data/schema_cases.json").read_text(encoding="utf-8"))
for i, row in enumerate(rows):
    schema = json.dumps(row["schema"], ensure_ascii=False, separators=(",", ":"))
    (folder / f"schema-{i:02}").write_bytes(f"2{schema}\0{row['valid'][0]}".encode())
grammars = [
    ('root ::= "a" | "b"', "b"),
    ('root ::= list\nlist ::= "[" (item ("," item)*)? "]"\nitem ::= list | [0-9]+\n', "[1,[2,[]]]"),
    ('root ::= "<|tool|>" %json {"type":"object","properties":{"x":{"type":"integer"}}}', '<|tool|>{"x": 5}'),
    ('root ::= a | b\na ::= "x" a "1" | "x"\nb ::= "x" b "2" | "x"', "xxx22"),
    ('root ::= root "a" | "a"', "aa"),
    ("root ::= n root | .{2,5} [^a-z\\]\\-]\nn ::= \"\" | \"(\" n \")\" # nothing", "(())é1"),
    ('root ::= (("a"{0,30}){0,30}){0,30}', "aaaa"),
]
for i, (grammar, text) in enumerate(grammars):
    (folder / f"gbnf-{i}").write_bytes(f"0{grammar}\0{text}".encode())
patterns = [
    (r"(a|b)*abb", "aabb"), (r"^[\w-]{1,9}@[a-z]+\.(com|org)$", "a-b@c.org"), (r"(?<y>\d{4})-\d\d|\p{Lu}+", "2024-01"),
    (r"(a|b)*a(a|b){18}", "abab"), (r"[^\S\n]\x41\u00e9\u{1F600}?.*?", " Aé"), (r"(a$)b", "ab"), (r"((a*)*)*b", "aab"),
]
for i, (pattern, text) in enumerate(patterns):
    (folder / f"regex-{i}").write_bytes(f"1{pattern}\0{text}".encode())
