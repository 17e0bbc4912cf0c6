#!/usr/bin/env python3
"""Train a Llama of bench/train.py's shape with PyTorch, for comparison: one line of JSON for each step.

usage: bench/train_torch.py LAYERS WIDTH HEADS FEED_FORWARD VOCABULARY WINDOWS CONTEXT STEPS THREADS

Plain modules with PyTorch's own fast parts: scaled_dot_product_attention, rms_norm, fused AdamW. The output is tied to
the table of embeddings, gradients are clipped at 1. Tokens are random, as speed does not depend on them.
"""
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads, feed_forward):
        super().__init__()
        self.heads = heads
        linear = lambda n_in, n_out: nn.Linear(n_in, n_out, bias=False)
        self.q, self.k, self.v, self.o = (linear(width, width) for _ in range(4))
        self.gate, self.up = linear(width, feed_forward), linear(width, feed_forward)
        self.down = linear(feed_forward, width)
        self.norm1, self.norm2 = nn.RMSNorm(width, 1e-5), nn.RMSNorm(width, 1e-5)

    def turn(self, x, cos, sin):
        b, n, width = x.shape
        x = x.view(b, n, self.heads, width // self.heads).transpose(1, 2)
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

    def forward(self, x, cos, sin):
        b, n, width = x.shape
        h = self.norm1(x)
        v = self.v(h).view(b, n, self.heads, width // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(self.turn(self.q(h), cos, sin), self.turn(self.k(h), cos, sin), v,
                                           is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, n, width))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self, layers, width, heads, feed_forward, vocabulary, context):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, feed_forward) for _ in range(layers))
        self.norm = nn.RMSNorm(width, 1e-5)
        size = width // heads
        angle = torch.outer(torch.arange(context), 10000.0 ** (-torch.arange(0, size, 2) / size))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, tokens, targets):
        x = self.table(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.table.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    layers, width, heads, feed_forward, vocabulary, windows, context, steps, threads = map(int, sys.argv[1:10])
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    model = Model(layers, width, heads, feed_forward, vocabulary, context)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    for step in range(steps):
        tokens = torch.randint(0, vocabulary, (windows, context + 1))
        started = time.perf_counter()
        loss = model(tokens[:, :-1], tokens[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"step": step + 1, "loss": loss.item(), "seconds": seconds, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
