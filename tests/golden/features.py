#!/usr/bin/env python3
"""Compares feature maps with ONNX Runtime's: ten tensors of SqueezeNet, and of a ResNet-18 with batch normalisation.

    PYTHON tests/golden/features.py [CNNSERVE]

A picture goes through `cnnserve classify`, once for all ten tensors and once for each alone; ONNX Runtime, without its
rewrites and with the tensors added as outputs, gets the input that cnnserve says it has fed. SqueezeNet is that of the
test data (CNNSERVE_TEST_DATA) and is left out where there is none. Exit status 1 if a tensor is further off than rtol
1e-3; where numbers cancel each other out, 1e-5 of the tensor's largest is allowed. PYTHON has torch, torchvision, onnx and
onnxruntime.
"""
import base64
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

warnings.filterwarnings("ignore")

import numpy as np
import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent.parent
RTOL, ATOL = 1e-3, 1e-5  # ATOL times the largest magnitude of the tensor
SQUEEZENET = ["conv1_1", "pool1_1", "fire2/squeeze1x1_1", "fire2/concat_1", "pool3_1", "fire5/expand3x3_1",
              "fire6/concat_1", "fire9/concat_2", "conv10_1", "pool10_1"]
# Of ResNet-18: the n-th output of these operators, from 0.
RESNET = [("Conv", 0), ("BatchNormalization", 0), ("Relu", 0), ("MaxPool", 0), ("Conv", 2), ("BatchNormalization", 2),
          ("Add", 0), ("Conv", 7), ("Add", 5), ("GlobalAveragePool", 0)]


def resnet18(path):
    """With the statistics of random images, somewhat disturbed, and batch normalisations left as they are."""
    import torch
    import torchvision

    torch.manual_seed(1)
    model = torchvision.models.resnet18(weights=None)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.2)
            norm.momentum = 1
        model(torch.randn(4, 3, 224, 224))
        for norm in norms:
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_var)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
    torch.onnx.export(model.eval(), torch.zeros(1, 3, 224, 224), str(path), opset_version=13,
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


def chosen(model, places):
    nodes = onnx.load(model).graph.node
    return [[n.output[0] for n in nodes if n.op_type == op][i] for op, i in places]


def random_png(path, width=300, height=260):
    """Squares of random colours, so that every convolution has something to see."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rng = random.Random(1)
    squares = [[rng.randbytes(3) for _ in range(0, width, 10)] for _ in range(0, height, 10)]
    rows = b"".join(b"\0" + b"".join(color * 10 for color in squares[y // 10]) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def features(program, model, picture, names):
    """{name: array without the batch axis}, as cnnserve gives them."""
    done = subprocess.run([program, "classify", model, picture, "--top", "0", "--features", ",".join(names),
                           "--feature-format", "base64", "--format", "json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr or done.stdout)
    found = json.loads(done.stdout)["features"]
    return {name: np.frombuffer(base64.b64decode(f["data_base64"]), "<f4").reshape(f["shape"]) for name, f in found.items()}


def reference(path, x, names):
    model = onnx.load(path)
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: x[None]})))


def check(program, title, model, file, names, picture):
    """How many of the tensors are wrong."""
    assert len(set(names)) == 10, names
    graph = onnx.load(file).graph
    feed = next(i.name for i in graph.input if i.name not in {w.name for w in graph.initializer})
    together = features(program, model, picture, [feed, *names])
    wanted = reference(file, together[feed], names)
    failed = 0
    for name in names:
        want, alone = wanted[name][0], features(program, model, picture, [name])[name]
        largest = np.abs(want).max()
        assert np.isfinite(want).all() and np.ptp(want) > 1e-3 * largest, name
        off = max(np.abs(got - want).max() for got in (together[name], alone))
        good = all(got.shape == want.shape and np.allclose(got, want, RTOL, ATOL * largest) for got in (together[name], alone))
        failed += not good
        print(f"{'ok' if good else 'FAIL':5} {title} {name} {'x'.join(map(str, want.shape))}: off by {off:.1e} of {largest:.3g}")
    return failed


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/cnnserve")
    squeezenet = Path(os.environ.get("CNNSERVE_TEST_DATA", "")) / "models" / "squeezenet1.1"
    failed = 0
    with tempfile.TemporaryDirectory(prefix="features-") as scratch:
        picture, resnet = Path(scratch) / "squares.png", Path(scratch) / "resnet18.onnx"
        random_png(picture)
        if (squeezenet / "model.onnx").exists():
            failed += check(program, "SqueezeNet", squeezenet, squeezenet / "model.onnx", SQUEEZENET, picture)
        else:
            print("skipped: SqueezeNet, CNNSERVE_TEST_DATA does not name the test data")
        resnet18(resnet)
        failed += check(program, "ResNet-18", resnet, resnet, chosen(resnet, RESNET), picture)
    print(f"{failed} tensors are wrong" if failed else "All tensors are as ONNX Runtime has them")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
