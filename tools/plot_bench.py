#!/usr/bin/env python3
"""The tables and plots of docs/benchmarks.md, out of what `slipstream bench ... --json` has said.

    python3 tools/plot_bench.py --docs docs/benchmarks.md --machine "NAME" RESULTS.json...

Each file is one command's list of figures; a figure that comes twice is taken from the last file. In the page, what
stands between <!-- table NAME --> and <!-- end --> is written anew where the figures have something for that table, and
left alone where they have not. The plots go beside the page, one file for light and dark (the SVG's own style asks
what the reader prefers).
"""

import argparse
import collections
import json
import math
import pathlib
import re
import sys
from xml.sax.saxutils import escape

NOTHING = "–"
GOAL_STREAMS = (1, 5)  # of the table of speed-ups


def read_figures(paths):
    """{name: figure} of all files."""
    figures = {}
    for path in paths:
        for figure in json.loads(pathlib.Path(path).read_text(encoding="utf-8")):
            figures[figure["name"]] = figure
    return figures


def matching(figures, pattern):
    """[(match of the whole name, figure)]"""
    found = ((re.fullmatch(pattern, name), figure) for name, figure in figures.items())
    return [(match, figure) for match, figure in found if match]


def by_shape(figures, pattern):
    """{shape: {number: figure}} of names with the groups shape and n, in the order of the figures."""
    shapes = collections.defaultdict(dict)
    for match, figure in matching(figures, pattern):
        shapes[match["shape"]][int(match["n"])] = figure
    return shapes


def batches(figures):
    return by_shape(figures, r"batch (?P<shape>\S+) (?P<n>\d+)")


def steps(figures):
    return by_shape(figures, r"step (?P<shape>\S+) (?P<n>\d+)")


# -- tables ------------------------------------------------------------------------------------------------------


def number(value):
    """Three figures, as people read them: 1234, 123, 12.3, 1.23."""
    if value is None:
        return NOTHING
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def percent(share):
    return NOTHING if share is None else f"{share * 100:.0f} %"


def cell(figure):
    """43.2 (87 %): the value, and its share of the limit."""
    if figure is None:
        return NOTHING
    share = figure.get("share")
    return number(figure["value"]) + (f" ({percent(share)})" if share is not None else "")


def table(head, rows):
    if not rows:
        return None
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine_table(figures):
    rows = matching(figures, r"(read of memory.*|int16 products.*|fp32 FMA.*)")
    cells = [[match[0], f'{number(found["value"])} {found["unit"]}'] for match, found in rows]
    return table(["what", "at the most"], cells)


def decode_table(figures):
    rows = []
    for match, figure in matching(figures, r"decode (?P<shape>\S+) ctx (?P<context>\d+)"):
        row = [match["shape"], match["context"], number(figure["value"]), number(figure.get("limit"))]
        rows.append([*row, percent(figure.get("share"))])
    return table(["shape", "context", "tokens/s", "limit", "share"], rows)


def numbers_of(shapes):
    return sorted({n for row in shapes.values() for n in row})


def batch_table(figures):
    shapes = batches(figures)
    columns = numbers_of(shapes)
    rows = [[shape, *(cell(row.get(n)) for n in columns)] for shape, row in shapes.items()]
    return table(["shape", *map(str, columns)], rows)


def prefill_table(figures):
    shapes = by_shape(figures, r"prefill (?P<shape>\S+) (?P<n>\d+)")
    columns = numbers_of(shapes)
    rows = [[shape, *(cell(row.get(n)) for n in columns)] for shape, row in shapes.items()]
    return table(["shape", *(f"{n} tokens" for n in columns)], rows)


def speed_up_table(figures):
    """Single, batch of five, and how much faster five are: also how much faster the limit says they could be."""
    rows = []
    for shape, row in batches(figures).items():
        one, five = (row.get(n) for n in GOAL_STREAMS)
        if one is None or five is None:
            continue
        limits = [found.get("limit") for found in (one, five)]
        at_most = limits[1] / limits[0] if all(limits) else None
        factor = five["value"] / one["value"]
        most = NOTHING if at_most is None else f"{at_most:.2f} ×"
        rows.append([shape, number(one["value"]), number(five["value"]), f"{factor:.2f} ×", most])
    return table(["shape", "single, tokens/s", "batch of 5, tokens/s", "speed-up", "the limit's own"], rows)


def first_token_table(figures):
    """Of one stream over HTTP (bench serve, with --chat for a first event that is not the first text)."""
    rows = []
    for match, figure in matching(figures, r"serve (?P<shape>\S+) 1"):
        event, text = (figures.get(f"{match[0]} TTFT first {what} P50") for what in ("event", "text"))
        row = [f"{number(found['value'])} ms" if found else NOTHING for found in (event, text)]
        rows.append([match["shape"], *row, number(figure["value"])])
    return table(["shape", "TTFT, first event", "TTFT, first text", "tokens/s"], rows)


