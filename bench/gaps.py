#!/usr/bin/env python3
"""What a pause between requests costs: the inference of a lone picture over HTTP, back to back and with gaps.

    bench/setup.sh && bench/.venv/bin/python bench/gaps.py [--out FILE.md] NAME=FOLDER ...

FOLDER is a model folder with model.onnx. In each round a fresh server gets one picture; then pictures with a gap before
each; then, on the same connection, as many without. What counts is `inference` of Server-Timing and, for the first
picture, the time of the whole request. The same with `--affinity off`; and ONNX Runtime within this process, which has no
HTTP to wake up for, with as many threads as there are CPUs: then it binds them. They take turns, medians over the rounds
count. Then wrk sends pictures over one connection, and at last the server is left alone.
Needs wrk. Exit status 1 if a goal is missed.
"""
import argparse
import datetime
import gc
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from contenders import PROGRAM, ROOT, CnnServe, OnnxRuntime
from machine import machine

PICTURE = ROOT / "docs" / "examples" / "seven.jpg"
PATH = "/v1/classify?top=1"
THREADS = len(os.sched_getaffinity(0))
MOST_BY_GAP, MOST_FIRST, MOST_P99 = 1.3, 1.5, 2.0  # times back to back, times the median, times p50
IDLE_SECONDS = 10


class Server:
    def __init__(self, folder, picture, affinity):
        command = [PROGRAM, "serve", "--port", "0", "--threads", str(THREADS), "--affinity", affinity, "--model", f"model={folder}",
                   "--log-level", "warn"]
        self.picture = picture
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = re.match(r"cnnserve ready on http://(.+):(\d+) ", line)
        if not found:
            raise SystemExit(line)
        self.url = f"http://{found[1]}:{found[2]}"
        self.connection = http.client.HTTPConnection(found[1], int(found[2]))

    def ask(self):
        """(whole request, inference), ms"""
        start = time.perf_counter()
        self.connection.request("POST", PATH, self.picture.read_bytes(), {"Content-Type": "image/jpeg"})
        response = self.connection.getresponse()
        body = response.read()
        took = (time.perf_counter() - start) * 1000
        if response.status != 200:
            raise SystemExit(body.decode())
        return took, float(re.search(r"inference;dur=([\d.]+)", response.headers["Server-Timing"])[1])

    def wrk(self, seconds):
        """p50 and p99 of one connection, ms"""
        command = ["wrk", "-t1", "-c1", f"-d{seconds}s", "-s", ROOT / "bench" / "servers" / "photos.lua", self.url + PATH]
        done = subprocess.run(command, text=True, check=True, capture_output=True, env={**os.environ, "PHOTOS": str(self.picture)})
        result = json.loads(done.stdout.splitlines()[-1])
        if result["errors"]:
            raise SystemExit(f"{result['errors']} requests of wrk failed")
        return result["p50_ms"], result["p99_ms"]

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.connection.close()
        self.process.terminate()
        self.process.wait()


def with_gaps(ask, arguments):
    for _ in range(arguments.requests):
        time.sleep(arguments.gap_ms / 1000)
        yield ask()


def served(folder, arguments, affinity):
    server = Server(folder, arguments.picture, affinity)
    time.sleep(arguments.gap_ms / 1000)
    first = server.ask()[0]
    gaps = list(with_gaps(server.ask, arguments))
    close = [server.ask() for _ in range(arguments.requests)]
    server.stop()
    return {"first": first / statistics.median(took for took, _ in gaps), "gaps": statistics.median(ms for _, ms in gaps),
            "close": statistics.median(ms for _, ms in close)}


def onnx_runtime(folder, arguments, _):
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224), np.float32)
    engine = OnnxRuntime(folder, x, 0)  # 0: its own choice, one for each CPU, bound

    def ask():
        start = time.perf_counter()
        engine.answer()
        return (time.perf_counter() - start) * 1000

    ask()
    gaps = list(with_gaps(ask, arguments))
    result = {"gaps": statistics.median(gaps), "close": statistics.median(ask() for _ in range(arguments.requests))}
    del engine
    gc.collect()
    return result


