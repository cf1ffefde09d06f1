#!/usr/bin/env python3
"""Compares the latency of one image through cnnserve and through other engines, fp32, on this machine.

    bench/setup.sh                                          once
    bench/.venv/bin/python bench/engines.py --threads 1     writes bench/results/engines-1-thread.md and .json

Each engine runs in a process of its own, the engines take turns (A B A B ...), and the median over the rounds of each
round's median counts, so that a machine that speeds up or slows down does so for all. One image (batch 1), input
already a tensor; loading is not timed. An engine is a class with `name`, `version()` and `measure()`, in ENGINES.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "cnnserve"
WARM_UP = 5


class CnnServe:
    name = "cnnserve"

    @staticmethod
    def version():
        return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    @staticmethod
    def measure(model, threads, iterations):
        command = [PROGRAM, "bench", model, "--threads", str(threads), "--iterations", str(iterations), "--json"]
        result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return {"median_ms": result["median_ms"], "peak_rss_bytes": result["peak_rss_bytes"], "isa": result["isa"]}


class OnnxRuntime:
    name = "ONNX Runtime"

    @staticmethod
    def version():
        import onnxruntime
        return onnxruntime.__version__

    @staticmethod
    def session(model, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    @classmethod
    def measure(cls, model, threads, iterations):
        return in_own_process(cls, model, threads, iterations)

    @classmethod
    def run(cls, model, threads, iterations):
        """In the process of its own."""
        session = cls.session(model, threads)
        given = session.get_inputs()[0]
        # Input and output stay in place from run to run, as they do in cnnserve.
        binding = session.io_binding()
        binding.bind_cpu_input(given.name, picture(given.shape))
        binding.bind_output(session.get_outputs()[0].name)
        return timed(lambda: session.run_with_iobinding(binding), iterations)


ENGINES = [CnnServe, OnnxRuntime]


def picture(shape):
    """A standard normal input: what preprocessing makes of a photo is about that."""
    shape = [extent if isinstance(extent, int) and extent > 0 else 1 for extent in shape]
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def timed(function, iterations):
    for _ in range(WARM_UP):
        function()
    times = []
    for _ in range(iterations):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1000)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"median_ms": statistics.median(times), "peak_rss_bytes": int(peak.split()[1]) * 1024}


def in_own_process(engine, model, threads, iterations):
    command = [sys.executable, __file__, "--worker", engine.name, str(model), str(threads), str(iterations)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def with_weights(path, folder):
    """The model at `path`; weights that it fills with one constant are drawn at random first, for constants would
    make every output the same and the comparison of outputs empty."""
    model = onnx.load(path)
    graph = model.graph
    initializers = {t.name: t for t in graph.initializer}
    filled = [n for n in graph.node if n.op_type == "ConstantOfShape" and n.input[0] in initializers]
    if not filled:
        return path, False
    fixed = {}  # scale, bias, mean and variance of batch normalisations
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            fixed.update(zip(node.input[1:5], (1, 0, 0, 1)))
    rng = np.random.default_rng(2)
    for node in filled:
        shape = tuple(numpy_helper.to_array(initializers[node.input[0]]))
        name = node.output[0]
        fan_in = int(np.prod(shape[1:]))
        if name in fixed or len(shape) < 2:
            values = np.full(shape, fixed.get(name, 0), np.float32)
        else:
            values = rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(fan_in))
        graph.initializer.append(numpy_helper.from_array(values, name))
        graph.node.remove(node)
    target = Path(folder) / f"{Path(path).parent.name}.onnx"
    onnx.save(model, target)
    return target, True


def check_outputs(model, folder):
    """cnnserve's output against ONNX Runtime's, by `cnnserve verify`; ends the program if they differ."""
    case = Path(folder) / "case"
    data = case / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (case / "model.onnx").unlink(missing_ok=True)
    (case / "model.onnx").symlink_to(Path(model).resolve())
    session = OnnxRuntime.session(model, 1)
    given = session.get_inputs()[0]
    value = picture(given.shape)
    result = session.run([session.get_outputs()[0].name], {given.name: value})[0]
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(value, given.name).SerializeToString())
    (data / "output_0.pb").write_bytes(numpy_helper.from_array(result).SerializeToString())
    verified = subprocess.run([PROGRAM, "verify", "--rtol", "1e-4", "--atol", "1e-6", case], capture_output=True, text=True)
    if verified.returncode:
        sys.exit(f"Outputs differ: {verified.stdout}{verified.stderr}")


def machine():
    described = dict(line.split(":", 1) for line in subprocess.run(
        ["lscpu"], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout.splitlines() if ":" in line)
    flags = described.get("Flags", "").split()
    return {"cpu": described.get("Model name", platform.machine()).strip(), "cpus": len(os.sched_getaffinity(0)),
            "flags": [f for f in flags if f.startswith(("avx", "amx", "fma"))], "system": f"{platform.system()} {platform.machine()}"}


def compare(model, engines, threads, rounds, seconds):
    """Per engine the list of round medians; every engine does the same number of iterations."""
    iterations = max(5, round(seconds * 1000 / engines[-1].measure(model, threads, 5)["median_ms"]))
    times = {engine.name: [] for engine in engines}
    last = {}
    for number in range(rounds):
        for engine in engines:
            last[engine.name] = engine.measure(model, threads, iterations)
            times[engine.name].append(last[engine.name]["median_ms"])
        print(f"  round {number + 1}: " + ", ".join(f"{n} {t[-1]:.2f} ms" for n, t in times.items()), file=sys.stderr)
    return [{"engine": name, "median_ms": statistics.median(t), "rounds_ms": t, "iterations": iterations,
             "peak_rss_bytes": last[name]["peak_rss_bytes"], **({"isa": last[name]["isa"]} if "isa" in last[name] else {})}
            for name, t in times.items()]


def report(result):
    m = result["machine"]
    lines = [f"# Latency of one image, fp32, {result['threads']} thread{'s' if result['threads'] > 1 else ''}", "",
             f"{m['cpu']}, {m['cpus']} CPUs ({' '.join(m['flags'])}), {m['system']}.  ",
             ", ".join(f"{n} {v}" for n, v in result["versions"].items()) + f". {result['date']}.  ",
             f"`{result['command']}`", "",
             f"Median over {result['rounds']} rounds in which the engines take turns; outputs agree within 1e-4 relative.", "",
             "| model | engine | median, ms | lowest and highest round, ms | relative to cnnserve | peak memory, MB |",
             "|---|---|---|---|---|---|"]
    for name, model in result["models"].items():
        ours = model["engines"][0]["median_ms"]
        for e in model["engines"]:
            label = e["engine"] + (f" ({e['isa']})" if "isa" in e else "")
            lines.append(f"| {name} | {label} | {e['median_ms']:.2f} | {min(e['rounds_ms']):.2f}–{max(e['rounds_ms']):.2f} | "
                         f"{e['median_ms'] / ours:.2f} | {e['peak_rss_bytes'] / 1e6:.0f} |")
    drawn = [name for name, model in result["models"].items() if model["random_weights"]]
    if drawn:
        lines += ["", f"Weights drawn at random, since the file only has constants: {', '.join(drawn)}."]
    return "\n".join(lines) + "\n"


def main():
    data = Path(os.environ.get("CNNSERVE_TEST_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one engine's turn, about")
    parser.add_argument("--model", action="append", metavar="NAME=FILE", help="default: SqueezeNet 1.1 and ResNet-50 of the test data")
    parser.add_argument("--name", help="of the result files")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        engine = next(e for e in ENGINES if e.name == args.worker[0])
        print(json.dumps(engine.run(args.worker[1], int(args.worker[2]), int(args.worker[3]))))
        return
    models = dict(m.split("=", 1) for m in args.model or [
        f"SqueezeNet 1.1={data}/models/squeezenet1.1/model.onnx", f"ResNet-50={data}/onnx-conformance/light/resnet50/model.onnx"])
    result = {"machine": machine(), "versions": {e.name: e.version() for e in ENGINES}, "threads": args.threads,
              "rounds": args.rounds, "date": time.strftime("%Y-%m-%d"), "models": {},
              "command": " ".join(["bench/engines.py", *sys.argv[1:]])}
    for name, path in models.items():
        print(name, file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            model, drawn = with_weights(path, folder)
            check_outputs(model, folder)
            result["models"][name] = {"random_weights": drawn,
                                      "engines": compare(model, ENGINES, args.threads, args.rounds, args.seconds)}
    target = ROOT / "bench" / "results" / (args.name or f"engines-{args.threads}-thread{'s' if args.threads > 1 else ''}")
    target.parent.mkdir(exist_ok=True)
    Path(f"{target}.json").write_text(json.dumps(result, indent=1) + "\n")
    Path(f"{target}.md").write_text(report(result))
    print(report(result))


if __name__ == "__main__":
    main()
