#!/usr/bin/env python3
"""How long one request waits beside a crowd of another key's, and of its own.

    python3 bench/fairness.py PROGRAM MODEL [--crowd N] [--max-tokens N] [-- further options of serve]

Starts the server with two keys, three times: alone, with a crowd under another key, with a crowd under the same key.
The crowd's requests stand in the queue before the one that is timed comes. Prints the seconds to its first token and to
its end, and how many of the crowd were answered meanwhile.
"""

import asyncio
import json
import re
import time

import keyed_server


async def ask(port, key, prompt, max_tokens):
    """Seconds to the first event and to the end of a streamed answer."""
    body = json.dumps(
        {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True, "stream": True}
    )
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    begin = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((head + body).encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"{status!r} {await reader.read()!r}")
    await reader.readuntil(b"data: ")
    first = time.monotonic() - begin
    await reader.read()
    writer.close()
    return first, time.monotonic() - begin


async def waiting(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
    page = (await reader.read()).decode()
    writer.close()
    return sum(
        float(re.search(rf"^vllm:num_requests_{state}{{.*}} (\S+)$", page, re.MULTILINE).group(1))
        for state in ("waiting", "running")
    )


async def measure(port, crowd, crowd_key, max_tokens):
    answered = 0

    async def one_of_crowd(number):
        nonlocal answered
        await ask(port, crowd_key, f"Number {number} of the crowd says", max_tokens)
        answered += 1

    tasks = [asyncio.create_task(one_of_crowd(number)) for number in range(crowd)]
    while await waiting(port) + answered < crowd:
        await asyncio.sleep(0.02)
    before = answered
    first, end = await ask(port, "lone", "Once upon a time", max_tokens)
    meanwhile = f"{answered - before} of {crowd}"
    print(f"  first token {first:8.2f} s   end {end:8.2f} s   answered meanwhile {meanwhile}", flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main():
    given = keyed_server.command_line(__doc__, crowd=1000, max_tokens=32)
    for name, crowd, key in [
        ("alone", 0, "crowd"),
        (f"beside {given.crowd} of another key", given.crowd, "crowd"),
        (f"beside {given.crowd} of the same key", given.crowd, "lone"),
    ]:
        with keyed_server.serving(given, "crowd", "lone") as port:
            print(name, flush=True)
            asyncio.run(measure(port, crowd, key, given.max_tokens))


if __name__ == "__main__":
    main()
