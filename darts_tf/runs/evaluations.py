"""Results of a trained network by class, and their files in the run's folder. No TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runs.log import reading

MATRIX_CLASSES = 100
"""Largest number of classes whose confusion matrix is kept; more classes have only `confusions`."""

LARGEST_COUNT = 10**15
"""Exclusive upper bound on counts of images; larger numbers are errors."""

_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]+={0,2}")


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """The result of one class.

    Attributes:
        name: name of the class.
        images: number of test images of the class.
        precision: share of the images classified as this class that belong to it; None if there
            are none.
        recall: share of the images of this class that are classified correctly; None if there are
            none.
        f1: harmonic mean of precision and recall; None if no image belongs to the class or is
            classified as it.
    """

    name: str
    images: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclasses.dataclass(frozen=True)
class Confusion:
    """A number of images of one class that were classified as another.

    Attributes:
        true: name of the images' class.
        predicted: name of the class that the network answered.
        images: number of these images.
    """

    true: str
    predicted: str
    images: int


@dataclasses.dataclass(frozen=True)
class Mistake:
    """An image that was classified wrongly.

    Attributes:
        image: index of the image in the test split.
        file: its path, if it was read from a file when it was needed.
        true: name of its class.
        predicted: name of the class that the network answered.
        probability: probability of that answer.
        picture: the image as the network sees it, a data URI of a small PNG or JPEG file.
    """

    image: int
    file: str | None
    true: str
    predicted: str
    probability: float
    picture: str


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of a network on test images.

    Attributes:
        dataset: name or folder of the images.
        own: True for the test split of the run's dataset, False for other images.
        limit: the maximum number of images that was asked for; None for all that the run uses.
        epochs: number of epochs that the network had been trained for; 0 for imported weights.
        images: number of images.
        loss: mean cross entropy.
        accuracy: share of the images that is classified correctly.
        top5_accuracy: share of the images whose class is among the five most probable; None with
            few classes.
        balanced_accuracy: mean recall of the classes that have images.
        mean_f1: mean F1 of the classes that have images.
        classes: result of each class, in the order of the network's outputs.
        confusion_matrix: number of images by true class (row) and predicted class (column); None
            with more than `MATRIX_CLASSES` classes.
        confusions: the most frequent confusions of two classes, the most frequent first.
        mistakes: the most confident wrong answers, the most confident first.
    """

    dataset: str
    own: bool
    limit: int | None
    epochs: int
    images: int
    loss: float
    accuracy: float
    top5_accuracy: float | None
    balanced_accuracy: float
    mean_f1: float
    classes: tuple[ClassResult, ...]
    confusion_matrix: tuple[tuple[int, ...], ...] | None
    confusions: tuple[Confusion, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def counts(self) -> list[int]:
        """Number of images of every class."""
        return [each.images for each in self.classes]

    def worst_classes(self, count: int) -> list[int]:
        """Returns the indices of the classes with images whose F1 is lowest, the lowest first."""
        tested = [i for i, each in enumerate(self.classes) if each.images]
        return sorted(tested, key=lambda i: self.classes[i].f1 or 0.0)[:count]

    def taken_for(self, index: int) -> Confusion | None:
        """Returns the most frequent confusion of a class's images; None if there is none.

        Without a confusion matrix, it is also None if it is not among `confusions`.
        """
        true = self.classes[index].name
        if self.confusion_matrix is None:
            return next((each for each in self.confusions if each.true == true), None)
        wrong = [0 if i == index else n for i, n in enumerate(self.confusion_matrix[index])]
        most = max(wrong)
        predicted = self.classes[wrong.index(most)].name
        return Confusion(true, predicted, most) if most else None

    @classmethod
    def from_dict(cls, values: Mapping) -> Evaluation:
        """Restores an evaluation from JSON values.

        Raises:
            KeyError, TypeError, ValueError: the values are others.
        """
        classes = tuple(
            ClassResult(
                _text(each["name"]),
                _count(each["images"]),
                *(_share(each[name], missing=True) for name in ("precision", "recall", "f1")),
            )
            for each in values["classes"]
        )
        matrix = values["confusion_matrix"]
        if matrix is not None:
            matrix = tuple(tuple(map(_count, row)) for row in matrix)
            if [len(row) for row in matrix] != [len(classes)] * len(classes):
                raise InputError(
                    f"Expected a square matrix of the classes. Received: {shown(matrix)}"
                )
        return cls(
            dataset=_text(values["dataset"]),
            own=bool(values["own"]),
            limit=None if values["limit"] is None else _count(values["limit"]),
            epochs=_count(values["epochs"]),
            images=_count(values["images"]),
            loss=_number(values["loss"]),
            accuracy=_share(values["accuracy"]),
            top5_accuracy=_share(values["top5_accuracy"], missing=True),
            balanced_accuracy=_share(values["balanced_accuracy"]),
            mean_f1=_share(values["mean_f1"]),
            classes=classes,
            confusion_matrix=matrix,
            confusions=tuple(
                Confusion(_text(each["true"]), _text(each["predicted"]), _count(each["images"]))
                for each in values["confusions"]
            ),
            mistakes=tuple(map(_mistake, values["mistakes"])),
        )


def _mistake(values: Mapping) -> Mistake:
    file, picture = values["file"], _text(values["picture"])
    if not _PICTURE.fullmatch(picture):
        raise InputError(f"Expected a data URI of a PNG or JPEG file. Received: {shown(picture)}")
    return Mistake(
        image=_count(values["image"]),
        file=None if file is None else _text(file),
        true=_text(values["true"]),
        predicted=_text(values["predicted"]),
        probability=_share(values["probability"]),
        picture=picture,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"Expected a text. Received: {shown(value)}")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < LARGEST_COUNT:
        raise InputError(f"Expected a number of images. Received: {shown(value)}")
    return value


def _number(value: object) -> float:
    if value is None:  # a loss that is not finite
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"Expected a number. Received: {shown(value)}")
    return float(value)


