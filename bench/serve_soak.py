#!/usr/bin/env python3
"""Does `socle serve` keep its memory, and what does a request cost beyond the model's own time?

usage: bench/serve_soak.py [MODEL.gguf] [--requests 100000] [--clients 8] [--seconds 3600] [--json OUT]

Short requests of all kinds, over connections that are kept, some of whose clients vanish. The server's resident memory
is read at the start, after a tenth, and at the end; after a tenth it should not grow. Then one client asks for one token
a thousand times: the time of a request less the time that the server says it spent computing is the overhead.
Stops by itself after so many requests or seconds, and fails when a request got what it should not, or memory grew.
Only Python's standard library is needed.
"""
import argparse
import http.client
import json
import os
import random
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from serve import ROOT, Server, free_port, note, prompt_of  # noqa: E402


def requests(i):
    """The i-th request: what it is called, its path, its body, and the statuses that are right."""
    prompt, n = prompt_of(i, 3 + i % 20), 1 + i % 5
    text = {"prompt": prompt, "max_tokens": n, "seed": i}
    messages = [{"role": "user", "content": prompt}]
    kinds = [
        ("completion", "/v1/completions", text, (200,)),
        ("stream", "/v1/completions", dict(text, stream=True), (200,)),
        ("logprobs", "/v1/completions", dict(text, echo=True, logprobs=3), (200,)),
        ("two answers", "/v1/completions", dict(text, n=2), (200,)),
        ("two prompts", "/v1/completions", dict(text, prompt=[prompt, "Once"]), (200,)),
        ("embeddings", "/v1/embeddings", {"input": [prompt, "Once", prompt + "!"], "dimensions": 8}, (200,)),
        ("schema", "/v1/completions", dict(text, guided_json={"enum": [i % 40, "a"]}), (200,)),
        ("regex", "/v1/completions", dict(text, guided_regex="[a-z ]+"), (200,)),
        ("tokenize", "/tokenize", {"content": prompt}, (200,)),
        ("detokenize", "/detokenize", {"tokens": [i % 2000, 5, 9]}, (200,)),
        ("chat", "/v1/chat/completions", {"messages": messages, "max_tokens": n}, (200, 400)),  # without a template: 400
        ("messages", "/v1/messages", {"messages": messages, "max_tokens": n}, (200, 400)),
        ("responses", "/v1/responses", {"input": prompt, "max_output_tokens": n, "stream": True}, (200, 400)),
        ("models", "/v1/models", None, (200,)),
        ("metrics", "/metrics", None, (200,)),
        ("page", "/", None, (200,)),
        ("no such model", "/v1/completions", dict(text, model="none"), (404,)),
        ("wrong type", "/v1/completions", dict(text, temperature="hot"), (400,)),
        ("no JSON", "/v1/completions", "{" * (i % 50), (400,)),
        ("too long", "/v1/completions", {"prompt": "word " * 3000}, (400,)),
        ("no such path", f"/{i}/%ff", None, (404,)),
    ]
    return kinds[i % len(kinds)]


