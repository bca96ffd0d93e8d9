"""Every command and every block of code in README.md and docs: parsed, and run."""

from __future__ import annotations

import contextlib
import dataclasses
import doctest
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest
from commands import replace_commands, write_images
from documents import PAGES, ROOT, Block, Statement, blocks, inline, statements
from PIL import Image
from texts import SPLITS, write_texts

from cli import arguments
from cli.main import COMMANDS, main
from darts_tf import configs

SHORT = ("README.md", "docs/method.md", "docs/recurrent.md", "docs/variants.md")
"""Pages that are run with all other tests; the others take minutes."""

GIVEN = {
    "runs/search": "search --channels 2 --limit 64 --epochs 1 --batch-size 16 "
    "--arch-gradient first_order",
    "runs/train": "train --preset tiny --epochs 4 --channels 4 --genotype DARTS_V2",
}
"""Runs that a page may begin with, and what makes them."""

WITH_CODE = tuple(page for page in PAGES if blocks(page))
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> pathlib.Path:
    """What every page's folder begins with: images, a photo, texts."""
    folder = tmp_path_factory.mktemp("begun")
    write_images(folder / "photos", {"train": 24, "test": 8}, size=16)
    with Image.open(folder / "photos/test/red/0.png") as image:
        image.save(folder / "photo.jpg")
    line = " ".join(f"w{number % 97}" for number in range(0, 200, 7))
    for name in ("ptb", "wikitext"):
        write_texts(folder / name, **dict.fromkeys(SPLITS, f"{line}\n" * 60))
    return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A function that gives the folder of a finished run, made when first asked for."""
    made = tmp_path_factory.mktemp("given")

    def make(name: str) -> pathlib.Path:
        if not (made / name).exists():
            assert main([*GIVEN[name].split(), "--workdir", str(made / name)]) == 0
        return made / name

    return make


# Parsed


def commands(page: str) -> list[tuple[Block, Statement]]:
    """The commands in the blocks of a page."""
    shell = (block for block in blocks(page) if block.language == "bash")
    return [(block, statement) for block in shell for statement in statements(block)]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.is_run or block.reason or block.parts == ("printed",), (
            f"{block}: a block of {block.language or 'no language'} that no test can run, and no "
            "comment before it that says why"
        )


@pytest.mark.parametrize("page", WITH_CODE)
def test_commands_are_understood(page, begun, monkeypatch, capsys):
    monkeypatch.chdir(begun)
    replace_commands(monkeypatch, lambda config: 0)
    for block, statement in commands(page):
        check = CHECKS.get(statement.words[0], lambda words: None)
        check(statement.words[1:])
        assert capsys.readouterr().err == "", f"{block}: {statement.text}"


def understood(words) -> None:
    """A `darts-tf` command is, as far as it can be without the runs that it is of."""
    if "--resume" in words:
        known = flags_of(words[0])
        assert [word for word in words if word.startswith("--") and word not in known] == []
    elif words[0] == "launch":
        place = words.index("--")
        arguments.parse(configs.LaunchConfig, words[1:place], "darts-tf launch")
        understood(words[place + 1 :])
    else:
        assert main(list(words)) == 0


def flags_of(command: str) -> set[str]:
    """Of a command, on images and on text."""
    config = getattr(configs, COMMANDS[command][0])
    kinds = (config, configs.ON_TEXT.get(config, config))
    return {"--help", *(flag for kind in kinds for flag in arguments.flags(kind))}


def is_of_a_script(words) -> None:
    """A script that is there, with flags that are in it or in what all benchmarks share."""
    if words[0] == "-m":
        return
    text = (ROOT / words[0]).read_text() + (ROOT / "benchmarks/measuring.py").read_text()
    flags = [word for word in words[1:] if word.startswith("--")]
    assert [f for f in flags if f'"{f}"' not in text and _as_a_name(f) not in text] == []


def _as_a_name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def is_a_target(words) -> None:
    """Targets of the Makefile."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in words if "=" not in word and word not in targets] == []


def installs_what_there_is(words) -> None:
    """Extras that the package has."""
    known = re.findall(r'^        "(\w+)": \[', (ROOT / "setup.py").read_text(), re.MULTILINE)
    asked = [name for word in words for name in re.findall(r"\[([\w,]+)\]", word)]
    assert [name for names in asked for name in names.split(",") if name not in known] == []


