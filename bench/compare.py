#!/usr/bin/env python3
"""Measure Socle beside llama.cpp, in turn on the same files, and both beside the limits of the machine.

usage: bench/compare.py [MODEL.gguf ...] [--peer PATH] [--rounds N] [--json OUT] [--svg OUT] ...
bench/README.md explains what is measured and how to read it. Only Python's standard library is needed.
"""
import argparse
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
KINDS = ("prompt", "generate", "depth", "start")
START_TOKENS = 8
BUSY = 0.1  # a run is disturbed when other programs take more of the processors than this


def fail(message):
    sys.exit(f"compare.py: {message}")


def note(message):
    print(message, file=sys.stderr, flush=True)


# ---- running programs, with an eye on who else computes

def busy_seconds():
    """Processor seconds that anyone has used, the hypervisor's neighbours (steal) included; None where unknown."""
    try:
        with open("/proc/stat") as f:
            fields = [int(x) for x in f.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


class Run:
    """One run of a program: its output, how long it took, and what share of the processors others used meanwhile."""

    def __init__(self, command, timeout):
        busy, own, started = busy_seconds(), own_seconds(), time.monotonic()
        self.error = None
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=timeout, text=True)
            self.output = done.stdout
            if done.returncode != 0:
                self.error = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            self.error = f"not done after {timeout:.0f} s"
        except OSError as e:
            self.error = f"{command[0]}: {e.strerror}"
        self.seconds = time.monotonic() - started
        self.others = None
        if busy is not None:
            others = busy_seconds() - busy - (own_seconds() - own)
            self.others = min(1.0, max(0.0, others / self.seconds / os.cpu_count()))

    def json(self):
        try:
            return json.loads(self.output)
        except ValueError:
            self.error = "its output is not JSON"
            return None


