#!/usr/bin/env python3
"""What a full queue brings: pictures per second with one thread, with as many as there are CPUs, and with a process of
one thread on each CPU.

    bench/full_queue.py [--pictures 200] [--rounds 9] [--out FILE.md] NAME=PATH ...

Each is `cnnserve classify` over the same pictures, and again over a few of them; the difference is the time of the
pictures without the start of the program. The three take turns; medians over the rounds, and of each round's ratios. The
processes share nothing but the machine, so what they do not reach is what its memory and caches do not give.
"""
import argparse
import datetime
import os
import statistics
import subprocess
import time
from pathlib import Path

from machine import machine

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "cnnserve"
PICTURE = ROOT / "docs" / "examples" / "seven.jpg"


def seconds(model, pictures, threads, cpu_sets):
    """One process of `threads` threads and that many pictures on each set of CPUs; until the last ends."""
    started = time.perf_counter()
    running = [subprocess.Popen(["taskset", "-c", ",".join(map(str, cpus)), PROGRAM, "classify", "--threads", str(threads), model,
                                 *[PICTURE] * pictures], stdout=subprocess.DEVNULL) for cpus in cpu_sets]
    if any([process.wait() for process in running]):
        raise SystemExit(f"{model}: cnnserve classify failed")
    return time.perf_counter() - started


def rate(model, pictures, threads, cpu_sets):
    each, few = pictures // len(cpu_sets), 2
    taken = seconds(model, each, threads, cpu_sets) - seconds(model, few, threads, cpu_sets)
    return (each - few) * len(cpu_sets) / taken


def row(name, model, arguments, cpus):
    ways = {"one": (1, [cpus[:1]]), "all": (len(cpus), [cpus]), "apart": (1, [[cpu] for cpu in cpus])}
    rates = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, settings in ways.items():
            rates[way].append(rate(model, arguments.pictures, *settings))
    ratio = {way: statistics.median(a / b for a, b in zip(rates[way], rates["one"])) for way in ("all", "apart")}
    shown = [f"{statistics.median(rates[way]):.1f}" for way in ways]
    return f"| {name} | {shown[0]} | {shown[1]} | {ratio['all']:.2f} | {shown[2]} | {ratio['apart']:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="file to write the record to")
    arguments = parser.parse_args()
    about, cpus = machine(), sorted(os.sched_getaffinity(0))
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    lines = ["# Throughput of a full queue, fp32", "",
             f"{about['cpu']}, {about['cpus']} CPUs, {about['system']}; {version}. {datetime.date.today()}.  ",
             f"`bench/full_queue.py --pictures {arguments.pictures} --rounds {arguments.rounds}`", "",
             f"Pictures per second of `cnnserve classify`, batch 1, medians over {arguments.rounds} rounds in which the three take turns.", "",
             f"| model | 1 thread | {len(cpus)} threads | times | {len(cpus)} processes of 1 thread | times |", "|---|--:|--:|--:|--:|--:|"]
    for model in arguments.models:
        lines.append(row(*model.split("=", 1), arguments, cpus))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
