"""Charts as HTML with inline SVG: curves over epochs, readable without a program and in print.

Lines are stretched to the room that there is and labels are text of the page, so that both stay
readable on a phone. `static/report.js` shows the values at a place; without it the legend has
those of the end.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Sequence

from darts_tf.report.html import text

COLORS, DASHES = 8, 4
"""Lines differ in both, so that up to `LINES` of them can be told apart without their colours."""

LINES = 16

MOST_POINTS = 300
"""Of a line; where there are more, evenly chosen ones are drawn, the last among them."""

LOGARITHMIC = 100
"""Axes are logarithmic where the largest number is so many times the smallest, or more."""

NARROWEST = 1e-3
"""An axis leaves so much room around values that hardly differ, as a share of them."""

LARGEST = 1e30
"""Numbers beyond are no measurements, and are left out like those that are not finite."""

_SIZE = 1000
"""Of the SVG's coordinates, before they are stretched."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: in the legend.
        points: an epoch, counted from 0, and a value for each; None where there is none.
    """

    name: str
    points: tuple[tuple[int, float | None], ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """What values a chart shows, and where.

    Attributes:
        low: at the bottom.
        high: at the top.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """0 at the bottom, 1 at the top."""
        low, high, value = (self._scaled(each) for each in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values along it."""
        if not self.log:
            return ticks(self.low, self.high)
        first, last = (math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
        step = max(1, math.ceil((last - first) / 6))
        powers = (10.0**power for power in range(first, last + 1, step))
        return [power for power in powers if self.low <= power <= self.high]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def axis_of(values: Sequence[float]) -> Axis:
    """An axis that has room for all values, logarithmic where they are far apart."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and high / low >= LOGARITHMIC:
        return Axis(low / 1.15, high * 1.15, log=True)
    room = max(0.05 * (high - low), NARROWEST * max(abs(low), abs(high))) or 1.0
    bottom = 0.0 if 0 <= low <= 0.4 * high else low - room
    return Axis(bottom, high + room)


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: no number is below.
        high: no number is above.
        most: of them, at least.
        whole: without fractions.
    """
    if not low < high:
        return [low]
    rough = (high - low) / most
    if rough < sys.float_info.min:  # their logarithms and quotients are not exact
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def labels(values: Sequence[float]) -> list[str]:
    """Ticks as texts that differ."""
    step = min((b - a for a, b in itertools.pairwise(values)), default=abs(values[0]) or 1.0)
    largest = max(map(abs, values))
    power = math.floor(math.log10(step) + 1e-9)
    if largest >= 1e6 or step < 1e-5:
        digits = math.floor(math.log10(max(largest, step))) - power + 1
        return [f"{value:.{digits}g}" for value in values]
    return [f"{value:,.{max(0, -power)}f}" for value in values]


def number(value: float | None) -> str:
    """A measurement for people: four digits."""
    if value is None:
        return "–"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def measured(value: object) -> float | None:
    """A value as a chart can draw it; None for what is no number, or none that can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= LARGEST else None


def line_chart(title: str, lines: Sequence[Line], axis: Axis | None = None) -> str:
    """A chart of lines over epochs, with a legend that has the last value of each.

    Args:
        title: of the chart.
        lines: some; of more than `LINES` the first are drawn, and that is said.
        axis: of the values; by default one that has room for all.
    """
    drawn = [thinned(line) for line in lines[:LINES]]
    epochs = sorted({epoch for line in drawn for epoch, _ in line.points})
    known = [value for line in drawn for _, value in line.points if value is not None]
    if not known:
        return ""
    axis = axis or axis_of(known)
    alone = epochs[0] == epochs[-1]
    width = (epochs[0] - alone, epochs[-1] + alone)
    note = "logarithmic" if axis.log else ""
    if len(lines) > LINES:
        note = f"{note}, " * bool(note) + f"the first {LINES} of {len(lines)}"
    paths = "".join(
        f'<path class="line {_look(i)}" d="{_path(line.points, width, axis)}"/>'
        for i, line in enumerate(drawn)
    )
    legend = "".join(_entry(i, line, epochs) for i, line in enumerate(drawn))
    return (
        f'<figure class="chart" data-x="{json.dumps(epochs)}" data-width="{json.dumps(width)}">'
        f"<figcaption>{text(title)} <small>{text(note)}</small></figcaption>"
        f'<div class="plot" tabindex="0" role="img" aria-label="{text(title)}, by epoch">'
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" preserveAspectRatio="none" aria-hidden="true">'
        f'{_grid(axis)}{paths}<path class="rule" d=""/></svg>{_labels(axis, width, alone)}</div>'
        f'<p class="at">in the end</p><ul class="legend">{legend}</ul></figure>'
    )


def thinned(line: Line) -> Line:
    """The same with at most `MOST_POINTS` points."""
    step = math.ceil(len(line.points) / MOST_POINTS) or 1
    return Line(line.name, line.points[::-1][::step][::-1])


def _look(index: int) -> str:
    """Classes of the style sheet: of the colour, and of the dashes."""
    return f"c{index % COLORS} d{index // (COLORS // 2) % DASHES}"


def _path(points, width: tuple[int, int], axis: Axis) -> str:
    """The line through all points, interrupted where there is no value; a cross for a lone one."""
    words, run = [], []
    for epoch, value in (*points, (0, None)):
        if value is not None:
            x = _SIZE * (epoch - width[0]) / (width[1] - width[0])
            run.append(f"{x:.1f} {_SIZE * (1 - axis.place(value)):.1f}")
            continue
        if len(run) == 1:
            words.append(f"M{run[0]}m-8 0h16m-8 -20v40")
        elif run:
            words.append("M" + "L".join(run))
        run = []
    return "".join(words)


def _grid(axis: Axis) -> str:
    rows = "".join(f"M0 {_SIZE * (1 - axis.place(tick)):.1f}H{_SIZE}" for tick in axis.ticks())
    return f'<path class="grid" d="{rows}M0 0V{_SIZE}H{_SIZE}"/>'


def _labels(axis: Axis, width: tuple[int, int], alone: bool) -> str:
    """Values along the left, epochs below, counted from 1."""
    ends = axis.ticks()
    written = [f"{tick:g}" for tick in ends] if axis.log else labels(ends)
    values = (
        f'<span class="y" style="top:{100 * (1 - axis.place(tick)):.2f}%">{label}</span>'
        for tick, label in zip(ends, written, strict=True)
    )
    middle = width[0] + 2  # the one epoch that there is
    numbers = [middle] if alone else ticks(width[0] + 1, width[1] + 1, most=6, whole=True)
    epochs = (
        f'<span class="x" style="left:{100 * (tick - 1 - width[0]) / (width[1] - width[0]):.2f}%">'
        f"{tick:.0f}</span>"
        for tick in numbers
    )
    return "".join((*values, *epochs))


def _entry(index: int, line: Line, epochs: Sequence[int]) -> str:
    by_epoch = dict(line.points)
    values = [by_epoch.get(epoch) for epoch in epochs]
    shown = [number(value) for value in values]
    last = next((value for _, value in line.points[::-1] if value is not None), None)
    return (
        f'<li data-values="{text(json.dumps(shown, ensure_ascii=False))}">'
        f'<svg class="key" viewBox="0 0 24 8" aria-hidden="true">'
        f'<path class="{_look(index)}" d="M0 4H24"/></svg>'
        f"<span>{text(line.name)}</span> <b>{number(last)}</b></li>"
    )
