"""Searches on images that are stopped and resumed."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from kill_and_resume import assert_same_run
from stop_callbacks import Terminate

from darts_tf.configs import SearchConfig
from darts_tf.runtime.signals import Interrupted
from darts_tf.search.images import search_images


def tiny_config(folder: pathlib.Path, **fields) -> SearchConfig:
    """Returns the settings of a very small search; `fields` override them."""
    settings = {"epochs": 2, "batch_size": 8, "space": "one_node"}
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


def assert_stopped_ends_as_whole(
    folder: pathlib.Path,
    dataset,
    config: Callable[..., SearchConfig],
    epoch: int = 1,
    message: str | None = None,
    **fields,
) -> pathlib.Path:
    """Asserts that a search that is stopped and resumed ends as one that is not.

    Args:
        folder: folder for both.
        dataset: dataset to search on.
        config: `config(folder, **fields)` returns the settings.
        epoch: epoch, from 0, after whose first step it is stopped.
        message: pattern of the message of the stop.
        fields: settings of both.

    Returns:
        The folder of the search that was not stopped.
    """
    whole, stopped = folder / "whole", folder / "stopped"
    search_images(config(whole, **fields), dataset)
    with pytest.raises(Interrupted, match=message):
        search_images(config(stopped, **fields), dataset, callbacks=(Terminate(epoch, 0),))
    search_images(config(stopped, **fields, resume=True), dataset)
    assert_same_run(stopped, whole)
    return whole
