"""Packages whose public names are imported on first use.

`import darts_tf` must be instant, and TensorFlow alone takes seconds. The interface is that of
`lazy_loader.attach`, without its start-up time and one dependency more.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence


def attach(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Makes the module functions of a package that imports its public names on first use.

    Example:
        ```python
        __getattr__, __dir__, __all__ = lazy.attach(__name__, {"zoo": ["GENOTYPES"]})
        ```

    Args:
        package: full name of the package.
        names: public names by the module that defines them; modules are named relative to the
            package, such as `spaces.zoo`.

    Returns:
        `__getattr__` (PEP 562), `__dir__` and `__all__` of the package.
    """
    module_of = {name: module for module, defined in names.items() for name in defined}
    public = sorted(module_of)

    def __getattr__(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)

    def __dir__() -> list[str]:
        """The public names, and what Python itself asks a module for, such as `__doc__`."""
        return [*(name for name in vars(sys.modules[package]) if name[:2] == "__"), *public]

    return __getattr__, __dir__, public
