#!/usr/bin/env python3
"""What a client may send that is no request, over raw sockets: each row of docs/http.md's table.

CNNSERVE names the program.
"""

import json
import re
import socket
import struct
import time
import unittest

from test_server import ONE, PATIENCE, Server, ServerCase, read_all

CLASSIFY = b"POST /v1/models/digits/classify HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled\r\n\r\n"
BAD = (400, "bad_request")
TARGET_TOO_LONG = (414, "uri_too_long")
HEADERS_TOO_LARGE = (431, "headers_too_large")
OTHER_VERSION = (505, "http_version_not_supported")


def get(*lines, target=b"/livez", version=b"HTTP/1.1", host=b"Host: x"):
    return b"\r\n".join((b"GET " + target + b" " + version, *((host,) if host else ()), *lines, b"", b""))


def post(*lines, body=b""):
    return CLASSIFY + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunked(body, *lines):
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


# What it is, the bytes, what it gets, and a part of the sentence.
HEADS = (
    # Lines.
    ("LF in place of CR LF", b"GET /livez HTTP/1.1\nHost: x\n\n", BAD, "CR LF"),
    ("LF behind a header", b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", BAD, "CR LF"),
    ("LF as the empty line", b"GET /livez HTTP/1.1\r\nHost: x\r\n\n", BAD, "CR LF"),
    ("CR in a header", get(b"X: a\rb"), BAD, "CR LF"),
    ("CR CR LF", get(b"X: a\r"), BAD, "CR LF"),
    ("CR as a line end", b"GET /livez HTTP/1.1\rHost: x\r\r", BAD, "CR LF"),
    ("NUL in the method", b"G\0ET /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD, "control character"),
    ("NUL in the target", get(target=b"/live\0z"), BAD, "control character"),
    ("NUL in the version", get(version=b"HTTP/1.1\0"), BAD, "control character"),
    ("NUL in a name", get(b"Content-\0Length: 3"), BAD, "control character"),
    ("NUL in a value", get(b"X: a\0b"), BAD, "control character"),
    ("NUL at the end of a value", get(b"Content-Length: 3\0"), BAD, "control character"),
    ("ESC in a header", get(b"X: \x1b[2J"), BAD, "control character"),
    ("DEL in a header", get(b"X: \x7f"), BAD, "control character"),
    # The request line.
    ("a method that is no token", b"G(T /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD, "method"),
    ("a method in UTF-8", "GÉT /livez HTTP/1.1\r\nHost: x\r\n\r\n".encode(), BAD, "method"),
    ("a C1 control as the method", b"\xc2\x9b2J /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD, "method"),
    ("no method", b" /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD, "method"),
    ("a method of 16 characters", b"ABCDEFGHIJKLMNOP /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD, "method"),
    ("two spaces", b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD, "METHOD TARGET HTTP/1.1"),
    ("a space in the target", get(target=b"/live z"), BAD, "METHOD TARGET HTTP/1.1"),
    ("a tab", b"GET\t/livez\tHTTP/1.1\r\nHost: x\r\n\r\n", BAD, ""),
    ("a space behind the version", get(version=b"HTTP/1.1 "), BAD, "METHOD TARGET HTTP/1.1"),
    ("HTTP/0.9", b"GET /livez\r\n", BAD, "METHOD TARGET HTTP/1.1"),
    ("only a method", b"GET\r\n\r\n", BAD, ""),
    ("a version in lower case", get(version=b"http/1.1"), BAD, "METHOD TARGET HTTP/1.1"),
    ("another protocol", get(version=b"ICY/1.1"), BAD, "METHOD TARGET HTTP/1.1"),
    ("HTTP/11.1", get(version=b"HTTP/11.1"), BAD, "METHOD TARGET HTTP/1.1"),
    ("HTTP/1.2", get(version=b"HTTP/1.2"), OTHER_VERSION, "HTTP/1.1 and 1.0"),
    ("HTTP/2.0", get(version=b"HTTP/2.0"), OTHER_VERSION, "HTTP/1.1 and 1.0"),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", OTHER_VERSION, "HTTP/1.1 and 1.0"),
    ("too many empty lines", b"\r\n" * 5 + get(), BAD, "empty lines"),
    ("too many parameters", get(target=b"/livez?" + b"&" * 200), BAD, "parameters"),
    ("a request line of 40 KB", get(target=b"/" + b"a" * 40000), TARGET_TOO_LONG, "31.5 KiB"),
    # Headers.
    ("a folded header", get(b"X: a", b" b"), BAD, "folded"),
    ("a header folded with a tab", get(b"X: a", b"\tb"), BAD, "folded"),
    ("a first header that is folded", get(b" X: a", host=None), BAD, "folded"),
    ("a folded Transfer-Encoding", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("a folded Content-Length", post(b"Content-Length: 36", b" x"), BAD, "folded"),
    ("a folded name", post(b"Content: 34", b" -Length"), BAD, "folded"),
    ("a blank line that is folded", get(b" "), BAD, "folded"),
    ("no colon", get(b"X"), BAD, "colon"),
    ("no name", get(b": x"), BAD, "token"),
    ("a space before the colon", post(b"Content-Length : 3"), BAD, "token"),
    ("a tab before the colon", post(b"Transfer-Encoding\t: chunked"), BAD, "token"),
    ("a name that is no token", get(b"X(: y"), BAD, "token"),
    ("a name in Latin-1", get(b"X\xc4: y"), BAD, "token"),
    ("32,300 bytes", get(b"X: " + b"a" * 32300), HEADERS_TOO_LARGE, "31.5 KiB"),
    ("32,700 bytes", get(b"X: " + b"a" * 32700), HEADERS_TOO_LARGE, "31.5 KiB"),
    ("many lines", get(*[b"X: y"] * 200), HEADERS_TOO_LARGE, "too many"),
    ("cookies without end", get(*[b"Cookie: " + b"a" * 1000] * 40), HEADERS_TOO_LARGE, "31.5 KiB"),
    # Host.
    ("no Host", get(host=None), BAD, "Host"),
    ("two Hosts", get(b"Host: x"), BAD, "Host"),
    ("a Host with a path", get(host=b"Host: x/y"), BAD, "Host"),
    ("a Host with a user", get(host=b"Host: a@b"), BAD, "Host"),
    ("a Host with a space", get(host=b"Host: a b"), BAD, "Host"),
    ("a list of Hosts", get(host=b"Host: \"a\""), BAD, "Host"),
    ("a Host with a name as port", get(host=b"Host: x:http"), BAD, "Host"),
    ("a Host with two ports", get(host=b"Host: x:1:2"), BAD, "Host"),
    ("a Host without an address", get(host=b"Host: []:80"), BAD, "Host"),
    ("a Host with half an address", get(host=b"Host: [::1"), BAD, "Host"),
    # The length of the body.
    ("two lengths", post(b"Content-Length: 3", b"Content-Length: 4", body=b"abc"), BAD, "twice"),
    ("the same length twice", post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"), BAD, "twice"),
    ("a list of lengths", post(b"Content-Length: 3, 3", body=b"abc"), BAD, "Content-Length"),
    ("a length with a sign", post(b"Content-Length: +5", body=b"abcde"), BAD, "Content-Length"),
    ("a negative length", post(b"Content-Length: -1"), BAD, "Content-Length"),
    ("a length with a space", post(b"Content-Length: 5 6", body=b"abcde"), BAD, "Content-Length"),
    ("a hexadecimal length", post(b"Content-Length: 0x5", body=b"abcde"), BAD, "Content-Length"),
    ("a fraction", post(b"Content-Length: 5.0", body=b"abcde"), BAD, "Content-Length"),
    ("no length", post(b"Content-Length:"), BAD, "Content-Length"),
    ("a length with junk", post(b"Content-Length: 5x", body=b"abcde"), BAD, "Content-Length"),
    ("a length past 64 bits", post(b"Content-Length: 18446744073709551617", body=b"a"), BAD, "Content-Length"),
    ("digits of another script", post("Content-Length: \u0663".encode(), body=b"abc"), BAD, "Content-Length"),
    ("a length and a coding", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), BAD, "twice"),
    ("a coding and a length", chunked(b"0\r\n\r\n", b"Content-Length: 5"), BAD, "twice"),
    ("chunked twice", chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), BAD, "twice"),
    ("chunked, chunked", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("identity", post(b"Transfer-Encoding: identity"), BAD, "Transfer-Encoding"),
    ("an unknown coding", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("chunked with a parameter", post(b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("a quoted coding", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("an empty coding", post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), BAD, "Transfer-Encoding"),
    ("a coding in HTTP/1.0", b"POST /v1/classify HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, "HTTP/1.0"),
)

BODIES = (
    ("a chunk size that is none", chunked(b"xyz\r\n"), BAD, "hexadecimal"),
    ("no chunk size", chunked(b"\r\n"), BAD, "hexadecimal"),
    ("a chunk size with a sign", chunked(b"+3\r\nabc\r\n"), BAD, "hexadecimal"),
    ("a negative chunk size", chunked(b"-1\r\n"), BAD, "hexadecimal"),
    ("a chunk size with 0x", chunked(b"0x3\r\nabc\r\n"), BAD, "hexadecimal"),
    ("a chunk size past 64 bits", chunked(b"10000000000000003\r\nabc\r\n"), BAD, "hexadecimal"),
    ("a chunk size of many zeros", chunked(b"0" * 40 + b"3\r\nabc\r\n"), BAD, "hexadecimal"),
    ("a space behind the chunk size", chunked(b"3 \r\nabc\r\n"), BAD, "hexadecimal"),
    ("a space before the chunk size", chunked(b" 3\r\nabc\r\n"), BAD, "hexadecimal"),
    ("a chunk size with LF", chunked(b"3\nabc\r\n"), BAD, "CR LF"),
    ("a chunk extension with LF", chunked(b"3;a\nb\r\nabc\r\n"), BAD, "CR LF"),
    ("a chunk extension with CR", chunked(b"3;a\rb\r\nabc\r\n"), BAD, "CR LF"),
    ("a chunk extension with NUL", chunked(b"3;a\0b\r\nabc\r\n"), BAD, "control character"),
    ("a chunk extension of 40 KB", chunked(b"3;" + b"a" * 40000 + b"\r\nabc\r\n"), BAD, "256 bytes"),
    ("a chunk that is too long", chunked(b"3\r\nabcd\r\n"), BAD, "longer than its size"),
    ("a chunk that ends in LF", chunked(b"3\r\nabc\n0\r\n\r\n"), BAD, "longer than its size"),
    ("a chunk that ends in CR", chunked(b"3\r\nabc\rX"), BAD, "longer than its size"),
    ("a folded trailer", chunked(b"0\r\nX: a\r\n b\r\n\r\n"), BAD, "folded"),
    ("a trailer without colon", chunked(b"0\r\nX\r\n\r\n"), BAD, "colon"),
    ("a trailer with LF", chunked(b"0\r\nX: a\n\r\n"), BAD, "CR LF"),
    ("a second request as trailer", chunked(b"0\r\nGET / HTTP/1.1\r\n\r\n"), BAD, "colon"),
    ("trailers of 5 KB", chunked(b"0\r\n" + b"X: a\r\n" * 900 + b"\r\n"), HEADERS_TOO_LARGE, "4 KiB"),
)


def answers(data):
    """Splits what a connection brought into (status, headers as a list, body)."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        length = int(dict(headers)["Content-Length"])
        found.append((int(re.fullmatch(r"HTTP/1\.1 (\d+) [A-Za-z -]+", lines[0]).group(1)), headers, data[:length]))
        data = data[length:]
    return found


class Wire(ServerCase):
    options = ("--log-format", "json", "--idle-seconds", "20")

    def log(self, start, request_id):
        """The lines of the log that an answered request has left, once it is there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            lines = [json.loads(line) for line in self.server.lines[start:]]
            if any(line.get("request_id") == request_id for line in lines):
                return [line for line in lines if line["message"] == "request"]
            time.sleep(0.01)
        self.fail("no line in the log: " + "".join(self.server.lines[start:]))

    def exchange(self, data, pieces=None):
        """Sends bytes, perhaps in pieces of that size, and reads until the server closes."""
        with self.server.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for i in range(0, len(data), pieces or len(data)):
                    s.sendall(data[i:i + (pieces or len(data))])
                    if pieces:
                        time.sleep(0.0005)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return answers(read_all(s))

    def expect_refusal(self, answer, kind, part):
        status, headers, body = answer
        self.assertEqual(status, kind[0], body)
        self.assertEqual(len({name for name, _ in headers}), len(headers), "a header is there twice")
        headers = dict(headers)
        self.assertEqual(headers["Connection"], "close")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assert_marks(headers)
        problem = json.loads(body)
        self.assertEqual(problem["code"], kind[1])
        self.assertIn(part, problem["error"])
        return headers["X-Request-Id"]

    def expect_one_answer(self, data, kind, part, before=(), pieces=None):
        """One answer of that kind after those of the requests before, and a line in the log for each."""
        start = len(self.server.lines)
        got = self.exchange(data, pieces)
        self.assertEqual([status for status, _, _ in got], [*before, kind[0]])
        entries = self.log(start, self.expect_refusal(got[-1], kind, part))
        self.assertEqual([entry["status"] for entry in entries], [*before, kind[0]])
        for entry in entries:
            self.assertRegex(entry["method"], r"^[A-Z-]{1,15}$")
        for line in self.server.lines[start:]:
            self.assertNotRegex(line[:-1], r"[\x00-\x1f\x7f-\x9f]")

    def expect_status(self, data, status):
        """One answer, of that status, and one line in the log."""
        start = len(self.server.lines)
        ((got, headers, body),) = self.exchange(data)
        self.assertEqual(got, status, body)
        self.assertEqual([entry["status"] for entry in self.log(start, dict(headers)["X-Request-Id"])], [status])

    def each(self, rows, prefix=b"", suffix=SMUGGLED, **more):
        for name, data, kind, part in rows:
            with self.subTest(name):
                self.expect_one_answer(prefix + data + suffix, kind, part, **more)

    def test_malformed_heads(self):
        self.each(HEADS)

    def test_malformed_bodies(self):
        self.each(BODIES)

    def test_nothing_behind(self):
        """The answer does not wait for more."""
        self.each([row for row in HEADS if row[0] != "CR as a line end"] + [
            row for row in BODIES if row[0] not in ("no chunk size",)], suffix=b"")

    def test_in_single_bytes(self):
        self.each([row for row in HEADS + BODIES if len(row[1]) < 300], pieces=1)

    def test_behind_good_requests(self):
        """Those before are answered first."""
        good = get() + post(b"Content-Length: %d" % len(ONE), body=ONE) + chunked(b"%x\r\n" % len(ONE) + ONE + b"\r\n0\r\n\r\n")
        self.each(HEADS + BODIES, prefix=good, before=(200, 200, 200))

    def test_behind_the_last_request(self):
        """Nothing is said after an answer that closes the connection."""
        for name, data, _, _ in HEADS + BODIES:
            with self.subTest(name):
                self.expect_status(get(b"Connection: close") + data, 200)

    def test_in_a_body_that_has_been_refused(self):
        """There is an answer already."""
        for name, data, _, _ in BODIES:
            with self.subTest(name):
                data = data.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n", 1).replace(b"digits", b"none/digits")
                self.expect_status(data, 404)

    def test_head_has_no_body(self):
        data = self.server.raw(b"HEAD /livez HTTP/1.1\r\n\r\n")
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 400 "))
        self.assertEqual(body, b"")

    def test_log_in_text_is_escaped(self):
        server = Server()
        self.addCleanup(server.kill)
        for line in (b"\xc2\x9b2J /\xc2\x9b HTTP/1.1", b"\x1b[2J / HTTP/1.1", b"G\x7fET / HTTP/1.1", b"GET /\x7f\x1b HTTP/1.1",
                     b"GET /\xc2\x9b\x9b HTTP/1.1", b"GET /%1b%c2%9b HTTP/1.1"):
            self.assertEqual(answers(server.raw(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n"))[0][0], 400, line)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(len([line for line in server.lines if " id=" in line]), 6, server.lines)
        for line in server.lines:
            self.assertNotRegex(line[:-1], r"[\x00-\x1f\x7f-\x9f]")

    def test_tls_is_closed(self):
        start = len(self.server.lines)
        with self.server.connect() as s:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)))
            self.assertEqual(read_all(s), b"")
        deadline = time.monotonic() + PATIENCE
        while not any("TLS" in line for line in self.server.lines[start:]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assert_alive()

    def test_what_is_unusual_but_good(self):
        picture = len(ONE)
        whole = post(b"Content-Length:%d \t" % picture, b"x-y: \xe4\xff", b"Empty:", b"Connection: close", body=ONE)
        half = picture // 2
        pieces = (b"%X;name=\"v\";b\r\n" % half + ONE[:half] + b"\r\n" + b"00%x\r\n" % (picture - half) + ONE[half:] +
                  b"\r\n000\r\nTrailer: x\r\n\r\n")
        for data in (whole, chunked(pieces, b"Connection: close"), b"\r\n\r\n" + whole,
                     whole.replace(b"Host: x", b"hOST:[::1]:8080"), whole.replace(b"Host: x", b"Host:"),
                     whole.replace(b"Host: x", b"Host: \xc3".replace(b"\xc3", b"a-b.example.:80")),
                     whole.replace(b" /v1", b" http://other.example/v1"),
                     whole.replace(b"Empty:", b"Cookie: " + b"a=b;" * 6000),
                     whole.replace(b"Empty:", b"\r\n".join([b"X: y"] * 100)),
                     whole.replace(b"HTTP/1.1\r\nHost: x", b"HTTP/1.0"),
                     chunked(pieces, b"Connection: close").replace(b": chunked", b":\tCHUNKED "),
                     whole.replace(b"Content-Length:", b"Content-Length: 000")):
            for size in (None, 1, 7):
                if size and len(data) > 4000:
                    continue
                ((status, _, body),) = self.exchange(data, size)
                self.assertEqual(status, 200, data[:200])
                self.assertEqual(json.loads(body)["results"][0]["predictions"][0]["label"], "1")

    def test_pipelines_in_pieces_of_any_size(self):
        """Where a read ends never matters, and nobody waits for what is there."""
        one = post(b"Content-Length: %d" % len(ONE), body=ONE) + chunked(b"%x\r\n" % len(ONE) + ONE + b"\r\n0\r\nX: y\r\n\r\n")
        requests = (one + get()) * 40 + get(b"Connection: close")
        for pieces in (None, 3, 100, 4096, 16384, 16385, 32255, 32256, 32257):
            with self.subTest(pieces):
                data = requests if pieces != 3 else one * 3 + get(b"Connection: close")
                with self.server.connect() as s:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for i in range(0, len(data), pieces or len(data)):
                        s.sendall(data[i:i + (pieces or len(data))])
                    got = answers(read_all(s))
                self.assertEqual([status for status, _, _ in got], [200] * (121 if pieces != 3 else 7))

    def test_large_bodies_in_pipelines(self):
        body = ONE + bytes(3_000_000)
        data = post(b"Content-Length: %d" % len(body), body=body) + chunked(
            b"".join(b"10000\r\n" + body[i:i + 65536].ljust(65536, b"\0") + b"\r\n" for i in range(0, len(body), 65536)) +
            b"0\r\n\r\n")
        got = self.exchange(data * 3 + b"BAD\r\n\r\n")
        self.assertEqual([status for status, _, _ in got], [200] * 6 + [400])

    def test_heads_up_to_the_limit(self):
        for size, status in ((32255, 200), (32256, 200), (32257, 431), (40000, 431), (200000, 431)):
            start = get(b"Connection: close", b"X: ")[:-4]
            got = self.exchange(start + b"a" * (size - len(start) - 4) + b"\r\n\r\n")
            self.assertEqual([answer[0] for answer in got], [status], size)


class Gone(ServerCase):
    def test_clients_that_go_away_leave_nothing_behind(self):
        for data in (b"GET /li", get()[:-2], post(b"Content-Length: 100", body=b"abc"), chunked(b"5\r\nab"),
                     chunked(b"5\r\nabcde\r"), chunked(b"0\r\nX"), b"BAD\r\n\r\n", get() + b"BAD\r\n\r\n", chunked(b"zz\r\n")):
            for reset in (False, True):
                s = self.server.connect()
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.sendall(data)
                s.close()
        self.assert_alive()


if __name__ == "__main__":
    unittest.main()
