"""Files of results by class: read as written, kept apart, and refused if damaged."""

from __future__ import annotations

import dataclasses
import json

import pytest
from fake_evaluations import evaluation

from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs.evaluations import (
    evaluation_path,
    evaluations_of,
    load_evaluation,
    save_evaluation,
)


def test_evaluation_is_read_as_it_was_written(tmp_path):
    path = evaluation_path(tmp_path)
    save_evaluation(path, evaluation())
    assert load_evaluation(path) == evaluation()
    assert path.name == files.EVALUATION


def test_results_on_other_images_never_replace_the_own_one(tmp_path):
    own = evaluation_path(tmp_path)
    others = [
        evaluation_path(tmp_path, "/data/a/photos"),
        evaluation_path(tmp_path, "/data/b/photos"),
        evaluation_path(tmp_path, "/data/b/photos", 10),
        evaluation_path(tmp_path, None, 10),
        evaluation_path(tmp_path, "/"),
        evaluation_path(tmp_path, "/data/\udcff ../.."),
    ]
    assert len({own, *others}) == 1 + len(others)
    assert {path.parent for path in others} == {tmp_path / files.EVALUATIONS}
    assert others[0].name.startswith("photos-")
    save_evaluation(own, evaluation())
    for path in others[:2]:
        save_evaluation(path, dataclasses.replace(evaluation(), own=False))
    assert [each.own for each in evaluations_of(tmp_path)] == [True, False, False]


def test_run_without_evaluations_has_none(tmp_path):
    assert evaluations_of(tmp_path) == ()


def test_most_frequent_confusion_of_a_class_comes_from_the_matrix():
    whole = evaluation()  # [[3, 1, 2], [0, 4, 0], [1, 1, 2]]
    assert whole.taken_for(0).predicted == "c"
    assert whole.taken_for(0).images == 2
    assert whole.taken_for(1) is None
    assert whole.taken_for(2).predicted == "a"
    without = dataclasses.replace(whole, confusion_matrix=None)
    assert without.taken_for(0) == whole.taken_for(0)


def test_worst_classes_have_images_and_the_lowest_f1():
    whole = evaluation()
    assert whole.worst_classes(2) == [2, 0]
    lacking = dataclasses.replace(whole.classes[2], images=0, recall=None, f1=None)
    partly = dataclasses.replace(whole, classes=(*whole.classes[:2], lacking))
    assert partly.worst_classes(5) == [0, 1]


BAD = {
    "accuracy": [2, "1", None, True],
    "images": [-1, 0.5, 10**20],
    "classes": [None, [1], [{"name": "a"}]],
    "confusion_matrix": [[[1]], [[1, 2, 3]] * 2, [["1"] * 3] * 3, 3],
    "dataset": [7],
    "mistakes": [
        [{"image": 0, "file": None, "true": "a", "predicted": "b", "probability": 1, "picture": p}]
        for p in ("http://x/y.png", "data:image/svg+xml;base64,AA==", 'data:image/png;base64,"')
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_file_is_refused_in_one_line(name, tmp_path):
    path = evaluation_path(tmp_path)
    for value in BAD[name]:
        content = {**json.loads(json.dumps(dataclasses.asdict(evaluation()))), name: value}
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=str(path)) as error:
            evaluations_of(tmp_path)
        assert "\n" not in str(error.value)
