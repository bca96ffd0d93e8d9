"""Code blocks in documents, and the comments that say how tests run them.

A block in a language that can be run is run unchanged, in the order of the page, in one folder per
page. A comment before it changes that, in parts separated by semicolons. It is visible only in the
page's source:

    <!-- test: with --epochs 1 -->             after each command that has the flag, unless resumed
    <!-- test: search with --epochs 1 -->      only after each `darts-tf search`
    <!-- test: --resume with --seeds 0,1 -->   after commands that resume a run
    <!-- test: given runs/search -->           the folder already has a finished run
    <!-- test: file my_ops.py -->              part of a file that exists from the beginning
    <!-- test: background -->                  runs in parallel with the rest of the page
    <!-- test: printed -->                     is the output of the block before it
    <!-- test: not run: why -->                is only parsed
    <!-- source -->                            imports whose source is shown; see docs/hooks
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex

from darts_tf import configs
from darts_tf.cli import arguments
from darts_tf.cli.main import COMMANDS, common_of

ROOT = pathlib.Path(__file__).resolve().parents[2]


RUN = ("bash", "python", "json")
"""Languages of blocks that are run or parsed by default."""

PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "deploy/*.md")
    for path in sorted(ROOT.glob(pattern))
)

_FENCE = "```"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>test|source)(?::(?P<directive>.*?))? -->\n)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SHELL = re.compile(r"[|<>&;`]|\$\(")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: path below the root.
        line: number of its first line, from 1.
        language: language after the fence.
        text: content.
        parts: parts of the comment before it.
    """

    page: str
    line: int
    language: str
    text: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """True if the block is run rather than only parsed."""
        return self.language in RUN and self.reason is None and self.file is None

    @property
    def reason(self) -> str | None:
        """Reason why it is not run, or None."""
        return self._after("not run: ")

    @property
    def file(self) -> str | None:
        """File that it is a part of, or None."""
        return self._after("file ")

    @property
    def given(self) -> list[str]:
        """Runs that must exist before it."""
        return (self._after("given ") or "").split()

    def _after(self, word: str) -> str | None:
        rests = (part.removeprefix(word) for part in self.parts if part.startswith(word))
        return next(rests, None)

    def further(self, statement: Statement, flags) -> list[str]:
        """Returns the words that the comment appends to a command.

        Args:
            statement: a `darts-tf` command.
            flags: flags of the command.
        """
        groups_of_words = []
        for part in self.parts:
            who, with_, words = part.partition("with ")
            if not with_:
                continue
            groups = re.findall(r"--[\w-]+(?: (?!--)\S+)*", words)
            if who.strip() == statement.subject:
                groups_of_words += groups
            elif not who:
                known = (group for group in groups if group.split()[0] in flags)
                groups_of_words += () if "--resume" in statement.words else known
        return [word for group in groups_of_words for word in group.split()]


@dataclasses.dataclass(frozen=True)
class Statement:
    """A command in a block for the shell.

    Attributes:
        text: unchanged text.
        words: its words, without assignments before the command.
    """

    text: str
    words: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """True if it is a single `darts-tf` command without shell syntax."""
        written = re.sub(r"\"[^\"]*\"|'[^']*'|(^|\s)#.*", "", self.text)
        return self.words[0] == "darts-tf" and not _SHELL.search(written) and not self.assigns

    @property
    def assigns(self) -> bool:
        """True if variables of the environment are set before the command."""
        return not self.text.lstrip().startswith(self.words[0])

    @property
    def subject(self) -> str:
        """Name of it in comments: its command, or `--resume`."""
        return "--resume" if "--resume" in self.words else self.words[1]


def blocks(page: str) -> list[Block]:
    """Returns the blocks of a page.

    Raises:
        ValueError: a fence that neither begins nor ends a block, such as an indented one.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    matches = list(_BLOCK.finditer(text))
    if text.count(_FENCE) != 2 * len(matches):
        raise ValueError(f"{page}: a fence that begins or ends no block")
    return [_block(page, text, match) for match in matches]


def _block(page: str, text: str, match: re.Match) -> Block:
    parts = ("source",) if match["kind"] == "source" else ()
    if match["kind"] == "test":
        parts = tuple(part.strip() for part in match["directive"].split(";"))
    line = text.count("\n", 0, match.start("language")) + 1
    return Block(page, line, match["language"], match["text"], parts)


def statements(block: Block) -> list[Statement]:
    """Returns the commands of a block for the shell; continued lines are joined."""
    commands, lines = [], ""
    for line in block.text.splitlines():
        lines += line
        if lines.endswith("\\"):
            lines = lines[:-1]
            continue
        try:
            words = shlex.split(lines, comments=True)
        except ValueError:  # within quotes
            lines += "\n"
            continue
        command = [i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)]
        if command:
            commands.append(Statement(lines, tuple(words[command[0] :])))
        lines = ""
    if lines:
        raise ValueError(f"{block}: a command without an end")
    return commands


def inline(page: str) -> list[str]:
    """Returns the inline code of a page."""
    text = _BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


def flags_of(command: str) -> set[str]:
    """Returns the flags of a command, for images and for text."""
    config = getattr(configs, COMMANDS[command][0])
    kinds = (config, configs.ON_TEXT.get(config, config))
    kinds = (*kinds, common_of(command))
    return {"--help", "--help-all"} | {flag for kind in kinds for flag in arguments.flags(kind)}
