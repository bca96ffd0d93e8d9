"""The papers' table of genotypes, as texts."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections.abc import Callable, Mapping, Sequence

from darts_tf.runs import files
from darts_tf.spaces.zoo import Published


@dataclasses.dataclass(frozen=True)
class Row:
    """What a comparison says of one genotype.

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


def columns(row: Row, stem: str) -> dict[str, object]:
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


def table(rows: Sequence[Row], stem: str) -> list[list[str]]:
    """The papers' table for people: a row of headings, and a row of texts for every genotype.

    Args:
        rows: of the genotypes.
        stem: see `columns`.
    """
    published = "CIFAR-10" if stem == "cifar" else "ImageNet"
    lines = [
        [
            *("genotype", "test error (%)", "params (M)", "MACs (M)", "MACs, all (M)"),
            *("search cost (GPU days)", "method", f"published {published} error (%)"),
        ]
    ]
    for row in rows:
        known = columns(row, stem)
        lines.append(
            [
                row.name,
                with_deviation(known["test_error"], known["test_error_deviation"]),
                f"{row.params / 1e6:.2f}",
                f"{row.macs / 1e6:.1f}",
                f"{known['macs_and_elementwise'] / 1e6:.1f}",
                f"{known['gpu_days']:g}" if row.published else "",
                known["method"] or "",
                with_deviation(known["published_error"], known["published_deviation"]),
            ]
        )
    return lines


def notes(rows: Sequence[Row]) -> list[str]:
    """What a reader of the table has to know, in lines: of the counts, and of what is published."""
    counts = "MACs: convolutions and dense layers; all: and 2 x normalised + rectified values"
    found = ((row.name, row.published.note) for row in rows if row.published)
    return [counts, *(f"{name}: {note}" for name, note in found if note)]


def to_markdown(rows: Sequence[Row], stem: str) -> str:
    """The table in Markdown, with its notes below."""
    return markdown_of(table(rows, stem), notes(rows))


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


def to_csv(rows: Sequence[Row], stem: str) -> str:
    """The columns as comma-separated values, numbers in full."""
    return csv_of([columns(row, stem) for row in rows])


def csv_of(lines: Sequence[Mapping[str, object]]) -> str:
    """Lines as comma-separated values, with the names in the first one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def with_deviation(value: float | None, deviation: float | None) -> str:
    """A mean and its deviation for people; of what is not known nothing."""
    if value is None:
        return ""
    return f"{value:.2f}" if deviation is None else f"{value:.2f} ± {deviation:.2f}"


WRITERS: Mapping[str, Callable[[Sequence[Row], str], str]] = dict(
    zip(files.TABLES, (to_csv, to_markdown), strict=True)
)
"""Files that a comparison writes, by their names."""
