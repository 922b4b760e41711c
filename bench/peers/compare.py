#!/usr/bin/env python3
"""Slipstream beside llama.cpp, ik_llama.cpp and OpenVINO GenAI, on the same files, in turns.

    bench/peers/install.sh FOLDER
    python3 bench/peers/compare.py FOLDER [--program build/release/slipstream]

FOLDER holds the peers and the models, which are written when they are missing. Each measurement is a process of its
own; they take turns, and a figure is the median of all rounds. README.md says what the cells mean.
"""

import argparse
import collections
import itertools
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

from shapes import SHAPES

HERE = pathlib.Path(__file__).resolve().parent
CONTEXT = 256  # tokens of each prompt
TOKENS = 64  # of each answer
PREFILL = 512
SLIPSTREAM_STEPS = 36  # of `slipstream bench batch`
CELLS = {"1": 1, "5": 5, "16": 16, "prefill": 0}  # streams; 0: one prompt's speed
DEFAULT_SHAPES = ["qwen3-0.6b-q8_0", "llama-3.2-1b-q4_0", "qwen2.5-1.5b-q4_0", "smollm2-135m-q4_1"]
TIMEOUT_S = 300


# ---- one measurement: command line, and output -> tokens a second ------------------------------------------


def slipstream_command(given, model, streams):
    if streams == 0:
        what, sizes = "prefill", ["--prompt", PREFILL]
    else:
        # It measures fewer steps: they begin where their middle is that of the others'.
        what, sizes = "batch", ["--batch", streams, "--context", CONTEXT + TOKENS // 2 - SLIPSTREAM_STEPS // 2]
    words = [given.program, "bench", what, model, *sizes, "--threads", given.threads, "--json"]
    return [str(word) for word in words]


def slipstream_values(text):
    figures = json.loads(text[text.index("[") :])
    return [figure["value"] for figure in figures if figure["unit"] == "tokens/s"][:1]


def llama_command(given, model, streams):
    if streams == 0:
        # (Without a token after it the speed of tokens would be no number.)
        sizes = ["-npp", PREFILL, "-ntg", 1, "-npl", "1,1,1", "-c", 2 * PREFILL]
    else:
        # -pps: the prompt is computed once and then copied, so each stream has K and V of its own all the same.
        sizes = ["-npp", CONTEXT, "-ntg", TOKENS, "-npl", streams, "-pps", "-c", streams * (CONTEXT + TOKENS + 64)]
    command = [given.folder / "llama.cpp/bin/llama-batched-bench", "-m", model, "-t", given.threads, "-fa", "on"]
    return [str(word) for word in [*command, "-b", 2048, "-ub", 512, "--output-format", "jsonl", *sizes]]


def llama_values(text):
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [row["speed_tg"] if row["tg"] == TOKENS else row["speed_pp"] for row in rows]


def script_command(script, environment, *options, library=None):
    """library: of an ik_llama.cpp that the package shall use in place of its own."""

    def command(given, model, streams):
        sizes = ["--prompt", PREFILL, "--tokens", 0, "--streams", 1, "--repeat", 3]
        if streams:
            sizes = ["--prompt", CONTEXT, "--tokens", TOKENS, "--streams", streams, "--repeat", 1]
        python = given.folder / environment / "bin/python"
        words = ["env", f"IK_LLAMA_CPP_LIB_PATH={given.folder / library}"] if library else []
        words += [python, HERE / script, model, "--threads", given.threads, *sizes, *options]
        return [str(word) for word in words]

    return command


def script_values(text):
    return json.loads(text.splitlines()[-1])["values"]


# name -> (command, reads its output, what must be installed)
IK_LIBRARY = "ik_llama.cpp/src/libllama.so"
PROGRAMS = {
    "slipstream": (slipstream_command, slipstream_values, None),
    "llama.cpp": (llama_command, llama_values, "llama.cpp/bin/llama-batched-bench"),
    "ik_llama.cpp": (script_command("peer_ik_llama.py", "ik", library=IK_LIBRARY), script_values, IK_LIBRARY),
    "ik_llama.cpp-wheel": (script_command("peer_ik_llama.py", "ik"), script_values, "ik"),
    "openvino": (script_command("peer_openvino.py", "openvino"), script_values, "openvino"),
}
DEFAULT_PROGRAMS = ["slipstream", "llama.cpp", "ik_llama.cpp", "openvino"]


# ---- measuring in turns ------------------------------------------------------------------------------------


def measure(given, program, shape, cell):
    """Tokens a second; None: it failed, and why is told."""
    command, values, _ = PROGRAMS[program]
    words = given.prefix + command(given, given.folder / "models" / f"{shape}.gguf", CELLS[cell])
    begin = time.monotonic()
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as fault:
        print(fault, file=sys.stderr)
        return None
    try:
        value = statistics.median(values(done.stdout))
    except (ValueError, LookupError, statistics.StatisticsError):
        print(f"{shlex.join(words)}: exit status {done.returncode}\n{done.stderr.strip()[-2000:]}", file=sys.stderr)
        return None
    seconds = time.monotonic() - begin
    print(f"{shape} {cell:>7} {program:<18} {value:8.1f} tokens/s  ({seconds:.0f} s)", file=sys.stderr)
    return value


def measure_all(given):
    """The rows of a record, and how many measurements failed."""
    rows, failed = [], 0
    for shape, cell, turn in itertools.product(given.shape, given.cell, range(given.rounds)):
        first = turn % len(given.only)  # nobody is always the first
        for program in given.only[first:] + given.only[:first]:
            value = measure(given, program, shape, cell)
            if value is None:
                failed += 1
                continue
            rows.append({"shape": shape, "cell": cell, "program": program, "value": value})
            keep(given.record, rows[-1])
    return rows, failed


def keep(path, row):
    if path is not None:
        with path.open("a") as record:
            record.write(json.dumps(row) + "\n")


def write_missing_models(given):
    missing = [name for name in given.shape if not (given.folder / "models" / f"{name}.gguf").exists()]
    if missing:
        writer = [given.folder / "writer/bin/python", HERE / "write_models.py", given.folder / "models", *missing]
        subprocess.run(writer, check=True, stdout=sys.stderr)


# ---- the table ---------------------------------------------------------------------------------------------


def medians(rows):
    """(shape, cell) -> {program: tokens a second}, in the order of the tables above."""
    values = collections.defaultdict(list)
    for row in rows:
        values[row["shape"], row["cell"], row["program"]].append(row["value"])
    table = {}
    for shape in SHAPES:
        for cell in CELLS:
            of = {name: statistics.median(values[shape, cell, name]) for name in PROGRAMS if values[shape, cell, name]}
            if of:
                table[shape, cell] = of
    return table


def ratios(of):
    """Slipstream's to the best of the others, the best one's name, and to llama.cpp alone; None where there is none."""
    others = {name: value for name, value in of.items() if name != "slipstream"}
    if "slipstream" not in of or not others:
        return None, None, None
    best = max(others, key=others.get)
    alone = of["slipstream"] / of["llama.cpp"] if "llama.cpp" in of else None
    return of["slipstream"] / others[best], best, alone


def print_table(table):
    programs = [name for name in PROGRAMS if any(name in of for of in table.values())]
    print(f"tokens/s; prompts of {CONTEXT}, answers of {TOKENS} tokens; prefill: one prompt of {PREFILL}")
    columns = [f"{name:>{len(name) + 3}}" for name in programs]
    print(f"{'':<18}{'streams':>8}{''.join(columns)}   ÷ best of others   ÷ llama.cpp")
    number = lambda value, width, digits: f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"
    for (shape, cell), of in table.items():
        best, best_name, alone = ratios(of)
        values = "".join(number(of.get(name), len(name) + 3, 1) for name in programs)
        print(f"{shape:<18}{cell:>8}{values}{number(best, 7, 2)} {best_name or '':<12}{number(alone, 13, 2)}")


def print_json(table):
    """As `slipstream bench` writes its figures."""
    figures = []

    def add(name, value, unit):
        figures.append({"name": name, "value": value, "unit": unit, "limit": None, "share": None})

    for (shape, cell), of in table.items():
        name = f"peers {shape} {cell}"
        for program, value in of.items():
            add(f"{name} {program}", value, "tokens/s")
        best, best_name, alone = ratios(of)
        if best:
            add(f"{name} slipstream over the best, {best_name}", best, "x")
        if alone:
            add(f"{name} slipstream over llama.cpp", alone, "x")
    print(json.dumps(figures, indent=1))


# ---- the command line --------------------------------------------------------------------------------------


def names(known):
    def read(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return chosen

    return read


def read_command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="of install.sh")
    parser.add_argument("--program", default="build/release/slipstream", help="Slipstream (%(default)s)")
    parser.add_argument("--only", type=names(PROGRAMS), default=DEFAULT_PROGRAMS, metavar="NAME,...",
                        help=f"of {', '.join(PROGRAMS)} (default: {', '.join(DEFAULT_PROGRAMS)})")
    parser.add_argument("--shape", type=names(SHAPES), default=DEFAULT_SHAPES, metavar="SHAPE,...",
                        help=f"of {', '.join(SHAPES)} (default: {', '.join(DEFAULT_SHAPES)})")
    parser.add_argument("--cell", type=names(CELLS), default=list(CELLS), metavar="CELL,...",
                        help=f"of {', '.join(CELLS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of each program (%(default)s)")
    parser.add_argument("--prefix", type=shlex.split, default=[], metavar="WORDS",
                        help='put before each command, as "taskset -c 0,1"')
    parser.add_argument("--record", type=pathlib.Path, help="every measurement is added to this file, a line each")
    parser.add_argument("--table", action="store_true", help="measure nothing, show what stands in --record")
    parser.add_argument("--json", action="store_true", help="a list of objects: name, value, unit, limit, share")
    given = parser.parse_args()
    given.folder = given.folder.resolve()
    avx2_only = given.folder / "avx2_only.so"
    if avx2_only.exists():  # of install.sh --avx2
        given.prefix = ["env", f"LD_PRELOAD={avx2_only}", *given.prefix]
    if given.table and given.record is None:
        parser.error("--table shows a --record")
    return given


def check_installed(given):
    for name in given.only:
        wanted = PROGRAMS[name][2]
        there = pathlib.Path(given.program) if wanted is None else given.folder / wanted
        if not there.exists():
            sys.exit(f"{name}: {there} is missing; bench/peers/README.md says how to make it")


def main():
    given, failed = read_command_line(), 0
    if given.table:
        rows = [json.loads(line) for line in given.record.read_text().splitlines()]
    else:
        check_installed(given)
        write_missing_models(given)
        rows, failed = measure_all(given)
    table = medians(rows)
    print_json(table) if given.json else print_table(table)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
