"""What is wrong below JSON: request lines, headers, lengths and chunks as no client sends them. Each is sent as it
stands, all at once; the answers' statuses follow, and the connection's end where the server must close it.
"""

import gzip

BODY = b'{"model":"model","prompt":[5,6,7],"max_tokens":2}'
LENGTH = f"Content-Length: {len(BODY)}"
CLOSED = "closed"  # after these answers the server closes


def head(line, *headers):
    return "\r\n".join([line, *headers]).encode("latin-1") + b"\r\n\r\n"


def get(*headers, path="/version"):
    return head(f"GET {path} HTTP/1.1", *headers)


def send(*headers, body=BODY, path="/v1/completions"):
    return head(f"POST {path} HTTP/1.1", "Host: x", *headers) + body


def chunked(*chunks, trailer=b""):
    """A chunk: bytes, or (its size as written, bytes)."""
    sized = [chunk if isinstance(chunk, tuple) else (f"{len(chunk):x}", chunk) for chunk in (*chunks, b"")]
    last = b"\r\n".join([sized[-1][0].encode(), trailer])
    body = b"".join(size.encode("latin-1") + b"\r\n" + data + b"\r\n" for size, data in sized[:-1])
    return send("Transfer-Encoding: chunked", body=body + last + b"\r\n")


REFUSED = [400, CLOSED]
TAKEN = [200]

