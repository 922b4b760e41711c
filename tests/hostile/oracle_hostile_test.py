#!/usr/bin/env python3
"""The wrong checkpoints that come with the oracles (make_hostile.py), through the program: each ends
`slipstream logits` with exit status 1 and one line, within 2 s of processor time and 1 GiB of address space.

python3 tests/hostile/oracle_hostile_test.py PROGRAM

SLIPSTREAM_DATA names the folder with oracle/; without it the test is skipped (77). With HOSTILE_TABLE=FILE in the
environment the table kind -> line goes there.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(sys.argv[1])
# A good checkpoint of one file in bf16, and its twin of MLX: every family, where it is there and is read.
PAIRS = [
    ("qwen3-bf16", "qwen3-mlx-4bit-g64"),
    ("llama-bf16", "llama-mlx-4bit-g64"),
    ("qwen2-bf16", "qwen2-mlx-4bit-g64"),
    ("qwen3-bf16", "qwen3-moe-mlx-4bit-g64"),  # experts in bf16 are in several files there
]
SANITIZED = b"__asan_init" in PROGRAM.read_bytes()
MOST_SECONDS = 20 if SANITIZED else 2  # of the processor: a busy machine makes nobody's file slow
MOST_BYTES = 1 << 30


def limited():
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def logits(model, work):
    command = [PROGRAM, "logits", model, "--tokens", work / "tokens.json", "--out", work / "out.safetensors"]
    command += ["--threads", "2"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=limited, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fault_of(done, seconds, model):
    """What is not as it must be, or None."""
    if done.returncode != 1:
        return f"ended with {done.returncode}: {done.stderr!r}"
    if done.stderr.count("\n") != 1 or not done.stderr.endswith("\n") or done.stdout:
        return f"said {done.stderr!r}, {done.stdout!r}, expected one line on standard error"
    if not done.stderr.startswith(f"slipstream: {model}: "):
        return f"said {done.stderr!r}, expected the checkpoint's path first"
    if seconds > MOST_SECONDS:
        return f"took {seconds:.1f} s of the processor, expected at most {MOST_SECONDS}"
    return None


def main():
    data = os.environ.get("SLIPSTREAM_DATA")
    script = pathlib.Path(data or "/nonexistent") / "oracle/make_hostile.py"
    if not script.exists():
        print("SKIPPED: SLIPSTREAM_DATA names no folder with oracle/make_hostile.py")
        return 77
    faults, lines, count = [], [], 0
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        (work / "tokens.json").write_text("[[5,6,7]]")
        for good, twin in PAIRS:
            bases = [script.parent / name for name in (good, twin)]
            out = work / twin
            subprocess.run([sys.executable, script, *bases, out], stdout=subprocess.DEVNULL, check=True)
            for base in bases:
                done, _ = logits(base, work)
                if done.returncode != 0:
                    faults.append(f"{base.name} itself: {done.stderr!r}")
            for folder in sorted(out.iterdir()):
                done, seconds = logits(folder, work)
                count += 1
                fault = fault_of(done, seconds, folder)
                if fault is not None:
                    faults.append(f"{twin}/{folder.name} ({(folder / 'WRONG.txt').read_text().strip()}): {fault}")
                said = done.stderr.strip().replace(f"{folder}/", "").removeprefix(f"slipstream: {folder}: ")
                lines.append(f"{good} and {twin} | {folder.name} | {said}")
    if "HOSTILE_TABLE" in os.environ:
        pathlib.Path(os.environ["HOSTILE_TABLE"]).write_text("\n".join(lines) + "\n")
    for fault in faults:
        print(fault)
    print(f"{count} wrong checkpoints, {len(faults)} faults")
    return 1 if faults or count < 35 else 0


if __name__ == "__main__":
    sys.exit(main())
