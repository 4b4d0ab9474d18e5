"""Draws the history of the benchmarks: ratios over commits, one panel for each data set.

    python benchmarks/plot.py [--history FILE] [--out FILE]

The drawing is an SVG file that any browser shows. Only rows of the machine that measured last are
drawn, and of those only what has a ratio; a commit with changes on top of it has an asterisk. Where
one commit was measured several times the point is the median, and the bar goes from the least to
the most. Point at a point with the mouse to see its figures.
"""

import argparse
import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from history import add_option

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1000, 60, 340, 46, 34
LINE = 14
"""Height of a line of text [pixels]."""
LEAST_HEIGHT = 160
OUTER = 1.15
"""Factor by which the axis goes beyond the values."""
ONE = 1.0
"""Ratio of the yardstick itself."""

Row = Mapping[str, Any]
Series = Mapping[str, Mapping[str, Sequence[float]]]
"""Ratios by name of the row, and by commit."""


class Scale(NamedTuple):
    """Logarithmic axis of a panel: the least and the most ratio, and where they are [pixels]."""

    least: float
    most: float
    bottom: float
    top: float

    def y(self, ratio: float) -> float:
        """Height of a ratio."""
        part = math.log(ratio / self.least) / math.log(self.most / self.least)
        return self.bottom - part * (self.bottom - self.top)

    def ticks(self) -> list[float]:
        """Values 1, 2, 5, 10 ... within the axis."""
        decades = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        values = (step * 10.0**decade for decade in decades for step in (1, 2, 5))
        return [value for value in values if self.least <= value <= self.most]


def read(path: Path) -> list[Row]:
    """Rows of the machine that measured last."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    of = [(row["machine"]["processor"], row["machine"]["cores"]) for row in rows]
    kept = [row for row, machine in zip(rows, of, strict=True) if machine == of[-1]]
    if len(kept) < len(rows):
        print(f"{len(rows) - len(kept)} rows of other machines are not drawn", file=sys.stderr)
    return kept


def name_of(row: Row) -> str:
    """What the commit of a row is called."""
    return (row["commit"] or "?")[:7] + ("*" if row["dirty"] else "")


def panels(rows: Iterable[Row]) -> dict[str, Series]:
    """Series of each panel, by its title."""
    found: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        title = f"{row['data'] or row['benchmark']} ({row['interpreter']} interpreter)"
        if row["ratio"] and row["ratio"] != ONE:
            series = found[title][row["row"]]
            series.setdefault(name_of(row), []).append(row["ratio"])
    return {title: dict(series) for title, series in found.items()}


def apart(heights: Sequence[float], top: float) -> list[float]:
    """Heights of labels that do not cover each other, near those wanted, in their order."""
    order = sorted(range(len(heights)), key=lambda n: -heights[n])
    places = [0.0] * len(heights)
    below = math.inf
    for n in order:
        below = places[n] = min(heights[n], below - LINE)
    above = top - LINE
    for n in reversed(order):
        above = places[n] = max(places[n], above + LINE)
    return places


def text(x: float, y: float, words: str, **more: str) -> str:
    """Words, beginning at a point."""
    extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(words)}</text>'


def draw_line(
    points: Mapping[float, Sequence[float]], scale: Scale, name: str, colour: str
) -> list[str]:
    """One row of a benchmark: its ratios by where they are on the other axis."""
    middle = {x: statistics.median(ratios) for x, ratios in points.items()}
    path = " ".join(f"{x:.1f},{scale.y(ratio):.1f}" for x, ratio in middle.items())
    made = [f'<polyline points="{path}" fill="none" stroke="{colour}"/>']
    for x, ratios in points.items():
        low, high = scale.y(min(ratios)), scale.y(max(ratios))
        says = escape(f"{name}: {middle[x]:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        made += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}"/>',
            (
                f'<circle cx="{x:.1f}" cy="{scale.y(middle[x]):.1f}" r="3" fill="{colour}">'
                f"<title>{says}</title></circle>"
            ),
        ]
    return made


def draw_panel(title: str, series: Series, commits: Sequence[str], top: float) -> list[str]:
    """A panel, and at its end an element that says how high it is."""
    height = max(LEAST_HEIGHT, LINE * (len(series) + 1))
    every = [one for line in series.values() for ratios in line.values() for one in ratios]
    least, most = min([*every, ONE]) / OUTER, max([*every, ONE]) * OUTER
    scale = Scale(least, most, top + TOP + height, top + TOP)
    shown = [one for one in commits if any(one in line for line in series.values())]
    step = (WIDTH - LEFT - RIGHT) / max(len(shown), 1)
    places = {commit: LEFT + step * (n + 0.5) for n, commit in enumerate(shown)}
    made = [text(LEFT, top + TOP - LINE, title, font_weight="bold")]
    for tick in scale.ticks():
        grey = "#888" if tick == ONE else "#ddd"
        y = scale.y(tick)
        made.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{grey}"/>')
        made.append(text(LEFT - 6, y + 4, f"{tick:g}", text_anchor="end"))
    every_nth = max(1, math.ceil(60 / step))
    made += [
        text(places[commit], scale.bottom + LINE, commit, text_anchor="middle")
        for commit in shown[::-1][::every_nth]
    ]
    lasts = [statistics.median(list(line.values())[-1]) for line in series.values()]
    labels = apart([scale.y(one) + 4 for one in lasts], scale.top)
    for number, (name, line) in enumerate(series.items()):
        colour = f"hsl({360 * number // len(series)}, 70%, 38%)"
        ordered = {places[commit]: line[commit] for commit in shown if commit in line}
        made += draw_line(ordered, scale, name, colour)
        words = f"{lasts[number]:.2f}  {name}"
        made.append(text(WIDTH - RIGHT + 10, labels[number], words, fill=colour))
    return made


def draw(rows: Sequence[Row]) -> str:
    """All panels, one below the other."""
    ordered = sorted(rows, key=lambda row: (row["committed"] or "", row["dirty"], row["date"]))
    commits = list(dict.fromkeys(name_of(row) for row in ordered))
    top = 30.0
    made = [text(LEFT, 20, "Speed over that of bare cached fastavro (or a benchmark's yardstick)")]
    for title, series in panels(ordered).items():
        made += draw_panel(title, series, commits, top)
        top += TOP + max(LEAST_HEIGHT, LINE * (len(series) + 1)) + BOTTOM
    size = f'width="{WIDTH}" height="{top:.0f}" viewBox="0 0 {WIDTH} {top:.0f}"'
    style = 'font-family="sans-serif" font-size="12"'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    return "\n".join([head, paper, *made, "</svg>\n"])


def main() -> None:
    """Draw, and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_option(parser)
    parser.add_argument("--out", type=Path, help="default: the history's name, with .svg")
    options = parser.parse_args()
    if not options.history.exists():
        print(f"{options.history} is not there, so nothing is drawn")
        return
    out = options.out or options.history.with_suffix(".svg")
    out.write_text(draw(read(options.history)), encoding="utf-8")
    print(f"drawn: {out}")


if __name__ == "__main__":
    main()
