#!/usr/bin/env python3
"""End-to-end tests of `cnnserve serve`, with nothing but Python's standard library.

CNNSERVE names the program. CNNSERVE_TEST_DATA, if set, is the folder with the shared pictures; tests that
need it are skipped without it. Each class starts a server of its own with the options it needs.
"""

import base64
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
import zlib

PROGRAM = os.environ["CNNSERVE"]
DATA = pathlib.Path(os.environ.get("CNNSERVE_TEST_DATA") or "/nonexistent")
# A sanitizer makes everything slower; deadlines of the tests, not of the server, are stretched.
PATIENCE = 120


def png(width, height, value=None):
    """A grey PNG, black if no value is given."""
    rows = (bytes(width + 1) * height if value is None else
            b"".join(b"\0" + bytes(value(x, y) for x in range(width)) for y in range(height)))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


ONE = png(28, 28, lambda x, y: 255 if 12 <= x <= 15 and 4 <= y <= 23 else 0)
BROKEN = ONE[: len(ONE) // 2]


# AddressSanitizer and ThreadSanitizer make the program slower, and keep what it frees.
SANITIZED = any(mark in pathlib.Path(PROGRAM).read_bytes() for mark in (b"__asan_init", b"__tsan_init"))
SIDE = 2500 if SANITIZED else 6000
SLOW = png(SIDE, SIDE)  # takes a while to decode, but little to send


class Server:
    """A running cnnserve, and the lines of its log."""

    def __init__(self, *options, env=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CNNSERVE_")}
        environment.update(env or {})
        self.process = subprocess.Popen([PROGRAM, "serve", "--port", "0", *options], stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True, env=environment)
        self.lines = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready.wait(PATIENCE)
        if not self.ready.is_set() or self.process.poll() is not None:
            self.process.kill()
            raise RuntimeError("cnnserve did not start: " + "".join(self.lines))
        found = re.search(r"ready on http://([^:]+|\[.*\]):(\d+) ", self.ready_line)
        self.host, self.port = found.group(1), int(found.group(2))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if "cnnserve ready on" in line:
                self.ready_line = line
                self.ready.set()
        self.ready.set()

    def connect(self, timeout=PATIENCE):
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def request(self, method, path, body=None, headers=None, connection=None):
        c = connection or http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            c.request(method, path, body=body, headers=headers or {})
            return Reply(c.getresponse())
        finally:
            if not connection:
                c.close()

    def raw(self, data, timeout=PATIENCE):
        """Sends bytes, and reads until the server closes."""
        with self.connect(timeout) as s:
            s.sendall(data)
            return read_all(s)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=PATIENCE):
        status = self.process.wait(timeout)
        self.reader.join(PATIENCE)
        self.process.stderr.close()
        return status

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        """For tests that have failed; does nothing if the server has stopped."""
        self.process.kill()
        self.wait()


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def read_all(s):
    data = b""
    while True:
        try:
            piece = s.recv(1 << 16)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def parse(data):
    """Splits a raw response into status, headers and body."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def form(*parts, boundary="----boundary7MA4YWxk"):
    """A multipart body from (name, filename or None, bytes), with its Content-Type."""
    body = b""
    for name, filename, data in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if filename is not None:
            body += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'.encode()
        body += b"\r\n\r\n" + data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def document(**keys):
    return json.dumps(keys).encode(), {"Content-Type": "application/json"}


class ServerCase(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        if status != 0:
            raise AssertionError(f"the server ended with {status}: {''.join(cls.server.lines[-50:])}")

    def get(self, path, **more):
        return self.server.request("GET", path, **more)

    def post(self, path, body, headers=None, **more):
        return self.server.request("POST", path, body, headers, **more)

    def expect_error(self, reply, status, code, part=""):
        self.assertEqual(reply.status, status, reply.body)
        answer = reply.json()
        self.assertEqual(sorted(answer), ["code", "error"])
        self.assertEqual(answer["code"], code)
        self.assertIn(part, answer["error"])
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        self.assert_marks(reply.headers)

    def assert_marks(self, headers):
        """What every response carries."""
        self.assertRegex(headers["X-Request-Id"], r"^[A-Za-z0-9._-]{1,128}$")
        parts = [part.split(";dur=")[0] for part in headers["Server-Timing"].split(", ")]
        self.assertEqual(parts, ["decode", "preprocess", "queue", "inference", "encode"])
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def assert_alive(self):
        self.assertEqual(self.get("/livez").status, 200)


class Classify(ServerCase):
    """Every form of a body, and what comes back."""

    def expect_one(self, reply, name=None):
        self.assertEqual(reply.status, 200, reply.body)
        answer = reply.json()
        self.assertEqual((answer["model"], answer["version"]), ("digits", "1"))
        (result,) = answer["results"]
        self.assertEqual(result["predictions"][0]["class_index"], 1)
        self.assertEqual(result["predictions"][0]["label"], "1")
        self.assertEqual(result["image"].get("name"), name)
        self.assertEqual((result["image"]["format"], result["image"]["width"]), ("png", 28))
        self.assert_marks(reply.headers)
        return answer

    def test_raw_body_of_any_type(self):
        for kind in ("image/png", "application/octet-stream", "application/x-www-form-urlencoded", "text/html", None):
            for method in ("POST", "PUT"):
                headers = {"Content-Type": kind} if kind else {}
                reply = self.server.request(method, "/v1/models/digits/classify?top=3", ONE, headers)
                answer = self.expect_one(reply)
                self.assertEqual(len(answer["results"][0]["predictions"]), 3)

    def test_urlencoded_body_with_special_bytes_is_not_parsed_as_a_form(self):
        picture = png(64, 64, lambda x, y: (x * 7 + y * 13) % 256)
        self.assertTrue(b"&" in picture or b"=" in picture or b"%" in picture)
        reply = self.post("/v1/models/digits/classify", picture, {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.json()["results"][0]["image"]["width"], 64)

    def test_probabilities_are_sorted_and_add_up(self):
        answer = self.post("/v1/models/digits/classify?top=100", ONE).json()
        values = [p["probability"] for p in answer["results"][0]["predictions"]]
        self.assertEqual(len(values), 10)
        self.assertEqual(values, sorted(values, reverse=True))
        self.assertAlmostEqual(sum(values), 1, places=5)

    def test_default_model_and_version(self):
        self.assertEqual(self.post("/v1/classify", ONE).json()["model"], "cifar10")
        self.expect_one(self.post("/v1/models/digits/versions/1/classify", ONE))

    def test_multipart(self):
        body, headers = form(("image", "one.png", ONE), ("top", None, b"2"))
        answer = self.expect_one(self.post("/v1/models/digits/classify", body, headers), "one.png")
        self.assertEqual(len(answer["results"][0]["predictions"]), 2)

    def test_multipart_of_several(self):
        body, headers = form(("a", "1.png", ONE), ("b", 'brok"en.png'.replace('"', '\\"'), BROKEN), ("c", "3", ONE))
        reply = self.post("/v1/models/digits/classify", body, headers)
        self.assertEqual(reply.status, 200)
        results = reply.json()["results"]
        self.assertEqual([r["image"].get("name") for r in results], ["1.png", 'brok"en.png', "3"])
        self.assertEqual(sorted(results[1]), ["code", "error", "image"])
        self.assertEqual(results[1]["code"], "undecodable_image")
        self.assertEqual(results[0]["predictions"], results[2]["predictions"])

    def test_json(self):
        text = base64.b64encode(ONE).decode()
        body, headers = document(images=[{"b64": text, "name": "näme"}], top=1, timings=True)
        answer = self.expect_one(self.post("/v1/models/digits/classify", body, headers), "näme")
        self.assertEqual(sorted(answer["timings"]), ["decode", "encode", "inference", "preprocess", "queue"])
        body, headers = document(images=["data:image/png;base64," + text])
        self.expect_one(self.post("/v1/models/digits/classify", body, headers))

    def test_base64_as_people_send_it(self):
        lines = base64.encodebytes(ONE).decode()
        data_url = urllib.parse.quote(lines.replace("\n", ""), safe="")
        for text in (lines, lines.replace("\n", "\r\n"), base64.urlsafe_b64encode(ONE).decode().rstrip("="),
                     "data:image/png;base64," + data_url, "data:image/png," + urllib.parse.quote(ONE),
                     'DATA:image/png;name="a,b";BASE64,' + lines):
            body, headers = document(images=[text])
            self.expect_one(self.post("/v1/models/digits/classify", body, headers))
        self.expect_one(self.post("/v1/models/digits/classify", b"\xef\xbb\xbf" + body,
                                  {"Content-Type": "application/json; charset=utf-8"}))

    def test_names_as_browsers_escape_them(self):
        body, headers = form(("image", "a%22b%0D%0A100%25.png", ONE))
        self.expect_one(self.post("/v1/models/digits/classify", body, headers), 'a"b\r\n100%25.png')

    def test_chunked_body_in_small_pieces(self):
        pieces = (ONE[i:i + 7] for i in range(0, len(ONE), 7))
        self.expect_one(self.post("/v1/models/digits/classify", pieces))

    def test_multipart_in_single_bytes(self):
        body, headers = form(("image", "one.png", ONE))
        with self.server.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(f"POST /v1/models/digits/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                      f"{len(body)}\r\nContent-Type: {headers['Content-Type']}\r\n\r\n".encode())
            for i in range(len(body)):
                s.sendall(body[i:i + 1])
            status, _, answer = parse(read_all(s))
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(answer)["results"][0]["image"]["name"], "one.png")

    def test_features_read_back_as_the_same_float32(self):
        path = "/v1/models/digits/classify?top=0&features=conv1,logits&feature_format="
        arrays = self.post(path + "array", ONE).json()["results"][0]["features"]
        coded = self.post(path + "base64", ONE).json()["results"][0]["features"]
        stats = self.post(path + "stats", ONE).json()["results"][0]["features"]
        self.assertEqual(list(arrays), ["conv1", "logits"])
        for name, feature in arrays.items():
            self.assertEqual(feature["dtype"], "float32")
            flat = feature["data"]
            for extent in feature["shape"][:-1]:
                self.assertEqual(len(flat), extent) if flat is feature["data"] else None
                flat = [x for row in flat for x in row]
            values = base64.b64decode(coded[name]["data_base64"])
            self.assertEqual(struct.pack(f"<{len(flat)}f", *flat), values)
            each = len(flat) // len(stats[name]["min"])
            self.assertEqual(len(stats[name]["min"]), 32 if name == "conv1" else 1)
            for c, low in enumerate(stats[name]["min"]):
                channel = flat[c * each:(c + 1) * each]
                self.assertAlmostEqual(low, min(channel), delta=abs(low) * 1e-6)
                self.assertAlmostEqual(stats[name]["mean"][c], sum(channel) / each, delta=1e-5)
                self.assertEqual(stats[name]["zeros"][c], channel.count(0.0))

    def test_wildcards(self):
        answer = self.post("/v1/models/digits/classify?features=pool?,re*&feature_format=stats", ONE).json()
        self.assertEqual(list(answer["results"][0]["features"]), ["relu1", "pool1", "relu2", "pool2", "relu3"])

    def test_models(self):
        models = self.get("/v1/models").json()["models"]
        self.assertEqual([m["name"] for m in models], ["cifar10", "digits", "line-detector"])
        model = self.get("/v1/models/digits").json()
        for key in ("name", "version", "input", "output", "preprocessing", "scores", "labels", "memory", "precision",
                    "layers", "warnings"):
            self.assertIn(key, model)
        self.assertEqual((model["scores"]["output"], model["scores"]["activation"]), ("logits", "softmax"))
        self.assertEqual(model["labels"], [str(i) for i in range(10)])
        self.assertEqual(sorted(model["layers"][0]), ["dilations", "group", "inputs", "kernel_shape", "macs", "name", "op",
                                                      "output", "output_shape", "pads", "params", "strides"])
        self.assertEqual(sorted(model["layers"][-1]), ["inputs", "macs", "name", "op", "output", "output_shape", "params"])
        self.assertEqual(self.get("/v1/models/digits/versions/1").json()["name"], "digits")
        self.assertGreater(model["memory"]["weights_bytes"], 0)

    def test_health(self):
        for path in ("/livez", "/readyz"):
            reply = self.get(path)
            self.assertEqual(reply.status, 200)
            self.assert_marks(reply.headers)

    def test_head_is_get_without_a_body(self):
        for path in ("/livez", "/v1/models", "/v1/models/digits"):
            head, get = self.server.request("HEAD", path), self.get(path)
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.headers["Content-Type"], get.headers["Content-Type"])
        self.assertEqual(head.headers["Content-Length"], get.headers["Content-Length"])

    def test_options(self):
        reply = self.server.request("OPTIONS", "/v1/classify")
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertEqual(reply.headers["Allow"], "POST, PUT, OPTIONS")
        self.assertIsNone(reply.headers["Access-Control-Allow-Methods"])

    def test_request_id_is_the_clients_if_sane(self):
        self.assertEqual(self.get("/livez", headers={"X-Request-Id": "a.B_c-9"}).headers["X-Request-Id"], "a.B_c-9")
        for insane in ("a b", "ä", "x" * 129, "<b>"):
            reply = self.get("/livez", headers={"X-Request-Id": insane.encode()})
            self.assertRegex(reply.headers["X-Request-Id"], r"^[0-9a-f]{16}$")
        first, second = (self.get("/livez").headers["X-Request-Id"] for _ in range(2))
        self.assertNotEqual(first, second)

    def test_server_timing_counts(self):
        timing = dict(part.split(";dur=") for part in
                      self.post("/v1/models/digits/classify", ONE).headers["Server-Timing"].split(", "))
        for part in ("decode", "inference", "encode"):
            self.assertGreater(float(timing[part]), 0, part)

    @unittest.skipUnless((DATA / "images").is_dir(), "CNNSERVE_TEST_DATA is not there")
    def test_photo(self):
        photo = sorted((DATA / "images" / "imagenet").glob("*.JPEG"))[0].read_bytes()
        image = self.post("/v1/classify", photo).json()["results"][0]["image"]
        self.assertEqual((image["format"], image["orientation"]), ("jpeg", 1))

    @unittest.skipUnless((DATA / "images").is_dir(), "CNNSERVE_TEST_DATA is not there")
    def test_damaged_pictures_are_answered(self):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=PATIENCE)
        counts = {}
        files = [p for folder in ("malformed", "pngsuite") for p in sorted((DATA / "images" / folder).rglob("*"))]
        for path in files:
            if not path.is_file():
                continue
            reply = self.server.request("POST", "/v1/models/digits/classify", path.read_bytes(),
                                        connection=connection)
            self.assertIn(reply.status, (200, 400, 413, 415, 422), (path, reply.body))
            if reply.status != 200:
                self.assertIn(reply.json()["code"], ("bad_request", "image_too_large", "unsupported_media_type",
                                                     "undecodable_image"))
            if path.name.startswith("x") and path.suffix == ".png" and path.parent.name == "pngsuite":
                self.assertIn(reply.status, (415, 422), path)
            counts[reply.status] = counts.get(reply.status, 0) + 1
        connection.close()
        self.assertGreater(counts.get(200, 0), 100)
        self.assertGreater(sum(counts.values()) - counts[200], 100)
        self.assert_alive()


class Errors(ServerCase):
    """The contract's table of errors."""
    options = ("--max-body", "1MiB", "--max-pixels", "1000000", "--max-images", "3", "--feature-limit", "100k",
               "--idle-seconds", "2")

    def test_bad_request(self):
        post = lambda path, body=ONE, headers=None: self.post(path, body, headers)
        self.expect_error(post("/v1/classify", b""), 400, "bad_request", "empty")
        self.expect_error(post("/v1/classify?top=x"), 400, "bad_request", "'top' has to be a whole number")
        self.expect_error(post("/v1/classify?topp=1"), 400, "bad_request", "did you mean 'top'")
        self.expect_error(post("/v1/classify?explain=gradcam"), 400, "bad_request", "explain")
        self.expect_error(post("/v1/classify?feature_format=gif"), 400, "bad_request", "array|base64|stats|png")
        self.expect_error(post("/v1/classify?top=1&top=2"), 400, "bad_request", "twice")
        self.expect_error(post("/v1/classify?a=%zz"), 400, "bad_request", "percent")
        self.expect_error(post("/v1/%ff/classify"), 400, "bad_request", "UTF-8")
        body, headers = document(images=["AAAA"], tops=1)
        self.expect_error(post("/v1/classify", body, headers), 400, "bad_request", "'tops'")
        self.expect_error(post("/v1/classify", b"{", headers), 400, "bad_request", "JSON")
        body, headers = document(images=["A*=="])
        self.expect_error(post("/v1/classify", body, headers), 400, "bad_request", "base64")
        for images, part in (([], "is empty"), ([""], "is empty"), (["data:image/png;base64,"], "is empty"),
                             (["https://example.com/a.jpg"], "URLs are not fetched; send "),
                             ([{"url": "//example.com/a.jpg"}], "URLs are not fetched; send ")):
            body, headers = document(images=images)
            self.expect_error(post("/v1/classify", body, headers), 400, "bad_request", part)
        self.expect_error(post("/v1/classify", json.dumps({}).encode("utf-16"), headers), 400, "bad_request", "UTF-8")
        body, headers = form(("image", "a.png", b""))
        self.expect_error(post("/v1/classify", body, headers), 400, "bad_request", "the file is empty")
        body, headers = form(("top", None, b"1"))
        self.expect_error(post("/v1/classify", body, headers), 400, "bad_request", "no file")
        body, headers = form(("image", "a.png", ONE))
        self.expect_error(post("/v1/classify", body.replace(b"\r\n", b"\n"), headers), 400, "bad_request", "LF alone")
        self.expect_error(post("/v1/classify", body, {"Content-Type": "multipart/mixed; boundary=x"}), 415,
                          "unsupported_media_type", "multipart/form-data")
        self.expect_error(post("/v1/classify", b"image=" + base64.b64encode(ONE),
                               {"Content-Type": "application/x-www-form-urlencoded"}), 415,
                          "unsupported_media_type", "base64 in an urlencoded form")
        body, headers = form(("image", "a.png", ONE))
        self.expect_error(post("/v1/classify", body[:-10], headers), 400, "bad_request", "multipart")
        self.expect_error(post("/v1/classify", body, {"Content-Type": "multipart/form-data"}), 400, "bad_request",
                          "boundary")

    def test_not_found(self):
        self.expect_error(self.get("/"), 404, "not_found", "/v1/models")
        self.expect_error(self.get("/metrics"), 404, "not_found")
        self.expect_error(self.post("/v1/clasify", ONE), 404, "not_found", "did you mean '/v1/classify'?")
        self.expect_error(self.get("/v1/models/"), 404, "not_found", "/v1/models/{model}")
        self.expect_error(self.post("/v1/models/digit/classify", ONE), 404, "not_found", "digits")
        self.expect_error(self.post("/v1/models/digits/versions/7/classify", ONE), 404, "not_found", "7")
        self.expect_error(self.get("/v1/models/none"), 404, "not_found")
        self.expect_error(self.post("/v1/models/digits/classify?features=conv9", ONE), 404, "not_found", "conv1")
        self.expect_error(self.get("/v1/models/..%2F..%2Fetc"), 404, "not_found")

    def test_method_not_allowed(self):
        for method, path, allow in (("GET", "/v1/classify", "POST, PUT, OPTIONS"),
                                    ("DELETE", "/v1/models/digits", "GET, HEAD, OPTIONS"),
                                    ("POST", "/readyz", "GET, HEAD, OPTIONS"),
                                    ("BREW", "/livez", "GET, HEAD, OPTIONS")):
            reply = self.server.request(method, path, b"x" if method == "POST" else None)
            self.expect_error(reply, 405, "method_not_allowed", method)
            self.assertEqual(reply.headers["Allow"], allow)

    def test_image_errors(self):
        self.expect_error(self.post("/v1/classify", b"GIF89a" + bytes(100)), 415, "unsupported_media_type", "JPEG")
        self.expect_error(self.post("/v1/classify", b"hello"), 415, "unsupported_media_type")
        self.expect_error(self.post("/v1/classify", BROKEN), 422, "undecodable_image")
        self.expect_error(self.post("/v1/classify", png(1001, 1000)), 413, "image_too_large")
        self.assertEqual(self.post("/v1/classify", png(1000, 1000)).status, 200)

    def test_several_images_never_fail_as_a_whole(self):
        body, headers = form(("a", "a", b"hello"), ("b", "b", BROKEN), ("c", "c", png(1001, 1000)))
        reply = self.post("/v1/classify", body, headers)
        self.assertEqual(reply.status, 200)
        self.assertEqual([r["code"] for r in reply.json()["results"]],
                         ["unsupported_media_type", "undecodable_image", "image_too_large"])

    def test_too_many_images(self):
        body, headers = form(*[("i", "i.png", ONE)] * 4)
        self.expect_error(self.post("/v1/classify", body, headers), 413, "payload_too_large", "4 images")
        body, headers = document(images=[base64.b64encode(ONE).decode()] * 4)
        self.expect_error(self.post("/v1/classify", body, headers), 413, "payload_too_large", "limit is 3")

    def test_features_too_large(self):
        self.expect_error(self.post("/v1/models/digits/classify?features=conv1", ONE), 413, "features_too_large",
                          "102400")
        self.assertEqual(self.post("/v1/models/digits/classify?features=conv3", ONE).status, 200)

    def test_body_too_large_is_refused_from_its_announced_length(self):
        with self.server.connect() as s:
            s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
            status, headers, body = parse(read_all(s))  # without having sent any of it
        self.assertEqual(status, 413)
        self.assertEqual(json.loads(body)["code"], "payload_too_large")
        self.assertIn("1048576", json.loads(body)["error"])
        self.assert_marks(headers)
        self.assertEqual(headers["Connection"], "close")

    def test_refusal_reaches_a_client_that_sends_everything_first(self):
        for _ in range(5):
            reply = self.post("/v1/classify", bytes(4 << 20))
            self.expect_error(reply, 413, "payload_too_large")

    def test_expect_continue(self):
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        for path, length, status in ((b"/v1/classify", 1 << 21, 413), (b"/none", 100, 404), (b"/livez", 100, 405)):
            with self.server.connect() as s:
                s.sendall(head % (path, length))
                self.assertEqual(parse(read_all(s))[0], status)
        with self.server.connect() as s:
            s.sendall(head % (b"/v1/classify", len(ONE)))
            self.assertEqual(s.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(ONE)
            self.assertEqual(parse(read_all(s))[0], 200)

    def test_chunked_body_too_large_is_refused_while_it_is_sent(self):
        with self.server.connect() as s:
            s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            sent = 0
            try:
                while sent < 64 << 20:  # it never ends
                    s.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                    sent += 0x10000
                    s.setblocking(False)
                    try:
                        if s.recv(1, socket.MSG_PEEK):
                            break
                    except BlockingIOError:
                        pass
                    s.settimeout(PATIENCE)
            except (BrokenPipeError, ConnectionResetError):
                pass
            s.settimeout(PATIENCE)
            status, headers, body = parse(read_all(s))
        self.assertLess(sent, 32 << 20)
        self.assertEqual(status, 413)
        self.assertEqual(json.loads(body)["code"], "payload_too_large")
        self.assert_marks(headers)

    def test_body_exactly_at_the_limit(self):
        body = ONE + bytes((1 << 20) - len(ONE))  # what follows the end of a PNG does not matter
        self.assertEqual(self.post("/v1/classify", body).status, 200)
        self.assertEqual(self.post("/v1/classify", iter([body])).status, 200)

    def test_request_timeout(self):
        with self.server.connect() as s:
            s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            started = time.monotonic()
            status, headers, body = parse(read_all(s))
        self.assertEqual(status, 408)
        self.assertEqual(json.loads(body)["code"], "request_timeout")
        self.assert_marks(headers)
        self.assertGreater(time.monotonic() - started, 1.5)

    def trickle(self, head, pieces):
        """Sends one piece every 0.1 s until the server closes; returns what it said and how long that took."""
        started, answer = time.monotonic(), b""
        with self.server.connect() as s:
            s.sendall(head)
            while time.monotonic() - started < PATIENCE:
                try:
                    s.sendall(next(pieces))
                    s.settimeout(0.1)
                    piece = s.recv(4096)
                    if not piece:
                        break
                    answer += piece
                except socket.timeout:
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    break
        return answer, time.monotonic() - started

    def test_slow_body_does_not_last(self):
        answer, seconds = self.trickle(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
                                       iter(lambda: b"x", None))
        self.assertEqual(parse(answer)[0], 408)
        self.assertLess(seconds, 10)

    def test_slow_headers_do_not_last(self):
        answer, seconds = self.trickle(b"GET /livez HTTP/1.1\r\nHost: x\r\n", iter(lambda: b"X: y\r\n", None))
        self.assertEqual(answer, b"")
        self.assertLess(seconds, 10)

    def test_idle_connections_are_closed(self):
        with self.server.connect() as s:
            started = time.monotonic()
            self.assertEqual(read_all(s), b"")
        self.assertLess(time.monotonic() - started, 10)


class Protocol(ServerCase):
    """HTTP itself, with clients that do as they please."""

    def test_keep_alive(self):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=PATIENCE)
        connection.connect()
        used = connection.sock
        for i in range(20):
            path, body = ("/livez", None) if i % 2 else ("/v1/models/digits/classify", ONE)
            self.assertEqual(self.server.request("POST" if body else "GET", path, body,
                                                 connection=connection).status, 200)
            self.assertIs(connection.sock, used)
        # Refusals keep the connection too, once their body has been read.
        self.assertEqual(self.server.request("POST", "/none", ONE, connection=connection).status, 404)
        self.assertEqual(self.server.request("POST", "/livez", ONE, connection=connection).status, 405)
        self.assertEqual(self.server.request("POST", "/v1/classify", BROKEN, connection=connection).status, 422)
        self.assertIs(connection.sock, used)
        connection.close()

    def test_pipelining(self):
        one = b"POST /v1/models/digits/classify?top=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ONE) + ONE
        health = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET /v1/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = self.server.raw(one + health + one + one + last)
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answer), [b"200"] * 4 + [b"404"])
        self.assertEqual(answer.count(b'"label":"1"'), 3)

    def test_half_closed_client_is_answered(self):
        """And its connection closed, not kept until it is idle for too long."""
        requests = (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/models/digits HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ONE) + ONE,
                    b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ONE) + ONE)
        sockets = [(self.server.connect(), request) for request in requests * 10]
        for s, request in sockets:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(30)
        for s, request in sockets:
            self.assertEqual(parse(read_all(s))[0], 404 if b"none" in request else 200, request[:30])
            s.close()

    def test_http_1_0(self):
        status, headers, _ = parse(self.server.raw(b"GET /livez HTTP/1.0\r\n\r\n"))
        self.assertEqual(status, 200)

    def test_absolute_target(self):
        status, _, _ = parse(self.server.raw(b"GET http://x/livez?a=b HTTP/1.1\r\nHost: x\r\n"
                                             b"Connection: close\r\n\r\n"))
        self.assertEqual(status, 200)

    def test_clients_that_go_away(self):
        head = b"POST /v1/models/digits/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ONE)
        for data in (b"", b"P", head[:30], head, head + ONE[:10], head + ONE, head + ONE + head):
            for reset in (False, True):
                s = self.server.connect()
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.sendall(data)
                s.close()
        self.assert_alive()

    def test_client_that_does_not_read(self):
        sockets = []
        for _ in range(4):
            s = self.server.connect()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(b"POST /v1/models/cifar10/classify?features=*&top=0 HTTP/1.1\r\nHost: x\r\nContent-Length: %d"
                      b"\r\n\r\n" % len(ONE) + ONE)
            sockets.append(s)
        for _ in range(10):
            self.assertEqual(self.post("/v1/models/digits/classify", ONE).status, 200)
        for s in sockets:
            s.close()
        self.assert_alive()

    def test_targets_with_parameters_without_number_leave_nothing_behind(self):
        """libmicrohttpd would ask for memory for each of them, and give up without an answer."""
        start = self.resident_bytes()
        for _ in range(100):
            with self.server.connect() as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    s.sendall(b"GET /livez?" + b"&" * 20000 + b" HTTP/1.1\r\n")
                    for _ in range(50):
                        s.sendall(b"X")
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assert_alive()
        if not SANITIZED:
            self.assertLess(self.resident_bytes() - start, 4 << 20)

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) << 10

    def test_sixty_four_at_once(self):
        expected = self.post("/v1/models/digits/classify", ONE).json()
        body, headers = form(*[("i", f"{i}.png", ONE) for i in range(8)])

        def client(number):
            connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=PATIENCE)
            for i in range(5):
                if number % 4 == 0:
                    reply = self.server.request("POST", "/v1/models/digits/classify", body, headers, connection)
                    results = reply.json()["results"]
                    self.assertEqual([r["image"]["name"] for r in results], [f"{i}.png" for i in range(8)])
                    self.assertTrue(all(r["predictions"] == expected["results"][0]["predictions"] for r in results))
                else:
                    reply = self.server.request("POST", "/v1/models/digits/classify", ONE, connection=connection)
                    self.assertEqual(reply.json(), expected)
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            for result in [pool.submit(client, i) for i in range(64)]:
                result.result()


