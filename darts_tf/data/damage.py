"""Damaged images: those of training are left out up to a limit, those of test are errors."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from darts_tf.errors import InputError


class Damage:
    """The damaged images of a training split, up to a limit; each is named in a warning.

    Args:
        labels: integers, `(n,)`, of all images of the split.
        classes: the labels' names.
        limit: how many damaged images are left out; one more is an error.

    Attributes:
        kept: bool, `(n,)`, False where an image has been left out.
    """

    def __init__(self, labels: np.ndarray, classes: Sequence[str], limit: int):
        self.labels = labels
        self.classes = classes
        self.limit = limit
        self.kept = np.ones(len(labels), bool)

    def leave_out(self, position: int, name: str) -> None:
        """Leaves one image out; a second time does nothing.

        Args:
            position: of the image in the split.
            name: the file, or what else tells a reader which image it is.

        Raises:
            InputError: more than `limit` damaged images, or the last image of its class.
        """
        if not self.kept[position]:
            return
        count = 1 + np.count_nonzero(~self.kept)
        if count > self.limit:
            raise _too_many(count, self.limit, name)
        self.kept[position] = False
        logging.getLogger("darts_tf").warning(
            "Left out a damaged training image, %d of at most %d: %s", count, self.limit, name
        )
        self._check_class(self.labels[position])

    def _check_class(self, label: int) -> None:
        members = self.labels == label
        if not (self.kept & members).any():
            # Read, since `limit` may have chosen these from more.
            raise InputError(
                "Expected a readable training image in every class. Received: class "
                f"{self.classes[label]}, all images read are damaged ({members.sum()})"
            )


def refuse(position: int, name: str) -> None:
    """Raises the InputError for a damaged test image: without it another thing is measured."""
    raise InputError(
        f"Expected a readable image (test images are never left out). Received: {name}"
    )


def _too_many(count: int, limit: int, name: str) -> InputError:
    if not limit:
        return InputError(
            "Expected a readable image; `max_bad_images` (--max-bad-images) leaves damaged ones "
            f"out. Received: {name}"
        )
    return InputError(
        f"Expected at most {limit} damaged training images, the limit `max_bad_images` "
        f"(--max-bad-images). Received: at least {count}, the last one {name}"
    )
