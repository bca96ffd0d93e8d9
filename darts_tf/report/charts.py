"""Line charts over epochs, as HTML with inline SVG. They need no JavaScript and can be printed.

The SVG stretches to the available width while labels are HTML text, so that both are readable on
a phone. `static/report.js` shows the values at the pointer; without it the legend shows the last
values.
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
"""Numbers of colors and of dash patterns: up to `LINES` lines differ, even in grayscale."""

LINES = 16
"""Largest number of lines in a chart."""

MOST_POINTS = 300
"""Largest number of points of a line. Longer lines are sampled evenly, ending at the last point."""

LOGARITHMIC = 100
"""Least ratio of the largest to the smallest value for which an axis is logarithmic."""

NARROWEST = 1e-3
"""Least margin of an axis around its values, relative to the largest of them."""

LARGEST = 1e30
"""Largest absolute value that is drawn. Larger ones are left out, as are NaN and infinity."""

_SIZE = 1000
"""Width and height of the SVG's coordinate system before it is stretched."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: the text of the legend.
        points: (epoch, value) pairs; epochs count from 0, and missing values are None.
    """

    name: str
    points: tuple[tuple[int, float | None], ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """The value axis of a chart.

    Attributes:
        low: the value at the bottom.
        high: the value at the top.
        log: True for a logarithmic axis.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Returns the relative height of a value: 0 at the bottom, 1 at the top."""
        low, high, value = (self._scaled(each) for each in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Returns round values along the axis."""
        if not self.log:
            return ticks(self.low, self.high)
        first, last = (math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
        step = max(1, math.ceil((last - first) / 6))
        powers = (10.0**power for power in range(first, last + 1, step))
        return [power for power in powers if self.low <= power <= self.high]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def axis_of(values: Sequence[float]) -> Axis:
    """Returns an axis that fits all values, logarithmic if they span a factor of `LOGARITHMIC`."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and high / low >= LOGARITHMIC:
        return Axis(low / 1.15, high * 1.15, log=True)
    room = max(0.05 * (high - low), NARROWEST * max(abs(low), abs(high))) or 1.0
    bottom = 0.0 if 0 <= low <= 0.4 * high else low - room
    return Axis(bottom, high + room)


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> list[float]:
    """Returns round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: the lower bound.
        high: the upper bound.
        most: the approximate upper bound on their number.
        whole: True for integers only.
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
    """Formats ticks with as many digits as they need to differ."""
    step = min((b - a for a, b in itertools.pairwise(values)), default=abs(values[0]) or 1.0)
    largest = max(map(abs, values))
    power = math.floor(math.log10(step) + 1e-9)
    if largest >= 1e6 or step < 1e-5:
        digits = math.floor(math.log10(max(largest, step))) - power + 1
        return [f"{value:.{digits}g}" for value in values]
    return [f"{value:,.{max(0, -power)}f}" for value in values]


def number(value: float | None) -> str:
    """Formats a measurement with three or four significant digits; None as a dash."""
    if value is None:
        return "–"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def measured(value: object) -> float | None:
    """Returns a value as a float; None if it is no number, not finite, or beyond `LARGEST`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= LARGEST else None


def line_chart(title: str, lines: Sequence[Line], axis: Axis | None = None) -> str:
    """Returns a chart of lines over epochs, with a legend of their last values; "" without values.

    Args:
        title: the caption of the chart.
        lines: the curves. Only the first `LINES` are drawn, and the caption says so.
        axis: the value axis; by default one that fits all values.
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
        f'<p class="at">last epoch</p><ul class="legend">{legend}</ul></figure>'
    )


def thinned(line: Line) -> Line:
    """Samples at most `MOST_POINTS` points of a line evenly, including the last."""
    step = math.ceil(len(line.points) / MOST_POINTS) or 1
    return Line(line.name, line.points[::-1][::step][::-1])


def _look(index: int) -> str:
    """Returns the CSS classes of the color and the dashes of a line."""
    return f"c{index % COLORS} d{index // (COLORS // 2) % DASHES}"


def _path(points, width: tuple[int, int], axis: Axis) -> str:
    """Returns the SVG path through all points: gaps at missing values, a cross at a lone point."""
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
    """Returns the tick labels: values on the left, epochs (counted from 1) below."""
    ends = axis.ticks()
    written = [f"{tick:g}" for tick in ends] if axis.log else labels(ends)
    values = (
        f'<span class="y" style="top:{100 * (1 - axis.place(tick)):.2f}%">{label}</span>'
        for tick, label in zip(ends, written, strict=True)
    )
    middle = width[0] + 2  # the only epoch
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