class Overload(ServerCase):
    """One worker and a short queue."""
    options = ("--threads", "1", "--queue", "2", "--timeout-ms", "150", "--max-connections", "60")

    def test_overload_and_deadline(self):
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            replies = [f.result() for f in [pool.submit(self.post, "/v1/classify", SLOW) for _ in range(30)]]
        by_status = {}
        for reply in replies:
            by_status.setdefault(reply.status, []).append(reply)
        self.assertIn(200, by_status)
        self.assertIn(503, by_status)
        self.assertLessEqual(set(by_status), {200, 503, 504})
        for reply in by_status[503]:
            self.expect_error(reply, 503, "overloaded")
            self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)
        self.assert_alive()

    def test_deadline(self):
        """Of three that come together, the last one waits for the other two."""
        statuses = []
        for _ in range(10):
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                replies = [f.result() for f in [pool.submit(self.post, "/v1/classify", SLOW) for _ in range(3)]]
            statuses += [reply.status for reply in replies]
            late = [reply for reply in replies if reply.status == 504]
            if late:
                self.expect_error(late[0], 504, "deadline_exceeded", "150 ms")
                return
        self.skipTest(f"this machine decodes too fast to be late: {statuses}")

    def test_connections_beyond_the_limit_wait(self):
        held = [self.server.connect() for _ in range(60)]
        extra = self.server.connect()
        extra.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        extra.settimeout(0.5)
        with self.assertRaises(socket.timeout):
            extra.recv(1)
        for s in held:
            s.close()
        extra.settimeout(PATIENCE)
        self.assertEqual(parse(read_all(extra))[0], 200)
        extra.close()


