"""Execution of the blocks of a document, one after another."""

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

from docs_blocks import ROOT, Block, Statement, flags_of, statements

from darts_tf.cli.main import main

COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclasses.dataclass
class Runner:
    """Executor of the blocks of a page, one after another.

    Attributes:
        folder: folder of the page.
        given: function that makes runs that a block needs.
        names: names defined by the page's Python blocks.
        printed: output of the last block.
        behind: background processes.
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
        """Writes the files whose parts are blocks of the page."""
        for block in page:
            if block.file:
                with open(self.folder / block.file, "a", encoding="utf-8") as file:
                    file.write(f"{block.text}\n")

    def run(self, block: Block) -> None:
        """Runs a block, or compares it with the output of the block before."""
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
        """Runs Python in this process, with the names of earlier blocks."""
        exec(compile(block.text, str(block), "exec", dont_inherit=True), self.names)

    def json(self, block: Block) -> None:
        """Checks that JSON can be parsed."""
        json.loads(block.text)

    def bash(self, block: Block) -> None:
        """Runs `darts-tf` in this process, with TensorFlow loaded, and the rest by the shell."""
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
    """Runs a command in a separate process, so that its registrations do not stay."""
    command = [sys.executable, "-m", "darts_tf.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done.returncode
