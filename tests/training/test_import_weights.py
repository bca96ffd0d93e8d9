"""Import of the authors' weights: the resulting run, and rejected input."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from cli_helpers import COLOURS, one_line_of_wrong_use, write_images
from golden_data import EVALUATIONS
from mostly_slow import mostly_slow
from state_dicts import small_state, write_npz

from darts_tf.cli.main import main
from darts_tf.configs import ImportConfig, TrainConfig
from darts_tf.errors import InputError
from darts_tf.models.network import logits_of
from darts_tf.runs import files
from darts_tf.training.images import load_run
from darts_tf.training.import_weights import CIFAR10_CLASSES, IMAGE_KINDS, import_run


def import_state(folder, state, **changed):
    """Writes the state dict and imports it; returns the network."""
    folder.mkdir(exist_ok=True)
    path = write_npz(folder / "weights.npz", state)
    settings = {"checkpoint": path, "genotype": "DARTS_V2", "kind": "cifar10"}
    return import_run(ImportConfig(**{**settings, "output": folder / "run", **changed}))


def class_file(folder, count) -> pathlib.Path:
    path = folder / "classes.txt"
    path.write_text("".join(f"class {i}\n" for i in range(count)))
    return path


@mostly_slow(1, "golden_evaluation", EVALUATIONS, indirect=True)
def test_imported_network_gives_the_golden_logits(golden_evaluation, tmp_path):
    kind = "imagenet" if "stem0.0.weight" in golden_evaluation.section("weights") else "cifar10"
    classes = class_file(tmp_path, golden_evaluation.meta["classes"])
    state = golden_evaluation.section("weights")
    import_state(tmp_path, state, kind=kind, classes=classes)
    network, _, _ = load_run(tmp_path / "run")
    images = np.asarray(golden_evaluation["x"], np.float32)
    expected = golden_evaluation["logits_eval_mode"]
    actual = logits_of(network(images, training=False))
    np.testing.assert_allclose(actual, expected, atol=1e-4 * abs(expected).max())


def test_state_dict_saved_by_pytorch_is_imported(tmp_path):
    torch = pytest.importorskip("torch")
    state = {f"module.{k}": torch.from_numpy(v.copy()) for k, v in small_state().items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "weights.pt")
    from_pytorch = import_state(tmp_path, small_state(), checkpoint=tmp_path / "weights.pt")
    from_numpy = import_state(tmp_path, small_state(), output=tmp_path / "other")
    for a, b in zip(from_pytorch.weights, from_numpy.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@mostly_slow(1, ("kind", "size"), [("cifar10", 32), ("imagenet", 224)])
def test_run_has_what_the_weights_and_the_kind_say(tmp_path, kind, size):
    classes = {"cifar10": 10, "imagenet": 1000}[kind]
    state = small_state(classes, IMAGE_KINDS[kind].stem, auxiliary=kind == "imagenet")
    import_state(tmp_path, state, kind=kind)
    trained = TrainConfig.from_dict(files.read_json(tmp_path / "run" / files.CONFIG))
    assert (trained.channels, trained.cells, trained.stem) == (4, 3, IMAGE_KINDS[kind].stem)
    assert trained.auxiliary == (kind == "imagenet")
    assert trained.dataset == IMAGE_KINDS[kind].dataset
    network, preprocessing, names = load_run(tmp_path / "run")
    assert network.head.classes == len(names) == classes
    assert (preprocessing.height, preprocessing.width, preprocessing.channels) == (size, size, 3)
    assert (
        names[:2] == {"cifar10": CIFAR10_CLASSES, "imagenet": ("n01440764", "n01443537")}[kind][:2]
    )
    assert preprocessing.shorter_side == {"cifar10": None, "imagenet": 256}[kind]
    assert trained.random_resized_crop == (kind == "imagenet")
    kept = {files.CONFIG, files.DATASET, files.GENOTYPE, files.MODEL, files.LOG, files.LOCK}
    assert {path.name for path in (tmp_path / "run").iterdir()} == kept


# The commands


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Imports a run of three classes, on a folder of images."""
    folder = tmp_path_factory.mktemp("import")
    write_images(folder / "images", {"train": 22, "test": 3})
    (folder / "classes.txt").write_text("\n".join(COLOURS))
    path = write_npz(folder / "weights.npz", small_state(len(COLOURS)))
    words = ["import", "--checkpoint", path, "--genotype", "DARTS_V2", "--kind", "cifar10"]
    words += ["--classes", folder / "classes.txt", "--dataset", folder / "images"]
    assert main([str(word) for word in [*words, "--output", folder / "run"]]) == 0
    return folder / "run"


def test_evaluate_takes_an_imported_run(imported, capsys):
    assert main(["evaluate", "--workdir", str(imported)]) == 0
    assert "on 9 images" in capsys.readouterr().out


def test_predict_takes_an_imported_run(imported, capsys):
    image = imported.parent / "images" / "test" / "red" / "0.png"
    assert main(["predict", "--model", str(imported), str(image)]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in COLOURS)


@pytest.mark.slow
def test_export_takes_an_imported_run(imported):
    output = imported.parent / "export"
    assert main(["export", "--workdir", str(imported), "--output", str(output)]) == 0
    assert (output / "labels.txt").read_text().split() == list(COLOURS)


