#!/usr/bin/env python3
"""llama-bench's options and output, as far as compare.py uses them, through the Python package llama-cpp-python."""
import argparse
import ctypes
import json
import time

import llama_cpp as l

BATCH = 512


def evaluate(context, tokens, n_done):
    """Appends tokens in batches; the logits of the last one are computed."""
    for begin in range(0, len(tokens), BATCH):
        part = tokens[begin:begin + BATCH]
        array = (l.llama_token * len(part))(*part)
        if l.llama_decode(context, l.llama_batch_get_one(array, len(part))) != 0:
            raise SystemExit(f"llama_decode failed after {n_done + begin} positions")
    l.llama_synchronize(context)


def main():
    p = argparse.ArgumentParser()
    for name, kind in (("-m", str), ("-p", int), ("-n", int), ("-d", int), ("-r", int), ("-t", int), ("-o", str)):
        p.add_argument(name, type=kind, default=0)
    p.add_argument("--no-warmup", action="store_true")
    o = p.parse_args()
    quiet = l.llama_log_callback(lambda level, text, data: None)
    l.llama_log_set(quiet, ctypes.c_void_p(0))
    l.llama_backend_init()
    model = l.llama_model_load_from_file(o.m.encode(), l.llama_model_default_params())
    if not model:
        raise SystemExit(f"{o.m}: cannot be loaded")
    params = l.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = o.d + max(o.p, o.n, 1), BATCH, BATCH
    params.n_threads = params.n_threads_batch = o.t
    context = l.llama_init_from_model(model, params)
    if not context:
        raise SystemExit(f"{o.m}: no context of {params.n_ctx} positions")
    n_vocab = l.llama_vocab_n_tokens(l.llama_model_get_vocab(model))
    tokens = [(i * 7919 + 11) % n_vocab for i in range(params.n_ctx)]
    memory, rates = l.llama_get_memory(context), []
    if not o.no_warmup:
        evaluate(context, tokens[:max(1, min(o.p, BATCH))], 0)
    for _ in range(o.r):
        l.llama_memory_clear(memory, True)
        evaluate(context, tokens[:o.d], 0)
        started = time.perf_counter()
        evaluate(context, tokens[:o.p], o.d)
        for i in range(o.n):
            evaluate(context, tokens[i:i + 1], o.d + i)
        rates.append((o.p + o.n) / (time.perf_counter() - started))
    print(json.dumps([{"build_commit": f"llama-cpp-python {l.__version__}", "n_prompt": o.p, "n_gen": o.n,
                       "n_depth": o.d, "avg_ts": sorted(rates)[len(rates) // 2], "samples_ts": rates}]))


if __name__ == "__main__":
    main()
