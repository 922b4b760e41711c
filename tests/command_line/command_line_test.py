#!/usr/bin/env python3
"""`slipstream` as a person types it: what it says, where, and with which exit status.

python3 tests/command_line/command_line_test.py PROGRAM DATA_FOLDER
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.request

DATA = pathlib.Path(sys.argv.pop(2))
PROGRAM = sys.argv.pop(1)
MODEL = DATA / "oracle" / "llama-untied-bf16"
CHATML = DATA.parent / "api" / "chatml.jinja"


def run(*arguments, **environment):
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def health(connection):
    """The status of /health, asked on an open connection; empty when the server has closed it."""
    try:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(4096).decode()[9:12]
    except ConnectionError:
        return ""


class CommandLine(unittest.TestCase):
    def test_version(self):
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^slipstream \d+\.\d+\.\d+\n$")
        self.assertEqual(done.stderr, "")

    def test_help_groups_and_explains(self):
        done = run("serve", "--help")
        self.assertEqual(done.returncode, 0)
        for heading in ["Batching:", "KV cache:", "Server:", "Machine:"]:
            self.assertIn(f"\n{heading}\n", done.stdout)
        said = " ".join(done.stdout.split())
        self.assertIn("Usage: slipstream serve", said)
        self.assertIn("the KV cache is always paged", said)
        self.assertIn("for running and remembered tokens together", said)
        self.assertLess(max(map(len, done.stdout.split("\n"))), 112)

    def test_nothing_to_do_is_help_and_2(self):
        done = run()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        for command in ["serve", "inspect", "logits", "eval"]:
            self.assertIn(f"  {command} ", done.stderr)
        done = run("serve")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("Usage: slipstream serve [OPTIONS] [MODEL]", done.stderr)

    def test_every_mistake_is_named(self):
        wrong = "serve --port 99999 --foo 3 --no-auth --api-key k --cache-disk-mb 5 model --threads none"
        done = run(*wrong.split())
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        lines = done.stderr.splitlines()
        self.assertTrue(all(line.startswith("slipstream: ") for line in lines), done.stderr)
        for name in [
            "--foo: no such option",
            "--port: ",
            "--cache-disk-mb: needs --cache-dir",
            "--threads: ",
            "--api-key, --no-auth: ",
        ]:
            self.assertEqual(sum(line.startswith(f"slipstream: {name}") for line in lines), 1, name)

    def test_an_option_without_its_value_is_named(self):
        done = run("serve", "model", "--port")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"^slipstream: --port: expected .*\n$")

    def test_other_commands_name_what_is_wrong(self):
        alone = [["frob"], ["logits"], ["inspect"], ["eval"]]
        for arguments in [*alone, ["eval", "frob"], ["logits", "x", "--isa", "neon"]]:
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertRegex(done.stderr, r"^slipstream: [^\n]+\n$")

    def test_a_model_that_is_not_there_is_one_line_and_1(self):
        for model in ["no/such/folder", "someone/some-model", str(DATA)]:
            for command in [["serve", model, "--port", "0"], ["inspect", model], ["inspect", model, "--json"]]:
                done = run(*command)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertRegex(done.stderr, r"^slipstream: [^\n]+\n$")

    def test_an_old_processor_is_told_so_in_one_line(self):
        done = run("--version", SLIPSTREAM_PRETEND_OLD_CPU="1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^slipstream: this processor is too old: it lacks AVX2; [^\n]+\n$")
    def test_bench_says_what_it_measured(self):
        figures = json.loads(run("bench", "batch", "--batch", "1,3,5", "--context", "64", "--json").stdout)
        self.assertEqual([figure["name"] for figure in figures],
                         ["batch small ctx 64 1", "batch small ctx 64 3", "batch small ctx 64 5", "step small ctx 64 1",
                          "step small ctx 64 3", "step small ctx 64 5", "speed-up small ctx 64 of 5 over 1"])
        self.assertEqual({tuple(figure) for figure in figures}, {("name", "value", "unit", "limit", "share")})
        for figure in figures:
            self.assertGreater(figure["value"], 0)
            self.assertIsNone(figure["limit"])  # weights in a cache: how fast memory is says nothing
        self.assertIn("prefill small 40 ", run("bench", "prefill", "--prompt", "40").stdout)
        of_model = run("bench", "batch", "--context", "64", "--batch", "1,2", MODEL)  # not a third number
        self.assertIn(f"batch {MODEL.name} ctx 64 2 ", of_model.stdout, of_model.stderr)
        self.assertIn("decode small ctx 512 ", run("bench", "decode").stdout)
        machine = json.loads(run("bench", "machine", "--json").stdout)
        self.assertEqual([figure["unit"] for figure in machine], ["GB/s", "", "bytes", "TOPS", "TFLOP/s"])
        for figure in (machine[0], machine[3], machine[4]):
            self.assertGreater(figure["value"], 0)

    def test_inspect_is_a_table_for_people_and_an_object_for_programs(self):
        done = run("inspect", MODEL)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^family +llama: 2 layers, ")
        self.assertRegex(done.stdout, r"(?m)^attention +BF16 ")
        done = run("inspect", MODEL, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        said = json.loads(done.stdout)
        self.assertEqual((said["model"], said["kv"]["block_tokens"]), ("llama-untied-bf16", 64))


class HubNames(unittest.TestCase):
    """A model by its name on the hub, from a cache as `hf download` leaves it: bytes among the blobs, links to them."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.cache = pathlib.Path(temporary.name)
        self.repository = self.cache / "models--some-org--A-Model"
        self.snapshot = self.repository / "snapshots" / ("0123456789" * 4)
        self.snapshot.mkdir(parents=True)
        (self.repository / "blobs").mkdir()
        (self.repository / "refs").mkdir()
        (self.repository / "refs" / "main").write_text(self.snapshot.name)
        for number, file in enumerate(sorted(MODEL.glob("*.*"))):
            (self.repository / "blobs" / f"{number:040x}").write_bytes(file.read_bytes())
            (self.snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")

    def ask(self, *arguments):
        return run(*arguments, HF_HUB_CACHE=str(self.cache))

    def logits_of(self, model):
        (self.cache / "in.json").write_text("[[5, 6, 7]]")
        out = self.cache / "out.safetensors"
        done = self.ask("logits", model, "--tokens", self.cache / "in.json", "--out", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return out.read_bytes()

    def test_every_command_takes_the_name(self):
        self.assertEqual(self.logits_of("some-org/A-Model"), self.logits_of(str(MODEL)))
        for name in ["some-org/A-Model", f"some-org/A-Model@{self.snapshot.name}"]:
            done = self.ask("inspect", name, "--json")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(json.loads(done.stdout)["model"], "some-org/A-Model")

    def test_clients_call_the_model_by_its_name_on_the_hub(self):
        command = [PROGRAM, "serve", "some-org/A-Model", "--port", "0", "--cache-memory-mb", "32"]
        environment = {**os.environ, "HF_HUB_CACHE": str(self.cache)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        facts = process.stdout.readline()
        self.assertIn(": some-org/A-Model, ", facts)
        address = re.search(r"http://\S+", facts).group(0)
        with urllib.request.urlopen(f"{address}/v1/models", timeout=60) as answer:
            self.assertEqual([model["id"] for model in json.load(answer)["data"]], ["some-org/A-Model"])

    def test_what_is_not_there_or_not_complete_says_in_one_line_how_to_get_it(self):
        (self.snapshot / "model-00002-of-00003.safetensors").unlink()
        for command in ["serve", "inspect"]:
            done = self.ask(command, "some-org/Another")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"^slipstream: [^\n]*`hf download some-org/Another`[^\n]*\n$")
            self.assertIn(f"({self.cache})", done.stderr)
            done = self.ask(command, "some-org/A-Model")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(
                done.stderr, r"^slipstream: [^\n]*is not complete, it lacks model-00002-of-00003[^\n]*\n$"
            )


class Serving(unittest.TestCase):
    def serve(self, *options, descriptors=None):
        command = [PROGRAM, "serve", str(MODEL), "--cache-memory-mb", "32", "--chat-template", str(CHATML), *options]
        limit = descriptors and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, descriptors))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process, process.stdout.readline()

    def test_one_line_of_facts_a_line_to_try_and_0_after_sigterm(self):
        process, facts = self.serve("--port", "0", "--continuous-batching", "--max-num-seqs", "3", "--threads", "2")
        self.assertRegex(
            facts,
            r"^slipstream \S+: llama-untied-bf16, 2 threads, \w+, weights \d+ MB, KV \d+ blocks of 64 tokens = \d+ MB, "
            r"max_model_len \d+, up to 3 requests together, http://127\.0\.0\.1:\d+\n$",
        )
        words = shlex.split(process.stdout.readline())
        self.assertEqual(words[:3], ["try:", "curl", "-s"])
        body = json.loads(words[words.index("-d") + 1])
        self.assertEqual(body["messages"][0]["content"], "What is the capital of France?")
        body["max_tokens"] = 4
        request = urllib.request.Request(words[3], json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.assertEqual(json.load(answer)["usage"]["completion_tokens"], 4)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 0)

    def test_a_log_level_of_debug_writes_a_line_for_each_step(self):
        process, facts = self.serve("--port", "0", "--log-level", "debug")
        body = json.dumps({"model": "llama-untied-bf16", "prompt": [5, 6, 7], "max_tokens": 3, "ignore_eos": True})
        address = re.search(r"http://\S+", facts).group(0)
        urllib.request.urlopen(f"{address}/v1/completions", body.encode(), timeout=60).read()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        steps = re.findall(
            r"debug step (\d+)  rows (\d+) = (\d+) seqs \+ (\d+) prompt  kv (\d+)/(\d+)  wait 0  [\d.]+ ms  out 1\n",
            errors,
        )
        self.assertEqual(
            [row[:4] for row in steps], [("1", "3", "0", "3"), ("2", "1", "1", "0"), ("3", "1", "1", "0")]
        )

    def test_as_many_files_as_it_may_open_and_no_more_connections_than_that(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        for limits, connections in [((64, 64), 32), ((64, min(most, 8192)), None)]:
            process, facts = self.serve("--port", "0", descriptors=limits)
            port = int(re.search(r"http://[\d.]+:(\d+)", facts).group(1))
            with contextlib.ExitStack() as open_ones:
                opened = (socket.create_connection(("127.0.0.1", port), 30) for _ in range(40))
                sockets = [open_ones.enter_context(one) for one in opened]
                answers = [health(one) for one in sockets]
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
            if connections:
                self.assertRegex(errors, rf"may open only 64 files, so {connections} connections .*ulimit -n")
                self.assertGreaterEqual(answers.count("200"), connections)
                self.assertLessEqual(set(answers), {"200", "429", ""})  # too many: told so, or closed to make room
            elif most >= 8192:
                self.assertNotIn("files", errors)
                self.assertEqual(answers, ["200"] * 40)

    def test_a_port_that_is_taken_is_one_line_and_1(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = run("serve", MODEL, "--port", port)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, rf"^slipstream: [^\n]*{port}[^\n]*\n$")

    def test_numbers_that_do_not_fit_the_model_are_refused_with_the_option_to_change(self):
        for options, name in [
            (["--max-model-len", "1000000"], "--max-model-len"),
            (["--cache-memory-mb", "1000000000"], "--cache-memory-mb"),
        ]:
            done = run("serve", MODEL, "--port", "0", *options)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, rf"^slipstream: [^\n]*{name}[^\n]*\n$")


if __name__ == "__main__":
    unittest.main()
