"""Layouts of image folders: which files are images, of which class and of which split.

No image is opened here. Known layouts, with names of splits in upper or lower case:

- `train/<class>/*`, and `test/<class>/*` or `val/<class>/*`;
- `train/<class>/*` alone, or `<class>/*`: a part of every class is held out as the test split;
- a table `path,label` (CSV), with an optional column `split`.

A class is the topmost folder that holds images itself: `animals/cats/1.jpg` is of `animals/cats`.
"""

from __future__ import annotations

import collections
import csv
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from darts_tf.configs.text_datasets import IMAGE_SUFFIXES, is_text
from darts_tf.errors import InputError, listed

SPLITS = {
    "train": ("train", "training"),
    "valid": ("val", "valid", "validation", "dev", "eval"),
    "test": ("test", "testing"),
}
"""Names of folders, and of splits in a table, by what they hold; compared in lower case."""

TESTED = ("test", "valid")
"""Splits that are tested on, in order of preference."""

TEST_SHARE = 0.2
"""Fraction of every class that is held out where a folder has no test images."""

CONVERT = {
    **dict.fromkeys((".heic", ".heif", ".avif"), "HEIC or AVIF"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".jxl", ".jp2"), "JPEG XL or JPEG 2000"),
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2")
        + (".raf", ".pef", ".raw", ".rwl", ".x3f"),
        "RAW",
    ),
}
"""Photo formats that TensorFlow does not decode, by suffix."""

SYSTEM_NAMES = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("@eadir", "__macosx", "$recycle.bin", "system volume information"),
)
"""Files and folders that operating systems and network storage add, in lower case."""

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
    "label": ("label", "class", "category", "target", "class_name"),
    "split": ("split", "set", "subset", "partition"),
}
"""Names of a table's columns, in lower case."""


class Listing(NamedTuple):
    """Image files of one split.

    Attributes:
        paths: paths of the files, sorted by class and name.
        labels: an index in the layout's classes for every file.
    """

    paths: list[str]
    labels: list[int]


class Layout(NamedTuple):
    """Image files of a dataset.

    Attributes:
        classes: names of the classes, sorted.
        train: training images.
        test: test images.
        held_out: names of the test images relative to the dataset's folder, if they were held out
            of the training images here; None if the dataset has a test split of its own.
        notes: one line for each thing about the folder that a user should know.
    """

    classes: tuple[str, ...]
    train: Listing
    test: Listing
    held_out: tuple[str, ...] | None
    notes: tuple[str, ...]


def is_table(name: str) -> bool:
    """Returns whether a dataset's name is that of a CSV file."""
    return name.lower().endswith(".csv")


def is_image_folder(name: str) -> bool:
    """Returns whether a dataset's name is that of an existing folder or table of images."""
    path = os.path.expanduser(name)
    return not is_text(name) and (os.path.isdir(path) or (is_table(name) and os.path.isfile(path)))


def find_layout(folder: str, held_out: Iterable[str] | None = None) -> Layout:
    """Lists the images of a folder, or of a table of paths and labels.

    Files that are not images are skipped, and counted in a note. The images to hold out depend
    only on the names in a class, not on a seed, so that no run is tested on what another run of
    the same folder was trained on.

    Args:
        folder: path of a folder in one of the layouts above, or of a CSV file.
        held_out: names of the test images, as in `Layout.held_out`, kept from an earlier run of
            this folder; images that are new since then are for training.

    Raises:
        InputError: no such folder, fewer than two classes, a test class that is missing in train,
            a class folder that cannot be read or has no images, a class name that cannot be
            printed in one line, photos in a format that has to be converted, or a table that does
            not describe images.
    """
    root = pathlib.Path(folder).expanduser()
    if is_table(root.name) and not root.is_dir():
        return _of_table(root, held_out)
    _check_exists(root, folder)
    scan = _Scan()
    root = _wrapped(root)
    splits = _split_folders(root)
    if "train" not in splits and (table := _only_table(root)):
        return _of_table(table, held_out)
    if "train" in splits:
        return _of_splits(root, splits, scan, held_out)
    classes = scan.classes(root)
    _check_classes(classes, root)
    return _divided(root, classes, scan.notes(root), held_out)


