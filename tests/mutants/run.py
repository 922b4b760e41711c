#!/usr/bin/env python3
"""Puts one bug at a time (mutants.py) into a copy of the sources and shows that the tests of cache, cache keys,
reasons, model digest, disk and engine catch it.

    python3 tests/mutants/run.py [--jobs N] [--worlds N] [--only WORD]

Prints a table: which program noticed what. Exit 1 when a mutant survives, when an edit's anchor is not found exactly
once, or when the sources fail without any mutant. Needs g++ (or $CXX), fmt, spdlog, xxhash and GoogleTest, and the
Rust crate as a build has left it; compiles the rest by itself, and only what the engine needs.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from mutants import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["src", "tests/simulation"]
COMMON = ["src/base/*.cc", "src/digest/*.cc", "src/sample/*.cc", "src/cache/*.cc", "src/disk/*.cc", "src/engine/*.cc",
          "src/kernels/*.cc", "src/text/detokenizer.cc"]
CRATE = ROOT / "rust/target/release/libslipstream_rust.a"
WORLD = ["tests/simulation/echo_executor.cc", "tests/simulation/plain_answer.cc", "tests/simulation/world.cc"]
MODEL = ["src/files/*.cc", "src/model/*.cc"]
GTEST = ["-lgtest", "-lgtest_main"]
PROGRAMS = {  # name: its own sources, libraries, arguments
    "cache_test": (["src/cache/*_test.cc"], GTEST, []),
    "disk_test": (["src/disk/*_test.cc"], GTEST, []),
    "cache_key_test": (["src/server/cache_key.cc", "src/server/cache_key_test.cc"], GTEST, []),
    "report_test": (["src/server/cache_report.cc", "src/server/cache_report_test.cc", "src/api/json_text.cc"], GTEST,
                    []),
    "model_digest_test": (MODEL + ["src/model/model_digest_test.cc"], GTEST, []),
    "engine_test": (["src/engine/*_test.cc"], GTEST, []),
    "simulation": (WORLD + ["tests/simulation/simulation_test.cc"], GTEST, ["--gtest_filter=-*20000*"]),
    "worlds": (WORLD + ["tests/simulation/simulation_worlds.cc"], [], None),
}
FLAGS = ["-std=c++20", "-O1", "-march=x86-64-v3", "-ffp-contract=off", "-w", "-Isrc", "-Itests/simulation",
         f'-DSLIPSTREAM_TEST_DATA="{ROOT}/tests/data"']
WIDER = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx512bf16"]  # kernels/avx512_*.cc
TIMEOUT_S = 90


def sources_of(tree, patterns):
    """The files of these patterns; tests only where a pattern asks for them."""
    found = []
    for pattern in patterns:
        files = [file.relative_to(tree).as_posix() for file in sorted(tree.glob(pattern))]
        found += [file for file in files if pattern.endswith("_test.cc") or not file.endswith("_test.cc")]
    return found


def object_of(folder, source):
    return folder / (source.replace("/", "__") + ".o")


def compile_one(tree, source, target):
    compiler = (["ccache"] if shutil.which("ccache") else []) + [os.environ.get("CXX", "g++")]
    flags = FLAGS + (WIDER if "/avx512_" in source else [])
    command = compiler + flags + ["-MMD", "-MF", str(target) + ".d", "-c", source, "-o", str(target)]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


def compile_all(tree, sources, folder, jobs):
    """None, or the first error."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(lambda source: compile_one(tree, source, object_of(folder, source)), sources):
            if result.returncode != 0:
                return result.stderr
    return None


def depends_on(base, source, files):
    words = pathlib.Path(str(object_of(base, source)) + ".d").read_text().replace("\\\n", " ").split()
    return any(file in words for file in files)


