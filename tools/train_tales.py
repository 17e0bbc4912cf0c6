#!/usr/bin/env python3
"""Train "Socle Tales", the small bundled story model, and write it as GGUF.

Usage (PyPI packages: torch, numpy, tokenizers, gguf):

    python3 tools/train_tales.py --data tales.txt --out tales.gguf

The data is plain text with one paragraph a line.  A byte-level BPE tokenizer
and a Llama-architecture decoder are trained from scratch; a run is resumable
with --checkpoint FILE, and --steps N --evaluate-every N make a shorter trial.

Held-out text.  The lines are cut into consecutive runs of 50 lines (the last
run may be shorter).  Runs 10, 30, 50, ... (counting from 0) are held out: they
are seen neither by the tokenizer's training nor by the model's.  Every run is
one document: <|endoftext|>, then its lines, each ended by a newline.

Held-out loss.  The held-out documents are joined into one stream of tokens and
cut into consecutive windows of the context length; within a window each token
is predicted from those before it in the window.  The loss is the mean of
-log p over all predicted tokens, in nats; per byte it is the sum divided by
the number of bytes those tokens stand for (<|endoftext|> stands for none).

Whenever the held-out loss improves, the output file is replaced (written
beside it, then renamed), so it always holds the best model so far.
"""

import argparse
import json
import math
import os
import time

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

END = "<|endoftext|>"
RUN_LINES, RUN_PERIOD, RUN_PHASE = 50, 20, 10
ROPE_BASE, NORM_EPS = 10000.0, 1e-5


# ---------------------------------------------------------------- data

def read_documents(path):
    """Return (training documents, held-out documents) as lists of strings."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    train, held = [], []
    for i in range(0, len(lines), RUN_LINES):
        is_held = (i // RUN_LINES) % RUN_PERIOD == RUN_PHASE
        (held if is_held else train).append("\n".join(lines[i:i + RUN_LINES]) + "\n")
    return train, held


def train_tokenizer(documents, vocab_size):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    assert tok.get_vocab_size() == vocab_size, "too little text for this vocabulary"
    for text in ("Once upon a time,\n\n  it's 1905!\t", "na\u00efve \u2603 \U0001f409\r\n", *documents[:3]):
        assert tok.decode(tok.encode(text).ids) == text, "the tokenizer does not round-trip"
    return tok


def encode(tok, documents):
    end = tok.token_to_id(END)
    return np.concatenate([[end] + tok.encode(d).ids for d in documents]).astype(np.int64)


class Batches:
    """Random windows: half start anywhere, half are <|endoftext|> and the start of a paragraph."""

    def __init__(self, stream, end, newline, context):
        self.stream, self.end, self.context = stream, end, context
        starts = np.flatnonzero(stream == newline) + 1
        self.paragraphs = starts[starts < len(stream) - context - 1]

    def draw(self, rng, count):
        out = np.empty((count, self.context + 1), np.int64)
        for row in out:
            if rng.random() < 0.5:
                p = rng.choice(self.paragraphs)
                p += self.stream[p] == self.end
                row[0], row[1:] = self.end, self.stream[p:p + self.context]
            else:
                p = rng.integers(len(self.stream) - self.context)
                row[:] = self.stream[p:p + self.context + 1]
        out = torch.from_numpy(out)
        return out[:, :-1], out[:, 1:]


# ---------------------------------------------------------------- model

class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, NORM_EPS)


class Block(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.heads, self.kv_heads, self.size = a.heads, a.kv_heads, a.width // a.heads
        kv_width = a.kv_heads * self.size
        self.attn_norm = Norm(a.width)
        self.attn_q = nn.Linear(a.width, a.width, bias=False)
        self.attn_k = nn.Linear(a.width, kv_width, bias=False)
        self.attn_v = nn.Linear(a.width, kv_width, bias=False)
        self.attn_output = nn.Linear(a.width, a.width, bias=False)
        self.ffn_norm = Norm(a.width)
        self.ffn_gate = nn.Linear(a.width, a.ffn, bias=False)
        self.ffn_up = nn.Linear(a.width, a.ffn, bias=False)
        self.ffn_down = nn.Linear(a.ffn, a.width, bias=False)
        self.drop = nn.Dropout(a.dropout)

    def rotate(self, x, cos, sin):
        """Rotary position: element pairs (2i, 2i+1) turn by position * base^(-2i/size)."""
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

    def forward(self, x, cos, sin):
        b, n, width = x.shape
        h = self.attn_norm(x)
        q = self.attn_q(h).view(b, n, self.heads, self.size).transpose(1, 2)
        k = self.attn_k(h).view(b, n, self.kv_heads, self.size).transpose(1, 2)
        v = self.attn_v(h).view(b, n, self.kv_heads, self.size).transpose(1, 2)
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        group = self.heads // self.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.attn_output(y.transpose(1, 2).reshape(b, n, width)))
        h = self.ffn_norm(x)
        return x + self.drop(self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h)))


class Model(nn.Module):
    """Parameter names follow GGUF's: token_embd, blk.N.attn_q, ..., output_norm."""

    def __init__(self, a):
        super().__init__()
        self.token_embd = nn.Embedding(a.vocab, a.width)
        self.blk = nn.ModuleList(Block(a) for _ in range(a.layers))
        self.output_norm = Norm(a.width)
        self.drop = nn.Dropout(a.dropout)
        size = a.width // a.heads
        freq = ROPE_BASE ** (-torch.arange(0, size, 2).float() / size)
        angle = torch.arange(a.context).float()[:, None] * freq
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * a.layers) if last else 0.02)

    def forward(self, ids):
        x = self.drop(self.token_embd(ids))
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        for block in self.blk:
            x = block(x, cos, sin)
        return F.linear(self.output_norm(x), self.token_embd.weight)


