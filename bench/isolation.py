#!/usr/bin/env python3
"""Can one API key tell by the time to its first token what another has asked?

    python3 bench/isolation.py PROGRAM MODEL [--trials N] [--tokens N] [-- further options of serve]

Starts the server with two keys. In each trial one key has a new prompt computed; then the other asks for this prompt
and for one that nobody has asked before, in turns which of the two comes first; then the first key asks for its prompt
again. Prints the medians of the three, and the ratio of the two that should be alike. Exit 1 when that is off by more
than 5 %, when a token came from the other key's cache, or when the control fails: the own prompt must be a hit, and
take less than half the time, or nothing would have been seen here.
"""

import http.client
import json
import random
import re
import statistics
import sys
import time

import keyed_server

MOST_OFF = 0.05
OWN, OTHERS, NOBODYS = "asked before by the same key", "asked before by another key", "asked before by nobody"


class Client:
    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, prompt):
        """Seconds to the first token, and how many tokens of the prompt came from the cache."""
        body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "ignore_eos": True, "stream": True}
        body["stream_options"] = {"include_usage": True}
        begin = time.perf_counter()
        self.connection.request("POST", "/v1/completions", json.dumps(body), self.headers)
        response = self.connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status} {response.read()!r}")
        response.readline()
        first = time.perf_counter() - begin
        (usage,) = re.findall(rb'"cached_tokens":(\d+)', response.read())[-1:]
        return first, int(usage)


def measure(port, trials, num_tokens):
    """{what: [(seconds, cached tokens) of each trial]}"""
    draw = random.Random(1)
    found = {OWN: [], OTHERS: [], NOBODYS: []}
    alice, bob = Client(port, "alice"), Client(port, "bob")
    for trial in range(trials):
        # The first token is new each time: not even that one may come from what the same key asked in other trials.
        known, new = (
            [1000 + 2 * trial + second, *(draw.randrange(100, 1000) for _ in range(num_tokens - 1))]
            for second in range(2)
        )
        alice.ask(known)
        pair = [(OTHERS, known), (NOBODYS, new)]
        for what, prompt in pair if trial % 2 == 0 else reversed(pair):
            found[what].append(bob.ask(prompt))
        found[OWN].append(alice.ask(known))
    return found


def judge(found):
    """Prints the table; what is wrong, in words."""
    median = {}
    for what, trials in found.items():
        median[what] = statistics.median(seconds for seconds, _ in trials)
        cached = [tokens for _, tokens in trials]
        print(f"  {what:30} {1000 * median[what]:9.2f} ms   cached tokens {min(cached)} to {max(cached)}")
    ratio = median[OTHERS] / median[NOBODYS]
    print(f"  another key's to nobody's: {ratio:.4f}")
    if any(tokens for _, tokens in found[OTHERS] + found[NOBODYS]):
        yield "a prompt of another key was a hit"
    if abs(ratio - 1) > MOST_OFF:
        yield f"the medians differ by more than {MOST_OFF:.0%}"
    if not all(tokens for _, tokens in found[OWN]) or median[OWN] > median[NOBODYS] / 2:
        yield "the control failed: what the same key asked before is no hit, or saves less than half of the time"


def main():
    given = keyed_server.command_line(__doc__, trials=200, tokens=192)
    with keyed_server.serving(given, "alice", "bob") as port:
        print(f"{given.trials} trials, prompts of {given.tokens} tokens, time to the first token (median):", flush=True)
        wrong = list(judge(measure(port, given.trials, given.tokens)))
    for sentence in wrong:
        print(f"isolation.py: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
