"""Fake exports of small texts, written without TensorFlow."""

from __future__ import annotations

import json
import pathlib

from darts_tf.export import folder
from darts_tf.export.publishing import published


def write_export(output: pathlib.Path, contents: dict[str, str]) -> None:
    with published(output) as written:
        for name, text in {folder.PAGE: "", **contents}.items():
            (written / name).parent.mkdir(parents=True, exist_ok=True)
            (written / name).write_text(text)
        report = {"files": folder.digests(written)}
        (written / folder.REPORT).write_text(json.dumps(report))
