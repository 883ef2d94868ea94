"""Columns that functions make of others: the same values in training and for a request."""

import hashlib
import inspect
import math
from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import Any

from .instantiate import named

Value = float | str | None


class CannotMake(ValueError):
    """A row of which a function makes no value."""


def maker(name: str, path: str, numeric: bool, where: str) -> Callable[..., Value]:
    """The function that makes column `name`: finite numbers or else text, None for missing.

    It raises `CannotMake` where the project's function fails or gives something else. `where` is
    what the `Refusal` of a path that leads nowhere points to.
    """
    function = named(path, where)

    def make(*values: Any) -> Value:
        try:
            found = function(*values)
        except Exception as error:
            raise CannotMake(f"{name!r} cannot be made of {_told(values)}: {error!r}") from None
        if found is None:
            return None
        if not numeric and isinstance(found, str):
            return str(found)
        if numeric and isinstance(found, Real):
            number = float(found)
            if math.isfinite(number):
                return number
            if math.isnan(number):
                return None
        wanted = "a finite number" if numeric else "text"
        raise CannotMake(f"{name!r} of {_told(values)} is {found!r}, not {wanted} or None")

    return make


def _told(values: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, values))


@cache
def code(path: str, where: str) -> str:
    """SHA-256 of a function's source text, empty for one that has none in Python.

    Remembered, because a file may change below a process that has long loaded the function.
    """
    try:
        text = inspect.getsource(named(path, where))
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()
