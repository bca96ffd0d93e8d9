"""All commands and code blocks in README.md and docs, parsed and run."""

from __future__ import annotations

import itertools
import pathlib
import re
import shutil

import pytest
from cli_helpers import replace_commands, write_images
from docs_blocks import PAGES, ROOT, Block, Statement, blocks, flags_of, inline, statements
from docs_runner import Runner
from PIL import Image
from text_folders import SPLITS, write_texts

from darts_tf import configs
from darts_tf.cli import arguments
from darts_tf.cli.main import COMMANDS, main

SHORT = ("docs/method.md", "docs/recurrent.md", "docs/variants.md")
"""Pages that run with all other tests; the others take minutes."""

GIVEN = {
    "runs/search": "search --dataset digits --channels 2 --limit 64 --epochs 1 --batch-size 16 "
    "--arch-gradient first_order",
    "runs/train": "train --preset tiny --dataset digits --epochs 4 --channels 4 "
    "--genotype DARTS_V2",
}
"""Runs that a page may start with, and the commands that make them."""

WITH_CODE = tuple(page for page in PAGES if blocks(page))


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> pathlib.Path:
    """Folder with the files that every page starts with: images, a photo, texts."""
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
    """Function that returns the folder of a finished run, which is made on first use."""
    made = tmp_path_factory.mktemp("given")

    def make(name: str) -> pathlib.Path:
        if not (made / name).exists():
            assert main([*GIVEN[name].split(), "--workdir", str(made / name)]) == 0
        return made / name

    return make


# Parsing


def commands(page: str) -> list[tuple[Block, Statement]]:
    """Returns the commands in the blocks of a page."""
    shell = (block for block in blocks(page) if block.language == "bash")
    return [(block, statement) for block in shell for statement in statements(block)]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.is_run or block.reason or block.file or block.parts == ("printed",), (
            f"{block}: a block of {block.language or 'no language'} that no test can run, and no "
            "comment before it that says why"
        )


@pytest.mark.parametrize("page", WITH_CODE)
def test_commands_are_understood(page, begun, monkeypatch, capsys):
    monkeypatch.chdir(begun)
    replace_commands(monkeypatch, lambda config: 0)
    for block, statement in commands(page):
        check = CHECKS.get(statement.words[0], lambda words: None)
        check(list(itertools.takewhile(lambda word: word not in (">", "|"), statement.words))[1:])
        assert capsys.readouterr().err == "", f"{block}: {statement.text}"


def understood(words) -> None:
    """Parses a `darts-tf` command, as far as possible without its runs."""
    if {"--resume", "--config", "--plugin"} & set(words):
        known = flags_of(words[0])
        assert [word for word in words if word.startswith("--") and word not in known] == []
    elif words[0] == "launch":
        place = words.index("--")
        arguments.parse(configs.LaunchConfig, words[1:place], "darts-tf launch")
        understood(words[place + 1 :])
    else:
        assert main(list(words)) == 0


def is_of_a_script(words) -> None:
    """Asserts that a script exists, and that it or the benchmarks' shared module has the flags."""
    if words[0] == "-m":
        return
    text = (ROOT / words[0]).read_text() + (ROOT / "benchmarks/measuring.py").read_text()
    flags = [word for word in words[1:] if word.startswith("--")]
    assert [f for f in flags if f'"{f}"' not in text and _as_a_name(f) not in text] == []