@torch.no_grad()
def held_out_loss(model, stream, token_bytes, context):
    """Return (nats per token, nats per byte), in float32."""
    model.eval()
    nats, tokens, size = 0.0, 0, 0
    for i in range(0, len(stream) - 1, context):
        w = torch.from_numpy(stream[i:i + context + 1])[None]
        nats += F.cross_entropy(model(w[:, :-1])[0], w[0, 1:], reduction="sum").item()
        tokens += w.shape[1] - 1
        size += int(token_bytes[stream[i + 1:i + context + 1]].sum())
    model.train()
    return nats / tokens, nats / size


@torch.no_grad()
def sample(model, tok, prompt, a, count=120, temperature=0.8, top_k=40):
    model.eval()
    g = torch.Generator().manual_seed(a.seed)
    ids = [tok.token_to_id(END)] + tok.encode(prompt).ids
    for _ in range(count):
        logits = model(torch.tensor([ids[-a.context:]]))[0, -1] / temperature
        value, index = logits.topk(top_k)
        ids.append(index[torch.multinomial(value.softmax(-1), 1, generator=g)].item())
        if ids[-1] == ids[0]:
            break
    return tok.decode(ids)


# ---------------------------------------------------------------- GGUF

def write_gguf(path, model, tok, a):
    """Matrices as Q8_0, norms as F32; output.weight is left out (tied to token_embd)."""
    w = gguf.GGUFWriter(path + ".part", "llama")
    w.add_name("Socle Tales")
    w.add_description("A small story model trained from scratch on public-domain tales")
    w.add_license(a.license)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_context_length(a.context)
    w.add_embedding_length(a.width)
    w.add_block_count(a.layers)
    w.add_feed_forward_length(a.ffn)
    w.add_head_count(a.heads)
    w.add_head_count_kv(a.kv_heads)
    w.add_layer_norm_rms_eps(NORM_EPS)
    w.add_rope_dimension_count(a.width // a.heads)
    w.add_rope_freq_base(ROPE_BASE)
    w.add_vocab_size(a.vocab)

    spec = json.loads(tok.to_str())["model"]
    end = tok.token_to_id(END)
    kind = [int(gguf.TokenType.CONTROL if i == end else gguf.TokenType.NORMAL) for i in range(a.vocab)]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([tok.id_to_token(i) for i in range(a.vocab)])
    w.add_token_types(kind)
    w.add_token_merges([" ".join(pair) for pair in spec["merges"]])
    w.add_bos_token_id(end)
    w.add_eos_token_id(end)
    w.add_add_bos_token(True)

    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, p in model.named_parameters():
        data = p.detach().numpy()
        if data.ndim == 2:
            w.add_tensor(name, gguf.quants.quantize(data, q8), raw_dtype=q8)
        else:
            w.add_tensor(name, data)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    os.replace(path + ".part", path)


def load_gguf(path, model):
    """Put the file's weights, as a reader of it sees them, into the model."""
    stored = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    model.load_state_dict({name: torch.from_numpy(data.copy()) for name, data in stored.items()})


# ---------------------------------------------------------------- training

def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="text, one paragraph a line")
    p.add_argument("--out", required=True, help="the GGUF file to write")
    p.add_argument("--checkpoint", help="save training state here, and go on from it if it exists")
    p.add_argument("--license", default="Apache-2.0", help="the model's general.license (%(default)s)")
    for name, value in dict(vocab=2048, context=512, width=256, layers=6, heads=8, kv_heads=4, ffn=768,
                            batch=8, steps=900, warmup=80, evaluate_every=50, seed=1, threads=1).items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=value, help="(%(default)s)")
    for name, value in dict(dropout=0.1, rate=1.5e-3, decay=0.1).items():
        p.add_argument("--" + name, type=float, default=value, help="(%(default)s)")
    return p.parse_args()