class Memory(ServerCase):
    """Bodies and replies together are limited."""
    options = ("--max-buffered", "1MiB")

    def test_bodies(self):
        self.expect_error(self.post("/v1/classify", bytes(2 << 20)), 503, "overloaded", "too many bodies")
        self.expect_error(self.post("/v1/classify", iter([bytes(1 << 16)] * 32)), 503, "overloaded")
        held = self.server.connect()
        held.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        reply = self.wait_for(503, bytes(100000))
        self.assertEqual(reply.headers["Retry-After"], "1")
        held.close()
        self.wait_for(415, bytes(100000))

    def test_replies_that_nobody_reads(self):
        path = b"/v1/models/cifar10/classify?features=*"
        held = []
        for _ in range(30):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect((self.server.host, self.server.port))
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(ONE)) + ONE)
            held.append(s)
        self.wait_for(503, ONE)
        for s in held:
            s.close()
        self.wait_for(200, ONE)

    def wait_for(self, status, body):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            reply = self.post("/v1/classify", body)
            if reply.status == status:
                return reply
            time.sleep(0.05)
        self.fail(f"no {status}, but {reply.status}")


class SlowReaders(ServerCase):
    """A client has to take 4 KiB of a reply a second, over each idle-seconds."""
    options = ("--idle-seconds", "3")
    body = json.dumps({"images": [base64.b64encode(ONE).decode()] * 2, "features": ["*"]}).encode()
    # Of twice 19 MB, more than the kernel keeps of it.
    request = b"POST /v1/models/cifar10/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" \
              b"Content-Length: %d\r\n\r\n" % len(body) + body

    def read(self, size, pause, limit):
        """How much of the reply there is up to `limit` bytes, taken `size` bytes at a time."""
        taken, end = 0, time.monotonic() + PATIENCE
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect((self.server.host, self.server.port))
            s.sendall(self.request)
            s.settimeout(PATIENCE)
            while taken < limit:
                self.assertLess(time.monotonic(), end, f"after {taken} bytes it still goes on")
                try:
                    piece = s.recv(size)
                except ConnectionResetError:
                    return taken
                if not piece:
                    return taken
                taken += len(piece)
                time.sleep(pause)
        return taken

    def test_too_slow(self):
        self.assertLess(self.read(1024, 0.4, 100_000), 100_000)
        self.assert_alive()

    def test_slow_but_steady(self):
        self.assertGreaterEqual(self.read(4096, 0.1, 300_000), 300_000)


