#!/usr/bin/env python3
"""End-to-end tests of the subcommands, over the built program.

    test_cli.py PROGRAM [unittest options]

Needs nothing but Python's standard library. Tests that read the reference data are skipped where the environment
variable CNNSERVE_TEST_DATA does not name it.
"""
import base64
import csv
import http.client
import http.server
import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import zlib
from pathlib import Path

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "./cnnserve"
DATA = os.environ.get("CNNSERVE_TEST_DATA", "")
TIMEOUT = 300


def run(*arguments, env=None, stderr=subprocess.PIPE):
    """Runs the program without the settings that a developer may have in the environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CNNSERVE_")}
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=stderr, timeout=TIMEOUT,
                          env={**clean, **(env or {})})


def read_to_end(terminal):
    """What has been written to a terminal whose other side is closed."""
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # Linux' way to say that nothing follows
        pass
    return shown.decode()


def png(rows):
    """An 8-bit grey PNG."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(row) for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


def line_png(width=8, height=8, columns=(3, 4)):
    """Black, but for white columns (counted from 0)."""
    return png([[255 if x in columns else 0 for x in range(width)] for _ in range(height)])


def proto(*fields):
    """A protobuf message of (number, int or bytes or text)."""
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

    def one(number, value):
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        value = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(value)) + value
    return b"".join(one(*field) for field in fields)


def node_model(shape, *nodes):
    """An ONNX file: x -> nodes -> y. A node is (operator, name, inputs, output), an extent a number, or a name if it
    is open."""
    extents = [(1, proto((1 if isinstance(extent, int) else 2, extent))) for extent in shape]
    kind = proto((1, proto((1, 1), (2, proto(*extents)))))
    made = [(1, proto(*((1, one) for one in inputs.split()), (2, output), (3, name), (4, op)))
            for op, name, inputs, output in nodes]
    graph = proto(*made, (2, "g"), (11, proto((1, "x"), (2, kind))), (12, proto((1, "y"), (2, kind))))
    return proto((1, 8), (7, graph), (8, proto((1, ""), (2, 13))))


def relu_model(*shape, op="Relu"):
    """y = Relu(x), or another operator."""
    return node_model(shape, (op, op.lower(), "x", "y"))


def tensor(name, *values):
    """A float tensor of rank 1 as test folders hold it."""
    return proto((1, len(values)), (2, 1), (8, name), (9, struct.pack(f"<{len(values)}f", *values)))


def needs_data(path):
    found = DATA and os.path.exists(os.path.join(DATA, path))
    return unittest.skipUnless(found, f"CNNSERVE_TEST_DATA does not name a folder with {path}")


def data(path):
    return os.path.join(DATA, path)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="cnnserve-cli-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def check(self, *arguments, status=0, env=None):
        """Standard output of a run that must end with `status`."""
        result = run(*arguments, env=env)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        if status == 0:
            self.assertEqual(result.stderr, b"")
        return result.stdout.decode()

    def check_usage(self, message, *arguments, env=None):
        """A run that must be refused with this one line."""
        result = run(*arguments, env=env)
        self.assertEqual(result.stderr.decode(), f"cnnserve: {message}\n")
        self.assertEqual((result.returncode, result.stdout), (2, b""))

    def entries(self, *arguments, status=0):
        return [json.loads(line) for line in self.check("classify", *arguments, "--format", "json",
                                                        status=status).splitlines()]


class Program(Case):
    def test_version_and_help(self):
        self.assertRegex(self.check("--version"), r"^cnnserve \d+\.\d+\.\d+\n$")
        self.assertIn("classify MODEL IMAGE...", self.check("--help"))
        for command in "serve", "classify", "inspect", "bench", "verify", "healthcheck":
            text = self.check(command, "--help")
            self.assertTrue(text.startswith(f"usage: cnnserve {command}") or command == "serve", text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 120)

    def test_help_says_what_is_not_obvious(self):
        for words in "cnnserve COMMAND --help", "CNN_CPU (baseline, avx2, avx512)", "cifar10, digits, line-detector":
            self.assertIn(words, self.check("--help"))
        for command in "classify", "bench", "inspect":
            self.assertIn("MODEL is a built-in model, a model folder, or an .onnx file.", self.check(command, "--help"))
        for command in "serve", "classify", "bench", "verify":
            self.assertRegex(self.check(command, "--help"), r"--threads N .*\(auto\)\n")
        for words in "(as model.json says, else fp32)", "error|warn|info|debug", "20MiB; k, M, G and T", "array in", \
                "only\nthose":
            self.assertIn(words, self.check("serve", "--help"))
        for words in "Hidden files", "csv refuses", "exit status":
            self.assertIn(words, self.check("classify", "--help"))
        self.assertIn("/readyz", self.check("healthcheck", "--help"))

    def test_wrong_usage(self):
        self.check_usage("unknown command 'clasify'; did you mean 'classify'?", "clasify")
        self.check_usage("unknown option '--to'; did you mean 'top'?", "classify", "--to", "3", "digits", "x.png")
        self.check_usage("an argument is missing; usage: cnnserve classify [options] MODEL IMAGE...", "classify",
                         "digits")
        self.check_usage("too many arguments; usage: cnnserve inspect [options] MODEL", "inspect", "digits", "b")
        self.check_usage("--top must be a whole number from 0 to 1000000, not '-1'", "classify", "--top=-1", "digits",
                         "x.png")


