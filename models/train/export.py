"""Small ONNX graphs, written node by node so that every tensor has a name worth asking for."""
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes are named after their output. Trained weights are int8 in the file, float32 once it is loaded."""

    def __init__(self, name, inputs, outputs):
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self.weights, self.nodes, self.initializers = [], [], []

    def node(self, op, output, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name, values, dtype=np.float32):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
        return name

    def trained(self, name, values):
        """Weights (C_out, ...), rounded to 1/127 of the largest of their output channel: NAME.int8 * NAME.scale."""
        scale = np.maximum(np.abs(values).reshape(len(values), -1).max(1), 1e-12) / 127
        steps = np.rint(values / scale.reshape((-1,) + (1,) * (values.ndim - 1)))
        inputs = [self.constant(name + ".int8", steps, np.int8), self.constant(name + ".scale", scale)]
        self.weights.append(helper.make_node("DequantizeLinear", inputs, [name], name=name, axis=0))
        return name

    def conv(self, output, x, weight, bias=None, pad=0, trained=True):
        inputs = [x, (self.trained if trained else self.constant)(output + ".weight", weight)]
        if bias is not None:
            inputs.append(self.constant(output + ".bias", bias))
        return self.node("Conv", output, inputs, kernel_shape=list(weight.shape[2:]), pads=[pad] * 4)

    def gemm(self, output, x, weight, bias):
        inputs = [x, self.trained(output + ".weight", weight), self.constant(output + ".bias", bias)]
        return self.node("Gemm", output, inputs, transB=1)

    def mirror(self, output, x):
        """(N, C, H, W) with left and right exchanged."""
        ends = {"starts": -1, "ends": -2 ** 31, "axes": 3, "steps": -1}
        inputs = [self.constant(f"{output}.{name}", [value], np.int64) for name, value in ends.items()]
        return self.node("Slice", output, [x] + inputs)

    def repeat(self, prefix, x, other):
        """All that was computed of x so far once more, with the same weights, of `other`; names get the prefix."""
        renamed = {x: other}
        for node in [node for node in self.nodes if node.output[0] != other]:
            again = onnx.NodeProto()
            again.CopyFrom(node)
            again.name = again.output[0] = renamed[node.output[0]] = prefix + node.output[0]
            del again.input[:]
            again.input.extend(renamed.get(name, name) for name in node.input)
            self.nodes.append(again)

    def save(self, path):
        def describe(values):
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values]
        graph = helper.make_graph(self.weights + self.nodes, self.name, describe(self.inputs), describe(self.outputs),
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