def test_export_compares_on_noise_if_the_dataset_is_unavailable(
    imported, tmp_path, capsys, monkeypatch
):
    def fail(config, data):
        raise OSError("Dataset imagenet2012 could not be downloaded: by hand\nand more")

    monkeypatch.setattr("darts_tf.jobs.exports.loaded", fail)
    output = tmp_path / "export"
    words = ["--output", str(output), "--format", "saved_model", "--check-images", "4"]
    assert main(["export", "--workdir", str(imported), *words]) == 0
    printed = capsys.readouterr().out
    assert "comparing on noise: Dataset imagenet2012 could not be downloaded: by hand\n" in printed
    assert "every model agrees with Keras" in printed


def test_imported_run_is_not_resumed(imported, capfd):
    """Its training is unknown, so it would start again and replace the network."""
    before = (imported / files.MODEL).read_bytes()
    words = ["train", "--workdir", imported, "--resume"]
    assert "other images" in one_line_of_wrong_use(capfd, words)
    assert (imported / files.MODEL).read_bytes() == before


def test_a_folder_in_use_is_overwritten_on_demand_alone(imported, tmp_path):
    before = (imported / files.MODEL).read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        import_state(tmp_path, small_state(), output=imported)
    assert (imported / files.MODEL).read_bytes() == before
    import_state(tmp_path, small_state())
    import_state(tmp_path, small_state(auxiliary=False), overwrite=True)
    network, _, _ = load_run(tmp_path / "run")
    assert network.auxiliary_head is None


# Rejected input


def without(name):
    return lambda state: state.pop(name)


def holding(name, *shape):
    return lambda state: state.update({name: np.zeros(shape, np.float32)})


def no_cell(number):
    def change(state):
        for name in [name for name in state if name.startswith(f"cells.{number}.")]:
            state.pop(name)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("stem.0.weight"), "cifar stem, which has stem.0.weight. Received: names stem.1"),
        (holding("stem.0.weight", 12), "cifar stem, which has stem.0.weight"),
        (holding("stem.0.weight", 13, 3, 3, 3), "multiple of 3 channels .* Received: 13"),
        (holding("stem.0.weight", 12, 1, 3, 3), r"\(12, 1, 3, 3\) instead of \(12, 3, 3, 3\)"),
        (holding("stem.0.weight", 0, 3, 3, 3), "channels to be positive"),
        (without("classifier.weight"), "which has classifier.weight"),
        (holding("classifier.weight", 7, 64), "network's 7 logits.*Received: 10 classes"),
        (without("cells.2.preprocess0.bn.bias"), "1 missing: cells.2.preprocess0.bn.bias$"),
        (holding("cells.2.more", 3), "1 unknown: cells.2.more$"),
        (holding("cells.9.more", 3), "cells numbered from 0. Received: cells 0, 1, 2, 9"),
        (holding(f"cells.{'9' * 9999}.more", 3), "cells numbered from 0"),
        (no_cell(1), "cells numbered from 0. Received: cells 0, 2"),
        (no_cell(2), "Expected at least 3 cells .* Received: cells=2"),
        (holding("alphas_normal", 14, 8), "1 unknown: alphas_normal"),
    ],
)
def test_state_dict_of_another_architecture_writes_nothing(tmp_path, change, says):
    state = small_state()
    change(state)
    with pytest.raises(InputError, match=says) as raised:
        import_state(tmp_path, state)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"genotype": "PCDARTS"}, r"[0-9]+ missing: cells.*; [0-9]+ unknown: cells"),
        ({"genotype": "DARTS_V9"}, "genotype"),
        ({"kind": "imagenet"}, "the imagenet stem, .* Received: a network with the cifar stem"),
        (
            {"kind": "cifar100"},
            "one of cifar10, imagenet, ptb, wikitext2. .*Did you mean 'cifar10'",
        ),
        ({"classes": "nowhere.txt"}, "one class a line. Received: 'nowhere.txt'"),
        ({"dataset": "pydoc"}, "Expected a dataset of images. Received: pydoc, which is a text"),
        ({"checkpoint": "nowhere.npz"}, "'nowhere.npz', which is not there"),
    ],
)
def test_other_arguments_are_refused_and_write_nothing(tmp_path, changed, says):
    with pytest.raises(InputError, match=says):
        import_state(tmp_path, small_state(), **changed)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"one\ntwo\n", "Received: 2 classes in .*classes.txt"),
        (b"a\n\n" + b"b\n" * 8, "line 2 of .*classes.txt is empty"),
        (b"", "line 1 of .*classes.txt is empty"),
        (b"\xff\n" * 10, "not UTF-8"),
    ],
)
def test_class_file_of_something_else_is_refused(tmp_path, content, says):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(InputError, match=says):
        import_state(tmp_path, small_state(), classes=tmp_path / "classes.txt")
    assert not (tmp_path / "run").exists()


def test_class_names_may_repeat_and_have_spaces(tmp_path):
    """ImageNet has two classes "crane" and two "maillot"."""
    names = ("crane", "crane", *(f"a bird {i}" for i in range(8)))
    (tmp_path / "classes.txt").write_bytes("\r\n".join(names).encode())
    import_state(tmp_path, small_state(), classes=tmp_path / "classes.txt")
    assert files.read_dataset(tmp_path / "run" / files.DATASET)[0] == names


def test_wrong_use_is_one_line(tmp_path, capfd):
    (tmp_path / "weights.npz").write_bytes(b"rubbish")
    words = ["import", "--checkpoint", tmp_path / "weights.npz", "--genotype", "DARTS_V2"]
    words += ["--kind", "cifar10", "--output", tmp_path / "run"]
    assert "arrays by name" in one_line_of_wrong_use(capfd, words)
    assert not (tmp_path / "run").exists()
