#!/usr/bin/env python3
"""Train the built-in `digits` model and write it as a model folder.

    python3 digits.py --data DIR --out ../digits

DIR holds MNIST's train-*-ubyte.gz and t10k-*-ubyte.gz.
"""
import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from export import Graph, write_model_json

MEAN, STD = 0.5, 0.5


def load(folder, prefix):
    """-> images uint8 (N, 1, 28, 28), labels (N)."""
    pixels = gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz").read()[16:]
    labels = gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz").read()[8:]
    return (torch.from_numpy(np.frombuffer(pixels, np.uint8).reshape(-1, 1, 28, 28).copy()),
            torch.from_numpy(np.frombuffer(labels, np.uint8).astype(np.int64)))


class Net(nn.Module):
    """LeNet's shape, (N, 1, 28, 28) -> 24 -> 12 -> 8 -> 4 -> logits (N, 10), with one more convolution at the end."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1, 32, 5, bias=False), nn.Conv2d(32, 64, 5, bias=False),
                                    nn.Conv2d(64, 96, 3, padding=1, bias=False)])
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (32, 64, 96))
        self.head = nn.Linear(96 * 16, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norms[0](self.convs[0](x))), 2)
        x = F.max_pool2d(F.relu(self.norms[1](self.convs[1](x))), 2)
        x = F.relu(self.norms[2](self.convs[2](x)))
        return self.head(F.dropout(x.flatten(1), 0.4, self.training))


class Augment:
    """uint8 digits (light on dark) -> normalised pictures of digits as people write and photograph them."""

    def __init__(self, generator):
        self.gen = generator

    def uniform(self, shape, low, high):
        return low + (high - low) * torch.rand(shape, generator=self.gen)

    def some(self, n, share):
        return (torch.rand(n, generator=self.gen) < share).nonzero()[:, 0]

    def bend(self, x, wide):
        """Move, turn, slant and stretch each digit, with a smooth random distortion on top."""
        n = len(x)
        angle = self.uniform(n, -0.22, 0.22)
        scale = torch.exp(torch.where(wide, self.uniform(n, -0.25, 0.7), self.uniform(n, -0.15, 0.15)))
        stretch, slant = torch.exp(self.uniform(n, -0.12, 0.12)), self.uniform(n, -0.2, 0.2)
        reach = torch.where(wide, 0.22, 0.15)
        dx, dy = reach * self.uniform(n, -1, 1), reach * self.uniform(n, -1, 1)
        cos, sin = scale * angle.cos(), scale * angle.sin()
        theta = torch.stack([torch.stack([cos * stretch, slant - sin, dx], 1), torch.stack([sin, cos / stretch, dy], 1)], 1)
        grid = F.affine_grid(theta, x.shape, align_corners=False)
        warp = F.interpolate(self.uniform((n, 2, 5, 5), -0.09, 0.09), size=28, mode="bicubic", align_corners=True)
        return F.grid_sample(x, grid + warp.permute(0, 2, 3, 1), align_corners=False)

    def thickness(self, x):
        """Thinner or bolder strokes, by a share of an erosion or a dilation."""
        share = self.uniform((len(x), 1, 1, 1), -0.6, 0.9)
        bold, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
        return x + share.clamp(min=0) * (bold - x) - share.clamp(max=0) * (thin - x)

    def paper(self, x):
        """Ink on an unevenly lit background of any gray instead of white on black, with some blur and noise."""
        n = len(x)
        shape = (n, 1, 1, 1)
        ground = self.uniform(shape, 0, 1)
        contrast = self.uniform(shape, 0.3, 1)
        ink = torch.where(ground < 0.5, ground + contrast, ground - contrast).clamp(0, 1)
        light = F.interpolate(self.uniform((n, 1, 2, 2), -0.12, 0.12), size=28, mode="bilinear", align_corners=True)
        blurred = F.avg_pool2d(F.pad(x, (1,) * 4), 3, 1)
        x = x + (blurred - x) * self.uniform(shape, 0, 0.8)
        noise = torch.randn(x.shape, generator=self.gen) * self.uniform(shape, 0, 0.06)
        return (ground + (ink - ground) * x + light + noise).clamp(0, 1)

    def __call__(self, images):
        n = len(images)
        x = self.bend(images.float().div(255), wide=torch.rand(n, generator=self.gen) < 0.3)
        chosen = self.some(n, 0.3)
        x[chosen] = self.thickness(x[chosen])
        chosen = self.some(n, 0.35)
        x[chosen] = self.paper(x[chosen])
        invert = self.some(n, 0.5)
        x[invert] = 1 - x[invert]
        return (x - MEAN) / STD


def accuracy(net, images, labels, invert=False):
    net.eval()
    with torch.no_grad():
        x = (images.float().div(255) - MEAN) / STD
        right = sum(int((net(-part if invert else part).argmax(1) == truth).sum())
                    for part, truth in zip(x.split(500), labels.split(500)))
    net.train()
    return right / len(images)


def train(net, images, labels, test, args):
    gen = torch.Generator().manual_seed(args.seed)
    augment = Augment(gen)
    decay = [p for p in net.parameters() if p.dim() > 1]
    plain = [p for p in net.parameters() if p.dim() == 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0}],
                                  lr=args.lr)
    steps = len(images) // args.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.lr, args.epochs * steps, pct_start=0.15)
    start = time.time()
    for epoch in range(args.epochs):
        order = torch.randperm(len(images), generator=gen)
        total = 0.0
        for index in order[:steps * args.batch].split(args.batch):
            loss = F.cross_entropy(net(augment(images[index])), labels[index], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1} loss {total / steps:.4f} test {accuracy(net, *test):.4f} "
              f"inverted {accuracy(net, *test, invert=True):.4f} {time.time() - start:.0f} s", flush=True)
    net.eval()


def folded(conv, norm):
    """Convolution and batch norm as one convolution."""
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    bias = (norm.bias - norm.running_mean * scale).detach()
    return (conv.weight.detach() * scale.view(-1, 1, 1, 1)).numpy(), bias.numpy()


def export(net, path):
    g = Graph("digits", [("image", ["N", 1, 28, 28])], [("logits", ["N", 10])])
    weights = [folded(conv, norm) for conv, norm in zip(net.convs, net.norms)]
    x = g.conv("conv1", "image", *weights[0])
    x = g.node("Relu", "relu1", [x])
    x = g.node("MaxPool", "pool1", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = g.conv("conv2", x, *weights[1])
    x = g.node("Relu", "relu2", [x])
    x = g.node("MaxPool", "pool2", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = g.conv("conv3", x, *weights[2], pad=1)
    x = g.node("Relu", "relu3", [x])
    x = g.node("Flatten", "flatten", [x])
    g.gemm("logits", x, net.head.weight.detach().numpy(), net.head.bias.detach().numpy())
    g.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST's *-ubyte.gz files")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    net = Net()
    train(net, *load(args.data, "train"), load(args.data, "t10k"), args)
    args.out.mkdir(parents=True, exist_ok=True)
    export(net, args.out / "model.onnx")
    write_model_json(args.out, [str(digit) for digit in range(10)],
                     {"color": "GRAY", "resize": {"mode": "shortest", "size": 28, "filter": "bilinear"},
                      "crop": [28, 28], "scale": 1 / 255, "mean": [MEAN], "std": [STD]},
                     {"name": "logits", "activation": "softmax"})


if __name__ == "__main__":
    main()
