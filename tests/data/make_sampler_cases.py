#!/usr/bin/env python3
"""Makes sampler_cases.json: which tokens a sampling setting leaves, and with what probabilities.

Everything is computed in numpy's float64 from the definitions of the samplers, in their documented order: bias,
penalties, DRY, top-k, typical, top-p, min-p, temperature. DRY's repetitions are found by comparing, not by any clever
algorithm. A case whose cuts are closer than 1e-5 to going the other way is drawn again, so that rounding to binary32
on the way cannot matter. `cumulative` belongs to `kept`, best first, ties by id.

    python3 make_sampler_cases.py > sampler_cases.json        (pip install numpy)
"""
import json

import numpy as np

OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0,
       "frequency_penalty": 0.0, "presence_penalty": 0.0, "penalty_last_n": 0, "dry_multiplier": 0.0, "dry_base": 1.75,
       "dry_allowed_length": 2}
MARGIN = 1e-5


class Close(Exception):
    """A decision that rounding might turn."""


def decided(a, b):
    if abs(a - b) < MARGIN:
        raise Close
    return a > b


def penalized(logits, history, s):
    recent = history[-s["penalty_last_n"]:] if s["penalty_last_n"] else history
    for token in set(recent):
        x = logits[token]
        x = x / s["repetition_penalty"] if x > 0 else x * s["repetition_penalty"]
        logits[token] = x - recent.count(token) * s["frequency_penalty"] - s["presence_penalty"]


def dry(logits, history, s, breakers):
    """For each earlier place, how long the text before it is the text's end; the token there would go on with it."""
    longest = {}
    n = len(history)
    for place in range(1, n):
        length = 0
        while (length < place and history[place - 1 - length] == history[n - 1 - length]
               and history[n - 1 - length] not in breakers):
            length += 1
        if length >= max(s["dry_allowed_length"], 1):
            token = history[place]
            longest[token] = max(longest.get(token, 0), length)
    for token, length in longest.items():
        logits[token] -= s["dry_multiplier"] * s["dry_base"] ** (length - s["dry_allowed_length"])


def probabilities(logits, temperature=1.0):
    e = np.exp((logits - logits.max()) / temperature)
    return e / e.sum()


def kept_tokens(logits, s):
    order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    for a, b in zip(order, order[1:]):
        if logits[a] != logits[b]:
            decided(logits[a], logits[b])
    if s["temperature"] == 0:
        return order[:1]
    if s["top_k"]:
        order = order[:s["top_k"]]
    if s["typical_p"] < 1 and len(order) > 1:
        p = probabilities(logits[order])
        entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
        distance = np.abs(-np.log(p) - entropy)
        by_distance = sorted(range(len(order)), key=lambda i: (distance[i], i))
        for a, b in zip(by_distance, by_distance[1:]):
            if logits[order[a]] != logits[order[b]]:
                decided(distance[b], distance[a])
        total, n = 0.0, 0
        while n == 0 or (n < len(order) and decided(s["typical_p"], total)):
            total += p[by_distance[n]]
            n += 1
        order = [order[i] for i in sorted(by_distance[:n])]
    if s["top_p"] < 1 and len(order) > 1:
        p = probabilities(logits[order])
        n = 1
        while n < len(order) and decided(s["top_p"], p[:n].sum()):
            n += 1
        order = order[:n]
    if s["min_p"] > 0 and len(order) > 1:
        p = probabilities(logits[order])
        order = [t for t, q in zip(order, p) if t == order[0] or decided(q, s["min_p"] * p[0])]
    return order


def make(rng, name, changes, n_vocab=12, n_history=0, alphabet=None, breakers=(), bias=()):
    s = dict(OFF, **changes)
    while True:
        # Multiples of 1/64: exact in binary32, and equal ones are likely.
        logits = np.round(rng.normal(0, 2.0, n_vocab) * 64) / 64
        history = [int(t) for t in rng.integers(0, alphabet or n_vocab, n_history)]
        changed = logits.copy()
        for token, value in bias:
            changed[token] += value
        penalized(changed, history, s)
        if s["dry_multiplier"]:
            dry(changed, history, s, breakers)
        try:
            kept = kept_tokens(changed, s)
        except Close:
            continue
        p = probabilities(changed[kept], s["temperature"] or 1.0)
        return {"name": name, "sampling": s, "logits": logits.tolist(), "history": history, "breakers": list(breakers),
                "bias": [list(b) for b in bias], "kept": kept, "cumulative": np.cumsum(p).round(12).tolist()}


def main():
    rng = np.random.default_rng(20240607)
    cases = []

    def add(name, changes, **more):
        cases.append(make(rng, name, changes, **more))

    add("everything off", {})
    for t in (0.0, 0.05, 0.5, 2.0, 50.0):
        add(f"temperature {t}", {"temperature": t})
    for k in (1, 2, 5, 11, 12, 40):
        add(f"top-k {k}", {"top_k": k})
    for p in (0.0, 0.1, 0.5, 0.8, 0.95, 0.999):
        add(f"top-p {p}", {"top_p": p})
        add(f"top-p {p}, many tokens, temperature 2", {"top_p": p, "temperature": 2.0}, n_vocab=200)
    for p in (0.01, 0.05, 0.3, 0.9):
        add(f"min-p {p}", {"min_p": p})
        add(f"min-p {p}, many tokens, temperature 0.7", {"min_p": p, "temperature": 0.7}, n_vocab=200)
    for p in (0.05, 0.2, 0.5, 0.9, 0.99):
        add(f"typical {p}", {"typical_p": p})
        add(f"typical {p}, then top-p and min-p", {"typical_p": p, "top_p": 0.9, "min_p": 0.02, "top_k": 30}, n_vocab=60)
    for r in (1.3, 0.8):
        add(f"repetition {r}", {"repetition_penalty": r}, n_history=9)
    add("frequency 0.4", {"frequency_penalty": 0.4}, n_history=30)
    add("frequency -0.4", {"frequency_penalty": -0.4}, n_history=30)
    add("presence 1.5", {"presence_penalty": 1.5}, n_history=6)
    add("all penalties on the last 5", {"repetition_penalty": 1.2, "frequency_penalty": 0.5, "presence_penalty": 0.7,
                                        "penalty_last_n": 5}, n_history=20)
    add("penalties that look back further than there is", {"presence_penalty": 2.0, "penalty_last_n": 64}, n_history=3)
    for i, (length, base, allowed) in enumerate([(12, 1.75, 2), (30, 1.1, 1), (30, 2.0, 0), (60, 1.3, 3), (200, 1.05, 2)]):
        dry_settings = {"dry_multiplier": 0.8, "dry_base": base, "dry_allowed_length": allowed}
        add(f"DRY {i}", dry_settings, n_history=length, alphabet=3)
        add(f"DRY {i} with breakers", dry_settings, n_history=length, alphabet=4, breakers=[1])
    add("bias", {"top_k": 3}, bias=[(4, 3.0), (7, -100.0), (4, 0.5)])
    everything = {"temperature": 1.3, "top_k": 20, "top_p": 0.9, "min_p": 0.03, "typical_p": 0.95,
                  "repetition_penalty": 1.1, "frequency_penalty": 0.1, "presence_penalty": 0.2, "penalty_last_n": 32,
                  "dry_multiplier": 0.5, "dry_base": 1.4, "dry_allowed_length": 2}
    for i in range(4):
        add(f"all together {i}", everything, n_vocab=50, n_history=100, alphabet=5, breakers=[3], bias=[(1, 1.5)])
    print("[")
    print(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases))
    print("]")


main()
