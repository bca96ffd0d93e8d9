"""Streamed datasets of TFDS, prepared without a network: order, seeking, splits, limits."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from mostly_slow import mostly_slow

from darts_tf.data import Augmentation, evaluation_batches, load_dataset, train_batches
from darts_tf.data.splits import Records

CROP = Augmentation(random_resized_crop=True)


class ShardedShapes(tfds.core.GeneratorBasedBuilder):
    """Images of many sizes with their number as gray value; test has no labels, as ImageNet's."""

    VERSION = tfds.core.Version("1.0.0")
    COUNTS = {"train": 23, "validation": 7, "test": 5}

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=("even", "odd")),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.COUNTS}

    def _generate_examples(self, split):
        for i in range(self.COUNTS[split]):
            image = np.full((12 + i, 30 - i, 3), 10 * i, np.uint8)
            yield i, {"image": image, "label": -1 if split == "test" else i % 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Makes a dataset whose training images are in several files."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("tfds"))
        patch.setattr(tfds.core.constants, "DATA_DIR", folder)
        config = tfds.download.DownloadConfig(num_shards=4)
        tfds.builder("sharded_shapes").download_and_prepare(download_config=config)
        yield load_dataset("sharded_shapes", streamed=True, image_size=16)


def batches(dataset, **options):
    options = {"seed": 0, "epochs": 3, **options}
    examples = train_batches(dataset.train, dataset.preprocessing, CROP, 5, **options)
    return [(x.numpy(), y.numpy()) for x, y in examples]


def numbers(dataset, examples) -> np.ndarray:
    """Returns the numbers of the images in batches, from their gray values."""
    preprocessing = dataset.preprocessing
    levels = np.concatenate([x[:, 8, 8, 0] for x, _ in examples])
    return np.round((levels * preprocessing.std[0] + preprocessing.mean[0]) * 25.5).astype(int)


def test_streamed_records_come_once_an_epoch_in_new_orders_of_all_files(dataset):
    assert isinstance(dataset.train, Records)
    assert (dataset.train.size, dataset.test.size) == (23, 7)
    examples = batches(dataset)
    order = numbers(dataset, examples).reshape(3, 23)
    np.testing.assert_array_equal(np.sort(order, 1), np.tile(np.arange(23), (3, 1)))
    assert len({epoch.tobytes() for epoch in order}) == 3
    np.testing.assert_array_equal(np.concatenate([y for _, y in examples]), order.ravel() % 2)


def test_order_of_the_files_follows_the_seed_too(dataset, monkeypatch):
    from darts_tf.data import tfds_source

    monkeypatch.setattr(tfds_source, "BUFFER", 1)
    orders = {
        numbers(dataset, batches(dataset, epochs=1, seed=seed)).tobytes() for seed in range(5)
    }
    assert len(orders) > 1


@mostly_slow((1,), "start", [2, 5, 8])
def test_streamed_records_start_at_any_step_bit_for_bit(dataset, start):
    full, rest = batches(dataset), batches(dataset, start_step=start)
    assert len(rest) == len(full) - start
    for (x, y), (expected, labels) in zip(rest, full[start:], strict=True):
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, labels)


def test_streamed_records_do_not_depend_on_the_global_seed(dataset):
    orders = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        orders.append(numbers(dataset, batches(dataset, epochs=1)))
    np.testing.assert_array_equal(*orders)


def test_streamed_evaluation_reads_the_split_that_has_labels_in_its_order(dataset):
    evaluated = evaluation_batches(dataset.test, dataset.preprocessing, 3)
    labels = np.concatenate([y for _, y in evaluated.as_numpy_iterator()])
    np.testing.assert_array_equal(np.bincount(labels), [4, 3])
    again = evaluation_batches(dataset.test, dataset.preprocessing, 7)
    np.testing.assert_array_equal(next(iter(again))[1], labels)


@pytest.mark.usefixtures("dataset")
def test_limit_of_streamed_records_takes_the_first():
    limited = load_dataset("sharded_shapes", streamed=True, image_size=16, limit=9)
    assert (limited.train.size, limited.test.size) == (9, 7)
    order = numbers(limited, batches(limited, epochs=2)[:2])
    assert len(set(order)) == 9


@pytest.mark.usefixtures("dataset")
def test_streamed_records_cannot_be_left_out():
    with pytest.raises(ValueError, match="`max_bad_images` expected 0 .* Received: .*=3"):
        load_dataset("sharded_shapes", streamed=True, max_bad_images=3)
