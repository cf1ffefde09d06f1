#!/usr/bin/env python3
"""What pooling makes of numbers.png (4 x 4 numbers): pool.py NODE... [NAME=NUMBERS...]

NODE is a call of onnx.helper.make_node that reads the picture as "x"; NAME=NUMBERS is another of its inputs, in JSON.
The nodes become a model, which build/cnnserve runs; printed are the outputs that no other node reads.
Needs the Python module onnx.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
SETTINGS = {"input": {"color": "GRAY", "resize": {"mode": "none"}, "scale": 1, "mean": [0], "std": [1]},
            "output": {"name": "score", "activation": "none"}}


def constant(text):
    name, numbers = text.split("=", 1)
    numbers = np.array(json.loads(numbers))
    return numpy_helper.from_array(numbers.astype(np.float32 if numbers.dtype.kind == "f" else np.int64), name)


def model_of(nodes, constants, names):
    """Has a score besides, because a classifier must, and `names` as outputs, because what leads to none is left out."""
    score = helper.make_node("GlobalMaxPool", ["x"], ["score"])
    graph = helper.make_graph([*nodes, score], "pooling",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
                              [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1, 1, 1]),
                               *(helper.make_empty_tensor_value_info(name) for name in names)], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17),
                                                                helper.make_opsetid("ai.cnnserve", 1)])


def features(model, names):
    """-> {name: {"shape", "data", ...}}"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.onnx").write_bytes(model.SerializeToString())
        (Path(folder) / "model.json").write_text(json.dumps(SETTINGS))
        run = subprocess.run(["build/cnnserve", "classify", folder, HERE / "numbers.png", "--features", ",".join(names),
                              "--format", "json"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr or run.stdout)
    return json.loads(run.stdout)["features"]


def show(name, feature):
    shape = feature["shape"]
    print(name, "x".join(str(extent) for extent in shape))
    rows = np.array(feature["data"], np.float32).reshape(-1, shape[-1])
    for row in rows:
        print("  [" + ", ".join(f"{number:.6g}" if abs(number) > 5e-7 else "0" for number in row) + "]")


def main():
    nodes = [eval(text, {"helper": helper}) for text in sys.argv[1:] if text.startswith("helper.")]
    constants = [constant(text) for text in sys.argv[1:] if not text.startswith("helper.")]
    read = {name for node in nodes for name in node.input}
    names = [name for node in nodes for name in node.output if name and name not in read]
    if not names:
        sys.exit(__doc__)
    found = features(model_of(nodes, constants, names), names)
    for name in names:
        show(name, found[name])


if __name__ == "__main__":
    main()
