"""HTTP by hand over a socket, so that a test can be as rude as it likes and sees every byte of the answer."""

import json
import re
import socket
import struct

# Our insides: nothing of them may stand in an answer.
INSIDES = re.compile(
    r"std::|nlohmann|boost|beast|exception|terminate|what\(\)|panick|stack|\.(cc|h|hpp|rs|py)\b|0x[0-9a-f]{6}"
    r"|/(tmp|usr|home|root|work|build|proc|src|lib)/",
    re.IGNORECASE,
)
TYPE_OF_STATUS = {429: "rate_limit_error", 503: "service_unavailable", 500: "model_error"}


class Answer:
    """status, headers (names in lower case), body (without its chunks)."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The data of a stream's events; every one but [DONE], the last, is an object."""
        assert self.headers["content-type"] == "text/event-stream"
        text = self.body.decode()  # UTF-8, strictly
        assert text.endswith("\n\n"), text[-80:]
        lines = text[:-2].split("\n\n")
        assert all(line.startswith("data: ") and "\n" not in line for line in lines), lines
        assert lines[-1] == "data: [DONE]", lines[-1]
        found = [json.loads(line[6:]) for line in lines[:-1]]
        assert all(isinstance(event, dict) for event in found)
        return found

    def error(self):
        """OpenAI's error object, checked."""
        whole = self.json()
        assert set(whole) == {"error"}, whole
        error = whole["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and 0 < len(error["message"]) < 1000, error
        assert error["type"] == TYPE_OF_STATUS.get(self.status, "invalid_request_error"), (self.status, error)
        for name in ("param", "code"):
            assert error[name] is None or isinstance(error[name], str) and 0 <= len(error[name]) < 300, error
        assert not INSIDES.search(error["message"]), error
        assert self.headers["content-type"] == "application/json"
        if self.status in (429, 503):
            assert int(self.headers["retry-after"]) >= 1
        return error


class Gone(Exception):
    """The server has closed; `reset`: without reading to the end of what was sent."""

    def __init__(self, reset, received):
        super().__init__(f"closed, reset {reset}, after {received[:200]!r}")
        self.reset, self.received = reset, received


class RawClient:
    def __init__(self, address, timeout_s=30, receive_buffer=None):
        host, port = re.fullmatch(r"http://([\d.]+):(\d+)", address).groups()
        self.socket = socket.socket()
        self.socket.settimeout(timeout_s)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """False: the server has closed."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def reset(self):
        """Leaves without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def receive(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            raise Gone(True, self.received) from None
        if not data:
            raise Gone(False, self.received)
        self.received += data

    def take_until(self, mark):
        while mark not in self.received:
            self.receive()
        taken, self.received = self.received.split(mark, 1)
        return taken

    def take(self, count):
        while len(self.received) < count:
            self.receive()
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def answer(self, has_body=True):
        """The next answer, whole. A 100 is one of its own."""
        lines = self.take_until(b"\r\n\r\n").decode("ascii").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, line
            headers[name.lower()] = value
        body = b""
        if has_body and headers.get("transfer-encoding") == "chunked":
            while size := int(self.take_until(b"\r\n"), 16):
                body += self.take(size)
                assert self.take(2) == b"\r\n"
            assert self.take(2) == b"\r\n"
        elif has_body and "content-length" in headers:
            body = self.take(int(headers["content-length"]))
        return Answer(int(status), headers, body)

    def is_closed(self):
        """Whether the server closes now, saying nothing more."""
        try:
            while data := self.socket.recv(1 << 16):
                self.received += data
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def post(path, body, *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(address, request, timeout_s=30):
    """One request on a connection of its own."""
    with RawClient(address, timeout_s) as client:
        client.send(request)
        return client.answer()
