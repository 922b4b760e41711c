#!/usr/bin/env python3
"""`slipstream bench serve`, `interval` and `simple` as a person types them. How large a figure is does not matter here.

python3 tests/command_line/bench_test.py PROGRAM DATA_FOLDER
"""

import contextlib
import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

DATA = pathlib.Path(sys.argv.pop(2))
PROGRAM = sys.argv.pop(1)
MODEL = str(DATA / "oracle" / "llama-untied-bf16")
NAME = "llama-untied-bf16"


def bench(*arguments):
    command = [PROGRAM, "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def figures(*arguments):
    """The figures by name; a goal that is missed (exit status 1) is no fault of this test."""
    done = bench(*arguments, "--json")
    if done.returncode not in (0, 1) or not done.stdout:
        raise AssertionError(f"{done.returncode}: {done.stderr}")
    return {figure.pop("name"): figure for figure in json.loads(done.stdout)}


@contextlib.contextmanager
def serving(*options):
    command = [PROGRAM, "serve", MODEL, "--port", "0", "--cache-memory-mb", "32", "--log-level", "warning"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://[\d.]+:\d+", process.stdout.readline()).group(0)
        finally:
            process.terminate()


class SomethingElse(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class BenchServe(unittest.TestCase):
    def test_it_starts_a_server_and_puts_each_figure_beside_that_without_http(self):
        small = ["--prompt-tokens", 20, "--max-tokens", 8, "--rounds", 2]
        found = figures("serve", MODEL, "--concurrency", "1,3", *small)
        for streams in (1, 3):
            rate = found[f"serve {NAME} {streams}"]
            self.assertEqual(rate["unit"], "tokens/s")
            self.assertGreater(rate["value"], 0)
            self.assertGreater(rate["limit"], 0)
            self.assertAlmostEqual(rate["share"], rate["value"] / rate["limit"])
            self.assertIn(f"serve {NAME} {streams} HTTP overhead", found)
            for what in ["TTFT first event", "TTFT first text", "ITL"]:
                p50, p99 = (found[f"serve {NAME} {streams} {what} {which}"] for which in ("P50", "P99"))
                self.assertLessEqual(p50["value"], p99["value"])
                self.assertGreater(p50["limit"], 0)
            self.assertEqual(found[f"serve {NAME} {streams} failed"]["value"], 0)

    def test_a_running_server_is_loaded_at_a_rate_too_and_with_chats(self):
        with serving("--api-key", "k", "--chat-template", str(DATA.parent / "api" / "chatml.jinja")) as url:
            small = ["--url", url, "--api-key", "k", "--prompt-tokens", 4, "--max-tokens", 6, "--rounds", 1]
            at_rate = figures("serve", *small, "--request-rate", 40, "--requests", 6)
            chats = figures("serve", *small, "--concurrency", 2, "--chat")
            refused = bench("serve", "--url", url)
        self.assertGreater(at_rate[f"serve {NAME} 40/s"]["value"], 0)
        self.assertEqual(at_rate[f"serve {NAME} 40/s"]["limit"], 240)
        self.assertEqual(at_rate[f"serve {NAME} 40/s failed"]["value"], 0)
        self.assertIsNone(chats[f"serve {NAME} 2"]["limit"])
        first, text = (chats[f"serve {NAME} 2 TTFT first {what} P50"]["value"] for what in ("event", "text"))
        self.assertLessEqual(first, text)
        self.assertEqual(chats[f"serve {NAME} 2 failed"]["value"], 0)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertRegex(refused.stderr, r"^slipstream: http://\S+/v1/models: status 401: [^\n]+\n$")

    def test_prompts_that_are_too_long_are_one_sentence(self):
        with serving() as url:
            done = bench("serve", "--url", url, "--prompt-tokens", 5000)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^slipstream: no request was answered: status 400: [^\n]*5000[^\n]*\n$")
        done = bench("serve", MODEL, "--prompt-tokens", 5000)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^slipstream: prompt and answer have 5064 tokens [^\n]+\n$")

    def test_where_nobody_serves_is_one_sentence(self):
        done = bench("serve", "--url", "http://127.0.0.1:1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^slipstream: http://127.0.0.1:1/v1/models: cannot connect to [^\n]+\n$")

    def test_a_server_of_something_else_is_one_sentence(self):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SomethingElse) as other:
            thread = threading.Thread(target=other.serve_forever)
            thread.start()
            done = bench("serve", "--url", f"http://127.0.0.1:{other.server_address[1]}")
            other.shutdown()
            thread.join()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"slipstream: http://\S+/v1/models: status 501: ")

    def test_what_does_not_go_together_is_named(self):
        url = ["--url", "http://127.0.0.1:1"]
        for arguments, said in [
            ([], "--url"),
            ([MODEL, *url], "give one of the two"),
            (["--url", "https://host"], "--url: expected http://HOST:PORT"),
            ([MODEL, "--api-key", "k"], "--api-key requires --url"),
            ([MODEL, "--concurrency", "0"], "--concurrency"),
            ([MODEL, "--request-rate", "2", "--concurrency", "2"], "--concurrency excludes --request-rate"),
            (["--dummy", "qwen3-0.6b-8bit", "--layers", "2"], "--layers: a server takes whole models"),
            ([MODEL, "--activations", "f32"], "--activations: a server has int16 alone"),
        ]:
            with self.subTest(arguments=arguments):
                done = bench("serve", *arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertRegex(done.stderr, rf"^slipstream: [^\n]*{re.escape(said)}[^\n]*\n$")


class BenchInterval(unittest.TestCase):
    def test_nothing_is_dropped_whatever_the_interval(self):
        small = ["--prompt-tokens", 20, "--max-tokens", 31, "--rounds", 2, "--streams", 3]
        found = figures("interval", MODEL, "--intervals", "1,10", *small)
        for interval, most in [(1, 1), (10, 4 / 31)]:
            self.assertGreater(found[f"interval {NAME} {interval}"]["value"], 0)
            self.assertGreater(found[f"interval {NAME} {interval}"]["limit"], 0)
            events = found[f"interval {NAME} {interval} events for a token"]
            self.assertAlmostEqual(events["limit"], most)
            self.assertLessEqual(events["value"], most)
            self.assertEqual(found[f"interval {NAME} {interval} answers with another text"]["value"], 0)

    def test_it_needs_a_model(self):
        done = bench("interval")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^slipstream: MODEL \(or --dummy\) is required\n$")


class BenchStart(unittest.TestCase):
    def test_the_start_is_measured_with_its_memory_and_its_idleness(self):
        script = DATA.parent.parent / "bench" / "start.py"
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "start.json"
            command = [sys.executable, script, PROGRAM, MODEL, "--runs", "2", "--idle-s", "1", "--json", out]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            self.assertNotIn("Traceback", done.stderr)
            found = {figure["name"]: figure for figure in json.loads(out.read_text(encoding="utf-8"))}
        self.assertGreater(found[f"start {NAME} first token"]["value"], found[f"start {NAME} first token"]["limit"])
        self.assertGreater(found[f"start {NAME} peak memory"]["value"], 1)
        self.assertGreater(found[f"start {NAME} peak memory"]["limit"], 256)
        self.assertLess(found[f"start {NAME} idle"]["value"], 20)


class BenchSimple(unittest.TestCase):
    def test_both_modes_are_measured_beside_each_other(self):
        found = figures("simple", MODEL, "--prompt-tokens", 30, "--max-tokens", 20, "--rounds", 2)
        simple, batched = found[f"simple {NAME}"], found[f"simple {NAME} batched, width 1"]
        self.assertEqual((simple["value"], simple["limit"]), (batched["limit"], batched["value"]))
        self.assertIn(f"simple {NAME} apart", found)


if __name__ == "__main__":
    unittest.main()