class Cors(ServerCase):
    options = ("--cors-origin", "https://a.example, http://localhost:3000")

    def test_origins(self):
        headers = self.get("/livez", headers={"Origin": "http://localhost:3000"}).headers
        self.assertEqual(headers["Access-Control-Allow-Origin"], "http://localhost:3000")
        self.assertIn("X-Request-Id", headers["Access-Control-Expose-Headers"])
        self.assertEqual(headers["Vary"], "Origin")
        for origin in ("https://b.example", "null", "https://a.example.evil"):
            headers = self.get("/livez", headers={"Origin": origin}).headers
            self.assertIsNone(headers["Access-Control-Allow-Origin"])
        reply = self.post("/v1/classify", b"hello", {"Origin": "https://a.example"})
        self.assertEqual(reply.headers["Access-Control-Allow-Origin"], "https://a.example")

    def test_preflight(self):
        reply = self.server.request("OPTIONS", "/v1/classify", headers={
            "Origin": "https://a.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type"})
        self.assertEqual(reply.status, 204)
        self.assertIn("POST", reply.headers["Access-Control-Allow-Methods"])
        self.assertEqual(reply.headers["Access-Control-Allow-Headers"], "content-type")
        self.assertEqual(reply.headers["Access-Control-Allow-Origin"], "https://a.example")