def link(program, objects, folder, base):
    own, libraries, _ = PROGRAMS[program]
    files = []
    for source in dict.fromkeys(objects["common"] + objects[program]):
        changed = object_of(folder, source)
        files.append(str(changed if changed.exists() else object_of(base, source)))
    target = folder / program
    command = [os.environ.get("CXX", "g++"), "-o", str(target)] + files + libraries + [str(CRATE), "-lfmt", "-lpthread"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{program} does not link:\n{result.stderr}")
    return target


def run_program(program, target, worlds):
    """What it noticed; empty when nothing."""
    arguments = PROGRAMS[program][2]
    if arguments is None:
        arguments = ["--worlds", str(worlds), "--seed", "1"]
    limit = ["bash", "-c", 'ulimit -v 8000000; ulimit -c 0; exec "$0" "$@"']  # a bug may eat all memory
    try:
        result = subprocess.run(limit + [str(target)] + arguments, capture_output=True, text=True, errors="replace",
                                timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return "does not end"
    if result.returncode == 0:
        return ""
    failed = list(dict.fromkeys(re.findall(r"\[  FAILED  \] (\w+\.\w+)", result.stdout)))
    if failed:
        return failed[0] + (f" and {len(failed) - 1} more" if len(failed) > 1 else "")
    world = re.search(r"world --seed (\d+)(.*)", result.stderr)
    check = re.search(r"CHECK failed: (.*)", result.stderr)
    started = re.findall(r"\[ RUN      \] (\w+\.\w+)", result.stdout)
    where = f"world {world.group(1)}{world.group(2)[:70]}" if world else (started[-1] if started else "")
    return f"{where} CHECK {check.group(1)[:60]}" if check else where or f"exit {result.returncode}"


def apply(mutant, tree):
    """Edits the tree; returns {file: what stood there}."""
    before = {}
    for file, anchor, replacement in mutant.edits:
        path = tree / file
        text = path.read_text()
        before.setdefault(file, text)
        if text.count(anchor) != 1:
            sys.exit(f"mutant '{mutant.name}': its anchor stands {text.count(anchor)} times in {file}, not once:\n"
                     f"{anchor}\nThe source has changed: change the mutant with it.")
        path.write_text(text.replace(anchor, replacement))
    return before


def restore(before, tree):
    for file, text in before.items():
        (tree / file).write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--worlds", type=int, default=3000)
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        tree, base = pathlib.Path(scratch) / "tree", pathlib.Path(scratch) / "base"
        base.mkdir()
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, tree / folder)
        mutants = [mutant for mutant in MUTANTS if options.only in mutant.name]
        for mutant in mutants:  # all anchors before anything is compiled
            restore(apply(mutant, tree), tree)
        objects = {name: sources_of(tree, own) for name, (own, _, _) in PROGRAMS.items()}
        objects["common"] = sources_of(tree, COMMON)
        sources = sorted({source for group in objects.values() for source in group})
        if error := compile_all(tree, sources, base, options.jobs):
            sys.exit(f"the sources do not compile:\n{error}")
        for program in PROGRAMS:
            if noticed := run_program(program, link(program, objects, base, base), options.worlds):
                sys.exit(f"without any mutant, {program} fails: {noticed}")

        survivors = []
        for number, mutant in enumerate(mutants, 1):
            work = pathlib.Path(scratch) / "work"
            work.mkdir()
            before = apply(mutant, tree)
            changed = [source for source in sources if depends_on(base, source, before)]
            if error := compile_all(tree, changed, work, options.jobs):
                sys.exit(f"mutant '{mutant.name}' does not compile:\n{error}")
            print(f"{number:3} {'*' if mutant.listed else ' '} {mutant.name}", flush=True)
            if mutant.note:
                print(f"        ({mutant.note})")
            noticed = {}
            for program in PROGRAMS:
                noticed[program] = run_program(program, link(program, objects, work, base), options.worlds)
            for program, what in noticed.items():
                if what:
                    print(f"        {program:<14} {what}", flush=True)
            if not any(noticed.values()):
                print("        SURVIVES", flush=True)
                survivors.append(mutant.name)
            restore(before, tree)
            shutil.rmtree(work)

    listed = sum(mutant.listed for mutant in mutants)
    caught = len(mutants) - len(survivors)
    print(f"\n{len(mutants)} mutants ({listed} of the list, marked *), {caught} caught, {len(survivors)} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
