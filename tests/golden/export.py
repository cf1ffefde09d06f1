#!/usr/bin/env python3
"""Writes one model as an ONNX test folder, from a JSON object as its only argument; golden.py calls it.

    {"exporter": "torchscript", "library": "torchvision", "model": "resnet18", "options": {}, "opsets": [17],
     "shapes": [[1, 3, 224, 224], ...], "dynamic": "batch", "pixels": false, "folder": "...", ...}

`model.onnx`, in the first of the operator sets, has random weights; model-N.onnx is the same network in operator set N.
For each of `shapes` there is a test_data_set_N with a random input and the outputs that ONNX Runtime computes. It runs in
the environment of its exporter, see setup.sh.
"""
import json
import os
import sys
import warnings
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3", HF_HUB_OFFLINE="1")
warnings.filterwarnings("ignore")

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, version_converter

SEED = 1
AXES = {"fixed": {}, "batch": {0: "batch"}, "size": {0: "batch", 2: "height", 3: "width"}}


def random_input(shape, case, rng):
    """Standard normal, or pixels from 0 to 255 for models that normalise them on their own."""
    x = rng.standard_normal(shape)
    return (np.clip(127 + 64 * x, 0, 255) if case["pixels"] else x).astype(np.float32)


def random_weight(old, rng):
    """For what its initialiser filled with one constant, so that no layer is empty or does nothing; else None."""
    if old.size < 2 or np.ptp(old) > 0:
        return None
    if old.ndim > 1 and max(old.shape) < old.size:  # a matrix or a bank of filters
        return rng.normal(0, (old.size / max(old.shape)) ** -0.5, old.shape)
    if old.flat[0] == 0:  # a bias
        return rng.normal(0, 0.2, old.shape)
    return rng.uniform(0.5, 1.5, old.shape) * (old.flat[0] if old.flat[0] > 0.1 else 0.3)  # or a scale of a branch


def disturbed(mean, variance, rng):
    """Statistics of a batch normalisation near the true ones, as training leaves them."""
    return mean + 0.1 * variance**0.5 * rng.standard_normal(mean.shape), variance * rng.uniform(0.8, 1.25, mean.shape)


# ---- PyTorch -----------------------------------------------------------------------------------------------------


def torch_model(case, rng):
    """Batch normalisations take their statistics from random images, which keeps the numbers in range."""
    import torch

    torch.manual_seed(SEED)
    if case["library"] == "torchvision":
        import torchvision

        # Their own initialisation is slow, and makes logits so large that an absolute tolerance says nothing.
        extra = {"init_weights": False} if case["model"] in ("googlenet", "inception_v3") else {}
        model = getattr(torchvision.models, case["model"])(weights=None, **extra, **case["options"])
    else:
        import timm

        model = timm.create_model(case["model"], **case["options"])
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for weight in model.parameters():
            new = random_weight(weight.numpy(), rng)
            if new is not None:
                weight.copy_(torch.from_numpy(new))
        for norm in norms:
            norm.train()
            norm.momentum = 1
        model(torch.from_numpy(random_input([4, *case["shapes"][0][1:]], case, rng)))
        for norm in norms:
            norm.eval()
            mean, variance = disturbed(norm.running_mean.numpy(), norm.running_var.numpy(), rng)
            norm.running_mean.copy_(torch.from_numpy(mean))
            norm.running_var.copy_(torch.from_numpy(variance))
    return model


def torchscript(case, rng):
    import torch

    model = torch_model(case, rng)

    def export(path, opset):
        # Not under no_grad: attention would take a short cut there that has no ONNX form.
        torch.onnx.export(model, torch.zeros(case["shapes"][0]), path, opset_version=opset, input_names=["input"],
                          dynamic_axes={"input": AXES[case["dynamic"]]})

    return export, f"torch.onnx (TorchScript), torch {torch.__version__.split('a')[0]}"


def dynamo(case, rng):
    import torch

    model = torch_model(case, rng)
    dynamic = ({axis: torch.export.Dim.DYNAMIC for axis in AXES[case["dynamic"]]},)
    example = torch.zeros([2, *case["shapes"][0][1:]])  # an extent of 1 would count as fixed

    def export(path, opset):
        torch.onnx.export(model, (example,), path, opset_version=opset, input_names=["input"], dynamo=True,
                          dynamic_shapes=dynamic, verbose=False)

    return export, f"torch.onnx (dynamo), torch {torch.__version__.split('+')[0]}"


# ---- Keras -------------------------------------------------------------------------------------------------------


def keras_model(case, rng):
    import keras

    keras.utils.set_random_seed(SEED)
    shape = (None, None, 3) if case["dynamic"] == "size" else case["shapes"][0][1:]
    model = getattr(keras.applications, case["model"])(weights=None, input_shape=shape, **case["options"])
    for weight in model.trainable_weights:
        new = random_weight(weight.numpy(), rng)
        if new is not None:
            weight.assign(new)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0
    model(random_input([4, *case["shapes"][0][1:]], case, rng), training=True)
    for norm in norms:
        mean, variance = disturbed(norm.moving_mean.numpy(), norm.moving_variance.numpy(), rng)
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)
    return model


def tf2onnx(case, rng):
    import tensorflow as tf
    import tf2onnx

    model = keras_model(case, rng)
    shape = [None if case["dynamic"] == "size" and i in (1, 2) else n for i, n in enumerate(case["shapes"][0])]
    shape[0] = None
    signature = [tf.TensorSpec(shape, tf.float32, name="input")]

    def export(path, opset):
        tf2onnx.convert.from_keras(model, signature, opset=opset, output_path=path)

    return export, f"tf2onnx {tf2onnx.__version__}, tensorflow {tf.__version__}"


# ---- the folder --------------------------------------------------------------------------------------------------


def data_sets(model, case, folder, rng):
    """Inputs, and outputs from ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Its rewrites are not always true to the file: it moves a Pad with zeros into a MaxPool, which pads with -infinity.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    for number, shape in enumerate(case["shapes"]):
        data = folder / f"test_data_set_{number}"
        data.mkdir(exist_ok=True)
        x = random_input(shape, case, rng)
        results = session.run(None, {session.get_inputs()[0].name: x})
        (data / "input_0.pb").write_bytes(numpy_helper.from_array(x).SerializeToString())
        for i, result in enumerate(results):
            (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(result).SerializeToString())


def main():
    case = json.loads(sys.argv[1])
    folder = Path(case["folder"])
    path = folder / "model.onnx"
    rng = np.random.default_rng(SEED)
    export, producer = globals()[case["exporter"]](case, rng)
    first, *others = case["opsets"]
    export(str(path), first)
    data_sets(path, case, folder, rng)  # what ONNX Runtime computes holds for every operator set
    for opset in others:
        other = str(folder / f"model-{opset}.onnx")
        if case["convert"]:
            onnx.save(version_converter.convert_version(onnx.load(path), opset), other)
        else:
            export(other, opset)
    if case["external"]:
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="model.data", size_threshold=0)
    (folder / "producer.txt").write_text(producer)


if __name__ == "__main__":
    main()
