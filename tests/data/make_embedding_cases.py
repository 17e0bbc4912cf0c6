#!/usr/bin/env python3
"""Writes embedding_cases.json: embeddings of texts by llama.cpp's server with the bundled model, by mean and by last
token, each number rounded to four digits after the point.

usage: make_embedding_cases.py PATH_OF_LLAMA_SERVER"""
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TEXTS = [
    "Once upon a time there was a king who had a daughter",
    "Snow fell in the night, and in the morning the whole village was white. " * 12,
]
HERE = Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "share" / "tales.gguf"
PORT = 18137


def ask():
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/embeddings",
        json.dumps({"input": TEXTS}).encode(),
        {"Content-Type": "application/json"},
    )
    for _ in range(100):
        try:
            with urllib.request.urlopen(request) as answer:
                return [item["embedding"] for item in json.load(answer)["data"]]
        except urllib.error.URLError:
            time.sleep(0.2)
    sys.exit("the server did not answer")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cases = []
    for pooling in ("mean", "last"):
        command = [sys.argv[1], "-m", MODEL, "--embeddings", "--pooling", pooling, "--port", str(PORT), "-ub", "2048"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for text, vector in zip(TEXTS, ask()):
                length = sum(x * x for x in vector) ** 0.5
                cases.append({"pooling": pooling, "text": text, "vector": [round(x / length, 4) for x in vector]})
        finally:
            server.kill()
            server.wait()
    with open(HERE / "embedding_cases.json", "w", encoding="utf-8") as out:
        json.dump(cases, out, separators=(",", ":"))
        out.write("\n")


main()