def find_test_images(folder: str) -> tuple[tuple[str, ...], Listing, tuple[str, ...]]:
    """Lists the images of a folder, or of a table, to test a network on.

    They are those of the split for tests or, without one, for validation. A folder or table that
    has no splits is for tests as a whole.

    Returns:
        `(classes, images, notes)`, as in `Layout`; one class is enough.

    Raises:
        InputError: as `find_layout`, but for the number of classes and of images in them.
    """
    root = pathlib.Path(folder).expanduser()
    _check_exists(root, folder)
    scan, table = _Scan(), root if is_table(root.name) and not root.is_dir() else None
    if table is None:
        root = _wrapped(root)
        splits = _split_folders(root)
        table = None if splits else _only_table(root)
    if table is not None:
        by_split = _by_split(table)
        classes = next((by_split[name] for name in TESTED if name in by_split), by_split["train"])
    else:
        folders = (splits[name] for name in TESTED if name in splits and _folders(splits[name]))
        classes = scan.classes(next(folders, splits.get("train", root)))
    names = sorted(classes)
    if not names:
        raise InputError(
            "Expected a folder with a subfolder of images for each class. "
            f"Received: {folder}, which has none"
        )
    return tuple(names), _listing(names, classes), tuple(scan.notes(root))


def _check_exists(root: pathlib.Path, folder: str) -> None:
    if not root.is_dir() and not (is_table(root.name) and root.exists()):
        raise InputError(
            "Expected a folder of images, one folder per class. "
            f"Received: {folder}, {'a file' if root.exists() else 'which does not exist'}"
        )


def _of_splits(
    root: pathlib.Path, splits: Mapping[str, pathlib.Path], scan: _Scan, held_out
) -> Layout:
    train = scan.classes(splits["train"])
    _check_classes(train, splits["train"])
    tests = {name: scan.classes(splits[name]) for name in TESTED if name in splits}
    used = next((name for name, classes in tests.items() if classes), None)
    notes = [
        f"{splits[name]} has no class folders, and is not used"
        for name, classes in tests.items()
        if not classes
    ]
    notes += [
        f"{splits[name]} is not used, since {splits[used].name} has the test images; move its "
        "images into the training folder to train on them"
        for name, classes in tests.items()
        if classes and name != used
    ]
    others = [path.name for path in _folders(root) if path not in splits.values()]
    if others:
        notes.append(f"{root}: folders beside the splits are not used: {listed(others)}")
    if used is None:
        return _divided(splits["train"], train, [*notes, *scan.notes(root)], held_out)
    test = tests[used]
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise InputError(
            f"Expected only classes of {splits['train'].name} in {splits[used].name} "
            f"({listed(sorted(train))}). Received: {splits[used] / unknown[0]}"
        )
    classes = sorted(train)
    listings = (_listing(classes, split) for split in (train, test))
    return Layout(tuple(classes), *listings, None, (*notes, *scan.notes(root)))


def _divided(
    root: pathlib.Path, classes: Mapping[str, list[str]], notes: Sequence[str], held_out
) -> Layout:
    """Holds a part of every class out as the test split."""
    names = sorted(classes)
    everything = _listing(names, classes)
    relative = [os.path.relpath(path, root) for path in everything.paths]
    chosen = set(held_out) if held_out is not None else _chosen(relative, everything.labels)
    for name in names if held_out is None else ():
        if len(classes[name]) < 2:
            raise InputError(
                "Expected at least 2 images of every class, one for training and one to test, or "
                f"a folder test. Received: 1 of {name}, {classes[name][0]}"
            )
    is_test = [name in chosen for name in relative]
    train, test = (_where(everything, is_test, value) for value in (False, True))
    _check_kept(train, test, names, root)
    note = (
        f"no test images: {len(test.paths):,} of {len(everything.paths):,} images, a fifth of "
        "every class, are held out for the test"
    )
    kept = tuple(sorted(name for name in relative if name in chosen))
    return Layout(tuple(names), train, test, kept, (note, *notes))


