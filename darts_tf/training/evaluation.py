"""Tests of a network on images: accuracy and loss, results by class, and the worst mistakes."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from darts_tf.data import AnySplit, Preprocessing, evaluation_batches
from darts_tf.models.network import GenotypeNetwork, logits_of
from darts_tf.runs.evaluations import (
    MATRIX_CLASSES,
    ClassResult,
    Confusion,
    Evaluation,
    Mistake,
)
from darts_tf.runtime.execution import check_keras
from darts_tf.training.network_trainer import accuracies, cross_entropy

MISTAKES, CONFUSIONS = 18, 50
"""Maximum numbers of mistakes with a picture, and of confusions of two classes, that are kept."""

SIDE, PIXELS = 128, 64
"""Largest side of a picture of a mistake; and the largest side of images stored without loss."""


class WrongAnswer(NamedTuple):
    """An image that was classified wrongly.

    Attributes:
        probability: probability of the answer.
        position: index of the image in the split.
        label: index of its class.
        predicted: index of the class that the network answered.
        image: uint8, `(height, width, channels)`, the image that the network saw.
    """

    probability: float
    position: int
    label: int
    predicted: int
    image: np.ndarray


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers of a network to all images of a split.

    Attributes:
        metrics: `test_loss`, `test_accuracy`, with more classes than `FEW_CLASSES`
            `test_top5_accuracy`, and `test_images`.
        labels: indices of the images' classes, `(n,)`.
        predicted: indices of the most probable classes, `(n,)`.
        worst: the most confident wrong answers, the most confident first.
    """

    metrics: dict[str, float]
    labels: np.ndarray
    predicted: np.ndarray
    worst: list[WrongAnswer]


def answers_of(
    network: GenotypeNetwork, split: AnySplit, preprocessing: Preprocessing, batch_size: int = 256
) -> Answers:
    """Returns the answers of a network to all images of a split, in one pass over them."""
    check_keras()
    loss, watched = keras.metrics.Mean("loss"), accuracies(network.head.classes)
    cross = cross_entropy(0.0)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(x, y):
        logits = logits_of(network(x, training=False))
        loss.update_state(cross(y, logits))
        for metric in watched:
            metric.update_state(y, logits)
        return tf.argmax(logits, -1), tf.reduce_max(tf.nn.softmax(logits), -1)

    labels, predicted, worst = [], [], []
    for x, y in evaluation_batches(split, preprocessing, batch_size):
        answers, probabilities = (part.numpy() for part in step(x, y))
        first = sum(map(len, labels))
        labels.append(y.numpy())
        predicted.append(answers)
        wrong = np.flatnonzero(labels[-1] != answers)
        wrong = wrong[np.argsort(-probabilities[wrong], kind="stable")][:MISTAKES]
        worst += [
            WrongAnswer(
                *(float(probabilities[i]), int(first + i), int(labels[-1][i]), int(answers[i])),
                pixels_of(x[i].numpy(), preprocessing),
            )
            for i in wrong
        ]
        worst = sorted(worst, key=lambda each: (-each.probability, each.position))[:MISTAKES]
    metrics = {f"test_{metric.name}": float(metric.result()) for metric in (loss, *watched)}
    return Answers(
        {**metrics, "test_images": split.size},
        np.concatenate(labels or [np.zeros(0, int)]),
        np.concatenate(predicted or [np.zeros(0, int)]),
        worst,
    )


def pixels_of(x: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Inverts `Preprocessing.normalize`.

    Args:
        x: normalised image, `(height, width, channels)`.
        preprocessing: the preprocessing that normalised it.

    Returns:
        uint8, the same shape.
    """
    scale, mean = np.array(preprocessing.std), np.array(preprocessing.mean)
    return np.clip(np.round(255 * (x * scale + mean)), 0, 255).astype(np.uint8)


def evaluation_of(
    answers: Answers,
    classes: Sequence[str],
    dataset: str,
    own: bool = True,
    limit: int | None = None,
    epochs: int = 0,
    paths: Sequence[str] | None = None,
) -> Evaluation:
    """Returns the results by class.

    Args:
        answers: the answers of a network.
        classes: names of its outputs.
        dataset: name or folder of the images.
        own: whether they are the test split of the run's dataset.
        limit: maximum number of images that was asked for.
        epochs: number of epochs that the network was trained for.
        paths: files of the images, if they are known.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # slow to import

    indices = np.arange(len(classes))
    matrix = confusion_matrix(answers.labels, answers.predicted, labels=indices)
    shares = precision_recall_fscore_support(
        answers.labels, answers.predicted, labels=indices, zero_division=np.nan
    )
    precision, recall, f1, images = (part.tolist() for part in shares)
    tested = [i for i in indices if images[i]]
    return Evaluation(
        dataset=dataset,
        own=own,
        limit=limit,
        epochs=epochs,
        images=len(answers.labels),
        loss=answers.metrics["test_loss"],
        accuracy=answers.metrics["test_accuracy"],
        top5_accuracy=answers.metrics.get("test_top5_accuracy"),
        balanced_accuracy=float(np.mean([recall[i] for i in tested])),
        mean_f1=float(np.mean([f1[i] for i in tested])),
        classes=tuple(
            ClassResult(name, images[i], *map(_known, (precision[i], recall[i], f1[i])))
            for i, name in enumerate(classes)
        ),
        confusion_matrix=(
            tuple(map(tuple, matrix.tolist())) if len(classes) <= MATRIX_CLASSES else None
        ),
        confusions=_confusions(matrix, classes),
        mistakes=tuple(
            Mistake(
                image=each.position,
                file=_printable(paths[each.position]) if paths else None,
                true=classes[each.label],
                predicted=classes[each.predicted],
                probability=min(each.probability, 1.0),
                picture=data_uri(each.image),
            )
            for each in answers.worst
        ),
    )


def _printable(path: str) -> str:
    """Returns a path with question marks for bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _known(share: float) -> float | None:
    return None if math.isnan(share) else share


def _confusions(matrix: np.ndarray, classes: Sequence[str]) -> tuple[Confusion, ...]:
    """Returns the most frequent confusions; ties are in the order of the classes."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    places = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(
        Confusion(classes[true], classes[predicted], int(wrong[true, predicted]))
        for true, predicted in places
        if wrong[true, predicted]
    )


def data_uri(image: np.ndarray) -> str:
    """Encodes an image as a data URI: small ones without loss, others as JPEG of bounded size.

    Args:
        image: uint8, `(height, width, channels)` with 1 or 3 channels.
    """
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    file = io.BytesIO()
    if max(picture.size) <= PIXELS:
        picture.save(file, "PNG")
        kind = "png"
    else:
        picture.thumbnail((SIDE, SIDE))
        picture.save(file, "JPEG", quality=85)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
