"""Small ONNX graphs, written node by node so that every tensor has a name worth asking for."""
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes are named after their output. Weights are stored as float16 and cast to float32 when the model loads."""

    def __init__(self, name, inputs, outputs):
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self.casts, self.nodes, self.initializers = [], [], []

    def node(self, op, output, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name, values, half=False):
        values = np.ascontiguousarray(values, dtype=np.float16 if half else np.float32)
        if not half:
            self.initializers.append(numpy_helper.from_array(values, name))
            return name
        self.initializers.append(numpy_helper.from_array(values, name + ".f16"))
        self.casts.append(helper.make_node("Cast", [name + ".f16"], [name], name=name, to=TensorProto.FLOAT))
        return name

    def conv(self, output, x, weight, bias=None, pad=0, half=True):
        inputs = [x, self.constant(output + ".weight", weight, half)]
        if bias is not None:
            inputs.append(self.constant(output + ".bias", bias))
        return self.node("Conv", output, inputs, kernel_shape=list(weight.shape[2:]), pads=[pad] * 4)

    def gemm(self, output, x, weight, bias):
        inputs = [x, self.constant(output + ".weight", weight, half=True), self.constant(output + ".bias", bias)]
        return self.node("Gemm", output, inputs, transB=1)

    def save(self, path):
        def describe(values):
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values]
        graph = helper.make_graph(self.casts + self.nodes, self.name, describe(self.inputs), describe(self.outputs),
                                  self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7,
                                  producer_name="cnnserve")
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())


def write_model_json(folder, labels, picture, output):
    """labels: class names in order, also written to labels.txt."""
    (folder / "labels.txt").write_text("".join(label + "\n" for label in labels))
    settings = {"labels": "labels.txt", "input": picture, "output": output, "precision": "fp32"}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in settings.items()]
    (folder / "model.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
