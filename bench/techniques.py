#!/usr/bin/env python3
"""What each technique of the engine brings: the time without it over the time with it, one image, fp32.

    bench/techniques.py [--threads 1] [--rounds 5] [--results FOLDER]

The networks are those that bench/engines.sh exports. A technique is left out with CNN_WITHOUT (docs/performance.md), an
instruction set with CNN_CPU. All variants of a network take turns, and the median over the rounds of each round's median
counts. Needs nothing but Python. Writes techniques.md and techniques.json.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import machine

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "cnnserve"
EXPORTED = ROOT / "build" / "engines"
MODELS = """resnet18 resnet50 resnext50_32x4d squeezenet1_1 googlenet densenet121 mobilenet_v2
    mobilenet_v3_small efficientnet_b0 convnext_tiny""".split()
VARIANTS = {name: {"CNN_WITHOUT": name} for name in "winograd grouped fold fuse squeeze channels placement overwrite planar strips".split()}
VARIANTS |= {"AVX-512": {"CNN_CPU": "avx2"}, "AVX2 and AVX-512": {"CNN_CPU": "baseline"}}


def bench(model, threads, variables):
    command = [PROGRAM, "bench", EXPORTED / model / "model.onnx", "--threads", str(threads), "--iterations", "15", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    return json.loads(result.stdout)


def measure(model, threads, rounds):
    """{variant, None for the engine as it is: {"ms", "arena_bytes"}}"""
    variants = {None: {}, **VARIANTS}
    runs = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variables in variants.items():
            runs[name].append(bench(model, threads, variables))
    return {name: {"ms": statistics.median(run["median_ms"] for run in these), "arena_bytes": these[0]["arena_bytes"]}
            for name, these in runs.items()}


def table(results, key, unit):
    """Ratios to the engine as it is, whose own values stand in the first row."""
    yield f"| without | {' | '.join(results)} |"
    yield "|---|" + "--:|" * len(results)
    yield f"| nothing, {unit[0]} | " + " | ".join(f"{r[None][key] / unit[1]:.2f}" for r in results.values()) + " |"
    for name in VARIANTS:
        ratios = [r[name][key] / r[None][key] for r in results.values()]
        if any(abs(ratio - 1) > 0.005 for ratio in ratios):
            yield f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="(1)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each variant (5)")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", metavar="FOLDER", help="(bench/results)")
    options = parser.parse_args()
    missing = [path for path in [PROGRAM, *(EXPORTED / model / "model.onnx" for model in MODELS)] if not path.exists()]
    if missing:
        sys.exit(f"There is no {missing[0]}: run bench/engines.sh")
    results = {model: measure(model, options.threads, options.rounds) for model in MODELS}
    m = machine()
    text = "\n".join([
        f"# What each technique brings, fp32, {options.threads} thread{'s' if options.threads > 1 else ''}", "",
        f"{m['cpu']}, {m['cpus']} CPUs ({' '.join(m['flags'])}), {m['system']}. {time.strftime('%Y-%m-%d')}.  ",
        f"`{' '.join(['bench/techniques.py', *sys.argv[1:]])}`", "",
        f"Time without the technique over the time with it; medians over {options.rounds} rounds in which the variants take",
        "turns. What the names mean is in docs/performance.md.", "", *table(results, "ms", ("ms", 1)), "",
        "Memory of the activations, likewise:", "", *table(results, "arena_bytes", ("MB", 1e6))]) + "\n"
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "techniques.md").write_text(text)
    (options.results / "techniques.json").write_text(json.dumps(
        {"machine": m, "threads": options.threads, "rounds": options.rounds,
         "models": {model: {name or "nothing": value for name, value in r.items()} for model, r in results.items()}},
        indent=1) + "\n")
    print(text, end="")


if __name__ == "__main__":
    main()
