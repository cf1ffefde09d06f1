#!/usr/bin/env python3
"""Compares the latency of one image through cnnserve and through other engines, fp32, on this machine.

    bench/engines.sh                                    installs what is needed, then runs this with its arguments
    bench/engines.sh --threads 1 --cpus 1 --models resnet18,vgg16 --results /tmp

Networks of torchvision with random weights, exported by tests/golden and kept in build/engines (5 GB); delete that to
have them made again. Each engine runs in a process of its own, bound to as many CPUs as it has threads, see
contenders.py. First, all compute the output of the same input; one that is further off than TOLERANCE makes the run fail.
Then they take turns (A B C D A B C D ...), and the median over the rounds of each round's median counts, so that a machine
that speeds up or slows down does so for all. Loading is not timed.

Writes engines-1-thread.md and .json, and so on, after each model. Models that are not asked for stay in them if they
were measured in the same way; with `--missing` also those that are asked for, which goes on where a run was ended.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from contenders import ENGINES, LIBRARY, PROGRAM, ROOT, CnnServe, Ncnn  # tests/golden is in the path from here on

import golden
from machine import machine

CASES = {case.model: case for case in golden.cases("torchscript", "torchvision", """
    resnet18 resnet50 vgg11_bn vgg19 vgg16 squeezenet1_1 mobilenet_v2 mobilenet_v3_small efficientnet_b0 googlenet
    inception_v3@299 densenet121 shufflenet_v2_x0_5 mnasnet0_5 regnet_y_400mf resnext50_32x4d convnext_tiny alexnet""",
    dynamic="fixed")}
EXPORTED = ROOT / "build" / "engines"
TOLERANCE = 1e-4  # of an output's numbers, over the largest one; what is expected comes from ONNX Runtime, unoptimised
FEWEST = 5  # timed runs of a turn
PAUSE = 0.3  # seconds between turns: threads of the last engine may go on spinning, OpenMP's for 0.2


def exported(case):
    """The folder of the model and of all that the engines need, made if it is not there."""
    folder = EXPORTED / case.model
    if not folder.exists():
        EXPORTED.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=EXPORTED) as scratch:
            made = Path(scratch) / case.model
            made.mkdir()
            golden.export(case, made)
            Ncnn.convert(made, case.shapes[0])
            made.rename(folder)
    return folder


@contextmanager
def contender(engine, folder, cpus):
    """A function: with the line sent to the engine's process, if any, it returns the number that comes back."""
    with tempfile.TemporaryFile("w+") as complaint:
        command = [sys.executable, ROOT / "bench" / "contenders.py", engine.name, folder, str(len(cpus))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaint, text=True,
                                   preexec_fn=lambda: os.sched_setaffinity(0, cpus))

        def ask(line=None):
            if line is not None:
                print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if answer:
                return float(answer)
            status = process.wait()
            complaint.seek(0)
            raise RuntimeError(f"{engine.name}: {(complaint.read().strip() or f'exit status {status}').splitlines()[-1]}")

        try:
            yield ask
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait()


def measure(case, cpus, rounds, seconds):
    """The record of a model. RuntimeError if an engine fails, or computes something else."""
    folder = exported(case)
    with ExitStack() as stack:
        asks, off = {}, {}
        for engine in ENGINES:
            asks[engine.name] = stack.enter_context(contender(engine, folder, cpus))
            off[engine.name] = asks[engine.name]()  # before the next one starts, which would disturb it
        far = [f"{name}: off by {value:.1e}" for name, value in off.items() if not value <= TOLERANCE]
        if far:
            raise RuntimeError(", ".join(far))
        iterations = max(FEWEST, round(seconds * 1000 / asks[CnnServe.name](FEWEST)))
        times = {name: [] for name in asks}
        for _ in range(rounds):
            for name, ask in asks.items():
                time.sleep(PAUSE)
                times[name].append(ask(iterations))
    return {"iterations": iterations, "engines": {
        name: {"median_ms": statistics.median(t), "rounds_ms": t, "off": off[name]} for name, t in times.items()}}


# ---- the table -----------------------------------------------------------------------------------------------------


def ratios(record):
    """(ONNX Runtime's time, the best time of the others) over cnnserve's, and whose that is."""
    times = {name: e["median_ms"] for name, e in record["engines"].items()}
    ours = times.pop(CnnServe.name)
    best = min(times, key=times.get)
    return times["ONNX Runtime"] / ours, times[best] / ours, best


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def rows(models):
    names = [engine.name for engine in ENGINES]
    yield f"| model | {' | '.join(f'{name}, ms' for name in names)} | ONNX Runtime / cnnserve | best other / cnnserve |"
    yield "|---|" + "--:|" * (len(names) + 2)
    measured = {name: record for name, record in models.items() if "problem" not in record}
    for name, record in measured.items():
        runtime, best, whose = ratios(record)
        times = " | ".join(f"{record['engines'][engine]['median_ms']:.2f}" for engine in names)
        yield f"| {name} | {times} | {runtime:.2f} | {best:.2f} ({whose}) |"
    if not measured:
        return
    means = [geometric_mean(r["engines"][engine]["median_ms"] for r in measured.values()) for engine in names]
    runtime, best, _ = zip(*map(ratios, measured.values()))
    yield (f"| **geometric mean of {len(measured)}** | {' | '.join(f'{mean:.2f}' for mean in means)} "
           f"| **{geometric_mean(runtime):.2f}** | **{geometric_mean(best):.2f}** |")
    below = [f"{name} ({whose}, {best:.3f})" for name, (_, best, whose) in ((n, ratios(r)) for n, r in measured.items()) if best < 1]
    yield ""
    yield f"Below 1, another engine is faster: {', '.join(below)}." if below else "No other engine is faster at any model."


