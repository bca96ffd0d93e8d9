"""The papers' table of genotypes, as texts."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import statistics
from collections.abc import Callable, Mapping, Sequence

from darts_tf.runs import files
from darts_tf.runtime.numbers import rounded
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space
from darts_tf.spaces.stability import describe_stability, shared_by_pairs
from darts_tf.spaces.zoo import Published
from darts_tf.studies.significance import LEVEL, holm, interval, p_value


@dataclasses.dataclass(frozen=True)
class Row:
    """Row of a comparison of genotypes.

    Attributes:
        name: of the genotype.
        channels: of the network's first cell.
        params: trainable numbers of the network.
        macs: multiply-accumulates of convolutions and dense layers for one image.
        elementwise: what some papers add to them; see `count_elementwise`.
        errors: test errors in percent, one for every seed that has been trained with.
        published: what is published of the genotype, if it is one of the zoo.
    """

    name: str
    channels: int
    params: int
    macs: int
    elementwise: int
    errors: tuple[float, ...] = ()
    published: Published | None = None


def genotype_columns(row: Row, stem: str) -> dict[str, object]:
    """All that is known of a genotype by the column's name; None where nothing is.

    The standard deviation is that of a sample, which one seed has none of.

    Args:
        row: of the genotype.
        stem: `"imagenet"` for the errors published on ImageNet, else those on CIFAR-10.
    """
    errors, paper = row.errors, row.published
    on_cifar = stem == "cifar"
    return {
        "genotype": row.name,
        "seeds": len(errors),
        "test_error": statistics.fmean(errors) if errors else None,
        "test_error_deviation": statistics.stdev(errors) if len(errors) > 1 else None,
        "channels": row.channels,
        "params": row.params,
        "macs": row.macs,
        "macs_and_elementwise": row.macs + row.elementwise,
        "gpu_days": paper and paper.gpu_days,
        "method": paper and paper.method,
        "published_on": paper and ("CIFAR-10" if on_cifar else "ImageNet"),
        "published_error": paper and (paper.cifar10_error if on_cifar else paper.imagenet_error),
        "published_deviation": paper.cifar10_deviation if paper and on_cifar else None,
        "source": paper and paper.source,
        "note": paper and paper.note,
    }


def genotype_table(rows: Sequence[Row], stem: str) -> list[list[str]]:
    """The papers' table for people: a row of headings, and a row of texts for every genotype.

    Args:
        rows: of the genotypes.
        stem: see `columns`.
    """
    published = "CIFAR-10" if stem == "cifar" else "ImageNet"
    lines = [
        [
            *("genotype", "test accuracy (%)", "params (M)", "MACs (M)", "MACs, all (M)"),
            *("search cost (GPU days)", "method", f"published {published} accuracy (%)"),
        ]
    ]
    for row in rows:
        known = genotype_columns(row, stem)
        lines.append(
            [
                row.name,
                accuracy_with_deviation(known["test_error"], known["test_error_deviation"]),
                rounded(row.params / 1e6, 2),
                rounded(row.macs / 1e6, 1),
                rounded(known["macs_and_elementwise"] / 1e6, 1),
                "" if known["gpu_days"] is None else f"{known['gpu_days']:g}",
                known["method"] or "",
                accuracy_with_deviation(known["published_error"], known["published_deviation"]),
            ]
        )
    return lines


def genotype_notes(rows: Sequence[Row], network: str = "") -> list[str]:
    """Returns notes below the table, as lines: on the networks, the counts, published figures.

    Args:
        rows: of the genotypes.
        network: the network that parameters and MACs are of, in words.
    """
    counts = "MACs: convolutions and dense layers; all: and 2 x normalised + rectified values"
    found = ((row.name, row.published.note) for row in rows if row.published)
    networks = [f"params and MACs of {network}"] if network else []
    return [*networks, counts, *(f"{name}: {note}" for name, note in found if note)]


def genotype_to_markdown(rows: Sequence[Row], stem: str) -> str:
    """The table in Markdown, with its notes below."""
    return markdown_of(genotype_table(rows, stem), genotype_notes(rows))


def markdown_of(lines: Sequence[Sequence[str]], notes: Sequence[str], first: str = "---") -> str:
    """A table in Markdown, with notes below.

    Args:
        lines: of the table; the first has the headings. All columns but one are of numbers.
        notes: each a line.
        first: rule of the first column; `"---:"` where that is of numbers too.
    """
    head, *others = lines
    ruled = [head, [first, *["---:"] * (len(head) - 1)], *others]
    text = "".join(f"| {' | '.join(line)} |\n" for line in ruled)
    return text + "\n" + "".join(f"- {note}\n" for note in notes)


def genotype_to_csv(rows: Sequence[Row], stem: str) -> str:
    """The columns as comma-separated values, numbers in full."""
    return csv_of([genotype_columns(row, stem) for row in rows])


def csv_of(lines: Sequence[Mapping[str, object]]) -> str:
    """Lines as comma-separated values, with the names in the first one; see `csv_text`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_text(value) for name, value in line.items()} for line in lines)
    return text.getvalue()