def wait_for_quiet(seconds):
    """Waits, at most so long, until other programs leave the processors alone for two seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = busy_seconds()
        if before is None:
            return
        time.sleep(2)
        if (busy_seconds() - before) / 2 / os.cpu_count() < BUSY:
            return


# ---- the two programs: each method gives tokens a second (start: seconds) and the Run

class Socle:
    name = "socle"

    def __init__(self, options):
        self.options = options
        run = Run([options.program, "--version"], 60)
        if run.error:
            fail(f"{run.error}; `make` builds it, --program PATH names another")
        self.version = run.output.split()[1]
        self.work = {}  # (kind, depth): what a token takes

    def command(self, name, *arguments):
        cpu = ["--cpu", self.options.cpu] if self.options.cpu and name != "inspect" else []
        return [self.options.program, name, *cpu, *arguments]

    def measure(self, model, kind, depth):
        o = self.options
        if kind == "start":
            with tempfile.NamedTemporaryFile() as ids:
                ids.write(struct.pack(f"<{START_TOKENS}i", *range(1, START_TOKENS + 1)))
                ids.flush()
                run = Run(self.command("logits", "-m", model, "--tokens", ids.name, "--out", os.devnull,
                                       "-t", str(o.threads), "-c", "64"), o.timeout)
            return run.seconds, run
        n_prompt, n_generate = (o.prompt, 0) if kind == "prompt" else (0, o.generate)
        run = Run(self.command("bench", "-m", model, "-p", str(n_prompt), "-n", str(n_generate), "-d", str(depth),
                               "-r", "1", "-t", str(o.threads), "--no-limits", "--json"), o.timeout)
        result = run.json() if not run.error else None
        if not result:
            return None, run
        test = result["tests"][0]
        self.work[kind, depth] = {name: test[name] / test["n_tokens"] for name in ("bytes", "int8_macs", "f32_macs")}
        self.cpu = result["session"]["cpu"]
        return test["median"], run

    def limits(self):
        run = Run(self.command("doctor", "--json", "-t", str(self.options.threads)), 120)
        return (run.json() or {}).get("limits") if not run.error else None

    def inspect(self, model):
        run = Run(self.command("inspect", model, "--json"), 120)
        document = run.json() if not run.error else None
        if not document:
            fail(run.error)
        if "model" not in document:
            fail(f"{model}: {document.get('reason', 'not a model')}")
        return document


class LlamaCpp:
    """llama-bench, or bench/llama_cpp_bench.py in a Python that has llama-cpp-python: the same options and output."""
    name = "llama.cpp"

    def __init__(self, options, command):
        self.options, self.command, self.version = options, command, None

    def measure(self, model, kind, depth):
        o = self.options
        n_prompt, n_generate = (0, o.generate) if kind in ("generate", "depth") else (o.prompt, 0)
        more = []
        if kind == "start":
            n_prompt, more = START_TOKENS, ["--no-warmup"]
        run = Run([*self.command, "-m", model, "-p", str(n_prompt), "-n", str(n_generate), "-d", str(depth), "-r", "1",
                   "-t", str(o.threads), "-o", "json", *more, *o.peer_options.split()], o.timeout)
        result = run.json() if not run.error else None
        if not result:
            return None, run
        self.version = result[0].get("build_commit") or result[0].get("build")
        return (run.seconds if kind == "start" else result[0]["avg_ts"]), run


def find_peer(options):
    wish = options.peer
    if wish == "none":
        return None
    if wish and os.path.isdir(wish):
        wish = os.path.join(wish, "llama-bench")
    if wish and not shutil.which(wish):
        fail(f"--peer {wish}: no such program")
    if wish and os.path.basename(wish).startswith("python"):
        return LlamaCpp(options, [wish, os.path.join(HERE, "llama_cpp_bench.py")])
    found = shutil.which(wish or "llama-bench")
    if found:
        return LlamaCpp(options, [found])
    if importlib.util.find_spec("llama_cpp"):
        return LlamaCpp(options, [sys.executable, os.path.join(HERE, "llama_cpp_bench.py")])
    return None


# ---- measuring

def tests_of(options, document):
    """The tests of one model: (kind, depth) in the order in which they run, without what its context cannot hold."""
    n_context = document["model"]["hyperparameters"]["n_context"]
    tests = []
    for kind in KINDS:
        if kind not in options.only:
            continue
        for depth in options.depths if kind == "depth" else [0]:
            need = {"prompt": options.prompt, "start": START_TOKENS}.get(kind, depth + options.generate)
            if need <= n_context:
                tests.append((kind, depth))
            else:
                note(f"  left out: {report.test_name(kind, options, depth)}: the model was made for {n_context} positions")
    return tests


def measure_round(options, programs, model, kind, depth, number):
    """The programs one after the other, the second first in every other round. Returns one round's figures."""
    result = {}
    for program in programs if number % 2 == 0 else programs[::-1]:
        if options.quiet:
            wait_for_quiet(options.quiet)
        value, run = program.measure(model, kind, depth)
        key = "ours" if program.name == "socle" else "theirs"
        result[key] = value if not run.error else None
        result[key + "_others"] = run.others
        if run.error:
            note(f"  {program.name}, {report.test_name(kind, options, depth)}: {run.error}")
    return result


def measure_model(options, programs, path):
    document = programs[0].inspect(path)
    model = {"file": os.path.basename(path), "n_bytes": document["file"]["n_bytes"], "tests": []}
    note(f"{model['file']}: {options.rounds} rounds")
    tests = {}
    for key in tests_of(options, document):
        tests[key] = {"kind": key[0], "depth": key[1], "rounds": []}
        tests[key]["n_tokens"] = {"prompt": options.prompt, "start": START_TOKENS}.get(key[0], options.generate)
    for number in range(options.rounds):
        for (kind, depth), test in tests.items():
            limits = programs[0].limits() if kind != "start" else None
            figures = measure_round(options, programs, path, kind, depth, number)
            figures["limits"] = limits
            test["rounds"].append(figures)
            shown = "  ".join(f"{p.name} {figures[k]:.2f}" for p, k in zip(programs, ("ours", "theirs")) if figures.get(k))
            note(f"  round {number + 1}: {report.test_name(kind, options, depth)}: {shown}")
    for key, test in tests.items():
        test["token"] = programs[0].work.get(key)
    model["tests"] = list(tests.values())
    return model


