"""Image datasets in memory and the batches made of them."""

from darts_tf.data.augmentation import Augmentation
from darts_tf.data.jitter import ColorJitter
from darts_tf.data.pipeline import (
    evaluation_batches,
    sample,
    search_batches,
    train_batches,
)
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.data.sources import EMBEDDED, PUBLISHED_STATISTICS, lasting_name, load_dataset
from darts_tf.data.splits import AnySplit, ImageDataset, Split, as_read_by, split_halves
from darts_tf.data.steps import evaluation_steps, steps_per_epoch
from darts_tf.data.tfds_source import class_names

__all__ = [
    "EMBEDDED",
    "PUBLISHED_STATISTICS",
    "AnySplit",
    "Augmentation",
    "ColorJitter",
    "ImageDataset",
    "Preprocessing",
    "Split",
    "as_read_by",
    "class_names",
    "evaluation_batches",
    "evaluation_steps",
    "lasting_name",
    "load_dataset",
    "sample",
    "search_batches",
    "split_halves",
    "steps_per_epoch",
    "train_batches",
]
