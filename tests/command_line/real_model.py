#!/usr/bin/env python3
"""Runs a command of the program on the real model, where it is here; else 77: skipped.

python3 tests/command_line/real_model.py PROGRAM COMMAND... : PROGRAM COMMAND... MODEL
"""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import chat_client  # noqa: E402

model = chat_client.find_model(argparse.Namespace(model=None, no_fetch=True))
sys.exit(subprocess.run([*sys.argv[1:], model], check=False).returncode)
