#!/usr/bin/env python3
"""Train the built-in `cifar10` model and write it as a model folder.

    python3 cifar10.py --data DIR --out ../cifar10

DIR holds cifar10.tar.gz (train/CLASS/*.jpg, test/CLASS/*.jpg). Recipe after Jordan, "94% on CIFAR-10 in 3.29 seconds"
(arXiv:2404.00498): a fixed whitening convolution, residual blocks with frozen batch-norm scale, the Muon optimiser
for the filters, alternating flips; run in bf16 on the CPU. It is trained in two legs, the second from where the first
ended, at a lower learning rate; nearly all of both see pictures that were changed much. What is written looks at a
picture and its mirror image, as they are and with a border, so that the windows of the second pooling lie elsewhere.
"""
import argparse
import copy
import io
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from export import Graph, write_model_json

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
WIDTHS = (64, 192, 248)
BORDER = 2  # pixels that are reflected on each side for the second view


class Leg(NamedTuple):
    """A part of the training, in which the learning rate rises quickly and then falls evenly to nothing."""
    epochs: int
    rate: float    # highest learning rate of the filters
    rise: float    # share of the leg
    sizes: tuple   # (pixels, share of the leg after which they end)
    strong: float  # share of the leg with pictures that are changed much
    cutmix: float  # share of its batches with a square of another picture


LEGS = (Leg(80, 0.05, 0.05, ((24, 0.45), (28, 0.65), (32, 1.0)), 0.9, 0.3),
        Leg(92, 0.0135, 0.01, ((28, 0.4), (32, 1.0)), 0.96, 0.45))
EPOCHS = sum(leg.epochs for leg in LEGS)


def leg_of(epoch):
    """-> the leg that an epoch belongs to, its number within it."""
    for leg in LEGS:
        if epoch < leg.epochs:
            return leg, epoch
        epoch -= leg.epochs


def load(archive):
    """-> {"train"|"test": (images uint8 (N, 3, 32, 32), labels (N))}, in the order of the file names."""
    found = {"train": [], "test": []}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".jpg"):
                split, name, file = member.name.split("/")[-3:]
                found[split].append((CLASSES.index(name), file, tar.extractfile(member).read()))
    data = {}
    for split, items in found.items():
        items.sort(key=lambda item: item[:2])
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")) for _, _, jpeg in items])
        data[split] = (torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(),
                       torch.tensor([label for label, _, _ in items]))
    return data


class Block(nn.Module):
    """(N, c_in, H, W) -> (N, c_out, H/2, W/2), or H, W if not pooled: convolution, then a residual pair."""

    def __init__(self, c_in, c_out, pool):
        super().__init__()
        self.pool = pool
        self.convs = nn.ModuleList(nn.Conv2d(c, c_out, 3, padding=1, bias=False) for c in (c_in, c_out, c_out))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c_out, momentum=0.4) for _ in range(3))
        for conv in self.convs:
            nn.init.dirac_(conv.weight.data[:conv.in_channels])
        for norm in self.norms:
            norm.weight.requires_grad = False

    def forward(self, x):
        x = self.convs[0](x)
        if self.pool:
            x = F.max_pool2d(x, 2)
        x = skip = F.relu(self.norms[0](x))
        x = F.relu(self.norms[1](self.convs[1](x)))
        return F.relu(self.norms[2](self.convs[2](x)) + skip)


