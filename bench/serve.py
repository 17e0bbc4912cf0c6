#!/usr/bin/env python3
"""Measure `socle serve` under load, beside llama.cpp's server, in turn on the same file.

usage: bench/serve.py MODEL.gguf [--peer PATH] [--clients 1,4,16,64] [--rounds N] [--json OUT] ...

Each client asks for one streamed completion after another. Prompts differ from each other, so that no cache helps.
bench/README.md explains how to read the table. Only Python's standard library is needed.
"""
import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WORDS = ("river stone winter garden letter morning bridge candle market silver forest window harbour story shadow "
         "music travel honest kitchen summer paper village thunder journey lantern copper meadow").split()


def note(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def prompt_of(number, n_words):
    """Different for every number, and the same in every run."""
    state, words = number * 2654435761 % 2**32 + 1, []
    for _ in range(n_words):
        state = (1103515245 * state + 12345) % 2**31
        words.append(WORDS[state // 65536 % len(WORDS)])
    return f"{number}: " + " ".join(words)


class Server:
    def __init__(self, command, port):
        self.port, self.log = port, tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                c.request("GET", "/health")
                if c.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.log.seek(0)
        sys.exit("serve.py: the server did not start:\n" + self.log.read().decode(errors="replace")[-2000:])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()


def model_name(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    c.request("GET", "/v1/models")
    return json.load(c.getresponse())["data"][0]["id"]


def ask(port, name, prompt, n_tokens):
    """Seconds to the first token and to the end, and tokens that the server says it generated."""
    body = json.dumps({"model": name, "prompt": prompt, "max_tokens": n_tokens, "temperature": 0, "stream": True,
                       "ignore_eos": True, "stream_options": {"include_usage": True}})
    started, first, n = time.monotonic(), None, 0
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    c.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        raise RuntimeError(f"status {r.status}: {r.read(300)}")
    for line in r:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        event = json.loads(line[6:])
        if first is None and event.get("choices") and event["choices"][0].get("text"):
            first = time.monotonic() - started
        if event.get("usage"):
            n = event["usage"]["completion_tokens"]
    c.close()
    return first or time.monotonic() - started, time.monotonic() - started, n


def load(port, name, n_clients, options, first_number):
    results, errors, lock = [], [], threading.Lock()

    def client(k):
        for i in range(options.requests):
            try:
                result = ask(port, name, prompt_of(first_number + k * options.requests + i, options.prompt), options.generate)
            except Exception as e:  # a client's trouble is a result, too
                with lock:
                    errors.append(repr(e))
                return
            with lock:
                results.append(result)

    threads = [threading.Thread(target=client, args=(k,)) for k in range(n_clients)]
    started = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.monotonic() - started
    firsts = sorted(r[0] for r in results) or [float("nan")]
    return {"clients": n_clients, "seconds": seconds, "tokens_per_second": sum(r[2] for r in results) / seconds,
            "first_token_median": statistics.median(firsts),
            "first_token_95": firsts[min(len(firsts) - 1, int(0.95 * len(firsts)))],
            "requests": len(results), "errors": errors}


def commands(options, port):
    n = max(options.clients)
    yield "socle", [options.program, "serve", "-m", options.model, "--port", str(port), "--context", "2048",
                    "--cache-tokens", str(max(8192, n * 1024)), "--running", str(n), "--no-pages"]
    peer = options.peer
    if peer and peer != "none":
        if os.path.isdir(peer):
            peer = os.path.join(peer, "llama-server")
        yield "llama.cpp", [peer, "-m", options.model, "--port", str(port), "-c", str(1024 * n), "-np", str(n), "-cb",
                            "-t", str(os.cpu_count()), "--no-webui"]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model")
    p.add_argument("--program", default=os.path.join(ROOT, "build", "socle"))
    p.add_argument("--peer", default=shutil.which("llama-server"), help="llama-server or its folder; 'none'")
    p.add_argument("--clients", default="1,4,16,64", help="numbers of clients at once")
    p.add_argument("--requests", type=int, default=2, help="requests of each client, one after another")
    p.add_argument("--prompt", type=int, default=48, help="words of a prompt")
    p.add_argument("--generate", type=int, default=64, help="tokens of an answer")
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--json", help="write every figure")
    options = p.parse_args()
    options.clients = [int(n) for n in options.clients.split(",")]
    results, number = [], 0
    for round_ in range(options.rounds):
        for n in options.clients:
            for name, command in commands(options, free_port()):
                port = int(command[command.index("--port") + 1])
                server = Server(command, port)
                name_ = model_name(port)
                ask(port, name_, "Warm up.", 2)
                number += 100000
                r = load(port, name_, n, options, number)
                r.update(program=name, round=round_, memory_bytes=server.memory())
                server.stop()
                results.append(r)
                note(f"  {name:10} {n:3} clients: {r['tokens_per_second']:8.1f} tokens/s, first token "
                     f"{r['first_token_median']:.2f} s (95 %: {r['first_token_95']:.2f} s), "
                     f"{len(r['errors'])} errors {r['errors'][:1] or ''}")
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"model": os.path.basename(options.model), "prompt_words": options.prompt,
                       "n_generate": options.generate, "results": results}, f, indent=1)
    print(f"{os.path.basename(options.model)}: prompts of {options.prompt} words, answers of {options.generate} tokens\n")
    print(f"{'clients':>8} {'':12} {'tokens/s':>9} {'first token':>12} {'95 %':>8}")
    for n in options.clients:
        rates = {}
        for name in dict.fromkeys(r["program"] for r in results):
            mine = [r for r in results if r["program"] == name and r["clients"] == n]
            median = {k: statistics.median(r[k] for r in mine)
                      for k in ("tokens_per_second", "first_token_median", "first_token_95")}
            rates[name] = median["tokens_per_second"]
            ratio = f"   {rates['socle'] / rates[name]:.2f}x" if name != "socle" and rates[name] else ""
            print(f"{n:8} {name:12} {median['tokens_per_second']:9.1f} {median['first_token_median']:10.2f} s "
                  f"{median['first_token_95']:6.2f} s{ratio}")


if __name__ == "__main__":
    main()
