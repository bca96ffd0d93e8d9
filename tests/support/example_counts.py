"""How many generated examples a test takes: a fifth in `make test`, all in `make test-long`."""

from __future__ import annotations

import os

WHOLE = "DARTS_TF_ALL_EXAMPLES" in os.environ


def examples(count: int) -> int:
    """The number of examples, of `count` that a long test takes.

    Args:
        count: How many there are where the environment has `DARTS_TF_ALL_EXAMPLES`.
    """
    return count if WHOLE else max(count // 5, 5)
