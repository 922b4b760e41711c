"""That the hot loops of the kernels keep what they compute in registers. A sum that is stored and loaded again in each
turn can halve the speed (AVX2.md 7) and changes no bit, so no other test would notice. Read from the disassembly."""

import re
import subprocess

SOURCE = re.compile(r"src/kernels/avx(2|512)_\w+\.cc")
MULTIPLICATION = re.compile(r"vpmadd|vpdp|vdpbf16|vfn?m(add|sub)")
# The stack is reached through %rsp, and through %rbp in functions that keep its begin there. What has an index beside
# is an array. A scalar that is broadcast has no register's width: a constant, or an operand of inline assembly.
SLOT = r"(?:-?0x[0-9a-f]+)?\(%(?:{})\)(?!\{{1to)"
MOVE = re.compile(r"vmov(a|u|dqa|dqu|nt)\w*")

# Source, function, and why it may.
ALLOWED = [
    (
        "src/kernels/avx512_attention_token.cc",
        r"attend_segment<[34]>",
        "gcc 12 keeps no array in registers where one of its sizes is 1: only heads of 16 dims, which tests have",
    ),
]

_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(?:(?:bnd|notrack|lock|rep\w*|data16) )*(\S+)\s*(.*)$")
_TARGET = re.compile(r"([0-9a-f]+) <")


class Instruction:
    def __init__(self, address, name, operands):
        self.address = address
        self.name = name
        self.operands = operands

    def target(self):
        """Where a jump goes to."""
        match = _TARGET.match(self.operands) if self.name.startswith("j") else None
        return int(match[1], 16) if match else None


def read_functions(listing):
    """(name, instructions) of each function that objdump lists."""
    functions = []
    for line in listing.splitlines():
        if header := _FUNCTION.match(line):
            functions.append((header[1], []))
        elif functions and (row := _INSTRUCTION.match(line)):
            functions[-1][1].append(Instruction(int(row[1], 16), row[2], row[3]))
    return functions


def innermost_loops(body):
    """(first, last) instruction of each loop without another inside: from a jump's target back to the jump."""
    places = {instruction.address: index for index, instruction in enumerate(body)}
    loops = {}  # from where to the last jump back to there
    for index, instruction in enumerate(body):
        begin = places.get(instruction.target())
        if begin is not None and begin <= index:
            loops[begin] = index
    return [
        (begin, end)
        for begin, end in loops.items()
        if not any(begin < other and last <= end for other, last in loops.items())
    ]


def spills(body):
    """Instructions of hot innermost loops that store a vector to a place of the stack's, or only load it from there. A
    constant in memory that is an operand of arithmetic costs nothing and is none."""
    framed = any(i.name == "mov" and i.operands == "%rsp,%rbp" for i in body)
    slot = re.compile(SLOT.format("rsp|rbp" if framed else "rsp"))
    found = {}
    for begin, end in innermost_loops(body):
        loop = body[begin : end + 1]
        if any(MULTIPLICATION.match(i.name) for i in loop):
            found |= {i.address: i for i in loop if MOVE.fullmatch(i.name) and slot.search(i.operands)}
    return list(found.values())


def check_spills(item):
    """One finding for each function that has any."""
    command = ["objdump", "-d", "--no-show-raw-insn", "--demangle", str(item.path)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    findings = []
    for name, body in read_functions(listing):
        if any(item.source == source and re.search(function, name) for source, function, _ in ALLOWED):
            continue
        if lines := [f"{i.address:x}: {i.name} {i.operands}" for i in spills(body)]:
            findings.append(f"{item.source}: {name}: a hot loop spills: {'; '.join(lines[:4])} ({len(lines)} in all)")
    return findings