def main():
    a = parse_arguments()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    train_docs, held_docs = read_documents(a.data)
    tok = train_tokenizer(train_docs, a.vocab)
    end, newline = tok.token_to_id(END), tok.encode("\n").ids[0]
    train, held = encode(tok, train_docs), encode(tok, held_docs)
    token_bytes = np.array([0 if i == end else len(tok.id_to_token(i)) for i in range(a.vocab)])
    batches = Batches(train, end, newline, a.context)

    model = Model(a)
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(train)} training tokens, {len(held)} held out, {count} parameters", flush=True)
    groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": a.decay},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=a.rate, betas=(0.9, 0.98), fused=True)
    first, best = 0, math.inf
    if a.checkpoint and os.path.exists(a.checkpoint):
        state = torch.load(a.checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, best = state["step"], state["best"]

    begin, running = time.time(), 0.0
    for step in range(first, a.steps):
        done = max(0.0, (step - a.warmup) / max(1, a.steps - a.warmup))
        rate = a.rate * min((step + 1) / a.warmup, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for g in optimizer.param_groups:
            g["lr"] = rate
        torch.manual_seed(a.seed * 1000003 + step)      # the same dropout and windows after a resume
        ids, target = batches.draw(np.random.default_rng((a.seed, step)), a.batch)
        loss = F.cross_entropy(model(ids).flatten(0, 1), target.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running = loss.item() if step == first else 0.95 * running + 0.05 * loss.item()

        if (step + 1) % 20 == 0:
            spent = time.time() - begin
            left = spent / (step + 1 - first) * (a.steps - step - 1)
            epoch = (step + 1) * a.batch * a.context / len(train)
            print(f"step {step + 1}/{a.steps} epoch {epoch:.2f} loss {running:.3f} "
                  f"rate {rate:.5f} {spent:.0f} s, {left:.0f} s left", flush=True)
        if (step + 1) % a.evaluate_every == 0 or step + 1 == a.steps:
            per_token, per_byte = held_out_loss(model, held, token_bytes, a.context)
            better = per_token < best
            print(f"step {step + 1} held-out {per_token:.4f} per token, {per_byte:.4f} per byte"
                  + (", written" if better else ""), flush=True)
            if better:
                best = per_token
                write_gguf(a.out, model, tok, a)
            if a.checkpoint:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                            "step": step + 1, "best": best}, a.checkpoint + ".part")
                os.replace(a.checkpoint + ".part", a.checkpoint)

    load_gguf(a.out, model)
    per_token, per_byte = held_out_loss(model, held, token_bytes, a.context)
    print(f"{a.out}: {os.path.getsize(a.out)} bytes; held-out {per_token:.4f} nats per token "
          f"(perplexity {math.exp(per_token):.2f}), {per_byte:.4f} per byte")
    for prompt in ("Once upon a time", "The little mermaid", "\"Who are you?\" said"):
        print(f"--- temperature 0.8, top-k 40, seed {a.seed}\n{sample(model, tok, prompt, a)}")


if __name__ == "__main__":
    main()
