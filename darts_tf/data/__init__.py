"""Datasets of images and texts, and the batches made from them.

Imports, besides `errors`, `lazy` and `registry`: `configs.text_datasets`, and `strict_json` and
`distribution` of `runtime`. Public names are imported on first use.
"""

from __future__ import annotations

from darts_tf import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "augmentation": ("Augmentation",),
        "corpora": ("SPLITTING", "TEXTS", "load_text", "splitting_of"),
        "external_test": ("load_external_test",),
        "jitter": ("ColorJitter",),
        "pipeline": ("evaluation_batches", "sample", "search_batches", "train_batches"),
        "preprocessing": ("Preprocessing",),
        "segments": (
            "Segment",
            "evaluation_segment_steps",
            "evaluation_segments",
            "most_segment_steps",
            "search_segments",
            "segment_steps",
            "train_segments",
        ),
        "sources": ("EMBEDDED", "PUBLISHED_STATISTICS", "lasting_name", "load_dataset"),
        "splits": (
            "AnySplit",
            "ImageDataset",
            "Split",
            "as_read_by",
            "held_out",
            "limited_indices",
            "split_halves",
            "take",
        ),
        "steps": ("evaluation_steps", "steps_per_epoch"),
        "text": ("TextDataset", "Vocabulary", "check_same_vocabulary", "read_vocabulary"),
        "tfds_source": ("class_names",),
        "user_dataset": ("ARRAYS", "make_dataset"),
    },
)