HTTP = {
    # ---- request lines
    "a plain one": (get(), TAKEN),
    "empty lines before it": (b"\r\n\r\n\r\n" + get(), TAKEN),
    "HTTP/0.9": (b"GET /version\r\n\r\n", REFUSED),
    "HTTP/1.2": (head("GET /version HTTP/1.2"), REFUSED),
    "HTTP/2.0": (head("GET /version HTTP/2.0"), REFUSED),
    "HTTP/9.9": (head("GET /version HTTP/9.9"), REFUSED),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
    "no version": (head("GET /version HTTP/"), REFUSED),
    "a version of letters": (head("GET /version HTTP/a.b"), REFUSED),
    "http in small letters": (head("GET /version http/1.1"), REFUSED),
    "another protocol": (head("GET /version ICY/1.1"), REFUSED),
    "no target": (head("GET HTTP/1.1"), REFUSED),
    "two spaces": (head("GET  /version HTTP/1.1"), REFUSED),
    "a tab": (head("GET\t/version HTTP/1.1"), REFUSED),
    "a target with a space": (head("GET /ver sion HTTP/1.1"), REFUSED),
    "a target with a zero": (head("GET /ver\0sion HTTP/1.1"), REFUSED),
    "a method in small letters": (head("get /version HTTP/1.1"), [405]),
    "a method nobody knows": (head("BREW /version HTTP/1.1"), [405]),
    "a method of odd letters": (head("G@T /version HTTP/1.1"), REFUSED),
    "no method": (head(" /version HTTP/1.1"), REFUSED),
    "a method of 10,000 letters": (head("G" * 10_000 + " /version HTTP/1.1"), [405]),
    "CONNECT": (head("CONNECT evil.example:443 HTTP/1.1"), [404]),
    "TRACE": (head("TRACE /version HTTP/1.1"), [405]),
    "DELETE": (head("DELETE /v1/models/model HTTP/1.1"), [405]),
    "OPTIONS *": (head("OPTIONS * HTTP/1.1"), [200]),
    "GET of a POST's place": (get(path="/v1/completions"), [405]),
    "POST of a GET's place": (send(LENGTH, path="/v1/models"), [405]),
    "a target of 20,000 letters": (get(path="/" + "a" * 20_000), [431, CLOSED]),
    "a target of 15,000 letters": (get(path="/" + "a" * 15_000), [404]),
    "a query": (get(path="/version?a=b&c=%00#d"), TAKEN),
    "an absolute target": (get(path="http://evil.example/version"), TAKEN),
    "an absolute target with a path in its query": (get(path="http://x?/version"), [404]),
    "an absolute target without a path": (get(path="http://x"), [404]),
    "a zero in the path": (get(path="/version%00"), [404]),
    "a zero in a model's name": (get(path="/v1/models/model%00"), [404]),
    "a path upwards": (get(path="/v1/../version"), [404]),
    "a path upwards, escaped": (get(path="/v1/models/%2e%2e%2f%2e%2e%2fetc%2fhostname"), [404]),
    "two slashes": (get(path="//version"), [404]),
    "half an escape": (get(path="/version%2"), [404]),
    "no UTF-8 in the path": (get(path="/%ff%fe"), [404]),
    "line breaks in the path, escaped": (get(path="/a%0d%0aX-Evil:%20yes%0d%0a%0d%0a"), [404]),
    # ---- headers
    "no Host": (get(), TAKEN),
    "names in small letters": (send(LENGTH.lower(), "content-type: application/json"), TAKEN),
    "another content type": (send(LENGTH, "Content-Type: text/plain"), TAKEN),
    "a charset": (send(LENGTH, "Content-Type: application/json; charset=utf-16"), TAKEN),
    "gzip": (send(f"Content-Length: {len(gzip.compress(BODY, mtime=0))}", "Content-Encoding: gzip",
                  body=gzip.compress(BODY, mtime=0)), [415, CLOSED]),
    "gzip that is none": (send(LENGTH, "Content-Encoding: gzip"), [415, CLOSED]),
    "a coding nobody knows": (send(LENGTH, "Content-Encoding: x-zip"), [415, CLOSED]),
    "no coding, in words": (send(LENGTH, "Content-Encoding: identity"), TAKEN),
    "a header without a colon": (get("Nonsense"), REFUSED),
    "a header without a name": (get(": x"), REFUSED),
    "a space before the colon": (get("X-Thing : x"), REFUSED),
    "a space in a name": (get("X Thing: x"), REFUSED),
    "a zero in a value": (get("X-Thing: a\0b"), REFUSED),
    "a bell in a value": (get("X-Thing: a\x07b"), REFUSED),
    "a bare line feed in a value": (get("X-Thing: a\nX-Evil: b"), REFUSED),
    "a bare carriage return in a value": (get("X-Thing: a\rb"), REFUSED),
    "Latin-1 in a value": (get("X-Thing: \xe9"), TAKEN),
    "a folded header": (get("X-Thing: a\r\n b"), 0),
    "a folded first header": (b"GET /version HTTP/1.1\r\n folded: x\r\n\r\n", REFUSED),
    "300 headers": (get(*[f"X-{i}: y" for i in range(300)]), TAKEN),
    "3,000 headers": (get(*[f"X-{i}: y" for i in range(3000)]), [431, CLOSED]),
    "a header of 20,000 letters": (get("X-Long: " + "x" * 20_000), [431, CLOSED]),
    "a megabyte of header": (get("X-Long: " + "x" * 1_000_000), [431, CLOSED]),
    "a name of 20,000 letters": (get("x" * 20_000 + ": y"), [431, CLOSED]),
    "Connection: close": (get("Connection: close"), [200, CLOSED]),
    "Connection with nonsense": (get("Connection: ,,close,keep-alive"), 0),
    "Upgrade to HTTP/2": (get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"), TAKEN),
    "Upgrade to a web socket": (get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), TAKEN),
    "Expect: 100-continue, with the body": (send(LENGTH, "Expect: 100-continue"), TAKEN),
    "an expectation nobody knows": (send(LENGTH, "Expect: the-inquisition"), TAKEN),
    "Authorization where none is asked": (get("Authorization: Bearer " + "k" * 9_000), TAKEN),
    "a Range": (get("Range: bytes=0-1,1-2,2-3"), TAKEN),
    # ---- lengths
    "no length": (head("POST /v1/completions HTTP/1.1"), [400]),
    "length 0": (send("Content-Length: 0", body=b""), [400]),
    "two equal lengths": (send(LENGTH, LENGTH), 0),
    "two lengths": (send(LENGTH, "Content-Length: 5"), REFUSED),
    "two lengths in one": (send(f"Content-Length: {len(BODY)}, 5"), REFUSED),
    "a negative length": (send("Content-Length: -1"), REFUSED),
    "a length with a sign": (send(f"Content-Length: +{len(BODY)}"), REFUSED),
    "a hexadecimal length": (send("Content-Length: 0x31"), REFUSED),
    "a length of letters": (send("Content-Length: many"), REFUSED),
    "an empty length": (send("Content-Length: "), REFUSED),
    "a length and a half": (send("Content-Length: 49.5"), REFUSED),
    "a length with a space in it": (send("Content-Length: 4 9"), REFUSED),
    "a length with noughts before it": (send(f"Content-Length: 000{len(BODY)}"), TAKEN),
    "999 GB": (send("Content-Length: 999000000000"), [413, CLOSED]),
    "999 GB and Expect": (send("Content-Length: 999000000000", "Expect: 100-continue", body=b""), [413, CLOSED]),
    "9 MB": (send("Content-Length: 9000000"), [413, CLOSED]),
    "2^64": (send("Content-Length: 18446744073709551616"), REFUSED),
    "2^63": (send("Content-Length: 9223372036854775808"), [413, CLOSED]),
    "a length of 400 digits": (send("Content-Length: " + "9" * 400), REFUSED),
    "a shorter length": (send("Content-Length: 48"), [400, 400, CLOSED]),  # the rest, "}", is no request
    "GET with a body": (get("Content-Length: 5") + b"hello" + get(), [200, 200]),
    # ---- both, which a proxy in front might read otherwise
    "a length and chunks": (send("Transfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n" + get()), REFUSED),
    "chunks and a length": (send(LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + get()), REFUSED),
    "length 0 and chunks": (send("Content-Length: 0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked twice": (send("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked, chunked": (send("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), REFUSED),
    "gzip, chunked": (send("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked, identity": (send("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), REFUSED),
    "identity": (send("Transfer-Encoding: identity", LENGTH), REFUSED),
    "xchunked": (send("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked with a tab": (send("Transfer-Encoding:\tchunked", body=b"0\r\n\r\n"), 0),
    "chunked in quotes": (send('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), REFUSED),
    "chunked with a vertical tab": (send("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked, folded": (send("Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 0),
    "chunked in HTTP/1.0": (head("POST /v1/models HTTP/1.0", "Transfer-Encoding: chunked") + b"0\r\n\r\n", REFUSED),
    "a space before the colon of a coding": (send("Transfer-Encoding : chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked in capitals": (send("Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n"), [400]),
    # ---- chunks
    "chunks": (chunked(BODY[:7], BODY[7:]), TAKEN),
    "chunks of a byte": (chunked(*[BODY[i:i + 1] for i in range(len(BODY))]), TAKEN),
    "chunks of nothing": (chunked(), [400]),
    "noughts before a size": (chunked(("0000000031", BODY)), TAKEN),
    "an extension": (chunked((f'{len(BODY):x};a="b;c"', BODY)), TAKEN),
    "an extension without end": (chunked((f"{len(BODY):x};" + "a" * 200_000, BODY)), REFUSED),
    "a trailer": (chunked(BODY, trailer=b"X-Late: yes\r\n"), TAKEN),
    "a trailer that is a length": (chunked(BODY, trailer=b"Content-Length: 3\r\n"), 0),
    "a trailer without end": (chunked(BODY, trailer=b"X: y\r\n" * 50_000), REFUSED),
    "a size in words": (chunked(("ten", BODY)), REFUSED),
    "a negative size": (chunked(("-31", BODY)), REFUSED),
    "a size with a sign": (chunked(("+31", BODY)), REFUSED),
    "a size with 0x": (chunked(("0x31", BODY)), REFUSED),
    "a size with a space before it": (chunked((" 31", BODY)), REFUSED),
    "no size": (chunked(("", BODY)), REFUSED),
    "a size of 2^64": (chunked(("10000000000000000", BODY)), REFUSED),
    "a size of 2^64 + 49": (chunked(("10000000000000031", BODY)), REFUSED),
    "a size of 2^63": (chunked(("8000000000000000", BODY)), [413, CLOSED]),
    "a size of 999 GB": (chunked(("e8990d4400", BODY)), [413, CLOSED]),
    "a size too small": (chunked(("30", BODY)), REFUSED),
    "a size too large": (chunked(("33", BODY)), REFUSED),
    "line feeds alone": (send("Transfer-Encoding: chunked", body=b"31\n" + BODY + b"\n0\n\n" + bytes(99_000)), REFUSED),
    # ---- one after the other
    "twenty at once": (get() * 20, [200] * 20),
    "a good one behind a bad body": (send("Content-Length: 1", body=b"{") + get(), [400, 200]),
    "a good one behind a bad header": (get("Nonsense") + get(), REFUSED),
    "nothing between two": (send(LENGTH) + send(LENGTH), [200, 200]),
    "HEAD and GET": (head("HEAD /version HTTP/1.1") + get(), [200, 200]),
    # ---- other protocols
    "TLS": (bytes.fromhex("16030100c8010000c40303") + bytes(190), REFUSED),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", REFUSED),
    "SMTP": (b"EHLO example\r\n\r\n", REFUSED),
    "Redis": (b"*1\r\n$4\r\nPING\r\n\r\n", REFUSED),
    "zeros": (bytes(1000), REFUSED),
    "bytes of all kinds": (bytes(range(256)) * 10 + b"\r\n\r\n", REFUSED),
}
