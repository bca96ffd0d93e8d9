"""Pages of the notebooks in `docs/notebooks`: text and code, with a link to the notebook itself."""

from __future__ import annotations

import json
import pathlib

from mkdocs.structure.files import File

FOLDER = "notebooks"


def on_files(files, config):
    """Adds a page for every notebook, with its name."""
    for path in sorted(pathlib.Path(config.docs_dir, FOLDER).glob("*.ipynb")):
        place = f"{FOLDER}/{path.stem}.md"
        files.append(File.generated(config, place, content=page(path)))
    return files


def page(path: pathlib.Path) -> str:
    """Returns a notebook as a page; the link to it is below its title."""
    title, *cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    link = f"This page is a notebook: [{path.name}]({path.name})."
    heading, _, rest = _text(title).partition("\n")
    return "\n\n".join([heading, link, rest.strip(), *map(_text, cells)])


def _text(cell: dict) -> str:
    source = "".join(cell["source"])
    return source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
