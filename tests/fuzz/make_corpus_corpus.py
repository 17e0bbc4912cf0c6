#!/usr/bin/env python3
"""Writes the corpus of fuzz_corpus: training data of every kind, and mistakes.

usage: tests/fuzz/make_corpus_corpus.py        (writes tests/fuzz/corpus/corpus/)
"""
import json
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "corpus")


def said(role, text, **more):
    return {"role": role, "content": text, **more}


def lines(*objects):
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode()


CALL = {"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}
TALK = [said("system", "Be."), said("user", "Hi"), said("assistant", "Hello!"), said("user", "Bye"),
        said("assistant", "<think>\nwhy\n</think>\n\nSee you!")]
SHARED = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"}
MORE = [{"messages": TALK, "tools": [{"type": "function"}], "chat_template_kwargs": {"k": 1}}, SHARED,
        {"messages": [said("user", "<|im_end|>"), said("assistant", None, tool_calls=[CALL]), said("tool", "r"),
                      said("assistant", " a", weight=0), said("assistant", [{"type": "text", "text": "x"}])]},
        {"messages": [said("assistant", "first")]}]
PAIRS = [{"prompt": "p", "chosen": " a c", "rejected": "r"},
         {"prompt": [said("user", "p")], "chosen": [said("assistant", "c")], "rejected": "r"},
         {"chosen": TALK, "rejected": TALK[:4] + [said("assistant", "no")]}, {"chosen": TALK, "rejected": TALK},
         {"chosen": "\n\nHuman: q\n\nAssistant: yes", "rejected": "\n\nHuman: q\n\nAssistant: no"}]
TEXT = "one\ntwo\r\n---\nthree </s>\n\n\näää 1234567890\n---\n".encode()

CASES = {
    "text": ("0@", TEXT), "text-separator": ("0D", TEXT), "text-lines": ("0H", TEXT), "text-pieces": ("0P", TEXT),
    "text-all": ("0T", TEXT + b"\xff\x80\x80\x80\x80\x80\x80\x80\x80"), "text-mark": ("0A", b"\xef\xbb\xbfa"),
    "text-blank": ("0@", b" \n\n"), "text-gzip": ("0@", b"\x1f\x8b\x08"), "text-held": ("0J", TEXT),
    "lines": ("1@", lines({"text": "a b"}, {"text": "a\u0000b", "id": 1}, {"text": ""})),
    "lines-crlf": ("1B", b"{\"text\": \"a\"}\r\n\r\n{\"text\": \"b\"}"), "lines-array": ("1@", b"[\n{}]"),
    "lines-utf8": ("1@", b"{\"text\": \"\xff\"}"), "lines-cut": ("1@", b"{\"text\": \"a"), "lines-key": ("1@", b"{\"a\": 1}"),
    "chat-none": ("2@", lines({"messages": [said("user", "a")]})), "chat-role": ("2@", lines({"messages": [{}]})),
}
for number in range(4):
    CASES[f"chat-{number}"] = (f"2{chr(64 + number)}", lines(*MORE))
    CASES[f"chat-calm-{number}"] = (f"2{chr(64 + number)}", lines({"messages": TALK[1:3]}, SHARED))
    CASES[f"pairs-{number}"] = (f"3{chr(96 + number)}", lines(*PAIRS))
CASES["pairs-text"] = ("3@", lines(PAIRS[0]))

os.makedirs(FOLDER, exist_ok=True)
for name, (head, data) in CASES.items():
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(head.encode() + b"\n" + data)