_FORMULA = re.compile(r"['=+\-@\t\r]")
"""First characters with which spreadsheets begin a formula, and the quote that prevents it."""


def csv_text(value):
    """Returns a value for a table; a text that a spreadsheet would compute begins with a quote."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def text_of_csv(text: str) -> str:
    """Returns the text that `csv_text` was given."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text[1:]) else text


def accuracy_with_deviation(error: float | None, deviation: float | None) -> str:
    """Returns the accuracy for an error in percent, with its deviation; empty if not known.

    Files keep errors, as papers do; people read accuracies wherever a result is shown.
    """
    if error is None:
        return ""
    mean = f"{100 - error:.2f}"
    return mean if deviation is None else f"{mean} ± {deviation:.2f}"


GENOTYPE_WRITERS: Mapping[str, Callable[[Sequence[Row], str], str]] = dict(
    zip(files.TABLES, (genotype_to_csv, genotype_to_markdown), strict=True)
)
"""Files that a comparison writes, by their names."""


SIGNIFICANT = 0.05
"""A difference is called significant below this probability."""

UNEQUAL = 1.25
"""Costs are called unequal where one is so many times the other."""


@dataclasses.dataclass(frozen=True)
class MethodRow:
    """Row of a comparison of methods; every attribute but the name has one value per seed.

    Attributes:
        name: of the method.
        errors: test errors of the networks, in percent.
        seconds: that finding the cells took.
        params: trainable numbers of the networks.
        macs: of the networks for one image.
        collapsed: whether the cells are degenerate, see `describe_collapse`.
        genotypes: the cells.
        space: the space that they are from; the same for all seeds.
    """

    name: str
    errors: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    params: tuple[int, ...] = ()
    macs: tuple[int, ...] = ()
    collapsed: tuple[bool, ...] = ()
    genotypes: tuple[AnyGenotype, ...] = ()
    space: Space = SPACES[DARTS]

    def with_seed(self, *, error, seconds, params, macs, collapsed, genotype) -> MethodRow:
        """With what another seed has given."""
        return MethodRow(
            self.name,
            (*self.errors, error),
            (*self.seconds, seconds),
            (*self.params, params),
            (*self.macs, macs),
            (*self.collapsed, collapsed),
            (*self.genotypes, genotype),
            self.space,
        )


def method_columns(rows: Sequence[MethodRow], against: str) -> list[dict[str, object]]:
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
        shared = shared_by_pairs(row.genotypes)
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
                "shared_edges": statistics.fmean(shared) if shared else None,
                "errors": " ".join(f"{error:.2f}" for error in row.errors),
            }
        )
    return found


def method_table(rows: Sequence[MethodRow], against: str) -> list[list[str]]:
    """The table for people, as wide as a terminal: headings, and a row for every method."""
    lines = [
        [
            *("found by", "test accuracy (%)", f"{LEVEL:.0%} interval", f"p against {against}"),
            *("search (s)", "MACs (M)", "bad cells"),
        ]
    ]
    for known in method_columns(rows, against):
        low, high = known["interval_low"], known["interval_high"]
        p = known[f"p_against_{against}"]
        lines.append(
            [
                known["method"],
                accuracy_with_deviation(known["test_error"], known["test_error_deviation"]),
                "" if low is None else f"{100 - high:.1f} to {100 - low:.1f}",
                "" if p is None else f"{p:.3f}",
                _number(known["search_seconds"], 1, 0),
                _number(known["macs"], 1e6, 2),
                f"{known['collapsed']} of {known['seeds']}",
            ]
        )
    return lines


def method_notes(rows: Sequence[MethodRow], against: str) -> list[str]:
    """Returns notes below the table, as lines: what it shows and what it does not."""
    told = [
        "test accuracy: mean ± standard deviation over the seeds; each seed searched for cells of "
        "its own and trained them from scratch; bad cells are degenerate ones",
        f"p: Welch's t test against {against}, of all comparisons together (Holm)",
    ]
    stable = ((row.name, describe_stability(row.genotypes, row.space)) for row in rows)
    told += [f"{name}: {words}" for name, words in stable if words]
    compared = [
        known
        for known in method_columns(rows, against)
        if known["method"] != against and known["seeds"]
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


def method_to_markdown(rows: Sequence[MethodRow], against: str) -> str:
    """The table in Markdown, with its notes below."""
    return markdown_of(method_table(rows, against), method_notes(rows, against))


def method_to_csv(rows: Sequence[MethodRow], against: str) -> str:
    """The columns as comma-separated values, numbers in full."""
    return csv_of(method_columns(rows, against))


def _number(value, unit: float, decimals: int) -> str:
    return "" if value is None else rounded(value / unit, decimals)


METHOD_WRITERS: Mapping[str, Callable[[Sequence[MethodRow], str], str]] = dict(
    zip(files.TABLES, (method_to_csv, method_to_markdown), strict=True)
)
"""Files that a comparison of methods writes, by their names."""
