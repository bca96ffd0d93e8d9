"""Doubts about the result of a run, in words: few images, chance, overfitting, undecided cells.

Every function describes one doubt in a sentence, and returns "" if there is none. Commands print
the doubts at the end of a run, and its report lists them. Plain data, no TensorFlow.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runs.alphas import chosen_genotype, load_alphas
from darts_tf.runs.confidence import Confidence, load_confidence
from darts_tf.runs.metrics import read_metrics
from darts_tf.spaces.cell import CELLS
from darts_tf.spaces.derivation import mean_entropy, weights_of
from darts_tf.spaces.genotype import CELL_TITLES

FEW_IMAGES = 100
"""Mean number of training images per class below which these are few."""

UNCERTAIN = 0.1
"""Half the width of an accuracy's confidence interval above which the images tested are few."""

CONFIDENCE = 0.95
"""Level of that interval; chance must explain an accuracy with the remaining probability."""

LARGE_GAP = 0.1
"""Difference between the accuracies of training and test above which it is large."""

UNDECIDED, UNMOVED = 0.95, 0.99
"""Shares of the maximal entropy above which edges are hardly, and practically not, decided."""


def describe_few_images(counts: Sequence[int]) -> str:
    """Describes that a network is trained from scratch on few images.

    Args:
        counts: number of training images of every class.
    """
    images, classes = round(sum(counts)), len(counts)
    if not classes or images >= FEW_IMAGES * classes:
        return ""
    return (
        f"only {images:,} training images of {classes} classes, {images / classes:.0f} per class: "
        f"few for a network that is trained from scratch; with fewer than {FEW_IMAGES} per class, "
        "fine-tuning a pretrained network is usually better"
    )


def describe_chance(accuracy: float, counts: Sequence[int], of: str = "test") -> str:
    """Describes that an accuracy is at the level of chance.

    It is, if always answering the most frequent class, or drawing answers that are right as often,
    would be at least as good with a probability of more than 1 - `CONFIDENCE`: the upper tail of a
    binomial distribution. If a class has no images, nothing is said: the network cannot know that
    this answer is always wrong.

    Args:
        accuracy: share of the images that is classified correctly.
        counts: number of images of every class.
        of: name of the split.
    """
    from scipy.special import betainc  # late: most commands need none of SciPy

    images = round(sum(counts))
    if not images or len(counts) < 2 or not all(counts):
        return ""
    right, share = round(accuracy * images), max(counts) / sum(counts)
    # P(X >= right) for X ~ B(images, share)
    if right and betainc(right, images - right + 1, share) <= 1 - CONFIDENCE:
        return ""
    return (
        f"the {of} accuracy of {100 * accuracy:.1f} % is no better than chance: always answering "
        f"the most frequent class is right for {100 * share:.1f} % of the {images:,} images"
    )


def describe_uncertainty(accuracy: float, images: int, of: str = "test") -> str:
    """Describes that an accuracy is uncertain because few images were tested.

    Args:
        accuracy: share of the images that is classified correctly.
        images: number of images.
        of: name of the split.
    """
    if images <= 0:
        return ""
    low, high = accuracy_interval(accuracy, images)
    if high - low <= 2 * UNCERTAIN:
        return ""
    return (
        f"the {of} accuracy of {100 * accuracy:.1f} % was measured on {images:,} images only: on "
        f"many it might be anything from {100 * low:.0f} to {100 * high:.0f} %"
    )


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Returns the exact confidence interval of an accuracy (Clopper and Pearson 1934).

    Args:
        accuracy: share of the images that is classified correctly.
        images: number of images.
    """
    from scipy.special import betaincinv

    right, tail = round(accuracy * images), (1 - CONFIDENCE) / 2
    wrong = images - right
    low = betaincinv(right, wrong + 1, tail) if right else 0.0
    high = betaincinv(right + 1, wrong, 1 - tail) if wrong else 1.0
    return float(low), float(high)


def describe_overfitting(training: float, accuracy: float, of: str = "test") -> str:
    """Describes that the accuracy is much lower than on the training images.

    Args:
        training: accuracy on the training images.
        accuracy: accuracy on other images.
        of: name of their split.
    """
    gap = training - accuracy
    if gap <= LARGE_GAP:
        return ""
    return (
        f"the {of} accuracy of {100 * accuracy:.1f} % is {100 * gap:.1f} points below the training "
        f"accuracy of {100 * training:.1f} %, a sign of overfitting or of too few steps"
    )


def describe_unmoved(alphas: Sequence[np.ndarray]) -> str:
    """Describes that a search has decided nothing: its alphas are nearly those it began with.

    All operations of an edge begin with nearly equal alphas. While the mean entropy of the edges is
    above `UNMOVED` of its maximum in every kind of cell, small differences between them choose the
    cells.

    Args:
        alphas: the arrays of a supernet, `(edges, primitives)` for each kind of cell; edge alphas
            after them are ignored.
    """
    arrays = [np.asarray(array, np.float64) for array in alphas]
    arrays = [array for array in arrays if array.ndim == 2 and array.shape[1] > 1]
    if not arrays or any(entropy_share(array) <= UNMOVED for array in arrays):
        return ""
    titles = [CELL_TITLES[name] for name in (CELLS if len(arrays) == len(CELLS) else ())]
    parts = [
        f"{mean_entropy(array):.3f} of at most {math.log(array.shape[1]):.3f} nats"
        + (f" in the {titles[i]}" if titles else "")
        for i, array in enumerate(arrays)
    ]
    largest = np.mean([weights_of(array).max(axis=1).mean() for array in arrays])
    even = np.mean([1 / array.shape[1] for array in arrays])
    return (
        "the cells are practically the draw that the search began with: the mean entropy of an "
        f"edge is {' and '.join(parts)}, its largest weight {largest:.3f} where {even:.3f} is "
        "even; another seed would give other cells"
    )


def describe_young(config) -> str:
    """Describes that cells are chosen by the accuracy of weights that were restarted lately.

    Args:
        config: settings of a search that chooses its cells on the supernet.
    """
    if not config.restart_every:
        return ""
    return (
        "the cells are chosen by the accuracy of weights that are restarted every "
        f"{config.restart_every} epochs; without --restart-every they train for the whole search"
    )


def describe_undecided(confidence: Confidence) -> str:
    """Describes that most choices of a search whose weights were restarted are not decided.

    Entropies say less there: small alphas that all sets of weights agree on are sure.

    Args:
        confidence: of the choices.
    """
    undecided, count = confidence.undecided, len(confidence.all_shares)
    if undecided <= count / 2:
        return ""
    return (
        f"{undecided} of {count} choices are not decided after {confidence.starts} sets of "
        "weights; another seed would choose others there"
    )


def entropy_share(alphas: np.ndarray) -> float:
    """Returns the mean entropy of a cell's edges as a share of its maximum, 0 to 1."""
    return mean_entropy(alphas) / math.log(np.shape(alphas)[1])