def _share(value: object, missing: bool = False) -> float | None:
    if value is None and missing:
        return None
    if not 0 <= _number(value) <= 1:
        raise InputError(f"Expected a share from 0 to 1. Received: {shown(value)}")
    return float(value)


def evaluation_path(
    workdir: str | os.PathLike[str], dataset: str | None = None, limit: int | None = None
) -> pathlib.Path:
    """Returns the file of an evaluation in a run's folder.

    The result on all of the run's own test images has a file of its own. Others never replace it.

    Args:
        workdir: folder of the run.
        dataset: name or absolute path of other images; None for the run's own test images.
        limit: maximum number of images that was asked for; None for all that the run uses.
    """
    folder = pathlib.Path(workdir)
    if dataset is None and limit is None:
        return folder / files.EVALUATION
    name = "test" if dataset is None else dataset.rstrip("/\\").replace("\\", "/").split("/")[-1]
    digest = hashlib.sha256(f"{dataset}\0{limit}".encode("utf-8", "surrogateescape")).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:40].strip(".") or "other"
    return folder / files.EVALUATIONS / f"{readable}-{digest[:8]}.json"


def save_evaluation(path: pathlib.Path, evaluation: Evaluation) -> None:
    """Writes an evaluation, replacing the file atomically."""
    path.parent.mkdir(exist_ok=True)
    files.write_json(path, dataclasses.asdict(evaluation))


def load_evaluation(path: pathlib.Path) -> Evaluation:
    """Reads an evaluation.

    Raises:
        InputError: the file is missing or has another content; the message has its path.
    """
    with reading(path):
        return Evaluation.from_dict(files.read_json(path))


def evaluations_of(workdir: str | os.PathLike[str]) -> Sequence[Evaluation]:
    """Returns all evaluations in a run's folder, that on its own test images first.

    Raises:
        InputError: a file has another content.
    """
    folder = pathlib.Path(workdir)
    own = [folder / files.EVALUATION] if (folder / files.EVALUATION).is_file() else []
    others = sorted((folder / files.EVALUATIONS).glob("*.json"))
    return tuple(map(load_evaluation, (*own, *others)))