def _as_a_name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def is_a_target(words) -> None:
    """Asserts that the words are targets of the Makefile."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in words if "=" not in word and word not in targets] == []


def installs_what_there_is(words) -> None:
    """Asserts that the package has the extras."""
    known = re.findall(r'^        "(\w+)": \[', (ROOT / "setup.py").read_text(), re.MULTILINE)
    asked = [name for word in words for name in re.findall(r"\[([\w,]+)\]", word)]
    assert [name for names in asked for name in names.split(",") if name not in known] == []


CHECKS = {
    "darts-tf": understood,
    "python": is_of_a_script,
    "make": is_a_target,
    "pip": installs_what_there_is,
}
"""Checks of commands by their first word."""


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
            assert words[0] in ("COMMAND", "...", "help", "--help", "--version"), code
        elif re.match(r"--\w", program) and not program.endswith("-"):
            assert program in known or f'"{program}"' in scripts, code


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/")])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


# Parsing of the blocks


def page_of(tmp_path, text: str) -> str:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    return str(page)


def test_parts_of_a_file_are_written_before_the_page_runs(tmp_path):
    part = "<!-- test: file a.py -->\n```python\n{}\n```\n"
    page = blocks(page_of(tmp_path, part.format("x = 1") + part.format("y = x")))
    Runner(tmp_path, given=None).begin(page)
    assert (tmp_path / "a.py").read_text() == "x = 1\n\ny = x\n\n"
    assert not any(block.is_run for block in page)


def test_blocks_have_their_comments(tmp_path):
    text = "a `b`\n\n<!-- test: given runs/x; not run: why -->\n```bash\nls\n```\n```\nc\n```\n"
    first, second = blocks(page_of(tmp_path, text))
    assert (first.line, first.language, first.text) == (4, "bash", "ls\n")
    assert (first.given, first.reason, first.is_run) == (["runs/x"], "why", False)
    assert (second.language, second.parts, second.is_run) == ("", (), False)
    assert inline(str(tmp_path / "page.md")) == ["b"]


@pytest.mark.parametrize("text", ["- a\n\n  ```bash\n  ls\n  ```\n", "```bash\nls\n"])
def test_blocks_that_would_be_overlooked_are_errors(tmp_path, text):
    with pytest.raises(ValueError, match="fence"):
        blocks(page_of(tmp_path, text))


def test_statements_are_what_a_shell_would_run(tmp_path):
    text = "```bash\nA=1 \\\n  b c   # d\n\n# e\ncurl \"x\n y\" # z\ndarts-tf a > 'f'\n```\n"
    found = statements(*blocks(page_of(tmp_path, text)))
    assert [each.words for each in found] == [
        ("b", "c"),
        ("curl", "x\n y"),
        ("darts-tf", "a", ">", "f"),
    ]
    assert not any(each.is_plain for each in found)


@pytest.mark.parametrize(
    ("comment", "line", "added"),
    [
        ("with --epochs 1 --width 2", "darts-tf search", ["--epochs", "1"]),
        ("with --epochs 1", "darts-tf search --resume", []),
        ("--resume with --epochs 1", "darts-tf search --resume", ["--epochs", "1"]),
        ("train with --epochs 1; search with --set a=1 b=2", "darts-tf search", "--set a=1 b=2"),
        ("", "darts-tf search", []),
    ],
)
def test_comments_add_flags_to_commands(tmp_path, comment, line, added):
    text = f"<!-- test: {comment} -->\n```bash\n{line}\n```\n"
    (block,) = blocks(page_of(tmp_path, text))
    (statement,) = statements(block)
    found = block.further(statement, {"--epochs", "--set"})
    assert found == (added.split() if isinstance(added, str) else added)


@pytest.mark.parametrize(
    "words",
    [
        ("search", "--workdir", "a", "--epoch", "1"),
        ("search", "--workdir", "a", "--epochs", "none"),
        ("search", "--workdir", "a", "--resume", "--epoch", "1"),
        ("serch", "--workdir", "a"),
        ("train", "--workdir", "a"),
    ],
)
def test_wrong_commands_are_found(words, monkeypatch):
    replace_commands(monkeypatch, lambda config: 0)
    with pytest.raises(AssertionError):
        understood(words)


# Running


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=() if p in SHORT else pytest.mark.slow, id=p) for p in WITH_CODE],
)
def test_page_runs(page, begun, given, tmp_path, monkeypatch):
    folder = tmp_path / "page"
    shutil.copytree(begun, folder)
    monkeypatch.chdir(folder)
    with Runner(folder, given) as runner:
        runner.begin(blocks(page))
        for block in blocks(page):
            runner.run(block)
