#!/usr/bin/env python3
"""`slipstream make-dummy` and `--dummy` as a person types them.

python3 tests/command_line/make_dummy_test.py PROGRAM
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.request

PROGRAM = sys.argv.pop(1)
SHAPE = "qwen3-0.6b-8bit"  # the smallest, 633 MB


def run(*arguments):
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


class MakeDummy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def logits(self, *model):
        tokens = self.folder / "tokens.json"
        tokens.write_text("[[1, 2, 3, 70000], [258]]")
        out = self.folder / "logits.safetensors"
        done = run("logits", *model, "--tokens", tokens, "--out", out, "--threads", "2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return out.read_bytes()

    def test_the_folder_and_the_dummy_in_memory_give_the_same_logits(self):
        model = self.folder / "model"
        done = run("make-dummy", SHAPE, model, "--seed", "5")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        names = {path.name for path in model.iterdir()}
        self.assertEqual(
            names,
            {
                "chat_template.jinja",
                "config.json",
                "generation_config.json",
                "model.safetensors",
                "model.safetensors.index.json",
                "tokenizer.json",
                "tokenizer_config.json",
            },
        )
        config = json.loads((model / "config.json").read_text())
        self.assertEqual(config["quantization"], config["quantization_config"])
        self.assertEqual(config["quantization"], {"group_size": 64, "bits": 8, "mode": "affine"})
        self.assertEqual(config["eos_token_id"], [258])
        of_folder = self.logits(model)
        self.assertEqual(of_folder, self.logits("--dummy", f"{SHAPE}:5"))
        self.assertNotEqual(of_folder, self.logits("--dummy", SHAPE))

        done = run("make-dummy", SHAPE, model)
        self.assertEqual((done.returncode, done.stderr), (1, f"slipstream: '{model}' is not empty\n"))

    def test_a_dummy_is_served(self):
        command = [PROGRAM, "serve", "--dummy", SHAPE, "--port", "0", "--cache-memory-mb", "64", "--threads", "2"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        facts = process.stdout.readline()
        self.assertIn(f": {SHAPE}, 2 threads, ", facts)
        address = facts.rsplit(" ", 1)[1].strip()
        body = {"model": SHAPE, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0}
        request = urllib.request.Request(
            f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            choice = json.load(answer)["choices"][0]
        self.assertNotEqual(choice["message"]["content"], "")

    def test_mistakes_are_one_line_and_2(self):
        for arguments in [
            ["make-dummy"],
            ["make-dummy", SHAPE],
            ["make-dummy", "gpt-5", self.folder / "new"],
            ["make-dummy", SHAPE, self.folder / "new", "--seed", "x"],
            ["serve", "--dummy", "gpt-5"],
            ["serve", "--dummy", SHAPE, "model"],
            ["eval", "perplexity", "--dummy", SHAPE],
            ["logits", "--tokens", "t", "--out", "o"],
            ["logits", "model", "--dummy", SHAPE, "--tokens", "t", "--out", "o"],
            ["logits", "--dummy", "gpt-5", "--tokens", "t", "--out", "o"],
            ["inspect"],
            ["inspect", "--dummy", f"{SHAPE}:x"],
        ]:
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertRegex(done.stderr, r"^slipstream: [^\n]+\n$")
        self.assertFalse((self.folder / "new").exists())

    def test_a_dummy_is_inspected(self):
        done = run("inspect", "--dummy", "qwen3-30b-a3b-4bit", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("qwen3_moe", done.stdout)


if __name__ == "__main__":
    unittest.main()
