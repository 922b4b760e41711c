"""Rules on the text of the project's files. Each rule is a function: (path, text, code) -> lines of findings."""

import re
import shutil
import subprocess

import cpp_text

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 120
SOURCE_SUFFIXES = {".cc", ".h", ".rs", ".py", ".cmake", ".sh"}
CPP_SUFFIXES = {".cc", ".h"}


def project_files(root):
    """Paths of everything that is, or is about to be, in the repository, as text."""
    names = _names_by_git(root)
    if names is None:  # a copy of the sources, or a machine without git
        names = [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file()]
        names = [name for name in names if not re.match(r"(build|rust/target|\.git)/|.*__pycache__/", name)]
    return {name: text for name in names if (text := _read_text(root / name)) is not None}


def _names_by_git(root):
    """None when git does not know."""
    if shutil.which("git") is None:
        return None
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        return None
    return [name for name in listed.stdout.decode().split("\0") if name]


def _read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return None  # data, or deleted and not yet committed


def read_floor_plan(path):
    """{room: rooms it may include from}"""
    plan = {}
    for line in path.read_text().splitlines():
        room, _, deps = line.partition(":")
        if room.strip():
            plan[room.strip()] = set(deps.split())
    return plan


def check_sources(root, files, plan):
    del root
    findings = []
    for name, text in sorted(files.items()):
        code = cpp_text.code_only(text) if suffix(name) in CPP_SUFFIXES else ""
        if suffix(name) in CPP_SUFFIXES:
            findings += check_includes(name, code, plan)
            findings += check_bans(name, code)
        findings += check_sizes(name, text)
        findings += check_leftovers(name, text)
    return findings


def suffix(name):
    return name[name.rfind(".") :] if "." in name.rsplit("/", 1)[-1] else ""


def room_of(name):
    parts = name.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def is_test(name):
    return not name.startswith("src/") or re.search(r"_test(_\w+)?\.(cc|h)$", name) is not None


def _at(name, text, place, message):
    return f"{name}:{text.count(chr(10), 0, place) + 1}: {message}"


# -- floors --------------------------------------------------------------------------------------------------

# Third-party headers and who may know them; tests may know all. JSON is for api, app and the readers of config files.
LIBRARIES = [
    (r"boost/", "src/http/", ()),
    (r"nlohmann/", "src/(api|app)/", ("src/files/json_walk.cc", "src/model/model_config.cc")),
    (r"CLI/", "src/app/", ()),
    (r"spdlog/", "src/base/log\\.cc", ()),
    (r"xxhash", "src/(cache|disk)/", ("src/model/model_digest.cc",)),
    (r"(gtest|gmock|benchmark)/", "(?!)", ()),
]


def check_includes(name, code, plan):
    findings = []
    room = room_of(name)
    for match in re.finditer(r'(?m)^[ \t]*#[ \t]*include[ \t]*(?:"([^"]*)"|<([^>]*)>)', code):
        ours, library = match.groups()
        if ours is not None and room is not None:
            target = ours.split("/")[0] if "/" in ours else None
            allowed = plan.get(room, set()) | {room}
            if target not in allowed:
                findings.append(
                    _at(
                        name,
                        code,
                        match.start(),
                        f'#include "{ours}": {room} may include from {", ".join(sorted(allowed))}',
                    )
                )
        if library is not None and not is_test(name):
            for pattern, where, exceptions in LIBRARIES:
                if re.match(pattern, library) and not re.match(where, name) and name not in exceptions:
                    findings.append(_at(name, code, match.start(), f"#include <{library}> does not belong here"))
    return findings


# -- bans ----------------------------------------------------------------------------------------------------