class Output(Case):
    """What cannot be written is a failure with one line, in every subcommand."""

    def run_into(self, target, *arguments):
        with open(target, "wb") as out:
            done = subprocess.run([PROGRAM, *map(str, arguments)], stdout=out, stderr=subprocess.PIPE, timeout=TIMEOUT)
        return done.returncode, done.stderr.decode()

    def test_full_disk(self):
        picture, case = self.write("line.png", line_png()), self.folder / "case"
        self.write("case/model.onnx", relu_model(2))
        for name in "input_0.pb", "output_0.pb":
            self.write(f"case/test_data_set_0/{name}", tensor("x", 1, 2))
        for i in range(600):
            self.write(f"many/{i}.png", b"")
        commands = [["--version"], ["--help"], ["inspect", "digits"], ["inspect", "--json", "cifar10"],
                    ["bench", "--iterations", "1", "digits"], ["bench", "--iterations", "1", "--json", "digits"],
                    ["verify", case], ["classify", "digits", picture],
                    ["classify", "line-detector", "--features", "*", "--format", "json", picture],
                    ["classify", "digits", "--format", "csv", self.folder / "many"]]
        commands += [[name, "--help"] for name in ("serve", "classify", "inspect", "bench", "verify", "healthcheck")]
        for command in commands:
            status, error = self.run_into("/dev/full", *command)
            self.assertEqual(status, 1, command)
            self.assertRegex(error, r"^cnnserve: the output cannot be written(: No space left on device)?\n$", command)

    def test_closed_output(self):
        done = subprocess.run(f"exec '{PROGRAM}' --version >&-", shell=True, stderr=subprocess.PIPE, timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stderr.decode()),
                         (1, "cnnserve: the output cannot be written: Bad file descriptor\n"))

    def test_closed_pipe(self):
        picture = self.write("line.png", line_png(300, 300))
        command = [PROGRAM, "classify", "line-detector", "--features", "*", "--format", "json", picture]
        for restore, status in (True, -signal.SIGPIPE), (False, 1):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, restore_signals=restore)
            process.stdout.read(10)
            process.stdout.close()
            error = process.stderr.read().decode()
            process.stderr.close()
            self.assertEqual(process.wait(TIMEOUT), status)
            self.assertRegex(error, r"^(cnnserve: the output cannot be written(: Broken pipe)?\n)?$")


class LineDetector(Case):
    """A picture of 8x8, all 0 but a line of two columns: what each layer must make of it."""

    def test_every_layer(self):
        path = self.write("line.png", line_png())
        entry, = self.entries("line-detector", "--features", "*", path)
        self.assertEqual(entry["image"], {"name": str(path), "format": "png", "width": 8, "height": 8,
                                          "orientation": 1})
        self.assertEqual(entry["predictions"], [{"class_index": 0, "label": "vertical line", "probability": 3}])
        features = entry["features"]
        self.assertEqual(list(features), ["image", "conv", "map", "average_pool", "max_pool", "global_max"])
        self.assertEqual(features["map"], {"op": "Relu", "shape": [1, 6, 6], "dtype": "float32",
                                           "data": [[[0, 0, 3, 3, 0, 0]] * 6]})
        for name, op in ("average_pool", "AveragePool"), ("max_pool", "MaxPool"):
            self.assertEqual(features[name], {"op": op, "shape": [1, 3, 3], "dtype": "float32",
                                              "data": [[[0, 3, 0]] * 3]})
        self.assertEqual(features["global_max"]["data"], [[[3]]])

    def test_features_alone(self):
        path = self.write("line.png", line_png())
        entry, = self.entries("line-detector", "--top", "0", "--features", "max_pool", path)
        self.assertEqual((entry["predictions"], list(entry["features"])), ([], ["max_pool"]))

    def test_feature_formats(self):
        path = self.write("line.png", line_png())
        plain, = self.entries("line-detector", "--features", "map", path)
        packed, = self.entries("line-detector", "--features", "map", "--feature-format", "base64", path)
        stats, = self.entries("line-detector", "--features", "map", "--feature-format", "stats", path)
        values = struct.unpack("<36f", base64.b64decode(packed["features"]["map"]["data_base64"]))
        self.assertEqual(list(values), sum(plain["features"]["map"]["data"][0], []))
        self.assertNotIn("data", packed["features"]["map"])
        self.assertEqual({k: stats["features"]["map"][k] for k in ("min", "max", "mean", "zeros")},
                         {"min": [0], "max": [3], "mean": [1], "zeros": [24]})

    def test_any_size(self):
        paths = [self.write(f"{n}.png", line_png(n, n + 2, (2,))) for n in range(3, 30)]
        for side, entry in zip(range(3, 30), self.entries("line-detector", "--features", "map", *paths)):
            self.assertEqual(entry["features"]["map"]["shape"], [1, side, side - 2])

    def test_too_small(self):
        entry, = self.entries("line-detector", self.write("tiny.png", line_png(2, 2)), status=1)
        self.assertEqual(entry["code"], "bad_request")
        self.assertIn("2x2", entry["error"])

    def test_unknown_features(self):
        path = self.write("line.png", line_png())
        self.check_usage("model 'line-detector' has no tensor or node 'mapp'; did you mean 'map'?", "classify",
                         "line-detector", "--features", "mapp", path)
        self.check_usage("--features needs --format text or json, or --pictures", "classify", "line-detector", "--features", "map",
                         "--format", "csv", path)


