#!/usr/bin/env python3
"""Does the server stay within the memory that it planned, whatever is asked of it?

    python3 bench/memory.py PROGRAM MODEL [--streams N] [--seconds S] [--cache-mb M] [-- further options of serve]

Starts the server with a KV pool of M MiB and, for S seconds, has N streams write long answers while others send all
that takes memory: bodies as long as may be (of one value, of a million, nested, not JSON), lists of long prompts with
many choices until the queue is full, prompts to be scored, logit_bias of a thousand tokens, streams that are never
read. Those have another key, and leave most of what they ask for open. Prints what the server held most (VmHWM) beside
weights + pool + 300 MB. Exit 1 when it was more, when an honest stream
failed, or when nobody was ever refused (then the queue was not full, and this shows little).
"""

import collections
import contextlib
import http.client
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time

import keyed_server

SLACK_MB = 300
NUM_HOSTILE = 16
MOST_OPEN = 40  # of each of those
BODY_BYTES = (8 << 20) - 1000


def status_mb(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(rf"{name}:\s+(\d+) kB", status.read()).group(1)) / 1000


@contextlib.contextmanager
def serving(given):
    """The process, its port, and the megabytes of its weights and its pool, from its line of facts."""
    command = [given.program, "serve", given.model, "--port", "0", "--log-level", "error", "--continuous-batching",
               "--cache-memory-mb", str(given.cache_mb), "--api-key", "honest", "--api-key", "hostile", *given.options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        facts = server.stdout.readline()
        weights, pool, longest = re.search(r"weights (\d+) MB.* = (\d+) MB, max_model_len (\d+)", facts).groups()
        port = re.search(r"http://127\.0\.0\.1:(\d+)", facts).group(1)
        yield server.pid, int(port), int(weights), int(pool), int(longest)
    finally:
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def post(port, key, path, body, timeout_s):
    """A connection on which the request was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    return connection


def hostile_bodies(draw, longest):
    """(path, body), without end."""
    def tokens(count):
        return [draw.randrange(100, 1000) for _ in range(count)]

    prompts = max(1, min(2048, 1_500_000 // (4 * longest)))
    while True:
        many = {"prompt": [tokens(longest - 2) for _ in range(prompts)], "max_tokens": 1, "n": 2, "temperature": 1}
        yield "/v1/completions", many
        yield "/v1/completions", {"prompt": tokens(longest // 2), "max_tokens": longest, "n": 128,
                                  "stop": ["q" * 1024] * 16, "presence_penalty": 1}
        yield "/v1/completions", {"prompt": tokens(longest - 2), "echo": True, "logprobs": 5, "max_tokens": 1}
        yield "/v1/completions", {"prompt": "x", "max_tokens": 20, "n": 64,
                                  "logit_bias": {str(token): 1 for token in range(1000)}}
        yield "/v1/chat/completions", b'{"messages":"' + b"x" * BODY_BYTES + b'"}'
        yield "/v1/chat/completions", b'{"messages":[' + b"1," * 999_000 + b"1]}"
        yield "/v1/chat/completions", b"[" * BODY_BYTES
        yield "/v1/chat/completions", {"messages": [{"role": "user", "content": "la " * 2_000_000}]}
        yield "/tokenize", {"prompt": "word " * 1_500_000}
        yield "/v1/completions", {"prompt": "x", "max_tokens": longest - 50, "stream": True, "ignore_eos": True}


class Load:
    def __init__(self, port, longest, seconds):
        self.port, self.longest, self.end = port, longest, time.monotonic() + seconds
        self.statuses = collections.Counter()
        self.failures = []
        self.num_answers = 0

    def honest(self, seed):
        draw = random.Random(seed)
        while time.monotonic() < self.end:
            prompt = [draw.randrange(100, 1000) for _ in range(40)]
            body = {"prompt": prompt, "max_tokens": 60, "ignore_eos": True, "stream": True}
            try:
                response = post(self.port, "honest", "/v1/completions", body, 300).getresponse()
                text = response.read()
            except OSError as error:
                self.failures.append(repr(error))
                return
            if response.status == 429:  # bodies in work: it comes again
                time.sleep(1)
            elif response.status != 200 or b"[DONE]" not in text:
                self.failures.append(f"{response.status} {text[-200:]!r}")
                return
            else:
                self.num_answers += 1

    def hostile(self, seed):
        left_open = collections.deque(maxlen=MOST_OPEN)  # the oldest is closed for the next
        for path, body in hostile_bodies(random.Random(1000 + seed), self.longest):
            if time.monotonic() > self.end:
                return
            connection = None
            try:
                connection = post(self.port, "hostile", path, body, 5)
                connection.sock.settimeout(0.2)
                self.statuses[connection.getresponse().status] += 1
            except TimeoutError:
                self.statuses["left open"] += 1
            except (OSError, http.client.HTTPException):  # that is an answer too
                self.statuses["cut off"] += 1
            left_open.append(connection)


def main():
    given = keyed_server.command_line(__doc__, streams=64, seconds=60, cache_mb=256)
    with serving(given) as (pid, port, weights_mb, pool_mb, longest):
        idle_mb = status_mb(pid, "VmRSS")
        load = Load(port, longest, given.seconds)
        threads = [threading.Thread(target=load.honest, args=(i,)) for i in range(given.streams)]
        threads += [threading.Thread(target=load.hostile, args=(i,), daemon=True) for i in range(NUM_HOSTILE)]
        for thread in threads:
            thread.start()
        for thread in threads[: given.streams]:
            thread.join()
        most_mb = status_mb(pid, "VmHWM")
    limit_mb = weights_mb + pool_mb + SLACK_MB
    print(f"weights {weights_mb} MB + pool {pool_mb} MB + {SLACK_MB} MB = {limit_mb} MB; longest sequence {longest}")
    print(f"idle {idle_mb:.0f} MB; most {most_mb:.0f} MB, {most_mb - weights_mb - pool_mb:.0f} MB beside the two")
    statuses = ", ".join(f"{status}: {number}" for status, number in sorted(load.statuses.items(), key=str))
    print(f"{load.num_answers} honest answers; the others got {statuses}")
    wrong = [f"an honest stream failed: {failure}" for failure in load.failures]
    if most_mb > limit_mb:
        wrong.append(f"{most_mb:.0f} MB are more than {limit_mb}")
    if not load.statuses[429]:
        wrong.append("nobody was refused for want of room")
    for sentence in wrong:
        print(f"memory.py: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
