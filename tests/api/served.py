"""Starts `slipstream serve` and waits until it serves."""

import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import chat_client  # noqa: E402

PROGRAM = os.environ["SLIPSTREAM_PROGRAM"]
# A sanitizer keeps freed memory and takes its time: then neither is judged.
IS_SANITIZED = b"__asan_init" in pathlib.Path(PROGRAM).read_bytes()
TINY_MODEL = HERE.parent / "data" / "oracle" / "llama-untied-bf16"
# One thread: it is so small that a second would only wait for the first, and other tests run beside this one.
TINY_OPTIONS = ["--chat-template", str(HERE / "chatml.jinja"), "--cache-memory-mb", "64", "--threads", "1"]
smollm2 = chat_client.smollm2


class Served:
    """A running server; `address` is http://127.0.0.1:PORT."""

    def __init__(self, model, *options, max_descriptors=None):
        def limit_descriptors():
            resource.setrlimit(resource.RLIMIT_NOFILE, (max_descriptors, max_descriptors))

        self.log = tempfile.TemporaryFile()
        command = [PROGRAM, "serve", str(model), "--port", "0", "--served-model-name", "model", *options]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            preexec_fn=limit_descriptors if max_descriptors else None,
        )
        facts = self.process.stdout.readline()  # one line of facts once it serves; the end when it could not start
        found = re.search(r"(http://127\.0\.0\.1:\d+)", facts)
        if not found:
            self.process.wait()
            self.log.seek(0)
            raise RuntimeError(
                f"{command} said {facts!r}, then ended with {self.process.returncode}: {self.log.read().decode()}"
            )
        self.address = found.group(1)

    def terminate(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s=60):
        self.process.stdout.close()
        status = self.process.wait(timeout_s)
        if status != 0:  # a sanitizer's report, say: pytest shows it with the test that failed
            self.log.seek(0)
            print(self.log.read().decode(errors="replace")[-20_000:])
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
