"""A made-up result by class, whose numbers are counted by hand."""

from __future__ import annotations

import dataclasses

from darts_tf.runs.evaluations import ClassResult, Confusion, Evaluation, Mistake

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6"
    "kgAAAABJRU5ErkJggg=="
)
"""A PNG file of one pixel."""


def evaluation(**fields) -> Evaluation:
    """Returns the result of 14 images of three classes; `fields` replace its own."""
    whole = Evaluation(
        dataset="digits",
        own=True,
        limit=None,
        epochs=4,
        images=14,
        loss=0.5,
        accuracy=9 / 14,
        top5_accuracy=None,
        balanced_accuracy=2 / 3,
        mean_f1=(0.6 + 0.8 + 0.5) / 3,
        classes=(
            ClassResult("a", 6, 3 / 4, 3 / 6, 0.6),
            ClassResult("b", 4, 4 / 6, 4 / 4, 0.8),
            ClassResult("c", 4, 2 / 4, 2 / 4, 0.5),
        ),
        confusion_matrix=((3, 1, 2), (0, 4, 0), (1, 1, 2)),
        confusions=(
            Confusion("a", "c", 2),
            *(Confusion("a", "b", 1), Confusion("c", "a", 1), Confusion("c", "b", 1)),
        ),
        mistakes=(
            Mistake(5, None, "a", "c", 0.98, PIXEL),
            Mistake(12, "photos/c/1.jpg", "c", "a", 0.75, PIXEL),
        ),
    )
    return dataclasses.replace(whole, **fields)


def of_many_classes(count: int) -> Evaluation:
    """Returns a result of classes with long names, one of ten images of each taken for the next."""
    names = [f"a class with a long name {i}" for i in range(count)]
    matrix = [[9 * (i == j) + (j == (i + 1) % count) for j in range(count)] for i in range(count)]
    return evaluation(
        classes=tuple(ClassResult(name, 10, 0.9, 0.9, 0.9) for name in names),
        confusion_matrix=tuple(map(tuple, matrix)),
    )
