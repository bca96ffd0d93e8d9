"""Image datasets in memory and the batches made of them."""

from darts_tf.data.augmentation import Augmentation
from darts_tf.data.jitter import ColorJitter
from darts_tf.data.pipeline import (
    evaluation_batches,
    first_images,
    search_batches,
    train_batches,
)
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.data.sources import EMBEDDED, load_dataset
from darts_tf.data.splits import AnySplit, ImageDataset, Split, as_read_by, split_halves
from darts_tf.data.steps import evaluation_steps, steps_per_epoch

__all__ = [
    "EMBEDDED",
    "AnySplit",
    "Augmentation",
    "ColorJitter",
    "ImageDataset",
    "Preprocessing",
    "Split",
    "as_read_by",
    "evaluation_batches",
    "evaluation_steps",
    "first_images",
    "load_dataset",
    "search_batches",
    "split_halves",
    "steps_per_epoch",
    "train_batches",
]