def report(result):
    m, threads = result["machine"], result["threads"]
    failed = [f"{name}: {record['problem']}" for name, record in result["models"].items() if "problem" in record]
    return "\n".join([
        f"# Latency of one image, fp32, {threads} thread{'s' if threads > 1 else ''}", "",
        f"{m['cpu']}, {m['cpus']} CPUs ({' '.join(m['flags'])}), {m['system']}; bound to {', '.join(map(str, result['bound_to']))}.  ",
        ", ".join(f"{n} {v}" for n, v in result["versions"].items()) + f". {result['date']}.  ",
        f"`{result['command']}`", "",
        f"Median over {result['rounds']} rounds in which the engines take turns; outputs agree within {TOLERANCE:g} of the",
        "largest. Above 1, cnnserve is faster.", "", *rows(result["models"]),
        *(["", "**Failed**, and not measured:", "", *(f"- {line}" for line in failed)] if failed else [])]) + "\n"


def store(result, target):
    result["models"] = {name: result["models"][name] for name in CASES if name in result["models"]}
    Path(f"{target}.json").write_text(json.dumps(result, indent=1) + "\n")
    Path(f"{target}.md").write_text(report(result))


def stored(result, target):
    """The models of an earlier run, if that had the same settings."""
    path = Path(f"{target}.json")
    earlier = json.loads(path.read_text()) if path.exists() else result
    other = [key for key in ("machine", "versions", "bound_to", "rounds", "seconds") if earlier.get(key) != result[key]]
    if other:
        print(f"{path} had other {', '.join(other)}: nothing of it is kept", file=sys.stderr)
    return {} if other else earlier["models"]


# ---- the command line ----------------------------------------------------------------------------------------------


def numbers(text):
    return [int(number) for number in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(CASES), metavar="A,B", help="(all 18)")
    parser.add_argument("--threads", type=numbers, default=[1, 2], metavar="N,M", help="a table for each number (1,2)")
    parser.add_argument("--cpus", type=numbers, default=sorted(os.sched_getaffinity(0)), metavar="A,B",
                        help="bind to the first N of these at N threads; default: all that are allowed")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each engine (9)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of cnnserve's turn, about; others run as often (0.5)")
    parser.add_argument("--missing", action="store_true", help="only those that the result files do not have, or as failed")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", metavar="FOLDER", help="(bench/results)")
    options = parser.parse_args()
    unknown = [name for name in options.models if name not in CASES]
    if unknown:
        parser.error(f"no model is called {', '.join(unknown)}; there are {', '.join(CASES)}")
    if min(options.threads) < 1 or max(options.threads) > len(options.cpus):
        parser.error(f"as many threads as CPUs, at most: {max(options.threads)} threads, {len(options.cpus)} CPUs")
    if not set(options.cpus) <= os.sched_getaffinity(0):
        parser.error(f"not all allowed to this process: CPUs {options.cpus}")
    if options.rounds < 1:
        parser.error("at least one round")
    return options


def attempt(case, result, options):
    """Measures a model into `result`; whether that went well."""
    try:
        record = measure(case, set(result["bound_to"]), options.rounds, options.seconds)
        runtime, best, whose = ratios(record)
        line = f"ONNX Runtime {runtime:.2f}, best other {best:.2f} ({whose})"
    except (RuntimeError, subprocess.CalledProcessError) as error:
        record, line = {"problem": str(error)}, f"FAIL {error}"
    result["models"][case.model] = record
    print(f"{case.model}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}: {line}", file=sys.stderr)
    return "problem" not in record


def main():
    options = arguments()
    for needed in (PROGRAM, LIBRARY, golden.python("torchscript")):
        if not needed.exists():
            sys.exit(f"There is no {needed}: run bench/engines.sh")
    common = {"machine": machine(), "versions": {e.name: e.version() for e in ENGINES}, "rounds": options.rounds,
              "seconds": options.seconds, "date": time.strftime("%Y-%m-%d"),
              "command": " ".join(["bench/engines.sh", *sys.argv[1:]])}
    options.results.mkdir(parents=True, exist_ok=True)
    tables = []
    for threads in options.threads:
        result = common | {"threads": threads, "bound_to": options.cpus[:threads]}
        target = options.results / f"engines-{threads}-thread{'s' if threads > 1 else ''}"
        result["models"] = {name: record for name, record in stored(result | {"models": {}}, target).items()
                            if name not in options.models or options.missing and "problem" not in record}
        tables.append((result, target))
    good = True
    for name in options.models:
        for result, target in tables:
            if name not in result["models"]:
                good &= attempt(CASES[name], result, options)
                store(result, target)
    print("\n".join(report(result) for result, _ in tables), end="")
    sys.exit(not good)


if __name__ == "__main__":
    main()
