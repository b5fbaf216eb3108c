"""Models that are not encoders, exported from torch: `metalora grad` against torch's autograd.

Each model is exported with both of torch's exporters where they can, differentiated by all its weights and its float input,
and run by ONNX Runtime. The gradients of sum(cotangent * output) are compared with torch's, in float64 there, and the
model's own output with what it was before.
"""

import argparse
import logging
import pathlib
import subprocess
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
TOLERANCE = 1e-3  # of the largest element of a gradient


class CNN(nn.Module):
    """Strided, grouped and dilated convolutions with batch normalisation, pooling and a linear head."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4), nn.BatchNorm2d(16), nn.SiLU(),
            nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.GELU(), nn.AvgPool2d(2))
        self.head = nn.Linear(16, 5)

    def forward(self, pixels):
        return self.head(self.features(pixels).mean((2, 3)))

    inputs = (("pixels", (2, 3, 16, 16)),)


class MixerLayer(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.norm_tokens, self.norm_channels = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 12), nn.GELU(), nn.Linear(12, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def forward(self, x):
        x = x + self.tokens(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm_channels(x))


class Mixer(nn.Module):
    """MLP-Mixer: patches by a convolution, then layers that mix tokens and channels in turn."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.layers = nn.Sequential(*[MixerLayer(16, 16) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.layers(x)).mean(1))

    inputs = (("pixels", (2, 3, 16, 16)),)


class GPT2(nn.Module):
    """One block of GPT-2 behind its embeddings, with the causal mask and the tied output layer."""

    def __init__(self):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.model = GPT2LMHeadModel(GPT2Config(
            vocab_size=50, n_positions=16, n_embd=24, n_layer=1, n_head=3, attn_implementation="eager", use_cache=False,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))

    def forward(self, ids):
        return self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    inputs = (("ids", (2, 7)),)


class Audio(nn.Module):
    """A spectrogram through two convolutions in time and a transformer block, then pooled: the front of a speech encoder."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(20, 16, 3, padding=1)
        self.conv2 = nn.Conv1d(16, 16, 3, stride=2, padding=1)
        self.norm, self.norm_mlp = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 6)
        self.positions = nn.Parameter(torch.randn(10, 16) * 0.1)

    def forward(self, spectrogram):
        x = F.gelu(self.conv2(F.gelu(self.conv1(spectrogram)))).transpose(1, 2) + self.positions
        q, k, v = (h.unflatten(-1, (2, 8)).transpose(1, 2) for h in self.qkv(self.norm(x)).chunk(3, -1))
        attended = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1) @ v
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        x = x + self.mlp(self.norm_mlp(x))
        return self.head(x.amax(1))

    inputs = (("spectrogram", (2, 20, 20)),)


MODELS = {"cnn": CNN, "mixer": Mixer, "gpt2": GPT2, "audio": Audio}


def prepared(name):
    """The model in inference form with weights of a seed, and inputs for it."""
    torch.manual_seed(5)
    model = MODELS[name]()
    for p in model.parameters():
        if p.dim() < 2:
            nn.init.normal_(p, 0.5, 0.2)
        elif name == "gpt2":
            nn.init.normal_(p, 0, 0.2)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.5, 1.5)
    feeds = {}
    for i, shape in model.inputs:
        feeds[i] = torch.randint(0, 50, shape) if i == "ids" else torch.randn(shape)
    return model.eval(), feeds


def export(model, feeds, path, dynamo):
    """The old exporter is told to fold nothing (it would merge batch normalisation), the new one does as it likes."""
    if dynamo:
        program = torch.onnx.export(model, tuple(feeds.values()), dynamo=True, opset_version=20, input_names=list(feeds),
                                    output_names=["output"], verbose=False)
        program.save(path)
    else:
        torch.onnx.export(model, tuple(feeds.values()), path, dynamo=False, opset_version=17, input_names=list(feeds), output_names=["output"],
                          do_constant_folding=False)


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def autograd(model, feeds, cotangent):
    """Gradients in float64, by the names of weights and inputs."""
    wide = {k: v.double().requires_grad_() if v.is_floating_point() else v for k, v in feeds.items()}
    model = model.double()
    model.zero_grad()
    output = model(*wide.values())
    output.backward(torch.tensor(cotangent, dtype=torch.float64))
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    found |= {k: v.grad for k, v in wide.items() if v.requires_grad}
    model.float()
    return output.detach().numpy(), {k: v.numpy() for k, v in found.items()}


def weights(model, path):
    """Which initializers hold which parameter, and whether transposed. A tied weight may be there twice."""
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    found = {}
    for parameter, p in model.named_parameters():
        value = p.detach().numpy()
        found[parameter] = [(name, False) for name, x in tensors.items() if np.array_equal(x, value)]
        found[parameter] += [(name, True) for name, x in tensors.items() if x.ndim == 2 and np.array_equal(x, value.T)]
    return found


def check(metalora, name, dynamo, folder):
    """How many gradients were compared, which parameters are not in the file as they are, and how far off the worst is."""
    model, feeds = prepared(name)
    source, target = str(folder / "m.onnx"), str(folder / "g.onnx")
    export(model, feeds, source, dynamo)
    where = weights(model, source)
    missing = [parameter for parameter, found in where.items() if not found]
    where |= {i: [(i, False)] for i, v in feeds.items() if v.is_floating_point()}
    names = sorted({name for found in where.values() for name, _ in found})
    done = subprocess.run([metalora, "grad", source, "--of", "output", "--wrt", *names, "-o", target], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: exit code {done.returncode}: {done.stderr}")
    onnx.checker.check_model(target, full_check=True)
    given = {k: v.numpy() for k, v in feeds.items()}
    before = session(source).run(["output"], given)[0]
    cotangent = np.random.default_rng(3).standard_normal(before.shape).astype(np.float32)
    got = session(target).run(["output"] + ["grad::" + w for w in names], given | {"cotangent::output": cotangent})
    output, want = autograd(model, feeds, cotangent)
    for y in (before, got[0]):  # with more outputs the runtime fuses other nodes
        np.testing.assert_allclose(y, output, atol=1e-5, rtol=1e-5)
    gradients, worst = dict(zip(names, got[1:])), 0.0
    for parameter in where.keys() - set(missing):
        g = sum(gradients[n].T if transposed else gradients[n] for n, transposed in where[parameter])
        error = np.abs(g - want[parameter]).max() / max(1e-3, np.abs(want[parameter]).max())
        if not error <= TOLERANCE:
            raise SystemExit(f"{name}: gradient by {parameter} is off by {error:.2g} of its largest element")
        worst = max(worst, error)
    return len(where) - len(missing), missing, worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--metalora", required=True)
    parser.add_argument("--out", required=True, help="the summary")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    lines = ["model   exporter  gradients  worst error  weights not in the file as they are"]
    for name in MODELS:
        if args.only not in name:
            continue
        for dynamo in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                n, missing, worst = check(args.metalora, name, dynamo, pathlib.Path(folder))
            lines.append(f"{name:7} {'dynamo' if dynamo else 'script':9} {n:9}  {worst:11.1e}  {', '.join(missing) or '-'}")
            print(lines[-1], flush=True)
    pathlib.Path(args.out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
