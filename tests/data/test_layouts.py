"""Layouts of image folders: classes, splits, what is skipped, and what is refused."""

from __future__ import annotations

import os
import pathlib

import pytest

from darts_tf.data.layouts import TEST_SHARE, find_layout, find_test_images
from darts_tf.errors import InputError


def make(root: pathlib.Path, *names: str) -> pathlib.Path:
    """Creates empty files, since layouts open none."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names_of(listing, root: pathlib.Path) -> list[str]:
    return [os.path.relpath(path, root) for path in listing.paths]


def flat(root: pathlib.Path, *classes: str, count: int = 10) -> pathlib.Path:
    return make(root, *(f"{name}/{i}.jpg" for name in classes for i in range(count)))


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training"])
@pytest.mark.parametrize("test", ["test", "Testing", "val", "VALID", "validation", "dev", "eval"])
def test_splits_are_found_by_their_usual_names(tmp_path, train, test):
    make(tmp_path, f"{train}/b/1.png", f"{train}/a/2.png", f"{test}/a/3.png")
    layout = find_layout(str(tmp_path))
    assert layout.classes == ("a", "b")
    assert names_of(layout.train, tmp_path) == [f"{train}/a/2.png", f"{train}/b/1.png"]
    assert layout.train.labels == [0, 1]
    assert names_of(layout.test, tmp_path) == [f"{test}/a/3.png"]
    assert (layout.held_out, layout.notes) == (None, ())


def test_test_images_win_over_validation_images_which_are_named(tmp_path):
    make(tmp_path, *(f"{split}/{c}/1.png" for split in ("train", "val", "test") for c in "ab"))
    layout = find_layout(str(tmp_path))
    assert {path.split("/")[-3] for path in layout.test.paths} == {"test"}
    assert "val is not used" in layout.notes[0]


def test_test_images_without_classes_are_not_used(tmp_path):
    make(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "test/1.png")
    layout = find_layout(str(tmp_path))
    assert names_of(layout.test, tmp_path) == ["val/a/1.png"]
    assert "test has no class folders" in layout.notes[0]


@pytest.mark.parametrize("top", ["", "train", "archive/photos"])
def test_a_fifth_of_every_class_is_held_out_where_no_test_images_are(tmp_path, top):
    flat(tmp_path / top, "a", "b", count=10)
    make(tmp_path / top, *(f"c/{i}.png" for i in range(2)))
    layout = find_layout(str(tmp_path))
    assert layout.classes == ("a", "b", "c")
    assert [layout.test.labels.count(i) for i in range(3)] == [10 * TEST_SHARE] * 2 + [1]
    assert [layout.train.labels.count(i) for i in range(3)] == [8, 8, 1]
    assert not set(layout.train.paths) & set(layout.test.paths)
    assert sorted(layout.held_out) == sorted(names_of(layout.test, tmp_path / top))
    assert "5 of 22 images, a fifth of every class" in layout.notes[0]


def test_held_out_images_stay_held_out_when_images_are_added(tmp_path):
    before = find_layout(str(flat(tmp_path, "a", "b")))
    flat(tmp_path, "a", "b", count=40)
    after = find_layout(str(tmp_path), before.held_out)
    assert after.test == before.test
    assert len(after.train.paths) == 80 - len(before.test.paths)
    assert find_layout(str(tmp_path)).test != before.test


def test_held_out_images_depend_on_the_names_in_a_class_alone(tmp_path):
    one = find_layout(str(flat(tmp_path / "one", "a", "b")))
    other = find_layout(str(flat(tmp_path / "other", "a", "b", "c")))
    assert set(one.held_out) == {name for name in other.held_out if not name.startswith("c")}


def test_held_out_images_that_are_gone_are_an_error(tmp_path):
    flat(tmp_path, "a", "b")
    with pytest.raises(InputError, match="held out when the run was started.*none of them"):
        find_layout(str(tmp_path), ("a/x.jpg",))
    with pytest.raises(InputError, match="with none of b besides"):
        find_layout(str(tmp_path), tuple(f"b/{i}.jpg" for i in range(10)))


def test_nested_folders_are_classes_where_images_are(tmp_path):
    make(tmp_path, *(f"train/{c}/{i}.png" for c in ("pets/cat", "pets/dog", "emu") for i in "12"))
    make(tmp_path, "train/emu/2021/3.png", "test/pets/dog/4.png")
    layout = find_layout(str(tmp_path))
    assert layout.classes == ("emu", "pets/cat", "pets/dog")
    assert names_of(layout.train, tmp_path)[:3] == [
        *("train/emu/1.png", "train/emu/2.png", "train/emu/2021/3.png"),
    ]
    assert layout.test.labels == [2]


def test_class_may_be_called_train(tmp_path):
    layout = find_layout(str(flat(tmp_path, "bus", "car", "train")))
    assert layout.classes == ("bus", "car", "train")


def test_all_suffixes_are_images_in_any_case(tmp_path):
    suffixes = ("jpg", "JPEG", "jfif", "PNG", "webp", "bmp", "GIF")
    make(tmp_path, *(f"{c}/1.{suffix}" for c in "ab" for suffix in suffixes))
    layout = find_layout(str(tmp_path))
    assert len(layout.train.paths) + len(layout.test.paths) == 2 * len(suffixes)


def test_other_files_are_skipped_and_counted_in_one_line(tmp_path):
    flat(tmp_path, "a", "b")
    make(tmp_path, "Thumbs.db", "a/Thumbs.db", "a/desktop.ini", "b/.DS_Store", "b/@eaDir/1.jpg")
    make(tmp_path, "notes.txt", "a/labels.xml", "b/more/readme.TXT", "lost.png")
    layout = find_layout(str(tmp_path))
    assert layout.classes == ("a", "b")
    assert len(layout.train.paths) + len(layout.test.paths) == 20
    assert layout.notes[1] == (
        f"{tmp_path}: 9 files skipped: 2 .txt, 1 .xml, 5 hidden or of the system, "
        "1 outside of class folders"
    )


def test_raw_photos_beside_jpeg_are_skipped_and_others_are_named(tmp_path):
    flat(tmp_path, "a", "b")
    make(tmp_path, "a/1.CR2")
    assert "1 .cr2" in find_layout(str(tmp_path)).notes[1]
    for name, kind in (("a/x.heic", "HEIC or AVIF"), ("a/x.TIF", "TIFF"), ("a/x.dng", "RAW")):
        make(tmp_path, name)
        with pytest.raises(InputError, match=f"{name}, {kind}: convert .*magick mogrify") as error:
            find_layout(str(tmp_path))
        assert "\n" not in str(error.value)
        (tmp_path / name).unlink()


def test_names_that_are_not_utf8_are_read(tmp_path):
    flat(tmp_path, "a", "b")
    name = os.fsencode(tmp_path / "a") + b"/caf\xe9.png"
    open(name, "wb").close()
    layout = find_layout(str(tmp_path))
    assert name in [os.fsencode(path) for path in (*layout.train.paths, *layout.test.paths)]


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"bell\x07"])
def test_class_names_that_cannot_be_printed_are_refused(tmp_path, name):
    flat(tmp_path, "a", "b")
    os.mkdir(os.fsencode(tmp_path) + b"/" + name)
    open(os.fsencode(tmp_path) + b"/" + name + b"/1.png", "wb").close()
    with pytest.raises(InputError, match="printable UTF-8") as error:
        find_layout(str(tmp_path))
    assert "\n" not in str(error.value)


def empty(root):
    (root / "c").mkdir()
    return f"in every class folder. Received: {root}/c without any"


def only_notes(root):
    make(root, "c/notes.txt")
    return f"in every class folder. Received: {root}/c without any"


def dangling_folder(root):
    (root / "c").symlink_to(root / "nowhere")
    return f"{root}/c, a link to {root}/nowhere, which does not exist"


def loop(root):
    (root / "c").mkdir()
    (root / "c" / "again").symlink_to(root)
    return f"without a loop of links. Received: {root}/c/again"


def two_trains(root):
    make(root, "train/a/1.png", "Training/a/1.png")
    return "one folder of train images. Received: .* with Training and train"


def unknown_test_class(root):
    make(root, "train/a/1.png", "train/b/1.png", "test/emu/1.png")
    return f"only classes of train in test .a, b.. Received: {root}/test/emu"


def one_class(root):
    make(root, "train/a/1.png", "test/a/1.png")
    return f"at least two classes.* Received: {root}/train with a"


def one_image(root):
    make(root, "c/1.png")
    return f"2 images of every class.* Received: 1 of c, {root}/c/1.png"


REFUSED = [
    *(empty, only_notes, dangling_folder, loop, two_trains),
    *(unknown_test_class, one_class, one_image),
]


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_folder_that_would_lose_images_is_refused_in_one_line(tmp_path, spoil):
    message = spoil(flat(tmp_path, "a", "b"))
    with pytest.raises(InputError, match=message) as error:
        find_layout(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["nowhere", "file.jpg"])
def test_missing_folder_is_named(tmp_path, name):
    make(tmp_path, "file.jpg")
    with pytest.raises(InputError, match=f"one folder per class. Received: .*{name}, "):
        find_layout(str(tmp_path / name))


TABLE = "path,label,split\nx/1.png,cat,train\nx/2.png,dog,Training\nx/3.png,dog,val\n"


def test_table_gives_paths_labels_and_splits(tmp_path):
    make(tmp_path, *(f"x/{i}.png" for i in range(1, 5)))
    table = tmp_path / "photos.csv"
    table.write_text("\ufeff" + TABLE, encoding="utf-8")
    layout = find_layout(str(table))
    assert layout.classes == ("cat", "dog")
    assert names_of(layout.train, tmp_path) == ["x/1.png", "x/2.png"]
    assert (names_of(layout.test, tmp_path), layout.test.labels) == (["x/3.png"], [1])
    assert find_layout(str(tmp_path)) == layout  # the only table of a folder


def test_table_without_splits_is_divided(tmp_path):
    flat(tmp_path / "images", "a", "b")
    rows = [f"images/{c}/{i}.jpg;{c}" for c in "ab" for i in range(10)]
    (tmp_path / "t.csv").write_text("\n".join(["Filename;Class", *rows, "", ";"]))
    layout = find_layout(str(tmp_path / "t.csv"))
    assert layout.classes == ("a", "b")
    assert len(layout.test.paths) == len(layout.held_out) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "names the columns path and label"),
        ("", "names the columns path and label"),
        ("path,label\nnone.png,a\n", "Received: none.png in .*t.csv, line 2"),
        ("path,label\n,a\n", "a path and a label. Received: .*line 2"),
        ("path,label\n1.png,\n", "a path and a label. Received: .*line 2"),
        ("path,label\nt.csv,a\n", "the path of a JPEG, .*t.csv in .*line 2"),
        ("path,label,split\n1.png,a,half\n", "train, valid or test. Received: half in .*line 2"),
        ('path,label\n1.png,"a\nb"\n', "printable UTF-8"),
        ("path,label\n1.png,a\n", "at least two classes"),
        ("path,label,split\n1.png,a,\n2.png,b,\n1.png,c,test\n", "Received: c in"),
    ],
)
def test_bad_table_is_refused_with_its_line(tmp_path, text, message):
    make(tmp_path, "1.png", "2.png")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        find_layout(str(tmp_path / "t.csv"))
    assert "\n" not in str(error.value)


def test_table_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(InputError, match="a CSV file in UTF-8"):
        find_layout(str(tmp_path / "t.csv"))


def test_test_images_are_those_of_the_test_split_or_all(tmp_path):
    whole = flat(tmp_path / "flat", "a", "b", count=2)
    assert find_test_images(str(whole))[0] == ("a", "b")
    assert find_test_images(str(whole))[1].labels == [0, 0, 1, 1]
    split = make(tmp_path / "split", "train/a/1.png", "val/b/1.png", "test/c/1.png")
    assert find_test_images(str(split))[0] == ("c",)
    table = tmp_path / "split" / "t.csv"
    table.write_text("path,label,split\ntrain/a/1.png,x,train\nval/b/1.png,y,val\n")
    assert find_test_images(str(table))[0] == ("y",)
    table.write_text("path,label\ntrain/a/1.png,x\nval/b/1.png,y\n")
    assert find_test_images(str(table))[0] == ("x", "y")