WAYS = {"cnnserve": (served, "auto"), "cnnserve --affinity off": (served, "off"), OnnxRuntime.name: (onnx_runtime, None)}


def measure(folder, arguments):
    """way: figure: median over the rounds"""
    rounds = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way, (function, affinity) in WAYS.items():
            rounds[way].append(function(folder, arguments, affinity))
    return {way: {figure: statistics.median(r[figure] for r in results) for figure in results[0]} for way, results in rounds.items()}


def percentiles_and_idle(folder, arguments):
    server = Server(folder, arguments.picture, "auto")
    server.wrk(1)
    p50, p99 = server.wrk(arguments.wrk_seconds)
    time.sleep(0.5)
    before = server.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    used = server.cpu_seconds() - before
    server.stop()
    return p50, p99, used


def report(name, ways, p50, p99, used):
    """Lines of the table of times, and of goals as (what, measured, met)."""
    ours, other = ways["cnnserve"], ways[OnnxRuntime.name]
    rows = [f"| {name} | {way} | {f['close']:.2f} | {f['gaps']:.2f} | {f['gaps'] / f['close']:.2f} "
            f"| {format(f['first'], '.2f') if 'first' in f else ''} |" for way, f in ways.items()]
    ratio = ours["gaps"] / ours["close"]
    goals = [(f"{name}: with gaps at most {MOST_BY_GAP} times back to back", f"{ratio:.2f} times", ratio <= MOST_BY_GAP),
             (f"{name}: with gaps faster than ONNX Runtime with gaps", f"{ours['gaps']:.2f} to {other['gaps']:.2f} ms",
              ours["gaps"] < other["gaps"]),
             (f"{name}: first request at most {MOST_FIRST} times the median", f"{ours['first']:.2f} times", ours["first"] <= MOST_FIRST),
             (f"{name}: 1 connection of wrk, p99 at most {MOST_P99:g} times p50", f"{p99:.2f} to {p50:.2f} ms, {p99 / p50:.2f} times",
              p99 <= MOST_P99 * p50),
             (f"{name}: an idle server uses no CPU", f"{used:.2f} s of {IDLE_SECONDS} s", used == 0)]
    return rows, goals


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--gap-ms", type=int, default=100)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wrk-seconds", type=int, default=5)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--out", type=Path, help="file to write the record to")
    arguments = parser.parse_args()
    about, rows, goals = machine(), [], []
    for model in arguments.models:
        name, folder = model.split("=", 1)
        of_model = report(name, measure(Path(folder), arguments), *percentiles_and_idle(folder, arguments))
        rows += of_model[0]
        goals += of_model[1]
        print("\n".join(of_model[0] + [f"{what}: {measured}" for what, measured, _ in of_model[1]]), flush=True)
    lines = ["# A lone picture after a pause, fp32", "",
             f"{about['cpu']}, {about['cpus']} CPUs ({' '.join(about['flags'])}), {about['system']}; {THREADS} threads; "
             f"cnnserve {CnnServe.version()}, ONNX Runtime {OnnxRuntime.version()}. {datetime.date.today()}.  ",
             f"`bench/gaps.py --gap-ms {arguments.gap_ms} --requests {arguments.requests} --rounds {arguments.rounds}`, "
             f"the picture {arguments.picture.name}", "",
             "Inference of cnnserve as in `Server-Timing`, ONNX Runtime within one process; medians.", "",
             f"| model | | back to back, ms | {arguments.gap_ms} ms between, ms | times | first request / median |",
             "|---|---|--:|--:|--:|--:|", *rows, "", "| goal | measured | met |", "|---|---|---|",
             *(f"| {what} | {measured} | {'yes' if met else 'no'} |" for what, measured, met in goals)]
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")
    sys.exit(not all(met for _, _, met in goals))


if __name__ == "__main__":
    main()