def size_of_png(data):
    """Width and height of a whole PNG file."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB\x60\x82"), data[:20]
    return struct.unpack(">II", data[16:24])


class Pictures(Case):
    """Feature maps and explanations as PNG, in the answer and as files."""

    def test_in_the_answer(self):
        path = self.write("line.png", line_png())
        entry, = self.entries("line-detector", "--features", "map", "--feature-format", "png", path)
        prefix, data = entry["features"]["map"].pop("png").split(",")
        self.assertEqual(prefix, "data:image/png;base64")
        self.assertGreater(size_of_png(base64.b64decode(data)), (400, 400))
        self.assertEqual(entry["features"]["map"], {"op": "Relu", "shape": [1, 6, 6], "dtype": "float32"})

    def test_explanation(self):
        path = self.write("line.png", line_png(64, 32))
        entry, = self.entries("cifar10", "--top", "1", "--explain", "cam", path)
        explained = entry["explanation"]
        self.assertEqual(explained["method"], "cam")
        self.assertEqual([explained[k] for k in ("class_index", "label")],
                         [entry["predictions"][0][k] for k in ("class_index", "label")])
        self.assertEqual([len(explained["data"]), len(explained["data"][0])], explained["shape"])
        self.assertEqual(size_of_png(base64.b64decode(explained["png"].split(",")[1])), (256, 128))
        entry, = self.entries("cifar10", "--top", "0", "--explain", "cam", "--explain-class", "3", path)
        self.assertEqual((entry["predictions"], entry["explanation"]["label"]), ([], "cat"))
        self.assertIn("cam of 3 cat", self.check("classify", "cifar10", "--explain", "cam", "--explain-class", "3", path))

    def test_files(self):
        path, folder = self.write("a line.png", line_png()), self.folder / "pictures"
        out = self.check("classify", "cifar10", "--features", "global_pool", "--explain", "cam", "--pictures", folder,
                         "--format", "csv", path)
        self.assertTrue(out.startswith("image,rank,"))
        stem = str(path).strip("/").replace("/", "_").replace(" ", "_")
        self.assertEqual(sorted(p.name for p in folder.iterdir()), [f"{stem}.cam.png", f"{stem}.global_pool.png"])
        for file in folder.iterdir():
            self.assertGreater(size_of_png(file.read_bytes()), (200, 100))

    def test_names_cannot_leave_the_folder(self):
        self.write("line.png", line_png())
        folder = self.folder / "pictures"
        done = subprocess.run([Path(PROGRAM).resolve(), "classify", "line-detector", f"../{self.folder.name}/line.png",
                               "--features", "map", "--pictures", folder], cwd=self.folder, capture_output=True,
                              timeout=TIMEOUT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([p.name for p in folder.iterdir()], [f"{self.folder.name}_line.png.map.png"])

    def test_a_file_that_cannot_be_written(self):
        path, folder = self.write("line.png", line_png()), self.folder / "pictures"
        (folder / (str(path).strip("/").replace("/", "_") + ".map.png")).mkdir(parents=True)
        entry, = self.entries("line-detector", "--features", "map", "--pictures", folder, path, status=1)
        self.assertIn("cannot be written: Is a directory", entry["error"])

    def test_wrong_usage(self):
        path = self.write("line.png", line_png())
        self.check_usage("--pictures needs --features or --explain", "classify", "digits", "--pictures", "x", path)
        self.check_usage("--explain-class needs --explain", "classify", "digits", "--explain-class", "1", path)
        self.check_usage("--explain needs --format text or json, or --pictures", "classify", "cifar10", "--explain", "cam",
                         "--format", "csv", path)
        self.check_usage("there is no class activation map of model 'digits': the network does not end in global average "
                         "pooling and at most one linear layer; it ends in MaxPool 'pool2', Conv 'conv3', Relu 'relu3', "
                         "Flatten 'flatten', Gemm 'logits'", "classify", "digits", "--explain", "cam", path)
        self.check_usage(f"the folder '{path}/x' cannot be made: Not a directory", "classify", "digits", "--features", "*",
                         "--pictures", path / "x", path)


class Classify(Case):
    def test_an_image_that_fails_does_not_stop_the_rest(self):
        good, bad = self.write("good.png", line_png()), self.write("bad.png", line_png()[:50])
        text, gone = self.write("notes.txt", "no image"), self.folder / "gone.png"
        entries = self.entries("digits", bad, good, text, gone, good, status=1)
        self.assertEqual([e["image"]["name"] for e in entries], list(map(str, (bad, good, text, gone, good))))
        self.assertEqual([e.get("code") for e in entries],
                         ["undecodable_image", None, "unsupported_media_type", "not_found", None])
        self.assertEqual(entries[1], entries[4])
        probabilities = [p["probability"] for p in entries[1]["predictions"]]
        self.assertEqual(len(probabilities), 5)
        self.assertEqual(probabilities, sorted(probabilities, reverse=True))

    def test_folders(self):
        for name in "b.png", "a.PNG", "sub/c.jpeg", "sub/deep/d.webp", "z.Jpe", ".hidden.png", ".dir/e.png", "f.txt":
            self.write(name, line_png())
        names = [e["image"]["name"] for e in self.entries("digits", self.folder)]
        self.assertEqual(names, [f"{self.folder}/{n}" for n in
                                 ("a.PNG", "b.png", "f.txt", "sub/c.jpeg", "sub/deep/d.webp", "z.Jpe")])
        slash = [e["image"]["name"] for e in self.entries("digits", f"{self.folder}/")]
        self.assertEqual(slash, names)

    def test_pictures_without_extension(self):
        beginnings = {"a/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0", "b/webp": b"RIFF\x24\0\0\0WEBPVP8 ", "empty": b"",
                      "gif": b"GIF89a\1\0\1\0", "notes": b"about a picture", "short": b"\xff"}
        for name, content in beginnings.items():
            self.write(name, content)
        self.write("c", line_png())
        entries = self.entries("digits", self.folder, status=1)
        self.assertEqual([(os.path.relpath(e["image"]["name"], self.folder), e.get("code")) for e in entries],
                         [("a/jpeg", "undecodable_image"), ("b/webp", "undecodable_image"), ("c", None)])

    def test_folder_without_images(self):
        self.check_usage(f"there are no images in '{self.folder}'", "classify", "digits", self.folder)

    def test_links_to_folders_do_not_loop(self):
        self.write("a.png", line_png())
        os.symlink(self.folder, self.folder / "loop")
        self.assertEqual(len(self.entries("digits", self.folder)), 1)

    def test_csv(self):
        path = self.write('a "b", c.png', line_png())
        rows = list(csv.DictReader(io.StringIO(self.check("classify", "digits", "--format", "csv", "--top", "2", path,
                                                          "/gone", status=1))))
        self.assertEqual([(r["image"], r["rank"]) for r in rows], [(str(path), "1"), (str(path), "2"), ("/gone", "")])
        entry, = self.entries("digits", path)
        self.assertEqual([float(r["probability"]) for r in rows[:2]],
                         [p["probability"] for p in entry["predictions"][:2]])
        self.assertTrue(rows[2]["error"])

    def test_text(self):
        path = self.write("a.png", line_png())
        lines = self.check("classify", "digits", "--top", "3", path).splitlines()
        self.assertEqual((len(lines), lines[0]), (4, f"{path}  (png, 8x8)"))

    def test_standard_input(self):
        def run_with(content, *arguments):
            return subprocess.run([PROGRAM, "classify", "digits", "--format", "json", *arguments], input=content,
                                  capture_output=True, timeout=TIMEOUT, cwd=self.folder)
        path = self.write("a.png", line_png())
        self.write("-/inner.png", line_png())
        entry, = self.entries("digits", path)
        done = run_with(line_png(), "-")
        self.assertEqual(json.loads(done.stdout), {**entry, "image": {**entry["image"], "name": "-"}})
        large = run_with(b"\xff\xd8" + bytes(3 << 20), "-", path)
        self.assertEqual([json.loads(line).get("code") for line in large.stdout.splitlines()], ["undecodable_image", None])
        self.assertEqual((large.returncode, run_with(b"", "-").returncode), (1, 1))
        self.assertEqual([json.loads(line)["image"]["name"] for line in run_with(b"", "./-").stdout.splitlines()],
                         ["./-/inner.png"])
        twice = run_with(line_png(), "-", "-")
        self.assertEqual((twice.returncode, twice.stderr),
                         (2, b"cnnserve: '-' is given twice, but standard input is read only once\n"))

    def test_top(self):
        path = self.write("a.png", line_png())
        for top, count in (0, 0), (1, 1), (10, 10), (1000, 10):
            entry, = self.entries("digits", "--top", top, path)
            self.assertEqual(len(entry["predictions"]), count)
            self.assertEqual(len({p["class_index"] for p in entry["predictions"]}), count)

    def test_the_output_does_not_depend_on_threads(self):
        for i in range(60):
            self.write(f"{i:02}.png", line_png(8 + i, 40, (i // 2, i // 2 + 1)))
        outputs = {self.check("classify", "digits", "--format", "json", "--features", "*", "--threads", n, self.folder)
                   for n in (1, 2, 3, 8)}
        self.assertEqual(len(outputs), 1)

    def test_progress_on_a_terminal_only(self):
        for i in range(40):
            self.write(f"{i:02}.png", line_png())
        master, slave = pty.openpty()
        result = run("classify", "digits", self.folder, stderr=slave)
        os.close(slave)
        shown = read_to_end(master)
        os.close(master)
        self.assertEqual(result.returncode, 0)
        self.assertRegex(shown, r"\[[#-]{30}\] \d+/40 +\d+%")
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))

    def test_wrong_models(self):
        path = self.write("a.png", line_png())
        unplanned = self.write("open.onnx", relu_model(1, 3, 4, 4, op="NonZero"))
        self.check_usage(f"{unplanned}: NonZero 'nonzero': input must be known before the run, but depends on the "
                         "value of input 'x': give it in input_values", "classify", unplanned, path)
        self.check_usage("'digitz' is neither a file nor a folder; did you mean 'digits'?", "classify", "digitz", path)
        self.check_usage(f"folder '{self.folder}' holds neither model.onnx nor VERSION/model.onnx; give the file "
                         "'open.onnx' itself, or call it model.onnx", "classify", self.folder, path)
        broken = self.write("m/model.onnx", "no model")
        result = run("classify", broken, path)
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr.decode(), r"^cnnserve: .*m/model\.onnx: [^\n]*\n$")

    def test_precision(self):
        path = self.write("a.png", line_png())
        self.assertEqual(self.entries("digits", "--precision", "fp32", path), self.entries("digits", path))
        self.check_usage("--precision must be one of fp32|bf16|int8|auto, not 'fp8'", "classify", "--precision", "fp8",
                         "digits", path)

    @needs_data("models/squeezenet1.1")
    def test_photos_agree_with_pillow_and_onnx_runtime(self):
        with open(data("models/squeezenet1.1/expected-top5.csv")) as file:
            expected = {row["file"]: row for row in csv.DictReader(file)}
        arguments = ("classify", data("models/squeezenet1.1"), "--format", "json", "--top", "5",
                     data("images/imagenet"))
        output = self.check(*arguments, "--threads", "2")
        self.assertEqual(output, self.check(*arguments, "--threads", "1"))
        entries = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(len(entries), 200)
        best = close = 0
        for entry in entries:
            want = expected[os.path.basename(entry["image"]["name"])]
            got = {p["class_index"]: p["probability"] for p in entry["predictions"]}
            best += entry["predictions"][0]["class_index"] == int(want["class1"])
            close += abs(got.get(int(want["class1"]), 0) - float(want["p1"])) <= 0.01
        self.assertGreaterEqual(best, 199)
        self.assertGreaterEqual(close, 195)


class Scores(Case):
    """What was taken for logits, and gives probabilities."""

    def write_model(self):
        self.write("m/model.onnx", node_model([1, 3, 1, 1], ("Identity", "last", "x", "y")))
        self.write("m/model.json", json.dumps({"input": {"resize": {"mode": "none"}, "mean": 0, "std": 1}}))
        return self.write("third.png", png([[85]]))  # 85 / 255 in each of three channels

    def test_classify_says_so(self):
        picture = self.write_model()
        result = run("classify", self.folder / "m", picture)
        self.assertRegex(result.stderr.decode(), r"^cnnserve: warning: model 'm' version 1: the scores .* add up to 1.*"
                                                 r'"output": {"activation": "none"} in model.json\n$')
        self.write("m/model.json", json.dumps({"input": {"resize": {"mode": "none"}, "mean": 0, "std": 1},
                                               "output": {"activation": "none"}}))
        self.assertAlmostEqual(self.entries(self.folder / "m", picture)[0]["predictions"][0]["probability"], 1 / 3)

    def test_server_says_so_once_and_what_it_has_chosen(self):
        picture = self.write_model()
        server = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--model", f"m={self.folder}/m"],
                                  stderr=subprocess.PIPE, text=True)
        port = int(re.search(r"ready on http://127.0.0.1:(\d+)", server.stderr.readline())[1])
        for _ in range(6):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
            connection.request("POST", "/v1/classify", body=picture.read_bytes())
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()
        server.terminate()
        log = server.stderr.read()
        server.stderr.close()
        self.assertEqual(server.wait(TIMEOUT), 0)
        self.assertEqual(len(re.findall("were taken for logits", log)), 1, log)
        self.assertIn("model 'm' version 1: scores are output 'y', the only one: logits, from Identity 'last'; softmax is "
                      "applied", log)


class Inspect(Case):
    def test_table(self):
        text = self.check("inspect", "line-detector")
        self.assertRegex(text, r"(?m)^Layer +Op +Output shape +Params +MACs +Runs as +Memory$")
        self.assertRegex(text, r"(?m)^conv +Conv +1x1x222x222 +9 +443,556 +\w+ +\d+\.\d [KM]iB$")
        self.assertRegex(text, r"(?m)^\w+ +Relu +1x1x222x222 +0 +0 +\^ +-$")
        self.assertRegex(text, r"(?m)^Total params: +9 \(9\)\nTotal MACs: +443,556 \(443\.56 k\)\n"
                               r"Weights: +\d+.* packed\nActivations: +\d+.* a run$")
        self.assertRegex(text, r"(?m)^Classes +1: vertical line$")
        self.assertRegex(text, r"(?m)^Scores +output 'global_max', as model.json says: values, from Relu '\w+' through "
                               r"GlobalMaxPool; taken as they are, as model.json says$")
        for heading in "Totals", "Windows and inputs", "Tensors", "From picture to answer":
            self.assertIn(f"\n\n{heading}\n\n", text)
        self.assertRegex(text, r"(?m)^Layer +Kernel +Stride +Pads +Dilation +Groups +Inputs$")
        self.assertRegex(text, r"(?m)^conv +3x3 +1 +0 +1 +1 +image\nmap +conv\naverage_pool +2x2 +2 +0 +1 +map$")

    def test_pads_of_each_side(self):
        kind = proto((1, proto((1, 1), (2, proto(*[(1, proto((1, n))) for n in (1, 2, 9, 8)])))))
        open_kind = proto((1, proto((1, 1), (2, proto(*[(1, proto((2, n))) for n in "abcd"])))))
        ints = lambda name, *values: (5, proto((1, name), *[(8, v) for v in values], (20, 7)))
        node = proto((1, "x"), (2, "y"), (3, "pool"), (4, "MaxPool"), ints("kernel_shape", 3, 2), ints("strides", 2, 1),
                     ints("pads", 1, 0, 1, 1))
        graph = proto((1, node), (2, "g"), (11, proto((1, "x"), (2, kind))), (12, proto((1, "y"), (2, open_kind))))
        path = self.write("m.onnx", proto((1, 8), (7, graph), (8, proto((1, ""), (2, 13)))))
        self.assertRegex(self.check("inspect", path), r"(?m)^pool +3x2 +2x1 +1,0,1,1 +1 +x$")
        layer, = json.loads(self.check("inspect", "--json", path))["layers"]
        self.assertEqual({k: layer.get(k) for k in ("inputs", "kernel_shape", "strides", "pads", "dilations", "group")},
                         {"inputs": ["x"], "kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1],
                          "dilations": [1, 1], "group": None})

    def test_json(self):
        model = json.loads(self.check("inspect", "--json", "digits"))
        self.assertEqual(model["model"], "digits")
        self.assertEqual(model["labels"], list("0123456789"))
        self.assertEqual(model["preprocessing"]["color"], "GRAY")
        self.assertEqual(sum(layer["params"] for layer in model["layers"]), model["params"])
        self.assertEqual(sum(layer["macs"] for layer in model["layers"]), model["macs"])
        self.assertEqual(model["scores"], {
            "output": "logits", "tensor": "logits", "scale": 1.0, "activation": "softmax", "explanation":
            "output 'logits', as model.json says: logits, from Gemm 'logits'; softmax is applied, as model.json says"})
        for layer in model["layers"]:
            window = {"Conv": ["kernel_shape", "strides", "pads", "dilations", "group"],
                      "MaxPool": ["kernel_shape", "strides", "pads", "dilations"]}.get(layer["op"], [])
            self.assertEqual(list(layer), ["name", "op", "inputs", "output", "output_shape", *window, "params", "macs",
                                           "kernel", "fused_into", "memory_bytes"])
            self.assertEqual((layer["kernel"] is None, layer["memory_bytes"]) == (True, 0), layer["op"] == "Relu")
        self.assertEqual(model["layers"][-1]["memory_bytes"], 40)
        self.assertEqual([layer["inputs"] for layer in model["layers"]],
                         [["image"]] + [[layer["output"]] for layer in model["layers"][:-1]])
        bench = json.loads(self.check("bench", "--json", "--iterations", "1", "digits"))
        for key in "isa", "weights_bytes", "arena_bytes", "macs":
            self.assertEqual(model[key], bench[key], key)
        self.assertEqual([layer["kernel"] for layer in model["layers"] if layer["macs"]],
                         [step["kernel"] for step in bench["layers"] if step["macs"]])

    def test_fused_layers(self):
        layers = json.loads(self.check("inspect", "--json", "cifar10"))["layers"]
        fused = {layer["name"]: layer["fused_into"] for layer in layers if layer["name"].startswith("block2")}
        self.assertEqual(fused, {"block2_conv1": None, "block2_pool": None, "block2_relu1": None,
                                 "block2_conv2": None, "block2_relu2": "block2_conv2", "block2_conv3": None,
                                 "block2_add": "block2_conv3", "block2_relu3": "block2_conv3"})
        self.assertIsNone(next(layer for layer in layers if layer["op"] == "Flatten")["fused_into"])
        path = self.write("m.onnx", node_model([2, 3], ("Add", "twice", "x x", "a"), ("Abs", "size", "x", "b"),
                                               ("Relu", "positive", "a", "c"), ("Add", "sum", "b c", "d"),
                                               ("Dropout", "drop", "d", "e"), ("Relu", "last", "e", "y")))
        rows = [line.split()[5:-1] for line in self.check("inspect", path).splitlines()[4:10]]
        self.assertEqual([row[:2] for row in rows], [["binary", "24"], ["eval", "24"], ["in", "twice"],
                                                     ["binary", "24"], ["-"], ["^"]])

    def test_folder_of_hugging_face(self):
        root = Path(__file__).resolve().parents[2]
        names = "zero one two three four five six seven eight nine".split()
        with tempfile.TemporaryDirectory() as folder:
            shutil.copyfile(root / "models/digits/model.onnx", f"{folder}/model.onnx")
            Path(folder, "config.json").write_text(json.dumps(
                {"architectures": ["ResNetForImageClassification"], "model_type": "resnet",
                 "id2label": {str(i): name for i, name in enumerate(names)}}))
            Path(folder, "preprocessor_config.json").write_text(json.dumps(
                {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "size": 28, "resample": 3,
                 "do_normalize": True, "image_mean": [0.5], "image_std": [0.5]}))
            model = json.loads(self.check("inspect", "--json", folder))
            self.assertEqual(model["labels"], names)
            self.assertEqual(model["preprocessing"]["resize"],
                             {"mode": "shortest", "size": [32, 32], "filter": "bicubic"})
            self.assertEqual(model["preprocessing"]["crop"], [28, 28])
            self.assertEqual(model["preprocessing"]["rounding"], "transformers")
            line = self.check("classify", folder, "--format", "json", root / "docs/examples/seven.jpg")
            self.assertEqual(json.loads(line)["predictions"][0]["label"], "seven")

    @needs_data("onnx-conformance/light")
    def test_published_figures(self):
        # Parameters as published; ResNet-50's 25.56 M count two of a batch normalization's four vectors.
        for name, params, macs in (("bvlc_alexnet", 60965224, None), ("vgg19", 143667240, 19632062464),
                                   ("resnet50", 25557032 + 53120, 4089184256), ("squeezenet", 1235496, None)):
            model = json.loads(self.check("inspect", "--json", data(f"onnx-conformance/light/{name}")))
            self.assertEqual(model["params"], params, name)
            self.assertEqual(model["macs"], macs or model["macs"], name)

    @needs_data("onnx-conformance/node/test_abs")
    def test_graphs_that_are_no_classifiers(self):
        text = self.check("inspect", data("onnx-conformance/node/test_abs"))
        self.assertIn("No image classifier: ", text)
        self.assertRegex(text, r"(?m)^y +Abs +3x4x5 +0 +0 +\w+ +240 B$")


class Bench(Case):
    def test_bench_says_whether_its_threads_are_bound(self):
        first_line = lambda *options: self.check("bench", "--iterations", "1", *options, "digits").split("\n")[0]
        note = ", each on CPUs of its own)"
        self.assertNotIn(note, first_line("--affinity", "off"))
        self.assertNotIn(note, first_line("--threads", "1"))
        if len(os.sched_getaffinity(0)) > 1 and "(affinity" in first_line():
            self.assertIn("(affinity" + note, first_line())
            self.assertIn("(given" + note, first_line("--threads", "2", "--affinity", "auto"))

    def test_json(self):
        report = json.loads(self.check("bench", "--json", "--iterations", "5", "--threads", "1", "digits"))
        for key in ("model", "precision", "threads", "batch", "iterations", "median_ms", "min_ms", "p99_ms", "isa",
                    "peak_rss_bytes", "arena_bytes", "weights_bytes", "layers"):
            self.assertIn(key, report)
        self.assertEqual((report["model"], report["threads"], report["batch"], report["iterations"]),
                         ("digits", 1, 1, 5))
        self.assertLessEqual(report["min_ms"], report["median_ms"])
        self.assertLessEqual(report["median_ms"], report["p99_ms"])
        for layer in report["layers"]:
            self.assertEqual(list(layer), ["name", "op", "kernel", "output_shape", "ms", "share", "macs", "gflops"])
        self.assertAlmostEqual(sum(layer["share"] for layer in report["layers"]), 1, places=4)

    def test_table_and_batch(self):
        text = self.check("bench", "--iterations", "3", "--batch", "4", "cifar10")
        self.assertIn("batch 4", text)
        self.assertRegex(text, r"(?m)^Latency +median ")


    def test_batch(self):
        fixed, open_ = self.write("fixed.onnx", relu_model(3, 4)), self.write("open.onnx", relu_model("n", 4))
        classifier = self.write("classifier.onnx", relu_model(1, 3, 4, 4))
        for model, options, batch in (fixed, (), 3), (fixed, ("--batch", "3"), 3), (open_, (), 1), \
                (open_, ("--batch", "5"), 5), (classifier, (), 1), ("digits", ("--batch", "2"), 2):
            report = json.loads(self.check("bench", "--json", "--iterations", "1", *options, model))
            self.assertEqual(report["batch"], batch)
            self.assertEqual(report["layers"][0]["output_shape"][0], batch)
        self.check_usage("the model's batch is fixed to 3", "bench", "--batch", "1", fixed)
        self.check_usage("the model's batch is fixed to 1", "bench", "--batch", "2", classifier)

    def test_shape(self):
        model = self.write("m.onnx", relu_model("n", 3, "h", "w"))
        for option, shape in ("1x3x40x50", [1, 3, 40, 50]), ("x=4x3x8x8", [4, 3, 8, 8]):
            report = json.loads(self.check("bench", "--json", "--iterations", "1", "--shape", option, model))
            self.assertEqual(report["inputs"], [{"name": "x", "dtype": "float32", "shape": shape}])
            self.assertEqual((report["batch"], report["layers"][0]["output_shape"]), (shape[0], shape))
            shown = json.loads(self.check("inspect", "--json", "--shape", option, model))
            self.assertEqual((shown["computed_for"], shown["layers"][0]["output_shape"]), (report["inputs"], shape))
        self.assertRegex(self.check("inspect", "--shape", "1x3x40x50", model), r"(?m)^Computed for +x  float32  1x3x40x50$")
        self.check_usage("--shape sets the batch to 2", "bench", "--shape", "2x3x4x4", "--batch", "1", model)

    def test_wrong_shapes(self):
        model, free = self.write("m.onnx", relu_model("n", 3, 8, 8)), self.write("free.onnx", relu_model("a", "b"))
        written = "a shape is written 1x3x224x224, each extent a number from 1 on"
        for shape, why in (("1x3x8x9", "the file fixes input 'x' to ?x3x8x8"), ("3x8x8", "the file fixes input 'x' to "
                           "?x3x8x8"), ("1x3x8", "the file fixes input 'x' to ?x3x8x8"), ("1x3x8x", written),
                           ("1x3x0x8", written), ("1,3,8,8", written), ("-1x3x8x8", written), ("", written),
                           ("y=1x3x8x8", "the model has no input 'y'; did you mean 'x'?"), ("x=", written),
                           ("1x1x1x1x1x1x1x1x1", "a shape has at most 8 extents"), ("1x3x99999999999x8", written)):
            for command in "bench", "inspect":
                self.check_usage(f"--shape '{shape}': {why}", command, f"--shape={shape}", model)
        self.check_usage("--shape 'x=1x3x8x8': the input has a shape already", "inspect", "--shape", "1x3x8x8",
                         "--shape", "x=1x3x8x8", model)
        self.check_usage(f"{free}: input 'x': the model leaves the extent of axis 1 open; give the input's shape "
                         "(see --shape)", "inspect", free)
        self.check_usage("--shape '1x3x64x64': the file fixes input 'image' to ?x3x32x32", "bench", "--shape",
                         "1x3x64x64", "cifar10")

    @needs_data("models/squeezenet1.1")
    def test_batch_of_a_classifier(self):
        self.check_usage("the model's batch is fixed to 1", "bench", "--batch", "2", data("models/squeezenet1.1"))


class Folders(Case):
    """What is likely a mistake is said, and does not stop anything."""

    def test_warnings(self):
        root = Path(__file__).resolve().parents[2] / "models/digits"
        for version in "1", "v2":
            self.write(f"m/{version}/model.onnx", (root / "model.onnx").read_bytes())
        self.write("m/1/model.json", json.dumps({"input": {"resize": {"mode": "exact", "size": 20}}}))
        passed = f"folder '{self.folder}/m/v2' holds a model and is passed over: its name is no version, a whole " \
                 "number from 1 on without leading zeros; call it '2'"
        frame = "pictures are resized to 20x20 and then cut to 28x28 (height x width), which puts them into a black " \
                "frame; is the size of the resize meant to be 28x28?"
        for command in ("classify", self.write("a.png", line_png())), ("bench", "--iterations=1"), ("inspect",):
            result = run(command[0], self.folder / "m", *command[1:])
            self.assertEqual(result.returncode, 0)
            self.assertEqual(result.stderr.decode(), f"cnnserve: warning: {frame}\ncnnserve: warning: {passed}\n")

    def test_labels_in_utf16(self):
        root = Path(__file__).resolve().parents[2] / "models/digits"
        self.write("m/model.onnx", (root / "model.onnx").read_bytes())
        self.write("m/labels.txt", "\r\n".join("null eins zwei drei vier fünf sechs sieben acht neun".split())
                   .encode("utf-16"))
        self.assertIn("fünf", json.loads(self.check("inspect", "--json", self.folder / "m"))["labels"])


class Verify(Case):
    def write_case(self, name, sets=("test_data_set_0",)):
        """A case that passes."""
        self.write(f"{name}/model.onnx", relu_model(2))
        for one in sets:
            self.write(f"{name}/{one}/input_0.pb", tensor("x", -1, 2))
            self.write(f"{name}/{one}/output_0.pb", tensor("y", 0, 2))

    def copy_case(self, name):
        """A writable copy; shutil's own copying would keep the mode of read-only data."""
        for path in Path(data("onnx-conformance/node/test_abs")).rglob("*"):
            if path.is_file():
                self.write(f"{name}/{path.relative_to(data('onnx-conformance/node/test_abs'))}", path.read_bytes())

    @needs_data("onnx-conformance/light")
    def test_whole_architectures(self):
        lines = self.check("verify", data("onnx-conformance/light")).splitlines()
        self.assertEqual(lines, [f"PASS {n}" for n in ("bvlc_alexnet", "densenet121", "inception_v1", "resnet50",
                                                       "squeezenet", "vgg19")] + ["6 passed, 0 failed"])

    @needs_data("onnx-conformance/node")
    def test_cases_of_onnx(self):
        folders = [data(f"onnx-conformance/{name}") for name in ("node", "simple", "pytorch-converted",
                                                                 "pytorch-operator")]
        lines = self.check("verify", *folders).splitlines()
        self.assertEqual((len(lines), lines[-1]), (551, "550 passed, 0 failed"))

    def test_shapes_that_depend_on_an_input(self):
        for name, wrong in ("good", 0), ("other", 1), ("longer", 2):
            self.write(f"{name}/model.onnx", relu_model(4, op="NonZero"))
            self.write(f"{name}/test_data_set_0/input_0.pb", tensor("x", 0, 7, 0, -1))
            indices = [1, 3 - (wrong == 1)] + [0] * (wrong == 2)
            self.write(f"{name}/test_data_set_0/output_0.pb",
                       proto((1, 1), (1, len(indices)), (2, 7), (8, "y"), (9, struct.pack(f"<{len(indices)}q", *indices))))
        lines = self.check("verify", self.folder, status=1).splitlines()
        self.assertEqual(lines, ["PASS good",
                                 "FAIL longer: test_data_set_0: output 'y' has shape 1x2 instead of 1x3",
                                 "FAIL other: test_data_set_0: output 'y' differs in 1 of 2 elements, first at 1",
                                 "1 passed, 2 failed"])

    @needs_data("onnx-conformance/node/test_abs")
    def test_failures(self):
        self.copy_case("good")
        self.copy_case("deep/er/wrong")
        self.copy_case("shape")
        self.write("model/model.onnx", b"a model folder is no case")
        output = self.folder / "deep/er/wrong/test_data_set_0/output_0.pb"
        content = bytearray(output.read_bytes())
        content[-4:] = struct.pack("<f", 1e9)
        output.write_bytes(content)
        shutil.copyfile(self.folder / "good/model.onnx", self.folder / "shape/test_data_set_0/input_0.pb")
        lines = self.check("verify", self.folder, status=1).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[0], r"^FAIL deep/er/wrong: test_data_set_0: output 'y' differs in 1 of 60 elements")
        self.assertEqual(lines[1], "PASS good")
        self.assertTrue(lines[2].startswith("FAIL shape: "))
        self.assertEqual(lines[3], "1 passed, 2 failed")
        self.assertEqual(self.check("verify", "--rtol", "1", "--atol", "2e9", self.folder / "deep").splitlines()[-1],
                         "1 passed, 0 failed")

    @needs_data("onnx-conformance/node/test_abs")
    def test_a_case_itself(self):
        self.copy_case("one")
        self.assertEqual(self.check("verify", self.folder / "one"), "PASS one\n1 passed, 0 failed\n")

    def test_data_sets(self):
        self.write_case("linked", ["sets/real"])
        os.symlink("sets/real", self.folder / "linked/test_data_set_0")
        self.write_case("lost", [])
        os.symlink("nowhere", self.folder / "lost/test_data_set_0")
        self.write_case("seven", ["test_data_set_7"])
        self.write_case("outer")
        self.write_case("outer/inner")
        self.write("outer/inner/test_data_set_0/output_0.pb", tensor("y", 5, 2))
        lines = self.check("verify", self.folder, status=1).splitlines()
        self.assertRegex(lines.pop(3), "^FAIL outer/inner: test_data_set_0: output 'y' differs in 1 of 2 elements")
        self.assertEqual(lines, ["PASS linked", "FAIL lost: no data set", "PASS outer", "PASS seven",
                                 "3 passed, 2 failed"])

    def test_names_of_cases(self):
        self.write_case("one")
        for given in self.folder / "one", f"{self.folder}/one//":
            self.assertEqual(self.check("verify", given), "PASS one\n1 passed, 0 failed\n")
        self.assertEqual(self.check("verify", f"{self.folder}/"), "PASS one\n1 passed, 0 failed\n")

    def test_nothing_to_do(self):
        self.write_case("a model folder is no case", [])
        self.assertEqual(run("verify", self.folder).returncode, 1)
        self.check_usage("'/nonexistent' is no folder", "verify", "/nonexistent")


