"""Rules on what the compiler made: the objects named in compile_commands.json, read by nm and objdump."""

import json
import pathlib
import re
import shlex
import subprocess

import spill_rules

# libm differs from machine to machine and from version to version (ARCHITECTURE.md, one arithmetic).
LIBM = re.compile(
    r"(_ZGV\w+_|__)?(exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|sin|cos|sincos|tan|"
    r"sinh|cosh|tanh|asin|acos|atan|atan2|cbrt|erf)"
    r"(f|l|f32x?|f64x?|f128)?(_finite)?"
)
WITHOUT_LIBM = {"kernels", "model", "sample"}
BASELINE = {"x86-64", "x86-64-v2", "x86-64-v3"}
# Runs on every processor, before anything is known about it.
PLAIN_SOURCE = "src/app/cpu_check.cc"


class BuiltObject:
    def __init__(self, source, path, flags):
        self.source = source  # "src/kernels/reference.cc"
        self.path = path
        self.flags = flags

    @property
    def room(self):
        parts = self.source.split("/")
        return parts[1] if parts[0] == "src" and len(parts) > 2 and not self.source.endswith("_test.cc") else None

    def symbols(self):
        """(type letter, name) of every symbol."""
        listed = subprocess.run(["nm", "--format=posix", str(self.path)], capture_output=True, text=True, check=True)
        rows = [line.split() for line in listed.stdout.splitlines()]
        return [(row[1], row[0]) for row in rows if len(row) >= 2]

    def is_wider_than_baseline(self):
        if any(re.match(r"-m(avx512|avx10|amx|avxvnni|avxifma|gfni|vaes|vpclmul|apx)", flag) for flag in self.flags):
            return True
        march = [flag[len("-march=") :] for flag in self.flags if flag.startswith("-march=")]
        return bool(march) and march[-1] not in BASELINE

    def is_optimised_by_gcc(self):
        """As the program is that people run."""
        by_clang = any("clang" in pathlib.Path(word).name for word in self.flags[:2])
        return "-O3" in self.flags and not by_clang and not any(flag.startswith("-fsanitize") for flag in self.flags)


def built_objects(root, build):
    objects = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["directory"], entry["file"]).resolve()
        words = entry.get("arguments") or shlex.split(entry["command"])
        output = pathlib.Path(entry["directory"], entry.get("output") or words[words.index("-o") + 1])
        is_object = output.suffix == ".o"  # and no precompiled header
        if is_object and output.exists() and source.is_relative_to(root):
            objects.append(BuiltObject(str(source.relative_to(root)), output, words))
    return objects


def check_objects(objects):
    findings = []
    for item in objects:
        symbols = item.symbols()
        if item.room in WITHOUT_LIBM:
            findings += [
                f"{item.source}: imports {name} from libm"
                for kind, name in symbols
                if kind == "U" and LIBM.fullmatch(name)
            ]
        if item.is_wider_than_baseline():
            # The linker keeps one copy of an inline function for the whole program; it could be this one.
            findings += [
                f"{item.source}: compiled for a wider instruction set, defines the weak symbol {name}"
                for kind, name in symbols
                if kind in "WVu"
            ]
        if item.source == PLAIN_SOURCE:
            findings += check_plain(item, symbols)
        if spill_rules.SOURCE.fullmatch(item.source) and item.is_optimised_by_gcc():
            findings += spill_rules.check_spills(item)
    return findings


def check_plain(item, symbols):
    findings = [
        f"{item.source}: weak symbol {name}: another object's copy may have AVX"
        for kind, name in symbols
        if kind in "WVuw"
    ]
    findings += [
        f"{item.source}: uses {name}, which may have AVX"
        for kind, name in symbols
        if kind == "U" and name.startswith("_Z")
    ]
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(item.path)], capture_output=True, text=True, check=True
    )
    wide = re.findall(
        r"^\s*[0-9a-f]+:\s+(v\w+|andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|movbe)\b",
        listing.stdout,
        re.MULTILINE,
    )
    findings += [f"{item.source}: has the instruction {name}" for name in sorted(set(wide))]
    return findings