def describe_decisions(share: float) -> str:
    """Describes how far edges are decided at a share of the maximal entropy."""
    if share > UNMOVED:
        return "practically no edge is decided"
    return "hardly any edge is decided" if share > UNDECIDED else "the edges are becoming decided"


def doubts_of(config) -> list[str]:
    """Returns the doubts about a finished search or training, the most general first.

    Args:
        config: settings of the run, with its folder.

    Raises:
        InputError: a file of the run has another content.
    """
    folder = config.last_folder
    sentences = [] if config.on_text else _of_accuracies(folder, config)
    if config.searches and config.selects_on_supernet:
        sentences.append(describe_young(config))
    by_alphas = config.searches and not config.selects_on_supernet
    if by_alphas and (folder / files.ALPHAS).is_file():
        confidence = load_confidence(folder, chosen_genotype(folder))
        if confidence:
            sentences.append(describe_undecided(confidence))
        else:
            sentences.append(describe_unmoved(load_alphas(folder)))
    return [sentence for sentence in sentences if sentence]


def _of_accuracies(folder: pathlib.Path, config) -> list[str]:
    path = folder / files.DATASET
    stored = files.read_json(path) if path.is_file() else {}
    train, test = (class_counts(stored, split) for split in ("train", "test"))
    metrics = read_metrics(folder)
    last = metrics[-1] if metrics else {}
    if config.searches:  # half of the training images are for the alphas
        test = [count / 2 for count in train]
    of = "test" if "test_accuracy" in last else "validation"
    accuracy = _share(last.get("test_accuracy", last.get("valid_accuracy")))
    sentences = [describe_few_images(train)] if metrics else []
    young = config.searches and config.restart_every  # weights that are not meant to be good
    if accuracy is None or young:
        return sentences
    training = _share(last.get("accuracy"))
    sentences += doubts_of_accuracy(accuracy, test, of)
    if training is not None and not describe_chance(accuracy, test, of):
        sentences.append(describe_overfitting(training, accuracy, of))
    return sentences


def doubts_of_accuracy(accuracy: float, counts: Sequence[int], of: str = "test") -> list[str]:
    """Returns the doubts about an accuracy: chance, or else few images.

    Args:
        accuracy: share of the images that is classified correctly.
        counts: number of images of every class.
        of: name of the split.
    """
    doubt = describe_chance(accuracy, counts, of)
    doubt = doubt or describe_uncertainty(accuracy, round(sum(counts)), of)
    return [doubt] if doubt else []


def class_counts(stored: object, split: str) -> list[float]:
    """Returns the number of images of every class of a split.

    Streamed records do not tell their labels before they are read, and earlier versions did not
    store the counts. The classes are then assumed to have equally many images.

    Args:
        stored: content of a run's `DATASET` file.
        split: `"train"` or `"test"`.

    Raises:
        InputError: the content is another.
    """
    known = stored if isinstance(stored, Mapping) else {}
    classes, images, counts = (
        known.get(name, default)
        for name, default in (("classes", []), ("images", {}), ("class_counts", {}))
    )
    counts = counts.get(split) if isinstance(counts, Mapping) else counts
    total = images.get(split, 0) if isinstance(images, Mapping) else None
    if not isinstance(classes, list) or not _is_count(total):
        raise InputError(f"Expected classes and numbers of images. Received: {shown(stored)}")
    if counts is None:
        return [total / len(classes)] * len(classes) if classes else []
    if not isinstance(counts, list) or not all(map(_is_count, counts)):
        raise InputError(f"Expected images per class. Received: {shown(counts)}")
    return counts


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**15


def _share(value: object) -> float | None:
    """Returns an accuracy; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None
