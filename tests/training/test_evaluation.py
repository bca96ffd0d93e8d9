"""Results by class, against hand counts and scikit-learn; mistakes are shown as they were seen."""

from __future__ import annotations

import base64
import dataclasses
import io
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import metrics as sklearn_metrics

from darts_tf.data import Preprocessing, Split
from darts_tf.training.evaluation import (
    CONFUSIONS,
    MISTAKES,
    SIDE,
    answers_of,
    data_uri,
    evaluation_of,
    pixels_of,
)

PREPROCESSING = Preprocessing(4, 5, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.1))


def reader(preprocessing, classes: int):
    """Returns a stand-in for a network: the first two pixels name the answer and its certainty.

    The answer is the first gray value; its logit is the second one, all others are 0.
    """

    def network(x, training):
        assert training is False
        pixels = tf.round(255 * (x * preprocessing.std + preprocessing.mean))
        answer = tf.cast(pixels[:, 0, 0, 0], tf.int32)
        return tf.one_hot(answer, classes) * (pixels[:, 0, 1, 0, None] / 32)

    network.head = types.SimpleNamespace(classes=classes)
    return network


def drawn(answers, certainty, labels, preprocessing=PREPROCESSING) -> Split:
    """Returns images that `reader` reads these answers and certainties from."""
    size = (len(labels), preprocessing.height, preprocessing.width, preprocessing.channels)
    images = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = answers, certainty
    return Split(images, np.array(labels, np.int32))


LABELS = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
ANSWERS = [0, 0, 0, 1, 2, 2, 1, 1, 1, 1, 0, 1, 2, 2]
CERTAIN = [9, 9, 9, 30, 90, 200, 9, 9, 9, 9, 60, 40, 9, 9]


@pytest.fixture(scope="module")
def answers():
    split = drawn(ANSWERS, CERTAIN, LABELS)
    return answers_of(reader(PREPROCESSING, 3), split, PREPROCESSING, batch_size=4)


def test_results_are_those_counted_by_hand(answers):
    found = evaluation_of(answers, ("a", "b", "c"), "photos")
    assert found.confusion_matrix == ((3, 1, 2), (0, 4, 0), (1, 1, 2))
    assert found.accuracy == pytest.approx(9 / 14)
    assert found.balanced_accuracy == pytest.approx((3 / 6 + 1 + 2 / 4) / 3)
    assert [each.images for each in found.classes] == [6, 4, 4]
    assert [each.precision for each in found.classes] == pytest.approx([3 / 4, 4 / 6, 2 / 4])
    assert [each.recall for each in found.classes] == pytest.approx([3 / 6, 1, 2 / 4])
    assert [each.f1 for each in found.classes] == pytest.approx([0.6, 0.8, 0.5])
    assert found.mean_f1 == pytest.approx(1.9 / 3)
    assert [(c.true, c.predicted, c.images) for c in found.confusions] == [
        *(("a", "c", 2), ("a", "b", 1), ("c", "a", 1), ("c", "b", 1))
    ]


def test_loss_is_the_mean_cross_entropy(answers):
    certain = np.array(CERTAIN) / 32
    denominators = np.log(np.exp(certain) + 2)
    right = np.equal(LABELS, ANSWERS)
    assert answers.metrics["test_loss"] == pytest.approx(
        np.mean(denominators - right * certain), rel=1e-5
    )
    assert answers.metrics["test_images"] == 14


def test_worst_mistakes_are_the_most_certain_and_shown_as_they_were_seen(answers):
    split = drawn(ANSWERS, CERTAIN, LABELS)
    assert [each.position for each in answers.worst] == [5, 4, 10, 11, 3]
    for each in answers.worst:
        assert (each.label, each.predicted) == (LABELS[each.position], ANSWERS[each.position])
        np.testing.assert_array_equal(each.image, split.images[each.position])
        certain = np.exp(CERTAIN[each.position] / 32)
        assert each.probability == pytest.approx(certain / (certain + 2), rel=1e-5)
    found = evaluation_of(answers, ("a", "b", "c"), "photos", paths=list("ABCDEFGHIJKLMN"))
    assert [each.file for each in found.mistakes] == list("FEKLD")
    file = io.BytesIO(base64.b64decode(found.mistakes[0].picture.partition(",")[2]))
    np.testing.assert_array_equal(np.asarray(Image.open(file)), split.images[5])


def test_batches_do_not_change_the_results():
    random = np.random.default_rng(1)
    labels, replies = random.integers(0, 12, (2, 100))
    split = drawn(replies, random.integers(0, 256, 100), labels)
    network = reader(PREPROCESSING, 12)
    one, other = (answers_of(network, split, PREPROCESSING, size) for size in (100, 7))
    assert [w.position for w in one.worst] == [w.position for w in other.worst]
    assert len(one.worst) == MISTAKES
    names = [str(i) for i in range(12)]
    first, second = (evaluation_of(each, names, "photos") for each in (one, other))
    assert second.loss == pytest.approx(first.loss)
    assert second.top5_accuracy == pytest.approx(first.top5_accuracy)
    for each in (first, second):
        assert each.balanced_accuracy == pytest.approx(
            sklearn_metrics.balanced_accuracy_score(labels, replies)
        )
        assert each.mean_f1 == pytest.approx(
            sklearn_metrics.f1_score(labels, replies, average="macro")
        )
    same = {"loss": 0.0, "top5_accuracy": 0.0, "mistakes": ()}
    assert dataclasses.replace(first, **same) == dataclasses.replace(second, **same)


def test_classes_without_images_or_answers_have_no_shares():
    split = drawn([0, 0, 2], [99, 99, 99], [0, 1, 1])
    answers = answers_of(reader(PREPROCESSING, 4), split, PREPROCESSING)
    found = evaluation_of(answers, "abcd", "photos")
    a, b, c, d = found.classes
    assert (a.precision, a.recall) == (0.5, 1)
    assert (b.precision, b.recall, b.f1) == (None, 0, 0)  # it is never answered
    assert (c.images, c.precision, c.recall, c.f1) == (0, 0, None, 0)  # it has no images
    assert (d.precision, d.recall, d.f1) == (None, None, None)
    assert found.balanced_accuracy == 0.5  # of the classes that have images
    assert found.mean_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_many_classes_have_their_confusions_instead_of_a_matrix():
    labels = np.arange(120)
    split = drawn(np.roll(labels, 1), [99] * 120, labels)
    answers = answers_of(reader(PREPROCESSING, 120), split, PREPROCESSING)
    found = evaluation_of(answers, [f"class {i}" for i in range(120)], "photos")
    assert found.confusion_matrix is None
    assert len(found.confusions) == CONFUSIONS
    assert found.taken_for(0).predicted == "class 119"


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_is_inverted_exactly(channels):
    statistics = (0.31, 0.52, 0.93)[:channels], (0.21, 0.12, 0.33)[:channels]
    preprocessing = Preprocessing(16, 16, channels, *statistics)
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(channels, -1)
    np.testing.assert_array_equal(
        pixels_of(preprocessing.normalize(pixels).numpy(), preprocessing), pixels
    )


def test_pictures_have_a_bounded_size():
    noise = np.random.default_rng(0).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    picture = data_uri(noise)
    assert picture.startswith("data:image/jpeg;base64,")
    assert len(picture) < 24_000
    shown = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
    assert max(shown.size) == SIDE
    assert len(data_uri(noise[:64, :64])) < 20_000
    assert data_uri(noise[:8, :8, :1]).startswith("data:image/png")
