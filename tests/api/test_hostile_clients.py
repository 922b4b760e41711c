"""Clients that mean no good, against the program as it is served, with its own limits; and an honest one beside them.

Each test is a row of the table that the run ends with: what they do, what they get, and what the honest client's
requests take meanwhile (the slowest of all, in milliseconds). What takes longer than some seconds with the program's
limits (a body's 60 s, a reader's 30 s) is in src/http/http_server_test.cc and tests/streams with shorter ones.
"""

import collections
import json
import re
import resource
import selectors
import socket
import threading
import time

import pytest

import raw_http
import served

GOOD = {"model": "model", "prompt": [5, 6, 7], "max_tokens": 6, "temperature": 0, "ignore_eos": True}
GOOD_REQUEST = raw_http.post("/v1/completions", json.dumps(GOOD).encode())
LONG = {**GOOD, "max_tokens": 500}
MEGABYTE = 1 << 20


def check_memory(grown, most):
    assert served.IS_SANITIZED or grown < most, f"{grown / MEGABYTE:.1f} MiB more, at most {most / MEGABYTE:.1f}"


def request(**fields):
    return raw_http.post("/v1/completions", json.dumps({**GOOD, **fields}).encode())


class Honest(threading.Thread):
    """Asks again and again, on a new connection each time; every answer must be the right one."""

    def __init__(self, address):
        super().__init__()
        self.address, self.ended, self.fault, self.slowest_ms, self.count = address, threading.Event(), None, 0, 0
        self.expected = raw_http.ask(address, GOOD_REQUEST).json()["choices"]

    def ask(self):
        begun = time.monotonic()
        answer = raw_http.ask(self.address, GOOD_REQUEST)
        assert answer.status == 200 and answer.json()["choices"] == self.expected, (answer.status, answer.body)
        self.slowest_ms = max(self.slowest_ms, (time.monotonic() - begun) * 1000)
        self.count += 1

    def run(self):
        try:
            while not self.ended.is_set():
                self.ask()
                time.sleep(0.005)
        except Exception as fault:  # told by the test's own thread
            self.fault = fault

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.join()
        if kind is None:
            assert self.fault is None, repr(self.fault)
            assert self.count > 0


@pytest.fixture(scope="module")
def running():
    hostile = served.Served(served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS)
    yield hostile
    assert hostile.terminate() == 0


@pytest.fixture(scope="module")
def row(note):
    """row(what they do, what they get, honest): a line of the table. The honest client must not have waited long."""

    def add(what, got, honest):
        assert served.IS_SANITIZED or honest.slowest_ms < 5000, (what, honest.slowest_ms)  # somebody held it up
        note(f"hostile: {what} -> {got} | honest: {honest.count} answers, slowest {honest.slowest_ms:.0f} ms")

    return add


