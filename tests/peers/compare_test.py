#!/usr/bin/env python3
"""bench/peers/compare.py with made-up programs: what it asks of whom, whose turn it is, and its ratios."""

import json
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).resolve().parents[2] / "bench/peers/compare.py"
SHAPE = "smollm2-135m-q4_1"

# Each adds its command line to FOLDER/calls, and says a number that can be foreseen.
SLIPSTREAM = """\
figures = [{"name": "batch", "value": 60.0, "unit": "tokens/s"}, {"name": "step", "value": 16.0, "unit": "ms"}]
print(json.dumps(figures, indent=1))
"""
LLAMA = """\
at = words.index("-npl") + 1
for streams in words[at].split(","):
    tokens = int(words[words.index("-ntg") + 1])
    print(json.dumps({"pl": int(streams), "tg": tokens, "speed_pp": 1000, "speed_tg": 30}))
"""
SCRIPT = """\
print("a line of a log")
print(json.dumps({"values": [10, 50, 40]}))
"""


class Compare(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        (self.folder / "models").mkdir()
        (self.folder / "models" / f"{SHAPE}.gguf").touch()
        self.install("slipstream", SLIPSTREAM)
        self.install("llama.cpp/bin/llama-batched-bench", LLAMA)
        self.install("openvino/bin/python", SCRIPT)
        self.install("ik/bin/python", SCRIPT)

    def install(self, name, body):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        calls = self.folder / "calls"
        head = f"#!{sys.executable}\nimport json, sys\nwords = sys.argv\n"
        note = f"with open({str(calls)!r}, 'a') as calls: calls.write(json.dumps([{name!r}, *words[1:]]) + '\\n')\n"
        path.write_text(head + note + body)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run_compare(self, *options):
        command = [sys.executable, str(COMPARE), str(self.folder), "--program", str(self.folder / "slipstream")]
        return subprocess.run([*command, "--shape", SHAPE, *options], capture_output=True, text=True, check=False)

    def figures(self, *options):
        done = self.run_compare("--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {figure["name"].removeprefix(f"peers {SHAPE} "): figure["value"] for figure in json.loads(done.stdout)}

    def calls(self):
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def test_ratios_are_to_the_best_and_to_llama(self):
        figures = self.figures("--only", "slipstream,llama.cpp,openvino", "--cell", "5", "--rounds", "1")
        self.assertEqual(
            figures,
            {
                "5 slipstream": 60,
                "5 llama.cpp": 30,
                "5 openvino": 40,
                "5 slipstream over the best, openvino": 1.5,
                "5 slipstream over llama.cpp": 2,
            },
        )

    def test_a_folder_for_avx2_hides_the_rest_from_everybody(self):
        say = f"import os\nopen({str(self.folder / 'seen')!r}, 'a').write(os.environ.get('LD_PRELOAD', '-') + ' ')\n"
        self.install("slipstream", say + SLIPSTREAM)
        self.install("openvino/bin/python", say + SCRIPT)
        for library in (None, self.folder / "avx2_only.so"):
            if library:
                library.touch()
            self.figures("--only", "slipstream,openvino", "--cell", "1", "--rounds", "1")
        expected = ["-", "-", str(library), str(library)]
        self.assertEqual((self.folder / "seen").read_text().split(), expected)

    def test_each_cell_asks_for_its_work(self):
        self.figures("--only", "slipstream,llama.cpp,openvino", "--cell", "16,prefill", "--rounds", "1")
        ours, llama, openvino, ours_prefill, llama_prefill, openvino_prefill = (" ".join(call) for call in self.calls())
        self.assertIn("bench batch", ours)
        self.assertIn("--batch 16", ours)
        self.assertIn("-npp 256 -ntg 64 -npl 16", llama)
        self.assertIn("--prompt 256 --tokens 64 --streams 16", openvino)
        self.assertIn("bench prefill", ours_prefill)
        self.assertIn("--prompt 512", ours_prefill)
        self.assertIn("-npp 512 -ntg 1 -npl 1,1,1", llama_prefill)
        self.assertIn("--prompt 512 --tokens 0 --streams 1", openvino_prefill)
        for call in self.calls():
            self.assertEqual(call[call.index("-t" if "-t" in call else "--threads") + 1], "2")

    def test_prefill_of_llama_is_not_its_speed_of_steps(self):
        figures = self.figures("--only", "slipstream,llama.cpp", "--cell", "prefill", "--rounds", "1")
        self.assertEqual(figures["prefill llama.cpp"], 1000)

    def test_programs_take_turns_and_nobody_is_always_the_first(self):
        self.figures("--only", "slipstream,llama.cpp,openvino", "--cell", "1", "--rounds", "2")
        a, b, c = "slipstream", "llama.cpp/bin/llama-batched-bench", "openvino/bin/python"
        self.assertEqual([call[0] for call in self.calls()], [a, b, c, b, c, a])

    def test_a_program_that_fails_is_told_and_left_out(self):
        self.install("openvino/bin/python", "sys.exit('no memory left')")
        done = self.run_compare("--only", "slipstream,llama.cpp,openvino", "--cell", "1", "--rounds", "1")
        self.assertIn("no memory left", done.stderr)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2.00", done.stdout)

    def test_a_record_is_shown_again_as_medians(self):
        record = self.folder / "record"
        lines = [("slipstream", 9), ("slipstream", 1), ("slipstream", 2), ("llama.cpp", 4)]
        rows = [{"shape": SHAPE, "cell": "1", "program": program, "value": value} for program, value in lines]
        record.write_text("".join(json.dumps(row) + "\n" for row in rows))
        figures = self.figures("--table", "--record", str(record))
        self.assertEqual(figures["1 slipstream"], 2)
        self.assertEqual(figures["1 slipstream over llama.cpp"], 0.5)

    def test_what_is_measured_is_added_to_the_record(self):
        record = self.folder / "record"
        for _ in range(2):
            self.figures("--only", "slipstream", "--cell", "1", "--rounds", "1", "--record", str(record))
        self.assertEqual(len(record.read_text().splitlines()), 2)

    def test_the_prefix_stands_before_each_command(self):
        figures = self.figures("--only", "llama.cpp", "--cell", "1", "--rounds", "1", "--prefix", "env A=1")
        self.assertEqual(figures, {"1 llama.cpp": 30})
        done = self.run_compare("--only", "llama.cpp", "--cell", "1", "--rounds", "1", "--prefix", "false")
        self.assertEqual(done.returncode, 1)

    def test_what_is_not_installed_is_named_first(self):
        (self.folder / "llama.cpp/bin/llama-batched-bench").unlink()
        done = self.run_compare("--only", "slipstream,llama.cpp", "--cell", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("llama.cpp: ", done.stderr)
        self.assertFalse((self.folder / "calls").exists())

    def test_unknown_names_are_refused(self):
        self.assertEqual(self.run_compare("--cell", "7").returncode, 2)
        self.assertEqual(self.run_compare("--only", "nobody").returncode, 2)


if __name__ == "__main__":
    unittest.main()