class StartAndStop(unittest.TestCase):
    def run_program(self, *arguments, env=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CNNSERVE_")}
        environment.update(env or {})
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE,
                              env=environment, check=False)
        return done.returncode, done.stderr

    def expect_refusal(self, status, part, *arguments, env=None):
        code, message = self.run_program(*arguments, env=env)
        self.assertEqual(code, status, (arguments, message))
        self.assertEqual(message.count("\n"), 1, message)
        self.assertIn(part, message)

    def test_wrong_options(self):
        refuse = lambda part, *arguments, **more: self.expect_refusal(2, part, *arguments, **more)
        refuse("--prot", "serve", "--prot", "1")
        refuse("port", "--port", "x")
        refuse("port", "--port", "65536")
        refuse("port", "--port")
        refuse("max-body", "--max-body", "20 apples")
        refuse("log-format", "--log-format", "xml")
        refuse("tls-cert", "--tls-cert", "x.pem")
        refuse("api-key-file", "--api-key-file", "x")
        for never_sent in ("https://a.example/", "https://a.example:443", "http://a.example:80", "https://A.example",
                           "https://user@a.example", "https://a.example?x", ""):
            refuse("cors-origin", "--cors-origin", never_sent)
        for wild in "*.example.org", "https://*.example.org", "https://a.example,*":
            refuse("* stands alone", "--cors-origin", wild)
        refuse("tuning file /nonexistent/x cannot be written: No such file", "--tune", "/nonexistent/x")
        refuse("max-images", env={"CNNSERVE_MAX_IMAGES": "none"})
        refuse("/nonexistent", "--models", "/nonexistent")
        refuse("/nonexistent", "--model", "x=/nonexistent")
        refuse("NAME=PATH", "--model", "x")
        refuse("no model 'none'", "--default-model", "none")
        refuse("bf16", "--precision", "bf16")
        refuse("host", "--host", "no.such.host.invalid", "--port", "0")
        refuse("192.0.2.1", "--host", "192.0.2.1", "--port", "0")
        refuse("extra", "serve", "extra")

    def test_config_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
            config.write('{"max-body": "2k", "log-format": "json", "max-images": 7}')
            config.flush()
            server = self.start("--config", config.name, "--max-body", "100")
            self.assertEqual(server.request("POST", "/v1/classify", bytes(101)).status, 413)
            self.assertEqual(server.stop(), 0)
            self.assertTrue(all(json.loads(line) for line in server.lines if line.startswith("{")))
            self.assertTrue(any(line.startswith("{") for line in server.lines))
            config.seek(0)
            config.write('{"max-bdy": 3     ')
            config.flush()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
            config.write('{"max-bdy": 3}')
            config.flush()
            self.expect_refusal(2, "max-bdy", "--config", config.name)
        self.expect_refusal(2, "/nonexistent", "--config", "/nonexistent")

    def test_environment(self):
        server = self.start(env={"CNNSERVE_MAX_BODY": "100", "CNNSERVE_LOG_LEVEL": "warn"})
        self.assertEqual(server.request("POST", "/v1/classify", bytes(101)).status, 413)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.lines, [server.ready_line])

    def test_environment_that_gives_nothing(self):
        server = self.start(env={"CNNSERVE_MAXBODY": "100", "CNNSERVE_PORT": "tcp://10.0.0.1:8080",
                                 "CNNSERVE_SERVICE_HOST": "10.0.0.1", "CNNSERVE_PORT_8080_TCP_ADDR": "10.0.0.1"})
        self.assertEqual(server.stop(), 0)
        before = "".join(server.lines[: server.lines.index(server.ready_line)])
        self.assertEqual(before.count("\n"), 2, before)
        self.assertRegex(before, r"(?m) warn .*CNNSERVE_MAXBODY is none of this program's; did you mean "
                                 r"CNNSERVE_MAX_BODY\?$")
        self.assertRegex(before, r"(?m) info .*CNNSERVE_PORT=tcp://10\.0\.0\.1:8080 is a link that Kubernetes made")

    def test_what_is_no_model(self):
        models = pathlib.Path(__file__).resolve().parents[2] / "models"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "digits").symlink_to(models / "digits")
            for name in "empty", ".git", "lost+found":
                (path / name).mkdir()
            (path / "empty" / "notes.txt").touch()
            (path / "notes.txt").touch()
            (path / ".hidden").touch()
            (path / "resnet.onnx").touch()
            server = self.start("--models", folder)
            self.assertEqual(server.stop(), 0)
            warnings = [line.split(" warn ", 1)[1].strip() for line in server.lines if " warn " in line]
            self.assertEqual(warnings, [
                f"'{folder}/resnet.onnx' is not served, a model is a folder: move it to resnet/model.onnx, or serve the "
                f"file with --model resnet={folder}/resnet.onnx",
                f"folder '{folder}/empty' is passed over: it holds neither model.onnx nor VERSION/model.onnx",
                f"'{folder}/notes.txt' is passed over: it is no model folder"])
            for i in range(31):
                (path / f"{i}.txt").touch()
            server = self.start("--models", folder)
            self.assertEqual(server.stop(), 0)
            self.assertIn(f"22 more files of '{folder}' are passed over", "".join(server.lines))
            self.assertLess(len(server.lines), 20)
            (path / "digits").unlink()
            shutil.rmtree(path / "empty")
            self.expect_refusal(2, f"folder '{folder}' holds no models: '{folder}/resnet.onnx' is not served", "--models", folder)

    def test_taken_port(self):
        server = self.start()
        self.expect_refusal(1, str(server.port), "--port", str(server.port))
        self.assertEqual(server.stop(), 0)

    def test_readiness_line(self):
        server = self.start("--threads", "1", env={"CNN_CPU": "baseline"})
        self.assertRegex(server.ready_line, r"^cnnserve ready on http://127\.0\.0\.1:\d+ \(models cifar10, digits, "
                                            r"line-detector; default cifar10; threads 1, given; baseline\)\n$")
        self.assertEqual(server.lines[0], server.ready_line)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(re.findall(r"scores are output '(\w+)', as model.json says: ", "".join(server.lines)),
                         ["logits", "logits", "global_max"])

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs 2 CPUs")
    def test_affinity(self):
        """Each of the threads that compute has a CPU of its own, and all others may run anywhere."""
        allowed = os.sched_getaffinity(0)
        two = set(sorted(allowed)[:2])

        def bound(cpus, *options, **environment):
            """The masks of the bound threads; whether the readiness line tells of them."""
            os.sched_setaffinity(0, cpus)
            try:
                server = self.start(*options, env=environment)
            finally:
                os.sched_setaffinity(0, allowed)
            masks = [os.sched_getaffinity(int(task)) for task in os.listdir(f"/proc/{server.process.pid}/task")]
            own = [mask for mask in masks if mask != cpus]
            self.assertLess(len(own), len(masks), "the HTTP thread is not bound")
            self.assertEqual(server.stop(), 0)
            return sorted(own, key=min), ", each on CPUs of its own; " in server.ready_line

        if "cgroup" in self.start("--threads", "auto").ready_line:
            self.skipTest("there is a quota")
        self.assertEqual(bound(two), ([{cpu} for cpu in sorted(two)], True))
        self.assertEqual(bound(two, "--affinity", "off"), ([], False))
        self.assertEqual(bound(two, CNNSERVE_AFFINITY="off"), ([], False))
        self.assertEqual(bound(two, "--affinity", "auto", CNNSERVE_AFFINITY="off")[1], True)
        self.assertEqual(bound(two, "--threads", "3"), ([], False))
        self.assertEqual(bound(two, "--threads", "1"), ([], False))
        self.assertEqual(bound({min(two)}), ([], False))
        self.expect_refusal(2, "affinity", "--affinity", "on")

    def test_the_memory_of_a_run_is_there_before_the_first_picture(self):
        server = self.start("--model", "digits=digits")
        memory = server.request("GET", "/v1/models/digits").json()["memory"]
        self.assertEqual((memory["sessions"], memory["session_bytes"]), (1, memory["arena_bytes"]))
        server.request("POST", "/v1/classify", ONE)
        self.assertEqual(server.request("GET", "/v1/models/digits").json()["memory"], memory)

    @unittest.skipIf(b"__tsan_init" in pathlib.Path(PROGRAM).read_bytes(), "ThreadSanitizer has a thread that keeps waking up")
    def test_an_idle_server_uses_no_cpu(self):
        """Its threads sleep until something comes: nothing wakes them up in the meantime."""
        server = self.start("--threads", "2", "--log-level", "warn")
        server.request("POST", "/v1/classify", ONE)
        time.sleep(1)  # for what was awake to fall asleep

        def switches():
            return [line for task in sorted(pathlib.Path(f"/proc/{server.process.pid}/task").iterdir())
                    for line in (task / "status").read_text().splitlines() if "ctxt_switches" in line]

        before = switches()
        time.sleep(3)
        self.assertEqual(switches(), before)

    def test_ipv6(self):
        if not socket.has_ipv6:
            self.skipTest("no IPv6")
        try:
            with socket.socket(socket.AF_INET6) as s:
                s.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6")
        server = self.start("--host", "::1")
        self.assertEqual(server.host, "[::1]")
        server.host = "::1"
        self.assertEqual(server.request("GET", "/livez").status, 200)
        self.assertEqual(server.stop(), 0)

    def test_access_log(self):
        server = self.start("--log-format", "json")
        server.request("GET", '/none?a="\n'.replace("\n", "%0A"), headers={"X-Request-Id": "id-7"})
        s = server.connect()
        s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        time.sleep(0.2)
        s.close()
        time.sleep(0.2)
        self.assertEqual(server.stop(), 0)
        entries = [json.loads(line) for line in server.lines[1:]]
        requests = [e for e in entries if e["message"] == "request"]
        self.assertEqual([r["status"] for r in requests], [400, 499])
        self.assertEqual(requests[0]["request_id"], "id-7")
        self.assertEqual(requests[0]["method"], "GET")
        self.assertEqual(requests[1]["bytes_in"], 3)
        self.assertIn("duration_ms", requests[0])

    def test_stops_at_once_when_idle(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            idle = server.connect()
            kept = http.client.HTTPConnection(server.host, server.port)
            server.request("GET", "/livez", connection=kept)
            started = time.monotonic()
            server.signal(number)
            self.assertEqual(server.wait(), 0)
            self.assertLess(time.monotonic() - started, 5)
            idle.close()
            kept.close()

    def start(self, *options, **more):
        server = Server(*options, **more)
        self.addCleanup(server.kill)
        return server

    def start_slow_requests(self, server, count=3):
        """Requests that the server has begun with, but not yet answered."""
        head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        sockets = []
        for _ in range(count):
            s = server.connect()
            self.addCleanup(s.close)
            s.sendall(head % len(SLOW))
            sockets.append(s)
        for s in sockets:
            self.assertEqual(s.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
        for s in sockets:
            s.sendall(SLOW)
        return sockets

    def wait_for_drain(self, server):
        """Until new connections are told that the server is about to stop."""
        deadline = time.monotonic() + PATIENCE
        while server.request("GET", "/readyz").status == 200:
            self.assertLess(time.monotonic(), deadline, "the server is still ready")
            time.sleep(0.01)

    def expect_draining(self, reply):
        self.assertEqual((reply.status, reply.json()["code"]), (503, "draining"))
        self.assertEqual(reply.headers["Connection"], "close")
        self.assertTrue(reply.headers["Retry-After"])

    def test_drain_finishes_requests_and_refuses_new_ones(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start("--threads", "1", "--drain-seconds", "600", "--timeout-ms", "0")
            kept = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
            server.request("GET", "/livez", connection=kept)
            sockets = self.start_slow_requests(server)
            server.signal(number)
            self.wait_for_drain(server)
            self.expect_draining(server.request("POST", "/v1/classify", ONE, connection=kept))
            self.expect_draining(server.request("POST", "/v1/classify", ONE))
            self.expect_draining(server.request("GET", "/v1/models/digits"))
            self.expect_draining(server.request("GET", "/readyz"))
            alive = server.request("GET", "/livez")
            self.assertEqual((alive.status, alive.headers["Connection"]), (200, "close"))
            unfinished = server.connect()  # does not hold up the end
            unfinished.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            for s in sockets:
                status, _, body = parse(read_all(s))
                self.assertEqual(status, 200, body)
            finished = time.monotonic()
            self.assertEqual(server.wait(), 0)
            self.assertLess(time.monotonic() - finished, 5)
            unfinished.close()
            kept.close()

    def test_requests_that_nobody_has_accepted_yet_are_answered(self):
        server = self.start()
        server.signal(signal.SIGSTOP)
        with server.connect() as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGCONT)
            self.assertIn(parse(read_all(s))[0], (200, 503))
        self.assertEqual(server.wait(), 0)

    def test_client_that_left_during_its_upload_does_not_hold_up_the_end(self):
        head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        server = self.start()
        for data in (head, head + b"abc"):
            with server.connect() as s:
                s.sendall(data)
            self.assertEqual(server.request("GET", "/livez").status, 200)
        self.assertEqual(server.stop(), 0)
        self.assertFalse([line for line in server.lines if "still running" in line])

    def test_drain_time_is_a_limit(self):
        server = self.start("--drain-seconds", "0", "--threads", "1")
        self.start_slow_requests(server)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - started, 2)
        self.assertTrue(any("still running" in line for line in server.lines))

    def test_second_signal_exits_at_once(self):
        server = self.start("--threads", "1")
        self.start_slow_requests(server)
        server.signal(signal.SIGTERM)
        self.wait_for_drain(server)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 128 + signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
