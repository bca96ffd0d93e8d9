"""The commands as users type them, on a small folder of images."""

from __future__ import annotations

import json
import pathlib
import shlex
import shutil
import signal

import pytest
from cli_helpers import COLOURS, one_line_of_wrong_use, write_images
from PIL import Image

from darts_tf.cli.main import main
from darts_tf.cli.progress import EpochProgress
from darts_tf.configs import ExportConfig
from darts_tf.runs import files
from darts_tf.runs.evaluations import load_evaluation
from darts_tf.runs.metrics import read_metrics
from darts_tf.training import images as images_training

TINY = ["--preset", "tiny", "--dataset", "digits"]
FAST = ["--preset", "tiny", "--arch-gradient", "first_order"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"), {"train": 16, "test": 8})


@pytest.fixture(scope="module")
def searched(images, tmp_path_factory, one_node):
    workdir = tmp_path_factory.mktemp("runs") / "search"
    options = ["--space", one_node, "--dataset", str(images), "--workdir", str(workdir)]
    assert main(["search", *FAST, *options]) == 0
    return workdir


@pytest.fixture(scope="module")
def trained(images, searched):
    workdir = searched.parent / "train"
    arguments = ["--genotype", str(searched / files.GENOTYPE), "--dataset", str(images)]
    options = ["--preset", "tiny", "--epochs", "8", "--channels", "4"]
    assert main(["train", *options, *arguments, "--workdir", str(workdir)]) == 0
    return workdir


@pytest.fixture(scope="module")
def exported(trained):
    output = trained.parent / "export"
    assert main(["export", "--workdir", str(trained), "--output", str(output)]) == 0
    return output


def test_search_writes_a_genotype_of_the_folder(searched, images):
    assert (searched / files.GENOTYPE).is_file()
    assert files.read_json(searched / files.CONFIG)["dataset"] == str(images)
    assert files.read_json(searched / files.DATASET)["classes"] == list(COLOURS)


def test_train_learns_the_classes(trained):
    assert read_metrics(trained)[-1]["test_accuracy"] > 0.8


def test_evaluate_prints_the_accuracy_of_the_run(trained, capsys):
    assert main(["evaluate", "--workdir", str(trained)]) == 0
    accuracy = read_metrics(trained)[-1]["test_accuracy"]
    assert f"{accuracy:.2%}" in capsys.readouterr().out


def test_evaluate_prints_and_keeps_the_result_of_every_class(trained, capsys):
    assert main(["evaluate", "--workdir", str(trained)]) == 0
    out = capsys.readouterr().out
    kept = load_evaluation(trained / files.EVALUATION)
    for each in kept.classes:
        line = next(line for line in out.splitlines() if line.startswith(each.name))
        assert line.split()[1] == str(each.images) == "8"
        assert f"{100 * each.recall:.1f}" in line
    assert f"balanced accuracy {kept.balanced_accuracy:.2%}" in out
    assert max(map(len, out.partition("warning: ")[0].splitlines())) <= 80
    for number, row in enumerate(kept.confusion_matrix, 1):
        line = next(line for line in out.splitlines() if line.startswith(f"{number} "))
        assert line.split()[2:] == [str(images) if images else "." for images in row]
    assert "only 48 training images of 3 classes" in out  # a doubt
    assert main(shlex.split(out.partition("look: darts-tf ")[2])) == 0
    page = (trained / files.PAGE).read_text()
    assert "Confusion matrix" in page
    assert "Doubtful, for " in page


def test_evaluate_tests_another_folder_and_keeps_the_result_apart(trained, tmp_path, capsys):
    assert main(["evaluate", "--workdir", str(trained)]) == 0
    own = (trained / files.EVALUATION).read_bytes()
    other = write_images(tmp_path, {"other": 4}, size=20) / "other"
    shutil.rmtree(other / "green")
    capsys.readouterr()
    assert main(["evaluate", "--workdir", str(trained), "--dataset", str(other)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{other}: test accuracy ")
    assert "on 8 images" in out
    assert "no images of 1 of the network's 3 classes" in out
    assert (trained / files.EVALUATION).read_bytes() == own
    kept = next((trained / files.EVALUATIONS).iterdir())
    assert load_evaluation(kept).dataset == str(other)
    assert main(["report", str(trained)]) == 0
    assert f"<h2>Test on {other}</h2>" in (trained / files.PAGE).read_text()
    (other / "red").rename(other / "pink")
    argv = ["evaluate", "--workdir", trained, "--dataset", other]
    assert "with 'pink'" in one_line_of_wrong_use(capsys, argv)


def test_evaluate_without_permission_to_write_says_so(trained, capsys, monkeypatch):
    def refuse(*given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(images_training, "save_evaluation", refuse)
    assert main(["evaluate", "--workdir", str(trained), "--limit", "6"]) == 0
    assert "warning: the results by class are not kept" in capsys.readouterr().out


def test_export_writes_all_formats_and_its_report(exported):
    report = json.loads((exported / "export_report.json").read_text())
    assert tuple(report["formats"]) == ExportConfig.format
    assert all((exported / entry["path"]).exists() for entry in report["formats"].values())


@pytest.mark.parametrize("model", ["train", "export", "export/model_float32.tflite"])
def test_predict_names_the_colour(exported, images, capsys, model):
    paths = [str(images / "test" / name / "3.png") for name in COLOURS]
    assert main(["predict", "--model", str(exported.parent / model), *paths, "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert sum(f"{name}" in line for name, line in zip(COLOURS, _answers(out), strict=True)) >= 2


def _answers(out):
    """Returns the text after the path in each image's line."""
    return [line.split(".png")[-1] for line in out.splitlines() if ".png" in line]


def test_inspect_prints_both_conventions(capsys):
    assert main(["inspect", "--genotype", "DARTS_V2"]) == 0
    out = capsys.readouterr().out
    assert "3,349,342" in out
    assert "528,359,040" in out
    assert "546,883,200" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dataset", "no_such_dataset"], "no_such_dataset"),
        (["--dataset", "no/such/folder"], "no/such/folder"),
        (["--preset", "tinny"], "tiny"),
        (["--no-such-flag", "1"], "--no-such-flag"),
        (["--epochs", "0"], "epochs"),
        (["--batch-size", "99"], "batch_size"),
        (["--arch-gradient", "third_order"], "third_order"),
    ],
)
def test_search_answers_wrong_use_with_one_line_and_writes_nothing(
    tmp_path, capfd, arguments, says
):
    command = ["search", *TINY, "--workdir", tmp_path / "run", *arguments]
    if "--preset" in arguments:
        command = ["search", *TINY[2:], "--workdir", tmp_path / "run", *arguments]
    assert says in one_line_of_wrong_use(capfd, command)
    assert not (tmp_path / "run").exists()


def break_image(folder):
    path = folder / "test" / "red" / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    return str(path)


def break_jpeg(folder):
    path = folder / "train" / "red" / "0.png"
    Image.open(path).resize((40, 40)).save(path.with_suffix(".jpg"))
    path.unlink()
    whole = path.with_suffix(".jpg").read_bytes()
    path.with_suffix(".jpg").write_bytes(whole[: len(whole) // 2])
    return "0.jpg"


def dangling_link(folder):
    (folder / "train" / "red" / "link.png").symlink_to("nowhere.png")
    return "link.png"


def remove(path):
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def only_class(folder):
    for split in ("train", "test"):
        for name in ("blue", "green"):
            remove(folder / split / name)
    return "red"


def extra_class(folder):
    (folder / "test" / "violet").mkdir()
    (folder / "test" / "violet" / "0.png").write_bytes(
        (folder / "test" / "red" / "0.png").read_bytes()
    )
    return "violet"


def no_classes(folder):
    for name in COLOURS:
        remove(folder / "train" / name)
    return "train"


SPOILERS = [
    break_image,
    break_jpeg,
    dangling_link,
    only_class,
    extra_class,
    no_classes,
]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_search_names_what_is_wrong_with_a_folder(tmp_path, capfd, spoil):
    folder = write_images(tmp_path / "images", {"train": 4, "test": 2})
    says = spoil(folder)
    command = ["search", *FAST, "--dataset", folder, "--workdir", tmp_path / "run"]
    assert says in one_line_of_wrong_use(capfd, command)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Genotype(normal=[])", "JSON"),
        ('{"normal": [["sep_conf_3x3", 0], ["sep_conv_3x3", 1]]}', ""),
        (None, "no_such_genotype"),
    ],
)
def test_train_names_what_is_wrong_with_a_genotype(tmp_path, capfd, text, says):
    name = "no_such_genotype"
    if text is not None:
        name = str(tmp_path / "genotype.json")
        pathlib.Path(name).write_text(text)
    command = ["train", *TINY, "--genotype", name, "--workdir", tmp_path / "run"]
    assert says in one_line_of_wrong_use(capfd, command)
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused_and_left(searched, capfd):
    before = sorted(path.name for path in searched.iterdir())
    command = ["search", *TINY, "--workdir", searched]
    assert "--overwrite" in one_line_of_wrong_use(capfd, command)
    assert sorted(path.name for path in searched.iterdir()) == before


def test_resumed_training_needs_its_folder_alone(trained, capsys):
    assert main(["train", "--workdir", str(trained), "--resume"]) == 0
    accuracy = read_metrics(trained)[-1]["test_accuracy"]
    output = capsys.readouterr().out
    assert f"test accuracy {accuracy:.2%}" in output
    assert f"resuming with the settings of {trained / files.CONFIG}" in output


def test_ctrl_c_keeps_a_search_and_says_so(images, tmp_path, capsys, monkeypatch, one_node):
    def interrupt(progress, batch, logs=None):
        if batch == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(EpochProgress, "on_train_batch_end", interrupt)
    workdir = tmp_path / "run"
    options = ["--batch-size", "3", "--dataset", str(images), "--workdir", str(workdir)]
    assert main(["search", *FAST, "--space", one_node, *options]) == 130
    assert capsys.readouterr().err == (
        "darts-tf: stopped after step 3 of 8 of epoch 1; everything is saved, and "
        f"--workdir {workdir} --resume resumes it\n"
    )
    assert read_metrics(workdir) == []


def test_resumed_search_answers_another_dataset_with_one_line(searched, tmp_path, capfd):
    other = write_images(tmp_path / "other", {"train": 16, "test": 8})
    before = files.read_json(searched / files.CONFIG)
    command = ["search", "--workdir", searched, "--resume", "--dataset", other]
    line = one_line_of_wrong_use(capfd, command)
    assert f"with which the run started ({searched / files.CONFIG})" in line
    assert files.read_json(searched / files.CONFIG) == before


@pytest.mark.parametrize("command", ["search", "train"])
def test_a_folder_below_a_file_is_refused(tmp_path, capfd, command):
    (tmp_path / "file").write_text("")
    more = [*TINY, *(["--genotype", "DARTS_V2"] if command == "train" else [])]
    line = one_line_of_wrong_use(capfd, [command, *more, "--workdir", tmp_path / "file" / "run"])
    assert "Expected workdir to be a folder" in line


def test_too_few_channels_for_the_imagenet_stem_are_refused(capfd):
    command = ["inspect", "--genotype", "DARTS_V2", "--stem", "imagenet", "--channels", "1"]
    assert "at least 2 channels" in one_line_of_wrong_use(capfd, command)


def test_predict_names_an_image_that_is_none(trained, tmp_path, capfd):
    path = tmp_path / "text.png"
    path.write_text("not an image")
    assert "text.png" in one_line_of_wrong_use(capfd, ["predict", "--model", trained, path])
