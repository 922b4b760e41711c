"""A server with several API keys, for the benchmarks that ask it as different users, and what their commands share."""

import argparse
import contextlib
import re
import signal
import subprocess
import sys


def command_line(description, texts=None, **numbers):
    """PROGRAM MODEL [--NUMBER N ...] [--TEXT T ...] [-- further options of serve]. Both: name=default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    for name, default in numbers.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    for name, default in (texts or {}).items():
        parser.add_argument("--" + name, default=default)
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    return parser.parse_args(own, argparse.Namespace(options=options))


@contextlib.contextmanager
def serving(given, *keys):
    """given: of command_line(). The port; at the end the server is stopped at once, whatever still runs."""
    command = [given.program, "serve", given.model, "--port", "0", "--log-level", "error"]
    for key in keys:
        command += ["--api-key", key]
    server = subprocess.Popen(command + given.options, stdout=subprocess.PIPE, text=True)
    try:
        yield int(re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline()).group(1))
    finally:
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGTERM)  # twice: nobody reads what is still running
        server.wait(60)
