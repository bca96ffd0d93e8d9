"""Start-up time of the program for commands that compute nothing.

python benchmarks/command_line.py
"""

from __future__ import annotations

import subprocess
import sys

from measuring import save, seconds, show

COMMANDS = {
    "darts-tf --help": ["--help"],
    "darts-tf search --help": ["search", "--help"],
    "a wrong flag": ["search", "--workdir", "x", "--epoch", "1"],
}


def main():
    """Measures whole processes one after the other, and prints a table."""

    def answer(words):
        subprocess.run(
            [sys.executable, "-m", "darts_tf.cli", *words], check=False, capture_output=True
        )

    results = {name: seconds(answer, words) for name, words in COMMANDS.items()}
    show("command line", ("command", "seconds"), results.items())
    save("command_line", results)


if __name__ == "__main__":
    main()
