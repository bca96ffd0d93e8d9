"""Runs the blocks of a document, one after another."""

from __future__ import annotations

import contextlib
import dataclasses
import doctest
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from darts_tf.cli.main import main
from docs_blocks import ROOT, Block, Statement, flags_of, statements

COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


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
    given: Callable[[str], pathlib.Path]
    names: dict = dataclasses.field(default_factory=dict)
    printed: str = ""
    behind: list = dataclasses.field(default_factory=list)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.behind:
            process.terminate()
            process.wait(60)
            process.stdout.close()

    def begin(self, page: list[Block]) -> None:
        """Writes the files that blocks of the page are parts of."""
        for block in page:
            if block.file:
                with open(self.folder / block.file, "a", encoding="utf-8") as file:
                    file.write(f"{block.text}\n")

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
                run = _alone if "--plugin" in words else main
                assert run(words) == 0, f"{block}: {' '.join(words)}"
            else:
                assert not any("with " in part for part in block.parts), f"{block}: {statement}"
                done = self._shell(statement.text, subprocess.run, capture_output=True)
                assert done.returncode == 0, f"{block}: {statement.text}\n{done.stderr}"
                print(done.stdout)

    def _shell(self, text: str, start, **options):
        programs = self.folder / ".programs"
        programs.mkdir(exist_ok=True)
        program = programs / "darts-tf"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m darts_tf.cli "$@"\n')
        program.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        return start(["bash", "-euc", text], env=environment, text=True, **options)

    def _started(self, statement: Statement):
        process = self._shell(f"exec {statement.text}", subprocess.Popen, stdout=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while "stop with Ctrl-C" not in process.stdout.readline():
            assert process.poll() is None, f"ended: {statement.text}"
            assert time.monotonic() < deadline, f"still starting: {statement.text}"
        return process


def _alone(words: list[str]) -> int:
    """Runs a command in a process of its own: what it registers goes with it."""
    command = [sys.executable, "-m", "darts_tf.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done.returncode