class Healthcheck(Case):
    def serve(self, status, path="/readyz"):
        """A server that answers GET `path` with a status, and everything else with 404; returns its port."""
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status if self.path == path else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server.server_port

    def status(self, *arguments, env=None):
        return run("healthcheck", *arguments, env=env).returncode

    def test_ready(self):
        port = self.serve(200)
        self.assertEqual(self.status(f"http://127.0.0.1:{port}/readyz"), 0)
        self.assertEqual(self.status(f"http://localhost:{port}/readyz#part"), 0)
        for root in "", "/", "/#part":
            self.assertEqual(self.status(f"http://127.0.0.1:{port}{root}"), 0)
        self.assertEqual(self.status(env={"CNNSERVE_PORT": str(port)}), 0)
        self.assertEqual(self.status(env={"CNNSERVE_PORT": str(port), "CNNSERVE_HOST": "0.0.0.0"}), 0)

    def test_not_ready(self):
        port = self.serve(503)
        self.assertEqual(self.status(f"http://127.0.0.1:{port}/readyz"), 1)
        self.assertEqual(self.status(f"http://127.0.0.1:{port}"), 1)

    def test_no_server(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.assertEqual(self.status(f"http://127.0.0.1:{port}/readyz"), 1)

    def test_silent_server(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            self.assertEqual(self.status("--timeout-ms", "200", f"http://127.0.0.1:{port}/readyz"), 1)

    def start(self, *options, env=None):
        """A server on a free port; returns its process and that port."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CNNSERVE_")}
        server = subprocess.Popen([PROGRAM, *options], stderr=subprocess.PIPE, text=True, env={**clean, **(env or {})})
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        for line in server.stderr:
            if found := re.search(r"ready on http://[^ ]*:(\d+) ", line):
                return server, found.group(1)
        self.fail("no server")

    def test_the_server_that_runs_here(self):
        # Servers of other tests run beside this one: the host tells them apart.
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        env = {"CNNSERVE_HOST": "127.0.0.1", "CNNSERVE_PORT": str(port)}
        self.assertEqual(self.status(env=env), 1)
        config = self.write("c.json", '{"port": 0, "host": "127.0.0.1"}')
        server, first = self.start("--port", "0", env=env)
        self.assertNotEqual(first, str(port))
        self.assertEqual(self.status(env=env), 0)
        self.assertEqual(self.status(env={**env, "CNNSERVE_PORT": "1"}), 1)
        self.start("serve", "--host", "0.0.0.0", "--port", "0", "--config", config, env=env)
        done = run("healthcheck", env=env)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), r"^cnnserve: several servers run here, give the URL of one: "
                                               r"http://127\.0\.0\.1:\d+, http://127\.0\.0\.1:\d+\n$")
        self.start(env=env)  # now one is where the environment says
        self.assertEqual(self.status(env=env), 0)

    def test_config_file_and_ipv6(self):
        env = {"CNNSERVE_HOST": "localhost", "CNNSERVE_PORT": "2"}
        config = self.write("c.json", '{"log-level": "warn"}')
        server, _ = self.start("--config", config, "--host", "::" if socket.has_ipv6 else "0.0.0.0", "--port", "0", env=env)
        self.assertEqual(self.status(env=env), 0)
        server.send_signal(signal.SIGSTOP)
        self.assertEqual(self.status("--timeout-ms", "200", env=env), 1)
        server.send_signal(signal.SIGCONT)

    def test_links_of_kubernetes(self):
        port = self.serve(200)
        self.assertEqual(self.status(f"http://127.0.0.1:{port}", env={"CNNSERVE_PORT": "tcp://10.0.0.1:8080"}), 0)

    def test_wrong_urls(self):
        for url in "https://x/", "127.0.0.1:80", "http://", "http://a:0/", "http://a:x/", "http://a b/", "http://[::1/":
            self.assertEqual(self.status(url), 2, url)


if __name__ == "__main__":
    unittest.main()