class Net(nn.Module):
    """(N, 3, 32, 32) -> logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        sizes = (24,) + WIDTHS
        self.blocks = nn.ModuleList(Block(sizes[i], sizes[i + 1], pool=i < 2) for i in range(3))
        self.head = nn.Linear(WIDTHS[-1], len(CLASSES))

    def init_whitening(self, images):
        """Filters = eigenvectors of the 2x2 patch covariance, scaled towards unit variance, with both signs.

        JPEG leaves next to no fine colour detail in a 32x32 picture (variances of 0.005 and less), unlike in a photo
        reduced to that size: 0.03 keeps the filters from blowing up what is left.
        """
        patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        patches = patches - patches.mean(0)
        values, vectors = np.linalg.eigh(np.cov(patches.numpy().T))
        filters = torch.from_numpy((vectors / np.sqrt(values + 0.03)).T[::-1].copy()).float().view(12, 3, 2, 2)
        self.whiten.weight.data = torch.cat([filters, -filters])
        self.whiten.bias.data.zero_()

    def maps(self, x):
        x = F.relu(self.whiten(x))
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, x):
        return self.head(self.maps(x).mean((2, 3)))


class Muon:
    """Momentum whose step is replaced by the nearest orthogonal matrix; each filter bank keeps a fixed norm."""

    def __init__(self, params, momentum=0.7):
        self.params, self.lr, self.momentum = list(params), 0.0, momentum
        self.buffers = [torch.zeros_like(p) for p in self.params]

    @staticmethod
    def orthogonal(g, steps=4):
        a, b, c = 3.4445, -4.7750, 2.0315
        x = g.reshape(len(g), -1).bfloat16()
        x = x / (x.norm() + 1e-7)
        tall = x.shape[0] > x.shape[1]
        x = x.T.contiguous() if tall else x
        for _ in range(steps):
            m = x @ x.T
            x = a * x + (b * m + c * (m @ m)) @ x
        return (x.T if tall else x).float().reshape(g.shape)

    @torch.no_grad()
    def step(self):
        for p, buf in zip(self.params, self.buffers):
            buf.mul_(self.momentum).add_(p.grad)
            p.mul_(len(p) ** 0.5 / p.norm())
            p.add_(self.orthogonal(p.grad.add(buf, alpha=self.momentum)), alpha=-self.lr)
            p.grad = None


class Average:
    """Running average of the weights over about two epochs: a usable network at any time of the training."""

    def __init__(self, net, share=0.005):
        self.net, self.share = copy.deepcopy(net), share

    @torch.no_grad()
    def update(self, net):
        for mean, p in zip(self.net.parameters(), net.parameters()):
            mean.lerp_(p, self.share)


def warp(x, row_x, row_y):
    """The pictures seen through affine maps, whose two rows have a number for each picture in each of three places."""
    theta = torch.stack([torch.stack(row_x, 1), torch.stack(row_y, 1)], 1)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


class Augment:
    """uint8 batches -> normalised, augmented float batches.

    CIFAR's pictures are 32x32 JPEGs, but users send photos that were reduced from something larger: the zoom, colour
    and blur/sharpen parts keep the network from relying on the look of a thumbnail.
    """

    def __init__(self, count, generator):
        self.first_flip = torch.rand(count, generator=generator) < 0.5
        self.gen = generator
        self.mean = torch.tensor(MEAN).view(1, 3, 1, 1)
        self.std = torch.tensor(STD).view(1, 3, 1, 1)

    def uniform(self, n, low, high):
        return low + (high - low) * torch.rand(n, generator=self.gen)

    def some(self, n, share):
        return (torch.rand(n, generator=self.gen) < share).nonzero()[:, 0]

    def window(self, x, size, reach=3):
        """A square of the picture, mirrored at its borders by up to `reach` pixels."""
        n = len(x)
        padded = F.pad(x, (reach,) * 4, mode="reflect")
        top, left = torch.randint(0, padded.shape[-1] - size + 1, (2, n), generator=self.gen)
        rows = (top[:, None] + torch.arange(size)).view(n, 1, size, 1)
        cols = (left[:, None] + torch.arange(size)).view(n, 1, 1, size)
        return padded[torch.arange(n).view(n, 1, 1, 1), torch.arange(3).view(1, 3, 1, 1), rows, cols]

    def zoom(self, x):
        n = len(x)
        angle = self.uniform(n, -0.15, 0.15)
        scale = torch.exp(self.uniform(n, -0.25, 0.25))
        stretch = torch.exp(self.uniform(n, -0.12, 0.12))
        cos, sin, zero = scale * angle.cos(), scale * angle.sin(), torch.zeros(n)
        return warp(x, [cos * stretch, -sin, zero], [sin, cos / stretch, zero])

    def colour(self, x):
        n = (len(x), 1, 1, 1)
        gray = x.mean(1, keepdim=True)
        x = gray + (x - gray) * self.uniform(n, 0.5, 1.5)
        level = x.mean((1, 2, 3), keepdim=True)
        x = level + (x - level) * self.uniform(n, 0.75, 1.3) + self.uniform(n, -0.12, 0.12)
        return x.clamp(0, 1)

    def sharpness(self, x):
        kernel = torch.tensor([[1., 2, 1], [2, 4, 2], [1, 2, 1]]).div(16).expand(3, 1, 3, 3)
        blurred = F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), kernel, groups=3)
        return (x + (blurred - x) * self.uniform((len(x), 1, 1, 1), -0.8, 1.0)).clamp(0, 1)

    def geometry(self, x):
        """One of two shears, rotation, shift, zoom and stretch, of any strength: as in TrivialAugment (Müller and
        Hutter, arXiv:2103.10158), and so `light`."""
        n = len(x)
        kind = torch.randint(0, 6, (n,), generator=self.gen)
        u = self.uniform(n, -1, 1)
        shear_x, shear_y, angle, shift, scale, stretch = (
            most * u * (kind == k) for k, most in enumerate((0.45, 0.45, 0.55, 0.35, 0.35, 0.3)))
        scale, stretch = scale.exp(), stretch.exp()
        cos, sin = scale * angle.cos(), scale * angle.sin()
        sideways = (torch.rand(n, generator=self.gen) < 0.5).float()
        return warp(x, [cos * stretch, shear_x - sin, shift * sideways],
                    [shear_y + sin, cos / stretch, shift * (1 - sideways)])

    def light(self, x):
        """One of brightness, contrast, colour, channel gains, auto-contrast, solarise, posterise."""
        n = len(x)
        kind = torch.randint(0, 7, (n,), generator=self.gen)
        u = self.uniform((n, 1, 1, 1), -1, 1)
        mean = x.mean((1, 2, 3), keepdim=True)
        gray = x.mean(1, keepdim=True)
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        gains = self.uniform((n, 3, 1, 1), -0.25, 0.25)
        step = (2 ** torch.randint(3, 7, (n, 1, 1, 1), generator=self.gen)).float()
        changed = torch.stack([x * (1 + 0.7 * u), mean + (x - mean) * (1 + 0.8 * u), gray + (x - gray) * (1 + u),
                               x * (1 + gains), (x - low) / (high - low).clamp(min=0.1),
                               torch.where(x > 1 - 0.6 * u.abs(), 1 - x, x), (x * step).floor() / step])
        return changed[kind, torch.arange(n)].clamp(0, 1)

    def hide_square(self, x, size=10):
        """Grey out a square, part of which may lie outside (DeVries and Taylor, arXiv:1708.04552)."""
        top, left = torch.randint(-size // 2, x.shape[-1] - size // 2, (2, len(x), 1), generator=self.gen)
        at = torch.arange(x.shape[-1])
        rows, cols = (at >= top) & (at < top + size), (at >= left) & (at < left + size)
        return x.masked_fill((rows[:, :, None] & cols[:, None, :])[:, None], 0)

    def __call__(self, images, index, epoch, size=32, hidden=0.0, strong=False):
        x = images[index].float().div_(255)
        flip = (self.first_flip[index] ^ bool(epoch % 2)).nonzero()[:, 0]
        x[flip] = x[flip].flip(-1)
        x = self.window(x, size)
        changes = (((self.geometry, 0.45), (self.light, 0.45), (self.sharpness, 0.15)) if strong else
                   ((self.zoom, 0.1), (self.colour, 0.1), (self.sharpness, 0.1)))
        for change, share in changes:
            chosen = self.some(len(x), share)
            if len(chosen):
                x[chosen] = change(x[chosen])
        x = (x - self.mean) / self.std
        chosen = self.some(len(x), hidden)
        x[chosen] = self.hide_square(x[chosen])
        return x.contiguous(memory_format=torch.channels_last)


def cutmix(x, target, gen):
    """A square of another picture pasted into each (Yun and others, arXiv:1905.04899)."""
    size = x.shape[-1]
    side = max(1, round(size * float(torch.rand(1, generator=gen)) ** 0.5))
    top, left = (int(v) for v in torch.randint(0, size - side + 1, (2,), generator=gen))
    square = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
    other = torch.randperm(len(x), generator=gen)
    mixed = x.clone(memory_format=torch.channels_last)
    mixed[square] = x[other][square]
    share = side * side / size / size
    return mixed, target * (1 - share) + target[other] * share


def normalise(images):
    x = images.float().div(255)
    x = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def accuracy(net, images, labels):
    """-> share of right answers: of the picture as it is, with its mirror image, with all views that `export` adds."""
    def both(x):
        mirrored = x.flip(-1).contiguous(memory_format=torch.channels_last)
        return net.maps(x).float() + net.maps(mirrored).float().flip(-1)

    right = [0, 0, 0]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for i in range(0, len(images), 500):
            x, label = normalise(images[i:i + 500]), labels[i:i + 500]
            pair, bordered = both(x), both(F.pad(x, (BORDER,) * 4, mode="reflect"))
            answers = net(x), *(net.head(maps.mean((2, 3))) for maps in (
                pair / 2, (pair + F.avg_pool2d(bordered, 2, 1)) / 4))
            right = [r + int((y.float().argmax(1) == label).sum()) for r, y in zip(right, answers)]
    return [r / len(images) for r in right]


def train(net, data, args):
    images, labels = data["train"]
    gen = torch.Generator().manual_seed(args.seed)
    augment = Augment(len(images), gen)
    muon = Muon([c.weight for b in net.blocks for c in b.convs])
    rest = torch.optim.Adam([{"params": [net.whiten.bias] + [n.bias for b in net.blocks for n in b.norms]},
                             {"params": list(net.head.parameters())}], betas=(0.9, 0.98))
    average = Average(net)
    steps = len(images) // args.batch
    first = 0
    if args.checkpoint.exists():
        state = torch.load(args.checkpoint)
        net.load_state_dict(state["net"])
        average.net.load_state_dict(state["average"])
        rest.load_state_dict(state["rest"])
        muon.buffers = state["muon"]
        gen.set_state(state["generator"])
        first = state["epoch"]
    start = time.time()
    for epoch in range(first, EPOCHS):
        leg, number = leg_of(epoch)
        order = torch.randperm(len(images), generator=gen)
        total = 0.0
        for step in range(steps):
            done = (number + step / steps) / leg.epochs
            muon.lr = leg.rate * min(1.0, done / leg.rise + 0.05) * (1 - done)
            for group, share in zip(rest.param_groups, (1 / 8, 1 / 16)):
                group["lr"] = share * muon.lr
            index = order[step * args.batch:(step + 1) * args.batch]
            strong = done < leg.strong
            size = next(size for size, end in leg.sizes if done < end)
            x = augment(images, index, epoch, size, args.hidden, strong)
            target = F.one_hot(labels[index], len(CLASSES)).float()
            if strong and torch.rand(1, generator=gen) < leg.cutmix:
                x, target = cutmix(x, target, gen)
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(x)
            loss = F.cross_entropy(logits.float(), target, label_smoothing=args.smoothing)
            loss.backward()
            muon.step()
            rest.step()
            rest.zero_grad(set_to_none=True)
            average.update(net)
            total += float(loss.detach())
        shown = ""
        if epoch % 5 == 4 or epoch == EPOCHS - 1:
            settle(average.net, images, args)
            shown = " test {:.4f} mirrored {:.4f} all views {:.4f}".format(*accuracy(average.net, *data["test"]))
        torch.save({"net": net.state_dict(), "average": average.net.state_dict(), "rest": rest.state_dict(),
                    "muon": muon.buffers, "generator": gen.get_state(), "epoch": epoch + 1}, args.checkpoint)
        print(f"epoch {epoch + 1} loss {total / steps:.4f} {time.time() - start:.0f} s{shown}", flush=True)
    net.load_state_dict(average.net.state_dict())
    net.eval()


def settle(net, images, args):
    """Replace the running batch-norm statistics of the last steps by those over a tenth of the training pictures."""
    augment = Augment(len(images), torch.Generator().manual_seed(args.seed))
    for norm in (n for b in net.blocks for n in b.norms):
        norm.reset_running_stats()
        norm.momentum = None
    net.train()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for part in torch.arange(0, len(images), 10).split(500):
            net(augment(images, part, 0))
    net.eval()


def folded(conv, norm):
    """Convolution and batch norm as one convolution. The scale is positive, so this also holds across a max pool."""
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    bias = (norm.bias - norm.running_mean * scale).detach()
    return (conv.weight.detach() * scale.view(-1, 1, 1, 1)).numpy(), bias.numpy()


def export(net, path):
    g = Graph("cifar10", [("image", ["N", 3, 32, 32])], [("logits", ["N", len(CLASSES)])])
    x = g.conv("whiten", "image", net.whiten.weight.detach().numpy(), net.whiten.bias.detach().numpy())
    x = g.node("Relu", "whiten_relu", [x])
    for number, block in enumerate(net.blocks, 1):
        name = f"block{number}_"
        weights = [folded(conv, norm) for conv, norm in zip(block.convs, block.norms)]
        x = g.conv(name + "conv1", x, *weights[0], pad=1)
        if block.pool:
            x = g.node("MaxPool", name + "pool", [x], kernel_shape=[2, 2], strides=[2, 2])
        x = skip = g.node("Relu", name + "relu1", [x])
        x = g.conv(name + "conv2", x, *weights[1], pad=1)
        x = g.node("Relu", name + "relu2", [x])
        x = g.conv(name + "conv3", x, *weights[2], pad=1)
        x = g.node("Add", name + "add", [x, skip])
        x = g.node("Relu", name + "relu3", [x])
    g.repeat("mirror_", "image", g.mirror("mirror", "image"))
    x = g.node("Add", "both", [x, g.mirror("mirror_back", "mirror_" + x)])
    border = g.constant("bordered.pads", [0, 0, BORDER, BORDER] * 2, np.int64)
    g.repeat("bordered_", "image", g.node("Pad", "bordered", ["image", border], mode="reflect"))
    # Four neighbours of its 8x8 positions have their middle where the picture as it is has one position of 7x7.
    aligned = g.node("AveragePool", "bordered_aligned", ["bordered_" + x], kernel_shape=[2, 2])
    x = g.node("Add", "views", [x, aligned])
    x = g.node("GlobalAveragePool", "global_pool", [x])
    x = g.node("Flatten", "flatten", [x])
    g.gemm("logits", x, net.head.weight.detach().numpy() / 4, net.head.bias.detach().numpy())
    g.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with cifar10.tar.gz")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--hidden", type=float, default=0.5, help="share of pictures with a hidden square")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--checkpoint", type=Path, default=Path("cifar10.pt"), help="written each epoch, resumed if there")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    data = load(args.data / "cifar10.tar.gz")
    net = Net().to(memory_format=torch.channels_last)
    net.init_whitening(normalise(data["train"][0][::10]))
    train(net, data, args)
    args.out.mkdir(parents=True, exist_ok=True)
    export(net, args.out / "model.onnx")
    write_model_json(args.out, CLASSES,
                     {"color": "RGB", "resize": {"mode": "shortest", "size": 32, "filter": "bilinear"},
                      "crop": [32, 32], "scale": 1 / 255, "mean": MEAN, "std": STD},
                     {"name": "logits", "activation": "softmax"})


if __name__ == "__main__":
    main()
