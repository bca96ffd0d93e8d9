"""Packages that import their public names on first use."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from darts_tf import lazy

PACKAGES = ("darts_tf", "darts_tf.data", "darts_tf.export")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package with a lazy face and one module, not imported yet."""
    folder = tmp_path / "lazy_toy"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from darts_tf import lazy\n"
        '__getattr__, __dir__, __all__ = lazy.attach(__name__, {"inner.deep": ("b", "a")})\n'
    )
    (folder / "inner").mkdir()
    (folder / "inner" / "deep.py").write_text("a, b = 1, 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("lazy_toy")
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_toy"]:
        del sys.modules[name]


def test_names_are_imported_on_first_use(toy):
    assert "lazy_toy.inner.deep" not in sys.modules
    assert (toy.a, toy.b) == (1, 2)
    assert "lazy_toy.inner.deep" in sys.modules


def test_public_names_are_listed_before_they_are_imported(toy):
    assert toy.__all__ == ["a", "b"]
    assert {name for name in dir(toy) if not name.startswith("__")} == {"a", "b"}
    assert {"__name__", "__doc__"} <= {*dir(toy)}
    assert "lazy_toy.inner.deep" not in sys.modules


def test_star_import_takes_all_public_names(toy):
    names = {}
    exec("from lazy_toy import *", names)
    assert (names["a"], names["b"]) == (1, 2)


def test_unknown_name_is_an_attribute_error_as_python_words_it(toy):
    with pytest.raises(AttributeError, match=r"^module 'lazy_toy' has no attribute 'c'$"):
        _ = toy.c
    with pytest.raises(ImportError, match="cannot import name 'c'"):
        from lazy_toy import c  # noqa: F401


def test_package_follows_a_name_that_its_module_replaces(toy, monkeypatch):
    assert toy.a == 1
    monkeypatch.setattr("lazy_toy.inner.deep.a", 3)
    assert toy.a == 3


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_a_package_exists(package):
    module = importlib.import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_packages_are_imported_without_tensorflow():
    heavy = {"tensorflow", "keras", "numpy"}
    code = f"import sys, {', '.join(PACKAGES)}; print(*set(sys.modules) & {heavy!r})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_attach_gives_the_functions_of_a_module():
    getter, directory, public = lazy.attach("darts_tf", {"spaces.zoo": ("GENOTYPES",)})
    assert public == ["GENOTYPES"]
    assert getter("GENOTYPES")["DARTS_V2"]
    assert "GENOTYPES" in directory()
