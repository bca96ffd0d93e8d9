"""Insertion of the library's source code into pages: `<!-- source -->` before a block of imports.

The block

    <!-- source: DARTS.virtual_step -->
    ```python
    from darts_tf.search.darts import DARTS
    ```

is replaced by the source of each imported name, or of the members after the colon. Docstrings are
left out, since the reference has them. Readers of the page's own source see where to look.
"""

from __future__ import annotations

import ast
import pathlib
import re

from mkdocs.exceptions import PluginError

ROOT = pathlib.Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"<!-- source(?:: ([\w., ]+))? -->\n```python\n(.*?)```\n", re.DOTALL)


def on_page_markdown(markdown: str, page, **_) -> str:
    """Replaces the marked blocks of imports by source code."""
    return _BLOCK.sub(lambda match: _code(match, page.file.src_uri), markdown)


def _code(match: re.Match, page: str) -> str:
    members, blocks = match[1], []
    for statement in ast.parse(match[2]).body:
        path = pathlib.Path(*statement.module.split(".")).with_suffix(".py")
        names = members.split(", ") if members else [each.name for each in statement.names]
        try:
            parts = [source(ROOT / path, name) for name in names]
        except KeyError as missing:
            raise PluginError(f"{page}: {path} has no {missing}") from None
        code = "\n\n".join(parts)
        blocks.append(f'```python title="{path.as_posix()}"\n{code}\n```\n')
    return "\n".join(blocks)


def source(path: pathlib.Path, name: str) -> str:
    """Returns the source of a function, class or assignment in a file, without its docstring.

    Args:
        path: the file.
        name: qualified name, such as `Class.method`.

    Raises:
        KeyError: the file has no such name.
    """
    text = path.read_text(encoding="utf-8")
    node = ast.parse(text)
    for part in name.split("."):
        node = {key: each for each in node.body for key in _names(each)}[part]
    lines = text.splitlines()[_first_line(node) - 1 : node.end_lineno]
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
        docstring, start = node.body[0], _first_line(node)
        del lines[docstring.lineno - start : docstring.end_lineno - start + 1]
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines)


def _first_line(node: ast.AST) -> int:
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if hasattr(node, "name") else []
