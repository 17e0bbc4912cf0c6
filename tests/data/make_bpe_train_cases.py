#!/usr/bin/env python3
"""Makes bpe_train_cases.json: what Hugging Face's BpeTrainer makes of small texts.

src/text/bpe_train.h must find the same merges in the same order, and write the texts in as many tokens. Needs the
tokenizers library (pip install tokenizers).

    python3 make_bpe_train_cases.py > bpe_train_cases.json
"""
import json

from tokenizers import Tokenizer, models, normalizers, trainers
from tokenizers import pre_tokenizers as P

from make_pretokenize_cases import PRETOKENIZERS

TALE = [
    "Once upon a time there was a poor woodcutter who lived with his wife and his two children at the edge of a great "
    "forest. The boy was called Hansel and the girl was called Gretel. They had little to bite and less to break.\n\n",
    "\"What is to become of us?\" said the wife. \"How are we to feed our poor children, when we've nothing left for "
    "ourselves?\" - \"I'll tell you what, husband,\" she'd say, \"early tomorrow we'll take the children out...\"\n",
    "Then they went on, and on, and on; and when they had gone on for a while they came to a little house, and the "
    "little house was made of bread, and the roof was made of cakes.\r\n\r\n\tThe end.   \n",
]
SCRIPTS = [
    "Жил-был царь, и было у царя три сына. Старший сын пошёл в лес, средний сын пошёл в поле, а младший — в город.\n",
    "Es war einmal ein König, der hatte drei Söhne. Die Söhne des Königs gingen über die Brücke, über die Straße.\n",
    "从前有一个国王，国王有三个儿子。大儿子去了森林，二儿子去了田野，小儿子去了城里。\n",
    "むかしむかし、あるところに、おじいさんとおばあさんがいました。おじいさんは山へ、おばあさんは川へ行きました。\n",
    "كان يا ما كان في قديم الزمان ملك وله ثلاثة أبناء. ذهب الابن الأكبر إلى الغابة وذهب الابن الأوسط إلى الحقل.\n",
    "एक समय की बात है, एक राजा था। राजा के तीन बेटे थे। बड़ा बेटा जंगल में गया, छोटा बेटा नगर में गया।\n",
    "옛날 옛적에 임금님이 살았습니다. 임금님에게는 아들이 셋 있었습니다. 큰아들은 숲으로 갔습니다.\n",
    "Μια φορά κι έναν καιρό ήταν ένας βασιλιάς που είχε τρεις γιους. Ο βασιλιάς είπε στους γιους του.\n",
    "🦊🐻🦊 👩‍👩‍👧 é e\u0301 \u00bd \u2026 naïve façade \u2028\u00a0 x\u0000y\u0000y\n",
]
CODE = [
    "for (int i = 0; i < 100; i++) {\n    if (a[i] != b[i]) return -1;\n    sum += a[i] * b[i];\n}\n",
    "2024-01-15 12:00:00 1234567 7654321 1234 1234 3.14159 0x7fff 0xffff ---- ==== ________\n",
    "def f(x):\n\treturn x ** 2  # ########\n\n\n\nprint(f(10000), f(100000000))\n",
]
RUNS = ["aaaaaaaaaaaaaaaaaaaaa aaaaa aaa aa", "abababababab babababa", "aabaabaabaab", "xyzzyxyzzyxyzzy zzzz zzzzz"]
TIES = ["ab cd ef gh ij", "cd ab gh ef ij", "ba dc", "éa aé", "zyx xyz yzx"]

# name, texts, tokens wanted, pre-tokenizer, min_count, max_token_bytes, special tokens
CASES = [
    ("a tale", TALE, 500, "gpt-2", 2, 0, ["<|endoftext|>"]),
    ("a tale, pairs that occur once, too", TALE, 10000, "gpt-2", 1, 0, []),
    ("many scripts", SCRIPTS, 600, "gpt-2", 2, 0, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
    ("many scripts, by Llama's words", SCRIPTS, 10000, "llama-bpe", 3, 0, []),
    ("many scripts, composed", SCRIPTS, 10000, "qwen2", 2, 0, ["<|endoftext|>"]),
    ("code and digits", CODE, 10000, "gpt-2", 2, 0, []),
    ("code and digits, one by one", CODE, 10000, "starcoder", 2, 0, []),
    ("code and digits, by o200k's words", CODE, 340, "gpt-4o", 1, 0, []),
    ("runs", RUNS, 10000, "gpt-2", 1, 0, []),
    ("ties", TIES, 10000, "gpt-2", 1, 0, ["<s>"]),
    ("short tokens", TALE + CODE, 10000, "gpt-2", 2, 3, []),
    ("everything", TALE + SCRIPTS + CODE + RUNS + TIES, 900, "gpt-2", 2, 0, ["<|endoftext|>"]),
    ("nothing", [""], 10000, "gpt-2", 1, 0, ["<|endoftext|>"]),
    ("single letters", ["a b c", "a", " "], 10000, "gpt-2", 2, 0, []),
]


def train(texts, wanted, pre, min_count, max_token_bytes, special):
    tokenizer = Tokenizer(models.BPE())
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = P.Sequence(
        PRETOKENIZERS[pre] + [P.ByteLevel(add_prefix_space=False, use_regex=False)])
    # Their longest token is one shorter than they say.
    trainer = trainers.BpeTrainer(
        vocab_size=wanted, min_frequency=min_count, special_tokens=special, show_progress=False,
        initial_alphabet=P.ByteLevel.alphabet(), max_token_length=max_token_bytes + 1 if max_token_bytes else None)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main():
    rows = []
    for name, texts, wanted, pre, min_count, max_token_bytes, special in CASES:
        tokenizer = train(texts, wanted, pre, min_count, max_token_bytes, special)
        merges = [pair if isinstance(pair, str) else " ".join(pair)
                  for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
        rows.append({
            "name": name, "texts": texts, "pre": pre, "min_count": min_count, "max_token_bytes": max_token_bytes,
            "special": special, "n_tokens": tokenizer.get_vocab_size(),
            "n_text_tokens": sum(len(tokenizer.encode(text).ids) for text in texts), "merges": merges,
        })
    print("[")
    print(",\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    print("]")


main()
