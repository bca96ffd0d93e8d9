"""Curves of metrics: all of one run, and each of many runs over each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from darts_tf.report.charts import Line, line_chart, measured
from darts_tf.report.html import details

KINDS = (
    ("accuracy", "Accuracy (%)", 100),
    ("perplexity", "Perplexity", 1),
    ("loss", "Loss", 1),
    ("learning_rate", "Learning rate", 1),
    ("entropy", "Mean entropy of the edges (nats)", 1),
    ("skips", "Skip connections", 1),
    ("eigenvalue", "Dominant eigenvalue of the valid loss along the alphas", 1),
    ("discretisation_gap", "Accuracy lost by discretisation (points)", 100),
)
"""Charts: how the names of metrics begin or end, a title, and a factor."""

NO_CURVES = ("epoch", "genotype", "seconds")

NAMES = {"loss": "training", "accuracy": "training", "perplexity": "training"}
NAMES |= {"arch_loss": "images of the alphas, while they move"}
"""Of metrics whose own names do not tell."""

Metrics = Sequence[dict]


def charts_of(metrics: Metrics) -> str:
    """All curves of one run."""
    names = dict.fromkeys(name for line in metrics for name in line if name not in NO_CURVES)
    groups: dict[tuple[str, int], list[Line]] = {}
    for name in names:
        title, factor, ending = _kind(name)
        line = Line(
            _line_name(name, ending) or name.replace("_", " "), _points(metrics, name, factor)
        )
        if any(value is not None for _, value in line.points):
            groups.setdefault((title, factor), []).append(line)
    order = {title: place for place, (_, title, _) in enumerate(KINDS)}
    ranked = sorted(groups.items(), key=lambda item: order.get(item[0][0], len(order)))
    return _side_by_side(
        line_chart(title, sorted(lines, key=lambda line: _SPLITS.get(line.name, len(_SPLITS))))
        for (title, _), lines in ranked
    )


_SPLITS = {name: place for place, name in enumerate(("training", "valid", "test"))}
"""Lines that come first, so that they look the same in all charts."""


def charts_over_each_other(runs: Iterable[tuple[str, Metrics]]) -> str:
    """Every metric's curves of many runs; those that tell less are folded.

    Args:
        runs: their names and metrics.
    """
    runs = [(name, metrics) for name, metrics in runs if metrics]
    names = dict.fromkeys(
        name for _, metrics in runs for line in metrics for name in line if name not in NO_CURVES
    )
    found = []
    for name in names:
        title, factor, ending = _kind(name)
        lines = [Line(run, _points(metrics, name, factor)) for run, metrics in runs]
        lines = [line for line in lines if any(value is not None for _, value in line.points)]
        line_name = _line_name(name, ending)
        found.append((len(lines), title, f"{title}, {line_name}" if line_name else title, lines))
    most = max((count for count, *_ in found), default=0)
    found = [each[1:] for each in found if each[0] > 1 or most < 2]  # what can be compared
    order = {title: place for place, (_, title, _) in enumerate(KINDS)}
    found.sort(key=lambda each: order.get(each[0], len(order)))
    first, more = [], []
    for title, whole, lines in found:
        (first if title in _TELLING else more).append(line_chart(whole, lines))
    folded = details("More curves", _side_by_side(more)) if more else ""
    return _side_by_side(first) + folded


_TELLING = ("Accuracy (%)", "Perplexity", "Loss")


def _kind(name: str) -> tuple[str, int, str]:
    """Title of the chart, factor, and what the name has in common with the others there."""
    for part, title, factor in KINDS:
        if name.endswith(part) or name.startswith(part):
            return title, factor, part
    return name.replace("_", " "), 1, name


def _line_name(name: str, part: str) -> str:
    own = name.removesuffix(part).removeprefix(part).strip("_").replace("_", " ")
    return NAMES.get(name) or own


def _points(metrics: Metrics, name: str, factor: int):
    values = ((line["epoch"], measured(line.get(name))) for line in metrics)
    return tuple((epoch, None if value is None else factor * value) for epoch, value in values)


def _side_by_side(charts: Iterable[str]) -> str:
    found = "".join(charts)
    return found and f'<div class="charts">{found}</div>'
