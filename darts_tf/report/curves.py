"""Curves of metrics: all metrics of one run, or each metric of several runs in one chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from darts_tf.report.charts import Line, line_chart, measured
from darts_tf.report.html import details

KINDS = (
    ("accuracy", "Accuracy (%)", 100),
    ("perplexity", "Perplexity", 1),
    ("loss", "Loss", 1),
    ("learning_rate", "Learning rate", 1),
    ("entropy", "Mean entropy per edge (nats)", 1),
    ("skips", "Skip connections", 1),
    ("eigenvalue", "Dominant eigenvalue of the validation loss's Hessian (alphas)", 1),
    ("discretisation_gap", "Accuracy lost by discretisation (points)", 100),
)
"""Charts: the prefix or suffix of their metrics' names, the title, and the factor on the values."""

NO_CURVES = ("epoch", "genotype", "seconds")

NAMES = {"loss": "training", "accuracy": "training", "perplexity": "training"}
NAMES |= {"arch_loss": "batches that update the alphas"}
"""Line names of metrics whose own names have no prefix that describes them."""

Metrics = Sequence[dict]


def charts_of(metrics: Metrics) -> str:
    """Returns the charts of all metrics of one run."""
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
"""Positions of the lines that come first, so that their colors are the same in all charts."""


def charts_over_each_other(runs: Iterable[tuple[str, Metrics]]) -> str:
    """Returns one chart per metric with a line per run; minor metrics are in a closed section.

    Args:
        runs: (name, metrics) pairs.
    """
    runs = [(name, metrics) for name, metrics in runs if metrics]
    names = dict.fromkeys(
        name for _, metrics in runs for line in metrics for name in line if name not in NO_CURVES
    )
    charts = []
    for name in names:
        title, factor, ending = _kind(name)
        lines = [Line(run, _points(metrics, name, factor)) for run, metrics in runs]
        lines = [line for line in lines if any(value is not None for _, value in line.points)]
        line_name = _line_name(name, ending)
        charts.append((len(lines), title, f"{title}, {line_name}" if line_name else title, lines))
    most = max((count for count, *_ in charts), default=0)
    # Drop the metrics that only one run has, unless no metric can be compared.
    charts = [each[1:] for each in charts if each[0] > 1 or most < 2]
    order = {title: place for place, (_, title, _) in enumerate(KINDS)}
    charts.sort(key=lambda each: order.get(each[0], len(order)))
    first, more = [], []
    for title, whole, lines in charts:
        (first if title in _MAIN else more).append(line_chart(whole, lines))
    folded = details("More curves", _side_by_side(more)) if more else ""
    return _side_by_side(first) + folded


_MAIN = ("Accuracy (%)", "Perplexity", "Loss")
"""Titles of the charts that are shown at once."""


def _kind(name: str) -> tuple[str, int, str]:
    """Returns the title of a metric's chart, the factor, and the matching prefix or suffix."""
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
    joined = "".join(charts)
    return joined and f'<div class="charts">{joined}</div>'