CHECKS = {
    "darts-tf": understood,
    "python": is_of_a_script,
    "make": is_a_target,
    "pip": installs_what_there_is,
}
"""How commands are parsed, by their first word."""


@pytest.mark.parametrize("page", PAGES)
def test_code_within_lines_exists(page):
    known = {flag for command in COMMANDS for flag in flags_of(command)}
    scripts = "".join(path.read_text() for path in sorted((ROOT / "benchmarks").glob("*.py")))
    for code in inline(page):
        program, *words = code.split()
        if program == "make" and words:
            is_a_target([word for word in words if re.fullmatch(r"[\w-]+", word)])
        elif program == "python" and words and words[0].endswith(".py"):
            is_of_a_script(words)
        elif program == "darts-tf" and words and words[0] in COMMANDS:
            used = [word.partition("=")[0] for word in words if re.match(r"--\w", word)]
            assert set(used) <= flags_of(words[0]), code
        elif program == "darts-tf" and words:
            assert words[0] in ("COMMAND", "...", "--help", "--version"), code
        elif re.match(r"--\w", program) and not program.endswith("-"):
            assert program in known or f'"{program}"' in scripts, code


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/")])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


# Run


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=() if p in SHORT else pytest.mark.slow, id=p) for p in WITH_CODE],
)
def test_page_runs(page, begun, given, tmp_path, monkeypatch):
    folder = tmp_path / "page"
    shutil.copytree(begun, folder)
    monkeypatch.chdir(folder)
    with Runner(folder, given) as runner:
        for block in blocks(page):
            runner.run(block)


@dataclasses.dataclass
class Runner:
    """Runs the blocks of a page, one after another.

    Attributes:
        folder: the page's.
        given: makes runs that a block is given.
        names: what the page's Python has defined.
        printed: what the last block has printed.
        behind: processes in the background.
    """

    folder: pathlib.Path
    given: object
    names: dict = dataclasses.field(default_factory=dict)
    printed: str = ""
    behind: list = dataclasses.field(default_factory=list)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.behind:
            process.terminate()
            process.wait(60)

    def run(self, block: Block) -> None:
        """Runs one block, or compares it with what the one before it has printed."""
        for name in block.given:
            shutil.copytree(self.given(name), self.folder / name)
        if block.parts == ("printed",):
            checker = doctest.OutputChecker()
            assert checker.check_output(block.text, self.printed, COMPARED), self.printed
        elif block.is_run:
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                getattr(self, block.language)(block)
            self.printed = output.getvalue()

    def python(self, block: Block) -> None:
        """In this process, with the names of the blocks before it."""
        exec(compile(block.text, str(block), "exec", dont_inherit=True), self.names)

    def json(self, block: Block) -> None:
        """Can be read."""
        json.loads(block.text)

    def bash(self, block: Block) -> None:
        """`darts-tf` in this process, where TensorFlow is started; all else by the shell."""
        for statement in statements(block):
            if "background" in block.parts:
                self.behind.append(self._started(statement))
            elif statement.is_plain:
                words = list(statement.words[1:])
                job = words[words.index("--") + 1] if words[0] == "launch" else words[0]
                words += block.further(statement, flags_of(job))
                assert main(words) == 0, f"{block}: {' '.join(words)}"
            else:
                assert not any("with " in part for part in block.parts), f"{block}: {statement}"
                done = self._shell(statement.text, subprocess.run, capture_output=True)
                assert done.returncode == 0, f"{block}: {statement.text}\n{done.stderr}"
                print(done.stdout)

    def _shell(self, text: str, start, **options):
        programs = self.folder / ".programs"
        programs.mkdir(exist_ok=True)
        program = programs / "darts-tf"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli "$@"\n')
        program.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        return start(["bash", "-euc", text], env=environment, text=True, **options)

    def _started(self, statement: Statement):
        process = self._shell(f"exec {statement.text}", subprocess.Popen, stdout=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while "Ctrl-C ends it" not in process.stdout.readline():
            assert process.poll() is None, f"ended: {statement.text}"
            assert time.monotonic() < deadline, f"still starting: {statement.text}"
        return process
