"""Contents of an installation: one package, into which the top-level folders are mapped."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys
from importlib import metadata

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = {"darts_tf": "darts_tf", "darts_tf.cli": "cli", "darts_tf.export": "export"}


def test_one_name_is_taken_in_site_packages():
    assert metadata.distribution("darts-tf").read_text("top_level.txt").split() == ["darts_tf"]


@pytest.mark.parametrize(("package", "folder"), FOLDERS.items())
def test_packages_are_imported_from_their_folders(package, folder):
    assert pathlib.Path(importlib.util.find_spec(package).origin).parent == ROOT / folder


def test_every_folder_with_modules_is_packaged():
    program = "import setuptools; setuptools.setup = lambda **given: print(*given['packages'])"
    code = f"{program}; exec(open('setup.py').read(), {{'__file__': 'setup.py'}})"
    command = [sys.executable, "-c", code]
    packaged = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = set()
    for package, folder in FOLDERS.items():
        for file in (ROOT / folder).rglob("__init__.py"):
            inside = file.parent.relative_to(ROOT / folder).parts
            names.add(".".join([package, *inside]))
    assert set(packaged.stdout.split()) == names


def test_program_is_the_packages():
    (program,) = metadata.entry_points(group="console_scripts", name="darts-tf")
    assert program.value == "darts_tf.cli.main:main"
