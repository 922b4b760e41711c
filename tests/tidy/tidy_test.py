#!/usr/bin/env python3
"""That tidy finds what it is there to find: each rule is given a mistake, planted in an otherwise clean project.

python3 tests/tidy/tidy_test.py COMPILER
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import cpp_text
import object_rules
import source_rules
import spill_rules

PLAN = {
    "base": set(),
    "kernels": {"base"},
    "model": {"kernels", "base"},
    "engine": {"model", "base"},
    "api": {"base"},
    "app": {"engine", "base"},
}
COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "c++"


def findings(name, text):
    return source_rules.check_sources(pathlib.Path("."), {name: text}, PLAN)


class SourceRules(unittest.TestCase):
    def found(self, name, text, expected):
        lines = findings(name, text)
        self.assertEqual(len(lines), 1, f"{name}: {text!r} gave {lines}")
        self.assertIn(expected, lines[0])
        self.assertTrue(lines[0].startswith(name), lines[0])

    def clean(self, name, text):
        self.assertEqual(findings(name, text), [])

    def test_a_clean_file_is_clean(self):
        self.clean(
            "src/engine/engine.cc",
            '#include "engine/engine.h"\n#include "model/executor.h"\n#include <vector>\nint f() { return 1; }\n',
        )

    def test_includes_point_down(self):
        self.found(
            "src/model/decoder.cc", '#include "engine/engine.h"\n', "model may include from base, kernels, model"
        )
        self.found("src/kernels/avx2.cc", '#include "model/weights.h"\n', "kernels may include from")
        self.found(
            "src/engine/engine.cc", '  #  include "kernels/kernels.h"\n', "engine may include from"
        )  # not named, though below
        self.found("src/engine/engine.cc", '#include "engine.h"\n', "engine may include from")
        self.clean("tests/golden/x_test.cc", '#include "engine/engine.h"\n#include "here.h"\n')

    def test_an_include_in_a_comment_or_string_is_none(self):
        self.clean("src/model/decoder.cc", '// #include "engine/engine.h"\n/*\n#include "engine/engine.h"\n*/\n')
        self.clean("src/model/decoder.cc", 'const char* s = R"(\n#include "engine/engine.h"\n)";\n')

    def test_libraries_stay_in_their_rooms(self):
        self.found("src/engine/engine.cc", "#include <nlohmann/json.hpp>\n", "does not belong here")
        self.found("src/app/main.cc", "#include <boost/asio.hpp>\n", "does not belong here")
        self.found("src/engine/engine.cc", "#include <spdlog/spdlog.h>\n", "does not belong here")
        self.found("src/engine/engine.cc", "#include <gtest/gtest.h>\n", "does not belong here")
        self.clean("src/engine/engine_test.cc", "#include <gtest/gtest.h>\n")
        self.clean("src/api/reader.cc", "#include <nlohmann/json.hpp>\n")

    def test_bans(self):
        for name, line, what in [
            ("src/engine/a.cc", "int x = rand();", "rand"),
            ("tests/golden/a.cc", "std::srand(1);", "rand"),
            ("src/engine/a.cc", "std::random_device device;", "randomness comes in"),
            ("src/engine/a.cc", 'std::getenv("X");', "getenv"),
            ("src/engine/a.cc", "auto t = std::chrono::steady_clock::now();", "time comes in"),
            ("src/engine/a.cc", "std::thread worker;", "a thread of one's own"),
            ("src/engine/a.cc", "std::this_thread::sleep_for(x);", "sleep"),
            ("src/engine/a.cc", "auto* p = new int(3);", "raw new"),
            ("src/engine/a.cc", "auto* p = new (place) int;", "raw new"),
            ("src/engine/a.cc", "delete p;", "raw delete"),
            ("src/engine/a.cc", "delete[] p;", "raw delete"),
            ("tests/golden/a.cc", "using namespace std;", "using namespace"),
            ("src/kernels/a.h", "void f(std::function<void()> g);", "std::function"),
            ("src/model/a.h", "void f(std::function<void()> g);", "std::function"),
            ("src/engine/a.h", "#ifdef _WIN32", "#if"),
        ]:
            with self.subTest(line=line):
                self.found(name, line + "\n", what)

    def test_what_is_allowed(self):
        for name, line in [
            ("src/app/a.cc", 'std::getenv("X");'),
            ("src/base/clock.cc", "auto t = std::chrono::steady_clock::now();"),
            ("src/base/thread_pool.cc", "std::thread worker;"),
            ("src/engine/a_test.cc", "std::thread worker;"),
            ("src/engine/a.h", "A(const A&) = delete;"),
            ("src/engine/a.cc", "return std::unique_ptr<A>(new A(1));"),
            ("src/engine/a.cc", "std::unique_ptr<A> made(new A(1));"),
            ("src/engine/a.cc", "// a new block; delete it; rand() is not used"),
            ("src/engine/a.cc", 'say("using namespace rand() new delete");'),
            ("src/engine/a.cc", "int operand(int); int renew = 1'000; int new_blocks;"),
            ("src/engine/a.h", "void f(std::function<void()> g);"),
        ]:
            with self.subTest(line=line):
                self.clean(name, line + "\n")

    def test_long_files(self):
        self.clean("src/engine/a.cc", "int x;\n" * 600)
        self.found("src/engine/a.cc", "int x;\n" * 601, "601 lines, at most 600")
        self.found("rust/src/a.rs", "// x\n" * 601, "601 lines")
        self.found("tools/a.py", "x = 1\n" * 601, "601 lines")

    def test_long_lines(self):
        self.clean("src/engine/a.cc", "int x;" + " " * 103 + "int y; // ä\n")
        self.found("src/engine/a.cc", "int x;" + " " * 104 + "int y; // ä\n", "121 columns, at most 120")

    def test_long_functions(self):
        def body(lines):
            return "  x += 1;\n" * lines

        for header in [
            "int f(int x)",
            "Result<A<B>> Engine::State::f(const std::vector<int>& x) const",
            "TEST(Engine, says)",
            "bool operator==(const A& a)",
            "A::A(int x) : x_(x), y_{3}",
        ]:
            with self.subTest(header=header):
                self.clean("src/engine/a.cc", f"namespace s {{\n\n{header} {{\n{body(68)}}}\n}}\n")
                self.found(
                    "src/engine/a.cc", f"namespace s {{\n\n{header} {{\n{body(69)}}}\n}}\n", "71 lines, at most 70"
                )
        self.found("src/engine/a.h", f"class A {{\n  int f() {{\n{body(69)}  }}\n}};\n", "71 lines")
        # A lambda counts to the function that holds it.
        self.found("src/engine/a.cc", f"int f() {{\n  g([] {{\n{body(70)}  }});\n}}\n", "74 lines")
        self.found("rust/src/a.rs", f"pub fn f(x: u32) -> u32 {{\n{body(69)}}}\n", "71 lines")
        self.found("tools/a.py", "def f():\n" + "    x = 1\n" * 70, "71 lines")

    def test_long_tables_are_no_functions(self):
        self.clean("src/engine/a.cc", "const Row kRows[] = {\n" + "    {1, 2},\n" * 100 + "};\n")
        self.clean("src/engine/a.h", "struct A {\n" + "  int f() { return 1; }\n" * 100 + "};\n")
        self.clean("src/engine/a.cc", "enum class E : int {\n" + "  kA,\n" * 100 + "};\n")

    def test_leftovers(self):
        self.found("README.md", "see /wo" + "rk/main/x\n", "a path of one machine")
        self.found("tools/x", "cd /ho" + "me/somebody\n", "a path of one machine")
        self.found("rust/Cargo.toml", 'index = "https://pypi' + '.org/simple"\n', "a registry's host")
        self.found("src/engine/a.cc", "// TO" + "DO later\n", "without a name")
        self.clean("src/engine/a.cc", "// TO" + "DO(maria): later\n")
        self.found("README.md", "<" * 7 + " HEAD\n", "a conflict mark")
        self.clean("README.md", "tests/wo" + "rk/x and https://example.org/ho" + "me/y\n")

    def test_comments_and_strings_are_blanked_in_place(self):
        text = 'int a; // rand()\nchar c = \'"\'; const char* s = "\\"new"; int n = 1\'000; /* x\ny */ int b;\n'
        code = cpp_text.code_only(text)
        self.assertEqual(len(code), len(text))
        self.assertEqual(code.count("\n"), text.count("\n"))
        for word in ["rand", "new", "x\n"]:
            self.assertNotIn(word, code)
        self.assertIn("int b;", code)


class ObjectRules(unittest.TestCase):
    """Small sources compiled as the project's would be, listed as CMake lists them."""

    def findings(self, sources):
        """sources: {path: (text, flags)}"""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            entries = []
            for index, (name, (text, flags)) in enumerate(sources.items()):
                source = root / name
                source.parent.mkdir(parents=True, exist_ok=True)
                source.write_text(text)
                command = [COMPILER, *flags, "-c", str(source), "-o", f"{index}.o"]
                subprocess.run(command, cwd=root, check=True)
                entries.append({"directory": folder, "file": str(source), "command": " ".join(command)})
            (root / "compile_commands.json").write_text(json.dumps(entries))
            objects = object_rules.built_objects(root, root)
            self.assertEqual(len(objects), len(sources))
            return object_rules.check_objects(objects)

    def test_libm_is_not_for_kernels_model_and_sample(self):
        text = "#include <cmath>\ndouble f(double x) { return std::exp(x) + std::sin(x); }\n"
        text += "float g(float x) { return powf(x, x); }\n"
        for room in ["kernels", "model", "sample"]:
            lines = self.findings({f"src/{room}/a.cc": (text, ["-O1"])})
            self.assertEqual(sorted(line.split()[2] for line in lines), ["exp", "powf", "sin"])
        self.assertEqual(
            self.findings({"src/engine/a.cc": (text, ["-O1"]), "src/model/a_test.cc": (text, ["-O1"])}), []
        )
        harmless = "#include <cmath>\nvoid expand(); double f(double x) { expand(); return std::sqrt(x); }\n"
        self.assertEqual(self.findings({"src/model/a.cc": (harmless, ["-O1"])}), [])

    def test_wider_instruction_sets_define_nothing_weak(self):
        text = (
            "inline __attribute__((noinline)) int twice(int x) { return 2 * x; }\nint f(int x) { return twice(x); }\n"
        )
        for flags in [["-mavx512f"], ["-march=x86-64-v4"], ["-march=x86-64-v3", "-march=icelake-server"]]:
            lines = self.findings({"src/kernels/a.cc": (text, flags)})
            self.assertEqual(len(lines), 1, lines)
            self.assertIn("twice", lines[0])
        self.assertEqual(self.findings({"src/kernels/a.cc": (text, ["-march=x86-64-v3"])}), [])
        hidden = text.replace("inline __", "static inline __")
        self.assertEqual(self.findings({"src/kernels/a.cc": (hidden, ["-mavx512f"])}), [])

    def test_the_processor_check_runs_anywhere(self):
        text = "float f(const float* x) { float s = 0; for (int i = 0; i < 64; ++i) s += x[i] * x[i]; return s; }\n"
        lines = self.findings({"src/app/cpu_check.cc": (text, ["-O3", "-march=x86-64-v3"])})
        self.assertTrue(lines and all("has the instruction v" in line for line in lines), lines)
        self.assertEqual(
            self.findings({"src/app/cpu_check.cc": (text, ["-O3", "-march=x86-64-v3", "-march=x86-64"])}), []
        )
        weak = "inline __attribute__((noinline)) int g() { return 1; }\nint f() { return g(); }\n"
        self.assertEqual(len(self.findings({"src/app/cpu_check.cc": (weak, [])})), 1)

    @unittest.skipIf("clang" in COMPILER, "tidy reads gcc's loops only")
    def test_hot_loops_keep_their_sums_in_registers(self):
        flags = ["-O3", "-mavx2", "-mfma"]

        def sums(count):
            lanes = range(count)
            names = ", ".join(f"s{i} = _mm256_setzero_ps()" for i in lanes)
            turn = "\n".join(f"    s{i} = _mm256_fmadd_ps(w, _mm256_set1_ps(x[{i} * n + k]), s{i});" for i in lanes)
            stores = "\n".join(f"  _mm256_storeu_ps(v + {i} * 8, s{i});" for i in lanes)
            return f"""#include <immintrin.h>
void f(const float* m, const float* x, long n, float* v) {{
  __m256 {names};
  for (long k = 0; k < n; ++k) {{
    const __m256 w = _mm256_loadu_ps(m + k * 8);
{turn}
  }}
{stores}
}}
"""

        self.assertEqual(self.findings({"src/kernels/avx2_a.cc": (sums(12), flags)}), [])
        for name in ["src/kernels/avx2_a.cc", "src/kernels/avx512_a.cc"]:
            lines = self.findings({name: (sums(18), flags)})
            self.assertEqual(len(lines), 1, lines)
            self.assertTrue(lines[0].startswith(f"{name}: f(float const*, "), lines)
            self.assertIn("a hot loop spills", lines[0])
        # Nobody expects it of other sources, nor of a build for debugging.
        self.assertEqual(self.findings({"src/kernels/reference.cc": (sums(18), flags)}), [])
        self.assertEqual(self.findings({"src/kernels/avx2_a.cc": (sums(12), ["-O0", *flags[1:]])}), [])

    def test_what_a_spill_is(self):
        def spilled(*lines):
            rows = [f"  {index}:\t{line}" for index, line in enumerate(["mov %rsp,%rbp", *lines, "jne    1 <f+0x1>"])]
            [(name, body)] = spill_rules.read_functions("\n".join(["0000000000000000 <f>:", *rows]))
            self.assertEqual(name, "f")
            return [i.name for i in spill_rules.spills(body)]

        product = "vpmaddwd %ymm0,%ymm1,%ymm2"
        self.assertEqual(spilled("vmovdqa %ymm2,0x40(%rsp)", product), ["vmovdqa"])
        self.assertEqual(spilled(product, "vmovups -0x40(%rbp),%ymm2"), ["vmovups"])
        self.assertEqual(spilled("vpdpwssd %zmm0,%zmm1,%zmm2", "vmovdqa64 %zmm2,(%rsp)"), ["vmovdqa64"])
        for harmless in [
            "vmovdqa %ymm2,0x40(%rsp,%rax,4)",  # an array
            "vmovdqa %ymm2,0x40(%rax)",
            "mov    %rdx,0x40(%rsp)",  # a pointer
            "vfmadd213ps 0x40(%rsp),%ymm1,%ymm2",  # a constant
            "vpandd 0x40(%rsp){1to16},%zmm1,%zmm2",
            "vbroadcastss 0x40(%rsp),%ymm2",
        ]:
            self.assertEqual(spilled(harmless, product), [], harmless)
        self.assertEqual(spilled("vmovdqa %ymm2,0x40(%rsp)", "vpaddd %ymm0,%ymm1,%ymm2"), [])  # a loop that is not hot
        # What stands between two inner loops is not in an inner loop.
        self.assertEqual(spilled(product, "jne    2 <f+0x2>", "vmovdqa %ymm2,0x40(%rsp)", product), [])


if __name__ == "__main__":
    unittest.main()
