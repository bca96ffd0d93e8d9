"""The comparison of methods, as texts."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from darts_tf.runs import files
from darts_tf.significance import LEVEL, holm, interval, p_value
from darts_tf.tables import csv_of, markdown_of

SIGNIFICANT = 0.05
"""A difference is called significant below this probability."""

UNEQUAL = 1.25
"""Costs are called unequal where one is so many times the other."""


@dataclasses.dataclass(frozen=True)
class MethodRow:
    """What a comparison says of one method; of every attribute but the name one for each seed.

    Attributes:
        name: of the method.
        errors: test errors of the networks, in percent.
        seconds: that finding the cells took.
        params: trainable numbers of the networks.
        macs: of the networks for one image.
        collapsed: whether the cells are degenerate, see `collapse.in_words`.
    """

    name: str
    errors: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    params: tuple[int, ...] = ()
    macs: tuple[int, ...] = ()
    collapsed: tuple[bool, ...] = ()

    def with_seed(self, *, error, seconds, params, macs, collapsed) -> MethodRow:
        """With what another seed has given."""
        return MethodRow(
            self.name,
            (*self.errors, error),
            (*self.seconds, seconds),
            (*self.params, params),
            (*self.macs, macs),
            (*self.collapsed, collapsed),
        )


def columns(rows: Sequence[MethodRow], against: str) -> list[dict[str, object]]:
    """All that is known of every method by the column's name; None where nothing is.

    Args:
        rows: of the methods.
        against: the method that all others are tested against.
    """
    errors = {row.name: row.errors for row in rows}
    others = [name for name in errors if name != against]
    p_values = holm({name: p_value(errors[name], errors[against]) for name in others})
    found = []
    for row in rows:
        low, high = interval(row.errors) or (None, None)
        several = len(row.errors) > 1
        found.append(
            {
                "method": row.name,
                "seeds": len(row.errors),
                "test_error": statistics.fmean(row.errors) if row.errors else None,
                "test_error_deviation": statistics.stdev(row.errors) if several else None,
                "interval_low": low,
                "interval_high": high,
                f"p_against_{against}": p_values.get(row.name),
                "search_seconds": statistics.fmean(row.seconds) if row.seconds else None,
                "params": statistics.fmean(row.params) if row.params else None,
                "macs": statistics.fmean(row.macs) if row.macs else None,
                "collapsed": sum(row.collapsed),
                "errors": " ".join(f"{error:.2f}" for error in row.errors),
            }
        )
    return found


def table(rows: Sequence[MethodRow], against: str) -> list[list[str]]:
    """The table for people, as wide as a terminal: headings, and a row for every method."""
    lines = [
        [
            *("found by", "test error (%)", f"{LEVEL:.0%} interval", f"p against {against}"),
            *("search (s)", "MACs (M)", "bad cells"),
        ]
    ]
    for known in columns(rows, against):
        error, deviation = known["test_error"], known["test_error_deviation"]
        spread = "" if deviation is None else f" ± {deviation:.2f}"
        low, high = known["interval_low"], known["interval_high"]
        p = known[f"p_against_{against}"]
        lines.append(
            [
                known["method"],
                "" if error is None else f"{error:.2f}{spread}",
                "" if low is None else f"{low:.1f} to {high:.1f}",
                "" if p is None else f"{p:.3f}",
                _number(known["search_seconds"], 1, ".0f"),
                _number(known["macs"], 1e6, ".2f"),
                f"{known['collapsed']} of {known['seeds']}",
            ]
        )
    return lines


def notes(rows: Sequence[MethodRow], against: str) -> list[str]:
    """What the table says and does not say, in lines."""
    told = [
        "test error: mean ± standard deviation over the seeds; each of them has found cells of its "
        "own and trained them from scratch; bad cells are degenerate ones",
        f"p: Welch's t test against {against}, of all comparisons together (Holm)",
    ]
    compared = [
        known for known in columns(rows, against) if known["method"] != against and known["seeds"]
    ]
    reference = next((row for row in rows if row.name == against), None)
    if reference is None or not reference.errors:
        return told
    mean = statistics.fmean(reference.errors)
    for known in compared:
        p = known[f"p_against_{against}"]
        if p is None:
            told.append(f"{known['method']}: too few seeds, or no spread, for a test")
        elif p < SIGNIFICANT:
            better = "better" if known["test_error"] < mean else "worse"
            told.append(f"{known['method']}: significantly {better} than {against} (p = {p:.3f})")
        else:
            told.append(f"{known['method']}: no significant difference from {against}")
        ratio = known["search_seconds"] / statistics.fmean(reference.seconds)
        if not 1 / UNEQUAL < ratio < UNEQUAL:
            told[-1] += f"; finding its cells took {ratio:.1f} times as long"
    return told


def to_markdown(rows: Sequence[MethodRow], against: str) -> str:
    """The table in Markdown, with its notes below."""
    return markdown_of(table(rows, against), notes(rows, against))


def to_csv(rows: Sequence[MethodRow], against: str) -> str:
    """The columns as comma-separated values, numbers in full."""
    return csv_of(columns(rows, against))


def _number(value, unit: float, form: str) -> str:
    return "" if value is None else format(value / unit, form)


WRITERS: Mapping[str, Callable[[Sequence[MethodRow], str], str]] = dict(
    zip(files.TABLES, (to_csv, to_markdown), strict=True)
)
"""Files that a comparison of methods writes, by their names."""