def _chosen(names: Sequence[str], labels: Sequence[int]) -> set[str]:
    """Returns the names to hold out: in each class a share of them, by the hash of the name."""
    by_label = collections.defaultdict(list)
    for name, label in zip(names, labels, strict=True):
        by_label[label].append(name)
    chosen = set()
    for members in by_label.values():
        members.sort(key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
        chosen.update(members[: max(1, round(TEST_SHARE * len(members)))])
    return chosen


def _check_kept(train: Listing, test: Listing, classes: Sequence[str], root) -> None:
    if not test.paths:
        raise InputError(
            "Expected the test images that were held out when the run was started. "
            f"Received: {root}, where none of them is left"
        )
    for label in sorted(set(range(len(classes))) - set(train.labels)):
        raise InputError(
            f"Expected a training image of every class. Received: {root} with none of "
            f"{classes[label]} besides those held out for the test"
        )


def _where(listing: Listing, is_test: Sequence[bool], value: bool) -> Listing:
    chosen = [i for i, each in enumerate(is_test) if each is value]
    return Listing([listing.paths[i] for i in chosen], [listing.labels[i] for i in chosen])


def _listing(classes: Sequence[str], files: Mapping[str, list[str]]) -> Listing:
    paths, labels = [], []
    for label, name in enumerate(classes):
        images = files.get(name, [])  # test may lack a class
        paths.extend(images)
        labels.extend([label] * len(images))
    return Listing(paths, labels)


def _check_classes(classes: Mapping[str, list[str]], root: pathlib.Path) -> None:
    if len(classes) < 2:
        raise InputError(
            "Expected at least two classes, each a folder of images (JPEG, PNG, WEBP, BMP or "
            f"GIF). Received: {root} with {listed(sorted(classes)) or 'none'}"
        )


class _Scan:
    """Walk through folders that counts what it skips."""

    def __init__(self):
        self.skipped = collections.Counter()

    def classes(self, top: pathlib.Path) -> dict[str, list[str]]:
        """Returns the paths of the images of every class below a folder, by the class's name."""
        folders, files = self._look(top)
        for path in files:
            is_image = path.suffix.lower() in IMAGE_SUFFIXES
            self.skipped["outside of class folders" if is_image else _kind_of_file(path)] += 1
        return dict(self._below(top, folders, (os.path.realpath(top),)))

    def notes(self, root: pathlib.Path) -> list[str]:
        """Returns one line that counts what was skipped, if anything was."""
        if not self.skipped:
            return []
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.skipped.items()))
        total = self.skipped.total()
        return [f"{root}: {total:,} file{'s' * (total != 1)} skipped: {kinds}"]

    def _below(
        self, top: pathlib.Path, folders: Iterable[pathlib.Path], above: tuple[str, ...]
    ) -> Iterator[tuple[str, list[str]]]:
        """Yields name and images of the classes in these folders."""
        for path in folders:
            inner, files = self._look(path)
            images = self._images(files)
            if images:
                images += self._inside(inner, (*above, _unseen(path, above)))
                yield _class_name(path.relative_to(top).as_posix()), sorted(images)
                continue
            deeper = [*self._below(top, inner, (*above, _unseen(path, above)))]
            if not deeper:
                raise InputError(
                    "Expected images (JPEG, PNG, WEBP, BMP or GIF) in every class folder. "
                    f"Received: {path} without any; remove the folder, or add images"
                )
            yield from deeper

    def _inside(self, folders: Iterable[pathlib.Path], above: tuple[str, ...]) -> list[str]:
        """Returns all images in these folders and those inside them."""
        images = []
        for path in folders:
            inner, files = self._look(path)
            images += self._images(files) + self._inside(inner, (*above, _unseen(path, above)))
        return images

    def _look(self, folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
        """Returns the folders and the files in a folder, and counts hidden ones."""
        entries = [*_entries(folder, self.skipped)]
        return _folders_of(entries), [path for path in entries if not path.is_dir()]

    def _images(self, files: Sequence[pathlib.Path]) -> list[str]:
        images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        stems = {path.stem for path in images}
        for path in files:
            suffix = path.suffix.lower()
            if suffix in CONVERT and path.stem not in stems:  # cameras write RAW beside JPEG
                raise InputError(
                    f"Expected JPEG, PNG, WEBP, BMP or GIF files. Received: {path}, "
                    f"{CONVERT[suffix]}: convert such photos to JPEG (magick mogrify -format jpg "
                    f"*{path.suffix}), or move them out of the folder"
                )
            if suffix not in IMAGE_SUFFIXES:
                self.skipped[_kind_of_file(path)] += 1
        return [str(path) for path in images]


def _unseen(path: pathlib.Path, above: tuple[str, ...]) -> str:
    """Returns the real path of a folder, which none of those above it has."""
    real = os.path.realpath(path)
    if real in above:
        raise InputError(
            f"Expected folders without a loop of links. Received: {path}, a link to {real}"
        )
    return real


def _kind_of_file(path: pathlib.Path) -> str:
    return path.suffix.lower() or "without a suffix"


def _entries(
    folder: pathlib.Path, skipped: collections.Counter | None = None
) -> Iterator[pathlib.Path]:
    """Yields what a folder holds, sorted, without hidden files and those of the system."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(
            f"Expected a folder that can be read. Received: {folder} ({error.strerror})"
        ) from error
    for name in names:
        if name.startswith(".") or name.lower() in SYSTEM_NAMES:
            if skipped is not None:
                skipped["hidden or of the system"] += 1
        else:
            yield folder / name


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return _folders_of(_entries(folder))


def _folders_of(entries: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Returns the folders among these paths; a dangling link without a suffix is refused."""
    folders = []
    for path in entries:
        if path.is_symlink() and not path.exists() and not path.suffix:
            raise InputError(
                "Expected class folders that exist. "
                f"Received: {path}, a link to {os.readlink(path)}, which does not exist"
            )
        if path.is_dir():
            folders.append(path)
    return folders


def _wrapped(root: pathlib.Path) -> pathlib.Path:
    """Returns the folder inside folders that hold nothing else, as unpacked archives have."""
    for _ in range(3):
        folders = _folders(root)
        others = [path for path in _entries(root) if not path.is_dir()]
        if len(folders) != 1 or others or not _folders(folders[0]):
            break
        root = folders[0]
    return root


def _split_folders(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the folders of splits by the split's name; a class may be called `train`, too."""
    found = {}
    for split, names in SPLITS.items():
        folders = [path for path in _folders(root) if path.name.lower() in names]
        if len(folders) > 1:
            raise InputError(
                f"Expected one folder of {split} images. Received: {root} with "
                f"{' and '.join(path.name for path in folders)}"
            )
        if folders:
            found[split] = folders[0]
    train = found.get("train")
    others = len(_folders(root)) > len(found)
    if train and others and not _folders(train):  # images directly in it: a class among others
        return {}
    return found


def _class_name(name: str) -> str:
    """Returns the name of a class, which has to be text of one line.

    Raises:
        InputError: a control character, such as a line break, or bytes that are not UTF-8.
    """
    if not name.isprintable():  # neither are the stand-ins for bytes that are no UTF-8
        raise InputError(
            "Expected class names of printable UTF-8 characters, without line breaks; rename the "
            f"folder. Received: {ascii(name)}"
        )
    return name


def _only_table(root: pathlib.Path) -> pathlib.Path | None:
    """Returns the only CSV file of a folder, if it has the columns of a table of images."""
    tables = [path for path in _entries(root) if is_table(path.name) and path.is_file()]
    if len(tables) != 1:
        return None
    try:
        with open(tables[0], newline="", encoding="utf-8-sig") as file:
            columns = _columns(next(_reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    return tables[0] if {"path", "label"} <= set(columns) else None


def _reader(file):
    head = file.readline()
    file.seek(0)
    delimiter = max(",;\t", key=head.count)
    return csv.reader(file, delimiter=delimiter)


def _columns(head: Sequence[str]) -> dict[str, int]:
    """Returns the positions of known columns by name."""
    lower = [name.strip().lower() for name in head]
    return {
        column: lower.index(name)
        for column, names in COLUMNS.items()
        for name in reversed(names)
        if name in lower
    }


def _of_table(table: pathlib.Path, held_out) -> Layout:
    """Reads a table of images: columns `path` and `label`, optionally `split`."""
    files = _by_split(table)
    root = table.parent
    train = files.pop("train", {})
    _check_classes(train, table)
    tests = [name for name in TESTED if name in files]
    if not tests:
        return _divided(root, train, (), held_out)
    unknown = sorted(set(files[tests[0]]) - set(train))
    if unknown:
        raise InputError(
            f"Expected only labels of the training images in the split {tests[0]}. "
            f"Received: {unknown[0]} in {table}"
        )
    notes = [f"the split {name} is not used, since {tests[0]} is tested on" for name in tests[1:]]
    classes = sorted(train)
    listings = (_listing(classes, split) for split in (train, files[tests[0]]))
    return Layout(tuple(classes), *listings, None, tuple(notes))


def _by_split(table: pathlib.Path) -> dict[str, dict[str, list[str]]]:
    """Returns the sorted paths of a table by split and label."""
    files = collections.defaultdict(lambda: collections.defaultdict(list))
    for split, label, path in _rows(table):
        files[split][label].append(path)
    for classes in files.values():
        for paths in classes.values():
            paths.sort()
    return files


def _rows(table: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """Yields split, label and path of every row of a table."""
    by_name = {name: split for split, names in SPLITS.items() for name in names}
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = _reader(file)
            columns = _columns(next(reader, []))
            if not {"path", "label"} <= set(columns):
                raise InputError(
                    f"Expected a table whose first line names the columns path and label. "
                    f"Received: {table}"
                )
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                where = f"{table}, line {reader.line_num}"
                cells = {
                    name: row[i].strip() if i < len(row) else "" for name, i in columns.items()
                }
                if not cells["path"] or not cells["label"]:
                    raise InputError(f"Expected a path and a label. Received: {where}")
                path = table.parent / os.path.expanduser(cells["path"])
                if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
                    raise InputError(
                        "Expected the path of a JPEG, PNG, WEBP, BMP or GIF file, relative to the "
                        f"table. Received: {cells['path']} in {where}"
                    )
                split = by_name.get(cells.get("split", "").lower() or "train")
                if split is None:
                    raise InputError(
                        "Expected a split called train, valid or test. "
                        f"Received: {cells['split']} in {where}"
                    )
                yield split, _class_name(cells["label"]), str(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Expected a CSV file in UTF-8. Received: {table}, {error}") from error
    except OSError as error:
        raise InputError(
            f"Expected a table of paths and labels. Received: {table} ({error.strerror})"
        ) from error
