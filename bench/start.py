#!/usr/bin/env python3
"""How long from the start of the process to its first token, with how much memory, and what does it take when idle?

    python3 bench/start.py PROGRAM MODEL [--runs N] [--goal-s S] [--idle-s S] [--cache-mb M] [--json FILE]
                            [-- further options of serve]

Reads the model's files once, so that they are in the page cache, and then N times: starts the server, with a KV pool of
M MiB, and asks for one token. Prints the median of the seconds until that token was here, beside what plainly reading
the files takes; the most memory the process held (VmHWM) beside 1.15 x weights + KV pool; and the processor time that
the server takes in S seconds after that, of one processor. Exit 1: not within S seconds (3, for 1B parameters in 4
bits), more memory, or 1 % or more when idle.
"""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import urllib.request

import keyed_server

WEIGHTS_FACTOR = 1.15
GOAL_IDLE_PERCENT = 1
CHUNK_BYTES = 1 << 20


def read_files(model):
    """Seconds for reading all of the model's files."""
    paths = [model] if model.is_file() else sorted(path for path in model.iterdir() if path.is_file())
    chunk = bytearray(CHUNK_BYTES)
    begin = time.monotonic()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(chunk):
                pass
    return time.monotonic() - begin


def processor_seconds(pid):
    """Of all threads of a process so far."""
    after_name = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def most_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024 / 1e6


@contextlib.contextmanager
def ending(server):
    try:
        yield server
    finally:
        server.terminate()
        server.wait(60)


def ask_one_token(url):
    body = {"prompt": [1, 2, 3, 4, 5, 6, 7, 8], "max_tokens": 1, "ignore_eos": True}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=600) as answer:
        tokens = json.load(answer)["usage"]["completion_tokens"]
    if tokens != 1:
        sys.exit(f"start.py: {tokens} tokens came where one was asked for")


def start_once(given, idle_s):
    """Seconds to the first token, megabytes at most and allowed, idle percent (None where idle_s is 0)."""
    command = [given.program, "serve", given.model, "--port", "0", "--log-level", "error"]
    command += ["--cache-memory-mb", str(given.cache_mb), *given.options]
    begin = time.monotonic()
    with ending(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as server:
        facts = server.stdout.readline()
        found = re.search(r"weights (\d+) MB, KV .*? = (\d+) MB,.*(http://\S+)", facts)
        if not found:
            sys.exit(f"start.py: the server did not start: {facts!r}")
        ask_one_token(found[3])
        first_token_s = time.monotonic() - begin
        allowed_mb = WEIGHTS_FACTOR * int(found[1]) + int(found[2])
        idle_percent = None
        if idle_s:
            time.sleep(1)  # threads that have just worked go to sleep
            before = processor_seconds(server.pid)
            time.sleep(idle_s)
            idle_percent = (processor_seconds(server.pid) - before) / idle_s * 100
        return first_token_s, most_mb(server.pid), allowed_mb, idle_percent


def figure(name, value, unit, limit=None):
    """As `slipstream bench --json` writes them; less is better here."""
    share = limit / value if limit is not None and value > 0 else None
    return {"name": name, "value": value, "unit": unit, "limit": limit, "share": share}


def main():
    given = keyed_server.command_line(__doc__, {"json": ""}, runs=3, goal_s=3, idle_s=10, cache_mb=256)
    model = pathlib.Path(given.model)
    read_files(model)
    plain_s = read_files(model)
    runs = [start_once(given, given.idle_s if run + 1 == given.runs else 0) for run in range(given.runs)]
    first_token_s = statistics.median(run[0] for run in runs)
    held_mb, allowed_mb, idle_percent = max(run[1] for run in runs), runs[0][2], runs[-1][3]
    print(f"start to first token  {first_token_s:.2f} s, goal {given.goal_s} s; reading the files {plain_s:.2f} s")
    print(f"most memory           {held_mb:.0f} MB of {allowed_mb:.0f} MB = 1.15 x weights + KV pool")
    print(f"idle for {given.idle_s} s         {idle_percent:.2f} % of one processor, goal < {GOAL_IDLE_PERCENT} %")
    name = f"start {model.resolve().name}"
    figures = [
        figure(f"{name} first token", first_token_s, "s", plain_s),
        figure(f"{name} peak memory", held_mb, "MB", allowed_mb),
        figure(f"{name} idle", idle_percent, "%"),
    ]
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    missed = [first_token_s > given.goal_s, held_mb > allowed_mb, idle_percent >= GOAL_IDLE_PERCENT]
    for what, is_missed in zip(("the start", "memory", "idleness"), missed):
        if is_missed:
            print(f"start.py: {what} misses its goal", file=sys.stderr)
    return 1 if any(missed) else 0


if __name__ == "__main__":
    sys.exit(main())