def machine(options):
    run = Run([options.program, "doctor", "--quick", "--json"], 60)
    document = run.json() or {}
    return {"processor": document.get("processor"), "n_processors": document.get("n_processors"),
            "memory_bytes": document.get("memory_total")}


# ---- the command

def numbers(text):
    return [int(x) for x in text.split(",")]


def kinds(text):
    chosen = text.split(",")
    for kind in chosen:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"'{kind}' is none of {', '.join(KINDS)}")
    return chosen


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("models", nargs="*", metavar="MODEL", help="GGUF files (default: the bundled model)")
    p.add_argument("--models", dest="more", nargs="+", default=[], metavar="MODEL", help="the same")
    p.add_argument("--program", default=os.path.join(ROOT, "build", "socle"), help="Socle's program (build/socle)")
    p.add_argument("--peer", help="llama-bench, its folder, or a Python with llama-cpp-python; 'none': Socle alone")
    p.add_argument("--peer-options", default="", metavar="TEXT", help="further options of llama-bench: \"-fa on\"")
    p.add_argument("-t", "--threads", type=int, default=0, help="threads of both (default: one for each processor)")
    p.add_argument("--cpu", help="Socle's instruction-set level")
    p.add_argument("-r", "--rounds", type=int, default=3, help="rounds (default: 3)")
    p.add_argument("--prompt", type=int, default=512, metavar="N", help="tokens of the prompt (512)")
    p.add_argument("--generate", type=int, default=64, metavar="N", help="tokens generated (64)")
    p.add_argument("--depths", type=numbers, default=[4096], metavar="N,...", help="depths to generate at as well (4096)")
    p.add_argument("--only", type=kinds, default=list(KINDS), metavar="KIND,...", help=f"of {', '.join(KINDS)}")
    p.add_argument("--quiet", type=float, default=0, metavar="S", help="before each run wait up to S seconds for a quiet machine")
    p.add_argument("--timeout", type=float, default=1800, metavar="S", help="give a run up after S seconds (1800)")
    p.add_argument("--json", metavar="OUT", help="write every figure")
    p.add_argument("--svg", metavar="OUT", help="draw a chart")
    p.add_argument("--from", dest="source", metavar="JSON", help="measure nothing: show what an earlier --json holds")
    options = p.parse_args()
    options.models += options.more
    if options.rounds < 1 or options.prompt < 1 or options.generate < 1 or options.threads < 0:
        p.error("--rounds, --prompt and --generate must be positive")
    options.threads = options.threads or len(os.sched_getaffinity(0))
    options.models = options.models or [os.path.join(ROOT, "share", "tales.gguf")]
    return options


def measure(options):
    ours, peer = Socle(options), find_peer(options)
    if not peer and options.peer != "none":
        note("llama.cpp was not found: Socle is measured alone (bench/README.md says how to install it)")
    programs = [ours] + ([peer] if peer else [])
    result = {"machine": machine(options), "threads": options.threads, "n_prompt": options.prompt,
              "n_generate": options.generate, "models": [measure_model(options, programs, m) for m in options.models]}
    result["socle"] = {"version": ours.version, "cpu": getattr(ours, "cpu", None)}
    result["peer"] = {"name": peer.name, "build": peer.version, "options": options.peer_options} if peer else None
    return result


def main():
    options = parse()
    if options.source:
        with open(options.source) as f:
            result = json.load(f)
    else:
        result = measure(options)
    report.summarize(result)
    print(report.table(result))
    if options.json:
        with open(options.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    if options.svg:
        with open(options.svg, "w") as f:
            f.write(report.svg(result))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
