#!/usr/bin/env python3
"""How fast Socle trains, and in how much memory, beside PyTorch on the same machine.

usage: bench/train.py [--program build/socle] [--python PYTHON_WITH_TORCH] [--shapes 15m,124m] [--rounds 3]
                      [--lora MODEL.gguf] [--threads N] [--json FILE]

The same shape of model, batch, context and optimizer (AdamW in F32, gradients clipped), in turn: each round runs
PyTorch, then Socle, each in a fresh process for a few steps; the first step of each, which touches memory for the first
time, does not count. Shown are medians over rounds of tokens a second, the median of the rounds' ratios, and the most
memory that each process ever had. Without --python, or where it has no torch, Socle is measured alone.

--lora trains an adapter on a model of the given file (bench/make_model.py makes one of any shape) and says what it
takes, where the time goes, and how near the products of floats come to the processor's peak.
"""
import argparse
import json
import os
import random
import resource
import statistics
import struct
import subprocess
import sys
import tempfile

# layers, width, heads, feed-forward, vocabulary, windows
SHAPES = {"15m": (6, 288, 6, 768, 32000, 4), "124m": (12, 768, 12, 2048, 50257, 4)}
CONTEXT = 512


def text(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


def write_vocabulary(path, n):
    """A byte-level vocabulary of n tokens without merges: speed does not depend on which tokens come."""
    letters = [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255 else None for b in range(256)]
    more = iter(range(256, 512))
    letters = [c or chr(next(more)) for c in letters]
    tokens = ["<|endoftext|>"] + letters + ["unused%d" % i for i in range(n - 257)]
    types = [3] + [1] * 256 + [4] * (n - 257)
    values = [("general.name", 8, text("vocabulary")), ("tokenizer.ggml.model", 8, text("gpt2")),
              ("tokenizer.ggml.pre", 8, text("gpt-2")),
              ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, n) + b"".join(map(text, tokens))),
              ("tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, n) + struct.pack("<%di" % n, *types)),
              ("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 0)),
              ("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 0)),
              ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 0))]
    with open(path, "wb") as f:
        f.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, len(values)))
        for key, kind, value in values:
            f.write(text(key) + struct.pack("<I", kind) + value)


