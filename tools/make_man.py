#!/usr/bin/env python3
"""The manual page slipstream(1), out of what the program itself says with --help.

python3 tools/make_man.py PROGRAM OUT.gz

Every command that the program's help lists gets a section with its options, so the page cannot know an option that is
not there, or miss one that is. Help that cannot be understood is an error: then the build says so.
"""

import gzip
import pathlib
import re
import subprocess
import sys

# Where CLI11 puts what is said about an option; names that reach further have a line of their own.
TEXT_COLUMN = 30
# "-h,--help", "--port N", "--chunk UINT:UINT in [1 - 9]", "--window UINT=512", "MODEL TEXT REQUIRED",
# "--batch UINT:UINT in [1 - 256]=[1,5] ... Excludes: --rate"
NAME = re.compile(
    r"(?:-\w,)?-{0,2}[\w-]+(?: [^ ]+)?(?: in \[[^]]*\](?:=\S+)?)?(?: \.\.\.)?(?: REQUIRED)?"
    r"(?: (?:Needs|Excludes): \S+)*"
)
WITHOUT_HEADING = ("Positionals", "Options")
HELP_OF_EACH = "-h,--help"  # stands in the program's own section

END = r"""
.SH "EXIT STATUS"
.TP
.B 0
Done; for
.B serve
also after SIGTERM or SIGINT, once the answers in work have been finished.
.TP
.B 1
The world is at fault: one line on standard error says what, where and what was expected.
.TP
.B 2
The command line is. Every mistake is named.
.SH ENVIRONMENT
.TP
.BR HF_HUB_CACHE ", " HF_HOME ", " XDG_CACHE_HOME
Where the hub's cache is looked for, in this order, as its own tools do; else in
.IR ~/.cache/huggingface/hub .
.SH FILES
.TP
.I /etc/default/slipstream
What
.I slipstream.service
serves, and with which options.
.SH EXAMPLES
Serve a model that was downloaded with the hub's own tool, to many users of this machine:
.PP
.RS
.nf
hf download Qwen/Qwen3\-0.6B
slipstream inspect Qwen/Qwen3\-0.6B
slipstream serve Qwen/Qwen3\-0.6B \-\-continuous\-batching
.fi
.RE
.PP
Any client of OpenAI's API then works with the base URL
.IR http://127.0.0.1:8000/v1 .
"""


class Help:
    """What `PROGRAM command... --help` says: about, usage, and sections of (name, text) by their headings."""

    def __init__(self, program, command):
        said = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True).stdout
        self.command = command
        about, usage, rest = re.fullmatch(r"(.*?)\nUsage: (.*?)\n(.*)", said, re.DOTALL).groups()
        self.about, self.usage = " ".join(about.split()), usage
        self.sections = {}
        entries = None
        for line in rest.split("\n"):
            if line.endswith(":") and not line.startswith(" "):
                entries = self.sections.setdefault(line[:-1], [])
            elif line.startswith(" " * TEXT_COLUMN):
                name, text = entries.pop()
                entries.append((name, f"{text} {line.strip()}".strip()))
            elif line:
                entries.append(read_entry(line))

    def commands(self):
        return [[*self.command, name] for name, _ in self.sections.get("Subcommands", [])]


def read_entry(line):
    name, text = line[2 : TEXT_COLUMN - 1].strip(), line[TEXT_COLUMN:]
    if len(line) >= TEXT_COLUMN and line[TEXT_COLUMN - 1] != " " or not NAME.fullmatch(name):
        name, text = line[2:], ""
    if not line.startswith("  ") or not NAME.fullmatch(name):
        sys.exit(f"make_man.py: cannot understand this line of the help: {line!r}")
    return name, text


def roff(text):
    """Plain text as roff: hyphens that can be copied, lists that may be broken, no line that looks like a request."""
    text = re.sub(r",(?=\S)", r",\\:", text.replace("\\", "\\e").replace("-", "\\-"))
    return re.sub(r"^([.'])", r"\\&\1", text)


def quoted(text):
    return '"' + roff(text).replace('"', '""') + '"'


def entries_of(entries):
    return "".join(f".TP\n.B {quoted(name)}\n{roff(text)}\n" for name, text in entries)


def command_section(said):
    page = f'.SS {quoted(" ".join(said.command))}\n{roff(said.about)}\n.PP\n.B {quoted(said.usage)}\n'
    for heading in ("Positionals", "Options", *said.sections):
        if heading in said.sections and heading != "Subcommands":
            if heading not in WITHOUT_HEADING:
                page += f".PP\n.I {quoted(heading)}\n"
            page += entries_of(entry for entry in said.sections.pop(heading) if entry[0] != HELP_OF_EACH)
    return page


def all_commands(program, command):
    said = Help(program, command)
    return [said, *(found for below in said.commands() for found in all_commands(program, below))]


def main():
    program, out = sys.argv[1:]
    top, *commands = all_commands(program, [])
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    # No date: the same program gives the same page.
    page = '.\\" Made by tools/make_man.py out of --help.\n'
    page += f'.TH SLIPSTREAM 1 "" {quoted(version)} "User Commands"\n.ad l\n.nh\n'
    page += ".SH NAME\nslipstream \\- serve language models over OpenAI\\(aqs HTTP API\n.SH SYNOPSIS\n"
    runnable = [said for said in commands if "Subcommands" not in said.sections]
    page += ".br\n".join(f".B {quoted(said.usage)}\n" for said in runnable)
    page += f".SH DESCRIPTION\n{roff(top.about)}\n.SH OPTIONS\n{entries_of(top.sections['Options'])}.SH COMMANDS\n"
    page += "".join(command_section(said) for said in commands)
    pathlib.Path(out).write_bytes(gzip.compress((page + END.lstrip("\n")).encode(), mtime=0))


if __name__ == "__main__":
    main()
