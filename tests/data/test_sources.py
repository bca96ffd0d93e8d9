"""Digits, datasets of TFDS (without a network), and how names are resolved."""

from __future__ import annotations

import ast
import collections
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from darts_tf import data
from darts_tf.data import EMBEDDED, Augmentation, load_dataset, train_batches
from darts_tf.data.sources import PUBLISHED_STATISTICS


class SmallShapes(tfds.core.GeneratorBasedBuilder):
    """Grayscale squares; test has no labels, as in ImageNet, and class names are in files."""

    VERSION = tfds.core.Version("1.0.0")
    SIZES = {"train": 30, "validation": 9, "test": 6}

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(None, None, 1)),
            "kind": tfds.features.ClassLabel(num_classes=3),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("picture", "kind"),
        )

    def _split_generators(self, dl_manager):
        self.info.features["kind"].names = ["dark", "bright", "white"]
        return {split: self._generate_examples(split) for split in self.SIZES}

    def _generate_examples(self, split):
        for i in range(self.SIZES[split]):
            label = -1 if split == "test" else i % 3
            gray = 100 * (i % 3) + i % 7
            yield i, {"picture": np.full((10, 10, 1), gray, np.uint8), "kind": label}


class MixedShapes(SmallShapes):
    """Dataset with images of two sizes and a labelled test split."""

    SIZES = {"train": 4, "test": 4}

    def _generate_examples(self, split):
        for i in range(4):
            yield i, {"picture": np.full((8 + i // 2, 8, 1), i, np.uint8), "kind": i % 3}


class TrainOnlyShapes(SmallShapes):
    """Dataset without test images."""

    SIZES = {"train": 6}


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """Makes TFDS keep its files in the test's own folder."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    tfds.disable_progress_bar()


@pytest.mark.parametrize("name", sorted(EMBEDDED))
def test_embedded_dataset_is_well_formed(name):
    dataset = load_dataset(name)
    assert dataset.name == name
    for images, labels in (dataset.train, dataset.test):
        assert images.dtype == np.uint8
        assert labels.dtype == np.int32
        assert images.ndim == 4
        assert len(images) == len(labels)
        assert set(labels) == set(range(len(dataset.classes)))
    shape = dataset.train.images.shape[1:]
    preprocessing = dataset.preprocessing
    assert shape == (preprocessing.height, preprocessing.width, preprocessing.channels)
    normalized = preprocessing.normalize(dataset.train.images).numpy().astype(np.float64)
    np.testing.assert_allclose(normalized.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std((0, 1, 2)), 1, rtol=1e-5)


def test_digits_hold_every_image_of_scikit_learn_once():
    from sklearn.datasets import load_digits

    dataset = load_dataset("digits")
    assert dataset.classes == tuple("0123456789")
    images = np.concatenate([dataset.train.images, dataset.test.images])[..., 0]
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    data = load_digits()
    ours = collections.Counter(
        (np.round(image / 255 * 16).astype(int).tobytes(), label)
        for image, label in zip(images, labels, strict=True)
    )
    theirs = collections.Counter(
        (image.astype(int).tobytes(), label)
        for image, label in zip(data.images, data.target, strict=True)
    )
    assert ours == theirs
    assert (images.min(), images.max()) == (0, 255)


def test_digits_are_split_by_class_and_not_by_seed():
    dataset, other = load_dataset("digits", seed=0), load_dataset("digits", seed=1)
    np.testing.assert_array_equal(dataset.test.images, other.test.images)
    shares = np.bincount(dataset.test.labels) / (
        np.bincount(dataset.train.labels) + np.bincount(dataset.test.labels)
    )
    np.testing.assert_allclose(shares, 0.2, atol=0.005)


def test_digits_can_be_limited_and_resized():
    dataset = load_dataset("digits", limit=50, image_size=28)
    assert dataset.train.images.shape == dataset.test.images.shape == (50, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), [5] * 10)
    assert (dataset.preprocessing.height, dataset.preprocessing.width) == (28, 28)


def test_tfds_cifar10_has_the_published_statistics():
    with tfds.testing.mock_data(num_examples=40):
        dataset = load_dataset("cifar10")
    assert len(dataset.classes) == 10
    assert (dataset.preprocessing.mean, dataset.preprocessing.std) == PUBLISHED_STATISTICS[
        "cifar10"
    ]
    assert dataset.train.images.shape == (40, 32, 32, 3)
    assert (dataset.train.labels.dtype, dataset.test.images.dtype) == (np.int32, np.uint8)


def test_tfds_mnist_has_its_own_statistics():
    with tfds.testing.mock_data(num_examples=20):
        dataset = load_dataset("mnist")
    assert dataset.train.images.shape == (20, 28, 28, 1)
    pixels = dataset.train.images / 255
    np.testing.assert_allclose(dataset.preprocessing.mean, pixels.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(dataset.preprocessing.std, pixels.std((0, 1, 2)), rtol=1e-9)


@pytest.mark.usefixtures("data_dir")
def test_tfds_dataset_is_prepared_and_read_with_its_labels():
    dataset = load_dataset("small_shapes", limit=9)
    assert dataset.classes == ("dark", "bright", "white")
    images, labels = dataset.train
    np.testing.assert_array_equal(np.bincount(labels), [3, 3, 3])
    np.testing.assert_array_equal(images[:, 0, 0, 0] // 100, labels)
    assert images.shape == (9, 10, 10, 1)


@pytest.mark.usefixtures("data_dir")
def test_tfds_dataset_without_labels_for_test_uses_validation():
    dataset = load_dataset("small_shapes")
    assert dataset.test.images.shape == (9, 10, 10, 1)
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [3, 3, 3])
    loaded = tfds.load("small_shapes", split="validation", as_supervised=True)
    expected = [(image.tobytes(), label) for image, label in loaded.as_numpy_iterator()]
    received = [(image.tobytes(), label) for image, label in zip(*dataset.test, strict=True)]
    assert received == expected


@pytest.mark.usefixtures("data_dir")
def test_tfds_images_of_two_sizes_are_resized():
    dataset = load_dataset("mixed_shapes")
    assert dataset.train.images.shape == (4, 8, 8, 1)
    assert "images of 8x8 to 8x9 pixels are resized to 8x8" in dataset.notes[0]
    assert load_dataset("mixed_shapes", image_size=12).train.images.shape == (4, 12, 12, 1)


@pytest.mark.usefixtures("data_dir")
def test_tfds_dataset_without_test_images_is_refused():
    message = "splits train and test .* Received: train_only_shapes with train$"
    with pytest.raises(ValueError, match=message):
        load_dataset("train_only_shapes")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("cifra10", "cifar10"), ("digit", "digits"), ("MNIST ", "mnist"), ("xyzzyqqq", "digits")],
)
def test_unknown_name_gives_the_nearest_ones_in_one_line(name, nearest):
    with pytest.raises(
        ValueError, match=rf"nearest: .*{nearest}.* Received: {name}(\.|$)"
    ) as error:
        load_dataset(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cifar10:9.9.9", "cifar10/no_such_config"])
def test_unknown_version_or_configuration_gives_one_line(name):
    with pytest.raises(ValueError, match=rf"a dataset of TFDS. Received: {name} \(") as error:
        load_dataset(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["imdb_reviews", "coco"])
def test_dataset_that_is_no_image_classification_is_refused(name):
    with pytest.raises(ValueError, match=f"one label each. Received: {name} with the features"):
        load_dataset(name)


def test_failed_download_is_one_line(monkeypatch):
    def fail(self, **kwargs):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(OSError, match="^Dataset cifar10 could not .*: no route to host$"):
        load_dataset("cifar10")


def test_embedded_name_wins_over_a_folder_and_a_folder_over_tfds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "mnist").mkdir()
    assert load_dataset("digits").classes == tuple("0123456789")
    for name in ("./digits", "mnist"):
        with pytest.raises(
            ValueError, match=f"at least two classes.* Received: {name[-6:].strip('./')}"
        ):
            load_dataset(name)


@pytest.mark.parametrize(
    "path", sorted(pathlib.Path(data.__file__).parent.glob("*.py")), ids=lambda path: path.stem
)
def test_heavy_packages_are_imported_only_where_they_are_used(path):
    for node in ast.parse(path.read_text()).body:
        names = [alias.name for alias in getattr(node, "names", [])] + [getattr(node, "module", "")]
        assert not {"tensorflow_datasets", "sklearn"} & {str(name).split(".")[0] for name in names}


def test_dataset_feeds_a_pipeline():
    dataset = load_dataset("digits", limit=20)
    batches = train_batches(
        dataset.train, dataset.preprocessing, Augmentation(2), 8, seed=0, epochs=1
    )
    assert sum(len(y) for _, y in batches) == 20
    assert tf.nest.map_structure(lambda x: x.dtype, next(iter(batches))) == (tf.float32, tf.int32)
