"""Contents of an installation: one package, into which the top-level folders are mapped."""

from __future__ import annotations

import ast
import importlib.util
import json
import pathlib
import subprocess
import sys
from importlib import metadata

import pytest

import darts_tf

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = {"darts_tf": "darts_tf", "darts_tf.cli": "cli", "darts_tf.export": "export"}


def test_one_name_is_taken_in_site_packages():
    assert metadata.distribution("darts-tf").read_text("top_level.txt").split() == ["darts_tf"]


@pytest.mark.parametrize(("package", "folder"), FOLDERS.items())
def test_packages_are_imported_from_their_folders(package, folder):
    assert pathlib.Path(importlib.util.find_spec(package).origin).parent == ROOT / folder


def given_to_setup(name):
    """Returns a keyword argument that setup.py gives to setuptools."""
    program = "import json, setuptools; setuptools.setup = lambda **given: print(json.dumps("
    code = f"{program}given[{name!r}])); exec(open('setup.py').read(), {{'__file__': 'setup.py'}})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_every_folder_with_modules_is_packaged():
    names = set()
    for package, folder in FOLDERS.items():
        for file in (ROOT / folder).rglob("__init__.py"):
            inside = file.parent.relative_to(ROOT / folder).parts
            names.add(".".join([package, *inside]))
    assert set(given_to_setup("packages")) == names


def test_types_of_public_names_are_packaged():
    """A type checker reads no `__getattr__`, so the stub lists all names and where they are."""
    given = given_to_setup("package_data")["darts_tf"]
    packaged = {path.name for pattern in given for path in (ROOT / "darts_tf").glob(pattern)}
    assert packaged == {"py.typed", "__init__.pyi"}
    stub = ast.parse((ROOT / "darts_tf" / "__init__.pyi").read_text(encoding="utf-8"))
    imported = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    listed = {
        (alias.asname, node.module.removeprefix("darts_tf."))
        for node in imported
        for alias in node.names
    }
    assert listed == {(name, home) for home, names in darts_tf.HOMES.items() for name in names}


def test_program_is_the_packages():
    (program,) = metadata.entry_points(group="console_scripts", name="darts-tf")
    assert program.value == "darts_tf.cli.main:main"
