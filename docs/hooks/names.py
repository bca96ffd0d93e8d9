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
    """Returns the page: a heading for every name, followed by its docstring."""
    home = {name: module for module, names in darts_tf.HOMES.items() for name in names}
    names = sorted(home, key=str.lower)
    return "\n".join([_INTRODUCTION, *(_entry(name, home[name]) for name in names)])


def _entry(name: str, module: str) -> str:
    return (
        f"::: darts_tf.{module}.{name}\n"
        f"    options:\n      heading: darts_tf.{name}\n      toc_label: {name}\n"
    )