# (what, pattern in code without comments and strings, where it is allowed, also in tests?)
BANS = [
    ("rand", r"\bs?rand\s*\(", "(?!)", True),
    ("std::random_device: randomness comes in through the door", r"\brandom_device\b", "src/app/", False),
    ("getenv: the environment comes in through app/", r"\bgetenv\s*\(", "src/app/", False),
    ("::now(: time comes in through base/clock.h", r"::\s*now\s*\(", "src/base/clock\\.cc", False),
    ("a thread of one's own", r"\bstd::j?thread\b|\bpthread_create\b", "src/(base|http)/", False),
    ("sleep: wait for what is awaited", r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(", "(?!)", False),
    ("raw new", r"(?<!operator )\bnew\b", "(?!)", False),
    ("raw delete", r"(?<!= )(?<!operator )\bdelete\b", "(?!)", False),
    ("using namespace", r"\busing\s+namespace\b", "(?!)", True),
    ("std::function", r"\bstd::function\b", "src/(?!kernels/|model/)", False),
    (
        "#if: no second backend yet, no platforms",
        r"(?m)^[ \t]*#[ \t]*(if|ifdef|ifndef)\b(?![ \t]+__cplusplus)",
        "src/kernels/",
        False,
    ),
]
# (file, what): why it may.
EXCEPTIONS = {
    ("src/model/weights.h", "std::function"): "progress while loading, before there is a step",
}


def check_bans(name, code):
    # std::unique_ptr<X>(new X(...)) is how a private constructor is reached.
    code = re.sub(r"_ptr<[\w:]+>(?: \w+)?\(\s*new\b", lambda m: m.group(0)[:-3] + "   ", code)
    findings = []
    for what, pattern, allowed, in_tests in BANS:
        if re.match(allowed, name) or (is_test(name) and not in_tests) or (name, what) in EXCEPTIONS:
            continue
        findings += [_at(name, code, match.start(), f"{what}") for match in re.finditer(pattern, code)]
    return findings


# -- sizes ---------------------------------------------------------------------------------------------------


def check_sizes(name, text):
    findings = []
    num_lines = text.count("\n") + (not text.endswith("\n"))
    if suffix(name) in SOURCE_SUFFIXES and num_lines > MAX_FILE_LINES:
        findings.append(f"{name}: {num_lines} lines, at most {MAX_FILE_LINES}")
    if suffix(name) in SOURCE_SUFFIXES:
        findings += [
            f"{name}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"
            for number, line in enumerate(text.split("\n"), 1)
            if len(line) > MAX_COLUMNS
        ]
    if suffix(name) in CPP_SUFFIXES | {".rs"}:
        blocks = cpp_text.functions(text)
    elif suffix(name) == ".py":
        blocks = python_functions(text)
    else:
        blocks = []
    for line, length, header in blocks:
        if length > MAX_FUNCTION_LINES:
            findings.append(
                f"{name}:{line}: {length} lines, at most {MAX_FUNCTION_LINES} in a function: {header[-60:]}"
            )
    return findings


def python_functions(text):
    import ast

    tree = ast.parse(text)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (node.lineno, node.end_lineno - node.lineno + 1, node.name)
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


# -- leftovers -----------------------------------------------------------------------------------------------

# Written in pieces, so that this file does not find itself.
_FOLDERS = "|".join(["wo" + "rk", "ho" + "me", "ro" + "ot", "farm"])
LEFTOVERS = [
    ("a path of one machine", re.compile(rf"(?<![\w.\-/~}}])/({_FOLDERS})/\w")),
    (
        "a registry's host",
        re.compile(
            "|".join(
                [
                    "pypi" + r"\.org",
                    "python" + r"hosted\.org",
                    r"(static|index)\.crates" + r"\.io",
                    "deb" + r"\.debian\.org",
                    "registry" + r"\.npmjs\.org",
                    "proxy" + r"\.golang\.org",
                ]
            )
        ),
    ),
    ("TO" + "DO without a name", re.compile(r"\bTO" + r"DO\b(?!\([a-z])")),
    ("a conflict mark", re.compile(r"(?m)^(<{7}|>{7}) ")),
]


def check_leftovers(name, text):
    return [_at(name, text, match.start(), what) for what, pattern in LEFTOVERS for match in pattern.finditer(text)]
