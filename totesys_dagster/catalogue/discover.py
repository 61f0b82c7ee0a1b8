"""How tables are found: each is declared in a module of its own, as `TABLE`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def discover(package: str) -> list[Any]:
    """The tables of a package's modules, in the order of their names."""
    path = importlib.import_module(package).__path__
    names = sorted(module.name for module in pkgutil.iter_modules(path))
    return [importlib.import_module(f"{package}.{name}").TABLE for name in names]
