"""Damaged images in datasets of TFDS, prepared without a network."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from mostly_slow import mostly_slow

from darts_tf.data import load_dataset
from darts_tf.data.decoding import CHUNK
from darts_tf.errors import InputError

COUNT = 2 * CHUNK + 5


class DamagedShapes(tfds.core.GeneratorBasedBuilder):
    """Dataset whose images encode label and number; some training images are damaged."""

    VERSION = tfds.core.Version("1.0.0")
    COUNTS = {"train": COUNT, "test": 4}
    BAD = {"train": (0, 40, 41, CHUNK + 9, COUNT - 1), "test": ()}

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=("blue", "red")),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.COUNTS}

    def _generate_examples(self, split):
        for i in range(self.COUNTS[split]):
            contents = tf.io.encode_png(np.full((8, 8, 3), (200 * (i % 2), i, 7), np.uint8)).numpy()
            if i in self.BAD[split]:
                contents = contents[: len(contents) // 2] if i % 2 else b""
            yield i, {"image": contents, "label": i % 2}


class DamagedTestShapes(DamagedShapes):
    """Dataset with a damaged test image as well."""

    BAD = {"train": (1,), "test": (2,)}


@pytest.fixture(autouse=True)
def _data_dir(tmp_path, monkeypatch):
    """Makes TFDS keep its files in the test's own folder."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    tfds.disable_progress_bar()


def name(number: int) -> str:
    return f"image {number} of the train split of damaged_shapes"


def logged(caplog) -> list[str]:
    """Returns the messages that this package has logged."""
    return [message for logger, _, message in caplog.record_tuples if logger == "darts_tf"]


def left_out(numbers, limit: int) -> list[str]:
    return [
        f"Left out a damaged training image, {i} of at most {limit}: {name(number)}"
        for i, number in enumerate(numbers, 1)
    ]


@mostly_slow((1,), "image_size", [None, 12])
def test_tfds_damaged_images_are_left_out_with_their_labels(caplog, image_size):
    bad = DamagedShapes.BAD["train"]
    dataset = load_dataset("damaged_shapes", image_size=image_size, max_bad_images=5)
    images, labels = dataset.train
    kept = np.delete(np.arange(COUNT), bad)
    np.testing.assert_array_equal(labels, kept % 2)
    np.testing.assert_array_equal(images[:, 0, 0, 0], 200 * labels)
    np.testing.assert_array_equal(images[:, 0, 0, 1], kept)
    assert logged(caplog) == left_out(bad, 5)
    assert len(dataset.test.labels) == 4


def test_tfds_damaged_image_more_than_the_limit_is_an_error(caplog):
    bad = DamagedShapes.BAD["train"]
    with pytest.raises(
        InputError, match=rf"at most 4 damaged .* at least 5, the last one {name(bad[-1])}$"
    ):
        load_dataset("damaged_shapes", max_bad_images=4)
    assert logged(caplog) == left_out(bad[:4], 4)


def test_tfds_damaged_image_is_an_error_without_a_limit():
    with pytest.raises(InputError, match=rf"--max-bad-images.* Received: {name(0)}$"):
        load_dataset("damaged_shapes")


def test_tfds_damaged_image_is_named_by_its_index_in_the_whole_split(caplog):
    options = {"limit": CHUNK, "seed": 1, "image_size": 8}
    images, labels = load_dataset("damaged_shapes", **options, max_bad_images=5).train
    numbers = images[:, 0, 0, 1].astype(int)
    np.testing.assert_array_equal(labels, numbers % 2)
    chosen = [i for i in DamagedShapes.BAD["train"] if name(i) in " ".join(logged(caplog))]
    # the limit has chosen some, not all, of the five damaged images
    assert 0 < len(chosen) < 5
    assert len(numbers) == CHUNK - len(chosen)
    assert logged(caplog) == left_out(chosen, 5)
    assert not set(numbers) & set(DamagedShapes.BAD["train"])


def test_tfds_damaged_test_image_is_an_error():
    message = r"never left out\). Received: image 2 of the test split of damaged_test_shapes$"
    with pytest.raises(InputError, match=message):
        load_dataset("damaged_test_shapes", max_bad_images=9)
