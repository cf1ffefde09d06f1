#!/usr/bin/env python3
"""How long `cnnserve serve` takes from exec to the first 200 of /readyz, and what memory it then holds.

    bench/start.py [--runs 15] [--threads N] [NAME=PATH ...]

One row for the built-in models together, and one for each model given, which is then the only one served. They take
turns. Times are medians over the runs, files being in the page cache. "At start" is resident memory when ready, "in
use" the same after as many concurrent pictures as there are threads, in both cases over what has to be there: packed
weights, and the activations of the sessions. Exit status 1 if that is more than 15 MB in use. Needs nothing but Python.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import socket
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "cnnserve"
PICTURE = ROOT / "docs" / "examples" / "seven.jpg"
PATIENCE = 60
POLL_SECONDS = 0.0005
MIB = 1 << 20
MOST_OVER = 15_000_000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def request(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Server:
    """One started server; `ready_ms` is how long it took."""

    def __init__(self, options):
        self.port = free_port()
        command = [PROGRAM, "serve", "--port", str(self.port), "--log-level", "error", *options]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.wait_until_ready(command)
        self.ready_ms = (time.perf_counter() - started) * 1000

    def wait_until_ready(self, command):
        while True:
            try:
                if request(self.port, "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit(f"{' '.join(map(str, command))}: it ended with {self.process.returncode}")
            time.sleep(POLL_SECONDS)

    def resident(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        return 0

    def models(self):
        return [m["name"] for m in json.loads(request(self.port, "GET", "/v1/models")[1])["models"]]

    def memory(self, model):
        return json.loads(request(self.port, "GET", f"/v1/models/{model}")[1])["memory"]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def classify(server, models, count):
    picture = PICTURE.read_bytes()

    def one(model):
        status, body = request(server.port, "POST", f"/v1/models/{model}/classify", picture)
        if status != 200:
            raise SystemExit(f"{model}: {status} {body.decode()}")

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(one, [m for m in models for _ in range(count)]))


def look_at_memory(options, pictures):
    """Bytes of weights and sessions; resident bytes at the start over weights, in use over both."""
    server = Server(options)
    try:
        at_start = server.resident()
        models = server.models()
        classify(server, models, pictures)
        in_use = server.resident()
        memory = [server.memory(model) for model in models]
    finally:
        server.stop()
    weights = sum(m["weights_bytes"] for m in memory)
    sessions = sum(m["session_bytes"] for m in memory)
    return weights, sessions, at_start - weights, in_use - weights - sessions


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="NAME=PATH")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, help="default: as cnnserve chooses")
    arguments = parser.parse_args()
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []
    rows = {"(built in)": threads} | {m.split("=")[0]: ["--model", m, *threads] for m in arguments.models}
    times = {name: [] for name in rows}
    for _ in range(arguments.runs):
        for name, options in rows.items():
            server = Server(options)
            times[name].append(server.ready_ms)
            server.stop()
    print("| model | ready, median | fastest | packed weights | sessions | at start, over weights | in use, over both |"
          "\n|---|---|---|---|---|---|---|")
    too_large = []
    for name, options in rows.items():
        sizes = look_at_memory(options, arguments.threads or os.cpu_count())
        cells = [name, *(f"{ms:.1f} ms" for ms in (statistics.median(times[name]), min(times[name]))),
                 *(f"{size / MIB:.1f} MiB" for size in sizes)]
        print(f"| {' | '.join(cells)} |")
        too_large += [name] * (sizes[-1] > MOST_OVER)
    if too_large:
        raise SystemExit(f"more than {MOST_OVER / 1e6:g} MB over weights and sessions: {', '.join(too_large)}")


if __name__ == "__main__":
    main()
