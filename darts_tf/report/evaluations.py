"""Results by class: table, confusion matrix as a heat map, and pictures of the worst mistakes."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from darts_tf.report.html import details, facts, table, text
from darts_tf.runs.evaluations import Confusion, Evaluation

ALL_CLASSES, WORST_CLASSES = 20, 20
"""Largest number of classes that are listed at once; and the number of worst ones otherwise."""

CONFUSIONS = 20
"""Number of confusions that are listed if there is no matrix."""

NUMBERED, NARROW = 30, 12
"""Largest numbers of classes whose matrix has numbers, and large cells."""

NAME = 14
"""Largest number of characters of a class name beside the matrix."""


def results_by_class(evaluation: Evaluation) -> str:
    """Returns the result of a network by class, as HTML."""
    pairs = [
        ("images", f"{evaluation.images:,} of {evaluation.dataset}"),
        ("accuracy", f"{100 * evaluation.accuracy:.2f} %"),
        ("balanced accuracy", f"{100 * evaluation.balanced_accuracy:.2f} %"),
        ("mean F1", f"{100 * evaluation.mean_f1:.2f} %"),
    ]
    if evaluation.top5_accuracy is not None:
        pairs.insert(2, ("top-5 accuracy", f"{100 * evaluation.top5_accuracy:.2f} %"))
    return facts(pairs) + _classes(evaluation) + _confusions(evaluation) + _mistakes(evaluation)


def _classes(evaluation: Evaluation) -> str:
    every = range(len(evaluation.classes))
    if len(every) <= ALL_CLASSES:
        return _class_table(evaluation, every)
    worst = evaluation.worst_classes(WORST_CLASSES)
    return (
        f"<h3>The {len(worst)} worst of {len(every)} classes</h3>{_class_table(evaluation, worst)}"
        + details(f"All {len(every)} classes", _class_table(evaluation, every))
    )


def _class_table(evaluation: Evaluation, chosen: Iterable[int]) -> str:
    header = ("class", "images", "precision (%)", "recall (%)", "F1 (%)", "most often taken for")
    rows = (
        (
            *(evaluation.classes[i].name, f"{evaluation.classes[i].images:,}"),
            *map(_percent, (getattr(evaluation.classes[i], name) for name in SHARES)),
            _taken(evaluation.taken_for(i)),
        )
        for i in chosen
    )
    return f'<div class="classes">{table(header, rows)}</div>'


SHARES = ("precision", "recall", "f1")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _taken(confusion: Confusion | None) -> str:
    return f"{confusion.predicted} ({confusion.images:,})" if confusion else ""


def _confusions(evaluation: Evaluation) -> str:
    matrix = evaluation.confusion_matrix
    if matrix is not None:
        caption = (
            "Rows are the true classes, columns the answers of the network. The color is the share "
            "of the class's images: blue for correct answers, orange for mistakes."
        )
        names = [each.name for each in evaluation.classes]
        return (
            f'<h3>Confusion matrix</h3><p class="soft">{text(caption)}</p>'
            f'<div class="wide">{confusion_map(names, matrix)}</div>'
        )
    if not evaluation.confusions:
        return ""
    rows = ((c.true, c.predicted, f"{c.images:,}") for c in evaluation.confusions[:CONFUSIONS])
    listed = table(("class", "taken for", "images"), rows)
    return f'<h3>Most frequent confusions</h3><div class="classes">{listed}</div>'


def confusion_map(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Returns a confusion matrix as an SVG heat map, whose text has the size of the page's.

    Args:
        names: names of the classes.
        matrix: number of images by true class (row) and predicted class (column).
    """
    count = len(names)
    cell = 26 if count <= NARROW else 22 if count <= NUMBERED else 11
    font = 11 if count <= NUMBERED else 9
    # the middle is cut, since numbered names differ at their ends
    short = [name if len(name) <= NAME else f"{name[:6]}…{name[-(NAME - 7) :]}" for name in names]
    margin = round(0.62 * font * max(map(len, short), default=0)) + 8
    size = margin + count * cell + 1
    parts = []
    for i, name in enumerate(short):
        middle = margin + (i + 0.5) * cell
        label = f'dominant-baseline="central">{text(name)}</text>'
        parts.append(f'<text x="{margin - 5}" y="{middle}" text-anchor="end" {label}')
        turn = f'transform="translate({middle} {margin - 5}) rotate(-90)"'
        parts.append(f"<text {turn} {label}")
    for i, row in enumerate(matrix):
        total = sum(row)
        for j, images in enumerate(row):
            if images:
                parts.append(_cell(names, (i, j), images, total, margin, cell, count <= NUMBERED))
    frame = f'<rect class="frame" x="{margin}" y="{margin}" width="{count * cell}" '
    frame += f'height="{count * cell}"/>'
    return (
        f'<svg class="confusion" viewBox="0 0 {size} {size}" style="--size:{size}px" '
        f'font-size="{font}" role="img" aria-label="confusion matrix">{frame}{"".join(parts)}</svg>'
    )


def _cell(names, place, images: int, total: int, margin: int, cell: int, numbered: bool) -> str:
    i, j = place
    x, y = margin + j * cell, margin + i * cell
    kind = "right" if i == j else "wrong"
    said = "classified correctly" if i == j else f"taken for {names[j]}"
    title = f"<title>{text(f'{names[i]}: {images:,} of {total:,} {said}')}</title>"
    strength = 0.08 + 0.52 * images / total
    box = (
        f'<rect class="{kind}" x="{x + 0.5}" y="{y + 0.5}" width="{cell - 1}" height="{cell - 1}" '
        f'fill-opacity="{strength:.2f}">{title}</rect>'
    )
    if not numbered:
        return box
    return (
        f'{box}<text class="count" x="{x + cell / 2}" y="{y + cell / 2}" text-anchor="middle" '
        f'dominant-baseline="central">{_short_count(images)}</text>'
    )


def _short_count(images: int) -> str:
    """Formats a count with at most four characters."""
    for factor, unit in ((1, ""), (10**3, "k"), (10**6, "M"), (10**9, "G")):
        if images < 1000 * factor or (not unit and images < 10_000):
            return f"{images // factor}{unit}"
    return "∞"


def _mistakes(evaluation: Evaluation) -> str:
    if not evaluation.mistakes:
        return "<p>The network made no mistakes.</p>" if evaluation.images else ""
    pictures = "".join(
        f'<figure><img src="{html.escape(each.picture)}" alt="{text(each.true)}"'
        f' title="{text(each.file or f"image {each.image} of the test split")}">'
        f"<figcaption><b>{text(each.true)}</b><br>taken for {text(each.predicted)}, "
        f"{100 * each.probability:.0f}\N{NO-BREAK SPACE}%</figcaption></figure>"
        for each in evaluation.mistakes
    )
    caption = (
        "Wrong answers of which the network was most certain, with the true class in bold. Images "
        "are shown as the network sees them."
    )
    return (
        f'<h3>Worst mistakes</h3><p class="soft">{text(caption)}</p>'
        f'<div class="mistakes">{pictures}</div>'
    )
