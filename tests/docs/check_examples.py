#!/usr/bin/env python3
"""Runs the examples of the documentation and compares their output: check_examples.py CNNSERVE FILE.md...

An example is an indented `$ command` with its output below it, both in the same indented block; a command goes on in
the next line after a backslash. Commands are run one after the other in the project's folder, against a server of its
own. White space does not count, so that the texts may break long lines, and numbers may differ by 1e-4: instruction
sets round differently. Commands of Python run with the Python of this program; where it has no module onnx they are
passed over, and counted.
"""
import math
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def examples(text):
    """-> (command, output) in order."""
    found, inside = [], False
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("    $ "):
            found.append([line[6:], ""])
            inside = True
        elif inside and (line.startswith("    ") or not line):
            found[-1][1] += line + "\n"
        else:
            inside = False
    return found


def same(expected, given):
    expected, given = ("".join(text.split()) for text in (expected, given))
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (expected, given)]
    return (NUMBER.split(expected) == NUMBER.split(given) and
            all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6) for a, b in zip(*numbers)))


def main():
    program, files = Path(sys.argv[1]).resolve(), [Path(name) for name in sys.argv[2:]]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "build").mkdir()
        (Path(folder) / "build" / "cnnserve").symlink_to(program)
        for name in ("docs", "models"):
            (Path(folder) / name).symlink_to(ROOT / name)
        server = subprocess.Popen([program, "serve", "--port", "0", "--log-level", "warn"], stderr=subprocess.PIPE, text=True)
        try:
            port = re.search(r"http://127\.0\.0\.1:(\d+)", server.stderr.readline()).group(1)
            wrong = count = skipped = 0
            for file in files:
                for command, output in examples(file.read_text()):
                    command = command.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
                    if command.startswith("python3 ") and not find_spec("onnx"):
                        skipped += 1
                        continue
                    run = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60,
                                         env={**os.environ, "LC_ALL": "C", "PATH": path})
                    count += 1
                    if run.returncode or not same(output, run.stdout):
                        wrong += 1
                        print(f"{file.name}: {command}\nexpected:\n{output}\ngiven:\n{run.stdout}{run.stderr}")
        finally:
            server.terminate()
            server.wait(10)
    print(f"{count - wrong} examples hold, {wrong} do not")
    if skipped:
        print(f"{skipped} passed over: {sys.executable} has no module onnx (Debian: python3-onnx)")
    return wrong > 0 or count == 0


if __name__ == "__main__":
    sys.exit(main())
