#!/usr/bin/env python3
"""Writes hf_tokenizer_cases.json: small tokenizers of every kind that `socle convert` reads, trained here by Hugging
Face's library, each with the ids that it gives to some texts.

usage: make_hf_tokenizer_cases.py     (needs PyPI's tokenizers)"""
import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors, trainers
from tokenizers import pre_tokenizers as pre

LINES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CORPUS = """Once upon a time there was a king who had three daughters, and the youngest was the fairest of all.
"Where are you going?" said the wolf. 12 geese, 345 sheep and 2026 hens lived by the sea; it's late, we'll go.
Il était une fois un roi et une reine. Жили-были старик со старухой. 昔々あるところに
    def tell(tale):
        return tale + "\\n" * 3
""" * 3
TEXTS = ["Once upon a time", " the king's 2026 daughters", "it's  late,\n\n  we'll go!", "été e\u0301te\u0301", "12345 geese",
         "Жили-были 昔々", "<|end|>the<|end|>", "a\tb\r\nc", "😀 naïve café", "", " ", "unseen wörds Ωmega"]


def cl100k(number):
    return CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + number + r"| ?[^\s\p{L}\p{N}]+[\r\n]*" + LINES


def split(pattern):
    return pre.Sequence([pre.Split(Regex(pattern), "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(pre_tokenizer, normalizer=None, whole=False):
    t = Tokenizer(models.BPE(ignore_merges=whole))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizer
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS.splitlines(True), trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False))
    return t


def pieces(prepend):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence(([normalizers.Prepend("▁")] if prepend else []) + [normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(CORPUS.split(), trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False))
    document = json.loads(t.to_str())
    document["added_tokens"] = [a for a in document["added_tokens"] if a["content"] == "<unk>"]
    return Tokenizer.from_str(json.dumps(document))


KINDS = {
    "gpt-2": byte_level(pre.ByteLevel(add_prefix_space=False)),
    "starcoder": byte_level(pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)])),
    "llama-bpe": byte_level(split(cl100k(r"\p{N}{1,3}")), whole=True),
    "smaug-bpe": byte_level(split(cl100k(r"\p{N}{1,3}"))),
    "qwen2": byte_level(split(cl100k(r"\p{N}")), normalizers.NFC()),
    "deepseek-r1-qwen": byte_level(split(cl100k(r"\p{N}"))),
    "pieces": pieces(True),
    "pieces without a space": pieces(False),
}

cases = []
for name, tokenizer in KINDS.items():
    tokenizer.add_special_tokens(["<s>", AddedToken("<|end|>", special=True)])
    ids = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS]
    if name in ("llama-bpe", "pieces"):
        begin = tokenizer.token_to_id("<s>")
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begin)])
    cases.append({"name": name, "tokenizer": json.loads(tokenizer.to_str()), "texts": ids})
with open(Path(__file__).resolve().parent / "hf_tokenizer_cases.json", "w", encoding="utf-8") as out:
    out.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "\n]\n")
