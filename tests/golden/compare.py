#!/usr/bin/env python3
"""Runs the models of a test folder with libcnn and prints how far the outputs are from the expected ones, as JSON.

    compare.py LIBCNN.SO FOLDER [RTOL ATOL]

Like `cnnserve verify`, but with the size of the differences and with the steps that model.onnx became. Beside it there may
be model-N.onnx, the same in operator set N.
"""
import ctypes as c
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

# ---- the part of cnn.h that is needed ------------------------------------------------------------------------------


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("message", c.c_char * 512)]


class Shape(c.Structure):
    _fields_ = [("rank", c.c_int), ("dims", c.c_int64 * 8)]


class TensorInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("dtype", c.c_int), ("shape", Shape)]


class RuntimeOptions(c.Structure):
    _fields_ = [("threads", c.c_int), ("rest", c.c_void_p * 31)]  # zeros are defaults


class PlanOptions(c.Structure):
    _fields_ = [("input_shapes", c.POINTER(Shape)), ("rest", c.c_void_p * 15)]  # zeros are defaults


class StepInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("op", c.c_char_p), ("kernel", c.c_char_p), ("shape", Shape),
                ("macs", c.c_uint64)]


RESULTS = {"cnn_plan_output_count": c.c_size_t, "cnn_plan_output": TensorInfo, "cnn_plan_step_count": c.c_size_t,
           "cnn_plan_step": StepInfo, "cnn_session_input": c.c_void_p, "cnn_session_output": c.c_void_p,
           "cnn_session_run": None, "cnn_session_profile": None, "cnn_session_free": None, "cnn_plan_free": None,
           "cnn_runtime_run": None}


class Library:
    def __init__(self, path, threads=0):
        self.lib = c.CDLL(path)
        for name, result in RESULTS.items():
            getattr(self.lib, name).restype = result
        self.runtime = self.make("cnn_runtime_create", c.byref(RuntimeOptions(threads)))

    def make(self, function, *arguments):
        """Calls a function with the two last parameters `out` and `err`; returns what it made."""
        made, error = c.c_void_p(), Error()
        if getattr(self.lib, function)(*arguments, c.byref(made), c.byref(error)) != 0:
            raise RuntimeError(error.message.decode())
        return made

    def load(self, path):
        return self.make("cnn_model_load_file", self.runtime, str(path).encode())

    def run(self, model, x):
        """The outputs for `x`, and [operator, kernel, nanoseconds] of each step."""
        session = Session(self, model, x)
        steps = session.profiled()
        outputs = session.outputs()
        session.free()
        return outputs, steps


class Session:
    """A model that is ready to run on `x`, dense and row-major."""

    def __init__(self, library, model, x):
        self.lib, self.x, shape = library.lib, x, Shape(x.ndim, (c.c_int64 * 8)(*x.shape))
        self.plan = library.make("cnn_plan_create", model, c.byref(PlanOptions(c.pointer(shape))))
        self.session = library.make("cnn_session_create", self.plan)
        self.input = self.lib.cnn_session_input(self.session, c.c_size_t(0))

    def run(self):
        c.memmove(self.input, self.x.ctypes.data, self.x.nbytes)  # a run may overwrite it
        self.lib.cnn_session_run(self.session)

    def profiled(self):
        """Runs; [operator, kernel, nanoseconds] of each step."""
        infos = [self.lib.cnn_plan_step(self.plan, c.c_size_t(i)) for i in range(self.lib.cnn_plan_step_count(self.plan))]
        times = (c.c_uint64 * len(infos))()
        self.lib.cnn_session_profile(self.session, times)
        self.run()
        self.lib.cnn_session_profile(self.session, None)
        return [[info.op.decode(), info.kernel.decode(), time] for info, time in zip(infos, times)]

    def outputs(self):
        return [self.output(i) for i in range(self.lib.cnn_plan_output_count(self.plan))]

    def output(self, i):
        info = self.lib.cnn_plan_output(self.plan, c.c_size_t(i))
        shape = info.shape.dims[:info.shape.rank]
        result = np.empty(shape, onnx.helper.tensor_dtype_to_np_dtype(info.dtype))
        c.memmove(result.ctypes.data, self.lib.cnn_session_output(self.session, c.c_size_t(i)), result.nbytes)
        return result

    def free(self):
        self.lib.cnn_session_free(self.session)
        self.lib.cnn_plan_free(self.plan)


# ---- comparing -----------------------------------------------------------------------------------------------------


def difference(got, want, rtol, atol):
    """(largest absolute difference, that over the largest expected number, how many tolerances that is at most)"""
    assert got.shape == want.shape and got.dtype == want.dtype, f"{got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    assert np.isfinite(want).all(), "what is expected is not finite"
    largest, off = np.abs(want).max(), np.abs(got - want)
    assert 1e-4 < largest < 1e4, f"what is expected is out of range: at most {largest}"
    if len(want) > 1:
        spread = np.ptp(want, 0).max() / largest
        assert spread > 1e-2, f"what is expected is much the same for every image, {spread}"
    allowed = atol * min(1, largest) + rtol * np.abs(want)  # probabilities are held to more than logits
    worst = np.nan_to_num(off / allowed, nan=np.inf)
    return [float(off.max()), float(off.max() / largest), float(worst.max())]


def compare(library, model, data, rtol, atol):
    """The differences of each output, and the steps."""
    x = numpy_helper.to_array(onnx.load_tensor(data / "input_0.pb"))
    outputs, steps = library.run(model, x)
    wanted = [numpy_helper.to_array(onnx.load_tensor(data / f"output_{i}.pb")) for i in range(len(outputs))]
    return [difference(got, want, rtol, atol) for got, want in zip(outputs, wanted)], steps


def compare_file(library, path, rtol, atol):
    """What compare gives for the last data set, and the worst of all."""
    model = library.load(path)
    worst = []
    for data in sorted(path.parent.glob("test_data_set_*")):
        found, steps = compare(library, model, data, rtol, atol)
        worst += found
    return worst, steps


def opset_of(path):
    imports = onnx.load(path, load_external_data=False).opset_import
    return next(s.version for s in imports if s.domain in ("", "ai.onnx"))


def main():
    library, folder, rtol, atol = Library(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:] or (1e-3, 1e-4))
    worst, opsets = [], []
    for path in sorted(folder.glob("model-*.onnx")):
        worst += compare_file(library, path, rtol, atol)[0]
        opsets.append(opset_of(path))
    path = folder / "model.onnx"
    found, steps = compare_file(library, path, rtol, atol)
    worst += found
    file = onnx.load(path, load_external_data=False)
    time = sum(t for _, _, t in steps)
    print(json.dumps({
        "opsets": sorted([opset_of(path), *opsets]),
        "parameters": sum(int(np.prod(t.dims)) for t in file.graph.initializer if t.data_type == 1),
        "steps": len(steps),
        "absolute": max(w[0] for w in worst), "relative": max(w[1] for w in worst), "tolerances": max(w[2] for w in worst),
        "transposes": sum(n.op_type == "Transpose" for n in file.graph.node),
        "moves": sum(op in ("Transpose", "Reorder") or kernel == "copy" for op, kernel, _ in steps),
        "fallback": Counter(op for op, kernel, _ in steps if kernel == "eval"),
        "fallback_share": sum(t for _, kernel, t in steps if kernel == "eval") / max(time, 1),
        "milliseconds": time / 1e6,
    }))


if __name__ == "__main__":
    main()
