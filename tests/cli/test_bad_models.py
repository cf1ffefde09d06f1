#!/usr/bin/env python3
"""Models that cannot run: one row each, and what the program says of it.

    test_bad_models.py PROGRAM [unittest options]

Every subcommand that takes a model must end with status 2 and one line on stderr that names the file and the problem.
Needs Python's module onnx (Debian: python3-onnx).
"""
import os
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    from onnx import TensorProto, helper
except ImportError:
    sys.exit(77)

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "./cnnserve"
TIMEOUT = 120
MAX_RESIDENT_KIB = 1 << 20  # AddressSanitizer's own memory included; what the files ask for is far more


# ---- how they are built ----------------------------------------------------------------------------------------------

def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def weights(name, *shape):
    """A float32 initializer of zeros."""
    count = 1
    for extent in shape:
        count *= extent
    return helper.make_tensor(name, TensorProto.FLOAT, shape, bytes(4 * count), raw=True)


def ints(name, *numbers):
    return helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers)


def floats(name, *numbers):
    return helper.make_tensor(name, TensorProto.FLOAT, [len(numbers)], numbers)


def external(name, shape, **entries):
    """A float32 initializer whose data lies in another file."""
    t = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, text in entries.items():
        t.external_data.add(key=key, value=str(text))
    return t


