#!/usr/bin/env python3
"""Write the built-in `line-detector` model: one convolution that answers to vertical lines, and three poolings of it.

    python3 line_detector.py --out ../line-detector
"""
import argparse
from pathlib import Path

import numpy as np

from export import Graph, write_model_json

KERNEL = [[0, 1, 0], [0, 1, 0], [0, 1, 0]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    args = parser.parse_args()

    half = ["N", 1, "H_pooled", "W_pooled"]
    g = Graph("line-detector", [("image", ["N", 1, "H", "W"])],
              [("global_max", ["N", 1, 1, 1]), ("average_pool", half), ("max_pool", half)])
    g.conv("conv", "image", np.array(KERNEL, dtype=np.float32).reshape(1, 1, 3, 3), trained=False)
    g.node("Relu", "map", ["conv"])
    g.node("AveragePool", "average_pool", ["map"], kernel_shape=[2, 2], strides=[2, 2])
    g.node("MaxPool", "max_pool", ["map"], kernel_shape=[2, 2], strides=[2, 2])
    g.node("GlobalMaxPool", "global_max", ["map"])
    args.out.mkdir(parents=True, exist_ok=True)
    g.save(args.out / "model.onnx")
    write_model_json(args.out, ["vertical line"],
                     {"color": "GRAY", "resize": {"mode": "none"}, "scale": 1 / 255, "mean": [0], "std": [1]},
                     {"name": "global_max", "activation": "none"})


if __name__ == "__main__":
    main()
