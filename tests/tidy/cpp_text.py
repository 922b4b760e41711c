"""C++ (and Rust) source seen as text: comments and strings blanked, blocks found. A reader of braces, not a parser."""

import re

_TOKENS = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<raw>R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)")"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*")"""
    r"""|(?P<digits>\b[0-9][0-9a-zA-Z_.']*)|(?P<char>'(?:\\[^']+|[^'\\\n])')""",
    re.DOTALL | re.VERBOSE,
)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """The text, same lines and columns, with comments and the insides of strings blank; #include lines keep theirs."""

    def replace(match):
        if match.lastgroup == "digits" or match.group("digits"):
            return match.group(0).replace("'", "_")
        if match.group("comment"):
            return _blank(match.group(0))
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if match.group("string") and re.match(r"\s*#\s*include\s*$", line):
            return match.group(0)
        return '"' + _blank(match.group(0)[1:-1]) + '"'

    return _TOKENS.sub(replace, text)


def functions(text):
    """(first line, number of lines, header) of every outermost function body; lambdas count as lines of theirs."""
    code = re.sub(r"(?m)^[ \t]*#[^\n]*(?:\\\n[^\n]*)*", lambda m: _blank(m.group(0)), code_only(text))
    found = []
    blocks = []  # of the open braces: is it a function's?
    initialisers = []  # depths of those that are a member's
    begin = 0  # of the statement that runs
    parentheses = 0
    start = None
    for place, character in enumerate(code):
        if character == "(":
            parentheses += 1
        elif character == ")":
            parentheses -= 1
        elif character == "{":
            header = code[begin:place].strip()
            # `A::A() : x_{3} {`: a member's initialiser stands close to its name, a body after a space.
            is_initialiser = ")" in header and re.match(r"[\w>]", code[place - 1]) is not None
            is_function = not any(blocks) and parentheses == 0 and not is_initialiser and _is_function(header)
            if is_function:
                start = place - len(code[begin:place].lstrip())
                name = " ".join(header.split())
            blocks.append(is_function)
            if not is_initialiser:
                begin = place + 1
            else:
                initialisers.append(len(blocks))
        elif character == "}":
            was_initialiser = bool(initialisers) and initialisers[-1] == len(blocks)
            if was_initialiser:
                initialisers.pop()
            if blocks and blocks.pop():
                first = code.count("\n", 0, start) + 1
                last = code.count("\n", 0, place) + 1
                found.append((first, last - first + 1, name))
            if not was_initialiser:
                begin = place + 1
        elif character == ";" and parentheses == 0:
            begin = place + 1
    return found


def _is_function(header):
    if not header or ")" not in header and not re.search(r"\bfn\b", header):
        return False
    if re.search(r"\b(namespace|enum|extern\s*\"\s*\")\s*[\w:]*$", header):
        return False
    # A table: `const Row kRows[] = {`. An operator's name may hold a '='.
    return re.search(r"(?<![=<>!+\-*/|&^])=(?!=)\s*[\w:<>]*$", header) is None