def model(nodes, initializers=(), shape=(1, 3, 8, 8), opset=13, domains=(), outputs=("y",)):
    """An ONNX file: x of `shape` -> `nodes` -> outputs."""
    graph = helper.make_graph(nodes, "g", [value("x", shape)], [value(name, None) for name in outputs], initializers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def node(op, inputs="x", outputs="y", **attributes):
    """One node, named after its operator: `conv` is a Conv."""
    return helper.make_node(op, inputs.split(), outputs.split(), name=op.lower(), **attributes)


def one(op, *initializers, shape=(1, 3, 8, 8), opset=13, domains=(), **attributes):
    """x and the initializers -> one node -> y."""
    inputs = " ".join(["x", *(t.name for t in initializers)])
    return model([node(op, inputs, **attributes)], initializers, shape, opset, domains)


def conv(*shape, **attributes):
    return one("Conv", weights("w", *shape), **attributes)


def with_data(initializer):
    """x + an initializer."""
    return model([node("Add", "x w")], [initializer])


def of_shape(*numbers, op="ConstantOfShape"):
    """A tensor made of nothing but a shape that stands in the file, added to x."""
    return model([node(op, "s", "c"), node("Add", "x c")], [ints("s", *numbers)])


def field(number, content):
    """A protobuf field of bytes."""
    length, prefix = len(content), b""
    while length > 127:
        prefix, length = prefix + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + prefix + bytes([length]) + content


def deep():
    """If within If, 2000 times, written by hand because protobuf's own code gives up at a depth of 100."""
    graph = field(1, field(1, b"x") + field(2, b"y") + field(4, b"Relu"))
    for _ in range(2000):
        branch = field(1, b"then_branch") + field(6, graph) + b"\xa0\x01\x05"
        graph = field(1, field(2, b"y") + field(4, b"If") + field(5, branch))
    return b"\x08\x08" + field(7, graph + field(12, field(1, b"y"))) + field(8, b"\x10\x0d")


def cycle():
    return model([node("Add", "x b", "a"), node("Relu", "a", "b")], outputs=("b",))


SOUND = model([node("Conv", "x w")], [weights("w", 4, 3, 3, 3)])
ELSEWHERE = "secret.bin"  # lies beside the folder of the models, 1 KiB
BESIDE = "weights.bin"    # within the folder, 1 KiB

# ---- what is said ----------------------------------------------------------------------------------------------------

# (name, content of the file, what the line holds)
ROWS = [
    # The file as a whole.
    ("empty", b"", ["the file is empty"]),
    ("text", b"this is no model\n", ["not in ONNX format"]),
    ("git lfs pointer", b"version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
    ("half", SOUND[:len(SOUND) // 2], ["cut short or damaged", f"its {len(SOUND) // 2} bytes"]),
    ("one byte short", SOUND[:-1], ["damaged"]),
    ("no graph", b"\x08\x08", ["holds no graph"]),
    ("no outputs", model([node("Relu")], outputs=()), ["no outputs"]),
    ("deep nesting", deep(), ["'y'", "If"]),

    # Operators.
    ("unknown operator", one("Convv"), ["node 'convv'", "Convv", "ai.onnx", "version 13", "there is Conv"]),
    ("operator of another version", one("Upsample"), ["node 'upsample'", "Upsample", "version 13", "7 to 10"]),
    ("operator of a known foreign domain", one("Relu", domain="com.example", domains=["com.example"]),
     ["node 'relu'", "Relu", "domain com.example", "version 1", "there is Relu of domain ai.onnx"]),
    ("domain without import", one("Relu", domain="com.example"), ["'relu'", "com.example", "does not import"]),
    ("opset too new", one("Relu", opset=99), ["operator set 99", "6 to 28"]),
    ("opset too old", one("Relu", opset=1), ["operator set 1", "6 to 28"]),
    ("control flow", one("If", then_branch=helper.make_graph([node("Relu")], "g", [], [])), ["node 'if'", "If"]),

    # How nodes are connected.
    ("cycle", cycle(), ["depends on its own result"]),
    ("own input", model([node("Add", "x y")]), ["'add'", "depends on its own result"]),
    ("duplicate output", model([node("Relu"), node("Abs")]), ["output 'y'", "taken"]),
    ("duplicate initializer", model([node("Add", "x w")], [weights("w", 1), weights("w", 1)]), ["'w'", "taken"]),
    ("missing input", model([node("Add", "x nowhere")]), ["node 'add'", "'nowhere'"]),
    ("output that nobody makes", model([node("Relu")], outputs=("z",)), ["output 'z'", "no node makes it"]),
    ("too few inputs", one("Conv"), ["node 'conv'", "Conv takes 2 to 3 inputs, the node has 1"]),

    # Shapes that do not fit.
    ("rank of weights", conv(4, 3, 3), ["Conv 'conv'", "weight has 3 dimensions"]),
    ("channels", conv(4, 5, 3, 3), ["Conv 'conv'", "3", "5"]),
    ("groups", conv(4, 1, 3, 3, group=2), ["Conv 'conv'", "2"]),
    ("bias", one("Conv", weights("w", 4, 3, 3, 3), weights("b", 5)), ["Conv 'conv'", "5"]),
    ("window larger than the picture", conv(4, 3, 9, 9), ["Conv 'conv'", "9"]),
    ("matrix product", one("MatMul", weights("w", 5, 2), shape=(1, 4)), ["MatMul 'matmul'", "4", "5"]),
    ("general matrix product", one("Gemm", weights("w", 5, 2), shape=(1, 4)), ["Gemm 'gemm'", "4", "5"]),
    ("broadcast", one("Add", weights("w", 5)), ["Add 'add'", "1x3x8x8", "5"]),
    ("concatenation", model([node("Concat", "x w", axis=1)], [weights("w", 1, 3, 8, 7)]), ["Concat 'concat'"]),
    ("reshape to other elements", one("Reshape", ints("s", 1, 7)), ["Reshape 'reshape'", "1x7"]),
    ("axis", one("Softmax", axis=4), ["Softmax 'softmax'", "4"]),
    ("perm", one("Transpose", perm=[0, 1, 1, 2]), ["Transpose 'transpose'", "perm"]),

    # Sizes that are no sizes.
    ("negative kernel", one("MaxPool", kernel_shape=[-1, 2]), ["MaxPool 'maxpool'", "kernel_shape", "-1"]),
    ("stride 0", one("AveragePool", kernel_shape=[2, 2], strides=[0, 1]), ["'averagepool'", "strides"]),
    ("dilation 0", conv(4, 3, 3, 3, dilations=[0, 0]), ["Conv 'conv'", "dilations"]),
    ("group 0", conv(4, 3, 3, 3, group=0), ["Conv 'conv'", "group"]),
    ("negative reshape", one("Reshape", ints("s", 1, -5)), ["Reshape 'reshape'", "-5"]),
    ("negative shape", of_shape(-4), ["ConstantOfShape 'constantofshape'", "-4"]),
    ("huge pads", conv(4, 3, 3, 3, pads=[2**62] * 4), ["Conv 'conv'", "pads"]),
    ("negative pads", conv(4, 3, 3, 3, pads=[-2**62] * 4), ["Conv 'conv'", "pads"]),
    ("pads of Pad", one("Pad", ints("p", 0, 0, 2**40, 0, 0, 0, 0, 0)), ["Pad 'pad'"]),
    ("scales of Resize", one("Resize", weights("roi", 0), floats("s", 1, 1, 1e9, 1e9)),
     ["Resize 'resize'", "scales[2]"]),
    ("scales that are no numbers", one("Resize", weights("roi", 0), floats("s", 1, 1, float("nan"), 1)),
     ["Resize 'resize'", "scales[2]"]),

    # Absurd extents.
    ("input extent", model([node("Relu")], shape=(1, 2**62)), ["input 'x'", str(2**62), str(2**31)]),
    ("input rank", model([node("Relu")], shape=(1,) * 100), ["input 'x'", "100 dimensions"]),
    ("initializer extent", with_data(TensorProto(name="w", data_type=1, dims=[2**62])), ["'w'", str(2**62)]),
    ("initializer of 2^80 elements", with_data(TensorProto(name="w", data_type=1, dims=[2**20] * 4)),
     ["'w'", "larger"]),
    ("negative initializer extent", with_data(TensorProto(name="w", data_type=1, dims=[-3])), ["'w'", "-3"]),
    ("input of 2^62 elements", one("Relu", shape=(1, 2**31, 2**31)), ["input 'x'", "1x2147483648x2147483648"]),
    ("output extent of a convolution", conv(4, 3, 1, 1, pads=[2**31] * 4), ["Conv 'conv'", str(2**32 + 8), "axis 2"]),
    ("output of a convolution", conv(4, 3, 1, 1, pads=[2**20] * 4), ["Conv 'conv'", "1x4x2097160x2097160"]),
    ("transposed convolution", one("ConvTranspose", weights("w", 3, 4, 2, 2), strides=[2**30, 2**30]),
     ["ConvTranspose 'convtranspose'", "axis 2"]),
    ("output_shape", one("ConvTranspose", weights("w", 3, 4, 2, 2), output_shape=[2**40, 2]),
     ["ConvTranspose 'convtranspose'", "output_shape", str(2**40)]),
    ("constant of 2^40 elements", of_shape(2**20, 2**20), ["1048576x1048576"]),
    ("constant of 2^62 elements", of_shape(2**62), [str(2**62)]),
    ("expanded", one("Expand", ints("s", 2**20, 3, 2**20, 2**20)), ["Expand 'expand'"]),
    ("tiled", one("Tile", ints("s", 2**30, 2**30, 1, 1)), ["Tile 'tile'"]),
    ("range", model([node("Range", "a b c", "r"), node("Add", "x r")], [
        helper.make_tensor(name, TensorProto.INT64, [], [number]) for name, number in
        zip("abc", (0, 2**62, 1))]), ["Range 'range'"]),

    ("one-hot", model([node("OneHot", "i d v", "h"), node("Add", "x h")], [
        ints("i", 0, 1), ints("d", 2**40), floats("v", 0, 1)]), ["OneHot 'onehot'", str(2**40)]),
    ("regions", one("MaxRoiPool", weights("r", 1, 5), pooled_shape=[2**31, 2**31]), ["MaxRoiPool 'maxroipool'"]),
    ("adaptive pooling", one("AdaptiveAveragePool", domain="ai.cnnserve", domains=["ai.cnnserve"],
                             output_size=[2**31, 2**31]), ["AdaptiveAveragePool 'adaptiveaveragepool'"]),
    ("pyramid", one("SpatialPyramidPool", domain="ai.cnnserve", domains=["ai.cnnserve"], levels=[2**31] * 8),
     ["SpatialPyramidPool 'spatialpyramidpool'"]),

    # Attributes.
    ("a million extents", one("MaxPool", kernel_shape=[2] * 10**6), ["MaxPool 'maxpool'", "kernel_shape", "1000000"]),
    ("a million axes", one("Squeeze", ints("axes", *[0] * 10**6)), ["Squeeze 'squeeze'"]),
    ("a thousand attributes", one("Relu", **{f"a{i}": i for i in range(1000)}), ["node 'relu'", "1000 attributes"]),
    ("attribute of another type", one("MaxPool", kernel_shape="2x2"), ["MaxPool 'maxpool'", "kernel_shape"]),
    ("attribute missing", one("MaxPool"), ["MaxPool 'maxpool'", "kernel_shape"]),
    ("unknown mode", one("MaxPool", kernel_shape=[2, 2], auto_pad="SAME"), ["MaxPool 'maxpool'", "auto_pad", "SAME"]),

    # Data of initializers.
    ("data too short", with_data(TensorProto(name="w", data_type=1, dims=[3, 8, 8], raw_data=bytes(100))),
     ["initializer 'w'", "768 bytes", "the file has 100"]),
    ("data too long", with_data(TensorProto(name="w", data_type=1, dims=[1], float_data=[1, 2])),
     ["initializer 'w'", "1 elements", "the file has 2"]),
    ("element type", with_data(TensorProto(name="w", data_type=15, dims=[1])), ["'w'", "complex128"]),
    ("element type that is none", with_data(TensorProto(name="w", data_type=77, dims=[1])), ["'w'", "77"]),

    # External data.
    ("no external file", with_data(external("w", [8], location="gone.bin")), ["'w'", "gone.bin", "No such file"]),
    ("no location", with_data(external("w", [8])), ["'w'", "no location"]),
    ("external data outside", with_data(external("w", [8], location=f"../{ELSEWHERE}")),
     ["'w'", f"../{ELSEWHERE}", "'..'"]),
    ("absolute path", with_data(external("w", [8], location="/etc/hostname")), ["'w'", "/etc/hostname", "relative"]),
    ("link that leads outside", with_data(external("w", [8], location="link.bin")), ["'w'", "link.bin", "outside"]),
    ("a folder as data", with_data(external("w", [8], location=".")), ["'w'", "not a regular file"]),
    ("a FIFO as data", with_data(external("w", [8], location="fifo")), ["'w'", "not a regular file"]),
    ("offset beyond the end", with_data(external("w", [8], location=BESIDE, offset=2**40)),
     ["'w'", str(2**40), "1024"]),
    ("end beyond the end", with_data(external("w", [8], location=BESIDE, offset=1000)), ["'w'", "1000", "1024"]),
    ("length that differs", with_data(external("w", [8], location=BESIDE, length=31)), ["'w'", "31 bytes", "32"]),
    ("offset that is no number", with_data(external("w", [8], location=BESIDE, offset="-1")), ["'w'", "offset '-1'"]),
    ("external data of 2 TiB", with_data(external("w", [2**20, 2**19], location=BESIDE)), ["'w'"]),
]


class BadModels(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="cnnserve-bad-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "models"
        self.folder.mkdir()
        (self.folder / BESIDE).write_bytes(bytes(1024))
        (self.folder.parent / ELSEWHERE).write_bytes(bytes(1024))
        (self.folder / "link.bin").symlink_to(f"../{ELSEWHERE}")
        os.mkfifo(self.folder / "fifo")

    def check(self, path, parts, *arguments):
        """One line on stderr that names the file and holds the parts, nothing on stdout, status 2."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CNNSERVE_")}
        done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=TIMEOUT, env=clean)
        text = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (2, b""), text[:2000])
        self.assertRegex(text, r"\Acnnserve: [^\n]+\n\Z")
        self.assertLess(len(text), 700)
        line = text.replace(str(self.folder.parent), "")
        for part in (path.name, *parts):
            self.assertIn(part, line)

    def test_each(self):
        for number, (name, content, parts) in enumerate(ROWS):
            with self.subTest(name):
                path = self.folder / f"m{number}.onnx"
                path.write_bytes(content)
                self.check(path, parts, "inspect", path)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, MAX_RESIDENT_KIB)

    def test_every_subcommand(self):
        for name, content, parts in ROWS:
            if name not in ("half", "cycle", "matrix product", "negative kernel", "output of a convolution"):
                continue
            path = self.folder / "m.onnx"
            path.write_bytes(content)
            for arguments in (("classify", path, "photo.png"), ("bench", path),
                              ("serve", "--port", "0", "--model", f"m={path}")):
                with self.subTest(f"{arguments[0]}: {name}"):
                    # What MatMul multiplies is no picture, and that is said first.
                    self.check(path, parts if name != "matrix product" or arguments[0] == "bench" else [], *arguments)

    def test_what_is_no_file(self):
        (self.folder / "folder.onnx").mkdir()
        (self.folder / "folder.onnx/model.onnx").mkdir()
        (self.folder / "loop.onnx").symlink_to("loop.onnx")
        for name, part in (("gone.onnx", "neither a file nor a folder"), ("folder.onnx", "holds neither model.onnx"),
                           ("folder.onnx/model.onnx", "holds neither model.onnx"), ("fifo", "not a regular file"),
                           ("loop.onnx", "Too many levels of symbolic links")):
            with self.subTest(name):
                self.check(self.folder / name, [part], "inspect", self.folder / name)


if __name__ == "__main__":
    unittest.main()