def serve_table(figures):
    rows = []
    for match, figure in matching(figures, r"serve (?P<shape>\S+) (?P<load>\S+)"):
        overhead = figures.get(f"{match[0]} HTTP overhead")
        spreads = []
        for what in ("TTFT first text", "ITL"):
            both = [figures.get(f"{match[0]} {what} {which}") for which in ("P50", "P99")]
            spreads.append(" / ".join(number(found["value"] if found else None) for found in both))
        failed = figures.get(f"{match[0]} failed")
        row = [match["shape"], match["load"], number(figure["value"]), number(figure.get("limit"))]
        row += [f"{overhead['value']:.1f} %" if overhead else NOTHING, *spreads]
        rows.append([*row, f"{failed['value']:.0f}" if failed else NOTHING])
    head = ["shape", "streams, or requests/s", "tokens/s", "without HTTP", "overhead", "TTFT P50 / P99, ms"]
    return table([*head, "ITL P50 / P99, ms", "failed"], rows)


def interval_table(figures):
    rows = []
    for match, figure in matching(figures, r"interval (?P<shape>\S+) (?P<n>\d+)"):
        events, between, different = (
            figures.get(f"{match[0]} {what}") for what in ("events for a token", "ITL P50", "answers with another text")
        )
        row = [match["shape"], match["n"], number(figure["value"]), number(figure.get("limit"))]
        row += [number(found["value"] if found else None) for found in (events, between)]
        rows.append([*row, f"{different['value']:.0f}" if different else NOTHING])
    head = ["shape", "--stream-interval", "tokens/s", "without HTTP", "events a token", "ITL P50, ms"]
    return table([*head, "answers with another text"], rows)


def simple_table(figures):
    rows = []
    for match, figure in matching(figures, r"simple (?P<shape>\S+)"):
        apart = figures.get(f"{match[0]} apart")
        row = [match["shape"], number(figure["value"]), number(figure.get("limit"))]
        rows.append([*row, f"{apart['value']:.2f} %" if apart else NOTHING])
    return table(["shape", "simple mode, tokens/s", "batched at width 1, tokens/s", "apart"], rows)


def start_table(figures):
    rows = []
    for match, figure in matching(figures, r"start (?P<shape>\S+) first token"):
        memory, idle = (figures.get(f"start {match['shape']} {what}") for what in ("peak memory", "idle"))
        row = [match["shape"], f"{number(figure['value'])} s"]
        row += [f"{memory['value']:.0f} of {memory['limit']:.0f} MB" if memory else NOTHING]
        rows.append([*row, f"{idle['value']:.2f} %" if idle else NOTHING])
    return table(["shape", "start to first token", "most memory, of what is allowed", "processor time when idle"], rows)


def lookup_table(figures):
    rows = []
    for match, figure in matching(figures, r"lookup (?P<what>.+), ratio"):
        name = f"lookup {match['what']}"
        without, drafted, accepted = (figures.get(f"{name}, {what}") for what in ("without", "with", "accepted"))
        row = [match["what"], *(number(found["value"] if found else None) for found in (without, drafted))]
        share = accepted.get("share") if accepted else None
        rows.append([*row, f"{figure['value']:.2f} ×", percent(share)])
    return table(["question", "without, tokens/s", "with, tokens/s", "gain", "tokens of drafts"], rows)


TABLES = {
    "machine": machine_table,
    "speed-up": speed_up_table,
    "first token": first_token_table,
    "decode": decode_table,
    "batch": batch_table,
    "prefill": prefill_table,
    "serve": serve_table,
    "interval": interval_table,
    "simple": simple_table,
    "start": start_table,
    "lookup": lookup_table,
}


def fill_page(page, figures, machine):
    """The page with its tables written anew."""
    written = {name: make(figures) for name, make in TABLES.items()}
    written["of"] = f"Measured on: {machine}." if machine else None

    def fill(match):
        name = match[1]
        if name not in written:
            sys.exit(f"plot_bench.py: the page has a table '{name}'; there are: {', '.join(written)}")
        return match[0] if written[name] is None else f"<!-- table {name} -->\n\n{written[name]}\n\n<!-- end -->"

    return re.sub(r"<!-- table ([\w -]+?) -->\n.*?<!-- end -->", fill, page, flags=re.DOTALL)


# -- plots -------------------------------------------------------------------------------------------------------

