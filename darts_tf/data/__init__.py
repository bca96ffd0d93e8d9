"""Datasets of images and of words, and the batches made of them."""

from darts_tf.data.augmentation import Augmentation
from darts_tf.data.corpora import SPLITTING, TEXTS, load_text, splitting_of
from darts_tf.data.jitter import ColorJitter
from darts_tf.data.pipeline import (
    evaluation_batches,
    sample,
    search_batches,
    train_batches,
)
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.data.segments import (
    Segment,
    evaluation_segment_steps,
    evaluation_segments,
    most_segment_steps,
    search_segments,
    segment_steps,
    train_segments,
)
from darts_tf.data.sources import EMBEDDED, PUBLISHED_STATISTICS, lasting_name, load_dataset
from darts_tf.data.splits import (
    AnySplit,
    ImageDataset,
    Split,
    as_read_by,
    held_out,
    limited_indices,
    split_halves,
    take,
)
from darts_tf.data.steps import evaluation_steps, steps_per_epoch
from darts_tf.data.text import (
    TextDataset,
    Vocabulary,
    check_same_vocabulary,
    read_vocabulary,
)
from darts_tf.data.tfds_source import class_names

__all__ = [
    "EMBEDDED",
    "PUBLISHED_STATISTICS",
    "SPLITTING",
    "TEXTS",
    "AnySplit",
    "Augmentation",
    "ColorJitter",
    "ImageDataset",
    "Preprocessing",
    "Segment",
    "Split",
    "TextDataset",
    "Vocabulary",
    "as_read_by",
    "check_same_vocabulary",
    "class_names",
    "evaluation_batches",
    "evaluation_segment_steps",
    "evaluation_segments",
    "evaluation_steps",
    "held_out",
    "lasting_name",
    "limited_indices",
    "load_dataset",
    "load_text",
    "most_segment_steps",
    "read_vocabulary",
    "sample",
    "search_batches",
    "search_segments",
    "segment_steps",
    "split_halves",
    "splitting_of",
    "steps_per_epoch",
    "take",
    "train_batches",
    "train_segments",
]
