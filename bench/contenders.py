#!/usr/bin/env python3
"""The engines that engines.py compares, and the process that each of them runs in.

    contenders.py NAME FOLDER THREADS

loads the model of a test folder, computes its output once and prints how far that is off, over the largest number that is
expected. Then it prints the median, in ms, of as many runs as each line of standard input says.

An engine is made from a folder, the input and a number of threads; `run()` computes, and `output()` is what it computed.
As a picture arrives anew for each request, a timed run begins with writing the input to where the engine has it,
`input`. All compute with fp32, and are set as their makers advise for the latency of one image.
"""
import ctypes
import statistics
import subprocess
import sys
import time
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "cnnserve"
LIBRARY = ROOT / "build" / "release" / "engine" / "libcnn.so"

sys.path.insert(0, str(ROOT / "tests" / "golden"))
import compare


class Engine:
    @classmethod
    def version(cls):
        return installed(cls.package)

    def answer(self):
        np.copyto(self.input, self.x)
        self.run()

    def time(self, iterations):
        """The median in ms, after a fifth of the runs to warm up."""
        for _ in range(1 + iterations // 5):
            self.answer()
        times = []
        for _ in range(iterations):
            start = time.perf_counter()
            self.answer()
            times.append((time.perf_counter() - start) * 1000)
        return statistics.median(times)


class CnnServe(Engine):
    name = "cnnserve"

    @staticmethod
    def version():
        """With the last change of the engine, where there is Git's history."""
        number = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        log = subprocess.run("git log -1 --format=' (%h)' -- engine", shell=True, cwd=ROOT, capture_output=True, text=True)
        return number + log.stdout.rstrip()

    def __init__(self, folder, x, threads):
        self.library = compare.Library(str(LIBRARY), threads)
        self.session = compare.Session(self.library, self.library.load(folder / "model.onnx"), x)
        self.run = self.session.run  # which writes the input, as an earlier run may have overwritten it

    def answer(self):
        self.run()

    def output(self):
        return self.session.output(0)

    def time(self, iterations):
        """On one of the engine's threads, as the server does."""
        times = []
        task = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: times.append(Engine.time(self, iterations)))
        self.library.lib.cnn_runtime_run(self.library.runtime, task, None)
        return times[0]


class OnnxRuntime(Engine):
    name = "ONNX Runtime"
    package = "onnxruntime"

    def __init__(self, folder, x, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self.x, self.input = x, x.copy()
        self.binding = session.io_binding()
        self.binding.bind_cpu_input(session.get_inputs()[0].name, self.input)
        self.binding.bind_output(session.get_outputs()[0].name)
        self.run = lambda: session.run_with_iobinding(self.binding)

    def output(self):
        return self.binding.copy_outputs_to_cpu()[0]


class OpenVino(Engine):
    name = "OpenVINO"
    package = "openvino"

    def __init__(self, folder, x, threads):
        import openvino

        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self.request = openvino.Core().compile_model(folder / "model.onnx", "CPU", options).create_infer_request()
        self.x, self.input = x, x.copy()
        self.request.set_input_tensor(openvino.Tensor(self.input, shared_memory=True))
        self.run = lambda: self.request.infer(share_outputs=True)

    def output(self):
        return self.request.get_output_tensor().data


class Ncnn(Engine):
    name = "ncnn"
    package = "ncnn"

    @staticmethod
    def convert(folder, shape):
        """By pnnx, the tool of ncnn, into model.ncnn.param and model.ncnn.bin; the other files that it writes go."""
        # Only the program is used: the Python module that it comes in would need PyTorch.
        pnnx = Path(find_spec("pnnx").submodule_search_locations[0]) / "pnnx"
        others = [f"{name}=/dev/null" for name in ("pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx", "ncnnpy")]
        subprocess.run([pnnx, "model.onnx", f"inputshape=[{','.join(map(str, shape))}]", "fp16=0", *others], cwd=folder,
                       capture_output=True, check=True)
        (folder / "model.pnnxsim.onnx").unlink(missing_ok=True)

    def __init__(self, folder, x, threads):
        import ncnn

        self.mat = ncnn.Mat(x[0]).clone()
        self.x, self.input = x[0], np.array(self.mat, copy=False)
        # Packed layouts make most networks faster, but ConvNeXt eight times slower.
        self.net = min([self.load(folder, threads, packing) for packing in (True, False)], key=self.trial)

    @staticmethod
    def load(folder, threads, packing):
        import ncnn

        net = ncnn.Net()  # Winograd's algorithm, sgemm and the light mode are on by default, and measure best
        net.opt.num_threads = threads
        net.opt.use_packing_layout = packing
        for reduced in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(net.opt, f"use_{reduced}", False)
        if net.load_param(str(folder / "model.ncnn.param")) or net.load_model(str(folder / "model.ncnn.bin")):
            sys.exit("it does not load what pnnx made")
        return net

    def trial(self, net):
        self.net = net
        return self.time(3)

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input("in0", self.mat)
        self.result = extractor.extract("out0")[1]

    def output(self):
        return np.array(self.result)[None]


ENGINES = [CnnServe, OnnxRuntime, OpenVino, Ncnn]


def main():
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    data = folder / "test_data_set_0"
    x, want = (numpy_helper.to_array(onnx.load_tensor(data / file)) for file in ("input_0.pb", "output_0.pb"))
    engine = next(e for e in ENGINES if e.name == name)(folder, x, threads)
    engine.run()
    print(compare.difference(engine.output(), want, 1, 1)[1], flush=True)
    for line in sys.stdin:
        print(engine.time(int(line)), flush=True)


if __name__ == "__main__":
    main()