# A panel for each shape: the figures over the batch with dots, the limit dashed.
PANEL_WIDTH, PANEL_HEIGHT = 340, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 40
COLUMNS = 2
HEAD = 58
STYLE = """
  svg { background: #ffffff; font-family: system-ui, sans-serif; font-size: 12px }
  text { fill: #3d4450 } .title { font-size: 16px; font-weight: 600; fill: #15181d } .name { font-weight: 600 }
  .grid { stroke: #e2e5ea } .axis { stroke: #8b93a0 }
  .value { stroke: #1763c6; fill: none; stroke-width: 2 } .dot { fill: #1763c6 }
  .limit { stroke: #b3541e; fill: none; stroke-width: 1.5; stroke-dasharray: 5 4 }
  @media (prefers-color-scheme: dark) {
    svg { background: #14171c }
    text { fill: #b9c0cb } .title { fill: #eef1f5 }
    .grid { stroke: #2b3038 } .axis { stroke: #6d7684 }
    .value { stroke: #6cabff } .dot { fill: #6cabff }
    .limit { stroke: #f0955c }
  }
"""


def ticks(most):
    """0, and at most six round numbers up to the first that is not below `most`."""
    step = 10 ** math.floor(math.log10(most / 5))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor * 5 >= most)
    return [step * i for i in range(math.ceil(most / step) + 1)]


class Panel:
    """One shape's figures {batch: figure}, in the frame whose corner is at left, top."""

    def __init__(self, shape, row, left, top):
        self.shape, self.row = shape, dict(sorted(row.items()))
        self.left, self.top = left + LEFT, top + TOP
        self.width, self.height = PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM
        highest = max(value for found in row.values() for value in (found["value"], found.get("limit") or 0))
        self.ticks = ticks(highest)
        self.first, self.last = (math.log2(edge) for edge in (min(row), max(row)))

    def x(self, batch):
        part = (math.log2(batch) - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return self.left + part * self.width

    def y(self, value):
        return self.top + self.height * (1 - value / self.ticks[-1])

    def line(self, css, points):
        return f'<polyline class="{css}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'

    def draw(self):
        out = [f'<text class="name" x="{self.left}" y="{self.top - 12}">{escape(self.shape)}</text>']
        right, bottom = self.left + self.width, self.top + self.height
        for tick in self.ticks:
            css, y = "axis" if tick == 0 else "grid", self.y(tick)
            out.append(f'<line class="{css}" x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            out.append(f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        for batch in self.row:
            out.append(f'<text x="{self.x(batch):.1f}" y="{bottom + 17}" text-anchor="middle">{batch}</text>')
        limits = [(self.x(n), self.y(found["limit"])) for n, found in self.row.items() if found.get("limit")]
        values = [(self.x(n), self.y(found["value"])) for n, found in self.row.items()]
        out += [self.line("limit", limits)] if limits else []
        out.append(self.line("value", values))
        for (n, found), (x, y) in zip(self.row.items(), values):
            said = f'{n}: {cell(found)} {found["unit"]}'
            out.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(said)}</title></circle>')
        return out


def plot(title, under, shapes):
    """An SVG of a panel for each shape."""
    columns = min(COLUMNS, len(shapes))
    width, height = max(columns * PANEL_WIDTH, 2 * PANEL_WIDTH), HEAD + math.ceil(len(shapes) / columns) * PANEL_HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">']
    out += [f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>"]
    out.append(f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>')
    out.append(f'<line class="value" x1="{LEFT}" x2="{LEFT + 24}" y1="44" y2="44"/>')
    out.append(f'<text x="{LEFT + 30}" y="48">measured</text>')
    out.append(f'<line class="limit" x1="{LEFT + 110}" x2="{LEFT + 134}" y1="44" y2="44"/>')
    out.append(f'<text x="{LEFT + 140}" y="48">the machine\'s limit in the same run</text>')
    out.append(f'<text x="{width - RIGHT}" y="48" text-anchor="end">across: {escape(under)}</text>')
    for place, (shape, row) in enumerate(shapes.items()):
        row_of_panels, column = divmod(place, columns)
        out += Panel(shape, row, column * PANEL_WIDTH, HEAD + row_of_panels * PANEL_HEIGHT).draw()
    return "\n".join([*out, "</svg>", ""])


def plots(figures):
    """{file name: SVG} of what there are figures for."""
    made = {}
    for name, title, under, shapes in [
        ("throughput.svg", "Tokens a second of all answers together", "answers at a time", batches(figures)),
        ("step-time.svg", "Milliseconds of a step", "rows of the step", steps(figures)),
    ]:
        if shapes:
            made[name] = plot(title, under, shapes)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="RESULTS.json")
    parser.add_argument("--docs", type=pathlib.Path, required=True, help="the page whose tables are filled")
    parser.add_argument("--machine", help="whose figures they are")
    given = parser.parse_args()
    figures = read_figures(given.results)
    page = fill_page(given.docs.read_text(encoding="utf-8"), figures, given.machine)
    given.docs.write_text(page, encoding="utf-8")
    for name, svg in plots(figures).items():
        given.docs.with_name(name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
