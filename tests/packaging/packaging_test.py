#!/usr/bin/env python3
"""What is installed, and the .deb: every file in its place, the installed program at work, no page or unit gone stale.

python3 tests/packaging/packaging_test.py BUILD_FOLDER
"""

import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests" / "data" / "oracle" / "llama-untied-bf16"
INSTALLED = {
    "bin/slipstream",
    "etc/default/slipstream",
    "lib/systemd/system/slipstream.service",
    "share/doc/slipstream/ARCHITECTURE.md",
    "share/doc/slipstream/README.md",
    "share/doc/slipstream/changelog.gz",
    "share/doc/slipstream/copyright",
    "share/man/man1/slipstream.1.gz",
}


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def help_of(program, *command):
    """What every command says about itself."""
    said = run(program, *command, "--help")
    below = said.partition("\nSubcommands:\n")[2]
    names = re.findall(r"^  ([a-z-]+)", below, re.MULTILINE)
    return said + "".join(help_of(program, *command, name) for name in names)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = pathlib.Path(cls.folder.name) / "prefix"
        run("cmake", "--install", BUILD, "--strip", "--prefix", cls.prefix)
        cls.program = cls.prefix / "bin" / "slipstream"
        cls.unit = cls.prefix / "lib" / "systemd" / "system" / "slipstream.service"
        cls.page = cls.prefix / "share" / "man" / "man1" / "slipstream.1.gz"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_file_and_no_other(self):
        files = {str(path.relative_to(self.prefix)) for path in self.prefix.rglob("*") if path.is_file()}
        self.assertEqual(files, INSTALLED)

    def test_the_program_runs_stripped(self):
        self.assertEqual(run(self.program, "--version"), run(BUILD / "slipstream", "--version"))
        self.assertEqual(help_of(self.program), help_of(BUILD / "slipstream"))
        self.assertLess(self.program.stat().st_size, (BUILD / "slipstream").stat().st_size)

    def test_the_program_serves(self):
        command = [self.program, "serve", MODEL, "--port", "0", "--cache-memory-mb", "16", "--log-level", "off"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
            address = re.search(r"http://127\.0\.0\.1:\d+", served.stdout.readline()).group()
            with urllib.request.urlopen(address + "/health", timeout=60) as answer:
                self.assertEqual(answer.status, 200)
            served.send_signal(signal.SIGTERM)
            self.assertEqual(served.wait(60), 0)

    def test_the_manual_names_every_command_and_option(self):
        said = help_of(self.program)
        page = gzip.decompress(self.page.read_bytes()).decode().replace("\\-", "-").replace("\\:", "")
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said))):
            self.assertRegex(page, rf'(?m)^\.B "(-\w,)?{option}[ "]', option)
        for usage in re.findall(r"^Usage: (slipstream .*)$", said, re.MULTILINE)[1:]:
            self.assertIn(f'.B "{usage}"', page)
        words = [line.split()[-1] for line in said.splitlines() if line.startswith(" " * 30)]
        self.assertGreater(len(words), 20)
        for word in words:  # the explanations too, to their ends
            self.assertIn(word, page)

    def test_the_manual_is_sound_roff(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not here")
        page = gzip.decompress(self.page.read_bytes())
        done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-z"], input=page, capture_output=True, check=True)
        self.assertEqual(done.stderr, b"")

    def test_the_unit_runs_the_installed_program(self):
        unit = self.unit.read_text()
        self.assertNotRegex(unit, "@[A-Z_]+@")
        self.assertIn(f"\nExecStart={self.program} serve ", unit)
        self.assertIn(f"\nEnvironmentFile={self.prefix}/etc/default/slipstream\n", unit)

    def test_the_unit_waits_longer_than_the_program_does_and_lets_it_open_its_connections(self):
        unit = self.unit.read_text()
        said = " ".join(run(self.program, "serve", "--help").split())
        timeout_s = int(re.search(r"--shutdown-timeout S .*? S seconds \((\d+)\)", said).group(1))
        self.assertGreater(int(re.search(r"\nTimeoutStopSec=(\d+)\n", unit).group(1)), timeout_s + 5)
        connections = int(re.search(r"connections = (\d+);", (ROOT / "src/http/http_limits.h").read_text()).group(1))
        self.assertGreater(int(re.search(r"\nLimitNOFILE=(\d+)\n", unit).group(1)), connections + 512)
        self.assertIn("--api-key-file FILE", said)  # what slipstream.default tells to use

    def test_the_unit_is_sound(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd is not here")
        pages = {**os.environ, "MANPATH": str(self.prefix / "share" / "man")}
        self.assertEqual(run("systemd-analyze", "verify", self.unit, env=pages), "")
        run("systemd-analyze", "security", "--offline=true", "--threshold=15", self.unit)  # an exposure of 1.5 at most

    def test_what_the_administrator_wrote_stays(self):
        defaults = self.prefix / "etc" / "default" / "slipstream"
        before = defaults.read_text()
        defaults.write_text("SLIPSTREAM_MODEL=mine\n")
        run("cmake", "--install", BUILD, "--strip", "--prefix", self.prefix)
        self.assertEqual(defaults.read_text(), "SLIPSTREAM_MODEL=mine\n")
        defaults.write_text(before)


class DebianPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        out = pathlib.Path(cls.folder.name)
        installed = subprocess.run([ROOT / "tools" / "install", "dpkg-dev", "file"], capture_output=True, check=False)
        if installed.returncode != 0:
            cls.folder.cleanup()
            raise unittest.SkipTest("SKIPPED: dpkg-dev cannot be installed")
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", out)
        (cls.package,) = out.glob("*.deb")
        cls.tree = out / "tree"
        run("dpkg-deb", "--extract", cls.package, cls.tree)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def field(self, name):
        return run("dpkg-deb", "--field", self.package, name).strip()

    def test_its_files(self):
        files = {str(path.relative_to(self.tree)) for path in self.tree.rglob("*") if path.is_file()}
        self.assertEqual(files, {path if path.startswith("etc/") else f"usr/{path}" for path in INSTALLED})
        unit = (self.tree / "usr/lib/systemd/system/slipstream.service").read_text()
        self.assertIn("\nExecStart=/usr/bin/slipstream serve ", unit)
        self.assertIn("\nEnvironmentFile=/etc/default/slipstream\n", unit)

    def test_its_words(self):
        program = self.tree / "usr" / "bin" / "slipstream"
        self.assertEqual(f"slipstream {self.field('Version')}\n", run(program, "--version"))
        for library in ("libc6 ", "libstdc++6 ", "libfmt9 "):
            self.assertIn(library, self.field("Depends"))

    def test_its_scripts(self):
        control = pathlib.Path(self.folder.name) / "control"
        run("dpkg-deb", "--control", self.package, control)
        self.assertEqual((control / "conffiles").read_text(), "/etc/default/slipstream\n")
        for script in ("postinst", "prerm", "postrm"):
            self.assertEqual((control / script).stat().st_mode & 0o777, 0o755)
            run("sh", "-n", control / script)


if __name__ == "__main__":
    unittest.main(verbosity=2)
