"""The page `reference.md`: every public name of `darts_tf`, from its docstring."""

from __future__ import annotations

from mkdocs.structure.files import File

import darts_tf

_INTRODUCTION = """# The library

All public names of `darts_tf`. They are imported on first use: `import darts_tf` is instant.
"""


def on_files(files, config):
    """Adds the page."""
    files.append(File.generated(config, "reference.md", content=page()))
    return files


def page() -> str:
    """A heading for every name, under which its docstring is shown."""
    names = sorted(darts_tf.__all__, key=str.lower)
    return "\n".join([_INTRODUCTION, *map(_entry, names)])


def _entry(name: str) -> str:
    return (
        f"::: darts_tf.{darts_tf._HOME[name]}.{name}\n"
        f"    options:\n      heading: darts_tf.{name}\n      toc_label: {name}\n"
    )
