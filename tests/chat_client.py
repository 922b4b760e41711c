"""A client of a running server, or of one that it starts itself, for the scripts beside it. Standard library only."""

import argparse
import dataclasses
import http.client
import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_S = 600  # of one answer


class Wrong(Exception):
    """One sentence for the person who runs the script."""


@dataclasses.dataclass
class Answer:
    text: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_text_s: float  # from the request to the first piece of text
    whole_s: float
    cache: dict  # the answer's object "cache"; empty: this server tells none


class Server:
    """The server under test. As a context: stopped at the end if it was started here."""

    def __init__(self, arguments, *serve_options):
        self.process = self.salt = None
        self.key = arguments.api_key
        if arguments.url:
            # Whatever the server remembers of others, or of the run before, is not ours.
            self.salt = secrets.token_hex(16)
            url = urllib.parse.urlsplit(arguments.url)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise Wrong(f"--url {arguments.url}: expected http://HOST:PORT/v1")
            self.url = url
        else:
            self.url = urllib.parse.urlsplit(self.start(arguments, serve_options) + "/v1")
        try:
            self.model = self.ask("GET", "/models")["data"][0]["id"]
        except BaseException:
            self.stop()
            raise

    def start(self, arguments, serve_options):
        program = pathlib.Path(arguments.program)
        if not program.exists():
            raise Wrong(f"{program} is not there; `tools/build` makes it, or --url names a server that runs")
        self.log = tempfile.TemporaryFile()
        command = [program, "serve", find_model(arguments), "--port", "0", *serve_options]
        say(f"starting {' '.join(map(str, command))}")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        facts = self.process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", facts)
        if not address:
            self.process.wait()
            self.log.seek(0)
            raise Wrong(f"the server did not start: {self.log.read().decode(errors='replace').strip()}")
        return address.group()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def send(self, method, path, body=None):
        """The response, its status checked, to read from."""
        secure = self.url.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self.url.hostname, self.url.port, timeout=TIMEOUT_S)
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
        except OSError as error:
            raise Wrong(f"{self.url.geturl()} cannot be reached: {error}") from error
        if response.status != 200:
            said = response.read().decode(errors="replace")
            try:
                said = json.loads(said)["error"]["message"]
            except (ValueError, KeyError, TypeError):
                pass
            raise Wrong(f"{method} {path} was answered with {response.status}: {said.strip()[:500]}")
        return response

    def ask(self, method, path, body=None):
        """A page below /v1, as JSON."""
        return json.loads(self.send(method, self.url.path.rstrip("/") + path, body).read())

    def tokens_of(self, messages):
        """The tokens that a chat is rendered to: /tokenize, which stands beside /v1."""
        path = self.url.path.rstrip("/").removesuffix("/v1") + "/tokenize"
        body = {"model": self.model, "messages": messages, "add_generation_prompt": True}
        return json.loads(self.send("POST", path, body).read())["tokens"]

    def chat(self, messages, max_tokens):
        """An answer of max_tokens tokens, greedy, as it streams in."""
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.salt:
            body["cache_salt"] = self.salt
        begin_s = time.monotonic()
        first_text_s, text, usage, cache = None, "", None, {}
        response = self.send("POST", self.url.path.rstrip("/") + "/chat/completions", body)
        for line in response:
            data = line.decode().removeprefix("data: ").strip()
            if not line.startswith(b"data: ") or data == "[DONE]":
                continue
            event = json.loads(data)
            if "error" in event:
                raise Wrong(f"an answer ended with: {event['error']['message']}")
            usage = event.get("usage") or usage
            cache = event.get("cache") or cache
            for choice in event["choices"]:
                piece = choice["delta"].get("content") or ""
                if piece and first_text_s is None:
                    first_text_s = time.monotonic() - begin_s
                text += piece
        whole_s = time.monotonic() - begin_s
        if usage is None:
            raise Wrong("an answer ended without its usage")
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Answer(
            text, usage["prompt_tokens"], cached, usage["completion_tokens"], first_text_s or whole_s, whole_s, cache
        )


def say(text):
    print(text, file=sys.stderr, flush=True)


def smollm2():
    """The small real model's file where `tools/fetch-model` puts it, or SLIPSTREAM_SMOLLM2; None: it is not there."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    default = pathlib.Path(cache) / "slipstream" / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path = pathlib.Path(os.environ.get("SLIPSTREAM_SMOLLM2") or default)
    return path if path.exists() else None


def find_model(arguments):
    """MODEL as given; else the small real one, which is fetched once."""
    here = arguments.model or os.environ.get("SLIPSTREAM_SMOLLM2")
    if here:
        return here
    if arguments.no_fetch:
        here = smollm2()
        if here:
            return here
        print("SKIPPED: the real model is not here (SLIPSTREAM_SMOLLM2)")
        sys.exit(77)
    fetched = subprocess.run([ROOT / "tools" / "fetch-model"], stdout=subprocess.PIPE, text=True, check=False)
    if fetched.returncode != 0:
        raise Wrong("the small model cannot be fetched; --model names one that is here")
    return fetched.stdout.strip()


def arguments_parser(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", help="of a server that runs: http://HOST:PORT/v1 (default: start one)")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY"), help="for --url")
    parser.add_argument("--model", help="for the server that is started (default: SmolLM2, fetched once)")
    parser.add_argument("--program", default=ROOT / "build" / "release" / "slipstream", help="the same")
    parser.add_argument("--no-fetch", action="store_true", help="skip (exit 77) where that model is not here")
    return parser


def run(main):
    """main()'s exit status; what is wrong in one line, and 1."""
    try:
        sys.exit(main())
    except Wrong as wrong:
        say(f"{pathlib.Path(sys.argv[0]).name}: {wrong}")
        sys.exit(1)
