"""Values of a test of which `make test` runs a few and `make test-long` the others."""

from __future__ import annotations

import pytest


def mostly_slow(fast, names, values, **options):
    """Parametrizes a test with all values, of which only a few are for `make test`.

    Args:
        fast: How many of the first values are not slow, or a tuple of their positions.
        names: The names of the parameters, as in `pytest.mark.parametrize`.
        values: The values, as there.
        **options: More arguments of `pytest.mark.parametrize`.
    """
    positions = range(fast) if isinstance(fast, int) else fast
    several = isinstance(names, (tuple, list)) or "," in names
    marked = [value if i in positions else _slow(value, several) for i, value in enumerate(values)]
    return pytest.mark.parametrize(names, marked, **options)


def _slow(value, several):
    """The same parameters, marked as slow."""
    if hasattr(value, "marks"):
        marks = (*value.marks, pytest.mark.slow)
        return pytest.param(*value.values, marks=marks, id=value.id)
    return pytest.param(*(value if several else (value,)), marks=pytest.mark.slow)
