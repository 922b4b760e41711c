#!/usr/bin/env python3
"""The house rules that a script can check (HACKING.md). Exit 1, and a line for each thing that breaks one.

    python3 tests/tidy/tidy.py SOURCE_FOLDER BUILD_FOLDER

BUILD_FOLDER has rooms.txt (written by cmake/rooms.cmake) and compile_commands.json with the objects built.
"""

import pathlib
import sys

import object_rules
import source_rules


def main():
    root, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    files = source_rules.project_files(root)
    plan = source_rules.read_floor_plan(build / "rooms.txt")
    findings = source_rules.check_sources(root, files, plan)
    objects = object_rules.built_objects(root, build)
    findings += object_rules.check_objects(objects)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(files)} files, {len(objects)} objects, {len(plan)} rooms, {len(findings)} findings")
    return 1 if findings or not objects else 0


if __name__ == "__main__":
    sys.exit(main())
