#!/usr/bin/env python3
"""tools/plot_bench.py on made-up figures (figures.json): tables with their numbers, plots that are whole XML.

python3 tests/tools/plot_bench_test.py ROOT_FOLDER
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(sys.argv.pop(1))
FIGURES = ROOT / "tests" / "tools" / "figures.json"
PAGE = ROOT / "docs" / "benchmarks.md"
SVG = "{http://www.w3.org/2000/svg}"

sys.path.insert(0, str(ROOT / "tools"))
import plot_bench  # noqa: E402


def table_of(page, name):
    """The rows below the head, as lists of cells."""
    text = re.search(rf"<!-- table {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()[2:]]


class PlotBench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
            command = [sys.executable, ROOT / "tools" / "plot_bench.py", "--docs", page, "--machine", "a machine"]
            for _ in range(2):  # the second time the tables are there
                subprocess.run([*command, FIGURES], check=True)
            cls.page = page.read_text(encoding="utf-8")
            cls.plots = {path.name: path.read_text(encoding="utf-8") for path in pathlib.Path(folder).glob("*.svg")}

    def test_each_table_of_the_page_has_the_numbers(self):
        for name, row in [
            ("machine", ["read of memory, 2 threads", "31.2 GB/s"]),
            ("decode", ["shape-b", "512", "170", "200", "85 %"]),
            ("batch", ["shape-a", "42.5 (85 %)", "80.0 (80 %)", "150 (75 %)", "256 (80 %)"]),
            ("prefill", ["shape-b", "1200 (75 %)", "–"]),
            ("speed-up", ["shape-a", "42.5", "150", "3.53 ×", "4.00 ×"]),
            ("first token", ["shape-a", "3.12 ms", "875 ms", "40.0"]),
            ("serve", ["shape-a", "16", "250", "256", "2.3 %", "62.5 / 125", "62.5 / 125", "0"]),
            ("interval", ["shape-a", "10", "240", "250", "0.12", "625", "0"]),
            ("simple", ["shape-a", "42.5", "42.4", "0.24 %"]),
            ("start", ["shape-a", "0.50 s", "862 of 1100 MB", "0.10 %"]),
            ("lookup", ["code, changed", "50.0", "75.0", "1.50 ×", "60 %"]),
        ]:
            with self.subTest(name):
                self.assertIn(row, table_of(self.page, name))
        self.assertIn("Measured on: a machine.", self.page)

    def test_the_page_and_the_tool_know_the_same_tables(self):
        names = re.findall(r"<!-- table ([\w -]+?) -->", PAGE.read_text(encoding="utf-8"))
        self.assertEqual(sorted(names), sorted([*plot_bench.TABLES, "of"]))

    def test_a_context_of_another_length_is_in_no_table_of_batches(self):
        self.assertEqual(len(table_of(self.page, "batch")), 2)

    def test_what_nothing_is_known_of_stays_as_it_is(self):
        page = "a\n<!-- table decode -->\nold\n<!-- end -->\nb <!-- table of -->\n<!-- end -->"
        self.assertEqual(plot_bench.fill_page(page, {}, None), page)

    def test_a_table_that_nobody_makes_is_named(self):
        with self.assertRaisesRegex(SystemExit, "no such"):
            plot_bench.fill_page("<!-- table no such -->\n<!-- end -->", {}, None)

    def test_plots_are_whole_and_have_a_dot_for_each_figure_and_a_limit_for_each_shape(self):
        self.assertEqual(sorted(self.plots), ["step-time.svg", "throughput.svg"])
        for name, text in self.plots.items():
            with self.subTest(name):
                svg = xml.etree.ElementTree.fromstring(text)
                self.assertEqual(svg.tag, f"{SVG}svg")
                dots = svg.findall(f".//{SVG}circle")
                self.assertEqual(len(dots), 8)
                limits = [line for line in svg.findall(f".//{SVG}polyline") if line.get("class") == "limit"]
                self.assertEqual(len(limits), 2)
                self.assertIn("prefers-color-scheme: dark", svg.find(f"{SVG}style").text)
                width, height = map(float, svg.get("viewBox").split()[2:])
                for dot in dots:
                    self.assertTrue(0 < float(dot.get("cx")) < width and 0 < float(dot.get("cy")) < height)
        self.assertIn("5: 150 (75 %) tokens/s", self.plots["throughput.svg"])

    def test_more_is_higher_and_the_limit_of_a_throughput_is_above_it(self):
        svg = xml.etree.ElementTree.fromstring(self.plots["throughput.svg"])

        def heights(css):
            line = next(line for line in svg.findall(f".//{SVG}polyline") if line.get("class") == css)
            return [float(point.split(",")[1]) for point in line.get("points").split()]

        values, limits = heights("value"), heights("limit")
        self.assertEqual(values, sorted(values, reverse=True))
        self.assertTrue(all(limit < value for limit, value in zip(limits, values)))

    def test_ticks_are_few_and_round_and_reach_the_top(self):
        for most in (0.07, 1, 9.9, 41, 100, 101, 640, 12345):
            ticks = plot_bench.ticks(most)
            self.assertGreaterEqual(ticks[-1], most)
            self.assertTrue(3 <= len(ticks) <= 6, ticks)
        self.assertEqual(plot_bench.ticks(640), [0, 200, 400, 600, 800])

    def test_names_are_written_as_text(self):
        figures = {'batch <a&"b> 1': {"value": 1, "unit": "tokens/s", "limit": None, "share": None}}
        xml.etree.ElementTree.fromstring(plot_bench.plots(figures)["throughput.svg"])


if __name__ == "__main__":
    unittest.main()