def run(command):
    """Standard output of a command, and the most memory that it had."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    if process.returncode:
        sys.exit("%s: %s" % (" ".join(command), err.strip()))
    return out, max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024


def peak_of(command):
    """The same in a process of its own, so that peaks do not mix."""
    code = ("import resource,subprocess,sys;p=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,text=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss*1024);print(p.stdout,end='');"
            "sys.exit(p.returncode)")
    out, _ = run([sys.executable, "-c", code] + command)
    peak, _, rest = out.partition("\n")
    return rest, int(peak)


def socle_rate(o, shape, folder):
    layers, width, heads, feed_forward, vocabulary, windows = SHAPES[shape]
    out = os.path.join(folder, "run")
    subprocess.run(["rm", "-rf", out], check=True)
    command = [o.program, "train", "--tokenizer", os.path.join(folder, "vocabulary.gguf"), "--data",
               os.path.join(folder, "data.txt"), "--layers", layers, "--width", width, "--heads", heads,
               "--feed-forward", feed_forward, "--context", CONTEXT, "--batch", windows, "--steps", o.steps,
               "--save-every", 0, "--threads", o.threads, "--out", out]
    _, peak = peak_of([str(x) for x in command])
    steps = [json.loads(line) for line in open(os.path.join(out, "log.jsonl"))]
    steps = [s for s in steps if "loss" in s]
    rates = [(b["tokens"] - a["tokens"]) / (b["seconds"] - a["seconds"]) for a, b in zip(steps, steps[1:])]
    return statistics.median(rates), peak


def torch_rate(o, shape):
    layers, width, heads, feed_forward, vocabulary, windows = SHAPES[shape]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "train_torch.py")
    command = [o.python, script, layers, width, heads, feed_forward, vocabulary, windows, CONTEXT, o.steps, o.threads]
    out, _ = run([str(x) for x in command])
    steps = [json.loads(line) for line in out.splitlines()][1:]
    return statistics.median(windows * CONTEXT / s["seconds"] for s in steps), max(s["peak"] for s in steps)


def compare(o, shape):
    result = {"shape": shape, "socle": [], "torch": [], "socle_peak": 0, "torch_peak": 0}
    with tempfile.TemporaryDirectory() as folder:
        write_vocabulary(os.path.join(folder, "vocabulary.gguf"), SHAPES[shape][4])
        r = random.Random(1)
        with open(os.path.join(folder, "data.txt"), "w") as f:
            for _ in range(4000):
                f.write("".join(r.choice("abcdefghijklmnop ") for _ in range(200)) + "\n")
        for _ in range(o.rounds):
            if o.python:
                rate, peak = torch_rate(o, shape)
                result["torch"].append(rate)
                result["torch_peak"] = max(result["torch_peak"], peak)
            rate, peak = socle_rate(o, shape, folder)
            result["socle"].append(rate)
            result["socle_peak"] = max(result["socle_peak"], peak)
    return result


def show(results):
    print("| shape | Socle, tokens/s | PyTorch | ratio | Socle, memory | PyTorch | ratio |")
    print("|---|---|---|---|---|---|---|")
    for r in results:
        mine, peak = statistics.median(r["socle"]), r["socle_peak"] / 2**20
        if not r["torch"]:
            print("| %s | %.0f | | | %.0f MiB | | |" % (r["shape"], mine, peak))
            continue
        ratio = statistics.median(a / b for a, b in zip(r["socle"], r["torch"]))
        other = r["torch_peak"] / 2**20
        print("| %s | %.0f | %.0f | %.2f | %.0f MiB | %.0f MiB | %.2f |" %
              (r["shape"], mine, statistics.median(r["torch"]), ratio, peak, other, peak / other))


def lora(o):
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data.txt")
        with open(data, "w") as f:
            f.write("Once upon a time there was a king who had a daughter.\n" * 4000)
        command = [o.program, "finetune", "-m", o.lora, "--data", data, "--format", "text", "-o",
                   os.path.join(folder, "run"), "--context", CONTEXT, "--batch", 1, "--accumulate", 1, "--steps", 2,
                   "--threads", o.threads, "--dry-run", "--json"]
        out, peak = peak_of([str(x) for x in command])
    result = json.loads(out)
    result["peak"] = peak
    limits = json.loads(subprocess.run([o.program, "doctor", "--json"], stdout=subprocess.PIPE, text=True).stdout or "{}")
    floats = [p for p in result["parts"] if p["f32"] and p["macs"]]
    seconds = sum(p["seconds"] for p in result["parts"])
    print("\nAn adapter on %s, %d tokens a step: %.2f s, %.0f tokens/s, at most %.0f MiB" %
          (os.path.basename(o.lora), result["tokens_per_step"], result["seconds_per_step"],
           result["tokens_per_second"], peak / 2**20))
    peak_macs = o.peak * 1e9 if o.peak else (limits.get("f32_macs_per_second") or 0)
    for p in sorted(result["parts"], key=lambda p: -p["seconds"]):
        if p["seconds"] < 0.01 * seconds:
            continue
        rate = p["macs"] / p["seconds"] if p["macs"] else 0
        share = ", %.0f %% of the peak" % (100 * rate / peak_macs) if peak_macs and p["f32"] and rate else ""
        print("  %4.1f %%  %s%s%s%s" % (100 * p["seconds"] / seconds, p["op"], " backwards" if p["backward"] else "",
                                       ": %.0f GMAC/s" % (rate * 1e-9) if rate else "", share))
    print("  products of floats: %.0f %% of the time" % (100 * sum(p["seconds"] for p in floats) / seconds))
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/socle")
    p.add_argument("--python", help="a Python that has torch")
    p.add_argument("--shapes", default="15m,124m")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=4, help="of each run; the first does not count")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--lora", metavar="MODEL.gguf")
    p.add_argument("--peak", type=float, help="GMAC/s of floats that the processor can do ('socle bench --ops' says)")
    p.add_argument("--json", metavar="FILE")
    o = p.parse_args()
    results = {"shapes": [compare(o, shape) for shape in o.shapes.split(",") if shape]}
    if results["shapes"]:
        show(results["shapes"])
    if o.lora:
        results["lora"] = lora(o)
    if o.json:
        json.dump(results, open(o.json, "w"), indent=2)


if __name__ == "__main__":
    main()
