"""Write reference data for testing gradients and the optimizer's steps.

usage: make_gradient_cases.py OUT.json

The models of make_hf_cases.py (same configs, same weights by formula) are trained
in float64 by torch on its 24 tokens, cut into two sequences of 12 that do not see
each other. The loss is the mean cross entropy of the 22 tokens that have one
before them. OUT.json is an array with one case per line:

  name     the case's name
  losses   11 losses: before the first step of training, after it, ... after the tenth
  tensors  {name: [[of the gradient], [of the weights]]}, named as save_pretrained
           names them; the gradient of the first loss, the weights after 10 steps.
           Each is four numbers: the L2 norm, then the dot products with three
           vectors of signs. Null instead of the weights' numbers where some of the
           gradient is zero but for rounding, since Adam's steps go wherever that
           went: the softmax does not notice biases of keys that do not turn.

A step is AdamW's: rate 1e-3, betas 0.9 and 0.95, eps 1e-8, and decay 0.1 of
everything but norms, biases and attention sinks.

Element i of sign vector v (0, 1, 2) of the tensor that the file calls N is -1 where
bit v of z is set, else 1: z is the last z of make_hf_cases.py's rule for N and i.

transformers computes norms, softmax and rotary angles in float32 whatever the
model's type; wide() lets it use float64 there, so that the numbers are exact to
about 1e-14. Each tensor's gradient is checked here against central differences of
the loss along the first vector of signs: a line per case goes to stdout.
Needs what make_hf_cases.py needs; downloads nothing.
"""
import json
import os
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

import make_hf_cases as hf

STEPS = 10
STEP = 1e-5  # of central differences, along a vector of length 1


class Wide:
    """torch, but for its float32, which is float64."""
    def __getattr__(self, name):
        return torch.float64 if name in ("float32", "float") else getattr(torch, name)


def wide(model_class):
    torch.Tensor.float = torch.Tensor.double
    for module in (sys.modules[model_class.__module__], transformers.modeling_rope_utils):
        module.torch = Wide()


def signs(name, n, v):
    return 1.0 - 2.0 * (hf.mixed(name, n) >> np.uint64(v) & np.uint64(1)).astype(np.float64)


def load(name, model_class, config_class, settings):
    model_class = getattr(transformers, model_class)
    wide(model_class)
    config = getattr(transformers, config_class)(**{**hf.COMMON, **settings})
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        model_class(config).to(torch.float32).save_pretrained(folder)
        weights = {n: hf.fill(n, shape, name.startswith("gemma")) for n, shape in hf.saved_tensors(path)}
        save_file(weights, path, metadata={"format": "pt"})
        # the config itself: what is None in it would not be read back
        model, info = model_class.from_pretrained(
            folder, config=config, dtype=torch.float64, output_loading_info=True,
            attn_implementation="eager", experts_implementation="eager")
    assert not any(info.values()), (name, info)
    assert all(p.dtype == torch.float64 for p in model.parameters())
    return model.eval()


def loss_of(model, tokens):
    logits = model(tokens[:, :-1], use_cache=False).logits
    assert logits.dtype == torch.float64
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))


def decays(name, p):
    return p.dim() > 1 and not name.endswith("bias") and "sinks" not in name


def saved(model, values):
    """What save_pretrained makes of these values in the parameters' places: arrays by the file's names."""
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        kept = {n: p.clone() for n, p in model.named_parameters()}
        for n, p in model.named_parameters():
            p.copy_(values[n])
        model.save_pretrained(folder)
        for n, p in model.named_parameters():
            p.copy_(kept[n])
        tensors = load_file(os.path.join(folder, "model.safetensors"))
    buffers = {n for n, _ in model.named_buffers()}
    return {n: t.reshape(-1) for n, t in tensors.items() if n not in buffers}


def digest(name, values):
    numbers = [np.linalg.norm(values)] + [signs(name, values.size, v) @ values for v in range(3)]
    return [float(f"{x:.9g}") for x in numbers]


def check_differences(model, tokens, gradient):
    """The worst difference, relative to the norm of the tensor's gradient, or absolute where that is zero."""
    worst = 0.0
    with torch.no_grad():
        for name, p in model.named_parameters():
            along = torch.from_numpy(signs(name, p.numel(), 0)).reshape(p.shape) / p.numel() ** 0.5
            kept = p.clone()
            losses = []
            for step in (STEP, -STEP):
                p.copy_(kept + step * along)
                losses.append(loss_of(model, tokens).item())
            p.copy_(kept)
            found = (losses[0] - losses[1]) / (2 * STEP)
            error = abs(found - (along * gradient[name]).sum().item())
            norm = gradient[name].norm().item()
            assert error < 1e-6 * norm + 2e-10, (name, error, norm)
            worst = max(worst, error / norm if norm > 1e-3 else 0.0)
    return worst


def make_case(name, *what):
    model = load(name, *what)
    count = [(7 * i * i + 3 * i + 5) % model.config.vocab_size for i in range(24)]
    tokens = torch.tensor(count).reshape(2, 12)
    named = list(model.named_parameters())
    adamw = torch.optim.AdamW(
        [{"params": [p for n, p in named if decays(n, p)], "weight_decay": 0.1},
         {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0}],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(STEPS + 1):
        loss = loss_of(model, tokens)
        losses.append(loss.item())
        adamw.zero_grad()
        loss.backward()
        if step == 0:
            gradient = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in named}
            worst = check_differences(model, tokens, gradient)
        if step < STEPS:
            adamw.step()
    of_gradient, of_weights = saved(model, gradient), saved(model, dict(named))
    most = max(np.linalg.norm(g) for g in of_gradient.values())
    tensors, noisy = {}, []
    for n, g in of_gradient.items():
        if np.any((g != 0) & (np.abs(g) < 1e-13 * most)):
            noisy.append(n)
        tensors[n] = [digest(n, g), None if n in noisy else digest(n, of_weights[n])]
    print(f"{name:12s} loss {losses[0]:.6f} to {losses[-1]:.6f}, {len(tensors)} tensors, difference quotients off by "
          f"{worst:.1e} at most{', noise in ' if noisy else ''}{', '.join(noisy)}", flush=True)
    return {"name": name, "losses": [float(f"{x:.12g}") for x in losses], "tensors": tensors}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_gradient_cases.py OUT.json")
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    cases = [make_case(*case) for case in hf.CASES]
    with open(sys.argv[1], "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