def resident_bytes(running):
    with open(f"/proc/{running.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024


class Crowd:
    """Many connections in one thread: what each has received, and whether the server has closed it."""

    def __init__(self, address, count, first=b"", receive_buffer=None):
        self.clients = [raw_http.RawClient(address, receive_buffer=receive_buffer) for _ in range(count)]
        self.selector = selectors.DefaultSelector()
        for client in self.clients:
            client.send(first)
            client.socket.setblocking(False)
            client.closed_after_s = None
            self.selector.register(client.socket, selectors.EVENT_READ, client)
        self.begun = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.socket.close()

    def open(self):
        return [client for client in self.clients if client.closed_after_s is None]

    def send(self, data):
        for client in self.open():
            try:
                client.socket.send(data)
            except OSError:
                pass

    def read(self, seconds):
        """Reads what comes for so long, or until all are closed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.open():
            for key, _ in self.selector.select(left):
                client = key.data
                try:
                    data = client.socket.recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                client.received += data
                if not data:
                    client.closed_after_s = time.monotonic() - self.begun
                    self.selector.unregister(client.socket)

    def outcomes(self):
        """How many were answered with which status and closed, or are open."""
        counts = collections.Counter()
        for client in self.clients:
            status = int(client.received[9:12]) if client.received else "no answer"
            counts[f"{status}, {'open' if client.closed_after_s is None else 'closed'}"] += 1
        return dict(counts)


def test_dribblers_of_headers_and_bodies_and_silent_ones(running, row):
    """As a byte a second for as long as the server lets them."""
    header, body = b"POST /v1/completions HTTP/1.1\r\nX-Slow: ", GOOD_REQUEST[:-20]
    before = resident_bytes(running)
    with (
        Honest(running.address) as honest,
        Crowd(running.address, 500, header) as headers,
        Crowd(running.address, 500, body) as bodies,
        Crowd(running.address, 200) as silent,
    ):
        for _ in range(13):
            for dribblers in (headers, bodies):
                dribblers.send(b"x")
            headers.read(0.9)
            bodies.read(0.05)
            silent.read(0.05)
        assert headers.outcomes() == {"408, closed": 500}
        assert max(client.closed_after_s for client in headers.clients) < 13
        assert bodies.outcomes() == {"no answer, open": 500}  # for 60 s
        assert silent.outcomes() == {"no answer, closed": 200}
        grown = resident_bytes(running) - before
    check_memory(grown, 64 * MEGABYTE)
    row("500 send a header, 500 a body, a byte a second; 200 say nothing",
        "408 and closed after 10 s (a body: after 60 s); closed without a word; "
        f"memory +{grown / MEGABYTE:.0f} MiB", honest)


def test_readers_that_never_read(running, row):
    count, events = 20, 6 * 500  # 120 sequences: all of them run, and the honest one among them
    stream = request(n=6, max_tokens=500, temperature=1, stream=True)
    with Crowd(running.address, count, stream.replace(b"Host: x", b"Connection: close")) as readers:
        # The cache's memory is there from now on, and the sizes of all buffers are known.
        readers.read(300 if served.IS_SANITIZED else 60)
        assert readers.outcomes() == {"200, closed": count}
        size = max(len(client.received) for client in readers.clients)
    with Honest(running.address) as honest:
        before = resident_bytes(running)
        with Crowd(running.address, count, stream, receive_buffer=4096):
            time.sleep(5)
            grown = resident_bytes(running) - before
        check_memory(grown, count * MEGABYTE)
    row(f"{count} ask for a stream of {events} events ({size // 1024} KiB) and read nothing",
        f"what the kernel does not take waits as text: memory +{grown / count / 1024:.0f} KiB each", honest)


def test_announcers_of_999_gigabytes(running, row):
    head = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 999000000000\r\n\r\n{"
    before = resident_bytes(running)
    with Honest(running.address) as honest, Crowd(running.address, 300, head) as crowd:
        crowd.read(10)
        assert crowd.outcomes() == {"413, closed": 300}
        assert max(client.closed_after_s for client in crowd.clients) < 10
        grown = resident_bytes(running) - before
    check_memory(grown, 64 * MEGABYTE)
    row("300 announce a body of 999 GB", f"413 before it is read, closed; memory +{grown / MEGABYTE:.0f} MiB", honest)


def test_smugglers(running, row):
    smuggled = b"GET /v1/models HTTP/1.1\r\n\r\n"
    head = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
    both = head % len(smuggled) + b"0\r\n\r\n"
    with Honest(running.address) as honest, Crowd(running.address, 100, both + smuggled) as crowd:
        crowd.read(10)
        assert crowd.outcomes() == {"400, closed": 100}
        assert all(client.received.count(b"HTTP/1.1 ") == 1 for client in crowd.clients)
    row("100 send a length and chunks, and a request inside", "400, closed, nothing else answered", honest)


def test_floods_of_headers(running, row):
    flood = b"GET /version HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20_000))
    with Honest(running.address) as honest, Crowd(running.address, 100, flood) as crowd:
        crowd.read(10)
        assert crowd.outcomes() == {"431, closed": 100}
    row("100 send 200 KB of headers", "431, closed", honest)


def test_bodies_of_many_megabytes_held_back(running, row):
    """All but the last byte of 8 MB, twelve times: more than the 64 MiB that bodies may take together."""
    body = b'{"model":"model","prompt":"' + b"a" * 7_900_000
    head = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 7999999\r\n\r\n"
    before = resident_bytes(running)
    with Honest(running.address) as honest, Crowd(running.address, 12) as crowd:
        for client in crowd.clients:
            client.socket.settimeout(10)
            client.send(head + body)
            client.socket.setblocking(False)
        crowd.read(1)
        outcomes = crowd.outcomes()
        assert outcomes in ({"429, closed": gone, "no answer, open": 12 - gone} for gone in (4, 5)), outcomes
        assert all(client.received for client in crowd.clients[:4])  # who held back longest
        grown = resident_bytes(running) - before
        large = raw_http.ask(running.address, request(prompt="a" * 7_000_000), 60)
        assert large.error()["code"] == "context_length_exceeded"  # read to its end, and refused for what it says
    check_memory(grown, 160 * MEGABYTE)  # strings that grew by doubling
    row("12 hold back the last bytes of 8 MB",
        f"429 for the 4 that held longest; memory +{grown / MEGABYTE:.0f} MiB", honest)


def leave_together(address, count, how, **fields):
    """They ask, get the first bytes of their answers or none, and are gone."""
    crowd = [raw_http.RawClient(address) for _ in range(count)]
    for client in crowd:
        client.send(request(**fields))
    for client in crowd:
        if fields.get("stream"):
            client.receive()
        how(client)


def half_close(client):
    client.socket.shutdown(socket.SHUT_WR)


def test_clients_that_leave_in_mid_stream(running, row):
    with Honest(running.address) as honest:
        for how in (raw_http.RawClient.reset, lambda client: client.socket.close(), half_close):
            leave_together(running.address, 60, how, max_tokens=500, n=2, stream=True)
    begun = time.monotonic()
    honest.ask()
    assert time.monotonic() - begun < 2
    row("60 reset, 60 close, 60 half-close in mid-stream", "their work is cancelled", honest)


def test_clients_that_vanish_while_they_wait_in_turn(row):
    """In simple mode 200 requests would take their time one after the other; the next one in turn comes at once."""
    simple = served.Served(served.TINY_MODEL, *served.TINY_OPTIONS)
    try:
        honest = Honest(simple.address)
        begun = time.monotonic()
        raw_http.ask(simple.address, request(max_tokens=500))
        one_s = time.monotonic() - begun
        leave_together(simple.address, 200, raw_http.RawClient.reset, max_tokens=500)
        begun = time.monotonic()
        honest.ask()
        waited_s = time.monotonic() - begun
        assert waited_s < 40 * one_s, (waited_s, one_s)
        row("200 ask for 500 tokens in simple mode and vanish",
            f"cancelled: the next waits {waited_s * 1000:.0f} ms; all would take {200 * one_s:.1f} s", honest)
        assert simple.terminate() == 0
    finally:
        simple.kill()


def test_pipeliners(running, row):
    one = b"GET /version HTTP/1.1\r\n\r\n"
    with Honest(running.address) as honest:
        with raw_http.RawClient(running.address) as client:
            client.send(one * 2000)
            assert all(client.answer().status == 200 for _ in range(2000))
        before = resident_bytes(running)
        with Crowd(running.address, 40, receive_buffer=4096) as crowd:
            sent = 0
            for client in crowd.clients:
                try:
                    while True:
                        sent += client.socket.send(one * 10_000)
                except BlockingIOError:
                    pass
            time.sleep(1)
            grown = resident_bytes(running) - before
    check_memory(grown, 40 * MEGABYTE)
    row("40 send requests without end and read no answer",
        f"reading stops: {sent / 40 / MEGABYTE:.1f} MiB taken of each, memory +{grown / 40 / 1024:.0f} KiB each",
        honest)


def test_a_flood_of_connections(running, row):
    """More than the 4,096 there may be, silent; whoever comes later is let in."""
    count = 4_096 + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 300:
        pytest.skip(f"needs {count + 300} descriptors, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        before = resident_bytes(running)
        with Honest(running.address) as first:
            pass
        with Crowd(running.address, count) as crowd:
            crowd.read(0.2)
            outcomes = crowd.outcomes()
            refused = outcomes.pop("429, open", 0) + outcomes.pop("429, closed", 0)
            time.sleep(1.2)
            grown = resident_bytes(running) - before
            begun = time.monotonic()
            with Honest(running.address) as honest:
                while honest.count < 50 and honest.is_alive() and time.monotonic() - begun < 10:
                    time.sleep(0.01)
        assert refused + sum(outcomes.values()) == count and refused < 1000, (refused, outcomes)
        assert first.expected == honest.expected and honest.count >= 50
        check_memory(grown, 128 * MEGABYTE)
        row(f"{count} connect and say nothing",
            f"{refused} get 429; who is silent longest is closed for who comes; memory +{grown / MEGABYTE:.0f} MiB",
            honest)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_refused(address):
    """By 429, or, where even more come, without a word."""
    try:
        return raw_http.ask(address, GOOD_REQUEST).status == 429
    except raw_http.Gone:
        return True


def test_more_connections_than_descriptors(row):
    if served.IS_SANITIZED:
        pytest.skip("SKIPPED: a sanitizer needs a descriptor (a pipe) to look at memory, and ends the program without")
    few = served.Served(served.TINY_MODEL, "--continuous-batching", *served.TINY_OPTIONS, max_descriptors=100)
    try:
        with Crowd(few.address, 150):
            begun = time.monotonic()
            while is_refused(few.address) and time.monotonic() - begun < 20:
                time.sleep(0.2)  # until those before have been silent for a second
            with Honest(few.address) as honest:
                while honest.count < 5 and honest.is_alive() and time.monotonic() - begun < 20:
                    time.sleep(0.01)
        assert honest.count >= 5
        row("150 connect to a server that may have 100 descriptors",
            "429 at first, then who is silent longest is closed for who comes", honest)
        assert few.terminate() == 0
    finally:
        few.kill()


def test_a_thousand_requests_on_one_connection(running, row):
    with Honest(running.address) as honest, raw_http.RawClient(running.address) as client:
        for _ in range(1000):
            client.send(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 1\r\n\r\n{")
            assert client.answer().status == 400
    row("1,000 wrong requests on one connection", "400 each", honest)
