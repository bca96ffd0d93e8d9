"""The project's own errors: one line each, for the person at the terminal."""

from __future__ import annotations


class InputError(ValueError):
    """What was given cannot be used: says what was expected and what was received."""


class InUse(InputError):
    """Another process has what is asked for; it may be free later."""