class Load:
    """So many clients share numbers from 0 to n; every 50th request's client vanishes."""

    def __init__(self, port, n, deadline):
        self.port, self.n, self.deadline = port, n, deadline
        self.next, self.done, self.vanished, self.wrong, self.lock = 0, 0, 0, [], threading.Lock()
        self.by_kind = {}

    def take(self):
        with self.lock:
            if self.next >= self.n or time.monotonic() > self.deadline or len(self.wrong) > 20:
                return None
            self.next += 1
            return self.next - 1

    def vanish(self, i, random_):
        """Sends a request, or a part of it, and leaves at some time."""
        body = json.dumps({"prompt": prompt_of(i, 5), "max_tokens": 300, "stream": bool(i % 2), "ignore_eos": True}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        whole = head + body
        with socket.create_connection(("127.0.0.1", self.port), 30) as s:
            s.sendall(whole[:random_.choice((1, len(head) // 2, len(head), len(whole) - 1, len(whole), len(whole)))])
            time.sleep(random_.random() * 0.02)
        with self.lock:
            self.vanished += 1

    def client(self, number):
        random_, connection = random.Random(number), None
        while (i := self.take()) is not None:
            try:
                if i % 50 == 49:
                    self.vanish(i, random_)
                    continue
                kind, path, body, right = requests(i)
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
                data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
                connection.request("POST" if data is not None else "GET", path, data)
                reply = connection.getresponse()
                reply.read()
                with self.lock:
                    self.done += 1
                    self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
                    if reply.status not in right:
                        self.wrong.append(f"{kind}: status {reply.status}")
                if reply.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as e:
                connection = None
                with self.lock:
                    self.wrong.append(repr(e))

    def run(self, n_clients):
        threads = [threading.Thread(target=self.client, args=(k,)) for k in range(n_clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


def busy_seconds(connection):
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("socle_busy_seconds_total ")))


def overhead(port, n):
    """Milliseconds of a request, of the model in it, and of a request that needs no model; one client, one at a time."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    busy, started = busy_seconds(c), time.monotonic()
    for i in range(n):
        c.request("POST", "/v1/completions", json.dumps({"prompt": f"{i} kings", "max_tokens": 1, "seed": 1}))
        c.getresponse().read()
    seconds = time.monotonic() - started
    busy = busy_seconds(c) - busy
    started = time.monotonic()
    for i in range(n):
        c.request("GET", "/health")
        c.getresponse().read()
    return 1000 * seconds / n, 1000 * busy / n, 1000 * (time.monotonic() - started) / n


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("model", nargs="?", default=os.path.join(ROOT, "share", "tales.gguf"))
    p.add_argument("--program", default=os.path.join(ROOT, "build", "socle"))
    p.add_argument("--requests", type=int, default=100000)
    p.add_argument("--clients", type=int, default=8)
    p.add_argument("--seconds", type=float, default=3600, help="stop after so many")
    p.add_argument("--growth", type=float, default=4, help="MiB that memory may grow after the first tenth")
    p.add_argument("--json", help="write every figure")
    o = p.parse_args()
    port, deadline = free_port(), time.monotonic() + o.seconds
    server = Server([o.program, "serve", "-m", o.model, "--port", str(port)], port)
    memory, load = [server.memory()], Load(port, o.requests, deadline)
    started = time.monotonic()
    for tenth in range(1, 11):
        load.n = o.requests * tenth // 10
        load.run(o.clients)
        memory.append(server.memory())
        note(f"  {load.next:7} requests, {memory[-1] / 2**20:7.1f} MiB, {time.monotonic() - started:6.1f} s, "
             f"{len(load.wrong)} wrong {load.wrong[:1] or ''}")
    seconds = time.monotonic() - started
    request, model, health = overhead(port, 1000)
    server.stop()
    grown = (memory[-1] - memory[1]) / 2**20
    figures = {"model": os.path.basename(o.model), "requests": load.done, "vanished": load.vanished, "wrong": load.wrong,
               "seconds": seconds, "memory_bytes": memory, "by_kind": load.by_kind, "exit_code": server.process.returncode,
               "request_ms": request, "model_ms": model, "health_ms": health}
    if o.json:
        with open(o.json, "w") as f:
            json.dump(figures, f, indent=1)
    print(f"{load.done} requests of {len(load.by_kind)} kinds and {load.vanished} clients that vanished in {seconds:.0f} s "
          f"({load.done / seconds:.0f}/s), {len(load.wrong)} wrong answers")
    print(f"resident memory: {memory[0] / 2**20:.1f} MiB at the start, {memory[1] / 2**20:.1f} after a tenth, "
          f"{memory[-1] / 2**20:.1f} at the end")
    print(f"a request for one token: {request:.2f} ms, {model:.2f} of them the model; /health: {health:.2f} ms")
    return 1 if load.wrong or grown > o.growth or server.process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
