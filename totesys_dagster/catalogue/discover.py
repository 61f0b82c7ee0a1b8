"""How tables are found: each is declared in a module of its own, as `TABLE`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from totesys_dagster.errors import DeclarationError


def discover(package: str) -> list[Any]:
    """The tables of a package's modules, in the order of their names.

    Raises DeclarationError, which names the module, where one declares no table.
    """
    path = importlib.import_module(package).__path__
    return [_table(package, name) for name in sorted(m.name for m in pkgutil.iter_modules(path))]


def _table(package: str, name: str) -> Any:
    module = f"{'/'.join(package.split('.')[-2:])}/{name}.py"
    try:
        table = importlib.import_module(f"{package}.{name}").TABLE
    except Exception as error:
        # A KeyError puts quotes around its sentence.
        says = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise DeclarationError(f"{module} declares no table: {says}.") from error
    if table.name != name:
        raise DeclarationError(f"{module} declares {table.name}: name the module after the table.")
    return table
